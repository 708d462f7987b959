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

#include "am/ann/annscan_internal.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

AnnScanStats ann_last_scan;

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
		AnnSource  *source = &state->sources[i];
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
		AnnSourceRelease(&state->sources[i]);
	state->nsources = 0;
	if (state->view != NULL)
		AnnReleaseView(state->view, state->growing);
	state->view = NULL;
	state->growing = NULL;
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
	AnnSourceEnv(state);
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
	AnnSourceEndTable(state);
	release_sources(state);
	MemoryContextReset(state->query_context);
	state->filter = NULL;
	state->phase = PHASE_START;
	state->tids = NULL;
	state->expected = 0;
	state->restarted = false;
	state->elsewhere = false;
}

void
AnnScanExpect(IndexScanDesc scan, uint32 rows)
{
	((AnnScanState *) scan->opaque)->expected = rows;
}

void
AnnScanRestrict(IndexScanDesc scan, AnnTidSet *set, bool anew)
{
	AnnScanState *state = scan->opaque;

	state->tids = set;
	state->expected = 0;
	if (state->phase == PHASE_START)
		return;
	AnnSourceEndTable(state);
	release_sources(state);
	MemoryContextReset(state->query_context);
	state->filter = NULL;
	state->phase = PHASE_START;
	state->any_returned &= !anew;
	state->restarted = true;
	state->elsewhere = true;
}

void
annendscan(IndexScanDesc scan)
{
	AnnScanState *state = scan->opaque;

	AnnSourceEndTable(state);
	/* its reset callback releases everything else */
	MemoryContextDelete(state->context);
	scan->opaque = NULL;
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
	if (!state->restarted)
	{
		state->returned = 0;
		state->any_returned = false;
	}
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
		state->sources = MemoryContextAllocZero(state->context, sizeof(AnnSource) * state->maxsources);
	}
	state->stats.nsegments = state->view->nsegments;
	state->stats.growing_rows = state->growing_n + state->growing_aside;
	state->stats.ef = state->effort.target_recall == 0 ? state->effort.ef : 0;
	state->stats.nprobe = state->effort.target_recall == 0 ? state->effort.nprobe : 0;
	for (int i = 0; i < state->view->nsegments; i++)
	{
		AnnViewSegment *segment = &state->view->segments[i];
		AnnSource  *source = AnnSourceAdd(state, segment);

		state->stats.types |= 1u << segment->handle->params.type;
		state->stats.elem = segment->handle->params.elem;
		state->stats.cached_segments += source->mapped;
	}
	AnnSourceAdd(state, NULL);

	if (state->query_class == ANN_ROW_VECTOR)
	{
		for (int i = 0; i < state->nsources && AnnFilterAllows(state->filter, ANN_ROW_VECTOR); i++)
			AnnSourceRefill(&state->sources[i]);
		state->phase = PHASE_HITS;
	}
	else
		state->phase = PHASE_VECTORS;
	MemoryContextSwitchTo(old);
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
		AnnSource  *best = NULL;
		AnnHit	   *hit;

		for (int i = 0; i < state->nsources; i++)
		{
			AnnSource  *source = &state->sources[i];

			if (!source->done && source->next == source->nhits)
			{
				CHECK_FOR_INTERRUPTS();
				AnnSourceRefill(source);
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
				AnnSourceSegmentTid(state, best->segment->handle, hit->row, tid);
			else if (!AnnSourceGrowingTid(state, growing_row(state->growing, hit->row), tid))
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
		AnnSource  *source = &state->sources[state->enum_source];

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
				AnnSourceSegmentTid(state, source->segment->handle, row, tid);
				return true;
			}
		}
		else if (class == ANN_ROW_VECTOR)
		{
			while (state->enum_row < state->growing_n)
				if (AnnSourceGrowingTid(state, growing_row(state->growing, state->enum_row++), tid))
					return true;
		}
		else
		{
			while (state->enum_row < state->growing_aside)
			{
				uint64		row = state->enum_row++;

				if (state->growing->aside_class[row] == (uint8) class &&
					AnnSourceGrowingTid(state, &state->growing->aside[row], tid))
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
					do
					{
						CHECK_FOR_INTERRUPTS();
						found = next_of_class(state, class, &scan->xs_heaptid);
					} while (found && state->tids != NULL && !AnnTidSetHas(state->tids, &scan->xs_heaptid));
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
