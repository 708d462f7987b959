/*
 * fuzz_filter.c
 *		Filter expressions: lexer, parser, checks, rewriting and the SQL that is written.
 *
 * Byte 0: the schema and limits.  The rest: the expression.
 *
 * What must hold: the expression is refused with an SQLSTATE of the filter language, or gives SQL, the same a
 * second time, in which all that is outside quotes is of a fixed vocabulary, parentheses match and parameters are
 * numbered without gaps.  The stack stays small (check_stack_depth of server.c).
 */
#include "server.h"

#include <ctype.h>
#include <stdlib.h>

#include "catalog/pg_type_d.h"
#include "collection/filter/filter.h"
#include "fuzz.h"

#define ALIAS "t\"x"

static const FilterField sub_fields[] = {
	{.name = "si", .column = "sa[si]", .type = FILTER_ARRAY, .element_type = FILTER_INT32},
	{.name = "ss", .column = "sa[ss]", .type = FILTER_ARRAY, .element_type = FILTER_VARCHAR},
	{.name = "sv", .column = "sa[sv]", .type = FILTER_ARRAY_OF_VECTOR, .element_type = FILTER_FLOAT_VECTOR},
};

static const FilterField fields[] = {
	{.name = "i8", .column = "i8", .type = FILTER_INT8},
	{.name = "i16", .column = "i16", .type = FILTER_INT16},
	{.name = "i32", .column = "i32", .type = FILTER_INT32},
	{.name = "i64", .column = "i64", .type = FILTER_INT64, .nullable = true},
	{.name = "f", .column = "f", .type = FILTER_FLOAT},
	{.name = "d", .column = "d", .type = FILTER_DOUBLE},
	{.name = "b", .column = "b", .type = FILTER_BOOL},
	{.name = "s", .column = "s", .type = FILTER_VARCHAR, .max_length = 100, .enable_match = true},
	{.name = "j", .column = "j'\\\"x", .type = FILTER_JSON, .has_json_gin = true},
	{.name = "g", .column = "g", .type = FILTER_GEOMETRY},
	{.name = "ts", .column = "ts", .type = FILTER_TIMESTAMPTZ},
	{.name = "vec", .column = "vec", .type = FILTER_FLOAT_VECTOR},
	{.name = "tx", .column = "tx", .type = FILTER_TEXT, .enable_match = true, .text_config = "pg_catalog.english"},
	{.name = "ai", .column = "ai", .type = FILTER_ARRAY, .element_type = FILTER_INT64},
	{.name = "as", .column = "as", .type = FILTER_ARRAY, .element_type = FILTER_VARCHAR},
	{.name = "sa", .type = FILTER_ARRAY_OF_STRUCT, .nfields = 3, .fields = sub_fields},
	{.name = "$meta", .column = "$meta", .type = FILTER_JSON, .is_dynamic = true},
};

static FilterValue numbers[] = {
	{.kind = FILTER_VALUE_INT, .integer = 3},
	{.kind = FILTER_VALUE_INT, .integer = 1},
};
static FilterValue mixed[] = {
	{.kind = FILTER_VALUE_STRING, .string = "it's \\ \"x\""},
	{.kind = FILTER_VALUE_DOUBLE, .number = 1.5},
	{.kind = FILTER_VALUE_ARRAY, .count = 2, .items = numbers},
};

static const FilterTemplate templates[] = {
	{"i", {.kind = FILTER_VALUE_INT, .integer = PG_INT64_MIN}},
	{"d", {.kind = FILTER_VALUE_DOUBLE, .number = 0.5}},
	{"b", {.kind = FILTER_VALUE_BOOL, .boolean = true}},
	{"s", {.kind = FILTER_VALUE_STRING, .string = "$1 '; DROP TABLE t; -- \\"}},
	{"l", {.kind = FILTER_VALUE_ARRAY, .count = 2, .items = numbers}},
	{"m", {.kind = FILTER_VALUE_ARRAY, .count = 3, .items = mixed}},
	{"e", {.kind = FILTER_VALUE_ARRAY}},
};

/* Every word that SQL has outside quotes. */
static const char *const words[] = {
	"ALL", "AND", "ANY", "AS", "CASE", "COLLATE", "E", "ELSE", "END", "EXISTS", "FROM", "IS", "NOT", "NULL", "OPERATOR",
	"OR", "ORDINALITY", "ROWS", "SELECT", "THEN", "TRUE", "WHEN", "WHERE", "WITH", "bool", "cardinality", "count",
	"div", "f0", "f1", "f2", "false", "filter_json_contains", "filter_match_count", "filter_match_query",
	"filter_phrase_slop", "float4", "float8", "geography", "int2", "int4", "int8", "interval", "jsonb",
	"jsonb_array_length", "jsonb_typeof", "milvus", "milvus_e", "n", "numeric", "pg_catalog", "phraseto_tsquery",
	"plainto_tsquery", "random", "regconfig", "st_contains", "st_crosses", "st_dwithin", "st_equals",
	"st_geomfromtext", "st_intersects", "st_isvalid", "st_overlaps", "st_setsrid", "st_touches", "st_within",
	"starts_with", "text", "timestamp", "timestamptz", "timezone", "to_tsvector", "true", "trunc", "unnest"
};

typedef struct Input
{
	FilterSchema schema;
	FilterOptions options;
	char	   *text;
	FilterSQL  *result;
} Input;

static void
require(bool condition)
{
	if (!condition)
		abort();
}

static const char *
postgis_schema(void)
{
	return "geo\"";
}

static void
compile(void *arg)
{
	Input	   *input = arg;

	input->result = FilterCompile(&input->schema, input->text, &input->options);
}

/* From an opening quote to after the one that closes it. */
static const char *
skip_quoted(const char *p, bool escapes)
{
	char		quote = *p++;

	for (;; p++)
	{
		require(*p != '\0');
		if (escapes && *p == '\\')
		{
			require(p[1] == '\\');
			p++;
		}
		else if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p + 1;
	}
}

/* All that is not a constant or a column is ours. */
static void
check_sql(const Input *input, const char *sql)
{
	const char *p = sql;
	int			open = 0;
	bool		seen[64] = {false};
	int			nseen = 0;

	while (*p != '\0')
	{
		if (*p == '\'')
		{
			bool		escapes = p > sql && p[-1] == 'E';
			const char *end = skip_quoted(p, escapes);

			/* a backslash in a plain literal would depend on a setting */
			require(escapes || memchr(p, '\\', end - p) == NULL);
			p = end;
		}
		else if (*p == '"')
			p = skip_quoted(p, false);
		else if (*p == '$')
		{
			int			number = atoi(p + 1) - input->options.first_param;

			require(number >= 0 && number < input->result->nparams);
			if (number < 64 && !seen[number])
			{
				seen[number] = true;
				nseen++;
			}
			for (p++; isdigit((unsigned char) *p); p++)
				;
			require(strncmp(p, "::pg_catalog.", 13) == 0);
		}
		else if (isalpha((unsigned char) *p) || *p == '_')
		{
			const char *start = p;
			size_t		i = 0;

			while (isalnum((unsigned char) *p) || *p == '_')
				p++;
			while (i < sizeof(words) / sizeof(words[0]) &&
				   (strlen(words[i]) != (size_t) (p - start) || strncmp(words[i], start, p - start) != 0))
				i++;
			require(i < sizeof(words) / sizeof(words[0]));
		}
		else
		{
			require(strchr(" .,:()[]=<>+-*/%&|#@~!", *p) != NULL || isdigit((unsigned char) *p));
			/* no comment begins */
			require(!(*p == '-' && p[1] == '-' && p[2] != '>') && !(*p == '/' && p[1] == '*'));
			open += (*p == '(') - (*p == ')');
			require(open >= 0);
			p++;
		}
	}
	require(open == 0);
	require(sql != input->result->sql || nseen == input->result->nparams || input->result->nparams > 64 || input->result->element_sql != NULL);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {.schema = {sizeof(fields) / sizeof(fields[0]), fields, true}};
	int			sqlstate;

	if (size < 1)
		return 0;
	input.schema.enable_dynamic_field = !(data[0] & 1);
	input.options.alias = ALIAS;
	input.options.first_param = 1 + (data[0] >> 1 & 3);
	input.options.max_depth = data[0] & 8 ? 10 : 0;
	input.options.max_length = data[0] & 16 ? 50 : 0;
	input.options.is_utf8 = !(data[0] & 32);
	input.options.find_postgis = data[0] & 64 ? NULL : postgis_schema;
	input.options.timezone = data[0] & 128 ? "Asia/Shanghai" : NULL;
	input.options.ntemplates = sizeof(templates) / sizeof(templates[0]);
	input.options.templates = templates;
	/* a text of SQL has no zero byte */
	input.text = pnstrdup((const char *) data + 1, size - 1);

	sqlstate = ServerTry(compile, &input);
	if (sqlstate != 0)
		require(sqlstate == ERRCODE_SYNTAX_ERROR || sqlstate == ERRCODE_INVALID_PARAMETER_VALUE ||
				sqlstate == ERRCODE_STATEMENT_TOO_COMPLEX || sqlstate == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
				(sqlstate == ERRCODE_FEATURE_NOT_SUPPORTED && input.options.find_postgis == NULL));
	else
	{
		FilterSQL  *first = input.result;

		check_sql(&input, first->sql);
		if (first->element_sql != NULL)
			check_sql(&input, first->element_sql);
		require(ServerTry(compile, &input) == 0);
		require(strcmp(first->sql, input.result->sql) == 0 && first->nparams == input.result->nparams);
	}
	ServerReset();
	return 0;
}
