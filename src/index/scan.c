/*
 * scan.c
 *		Ranking of rows by lower bounds first and exact distances second.
 *
 * Rows come in with a lower bound of their distance, as one sort key each
 * (bound, row).  The keys are sorted only as far as answers are asked for: a
 * selection brings the smallest ones to the front, those are sorted, compared
 * exactly and put into a heap, and the nearest of the heap is returned as soon
 * as its distance is below the bound of every row not compared yet.  So answers
 * are exact, ties fall by row number, and little but the codes is read.
 */
#include "index/index_internal.h"

#include <math.h>

/* Rows whose bounds are computed at a time. */
#define BLOCK 256

/* Keys brought to the front at first; then twice as many as were used so far. */
#define SELECT_FIRST 128

/* Raw rows asked for ahead of their comparison, and bytes of each. */
#define PREFETCH_ROWS 6
#define PREFETCH_BYTES 2048

/* Exact comparisons between looks at cancellation. */
#define CANCEL_EVERY 1024

/* What AnnScanBegin allocates: the scan, the query's codes and its raw copy. */
typedef struct OwnedScan
{
	AnnScan		scan;
	AnnEnv		env;
} OwnedScan;

/* ---- life ---- */

/* Forget all rows; params, query and callbacks are the caller's to set. */
void
AnnScanReset(AnnScan *scan)
{
	scan->head = 0;
	scan->sorted = 0;
	scan->used = 0;
	scan->consumed = 0;
	scan->nheap = 0;
	memset(&scan->stats, 0, sizeof(scan->stats));
}

AnnScan *
AnnScanBegin(const AnnParams *params, const void *query, const float *mean,
			 AnnExactDistance exact, void *exact_ctx, const AnnEnv *env)
{
	size_t		head = AnnRoundUp(sizeof(OwnedScan), ANN_ALIGN);
	size_t		stride = Sq8Stride(params->dim);
	char	   *block = AnnAlloc(env, head + stride + AnnRowBytes(params));
	OwnedScan  *owned = (OwnedScan *) block;
	AnnScan    *scan;

	if (block == NULL)
		return NULL;
	memset(owned, 0, sizeof(*owned));
	owned->env = *env;
	scan = &owned->scan;
	scan->env = scan->memory = &owned->env;
	scan->params = *params;
	scan->query_raw = block + head + stride;
	memcpy(block + head + stride, query, AnnRowBytes(params));
	scan->exact = exact;
	scan->exact_ctx = exact_ctx;
	if (Sq8Supports(params->metric))
		AnnSq8Query(params, mean, query, (int8_t *) block + head, &scan->query);
	AnnScanReset(scan);
	return scan;
}

void
AnnScanEnd(AnnScan *scan)
{
	AnnEnv		env;

	if (scan == NULL)
		return;
	env = *scan->memory;
	AnnFree(&env, scan->keys);
	AnnFree(&env, scan->heap);
	AnnFree(&env, scan);
}

const AnnSearchStats *
AnnScanGetStats(const AnnScan *scan)
{
	return &scan->stats;
}

/* ---- adding rows ---- */

static bool
reserve(AnnScan *scan, size_t n)
{
	if (scan->head == scan->used)
		scan->head = scan->sorted = scan->used = 0;
	return AnnGrow(scan->memory, (void **) &scan->keys, &scan->capacity, scan->used,
				   scan->used + n, sizeof(uint64_t));
}

/* Keys added from here on may belong before those sorted already. */
static void
forget_order(AnnScan *scan)
{
	scan->sorted = scan->head;
}

/* Append n keys: rows given by number, or first, first + 1, … (rows NULL). */
static void
append(AnnScan *scan, const float *bounds, const uint32_t *rows, uint32_t first, uint32_t n)
{
	uint64_t   *keys = scan->keys + scan->used;

	if (rows != NULL)
	{
		for (uint32_t i = 0; i < n; i++)
			keys[i] = AnnKey(bounds[i], rows[i]);
	}
	else
	{
		for (uint32_t i = 0; i < n; i++)
			keys[i] = AnnKey(bounds[i], first + i);
	}
	scan->used += n;
}

/*
 * List the rows first .. first + n - 1 that are not excluded, as offsets from
 * first.  n <= BLOCK.  Whole words of excluded rows cost one comparison.
 */
static uint32_t
list_allowed(const uint64_t *excluded, uint32_t first, uint32_t n, uint32_t *offsets)
{
	uint32_t	count = 0;
	uint32_t	i = 0;

	while (i < n)
	{
		uint32_t	row = first + i;
		uint32_t	in_word = AnnMin(64 - (row & 63), n - i);
		uint64_t	word = ~excluded[row >> 6] >> (row & 63);

		if (in_word < 64)
			word &= (UINT64_C(1) << in_word) - 1;
		for (; word != 0; word &= word - 1)
			offsets[count++] = i + (uint32_t) __builtin_ctzll(word);
		i += in_word;
	}
	return count;
}

AnnStatus
AnnScanAddCodes(AnnScan *scan, const uint8_t *codes, size_t code_stride, const Sq8Meta *meta,
				uint32_t first_row, uint32_t n, const uint64_t *excluded)
{
	const Sq8Query *query = &scan->query;
	int32_t		dots[BLOCK];
	float		bounds[BLOCK];
	uint32_t	offsets[BLOCK];
	uint32_t	rows[BLOCK];

	if (!reserve(scan, n))
		return ANN_NO_MEMORY;
	forget_order(scan);
	for (uint32_t at = 0; at < n; at += BLOCK)
	{
		uint32_t	block = AnnMin(BLOCK, n - at);
		uint32_t	allowed = block;
		const uint8_t *code = codes + (size_t) at * code_stride;

		if (excluded != NULL)
			allowed = list_allowed(excluded, first_row + at, block, offsets);
		scan->stats.excluded += block - allowed;
		scan->stats.code_distances += allowed;
		if (allowed == 0)
			continue;
		if (allowed == block)
		{
			kernels->sq8_dot_seq(code, code_stride, block, query->codes, query->stride, dots);
			AnnSq8Estimate(query, meta + at, NULL, dots, block, bounds);
			AnnSq8Bounds(query, meta + at, NULL, block, bounds);
			append(scan, bounds, NULL, first_row + at, block);
		}
		else
		{
			kernels->sq8_dot_gather(code, code_stride, offsets, allowed, query->codes,
									query->stride, dots);
			AnnSq8Estimate(query, meta + at, offsets, dots, allowed, bounds);
			AnnSq8Bounds(query, meta + at, offsets, allowed, bounds);
			for (uint32_t i = 0; i < allowed; i++)
				rows[i] = first_row + at + offsets[i];
			append(scan, bounds, rows, 0, allowed);
		}
		if (at % (BLOCK * 64) == 0 && AnnCancelled(scan->env))
			return ANN_CANCELLED;
	}
	return ANN_OK;
}

AnnStatus
AnnScanAddRaw(AnnScan *scan, const void *raw, uint32_t first_row, uint32_t n,
			  const uint64_t *excluded)
{
	if (!reserve(scan, n))
		return ANN_NO_MEMORY;
	forget_order(scan);
	for (uint32_t i = 0; i < n; i++)
	{
		float		distance;

		if (i % CANCEL_EVERY == 0 && AnnCancelled(scan->env))
			return ANN_CANCELLED;
		if (excluded != NULL && AnnMapGet(excluded, first_row + i))
		{
			scan->stats.excluded++;
			continue;
		}
		distance = AnnDistance(&scan->params, AnnRow(&scan->params, raw, i), scan->query_raw);
		/* the exact distance is its own bound; NaN must be met to be left out */
		scan->keys[scan->used++] = AnnKey(isnan(distance) ? -INFINITY : distance, first_row + i);
		scan->stats.exact_distances++;
	}
	return ANN_OK;
}

AnnStatus
AnnScanAddEstimates(AnnScan *scan, const Sq8Meta *meta, const uint32_t *rows,
					const float *estimates, uint32_t n)
{
	float		bounds[BLOCK];

	if (!reserve(scan, n))
		return ANN_NO_MEMORY;
	forget_order(scan);
	for (uint32_t at = 0; at < n; at += BLOCK)
	{
		uint32_t	block = AnnMin(BLOCK, n - at);

		memcpy(bounds, estimates + at, block * sizeof(float));
		AnnSq8Bounds(&scan->query, meta, rows + at, block, bounds);
		append(scan, bounds, rows + at, 0, block);
	}
	return ANN_OK;
}

AnnStatus
AnnScanAddExact(AnnScan *scan, const uint32_t *rows, const float *distances, uint32_t n)
{
	if (!reserve(scan, n))
		return ANN_NO_MEMORY;
	forget_order(scan);
	append(scan, distances, rows, 0, n);
	return ANN_OK;
}

/* ---- answers ---- */

static bool
heap_push(AnnScan *scan, uint64_t key)
{
	uint64_t   *heap;
	size_t		at = scan->nheap;

	if (!AnnGrow(scan->memory, (void **) &scan->heap, &scan->heap_capacity, at, at + 1,
				 sizeof(uint64_t)))
		return false;
	heap = scan->heap;
	scan->nheap++;
	while (at > 0 && heap[(at - 1) / 2] > key)
	{
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = key;
	return true;
}

static uint64_t
heap_pop(AnnScan *scan)
{
	uint64_t   *heap = scan->heap;
	uint64_t	top = heap[0];
	size_t		n = --scan->nheap;
	uint64_t	key = heap[n];
	size_t		at = 0;

	for (;;)
	{
		size_t		child = 2 * at + 1;

		if (child >= n)
			break;
		child += child + 1 < n && heap[child + 1] < heap[child];
		if (heap[child] >= key)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = key;
	return top;
}

/* Sort the next smallest keys, unless some are sorted already. */
static void
refill(AnnScan *scan)
{
	if (scan->head < scan->sorted || scan->sorted == scan->used)
		return;
	scan->sorted += AnnSelectKeys(scan->keys + scan->head, scan->used - scan->head,
								  AnnMax(SELECT_FIRST, 2 * scan->consumed));
	AnnSortKeys(scan->keys + scan->head, scan->sorted - scan->head);
}

static inline void
prefetch_row(const AnnScan *scan, size_t key)
{
	const char *row;
	size_t		bytes;

	if (scan->raw == NULL || key >= scan->sorted)
		return;
	row = AnnRow(&scan->params, scan->raw, (uint32_t) scan->keys[key]);
	bytes = AnnMin(AnnRowBytes(&scan->params), PREFETCH_BYTES);
	for (size_t i = 0; i < bytes; i += 64)
		__builtin_prefetch(row + i);
}

/* Compare the next row exactly.  Returns false when memory is short. */
static bool
compare_next(AnnScan *scan)
{
	uint32_t	row = (uint32_t) scan->keys[scan->head];
	float		distance;

	prefetch_row(scan, scan->head + PREFETCH_ROWS);
	scan->head++;
	scan->consumed++;
	scan->stats.exact_distances++;
	if (scan->exact != NULL)
	{
		distance = scan->exact(scan->exact_ctx, row);
		if (isnan(distance))
			return true;
	}
	else
	{
		distance = AnnDistance(&scan->params, AnnRow(&scan->params, scan->raw, row),
							   scan->query_raw);
		/* every row has its place: those without a distance come last */
		if (isnan(distance))
			distance = INFINITY;
	}
	/* + 0 turns -0 into 0: both are the same distance */
	return heap_push(scan, AnnKey(distance + 0.0f, row));
}

AnnStatus
AnnScanNext(AnnScan *scan, AnnHit *hits, int max, int *nhits)
{
	int			n = 0;

	*nhits = 0;
	if (scan->head == scan->sorted && scan->sorted < scan->used)
	{
		refill(scan);
		for (size_t i = 0; i < PREFETCH_ROWS; i++)
			prefetch_row(scan, scan->head + i);
	}
	while (n < max)
	{
		refill(scan);
		if (scan->nheap > 0 &&
			(scan->head == scan->used ||
			 (scan->heap[0] >> 32) < (scan->keys[scan->head] >> 32)))
		{
			uint64_t	key = heap_pop(scan);

			hits[n].distance = AnnKeyDistance(key);
			hits[n].row = (uint32_t) key;
			n++;
			continue;
		}
		if (scan->head == scan->used)
			break;
		if (!compare_next(scan))
			return ANN_NO_MEMORY;
		if (scan->consumed % CANCEL_EVERY == 0 && AnnCancelled(scan->env))
			return ANN_CANCELLED;
	}
	*nhits = n;
	return ANN_OK;
}
