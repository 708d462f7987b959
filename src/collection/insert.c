/*
 * insert.c
 *		milvus.insert() and milvus.insert_columns().
 */
#include "postgres.h"

#include "access/table.h"
#include "collection/write.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(milvus_insert);
PG_FUNCTION_INFO_V1(milvus_insert_columns);

void
AppendInsert(const WriteBatch *batch, StringInfo sql, const Bitmapset *fields)
{
	const Collection *collection = batch->collection;
	const CollectionPartition *partition = batch->partition;
	const char *separator = "";
	int			i = -1;

	/* other partitions than the first are made with their column */
	if (partition != NULL && (partition->id == 0 || collection->partition_attnum == 0))
		partition = NULL;
	appendStringInfo(sql, "INSERT INTO %s AS t (", collection->relation);
	while ((i = bms_next_member(fields, i)) >= 0)
	{
		appendStringInfo(sql, "%s%s", separator, quote_identifier(collection->fields[i].column));
		separator = ", ";
	}
	if (partition != NULL)
		appendStringInfoString(sql, ", \"" COLLECTION_PARTITION_COLUMN "\"");
	appendStringInfoString(sql, ") ");
	/* a key that the table makes was made before */
	if (collection->primary->auto_id)
		appendStringInfoString(sql, "OVERRIDING SYSTEM VALUE ");
	appendStringInfoString(sql, "SELECT ");
	separator = "";
	i = -1;
	while ((i = bms_next_member(fields, i)) >= 0)
	{
		appendStringInfo(sql, "%s%s", separator, BatchColumn(i));
		separator = ", ";
	}
	if (partition != NULL)
		appendStringInfo(sql, ", %d::pg_catalog.int2", partition->id);
	appendStringInfoString(sql, " FROM " BATCH_RELATION);
}

typedef struct ReturnedKeys
{
	Datum	   *keys;
	int			n;
	int			room;
	int16		length;
	bool		byval;
} ReturnedKeys;

static void
take_key(Datum key, void *arg)
{
	ReturnedKeys *returned = arg;

	/* a rule may return what it likes */
	if (returned->n == returned->room)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a rule returned more rows than were to be inserted")));
	if (!returned->byval && returned->length == -1)
		key = PointerGetDatum(PG_DETOAST_DATUM_COPY(key));
	returned->keys[returned->n++] = key;
}

static bool
has_row_triggers(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	bool		result = rel->trigdesc != NULL && rel->trigdesc->trig_insert_before_row;

	table_close(rel, NoLock);
	return result;
}

uint64
InsertBatch(WriteBatch *batch, Datum *ids)
{
	const Collection *collection = batch->collection;
	Bitmapset  *fields = BatchFields(batch, NULL, batch->nrows);
	StringInfoData sql;
	ReturnedKeys returned = {0};
	uint64		count;

	if (batch->nrows == 0)
	{
		*ids = BatchKeysJson(batch);
		return 0;
	}
	if (collection->ttl_attnum != 0)
		DeleteExpired(collection, BatchKeys(batch, NULL, batch->nrows));
	initStringInfo(&sql);
	AppendInsert(batch, &sql, fields);
	/* the keys are known, and rights to read them not needed, unless a trigger may change them */
	if (!has_row_triggers(collection->relid))
	{
		*ids = BatchKeysJson(batch);
		return WriteExecute(collection, sql.data, NULL, batch, NULL, batch->nrows, fields, NULL, NULL);
	}
	appendStringInfo(&sql, " RETURNING t.%s", quote_identifier(collection->primary->column));
	returned.room = batch->nrows;
	returned.keys = palloc(sizeof(Datum) * returned.room);
	get_typlenbyval(collection->primary->typid, &returned.length, &returned.byval);
	count = WriteExecute(collection, sql.data, NULL, batch, NULL, batch->nrows, fields, take_key, &returned);
	*ids = KeysJson(collection, returned.keys, returned.n);
	return count;
}

/*
 * milvus.insert(collection_name text, data jsonb, partition_name text, db_name text)
 *		RETURNS (insert_count bigint, ids jsonb, "timestamp" bigint)
 */
Datum
milvus_insert(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	WriteBatch *batch;
	uint64		count;
	Datum		ids;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection_name should not be empty");
	if (PG_ARGISNULL(1))
		MilvusInvalidParameter("data should not be null");
	collection = CollectionOpen(TEXT_ARG(3), TEXT_ARG(0), RowExclusiveLock, false);
	batch = BatchMake(collection, TEXT_ARG(2));
	BatchAddJson(batch, PG_GETARG_JSONB_P(1));
	BatchComplete(batch, NULL, batch->nrows, KEYS_MADE);
	count = InsertBatch(batch, &ids);
	PG_RETURN_DATUM(WriteResult(fcinfo, count, ids));
}

/*
 * milvus.insert_columns(collection_name text, field_names text[], partition_name text, db_name text, VARIADIC data "any")
 *		RETURNS (insert_count bigint, ids jsonb, "timestamp" bigint)
 */
Datum
milvus_insert_columns(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	WriteBatch *batch;
	List	   *names;
	ListCell   *cell;
	uint64		count;
	Datum		ids;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection_name should not be empty");
	if (get_fn_expr_variadic(fcinfo->flinfo))
		MilvusInvalidParameter("arrays of fields are arguments of their own, not VARIADIC");
	names = PG_ARGISNULL(1) ? NIL : TextArrayToList(PG_GETARG_ARRAYTYPE_P(1));
	if (list_length(names) != PG_NARGS() - 4)
		MilvusInvalidParameter("there are %d field names and %d arrays", list_length(names), PG_NARGS() - 4);
	collection = CollectionOpen(TEXT_ARG(3), TEXT_ARG(0), RowExclusiveLock, false);
	batch = BatchMake(collection, TEXT_ARG(2));
	foreach(cell, names)
	{
		char	   *name = lfirst(cell);
		int			argument = 4 + foreach_current_index(cell);
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, argument);
		ListCell   *other;

		for_each_from(other, names, foreach_current_index(cell) + 1)
			if (strcmp(name, lfirst(other)) == 0)
				MilvusInvalidParameter("The FieldDatas parameter being passed contains duplicate data for field %s", name);
		if (!OidIsValid(get_element_type(type)))
			MilvusInvalidParameter("data of field %s should be an array, but is %s", name, format_type_be(type));
		if (PG_ARGISNULL(argument))
			MilvusInvalidParameter("data of field %s should not be null", name);
		BatchAddColumn(batch, name, PG_GETARG_ARRAYTYPE_P(argument), foreach_current_index(cell) == 0);
	}
	BatchComplete(batch, NULL, batch->nrows, KEYS_MADE);
	count = InsertBatch(batch, &ids);
	PG_RETURN_DATUM(WriteResult(fcinfo, count, ids));
}
