/*
 * columnsource.c
 *		The visible rows of a table that pass column filters: batches of rows of segments,
 *		for blocks that the page map calls pure, and heap tuples for all other blocks.
 *
 * What is read and how is decided once, at the first call, in the order that
 * src/am/table/README.md gives (snapshot, map, manifest), and then divided into units: one
 * batch of a segment, or PAGES_PER_UNIT blocks.  The processes of a parallel scan take units
 * from one counter and go by the leader's map and manifest, so that each row is seen once.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "guc.h"
#include "miscadmin.h"
#include "planner/columnscan_internal.h"
#include "port/atomics.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define PAGES_PER_UNIT 256

/* What became of a segment. */
enum
{
	SEGMENT_NOT_REACHED,
	SEGMENT_PRUNED,				/* so far */
	SEGMENT_READ
};

/* A column of the batch at hand: the last view that was asked for. */
typedef struct ColumnCursor
{
	AttrNumber	attnum;
	bool		byval;
	int16		length;
	TableSegment *segment;		/* NULL: no view */
	uint32		first;			/* rows of the view */
	uint32		rows;
	ColumnView	view;
	bool		missing;		/* younger than the segment: the view is of one row, for all */
	Datum		missing_value;
	uint8		missing_null;
	TableDecoded *hold;			/* keeps what the view points to */
} ColumnCursor;

/* What all processes of a scan go by. */
typedef struct ScanPlan
{
	BlockNumber nblocks;
	int			nsegments;
	uint64		nbatches;		/* units 0 .. nbatches - 1 are batches, then blocks */
	uint64		nunits;
	uint64	   *pure;			/* a bit a block */
	TableSegmentEntry *entries; /* Flushed segments with rows */
	uint8	   *fates;			/* SEGMENT_..., a byte a segment */
} ScanPlan;

/* In shared memory: this, the words of `pure`, the entries, the fates. */
typedef struct SharedScan
{
	pg_atomic_uint64 next;
	pg_atomic_uint64 batches;
	pg_atomic_uint64 batches_pruned;
	pg_atomic_uint64 rows_by_column;
	pg_atomic_uint64 rows_by_page;
	pg_atomic_uint64 rows_removed;
	BlockNumber nblocks;
	int			nsegments;
} SharedScan;

struct ColumnSource
{
	PlanState  *ps;
	Relation	rel;
	TupleDesc	desc;
	Snapshot	snapshot;
	ColumnFilter *filter;		/* NULL: none */
	ExprState  *quals;			/* the same for tuples */
	AttrNumber	last_attr;		/* the last that they look at */
	MemoryContext context;
	MemoryContext operands;		/* reset with each rescan */
	bool		begun;			/* plan is there */
	bool		bound;			/* the operands are evaluated */

	ScanPlan	plan;
	SharedScan *shared;			/* NULL: not parallel */
	uint64		next;			/* the next unit, unless shared */
	TableSegment **segments;	/* open ones, by the plan's numbers */
	bool	   *wholly_pure;	/* all blocks of the segment are */
	uint64	   *first_batch;	/* unit of the segment's first batch; nsegments + 1 entries */
	int			at_segment;		/* of the unit before */

	/* tuples */
	TableScanDesc scan;
	TupleTableSlot *slot;
	bool		reads_told;
	Bitmapset  *reads;			/* columns that are read of it, as TableSlotReads takes them */
	BlockNumber block;			/* the unit's blocks left: block .. end - 1 */
	BlockNumber end;
	bool		in_run;			/* scan is set to a run of blocks */

	/* rows of segments */
	ColumnCursor **cursors;		/* by attribute number */
	ColumnCursor **wanted;		/* those of wanted_attrs */
	int			nwanted;
	Bitmapset  *wanted_attrs;
	TupleTableSlot *wanted_slot;
	ItemPointerData *tids;		/* of tids_segment's rows tids_first .. */
	TableSegment *tids_segment;
	uint32		tids_first;
	ColumnSourceCounts counts;
};

static void
add_reads(ColumnSource *source, const Bitmapset *attrs)
{
	int			attr = -1;

	while ((attr = bms_next_member(attrs, attr)) >= 0)
		source->reads = bms_add_member(source->reads, attr - FirstLowInvalidHeapAttributeNumber);
}

ColumnSource *
ColumnSourceBegin(PlanState *ps, Relation rel, Snapshot snapshot, Index varno, List *quals)
{
	ColumnSource *source = palloc0(sizeof(ColumnSource));
	Bitmapset  *attrs;
	int			attr = -1;

	source->ps = ps;
	source->rel = rel;
	source->desc = RelationGetDescr(rel);
	source->snapshot = snapshot;
	source->context = CurrentMemoryContext;
	source->operands = AllocSetContextCreate(CurrentMemoryContext, "column filter operands",
											 ALLOCSET_SMALL_SIZES);
	source->cursors = palloc0((Size) (source->desc->natts + 1) * sizeof(ColumnCursor *));
	source->wanted = palloc((Size) (source->desc->natts + 1) * sizeof(ColumnCursor *));
	if (quals != NIL)
	{
		source->filter = ColumnFilterBuildList(quals, varno);
		if (source->filter == NULL)
			elog(ERROR, "a column filter of the plan is not one");
		ColumnFilterInit(source->filter, ps, source->desc);
		source->quals = ExecInitQual(quals, ps);
		attrs = ColumnAttrs((Node *) quals, varno, source->desc);
		while ((attr = bms_next_member(attrs, attr)) >= 0)
			source->last_attr = (AttrNumber) attr;
		add_reads(source, attrs);
	}
	return source;
}

void
ColumnSourceReads(ColumnSource *source, const Bitmapset *attrs)
{
	source->reads_told = true;
	add_reads(source, attrs);
}

/* ---- what to read ---- */

static bool
is_pure(const ScanPlan *plan, BlockNumber block)
{
	return block < plan->nblocks && (plan->pure[block / 64] >> (block % 64) & 1) != 0;
}

/*
 * Is every snapshot's view of a segment's rows the same?  For one that a standby took not if
 * rows of the segment are younger than what the snapshot can see; also after the promotion.
 */
static bool
is_visible(Snapshot snapshot, const TableSegmentEntry *entry)
{
	FullTransactionId next;
	uint64		xmin;

	if (!snapshot->takenDuringRecovery)
		return true;
	next = ReadNextFullTransactionId();
	xmin = U64FromFullTransactionId(next) - (uint32) (XidFromFullTransactionId(next) - snapshot->xmin);
	return entry->horizon <= xmin;
}

static void
clear_blocks(ScanPlan *plan, BlockNumber first, BlockNumber last)
{
	for (BlockNumber block = first; block <= last && block < plan->nblocks; block++)
		plan->pure[block / 64] &= ~((uint64) 1 << (block % 64));
}

/*
 * A standby's snapshot does not keep the primary from leaving rows out of a compacted segment
 * that it still sees.  Their deletion was replayed before, and cleared the bits of their blocks.
 */
static void
keep_still_pure(ColumnSource *source)
{
	ScanPlan   *plan = &source->plan;
	uint64	   *now = TableMapRead(source->rel, plan->nblocks);

	for (Size w = 0; w < ((Size) plan->nblocks + 63) / 64; w++)
		plan->pure[w] &= now[w];
	pfree(now);
}

/*
 * Read the map and the manifest; to be called once, after the snapshot was taken.
 */
static void
make_plan(ColumnSource *source)
{
	ScanPlan   *plan = &source->plan;
	bool		any = false;

	/* before the length: who adds a block behind it meets the lock */
	PredicateLockRelation(source->rel, source->snapshot);
	plan->nblocks = RelationGetNumberOfBlocks(source->rel);
	if (IsMVCCSnapshot(source->snapshot))
		plan->pure = TableMapRead(source->rel, plan->nblocks);
	else
		plan->pure = palloc_extended(((Size) plan->nblocks / 64 + 1) * sizeof(uint64),
									 MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	for (Size w = 0; w < ((Size) plan->nblocks + 63) / 64 && !any; w++)
		any = plan->pure[w] != 0;
	MILVUS_DEBUG_POINT("scan-map");
	if (any)
	{
		int			n;
		TableSegmentEntry *entries = TableReadManifest(source->rel, &n);

		for (int i = 0; i < n; i++)
			if (entries[i].state == TABLE_SEGMENT_FLUSHED && !is_visible(source->snapshot, &entries[i]))
				clear_blocks(plan, entries[i].first_block, entries[i].last_block);
		if (source->snapshot->takenDuringRecovery)
			keep_still_pure(source);
		for (int i = 0; i < n; i++)
			if (entries[i].state == TABLE_SEGMENT_FLUSHED && entries[i].rows > 0)
				entries[plan->nsegments++] = entries[i];
		plan->entries = entries;
		MILVUS_DEBUG_POINT("scan-manifest");
	}
	plan->fates = palloc0((Size) plan->nsegments + 1);
}

/*
 * What follows from the plan, in each process.
 */
static void
prepare(ColumnSource *source)
{
	ScanPlan   *plan = &source->plan;

	source->segments = palloc0((Size) (plan->nsegments + 1) * sizeof(TableSegment *));
	source->wholly_pure = palloc0((Size) (plan->nsegments + 1) * sizeof(bool));
	source->first_batch = palloc((Size) (plan->nsegments + 1) * sizeof(uint64));
	plan->nbatches = 0;
	for (int i = 0; i < plan->nsegments; i++)
	{
		const TableSegmentEntry *entry = &plan->entries[i];
		bool		pure = true;

		source->first_batch[i] = plan->nbatches;
		plan->nbatches += (entry->rows + COLUMN_BATCH_ROWS - 1) / COLUMN_BATCH_ROWS;
		for (BlockNumber block = entry->first_block; block <= entry->last_block && pure; block++)
			pure = is_pure(plan, block);
		source->wholly_pure[i] = pure;
	}
	source->first_batch[plan->nsegments] = plan->nbatches;
	plan->nunits = plan->nbatches + ((uint64) plan->nblocks + PAGES_PER_UNIT - 1) / PAGES_PER_UNIT;
	source->begun = true;
}

static void
begin(ColumnSource *source)
{
	MemoryContext old = MemoryContextSwitchTo(source->context);

	make_plan(source);
	prepare(source);
	MemoryContextSwitchTo(old);
}

/* ---- columns of a segment ---- */

static ColumnCursor *
get_cursor(ColumnSource *source, AttrNumber attnum)
{
	ColumnCursor *cursor = source->cursors[attnum];

	if (cursor == NULL)
	{
		Form_pg_attribute att = TupleDescAttr(source->desc, attnum - 1);

		cursor = MemoryContextAllocZero(source->context, sizeof(ColumnCursor));
		cursor->attnum = attnum;
		cursor->byval = att->attbyval;
		cursor->length = att->attlen;
		source->cursors[attnum] = cursor;
	}
	return cursor;
}

/*
 * A view of one row that stands for all, of a column younger than the segment.
 */
static void
view_missing(ColumnSource *source, ColumnCursor *cursor, TableSegment *segment)
{
	bool		isnull;

	cursor->missing = true;
	cursor->missing_value = TableSegmentFetch(segment, cursor->attnum, 0, &isnull, source->context);
	cursor->missing_null = isnull;
	memset(&cursor->view, 0, sizeof(ColumnView));
	cursor->view.rows = 1;
	cursor->view.nulls = isnull ? &cursor->missing_null : NULL;
	if (isnull)
		return;
	if (cursor->byval)
	{
		store_att_byval(&cursor->missing_value, cursor->missing_value, cursor->length);
		cursor->view.values = (const uint8 *) &cursor->missing_value;
	}
	else
		cursor->view.values = (const uint8 *) DatumGetPointer(cursor->missing_value);
	cursor->view.width = cursor->length > 0 ? (uint32) cursor->length :
		(uint32) datumGetSize(PointerGetDatum(cursor->view.values), cursor->byval, cursor->length);
}

/*
 * Have the cursor's view contain `row` of the segment: its whole chunk.
 */
static void
seek(ColumnSource *source, ColumnCursor *cursor, TableSegment *segment, uint32 row)
{
	if (cursor->segment != segment)
	{
		cursor->segment = segment;
		cursor->rows = 0;
		cursor->missing = false;
		if (cursor->attnum > TableSegmentNatts(segment))
		{
			cursor->first = 0;
			cursor->rows = TableSegmentRows(segment);
			view_missing(source, cursor, segment);
		}
	}
	if (!cursor->missing && (row < cursor->first || row - cursor->first >= cursor->rows))
	{
		uint32		chunk_rows = TableSegmentChunkRows(segment, cursor->attnum);

		cursor->first = row - row % chunk_rows;
		cursor->rows = Min(chunk_rows, TableSegmentRows(segment) - cursor->first);
		TableSegmentView(segment, cursor->attnum, cursor->first, cursor->rows, &cursor->view,
						 &cursor->hold);
	}
}

/* ---- filters over a batch ---- */

static ColumnVerdict
judge_leaf(ColumnSource *source, const ColumnFilter *filter, TableSegment *segment, uint32 first, uint32 n)
{
	ColumnVerdict verdict = VERDICT_SOME;
	uint32		chunk_rows;
	bool		same_type;

	if (filter->attnum > TableSegmentNatts(segment))
	{
		const uint64 one = 1;
		uint64		passes;
		ColumnCursor *cursor = get_cursor(source, filter->attnum);

		seek(source, cursor, segment, first);
		ColumnFilterLeaf(filter, &cursor->view, 0, 1, &one, &passes);
		return passes != 0 ? VERDICT_ALL : VERDICT_NONE;
	}
	same_type = TableSegmentColumnType(segment, filter->attnum) == filter->stored_type;
	chunk_rows = TableSegmentChunkRows(segment, filter->attnum);
	for (uint32 chunk = first / chunk_rows; chunk <= (first + n - 1) / chunk_rows; chunk++)
	{
		TableChunkInfo info;
		ColumnVerdict of_chunk;

		TableSegmentChunkInfo(segment, filter->attnum, (int) chunk, &info);
		if (!same_type)
		{
			info.has_range = false;
			info.bloom = NULL;
		}
		of_chunk = ColumnFilterJudge(filter, &info);
		if (of_chunk == VERDICT_SOME || (chunk > first / chunk_rows && of_chunk != verdict))
			return VERDICT_SOME;
		verdict = of_chunk;
	}
	return verdict;
}

static ColumnVerdict
judge(ColumnSource *source, const ColumnFilter *filter, TableSegment *segment, uint32 first, uint32 n)
{
	ColumnVerdict deciding = filter->kind == COLUMN_AND ? VERDICT_NONE : VERDICT_ALL;
	bool		unanimous = true;
	ListCell   *cell;

	if (filter->children == NIL)
		return judge_leaf(source, filter, segment, first, n);
	foreach(cell, filter->children)
	{
		ColumnVerdict verdict = judge(source, lfirst(cell), segment, first, n);

		if (verdict == deciding)
			return deciding;
		unanimous &= verdict != VERDICT_SOME;
	}
	/* all of the other kind */
	if (unanimous)
		return deciding == VERDICT_NONE ? VERDICT_ALL : VERDICT_NONE;
	return VERDICT_SOME;
}

static bool
any_set(const uint64 *bits, uint32 n)
{
	for (uint32 w = 0; w < FilterWords(n); w++)
		if (bits[w] != 0)
			return true;
	return false;
}

/* OR n bits of `from` into `to` from bit `at` on. */
static void
put_bits(uint64 *to, uint32 at, const uint64 *from, uint32 n)
{
	uint32		shift = at % 64;
	uint64	   *word = to + at / 64;

	for (uint32 w = 0; w < FilterWords(n); w++)
	{
		word[w] |= from[w] << shift;
		if (shift != 0 && from[w] >> (64 - shift) != 0)
			word[w + 1] |= from[w] >> (64 - shift);
	}
}

/* Bits at .. at + n - 1 of `from` as bits 0 .. n - 1. */
static void
get_bits(uint64 *to, const uint64 *from, uint32 at, uint32 n)
{
	uint32		shift = at % 64;
	const uint64 *word = from + at / 64;
	uint32		last = (at + n - 1) / 64 - at / 64;

	for (uint32 w = 0; w < FilterWords(n); w++)
		to[w] = word[w] >> shift | (shift != 0 && w < last ? word[w + 1] << (64 - shift) : 0);
	if (n % 64 != 0)
		to[n / 64] &= ((uint64) 1 << (n % 64)) - 1;
}

static void
apply_leaf(ColumnSource *source, const ColumnFilter *filter, TableSegment *segment, uint32 first, uint32 n,
		   const uint64 *in, uint64 *out)
{
	ColumnCursor *cursor = get_cursor(source, filter->attnum);
	ColumnVerdict verdict = judge_leaf(source, filter, segment, first, n);

	if (verdict != VERDICT_SOME)
	{
		FilterFill(out, n, verdict == VERDICT_ALL);
		return;
	}
	seek(source, cursor, segment, first);
	if (first + n <= cursor->first + cursor->rows)
	{
		ColumnFilterLeaf(filter, &cursor->view, first - cursor->first, n, in, out);
		return;
	}
	/* chunks of this column are shorter than a batch */
	FilterFill(out, n, false);
	for (uint32 done = 0; done < n;)
	{
		uint64		part_in[COLUMN_BATCH_WORDS];
		uint64		part_out[COLUMN_BATCH_WORDS];
		uint32		part;

		seek(source, cursor, segment, first + done);
		part = Min(n - done, cursor->first + cursor->rows - (first + done));
		get_bits(part_in, in, done, part);
		ColumnFilterLeaf(filter, &cursor->view, first + done - cursor->first, part, part_in, part_out);
		put_bits(out, done, part_out, part);
		done += part;
	}
}

/*
 * Rows first .. first + n - 1 that pass; those not in `in` may come out either way.
 */
static void
apply(ColumnSource *source, const ColumnFilter *filter, TableSegment *segment, uint32 first, uint32 n,
	  const uint64 *in, uint64 *out)
{
	uint64		of_child[COLUMN_BATCH_WORDS];
	ListCell   *cell;

	if (filter->children == NIL)
	{
		apply_leaf(source, filter, segment, first, n, in, out);
		return;
	}
	if (filter->kind == COLUMN_AND)
		memcpy(out, in, FilterWords(n) * sizeof(uint64));
	else
		FilterFill(out, n, false);
	foreach(cell, filter->children)
	{
		if (filter->kind == COLUMN_AND)
		{
			if (!any_set(out, n))
				return;
			apply(source, lfirst(cell), segment, first, n, out, of_child);
			FilterAnd(out, of_child, n);
		}
		else
		{
			apply(source, lfirst(cell), segment, first, n, in, of_child);
			FilterOr(out, of_child, n);
		}
	}
}

/* ---- units ---- */

static void
load_tids(ColumnSource *source, TableSegment *segment, uint32 first, uint32 n)
{
	if (source->tids_segment == segment && source->tids_first == first)
		return;
	if (source->tids == NULL)
		source->tids = MemoryContextAlloc(source->context, COLUMN_BATCH_ROWS * sizeof(ItemPointerData));
	source->tids_segment = NULL;
	TableSegmentTids(segment, first, n, source->tids);
	source->tids_segment = segment;
	source->tids_first = first;
}

/*
 * Take rows out whose block is not pure: those are read as tuples.
 */
static void
keep_pure(ColumnSource *source, ColumnBatch *batch)
{
	load_tids(source, batch->segment, batch->first, batch->rows);
	for (uint32 w = 0; w < FilterWords(batch->rows); w++)
		for (uint64 rows = batch->bits[w]; rows != 0; rows &= rows - 1)
		{
			uint32		i = (uint32) pg_rightmost_one_pos64(rows);

			if (!is_pure(&source->plan, ItemPointerGetBlockNumberNoCheck(&source->tids[w * 64 + i])))
				batch->bits[w] &= ~((uint64) 1 << i);
		}
}

/*
 * Fill the batch of a unit; false when none of its rows is of use.
 */
static bool
read_batch(ColumnSource *source, uint64 unit, ColumnBatch *batch)
{
	ScanPlan   *plan = &source->plan;
	ColumnSourceCounts *counts = &source->counts;
	uint32		live;
	int			i = source->at_segment;

	if (i >= plan->nsegments || unit < source->first_batch[i])
		i = 0;
	while (unit >= source->first_batch[i + 1])
		i++;
	source->at_segment = i;
	if (source->segments[i] == NULL)
		source->segments[i] = TableSegmentOpen(source->rel, plan->entries[i].root, TableEntryTag(&plan->entries[i]));
	batch->segment = source->segments[i];
	batch->first = (uint32) (unit - source->first_batch[i]) * COLUMN_BATCH_ROWS;
	batch->rows = Min(plan->entries[i].rows - batch->first, COLUMN_BATCH_ROWS);
	if (plan->fates[i] == SEGMENT_NOT_REACHED)
		plan->fates[i] = SEGMENT_PRUNED;
	if (source->filter != NULL &&
		judge(source, source->filter, batch->segment, batch->first, batch->rows) == VERDICT_NONE)
	{
		counts->batches_pruned++;
		return false;
	}
	plan->fates[i] = SEGMENT_READ;
	counts->batches++;
	FilterFill(batch->bits, batch->rows, true);
	/* how many rows a filter removes is asked for by EXPLAIN ANALYZE alone: then dead ones do not count */
	if (!source->wholly_pure[i] && (source->ps->instrument != NULL || source->filter == NULL))
		keep_pure(source, batch);
	live = (uint32) FilterCount(batch->bits, batch->rows);
	counts->rows_by_column += live;
	batch->selected = live;
	if (source->filter != NULL && live > 0)
	{
		uint64		passing[COLUMN_BATCH_WORDS];

		apply(source, source->filter, batch->segment, batch->first, batch->rows, batch->bits, passing);
		FilterAnd(batch->bits, passing, batch->rows);
		if (!source->wholly_pure[i] && source->ps->instrument == NULL && any_set(batch->bits, batch->rows))
			keep_pure(source, batch);
		batch->selected = (uint32) FilterCount(batch->bits, batch->rows);
		counts->rows_removed += live - batch->selected;
	}
	return batch->selected > 0;
}

/*
 * Set the scan to the next run of blocks of the unit that are not pure; false when there is none.
 */
static bool
next_run(ColumnSource *source)
{
	const ScanPlan *plan = &source->plan;
	BlockNumber first = source->block;
	BlockNumber last;
	ItemPointerData low;
	ItemPointerData high;

	while (first < source->end && is_pure(plan, first))
		first++;
	if (first >= source->end)
		return false;
	last = first;
	while (last + 1 < source->end && !is_pure(plan, last + 1))
		last++;
	source->block = last + 1;
	ItemPointerSet(&low, first, FirstOffsetNumber);
	ItemPointerSet(&high, last, MaxOffsetNumber);
	if (source->slot == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(source->context);

		source->slot = table_slot_create(source->rel, NULL);
		if (source->reads_told)
			TableSlotReads(source->slot, source->reads);
		source->scan = table_beginscan_tidrange(source->rel, source->snapshot, &low, &high);
		MemoryContextSwitchTo(old);
	}
	else
		table_rescan_tidrange(source->scan, &low, &high);
	return true;
}

/*
 * The next tuple of the unit's blocks that passes.
 */
static bool
next_tuple(ColumnSource *source)
{
	ExprContext *econtext = source->ps->ps_ExprContext;

	for (;;)
	{
		if (!source->in_run && !next_run(source))
			return false;
		source->in_run = true;
		while (table_scan_getnextslot_tidrange(source->scan, ForwardScanDirection, source->slot))
		{
			CHECK_FOR_INTERRUPTS();
			source->counts.rows_by_page++;
			if (source->quals == NULL)
				return true;
			/* the expressions are compiled for a slot that needs no deforming */
			slot_getsomeattrs(source->slot, source->last_attr);
			ResetExprContext(econtext);
			econtext->ecxt_scantuple = source->slot;
			if (ExecQual(source->quals, econtext))
				return true;
			source->counts.rows_removed++;
		}
		source->in_run = false;
	}
}

ColumnSourceKind
ColumnSourceNext(ColumnSource *source, ColumnBatch *batch)
{
	if (!source->begun)
		begin(source);
	if (!source->bound)
	{
		if (source->filter != NULL)
		{
			MemoryContext old;

			MemoryContextReset(source->operands);
			old = MemoryContextSwitchTo(source->operands);
			ColumnFilterBind(source->filter, source->ps->ps_ExprContext);
			MemoryContextSwitchTo(old);
		}
		source->bound = true;
	}
	for (;;)
	{
		uint64		unit;

		if (source->block < source->end || source->in_run)
		{
			if (next_tuple(source))
				return COLUMN_SOURCE_TUPLE;
			source->block = source->end = 0;
		}
		CHECK_FOR_INTERRUPTS();
		unit = source->shared != NULL ? pg_atomic_fetch_add_u64(&source->shared->next, 1) : source->next++;
		if (unit >= source->plan.nunits)
			return COLUMN_SOURCE_END;
		if (unit < source->plan.nbatches)
		{
			if (read_batch(source, unit, batch))
				return COLUMN_SOURCE_BATCH;
		}
		else
		{
			source->block = (BlockNumber) (unit - source->plan.nbatches) * PAGES_PER_UNIT;
			source->end = Min(source->block + PAGES_PER_UNIT, source->plan.nblocks);
		}
	}
}

TupleTableSlot *
ColumnSourceTuple(ColumnSource *source)
{
	return source->slot;
}

void
ColumnSourceRescan(ColumnSource *source)
{
	source->bound = false;
	source->next = 0;
	source->in_run = false;
	source->block = source->end = 0;
	if (source->slot != NULL)
		ExecClearTuple(source->slot);
}

void
ColumnSourceEnd(ColumnSource *source)
{
	for (int i = 0; i <= source->desc->natts; i++)
		if (source->cursors[i] != NULL)
			TableSegmentViewEnd(&source->cursors[i]->hold);
	if (source->scan != NULL)
		table_endscan(source->scan);
	if (source->slot != NULL)
		ExecDropSingleTupleTableSlot(source->slot);
	source->scan = NULL;
	source->slot = NULL;
}

/* ---- rows of batches ---- */

static void
want(ColumnSource *source, Bitmapset *attrs, TupleTableSlot *slot)
{
	int			attr = -1;

	source->wanted_attrs = attrs;
	source->wanted_slot = slot;
	source->nwanted = 0;
	while ((attr = bms_next_member(attrs, attr)) >= 0)
		source->wanted[source->nwanted++] = get_cursor(source, (AttrNumber) attr);
	for (int i = 0; i < source->desc->natts; i++)
	{
		slot->tts_values[i] = (Datum) 0;
		slot->tts_isnull[i] = true;
	}
}

void
ColumnSourceStore(ColumnSource *source, const ColumnBatch *batch, uint32 row, Bitmapset *attrs,
				  TupleTableSlot *slot)
{
	TableSegment *segment = batch->segment;

	ExecClearTuple(slot);
	if (source->wanted_attrs != attrs || source->wanted_slot != slot)
		want(source, attrs, slot);
	for (int i = 0; i < source->nwanted; i++)
	{
		ColumnCursor *cursor = source->wanted[i];
		int			to = cursor->attnum - 1;
		uint32		at;
		const uint8 *value;

		if (cursor->segment != segment || row < cursor->first || row - cursor->first >= cursor->rows)
			seek(source, cursor, segment, row);
		at = cursor->missing ? 0 : row - cursor->first;
		slot->tts_isnull[to] = ColumnIsNull(&cursor->view, at);
		if (slot->tts_isnull[to])
		{
			slot->tts_values[to] = (Datum) 0;
			continue;
		}
		value = cursor->view.width != 0 ? cursor->view.values + (Size) at * cursor->view.width :
			cursor->view.values + cursor->view.offsets[at];
		if (!cursor->byval)
			slot->tts_values[to] = PointerGetDatum(value);
		else
			slot->tts_values[to] = fetch_att(value, true, cursor->length);
	}
	if (batch->selected > COLUMN_BATCH_ROWS / 64)
		load_tids(source, segment, batch->first, batch->rows);
	if (source->tids_segment == segment && source->tids_first == batch->first)
		slot->tts_tid = source->tids[row - batch->first];
	else
		TableSegmentTids(segment, row, 1, &slot->tts_tid);
	slot->tts_tableOid = RelationGetRelid(source->rel);
	ExecStoreVirtualTuple(slot);
}

void
ColumnSourceView(ColumnSource *source, const ColumnBatch *batch, AttrNumber attnum, uint32 first, uint32 n,
				 ColumnView *view)
{
	ColumnCursor *cursor = get_cursor(source, attnum);

	seek(source, cursor, batch->segment, first);
	Assert(cursor->missing ? n == 1 : first + n <= cursor->first + cursor->rows);
	*view = cursor->view;
	view->rows = n;
	if (!cursor->missing)
	{
		uint32		skip = first - cursor->first;

		view->null_offset += skip;
		if (view->width != 0)
			view->values += (Size) skip * view->width;
		else if (view->offsets != NULL)
			view->offsets += skip;
	}
}

uint32
ColumnSourceRun(ColumnSource *source, const ColumnBatch *batch, AttrNumber attnum, uint32 row, bool *constant)
{
	uint32		chunk_rows;

	*constant = attnum > TableSegmentNatts(batch->segment);
	if (*constant)
		return TableSegmentRows(batch->segment) - row;
	chunk_rows = TableSegmentChunkRows(batch->segment, attnum);
	return Min(chunk_rows - row % chunk_rows, TableSegmentRows(batch->segment) - row);
}

void
ColumnBatchBits(const ColumnBatch *batch, uint32 from, uint32 n, uint64 *bits)
{
	get_bits(bits, batch->bits, from, n);
}

/* ---- parallel scans ---- */

static Size
words_bytes(const ScanPlan *plan)
{
	return ((Size) plan->nblocks + 63) / 64 * sizeof(uint64);
}

static Size
entries_bytes(const ScanPlan *plan)
{
	return MAXALIGN((Size) plan->nsegments * sizeof(TableSegmentEntry));
}

Size
ColumnSourceEstimate(ColumnSource *source)
{
	if (!source->begun)
		begin(source);
	return MAXALIGN(sizeof(SharedScan)) + words_bytes(&source->plan) + entries_bytes(&source->plan) +
		MAXALIGN(source->plan.nsegments + 1);
}

/* Point the plan's arrays into shared memory. */
static void
attach_arrays(ColumnSource *source, SharedScan *shared)
{
	ScanPlan   *plan = &source->plan;
	char	   *at = (char *) shared + MAXALIGN(sizeof(SharedScan));

	source->shared = shared;
	plan->nblocks = shared->nblocks;
	plan->nsegments = shared->nsegments;
	plan->pure = (uint64 *) at;
	at += words_bytes(plan);
	plan->entries = (TableSegmentEntry *) at;
	at += entries_bytes(plan);
	plan->fates = (uint8 *) at;
}

void
ColumnSourceShare(ColumnSource *source, void *space)
{
	ScanPlan	plan = source->plan;
	SharedScan *shared = space;

	pg_atomic_init_u64(&shared->next, 0);
	pg_atomic_init_u64(&shared->batches, 0);
	pg_atomic_init_u64(&shared->batches_pruned, 0);
	pg_atomic_init_u64(&shared->rows_by_column, 0);
	pg_atomic_init_u64(&shared->rows_by_page, 0);
	pg_atomic_init_u64(&shared->rows_removed, 0);
	shared->nblocks = plan.nblocks;
	shared->nsegments = plan.nsegments;
	attach_arrays(source, shared);
	memcpy(source->plan.pure, plan.pure, words_bytes(&plan));
	if (plan.nsegments > 0)
		memcpy(source->plan.entries, plan.entries, (Size) plan.nsegments * sizeof(TableSegmentEntry));
	memcpy(source->plan.fates, plan.fates, (Size) plan.nsegments);
}

void
ColumnSourceAttach(ColumnSource *source, void *space)
{
	MemoryContext old = MemoryContextSwitchTo(source->context);

	attach_arrays(source, space);
	prepare(source);
	MemoryContextSwitchTo(old);
}

void
ColumnSourceReshare(ColumnSource *source, void *space)
{
	pg_atomic_write_u64(&((SharedScan *) space)->next, 0);
}

void
ColumnSourceShutdown(ColumnSource *source)
{
	SharedScan *shared = source->shared;
	ColumnSourceCounts *counts = &source->counts;
	ScanPlan	plan = source->plan;

	if (shared == NULL)
		return;
	if (IsParallelWorker())
	{
		pg_atomic_fetch_add_u64(&shared->batches, (int64) counts->batches);
		pg_atomic_fetch_add_u64(&shared->batches_pruned, (int64) counts->batches_pruned);
		pg_atomic_fetch_add_u64(&shared->rows_by_column, (int64) counts->rows_by_column);
		pg_atomic_fetch_add_u64(&shared->rows_by_page, (int64) counts->rows_by_page);
		pg_atomic_fetch_add_u64(&shared->rows_removed, (int64) counts->rows_removed);
	}
	else
	{
		/* the shared memory goes away: what is asked for later is taken along */
		counts->batches += pg_atomic_exchange_u64(&shared->batches, 0);
		counts->batches_pruned += pg_atomic_exchange_u64(&shared->batches_pruned, 0);
		counts->rows_by_column += pg_atomic_exchange_u64(&shared->rows_by_column, 0);
		counts->rows_by_page += pg_atomic_exchange_u64(&shared->rows_by_page, 0);
		counts->rows_removed += pg_atomic_exchange_u64(&shared->rows_removed, 0);
		source->plan.pure = MemoryContextAllocExtended(source->context, words_bytes(&plan) + 1, MCXT_ALLOC_HUGE);
		source->plan.entries = MemoryContextAlloc(source->context, entries_bytes(&plan) + 1);
		source->plan.fates = MemoryContextAlloc(source->context, (Size) plan.nsegments + 1);
		memcpy(source->plan.pure, plan.pure, words_bytes(&plan));
		memcpy(source->plan.entries, plan.entries, entries_bytes(&plan));
		memcpy(source->plan.fates, plan.fates, (Size) plan.nsegments);
		/* whatever were asked for now has been handed out */
		source->next = pg_atomic_read_u64(&shared->next);
	}
	source->shared = NULL;
}

const ColumnSourceCounts *
ColumnSourceGetCounts(ColumnSource *source)
{
	source->counts.segments = source->counts.segments_pruned = 0;
	for (int i = 0; source->begun && i < source->plan.nsegments; i++)
	{
		source->counts.segments += source->plan.fates[i] != SEGMENT_NOT_REACHED;
		source->counts.segments_pruned += source->plan.fates[i] == SEGMENT_PRUNED;
	}
	return &source->counts;
}
