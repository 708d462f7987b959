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
 *
 * Where a second, finer code of each row is kept (refine), a row that comes up gets the
 * bound of that code first and waits for its turn in a heap of its own.
 *
 * Codes whose bounds do not always hold may be told how many rows to look at instead (the
 * window): keys are estimates then, and an answer of max rows is the best of so many of them.
 */
#include "index/codec.h"

#include <math.h>

/* Rows whose bounds are computed at a time. */
#define BLOCK 256

/* Keys brought to the front at first; then twice as many as were used so far. */
#define SELECT_FIRST 128

/* Raw rows asked for ahead of their comparison, and bytes of each. */
#define PREFETCH_ROWS 6
#define PREFETCH_BYTES 2048

/* Rows refined together. */
#define REFINE_ROWS 16

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
	scan->refined.n = 0;
	scan->exactly.n = 0;
	memset(&scan->stats, 0, sizeof(scan->stats));
}

AnnScan *
AnnScanBegin(const AnnParams *params, const void *query, const float *mean,
			 AnnExactDistance exact, void *exact_ctx, const AnnEnv *env)
{
	size_t		head = AnnRoundUp(sizeof(OwnedScan), ANN_ALIGN);
	size_t		stride = Sq8Supports(params->metric) ? Sq8Stride(params->dim) : 0;
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
	AnnFree(&env, scan->refined.keys);
	AnnFree(&env, scan->exactly.keys);
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
	uint64_t   *keys;

	/* a first batch of none has had no keys allocated */
	if (n == 0)
		return;
	keys = scan->keys + scan->used;
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

/* Whether an answer looks at a number of rows, whatever their bounds. */
static inline bool
windowed(const AnnScan *scan)
{
	return scan->window_share > 0 || scan->window_rows > 0;
}

/* From estimates of coded rows to what keys are made of, in place. */
static void
rank_coded(const AnnScan *scan, const uint32_t *rows, uint32_t first, uint32_t n, float *values)
{
	float		bounds[BLOCK];

	if (!windowed(scan))
	{
		AnnCodedBounds(scan->coded, rows, first, n, values);
		return;
	}
	/* by estimate; but what has none that is worth anything comes first */
	memcpy(bounds, values, n * sizeof(float));
	AnnCodedBounds(scan->coded, rows, first, n, bounds);
	for (uint32_t i = 0; i < n; i++)
	{
		if (bounds[i] == -INFINITY)
			values[i] = bounds[i];
	}
}

/* See index_internal.h. */
AnnStatus
AnnScanAddCoded(AnnScan *scan, float base, uint32_t first, uint32_t n, const uint64_t *excluded)
{
	const AnnCoded *coded = scan->coded;
	float		values[BLOCK];
	uint32_t	rows[BLOCK];

	if (!reserve(scan, n))
		return ANN_NO_MEMORY;
	forget_order(scan);
	for (uint32_t at = 0; at < n;)
	{
		/* blocks of rows begin where blocks of codes do */
		uint32_t	block = AnnMin(BLOCK - (first + at) % BLOCK, n - at);
		uint32_t	allowed = block;

		if (at / (BLOCK * 64) != (at + block) / (BLOCK * 64) && AnnCancelled(scan->env))
			return ANN_CANCELLED;
		if (excluded != NULL)
			allowed = list_allowed(excluded, first + at, block, rows);
		scan->stats.excluded += block - allowed;
		scan->stats.code_distances += allowed;
		if (allowed == block)
		{
			AnnCodedEstimate(coded, NULL, first + at, block, base, values);
			rank_coded(scan, NULL, first + at, block, values);
			append(scan, values, NULL, first + at, block);
		}
		else if (allowed > 0)
		{
			for (uint32_t i = 0; i < allowed; i++)
				rows[i] += first + at;
			AnnCodedEstimate(coded, rows, 0, allowed, base, values);
			rank_coded(scan, rows, 0, allowed, values);
			append(scan, values, rows, 0, allowed);
		}
		at += block;
	}
	return AnnCancelled(scan->env) ? ANN_CANCELLED : ANN_OK;
}

/* See index_internal.h. */
AnnStatus
AnnScanAddRows(AnnScan *scan, const uint8_t *codes, size_t code_stride, const Sq8Meta *meta,
			   float base, const uint32_t *rows, uint32_t n)
{
	const Sq8Query *query = &scan->query;
	int32_t		dots[BLOCK];
	float		values[BLOCK];

	if (!reserve(scan, n))
		return ANN_NO_MEMORY;
	forget_order(scan);
	for (uint32_t at = 0; at < n; at += BLOCK)
	{
		uint32_t	block = AnnMin(BLOCK, n - at);
		const uint32_t *numbers = rows + at;

		if (scan->coded != NULL)
		{
			AnnCodedEstimate(scan->coded, numbers, 0, block, base, values);
			rank_coded(scan, numbers, 0, block, values);
			scan->stats.code_distances += block;
		}
		else if (codes != NULL)
		{
			kernels->sq8_dot_gather(codes, code_stride, numbers, block, query->codes,
									query->stride, dots);
			AnnSq8Estimate(query, meta, numbers, dots, block, values);
			AnnSq8Bounds(query, meta, numbers, block, values);
			scan->stats.code_distances += block;
		}
		else
		{
			/* nothing but the raw vectors; NaN must be met to be put last */
			AnnDistances(&scan->params, scan->query_raw, scan->raw, numbers, block, values);
			for (uint32_t i = 0; i < block; i++)
				values[i] = isnan(values[i]) ? -INFINITY : values[i];
			scan->stats.exact_distances += block;
		}
		append(scan, values, numbers, 0, block);
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
	for (uint32_t at = 0; at < n; at += BLOCK)
	{
		uint32_t	block = AnnMin(BLOCK, n - at);
		uint32_t	allowed = block;
		uint32_t	offsets[BLOCK];
		float		distances[BLOCK];

		if (at % CANCEL_EVERY == 0 && AnnCancelled(scan->env))
			return ANN_CANCELLED;
		if (excluded != NULL)
			allowed = list_allowed(excluded, first_row + at, block, offsets);
		scan->stats.excluded += block - allowed;
		scan->stats.exact_distances += allowed;
		AnnDistances(&scan->params, scan->query_raw, AnnRow(&scan->params, raw, at),
					 allowed < block ? offsets : NULL, allowed, distances);
		for (uint32_t i = 0; i < allowed; i++)
		{
			uint32_t	row = first_row + at + (allowed < block ? offsets[i] : i);

			/* the exact distance is its own bound; NaN must be met to be left out */
			scan->keys[scan->used++] = AnnKey(isnan(distances[i]) ? -INFINITY : distances[i], row);
		}
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
		if (scan->coded != NULL)
			rank_coded(scan, rows + at, 0, block, bounds);
		else
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
heap_push(const AnnScan *scan, AnnHeap *heap, uint64_t key)
{
	uint64_t   *keys;
	size_t		at = heap->n;

	if (!AnnGrow(scan->memory, (void **) &heap->keys, &heap->capacity, at, at + 1,
				 sizeof(uint64_t)))
		return false;
	keys = heap->keys;
	heap->n++;
	while (at > 0 && keys[(at - 1) / 2] > key)
	{
		keys[at] = keys[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	keys[at] = key;
	return true;
}

static uint64_t
heap_pop(AnnHeap *heap)
{
	uint64_t   *keys = heap->keys;
	uint64_t	top = keys[0];
	size_t		n = --heap->n;
	uint64_t	key = keys[n];
	size_t		at = 0;

	for (;;)
	{
		size_t		child = 2 * at + 1;

		if (child >= n)
			break;
		child += child + 1 < n && keys[child + 1] < keys[child];
		if (keys[child] >= key)
			break;
		keys[at] = keys[child];
		at = child;
	}
	keys[at] = key;
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

/*
 * Whether a bound is the distance itself, NaN being out of the question.  Distances of
 * bits are few: thousands of rows may be as far as the last one of an answer, and
 * need not all be looked at to know which of them come first.
 */
static inline bool
final_bounds(const AnnScan *scan)
{
	return scan->params.elem == ANN_BIT;
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

/* Compare a row exactly. */
static AnnStatus
compare_row(AnnScan *scan, uint32_t row)
{
	float		distance;

	scan->stats.exact_distances++;
	if (scan->exact != NULL)
	{
		distance = scan->exact(scan->exact_ctx, row);
		if (isnan(distance))
			return ANN_OK;
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
	return heap_push(scan, &scan->exactly, AnnKey(distance + 0.0f, row)) ? ANN_OK
		: ANN_NO_MEMORY;
}

/* Compare the row of the next key exactly. */
static AnnStatus
compare_next(AnnScan *scan)
{
	uint32_t	row = (uint32_t) scan->keys[scan->head];

	if (final_bounds(scan) && scan->exact == NULL)
	{
		scan->consumed++;
		return heap_push(scan, &scan->exactly, scan->keys[scan->head++]) ? ANN_OK : ANN_NO_MEMORY;
	}
	prefetch_row(scan, scan->head + PREFETCH_ROWS);
	scan->head++;
	scan->consumed++;
	return compare_row(scan, row);
}

/* Give the rows of the next keys, at most n, the bounds of their finer codes. */
static AnnStatus
refine_next(AnnScan *scan, size_t n)
{
	uint32_t	rows[REFINE_ROWS];
	float		bounds[REFINE_ROWS];
	uint32_t	count = (uint32_t) AnnMin(AnnMin(n, REFINE_ROWS), scan->sorted - scan->head);

	if (count == 0)
		return ANN_OK;
	for (uint32_t i = 0; i < count; i++)
		rows[i] = (uint32_t) scan->keys[scan->head + i];
	AnnCodedEstimate(scan->refine, rows, 0, count, scan->refine->base, bounds);
	AnnCodedBounds(scan->refine, rows, 0, count, bounds);
	for (uint32_t i = 0; i < count; i++)
	{
		if (!heap_push(scan, &scan->refined, AnnKey(bounds[i], rows[i])))
			return ANN_NO_MEMORY;
		scan->head++;
		scan->consumed++;
		scan->stats.refine_distances++;
	}
	return ANN_OK;
}

/* Look at the next rows until the window of an answer of max rows is full. */
static AnnStatus
fill_window(AnnScan *scan, int max)
{
	double		rows = AnnMax((double) scan->window_share * max, (double) scan->window_rows);
	size_t		window = (size_t) AnnMin(AnnMax(rows, (double) max), (double) ANN_MAX_ROWS);

	while (scan->exactly.n + scan->refined.n < window)
	{
		AnnStatus	status;

		refill(scan);
		if (scan->head == scan->used)
			break;
		status = scan->refine != NULL
			? refine_next(scan, window - scan->exactly.n - scan->refined.n)
			: compare_next(scan);
		if (status != ANN_OK)
			return status;
		if (scan->consumed % CANCEL_EVERY == 0 && AnnCancelled(scan->env))
			return ANN_CANCELLED;
	}
	return ANN_OK;
}

/*
 * What an answer is made of besides the plain case: the next row from refined codes, by
 * bounds or out of a window.  *done: there is none.
 */
static AnnStatus
next_refined(AnnScan *scan, int max, uint64_t *key, bool *done)
{
	const AnnHeap *refined = &scan->refined;
	const AnnHeap *exactly = &scan->exactly;

	for (;;)
	{
		/* the nearest that a row not compared yet may be */
		uint64_t	next = UINT64_MAX;
		bool		from_keys = false;
		AnnStatus	status;

		if (windowed(scan))
		{
			if (exactly->n + refined->n == 0)
			{
				status = fill_window(scan, max);
				if (status != ANN_OK)
					return status;
			}
		}
		else
		{
			refill(scan);
			if (scan->head < scan->used)
			{
				next = scan->keys[scan->head];
				from_keys = true;
			}
		}
		if (refined->n > 0 && refined->keys[0] >> 32 < next >> 32)
		{
			next = refined->keys[0];
			from_keys = false;
		}
		if (exactly->n > 0 && (next == UINT64_MAX || exactly->keys[0] >> 32 < next >> 32))
		{
			*key = heap_pop(&scan->exactly);
			return ANN_OK;
		}
		if (next == UINT64_MAX)
		{
			/* a window of rows that were all left out is followed by the next one */
			*done = scan->head == scan->used;
			if (*done)
				return ANN_OK;
			continue;
		}
		if (!from_keys)
			status = compare_row(scan, (uint32_t) heap_pop(&scan->refined));
		else if (scan->refine != NULL)
			status = refine_next(scan, REFINE_ROWS);
		else
			status = compare_next(scan);
		if (status != ANN_OK)
			return status;
		if (scan->stats.exact_distances % CANCEL_EVERY == 0 && AnnCancelled(scan->env))
			return ANN_CANCELLED;
	}
}

static AnnStatus
answer_refined(AnnScan *scan, AnnHit *hits, int max, int *nhits)
{
	AnnStatus	status = windowed(scan) ? fill_window(scan, max) : ANN_OK;
	bool		done = false;
	int			n = 0;

	while (n < max && status == ANN_OK)
	{
		uint64_t	key;

		status = next_refined(scan, max, &key, &done);
		if (status != ANN_OK || done)
			break;
		hits[n].distance = AnnKeyDistance(key);
		hits[n].row = (uint32_t) key;
		n++;
	}
	*nhits = status == ANN_OK ? n : 0;
	return status;
}

AnnStatus
AnnScanNext(AnnScan *scan, AnnHit *hits, int max, int *nhits)
{
	const AnnHeap *exactly = &scan->exactly;
	int			n = 0;

	*nhits = 0;
	if (scan->refine != NULL || windowed(scan))
		return answer_refined(scan, hits, max, nhits);
	if (scan->head == scan->sorted && scan->sorted < scan->used)
	{
		refill(scan);
		for (size_t i = 0; i < PREFETCH_ROWS; i++)
			prefetch_row(scan, scan->head + i);
	}
	while (n < max)
	{
		AnnStatus	status;

		refill(scan);
		if (exactly->n > 0 &&
			(scan->head == scan->used ||
			 (exactly->keys[0] >> 32) < (scan->keys[scan->head] >> 32) ||
			 (final_bounds(scan) && exactly->keys[0] < scan->keys[scan->head])))
		{
			uint64_t	key = heap_pop(&scan->exactly);

			hits[n].distance = AnnKeyDistance(key);
			hits[n].row = (uint32_t) key;
			n++;
			continue;
		}
		if (scan->head == scan->used)
			break;
		status = compare_next(scan);
		if (status != ANN_OK)
			return status;
		if (scan->consumed % CANCEL_EVERY == 0 && AnnCancelled(scan->env))
			return ANN_CANCELLED;
	}
	*nhits = n;
	return ANN_OK;
}
