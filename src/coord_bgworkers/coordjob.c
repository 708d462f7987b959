/*
 * coordjob.c
 *		What each kind of job does, and what is due in a database.
 *
 * A job checks for itself that its relation is still there and ours: between the
 * request and now it may have been dropped, and its number given to another.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "am/ann/ann.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "coord_bgworkers/coord_internal.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

void
CoordReportActivity(Oid relation, CoordJobKind kind)
{
	char		text[NAMEDATALEN * 2 + 64];
	char	   *name = NULL;
	char	   *space = NULL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (OidIsValid(relation))
	{
		name = get_rel_name(relation);
		space = get_namespace_name(get_rel_namespace(relation));
	}
	if (name != NULL && space != NULL)
		snprintf(text, sizeof(text), "milvus: %s %s.%s", CoordKindName(kind), space, name);
	else
		snprintf(text, sizeof(text), "milvus: %s", CoordKindName(kind));
	CommitTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, text);
}

/*
 * Seal or merge an index.  Whoever holds a stronger lock is about to change or drop
 * it: not now.
 */
static void
run_index(Oid relation, AnnSealMode mode)
{
	StartTransactionCommand();
	AnnRunSeal(relation, mode);
	CommitTransactionCommand();
}

/*
 * Make the cache files of an index's segments; those that are there are verified, so
 * that the first search after a start of the server need not.
 */
static void
warm_index(Oid relation)
{
	Oid			heapid;
	Relation	heap;
	Relation	index;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	heapid = IndexGetRelation(relation, true);
	if (OidIsValid(heapid) && ConditionalLockRelationOid(heapid, AccessShareLock))
	{
		heap = try_table_open(heapid, NoLock);
		index = heap != NULL && ConditionalLockRelationOid(relation, AccessShareLock) ?
			try_relation_open(relation, NoLock) : NULL;
		if (index != NULL && AnnIsOurIndex(index) && index->rd_index->indrelid == heapid &&
			index->rd_index->indisvalid)
		{
			AnnParams	params;
			AnnGrowing *growing;
			AnnView    *view;

			AnnGetParams(index, &params);
			view = AnnAcquireView(index, &params, &growing);
			AnnReleaseView(view, growing);
			/* the next job's mappings need the room in the address space */
			AnnForgetView(relation);
		}
		if (index != NULL)
			relation_close(index, NoLock);
		if (heap != NULL)
			table_close(heap, NoLock);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* Whether an index has something to seal or merge, or a cache to verify. */
static bool
index_is_due(Relation index, CoordJobKind *kind)
{
	AnnParams	params;
	AnnMeta		meta;
	AnnManifest *manifest;

	if (!index->rd_index->indisvalid || index->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	AnnGetParams(index, &params);
	manifest = AnnReadManifestLatest(index, &meta);
	if (AnnGrowingRows(index, &meta) > AnnGrowingLimit(&params))
		*kind = COORD_INDEX_SEAL;
	else if (AnnNeedsWorker(index, manifest))
		*kind = COORD_INDEX_MERGE;
	else
		return false;
	return true;
}

static void
add_due(List **due, MemoryContext context, Oid relation, CoordJobKind kind)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	CoordDue   *job = palloc(sizeof(CoordDue));

	job->relation = relation;
	job->kind = kind;
	*due = lappend(*due, job);
	MemoryContextSwitchTo(old);
}

/* Numbers of all relations of an access method, in the current context. */
static List *
relations_of(Oid am)
{
	Relation	class;
	SysScanDesc scan;
	HeapTuple	tuple;
	ScanKeyData key;
	List	   *list = NIL;

	class = table_open(RelationRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_class_relam, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(am));
	scan = systable_beginscan(class, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_INDEX || form->relkind == RELKIND_RELATION ||
			form->relkind == RELKIND_MATVIEW)
			list = lappend_oid(list, form->oid);
	}
	systable_endscan(scan);
	table_close(class, AccessShareLock);
	return list;
}

/*
 * false: the database does not have the extension.  *due: CoordDue in `context`.
 */
bool
CoordFindDue(List **due, MemoryContext context)
{
	ListCell   *lc;
	Oid			am;
	bool		present;

	*due = NIL;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	present = OidIsValid(get_extension_oid("milvus", true));
	am = present ? get_index_am_oid("ann", true) : InvalidOid;
	if (OidIsValid(am))
		foreach(lc, relations_of(am))
		{
			Oid			relation = lfirst_oid(lc);
			Oid			heapid = IndexGetRelation(relation, true);
			Relation	index;
			CoordJobKind kind;

			CHECK_FOR_INTERRUPTS();
			/* the table first, as everybody does; a relation that somebody changes now asks for itself */
			if (!OidIsValid(heapid) || !ConditionalLockRelationOid(heapid, AccessShareLock))
				continue;
			if (ConditionalLockRelationOid(relation, AccessShareLock))
			{
				index = try_relation_open(relation, NoLock);
				if (index != NULL)
				{
					if (AnnIsOurIndex(index) && index_is_due(index, &kind))
						add_due(due, context, relation, kind);
					relation_close(index, NoLock);
				}
				UnlockRelationOid(relation, AccessShareLock);
			}
			UnlockRelationOid(heapid, AccessShareLock);
		}
	PopActiveSnapshot();
	CommitTransactionCommand();
	return present;
}

/*
 * Queue what is due here.
 */
static void
scan_database(void)
{
	List	   *due;
	ListCell   *lc;
	bool		present = CoordFindDue(&due, CurrentMemoryContext);
	TimestampTz now = GetCurrentTimestamp();
	int			database;

	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	database = CoordFindDatabase(MyDatabaseId, true);
	if (database >= 0)
	{
		coord_shared->databases[database].extension = present ? COORD_PRESENT : COORD_ABSENT;
		if (!present)
			CoordForgetDatabase(database);
		foreach(lc, due)
		{
			const CoordDue *job = lfirst(lc);

			(void) CoordQueue(database, job->relation, job->kind, now, 0, 0, 0, 0);
		}
	}
	LWLockRelease(coord_shared->lock);
}

void
CoordRunJob(Oid relation, CoordJobKind kind, uint32 rounds, CoordOutcome *outcome)
{
	switch (kind)
	{
		case COORD_INDEX_SEAL:
			run_index(relation, ANN_SEAL_GROWING);
			break;
		case COORD_INDEX_MERGE:
			run_index(relation, ANN_SEAL_VACUUM);
			break;
		case COORD_WARM:
			warm_index(relation);
			break;
		case COORD_SCAN:
			scan_database();
			break;
		case COORD_SEAL:
		case COORD_COMPACT:
			break;
	}
}
