/*
 * codec_store.c
 *		Codes of all rows: made when an index is built, stored, brought into the
 *		query form from bytes that nobody vouches for, and opened.
 *
 *		PACKED	n x Sq8Meta, filled up to 64 bytes, then the codes; those of SQ8 without
 *				their padding
 *		REFINE	the codes, then n x Sq8Meta
 *		MODEL	of the codec of PACKED; left out where it is empty
 *
 * SQ8 codes of a segment that keeps its raw vectors are not stored: they are made from
 * them, faster than they could be read (expand.c).  All others are.
 */
#include "index/codec.h"

#include <math.h>

/* Rows coded by a thread at a time: a multiple of every codec's block_rows. */
#define CHUNK 256

/* Rows of SQ8 codes padded at a time. */
#define PAD_ROWS 256

/* Whether SQ8 codes are what walks and lists read. */
static bool
reads_sq8(const AnnParams *params)
{
	return AnnCodesOf(params) == ANN_QUANT_SQ8;
}

/* Whether codes are stored. */
static bool
stores_codes(const AnnParams *params)
{
	return AnnRowCodec(params) != NULL || (reads_sq8(params) && !AnnKeepsRaw(params));
}

/* Where codes begin in PACKED. */
static uint64_t
packed_start(uint32_t n)
{
	return AnnRoundUp(sizeof(Sq8Meta) * (size_t) n, ANN_ALIGN);
}

/* Bytes of codes in PACKED. */
static uint64_t
packed_codes_bytes(const AnnParams *params, const void *model, uint32_t n)
{
	const AnnCodec *codec = AnnRowCodec(params);

	return codec != NULL ? codec->code_bytes(params, model, n) : (uint64_t) params->dim * n;
}

/* ---- building ---- */

typedef struct Coding
{
	AnnCodecInput input;
	const AnnCodec *codec;		/* NULL: SQ8 without padding */
	const void *model;
	const float *mean;
	const uint32_t *order;
	uint8_t    *codes;
	Sq8Meta    *meta;
	float	   *scratch;		/* a worker: 4 x dim */
} Coding;

static void
code_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Coding	   *coding = ctx;
	const AnnParams *params = coding->input.params;
	uint32_t	dim = params->dim;
	uint8_t		code[ANN_MAX_DIM] __attribute__((aligned(ANN_ALIGN)));

	if (coding->codec != NULL)
	{
		coding->codec->encode(&coding->input, coding->model, coding->order, first, end - first,
							  coding->codes, coding->meta,
							  coding->scratch + (size_t) worker * 4 * dim);
		return;
	}
	for (uint32_t row = first; row < end; row++)
	{
		uint32_t	from = coding->order != NULL ? coding->order[row] : row;

		Sq8Encode(params, coding->mean, AnnRow(params, coding->input.raw, from), 1, code,
				  &coding->meta[row]);
		memcpy(coding->codes + (size_t) row * dim, code, dim);
	}
}

/* Code all rows on all threads. */
static AnnStatus
code_rows(Coding *coding)
{
	const AnnCodecInput *input = &coding->input;
	AnnStatus	status;

	coding->scratch = AnnAlloc(input->env, sizeof(float) * 4 * input->params->dim *
							   (size_t) input->nthreads);
	if (coding->scratch == NULL)
		return ANN_NO_MEMORY;
	status = AnnParallel(input->env, input->nthreads, 0, input->n, CHUNK, code_chunk, coding,
						 NULL);
	AnnFree(input->env, coding->scratch);
	return status;
}

/*
 * Under COSINE, make the centroids the means of their lists: k-means left them with length 1,
 * outside of the rows they stand for, and residuals would be no shorter than without lists.
 */
static AnnStatus
centre_lists(const AnnCodecInput *input, const uint32_t *first, const uint32_t *order,
			 float *centroids)
{
	AnnCodecInput plain = {.params = input->params, .raw = input->raw, .n = input->n};
	uint32_t	dim = input->params->dim;
	float		x[ANN_MAX_DIM];

	for (uint32_t list = 0; list < input->ncenters; list++)
	{
		float	   *centroid = centroids + (size_t) list * dim;
		uint32_t	n = first[list + 1] - first[list];

		if (AnnCancelled(input->env))
			return ANN_CANCELLED;
		if (n == 0)
			continue;
		memset(centroid, 0, sizeof(float) * dim);
		for (uint32_t row = first[list]; row < first[list + 1]; row++)
		{
			AnnCodecResidual(&plain, order[row], x);
			for (uint32_t d = 0; d < dim; d++)
				centroid[d] += x[d];
		}
		for (uint32_t d = 0; d < dim; d++)
			centroid[d] /= (float) n;
	}
	return ANN_OK;
}

/*
 * The centres that rows are coded relative to: those of their lists less the mean,
 * or the mean itself.  *centers and *center_of are the caller's to free.
 */
static AnnStatus
find_centers(AnnCodecInput *input, const AnnBuilt *built, float **centers, uint32_t **center_of)
{
	const AnnParams *params = input->params;
	uint32_t	dim = params->dim;
	const AnnSection *lists = AnnFindSection(built->sections, built->nsections, ANN_SEC_LISTS);
	const AnnSection *centroids = AnnFindSection(built->sections, built->nsections,
												 ANN_SEC_CENTROIDS);
	const uint32_t *first;

	input->ncenters = lists != NULL ? (uint32_t) (lists->bytes / sizeof(uint32_t) - 1) : 1;
	*centers = AnnAlloc(input->env, sizeof(float) * dim * input->ncenters);
	if (*centers == NULL)
		return ANN_NO_MEMORY;
	input->centers = *centers;
	memset(*centers, 0, sizeof(float) * dim * input->ncenters);
	if (lists == NULL)
		return ANN_OK;

	*center_of = AnnAlloc(input->env, sizeof(uint32_t) * input->n);
	if (*center_of == NULL)
		return ANN_NO_MEMORY;
	input->center_of = *center_of;
	first = lists->data;
	if (params->metric == ANN_COSINE)
	{
		AnnStatus	status = centre_lists(input, first, built->order, (float *) centroids->data);

		if (status != ANN_OK)
			return status;
	}
	for (uint32_t list = 0; list < input->ncenters; list++)
	{
		const float *centroid = (const float *) centroids->data + (size_t) list * dim;
		float	   *center = *centers + (size_t) list * dim;

		for (uint32_t d = 0; d < dim; d++)
			center[d] = centroid[d] - input->origin[d];
		for (uint32_t row = first[list]; row < first[list + 1]; row++)
			(*center_of)[built->order[row]] = list;
	}
	return ANN_OK;
}

/* Learn the model, if there is one, and make PACKED. */
static AnnStatus
make_packed(Coding *coding, AnnBuilt *built)
{
	const AnnCodecInput *input = &coding->input;
	const AnnParams *params = input->params;
	uint64_t	bytes;
	void	   *model = NULL;
	uint64_t	model_bytes = 0;
	uint8_t    *packed;
	AnnStatus	status;

	coding->codec = AnnRowCodec(params);
	if (coding->codec != NULL)
	{
		status = coding->codec->train(input, &model, &model_bytes);
		if (status != ANN_OK)
			return status;
		if (model_bytes > 0)
			AnnBuiltAdd(built, ANN_SEC_MODEL, model, model_bytes);
	}
	coding->model = model;
	bytes = packed_start(input->n) + packed_codes_bytes(params, model, input->n);
	packed = AnnAlloc(input->env, bytes);
	if (packed == NULL)
		return ANN_NO_MEMORY;
	/* what pads codes is stored too */
	memset(packed, 0, bytes);
	AnnBuiltAdd(built, ANN_SEC_PACKED, packed, bytes);
	coding->meta = (Sq8Meta *) packed;
	coding->codes = packed + packed_start(input->n);
	return code_rows(coding);
}

static AnnStatus
make_refine(Coding *coding, AnnBuilt *built)
{
	const AnnCodecInput *input = &coding->input;
	uint64_t	code_bytes;
	uint64_t	bytes;
	uint8_t    *refine;

	coding->codec = AnnRefineCodec(input->params);
	coding->model = NULL;
	code_bytes = coding->codec->code_bytes(input->params, NULL, input->n);
	bytes = code_bytes + sizeof(Sq8Meta) * (uint64_t) input->n;
	refine = AnnAlloc(input->env, bytes);
	if (refine == NULL)
		return ANN_NO_MEMORY;
	memset(refine, 0, bytes);
	AnnBuiltAdd(built, ANN_SEC_REFINE, refine, bytes);
	coding->codes = refine;
	coding->meta = (Sq8Meta *) (refine + code_bytes);
	return code_rows(coding);
}

/* See codec.h.  MEAN, the lists and the order of rows are in *built already. */
AnnStatus
AnnCodeRows(const AnnParams *params, const void *raw, uint32_t n, int nthreads,
			const AnnEnv *env, AnnBuilt *built)
{
	float	   *centers = NULL;
	uint32_t   *center_of = NULL;
	const AnnSection *mean = AnnFindSection(built->sections, built->nsections, ANN_SEC_MEAN);
	Coding		coding = {
		.input = {.params = params, .raw = raw, .n = n, .nthreads = nthreads, .env = env},
		.order = built->order,
	};
	AnnStatus	status = ANN_OK;

	if (!stores_codes(params) && AnnRefineCodec(params) == NULL)
		return ANN_OK;
	coding.mean = coding.input.origin = mean->data;
	if (AnnRowCodec(params) != NULL)
		status = find_centers(&coding.input, built, &centers, &center_of);
	if (status == ANN_OK && stores_codes(params))
		status = make_packed(&coding, built);
	if (status == ANN_OK && AnnRefineCodec(params) != NULL)
	{
		coding.input.centers = NULL;
		coding.input.center_of = NULL;
		coding.input.ncenters = 0;
		status = make_refine(&coding, built);
	}
	AnnFree(env, centers);
	AnnFree(env, center_of);
	return status;
}

/* ---- durable form to query form ---- */

/* The model among some sections, which may be left out where it is empty; false: it is not one. */
static bool
find_model(const AnnParams *params, const AnnSection *sections, int nsections,
		   const AnnSection **section)
{
	const AnnCodec *codec = AnnRowCodec(params);

	*section = AnnFindSection(sections, nsections, ANN_SEC_MODEL);
	if (codec == NULL)
		return true;
	if (*section == NULL)
		return codec->check(params, NULL, 0);
	return (*section)->data != NULL &&
		codec->check(params, (*section)->data, (*section)->bytes);
}

static void
add_size(AnnSection *expanded, int *n, uint32_t id, uint64_t bytes)
{
	expanded[*n] = (AnnSection) {.id = id, .bytes = bytes};
	(*n)++;
}

/* See codec.h. */
bool
AnnCodeSections(const AnnParams *params, uint32_t n, const AnnSection *durable, int ndurable,
				AnnSection *expanded, int *count)
{
	const AnnCodec *codec = AnnRowCodec(params);
	const AnnCodec *refine = AnnRefineCodec(params);
	uint64_t	meta_bytes = sizeof(Sq8Meta) * (uint64_t) n;
	const AnnSection *model;

	if (!find_model(params, durable, ndurable, &model))
		return false;
	if (stores_codes(params))
	{
		const AnnSection *packed = AnnFindSection(durable, ndurable, ANN_SEC_PACKED);

		if (packed == NULL || packed->data == NULL || packed->bytes != packed_start(n) +
			packed_codes_bytes(params, model != NULL ? model->data : NULL, n))
			return false;
	}
	if (codec != NULL)
	{
		if (model != NULL)
			add_size(expanded, count, ANN_SEC_MODEL, model->bytes);
		add_size(expanded, count, ANN_SEC_CODES,
				 codec->code_bytes(params, model != NULL ? model->data : NULL, n));
		add_size(expanded, count, ANN_SEC_CODE_META, meta_bytes);
	}
	else if (reads_sq8(params))
	{
		add_size(expanded, count, ANN_SEC_CODES, (uint64_t) n * Sq8Stride(params->dim));
		add_size(expanded, count, ANN_SEC_CODE_META, meta_bytes);
	}
	if (refine != NULL)
	{
		const AnnSection *section = AnnFindSection(durable, ndurable, ANN_SEC_REFINE);
		uint64_t	bytes = refine->code_bytes(params, NULL, n) + meta_bytes;

		if (section == NULL || section->data == NULL || section->bytes != bytes)
			return false;
		add_size(expanded, count, ANN_SEC_REFINE, bytes);
	}
	return true;
}

/* Whether the meta of rows make sense: no NaN reaches an estimate or a bound. */
static bool
meta_valid(const Sq8Meta *meta, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
	{
		if (isnan(meta[i].norm2) || !(meta[i].error >= 0) || !isfinite(meta[i].scale))
			return false;
	}
	return true;
}

static bool
codes_valid(const AnnParams *params, const AnnCodec *codec, const void *model,
			const uint8_t *codes, const Sq8Meta *meta, uint32_t n)
{
	AnnCodes	all = {
		.params = params, .codec = codec, .model = model, .codes = codes, .meta = meta, .n = n,
	};

	return codec->check_codes == NULL || codec->check_codes(&all);
}

/* Write SQ8 codes, each row padded. */
static AnnStatus
write_padded(const AnnParams *params, const uint8_t *packed, uint32_t n, AnnWriteSection write,
			 void *write_ctx, const AnnEnv *env)
{
	uint32_t	dim = params->dim;
	size_t		stride = Sq8Stride(dim);
	uint8_t    *rows = AnnAlloc(env, PAD_ROWS * stride);
	AnnStatus	status = ANN_OK;

	if (rows == NULL)
		return ANN_NO_MEMORY;
	memset(rows, SQ8_ZERO, PAD_ROWS * stride);
	for (uint32_t first = 0; first < n && status == ANN_OK; first += PAD_ROWS)
	{
		uint32_t	count = AnnMin(PAD_ROWS, n - first);

		for (uint32_t i = 0; i < count; i++)
			memcpy(rows + i * stride, packed + ((size_t) first + i) * dim, dim);
		if (AnnCancelled(env))
			status = ANN_CANCELLED;
		else if (!write(write_ctx, ANN_SEC_CODES, first * stride, rows, count * stride))
			status = ANN_IO;
	}
	AnnFree(env, rows);
	return status;
}

/* See codec.h.  Sizes are those that AnnCodeSections saw. */
AnnStatus
AnnCodeExpand(const AnnParams *params, uint32_t n, const AnnSection *durable, int ndurable,
			  AnnWriteSection write, void *write_ctx, const AnnEnv *env)
{
	const AnnCodec *codec = AnnRowCodec(params);
	const AnnCodec *refine = AnnRefineCodec(params);
	uint64_t	meta_bytes = sizeof(Sq8Meta) * (uint64_t) n;

	if (stores_codes(params))
	{
		const AnnSection *model = AnnFindSection(durable, ndurable, ANN_SEC_MODEL);
		const AnnSection *packed = AnnFindSection(durable, ndurable, ANN_SEC_PACKED);
		const Sq8Meta *meta = packed->data;
		const uint8_t *codes = (const uint8_t *) packed->data + packed_start(n);

		if (!meta_valid(meta, n) ||
			(codec != NULL && !codes_valid(params, codec, model != NULL ? model->data : NULL,
										   codes, meta, n)))
			return ANN_CORRUPT;
		if (codec != NULL && model != NULL &&
			!write(write_ctx, ANN_SEC_MODEL, 0, model->data, model->bytes))
			return ANN_IO;
		if (!write(write_ctx, ANN_SEC_CODE_META, 0, meta, meta_bytes))
			return ANN_IO;
		if (codec == NULL)
		{
			AnnStatus	status = write_padded(params, codes, n, write, write_ctx, env);

			if (status != ANN_OK)
				return status;
		}
		else if (!write(write_ctx, ANN_SEC_CODES, 0, codes, packed->bytes - packed_start(n)))
			return ANN_IO;
	}
	if (refine != NULL)
	{
		const AnnSection *section = AnnFindSection(durable, ndurable, ANN_SEC_REFINE);
		const uint8_t *codes = section->data;
		const Sq8Meta *meta = (const Sq8Meta *) (codes + section->bytes - meta_bytes);

		if (!meta_valid(meta, n) || !codes_valid(params, refine, NULL, codes, meta, n))
			return ANN_CORRUPT;
		if (!write(write_ctx, ANN_SEC_REFINE, 0, codes, section->bytes))
			return ANN_IO;
	}
	return AnnCancelled(env) ? ANN_CANCELLED : ANN_OK;
}

/* ---- open ---- */

/* See codec.h. */
bool
AnnCodeOpen(const AnnSection *sections, int nsections, AnnSegment *segment)
{
	const AnnParams *params = &segment->params;
	const AnnCodec *refine = AnnRefineCodec(params);
	uint64_t	meta_bytes = sizeof(Sq8Meta) * (uint64_t) segment->n;
	const AnnSection *model;

	segment->codec = AnnRowCodec(params);
	if (!find_model(params, sections, nsections, &model))
		return false;
	if (segment->codec != NULL || reads_sq8(params))
	{
		uint64_t	bytes;

		segment->code_stride = Sq8Stride(params->dim);
		bytes = (uint64_t) segment->code_stride * segment->n;
		if (segment->codec != NULL)
		{
			segment->model = model != NULL ? model->data : NULL;
			bytes = segment->codec->code_bytes(params, segment->model, segment->n);
		}
		segment->codes = AnnSizedSection(sections, nsections, ANN_SEC_CODES, bytes);
		segment->code_meta = AnnSizedSection(sections, nsections, ANN_SEC_CODE_META, meta_bytes);
		if (segment->codes == NULL || segment->code_meta == NULL)
			return false;
	}
	if (refine != NULL)
	{
		uint64_t	bytes = refine->code_bytes(params, NULL, segment->n);

		segment->refine_codec = refine;
		segment->refine_codes = AnnSizedSection(sections, nsections, ANN_SEC_REFINE,
												bytes + meta_bytes);
		if (segment->refine_codes == NULL)
			return false;
		segment->refine_meta = (const Sq8Meta *) (segment->refine_codes + bytes);
	}
	return true;
}
