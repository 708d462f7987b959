/*
 * query.c
 *		milvus.query and milvus.explain_filter.
 *
 * Rows are in the order of the key unless the caller asks for another, so that limit and
 * offset mean the same rows each time.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "guc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(milvus_query);
PG_FUNCTION_INFO_V1(milvus_explain_filter);

#define JSONB_ARG(n) (PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n))
#define LIST_ARG(n) (PG_ARGISNULL(n) ? NIL : TextArrayToList(PG_GETARG_ARRAYTYPE_P(n)))

/* ---- aggregates ---- */

typedef struct Answer
{
	ReturnSetInfo *rsinfo;
	const Output *output;		/* of plain queries, else NULL */
	List	   *columns;		/* names of the others' columns */
	const char *timezone;
	MemoryContext context;		/* of one row */
} Answer;

/*
 * "count(price)" in its two parts; false when it is no aggregate.
 */
static bool
split_aggregate(const char *text, char **function, char **argument)
{
	static const char *const functions[] = {"count", "sum", "avg", "min", "max"};
	const char *open = strchr(text, '(');
	int			length = strlen(text);

	if (open == NULL || length == 0 || text[length - 1] != ')')
		return false;
	for (int i = 0; i < (int) lengthof(functions); i++)
		if ((int) strlen(functions[i]) == open - text && pg_strncasecmp(text, functions[i], open - text) == 0)
		{
			const char *start = open + 1 + strspn(open + 1, " \t");
			int			n = text + length - 1 - start;

			while (n > 0 && strchr(" \t", start[n - 1]) != NULL)
				n--;
			*function = pstrdup(functions[i]);
			*argument = pnstrdup(start, n);
			return true;
		}
	return false;
}

/*
 * "pg_catalog.sum(t.price)".
 */
static void
append_aggregate(const Collection *collection, StringInfo sql, const char *function, const char *argument, const char *timezone)
{
	MilvusType	type;
	Oid			typid;
	char	   *value;
	bool		is_order = strcmp(function, "min") == 0 || strcmp(function, "max") == 0;
	bool		is_count = strcmp(function, "count") == 0;

	if (is_count && strcmp(argument, "*") == 0)
	{
		appendStringInfoString(sql, "pg_catalog.count(*)");
		return;
	}
	if (CollectionFindField(collection, argument) == NULL)
		MilvusInvalidParameter("field %s not exist", argument);
	value = FieldPathSql(collection, argument, timezone, &type, &typid);
	if (!is_count && !MilvusTypeIsInteger(type) && !MilvusTypeIsFloat(type) &&
		!(is_order && (type == MILVUS_VARCHAR || type == MILVUS_TIMESTAMPTZ)))
		MilvusInvalidParameter("aggregation operator %s does not support data type %s", function, MilvusTypeName(type));
	/* sums of Milvus are int64 and double */
	if (strcmp(function, "sum") == 0)
		appendStringInfo(sql, "pg_catalog.sum(%s%s)", value, MilvusTypeIsFloat(type) ? "::pg_catalog.float8" : "");
	else if (strcmp(function, "avg") == 0)
		appendStringInfo(sql, "pg_catalog.avg(%s::pg_catalog.float8)", value);
	else
		appendStringInfo(sql, "pg_catalog.%s(%s%s)", function, value, is_order && type == MILVUS_VARCHAR ? " COLLATE pg_catalog.\"C\"" : "");
}

/* ---- rows ---- */

static bool
take_row(TupleTableSlot *slot, void *arg)
{
	Answer	   *answer = arg;
	MemoryContext before;
	Datum		value;
	bool		isnull = false;

	MemoryContextReset(answer->context);
	before = MemoryContextSwitchTo(answer->context);
	if (answer->output != NULL)
		value = JsonbPGetDatum(OutputEntity(answer->output, slot->tts_values + 1, slot->tts_isnull + 1));
	else
	{
		JsonbParseState *state = NULL;
		int			column = 0;
		ListCell   *cell;

		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		foreach(cell, answer->columns)
		{
			OutputPushKey(&state, lfirst(cell));
			OutputPushValue(&state, WJB_VALUE, slot->tts_values[column], slot->tts_isnull[column],
							TupleDescAttr(slot->tts_tupleDescriptor, column)->atttypid, answer->timezone);
			column++;
		}
		value = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
	}
	MemoryContextSwitchTo(before);
	tuplestore_putvalues(answer->rsinfo->setResult, answer->rsinfo->setDesc, &value, &isnull);
	return true;
}

/* ---- the function ---- */

/*
 * ERROR for limit and offset that a query cannot have.
 */
static void
check_window(bool has_limit, int64 limit, int64 offset)
{
	if (offset < 0)
		MilvusInvalidParameter("invalid max query result window, offset [" INT64_FORMAT "] is invalid, should be gte than 0", offset);
	if (!has_limit)
		return;
	if (limit <= 0)
		MilvusInvalidParameter("invalid max query result window, limit [" INT64_FORMAT "] is invalid, should be greater than 0", limit);
	if (offset + limit > milvus_settings.max_result_window)
		MilvusInvalidParameter("invalid max query result window, (offset+limit) should be in range [1, %d], but got " INT64_FORMAT,
							   milvus_settings.max_result_window, offset + limit);
}

static bool
is_blank(const char *text)
{
	return text == NULL || text[strspn(text, " \t\r\n\v\f")] == '\0';
}

/*
 * The select list of groups and aggregates, in `columns` its names, in `group_sql` and `order_sql` the groups;
 * false when it is a plain query.
 */
static bool
append_aggregates(const Collection *collection, List *outputs, List *groups, const char *timezone, StringInfo sql,
				  StringInfo group_sql, StringInfo order_sql, List **columns)
{
	ListCell   *cell;
	bool		any = groups != NIL;
	bool		first = true;

	foreach(cell, outputs)
	{
		char	   *function;
		char	   *argument;

		any |= split_aggregate(lfirst(cell), &function, &argument);
	}
	if (!any)
		return false;
	foreach(cell, groups)
	{
		CollectionField *field = CollectionFindField(collection, lfirst(cell));

		if (field == NULL)
			MilvusInvalidParameter("field %s not exist", (char *) lfirst(cell));
		if (!MilvusTypeIsInteger(field->type) && field->type != MILVUS_VARCHAR && field->type != MILVUS_TIMESTAMPTZ)
			MilvusInvalidParameter("group by field %s has unsupported data type %s", field->name, MilvusTypeName(field->type));
		appendStringInfo(order_sql, "%s%s%s", group_sql->len > 0 ? ", " : "", ColumnSql(field->column),
						 field->type == MILVUS_VARCHAR ? " COLLATE pg_catalog.\"C\"" : "");
		appendStringInfo(group_sql, "%s%s", group_sql->len > 0 ? ", " : "", ColumnSql(field->column));
	}
	foreach(cell, outputs)
	{
		char	   *name = lfirst(cell);
		char	   *function;
		char	   *argument;

		appendStringInfoString(sql, first ? "" : ", ");
		first = false;
		*columns = lappend(*columns, name);
		if (split_aggregate(name, &function, &argument))
			append_aggregate(collection, sql, function, argument, timezone);
		else
		{
			ListCell   *group;
			bool		found = false;

			foreach(group, groups)
				found |= strcmp(lfirst(group), name) == 0;
			if (!found && groups == NIL)
				MilvusInvalidParameter("count(*) and other aggregates cannot be mixed with the field %s without group_by_fields", name);
			if (!found)
				MilvusInvalidParameter("output field %s is neither an aggregate nor a group_by field", name);
			appendStringInfoString(sql, ColumnSql(CollectionGetField(collection, name)->column));
		}
	}
	/* groups alone: their values */
	if (outputs == NIL)
	{
		appendStringInfoString(sql, group_sql->data);
		*columns = list_copy(groups);
	}
	return true;
}

/*
 * " ORDER BY ..." of keys of rows, or of the answer's columns where rows are grouped.
 */
static void
append_order(const Collection *collection, List *keys, List *columns, const char *timezone, StringInfo sql)
{
	ListCell   *cell;
	bool		first = true;

	foreach(cell, keys)
	{
		SortKey    *key;
		char	   *text = lfirst(cell);
		char	   *colon = strchr(text, ':');
		char	   *name = colon != NULL ? pnstrdup(text, colon - text) : text;
		char	   *function;
		char	   *argument;

		appendStringInfoString(sql, first ? " ORDER BY " : ", ");
		first = false;
		if (columns != NIL)
		{
			int			position = 0;
			int			found = 0;
			ListCell   *column;

			foreach(column, columns)
			{
				position++;
				if (strcmp(lfirst(column), name) == 0)
					found = position;
			}
			if (found == 0)
				MilvusInvalidParameter("order_by field %s should be one of the output fields", name);
			if (split_aggregate(name, &function, &argument))
			{
				/* of an aggregate only the direction is read */
				key = SortKeyRead(collection, psprintf("%s%s", collection->primary != NULL ? collection->primary->name : name, colon != NULL ? colon : ""), timezone);
				appendStringInfo(sql, "%d", found);
			}
			else
			{
				key = SortKeyRead(collection, text, timezone);
				appendStringInfo(sql, "%s%s", key->sql, OidIsValid(key->collation) ? " COLLATE pg_catalog.\"C\"" : "");
			}
		}
		else
		{
			key = SortKeyRead(collection, text, timezone);
			appendStringInfo(sql, "%s%s", key->sql, OidIsValid(key->collation) ? " COLLATE pg_catalog.\"C\"" : "");
		}
		appendStringInfo(sql, " %s NULLS %s", key->descending ? "DESC" : "ASC", key->nulls_first ? "FIRST" : "LAST");
	}
}

/*
 * query(collection_name, filter, output_fields, filter_params, ids, partition_names, limit, offset, order_by_fields,
 *		group_by_fields, consistency_level, guarantee_timestamp, timezone, db_name)
 */
static void
query(FunctionCallInfo fcinfo, SearchScope *scope)
{
	Where		where = {0};
	List	   *outputs = LIST_ARG(2);
	List	   *orders = LIST_ARG(8);
	List	   *groups = LIST_ARG(9);
	bool		has_limit = !PG_ARGISNULL(6);
	int64		limit = has_limit ? PG_GETARG_INT32(6) : 0;
	int64		offset = PG_ARGISNULL(7) ? 0 : PG_GETARG_INT32(7);
	const Collection *collection;
	StringInfoData sql;
	StringInfoData group_sql;
	StringInfoData order_sql;
	Params		params = {0};
	Answer		answer = {.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo};
	bool		is_aggregate;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	where.filter = TEXT_ARG(1);
	where.filter_params = JSONB_ARG(3);
	where.ids = JSONB_ARG(4);
	where.partition_names = LIST_ARG(5);
	CheckConsistency(TEXT_ARG(10), !PG_ARGISNULL(11), PG_ARGISNULL(11) ? 0 : PG_GETARG_INT64(11));
	where.timezone = TEXT_ARG(12);
	CheckTimezone(where.timezone);
	collection = where.collection = CollectionOpen(TEXT_ARG(13), TEXT_ARG(0), AccessShareLock, false);
	WhereCheckLoaded(&where);
	check_window(has_limit, limit, offset);

	initStringInfo(&sql);
	initStringInfo(&group_sql);
	initStringInfo(&order_sql);
	appendStringInfoString(&sql, "SELECT ");
	is_aggregate = append_aggregates(collection, outputs, groups, where.timezone, &sql, &group_sql, &order_sql, &answer.columns);
	if (is_aggregate && groups == NIL && (has_limit || offset > 0))
		MilvusInvalidParameter("count entities with pagination is not allowed");
	if (!is_aggregate && is_blank(where.filter) && where.ids == NULL && !has_limit)
		MilvusInvalidParameter("empty expression should be used with limit");
	answer.timezone = where.timezone != NULL ? where.timezone : CollectionTimezone(collection);
	if (!is_aggregate)
	{
		/* without output fields: all; the key is always there */
		if (outputs == NIL)
			outputs = list_make1(pstrdup("*"));
		(void) PrimarySql(collection);
		outputs = lcons(unconstify(char *, collection->primary->name), outputs);
		answer.output = OutputRead(collection, outputs, where.timezone);
		appendStringInfoString(&sql, "1");
		OutputAppendColumns(answer.output, &sql);
	}
	appendStringInfo(&sql, " FROM %s AS " SEARCH_ALIAS, collection->relation);
	WhereAppend(&where, &sql, &params);
	if (group_sql.len > 0)
		appendStringInfo(&sql, " GROUP BY %s", group_sql.data);
	append_order(collection, orders, is_aggregate ? answer.columns : NIL, where.timezone, &sql);
	if (!is_aggregate)
		appendStringInfo(&sql, "%s %s", orders == NIL ? " ORDER BY" : ",", PrimarySql(collection));
	else if (groups != NIL && orders == NIL)
		appendStringInfo(&sql, " ORDER BY %s", order_sql.data);
	if (has_limit)
		appendStringInfo(&sql, " LIMIT " INT64_FORMAT, limit);
	if (offset > 0)
		appendStringInfo(&sql, " OFFSET " INT64_FORMAT, offset);
	answer.context = AllocSetContextCreate(CurrentMemoryContext, "milvus query row", ALLOCSET_DEFAULT_SIZES);
	StatementRun(StatementPrepare(collection, sql.data, "", &params, false), &params, take_row, &answer);
}

Datum
milvus_query(PG_FUNCTION_ARGS)
{
	return SearchCall(fcinfo, query);
}

/* explain_filter(collection_name, filter, filter_params, db_name): the condition, a line for each parameter follows */
Datum
milvus_explain_filter(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	FilterSQL  *filter;
	StringInfoData lines;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	collection = CollectionOpen(TEXT_ARG(3), TEXT_ARG(0), AccessShareLock, false);
	filter = CollectionCompileFilter(collection, TEXT_ARG(1), JSONB_ARG(2), SEARCH_ALIAS, 1, NULL);
	initStringInfo(&lines);
	appendStringInfoString(&lines, filter->sql);
	for (int i = 0; i < filter->nparams; i++)
		appendStringInfo(&lines, "\n$%d = %s", i + 1, quote_literal_cstr(filter->params[i].text));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(lines.data, lines.len));
}
