/*
 * index_internal.h
 *		What the files of src/index share and other folders do not see.
 *
 * Sort keys: every ordered container here holds uint64 keys, an order-preserving
 * image of the distance above the row number, so that one integer comparison
 * orders by distance and breaks ties by row.
 */
#ifndef MILVUS_INDEX_INTERNAL_H
#define MILVUS_INDEX_INTERNAL_H

#include <float.h>
#include <string.h>

#include "index/index.h"
#include "index/sq8.h"
#include "kernels/kernels.h"

#define ANN_ALIGN 64

#define AnnMin(a, b) ((a) < (b) ? (a) : (b))
#define AnnMax(a, b) ((a) > (b) ? (a) : (b))

/* ---- elements and bit maps ---- */

/* Bytes of one raw row. */
static inline size_t
AnnRowBytes(const AnnParams *params)
{
	switch (params->elem)
	{
		case ANN_F32:
			return (size_t) params->dim * 4;
		case ANN_F16:
		case ANN_BF16:
			return (size_t) params->dim * 2;
		case ANN_I8:
			return params->dim;
		case ANN_BIT:
			return ((size_t) params->dim + 7) / 8;
	}
	return 0;
}

static inline const void *
AnnRow(const AnnParams *params, const void *raw, uint32_t row)
{
	return (const char *) raw + (size_t) row * AnnRowBytes(params);
}

/* One row as dim float32. */
extern void AnnRowToFloat(const AnnParams *params, const void *row, float *out);
/* dim float32 as one row of the element type, rounded and cut to its range.  Not for bits. */
extern void AnnRowFromFloat(const AnnParams *params, const float *values, void *row);

/*
 * Exact distances of n rows of base from the query: rows given by number, or
 * 0, 1, … (rows NULL).  As AnnDistance; for bits, many at once are faster than one by one.
 */
extern void AnnDistances(const AnnParams *params, const void *query, const void *base,
						 const uint32_t *rows, uint32_t n, float *out);

/* ---- bits (bits.c) ---- */

extern bool AnnBitsValid(const AnnParams *params);
extern float AnnBitDistance(const AnnParams *params, const void *a, const void *b);
extern uint32_t AnnMinhashElements(uint32_t dim, uint32_t element_bits);

/* From the bits two vectors share and those either has, as the SQL function computes it. */
static inline float
AnnJaccard(uint64_t both, uint64_t either)
{
	return both == 0 ? 1.0f : (float) (1 - (double) both / (double) either);
}

/* Whether comparing two rows costs as little as comparing codes. */
static inline bool
AnnCheapRows(const AnnParams *params)
{
	return Sq8Supports(params->metric) || params->elem == ANN_BIT;
}

/* Bytes of the centre of a list: bits of bits, else float32. */
static inline size_t
AnnCentreBytes(const AnnParams *params)
{
	return params->elem == ANN_BIT ? AnnRowBytes(params) : sizeof(float) * params->dim;
}

static inline size_t
AnnRoundUp(size_t value, size_t multiple)
{
	return (value + multiple - 1) / multiple * multiple;
}

/* 64-bit words of a map of n bits */
static inline size_t
AnnMapWords(uint32_t n)
{
	return ((size_t) n + 63) / 64;
}

static inline bool
AnnMapGet(const uint64_t *map, uint32_t bit)
{
	return (map[bit >> 6] >> (bit & 63)) & 1;
}

static inline void
AnnMapSet(uint64_t *map, uint32_t bit)
{
	map[bit >> 6] |= UINT64_C(1) << (bit & 63);
}

/* The next number of a splitmix64 sequence (Steele, Lea, Flood 2014). */
static inline uint64_t
AnnRandom(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- sort keys ---- */

/* Order-preserving image of a float that is not NaN; -0 is the caller's to avoid. */
static inline uint32_t
AnnOrderedBits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits ^ ((uint32_t) ((int32_t) bits >> 31) | 0x80000000u);
}

static inline float
AnnOrderedFloat(uint32_t ordered)
{
	uint32_t bits = ordered ^ ((ordered >> 31) ? 0x80000000u : 0xffffffffu);
	float	f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline uint64_t
AnnKey(float distance, uint32_t low)
{
	return (uint64_t) AnnOrderedBits(distance) << 32 | low;
}

static inline float
AnnKeyDistance(uint64_t key)
{
	return AnnOrderedFloat((uint32_t) (key >> 32));
}

/* keys.c: ascending sort, and selection of about the smallest `want` of n keys. */
extern void AnnSortKeys(uint64_t *keys, size_t n);
extern size_t AnnSelectKeys(uint64_t *keys, size_t n, size_t want);

/* ---- memory ---- */

static inline void *
AnnAlloc(const AnnEnv *env, size_t bytes)
{
	return env->alloc(env->ctx, bytes > 0 ? bytes : 1);
}

static inline void
AnnFree(const AnnEnv *env, void *p)
{
	if (p != NULL)
		env->free(env->ctx, p);
}

static inline bool
AnnCancelled(const AnnEnv *env)
{
	return env->cancelled != NULL && env->cancelled(env->ctx);
}

/*
 * Make *array hold at least `want` items of `item` bytes, keeping the first
 * `used`; it grows by doubling.  False: no memory, nothing changed.
 */
extern bool AnnGrow(const AnnEnv *env, void **array, size_t *capacity, size_t used,
					size_t want, size_t item);

/* ---- threads.c ---- */

/* Called for rows [first, end) by worker 0 (the caller) .. nthreads - 1. */
typedef void (*AnnChunkFn) (void *ctx, int worker, uint32_t first, uint32_t end);

/* Where a phase stands in the whole: it covers done .. done + share of total. */
typedef struct AnnProgress
{
	uint64_t	done;
	uint64_t	share;
	uint64_t	total;
} AnnProgress;

extern AnnStatus AnnParallel(const AnnEnv *env, int nthreads, uint32_t first, uint32_t end,
							 uint32_t chunk, AnnChunkFn fn, void *ctx,
							 const AnnProgress *progress);

/* ---- codes (sq8.c) ---- */

/*
 * Read a row into x, normalised under COSINE and padded with zeros to len floats, a multiple
 * of 4; x is aligned to 16 bytes.  False: a vector that bounds cannot be given for.
 */
extern bool AnnLoadRow(const AnnParams *params, const void *row, float *x, size_t len);

/*
 * A query as codes.  What walks and scans rank by is
 *		estimate(x) = add * norm2_x + scale_x * coef * (dot - offset)
 * which is |x^ - q^|^2 - |q^|^2 under L2 and COSINE, -(x^ . q^) under IP.
 */
typedef struct Sq8Query
{
	AnnMetric	metric;
	const int8_t *codes;		/* stride bytes, 64-byte aligned */
	size_t		stride;
	int32_t		offset;			/* 128 * sum of codes */
	float		add;
	float		coef;
	float		norm2;			/* |q^|^2 */
	float		error;			/* |q' - q^|, rounded up */
	/* what lower bounds need besides: see AnnSq8Bound */
	float		norm;			/* |q'|, rounded up */
	float		mean_norm;		/* |mean|, rounded up */
	float		mean_dot;		/* IP: mean . q */
	float		rounding;		/* relative error of the exact distance kernels */
	bool		boundless;		/* outside the range the bounds are proved for */
} Sq8Query;

/*
 * Code a query (of the element type) into codes (Sq8Stride(dim) bytes, aligned
 * to 64) and fill *out.  mean NULL: zero.
 */
extern void AnnSq8Query(const AnnParams *params, const float *mean, const void *query,
						int8_t *codes, Sq8Query *out);
/* Estimates of n rows from their dots: rows given by number, or first, first + 1, … (rows NULL). */
extern void AnnSq8Estimate(const Sq8Query *query, const Sq8Meta *meta, const uint32_t *rows,
						   const int32_t *dots, uint32_t n, float *estimates);
/* Lower bounds of the exact distances of n rows from their estimates, in place. */
extern void AnnSq8Bounds(const Sq8Query *query, const Sq8Meta *meta, const uint32_t *rows,
						 uint32_t n, float *values);

/* ---- the exact scan inside a search (scan.c) ---- */

struct AnnCoded;				/* codec.h */

/* The smallest of the keys put in comes out first. */
typedef struct AnnHeap
{
	uint64_t   *keys;
	size_t		capacity;
	size_t		n;
} AnnHeap;

struct AnnScan
{
	const AnnEnv *env;			/* cancellation */
	const AnnEnv *memory;		/* of the arrays below */
	AnnParams	params;
	Sq8Query	query;
	const void *query_raw;
	const struct AnnCoded *coded;	/* codes other than SQ8, or NULL */
	const struct AnnCoded *refine;	/* a second look at rows before the exact one, or NULL */
	AnnExactDistance exact;		/* NULL: from raw */
	void	   *exact_ctx;
	const void *raw;			/* rows of the segment, where exact is NULL */

	/* rows that an answer of max rows looks at: the larger of the two; both 0: as many as bounds say */
	float		window_share;	/* of max */
	uint32_t	window_rows;

	/* keys (bound, row): [head, sorted) in order, [sorted, used) in none */
	uint64_t   *keys;
	size_t		capacity;
	size_t		head;
	size_t		sorted;
	size_t		used;
	size_t		consumed;		/* keys taken so far */

	AnnHeap		refined;		/* (bound from refine codes, row) */
	AnnHeap		exactly;		/* compared exactly, not yet returned: (distance, row) */

	AnnSearchStats stats;
};

extern void AnnScanReset(AnnScan *scan);
/* Whether no row is left to return. */
static inline bool
AnnScanEmpty(const AnnScan *scan)
{
	return scan->head == scan->used && scan->refined.n == 0 && scan->exactly.n == 0;
}

/* Add rows given by number with the estimates already known. */
extern AnnStatus AnnScanAddEstimates(AnnScan *scan, const Sq8Meta *meta, const uint32_t *rows,
									 const float *estimates, uint32_t n);
/* Add rows first .. first + n - 1 of scan->coded, which have one centre (AnnCodedBase). */
extern AnnStatus AnnScanAddCoded(AnnScan *scan, float base, uint32_t first, uint32_t n,
								 const uint64_t *excluded);
/* Add rows given by number, by whatever codes there are; meta as AnnScanAddCodes, of row 0. */
extern AnnStatus AnnScanAddRows(AnnScan *scan, const uint8_t *codes, size_t code_stride,
								const Sq8Meta *meta, float base, const uint32_t *rows, uint32_t n);
/* Add rows given by number with their exact distances as bounds (metrics without codes). */
extern AnnStatus AnnScanAddExact(AnnScan *scan, const uint32_t *rows, const float *distances,
								 uint32_t n);

/* ---- a search and its scratch memory (search.c) ---- */

/*
 * The walk over a graph.  seen/estimates list every row compared, in order of
 * meeting; map has a bit for each of them, so clearing it costs what was walked.
 */
typedef struct AnnWalk
{
	uint64_t   *map;
	size_t		map_words;		/* allocated; all zero between searches */
	uint32_t   *seen;
	float	   *estimates;
	int32_t    *dots;			/* one hop */
	size_t		seen_capacity;
	size_t		estimates_capacity;
	size_t		dots_capacity;
	size_t		nseen;

	/* keys (estimate, row << 1 | expanded), in order */
	uint64_t   *pool;
	size_t		pool_capacity;
	size_t		npool;

	/* excluded rows whose links were followed: marked in the map, but not compared */
	uint32_t   *bridges;
	size_t		bridges_capacity;
	size_t		nbridges;

	/* rows handed to the ranking, and excluded rows done with; from the second batch on */
	uint64_t   *given;
	size_t		given_capacity;
} AnnWalk;

struct AnnSearch
{
	const AnnSegment *segment;
	const AnnEnv *env;
	AnnScratch *scratch;
	AnnSearchParams params;
	size_t		batch;			/* rows the next batch asks for */
	uint32_t	next_list;		/* IVF: lists probed so far */
	uint32_t	sorted_lists;	/* IVF: lists in order so far */
	uint32_t	given;			/* rows handed to the ranking */
	uint32_t	returned;
	double		allowed;		/* about the share of rows that are not excluded */
	bool		map_given;		/* walk.given is in use */
	bool		exhausted;		/* no rows are left to hand over */
};

struct AnnScratch
{
	const AnnEnv *env;
	AnnSearch	search;
	AnnScan		scan;
	AnnWalk		walk;

	/* the query: raw, its codes, and what codecs made of it */
	void	   *query;
	size_t		query_capacity;

	/* IVF: lists by distance of their centroid */
	uint64_t   *lists;
	size_t		lists_capacity;
	float	   *list_distances;
	size_t		list_distances_capacity;
};

/* Hand all rows that were not handed over yet to the ranking. */
extern AnnStatus AnnGiveAll(AnnSearch *search, const uint64_t *except);
/* Hand rows first .. first + n - 1, of one list if there are lists, to the ranking. */
extern AnnStatus AnnGiveRange(AnnSearch *search, uint32_t list, uint32_t first, uint32_t n,
							  const uint64_t *except);

/* ---- one file each ---- */

extern AnnStatus AnnHnswBuild(const AnnParams *params, const void *raw, uint32_t n,
							  int nthreads, const AnnEnv *env, AnnBuilt *built);
extern AnnStatus AnnIvfBuild(const AnnParams *params, const void *raw, uint32_t n,
							 int nthreads, const AnnEnv *env, AnnBuilt *built);

extern AnnStatus AnnHnswGive(AnnSearch *search);
/* What a walk with a mask costs, in rows compared by number. */
extern double AnnHnswMaskedCost(const AnnSegment *segment, uint32_t ef, double share);
extern AnnStatus AnnIvfGive(AnnSearch *search);

/* ---- minhash.c ---- */

extern AnnStatus AnnMinhashBuild(const AnnParams *params, const void *raw, uint32_t n,
								 int nthreads, const AnnEnv *env, AnnBuilt *built);
/* Whether HASHES has the size that its header, the parameters and n ask for. */
extern bool AnnMinhashSized(const AnnParams *params, uint32_t n, const AnnSection *hashes);
/* ANN_CORRUPT unless hashes ascend and rows are in range, in a section that is sized right. */
extern AnnStatus AnnMinhashValid(const AnnSection *hashes, const AnnEnv *env);
/* Whether each band holds each row once, under its hash; false with a message. */
extern bool AnnMinhashCheck(const AnnSegment *segment, const AnnEnv *env, char *message,
							size_t len);
extern AnnStatus AnnMinhashGive(AnnSearch *search);

/* Append a section to *built; the data becomes its property. */
extern void AnnBuiltAdd(AnnBuilt *built, uint32_t id, void *data, uint64_t bytes);

/* A section by id, or NULL. */
extern const AnnSection *AnnFindSection(const AnnSection *sections, int n, uint32_t id);
/* The data of a section of exactly so many bytes, else NULL. */
extern const void *AnnSizedSection(const AnnSection *sections, int n, uint32_t id,
								   uint64_t bytes);
/* Whether the parameters are in range and go together. */
extern bool AnnParamsValid(const AnnParams *params, uint32_t n);

#endif							/* MILVUS_INDEX_INTERNAL_H */
