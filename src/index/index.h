/*
 * index.h
 *		The ANN algorithms: build, expand, open, search.  Plain C on memory.
 *
 * No PostgreSQL header is included here or below; memory, cancellation and
 * progress reach the code through AnnEnv.  Life of a segment's index:
 *
 *	  raw vectors --AnnBuild--> durable sections (small, packed; stored once,
 *		write-logged) --AnnExpand--> query form (sections that can be mapped
 *		read-only) --AnnOpen--> AnnSegment --AnnSearch*--> hits
 *
 * Rows are numbered 0..n-1 in segment order.  Distances are what ORDER BY
 * sorts: squared L2, negative inner product, 1 - cosine, L1, Hamming, Jaccard;
 * smaller is nearer.
 */
#ifndef MILVUS_INDEX_H
#define MILVUS_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum AnnMetric
{
	ANN_L2 = 1,
	ANN_IP = 2,
	ANN_COSINE = 3,
	ANN_L1 = 4,
	/* of bits */
	ANN_HAMMING = 5,
	ANN_JACCARD = 6,
	ANN_MHJACCARD = 7			/* share of equal elements of two MinHash signatures, from 1 */
} AnnMetric;

typedef enum AnnElem
{
	ANN_F32 = 1,
	ANN_F16 = 2,
	ANN_BF16 = 3,
	ANN_I8 = 4,
	ANN_BIT = 5					/* dim counts bits; the first one is the highest of its byte */
} AnnElem;

typedef enum AnnType
{
	ANN_FLAT = 1,				/* BIN_FLAT of bits */
	ANN_IVF_FLAT = 2,			/* BIN_IVF_FLAT of bits */
	ANN_HNSW = 3,
	ANN_IVF_SQ8 = 4,
	ANN_IVF_PQ = 5,
	ANN_IVF_RABITQ = 6,
	ANN_SCANN = 7,
	ANN_HNSW_SQ = 8,
	ANN_HNSW_PQ = 9,
	ANN_HNSW_PRQ = 10,
	ANN_MINHASH_LSH = 11
} AnnType;

/* How the rows of a type are found. */
typedef enum AnnStructure
{
	ANN_ALL_ROWS,
	ANN_LISTS,
	ANN_GRAPH,
	ANN_HASHES
} AnnStructure;

extern AnnStructure AnnTypeStructure(AnnType type);

/* What codes hold of a vector, and what is kept to refine a distance. */
typedef enum AnnQuantizer
{
	ANN_QUANT_NONE = 0,
	ANN_QUANT_SQ8 = 1,
	ANN_QUANT_SQ6 = 2,
	ANN_QUANT_SQ4 = 3,			/* Milvus's SQ4U */
	ANN_QUANT_F16 = 4,
	ANN_QUANT_BF16 = 5,
	ANN_QUANT_F32 = 6,			/* refine_type only: the raw vectors */
	ANN_QUANT_PQ = 7,			/* with nrq layers: PRQ */
	ANN_QUANT_PQ4 = 8,			/* 4-bit PQ in blocks of 32 rows */
	ANN_QUANT_RABITQ = 9
} AnnQuantizer;

typedef enum AnnStatus
{
	ANN_OK = 0,
	ANN_NO_MEMORY,
	ANN_CANCELLED,
	ANN_IO,						/* a read or write callback failed */
	ANN_CORRUPT					/* section sizes, offsets or row numbers make no sense */
} AnnStatus;

/* Ranges (Milvus's) and defaults of build parameters. */
#define ANN_MIN_M 2
#define ANN_MAX_M 2048
#define ANN_DEFAULT_M 30
#define ANN_MIN_EF_CONSTRUCTION 8
#define ANN_MAX_EF_CONSTRUCTION 65536
#define ANN_DEFAULT_EF_CONSTRUCTION 360
#define ANN_MIN_NLIST 1
#define ANN_MAX_NLIST 65536
#define ANN_DEFAULT_NLIST 128
#define ANN_MAX_DIM 32768
#define ANN_MAX_ROWS 0x7fffffff	/* of one segment */
#define ANN_MAX_BITS 262144		/* dim of ANN_BIT */
#define ANN_MIN_PQ_NBITS 1
#define ANN_MAX_PQ_NBITS 24
#define ANN_DEFAULT_PQ_NBITS 8
#define ANN_MIN_NRQ 1
#define ANN_MAX_NRQ 16
#define ANN_DEFAULT_NRQ 2
#define ANN_MAX_RBQ_QUERY_BITS 8
#define ANN_MIN_MH_BAND 1
#define ANN_MAX_MH_BAND 32768	/* as many as there are elements of 8 bits */
#define ANN_DEFAULT_MH_BAND 8
#define ANN_DEFAULT_MH_ELEMENT_BITS 32

typedef struct AnnParams
{
	AnnType		type;
	AnnMetric	metric;
	AnnElem		elem;
	uint32_t	dim;
	uint32_t	m;				/* HNSW: links a node on upper layers, 2m on layer 0 */
	uint32_t	ef_construction;	/* HNSW */
	uint32_t	nlist;			/* IVF; capped by the builder when rows are few */
	uint64_t	seed;
	AnnQuantizer sq_type;		/* HNSW_SQ */
	uint32_t	pq_m;			/* subspaces, divides dim; 0: the type's own choice */
	uint32_t	pq_nbits;		/* bits a subspace; capped by the builder when rows are few */
	uint32_t	nrq;			/* HNSW_PRQ: codebooks a subspace */
	AnnQuantizer refine_type;	/* ANN_QUANT_NONE: nothing is kept to refine with */
	uint32_t	mh_band;		/* MINHASH_LSH: bands, at most as many as elements */
	uint32_t	mh_element_bits;	/* MINHASH_LSH, MHJACCARD: 8, 16, 32 or 64; divides dim */

	/*
	 * No raw vectors in the query form nor in the durable one: the exact distance of
	 * a row comes from AnnSearchParams.exact.  Quantized types imply it unless
	 * refine_type is ANN_QUANT_F32.
	 */
	bool		compact;
} AnnParams;

/* Whether a segment of these parameters has ANN_SEC_RAW. */
extern bool AnnKeepsRaw(const AnnParams *params);
/* The codes that walks and lists are read by. */
extern AnnQuantizer AnnCodesOf(const AnnParams *params);

/*
 * What the code asks of its surroundings.  Every callback is called by the
 * thread that called the Ann* function, never by a worker thread; none may jump
 * out (longjmp) of it.  alloc returns memory aligned to 64 bytes or NULL.
 */
typedef struct AnnEnv
{
	void	   *ctx;
	void	   *(*alloc) (void *ctx, size_t bytes);
	void		(*free) (void *ctx, void *p);
	bool		(*cancelled) (void *ctx);	/* may be NULL */
	void		(*progress) (void *ctx, uint64_t done, uint64_t total);	/* may be NULL */
} AnnEnv;

/* malloc-backed environment for tests and benchmarks */
extern const AnnEnv AnnMallocEnv;

/*
 * Sections.  A segment is a set of byte arrays named by id.  D: durable, Q: in
 * the query form.  The caller stores ids it does not know as they are.
 */
typedef enum AnnSectionId
{
	ANN_SEC_RAW = 1,			/* D Q  n x dim elements, row-major, no padding */
	ANN_SEC_MEAN = 2,			/* D Q  dim float32: what codes are relative to */
	ANN_SEC_CENTROIDS = 3,		/* D Q  IVF: nlist x dim float32; of bits, rows of bits as in RAW */
	ANN_SEC_LISTS = 4,			/* D Q  IVF: nlist + 1 uint32, first row of each list */
	ANN_SEC_GRAPH = 5,			/* D    HNSW: header, bit-packed links */
	ANN_SEC_MODEL = 6,			/* D Q  what a quantizer learnt: codebooks, a rotation (codec.h) */
	ANN_SEC_REFINE = 7,			/* D Q  n x refine stride bytes, then n x Sq8Meta */
	ANN_SEC_HASHES = 8,			/* D Q  MINHASH_LSH: bands of rows sorted by hash (minhash.c) */
	ANN_SEC_PACKED = 9,			/* D    n x Sq8Meta, then codes: those that do not come from RAW */
	ANN_SEC_CODES = 16,			/*   Q  n x code stride bytes (sq8.h) */
	ANN_SEC_CODE_META = 17,		/*   Q  n x Sq8Meta */
	ANN_SEC_LINKS = 18,			/*   Q  HNSW: layer 0, a row of uint32 a node (hnsw.h) */
	ANN_SEC_UPPER = 19			/*   Q  HNSW: header, upper layers, rows equal to a node */
} AnnSectionId;

#define ANN_NO_ROW 0xffffffffu
#define ANN_MAX_SECTIONS 12

typedef struct AnnSection
{
	uint32_t	id;
	uint64_t	bytes;
	const void *data;			/* 64-byte aligned; NULL where only the size is meant */
} AnnSection;

/* ---- build ---- */

typedef struct AnnBuilt
{
	/*
	 * Row i of the segment is row order[i] of the input (NULL: the same order);
	 * the caller writes RAW and its own per-row data in this order.
	 */
	uint32_t   *order;
	AnnSection	sections[ANN_MAX_SECTIONS]; /* durable ones except RAW */
	int			nsections;
	void	   *owned;			/* private: what AnnBuiltFree releases */
} AnnBuilt;

/*
 * Build the durable sections over n rows at `raw` (n x dim elements).  Rows of
 * zero length under COSINE must not be given.  Memory besides raw, HNSW: a row
 * takes dim + 24 m + 40 bytes or so, and a thread 4 bytes a row; IVF_FLAT: up to
 * 256 MB for the sample.  Runs on nthreads threads
 * including the caller; the others block all signals and call no callback.
 */
extern AnnStatus AnnBuild(const AnnParams *params, const void *raw, uint32_t n,
						  int nthreads, const AnnEnv *env, AnnBuilt *built);
extern void AnnBuiltFree(AnnBuilt *built, const AnnEnv *env);

/* ---- durable form to query form ---- */

/* Read `bytes` of RAW at byte offset `offset` into dst; false on failure. */
typedef bool (*AnnReadRaw) (void *ctx, uint64_t offset, size_t bytes, void *dst);
/* Write `bytes` of section `id` at `offset`; false on failure. */
typedef bool (*AnnWriteSection) (void *ctx, uint32_t id, uint64_t offset,
								 const void *data, size_t bytes);

/*
 * Ids and sizes of the query form's sections (data NULL) for n rows and the
 * given durable sections (RAW left out).  Returns their number or -1 when the
 * durable sections are not what the parameters say.
 */
extern int	AnnExpandedSections(const AnnParams *params, uint32_t n,
								const AnnSection *durable, int ndurable,
								AnnSection *expanded);

/*
 * Compute and write every section of the query form, RAW included, with bounded
 * memory (a few MB).  Deterministic.  Verifies all row numbers in links, so that
 * an opened segment can be walked without checks.
 */
extern AnnStatus AnnExpand(const AnnParams *params, uint32_t n,
						   const AnnSection *durable, int ndurable,
						   AnnReadRaw read_raw, void *read_ctx,
						   AnnWriteSection write, void *write_ctx,
						   const AnnEnv *env);

/* ---- open and search ---- */

typedef struct Sq8Meta Sq8Meta;	/* sq8.h */

typedef struct AnnSegment
{
	AnnParams	params;
	uint32_t	n;
	const void *raw;
	const float *mean;
	const uint8_t *codes;
	size_t		code_stride;	/* of SQ8 */
	const Sq8Meta *code_meta;
	const struct AnnCodec *codec;	/* of codes other than SQ8 (codec.h) */
	const void *model;
	const struct AnnCodec *refine_codec;	/* NULL: nothing to refine with */
	const uint8_t *refine_codes;
	const Sq8Meta *refine_meta;
	const float *centroids;		/* of bits: rows of bits */
	const uint32_t *lists;
	uint32_t	nlist;
	const uint32_t *links;		/* layer 0 */
	const void *upper;
	const void *hashes;			/* minhash.c */
} AnnSegment;

/* Point a segment at its query form; checks sizes.  Allocates nothing. */
extern AnnStatus AnnOpen(const AnnParams *params, uint32_t n,
						 const AnnSection *sections, int nsections,
						 AnnSegment *segment);

/*
 * The vector of a row as far as the segment has it, into out (one raw row): itself, or what its finest codes
 * decode to, normalised under COSINE.  False: the segment has neither.
 */
extern bool AnnDecodeRow(const AnnSegment *segment, uint32_t row, void *out);

typedef struct AnnHit
{
	float		distance;		/* exact, from the raw vectors */
	uint32_t	row;
} AnnHit;

/*
 * The exact distance of a row, as AnnDistance computes it, or NaN to leave the row
 * out.  Called once for a row, and only for rows that an answer may need.
 */
typedef float (*AnnExactDistance) (void *ctx, uint32_t row);

typedef struct AnnSearchParams
{
	uint32_t	ef;				/* HNSW: length of the candidate list, >= 1 */
	uint32_t	nprobe;			/* IVF: lists looked at first, >= 1 */
	uint32_t	max_probes;		/* IVF: lists looked at in all, at least nprobe; 0: no bound */
	uint32_t	rbq_query_bits; /* IVF_RABITQ: bits of the query, 0: not quantized */

	/*
	 * How many rows are compared exactly for an answer of `max` rows, where codes
	 * give no bound that always holds: refine_k * max or reorder_k, the larger; both 0: as
	 * many as the codes' usual error makes necessary.
	 */
	float		refine_k;
	uint32_t	reorder_k;

	/* Where the segment has no raw vectors: their distances.  Else not called. */
	AnnExactDistance exact;
	void	   *exact_ctx;

	/*
	 * The only rows to return, ascending (excluded ones among them are left out):
	 * they are compared one by one, nothing is walked.  NULL: all rows.
	 */
	const uint32_t *rows;
	uint32_t	nrows;

	/*
	 * Rows not to return, one bit a row, or NULL.  They are walked through but
	 * take no place in the candidate list.
	 */
	const uint64_t *excluded;
} AnnSearchParams;

typedef struct AnnSearchStats
{
	uint64_t	code_distances; /* compared by code */
	uint64_t	refine_distances;	/* compared again by the codes of ANN_SEC_REFINE */
	uint64_t	exact_distances;	/* compared by raw vector */
	uint64_t	hops;			/* graph nodes or lists expanded */
	uint64_t	excluded;		/* rows met and left out by the mask */
	uint32_t	batches;		/* times the search was continued */
	bool		exhaustive;		/* went over to all remaining rows */
} AnnSearchStats;

/*
 * Scratch memory kept between searches (visited marks, heaps).  One search uses
 * it at a time; searches open at the same time take one each.
 */
typedef struct AnnScratch AnnScratch;
extern AnnScratch *AnnScratchCreate(const AnnEnv *env);	/* NULL: no memory */
extern void AnnScratchFree(AnnScratch *scratch);

typedef struct AnnSearch AnnSearch;

/*
 * Start a search for the `dim` elements at query (of the segment's element
 * type, finite, not of zero length under COSINE).  The query is copied; segment,
 * mask and scratch must outlive the search.  NULL: no memory.
 */
extern AnnSearch *AnnSearchBegin(const AnnSegment *segment, const void *query,
								 const AnnSearchParams *params,
								 AnnScratch *scratch, const AnnEnv *env);

/*
 * Up to how many rows AnnSearchParams.rows costs no more than a mask that lets them
 * through, `share` of all rows being let through.
 */
extern double AnnRowsLimit(const AnnSegment *segment, uint32_t ef, uint32_t nprobe, double share);

/*
 * The next hits, at most max, nearest first within the answer.  Only as many rows
 * are compared exactly as the answer needs, so ask for what is wanted, not for ef
 * at once.  The first batch of HNSW is its ef candidates; later ones continue the
 * walk, then go over to all remaining rows.  *nhits = 0 when every row that is not excluded was
 * returned, each exactly once.  A later answer may hold a hit nearer than one
 * returned before (the caller drops or keeps it).
 */
extern AnnStatus AnnSearchNext(AnnSearch *search, AnnHit *hits, int max, int *nhits);
extern const AnnSearchStats *AnnSearchGetStats(const AnnSearch *search);
extern void AnnSearchEnd(AnnSearch *search);

/* ---- exact scan by lower bounds (FLAT, IVF lists, growing rows) ---- */

typedef struct AnnScan AnnScan;

/*
 * A scan that is exact although it reads codes first: rows are ranked by a lower
 * bound of their distance (sq8.h), compared exactly in that order, and returned
 * once no other row can be nearer.  mean is what the codes are relative to.
 */
extern AnnScan *AnnScanBegin(const AnnParams *params, const void *query, const float *mean,
							 AnnExactDistance exact, void *exact_ctx, const AnnEnv *env);
/*
 * Add n rows numbered first_row.. by their codes; bits of excluded are numbered
 * like the rows.  Neither codes nor meta are looked at after this returns.
 */
extern AnnStatus AnnScanAddCodes(AnnScan *scan, const uint8_t *codes, size_t code_stride,
								 const Sq8Meta *meta, uint32_t first_row, uint32_t n,
								 const uint64_t *excluded);
/* Add n rows by their raw vectors (metrics without codes: L1, those of bits). */
extern AnnStatus AnnScanAddRaw(AnnScan *scan, const void *raw, uint32_t first_row,
							   uint32_t n, const uint64_t *excluded);
/* As AnnSearchNext; more rows may be added between calls. */
extern AnnStatus AnnScanNext(AnnScan *scan, AnnHit *hits, int max, int *nhits);
extern const AnnSearchStats *AnnScanGetStats(const AnnScan *scan);
extern void AnnScanEnd(AnnScan *scan);

/* ---- effort by recall (calibrate.c) ---- */

#define ANN_EFFORTS 14

/* Recall of the 10 nearest rows at each of the type's efforts, of 65535; all 0: not known. */
typedef struct AnnCalibration
{
	uint16_t	recall[ANN_EFFORTS];
} AnnCalibration;

/* ef (graphs) or nprobe (lists) of each step; NULL: the type has no effort. */
extern const uint32_t *AnnEfforts(AnnType type);
/* Read the vector of a row into dst; false: the row is gone. */
typedef bool (*AnnReadVector) (void *ctx, uint32_t row, void *dst);
/*
 * Measure an opened segment with up to 100 queries made from its rows.  read is only called where
 * the segment has no raw vectors.  A segment of few rows stays unknown.
 */
extern AnnStatus AnnCalibrate(const AnnSegment *segment, AnnReadVector read, void *read_ctx,
							  const AnnEnv *env, AnnCalibration *calibration);
/* The smallest effort that reached `target` (0..1); ANN_MAX_ROWS: none is known to. */
extern uint32_t AnnEffortFor(AnnType type, const AnnCalibration *calibration, double target);

/* ---- exact distance and checks ---- */

/* The distance that ORDER BY sorts by, from two raw vectors. */
extern float AnnDistance(const AnnParams *params, const void *a, const void *b);

/*
 * Graph and list invariants of an opened segment: links in range, no self
 * links, every row reachable from the entry point.  Writes a message of at most
 * len bytes and returns false at the first fault.
 */
extern bool AnnCheck(const AnnSegment *segment, const AnnEnv *env, char *message, size_t len);

/* "HNSW", "IVF_FLAT", "FLAT", …; "L2", "IP", "COSINE", "L1", … */
extern const char *AnnTypeName(AnnType type);
/* The same with Milvus's names for bits: "BIN_FLAT", "BIN_IVF_FLAT". */
extern const char *AnnTypeNameOf(AnnType type, AnnElem elem);
extern const char *AnnMetricName(AnnMetric metric);

#endif							/* MILVUS_INDEX_H */
