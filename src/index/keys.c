/*
 * keys.c
 *		Sorting and selection of 64-bit keys.
 *
 * Keys of one array differ (they end in a row number), so a pivot always splits
 * them; sorting falls back to heapsort when splits stay bad, so no order of
 * input makes it quadratic.
 */
#include "index/index_internal.h"

#define INSERTION_MAX 24
#define SAMPLE 128

static void
insertion_sort(uint64_t *keys, size_t n)
{
	for (size_t i = 1; i < n; i++)
	{
		uint64_t	key = keys[i];
		size_t		j = i;

		for (; j > 0 && keys[j - 1] > key; j--)
			keys[j] = keys[j - 1];
		keys[j] = key;
	}
}

static void
sift_down(uint64_t *keys, size_t at, size_t n)
{
	uint64_t	key = keys[at];

	for (;;)
	{
		size_t		child = 2 * at + 1;

		if (child >= n)
			break;
		child += child + 1 < n && keys[child + 1] > keys[child];
		if (keys[child] <= key)
			break;
		keys[at] = keys[child];
		at = child;
	}
	keys[at] = key;
}

static void
heap_sort(uint64_t *keys, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(keys, i, n);
	while (n-- > 1)
	{
		uint64_t	largest = keys[0];

		keys[0] = keys[n];
		keys[n] = largest;
		sift_down(keys, 0, n);
	}
}

/* Move the keys below pivot to the front, without branches on them; returns how many. */
static size_t
partition(uint64_t *keys, size_t n, uint64_t pivot)
{
	size_t		below = 0;

	for (size_t i = 0; i < n; i++)
	{
		uint64_t	key = keys[i];

		keys[i] = keys[below];
		keys[below] = key;
		below += key < pivot;
	}
	return below;
}

static uint64_t
median_of_three(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t	low = AnnMin(a, b);
	uint64_t	high = AnnMax(a, b);

	return AnnMax(low, AnnMin(high, c));
}

static void
quick_sort(uint64_t *keys, size_t n, int depth)
{
	while (n > INSERTION_MAX)
	{
		uint64_t	pivot = median_of_three(keys[0], keys[n / 2], keys[n - 1]);
		size_t		below;

		if (depth-- == 0)
		{
			heap_sort(keys, n);
			return;
		}
		below = partition(keys, n, pivot);
		quick_sort(keys, below, depth);
		keys += below;
		n -= below;
	}
	insertion_sort(keys, n);
}

/* Sort ascending. */
void
AnnSortKeys(uint64_t *keys, size_t n)
{
	int			depth = 8;

	for (size_t rest = n; rest > 0; rest >>= 1)
		depth += 2;
	quick_sort(keys, n, depth);
}

/*
 * Move about `want` of the smallest keys to the front, in no order, and return
 * their number: at least 1, at least about want, and at most n.  One pass over
 * the keys with a pivot taken from a sample.
 */
size_t
AnnSelectKeys(uint64_t *keys, size_t n, size_t want)
{
	uint64_t	sample[SAMPLE];
	size_t		rank;
	size_t		below;

	if (n <= 2 * want || n <= 2 * SAMPLE)
		return n;
	for (size_t i = 0; i < SAMPLE; i++)
		sample[i] = keys[n / SAMPLE * i];
	AnnSortKeys(sample, SAMPLE);

	/* two ranks of slack: the sample's quantiles scatter */
	rank = want * SAMPLE / n + 2;
	if (rank >= SAMPLE)
		return n;
	below = partition(keys, n, sample[rank]);

	/* far too many, as when the sample missed a cluster of near keys: once more */
	if (below > 8 * want && below > 4 * SAMPLE)
		return AnnSelectKeys(keys, below, want);
	return below;
}
