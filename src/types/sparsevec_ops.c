/*
 * sparsevec_ops.c
 *		Distances, arithmetic and comparisons of the type sparsevec.
 *
 * Distances are summed in float32 in the order of the positions, as in pgvector, and
 * so are the same on all machines.
 */
#include "postgres.h"

#include <math.h>

#include "types/distances.h"
#include "types/elems.h"
#include "types/sparse.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(sparsevec_l2_distance);
PG_FUNCTION_INFO_V1(sparsevec_l2_squared_distance);
PG_FUNCTION_INFO_V1(sparsevec_inner_product);
PG_FUNCTION_INFO_V1(sparsevec_negative_inner_product);
PG_FUNCTION_INFO_V1(sparsevec_cosine_distance);
PG_FUNCTION_INFO_V1(sparsevec_l1_distance);
PG_FUNCTION_INFO_V1(sparsevec_dims);
PG_FUNCTION_INFO_V1(sparsevec_l2_norm);
PG_FUNCTION_INFO_V1(sparsevec_l2_normalize);
PG_FUNCTION_INFO_V1(sparsevec_subvector);
PG_FUNCTION_INFO_V1(sparsevec_binary_quantize);
PG_FUNCTION_INFO_V1(sparsevec_concat);
PG_FUNCTION_INFO_V1(sparsevec_add);
PG_FUNCTION_INFO_V1(sparsevec_sub);
PG_FUNCTION_INFO_V1(sparsevec_mul);
PG_FUNCTION_INFO_V1(sparsevec_lt);
PG_FUNCTION_INFO_V1(sparsevec_le);
PG_FUNCTION_INFO_V1(sparsevec_eq);
PG_FUNCTION_INFO_V1(sparsevec_ne);
PG_FUNCTION_INFO_V1(sparsevec_ge);
PG_FUNCTION_INFO_V1(sparsevec_gt);
PG_FUNCTION_INFO_V1(sparsevec_cmp);

/* ---- two values side by side ---- */

/* A walk over the positions at which one of two values, or both, have an element */
typedef struct Walk
{
	const SparseVec *a;
	const SparseVec *b;
	const float *a_values;
	const float *b_values;
	uint32		i;				/* the next element of a */
	uint32		j;				/* the next element of b */
} Walk;

static Walk
walk_start(const SparseVec *a, const SparseVec *b)
{
	return (Walk) {a, b, SPARSEVEC_VALUES(a), SPARSEVEC_VALUES(b), 0, 0};
}

/* Go to the next position; return whether there is one.  A missing element is 0. */
static inline bool
walk_next(Walk *walk, uint32 *position, float *x, float *y)
{
	bool		has_a = walk->i < walk->a->nnz;
	bool		has_b = walk->j < walk->b->nnz;
	uint32		p = has_a ? walk->a->indices[walk->i] : 0;
	uint32		q = has_b ? walk->b->indices[walk->j] : 0;

	if (!has_a && !has_b)
		return false;
	/* not past the end of one and not ahead of the other */
	has_a = has_a && (!has_b || p <= q);
	has_b = has_b && (!has_a || q <= p);
	*position = has_a ? p : q;
	*x = has_a ? walk->a_values[walk->i++] : 0.0f;
	*y = has_b ? walk->b_values[walk->j++] : 0.0f;
	return true;
}

/* ---- distances ---- */

/* Squared Euclidean distance */
static float
l2_squared(const SparseVec *a, const SparseVec *b)
{
	Walk		walk = walk_start(a, b);
	uint32		position;
	float		x,
				y,
				sum = 0.0f;

	while (walk_next(&walk, &position, &x, &y))
	{
		float		diff = x - y;

		sum += diff * diff;
	}
	return sum;
}

/*
 * Inner product.  Only common positions count, so the runs that one value has alone
 * are passed over without looking at values.
 */
static float
inner_product(const SparseVec *a, const SparseVec *b)
{
	const float *a_values = SPARSEVEC_VALUES(a);
	const float *b_values = SPARSEVEC_VALUES(b);
	uint32		i = 0;
	uint32		j = 0;
	float		sum = 0.0f;

	while (i < a->nnz && j < b->nnz)
	{
		uint32		p = a->indices[i];
		uint32		q = b->indices[j];

		if (p == q)
			sum += a_values[i] * b_values[j];
		i += (p <= q);
		j += (q <= p);
	}
	return sum;
}

/* Taxicab distance */
static float
l1(const SparseVec *a, const SparseVec *b)
{
	Walk		walk = walk_start(a, b);
	uint32		position;
	float		x,
				y,
				sum = 0.0f;

	while (walk_next(&walk, &position, &x, &y))
		sum += fabsf(x - y);
	return sum;
}

/* Sum of squares */
static float
square(const SparseVec *a)
{
	const float *values = SPARSEVEC_VALUES(a);
	float		sum = 0.0f;

	for (uint32 i = 0; i < a->nnz; i++)
		sum += values[i] * values[i];
	return sum;
}

/* Both arguments, which must have the same number of dimensions */
#define GETARG_SPARSEVEC_PAIR(a, b) \
	SparseVec  *a = PG_GETARG_SPARSEVEC_P(0); \
	SparseVec  *b = PG_GETARG_SPARSEVEC_P(1); \
	SparseCheckSame(a, b)

/* l2_distance(sparsevec, sparsevec), <-> */
Datum
sparsevec_l2_distance(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);

	PG_RETURN_FLOAT8(sqrt((double) l2_squared(a, b)));
}

/* l2_squared_distance(sparsevec, sparsevec) */
Datum
sparsevec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) l2_squared(a, b));
}

/* inner_product(sparsevec, sparsevec) */
Datum
sparsevec_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) inner_product(a, b));
}

/* negative_inner_product(sparsevec, sparsevec), <#> */
Datum
sparsevec_negative_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) -inner_product(a, b));
}

/* cosine_distance(sparsevec, sparsevec), <=>; NaN if one of them is zero */
Datum
sparsevec_cosine_distance(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);

	PG_RETURN_FLOAT8(CosineOfSums(inner_product(a, b), square(a), square(b)));
}

/* l1_distance(sparsevec, sparsevec), <+> */
Datum
sparsevec_l1_distance(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) l1(a, b));
}

/* ---- properties and parts ---- */

/* vector_dims(sparsevec): bigint, of a value stored out of line only the first chunk is read */
Datum
sparsevec_dims(PG_FUNCTION_ARGS)
{
	struct varlena *head = PG_DETOAST_DATUM_SLICE(PG_GETARG_DATUM(0), 0, sizeof(uint32));
	uint32		dim;

	memcpy(&dim, VARDATA_ANY(head), sizeof(dim));
	PG_RETURN_INT64((int64) dim);
}

/* l2_norm(sparsevec) */
Datum
sparsevec_l2_norm(PG_FUNCTION_ARGS)
{
	SparseVec  *a = PG_GETARG_SPARSEVEC_P(0);

	PG_RETURN_FLOAT8(ElemsNorm(SPARSEVEC_VALUES(a), a->nnz));
}

/* l2_normalize(sparsevec); elements that become zero go, and zero stays as it is */
Datum
sparsevec_l2_normalize(PG_FUNCTION_ARGS)
{
	SparseVec  *a = PG_GETARG_SPARSEVEC_P(0);
	float	   *x = palloc(sizeof(float) * Max(a->nnz, 1));
	SparseBuilder builder;

	ElemsNormalize(SPARSEVEC_VALUES(a), x, a->nnz);
	SparseBuilderInit(&builder, a->dim, a->nnz);
	for (uint32 i = 0; i < a->nnz; i++)
		SparseBuilderAdd(&builder, a->indices[i], x[i], NULL);
	PG_RETURN_SPARSEVEC_P(SparseBuilderFinish(&builder));
}

/*
 * subvector(sparsevec, start, count): elements start (from 1) and following; what of
 * them lies outside the value is cut off.
 */
Datum
sparsevec_subvector(PG_FUNCTION_ARGS)
{
	SparseVec  *a = PG_GETARG_SPARSEVEC_P(0);
	int64		start = PG_GETARG_INT64(1);
	int64		count = PG_GETARG_INT64(2);
	int64		first = Max(start, 1);
	int64		last;
	const float *values = SPARSEVEC_VALUES(a);
	SparseBuilder builder;

	if (count < 1)
		SparseCheckDim(0, NULL);
	/* start + count - 1, which must not overflow */
	last = (start > 0 && count > PG_INT64_MAX - start) ? PG_INT64_MAX : start + (count - 1);
	last = Min(last, (int64) a->dim);
	SparseCheckDim(Max(last - first + 1, 0), NULL);

	SparseBuilderInit(&builder, (uint32) (last - first + 1), a->nnz);
	for (uint32 i = 0; i < a->nnz; i++)
	{
		int64		position = (int64) a->indices[i] + 1;

		if (position >= first && position <= last)
			SparseBuilderAdd(&builder, (uint32) (position - first), values[i], NULL);
	}
	PG_RETURN_SPARSEVEC_P(SparseBuilderFinish(&builder));
}

/* binary_quantize(sparsevec): a bit a dimension, set where the element is positive */
Datum
sparsevec_binary_quantize(PG_FUNCTION_ARGS)
{
	SparseVec  *a = PG_GETARG_SPARSEVEC_P(0);
	const float *values = SPARSEVEC_VALUES(a);
	VarBit	   *result;

	/* bit(n) has this limit */
	if (a->dim > MaxAttrSize * BITS_PER_BYTE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("bit string length exceeds the maximum allowed (%d)",
						MaxAttrSize * BITS_PER_BYTE)));
	result = (VarBit *) palloc0(VARBITTOTALLEN(a->dim));
	SET_VARSIZE(result, VARBITTOTALLEN(a->dim));
	VARBITLEN(result) = a->dim;
	for (uint32 i = 0; i < a->nnz; i++)
	{
		uint32		position = a->indices[i];

		if (values[i] > 0)
			VARBITS(result)[position / BITS_PER_BYTE] |= HIGHBIT >> (position % BITS_PER_BYTE);
	}
	PG_RETURN_VARBIT_P(result);
}

/* sparsevec || sparsevec */
Datum
sparsevec_concat(PG_FUNCTION_ARGS)
{
	SparseVec  *a = PG_GETARG_SPARSEVEC_P(0);
	SparseVec  *b = PG_GETARG_SPARSEVEC_P(1);
	SparseVec  *result;

	SparseCheckDim((int64) a->dim + b->dim, NULL);
	SparseCheckCount((int64) a->nnz + b->nnz, NULL);
	result = InitSparseVec(a->dim + b->dim, a->nnz + b->nnz);
	memcpy(result->indices, a->indices, sizeof(uint32) * a->nnz);
	for (uint32 i = 0; i < b->nnz; i++)
		result->indices[a->nnz + i] = a->dim + b->indices[i];
	memcpy(SPARSEVEC_VALUES(result), SPARSEVEC_VALUES(a), sizeof(float) * a->nnz);
	memcpy(SPARSEVEC_VALUES(result) + a->nnz, SPARSEVEC_VALUES(b), sizeof(float) * b->nnz);
	PG_RETURN_SPARSEVEC_P(result);
}

/* ---- arithmetic, element by element ---- */

/* a + sign * b, without the elements that come to zero */
static SparseVec *
add_signed(const SparseVec *a, const SparseVec *b, float sign)
{
	Walk		walk = walk_start(a, b);
	SparseBuilder builder;
	uint32		position;
	float		x,
				y;

	SparseBuilderInit(&builder, a->dim, a->nnz + b->nnz);
	while (walk_next(&walk, &position, &x, &y))
	{
		float		sum = x + sign * y;

		if (unlikely(isinf(sum)))
			float_overflow_error();
		SparseBuilderAdd(&builder, position, sum, NULL);
	}
	return SparseBuilderFinish(&builder);
}

/* sparsevec + sparsevec */
Datum
sparsevec_add(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);

	PG_RETURN_SPARSEVEC_P(add_signed(a, b, 1.0f));
}

/* sparsevec - sparsevec */
Datum
sparsevec_sub(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);

	PG_RETURN_SPARSEVEC_P(add_signed(a, b, -1.0f));
}

/* sparsevec * sparsevec */
Datum
sparsevec_mul(PG_FUNCTION_ARGS)
{
	GETARG_SPARSEVEC_PAIR(a, b);
	Walk		walk = walk_start(a, b);
	SparseBuilder builder;
	uint32		position;
	float		x,
				y;

	SparseBuilderInit(&builder, a->dim, Min(a->nnz, b->nnz));
	while (walk_next(&walk, &position, &x, &y))
	{
		float		product = x * y;

		if (unlikely(isinf(product)))
			float_overflow_error();
		if (unlikely(product == 0 && x != 0 && y != 0))
			float_underflow_error();
		SparseBuilderAdd(&builder, position, product, NULL);
	}
	PG_RETURN_SPARSEVEC_P(SparseBuilderFinish(&builder));
}

/* ---- comparisons: as the vectors with all their zeros would compare ---- */

/* By the first element that differs, where both have one; then by length. */
static int
compare(const SparseVec *a, const SparseVec *b)
{
	Walk		walk = walk_start(a, b);
	uint32		shorter = Min(a->dim, b->dim);
	uint32		position;
	float		x,
				y;

	while (walk_next(&walk, &position, &x, &y) && position < shorter)
		if (x != y)
			return (x < y) ? -1 : 1;
	return (a->dim > b->dim) - (a->dim < b->dim);
}

/* -1, 0 or 1 as the first argument is less than, equal to or greater than the second. */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	SparseVec  *a = PG_GETARG_SPARSEVEC_P(0);
	SparseVec  *b = PG_GETARG_SPARSEVEC_P(1);
	int			result = compare(a, b);

	/* btree must not leak: it compares many pairs in one memory context */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

/* sparsevec < sparsevec */
Datum
sparsevec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

/* sparsevec <= sparsevec */
Datum
sparsevec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

/* sparsevec = sparsevec */
Datum
sparsevec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

/* sparsevec <> sparsevec */
Datum
sparsevec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

/* sparsevec >= sparsevec */
Datum
sparsevec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

/* sparsevec > sparsevec */
Datum
sparsevec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

/* sparsevec_cmp(sparsevec, sparsevec): support function 1 of btree */
Datum
sparsevec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}
