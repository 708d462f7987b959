/*
 * codec.h
 *		Quantizers behind one interface: what walks and lists rank rows by, and
 *		what distances are refined with.
 *
 * A row x (normalised first under COSINE) is coded relative to a centre c, that of its list
 * (IVF) or the mean of all rows: x^ = c + decode(code).  A codec computes, for a query q,
 *
 *		dot(row) = q . decode(code)
 *
 * and everything else follows from it and the row's Sq8Meta:
 *
 *		|x^ - q|^2 - |q|^2 = norm2 - 2 (q.c + dot)		L2, COSINE (norm2 = |x^|^2)
 *		-(x^ . q)          = -(q.c + dot)				IP
 *
 * meta.error is |x - x^|, rounded up.  It gives a lower bound that always holds
 * (`rigorous` codecs), or one that usually does: the error of a dot product with
 * a direction unrelated to x - x^ is about error * |q - x^| / sqrt(dim).  A codec
 * that is not rigorous chooses norm2 so that the estimate is right on average: where the
 * error has nothing to do with x - q, that is |x^|^2 - error^2.
 *
 * Rows, centres and queries are relative to an origin (AnnCodecInput.origin, the mean of
 * all rows): distances stay as they are, and numbers lose less to rounding.  Codecs
 * see rows through AnnCodecResidual only.  Under IP the query is not moved: the frame adds
 * origin . q.
 *
 * The model is a byte array without pointers, the same wherever it is mapped: it is stored in
 * ANN_SEC_MODEL as it is.  All of it comes from disk: `check` must look at whatever sizes and
 * numbers the other functions index by.
 *
 * SQ8 (sq8.c) predates this and keeps its own, faster way through walks and scans.
 */
#ifndef MILVUS_CODEC_H
#define MILVUS_CODEC_H

#include "index/index_internal.h"

/* Where rows are coded from. */
typedef struct AnnCodecInput
{
	const AnnParams *params;
	const void *raw;			/* n x dim elements, in input order */
	uint32_t	n;
	const float *centers;		/* ncenters x dim */
	uint32_t	ncenters;
	const uint32_t *center_of;	/* of each row; NULL: all have centre 0 */
	const float *origin;		/* dim floats, subtracted from rows; NULL: zero */
	int			nthreads;
	const AnnEnv *env;
} AnnCodecInput;

/*
 * Row `row` less origin and centre, normalised before under COSINE: dim floats.  False:
 * its length cannot be represented, no bound can be given.
 */
extern bool AnnCodecResidual(const AnnCodecInput *input, uint32_t row, float *out);

/* The codes of n rows. */
typedef struct AnnCodes
{
	const AnnParams *params;
	const struct AnnCodec *codec;
	const void *model;
	const uint8_t *codes;		/* 64-byte aligned */
	const Sq8Meta *meta;
	uint32_t	n;
} AnnCodes;

/* A query made ready: `memory` is the codec's, of query_bytes() bytes, 64-byte aligned. */
typedef struct AnnCodeQuery
{
	const AnnCodes *codes;
	const float *query;			/* dim floats, normalised under COSINE, less the origin */
	uint32_t	query_bits;		/* AnnSearchParams.rbq_query_bits */
	void	   *memory;
	/* |q|^2, and 0; of a codec that rounds the query to q^: |q^|^2 and |q - q^|, rounded up */
	float		norm2;
	float		error;
} AnnCodeQuery;

typedef struct AnnCodec
{
	const char *name;
	bool		rigorous;

	/*
	 * Rows of a block of codes: 1, or 32 where rows are interleaved.  Then
	 * code bytes are a multiple of a block's, rows given by number cost more than
	 * rows in sequence.
	 */
	uint32_t	block_rows;

	/* Bytes of the codes of n rows; 0 when the model does not fit the parameters. */
	uint64_t	(*code_bytes) (const AnnParams *params, const void *model, uint32_t n);
	/* Learn from a sample of the rows.  *model is allocated with env, 64-byte aligned. */
	AnnStatus	(*train) (const AnnCodecInput *input, void **model, uint64_t *bytes);
	/* Whether a model read from disk is one for these parameters. */
	bool		(*check) (const AnnParams *params, const void *model, uint64_t bytes);

	/*
	 * Code rows order[first] .. order[first + n - 1] of the input (order NULL: the same
	 * numbers) into rows first .. of codes and meta.  first is a multiple of block_rows;
	 * codes and meta point to row 0.  Threads call it for disjoint rows.
	 */
	void		(*encode) (const AnnCodecInput *input, const void *model, const uint32_t *order,
						   uint32_t first, uint32_t n, uint8_t *codes, Sq8Meta *meta,
						   float *scratch);	/* scratch: 4 x dim floats */
	/* decode(code) of a row: dim floats, relative to the centre */
	void		(*decode) (const AnnCodes *codes, uint32_t row, float *out);

	size_t		(*query_bytes) (const AnnParams *params, const void *model);
	void		(*prepare) (AnnCodeQuery *query);
	/* dot of rows given by number, or of first .. first + n - 1 (rows NULL) */
	void		(*dots) (const AnnCodeQuery *query, const uint32_t *rows, uint32_t first,
						 uint32_t n, float *out);
	/*
	 * Whether codes read from disk are in range.  NULL: any bytes are.  (Meta are checked
	 * by the frame: numbers, none negative, scales finite.)
	 */
	bool		(*check_codes) (const AnnCodes *codes);
	/*
	 * The share of error^2 by which estimates of the nearest rows are too high, of a codec
	 * whose norm2 is right on average over farther ones.  NULL: none.
	 */
	float		(*excess) (const AnnParams *params);
} AnnCodec;

/* codec_sq.c */
extern const AnnCodec AnnCodecSq8;	/* as others see it: refine codes, models without a walk of their own */
extern const AnnCodec AnnCodecSq6;
extern const AnnCodec AnnCodecSq4;
extern const AnnCodec AnnCodecF16;
extern const AnnCodec AnnCodecBf16;
/* codec_pq.c */
extern const AnnCodec AnnCodecPq;
extern const AnnCodec AnnCodecPq4;
/* codec_rabitq.c */
extern const AnnCodec AnnCodecRabitq;

/* codec.c: NULL for ANN_QUANT_NONE and ANN_QUANT_F32 */
extern const AnnCodec *AnnCodecOf(AnnQuantizer quantizer);

/*
 * The codec of a segment's codes; NULL where there are none, or those of SQ8, which have
 * their own way.
 */
extern const AnnCodec *AnnRowCodec(const AnnParams *params);
/* The codec that distances are refined with, NULL: none. */
extern const AnnCodec *AnnRefineCodec(const AnnParams *params);

/* ---- building: codec_store.c ---- */

/* Append MODEL, PACKED and REFINE, as far as the type has them, to *built. */
extern AnnStatus AnnCodeRows(const AnnParams *params, const void *raw, uint32_t n, int nthreads,
							 const AnnEnv *env, AnnBuilt *built);
/*
 * Append the ids and sizes of MODEL, REFINE, CODES and CODE_META of the query form.  False:
 * the durable sections are not what the parameters say.
 */
extern bool AnnCodeSections(const AnnParams *params, uint32_t n, const AnnSection *durable,
							int ndurable, AnnSection *expanded, int *count);
/* Write those of them that do not come from RAW. */
extern AnnStatus AnnCodeExpand(const AnnParams *params, uint32_t n, const AnnSection *durable,
							   int ndurable, AnnWriteSection write, void *write_ctx,
							   const AnnEnv *env);
/* Point a segment at them.  False: sizes do not fit. */
extern bool AnnCodeOpen(const AnnSection *sections, int nsections, AnnSegment *segment);

/* ---- a query against the codes of a segment: codec.c ---- */

typedef struct AnnCoded
{
	AnnCodes	codes;
	AnnCodeQuery query;
	AnnMetric	metric;
	float		base;			/* of rows whose centre is the origin */
	float		origin_dot;		/* q . (centre - origin) = q . centre - origin_dot */
	/* what lower bounds need besides */
	float		norm;			/* |q|, rounded up */
	float		origin_norm;	/* |origin|, rounded up */
	float		rounding;		/* relative error of sums of dim products */
	float		usual;			/* of codecs that are not rigorous: z / sqrt(dim), at most 1 */
	float		excess;
	bool		boundless;		/* outside the range that bounds are given for */
} AnnCoded;

/* Memory of AnnCodedBegin, for the codec's own: a multiple of 64 bytes. */
extern size_t AnnCodedBytes(const AnnCodes *codes);
/*
 * Make *coded (codes set) ready for a query: dim floats, of AnnCodedQuery.  memory
 * as AnnCodedBytes says, 64-byte aligned.  origin as when rows were coded.
 */
extern void AnnCodedBegin(AnnCoded *coded, const float *query, const float *origin,
						  bool bounded, uint32_t query_bits, void *memory);
/* A raw query as codecs see it, into dim floats.  False: no bound can be given for it. */
extern bool AnnCodedQuery(const AnnParams *params, const void *raw, const float *origin,
						  float *out);
/* What is added to the dots of rows with this centre. */
extern float AnnCodedBase(const AnnCoded *coded, const float *center);

/*
 * Estimates of rows given by number, or first .. first + n - 1 (rows NULL), that have one
 * centre: |x - q|^2 - |q|^2 under L2 and COSINE, -(x . q) under IP.  Never NaN.
 */
extern void AnnCodedEstimate(const AnnCoded *coded, const uint32_t *rows, uint32_t first,
							 uint32_t n, float base, float *out);
/*
 * From estimates to lower bounds of the exact distances, in place: bounds that always hold where the
 * codec is rigorous, that usually hold otherwise.
 */
extern void AnnCodedBounds(const AnnCoded *coded, const uint32_t *rows, uint32_t first,
						   uint32_t n, float *values);

#endif							/* MILVUS_CODEC_H */
