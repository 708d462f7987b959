/*
 * annmask.c
 *		Sets of table rows, and searches restricted to them.
 *
 * A set comes from a bitmap of another index.  All indexes of a table name a row by the item pointer
 * of the root of its HOT chain, so what both have is told by that.  A set has at least
 * the rows asked for, seldom more: whoever scans tests rows that come.
 */
#include "postgres.h"

#include "am/ann/annattr.h"
#include "am/ann/annmask.h"
#include "am/ann/annscan_internal.h"
#include "compat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

/* From this share of a segment's rows on, rows are tested when they are found. */
#define AFTER_SHARE 0.8
/* Lists are made of up to this share of them, or so many. */
#define LIST_SHARE 0.05
#define LIST_ROWS 1024

/* ---- sets ---- */

AnnTidSet *
AnnTidSetMake(TIDBitmap *bitmap)
{
	AnnTidSet  *set = palloc0(sizeof(AnnTidSet));
	Size		max_pages = 64;
	Size		max_tids = 256;
	MilvusBitmapIterator iterator;
	BlockNumber block;
	int			n;
	const OffsetNumber *offsets;

	set->context = CurrentMemoryContext;
	set->pages = palloc(sizeof(AnnTidPage) * max_pages);
	set->offsets = palloc(sizeof(OffsetNumber) * max_tids);
	MilvusBitmapBegin(&iterator, bitmap);
	while (MilvusBitmapNext(&iterator, &block, &n, &offsets))
	{
		AnnTidPage *page;

		CHECK_FOR_INTERRUPTS();
		/* an intersection leaves pages without rows */
		if (n == 0)
			continue;
		if (set->npages == max_pages)
		{
			max_pages *= 2;
			set->pages = repalloc_huge(set->pages, sizeof(AnnTidPage) * max_pages);
		}
		if (n > 0 && set->ntids + n > max_tids)
		{
			max_tids = Max(max_tids * 2, set->ntids + n);
			set->offsets = repalloc_huge(set->offsets, sizeof(OffsetNumber) * max_tids);
		}
		page = &set->pages[set->npages++];
		page->block = block;
		page->first = (uint32) set->ntids;
		page->lossy = n < 0;
		page->n = (uint16) Max(n, 0);
		set->nlossy += n < 0;
		if (n > 0)
			memcpy(set->offsets + set->ntids, offsets, sizeof(OffsetNumber) * n);
		set->ntids += Max(n, 0);
		if (set->ntids > PG_UINT32_MAX - MaxHeapTuplesPerPage)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("a filter matches too many rows to search among them")));
	}
	MilvusBitmapEnd(&iterator);
	return set;
}

/* The page of a block, or NULL.  Rows are mostly asked for in order. */
static const AnnTidPage *
find_page(AnnTidSet *set, BlockNumber block)
{
	uint32		low = 0;
	uint32		high = set->npages;

	for (uint32 i = set->hint; i < Min(set->hint + 2, set->npages); i++)
	{
		if (set->pages[i].block == block)
		{
			set->hint = i;
			return &set->pages[i];
		}
	}
	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (set->pages[middle].block < block)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == set->npages || set->pages[low].block != block)
		return NULL;
	set->hint = low;
	return &set->pages[low];
}

bool
AnnTidSetHas(AnnTidSet *set, const ItemPointerData *tid)
{
	const AnnTidPage *page = find_page(set, ItemPointerGetBlockNumberNoCheck(tid));
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(tid);

	if (page == NULL || page->lossy)
		return page != NULL;
	for (int i = 0; i < page->n; i++)
		if (set->offsets[page->first + i] >= offset)
			return set->offsets[page->first + i] == offset;
	return false;
}

/* ---- in a segment ---- */

/* The rows of a segment that are in a set; kept for the next search. */
typedef struct AnnTidMask
{
	SegmentId	id;
	uint64	   *mask;
	uint64		count;
} AnnTidMask;

typedef struct GuardedMask
{
	const AnnSegmentHandle *handle;
	const AnnTidSet *set;
	uint64	   *mask;
	uint64		count;
} GuardedMask;

static void
guarded_mask(void *arg)
{
	GuardedMask *work = arg;

	work->count = AnnTidIndexRows(&work->handle->tid_index, work->set, work->handle->entry.rows, work->mask);
}

static uint64 *
alloc_mask(MemoryContext context, uint32 n, int flags)
{
	return MemoryContextAllocExtended(context, sizeof(uint64) * Max(SEGMENT_MARK_WORDS((uint64) n), 1),
									  MCXT_ALLOC_HUGE | flags);
}

/* NULL: the mapping could not be read. */
static const AnnTidMask *
segment_mask(AnnTidSet *set, const AnnSegmentHandle *handle)
{
	ListCell   *cell;
	GuardedMask work = {0};
	AnnTidMask *made;
	MemoryContext old;

	foreach(cell, set->kept)
	{
		AnnTidMask *kept = lfirst(cell);

		if (SegmentIdEquals(&kept->id, &handle->entry.id))
			return kept;
	}
	work.handle = handle;
	work.set = set;
	work.mask = alloc_mask(set->context, handle->entry.rows, MCXT_ALLOC_ZERO);
	if (!SegmentGuardedCall(guarded_mask, &work))
		return NULL;
	old = MemoryContextSwitchTo(set->context);
	made = palloc(sizeof(AnnTidMask));
	made->id = handle->entry.id;
	made->mask = work.mask;
	made->count = work.count;
	set->kept = lappend(set->kept, made);
	MemoryContextSwitchTo(old);
	return made;
}

/* Drop rows of a list that are not in the set. */
static void
restrict_rows(AnnSegmentFilter *filter, const uint64 *mask)
{
	uint32	   *rows = (uint32 *) filter->rows;
	uint32		n = 0;

	for (uint32 i = 0; i < filter->nrows; i++)
		if ((mask[rows[i] / 64] >> (rows[i] % 64)) & 1)
			rows[n++] = rows[i];
	filter->nrows = n;
	filter->matches = n;
	if (n == 0)
		filter->way = ANN_FILTER_NONE;
}

/* List the rows of a mask of excluded ones that are left. */
static void
list_rows(AnnSegmentFilter *filter, const uint64 *excluded, uint32 n)
{
	uint32	   *rows = palloc(sizeof(uint32) * filter->matches);
	uint32		nrows = 0;

	for (uint32 w = 0; w < SEGMENT_MARK_WORDS(n); w++)
		for (uint64 word = ~excluded[w]; word != 0; word &= word - 1)
			rows[nrows++] = w * 64 + pg_rightmost_one_pos64(word);
	Assert(nrows == filter->matches);
	filter->way = ANN_FILTER_ROWS;
	filter->rows = rows;
	filter->nrows = nrows;
}

AnnSegmentFilter *
AnnMaskSegment(AnnSegmentFilter *conditions, AnnTidSet *set, AnnViewSegment *segment, uint32 ef, uint32 nprobe)
{
	const AnnSegmentHandle *handle = segment->handle;
	uint32		n = handle->entry.rows;
	AnnSegmentFilter *filter = conditions;
	const AnnTidMask *allowed = segment_mask(set, handle);
	uint64	   *excluded;
	uint64		count = 0;

	if (allowed == NULL)
		return NULL;
	if (filter == NULL)
	{
		filter = palloc0(sizeof(AnnSegmentFilter));
		filter->segment = segment;
		filter->way = ANN_FILTER_AFTER;
	}
	else if (filter->way == ANN_FILTER_AFTER && !AnnSegmentFilterMask(filter))
		return NULL;
	if (filter->way == ANN_FILTER_NONE || allowed->count == 0)
	{
		filter->way = ANN_FILTER_NONE;
		filter->matches = 0;
		return filter;
	}
	if (filter->way == ANN_FILTER_ROWS)
	{
		restrict_rows(filter, allowed->mask);
		return filter;
	}

	excluded = alloc_mask(CurrentMemoryContext, n, 0);
	for (uint32 w = 0; w < SEGMENT_MARK_WORDS(n); w++)
	{
		uint64		match = allowed->mask[w];

		if (segment->marks != NULL)
			match &= ~segment->marks[w];
		if (filter->way == ANN_FILTER_MASK)
			match &= ~filter->excluded[w];
		count += pg_popcount64(match);
		excluded[w] = ~match;
	}
	if (filter->kept != NULL)
		AnnReleaseMask(filter->kept);
	filter->kept = NULL;
	filter->matches = count;
	filter->share = (double) count / Max(n, 1);
	filter->excluded = excluded;
	if (count == 0)
		filter->way = ANN_FILTER_NONE;
	else if (count <= Max(n * LIST_SHARE, LIST_ROWS) &&
			 count <= AnnRowsLimit(&handle->ann, ef, nprobe, filter->share))
		list_rows(filter, excluded, n);
	else if (filter->share >= AFTER_SHARE)
	{
		filter->way = ANN_FILTER_AFTER;
		filter->allowed = true;
	}
	else
		filter->way = ANN_FILTER_MASK;
	return filter;
}
