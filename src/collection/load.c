/*
 * load.c
 *		Load and release: a state in the table's label, which searches obey.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "collection/collection_internal.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(milvus_load_collection);
PG_FUNCTION_INFO_V1(milvus_release_collection);
PG_FUNCTION_INFO_V1(milvus_get_load_state);
PG_FUNCTION_INFO_V1(milvus_collection_relation);
PG_FUNCTION_INFO_V1(milvus_count_rows);
PG_FUNCTION_INFO_V1(milvus_expire_rows);

void
CollectionCheckIndexes(const Collection *collection)
{
	StringInfoData missing;

	initStringInfo(&missing);
	for (int i = 0; i < collection->nvectors; i++)
		if (collection->vectors[i]->index_type == NULL)
			appendStringInfo(&missing, "%s%s", missing.len > 0 ? " " : "", collection->vectors[i]->name);
	if (missing.len > 0)
		ereport(ERROR,
				(errmilvus(MILVUS_INDEX_NOT_FOUND),
				 errmsg("there is no vector index on field: [%s], please create index firstly: index not found[collection=%s]",
						missing.data, collection->name)));
}

static void
set_loaded(const Collection *collection, bool loaded)
{
	List	   *partitions = PartitionsList(collection);
	ListCell   *cell;
	bool		changed = false;

	foreach(cell, partitions)
	{
		changed |= ((CollectionPartition *) lfirst(cell))->loaded != loaded;
		((CollectionPartition *) lfirst(cell))->loaded = loaded;
	}
	if (!changed)
		return;
	if (collection->partition_key == NULL && collection->npartitions > 1)
		PartitionsWrite(collection, partitions);
	else
	{
		if (collection->partition_key == NULL)
			CollectionSetLabel(collection, "partitions", NULL);
		CollectionSetLabel(collection, "loaded", loaded ? "true" : NULL);
	}
}

void
CollectionLoad(const Collection *collection)
{
	CollectionCheckIndexes(collection);
	set_loaded(collection, true);
}

/* milvus.load_collection(collection_name, replica_number, load_fields, refresh, db_name) returns void */
Datum
milvus_load_collection(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	ListCell   *cell;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	collection = CollectionOpenOwned(TEXT_ARG(4), TEXT_ARG(0), ShareUpdateExclusiveLock);
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 0)
		MilvusInvalidParameter("replica number must be greater than or equal to 0, but got %d", PG_GETARG_INT32(1));
	foreach(cell, PG_ARGISNULL(2) ? NIL : TextArrayToList(PG_GETARG_ARRAYTYPE_P(2)))
		(void) CollectionGetField(collection, lfirst(cell));
	CollectionLoad(collection);
	/* the first search finds the cache files made */
	for (int i = 0; i < collection->nvectors; i++)
		if (OidIsValid(collection->vectors[i]->index))
			MilvusExecute("SELECT milvus.load_index(%u::pg_catalog.regclass)", collection->vectors[i]->index);
	PG_RETURN_VOID();
}

/* milvus.release_collection(collection_name, db_name) returns void */
Datum
milvus_release_collection(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	set_loaded(CollectionOpenOwned(TEXT_ARG(1), TEXT_ARG(0), ShareUpdateExclusiveLock), false);
	PG_RETURN_VOID();
}

/* milvus.get_load_state(collection_name, partition_name, db_name) returns (state, progress) */
Datum
milvus_get_load_state(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {0};
	bool		loaded;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	collection = CollectionOpen(TEXT_ARG(2), TEXT_ARG(0), AccessShareLock, true);
	if (collection == NULL)
	{
		values[0] = CStringGetTextDatum("NotExist");
		values[1] = Int32GetDatum(0);
	}
	else
	{
		loaded = PG_ARGISNULL(1) || *TEXT_ARG(1) == '\0' ? collection->loaded : CollectionGetPartition(collection, TEXT_ARG(1))->loaded;
		values[0] = CStringGetTextDatum(loaded ? "Loaded" : "NotLoad");
		values[1] = Int32GetDatum(loaded ? 100 : 0);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* milvus.collection_relation(collection_name, db_name) returns regclass: its table */
Datum
milvus_collection_relation(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	PG_RETURN_OID(CollectionOpen(TEXT_ARG(1), TEXT_ARG(0), AccessShareLock, false)->relid);
}

/*
 * Rows that a query counts, or deletes.
 */
static int64
run_counting(const char *sql, bool is_select)
{
	int64		count;
	bool		isnull;
	int			result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute(sql, is_select, 0);
	if (result != (is_select ? SPI_OK_SELECT : SPI_OK_DELETE))
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
	count = is_select ? DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)) :
		(int64) SPI_processed;
	SPI_finish();
	return count;
}

/* milvus.count_rows(collection_name, partition_name, db_name) returns bigint: those that have not expired */
Datum
milvus_count_rows(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	StringInfoData sql;
	char	   *ttl;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	collection = CollectionOpen(TEXT_ARG(2), TEXT_ARG(0), AccessShareLock, false);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT pg_catalog.count(*) FROM %s WHERE true", collection->relation);
	if (!PG_ARGISNULL(1))
	{
		int			id = CollectionGetPartition(collection, TEXT_ARG(1))->id;

		if (collection->partition_attnum != 0)
			appendStringInfo(&sql, " AND \"$partition\" OPERATOR(pg_catalog.=) %d::pg_catalog.int2", id);
	}
	ttl = CollectionTtlCondition(collection, NULL);
	if (ttl != NULL)
		appendStringInfo(&sql, " AND %s", ttl);
	PG_RETURN_INT64(run_counting(sql.data, true));
}

/* milvus.expire_rows(collection_name, db_name) returns bigint: rows deleted that have outlived their time */
Datum
milvus_expire_rows(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	char	   *ttl;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	collection = CollectionOpen(TEXT_ARG(1), TEXT_ARG(0), RowExclusiveLock, false);
	ttl = CollectionTtlCondition(collection, NULL);
	PG_RETURN_INT64(ttl == NULL ? 0 :
					run_counting(psprintf("DELETE FROM %s WHERE NOT %s", collection->relation, ttl), false));
}
