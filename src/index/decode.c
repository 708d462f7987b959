/*
 * decode.c
 *		Vectors back from codes, for merges that cannot have the true ones.
 */
#include "index/codec.h"

/* The list of a row: the last one that begins at or before it. */
static uint32_t
list_of(const AnnSegment *segment, uint32_t row)
{
	uint32_t	low = 0;
	uint32_t	high = segment->nlist;

	while (low + 1 < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (segment->lists[middle] <= row)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* See index.h. */
bool
AnnDecodeRow(const AnnSegment *segment, uint32_t row, void *out)
{
	const AnnParams *params = &segment->params;
	uint32_t	dim = params->dim;
	const float *origin = segment->mean;
	float		x[ANN_MAX_DIM];
	bool		zero = true;

	if (segment->raw != NULL)
	{
		memcpy(out, AnnRow(params, segment->raw, row), AnnRowBytes(params));
		return true;
	}
	if (origin == NULL || segment->codes == NULL)
		return false;
	if (segment->refine_codec != NULL || segment->codec != NULL)
	{
		bool		refined = segment->refine_codec != NULL;
		AnnCodes	codes = {
			.params = params,
			.codec = refined ? segment->refine_codec : segment->codec,
			.model = refined ? NULL : segment->model,
			.codes = refined ? segment->refine_codes : segment->codes,
			.meta = refined ? segment->refine_meta : segment->code_meta,
			.n = segment->n,
		};

		codes.codec->decode(&codes, row, x);
		if (!refined && segment->lists != NULL)
			origin = segment->centroids + (size_t) list_of(segment, row) * dim;
	}
	else
	{
		const uint8_t *code = segment->codes + (size_t) row * segment->code_stride;
		float		scale = segment->code_meta[row].scale;

		for (uint32_t d = 0; d < dim; d++)
			x[d] = scale * (float) ((int) code[d] - SQ8_ZERO);
	}
	for (uint32_t d = 0; d < dim; d++)
	{
		x[d] += origin[d];
		zero = zero && x[d] == 0;
	}
	/* a row with a direction must keep one */
	if (zero && params->metric == ANN_COSINE)
		x[0] = 1;
	AnnRowFromFloat(params, x, out);
	return true;
}
