/*
 * annscan.c
 *		Ordered scans: a merge of one search per segment and one over the growing
 *		part.
 *
 * A source answers in batches, nearest first; the merge returns the nearest of
 * the sources' next hits.  Rows without a distance come last: first those of
 * zero length under COSINE (NaN), then NULLs, as a sort would have them.
 */
#include "postgres.h"

#include <math.h>

#include "access/relscan.h"
#include "am/ann/annattr.h"
#include "compat.h"
#include "guc.h"
#include "index/sq8.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/*
 * Hits asked of a source at a time: exact scans do work for each, so they are
 * asked for few at first.
 */
#define SOURCE_HITS 128
#define SOURCE_FIRST_HITS 16
/*
 * Rows found and tested before an estimate is judged, and the share of the expected
 * matches below which it was wrong.
 */
#define AFTER_TRIAL 64
#define AFTER_WRONG 0.5
/* So much further the search after that looks. */
#define ELSEWHERE_FACTOR 4
/* Growing rows tested to learn how many match, and the share from which all are tested late. */
#define GROWING_SAMPLE 64
#define GROWING_LAZY_SHARE 0.25
/* Bytes of raw vectors read at a time when a segment is not mapped. */
#define BUFFERED_CHUNK (128 * 1024)

AnnScanStats ann_last_scan;

typedef struct AnnScanState AnnScanState;

typedef struct Source
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
	bool		filtered;		/* the conditions were applied to it */
	AnnSegmentFilter *filter;	/* of a mapped segment; NULL: no conditions */
	struct AnnKeptMask *kept;	/* the filter's mask, which the view owns */
	bool		elsewhere;		/* what matches does not lie where the query is */
	uint64		tested;			/* way AFTER: hits that were tested, and passed */
	uint64		passed;
	AnnSearchStats past;		/* of searches before the last one */
	int			max;			/* argument and result of the guarded call */
	AnnStatus	status;
} Source;

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
	AnnView    *view;
	AnnGrowing *growing;
	uint32		growing_n;		/* rows of it when the scan began */
	uint32		growing_aside;
	Source	   *sources;
	int			nsources;
	int			maxsources;
	ScanPhase	phase;
	bool		growing_lazy;	/* conditions are tested when a row is reached */
	bool		query_null;
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

/* ---- environment: memory of the scan's context ---- */

static void *
env_alloc(void *ctx, size_t bytes)
{
	char	   *p = MemoryContextAllocExtended(ctx, bytes + SEGMENT_ALIGN + sizeof(void *),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	char	   *aligned;

	if (p == NULL)
		return NULL;
	aligned = (char *) TYPEALIGN(SEGMENT_ALIGN, p + sizeof(void *));
	((void **) aligned)[-1] = p;
	return aligned;
}

static void
env_free(void *ctx, void *p)
{
	if (p != NULL)
		pfree(((void **) p)[-1]);
}

/*
 * Scratch memory outlives scans: a backend keeps as much as it had scans open at
 * a time.
 */
#define MAX_FREE_SCRATCH 64

static struct
{
	MemoryContext context;
	int			nfree;
	AnnScratch *free[MAX_FREE_SCRATCH];
}			scratch_pool;

static AnnScratch *
take_scratch(void)
{
	AnnEnv		env = {0};
	AnnScratch *scratch;

	if (scratch_pool.nfree > 0)
		return scratch_pool.free[--scratch_pool.nfree];
	if (scratch_pool.context == NULL)
		scratch_pool.context = AllocSetContextCreate(TopMemoryContext, "ann search scratch",
													 ALLOCSET_DEFAULT_SIZES);
	env.ctx = scratch_pool.context;
	env.alloc = env_alloc;
	env.free = env_free;
	scratch = AnnScratchCreate(&env);
	if (scratch == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return scratch;
}

static void
give_scratch(AnnScratch *scratch)
{
	if (scratch == NULL)
		return;
	if (scratch_pool.nfree < MAX_FREE_SCRATCH)
		scratch_pool.free[scratch_pool.nfree++] = scratch;
	else
		AnnScratchFree(scratch);
}

/*
 * The figures of the current search.
 */
static AnnScanStats
current_stats(const AnnScanState *state)
{
	AnnScanStats stats = state->stats;

	stats.returned = state->returned;
	for (int i = 0; i < state->nsources; i++)
	{
		Source	   *source = &state->sources[i];
		const AnnSearchStats *s = source->search != NULL ? AnnSearchGetStats(source->search)
			: source->exact != NULL ? AnnScanGetStats(source->exact) : NULL;

		for (int j = 0; j < 2; j++, s = &source->past)
		{
			if (s == NULL)
				continue;
			stats.code_distances += s->code_distances;
			stats.exact_distances += s->exact_distances;
			stats.hops += s->hops;
			stats.excluded += s->excluded;
			stats.batches += s->batches;
			stats.exhaustive |= s->exhaustive;
		}
	}
	return stats;
}

/*
 * Add a search's figures to the sums; what is not counted is the last one's.
 */
static void
add_stats(AnnScanStats *totals, const AnnScanStats *stats)
{
	AnnScanStats sum = *stats;

	sum.types |= totals->types;
	sum.code_distances += totals->code_distances;
	sum.exact_distances += totals->exact_distances;
	sum.hops += totals->hops;
	sum.excluded += totals->excluded;
	sum.dropped += totals->dropped;
	sum.returned += totals->returned;
	sum.batches += totals->batches;
	sum.exhaustive |= totals->exhaustive;
	sum.ways |= totals->ways;
	sum.matches += totals->matches;
	sum.filtered += totals->filtered;
	*totals = sum;
}

uint64
AnnScanTotals(IndexScanDesc scan, AnnScanStats *totals)
{
	const AnnScanState *state = scan->opaque;

	*totals = state->totals;
	if (state->nsources > 0)
	{
		AnnScanStats current = current_stats(state);

		add_stats(totals, &current);
	}
	return state->searches;
}

/*
 * End all searches of the current rescan and let go of the view.  Also the
 * reset callback of the scan's context, which runs when the scan ends by error.
 */
static void
release_sources(void *arg)
{
	AnnScanState *state = arg;

	if (state->nsources > 0)
	{
		ann_last_scan = current_stats(state);
		add_stats(&state->totals, &ann_last_scan);
	}
	for (int i = 0; i < state->nsources; i++)
	{
		Source	   *source = &state->sources[i];

		if (source->search != NULL)
			AnnSearchEnd(source->search);
		if (source->exact != NULL)
			AnnScanEnd(source->exact);
		give_scratch(source->scratch);
		if (source->kept != NULL)
			AnnReleaseMask(source->kept);
		source->kept = NULL;
		source->search = NULL;
		source->exact = NULL;
		source->scratch = NULL;
	}
	state->nsources = 0;
	if (state->view != NULL)
		AnnReleaseView(state->view, state->growing);
	state->view = NULL;
	state->growing = NULL;
}

/*
 * The reader of table rows, made when the first one is wanted.
 */
static AnnHeapReader *
table_reader(AnnScanState *state)
{
	MemoryContext old;

	if (state->table == NULL)
	{
		old = MemoryContextSwitchTo(state->context);
		state->table = AnnHeapReaderBegin(state->heap, state->index, &state->params, state->snapshot);
		MemoryContextSwitchTo(old);
	}
	return state->table;
}

/* An error ends it by itself, so this is no part of release_sources(). */
static void
end_table(AnnScanState *state)
{
	if (state->table != NULL)
		AnnHeapReaderEnd(state->table);
	state->table = NULL;
}

IndexScanDesc
annbeginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ann scan", ALLOCSET_DEFAULT_SIZES);
	AnnScanState *state = MemoryContextAllocZero(context, sizeof(AnnScanState));

	state->context = context;
	state->query_context = AllocSetContextCreate(context, "ann query", ALLOCSET_DEFAULT_SIZES);
	state->index = index;
	state->callback.func = release_sources;
	state->callback.arg = state;
	MemoryContextRegisterResetCallback(context, &state->callback);
	AnnGetParams(index, &state->params);
	if (IndexRelationGetNumberOfKeyAttributes(index) > 1)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		state->attrs = AnnGetAttrs(index);
		MemoryContextSwitchTo(old);
	}
	state->env.ctx = context;
	state->env.alloc = env_alloc;
	state->env.free = env_free;
	scan->opaque = state;
	return scan;
}

void
annrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	AnnScanState *state = scan->opaque;

	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	if (orderbys && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, scan->numberOfOrderBys * sizeof(ScanKeyData));
	end_table(state);
	release_sources(state);
	MemoryContextReset(state->query_context);
	state->filter = NULL;
	state->phase = PHASE_START;
}

void
annendscan(IndexScanDesc scan)
{
	AnnScanState *state = scan->opaque;

	end_table(state);
	/* its reset callback releases everything else */
	MemoryContextDelete(state->context);
	scan->opaque = NULL;
}

/* ---- sources ---- */

/*
 * An I/O error on a mapping: go on through the buffers, without the rows that the
 * source gave already, and have the file made anew by the next scan.
 */
static void
leave_mapping(Source *source)
{
	AnnScanState *state = source->scan;
	AnnSegmentHandle *handle = source->segment->handle;
	uint64		words = Max(SEGMENT_MARK_WORDS(handle->header.rows), 1);
	SegmentCacheKey key;

	/* the search may be half-way through anything: its memory goes with the scan */
	source->search = NULL;
	source->scratch = NULL;
	source->mapped = false;
	source->filter = NULL;
	source->excluded = MemoryContextAllocExtended(state->query_context, sizeof(uint64) * words,
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (source->segment->marks != NULL)
		memcpy(source->excluded, source->segment->marks, sizeof(uint64) * words);
	for (uint64 i = 0; i < source->ngiven; i++)
		source->excluded[source->given[i] / 64] |= UINT64CONST(1) << (source->given[i] % 64);

	handle->failed = true;
	SegmentCacheKeyInit(&key, state->index, &handle->entry.id);
	SegmentCacheDrop(&key);
	AnnForgetView(RelationGetRelid(state->index));
	ereport(WARNING,
			(errcode(ERRCODE_IO_ERROR),
			 errmsg("could not read the vector cache file of index \"%s\"",
					RelationGetRelationName(state->index)),
			 errdetail("The file was removed and is made anew; this search reads the index instead.")));
}

/*
 * Remember the rows of a batch from a mapping.
 */
static void
note_given(Source *source)
{
	if (source->ngiven + source->nhits > source->maxgiven)
	{
		uint64		max = Max(256, source->maxgiven * 2);
		uint32	   *given = MemoryContextAllocHuge(source->scan->query_context, sizeof(uint32) * max);

		if (source->ngiven > 0)
		{
			memcpy(given, source->given, sizeof(uint32) * source->ngiven);
			pfree(source->given);
		}
		source->given = given;
		source->maxgiven = max;
	}
	for (int i = 0; i < source->nhits; i++)
		source->given[source->ngiven++] = source->hits[i].row;
}

/*
 * Pick up the hits' item pointers: reading them is reading the mapping, too.
 */
static void
guarded_next(void *arg)
{
	Source	   *source = arg;
	const ItemPointerData *tids = source->segment->handle->tids;
	bool		test = source->filter != NULL && source->filter->way == ANN_FILTER_AFTER;

	source->status = AnnSearchNext(source->search, source->hits, source->max, &source->nhits);
	if (source->status != ANN_OK)
		return;
	for (int i = 0; i < source->nhits; i++)
	{
		source->tids[i] = tids[source->hits[i].row];
		source->refused[i] = test && !AnnSegmentFilterTest(source->filter, source->hits[i].row);
	}
}

/*
 * AnnExactDistance of a segment without vectors: from the table, under the scan's
 * snapshot.  Rows that it does not see drop out here.
 */
static float
table_distance(void *arg, uint32_t row)
{
	Source	   *source = arg;
	AnnScanState *state = source->scan;
	ItemPointerData tid = source->segment->handle->tids[row];
	void	   *guard = SegmentGuardSuspend();
	const void *data = AnnHeapReaderFetch(table_reader(state), &tid);
	float		distance = get_float4_nan();

	if (data != NULL)
		distance = AnnDistance(&state->params, data, state->query);
	SegmentGuardResume(guard);
	return distance;
}

/*
 * How far to search a segment: as set, or as far as the recall asked for takes by
 * its calibration.
 */
static void
choose_effort(AnnScanState *state, const AnnSegmentHandle *handle, AnnSearchParams *params)
{
	params->ef = state->effort.ef;
	params->nprobe = state->effort.nprobe;
	params->max_probes = state->effort.max_probes;
	if (state->effort.target_recall == 0 || AnnEfforts(handle->params.type) == NULL)
		return;
	params->ef = params->nprobe = AnnEffortFor(handle->params.type, &handle->entry.calibration,
											   state->effort.target_recall);
	/* what last_search() shows */
	if (AnnTypeStructure(handle->params.type) == ANN_GRAPH)
		state->stats.ef = Max(state->stats.ef, (int) params->ef);
	else
		state->stats.nprobe = Max(state->stats.nprobe, (int) params->nprobe);
}

static void
guarded_begin(void *arg)
{
	Source	   *source = arg;
	AnnScanState *state = source->scan;
	const AnnSegmentHandle *handle = source->segment->handle;
	AnnSearchParams params = {0};

	choose_effort(state, handle, &params);
	params.rbq_query_bits = milvus_settings.rbq_query_bits;
	params.refine_k = milvus_settings.refine_k;
	params.reorder_k = handle->params.type == ANN_SCANN ? milvus_settings.reorder_k : 0;
	params.excluded = source->segment->marks;
	if (!AnnKeepsRaw(&handle->params))
	{
		params.exact = table_distance;
		params.exact_ctx = source;
	}
	if (source->filter != NULL && source->filter->way == ANN_FILTER_ROWS)
	{
		params.rows = source->filter->rows;
		params.nrows = source->filter->nrows;
	}
	else if (source->filter != NULL && source->filter->way == ANN_FILTER_MASK)
		params.excluded = source->filter->excluded;
	if (source->elsewhere)
	{
		params.ef = Min(params.ef * ELSEWHERE_FACTOR, ANN_MAX_EF_CONSTRUCTION);
		params.nprobe = Min(params.nprobe * ELSEWHERE_FACTOR, ANN_MAX_NLIST);
	}
	source->search = AnnSearchBegin(&source->segment->handle->ann, state->query, &params,
									source->scratch, &state->env);
	if (source->search == NULL)
		source->status = ANN_NO_MEMORY;
	else
		guarded_next(source);
}

static bool
growing_matches(AnnScanState *state, uint32 row)
{
	bool		matches = AnnFilterTuple(state->filter,
										 state->growing->chunks[row / ANN_GROWING_CHUNK]->attrs[row % ANN_GROWING_CHUNK]);

	state->stats.filtered += !matches;
	return matches;
}

/*
 * Conditions on growing rows: when most of a sample match, rows are tested when
 * they are reached, else all of them at once.  Returns the mask of those that do
 * not match, or NULL.
 */
static uint64 *
filter_growing(AnnScanState *state)
{
	uint32		n = state->growing_n;
	uint32		step = Max(1, n / GROWING_SAMPLE);
	uint32		sampled = 0;
	uint32		matched = 0;
	uint64	   *excluded;

	if (!AnnFilterHasAttrs(state->filter) || n == 0)
		return NULL;
	for (uint32 row = 0; row < n; row += step, sampled++)
		matched += growing_matches(state, row);
	state->stats.matches += (uint64) matched * n / sampled;
	state->stats.ways |= 1u << (matched > sampled * GROWING_LAZY_SHARE ? ANN_FILTER_AFTER : ANN_FILTER_MASK);
	if (matched > sampled * GROWING_LAZY_SHARE)
	{
		state->growing_lazy = true;
		return NULL;
	}
	excluded = palloc0(sizeof(uint64) * (n / 64 + 1));
	for (uint32 row = 0; row < n; row++)
	{
		if (row % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		if (!growing_matches(state, row))
			excluded[row / 64] |= UINT64CONST(1) << (row % 64);
	}
	return excluded;
}

/*
 * AnnExactDistance of the growing part: read the entry from its page; NaN when
 * it is dead.
 */
static float
growing_distance(void *arg, uint32_t row)
{
	AnnScanState *state = arg;
	const AnnGrowingRow *at = &state->growing->chunks[row / ANN_GROWING_CHUNK]->rows[row % ANN_GROWING_CHUNK];
	AnnGrowingPage info;
	Buffer		buffer;
	Page		page;
	float		distance = get_float4_nan();
	const void *data = NULL;
	AnnEntry   *entry;

	if (state->growing_lazy && !growing_matches(state, row))
		return distance;
	buffer = AnnGrowingOpen(state->index, &state->growing->index_id, at->block, at->ordinal,
							BUFFER_LOCK_SHARE, &info);
	if (BufferIsValid(buffer))
	{
		page = BufferGetPage(buffer);
		entry = (AnnEntry *) ((char *) page + at->offset);
		if (entry->flags & ANN_ENTRY_DEAD)
		{
			state->stats.excluded++;
			UnlockReleaseBuffer(buffer);
			return distance;
		}
		data = AnnEntryVector(state->index, &state->growing->index_id, &state->params, page, &info,
							  at->offset, state->vector_scratch);
		if (data != NULL)
			distance = AnnDistance(&state->params, state->query, data);
		UnlockReleaseBuffer(buffer);
	}
	if (data == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a page of index \"%s\" was reused during the scan",
						RelationGetRelationName(state->index)),
				 errhint("Retry the query.")));
	return distance;
}

static void
out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Failed to allocate memory for a vector search.")));
}

static void
start_growing(Source *source)
{
	AnnScanState *state = source->scan;
	AnnGrowing *growing = state->growing;
	uint64	   *excluded = filter_growing(state);
	AnnStatus	status = ANN_OK;

	source->exact = AnnScanBegin(&state->params, state->query, growing->mean, growing_distance,
								 state, &state->env);
	if (source->exact == NULL)
		out_of_memory();
	for (uint32 first = 0; first < state->growing_n && status == ANN_OK; first += ANN_GROWING_CHUNK)
	{
		AnnGrowingChunk *chunk = growing->chunks[first / ANN_GROWING_CHUNK];
		uint32		n = Min(ANN_GROWING_CHUNK, state->growing_n - first);

		if (Sq8Supports(state->params.metric))
			status = AnnScanAddCodes(source->exact, chunk->codes, Sq8Stride(state->params.dim),
									 chunk->meta, first, n, excluded);
		else
			status = AnnScanAddRaw(source->exact, chunk->codes, first, n, excluded);
	}
	if (status != ANN_OK)
		out_of_memory();
}

/*
 * Read n raw vectors of a segment that is not mapped through the buffers.
 */
static void
read_buffered(Source *source, SegmentReader *reader, uint32 row, uint32 n, void *vectors)
{
	const AnnSegmentHandle *handle = source->segment->handle;
	const SegmentSection *raw = SegmentFindSection(&handle->header, ANN_SEC_RAW);
	Size		bytes = AnnVectorBytes(&handle->params);

	if (!SegmentReaderRead(reader, raw->offset + bytes * row, bytes * n, vectors))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a page of index \"%s\" was reused during the scan",
						RelationGetRelationName(source->scan->index)),
				 errhint("Retry the query.")));
}

static void
segment_tid(AnnScanState *state, const AnnSegmentHandle *handle, uint32 row, ItemPointer tid)
{
	if (!AnnSegmentTid(state->index, handle, row, tid))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a page of index \"%s\" was reused during the scan",
						RelationGetRelationName(state->index)),
				 errhint("Retry the query.")));
}

static void
start_reader(const Source *source, SegmentReader *reader)
{
	const AnnSegmentEntry *entry = &source->segment->handle->entry;

	memset(reader, 0, sizeof(*reader));
	reader->rel = source->scan->index;
	reader->id = entry->id;
	reader->start = entry->start;
	reader->block = InvalidBlockNumber;
}

/*
 * The vector of a row of a segment that is not mapped, into `vector`; false when the table has no such
 * row for this scan.
 */
static bool
read_table_row(Source *source, uint32 row, void *vector)
{
	AnnScanState *state = source->scan;
	ItemPointerData tid;
	const void *data;

	segment_tid(state, source->segment->handle, row, &tid);
	data = AnnHeapReaderFetch(table_reader(state), &tid);
	if (data != NULL)
		memcpy(vector, data, AnnVectorBytes(&state->params));
	return data != NULL;
}

/*
 * AnnExactDistance of a segment that is not mapped: nothing was kept of the
 * first pass but its distances, so the few rows that are reached are read again.
 */
static float
buffered_distance(void *arg, uint32_t row)
{
	Source	   *source = arg;
	SegmentReader reader;
	float		distance;

	if (!AnnKeepsRaw(&source->segment->handle->params))
	{
		if (!read_table_row(source, row, source->vector))
			return get_float4_nan();
	}
	else
	{
		start_reader(source, &reader);
		read_buffered(source, &reader, row, 1, source->vector);
		SegmentReaderRelease(&reader);
	}
	distance = AnnDistance(&source->segment->handle->params, source->vector, source->scan->query);
	/* not to be left out */
	return isnan(distance) ? get_float4_infinity() : distance;
}

/*
 * Exclude the rows of a segment without mapping that do not match.
 */
static void
filter_buffered(Source *source)
{
	AnnScanState *state = source->scan;
	const AnnSegmentEntry *entry = &source->segment->handle->entry;
	Size		bytes = sizeof(uint64) * Max(SEGMENT_MARK_WORDS(AnnSegmentEntryRows(entry)), 1);
	uint64	   *excluded;

	if (!AnnFilterHasAttrs(state->filter))
		return;
	excluded = MemoryContextAllocExtended(state->query_context, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (source->excluded != NULL)
		memcpy(excluded, source->excluded, bytes);
	source->excluded = excluded;
	if (!AnnFilterBuffered(state->filter, state->index, source->segment, excluded))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a page of index \"%s\" was reused during the scan",
						RelationGetRelationName(state->index)),
				 errhint("Retry the query.")));
	state->stats.ways |= 1u << ANN_FILTER_MASK;
}

/*
 * A segment that is not mapped: compare every row exactly, reading through the
 * buffers.  Slower than a search, needs no memory but 8 bytes a row.
 */
static void
start_buffered(Source *source)
{
	AnnScanState *state = source->scan;
	AnnSegmentHandle *handle = source->segment->handle;
	Size		bytes = AnnVectorBytes(&handle->params);
	uint32		rows = handle->entry.rows;
	uint32		per_chunk = Max(1, BUFFERED_CHUNK / bytes);
	char	   *chunk = palloc(bytes * per_chunk + SEGMENT_ALIGN);
	char	   *aligned = (char *) TYPEALIGN(SEGMENT_ALIGN, chunk);
	SegmentReader reader;
	AnnStatus	status = ANN_OK;

	state->stats.exhaustive = true;
	filter_buffered(source);
	start_reader(source, &reader);
	reader.strategy = GetAccessStrategy(BAS_BULKREAD);
	source->vector = palloc(bytes);
	source->exact = AnnScanBegin(&handle->params, state->query, NULL, buffered_distance, source,
								 &state->env);
	if (source->exact == NULL)
		out_of_memory();
	for (uint32 row = 0; row < rows && status == ANN_OK; row += per_chunk)
	{
		uint32		n = Min(per_chunk, rows - row);

		CHECK_FOR_INTERRUPTS();
		if (AnnKeepsRaw(&handle->params))
		{
			read_buffered(source, &reader, row, n, aligned);
			status = AnnScanAddRaw(source->exact, aligned, row, n, source->excluded);
			continue;
		}
		for (uint32 i = 0; i < n && status == ANN_OK; i++)
			if (read_table_row(source, row + i, aligned))
				status = AnnScanAddRaw(source->exact, aligned, row + i, 1, source->excluded);
	}
	SegmentReaderRelease(&reader);
	FreeAccessStrategy(reader.strategy);
	pfree(chunk);
	if (status != ANN_OK)
		out_of_memory();
}

static void
add_search_stats(AnnSearchStats *sum, const AnnSearchStats *s)
{
	sum->code_distances += s->code_distances;
	sum->exact_distances += s->exact_distances;
	sum->hops += s->hops;
	sum->excluded += s->excluded;
	sum->batches += s->batches;
	sum->exhaustive |= s->exhaustive;
}

/*
 * Whether far fewer of the rows found match than was estimated.
 */
static bool
estimate_is_wrong(const Source *source)
{
	return source->filter->way == ANN_FILTER_AFTER && source->tested >= AFTER_TRIAL &&
		source->passed < source->tested * source->filter->share * AFTER_WRONG;
}

/*
 * From testing rows when they are found to a mask: a new search, without the rows
 * that the last one gave.  False: the mapping could not be read.
 */
static bool
mask_instead(Source *source)
{
	uint64	   *excluded;

	add_search_stats(&source->past, AnnSearchGetStats(source->search));
	AnnSearchEnd(source->search);
	source->search = NULL;
	source->elsewhere = true;
	if (!AnnSegmentFilterMask(source->filter))
		return false;
	source->scan->stats.ways |= 1u << source->filter->way;
	excluded = (uint64 *) source->filter->excluded;
	for (uint64 i = 0; i < source->ngiven; i++)
		excluded[source->given[i] / 64] |= UINT64CONST(1) << (source->given[i] % 64);
	return true;
}

/*
 * Apply the conditions to a mapped segment, if there are any.  False: the mapping
 * could not be read.
 */
static bool
begin_filter(Source *source)
{
	AnnScanState *state = source->scan;
	AnnSearchParams effort = {0};

	if (!AnnFilterHasAttrs(state->filter))
		return true;
	if (source->filter != NULL)
		return !estimate_is_wrong(source) || mask_instead(source);
	choose_effort(state, source->segment->handle, &effort);
	source->filter = AnnFilterSegment(state->filter, state->index, source->segment, effort.ef, effort.nprobe);
	if (source->filter == NULL)
		return false;
	source->kept = source->filter->kept;
	state->stats.ways |= 1u << source->filter->way;
	state->stats.matches += source->filter->matches;
	return true;
}

static void
drop_refused(Source *source)
{
	int			kept = 0;

	source->tested += source->nhits;
	for (int i = 0; i < source->nhits; i++)
	{
		if (source->refused[i])
			continue;
		source->hits[kept] = source->hits[i];
		source->tids[kept++] = source->tids[i];
	}
	source->passed += kept;
	source->scan->stats.filtered += source->nhits - kept;
	source->nhits = kept;
}

/*
 * Get the next batch of a source into its hits; again when none of it matches.
 */
static void
refill(Source *source)
{
	AnnScanState *state = source->scan;
	bool		again = true;

	source->next = 0;
	source->nhits = 0;
	source->status = ANN_OK;
	while (source->mapped && again)
	{
		CHECK_FOR_INTERRUPTS();
		again = false;
		if (!begin_filter(source))
			leave_mapping(source);
		else if (source->filter != NULL && source->filter->way == ANN_FILTER_NONE)
			break;
		else if (!SegmentGuardedCall(source->search == NULL ? guarded_begin : guarded_next, source))
			leave_mapping(source);
		else if (source->status == ANN_OK)
		{
			note_given(source);
			again = source->nhits > 0;
			drop_refused(source);
			again &= source->nhits == 0;
		}
	}
	if (!source->mapped)
	{
		if (source->exact == NULL)
		{
			if (source->segment != NULL)
				start_buffered(source);
			else
				start_growing(source);
		}
		source->status = AnnScanNext(source->exact, source->hits, source->max, &source->nhits);
	}
	if (source->status == ANN_NO_MEMORY)
		out_of_memory();
	else if (source->status != ANN_OK)
		elog(ERROR, "search of index \"%s\" failed with status %d",
			 RelationGetRelationName(state->index), (int) source->status);
	source->done = source->nhits == 0;
	source->max = Min(SOURCE_HITS, source->max * 2);
}

static Source *
add_source(AnnScanState *state, AnnViewSegment *segment)
{
	Source	   *source = &state->sources[state->nsources++];
	AnnHit	   *hits = source->hits;
	ItemPointerData *tids = source->tids;
	bool	   *refused = source->refused;

	memset(source, 0, sizeof(*source));
	source->scan = state;
	source->segment = segment;
	source->max = SOURCE_FIRST_HITS;
	source->mapped = segment != NULL && segment->handle->map.base != NULL;
	source->excluded = segment != NULL ? segment->marks : NULL;
	source->hits = hits != NULL ? hits
		: MemoryContextAlloc(state->context, sizeof(AnnHit) * SOURCE_HITS);
	source->tids = tids != NULL ? tids
		: MemoryContextAlloc(state->context, sizeof(ItemPointerData) * SOURCE_HITS);
	source->refused = refused != NULL ? refused
		: MemoryContextAlloc(state->context, sizeof(bool) * SOURCE_HITS);
	return source;
}

/*
 * Look at the index and start all searches.
 */
static void
start_scan(IndexScanDesc scan)
{
	AnnScanState *state = scan->opaque;
	ScanKey		key = &scan->orderByData[0];
	MemoryContext old;

	/*
	 * Entries of rows that are dead to everyone are removed without waiting for
	 * scans, so an answer can only be judged by a snapshot taken before the
	 * index was read.
	 */
	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"ann\" supports only MVCC snapshots")));
	if (scan->numberOfOrderBys != 1)
		elog(ERROR, "a scan of an ann index needs one ORDER BY distance");

	pgstat_count_index_scan(scan->indexRelation);
	MilvusCountIndexSearch(scan);
	old = MemoryContextSwitchTo(state->query_context);
	memset(&state->stats, 0, sizeof(state->stats));
	state->stats.index = RelationGetRelid(state->index);
	state->heap = scan->heapRelation;
	state->snapshot = scan->xs_snapshot;
	state->searches++;
	AnnGetEffort(state->index, &state->effort);
	state->returned = 0;
	state->any_returned = false;
	state->enum_source = 0;
	state->enum_row = 0;
	state->query_class = AnnClassify(state->index, &state->params, key->sk_argument,
									 (key->sk_flags & SK_ISNULL) != 0, &state->query);
	state->filter = AnnFilterCreate(state->attrs, scan->keyData, scan->numberOfKeys);
	state->growing_lazy = false;
	if (AnnMayContinue(state->index, &state->params))
		state->vector_scratch = palloc(AnnVectorBytes(&state->params));

	state->view = AnnAcquireView(state->index, &state->params, &state->growing);
	MILVUS_DEBUG_POINT("scan-view-read");
	state->growing_n = state->growing->n;
	state->growing_aside = state->growing->naside;
	if (state->view->nsegments + 1 > state->maxsources)
	{
		state->maxsources = state->view->nsegments + 8;
		state->sources = MemoryContextAllocZero(state->context, sizeof(Source) * state->maxsources);
	}
	state->stats.nsegments = state->view->nsegments;
	state->stats.growing_rows = state->growing_n + state->growing_aside;
	state->stats.ef = state->effort.target_recall == 0 ? state->effort.ef : 0;
	state->stats.nprobe = state->effort.target_recall == 0 ? state->effort.nprobe : 0;
	for (int i = 0; i < state->view->nsegments; i++)
	{
		AnnViewSegment *segment = &state->view->segments[i];
		Source	   *source = add_source(state, segment);

		state->stats.types |= 1u << segment->handle->params.type;
		state->stats.elem = segment->handle->params.elem;
		if (source->mapped)
		{
			state->stats.cached_segments++;
			source->scratch = take_scratch();
		}
	}
	add_source(state, NULL);

	if (state->query_class == ANN_ROW_VECTOR)
	{
		for (int i = 0; i < state->nsources && AnnFilterAllows(state->filter, ANN_ROW_VECTOR); i++)
			refill(&state->sources[i]);
		state->phase = PHASE_HITS;
	}
	else
		state->phase = PHASE_VECTORS;
	MemoryContextSwitchTo(old);
}

/*
 * The item pointer of a growing row; false when the entry is dead.
 */
static bool
growing_tid(AnnScanState *state, const AnnGrowingRow *at, ItemPointer tid)
{
	AnnGrowingPage info;
	Buffer		buffer = AnnGrowingOpen(state->index, &state->growing->index_id, at->block, at->ordinal,
										BUFFER_LOCK_SHARE, &info);
	AnnEntry   *entry;
	bool		alive;

	if (!BufferIsValid(buffer))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a page of index \"%s\" was reused during the scan",
						RelationGetRelationName(state->index)),
				 errhint("Retry the query.")));
	entry = (AnnEntry *) ((char *) BufferGetPage(buffer) + at->offset);
	alive = (entry->flags & ANN_ENTRY_DEAD) == 0;
	*tid = entry->tid;
	UnlockReleaseBuffer(buffer);
	return alive;
}

static inline const AnnGrowingRow *
growing_row(const AnnGrowing *growing, uint64 row)
{
	return &growing->chunks[row / ANN_GROWING_CHUNK]->rows[row % ANN_GROWING_CHUNK];
}

/*
 * The nearest hit not yet returned.
 */
static bool
next_hit(AnnScanState *state, ItemPointer tid)
{
	for (;;)
	{
		Source	   *best = NULL;
		AnnHit	   *hit;

		for (int i = 0; i < state->nsources; i++)
		{
			Source	   *source = &state->sources[i];

			if (!source->done && source->next == source->nhits)
			{
				CHECK_FOR_INTERRUPTS();
				refill(source);
			}
			if (!source->done &&
				(best == NULL ||
				 source->hits[source->next].distance < best->hits[best->next].distance))
				best = source;
		}
		if (best == NULL)
			return false;
		hit = &best->hits[best->next];
		if (state->any_returned && hit->distance < state->last_distance && state->effort.strict)
		{
			state->stats.dropped++;
			best->next++;
			continue;
		}
		if (best->search != NULL)
			*tid = best->tids[best->next++];
		else
		{
			best->next++;
			if (best->segment != NULL)
				segment_tid(state, best->segment->handle, hit->row, tid);
			else if (!growing_tid(state, growing_row(state->growing, hit->row), tid))
				continue;
		}
		if (!state->any_returned || hit->distance > state->last_distance)
			state->last_distance = hit->distance;
		state->any_returned = true;
		return true;
	}
}

/*
 * The next row of a class, source by source.
 */
static bool
next_of_class(AnnScanState *state, AnnRowClass class, ItemPointer tid)
{
	for (; state->enum_source < state->nsources; state->enum_source++, state->enum_row = 0)
	{
		Source	   *source = &state->sources[state->enum_source];

		if (source->segment != NULL)
		{
			const AnnSegmentEntry *entry = &source->segment->handle->entry;
			const uint64 *marks = source->segment->marks;
			uint64		first = class == ANN_ROW_VECTOR ? 0
				: class == ANN_ROW_ZERO ? entry->rows : (uint64) entry->rows + entry->zero_rows;
			uint64		count = class == ANN_ROW_VECTOR ? entry->rows
				: class == ANN_ROW_ZERO ? entry->zero_rows : entry->null_rows;

			while (state->enum_row < count)
			{
				uint64		row = first + state->enum_row++;

				if (marks != NULL && (marks[row / 64] >> (row % 64)) & 1)
					continue;
				segment_tid(state, source->segment->handle, row, tid);
				return true;
			}
		}
		else if (class == ANN_ROW_VECTOR)
		{
			while (state->enum_row < state->growing_n)
				if (growing_tid(state, growing_row(state->growing, state->enum_row++), tid))
					return true;
		}
		else
		{
			while (state->enum_row < state->growing_aside)
			{
				uint64		row = state->enum_row++;

				if (state->growing->aside_class[row] == (uint8) class &&
					growing_tid(state, &state->growing->aside[row], tid))
					return true;
			}
		}
	}
	return false;
}

bool
anngettuple(IndexScanDesc scan, ScanDirection dir)
{
	AnnScanState *state = scan->opaque;
	MemoryContext old;
	bool		found = false;

	Assert(ScanDirectionIsForward(dir));
	if (state->phase == PHASE_START)
		start_scan(scan);
	scan->xs_recheckorderby = false;
	if (state->effort.max_tuples > 0 && state->returned >= state->effort.max_tuples)
		state->phase = PHASE_END;

	old = MemoryContextSwitchTo(state->query_context);
	while (!found && state->phase != PHASE_END)
	{
		AnnRowClass class = state->phase == PHASE_ZERO ? ANN_ROW_ZERO
			: state->phase == PHASE_NULL ? ANN_ROW_NULL : ANN_ROW_VECTOR;

		if (AnnFilterAllows(state->filter, class))
		{
			switch (state->phase)
			{
				case PHASE_HITS:
					found = next_hit(state, &scan->xs_heaptid);
					break;
				case PHASE_VECTORS:
				case PHASE_ZERO:
				case PHASE_NULL:
					found = next_of_class(state, class, &scan->xs_heaptid);
					break;
				case PHASE_START:
				case PHASE_END:
					break;
			}
		}
		if (found)
			break;
		state->phase = state->phase == PHASE_HITS || state->phase == PHASE_VECTORS ? PHASE_ZERO
			: state->phase == PHASE_ZERO ? PHASE_NULL : PHASE_END;
		state->enum_source = 0;
		state->enum_row = 0;
	}
	MemoryContextSwitchTo(old);
	/* conditions were applied to rows with a distance only */
	scan->xs_recheck = AnnFilterIsLossy(state->filter) ||
		(state->phase != PHASE_HITS && AnnFilterHasAttrs(state->filter));
	if (found)
		state->returned++;
	return found;
}
