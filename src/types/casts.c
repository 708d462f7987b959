/*
 * casts.c
 *		Casts among vector, halfvec and arrays of numbers.
 *
 * A cast function gets (value, typmod of the target, whether it is explicit);
 * typmod is -1 where the target is not limited.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "kernels/kernels.h"
#include "types/elems.h"
#include "types/halfvec.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(vector_check_typmod);
PG_FUNCTION_INFO_V1(vector_to_halfvec);
PG_FUNCTION_INFO_V1(halfvec_to_vector);
PG_FUNCTION_INFO_V1(array_to_vector);
PG_FUNCTION_INFO_V1(array_to_halfvec);
PG_FUNCTION_INFO_V1(vector_to_float4);
PG_FUNCTION_INFO_V1(vector_to_float8);
PG_FUNCTION_INFO_V1(vector_to_int4);
PG_FUNCTION_INFO_V1(vector_to_numeric);
PG_FUNCTION_INFO_V1(halfvec_to_float4);
PG_FUNCTION_INFO_V1(halfvec_to_float8);
PG_FUNCTION_INFO_V1(halfvec_to_int4);
PG_FUNCTION_INFO_V1(halfvec_to_numeric);

/* ---- among the vector types ---- */

/*
 * vector(vector, typmod, explicit) and halfvec(halfvec, typmod, explicit): the
 * value itself, still toasted if it came so, once its dimensions are checked.
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

/* vector_to_halfvec(vector, typmod, explicit): rounded to nearest even */
Datum
vector_to_halfvec(PG_FUNCTION_ARGS)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);
	HalfVec    *result;

	DimsCheckExpected(PG_GETARG_INT32(1), v->dim, NULL);
	result = InitHalfVec(v->dim);
	ElemsToHalf(v->x, result->x, v->dim);
	PG_RETURN_HALFVEC_P(result);
}

/* halfvec_to_vector(halfvec, typmod, explicit): exact */
Datum
halfvec_to_vector(PG_FUNCTION_ARGS)
{
	HalfVec    *v = PG_GETARG_HALFVEC_P(0);
	Vector	   *result;

	DimsCheckExpected(PG_GETARG_INT32(1), v->dim, NULL);
	result = InitVector(v->dim);
	kernels->f16_to_f32(v->x, result->x, v->dim);
	PG_RETURN_VECTOR_P(result);
}

/* ---- from arrays ---- */

/*
 * The number of elements of an array that is to become a value of the type.
 * Raises an error unless it can be one as far as shape goes.
 */
static int
checked_length(const char *type, ArrayType *array, int32 typmod)
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
	DimsCheck(type, n, NULL);
	DimsCheckExpected(typmod, n, NULL);
	return n;
}

/* The n elements of an array of numbers as float32 in x. */
static void
array_to_floats(ArrayType *array, float *x, int n)
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

/* array_to_vector(array, typmod, explicit): one function for all element types */
Datum
array_to_vector(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			n = checked_length("vector", array, PG_GETARG_INT32(1));
	Vector	   *result = InitVector(n);

	array_to_floats(array, result->x, n);
	ElemsCheckFinite("vector", result->x, n);
	PG_RETURN_VECTOR_P(result);
}

/* array_to_halfvec(array, typmod, explicit): one function for all element types */
Datum
array_to_halfvec(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			n = checked_length("halfvec", array, PG_GETARG_INT32(1));
	float	   *x = palloc(sizeof(float) * n);
	HalfVec    *result = InitHalfVec(n);

	array_to_floats(array, x, n);
	ElemsToHalf(x, result->x, n);
	PG_RETURN_HALFVEC_P(result);
}

/* ---- to arrays ---- */

/*
 * n float32 elements as an array of the type elemtype.  Each is converted as a
 * scalar of type real is: exactly to double precision, to integer with rounding
 * to nearest even and an error out of range, to numeric with six digits.
 */
static ArrayType *
floats_to_array(const float *x, int n, Oid elemtype)
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

/* The first argument, a vector, as an array of the type elemtype. */
static Datum
vector_to_array(FunctionCallInfo fcinfo, Oid elemtype)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);

	PG_RETURN_ARRAYTYPE_P(floats_to_array(v->x, v->dim, elemtype));
}

/* The first argument, a halfvec, as an array of the type elemtype. */
static Datum
halfvec_to_array(FunctionCallInfo fcinfo, Oid elemtype)
{
	HalfVec    *v = PG_GETARG_HALFVEC_P(0);
	float	   *x = palloc(sizeof(float) * v->dim);

	kernels->f16_to_f32(v->x, x, v->dim);
	PG_RETURN_ARRAYTYPE_P(floats_to_array(x, v->dim, elemtype));
}

/* vector_to_float4(vector, typmod, explicit) */
Datum
vector_to_float4(PG_FUNCTION_ARGS)
{
	return vector_to_array(fcinfo, FLOAT4OID);
}

/* vector_to_float8(vector, typmod, explicit) */
Datum
vector_to_float8(PG_FUNCTION_ARGS)
{
	return vector_to_array(fcinfo, FLOAT8OID);
}

/* vector_to_int4(vector, typmod, explicit) */
Datum
vector_to_int4(PG_FUNCTION_ARGS)
{
	return vector_to_array(fcinfo, INT4OID);
}

/* vector_to_numeric(vector, typmod, explicit) */
Datum
vector_to_numeric(PG_FUNCTION_ARGS)
{
	return vector_to_array(fcinfo, NUMERICOID);
}

/* halfvec_to_float4(halfvec, typmod, explicit) */
Datum
halfvec_to_float4(PG_FUNCTION_ARGS)
{
	return halfvec_to_array(fcinfo, FLOAT4OID);
}

/* halfvec_to_float8(halfvec, typmod, explicit) */
Datum
halfvec_to_float8(PG_FUNCTION_ARGS)
{
	return halfvec_to_array(fcinfo, FLOAT8OID);
}

/* halfvec_to_int4(halfvec, typmod, explicit) */
Datum
halfvec_to_int4(PG_FUNCTION_ARGS)
{
	return halfvec_to_array(fcinfo, INT4OID);
}

/* halfvec_to_numeric(halfvec, typmod, explicit) */
Datum
halfvec_to_numeric(PG_FUNCTION_ARGS)
{
	return halfvec_to_array(fcinfo, NUMERICOID);
}
