/*
 * tablestore.c
 *		The TOAST relation as the storage of segments: values of any length under a
 *		value id of their own, and the manifest, one tuple a segment under a reserved
 *		value id.
 *
 * Values are laid out as the server lays out TOASTed datums: tuples (chunk_id, chunk_seq,
 * chunk_data), found by the TOAST index.  Nobody but us reads ours, so a chunk fills a page
 * instead of a quarter of it: a quarter of the tuples, index entries and WAL records.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "table.h"
#include "tableroot.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Bytes of a value in one tuple: what makes the largest heap tuple. */
#define STORE_CHUNK_BYTES \
	(MaxHeapTupleSize - MAXALIGN(SizeofHeapTupleHeader) - sizeof(Oid) - sizeof(int32) - VARHDRSZ)

/* A value this long is written through a ring of buffers, not to push out everything else. */
#define STORE_BULK_BYTES (1024 * 1024)

/* Values this close to each other are deleted by one scan, which passes what lies between them. */
#define STORE_RUN_GAP 16

/* What a value is refused to be: what a damaged index could make of one. */
#define STORE_MAX_BYTES ((Size) MaxAllocHugeSize / 4)

/* The TOAST relation's indexes, opened for writing. */
typedef struct StoreIndexes
{
	Relation   *rels;
	int			n;
	int			valid;			/* the one to read by */
} StoreIndexes;

static void
open_indexes(Relation toast, LOCKMODE mode, StoreIndexes *indexes)
{
	indexes->valid = toast_open_indexes(toast, mode, &indexes->rels, &indexes->n);
}

/* A writer's locks are kept to the end of the transaction, as with TOASTed datums. */
static void
close_indexes(StoreIndexes *indexes, LOCKMODE mode)
{
	toast_close_indexes(indexes->rels, indexes->n, mode == AccessShareLock ? mode : NoLock);
}

/*
 * Whether a tuple of the value exists, dead ones included.
 */
static bool
value_exists(Relation toast, Relation index, Oid value)
{
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	scan = systable_beginscan(toast, RelationGetRelid(index), true, SnapshotAny, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	return found;
}

Oid
TableNewValueId(Relation toast, Relation old)
{
	StoreIndexes indexes;
	StoreIndexes old_indexes;
	Oid			value;

	open_indexes(toast, RowExclusiveLock, &indexes);
	if (old != NULL)
		open_indexes(old, AccessShareLock, &old_indexes);
	do
	{
		CHECK_FOR_INTERRUPTS();
		value = GetNewOidWithIndex(toast, RelationGetRelid(indexes.rels[indexes.valid]), 1);
		/* a single-user server may count from below; those are the reserved ids */
	} while (value < FirstNormalObjectId ||
			 (old != NULL && value_exists(old, old_indexes.rels[old_indexes.valid], value)));
	if (old != NULL)
		close_indexes(&old_indexes, AccessShareLock);
	close_indexes(&indexes, RowExclusiveLock);
	return value;
}

/*
 * Insert one tuple and its index entries.  `chunk` is room for a varlena of `bytes` bytes.
 */
static void
insert_tuple(Relation toast, StoreIndexes *indexes, Oid value, int32 seq, const void *data, Size bytes,
			 struct varlena *chunk, BulkInsertState bulk)
{
	Datum		values[3];
	bool		isnull[3] = {false, false, false};
	HeapTuple	tuple;

	Assert(bytes <= STORE_CHUNK_BYTES);
	SET_VARSIZE(chunk, bytes + VARHDRSZ);
	memcpy(VARDATA(chunk), data, bytes);
	values[0] = ObjectIdGetDatum(value);
	values[1] = Int32GetDatum(seq);
	values[2] = PointerGetDatum(chunk);
	tuple = heap_form_tuple(RelationGetDescr(toast), values, isnull);
	heap_insert(toast, tuple, GetCurrentCommandId(true), HEAP_INSERT_NO_LOGICAL, bulk);
	/* the columns of a TOAST relation's indexes are its first ones */
	for (int i = 0; i < indexes->n; i++)
	{
		Relation	index = indexes->rels[i];

		if (index->rd_index->indisready)
			(void) index_insert(index, values, isnull, &tuple->t_self, toast,
								index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
								false, NULL);
	}
	heap_freetuple(tuple);
}

void
TableWriteValue(Relation toast, Oid value, const void *data, Size len)
{
	struct varlena *chunk = palloc(STORE_CHUNK_BYTES + VARHDRSZ);
	BulkInsertState bulk = len >= STORE_BULK_BYTES ? GetBulkInsertState() : NULL;
	StoreIndexes indexes;
	Size		at = 0;
	int32		seq = 0;

	Assert(len <= STORE_MAX_BYTES);
	open_indexes(toast, RowExclusiveLock, &indexes);
	do
	{
		Size		bytes = Min(len - at, STORE_CHUNK_BYTES);

		CHECK_FOR_INTERRUPTS();
		insert_tuple(toast, &indexes, value, seq++, (const char *) data + at, bytes, chunk, bulk);
		at += bytes;
	} while (at < len);
	close_indexes(&indexes, RowExclusiveLock);
	if (bulk != NULL)
		FreeBulkInsertState(bulk);
	pfree(chunk);
}

/*
 * A scan of the tuples of one value in order.  TOAST visibility: whoever has a value's id has
 * it from a tuple that he sees, so all tuples that were not swept away count.
 */
typedef struct StoreScan
{
	Relation	toast;
	LOCKMODE	mode;
	StoreIndexes indexes;
	SnapshotData toast_snapshot;
	Snapshot	registered;		/* what holds back removal when nothing else does */
	ScanKeyData key;
	SysScanDesc scan;
} StoreScan;

static void
scan_begin(StoreScan *scan, Relation toast, Oid value, LOCKMODE mode, Snapshot snapshot)
{
	memset(scan, 0, sizeof(*scan));
	scan->toast = toast;
	scan->mode = mode;
	open_indexes(toast, mode, &scan->indexes);
	if (snapshot == NULL)
	{
		if (!HaveRegisteredOrActiveSnapshot())
			scan->registered = RegisterSnapshot(GetNonHistoricCatalogSnapshot(RelationGetRelid(toast)));
		MilvusInitToastSnapshot(&scan->toast_snapshot);
		snapshot = &scan->toast_snapshot;
	}
	ScanKeyInit(&scan->key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	scan->scan = systable_beginscan_ordered(toast, scan->indexes.rels[scan->indexes.valid],
											snapshot, 1, &scan->key);
}

static HeapTuple
scan_next(StoreScan *scan)
{
	return systable_getnext_ordered(scan->scan, ForwardScanDirection);
}

static void
scan_end(StoreScan *scan)
{
	systable_endscan_ordered(scan->scan);
	if (scan->registered != NULL)
		UnregisterSnapshot(scan->registered);
	close_indexes(&scan->indexes, scan->mode);
}

/*
 * Sequence number and data of a tuple; ERROR when it is not one of ours.
 */
static const char *
tuple_data(StoreScan *scan, HeapTuple tuple, int32 *seq, Size *bytes)
{
	TupleDesc	desc = RelationGetDescr(scan->toast);
	bool		isnull[2];
	Datum		seq_datum = fastgetattr(tuple, 2, desc, &isnull[0]);
	Datum		data = fastgetattr(tuple, 3, desc, &isnull[1]);

	if (isnull[0] || isnull[1] || VARATT_IS_EXTERNAL(DatumGetPointer(data)) ||
		VARATT_IS_COMPRESSED(DatumGetPointer(data)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("unexpected tuple in TOAST relation \"%s\"", RelationGetRelationName(scan->toast))));
	*seq = DatumGetInt32(seq_datum);
	*bytes = VARSIZE_ANY_EXHDR(DatumGetPointer(data));
	return VARDATA_ANY(DatumGetPointer(data));
}

/*
 * As TableReadValue; NULL, if `missing_ok`, when chunks are missing.
 */
static void *
read_value(Relation toast, Oid value, Size *len, bool missing_ok)
{
	StoreScan	scan;
	HeapTuple	tuple;
	int32		expected = 0;
	Size		room = STORE_CHUNK_BYTES;
	char	   *data = palloc(room);

	*len = 0;
	scan_begin(&scan, toast, value, AccessShareLock, NULL);
	while (HeapTupleIsValid(tuple = scan_next(&scan)))
	{
		int32		seq;
		Size		bytes;
		const char *chunk = tuple_data(&scan, tuple, &seq, &bytes);

		CHECK_FOR_INTERRUPTS();
		if (seq != expected && missing_ok)
		{
			expected = 0;
			break;
		}
		if (seq != expected || *len + bytes > STORE_MAX_BYTES)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("unexpected chunk number %d (expected %d) of value %u in TOAST relation \"%s\"",
							seq, expected, value, RelationGetRelationName(toast))));
		expected++;
		if (*len + bytes > room)
		{
			room = Max(2 * room, *len + bytes);
			data = repalloc_huge(data, room);
		}
		memcpy(data + *len, chunk, bytes);
		*len += bytes;
	}
	scan_end(&scan);
	if (expected == 0 && missing_ok)
	{
		pfree(data);
		return NULL;
	}
	if (expected == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("missing value %u in TOAST relation \"%s\"", value, RelationGetRelationName(toast))));
	return data;
}

void *
TableReadValue(Relation toast, Oid value, Size *len)
{
	return read_value(toast, value, len, false);
}

void *
TableReadValueIfThere(Relation toast, Oid value, Size *len)
{
	return read_value(toast, value, len, true);
}

/*
 * Delete a tuple, unless somebody has just done so.
 */
static void
delete_tuple(Relation toast, HeapTuple tuple)
{
	TM_FailureData failure;
	TM_Result	result = heap_delete(toast, &tuple->t_self, GetCurrentCommandId(true), InvalidSnapshot,
									 true, &failure, false);

	if (result != TM_Ok && result != TM_Deleted && result != TM_SelfModified)
		elog(ERROR, "unexpected result %d of deleting a tuple of TOAST relation \"%s\"",
			 (int) result, RelationGetRelationName(toast));
}

void
TableDeleteValue(Relation toast, Oid value)
{
	TableDeleteValues(toast, &value, 1, NULL);
}

static int
compare_values(const void *a, const void *b)
{
	Oid			left = *(const Oid *) a;
	Oid			right = *(const Oid *) b;

	return left < right ? -1 : left > right;
}

/*
 * Delete sorted values that lie closely together: one scan over all from the first to the last.
 */
static void
delete_run(Relation toast, const StoreIndexes *indexes, Snapshot snapshot, const Oid *values, int n)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	int			at = 0;

	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_OIDGE, ObjectIdGetDatum(values[0]));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_OIDLE, ObjectIdGetDatum(values[n - 1]));
	scan = systable_beginscan_ordered(toast, indexes->rels[indexes->valid], snapshot, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		bool		isnull;
		Oid			value = DatumGetObjectId(fastgetattr(tuple, 1, RelationGetDescr(toast), &isnull));

		CHECK_FOR_INTERRUPTS();
		while (at < n && values[at] < value)
			at++;
		if (at < n && values[at] == value)
			delete_tuple(toast, tuple);
	}
	systable_endscan_ordered(scan);
}

void
TableDeleteValues(Relation toast, Oid *values, int n, Snapshot snapshot)
{
	Snapshot	registered = RegisterSnapshot(snapshot != NULL ? snapshot :
											  GetNonHistoricCatalogSnapshot(RelationGetRelid(toast)));
	StoreIndexes indexes;

	qsort(values, n, sizeof(Oid), compare_values);
	open_indexes(toast, RowExclusiveLock, &indexes);
	for (int first = 0, end; first < n; first = end)
	{
		end = first + 1;
		while (end < n && values[end] - values[end - 1] <= STORE_RUN_GAP)
			end++;
		delete_run(toast, &indexes, registered, &values[first], end - first);
	}
	close_indexes(&indexes, RowExclusiveLock);
	UnregisterSnapshot(registered);
}

/* ---- the manifest ---- */

/*
 * A snapshot of what is committed now and of what this transaction did before, registered.
 * The catalog's kind, because that may also be taken in parallel workers and on standbys;
 * a TOAST relation sends no invalidations, so it is always a new one.
 */
static Snapshot
manifest_snapshot(Relation toast)
{
	return RegisterSnapshot(GetNonHistoricCatalogSnapshot(RelationGetRelid(toast)));
}

/*
 * The entry in a manifest tuple, verified.
 */
static void
read_entry(StoreScan *scan, HeapTuple tuple, TableSegmentEntry *entry)
{
	int32		number;
	Size		bytes;
	const char *data = tuple_data(scan, tuple, &number, &bytes);

	if (bytes == sizeof(TableSegmentEntry))
	{
		memcpy(entry, data, sizeof(TableSegmentEntry));
		if (entry->magic == TABLE_ENTRY_MAGIC && entry->version == TABLE_ENTRY_VERSION &&
			entry->number == number)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("entry %d in the segment manifest of TOAST relation \"%s\" is damaged",
					number, RelationGetRelationName(scan->toast))));
}

TableSegmentEntry *
TableReadManifest(Relation rel, int *n)
{
	TableSegmentEntry *entries;
	Relation	toast;
	Snapshot	snapshot;
	StoreScan	scan;
	HeapTuple	tuple;
	int			room = 16;

	*n = 0;
	entries = palloc(room * sizeof(TableSegmentEntry));
	if (!OidIsValid(rel->rd_rel->reltoastrelid))
		return entries;
	toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
	snapshot = manifest_snapshot(toast);
	scan_begin(&scan, toast, TABLE_MANIFEST_VALUE, AccessShareLock, snapshot);
	while (HeapTupleIsValid(tuple = scan_next(&scan)))
	{
		if (*n == room)
		{
			room *= 2;
			entries = repalloc_huge(entries, room * sizeof(TableSegmentEntry));
		}
		read_entry(&scan, tuple, &entries[(*n)++]);
	}
	scan_end(&scan);
	UnregisterSnapshot(snapshot);
	table_close(toast, AccessShareLock);
	return entries;
}

/*
 * One more than the largest number there is, that of entries not swept away yet included:
 * a number is not given to two segments as long as somebody may remember the first.
 */
int32
TableNextNumber(Relation toast)
{
	StoreScan	scan;
	HeapTuple	tuple;
	int32		last = 0;

	scan_begin(&scan, toast, TABLE_MANIFEST_VALUE, AccessShareLock, SnapshotAny);
	while (HeapTupleIsValid(tuple = scan_next(&scan)))
	{
		int32		number;
		Size		bytes;

		(void) tuple_data(&scan, tuple, &number, &bytes);
		last = Max(last, number);
	}
	scan_end(&scan);
	if (last == PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("numbers of segments are used up in TOAST relation \"%s\"",
						RelationGetRelationName(toast)),
				 errhint("VACUUM FULL numbers the table's segments anew.")));
	return last + 1;
}

/*
 * Delete the tuple of an entry; ERROR when there is none.
 */
static void
delete_entry(Relation toast, int32 number)
{
	Snapshot	snapshot = manifest_snapshot(toast);
	StoreScan	scan;
	HeapTuple	tuple;
	bool		found = false;

	scan_begin(&scan, toast, TABLE_MANIFEST_VALUE, RowExclusiveLock, snapshot);
	while (!found && HeapTupleIsValid(tuple = scan_next(&scan)))
	{
		int32		seq;
		Size		bytes;

		(void) tuple_data(&scan, tuple, &seq, &bytes);
		if (seq != number)
			continue;
		simple_heap_delete(toast, &tuple->t_self);
		found = true;
	}
	scan_end(&scan);
	UnregisterSnapshot(snapshot);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("segment %d is missing in the manifest of TOAST relation \"%s\"",
						number, RelationGetRelationName(toast))));
}

static void
insert_entry(Relation toast, const TableSegmentEntry *entry)
{
	StoreIndexes indexes;
	union
	{
		struct varlena header;
		char		room[VARHDRSZ + sizeof(TableSegmentEntry)];
	}			chunk;

	open_indexes(toast, RowExclusiveLock, &indexes);
	insert_tuple(toast, &indexes, TABLE_MANIFEST_VALUE, entry->number, entry, sizeof(TableSegmentEntry),
				 &chunk.header, NULL);
	close_indexes(&indexes, RowExclusiveLock);
}

void
TableInsertEntry(Relation rel, const TableSegmentEntry *entry)
{
	Relation	toast = table_open(rel->rd_rel->reltoastrelid, RowExclusiveLock);

	Assert(entry->magic == TABLE_ENTRY_MAGIC && entry->version == TABLE_ENTRY_VERSION);
	insert_entry(toast, entry);
	table_close(toast, NoLock);
	/* for the next look at the manifest in this transaction */
	CommandCounterIncrement();
}

void
TableUpdateEntry(Relation rel, const TableSegmentEntry *entry)
{
	Relation	toast = table_open(rel->rd_rel->reltoastrelid, RowExclusiveLock);

	Assert(entry->magic == TABLE_ENTRY_MAGIC && entry->version == TABLE_ENTRY_VERSION);
	delete_entry(toast, entry->number);
	insert_entry(toast, entry);
	table_close(toast, NoLock);
	CommandCounterIncrement();
}

void
TableDeleteEntry(Relation rel, int32 number)
{
	Relation	toast = table_open(rel->rd_rel->reltoastrelid, RowExclusiveLock);

	delete_entry(toast, number);
	table_close(toast, NoLock);
	CommandCounterIncrement();
}
