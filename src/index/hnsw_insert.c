/*
 * hnsw_insert.c
 *		Insertion of one row into an HNSW graph (Malkov, Yashunin 2018,
 *		algorithms 1, 2 and 4), by several threads at once.
 *
 * A row is searched for on all its layers first, then its own links are written
 * on all of them, then the links back to it, from layer 0 upwards: whoever can
 * see a row on some layer finds it linked there and below.
 */
#include "index/hnsw_build.h"

#include <sched.h>

/* Turns of the spin before the processor is given away. */
#define SPINS 64

/* What a walk looks for. */
typedef struct Target
{
	const int8_t *query;		/* codes, signed */
	HnswFactor	factor;
	const void *raw;
} Target;

/* ---- locks ---- */

static void
lock_row(HnswBuild *build, uint32_t row)
{
	uint8_t    *lock = &build->locks[row];

	for (int turn = 0; __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0; turn++)
	{
		while (__atomic_load_n(lock, __ATOMIC_RELAXED) != 0)
		{
			if (++turn >= SPINS)
			{
				sched_yield();
				turn = 0;
			}
		}
	}
}

static void
unlock_row(HnswBuild *build, uint32_t row)
{
	__atomic_store_n(&build->locks[row], 0, __ATOMIC_RELEASE);
}

/* ---- nodes ---- */

/* Copy a node's links without a lock; returns how many. */
static inline uint32_t
read_links(const HnswLayer *layer, uint32_t row, uint32_t *out)
{
	const uint32_t *node = HnswNode(layer, row);
	uint32_t	degree = __atomic_load_n(&node[0], __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < degree; i++)
		out[i] = __atomic_load_n(&node[1 + i], __ATOMIC_RELAXED);
	return degree;
}

/* Replace a node's links by n keys (distance, row).  The caller holds its lock. */
static void
write_links(const HnswLayer *layer, uint32_t row, const uint64_t *keys, uint32_t n)
{
	uint32_t   *node = HnswNode(layer, row);
	float	   *lengths = HnswLengths(layer, row);

	for (uint32_t i = 0; i < n; i++)
	{
		lengths[i] = AnnKeyDistance(keys[i]);
		__atomic_store_n(&node[1 + i], (uint32_t) keys[i], __ATOMIC_RELAXED);
	}
	__atomic_store_n(&node[0], n, __ATOMIC_RELEASE);
}

/* ---- distances ---- */

static inline const void *
raw_row(const HnswBuild *build, uint32_t row)
{
	return AnnRow(build->params, build->raw, build->order[row]);
}

static void
aim(const HnswBuild *build, HnswWorker *worker, const uint8_t *code, Target *target)
{
	for (size_t i = 0; i < build->stride; i++)
		worker->query[i] = (int8_t) (code[i] - SQ8_ZERO);
	target->query = worker->query;
}

static void
aim_at_row(const HnswBuild *build, HnswWorker *worker, uint32_t row, Target *target)
{
	if (build->codes != NULL)
	{
		aim(build, worker, build->codes + row * build->stride, target);
		target->factor = build->factors[row];
	}
	else
		target->raw = raw_row(build, row);
}

/* Distances of n rows from the target. */
static inline void
measure(const HnswBuild *build, HnswWorker *worker, const Target *target, const uint32_t *rows,
		uint32_t n, float *out)
{
	float		weight = build->weight * target->factor.scale;

	if (build->codes == NULL)
	{
		for (uint32_t i = 0; i < n; i++)
			out[i] = AnnDistance(build->params, raw_row(build, rows[i]), target->raw);
		return;
	}
	kernels->sq8_dot_gather(build->codes, build->stride, rows, n, target->query, build->stride,
							worker->dots);
	for (uint32_t i = 0; i < n; i++)
	{
		const HnswFactor *factor = &build->factors[rows[i]];
		float		distance = factor->term + target->factor.term +
			weight * factor->scale * (float) (worker->dots[i] - target->factor.offset);

		out[i] = distance < FLT_MAX ? distance : FLT_MAX;
	}
}

static inline float
distance_between(const HnswBuild *build, uint32_t a, uint32_t b)
{
	const HnswFactor *x,
			   *y;
	float		distance;

	if (build->codes == NULL)
		return AnnDistance(build->params, raw_row(build, a), raw_row(build, b));
	x = &build->factors[a];
	y = &build->factors[b];
	distance = x->term + y->term + build->weight * y->scale * x->scale *
		(float) (kernels->sq8_dot_codes(build->codes + a * build->stride,
										build->codes + b * build->stride, build->stride) -
				 y->offset);
	return distance < FLT_MAX ? distance : FLT_MAX;
}

/* ---- walks ---- */

/* Follow the nearest link on a layer until none is nearer (algorithm 2 with ef = 1). */
static uint32_t
greedy(const HnswBuild *build, HnswWorker *worker, const Target *target, uint32_t level,
	   uint32_t from, float *best)
{
	for (bool moved = true; moved;)
	{
		uint32_t	count = read_links(&build->layers[level], from, worker->links);

		moved = false;
		measure(build, worker, target, worker->links, count, worker->distances);
		for (uint32_t i = 0; i < count; i++)
		{
			if (worker->distances[i] < *best)
			{
				*best = worker->distances[i];
				from = worker->links[i];
				moved = true;
			}
		}
	}
	return from;
}

/* Descend from the entry point through the layers above `level`. */
static uint32_t
descend(const HnswBuild *build, HnswWorker *worker, const Target *target, uint32_t level)
{
	uint32_t	at = 0;
	float		best;

	measure(build, worker, target, &at, 1, &best);
	for (uint32_t l = build->max_level; l > level; l--)
		at = greedy(build, worker, target, l, at, &best);
	return at;
}

/* Start a walk from one row. */
static void
start_walk(const HnswBuild *build, HnswWorker *worker, const Target *target, uint32_t row)
{
	float		distance;

	measure(build, worker, target, &row, 1, &distance);
	worker->pool[0] = AnnKey(distance, row << 1);
	worker->npool = 1;
}

/*
 * Bring the pool to the ef nearest rows of a layer, starting from what is in it
 * (algorithm 2).  Clears its marks when done.
 */
static void
walk(const HnswBuild *build, HnswWorker *worker, const Target *target, uint32_t level)
{
	const HnswLayer *layer = &build->layers[level];
	uint64_t   *pool = worker->pool;
	size_t		npool = worker->npool;
	size_t		nseen = 0;
	size_t		at = 0;

	for (size_t i = 0; i < npool; i++)
	{
		uint32_t	row = (uint32_t) pool[i] >> 1;

		pool[i] &= ~UINT64_C(1);
		AnnMapSet(worker->map, row);
		worker->seen[nseen++] = row;
	}
	while (at < npool)
	{
		uint32_t	count;
		uint32_t   *fresh = worker->seen + nseen;
		size_t		next = at + 1;

		if (pool[at] & 1)
		{
			at++;
			continue;
		}
		pool[at] |= 1;
		count = read_links(layer, (uint32_t) pool[at] >> 1, worker->links);
		count = HnswFresh(worker->map, worker->links, count, fresh);
		measure(build, worker, target, fresh, count, worker->distances);
		for (uint32_t i = 0; i < count; i++)
		{
			uint64_t	key = AnnKey(worker->distances[i], fresh[i] << 1);
			size_t		place;

			if (npool == build->ef && key > pool[npool - 1])
				continue;
			__builtin_prefetch(HnswNode(layer, fresh[i]));
			place = HnswPoolInsert(pool, &npool, build->ef, key);
			next = AnnMin(next, place);
		}
		nseen += count;
		at = next;
	}
	worker->npool = npool;
	for (size_t i = 0; i < nseen; i++)
		worker->map[worker->seen[i] >> 6] = 0;
}

/* ---- choice of links ---- */

/*
 * Choose at most `keep` of n candidates (keys of distance and row, nearest
 * first) into worker->chosen (algorithm 4): a candidate that is nearer to one
 * chosen before than to the row itself is passed over, since it is reached
 * through that one.  Of equal rows one is chosen, so that many equal rows do not
 * link to each other only.  Half of the room left is filled with the nearest of
 * those passed over.  Returns how many.
 */
static uint32_t
choose(const HnswBuild *build, HnswWorker *worker, const uint64_t *candidates, uint32_t n,
	   uint32_t keep)
{
	uint64_t   *chosen = worker->chosen;
	uint32_t	nchosen = 0;
	uint32_t	npassed = 0;
	uint32_t	fill;

	for (uint32_t i = 0; i < n && nchosen < keep; i++)
	{
		float		distance = AnnKeyDistance(candidates[i]);
		bool		diverse = true;

		for (uint32_t j = 0; j < nchosen && diverse; j++)
			diverse = distance_between(build, (uint32_t) candidates[i],
									   (uint32_t) chosen[j]) > distance;
		if (diverse)
			chosen[nchosen++] = candidates[i];
		else
			worker->passed_over[npassed++] = candidates[i];
	}
	fill = keep / 2 > nchosen ? keep / 2 - nchosen : 0;
	fill = AnnMin(fill, npassed);
	memcpy(chosen + nchosen, worker->passed_over, fill * sizeof(uint64_t));
	return nchosen + fill;
}

/* Cut a node whose links are in worker->candidates (n keys, in no order).  The caller holds its lock. */
static void
prune(HnswBuild *build, HnswWorker *worker, const HnswLayer *layer, uint32_t row, uint32_t n)
{
	uint32_t	kept;

	AnnSortKeys(worker->candidates, n);
	kept = choose(build, worker, worker->candidates, n, layer->keep);
	write_links(layer, row, worker->chosen, kept);
}

/* The links of a node as keys into worker->candidates; returns how many. */
static uint32_t
list_links(HnswWorker *worker, const HnswLayer *layer, uint32_t row)
{
	const uint32_t *node = HnswNode(layer, row);
	const float *lengths = HnswLengths(layer, row);

	for (uint32_t i = 0; i < node[0]; i++)
		worker->candidates[i] = AnnKey(lengths[i], node[1 + i]);
	return node[0];
}

/* Add the link from -> to. */
static void
link_back(HnswBuild *build, HnswWorker *worker, const HnswLayer *layer, uint32_t from,
		  uint32_t to, float distance)
{
	uint32_t   *node = HnswNode(layer, from);
	uint32_t	degree;

	lock_row(build, from);
	degree = node[0];
	if (degree < layer->room)
	{
		HnswLengths(layer, from)[degree] = distance;
		__atomic_store_n(&node[1 + degree], to, __ATOMIC_RELAXED);
		__atomic_store_n(&node[0], degree + 1, __ATOMIC_RELEASE);
	}
	else
	{
		list_links(worker, layer, from);
		worker->candidates[degree] = AnnKey(distance, to);
		prune(build, worker, layer, from, degree + 1);
	}
	unlock_row(build, from);
}

/* See hnsw_build.h. */
void
AnnHnswTrim(HnswBuild *build, HnswWorker *worker, const HnswLayer *layer, uint32_t row)
{
	if (HnswNode(layer, row)[0] > layer->keep)
		prune(build, worker, layer, row, list_links(worker, layer, row));
}

/* ---- insertion ---- */

void
AnnHnswInsert(HnswBuild *build, HnswWorker *worker, uint32_t row)
{
	Target		target = {0};
	uint32_t	level = build->max_level;
	uint32_t	at = 0;

	if (row == 0)
		return;
	while (level > 0 && row >= build->count[level])
		level--;
	aim_at_row(build, worker, row, &target);
	at = level == 0 && build->entries != NULL ? build->entries[row]
		: descend(build, worker, &target, level);
	start_walk(build, worker, &target, at);

	for (uint32_t l = level + 1; l-- > 0;)
	{
		const HnswLayer *layer = &build->layers[l];
		uint32_t	n;

		/* where the walk ended above is where it starts below */
		walk(build, worker, &target, l);
		for (size_t i = 0; i < worker->npool; i++)
			worker->candidates[i] = (worker->pool[i] >> 32) << 32 |
				(uint32_t) worker->pool[i] >> 1;
		n = choose(build, worker, worker->candidates, (uint32_t) worker->npool,
				   AnnMin(build->params->m, layer->keep));
		lock_row(build, row);
		write_links(layer, row, worker->chosen, n);
		unlock_row(build, row);
	}
	for (uint32_t l = 0; l <= level; l++)
	{
		const HnswLayer *layer = &build->layers[l];
		uint32_t	n;

		/* a copy: once others see the row, they add links to it */
		lock_row(build, row);
		n = read_links(layer, row, worker->links);
		memcpy(worker->distances, HnswLengths(layer, row), n * sizeof(float));
		unlock_row(build, row);
		for (uint32_t i = 0; i < n; i++)
			link_back(build, worker, layer, worker->links[i], row, worker->distances[i]);
	}
}

uint32_t
AnnHnswNearestUpper(HnswBuild *build, HnswWorker *worker, const void *raw)
{
	Target		target = {.raw = raw};

	if (build->codes != NULL)
	{
		AnnHnswEncode(build, raw, worker->code, &target.factor);
		aim(build, worker, worker->code, &target);
	}
	return descend(build, worker, &target, 0);
}

void
AnnHnswNear(HnswBuild *build, HnswWorker *worker, uint32_t row)
{
	Target		target = {0};

	aim_at_row(build, worker, row, &target);
	start_walk(build, worker, &target, descend(build, worker, &target, 0));
	walk(build, worker, &target, 0);
}
