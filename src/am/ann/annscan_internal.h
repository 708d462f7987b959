/*
 * annscan_internal.h
 *		What annscan.c and annsource.c share: a scan and its sources.
 */
#ifndef MILVUS_ANNSCAN_INTERNAL_H
#define MILVUS_ANNSCAN_INTERNAL_H

#include "access/relscan.h"
#include "am/ann/annattr.h"
#include "am/ann/annmask.h"

typedef struct AnnScanState AnnScanState;

typedef struct AnnSource
{
	AnnScanState *scan;
	AnnViewSegment *segment;	/* NULL: the growing part */
	AnnSearch  *search;			/* mapped segment */
	AnnScan    *exact;			/* growing part, or segment without mapping */
	void	   *vector;			/* of a row, when the segment has no mapping */
	AnnScratch *scratch;
	AnnHit	   *hits;
	ItemPointerData *tids;		/* of the hits, for a mapped segment */
	bool	   *refused;		/* hits that the conditions do not let through */
	int			nhits;
	int			next;
	bool		done;
	bool		mapped;			/* searched by its mapping */
	uint32	   *given;			/* rows that came from the mapping */
	uint64		ngiven;
	uint64		maxgiven;
	uint64	   *excluded;		/* rows not to compare when it is not mapped */
	AnnSegmentFilter *filter;	/* of a mapped segment; NULL: no conditions */
	struct AnnKeptMask *kept;	/* the filter's mask, which the view owns */
	bool		elsewhere;		/* what matches does not lie where the query is */
	uint64		tested;			/* way AFTER: hits that were tested, and passed */
	uint64		passed;
	AnnSearchStats past;		/* of searches before the last one */
	int			max;			/* argument and result of the guarded call */
	AnnStatus	status;
} AnnSource;

typedef enum ScanPhase
{
	PHASE_START,
	PHASE_HITS,					/* rows with a distance, in its order */
	PHASE_VECTORS,				/* the same in any order: the query has no distance */
	PHASE_ZERO,
	PHASE_NULL,
	PHASE_END
} ScanPhase;

struct AnnScanState
{
	MemoryContext context;		/* of the scan */
	MemoryContext query_context;	/* of one rescan */
	MemoryContextCallback callback;
	Relation	index;
	AnnParams	params;
	AnnAttrs   *attrs;			/* NULL: no scalar columns */
	AnnEnv		env;
	AnnFilter  *filter;			/* NULL: no conditions */
	AnnTidSet  *tids;			/* the only rows to return; NULL: all */
	uint32		expected;		/* rows likely to be asked for; 0: not known */
	bool		restarted;		/* go on where the search before the restriction ended */
	bool		elsewhere;		/* that one met few of them */
	AnnView    *view;
	AnnGrowing *growing;
	uint32		growing_n;		/* rows of it when the scan began */
	uint32		growing_aside;
	AnnSource  *sources;
	int			nsources;
	int			maxsources;
	ScanPhase	phase;
	bool		growing_lazy;	/* conditions are tested when a row is reached */
	AnnRowClass query_class;
	const void *query;
	char	   *vector_scratch; /* for large growing vectors */
	AnnHeapReader *table;		/* vectors that segments do not keep; NULL: not needed yet */
	Relation	heap;
	Snapshot	snapshot;
	float		last_distance;
	bool		any_returned;
	uint64		returned;
	AnnEffort	effort;
	/* where an enumeration stands */
	int			enum_source;
	uint64		enum_row;
	AnnScanStats stats;			/* of the current search */
	AnnScanStats totals;		/* of the ended ones */
	uint64		searches;		/* begun */
};

/* ---- annsource.c ---- */

/* Memory of the scan's context for src/index, and cancellation. */
extern void AnnSourceEnv(AnnScanState *state);
/* Add a source: a segment, or the growing part (NULL). */
extern AnnSource *AnnSourceAdd(AnnScanState *state, AnnViewSegment *segment);
/* Get the next batch of a source into its hits; none are left when it is done. */
extern void AnnSourceRefill(AnnSource *source);
/* End its search and give back what it holds; also after an error. */
extern void AnnSourceRelease(AnnSource *source);
/* Let go of the table, when a scan or rescan ends without an error. */
extern void AnnSourceEndTable(AnnScanState *state);
/* The item pointer of a segment's row. */
extern void AnnSourceSegmentTid(AnnScanState *state, const AnnSegmentHandle *handle, uint32 row, ItemPointer tid);
/* That of a growing row; false when the entry is dead. */
extern bool AnnSourceGrowingTid(AnnScanState *state, const AnnGrowingRow *at, ItemPointer tid);

#endif							/* MILVUS_ANNSCAN_INTERNAL_H */
