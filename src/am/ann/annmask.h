/*
 * annmask.h
 *		Searches restricted to a set of table rows, as a bitmap index scan gives it:
 *		what plan nodes (src/planner) call, and the access method's own part.
 */
#ifndef MILVUS_ANNMASK_H
#define MILVUS_ANNMASK_H

#include "am/ann/ann.h"
#include "nodes/tidbitmap.h"

/* ---- for plan nodes ---- */

/* Places of table rows: single ones, and whole pages of which no more is known. */
typedef struct AnnTidPage
{
	BlockNumber block;
	uint32		first;			/* of its offsets */
	uint16		n;
	bool		lossy;			/* any row of the page */
} AnnTidPage;

typedef struct AnnTidSet
{
	AnnTidPage *pages;			/* by block */
	uint32		npages;
	uint32		nlossy;
	OffsetNumber *offsets;		/* of a page ascending */
	uint64		ntids;			/* those of lossy pages are not counted */
	/* private */
	MemoryContext context;
	uint32		hint;			/* page that was asked for last */
	List	   *kept;			/* AnnTidMask: of segments searched before */
} AnnTidSet;

/* In the current memory context, which must live as long as scans use the set. */
extern AnnTidSet *AnnTidSetMake(TIDBitmap *bitmap);
extern bool AnnTidSetHas(AnnTidSet *set, const ItemPointerData *tid);

/*
 * Let an ordered scan of one of our indexes return rows of the set only, until its next rescan.  When it
 * has returned rows already, it starts again: rows come again that came before, in order
 * from the last distance on unless `anew`.
 */
extern void AnnScanRestrict(IndexScanDesc scan, AnnTidSet *set, bool anew);

/*
 * So many rows are likely to be asked of the scan until its next rescan: graphs are searched that wide from the
 * beginning, for what is found only when a search goes on comes too late for its place.
 */
extern void AnnScanExpect(IndexScanDesc scan, uint32 rows);

/*
 * Costs of an ordered scan of an index with a mask that a share of the rows is in: until the first row
 * is known, and to the end.  Without the table's rows.
 */
extern void AnnMaskedCost(IndexOptInfo *index, double share, Cost *startup, Cost *total);
/* Whether an index of the planner is one of ours. */
extern bool AnnIsOurIndexInfo(const IndexOptInfo *index);

/* ---- rows of a segment by place (anntidindex.c) ---- */

/*
 * ANN_SEC_TID_INDEX, in the query form only: this header, then
 *	  blocks	uint32 each, ascending, distinct
 *	  starts	nblocks + 1
 *	  rows		the segment's vector rows in order of their item pointers
 *	  offsets	uint16 each, of these item pointers
 */
typedef struct AnnTidIndexHeader
{
	uint32		nblocks;
	uint32		rows;
} AnnTidIndexHeader;

/* In the current memory context. */
extern void *AnnTidIndexBuild(const ItemPointerData *tids, uint32 n, uint64 *bytes);
/* Point at a mapped section; reads it. */
extern bool AnnTidIndexAttach(AnnTidIndex *index, const void *data, uint64 bytes, uint32 rows);
/*
 * Set the bits of the rows whose item pointers are in the set; their number.  Reads the mapping, so to be
 * called under guard.
 */
extern uint64 AnnTidIndexRows(const AnnTidIndex *index, const AnnTidSet *set, uint32 rows, uint64 *mask);

/* ---- the set in a segment (annmask.c) ---- */

struct AnnSegmentFilter;

/*
 * Restrict a segment's search to the set, on top of what conditions left (NULL: none), and choose the way,
 * in the current memory context.  NULL: the mapping could not be read.
 */
extern struct AnnSegmentFilter *AnnMaskSegment(struct AnnSegmentFilter *conditions, AnnTidSet *set,
											   AnnViewSegment *segment, uint32 ef, uint32 nprobe);

#endif							/* MILVUS_ANNMASK_H */
