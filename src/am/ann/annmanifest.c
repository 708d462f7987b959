/*
 * annmanifest.c
 *		The manifest: which segments an index has and which blocks are free.
 *
 * It is copy-on-write: a change writes all of it to new pages and the metapage's
 * `manifest_head` is swung to them in one record, so a reader that holds the
 * metapage's contents holds a consistent whole.  Blocks of what went out are
 * free runs, stamped so that they are reused only when no scan can still read
 * them (README.md, "Reuse").
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "am/ann/ann.h"
#include "compat.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

/* What the pages' contents, joined, begin with. */
typedef struct ManifestHeader
{
	uint32		nsegments;
	uint32		nfree;
} ManifestHeader;

void
AnnLockManifest(Relation index)
{
	LockPage(index, ANN_META_BLOCK, ExclusiveLock);
}

bool
AnnTryLockManifest(Relation index)
{
	return ConditionalLockPage(index, ANN_META_BLOCK, ExclusiveLock);
}

void
AnnUnlockManifest(Relation index)
{
	UnlockPage(index, ANN_META_BLOCK, ExclusiveLock);
}

uint64
AnnSegmentEntryRows(const AnnSegmentEntry *entry)
{
	return (uint64) entry->rows + entry->zero_rows + entry->null_rows;
}

AnnManifest *
AnnReadManifest(Relation index, const AnnMeta *meta)
{
	AnnManifest *manifest = palloc0(sizeof(AnnManifest));
	BlockNumber block = meta->manifest_head;
	char	   *bytes = NULL;
	Size		used = 0;
	ManifestHeader *header;

	manifest->version = meta->manifest_version;
	while (BlockNumberIsValid(block))
	{
		Buffer		buffer;
		Page		page;
		Size		n;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBuffer(index, block);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		if (!SegPageIs(page, SEG_PAGE_MANIFEST, &meta->index_id) ||
			SegPageGetHeader(page)->ordinal != meta->manifest_version ||
			SegPageGetHeader(page)->number != (uint32) manifest->npages ||
			((PageHeader) page)->pd_lower < SEG_PAGE_OFFSET || ((PageHeader) page)->pd_lower > BLCKSZ)
		{
			UnlockReleaseBuffer(buffer);
			return NULL;
		}
		n = ((PageHeader) page)->pd_lower - SEG_PAGE_OFFSET;
		bytes = bytes == NULL ? MemoryContextAllocHuge(CurrentMemoryContext, n)
			: repalloc_huge(bytes, used + n);
		memcpy(bytes + used, SegPageGetContents(page), n);
		used += n;
		if ((manifest->npages & (manifest->npages - 1)) == 0)
		{
			int			capacity = Max(1, manifest->npages * 2);

			manifest->pages = manifest->pages == NULL ? palloc(sizeof(BlockNumber) * capacity)
				: repalloc(manifest->pages, sizeof(BlockNumber) * capacity);
		}
		manifest->pages[manifest->npages++] = block;
		block = SegPageGetHeader(page)->next;
		UnlockReleaseBuffer(buffer);
	}
	if (bytes == NULL)
		return manifest;
	header = (ManifestHeader *) bytes;
	if (used < sizeof(ManifestHeader) ||
		used != sizeof(ManifestHeader) + sizeof(AnnSegmentEntry) * (Size) header->nsegments +
		sizeof(AnnFreeRun) * (Size) header->nfree)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("manifest of index \"%s\" is damaged", RelationGetRelationName(index)),
				 errhint("REINDEX the index.")));
	manifest->nsegments = header->nsegments;
	manifest->segments = (AnnSegmentEntry *) (bytes + sizeof(ManifestHeader));
	manifest->nfree = header->nfree;
	manifest->free = (AnnFreeRun *) (bytes + sizeof(ManifestHeader) +
									 sizeof(AnnSegmentEntry) * manifest->nsegments);
	for (int i = 0; i < manifest->nfree; i++)
		if (manifest->free[i].dropped == 0)
			manifest->free[i].dropped = meta->manifest_fxid;
	return manifest;
}

AnnManifest *
AnnReadManifestLatest(Relation index, AnnMeta *meta)
{
	for (uint64 failed = 0;; failed = meta->manifest_version)
	{
		AnnManifest *manifest;

		CHECK_FOR_INTERRUPTS();
		AnnReadMeta(index, meta);
		manifest = AnnReadManifest(index, meta);
		if (manifest != NULL)
			return manifest;
		/* a manifest's pages are recycled only after a newer one */
		if (meta->manifest_version == failed)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("manifest of index \"%s\" is damaged", RelationGetRelationName(index)),
					 errhint("REINDEX the index.")));
	}
}

static int
compare_runs(const void *a, const void *b)
{
	const AnnFreeRun *x = a;
	const AnnFreeRun *y = b;

	return x->start < y->start ? -1 : x->start > y->start ? 1 : 0;
}

void
AnnAddFree(AnnManifest *manifest, BlockNumber start, BlockNumber nblocks)
{
	if (nblocks == 0)
		return;
	/* extend the run added last, so that pages freed in order make one run */
	if (manifest->nfree > 0)
	{
		AnnFreeRun *last = &manifest->free[manifest->nfree - 1];

		if (last->dropped == 0 && last->start + last->nblocks == start)
		{
			last->nblocks += nblocks;
			return;
		}
	}
	if (manifest->nfree >= manifest->maxfree)
	{
		int			max = Max(64, manifest->nfree * 2);
		AnnFreeRun *copy = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(AnnFreeRun) * (Size) max);

		if (manifest->nfree > 0)
			memcpy(copy, manifest->free, sizeof(AnnFreeRun) * manifest->nfree);
		manifest->free = copy;
		manifest->maxfree = max;
	}
	manifest->free[manifest->nfree].start = start;
	manifest->free[manifest->nfree].nblocks = nblocks;
	manifest->free[manifest->nfree].dropped = 0;
	manifest->nfree++;
}

/*
 * Whether the blocks dropped at a transaction id can be overwritten.
 */
static bool
run_is_reusable(Relation heap, const AnnFreeRun *run)
{
	return run->dropped != 0 &&
		GlobalVisCheckRemovableFullXid(heap, FullTransactionIdFromU64(run->dropped));
}

/*
 * Take nblocks from the start of a free run.
 */
static BlockNumber
take_run(Relation index, Relation heap, AnnManifest *manifest, int i, BlockNumber nblocks)
{
	AnnFreeRun *run = &manifest->free[i];
	BlockNumber start = run->start;

	if (RelationNeedsWAL(index) && XLogStandbyInfoActive())
		MilvusLogPageReuse(index, heap, start, FullTransactionIdFromU64(run->dropped));
	run->start += nblocks;
	run->nblocks -= nblocks;
	if (run->nblocks == 0)
	{
		memmove(run, run + 1, sizeof(AnnFreeRun) * (manifest->nfree - i - 1));
		manifest->nfree--;
	}
	return start;
}

/*
 * Sort the free runs and join neighbours; runs of different age keep apart
 * unless both can be reused already.
 */
static void
join_free_runs(Relation heap, AnnManifest *manifest)
{
	int			n = 0;

	if (manifest->nfree == 0)
		return;
	qsort(manifest->free, manifest->nfree, sizeof(AnnFreeRun), compare_runs);
	for (int i = 1; i < manifest->nfree; i++)
	{
		AnnFreeRun *last = &manifest->free[n];
		AnnFreeRun *run = &manifest->free[i];

		if (last->start + last->nblocks == run->start &&
			(last->dropped == run->dropped ||
			 (run_is_reusable(heap, last) && run_is_reusable(heap, run))))
		{
			last->nblocks += run->nblocks;
			last->dropped = Max(last->dropped, run->dropped);
		}
		else
			manifest->free[++n] = *run;
	}
	manifest->nfree = n + 1;
}

/*
 * Of the runs that can be reused, the shortest of at least nblocks, or the longest
 * if there is none; -1: nothing can be reused.
 */
static int
find_run(Relation heap, const AnnManifest *manifest, BlockNumber nblocks)
{
	int			found = -1;

	for (int i = 0; i < manifest->nfree; i++)
	{
		BlockNumber best = found < 0 ? 0 : manifest->free[found].nblocks;
		BlockNumber n = manifest->free[i].nblocks;
		bool		better = best < nblocks ? n > best : n >= nblocks && n < best;

		if (better && run_is_reusable(heap, &manifest->free[i]))
			found = i;
	}
	return found;
}

BlockNumber
AnnAllocExtent(Relation index, Relation heap, AnnManifest *manifest, BlockNumber nblocks)
{
	int			run;

	/* neighbours that were dropped at different times may have become one run since */
	join_free_runs(heap, manifest);
	run = find_run(heap, manifest, nblocks);
	if (run >= 0 && manifest->free[run].nblocks >= nblocks)
		return take_run(index, heap, manifest, run, nblocks);
	return SegReserveBlocks(index, nblocks);
}

int
AnnTakeReserves(Relation index, Relation heap, AnnManifest *manifest, BlockNumber want,
				BlockNumber unit, AnnRun *runs, int max)
{
	int			n = 0;

	join_free_runs(heap, manifest);
	for (; n < max && want >= unit; n++)
	{
		/* short runs, as far as `max` of them suffice: long ones are for segments */
		BlockNumber share = (want + (max - n) - 1) / (max - n);
		int			run = find_run(heap, manifest, Max(share, unit));
		BlockNumber taken;

		if (run < 0 || manifest->free[run].nblocks < unit)
			break;
		taken = Min(manifest->free[run].nblocks, want) / unit * unit;
		runs[n].start = take_run(index, heap, manifest, run, taken);
		runs[n].end = runs[n].start + taken;
		want -= taken;
	}
	return n;
}

BlockNumber
AnnWriteManifest(Relation index, Relation heap, AnnManifest *manifest)
{
	AnnMeta		meta;
	ManifestHeader header;
	BlockNumber *blocks;
	char	   *bytes;
	Size		size;
	Size		at;
	int			npages;

	AnnReadMeta(index, &meta);
	for (int i = 0; i < manifest->npages; i++)
		AnnAddFree(manifest, manifest->pages[i], 1);

	/* the pages it takes itself can only make it shorter, or longer by nothing */
	join_free_runs(heap, manifest);
	size = sizeof(ManifestHeader) + sizeof(AnnSegmentEntry) * manifest->nsegments +
		sizeof(AnnFreeRun) * manifest->nfree;
	npages = (size + SEG_PAGE_PAYLOAD - 1) / SEG_PAGE_PAYLOAD;
	blocks = palloc(sizeof(BlockNumber) * npages);
	for (int i = 0; i < npages; i++)
		blocks[i] = AnnAllocExtent(index, heap, manifest, 1);

	size = sizeof(ManifestHeader) + sizeof(AnnSegmentEntry) * manifest->nsegments +
		sizeof(AnnFreeRun) * manifest->nfree;
	bytes = MemoryContextAllocHuge(CurrentMemoryContext, size);
	header.nsegments = manifest->nsegments;
	header.nfree = manifest->nfree;
	memcpy(bytes, &header, sizeof(header));
	at = sizeof(header);
	if (manifest->nsegments > 0)
		memcpy(bytes + at, manifest->segments, sizeof(AnnSegmentEntry) * manifest->nsegments);
	at += sizeof(AnnSegmentEntry) * manifest->nsegments;
	if (manifest->nfree > 0)
		memcpy(bytes + at, manifest->free, sizeof(AnnFreeRun) * manifest->nfree);

	manifest->version = meta.manifest_version + 1;
	at = 0;
	for (int i = 0; i < npages; i++)
	{
		Buffer		buffer = ReadBufferExtended(index, MAIN_FORKNUM, blocks[i], RBM_ZERO_AND_LOCK, NULL);
		GenericXLogState *state = GenericXLogStart(index);
		Page		page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);
		Size		n = Min(size - at, SEG_PAGE_PAYLOAD);

		SegPageInit(page, SEG_PAGE_MANIFEST, &meta.index_id, i, n);
		SegPageGetHeader(page)->ordinal = manifest->version;
		SegPageGetHeader(page)->next = i + 1 < npages ? blocks[i + 1] : InvalidBlockNumber;
		memcpy(SegPageGetContents(page), bytes + at, n);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
		at += n;
	}
	manifest->npages = npages;
	manifest->pages = blocks;
	pfree(bytes);
	return blocks[0];
}
