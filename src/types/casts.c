/*
 * casts.c
 *		Casts among vector, halfvec, bfloat16vec, int8vec and arrays of numbers.
 *
 * A cast function gets (value, typmod of the target, whether it is explicit);
 * typmod is -1 where the target is not limited.  All go by way of float32, which
 * holds every element of every type.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "types/casts.h"
#include "types/dense.h"
#include "types/elems.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(vector_check_typmod);

/* ---- among the vector types ---- */

/*
 * type(value, typmod, explicit) of every type but sparsevec: the value itself, still
 * toasted if it came so, once its dimensions are checked.
 */
Datum
vector_check_typmod(PG_FUNCTION_ARGS)
{
	Datum		value = PG_GETARG_DATUM(0);
	int32		typmod = PG_GETARG_INT32(1);

	if (typmod != -1)
		DimsCheckExpected(typmod, VectorDatumDim(value), NULL);
	PG_RETURN_DATUM(value);
}

/* The first argument, of type from, as a value of type to. */
static Datum
convert(FunctionCallInfo fcinfo, const DenseType *from, const DenseType *to)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);
	Vector	   *result;

	DimsCheckExpected(PG_GETARG_INT32(1), v->dim, NULL);
	result = InitDense(to, v->dim);
	if (to == &DenseVector)
		from->widen(v->x, result->x, v->dim);
	else if (from == &DenseVector)
		to->narrow(v->x, result->x, v->dim);
	else
	{
		float	   *x = DenseWiden(from, v);

		to->narrow(x, result->x, v->dim);
		pfree(x);
	}
	PG_RETURN_POINTER(result);
}

/* A function that SQL calls, with what it returns; a semicolon follows */
#define DEFINE_CAST(function, result) \
	extern PGDLLEXPORT Datum function(PG_FUNCTION_ARGS); \
	Datum \
	function(PG_FUNCTION_ARGS) \
	{ \
		return result; \
	} \
	PG_FUNCTION_INFO_V1(function)

DEFINE_CAST(vector_to_halfvec, convert(fcinfo, &DenseVector, &DenseHalfVec));
DEFINE_CAST(vector_to_bfloat16vec, convert(fcinfo, &DenseVector, &DenseBFloat16Vec));
DEFINE_CAST(vector_to_int8vec, convert(fcinfo, &DenseVector, &DenseInt8Vec));
DEFINE_CAST(halfvec_to_vector, convert(fcinfo, &DenseHalfVec, &DenseVector));
DEFINE_CAST(halfvec_to_bfloat16vec, convert(fcinfo, &DenseHalfVec, &DenseBFloat16Vec));
DEFINE_CAST(halfvec_to_int8vec, convert(fcinfo, &DenseHalfVec, &DenseInt8Vec));
DEFINE_CAST(bfloat16vec_to_vector, convert(fcinfo, &DenseBFloat16Vec, &DenseVector));
DEFINE_CAST(bfloat16vec_to_halfvec, convert(fcinfo, &DenseBFloat16Vec, &DenseHalfVec));
DEFINE_CAST(bfloat16vec_to_int8vec, convert(fcinfo, &DenseBFloat16Vec, &DenseInt8Vec));
DEFINE_CAST(int8vec_to_vector, convert(fcinfo, &DenseInt8Vec, &DenseVector));
DEFINE_CAST(int8vec_to_halfvec, convert(fcinfo, &DenseInt8Vec, &DenseHalfVec));
DEFINE_CAST(int8vec_to_bfloat16vec, convert(fcinfo, &DenseInt8Vec, &DenseBFloat16Vec));

/* ---- from arrays ---- */

/*
 * The number of elements of an array that is to become a vector.  Raises an error
 * unless it has one dimension and no nulls.
 */
int
ArrayCheckedLength(ArrayType *array)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D")));
	if (ARR_HASNULL(array) && array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls")));
	return n;
}

/* The n elements of an array of numbers as float32 in x. */
void
ArrayToFloats(ArrayType *array, float *x, int n)
{
	const char *data = ARR_DATA_PTR(array);

	switch (ARR_ELEMTYPE(array))
	{
		case FLOAT4OID:
			memcpy(x, data, sizeof(float) * n);
			break;
		case FLOAT8OID:
			for (int i = 0; i < n; i++)
				x[i] = (float) ((const float8 *) data)[i];
			break;
		case INT4OID:
			for (int i = 0; i < n; i++)
				x[i] = (float) ((const int32 *) data)[i];
			break;
		case NUMERICOID:
			{
				Datum	   *elems;
				int			count;

				deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT,
								  &elems, NULL, &count);
				Assert(count == n);
				for (int i = 0; i < n; i++)
					x[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elems[i]));
				pfree(elems);
				break;
			}
		default:
			elog(ERROR, "unexpected array element type %u", ARR_ELEMTYPE(array));
	}
}

/* The first argument, an array of numbers, as a value of the type. */
static Datum
from_array(FunctionCallInfo fcinfo, const DenseType *type)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			n = ArrayCheckedLength(array);
	float	   *x;
	Vector	   *result;

	DimsCheck(type->name, n, NULL);
	DimsCheckExpected(PG_GETARG_INT32(1), n, NULL);
	result = InitDense(type, n);
	x = (type == &DenseVector) ? result->x : palloc(sizeof(float) * n);
	ArrayToFloats(array, x, n);
	type->narrow(x, result->x, n);
	PG_RETURN_POINTER(result);
}

/* one function for all types of array elements */
DEFINE_CAST(array_to_vector, from_array(fcinfo, &DenseVector));
DEFINE_CAST(array_to_halfvec, from_array(fcinfo, &DenseHalfVec));
DEFINE_CAST(array_to_bfloat16vec, from_array(fcinfo, &DenseBFloat16Vec));
DEFINE_CAST(array_to_int8vec, from_array(fcinfo, &DenseInt8Vec));

/* ---- to arrays ---- */

/*
 * n float32 elements as an array of the type elemtype.  Each is converted as a
 * scalar of type real is: exactly to double precision, to integer with rounding
 * to nearest even and an error out of range, to numeric with six digits.
 */
ArrayType *
FloatsToArray(const float *x, int n, Oid elemtype)
{
	Datum	   *elems = palloc(sizeof(Datum) * n);
	ArrayType  *result;
	int16		len;
	bool		byval;
	char		align;

	for (int i = 0; i < n; i++)
	{
		Datum		value = Float4GetDatum(x[i]);

		switch (elemtype)
		{
			case FLOAT4OID:
				elems[i] = value;
				break;
			case FLOAT8OID:
				elems[i] = Float8GetDatum((double) x[i]);
				break;
			case INT4OID:
				elems[i] = DirectFunctionCall1(ftoi4, value);
				break;
			case NUMERICOID:
				elems[i] = DirectFunctionCall1(float4_numeric, value);
				break;
			default:
				elog(ERROR, "unexpected array element type %u", elemtype);
		}
	}
	get_typlenbyvalalign(elemtype, &len, &byval, &align);
	result = construct_array(elems, n, elemtype, len, byval, align);
	pfree(elems);
	return result;
}

/* The first argument, a value of the type, as an array of the type elemtype. */
static Datum
to_array(FunctionCallInfo fcinfo, const DenseType *type, Oid elemtype)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);
	const float *x = (type == &DenseVector) ? v->x : DenseWiden(type, v);

	PG_RETURN_ARRAYTYPE_P(FloatsToArray(x, v->dim, elemtype));
}

DEFINE_CAST(vector_to_float4, to_array(fcinfo, &DenseVector, FLOAT4OID));
DEFINE_CAST(vector_to_float8, to_array(fcinfo, &DenseVector, FLOAT8OID));
DEFINE_CAST(vector_to_int4, to_array(fcinfo, &DenseVector, INT4OID));
DEFINE_CAST(vector_to_numeric, to_array(fcinfo, &DenseVector, NUMERICOID));
DEFINE_CAST(halfvec_to_float4, to_array(fcinfo, &DenseHalfVec, FLOAT4OID));
DEFINE_CAST(halfvec_to_float8, to_array(fcinfo, &DenseHalfVec, FLOAT8OID));
DEFINE_CAST(halfvec_to_int4, to_array(fcinfo, &DenseHalfVec, INT4OID));
DEFINE_CAST(halfvec_to_numeric, to_array(fcinfo, &DenseHalfVec, NUMERICOID));
DEFINE_CAST(bfloat16vec_to_float4, to_array(fcinfo, &DenseBFloat16Vec, FLOAT4OID));
DEFINE_CAST(bfloat16vec_to_float8, to_array(fcinfo, &DenseBFloat16Vec, FLOAT8OID));
DEFINE_CAST(bfloat16vec_to_int4, to_array(fcinfo, &DenseBFloat16Vec, INT4OID));
DEFINE_CAST(bfloat16vec_to_numeric, to_array(fcinfo, &DenseBFloat16Vec, NUMERICOID));
DEFINE_CAST(int8vec_to_float4, to_array(fcinfo, &DenseInt8Vec, FLOAT4OID));
DEFINE_CAST(int8vec_to_float8, to_array(fcinfo, &DenseInt8Vec, FLOAT8OID));
DEFINE_CAST(int8vec_to_int4, to_array(fcinfo, &DenseInt8Vec, INT4OID));
DEFINE_CAST(int8vec_to_numeric, to_array(fcinfo, &DenseInt8Vec, NUMERICOID));
