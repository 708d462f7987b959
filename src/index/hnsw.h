/*
 * hnsw.h
 *		The graph's layouts, shared by build, expansion, search and check.
 *
 * The nodes of the graph are the vectors that differ.  Rows are numbered by
 * falling level: the entry point is row 0, and the rows on layer l are
 * 0 .. count[l] - 1.  So an upper layer is a plain matrix of links, and no row
 * needs its level stored.  The rows from count[0] on are equal to a node each, and
 * ordered by it: they are found with it and take no part in walks, which a few
 * thousand equal rows would bring to a halt.
 */
#ifndef MILVUS_HNSW_H
#define MILVUS_HNSW_H

#include "index/index_internal.h"

/* Levels are cut off here; 2^31 rows with m = 2 reach level 31. */
#define HNSW_MAX_LEVEL 31

/* Rows of links in the query form are padded to this many row numbers (64 bytes). */
#define HNSW_LINK_PAD 16

/* What both forms say about the graph: the start of GRAPH and of UPPER. */
typedef struct HnswHeader
{
	uint32_t	magic;
	uint32_t	version;
	uint32_t	n;
	uint32_t	m;
	uint32_t	degree;			/* largest on layer 0 */
	uint32_t	max_level;
	uint32_t	count[HNSW_MAX_LEVEL + 1];	/* nodes on each layer */
	uint32_t	pad[10];		/* zero; to 192 bytes */
} HnswHeader;

#define HNSW_GRAPH_MAGIC 0x31474e48u	/* "HNG1" */
#define HNSW_UPPER_MAGIC 0x31554e48u	/* "HNU1" */
#define HNSW_VERSION 1

/* Row numbers a row of layer-0 links has room for in the query form. */
static inline uint32_t
HnswWidth(uint32_t degree)
{
	return (uint32_t) AnnRoundUp(AnnMax(degree, 1), HNSW_LINK_PAD);
}

/* The links of a layer >= 1 in UPPER: count x m row numbers, after those of lower layers. */
static inline const uint32_t *
HnswUpperLinks(const HnswHeader *upper, uint32_t level)
{
	const uint32_t *links = (const uint32_t *) (upper + 1);

	for (uint32_t l = 1; l < level; l++)
		links += (size_t) upper->count[l] * upper->m;
	return links;
}

/* The nodes that rows count[0] .. n - 1 are equal to, ascending: the end of UPPER. */
static inline const uint32_t *
HnswEqual(const HnswHeader *upper)
{
	return HnswUpperLinks(upper, upper->max_level + 1);
}

/* Bytes of UPPER. */
static inline uint64_t
HnswUpperBytes(const HnswHeader *header)
{
	uint64_t	rows = 0;

	for (uint32_t l = 1; l <= header->max_level; l++)
		rows += header->count[l];
	return sizeof(HnswHeader) +
		(rows * header->m + header->n - header->count[0]) * sizeof(uint32_t);
}

/* Whether a header's numbers fit each other, n and the parameters. */
extern bool AnnHnswHeaderValid(const HnswHeader *header, uint32_t magic,
							   const AnnParams *params, uint32_t n);

/* ---- hnsw_graph.c: the durable form ---- */

/* Links of `row` on `level` into out, at most max; returns their number. */
typedef uint32_t (*HnswLinksFn) (void *ctx, uint32_t level, uint32_t row, uint32_t *out);

extern AnnStatus AnnHnswPack(const HnswHeader *header, HnswLinksFn links, void *ctx,
							 const uint32_t *equal, const AnnEnv *env, void **data,
							 uint64_t *bytes);
extern AnnStatus AnnHnswUnpack(const AnnParams *params, uint32_t n, const AnnSection *graph,
							   AnnWriteSection write, void *write_ctx, const AnnEnv *env);

/* ---- steps of a walk, used by build and search alike ---- */

/*
 * Where a walk starts.  Greedy descent from one entry point loses its way where
 * rows lie in many clusters and layers are too sparse to lead from one to the
 * next.  Instead, the first rows (those of the highest levels, one after the other
 * in memory) are all compared, which costs little more than a few hops, and the
 * HNSW_BEAM nearest go down through the layers together.
 */
#define HNSW_BEAM 4

/* How many rows are compared at first, of n nodes: about 2 sqrt(n). */
static inline uint32_t
HnswStartRows(uint32_t n, bool cheap)
{
	uint32_t	root = 1;

	/* in integers, so that it is the same everywhere; a little above the root */
	while ((uint64_t) root * root < n)
		root += AnnMax(root / 16, 1);
	return AnnMin(cheap ? 2 * root : AnnMax(root / 2, HNSW_BEAM), n);
}

/* The highest layer that rows 0 .. n - 1 are on. */
static inline uint32_t
HnswLayerOf(const uint32_t *count, uint32_t max_level, uint32_t n)
{
	uint32_t	level = max_level;

	while (level > 0 && count[level] < n)
		level--;
	return level;
}

/*
 * Append those of `count` links whose bit is not set yet to out, and set it.
 * Returns how many they are; out needs room for count.
 */
static inline uint32_t
HnswFresh(uint64_t *map, const uint32_t *links, uint32_t count, uint32_t *out)
{
	uint32_t	fresh = 0;

	for (uint32_t i = 0; i < count; i++)
	{
		uint32_t	row = links[i];
		uint64_t   *word = &map[row >> 6];
		uint64_t	bit = UINT64_C(1) << (row & 63);
		uint64_t	old = *word;

		out[fresh] = row;
		fresh += (old & bit) == 0;
		*word = old | bit;
	}
	return fresh;
}

/* Where key belongs among n ordered keys. */
static inline size_t
HnswPoolFind(const uint64_t *pool, size_t n, uint64_t key)
{
	size_t		at = 0;

	while (n > 0)
	{
		size_t		half = (n + 1) / 2;

		at += pool[at + half - 1] < key ? half : 0;
		n -= half;
	}
	return at;
}

/*
 * Put key into the ordered pool of *n keys, at most max: the last one falls out
 * of a full pool, into *fallen if not NULL.  Returns its position.
 */
static inline size_t
HnswPoolInsert(uint64_t *pool, size_t *n, size_t max, uint64_t key)
{
	size_t		at = HnswPoolFind(pool, *n, key);
	size_t		last = *n < max ? (*n)++ : max - 1;

	memmove(pool + at + 1, pool + at, (last - at) * sizeof(uint64_t));
	pool[at] = key;
	return at;
}

#endif							/* MILVUS_HNSW_H */
