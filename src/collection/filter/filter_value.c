/*
 * filter_value.c
 *		Values: their types, casts, comparison, and arithmetic among constants.
 */
#include "collection/filter/filter_internal.h"

#include <math.h>

#include "common/int.h"
#include "common/shortest_dec.h"

/* ---- types ---- */

bool
FilterIsInteger(FilterType type)
{
	return type >= FILTER_INT8 && type <= FILTER_INT64;
}

bool
FilterIsFloating(FilterType type)
{
	return type == FILTER_FLOAT || type == FILTER_DOUBLE;
}

bool
FilterIsNumber(FilterType type)
{
	return FilterIsInteger(type) || FilterIsFloating(type);
}

bool
FilterIsString(FilterType type)
{
	return type == FILTER_VARCHAR || type == FILTER_STRING;
}

bool
FilterIsVector(FilterType type)
{
	return type >= FILTER_BINARY_VECTOR && type <= FILTER_ARRAY_OF_VECTOR;
}

static const struct
{
	FilterType	type;
	const char *name;
	const char *upper;			/* as pymilvus spells it */
}			type_names[] = {
	{FILTER_NONE, "None", "NONE"},
	{FILTER_BOOL, "Bool", "BOOL"},
	{FILTER_INT8, "Int8", "INT8"},
	{FILTER_INT16, "Int16", "INT16"},
	{FILTER_INT32, "Int32", "INT32"},
	{FILTER_INT64, "Int64", "INT64"},
	{FILTER_FLOAT, "Float", "FLOAT"},
	{FILTER_DOUBLE, "Double", "DOUBLE"},
	{FILTER_STRING, "String", "STRING"},
	{FILTER_VARCHAR, "VarChar", "VARCHAR"},
	{FILTER_ARRAY, "Array", "ARRAY"},
	{FILTER_JSON, "JSON", "JSON"},
	{FILTER_GEOMETRY, "Geometry", "GEOMETRY"},
	{FILTER_TEXT, "Text", "TEXT"},
	{FILTER_TIMESTAMPTZ, "Timestamptz", "TIMESTAMPTZ"},
	{FILTER_BINARY_VECTOR, "BinaryVector", "BINARY_VECTOR"},
	{FILTER_FLOAT_VECTOR, "FloatVector", "FLOAT_VECTOR"},
	{FILTER_FLOAT16_VECTOR, "Float16Vector", "FLOAT16_VECTOR"},
	{FILTER_BFLOAT16_VECTOR, "BFloat16Vector", "BFLOAT16_VECTOR"},
	{FILTER_SPARSE_FLOAT_VECTOR, "SparseFloatVector", "SPARSE_FLOAT_VECTOR"},
	{FILTER_INT8_VECTOR, "Int8Vector", "INT8_VECTOR"},
	{FILTER_ARRAY_OF_VECTOR, "ArrayOfVector", "_ARRAY_OF_VECTOR"},
	{FILTER_ARRAY_OF_STRUCT, "ArrayOfStruct", "_ARRAY_OF_STRUCT"},
	{FILTER_STRUCT, "Struct", "STRUCT"},
};

const char *
FilterTypeName(FilterType type)
{
	for (size_t i = 0; i < lengthof(type_names); i++)
	{
		if (type_names[i].type == type)
			return type_names[i].name;
	}
	return "None";
}

FilterType
FilterTypeByName(const char *name)
{
	if (strncmp(name, "DataType.", 9) == 0)
		name += 9;
	for (size_t i = 0; i < lengthof(type_names); i++)
	{
		if (strcmp(type_names[i].name, name) == 0 || strcmp(type_names[i].upper, name) == 0)
			return type_names[i].type;
	}
	for (size_t i = 0; i < lengthof(type_names); i++)
	{
		if (atoi(name) == (int) type_names[i].type)
			return type_names[i].type;
	}
	return FILTER_NONE;
}

/* ---- values ---- */

FilterType
FilterValueType(const FilterValue *value)
{
	switch (value->kind)
	{
		case FILTER_VALUE_BOOL:
			return FILTER_BOOL;
		case FILTER_VALUE_INT:
			return FILTER_INT64;
		case FILTER_VALUE_DOUBLE:
			return FILTER_DOUBLE;
		case FILTER_VALUE_STRING:
			return FILTER_VARCHAR;
		case FILTER_VALUE_ARRAY:
			return FILTER_ARRAY;
		case FILTER_VALUE_ISO:
		case FILTER_VALUE_INTERVAL:
			break;
	}
	return FILTER_TIMESTAMPTZ;
}

/* The type of a list's elements, of integers and floats Double; FILTER_NONE when they differ, or there is none. */
FilterType
FilterListType(const FilterValue *list)
{
	FilterType	type = list->count == 0 ? FILTER_NONE : FilterValueType(&list->items[0]);

	for (int i = 1; i < list->count; i++)
	{
		FilterType	next = FilterValueType(&list->items[i]);

		if (next != type && FilterIsNumber(next) && FilterIsNumber(type))
			type = FILTER_DOUBLE;
		else if (next != type)
			return FILTER_NONE;
	}
	return type;
}

/* A value as Milvus's messages show it. */
static void
show_value(StringInfo text, const FilterValue *value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	switch (value->kind)
	{
		case FILTER_VALUE_BOOL:
			appendStringInfo(text, "bool_val:%s", value->boolean ? "true" : "false");
			break;
		case FILTER_VALUE_INT:
			appendStringInfo(text, "int64_val:%lld", (long long) value->integer);
			break;
		case FILTER_VALUE_DOUBLE:
			double_to_shortest_decimal_buf(value->number, digits);
			appendStringInfo(text, "float_val:%s", digits);
			break;
		case FILTER_VALUE_ARRAY:
			appendStringInfoString(text, "array_val:{");
			for (int i = 0; i < value->count && text->len < 200; i++)
			{
				if (i > 0)
					appendStringInfoChar(text, ' ');
				appendStringInfoString(text, "array:{");
				show_value(text, &value->items[i]);
				appendStringInfoChar(text, '}');
			}
			appendStringInfoChar(text, '}');
			break;
		default:
			appendStringInfo(text, "string_val:\"%s\"", value->string);
			break;
	}
}

char *
FilterShowValue(const FilterValue *value)
{
	StringInfoData text;

	initStringInfo(&text);
	show_value(&text, value);
	return text.data;
}

FilterValue
FilterBool(bool boolean)
{
	FilterValue value = {FILTER_VALUE_BOOL};

	value.boolean = boolean;
	return value;
}

static FilterValue
integer_value(int64 integer)
{
	FilterValue value = {FILTER_VALUE_INT};

	value.integer = integer;
	return value;
}

static bool
is_number(const FilterValue *value)
{
	return value->kind == FILTER_VALUE_INT || value->kind == FILTER_VALUE_DOUBLE;
}

static double
as_double(const FilterValue *value)
{
	return value->kind == FILTER_VALUE_INT ? (double) value->integer : value->number;
}

/*
 * The order of two values: numbers by size, strings by bytes, booleans false first, otherwise by kind.
 * Integers and floats compare exactly.
 */
int
FilterCompareValues(const FilterValue *a, const FilterValue *b)
{
	if (a->kind == FILTER_VALUE_INT && b->kind == FILTER_VALUE_INT)
		return a->integer < b->integer ? -1 : a->integer > b->integer;
	if (is_number(a) && is_number(b))
	{
		double		x = as_double(a);
		double		y = as_double(b);

		if (x != y)
			return x < y ? -1 : 1;
		if (a->kind == b->kind)
			return 0;
		/* one was rounded: its value decides, unless the other is past every integer */
		if (a->kind == FILTER_VALUE_INT)
		{
			if (y >= 9223372036854775808.0)
				return -1;
			return a->integer < (int64) y ? -1 : a->integer > (int64) y;
		}
		if (x >= 9223372036854775808.0)
			return 1;
		return (int64) x < b->integer ? -1 : (int64) x > b->integer;
	}
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch (a->kind)
	{
		case FILTER_VALUE_BOOL:
			return a->boolean - b->boolean;
		case FILTER_VALUE_ARRAY:
			for (int i = 0; i < a->count && i < b->count; i++)
			{
				int			order = FilterCompareValues(&a->items[i], &b->items[i]);

				if (order != 0)
					return order;
			}
			return a->count < b->count ? -1 : a->count > b->count;
		default:
			return strcmp(a->string, b->string);
	}
}

bool
FilterSameValue(const FilterValue *a, const FilterValue *b)
{
	return FilterCompareValues(a, b) == 0;
}

/* The value as one of a type, if it can be; integers become floats where floats are wanted. */
bool
FilterCast(FilterType type, const FilterValue *value, FilterValue *result)
{
	*result = *value;
	if (type == FILTER_JSON)
		return value->kind != FILTER_VALUE_ISO && value->kind != FILTER_VALUE_INTERVAL;
	if (type == FILTER_ARRAY)
		return value->kind == FILTER_VALUE_ARRAY;
	if (FilterIsString(type))
		return value->kind == FILTER_VALUE_STRING;
	if (type == FILTER_BOOL)
		return value->kind == FILTER_VALUE_BOOL;
	if (FilterIsFloating(type) && value->kind == FILTER_VALUE_INT)
	{
		result->kind = FILTER_VALUE_DOUBLE;
		result->number = (double) value->integer;
		return true;
	}
	if (FilterIsFloating(type))
		return value->kind == FILTER_VALUE_DOUBLE;
	if (FilterIsInteger(type))
		return value->kind == FILTER_VALUE_INT;
	if (type == FILTER_TIMESTAMPTZ)
		return value->kind == FILTER_VALUE_ISO;
	return false;
}

/* ---- arithmetic ---- */

static FilterValue
integer_result(FilterContext *context, bool overflows, int64 integer)
{
	if (overflows)
		FILTER_INVALID(context, "integer constant is out of the range of int64");
	return integer_value(integer);
}

static FilterValue
float_result(FilterContext *context, double number)
{
	FilterValue value = {FILTER_VALUE_DOUBLE};

	if (isnan(number) || isinf(number))
		FILTER_INVALID(context, "floating-point constant is out of range");
	value.number = number;
	return value;
}

static FilterValue
power(FilterContext *context, const FilterValue *a, const FilterValue *b)
{
	int64		base = a->integer;
	int64		result = 1;
	bool		overflows = false;

	if (a->kind != FILTER_VALUE_INT || b->kind != FILTER_VALUE_INT)
		return float_result(context, pow(as_double(a), as_double(b)));
	if (b->integer < 0)
	{
		if (base == 0)
			FILTER_INVALID(context, "cannot divide by zero");
		return integer_value(base == 1 || (base == -1 && b->integer % 2 == 0) ? 1 : base == -1 ? -1 : 0);
	}
	/* a base that does not overflow has less than 64 steps to go */
	if (base == 0 || base == 1 || base == -1)
		return integer_value(b->integer == 0 ? 1 : base == -1 && b->integer % 2 == 0 ? 1 : base);
	for (int64 i = 0; i < b->integer && !overflows; i++)
		overflows = pg_mul_s64_overflow(result, base, &result);
	return integer_result(context, overflows, result);
}

/* Arithmetic and comparison of two constants. */
FilterValue
FilterFold(FilterContext *context, FilterOp op, const FilterValue *a, const FilterValue *b, FilterSpan span)
{
	bool		integers = a->kind == FILTER_VALUE_INT && b->kind == FILTER_VALUE_INT;
	int64		result = 0;
	bool		overflows;
	int			order;

	switch (op)
	{
		case FILTER_EQ:
		case FILTER_NE:
		case FILTER_LT:
		case FILTER_LE:
		case FILTER_GT:
		case FILTER_GE:
			if (!(is_number(a) && is_number(b)) &&
				(a->kind != b->kind || a->kind >= FILTER_VALUE_ARRAY ||
				 (a->kind == FILTER_VALUE_BOOL && op != FILTER_EQ && op != FILTER_NE)))
				FILTER_INVALID(context, "comparison operations cannot be applied to two incompatible operands: %s",
							   FilterSource(context, span));
			order = FilterCompareValues(a, b);
			return FilterBool(op == FILTER_EQ ? order == 0 : op == FILTER_NE ? order != 0 :
							  op == FILTER_LT ? order < 0 : op == FILTER_LE ? order <= 0 :
							  op == FILTER_GT ? order > 0 : order >= 0);
		default:
			break;
	}

	if (!is_number(a) || !is_number(b))
		FILTER_INVALID(context, "arithmetic can only be applied to numbers, got: %s", FilterSource(context, span));
	switch (op)
	{
		case FILTER_ADD:
			if (!integers)
				return float_result(context, as_double(a) + as_double(b));
			overflows = pg_add_s64_overflow(a->integer, b->integer, &result);
			return integer_result(context, overflows, result);
		case FILTER_SUB:
			if (!integers)
				return float_result(context, as_double(a) - as_double(b));
			overflows = pg_sub_s64_overflow(a->integer, b->integer, &result);
			return integer_result(context, overflows, result);
		case FILTER_MUL:
			if (!integers)
				return float_result(context, as_double(a) * as_double(b));
			overflows = pg_mul_s64_overflow(a->integer, b->integer, &result);
			return integer_result(context, overflows, result);
		case FILTER_DIV:
			if (as_double(b) == 0)
				FILTER_INVALID(context, "cannot divide by zero");
			if (!integers)
				return float_result(context, as_double(a) / as_double(b));
			if (b->integer == -1)
			{
				overflows = pg_sub_s64_overflow(0, a->integer, &result);
				return integer_result(context, overflows, result);
			}
			return integer_value(a->integer / b->integer);
		case FILTER_POW:
			return power(context, a, b);
		default:
			break;
	}

	if (!integers)
		FILTER_INVALID(context, "%s can only apply on integer types", op == FILTER_MOD ? "modulo" : "bitwise operation");
	switch (op)
	{
		case FILTER_MOD:
			if (b->integer == 0)
				FILTER_INVALID(context, "cannot modulo by zero");
			return integer_value(b->integer == -1 ? 0 : a->integer % b->integer);
		case FILTER_BIT_AND:
			return integer_value(a->integer & b->integer);
		case FILTER_BIT_OR:
			return integer_value(a->integer | b->integer);
		case FILTER_BIT_XOR:
			return integer_value(a->integer ^ b->integer);
		default:
			FILTER_INVALID(context, "unexpected operator: %s", FilterSource(context, span));
	}
}
