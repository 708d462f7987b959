/*
 * filter_tree.c
 *		Nodes of the parse tree, what tokens mean, and errors.
 *
 * Every node is made here, so here the depth of the tree is bounded: whatever recurses over it later
 * recurses no deeper than max_depth.
 */
#include "collection/filter/filter_internal.h"

#include <errno.h>
#include <math.h>

/* Longest part of an expression that an error repeats. */
#define SHOWN_BYTES 2000

static void append_utf8(StringInfo string, uint32 code);

/* ---- errors ---- */

/* Raise an error about the expression, in Milvus's wrapping. */
void
FilterError(FilterContext *context, int sqlstate, const char *format,...)
{
	char		reason[1024];
	int			shown = (int) strlen(context->text);
	va_list		args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	/* cut at a character's end, which is also a character's end of what was cut by vsnprintf */
	if (strlen(reason) == sizeof(reason) - 1)
	{
		int			end = (int) sizeof(reason) - 1;

		while (end > 0 && ((unsigned char) reason[end - 1] & 0xc0) == 0x80)
			end--;
		if (end > 0 && (unsigned char) reason[end - 1] >= 0xc0)
			end--;
		reason[end] = '\0';
	}
	if (shown > SHOWN_BYTES)
	{
		shown = SHOWN_BYTES;
		while (shown > 0 && ((unsigned char) context->text[shown] & 0xc0) == 0x80)
			shown--;
	}
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("failed to create query plan: cannot parse expression: %.*s%s, error: %s: invalid parameter",
					shown, context->text, context->text[shown] == '\0' ? "" : "...", reason),
			 errdetail("milvus_code=1100")));
	pg_unreachable();
}

/* A part of the text. */
char *
FilterSlice(FilterContext *context, FilterSpan span)
{
	return pnstrdup(context->text + span.start, span.end - span.start);
}

/* A part of the text as Milvus shows it: without the space between tokens. */
char *
FilterSource(FilterContext *context, FilterSpan span)
{
	char	   *source = FilterSlice(context, span);
	char	   *end = source;
	char		quote = '\0';

	for (char *p = source; *p != '\0'; p++)
	{
		if (quote == '\0')
		{
			if (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
				continue;
			if (*p == '"' || *p == '\'')
				quote = *p;
		}
		else if (*p == '\\' && p[1] != '\0')
			*end++ = *p++;
		else if (*p == quote)
			quote = '\0';
		*end++ = *p;
	}
	*end = '\0';
	return source;
}

/* ---- nodes ---- */

FilterNode *
FilterMakeNode(FilterContext *context, FilterNodeKind kind, FilterSpan span)
{
	FilterNode *node = palloc0(sizeof(FilterNode));

	node->kind = kind;
	node->span = span;
	node->depth = 1;
	return node;
}

/* Add an operand. */
void
FilterAppend(FilterContext *context, FilterNode *node, FilterNode *item)
{
	if (node->nitems == node->room)
	{
		node->room = node->room == 0 ? 2 : 2 * node->room;
		node->items = node->items == NULL ? palloc(node->room * sizeof(FilterNode *)) :
			repalloc(node->items, node->room * sizeof(FilterNode *));
	}
	node->items[node->nitems++] = item;
	node->depth = Max(node->depth, item->depth + 1);
	if (node->depth > context->max_depth)
		FilterError(context, ERRCODE_STATEMENT_TOO_COMPLEX, "expression is nested too deeply, at most %d levels are allowed",
					context->max_depth);
}

FilterNode *
FilterMakeUnary(FilterContext *context, FilterNodeKind kind, FilterOp op, FilterSpan span, FilterNode *operand)
{
	FilterNode *node = FilterMakeNode(context, kind, span);

	node->op = op;
	FilterAppend(context, node, operand);
	return node;
}

FilterNode *
FilterMakeBinary(FilterContext *context, FilterNodeKind kind, FilterOp op, FilterSpan span, FilterNode *left, FilterNode *right)
{
	FilterNode *node = FilterMakeUnary(context, kind, op, span, left);

	FilterAppend(context, node, right);
	return node;
}

static bool
is_column(const FilterNode *node)
{
	return !node->in_parens &&
		(node->kind == NODE_IDENTIFIER || node->kind == NODE_PATH || node->kind == NODE_STRUCT_ELEMENT ||
		 node->kind == NODE_SUB_FIELD || node->kind == NODE_SELF);
}

static bool
is_not(const FilterNode *node)
{
	return node->kind == NODE_UNARY && node->op == FILTER_NOT && !node->in_parens;
}

/*
 * A comparison.  `1 < a <= 3` reads as `(1 < a) <= 3` until its last operand is seen, and becomes a range
 * here.
 */
FilterNode *
FilterMakeRelation(FilterContext *context, FilterOp op, FilterSpan span, FilterNode *left, FilterNode *right)
{
	bool		upwards = op == FILTER_LT || op == FILTER_LE;
	bool		downwards = op == FILTER_GT || op == FILTER_GE;

	if (left->kind == NODE_BINARY && !left->in_parens && is_column(left->items[1]) &&
		((upwards && (left->op == FILTER_LT || left->op == FILTER_LE)) ||
		 (downwards && (left->op == FILTER_GT || left->op == FILTER_GE))))
	{
		FilterNode *node = FilterMakeNode(context, NODE_RANGE, span);
		FilterOp	first = left->op == FILTER_LT || left->op == FILTER_GT ? FILTER_LT : FILTER_LE;
		FilterOp	second = op == FILTER_LT || op == FILTER_GT ? FILTER_LT : FILTER_LE;

		node->op = upwards ? first : second;
		node->op2 = upwards ? second : first;
		FilterAppend(context, node, upwards ? left->items[0] : right);
		FilterAppend(context, node, left->items[1]);
		FilterAppend(context, node, upwards ? right : left->items[0]);
		return node;
	}
	/* Milvus reads a comparison of a timestamp as one thing, which "not" stands before */
	if (is_not(left) && (right->kind == NODE_ISO || left->items[0]->kind == NODE_ISO))
		return FilterMakeUnary(context, NODE_UNARY, FILTER_NOT, span,
							   FilterMakeBinary(context, NODE_BINARY, op, span, left->items[0], right));
	if (right->kind == NODE_ISO && left->kind == NODE_BINARY && !left->in_parens && is_not(left->items[0]) &&
		left->items[1]->kind == NODE_INTERVAL)
	{
		left->items[0] = left->items[0]->items[0];
		return FilterMakeUnary(context, NODE_UNARY, FILTER_NOT, span,
							   FilterMakeBinary(context, NODE_BINARY, op, span, left, right));
	}
	return FilterMakeBinary(context, NODE_BINARY, op, span, left, right);
}

/* Chains of "and" and of "or" are one node, so that their length is no depth. */
FilterNode *
FilterMakeLogical(FilterContext *context, FilterOp op, FilterSpan span, FilterNode *left, FilterNode *right)
{
	if (left->kind == NODE_LOGICAL && left->op == op && !left->in_parens)
	{
		left->span = span;
		FilterAppend(context, left, right);
		return left;
	}
	return FilterMakeBinary(context, NODE_LOGICAL, op, span, left, right);
}

FilterNode *
FilterMakeBetween(FilterContext *context, FilterSpan span, FilterNode *field, FilterNode *lower, FilterNode *upper)
{
	FilterNode *node = FilterMakeNode(context, NODE_RANGE, span);

	node->op = FILTER_LE;
	node->op2 = FILTER_LE;
	FilterAppend(context, node, lower);
	FilterAppend(context, node, field);
	FilterAppend(context, node, upper);
	return node;
}

/* ---- numbers ---- */

/*
 * An integer literal: decimal, 0 octal, 0x hexadecimal, 0b binary.  2^63 is what only a minus sign before
 * it makes valid: then it overflows, and the result is its negative.
 */
int64
FilterReadInteger(FilterContext *context, FilterSpan span, bool *overflows)
{
	const char *digits = context->text + span.start;
	const char *end = context->text + span.end;
	uint64		limit = (uint64) 1 << 63;
	uint64		value = 0;
	int			base = 10;

	if (digits[0] == '0' && end - digits > 1)
	{
		base = digits[1] == 'x' || digits[1] == 'X' ? 16 : digits[1] == 'b' || digits[1] == 'B' ? 2 : 8;
		digits += base == 8 ? 1 : 2;
	}
	for (; digits < end; digits++)
	{
		int			digit = *digits <= '9' ? *digits - '0' : (*digits | 32) - 'a' + 10;

		if (value > (limit - digit) / base)
			FILTER_INVALID(context, "strconv.ParseInt: parsing \"%s\": value out of range", FilterSlice(context, span));
		value = value * base + digit;
	}
	*overflows = value == limit;
	return *overflows ? PG_INT64_MIN : (int64) value;
}

FilterNode *
FilterMakeInteger(FilterContext *context, FilterSpan span)
{
	FilterNode *node = FilterMakeNode(context, NODE_VALUE, span);

	node->value.kind = FILTER_VALUE_INT;
	node->value.integer = FilterReadInteger(context, span, &node->value.overflows);
	return node;
}

FilterNode *
FilterMakeFloat(FilterContext *context, FilterSpan span)
{
	FilterNode *node = FilterMakeNode(context, NODE_VALUE, span);
	char	   *digits = FilterSlice(context, span);

	node->value.kind = FILTER_VALUE_DOUBLE;
	errno = 0;
	node->value.number = strtod(digits, NULL);
	if (isinf(node->value.number))
		FILTER_INVALID(context, "strconv.ParseFloat: parsing \"%s\": value out of range", digits);
	return node;
}

/* ---- strings ---- */

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
append_utf8(StringInfo string, uint32 code)
{
	if (code < 0x80)
		appendStringInfoChar(string, (char) code);
	else if (code < 0x800)
	{
		appendStringInfoChar(string, (char) (0xc0 | code >> 6));
		appendStringInfoChar(string, (char) (0x80 | (code & 0x3f)));
	}
	else if (code < 0x10000)
	{
		appendStringInfoChar(string, (char) (0xe0 | code >> 12));
		appendStringInfoChar(string, (char) (0x80 | (code >> 6 & 0x3f)));
		appendStringInfoChar(string, (char) (0x80 | (code & 0x3f)));
	}
	else
	{
		appendStringInfoChar(string, (char) (0xf0 | code >> 18));
		appendStringInfoChar(string, (char) (0x80 | (code >> 12 & 0x3f)));
		appendStringInfoChar(string, (char) (0x80 | (code >> 6 & 0x3f)));
		appendStringInfoChar(string, (char) (0x80 | (code & 0x3f)));
	}
}

/* Is this valid UTF-8?  Bytes that escapes made need not be. */
static bool
is_utf8(const char *string)
{
	const unsigned char *p = (const unsigned char *) string;

	while (*p != '\0')
	{
		int			more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : *p >= 0xe0 && *p < 0xf0 ? 2 : *p >= 0xf0 && *p < 0xf5 ? 3 : -1;
		unsigned char first = *p++;

		if (more < 0)
			return false;
		for (int i = 0; i < more; i++, p++)
		{
			if ((*p & 0xc0) != 0x80)
				return false;
			if (i == 0 && ((first == 0xe0 && *p < 0xa0) || (first == 0xed && *p >= 0xa0) ||
						   (first == 0xf0 && *p < 0x90) || (first == 0xf4 && *p >= 0x90)))
				return false;
		}
	}
	return true;
}

/* What a string token says: a raw one's bytes, otherwise with its escapes read. */
char *
FilterReadString(FilterContext *context, FilterSpan span, FilterEscapes escapes)
{
	const char *p = context->text + span.start;
	const char *end = context->text + span.end - 1; /* the closing quote */
	StringInfoData result;
	bool		bytes = false;

	if (*p == 'r' || *p == 'R')
		return pnstrdup(p + 2, end - p - 2);
	while (*p != '"' && *p != '\'')
		p++;					/* u8, u, U, L */
	p++;
	initStringInfo(&result);
	while (p < end)
	{
		const char *escape = p;
		int			wanted = 0;
		uint32		code = 0;
		int			read;

		if (*p != '\\')
		{
			appendStringInfoChar(&result, *p++);
			continue;
		}
		p++;
		switch (*p++)
		{
			case 'a':
				appendStringInfoChar(&result, '\a');
				continue;
			case 'b':
				appendStringInfoChar(&result, '\b');
				continue;
			case 'f':
				appendStringInfoChar(&result, '\f');
				continue;
			case 'n':
				appendStringInfoChar(&result, '\n');
				continue;
			case 'r':
				appendStringInfoChar(&result, '\r');
				continue;
			case 't':
				appendStringInfoChar(&result, '\t');
				continue;
			case 'v':
				appendStringInfoChar(&result, '\v');
				continue;
			case '\\':
			case '"':
			case '\'':
				appendStringInfoChar(&result, p[-1]);
				continue;
			case 'x':
				wanted = 2;
				break;
			case 'u':
				wanted = 4;
				break;
			case 'U':
				wanted = 8;
				break;
			case '0':
			case '1':
			case '2':
			case '3':
			case '4':
			case '5':
			case '6':
			case '7':
				p--;
				for (read = 0; read < 3 && p + read < end && p[read] >= '0' && p[read] <= '7'; read++)
					code = code * 8 + (p[read] - '0');
				if (read == 3 && code > 0 && code < 256)
				{
					appendStringInfoChar(&result, (char) code);
					bytes = bytes || code >= 128;
					p += 3;
					continue;
				}
				break;
			default:
				break;
		}
		if (wanted > 0)
		{
			for (read = 0; read < wanted && p + read < end && hex_value(p[read]) >= 0; read++)
				code = code * 16 + hex_value(p[read]);
			if (read == wanted && code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff))
			{
				if (wanted == 2)
					appendStringInfoChar(&result, (char) code);
				else
					append_utf8(&result, code);
				bytes = bytes || code >= 128;
				p += wanted;
				continue;
			}
		}
		/* not an escape */
		if (escapes == ESCAPES_STRICT || wanted > 0)
			FilterError(context, ERRCODE_SYNTAX_ERROR, "invalid syntax: %s", FilterSlice(context, span));
		appendStringInfoChar(&result, '\\');
		p = escape + 1;
		if (p < end && *p != '\\')
			appendStringInfoChar(&result, *p++);
	}
	if (bytes && !(context->options->is_utf8 && is_utf8(result.data)))
		FILTER_INVALID(context, "string is not valid in the database's encoding: %s", FilterSlice(context, span));
	return result.data;
}
