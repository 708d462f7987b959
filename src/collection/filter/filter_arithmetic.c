/*
 * filter_arithmetic.c
 *		SQL of arithmetic on a column.
 */
#include "collection/filter/filter_sql.h"

const char *
FilterArithmeticName(FilterOp op)
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

		FilterWriteCertain(context, sql, column, op == FILTER_NE || ((op == FILTER_LT || op == FILTER_LE) && below) ||
					  ((op == FILTER_GT || op == FILTER_GE) && !below));
		return;
	}
	value.integer = (int64) bound;
	value.is_template = is_template;
	FilterWriteComparison(context, sql, column, op, &value);
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
		FilterWriteCertain(context, sql, column, zero_result);
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
				FilterWriteCertain(context, sql, column, op == FILTER_NE);
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
	FilterWriteBase(context, sql, &cond->column);
	appendStringInfoString(sql, "::pg_catalog.int8");
	FilterWriteOperator(sql, FilterArithmeticName(cond->arith));
	FilterWriteConstant(context, sql, &filter_int8, &cond->value2);
	appendStringInfoChar(sql, ')');
	FilterWriteOperator(sql, FilterComparisonName(cond->op));
	FilterWriteConstant(context, sql, &filter_int8, &cond->value);
	appendStringInfoChar(sql, ')');
}

/* A key's number, NULL of anything else. */
static void
write_json_number(FilterContext *context, StringInfo sql, const FilterColumn *column)
{
	appendStringInfoString(sql, "CASE WHEN ");
	FilterWriteJsonType(context, sql, column, "number");
	appendStringInfoString(sql, " THEN ");
	FilterWritePath(context, sql, column, false);
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
			FilterWriteJsonComparison(context, sql, &cond->column, cond->op, &value);
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
		FilterWriteOperator(sql, FilterArithmeticName(cond->arith));
		FilterWriteConstant(context, sql, &filter_int8, &cond->value2);
		appendStringInfoString(sql, " END");
		FilterWriteOperator(sql, FilterComparisonName(cond->op));
		/* a float may be asked for */
		FilterWriteConstant(context, sql, cond->value.kind == FILTER_VALUE_INT ? &filter_int8 : &filter_float8, &cond->value);
		appendStringInfoChar(sql, ')');
		return;
	}
	if (cond->arith == FILTER_MOD || (cond->arith == FILTER_DIV && cond->value2.kind == FILTER_VALUE_INT))
	{
		appendStringInfo(sql, "CASE WHEN (%s) OPERATOR(pg_catalog.=) pg_catalog.trunc(%s) THEN ", x.data, x.data);
		if (cond->arith == FILTER_MOD)
		{
			appendStringInfo(sql, "(%s) OPERATOR(pg_catalog.%%) ", x.data);
			FilterWriteConstant(context, sql, &filter_numeric, &cond->value2);
		}
		else
		{
			appendStringInfo(sql, "pg_catalog.div(%s, ", x.data);
			FilterWriteConstant(context, sql, &filter_numeric, &cond->value2);
			appendStringInfo(sql, ") ELSE (%s) OPERATOR(pg_catalog./) ", x.data);
			FilterWriteConstant(context, sql, &filter_numeric, &cond->value2);
		}
		appendStringInfoString(sql, " END");
	}
	else
	{
		appendStringInfo(sql, "((%s) OPERATOR(pg_catalog.%s) ", x.data, FilterArithmeticName(cond->arith));
		FilterWriteConstant(context, sql, &filter_numeric, &cond->value2);
		appendStringInfoChar(sql, ')');
	}
	FilterWriteOperator(sql, FilterComparisonName(cond->op));
	FilterWriteConstant(context, sql, &filter_numeric, &cond->value);
	appendStringInfoChar(sql, ')');
}

void
FilterWriteArithmetic(FilterContext *context, StringInfo sql, FilterCond *cond)
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
	FilterWriteBase(context, sql, &cond->column);
	FilterWriteOperator(sql, FilterArithmeticName(cond->arith));
	FilterWriteConstant(context, sql, FilterScalarType(type), &cond->value2);
	appendStringInfoChar(sql, ')');
	FilterWriteOperator(sql, FilterComparisonName(cond->op));
	FilterWriteConstant(context, sql, FilterScalarType(type), &cond->value);
	appendStringInfoChar(sql, ')');
}
