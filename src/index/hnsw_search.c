/*
 * hnsw_search.c
 *		Search in an HNSW graph (Malkov, Yashunin 2018, algorithms 2 and 5).
 *
 * The walk ranks rows by the estimates from their codes; the ef best are handed
 * to the ranking by exact distance (scan.c).  Result set and candidate queue are
 * one array, ordered by estimate, in which every row is expanded in turn: as long
 * as the walk ends when the nearest candidate is farther than the ef-th result,
 * candidates beyond the ef-th are never expanded, and both hold the same rows.
 * Upper layers are walked the same way, with a short array (hnsw.h, HNSW_BEAM).
 *
 * Nothing is thrown away: seen[] keeps every row compared with its estimate.
 * When the caller goes on, the nearest of them that were not handed over make the
 * pool of the next walk, twice as long.  Once walking costs more than reading all
 * codes, everything left is handed over at once.
 */
#include "index/codec.h"
#include "index/hnsw.h"

#include <math.h>

/* Hops between looks at cancellation. */
#define CANCEL_EVERY 256

/*
 * Codes are off by a little: rows near the ef-th place may change sides.  So
 * much wider is the pool than asked for, to hold the plain algorithm's recall.
 */
#define WIDEN(ef) ((ef) + (ef) / 16 + 2)

/* Rows compared one after the other at a time. */
#define BLOCK 256

/*
 * The walk over allowed rows.  A hop looks for 4 m of them, and at its node's links
 * alone if m of these are allowed.
 */
#define ENOUGH(m) (4 * (m))
#define ENOUGH_DIRECT(enough) ((enough) / 4)
/* Rows that are compared from all over the segment, at first. */
#define SEEDS 64
/* Excluded rows whose links are asked for ahead. */
#define BRIDGES_AHEAD 4
/* Costs in rows compared by number: a walk's beginning, a hop, passing through an excluded row. */
#define START_COST 700
#define HOP_COST 20
#define BRIDGE_COST 4.0
/* The walk gives up when it cost so much more than comparing all allowed rows. */
#define BUDGET 1.0
/* A mask that lets through so many of the rows is walked as the plain graph. */
#define MASK_SPARSE 0.9
/* Below this share of allowed rows, paths between them get rare: the pool is wider. */
#define SHARE_RARE 0.1
/*
 * Where the share of allowed rows around the query is so many times smaller than over all,
 * the pool is so many times wider.
 */
#define CORRELATED 4

typedef struct Walker
{
	AnnSearch  *search;
	const AnnSegment *segment;
	AnnWalk    *walk;
	AnnScan    *scan;
	const uint64_t *excluded;
	const HnswHeader *upper;
	uint32_t	width;
	uint32_t	enough;			/* allowed rows that a hop looks for */
} Walker;

/* ---- costs ---- */

/*
 * Whether reading all codes costs no more than walking to a pool of `pool` rows.
 * A hop compares about m rows that are new, each at about twice the cost of one
 * met in sequence; keeping a long pool in order costs besides.
 */
static bool
scan_is_cheaper(const AnnSearch *search, double pool)
{
	const AnnSegment *segment = search->segment;
	double		fresh = AnnMin(segment->params.m, 32);
	double		hops = pool / search->allowed;

	return hops * (2 * fresh + hops / 128) >= search->allowed * segment->n;
}

/* The pool that a walk with a mask needs. */
static double
masked_ef(uint32_t ef, double share)
{
	return share < SHARE_RARE ? ef * sqrt(SHARE_RARE / AnnMax(share, 1e-9)) : ef;
}

double
AnnHnswMaskedCost(const AnnSegment *segment, uint32_t ef, double share)
{
	double		m = segment->params.m;
	double		bridges = AnnMin(2 / AnnMax(share, 1e-9), 2 * m);

	return START_COST + WIDEN(masked_ef(ef, share)) * (HOP_COST + BRIDGE_COST * bridges);
}

/* ---- comparing ---- */

/* Estimates of the rows seen[nseen ..] (count of them) into estimates[nseen ..]. */
static inline void
compare(Walker *w, uint32_t count)
{
	AnnWalk    *walk = w->walk;
	const AnnSegment *segment = w->segment;
	const uint32_t *rows = walk->seen + walk->nseen;
	float	   *out = walk->estimates + walk->nseen;

	if (w->scan->coded != NULL)
	{
		AnnCodedEstimate(w->scan->coded, rows, 0, count, w->scan->coded->base, out);
		w->scan->stats.code_distances += count;
	}
	else if (segment->codes != NULL)
	{
		const Sq8Query *query = &w->scan->query;

		for (uint32_t i = 0; i < count; i++)
			__builtin_prefetch(&segment->code_meta[rows[i]]);
		kernels->sq8_dot_gather(segment->codes, segment->code_stride, rows, count,
								query->codes, query->stride, walk->dots);
		AnnSq8Estimate(query, segment->code_meta, rows, walk->dots, count, out);
		w->scan->stats.code_distances += count;
	}
	else
	{
		AnnDistances(&segment->params, w->scan->query_raw, segment->raw, rows, count, out);
		w->scan->stats.exact_distances += count;
	}
}

/* The links of a row up to the padding. */
static inline uint32_t
count_links(const uint32_t *links, uint32_t width)
{
	uint32_t	count = 0;

	while (count < width && links[count] != ANN_NO_ROW)
		count++;
	return count;
}

/* ---- the walk on a layer ---- */

static inline bool
is_excluded(const Walker *w, uint64_t key)
{
	return AnnMapGet(w->excluded, (uint32_t) key >> 1);
}

/*
 * Expand the pool on a layer (`width` links a row) until every row in it is
 * expanded: the `want` rows nearest to
 * the query that are not excluded, and the excluded ones between them.  allowed
 * is how many of the pool's rows are not excluded now.
 */
static inline AnnStatus
expand_pool(Walker *w, const uint32_t *links, uint32_t width, size_t want, size_t capacity,
			bool masked, size_t allowed)
{
	AnnWalk    *walk = w->walk;
	uint64_t   *pool = walk->pool;
	size_t		npool = walk->npool;
	size_t		at = 0;
	uint64_t	hops = 0;
	AnnStatus	status = ANN_OK;

	while (at < npool)
	{
		uint32_t	row = (uint32_t) pool[at] >> 1;
		const uint32_t *row_links = links + (size_t) row * width;
		uint32_t	count;
		size_t		next = at + 1;

		if (pool[at] & 1)
		{
			at++;
			continue;
		}
		pool[at] |= 1;
		if (hops++ % CANCEL_EVERY == CANCEL_EVERY - 1 && AnnCancelled(w->search->env))
		{
			status = ANN_CANCELLED;
			break;
		}
		if (!AnnGrow(w->search->scratch->env, (void **) &walk->seen, &walk->seen_capacity,
					 walk->nseen, walk->nseen + width, sizeof(uint32_t)) ||
			!AnnGrow(w->search->scratch->env, (void **) &walk->estimates,
					 &walk->estimates_capacity, walk->nseen, walk->nseen + width,
					 sizeof(float)))
		{
			status = ANN_NO_MEMORY;
			break;
		}

		count = HnswFresh(walk->map, row_links, count_links(row_links, width),
						  walk->seen + walk->nseen);
		compare(w, count);
		for (uint32_t i = 0; i < count; i++)
		{
			uint64_t	key = AnnKey(walk->estimates[walk->nseen + i],
									 walk->seen[walk->nseen + i] << 1);
			bool		full = masked ? allowed >= want || npool == capacity : npool == want;
			size_t		place;

			if (full && key > pool[npool - 1])
				continue;
			__builtin_prefetch(links + (size_t) walk->seen[walk->nseen + i] * width);
			__builtin_prefetch(links + (size_t) walk->seen[walk->nseen + i] * width + 16);
			if (masked)
			{
				if (npool == capacity)
					allowed -= !is_excluded(w, pool[npool - 1]);
				allowed += !is_excluded(w, key);
				place = HnswPoolInsert(pool, &npool, capacity, key);
				while (allowed > want || (allowed == want && is_excluded(w, pool[npool - 1])))
					allowed -= !is_excluded(w, pool[--npool]);
			}
			else
				place = HnswPoolInsert(pool, &npool, want, key);
			next = AnnMin(next, place);
		}
		walk->nseen += count;
		at = next;
	}
	walk->npool = npool;
	w->scan->stats.hops += hops;
	return status;
}

/* ---- rows equal to a node ---- */

/* The rows equal to a node: *first and their number. */
static uint32_t
find_equal(const Walker *w, uint32_t node, uint32_t *first)
{
	const uint32_t *equal = HnswEqual(w->upper);
	uint32_t	nodes = w->upper->count[0];
	uint32_t	n = w->segment->n - nodes;
	uint32_t	low = 0;
	uint32_t	count = 0;

	for (uint32_t high = n; low < high;)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (equal[middle] < node)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + count < n && equal[low + count] == node)
		count++;
	*first = nodes + low;
	return count;
}

/* ---- the walk over allowed rows ---- */

/* Whether a node, or a row equal to it, may be returned. */
static inline bool
is_allowed(const Walker *w, uint32_t node)
{
	uint32_t	first;
	uint32_t	count;

	if (!AnnMapGet(w->excluded, node))
		return true;
	if (w->upper->count[0] == w->segment->n)
		return false;
	count = find_equal(w, node, &first);
	for (uint32_t i = 0; i < count; i++)
	{
		if (!AnnMapGet(w->excluded, first + i))
			return true;
	}
	return false;
}

static inline void
prefetch_links(const uint32_t *links)
{
	__builtin_prefetch(links);
	__builtin_prefetch(links + 16);
	__builtin_prefetch(links + 32);
	__builtin_prefetch(links + 48);
}

/*
 * List the allowed rows near a row that were not seen, behind those seen: its
 * links and, when few of these are allowed, the links of its excluded ones, until
 * there are enough.  An excluded row is passed through once.  There is room for
 * 2 * width.
 */
static uint32_t
gather_allowed(Walker *w, uint32_t row)
{
	AnnWalk    *walk = w->walk;
	const uint32_t *links = w->segment->links;
	const uint32_t *row_links = links + (size_t) row * w->width;
	uint32_t   *out = walk->seen + walk->nseen;
	size_t		first_bridge = walk->nbridges;
	size_t		nbridges = 0;
	uint32_t	allowed = 0;
	uint32_t	count = 0;

	for (uint32_t i = 0; i < w->width && row_links[i] != ANN_NO_ROW; i++)
	{
		uint32_t	near = row_links[i];
		bool		fresh = !AnnMapGet(walk->map, near);

		if (is_allowed(w, near))
		{
			AnnMapSet(walk->map, near);
			out[count] = near;
			count += fresh;
			allowed++;
		}
		else
		{
			walk->bridges[first_bridge + nbridges] = near;
			nbridges += fresh;
		}
	}
	if (allowed >= ENOUGH_DIRECT(w->enough))
		return count;
	for (size_t b = 0; b < nbridges && b < BRIDGES_AHEAD; b++)
		prefetch_links(links + (size_t) walk->bridges[first_bridge + b] * w->width);
	for (size_t b = 0; b < nbridges && allowed < w->enough; b++)
	{
		uint32_t	bridge = walk->bridges[first_bridge + b];
		const uint32_t *far_links = links + (size_t) bridge * w->width;

		if (b + BRIDGES_AHEAD < nbridges)
			prefetch_links(links + (size_t) walk->bridges[first_bridge + b + BRIDGES_AHEAD] * w->width);
		AnnMapSet(walk->map, bridge);
		walk->nbridges++;
		for (uint32_t i = 0; i < w->width && far_links[i] != ANN_NO_ROW; i++)
		{
			uint32_t	near = far_links[i];

			if (is_allowed(w, near))
			{
				bool		fresh = !AnnMapGet(walk->map, near);

				AnnMapSet(walk->map, near);
				out[count] = near;
				count += fresh;
				allowed++;
			}
		}
	}
	return count;
}

/* Room for what one row's expansion lists. */
static bool
reserve_hop(Walker *w)
{
	AnnWalk    *walk = w->walk;
	const AnnEnv *env = w->search->scratch->env;
	size_t		room = 2 * (size_t) w->width + w->enough + SEEDS + 1;

	return AnnGrow(env, (void **) &walk->seen, &walk->seen_capacity, walk->nseen,
				   walk->nseen + room, sizeof(uint32_t)) &&
		AnnGrow(env, (void **) &walk->estimates, &walk->estimates_capacity, walk->nseen,
				walk->nseen + room, sizeof(float)) &&
		AnnGrow(env, (void **) &walk->bridges, &walk->bridges_capacity, walk->nbridges,
				walk->nbridges + w->width + 1, sizeof(uint32_t)) &&
		AnnGrow(env, (void **) &walk->dots, &walk->dots_capacity, 0, room, sizeof(int32_t));
}

/* Compare the `count` rows listed behind those seen, and bring the near ones into the pool. */
static size_t
take_listed(Walker *w, uint32_t count, size_t want)
{
	AnnWalk    *walk = w->walk;
	size_t		first = want;

	compare(w, count);
	for (uint32_t i = 0; i < count; i++)
	{
		uint32_t	row = walk->seen[walk->nseen + i];
		uint64_t	key = AnnKey(walk->estimates[walk->nseen + i], row << 1);
		size_t		place;

		if (walk->npool == want && key > walk->pool[want - 1])
			continue;
		prefetch_links(w->segment->links + (size_t) row * w->width);
		place = HnswPoolInsert(walk->pool, &walk->npool, want, key);
		first = AnnMin(first, place);
	}
	walk->nseen += count;
	return first;
}

/*
 * Allowed rows from all over the segment: a walk from the rows nearest to the
 * query may not reach those that match, where they lie elsewhere.
 */
static uint32_t
list_seeds(Walker *w)
{
	AnnWalk    *walk = w->walk;
	uint32_t	nodes = w->upper->count[0];
	size_t		words = AnnMapWords(w->segment->n);
	size_t		step = AnnMax(words / SEEDS, 1);
	uint32_t   *out = walk->seen + walk->nseen;
	uint32_t	count = 0;

	for (size_t first = 0; first < words && count < SEEDS; first += step)
	{
		for (size_t i = first; i < AnnMin(first + step, words); i++)
		{
			uint32_t	row;

			if (~w->excluded[i] == 0)
				continue;
			row = (uint32_t) (i * 64) + (uint32_t) __builtin_ctzll(~w->excluded[i]);
			if (row >= w->segment->n)
				continue;
			if (row >= nodes)
				row = HnswEqual(w->upper)[row - nodes];
			if (!AnnMapGet(walk->map, row))
			{
				AnnMapSet(walk->map, row);
				out[count++] = row;
			}
			break;
		}
	}
	return count;
}

/*
 * Walk over the allowed rows to the `want` nearest: the graph of those near
 * each other by at most one excluded row between them (the idea of ACORN-1: Patel,
 * Kraft, Guestrin, Zaharia 2024).  Excluded rows are neither compared nor do they
 * take a place in the pool.  *spent: the walk cost as much as comparing all
 * allowed rows would, or there are too few it could reach.
 */
static AnnStatus
walk_allowed(Walker *w, size_t want, bool *spent)
{
	AnnWalk    *walk = w->walk;
	double		budget = BUDGET * w->search->allowed * w->segment->n;
	size_t		seen_before = walk->nseen;
	size_t		bridges_before = walk->nbridges;
	uint32_t	entries[HNSW_BEAM];
	size_t		nentries = 0;
	size_t		npool = walk->npool;
	uint64_t	hops = 0;
	size_t		at = 0;
	AnnStatus	status = ANN_OK;

	*spent = false;

	/* what is excluded in the pool only shows the way */
	walk->npool = 0;
	for (size_t i = 0; i < npool; i++)
	{
		uint64_t	key = walk->pool[i] & ~UINT64_C(1);

		if (!is_allowed(w, (uint32_t) key >> 1))
		{
			if (nentries < HNSW_BEAM)
				entries[nentries++] = (uint32_t) key >> 1;
		}
		else if (walk->npool < want)
			walk->pool[walk->npool++] = key;
	}
	for (size_t i = 0; i < nentries; i++)
	{
		if (!reserve_hop(w))
			return ANN_NO_MEMORY;
		take_listed(w, gather_allowed(w, entries[i]), want);
	}
	if (!w->search->map_given)
	{
		if (!reserve_hop(w))
			return ANN_NO_MEMORY;
		take_listed(w, list_seeds(w), want);
	}
	while (at < walk->npool)
	{
		uint32_t	row = (uint32_t) walk->pool[at] >> 1;
		size_t		first;

		if (walk->pool[at] & 1)
		{
			at++;
			continue;
		}
		walk->pool[at] |= 1;
		if (hops++ % CANCEL_EVERY == CANCEL_EVERY - 1 && AnnCancelled(w->search->env))
		{
			status = ANN_CANCELLED;
			break;
		}
		if (!reserve_hop(w))
		{
			status = ANN_NO_MEMORY;
			break;
		}
		first = take_listed(w, gather_allowed(w, row), want);
		at = AnnMin(at + 1, first);
		if ((double) (walk->nseen - seen_before) +
			(double) (walk->nbridges - bridges_before) * BRIDGE_COST > budget)
		{
			*spent = true;
			break;
		}
	}
	*spent |= walk->npool < want;
	w->scan->stats.hops += hops;
	return status;
}

/* ---- batches ---- */

/* Append a row to those handed over, behind what was seen. */
static bool
give_row(Walker *w, uint32_t row, float estimate, size_t *n)
{
	AnnWalk    *walk = w->walk;
	const AnnEnv *env = w->search->scratch->env;
	size_t		at = walk->nseen + *n;

	if (w->search->map_given)
		AnnMapSet(walk->given, row);
	if (w->excluded != NULL && AnnMapGet(w->excluded, row))
	{
		w->scan->stats.excluded++;
		return true;
	}
	if (!AnnGrow(env, (void **) &walk->seen, &walk->seen_capacity, at, at + 1,
				 sizeof(uint32_t)) ||
		!AnnGrow(env, (void **) &walk->estimates, &walk->estimates_capacity, at, at + 1,
				 sizeof(float)))
		return false;
	walk->seen[at] = row;
	walk->estimates[at] = estimate;
	(*n)++;
	return true;
}

/* Hand the rows of the pool, and those equal to them, to the ranking. */
static AnnStatus
give_pool(Walker *w)
{
	AnnWalk    *walk = w->walk;
	bool		equals = w->upper->count[0] < w->segment->n;
	size_t		n = 0;

	for (size_t i = 0; i < walk->npool; i++)
	{
		uint32_t	row = (uint32_t) walk->pool[i] >> 1;
		float		estimate = AnnKeyDistance(walk->pool[i]);
		uint32_t	first = 0;
		uint32_t	count = equals ? find_equal(w, row, &first) : 0;

		if (!give_row(w, row, estimate, &n))
			return ANN_NO_MEMORY;
		for (uint32_t same = first; same < first + count; same++)
		{
			if (!give_row(w, same, estimate, &n))
				return ANN_NO_MEMORY;
		}
	}
	w->search->given += (uint32_t) n;
	if (w->segment->codes != NULL)
		return AnnScanAddEstimates(w->scan, w->segment->code_meta, walk->seen + walk->nseen,
								   walk->estimates + walk->nseen, (uint32_t) n);
	return AnnScanAddExact(w->scan, walk->seen + walk->nseen, walk->estimates + walk->nseen,
						   (uint32_t) n);
}

/* Room in the scratch for a pool and for the first hops. */
static bool
reserve_walk(Walker *w, size_t capacity)
{
	AnnWalk    *walk = w->walk;
	const AnnEnv *env = w->search->scratch->env;
	size_t		words = AnnMapWords(w->segment->n);
	uint32_t	hop = AnnMax(AnnMax(w->width, w->upper->m), HNSW_BEAM);

	if (walk->map_words < words)
	{
		if (!AnnGrow(env, (void **) &walk->map, &walk->map_words, 0, words, sizeof(uint64_t)))
			return false;
		memset(walk->map, 0, walk->map_words * sizeof(uint64_t));
	}
	return AnnGrow(env, (void **) &walk->seen, &walk->seen_capacity, walk->nseen,
				   walk->nseen + hop, sizeof(uint32_t)) &&
		AnnGrow(env, (void **) &walk->estimates, &walk->estimates_capacity, walk->nseen,
				walk->nseen + hop, sizeof(float)) &&
		AnnGrow(env, (void **) &walk->dots, &walk->dots_capacity, 0, hop, sizeof(int32_t)) &&
		AnnGrow(env, (void **) &walk->pool, &walk->pool_capacity, 0, capacity,
				sizeof(uint64_t));
}

/* Expand the pool on layer 0. */
static AnnStatus
walk_bottom(Walker *w, size_t want, size_t capacity, size_t allowed)
{
	const uint32_t *links = w->segment->links;

	if (w->excluded != NULL)
		return expand_pool(w, links, w->width, want, capacity, true, allowed);
	return expand_pool(w, links, w->width, want, capacity, false, allowed);
}

/* How many rows a pool needs to hold `want` that are not excluded. */
static size_t
pool_capacity(const Walker *w, size_t want)
{
	if (w->excluded == NULL || w->enough > 0)
		return want;
	return (size_t) AnnMin((double) w->segment->n + 1,
						   2 * (double) want / w->search->allowed + 64);
}

/* Go over to another layer with the rows in the pool: they are all that was seen. */
static void
enter_layer(AnnWalk *walk)
{
	for (size_t i = 0; i < walk->nseen; i++)
		walk->map[walk->seen[i] >> 6] = 0;
	for (size_t i = 0; i < walk->npool; i++)
	{
		uint32_t	row = (uint32_t) walk->pool[i] >> 1;

		walk->pool[i] &= ~UINT64_C(1);
		walk->seen[i] = row;
		walk->estimates[i] = AnnKeyDistance(walk->pool[i]);
		AnnMapSet(walk->map, row);
	}
	walk->nseen = walk->npool;
}

/* Bring the nearest of rows 0 .. n - 1 into the pool. */
static void
start_pool(Walker *w, uint32_t n, size_t beam)
{
	AnnWalk    *walk = w->walk;
	const AnnSegment *segment = w->segment;
	const Sq8Query *query = &w->scan->query;
	int32_t		dots[BLOCK];
	float		estimates[BLOCK];

	walk->npool = 0;
	for (uint32_t first = 0; first < n; first += BLOCK)
	{
		uint32_t	block = AnnMin(BLOCK, n - first);

		if (w->scan->coded != NULL)
		{
			AnnCodedEstimate(w->scan->coded, NULL, first, block, w->scan->coded->base, estimates);
			w->scan->stats.code_distances += block;
		}
		else if (segment->codes != NULL)
		{
			kernels->sq8_dot_seq(segment->codes + first * segment->code_stride,
								 segment->code_stride, block, query->codes, query->stride, dots);
			AnnSq8Estimate(query, segment->code_meta + first, NULL, dots, block, estimates);
			w->scan->stats.code_distances += block;
		}
		else
		{
			AnnDistances(&segment->params, w->scan->query_raw,
						 AnnRow(&segment->params, segment->raw, first), NULL, block, estimates);
			w->scan->stats.exact_distances += block;
		}
		for (uint32_t i = 0; i < block; i++)
		{
			uint64_t	key = AnnKey(estimates[i], (first + i) << 1);

			if (walk->npool < beam || key < walk->pool[beam - 1])
				HnswPoolInsert(walk->pool, &walk->npool, beam, key);
		}
	}
}

/* Bring rows of layer 0 near the query into the pool, by way of the upper layers. */
static AnnStatus
descend(Walker *w)
{
	const HnswHeader *upper = w->upper;
	uint32_t	n = HnswStartRows(upper->count[0], AnnCheapRows(&w->segment->params));
	AnnStatus	status = ANN_OK;

	start_pool(w, n, HNSW_BEAM);
	enter_layer(w->walk);
	for (uint32_t level = HnswLayerOf(upper->count, upper->max_level, n);
		 level > 0 && status == ANN_OK; level--)
	{
		status = expand_pool(w, HnswUpperLinks(upper, level), upper->m, HNSW_BEAM, HNSW_BEAM,
							 false, 0);
		enter_layer(w->walk);
	}
	return status;
}

/* Keep of the pool, which is in order, what a walk for `want` rows would; returns how many of them are not excluded. */
static size_t
cut_pool(Walker *w, size_t want, size_t capacity)
{
	AnnWalk    *walk = w->walk;
	size_t		n = AnnMin(walk->npool, capacity);
	size_t		allowed = 0;

	walk->npool = 0;
	while (walk->npool < n && allowed < want)
	{
		allowed += w->excluded == NULL || !is_excluded(w, walk->pool[walk->npool]);
		walk->npool++;
	}
	return allowed;
}

static size_t
count_allowed(const Walker *w)
{
	size_t		count = 0;

	for (size_t i = 0; i < w->walk->npool; i++)
		count += is_allowed(w, (uint32_t) w->walk->pool[i] >> 1);
	return count;
}

/* Whether the pool ran into its capacity, rather than out of rows. */
static bool
walk_is_short(const Walker *w, size_t capacity)
{
	return w->walk->npool == capacity;
}

/* The share of the rows around the pool's that are allowed. */
static double
local_share(const Walker *w)
{
	size_t		links = 0;
	size_t		allowed = 0;

	for (size_t i = 0; i < w->walk->npool; i++)
	{
		const uint32_t *row_links = w->segment->links +
			(size_t) ((uint32_t) w->walk->pool[i] >> 1) * w->width;

		for (uint32_t j = 0; j < w->width && row_links[j] != ANN_NO_ROW; j++, links++)
			allowed += is_allowed(w, row_links[j]);
	}
	return links > 0 ? (double) allowed / (double) links : 1;
}

static AnnStatus
first_batch(Walker *w, size_t want)
{
	size_t		capacity = pool_capacity(w, want);
	AnnStatus	status;

	if (!reserve_walk(w, AnnMax(capacity, HNSW_BEAM)))
		return ANN_NO_MEMORY;
	status = descend(w);
	if (status == ANN_OK && w->enough > 0)
	{
		bool		spent;

		if (local_share(w) * CORRELATED < w->search->allowed)
		{
			/* what matches lies elsewhere: a wider pool finds more ways there */
			want *= CORRELATED;
			w->search->batch = want;
			if (AnnHnswMaskedCost(w->segment, w->search->params.ef * CORRELATED, w->search->allowed) >=
				w->search->allowed * w->segment->n)
				return AnnGiveAll(w->search, w->excluded);
			if (!AnnGrow(w->search->scratch->env, (void **) &w->walk->pool, &w->walk->pool_capacity,
						 w->walk->npool, want, sizeof(uint64_t)))
				return ANN_NO_MEMORY;
		}
		status = walk_allowed(w, want, &spent);
		if (status == ANN_OK && spent)
			return AnnGiveAll(w->search, w->excluded);
		return status == ANN_OK ? give_pool(w) : status;
	}
	if (status == ANN_OK)
		status = walk_bottom(w, want, capacity, cut_pool(w, want, capacity));
	/* where the query is, most rows are excluded: what matches lies elsewhere */
	if (status == ANN_OK && w->excluded != NULL && count_allowed(w) < want &&
		walk_is_short(w, capacity))
		return AnnGiveAll(w->search, w->excluded);
	return status == ANN_OK ? give_pool(w) : status;
}

/* Start the map of rows handed over, with those of the first batch. */
static AnnStatus
start_given(Walker *w)
{
	AnnWalk    *walk = w->walk;
	size_t		words = AnnMapWords(w->segment->n);

	if (!AnnGrow(w->search->scratch->env, (void **) &walk->given, &walk->given_capacity, 0, words,
				 sizeof(uint64_t)))
		return ANN_NO_MEMORY;
	memset(walk->given, 0, words * sizeof(uint64_t));
	for (size_t i = 0; i < walk->npool; i++)
	{
		uint32_t	row = (uint32_t) walk->pool[i] >> 1;
		uint32_t	first;
		uint32_t	count = find_equal(w, row, &first);

		AnnMapSet(walk->given, row);
		for (uint32_t same = first; same < first + count; same++)
			AnnMapSet(walk->given, same);
	}
	w->search->map_given = true;
	return ANN_OK;
}

/* Everything that was neither handed over nor is excluded. */
static AnnStatus
give_rest(Walker *w)
{
	AnnWalk    *walk = w->walk;

	if (w->excluded != NULL)
	{
		for (size_t i = 0; i < AnnMapWords(w->segment->n); i++)
			walk->given[i] |= w->excluded[i];
	}
	return AnnGiveAll(w->search, walk->given);
}

/* Walk on from the nearest rows that were seen but not handed over. */
static AnnStatus
next_batch(Walker *w, size_t want)
{
	AnnWalk    *walk = w->walk;
	size_t		capacity = pool_capacity(w, want);
	size_t		n = 0;
	AnnStatus	status;

	if (!reserve_walk(w, AnnMax(capacity, walk->nseen)))
		return ANN_NO_MEMORY;
	for (size_t i = 0; i < walk->nseen; i++)
	{
		if (!AnnMapGet(walk->given, walk->seen[i]) && (w->enough == 0 || is_allowed(w, walk->seen[i])))
			walk->pool[n++] = AnnKey(walk->estimates[i], walk->seen[i] << 1);
	}
	if (n == 0)
		return give_rest(w);
	walk->npool = AnnSelectKeys(walk->pool, n, capacity);
	AnnSortKeys(walk->pool, walk->npool);
	if (w->enough > 0)
	{
		bool		spent;

		status = walk_allowed(w, want, &spent);
		if (status == ANN_OK && spent)
			return give_rest(w);
		return status == ANN_OK ? give_pool(w) : status;
	}
	status = walk_bottom(w, want, capacity, cut_pool(w, want, capacity));
	return status == ANN_OK ? give_pool(w) : status;
}

/* The next batch of a search in a graph. */
AnnStatus
AnnHnswGive(AnnSearch *search)
{
	const AnnSegment *segment = search->segment;
	const HnswHeader *upper = segment->upper;
	Walker		w = {
		.search = search,
		.segment = segment,
		.walk = &search->scratch->walk,
		.scan = &search->scratch->scan,
		.excluded = search->params.excluded,
		.upper = upper,
		.width = HnswWidth(upper->degree),
	};

	if (w.excluded != NULL && search->allowed < MASK_SPARSE)
		w.enough = ENOUGH(segment->params.m);

	if (search->batch == 0)
	{
		search->batch = WIDEN((size_t) search->params.ef);
		if (w.enough > 0)
		{
			search->batch = WIDEN((size_t) masked_ef(search->params.ef, search->allowed));
			if (AnnHnswMaskedCost(segment, search->params.ef, search->allowed) >=
				search->allowed * segment->n)
				return AnnGiveAll(search, w.excluded);
		}
		else if (scan_is_cheaper(search, (double) search->batch))
			return AnnGiveAll(search, w.excluded);
		return first_batch(&w, search->batch);
	}

	if (!search->map_given)
	{
		AnnStatus	status = start_given(&w);

		if (status != ANN_OK)
			return status;
	}
	search->batch *= 2;
	if (scan_is_cheaper(search, (double) search->given + (double) search->batch))
		return give_rest(&w);
	return next_batch(&w, search->batch);
}
