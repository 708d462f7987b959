/*
 * output.c
 *		What an answer has of a row: output_fields, the columns that they need, and entities
 *		as JSON.
 *
 * JSON is built from values, not by SQL, so that a row costs one pass.  Numbers are those of
 * the column's type in their shortest form.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "commands/extension.h"
#include "common/shortest_dec.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/varbit.h"

/* ---- which columns ---- */

const char *
ColumnSql(const char *column)
{
	return psprintf(SEARCH_ALIAS ".%s", quote_identifier(column));
}

static int
add_column(Output *output, const CollectionField *field)
{
	OutputColumn *column;

	for (int i = 0; i < output->ncolumns; i++)
		if (output->columns[i].field == field)
			return i;
	column = &output->columns[output->ncolumns];
	column->field = field;
	column->sql = ColumnSql(field->column);
	column->typid = field->typid;
	if (field->type == MILVUS_GEOMETRY)
	{
		column->sql = psprintf("%s(%s)", QualifiedName(MilvusExtensionNamespace(get_extension_oid("postgis", false)), "st_astext"), column->sql);
		column->typid = TEXTOID;
	}
	return output->ncolumns++;
}

static OutputItem *
add_item(Output *output, OutputKind kind, const char *name)
{
	for (int i = 0; i < output->nitems; i++)
		if (output->items[i].kind == kind && strcmp(output->items[i].name, name) == 0)
			return NULL;
	output->items[output->nitems].kind = kind;
	output->items[output->nitems].name = name;
	output->items[output->nitems].ncolumns = 1;
	return &output->items[output->nitems++];
}

static void
add_field(Output *output, const CollectionField *field)
{
	OutputItem *item = add_item(output, field->is_dynamic ? OUTPUT_META : OUTPUT_FIELD, field->name);

	if (item != NULL)
		item->column = add_column(output, field);
}

/*
 * A struct array; false when there is none of this name.
 */
static bool
add_struct(Output *output, const Collection *collection, const char *name)
{
	OutputItem *item = NULL;
	bool		found = false;

	for (int i = 0; i < collection->nfields; i++)
	{
		const CollectionField *field = &collection->fields[i];
		int			column;

		if (field->struct_name == NULL || strcmp(field->struct_name, name) != 0)
			continue;
		if (!found)
		{
			found = true;
			item = add_item(output, OUTPUT_STRUCT, name);
			if (item == NULL)
				return true;
			item->ncolumns = 0;
		}
		/* its columns stand together, so they are not shared with other items */
		column = output->ncolumns++;
		output->columns[column].field = field;
		output->columns[column].sql = ColumnSql(field->column);
		output->columns[column].typid = field->typid;
		if (item->ncolumns++ == 0)
			item->column = column;
	}
	return found;
}

/*
 * The key of the dynamic field that an output field names: an identifier, or $meta["any key"].  As in
 * Milvus, paths are none.
 */
static const char *
dynamic_key(const Collection *collection, const char *name)
{
	const char *end = name;
	char	   *key = NULL;

	if (*name == '_' || (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z'))
		while (*end == '_' || (*end >= 'a' && *end <= 'z') || (*end >= 'A' && *end <= 'Z') || (*end >= '0' && *end <= '9'))
			end++;
	if (end > name && *end == '\0')
		return name;
	if (strncmp(name, "$meta[", strlen("$meta[")) == 0)
	{
		FilterOptions options;

		CollectionFilterOptions(collection, NULL, SEARCH_ALIAS, 1, NULL, &options);
		key = FilterDynamicKey(CollectionFilterSchema(collection), name, &options);
	}
	if (key == NULL)
		MilvusInvalidParameter("parse output field name failed: %s", name);
	return key;
}

Output *
OutputRead(const Collection *collection, List *names, const char *timezone)
{
	Output	   *output = palloc0(sizeof(Output));
	int			room = (collection->nfields + 1) * 2 + list_length(names);
	ListCell   *cell;

	output->timezone = timezone;
	if (names == NIL)
		return output;
	output->columns = palloc0(sizeof(OutputColumn) * room * 2);
	output->items = palloc0(sizeof(OutputItem) * room * 2);
	foreach(cell, names)
	{
		const char *name = lfirst(cell);
		const CollectionField *field;
		OutputItem *item;

		if (strcmp(name, "*") == 0)
		{
			for (int i = 0; i < collection->nfields; i++)
				if (collection->fields[i].struct_name != NULL)
					(void) add_struct(output, collection, collection->fields[i].struct_name);
				else
					add_field(output, &collection->fields[i]);
			continue;
		}
		field = CollectionFindField(collection, name);
		if (field != NULL)
		{
			add_field(output, field);
			continue;
		}
		if (add_struct(output, collection, name))
			continue;
		if (collection->meta == NULL)
			MilvusInvalidParameter("field %s not exist", name);
		item = add_item(output, OUTPUT_KEY, dynamic_key(collection, name));
		if (item != NULL)
			item->column = add_column(output, collection->meta);
	}
	/* read only where there are times: a database's is in its label */
	for (int i = 0; i < output->ncolumns && output->timezone == NULL; i++)
		if (output->columns[i].typid == TIMESTAMPTZOID)
		{
			output->timezone = CollectionTimezone(collection);
			break;
		}
	return output;
}

void
OutputAppendColumns(const Output *output, StringInfo sql)
{
	for (int i = 0; i < output->ncolumns; i++)
		appendStringInfo(sql, ", %s", output->columns[i].sql);
}

/* ---- JSON ---- */

void
OutputPushKey(JsonbParseState **state, const char *key)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &value);
}

static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *text, int length)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = length;
	pushJsonbValue(state, token, &value);
}

static void
push_null(JsonbParseState **state, JsonbIteratorToken token)
{
	JsonbValue	value = {.type = jbvNull};

	pushJsonbValue(state, token, &value);
}

static void
push_numeric(JsonbParseState **state, JsonbIteratorToken token, Numeric number)
{
	JsonbValue	value = {.type = jbvNumeric};

	/* JSON has no NaN and no infinity */
	if (numeric_is_nan(number) || numeric_is_inf(number))
	{
		push_null(state, token);
		return;
	}
	value.val.numeric = number;
	pushJsonbValue(state, token, &value);
}

static void
push_number_text(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	push_numeric(state, token, DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
																   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
}

/*
 * A document inside another.
 */
static void
push_json(JsonbParseState **state, JsonbIteratorToken token, Jsonb *json)
{
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(json))
	{
		(void) JsonbExtractScalar(&json->root, &value);
		pushJsonbValue(state, token, &value);
		return;
	}
	value.type = jbvBinary;
	value.val.binary.data = &json->root;
	value.val.binary.len = VARSIZE(json) - VARHDRSZ;
	pushJsonbValue(state, token, &value);
}

/*
 * "[1,2.5]" as a vector's type writes it.
 */
static void
push_vector(JsonbParseState **state, char *text)
{
	char	   *p = text + 1;

	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	while (*p != '\0' && *p != ']')
	{
		char	   *end = p + strcspn(p, ",]");
		char		last = *end;

		*end = '\0';
		push_number_text(state, WJB_ELEM, p);
		p = end + (last == ',' ? 1 : 0);
		if (last != ',')
			break;
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/*
 * "{1:0.5,7:2}/100" as Milvus has it: {"0": 0.5, "6": 2}, positions from 0 on.
 */
static void
push_sparse(JsonbParseState **state, char *text)
{
	char	   *p = text + 1;

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	while (*p != '\0' && *p != '}')
	{
		char	   *end;
		unsigned long position = strtoul(p, &end, 10);
		char		last;

		p = end + 1;
		end = p + strcspn(p, ",}");
		last = *end;
		*end = '\0';
		OutputPushKey(state, psprintf("%lu", position - 1));
		push_number_text(state, WJB_VALUE, p);
		if (last != ',')
			break;
		p = end + 1;
	}
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/*
 * Bits as bytes, the first bit the highest of the first byte.
 */
static void
push_bits(JsonbParseState **state, VarBit *bits)
{
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < (int) VARBITBYTES(bits); i++)
	{
		JsonbValue	value = {.type = jbvNumeric,.val.numeric = int64_to_numeric(VARBITS(bits)[i])};

		pushJsonbValue(state, WJB_ELEM, &value);
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/*
 * ISO 8601 in a zone; UTC is Z.
 */
static void
push_time(JsonbParseState **state, JsonbIteratorToken token, Datum value, const char *timezone)
{
	char		text[MAXDATELEN + 1];
	int			offset = 0;
	int			length;

	if (TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(value)))
	{
		push_null(state, token);
		return;
	}
	if (timezone != NULL)
	{
		pg_tz	   *zone = pg_tzset(timezone);
		struct pg_tm tm;
		fsec_t		fsec;

		if (zone != NULL && timestamp2tm(DatumGetTimestampTz(value), &offset, &tm, &fsec, NULL, zone) != 0)
			offset = 0;
	}
	JsonEncodeDateTime(text, value, TIMESTAMPTZOID, &offset);
	length = strlen(text);
	if (length > 6 && strcmp(text + length - 6, "+00:00") == 0)
		strcpy(text + length - 6, "Z");
	/* it is read when the whole is put together */
	push_text(state, token, pstrdup(text), strlen(text));
}

void
OutputPushValue(JsonbParseState **state, JsonbIteratorToken token, Datum value, bool isnull, Oid typid, const char *timezone)
{
	char		buffer[64];
	Oid			element;
	Oid			output;
	bool		is_varlena;

	if (isnull)
	{
		push_null(state, token);
		return;
	}
	switch (typid)
	{
		case BOOLOID:
			{
				JsonbValue	json = {.type = jbvBool,.val.boolean = DatumGetBool(value)};

				pushJsonbValue(state, token, &json);
				return;
			}
		case INT2OID:
			push_numeric(state, token, int64_to_numeric(DatumGetInt16(value)));
			return;
		case INT4OID:
			push_numeric(state, token, int64_to_numeric(DatumGetInt32(value)));
			return;
		case INT8OID:
			push_numeric(state, token, int64_to_numeric(DatumGetInt64(value)));
			return;
		case FLOAT4OID:
			if (isinf(DatumGetFloat4(value)) || isnan(DatumGetFloat4(value)))
				push_null(state, token);
			else
			{
				float_to_shortest_decimal_buf(DatumGetFloat4(value), buffer);
				push_number_text(state, token, buffer);
			}
			return;
		case FLOAT8OID:
			if (isinf(DatumGetFloat8(value)) || isnan(DatumGetFloat8(value)))
				push_null(state, token);
			else
			{
				double_to_shortest_decimal_buf(DatumGetFloat8(value), buffer);
				push_number_text(state, token, buffer);
			}
			return;
		case NUMERICOID:
			push_numeric(state, token, DatumGetNumeric(value));
			return;
		case TEXTOID:
		case VARCHAROID:
			{
				text	   *string = DatumGetTextPP(value);

				push_text(state, token, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
				return;
			}
		case JSONBOID:
			push_json(state, token, DatumGetJsonbP(value));
			return;
		case TIMESTAMPTZOID:
			push_time(state, token, value, timezone);
			return;
		case BITOID:
			push_bits(state, DatumGetVarBitP(value));
			return;
	}
	element = get_element_type(typid);
	if (OidIsValid(element))
	{
		ArrayType  *array = DatumGetArrayTypeP(value);
		int16		typlen;
		bool		typbyval;
		char		typalign;
		Datum	   *items;
		bool	   *nulls;
		int			n;

		get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
		deconstruct_array(array, element, typlen, typbyval, typalign, &items, &nulls, &n);
		pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
		for (int i = 0; i < n; i++)
			OutputPushValue(state, WJB_ELEM, items[i], nulls[i], element, timezone);
		pushJsonbValue(state, WJB_END_ARRAY, NULL);
		return;
	}
	/* vectors, and whatever else a column of PostgreSQL's may be */
	getTypeOutputInfo(typid, &output, &is_varlena);
	{
		char	   *text = OidOutputFunctionCall(output, value);

		if (text[0] == '[')
			push_vector(state, text);
		else if (text[0] == '{' && strstr(text, "}/") != NULL)
			push_sparse(state, text);
		else
			push_text(state, token, text, strlen(text));
	}
}

/*
 * A struct array of its sub-fields' arrays: objects, as many as the longest has elements.
 */
static void
push_struct(JsonbParseState **state, const Output *output, const OutputItem *item, const Datum *values, const bool *isnull)
{
	Datum	  **items = palloc(sizeof(Datum *) * item->ncolumns);
	bool	  **nulls = palloc(sizeof(bool *) * item->ncolumns);
	int		   *lengths = palloc0(sizeof(int) * item->ncolumns);
	int			longest = 0;
	bool		all_null = true;

	for (int i = 0; i < item->ncolumns; i++)
	{
		const OutputColumn *column = &output->columns[item->column + i];
		Oid			element = get_element_type(column->typid);
		int16		typlen;
		bool		typbyval;
		char		typalign;

		if (isnull[item->column + i])
			continue;
		all_null = false;
		get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
		deconstruct_array(DatumGetArrayTypeP(values[item->column + i]), element, typlen, typbyval, typalign,
						  &items[i], &nulls[i], &lengths[i]);
		longest = Max(longest, lengths[i]);
	}
	if (all_null)
	{
		push_null(state, WJB_VALUE);
		return;
	}
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int row = 0; row < longest; row++)
	{
		pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		for (int i = 0; i < item->ncolumns; i++)
		{
			const OutputColumn *column = &output->columns[item->column + i];
			bool		none = row >= lengths[i];

			OutputPushKey(state, column->field->sub_name);
			OutputPushValue(state, WJB_VALUE, none ? (Datum) 0 : items[i][row], none || nulls[i][row],
							get_element_type(column->typid), output->timezone);
		}
		pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/*
 * Keys of $meta as keys of the entity.
 */
static void
push_meta(JsonbParseState **state, Jsonb *meta)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(meta))
		return;
	iterator = JsonbIteratorInit(&meta->root);
	(void) JsonbIteratorNext(&iterator, &value, true);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_END_OBJECT)
		pushJsonbValue(state, token, &value);
}

Jsonb *
OutputEntity(const Output *output, const Datum *values, const bool *isnull)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	/* of equal keys the last one counts: a field before a key of $meta */
	for (int i = 0; i < output->nitems; i++)
	{
		const OutputItem *item = &output->items[i];

		if (item->kind == OUTPUT_META && !isnull[item->column])
			push_meta(&state, DatumGetJsonbP(values[item->column]));
	}
	for (int i = 0; i < output->nitems; i++)
	{
		const OutputItem *item = &output->items[i];
		const OutputColumn *column = &output->columns[item->column];

		switch (item->kind)
		{
			case OUTPUT_META:
				break;
			case OUTPUT_FIELD:
				OutputPushKey(&state, item->name);
				OutputPushValue(&state, WJB_VALUE, values[item->column], isnull[item->column], column->typid, output->timezone);
				break;
			case OUTPUT_STRUCT:
				OutputPushKey(&state, item->name);
				push_struct(&state, output, item, values, isnull);
				break;
			case OUTPUT_KEY:
				if (!isnull[item->column])
				{
					Jsonb	   *meta = DatumGetJsonbP(values[item->column]);
					JsonbValue *value = JB_ROOT_IS_OBJECT(meta) ?
						getKeyJsonValueFromContainer(&meta->root, item->name, strlen(item->name), NULL) : NULL;

					if (value != NULL)
					{
						OutputPushKey(&state, item->name);
						pushJsonbValue(&state, WJB_VALUE, value);
					}
				}
				break;
		}
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
