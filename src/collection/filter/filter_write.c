/*
 * filter_write.c
 *		The pieces of SQL: quoted constants, parameters, columns, paths into JSON.
 *
 * Text of the user appears as a quoted literal of a named type, as part of a quoted array or JSON literal, or as
 * a parameter, and nowhere else.
 */
#include "collection/filter/filter_sql.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type_d.h"
#include "common/shortest_dec.h"
#include "miscadmin.h"

const FilterSqlType filter_bool = {"bool", BOOLOID, BOOLARRAYOID};
const FilterSqlType filter_int2 = {"int2", INT2OID, INT2ARRAYOID};
const FilterSqlType filter_int4 = {"int4", INT4OID, INT4ARRAYOID};
const FilterSqlType filter_int8 = {"int8", INT8OID, INT8ARRAYOID};
const FilterSqlType filter_float4 = {"float4", FLOAT4OID, FLOAT4ARRAYOID};
const FilterSqlType filter_float8 = {"float8", FLOAT8OID, FLOAT8ARRAYOID};
const FilterSqlType filter_numeric = {"numeric", NUMERICOID, NUMERICARRAYOID};
const FilterSqlType filter_text = {"text", TEXTOID, TEXTARRAYOID};
const FilterSqlType filter_jsonb = {"jsonb", JSONBOID, JSONBARRAYOID};

/* ---- quoting ---- */

void
FilterWriteIdentifier(StringInfo sql, const char *name)
{
	appendStringInfoChar(sql, '"');
	for (; *name != '\0'; name++)
	{
		if (*name == '"')
			appendStringInfoChar(sql, '"');
		appendStringInfoChar(sql, *name);
	}
	appendStringInfoChar(sql, '"');
}

/*
 * A quoted string, whatever standard_conforming_strings is.  The lead byte of a character of a server
 * encoding is no ASCII character, nor any other of its bytes.
 */
void
FilterWriteLiteral(StringInfo sql, const char *text)
{
	if (strchr(text, '\\') != NULL)
		appendStringInfoString(sql, " E");
	appendStringInfoChar(sql, '\'');
	for (; *text != '\0'; text++)
	{
		if (*text == '\'' || *text == '\\')
			appendStringInfoChar(sql, *text);
		appendStringInfoChar(sql, *text);
	}
	appendStringInfoChar(sql, '\'');
}

void
FilterWriteOperator(StringInfo sql, const char *name)
{
	appendStringInfo(sql, " OPERATOR(pg_catalog.%s) ", name);
}

const char *
FilterComparisonName(FilterOp op)
{
	switch (op)
	{
		case FILTER_EQ:
			return "=";
		case FILTER_NE:
			return "<>";
		case FILTER_LT:
			return "<";
		case FILTER_LE:
			return "<=";
		case FILTER_GT:
			return ">";
		default:
			return ">=";
	}
}

/* ---- constants ---- */

static void
write_json(StringInfo text, const FilterValue *value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	switch (value->kind)
	{
		case FILTER_VALUE_BOOL:
			appendStringInfoString(text, value->boolean ? "true" : "false");
			break;
		case FILTER_VALUE_INT:
			appendStringInfo(text, "%lld", (long long) value->integer);
			break;
		case FILTER_VALUE_DOUBLE:
			double_to_shortest_decimal_buf(value->number, digits);
			appendStringInfoString(text, digits);
			break;
		case FILTER_VALUE_ARRAY:
			check_stack_depth();
			appendStringInfoChar(text, '[');
			for (int i = 0; i < value->count; i++)
			{
				if (i > 0)
					appendStringInfoString(text, ", ");
				write_json(text, &value->items[i]);
			}
			appendStringInfoChar(text, ']');
			break;
		default:
			appendStringInfoChar(text, '"');
			for (const char *p = value->string; *p != '\0'; p++)
			{
				if (*p == '"' || *p == '\\')
					appendStringInfoChar(text, '\\');
				if ((unsigned char) *p < ' ')
					appendStringInfo(text, "\\u%04x", (unsigned char) *p);
				else
					appendStringInfoChar(text, *p);
			}
			appendStringInfoChar(text, '"');
			break;
	}
}

/* A value as input of a type. */
static void
write_input(StringInfo text, const FilterSqlType *type, const FilterValue *value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (type == &filter_jsonb)
		write_json(text, value);
	else if (value->kind == FILTER_VALUE_BOOL)
		appendStringInfoString(text, value->boolean ? "true" : "false");
	else if (value->kind == FILTER_VALUE_INT)
		appendStringInfo(text, "%lld", (long long) value->integer);
	else if (value->kind != FILTER_VALUE_DOUBLE)
		appendStringInfoString(text, value->string);
	else if (type == &filter_float4)
	{
		/* rounded as Milvus's float is; what is past its range is infinite */
		if (fabs(value->number) > FLT_MAX)
			appendStringInfoString(text, value->number < 0 ? "-Infinity" : "Infinity");
		else
		{
			float_to_shortest_decimal_buf((float) value->number, digits);
			appendStringInfoString(text, digits);
		}
	}
	else
	{
		double_to_shortest_decimal_buf(value->number, digits);
		appendStringInfoString(text, digits);
	}
}

/* Text as a constant of a type: a literal, or a parameter that is new unless there is one like it. */
static void
write_constant_text(FilterContext *context, StringInfo sql, const FilterSqlType *type, bool is_array, bool is_param, const char *text)
{
	Oid			oid = is_array ? type->array_oid : type->oid;

	if (is_param)
	{
		int			number = 0;

		while (number < context->nparams &&
			   (context->params[number].type != oid || strcmp(context->params[number].text, text) != 0))
			number++;
		if (number == context->nparams)
		{
			if (context->nparams == context->params_room)
			{
				context->params_room = Max(8, 2 * context->params_room);
				context->params = context->params == NULL ? palloc(context->params_room * sizeof(FilterParam)) :
					repalloc(context->params, context->params_room * sizeof(FilterParam));
			}
			context->params[context->nparams].type = oid;
			context->params[context->nparams++].text = text;
		}
		appendStringInfo(sql, "$%d", context->options->first_param + number);
	}
	else
		FilterWriteLiteral(sql, text);
	appendStringInfo(sql, "::pg_catalog.%s%s", type->name, is_array ? "[]" : "");
}

void
FilterWriteConstant(FilterContext *context, StringInfo sql, const FilterSqlType *type, const FilterValue *value)
{
	StringInfoData text;

	initStringInfo(&text);
	write_input(&text, type, value);
	write_constant_text(context, sql, type, false, value->is_template, text.data);
}

/* A list as an array. */
void
FilterWriteArray(FilterContext *context, StringInfo sql, const FilterSqlType *type, const FilterValue *list)
{
	StringInfoData text;
	StringInfoData item;
	bool		quoted = type == &filter_text || type == &filter_jsonb;

	initStringInfo(&text);
	initStringInfo(&item);
	appendStringInfoChar(&text, '{');
	for (int i = 0; i < list->count; i++)
	{
		if (i > 0)
			appendStringInfoChar(&text, ',');
		if (!quoted)
		{
			write_input(&text, type, &list->items[i]);
			continue;
		}
		item.len = 0;
		item.data[0] = '\0';
		write_input(&item, type, &list->items[i]);
		appendStringInfoChar(&text, '"');
		for (const char *p = item.data; *p != '\0'; p++)
		{
			if (*p == '"' || *p == '\\')
				appendStringInfoChar(&text, '\\');
			appendStringInfoChar(&text, *p);
		}
		appendStringInfoChar(&text, '"');
	}
	appendStringInfoChar(&text, '}');
	pfree(item.data);
	write_constant_text(context, sql, type, true, list->is_template, text.data);
}

/* ---- types ---- */

/* The SQL type of values of a scalar type. */
const FilterSqlType *
FilterScalarType(FilterType type)
{
	switch (type)
	{
		case FILTER_BOOL:
			return &filter_bool;
		case FILTER_INT8:
		case FILTER_INT16:
			return &filter_int2;
		case FILTER_INT32:
			return &filter_int4;
		case FILTER_INT64:
			return &filter_int8;
		case FILTER_FLOAT:
			return &filter_float4;
		case FILTER_DOUBLE:
			return &filter_float8;
		case FILTER_JSON:
			return &filter_jsonb;
		default:
			return &filter_text;
	}
}

/* Is this value one of the SQL type?  Only integers can be too large for theirs. */
bool
FilterFits(const FilterSqlType *type, const FilterValue *value)
{
	if (value->kind != FILTER_VALUE_INT)
		return true;
	if (type == &filter_int2)
		return value->integer >= PG_INT16_MIN && value->integer <= PG_INT16_MAX;
	if (type == &filter_int4)
		return value->integer >= PG_INT32_MIN && value->integer <= PG_INT32_MAX;
	return true;
}

/* The type a column is compared with a value in: the column's, unless the value does not fit. */
const FilterSqlType *
FilterComparisonType(FilterType type, const FilterValue *value)
{
	const FilterSqlType *own = FilterScalarType(type);

	return FilterFits(own, value) ? own : &filter_int8;
}

/* ---- columns ---- */

int
FilterFieldNumber(const FilterField *parent, const FilterField *field)
{
	return parent == NULL ? 0 : (int) (field - parent->fields);
}

/* Is a key one that JSON arrays have too?  Then it may be either, as in a JSON pointer. */
static bool
is_index(const char *key)
{
	size_t		digits = strspn(key, "0123456789");

	return digits > 0 && digits < 10 && key[digits] == '\0' && (key[0] != '0' || digits == 1);
}

/* A column, or an element of an array: without its path into JSON. */
void
FilterWriteBase(FilterContext *context, StringInfo sql, const FilterColumn *column)
{
	if (column->is_element)
	{
		appendStringInfo(sql, "milvus_e.f%d", FilterFieldNumber(column->parent, column->field));
		return;
	}
	if (column->index >= 0)
		appendStringInfoChar(sql, '(');
	FilterWriteIdentifier(sql, context->options->alias);
	appendStringInfoChar(sql, '.');
	FilterWriteIdentifier(sql, column->field->column);
	if (column->index >= 0)
		appendStringInfo(sql, ")[%lld]", (long long) column->index + 1);
}

/* The value at a path, as jsonb or as text.  Keys that may be indexes go through #>, which takes both. */
void
FilterWritePath(FilterContext *context, StringInfo sql, const FilterColumn *column, bool as_text)
{
	FilterValue key = {FILTER_VALUE_STRING};

	for (int i = 0; i < column->npath; i++)
		appendStringInfoChar(sql, '(');
	if (column->npath == 0 && as_text)
		appendStringInfoChar(sql, '(');
	FilterWriteBase(context, sql, column);
	for (int i = 0; i < column->npath; i++)
	{
		bool		last = as_text && i == column->npath - 1;

		key.string = column->path[i];
		if (is_index(key.string))
		{
			FilterValue list = {FILTER_VALUE_ARRAY};

			list.count = 1;
			list.items = &key;
			FilterWriteOperator(sql, last ? "#>>" : "#>");
			FilterWriteArray(context, sql, &filter_text, &list);
		}
		else
		{
			FilterWriteOperator(sql, last ? "->>" : "->");
			FilterWriteConstant(context, sql, &filter_text, &key);
		}
		appendStringInfoChar(sql, ')');
	}
	if (column->npath == 0 && as_text)
	{
		FilterWriteOperator(sql, "#>>");
		appendStringInfoString(sql, "'{}'::pg_catalog.text[])");
	}
}

void
FilterWriteColumn(FilterContext *context, StringInfo sql, const FilterColumn *column)
{
	FilterWritePath(context, sql, column, false);
}

void
FilterWriteJsonType(FilterContext *context, StringInfo sql, const FilterColumn *column, const char *type)
{
	appendStringInfoString(sql, "pg_catalog.jsonb_typeof(");
	FilterWritePath(context, sql, column, false);
	appendStringInfo(sql, ") OPERATOR(pg_catalog.=) '%s'::pg_catalog.text", type);
}

/* What jsonb_typeof says of a value. */
const char *
FilterJsonType(const FilterValue *value)
{
	switch (value->kind)
	{
		case FILTER_VALUE_BOOL:
			return "boolean";
		case FILTER_VALUE_INT:
		case FILTER_VALUE_DOUBLE:
			return "number";
		case FILTER_VALUE_ARRAY:
			return "array";
		default:
			return "string";
	}
}

/* Can a test of the path be a containment test of the whole column, for a GIN index over it? */
bool
FilterHasContainment(const FilterColumn *column)
{
	if (!column->field->has_json_gin || column->is_element || column->npath == 0)
		return false;
	for (int i = 0; i < column->npath; i++)
	{
		if (is_index(column->path[i]))
			return false;
	}
	return true;
}

/* column @> {"a": {"b": value}} */
void
FilterWriteContainment(FilterContext *context, StringInfo sql, const FilterColumn *column, const FilterValue *value)
{
	StringInfoData text;
	FilterValue key = {FILTER_VALUE_STRING};

	initStringInfo(&text);
	for (int i = 0; i < column->npath; i++)
	{
		key.string = column->path[i];
		appendStringInfoChar(&text, '{');
		write_json(&text, &key);
		appendStringInfoString(&text, ": ");
	}
	write_json(&text, value);
	for (int i = 0; i < column->npath; i++)
		appendStringInfoChar(&text, '}');
	FilterWriteBase(context, sql, column);
	FilterWriteOperator(sql, "@>");
	write_constant_text(context, sql, &filter_jsonb, false, value->is_template, text.data);
}

/* TRUE for no row, or for those whose value is not null: what a comparison with an impossible value is. */
void
FilterWriteCertain(FilterContext *context, StringInfo sql, const FilterColumn *column, bool result)
{
	if (!result)
	{
		appendStringInfoString(sql, "false");
		return;
	}
	appendStringInfoChar(sql, '(');
	FilterWriteBase(context, sql, column);
	appendStringInfoString(sql, " IS NOT NULL)");
}
