/*
 * tablecompact.c
 *		Compaction: segments are replaced by others that hold their rows without the dead
 *		ones, merged, or in the order of a key.
 *
 * One transaction writes the results, in state Sealed, and the list of where each row of the
 * sources went.  From the list alone the stubs are re-pointed, page by page, and then one
 * transaction drops the sources and sets the results Flushed.  Until then the sources are
 * what scans by column read; stubs that point to a result already say the same.
 *
 * Pages stay pure meanwhile: a result has exactly those rows of a pure page that its source
 * had.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/stratnum.h"
#include "am/table/tableseal.h"
#include "catalog/pg_am.h"
#include "coord_bgworkers/coord.h"
#include "executor/tuptable.h"
#include "guc.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"
#include "utils/wait_event.h"

/* Rows that one compaction takes: its list has 8 bytes for each. */
#define COMPACT_MAX_ROWS (32 * 1024 * 1024)
/* Small segments that the policy wants to see before it merges them. */
#define COMPACT_MIN_SMALL 8
/* Pages that the policy reads to count dead rows. */
#define COMPACT_SAMPLE 1024
/* Progress counts a row of a source when it was read, when it was written, and when its stub points there. */
#define ROW_VISITS 3
/* Pinned pages are tried again so often, after so many ms. */
#define PIN_RETRIES 3
#define PIN_DELAY 20

/* ---- step 1: sources to results ---- */

/* A source while it is read. */
typedef struct Source
{
	Oid			root;			/* hash key */
	int			number;			/* in CompactBuild.sources */
	TableSegmentEntry entry;
	TableSegment *segment;
	uint8	   *alive;			/* a bit for each row */
	ItemPointerData *tids;
} Source;

typedef struct CompactBuild
{
	TableWork  *work;
	TableCompactKind kind;
	int			nsources;
	Source	  **sources;		/* in the order in which rows are read */
	HTAB	   *by_root;
	const Bitmapset *kept;		/* of all sources */
	TableBuilder *builder;
	TableSegmentEntry *results;
	int			nresults;
	Oid			todo;			/* value id of the list */
	TableTodoCompact list;		/* in work->context */
	MemoryContext row_context;
	Datum	   *values;
	bool	   *isnull;
} CompactBuild;

static bool
is_alive(const Source *source, uint32 row)
{
	return (source->alive[row / 8] >> (row % 8) & 1) != 0;
}

/*
 * The stubs of a page that refer to sources and are not dead to everybody.
 */
static bool
find_stubs(CompactBuild *build, BlockNumber block, TransactionId horizon, BufferAccessStrategy strategy)
{
	Relation	rel = build->work->rel;
	Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	Page		page = BufferGetPage(buffer);
	bool		found = false;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	for (OffsetNumber offset = FirstOffsetNumber;
		 !PageIsNew(page) && offset <= PageGetMaxOffsetNumber(page); offset++)
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData tuple;
		TableRef	ref;
		Source	   *source;

		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = RelationGetRelid(rel);
		ItemPointerSet(&tuple.t_self, block, offset);
		if (!TableTupleIsStub(tuple.t_data))
			continue;
		ref = TableStubRef(tuple.t_data, tuple.t_len);
		source = hash_search(build->by_root, &ref.root, HASH_FIND, NULL);
		if (source == NULL || TableRefRow(ref) >= source->entry.rows ||
			HeapTupleSatisfiesVacuum(&tuple, horizon, buffer) == HEAPTUPLE_DEAD)
			continue;
		source->alive[TableRefRow(ref) / 8] |= 1 << (TableRefRow(ref) % 8);
		found = true;
	}
	UnlockReleaseBuffer(buffer);
	return found;
}

/*
 * Which rows of the sources are in use, and the blocks that hold their stubs.  False: somebody
 * waits for the table.
 */
static bool
find_all_stubs(CompactBuild *build)
{
	TableWork  *work = build->work;
	BlockNumber nblocks = RelationGetNumberOfBlocks(work->rel);
	uint64	   *words = palloc_extended((nblocks / 64 + 1) * sizeof(uint64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	TransactionId horizon = GetOldestNonRemovableTransactionId(work->rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	BlockNumber n = 0;

	for (int i = 0; i < build->nsources; i++)
	{
		Source	   *source = build->sources[i];

		CHECK_FOR_INTERRUPTS();
		source->tids = palloc_extended(((Size) source->entry.rows + 1) * sizeof(ItemPointerData), MCXT_ALLOC_HUGE);
		source->alive = palloc0(source->entry.rows / 8 + 1);
		TableSegmentTids(source->segment, 0, source->entry.rows, source->tids);
		for (uint32 row = 0; row < source->entry.rows; row++)
		{
			BlockNumber block = ItemPointerGetBlockNumber(&source->tids[row]);

			if (block < nblocks)
				words[block / 64] |= UINT64CONST(1) << (block % 64);
		}
	}
	for (BlockNumber block = 0; block < nblocks; block++)
	{
		if ((words[block / 64] >> (block % 64) & 1) == 0)
			continue;
		if (TableWorkWanted(work))
			return false;
		if (find_stubs(build, block, horizon, strategy))
			n++;
		else
			words[block / 64] &= ~(UINT64CONST(1) << (block % 64));
	}
	build->list.nblocks = n;
	build->list.blocks = MemoryContextAllocHuge(work->context, ((Size) n + 1) * sizeof(BlockNumber));
	n = 0;
	for (BlockNumber block = 0; block < nblocks; block++)
		if ((words[block / 64] >> (block % 64) & 1) != 0)
			build->list.blocks[n++] = block;
	pfree(words);
	FreeAccessStrategy(strategy);
	return true;
}

static void
finish_result(CompactBuild *build)
{
	TableSegmentEntry *result = &build->results[build->nresults];
	uint64		horizon = 0;

	TableBuilderFinish(build->builder, result);
	build->builder = NULL;
	for (int i = 0; i < build->nsources; i++)
		horizon = Max(horizon, build->sources[i]->entry.horizon);
	result->horizon = horizon;
	result->state = TABLE_SEGMENT_SEALED;
	result->todo = build->todo;
	result->sealed = GetCurrentTimestamp();
	/* the next Finish takes the next number */
	TableInsertEntry(build->work->rel, result);
	build->nresults++;
}

/*
 * Add a row, the values of which are in build->values.
 */
static void
add_row(CompactBuild *build, const Source *source, uint32 row)
{
	TableTodoTarget *target = &build->list.targets[source->number][row];
	int64		number;

	if (build->builder != NULL && TableBuilderIsFull(build->builder))
		finish_result(build);
	if (build->builder == NULL)
	{
		Relation	rel = build->work->rel;

		if (build->results == NULL)
		{
			build->results = palloc(sizeof(TableSegmentEntry));
			build->todo = TableNewValueId(build->work->toast, NULL);
		}
		else
			build->results = repalloc(build->results, (build->nresults + 1) * sizeof(TableSegmentEntry));
		build->builder = TableBuilderBegin(rel, build->work->toast, NULL, RelationGetDescr(rel));
		TableBuilderSetKept(build->builder, build->kept);
		for (int i = 0; i < build->nsources; i++)
			TableBuilderInherit(build->builder, build->sources[i]->segment);
	}
	number = TableBuilderAdd(build->builder, &source->tids[row], build->values, build->isnull);
	if (number < 0)
		elog(ERROR, "a row of a segment does not fit a segment");
	target->result = (uint32) build->nresults + 1;
	target->row = (uint32) number;
}

static void
fetch_row(CompactBuild *build, const Source *source, uint32 row)
{
	TupleDesc	desc = RelationGetDescr(build->work->rel);

	for (int i = 0; i < desc->natts; i++)
	{
		build->isnull[i] = true;
		if (!TupleDescAttr(desc, i)->attisdropped)
			build->values[i] = TableSegmentFetch(source->segment, (AttrNumber) (i + 1), row,
												 &build->isnull[i], build->row_context);
	}
}

/*
 * Rows in the order of the sources.  False: somebody waits for the table.
 */
static bool
copy_rows(CompactBuild *build)
{
	for (int i = 0; i < build->nsources; i++)
		for (uint32 row = 0; row < build->sources[i]->entry.rows; row++)
		{
			MemoryContext old;

			TableWorkDone(build->work, ROW_VISITS - 1);
			if (row % 64 == 0 && TableWorkWanted(build->work))
				return false;
			if (!is_alive(build->sources[i], row))
				continue;
			old = MemoryContextSwitchTo(build->row_context);
			fetch_row(build, build->sources[i], row);
			MemoryContextSwitchTo(old);
			add_row(build, build->sources[i], row);
			MemoryContextReset(build->row_context);
		}
	return true;
}

/* What rows are sorted by. */
typedef struct SortKeys
{
	int			n;
	AttrNumber	attnums[INDEX_MAX_KEYS];
	Oid			operators[INDEX_MAX_KEYS];
	Oid			collations[INDEX_MAX_KEYS];
	bool		nulls_first[INDEX_MAX_KEYS];
} SortKeys;

/*
 * The primary key, or the option cluster_key.  ERROR when there is none that sorts.
 */
static void
get_sort_keys(Relation rel, TableCompactKind kind, SortKeys *keys)
{
	memset(keys, 0, sizeof(*keys));
	if (kind == TABLE_COMPACT_CLUSTER)
	{
		TableOptions options;
		Form_pg_attribute attr;

		TableGetOptions(rel, &options);
		if (options.cluster_key == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s\" has no option \"cluster_key\"", RelationGetRelationName(rel)),
					 errhint("Set it with milvus.alter_table_options().")));
		attr = TupleDescAttr(RelationGetDescr(rel), options.cluster_key - 1);
		keys->n = 1;
		keys->attnums[0] = options.cluster_key;
		keys->operators[0] = lookup_type_cache(attr->atttypid, TYPECACHE_LT_OPR)->lt_opr;
		keys->collations[0] = attr->attcollation;
	}
	else
	{
		List	   *indexes = RelationGetIndexList(rel);
		ListCell   *cell;

		foreach(cell, indexes)
		{
			Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

			if (index->rd_index->indisprimary && index->rd_rel->relam == BTREE_AM_OID)
				for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
				{
					int16		option = index->rd_indoption[i];

					keys->attnums[i] = index->rd_index->indkey.values[i];
					keys->operators[i] = get_opfamily_member(index->rd_opfamily[i], index->rd_opcintype[i],
															 index->rd_opcintype[i],
															 (option & INDOPTION_DESC) != 0 ?
															 BTGreaterStrategyNumber : BTLessStrategyNumber);
					keys->collations[i] = index->rd_indcollation[i];
					keys->nulls_first[i] = (option & INDOPTION_NULLS_FIRST) != 0;
					keys->n = i + 1;
				}
			index_close(index, AccessShareLock);
		}
		if (keys->n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s\" has no primary key", RelationGetRelationName(rel)),
					 errhint("Set the option \"cluster_key\" and compact with kind \"cluster\".")));
	}
	for (int i = 0; i < keys->n; i++)
		if (!OidIsValid(keys->operators[i]))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FUNCTION),
					 errmsg("column \"%s\" of table \"%s\" cannot be sorted",
							NameStr(TupleDescAttr(RelationGetDescr(rel), keys->attnums[i] - 1)->attname),
							RelationGetRelationName(rel))));
}

/*
 * Rows in the order of a key.  Few are sorted whole, which reads each segment once from begin to
 * end; of many only the keys are, and then they are fetched one by one from mapped columns.
 * False: somebody waits for the table.
 */
static bool
sort_rows(CompactBuild *build)
{
	Relation	rel = build->work->rel;
	TupleDesc	desc = RelationGetDescr(rel);
	uint64		bytes = 0;
	bool		whole;
	int			ncolumns;
	AttrNumber *columns;
	TupleDesc	sort_desc;
	TupleTableSlot *in;
	TupleTableSlot *out;
	Tuplesortstate *sort;
	SortKeys	keys;
	AttrNumber	positions[INDEX_MAX_KEYS];

	get_sort_keys(rel, build->kind, &keys);
	for (int i = 0; i < build->nsources; i++)
		bytes += build->sources[i]->entry.raw_bytes;
	whole = bytes <= (uint64) maintenance_work_mem * 1024;
	for (int i = 0; i < build->nsources && !whole; i++)
		whole = !TableSegmentWarm(build->sources[i]->segment, 0);

	/* columns of the sort: those of the table or of the key, then source and row */
	columns = palloc((desc->natts + keys.n) * sizeof(AttrNumber));
	ncolumns = 0;
	if (whole)
		for (int i = 0; i < desc->natts; i++)
			columns[ncolumns++] = (AttrNumber) (i + 1);
	else
		for (int i = 0; i < keys.n; i++)
			columns[ncolumns++] = keys.attnums[i];
	for (int i = 0; i < keys.n; i++)
		positions[i] = whole ? keys.attnums[i] : (AttrNumber) (i + 1);
	sort_desc = CreateTemplateTupleDesc(ncolumns + 2);
	for (int i = 0; i < ncolumns; i++)
		TupleDescCopyEntry(sort_desc, (AttrNumber) (i + 1), desc, columns[i]);
	TupleDescInitEntry(sort_desc, (AttrNumber) (ncolumns + 1), "source", INT4OID, -1, 0);
	TupleDescInitEntry(sort_desc, (AttrNumber) (ncolumns + 2), "row", INT4OID, -1, 0);
	in = MakeSingleTupleTableSlot(sort_desc, &TTSOpsVirtual);
	out = MakeSingleTupleTableSlot(sort_desc, &TTSOpsMinimalTuple);
	sort = tuplesort_begin_heap(sort_desc, keys.n, positions, keys.operators, keys.collations,
								keys.nulls_first, maintenance_work_mem, NULL, TUPLESORT_NONE);

	for (int i = 0; i < build->nsources; i++)
		for (uint32 row = 0; row < build->sources[i]->entry.rows; row++)
		{
			MemoryContext old;

			/* the dead are not written */
			TableWorkDone(build->work, is_alive(build->sources[i], row) ? 1 : ROW_VISITS - 1);
			if (row % 64 == 0 && TableWorkWanted(build->work))
				return false;
			if (!is_alive(build->sources[i], row))
				continue;
			ExecClearTuple(in);
			old = MemoryContextSwitchTo(build->row_context);
			for (int column = 0; column < ncolumns; column++)
			{
				in->tts_isnull[column] = true;
				if (!TupleDescAttr(desc, columns[column] - 1)->attisdropped)
					in->tts_values[column] = TableSegmentFetch(build->sources[i]->segment, columns[column], row,
															   &in->tts_isnull[column], build->row_context);
			}
			MemoryContextSwitchTo(old);
			in->tts_values[ncolumns] = Int32GetDatum(i);
			in->tts_values[ncolumns + 1] = Int32GetDatum((int32) row);
			in->tts_isnull[ncolumns] = in->tts_isnull[ncolumns + 1] = false;
			ExecStoreVirtualTuple(in);
			tuplesort_puttupleslot(sort, in);
			MemoryContextReset(build->row_context);
		}
	tuplesort_performsort(sort);
	for (uint64 n = 0; tuplesort_gettupleslot(sort, true, false, out, NULL); n++)
	{
		const Source *source;
		uint32		row;

		if (n % 64 == 0 && TableWorkWanted(build->work))
			return false;
		slot_getallattrs(out);
		source = build->sources[DatumGetInt32(out->tts_values[ncolumns])];
		row = (uint32) DatumGetInt32(out->tts_values[ncolumns + 1]);
		if (whole)
		{
			memcpy(build->values, out->tts_values, desc->natts * sizeof(Datum));
			memcpy(build->isnull, out->tts_isnull, desc->natts * sizeof(bool));
		}
		else
		{
			MemoryContext old = MemoryContextSwitchTo(build->row_context);

			fetch_row(build, source, row);
			MemoryContextSwitchTo(old);
		}
		add_row(build, source, row);
		MemoryContextReset(build->row_context);
		TableWorkDone(build->work, 1);
	}
	ExecDropSingleTupleTableSlot(in);
	ExecDropSingleTupleTableSlot(out);
	tuplesort_end(sort);
	return true;
}

/*
 * Step 1 for the sources: *list (in work->context) is what is to be done, and *todo its value,
 * invalid when no row was left and the sources are dropped.  False: somebody waits for the
 * table, and the work has ended.  Ends the transaction; another is open after.
 */
static bool
build_results(TableWork *work, TableCompactKind kind, const TableSegmentEntry *sources, int nsources,
			  TableTodoCompact **list, Oid *todo)
{
	MemoryContext old = MemoryContextSwitchTo(CurTransactionContext);
	CompactBuild *build = palloc0(sizeof(CompactBuild));
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(Source),.hcxt = CurrentMemoryContext};
	int			natts = RelationGetDescr(work->rel)->natts + 1;
	StringInfoData stored;
	bool		done;

	build->work = work;
	build->kind = kind;
	build->nsources = build->list.nsources = nsources;
	build->row_context = AllocSetContextCreate(CurrentMemoryContext, "milvus compaction row", ALLOCSET_DEFAULT_SIZES);
	build->values = palloc0(natts * sizeof(Datum));
	build->isnull = palloc0(natts * sizeof(bool));
	build->by_root = hash_create("milvus compaction", nsources, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	build->sources = palloc(nsources * sizeof(Source *));
	build->list.sources = MemoryContextAlloc(work->context, nsources * sizeof(TableTodoSegment));
	build->list.targets = MemoryContextAlloc(work->context, nsources * sizeof(TableTodoTarget *));
	build->kept = TableSegmentKeptColumns(work->rel, &sources[0]);
	for (int i = 0; i < nsources; i++)
	{
		const TableSegmentEntry *entry = &sources[i];
		Source	   *source = hash_search(build->by_root, &entry->root, HASH_ENTER, NULL);

		source->number = i;
		source->entry = *entry;
		source->segment = TableSegmentOpen(work->rel, entry->root, TableEntryTag(entry));
		build->sources[i] = source;
		build->list.sources[i] = (TableTodoSegment)
		{
			entry->number, entry->root, TableEntryTag(entry), entry->rows
		};
		build->list.targets[i] = MemoryContextAllocExtended(work->context,
															((Size) entry->rows + 1) * sizeof(TableTodoTarget),
															MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	}
	done = find_all_stubs(build) &&
		(kind == TABLE_COMPACT_MERGE || kind == TABLE_COMPACT_POLICY ? copy_rows(build) : sort_rows(build));
	if (!done)
	{
		MemoryContextSwitchTo(old);
		TableWorkAbandon(work);
		return false;
	}
	if (build->builder != NULL)
		finish_result(build);
	MILVUS_DEBUG_POINT("table-compact-written");
	*todo = InvalidOid;
	if (build->nresults == 0)
		for (int i = 0; i < nsources; i++)
			TableDropSegment(work->rel, work->toast, &sources[i]);
	else
	{
		build->list.nresults = build->nresults;
		build->list.results = MemoryContextAlloc(work->context, build->nresults * sizeof(TableTodoSegment));
		for (int i = 0; i < build->nresults; i++)
			build->list.results[i] = (TableTodoSegment)
			{
				build->results[i].number, build->results[i].root, TableEntryTag(&build->results[i]),
				build->results[i].rows
			};
		TableTodoWriteCompact(&stored, &build->list);
		*todo = build->todo;
		TableWriteValue(work->toast, *todo, stored.data, (Size) stored.len);
	}
	*list = MemoryContextAlloc(work->context, sizeof(TableTodoCompact));
	**list = build->list;
	MemoryContextSwitchTo(old);
	MILVUS_DEBUG_POINT("table-compact-before-commit");
	TableWorkCommit(work);
	MILVUS_DEBUG_POINT("table-compact-committed");
	TableWorkStart(work);
	return true;
}

/* ---- steps 2 and 3: from the list alone ---- */

typedef struct Relink
{
	const TableTodoCompact *list;
	HTAB	   *by_root;		/* RelinkSource */
} Relink;

typedef struct RelinkSource
{
	Oid			root;			/* hash key */
	int			number;
} RelinkSource;

static bool
map_ref(void *arg, TableRef *ref)
{
	const Relink *relink = arg;
	const TableTodoSegment *result;
	const TableTodoTarget *target;
	RelinkSource *source = hash_search(relink->by_root, &ref->root, HASH_FIND, NULL);

	if (source == NULL || TableRefRow(*ref) >= relink->list->sources[source->number].rows)
		return false;
	target = &relink->list->targets[source->number][TableRefRow(*ref)];
	/* dead to everybody when the sources were read; nobody looks at its values */
	if (target->result == 0)
		return false;
	result = &relink->list->results[target->result - 1];
	ref->root = result->root;
	ref->row = target->row | result->tag << TABLE_ROW_BITS;
	return true;
}

static uint64
source_rows(const TableTodoCompact *list)
{
	uint64		rows = 0;

	for (int i = 0; i < list->nsources; i++)
		rows += list->sources[i].rows;
	return rows;
}

/*
 * Step 2.  False: pages are left, because they are pinned or somebody waits for the table.
 */
static bool
relink_pages(TableWork *work, const TableTodoCompact *list)
{
	uint64		rows = source_rows(list);
	uint64		counted = 0;
	BlockNumber done = 0;
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(RelinkSource),.hcxt = CurrentMemoryContext};
	Relink		relink = {.list = list};
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	BlockNumber *pinned = palloc_extended(((Size) list->nblocks + 1) * sizeof(BlockNumber), MCXT_ALLOC_HUGE);
	const BlockNumber *blocks = list->blocks;
	BlockNumber n = list->nblocks;

	relink.by_root = hash_create("milvus relink", list->nsources, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < list->nsources; i++)
	{
		RelinkSource *source = hash_search(relink.by_root, &list->sources[i].root, HASH_ENTER, NULL);

		source->number = i;
	}
	for (int attempt = 0;; attempt++)
	{
		BlockNumber npinned = 0;

		for (BlockNumber i = 0; i < n; i++)
		{
			if (TableWorkWanted(work))
				return false;
			if (TablePageRelink(work->rel, blocks[i], map_ref, &relink, strategy) == TABLE_PAGE_PINNED)
			{
				pinned[npinned++] = blocks[i];
				continue;
			}
			/* pages have their share of the rows */
			done++;
			TableWorkDone(work, rows * done / list->nblocks - counted);
			counted = rows * done / list->nblocks;
			MILVUS_DEBUG_POINT("table-compact-page");
		}
		if (npinned == 0)
			break;
		if (attempt == PIN_RETRIES)
			return false;
		blocks = pinned;
		n = npinned;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 PIN_DELAY << attempt, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	hash_destroy(relink.by_root);
	FreeAccessStrategy(strategy);
	return true;
}

/*
 * Step 3: the sources go.
 */
static void
switch_segments(TableWork *work, const TableTodoCompact *list, Oid todo)
{
	TableSegmentEntry *entries;
	int			n;

	PushActiveSnapshot(GetTransactionSnapshot());
	entries = TableReadManifest(work->rel, &n);
	for (int i = 0; i < n; i++)
		if (entries[i].todo == todo)
		{
			entries[i].todo = InvalidOid;
			entries[i].state = TABLE_SEGMENT_FLUSHED;
			entries[i].flushed = GetCurrentTimestamp();
			TableUpdateEntry(work->rel, &entries[i]);
		}
		else
			for (int source = 0; source < list->nsources; source++)
				if (list->sources[source].number == entries[i].number &&
					list->sources[source].root == entries[i].root)
					TableDropSegment(work->rel, work->toast, &entries[i]);
	TableDeleteValue(work->toast, todo);
	PopActiveSnapshot();
	pfree(entries);
}

static bool
finish_compaction(TableWork *work, const TableTodoCompact *list, Oid todo)
{
	MemoryContext old = MemoryContextSwitchTo(CurTransactionContext);
	bool		complete = relink_pages(work, list);

	MILVUS_DEBUG_POINT("table-compact-pages-written");
	if (complete)
		switch_segments(work, list, todo);
	MemoryContextSwitchTo(old);
	MILVUS_DEBUG_POINT("table-compact-before-flushed");
	TableWorkCommit(work);
	MILVUS_DEBUG_POINT("table-compact-flushed");
	TableWorkStart(work);
	if (complete)
	{
		/* those that had lost rows */
		(void) TableMapSetPure(work->rel, list->blocks, (int) list->nblocks);
		TableWorkCommit(work);
		TableWorkStart(work);
	}
	return complete;
}

bool
TableFinishCompaction(TableWork *work, const void *todo, Size len, Oid value)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	TableTodoCompact *list = TableTodoReadCompact(todo, len);

	MemoryContextSwitchTo(old);
	TableWorkExpect(work, source_rows(list));
	return finish_compaction(work, list, value);
}

/* ---- what is compacted ---- */

static int
by_place(const void *a, const void *b)
{
	const TableSegmentEntry *left = a;
	const TableSegmentEntry *right = b;

	if (left->first_block != right->first_block)
		return left->first_block < right->first_block ? -1 : 1;
	return left->number < right->number ? -1 : 1;
}

static uint32
live_rows(const TableSegmentEntry *entry)
{
	return entry->rows - entry->dead_rows;
}

/*
 * Leave in entries[] those that are to be compacted, in the order of their places.
 */
static int
choose_sources(TableSegmentEntry *entries, int n, TableCompactKind kind, const TableOptions *options)
{
	int64		small = kind == TABLE_COMPACT_POLICY ? options->segment_rows / 4 : options->segment_rows / 2;
	int			nsmall = 0;
	int			chosen = 0;

	for (int i = 0; i < n; i++)
		nsmall += live_rows(&entries[i]) < small && entries[i].raw_bytes < (uint64) options->segment_bytes / 2;
	if (kind == TABLE_COMPACT_POLICY && nsmall < COMPACT_MIN_SMALL)
		small = 0;
	for (int i = 0; i < n; i++)
	{
		const TableSegmentEntry *entry = &entries[i];
		bool		wanted;

		switch (kind)
		{
			case TABLE_COMPACT_POLICY:
				wanted = entry->dead_rows >= options->compact_ratio * entry->rows;
				break;
			case TABLE_COMPACT_MERGE:
				wanted = entry->dead_rows > 0;
				break;
			default:
				wanted = true;
				break;
		}
		if (live_rows(entry) < small && entry->raw_bytes < (uint64) options->segment_bytes / 2)
			wanted = true;
		if (wanted)
			entries[chosen++] = *entry;
	}
	qsort(entries, chosen, sizeof(TableSegmentEntry), by_place);
	return chosen;
}

/*
 * How many of entries[0 .. n - 1] go into one compaction: those that fill a segment, or, when they
 * are sorted, as many as can be.
 */
static int
group_size(TableWork *work, const TableSegmentEntry *entries, int n, TableCompactKind kind,
		   const TableOptions *options)
{
	Bitmapset  *kept = TableSegmentKeptColumns(work->rel, &entries[0]);
	uint64		all = 0;
	uint64		live = 0;
	double		bytes = 0;
	int			size = 0;

	while (size < n)
	{
		const TableSegmentEntry *entry = &entries[size];
		double		entry_bytes = (double) entry->raw_bytes * live_rows(entry) / Max(entry->rows, 1);

		all += entry->rows;
		live += live_rows(entry);
		bytes += entry_bytes;
		if (size > 0 &&
			(all > COMPACT_MAX_ROWS ||
			 !bms_equal(kept, TableSegmentKeptColumns(work->rel, entry)) ||
			 ((kind == TABLE_COMPACT_MERGE || kind == TABLE_COMPACT_POLICY) &&
			  (live > (uint64) options->segment_rows || bytes > (double) options->segment_bytes))))
			break;
		size++;
	}
	return size;
}

/*
 * Count dead rows and keep the counts in the manifest.
 */
static void
refresh_counts(TableWork *work, TableSegmentEntry *entries, int n, TableCompactKind kind)
{
	uint32	   *before = palloc((n + 1) * sizeof(uint32));

	for (int i = 0; i < n; i++)
		before[i] = entries[i].dead_rows;
	TableCount(work->rel, NULL, entries, n, kind == TABLE_COMPACT_POLICY ? COMPACT_SAMPLE : 0, NULL);
	for (int i = 0; i < n; i++)
		if (entries[i].dead_rows != before[i])
			TableUpdateEntry(work->rel, &entries[i]);
	pfree(before);
}

/*
 * Flushed segments, in work->context; none when a compaction is still unfinished.
 */
static TableSegmentEntry *
read_flushed(TableWork *work, int *n)
{
	MemoryContext old = MemoryContextSwitchTo(work->context);
	TableSegmentEntry *entries = TableReadManifest(work->rel, n);
	int			flushed = 0;

	for (int i = 0; i < *n; i++)
		if (entries[i].state == TABLE_SEGMENT_FLUSHED)
			entries[flushed++] = entries[i];
		else
		{
			Size		len;
			void	   *todo = TableReadValue(work->toast, entries[i].todo, &len);

			if (TableTodoVerify(todo, len) == TABLE_TODO_COMPACT)
			{
				flushed = 0;
				break;
			}
			pfree(todo);
		}
	MemoryContextSwitchTo(old);
	*n = flushed;
	return entries;
}

/*
 * Compact under one hold of the lock.  False: somebody else waited for it.
 */
static bool
compact_locked(TableWork *work, TableCompactKind kind, List **numbers, int *made)
{
	TableOptions options;
	TableSegmentEntry *entries;
	uint64		rows = 0;
	int			n;
	int			chosen;

	(void) TableFinishUnfinished(work);
	TableGetOptions(work->rel, &options);
	entries = read_flushed(work, &n);
	refresh_counts(work, entries, n, kind);
	chosen = choose_sources(entries, n, kind, &options);
	TableWorkCommit(work);
	TableWorkStart(work);
	for (int i = 0; i < chosen; i++)
		rows += entries[i].rows;
	if (rows > 0)
		TableWorkExpect(work, rows * ROW_VISITS);
	for (int i = 0; i < chosen;)
	{
		int			size = group_size(work, &entries[i], chosen - i, kind, &options);
		TableTodoCompact *list;
		Oid			todo;

		if (size == 1 && entries[i].dead_rows == 0 &&
			(kind == TABLE_COMPACT_MERGE || kind == TABLE_COMPACT_POLICY))
		{
			TableWorkDone(work, (uint64) entries[i].rows * ROW_VISITS);
			i++;
			continue;
		}
		if (!build_results(work, kind, &entries[i], size, &list, &todo))
			return false;
		if (OidIsValid(todo))
		{
			*made += list->nresults;
			for (int result = 0; result < list->nresults && numbers != NULL; result++)
			{
				MemoryContext old = MemoryContextSwitchTo(work->caller);

				*numbers = lappend_int(*numbers, list->results[result].number);
				MemoryContextSwitchTo(old);
			}
			if (!finish_compaction(work, list, todo))
				break;
		}
		else
			TableWorkDone(work, source_rows(list));
		i += size;
	}
	TableWorkCommit(work);
	TableWorkEnd(work);
	return true;
}

int
TableCompact(Oid relid, TableCompactKind kind, bool wait, List **numbers)
{
	TableWork	work;
	int			made = 0;

	while (TableWorkBegin(&work, relid, wait) && !compact_locked(&work, kind, numbers, &made) && wait)
		;
	return made;
}
