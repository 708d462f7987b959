/*
 * tablepage.c
 *		Rewriting a heap page in place: stubs instead of rows, other references instead
 *		of old ones.
 *
 * Nothing that a transaction could observe changes: transaction ids, TIDs, line pointers,
 * visibility map and pd_prune_xid stay as they are.  Readers look at tuples of a page with
 * no more than a pin on it, so the tuples may move only under a cleanup lock, here and at
 * redo.  The whole page is logged as a prune record that prunes nothing and has a full
 * page image, which any server can replay, without the extension too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "am/table/tableseal.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/freespace.h"

/*
 * The page under a cleanup lock; InvalidBuffer when somebody else has it pinned.
 */
static Buffer
lock_page(Relation rel, BlockNumber block, BufferAccessStrategy strategy)
{
	Buffer		buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);

	if (ConditionalLockBufferForCleanup(buffer))
		return buffer;
	ReleaseBuffer(buffer);
	return InvalidBuffer;
}

/*
 * Put `content` in the place of the locked page, logged.
 */
static void
replace_page(Buffer buffer, const PGAlignedBlock *content)
{
	Page		page = BufferGetPage(buffer);

	START_CRIT_SECTION();
	memcpy(page, content->data, BLCKSZ);
	MarkBufferDirty(buffer);
	PageSetLSN(page, MilvusLogHeapPage(buffer));
	END_CRIT_SECTION();
}

TablePageResult
TablePageSeal(Relation rel, const TableTodoPage *todo, const Bitmapset *kept, Oid root, uint32 tag,
			  BufferAccessStrategy strategy, bool *sealed)
{
	PGAlignedBlock content;
	Buffer		buffer;
	Page		page;
	Size		space;
	int			nsealed = 0;

	memset(sealed, 0, todo->nrows * sizeof(bool));
	/* the table may have been truncated since, when this is after a crash */
	if (todo->block >= RelationGetNumberOfBlocks(rel))
		return TABLE_PAGE_CHANGED;
	buffer = lock_page(rel, todo->block, strategy);
	if (!BufferIsValid(buffer))
		return TABLE_PAGE_PINNED;
	page = BufferGetPage(buffer);
	if (PageGetLSN(page) != todo->lsn)
	{
		UnlockReleaseBuffer(buffer);
		return TABLE_PAGE_CHANGED;
	}

	memcpy(content.data, page, BLCKSZ);
	for (int i = 0; i < todo->nrows; i++)
	{
		const TableTodoRow *row = &todo->rows[i];
		ItemId		item;
		HeapTupleData tuple;
		HeapTuple	stub;

		if (row->offset < FirstOffsetNumber || row->offset > PageGetMaxOffsetNumber(content.data))
			continue;
		item = PageGetItemId(content.data, row->offset);
		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, PageGetItemId(page, row->offset));
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = RelationGetRelid(rel);
		ItemPointerSet(&tuple.t_self, todo->block, row->offset);
		if (TableTupleIsStub(tuple.t_data))
			continue;
		stub = TableFormStub(rel, &tuple, kept, (TableRef) {
			.root = root,.row = row->row | tag << TABLE_ROW_BITS
		});
		/* the tuple is as it was read, but the table's replica identity may be another after a crash */
		if (stub == NULL)
			continue;
		Assert(stub->t_len < tuple.t_len);
		memcpy(PageGetItem(content.data, item), stub->t_data, stub->t_len);
		ItemIdSetNormal(item, ItemIdGetOffset(item), stub->t_len);
		heap_freetuple(stub);
		sealed[i] = true;
		nsealed++;
	}
	if (nsealed == 0)
	{
		UnlockReleaseBuffer(buffer);
		return TABLE_PAGE_DONE;
	}
	PageRepairFragmentation(content.data);
	replace_page(buffer, &content);
	space = PageGetHeapFreeSpace(page);
	UnlockReleaseBuffer(buffer);
	RecordPageWithFreeSpace(rel, todo->block, space);
	return TABLE_PAGE_DONE;
}

TablePageResult
TablePageRelink(Relation rel, BlockNumber block, TableRefMap map, void *arg, BufferAccessStrategy strategy)
{
	PGAlignedBlock content;
	Buffer		buffer;
	bool		changed = false;

	if (block >= RelationGetNumberOfBlocks(rel))
		return TABLE_PAGE_DONE;
	buffer = lock_page(rel, block, strategy);
	if (!BufferIsValid(buffer))
		return TABLE_PAGE_PINNED;

	memcpy(content.data, BufferGetPage(buffer), BLCKSZ);
	for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(content.data); offset++)
	{
		ItemId		item = PageGetItemId(content.data, offset);
		HeapTupleHeader tuple;
		TableRef	ref;

		if (!ItemIdIsNormal(item))
			continue;
		tuple = (HeapTupleHeader) PageGetItem(content.data, item);
		if (!TableTupleIsStub(tuple))
			continue;
		ref = TableStubRef(tuple, ItemIdGetLength(item));
		if (!map(arg, &ref))
			continue;
		memcpy((char *) tuple + ItemIdGetLength(item) - sizeof(TableRef), &ref, sizeof(TableRef));
		changed = true;
	}
	if (changed)
		replace_page(buffer, &content);
	UnlockReleaseBuffer(buffer);
	return TABLE_PAGE_DONE;
}
