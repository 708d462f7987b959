/*
 * rows.c
 *		Values for the columns of a collection, made from JSON and from arrays, and checked
 *		as Milvus checks them.
 *
 * The table's constraints would find most faults too; what is found here is told in
 * Milvus's words, with the number of the row, before anything is written.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "collection/collection_internal.h"
#include "collection/condition.h"
#include "collection/rows.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "types/dense.h"
#include "types/float_parse.h"
#include "types/sparsevec.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/varbit.h"

/* ---- messages ---- */

/*
 * As Milvus's client calls types in this message.
 */
static const char *
type_word(const CollectionField *field)
{
	switch (field->type)
	{
		case MILVUS_BINARY_VECTOR:
			return "binary_vector";
		case MILVUS_FLOAT_VECTOR:
			return "float_vector";
		case MILVUS_FLOAT16_VECTOR:
			return "float16_vector";
		case MILVUS_BFLOAT16_VECTOR:
			return "bfloat16_vector";
		case MILVUS_SPARSE_VECTOR:
			return "sparse_float_vector";
		case MILVUS_INT8_VECTOR:
			return "int8_vector";
		case MILVUS_ARRAY_OF_VECTOR:
			return "array_of_vector";
		default:
			return asc_tolower(MilvusTypeName(field->type), strlen(MilvusTypeName(field->type)));
	}
}

void
FieldWrongType(const CollectionField *field, const char *got, int64 row)
{
	MilvusInvalidParameter("The Input data type is inconsistent with defined schema, {%s} field should be a %s, but got a {%s} instead, row number: "
						   INT64_FORMAT, field->name, type_word(field), got, row);
}

const char *
JsonTypeName(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvString:
			return "string";
		case jbvNumeric:
			return "number";
		case jbvBool:
			return "boolean";
		case jbvBinary:
			return JsonContainerIsArray(value->val.binary.data) ? "array" : "object";
		default:
			return "unknown";
	}
}

static void wrong_dim(const CollectionField *field, int64 dim, int64 row) __attribute__((noreturn));

static void
wrong_dim(const CollectionField *field, int64 dim, int64 row)
{
	MilvusInvalidValue(psprintf("%d", field->dim), psprintf(INT64_FORMAT, dim),
					   "the dim (" INT64_FORMAT ") of field data(%s) is not equal to schema dim (%d), row number: " INT64_FORMAT,
					   dim, field->name, field->dim, row);
}

/* ---- checks ---- */

static void
check_text(const CollectionField *field, int length, int64 row)
{
	int			max = field->type == MILVUS_TEXT ? milvus_settings.max_text_length : field->max_length;

	if (max > 0 && length > max)
		MilvusInvalidParameter("length of varchar field %s exceeds max length, row number: " INT64_FORMAT ", length: %d, max length: %d",
							   field->name, row, length, max);
}

static void
check_int8(const CollectionField *field, int64 value, int64 row)
{
	if (value < -128 || value > 127)
		MilvusInvalidParameter("the " INT64_FORMAT "th element (" INT64_FORMAT ") of field %s out of range: [-128, 127]",
							   row, value, field->name);
}

static void
check_capacity(const CollectionField *field, int64 n, int64 row)
{
	if (field->max_capacity > 0 && n > field->max_capacity)
		MilvusInvalidParameter("array length " INT64_FORMAT " exceeds max_capacity %d, field: %s, row number: " INT64_FORMAT,
							   n, field->max_capacity, field->name, row);
}

/* The length of JSON as text counts, which is not much less than as it is stored. */
static void
check_json(const CollectionField *field, Jsonb *json, int64 row)
{
	int			max = milvus_settings.max_json_length;
	int			length;

	if ((int) VARSIZE(json) <= max)
		return;
	length = strlen(JsonToText(json));
	if (length > max)
		MilvusInvalidParameter("length of JSON field %s exceeds max length, row number: " INT64_FORMAT ", length: %d, max length: %d",
							   field->name, row, length, max);
}

static void
check_array(FieldReader *reader, ArrayType *array, int64 row)
{
	const CollectionField *field = reader->field;
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	Datum	   *values;

	check_capacity(field, n, row);
	if (array_contains_nulls(array))
		MilvusInvalidParameter("array field %s does not support null elements, row number: " INT64_FORMAT, field->name, row);
	if (MilvusTypeIsString(field->element_type) || field->element_type == MILVUS_INT8 || MilvusTypeIsVector(field->element_type))
	{
		deconstruct_array(array, reader->elemtype, reader->elemlen, reader->elembyval, reader->elemalign, &values, NULL, &n);
		for (int i = 0; i < n; i++)
		{
			if (field->element_type == MILVUS_INT8)
				check_int8(field, DatumGetInt16(values[i]), row);
			else if (MilvusTypeIsString(field->element_type))
				check_text(field, VARSIZE_ANY_EXHDR(DatumGetPointer(values[i])), row);
			else if (field->element_type == MILVUS_BINARY_VECTOR)
			{
				if (VARBITLEN(DatumGetVarBitP(values[i])) != field->dim)
					wrong_dim(field, VARBITLEN(DatumGetVarBitP(values[i])), row);
			}
			else if (VectorDatumDim(values[i]) != field->dim)
				wrong_dim(field, VectorDatumDim(values[i]), row);
		}
	}
}

void
FieldCheck(FieldReader *reader, Datum value, int64 row)
{
	const CollectionField *field = reader->field;

	switch (field->type)
	{
		case MILVUS_INT8:
			check_int8(field, DatumGetInt16(value), row);
			break;
		case MILVUS_VARCHAR:
		case MILVUS_TEXT:
			check_text(field, VARSIZE_ANY_EXHDR(DatumGetPointer(value)), row);
			break;
		case MILVUS_JSON:
			check_json(field, DatumGetJsonbP(value), row);
			break;
		case MILVUS_ARRAY:
		case MILVUS_ARRAY_OF_VECTOR:
			check_array(reader, DatumGetArrayTypeP(value), row);
			break;
		case MILVUS_BINARY_VECTOR:
			if (VARBITLEN(DatumGetVarBitP(value)) != field->dim)
				wrong_dim(field, VARBITLEN(DatumGetVarBitP(value)), row);
			break;
		case MILVUS_FLOAT_VECTOR:
		case MILVUS_FLOAT16_VECTOR:
		case MILVUS_BFLOAT16_VECTOR:
		case MILVUS_INT8_VECTOR:
			if (VectorDatumDim(value) != field->dim)
				wrong_dim(field, VectorDatumDim(value), row);
			break;
		default:
			break;
	}
}

/* ---- from JSON ---- */

FieldReader *
FieldReaderMake(const Collection *collection, const CollectionField *field)
{
	FieldReader *reader = palloc0(sizeof(FieldReader));
	bool		is_array = field->type == MILVUS_ARRAY || field->type == MILVUS_ARRAY_OF_VECTOR;
	Oid			input;

	reader->collection = collection;
	reader->field = field;
	reader->elemtype = is_array ? get_element_type(field->typid) : field->typid;
	get_typlenbyvalalign(reader->elemtype, &reader->elemlen, &reader->elembyval, &reader->elemalign);
	getTypeInputInfo(field->typid, &input, &reader->ioparam);
	fmgr_info(input, &reader->input);
	return reader;
}

/* A container's elements, or what it has in the place of them. */
static JsonbContainer *
require_array(const CollectionField *field, const JsonbValue *value, int64 row)
{
	JsonbContainer *array = JsonToArray(value);

	if (array == NULL)
		FieldWrongType(field, JsonTypeName(value), row);
	return array;
}

/* A JSON number as float32.  In the scratch context. */
static float
json_float4(FieldReader *reader, const JsonbValue *value, int64 row)
{
	const char *text;
	const char *end;
	bool		overflow;
	float		result;

	if (value->type != jbvNumeric)
		FieldWrongType(reader->field, psprintf("array with a %s", JsonTypeName(value)), row);
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	result = FloatParse(text, &end, &overflow);
	if (overflow || !isfinite(result))
		MilvusInvalidParameter("value '%.40s' of field %s is not a number or infinity, row number: " INT64_FORMAT,
							   text, reader->field->name, row);
	return result;
}

static const DenseType *
dense_type(MilvusType type)
{
	switch (type)
	{
		case MILVUS_FLOAT16_VECTOR:
			return &DenseHalfVec;
		case MILVUS_BFLOAT16_VECTOR:
			return &DenseBFloat16Vec;
		case MILVUS_INT8_VECTOR:
			return &DenseInt8Vec;
		default:
			return &DenseVector;
	}
}

Datum
FieldDense(const CollectionField *field, MilvusType type, const float *x, int64 row)
{
	Vector	   *result = InitDense(dense_type(type), field->dim);
	/* the first numbers that round to what the type does not hold */
	float		limit = type == MILVUS_FLOAT16_VECTOR ? 65520.0f : type == MILVUS_BFLOAT16_VECTOR ? 0x1.ffp127f :
	type == MILVUS_INT8_VECTOR ? 127.5f : INFINITY;

	for (int i = 0; i < field->dim; i++)
	{
		if (!isfinite(x[i]))
			MilvusInvalidParameter("value '%f' of field %s is not a number or infinity, row number: " INT64_FORMAT,
								   x[i], field->name, row);
		if (fabsf(x[i]) >= limit && !(type == MILVUS_INT8_VECTOR && x[i] < 0 && x[i] >= -128.5f))
			MilvusInvalidParameter("value '%g' of field %s is out of range of %s, row number: " INT64_FORMAT,
								   x[i], field->name, MilvusTypeName(type), row);
		if (type == MILVUS_INT8_VECTOR && x[i] != rintf(x[i]))
			MilvusInvalidParameter("value '%g' of field %s is not an integer, row number: " INT64_FORMAT, x[i], field->name, row);
	}
	dense_type(type)->narrow(x, result->x, field->dim);
	return PointerGetDatum(result);
}

/*
 * Bytes from base64; NULL when it is none, or not of this many bytes.
 */
static char *
from_base64(const JsonbValue *value, int length)
{
	int			room = pg_b64_dec_len(value->val.string.len) + 1;
	char	   *bytes = palloc(room);

	return MilvusBase64Decode(value->val.string.val, value->val.string.len, bytes, room) == length ? bytes : NULL;
}

static Datum
dense_from_json(FieldReader *reader, MilvusType type, const JsonbValue *value, int64 row)
{
	const CollectionField *field = reader->field;
	JsonbContainer *array;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	element;
	MemoryContext before;
	Datum		result;
	float	   *x;
	int			n = 0;

	array = require_array(field, value, row);
	if (JsonContainerSize(array) != (uint32) field->dim)
		wrong_dim(field, JsonContainerSize(array), row);
	if (reader->scratch == NULL)
		reader->scratch = AllocSetContextCreate(CurrentMemoryContext, "milvus value", ALLOCSET_DEFAULT_SIZES);
	before = MemoryContextSwitchTo(reader->scratch);
	x = palloc(sizeof(float) * field->dim);
	it = JsonbIteratorInit(array);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
		if (token == WJB_ELEM)
			x[n++] = json_float4(reader, &element, row);
	MemoryContextSwitchTo(before);
	result = FieldDense(field, type, x, row);
	MemoryContextReset(reader->scratch);
	return result;
}

/*
 * Bytes as numbers, in an array or as base64, or a text of zeros and ones.
 */
static Datum
binary_from_json(FieldReader *reader, const JsonbValue *value, int64 row)
{
	const CollectionField *field = reader->field;
	int			bytes = field->dim / 8;
	VarBit	   *result = palloc0(VARBITTOTALLEN(field->dim));
	JsonbContainer *array;

	SET_VARSIZE(result, VARBITTOTALLEN(field->dim));
	VARBITLEN(result) = field->dim;
	if (value->type == jbvString)
	{
		const char *text = value->val.string.val;
		int			length = value->val.string.len;
		char	   *decoded;

		if (length == field->dim && (int) strspn(pnstrdup(text, length), "01") == length)
		{
			for (int i = 0; i < length; i++)
				VARBITS(result)[i / 8] |= (text[i] - '0') << (7 - i % 8);
			return PointerGetDatum(result);
		}
		decoded = from_base64(value, bytes);
		if (decoded == NULL)
			FieldWrongType(field, "string", row);
		memcpy(VARBITS(result), decoded, bytes);
		return PointerGetDatum(result);
	}
	array = require_array(field, value, row);
	if (JsonContainerSize(array) != (uint32) bytes)
		wrong_dim(field, (int64) JsonContainerSize(array) * 8, row);
	for (int i = 0; i < bytes; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		int64		byte;

		if (element->type != jbvNumeric || !JsonToInt(element, &byte) || byte < 0 || byte > 255)
			FieldWrongType(field, "array of other than bytes", row);
		VARBITS(result)[i] = (uint8) byte;
	}
	return PointerGetDatum(result);
}

typedef struct SparseElement
{
	uint32		index;
	float		value;
} SparseElement;

static int
compare_sparse(const void *a, const void *b)
{
	uint32		x = ((const SparseElement *) a)->index;
	uint32		y = ((const SparseElement *) b)->index;

	return x < y ? -1 : x > y;
}

static uint32
sparse_index(FieldReader *reader, const JsonbValue *value, int64 row)
{
	int64		index;

	if (!JsonToInt(value, &index) || index < 0 || index >= SPARSEVEC_MAX_DIM)
		MilvusInvalidParameter("invalid index of sparse vector field %s: must be an integer in [0, 4294967294], row number: " INT64_FORMAT,
							   reader->field->name, row);
	return (uint32) index;
}

/* All have the largest dimension, so that they can be compared. */
static uint32
sparse_dim(const CollectionField *field)
{
	return field->typmod > 0 ? (uint32) field->typmod : SPARSEVEC_MAX_DIM;
}

/*
 * {"5": 0.1, "9": 0.2}, or {"indices": [5, 9], "values": [0.1, 0.2]}.
 */
static Datum
sparse_from_json(FieldReader *reader, const JsonbValue *value, int64 row)
{
	const CollectionField *field = reader->field;
	JsonbContainer *object = JsonToObject(value);
	JsonbValue	indices;
	JsonbValue	values;
	SparseElement *elements;
	SparseVec  *result;
	uint32		n = 0;
	uint32		kept = 0;

	if (object == NULL)
		FieldWrongType(field, JsonTypeName(value), row);
	if (JsonContainerSize(object) == 2 && JsonGet(object, "indices", &indices) && JsonGet(object, "values", &values))
	{
		JsonbContainer *a = require_array(field, &indices, row);
		JsonbContainer *b = require_array(field, &values, row);

		n = JsonContainerSize(a);
		if (n != JsonContainerSize(b))
			MilvusInvalidParameter("indices and values of sparse vector field %s differ in length, row number: " INT64_FORMAT,
								   field->name, row);
		elements = palloc(sizeof(SparseElement) * Max(n, 1));
		for (uint32 i = 0; i < n; i++)
		{
			elements[i].index = sparse_index(reader, getIthJsonbValueFromContainer(a, i), row);
			elements[i].value = json_float4(reader, getIthJsonbValueFromContainer(b, i), row);
		}
	}
	else
	{
		JsonbIterator *it = JsonbIteratorInit(object);
		JsonbIteratorToken token;
		JsonbValue	part;

		elements = palloc(sizeof(SparseElement) * Max(JsonContainerSize(object), 1));
		while ((token = JsonbIteratorNext(&it, &part, true)) != WJB_DONE)
		{
			if (token == WJB_KEY)
				elements[n].index = sparse_index(reader, &part, row);
			else if (token == WJB_VALUE)
				elements[n++].value = json_float4(reader, &part, row);
		}
	}
	qsort(elements, n, sizeof(SparseElement), compare_sparse);
	for (uint32 i = 0; i < n; i++)
	{
		if (i > 0 && elements[i].index == elements[i - 1].index)
			MilvusInvalidParameter("duplicate index %u of sparse vector field %s, row number: " INT64_FORMAT,
								   elements[i].index, field->name, row);
		if (elements[i].value != 0)
			kept++;
	}
	if (kept > SPARSEVEC_MAX_NNZ)
		MilvusInvalidParameter("sparse vector field %s has more than %d elements, row number: " INT64_FORMAT,
							   field->name, SPARSEVEC_MAX_NNZ, row);
	result = InitSparseVec(sparse_dim(field), kept);
	kept = 0;
	for (uint32 i = 0; i < n; i++)
		if (elements[i].value != 0)
		{
			if (elements[i].index >= result->dim)
				wrong_dim(field, (int64) elements[i].index + 1, row);
			result->indices[kept] = elements[i].index;
			SPARSEVEC_VALUES(result)[kept++] = elements[i].value;
		}
	return PointerGetDatum(result);
}

Datum
FieldSparse(FieldReader *reader, Datum value, int64 row)
{
	SparseVec  *sparse = DatumGetSparseVec(value);
	uint32		dim = sparse_dim(reader->field);
	SparseVec  *result;

	if (sparse->dim == dim)
		return PointerGetDatum(sparse);
	if (sparse->nnz > 0 && sparse->indices[sparse->nnz - 1] >= dim)
		wrong_dim(reader->field, (int64) sparse->indices[sparse->nnz - 1] + 1, row);
	result = (SparseVec *) PG_DETOAST_DATUM_COPY(value);
	result->dim = dim;
	return PointerGetDatum(result);
}

static Datum
vector_from_json(FieldReader *reader, MilvusType type, const JsonbValue *value, int64 row)
{
	if (type == MILVUS_BINARY_VECTOR)
		return binary_from_json(reader, value, row);
	/* a text of the type */
	if (value->type == jbvString && reader->field->type == type)
		return FieldFromText(reader, JsonText(value), row);
	if (type == MILVUS_SPARSE_VECTOR)
		return sparse_from_json(reader, value, row);
	return dense_from_json(reader, type, value, row);
}

/*
 * A time of ISO 8601.  One without offset is of the collection's time zone.
 */
static Datum
timestamptz_from_text(FieldReader *reader, char *text)
{
	int			length = strlen(text);
	const char *zone;
	Datum		local;

	/* what else the server reads depends on settings, or on the time of the day */
	if (length < 10 || strspn(text, "0123456789") != 4 || text[4] != '-')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
				 errmsg("got invalid timestamptz string: %s", text)));
	/* "Z", a name or "+08:00" behind the date */
	if (isalpha((unsigned char) text[length - 1]) || strpbrk(text + 10, "+-") != NULL)
		return DirectFunctionCall3(timestamptz_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	zone = CollectionTimezone(reader->collection);
	local = DirectFunctionCall3(timestamp_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	return DirectFunctionCall2(timestamp_zone, CStringGetTextDatum(zone != NULL ? zone : "UTC"), local);
}

void
FieldTextError(const CollectionField *field, MemoryContext context, int64 row)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	/* unless it is one of ours */
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION &&
		(error->detail == NULL || strncmp(error->detail, "milvus_code=", strlen("milvus_code=")) != 0))
	{
		if (row < 0)
			MilvusInvalidParameter("%s, field: %s", error->message, field->name);
		MilvusInvalidParameter("%s, field: %s, row number: " INT64_FORMAT, error->message, field->name, row);
	}
	ReThrowError(error);
}

Datum
FieldFromText(FieldReader *reader, char *text, int64 row)
{
	const CollectionField *field = reader->field;
	MemoryContext context = CurrentMemoryContext;
	volatile Datum value = (Datum) 0;

	PG_TRY();
	{
		value = field->type == MILVUS_TIMESTAMPTZ ? timestamptz_from_text(reader, text) :
			InputFunctionCall(&reader->input, text, reader->ioparam, MilvusTypeIsVector(field->type) ? -1 : field->typmod);
	}
	PG_CATCH();
	{
		FieldTextError(field, context, row);
	}
	PG_END_TRY();
	FieldCheck(reader, value, row);
	return field->type == MILVUS_SPARSE_VECTOR ? FieldSparse(reader, value, row) : value;
}

/*
 * A number, boolean or string of a scalar type, in a column or an array.
 */
static Datum
scalar_from_json(FieldReader *reader, MilvusType type, const JsonbValue *value, int64 row)
{
	const CollectionField *field = reader->field;
	int64		integer;

	switch (type)
	{
		case MILVUS_BOOL:
			if (value->type != jbvBool)
				break;
			return BoolGetDatum(value->val.boolean);
		case MILVUS_INT8:
		case MILVUS_INT16:
		case MILVUS_INT32:
		case MILVUS_INT64:
			/* programs without 64-bit numbers send them as text */
			if (value->type == jbvString && type != MILVUS_INT64)
				break;
			if (value->type != jbvNumeric && value->type != jbvString)
				break;
			if (!JsonToInt(value, &integer))
				FieldWrongType(field, value->type == jbvString ? "string" : psprintf("number %.40s", JsonText(value)), row);
			if (type == MILVUS_INT8)
				check_int8(field, integer, row);
			else if (type != MILVUS_INT64)
			{
				int64		max = type == MILVUS_INT16 ? PG_INT16_MAX : PG_INT32_MAX;

				if (integer > max || integer < -max - 1)
					MilvusInvalidParameter("the " INT64_FORMAT "th element (" INT64_FORMAT ") of field %s out of range: [" INT64_FORMAT ", " INT64_FORMAT "]",
										   row, integer, field->name, -max - 1, max);
			}
			return type == MILVUS_INT64 ? Int64GetDatum(integer) :
				type == MILVUS_INT32 ? Int32GetDatum((int32) integer) : Int16GetDatum((int16) integer);
		case MILVUS_FLOAT:
			if (value->type != jbvNumeric)
				break;
			return Float4GetDatum(json_float4(reader, value, row));
		case MILVUS_DOUBLE:
			if (value->type != jbvNumeric)
				break;
			{
				char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
				double		number = strtod(text, NULL);

				if (isinf(number))
					MilvusInvalidParameter("value of field %s is out of range of Double, row number: " INT64_FORMAT, field->name, row);
				pfree(text);
				return Float8GetDatum(number);
			}
		case MILVUS_VARCHAR:
		case MILVUS_TEXT:
			if (value->type != jbvString)
				break;
			check_text(field, value->val.string.len, row);
			return PointerGetDatum(cstring_to_text_with_len(value->val.string.val, value->val.string.len));
		default:
			break;
	}
	FieldWrongType(field, field->type == MILVUS_ARRAY ? psprintf("array with a %s", JsonTypeName(value)) : JsonTypeName(value), row);
}

Datum
FieldElementFromJson(FieldReader *reader, const JsonbValue *value, int64 row)
{
	const CollectionField *field = reader->field;

	return field->type == MILVUS_ARRAY ? scalar_from_json(reader, field->element_type, value, row) :
		vector_from_json(reader, field->element_type, value, row);
}

Datum
FieldArray(FieldReader *reader, Datum *values, int n, int64 row)
{
	check_capacity(reader->field, n, row);
	if (n == 0)
		return PointerGetDatum(construct_empty_array(reader->elemtype));
	return PointerGetDatum(construct_array(values, n, reader->elemtype, reader->elemlen, reader->elembyval, reader->elemalign));
}

static Datum
array_from_json(FieldReader *reader, const JsonbValue *value, int64 row)
{
	const CollectionField *field = reader->field;
	JsonbContainer *container = require_array(field, value, row);
	uint32		n = JsonContainerSize(container);
	Datum	   *values;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	element;
	uint32		i = 0;

	/* before the elements are read */
	check_capacity(field, n, row);
	values = palloc(sizeof(Datum) * Max(n, 1));
	it = JsonbIteratorInit(container);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
		if (token == WJB_ELEM)
			values[i++] = FieldElementFromJson(reader, &element, row);
	return FieldArray(reader, values, n, row);
}

Datum
FieldFromJson(FieldReader *reader, const JsonbValue *value, int64 row)
{
	const CollectionField *field = reader->field;
	Jsonb	   *json;

	switch (field->type)
	{
		case MILVUS_JSON:
			json = JsonbValueToJsonb((JsonbValue *) value);
			check_json(field, json, row);
			return JsonbPGetDatum(json);
		case MILVUS_ARRAY:
		case MILVUS_ARRAY_OF_VECTOR:
			return array_from_json(reader, value, row);
		case MILVUS_TIMESTAMPTZ:
		case MILVUS_GEOMETRY:
			if (value->type != jbvString)
				FieldWrongType(field, JsonTypeName(value), row);
			return FieldFromText(reader, JsonText(value), row);
		default:
			if (MilvusTypeIsVector(field->type))
				return vector_from_json(reader, field->type, value, row);
			return scalar_from_json(reader, field->type, value, row);
	}
}

/* ---- keys ---- */

CollectionField *
CollectionPrimary(const Collection *collection)
{
	if (collection->primary == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_ILLEGAL_SCHEMA),
				 errmsg("collection %s has no primary key", collection->name)));
	return collection->primary;
}

ArrayType *
CollectionKeys(const Collection *collection, Jsonb *ids)
{
	FieldReader *reader = FieldReaderMake(collection, CollectionPrimary(collection));
	int			n = 0;
	Datum	   *keys = palloc(sizeof(Datum) * Max(JB_ROOT_COUNT(ids), 1));
	JsonbIterator *it = JsonbIteratorInit(&ids->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_ARRAY(ids))	/* one key is an array of one, to jsonb */
		FieldWrongType(reader->field, "object", 0);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_ELEM)
		{
			keys[n] = FieldFromJson(reader, &value, n);
			n++;
		}
	return construct_array(keys, n, reader->elemtype, reader->elemlen, reader->elembyval, reader->elemalign);
}
