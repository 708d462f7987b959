/*
 * filter_sql.c
 *		The normalized tree into SQL.
 *
 * What is written is TRUE for the rows that match; it may be FALSE or NULL for the others (filter_rewrite.c).
 * Every function, operator and type is qualified.
 */
#include "collection/filter/filter_sql.h"

#include <math.h>

#include "miscadmin.h"

/* The longest list of values that is written as so many containment tests, for a GIN index over JSON. */
#define MAX_CONTAINMENTS 32

static void write_cond(FilterContext *context, StringInfo sql, FilterCond *cond);

/* ---- comparisons ---- */

static bool
is_ordering(FilterOp op)
{
	return op != FILTER_EQ && op != FILTER_NE;
}

/* A key's value.  One of another type, or none, is unknown: only != and orderings need to say so. */
void
FilterWriteJsonComparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, const FilterValue *value)
{
	appendStringInfoChar(sql, '(');
	if (op == FILTER_EQ && value->kind != FILTER_VALUE_ARRAY && FilterHasContainment(column))
	{
		FilterWriteContainment(context, sql, column, value);
		appendStringInfoChar(sql, ')');
		return;
	}
	/* jsonb orders strings by the database's collation, Milvus by bytes */
	if (is_ordering(op) && value->kind == FILTER_VALUE_STRING)
	{
		FilterWritePath(context, sql, column, true);
		appendStringInfoString(sql, " COLLATE pg_catalog.\"C\"");
		FilterWriteOperator(sql, FilterComparisonName(op));
		FilterWriteConstant(context, sql, &filter_text, value);
	}
	else
	{
		FilterWritePath(context, sql, column, false);
		FilterWriteOperator(sql, FilterComparisonName(op));
		FilterWriteConstant(context, sql, &filter_jsonb, value);
	}
	if (op != FILTER_EQ)
	{
		appendStringInfoString(sql, " AND ");
		FilterWriteJsonType(context, sql, column, FilterJsonType(value));
	}
	appendStringInfoChar(sql, ')');
}

/* A whole array with a list. */
static void
write_array_comparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, const FilterValue *list)
{
	const FilterSqlType *type = FilterScalarType(column->field->element_type);
	bool		cast = false;

	for (int i = 0; i < list->count; i++)
	{
		if (!FilterFits(type, &list->items[i]))
		{
			FilterWriteCertain(context, sql, column, op == FILTER_NE);
			return;
		}
		/* floats beside integers */
		if (FilterIsInteger(column->field->element_type) && list->items[i].kind == FILTER_VALUE_DOUBLE)
			cast = true;
	}
	appendStringInfoChar(sql, '(');
	FilterWriteBase(context, sql, column);
	if (cast)
	{
		appendStringInfoString(sql, "::pg_catalog.float8[]");
		type = &filter_float8;
	}
	FilterWriteOperator(sql, FilterComparisonName(op));
	FilterWriteArray(context, sql, type, list);
	appendStringInfoChar(sql, ')');
}

void
FilterWriteComparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, const FilterValue *value)
{
	FilterType	type = FilterColumnType(column);

	if (type == FILTER_JSON)
	{
		FilterWriteJsonComparison(context, sql, column, op, value);
		return;
	}
	if (type == FILTER_ARRAY)
	{
		write_array_comparison(context, sql, column, op, value);
		return;
	}
	appendStringInfoChar(sql, '(');
	FilterWriteBase(context, sql, column);
	if (FilterIsString(type) && is_ordering(op))
		appendStringInfoString(sql, " COLLATE pg_catalog.\"C\"");
	FilterWriteOperator(sql, FilterComparisonName(op));
	FilterWriteConstant(context, sql, FilterComparisonType(type, value), value);
	appendStringInfoChar(sql, ')');
}

static void
write_in(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	const FilterColumn *column = &cond->column;
	FilterType	type = FilterColumnType(column);
	const FilterSqlType *own = FilterScalarType(type);
	FilterValue list = cond->value;
	int			kept = 0;

	/* a value that the column cannot have is as good as none */
	for (int i = 0; i < list.count; i++)
	{
		if (FilterFits(own, &list.items[i]))
			list.items[kept++] = list.items[i];
	}
	list.count = kept;
	if (list.count == 0 && !list.is_template)
	{
		/* in JSON a key that is not there, or null, is unknown */
		if (cond->negated && column->npath > 0)
		{
			appendStringInfoChar(sql, '(');
			FilterWritePath(context, sql, column, false);
			FilterWriteOperator(sql, "<>");
			appendStringInfoString(sql, "'null'::pg_catalog.jsonb)");
		}
		else
			FilterWriteCertain(context, sql, column, cond->negated);
		return;
	}
	if (list.count == 1 && !list.is_template)
	{
		FilterWriteComparison(context, sql, column, cond->negated ? FILTER_NE : FILTER_EQ, &list.items[0]);
		return;
	}
	if (!cond->negated && !list.is_template && list.count <= MAX_CONTAINMENTS && FilterHasContainment(column))
	{
		appendStringInfoChar(sql, '(');
		for (int i = 0; i < list.count; i++)
		{
			if (i > 0)
				appendStringInfoString(sql, " OR ");
			FilterWriteJsonComparison(context, sql, column, FILTER_EQ, &list.items[i]);
		}
		appendStringInfoChar(sql, ')');
		return;
	}
	appendStringInfoChar(sql, '(');
	FilterWritePath(context, sql, column, false);
	appendStringInfo(sql, " OPERATOR(pg_catalog.%s) %s (", cond->negated ? "<>" : "=", cond->negated ? "ALL" : "ANY");
	FilterWriteArray(context, sql, own, &list);
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
			FilterWritePath(context, sql, column, false);
			if (type == FILTER_JSON)
			{
				FilterWriteOperator(sql, "<>");
				appendStringInfoString(sql, "'null'::pg_catalog.jsonb)");
			}
			else
				appendStringInfoString(sql, " IS NOT NULL)");
			return;
		}
		for (int i = 0; i < list.count; i++)
		{
			const char *name = FilterJsonType(&list.items[i]);
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
			FilterWriteJsonType(context, sql, column, types[i]);
		}
		appendStringInfoChar(sql, ')');
	}
	appendStringInfoChar(sql, ')');
}

/* ---- lengths, two columns ---- */

static void
write_length(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	appendStringInfoChar(sql, '(');
	if (cond->column.field->type == FILTER_JSON)
	{
		appendStringInfoString(sql, "CASE WHEN ");
		FilterWriteJsonType(context, sql, &cond->column, "array");
		appendStringInfoString(sql, " THEN pg_catalog.jsonb_array_length(");
		FilterWritePath(context, sql, &cond->column, false);
		appendStringInfoString(sql, ") END");
	}
	else
	{
		appendStringInfoString(sql, "pg_catalog.cardinality(");
		FilterWriteBase(context, sql, &cond->column);
		appendStringInfoChar(sql, ')');
	}
	FilterWriteOperator(sql, FilterComparisonName(cond->op));
	FilterWriteConstant(context, sql, FilterFits(&filter_int4, &cond->value) ? &filter_int4 : &filter_int8, &cond->value);
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
	FilterWriteBase(context, sql, &cond->column);
	appendStringInfoString(sql, cast);
	if (FilterIsString(left) && is_ordering(cond->op))
		appendStringInfoString(sql, " COLLATE pg_catalog.\"C\"");
	FilterWriteOperator(sql, FilterComparisonName(cond->op));
	FilterWriteBase(context, sql, &cond->column2);
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
		FilterWriteLiteral(sql, has_offset ? string : psprintf("%s+00:00", string));
		appendStringInfoString(sql, "::pg_catalog.timestamptz");
		return;
	}
	appendStringInfoString(sql, "pg_catalog.timezone(");
	FilterWriteLiteral(sql, zone);
	appendStringInfoString(sql, "::pg_catalog.text, ");
	FilterWriteLiteral(sql, string);
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
	FilterWriteBase(context, sql, &cond->column);
	if (stays)
	{
		appendStringInfoChar(sql, ')');
		FilterWriteOperator(sql, FilterArithmeticName(cond->arith));
		FilterWriteLiteral(sql, cond->value2.string);
		appendStringInfoString(sql, "::pg_catalog.interval)");
	}
	FilterWriteOperator(sql, FilterComparisonName(cond->op));
	if (moves)
		appendStringInfoChar(sql, '(');
	write_timestamp(context, sql, cond->value.string);
	if (moves)
	{
		FilterWriteOperator(sql, cond->arith == FILTER_ADD ? "-" : "+");
		FilterWriteLiteral(sql, cond->value2.string);
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
		FilterWritePath(context, sql, &cond->column, true);
	else
		FilterWriteBase(context, sql, &cond->column);
	if (cond->kind == COND_LIKE)
		FilterWriteOperator(sql, cond->negated ? "!~~" : "~~");
	else
		FilterWriteOperator(sql, cond->negated ? "!~" : "~");
	FilterWriteConstant(context, sql, &filter_text, &cond->value);
	if (is_json)
	{
		appendStringInfoString(sql, " AND ");
		FilterWriteJsonType(context, sql, &cond->column, "string");
	}
	appendStringInfoChar(sql, ')');
}

static void
write_prefix(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	appendStringInfo(sql, "(%spg_catalog.starts_with(", cond->negated ? "NOT " : "");
	FilterWriteBase(context, sql, &cond->column);
	appendStringInfoString(sql, ", ");
	if (cond->integer)
		FilterWriteBase(context, sql, &cond->column2);
	else
		FilterWriteConstant(context, sql, &filter_text, &cond->value);
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
	if (FilterHasContainment(column))
		FilterWriteContainment(context, sql, column, &list);
	else
	{
		FilterWritePath(context, sql, column, false);
		FilterWriteOperator(sql, "@>");
		FilterWriteConstant(context, sql, &filter_jsonb, &list);
	}
	if (value->kind == FILTER_VALUE_ARRAY)
	{
		appendStringInfoString(sql, " AND milvus.filter_json_contains(");
		FilterWritePath(context, sql, column, false);
		appendStringInfoString(sql, ", ");
		FilterWriteConstant(context, sql, &filter_jsonb, &item);
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
		FilterWriteJsonType(context, sql, &cond->column, "array");
	if (cond->negated)
		appendStringInfoString(sql, " AND NOT (");
	if (cond->value.count == 0)
	{
		if (cond->negated || is_any)
			appendStringInfoString(sql, is_any ? "false" : "true");
	}
	else if (scalars && !is_any)
	{
		if (FilterHasContainment(&cond->column))
			FilterWriteContainment(context, sql, &cond->column, &cond->value);
		else
		{
			FilterWritePath(context, sql, &cond->column, false);
			FilterWriteOperator(sql, "@>");
			FilterWriteConstant(context, sql, &filter_jsonb, &cond->value);
		}
	}
	else if (scalars && (cond->value.is_template || cond->value.count > MAX_CONTAINMENTS))
	{
		/* one parameter, whatever the number of values; a list too long for a condition each */
		FilterValue list = {FILTER_VALUE_ARRAY};

		list.is_template = cond->value.is_template;
		list.count = cond->value.count;
		list.items = palloc0(list.count * sizeof(FilterValue));
		for (int i = 0; i < list.count; i++)
		{
			list.items[i].kind = FILTER_VALUE_ARRAY;
			list.items[i].count = 1;
			list.items[i].items = &cond->value.items[i];
		}
		FilterWritePath(context, sql, &cond->column, false);
		appendStringInfoString(sql, " OPERATOR(pg_catalog.@>) ANY (");
		FilterWriteArray(context, sql, &filter_jsonb, &list);
		appendStringInfoChar(sql, ')');
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
	const FilterSqlType *type = FilterScalarType(element_type);
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
		if (FilterFits(type, &item) && !(FilterIsInteger(element_type) && item.kind == FILTER_VALUE_DOUBLE))
			list.items[kept++] = item;
	}
	if ((!is_any && kept < list.count) || (is_any && kept == 0 && !list.is_template))
	{
		FilterWriteCertain(context, sql, &cond->column, cond->negated);
		return;
	}
	list.count = kept;
	appendStringInfo(sql, "(%s", cond->negated ? "NOT (" : "");
	FilterWriteBase(context, sql, &cond->column);
	FilterWriteOperator(sql, is_any ? "&&" : "@>");
	FilterWriteArray(context, sql, type, &list);
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
	FilterWriteLiteral(&name, config);
	appendStringInfoString(&name, "::pg_catalog.regconfig");
	initStringInfo(&document);
	appendStringInfo(&document, "pg_catalog.to_tsvector(%s, ", name.data);
	FilterWriteBase(context, &document, &cond->column);
	appendStringInfoChar(&document, ')');

	appendStringInfo(sql, "(%s", cond->negated ? "NOT (" : "");
	appendStringInfoString(sql, document.data);
	FilterWriteOperator(sql, "@@");
	appendStringInfo(sql, "%s(%s, ", is_text ? "milvus.filter_match_query" :
					 recheck ? "pg_catalog.plainto_tsquery" : "pg_catalog.phraseto_tsquery", name.data);
	FilterWriteConstant(context, sql, &filter_text, &cond->value);
	appendStringInfoChar(sql, ')');
	if (recheck)
	{
		appendStringInfo(sql, " AND milvus.filter_%s(%s, %s, ", is_text ? "match_count" : "phrase_slop", document.data, name.data);
		FilterWriteConstant(context, sql, &filter_text, &cond->value);
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
	FilterWriteIdentifier(&prefix, schema);
	appendStringInfo(sql, "(%s%s.%s(", cond->negated ? "NOT " : "", prefix.data, names[cond->op2]);
	if (cond->op2 == SPATIAL_DWITHIN)
	{
		/* metres on a sphere */
		appendStringInfo(sql, "%s.geography(%s.st_setsrid(", prefix.data, prefix.data);
		FilterWriteBase(context, sql, &cond->column);
		appendStringInfo(sql, ", 4326)), %s.geography(%s.st_geomfromtext(", prefix.data, prefix.data);
		FilterWriteConstant(context, sql, &filter_text, &cond->value);
		appendStringInfoString(sql, ", 4326)), ");
		FilterWriteConstant(context, sql, &filter_float8, &cond->value2);
		appendStringInfoString(sql, ", false");
	}
	else
	{
		FilterWriteBase(context, sql, &cond->column);
		if (cond->op2 != SPATIAL_IS_VALID)
		{
			appendStringInfo(sql, ", %s.st_geomfromtext(", prefix.data);
			FilterWriteConstant(context, sql, &filter_text, &cond->value);
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
			used[FilterFieldNumber(columns[i]->parent, columns[i]->field)] = true;
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
		FilterWriteBase(context, sql, &column);
		appendStringInfoChar(sql, ')');
		appendStringInfo(&names, "f%d, ", i);
	}
	appendStringInfo(sql, ") WITH ORDINALITY AS milvus_e(%sn)", names.data);
}

/*
 * An element that equals a constant: then the array contains it, which an index over the array answers.  Writes that
 * as a condition if cond is one; returns whether it was.
 */
static bool
write_contained(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	FilterColumn column = cond->column;
	bool		is_in = cond->kind == COND_IN && !cond->negated && cond->value.count > 0;
	FilterCond	contains = {COND_CONTAINS};
	FilterValue list = {FILTER_VALUE_ARRAY};

	if (!is_in && !(cond->kind == COND_COMPARE && cond->op == FILTER_EQ))
		return false;
	if (column.field == NULL || !column.is_element)
		return false;
	column.is_element = false;
	contains.column = column;
	contains.op2 = CONTAINS_ANY;
	contains.value = cond->value;
	if (!is_in)
	{
		contains.op2 = CONTAINS_ONE;
		list.count = 1;
		list.items = &cond->value;
		list.is_template = cond->value.is_template;
		contains.value = list;
	}
	write_contains(context, sql, &contains);
	return true;
}

static void
write_elements(FilterContext *context, StringInfo sql, FilterCond *cond)
{
	FilterColumn first = {0};
	bool		counts = cond->op2 == MATCH_LEAST || cond->op2 == MATCH_MOST || cond->op2 == MATCH_EXACT;
	bool		needs_null = cond->op2 != ELEMENT_FILTER && (cond->op2 != MATCH_ANY || cond->negated);
	bool		closing = false;
	const char *op;

	if (!cond->negated && (cond->op2 == ELEMENT_FILTER || cond->op2 == MATCH_ANY))
	{
		FilterCond *inner = cond->items[0];

		if (write_contained(context, sql, inner))
			return;
		if (inner->kind == COND_AND)
		{
			/* it must contain them, and one element must match as a whole */
			appendStringInfoChar(sql, '(');
			for (int i = 0; i < inner->nitems; i++)
			{
				if (write_contained(context, sql, inner->items[i]))
					appendStringInfoString(sql, " AND ");
			}
			closing = true;
		}
	}
	first.field = cond->field->type == FILTER_ARRAY ? cond->field : &cond->field->fields[0];
	first.index = -1;
	appendStringInfoChar(sql, '(');
	/* of a null array nothing is known, though its elements are none */
	if (needs_null)
	{
		FilterWriteBase(context, sql, &first);
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
	appendStringInfoString(sql, closing ? "))" : ")");
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
			FilterWriteComparison(context, sql, &cond->column, cond->op, &cond->value);
			break;
		case COND_IN:
			write_in(context, sql, cond);
			break;
		case COND_ARITHMETIC:
			FilterWriteArithmetic(context, sql, cond);
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
			FilterWriteBase(context, sql, &cond->column);
			appendStringInfo(sql, " IS %sNULL)", cond->negated ? "NOT " : "");
			break;
		case COND_EXISTS:
			appendStringInfoChar(sql, '(');
			FilterWritePath(context, sql, &cond->column, false);
			if (cond->negated)
			{
				appendStringInfoString(sql, " IS NULL OR ");
				FilterWritePath(context, sql, &cond->column, false);
			}
			FilterWriteOperator(sql, cond->negated ? "=" : "<>");
			appendStringInfoString(sql, "'null'::pg_catalog.jsonb)");
			break;
		case COND_CONTAINS:
			write_contains(context, sql, cond);
			break;
		case COND_EMPTY:
			appendStringInfoChar(sql, '(');
			FilterWriteBase(context, sql, &cond->column);
			FilterWriteOperator(sql, cond->negated ? "<>" : "=");
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
			FilterWriteOperator(sql, "<");
			FilterWriteConstant(context, sql, &filter_float8, &cond->value);
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
