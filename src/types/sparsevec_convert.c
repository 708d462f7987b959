/*
 * sparsevec_convert.c
 *		Casts from and to sparsevec, and its avg() and sum().
 *
 * The aggregates' state is float8[]: the number of rows, the number of dimensions (0
 * before the first row), then pairs of position and sum in the order of the positions.
 * float64 holds every position.  Being an ordinary value, the state crosses to
 * parallel workers without help.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "types/casts.h"
#include "types/dense.h"
#include "types/elems.h"
#include "types/sparse.h"
#include "utils/float.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(sparsevec_check_typmod);
PG_FUNCTION_INFO_V1(vector_to_sparsevec);
PG_FUNCTION_INFO_V1(halfvec_to_sparsevec);
PG_FUNCTION_INFO_V1(bfloat16vec_to_sparsevec);
PG_FUNCTION_INFO_V1(int8vec_to_sparsevec);
PG_FUNCTION_INFO_V1(sparsevec_to_vector);
PG_FUNCTION_INFO_V1(sparsevec_to_halfvec);
PG_FUNCTION_INFO_V1(sparsevec_to_bfloat16vec);
PG_FUNCTION_INFO_V1(sparsevec_to_int8vec);
PG_FUNCTION_INFO_V1(array_to_sparsevec);
PG_FUNCTION_INFO_V1(sparsevec_to_float4);
PG_FUNCTION_INFO_V1(sparsevec_accum);
PG_FUNCTION_INFO_V1(sparsevec_combine);
PG_FUNCTION_INFO_V1(sparsevec_avg);
PG_FUNCTION_INFO_V1(sparsevec_sum);

/* ---- casts ---- */

/* sparsevec(sparsevec, typmod, explicit): the value itself, checked */
Datum
sparsevec_check_typmod(PG_FUNCTION_ARGS)
{
	SparseVec  *v = PG_GETARG_SPARSEVEC_P(0);

	SparseCheckExpected(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_SPARSEVEC_P(v);
}

/* n finite elements as a sparsevec */
static SparseVec *
from_elements(const float *x, int n)
{
	SparseBuilder builder;
	uint32		nnz = 0;

	for (int i = 0; i < n; i++)
		nnz += (x[i] != 0);
	SparseBuilderInit(&builder, (uint32) n, nnz);
	for (int i = 0; i < n; i++)
		SparseBuilderAdd(&builder, (uint32) i, x[i], NULL);
	return SparseBuilderFinish(&builder);
}

/* The elements of a value, of n dimensions, with all its zeros, palloc'd */
static float *
all_elements(const SparseVec *v, uint32 n)
{
	const float *values = SPARSEVEC_VALUES(v);
	float	   *x = palloc0(sizeof(float) * n);

	for (uint32 i = 0; i < v->nnz; i++)
		x[v->indices[i]] = values[i];
	return x;
}

/* The first argument, of a dense type, as a sparsevec */
static Datum
from_dense(FunctionCallInfo fcinfo, const DenseType *type)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);

	SparseCheckExpected(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_SPARSEVEC_P(from_elements(DenseWiden(type, v), v->dim));
}

/* The first argument, a sparsevec, as a value of a dense type */
static Datum
to_dense(FunctionCallInfo fcinfo, const DenseType *type)
{
	SparseVec  *v = PG_GETARG_SPARSEVEC_P(0);
	Vector	   *result;

	DimsCheck(type->name, (int) Min(v->dim, PG_INT32_MAX), NULL);
	DimsCheckExpected(PG_GETARG_INT32(1), (int) v->dim, NULL);
	result = InitDense(type, (int) v->dim);
	type->narrow(all_elements(v, v->dim), result->x, (int) v->dim);
	PG_RETURN_POINTER(result);
}

/* vector_to_sparsevec(vector, typmod, explicit) */
Datum
vector_to_sparsevec(PG_FUNCTION_ARGS)
{
	return from_dense(fcinfo, &DenseVector);
}

/* halfvec_to_sparsevec(halfvec, typmod, explicit) */
Datum
halfvec_to_sparsevec(PG_FUNCTION_ARGS)
{
	return from_dense(fcinfo, &DenseHalfVec);
}

/* bfloat16vec_to_sparsevec(bfloat16vec, typmod, explicit) */
Datum
bfloat16vec_to_sparsevec(PG_FUNCTION_ARGS)
{
	return from_dense(fcinfo, &DenseBFloat16Vec);
}

/* int8vec_to_sparsevec(int8vec, typmod, explicit) */
Datum
int8vec_to_sparsevec(PG_FUNCTION_ARGS)
{
	return from_dense(fcinfo, &DenseInt8Vec);
}

/* sparsevec_to_vector(sparsevec, typmod, explicit) */
Datum
sparsevec_to_vector(PG_FUNCTION_ARGS)
{
	return to_dense(fcinfo, &DenseVector);
}

/* sparsevec_to_halfvec(sparsevec, typmod, explicit) */
Datum
sparsevec_to_halfvec(PG_FUNCTION_ARGS)
{
	return to_dense(fcinfo, &DenseHalfVec);
}

/* sparsevec_to_bfloat16vec(sparsevec, typmod, explicit) */
Datum
sparsevec_to_bfloat16vec(PG_FUNCTION_ARGS)
{
	return to_dense(fcinfo, &DenseBFloat16Vec);
}

/* sparsevec_to_int8vec(sparsevec, typmod, explicit) */
Datum
sparsevec_to_int8vec(PG_FUNCTION_ARGS)
{
	return to_dense(fcinfo, &DenseInt8Vec);
}

/* array_to_sparsevec(array, typmod, explicit): one function for all element types */
Datum
array_to_sparsevec(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			n = ArrayCheckedLength(array);
	float	   *x;

	SparseCheckDim(n, NULL);
	SparseCheckExpected(PG_GETARG_INT32(1), (uint32) n, NULL);
	x = palloc(sizeof(float) * n);
	ArrayToFloats(array, x, n);
	ElemsCheckFinite("sparsevec", x, n);
	PG_RETURN_SPARSEVEC_P(from_elements(x, n));
}

/* sparsevec_to_float4(sparsevec, typmod, explicit): all elements, with the zeros */
Datum
sparsevec_to_float4(PG_FUNCTION_ARGS)
{
	SparseVec  *v = PG_GETARG_SPARSEVEC_P(0);

	if (v->dim > MaxArraySize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("array size exceeds the maximum allowed (%d)", (int) MaxArraySize)));
	PG_RETURN_ARRAYTYPE_P(FloatsToArray(all_elements(v, v->dim), (int) v->dim, FLOAT4OID));
}

/* ---- aggregates ---- */

/* A state taken apart */
typedef struct State
{
	float8		rows;
	float8		dim;
	int			n;				/* pairs */
	const float8 *pairs;
} State;

/* Raise the error of an array that is not a state. */
static void
not_a_state(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("array is not a state of avg"),
			 errdetail("It must hold rows, dimensions and pairs of position and sum.")));
}

/*
 * Take an array apart.  Anybody can call the aggregates' functions, so it is not
 * taken for granted that it has the shape of a state.
 */
static State
open_state(ArrayType *array)
{
	const float8 *values;

	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] < 2 || ARR_DIMS(array)[0] % 2 != 0 ||
		ARR_HASNULL(array) || ARR_ELEMTYPE(array) != FLOAT8OID)
		not_a_state();
	values = (const float8 *) ARR_DATA_PTR(array);
	return (State) {values[0], values[1], ARR_DIMS(array)[0] / 2 - 1, values + 2};
}

/* open_state(), with everything checked: the positions, too, are those of a state. */
static State
read_state(ArrayType *array)
{
	State		state = open_state(array);
	float8		previous = -1;

	if (!(state.rows >= 0 && state.dim >= 0 && state.dim <= SPARSEVEC_MAX_DIM &&
		  rint(state.dim) == state.dim && (state.dim > 0) == (state.rows > 0)))
		not_a_state();
	for (int i = 0; i < state.n; i++)
	{
		float8		position = state.pairs[2 * i];

		/* true of NaN, too */
		if (!(position > previous && position < state.dim && rint(position) == position))
			not_a_state();
		previous = position;
	}
	return state;
}

/* The number of the first pair from `from` on whose position is not below the one given. */
static int
find_pair(const State *state, int from, float8 position)
{
	int			to = state->n;

	while (from < to)
	{
		int			middle = from + (to - from) / 2;

		if (state->pairs[2 * middle] < position)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/*
 * Add a value to a state where it is, if the state has all of its positions; else
 * change nothing and return false.  After the first rows of a large set that is most
 * of them, and saves a pass over a state that may be much larger than the value.
 */
static bool
add_in_place(ArrayType *array, const SparseVec *v)
{
	State		state = open_state(array);
	float8	   *values = (float8 *) ARR_DATA_PTR(array);
	const float *x = SPARSEVEC_VALUES(v);
	int		   *found;
	int			pair = 0;

	if (state.dim != (float8) v->dim || (uint32) state.n < v->nnz)
		return false;
	found = palloc(sizeof(int) * Max(v->nnz, 1));
	for (uint32 i = 0; i < v->nnz; i++)
	{
		pair = find_pair(&state, pair, v->indices[i]);
		if (pair == state.n || state.pairs[2 * pair] != (float8) v->indices[i])
		{
			pfree(found);
			return false;
		}
		found[i] = pair++;
	}
	values[0] += 1.0;
	for (uint32 i = 0; i < v->nnz; i++)
	{
		float8	   *sum = &values[2 + 2 * found[i] + 1];

		*sum += x[i];
		if (unlikely(isinf(*sum)))
			float_overflow_error();
	}
	pfree(found);
	return true;
}

/* A palloc'd state of the rows of two; they may not have different dimensions. */
static ArrayType *
add_states(const State *a, const State *b)
{
	/* at most as many pairs as both have */
	Size		room = ARR_OVERHEAD_NONULLS(1) +
		sizeof(float8) * (2 + 2 * ((Size) a->n + (Size) b->n));
	ArrayType  *result = (ArrayType *) palloc(room);
	float8	   *values;
	float8	   *out;
	int			i = 0,
				j = 0;

	if (a->dim > 0 && b->dim > 0 && a->dim != b->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %u dimensions, not %u", (uint32) a->dim, (uint32) b->dim)));

	result->ndim = 1;
	result->dataoffset = 0;
	result->elemtype = FLOAT8OID;
	ARR_LBOUND(result)[0] = 1;
	values = (float8 *) ARR_DATA_PTR(result);
	values[0] = a->rows + b->rows;
	values[1] = Max(a->dim, b->dim);
	out = values + 2;
	while (i < a->n || j < b->n)
	{
		float8		p = (i < a->n) ? a->pairs[2 * i] : get_float8_infinity();
		float8		q = (j < b->n) ? b->pairs[2 * j] : get_float8_infinity();
		float8		sum = 0.0;

		if (p <= q)
			sum += a->pairs[2 * i++ + 1];
		if (q <= p)
			sum += b->pairs[2 * j++ + 1];
		if (unlikely(isinf(sum)))
			float_overflow_error();
		*out++ = Min(p, q);
		*out++ = sum;
	}
	ARR_DIMS(result)[0] = (int) (out - values);
	SET_VARSIZE(result, (char *) out - (char *) result);
	return result;
}

/*
 * sparsevec_accum(float8[], sparsevec): transition function of avg and sum.  Within
 * an aggregate the state is ours to change; elsewhere it is copied.
 */
Datum
sparsevec_accum(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	SparseVec  *v = PG_GETARG_SPARSEVEC_P(1);
	const float *values = SPARSEVEC_VALUES(v);
	State		state,
				row;
	float8	   *pairs;
	ArrayType  *result;

	if (AggCheckCallContext(fcinfo, NULL) && add_in_place(array, v))
		PG_RETURN_ARRAYTYPE_P(array);

	state = read_state(array);
	pairs = palloc(sizeof(float8) * 2 * Max(v->nnz, 1));
	row = (State) {1, v->dim, (int) v->nnz, pairs};
	for (uint32 i = 0; i < v->nnz; i++)
	{
		pairs[2 * i] = v->indices[i];
		pairs[2 * i + 1] = values[i];
	}
	result = add_states(&state, &row);
	pfree(pairs);
	PG_RETURN_ARRAYTYPE_P(result);
}

/* sparsevec_combine(float8[], float8[]): the state of the rows of both states */
Datum
sparsevec_combine(PG_FUNCTION_ARGS)
{
	State		a = read_state(PG_GETARG_ARRAYTYPE_P(0));
	State		b = read_state(PG_GETARG_ARRAYTYPE_P(1));

	PG_RETURN_ARRAYTYPE_P(add_states(&a, &b));
}

/* The sums of a state with rows, divided by divisor */
static SparseVec *
result_of(const State *state, float8 divisor)
{
	SparseBuilder builder;

	SparseBuilderInit(&builder, (uint32) state->dim, (uint32) state->n);
	for (int i = 0; i < state->n; i++)
	{
		float		value = (float) (state->pairs[2 * i + 1] / divisor);

		if (unlikely(isinf(value)))
			float_overflow_error();
		ElemsCheckElement("sparsevec", value, i, NULL);
		SparseBuilderAdd(&builder, (uint32) state->pairs[2 * i], value, NULL);
	}
	return SparseBuilderFinish(&builder);
}

/* sparsevec_avg(float8[]): final function of avg(sparsevec) */
Datum
sparsevec_avg(PG_FUNCTION_ARGS)
{
	State		state = read_state(PG_GETARG_ARRAYTYPE_P(0));

	if (state.rows == 0)
		PG_RETURN_NULL();
	PG_RETURN_SPARSEVEC_P(result_of(&state, state.rows));
}

/* sparsevec_sum(float8[]): final function of sum(sparsevec) */
Datum
sparsevec_sum(PG_FUNCTION_ARGS)
{
	State		state = read_state(PG_GETARG_ARRAYTYPE_P(0));

	if (state.rows == 0)
		PG_RETURN_NULL();
	PG_RETURN_SPARSEVEC_P(result_of(&state, 1.0));
}
