/*
 * filter_names.c
 *		What names mean: fields, keys of JSON, elements of arrays, sub-fields of struct arrays.
 */
#include "collection/filter/filter_internal.h"

/* The last subscript that an array can have, from 0. */
#define MAX_SUBSCRIPT (PG_INT32_MAX - 1)

const FilterField *
FilterFindField(const FilterField *fields, int nfields, const char *name)
{
	for (int i = 0; i < nfields; i++)
	{
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

/*
 * The field of a name.  A name that is no field's is a key of the dynamic field: then *is_key.
 */
const FilterField *
FilterResolveName(FilterContext *context, const char *name, bool *is_key)
{
	const FilterSchema *schema = context->schema;
	const FilterField *field = FilterFindField(schema->fields, schema->nfields, name);

	*is_key = false;
	if (pg_strcasecmp(name, "null") == 0)
		FILTER_INVALID(context, "NULL literal is not supported in expressions");
	if (field != NULL && !(field->is_dynamic && !schema->enable_dynamic_field))
		return field;
	if (schema->enable_dynamic_field && field == NULL)
	{
		for (int i = 0; i < schema->nfields; i++)
		{
			if (schema->fields[i].is_dynamic)
			{
				*is_key = strcmp(name, "$meta") != 0;
				return &schema->fields[i];
			}
		}
	}
	FILTER_INVALID(context, "field %s not exist", name);
	return NULL;
}

FilterColumn
FilterMakeColumn(const FilterField *field)
{
	FilterColumn column = {0};

	column.field = field;
	column.index = -1;
	return column;
}

/* The type of what a column names; of an element of an array, the element's. */
FilterType
FilterColumnType(const FilterColumn *column)
{
	if (column->is_element || column->index >= 0)
		return column->field->element_type;
	return column->field->type;
}

/* A bare name. */
FilterColumn
FilterNamedColumn(FilterContext *context, FilterSpan name)
{
	bool		is_key;
	const char *string = FilterSlice(context, name);
	FilterColumn column = FilterMakeColumn(FilterResolveName(context, string, &is_key));

	if (is_key)
	{
		column.npath = 1;
		column.path = palloc(sizeof(char *));
		column.path[0] = string;
	}
	else if (column.field->type == FILTER_TEXT)
		FILTER_INVALID(context, "filter on text field (%s) is not supported yet", string);
	else if (column.field->type == FILTER_ARRAY_OF_STRUCT)
		FILTER_INVALID(context, "struct array field %s can only be accessed with its sub-fields", string);
	return column;
}

/* f["a"][0]: keys of JSON, or an index into an array. */
FilterColumn
FilterPathColumn(FilterContext *context, FilterSpan token)
{
	FilterSpan	part = token;
	FilterColumn column;
	const char *name;
	bool		is_key;
	int			room = 4;

	/* the name ends at the first bracket; strings may hold others */
	part.end = token.start + (int) strcspn(context->text + token.start, "[");
	name = FilterSlice(context, part);
	column = FilterMakeColumn(FilterResolveName(context, name, &is_key));
	if (column.field->type != FILTER_JSON && column.field->type != FILTER_ARRAY)
		FILTER_INVALID(context, "%s data type not supported accessed with []", FilterTypeName(column.field->type));
	column.path = palloc(room * sizeof(char *));
	if (is_key)
		column.path[column.npath++] = name;

	while (part.end < token.end)
	{
		const char *key;
		char		first;

		/* from one bracket to the one that closes it */
		part.start = part.end + 1;
		first = context->text[part.start];
		if (first >= '0' && first <= '9')
		{
			part.end = part.start + (int) strspn(context->text + part.start, "0123456789");
			key = FilterSlice(context, part);
			if (column.field->type == FILTER_ARRAY)
			{
				bool		overflows;
				int64		index = FilterReadInteger(context, part, &overflows);

				if (column.index >= 0)
					FILTER_INVALID(context, "array field %s can only be accessed with one index", name);
				column.index = overflows || index > MAX_SUBSCRIPT ? MAX_SUBSCRIPT : index;
			}
		}
		else
		{
			bool		is_raw = first == 'r' || first == 'R';
			char		quote;

			part.end = part.start + (int) strcspn(context->text + part.start, "\"'");
			quote = context->text[part.end++];
			while (context->text[part.end] != quote)
				part.end += context->text[part.end] == '\\' ? 2 : 1;
			part.end++;
			if (column.field->type == FILTER_ARRAY)
				FILTER_INVALID(context, "can only access array field with integer index");
			key = FilterReadString(context, part, is_raw ? ESCAPES_STRICT : ESCAPES_KEPT);
			if (key[0] == '\0')
				FILTER_INVALID(context, "invalid identifier: %s", FilterSlice(context, token));
		}
		if (column.field->type == FILTER_JSON)
		{
			if (column.npath == room)
				column.path = repalloc(column.path, (room *= 2) * sizeof(char *));
			column.path[column.npath++] = key;
			/* the server's stack bears as much of an expression over it */
			if (column.npath > context->max_depth)
				FilterError(context, ERRCODE_STATEMENT_TOO_COMPLEX, "a path is too long, at most %d keys are allowed", context->max_depth);
		}
		part.end++;				/* the closing bracket */
	}
	return column;
}

/* A sub-field of a struct array, both by their names. */
static FilterColumn
struct_column(FilterContext *context, const char *name, const char *sub_name)
{
	const FilterField *parent = FilterFindField(context->schema->fields, context->schema->nfields, name);
	const FilterField *field = parent == NULL || parent->type != FILTER_ARRAY_OF_STRUCT ? NULL :
		FilterFindField(parent->fields, parent->nfields, sub_name);
	FilterColumn column;

	if (field == NULL)
		FILTER_INVALID(context, "field %s[%s] not exist", name, sub_name);
	column = FilterMakeColumn(field);
	column.parent = parent;
	return column;
}

/* s[sub] and s[3][sub] */
FilterColumn
FilterStructColumn(FilterContext *context, FilterNode *node)
{
	FilterSpan	name = node->name;
	FilterSpan	sub = node->name;
	FilterColumn column;

	name.end = name.start + (int) strcspn(context->text + name.start, "[");
	sub.end--;
	while (context->text[sub.end - 1] != '[')
		sub.end--;
	sub.start = sub.end;
	sub.end = node->name.end - 1;
	column = struct_column(context, FilterSlice(context, name), FilterSlice(context, sub));
	if (node->kind == NODE_STRUCT_ELEMENT)
	{
		FilterSpan	digits = {name.end + 1, sub.start - 2};
		bool		overflows;
		int64		index = FilterReadInteger(context, digits, &overflows);

		column.index = overflows || index > MAX_SUBSCRIPT ? MAX_SUBSCRIPT : index;
	}
	return column;
}

/* $[sub] and $, the current element */
FilterColumn
FilterElementColumn(FilterContext *context, FilterNode *node)
{
	FilterColumn column;

	if (node->kind == NODE_SELF)
	{
		if (context->elements == NULL || context->elements->type != FILTER_ARRAY)
			FILTER_INVALID(context, "$ syntax can only be used inside MATCH_* of an array field");
		column = FilterMakeColumn(context->elements);
	}
	else
	{
		FilterSpan	name = {node->name.start + 2, node->name.end - 1};
		const char *sub_name = FilterSlice(context, name);
		const FilterField *field;

		if (context->elements == NULL)
			FILTER_INVALID(context, "$[%s] syntax can only be used inside ElementFilter or MATCH_*", sub_name);
		field = FilterFindField(context->elements->fields, context->elements->nfields, sub_name);
		if (field == NULL)
			FILTER_INVALID(context, "array field not found: %s[%s], error: field %s[%s] not exist",
						   context->elements_name, sub_name, context->elements_name, sub_name);
		column = FilterMakeColumn(field);
		column.parent = context->elements;
	}
	column.is_element = true;
	return column;
}
