/*
 * reader.c
 *		Reading a segment's durable form, and its marks, through the buffers.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "segment/segment.h"

/*
 * Pin and share-lock a page of the segment; InvalidBuffer when it is not (or no
 * longer) that page of that segment.
 */
static Buffer
get_page(Relation rel, const SegmentId *id, BlockNumber start, uint32 number,
		 SegPageKind kind, int lockmode, BufferAccessStrategy strategy)
{
	Buffer		buffer;
	Page		page;

	if (start + number >= RelationGetNumberOfBlocks(rel))
		return InvalidBuffer;
	buffer = ReadBufferExtended(rel, MAIN_FORKNUM, start + number, RBM_NORMAL, strategy);
	LockBuffer(buffer, lockmode);
	page = BufferGetPage(buffer);
	if (!SegPageIs(page, kind, id) || SegPageGetHeader(page)->number != number)
	{
		UnlockReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	return buffer;
}

bool
SegmentReaderOpen(SegmentReader *reader, Relation rel, const SegmentId *id,
				  BlockNumber start, SegmentHeader *header)
{
	Buffer		buffer = get_page(rel, id, start, 0, SEG_PAGE_HEADER, BUFFER_LOCK_SHARE, NULL);
	pg_crc32c	crc;

	reader->rel = rel;
	reader->id = *id;
	reader->start = start;
	reader->strategy = NULL;
	reader->buffer = InvalidBuffer;
	reader->block = InvalidBlockNumber;
	if (!BufferIsValid(buffer))
		return false;
	memcpy(header, SegPageGetContents(BufferGetPage(buffer)), sizeof(SegmentHeader));
	UnlockReleaseBuffer(buffer);

	if (header->magic == SEGMENT_MAGIC && header->version != SEGMENT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("segment of index \"%s\" has format version %u, this library reads version %u",
						RelationGetRelationName(rel), header->version, SEGMENT_VERSION),
				 errhint("Update the extension's library, or REINDEX.")));
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, header, offsetof(SegmentHeader, crc));
	FIN_CRC32C(crc);
	if (header->magic != SEGMENT_MAGIC || !EQ_CRC32C(crc, header->crc) ||
		header->nsections > SEGMENT_MAX_SECTIONS || !SegmentIdEquals(&header->id, id))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("segment header in block %u of index \"%s\" is damaged",
						start, RelationGetRelationName(rel)),
				 errhint("REINDEX the index.")));
	return true;
}

void
SegmentReaderRelease(SegmentReader *reader)
{
	if (BufferIsValid(reader->buffer))
		ReleaseBuffer(reader->buffer);
	reader->buffer = InvalidBuffer;
	reader->block = InvalidBlockNumber;
}

/*
 * Data pages never change once published, so only a pin is kept between reads;
 * the header is tested when the page is pinned.
 */
bool
SegmentReaderRead(SegmentReader *reader, uint64 offset, Size bytes, void *dst)
{
	char	   *out = dst;

	while (bytes > 0)
	{
		uint32		number = (uint32) (offset / SEG_PAGE_PAYLOAD) + 1;
		Size		at = offset % SEG_PAGE_PAYLOAD;
		Size		n = Min(bytes, SEG_PAGE_PAYLOAD - at);

		if (reader->block != number)
		{
			CHECK_FOR_INTERRUPTS();
			SegmentReaderRelease(reader);
			if (SegmentPace != NULL)
				SegmentPace(0, 0);
			reader->buffer = get_page(reader->rel, &reader->id, reader->start, number,
									  SEG_PAGE_DATA, BUFFER_LOCK_SHARE, reader->strategy);
			if (!BufferIsValid(reader->buffer))
				return false;
			LockBuffer(reader->buffer, BUFFER_LOCK_UNLOCK);
			reader->block = number;
		}
		memcpy(out, SegPageGetContents(BufferGetPage(reader->buffer)) + at, n);
		out += n;
		offset += n;
		bytes -= n;
	}
	return true;
}

const SegmentSection *
SegmentFindSection(const SegmentHeader *header, uint32 id)
{
	for (uint32 i = 0; i < header->nsections; i++)
		if (header->sections[i].id == id)
			return &header->sections[i];
	return NULL;
}

bool
SegmentReadMarks(Relation rel, const SegmentId *id, BlockNumber start,
				 const SegmentHeader *header, uint64 *bits, uint64 *count)
{
	uint64		words = SEGMENT_MARK_WORDS(header->rows);
	uint64		per_page = SEG_PAGE_PAYLOAD / sizeof(uint64);

	*count = 0;
	for (uint32 i = 0; i < header->mark_pages; i++)
	{
		Buffer		buffer = get_page(rel, id, start, 1 + header->data_pages + i,
									  SEG_PAGE_MARKS, BUFFER_LOCK_SHARE, NULL);
		uint64		first = i * per_page;
		uint64	   *source;

		if (!BufferIsValid(buffer))
			return false;
		source = (uint64 *) SegPageGetContents(BufferGetPage(buffer));
		for (uint64 w = first; w < Min(words, first + per_page); w++)
		{
			bits[w] |= source[w - first];
			*count += pg_popcount64(bits[w]);
		}
		UnlockReleaseBuffer(buffer);
	}
	return true;
}

bool
SegmentWriteMarks(Relation rel, const SegmentId *id, BlockNumber start,
				  const SegmentHeader *header, const uint64 *bits)
{
	uint64		words = SEGMENT_MARK_WORDS(header->rows);
	uint64		per_page = SEG_PAGE_PAYLOAD / sizeof(uint64);

	for (uint32 i = 0; i < header->mark_pages; i++)
	{
		uint64		first = i * per_page;
		uint64		end = Min(words, first + per_page);
		bool		any = false;
		Buffer		buffer;
		GenericXLogState *state;
		uint64	   *target;

		for (uint64 w = first; w < end && !any; w++)
			any = bits[w] != 0;
		if (!any)
			continue;
		buffer = get_page(rel, id, start, 1 + header->data_pages + i,
						  SEG_PAGE_MARKS, BUFFER_LOCK_EXCLUSIVE, NULL);
		if (!BufferIsValid(buffer))
			return false;
		state = GenericXLogStart(rel);
		target = (uint64 *) SegPageGetContents(GenericXLogRegisterBuffer(state, buffer, 0));
		for (uint64 w = first; w < end; w++)
			target[w - first] |= bits[w];
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
	}
	return true;
}
