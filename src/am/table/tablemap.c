/*
 * tablemap.c
 *		The page map: which blocks of a table are pure, that is, hold nothing but
 *		untouched stubs of Flushed segments.
 *
 * The map lies in tuples of the TOAST relation (chunk_id TABLE_MAP_VALUE, chunk_seq
 * block / TABLE_MAP_BLOCKS).  They are inserted as ordinary rows and never updated or
 * deleted; their bits change in place under the buffer's exclusive lock, logged as a
 * generic record.  So a tuple can move within its page (VACUUM), but keeps its TID for as
 * long as somebody holds a lock on the TOAST relation.
 *
 * A tuple has effect for writers once they know of it.  Inserting one invalidates the
 * table's relation cache entry, which holds what a backend knows; a writer that took its
 * lock on the table earlier may not have noticed.  So bits are set only after those who
 * held a lock behind the inserting transaction's end have gone.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/rmgr.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "am/ann/ann.h"
#include "am/table/table.h"
#include "compat.h"
#include "catalog/pg_type.h"
#include "guc.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "storage/procarray.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* What a map tuple holds. */
typedef struct MapData
{
	uint32		ready;			/* 1: every writer knows of this tuple */
	uint32		unused;
	uint8		bits[TABLE_MAP_BYTES];	/* block b: bit b % 8 of byte b / 8 */
} MapData;

/* The map tuples a backend knows of, in rd_amcache: gone with every invalidation. */
typedef struct MapCache
{
	RelFileNumber toast;		/* the TOAST relation's file */
	int			n;				/* entries: chunk_seq 0 .. n - 1 */
	ItemPointerData tids[FLEXIBLE_ARRAY_MEMBER];	/* invalid: no tuple */
} MapCache;

/* A map tuple in its buffer, pinned and locked. */
typedef struct MapTuple
{
	Buffer		buffer;
	MapData    *data;
} MapTuple;

static bool
may_have_map(Relation rel)
{
	return RelationIsPermanent(rel) && OidIsValid(rel->rd_rel->reltoastrelid);
}

/*
 * TIDs of all map tuples as committed now, by chunk_seq, palloc'd; own: those of the
 * current transaction too.
 */
static ItemPointerData *
list_maps(Relation rel, Relation toast, bool own, int *n)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			size = 1;
	ItemPointerData *tids = palloc0(sizeof(ItemPointerData));

	*n = 0;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(TABLE_MAP_VALUE));
	scan = systable_beginscan(toast, toast_get_valid_index(RelationGetRelid(toast), AccessShareLock), true,
							  SnapshotSelf, 1, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		int32		seq = DatumGetInt32(heap_getattr(tuple, 2, RelationGetDescr(toast), &isnull));

		if (isnull || seq < 0 || seq > (int32) (MaxBlockNumber / TABLE_MAP_BLOCKS))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("page map of table \"%s\" is damaged", RelationGetRelationName(rel))));
		if (!own && TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
			continue;
		if (seq >= size)
		{
			int			more = Max(seq + 1, 2 * size);

			tids = repalloc(tids, (Size) more * sizeof(ItemPointerData));
			memset(tids + size, 0, (Size) (more - size) * sizeof(ItemPointerData));
			size = more;
		}
		tids[seq] = tuple->t_self;
		*n = Max(*n, seq + 1);
	}
	systable_endscan(scan);
	return tids;
}

static MapCache *
load_cache(Relation rel, Relation toast)
{
	int			n;
	ItemPointerData *tids = list_maps(rel, toast, false, &n);
	MapCache   *cache = MemoryContextAlloc(CacheMemoryContext,
										   offsetof(MapCache, tids) + (Size) n * sizeof(ItemPointerData));

	cache->toast = RelationLocatorNumber(toast);
	cache->n = n;
	memcpy(cache->tids, tids, (Size) n * sizeof(ItemPointerData));
	pfree(tids);
	if (rel->rd_amcache != NULL)
		pfree(rel->rd_amcache);
	rel->rd_amcache = cache;
	return cache;
}

/*
 * What is known of the map, with the TOAST relation open: valid until the next thing that
 * can process invalidations.
 */
static MapCache *
get_cache(Relation rel, Relation toast)
{
	MapCache   *cache = rel->rd_amcache;

	if (cache != NULL && cache->toast == RelationLocatorNumber(toast))
		return cache;
	return load_cache(rel, toast);
}

/*
 * Where the data of a map tuple is in its locked page.  The page was read anew, the tuple
 * may have moved in it.
 */
static void
find_data(Relation rel, Relation toast, ItemPointer tid, int32 seq, MapTuple *map)
{
	Page		page = BufferGetPage(map->buffer);
	OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
	TupleDesc	desc = RelationGetDescr(toast);
	HeapTupleData tuple;
	struct varlena *data;
	bool		isnull[3];
	Oid			value;
	int32		found;

	if (offset > PageGetMaxOffsetNumber(page) || !ItemIdIsNormal(PageGetItemId(page, offset)))
		goto damaged;
	tuple.t_data = (HeapTupleHeader) PageGetItem(page, PageGetItemId(page, offset));
	tuple.t_len = ItemIdGetLength(PageGetItemId(page, offset));
	tuple.t_tableOid = RelationGetRelid(toast);
	tuple.t_self = *tid;
	value = DatumGetObjectId(heap_getattr(&tuple, 1, desc, &isnull[0]));
	found = DatumGetInt32(heap_getattr(&tuple, 2, desc, &isnull[1]));
	data = (struct varlena *) DatumGetPointer(heap_getattr(&tuple, 3, desc, &isnull[2]));
	if (isnull[0] || isnull[1] || isnull[2] || value != TABLE_MAP_VALUE || found != seq ||
		VARATT_IS_EXTENDED(data) || VARSIZE(data) != VARHDRSZ + sizeof(MapData))
		goto damaged;
	map->data = (MapData *) VARDATA(data);
	return;

damaged:
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("page map of table \"%s\" is damaged", RelationGetRelationName(rel))));
}

static void
lock_map(Relation rel, Relation toast, ItemPointer tid, int32 seq, int mode, MapTuple *map)
{
	LockBuffer(map->buffer, mode);
	find_data(rel, toast, tid, seq, map);
}

/*
 * Log the change of `bytes` of the tuple's data.  wal_consistency_checking does not leave out
 * hint bits of tuples for this kind of record, as it would for the heap's own, and a replica
 * has others; with a full image there is nothing to compare.
 */
static void
log_change(Relation toast, MapTuple *map, void *changed, Size bytes)
{
	AnnLog		log = {0};

	AnnLogBuffer(&log, 0, map->buffer,
				 wal_consistency_checking != NULL && wal_consistency_checking[RM_GENERIC_ID]);
	AnnLogRange(&log, 0, changed, bytes);
	AnnLogFinish(&log, toast);
}

static bool
get_bit(const MapData *data, BlockNumber block)
{
	uint32		bit = block % TABLE_MAP_BLOCKS;

	return (data->bits[bit >> 3] >> (bit & 7) & 1) != 0;
}

/*
 * Set or clear a block's bit; the map tuple's page is exclusively locked.
 */
static void
put_bit(Relation toast, MapTuple *map, BlockNumber block, bool set)
{
	uint32		bit = block % TABLE_MAP_BLOCKS;
	uint8	   *byte = &map->data->bits[bit >> 3];

	START_CRIT_SECTION();
	if (set)
		*byte |= (uint8) (1 << (bit & 7));
	else
		*byte &= (uint8) ~(1 << (bit & 7));
	log_change(toast, map, byte, 1);
	END_CRIT_SECTION();
}

void
TableMapTouch(Relation rel, BlockNumber block)
{
	int32		seq = (int32) (block / TABLE_MAP_BLOCKS);
	MapCache   *cache = rel->rd_amcache;
	Relation	toast;
	ItemPointerData tid;
	MapTuple	map;

	/* without a map, or one that writers do not know yet, no scan goes by it */
	if (!may_have_map(rel) || (cache != NULL && seq >= cache->n))
		return;
	toast = table_open(rel->rd_rel->reltoastrelid, RowExclusiveLock);
	cache = get_cache(rel, toast);
	if (seq < cache->n && ItemPointerIsValid(&cache->tids[seq]))
	{
		tid = cache->tids[seq];
		map.buffer = ReadBuffer(toast, ItemPointerGetBlockNumber(&tid));
		lock_map(rel, toast, &tid, seq, BUFFER_LOCK_SHARE, &map);
		if (get_bit(map.data, block))
		{
			LockBuffer(map.buffer, BUFFER_LOCK_UNLOCK);
			MILVUS_DEBUG_POINT("map-touch");
			lock_map(rel, toast, &tid, seq, BUFFER_LOCK_EXCLUSIVE, &map);
			put_bit(toast, &map, block, false);
		}
		UnlockReleaseBuffer(map.buffer);
	}
	table_close(toast, NoLock);

	/*
	 * A serializable scan that took its predicate lock after the heap looked for one, and
	 * read the map before the bit went, has not seen the change.
	 */
	CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber);
}

uint64 *
TableMapRead(Relation rel, BlockNumber nblocks)
{
	Size		nwords = ((Size) nblocks + 63) / 64;
	uint64	   *words = palloc_extended(Max(nwords, 1) * sizeof(uint64), MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	MapCache   *cache = rel->rd_amcache;
	Relation	toast;

	if (!may_have_map(rel) || (cache != NULL && cache->n == 0))
		return words;
	toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
	cache = get_cache(rel, toast);
	for (int32 seq = 0; seq < cache->n && (BlockNumber) seq * TABLE_MAP_BLOCKS < nblocks; seq++)
	{
		uint64	   *to = words + (Size) seq * (TABLE_MAP_BLOCKS / 64);
		MapTuple	map;

		if (!ItemPointerIsValid(&cache->tids[seq]))
			continue;
		map.buffer = ReadBuffer(toast, ItemPointerGetBlockNumber(&cache->tids[seq]));
		lock_map(rel, toast, &cache->tids[seq], seq, BUFFER_LOCK_SHARE, &map);
		if (map.data->ready == 1)
		{
			BlockNumber n = Min(nblocks - (BlockNumber) seq * TABLE_MAP_BLOCKS, TABLE_MAP_BLOCKS);

			for (BlockNumber i = 0; i < (n + 7) / 8; i++)
				to[i / 8] |= (uint64) map.data->bits[i] << (8 * (i % 8));
		}
		UnlockReleaseBuffer(map.buffer);
	}
	table_close(toast, NoLock);
	if (nblocks % 64 != 0)
		words[nwords - 1] &= ((uint64) 1 << (nblocks % 64)) - 1;
	return words;
}

/*
 * A map tuple without any bit, as an ordinary row of the TOAST relation.
 */
static void
insert_map(Relation toast, int32 seq)
{
	struct
	{
		int32		header;
		MapData		data;
	}			value;
	Datum		values[3];
	bool		isnull[3] = {false, false, false};
	HeapTuple	tuple;
	Relation   *indexes;
	int			nindexes;

	memset(&value, 0, sizeof(value));
	SET_VARSIZE(&value, VARHDRSZ + sizeof(MapData));
	values[0] = ObjectIdGetDatum(TABLE_MAP_VALUE);
	values[1] = Int32GetDatum(seq);
	values[2] = PointerGetDatum(&value);
	tuple = heap_form_tuple(RelationGetDescr(toast), values, isnull);
	heap_insert(toast, tuple, GetCurrentCommandId(true), HEAP_INSERT_NO_LOGICAL, NULL);
	(void) toast_open_indexes(toast, RowExclusiveLock, &indexes, &nindexes);
	for (int i = 0; i < nindexes; i++)
		if (indexes[i]->rd_index->indisready)
			(void) index_insert(indexes[i], values, isnull, &tuple->t_self, toast,
								indexes[i]->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
								false, NULL);
	toast_close_indexes(indexes, nindexes, NoLock);
	heap_freetuple(tuple);
}

void
TableMapExtend(Relation rel, BlockNumber nblocks)
{
	Relation	toast;
	ItemPointerData *tids;
	int			n;
	bool		inserted = false;

	if (!may_have_map(rel))
		return;
	toast = table_open(rel->rd_rel->reltoastrelid, RowExclusiveLock);
	tids = list_maps(rel, toast, true, &n);
	for (int32 seq = 0; (uint64) seq * TABLE_MAP_BLOCKS < nblocks; seq++)
	{
		if (seq < n && ItemPointerIsValid(&tids[seq]))
			continue;
		insert_map(toast, seq);
		inserted = true;
	}
	pfree(tids);
	table_close(toast, NoLock);
	if (inserted)
		CacheInvalidateRelcache(rel);
}

/* ---- setting bits ---- */

/* What TableMapSetPure compares pages with. */
typedef struct Recorded
{
	BlockNumber first;			/* blocks first .. first + n - 1 */
	BlockNumber n;
	uint16	   *rows;			/* rows that segments recorded for each, Sealed ones too */
	Oid		   *roots;			/* of Flushed segments, sorted */
	int			nroots;
	TransactionId horizon;		/* what is older is visible to everyone */
} Recorded;

static int
compare_blocks(const void *a, const void *b)
{
	BlockNumber x = *(const BlockNumber *) a;
	BlockNumber y = *(const BlockNumber *) b;

	return x < y ? -1 : x > y;
}

static int
compare_oids(const void *a, const void *b)
{
	Oid			x = *(const Oid *) a;
	Oid			y = *(const Oid *) b;

	return x < y ? -1 : x > y;
}

/*
 * Count the rows that segments recorded for each of the blocks.
 */
static void
count_recorded(Relation rel, BlockNumber first, BlockNumber last, Recorded *recorded)
{
	int			nentries;
	TableSegmentEntry *entries = TableReadManifest(rel, &nentries);
	ItemPointerData *tids = palloc(TABLE_CHUNK_ROWS * sizeof(ItemPointerData));

	recorded->first = first;
	recorded->n = last - first + 1;
	recorded->rows = palloc_extended((Size) recorded->n * sizeof(uint16), MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	recorded->roots = palloc((Size) Max(nentries, 1) * sizeof(Oid));
	recorded->nroots = 0;
	recorded->horizon = TableSettledHorizon(rel);
	for (int i = 0; i < nentries; i++)
	{
		const TableSegmentEntry *entry = &entries[i];
		TableSegment *segment;

		if (entry->state == TABLE_SEGMENT_FLUSHED)
			recorded->roots[recorded->nroots++] = entry->root;
		if (entry->rows == 0 || entry->first_block > last || entry->last_block < first)
			continue;
		segment = TableSegmentOpen(rel, entry->root, TableEntryTag(entry));
		for (uint32 row = 0; row < entry->rows; row += TABLE_CHUNK_ROWS)
		{
			uint32		n = Min(entry->rows - row, TABLE_CHUNK_ROWS);

			CHECK_FOR_INTERRUPTS();
			TableSegmentTids(segment, row, n, tids);
			for (uint32 t = 0; t < n; t++)
			{
				BlockNumber block = ItemPointerGetBlockNumber(&tids[t]);

				if (block >= first && block <= last)
					recorded->rows[block - first]++;
			}
		}
	}
	qsort(recorded->roots, (Size) recorded->nroots, sizeof(Oid), compare_oids);
	pfree(tids);
	pfree(entries);
}

/*
 * Does a share-locked page hold only stubs of Flushed segments that nobody changed, and
 * as many as the segments recorded?  No two stubs refer to one row, so equal numbers mean
 * that each recorded row has its stub.
 */
static bool
page_is_pure(const Recorded *recorded, Page page, BlockNumber block)
{
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	uint32		stubs = 0;

	for (OffsetNumber offset = FirstOffsetNumber; offset <= max; offset++)
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleHeader tuple;
		TableRef	ref;

		/* HOT updates leave redirections, which stay as long as their rows */
		if (!ItemIdIsUsed(item) || ItemIdIsRedirected(item))
			continue;
		if (!ItemIdIsNormal(item))
			return false;
		tuple = (HeapTupleHeader) PageGetItem(page, item);
		if (!TableTupleIsStub(tuple) || !HeapTupleHeaderXminCommitted(tuple))
			return false;
		if (!HeapTupleHeaderXminFrozen(tuple) &&
			!TransactionIdPrecedes(HeapTupleHeaderGetRawXmin(tuple), recorded->horizon))
			return false;
		/* a delete that cleared the bit, or found none, before now must not be overlooked */
		if ((tuple->t_infomask & HEAP_XMAX_INVALID) == 0 && !HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_infomask))
			return false;
		ref = TableStubRef(tuple, ItemIdGetLength(item));
		if (bsearch(&ref.root, recorded->roots, (Size) recorded->nroots, sizeof(Oid), compare_oids) == NULL)
			return false;
		stubs++;
	}
	return stubs > 0 && stubs == recorded->rows[block - recorded->first];
}

/*
 * Transactions that were writing the table when a map tuple's insertion had committed.
 * A list a backend and map tuple; there is one only while the tuple is not ready.
 */
typedef struct Waiting
{
	Oid			relid;
	RelFileNumber toast;
	int32		seq;
	int			n;
	VirtualTransactionId *holders;
} Waiting;

static List *waiting;

/*
 * Have all transactions ended that held a lock, as writers take it, when this was first
 * asked?  Those that take one later look at invalidations first.
 */
static bool
writers_ended(Relation rel, Relation toast, int32 seq)
{
	Waiting    *list = NULL;
	ListCell   *cell;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	foreach(cell, waiting)
	{
		Waiting    *w = lfirst(cell);

		if (w->relid == RelationGetRelid(rel) && w->toast == RelationLocatorNumber(toast) && w->seq == seq)
			list = w;
	}
	if (list == NULL)
	{
		LOCKTAG		tag;
		VirtualTransactionId *holders;

		SET_LOCKTAG_RELATION(tag, rel->rd_lockInfo.lockRelId.dbId, rel->rd_lockInfo.lockRelId.relId);
		list = palloc0(sizeof(Waiting));
		list->relid = RelationGetRelid(rel);
		list->toast = RelationLocatorNumber(toast);
		list->seq = seq;
		holders = GetLockConflicts(&tag, ShareLock, &list->n);
		list->holders = palloc((Size) Max(list->n, 1) * sizeof(VirtualTransactionId));
		memcpy(list->holders, holders, (Size) list->n * sizeof(VirtualTransactionId));
		pfree(holders);
		waiting = lappend(waiting, list);
	}
	MemoryContextSwitchTo(old);

	while (list->n > 0 && VirtualXactLock(list->holders[list->n - 1], false))
		list->n--;
	if (list->n > 0)
		return false;
	waiting = list_delete_ptr(waiting, list);
	pfree(list->holders);
	pfree(list);
	return true;
}

/*
 * Is a committed map tuple ready, or can it be made so?
 */
static bool
make_ready(Relation rel, Relation toast, ItemPointer tid, int32 seq, MapTuple *map)
{
	bool		ready;

	lock_map(rel, toast, tid, seq, BUFFER_LOCK_SHARE, map);
	ready = map->data->ready == 1;
	LockBuffer(map->buffer, BUFFER_LOCK_UNLOCK);
	if (ready)
		return true;
	if (!writers_ended(rel, toast, seq))
		return false;

	lock_map(rel, toast, tid, seq, BUFFER_LOCK_EXCLUSIVE, map);
	START_CRIT_SECTION();
	map->data->ready = 1;
	log_change(toast, map, &map->data->ready, sizeof(map->data->ready));
	END_CRIT_SECTION();
	LockBuffer(map->buffer, BUFFER_LOCK_UNLOCK);
	return true;
}

static bool
set_pure(Relation rel, const BlockNumber *blocks, int nblocks)
{
	Relation	toast;
	BlockNumber *sorted;
	BlockNumber total = RelationGetNumberOfBlocks(rel);
	BufferAccessStrategy strategy;
	Recorded	recorded;
	MapTuple	map = {.buffer = InvalidBuffer};
	MapCache   *cache;
	ItemPointerData tid;
	int32		seq = -1;
	bool		ready = false;
	bool		complete = true;

	if (nblocks == 0 || !may_have_map(rel))
		return true;
	Assert(CheckRelationLockedByMe(rel, ShareUpdateExclusiveLock, true));
	sorted = palloc((Size) nblocks * sizeof(BlockNumber));
	memcpy(sorted, blocks, (Size) nblocks * sizeof(BlockNumber));
	qsort(sorted, (Size) nblocks, sizeof(BlockNumber), compare_blocks);
	while (nblocks > 0 && sorted[nblocks - 1] >= total)
		nblocks--;
	if (nblocks == 0)
		return true;

	count_recorded(rel, sorted[0], sorted[nblocks - 1], &recorded);
	toast = table_open(rel->rd_rel->reltoastrelid, RowExclusiveLock);
	strategy = GetAccessStrategy(BAS_BULKREAD);
	for (int i = 0; i < nblocks; i++)
	{
		BlockNumber block = sorted[i];
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		if (seq != (int32) (block / TABLE_MAP_BLOCKS))
		{
			if (BufferIsValid(map.buffer))
				ReleaseBuffer(map.buffer);
			map.buffer = InvalidBuffer;
			seq = (int32) (block / TABLE_MAP_BLOCKS);
			cache = get_cache(rel, toast);
			ready = false;
			if (seq < cache->n && ItemPointerIsValid(&cache->tids[seq]))
			{
				tid = cache->tids[seq];
				map.buffer = ReadBuffer(toast, ItemPointerGetBlockNumber(&tid));
				ready = make_ready(rel, toast, &tid, seq, &map);
			}
			complete &= ready;
		}
		if (!ready || recorded.rows[block - recorded.first] == 0)
			continue;
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (page_is_pure(&recorded, BufferGetPage(buffer), block))
		{
			lock_map(rel, toast, &tid, seq, BUFFER_LOCK_EXCLUSIVE, &map);
			if (!get_bit(map.data, block))
				put_bit(toast, &map, block, true);
			LockBuffer(map.buffer, BUFFER_LOCK_UNLOCK);
		}
		UnlockReleaseBuffer(buffer);
	}
	if (BufferIsValid(map.buffer))
		ReleaseBuffer(map.buffer);
	FreeAccessStrategy(strategy);
	table_close(toast, NoLock);
	pfree(recorded.rows);
	pfree(recorded.roots);
	pfree(sorted);
	return complete;
}

bool
TableMapSetPure(Relation rel, const BlockNumber *blocks, int nblocks)
{
	BlockNumber last = 0;

	for (int i = 0; i < nblocks; i++)
		last = Max(last, blocks[i]);
	if (nblocks > 0)
		TableMapExtend(rel, Min(last + 1, RelationGetNumberOfBlocks(rel)));
	return set_pure(rel, blocks, nblocks);
}

void
TableMapRestore(Relation rel)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	int			nentries;
	TableSegmentEntry *entries;
	uint64	   *candidates;
	uint64	   *pure;
	BlockNumber *blocks;
	int			n = 0;

	if (!may_have_map(rel))
		return;
	entries = TableReadManifest(rel, &nentries);
	if (nentries > 0)
	{
		Size		nwords = (Size) nblocks / 64 + 1;

		pure = TableMapRead(rel, nblocks);
		candidates = palloc_extended(nwords * sizeof(uint64), MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
		for (int i = 0; i < nentries; i++)
			for (BlockNumber block = entries[i].first_block; block <= entries[i].last_block && block < nblocks; block++)
				candidates[block / 64] |= (uint64) 1 << (block % 64);
		blocks = palloc_extended((Size) nblocks * sizeof(BlockNumber) + 1, MCXT_ALLOC_HUGE);
		for (BlockNumber block = 0; block < nblocks; block++)
			if (((candidates[block / 64] & ~pure[block / 64]) >> (block % 64) & 1) != 0)
				blocks[n++] = block;
		(void) set_pure(rel, blocks, n);
		pfree(blocks);
		pfree(candidates);
		pfree(pure);
	}
	pfree(entries);
}
