/*
 * partition.c
 *		Partitions by name: values of the column $partition, with names in the table's label.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "collection/collection_internal.h"
#include "fmgr.h"
#include "funcapi.h"
#include "guc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

PG_FUNCTION_INFO_V1(milvus_create_partition);
PG_FUNCTION_INFO_V1(milvus_drop_partition);
PG_FUNCTION_INFO_V1(milvus_has_partition);
PG_FUNCTION_INFO_V1(milvus_list_partitions);
PG_FUNCTION_INFO_V1(milvus_load_partitions);
PG_FUNCTION_INFO_V1(milvus_release_partitions);

void
RefusePartitionNames(const Collection *collection, const char *message)
{
	if (collection->partition_key != NULL)
		MilvusInvalidParameter("%s", message);
}

/*
 * Copies of a collection's partitions, to change and write.
 */
List *
PartitionsList(const Collection *collection)
{
	List	   *partitions = NIL;

	for (int i = 0; i < collection->npartitions; i++)
	{
		CollectionPartition *partition = palloc(sizeof(CollectionPartition));

		*partition = collection->partitions[i];
		partitions = lappend(partitions, partition);
	}
	return partitions;
}

void
PartitionsWrite(const Collection *collection, List *partitions)
{
	StringInfoData json;
	ListCell   *cell;

	initStringInfo(&json);
	JsonBegin(&json, NULL, '[');
	foreach(cell, partitions)
	{
		CollectionPartition *partition = lfirst(cell);

		JsonBegin(&json, NULL, '[');
		JsonAddInt(&json, NULL, partition->id);
		JsonAddText(&json, NULL, partition->name);
		JsonAddBool(&json, NULL, partition->loaded);
		JsonEnd(&json, ']');
	}
	JsonEnd(&json, ']');
	CollectionSetLabel(collection, "partitions", json.data);
}

void
AddHiddenColumn(const Collection *collection, const char *column, const char *definition)
{
	if (get_attnum(collection->relid, column) == InvalidAttrNumber)
		MilvusExecute("ALTER TABLE %s ADD COLUMN %s %s", collection->relation, quote_identifier(column), definition);
}

/*
 * Conditions on the partition need an index: made with the first partition.
 */
static void
index_partition_column(const Collection *collection)
{
	Relation	rel = table_open(collection->relid, AccessShareLock);
	AttrNumber	attnum = get_attnum(collection->relid, COLLECTION_PARTITION_COLUMN);
	bool		found = false;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		found |= index->rd_index->indkey.values[0] == attnum;
		index_close(index, AccessShareLock);
	}
	table_close(rel, AccessShareLock);
	if (!found)
		MilvusExecute("CREATE INDEX ON %s (\"$partition\")", collection->relation);
}

/*
 * An id that no partition has: the next one, or a lower one when those are used up.
 */
static int
free_id(const Collection *collection)
{
	int			last = 0;

	for (int i = 0; i < collection->npartitions; i++)
		last = Max(last, collection->partitions[i].id);
	if (last < PG_INT16_MAX)
		return last + 1;
	for (int id = 1;; id++)
	{
		bool		used = false;

		for (int i = 0; i < collection->npartitions; i++)
			used |= collection->partitions[i].id == id;
		if (!used)
			return id;
	}
}

static const char *
partition_name_arg(FunctionCallInfo fcinfo)
{
	char	   *name = TEXT_ARG(1);

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	if (name == NULL)
		MilvusInvalidParameter("Invalid partition name: . Partition name should not be empty.");
	return name;
}

/* milvus.create_partition(collection_name, partition_name, db_name) returns void */
Datum
milvus_create_partition(PG_FUNCTION_ARGS)
{
	const char *name = partition_name_arg(fcinfo);
	const Collection *collection;
	CollectionPartition *partition;
	List	   *partitions;

	CheckPartitionName(name);
	collection = CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), ShareUpdateExclusiveLock);
	RefusePartitionNames(collection, "disable create partition if partition key mode is used");
	if (CollectionFindPartition(collection, name) != NULL)
		PG_RETURN_VOID();
	if (collection->npartitions >= milvus_settings.max_partitions)
		ereport(ERROR,
				(errmilvus(MILVUS_COLLECTION_LIMIT),
				 errmsg("partition number (%d) exceeds max configuration (%d), collection: %s",
						collection->npartitions, milvus_settings.max_partitions, collection->name)));
	AddHiddenColumn(collection, COLLECTION_PARTITION_COLUMN, "pg_catalog.int2 NOT NULL DEFAULT 0");
	index_partition_column(collection);
	partitions = PartitionsList(collection);
	partition = palloc0(sizeof(CollectionPartition));
	partition->id = free_id(collection);
	partition->name = name;
	/* of a collection that is loaded, new partitions are */
	partition->loaded = collection->loaded;
	PartitionsWrite(collection, lappend(partitions, partition));
	PG_RETURN_VOID();
}

/*
 * Delete all rows of a partition.  Rows that row-level security hides from their owner would stay, and
 * be rows of the next partition of this id.
 */
static void
delete_rows(const Collection *collection, int id)
{
	if (check_enable_rls(collection->relid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security of table \"%s\" may hide rows of the partition", get_rel_name(collection->relid)),
				 errhint("To let the owner drop partitions, use ALTER TABLE NO FORCE ROW LEVEL SECURITY.")));
	MilvusExecute("DELETE FROM %s WHERE \"$partition\" OPERATOR(pg_catalog.=) %d::pg_catalog.int2", collection->relation, id);
}

/* milvus.drop_partition(collection_name, partition_name, db_name) returns void */
Datum
milvus_drop_partition(PG_FUNCTION_ARGS)
{
	const char *name = partition_name_arg(fcinfo);
	const Collection *collection;
	CollectionPartition *partition;
	List	   *partitions = NIL;
	ListCell   *cell;

	CheckPartitionName(name);
	/* nobody inserts into it meanwhile */
	collection = CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), ShareRowExclusiveLock);
	RefusePartitionNames(collection, "disable drop partition if partition key mode is used");
	if (strcmp(name, COLLECTION_DEFAULT_PARTITION) == 0)
		MilvusInvalidParameter("default partition cannot be deleted");
	partition = CollectionFindPartition(collection, name);
	if (partition == NULL)
		PG_RETURN_VOID();
	if (partition->loaded)
		MilvusInvalidParameter("partition cannot be dropped, partition is loaded, please release it first");
	delete_rows(collection, partition->id);
	foreach(cell, PartitionsList(collection))
		if (strcmp(((CollectionPartition *) lfirst(cell))->name, name) != 0)
			partitions = lappend(partitions, lfirst(cell));
	PartitionsWrite(collection, partitions);
	PG_RETURN_VOID();
}

/* milvus.has_partition(collection_name, partition_name, db_name) returns boolean */
Datum
milvus_has_partition(PG_FUNCTION_ARGS)
{
	const char *name = partition_name_arg(fcinfo);
	const Collection *collection;

	CheckPartitionName(name);
	collection = CollectionOpen(TEXT_ARG(2), TEXT_ARG(0), AccessShareLock, false);
	PG_RETURN_BOOL(CollectionFindPartition(collection, name) != NULL);
}

/* milvus.list_partitions(collection_name, db_name) returns setof text */
Datum
milvus_list_partitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const Collection *collection;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	collection = CollectionOpen(TEXT_ARG(1), TEXT_ARG(0), AccessShareLock, false);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (int i = 0; i < collection->npartitions; i++)
	{
		Datum		value = CStringGetTextDatum(collection->partitions[i].name);
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

static void
set_loaded(FunctionCallInfo fcinfo, bool loaded)
{
	const Collection *collection;
	List	   *names;
	List	   *partitions;
	ListCell   *cell;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		MilvusInvalidParameter("collection name and partition names should not be empty");
	collection = CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), ShareUpdateExclusiveLock);
	RefusePartitionNames(collection, loaded ? "disable load partitions if partition key mode is used" :
						 "disable release partitions if partition key mode is used");
	names = TextArrayToList(PG_GETARG_ARRAYTYPE_P(1));
	if (names == NIL)
		MilvusInvalidParameter("due to no partition specified");
	if (loaded)
		CollectionCheckIndexes(collection);
	partitions = PartitionsList(collection);
	foreach(cell, names)
	{
		CollectionPartition *partition = CollectionGetPartition(collection, lfirst(cell));

		((CollectionPartition *) list_nth(partitions, partition - collection->partitions))->loaded = loaded;
	}
	if (collection->partition_attnum != 0)
		PartitionsWrite(collection, partitions);
	else
		CollectionSetLabel(collection, "loaded", loaded ? "true" : NULL);
}

/* milvus.load_partitions(collection_name, partition_names, db_name) returns void */
Datum
milvus_load_partitions(PG_FUNCTION_ARGS)
{
	set_loaded(fcinfo, true);
	PG_RETURN_VOID();
}

/* milvus.release_partitions(collection_name, partition_names, db_name) returns void */
Datum
milvus_release_partitions(PG_FUNCTION_ARGS)
{
	set_loaded(fcinfo, false);
	PG_RETURN_VOID();
}
