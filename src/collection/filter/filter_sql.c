/*
 * filter_sql.c
 *		The normalized tree into SQL.
 *
 * What is written is TRUE for the rows that match; it may be FALSE or NULL for the others (filter_rewrite.c).
 * Every function, operator and type is qualified; text of the user appears as a quoted literal of a named
 * type, as part of a quoted array or JSON literal, or as a parameter, and nowhere else.
 */
#include "collection/filter/filter_internal.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type_d.h"
#include "common/shortest_dec.h"
#include "miscadmin.h"

/* A type of PostgreSQL that constants are written as. */
typedef struct SqlType
{
	const char *name;
	Oid			oid;
	Oid			array_oid;
} SqlType;

static const SqlType sql_bool = {"bool", BOOLOID, BOOLARRAYOID};
static const SqlType sql_int2 = {"int2", INT2OID, INT2ARRAYOID};
static const SqlType sql_int4 = {"int4", INT4OID, INT4ARRAYOID};
static const SqlType sql_int8 = {"int8", INT8OID, INT8ARRAYOID};
static const SqlType sql_float4 = {"float4", FLOAT4OID, FLOAT4ARRAYOID};
static const SqlType sql_float8 = {"float8", FLOAT8OID, FLOAT8ARRAYOID};
static const SqlType sql_numeric = {"numeric", NUMERICOID, NUMERICARRAYOID};
static const SqlType sql_text = {"text", TEXTOID, TEXTARRAYOID};
static const SqlType sql_jsonb = {"jsonb", JSONBOID, JSONBARRAYOID};

static void write_cond(FilterContext *context, StringInfo sql, FilterCond *cond);

/* ---- quoting ---- */

static void
write_identifier(StringInfo sql, const char *name)
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
static void
write_literal(StringInfo sql, const char *text)
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

static void
write_operator(StringInfo sql, const char *name)
{
	appendStringInfo(sql, " OPERATOR(pg_catalog.%s) ", name);
}

static const char *
comparison_name(FilterOp op)
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
write_input(StringInfo text, const SqlType *type, const FilterValue *value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (type == &sql_jsonb)
		write_json(text, value);
	else if (value->kind == FILTER_VALUE_BOOL)
		appendStringInfoString(text, value->boolean ? "true" : "false");
	else if (value->kind == FILTER_VALUE_INT)
		appendStringInfo(text, "%lld", (long long) value->integer);
	else if (value->kind != FILTER_VALUE_DOUBLE)
		appendStringInfoString(text, value->string);
	else if (type == &sql_float4)
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
write_constant_text(FilterContext *context, StringInfo sql, const SqlType *type, bool is_array, bool is_param, const char *text)
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
		write_literal(sql, text);
	appendStringInfo(sql, "::pg_catalog.%s%s", type->name, is_array ? "[]" : "");
}

static void
write_constant(FilterContext *context, StringInfo sql, const SqlType *type, const FilterValue *value)
{
	StringInfoData text;

	initStringInfo(&text);
	write_input(&text, type, value);
	write_constant_text(context, sql, type, false, value->is_template, text.data);
}

/* A list as an array. */
static void
write_array(FilterContext *context, StringInfo sql, const SqlType *type, const FilterValue *list)
{
	StringInfoData text;
	StringInfoData item;
	bool		quoted = type == &sql_text || type == &sql_jsonb;

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
static const SqlType *
scalar_type(FilterType type)
{
	switch (type)
	{
		case FILTER_BOOL:
			return &sql_bool;
		case FILTER_INT8:
		case FILTER_INT16:
			return &sql_int2;
		case FILTER_INT32:
			return &sql_int4;
		case FILTER_INT64:
			return &sql_int8;
		case FILTER_FLOAT:
			return &sql_float4;
		case FILTER_DOUBLE:
			return &sql_float8;
		case FILTER_JSON:
			return &sql_jsonb;
		default:
			return &sql_text;
	}
}

/* Is this value one of the SQL type?  Only integers can be too large for theirs. */
static bool
fits(const SqlType *type, const FilterValue *value)
{
	if (value->kind != FILTER_VALUE_INT)
		return true;
	if (type == &sql_int2)
		return value->integer >= PG_INT16_MIN && value->integer <= PG_INT16_MAX;
	if (type == &sql_int4)
		return value->integer >= PG_INT32_MIN && value->integer <= PG_INT32_MAX;
	return true;
}

/* The type a column is compared with a value in: the column's, unless the value does not fit. */
static const SqlType *
comparison_type(FilterType type, const FilterValue *value)
{
	const SqlType *own = scalar_type(type);

	return fits(own, value) ? own : &sql_int8;
}

/* ---- columns ---- */

static int
field_number(const FilterField *parent, const FilterField *field)
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
static void
write_base(FilterContext *context, StringInfo sql, const FilterColumn *column)
{
	if (column->is_element)
	{
		appendStringInfo(sql, "milvus_e.f%d", field_number(column->parent, column->field));
		return;
	}
	if (column->index >= 0)
		appendStringInfoChar(sql, '(');
	write_identifier(sql, context->options->alias);
	appendStringInfoChar(sql, '.');
	write_identifier(sql, column->field->column);
	if (column->index >= 0)
		appendStringInfo(sql, ")[%lld]", (long long) column->index + 1);
}

/* The value at a path, as jsonb or as text.  Keys that may be indexes go through #>, which takes both. */
static void
write_path(FilterContext *context, StringInfo sql, const FilterColumn *column, bool as_text)
{
	FilterValue key = {FILTER_VALUE_STRING};

	for (int i = 0; i < column->npath; i++)
		appendStringInfoChar(sql, '(');
	if (column->npath == 0 && as_text)
		appendStringInfoChar(sql, '(');
	write_base(context, sql, column);
	for (int i = 0; i < column->npath; i++)
	{
		bool		last = as_text && i == column->npath - 1;

		key.string = column->path[i];
		if (is_index(key.string))
		{
			FilterValue list = {FILTER_VALUE_ARRAY};

			list.count = 1;
			list.items = &key;
			write_operator(sql, last ? "#>>" : "#>");
			write_array(context, sql, &sql_text, &list);
		}
		else
		{
			write_operator(sql, last ? "->>" : "->");
			write_constant(context, sql, &sql_text, &key);
		}
		appendStringInfoChar(sql, ')');
	}
	if (column->npath == 0 && as_text)
	{
		write_operator(sql, "#>>");
		appendStringInfoString(sql, "'{}'::pg_catalog.text[])");
	}
}

void
FilterWriteColumn(FilterContext *context, StringInfo sql, const FilterColumn *column)
{
	write_path(context, sql, column, false);
}

static void
write_json_type(FilterContext *context, StringInfo sql, const FilterColumn *column, const char *type)
{
	appendStringInfoString(sql, "pg_catalog.jsonb_typeof(");
	write_path(context, sql, column, false);
	appendStringInfo(sql, ") OPERATOR(pg_catalog.=) '%s'::pg_catalog.text", type);
}

/* What jsonb_typeof says of a value. */
static const char *
json_type(const FilterValue *value)
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
static bool
has_containment(const FilterColumn *column)
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
static void
write_containment(FilterContext *context, StringInfo sql, const FilterColumn *column, const FilterValue *value)
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
	write_base(context, sql, column);
	write_operator(sql, "@>");
	write_constant_text(context, sql, &sql_jsonb, false, value->is_template, text.data);
}

/* TRUE for no row, or for those whose value is not null: what a comparison with an impossible value is. */
static void
write_certain(FilterContext *context, StringInfo sql, const FilterColumn *column, bool result)
{
	if (!result)
	{
		appendStringInfoString(sql, "false");
		return;
	}
	appendStringInfoChar(sql, '(');
	write_base(context, sql, column);
	appendStringInfoString(sql, " IS NOT NULL)");
}

/* ---- comparisons ---- */

static bool
is_ordering(FilterOp op)
{
	return op != FILTER_EQ && op != FILTER_NE;
}

/* A key's value.  One of another type, or none, is unknown: only != and orderings need to say so. */
static void
write_json_comparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, const FilterValue *value)
{
	appendStringInfoChar(sql, '(');
	if (op == FILTER_EQ && value->kind != FILTER_VALUE_ARRAY && has_containment(column))
	{
		write_containment(context, sql, column, value);
		appendStringInfoChar(sql, ')');
		return;
	}
	/* jsonb orders strings by the database's collation, Milvus by bytes */
	if (is_ordering(op) && value->kind == FILTER_VALUE_STRING)
	{
		write_path(context, sql, column, true);
		appendStringInfoString(sql, " COLLATE pg_catalog.\"C\"");
		write_operator(sql, comparison_name(op));
		write_constant(context, sql, &sql_text, value);
	}
	else
	{
		write_path(context, sql, column, false);
		write_operator(sql, comparison_name(op));
		write_constant(context, sql, &sql_jsonb, value);
	}
	if (op != FILTER_EQ)
	{
		appendStringInfoString(sql, " AND ");
		write_json_type(context, sql, column, json_type(value));
	}
	appendStringInfoChar(sql, ')');
}

/* A whole array with a list. */
static void
write_array_comparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, const FilterValue *list)
{
	const SqlType *type = scalar_type(column->field->element_type);
	bool		cast = false;

	for (int i = 0; i < list->count; i++)
	{
		if (!fits(type, &list->items[i]))
		{
			write_certain(context, sql, column, op == FILTER_NE);
			return;
		}
		/* floats beside integers */
		if (FilterIsInteger(column->field->element_type) && list->items[i].kind == FILTER_VALUE_DOUBLE)
			cast = true;
	}
	appendStringInfoChar(sql, '(');
	write_base(context, sql, column);
	if (cast)
	{
		appendStringInfoString(sql, "::pg_catalog.float8[]");
		type = &sql_float8;
	}
	write_operator(sql, comparison_name(op));
	write_array(context, sql, type, list);
	appendStringInfoChar(sql, ')');
}

static void
write_comparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, const FilterValue *value)
{
	FilterType	type = FilterColumnType(column);

	if (type == FILTER_JSON)
	{
		write_json_comparison(context, sql, column, op, value);
		return;
	}
	if (type == FILTER_ARRAY)
	{
		write_array_comparison(context, sql, column, op, value);
		return;
	}
	appendStringInfoChar(sql, '(');
	write_base(context, sql, column);
	if (FilterIsString(type) && is_ordering(op))
		appendStringInfoString(sql, " COLLATE pg_catalog.\"C\"");
	write_operator(sql, comparison_name(op));
	write_constant(context, sql, comparison_type(type, value), value);
	appendStringInfoChar(sql, ')');
}

static void
write_in(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	const FilterColumn *column = &cond->column;
	FilterType	type = FilterColumnType(column);
	const SqlType *own = scalar_type(type);
	FilterValue list = cond->value;
	int			kept = 0;

	/* a value that the column cannot have is as good as none */
	for (int i = 0; i < list.count; i++)
	{
		if (fits(own, &list.items[i]))
			list.items[kept++] = list.items[i];
	}
	list.count = kept;
	if (list.count == 0 && !list.is_template)
	{
		/* in JSON a key that is not there, or null, is unknown */
		if (cond->negated && column->npath > 0)
		{
			appendStringInfoChar(sql, '(');
			write_path(context, sql, column, false);
			write_operator(sql, "<>");
			appendStringInfoString(sql, "'null'::pg_catalog.jsonb)");
		}
		else
			write_certain(context, sql, column, cond->negated);
		return;
	}
	if (list.count == 1 && !list.is_template)
	{
		write_comparison(context, sql, column, cond->negated ? FILTER_NE : FILTER_EQ, &list.items[0]);
		return;
	}
	appendStringInfoChar(sql, '(');
	write_path(context, sql, column, false);
	appendStringInfo(sql, " OPERATOR(pg_catalog.%s) %s (", cond->negated ? "<>" : "=", cond->negated ? "ALL" : "ANY");
	write_array(context, sql, own, &list);
	appendStringInfoChar(sql, ')');
	if (cond->negated && (type == FILTER_JSON || list.count == 0))
	{
		/* unknown: values of a type that none in the list has */
		const char *types[4];
		int			ntypes = 0;

		if (list.count == 0)
		{
			/* all values of an empty template, null aside */
			appendStringInfoString(sql, " AND ");
			write_path(context, sql, column, false);
			if (type == FILTER_JSON)
			{
				write_operator(sql, "<>");
				appendStringInfoString(sql, "'null'::pg_catalog.jsonb)");
			}
			else
				appendStringInfoString(sql, " IS NOT NULL)");
			return;
		}
		for (int i = 0; i < list.count; i++)
		{
			const char *name = json_type(&list.items[i]);
			int			j = 0;

			while (j < ntypes && strcmp(types[j], name) != 0)
				j++;
			if (j == ntypes)
				types[ntypes++] = name;
		}
		appendStringInfoString(sql, " AND (");
		for (int i = 0; i < ntypes; i++)
		{
			if (i > 0)
				appendStringInfoString(sql, " OR ");
			write_json_type(context, sql, column, types[i]);
		}
		appendStringInfoChar(sql, ')');
	}
	appendStringInfoChar(sql, ')');
}

/* ---- arithmetic ---- */

static const char *
arithmetic_name(FilterOp op)
{
	switch (op)
	{
		case FILTER_ADD:
			return "+";
		case FILTER_SUB:
			return "-";
		case FILTER_MUL:
			return "*";
		case FILTER_DIV:
			return "/";
		case FILTER_MOD:
			return "%";
		case FILTER_BIT_AND:
			return "&";
		case FILTER_BIT_OR:
			return "|";
		default:
			return "#";
	}
}

static FilterOp
mirrored(FilterOp op)
{
	switch (op)
	{
		case FILTER_LT:
			return FILTER_GT;
		case FILTER_LE:
			return FILTER_GE;
		case FILTER_GT:
			return FILTER_LT;
		case FILTER_GE:
			return FILTER_LE;
		default:
			return op;
	}
}

/* A comparison with an integer of any size: one past int64 is larger or smaller than every value. */
static void
write_wide_comparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, __int128 bound, bool is_template)
{
	FilterValue value = {FILTER_VALUE_INT};

	if (bound > PG_INT64_MAX || bound < PG_INT64_MIN)
	{
		bool		below = bound > 0;	/* every value is below the bound */

		write_certain(context, sql, column, op == FILTER_NE || ((op == FILTER_LT || op == FILTER_LE) && below) ||
					  ((op == FILTER_GT || op == FILTER_GE) && !below));
		return;
	}
	value.integer = (int64) bound;
	value.is_template = is_template;
	write_comparison(context, sql, column, op, &value);
}

/*
 * column * factor op bound, as a comparison of the column alone: exact, without overflow, and one that
 * indexes serve.
 */
static void
write_product(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, int64 factor, int64 value, bool is_template)
{
	__int128	k = factor;
	__int128	v = value;
	__int128	quotient;
	bool		exact;
	bool		zero_result;

	if (k == 0)
	{
		switch (op)
		{
			case FILTER_EQ:
				zero_result = v == 0;
				break;
			case FILTER_NE:
				zero_result = v != 0;
				break;
			case FILTER_LT:
				zero_result = 0 < v;
				break;
			case FILTER_LE:
				zero_result = 0 <= v;
				break;
			case FILTER_GT:
				zero_result = 0 > v;
				break;
			default:
				zero_result = 0 >= v;
				break;
		}
		write_certain(context, sql, column, zero_result);
		return;
	}
	if (k < 0)
	{
		k = -k;
		v = -v;
		op = mirrored(op);
	}
	quotient = v / k;
	exact = quotient * k == v;
	if (!exact && v < 0)
		quotient--;				/* rounded down */
	if (!exact)
	{
		switch (op)
		{
			case FILTER_EQ:
			case FILTER_NE:
				write_certain(context, sql, column, op == FILTER_NE);
				return;
			case FILTER_LT:
				op = FILTER_LE;
				break;
			case FILTER_GE:
				op = FILTER_GT;
				break;
			default:
				break;
		}
	}
	write_wide_comparison(context, sql, column, op, quotient, is_template);
}

static void
write_integer_arithmetic(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	int64		k = cond->value2.integer;
	__int128	v = cond->value.integer;
	bool		is_template = cond->value.is_template || cond->value2.is_template;

	switch (cond->arith)
	{
		case FILTER_ADD:
			write_wide_comparison(context, sql, &cond->column, cond->op, v - k, is_template);
			return;
		case FILTER_SUB:
			write_wide_comparison(context, sql, &cond->column, cond->op, v + k, is_template);
			return;
		case FILTER_MUL:
			write_product(context, sql, &cond->column, cond->op, k, cond->value.integer, is_template);
			return;
		case FILTER_DIV:
			if (k == 1 || k == -1)
			{
				write_product(context, sql, &cond->column, cond->op, k, cond->value.integer, is_template);
				return;
			}
			break;
		default:
			break;
	}
	appendStringInfoString(sql, "((");
	write_base(context, sql, &cond->column);
	appendStringInfoString(sql, "::pg_catalog.int8");
	write_operator(sql, arithmetic_name(cond->arith));
	write_constant(context, sql, &sql_int8, &cond->value2);
	appendStringInfoChar(sql, ')');
	write_operator(sql, comparison_name(cond->op));
	write_constant(context, sql, &sql_int8, &cond->value);
	appendStringInfoChar(sql, ')');
}

/* A key's number, NULL of anything else. */
static void
write_json_number(FilterContext *context, StringInfo sql, const FilterColumn *column)
{
	appendStringInfoString(sql, "CASE WHEN ");
	write_json_type(context, sql, column, "number");
	appendStringInfoString(sql, " THEN ");
	write_path(context, sql, column, false);
	appendStringInfoString(sql, "::pg_catalog.numeric END");
}

/*
 * JSON numbers compute as numeric, so nothing overflows.  An integer divided by an integer is one;
 * modulo and bits are of integers only.
 */
static void
write_json_arithmetic(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	bool		integers = cond->value.kind == FILTER_VALUE_INT && cond->value2.kind == FILTER_VALUE_INT;
	bool		is_bits = cond->arith == FILTER_BIT_AND || cond->arith == FILTER_BIT_OR || cond->arith == FILTER_BIT_XOR;
	StringInfoData x;

	if (integers && (cond->arith == FILTER_ADD || cond->arith == FILTER_SUB))
	{
		__int128	bound = cond->arith == FILTER_ADD ? (__int128) cond->value.integer - cond->value2.integer :
			(__int128) cond->value.integer + cond->value2.integer;

		if (bound <= PG_INT64_MAX && bound >= PG_INT64_MIN)
		{
			FilterValue value = {FILTER_VALUE_INT};

			value.integer = (int64) bound;
			value.is_template = cond->value.is_template || cond->value2.is_template;
			write_json_comparison(context, sql, &cond->column, cond->op, &value);
			return;
		}
	}

	initStringInfo(&x);
	write_json_number(context, &x, &cond->column);
	appendStringInfoChar(sql, '(');
	if (is_bits)
	{
		appendStringInfo(sql, "CASE WHEN (%s) OPERATOR(pg_catalog.>=) '-9223372036854775808'::pg_catalog.numeric "
						 "AND (%s) OPERATOR(pg_catalog.<=) '9223372036854775807'::pg_catalog.numeric "
						 "AND (%s) OPERATOR(pg_catalog.=) pg_catalog.trunc(%s) THEN (%s)::pg_catalog.int8",
						 x.data, x.data, x.data, x.data, x.data);
		write_operator(sql, arithmetic_name(cond->arith));
		write_constant(context, sql, &sql_int8, &cond->value2);
		appendStringInfoString(sql, " END");
		write_operator(sql, comparison_name(cond->op));
		/* a float may be asked for */
		write_constant(context, sql, cond->value.kind == FILTER_VALUE_INT ? &sql_int8 : &sql_float8, &cond->value);
		appendStringInfoChar(sql, ')');
		return;
	}
	if (cond->arith == FILTER_MOD || (cond->arith == FILTER_DIV && cond->value2.kind == FILTER_VALUE_INT))
	{
		appendStringInfo(sql, "CASE WHEN (%s) OPERATOR(pg_catalog.=) pg_catalog.trunc(%s) THEN ", x.data, x.data);
		if (cond->arith == FILTER_MOD)
		{
			appendStringInfo(sql, "(%s) OPERATOR(pg_catalog.%%) ", x.data);
			write_constant(context, sql, &sql_numeric, &cond->value2);
		}
		else
		{
			appendStringInfo(sql, "pg_catalog.div(%s, ", x.data);
			write_constant(context, sql, &sql_numeric, &cond->value2);
			appendStringInfo(sql, ") ELSE (%s) OPERATOR(pg_catalog./) ", x.data);
			write_constant(context, sql, &sql_numeric, &cond->value2);
		}
		appendStringInfoString(sql, " END");
	}
	else
	{
		appendStringInfo(sql, "((%s) OPERATOR(pg_catalog.%s) ", x.data, arithmetic_name(cond->arith));
		write_constant(context, sql, &sql_numeric, &cond->value2);
		appendStringInfoChar(sql, ')');
	}
	write_operator(sql, comparison_name(cond->op));
	write_constant(context, sql, &sql_numeric, &cond->value);
	appendStringInfoChar(sql, ')');
}

static void
write_arithmetic(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	FilterType	type = FilterColumnType(&cond->column);

	if (type == FILTER_JSON)
	{
		write_json_arithmetic(context, sql, cond);
		return;
	}
	if (FilterIsInteger(type))
	{
		write_integer_arithmetic(context, sql, cond);
		return;
	}
	appendStringInfoString(sql, "((");
	write_base(context, sql, &cond->column);
	write_operator(sql, arithmetic_name(cond->arith));
	write_constant(context, sql, scalar_type(type), &cond->value2);
	appendStringInfoChar(sql, ')');
	write_operator(sql, comparison_name(cond->op));
	write_constant(context, sql, scalar_type(type), &cond->value);
	appendStringInfoChar(sql, ')');
}

static void
write_length(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	appendStringInfoChar(sql, '(');
	if (cond->column.field->type == FILTER_JSON)
	{
		appendStringInfoString(sql, "CASE WHEN ");
		write_json_type(context, sql, &cond->column, "array");
		appendStringInfoString(sql, " THEN pg_catalog.jsonb_array_length(");
		write_path(context, sql, &cond->column, false);
		appendStringInfoString(sql, ") END");
	}
	else
	{
		appendStringInfoString(sql, "pg_catalog.cardinality(");
		write_base(context, sql, &cond->column);
		appendStringInfoChar(sql, ')');
	}
	write_operator(sql, comparison_name(cond->op));
	write_constant(context, sql, fits(&sql_int4, &cond->value) ? &sql_int4 : &sql_int8, &cond->value);
	appendStringInfoChar(sql, ')');
}

/* Two columns; where one is an integer and the other a float, both as double precision. */
static void
write_columns(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	FilterType	left = FilterColumnType(&cond->column);
	FilterType	right = FilterColumnType(&cond->column2);
	const char *cast = FilterIsInteger(left) != FilterIsInteger(right) ? "::pg_catalog.float8" : "";

	appendStringInfoChar(sql, '(');
	write_base(context, sql, &cond->column);
	appendStringInfoString(sql, cast);
	if (FilterIsString(left) && is_ordering(cond->op))
		appendStringInfoString(sql, " COLLATE pg_catalog.\"C\"");
	write_operator(sql, comparison_name(cond->op));
	write_base(context, sql, &cond->column2);
	appendStringInfoString(sql, cast);
	appendStringInfoChar(sql, ')');
}

/* ---- timestamps ---- */

/* `2025-01-02 03:04:05.000000`, with an offset or in the collection's time zone */
static void
write_timestamp(FilterContext *context, StringInfo sql, const char *string)
{
	const char *zone = context->options->timezone;
	bool		has_offset = strlen(string) > strlen("2025-01-02 03:04:05.000000");

	if (has_offset || zone == NULL || pg_strcasecmp(zone, "UTC") == 0)
	{
		write_literal(sql, has_offset ? string : psprintf("%s+00:00", string));
		appendStringInfoString(sql, "::pg_catalog.timestamptz");
		return;
	}
	appendStringInfoString(sql, "pg_catalog.timezone(");
	write_literal(sql, zone);
	appendStringInfoString(sql, "::pg_catalog.text, ");
	write_literal(sql, string);
	appendStringInfoString(sql, "::pg_catalog.timestamp)");
}

/*
 * A timestamp column, maybe with an interval.  An interval of fixed length goes to the other side, for
 * indexes; months are counted in UTC.
 */
static void
write_time(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	bool		moves = cond->arith != FILTER_OP_NONE && strstr(cond->value2.string, "months") == NULL;
	bool		stays = cond->arith != FILTER_OP_NONE && !moves;

	appendStringInfoChar(sql, '(');
	if (stays)
		appendStringInfoString(sql, "pg_catalog.timezone('UTC'::pg_catalog.text, pg_catalog.timezone('UTC'::pg_catalog.text, ");
	write_base(context, sql, &cond->column);
	if (stays)
	{
		appendStringInfoChar(sql, ')');
		write_operator(sql, arithmetic_name(cond->arith));
		write_literal(sql, cond->value2.string);
		appendStringInfoString(sql, "::pg_catalog.interval)");
	}
	write_operator(sql, comparison_name(cond->op));
	if (moves)
		appendStringInfoChar(sql, '(');
	write_timestamp(context, sql, cond->value.string);
	if (moves)
	{
		write_operator(sql, cond->arith == FILTER_ADD ? "-" : "+");
		write_literal(sql, cond->value2.string);
		appendStringInfoString(sql, "::pg_catalog.interval)");
	}
	appendStringInfoChar(sql, ')');
}

/* ---- patterns ---- */

static void
write_pattern(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	bool		is_json = FilterColumnType(&cond->column) == FILTER_JSON;

	appendStringInfoChar(sql, '(');
	if (is_json)
		write_path(context, sql, &cond->column, true);
	else
		write_base(context, sql, &cond->column);
	if (cond->kind == COND_LIKE)
		write_operator(sql, cond->negated ? "!~~" : "~~");
	else
		write_operator(sql, cond->negated ? "!~" : "~");
	write_constant(context, sql, &sql_text, &cond->value);
	if (is_json)
	{
		appendStringInfoString(sql, " AND ");
		write_json_type(context, sql, &cond->column, "string");
	}
	appendStringInfoChar(sql, ')');
}

static void
write_prefix(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	appendStringInfo(sql, "(%spg_catalog.starts_with(", cond->negated ? "NOT " : "");
	write_base(context, sql, &cond->column);
	appendStringInfoString(sql, ", ");
	if (cond->integer)
		write_base(context, sql, &cond->column2);
	else
		write_constant(context, sql, &sql_text, &cond->value);
	appendStringInfoString(sql, "))");
}

/* ---- arrays ---- */

/* A key's array contains a value; an array as value counts as an element only where it is equal. */
static void
write_json_contains_one(FilterContext *context, StringInfo sql, const FilterColumn *column, const FilterValue *value, bool is_template)
{
	FilterValue list = {FILTER_VALUE_ARRAY};
	FilterValue item = *value;

	list.items = &item;
	list.count = 1;
	list.is_template = is_template;
	item.is_template = is_template;
	appendStringInfoChar(sql, '(');
	if (has_containment(column))
		write_containment(context, sql, column, &list);
	else
	{
		write_path(context, sql, column, false);
		write_operator(sql, "@>");
		write_constant(context, sql, &sql_jsonb, &list);
	}
	if (value->kind == FILTER_VALUE_ARRAY)
	{
		appendStringInfoString(sql, " AND milvus.filter_json_contains(");
		write_path(context, sql, column, false);
		appendStringInfoString(sql, ", ");
		write_constant(context, sql, &sql_jsonb, &item);
		appendStringInfoChar(sql, ')');
	}
	appendStringInfoChar(sql, ')');
}

static void
write_json_contains(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	bool		is_any = cond->op2 == CONTAINS_ANY;
	bool		scalars = true;

	for (int i = 0; i < cond->value.count; i++)
		scalars = scalars && cond->value.items[i].kind != FILTER_VALUE_ARRAY;
	appendStringInfoChar(sql, '(');
	if (cond->negated || (!is_any && cond->value.count == 0))
		write_json_type(context, sql, &cond->column, "array");
	if (cond->negated)
		appendStringInfoString(sql, " AND NOT (");
	if (cond->value.count == 0)
	{
		if (cond->negated || is_any)
			appendStringInfoString(sql, is_any ? "false" : "true");
	}
	else if (scalars && !is_any)
	{
		if (has_containment(&cond->column))
			write_containment(context, sql, &cond->column, &cond->value);
		else
		{
			write_path(context, sql, &cond->column, false);
			write_operator(sql, "@>");
			write_constant(context, sql, &sql_jsonb, &cond->value);
		}
	}
	else
	{
		for (int i = 0; i < cond->value.count; i++)
		{
			if (i > 0)
				appendStringInfoString(sql, is_any ? " OR " : " AND ");
			write_json_contains_one(context, sql, &cond->column, &cond->value.items[i], cond->value.is_template);
		}
	}
	appendStringInfoString(sql, cond->negated ? "))" : ")");
}

static void
write_contains(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	FilterType	element_type = cond->column.field->element_type;
	const SqlType *type = scalar_type(element_type);
	FilterValue list = cond->value;
	bool		is_any = cond->op2 == CONTAINS_ANY;
	int			kept = 0;

	if (FilterColumnType(&cond->column) == FILTER_JSON)
	{
		write_json_contains(context, sql, cond);
		return;
	}
	list.items = palloc(Max(list.count, 1) * sizeof(FilterValue));
	for (int i = 0; i < list.count; i++)
	{
		FilterValue item = cond->value.items[i];

		/* a float among integers is one of them if it has no fraction */
		if (FilterIsInteger(element_type) && item.kind == FILTER_VALUE_DOUBLE && item.number == floor(item.number) &&
			fabs(item.number) < 9007199254740992.0)
		{
			item.kind = FILTER_VALUE_INT;
			item.integer = (int64) item.number;
		}
		if (fits(type, &item) && !(FilterIsInteger(element_type) && item.kind == FILTER_VALUE_DOUBLE))
			list.items[kept++] = item;
	}
	if ((!is_any && kept < list.count) || (is_any && kept == 0 && !list.is_template))
	{
		write_certain(context, sql, &cond->column, cond->negated);
		return;
	}
	list.count = kept;
	appendStringInfo(sql, "(%s", cond->negated ? "NOT (" : "");
	write_base(context, sql, &cond->column);
	write_operator(sql, is_any ? "&&" : "@>");
	write_array(context, sql, type, &list);
	appendStringInfoString(sql, cond->negated ? "))" : ")");
}

/* ---- text search, geometry ---- */

static void
write_text_search(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	const FilterField *field = cond->column.field;
	const char *config = field->text_config != NULL ? field->text_config : "pg_catalog.simple";
	bool		is_text = cond->kind == COND_TEXT;
	bool		recheck = cond->integer > (is_text ? 1 : 0);
	StringInfoData name;
	StringInfoData document;

	initStringInfo(&name);
	write_literal(&name, config);
	appendStringInfoString(&name, "::pg_catalog.regconfig");
	initStringInfo(&document);
	appendStringInfo(&document, "pg_catalog.to_tsvector(%s, ", name.data);
	write_base(context, &document, &cond->column);
	appendStringInfoChar(&document, ')');

	appendStringInfo(sql, "(%s", cond->negated ? "NOT (" : "");
	appendStringInfoString(sql, document.data);
	write_operator(sql, "@@");
	appendStringInfo(sql, "%s(%s, ", is_text ? "milvus.filter_match_query" :
					 recheck ? "pg_catalog.plainto_tsquery" : "pg_catalog.phraseto_tsquery", name.data);
	write_constant(context, sql, &sql_text, &cond->value);
	appendStringInfoChar(sql, ')');
	if (recheck)
	{
		appendStringInfo(sql, " AND milvus.filter_%s(%s, %s, ", is_text ? "match_count" : "phrase_slop", document.data, name.data);
		write_constant(context, sql, &sql_text, &cond->value);
		if (is_text)
			appendStringInfo(sql, ") OPERATOR(pg_catalog.>=) %d", (int) cond->integer);
		else
			appendStringInfo(sql, ") OPERATOR(pg_catalog.<=) '%lld'::pg_catalog.int8", (long long) cond->integer);
	}
	appendStringInfoString(sql, cond->negated ? "))" : ")");
}

static void
write_spatial(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	static const char *const names[] = {
		"st_equals", "st_touches", "st_overlaps", "st_crosses", "st_contains", "st_intersects", "st_within", "st_dwithin", "st_isvalid"
	};
	const char *schema = context->options->find_postgis != NULL ? context->options->find_postgis() : NULL;
	StringInfoData prefix;

	if (schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("failed to create query plan: %s needs PostGIS, which is not installed in this database", names[cond->op2]),
				 errdetail("milvus_code=1100"),
				 errhint("Run CREATE EXTENSION postgis.")));
	initStringInfo(&prefix);
	write_identifier(&prefix, schema);
	appendStringInfo(sql, "(%s%s.%s(", cond->negated ? "NOT " : "", prefix.data, names[cond->op2]);
	if (cond->op2 == SPATIAL_DWITHIN)
	{
		/* metres on a sphere */
		appendStringInfo(sql, "%s.geography(%s.st_setsrid(", prefix.data, prefix.data);
		write_base(context, sql, &cond->column);
		appendStringInfo(sql, ", 4326)), %s.geography(%s.st_geomfromtext(", prefix.data, prefix.data);
		write_constant(context, sql, &sql_text, &cond->value);
		appendStringInfoString(sql, ", 4326)), ");
		write_constant(context, sql, &sql_float8, &cond->value2);
		appendStringInfoString(sql, ", false");
	}
	else
	{
		write_base(context, sql, &cond->column);
		if (cond->op2 != SPATIAL_IS_VALID)
		{
			appendStringInfo(sql, ", %s.st_geomfromtext(", prefix.data);
			write_constant(context, sql, &sql_text, &cond->value);
			appendStringInfoChar(sql, ')');
		}
	}
	appendStringInfoString(sql, "))");
}

/* ---- elements ---- */

/* Which sub-fields of the struct array a condition uses. */
static void
mark_columns(FilterCond *cond, const FilterField *parent, bool *used)
{
	const FilterColumn *columns[2] = {&cond->column, &cond->column2};

	for (int i = 0; i < 2; i++)
	{
		if (columns[i]->field != NULL && columns[i]->is_element)
			used[field_number(columns[i]->parent, columns[i]->field)] = true;
	}
	for (int i = 0; i < cond->nitems; i++)
		mark_columns(cond->items[i], parent, used);
}

/* FROM the elements; each column an element's sub-field, and its number from 1. */
static void
write_elements_from(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	bool		is_array = cond->field->type == FILTER_ARRAY;
	int			nfields = is_array ? 1 : cond->field->nfields;
	bool	   *used = palloc0(nfields * sizeof(bool));
	bool		any = false;
	StringInfoData names;

	mark_columns(cond->items[0], cond->field, used);
	for (int i = 0; i < nfields; i++)
		any = any || used[i];
	if (!any)
		used[0] = true;
	initStringInfo(&names);
	appendStringInfoString(sql, "ROWS FROM (");
	for (int i = 0; i < nfields; i++)
	{
		FilterColumn column = {0};

		if (!used[i])
			continue;
		column.field = is_array ? cond->field : &cond->field->fields[i];
		column.index = -1;
		appendStringInfo(sql, "%spg_catalog.unnest(", names.len > 0 ? ", " : "");
		write_base(context, sql, &column);
		appendStringInfoChar(sql, ')');
		appendStringInfo(&names, "f%d, ", i);
	}
	appendStringInfo(sql, ") WITH ORDINALITY AS milvus_e(%sn)", names.data);
}

static void
write_elements(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	FilterColumn first = {0};
	bool		counts = cond->op2 == MATCH_LEAST || cond->op2 == MATCH_MOST || cond->op2 == MATCH_EXACT;
	bool		needs_null = cond->op2 != ELEMENT_FILTER && (cond->op2 != MATCH_ANY || cond->negated);
	const char *op;

	first.field = cond->field->type == FILTER_ARRAY ? cond->field : &cond->field->fields[0];
	first.index = -1;
	appendStringInfoChar(sql, '(');
	/* of a null array nothing is known, though its elements are none */
	if (needs_null)
	{
		write_base(context, sql, &first);
		appendStringInfoString(sql, " IS NOT NULL AND ");
	}
	if (counts)
	{
		appendStringInfoString(sql, "(SELECT pg_catalog.count(*) FROM ");
		write_elements_from(context, sql, cond);
		appendStringInfoString(sql, " WHERE ");
		write_cond(context, sql, cond->items[0]);
		if (cond->op2 == MATCH_LEAST)
			op = cond->negated ? "<" : ">=";
		else if (cond->op2 == MATCH_MOST)
			op = cond->negated ? ">" : "<=";
		else
			op = cond->negated ? "<>" : "=";
		appendStringInfo(sql, ") OPERATOR(pg_catalog.%s) '%lld'::pg_catalog.int8", op, (long long) cond->integer);
	}
	else
	{
		bool		all = cond->op2 == MATCH_ALL;

		appendStringInfo(sql, "%sEXISTS (SELECT 1 FROM ", all != cond->negated ? "NOT " : "");
		write_elements_from(context, sql, cond);
		appendStringInfoString(sql, " WHERE ");
		write_cond(context, sql, cond->items[0]);
		appendStringInfoString(sql, all ? " IS NOT TRUE)" : ")");
	}
	appendStringInfoChar(sql, ')');
}

/* ---- conditions ---- */

static void
write_cond(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	check_stack_depth();
	switch (cond->kind)
	{
		case COND_CONST:
			appendStringInfoString(sql, cond->integer ? "true" : "false");
			break;
		case COND_AND:
		case COND_OR:
			appendStringInfoChar(sql, '(');
			for (int i = 0; i < cond->nitems; i++)
			{
				if (i > 0)
					appendStringInfoString(sql, cond->kind == COND_AND ? " AND " : " OR ");
				write_cond(context, sql, cond->items[i]);
			}
			appendStringInfoChar(sql, ')');
			break;
		case COND_COMPARE:
			write_comparison(context, sql, &cond->column, cond->op, &cond->value);
			break;
		case COND_IN:
			write_in(context, sql, cond);
			break;
		case COND_ARITHMETIC:
			write_arithmetic(context, sql, cond);
			break;
		case COND_LENGTH:
			write_length(context, sql, cond);
			break;
		case COND_COLUMNS:
			write_columns(context, sql, cond);
			break;
		case COND_TIME:
			write_time(context, sql, cond);
			break;
		case COND_LIKE:
		case COND_REGEX:
			write_pattern(context, sql, cond);
			break;
		case COND_NULL:
			appendStringInfoChar(sql, '(');
			write_base(context, sql, &cond->column);
			appendStringInfo(sql, " IS %sNULL)", cond->negated ? "NOT " : "");
			break;
		case COND_EXISTS:
			appendStringInfoChar(sql, '(');
			write_path(context, sql, &cond->column, false);
			if (cond->negated)
			{
				appendStringInfoString(sql, " IS NULL OR ");
				write_path(context, sql, &cond->column, false);
			}
			write_operator(sql, cond->negated ? "=" : "<>");
			appendStringInfoString(sql, "'null'::pg_catalog.jsonb)");
			break;
		case COND_CONTAINS:
			write_contains(context, sql, cond);
			break;
		case COND_EMPTY:
			appendStringInfoChar(sql, '(');
			write_base(context, sql, &cond->column);
			write_operator(sql, cond->negated ? "<>" : "=");
			appendStringInfoString(sql, "''::pg_catalog.text)");
			break;
		case COND_PREFIX:
			write_prefix(context, sql, cond);
			break;
		case COND_TEXT:
		case COND_PHRASE:
			write_text_search(context, sql, cond);
			break;
		case COND_SPATIAL:
			write_spatial(context, sql, cond);
			break;
		case COND_SAMPLE:
			appendStringInfoString(sql, "(pg_catalog.random()");
			write_operator(sql, "<");
			write_constant(context, sql, &sql_float8, &cond->value);
			appendStringInfoChar(sql, ')');
			break;
		case COND_ELEMENTS:
			write_elements(context, sql, cond);
			break;
		case COND_NOT:
		case COND_RANGE:
			/* gone since FilterNormalize */
			elog(ERROR, "filter condition %d was not normalized", (int) cond->kind);
			break;
	}
}

/* Write a normalized tree. */
void
FilterWriteSQL(FilterContext *context, FilterCond *cond, FilterSQL *result)
{
	StringInfoData sql;
	FilterCond *last = cond;

	initStringInfo(&sql);
	write_cond(context, &sql, cond);
	result->sql = sql.data;
	result->is_true = cond->kind == COND_CONST && cond->integer != 0;
	while (last->kind == COND_AND)
		last = last->items[last->nitems - 1];
	result->is_sample = last->kind == COND_SAMPLE;
	if (last->kind == COND_ELEMENTS && last->op2 == ELEMENT_FILTER)
	{
		initStringInfo(&sql);
		write_elements_from(context, &sql, last);
		appendStringInfoString(&sql, " WHERE ");
		write_cond(context, &sql, last->items[0]);
		result->element_struct = last->field->name;
		result->element_sql = sql.data;
	}
	result->nparams = context->nparams;
	result->params = context->params;
}
