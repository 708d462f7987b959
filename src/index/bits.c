/*
 * bits.c
 *		Binary vectors: what parameters they take, and exact distances of many rows.
 *
 * Bits have no codes: a row is as short as a code would be, so walks, lists and
 * scans compare the rows themselves, in blocks.  Bits past dim are zero.
 */
#include "index/index_internal.h"

#include <math.h>

/* Rows whose counts are held at a time. */
#define BLOCK 256

/* Rows asked for ahead of their comparison. */
#define PREFETCH_ROWS 4

/* ---- parameters ---- */

/* Elements of a MinHash signature; 0 when dim is no whole number of them. */
uint32_t
AnnMinhashElements(uint32_t dim, uint32_t element_bits)
{
	if (element_bits != 8 && element_bits != 16 && element_bits != 32 && element_bits != 64)
		return 0;
	return dim % element_bits == 0 ? dim / element_bits : 0;
}

/* Whether the parameters are such that an index of bits can have them. */
bool
AnnBitsValid(const AnnParams *params)
{
	uint32_t	elements = AnnMinhashElements(params->dim, params->mh_element_bits);

	if (params->dim < 1 || params->dim > ANN_MAX_BITS || params->compact)
		return false;
	/* signatures are not near or far by degrees: nothing leads a walk, and no list has a centre */
	if (params->metric == ANN_MHJACCARD)
		return elements > 0 &&
			(params->type == ANN_FLAT ||
			 (params->type == ANN_MINHASH_LSH && params->mh_band >= ANN_MIN_MH_BAND &&
			  params->mh_band <= elements));
	if (params->metric != ANN_HAMMING && params->metric != ANN_JACCARD)
		return false;
	switch (params->type)
	{
		case ANN_FLAT:
			return true;
		case ANN_IVF_FLAT:
			return params->nlist >= ANN_MIN_NLIST && params->nlist <= ANN_MAX_NLIST;
		case ANN_HNSW:
			return params->m >= ANN_MIN_M && params->m <= ANN_MAX_M;
		case ANN_MINHASH_LSH:
			return params->mh_band >= ANN_MIN_MH_BAND && params->mh_band <= elements;
		default:
			return false;
	}
}

/* ---- distances ---- */

#define COUNT_EQUAL(type) \
	for (size_t i = 0; i < elements; i++) \
	{ \
		type		x, \
					y; \
\
		memcpy(&x, a + i * sizeof(type), sizeof(type)); \
		memcpy(&y, b + i * sizeof(type), sizeof(type)); \
		equal += x == y; \
	}

/* Elements at which two signatures agree. */
static uint32_t
count_equal(const uint8_t *a, const uint8_t *b, size_t elements, uint32_t element_bits)
{
	uint32_t	equal = 0;

	switch (element_bits)
	{
		case 8:
			COUNT_EQUAL(uint8_t);
			break;
		case 16:
			COUNT_EQUAL(uint16_t);
			break;
		case 32:
			COUNT_EQUAL(uint32_t);
			break;
		case 64:
			COUNT_EQUAL(uint64_t);
			break;
	}
	return equal;
}

static float
minhash_distance(const AnnParams *params, const void *a, const void *b)
{
	uint32_t	elements = AnnMinhashElements(params->dim, params->mh_element_bits);

	if (elements == 0)
		return NAN;
	return (float) (1 - (double) count_equal(a, b, elements, params->mh_element_bits) / elements);
}

/* AnnDistance of bits. */
float
AnnBitDistance(const AnnParams *params, const void *a, const void *b)
{
	size_t		bytes = AnnRowBytes(params);
	uint64_t	both,
				either;

	switch (params->metric)
	{
		case ANN_HAMMING:
			return (float) kernels->hamming(a, b, bytes);
		case ANN_JACCARD:
			kernels->jaccard(a, b, bytes, &both, &either);
			return AnnJaccard(both, either);
		case ANN_MHJACCARD:
			return minhash_distance(params, a, b);
		default:
			return NAN;
	}
}

/* Hamming distances of at most BLOCK rows. */
static void
hamming_block(const AnnParams *params, const void *query, const uint8_t *base,
			  const uint32_t *rows, uint32_t n, float *out)
{
	size_t		bytes = AnnRowBytes(params);
	uint32_t	counts[BLOCK];

	kernels->hamming_rows(query, base, bytes, rows, n, bytes, counts);
	for (uint32_t i = 0; i < n; i++)
		out[i] = (float) counts[i];
}

/* The same of Jaccard: |a or b| = |a xor b| + |a and b|; the second pass finds the rows in the cache. */
static void
jaccard_block(const AnnParams *params, const void *query, const uint8_t *base,
			  const uint32_t *rows, uint32_t n, float *out)
{
	size_t		bytes = AnnRowBytes(params);
	uint32_t	differ[BLOCK];
	uint32_t	both[BLOCK];

	kernels->hamming_rows(query, base, bytes, rows, n, bytes, differ);
	kernels->and_rows(query, base, bytes, rows, n, bytes, both);
	for (uint32_t i = 0; i < n; i++)
		out[i] = AnnJaccard(both[i], (uint64_t) differ[i] + both[i]);
}

static void
minhash_block(const AnnParams *params, const void *query, const uint8_t *base,
			  const uint32_t *rows, uint32_t n, float *out)
{
	for (uint32_t i = 0; i < n; i++)
	{
		if (rows != NULL && i + PREFETCH_ROWS < n)
			__builtin_prefetch(AnnRow(params, base, rows[i + PREFETCH_ROWS]));
		out[i] = minhash_distance(params, AnnRow(params, base, rows != NULL ? rows[i] : i), query);
	}
}

/* See index_internal.h. */
void
AnnDistances(const AnnParams *params, const void *query, const void *base, const uint32_t *rows,
			 uint32_t n, float *out)
{
	if (params->elem != ANN_BIT)
	{
		for (uint32_t i = 0; i < n; i++)
			out[i] = AnnDistance(params, AnnRow(params, base, rows != NULL ? rows[i] : i), query);
		return;
	}
	for (uint32_t at = 0; at < n; at += BLOCK)
	{
		uint32_t	block = AnnMin(BLOCK, n - at);
		const uint32_t *numbers = rows != NULL ? rows + at : NULL;
		const uint8_t *first = rows != NULL ? base : AnnRow(params, base, at);

		if (params->metric == ANN_HAMMING)
			hamming_block(params, query, first, numbers, block, out + at);
		else if (params->metric == ANN_JACCARD)
			jaccard_block(params, query, first, numbers, block, out + at);
		else
			minhash_block(params, query, first, numbers, block, out + at);
	}
}
