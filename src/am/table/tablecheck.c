/*
 * tablecheck.c
 *		milvus.check_table(): is everything that the table's pages, segments and TOAST
 *		relation say of each other true?
 *
 * Reads all of it: each chunk of each segment in its durable form, each page, each TOAST
 * value.  Under ShareUpdateExclusiveLock, so that nobody seals or compacts meanwhile; rows may
 * come and go.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "am/table/tableseal.h"
#include "am/table/tablesegment.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(milvus_check_table);

/* Problems reported before the rest is only counted. */
#define MAX_PROBLEMS 100

/* A segment of the manifest. */
typedef struct CheckSegment
{
	Oid			root;			/* hash key */
	TableSegmentEntry entry;
	TableSegment *segment;		/* NULL: it cannot be read */
	ItemPointerData *tids;
	uint8	   *seen;			/* a bit for each row: a stub points at it */
	uint32		nseen;
} CheckSegment;

/* A TOAST value that nobody has referred to yet. */
typedef struct CheckValue
{
	Oid			value;			/* hash key */
} CheckValue;

/* A block that the page map says is pure. */
typedef struct CheckBlock
{
	BlockNumber block;			/* hash key */
	uint32		recorded;		/* rows that segments have there */
} CheckBlock;

typedef struct Check
{
	MemoryContext context;		/* of the texts */
	Relation	rel;
	Relation	toast;
	List	   *texts;			/* of problems, no more than MAX_PROBLEMS */
	int			problems;
	HTAB	   *segments;
	HTAB	   *values;
	HTAB	   *pure;
	BlockNumber nblocks;
	Datum	   *datums;
	bool	   *isnull;
	Oid		   *ids;
} Check;

static void problem(Check *check, const char *format,...) pg_attribute_printf(2, 3);

static void
problem(Check *check, const char *format,...)
{
	char		text[1024];
	va_list		args;
	MemoryContext old;

	if (check->problems++ >= MAX_PROBLEMS)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	old = MemoryContextSwitchTo(check->context);
	check->texts = lappend(check->texts, makeString(pstrdup(text)));
	MemoryContextSwitchTo(old);
}

static HTAB *
make_hash(const char *name, Size entry)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = entry,.hcxt = CurrentMemoryContext};

	return hash_create(name, 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Somebody refers to the value. */
static bool
forget_value(Check *check, Oid value)
{
	return hash_search(check->values, &value, HASH_REMOVE, NULL) != NULL;
}

/*
 * Call fn(check, arg); an ERROR in it becomes a problem.
 */
static bool
guarded(Check *check, void (*fn) (Check *check, void *arg), void *arg, const char *what)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool fine = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		fn(check, arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		/* a request to stop is no finding */
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		MemoryContextSwitchTo(context);
		problem(check, "%s: %s", what, error->message);
		fine = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return fine;
}

/* ---- TOAST values ---- */

/*
 * All values of the TOAST relation that the snapshot sees.
 */
static void
collect_values(Check *check, Snapshot snapshot)
{
	TableScanDesc scan = table_beginscan(check->toast, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(check->toast, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Oid			value = DatumGetObjectId(slot_getattr(slot, 1, &isnull));

		CHECK_FOR_INTERRUPTS();
		if (!isnull && value >= FirstNormalObjectId)
			(void) hash_search(check->values, &value, HASH_ENTER, NULL);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
}

/* ---- segments ---- */

/*
 * All chunks of a segment as they are stored, and the values it consists of.
 */
static void
check_segment(Check *check, void *arg)
{
	CheckSegment *seen = arg;
	TableSegmentEntry *entry = &seen->entry;
	TableSegment *segment = TableSegmentOpen(check->rel, entry->root, TableEntryTag(entry));
	MemoryContext chunk_context = AllocSetContextCreate(CurrentMemoryContext, "milvus check chunk", ALLOCSET_DEFAULT_SIZES);
	Oid		   *values;
	int			n;

	if (TableSegmentRows(segment) != entry->rows)
		problem(check, "segment %d: the root has %u rows, the manifest %u", entry->number,
				TableSegmentRows(segment), entry->rows);
	if (memcmp(TableSegmentId(segment), &entry->id, sizeof(SegmentId)) != 0)
		problem(check, "segment %d: the root has another id", entry->number);
	for (uint32 attnum = 0; attnum <= segment->natts; attnum++)
	{
		TableColumn *column = &segment->columns[attnum];
		uint32		rows = 0;

		for (uint32 chunk = 0; !column->dropped && chunk < column->root->nchunks; chunk++)
		{
			MemoryContext old = MemoryContextSwitchTo(chunk_context);
			ColumnView	view;
			uint32		nulls = 0;

			CHECK_FOR_INTERRUPTS();
			TableSegmentReadChunk(segment, column, chunk, &view);
			for (uint32 row = 0; row < view.rows; row++)
				nulls += ColumnIsNull(&view, row);
			if (nulls != column->chunks[chunk].nulls)
				problem(check, "segment %d: chunk %u of column %u has %u nulls, the root says %u",
						entry->number, chunk, attnum, nulls, column->chunks[chunk].nulls);
			rows += view.rows;
			MemoryContextSwitchTo(old);
			MemoryContextReset(chunk_context);
		}
		if (!column->dropped && rows != segment->rows)
			problem(check, "segment %d: column %u has %u rows of %u", entry->number, attnum, rows, segment->rows);
	}
	MemoryContextDelete(chunk_context);
	values = TableSegmentValues(check->toast, entry->root, &n);
	for (int i = 0; i < n; i++)
		if (!forget_value(check, values[i]))
			problem(check, "segment %d: value %u is not there, or used twice", entry->number, values[i]);
	TableSegmentTids(segment, 0, segment->rows, seen->tids);
	seen->segment = segment;
}

/*
 * A list of what is to be done: its own value, and those that it will delete.
 */
static void
check_todo(Check *check, void *arg)
{
	const TableSegmentEntry *entry = arg;
	Size		len;
	void	   *todo = TableReadValue(check->toast, entry->todo, &len);
	TableTodoPage *page = palloc(sizeof(TableTodoPage));
	Size		at = 0;

	(void) forget_value(check, entry->todo);
	if (TableTodoVerify(todo, len) == TABLE_TODO_SEAL)
		while (TableTodoNextPage(todo, len, &at, page))
			for (int i = 0; i < page->nrows; i++)
			{
				if (page->rows[i].row >= entry->rows)
					problem(check, "segment %d: the to-do list has row %u", entry->number, page->rows[i].row);
				for (int value = 0; value < page->rows[i].nvalues; value++)
					(void) forget_value(check, page->rows[i].values[value]);
			}
	else
		(void) TableTodoReadCompact(todo, len);
	pfree(page);
	pfree(todo);
}

static void
check_manifest(Check *check)
{
	int			n;
	TableSegmentEntry *entries = TableReadManifest(check->rel, &n);

	for (int i = 0; i < n; i++)
	{
		TableSegmentEntry *entry = &entries[i];
		bool		found;
		CheckSegment *segment = hash_search(check->segments, &entry->root, HASH_ENTER, &found);
		char		name[64];

		snprintf(name, sizeof(name), "segment %d", entry->number);
		if (found || (i > 0 && entries[i - 1].number == entry->number))
		{
			problem(check, "%s: is in the manifest twice", name);
			continue;
		}
		memset(segment, 0, sizeof(*segment));
		segment->root = entry->root;
		segment->entry = *entry;
		segment->tids = palloc_extended(((Size) entry->rows + 1) * sizeof(ItemPointerData), MCXT_ALLOC_HUGE);
		segment->seen = palloc0(entry->rows / 8 + 1);
		if (entry->state != TABLE_SEGMENT_SEALED && entry->state != TABLE_SEGMENT_FLUSHED)
			problem(check, "%s: state %u is unknown", name, entry->state);
		if ((entry->state == TABLE_SEGMENT_SEALED) != OidIsValid(entry->todo))
			problem(check, "%s: state %u does not go with to-do list %u", name, entry->state, entry->todo);
		if (entry->rows == 0 || entry->rows > TABLE_MAX_ROWS || entry->dead_rows > entry->rows ||
			entry->first_block > entry->last_block)
			problem(check, "%s: %u rows, %u of them dead, in blocks %u to %u", name, entry->rows, entry->dead_rows,
					entry->first_block, entry->last_block);
		if (!guarded(check, check_segment, segment, name))
			segment->segment = NULL;
		if (OidIsValid(entry->todo))
			(void) guarded(check, check_todo, entry, name);
	}
}

/* ---- pages ---- */

/*
 * Rows that segments have in pure blocks, by the TIDs they recorded.  Results of an unfinished
 * compaction have the rows of its sources once more.
 */
static void
count_recorded(Check *check, const uint64 *pure)
{
	HASH_SEQ_STATUS status;
	CheckSegment *segment;

	hash_seq_init(&status, check->segments);
	while ((segment = hash_seq_search(&status)) != NULL)
		for (uint32 row = 0; segment->segment != NULL && segment->entry.state == TABLE_SEGMENT_FLUSHED &&
			 row < segment->entry.rows; row++)
		{
			BlockNumber block = ItemPointerGetBlockNumber(&segment->tids[row]);
			CheckBlock *recorded;
			bool		found;

			if (block >= check->nblocks || (pure[block / 64] >> (block % 64) & 1) == 0)
				continue;
			recorded = hash_search(check->pure, &block, HASH_ENTER, &found);
			if (!found)
				recorded->recorded = 0;
			recorded->recorded++;
		}
}

/*
 * A stub that is not dead to everybody; `alive`: seen by whoever comes.
 */
static void
check_stub(Check *check, HeapTuple tuple, bool alive)
{
	TupleDesc	desc = RelationGetDescr(check->rel);
	TableRef	ref = TableStubRef(tuple->t_data, tuple->t_len);
	CheckSegment *segment = hash_search(check->segments, &ref.root, HASH_FIND, NULL);
	uint32		row = TableRefRow(ref);
	BlockNumber block = ItemPointerGetBlockNumber(&tuple->t_self);
	OffsetNumber offset = ItemPointerGetOffsetNumber(&tuple->t_self);

	if (segment == NULL)
	{
		/* see TableStubIsGone */
		if (!alive)
			return;
		problem(check, "row (%u,%u): refers to segment root %u, which is not in the manifest", block, offset, ref.root);
		return;
	}
	if (TableRefTag(ref) != TableEntryTag(&segment->entry) || row >= segment->entry.rows)
	{
		problem(check, "row (%u,%u): refers to row %u, tag %u of segment %d, which has %u rows, tag %u",
				block, offset, row, TableRefTag(ref), segment->entry.number, segment->entry.rows,
				TableEntryTag(&segment->entry));
		return;
	}
	if ((segment->seen[row / 8] >> (row % 8) & 1) != 0)
		problem(check, "row (%u,%u): row %u of segment %d belongs to another row, too", block, offset, row,
				segment->entry.number);
	else
		segment->nseen++;
	segment->seen[row / 8] |= 1 << (row % 8);
	if (segment->segment == NULL)
		return;
	if (!ItemPointerEquals(&segment->tids[row], &tuple->t_self))
		problem(check, "row (%u,%u): row %u of segment %d is that of (%u,%u)", block, offset, row, segment->entry.number,
				ItemPointerGetBlockNumberNoCheck(&segment->tids[row]),
				ItemPointerGetOffsetNumberNoCheck(&segment->tids[row]));
	heap_deform_tuple(tuple, desc, check->datums, check->isnull);
	for (int i = 0; i < desc->natts && i < TableSegmentNatts(segment->segment); i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);
		Datum		stored;
		bool		isnull;

		if (attr->attisdropped || !TableSegmentKeeps(segment->segment, attr->attnum))
			continue;
		stored = TableSegmentFetch(segment->segment, attr->attnum, row, &isnull, CurrentMemoryContext);
		if (isnull != check->isnull[i] ||
			(!isnull && !datum_image_eq(stored, check->datums[i], attr->attbyval, attr->attlen)))
			problem(check, "row (%u,%u): column \"%s\" differs from row %u of segment %d", block, offset,
					NameStr(attr->attname), row, segment->entry.number);
	}
}

/*
 * The tuples of a page, copied, and in fates[] who sees them.
 */
static int
copy_page(Check *check, BlockNumber block, TransactionId horizon, BufferAccessStrategy strategy,
		  HeapTuple *tuples, HTSV_Result *fates, int *ndead_items)
{
	Buffer		buffer = ReadBufferExtended(check->rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	Page		page = BufferGetPage(buffer);
	int			n = 0;

	*ndead_items = 0;
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	for (OffsetNumber offset = FirstOffsetNumber;
		 !PageIsNew(page) && offset <= PageGetMaxOffsetNumber(page); offset++)
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData tuple;

		*ndead_items += ItemIdIsDead(item);
		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = RelationGetRelid(check->rel);
		ItemPointerSet(&tuple.t_self, block, offset);
		tuples[n] = heap_copytuple(&tuple);
		fates[n++] = HeapTupleSatisfiesVacuum(&tuple, horizon, buffer);
	}
	UnlockReleaseBuffer(buffer);
	return n;
}

static void
check_pages(Check *check)
{
	TransactionId horizon = GetOldestNonRemovableTransactionId(check->rel);
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "milvus check page", ALLOCSET_DEFAULT_SIZES);
	HeapTuple  *tuples = palloc(MaxHeapTuplesPerPage * sizeof(HeapTuple));
	HTSV_Result *fates = palloc(MaxHeapTuplesPerPage * sizeof(HTSV_Result));
	uint64	   *pure = TableMapRead(check->rel, check->nblocks);

	count_recorded(check, pure);
	/* the table may have grown since; and what is pure now need not be when its page is read */
	check->nblocks = RelationGetNumberOfBlocks(check->rel);
	for (BlockNumber block = 0; block < check->nblocks; block++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		CheckBlock *recorded;
		uint32		stubs = 0;
		int			dead_items;
		int			n;

		CHECK_FOR_INTERRUPTS();
		n = copy_page(check, block, horizon, strategy, tuples, fates, &dead_items);
		for (int i = 0; i < n; i++)
		{
			if (TableTupleIsStub(tuples[i]->t_data))
			{
				stubs++;
				if (fates[i] != HEAPTUPLE_DEAD)
					check_stub(check, tuples[i], fates[i] != HEAPTUPLE_RECENTLY_DEAD);
			}
			else if (HeapTupleHasExternal(tuples[i]))
			{
				int			nvalues;

				heap_deform_tuple(tuples[i], RelationGetDescr(check->rel), check->datums, check->isnull);
				nvalues = TableToastValues(check->rel, check->datums, check->isnull, check->ids);
				for (int value = 0; value < nvalues; value++)
					(void) forget_value(check, check->ids[value]);
			}
		}
		recorded = hash_search(check->pure, &block, HASH_FIND, NULL);
		if (recorded != NULL && (stubs != recorded->recorded || stubs != (uint32) n || dead_items > 0))
		{
			/* changed since the map was read: then the bit is gone */
			uint64	   *now = TableMapRead(check->rel, block + 1);

			if ((now[block / 64] >> (block % 64) & 1) != 0)
				problem(check, "block %u: is marked as pure, but has %u stubs, %d other rows, %d dead items; segments have %u rows there",
						block, stubs, n - (int) stubs, dead_items, recorded->recorded);
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	FreeAccessStrategy(strategy);
}

/* ---- the whole ---- */

static void
check_rest(Check *check)
{
	HASH_SEQ_STATUS status;
	CheckSegment *segment;
	CheckValue *value;

	hash_seq_init(&status, check->segments);
	while ((segment = hash_seq_search(&status)) != NULL)
		if (segment->entry.state == TABLE_SEGMENT_FLUSHED && segment->nseen + segment->entry.dead_rows > segment->entry.rows &&
			segment->entry.dead_rows == segment->entry.rows)
			problem(check, "segment %d: counted as dead, but has %u rows", segment->entry.number, segment->nseen);
	hash_seq_init(&status, check->values);
	while ((value = hash_seq_search(&status)) != NULL)
		problem(check, "TOAST value %u: nothing refers to it; VACUUM FULL removes it", value->value);
}

static void
check_all(Check *check)
{
	int			natts = RelationGetDescr(check->rel)->natts + 1;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "milvus check", ALLOCSET_DEFAULT_SIZES);
	Snapshot	snapshot;

	check->context = MemoryContextSwitchTo(context);
	check->toast = table_open(check->rel->rd_rel->reltoastrelid, AccessShareLock);
	check->segments = make_hash("milvus check segments", sizeof(CheckSegment));
	check->values = make_hash("milvus check values", sizeof(CheckValue));
	check->pure = make_hash("milvus check blocks", sizeof(CheckBlock));
	check->nblocks = RelationGetNumberOfBlocks(check->rel);
	check->datums = palloc(natts * sizeof(Datum));
	check->isnull = palloc(natts * sizeof(bool));
	check->ids = palloc(natts * sizeof(Oid));
	/*
	 * A TOAST value that this snapshot sees has a tuple that refers to it, and the snapshot keeps
	 * that tuple until it was looked at.
	 */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	collect_values(check, snapshot);
	check_manifest(check);
	check_pages(check);
	check_rest(check);
	UnregisterSnapshot(snapshot);
	table_close(check->toast, AccessShareLock);
	MemoryContextSwitchTo(check->context);
	MemoryContextDelete(context);
}

static void
put_text(ReturnSetInfo *rsinfo, const char *text)
{
	Datum		value = CStringGetTextDatum(text);
	bool		isnull = false;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
}

Datum
milvus_check_table(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Check		check = {0};
	ListCell   *cell;

	/* on a standby nobody seals, and such a lock cannot be had */
	check.rel = TableOpenOwned(relid, RecoveryInProgress() ? AccessShareLock : ShareUpdateExclusiveLock);
	TableRequire(check.rel);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (OidIsValid(check.rel->rd_rel->reltoastrelid))
		check_all(&check);
	if (check.problems > 0 && RecoveryInProgress())
	{
		/* what is replayed meanwhile can look like a problem, but not twice the same */
		Check		again = {.rel = check.rel};

		check_all(&again);
		check.texts = list_intersection(check.texts, again.texts);
		check.problems = again.problems < MAX_PROBLEMS ? list_length(check.texts) :
			Min(check.problems, again.problems);
	}
	foreach(cell, check.texts)
		put_text(rsinfo, strVal(lfirst(cell)));
	if (check.problems > list_length(check.texts))
		put_text(rsinfo, psprintf("... and %d more problems", check.problems - list_length(check.texts)));
	table_close(check.rel, NoLock);
	return (Datum) 0;
}
