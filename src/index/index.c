/*
 * index.c
 *		Entry points that are the same for all index types: build, open, exact
 *		distance, names, and the malloc environment.
 */
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
cosine_distance(float ab, float aa, float bb)
{
	double		similarity = ab / sqrt((double) aa * (double) bb);

	if (similarity > 1)
		similarity = 1;
	else if (similarity < -1)
		similarity = -1;
	return (float) (1 - similarity);
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

	if (params->elem == ANN_F16)
	{
		switch (params->metric)
		{
			case ANN_L2:
				return kernels->l2sq_f16(a, b, dim);
			case ANN_IP:
				return 0.0f - kernels->ip_f16(a, b, dim);
			case ANN_L1:
				return kernels->l1_f16(a, b, dim);
			case ANN_COSINE:
				kernels->cosine_f16(a, b, dim, &ab, &aa, &bb);
				return cosine_distance(ab, aa, bb);
			default:
				return NAN;
		}
	}
	switch (params->metric)
	{
		case ANN_L2:
			return kernels->l2sq_f32(a, b, dim);
		case ANN_IP:
			return 0.0f - kernels->ip_f32(a, b, dim);
		case ANN_L1:
			return kernels->l1_f32(a, b, dim);
		case ANN_COSINE:
			kernels->cosine_f32(a, b, dim, &ab, &aa, &bb);
			return cosine_distance(ab, aa, bb);
		default:
			return NAN;
	}
}

/* One row as dim float32. */
void
AnnRowToFloat(const AnnParams *params, const void *row, float *out)
{
	if (params->elem == ANN_F16)
		kernels->f16_to_f32(row, out, params->dim);
	else
		memcpy(out, row, sizeof(float) * params->dim);
}

/* ---- build ---- */

static bool
params_valid(const AnnParams *params, uint32_t n)
{
	return params->dim >= 1 && params->dim <= ANN_MAX_DIM && n <= ANN_MAX_ROWS &&
		params->metric >= ANN_L2 && params->metric <= ANN_L1 &&
		(params->elem == ANN_F32 || params->elem == ANN_F16) &&
		(params->type != ANN_HNSW || (params->m >= ANN_MIN_M && params->m <= ANN_MAX_M)) &&
		(params->type != ANN_IVF_FLAT ||
		 (params->nlist >= ANN_MIN_NLIST && params->nlist <= ANN_MAX_NLIST));
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
	if (!params_valid(params, n))
		return ANN_CORRUPT;
	status = add_mean(params, raw, n, env, built);
	if (status == ANN_OK && params->type == ANN_HNSW)
		status = AnnHnswBuild(params, raw, n, AnnMax(nthreads, 1), env, built);
	else if (status == ANN_OK && params->type == ANN_IVF_FLAT)
		status = AnnIvfBuild(params, raw, n, AnnMax(nthreads, 1), env, built);
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

/* The data of a section of exactly so many bytes, else NULL. */
static const void *
sized_section(const AnnSection *sections, int n, uint32_t id, uint64_t bytes)
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
	segment->centroids = sized_section(sections, nsections, ANN_SEC_CENTROIDS,
									   nlist * segment->params.dim * sizeof(float));
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
	segment->links = sized_section(sections, nsections, ANN_SEC_LINKS,
								   (uint64_t) header->count[0] * HnswWidth(header->degree) *
								   sizeof(uint32_t));
	return segment->links != NULL;
}

/*
 * See index.h.  The sections' contents are trusted (AnnExpand verified them and
 * the caller keeps checksums); what is checked is that they belong together.
 */
AnnStatus
AnnOpen(const AnnParams *params, uint32_t n, const AnnSection *sections, int nsections,
		AnnSegment *segment)
{
	bool		valid;

	memset(segment, 0, sizeof(*segment));
	if (!params_valid(params, n))
		return ANN_CORRUPT;
	segment->params = *params;
	segment->n = n;
	segment->raw = sized_section(sections, nsections, ANN_SEC_RAW, AnnRowBytes(params) * n);
	valid = segment->raw != NULL;
	if (valid && Sq8Supports(params->metric))
	{
		segment->code_stride = Sq8Stride(params->dim);
		segment->mean = sized_section(sections, nsections, ANN_SEC_MEAN,
									  sizeof(float) * params->dim);
		segment->codes = sized_section(sections, nsections, ANN_SEC_CODES,
									   (uint64_t) segment->code_stride * n);
		segment->code_meta = sized_section(sections, nsections, ANN_SEC_CODE_META,
										   sizeof(Sq8Meta) * (uint64_t) n);
		valid = segment->mean != NULL && segment->codes != NULL && segment->code_meta != NULL;
	}
	if (valid && params->type == ANN_IVF_FLAT)
		valid = open_ivf(segment, sections, nsections);
	else if (valid && params->type == ANN_HNSW)
		valid = open_hnsw(segment, sections, nsections);
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
