/*
 * annfuncs.c
 *		SQL functions to maintain an index and to see inside.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "am/ann/annattr.h"
#include "catalog/index.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(milvus_seal_index);
PG_FUNCTION_INFO_V1(milvus_compact_index);
PG_FUNCTION_INFO_V1(milvus_load_index);
PG_FUNCTION_INFO_V1(milvus_index_segments);
PG_FUNCTION_INFO_V1(milvus_index_stats);
PG_FUNCTION_INFO_V1(milvus_last_search);

/*
 * Open an `ann` index for its owner, its table first.
 */
Relation
AnnOpenForFunction(Oid indexid, LOCKMODE lockmode, Relation *heap)
{
	Oid			heapid = IndexGetRelation(indexid, true);
	Relation	index;

	*heap = OidIsValid(heapid) ? table_open(heapid, lockmode) : NULL;
	index = relation_open(indexid, lockmode);
	/* the number may have become another index's before it was locked */
	if (heapid != IndexGetRelation(indexid, true))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("could not open parent table of index \"%s\"", RelationGetRelationName(index))));
	if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partitioned index", RelationGetRelationName(index)),
				 errhint("Name the index of a partition; pg_partition_tree() lists them.")));
	if (!AnnIsOurIndex(index))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an ann index", RelationGetRelationName(index))));
	if (!MilvusOwnsRelation(indexid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, RelationGetRelationName(index));
	if (RELATION_IS_OTHER_TEMP(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary indexes of other sessions")));
	return index;
}

void
AnnCloseForFunction(Relation index, Relation heap, LOCKMODE lockmode)
{
	relation_close(index, lockmode);
	if (heap != NULL)
		table_close(heap, lockmode);
}

static int
seal(Oid indexid, AnnSealMode mode)
{
	Relation	heap;
	Relation	index;
	int			made;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("Segments are sealed and merged on the primary; its standbys follow.")));
	index = AnnOpenForFunction(indexid, RowExclusiveLock, &heap);
	made = AnnSeal(index, heap, mode, true);
	AnnCloseForFunction(index, heap, RowExclusiveLock);
	return made;
}

/* milvus.seal_index(regclass) returns int: segments written */
Datum
milvus_seal_index(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(seal(PG_GETARG_OID(0), ANN_SEAL_GROWING));
}

/* milvus.compact_index(regclass) returns int: segments written */
Datum
milvus_compact_index(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(seal(PG_GETARG_OID(0), ANN_SEAL_ALL));
}

/*
 * milvus.load_index(regclass) returns bigint: make and map the cache files of all
 * segments; the bytes they take.
 */
Datum
milvus_load_index(PG_FUNCTION_ARGS)
{
	Relation	heap;
	Relation	index = AnnOpenForFunction(PG_GETARG_OID(0), AccessShareLock, &heap);
	AnnParams	params;
	AnnGrowing *growing;
	AnnView    *view;
	uint64		bytes;

	AnnGetParams(index, &params);
	AnnForgetView(RelationGetRelid(index));
	view = AnnAcquireView(index, &params, &growing);
	AnnReleaseView(view, growing);
	bytes = SegmentCacheBytes(index);
	AnnCloseForFunction(index, heap, AccessShareLock);
	PG_RETURN_INT64((int64) bytes);
}

static Datum
id_datum(const SegmentId *id)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	memcpy(uuid->data, id->bytes, UUID_LEN);
	return UUIDPGetDatum(uuid);
}

/*
 * milvus.index_segments(regclass): a row for each segment and one for the
 * growing part.
 */
Datum
milvus_index_segments(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Relation	heap;
	Relation	index = AnnOpenForFunction(PG_GETARG_OID(0), AccessShareLock, &heap);
	AnnMeta		meta;
	AnnManifest *manifest = AnnReadManifestLatest(index, &meta);
	uint64		growing = AnnGrowingRows(index, &meta);
	Datum		values[10];
	bool		nulls[10];

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < manifest->nsegments; i++)
	{
		const AnnSegmentEntry *entry = &manifest->segments[i];
		SegmentCacheKey key;

		memset(nulls, 0, sizeof(nulls));
		SegmentCacheKeyInit(&key, index, &entry->id);
		values[0] = id_datum(&entry->id);
		values[1] = CStringGetTextDatum("sealed");
		values[2] = CStringGetTextDatum(AnnTypeNameOf((AnnType) entry->type, (AnnElem) meta.elem));
		values[3] = Int64GetDatum((int64) AnnSegmentEntryRows(entry));
		values[4] = Int64GetDatum((int64) AnnCountMarks(index, entry));
		values[5] = Int64GetDatum(entry->zero_rows);
		values[6] = Int64GetDatum(entry->null_rows);
		values[7] = Int64GetDatum((int64) entry->nblocks * BLCKSZ);
		values[8] = BoolGetDatum(SegmentCacheExists(&key));
		values[9] = TimestampTzGetDatum(entry->created);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	if (growing > 0)
	{
		memset(nulls, 0, sizeof(nulls));
		nulls[0] = nulls[2] = nulls[4] = nulls[5] = nulls[6] = nulls[7] = nulls[8] = nulls[9] = true;
		memset(values, 0, sizeof(values));
		values[1] = CStringGetTextDatum("growing");
		values[3] = Int64GetDatum((int64) growing);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	AnnCloseForFunction(index, heap, AccessShareLock);
	return (Datum) 0;
}

/* milvus.index_stats(regclass): the index in one row. */
Datum
milvus_index_stats(PG_FUNCTION_ARGS)
{
	Relation	heap;
	Relation	index = AnnOpenForFunction(PG_GETARG_OID(0), AccessShareLock, &heap);
	AnnMeta		meta;
	AnnManifest *manifest = AnnReadManifestLatest(index, &meta);
	AnnParams	params;
	TupleDesc	desc;
	Datum		values[12];
	bool		nulls[12] = {0};
	uint64		marks = 0;
	uint64		rows = 0;
	uint64		free_blocks = 0;
	HeapTuple	tuple;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	AnnGetParams(index, &params);
	for (int i = 0; i < manifest->nsegments; i++)
	{
		rows += AnnSegmentEntryRows(&manifest->segments[i]);
		marks += AnnCountMarks(index, &manifest->segments[i]);
	}
	for (int i = 0; i < manifest->nfree; i++)
		free_blocks += manifest->free[i].nblocks;
	for (uint32 i = 0; i < meta.nreserves; i++)
		free_blocks += meta.reserves[i].end - meta.reserves[i].start;
	values[0] = CStringGetTextDatum(AnnTypeNameOf(params.type, params.elem));
	values[1] = CStringGetTextDatum(AnnMetricName(params.metric));
	values[2] = Int32GetDatum((int32) params.dim);
	values[3] = Int32GetDatum(manifest->nsegments);
	values[4] = Int64GetDatum((int64) rows);
	values[5] = Int64GetDatum((int64) AnnGrowingRows(index, &meta));
	values[6] = Int64GetDatum((int64) marks);
	values[7] = Int64GetDatum((int64) RelationGetNumberOfBlocks(index) * BLCKSZ);
	values[8] = Int64GetDatum((int64) free_blocks * BLCKSZ);
	values[9] = Int64GetDatum((int64) SegmentCacheBytes(index));
	values[10] = Int32GetDatum((int32) AnnGrowingLimit(&params));
	values[11] = Int64GetDatum((int64) meta.manifest_version);
	AnnCloseForFunction(index, heap, AccessShareLock);
	tuple = heap_form_tuple(BlessTupleDesc(desc), values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}

/* milvus.last_search(): figures of the session's last finished scan. */
Datum
milvus_last_search(PG_FUNCTION_ARGS)
{
	const AnnScanStats *stats = &ann_last_scan;
	TupleDesc	desc;
	Datum		values[17];
	bool		nulls[17] = {0};
	char		types[160] = "";
	const uint32 ways = stats->ways;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!OidIsValid(stats->index))
		PG_RETURN_NULL();
	for (int type = ANN_FLAT; type <= ANN_MINHASH_LSH; type++)
		if (stats->types & (1u << type))
		{
			if (types[0] != '\0')
				strlcat(types, ", ", sizeof(types));
			strlcat(types, AnnTypeNameOf((AnnType) type, stats->elem), sizeof(types));
		}
	values[0] = ObjectIdGetDatum(stats->index);
	values[1] = CStringGetTextDatum(types);
	values[2] = Int32GetDatum(stats->nsegments);
	values[3] = Int32GetDatum(stats->cached_segments);
	values[4] = Int64GetDatum((int64) stats->growing_rows);
	values[5] = Int64GetDatum((int64) stats->code_distances);
	values[6] = Int64GetDatum((int64) stats->exact_distances);
	values[7] = Int64GetDatum((int64) stats->hops);
	values[8] = Int64GetDatum((int64) stats->excluded);
	values[9] = Int64GetDatum((int64) stats->dropped);
	values[10] = Int64GetDatum((int64) stats->returned);
	values[11] = Int32GetDatum(stats->ef);
	values[12] = Int32GetDatum(stats->nprobe);
	values[13] = BoolGetDatum(stats->exhaustive);
	nulls[14] = nulls[15] = nulls[16] = ways == 0;
	values[14] = CStringGetTextDatum(AnnFilterWayName(ways));
	values[15] = Int64GetDatum((int64) stats->matches);
	values[16] = Int64GetDatum((int64) stats->filtered);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
