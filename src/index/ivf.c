/*
 * ivf.c
 *		Inverted lists: rows gathered around k-means centres, searched nearest
 *		lists first (Jegou, Douze, Schmid 2011, section IV, without the residuals).
 *
 * Rows are numbered list by list, so a list is a range of rows.  A list is read
 * by the exact scan, so an answer is exact over the lists probed.
 */
#include "index/ivf.h"

#include <math.h>

/*
 * Rows a list at least, on average: fewer rows do not place a centre.  nlist is
 * capped at n / ROWS_PER_LIST.
 */
#define ROWS_PER_LIST 39

/* ---- build ---- */

/* Number the rows by list: order and the first row of each of k lists (k + 1). */
static void
sort_by_list(const uint32_t *nearest, uint32_t n, uint32_t k, uint32_t *order, uint32_t *first)
{
	memset(first, 0, ((size_t) k + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i++)
		first[nearest[i] + 1]++;
	for (uint32_t c = 0; c < k; c++)
		first[c + 1] += first[c];
	for (uint32_t i = 0; i < n; i++)
		order[first[nearest[i]]++] = i;
	/* every start has moved on to the next list's */
	memmove(first + 1, first, k * sizeof(uint32_t));
	first[0] = 0;
}

/* Build CENTROIDS, LISTS and the order of rows; MEAN is in *built already. */
AnnStatus
AnnIvfBuild(const AnnParams *params, const void *raw, uint32_t n, int nthreads,
			const AnnEnv *env, AnnBuilt *built)
{
	uint32_t	k = AnnMax(AnnMin(params->nlist, n / ROWS_PER_LIST), 1);
	size_t		centroids_bytes = k * AnnCentreBytes(params);
	size_t		lists_bytes = ((size_t) k + 1) * sizeof(uint32_t);
	void	   *centroids = AnnAlloc(env, centroids_bytes);
	uint32_t   *lists = AnnAlloc(env, lists_bytes);
	uint32_t   *nearest = AnnAlloc(env, n * sizeof(uint32_t));
	AnnStatus	status = ANN_OK;

	built->order = AnnAlloc(env, n * sizeof(uint32_t));
	if (centroids == NULL || lists == NULL || nearest == NULL || built->order == NULL)
		status = ANN_NO_MEMORY;
	else if (n == 0)
	{
		memset(centroids, 0, centroids_bytes);
		memset(lists, 0, lists_bytes);
	}
	else if (params->elem == ANN_BIT)
	{
		status = AnnKmeansBits(params, raw, n, k, nthreads, env, centroids, nearest);
		if (status == ANN_OK)
			sort_by_list(nearest, n, k, built->order, lists);
	}
	else
	{
		status = AnnKmeans(params, raw, n, k, nthreads, env, centroids);
		if (status == ANN_OK)
			status = AnnKmeansAssign(params, raw, n, centroids, k, nthreads, env, nearest);
		if (status == ANN_OK)
			sort_by_list(nearest, n, k, built->order, lists);
	}
	AnnFree(env, nearest);
	if (status != ANN_OK)
	{
		AnnFree(env, centroids);
		AnnFree(env, lists);
		return status;
	}
	AnnBuiltAdd(built, ANN_SEC_CENTROIDS, centroids, centroids_bytes);
	AnnBuiltAdd(built, ANN_SEC_LISTS, lists, lists_bytes);
	return ANN_OK;
}

/* ---- search ---- */

/* Distances of the query from all centres, as unsorted keys (distance, list) in scratch->lists. */
static AnnStatus
rank_lists(AnnSearch *search)
{
	const AnnSegment *segment = search->segment;
	const AnnParams *params = &segment->params;
	AnnScratch *scratch = search->scratch;
	uint32_t	nlist = segment->nlist;
	uint32_t	dim = params->dim;
	float		query[ANN_MAX_DIM];
	float	   *distances;

	if (!AnnGrow(scratch->env, (void **) &scratch->lists, &scratch->lists_capacity, 0, nlist,
				 sizeof(uint64_t)) ||
		!AnnGrow(scratch->env, (void **) &scratch->list_distances,
				 &scratch->list_distances_capacity, 0, nlist, sizeof(float)))
		return ANN_NO_MEMORY;
	distances = scratch->list_distances;
	if (params->elem != ANN_BIT)
		AnnRowToFloat(params, scratch->query, query);
	switch (params->metric)
	{
		case ANN_L2:
			kernels->l2sq_f32_many(query, segment->centroids, dim, nlist, dim, distances);
			break;
		case ANN_IP:
		case ANN_COSINE:
			/* under COSINE, centres have length 1 or are the means of their lists (codec_store.c) */
			kernels->ip_f32_many(query, segment->centroids, dim, nlist, dim, distances);
			for (uint32_t i = 0; i < nlist; i++)
				distances[i] = 0.0f - distances[i];
			break;
		case ANN_L1:
			for (uint32_t i = 0; i < nlist; i++)
				distances[i] = kernels->l1_f32(query, segment->centroids + (size_t) i * dim,
											   dim);
			break;
		case ANN_HAMMING:
		case ANN_JACCARD:
			AnnDistances(params, scratch->query, segment->centroids, NULL, nlist, distances);
			break;
		default:
			return ANN_CORRUPT;
	}
	for (uint32_t i = 0; i < nlist; i++)
	{
		/* overflow may make it NaN: then the list comes last */
		float		distance = distances[i] < FLT_MAX ? distances[i] : FLT_MAX;

		scratch->lists[i] = AnnKey(distance, i);
	}
	return ANN_OK;
}

/* Sort the nearest lists up to number `upto`; those before `sorted` are. */
static void
sort_lists(AnnScratch *scratch, uint32_t nlist, uint32_t upto, uint32_t *sorted)
{
	while (*sorted < upto)
	{
		uint64_t   *keys = scratch->lists + *sorted;
		size_t		n = AnnSelectKeys(keys, nlist - *sorted, upto - *sorted);

		AnnSortKeys(keys, n);
		*sorted += (uint32_t) n;
	}
}

/*
 * Lists looked at first.  With a mask the k-th neighbour lies farther away, where
 * more lists meet: about as the root of the share that the mask lets through.
 */
static uint64_t
masked_probes(const AnnSearch *search)
{
	if (search->params.max_probes > 0)
		return search->params.nprobe;
	return (uint64_t) (search->params.nprobe / sqrt(search->allowed));
}

/*
 * Hand the next lists to the ranking: nprobe at first, then as many again as
 * were probed so far, until all are.
 */
AnnStatus
AnnIvfGive(AnnSearch *search)
{
	const AnnSegment *segment = search->segment;
	AnnScratch *scratch = search->scratch;
	AnnScan    *scan = &scratch->scan;
	uint32_t	upto;
	uint32_t	last = segment->nlist;
	AnnStatus	status = ANN_OK;

	if (search->params.max_probes > 0)
		last = AnnMin(last, AnnMax(search->params.max_probes, search->params.nprobe));
	if (search->next_list == 0)
		status = rank_lists(search);
	if (status != ANN_OK)
		return status;
	upto = (uint32_t) AnnMin((uint64_t) last,
							 AnnMax(masked_probes(search), 2 * (uint64_t) search->next_list));
	sort_lists(scratch, segment->nlist, upto, &search->sorted_lists);
	for (; search->next_list < upto && status == ANN_OK; search->next_list++)
	{
		uint32_t	list = (uint32_t) scratch->lists[search->next_list];
		uint32_t	first = segment->lists[list];
		uint32_t	n = segment->lists[list + 1] - first;
		uint64_t	excluded = scan->stats.excluded;

		status = AnnGiveRange(search, list, first, n, search->params.excluded);
		search->given += n - (uint32_t) (scan->stats.excluded - excluded);
		scan->stats.hops++;
	}
	if (search->next_list == last)
	{
		search->exhausted = true;
		scan->stats.exhaustive = last == segment->nlist;
	}
	return status;
}
