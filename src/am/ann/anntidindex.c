/*
 * anntidindex.c
 *		The rows of a segment in order of their item pointers.
 *
 * A segment's rows are numbered as its index likes it, so the rows of a set of
 * table places would have to be looked for among all.  The query form has
 * them in order: a set, which is in order too, is merged with it, and skips
 * what it has nothing of.
 */
#include "postgres.h"

#include "am/ann/annmask.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define DIGITS 65536

/* An item pointer is three 16-bit digits, the lowest first. */
static inline uint32
digit_of(const ItemPointerData *tid, int digit)
{
	return digit == 0 ? tid->ip_posid : digit == 1 ? tid->ip_blkid.bi_lo : tid->ip_blkid.bi_hi;
}

/*
 * The numbers of item pointers, sorted by these: radix sort, lowest digit first.
 */
static uint32 *
sort_rows(const ItemPointerData *tids, uint32 n)
{
	Size		bytes = sizeof(uint32) * Max((Size) n, 1);
	uint32	   *rows = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	uint32	   *other = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	uint32	   *starts = palloc(sizeof(uint32) * DIGITS);

	for (uint32 i = 0; i < n; i++)
		rows[i] = i;
	for (int digit = 0; digit < 3 && n > 0; digit++)
	{
		uint32		sum = 0;
		uint32	   *swap;

		CHECK_FOR_INTERRUPTS();
		memset(starts, 0, sizeof(uint32) * DIGITS);
		for (uint32 i = 0; i < n; i++)
			starts[digit_of(&tids[i], digit)]++;
		if (starts[digit_of(&tids[0], digit)] == n)
			continue;
		for (uint32 d = 0; d < DIGITS; d++)
		{
			uint32		count = starts[d];

			starts[d] = sum;
			sum += count;
		}
		for (uint32 i = 0; i < n; i++)
			other[starts[digit_of(&tids[rows[i]], digit)]++] = rows[i];
		swap = rows;
		rows = other;
		other = swap;
	}
	pfree(other);
	pfree(starts);
	return rows;
}

static uint64
index_bytes(uint32 nblocks, uint32 rows)
{
	return sizeof(AnnTidIndexHeader) + sizeof(uint32) * (2 * (uint64) nblocks + 1) +
		(sizeof(uint32) + sizeof(OffsetNumber)) * (uint64) rows;
}

static void
set_pointers(AnnTidIndex *index, const void *data)
{
	const AnnTidIndexHeader *header = data;

	index->nblocks = header->nblocks;
	index->blocks = (const uint32 *) (header + 1);
	index->starts = index->blocks + header->nblocks;
	index->rows = index->starts + header->nblocks + 1;
	index->offsets = (const OffsetNumber *) (index->rows + header->rows);
}

void *
AnnTidIndexBuild(const ItemPointerData *tids, uint32 n, uint64 *bytes)
{
	uint32	   *sorted = sort_rows(tids, n);
	uint32		nblocks = 0;
	AnnTidIndexHeader *header;
	AnnTidIndex index;

	for (uint32 i = 0; i < n; i++)
		nblocks += i == 0 || ItemPointerGetBlockNumberNoCheck(&tids[sorted[i]]) !=
			ItemPointerGetBlockNumberNoCheck(&tids[sorted[i - 1]]);
	*bytes = index_bytes(nblocks, n);
	header = MemoryContextAllocHuge(CurrentMemoryContext, *bytes);
	header->nblocks = nblocks;
	header->rows = n;
	set_pointers(&index, header);
	nblocks = 0;
	for (uint32 i = 0; i < n; i++)
	{
		BlockNumber block = ItemPointerGetBlockNumberNoCheck(&tids[sorted[i]]);

		if (nblocks == 0 || block != index.blocks[nblocks - 1])
		{
			((uint32 *) index.blocks)[nblocks] = block;
			((uint32 *) index.starts)[nblocks++] = i;
		}
		((uint32 *) index.rows)[i] = sorted[i];
		((OffsetNumber *) index.offsets)[i] = ItemPointerGetOffsetNumberNoCheck(&tids[sorted[i]]);
	}
	((uint32 *) index.starts)[nblocks] = n;
	pfree(sorted);
	return header;
}

bool
AnnTidIndexAttach(AnnTidIndex *index, const void *data, uint64 bytes, uint32 rows)
{
	const AnnTidIndexHeader *header = data;

	if (bytes < sizeof(AnnTidIndexHeader) || header->rows != rows ||
		bytes != index_bytes(header->nblocks, rows))
		return false;
	set_pointers(index, data);
	return true;
}

/* ---- merging ---- */

/* The first block at or after i that is not before `block`. */
static inline uint32
skip_blocks(const AnnTidIndex *index, uint32 i, BlockNumber block)
{
	uint32		step = 1;
	uint32		high;

	while (i + step < index->nblocks && index->blocks[i + step] < block)
	{
		i += step;
		step *= 2;
	}
	high = Min(i + step, index->nblocks);
	while (i < high)
	{
		uint32		middle = i + (high - i) / 2;

		if (index->blocks[middle] < block)
			i = middle + 1;
		else
			high = middle;
	}
	return i;
}

/* The same of the set's pages. */
static inline uint32
skip_pages(const AnnTidSet *set, uint32 i, BlockNumber block)
{
	uint32		step = 1;
	uint32		high;

	while (i + step < set->npages && set->pages[i + step].block < block)
	{
		i += step;
		step *= 2;
	}
	high = Min(i + step, set->npages);
	while (i < high)
	{
		uint32		middle = i + (high - i) / 2;

		if (set->pages[middle].block < block)
			i = middle + 1;
		else
			high = middle;
	}
	return i;
}

uint64
AnnTidIndexRows(const AnnTidIndex *index, const AnnTidSet *set, uint32 rows, uint64 *mask)
{
	uint64		count = 0;
	uint32		p = 0;
	uint32		b = 0;

	while (p < set->npages && b < index->nblocks)
	{
		const AnnTidPage *page = &set->pages[p];
		const OffsetNumber *offsets = set->offsets + page->first;
		uint32		end;
		uint32		o = 0;

		if (page->block < index->blocks[b])
		{
			p = skip_pages(set, p, index->blocks[b]);
			continue;
		}
		if (index->blocks[b] < page->block)
		{
			b = skip_blocks(index, b, page->block);
			continue;
		}
		/* a file that is wrong must not lead out of bounds */
		end = Min(index->starts[b + 1], rows);
		for (uint32 i = index->starts[b]; i < end; i++)
		{
			uint32		row = index->rows[i];

			if (!page->lossy)
			{
				while (o < page->n && offsets[o] < index->offsets[i])
					o++;
				if (o == page->n)
					break;
				if (offsets[o] != index->offsets[i])
					continue;
			}
			if (row >= rows)
				continue;
			mask[row / 64] |= UINT64CONST(1) << (row % 64);
			count++;
		}
		p++;
		b++;
	}
	return count;
}
