/*
 * columns.c
 *		Values of a field from an array: of the column's type, or of one that converts to it
 *		without loss.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "collection/write.h"
#include "miscadmin.h"
#include "types/dense.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/varbit.h"

typedef struct Column
{
	WriteBatch *batch;
	int			field;			/* -1: a struct array */
	const char *name;
	ArrayType  *array;
	Oid			elemtype;
	int			nrows;
	int			width;			/* elements a row, of an array of two dimensions; else 1 */
	Datum	   *values;			/* nrows * width */
	bool	   *isnull;
} Column;

static void
deconstruct(Column *column)
{
	int16		length;
	bool		byval;
	char		align;
	int			n;

	get_typlenbyvalalign(column->elemtype, &length, &byval, &align);
	deconstruct_array(column->array, column->elemtype, length, byval, align, &column->values, &column->isnull, &n);
}

/* ---- conversions, row by row ---- */

/* The value in a jsonb, which is that of JSON's text. */
static JsonbValue
json_value(Jsonb *json)
{
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(json) && JsonbExtractScalar(&json->root, &value))
		return value;
	value.type = jbvBinary;
	value.val.binary.data = &json->root;
	value.val.binary.len = VARSIZE(json) - VARHDRSZ;
	return value;
}

static int64
integer_of(Oid type, Datum value)
{
	return type == INT2OID ? DatumGetInt16(value) : type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
}

static Datum
to_integer(const CollectionField *field, Oid type, Datum value, int row)
{
	int64		integer = integer_of(type, value);
	int64		max = field->type == MILVUS_INT8 ? 127 : field->type == MILVUS_INT16 ? PG_INT16_MAX :
	field->type == MILVUS_INT32 ? PG_INT32_MAX : PG_INT64_MAX;

	if (integer > max || integer < -max - 1)
		MilvusInvalidParameter("the %dth element (" INT64_FORMAT ") of field %s out of range: [" INT64_FORMAT ", " INT64_FORMAT "]",
							   row, integer, field->name, -max - 1, max);
	return field->typid == INT2OID ? Int16GetDatum((int16) integer) :
		field->typid == INT4OID ? Int32GetDatum((int32) integer) : Int64GetDatum(integer);
}

static bool
is_integer_type(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_text_type(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

static Datum
to_float(const CollectionField *field, Oid type, Datum value, int row)
{
	double		number = type == FLOAT4OID ? DatumGetFloat4(value) :
	type == FLOAT8OID ? DatumGetFloat8(value) : (double) integer_of(type, value);

	if (field->type == MILVUS_DOUBLE)
		return Float8GetDatum(number);
	if (isfinite(number) && isinf((float) number))
		MilvusInvalidParameter("the %dth element (%g) of field %s out of range of Float", row, number, field->name);
	return Float4GetDatum((float) number);
}

static const DenseType *
dense_type(MilvusType type)
{
	switch (type)
	{
		case MILVUS_FLOAT_VECTOR:
			return &DenseVector;
		case MILVUS_FLOAT16_VECTOR:
			return &DenseHalfVec;
		case MILVUS_BFLOAT16_VECTOR:
			return &DenseBFloat16Vec;
		case MILVUS_INT8_VECTOR:
			return &DenseInt8Vec;
		default:
			return NULL;
	}
}

static void
check_finite(const CollectionField *field, const float *x, int row)
{
	for (int i = 0; i < field->dim; i++)
		if (!isfinite(x[i]))
			MilvusInvalidParameter("value '%f' of field %s is not a number or infinity, row number: %d", x[i], field->name, row);
}

/*
 * A vector's elements as they lie in memory, which is how Milvus sends them.
 */
static Datum
vector_from_bytes(const CollectionField *field, bytea *bytes, int row)
{
	const DenseType *dense = dense_type(field->type);
	int			length = VARSIZE_ANY_EXHDR(bytes);
	int			bits = dense != NULL ? (int) dense->width * 8 : 1;
	Vector	   *result;

	if ((int64) length * 8 != (int64) field->dim * bits)
		MilvusInvalidValue(psprintf("%d", field->dim), psprintf("%d", length * 8 / bits),
						   "the dim (%d) of field data(%s) is not equal to schema dim (%d), row number: %d",
						   length * 8 / bits, field->name, field->dim, row);
	if (dense == NULL)
	{
		VarBit	   *bit = palloc(VARBITTOTALLEN(field->dim));

		SET_VARSIZE(bit, VARBITTOTALLEN(field->dim));
		VARBITLEN(bit) = field->dim;
		memcpy(VARBITS(bit), VARDATA_ANY(bytes), length);
		return PointerGetDatum(bit);
	}
	result = InitDense(dense, field->dim);
	memcpy(result->x, VARDATA_ANY(bytes), length);
	if (field->type == MILVUS_FLOAT_VECTOR)
		check_finite(field, result->x, row);
	else if (field->type != MILVUS_INT8_VECTOR)
	{
		float	   *x = DenseWiden(dense, result);

		check_finite(field, x, row);
		pfree(x);
	}
	return PointerGetDatum(result);
}

static void refuse_nulls(const CollectionField *field, int row) __attribute__((noreturn));

static void
refuse_nulls(const CollectionField *field, int row)
{
	MilvusInvalidParameter("array field %s does not support null elements, row number: %d", field->name, row);
}

/*
 * A row of an array of two dimensions, a vector.  Numbers without nulls lie there one behind
 * the other.
 */
static Datum
vector_of_slice(Column *column, int row)
{
	const CollectionField *field = &column->batch->collection->fields[column->field];
	const char *data = ARR_DATA_PTR(column->array);
	Size		first = (Size) row * column->width;
	float	   *x;
	Datum		result;

	if (column->width != field->dim)
		MilvusInvalidValue(psprintf("%d", field->dim), psprintf("%d", column->width),
						   "the dim (%d) of field data(%s) is not equal to schema dim (%d), row number: %d",
						   column->width, field->name, field->dim, row);
	if (ARR_HASNULL(column->array) && array_contains_nulls(column->array))
		refuse_nulls(field, row);
	if (column->elemtype == FLOAT4OID)
		return FieldDense(field, field->type, (const float4 *) data + first, row);
	x = palloc(sizeof(float) * field->dim);
	for (int i = 0; i < field->dim; i++)
		x[i] = (float) ((const float8 *) data)[first + i];
	result = FieldDense(field, field->type, x, row);
	pfree(x);
	return result;
}

/*
 * Such a row, an array.
 */
static Datum
array_of_slice(Column *column, int row)
{
	FieldReader *reader = BatchReader(column->batch, column->field);
	Datum	   *values = column->values + (Size) row * column->width;
	Datum		array;

	for (int i = 0; i < column->width; i++)
		if (column->isnull[(Size) row * column->width + i])
			refuse_nulls(reader->field, row);
	array = FieldArray(reader, values, column->width, row);
	FieldCheck(reader, array, row);
	return array;
}

/* ---- the dynamic field ---- */

/*
 * Its keys are none of fields' names.
 */
static void
check_meta(const Collection *collection, Jsonb *json, int row)
{
	ListCell   *cell;

	if (!JB_ROOT_IS_OBJECT(json))
		MilvusInvalidParameter("the dynamic field of row %d is not a JSON object", row);
	foreach(cell, JsonKeys(&json->root))
		if (CollectionFindField(collection, lfirst(cell)) != NULL)
			MilvusInvalidParameter("dynamic json cannot include the static field name: %s", (char *) lfirst(cell));
}

/* ---- a column ---- */

static void
set_rows(Column *column)
{
	WriteBatch *batch = column->batch;
	const CollectionField *field = column->field >= 0 ? &batch->collection->fields[column->field] : NULL;
	FieldReader *reader = field != NULL ? BatchReader(batch, column->field) : NULL;
	Oid			type = column->elemtype;
	bool		is_slices = ARR_NDIM(column->array) == 2;
	bool		is_own = field != NULL && (type == field->typid || (is_text_type(type) && MilvusTypeIsString(field->type)));

	if (is_slices && (field == NULL ||
					  !((field->type == MILVUS_ARRAY && type == reader->elemtype) ||
						(dense_type(field->type) != NULL && (type == FLOAT4OID || type == FLOAT8OID)))))
		MilvusInvalidParameter("field %s cannot be read from an array of two dimensions of %s", column->name, format_type_be(type));
	for (int row = 0; row < column->nrows; row++)
	{
		Datum		value;

		CHECK_FOR_INTERRUPTS();
		if (is_slices)
		{
			BatchSetValue(batch, row, column->field,
						  field->type == MILVUS_ARRAY ? array_of_slice(column, row) : vector_of_slice(column, row));
			continue;
		}
		value = column->values[row];
		if (column->isnull[row])
		{
			JsonbValue	null = {.type = jbvNull};

			if (field != NULL)
				BatchSetNull(batch, row, column->field);
			else
				BatchSetJson(batch, row, -1, column->name, &null);
			continue;
		}
		if (is_own)
		{
			FieldCheck(reader, value, row);
			if (field->is_dynamic)
				check_meta(batch->collection, DatumGetJsonbP(value), row);
			if (field->type == MILVUS_SPARSE_VECTOR)
				value = FieldSparse(reader, value, row);
		}
		else if (type == JSONBOID)
		{
			JsonbValue	json = json_value(DatumGetJsonbP(value));

			BatchSetJson(batch, row, column->field, column->name, &json);
			continue;
		}
		else if (field == NULL)
			MilvusInvalidParameter("field %s should be given as jsonb[], but is %s[]", column->name, format_type_be(type));
		else if (MilvusTypeIsInteger(field->type) && is_integer_type(type))
			value = to_integer(field, type, value, row);
		else if (MilvusTypeIsFloat(field->type) && (is_integer_type(type) || type == FLOAT4OID || type == FLOAT8OID))
			value = to_float(field, type, value, row);
		else if (type == BYTEAOID && (dense_type(field->type) != NULL || field->type == MILVUS_BINARY_VECTOR))
			value = vector_from_bytes(field, DatumGetByteaPP(value), row);
		else if (is_text_type(type))
			value = FieldFromText(reader, TextDatumGetCString(value), row);
		else
			FieldWrongType(field, format_type_be(type), row);
		BatchSetValue(batch, row, column->field, value);
	}
}

void
BatchAddColumn(WriteBatch *batch, const char *name, ArrayType *array, bool is_first)
{
	Column		column = {
		.batch = batch,
		.field = BatchField(batch, name),
		.name = name,
		.array = array,
		.elemtype = ARR_ELEMTYPE(array),
		.nrows = ARR_NDIM(array) > 0 ? ARR_DIMS(array)[0] : 0,
		.width = ARR_NDIM(array) == 2 ? ARR_DIMS(array)[1] : 1,
	};

	if (column.field < 0)
	{
		bool		is_struct = false;

		for (int i = 0; i < batch->width; i++)
			is_struct |= batch->collection->fields[i].struct_name != NULL &&
				strcmp(batch->collection->fields[i].struct_name, name) == 0;
		if (!is_struct)
			MilvusInvalidParameter(batch->collection->meta != NULL ? "field %s not exist, dynamic keys belong into $meta" :
								   "Attempt to insert an unexpected field `%s` to collection without enabling dynamic field", name);
	}
	else if (batch->collection->fields[column.field].is_generated)
		MilvusInvalidParameter("Attempt to insert an unexpected function output field `%s` to collection", name);
	if (ARR_NDIM(array) > 2)
		MilvusInvalidParameter("the array of field %s has %d dimensions", name, ARR_NDIM(array));
	if (is_first)
		BatchAddRows(batch, column.nrows);
	else if (column.nrows != batch->nrows)
		MilvusInvalidParameter("the num_rows (%d) of field (%s) is not equal to passed NumRows (%d)", column.nrows, name, batch->nrows);
	/* vectors are read as they lie there */
	if (ARR_NDIM(array) < 2 || column.field < 0 || dense_type(batch->collection->fields[column.field].type) == NULL)
		deconstruct(&column);
	set_rows(&column);
}
