/*
 * hnsw_build.h
 *		The graph while it is built.
 *
 * Every layer is a matrix of nodes, node i of a layer being row i:
 *
 *		links	 [ degree | row row row … ]		stride words
 *		lengths	 [ distance distance … ]		stride words, of the links
 *
 * A node has room for more links than it may keep, so that it is pruned once for
 * several links that arrive.  Links and degrees are read without a lock: they
 * are stored atomically, a degree after the links it counts, and a slot that once
 * held a row always holds one.  They are changed under the row's lock only, and
 * no thread holds two.
 */
#ifndef MILVUS_HNSW_BUILD_H
#define MILVUS_HNSW_BUILD_H

#include "index/hnsw.h"

typedef struct HnswLayer
{
	uint32_t	count;			/* nodes */
	uint32_t	room;			/* links a node has room for */
	uint32_t	keep;			/* links a node may end with */
	uint32_t	stride;			/* words of a node */
	uint32_t   *links;
	float	   *lengths;
} HnswLayer;

/* What distances between two rows are computed from, besides their codes. */
typedef struct HnswFactor
{
	float		scale;
	float		term;			/* |x^|^2 under L2 and COSINE; -(x^.mean + |mean|^2 / 2) under IP */
	int32_t		offset;			/* 128 * sum of the codes */
} HnswFactor;

/* What one thread works with. */
typedef struct HnswWorker
{
	uint64_t   *map;			/* rows seen; all zero between walks */
	uint32_t   *seen;			/* n + room */
	size_t		nseen;
	uint64_t   *pool;			/* ef_construction + 1 */
	size_t		npool;
	int8_t	   *query;			/* the row's codes, signed */
	uint32_t   *links;			/* one node's links, copied */
	int32_t    *dots;
	float	   *distances;
	uint64_t   *candidates;		/* of a selection: max(room + 1, ef_construction) keys */
	uint64_t   *chosen;			/* of a selection, as many */
	uint64_t   *passed_over;
	uint8_t    *code;			/* a row that has no place yet */
} HnswWorker;

typedef struct HnswBuild
{
	const AnnParams *params;
	const AnnEnv *env;
	const void *raw;			/* in input order */
	uint32_t	n;				/* nodes: rows that differ */
	uint32_t	nrows;
	int			nthreads;
	const float *mean;
	uint32_t	ef;				/* ef_construction */

	uint32_t	max_level;
	uint32_t	count[HNSW_MAX_LEVEL + 1];
	uint32_t   *order;			/* input row of each row */
	uint32_t   *equal;			/* the nodes that rows n .. nrows - 1 are equal to */
	uint32_t   *entries;		/* where to enter layer 0 to insert a row */
	uint32_t	settled;		/* rows 0 .. settled - 1 are in the graph */

	size_t		stride;
	uint8_t    *codes;			/* NULL: distances from raw */
	HnswFactor *factors;
	float		weight;			/* -2 under L2 and COSINE, -1 under IP */

	HnswLayer	layers[HNSW_MAX_LEVEL + 1];
	uint8_t    *locks;

	HnswWorker *workers;
	void	   *owned[3 * HNSW_MAX_LEVEL + 32];	/* everything allocated but order */
	int			nowned;
} HnswBuild;

static inline uint32_t *
HnswNode(const HnswLayer *layer, uint32_t row)
{
	return layer->links + (size_t) row * layer->stride;
}

static inline float *
HnswLengths(const HnswLayer *layer, uint32_t row)
{
	return layer->lengths + (size_t) row * layer->stride;
}

/* ---- hnsw_build.c ---- */

/* Code one raw row and fill its factor. */
extern void AnnHnswEncode(const HnswBuild *build, const void *raw_row, uint8_t *code,
						  HnswFactor *factor);

/* ---- hnsw_equal.c ---- */

/*
 * Put the input rows into build->order: the first of those that are equal, in
 * input order, and set n to their number; the others behind them, together with
 * the input row each is equal to in build->equal (NULL: none).
 */
extern AnnStatus AnnHnswFindEqual(HnswBuild *build);
/* Turn build->equal into nodes, once these have their rows, and order by them. */
extern AnnStatus AnnHnswOrderEqual(HnswBuild *build);

/* Memory that ends with the build.  NULL: none. */
extern void *AnnHnswOwn(HnswBuild *build, size_t bytes);

/* ---- hnsw_insert.c ---- */

/* Put a row into the graph, on all its layers. */
extern void AnnHnswInsert(HnswBuild *build, HnswWorker *worker, uint32_t row);
/* The row of layer 1 nearest to an input row that has no place yet, as far as a short walk sees. */
extern uint32_t AnnHnswNearestUpper(HnswBuild *build, HnswWorker *worker, const void *raw_row);
/* Cut a node down to the links it may keep. */
extern void AnnHnswTrim(HnswBuild *build, HnswWorker *worker, const HnswLayer *layer,
						uint32_t row);
/* The rows near `row` on layer 0, as a search finds them: worker->pool, nearest first. */
extern void AnnHnswNear(HnswBuild *build, HnswWorker *worker, uint32_t row);

/* ---- hnsw_repair.c ---- */

/* Link rows on layer 0 until each can be reached from the entry point. */
extern AnnStatus AnnHnswRepair(HnswBuild *build, HnswWorker *worker);

#endif							/* MILVUS_HNSW_BUILD_H */
