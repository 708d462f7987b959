/*
 * tableindex.c
 *		Building an index from a milvus table, and the second scan of a concurrent build.
 *
 * These are heap's rules, on rows that the slot completes.  An index entry of a HOT
 * chain points to the chain's root, so each page's roots are looked up when the scan
 * comes to it (src/backend/access/heap/README.HOT has the background).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "am/table/tablehandler.h"
#include "am/table/tableseal.h"
#include "am/table/tableslot.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"

/* A row's index expressions and predicate. */
typedef struct RowEvaluation
{
	IndexInfo  *info;
	EState	   *estate;
	ExprContext *context;
	ExprState  *predicate;
	TupleTableSlot *slot;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
} RowEvaluation;

static void
evaluation_begin(RowEvaluation *evaluation, Relation table, IndexInfo *info)
{
	Bitmapset  *columns = NULL;

	evaluation->info = info;
	evaluation->estate = CreateExecutorState();
	evaluation->context = GetPerTupleExprContext(evaluation->estate);
	evaluation->slot = table_slot_create(table, NULL);
	evaluation->context->ecxt_scantuple = evaluation->slot;
	evaluation->predicate = ExecPrepareQual(info->ii_Predicate, evaluation->estate);
	for (int i = 0; i < info->ii_NumIndexAttrs; i++)
		if (info->ii_IndexAttrNumbers[i] != 0)
			columns = bms_add_member(columns, info->ii_IndexAttrNumbers[i] - FirstLowInvalidHeapAttributeNumber);
	pull_varattnos((Node *) info->ii_Expressions, 1, &columns);
	pull_varattnos((Node *) info->ii_Predicate, 1, &columns);
	TableSlotReads(evaluation->slot, columns);
	bms_free(columns);
}

static void
evaluation_end(RowEvaluation *evaluation)
{
	ExecDropSingleTupleTableSlot(evaluation->slot);
	FreeExecutorState(evaluation->estate);
	/* They were the state's. */
	evaluation->info->ii_ExpressionsState = NIL;
	evaluation->info->ii_PredicateState = NULL;
}

/* Compute the values of the slot's row; false: the index does not have the row. */
static bool
evaluate_row(RowEvaluation *evaluation)
{
	MemoryContextReset(evaluation->context->ecxt_per_tuple_memory);
	if (evaluation->predicate != NULL && !ExecQual(evaluation->predicate, evaluation->context))
		return false;
	FormIndexDatum(evaluation->info, evaluation->slot, evaluation->estate, evaluation->values,
				   evaluation->isnull);
	return true;
}

/* Next row of the scan, complete in the slot, its raw tuple returned. */
static HeapTuple
next_row(TableScanDesc scan, TupleTableSlot *slot)
{
	if (!table_scan_getnextslot(scan, ForwardScanDirection, slot))
		return NULL;
	return ((TableSlot *) slot)->inner.base.tuple;
}

/* Where the HOT chains of a page begin. */
typedef struct PageRoots
{
	BlockNumber block;
	OffsetNumber offsets[MaxHeapTuplesPerPage];
} PageRoots;

static void
read_roots(PageRoots *roots, HeapScanDesc scan)
{
	LockBuffer(scan->rs_cbuf, BUFFER_LOCK_SHARE);
	heap_get_root_tuples(BufferGetPage(scan->rs_cbuf), roots->offsets);
	LockBuffer(scan->rs_cbuf, BUFFER_LOCK_UNLOCK);
	roots->block = scan->rs_cblock;
}

/*
 * TID that the index has for the row.  Pruning cannot move roots: the scan has the page pinned.
 * Under ShareUpdateExclusiveLock a HOT tuple may be younger than the list of roots.
 */
static ItemPointerData
root_tid(PageRoots *roots, HeapScanDesc scan, HeapTuple tuple)
{
	ItemPointerData tid = tuple->t_self;
	OffsetNumber offset = ItemPointerGetOffsetNumber(&tid);

	if (!HeapTupleIsHeapOnly(tuple))
		return tid;
	if (!OffsetNumberIsValid(roots->offsets[offset - 1]))
		read_roots(roots, scan);
	if (!OffsetNumberIsValid(roots->offsets[offset - 1]))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg_internal("failed to find parent tuple for heap-only tuple at (%u,%u) in table \"%s\"",
								 ItemPointerGetBlockNumber(&tid), offset,
								 RelationGetRelationName(scan->rs_base.rs_rd))));
	ItemPointerSetOffsetNumber(&tid, roots->offsets[offset - 1]);
	return tid;
}

/* Blocks that the scan has read, as far as this process knows. */
static BlockNumber
blocks_done(HeapScanDesc scan)
{
	BlockNumber start = scan->rs_startblock;
	BlockNumber nblocks = scan->rs_nblocks;

	if (scan->rs_base.rs_parallel != NULL)
	{
		ParallelBlockTableScanDesc shared = (ParallelBlockTableScanDesc) scan->rs_base.rs_parallel;

		start = shared->phs_startblock;
		nblocks = shared->phs_nblocks;
	}
	/* A synchronized scan begins anywhere and wraps around. */
	return scan->rs_cblock > start ? scan->rs_cblock - start : nblocks - start + scan->rs_cblock;
}

static BlockNumber
blocks_total(HeapScanDesc scan)
{
	if (scan->rs_base.rs_parallel != NULL)
		return ((ParallelBlockTableScanDesc) scan->rs_base.rs_parallel)->phs_nblocks;
	return scan->rs_nblocks;
}

/* What a build makes of a tuple. */
typedef struct Verdict
{
	bool		index;			/* it gets an entry */
	bool		alive;			/* unique and exclusion constraints look at it */
	bool		count;			/* it counts as live, as ANALYZE counts */
	TransactionId wait;			/* or: wait for this transaction, and ask again */
} Verdict;

static Verdict
judge_in_progress_insert(HeapTuple tuple, Relation table, bool anyvisible, bool constraint)
{
	Verdict		verdict = {.index = true, .alive = true};
	TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);

	if (anyvisible || TransactionIdIsCurrentTransactionId(xmin))
		verdict.count = true;
	else
	{
		elog(WARNING, "concurrent insert in progress within table \"%s\"", RelationGetRelationName(table));
		/* If that transaction aborts, there is no violation. */
		if (constraint)
			verdict.wait = xmin;
	}
	return verdict;
}

static Verdict
judge_in_progress_delete(HeapTuple tuple, Relation table, bool anyvisible, bool constraint,
						 bool *broken_chain)
{
	Verdict		verdict = {.index = true, .alive = false};
	TransactionId xmax = HeapTupleHeaderGetUpdateXid(tuple->t_data);

	if (anyvisible)
		verdict.count = true;
	else if (!TransactionIdIsCurrentTransactionId(xmax))
	{
		elog(WARNING, "concurrent delete in progress within table \"%s\"", RelationGetRelationName(table));
		/* Should it abort, the tuple is alive: it may violate, and it is the one of its chain to index. */
		if (constraint || HeapTupleIsHotUpdated(tuple))
			verdict.wait = xmax;
		verdict.count = true;
	}
	else if (HeapTupleIsHotUpdated(tuple))
	{
		/* Ours, and the index matters only if we commit: as with a tuple recently dead. */
		verdict.index = false;
		*broken_chain = true;
	}
	return verdict;
}

/* A tuple seen with SnapshotAny.  The page is pinned. */
static Verdict
judge(HeapTuple tuple, Buffer buffer, Relation table, TransactionId oldest_xmin, bool anyvisible,
	  bool constraint, bool *broken_chain)
{
	Verdict		verdict = {0};

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	switch (HeapTupleSatisfiesVacuum(tuple, oldest_xmin, buffer))
	{
		case HEAPTUPLE_DEAD:
			break;
		case HEAPTUPLE_LIVE:
			verdict.index = verdict.alive = verdict.count = true;
			break;
		case HEAPTUPLE_RECENTLY_DEAD:

			/*
			 * Old snapshots may see it, through this index too.  Of a HOT chain only the live
			 * tuple can have an entry; snapshots that see an older one cannot use the index.
			 */
			if (HeapTupleIsHotUpdated(tuple))
				*broken_chain = true;
			else
				verdict.index = true;
			break;
		case HEAPTUPLE_INSERT_IN_PROGRESS:
			verdict = judge_in_progress_insert(tuple, table, anyvisible, constraint);
			break;
		case HEAPTUPLE_DELETE_IN_PROGRESS:
			verdict = judge_in_progress_delete(tuple, table, anyvisible, constraint, broken_chain);
			break;
		default:
			elog(ERROR, "unexpected HeapTupleSatisfiesVacuum result");
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return verdict;
}

/* index_build_range_scan: `scan` is a parallel build's share, or NULL. */
double
TableIndexBuildRangeScan(Relation table, Relation index, IndexInfo *info, bool allow_sync, bool anyvisible,
						 bool progress, BlockNumber start, BlockNumber nblocks, IndexBuildCallback callback,
						 void *callback_state, TableScanDesc scan)
{
	bool		constraint = info->ii_Unique || info->ii_ExclusionOps != NULL;
	TransactionId oldest_xmin = InvalidTransactionId;
	Snapshot	registered = NULL;
	BlockNumber reported = InvalidBlockNumber;
	RowEvaluation evaluation;
	PageRoots	roots = {.block = InvalidBlockNumber};
	TableRoots	segments = {0};
	HeapScanDesc heap_scan;
	HeapTuple	tuple;
	double		live = 0;
	bool		any;

	Assert(!(anyvisible && constraint));
	evaluation_begin(&evaluation, table, info);

	/* Everything that somebody may still see; a concurrent build takes what one snapshot sees. */
	if (!info->ii_Concurrent)
		oldest_xmin = GetOldestNonRemovableTransactionId(table);
	if (scan == NULL)
	{
		if (info->ii_Concurrent)
			registered = RegisterSnapshot(GetTransactionSnapshot());
		scan = table_beginscan_strat(table, registered != NULL ? registered : SnapshotAny, 0, NULL, true,
									 allow_sync);
	}
	any = scan->rs_snapshot == SnapshotAny;
	Assert(any == TransactionIdIsValid(oldest_xmin));
	Assert(any || !anyvisible);
	heap_scan = (HeapScanDesc) scan;
	if (progress)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, blocks_total(heap_scan));
	if (!allow_sync)
		heap_setscanlimits(scan, start, nblocks);
	else
		Assert(start == 0 && nblocks == InvalidBlockNumber);

	while ((tuple = next_row(scan, evaluation.slot)) != NULL)
	{
		Verdict		verdict = {.index = true, .alive = true, .count = true};
		ItemPointerData tid;

		CHECK_FOR_INTERRUPTS();
		if (progress && blocks_done(heap_scan) != reported)
		{
			reported = blocks_done(heap_scan);
			pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, reported);
		}
		if (roots.block != heap_scan->rs_cblock)
			read_roots(&roots, heap_scan);
		while (any)
		{
			verdict = judge(tuple, heap_scan->rs_cbuf, table, oldest_xmin, anyvisible, constraint,
							&info->ii_BrokenHotChain);
			if (!TransactionIdIsValid(verdict.wait))
				break;
			XactLockTableWait(verdict.wait, table, &tuple->t_self, XLTW_InsertIndexUnique);
			CHECK_FOR_INTERRUPTS();
		}
		if (verdict.count)
			live += 1;
		/* dead to everybody, until a standby said otherwise */
		if (verdict.index && !verdict.alive && ((TableSlot *) evaluation.slot)->stub &&
			TableStubIsGone(&segments, table, TableStubRef(tuple->t_data, tuple->t_len)))
			continue;
		if (!verdict.index || !evaluate_row(&evaluation))
			continue;
		tid = root_tid(&roots, heap_scan, tuple);
		callback(index, &tid, evaluation.values, evaluation.isnull, verdict.alive, callback_state);
	}

	if (progress)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, blocks_total(heap_scan));
	table_endscan(scan);
	if (registered != NULL)
		UnregisterSnapshot(registered);
	evaluation_end(&evaluation);
	return live;
}

/* The sorted TIDs that the index has. */
typedef struct IndexTids
{
	Tuplesortstate *sort;
	ItemPointerData tid;		/* where the merge is */
	bool		started;
	bool		ended;
	bool		on_page[MaxHeapTuplesPerPage];	/* of the scan's page: passed by */
} IndexTids;

/*
 * Does the index have the TID?  Asked page by page in order; within a page in any order,
 * because roots of HOT chains are not in the order of their live tuples.
 */
static bool
index_has(IndexTids *tids, const ItemPointerData *wanted)
{
	ItemPointerData copy = *wanted;

	while (!tids->ended && (!tids->started || ItemPointerCompare(&tids->tid, &copy) < 0))
	{
		Datum		value;
		bool		isnull;

		if (tids->started && ItemPointerGetBlockNumber(&tids->tid) == ItemPointerGetBlockNumber(&copy))
			tids->on_page[ItemPointerGetOffsetNumber(&tids->tid) - 1] = true;
		tids->started = true;
		tids->ended = !MilvusTuplesortGetDatum(tids->sort, &value, &isnull);
		if (!tids->ended)
		{
			Assert(!isnull);
			itemptr_decode(&tids->tid, DatumGetInt64(value));
#ifndef USE_FLOAT8_BYVAL
			pfree(DatumGetPointer(value));
#endif
		}
	}
	if (!tids->ended && ItemPointerEquals(&tids->tid, &copy))
		return true;
	return tids->on_page[ItemPointerGetOffsetNumber(&copy) - 1];
}

/* index_validate_scan: inserts the rows that `snapshot` sees and the index lacks. */
void
TableIndexValidateScan(Relation table, Relation index, IndexInfo *info, Snapshot snapshot,
					   ValidateIndexState *state)
{
	IndexTids	tids = {.sort = state->tuplesort};
	PageRoots	roots = {.block = InvalidBlockNumber};
	RowEvaluation evaluation;
	TableScanDesc scan;
	HeapScanDesc heap_scan;
	HeapTuple	tuple;

	evaluation_begin(&evaluation, table, info);
	/* From the first block on: the TIDs are sorted. */
	scan = table_beginscan_strat(table, snapshot, 0, NULL, true, false);
	heap_scan = (HeapScanDesc) scan;
	pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, heap_scan->rs_nblocks);

	while ((tuple = next_row(scan, evaluation.slot)) != NULL)
	{
		ItemPointerData tid;

		CHECK_FOR_INTERRUPTS();
		state->htups += 1;
		if (roots.block != heap_scan->rs_cblock)
		{
			pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, heap_scan->rs_cblock);
			read_roots(&roots, heap_scan);
			memset(tids.on_page, 0, sizeof(tids.on_page));
		}
		tid = root_tid(&roots, heap_scan, tuple);
		if (index_has(&tids, &tid) || !evaluate_row(&evaluation))
			continue;

		/*
		 * Uniqueness is checked even if the tuple is dead by now: the entry stands for its
		 * whole HOT chain, whose later tuples got none of their own.
		 */
		index_insert(index, evaluation.values, evaluation.isnull, &tid, table,
					 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
		state->tups_inserted += 1;
	}

	table_endscan(scan);
	evaluation_end(&evaluation);
}
