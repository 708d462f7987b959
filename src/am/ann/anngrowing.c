/*
 * anngrowing.c
 *		The growing part: a chain of pages that inserts append to.
 *
 * An entry is an item pointer, flags and, for a vector, the tuple of the other
 * columns (if the index has any) and its elements.  Entries
 * larger than a page ("large") have a page of their own, whose vector goes on in
 * the blocks right behind it.  Only the last page of the chain takes entries; a
 * page that has a successor or is closed never does.  Lock order: metapage,
 * growing page.
 */
#include "postgres.h"

#include "am/ann/ann.h"
#include "guc.h"
#include "miscadmin.h"

#include "storage/lmgr.h"

#define ENTRY_ALIGN 4

/* Blocks that the growing part takes from the relation's end at a time, at most. */
#define MAX_EXTEND_BLOCKS 64

/*
 * Bytes of an entry, its header included.  The size of a vector entry is that of
 * all its pages together.
 */
Size
AnnEntryBytes(const AnnParams *params, uint16 flags, Size attr_bytes)
{
	if (flags & (ANN_ENTRY_NULL | ANN_ENTRY_ZERO))
		return sizeof(AnnEntry);
	if (flags & ANN_ENTRY_ATTRS)
		return MAXALIGN(sizeof(AnnEntry) + attr_bytes + AnnVectorBytes(params));
	return TYPEALIGN(ENTRY_ALIGN, sizeof(AnnEntry) + AnnVectorBytes(params));
}

int
AnnRestPages(const AnnParams *params, Size attr_bytes)
{
	Size		bytes = AnnEntryBytes(params, attr_bytes > 0 ? ANN_ENTRY_ATTRS : 0, attr_bytes);

	return (bytes + SEG_PAGE_PAYLOAD - 1) / SEG_PAGE_PAYLOAD - 1;
}

IndexTuple
AnnEntryAttrs(const AnnEntry *entry)
{
	return entry->flags & ANN_ENTRY_ATTRS ? (IndexTuple) (entry + 1) : NULL;
}

static inline Size
attr_bytes_of(const AnnEntry *entry)
{
	return entry->flags & ANN_ENTRY_ATTRS ? IndexTupleSize((IndexTuple) (entry + 1)) : 0;
}

int
AnnGrowingRest(const AnnParams *params, Page page, const AnnGrowingPage *info)
{
	if ((info->flags & ANN_GROWING_LARGE) == 0)
		return 0;
	return AnnRestPages(params, attr_bytes_of(AnnEntryAt(params, page, ANN_FIRST_ENTRY)));
}

static inline bool
page_has_room(Page page, Size bytes)
{
	return ((PageHeader) page)->pd_lower + bytes <= BLCKSZ;
}

/* What an insert adds. */
typedef struct NewEntry
{
	ItemPointer tid;
	uint16		flags;
	IndexTuple	attrs;			/* NULL: none */
	Size		attr_bytes;
	const void *data;
	Size		vector_bytes;	/* of them on the entry's first page */
	Size		bytes;			/* of the entry on that page */
} NewEntry;

/*
 * Append an entry to a growing page, which holds zeroes behind pd_lower.
 */
static void
append_entry(Page page, const NewEntry *new)
{
	PageHeader	header = (PageHeader) page;
	AnnEntry   *entry = (AnnEntry *) ((char *) page + header->pd_lower);

	Assert(header->pd_lower + new->bytes <= BLCKSZ);
	memset(entry, 0, new->bytes);
	entry->tid = *new->tid;
	entry->flags = new->flags;
	if (new->attr_bytes > 0)
		memcpy(entry + 1, new->attrs, new->attr_bytes);
	if (new->vector_bytes > 0)
		memcpy((char *) (entry + 1) + new->attr_bytes, new->data, new->vector_bytes);
	header->pd_lower += new->bytes;
	SegPageGetHeader(page)->number++;
}

/*
 * Append to the last page if it has room.  Returns false when a page must be
 * added (or the tail has moved on).
 */
static bool
insert_on_tail(Relation index, const AnnMeta *meta, const NewEntry *new)
{
	Buffer		buffer = ReadBuffer(index, meta->growing_tail);
	SegPageHeader *header;
	AnnLog		log = {0};
	Page		page;
	uint16		at;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(buffer);
	header = SegPageGetHeader(page);
	if (!SegPageIs(page, SEG_PAGE_GROWING, &meta->index_id) ||
		BlockNumberIsValid(header->next) ||
		(header->flags & (ANN_GROWING_CLOSED | ANN_GROWING_LARGE)) != 0 ||
		!page_has_room(page, new->bytes))
	{
		UnlockReleaseBuffer(buffer);
		return false;
	}
	at = ((PageHeader) page)->pd_lower;
	START_CRIT_SECTION();
	append_entry(page, new);
	AnnLogBuffer(&log, 0, buffer, false);
	AnnLogRange(&log, 0, &((PageHeader) page)->pd_lower, sizeof(LocationIndex));
	AnnLogRange(&log, 0, &header->number, sizeof(header->number));
	AnnLogRange(&log, 0, (char *) page + at, new->bytes);
	AnnLogFinish(&log, index);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
	return true;
}

/*
 * nblocks contiguous blocks for growing pages from the reserves in `meta`, a copy
 * of the metapage that will be logged; InvalidBlockNumber when there are none.
 */
static BlockNumber
take_blocks(AnnMeta *meta, BlockNumber nblocks)
{
	for (uint32 i = 0; i < meta->nreserves; i++)
	{
		AnnRun	   *run = &meta->reserves[i];
		BlockNumber start = run->start;

		if (run->end - run->start < nblocks)
			continue;
		run->start += nblocks;
		if (run->start == run->end)
			*run = meta->reserves[--meta->nreserves];
		return start;
	}
	return InvalidBlockNumber;
}

/*
 * Add to the reserves from the relation's end.  The file is extended before the
 * metapage is locked, for all scans and inserts wait for that lock; until the
 * blocks are written down there the shared lock keeps garbage collection off.
 */
static void
add_reserve(Relation index, uint64 growing_rows, BlockNumber nblocks)
{
	/* small indexes stay small, busy ones grow in larger steps */
	BlockNumber count = nblocks * Max(1, Min(MAX_EXTEND_BLOCKS / nblocks, growing_rows / 32));
	BlockNumber start;
	Buffer		metabuf;
	AnnMeta    *meta;
	AnnLog		log = {0};
	uint32		at;

	LockPage(index, ANN_BLOCKS_LOCK, ShareLock);
	start = SegReserveBlocks(index, count);
	SegLogEnd(index, start + count - 1);
	MILVUS_DEBUG_POINT("insert-reserved");

	metabuf = AnnLockMeta(index);
	meta = AnnMetaOf(BufferGetPage(metabuf));
	at = meta->nreserves;
	if (at == ANN_MAX_RESERVES)
	{
		/* the shortest run makes room; garbage collection finds its blocks */
		at = 0;
		for (uint32 i = 1; i < ANN_MAX_RESERVES; i++)
			if (meta->reserves[i].end - meta->reserves[i].start <
				meta->reserves[at].end - meta->reserves[at].start)
				at = i;
	}
	START_CRIT_SECTION();
	meta->reserves[at].start = start;
	meta->reserves[at].end = start + count;
	meta->nreserves = Max(meta->nreserves, at + 1);
	AnnLogBuffer(&log, 0, metabuf, false);
	AnnLogRange(&log, 0, meta, sizeof(AnnMeta));
	AnnLogFinish(&log, index);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(metabuf);
	UnlockPage(index, ANN_BLOCKS_LOCK, ShareLock);
}

/*
 * Write the part of a large vector that lies behind its first page.  The blocks
 * are nobody else's and not yet linked.
 */
static void
write_rest(Relation index, const AnnMeta *meta, BlockNumber start, int nrest,
		   const char *data, Size bytes)
{
	for (int i = 0; i < nrest; i++)
	{
		Buffer		buffer = ReadBufferExtended(index, MAIN_FORKNUM, start + i, RBM_ZERO_AND_LOCK, NULL);
		GenericXLogState *state = GenericXLogStart(index);
		Page		page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);
		Size		n = Min(bytes, SEG_PAGE_PAYLOAD);

		SegPageInit(page, SEG_PAGE_GROWING_REST, &meta->index_id, i + 1, n);
		memcpy(SegPageGetContents(page), data, n);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
		data += n;
		bytes -= n;
	}
}

typedef enum NewPageResult
{
	PAGE_ADDED,
	PAGE_TAIL_MOVED,			/* somebody else added one */
	PAGE_NO_BLOCKS				/* the reserves are empty */
} NewPageResult;

/*
 * Add a page with the entry behind `old_tail`.  large_start: the blocks of a
 * large entry, taken and filled before; else InvalidBlockNumber.
 */
static NewPageResult
insert_on_new_page(Relation index, BlockNumber old_tail, BlockNumber large_start,
				   const NewEntry *new, uint64 *growing_rows)
{
	Buffer		metabuf = AnnLockMeta(index);
	Buffer		tailbuf = InvalidBuffer;
	Buffer		buffer;
	AnnMeta    *meta = AnnMetaOf(BufferGetPage(metabuf));
	AnnMeta		changed;
	AnnLog		log = {0};
	SegmentId	index_id = meta->index_id;
	uint64		ordinal = meta->next_ordinal;
	uint64		head_ordinal;
	BlockNumber block;
	Page		page;

	if (meta->growing_tail != old_tail)
	{
		UnlockReleaseBuffer(metabuf);
		return PAGE_TAIL_MOVED;
	}
	changed = *meta;
	block = BlockNumberIsValid(large_start) ? large_start : take_blocks(&changed, 1);
	if (!BlockNumberIsValid(block))
	{
		UnlockReleaseBuffer(metabuf);
		return PAGE_NO_BLOCKS;
	}
	if (BlockNumberIsValid(old_tail))
	{
		tailbuf = ReadBuffer(index, old_tail);
		LockBuffer(tailbuf, BUFFER_LOCK_EXCLUSIVE);
		page = BufferGetPage(tailbuf);
		if (!SegPageIs(page, SEG_PAGE_GROWING, &index_id) ||
			BlockNumberIsValid(SegPageGetHeader(page)->next))
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("last growing page %u of index \"%s\" is damaged", old_tail,
							RelationGetRelationName(index)),
					 errhint("REINDEX the index.")));
		ordinal = SegPageGetHeader(page)->ordinal + SegPageGetHeader(page)->number;
	}

	head_ordinal = BlockNumberIsValid(old_tail) ? meta->growing_head_ordinal : ordinal;
	*growing_rows = ordinal + 1 - head_ordinal;

	buffer = ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, NULL);
	changed.growing_tail = block;
	if (!BlockNumberIsValid(old_tail))
	{
		changed.growing_head = block;
		changed.growing_head_ordinal = ordinal;
	}

	START_CRIT_SECTION();
	*meta = changed;
	AnnLogBuffer(&log, 0, metabuf, false);
	AnnLogRange(&log, 0, meta, sizeof(AnnMeta));
	page = BufferGetPage(buffer);
	SegPageInit(page, SEG_PAGE_GROWING, &index_id, 0, 0);
	SegPageGetHeader(page)->ordinal = ordinal;
	if (BlockNumberIsValid(large_start))
		SegPageGetHeader(page)->flags |= ANN_GROWING_LARGE;
	append_entry(page, new);
	AnnLogBuffer(&log, 1, buffer, true);
	if (BlockNumberIsValid(old_tail))
	{
		SegPageHeader *header = SegPageGetHeader(BufferGetPage(tailbuf));

		header->next = block;
		AnnLogBuffer(&log, 2, tailbuf, false);
		AnnLogRange(&log, 2, &header->next, sizeof(header->next));
	}
	AnnLogFinish(&log, index);
	END_CRIT_SECTION();

	UnlockReleaseBuffer(buffer);
	if (BufferIsValid(tailbuf))
		UnlockReleaseBuffer(tailbuf);
	UnlockReleaseBuffer(metabuf);
	return PAGE_ADDED;
}

/*
 * Insert an entry larger than a page: take its blocks, fill those behind the
 * first, then link.  A crash before the link leaves blocks that garbage
 * collection finds; the shared lock keeps it off until then.
 */
static void
insert_large(Relation index, const AnnParams *params, NewEntry *new, uint64 *growing_rows)
{
	int			nrest = AnnRestPages(params, new->attr_bytes);
	Size		first_bytes = SEG_PAGE_PAYLOAD - sizeof(AnnEntry) - new->attr_bytes;
	AnnMeta		meta;
	BlockNumber start;

	LockPage(index, ANN_BLOCKS_LOCK, ShareLock);
	for (;;)
	{
		Buffer		metabuf = AnnLockMeta(index);
		AnnMeta    *page_meta = AnnMetaOf(BufferGetPage(metabuf));
		AnnLog		log = {0};

		meta = *page_meta;
		start = take_blocks(&meta, 1 + nrest);
		if (BlockNumberIsValid(start))
		{
			START_CRIT_SECTION();
			*page_meta = meta;
			AnnLogBuffer(&log, 0, metabuf, false);
			AnnLogRange(&log, 0, page_meta, sizeof(AnnMeta));
			AnnLogFinish(&log, index);
			END_CRIT_SECTION();
		}
		UnlockReleaseBuffer(metabuf);
		if (BlockNumberIsValid(start))
			break;
		add_reserve(index, 0, 1 + nrest);
	}
	MILVUS_DEBUG_POINT("insert-large-taken");

	write_rest(index, &meta, start + 1, nrest, (const char *) new->data + first_bytes,
			   AnnVectorBytes(params) - first_bytes);
	new->bytes = SEG_PAGE_PAYLOAD;
	new->vector_bytes = first_bytes;
	MILVUS_DEBUG_POINT("insert-large-filled");
	for (;;)
	{
		AnnReadMeta(index, &meta);
		if (insert_on_new_page(index, meta.growing_tail, start, new, growing_rows) == PAGE_ADDED)
			break;
	}
	UnlockPage(index, ANN_BLOCKS_LOCK, ShareLock);
}

/*
 * Add an entry.  *growing_rows: entries in the growing part when a page was
 * added, else 0.
 */
void
AnnGrowingInsert(Relation index, Relation heap, const AnnParams *params, ItemPointer tid,
				 AnnRowClass class, const void *data, IndexTuple attrs, uint64 *growing_rows)
{
	NewEntry	new = {0};

	new.tid = tid;
	new.data = data;
	if (class == ANN_ROW_NULL)
		new.flags = ANN_ENTRY_NULL;
	else if (class == ANN_ROW_ZERO)
		new.flags = ANN_ENTRY_ZERO;
	else
	{
		if (attrs != NULL)
		{
			new.flags = ANN_ENTRY_ATTRS;
			new.attrs = attrs;
			new.attr_bytes = IndexTupleSize(attrs);
		}
		new.vector_bytes = AnnVectorBytes(params);
	}
	new.bytes = AnnEntryBytes(params, new.flags, new.attr_bytes);

	*growing_rows = 0;
	if (new.bytes > SEG_PAGE_PAYLOAD)
	{
		insert_large(index, params, &new, growing_rows);
		return;
	}
	for (;;)
	{
		AnnMeta		meta;

		CHECK_FOR_INTERRUPTS();
		AnnReadMeta(index, &meta);
		MILVUS_DEBUG_POINT("insert-meta-read");
		if (BlockNumberIsValid(meta.growing_tail) &&
			insert_on_tail(index, &meta, &new))
		{
			MILVUS_DEBUG_POINT("insert-appended");
			return;
		}
		MILVUS_DEBUG_POINT("insert-new-page");
		switch (insert_on_new_page(index, meta.growing_tail, InvalidBlockNumber, &new, growing_rows))
		{
			case PAGE_ADDED:
				MILVUS_DEBUG_POINT("insert-page-added");
				return;
			case PAGE_TAIL_MOVED:
				break;
			case PAGE_NO_BLOCKS:
				add_reserve(index, AnnGrowingRows(index, &meta), 1);
				break;
		}
	}
}

/* ---- reading ---- */

Buffer
AnnGrowingOpen(Relation index, const SegmentId *index_id, BlockNumber block, uint64 ordinal,
			   int lockmode, AnnGrowingPage *info)
{
	Buffer		buffer = ReadBuffer(index, block);
	Page		page = BufferGetPage(buffer);
	SegPageHeader *header = SegPageGetHeader(page);

	LockBuffer(buffer, lockmode);
	if (!SegPageIs(page, SEG_PAGE_GROWING, index_id) || header->ordinal != ordinal)
	{
		UnlockReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	if (((PageHeader) page)->pd_lower < SEG_PAGE_OFFSET || ((PageHeader) page)->pd_lower > BLCKSZ ||
		header->number > SEG_PAGE_PAYLOAD / sizeof(AnnEntry))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("growing page in block %u of index \"%s\" is damaged", block,
						RelationGetRelationName(index)),
				 errhint("REINDEX the index.")));
	info->block = block;
	info->ordinal = header->ordinal;
	info->next = header->next;
	info->flags = header->flags;
	info->nentries = header->number;
	return buffer;
}

Size
AnnNextEntry(const AnnParams *params, Page page, Size offset)
{
	AnnEntry   *entry = (AnnEntry *) ((char *) page + offset);

	return offset + Min(AnnEntryBytes(params, entry->flags, attr_bytes_of(entry)), SEG_PAGE_PAYLOAD);
}

/*
 * Whether the attributes of an entry, of which the header lies within the page,
 * lie within it, too.
 */
static bool
attrs_fit(const AnnEntry *entry, Size offset, Size end)
{
	Size		bytes;

	if ((entry->flags & ANN_ENTRY_ATTRS) == 0)
		return true;
	offset += sizeof(AnnEntry);
	if (offset + sizeof(IndexTupleData) > end)
		return false;
	bytes = IndexTupleSize((IndexTuple) (entry + 1));
	return bytes >= sizeof(IndexTupleData) && bytes <= ANN_MAX_ATTR_BYTES && offset + bytes <= end;
}

AnnEntry *
AnnEntryAt(const AnnParams *params, Page page, Size offset)
{
	Size		end = ((PageHeader) page)->pd_lower;

	if (offset + sizeof(AnnEntry) > end ||
		!attrs_fit((AnnEntry *) ((char *) page + offset), offset, end) ||
		AnnNextEntry(params, page, offset) > end ||
		!ItemPointerIsValid(&((AnnEntry *) ((char *) page + offset))->tid))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("entries of a growing page do not fit its contents"),
				 errhint("REINDEX the index.")));
	return (AnnEntry *) ((char *) page + offset);
}

const void *
AnnEntryVector(Relation index, const SegmentId *index_id, const AnnParams *params, Page page,
			   const AnnGrowingPage *info, Size offset, void *scratch)
{
	char	   *vector = (char *) page + offset + sizeof(AnnEntry) +
		attr_bytes_of((AnnEntry *) ((char *) page + offset));
	Size		bytes = AnnVectorBytes(params);
	Size		n = (char *) page + SEG_PAGE_OFFSET + SEG_PAGE_PAYLOAD - vector;
	char	   *out = scratch;

	if ((info->flags & ANN_GROWING_LARGE) == 0)
		return vector;
	memcpy(out, vector, n);
	for (int i = 1; n < bytes; i++)
	{
		Size		part = Min(bytes - n, SEG_PAGE_PAYLOAD);
		Buffer		buffer = ReadBuffer(index, info->block + i);
		Page		rest = BufferGetPage(buffer);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (!SegPageIs(rest, SEG_PAGE_GROWING_REST, index_id) ||
			SegPageGetHeader(rest)->number != (uint32) i)
		{
			UnlockReleaseBuffer(buffer);
			return NULL;
		}
		memcpy(out + n, SegPageGetContents(rest), part);
		UnlockReleaseBuffer(buffer);
		n += part;
	}
	return scratch;
}
