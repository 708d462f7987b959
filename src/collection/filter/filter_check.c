/*
 * filter_check.c
 *		Names, types and constants: the parse tree into conditions over columns.
 *
 * The rules and the texts of errors are Milvus's.  Constants are folded on the way, template values take the
 * place of their names.
 */
#include "collection/filter/filter_internal.h"

#include "miscadmin.h"

#define MAX_SLOP PG_UINT32_MAX
/* Nearer to 0 or 1 a sample is none. */
#define SAMPLE_EPSILON 1e-10

typedef enum OperandKind
{
	OPERAND_VALUE,
	OPERAND_COLUMN,
	OPERAND_ARITHMETIC,			/* column arith value */
	OPERAND_LENGTH,				/* array_length(column) */
	OPERAND_COND
} OperandKind;

/* What a node of the parse tree stands for. */
typedef struct Operand
{
	OperandKind kind;
	FilterType	type;
	FilterColumn column;
	FilterOp	arith;
	FilterValue value;
	FilterCond *cond;
} Operand;

static Operand check(FilterContext *context, FilterNode *node);

/* ---- operands ---- */

static Operand
column_operand(FilterColumn column)
{
	Operand		operand = {OPERAND_COLUMN};

	operand.column = column;
	operand.type = FilterColumnType(&column);
	return operand;
}

static Operand
value_operand(FilterValue value)
{
	Operand		operand = {OPERAND_VALUE};

	operand.value = value;
	operand.type = FilterValueType(&value);
	return operand;
}

static Operand
cond_operand(FilterCond *cond)
{
	Operand		operand = {OPERAND_COND};

	operand.cond = cond;
	operand.type = FILTER_BOOL;
	return operand;
}

static FilterCond *
make_cond(FilterCondKind kind)
{
	FilterCond *cond = palloc0(sizeof(FilterCond));

	cond->kind = kind;
	return cond;
}

/* The type of an operand as messages name it: Array[Int64]. */
static const char *
type_name(const Operand *operand)
{
	if (operand->kind == OPERAND_VALUE && operand->type == FILTER_ARRAY)
		return psprintf("Array[%s]", FilterTypeName(FilterListType(&operand->value)));
	if (operand->kind == OPERAND_COLUMN && operand->column.field->type == FILTER_ARRAY && !operand->column.is_element)
		return psprintf("Array[%s]", FilterTypeName(operand->column.field->element_type));
	return FilterTypeName(operand->type);
}

static bool
is_whole_array(const Operand *operand)
{
	return operand->kind == OPERAND_COLUMN && operand->type == FILTER_ARRAY;
}

static void
refuse_whole_array(FilterContext *context, const Operand *operand)
{
	if (is_whole_array(operand))
		FILTER_INVALID(context, "can not comparisons array fields directly");
}

static FilterValue
cast_value(FilterContext *context, FilterType type, const FilterValue *value)
{
	FilterValue result;

	if (!FilterCast(type, value, &result))
		FILTER_INVALID(context, "cannot cast value to %s, value: %s", FilterTypeName(type), FilterShowValue(value));
	return result;
}

/* A condition of an operand of "and", "or"; NULL if it is none. */
static FilterCond *
as_cond(const Operand *operand)
{
	FilterCond *cond;

	if (operand->kind == OPERAND_COND)
		return operand->cond;
	if (operand->kind != OPERAND_VALUE || operand->value.kind != FILTER_VALUE_BOOL || operand->value.is_template)
		return NULL;
	cond = make_cond(COND_CONST);
	cond->integer = operand->value.boolean;
	return cond;
}

/* The last operand of "and", which alone random_sample and element_filter may be. */
static const FilterCond *
last_operand(const FilterCond *cond)
{
	while (cond->kind == COND_AND)
		cond = cond->items[cond->nitems - 1];
	return cond;
}

static bool
is_element_filter(const FilterCond *cond)
{
	return cond->kind == COND_ELEMENTS && cond->op2 == ELEMENT_FILTER;
}

/* ---- constants ---- */

/* An independent copy of a template's value, whose lists may be sorted. */
static FilterValue
copy_value(FilterContext *context, const FilterValue *value)
{
	FilterValue copy = *value;

	copy.is_template = true;
	if (value->kind == FILTER_VALUE_ARRAY)
	{
		copy.items = palloc(Max(value->count, 1) * sizeof(FilterValue));
		for (int i = 0; i < value->count; i++)
			copy.items[i] = value->items[i];
	}
	return copy;
}

static Operand
check_template(FilterContext *context, FilterNode *node)
{
	const char *name = FilterSlice(context, node->name);

	for (int i = 0; i < context->options->ntemplates; i++)
	{
		if (strcmp(context->options->templates[i].name, name) == 0)
			return value_operand(copy_value(context, &context->options->templates[i].value));
	}
	FILTER_INVALID(context, "the value of expression template variable name {%s} is not found", name);
}

static Operand
check_list(FilterContext *context, FilterNode *node)
{
	FilterValue list = {FILTER_VALUE_ARRAY};

	list.items = palloc(Max(node->nitems, 1) * sizeof(FilterValue));
	for (int i = 0; i < node->nitems; i++)
	{
		Operand		item = check(context, node->items[i]);

		if (item.kind != OPERAND_VALUE || item.value.is_template || item.type == FILTER_TIMESTAMPTZ)
			FILTER_INVALID(context, "array element type must be generic value, but got: %s",
						   FilterSource(context, node->items[i]->span));
		list.items[list.count++] = item.value;
	}
	return value_operand(list);
}

static Operand
check_string(FilterContext *context, FilterNode *node, FilterEscapes escapes)
{
	FilterValue value = {FILTER_VALUE_STRING};

	value.string = FilterReadString(context, node->name, escapes);
	return value_operand(value);
}

/* A pattern, phrase or WKT: a string literal or a template. */
static FilterValue
check_constant_string(FilterContext *context, FilterNode *node, FilterEscapes escapes, const char *what)
{
	Operand		operand = node->kind == NODE_STRING ? check_string(context, node, escapes) : check(context, node);

	if (operand.kind != OPERAND_VALUE || operand.value.kind != FILTER_VALUE_STRING)
	{
		if (operand.kind == OPERAND_VALUE && operand.value.is_template)
			FILTER_INVALID(context, "the value of %s expression template variable %s is not string", what,
						   FilterSource(context, node->span));
		FILTER_INVALID(context, "the argument of %s must be a string constant, but got: %s", what,
					   FilterSource(context, node->span));
	}
	return operand.value;
}

/* ---- arithmetic ---- */

static const char *
op_name(FilterOp op)
{
	static const char *const names[] = {
		[FILTER_EQ] = "==", [FILTER_NE] = "!=", [FILTER_LT] = "<", [FILTER_LE] = "<=", [FILTER_GT] = ">",
		[FILTER_GE] = ">=", [FILTER_ADD] = "+", [FILTER_SUB] = "-", [FILTER_MUL] = "*", [FILTER_DIV] = "/",
		[FILTER_MOD] = "%", [FILTER_POW] = "**", [FILTER_SHIFT] = "<<", [FILTER_BIT_AND] = "&",
		[FILTER_BIT_OR] = "|", [FILTER_BIT_XOR] = "^", [FILTER_PLUS] = "+", [FILTER_MINUS] = "-",
		[FILTER_BIT_NOT] = "~", [FILTER_NOT] = "not", [FILTER_AND] = "and", [FILTER_OR] = "or"
	};

	return names[op];
}

static bool
integers_only(FilterOp op)
{
	return op == FILTER_MOD || op == FILTER_BIT_AND || op == FILTER_BIT_OR || op == FILTER_BIT_XOR;
}

/* Arithmetic of two operands: constants, or a column and a constant. */
static Operand
check_arithmetic(FilterContext *context, FilterNode *node)
{
	Operand		left = check(context, node->items[0]);
	Operand		right = check(context, node->items[1]);
	Operand	   *value;
	Operand		result;
	FilterOp	op = node->op;

	if (left.kind == OPERAND_VALUE && right.kind == OPERAND_VALUE)
	{
		if (left.value.is_template || right.value.is_template)
			FILTER_INVALID(context, "placeholder was not supported between two constants with operator: %s", op_name(op));
		return value_operand(FilterFold(context, op, &left.value, &right.value, node->span));
	}
	if (op == FILTER_POW)
		FILTER_INVALID(context, "power can only apply on constants: %s", FilterSource(context, node->span));
	refuse_whole_array(context, &left);
	refuse_whole_array(context, &right);

	/* a timestamp and an interval */
	if (left.kind == OPERAND_COLUMN && right.kind == OPERAND_VALUE && right.value.kind == FILTER_VALUE_INTERVAL)
	{
		if (left.type != FILTER_TIMESTAMPTZ)
			FILTER_INVALID(context, "field '%s' is not a timestamptz datatype", FilterSource(context, node->items[0]->span));
		if (op != FILTER_ADD && op != FILTER_SUB)
			FILTER_INVALID(context, "unexpected op: %s", op_name(op));
		result = left;
		result.kind = OPERAND_ARITHMETIC;
		result.arith = op;
		result.value = right.value;
		return result;
	}

	value = left.kind == OPERAND_VALUE ? &left : right.kind == OPERAND_VALUE ? &right : NULL;
	{
		FilterType	types[2] = {left.type, right.type};

		/* of a template only that it can be cast is asked */
		for (int i = 0; i < 2; i++)
		{
			const Operand *operand = i == 0 ? &left : &right;

			if (operand->kind == OPERAND_VALUE && operand->value.is_template && FilterIsNumber(operand->type))
				types[i] = types[1 - i] == FILTER_JSON ? operand->type : types[1 - i];
			if (operand->kind == OPERAND_COND)
				types[i] = FILTER_BOOL;
		}
		/* integers take only integers; JSON any number, but no other column */
		if (!(FilterIsNumber(types[0]) || types[0] == FILTER_JSON) ||
			!(FilterIsNumber(types[1]) || types[1] == FILTER_JSON) ||
			(value != NULL && FilterIsInteger(types[value == &left ? 1 : 0]) && FilterIsFloating(types[value == &left ? 0 : 1]) &&
			 !integers_only(op)))
		{
			const Operand *column = value == &left ? &right : &left;
			const Operand *other = column == &left ? &right : &left;

			FILTER_INVALID(context, "'%s' cannot perform arithmetic between %s field and %s", op_name(op),
						   FilterTypeName(column->type), FilterTypeName(other->type));
		}
		if (integers_only(op) && (FilterIsFloating(types[0]) || FilterIsFloating(types[1])))
			FILTER_INVALID(context, "%s can only apply on integer types", op == FILTER_MOD ? "modulo" : "bitwise operation");
	}
	if (left.kind == OPERAND_COLUMN && right.kind == OPERAND_COLUMN)
		FILTER_INVALID(context, "not supported to do arithmetic operations between multiple fields");
	if (value == NULL || (value == &left ? right.kind : left.kind) != OPERAND_COLUMN)
		FILTER_INVALID(context, "complicated arithmetic operations are not supported");
	if (value == &left && op != FILTER_ADD && op != FILTER_MUL && op != FILTER_BIT_AND && op != FILTER_BIT_OR &&
		op != FILTER_BIT_XOR)
		FILTER_INVALID(context, "module field is not yet supported");

	result = value == &left ? right : left;
	result.kind = OPERAND_ARITHMETIC;
	result.arith = op;
	result.value = cast_value(context, result.type, &value->value);
	if ((op == FILTER_DIV || op == FILTER_MOD) &&
		(result.value.kind == FILTER_VALUE_INT ? result.value.integer == 0 : result.value.number == 0))
		FILTER_INVALID(context, "division or modulus by zero");
	return result;
}

static Operand
check_unary(FilterContext *context, FilterNode *node)
{
	FilterNode *child = node->items[0];
	Operand		operand;
	FilterCond *cond;

	/* -9223372036854775808 is a minus sign and a number that is none by itself */
	if (node->op == FILTER_MINUS && child->kind == NODE_VALUE && child->value.overflows)
	{
		FilterValue value = {FILTER_VALUE_INT};

		value.integer = PG_INT64_MIN;
		return value_operand(value);
	}
	operand = check(context, child);
	if (node->op == FILTER_NOT)
	{
		refuse_whole_array(context, &operand);
		if (operand.kind == OPERAND_VALUE && operand.value.kind == FILTER_VALUE_BOOL && !operand.value.is_template)
			return value_operand(FilterBool(!operand.value.boolean));
		cond = operand.kind == OPERAND_COND ? operand.cond : NULL;
		if (cond == NULL)
			FILTER_INVALID(context, "not op can only be applied on boolean expression");
		if (last_operand(cond)->kind == COND_SAMPLE)
			FILTER_INVALID(context, "random sample expression cannot be used in unary expression");
		if (is_element_filter(last_operand(cond)))
			FILTER_INVALID(context, "element filter expression cannot be used in unary expression");
		cond = make_cond(COND_NOT);
		cond->items = palloc(sizeof(FilterCond *));
		cond->items[0] = operand.cond;
		cond->nitems = 1;
		return cond_operand(cond);
	}
	if (node->op == FILTER_PLUS && operand.kind != OPERAND_COND && !is_whole_array(&operand))
		return operand;
	if (node->op == FILTER_MINUS && operand.kind == OPERAND_VALUE && !operand.value.is_template)
	{
		FilterValue zero = {FILTER_VALUE_INT};

		if (operand.value.kind == FILTER_VALUE_DOUBLE)
		{
			operand.value.number = -operand.value.number;
			return operand;
		}
		if (operand.value.kind == FILTER_VALUE_INT)
			return value_operand(FilterFold(context, FILTER_SUB, &zero, &operand.value, node->span));
	}
	FILTER_INVALID(context, "unexpected op: %s", op_name(node->op));
}

/* ---- comparisons ---- */

static FilterOp
reverse_op(FilterOp op)
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

static bool
comparable_types(FilterType left, FilterType right)
{
	if (left == FILTER_JSON)
		return right != FILTER_NONE;
	if (left == FILTER_BOOL)
		return right == FILTER_BOOL || right == FILTER_JSON;
	if (FilterIsNumber(left))
		return FilterIsNumber(right) || right == FILTER_JSON;
	if (FilterIsString(left))
		return FilterIsString(right) || right == FILTER_JSON;
	return false;
}

/* The type that an operand is compared as: of a list, and of a whole array, its elements'. */
static FilterType
compared_type(const Operand *operand)
{
	if (operand->kind == OPERAND_VALUE && operand->type == FILTER_ARRAY)
		return FilterListType(&operand->value);
	if (is_whole_array(operand))
		return operand->column.field->element_type;
	return operand->type;
}

static bool
comparable(const Operand *left, const Operand *right)
{
	const Operand *array = is_whole_array(left) ? left : is_whole_array(right) ? right : NULL;
	const Operand *value = left->kind == OPERAND_VALUE ? left : right->kind == OPERAND_VALUE ? right : NULL;

	if (value != NULL && value->value.is_template)
		return true;
	if (left->kind != OPERAND_COND && right->kind != OPERAND_COND)
	{
		const Operand *other = value == left ? right : left;

		/* JSON takes any value, also lists of several types; an array a list, also an empty one */
		if (other->type == FILTER_JSON && value != NULL)
			return true;
		if (array != NULL && value != NULL && value->type == FILTER_ARRAY && value->value.count == 0)
			return true;
		if (array != NULL && value != NULL && value->type != FILTER_ARRAY)
			return false;
		if (array == NULL && value != NULL && value->type == FILTER_ARRAY)
			return false;
	}
	return comparable_types(compared_type(left), compared_type(right));
}

/* The list that a whole array is compared with, its elements as the array's where they can be. */
static FilterValue
cast_list(FilterContext *context, const FilterField *field, const FilterValue *list)
{
	FilterValue result = cast_value(context, FILTER_ARRAY, list);

	for (int i = 0; i < result.count; i++)
	{
		FilterValue item;

		if (FilterCast(field->element_type, &result.items[i], &item))
			result.items[i] = item;
		else if (!comparable_types(field->element_type, FilterValueType(&result.items[i])))
			cast_value(context, field->element_type, &result.items[i]);
	}
	return result;
}

static FilterCond *
compare_columns(FilterContext *context, FilterOp op, const Operand *left, const Operand *right)
{
	FilterCond *cond = make_cond(COND_COLUMNS);

	if (left->kind != OPERAND_COLUMN || right->kind != OPERAND_COLUMN)
		FILTER_INVALID(context, "only comparison between two fields is supported");
	if (left->type == FILTER_JSON || right->type == FILTER_JSON)
		FILTER_INVALID(context, "two column comparison with JSON type is not supported");
	/* an element of element_filter and MATCH_* is one value */
	if ((left->column.field->type == FILTER_ARRAY && !left->column.is_element) ||
		(right->column.field->type == FILTER_ARRAY && !right->column.is_element))
		FILTER_INVALID(context, "can not comparisons array fields directly");
	cond->op = op;
	cond->column = left->column;
	cond->column2 = right->column;
	return cond;
}

static Operand
check_comparison(FilterContext *context, FilterNode *node)
{
	Operand		left = check(context, node->items[0]);
	Operand		right = check(context, node->items[1]);
	FilterOp	op = node->op;
	FilterNode *shown = node->items[0];
	FilterCond *cond;

	if (left.kind == OPERAND_VALUE && right.kind == OPERAND_VALUE)
	{
		if (left.value.is_template || right.value.is_template)
			FILTER_INVALID(context, "placeholder was not supported between two constants with operator: %s", op_name(op));
		return value_operand(FilterFold(context, op, &left.value, &right.value, node->span));
	}
	if (op != FILTER_EQ && op != FILTER_NE)
	{
		refuse_whole_array(context, &left);
		refuse_whole_array(context, &right);
	}
	/* a constant comes last */
	if (left.kind == OPERAND_VALUE)
	{
		Operand		swap = left;

		left = right;
		right = swap;
		op = reverse_op(op);
		shown = node->items[1];
	}
	if (right.kind == OPERAND_VALUE && right.value.kind == FILTER_VALUE_ISO)
	{
		if ((left.kind != OPERAND_COLUMN && left.kind != OPERAND_ARITHMETIC) || left.type != FILTER_TIMESTAMPTZ)
			FILTER_INVALID(context, "field '%s' is not a timestamptz datatype", FilterSource(context, shown->span));
		cond = make_cond(COND_TIME);
		cond->op = op;
		cond->column = left.column;
		cond->value = right.value;
		if (left.kind == OPERAND_ARITHMETIC)
		{
			cond->arith = left.arith;
			cond->value2 = left.value;
		}
		return cond_operand(cond);
	}
	if (!comparable(&left, &right))
	{
		if (shown == node->items[0])
			FILTER_INVALID(context, "comparisons between %s and %s are not supported", type_name(&left), type_name(&right));
		FILTER_INVALID(context, "comparisons between %s and %s are not supported", type_name(&right), type_name(&left));
	}
	if (right.kind != OPERAND_VALUE)
		return cond_operand(compare_columns(context, op, &left, &right));

	switch (left.kind)
	{
		case OPERAND_COLUMN:
			if (right.value.is_template && (left.type == FILTER_TIMESTAMPTZ || left.type == FILTER_GEOMETRY || FilterIsVector(left.type)))
				FILTER_INVALID(context, "comparisons between %s and %s are not supported", type_name(&left), type_name(&right));
			if (left.type == FILTER_JSON && right.type == FILTER_ARRAY && op != FILTER_EQ && op != FILTER_NE)
				FILTER_INVALID(context, "comparisons between %s and %s are not supported", type_name(&left), type_name(&right));
			cond = make_cond(COND_COMPARE);
			cond->value = is_whole_array(&left) ? cast_list(context, left.column.field, &right.value) :
				cast_value(context, left.type, &right.value);
			break;
		case OPERAND_ARITHMETIC:
			cond = make_cond(COND_ARITHMETIC);
			if (left.type == FILTER_JSON && !FilterIsNumber(right.type))
				FILTER_INVALID(context, "cannot cast value to %s, value: %s", FilterTypeName(FilterValueType(&left.value)),
							   FilterShowValue(&right.value));
			cond->value = cast_value(context, left.type, &right.value);
			cond->value2 = left.value;
			cond->arith = left.arith;
			break;
		case OPERAND_LENGTH:
			cond = make_cond(COND_LENGTH);
			cond->value = cast_value(context, FILTER_INT64, &right.value);
			break;
		default:
			FILTER_INVALID(context, "not supported to combine multiple fields");
	}
	cond->column = left.column;
	cond->op = op;
	return cond_operand(cond);
}

static Operand
check_range(FilterContext *context, FilterNode *node)
{
	Operand		field = check(context, node->items[1]);
	Operand		bounds[2];
	FilterCond *cond;
	int			order;

	if (field.kind != OPERAND_COLUMN)
		FILTER_INVALID(context, "range operations are only supported on single fields now, got: %s",
					   FilterSource(context, node->items[1]->span));
	refuse_whole_array(context, &field);
	bounds[0] = check(context, node->items[0]);
	bounds[1] = check(context, node->items[2]);
	for (int i = 0; i < 2; i++)
	{
		FilterValue *value = &bounds[i].value;

		if (bounds[i].kind != OPERAND_VALUE)
			FILTER_INVALID(context, "%s cannot be a non-const expression: %s", i == 0 ? "lowerbound" : "upperbound",
						   FilterSource(context, node->items[2 * i]->span));
		if (field.type == FILTER_BOOL)
			FILTER_INVALID(context, "invalid range operations on boolean expr");
		if (!FilterCast(field.type, value, value) || value->kind == FILTER_VALUE_ARRAY)
			FILTER_INVALID(context, "invalid range operations");
	}
	if (!bounds[0].value.is_template && !bounds[1].value.is_template &&
		(bounds[0].value.kind == bounds[1].value.kind ||
		 (FilterIsNumber(bounds[0].type) && FilterIsNumber(bounds[1].type))) &&
		bounds[0].value.kind != FILTER_VALUE_ISO)
	{
		order = FilterCompareValues(&bounds[0].value, &bounds[1].value);
		if (order > 0 || (order == 0 && !(node->op == FILTER_LE && node->op2 == FILTER_LE)))
			FILTER_INVALID(context, "invalid range: lowerbound is greater than upperbound");
	}
	if (field.type == FILTER_TIMESTAMPTZ)
	{
		FilterCond *halves[2];

		for (int i = 0; i < 2; i++)
		{
			halves[i] = make_cond(COND_TIME);
			halves[i]->column = field.column;
			halves[i]->value = bounds[i].value;
			halves[i]->op = i == 0 ? reverse_op(node->op) : (FilterOp) node->op2;
		}
		cond = make_cond(COND_AND);
		cond->nitems = 2;
		cond->items = palloc(2 * sizeof(FilterCond *));
		memcpy(cond->items, halves, sizeof(halves));
		return cond_operand(cond);
	}
	cond = make_cond(COND_RANGE);
	cond->column = field.column;
	cond->op = node->op;
	cond->op2 = node->op2;
	cond->value = bounds[0].value;
	cond->value2 = bounds[1].value;
	return cond_operand(cond);
}

static Operand
check_in(FilterContext *context, FilterNode *node)
{
	Operand		field = check(context, node->items[0]);
	Operand		list;
	FilterCond *cond;

	if (field.kind == OPERAND_VALUE)
		FILTER_INVALID(context, "'term' can only be used on non-const expression, but got: %s",
					   FilterSource(context, node->items[0]->span));
	if (field.kind != OPERAND_COLUMN || is_whole_array(&field))
		FILTER_INVALID(context, "'term' can only be used on single field, but got: %s",
					   FilterSource(context, node->items[0]->span));
	list = check(context, node->items[1]);
	if (list.kind != OPERAND_VALUE)
		FILTER_INVALID(context, "value '%s' in list cannot be a non-const expression",
					   FilterSource(context, node->items[1]->span));
	if (list.value.kind != FILTER_VALUE_ARRAY && list.value.is_template)
		FILTER_INVALID(context, "the value of term expression template variable %s is not array",
					   FilterSource(context, node->items[1]->span));
	if (list.value.kind != FILTER_VALUE_ARRAY)
		FILTER_INVALID(context, "the right-hand side of 'in' must be a list, but got: %s",
					   FilterSource(context, node->items[1]->span));
	for (int i = 0; i < list.value.count; i++)
	{
		FilterValue *item = &list.value.items[i];

		if (FilterCast(field.type, item, item))
			continue;
		if (list.value.is_template)
			cast_value(context, field.type, item);
		FILTER_INVALID(context, "value '%s' in list cannot be casted to %s", FilterShowValue(item), FilterTypeName(field.type));
	}
	cond = make_cond(COND_IN);
	cond->column = field.column;
	cond->value = list.value;
	cond->negated = node->negated;
	return cond_operand(cond);
}

/* ---- patterns ---- */

static Operand
check_pattern(FilterContext *context, FilterNode *node)
{
	bool		is_like = node->kind == NODE_LIKE;
	const char *name = is_like ? "like" : "regex";
	Operand		field = check(context, node->items[0]);
	FilterCond *cond;

	if (field.kind != OPERAND_COLUMN)
		FILTER_INVALID(context, "%s operation on complicated expr is unsupported", name);
	refuse_whole_array(context, &field);
	if (!FilterIsString(field.type) && field.type != FILTER_JSON)
		FILTER_INVALID(context, "%s operation on non-string or no-json field is unsupported", name);
	cond = make_cond(is_like ? COND_LIKE : COND_REGEX);
	cond->column = field.column;
	cond->negated = node->negated;
	cond->value = check_constant_string(context, node->items[1], ESCAPES_KEPT, name);
	if (is_like)
	{
		const char *p = cond->value.string;

		/* a backslash takes the next character as it is */
		while (*p != '\0')
		{
			if (*p++ == '\\' && *p++ == '\0')
				FILTER_INVALID(context, "like pattern must not end with an escape character: %s", cond->value.string);
		}
	}
	else
		cond->value.string = FilterTranslateRegex(context, cond->value.string);
	return cond_operand(cond);
}

/* ---- functions ---- */

static Operand
check_null(FilterContext *context, FilterNode *node)
{
	FilterNode *child = node->items[0];
	const FilterField *field = child->kind != NODE_IDENTIFIER ? NULL :
		FilterFindField(context->schema->fields, context->schema->nfields, FilterSlice(context, child->name));
	FilterCond *cond;
	Operand		operand;

	if (field != NULL && field->type == FILTER_ARRAY_OF_STRUCT && field->nfields > 0)
	{
		operand = column_operand(FilterMakeColumn(&field->fields[0]));
		operand.column.parent = field;
	}
	else
		operand = check(context, child);
	if (FilterIsVector(operand.column.field->type) && operand.column.parent == NULL)
		FILTER_INVALID(context, "IsNull/IsNotNull operations are not supported on vector fields");
	if (operand.column.index >= 0)
		FILTER_INVALID(context, "IsNull/IsNotNull operations are not supported on array elements");
	/* of a key: does it exist */
	cond = make_cond(operand.column.npath > 0 ? COND_EXISTS : COND_NULL);
	cond->column = operand.column;
	cond->negated = (cond->kind == COND_EXISTS) != node->negated;
	return cond_operand(cond);
}

static Operand
check_exists(FilterContext *context, FilterNode *node)
{
	Operand		operand = check(context, node->items[0]);
	FilterCond *cond;

	if (operand.kind != OPERAND_COLUMN)
		FILTER_INVALID(context, "exists operations are only supported on single fields now, got: %s",
					   FilterSource(context, node->items[0]->span));
	if (operand.type != FILTER_JSON)
		FILTER_INVALID(context, "exists operations are only supportted on json field, got:%s",
					   FilterTypeName(operand.column.field->type));
	if (operand.column.npath == 0)
		FILTER_INVALID(context, "exists operations are only supportted on json key");
	cond = make_cond(COND_EXISTS);
	cond->column = operand.column;
	return cond_operand(cond);
}

static Operand
check_contains(FilterContext *context, FilterNode *node)
{
	static const char *const names[] = {"contains", "contains_all", "contains_any"};
	static const char *const operations[] = {"Contains", "ContainsAll", "ContainsAny"};
	Operand		field = check(context, node->items[0]);
	Operand		elements;
	FilterCond *cond;
	FilterValue list = {FILTER_VALUE_ARRAY};

	if (field.kind != OPERAND_COLUMN || (field.type != FILTER_JSON && field.type != FILTER_ARRAY))
		FILTER_INVALID(context, "%s operation are only supported on json or array fields now, got: %s", names[node->op2],
					   FilterSource(context, node->items[0]->span));
	elements = check(context, node->items[1]);
	if (elements.kind != OPERAND_VALUE || elements.type == FILTER_TIMESTAMPTZ)
		FILTER_INVALID(context, "%s operation are only supported explicitly specified element, got: %s", names[node->op2],
					   FilterSource(context, node->items[1]->span));
	if (node->op2 == CONTAINS_ONE)
	{
		list.items = palloc(sizeof(FilterValue));
		list.items[0] = field.type == FILTER_JSON ? elements.value :
			cast_value(context, field.column.field->element_type, &elements.value);
		list.count = 1;
		list.is_template = elements.value.is_template;
	}
	else
	{
		if (elements.type != FILTER_ARRAY)
			FILTER_INVALID(context, "%s operation element must be an array", operations[node->op2]);
		list = elements.value;
		for (int i = 0; field.type == FILTER_ARRAY && i < list.count; i++)
		{
			FilterType	element_type = field.column.field->element_type;
			FilterValue item;

			if (!comparable_types(element_type, FilterValueType(&list.items[i])))
				FILTER_INVALID(context, "%s operation can't compare between array element type: %s and %s", operations[node->op2],
							   FilterTypeName(element_type), FilterTypeName(FilterValueType(&list.items[i])));
			if (FilterCast(element_type, &list.items[i], &item))
				list.items[i] = item;
		}
	}
	cond = make_cond(COND_CONTAINS);
	cond->op2 = node->op2;
	cond->column = field.column;
	cond->value = list;
	return cond_operand(cond);
}

static Operand
check_length(FilterContext *context, FilterNode *node)
{
	FilterNode *child = node->items[0];
	const FilterField *field = child->kind != NODE_IDENTIFIER ? NULL :
		FilterFindField(context->schema->fields, context->schema->nfields, FilterSlice(context, child->name));
	Operand		operand;

	if (child->kind != NODE_IDENTIFIER && child->kind != NODE_PATH && child->kind != NODE_STRUCT_FIELD)
		FILTER_INVALID(context, "array_length operation are only supported on json or array fields now, got: %s",
					   FilterSource(context, node->span));
	if (field != NULL && field->type == FILTER_ARRAY_OF_STRUCT && field->nfields > 0)
	{
		operand = column_operand(FilterMakeColumn(&field->fields[0]));
		operand.column.parent = field;
	}
	else
	{
		operand = check(context, child);
		if (operand.type != FILTER_JSON && operand.type != FILTER_ARRAY)
			FILTER_INVALID(context, "array_length operation are only supported on json or array fields now, got: %s",
						   FilterSource(context, node->span));
	}
	operand.kind = OPERAND_LENGTH;
	operand.type = FILTER_INT64;
	return operand;
}

/* The column of a function's first argument, a bare name. */
static Operand
check_argument(FilterContext *context, FilterNode *node)
{
	bool		is_key;
	const char *name = FilterSlice(context, node->name);
	const FilterField *field = FilterResolveName(context, name, &is_key);

	/* text fields are for text_match alone */
	if (!is_key && field->type == FILTER_TEXT)
		return column_operand(FilterMakeColumn(field));
	return column_operand(FilterNamedColumn(context, node->name));
}

static Operand
check_text(FilterContext *context, FilterNode *node)
{
	bool		is_phrase = node->kind == NODE_PHRASE_MATCH;
	const char *name = is_phrase ? "phrase match" : "text match";
	Operand		field = check_argument(context, node);
	FilterCond *cond = make_cond(is_phrase ? COND_PHRASE : COND_TEXT);

	if (!FilterIsString(field.type) && field.type != FILTER_TEXT)
		FILTER_INVALID(context, "%s operation on non-string is unsupported", name);
	if (!field.column.field->enable_match)
		FILTER_INVALID(context, "field \"%s\" does not enable match", FilterSlice(context, node->name));
	cond->column = field.column;
	cond->value = check_constant_string(context, node->items[0], ESCAPES_STRICT, name);
	cond->integer = node->integer;
	if (is_phrase && node->nitems > 1)
	{
		FilterNode *child = node->items[1];
		Operand		slop = check(context, child);

		if (slop.kind != OPERAND_VALUE || slop.value.kind != FILTER_VALUE_INT || slop.value.is_template)
			FILTER_INVALID(context, "\"slop\" should be a const integer expression with \"uint32\" value. \"slop\" expression passed: %s",
						   FilterSource(context, child->span));
		if (slop.value.integer < 0)
			FILTER_INVALID(context, "\"slop\" should not be a negative interger. \"slop\" passed: %s",
						   FilterSource(context, child->span));
		if (slop.value.integer > MAX_SLOP)
			FILTER_INVALID(context, "\"slop\" exceeds the range of \"uint32\". \"slop\" expression passed: %s",
						   FilterSource(context, child->span));
		cond->integer = slop.value.integer;
	}
	return cond_operand(cond);
}

static Operand
check_sample(FilterContext *context, FilterNode *node)
{
	FilterNode *child = node->items[0];
	Operand		factor = check(context, child);
	FilterCond *cond = make_cond(COND_SAMPLE);

	if (factor.kind != OPERAND_VALUE || factor.value.is_template)
		FILTER_INVALID(context, "\"float factor\" should be a const float expression: \"float factor\" passed: %s",
					   FilterSource(context, child->span));
	if (factor.value.kind != FILTER_VALUE_DOUBLE || factor.value.number <= SAMPLE_EPSILON ||
		factor.value.number >= 1 - SAMPLE_EPSILON)
		FILTER_INVALID(context, "the sample factor should be between 0 and 1 and not too close to 0 or 1"
					   "(the difference should be larger than 1e-10), but got %s", FilterSource(context, child->span));
	cond->value = factor.value;
	return cond_operand(cond);
}

static Operand
check_spatial(FilterContext *context, FilterNode *node)
{
	static const char *const names[] = {
		"STEuqals", "STTouches", "STOverlaps", "STCrosses", "STContains", "STIntersects", "STWithin", "ST_DWITHIN", "STIsValid"
	};
	Operand		field = check_argument(context, node);
	FilterCond *cond = make_cond(COND_SPATIAL);

	if (field.type != FILTER_GEOMETRY)
		FILTER_INVALID(context, "%s operation are only supported on geometry fields now, got: %s", names[node->op2],
					   FilterSource(context, node->span));
	cond->op2 = node->op2;
	cond->column = field.column;
	if (node->op2 != SPATIAL_IS_VALID)
		cond->value = check_constant_string(context, node->items[0], ESCAPES_STRICT, names[node->op2]);
	if (node->op2 == SPATIAL_DWITHIN)
	{
		const char *wkt = cond->value.string;
		FilterNode *child = node->items[1];
		Operand		distance = check(context, child);

		wkt += strspn(wkt, " \t\r\n");
		if (pg_strncasecmp(wkt, "POINT", 5) != 0)
			FILTER_INVALID(context, "only supports POINT geometry: %s", cond->value.string);
		if (distance.kind != OPERAND_VALUE || distance.value.is_template)
			FILTER_INVALID(context, "distance parameter must be a constant numeric value, got: %s",
						   FilterSource(context, child->span));
		if (!FilterIsNumber(distance.type))
			FILTER_INVALID(context, "distance parameter must be a numeric value (int or float), got: %s",
						   FilterSource(context, child->span));
		FilterCast(FILTER_DOUBLE, &distance.value, &cond->value2);
		if (cond->value2.number < 0)
			FILTER_INVALID(context, "distance parameter must be non-negative, got: %f", cond->value2.number);
	}
	return cond_operand(cond);
}

/* element_filter and MATCH_*: a condition over the elements of a struct array, or of an array. */
static Operand
check_elements(FilterContext *context, FilterNode *node)
{
	static const char *const names[] = {"ElementFilter", "MATCH_ANY", "MATCH_ALL", "MATCH_LEAST", "MATCH_MOST", "MATCH_EXACT"};
	const char *name = FilterSlice(context, node->name);
	const FilterField *field = FilterFindField(context->schema->fields, context->schema->nfields, name);
	FilterCond *cond = make_cond(COND_ELEMENTS);
	Operand		operand;

	if (context->elements != NULL)
		FILTER_INVALID(context, "nested %s is not supported, already inside %s for field: %s", names[node->op2],
					   node->op2 == ELEMENT_FILTER ? "ElementFilter" : "match expression", context->elements_name);
	if (field == NULL || (field->type != FILTER_ARRAY_OF_STRUCT && (field->type != FILTER_ARRAY || node->op2 == ELEMENT_FILTER)))
		FILTER_INVALID(context, "struct array field %s not exist", name);
	context->elements = field;
	context->elements_name = name;
	operand = check(context, node->items[0]);
	context->elements = NULL;
	cond->items = palloc(sizeof(FilterCond *));
	cond->nitems = 1;
	cond->items[0] = as_cond(&operand);
	if (cond->items[0] == NULL || last_operand(cond->items[0])->kind == COND_SAMPLE)
		FILTER_INVALID(context, "invalid %s in %s: %s", node->op2 == ELEMENT_FILTER ? "element expression" : "predicate expression",
					   names[node->op2], FilterSource(context, node->items[0]->span));
	cond->op2 = node->op2;
	cond->field = field;
	cond->integer = node->integer;
	return cond_operand(cond);
}

/* empty(f) and starts_with(f, "x"), the generic functions there are. */
static Operand
check_call(FilterContext *context, FilterNode *node)
{
	char	   *name = FilterSlice(context, node->name);
	FilterCond *cond = NULL;
	Operand		arguments[2];

	for (char *p = name; *p != '\0'; p++)
		*p = (char) pg_tolower((unsigned char) *p);
	if (node->nitems > 0 && node->nitems <= 2)
	{
		for (int i = 0; i < node->nitems; i++)
			arguments[i] = check(context, node->items[i]);
		if (arguments[0].kind == OPERAND_COLUMN && FilterIsString(arguments[0].type))
		{
			if (strcmp(name, "empty") == 0 && node->nitems == 1)
				cond = make_cond(COND_EMPTY);
			else if (strcmp(name, "starts_with") == 0 && node->nitems == 2 &&
					 (arguments[1].kind == OPERAND_VALUE || arguments[1].kind == OPERAND_COLUMN) &&
					 FilterIsString(arguments[1].type))
			{
				cond = make_cond(COND_PREFIX);
				cond->value = arguments[1].value;
				cond->column2 = arguments[1].column;
				cond->integer = arguments[1].kind == OPERAND_COLUMN;
			}
		}
	}
	if (cond == NULL)
		FILTER_INVALID(context, "function not found: %s", FilterSource(context, node->span));
	cond->column = arguments[0].column;
	return cond_operand(cond);
}

/* ---- logic ---- */

static Operand
check_logical(FilterContext *context, FilterNode *node)
{
	bool		is_and = node->op == FILTER_AND;
	FilterCond *cond = make_cond(is_and ? COND_AND : COND_OR);
	bool		constants = true;
	bool		value = is_and;

	cond->items = palloc(node->nitems * sizeof(FilterCond *));
	for (int i = 0; i < node->nitems; i++)
	{
		Operand		operand = check(context, node->items[i]);
		FilterCond *item = as_cond(&operand);
		bool		is_last = i == node->nitems - 1;

		if (item == NULL)
			FILTER_INVALID(context, "'%s' can only be used between boolean expressions", op_name(node->op));
		if (last_operand(item)->kind == COND_SAMPLE && !is_and)
			FILTER_INVALID(context, "random sample expression cannot be used in logical and expression");
		if (last_operand(item)->kind == COND_SAMPLE && !is_last)
			FILTER_INVALID(context, "random sample expression can only be the last expression in the logical and expression");
		if (is_element_filter(last_operand(item)) && !(is_and && is_last))
			FILTER_INVALID(context, "element filter expression can only be the last expression in the logical %s expression",
						   op_name(node->op));
		if (item->kind != COND_CONST)
			constants = false;
		else
			value = is_and ? value && item->integer != 0 : value || item->integer != 0;
		cond->items[cond->nitems++] = item;
	}
	return constants ? value_operand(FilterBool(value)) : cond_operand(cond);
}

static Operand
check_value(FilterContext *context, FilterNode *node)
{
	if (node->value.overflows)
		FILTER_INVALID(context, "strconv.ParseInt: parsing \"%s\": value out of range", FilterSlice(context, node->span));
	return value_operand(node->value);
}

static Operand
check_plain_string(FilterContext *context, FilterNode *node)
{
	return check_string(context, node, ESCAPES_STRICT);
}

static Operand
check_name(FilterContext *context, FilterNode *node)
{
	switch (node->kind)
	{
		case NODE_PATH:
			return column_operand(FilterPathColumn(context, node->name));
		case NODE_STRUCT_FIELD:
		case NODE_STRUCT_ELEMENT:
			return column_operand(FilterStructColumn(context, node));
		case NODE_SUB_FIELD:
		case NODE_SELF:
			return column_operand(FilterElementColumn(context, node));
		default:
			return column_operand(FilterNamedColumn(context, node->name));
	}
}

/* ISO '...' and INTERVAL '...' */
static Operand
check_time(FilterContext *context, FilterNode *node)
{
	FilterValue value = {node->kind == NODE_ISO ? FILTER_VALUE_ISO : FILTER_VALUE_INTERVAL};
	char	   *string = FilterReadString(context, node->name, ESCAPES_STRICT);

	value.string = node->kind == NODE_ISO ? FilterReadTimestamp(context, string) : FilterReadInterval(context, string);
	return value_operand(value);
}

static Operand
check_binary(FilterContext *context, FilterNode *node)
{
	if (node->op == FILTER_SHIFT)
		FILTER_INVALID(context, "shift is not supported: %s", FilterSource(context, node->span));
	if (node->op >= FILTER_EQ && node->op <= FILTER_GE)
		return check_comparison(context, node);
	return check_arithmetic(context, node);
}

/* Called through a table, they are not inlined here, and recursion takes little stack. */
typedef Operand (*CheckFunction) (FilterContext *context, FilterNode *node);

static const CheckFunction check_functions[] = {
	[NODE_VALUE] = check_value,
	[NODE_STRING] = check_plain_string,
	[NODE_LIST] = check_list,
	[NODE_TEMPLATE] = check_template,
	[NODE_IDENTIFIER] = check_name,
	[NODE_PATH] = check_name,
	[NODE_STRUCT_FIELD] = check_name,
	[NODE_STRUCT_ELEMENT] = check_name,
	[NODE_SUB_FIELD] = check_name,
	[NODE_SELF] = check_name,
	[NODE_ISO] = check_time,
	[NODE_INTERVAL] = check_time,
	[NODE_UNARY] = check_unary,
	[NODE_BINARY] = check_binary,
	[NODE_LOGICAL] = check_logical,
	[NODE_RANGE] = check_range,
	[NODE_EXISTS] = check_exists,
	[NODE_LIKE] = check_pattern,
	[NODE_REGEX] = check_pattern,
	[NODE_IN] = check_in,
	[NODE_NULL] = check_null,
	[NODE_CALL] = check_call,
	[NODE_CONTAINS] = check_contains,
	[NODE_LENGTH] = check_length,
	[NODE_TEXT_MATCH] = check_text,
	[NODE_PHRASE_MATCH] = check_text,
	[NODE_SAMPLE] = check_sample,
	[NODE_SPATIAL] = check_spatial,
	[NODE_ELEMENTS] = check_elements
};

static Operand
check(FilterContext *context, FilterNode *node)
{
	check_stack_depth();
	return check_functions[node->kind] (context, node);
}

/* Check a whole filter. */
FilterCond *
FilterCheck(FilterContext *context, FilterNode *tree)
{
	Operand		operand = check(context, tree);
	FilterCond *cond = as_cond(&operand);

	if (cond == NULL)
		FILTER_INVALID(context, "predicate is not a boolean expression: %s, data type: %s", context->text,
					   type_name(&operand));
	return cond;
}

/* Check the path of an index or an output field. */
void
FilterCheckPath(FilterContext *context, FilterNode *tree, FilterColumn *column, FilterType *type)
{
	Operand		operand = {OPERAND_VALUE};

	if (tree->kind == NODE_IDENTIFIER || tree->kind == NODE_PATH || tree->kind == NODE_STRUCT_FIELD ||
		tree->kind == NODE_STRUCT_ELEMENT)
		operand = check(context, tree);
	if (operand.kind != OPERAND_COLUMN)
		FILTER_INVALID(context, "cannot parse identifier: %s", context->text);
	*column = operand.column;
	*type = operand.type;
}
