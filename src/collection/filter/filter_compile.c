/*
 * filter_compile.c
 *		The way from text to SQL.
 */
#include "collection/filter/filter_internal.h"

static void
begin(FilterContext *context, const FilterSchema *schema, const char *text, const FilterOptions *options)
{
	int			max_length = options->max_length > 0 ? options->max_length : FILTER_MAX_LENGTH;

	memset(context, 0, sizeof(*context));
	context->schema = schema;
	context->options = options;
	context->text = text;
	context->max_depth = options->max_depth > 0 ? options->max_depth : FILTER_MAX_DEPTH;
	if (strlen(text) > (size_t) max_length)
		FilterError(context, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "expression has %zu bytes, at most %d are allowed",
					strlen(text), max_length);
}

FilterSQL *
FilterCompile(const FilterSchema *schema, const char *text, const FilterOptions *options)
{
	FilterSQL  *result = palloc0(sizeof(FilterSQL));
	FilterContext context;

	begin(&context, schema, text, options);
	/* no text is no condition */
	if (text[strspn(text, " \t\r\n\v\f")] == '\0')
	{
		result->sql = "true";
		result->is_true = true;
		return result;
	}
	FilterWriteSQL(&context, FilterNormalize(&context, FilterCheck(&context, FilterParse(&context))), result);
	return result;
}

char *
FilterDynamicKey(const FilterSchema *schema, const char *path, const FilterOptions *options)
{
	FilterContext context;
	FilterColumn column;
	FilterType	type;

	begin(&context, schema, path, options);
	FilterCheckPath(&context, FilterParse(&context), &column, &type);
	return column.field->is_dynamic && column.npath == 1 ? pstrdup(column.path[0]) : NULL;
}

char *
FilterPathSQL(const FilterSchema *schema, const char *path, const FilterOptions *options, FilterType *type)
{
	FilterContext context;
	FilterColumn column;
	StringInfoData sql;

	begin(&context, schema, path, options);
	FilterCheckPath(&context, FilterParse(&context), &column, type);
	initStringInfo(&sql);
	FilterWriteColumn(&context, &sql, &column);
	return sql.data;
}
