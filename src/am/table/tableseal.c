/*
 * tableseal.c
 *		Sealing: settled rows are copied to a segment, then become stubs in place.
 *
 * A segment is made by one transaction, which also writes the to-do list; everything after
 * it works from the list, so that what a crash or a pinned page left is finished by the same
 * code.  README.md has the order of steps and what each crash leaves.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/xact.h"
#include "am/table/tableseal.h"
#include "common/pg_prng.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/freespace.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Pinned pages are tried again so often, after so many ms. */
#define PIN_RETRIES 3
#define PIN_DELAY 20
/* A page that is still pinned so many ms after its rows were copied stays as it is. */
#define PIN_PATIENCE (60 * 1000)
/* Pages read to estimate how much there is to seal. */
#define SAMPLE_PAGES 128
/* Progress counts a page when its rows were copied, and when it was rewritten. */
#define PAGE_VISITS 2

/* ---- sets of blocks ---- */

typedef struct BlockSet
{
	BlockNumber nblocks;
	uint64	   *words;			/* NULL: empty */
} BlockSet;

static bool
block_is_in(const BlockSet *set, BlockNumber block)
{
	return set->words != NULL && block < set->nblocks && (set->words[block / 64] >> (block % 64) & 1) != 0;
}

static void
add_block(BlockSet *set, Relation rel, MemoryContext context, BlockNumber block)
{
	if (set->words == NULL)
	{
		set->nblocks = RelationGetNumberOfBlocks(rel);
		set->words = MemoryContextAllocExtended(context, (set->nblocks / 64 + 1) * sizeof(uint64),
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	}
	if (block < set->nblocks)
		set->words[block / 64] |= UINT64CONST(1) << (block % 64);
}

/* ---- which rows ---- */

TransactionId
TableSettledHorizon(Relation rel)
{
	/* look-ups left a catalog snapshot, the age of which counts transactions of other databases, too */
	InvalidateCatalogSnapshot();
	return GetOldestNonRemovableTransactionId(rel);
}

FullTransactionId
TableFullHorizon(TransactionId horizon)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		epoch = EpochFromFullTransactionId(next);

	if (horizon > XidFromFullTransactionId(next))
		epoch--;
	return FullTransactionIdFromEpochAndXid(epoch, horizon);
}

/*
 * Whether a tuple may become a stub: committed, seen by all, neither locked nor changed.
 * The page is share-locked.
 */
static bool
is_sealable(HeapTuple tuple, TransactionId horizon, Buffer buffer)
{
	HeapTupleHeader header = tuple->t_data;

	if (TableTupleIsStub(header) ||
		HeapTupleSatisfiesVacuum(tuple, horizon, buffer) != HEAPTUPLE_LIVE)
		return false;
	return (header->t_infomask & HEAP_XMAX_INVALID) != 0 &&
		(header->t_infomask & HEAP_MOVED) == 0 &&
		!HeapTupleHeaderIsHotUpdated(header) &&
		TransactionIdPrecedes(HeapTupleHeaderGetXmin(header), horizon);
}

/*
 * Whether a tuple that is_sealable() refused may become sealable without being changed.
 */
static bool
is_waiting(HeapTuple tuple, TransactionId horizon, Buffer buffer)
{
	if (TableTupleIsStub(tuple->t_data))
		return false;
	switch (HeapTupleSatisfiesVacuum(tuple, horizon, buffer))
	{
		case HEAPTUPLE_LIVE:
		case HEAPTUPLE_INSERT_IN_PROGRESS:
		case HEAPTUPLE_DELETE_IN_PROGRESS:
			return true;
		default:
			return false;
	}
}

/*
 * Copies of the sealable tuples of a page and its LSN, read after the tests in the same
 * lock hold.  Hint bits set later can change the LSN where pages have checksums; the tests
 * have set them all.  Tuples that wait, and their bytes, are added to report unless NULL.
 */
static int
read_page(Relation rel, BlockNumber block, TransactionId horizon, BufferAccessStrategy strategy,
		  HeapTuple *tuples, XLogRecPtr *lsn, TableSealReport *report)
{
	Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	Page		page = BufferGetPage(buffer);
	int			n = 0;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (!PageIsNew(page))
		for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page); offset++)
		{
			ItemId		item = PageGetItemId(page, offset);
			HeapTupleData tuple;

			if (!ItemIdIsNormal(item))
				continue;
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			tuple.t_tableOid = RelationGetRelid(rel);
			ItemPointerSet(&tuple.t_self, block, offset);
			if (is_sealable(&tuple, horizon, buffer))
				tuples[n++] = heap_copytuple(&tuple);
			else if (report != NULL && is_waiting(&tuple, horizon, buffer))
			{
				report->waiting++;
				report->waiting_bytes += tuple.t_len;
			}
		}
	*lsn = BufferGetLSNAtomic(buffer);
	UnlockReleaseBuffer(buffer);
	return n;
}

/*
 * TOAST values of the table that a tuple refers to, those of dropped columns included, as
 * heap_delete would remove them.  ids: room for a tuple's columns.
 */
int
TableToastValues(Relation rel, const Datum *values, const bool *isnull, Oid *ids)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			n = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		struct varatt_external pointer;
		struct varlena *value;

		if (isnull[i] || TupleDescAttr(desc, i)->attlen != -1)
			continue;
		value = (struct varlena *) DatumGetPointer(values[i]);
		if (!VARATT_IS_EXTERNAL_ONDISK(value))
			continue;
		VARATT_EXTERNAL_GET_POINTER(pointer, value);
		if (pointer.va_toastrelid == rel->rd_rel->reltoastrelid)
			ids[n++] = pointer.va_valueid;
	}
	return n;
}

/* ---- step 1: rows to a segment ---- */

/* A pass over the table. */
typedef struct SealPass
{
	TableWork  *work;
	TableOptions options;
	BlockNumber next;
	BlockNumber nblocks;
	BlockSet	pure;			/* nothing to do there */
	BlockSet	pending;		/* other lists are about these */
	BufferAccessStrategy strategy;
	double		share;			/* of the pages that the policy wants to be sealed */
	bool		give_way;
} SealPass;

/* What made one segment. */
typedef struct SealBuild
{
	TableBuilder *builder;
	Bitmapset  *kept;
	FullTransactionId horizon;
	StringInfoData todo;
	MemoryContext page_context;
	TableTodoPage page;
	HeapTuple	tuples[MaxHeapTuplesPerPage];
	Datum		values[MaxHeapAttributeNumber];
	bool		isnull[MaxHeapAttributeNumber];
} SealBuild;

/*
 * Add what is sealable of a block to the segment and to the list.
 */
static void
add_page(SealPass *pass, SealBuild *build, BlockNumber block)
{
	Relation	rel = pass->work->rel;
	TupleDesc	desc = RelationGetDescr(rel);
	TableTodoPage *page = &build->page;
	MemoryContext old;
	int			n;

	MemoryContextReset(build->page_context);
	old = MemoryContextSwitchTo(build->page_context);
	/* before the page is read: TOAST values found on it stay until this is gone */
	PushActiveSnapshot(GetTransactionSnapshot());
	page->block = block;
	page->nrows = 0;
	n = read_page(rel, block, XidFromFullTransactionId(build->horizon), pass->strategy, build->tuples,
				  &page->lsn, NULL);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	tuple = build->tuples[i];
		TableTodoRow *row = &page->rows[page->nrows];
		Oid		   *ids;
		int64		number;

		if (TableFormStub(rel, tuple, build->kept, TableBuilderNextRef(build->builder)) == NULL)
			continue;
		heap_deform_tuple(tuple, desc, build->values, build->isnull);
		ids = palloc((desc->natts + 1) * sizeof(Oid));
		row->nvalues = (uint16) TableToastValues(rel, build->values, build->isnull, ids);
		row->values = ids;
		for (int attr = 0; attr < desc->natts; attr++)
			if (TupleDescAttr(desc, attr)->attisdropped)
				build->isnull[attr] = true;
		number = TableBuilderAdd(build->builder, &tuple->t_self, build->values, build->isnull);
		if (number < 0)
			continue;
		row->row = (uint32) number;
		row->offset = ItemPointerGetOffsetNumber(&tuple->t_self);
		page->nrows++;
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	if (page->nrows > 0)
		TableTodoAddPage(&build->todo, page);
}

/*
 * Build one segment from the rows at pass->next and behind and commit it in state Sealed;
 * its list is left in *todo (in work->context).  False: nothing was made, because there are
 * fewer than min_rows rows or somebody waits for the table.  Ends the transaction, and then
 * another is open; unless nothing was made, when the work on the table has ended.
 */
static bool
build_segment(SealPass *pass, uint32 min_rows, TableSegmentEntry *entry, StringInfo todo)
{
	TableWork  *work = pass->work;
	MemoryContext old = MemoryContextSwitchTo(CurTransactionContext);
	SealBuild  *build = palloc0(sizeof(SealBuild));
	bool		sealable;

	build->kept = TableKeptColumns(work->rel, &sealable);
	if (!sealable)
	{
		MemoryContextSwitchTo(old);
		TableWorkAbandon(work);
		return false;
	}
	build->horizon = TableFullHorizon(TableSettledHorizon(work->rel));
	build->page_context = AllocSetContextCreate(CurrentMemoryContext, "milvus seal page", ALLOCSET_DEFAULT_SIZES);
	build->builder = TableBuilderBegin(work->rel, work->toast, NULL, RelationGetDescr(work->rel));
	MemoryContextSwitchTo(work->context);
	TableTodoBeginSeal(&build->todo);
	MemoryContextSwitchTo(CurTransactionContext);

	/* a page's rows are in one segment: full is looked at between pages */
	while (pass->next < pass->nblocks && !TableBuilderIsFull(build->builder) &&
		   TableBuilderRows(build->builder) + MaxHeapTuplesPerPage <= TABLE_MAX_ROWS)
	{
		BlockNumber block = pass->next++;

		if (block_is_in(&pass->pure, block) || block_is_in(&pass->pending, block))
			continue;
		if (TableWorkWanted(work))
		{
			pass->next--;
			pass->give_way = true;
			/* not to lose much work: what makes a chunk is written */
			if (TableBuilderRows(build->builder) >= TABLE_CHUNK_ROWS)
				break;
			TableWorkAbandon(work);
			return false;
		}
		add_page(pass, build, block);
		/* one without rows to seal is not looked at again */
		TableWorkDone(work, build->page.nrows > 0 ? 1 : PAGE_VISITS);
	}
	if (TableBuilderRows(build->builder) < Max(min_rows, 1) && !pass->give_way)
	{
		MemoryContextSwitchTo(old);
		TableWorkAbandon(work);
		return false;
	}

	TableBuilderFinish(build->builder, entry);
	MILVUS_DEBUG_POINT("table-seal-written");
	TableTodoFinish(&build->todo);
	entry->todo = TableNewValueId(work->toast, NULL);
	TableWriteValue(work->toast, entry->todo, build->todo.data, build->todo.len);
	entry->state = TABLE_SEGMENT_SEALED;
	entry->sealed = GetCurrentTimestamp();
	entry->flushed = 0;
	entry->dead_rows = 0;
	entry->horizon = U64FromFullTransactionId(build->horizon);
	TableInsertEntry(work->rel, entry);
	TableMapExtend(work->rel, entry->last_block + 1);
	*todo = build->todo;
	MemoryContextSwitchTo(old);
	MILVUS_DEBUG_POINT("table-seal-before-commit");
	TableWorkCommit(work);
	MILVUS_DEBUG_POINT("table-seal-committed");
	TableWorkStart(work);
	return true;
}

/* ---- steps 2 and 3: from the list alone ---- */

typedef enum PageState
{
	PAGE_OPEN,					/* to be rewritten */
	PAGE_DONE,
	PAGE_CHANGED
} PageState;

/* Finishing one segment. */
typedef struct SealFinish
{
	TableWork  *work;
	TableSegmentEntry *entry;
	const char *todo;
	Size		len;
	bool		fresh;			/* nobody else can have worked on this list */
	uint32		npages;
	uint8	   *states;			/* PageState of each page */
	uint8	   *done;			/* a bit for each row of the segment: it is a stub */
	uint32		ndone;
	HTAB	   *unknown;		/* values whose rows may or may not have been sealed */
	Snapshot	snapshot;		/* taken before it was looked who refers to them; registered */
	BufferAccessStrategy strategy;
} SealFinish;

static void
set_done(SealFinish *finish, uint32 row)
{
	if (row < finish->entry->rows && (finish->done[row / 8] >> (row % 8) & 1) == 0)
	{
		finish->done[row / 8] |= 1 << (row % 8);
		finish->ndone++;
	}
}

static bool
is_done(const SealFinish *finish, uint32 row)
{
	return row < finish->entry->rows && (finish->done[row / 8] >> (row % 8) & 1) != 0;
}

Bitmapset *
TableSegmentKeptColumns(Relation rel, const TableSegmentEntry *entry)
{
	TableSegment *segment = TableSegmentOpen(rel, entry->root, TableEntryTag(entry));
	Bitmapset  *kept = NULL;

	for (AttrNumber attnum = 1; attnum <= TableSegmentNatts(segment); attnum++)
		if (TableSegmentKeeps(segment, attnum))
			kept = bms_add_member(kept, attnum - FirstLowInvalidHeapAttributeNumber);
	return kept;
}

/*
 * Step 2.  Rewrites what can be; false when somebody waits for the table.
 */
static bool
rewrite_pages(SealFinish *finish, const Bitmapset *kept)
{
	TableTodoPage *page = palloc(sizeof(TableTodoPage));
	bool	   *sealed = palloc(MaxHeapTuplesPerPage * sizeof(bool));

	for (int attempt = 0;; attempt++)
	{
		uint32		pinned = 0;
		Size		at = 0;

		for (uint32 i = 0; TableTodoNextPage(finish->todo, finish->len, &at, page); i++)
		{
			if (finish->states[i] != PAGE_OPEN)
				continue;
			if (TableWorkWanted(finish->work))
				return false;
			switch (TablePageSeal(finish->work->rel, page, kept, finish->entry->root,
								  TableEntryTag(finish->entry), finish->strategy, sealed))
			{
				case TABLE_PAGE_DONE:
					finish->states[i] = PAGE_DONE;
					for (int row = 0; row < page->nrows; row++)
						if (sealed[row])
							set_done(finish, page->rows[row].row);
					MILVUS_DEBUG_POINT("table-seal-page");
					break;
				case TABLE_PAGE_CHANGED:
					finish->states[i] = PAGE_CHANGED;
					break;
				case TABLE_PAGE_PINNED:
					pinned++;
					continue;
			}
			TableWorkDone(finish->work, 1);
		}
		if (pinned == 0 || attempt == PIN_RETRIES)
			return true;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 PIN_DELAY << attempt, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * A page that is not as it was when its rows were copied, and nobody remembers whether that
 * was by our rewriting: see what became of each row.
 */
static void
examine_page(SealFinish *finish, const TableTodoPage *page, Datum *values, bool *isnull, Oid *ids)
{
	Relation	rel = finish->work->rel;
	Buffer		buffer = InvalidBuffer;
	Page		content = NULL;

	if (page->block < RelationGetNumberOfBlocks(rel))
	{
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, page->block, RBM_NORMAL, finish->strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		content = BufferGetPage(buffer);
	}
	for (int i = 0; i < page->nrows; i++)
	{
		const TableTodoRow *row = &page->rows[i];
		bool		unsealed = false;

		if (content != NULL && row->offset <= PageGetMaxOffsetNumber(content) &&
			ItemIdIsNormal(PageGetItemId(content, row->offset)))
		{
			ItemId		item = PageGetItemId(content, row->offset);
			HeapTupleData tuple;

			tuple.t_data = (HeapTupleHeader) PageGetItem(content, item);
			tuple.t_len = ItemIdGetLength(item);
			if (TableTupleIsStub(tuple.t_data))
			{
				TableRef	ref = TableStubRef(tuple.t_data, tuple.t_len);

				if (ref.root == finish->entry->root && TableRefRow(ref) == row->row)
				{
					set_done(finish, row->row);
					continue;
				}
			}
			else if (row->nvalues > 0 && HeapTupleHasExternal(&tuple))
			{
				heap_deform_tuple(&tuple, RelationGetDescr(rel), values, isnull);
				unsealed = TableToastValues(rel, values, isnull, ids) == row->nvalues &&
					memcmp(ids, row->values, row->nvalues * sizeof(Oid)) == 0;
			}
		}
		if (unsealed)
			continue;
		for (int value = 0; value < row->nvalues; value++)
		{
			if (finish->unknown == NULL)
			{
				HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(Oid),.hcxt = CurrentMemoryContext};

				finish->unknown = hash_create("milvus unknown values", 1024, &ctl,
											  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
			}
			(void) hash_search(finish->unknown, &row->values[value], HASH_ENTER, NULL);
		}
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
}

/*
 * Take values of segments out of finish->unknown: an id that was free for a while may be a
 * segment's by now.
 */
static void
keep_segments(SealFinish *finish)
{
	int			n;
	TableSegmentEntry *entries = TableReadManifest(finish->work->rel, &n);

	for (int i = 0; i < n; i++)
	{
		int			nvalues;
		Oid		   *values = TableSegmentValues(finish->work->toast, entries[i].root, &nvalues);

		for (int value = 0; value < nvalues; value++)
			(void) hash_search(finish->unknown, &values[value], HASH_REMOVE, NULL);
		(void) hash_search(finish->unknown, &entries[i].todo, HASH_REMOVE, NULL);
		pfree(values);
	}
	pfree(entries);
}

/*
 * Take out of finish->unknown the values that any tuple of the table refers to, dead or alive.  A
 * row that was never sealed and is in use has a tuple at any time of the scan, but an
 * update can move it to a place that the scan has passed; the snapshot keeps the tuple
 * that it left.  What is not committed for the snapshot may still get its tuple.
 */
static void
keep_referenced(SealFinish *finish, Datum *values, bool *isnull, Oid *ids)
{
	Relation	rel = finish->work->rel;
	BlockNumber nblocks;

	finish->snapshot = RegisterSnapshot(GetLatestSnapshot());
	keep_segments(finish);
	nblocks = RelationGetNumberOfBlocks(rel);
	for (BlockNumber block = 0; block < nblocks && hash_get_num_entries(finish->unknown) > 0; block++)
	{
		Buffer		buffer;
		Page		page;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, finish->strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		for (OffsetNumber offset = FirstOffsetNumber;
			 !PageIsNew(page) && offset <= PageGetMaxOffsetNumber(page); offset++)
		{
			ItemId		item = PageGetItemId(page, offset);
			HeapTupleData tuple;
			int			n;

			if (!ItemIdIsNormal(item))
				continue;
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			if (TableTupleIsStub(tuple.t_data) || !HeapTupleHasExternal(&tuple))
				continue;
			heap_deform_tuple(&tuple, RelationGetDescr(rel), values, isnull);
			n = TableToastValues(rel, values, isnull, ids);
			for (int i = 0; i < n; i++)
				(void) hash_search(finish->unknown, &ids[i], HASH_REMOVE, NULL);
		}
		UnlockReleaseBuffer(buffer);
	}
}

/*
 * After a crash: what became of the rows of pages that changed.
 */
static void
examine_pages(SealFinish *finish)
{
	int			natts = RelationGetDescr(finish->work->rel)->natts + 1;
	TableTodoPage *page = palloc(sizeof(TableTodoPage));
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *isnull = palloc(natts * sizeof(bool));
	Oid		   *ids = palloc(natts * sizeof(Oid));
	Size		at = 0;

	for (uint32 i = 0; TableTodoNextPage(finish->todo, finish->len, &at, page); i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (finish->states[i] == PAGE_CHANGED)
			examine_page(finish, page, values, isnull, ids);
	}
	if (finish->unknown != NULL)
		keep_referenced(finish, values, isnull, ids);
}

/*
 * Delete the values that nothing refers to: what was written by transactions that the
 * snapshot sees as committed, none of which refers to them later.
 */
static void
delete_unknown(SealFinish *finish)
{
	int			n = 0;
	Oid		   *values = palloc((hash_get_num_entries(finish->unknown) + 1) * sizeof(Oid));
	HASH_SEQ_STATUS status;
	Oid		   *value;

	hash_seq_init(&status, finish->unknown);
	while ((value = hash_seq_search(&status)) != NULL)
		values[n++] = *value;
	TableDeleteValues(finish->work->toast, values, n, finish->snapshot);
	UnregisterSnapshot(finish->snapshot);
	pfree(values);
}

/*
 * Step 3: the old values of rows that became stubs go, and the list with them; pages that
 * are still open stay in a new list.  True when none is.
 */
static bool
write_finish(SealFinish *finish, BlockSet *pending)
{
	TableWork  *work = finish->work;
	TableSegmentEntry *entry = finish->entry;
	TableTodoPage *page = palloc(sizeof(TableTodoPage));
	StringInfoData rest;
	uint32		open_rows = 0;
	Size		at = 0;
	int			room = 1024;
	Oid		   *values = palloc(room * sizeof(Oid));
	int			nvalues = 0;

	PushActiveSnapshot(GetTransactionSnapshot());
	TableTodoBeginSeal(&rest);
	for (uint32 i = 0; TableTodoNextPage(finish->todo, finish->len, &at, page); i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (finish->states[i] == PAGE_OPEN)
		{
			TableTodoAddPage(&rest, page);
			open_rows += (uint32) page->nrows;
			add_block(pending, work->rel, work->context, page->block);
			continue;
		}
		for (int row = 0; row < page->nrows; row++)
		{
			if (!is_done(finish, page->rows[row].row))
				entry->dead_rows++;
			else
				for (int value = 0; value < page->rows[row].nvalues; value++)
				{
					if (nvalues == room)
					{
						room *= 2;
						values = repalloc_huge(values, (Size) room * sizeof(Oid));
					}
					values[nvalues++] = page->rows[row].values[value];
				}
		}
	}
	/* nobody else could delete a stub's, so they are the row's; a rewrite may have copied them lately */
	TableDeleteValues(work->toast, values, nvalues, NULL);
	if (finish->unknown != NULL)
		delete_unknown(finish);
	MILVUS_DEBUG_POINT("table-seal-values-deleted");
	TableDeleteValue(work->toast, entry->todo);
	if (open_rows > 0)
	{
		TableTodoFinish(&rest);
		entry->todo = TableNewValueId(work->toast, NULL);
		TableWriteValue(work->toast, entry->todo, rest.data, rest.len);
		TableUpdateEntry(work->rel, entry);
	}
	else if (entry->dead_rows >= entry->rows)
		/* every row was changed in the meantime */
		TableDropSegment(work->rel, work->toast, entry);
	else
	{
		entry->todo = InvalidOid;
		entry->state = TABLE_SEGMENT_FLUSHED;
		entry->flushed = GetCurrentTimestamp();
		TableUpdateEntry(work->rel, entry);
	}
	PopActiveSnapshot();
	return open_rows == 0;
}

/*
 * The pages of a list are pure now.  Where the map is new and the table being written, nothing
 * is set; VACUUM's job does it later.
 */
static void
set_pure(TableWork *work, const char *todo, Size len)
{
	TableTodoPage *page = palloc(sizeof(TableTodoPage));
	BlockNumber *blocks;
	Size		at = 0;
	int			n = 0;

	while (TableTodoNextPage(todo, len, &at, page))
		n++;
	blocks = palloc_extended((n + 1) * sizeof(BlockNumber), MCXT_ALLOC_HUGE);
	at = 0;
	n = 0;
	while (TableTodoNextPage(todo, len, &at, page))
		blocks[n++] = page->block;
	(void) TableMapSetPure(work->rel, blocks, n);
}

/*
 * Steps 2 and 3 for one segment and its list (which outlives transactions).  In a
 * transaction of `work`, which ends; another is open after.
 */
static bool
finish_segment(TableWork *work, TableSegmentEntry *entry, const char *todo, Size len, bool fresh,
			   BlockSet *pending)
{
	MemoryContext old = MemoryContextSwitchTo(CurTransactionContext);
	SealFinish	finish = {.work = work,.entry = entry,.todo = todo,.len = len,.fresh = fresh};
	TableTodoPage *page = palloc(sizeof(TableTodoPage));
	Bitmapset  *kept = TableSegmentKeptColumns(work->rel, entry);
	Bitmapset  *wanted;
	bool		sealable;
	bool		complete;
	Size		at = 0;

	while (TableTodoNextPage(todo, len, &at, page))
		finish.npages++;
	if (!fresh)
		TableWorkExpect(work, finish.npages);
	finish.states = palloc0(finish.npages + 1);
	finish.done = palloc0(entry->rows / 8 + 1);
	finish.strategy = GetAccessStrategy(BAS_BULKREAD);

	/* after a crash the table may have got other keys, or another identity */
	wanted = TableKeptColumns(work->rel, &sealable);
	if (!sealable || !bms_is_subset(wanted, kept))
		memset(finish.states, PAGE_CHANGED, finish.npages);
	else if (rewrite_pages(&finish, kept) && !fresh &&
			 GetCurrentTimestamp() - entry->sealed > INT64CONST(1000) * PIN_PATIENCE)
	{
		/* pinned for long: the rows stay growing */
		for (uint32 i = 0; i < finish.npages; i++)
			if (finish.states[i] == PAGE_OPEN)
				finish.states[i] = PAGE_CHANGED;
	}
	MILVUS_DEBUG_POINT("table-seal-pages-written");
	if (!fresh)
		examine_pages(&finish);
	complete = write_finish(&finish, pending);
	FreeAccessStrategy(finish.strategy);
	MemoryContextSwitchTo(old);
	MILVUS_DEBUG_POINT("table-seal-before-flushed");
	TableWorkCommit(work);
	MILVUS_DEBUG_POINT("table-seal-flushed");

	TableWorkStart(work);
	if (complete)
	{
		old = MemoryContextSwitchTo(CurTransactionContext);
		set_pure(work, todo, len);
		FreeSpaceMapVacuumRange(work->rel, entry->first_block, entry->last_block + 1);
		MemoryContextSwitchTo(old);
		TableWorkCommit(work);
		TableWorkStart(work);
	}
	return complete;
}

/*
 * Finish what is in state Sealed, oldest first.
 */
static bool
finish_unfinished(TableWork *work, BlockSet *pending)
{
	TableSegmentEntry *entries;
	MemoryContext old = MemoryContextSwitchTo(work->context);
	bool		complete = true;
	int			n;

	entries = TableReadManifest(work->rel, &n);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < n; i++)
	{
		TableSegmentEntry *entry = &entries[i];
		char	   *todo;
		Size		len;

		if (entry->state != TABLE_SEGMENT_SEALED)
			continue;
		old = MemoryContextSwitchTo(work->context);
		todo = TableReadValue(work->toast, entry->todo, &len);
		MemoryContextSwitchTo(old);
		if (TableTodoVerify(todo, len) == TABLE_TODO_SEAL)
			complete &= finish_segment(work, entry, todo, len, false, pending);
		else
		{
			Oid			value = entry->todo;

			complete &= TableFinishCompaction(work, todo, len, value);
			/* one list is that of all its results */
			for (int j = i; j < n; j++)
				if (entries[j].todo == value)
					entries[j].state = TABLE_SEGMENT_FLUSHED;
		}
		pfree(todo);
	}
	pfree(entries);
	return complete;
}

bool
TableFinishUnfinished(TableWork *work)
{
	BlockSet	pending = {0};

	return finish_unfinished(work, &pending);
}

/* ---- when ---- */

/*
 * Rows and raw bytes that could be sealed now, and those that wait: from a sample of the pages
 * that are not pure, all of them when they are few.
 */
static void
estimate_sealable(SealPass *pass, TableSealReport *report)
{
	Relation	rel = pass->work->rel;
	TupleDesc	desc = RelationGetDescr(rel);
	TransactionId horizon = TableSettledHorizon(rel);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "milvus sample", ALLOCSET_DEFAULT_SIZES);
	HeapTuple  *tuples = palloc(MaxHeapTuplesPerPage * sizeof(HeapTuple));
	Datum	   *values = palloc((desc->natts + 1) * sizeof(Datum));
	bool	   *isnull = palloc((desc->natts + 1) * sizeof(bool));
	BlockNumber candidates = 0;
	BlockNumber read = 0;
	BlockNumber step;
	BlockNumber skip;
	double		weight;

	for (BlockNumber block = 0; block < pass->nblocks; block++)
		if (!block_is_in(&pass->pure, block) && !block_is_in(&pass->pending, block))
			candidates++;
	if (candidates == 0)
		return;
	step = (candidates + SAMPLE_PAGES - 1) / SAMPLE_PAGES;
	skip = (BlockNumber) pg_prng_uint64_range(&pg_global_prng_state, 0, step - 1);
	for (BlockNumber block = 0; block < pass->nblocks; block++)
	{
		XLogRecPtr	lsn;
		MemoryContext old;
		int			n;

		if (block_is_in(&pass->pure, block) || block_is_in(&pass->pending, block))
			continue;
		if (skip-- > 0)
			continue;
		skip = step - 1;
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		old = MemoryContextSwitchTo(context);
		n = read_page(rel, block, horizon, NULL, tuples, &lsn, report);
		for (int i = 0; i < n; i++)
		{
			report->bytes += tuples[i]->t_len;
			if (!HeapTupleHasExternal(tuples[i]))
				continue;
			heap_deform_tuple(tuples[i], desc, values, isnull);
			for (int attr = 0; attr < desc->natts; attr++)
				if (!isnull[attr] && TupleDescAttr(desc, attr)->attlen == -1)
					report->bytes += (double) toast_raw_datum_size(values[attr]);
		}
		report->rows += n;
		MemoryContextSwitchTo(old);
		read++;
	}
	weight = (double) candidates / read;
	report->rows *= weight;
	report->bytes *= weight;
	report->waiting *= weight;
	report->waiting_bytes *= weight;
	MemoryContextDelete(context);
}

/*
 * How many segments the policy wants now, and why.
 */
static int
segments_due(SealPass *pass, TableSealReport *report)
{
	const TableOptions *options = &pass->options;
	TableSegmentEntry *entries;
	TimestampTz last = 0;
	double		due;
	int			n;

	if (milvus_settings.seal_eagerly)
		return INT_MAX;
	if (!options->auto_seal)
		return 0;
	if (options->segment_age >= 0)
	{
		entries = TableReadManifest(pass->work->rel, &n);
		for (int i = 0; i < n; i++)
			last = Max(last, entries[i].sealed);
		report->wait = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													   last + options->segment_age * USECS_PER_SEC);
	}
	estimate_sealable(pass, report);
	due = Max(report->rows / (double) options->segment_rows, report->bytes / (double) options->segment_bytes);
	if (due >= 1)
	{
		due = Min(due, 1000000);
		pass->share = floor(due) / due;
		return (int) due;
	}
	return report->rows >= Max((double) options->min_rows, 1) && report->wait == 0 ? 1 : 0;
}

/* ---- a pass ---- */

/*
 * Begin at the first block: what is pure now, how far the table goes now.
 */
static void
begin_pass(SealPass *pass, TableWork *work)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	BlockNumber next = pass->next;

	memset(&pass->pure, 0, sizeof(pass->pure));
	pass->work = work;
	pass->next = next;
	pass->share = 1;
	pass->give_way = false;
	pass->nblocks = RelationGetNumberOfBlocks(work->rel);
	pass->pure.nblocks = pass->nblocks;
	pass->pure.words = TableMapRead(work->rel, pass->nblocks);
	TableGetOptions(work->rel, &pass->options);
	pass->strategy = GetAccessStrategy(BAS_BULKREAD);
	MemoryContextSwitchTo(old);
}

/* Pages that the pass has to look at. */
static double
pages_left(const SealPass *pass)
{
	BlockNumber n = 0;

	for (BlockNumber block = pass->next; block < pass->nblocks; block++)
		n += !block_is_in(&pass->pure, block) && !block_is_in(&pass->pending, block);
	return n;
}

/*
 * After VACUUM FULL no page is pure yet, whatever it holds.
 */
static bool
nothing_is_pure(Relation rel)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	uint64	   *pure = TableMapRead(rel, nblocks);
	bool		nothing = true;

	for (Size w = 0; w < ((Size) nblocks + 63) / 64 && nothing; w++)
		nothing = pure[w] == 0;
	pfree(pure);
	return nothing;
}

/*
 * Finish and seal under one hold of the lock.  False: it has to be taken again, because
 * somebody else waited for it.
 */
static bool
seal_locked(SealPass *pass, TableWork *work, TableSealMode mode, List **numbers, int *made,
			TableSealReport *report)
{
	int			limit = INT_MAX;
	uint32		min_rows = 1;
	bool		sealable;

	memset(&pass->pending, 0, sizeof(pass->pending));
	(void) finish_unfinished(work, &pass->pending);
	if (mode != TABLE_SEAL_POLICY || nothing_is_pure(work->rel))
		TableMapRestore(work->rel);
	(void) TableKeptColumns(work->rel, &sealable);
	if (sealable)
	{
		begin_pass(pass, work);
		if (mode == TABLE_SEAL_POLICY)
		{
			limit = segments_due(pass, report);
			if (!milvus_settings.seal_eagerly)
				min_rows = (uint32) Min(pass->options.min_rows, TABLE_MAX_ROWS);
		}
		if (limit > 0)
			TableWorkExpect(work, (uint64) ceil(pages_left(pass) * pass->share) * PAGE_VISITS);
		TableWorkCommit(work);
		TableWorkStart(work);
	}
	while (sealable && limit-- > 0 && pass->next < pass->nblocks && !pass->give_way)
	{
		TableSegmentEntry entry;
		StringInfoData todo;

		if (!build_segment(pass, min_rows, &entry, &todo))
			return !pass->give_way;
		(*made)++;
		if (numbers != NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(work->caller);

			*numbers = lappend_int(*numbers, entry.number);
			MemoryContextSwitchTo(old);
		}
		/* unfinished: somebody waits for the table, or pages are pinned, which the next run looks at */
		if (!finish_segment(work, &entry, todo.data, (Size) todo.len, true, &pass->pending))
			pass->give_way |= LockHasWaitersRelation(work->rel, ShareUpdateExclusiveLock);
		pfree(todo.data);
	}
	TableWorkCommit(work);
	TableWorkEnd(work);
	return !pass->give_way;
}

int
TableSeal(Oid relid, TableSealMode mode, bool wait, List **numbers, TableSealReport *report)
{
	SealPass	pass = {0};
	TableSealReport reason = {.wait = -1};
	TableWork	work;
	int			made = 0;

	while (TableWorkBegin(&work, relid, wait) &&
		   !seal_locked(&pass, &work, mode, numbers, &made, &reason) && wait)
		pass.next = 0;
	if (report != NULL)
		*report = reason;
	return made;
}
