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

/*
 * How much nearer to a row chosen before a second choice may be (of squared
 * distances; measured on both sets of bench/: more adds links but no recall).
 */
#define RELAX 1.2f

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
		uint32_t   *input = (uint32_t *) worker->dots;

		for (uint32_t i = 0; i < n; i++)
			input[i] = build->order[rows[i]];
		AnnDistances(build->params, target->raw, build->raw, input, n, out);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(&build->factors[rows[i]]);
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

/*
 * Bring the pool to the ef nearest rows of a layer, starting from what is in it
 * (algorithm 2).  Clears its marks when done.
 */
static void
walk(const HnswBuild *build, HnswWorker *worker, const Target *target, uint32_t level,
	 uint32_t ef)
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

			if (npool == ef && key > pool[npool - 1])
				continue;
			__builtin_prefetch(HnswNode(layer, fresh[i]));
			place = HnswPoolInsert(pool, &npool, ef, key);
			next = AnnMin(next, place);
		}
		nseen += count;
		at = next;
	}
	worker->npool = npool;
	for (size_t i = 0; i < nseen; i++)
		worker->map[worker->seen[i] >> 6] = 0;
}

/* Start the pool with one row. */
static void
start_at(const HnswBuild *build, HnswWorker *worker, const Target *target, uint32_t row)
{
	float		distance;

	measure(build, worker, target, &row, 1, &distance);
	worker->pool[0] = AnnKey(distance, row << 1);
	worker->npool = 1;
}

/*
 * Bring rows of layer `level` near the target into the pool, from the first rows
 * down through the layers above (hnsw.h, HNSW_BEAM).
 */
static void
descend(const HnswBuild *build, HnswWorker *worker, const Target *target, uint32_t level)
{
	uint32_t	n = AnnMin(build->settled, build->count[level]);
	uint32_t	beam = AnnMin(HNSW_BEAM, build->ef);
	uint32_t	block = build->layers[0].room;

	n = AnnMin(n, HnswStartRows(build->n, AnnCheapRows(build->params)));
	start_at(build, worker, target, 0);
	for (uint32_t first = 1; first < n; first += block)
	{
		uint32_t	rows = AnnMin(block, n - first);

		for (uint32_t i = 0; i < rows; i++)
			worker->links[i] = first + i;
		measure(build, worker, target, worker->links, rows, worker->distances);
		for (uint32_t i = 0; i < rows; i++)
		{
			uint64_t	key = AnnKey(worker->distances[i], (first + i) << 1);

			if (worker->npool < beam || key < worker->pool[beam - 1])
				HnswPoolInsert(worker->pool, &worker->npool, beam, key);
		}
	}
	for (uint32_t l = HnswLayerOf(build->count, build->max_level, AnnMax(n, 1)); l > level; l--)
		walk(build, worker, target, l, beam);
}

/* ---- choice of links ---- */

/*
 * Whether a candidate is farther from every row chosen before than from the row
 * itself, if only `relax` times as far.  One that is not can be reached through
 * the row it is near to.
 */
static inline bool
is_diverse(const HnswBuild *build, uint64_t candidate, const uint64_t *chosen, uint32_t n,
		   float relax)
{
	float		distance = AnnKeyDistance(candidate);

	for (uint32_t i = 0; i < n; i++)
	{
		if (distance_between(build, (uint32_t) candidate, (uint32_t) chosen[i]) * relax <=
			distance)
			return false;
	}
	return true;
}

/*
 * Choose at most `keep` of n candidates (keys of distance and row, nearest
 * first) into worker->chosen: the diverse ones (algorithm 4); then, where room is
 * left, those of the others that are a little less so, as in the second pass of
 * DiskANN (Subramanya et al. 2019, algorithm 2): denser links cost little and
 * find more at the same ef.  Inner products have no scale, so under IP the nearest
 * of the others fill half of the room instead.  Returns how many.
 */
static uint32_t
choose(const HnswBuild *build, HnswWorker *worker, const uint64_t *candidates, uint32_t n,
	   uint32_t keep)
{
	uint64_t   *chosen = worker->chosen;
	bool		scaled = build->params->metric != ANN_IP;
	uint32_t	nchosen = 0;
	uint32_t	npassed = 0;

	for (uint32_t i = 0; i < n && nchosen < keep; i++)
	{
		if (is_diverse(build, candidates[i], chosen, nchosen, 1))
			chosen[nchosen++] = candidates[i];
		else
			worker->passed_over[npassed++] = candidates[i];
	}
	for (uint32_t i = 0; i < npassed && nchosen < (scaled ? keep : keep / 2); i++)
	{
		if (!scaled || is_diverse(build, worker->passed_over[i], chosen, nchosen, RELAX))
			chosen[nchosen++] = worker->passed_over[i];
	}
	return nchosen;
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

	if (row == 0)
		return;
	while (level > 0 && row >= build->count[level])
		level--;
	aim_at_row(build, worker, row, &target);
	if (level == 0 && build->entries != NULL)
		start_at(build, worker, &target, build->entries[row]);
	else
		descend(build, worker, &target, level);

	for (uint32_t l = level + 1; l-- > 0;)
	{
		const HnswLayer *layer = &build->layers[l];
		uint32_t	n;

		/* where the walk ended above is where it starts below */
		walk(build, worker, &target, l, build->ef);
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
	/* layer 1 is not walked below: what was found there comes first */
	descend(build, worker, &target, 0);
	return (uint32_t) worker->pool[0] >> 1;
}

void
AnnHnswNear(HnswBuild *build, HnswWorker *worker, uint32_t row)
{
	Target		target = {0};

	aim_at_row(build, worker, row, &target);
	descend(build, worker, &target, 0);
	walk(build, worker, &target, 0, build->ef);
}
