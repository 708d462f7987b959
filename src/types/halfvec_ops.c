/*
 * halfvec_ops.c
 *		Distances, arithmetic and comparisons of the type halfvec.
 *
 * Arithmetic is done in float32 and rounded once to float16, which for + - *
 * gives what float16 arithmetic would: float32 has more than twice the digits
 * (S. A. Figueroa, When is double rounding innocuous?, 1995).
 */
#include "postgres.h"

#include <math.h>

#include "kernels/kernels.h"
#include "types/distances.h"
#include "types/elems.h"
#include "types/halfvec.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(halfvec_l2_distance);
PG_FUNCTION_INFO_V1(halfvec_l2_squared_distance);
PG_FUNCTION_INFO_V1(halfvec_inner_product);
PG_FUNCTION_INFO_V1(halfvec_negative_inner_product);
PG_FUNCTION_INFO_V1(halfvec_cosine_distance);
PG_FUNCTION_INFO_V1(halfvec_l1_distance);
PG_FUNCTION_INFO_V1(halfvec_l2_norm);
PG_FUNCTION_INFO_V1(halfvec_l2_normalize);
PG_FUNCTION_INFO_V1(halfvec_subvector);
PG_FUNCTION_INFO_V1(halfvec_binary_quantize);
PG_FUNCTION_INFO_V1(halfvec_add);
PG_FUNCTION_INFO_V1(halfvec_sub);
PG_FUNCTION_INFO_V1(halfvec_mul);
PG_FUNCTION_INFO_V1(halfvec_concat);
PG_FUNCTION_INFO_V1(halfvec_lt);
PG_FUNCTION_INFO_V1(halfvec_le);
PG_FUNCTION_INFO_V1(halfvec_eq);
PG_FUNCTION_INFO_V1(halfvec_ne);
PG_FUNCTION_INFO_V1(halfvec_ge);
PG_FUNCTION_INFO_V1(halfvec_gt);
PG_FUNCTION_INFO_V1(halfvec_cmp);

/* The bits of a float16 but the sign */
#define HALF_MAGNITUDE 0x7fff

/* ---- distances ---- */

/* Both arguments, which must have the same number of dimensions */
#define GETARG_HALFVEC_PAIR(a, b) \
	HalfVec    *a = PG_GETARG_HALFVEC_P(0); \
	HalfVec    *b = PG_GETARG_HALFVEC_P(1); \
	DimsCheckSame("halfvec", a->dim, b->dim)

/* l2_distance(halfvec, halfvec), <-> */
Datum
halfvec_l2_distance(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);

	PG_RETURN_FLOAT8(sqrt((double) HalfVecL2Squared(a, b)));
}

/* l2_squared_distance(halfvec, halfvec) */
Datum
halfvec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) HalfVecL2Squared(a, b));
}

/* inner_product(halfvec, halfvec) */
Datum
halfvec_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) HalfVecInnerProduct(a, b));
}

/* negative_inner_product(halfvec, halfvec), <#> */
Datum
halfvec_negative_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) -HalfVecInnerProduct(a, b));
}

/* cosine_distance(halfvec, halfvec), <=>; NaN if one of them is zero */
Datum
halfvec_cosine_distance(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);

	PG_RETURN_FLOAT8(HalfVecCosine(a, b));
}

/* l1_distance(halfvec, halfvec), <+> */
Datum
halfvec_l1_distance(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) HalfVecL1(a, b));
}

/* ---- properties and parts ---- */

/* The elements as a palloc'd array of float32. */
static float *
widen(const HalfVec *a)
{
	float	   *x = palloc(sizeof(float) * a->dim);

	kernels->f16_to_f32(a->x, x, a->dim);
	return x;
}

/* l2_norm(halfvec) */
Datum
halfvec_l2_norm(PG_FUNCTION_ARGS)
{
	HalfVec    *a = PG_GETARG_HALFVEC_P(0);

	PG_RETURN_FLOAT8(ElemsNorm(widen(a), a->dim));
}

/* l2_normalize(halfvec); the zero vector stays as it is */
Datum
halfvec_l2_normalize(PG_FUNCTION_ARGS)
{
	HalfVec    *a = PG_GETARG_HALFVEC_P(0);
	float	   *x = widen(a);
	HalfVec    *result = InitHalfVec(a->dim);

	ElemsNormalize(x, x, a->dim);
	kernels->f32_to_f16(x, result->x, a->dim);
	PG_RETURN_HALFVEC_P(result);
}

/* subvector(halfvec, start, count): elements start (from 1) and following */
Datum
halfvec_subvector(PG_FUNCTION_ARGS)
{
	HalfVec    *a = PG_GETARG_HALFVEC_P(0);
	int			start = PG_GETARG_INT32(1);
	int			dim = DimsSubrange("halfvec", a->dim, &start, PG_GETARG_INT32(2));
	HalfVec    *result = InitHalfVec(dim);

	memcpy(result->x, a->x + start, sizeof(uint16) * dim);
	PG_RETURN_HALFVEC_P(result);
}

/* binary_quantize(halfvec): a bit an element, set where it is positive */
Datum
halfvec_binary_quantize(PG_FUNCTION_ARGS)
{
	HalfVec    *a = PG_GETARG_HALFVEC_P(0);

	PG_RETURN_VARBIT_P(ElemsBinaryQuantize(widen(a), a->dim));
}

/* halfvec || halfvec */
Datum
halfvec_concat(PG_FUNCTION_ARGS)
{
	HalfVec    *a = PG_GETARG_HALFVEC_P(0);
	HalfVec    *b = PG_GETARG_HALFVEC_P(1);
	int			dim = a->dim + b->dim;
	HalfVec    *result;

	DimsCheck("halfvec", dim, NULL);
	result = InitHalfVec(dim);
	memcpy(result->x, a->x, sizeof(uint16) * a->dim);
	memcpy(result->x + a->dim, b->x, sizeof(uint16) * b->dim);
	PG_RETURN_HALFVEC_P(result);
}

/* ---- arithmetic, element by element ---- */

/*
 * op on the two arguments, written to result, which may be a or b.  Raises an
 * error where a result is too large for float16, and if nonzero_product, where
 * two elements other than zero gave zero.
 */
static void
apply(ElemsOp op, const HalfVec *a, const HalfVec *b, HalfVec *result, bool nonzero_product)
{
	float		x[ELEMS_CHUNK];
	float		y[ELEMS_CHUNK];

	for (int done = 0; done < a->dim; done += ELEMS_CHUNK)
	{
		int			n = Min(a->dim - done, ELEMS_CHUNK);
		bool		underflow = false;

		kernels->f16_to_f32(a->x + done, x, n);
		kernels->f16_to_f32(b->x + done, y, n);
		op(x, y, y, n);
		for (int i = 0; i < n; i++)
			if (unlikely(fabsf(y[i]) >= HALF_OVERFLOW))
				float_overflow_error();
		if (!nonzero_product)
			kernels->f32_to_f16(y, result->x + done, n);
		else
		{
			uint16		product[ELEMS_CHUNK];

			kernels->f32_to_f16(y, product, n);
			for (int i = 0; i < n; i++)
				underflow |= (product[i] & HALF_MAGNITUDE) == 0 &&
					(a->x[done + i] & HALF_MAGNITUDE) != 0 &&
					(b->x[done + i] & HALF_MAGNITUDE) != 0;
			if (underflow)
				float_underflow_error();
			memcpy(result->x + done, product, sizeof(uint16) * n);
		}
	}
}

/*
 * halfvec + halfvec.  As sum()'s transition function it adds to the running sum
 * where it is, which saves an allocation and a copy a row.
 */
Datum
halfvec_add(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);
	HalfVec    *result = AggCheckCallContext(fcinfo, NULL) ? a : InitHalfVec(a->dim);

	apply(ElemsAdd, a, b, result, false);
	PG_RETURN_HALFVEC_P(result);
}

/* halfvec - halfvec */
Datum
halfvec_sub(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);
	HalfVec    *result = InitHalfVec(a->dim);

	apply(ElemsSub, a, b, result, false);
	PG_RETURN_HALFVEC_P(result);
}

/* halfvec * halfvec */
Datum
halfvec_mul(PG_FUNCTION_ARGS)
{
	GETARG_HALFVEC_PAIR(a, b);
	HalfVec    *result = InitHalfVec(a->dim);

	apply(ElemsMul, a, b, result, true);
	PG_RETURN_HALFVEC_P(result);
}

/* ---- comparisons: by the first element that differs, then by length ---- */

/* An integer that orders as the float16 does; both zeros give 0. */
static inline int
half_order(uint16 bits)
{
	int			magnitude = bits & HALF_MAGNITUDE;

	return (bits == magnitude) ? magnitude : -magnitude;
}

/* -1, 0 or 1 as the first argument is less than, equal to or greater than the second. */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	HalfVec    *a = PG_GETARG_HALFVEC_P(0);
	HalfVec    *b = PG_GETARG_HALFVEC_P(1);
	int			dim = Min(a->dim, b->dim);
	int			result = (a->dim > b->dim) - (a->dim < b->dim);

	for (int i = 0; i < dim; i++)
	{
		int			x = half_order(a->x[i]);
		int			y = half_order(b->x[i]);

		if (x != y)
		{
			result = (x < y) ? -1 : 1;
			break;
		}
	}
	/* btree must not leak: it compares many pairs in one memory context */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

/* halfvec < halfvec */
Datum
halfvec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

/* halfvec <= halfvec */
Datum
halfvec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

/* halfvec = halfvec */
Datum
halfvec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

/* halfvec <> halfvec */
Datum
halfvec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

/* halfvec >= halfvec */
Datum
halfvec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

/* halfvec > halfvec */
Datum
halfvec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

/* halfvec_cmp(halfvec, halfvec): support function 1 of btree */
Datum
halfvec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}
