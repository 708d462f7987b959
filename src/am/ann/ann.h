/*
 * ann.h
 *		The index access method `ann`: shared declarations.
 *
 * README.md in this folder explains the parts, the page layouts, the locks and
 * the crash argument.
 */
#ifndef MILVUS_ANN_H
#define MILVUS_ANN_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/itup.h"
#include "access/generic_xlog.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "index/index.h"
#include "segment/segment.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

#define ANN_META_BLOCK 0
#define ANN_META_MAGIC 0x4d4c5641	/* "MLVA" */
#define ANN_META_VERSION 2

/* The only order-by strategy and the only support function of a vector's opclass. */
#define ANN_STRATEGY_DISTANCE 1
#define ANN_SUPPORT_TYPE 1
/* The only one of a scalar column's opclass: a comparison as btree has it. */
#define ANN_SUPPORT_COMPARE 2

/* ---- options (annoptions.c) ---- */

#define ANN_MIN_SEGMENT_ROWS 1000
#define ANN_MAX_SEGMENT_ROWS 100000000
#define ANN_DEFAULT_SEGMENT_ROWS 1000000

typedef struct AnnOptions
{
	int32		vl_len_;
	int			index_type;		/* AnnIndexType */
	int			m;				/* 0: AUTOINDEX's or Milvus's default */
	int			ef_construction;	/* 0: likewise */
	int			nlist;
	int			segment_rows;	/* most rows of a segment */
	int			sq_type;		/* AnnQuantizer */
	int			pq_m;			/* 0: the type's own choice */
	int			pq_nbits;
	int			nrq;
	bool		refine;
	int			refine_type;	/* AnnQuantizer */
	bool		with_raw_data;
	bool		compact;
	int			mh_band;		/* 0: the default, or fewer where there are fewer elements */
	int			mh_element_bits;
} AnnOptions;

/* Values of the option index_type: AnnType, and the names that stand for another. */
typedef enum AnnIndexType
{
	ANN_INDEX_AUTO = 0,
	ANN_INDEX_ANNOY = 100,		/* AUTOINDEX, with a notice */
	ANN_INDEX_BIN_FLAT,			/* of bits only */
	ANN_INDEX_BIN_IVF_FLAT
} AnnIndexType;

extern void AnnDefineOptions(void);
extern bytea *AnnParseOptions(Datum reloptions, bool validate);
extern const AnnOptions *AnnGetOptions(Relation index);

/*
 * What an operator class says of its type: the support function returns a
 * pointer to one of these.  Values are bit strings (VarBit), or varlenas with a
 * uint16 dimension at byte 4 and the elements from byte 8 on.
 */
typedef struct AnnOpclass
{
	AnnMetric	metric;
	AnnElem		elem;
} AnnOpclass;

extern const AnnOpclass *AnnGetOpclass(Relation index);
/* Build parameters of new segments: opclass, column's dimension, options. */
extern void AnnGetParams(Relation index, AnnParams *params);
/* Rows at which the growing part is sealed. */
extern uint32 AnnGrowingLimit(const AnnParams *params);
extern uint32 AnnSegmentRows(Relation index);

/* Bytes of a raw vector's elements. */
static inline Size
AnnVectorBytes(const AnnParams *params)
{
	switch (params->elem)
	{
		case ANN_F32:
			return 4 * (Size) params->dim;
		case ANN_F16:
		case ANN_BF16:
			return 2 * (Size) params->dim;
		case ANN_I8:
			return params->dim;
		case ANN_BIT:
			return ((Size) params->dim + 7) / 8;
	}
	return 0;
}

/* Where a value belongs. */
typedef enum AnnRowClass
{
	ANN_ROW_VECTOR,
	ANN_ROW_ZERO,				/* zero length under COSINE: its distance is NaN */
	ANN_ROW_NULL
} AnnRowClass;

/*
 * Check a value's dimension against the index and class it.  *data points at the
 * elements, in memory of the current context or in the datum.
 */
extern AnnRowClass AnnClassify(Relation index, const AnnParams *params, Datum value, bool isnull,
							   const void **data);

extern IndexBuildResult *annbuild(Relation heap, Relation index, IndexInfo *indexInfo);

/* Whether an index (not a partitioned one) is of an access method of ours. */
static inline bool
AnnIsOurIndex(Relation index)
{
	return index->rd_rel->relkind == RELKIND_INDEX && index->rd_indam->ambuild == annbuild;
}

/* ---- pgvector's syntax and settings (annpgvector.c) ---- */

extern void AnnDefinePgvectorOptions(void);

/* How far a search goes, by the settings that an index of its access method obeys. */
typedef struct AnnEffort
{
	int			ef;
	int			nprobe;
	int			max_probes;		/* lists at most, 0: all when the executor wants so many rows */
	uint64		max_tuples;		/* rows handed out at most, 0: no bound */
	double		target_recall;	/* asked for instead of ef and nprobe; 0: not */
	bool		strict;			/* a row found late is dropped, not returned out of order */
} AnnEffort;

extern void AnnGetEffort(Relation index, AnnEffort *effort);

/* ---- metapage (annmeta.c) ---- */

#define ANN_MAX_RESERVES 16

typedef struct AnnRun
{
	BlockNumber start;
	BlockNumber end;			/* one past the last */
} AnnRun;

typedef struct AnnMeta
{
	uint32		magic;
	uint32		version;
	SegmentId	index_id;		/* of this incarnation of the index */
	uint32		metric;
	uint32		elem;
	uint32		dim;
	uint32		reserved;
	uint64		manifest_version;	/* changes with every published manifest */
	uint64		manifest_fxid;	/* next full transaction id when it was published */
	uint64		marks_version;	/* changes after segment marks were set */
	BlockNumber manifest_head;	/* InvalidBlockNumber: empty */
	BlockNumber growing_head;	/* InvalidBlockNumber: empty */
	BlockNumber growing_tail;
	BlockNumber reserved2;
	uint64		growing_head_ordinal;	/* ordinal of the head's first entry */
	uint64		next_ordinal;	/* of the next growing page when there is no tail */
	uint64		segment_rows;	/* rows in all segments, for estimates */
	uint32		nsegments;
	uint32		nreserves;
	AnnRun		reserves[ANN_MAX_RESERVES]; /* blocks for new growing pages */
} AnnMeta;

static inline AnnMeta *
AnnMetaOf(Page page)
{
	return (AnnMeta *) SegPageGetContents(page);
}

/* Copy the metapage's contents under a share lock; checks magic and version. */
extern void AnnReadMeta(Relation index, AnnMeta *meta);
/* The metapage, exclusively locked and pinned. */
extern Buffer AnnLockMeta(Relation index);
/* Make the first page(s) of an empty index in a fork. */
extern void AnnInitIndex(Relation index, ForkNumber fork, const AnnParams *params);

/* ---- manifest (annmanifest.c) ---- */

typedef struct AnnSegmentEntry
{
	SegmentId	id;
	BlockNumber start;
	BlockNumber nblocks;
	uint32		rows;			/* vectors */
	uint32		zero_rows;
	uint32		null_rows;
	uint32		type;			/* AnnType */
	int64		created;
	AnnCalibration calibration;
} AnnSegmentEntry;

typedef struct AnnFreeRun
{
	BlockNumber start;
	BlockNumber nblocks;

	/*
	 * Full transaction id behind which the blocks can be reused; 0: that of the
	 * publishing of the manifest which lists them (AnnMeta.manifest_fxid), which
	 * is not known when the manifest is written.
	 */
	uint64		dropped;
} AnnFreeRun;

typedef struct AnnManifest
{
	uint64		version;
	int			nsegments;
	AnnSegmentEntry *segments;
	int			nfree;
	AnnFreeRun *free;
	int			maxfree;		/* room of `free`, when AnnAddFree() made it */
	int			npages;			/* pages it lies on */
	BlockNumber *pages;
} AnnManifest;

/*
 * Read the manifest that meta names.  NULL: a page was recycled meanwhile; read
 * the metapage again.
 */
extern AnnManifest *AnnReadManifest(Relation index, const AnnMeta *meta);
/* As above, with its metapage, retrying as needed. */
extern AnnManifest *AnnReadManifestLatest(Relation index, AnnMeta *meta);
/* nblocks contiguous blocks: a reusable free run of the manifest, or new ones. */
extern BlockNumber AnnAllocExtent(Relation index, Relation heap, AnnManifest *manifest, BlockNumber nblocks);
/*
 * About `want` reusable blocks in at most `max` runs, each a multiple of `unit`; the number of runs,
 * fewer and 0 when not as much can be reused.
 */
extern int	AnnTakeReserves(Relation index, Relation heap, AnnManifest *manifest, BlockNumber want,
							BlockNumber unit, AnnRun *runs, int max);
extern void AnnAddFree(AnnManifest *manifest, BlockNumber start, BlockNumber nblocks);
/*
 * Write the manifest to new pages, logged but not yet named by the metapage.
 * Returns the head.  Its old pages become free runs.
 */
extern BlockNumber AnnWriteManifest(Relation index, Relation heap, AnnManifest *manifest);
extern uint64 AnnSegmentEntryRows(const AnnSegmentEntry *entry);

/* The lock under which manifests are changed; one seal or merge an index. */
extern void AnnLockManifest(Relation index);
extern bool AnnTryLockManifest(Relation index);
extern void AnnUnlockManifest(Relation index);

/* ---- growing part (anngrowing.c) ---- */

/* page flags; the header's `number` counts the entries */
#define ANN_GROWING_CLOSED 0x0001	/* takes no more entries */
#define ANN_GROWING_LARGE 0x0002	/* one entry, continued on the blocks that follow */

#define ANN_ENTRY_DEAD 0x0001
#define ANN_ENTRY_ZERO 0x0002
#define ANN_ENTRY_NULL 0x0004
#define ANN_ENTRY_ATTRS 0x0008	/* a tuple of the scalar columns lies before the elements */

/* Most bytes of the tuple of a row's scalar columns. */
#define ANN_MAX_ATTR_BYTES MAXALIGN_DOWN(SEG_PAGE_PAYLOAD / 2)

/*
 * An entry of a growing page; a vector entry's scalar columns (annattr.h) and its
 * elements follow it.
 */
typedef struct AnnEntry
{
	ItemPointerData tid;
	uint16		flags;
} AnnEntry;

/* A walk over growing pages. */
typedef struct AnnGrowingPage
{
	BlockNumber block;
	uint64		ordinal;		/* of the first entry */
	BlockNumber next;
	uint16		flags;
	int			nentries;
} AnnGrowingPage;

/* Bytes an entry takes on its page (a large vector's: on all its pages). */
extern Size AnnEntryBytes(const AnnParams *params, uint16 flags, Size attr_bytes);
/* Pages after the first that a vector's entry with so many bytes of attributes needs. */
extern int	AnnRestPages(const AnnParams *params, Size attr_bytes);
/* Whether an index has entries that need more than a page: reading them needs memory. */
static inline bool
AnnMayContinue(Relation index, const AnnParams *params)
{
	return AnnRestPages(params, IndexRelationGetNumberOfKeyAttributes(index) > 1 ? ANN_MAX_ATTR_BYTES : 0) > 0;
}
/*
 * The lock that keeps blocks which inserters took, but which no page names yet,
 * apart from garbage collection: shared by inserters, exclusive for the collector.
 */
#define ANN_BLOCKS_LOCK MaxBlockNumber	/* never a block of ours */
extern void AnnGrowingInsert(Relation index, Relation heap, const AnnParams *params,
							 ItemPointer tid, AnnRowClass class, const void *data,
							 IndexTuple attrs, uint64 *growing_rows);

/*
 * Read-lock a growing page and describe it; InvalidBuffer when the block is not
 * that page any longer.
 */
extern Buffer AnnGrowingOpen(Relation index, const SegmentId *index_id, BlockNumber block,
							 uint64 ordinal, int lockmode, AnnGrowingPage *info);
/* Offset in the page of the first entry, and of the one after `offset`. */
#define ANN_FIRST_ENTRY SEG_PAGE_OFFSET
extern Size AnnNextEntry(const AnnParams *params, Page page, Size offset);
/* The entry at `offset`, an error when it does not lie within the page's contents. */
extern AnnEntry *AnnEntryAt(const AnnParams *params, Page page, Size offset);
/* Pages after `page` that its one entry goes on in. */
extern int	AnnGrowingRest(const AnnParams *params, Page page, const AnnGrowingPage *info);
/* The scalar columns of an entry, in the page; NULL: none. */
extern IndexTuple AnnEntryAttrs(const AnnEntry *entry);
/*
 * The elements of the vector entry at `offset`: a pointer into the page, or for
 * a large vector a copy in `scratch` (AnnVectorBytes).  NULL: recycled.
 */
extern const void *AnnEntryVector(Relation index, const SegmentId *index_id, const AnnParams *params,
								  Page page, const AnnGrowingPage *info, Size offset, void *scratch);

/* ---- logging known changes (annlog.c) ---- */

#define ANN_LOG_BUFFERS 3
#define ANN_LOG_RANGES 3

/* As generic WAL records have it. */
typedef struct AnnLogFragment
{
	OffsetNumber offset;
	OffsetNumber length;
} AnnLogFragment;

typedef struct AnnLogPage
{
	Buffer		buffer;
	bool		image;
	int			nranges;
	AnnLogFragment ranges[ANN_LOG_RANGES];
} AnnLogPage;

typedef struct AnnLog
{
	int			nbuffers;
	AnnLogPage	buffers[ANN_LOG_BUFFERS];
} AnnLog;

extern void AnnLogBuffer(AnnLog *log, int i, Buffer buffer, bool image);
extern void AnnLogRange(AnnLog *log, int i, const void *start, Size bytes);
extern void AnnLogFinish(AnnLog *log, Relation index);

/* ---- segments of an index (annsegment.c) ---- */

/* Section ids beyond AnnSectionId. */
#define ANN_SEC_TIDS 64			/* rows + zero + null item pointers */
#define ANN_SEC_ATTRS 65		/* scalar columns of the vector rows (annattr.h) */
#define ANN_SEC_ATTR_INDEX 66	/* their postings; only in the query form */
#define ANN_SEC_TID_INDEX 67	/* vector rows by item pointer; only in the query form (annmask.h) */

typedef struct AnnSpool AnnSpool;
typedef struct AnnAttrs AnnAttrs;	/* annattr.h */
typedef struct AnnSegmentAttrs AnnSegmentAttrs;

/* Rows collected for a segment; memory by maintenance_work_mem, else files. */
extern AnnSpool *AnnSpoolCreate(const AnnParams *params, const AnnAttrs *attrs);
extern void AnnSpoolAdd(AnnSpool *spool, ItemPointer tid, AnnRowClass class, const void *data,
						IndexTuple attrs);
extern uint64 AnnSpoolRows(const AnnSpool *spool);
extern void AnnSpoolDestroy(AnnSpool *spool);

/* Where a source row went: number in the spool of each class's rows. */
typedef struct AnnSpoolPosition
{
	AnnRowClass class;
	uint32		number;
} AnnSpoolPosition;
extern AnnSpoolPosition AnnSpoolLast(const AnnSpool *spool);

/* A segment written, measured and cached, but not yet published. */
typedef struct AnnNewSegment
{
	AnnSegmentEntry entry;
	SegmentHeader header;
	uint32	   *inverse;		/* row of the segment by number in the spool; NULL: same */
} AnnNewSegment;

/*
 * Build the spool's rows into a segment and write it, logged, into a newly
 * allocated extent.
 */
extern AnnNewSegment *AnnWriteSegment(Relation index, Relation heap, AnnManifest *manifest,
									  AnnSpool *spool, int nthreads);
/* The segment's row number of a spool position. */
extern uint32 AnnNewSegmentRow(const AnnNewSegment *segment, AnnSpoolPosition position);
extern int	AnnBuildThreads(void);
/* The next segment's build is a part of a job: rows done before it, of so many in all. */
extern void AnnProgressBegin(uint64 before, uint64 total);
/* Builds end when somebody waits for a lock on these (InvalidOid: never). */
extern void AnnYieldFor(Oid table, Oid index);

/* A mapped ANN_SEC_TID_INDEX. */
typedef struct AnnTidIndex
{
	uint32		nblocks;
	const uint32 *blocks;
	const uint32 *starts;
	const uint32 *rows;
	const OffsetNumber *offsets;
} AnnTidIndex;

/* A segment opened for reading by this backend. */
typedef struct AnnSegmentHandle
{
	AnnSegmentEntry entry;
	int			refcount;
	AnnParams	params;			/* as the segment was built */
	SegmentHeader header;
	SegmentMap	map;			/* base NULL: not cached */
	AnnSegment	ann;			/* valid when mapped */
	const ItemPointerData *tids;	/* mapped, or NULL */
	AnnTidIndex tid_index;		/* when mapped */
	AnnSegmentAttrs *attrs;		/* NULL: the index has no scalar columns */
	bool		failed;			/* an I/O error was met: map anew */
} AnnSegmentHandle;

/*
 * Read a whole durable section, in the current memory context, and check its sum.
 * NULL: recycled.
 */
extern void *AnnReadSection(Relation index, SegmentReader *reader, const SegmentSection *section);
/* The attributes of a segment, all of them, checked; NULL: recycled. */
extern void *AnnReadAttrs(Relation index, SegmentReader *reader, const SegmentHeader *header,
						  uint32 rows);
/* Decode the parameters kept in a segment header. */
extern void AnnHeaderParams(const SegmentHeader *header, AnnParams *params);
/*
 * Open by the cache, filling it when needed.  A handle without mapping is read
 * through the buffers.  NULL: the extent was recycled.
 */
extern AnnSegmentHandle *AnnSegmentOpen(Relation index, const AnnSegmentEntry *entry,
										MemoryContext owner);
/*
 * The item pointer of a row (vector, zero and NULL rows in this order), from the
 * durable form.
 */
extern bool AnnSegmentTid(Relation index, const AnnSegmentHandle *handle, uint32 row,
						  ItemPointer tid);
extern void AnnSegmentClose(AnnSegmentHandle *handle);

/* ---- vectors from the table (annheap.c) ---- */

/* Who maintains an index, while code of the table's owner runs. */
typedef struct AnnCallerIdentity
{
	Oid			user;
	int			context;
	int			guc_level;
} AnnCallerIdentity;

extern void AnnBecomeOwner(Relation heap, AnnCallerIdentity *caller);
extern void AnnBecomeCaller(const AnnCallerIdentity *caller);

typedef struct AnnHeapReader AnnHeapReader;

/*
 * Reads the indexed vectors of table rows that `snapshot` (MVCC, registered) sees.  Where the column is
 * an expression, user code runs from Begin on: maintenance calls all of these as the table's owner
 * and with an active snapshot.  Ended by the caller, except by an error.
 */
extern AnnHeapReader *AnnHeapReaderBegin(Relation heap, Relation index, const AnnParams *params,
										 Snapshot snapshot);
/* A row's elements, valid until the next call; NULL: there is no such row, or no vector in it. */
extern const void *AnnHeapReaderFetch(AnnHeapReader *reader, const ItemPointerData *tid);
/* Unpin the page of the last row. */
extern void AnnHeapReaderRelease(AnnHeapReader *reader);
extern void AnnHeapReaderEnd(AnnHeapReader *reader);

/* ---- view: what one scan sees (annview.c) ---- */

typedef struct AnnGrowing AnnGrowing;

typedef struct AnnViewSegment
{
	AnnSegmentHandle *handle;
	uint64	   *marks;			/* NULL: none set */
	uint64		nmarks;
	struct AnnMaskCache *masks; /* of conditions, kept between scans (annfilterseg.c); or NULL */
} AnnViewSegment;

typedef struct AnnView
{
	int			refcount;
	SegmentId	index_id;
	uint64		manifest_version;
	uint64		marks_version;
	int64		retry_at;		/* TimestampTz to try mapping again; 0: all are mapped */
	int			nsegments;
	AnnViewSegment *segments;
} AnnView;

/* The growing part as this backend has read it: codes in memory, rows on pages. */
typedef struct AnnGrowingRow
{
	BlockNumber block;
	uint16		offset;
	ItemPointerData tid;		/* of the table's row */
	uint64		ordinal;		/* of the page */
} AnnGrowingRow;

#define ANN_GROWING_CHUNK 1024

typedef struct AnnGrowingChunk
{
	uint8	   *codes;
	Sq8Meta    *meta;
	AnnGrowingRow rows[ANN_GROWING_CHUNK];
	IndexTuple *attrs;			/* of each row; NULL: the index has no scalar columns */
} AnnGrowingChunk;

struct AnnGrowing
{
	int			refcount;
	SegmentId	index_id;
	MemoryContext context;
	bool		has_attrs;
	bool		has_mean;
	float	   *mean;
	uint32		n;				/* rows with vectors */
	int			nchunks;
	int			maxchunks;
	AnnGrowingChunk **chunks;
	uint32		naside;			/* zero and NULL rows */
	uint32		maxaside;
	AnnGrowingRow *aside;
	uint8	   *aside_class;
	/* where the walk stands */
	uint64		head_ordinal;
	BlockNumber last_block;
	uint64		last_ordinal;
	int			last_entries;
	Size		last_offset;
};

/*
 * What is in the index now: everything committed before the caller's snapshot.
 * References are released by AnnReleaseView.
 */
extern AnnView *AnnAcquireView(Relation index, const AnnParams *params, AnnGrowing **growing);
extern void AnnReleaseView(AnnView *view, AnnGrowing *growing);
/* Forget mappings and copies of an index. */
extern void AnnForgetView(Oid indexid);

/* ---- seal and merge (annseal.c) ---- */

typedef enum AnnSealMode
{
	ANN_SEAL_GROWING,			/* the growing part, with small segments merged */
	ANN_SEAL_VACUUM,			/* as VACUUM does: also segments with many dead rows */
	ANN_SEAL_ALL				/* everything into as few segments as allowed */
} AnnSealMode;

/*
 * Returns the number of segments written, or -1 when another process is at it
 * and `wait` is false.
 */
extern int	AnnSeal(Relation index, Relation heap, AnnSealMode mode, bool wait);
/* Whether a segment has many dead rows and only a worker can write it anew. */
extern bool AnnNeedsWorker(Relation index, const AnnManifest *manifest);
/* Marked rows of a segment. */
extern uint64 AnnCountMarks(Relation index, const AnnSegmentEntry *entry);
/* Rows of the growing part. */
extern uint64 AnnGrowingRows(Relation index, const AnnMeta *meta);
/* Write a changed manifest and name it by the metapage. */
extern void AnnPublish(Relation index, Relation heap, AnnManifest *manifest);
/* Free blocks that nothing refers to.  Returns their number. */
extern BlockNumber AnnCollectGarbage(Relation index, Relation heap);

/* ---- who seals (annworker.c) ---- */

/* What an inserter does when the growing part is full. */
extern void AnnSealWhenFull(Relation index, Relation heap, const AnnParams *params, uint64 growing_rows);
/* Have a background worker do what VACUUM leaves to it; false: there is none to be had. */
extern bool AnnStartWorker(Relation index, AnnSealMode mode);
/*
 * What such a worker does, in a transaction without a snapshot, which would hold back VACUUM for the time
 * of the build.  (Merging segments without vectors takes one while the table is read.)  Returns the
 * number of segments written, ANN_SEAL_LOCKED if somebody has the table or the index locked.
 */
#define ANN_SEAL_LOCKED (-1)
extern int	AnnRunSeal(Oid indexid, AnnSealMode mode);

/* ---- statistics of the last scan (annstats.c) ---- */

typedef struct AnnScanStats
{
	Oid			index;
	int			nsegments;
	int			cached_segments;
	uint32		types;			/* bit by AnnType */
	AnnElem		elem;
	uint64		growing_rows;
	uint64		code_distances;
	uint64		exact_distances;
	uint64		hops;
	uint64		excluded;
	uint64		dropped;		/* found late, left out in strict order */
	uint64		returned;
	uint32		batches;
	int			ef;
	int			nprobe;
	bool		exhaustive;
	uint32		ways;			/* of conditions: bit by AnnFilterWay */
	uint64		matches;		/* rows that match them, about */
	uint64		filtered;		/* rows tested one by one that do not */
} AnnScanStats;

extern AnnScanStats ann_last_scan;

/*
 * Sums over all searches of a scan until now (an index may be searched once for
 * each row of an outer side), and their number.
 */
extern uint64 AnnScanTotals(IndexScanDesc scan, AnnScanStats *totals);

/* ---- EXPLAIN (annexplain.c) ---- */

extern void AnnInstallExplain(void);

/* ---- SQL functions (annfuncs.c, anncheck.c) ---- */

extern Relation AnnOpenForFunction(Oid indexid, LOCKMODE lockmode, Relation *heap);
extern void AnnCloseForFunction(Relation index, Relation heap, LOCKMODE lockmode);

/* ---- callbacks of the access method ---- */

/* The callbacks that our access methods share. */
extern IndexAmRoutine *AnnMakeRoutine(void);
extern void annbuildempty(Relation index);
extern bool anninsert(Relation index, Datum *values, bool *isnull, ItemPointer heap_tid,
					  Relation heap, IndexUniqueCheck checkUnique, bool indexUnchanged,
					  IndexInfo *indexInfo);
extern IndexBulkDeleteResult *annbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *annvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);
extern void anncostestimate(PlannerInfo *root, IndexPath *path, double loop_count,
							Cost *indexStartupCost, Cost *indexTotalCost,
							Selectivity *indexSelectivity, double *indexCorrelation,
							double *indexPages);
extern IndexScanDesc annbeginscan(Relation index, int nkeys, int norderbys);
extern void annrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool anngettuple(IndexScanDesc scan, ScanDirection dir);
extern void annendscan(IndexScanDesc scan);

/* env of src/index on an arena */
extern void AnnArenaEnv(AnnEnv *env, ScratchArena *arena);

#endif							/* MILVUS_ANN_H */
