/*
 * kmeans.c
 *		Lloyd's k-means over a sample, distances by matrix products.
 *
 * |x - c|^2 = |x|^2 + |c|^2 - 2 x.c, and |x|^2 does not change which centre is
 * nearest, so a block of rows needs one matrix product with the centres.
 */
#include "index/ivf.h"

#include <math.h>

/* Rows of the sample a centre, at most (faiss trains on 256; quality levels off earlier). */
#define SAMPLE_PER_CENTRE 96
#define SAMPLE_MIN 16384

/* Floats of the sample, at most: 256 MB. */
#define SAMPLE_FLOATS (UINT64_C(64) << 20)

#define ITERATIONS 12

/* Stop when an iteration makes the sum of distances smaller by less than this share. */
#define ENOUGH 0.001

/* Rows and centres of one matrix product. */
#define TILE_ROWS 128
#define TILE_CENTRES 1024

/* Splitting moves a centre by this share of itself. */
#define SPLIT 0.001f

typedef struct Assignment
{
	const AnnParams *params;
	const void *raw;			/* rows to convert, or NULL: */
	const float *rows;			/* rows converted already */
	const float *centroids;
	const float *norms2;		/* of the centres */
	uint32_t	k;
	uint32_t   *nearest;
	float	   *distances;		/* |c|^2 - 2 x.c of the nearest; may be NULL */
	float	   *tiles;			/* a worker: TILE_ROWS x TILE_CENTRES products */
	float	   *converted;		/* a worker: TILE_ROWS x dim */
} Assignment;

static void
normalise(float *x, uint32_t dim)
{
	double		norm2 = 0;

	for (uint32_t d = 0; d < dim; d++)
		norm2 += (double) x[d] * x[d];
	if (norm2 > 0)
	{
		double		inverse = 1 / sqrt(norm2);

		for (uint32_t d = 0; d < dim; d++)
			x[d] = (float) (x[d] * inverse);
	}
}

/* A row as k-means sees it. */
static void
convert_row(const AnnParams *params, const void *raw, uint32_t row, float *out)
{
	AnnRowToFloat(params, AnnRow(params, raw, row), out);
	if (params->metric == ANN_COSINE)
		normalise(out, params->dim);
}

static void
square_norms(const float *centroids, uint32_t k, uint32_t dim, float *norms2)
{
	for (uint32_t c = 0; c < k; c++)
		norms2[c] = kernels->ip_f32(centroids + (size_t) c * dim, centroids + (size_t) c * dim,
									dim);
}

/* Nearest centres of a block of at most TILE_ROWS rows. */
static void
assign_tile(const Assignment *a, int worker, const float *rows, uint32_t first, uint32_t n)
{
	uint32_t	dim = a->params->dim;
	float	   *products = a->tiles + (size_t) worker * TILE_ROWS * TILE_CENTRES;
	float		best[TILE_ROWS];

	for (uint32_t i = 0; i < n; i++)
	{
		best[i] = INFINITY;
		a->nearest[first + i] = 0;
	}
	for (uint32_t from = 0; from < a->k; from += TILE_CENTRES)
	{
		uint32_t	centres = AnnMin(TILE_CENTRES, a->k - from);

		GemmNT(n, centres, dim, rows, dim, a->centroids + (size_t) from * dim, dim, products,
			   TILE_CENTRES);
		for (uint32_t i = 0; i < n; i++)
		{
			const float *dots = products + (size_t) i * TILE_CENTRES;

			for (uint32_t c = 0; c < centres; c++)
			{
				float		distance = a->norms2[from + c] - 2 * dots[c];

				if (distance < best[i])
				{
					best[i] = distance;
					a->nearest[first + i] = from + c;
				}
			}
		}
	}
	if (a->distances != NULL)
		memcpy(a->distances + first, best, n * sizeof(float));
}

static void
assign_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Assignment *a = ctx;
	uint32_t	dim = a->params->dim;

	for (uint32_t at = first; at < end; at += TILE_ROWS)
	{
		uint32_t	n = AnnMin(TILE_ROWS, end - at);
		const float *rows;

		if (a->raw == NULL)
			rows = a->rows + (size_t) at * dim;
		else
		{
			float	   *converted = a->converted + (size_t) worker * TILE_ROWS * dim;

			for (uint32_t i = 0; i < n; i++)
				convert_row(a->params, a->raw, at + i, converted + (size_t) i * dim);
			rows = converted;
		}
		assign_tile(a, worker, rows, at, n);
	}
}

/* Assign n rows on all threads; norms2 of the centres are computed here. */
static AnnStatus
assign(Assignment *a, uint32_t n, int nthreads, const AnnEnv *env, const AnnProgress *progress)
{
	uint32_t	dim = a->params->dim;
	float	   *norms2 = AnnAlloc(env, a->k * sizeof(float));
	AnnStatus	status = ANN_NO_MEMORY;

	a->norms2 = norms2;
	a->tiles = AnnAlloc(env, sizeof(float) * TILE_ROWS * TILE_CENTRES * nthreads);
	a->converted = AnnAlloc(env, a->raw == NULL ? 1 : sizeof(float) * TILE_ROWS * dim * nthreads);
	if (norms2 != NULL && a->tiles != NULL && a->converted != NULL)
	{
		square_norms(a->centroids, a->k, dim, norms2);
		status = AnnParallel(env, nthreads, 0, n, TILE_ROWS, assign_chunk, a, progress);
	}
	AnnFree(env, norms2);
	AnnFree(env, a->tiles);
	AnnFree(env, a->converted);
	return status;
}

/*
 * Give each centre without rows half of the rows of the fullest one: both are
 * that centre moved a little to either side, and part at the next assignment.
 */
static void
split_full(float *centroids, uint32_t *counts, uint32_t k, uint32_t dim)
{
	for (uint32_t empty = 0; empty < k; empty++)
	{
		uint32_t	full = 0;
		float	   *to = centroids + (size_t) empty * dim;
		float	   *from;

		if (counts[empty] > 0)
			continue;
		for (uint32_t c = 1; c < k; c++)
		{
			if (counts[c] > counts[full])
				full = c;
		}
		from = centroids + (size_t) full * dim;
		for (uint32_t d = 0; d < dim; d++)
		{
			float		move = (d % 2 == 0 ? SPLIT : -SPLIT) * from[d];

			to[d] = from[d] + move;
			from[d] -= move;
		}
		counts[empty] = counts[full] / 2;
		counts[full] -= counts[empty];
	}
}

/* Move each centre to the mean of its rows. */
static void
update(const AnnParams *params, const float *rows, uint32_t n, const uint32_t *nearest,
	   float *centroids, uint32_t *counts, uint32_t k)
{
	uint32_t	dim = params->dim;

	memset(counts, 0, k * sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i++)
		counts[nearest[i]]++;
	for (uint32_t c = 0; c < k; c++)
	{
		if (counts[c] > 0)
			memset(centroids + (size_t) c * dim, 0, dim * sizeof(float));
	}
	for (uint32_t i = 0; i < n; i++)
	{
		float	   *centre = centroids + (size_t) nearest[i] * dim;
		const float *row = rows + (size_t) i * dim;
		/* scaled before adding: huge elements do not overflow */
		float		share = 1.0f / (float) counts[nearest[i]];

		for (uint32_t d = 0; d < dim; d++)
			centre[d] += row[d] * share;
	}
	split_full(centroids, counts, k, dim);
	if (params->metric == ANN_COSINE)
	{
		for (uint32_t c = 0; c < k; c++)
			normalise(centroids + (size_t) c * dim, dim);
	}
}

/* Start from k different rows of the sample, spread over it. */
static void
start_centres(const float *rows, uint32_t n, uint32_t k, uint32_t dim, uint64_t seed,
			  float *centroids)
{
	for (uint32_t c = 0; c < k; c++)
	{
		uint32_t	first = (uint32_t) ((uint64_t) c * n / k);
		uint32_t	end = (uint32_t) ((uint64_t) (c + 1) * n / k);
		uint32_t	row = first + (uint32_t) (AnnRandom(&seed) % (end - first));

		memcpy(centroids + (size_t) c * dim, rows + (size_t) row * dim, dim * sizeof(float));
	}
}

/* See ivf.h. */
AnnStatus
AnnKmeans(const AnnParams *params, const void *raw, uint32_t n, uint32_t k, int nthreads,
		  const AnnEnv *env, float *centroids)
{
	uint32_t	dim = params->dim;
	uint64_t	most = AnnMax(AnnMax((uint64_t) k * SAMPLE_PER_CENTRE, SAMPLE_MIN), k);
	uint32_t	sample = (uint32_t) AnnMin(n, AnnMax(AnnMin(most, SAMPLE_FLOATS / dim), k));
	float	   *rows = AnnAlloc(env, (size_t) sample * dim * sizeof(float));
	uint32_t   *nearest = AnnAlloc(env, sample * sizeof(uint32_t));
	float	   *distances = AnnAlloc(env, sample * sizeof(float));
	uint32_t   *counts = AnnAlloc(env, k * sizeof(uint32_t));
	Assignment	a = {.params = params, .rows = rows, .centroids = centroids, .k = k,
		.nearest = nearest, .distances = distances};
	AnnStatus	status = ANN_OK;
	double		before = INFINITY;

	/* on the caller's thread: it may load a library */
	GemmInit();
	if (rows == NULL || nearest == NULL || distances == NULL || counts == NULL)
		status = ANN_NO_MEMORY;
	else
	{
		for (uint32_t i = 0; i < sample; i++)
			convert_row(params, raw, (uint32_t) ((uint64_t) i * n / sample),
						rows + (size_t) i * dim);
		start_centres(rows, sample, k, dim, params->seed, centroids);
	}
	for (int i = 0; i < ITERATIONS && status == ANN_OK; i++)
	{
		double		sum = 0;

		status = assign(&a, sample, nthreads, env, NULL);
		if (status != ANN_OK)
			break;
		update(params, rows, sample, nearest, centroids, counts, k);
		for (uint32_t r = 0; r < sample; r++)
			sum += distances[r];
		/* the sum lacks |x|^2, which stays the same: compare the change with its size */
		if (before - sum <= ENOUGH * fabs(sum))
			break;
		before = sum;
	}
	AnnFree(env, rows);
	AnnFree(env, nearest);
	AnnFree(env, distances);
	AnnFree(env, counts);
	return status;
}

/* See ivf.h.  Reports progress over the n rows. */
AnnStatus
AnnKmeansAssign(const AnnParams *params, const void *raw, uint32_t n, const float *centroids,
				uint32_t k, int nthreads, const AnnEnv *env, uint32_t *nearest)
{
	Assignment	a = {.params = params, .raw = raw, .centroids = centroids, .k = k,
		.nearest = nearest};
	AnnProgress progress = {.done = 0, .share = n, .total = n};

	return assign(&a, n, nthreads, env, &progress);
}
