/*
 * tableseal.h
 *		What sealing, compaction, VACUUM and the check share: work on one table that
 *		spans transactions, to-do lists, rewriting of pages.
 */
#ifndef MILVUS_TABLESEAL_H
#define MILVUS_TABLESEAL_H

#include "am/table/table.h"
#include "lib/stringinfo.h"
#include "storage/buf.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"

/* ---- tablework.c: work on one table that spans transactions ---- */

/*
 * A table under a session-level ShareUpdateExclusiveLock, as VACUUM holds it: one
 * sealer or compactor at a time, no DDL in between.
 */
typedef struct TableWork
{
	Oid			relid;
	bool		wait;			/* wait for locks */
	LockRelId	lock;
	Relation	rel;			/* open while in a transaction */
	Relation	toast;			/* likewise, RowExclusiveLock */
	MemoryContext context;		/* outlives the transactions; freed at the end */
	MemoryContext caller;
	uint32		tries;			/* calls of TableWorkWanted */
	uint64		done;			/* progress, for milvus.jobs */
	uint64		total;
	Oid			saved_user;		/* of the transaction, to be restored */
	int			saved_context;
	int			nest_level;
} TableWork;

/*
 * Called outside of a transaction: lock the table and check that it can be worked on
 * (a permanent table of this method that is not on its way out).  False: not now, or
 * there is nothing to do for it.  On true a transaction is open, until
 * TableWorkCommit; TableWorkStart opens the next one.
 */
extern bool TableWorkBegin(TableWork *work, Oid relid, bool wait);
extern void TableWorkStart(TableWork *work);
extern void TableWorkCommit(TableWork *work);
/* Outside of a transaction: let the table go. */
extern void TableWorkEnd(TableWork *work);
/* Abort the current transaction and let the table go. */
extern void TableWorkAbandon(TableWork *work);
/*
 * To be called for each page: interrupts, throttling; true when somebody waits for a
 * lock on the table, so that the work should give way.
 */
extern bool TableWorkWanted(TableWork *work);

/*
 * Progress, in units of whoever does the work: Expect says how many there are and counts anew, Done
 * that some more are done.
 */
extern void TableWorkExpect(TableWork *work, uint64 total);
extern void TableWorkDone(TableWork *work, uint64 units);

/*
 * Called by TableWorkBegin while it cannot have the lock (true) and when it has it (false);
 * for whoever waits for the process and wants to know.
 */
extern void (*TableWorkWaitHook) (bool waiting);

/* ---- tabletodo.c: to-do lists ---- */

typedef enum TableTodoKind
{
	TABLE_TODO_SEAL = 1,		/* rows become stubs */
	TABLE_TODO_COMPACT = 2		/* stubs get other references */
} TableTodoKind;

/* A row that is to become a stub. */
typedef struct TableTodoRow
{
	uint32		row;			/* of the segment */
	OffsetNumber offset;
	uint16		nvalues;		/* TOAST values that go when it is a stub */
	const Oid  *values;
} TableTodoRow;

typedef struct TableTodoPage
{
	BlockNumber block;
	XLogRecPtr	lsn;			/* the page as it was read */
	int			nrows;
	TableTodoRow rows[MaxHeapTuplesPerPage];
} TableTodoPage;

/*
 * Lists for sealing: pages in order of blocks, each appended whole.  Finish adds header and
 * checksum; the result is list->data, list->len bytes.
 */
extern void TableTodoBeginSeal(StringInfo list);
extern void TableTodoAddPage(StringInfo list, const TableTodoPage *page);
extern void TableTodoFinish(StringInfo list);

/* Kind of a list that was read; ERROR when it is damaged. */
extern TableTodoKind TableTodoVerify(const void *data, Size len);

/* Walk through the pages of a list for sealing: *at is 0 at first; false at the end. */
extern bool TableTodoNextPage(const void *data, Size len, Size *at, TableTodoPage *page);

/* A source or result of a compaction. */
typedef struct TableTodoSegment
{
	int32		number;
	Oid			root;
	uint32		tag;
	uint32		rows;
} TableTodoSegment;

/* Where a row of a source went. */
typedef struct TableTodoTarget
{
	uint32		result;			/* number of the result + 1; 0: nowhere, it was dead */
	uint32		row;
} TableTodoTarget;

typedef struct TableTodoCompact
{
	int			nsources;
	int			nresults;
	uint32		nblocks;
	TableTodoSegment *sources;
	TableTodoSegment *results;
	BlockNumber *blocks;		/* that hold their stubs, in order */
	TableTodoTarget **targets;	/* of each source, by row */
} TableTodoCompact;

extern void TableTodoWriteCompact(StringInfo list, const TableTodoCompact *compact);
/* palloc'd; checksum verified before. */
extern TableTodoCompact *TableTodoReadCompact(const void *data, Size len);

/* ---- tablepage.c: rewriting of pages in place ---- */

typedef enum TablePageResult
{
	TABLE_PAGE_DONE,			/* rewritten, or nothing to rewrite */
	TABLE_PAGE_PINNED,			/* somebody has it pinned: later */
	TABLE_PAGE_CHANGED			/* not as it was read: left alone */
} TablePageResult;

/*
 * Make stubs of the rows of a page that still has the LSN page->lsn.  sealed[i] is set when
 * row i became one.  kept: as TableFormStub takes it.
 */
extern TablePageResult TablePageSeal(Relation rel, const TableTodoPage *page, const Bitmapset *kept,
									 Oid root, uint32 tag, BufferAccessStrategy strategy, bool *sealed);

/*
 * Give the stubs of a page other references: `map` changes the reference and returns true,
 * or returns false for one that stays.
 */
typedef bool (*TableRefMap) (void *arg, TableRef *ref);
extern TablePageResult TablePageRelink(Relation rel, BlockNumber block, TableRefMap map, void *arg,
									   BufferAccessStrategy strategy);

/* ---- tableseal.c ---- */

/* A horizon with its epoch. */
extern FullTransactionId TableFullHorizon(TransactionId horizon);

/*
 * Ids of the values in the table's TOAST relation that a deformed tuple refers to, dropped columns
 * included; ids has room for every column.  Returns their number.
 */
extern int	TableToastValues(Relation rel, const Datum *values, const bool *isnull, Oid *ids);

/* Columns that stubs of a segment keep, as TableFormStub takes them; palloc'd. */
extern Bitmapset *TableSegmentKeptColumns(Relation rel, const TableSegmentEntry *entry);

/*
 * Finish what is in state Sealed.  In a transaction of `work`, which ends; another is open
 * after.  False: something is left, because pages are pinned or somebody waits for the table.
 */
extern bool TableFinishUnfinished(TableWork *work);

/* ---- tabledrop.c ---- */

/* All value ids of the segment with this root, its own included; palloc'd. */
extern Oid *TableSegmentValues(Relation toast, Oid root, int *n);
/* Delete a segment: values, manifest entry, cache files (of this server). */
extern void TableDropSegment(Relation rel, Relation toast, const TableSegmentEntry *entry);

/* The manifest, read when it is asked first; {0} at first. */
typedef struct TableRoots
{
	bool		read;
	int			n;
	TableSegmentEntry *entries;
} TableRoots;

/*
 * Compaction leaves a stub that is dead to everybody without a segment.  When a standby begins to
 * send feedback for an old snapshot, the stub is dead to some only.  The segment's values are
 * there until they are swept away.  Then this is true, and nobody asks for the row any more: a
 * standby that replays the sweep cancels every snapshot that sees the row.
 */
extern bool TableStubIsGone(TableRoots *roots, Relation rel, TableRef ref);

/* ---- tablecompact.c ---- */

/* Finish a compaction from its list, the value `value`; as TableFinishUnfinished. */
extern bool TableFinishCompaction(TableWork *work, const void *todo, Size len, Oid value);

/* ---- tablevacuum.c ---- */

/*
 * Count the rows of every segment that have no stub any more or a dead one (into
 * entries[].dead_rows), and the growing rows.  What counts is what the snapshot sees, or, with
 * NULL, what VACUUM would not remove.  Reads no more than max_blocks pages, evenly chosen, of those
 * that are not pure (0: all).  Needs an active snapshot.
 */
extern void TableCount(Relation rel, Snapshot snapshot, TableSegmentEntry *entries, int nentries,
					   BlockNumber max_blocks, double *growing);

#endif							/* MILVUS_TABLESEAL_H */
