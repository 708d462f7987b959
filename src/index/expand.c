/*
 * expand.c
 *		From the durable sections to the query form.
 *
 * What the query form holds and the durable one does not (SQ8 codes of raw vectors, the
 * graph as matrices) is computed here, in chunks, from sections that come from disk: no
 * size and no row number is believed before it was looked at.  Stored codes: codec_store.c.
 */
#include "index/codec.h"
#include "index/hnsw.h"

/* Bytes of raw rows held at a time (at least one row). */
#define CHUNK_BYTES (1024 * 1024)

/* A durable section of exactly so many bytes, or NULL. */
static const AnnSection *
durable_section(const AnnSection *durable, int ndurable, uint32_t id, uint64_t bytes)
{
	const AnnSection *section = AnnFindSection(durable, ndurable, id);

	return section != NULL && section->data != NULL && section->bytes == bytes ? section : NULL;
}

static void
add_size(AnnSection *expanded, int *n, uint32_t id, uint64_t bytes)
{
	expanded[*n].id = id;
	expanded[*n].bytes = bytes;
	expanded[*n].data = NULL;
	(*n)++;
}

/* Whether LISTS ascends from 0 to n. */
static bool
lists_valid(const AnnSection *lists, uint32_t n)
{
	const uint32_t *first = lists->data;
	uint64_t	nlist = lists->bytes / sizeof(uint32_t) - 1;

	if (first[0] != 0 || first[nlist] != n)
		return false;
	for (uint64_t i = 0; i < nlist; i++)
	{
		if (first[i] > first[i + 1])
			return false;
	}
	return true;
}

/* See index.h. */
int
AnnExpandedSections(const AnnParams *params, uint32_t n, const AnnSection *durable,
					int ndurable, AnnSection *expanded)
{
	AnnStructure structure = AnnTypeStructure(params->type);
	int			count = 0;

	if (!AnnParamsValid(params, n))
		return -1;
	if (AnnKeepsRaw(params))
		add_size(expanded, &count, ANN_SEC_RAW, (uint64_t) n * AnnRowBytes(params));
	if (Sq8Supports(params->metric))
	{
		uint64_t	mean = sizeof(float) * (uint64_t) params->dim;

		if (durable_section(durable, ndurable, ANN_SEC_MEAN, mean) == NULL)
			return -1;
		add_size(expanded, &count, ANN_SEC_MEAN, mean);
		if (!AnnCodeSections(params, n, durable, ndurable, expanded, &count))
			return -1;
	}
	if (structure == ANN_LISTS)
	{
		const AnnSection *lists = AnnFindSection(durable, ndurable, ANN_SEC_LISTS);
		uint64_t	centroids;

		if (lists == NULL || lists->data == NULL || lists->bytes % sizeof(uint32_t) != 0 ||
			lists->bytes < 2 * sizeof(uint32_t) ||
			lists->bytes > (ANN_MAX_NLIST + 1) * sizeof(uint32_t) || !lists_valid(lists, n))
			return -1;
		centroids = (lists->bytes / sizeof(uint32_t) - 1) * AnnCentreBytes(params);
		if (durable_section(durable, ndurable, ANN_SEC_CENTROIDS, centroids) == NULL)
			return -1;
		add_size(expanded, &count, ANN_SEC_CENTROIDS, centroids);
		add_size(expanded, &count, ANN_SEC_LISTS, lists->bytes);
	}
	else if (structure == ANN_GRAPH)
	{
		const AnnSection *graph = AnnFindSection(durable, ndurable, ANN_SEC_GRAPH);
		HnswHeader	header;

		if (graph == NULL || graph->data == NULL || graph->bytes < sizeof(header))
			return -1;
		memcpy(&header, graph->data, sizeof(header));
		if (!AnnHnswHeaderValid(&header, HNSW_GRAPH_MAGIC, params, n))
			return -1;
		add_size(expanded, &count, ANN_SEC_LINKS,
				 (uint64_t) header.count[0] * HnswWidth(header.degree) * sizeof(uint32_t));
		add_size(expanded, &count, ANN_SEC_UPPER, HnswUpperBytes(&header));
	}
	else if (structure == ANN_HASHES)
	{
		const AnnSection *hashes = AnnFindSection(durable, ndurable, ANN_SEC_HASHES);

		if (hashes == NULL || !AnnMinhashSized(params, n, hashes))
			return -1;
		add_size(expanded, &count, ANN_SEC_HASHES, hashes->bytes);
	}
	return count;
}

/* Copy RAW and compute the SQ8 codes and their meta (mean NULL: no such codes). */
static AnnStatus
expand_rows(const AnnParams *params, uint32_t n, const float *mean, AnnReadRaw read_raw,
			void *read_ctx, AnnWriteSection write, void *write_ctx, const AnnEnv *env)
{
	size_t		row_bytes = AnnRowBytes(params);
	size_t		stride = mean != NULL ? Sq8Stride(params->dim) : 0;
	uint32_t	chunk = (uint32_t) AnnMax(CHUNK_BYTES / row_bytes, 1);
	uint8_t    *raw = AnnAlloc(env, chunk * row_bytes);
	uint8_t    *codes = AnnAlloc(env, chunk * stride);
	Sq8Meta    *meta = AnnAlloc(env, chunk * sizeof(Sq8Meta));
	AnnStatus	status = ANN_OK;

	if (raw == NULL || codes == NULL || meta == NULL)
		status = ANN_NO_MEMORY;
	for (uint64_t first = 0; first < n && status == ANN_OK; first += chunk)
	{
		uint32_t	rows = (uint32_t) AnnMin(chunk, n - first);

		if (AnnCancelled(env))
			status = ANN_CANCELLED;
		else if (!read_raw(read_ctx, first * row_bytes, rows * row_bytes, raw) ||
				 !write(write_ctx, ANN_SEC_RAW, first * row_bytes, raw, rows * row_bytes))
			status = ANN_IO;
		else if (mean != NULL)
		{
			Sq8Encode(params, mean, raw, rows, codes, meta);
			if (!write(write_ctx, ANN_SEC_CODES, first * stride, codes, rows * stride) ||
				!write(write_ctx, ANN_SEC_CODE_META, first * sizeof(Sq8Meta), meta,
					   rows * sizeof(Sq8Meta)))
				status = ANN_IO;
		}
		if (status == ANN_OK && env->progress != NULL)
			env->progress(env->ctx, first + rows, n);
	}
	AnnFree(env, raw);
	AnnFree(env, codes);
	AnnFree(env, meta);
	return status;
}

/* Write a durable section as it is. */
static AnnStatus
copy_section(const AnnSection *durable, int ndurable, uint32_t id, AnnWriteSection write,
			 void *write_ctx)
{
	const AnnSection *section = AnnFindSection(durable, ndurable, id);

	return write(write_ctx, id, 0, section->data, section->bytes) ? ANN_OK : ANN_IO;
}

/* See index.h. */
AnnStatus
AnnExpand(const AnnParams *params, uint32_t n, const AnnSection *durable, int ndurable,
		  AnnReadRaw read_raw, void *read_ctx, AnnWriteSection write, void *write_ctx,
		  const AnnEnv *env)
{
	AnnSection	expanded[ANN_MAX_SECTIONS];
	AnnStructure structure = AnnTypeStructure(params->type);
	const float *mean = NULL;
	AnnStatus	status = ANN_OK;

	if (AnnExpandedSections(params, n, durable, ndurable, expanded) < 0)
		return ANN_CORRUPT;
	if (Sq8Supports(params->metric))
	{
		mean = AnnFindSection(durable, ndurable, ANN_SEC_MEAN)->data;
		status = copy_section(durable, ndurable, ANN_SEC_MEAN, write, write_ctx);
		if (status == ANN_OK)
			status = AnnCodeExpand(params, n, durable, ndurable, write, write_ctx, env);
	}
	if (status == ANN_OK && structure == ANN_LISTS)
		status = copy_section(durable, ndurable, ANN_SEC_CENTROIDS, write, write_ctx);
	if (status == ANN_OK && structure == ANN_LISTS)
		status = copy_section(durable, ndurable, ANN_SEC_LISTS, write, write_ctx);
	if (status == ANN_OK && structure == ANN_GRAPH)
		status = AnnHnswUnpack(params, n, AnnFindSection(durable, ndurable, ANN_SEC_GRAPH), write,
							   write_ctx, env);
	if (status == ANN_OK && structure == ANN_HASHES)
		status = AnnMinhashValid(AnnFindSection(durable, ndurable, ANN_SEC_HASHES), env);
	if (status == ANN_OK && structure == ANN_HASHES)
		status = copy_section(durable, ndurable, ANN_SEC_HASHES, write, write_ctx);
	if (status == ANN_OK && AnnKeepsRaw(params))
		status = expand_rows(params, n, AnnCodesOf(params) == ANN_QUANT_SQ8 ? mean : NULL,
							 read_raw, read_ctx, write, write_ctx, env);
	return status;
}
