/*
 * columnscan.h
 *		Scans of `milvus` tables that read columns of segments: conditions evaluated on
 *		whole chunks, and a source of the visible rows that pass them.  README.md
 *		explains the parts.
 */
#ifndef MILVUS_COLUMNSCAN_H
#define MILVUS_COLUMNSCAN_H

#include "access/parallel.h"
#include "am/table/table.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

extern void ColumnScanInstall(void);

/* ---- columnqual.c: planning ---- */

/*
 * Can `rel` be scanned by column: a `milvus` table, not sampled, of which no system
 * columns but ctid and tableoid are asked for, no WHERE CURRENT OF.
 */
extern bool ColumnScanPossible(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);

/*
 * Split RestrictInfos (conditions of rel, those of a parameterized path included) into
 * those that column filters evaluate and the rest, each in the order given.  A condition
 * that may not run before others for security's sake goes to the rest; so do
 * pseudoconstants.
 */
extern void ColumnQualSplit(PlannerInfo *root, RelOptInfo *rel, List *rinfos, List **columns, List **rest);

/* Attribute numbers (> 0, no offset) of relation varno in expressions; whole-row: all of desc. */
extern Bitmapset *ColumnAttrs(Node *exprs, Index varno, TupleDesc desc);

/* ---- columnsource.c: execution ---- */

/*
 * The visible rows of a table that pass the column filters, in two kinds: batches of
 * rows of one segment, and tuples of the heap.
 */
typedef struct ColumnSource ColumnSource;

/* Up to COLUMN_BATCH_ROWS rows that follow each other in a segment. */
#define COLUMN_BATCH_ROWS 8192
#define COLUMN_BATCH_WORDS (COLUMN_BATCH_ROWS / 64)

typedef struct ColumnBatch
{
	TableSegment *segment;
	uint32		first;			/* row of bit 0 */
	uint32		rows;
	uint32		selected;		/* bits set */
	uint64		bits[COLUMN_BATCH_WORDS];	/* visible and passing; none set from `rows` on */
} ColumnBatch;

typedef enum ColumnSourceKind
{
	COLUMN_SOURCE_END,
	COLUMN_SOURCE_BATCH,		/* *batch was filled: at least one row selected */
	COLUMN_SOURCE_TUPLE			/* ColumnSourceTuple() is a visible row that passes */
} ColumnSourceKind;

/*
 * Begin a scan of rel under an MVCC snapshot.  quals: expressions that ColumnQualSplit
 * chose, after setrefs (Vars of varno), implicitly ANDed; they may hold Params, whose
 * values are taken from ps's expression context when the first row is asked for, at the
 * beginning and after each rescan.  Nothing is read before that.
 */
extern ColumnSource *ColumnSourceBegin(PlanState *ps, Relation rel, Snapshot snapshot, Index varno, List *quals);
extern ColumnSourceKind ColumnSourceNext(ColumnSource *source, ColumnBatch *batch);
/*
 * Of ColumnSourceTuple() only these columns will be read (and those that the quals name); may be
 * called more than once, before the first Next.  Not called: any.
 */
extern void ColumnSourceReads(ColumnSource *source, const Bitmapset *attrs);
/* The slot of COLUMN_SOURCE_TUPLE (a slot of the table), valid until the next call. */
extern TupleTableSlot *ColumnSourceTuple(ColumnSource *source);
extern void ColumnSourceRescan(ColumnSource *source);
extern void ColumnSourceEnd(ColumnSource *source);

/*
 * Store row `row` of the batch's segment in a virtual slot of the table's row type: the
 * columns of attrs (other columns are null), its TID, its table.  By-reference values are
 * valid while the batch is the source's latest; longer after ExecMaterializeSlot.
 */
extern void ColumnSourceStore(ColumnSource *source, const ColumnBatch *batch, uint32 row,
							  Bitmapset *attrs, TupleTableSlot *slot);

/*
 * Values of a column for rows of a batch, no more than ColumnSourceRun says, and one when it is
 * constant; valid until the next call for the column.
 */
extern void ColumnSourceView(ColumnSource *source, const ColumnBatch *batch, AttrNumber attnum,
							 uint32 first, uint32 n, ColumnView *view);

/*
 * How many rows from `row` on one view of the column can have; *constant: the column is younger
 * than the segment, and a view of one row stands for all.
 */
extern uint32 ColumnSourceRun(ColumnSource *source, const ColumnBatch *batch, AttrNumber attnum, uint32 row, bool *constant);

/* Bits of rows from .. from + n - 1 of a batch, row from in bit 0. */
extern void ColumnBatchBits(const ColumnBatch *batch, uint32 from, uint32 n, uint64 *bits);

/*
 * Parallel scans: the leader's source decides what is read and how, once; each process
 * takes parts.  In the order of the executor's callbacks: Estimate, Share (leader),
 * Attach (workers, before the first Next), Reshare (rescan).
 */
extern Size ColumnSourceEstimate(ColumnSource *source);
extern void ColumnSourceShare(ColumnSource *source, void *shared);
extern void ColumnSourceAttach(ColumnSource *source, void *shared);
extern void ColumnSourceReshare(ColumnSource *source, void *shared);
/* From the executor's shutdown callback: lets go of the shared memory, gathers counts. */
extern void ColumnSourceShutdown(ColumnSource *source);

/* What a scan did; in the leader, after ColumnSourceShutdown, with its workers. */
typedef struct ColumnSourceCounts
{
	uint64		segments;
	uint64		segments_pruned;	/* no row can match, by minimum, maximum or Bloom filter */
	uint64		batches;
	uint64		batches_pruned;
	uint64		rows_by_column; /* rows looked at in batches */
	uint64		rows_by_page;	/* rows looked at as tuples */
	uint64		rows_removed;	/* of both, by the filters */
} ColumnSourceCounts;

extern const ColumnSourceCounts *ColumnSourceGetCounts(ColumnSource *source);

#endif							/* MILVUS_COLUMNSCAN_H */
