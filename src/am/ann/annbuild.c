/*
 * annbuild.c
 *		CREATE INDEX, and inserting single rows.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "am/ann/ann.h"
#include "am/ann/annattr.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

typedef struct BuildState
{
	Relation	heap;
	Relation	index;
	AnnParams	params;
	AnnAttrs   *attrs;
	uint32		segment_rows;
	AnnManifest *manifest;
	AnnSpool   *spool;
	MemoryContext spool_context;	/* of one segment */
	MemoryContext row_context;	/* of one row */
	MemoryContext context;		/* of the build */
	double		rows;
} BuildState;

static void
start_spool(BuildState *state)
{
	MemoryContext old = MemoryContextSwitchTo(state->spool_context);

	state->spool = AnnSpoolCreate(&state->params, state->attrs);
	MemoryContextSwitchTo(old);
}

/*
 * Make a segment of the rows collected so far.
 */
static void
finish_segment(BuildState *state)
{
	MemoryContext old;
	AnnNewSegment *segment;
	AnnManifest *manifest = state->manifest;
	AnnSegmentEntry *segments;

	if (AnnSpoolRows(state->spool) == 0)
		return;
	old = MemoryContextSwitchTo(state->spool_context);
	segment = AnnWriteSegment(state->index, state->heap, manifest, state->spool, AnnBuildThreads());
	MemoryContextSwitchTo(state->context);
	segments = palloc(sizeof(AnnSegmentEntry) * (manifest->nsegments + 1));
	if (manifest->nsegments > 0)
		memcpy(segments, manifest->segments, sizeof(AnnSegmentEntry) * manifest->nsegments);
	segments[manifest->nsegments++] = segment->entry;
	manifest->segments = segments;
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->spool_context);
	start_spool(state);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 2);
}

static void
build_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull,
			   bool tupleIsAlive, void *arg)
{
	BuildState *state = arg;
	MemoryContext old = MemoryContextSwitchTo(state->row_context);
	const void *data = NULL;
	AnnRowClass class = AnnClassify(index, &state->params, values[0], isnull[0], &data);

	IndexTuple	attrs = NULL;

	if (state->attrs != NULL && class == ANN_ROW_VECTOR)
		attrs = AnnFormAttrs(state->attrs, index, values, isnull);
	AnnSpoolAdd(state->spool, tid, class, data, attrs);
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row_context);
	state->rows++;
	if (AnnSpoolRows(state->spool) >= state->segment_rows)
		finish_segment(state);
}

IndexBuildResult *
annbuild(Relation heap, Relation index, IndexInfo *indexInfo)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	BuildState	state = {0};
	double		heap_rows;

	state.heap = heap;
	state.index = index;
	AnnGetParams(index, &state.params);
	state.attrs = AnnGetAttrs(index);
	state.segment_rows = AnnSegmentRows(index);
	state.context = CurrentMemoryContext;
	state.spool_context = AllocSetContextCreate(CurrentMemoryContext, "ann segment build",
												ALLOCSET_DEFAULT_SIZES);
	state.row_context = AllocSetContextCreate(CurrentMemoryContext, "ann row", ALLOCSET_DEFAULT_SIZES);
	state.manifest = palloc0(sizeof(AnnManifest));

	AnnInitIndex(index, MAIN_FORKNUM, &state.params);
	start_spool(&state);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 2);
	heap_rows = table_index_build_scan(heap, index, indexInfo, true, true, build_callback, &state, NULL);
	finish_segment(&state);
	MILVUS_DEBUG_POINT("build-segments-written");

	if (state.manifest->nsegments > 0)
		AnnPublish(index, heap, state.manifest);
	MILVUS_DEBUG_POINT("build-published");
	MemoryContextDelete(state.spool_context);
	MemoryContextDelete(state.row_context);
	result->heap_tuples = heap_rows;
	result->index_tuples = state.rows;
	return result;
}

void
annbuildempty(Relation index)
{
	AnnParams	params;

	AnnGetParams(index, &params);
	AnnInitIndex(index, INIT_FORKNUM, &params);
}

/* What a statement's inserts keep between rows. */
typedef struct InsertCache
{
	AnnParams	params;
	AnnAttrs   *attrs;
} InsertCache;

bool
anninsert(Relation index, Datum *values, bool *isnull, ItemPointer heap_tid, Relation heap,
		  IndexUniqueCheck checkUnique, bool indexUnchanged, IndexInfo *indexInfo)
{
	InsertCache *cache = indexInfo->ii_AmCache;
	const AnnParams *params;
	const void *data = NULL;
	AnnRowClass class;
	IndexTuple	attrs = NULL;
	uint64		growing_rows;

	if (cache == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(indexInfo->ii_Context);

		cache = palloc(sizeof(InsertCache));
		AnnGetParams(index, &cache->params);
		cache->attrs = AnnGetAttrs(index);
		indexInfo->ii_AmCache = cache;
		MemoryContextSwitchTo(old);
	}
	params = &cache->params;
	class = AnnClassify(index, params, values[0], isnull[0], &data);
	if (cache->attrs != NULL && class == ANN_ROW_VECTOR)
		attrs = AnnFormAttrs(cache->attrs, index, values, isnull);
	AnnGrowingInsert(index, heap, params, heap_tid, class, data, attrs, &growing_rows);
	if (attrs != NULL)
		pfree(attrs);
	if (data != NULL && (char *) data - 8 != DatumGetPointer(values[0]))
		pfree((char *) data - 8);
	if (growing_rows > AnnGrowingLimit(params))
		AnnSealWhenFull(index, heap, params, growing_rows);
	return false;
}
