/*
 * kmeans_bits.c
 *		k-means whose centres are binary vectors.
 *
 * Rows go to the centre nearest by the metric itself.  Under HAMMING a centre then
 * takes each bit that most of its rows have (k-majority, Grana et al. 2013): no
 * vector has a smaller sum of distances.  Under JACCARD that would leave nothing of
 * sparse sets, which share few bits with each other; there a centre has as many
 * bits as its rows have on average, those that most rows have.
 */
#include "index/ivf.h"

#include <math.h>

/* As in kmeans.c. */
#define SAMPLE_PER_CENTRE 96
#define SAMPLE_MIN 16384
#define SAMPLE_BYTES (UINT64_C(256) << 20)
#define ITERATIONS 12
#define ENOUGH 0.001

/* Centres compared at a time, rows and centres that a thread takes at a time. */
#define BLOCK 256
#define ROWS_CHUNK 64
#define CENTRES_CHUNK 4

typedef struct BitKmeans
{
	const AnnParams *params;
	const void *raw;
	uint32_t	n;				/* input rows */
	uint32_t	rows;			/* of them, evenly spaced, looked at */
	size_t		bytes;			/* of a row */
	uint32_t	k;
	uint8_t    *centroids;
	uint32_t   *centre_bits;	/* JACCARD: bits set in each centre */
	uint32_t   *nearest;		/* a row looked at */
	float	   *distances;		/* from the nearest centre; may be NULL */

	/* rows looked at, by centre: those of c are members[start[c] .. start[c + 1]) */
	uint32_t   *start;			/* k + 1 */
	uint32_t   *members;
	uint32_t   *weights;		/* k */
	/* a worker: 8 * bytes, and rows + 1 */
	uint32_t   *counts;
	uint32_t   *histogram;
} BitKmeans;

static inline const uint8_t *
row_of(const BitKmeans *km, uint32_t i)
{
	return AnnRow(km->params, km->raw, (uint32_t) ((uint64_t) i * km->n / km->rows));
}

static inline uint8_t *
centre_of(const BitKmeans *km, uint32_t c)
{
	return km->centroids + c * km->bytes;
}

static uint32_t
count_bits(const uint8_t *x, size_t bytes)
{
	uint64_t	both,
				either;

	kernels->jaccard(x, x, bytes, &both, &either);
	return (uint32_t) both;
}

/* ---- assignment ---- */

static void
assign_row(const BitKmeans *km, uint32_t i)
{
	const uint8_t *row = row_of(km, i);
	bool		jaccard = km->params->metric == ANN_JACCARD;
	uint32_t	row_bits = jaccard ? count_bits(row, km->bytes) : 0;
	float		best = INFINITY;
	uint32_t	nearest = 0;

	for (uint32_t first = 0; first < km->k; first += BLOCK)
	{
		uint32_t	block = AnnMin(BLOCK, km->k - first);
		uint32_t	counts[BLOCK];

		if (jaccard)
			kernels->and_rows(row, centre_of(km, first), km->bytes, NULL, block, km->bytes, counts);
		else
			kernels->hamming_rows(row, centre_of(km, first), km->bytes, NULL, block, km->bytes,
								  counts);
		for (uint32_t c = 0; c < block; c++)
		{
			float		distance = !jaccard ? (float) counts[c]
				: AnnJaccard(counts[c], (uint64_t) row_bits + km->centre_bits[first + c] - counts[c]);

			if (distance < best)
			{
				best = distance;
				nearest = first + c;
			}
		}
	}
	km->nearest[i] = nearest;
	if (km->distances != NULL)
		km->distances[i] = best;
}

static void
assign_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		assign_row(ctx, i);
}

static AnnStatus
assign(BitKmeans *km, int nthreads, const AnnEnv *env, const AnnProgress *progress)
{
	if (km->params->metric == ANN_JACCARD)
	{
		for (uint32_t c = 0; c < km->k; c++)
			km->centre_bits[c] = count_bits(centre_of(km, c), km->bytes);
	}
	return AnnParallel(env, nthreads, 0, km->rows, ROWS_CHUNK, assign_chunk, km, progress);
}

/* ---- new centres ---- */

static void
group_rows(BitKmeans *km)
{
	memset(km->start, 0, ((size_t) km->k + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < km->rows; i++)
		km->start[km->nearest[i] + 1]++;
	for (uint32_t c = 0; c < km->k; c++)
	{
		km->weights[c] = km->start[c + 1];
		km->start[c + 1] += km->start[c];
	}
	for (uint32_t i = 0; i < km->rows; i++)
		km->members[km->start[km->nearest[i]]++] = i;
	/* every start has moved on to the next one's */
	memmove(km->start + 1, km->start, km->k * sizeof(uint32_t));
	km->start[0] = 0;
}

/* How many of a centre's rows have each bit. */
static void
count_members(const BitKmeans *km, uint32_t c, uint32_t *counts)
{
	memset(counts, 0, 8 * km->bytes * sizeof(uint32_t));
	for (uint32_t i = km->start[c]; i < km->start[c + 1]; i++)
	{
		const uint8_t *row = row_of(km, km->members[i]);

		for (size_t byte = 0; byte < km->bytes; byte++)
		{
			for (int bit = 0; bit < 8; bit++)
				counts[8 * byte + bit] += (row[byte] >> (7 - bit)) & 1;
		}
	}
}

/* Where exactly half of the rows have a bit, the centre keeps its own. */
static void
set_majority(const uint32_t *counts, uint32_t rows, size_t bytes, uint8_t *centre)
{
	for (size_t i = 0; i < 8 * bytes; i++)
	{
		uint8_t		bit = 0x80 >> (i % 8);

		if (2 * (uint64_t) counts[i] > rows)
			centre[i / 8] |= bit;
		else if (2 * (uint64_t) counts[i] < rows)
			centre[i / 8] &= ~bit;
	}
}

/* The most frequent bits, as many as a row has on average; the first of those equally frequent. */
static void
set_frequent(const uint32_t *counts, uint32_t rows, size_t bytes, uint32_t *histogram,
			 uint8_t *centre)
{
	uint64_t	total = 0;
	uint32_t	want;
	uint32_t	least = rows;

	memset(histogram, 0, ((size_t) rows + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < 8 * bytes; i++)
	{
		total += counts[i];
		histogram[counts[i]]++;
	}
	want = (uint32_t) ((total + rows / 2) / rows);
	while (least > 1 && histogram[least] < want)
		want -= histogram[least--];
	memset(centre, 0, bytes);
	for (size_t i = 0; i < 8 * bytes; i++)
	{
		bool		set = counts[i] > least;

		if (counts[i] == least && want > 0)
		{
			set = true;
			want--;
		}
		if (set)
			centre[i / 8] |= 0x80 >> (i % 8);
	}
}

static void
update_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	BitKmeans  *km = ctx;
	uint32_t   *counts = km->counts + worker * 8 * km->bytes;
	uint32_t   *histogram = km->histogram + worker * ((size_t) km->rows + 1);

	for (uint32_t c = first; c < end; c++)
	{
		uint32_t	rows = km->start[c + 1] - km->start[c];

		if (rows == 0)
			continue;
		count_members(km, c, counts);
		if (km->params->metric == ANN_JACCARD)
			set_frequent(counts, rows, km->bytes, histogram, centre_of(km, c));
		else
			set_majority(counts, rows, km->bytes, centre_of(km, c));
	}
}

/* A row of centre c that is not its centre, from a random one on; ANN_NO_ROW: none. */
static uint32_t
other_row(const BitKmeans *km, uint32_t c, uint64_t *seed)
{
	uint32_t	rows = km->start[c + 1] - km->start[c];
	uint32_t	from = rows > 0 ? (uint32_t) (AnnRandom(seed) % rows) : 0;

	for (uint32_t i = 0; i < rows; i++)
	{
		uint32_t	row = km->members[km->start[c] + (from + i) % rows];

		if (km->distances[row] > 0)
			return row;
	}
	return ANN_NO_ROW;
}

/* A centre without rows becomes a row of the fullest one, which is then thought half as full. */
static void
fill_empty(BitKmeans *km, uint64_t *seed)
{
	for (uint32_t empty = 0; empty < km->k;)
	{
		uint32_t	full = 0;
		uint32_t	row;

		if (km->start[empty + 1] > km->start[empty])
		{
			empty++;
			continue;
		}
		for (uint32_t c = 1; c < km->k; c++)
		{
			if (km->weights[c] > km->weights[full])
				full = c;
		}
		if (km->weights[full] < 2)
			return;
		row = other_row(km, full, seed);
		if (row == ANN_NO_ROW)
		{
			/* all its rows are equal */
			km->weights[full] = 0;
			continue;
		}
		memcpy(centre_of(km, empty), row_of(km, row), km->bytes);
		km->distances[row] = 0;
		km->weights[empty] = km->weights[full] / 2;
		km->weights[full] -= km->weights[empty];
		empty++;
	}
}

/* Start from k rows, spread over the input. */
static void
start_centres(BitKmeans *km, uint64_t *seed)
{
	for (uint32_t c = 0; c < km->k; c++)
	{
		uint32_t	first = (uint32_t) ((uint64_t) c * km->rows / km->k);
		uint32_t	end = (uint32_t) ((uint64_t) (c + 1) * km->rows / km->k);

		memcpy(centre_of(km, c), row_of(km, first + (uint32_t) (AnnRandom(seed) % (end - first))),
			   km->bytes);
	}
}

static AnnStatus
iterate(BitKmeans *km, int nthreads, const AnnEnv *env)
{
	uint64_t	seed = km->params->seed;
	double		before = INFINITY;
	AnnStatus	status = ANN_OK;

	start_centres(km, &seed);
	for (int i = 0; i < ITERATIONS && status == ANN_OK; i++)
	{
		double		sum = 0;

		status = assign(km, nthreads, env, NULL);
		if (status != ANN_OK)
			break;
		for (uint32_t r = 0; r < km->rows; r++)
			sum += km->distances[r];
		if (before - sum <= ENOUGH * before)
			break;
		before = sum;
		group_rows(km);
		status = AnnParallel(env, nthreads, 0, km->k, CENTRES_CHUNK, update_chunk, km, NULL);
		if (status == ANN_OK)
			fill_empty(km, &seed);
	}
	return status;
}

/* See ivf.h.  Reports progress over the n rows. */
AnnStatus
AnnKmeansBits(const AnnParams *params, const void *raw, uint32_t n, uint32_t k, int nthreads,
			  const AnnEnv *env, uint8_t *centroids, uint32_t *nearest)
{
	size_t		bytes = AnnRowBytes(params);
	uint64_t	most = AnnMax(AnnMax((uint64_t) k * SAMPLE_PER_CENTRE, SAMPLE_MIN), k);
	uint32_t	sample = (uint32_t) AnnMin(n, AnnMax(AnnMin(most, SAMPLE_BYTES / bytes), k));
	AnnProgress progress = {.done = 0, .share = n, .total = n};
	BitKmeans	km = {
		.params = params, .raw = raw, .n = n, .rows = sample, .bytes = bytes, .k = k,
		.centroids = centroids, .nearest = nearest,
	};
	float	   *distances = AnnAlloc(env, sample * sizeof(float));
	AnnStatus	status = ANN_NO_MEMORY;

	km.distances = distances;
	km.centre_bits = AnnAlloc(env, k * sizeof(uint32_t));
	km.start = AnnAlloc(env, ((size_t) k + 1) * sizeof(uint32_t));
	km.members = AnnAlloc(env, sample * sizeof(uint32_t));
	km.weights = AnnAlloc(env, k * sizeof(uint32_t));
	km.counts = AnnAlloc(env, 8 * bytes * sizeof(uint32_t) * nthreads);
	km.histogram = AnnAlloc(env, ((size_t) sample + 1) * sizeof(uint32_t) * nthreads);
	if (distances != NULL && km.centre_bits != NULL && km.start != NULL && km.members != NULL &&
		km.weights != NULL && km.counts != NULL && km.histogram != NULL)
		status = iterate(&km, nthreads, env);
	if (status == ANN_OK)
	{
		km.rows = n;
		km.distances = NULL;
		status = assign(&km, nthreads, env, &progress);
	}
	AnnFree(env, distances);
	AnnFree(env, km.centre_bits);
	AnnFree(env, km.start);
	AnnFree(env, km.members);
	AnnFree(env, km.weights);
	AnnFree(env, km.counts);
	AnnFree(env, km.histogram);
	return status;
}
