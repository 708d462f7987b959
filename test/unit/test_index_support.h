/*
 * test_index_support.h
 *		What the tests of src/index share: data, a built and opened segment, answers
 *		by brute force.
 */
#ifndef MILVUS_TEST_INDEX_SUPPORT_H
#define MILVUS_TEST_INDEX_SUPPORT_H

#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "index/index.h"
#include "index/index_internal.h"
#include "index/sq8.h"
#include "kernels/kernels.h"

#define METRICS 4
#define ELEMS 4

/* Every metric with every element type: index 0 .. METRICS * ELEMS - 1. */
#define ALL_KINDS (METRICS * ELEMS)

static inline AnnParams
kind_params(int kind, AnnType type, uint32_t dim)
{
	AnnParams	params = {
		.type = type,
		.metric = (AnnMetric) (ANN_L2 + kind % METRICS),
		.elem = (AnnElem) (ANN_F32 + kind / METRICS),
		.dim = dim, .m = 12, .ef_construction = 100, .nlist = 16, .seed = 7,
	};

	return params;
}

/* Ways to store codes: a type with what belongs to it. */
typedef struct Variant
{
	AnnType		type;
	bool		compact;
	AnnQuantizer sq_type;
	AnnQuantizer refine_type;
	uint32_t	pq_nbits;
} Variant;

static const Variant variants[] = {
	{ANN_FLAT, true, 0, 0},
	{ANN_IVF_FLAT, true, 0, 0},
	{ANN_HNSW, true, 0, 0},
	{ANN_IVF_SQ8, false, 0, 0},
	{ANN_IVF_SQ8, false, 0, ANN_QUANT_F32},
	{ANN_IVF_SQ8, false, 0, ANN_QUANT_BF16},
	{ANN_HNSW_SQ, false, ANN_QUANT_SQ8, 0},
	{ANN_HNSW_SQ, false, ANN_QUANT_SQ8, ANN_QUANT_F16},
	{ANN_HNSW_SQ, false, ANN_QUANT_SQ6, 0},
	{ANN_HNSW_SQ, false, ANN_QUANT_SQ6, ANN_QUANT_SQ8},
	{ANN_HNSW_SQ, false, ANN_QUANT_SQ4, 0},
	{ANN_HNSW_SQ, false, ANN_QUANT_SQ4, ANN_QUANT_SQ6},
	{ANN_HNSW_SQ, false, ANN_QUANT_SQ4, ANN_QUANT_F16},
	{ANN_HNSW_SQ, false, ANN_QUANT_SQ4, ANN_QUANT_F32},
	{ANN_HNSW_SQ, false, ANN_QUANT_F16, 0},
	{ANN_HNSW_SQ, false, ANN_QUANT_BF16, 0},
	{ANN_IVF_PQ, false, 0, 0, 8},
	{ANN_IVF_PQ, false, 0, ANN_QUANT_SQ8, 5},
	{ANN_IVF_PQ, false, 0, ANN_QUANT_F32, 4},
	{ANN_IVF_RABITQ, false, 0, 0},
	{ANN_IVF_RABITQ, false, 0, ANN_QUANT_SQ6},
	{ANN_SCANN, false, 0, ANN_QUANT_F32, 4},
	{ANN_SCANN, false, 0, 0, 4},
	{ANN_HNSW_PQ, false, 0, 0, 8},
	{ANN_HNSW_PQ, false, 0, ANN_QUANT_F16, 6},
	{ANN_HNSW_PRQ, false, 0, 0, 6},
};

#define VARIANTS ((int) (sizeof(variants) / sizeof(*variants)))

static inline AnnParams
variant_params(int variant, AnnMetric metric, AnnElem elem, uint32_t dim)
{
	AnnParams	params = kind_params(0, variants[variant].type, dim);

	params.metric = metric;
	params.elem = elem;
	params.compact = variants[variant].compact;
	params.sq_type = variants[variant].sq_type;
	params.refine_type = variants[variant].refine_type;
	params.pq_nbits = variants[variant].pq_nbits;
	params.nrq = 2;
	return params;
}

/* ---- data ---- */

/* A number from about a normal distribution. */
static inline float
random_normal(CheckRandom *r)
{
	double		sum = 0;

	for (int i = 0; i < 6; i++)
		sum += CheckRandomDouble(r, -1, 1);
	return (float) (sum / 1.4142135);
}

/* Store a float as element i. */
static inline void
put_element(const AnnParams *params, void *raw, size_t i, float value)
{
	switch (params->elem)
	{
		case ANN_F32:
			((float *) raw)[i] = value;
			break;
		case ANN_F16:
			kernels->f32_to_f16(&value, (uint16_t *) raw + i, 1);
			break;
		case ANN_BF16:
			kernels->f32_to_bf16(&value, (uint16_t *) raw + i, 1);
			break;
		case ANN_I8:
			/* in steps of a twentieth */
			((int8_t *) raw)[i] = (int8_t) roundf(fmaxf(fminf(value * 20, 127), -128));
			break;
		case ANN_BIT:
			break;
	}
}

static inline void *
allocate(size_t bytes)
{
	void	   *p = aligned_alloc(64, (bytes + 127) / 64 * 64);

	if (p == NULL)
		abort();
	return p;
}

/* n rows around `clusters` centres, off the origin, spread in a few directions each. */
static inline void *
clustered_rows(const AnnParams *params, uint32_t n, uint32_t clusters, uint64_t seed)
{
	CheckRandom r = {0x1234567890abcdefu};
	uint32_t	dim = params->dim;
	float	   *centres = allocate(sizeof(float) * clusters * dim * 5);
	void	   *raw = allocate(AnnRowBytes(params) * n);

	for (size_t i = 0; i < (size_t) clusters * dim * 5; i++)
		centres[i] = random_normal(&r);
	r.state = seed * 0x9e3779b97f4a7c15u + 1;
	for (uint32_t row = 0; row < n; row++)
	{
		const float *c = centres + CheckRandomBits(&r) % clusters * dim * 5;
		float		along[4];

		for (int a = 0; a < 4; a++)
			along[a] = random_normal(&r) * 0.5f;
		for (uint32_t d = 0; d < dim; d++)
		{
			float		x = 0.5f + c[d] + 0.1f * random_normal(&r);

			for (int a = 0; a < 4; a++)
				x += along[a] * c[(a + 1) * dim + d];
			put_element(params, raw, (size_t) row * dim + d, x);
		}
		/* rounding may leave nothing, and rows of zero length have no cosine */
		if (params->elem == ANN_I8)
			((int8_t *) raw)[(size_t) row * dim] |= 1;
	}
	free(centres);
	return raw;
}

/* ---- a segment ---- */

typedef struct Store
{
	AnnParams	params;
	uint32_t	n;
	const void *raw;			/* in input order */
	AnnBuilt	built;
	AnnSection	sections[ANN_MAX_SECTIONS];
	int			nsections;
	AnnSegment	segment;
	uint64_t	written[32];	/* bytes of each section id */
} Store;

static inline uint32_t
store_input(const Store *store, uint32_t row)
{
	return store->built.order != NULL ? store->built.order[row] : row;
}

static inline bool
store_read(void *ctx, uint64_t offset, size_t bytes, void *dst)
{
	Store	   *store = ctx;
	size_t		row_bytes = AnnRowBytes(&store->params);

	for (size_t at = 0; at < bytes; at += row_bytes)
		memcpy((char *) dst + at,
			   AnnRow(&store->params, store->raw,
					  store_input(store, (uint32_t) ((offset + at) / row_bytes))), row_bytes);
	return true;
}

static inline bool
store_write(void *ctx, uint32_t id, uint64_t offset, const void *data, size_t bytes)
{
	Store	   *store = ctx;

	for (int i = 0; i < store->nsections; i++)
	{
		if (store->sections[i].id == id)
		{
			if (offset + bytes > store->sections[i].bytes)
				return false;
			memcpy((char *) store->sections[i].data + offset, data, bytes);
			store->written[id] += bytes;
			return true;
		}
	}
	return false;
}

static inline void
store_free_sections(Store *store)
{
	for (int i = 0; i < store->nsections; i++)
		free((void *) store->sections[i].data);
	store->nsections = 0;
}

/* The distance of a row of a segment from a query, as the table's own column gives it. */
typedef struct Exact
{
	const Store *store;
	const void *query;
	uint64_t	calls;
} Exact;

static inline float
exact_from_store(void *ctx, uint32_t row)
{
	Exact	   *exact = ctx;
	const Store *store = exact->store;

	exact->calls++;
	return AnnDistance(&store->params,
					   AnnRow(&store->params, store->raw, store_input(store, row)),
					   exact->query);
}

/* Expand the durable sections given and open the result. */
static inline AnnStatus
store_expand(Store *store, const AnnSection *durable, int ndurable)
{
	AnnStatus	status;

	store->nsections = AnnExpandedSections(&store->params, store->n, durable, ndurable,
										   store->sections);
	if (store->nsections < 0)
	{
		store->nsections = 0;
		return ANN_CORRUPT;
	}
	memset(store->written, 0, sizeof(store->written));
	for (int i = 0; i < store->nsections; i++)
		store->sections[i].data = allocate(store->sections[i].bytes);
	status = AnnExpand(&store->params, store->n, durable, ndurable, store_read, store,
					   store_write, store, &AnnMallocEnv);
	if (status != ANN_OK)
		return status;
	return AnnOpen(&store->params, store->n, store->sections, store->nsections,
				   &store->segment);
}

static inline AnnStatus
store_make(Store *store, const AnnParams *params, const void *raw, uint32_t n, int nthreads)
{
	AnnStatus	status;

	memset(store, 0, sizeof(*store));
	store->params = *params;
	store->n = n;
	store->raw = raw;
	status = AnnBuild(params, raw, n, nthreads, &AnnMallocEnv, &store->built);
	if (status != ANN_OK)
		return status;
	return store_expand(store, store->built.sections, store->built.nsections);
}

static inline void
store_free(Store *store)
{
	store_free_sections(store);
	AnnBuiltFree(&store->built, &AnnMallocEnv);
}

/* Whether order is a permutation of the n input rows. */
static inline bool
store_order_valid(const Store *store)
{
	uint8_t    *seen = calloc(store->n + 1, 1);
	bool		valid = true;

	for (uint32_t i = 0; i < store->n; i++)
	{
		uint32_t	row = store_input(store, i);

		valid = valid && row < store->n && !seen[row];
		if (valid)
			seen[row] = 1;
	}
	free(seen);
	return valid;
}

/* ---- exact answers ---- */

static inline int
compare_hits(const void *a, const void *b)
{
	const AnnHit *x = a;
	const AnnHit *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

/* All rows of raw by distance, ties by row; n hits. */
static inline AnnHit *
brute_force(const AnnParams *params, const void *raw, uint32_t n, const void *query)
{
	AnnHit	   *hits = allocate(sizeof(AnnHit) * n);

	for (uint32_t i = 0; i < n; i++)
	{
		hits[i].row = i;
		hits[i].distance = AnnDistance(params, AnnRow(params, raw, i), query);
	}
	qsort(hits, n, sizeof(AnnHit), compare_hits);
	return hits;
}

/* Up to k hits of a search. */
static inline int
take(AnnSearch *search, AnnHit *hits, int k)
{
	int			n = 0;

	while (n < k)
	{
		int			got;

		if (AnnSearchNext(search, hits + n, k - n, &got) != ANN_OK)
			return -1;
		if (got == 0)
			break;
		n += got;
	}
	return n;
}

/*
 * Share of the exact k nearest that a search finds, over all queries; a hit as
 * near as the k-th counts.
 */
static inline double
recall(const Store *store, const void *queries, int nqueries, int k,
	   const AnnSearchParams *search_params)
{
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	AnnHit	   *hits = allocate(sizeof(AnnHit) * k);
	int			right = 0;

	for (int q = 0; q < nqueries; q++)
	{
		const void *query = AnnRow(&store->params, queries, q);
		AnnHit	   *truth = brute_force(&store->params, store->raw, store->n, query);
		Exact		exact = {store, query, 0};
		AnnSearchParams params = *search_params;
		AnnSearch  *search;
		int			n;

		params.exact = exact_from_store;
		params.exact_ctx = &exact;
		search = AnnSearchBegin(&store->segment, query, &params, scratch, &AnnMallocEnv);
		n = take(search, hits, k);
		for (int i = 0; i < n; i++)
			right += hits[i].distance <= truth[k - 1].distance;
		AnnSearchEnd(search);
		free(truth);
	}
	free(hits);
	AnnScratchFree(scratch);
	return (double) right / nqueries / k;
}

#endif							/* MILVUS_TEST_INDEX_SUPPORT_H */
