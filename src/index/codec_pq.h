/*
 * codec_pq.h
 *		What the files of the product quantizers share: the model and the choice of
 *		centres.  See quantizers.md.
 *
 * The dimensions are cut into m subspaces of dsub each; where the codec chose m itself the
 * last one may reach past dim, into zeros.  Each subspace has `layers` tables of 2^nbits
 * centres, and a vector is approximated, in each subspace, by the sum of one centre a layer.
 *
 * A table is chosen from by h(x, c) = |c|^2 / 2 - x.c, which is half of |x - c|^2 less a
 * part that is the same for all centres.
 */
#ifndef MILVUS_CODEC_PQ_H
#define MILVUS_CODEC_PQ_H

#include "index/codec.h"

#define PQ_MAGIC 0x31305150u /* "PQ01" */

/* Tables of more bits hold their centres one after the other, and get no table of products a query.
 */
#define PQ_NARROW_BITS 10

/* A narrow table is padded up to so many centres: they are compared side by side. */
#define PQ_MIN_WIDTH 16

/* Rows that are coded together, at most, and floats of them. */
#define PQ_TILE 32
#define PQ_TILE_FLOATS ANN_MAX_DIM

/* Codings of a subspace that are followed from layer to layer (a beam). */
#define PQ_BEAM 5

typedef struct PqModel
{
	uint32_t	magic;
	uint32_t	dim;
	uint32_t	m;
	uint32_t	dsub;
	uint32_t	nbits;			/* in effect: at most what was asked for */
	uint32_t	layers;
	uint32_t	reserved[10];

	/*
	 * m x layers tables (subspace j's layer l is number j * layers + l): `width` numbers
	 * |c|^2 / 2, then the centres: dsub x width of a narrow table (element d of centre c at
	 * d * width + c), 2^nbits x dsub of a wide one.
	 */
	float		tables[];
} PqModel;

static inline bool
PqWide(const PqModel *model)
{
	return model->nbits > PQ_NARROW_BITS;
}

static inline uint32_t
PqWidth(const PqModel *model)
{
	return AnnMax(1u << model->nbits, PQ_MIN_WIDTH);
}

static inline size_t
PqTableFloats(const PqModel *model)
{
	return (size_t) PqWidth(model) * (model->dsub + 1);
}

static inline uint64_t
PqModelBytes(const PqModel *model)
{
	return sizeof(PqModel) +
		   (uint64_t) model->m * model->layers * PqTableFloats(model) * sizeof(float);
}

/* A table: its numbers |c|^2 / 2; the centres follow after PqWidth() floats. */
static inline const float *
PqTable(const PqModel *model, uint32_t subspace, uint32_t layer)
{
	return model->tables + ((size_t) subspace * model->layers + layer) * PqTableFloats(model);
}

/* Where the first element of a centre is, and how far apart its elements are. */
static inline const float *
PqCentre(const PqModel *model, const float *table, uint32_t centre)
{
	return table + PqWidth(model) + (PqWide(model) ? (size_t) centre * model->dsub : centre);
}

static inline size_t
PqCentreStep(const PqModel *model)
{
	return PqWide(model) ? 1 : PqWidth(model);
}

/* Dimensions with the zeros that the last subspace may reach into. */
static inline uint32_t
PqPadded(const PqModel *model)
{
	return model->m * model->dsub;
}

/* ---- codec_pq_choose.c ---- */

/*
 * The centre of one table nearest to each of n rows (n x dsub).  halves may be NULL; else
 * h(row, centre) of each.
 */
extern void PqNearest(const PqModel *model, const float *table, const float *rows, uint32_t n,
					  uint32_t *nearest, float *halves);

/*
 * The centres whose sum is near each of n rows of a subspace, of its first `layers` layers:
 * n x layers numbers into picks; what is left of the rows into rest (n x dsub, may be NULL or
 * rows itself).
 */
extern void PqChoose(const PqModel *model, uint32_t subspace, uint32_t layers, const float *rows,
					 uint32_t n, uint32_t *picks, float *rest);

/* ---- codec_pq_train.c ---- */

/*
 * m and dsub of the parameters into *model, where pq_m = 0 asks for subspaces of `dsub`
 * dimensions.  False when pq_m does not divide dim.
 */
extern bool PqShape(const AnnParams *params, uint32_t dsub, PqModel *model);

/*
 * Learn a model of the shape given (m, dsub, layers, and nbits: at most so many, or just as
 * many where `exact`).  As AnnCodec.train.
 */
extern AnnStatus PqTrain(const AnnCodecInput *input, const PqModel *shape, bool exact, void **model,
						 uint64_t *bytes);

/*
 * Residuals of n rows order[first] .. (order NULL: first ..), each padded to PqPadded();
 * bounded as AnnCodecResidual says.
 */
extern void PqLoad(const AnnCodecInput *input, const PqModel *model, const uint32_t *order,
				   uint32_t first, uint32_t n, float *rows, bool *bounded);

/* ---- codec_pq.c ---- */

/* The share of a squared error that norm2 includes (AnnCodec.excess). */
extern float PqExcess(const AnnParams *params);
/* Fill in a row's meta: decoded (dim floats) stands for residual, relative to the row's centre. */
extern void PqMeta(const AnnCodecInput *input, uint32_t row, bool bounded, const float *residual,
				   const float *decoded, Sq8Meta *meta);

#endif /* MILVUS_CODEC_PQ_H */
