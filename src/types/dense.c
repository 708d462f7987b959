/*
 * dense.c
 *		What vector, halfvec, bfloat16vec and int8vec have in common.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "kernels/kernels.h"
#include "types/bfloat16vec.h"
#include "types/dense.h"
#include "types/elems.h"
#include "types/int8vec.h"

StaticAssertDecl(offsetof(HalfVec, x) == offsetof(Vector, x) &&
					 offsetof(Int8Vec, x) == offsetof(Vector, x),
				 "dense types must have the header of vector");

/* ---- conversions ---- */

/* Raise the error that element i, a number too large for the type, deserves. */
static void
out_of_range(const char *type, float x, int i)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	ElemsCheckElement(type, x, i, NULL);
	float_to_shortest_decimal_buf(x, text);
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type %s", text, type)));
}

/* Raise an error unless the magnitudes of all n elements are below the bound. */
static void
check_below(const char *type, const float *x, int n, float bound)
{
	for (int i = 0; i < n; i++)
	{
		/* also true of NaN */
		if (unlikely(!(fabsf(x[i]) < bound)))
			out_of_range(type, x[i], i);
	}
}

static void
vector_widen(const void *elems, float *x, int n)
{
	memcpy(x, elems, sizeof(float) * n);
}

static void
vector_narrow(const float *x, void *elems, int n)
{
	ElemsCheckFinite("vector", x, n);
	if (elems != x)
		memcpy(elems, x, sizeof(float) * n);
}

static void
halfvec_widen(const void *elems, float *x, int n)
{
	kernels->f16_to_f32(elems, x, n);
}

static void
halfvec_narrow(const float *x, void *elems, int n)
{
	check_below("halfvec", x, n, HALF_OVERFLOW);
	kernels->f32_to_f16(x, elems, n);
}

static void
bfloat16vec_widen(const void *elems, float *x, int n)
{
	kernels->bf16_to_f32(elems, x, n);
}

static void
bfloat16vec_narrow(const float *x, void *elems, int n)
{
	check_below("bfloat16vec", x, n, BFLOAT16_OVERFLOW);
	kernels->f32_to_bf16(x, elems, n);
}

static void
int8vec_widen(const void *elems, float *x, int n)
{
	const int8 *values = elems;

	for (int i = 0; i < n; i++)
		x[i] = values[i];
}

static void
int8vec_narrow(const float *x, void *elems, int n)
{
	int8	   *values = elems;

	for (int i = 0; i < n; i++)
	{
		float		rounded = rintf(x[i]);

		/* also true of NaN */
		if (unlikely(!(rounded >= PG_INT8_MIN && rounded <= PG_INT8_MAX)))
			out_of_range("int8vec", x[i], i);
		values[i] = (int8) rounded;
	}
}

const DenseType DenseVector = {"vector", sizeof(float), vector_widen, vector_narrow};
const DenseType DenseHalfVec = {"halfvec", sizeof(uint16), halfvec_widen, halfvec_narrow};
const DenseType DenseBFloat16Vec = {
	"bfloat16vec", sizeof(uint16), bfloat16vec_widen, bfloat16vec_narrow};
const DenseType DenseInt8Vec = {"int8vec", sizeof(int8), int8vec_widen, int8vec_narrow};

/* ---- values ---- */

/* See dense.h. */
Vector *
InitDense(const DenseType *type, int dim)
{
	Size		size = offsetof(Vector, x) + type->width * dim;
	Vector	   *result = (Vector *) palloc(size);

	Assert(dim >= 1 && dim <= VECTOR_MAX_DIM);
	SET_VARSIZE(result, size);
	result->dim = (uint16) dim;
	result->unused = 0;
	return result;
}

/* See dense.h. */
float *
DenseWiden(const DenseType *type, const Vector *value)
{
	float	   *x = palloc(sizeof(float) * value->dim);

	type->widen(value->x, x, value->dim);
	return x;
}

/* See dense.h. */
Datum
DenseSubvector(FunctionCallInfo fcinfo, const DenseType *type)
{
	Vector	   *a = PG_GETARG_VECTOR_P(0);
	int			start = PG_GETARG_INT32(1);
	int			dim = DimsSubrange(type->name, a->dim, &start, PG_GETARG_INT32(2));
	Vector	   *result = InitDense(type, dim);

	memcpy(result->x, (char *) a->x + type->width * start, type->width * dim);
	PG_RETURN_POINTER(result);
}

/* See dense.h. */
Datum
DenseConcat(FunctionCallInfo fcinfo, const DenseType *type)
{
	Vector	   *a = PG_GETARG_VECTOR_P(0);
	Vector	   *b = PG_GETARG_VECTOR_P(1);
	int			dim = a->dim + b->dim;
	Vector	   *result;

	DimsCheck(type->name, dim, NULL);
	result = InitDense(type, dim);
	memcpy(result->x, a->x, type->width * a->dim);
	memcpy((char *) result->x + type->width * a->dim, b->x, type->width * b->dim);
	PG_RETURN_POINTER(result);
}
