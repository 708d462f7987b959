/*
 * page.c
 *		Page headers, ids, and reserving contiguous blocks.
 */
#include "postgres.h"

#include "access/xloginsert.h"
#include "compat.h"
#include "miscadmin.h"
#include "segment/page.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"

void
SegmentIdGenerate(SegmentId *id)
{
	if (!pg_strong_random(id->bytes, SEG_ID_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random segment id")));
}

void
SegmentIdToString(const SegmentId *id, char *buf)
{
	for (int i = 0; i < SEG_ID_LEN; i++)
		sprintf(buf + 2 * i, "%02x", id->bytes[i]);
}

void
SegPageInit(Page page, SegPageKind kind, const SegmentId *owner, uint32 number, Size used)
{
	SegPageHeader *header = SegPageGetHeader(page);

	Assert(used <= SEG_PAGE_PAYLOAD);
	PageInit(page, BLCKSZ, 0);
	header->magic = SEG_PAGE_MAGIC;
	header->kind = kind;
	header->flags = 0;
	header->owner = *owner;
	header->number = number;
	header->next = InvalidBlockNumber;
	header->ordinal = 0;
	((PageHeader) page)->pd_lower = SEG_PAGE_OFFSET + used;
}

bool
SegPageIs(Page page, SegPageKind kind, const SegmentId *owner)
{
	SegPageHeader *header = SegPageGetHeader(page);

	return !PageIsNew(page) && header->magic == SEG_PAGE_MAGIC && header->kind == kind &&
		SegmentIdEquals(&header->owner, owner);
}

BlockNumber
SegReserveBlocks(Relation rel, BlockNumber nblocks)
{
	bool		need_lock = !RELATION_IS_LOCAL(rel);
	PGAlignedBlock zero;
	BlockNumber start;

	memset(zero.data, 0, BLCKSZ);
	if (need_lock)
		LockRelationForExtension(rel, ExclusiveLock);
	start = RelationGetNumberOfBlocks(rel);
	if ((uint64) start + nblocks >= MaxBlockNumber)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" cannot grow beyond %u blocks",
						RelationGetRelationName(rel), MaxBlockNumber)));
	for (BlockNumber i = 0; i < nblocks; i++)
	{
		CHECK_FOR_INTERRUPTS();
		smgrextend(RelationGetSmgr(rel), MAIN_FORKNUM, start + i, zero.data, false);
	}
	if (need_lock)
		UnlockRelationForExtension(rel, ExclusiveLock);
	return start;
}

/*
 * Extending a file is not logged.  A standby's file, or one restored from a
 * backup, ends with the last block that was logged, and the next extension there
 * starts at that end.  Whoever writes down blocks as free that were never written
 * therefore logs the last of them before; otherwise they would be given out a
 * second time after a promotion.
 */
void
SegLogEnd(Relation rel, BlockNumber block)
{
	SegmentId	nobody = {{0}};
	Buffer		buffer;

	if (!RelationNeedsWAL(rel))
		return;
	buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, NULL);
	START_CRIT_SECTION();
	SegPageInit(BufferGetPage(buffer), SEG_PAGE_FREE, &nobody, 0, 0);
	MarkBufferDirty(buffer);
	log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}
