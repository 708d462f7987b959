/*
 * vector_ops.c
 *		Distances, arithmetic and comparisons of the type vector.
 */
#include "postgres.h"

#include <math.h>

#include "types/dense.h"
#include "types/distances.h"
#include "types/elems.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(vector_l2_distance);
PG_FUNCTION_INFO_V1(vector_l2_squared_distance);
PG_FUNCTION_INFO_V1(vector_inner_product);
PG_FUNCTION_INFO_V1(vector_negative_inner_product);
PG_FUNCTION_INFO_V1(vector_cosine_distance);
PG_FUNCTION_INFO_V1(vector_l1_distance);
PG_FUNCTION_INFO_V1(vector_dims);
PG_FUNCTION_INFO_V1(vector_norm);
PG_FUNCTION_INFO_V1(vector_l2_normalize);
PG_FUNCTION_INFO_V1(vector_subvector);
PG_FUNCTION_INFO_V1(vector_binary_quantize);
PG_FUNCTION_INFO_V1(vector_add);
PG_FUNCTION_INFO_V1(vector_sub);
PG_FUNCTION_INFO_V1(vector_mul);
PG_FUNCTION_INFO_V1(vector_concat);
PG_FUNCTION_INFO_V1(vector_lt);
PG_FUNCTION_INFO_V1(vector_le);
PG_FUNCTION_INFO_V1(vector_eq);
PG_FUNCTION_INFO_V1(vector_ne);
PG_FUNCTION_INFO_V1(vector_ge);
PG_FUNCTION_INFO_V1(vector_gt);
PG_FUNCTION_INFO_V1(vector_cmp);

/* ---- distances ---- */

/* Both arguments, which must have the same number of dimensions */
#define GETARG_VECTOR_PAIR(a, b) \
	Vector	   *a = PG_GETARG_VECTOR_P(0); \
	Vector	   *b = PG_GETARG_VECTOR_P(1); \
	DimsCheckSame("vector", a->dim, b->dim)

/* l2_distance(vector, vector), <-> */
Datum
vector_l2_distance(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);

	PG_RETURN_FLOAT8(sqrt((double) VectorL2Squared(a, b)));
}

/* l2_squared_distance(vector, vector) */
Datum
vector_l2_squared_distance(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);

	PG_RETURN_FLOAT8((double) VectorL2Squared(a, b));
}

/* inner_product(vector, vector) */
Datum
vector_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);

	PG_RETURN_FLOAT8((double) VectorInnerProduct(a, b));
}

/* negative_inner_product(vector, vector), <#> */
Datum
vector_negative_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);

	PG_RETURN_FLOAT8((double) -VectorInnerProduct(a, b));
}

/* cosine_distance(vector, vector), <=>; NaN if one of them is zero */
Datum
vector_cosine_distance(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);

	PG_RETURN_FLOAT8(VectorCosine(a, b));
}

/* l1_distance(vector, vector), <+> */
Datum
vector_l1_distance(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);

	PG_RETURN_FLOAT8((double) VectorL1(a, b));
}

/* ---- properties and parts ---- */

/* vector_dims(), of all types but sparsevec */
Datum
vector_dims(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(VectorDatumDim(PG_GETARG_DATUM(0)));
}

/* vector_norm(vector), l2_norm(vector) */
Datum
vector_norm(PG_FUNCTION_ARGS)
{
	Vector	   *a = PG_GETARG_VECTOR_P(0);

	PG_RETURN_FLOAT8(ElemsNorm(a->x, a->dim));
}

/* l2_normalize(vector); the zero vector stays as it is */
Datum
vector_l2_normalize(PG_FUNCTION_ARGS)
{
	Vector	   *a = PG_GETARG_VECTOR_P(0);
	Vector	   *result = InitVector(a->dim);

	ElemsNormalize(a->x, result->x, a->dim);
	PG_RETURN_VECTOR_P(result);
}

/* subvector(vector, start, count): elements start (from 1) and following */
Datum
vector_subvector(PG_FUNCTION_ARGS)
{
	return DenseSubvector(fcinfo, &DenseVector);
}

/* binary_quantize(vector): a bit an element, set where it is positive */
Datum
vector_binary_quantize(PG_FUNCTION_ARGS)
{
	Vector	   *a = PG_GETARG_VECTOR_P(0);

	PG_RETURN_VARBIT_P(ElemsBinaryQuantize(a->x, a->dim));
}

/* vector || vector */
Datum
vector_concat(PG_FUNCTION_ARGS)
{
	return DenseConcat(fcinfo, &DenseVector);
}

/* ---- arithmetic, element by element ---- */

/*
 * vector + vector.  As sum()'s transition function it adds to the running sum
 * where it is, which saves an allocation and a copy a row.
 */
Datum
vector_add(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);
	Vector	   *result = AggCheckCallContext(fcinfo, NULL) ? a : InitVector(a->dim);

	ElemsAdd(a->x, b->x, result->x, a->dim);
	if (ElemsAnyNonFinite(result->x, a->dim))
		float_overflow_error();
	PG_RETURN_VECTOR_P(result);
}

/* vector - vector */
Datum
vector_sub(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);
	Vector	   *result = InitVector(a->dim);

	ElemsSub(a->x, b->x, result->x, a->dim);
	if (ElemsAnyNonFinite(result->x, a->dim))
		float_overflow_error();
	PG_RETURN_VECTOR_P(result);
}

/* vector * vector */
Datum
vector_mul(PG_FUNCTION_ARGS)
{
	GETARG_VECTOR_PAIR(a, b);
	Vector	   *result = InitVector(a->dim);

	ElemsMul(a->x, b->x, result->x, a->dim);
	if (ElemsAnyNonFinite(result->x, a->dim))
		float_overflow_error();
	for (int i = 0; i < a->dim; i++)
		if (unlikely(result->x[i] == 0 && a->x[i] != 0 && b->x[i] != 0))
			float_underflow_error();
	PG_RETURN_VECTOR_P(result);
}

/* ---- comparisons: by the first element that differs, then by length ---- */

/* -1, 0 or 1 as the first argument is less than, equal to or greater than the second. */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	Vector	   *a = PG_GETARG_VECTOR_P(0);
	Vector	   *b = PG_GETARG_VECTOR_P(1);
	int			dim = Min(a->dim, b->dim);
	int			result = (a->dim > b->dim) - (a->dim < b->dim);

	for (int i = 0; i < dim; i++)
	{
		if (a->x[i] != b->x[i])
		{
			result = (a->x[i] < b->x[i]) ? -1 : 1;
			break;
		}
	}
	/* btree must not leak: it compares many pairs in one memory context */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

/* vector < vector */
Datum
vector_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

/* vector <= vector */
Datum
vector_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

/* vector = vector */
Datum
vector_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

/* vector <> vector */
Datum
vector_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

/* vector >= vector */
Datum
vector_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

/* vector > vector */
Datum
vector_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

/* vector_cmp(vector, vector): support function 1 of btree */
Datum
vector_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}
