/*
 * search.c
 *		A search: rows handed over in batches by the index type, ranked and
 *		returned by the exact scan.
 *
 * FLAT hands over everything at once.  IVF_FLAT (ivf.c) and HNSW (hnsw_search.c)
 * hand over what they find first, more when the caller goes on, and at last
 * every row that is left, so that a search always ends with each row that is not
 * excluded returned once.
 */
#include "index/index_internal.h"

/* ---- scratch memory ---- */

AnnScratch *
AnnScratchCreate(const AnnEnv *env)
{
	size_t		head = AnnRoundUp(sizeof(AnnScratch), ANN_ALIGN);
	AnnScratch *scratch = AnnAlloc(env, head + sizeof(AnnEnv));
	AnnEnv	   *copy;

	if (scratch == NULL)
		return NULL;
	memset(scratch, 0, sizeof(*scratch));
	copy = (AnnEnv *) ((char *) scratch + head);
	*copy = *env;
	scratch->env = copy;
	scratch->scan.memory = copy;
	return scratch;
}

void
AnnScratchFree(AnnScratch *scratch)
{
	AnnEnv		env;

	if (scratch == NULL)
		return;
	env = *scratch->env;
	AnnFree(&env, scratch->scan.keys);
	AnnFree(&env, scratch->scan.heap);
	AnnFree(&env, scratch->walk.map);
	AnnFree(&env, scratch->walk.seen);
	AnnFree(&env, scratch->walk.estimates);
	AnnFree(&env, scratch->walk.dots);
	AnnFree(&env, scratch->walk.pool);
	AnnFree(&env, scratch->walk.given);
	AnnFree(&env, scratch->query);
	AnnFree(&env, scratch->lists);
	AnnFree(&env, scratch->list_distances);
	AnnFree(&env, scratch);
}

/* ---- life of a search ---- */

/* About which share of the rows a mask lets through, from at most 256 words of it. */
static double
allowed_share(const uint64_t *excluded, uint32_t n)
{
	size_t		words = n / 64;
	size_t		step = AnnMax(words / 256, 1);
	size_t		looked = 0;
	size_t		out = 0;

	if (excluded == NULL || words == 0)
		return 1;
	for (size_t i = 0; i < words; i += step)
	{
		out += (size_t) __builtin_popcountll(excluded[i]);
		looked += 64;
	}
	/* never zero: half a row of those looked at */
	return AnnMax((double) (looked - out), 0.5) / (double) looked;
}

/* Clear the marks of a walk: word by word where little was seen. */
static void
clear_marks(AnnWalk *walk)
{
	if (walk->nseen > walk->map_words / 4)
		memset(walk->map, 0, walk->map_words * sizeof(uint64_t));
	else
	{
		for (size_t i = 0; i < walk->nseen; i++)
			walk->map[walk->seen[i] >> 6] = 0;
	}
	walk->nseen = 0;
}

AnnSearch *
AnnSearchBegin(const AnnSegment *segment, const void *query, const AnnSearchParams *params,
			   AnnScratch *scratch, const AnnEnv *env)
{
	const AnnParams *ann = &segment->params;
	size_t		row_bytes = AnnRoundUp(AnnRowBytes(ann), ANN_ALIGN);
	AnnSearch  *search = &scratch->search;
	AnnScan    *scan = &scratch->scan;

	if (!AnnGrow(scratch->env, &scratch->query, &scratch->query_capacity, 0,
				 row_bytes + Sq8Stride(ann->dim), 1))
		return NULL;

	/* of a search that an error left open */
	clear_marks(&scratch->walk);

	memset(search, 0, sizeof(*search));
	search->segment = segment;
	search->env = env;
	search->scratch = scratch;
	search->params = *params;
	search->params.ef = AnnMax(params->ef, 1);
	search->params.nprobe = AnnMax(params->nprobe, 1);
	search->allowed = allowed_share(params->excluded, segment->n);
	search->exhausted = segment->n == 0;

	memcpy(scratch->query, query, AnnRowBytes(ann));
	scan->env = env;
	scan->params = *ann;
	scan->query_raw = scratch->query;
	scan->exact = NULL;
	scan->raw = segment->raw;
	if (segment->codes != NULL)
		AnnSq8Query(ann, segment->mean, query, (int8_t *) scratch->query + row_bytes,
					&scan->query);
	AnnScanReset(scan);
	return search;
}

/* Hand all rows to the ranking but those in `except` (NULL: none). */
AnnStatus
AnnGiveAll(AnnSearch *search, const uint64_t *except)
{
	const AnnSegment *segment = search->segment;
	AnnScan    *scan = &search->scratch->scan;

	search->exhausted = true;
	scan->stats.exhaustive = true;
	if (segment->codes == NULL)
		return AnnScanAddRaw(scan, segment->raw, 0, segment->n, except);
	return AnnScanAddCodes(scan, segment->codes, segment->code_stride, segment->code_meta, 0,
						   segment->n, except);
}

/* Hand more rows to the ranking. */
static AnnStatus
give(AnnSearch *search)
{
	switch (AnnTypeStructure(search->segment->params.type))
	{
		case ANN_ALL_ROWS:
			return AnnGiveAll(search, search->params.excluded);
		case ANN_LISTS:
			return AnnIvfGive(search);
		case ANN_GRAPH:
			return AnnHnswGive(search);
		case ANN_HASHES:
			break;
	}
	return ANN_CORRUPT;
}

/*
 * Whether more rows should be handed over before the next answer.  A graph's
 * batch is drained first.  Lists are read ahead: what is left of the probed ones
 * gets worse with every answer, and nearer rows may lie in the next lists.
 */
static bool
wants_more(const AnnSearch *search)
{
	const AnnScan *scan = &search->scratch->scan;

	if (search->exhausted)
		return false;
	if (scan->head == scan->used && scan->nheap == 0)
		return true;
	return search->segment->params.type == ANN_IVF_FLAT &&
		(uint64_t) search->returned * 4 >= search->given;
}

AnnStatus
AnnSearchNext(AnnSearch *search, AnnHit *hits, int max, int *nhits)
{
	AnnScan    *scan = &search->scratch->scan;
	AnnStatus	status;

	*nhits = 0;
	for (;;)
	{
		while (wants_more(search))
		{
			scan->stats.batches++;
			status = give(search);
			if (status != ANN_OK)
				return status;
		}
		status = AnnScanNext(scan, hits, max, nhits);
		if (status != ANN_OK || *nhits > 0 || search->exhausted || max <= 0)
			break;
	}
	search->returned += (uint32_t) *nhits;
	return status;
}

const AnnSearchStats *
AnnSearchGetStats(const AnnSearch *search)
{
	return &search->scratch->scan.stats;
}

void
AnnSearchEnd(AnnSearch *search)
{
	if (search != NULL)
		clear_marks(&search->scratch->walk);
}
