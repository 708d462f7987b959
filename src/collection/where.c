/*
 * where.c
 *		The conditions of searches and queries: filter, ids, partitions, time to live; load
 *		state, consistency, and the keys that answers are sorted or grouped by.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

const char *
PrimarySql(const Collection *collection)
{
	if (collection->primary == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_ILLEGAL_SCHEMA),
				 errmsg("collection %s has no primary key", collection->name)));
	return ColumnSql(collection->primary->column);
}

Datum
ReadIds(const Collection *collection, Jsonb *ids, Oid *array_type, int *n)
{
	bool		is_text;
	List	   *elements;
	ListCell   *cell;
	Datum	   *values;
	Oid			type = INT8OID;
	JsonbValue	scalar;

	(void) PrimarySql(collection);
	is_text = MilvusTypeIsString(collection->primary->type);
	if (JB_ROOT_IS_SCALAR(ids) && JsonbExtractScalar(&ids->root, &scalar))
	{
		JsonbValue *copy = palloc(sizeof(JsonbValue));

		*copy = scalar;
		elements = list_make1(copy);
	}
	else if (JB_ROOT_IS_ARRAY(ids))
		elements = JsonElements(&ids->root);
	else
		MilvusInvalidParameter("ids should be an array");
	values = palloc(sizeof(Datum) * (list_length(elements) + 1));
	*n = 0;
	foreach(cell, elements)
	{
		JsonbValue *value = lfirst(cell);
		int64		number;

		if (is_text)
		{
			if (value->type != jbvString)
				MilvusInvalidParameter("ids of field %s should be strings", collection->primary->name);
			values[*n] = PointerGetDatum(cstring_to_text_with_len(value->val.string.val, value->val.string.len));
		}
		else
		{
			if (!JsonToInt(value, &number))
				MilvusInvalidParameter("ids of field %s should be integers", collection->primary->name);
			values[*n] = Int64GetDatum(number);
		}
		(*n)++;
	}
	if (is_text)
		type = TEXTOID;
	*array_type = is_text ? TEXTARRAYOID : INT8ARRAYOID;
	return PointerGetDatum(construct_array(values, *n, type, is_text ? -1 : 8, !is_text, is_text ? TYPALIGN_INT : TYPALIGN_DOUBLE));
}

void
WhereCheckLoaded(Where *where)
{
	char	  **names = palloc(sizeof(char *) * (list_length(where->partition_names) + 1));
	int			n = 0;
	ListCell   *cell;

	if (where->partition_names != NIL && where->collection->partition_key != NULL)
		MilvusInvalidParameter("not support manually specifying the partition names if partition key mode is used");
	foreach(cell, where->partition_names)
	{
		(void) CollectionGetPartition(where->collection, lfirst(cell));
		names[n++] = lfirst(cell);
	}
	CollectionRequireLoaded(where->collection, names, n);
	if (n > 0)
		return;
	for (int i = 0; i < where->collection->npartitions; i++)
		if (where->collection->partitions[i].loaded)
			where->loaded_names = lappend(where->loaded_names, pstrdup(where->collection->partitions[i].name));
	if (list_length(where->loaded_names) == where->collection->npartitions)
		where->loaded_names = NIL;
}

static void
append_and(StringInfo sql, bool *any)
{
	appendStringInfoString(sql, *any ? " AND " : " WHERE ");
	*any = true;
}

static void
append_partitions(const Where *where, StringInfo sql, bool *any)
{
	ListCell   *cell;
	List	   *names = where->partition_names != NIL ? where->partition_names : where->loaded_names;
	bool		first = true;

	/* without the column there is only one */
	if (names == NIL || where->collection->partition_attnum == 0)
		return;
	append_and(sql, any);
	appendStringInfo(sql, SEARCH_ALIAS ".\"%s\" OPERATOR(pg_catalog.=) ", COLLECTION_PARTITION_COLUMN);
	if (list_length(names) == 1)
	{
		appendStringInfo(sql, "%d::pg_catalog.int2", CollectionGetPartition(where->collection, linitial(names))->id);
		return;
	}
	appendStringInfoString(sql, "ANY ('{");
	foreach(cell, names)
	{
		appendStringInfo(sql, "%s%d", first ? "" : ",", CollectionGetPartition(where->collection, lfirst(cell))->id);
		first = false;
	}
	appendStringInfoString(sql, "}'::pg_catalog.int2[])");
}

void
WhereAppend(Where *where, StringInfo sql, Params *params)
{
	bool		any = false;
	char	   *ttl;

	where->compiled = CollectionCompileFilter(where->collection, where->filter, where->filter_params, SEARCH_ALIAS,
											  params->n + 1, where->timezone);
	if (!where->compiled->is_true)
	{
		append_and(sql, &any);
		appendStringInfoString(sql, where->compiled->sql);
	}
	ParamsAddFilter(params, where->compiled);
	if (where->ids != NULL)
	{
		Oid			type;
		int			n;
		Datum		ids = ReadIds(where->collection, where->ids, &type, &n);

		append_and(sql, &any);
		appendStringInfo(sql, "%s OPERATOR(pg_catalog.=) ANY ($%d::%s)", PrimarySql(where->collection), ParamsAdd(params, type, ids),
						 type == TEXTARRAYOID ? "pg_catalog.text[]" : "pg_catalog.int8[]");
	}
	append_partitions(where, sql, &any);
	ttl = CollectionTtlCondition(where->collection, SEARCH_ALIAS);
	if (ttl != NULL)
	{
		append_and(sql, &any);
		appendStringInfoString(sql, ttl);
	}
}

void
CheckConsistency(const char *level, bool has_timestamp, int64 timestamp)
{
	if (level != NULL && *level != '\0')
		(void) MilvusConsistencyByName(level);
	/* a statement's snapshot has all that was committed before, so any time that was is reached */
	if (has_timestamp && timestamp < 0)
		MilvusInvalidParameter("guarantee_timestamp [" INT64_FORMAT "] is invalid, should be gte than 0", timestamp);
}

void
CheckTimezone(const char *timezone)
{
	if (timezone != NULL && pg_tzset(timezone) == NULL)
		MilvusInvalidParameter("unknown or invalid IANA Time Zone ID: %s", timezone);
}

/* ---- values of a row by name ---- */

char *
FieldPathSql(const Collection *collection, const char *name, const char *timezone, MilvusType *type, Oid *typid)
{
	const CollectionField *field = CollectionFindField(collection, name);
	FilterOptions options;
	FilterType	filter_type;
	char	   *sql;

	if (field != NULL)
	{
		*type = field->type;
		*typid = field->typid;
		return pstrdup(ColumnSql(field->column));
	}
	CollectionFilterOptions(collection, NULL, SEARCH_ALIAS, 1, timezone, &options);
	sql = FilterPathSQL(CollectionFilterSchema(collection), name, &options, &filter_type);
	*type = (MilvusType) filter_type;
	*typid = JSONBOID;
	/* JSON's null is none; an operator of the caller's search_path would be NULLIF's */
	if (*type == MILVUS_JSON)
		sql = psprintf("(CASE WHEN %s OPERATOR(pg_catalog.<>) 'null'::pg_catalog.jsonb THEN %s END)", sql, sql);
	return sql;
}

SortKey *
SortKeyRead(const Collection *collection, const char *text, const char *timezone)
{
	SortKey    *key = palloc0(sizeof(SortKey));
	char	   *name = pstrdup(text);
	char	   *nulls = NULL;
	char	   *direction;
	MilvusType	type;

	/* from the end: a path may have colons in its keys */
	direction = strrchr(name, ':');
	if (direction != NULL && (pg_strcasecmp(direction + 1, "nulls_first") == 0 || pg_strcasecmp(direction + 1, "nulls_last") == 0))
	{
		*direction = '\0';
		nulls = direction + 1;
		direction = strrchr(name, ':');
	}
	if (direction != NULL)
	{
		*direction++ = '\0';
		if (pg_strcasecmp(direction, "desc") == 0)
			key->descending = true;
		else if (pg_strcasecmp(direction, "asc") != 0)
			MilvusInvalidParameter("invalid order direction '%s' for field '%s', must be 'asc' or 'desc'", direction, name);
	}
	key->nulls_first = nulls != NULL ? pg_strcasecmp(nulls, "nulls_first") == 0 : key->descending;
	if (*name == '\0')
		MilvusInvalidParameter("order_by field name should not be empty");
	key->sql = FieldPathSql(collection, name, timezone, &type, &key->typid);
	switch (type)
	{
		case MILVUS_VARCHAR:
			key->collation = C_COLLATION_OID;
			break;
		case MILVUS_BOOL:
		case MILVUS_INT8:
		case MILVUS_INT16:
		case MILVUS_INT32:
		case MILVUS_INT64:
		case MILVUS_FLOAT:
		case MILVUS_DOUBLE:
		case MILVUS_TIMESTAMPTZ:
			break;
		case MILVUS_JSON:
			if (CollectionFindField(collection, name) == NULL)
				break;
			/* FALLTHROUGH */
		default:
			MilvusInvalidParameter("order_by field '%s' has unsortable type %s", name, MilvusTypeName(type));
	}
	return key;
}
