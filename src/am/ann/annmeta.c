/*
 * annmeta.c
 *		The metapage (block 0).
 */
#include "postgres.h"

#include "access/xloginsert.h"
#include "am/ann/ann.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

static void
check_meta(Relation index, Page page)
{
	AnnMeta    *meta = AnnMetaOf(page);
	SegPageHeader *header = SegPageGetHeader(page);

	if (PageIsNew(page) || header->magic != SEG_PAGE_MAGIC || header->kind != SEG_PAGE_META ||
		meta->magic != ANN_META_MAGIC || meta->nreserves > ANN_MAX_RESERVES)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" has no valid metapage", RelationGetRelationName(index)),
				 errhint("REINDEX the index.")));
	if (meta->version != ANN_META_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has format version %u, this library reads version %u",
						RelationGetRelationName(index), meta->version, ANN_META_VERSION),
				 errhint("Update the extension's library, or REINDEX the index.")));
}

void
AnnReadMeta(Relation index, AnnMeta *meta)
{
	Buffer		buffer = ReadBuffer(index, ANN_META_BLOCK);
	Page		page = BufferGetPage(buffer);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	check_meta(index, page);
	memcpy(meta, AnnMetaOf(page), sizeof(AnnMeta));
	UnlockReleaseBuffer(buffer);
}

Buffer
AnnLockMeta(Relation index)
{
	Buffer		buffer = ReadBuffer(index, ANN_META_BLOCK);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	check_meta(index, BufferGetPage(buffer));
	return buffer;
}

void
AnnInitIndex(Relation index, ForkNumber fork, const AnnParams *params)
{
	Buffer		buffer;
	Page		page;
	AnnMeta    *meta;
	SegmentId	id;

	SegmentIdGenerate(&id);
	LockRelationForExtension(index, ExclusiveLock);
	buffer = ReadBufferExtended(index, fork, P_NEW, RBM_ZERO_AND_LOCK, NULL);
	UnlockRelationForExtension(index, ExclusiveLock);
	if (BufferGetBlockNumber(buffer) != ANN_META_BLOCK)
		elog(ERROR, "index \"%s\" is not empty", RelationGetRelationName(index));

	START_CRIT_SECTION();
	page = BufferGetPage(buffer);
	SegPageInit(page, SEG_PAGE_META, &id, 0, sizeof(AnnMeta));
	meta = AnnMetaOf(page);
	memset(meta, 0, sizeof(AnnMeta));
	meta->magic = ANN_META_MAGIC;
	meta->version = ANN_META_VERSION;
	meta->index_id = id;
	meta->metric = params->metric;
	meta->elem = params->elem;
	meta->dim = params->dim;
	meta->manifest_version = 1;
	meta->marks_version = 1;
	meta->manifest_head = InvalidBlockNumber;
	meta->growing_head = InvalidBlockNumber;
	meta->growing_tail = InvalidBlockNumber;
	MarkBufferDirty(buffer);
	/* an unlogged index's init fork is always logged: it is what a crash leaves */
	if (RelationNeedsWAL(index) || fork == INIT_FORKNUM)
		log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}
