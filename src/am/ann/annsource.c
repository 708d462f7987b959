/*
 * annsource.c
 *		One source of an ordered scan: a segment by its mapping, a segment through
 *		the buffers, or the growing part.
 *
 * A source answers in batches, nearest first, without the rows that conditions on
 * scalar columns leave out.  It goes over from a mapping that breaks to the
 * buffers, and from testing found rows to a mask when an estimate was wrong.
 */
#include "postgres.h"

#include <math.h>

#include "am/ann/annscan_internal.h"
#include "guc.h"
#include "index/sq8.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

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
/* Item pointers likewise. */
#define BUFFERED_TIDS 8192

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
 * AnnEnv.cancelled: only looks, for it is called under guard and in the middle of a search.  True when
 * CHECK_FOR_INTERRUPTS would raise an error now.
 */
static bool
env_cancelled(void *ctx)
{
	return InterruptPending && InterruptHoldoffCount == 0 && CritSectionCount == 0 &&
		(ProcDiePending || (QueryCancelPending && QueryCancelHoldoffCount == 0));
}

void
AnnSourceEnv(AnnScanState *state)
{
	state->env.ctx = state->context;
	state->env.alloc = env_alloc;
	state->env.free = env_free;
	state->env.cancelled = env_cancelled;
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

/* An error ends it by itself, so this is no part of AnnSourceRelease(). */
void
AnnSourceEndTable(AnnScanState *state)
{
	if (state->table != NULL)
		AnnHeapReaderEnd(state->table);
	state->table = NULL;
}

/* ---- sources ---- */

static void
report_reuse(Relation index)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("a page of index \"%s\" was reused during the scan",
					RelationGetRelationName(index)),
			 errhint("Retry the query.")));
}

/*
 * An I/O error on a mapping: go on through the buffers, without the rows that the
 * source gave already, and have the file made anew by the next scan.
 */
static void
leave_mapping(AnnSource *source)
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
note_given(AnnSource *source)
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
	AnnSource  *source = arg;
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
	AnnSource  *source = arg;
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
	AnnSource  *source = arg;
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
	params.ef = Max(params.ef, state->expected);
	if (source->elsewhere)
	{
		params.ef = (uint32) Min((uint64) params.ef * ELSEWHERE_FACTOR, ANN_MAX_ROWS);
		params.nprobe = (uint32) Min((uint64) params.nprobe * ELSEWHERE_FACTOR, ANN_MAX_ROWS);
	}
	source->search = AnnSearchBegin(&source->segment->handle->ann, state->query, &params,
									source->scratch, &state->env);
	if (source->search == NULL)
		source->status = ANN_NO_MEMORY;
	else
		guarded_next(source);
}

static inline bool
is_filtered(const AnnScanState *state)
{
	return state->tids != NULL || AnnFilterHasAttrs(state->filter);
}

static bool
growing_matches(AnnScanState *state, uint32 row)
{
	const AnnGrowingChunk *chunk = state->growing->chunks[row / ANN_GROWING_CHUNK];
	bool		matches = state->tids == NULL || AnnTidSetHas(state->tids, &chunk->rows[row % ANN_GROWING_CHUNK].tid);

	if (matches && AnnFilterHasAttrs(state->filter))
		matches = AnnFilterTuple(state->filter, chunk->attrs[row % ANN_GROWING_CHUNK]);

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

	if (!is_filtered(state) || n == 0)
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
		report_reuse(state->index);
	return distance;
}

/*
 * Raise the error of a search that failed.
 */
static void
check_status(const AnnScanState *state, AnnStatus status)
{
	switch (status)
	{
		case ANN_OK:
			return;
		case ANN_NO_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed to allocate memory for a vector search.")));
			break;
		case ANN_CANCELLED:
			CHECK_FOR_INTERRUPTS();
			/* FALLTHROUGH */
		case ANN_IO:
		case ANN_CORRUPT:
			elog(ERROR, "search of index \"%s\" failed with status %d",
				 RelationGetRelationName(state->index), (int) status);
	}
}

static void
start_growing(AnnSource *source)
{
	AnnScanState *state = source->scan;
	AnnGrowing *growing = state->growing;
	uint64	   *excluded = filter_growing(state);
	AnnStatus	status = ANN_OK;

	source->exact = AnnScanBegin(&state->params, state->query, growing->mean, growing_distance,
								 state, &state->env);
	if (source->exact == NULL)
		check_status(state, ANN_NO_MEMORY);
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
	check_status(state, status);
}

/*
 * Read n raw vectors of a segment that is not mapped through the buffers.
 */
static void
read_buffered(AnnSource *source, SegmentReader *reader, uint32 row, uint32 n, void *vectors)
{
	const AnnSegmentHandle *handle = source->segment->handle;
	const SegmentSection *raw = SegmentFindSection(&handle->header, ANN_SEC_RAW);
	Size		bytes = AnnVectorBytes(&handle->params);

	if (!SegmentReaderRead(reader, raw->offset + bytes * row, bytes * n, vectors))
		report_reuse(source->scan->index);
}

void
AnnSourceSegmentTid(AnnScanState *state, const AnnSegmentHandle *handle, uint32 row, ItemPointer tid)
{
	if (!AnnSegmentTid(state->index, handle, row, tid))
		report_reuse(state->index);
}

static void
start_reader(const AnnSource *source, SegmentReader *reader)
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
read_table_row(AnnSource *source, uint32 row, void *vector)
{
	AnnScanState *state = source->scan;
	ItemPointerData tid;
	const void *data;

	AnnSourceSegmentTid(state, source->segment->handle, row, &tid);
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
	AnnSource  *source = arg;
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
 * Exclude those whose item pointers are not in the set.
 */
static void
mask_buffered(AnnSource *source, uint64 *excluded)
{
	AnnScanState *state = source->scan;
	const AnnSegmentHandle *handle = source->segment->handle;
	const SegmentSection *section = SegmentFindSection(&handle->header, ANN_SEC_TIDS);
	ItemPointerData *tids = palloc(sizeof(ItemPointerData) * BUFFERED_TIDS);
	uint32		rows = handle->entry.rows;
	SegmentReader reader;

	start_reader(source, &reader);
	for (uint32 first = 0; first < rows; first += BUFFERED_TIDS)
	{
		uint32		n = Min(BUFFERED_TIDS, rows - first);

		CHECK_FOR_INTERRUPTS();
		if (!SegmentReaderRead(&reader, section->offset + sizeof(ItemPointerData) * (uint64) first,
							   sizeof(ItemPointerData) * n, tids))
			report_reuse(state->index);
		for (uint32 i = 0; i < n; i++)
			if (!AnnTidSetHas(state->tids, &tids[i]))
				excluded[(first + i) / 64] |= UINT64CONST(1) << ((first + i) % 64);
	}
	SegmentReaderRelease(&reader);
	pfree(tids);
}

/*
 * Exclude the rows of a segment without mapping that do not match.
 */
static void
filter_buffered(AnnSource *source)
{
	AnnScanState *state = source->scan;
	const AnnSegmentEntry *entry = &source->segment->handle->entry;
	Size		bytes = sizeof(uint64) * Max(SEGMENT_MARK_WORDS(AnnSegmentEntryRows(entry)), 1);
	uint64	   *excluded;

	if (!is_filtered(state))
		return;
	excluded = MemoryContextAllocExtended(state->query_context, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (source->excluded != NULL)
		memcpy(excluded, source->excluded, bytes);
	source->excluded = excluded;
	if (AnnFilterHasAttrs(state->filter) &&
		!AnnFilterBuffered(state->filter, state->index, source->segment, excluded))
		report_reuse(state->index);
	if (state->tids != NULL)
		mask_buffered(source, excluded);
	state->stats.ways |= 1u << ANN_FILTER_MASK;
}

/*
 * A segment that is not mapped: compare every row exactly, reading through the
 * buffers.  Slower than a search, needs no memory but 8 bytes a row.
 */
static void
start_buffered(AnnSource *source)
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
		check_status(state, ANN_NO_MEMORY);
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
		for (uint32 i = row; i < row + n && status == ANN_OK; i++)
		{
			if (source->excluded != NULL && (source->excluded[i / 64] >> (i % 64)) & 1)
				state->stats.excluded++;
			else if (read_table_row(source, i, aligned))
				status = AnnScanAddRaw(source->exact, aligned, i, 1, NULL);
		}
	}
	SegmentReaderRelease(&reader);
	FreeAccessStrategy(reader.strategy);
	pfree(chunk);
	check_status(state, status);
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
estimate_is_wrong(const AnnSource *source)
{
	return source->filter->way == ANN_FILTER_AFTER && source->tested >= AFTER_TRIAL &&
		source->passed < source->tested * source->filter->share * AFTER_WRONG;
}

/*
 * From testing rows when they are found to a mask: a new search, without the rows
 * that the last one gave.  False: the mapping could not be read.
 */
static bool
mask_instead(AnnSource *source)
{
	uint64	   *excluded;

	add_search_stats(&source->past, AnnSearchGetStats(source->search));
	AnnSearchEnd(source->search);
	source->search = NULL;
	source->elsewhere = true;
	if (source->filter->allowed)
		source->filter->way = ANN_FILTER_MASK;
	else if (!AnnSegmentFilterMask(source->filter))
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
begin_filter(AnnSource *source)
{
	AnnScanState *state = source->scan;
	AnnSearchParams effort = {0};

	if (!is_filtered(state))
		return true;
	if (source->filter != NULL)
		return !estimate_is_wrong(source) || mask_instead(source);
	choose_effort(state, source->segment->handle, &effort);
	if (AnnFilterHasAttrs(state->filter))
	{
		source->filter = AnnFilterSegment(state->filter, state->index, source->segment, effort.ef, effort.nprobe);
		if (source->filter == NULL)
			return false;
		source->kept = source->filter->kept;
	}
	if (state->tids != NULL)
	{
		source->filter = AnnMaskSegment(source->filter, state->tids, source->segment, effort.ef, effort.nprobe);
		if (source->filter == NULL)
			return false;
		source->kept = source->filter->kept;
		source->elsewhere = state->elsewhere;
	}
	state->stats.ways |= 1u << source->filter->way;
	state->stats.matches += source->filter->matches;
	return true;
}

static void
drop_refused(AnnSource *source)
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
void
AnnSourceRefill(AnnSource *source)
{
	AnnScanState *state = source->scan;
	bool		again = true;

	source->next = 0;
	source->nhits = 0;
	source->status = ANN_OK;
	while (source->mapped && again)
	{
		CHECK_FOR_INTERRUPTS();
		MILVUS_DEBUG_POINT("search");
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
			MILVUS_DEBUG_POINT("search");
			if (source->segment != NULL)
				start_buffered(source);
			else
				start_growing(source);
		}
		source->status = AnnScanNext(source->exact, source->hits, source->max, &source->nhits);
	}
	check_status(state, source->status);
	source->done = source->nhits == 0;
	source->max = Min(SOURCE_HITS, source->max * 2);
}

AnnSource *
AnnSourceAdd(AnnScanState *state, AnnViewSegment *segment)
{
	AnnSource  *source = &state->sources[state->nsources++];
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
	if (source->mapped)
		source->scratch = take_scratch();
	return source;
}

void
AnnSourceRelease(AnnSource *source)
{
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

/*
 * The item pointer of a growing row; false when the entry is dead.
 */
bool
AnnSourceGrowingTid(AnnScanState *state, const AnnGrowingRow *at, ItemPointer tid)
{
	AnnGrowingPage info;
	Buffer		buffer = AnnGrowingOpen(state->index, &state->growing->index_id, at->block, at->ordinal,
										BUFFER_LOCK_SHARE, &info);
	AnnEntry   *entry;
	bool		alive;

	if (!BufferIsValid(buffer))
		report_reuse(state->index);
	entry = (AnnEntry *) ((char *) BufferGetPage(buffer) + at->offset);
	alive = (entry->flags & ANN_ENTRY_DEAD) == 0;
	*tid = entry->tid;
	UnlockReleaseBuffer(buffer);
	return alive;
}
