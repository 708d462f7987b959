/*
 * tablefuncs.c
 *		SQL functions to maintain a table and to see its segments.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "am/ann/ann.h"
#include "am/table/tableseal.h"
#include "am/table/tableworker.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_collation.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(milvus_flush_table);
PG_FUNCTION_INFO_V1(milvus_compact_table);
PG_FUNCTION_INFO_V1(milvus_load_table);
PG_FUNCTION_INFO_V1(milvus_release_table);
PG_FUNCTION_INFO_V1(milvus_table_segments);

Relation
TableOpenOwned(Oid relid, LOCKMODE mode)
{
	Relation	rel = NULL;

	for (;;)
	{
		/* before anybody is kept waiting for the lock (autovacuum would be cancelled), and after */
		if (!MilvusOwnsRelation(relid))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
		if (rel != NULL)
			return rel;
		rel = table_open(relid, mode);
	}
}

/*
 * Open a milvus table that the function may be called for.
 */
static Relation
open_table(Oid relid, bool owner_only)
{
	Relation	rel = table_open(relid, AccessShareLock);

	TableRequire(rel);
	if (!MilvusOwnsRelation(relid) &&
		(owner_only || !has_privs_of_role(GetUserId(), ROLE_PG_STAT_SCAN_TABLES)))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, RelationGetRelationName(rel));
	if (RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary tables of other sessions")));
	return rel;
}

/* ---- sealing and compaction ---- */

/*
 * Run a task of a table in a worker; its numbers are the rows of the result.
 */
static void
run_task(FunctionCallInfo fcinfo, TableTaskKind kind, TableCompactKind compact)
{
	Oid			relid = PG_GETARG_OID(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Relation	rel;
	List	   *numbers;
	ListCell   *cell;
	bool		sealable;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("Tables are sealed and compacted on the primary; its standbys follow.")));
	rel = open_table(relid, true);
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a temporary or unlogged table", RelationGetRelationName(rel)),
				 errdetail("Rows of such tables are not sealed.")));
	if (rel->rd_createSubid != InvalidSubTransactionId)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" was created by this transaction", RelationGetRelationName(rel)),
				 errhint("A background worker does the work, and sees the table when the transaction has committed.")));
	/* with the stronger ones: of VACUUM, CREATE INDEX, ALTER TABLE, TRUNCATE, LOCK TABLE ... */
	if (CheckRelationLockedByMe(rel, ShareUpdateExclusiveLock, true))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this transaction has \"%s\" locked", RelationGetRelationName(rel)),
				 errhint("A background worker does the work, and would wait for the lock.")));
	(void) TableKeptColumns(rel, &sealable);
	if (!sealable)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of \"%s\" cannot be sealed", RelationGetRelationName(rel)),
				 errhint("The replica identity FULL prevents it.")));
	table_close(rel, AccessShareLock);

	numbers = TableRunTask(relid, kind, compact);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(cell, numbers)
	{
		Datum		value = Int32GetDatum(lfirst_int(cell));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
}

/* milvus.flush_table(regclass) returns setof integer: numbers of the segments made */
Datum
milvus_flush_table(PG_FUNCTION_ARGS)
{
	run_task(fcinfo, TABLE_TASK_FLUSH, TABLE_COMPACT_MERGE);
	return (Datum) 0;
}

/* milvus.compact_table(regclass, text) returns setof integer: numbers of the segments made */
Datum
milvus_compact_table(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	TableCompactKind compact;

	if (strcmp(kind, "merge") == 0)
		compact = TABLE_COMPACT_MERGE;
	else if (strcmp(kind, "cluster") == 0)
		compact = TABLE_COMPACT_CLUSTER;
	else if (strcmp(kind, "sort") == 0)
		compact = TABLE_COMPACT_SORT;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown kind of compaction \"%s\"", kind),
				 errhint("It is \"merge\", \"cluster\" or \"sort\".")));
	run_task(fcinfo, TABLE_TASK_COMPACT, compact);
	return (Datum) 0;
}

/* ---- the query form ---- */

/* milvus.load_table(regclass) returns bigint: bytes of cache files, all columns mapped */
Datum
milvus_load_table(PG_FUNCTION_ARGS)
{
	Relation	rel = open_table(PG_GETARG_OID(0), true);
	TableSegmentEntry *entries;
	uint64		bytes;
	int			n;

	entries = TableReadManifest(rel, &n);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) TableSegmentWarm(TableSegmentOpen(rel, entries[i].root, TableEntryTag(&entries[i])), 0);
	}
	bytes = TableCacheBytes(rel);
	table_close(rel, AccessShareLock);
	PG_RETURN_INT64((int64) bytes);
}

/* milvus.release_table(regclass): remove the cache files */
Datum
milvus_release_table(PG_FUNCTION_ARGS)
{
	Relation	rel = open_table(PG_GETARG_OID(0), true);
	TableSegmentEntry *entries;
	int			n;

	entries = TableReadManifest(rel, &n);
	for (int i = 0; i < n; i++)
		TableSegmentEvict(TableSegmentOpen(rel, entries[i].root, TableEntryTag(&entries[i])), 0);
	table_close(rel, AccessShareLock);
	PG_RETURN_VOID();
}

/* ---- milvus.table_segments() ---- */

static void
push_key(JsonbParseState **state, const char *name)
{
	JsonbValue	key = {.type = jbvString};

	key.val.string.val = pstrdup(name);
	key.val.string.len = (int) strlen(name);
	(void) pushJsonbValue(state, WJB_KEY, &key);
}

static void
push_text(JsonbParseState **state, const char *name, const char *text)
{
	JsonbValue	value = {.type = jbvString};

	push_key(state, name);
	value.val.string.val = pstrdup(text);
	value.val.string.len = (int) strlen(text);
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_int(JsonbParseState **state, const char *name, uint64 number)
{
	JsonbValue	value = {.type = jbvNumeric};

	push_key(state, name);
	value.val.numeric = int64_to_numeric((int64) number);
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

/* Bounds of strings are cut after so many bytes: without what is left of a character at the end. */
static const char *
whole_characters(char *bound)
{
	int			len = (int) strlen(bound);

	bound[pg_encoding_verifymbstr(GetDatabaseEncoding(), bound, len)] = '\0';
	return bound;
}

/*
 * What a column of a segment is like: codecs, sizes, and the range of its values when that may
 * be told.  Ranges are by bytes for text, as segments have them.
 */
static void
describe_column(TableSegment *segment, Form_pg_attribute attr, bool ranges, JsonbParseState **state)
{
	AttrNumber	attnum = attr->attnum;
	int			nchunks = TableSegmentChunks(segment, attnum);
	TypeCacheEntry *type = lookup_type_cache(attr->atttypid, TYPECACHE_CMP_PROC_FINFO);
	StringInfoData codecs;
	uint64		nulls = 0;
	uint64		raw = 0;
	uint64		stored = 0;
	Datum		minimum = 0;
	Datum		maximum = 0;
	bool		has_range = false;
	bool		cut = false;

	ranges = ranges && TableSegmentColumnType(segment, attnum) == attr->atttypid &&
		OidIsValid(type->cmp_proc_finfo.fn_oid);
	initStringInfo(&codecs);
	for (int chunk = 0; chunk < nchunks; chunk++)
	{
		TableChunkInfo info;

		TableSegmentChunkInfo(segment, attnum, chunk, &info);
		nulls += info.nulls;
		raw += info.raw_bytes;
		stored += info.stored_bytes;
		if (info.codec != NULL && strstr(codecs.data, info.codec) == NULL)
			appendStringInfo(&codecs, "%s%s", codecs.len > 0 ? ", " : "", info.codec);
		if (!info.has_range)
		{
			/* nulls alone have no range and do not widen it */
			if (info.nulls < info.rows)
				ranges = false;
			continue;
		}
		if (!ranges)
			continue;
		if (!has_range || DatumGetInt32(FunctionCall2Coll(&type->cmp_proc_finfo, C_COLLATION_OID,
														  info.minimum, minimum)) < 0)
			minimum = info.minimum;
		if (!has_range || DatumGetInt32(FunctionCall2Coll(&type->cmp_proc_finfo, C_COLLATION_OID,
														  info.maximum, maximum)) > 0)
		{
			maximum = info.maximum;
			cut = info.maximum_cut;
		}
		has_range = true;
	}
	push_key(state, NameStr(attr->attname));
	(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_text(state, "codec", codecs.data);
	push_int(state, "chunks", (uint64) nchunks);
	push_int(state, "nulls", nulls);
	push_int(state, "raw_bytes", raw);
	push_int(state, "stored_bytes", stored);
	if (ranges && has_range)
	{
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(attr->atttypid, &output, &varlena);
		push_text(state, "min", whole_characters(OidOutputFunctionCall(output, minimum)));
		push_text(state, cut ? "max_prefix" : "max", whole_characters(OidOutputFunctionCall(output, maximum)));
	}
	(void) pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static Datum
describe_columns(Relation rel, TableSegment *segment, bool ranges)
{
	TupleDesc	desc = RelationGetDescr(rel);
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < desc->natts && i < TableSegmentNatts(segment); i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			OidIsValid(TableSegmentColumnType(segment, (AttrNumber) (i + 1))))
			describe_column(segment, TupleDescAttr(desc, i), ranges, &state);
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* First and last of the TIDs of a segment's rows. */
static void
tid_range(TableSegment *segment, ItemPointer first, ItemPointer last)
{
	ItemPointerData tids[1024];
	uint32		rows = TableSegmentRows(segment);

	ItemPointerSetInvalid(first);
	for (uint32 start = 0; start < rows; start += lengthof(tids))
	{
		uint32		n = Min(rows - start, lengthof(tids));

		TableSegmentTids(segment, start, n, tids);
		for (uint32 i = 0; i < n; i++)
		{
			if (!ItemPointerIsValid(first) || ItemPointerCompare(&tids[i], first) < 0)
				*first = tids[i];
			if ((start == 0 && i == 0) || ItemPointerCompare(&tids[i], last) > 0)
				*last = tids[i];
		}
	}
}

/*
 * Whether the table has ann indexes, all of whose entries are in sealed segments.
 */
static bool
is_indexed(Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	bool		any = false;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		bool		growing = false;

		if (AnnIsOurIndex(index) && index->rd_index->indisvalid)
		{
			AnnMeta		meta;

			AnnReadMeta(index, &meta);
			growing = AnnGrowingRows(index, &meta) > 0;
			any = true;
		}
		index_close(index, AccessShareLock);
		if (growing)
			return false;
	}
	return any;
}

static Datum
uuid_datum(const SegmentId *id)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	memcpy(uuid->data, id->bytes, UUID_LEN);
	return UUIDPGetDatum(uuid);
}

static Datum
time_datum(int64 time, bool *isnull)
{
	*isnull = time == 0;
	return TimestampTzGetDatum(time);
}

/*
 * milvus.table_segments(regclass): a row for each segment, and one for the growing rows.
 */
Datum
milvus_table_segments(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel = open_table(relid, false);
	/* ranges are values of rows */
	bool		ranges = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relid, InvalidOid, true) != RLS_ENABLED;
	TableSegmentEntry *entries;
	bool		indexed;
	double		growing;
	Datum		values[14];
	bool		nulls[14];
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	entries = TableReadManifest(rel, &n);
	TableCount(rel, GetActiveSnapshot(), entries, n, 0, &growing);
	indexed = n > 0 && is_indexed(rel);
	for (int i = 0; i < n; i++)
	{
		const TableSegmentEntry *entry = &entries[i];
		TableSegment *segment = TableSegmentOpen(rel, entry->root, TableEntryTag(entry));
		ItemPointerData first;
		ItemPointerData last;

		tid_range(segment, &first, &last);
		memset(nulls, 0, sizeof(nulls));
		values[0] = uuid_datum(&entry->id);
		values[1] = Int32GetDatum(entry->number);
		values[2] = CStringGetTextDatum(entry->state == TABLE_SEGMENT_SEALED ? "Sealed" :
										indexed ? "Indexed" : "Flushed");
		values[3] = Int64GetDatum(entry->rows);
		values[4] = Int64GetDatum(entry->dead_rows);
		values[5] = Int64GetDatum((int64) entry->raw_bytes);
		values[6] = Int64GetDatum((int64) entry->stored_bytes);
		values[7] = describe_columns(rel, segment, ranges);
		values[8] = time_datum(entry->created, &nulls[8]);
		values[9] = time_datum(entry->sealed, &nulls[9]);
		values[10] = time_datum(entry->flushed, &nulls[10]);
		values[11] = PointerGetDatum(&first);
		values[12] = PointerGetDatum(&last);
		values[13] = CStringGetTextDatum(psprintf("pg_toast.%s", get_rel_name(rel->rd_rel->reltoastrelid)));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	if (growing > 0)
	{
		memset(values, 0, sizeof(values));
		memset(nulls, true, sizeof(nulls));
		values[2] = CStringGetTextDatum("Growing");
		values[3] = Int64GetDatum((int64) growing);
		nulls[2] = nulls[3] = false;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	table_close(rel, AccessShareLock);
	return (Datum) 0;
}
