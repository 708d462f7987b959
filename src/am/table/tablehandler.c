/*
 * tablehandler.c
 *		The callbacks of the table access method `milvus`.
 *
 * Most are heap's own, called with the heap slot inside ours (tableslot.c).  What is
 * different: UPDATE and DELETE of stubs, and marking of changed blocks in the page map.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/tableam.h"
#include "am/table/tableslot.h"
#include "am/table/tablehandler.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "coord_bgworkers/coord.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "storage/bufmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(table_handler);

/* heap's callbacks. */
#define heap_am (GetHeapamTableAmRoutine())

static TableAmRoutine table_methods;

bool
TableIsMilvus(Relation rel)
{
	return rel->rd_tableam == &table_methods;
}

void
TableRequire(Relation rel)
{
	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partitioned table", RelationGetRelationName(rel)),
				 errhint("Name a partition; pg_partition_tree() lists them.")));
	if (!TableIsMilvus(rel))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a milvus table", RelationGetRelationName(rel))));
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a materialized view", RelationGetRelationName(rel)),
				 errdetail("Rows of materialized views are not sealed.")));
}

/* ---- slots and scans ---- */

static const TupleTableSlotOps *
table_slot_ops(Relation rel)
{
	return &TTSOpsMilvus;
}

/* What heap's code said of the slot inside is true of ours. */
static inline bool
stored(bool found, TupleTableSlot *slot, Relation rel)
{
	if (likely(found))
		TableSlotStored(slot, rel);
	else
		ExecClearTuple(slot);
	return found;
}

static bool
table_getnextslot(TableScanDesc scan, ScanDirection direction, TupleTableSlot *slot)
{
	return stored(heap_getnextslot(scan, direction, TableSlotInner(slot)), slot, scan->rs_rd);
}

static bool
table_getnextslot_tidrange(TableScanDesc scan, ScanDirection direction, TupleTableSlot *slot)
{
	return stored(heap_getnextslot_tidrange(scan, direction, TableSlotInner(slot)), slot, scan->rs_rd);
}

#if MILVUS_BITMAP_BY_BLOCK
static bool
table_bitmap_next_tuple(TableScanDesc scan, struct TBMIterateResult *block, TupleTableSlot *slot)
{
	return stored(heap_am->scan_bitmap_next_tuple(scan, block, TableSlotInner(slot)), slot, scan->rs_rd);
}
#else
static bool
table_bitmap_next_tuple(TableScanDesc scan, TupleTableSlot *slot, bool *recheck, uint64 *lossy, uint64 *exact)
{
	return stored(heap_am->scan_bitmap_next_tuple(scan, TableSlotInner(slot), recheck, lossy, exact),
				  slot, scan->rs_rd);
}
#endif

static bool
table_sample_next_tuple(TableScanDesc scan, struct SampleScanState *state, TupleTableSlot *slot)
{
	return stored(heap_am->scan_sample_next_tuple(scan, state, TableSlotInner(slot)), slot, scan->rs_rd);
}

static bool
table_analyze_next_tuple(TableScanDesc scan, TransactionId oldest_xmin, double *live, double *dead,
						 TupleTableSlot *slot)
{
	bool		found = heap_am->scan_analyze_next_tuple(scan, oldest_xmin, live, dead, TableSlotInner(slot));

	/*
	 * The page is locked now.  Values of a stub may have to be read and decoded: not under
	 * that lock.  The pin keeps the row, and heap looks at the page anew for the next one.
	 */
	if (stored(found, slot, scan->rs_rd) && ((TableSlot *) slot)->stub)
	{
		Buffer		buffer = ((HeapScanDesc) scan)->rs_cbuf;

		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		slot_getallattrs(slot);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
	}
	return found;
}

static bool
table_fetch_by_index(struct IndexFetchTableData *scan, ItemPointer tid, Snapshot snapshot,
					 TupleTableSlot *slot, bool *call_again, bool *all_dead)
{
	if (!heap_am->index_fetch_tuple(scan, tid, snapshot, TableSlotInner(slot), call_again, all_dead))
		return false;
	TableSlotStored(slot, scan->rel);
	return true;
}

static bool
table_fetch_row_version(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot)
{
	if (!heap_am->tuple_fetch_row_version(rel, tid, snapshot, TableSlotInner(slot)))
		return false;
	TableSlotStored(slot, rel);
	return true;
}

/*
 * A stub that was completed, as for a trigger, has left its page: its tuple there is looked at.
 */
static bool
table_satisfies_snapshot(Relation rel, TupleTableSlot *slot, Snapshot snapshot)
{
	OffsetNumber offset = ItemPointerGetOffsetNumber(&slot->tts_tid);
	Buffer		buffer;
	Page		page;
	bool		satisfies = false;

	if (BufferIsValid(((TableSlot *) slot)->inner.buffer))
		return heap_am->tuple_satisfies_snapshot(rel, TableSlotInner(slot), snapshot);
	buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(&slot->tts_tid));
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	if (offset <= PageGetMaxOffsetNumber(page) && ItemIdIsNormal(PageGetItemId(page, offset)))
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData tuple = {
			.t_len = ItemIdGetLength(item),.t_self = slot->tts_tid,.t_tableOid = RelationGetRelid(rel),
			.t_data = (HeapTupleHeader) PageGetItem(page, item)
		};

		satisfies = HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer);
	}
	UnlockReleaseBuffer(buffer);
	return satisfies;
}

/* ---- insert ---- */

/* Bytes of the row in a slot that heap took it from. */
static uint64
row_bytes(const TupleTableSlot *inner)
{
	HeapTuple	tuple = TTS_IS_BUFFERTUPLE(inner) || TTS_IS_HEAPTUPLE(inner) ?
		((const HeapTupleTableSlot *) inner)->tuple : NULL;

	return tuple != NULL ? tuple->t_len : 0;
}

/* After heap's insert from `inner`, which is `slot` or inside it. */
static void
inserted(Relation rel, TupleTableSlot *slot, const TupleTableSlot *inner)
{
	slot->tts_tid = inner->tts_tid;
	slot->tts_tableOid = RelationGetRelid(rel);
	TableMapTouch(rel, ItemPointerGetBlockNumber(&slot->tts_tid));
	TableNoteGrowth(rel, 1, row_bytes(inner));
}

static void
table_insert(Relation rel, TupleTableSlot *slot, CommandId cid, int options, BulkInsertState bistate)
{
	TupleTableSlot *inner = TableSlotGive(slot);

	heap_am->tuple_insert(rel, inner, cid, options, bistate);
	inserted(rel, slot, inner);
}

static void
table_insert_speculative(Relation rel, TupleTableSlot *slot, CommandId cid, int options,
						 BulkInsertState bistate, uint32 token)
{
	TupleTableSlot *inner = TableSlotGive(slot);

	heap_am->tuple_insert_speculative(rel, inner, cid, options, bistate, token);
	inserted(rel, slot, inner);
}

static void
table_complete_speculative(Relation rel, TupleTableSlot *slot, uint32 token, bool succeeded)
{
	ItemPointerData tid = slot->tts_tid;
	TupleTableSlot *inner = TableSlotGive(slot);

	inner->tts_tid = tid;
	heap_am->tuple_complete_speculative(rel, inner, token, succeeded);
	slot->tts_tid = tid;
}

static void
table_insert_many(Relation rel, TupleTableSlot **slots, int n, CommandId cid, int options,
				  BulkInsertState bistate)
{
	TupleTableSlot **inner = palloc(n * sizeof(TupleTableSlot *));
	BlockNumber touched = InvalidBlockNumber;
	uint64		bytes = 0;

	for (int i = 0; i < n; i++)
		inner[i] = TableSlotGive(slots[i]);
	heap_multi_insert(rel, inner, n, cid, options, bistate);
	for (int i = 0; i < n; i++)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&inner[i]->tts_tid);

		slots[i]->tts_tid = inner[i]->tts_tid;
		slots[i]->tts_tableOid = RelationGetRelid(rel);
		if (block != touched)
			TableMapTouch(rel, block);
		touched = block;
		bytes += row_bytes(inner[i]);
	}
	TableNoteGrowth(rel, (uint64) n, bytes);
	pfree(inner);
}

/* ---- delete and update ---- */

/* The relation whose cache entry is not what it should be while heap updates; see stub_update. */
static struct
{
	Relation	rel;			/* NULL: none */
	bool		rebuilt;		/* the entry was built anew since */
	Bitmapset  *carried;		/* columns that may be toasted; attribute numbers */
} watched;

static void
set_storage(TupleDesc desc, const Bitmapset *columns, char storage)
{
	int			attnum = -1;

	while ((attnum = bms_next_member(columns, attnum)) >= 0)
		TupleDescAttr(desc, attnum - 1)->attstorage = storage;
}

static void
note_rebuild(Datum arg, Oid relid)
{
	if (watched.rel == NULL || (OidIsValid(relid) && relid != RelationGetRelid(watched.rel)))
		return;
	watched.rebuilt = true;
	set_storage(RelationGetDescr(watched.rel), watched.carried, TYPSTORAGE_EXTENDED);
}

/*
 * Pin the page of a row that is about to be changed, and look whether it is a stub.  As
 * long as the page is pinned, the row does not become one.
 */
static Buffer
pin_row(Relation rel, const ItemPointerData *tid, bool *stub, TableRef *ref)
{
	Buffer		buffer = ReadBuffer(rel, ItemPointerGetBlockNumber(tid));
	Page		page = BufferGetPage(buffer);
	OffsetNumber offset = ItemPointerGetOffsetNumber(tid);

	*stub = false;
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (offset >= FirstOffsetNumber && offset <= PageGetMaxOffsetNumber(page))
	{
		ItemId		item = PageGetItemId(page, offset);

		if (ItemIdIsNormal(item))
		{
			HeapTupleHeader tuple = (HeapTupleHeader) PageGetItem(page, item);

			*stub = TableTupleIsStub(tuple);
			if (*stub)
				*ref = TableStubRef(tuple, ItemIdGetLength(item));
		}
	}
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	return buffer;
}

/* Does the stub's segment keep all of these columns (offset attribute numbers)? */
static bool
segment_keeps(Relation rel, TableRef ref, const Bitmapset *columns)
{
	TableSegment *segment = NULL;
	int			member = -1;

	while ((member = bms_next_member(columns, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum < 0)
			continue;
		if (attnum == 0)
			return false;
		if (segment == NULL)
			segment = TableSegmentOpen(rel, ref.root, TableRefTag(ref));
		if (!TableSegmentKeeps(segment, attnum))
			return false;
	}
	return true;
}

/*
 * Logical decoding writes the old row's identity to the log, and heap takes it from the tuple
 * in the page: a stub must have it.
 */
static void
check_identity(Relation rel, TableRef ref, const char *command)
{
	Bitmapset  *columns;
	bool		enough;

	if (!RelationIsLogicallyLogged(rel) || rel->rd_rel->relreplident == REPLICA_IDENTITY_NOTHING)
		return;
	if (rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL)
		enough = false;
	else
	{
		columns = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
		enough = segment_keeps(rel, ref, columns);
		bms_free(columns);
	}
	if (!enough)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot %s a sealed row of table \"%s\", whose replica identity needs columns that the row does not keep",
						command, RelationGetRelationName(rel)),
				 errhint("The replica identity was changed after the row was sealed. VACUUM FULL rewrites the table.")));
}

static TM_Result
table_delete(Relation rel, ItemPointer tid, CommandId cid, Snapshot snapshot, Snapshot crosscheck,
			 bool wait, TM_FailureData *tmfd, bool changing_partition)
{
	BlockNumber block = ItemPointerGetBlockNumber(tid);
	Buffer		pin = InvalidBuffer;
	TM_Result	result;

	if (RelationIsLogicallyLogged(rel))
	{
		bool		stub;
		TableRef	ref;

		pin = pin_row(rel, tid, &stub, &ref);
		if (stub)
			check_identity(rel, ref, "delete");
	}
	result = heap_delete(rel, tid, cid, crosscheck, wait, tmfd, changing_partition);
	if (BufferIsValid(pin))
		ReleaseBuffer(pin);
	if (result == TM_Ok)
		TableMapTouch(rel, block);
	return result;
}

/* The set with a whole-row member, which heap_update takes for a column that changed. */
static Bitmapset *
with_whole_row(const Bitmapset *set)
{
	MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);
	Bitmapset  *result = bms_add_member(bms_copy(set), 0 - FirstLowInvalidHeapAttributeNumber);

	MemoryContextSwitchTo(old);
	return result;
}

/*
 * Put the set `saved` back where with_whole_row's `ours` was put.  When the relation cache entry
 * was rebuilt meanwhile, it has freed ours and may have a new set, even at the same address.
 */
static void
put_back(Bitmapset **place, Bitmapset *ours, Bitmapset *saved, bool rebuilt)
{
	if (!rebuilt && *place == ours)
	{
		*place = saved;
		bms_free(ours);
	}
	else
		bms_free(saved);
}

/* Are these bytes the value that the segment has of a column? */
static bool
same_as_sealed(TableSegment *segment, AttrNumber attnum, TableRef ref, Datum value, MemoryContext context)
{
	bool		isnull;
	Datum		old;
	struct varlena *data;

	/* what was added since, nothing carries along */
	if (attnum > TableSegmentNatts(segment))
		return false;
	old = TableSegmentFetch(segment, attnum, TableRefRow(ref), &isnull, context);
	if (isnull || VARSIZE_ANY_EXHDR(DatumGetPointer(old)) != toast_raw_datum_size(value) - VARHDRSZ)
		return false;
	data = PG_DETOAST_DATUM_PACKED(value);
	return memcmp(VARDATA_ANY(DatumGetPointer(old)), VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data)) == 0;
}

/*
 * Bytes that a row takes at most when all is toasted that may be.
 */
static Size
least_bytes(TupleDesc desc, const TupleTableSlot *row)
{
	Size		bytes = MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(desc->natts));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Datum		value = row->tts_values[i];

		if (row->tts_isnull[i])
			continue;
		if (att->attlen > 0)
			bytes += MAXALIGN(att->attlen);
		else if (att->attlen == -2)
			bytes += MAXALIGN(strlen(DatumGetCString(value)) + 1);
		else if (att->attstorage != TYPSTORAGE_PLAIN)
			bytes += MAXALIGN(Min(VARSIZE_ANY(DatumGetPointer(value)), TOAST_POINTER_SIZE));
		else if (VARATT_IS_EXTERNAL(DatumGetPointer(value)))
			bytes += MAXALIGN(toast_raw_datum_size(value));
		else
			bytes += MAXALIGN(VARSIZE_ANY(DatumGetPointer(value)));
	}
	return bytes;
}

/*
 * Columns of storage PLAIN that an update of a stub does not change, when the new row is too large
 * for a page: heap's old tuple would have them out of line, written before the column was PLAIN,
 * and hand on the pointer.  Attribute numbers, palloc'd.
 */
static Bitmapset *
carried_columns(Relation rel, TupleTableSlot *slot, TableRef ref)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Bitmapset  *columns = NULL;
	Bitmapset  *carried = NULL;
	TableSegment *segment;
	MemoryContext context;
	MemoryContext old;
	int			attnum = -1;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attlen == -1 && att->attstorage == TYPSTORAGE_PLAIN && !att->attisdropped &&
			get_typstorage(att->atttypid) != TYPSTORAGE_PLAIN)
			columns = bms_add_member(columns, i + 1);
	}
	if (columns == NULL)
		return NULL;
	slot_getallattrs(slot);
	if (least_bytes(desc, slot) <= MaxHeapTupleSize)
	{
		bms_free(columns);
		return NULL;
	}
	segment = TableSegmentOpen(rel, ref.root, TableRefTag(ref));
	context = AllocSetContextCreate(CurrentMemoryContext, "milvus carried values", ALLOCSET_DEFAULT_SIZES);
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		bool		same;

		if (slot->tts_isnull[attnum - 1])
			continue;
		old = MemoryContextSwitchTo(context);
		same = same_as_sealed(segment, (AttrNumber) attnum, ref, slot->tts_values[attnum - 1], context);
		MemoryContextSwitchTo(old);
		if (same)
			carried = bms_add_member(carried, attnum);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	bms_free(columns);
	return carried;
}

/*
 * heap_update of a stub.  It compares the old tuple's columns with the new one's to decide
 * whether the update may be HOT and whether a key changes; columns that the stub does not
 * have would read as null.  So while it runs, the cached sets of columns that it asks
 * for have a whole-row member, which never compares as equal.
 *
 * And it would find no old value of a column of storage PLAIN that is out of line; so while it
 * runs, such columns that do not change may be toasted.
 */
static TM_Result
stub_update(Relation rel, ItemPointer tid, TupleTableSlot *slot, TupleTableSlot *inner, CommandId cid,
			Snapshot snapshot, Snapshot crosscheck, bool wait, TM_FailureData *tmfd, LockTupleMode *lockmode,
			MilvusUpdateIndexes *update_indexes, TableRef ref)
{
	static bool watching = false;
	Bitmapset  *keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	bool		keys_kept = segment_keeps(rel, ref, keys);
	bool		indexed;
	TupleDesc	desc;
	Bitmapset  *saved_hot = NULL;
	Bitmapset  *saved_keys = NULL;
	Bitmapset  *our_hot = NULL;
	Bitmapset  *our_keys = NULL;
	TM_Result	result;

	bms_free(keys);
	if (!watching)
	{
		CacheRegisterRelcacheCallback(note_rebuild, (Datum) 0);
		watching = true;
	}
	/* Makes the sets valid, if there is any index. */
	bms_free(RelationGetIndexAttrBitmap(rel, MilvusHotBlocking));
	indexed = MilvusAttrSetsValid(rel);
	watched.carried = carried_columns(rel, slot, ref);
	if (!indexed && watched.carried == NULL)
		return heap_am->tuple_update(rel, tid, inner, cid, snapshot, crosscheck, wait, tmfd, lockmode,
									 update_indexes);

	if (indexed)
	{
		our_hot = with_whole_row(MilvusHotBlockingSet(rel));
		if (!keys_kept)
			our_keys = with_whole_row(rel->rd_keyattr);
		saved_hot = MilvusHotBlockingSet(rel);
		MilvusHotBlockingSet(rel) = our_hot;
		if (!keys_kept)
		{
			saved_keys = rel->rd_keyattr;
			rel->rd_keyattr = our_keys;
		}
	}
	desc = RelationGetDescr(rel);
	watched.rel = rel;
	watched.rebuilt = false;
	PG_TRY();
	{
		set_storage(desc, watched.carried, TYPSTORAGE_EXTENDED);
		result = heap_am->tuple_update(rel, tid, inner, cid, snapshot, crosscheck, wait, tmfd, lockmode,
									   update_indexes);
	}
	PG_FINALLY();
	{
		watched.rel = NULL;
		/* a descriptor that was replaced lives on to the end of the transaction */
		set_storage(desc, watched.carried, TYPSTORAGE_PLAIN);
		set_storage(RelationGetDescr(rel), watched.carried, TYPSTORAGE_PLAIN);
		if (indexed)
			put_back(&MilvusHotBlockingSet(rel), our_hot, saved_hot, watched.rebuilt);
		if (indexed && !keys_kept)
			put_back(&rel->rd_keyattr, our_keys, saved_keys, watched.rebuilt);
	}
	PG_END_TRY();
	bms_free(watched.carried);
	return result;
}

static TM_Result
table_update_row(Relation rel, ItemPointer otid, TupleTableSlot *slot, CommandId cid, Snapshot snapshot,
				 Snapshot crosscheck, bool wait, TM_FailureData *tmfd, LockTupleMode *lockmode,
				 MilvusUpdateIndexes *update_indexes)
{
	ItemPointerData tid = *otid;
	TupleTableSlot *inner = TableSlotGive(slot);
	TM_Result	result;
	TableRef	ref;
	bool		stub;
	Buffer		pin = pin_row(rel, &tid, &stub, &ref);

	if (stub)
	{
		check_identity(rel, ref, "update");
		result = stub_update(rel, &tid, slot, inner, cid, snapshot, crosscheck, wait, tmfd, lockmode,
							 update_indexes, ref);
	}
	else
		result = heap_am->tuple_update(rel, &tid, inner, cid, snapshot, crosscheck, wait, tmfd, lockmode,
									   update_indexes);
	ReleaseBuffer(pin);
	slot->tts_tid = inner->tts_tid;
	slot->tts_tableOid = RelationGetRelid(rel);
	if (result == TM_Ok)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&tid);

		TableMapTouch(rel, block);
		if (ItemPointerGetBlockNumber(&slot->tts_tid) != block)
			TableMapTouch(rel, ItemPointerGetBlockNumber(&slot->tts_tid));
		TableNoteGrowth(rel, 1, row_bytes(inner));
	}
	return result;
}

static TM_Result
table_lock_row(Relation rel, ItemPointer tid, Snapshot snapshot, TupleTableSlot *slot, CommandId cid,
			   LockTupleMode mode, LockWaitPolicy wait_policy, uint8 flags, TM_FailureData *tmfd)
{
	ItemPointerData at = *tid;	/* may be the slot's */
	TM_Result	result;

	ExecClearTuple(slot);
	result = heap_am->tuple_lock(rel, &at, snapshot, TableSlotInner(slot), cid, mode, wait_policy, flags, tmfd);
	*tid = at;
	if (!TTS_EMPTY(&((TableSlot *) slot)->inner.base.base))
		TableSlotStored(slot, rel);
	return result;
}

/* ---- the relation ---- */

/* Segments live in the TOAST relation: every table has one, except those that are never sealed. */
static bool
table_needs_toast(Relation rel)
{
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return heap_am->relation_needs_toast_table(rel);
	return true;
}

static Oid
table_toast_am(Relation rel)
{
	return HEAP_TABLE_AM_OID;
}

const TableAmRoutine *
TableAmMethods(void)
{
	TableAmRoutine *am = &table_methods;

	if (am->type == T_TableAmRoutine)
		return am;
	*am = *heap_am;
	am->slot_callbacks = table_slot_ops;
	am->scan_getnextslot = table_getnextslot;
	am->scan_getnextslot_tidrange = table_getnextslot_tidrange;
	am->scan_bitmap_next_tuple = table_bitmap_next_tuple;
	am->scan_sample_next_tuple = table_sample_next_tuple;
	am->scan_analyze_next_tuple = table_analyze_next_tuple;
	am->index_fetch_tuple = table_fetch_by_index;
	am->tuple_fetch_row_version = table_fetch_row_version;
	am->tuple_satisfies_snapshot = table_satisfies_snapshot;
	am->tuple_insert = table_insert;
	am->tuple_insert_speculative = table_insert_speculative;
	am->tuple_complete_speculative = table_complete_speculative;
	am->multi_insert = table_insert_many;
	am->tuple_delete = table_delete;
	am->tuple_update = table_update_row;
	am->tuple_lock = table_lock_row;
	am->relation_copy_for_cluster = TableCopyForCluster;
	am->index_build_range_scan = TableIndexBuildRangeScan;
	am->index_validate_scan = TableIndexValidateScan;
	am->relation_needs_toast_table = table_needs_toast;
	am->relation_vacuum = TableVacuum;
	am->relation_toast_am = table_toast_am;
	return am;
}

Datum
table_handler(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(TableAmMethods());
}
