/*
 * tablerewrite.c
 *		CLUSTER and VACUUM FULL.
 *
 * Every row that somebody may still see goes to the new relation through the
 * server's rewriteheap.c, which keeps its transaction information and its place in
 * a chain of updates.  Rows that everybody sees go there as stubs, and their values
 * to new segments in the new TOAST relation; the others are complete, growing rows.
 * All of it is one transaction's: the segments are Flushed from the beginning.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/rewriteheap.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "am/table/tablehandler.h"
#include "am/table/tableseal.h"
#include "am/table/tableslot.h"
#include "commands/progress.h"
#include "compat.h"
#include "coord_bgworkers/coord.h"
#include "executor/executor.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"

typedef struct Rewrite
{
	Relation	old;
	Relation	new;
	RewriteState state;
	Datum	   *values;
	bool	   *isnull;
	double		written;

	/* sealing */
	TableRoots	roots;			/* of the old table */
	bool		seal;
	TransactionId oldest_xmin;
	FullTransactionId horizon;
	Bitmapset  *kept;
	Relation	toast;
	Relation	old_toast;
	TableBuilder *builder;		/* of the segment begun, or NULL */
} Rewrite;

/*
 * Are stubs to be written?  Not into a table of fewer rows than make a segment worth it, unless
 * there are segments already.
 */
static bool
seals(Relation old, Relation new, Bitmapset **kept)
{
	bool		sealable;
	TableOptions options;
	TableSegmentEntry *entries;
	BlockNumber pages;
	double		rows;
	double		all_visible;
	int			n;

	*kept = TableKeptColumns(old, &sealable);
	/* a materialized view is filled anew, by REFRESH: not worth it, nor does a worker seal it */
	if (!sealable || !OidIsValid(new->rd_rel->reltoastrelid) || old->rd_rel->relkind != RELKIND_RELATION)
		return false;
	entries = TableReadManifest(old, &n);
	pfree(entries);
	if (n > 0 || milvus_settings.seal_eagerly)
		return true;
	TableGetOptions(old, &options);
	table_relation_estimate_size(old, NULL, &pages, &rows, &all_visible);
	return options.auto_seal && rows >= options.min_rows;
}

static void
finish_segment(Rewrite *rewrite)
{
	TableSegmentEntry entry;

	if (rewrite->builder == NULL)
		return;
	if (TableBuilderRows(rewrite->builder) == 0)
	{
		TableBuilderAbort(rewrite->builder);
		rewrite->builder = NULL;
		return;
	}
	TableBuilderFinish(rewrite->builder, &entry);
	rewrite->builder = NULL;
	entry.state = TABLE_SEGMENT_FLUSHED;
	entry.todo = InvalidOid;
	entry.sealed = entry.flushed = GetCurrentTimestamp();
	entry.dead_rows = 0;
	entry.horizon = U64FromFullTransactionId(rewrite->horizon);
	TableInsertEntry(rewrite->new, &entry);
}

/* Does everybody see the row, and has nobody locked or changed it?  Its hint bits are set. */
static bool
visible_to_all(const Rewrite *rewrite, HeapTupleHeader header)
{
	return HeapTupleHeaderXminCommitted(header) && (header->t_infomask & HEAP_XMAX_INVALID) != 0 &&
		!HeapTupleHeaderIsHotUpdated(header) &&
		TransactionIdPrecedes(HeapTupleHeaderGetXmin(header), rewrite->oldest_xmin);
}

/*
 * Write `full`, a complete row whose values are in rewrite->values, as a stub; false: it cannot be
 * one.  rewriteheap.c writes such a row at once, so that its TID is known afterwards.
 */
static bool
write_stub(Rewrite *rewrite, HeapTuple tuple, HeapTuple full)
{
	TableRef	ref;
	HeapTuple	stub;

	if (!rewrite->seal || !visible_to_all(rewrite, tuple->t_data))
		return false;
	if (rewrite->builder != NULL && TableBuilderIsFull(rewrite->builder))
		finish_segment(rewrite);
	if (rewrite->builder == NULL)
		rewrite->builder = TableBuilderBegin(rewrite->old, rewrite->toast, rewrite->old_toast,
											 RelationGetDescr(rewrite->new));
	if (!TableBuilderFits(rewrite->builder, rewrite->values, rewrite->isnull))
		return false;
	ref = TableBuilderNextRef(rewrite->builder);
	stub = TableFormStub(rewrite->new, full, rewrite->kept, ref);
	if (stub == NULL)
		return false;
	/* A longer one would be toasted: taken apart and formed anew. */
	if (stub->t_len > TOAST_TUPLE_THRESHOLD)
	{
		heap_freetuple(stub);
		return false;
	}
	rewrite_heap_tuple(rewrite->state, tuple, stub);
	if (!ItemPointerIsValid(&stub->t_self) ||
		TableBuilderAdd(rewrite->builder, &stub->t_self, rewrite->values, rewrite->isnull) != TableRefRow(ref))
		elog(ERROR, "row written to table \"%s\" is not where its segment has it",
			 RelationGetRelationName(rewrite->old));
	heap_freetuple(stub);
	return true;
}

/* Write a complete row, its transaction information from `tuple`; dropped columns become null. */
static void
write_row(Rewrite *rewrite, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(rewrite->new);
	HeapTuple	copy;

	heap_deform_tuple(tuple, RelationGetDescr(rewrite->old), rewrite->values, rewrite->isnull);
	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attisdropped)
			rewrite->isnull[i] = true;
	copy = heap_form_tuple(desc, rewrite->values, rewrite->isnull);
	if (!write_stub(rewrite, tuple, copy))
		rewrite_heap_tuple(rewrite->state, tuple, copy);
	heap_freetuple(copy);
	rewrite->written += 1;
}

typedef enum RowFate
{
	ROW_DEAD,
	ROW_RECENTLY_DEAD,
	ROW_LIVE
} RowFate;

/* Whether a tuple goes to the new relation.  Nobody else writes: the table is locked. */
static RowFate
row_fate(HeapTuple tuple, Buffer buffer, Relation rel, TransactionId oldest_xmin)
{
	RowFate		fate = ROW_LIVE;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	switch (HeapTupleSatisfiesVacuum(tuple, oldest_xmin, buffer))
	{
		case HEAPTUPLE_DEAD:
			fate = ROW_DEAD;
			break;
		case HEAPTUPLE_LIVE:
			break;
		case HEAPTUPLE_RECENTLY_DEAD:
			fate = ROW_RECENTLY_DEAD;
			break;
		case HEAPTUPLE_INSERT_IN_PROGRESS:
			if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
				elog(WARNING, "concurrent insert in progress within table \"%s\"",
					 RelationGetRelationName(rel));
			break;
		case HEAPTUPLE_DELETE_IN_PROGRESS:
			if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(tuple->t_data)))
				elog(WARNING, "concurrent delete in progress within table \"%s\"",
					 RelationGetRelationName(rel));
			fate = ROW_RECENTLY_DEAD;
			break;
		default:
			elog(ERROR, "unexpected HeapTupleSatisfiesVacuum result");
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return fate;
}

/* Where the rows come from: the table in its order, or an index. */
typedef struct RowSource
{
	IndexScanDesc index_scan;
	TableScanDesc scan;
	BlockNumber reported;
} RowSource;

static void
source_begin(RowSource *source, Relation old, Relation index)
{
	if (index != NULL)
	{
		const int	params[] = {PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_INDEX_RELID};
		const int64 values[] = {PROGRESS_CLUSTER_PHASE_INDEX_SCAN_HEAP, RelationGetRelid(index)};

		pgstat_progress_update_multi_param(2, params, values);
		source->index_scan = MilvusBeginIndexScan(old, index, SnapshotAny);
		index_rescan(source->index_scan, NULL, 0, NULL, 0);
	}
	else
	{
		pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_SEQ_SCAN_HEAP);
		source->scan = table_beginscan(old, SnapshotAny, 0, NULL);
		pgstat_progress_update_param(PROGRESS_CLUSTER_TOTAL_HEAP_BLKS,
									 ((HeapScanDesc) source->scan)->rs_nblocks);
	}
	source->reported = InvalidBlockNumber;
}

static bool
source_next(RowSource *source, TupleTableSlot *slot)
{
	HeapScanDesc heap_scan = (HeapScanDesc) source->scan;

	if (source->index_scan != NULL)
	{
		if (!index_getnext_slot(source->index_scan, ForwardScanDirection, slot))
			return false;
		if (source->index_scan->xs_recheck)
			elog(ERROR, "CLUSTER does not support lossy index conditions");
		return true;
	}
	if (!table_scan_getnextslot(source->scan, ForwardScanDirection, slot))
	{
		/* Pages at the end may have been empty. */
		pgstat_progress_update_param(PROGRESS_CLUSTER_HEAP_BLKS_SCANNED, heap_scan->rs_nblocks);
		return false;
	}
	if (source->reported != heap_scan->rs_cblock)
	{
		/* A synchronized scan begins anywhere. */
		BlockNumber ahead = heap_scan->rs_cblock + heap_scan->rs_nblocks - heap_scan->rs_startblock;

		pgstat_progress_update_param(PROGRESS_CLUSTER_HEAP_BLKS_SCANNED, ahead % heap_scan->rs_nblocks + 1);
		source->reported = heap_scan->rs_cblock;
	}
	return true;
}

static void
source_end(RowSource *source)
{
	if (source->index_scan != NULL)
		index_endscan(source->index_scan);
	if (source->scan != NULL)
		table_endscan(source->scan);
}

/* Sort what was put into `sort` and write it. */
static void
write_sorted(Rewrite *rewrite, Tuplesortstate *sort)
{
	HeapTuple	tuple;

	pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_SORT_TUPLES);
	tuplesort_performsort(sort);
	pgstat_progress_update_param(PROGRESS_CLUSTER_PHASE, PROGRESS_CLUSTER_PHASE_WRITE_NEW_HEAP);
	while ((tuple = tuplesort_getheaptuple(sort, true)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		write_row(rewrite, tuple);
		pgstat_progress_update_param(PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN, rewrite->written);
	}
}

/* relation_copy_for_cluster */
void
TableCopyForCluster(Relation old, Relation new, Relation index, bool use_sort, TransactionId oldest_xmin,
					TransactionId *xid_cutoff, MultiXactId *multi_cutoff, double *live, double *removed,
					double *recently_dead)
{
	int			natts = RelationGetNumberOfAttributes(new);
	Rewrite		rewrite = {.old = old, .new = new};
	RowSource	source = {0};
	Tuplesortstate *sort = NULL;
	TupleTableSlot *slot = table_slot_create(old, NULL);

	rewrite.values = palloc(natts * sizeof(Datum));
	rewrite.isnull = palloc(natts * sizeof(bool));
	rewrite.state = begin_heap_rewrite(old, new, oldest_xmin, *xid_cutoff, *multi_cutoff);
	rewrite.oldest_xmin = oldest_xmin;
	rewrite.seal = seals(old, new, &rewrite.kept);
	if (rewrite.seal)
	{
		/* that by which rows become stubs: the horizon of now may have gone back since */
		rewrite.horizon = TableFullHorizon(oldest_xmin);
		rewrite.toast = table_open(new->rd_rel->reltoastrelid, RowExclusiveLock);
		rewrite.old_toast = table_open(old->rd_rel->reltoastrelid, AccessShareLock);
	}
	if (use_sort)
		sort = tuplesort_begin_cluster(RelationGetDescr(old), index, maintenance_work_mem, NULL,
									   TUPLESORT_NONE);

	source_begin(&source, old, use_sort ? NULL : index);
	while (source_next(&source, slot))
	{
		TableSlot  *table_slot = (TableSlot *) slot;
		HeapTuple	tuple = table_slot->inner.base.tuple;
		RowFate		fate = row_fate(tuple, table_slot->inner.buffer, old, oldest_xmin);

		CHECK_FOR_INTERRUPTS();
		if (fate == ROW_RECENTLY_DEAD && table_slot->stub &&
			TableStubIsGone(&rewrite.roots, old, TableStubRef(tuple->t_data, tuple->t_len)))
			fate = ROW_DEAD;
		if (fate == ROW_DEAD)
		{
			*removed += 1;
			/* It may end the chain of a tuple that was taken for recently dead. */
			if (rewrite_heap_dead_tuple(rewrite.state, tuple))
			{
				*removed += 1;
				*recently_dead -= 1;
			}
			continue;
		}
		*live += 1;
		if (fate == ROW_RECENTLY_DEAD)
			*recently_dead += 1;

		if (table_slot->stub)
			tuple = TableSlotCopyTuple(slot);
		if (sort != NULL)
		{
			tuplesort_putheaptuple(sort, tuple);
			pgstat_progress_update_param(PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED, *live);
		}
		else
		{
			const int	params[] = {PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED, PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN};
			const int64 values[] = {*live, *live};

			write_row(&rewrite, tuple);
			pgstat_progress_update_multi_param(2, params, values);
		}
		if (table_slot->stub)
			heap_freetuple(tuple);
	}
	source_end(&source);
	ExecDropSingleTupleTableSlot(slot);

	if (sort != NULL)
	{
		write_sorted(&rewrite, sort);
		tuplesort_end(sort);
	}
	finish_segment(&rewrite);
	if (rewrite.seal)
	{
		table_close(rewrite.toast, NoLock);
		table_close(rewrite.old_toast, NoLock);
	}
	end_heap_rewrite(rewrite.state);
	/* bits are set once this is committed: by VACUUM, flush_table or a worker */
	if (rewrite.seal)
	{
		TableMapExtend(new, RelationGetNumberOfBlocks(new));
		if (CoordPreloaded())
			(void) CoordRequest(RelationGetRelid(old), COORD_SEAL);
	}
	pfree(rewrite.values);
	pfree(rewrite.isnull);
}
