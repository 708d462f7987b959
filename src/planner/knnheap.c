/*
 * knnheap.c
 *		The k rows nearest to a query, kept while rows come by.
 *
 * A binary heap whose first place is the last in order, so that a row which is not
 * among the k nearest is told by one comparison.
 */
#include "postgres.h"

#include <math.h>

#include "planner/knn.h"

/* Places allocated at first; more as rows come. */
#define FIRST_ROOM 1024

/* A place without a TID yet. */
KnnPlace
KnnMakePlace(double score, bool isnull)
{
	KnnPlace place;

	place.class = isnull ? KNN_NULL : isnan(score) ? KNN_NAN : KNN_NUMBER;
	/* both zeros are equal, and so are all NaNs */
	place.score = place.class == KNN_NUMBER && score != 0 ? score : 0;
	ItemPointerSetInvalid(&place.tid);
	return place;
}

/* Which place comes first: negative, zero or positive. */
int
KnnCompare(const KnnPlace *a, const KnnPlace *b)
{
	if (a->class != b->class)
		return a->class < b->class ? -1 : 1;
	if (a->score != b->score)
		return a->score < b->score ? -1 : 1;
	return ItemPointerCompare(unconstify(ItemPointerData *, &a->tid),
							  unconstify(ItemPointerData *, &b->tid));
}

static int
compare_for_qsort(const void *a, const void *b)
{
	return KnnCompare(a, b);
}

void
KnnHeapInit(KnnHeap *heap, MemoryContext context)
{
	heap->places = NULL;
	heap->room = 0;
	heap->context = context;
	KnnHeapReset(heap, 0);
}

/* Empty, to take k places. */
void
KnnHeapReset(KnnHeap *heap, int64 k)
{
	heap->n = 0;
	heap->k = k;
}

/* Move the place at i down to where both below it come before it. */
static void
sift_down(KnnHeap *heap, int64 i)
{
	KnnPlace moving = heap->places[i];

	for (;;)
	{
		int64 child = 2 * i + 1;

		if (child >= heap->n)
			break;
		if (child + 1 < heap->n && KnnCompare(&heap->places[child], &heap->places[child + 1]) < 0)
			child++;
		if (KnnCompare(&moving, &heap->places[child]) >= 0)
			break;
		heap->places[i] = heap->places[child];
		i = child;
	}
	heap->places[i] = moving;
}

/* Add a place; when there are k already, the last one goes, which may be this. */
void
KnnHeapAdd(KnnHeap *heap, const KnnPlace *place)
{
	int64 i;

	if (heap->n >= heap->k)
	{
		if (heap->k == 0 || KnnCompare(place, &heap->places[0]) >= 0)
			return;
		heap->places[0] = *place;
		sift_down(heap, 0);
		return;
	}
	if (heap->n == heap->room)
	{
		heap->room = Min(Max(2 * heap->room, FIRST_ROOM), Max(heap->k, FIRST_ROOM));
		heap->places = heap->places == NULL
						   ? MemoryContextAllocHuge(heap->context, heap->room * sizeof(KnnPlace))
						   : repalloc_huge(heap->places, heap->room * sizeof(KnnPlace));
	}
	for (i = heap->n++; i > 0; i = (i - 1) / 2)
	{
		int64 parent = (i - 1) / 2;

		if (KnnCompare(place, &heap->places[parent]) <= 0)
			break;
		heap->places[i] = heap->places[parent];
	}
	heap->places[i] = *place;
}

void
KnnHeapSort(KnnHeap *heap)
{
	if (heap->n > 1)
		qsort(heap->places, heap->n, sizeof(KnnPlace), compare_for_qsort);
}
