/*
 * hnsw_equal.c
 *		Rows that are equal byte by byte: one of them becomes a node of the graph.
 *
 * Thousands of equal rows would fill a search's candidate list with one point and
 * end it there; and their links would be among themselves.  Real tables have them
 * (empty texts, default images).
 */
#include "index/hnsw_build.h"

/* Rows hashed by a thread at a time. */
#define CHUNK 1024

typedef struct Hashing
{
	const AnnParams *params;
	const void *raw;
	uint64_t   *keys;			/* (hash, row) */
} Hashing;

/* A hash of a row's bytes: words multiplied and folded, as splitmix64 mixes. */
static uint32_t
hash_row(const void *row, size_t bytes)
{
	uint64_t	hash = bytes;

	for (size_t at = 0; at < bytes; at += sizeof(uint64_t))
	{
		uint64_t	word = 0;

		memcpy(&word, (const char *) row + at, AnnMin(sizeof(word), bytes - at));
		hash = (hash ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
		hash ^= hash >> 29;
	}
	return (uint32_t) (AnnRandom(&hash) >> 32);
}

static void
hash_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Hashing    *hashing = ctx;

	for (uint32_t row = first; row < end; row++)
		hashing->keys[row] = (uint64_t) hash_row(AnnRow(hashing->params, hashing->raw, row),
												 AnnRowBytes(hashing->params)) << 32 | row;
}

/*
 * Set same[row] to the first row equal to it, or to itself, from keys in order.
 * Rows of one hash that differ are few, but equal ones may be many: each is
 * compared with the first rows of those found to differ so far.
 */
static void
match(const HnswBuild *build, uint64_t *keys, uint32_t *same)
{
	const AnnParams *params = build->params;
	size_t		bytes = AnnRowBytes(params);

	for (uint32_t at = 0; at < build->nrows;)
	{
		uint32_t	end = at;
		uint32_t	differ = 0;

		while (end < build->nrows && keys[end] >> 32 == keys[at] >> 32)
			end++;
		for (uint32_t i = at; i < end; i++)
		{
			uint32_t	row = (uint32_t) keys[i];
			uint32_t	d = 0;

			/* keys[at .. at + differ) are overwritten with the rows that differ */
			while (d < differ && memcmp(AnnRow(params, build->raw, (uint32_t) keys[at + d]),
										AnnRow(params, build->raw, row), bytes) != 0)
				d++;
			same[row] = d < differ ? (uint32_t) keys[at + d] : row;
			if (d == differ)
				keys[at + differ++] = row;
		}
		at = end;
	}
}

/* See hnsw_build.h. */
AnnStatus
AnnHnswFindEqual(HnswBuild *build)
{
	uint32_t	n = build->nrows;
	const AnnEnv *env = build->env;
	uint64_t   *keys = AnnAlloc(env, n * sizeof(uint64_t));
	uint32_t   *same = AnnAlloc(env, n * sizeof(uint32_t));
	Hashing		hashing = {.params = build->params, .raw = build->raw, .keys = keys};
	uint32_t	nodes = 0;
	uint32_t	others = 0;
	AnnStatus	status = ANN_NO_MEMORY;

	if (keys != NULL && same != NULL)
		status = AnnParallel(env, build->nthreads, 0, n, CHUNK, hash_chunk, &hashing, NULL);
	if (status == ANN_OK)
	{
		AnnSortKeys(keys, n);
		match(build, keys, same);
		for (uint32_t row = 0; row < n; row++)
			nodes += same[row] == row;
		if (nodes < n)
		{
			build->equal = AnnHnswOwn(build, (n - nodes) * sizeof(uint32_t));
			if (build->equal == NULL)
				status = ANN_NO_MEMORY;
		}
	}
	if (status == ANN_OK)
	{
		build->n = 0;
		for (uint32_t row = 0; row < n; row++)
		{
			if (same[row] == row)
				build->order[build->n++] = row;
			else
			{
				build->equal[others] = same[row];
				build->order[nodes + others++] = row;
			}
		}
	}
	AnnFree(env, keys);
	AnnFree(env, same);
	return status;
}

/* See hnsw_build.h. */
AnnStatus
AnnHnswOrderEqual(HnswBuild *build)
{
	uint32_t	n = build->nrows - build->n;
	const AnnEnv *env = build->env;
	uint32_t   *node_of;
	uint64_t   *keys;
	AnnStatus	status = ANN_OK;

	if (n == 0)
		return ANN_OK;
	node_of = AnnAlloc(env, build->nrows * sizeof(uint32_t));
	keys = AnnAlloc(env, n * sizeof(uint64_t));
	if (node_of == NULL || keys == NULL)
		status = ANN_NO_MEMORY;
	else
	{
		for (uint32_t node = 0; node < build->n; node++)
			node_of[build->order[node]] = node;
		for (uint32_t i = 0; i < n; i++)
			keys[i] = (uint64_t) node_of[build->equal[i]] << 32 | build->order[build->n + i];
		AnnSortKeys(keys, n);
		for (uint32_t i = 0; i < n; i++)
		{
			build->equal[i] = (uint32_t) (keys[i] >> 32);
			build->order[build->n + i] = (uint32_t) keys[i];
		}
	}
	AnnFree(env, node_of);
	AnnFree(env, keys);
	return status;
}
