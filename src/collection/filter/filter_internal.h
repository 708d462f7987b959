/*
 * filter_internal.h
 *		The parse tree, the checked tree, and what the files of this folder call of each other.
 */
#ifndef MILVUS_FILTER_INTERNAL_H
#define MILVUS_FILTER_INTERNAL_H

#include "postgres.h"

#include "collection/filter/filter.h"
#include "lib/stringinfo.h"

/* ---- the parse tree: what the text says, not yet whether it makes sense ---- */

typedef enum FilterOp
{
	FILTER_OP_NONE,
	FILTER_EQ, FILTER_NE, FILTER_LT, FILTER_LE, FILTER_GT, FILTER_GE,
	FILTER_ADD, FILTER_SUB, FILTER_MUL, FILTER_DIV, FILTER_MOD, FILTER_POW,
	FILTER_SHIFT, FILTER_BIT_AND, FILTER_BIT_OR, FILTER_BIT_XOR,
	FILTER_PLUS, FILTER_MINUS, FILTER_BIT_NOT, FILTER_NOT, FILTER_AND, FILTER_OR
} FilterOp;

typedef enum FilterNodeKind
{
	NODE_VALUE,					/* value */
	NODE_STRING,				/* name: the token; its escapes are read where its use is known */
	NODE_LIST,					/* items */
	NODE_TEMPLATE,				/* name */
	NODE_IDENTIFIER,			/* name */
	NODE_PATH,					/* name: f["a"][0] */
	NODE_STRUCT_FIELD,			/* name: s[sub] */
	NODE_STRUCT_ELEMENT,		/* name: s[3][sub] */
	NODE_SUB_FIELD,				/* name: $[sub] */
	NODE_SELF,					/* $ */
	NODE_ISO,					/* name: the string token */
	NODE_INTERVAL,				/* name: the string token */
	NODE_UNARY,					/* op, items[0] */
	NODE_BINARY,				/* op, items[0], items[1] */
	NODE_LOGICAL,				/* FILTER_AND or FILTER_OR of nitems operands */
	NODE_RANGE,					/* items: lower, field, upper; op of lower to field, op2 of field to upper: < or <= */
	NODE_EXISTS,				/* items[0] */
	NODE_LIKE,					/* items[0], items[1] */
	NODE_REGEX,					/* items[0], items[1]; negated */
	NODE_IN,					/* items[0], items[1]; negated */
	NODE_NULL,					/* items[0]; negated: is not null */
	NODE_CALL,					/* name, items */
	NODE_CONTAINS,				/* op2: FilterContains; items[0], items[1] */
	NODE_LENGTH,				/* items[0] */
	NODE_TEXT_MATCH,			/* name, items[0]; integer: minimum_should_match or -1 */
	NODE_PHRASE_MATCH,			/* name, items[0], items[1] or NULL */
	NODE_SAMPLE,				/* items[0] */
	NODE_SPATIAL,				/* op2: FilterSpatial; name, items[0] and items[1] where it has them */
	NODE_ELEMENTS				/* op2: FilterMatch; name, items[0]; integer: threshold */
} FilterNodeKind;

typedef enum FilterContains
{
	CONTAINS_ONE, CONTAINS_ALL, CONTAINS_ANY
} FilterContains;

typedef enum FilterSpatial
{
	SPATIAL_EQUALS, SPATIAL_TOUCHES, SPATIAL_OVERLAPS, SPATIAL_CROSSES, SPATIAL_CONTAINS, SPATIAL_INTERSECTS,
	SPATIAL_WITHIN, SPATIAL_DWITHIN, SPATIAL_IS_VALID
} FilterSpatial;

typedef enum FilterMatch
{
	ELEMENT_FILTER, MATCH_ANY, MATCH_ALL, MATCH_LEAST, MATCH_MOST, MATCH_EXACT
} FilterMatch;

/* A piece of the text: a token, or all that a node was read from. */
typedef struct FilterSpan
{
	int			start;
	int			end;
} FilterSpan;

typedef struct FilterNode
{
	FilterNodeKind kind;
	FilterOp	op;
	int			op2;
	bool		negated;
	bool		in_parens;
	int			depth;			/* of the tree from here; no more than max_depth */
	FilterSpan	span;
	FilterSpan	name;
	int64		integer;
	FilterValue value;
	int			nitems;
	int			room;
	struct FilterNode **items;
} FilterNode;

/* A text being compiled. */
typedef struct FilterContext
{
	const FilterSchema *schema;
	const FilterOptions *options;
	const char *text;
	int			max_depth;
	/* reading it */
	void	   *scanner;
	int			position;		/* of the next byte to be read */
	FilterNode *tree;
	/* checking it */
	const FilterField *elements;	/* of element_filter or MATCH_*: the struct array, or the array */
	const char *elements_name;
	/* writing SQL */
	int			nparams;
	int			params_room;
	FilterParam *params;
	int			subquery;		/* number of the last alias made up */
} FilterContext;

/* filter_tree.c */
extern FilterNode *FilterMakeNode(FilterContext *context, FilterNodeKind kind, FilterSpan span);
extern void FilterAppend(FilterContext *context, FilterNode *node, FilterNode *item);
extern FilterNode *FilterMakeUnary(FilterContext *context, FilterNodeKind kind, FilterOp op, FilterSpan span, FilterNode *operand);
extern FilterNode *FilterMakeBinary(FilterContext *context, FilterNodeKind kind, FilterOp op, FilterSpan span, FilterNode *left, FilterNode *right);
extern FilterNode *FilterMakeRelation(FilterContext *context, FilterOp op, FilterSpan span, FilterNode *left, FilterNode *right);
extern FilterNode *FilterMakeLogical(FilterContext *context, FilterOp op, FilterSpan span, FilterNode *left, FilterNode *right);
extern FilterNode *FilterMakeBetween(FilterContext *context, FilterSpan span, FilterNode *field, FilterNode *lower, FilterNode *upper);
extern FilterNode *FilterMakeInteger(FilterContext *context, FilterSpan span);
extern FilterNode *FilterMakeFloat(FilterContext *context, FilterSpan span);
extern int64 FilterReadInteger(FilterContext *context, FilterSpan span, bool *overflows);
typedef enum FilterEscapes
{
	ESCAPES_STRICT,				/* unknown ones are errors */
	ESCAPES_KEPT				/* of patterns: unknown ones stay as they are */
} FilterEscapes;
extern char *FilterReadString(FilterContext *context, FilterSpan span, FilterEscapes escapes);
extern char *FilterSource(FilterContext *context, FilterSpan span);
extern char *FilterSlice(FilterContext *context, FilterSpan span);

extern void FilterError(FilterContext *context, int sqlstate, const char *format,...) __attribute__((format(printf, 3, 4), noreturn));
#define FILTER_INVALID(context, ...) FilterError(context, ERRCODE_INVALID_PARAMETER_VALUE, __VA_ARGS__)

/* filter_lexer.l, filter_grammar.y */
extern FilterNode *FilterParse(FilterContext *context);

/* ---- values (filter_value.c) ---- */

extern bool FilterIsInteger(FilterType type);
extern bool FilterIsFloating(FilterType type);
extern bool FilterIsNumber(FilterType type);
extern bool FilterIsString(FilterType type);
extern bool FilterIsVector(FilterType type);
extern FilterType FilterValueType(const FilterValue *value);
extern FilterType FilterListType(const FilterValue *list);
extern char *FilterShowValue(const FilterValue *value);
extern FilterValue FilterBool(bool boolean);
extern FilterValue FilterFold(FilterContext *context, FilterOp op, const FilterValue *a, const FilterValue *b, FilterSpan span);
extern bool FilterCast(FilterType type, const FilterValue *value, FilterValue *result);
extern int	FilterCompareValues(const FilterValue *a, const FilterValue *b);
extern bool FilterSameValue(const FilterValue *a, const FilterValue *b);

/* ---- the checked tree: conditions over columns ---- */

/* What a condition is about. */
typedef struct FilterColumn
{
	const FilterField *field;	/* NULL for $, an element of a plain array, whose field is in `array` */
	const FilterField *parent;	/* the struct array it is a sub-field of */
	bool		is_element;		/* of the current element: $[sub], $ */
	int64		index;			/* into an array, from 0; -1: the whole */
	int			npath;			/* keys into JSON */
	const char **path;
} FilterColumn;

typedef enum FilterCondKind
{
	COND_CONST,					/* integer: 0 or 1 */
	COND_AND, COND_OR, COND_NOT,	/* items */
	COND_COMPARE,				/* column op value */
	COND_RANGE,					/* value op column op2 value2, both < or <= */
	COND_IN,					/* column in value (an array) */
	COND_ARITHMETIC,			/* (column arith value2) op value */
	COND_LENGTH,				/* array_length(column) op value */
	COND_COLUMNS,				/* column op column2 */
	COND_TIME,					/* column arith value2 (an interval) op value; arith may be none */
	COND_LIKE, COND_REGEX,		/* value */
	COND_NULL, COND_EXISTS,
	COND_CONTAINS,				/* op2; value: an array */
	COND_EMPTY,					/* column == "" */
	COND_PREFIX,				/* starts_with(column, value or column2) */
	COND_TEXT,					/* value, integer: minimum_should_match or -1 */
	COND_PHRASE,				/* value, integer: slop */
	COND_SPATIAL,				/* op2, value, value2 */
	COND_SAMPLE,				/* value */
	COND_ELEMENTS				/* op2, integer: threshold, field, items[0] */
} FilterCondKind;

typedef struct FilterCond
{
	FilterCondKind kind;
	bool		negated;		/* set by FilterNormalize only: true where the condition is false, still not where it
								 * is unknown */
	FilterOp	op;
	int			op2;
	FilterOp	arith;
	FilterColumn column;
	FilterColumn column2;
	FilterValue value;
	FilterValue value2;
	int64		integer;
	const FilterField *field;
	int			nitems;
	struct FilterCond **items;
} FilterCond;

/* filter_names.c */
extern const FilterField *FilterFindField(const FilterField *fields, int nfields, const char *name);
extern const FilterField *FilterResolveName(FilterContext *context, const char *name, bool *is_key);
extern FilterColumn FilterMakeColumn(const FilterField *field);
extern FilterType FilterColumnType(const FilterColumn *column);
extern FilterColumn FilterNamedColumn(FilterContext *context, FilterSpan name);
extern FilterColumn FilterPathColumn(FilterContext *context, FilterSpan token);
extern FilterColumn FilterStructColumn(FilterContext *context, FilterNode *node);
extern FilterColumn FilterElementColumn(FilterContext *context, FilterNode *node);

/* filter_check.c */
extern FilterCond *FilterCheck(FilterContext *context, FilterNode *tree);
extern void FilterCheckPath(FilterContext *context, FilterNode *tree, FilterColumn *column, FilterType *type);

/* filter_time.c */
extern char *FilterReadTimestamp(FilterContext *context, const char *string);
extern char *FilterReadInterval(FilterContext *context, const char *string);

/* filter_rewrite.c */
extern FilterCond *FilterNormalize(FilterContext *context, FilterCond *cond);
extern FilterOp FilterNegateOp(FilterOp op);

/* filter_regex.c */
extern char *FilterTranslateRegex(FilterContext *context, const char *pattern);

/* filter_sql.c */
extern void FilterWriteSQL(FilterContext *context, FilterCond *cond, FilterSQL *result);
extern void FilterWriteColumn(FilterContext *context, StringInfo sql, const FilterColumn *column);

#endif							/* MILVUS_FILTER_INTERNAL_H */
