/*
 * hnsw_build.c
 *		Building an HNSW graph over all rows of a segment.
 *
 * Of equal rows, the first becomes a node and the others are kept aside (hnsw.h).
 * Since all rows are known, their order is ours to choose:
 *	1. Nodes are given levels. Those of upper layers are numbered first, highest
 *	   level first, and inserted: they span the whole set.
 *	2. Every other row is placed: a short walk finds its nearest upper row.
 *	   Rows are numbered by where that row comes in a depth-first walk of layer 1,
 *	   so that near rows get near numbers. The search then touches fewer pages
 *	   and cache lines, and so does the rest of the build.
 *	3. They are inserted in this order, each from the row it was placed at.
 *	4. Nodes are cut to size and rows that cannot be reached are linked.
 */
#include "index/hnsw_build.h"

#include <math.h>

/* Rows inserted one after the other before threads start: they see each other. */
#define FIRST_ROWS 256

/* Rows a thread takes at a time. */
#define CHUNK 64

/* ---- memory ---- */

void *
AnnHnswOwn(HnswBuild *build, size_t bytes)
{
	void	   *p = AnnAlloc(build->env, bytes);

	if (p != NULL)
		build->owned[build->nowned++] = p;
	return p;
}

static void
release(HnswBuild *build)
{
	for (int i = 0; i < build->nowned; i++)
		AnnFree(build->env, build->owned[i]);
	build->nowned = 0;
}

static bool
make_layer(HnswBuild *build, uint32_t level, uint32_t keep)
{
	HnswLayer  *layer = &build->layers[level];
	size_t		bytes;

	layer->count = build->count[level];
	layer->keep = (uint32_t) AnnMax(AnnMin(keep, (uint64_t) build->n - 1), 1);
	layer->stride = (uint32_t) AnnRoundUp(1 + layer->keep + AnnMax(layer->keep / 4, 1), 16);
	layer->room = layer->stride - 1;
	bytes = (size_t) layer->count * layer->stride * sizeof(uint32_t);
	layer->links = AnnHnswOwn(build, bytes);
	layer->lengths = AnnHnswOwn(build, bytes);
	if (layer->links == NULL || layer->lengths == NULL)
		return false;
	for (uint32_t i = 0; i < layer->count; i++)
		HnswNode(layer, i)[0] = 0;
	return true;
}

/* The working memory of all threads, one block each. */
static bool
make_workers(HnswBuild *build)
{
	size_t		room = build->layers[0].room + 1;
	size_t		candidates = AnnMax(room, build->ef) + 1;
	size_t		sizes[] = {
		AnnMapWords(build->n) * sizeof(uint64_t),
		((size_t) build->n + room) * sizeof(uint32_t),
		((size_t) build->ef + 1) * sizeof(uint64_t),
		build->stride + 1,
		room * sizeof(uint32_t),
		room * sizeof(int32_t),
		room * sizeof(float),
		candidates * sizeof(uint64_t),
		candidates * sizeof(uint64_t),
		candidates * sizeof(uint64_t),
		build->stride + 1,
	};
	size_t		total = 0;
	char	   *at;

	build->workers = AnnHnswOwn(build, build->nthreads * sizeof(HnswWorker));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
	{
		sizes[i] = AnnRoundUp(sizes[i], ANN_ALIGN);
		total += sizes[i];
	}
	at = AnnHnswOwn(build, total * build->nthreads);
	if (build->workers == NULL || at == NULL)
		return false;
	memset(build->workers, 0, build->nthreads * sizeof(HnswWorker));
	for (int i = 0; i < build->nthreads; i++)
	{
		HnswWorker *worker = &build->workers[i];
		void	  **parts[] = {
			(void **) &worker->map, (void **) &worker->seen, (void **) &worker->pool,
			(void **) &worker->query, (void **) &worker->links, (void **) &worker->dots,
			(void **) &worker->distances, (void **) &worker->candidates,
			(void **) &worker->chosen, (void **) &worker->passed_over,
			(void **) &worker->code,
		};

		for (size_t part = 0; part < sizeof(sizes) / sizeof(*sizes); part++)
		{
			*parts[part] = at;
			at += sizes[part];
		}
		memset(worker->map, 0, AnnMapWords(build->n) * sizeof(uint64_t));
	}
	return true;
}

/* ---- levels and order ---- */

/* The level of an input row: floor(-ln(u) / ln(m)), u uniform in (0, 1]. */
static uint32_t
level_of(const AnnParams *params, uint32_t row)
{
	uint64_t	state = params->seed ^ ((uint64_t) row * UINT64_C(0xd1342543de82ef95));
	double		u = ((double) (AnnRandom(&state) >> 11) + 1) * 0x1p-53;

	return (uint32_t) AnnMin(-log(u) / log(params->m), HNSW_MAX_LEVEL);
}

/* Number the nodes by falling level, those of a level in the order they are in. */
static AnnStatus
order_by_level(HnswBuild *build)
{
	const AnnParams *params = build->params;
	uint32_t   *before = AnnAlloc(build->env, build->n * sizeof(uint32_t));
	uint32_t	next[HNSW_MAX_LEVEL + 1];

	if (before == NULL)
		return ANN_NO_MEMORY;
	memcpy(before, build->order, build->n * sizeof(uint32_t));
	memset(build->count, 0, sizeof(build->count));
	for (uint32_t i = 0; i < build->n; i++)
		build->count[level_of(params, before[i])]++;
	for (uint32_t l = HNSW_MAX_LEVEL; l-- > 0;)
		build->count[l] += build->count[l + 1];
	build->max_level = 0;
	while (build->max_level < HNSW_MAX_LEVEL && build->count[build->max_level + 1] > 0)
		build->max_level++;

	for (uint32_t l = 0; l <= HNSW_MAX_LEVEL; l++)
		next[l] = l < HNSW_MAX_LEVEL ? build->count[l + 1] : 0;
	for (uint32_t i = 0; i < build->n; i++)
		build->order[next[level_of(params, before[i])]++] = before[i];
	AnnFree(build->env, before);
	return ANN_OK;
}

/*
 * Positions of the rows of layer 1 in a depth-first walk over its links, nearest
 * link first, into position; stack has room for all its links.
 */
static void
walk_depth_first(const HnswBuild *build, uint32_t *position, uint32_t *stack)
{
	const HnswLayer *layer = &build->layers[1];
	uint32_t	placed = 0;

	memset(position, 0xff, layer->count * sizeof(uint32_t));
	for (uint32_t start = 0; start < layer->count; start++)
	{
		size_t		depth = 0;

		stack[depth++] = start;
		while (depth > 0)
		{
			uint32_t	row = stack[--depth];
			const uint32_t *node = HnswNode(layer, row);

			if (position[row] != ANN_NO_ROW)
				continue;
			position[row] = placed++;
			for (uint32_t i = node[0]; i-- > 0;)
			{
				if (position[node[1 + i]] == ANN_NO_ROW)
					stack[depth++] = node[1 + i];
			}
		}
	}
}

/*
 * Renumber the rows that are on layer 0 only by the position of the row they
 * were placed at (build->entries), keeping both arrays together.
 */
static AnnStatus
order_by_place(HnswBuild *build)
{
	const HnswLayer *layer = &build->layers[1];
	const AnnEnv *env = build->env;
	uint32_t	upper = build->count[1];
	uint32_t	rest = build->n - upper;
	size_t		stack_rows = (size_t) upper * layer->room + 1;
	uint32_t   *position = AnnAlloc(env, upper * sizeof(uint32_t));
	uint32_t   *buffer = AnnAlloc(env, AnnMax(stack_rows, 2 * (size_t) rest) * sizeof(uint32_t));
	uint32_t   *start = AnnAlloc(env, ((size_t) upper + 1) * sizeof(uint32_t));
	bool		enough = position != NULL && buffer != NULL && start != NULL;

	if (enough)
	{
		uint32_t   *order = build->order + upper;
		uint32_t   *entries = build->entries + upper;

		walk_depth_first(build, position, buffer);

		/* counting sort */
		memset(start, 0, ((size_t) upper + 1) * sizeof(uint32_t));
		for (uint32_t i = 0; i < rest; i++)
			start[position[entries[i]] + 1]++;
		for (uint32_t i = 0; i < upper; i++)
			start[i + 1] += start[i];
		for (uint32_t i = 0; i < rest; i++)
		{
			uint32_t	at = start[position[entries[i]]]++;

			buffer[at] = order[i];
			buffer[rest + (size_t) at] = entries[i];
		}
		memcpy(order, buffer, rest * sizeof(uint32_t));
		memcpy(entries, buffer + rest, rest * sizeof(uint32_t));
	}
	AnnFree(env, position);
	AnnFree(env, buffer);
	AnnFree(env, start);
	return enough ? ANN_OK : ANN_NO_MEMORY;
}

/* ---- loops over rows ---- */

void
AnnHnswEncode(const HnswBuild *build, const void *raw_row, uint8_t *code, HnswFactor *factor)
{
	const AnnParams *params = build->params;
	Sq8Meta		meta;

	Sq8Encode(params, build->mean, raw_row, 1, code, &meta);
	factor->scale = meta.scale;
	factor->offset = SQ8_ZERO * meta.sum;
	factor->term = meta.norm2;
	if (params->metric == ANN_IP)
	{
		float		dot = 0;
		float		norm2 = 0;

		for (uint32_t d = 0; d < params->dim; d++)
		{
			dot += (float) (code[d] - SQ8_ZERO) * build->mean[d];
			norm2 += build->mean[d] * build->mean[d];
		}
		factor->term = -(meta.scale * dot + norm2 / 2);
	}
}

static void
encode_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	HnswBuild  *build = ctx;

	for (uint32_t row = first; row < end; row++)
		AnnHnswEncode(build, AnnRow(build->params, build->raw, build->order[row]),
					  build->codes + row * build->stride, &build->factors[row]);
}

static void
place_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	HnswBuild  *build = ctx;

	for (uint32_t row = first; row < end; row++)
		build->entries[row] =
			AnnHnswNearestUpper(build, &build->workers[worker],
								AnnRow(build->params, build->raw, build->order[row]));
}

static void
insert_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	HnswBuild  *build = ctx;

	for (uint32_t row = first; row < end; row++)
		AnnHnswInsert(build, &build->workers[worker], row);
}

static void
trim_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	HnswBuild  *build = ctx;

	for (uint32_t row = first; row < end; row++)
	{
		for (uint32_t l = 0; l <= build->max_level && row < build->count[l]; l++)
			AnnHnswTrim(build, &build->workers[worker], &build->layers[l], row);
	}
}

static AnnStatus
parallel(HnswBuild *build, int nthreads, uint32_t first, uint32_t end, AnnChunkFn fn,
		 bool counts)
{
	AnnProgress progress = {.done = first, .share = end - first, .total = build->n};

	return AnnParallel(build->env, nthreads, first, end, CHUNK, fn, build,
					   counts ? &progress : NULL);
}

/*
 * Insert rows first .. end - 1; they are coded.  The first ones alone, and then
 * in steps that double the graph until it holds the rows that walks start from.
 */
static AnnStatus
insert_rows(HnswBuild *build, uint32_t first, uint32_t end)
{
	uint32_t	start_rows = HnswStartRows(build->n, AnnCheapRows(build->params));
	AnnStatus	status = ANN_OK;

	while (first < end && status == ANN_OK)
	{
		uint32_t	upto = first < FIRST_ROWS ? FIRST_ROWS : first < start_rows ? 2 * first : end;

		upto = AnnMin(upto, end);
		status = parallel(build, first < FIRST_ROWS ? 1 : build->nthreads, first, upto,
						  insert_chunk, true);
		build->settled = first = upto;
	}
	return status;
}

/* ---- the whole ---- */

static AnnStatus
make_graph(HnswBuild *build)
{
	const AnnParams *params = build->params;
	uint32_t	upper;
	AnnStatus	status = AnnHnswFindEqual(build);

	if (status == ANN_OK)
		status = order_by_level(build);
	if (status != ANN_OK)
		return status;
	upper = build->count[1];
	if (Sq8Supports(params->metric))
	{
		build->stride = Sq8Stride(params->dim);
		build->codes = AnnHnswOwn(build, build->stride * build->n);
		build->factors = AnnHnswOwn(build, sizeof(HnswFactor) * build->n);
		build->weight = params->metric == ANN_IP ? -1 : -2;
		if (build->codes == NULL || build->factors == NULL)
			return ANN_NO_MEMORY;
	}
	build->locks = AnnHnswOwn(build, build->n);
	if (build->locks == NULL)
		return ANN_NO_MEMORY;
	memset(build->locks, 0, build->n);
	for (uint32_t l = 0; l <= build->max_level; l++)
	{
		if (!make_layer(build, l, l == 0 ? 2 * params->m : params->m))
			return ANN_NO_MEMORY;
	}
	if (!make_workers(build))
		return ANN_NO_MEMORY;

	status = ANN_OK;
	if (build->codes != NULL)
		status = parallel(build, build->nthreads, 0, upper, encode_chunk, false);
	if (status == ANN_OK)
		status = insert_rows(build, 0, upper);

	if (status == ANN_OK && upper > 0)
	{
		build->entries = AnnHnswOwn(build, sizeof(uint32_t) * build->n);
		if (build->entries == NULL)
			return ANN_NO_MEMORY;
		status = parallel(build, build->nthreads, upper, build->n, place_chunk, false);
		if (status == ANN_OK)
			status = order_by_place(build);
	}
	if (status == ANN_OK && build->codes != NULL)
		status = parallel(build, build->nthreads, upper, build->n, encode_chunk, false);
	if (status == ANN_OK)
		status = insert_rows(build, upper, build->n);
	if (status == ANN_OK)
		status = parallel(build, build->nthreads, 0, build->n, trim_chunk, false);
	if (status == ANN_OK)
		status = AnnHnswRepair(build, &build->workers[0]);
	if (status == ANN_OK)
		status = AnnHnswOrderEqual(build);
	return status;
}

static uint32_t
links_of(void *ctx, uint32_t level, uint32_t row, uint32_t *out)
{
	HnswBuild  *build = ctx;
	const uint32_t *node = HnswNode(&build->layers[level], row);

	memcpy(out, node + 1, node[0] * sizeof(uint32_t));
	return node[0];
}

static AnnStatus
pack(HnswBuild *build, AnnBuilt *built)
{
	HnswHeader	header = {
		.magic = HNSW_GRAPH_MAGIC,
		.version = HNSW_VERSION,
		.n = build->nrows,
		.m = build->params->m,
		.max_level = build->max_level,
	};
	void	   *data;
	uint64_t	bytes;
	AnnStatus	status;

	memcpy(header.count, build->count, sizeof(header.count));
	for (uint32_t row = 0; row < build->n; row++)
		header.degree = AnnMax(header.degree, HnswNode(&build->layers[0], row)[0]);
	status = AnnHnswPack(&header, links_of, build, build->equal, build->env, &data, &bytes);
	if (status == ANN_OK)
		AnnBuiltAdd(built, ANN_SEC_GRAPH, data, bytes);
	return status;
}

/* Build GRAPH and the order of rows; MEAN is in *built already. */
AnnStatus
AnnHnswBuild(const AnnParams *params, const void *raw, uint32_t n, int nthreads,
			 const AnnEnv *env, AnnBuilt *built)
{
	const AnnSection *mean = AnnFindSection(built->sections, built->nsections, ANN_SEC_MEAN);
	HnswBuild	build = {
		.params = params,
		.env = env,
		.raw = raw,
		.n = n,
		.nrows = n,
		.nthreads = nthreads,
		.mean = mean != NULL ? mean->data : NULL,
		.ef = AnnMax(params->ef_construction, ANN_MIN_EF_CONSTRUCTION),
	};
	AnnStatus	status = ANN_OK;

	built->order = AnnAlloc(env, sizeof(uint32_t) * n);
	if (built->order == NULL)
		return ANN_NO_MEMORY;
	build.order = built->order;
	if (n > 0)
		status = make_graph(&build);
	if (status == ANN_OK)
		status = pack(&build, built);
	release(&build);
	return status;
}
