/*
 * index.c
 *		Entry points that are the same for all index types: build, open, exact
 *		distance, names, and the malloc environment.
 */
#include "index/codec.h"
#include "index/hnsw.h"

#include <math.h>
#include <stdlib.h>

/* ---- names ---- */

const char *
AnnTypeName(AnnType type)
{
	switch (type)
	{
		case ANN_FLAT:
			return "FLAT";
		case ANN_IVF_FLAT:
			return "IVF_FLAT";
		case ANN_HNSW:
			return "HNSW";
		case ANN_IVF_SQ8:
			return "IVF_SQ8";
		case ANN_IVF_PQ:
			return "IVF_PQ";
		case ANN_IVF_RABITQ:
			return "IVF_RABITQ";
		case ANN_SCANN:
			return "SCANN";
		case ANN_HNSW_SQ:
			return "HNSW_SQ";
		case ANN_HNSW_PQ:
			return "HNSW_PQ";
		case ANN_HNSW_PRQ:
			return "HNSW_PRQ";
		case ANN_MINHASH_LSH:
			return "MINHASH_LSH";
	}
	return "unknown";
}

/* See index.h. */
const char *
AnnTypeNameOf(AnnType type, AnnElem elem)
{
	if (elem == ANN_BIT && type == ANN_FLAT)
		return "BIN_FLAT";
	if (elem == ANN_BIT && type == ANN_IVF_FLAT)
		return "BIN_IVF_FLAT";
	return AnnTypeName(type);
}

AnnStructure
AnnTypeStructure(AnnType type)
{
	switch (type)
	{
		case ANN_FLAT:
			return ANN_ALL_ROWS;
		case ANN_IVF_FLAT:
		case ANN_IVF_SQ8:
		case ANN_IVF_PQ:
		case ANN_IVF_RABITQ:
		case ANN_SCANN:
			return ANN_LISTS;
		case ANN_HNSW:
		case ANN_HNSW_SQ:
		case ANN_HNSW_PQ:
		case ANN_HNSW_PRQ:
			return ANN_GRAPH;
		case ANN_MINHASH_LSH:
			return ANN_HASHES;
	}
	return ANN_ALL_ROWS;
}

/* See index.h. */
AnnQuantizer
AnnCodesOf(const AnnParams *params)
{
	switch (params->type)
	{
		case ANN_FLAT:
		case ANN_IVF_FLAT:
		case ANN_HNSW:
			return Sq8Supports(params->metric) ? ANN_QUANT_SQ8 : ANN_QUANT_NONE;
		case ANN_IVF_SQ8:
			return ANN_QUANT_SQ8;
		case ANN_HNSW_SQ:
			return params->sq_type;
		case ANN_IVF_PQ:
			return params->pq_nbits == 4 ? ANN_QUANT_PQ4 : ANN_QUANT_PQ;
		case ANN_SCANN:
			return ANN_QUANT_PQ4;
		case ANN_HNSW_PQ:
		case ANN_HNSW_PRQ:
			return ANN_QUANT_PQ;
		case ANN_IVF_RABITQ:
			return ANN_QUANT_RABITQ;
		case ANN_MINHASH_LSH:
			return ANN_QUANT_NONE;
	}
	return ANN_QUANT_NONE;
}

/* See index.h. */
bool
AnnKeepsRaw(const AnnParams *params)
{
	switch (params->type)
	{
		case ANN_FLAT:
		case ANN_IVF_FLAT:
		case ANN_HNSW:
		case ANN_MINHASH_LSH:
			return !params->compact;
		default:
			return params->refine_type == ANN_QUANT_F32;
	}
}

const char *
AnnMetricName(AnnMetric metric)
{
	switch (metric)
	{
		case ANN_L2:
			return "L2";
		case ANN_IP:
			return "IP";
		case ANN_COSINE:
			return "COSINE";
		case ANN_L1:
			return "L1";
		case ANN_HAMMING:
			return "HAMMING";
		case ANN_JACCARD:
			return "JACCARD";
		case ANN_MHJACCARD:
			return "MHJACCARD";
	}
	return "unknown";
}

/* ---- exact distance ---- */

/* 1 - cosine from its three products, as the SQL function computes it. */
static float
cosine_distance(double ab, double aa, double bb)
{
	double		similarity = ab / sqrt(aa * bb);

	if (similarity > 1)
		similarity = 1;
	else if (similarity < -1)
		similarity = -1;
	return (float) (1 - similarity);
}

/* The distances of one element type from its kernels, all of which take the same arguments. */
#define FLOAT_DISTANCE(elem) \
	switch (params->metric) \
	{ \
		case ANN_L2: \
			return kernels->l2sq_##elem(a, b, dim); \
		case ANN_IP: \
			return 0.0f - kernels->ip_##elem(a, b, dim); \
		case ANN_L1: \
			return kernels->l1_##elem(a, b, dim); \
		case ANN_COSINE: \
			kernels->cosine_##elem(a, b, dim, &ab, &aa, &bb); \
			return cosine_distance(ab, aa, bb); \
		default: \
			return NAN; \
	}

/* Of int8: the sums are exact, and so is what double makes of them. */
static float
distance_i8(const AnnParams *params, const int8_t *a, const int8_t *b)
{
	size_t		dim = params->dim;
	int32_t		ab,
				aa,
				bb;

	switch (params->metric)
	{
		case ANN_L2:
			return (float) kernels->l2sq_i8(a, b, dim);
		case ANN_IP:
			return (float) -kernels->ip_i8(a, b, dim);
		case ANN_L1:
			return (float) kernels->l1_i8(a, b, dim);
		case ANN_COSINE:
			kernels->cosine_i8(a, b, dim, &ab, &aa, &bb);
			return cosine_distance(ab, aa, bb);
		default:
			return NAN;
	}
}

/*
 * The distance that ORDER BY sorts by.  NaN only under COSINE, where the length
 * of a vector is not representable.  Never -0.
 */
float
AnnDistance(const AnnParams *params, const void *a, const void *b)
{
	size_t		dim = params->dim;
	float		ab,
				aa,
				bb;

	switch (params->elem)
	{
		case ANN_F32:
			FLOAT_DISTANCE(f32);
		case ANN_F16:
			FLOAT_DISTANCE(f16);
		case ANN_BF16:
			FLOAT_DISTANCE(bf16);
		case ANN_I8:
			return distance_i8(params, a, b);
		case ANN_BIT:
			return AnnBitDistance(params, a, b);
	}
	return NAN;
}

/* One row as dim float32. */
void
AnnRowToFloat(const AnnParams *params, const void *row, float *out)
{
	switch (params->elem)
	{
		case ANN_F32:
			memcpy(out, row, sizeof(float) * params->dim);
			break;
		case ANN_F16:
			kernels->f16_to_f32(row, out, params->dim);
			break;
		case ANN_BF16:
			kernels->bf16_to_f32(row, out, params->dim);
			break;
		case ANN_I8:
			for (uint32_t d = 0; d < params->dim; d++)
				out[d] = ((const int8_t *) row)[d];
			break;
		case ANN_BIT:
			memset(out, 0, sizeof(float) * params->dim);
			break;
	}
}

/* ---- build ---- */

/* What quantizer may be kept to refine with. */
static bool
refine_valid(AnnQuantizer quantizer)
{
	switch (quantizer)
	{
		case ANN_QUANT_NONE:
		case ANN_QUANT_SQ8:
		case ANN_QUANT_SQ6:
		case ANN_QUANT_F16:
		case ANN_QUANT_BF16:
		case ANN_QUANT_F32:
			return true;
		default:
			return false;
	}
}

static bool
structure_valid(const AnnParams *params)
{
	switch (AnnTypeStructure(params->type))
	{
		case ANN_ALL_ROWS:
			return params->type == ANN_FLAT;
		case ANN_LISTS:
			return params->nlist >= ANN_MIN_NLIST && params->nlist <= ANN_MAX_NLIST;
		case ANN_GRAPH:
			return params->m >= ANN_MIN_M && params->m <= ANN_MAX_M;
		case ANN_HASHES:
			break;
	}
	return false;
}

/* Whether the parameters of the codes are in range. */
static bool
codes_valid(const AnnParams *params)
{
	switch (AnnCodesOf(params))
	{
		case ANN_QUANT_NONE:
			return params->type != ANN_HNSW_SQ;
		case ANN_QUANT_SQ8:
		case ANN_QUANT_SQ6:
		case ANN_QUANT_SQ4:
		case ANN_QUANT_F16:
		case ANN_QUANT_BF16:
			return true;
		case ANN_QUANT_PQ:
		case ANN_QUANT_PQ4:
			return params->type != ANN_HNSW_SQ &&
				(params->pq_m == 0 || params->dim % params->pq_m == 0) &&
				params->pq_nbits >= ANN_MIN_PQ_NBITS && params->pq_nbits <= ANN_MAX_PQ_NBITS &&
				(params->type != ANN_HNSW_PRQ ||
				 (params->nrq >= ANN_MIN_NRQ && params->nrq <= ANN_MAX_NRQ)) &&
				AnnRowCodec(params) != NULL;
		case ANN_QUANT_RABITQ:
			return params->type != ANN_HNSW_SQ && AnnRowCodec(params) != NULL;
		case ANN_QUANT_F32:
			break;
	}
	return false;
}

/* See index_internal.h. */
bool
AnnParamsValid(const AnnParams *params, uint32_t n)
{
	bool		coded = Sq8Supports(params->metric);

	if (params->elem == ANN_BIT)
		return n <= ANN_MAX_ROWS && AnnBitsValid(params);
	return params->dim >= 1 && params->dim <= ANN_MAX_DIM && n <= ANN_MAX_ROWS &&
		params->metric >= ANN_L2 && params->metric <= ANN_L1 &&
		params->elem >= ANN_F32 && params->elem <= ANN_I8 &&
		structure_valid(params) && refine_valid(params->refine_type) && codes_valid(params) &&
		/* without codes, walks and lists read raw vectors */
		(coded || (AnnCodesOf(params) == ANN_QUANT_NONE && AnnKeepsRaw(params)));
}

void
AnnBuiltAdd(AnnBuilt *built, uint32_t id, void *data, uint64_t bytes)
{
	AnnSection *section = &built->sections[built->nsections++];

	section->id = id;
	section->data = data;
	section->bytes = bytes;
}

/* MEAN is a part of every index whose metric has codes. */
static AnnStatus
add_mean(const AnnParams *params, const void *raw, uint32_t n, const AnnEnv *env, AnnBuilt *built)
{
	size_t		bytes = sizeof(float) * params->dim;
	float	   *mean;

	if (!Sq8Supports(params->metric))
		return ANN_OK;
	mean = AnnAlloc(env, bytes);
	if (mean == NULL)
		return ANN_NO_MEMORY;
	Sq8Mean(params, raw, n, mean);
	AnnBuiltAdd(built, ANN_SEC_MEAN, mean, bytes);
	return ANN_OK;
}

/* See index.h.  After any status but ANN_OK, *built is empty. */
AnnStatus
AnnBuild(const AnnParams *params, const void *raw, uint32_t n, int nthreads, const AnnEnv *env,
		 AnnBuilt *built)
{
	AnnStatus	status;

	memset(built, 0, sizeof(*built));
	if (!AnnParamsValid(params, n))
		return ANN_CORRUPT;
	nthreads = AnnMax(nthreads, 1);
	status = add_mean(params, raw, n, env, built);
	if (status == ANN_OK && AnnTypeStructure(params->type) == ANN_GRAPH)
		status = AnnHnswBuild(params, raw, n, nthreads, env, built);
	else if (status == ANN_OK && AnnTypeStructure(params->type) == ANN_LISTS)
		status = AnnIvfBuild(params, raw, n, nthreads, env, built);
	else if (status == ANN_OK && AnnTypeStructure(params->type) == ANN_HASHES)
		status = AnnMinhashBuild(params, raw, n, nthreads, env, built);
	if (status == ANN_OK)
		status = AnnCodeRows(params, raw, n, nthreads, env, built);
	if (status != ANN_OK)
		AnnBuiltFree(built, env);
	return status;
}

void
AnnBuiltFree(AnnBuilt *built, const AnnEnv *env)
{
	for (int i = 0; i < built->nsections; i++)
		AnnFree(env, (void *) built->sections[i].data);
	AnnFree(env, built->order);
	memset(built, 0, sizeof(*built));
}

/* ---- open ---- */

const AnnSection *
AnnFindSection(const AnnSection *sections, int n, uint32_t id)
{
	for (int i = 0; i < n; i++)
	{
		if (sections[i].id == id)
			return &sections[i];
	}
	return NULL;
}

/* See index_internal.h. */
const void *
AnnSizedSection(const AnnSection *sections, int n, uint32_t id, uint64_t bytes)
{
	const AnnSection *section = AnnFindSection(sections, n, id);

	return section != NULL && section->bytes == bytes ? section->data : NULL;
}

static bool
open_ivf(AnnSegment *segment, const AnnSection *sections, int nsections)
{
	const AnnSection *lists = AnnFindSection(sections, nsections, ANN_SEC_LISTS);
	uint64_t	nlist;

	if (lists == NULL || lists->data == NULL || lists->bytes % sizeof(uint32_t) != 0 ||
		lists->bytes < 2 * sizeof(uint32_t))
		return false;
	nlist = lists->bytes / sizeof(uint32_t) - 1;
	if (nlist > ANN_MAX_NLIST)
		return false;
	segment->lists = lists->data;
	segment->nlist = (uint32_t) nlist;
	segment->centroids = AnnSizedSection(sections, nsections, ANN_SEC_CENTROIDS,
									   nlist * AnnCentreBytes(&segment->params));
	return segment->centroids != NULL && segment->lists[0] == 0 &&
		segment->lists[nlist] == segment->n;
}

static bool
open_hnsw(AnnSegment *segment, const AnnSection *sections, int nsections)
{
	const AnnSection *upper = AnnFindSection(sections, nsections, ANN_SEC_UPPER);
	const HnswHeader *header;

	if (upper == NULL || upper->data == NULL || upper->bytes < sizeof(HnswHeader))
		return false;
	header = upper->data;
	if (!AnnHnswHeaderValid(header, HNSW_UPPER_MAGIC, &segment->params, segment->n) ||
		upper->bytes != HnswUpperBytes(header))
		return false;
	segment->upper = header;
	segment->links = AnnSizedSection(sections, nsections, ANN_SEC_LINKS,
								   (uint64_t) header->count[0] * HnswWidth(header->degree) *
								   sizeof(uint32_t));
	return segment->links != NULL;
}

static bool
open_minhash(AnnSegment *segment, const AnnSection *sections, int nsections)
{
	const AnnSection *hashes = AnnFindSection(sections, nsections, ANN_SEC_HASHES);

	if (hashes == NULL || !AnnMinhashSized(&segment->params, segment->n, hashes))
		return false;
	segment->hashes = hashes->data;
	return true;
}

/*
 * See index.h.  The sections' contents are trusted (AnnExpand verified them and
 * the caller keeps checksums); what is checked is that they belong together.
 */
AnnStatus
AnnOpen(const AnnParams *params, uint32_t n, const AnnSection *sections, int nsections,
		AnnSegment *segment)
{
	AnnStructure structure = AnnTypeStructure(params->type);
	bool		valid = true;

	memset(segment, 0, sizeof(*segment));
	if (!AnnParamsValid(params, n))
		return ANN_CORRUPT;
	segment->params = *params;
	segment->n = n;
	if (AnnKeepsRaw(params))
	{
		segment->raw = AnnSizedSection(sections, nsections, ANN_SEC_RAW,
									   AnnRowBytes(params) * n);
		valid = segment->raw != NULL;
	}
	if (valid && Sq8Supports(params->metric))
	{
		segment->mean = AnnSizedSection(sections, nsections, ANN_SEC_MEAN,
										sizeof(float) * params->dim);
		valid = segment->mean != NULL && AnnCodeOpen(sections, nsections, segment);
	}
	if (valid && structure == ANN_LISTS)
		valid = open_ivf(segment, sections, nsections);
	else if (valid && structure == ANN_GRAPH)
		valid = open_hnsw(segment, sections, nsections);
	else if (valid && structure == ANN_HASHES)
		valid = open_minhash(segment, sections, nsections);
	return valid ? ANN_OK : ANN_CORRUPT;
}

/* ---- memory ---- */

/* See index_internal.h. */
bool
AnnGrow(const AnnEnv *env, void **array, size_t *capacity, size_t used, size_t want, size_t item)
{
	size_t		bigger;
	void	   *copy;

	if (want <= *capacity)
		return true;
	bigger = AnnMax(want, *capacity * 2);
	copy = AnnAlloc(env, bigger * item);
	if (copy == NULL)
		return false;
	if (used > 0)
		memcpy(copy, *array, used * item);
	AnnFree(env, *array);
	*array = copy;
	*capacity = bigger;
	return true;
}

static void *
malloc_alloc(void *ctx, size_t bytes)
{
	return aligned_alloc(ANN_ALIGN, AnnRoundUp(bytes, ANN_ALIGN));
}

static void
malloc_free(void *ctx, void *p)
{
	free(p);
}

const AnnEnv AnnMallocEnv = {.alloc = malloc_alloc, .free = malloc_free};
