/*
 * aggregates.c
 *		avg() and sum() of vector, halfvec, bfloat16vec and int8vec.
 *
 * The state is float8[]: the number of rows, then a sum a dimension in float64;
 * '{0}' at first, when the number of dimensions is not known yet.  Being an
 * ordinary value, it crosses to parallel workers without help.  sum() of bfloat16vec
 * and int8vec, whose own type would not hold it, has that state too and gives a
 * vector; sum() of the others is vector_add() and halfvec_add().
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "types/dense.h"
#include "types/elems.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(vector_accum);
PG_FUNCTION_INFO_V1(vector_combine);
PG_FUNCTION_INFO_V1(vector_avg);
PG_FUNCTION_INFO_V1(vector_sum);
PG_FUNCTION_INFO_V1(halfvec_accum);
PG_FUNCTION_INFO_V1(halfvec_avg);
PG_FUNCTION_INFO_V1(bfloat16vec_accum);
PG_FUNCTION_INFO_V1(int8vec_accum);

/*
 * The values of a state, and its number of dimensions.  Anybody can call the
 * aggregates' functions, so the array is not taken for granted.
 */
static float8 *
state_values(ArrayType *state, int *dim)
{
	if (ARR_NDIM(state) != 1 || ARR_DIMS(state)[0] < 1 ||
		ARR_HASNULL(state) || ARR_ELEMTYPE(state) != FLOAT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("array is not a state of avg"),
				 errdetail("It must be one-dimensional, not empty and without nulls.")));
	*dim = ARR_DIMS(state)[0] - 1;
	return (float8 *) ARR_DATA_PTR(state);
}

/* A palloc'd state of n rows and dim dimensions, whose sums the caller sets. */
static ArrayType *
new_state(float8 n, int dim, float8 **sums)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + sizeof(float8) * ((Size) dim + 1);
	ArrayType  *state = (ArrayType *) palloc(size);

	SET_VARSIZE(state, size);
	state->ndim = 1;
	state->dataoffset = 0;
	state->elemtype = FLOAT8OID;
	ARR_DIMS(state)[0] = dim + 1;
	ARR_LBOUND(state)[0] = 1;
	((float8 *) ARR_DATA_PTR(state))[0] = n;
	*sums = (float8 *) ARR_DATA_PTR(state) + 1;
	return state;
}

/*
 * The state with dim elements added as one row.  Within an aggregate the state
 * is ours to change; elsewhere it is copied.
 */
static ArrayType *
accumulate(FunctionCallInfo fcinfo, const float *x, int dim)
{
	ArrayType  *state = PG_GETARG_ARRAYTYPE_P(0);
	int			state_dim;
	float8	   *values = state_values(state, &state_dim);
	float8	   *sums;

	if (state_dim == 0)
	{
		state = new_state(values[0] + 1.0, dim, &sums);
		for (int i = 0; i < dim; i++)
			sums[i] = (double) x[i];
		return state;
	}

	DimsCheckExpected(state_dim, dim, NULL);
	if (AggCheckCallContext(fcinfo, NULL))
	{
		values[0] += 1.0;
		sums = values + 1;
	}
	else
	{
		state = new_state(values[0] + 1.0, dim, &sums);
		memcpy(sums, values + 1, sizeof(float8) * dim);
	}
	for (int i = 0; i < dim; i++)
	{
		sums[i] += (double) x[i];
		if (unlikely(isinf(sums[i])))
			float_overflow_error();
	}
	return state;
}

/* vector_accum(float8[], vector): transition function of avg(vector) */
Datum
vector_accum(PG_FUNCTION_ARGS)
{
	Vector	   *v = PG_GETARG_VECTOR_P(1);

	PG_RETURN_ARRAYTYPE_P(accumulate(fcinfo, v->x, v->dim));
}

/* The state with the second argument, a value of the type, added. */
static Datum
accumulate_narrow(FunctionCallInfo fcinfo, const DenseType *type)
{
	Vector	   *v = PG_GETARG_VECTOR_P(1);

	PG_RETURN_ARRAYTYPE_P(accumulate(fcinfo, DenseWiden(type, v), v->dim));
}

/* halfvec_accum(float8[], halfvec): transition function of avg(halfvec) */
Datum
halfvec_accum(PG_FUNCTION_ARGS)
{
	return accumulate_narrow(fcinfo, &DenseHalfVec);
}

/* bfloat16vec_accum(float8[], bfloat16vec): of avg and sum */
Datum
bfloat16vec_accum(PG_FUNCTION_ARGS)
{
	return accumulate_narrow(fcinfo, &DenseBFloat16Vec);
}

/* int8vec_accum(float8[], int8vec): of avg and sum */
Datum
int8vec_accum(PG_FUNCTION_ARGS)
{
	return accumulate_narrow(fcinfo, &DenseInt8Vec);
}

/* vector_combine(float8[], float8[]): the state of the rows of both states */
Datum
vector_combine(PG_FUNCTION_ARGS)
{
	ArrayType  *a = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType  *b = PG_GETARG_ARRAYTYPE_P(1);
	int			dim,
				b_dim;
	float8	   *a_values = state_values(a, &dim);
	float8	   *b_values = state_values(b, &b_dim);
	ArrayType  *result;
	float8	   *sums;

	if (a_values[0] == 0.0)
		PG_RETURN_ARRAYTYPE_P(b);
	if (b_values[0] == 0.0)
		PG_RETURN_ARRAYTYPE_P(a);

	DimsCheckExpected(dim, b_dim, NULL);
	result = new_state(a_values[0] + b_values[0], dim, &sums);
	for (int i = 0; i < dim; i++)
	{
		sums[i] = a_values[i + 1] + b_values[i + 1];
		if (unlikely(isinf(sums[i])))
			float_overflow_error();
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

/* A state's sums, divided by divisor, as a value of the type. */
static Datum
result_of(const DenseType *type, const float8 *sums, int dim, float8 divisor)
{
	float	   *x;
	Vector	   *result;

	DimsCheck(type->name, dim, NULL);
	x = palloc(sizeof(float) * dim);
	for (int i = 0; i < dim; i++)
		x[i] = (float) (sums[i] / divisor);
	result = InitDense(type, dim);
	type->narrow(x, result->x, dim);
	pfree(x);
	PG_RETURN_POINTER(result);
}

/* The mean of a state's rows as a value of the type; NULL of no rows. */
static Datum
mean(FunctionCallInfo fcinfo, const DenseType *type)
{
	int			dim;
	float8	   *values = state_values(PG_GETARG_ARRAYTYPE_P(0), &dim);

	if (values[0] == 0.0)
		PG_RETURN_NULL();
	return result_of(type, values + 1, dim, values[0]);
}

/* vector_avg(float8[]): final function of avg, of all types but halfvec */
Datum
vector_avg(PG_FUNCTION_ARGS)
{
	return mean(fcinfo, &DenseVector);
}

/* halfvec_avg(float8[]): final function of avg(halfvec) */
Datum
halfvec_avg(PG_FUNCTION_ARGS)
{
	return mean(fcinfo, &DenseHalfVec);
}

/* vector_sum(float8[]): final function of sum(bfloat16vec) and sum(int8vec) */
Datum
vector_sum(PG_FUNCTION_ARGS)
{
	int			dim;
	float8	   *values = state_values(PG_GETARG_ARRAYTYPE_P(0), &dim);

	if (values[0] == 0.0)
		PG_RETURN_NULL();
	/* the type's own error for what the caller did not give would mislead */
	for (int i = 1; i <= dim; i++)
		if (unlikely(isinf((float) values[i])))
			float_overflow_error();
	return result_of(&DenseVector, values + 1, dim, 1.0);
}
