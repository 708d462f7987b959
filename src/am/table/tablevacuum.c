/*
 * tablevacuum.c
 *		VACUUM of a table: heap's own, and the request for compaction after it.
 *
 * VACUUM's transaction must not get a transaction id (others' snapshots do not look at it),
 * so nothing of ours is written here but bits of the page map: a worker counts the rows that are gone and writes
 * segments anew that have lost too many.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "am/table/tableseal.h"
#include "commands/vacuum.h"
#include "coord_bgworkers/coord.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* By then VACUUM has most probably let go of the table, ms. */
#define VACUUM_DELAY 1000

void
TableVacuum(Relation rel, VacuumParams *params, BufferAccessStrategy strategy)
{
	int			n;

	heap_vacuum_rel(rel, params, strategy);
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		return;
	TableMapRestore(rel);
	/* rows that could not be sealed when they came may be visible to everybody now */
	if (CoordPreloaded())
		(void) CoordRequestAfter(RelationGetRelid(rel), COORD_SEAL, VACUUM_DELAY);
	pfree(TableReadManifest(rel, &n));
	TableSegmentSweep(rel);
	if (n > 0)
		(void) CoordRequestAfter(RelationGetRelid(rel), COORD_COMPACT, VACUUM_DELAY);
}

/* ---- counting ---- */

typedef struct RootCount
{
	Oid			root;			/* hash key */
	int			entry;
} RootCount;

/*
 * Choose the pages to read: every one that is not pure, or each so-many-th when there are more
 * than max_blocks.  Returns bits, palloc'd, and how many pages one of them stands for.
 */
static uint64 *
choose_blocks(Relation rel, BlockNumber nblocks, BlockNumber max_blocks, double *weight)
{
	uint64	   *words = TableMapRead(rel, nblocks);
	BlockNumber impure = 0;
	BlockNumber chosen = 0;
	BlockNumber step = 1;
	BlockNumber i = 0;

	for (BlockNumber block = 0; block < nblocks; block++)
		impure += (words[block / 64] >> (block % 64) & 1) == 0;
	if (max_blocks > 0 && impure > max_blocks)
		step = (impure + max_blocks - 1) / max_blocks;
	for (BlockNumber block = 0; block < nblocks; block++)
	{
		uint64		bit = UINT64CONST(1) << (block % 64);

		if ((words[block / 64] & bit) != 0)
			words[block / 64] &= ~bit;
		else if (i++ % step == 0)
		{
			words[block / 64] |= bit;
			chosen++;
		}
	}
	*weight = chosen > 0 ? (double) impure / chosen : 1;
	return words;
}

static bool
is_chosen(const uint64 *words, BlockNumber nblocks, BlockNumber block)
{
	return block < nblocks && (words[block / 64] >> (block % 64) & 1) != 0;
}

/*
 * Rows that a segment has in the chosen pages.
 */
static uint32
recorded_rows(TableSegment *segment, const uint64 *words, BlockNumber nblocks)
{
	ItemPointerData tids[1024];
	uint32		rows = TableSegmentRows(segment);
	uint32		found = 0;

	for (uint32 first = 0; first < rows; first += lengthof(tids))
	{
		uint32		n = Min(rows - first, lengthof(tids));

		CHECK_FOR_INTERRUPTS();
		TableSegmentTids(segment, first, n, tids);
		for (uint32 i = 0; i < n; i++)
			found += is_chosen(words, nblocks, ItemPointerGetBlockNumber(&tids[i]));
	}
	return found;
}

void
TableCount(Relation rel, Snapshot snapshot, TableSegmentEntry *entries, int nentries,
		   BlockNumber max_blocks, double *growing)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	TransactionId horizon = GetOldestNonRemovableTransactionId(rel);
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(RootCount),.hcxt = CurrentMemoryContext};
	HTAB	   *roots = hash_create("milvus segment roots", nentries + 16, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	uint32	   *found = palloc0((nentries + 1) * sizeof(uint32));
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	uint64		rows = 0;
	double		weight;
	uint64	   *words = choose_blocks(rel, nblocks, max_blocks, &weight);

	for (int i = 0; i < nentries; i++)
	{
		RootCount  *count = hash_search(roots, &entries[i].root, HASH_ENTER, NULL);

		count->entry = i;
	}
	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer		buffer;
		Page		page;

		if (!is_chosen(words, nblocks, block))
			continue;
		CHECK_FOR_INTERRUPTS();
		CoordThrottle();
		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		for (OffsetNumber offset = FirstOffsetNumber;
			 !PageIsNew(page) && offset <= PageGetMaxOffsetNumber(page); offset++)
		{
			ItemId		item = PageGetItemId(page, offset);
			HeapTupleData tuple;
			RootCount  *count;
			TableRef	ref;
			bool		alive;

			if (!ItemIdIsNormal(item))
				continue;
			tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
			tuple.t_len = ItemIdGetLength(item);
			tuple.t_tableOid = RelationGetRelid(rel);
			ItemPointerSet(&tuple.t_self, block, offset);
			alive = snapshot != NULL ? HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer) :
				HeapTupleSatisfiesVacuum(&tuple, horizon, buffer) != HEAPTUPLE_DEAD;
			if (!alive)
				continue;
			if (!TableTupleIsStub(tuple.t_data))
			{
				rows++;
				continue;
			}
			ref = TableStubRef(tuple.t_data, tuple.t_len);
			count = hash_search(roots, &ref.root, HASH_FIND, NULL);
			if (count != NULL)
				found[count->entry]++;
		}
		UnlockReleaseBuffer(buffer);
	}
	for (int i = 0; i < nentries; i++)
	{
		TableSegmentEntry *entry = &entries[i];
		TableSegment *segment = TableSegmentOpen(rel, entry->root, TableEntryTag(entry));
		uint32		recorded = recorded_rows(segment, words, nblocks);
		double		dead = recorded > found[i] ? (recorded - found[i]) * weight : 0;

		entry->dead_rows = (uint32) Min(dead, (double) entry->rows);
	}
	if (growing != NULL)
		*growing = (double) rows * weight;
	FreeAccessStrategy(strategy);
	hash_destroy(roots);
	pfree(found);
	pfree(words);
}
