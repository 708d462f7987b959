/*
 * table.h
 *		The table access method `milvus`: growing rows are heap tuples, sealed rows
 *		are stubs that refer to rows of columnar segments.  README.md explains the
 *		formats, the order of steps and the crash argument.
 */
#ifndef MILVUS_TABLE_H
#define MILVUS_TABLE_H

#include "access/htup_details.h"
#include "access/tableam.h"
#include "fmgr.h"
#include "nodes/bitmapset.h"
#include "storage/bufmgr.h"
#include "segment/column.h"
#include "segment/segment.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/* ---- limits ---- */

#define TABLE_ROW_BITS 22
#define TABLE_MAX_ROWS (1 << TABLE_ROW_BITS)	/* rows a segment */
#define TABLE_TAG_BITS 10
#define TABLE_MIN_SEGMENT_ROWS 1024	/* least that a table's options may ask for */
#define TABLE_CHUNK_ROWS 8192	/* rows a column chunk, at most */
#define TABLE_CHUNK_BYTES (4 * 1024 * 1024) /* decoded bytes a chunk, aimed at */
#define TABLE_MAX_VALUE (64 * 1024 * 1024)	/* bytes of one value; larger ones stay growing */
#define TABLE_MAX_COLUMN_BYTES ((uint64) 1 << 31)	/* decoded bytes of a column of a segment */

/* Reserved TOAST value ids. */
#define TABLE_MANIFEST_VALUE ((Oid) 1)
#define TABLE_MAP_VALUE ((Oid) 2)

/* Blocks of one page map tuple: 8 bytes header, then a bit a block. */
#define TABLE_MAP_BYTES 1024
#define TABLE_MAP_BLOCKS (TABLE_MAP_BYTES * 8)

/* As table_open, of a relation that the user owns; otherwise an ERROR, without a lock. */
extern Relation TableOpenOwned(Oid relid, LOCKMODE mode);
/* Is rel a table of this access method? */
extern bool TableIsMilvus(Relation rel);
/* Raise an error that says why, unless rel can have segments and options: not a view or partitioned table. */
extern void TableRequire(Relation rel);
extern const TableAmRoutine *TableAmMethods(void);
extern const TupleTableSlotOps TTSOpsMilvus;

/* ---- tableneed.c ---- */

/*
 * Only these columns (offset by FirstLowInvalidHeapAttributeNumber) will be read of the rows that the
 * slot holds, should it be one of a milvus table; what leaves it is complete all the same.
 */
extern void TableSlotReads(TupleTableSlot *slot, const Bitmapset *columns);
/* Called by _PG_init. */
extern void TableNeedInit(void);

/* ---- tablestub.c: stubs ---- */

/* Bit of t_infomask2 that the server leaves unused (15 to 18). */
#define HEAP_STUB 0x0800

typedef struct TableRef
{
	Oid			root;			/* TOAST value id of the segment's root */
	uint32		row;			/* low TABLE_ROW_BITS bits: row; above: tag */
} TableRef;

#define TableRefRow(ref) ((ref).row & (TABLE_MAX_ROWS - 1))
#define TableRefTag(ref) ((ref).row >> TABLE_ROW_BITS)

static inline bool
TableTupleIsStub(HeapTupleHeader tuple)
{
	return (tuple->t_infomask2 & HEAP_STUB) != 0;
}

/* The reference of a stub of `len` bytes (its line pointer's, or t_len). */
static inline TableRef
TableStubRef(HeapTupleHeader tuple, Size len)
{
	TableRef	ref;

	memcpy(&ref, (char *) tuple + len - sizeof(TableRef), sizeof(TableRef));
	return ref;
}

/*
 * Columns that stubs made now would keep: attribute numbers offset by
 * FirstLowInvalidHeapAttributeNumber, palloc'd; *sealable false when rows of this
 * table may not be sealed (temporary, unlogged, replica identity FULL, no TOAST).
 */
extern Bitmapset *TableKeptColumns(Relation rel, bool *sealable);
/*
 * A stub for the row whose tuple is `full` (header taken over), keeping `kept`; NULL when
 * the row cannot be sealed (a kept value out of line) or would not shrink.  palloc'd.
 */
extern HeapTuple TableFormStub(Relation rel, HeapTuple full, const Bitmapset *kept, TableRef ref);

/* ---- tablestore.c: the TOAST relation as storage ---- */

typedef enum TableSegmentState
{
	TABLE_SEGMENT_SEALED = 1,	/* durable; stubs being written */
	TABLE_SEGMENT_FLUSHED = 2,	/* every stub written */
} TableSegmentState;

#define TABLE_ENTRY_MAGIC 0x4d4c5445
#define TABLE_ENTRY_VERSION 1

/* A manifest entry, stored as it is. */
typedef struct TableSegmentEntry
{
	uint32		magic;
	uint32		version;
	SegmentId	id;				/* random */
	int32		number;			/* chunk_seq: unique among the table's segments */
	Oid			root;			/* value id of the root */
	Oid			todo;			/* value id of the to-do list, InvalidOid when done */
	uint32		state;			/* TableSegmentState */
	uint32		rows;
	uint32		dead_rows;		/* rows without stub, as last counted */
	uint64		raw_bytes;
	uint64		stored_bytes;
	int64		created;		/* TimestampTz: building began */
	int64		sealed;			/* committed as Sealed */
	int64		flushed;		/* 0: not yet */
	uint32		first_block;	/* of its rows' TIDs */
	uint32		last_block;
	uint64		horizon;		/* FullTransactionId: all rows' xmin precede it; see README, standbys */
} TableSegmentEntry;

#define TableEntryTag(entry) ((entry)->id.bytes[0] | ((uint32) ((entry)->id.bytes[1] & 3) << 8))

/*
 * A new value id for `toast` (opened RowExclusive), as toast_save_datum picks one.  During a
 * rewrite `old` is the TOAST relation whose values are copied with their ids: ids that it has
 * are not taken either; else NULL.
 */
extern Oid TableNewValueId(Relation toast, Relation old);
/* Write / read one value of ours.  Read: palloc'd, *len bytes; ERROR when absent or damaged. */
extern void TableWriteValue(Relation toast, Oid value, const void *data, Size len);
extern void *TableReadValue(Relation toast, Oid value, Size *len);
/* The same of a value that may have been deleted and swept away: then NULL. */
extern void *TableReadValueIfThere(Relation toast, Oid value, Size *len);
/* Delete a value's chunks that a fresh MVCC snapshot sees (deleted already: nothing to do, no error). */
extern void TableDeleteValue(Relation toast, Oid value);
/*
 * The same for n values, which are sorted here: much faster for those given out one after the other.
 * What is deleted is what `snapshot` sees, NULL: a fresh one.
 */
extern void TableDeleteValues(Relation toast, Oid *values, int n, Snapshot snapshot);

/* Entries, by number.  Read with a snapshot of what is committed now. palloc'd. */
extern TableSegmentEntry *TableReadManifest(Relation rel, int *n);
extern void TableInsertEntry(Relation rel, const TableSegmentEntry *entry);
extern void TableUpdateEntry(Relation rel, const TableSegmentEntry *entry);
extern void TableDeleteEntry(Relation rel, int32 number);

/* ---- tablebuild.c: rows in, segment out ---- */

typedef struct TableBuilder TableBuilder;
typedef struct TableSegment TableSegment;

/*
 * Begin a segment of rows of `desc`, to be stored in `toast` (the TOAST relation of the
 * relation that the stubs will be in: a new one during a rewrite, when oldtoast is the old
 * one, else NULL).  `rel` gives options.
 * In the current transaction and memory context.
 */
extern TableBuilder *TableBuilderBegin(Relation rel, Relation toast, Relation oldtoast, TupleDesc desc);
/* For stubs made before, by compaction: what they keep, instead of what new ones would. */
extern void TableBuilderSetKept(TableBuilder *builder, const Bitmapset *kept);
/* Rows of an open segment will be added: what its root says of values holds for the new one. */
extern void TableBuilderInherit(TableBuilder *builder, const TableSegment *source);
/* The reference that the next row added will have. */
extern TableRef TableBuilderNextRef(TableBuilder *builder);
/* Would TableBuilderAdd take the row? */
extern bool TableBuilderFits(const TableBuilder *builder, const Datum *values, const bool *isnull);
/*
 * Add a row: values of all columns, detoasted here.  Returns its row number, or -1 when the
 * row may not be in this segment (a value too large, or a column), nothing added.
 */
extern int64 TableBuilderAdd(TableBuilder *builder, ItemPointer tid, const Datum *values, const bool *isnull);
extern bool TableBuilderIsFull(const TableBuilder *builder);
extern uint32 TableBuilderRows(const TableBuilder *builder);
/*
 * Write what is left and the root; fills *entry (state, todo, sealed and flushed are the caller's
 * to set; TableInsertEntry too, before the next Finish, which takes the next number).  Makes
 * cache files when the settings ask for it.
 */
extern void TableBuilderFinish(TableBuilder *builder, TableSegmentEntry *entry);
extern void TableBuilderAbort(TableBuilder *builder);

/*
 * How values are hashed for the chunks' Bloom filters: by the type's own extended hash
 * function with seed 0.  Init: false when columns of this type and collation have no
 * filters.  A value must be of the column's type to be looked up.
 */
typedef struct TableBloomHash
{
	FmgrInfo   *function;
	Oid			collation;
} TableBloomHash;

extern bool TableBloomHashInit(Oid typid, Oid collation, TableBloomHash *hash);
extern uint64 TableBloomHashDatum(const TableBloomHash *hash, Datum value);

/* ---- tablesegment.c: reading ---- */

/*
 * Open (or find open) the segment whose root is `root` for reading; ERROR when it is damaged
 * or its tag differs.  Valid until the end of the transaction, at least.
 */
extern TableSegment *TableSegmentOpen(Relation rel, Oid root, uint32 tag);
/* Can a row be fetched whose segment may be gone?  See TableStubIsGone. */
extern bool TableSegmentHasRow(Relation rel, TableRef ref);
extern uint32 TableSegmentRows(const TableSegment *segment);
extern const SegmentId *TableSegmentId(const TableSegment *segment);
/* Number of columns when sealed; attributes beyond have their missing value. */
extern int	TableSegmentNatts(const TableSegment *segment);
/* Did stubs of this segment keep the attribute? */
extern bool TableSegmentKeeps(const TableSegment *segment, AttrNumber attnum);
/* May heap have had values of the column compressed? */
extern bool TableSegmentToasted(const TableSegment *segment, AttrNumber attnum);
/* Type of a column when it was sealed; InvalidOid when it had been dropped. */
extern Oid	TableSegmentColumnType(const TableSegment *segment, AttrNumber attnum);

/*
 * Value of a row: a datum by value, a pointer into the mapping, or, when the column is not
 * mapped, a copy in `copies`.  Attributes beyond natts give the missing value.
 */
extern Datum TableSegmentFetch(TableSegment *segment, AttrNumber attnum, uint32 row,
							   bool *isnull, MemoryContext copies);

typedef struct TableChunkInfo
{
	uint32		first_row;
	uint32		rows;
	uint32		nulls;
	bool		has_range;		/* minimum and maximum are known, of the values that are not null */
	/*
	 * By the type's default btree order; of text, varchar and bpchar (without trailing
	 * blanks) varlenas by memcmp, at most 64 bytes of them: the minimum may be a prefix of
	 * the real one, and so may the maximum when maximum_cut is set (then values can be
	 * larger that begin with it).
	 */
	Datum		minimum;
	Datum		maximum;
	bool		maximum_cut;
	const uint8 *bloom;			/* NULL: none */
	uint32		bloom_bytes;
	uint64		raw_bytes;
	uint64		stored_bytes;
	const char *codec;			/* "dictionary+zstd", ... */
} TableChunkInfo;

/* Chunks of a column: rows each (the last may be shorter), their number, facts of one. */
extern uint32 TableSegmentChunkRows(const TableSegment *segment, AttrNumber attnum);
extern int	TableSegmentChunks(const TableSegment *segment, AttrNumber attnum);
extern void TableSegmentChunkInfo(TableSegment *segment, AttrNumber attnum, int chunk, TableChunkInfo *info);

/*
 * Rows first .. first + n - 1 of a column in bulk: a view whose pointers are into the
 * mapping (the column is mapped now if it can be) or into a decoded chunk, which *hold (NULL
 * at first) keeps until the next call with it, TableSegmentViewEnd, or the end of the
 * transaction.  n must not pass the chunk of `first`.
 */
typedef struct TableDecoded TableDecoded;
extern void TableSegmentView(TableSegment *segment, AttrNumber attnum, uint32 first, uint32 n,
							 ColumnView *view, TableDecoded **hold);
extern void TableSegmentViewEnd(TableDecoded **hold);
/* Row → TID of rows first .. first + n - 1 into tids. */
extern void TableSegmentTids(TableSegment *segment, uint32 first, uint32 n, ItemPointerData *tids);
/* Map / unmap a column for this server: make its cache file, or remove it.  attnum 0: all. */
extern bool TableSegmentWarm(TableSegment *segment, AttrNumber attnum);
/* The same for one column, 0: the TIDs'. */
extern bool TableSegmentWarmColumn(TableSegment *segment, AttrNumber attnum);
/* Attribute numbers of the columns that have a cache file, 0: the TIDs'; palloc'd. */
extern Bitmapset *TableSegmentCached(TableSegment *segment);
extern void TableSegmentEvict(TableSegment *segment, AttrNumber attnum);
/* Remove cache files of segments that rel does not have any more (after compaction, by VACUUM). */
extern void TableSegmentSweep(Relation rel);
/* Bytes of the cache files of rel's segments. */
extern uint64 TableCacheBytes(Relation rel);

/* ---- tablemap.c: pure pages ---- */

/*
 * After the heap's change to `block` by the current transaction: it is not pure any more.
 * Ends with CheckForSerializableConflictIn(rel, NULL, InvalidBlockNumber), whatever the bit was.
 */
extern void TableMapTouch(Relation rel, BlockNumber block);
/*
 * Bits of blocks 0 .. nblocks - 1 (bit set: pure), in words of 64, palloc'd; to be called after
 * the snapshot was taken (and PredicateLockRelation, when serializable) and before
 * TableReadManifest.  Both once a scan: parallel workers get the leader's.
 */
extern uint64 *TableMapRead(Relation rel, BlockNumber nblocks);
/*
 * Make the map's tuples for blocks 0 .. nblocks - 1.  They have effect after this transaction;
 * so the one that writes a segment calls it, and the later one that finishes it can set bits.
 */
extern void TableMapExtend(Relation rel, BlockNumber nblocks);
/*
 * Set bits of those of `blocks` that are pure (README: under the page's share lock every tuple is
 * a stub with xmin behind the horizon and no xmax but a locker's, no LP_DEAD; and the stubs are
 * exactly the rows that ALL manifest entries, Sealed ones too, record for the block).  Only after
 * the transaction that set the entries Flushed has committed.  Called by finishing and VACUUM,
 * with ShareUpdateExclusiveLock at least.  False: for some of them the map is new and a
 * transaction that is writing the table may not know of it; call again later, in another
 * transaction.
 */
extern bool TableMapSetPure(Relation rel, const BlockNumber *blocks, int nblocks);
/*
 * Set the bits of all blocks that have become pure again, as after a rollback and VACUUM.  Takes
 * no transaction id, so VACUUM may call it.
 */
extern void TableMapRestore(Relation rel);

/* ---- tableseal.c, tablecompact.c ---- */

/*
 * What GetOldestNonRemovableTransactionId says of a relation, not held back by this process's own look-ups.
 * For use where no snapshot is active.
 */
extern TransactionId TableSettledHorizon(Relation rel);

typedef enum TableSealMode
{
	TABLE_SEAL_ALL,				/* whatever may be sealed */
	TABLE_SEAL_POLICY			/* when the table's policy says that it is time */
} TableSealMode;

/* What the policy went by: estimates, before anything was sealed. */
typedef struct TableSealReport
{
	double		rows;			/* that could be sealed */
	double		bytes;
	double		waiting;		/* rows that could be if everybody saw them, or nobody had them locked */
	double		waiting_bytes;
	int64		wait;			/* ms until the last segment was old enough; -1: its age does not count */
} TableSealReport;

/*
 * Run outside of a transaction, by a worker: finish what is unfinished, then seal.  Takes and
 * releases its own locks, conditionally when `wait` is false.  Returns the number of segments
 * made; their numbers (int32) are appended to *numbers in the caller's context unless NULL.
 * *report (unless NULL) is of the mode TABLE_SEAL_POLICY.
 */
extern int	TableSeal(Oid relid, TableSealMode mode, bool wait, List **numbers, TableSealReport *report);

typedef enum TableCompactKind
{
	TABLE_COMPACT_MERGE,		/* small segments, segments with many dead rows */
	TABLE_COMPACT_CLUSTER,		/* by the option cluster_key */
	TABLE_COMPACT_SORT,			/* by primary key */
	TABLE_COMPACT_POLICY		/* merge, when the policy says that it is time */
} TableCompactKind;

extern int	TableCompact(Oid relid, TableCompactKind kind, bool wait, List **numbers);

/* ---- tablevacuum.c ---- */

/* VACUUM, as relation_vacuum of the table access method. */
extern void TableVacuum(Relation rel, struct VacuumParams *params, BufferAccessStrategy strategy);

/* ---- tableoptions.c ---- */

typedef struct TableOptions
{
	int64		segment_rows;	/* seal at so many sealable rows; also the most a segment takes */
	int64		segment_bytes;	/* ... or bytes (raw) */
	int			segment_age;	/* ... or seconds since the last seal, with min_rows */
	int64		min_rows;		/* fewer are not sealed by age */
	double		compact_ratio;	/* dead rows / rows from which a segment is rewritten */
	bool		auto_seal;
	bool		cache_on_seal;	/* make cache files while sealing */
	int			compression;	/* ColumnCompression */
	int			compression_level;
	Bitmapset  *bloom_columns;	/* attnums (no offset) */
	AttrNumber	cluster_key;	/* 0: none */
} TableOptions;

/* Options of a table over the settings; see tableoptions.c.  palloc'd set. */
extern void TableGetOptions(Relation rel, TableOptions *options);
/* Called by _PG_init. */
extern void TableOptionsInit(void);

#endif							/* MILVUS_TABLE_H */
