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
#include "am/table/table.h"
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

/*
 * Retries of a seal that made nothing of rows that are there, and when the first is: ms.  The next
 * ones wait 2^RETRY_SHIFT times as long: each costs a start of a worker.
 */
#define MAX_ROUNDS 10
#define FIRST_RETRY 1000
#define RETRY_SHIFT 3

static int64
retry_delay(uint32 rounds)
{
	return Min((int64) FIRST_RETRY << Min(RETRY_SHIFT * rounds, 30), (int64) milvus_settings.worker_naptime * 1000);
}

void
CoordReportActivity(const CoordTask *task)
{
	char		text[NAMEDATALEN * 2 + 64];
	char	   *name = NULL;
	char	   *space = NULL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (OidIsValid(task->relation))
	{
		name = get_rel_name(task->relation);
		space = get_namespace_name(get_rel_namespace(task->relation));
	}
	if (name != NULL && space != NULL)
		snprintf(text, sizeof(text), "milvus: %s %s.%s", CoordKindName(task->kind), space, name);
	else
		snprintf(text, sizeof(text), "milvus: %s", CoordKindName(task->kind));
	CommitTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, text);
}

/*
 * Seal or merge an index.  Whoever holds a stronger lock is about to change or drop
 * it: later, for he may think better of it.
 */
static void
run_index(const CoordTask *task, AnnSealMode mode, CoordOutcome *outcome)
{
	int			made;

	StartTransactionCommand();
	made = AnnRunSeal(task->relation, mode);
	CommitTransactionCommand();
	if (made == ANN_SEAL_LOCKED)
		outcome->later = retry_delay(task->rounds);
	else
		outcome->made = made;
	SegmentCacheTrim();
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
			AnnMeta		meta;
			AnnManifest *manifest = AnnReadManifestLatest(index, &meta);

			for (int i = 0; i < manifest->nsegments; i++)
			{
				AnnSegmentHandle *handle;

				CoordReportProgress(i, manifest->nsegments);
				handle = AnnSegmentOpen(index, &manifest->segments[i], CurrentMemoryContext);
				/* merged away meanwhile: whoever did that has made the new one's file */
				if (handle == NULL)
					continue;
				handle->refcount++;
				AnnSegmentClose(handle);
				MILVUS_DEBUG_POINT("cache-file-warm");
			}
			CoordReportProgress(manifest->nsegments, manifest->nsegments);
		}
		if (index != NULL)
			relation_close(index, NoLock);
		if (heap != NULL)
			table_close(heap, NoLock);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* ---- tables ---- */

typedef struct TableLook
{
	bool		ours;
	bool		busy;			/* somebody has a lock that a seal needs */
	bool		unfinished;		/* pages of a segment wait for their stubs */
	uint64		sealed;			/* rows in its segments */
	bool		auto_seal;		/* options */
	uint64		segment_rows;
	uint64		segment_bytes;
	uint64		min_rows;
	int			age;			/* s; -1: none */
	Bitmapset  *cached;			/* columns of which some segment has a cache file */
} TableLook;

/*
 * What there is to say of a table, in the current memory context.  With `cache` its
 * segments are opened, too.
 */
static void
look_at_table(Oid relation, bool cache, TableLook *look)
{
	MemoryContext context = CurrentMemoryContext;
	Relation	rel;

	memset(look, 0, sizeof(*look));
	StartTransactionCommand();
	look->busy = !ConditionalLockRelationOid(relation, ShareUpdateExclusiveLock);
	if (!look->busy)
	{
		rel = try_relation_open(relation, NoLock);
		if (rel != NULL && rel->rd_rel->relkind == RELKIND_RELATION && TableIsMilvus(rel) &&
			rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT &&
			OidIsValid(rel->rd_rel->reltoastrelid))
		{
			TableOptions options;
			TableSegmentEntry *entries;
			int			n;

			look->ours = true;
			TableGetOptions(rel, &options);
			look->auto_seal = options.auto_seal;
			look->min_rows = (uint64) Max(options.min_rows, 1);
			look->segment_rows = (uint64) options.segment_rows;
			look->segment_bytes = (uint64) options.segment_bytes;
			look->age = options.segment_age;
			entries = TableReadManifest(rel, &n);
			for (int i = 0; i < n; i++)
			{
				look->sealed += entries[i].rows;
				look->unfinished |= entries[i].state == TABLE_SEGMENT_SEALED;
				if (cache)
				{
					Bitmapset  *cached = TableSegmentCached(TableSegmentOpen(rel, entries[i].root,
																			 TableEntryTag(&entries[i])));
					MemoryContext old = MemoryContextSwitchTo(context);

					look->cached = bms_add_members(look->cached, cached);
					MemoryContextSwitchTo(old);
				}
			}
		}
		if (rel != NULL)
			relation_close(rel, NoLock);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/*
 * Make or verify the cache files of columns that some segment has one of: who reads a
 * column reads it of all segments.  `whole`: that is all that the job is about.
 */
static void
warm_table(Oid relation, const Bitmapset *columns, bool whole)
{
	MemoryContext context = CurrentMemoryContext;
	Relation	rel;

	if (!milvus_settings.warm_cache || milvus_settings.cache_size == 0 || bms_is_empty(columns))
		return;
	StartTransactionCommand();
	if (ConditionalLockRelationOid(relation, AccessShareLock))
	{
		rel = try_relation_open(relation, NoLock);
		if (rel != NULL && rel->rd_rel->relkind == RELKIND_RELATION && TableIsMilvus(rel))
		{
			int			n;
			TableSegmentEntry *entries = TableReadManifest(rel, &n);
			uint64		files = (uint64) n * bms_num_members(columns);
			uint64		done = 0;

			for (int i = 0; i < n; i++)
			{
				TableSegment *segment = TableSegmentOpen(rel, entries[i].root, TableEntryTag(&entries[i]));
				int			column = -1;

				while ((column = bms_next_member(columns, column)) >= 0)
				{
					if (whole)
						CoordReportProgress(done++, files);
					CHECK_FOR_INTERRUPTS();
					(void) TableSegmentWarmColumn(segment, (AttrNumber) column);
					MILVUS_DEBUG_POINT("cache-file-warm");
				}
			}
			if (whole)
				CoordReportProgress(done, files);
		}
		if (rel != NULL)
			relation_close(rel, NoLock);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/* What had to be left by whoever has the table locked. */
static void
leave_for_later(const CoordTask *task, CoordOutcome *outcome)
{
	outcome->later = retry_delay(task->rounds);
	outcome->left = task->rows;
	outcome->left_bytes = task->bytes;
}

/*
 * When a table is to be looked at again after a seal job: its rows are not forgotten because they
 * are too few or too young, or somebody may not see them yet.
 */
static void
plan_next_seal(const CoordTask *task, const TableLook *before, const TableLook *after,
			   const TableSealReport *report, CoordOutcome *outcome)
{
	uint64		sealed = after->sealed - Min(before->sealed, after->sealed);
	double		share = report->rows > 0 ? Max(1 - sealed / report->rows, 0) : 0;
	double		rows = report->rows * share + report->waiting;
	double		bytes = report->bytes * share + report->waiting_bytes;

	/* of the growth that the job was queued for; rows may be gone that were told of */
	if (task->rows > 0)
	{
		outcome->left = (uint64) Min(task->rows - Min(task->rows, sealed), rows);
		outcome->left_bytes = (uint64) ((double) task->bytes * outcome->left / task->rows);
	}
	if (outcome->later >= 0 || !after->auto_seal)
		return;
	if (rows >= after->segment_rows || bytes >= after->segment_bytes ||
		(rows >= after->min_rows && outcome->made == 0 && report->wait == 0))
	{
		/* it is time, but not everybody sees them, or somebody wanted the table */
		outcome->fresh = outcome->made > 0;
		if (task->rounds < MAX_ROUNDS)
			outcome->later = retry_delay(task->rounds);
		else if (report->waiting >= 1 && after->age >= 0)
			outcome->later = (int64) after->age * 1000;
	}
	else if (rows >= after->min_rows && after->age >= 0 && (outcome->made > 0 || report->wait > 0))
	{
		/* they are sealed when they are old enough */
		outcome->later = (outcome->made > 0 ? (int64) after->age * 1000 : report->wait) + FIRST_RETRY;
		outcome->fresh = true;
	}
}

/*
 * Seal or compact as the policy says.  What had to be left is tried again later: pages
 * that were pinned, a table that somebody else had locked, rows that are not yet visible
 * to everybody.
 */
static void
run_table(const CoordTask *task, CoordOutcome *outcome)
{
	TableSealReport report = {.wait = -1};
	TableLook	before;
	TableLook	after;

	look_at_table(task->relation, milvus_settings.warm_cache, &before);
	if (before.busy)
	{
		leave_for_later(task, outcome);
		return;
	}
	if (!before.ours)
		return;
	if (task->kind == COORD_SEAL)
		outcome->made = TableSeal(task->relation,
								  milvus_settings.seal_eagerly ? TABLE_SEAL_ALL : TABLE_SEAL_POLICY,
								  false, NULL, &report);
	else
		outcome->made = TableCompact(task->relation,
									 milvus_settings.seal_eagerly ? TABLE_COMPACT_MERGE : TABLE_COMPACT_POLICY,
									 false, NULL);
	if (outcome->made > 0)
	{
		warm_table(task->relation, before.cached, false);
		SegmentCacheTrim();
	}
	look_at_table(task->relation, false, &after);
	if (after.busy)
	{
		leave_for_later(task, outcome);
		return;
	}
	if (!after.ours)
		return;
	if (after.unfinished)
		outcome->later = retry_delay(task->rounds);
	if (task->kind != COORD_SEAL || milvus_settings.seal_eagerly)
		return;
	/* more segments may want to be one */
	if (outcome->made > 0)
		(void) CoordRequest(task->relation, COORD_COMPACT);
	plan_next_seal(task, &before, &after, &report, outcome);
}

/* ---- what is due ---- */

/* Whether an index has something to seal or merge. */
static bool
index_is_due(Relation index, CoordJobKind *kind)
{
	AnnParams	params;
	AnnMeta		meta;
	AnnManifest *manifest;

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

/* A list of CoordTask, in a context of its own, while it grows. */
typedef struct DueList
{
	List	   *tasks;
	MemoryContext context;
} DueList;

static void
add_due(DueList *due, Oid relation, CoordJobKind kind)
{
	MemoryContext old = MemoryContextSwitchTo(due->context);
	CoordTask  *task = palloc0(sizeof(CoordTask));

	task->relation = relation;
	task->kind = kind;
	due->tasks = lappend(due->tasks, task);
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

	if (!OidIsValid(am))
		return NIL;
	class = table_open(RelationRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_class_relam, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(am));
	scan = systable_beginscan(class, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if ((form->relkind == RELKIND_INDEX || form->relkind == RELKIND_RELATION) &&
			form->relpersistence == RELPERSISTENCE_PERMANENT)
			list = lappend_oid(list, form->oid);
	}
	systable_endscan(scan);
	table_close(class, AccessShareLock);
	return list;
}

List *
CoordListTables(MemoryContext context)
{
	List	   *list;
	MemoryContext old;

	StartTransactionCommand();
	old = MemoryContextSwitchTo(context);
	list = relations_of(get_table_am_oid("milvus", true));
	MemoryContextSwitchTo(old);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return list;
}

static void
look_at_index(Oid relation, bool warm, DueList *due)
{
	Oid			heapid = IndexGetRelation(relation, true);
	Relation	index;
	CoordJobKind kind;

	/* the table first, as everybody does; a relation that somebody changes now asks for itself */
	if (!OidIsValid(heapid) || !ConditionalLockRelationOid(heapid, AccessShareLock) ||
		!ConditionalLockRelationOid(relation, AccessShareLock))
		return;
	index = try_relation_open(relation, NoLock);
	if (index == NULL)
		return;
	if (AnnIsOurIndex(index) && index->rd_index->indisvalid)
	{
		if (index_is_due(index, &kind))
			add_due(due, relation, kind);
		if (warm && SegmentCacheBytes(index) > 0)
			add_due(due, relation, COORD_WARM);
	}
	relation_close(index, NoLock);
}

static void
look_for_table(Oid relation, bool warm, DueList *due)
{
	Relation	rel;
	int			n;

	if (!ConditionalLockRelationOid(relation, AccessShareLock))
		return;
	rel = try_relation_open(relation, NoLock);
	if (rel == NULL)
		return;
	/* an empty one has no segments either */
	if (rel->rd_rel->relkind == RELKIND_RELATION && TableIsMilvus(rel) &&
		OidIsValid(rel->rd_rel->reltoastrelid) && RelationGetNumberOfBlocks(rel) > 0)
	{
		/* the job itself sees whether it is time, and what a crash left */
		add_due(due, relation, COORD_SEAL);
		pfree(TableReadManifest(rel, &n));
		if (n > 1)
			add_due(due, relation, COORD_COMPACT);
		if (warm && n > 0)
			add_due(due, relation, COORD_WARM);
	}
	relation_close(rel, NoLock);
}

/*
 * Look at one relation, in a transaction.  One that is damaged does not keep the others from being
 * looked at: it gets a job, which fails for itself and is seen to.
 */
static void
look_at_relation(Oid relation, CoordJobKind kind, bool warm, DueList *due)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool good = true;

	CHECK_FOR_INTERRUPTS();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	PG_TRY();
	{
		MILVUS_DEBUG_POINT("look-at-relation");
		if (kind == COORD_SEAL)
			look_for_table(relation, warm, due);
		else
			look_at_index(relation, warm, due);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (geterrcode() == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		good = false;
		HOLD_INTERRUPTS();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	if (good)
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	else
		add_due(due, relation, kind);
	MemoryContextSwitchTo(context);
}

bool
CoordFindDue(List **tasks, bool warm, MemoryContext context)
{
	MemoryContext old = CurrentMemoryContext;
	DueList		due = {NIL, context};
	List	   *indexes;
	List	   *tables;
	ListCell   *lc;
	bool		present;

	*tasks = NIL;
	warm = warm && milvus_settings.warm_cache && milvus_settings.cache_size != 0;
	StartTransactionCommand();
	present = OidIsValid(get_extension_oid("milvus", true));
	MemoryContextSwitchTo(context);
	indexes = relations_of(get_index_am_oid("ann", true));
	tables = relations_of(get_table_am_oid("milvus", true));
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	foreach(lc, indexes)
		look_at_relation(lfirst_oid(lc), COORD_INDEX_SEAL, warm, &due);
	foreach(lc, tables)
		look_at_relation(lfirst_oid(lc), COORD_SEAL, warm, &due);
	*tasks = due.tasks;
	MemoryContextSwitchTo(old);
	return present;
}

static int
by_relation(const ListCell *a, const ListCell *b)
{
	const CoordTask *left = lfirst(a);
	const CoordTask *right = lfirst(b);

	return left->relation < right->relation ? -1 : left->relation > right->relation;
}

/*
 * Queue what is due here.  What finds no room is found by the next look, which goes on behind the last
 * relation that did.
 */
static void
scan_database(void)
{
	List	   *due;
	ListCell   *lc;
	bool		present;
	TimestampTz now = GetCurrentTimestamp();
	int			database;

	/* requests that were lost before are found by a look at everything */
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	database = CoordFindDatabase(MyDatabaseId, true);
	if (database >= 0 && !OidIsValid(coord_shared->databases[database].looked_at))
		coord_shared->databases[database].overflow = false;
	LWLockRelease(coord_shared->lock);

	present = CoordFindDue(&due, true, CurrentMemoryContext);
	list_sort(due, by_relation);
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	database = CoordFindDatabase(MyDatabaseId, true);
	if (database >= 0)
	{
		CoordDatabase *entry = &coord_shared->databases[database];
		Oid			last = entry->looked_at;

		entry->extension = present ? COORD_PRESENT : COORD_ABSENT;
		entry->looked_at = InvalidOid;
		if (!present)
			CoordForgetDatabase(database);
		foreach(lc, due)
		{
			const CoordTask *task = lfirst(lc);

			if (task->relation <= last)
				continue;
			if (CoordQueue(database, task->relation, task->kind, now, 0, 0, 0, 0) < 0)
			{
				/* its other jobs, if it has some, are asked for again */
				entry->looked_at = task->relation - 1;
				break;
			}
		}
	}
	LWLockRelease(coord_shared->lock);
}

/* Make or verify the cache files of a table or an index. */
static void
run_warm(Oid relation)
{
	char		kind;

	StartTransactionCommand();
	kind = get_rel_relkind(relation);
	CommitTransactionCommand();
	if (kind == RELKIND_INDEX)
		warm_index(relation);
	else if (kind == RELKIND_RELATION)
	{
		TableLook	look;

		look_at_table(relation, true, &look);
		warm_table(relation, look.cached, true);
	}
	SegmentCacheTrim();
}

void
CoordRunJob(const CoordTask *task, CoordOutcome *outcome)
{
	switch (task->kind)
	{
		case COORD_INDEX_SEAL:
			run_index(task, ANN_SEAL_GROWING, outcome);
			break;
		case COORD_INDEX_MERGE:
			run_index(task, ANN_SEAL_VACUUM, outcome);
			break;
		case COORD_SEAL:
		case COORD_COMPACT:
			run_table(task, outcome);
			break;
		case COORD_WARM:
			run_warm(task->relation);
			break;
		case COORD_SCAN:
			scan_database();
			break;
	}
}
