/*
 * knndistance.c
 *		Distances of a query and the values of a column, by the kernels that the
 *		operators call, so that both give the same bits.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h" /* brings varatt.h where there is one */
#include "kernels/kernels.h"
#include "planner/knn.h"
#include "types/distances.h"
#include "types/vector.h"
#include "utils/varbit.h"

/* Bytes between the header of a value and its elements, of vectors and of bit strings. */
#define COUNT_BYTES 4

/* Values that are scored at once. */
#define BLOCK_ROWS 128
/* From so many dimensions rows in memory are summed one by one. */
#define STREAM_DIMS 160

/* The distance functions, and what they compute. */
#define DISTANCES(declare)                                                                         \
	declare(vector_l2_distance, KNN_FLOAT32, KNN_L2) declare(                                      \
		vector_l2_squared_distance, KNN_FLOAT32,                                                   \
		KNN_L2_SQUARED) declare(vector_negative_inner_product, KNN_FLOAT32,                        \
								KNN_IP) declare(vector_cosine_distance, KNN_FLOAT32, KNN_COSINE)   \
		declare(vector_l1_distance, KNN_FLOAT32, KNN_L1) declare(                                  \
			halfvec_l2_distance, KNN_FLOAT16, KNN_L2) declare(halfvec_l2_squared_distance,         \
															  KNN_FLOAT16, KNN_L2_SQUARED)         \
			declare(halfvec_negative_inner_product, KNN_FLOAT16, KNN_IP) declare(                  \
				halfvec_cosine_distance, KNN_FLOAT16,                                              \
				KNN_COSINE) declare(halfvec_l1_distance, KNN_FLOAT16,                              \
									KNN_L1) declare(bfloat16vec_l2_distance, KNN_BFLOAT16, KNN_L2) \
				declare(bfloat16vec_l2_squared_distance, KNN_BFLOAT16, KNN_L2_SQUARED) declare(    \
					bfloat16vec_negative_inner_product, KNN_BFLOAT16,                              \
					KNN_IP) declare(bfloat16vec_cosine_distance, KNN_BFLOAT16, KNN_COSINE)         \
					declare(bfloat16vec_l1_distance, KNN_BFLOAT16,                                 \
							KNN_L1) declare(int8vec_l2_distance, KNN_INT8, KNN_L2)                 \
						declare(int8vec_l2_squared_distance, KNN_INT8, KNN_L2_SQUARED)             \
							declare(int8vec_negative_inner_product, KNN_INT8,                      \
									KNN_IP) declare(int8vec_cosine_distance, KNN_INT8, KNN_COSINE) \
								declare(int8vec_l1_distance, KNN_INT8, KNN_L1)                     \
									declare(bit_hamming_distance, KNN_BITS, KNN_HAMMING)           \
										declare(bit_jaccard_distance, KNN_BITS, KNN_JACCARD)       \
											declare(bit_minhash_distance, KNN_OTHER, KNN_L1)       \
												declare(sparsevec_l2_distance, KNN_OTHER, KNN_L1)  \
													declare(sparsevec_l2_squared_distance,         \
															KNN_OTHER, KNN_L1)                     \
														declare(sparsevec_negative_inner_product,  \
																KNN_OTHER, KNN_L1)                 \
															declare(sparsevec_cosine_distance,     \
																	KNN_OTHER, KNN_L1)             \
																declare(sparsevec_l1_distance,     \
																		KNN_OTHER, KNN_L1)

#define DECLARE_FUNCTION(name, element, metric) extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);
#define TABLE_ENTRY(name, element, metric) {name, {element, metric}},

DISTANCES(DECLARE_FUNCTION)

static const struct
{
	PGFunction address;
	KnnFunction function;
} distance_functions[] = {DISTANCES(TABLE_ENTRY)};

bool
KnnFindFunction(Oid funcid, KnnFunction *function)
{
	FmgrInfo info;

	fmgr_info(funcid, &info);
	if (info.fn_nargs != 2 || !info.fn_strict)
		return false;
	for (int i = 0; i < (int) lengthof(distance_functions); i++)
	{
		if (distance_functions[i].address == info.fn_addr)
		{
			*function = distance_functions[i].function;
			return true;
		}
	}
	return false;
}

/* In the current memory context. */
void
KnnQueryInit(KnnQuery *query, const KnnFunction *function, Datum value, bool isnull)
{
	memset(query, 0, sizeof(KnnQuery));
	query->function = *function;
	query->isnull = isnull;
	if (isnull)
		return;
	query->datum = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	if (function->element == KNN_OTHER)
		return;
	query->payload = VARSIZE(DatumGetPointer(query->datum)) - VARHDRSZ;
	query->x = (const uint8 *) VARDATA(DatumGetPointer(query->datum)) + COUNT_BYTES;
	query->count = function->element == KNN_BITS ? (uint32) VARBITLEN(DatumGetPointer(query->datum))
												 : ((Vector *) DatumGetPointer(query->datum))->dim;
}

const uint8 *
KnnElements(const KnnQuery *query, const void *value)
{
	const uint8 *data;

	if (query->function.element == KNN_OTHER || VARATT_IS_EXTERNAL(value) ||
		VARATT_IS_COMPRESSED(value) || VARSIZE_ANY_EXHDR(value) != query->payload)
		return NULL;
	data = (const uint8 *) VARDATA_ANY(value);
	if (query->function.element == KNN_BITS)
	{
		int32 bits;

		memcpy(&bits, data, sizeof(bits));
		if ((uint32) bits != query->count)
			return NULL;
	}
	else
	{
		uint16 dim;

		memcpy(&dim, data, sizeof(dim));
		if (dim != query->count)
			return NULL;
	}
	return data + COUNT_BYTES;
}

/* ---- few elements: sums in order, as the operators do it ---- */

static double
score_in_order(const KnnQuery *query, const uint8 *x)
{
	float a[IN_ORDER_DIMS];
	float b[IN_ORDER_DIMS];
	int dim = (int) query->count;

	if (query->function.element == KNN_FLOAT32)
	{
		memcpy(a, x, dim * sizeof(float));
		memcpy(b, query->x, dim * sizeof(float));
	}
	else
	{
		uint16 bits[2][IN_ORDER_DIMS];
		void (*widen)(const uint16_t *src, float *dst, size_t n) =
			query->function.element == KNN_FLOAT16 ? kernels->f16_to_f32 : kernels->bf16_to_f32;

		memcpy(bits[0], x, dim * sizeof(uint16));
		memcpy(bits[1], query->x, dim * sizeof(uint16));
		widen(bits[0], a, dim);
		widen(bits[1], b, dim);
	}
	switch (query->function.metric)
	{
		case KNN_IP:
			return -InnerProductInOrder(a, b, dim);
		case KNN_COSINE:
			return CosineInOrder(a, b, dim);
		case KNN_L1:
			return L1InOrder(a, b, dim);
		case KNN_L2:
			return sqrt((double) L2SquaredInOrder(a, b, dim));
		default:
			return L2SquaredInOrder(a, b, dim);
	}
}

/* ---- by kernels ---- */

typedef float (*PairF32)(const float *a, const float *b, size_t dim);
typedef void (*ManyF32)(const float *q, const float *base, size_t stride, size_t n, size_t dim, float *out);
typedef float (*Pair16)(const uint16_t *a, const uint16_t *b, size_t dim);

/*
 * The same sums by either kernel.  Rows come from memory, once: long ones are read faster one after
 * the other than several at a time, short ones (whose sums have little to do) the other way round.
 */
static void
sum_rows(PairF32 one, ManyF32 many, const float *q, const float *x, Size stride, int n, size_t dim, float *sums)
{
	if (dim < STREAM_DIMS)
		many(q, x, stride, n, dim, sums);
	else
		for (int i = 0; i < n; i++)
			sums[i] = one(q, x + i * stride, dim);
}

/* Up to BLOCK_ROWS float32 rows whose stride is a whole number of floats. */
static void
scores_f32(const KnnQuery *query, const float *x, Size stride, int n, double *scores)
{
	const float *q = (const float *) query->x;
	size_t dim = query->count;
	float sums[BLOCK_ROWS];

	switch (query->function.metric)
	{
		case KNN_IP:
			sum_rows(kernels->ip_f32, kernels->ip_f32_many, q, x, stride, n, dim, sums);
			for (int i = 0; i < n; i++)
				scores[i] = -(double) sums[i];
			break;
		case KNN_L1:
			for (int i = 0; i < n; i++)
				scores[i] = kernels->l1_f32(x + i * stride, q, dim);
			break;
		case KNN_COSINE:
			for (int i = 0; i < n; i++)
			{
				float ab, aa, bb;

				kernels->cosine_f32(x + i * stride, q, dim, &ab, &aa, &bb);
				scores[i] = CosineOfSums(ab, aa, bb);
			}
			break;
		default:
			sum_rows(kernels->l2sq_f32, kernels->l2sq_f32_many, q, x, stride, n, dim, sums);
			for (int i = 0; i < n; i++)
				scores[i] = query->function.metric == KNN_L2 ? sqrt((double) sums[i]) : sums[i];
			break;
	}
}

static double
score_f32(const KnnQuery *query, const uint8 *x)
{
	double score;

	scores_f32(query, (const float *) x, query->count, 1, &score);
	return score;
}

static double
score_16(const KnnQuery *query, const uint8 *x)
{
	const uint16_t *a = (const uint16_t *) x;
	const uint16_t *b = (const uint16_t *) query->x;
	bool half = query->function.element == KNN_FLOAT16;
	size_t dim = query->count;
	float ab, aa, bb;

	switch (query->function.metric)
	{
		case KNN_IP:
			return -(double) (half ? kernels->ip_f16 : kernels->ip_bf16)(a, b, dim);
		case KNN_L1:
			return (half ? kernels->l1_f16 : kernels->l1_bf16)(a, b, dim);
		case KNN_COSINE:
			(half ? kernels->cosine_f16 : kernels->cosine_bf16)(a, b, dim, &ab, &aa, &bb);
			return CosineOfSums(ab, aa, bb);
		case KNN_L2:
			return sqrt((double) (half ? kernels->l2sq_f16 : kernels->l2sq_bf16)(a, b, dim));
		default:
			return (half ? kernels->l2sq_f16 : kernels->l2sq_bf16)(a, b, dim);
	}
}

static double
score_i8(const KnnQuery *query, const uint8 *x)
{
	const int8_t *a = (const int8_t *) x;
	const int8_t *b = (const int8_t *) query->x;
	size_t dim = query->count;
	int32_t ab, aa, bb;

	switch (query->function.metric)
	{
		case KNN_IP:
			return (double) -kernels->ip_i8(a, b, dim);
		case KNN_L1:
			return kernels->l1_i8(a, b, dim);
		case KNN_COSINE:
			kernels->cosine_i8(a, b, dim, &ab, &aa, &bb);
			return CosineOfSums(ab, aa, bb);
		case KNN_L2:
			return sqrt((double) kernels->l2sq_i8(a, b, dim));
		default:
			return kernels->l2sq_i8(a, b, dim);
	}
}

static double
score_bits(const KnnQuery *query, const uint8 *x)
{
	size_t bytes = query->payload - COUNT_BYTES;
	uint64_t both, either;

	if (query->function.metric == KNN_HAMMING)
		return (double) kernels->hamming(x, query->x, bytes);
	kernels->jaccard(x, query->x, bytes, &both, &either);
	return both == 0 ? 1.0 : 1.0 - (double) both / (double) either;
}

void
KnnScores(const KnnQuery *query, const uint8 *x, Size stride, int n, double *scores)
{
	KnnElement element = query->function.element;
	double (*score)(const KnnQuery *query, const uint8 *x);

	if (element <= KNN_BFLOAT16 && query->count < IN_ORDER_DIMS)
		score = score_in_order;
	else if (element == KNN_FLOAT32 && stride % sizeof(float) == 0)
	{
		for (int done = 0; done < n; done += BLOCK_ROWS)
			scores_f32(query, (const float *) (x + done * stride), stride / sizeof(float),
					   Min(n - done, BLOCK_ROWS), scores + done);
		return;
	}
	else if (element == KNN_FLOAT32)
		score = score_f32;
	else if (element == KNN_INT8)
		score = score_i8;
	else if (element == KNN_BITS)
		score = score_bits;
	else
		score = score_16;
	for (int i = 0; i < n; i++)
		scores[i] = score(query, x + i * stride);
}
