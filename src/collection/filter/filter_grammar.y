%code requires {
#include "collection/filter/filter_internal.h"
}

%{
/*
 * filter_grammar.y
 *		Grammar of the filter language; its precedence is that of the rules in Milvus's Plan.g4.
 *
 * Actions only build nodes.  No input makes the parser recurse: its stack is on the heap and bounded, and
 * FilterMakeNode bounds the depth of the tree.
 */
#include "filter_grammar.tab.h"

/* All memory is the current context's; the stack grows there, not on the C stack. */
#define YYMALLOC palloc
#define YYFREE pfree
#define YYINITDEPTH 64
#define YYMAXDEPTH 8192

#define YYLLOC_DEFAULT(current, rhs, n) \
	do { \
		if (n) \
		{ \
			(current).start = YYRHSLOC(rhs, 1).start; \
			(current).end = YYRHSLOC(rhs, n).end; \
		} \
		else \
			(current).start = (current).end = YYRHSLOC(rhs, 0).end; \
	} while (0)

extern int filter_yylex(FILTER_YYSTYPE *value, FilterSpan *span, void *scanner);
static void filter_yyerror(FilterSpan *span, FilterContext *context, const char *message);
%}

%define api.pure full
%define api.prefix {filter_yy}
%define api.location.type {FilterSpan}
%locations
%expect 0
%parse-param {FilterContext *context}
%lex-param {void *scanner}
%code {
#define scanner (context->scanner)
}

%union {
	int			number;
	FilterOp	op;
	FilterNode *node;
}

%token <number> BOOLEAN_LITERAL ELEMENTS ELEMENTS_THRESHOLD CONTAINS SPATIAL EQ UNKNOWN
%token INTEGER_LITERAL FLOAT_LITERAL STRING_LITERAL IDENTIFIER PATH STRUCT_ELEMENT STRUCT_FIELD SUB_FIELD SELF EMPTY_LIST
%token TEXT_MATCH PHRASE_MATCH RANDOM_SAMPLE ARRAY_LENGTH DWITHIN IS_VALID
%token THRESHOLD MINIMUM_SHOULD_MATCH INTERVAL_WORD ISO_WORD ISNULL ISNOTNULL

/* from the lowest to the highest; NOT here is that of "not in" */
%left OR
%left AND
%left '|'
%left '^'
%left '&'
%left EQ NE
%left LT LE GT GE
%left IN NOT BETWEEN
%left SHIFT
%left '+' '-'
%left '*' '/' '%'
%precedence UNARY
%left POW
%left REGEX_MATCH REGEX_NOT_MATCH
%left LIKE
%precedence EXISTS

%type <node> expr list items atom identifier nullable bound options arguments
%type <number> assign

%%

filter:
	expr
		{ context->tree = $1; }
	;

expr:
	atom
	| EXISTS expr
		{ $$ = FilterMakeUnary(context, NODE_EXISTS, FILTER_OP_NONE, @$, $2); }
	| expr LIKE expr
		{ $$ = FilterMakeBinary(context, NODE_LIKE, FILTER_OP_NONE, @$, $1, $3); }
	| expr REGEX_MATCH expr
		{ $$ = FilterMakeBinary(context, NODE_REGEX, FILTER_OP_NONE, @$, $1, $3); }
	| expr REGEX_NOT_MATCH expr
		{
			$$ = FilterMakeBinary(context, NODE_REGEX, FILTER_OP_NONE, @$, $1, $3);
			$$->negated = true;
		}
	| expr POW expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_POW, @$, $1, $3); }
	| '+' expr %prec UNARY
		{ $$ = FilterMakeUnary(context, NODE_UNARY, FILTER_PLUS, @$, $2); }
	| '-' expr %prec UNARY
		{ $$ = FilterMakeUnary(context, NODE_UNARY, FILTER_MINUS, @$, $2); }
	| '~' expr %prec UNARY
		{ $$ = FilterMakeUnary(context, NODE_UNARY, FILTER_BIT_NOT, @$, $2); }
	| NOT expr %prec UNARY
		{ $$ = FilterMakeUnary(context, NODE_UNARY, FILTER_NOT, @$, $2); }
	| expr '*' expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_MUL, @$, $1, $3); }
	| expr '/' expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_DIV, @$, $1, $3); }
	| expr '%' expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_MOD, @$, $1, $3); }
	| expr '+' expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_ADD, @$, $1, $3); }
	| expr '-' expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_SUB, @$, $1, $3); }
	| expr SHIFT expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_SHIFT, @$, $1, $3); }
	| expr IN expr
		{ $$ = FilterMakeBinary(context, NODE_IN, FILTER_OP_NONE, @$, $1, $3); }
	| expr NOT IN expr %prec IN
		{
			$$ = FilterMakeBinary(context, NODE_IN, FILTER_OP_NONE, @$, $1, $4);
			$$->negated = true;
		}
	| expr BETWEEN bound AND bound %prec BETWEEN
		{ $$ = FilterMakeBetween(context, @$, $1, $3, $5); }
	| expr NOT BETWEEN bound AND bound %prec BETWEEN
		{ $$ = FilterMakeUnary(context, NODE_UNARY, FILTER_NOT, @$, FilterMakeBetween(context, @$, $1, $4, $6)); }
	| expr LT expr
		{ $$ = FilterMakeRelation(context, FILTER_LT, @$, $1, $3); }
	| expr LE expr
		{ $$ = FilterMakeRelation(context, FILTER_LE, @$, $1, $3); }
	| expr GT expr
		{ $$ = FilterMakeRelation(context, FILTER_GT, @$, $1, $3); }
	| expr GE expr
		{ $$ = FilterMakeRelation(context, FILTER_GE, @$, $1, $3); }
	| expr EQ expr
		{ $$ = FilterMakeRelation(context, FILTER_EQ, @$, $1, $3); }
	| expr NE expr
		{ $$ = FilterMakeRelation(context, FILTER_NE, @$, $1, $3); }
	| expr '&' expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_BIT_AND, @$, $1, $3); }
	| expr '^' expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_BIT_XOR, @$, $1, $3); }
	| expr '|' expr
		{ $$ = FilterMakeBinary(context, NODE_BINARY, FILTER_BIT_OR, @$, $1, $3); }
	| expr AND expr
		{ $$ = FilterMakeLogical(context, FILTER_AND, @$, $1, $3); }
	| expr OR expr
		{ $$ = FilterMakeLogical(context, FILTER_OR, @$, $1, $3); }
	;

atom:
	BOOLEAN_LITERAL
		{
			$$ = FilterMakeNode(context, NODE_VALUE, @$);
			$$->value.kind = FILTER_VALUE_BOOL;
			$$->value.boolean = $1 != 0;
		}
	| INTEGER_LITERAL
		{ $$ = FilterMakeInteger(context, @1); }
	| FLOAT_LITERAL
		{ $$ = FilterMakeFloat(context, @1); }
	| STRING_LITERAL
		{
			$$ = FilterMakeNode(context, NODE_STRING, @$);
			$$->name = @1;
		}
	| list
	| '{' identifier '}'
		{
			$$ = FilterMakeNode(context, NODE_TEMPLATE, @$);
			$$->name = @2;
		}
	| nullable
	| nullable ISNULL
		{ $$ = FilterMakeUnary(context, NODE_NULL, FILTER_OP_NONE, @$, $1); }
	| nullable ISNOTNULL
		{
			$$ = FilterMakeUnary(context, NODE_NULL, FILTER_OP_NONE, @$, $1);
			$$->negated = true;
		}
	| STRUCT_FIELD
		{
			$$ = FilterMakeNode(context, NODE_STRUCT_FIELD, @$);
			$$->name = @1;
		}
	| STRUCT_ELEMENT
		{
			$$ = FilterMakeNode(context, NODE_STRUCT_ELEMENT, @$);
			$$->name = @1;
		}
	| SUB_FIELD
		{
			$$ = FilterMakeNode(context, NODE_SUB_FIELD, @$);
			$$->name = @1;
		}
	| SELF
		{ $$ = FilterMakeNode(context, NODE_SELF, @$); }
	| ISO_WORD STRING_LITERAL
		{
			$$ = FilterMakeNode(context, NODE_ISO, @$);
			$$->name = @2;
		}
	| INTERVAL_WORD STRING_LITERAL
		{
			$$ = FilterMakeNode(context, NODE_INTERVAL, @$);
			$$->name = @2;
		}
	| '(' expr ')'
		{
			$$ = $2;
			$$->in_parens = true;
		}
	| CONTAINS '(' expr ',' expr ')'
		{
			$$ = FilterMakeBinary(context, NODE_CONTAINS, FILTER_OP_NONE, @$, $3, $5);
			$$->op2 = $1;
		}
	| ARRAY_LENGTH '(' expr ')'
		{ $$ = FilterMakeUnary(context, NODE_LENGTH, FILTER_OP_NONE, @$, $3); }
	| TEXT_MATCH '(' identifier ',' expr ')'
		{
			$$ = FilterMakeUnary(context, NODE_TEXT_MATCH, FILTER_OP_NONE, @$, $5);
			$$->name = @3;
			$$->integer = -1;
		}
	| TEXT_MATCH '(' identifier ',' expr ',' MINIMUM_SHOULD_MATCH assign INTEGER_LITERAL ')'
		{
			bool		overflows;

			$$ = FilterMakeUnary(context, NODE_TEXT_MATCH, FILTER_OP_NONE, @$, $5);
			$$->name = @3;
			$$->integer = FilterReadInteger(context, @9, &overflows);
			if ($$->integer < 1)
				FILTER_INVALID(context, "minimum_should_match should be >= 1, got %lld", (long long) $$->integer);
			if ($$->integer > 1000)
				FILTER_INVALID(context, "minimum_should_match should be <= 1000, got %lld", (long long) $$->integer);
		}
	| PHRASE_MATCH '(' identifier ',' expr ')'
		{
			$$ = FilterMakeUnary(context, NODE_PHRASE_MATCH, FILTER_OP_NONE, @$, $5);
			$$->name = @3;
		}
	| PHRASE_MATCH '(' identifier ',' expr ',' expr ')'
		{
			$$ = FilterMakeBinary(context, NODE_PHRASE_MATCH, FILTER_OP_NONE, @$, $5, $7);
			$$->name = @3;
		}
	| RANDOM_SAMPLE '(' expr ')'
		{ $$ = FilterMakeUnary(context, NODE_SAMPLE, FILTER_OP_NONE, @$, $3); }
	| SPATIAL '(' identifier ',' expr ')'
		{
			$$ = FilterMakeUnary(context, NODE_SPATIAL, FILTER_OP_NONE, @$, $5);
			$$->name = @3;
			$$->op2 = $1;
		}
	| DWITHIN '(' identifier ',' expr ',' expr ')'
		{
			$$ = FilterMakeBinary(context, NODE_SPATIAL, FILTER_OP_NONE, @$, $5, $7);
			$$->name = @3;
			$$->op2 = SPATIAL_DWITHIN;
		}
	| IS_VALID '(' identifier ')'
		{
			$$ = FilterMakeNode(context, NODE_SPATIAL, @$);
			$$->name = @3;
			$$->op2 = SPATIAL_IS_VALID;
		}
	| ELEMENTS '(' identifier ',' expr ')'
		{
			$$ = FilterMakeUnary(context, NODE_ELEMENTS, FILTER_OP_NONE, @$, $5);
			$$->name = @3;
			$$->op2 = $1;
		}
	| ELEMENTS_THRESHOLD '(' identifier ',' expr ',' THRESHOLD assign INTEGER_LITERAL ')'
		{
			bool		overflows;

			$$ = FilterMakeUnary(context, NODE_ELEMENTS, FILTER_OP_NONE, @$, $5);
			$$->name = @3;
			$$->op2 = $1;
			$$->integer = FilterReadInteger(context, @9, &overflows);
			if (overflows)
				FILTER_INVALID(context, "invalid count: %s", FilterSlice(context, @9));
			if ($1 == MATCH_LEAST && $$->integer == 0)
				FILTER_INVALID(context, "count in MATCH_LEAST must be positive, got: 0");
		}
	| IDENTIFIER '(' options ')'
		{
			$$ = $3;
			$$->span = @$;
			$$->name = @1;
		}
	;

assign:
	EQ
		{
			if ($1 != 1)
				filter_yyerror(&@1, context, "");
			$$ = $1;
		}
	;

/* What may stand before "is null". */
nullable:
	identifier
	| PATH
		{
			$$ = FilterMakeNode(context, NODE_PATH, @$);
			$$->name = @1;
		}
	;

/* Words that mean something only where the grammar expects them. */
identifier:
	IDENTIFIER
		{
			$$ = FilterMakeNode(context, NODE_IDENTIFIER, @$);
			$$->name = @1;
		}
	| THRESHOLD
		{
			$$ = FilterMakeNode(context, NODE_IDENTIFIER, @$);
			$$->name = @1;
		}
	| MINIMUM_SHOULD_MATCH
		{
			$$ = FilterMakeNode(context, NODE_IDENTIFIER, @$);
			$$->name = @1;
		}
	| INTERVAL_WORD
		{
			$$ = FilterMakeNode(context, NODE_IDENTIFIER, @$);
			$$->name = @1;
		}
	| ISO_WORD
		{
			$$ = FilterMakeNode(context, NODE_IDENTIFIER, @$);
			$$->name = @1;
		}
	;

list:
	EMPTY_LIST
		{ $$ = FilterMakeNode(context, NODE_LIST, @$); }
	| '[' items ']'
		{
			$$ = $2;
			$$->span = @$;
		}
	| '[' items ',' ']'
		{
			$$ = $2;
			$$->span = @$;
		}
	;

items:
	expr
		{
			$$ = FilterMakeNode(context, NODE_LIST, @$);
			FilterAppend(context, $$, $1);
		}
	| items ',' expr
		{
			$$ = $1;
			FilterAppend(context, $$, $3);
		}
	;

options:
	%empty
		{ $$ = FilterMakeNode(context, NODE_CALL, @$); }
	| arguments
	| arguments ','
	;

arguments:
	expr
		{
			$$ = FilterMakeNode(context, NODE_CALL, @$);
			FilterAppend(context, $$, $1);
		}
	| arguments ',' expr
		{
			$$ = $1;
			FilterAppend(context, $$, $3);
		}
	;

/* A bound of BETWEEN, whose "and" is none of the conditions'. */
bound:
	INTEGER_LITERAL
		{ $$ = FilterMakeInteger(context, @1); }
	| FLOAT_LITERAL
		{ $$ = FilterMakeFloat(context, @1); }
	| STRING_LITERAL
		{
			$$ = FilterMakeNode(context, NODE_STRING, @$);
			$$->name = @1;
		}
	| '-' bound
		{ $$ = FilterMakeUnary(context, NODE_UNARY, FILTER_MINUS, @$, $2); }
	| '{' identifier '}'
		{
			$$ = FilterMakeNode(context, NODE_TEMPLATE, @$);
			$$->name = @2;
		}
	| '(' expr ')'
		{ $$ = $2; }
	| ISO_WORD STRING_LITERAL
		{
			$$ = FilterMakeNode(context, NODE_ISO, @$);
			$$->name = @2;
		}
	;

%%

/* Errors name the place as Milvus does: line, and column from 0. */
static void
filter_yyerror(FilterSpan *span, FilterContext *context, const char *message)
{
	int			line = 1;
	int			start = 0;

	if (strcmp(message, "memory exhausted") == 0)
		FilterError(context, ERRCODE_STATEMENT_TOO_COMPLEX, "expression is nested too deeply");
	for (int i = 0; i < span->start; i++)
	{
		if (context->text[i] == '\n')
		{
			line++;
			start = i + 1;
		}
	}
	if (context->text[span->start] == '\0')
		FilterError(context, ERRCODE_SYNTAX_ERROR, "line %d:%d mismatched input '<EOF>'", line, span->start - start);
	FilterError(context, ERRCODE_SYNTAX_ERROR, "line %d:%d no viable alternative at input '%s'",
				line, span->start - start, FilterSlice(context, *span));
}
