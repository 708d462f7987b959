/*
 * writer.c
 *		Writing a segment's durable form.
 *
 * Pages go through the buffer manager and are logged as full images in batches
 * by log_newpage_range().  Nothing refers to the extent until the manifest that
 * names it is published, so a crash at any point leaves unreachable pages only.
 */
#include "postgres.h"

#include "access/xloginsert.h"
#include "miscadmin.h"
#include "segment/segment.h"

/* Pages written before they are logged together. */
#define WRITER_BATCH 32

struct SegmentWriter
{
	Relation	rel;
	SegmentHeader header;
	BlockNumber start;
	BufferAccessStrategy strategy;

	int			section;		/* being written */
	uint64		section_done;
	pg_crc32c	crc;

	uint32		page;			/* data page being filled */
	Size		used;			/* bytes in it */
	BlockNumber logged_to;		/* blocks before this one are logged */
	PGAlignedBlock buf;			/* its image */
};

BlockNumber
SegmentPlan(SegmentHeader *header)
{
	uint64		offset = 0;
	uint64		pages;

	Assert(header->nsections <= SEGMENT_MAX_SECTIONS);
	for (uint32 i = 0; i < header->nsections; i++)
	{
		offset = TYPEALIGN64(SEGMENT_ALIGN, offset);
		header->sections[i].offset = offset;
		offset += header->sections[i].bytes;
	}
	pages = (offset + SEG_PAGE_PAYLOAD - 1) / SEG_PAGE_PAYLOAD;
	header->mark_pages = (header->rows + SEGMENT_MARKS_PER_PAGE - 1) / SEGMENT_MARKS_PER_PAGE;
	if (pages + header->mark_pages + 1 > MaxBlockNumber / 2)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("segment of " UINT64_FORMAT " bytes is too large", offset),
				 errhint("Lower the index option \"segment_rows\".")));
	header->data_pages = (uint32) pages;
	header->magic = SEGMENT_MAGIC;
	header->version = SEGMENT_VERSION;
	return 1 + header->data_pages + header->mark_pages;
}

/*
 * Log what was written since the last call.
 */
static void
log_written(SegmentWriter *writer, BlockNumber end)
{
	if (end > writer->logged_to && RelationNeedsWAL(writer->rel))
		log_newpage_range(writer->rel, MAIN_FORKNUM, writer->logged_to, end, true);
	writer->logged_to = end;
}

/*
 * Put one page image into its buffer.
 */
static void
put_page(SegmentWriter *writer, BlockNumber block, const char *image)
{
	Buffer		buffer = ReadBufferExtended(writer->rel, MAIN_FORKNUM, block,
											RBM_ZERO_AND_LOCK, writer->strategy);

	START_CRIT_SECTION();
	memcpy(BufferGetPage(buffer), image, BLCKSZ);
	MarkBufferDirty(buffer);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}

/*
 * Begin the image of the next data page; initialising it zeroes it.
 */
static void
start_data_page(SegmentWriter *writer)
{
	SegPageInit((Page) writer->buf.data, SEG_PAGE_DATA, &writer->header.id,
				writer->page + 1, SEG_PAGE_PAYLOAD);
	writer->used = 0;
}

static void
flush_data_page(SegmentWriter *writer)
{
	BlockNumber block = writer->start + 1 + writer->page;

	CHECK_FOR_INTERRUPTS();
	Assert(writer->page < writer->header.data_pages);
	put_page(writer, block, writer->buf.data);
	writer->page++;
	start_data_page(writer);
	if (block + 1 - writer->logged_to >= WRITER_BATCH)
		log_written(writer, block + 1);
}

/*
 * Append raw bytes to the stream of data pages.
 */
static void
append_bytes(SegmentWriter *writer, const char *data, Size bytes)
{
	while (bytes > 0)
	{
		Size		n = Min(bytes, SEG_PAGE_PAYLOAD - writer->used);

		if (data != NULL)
		{
			memcpy(writer->buf.data + SEG_PAGE_OFFSET + writer->used, data, n);
			data += n;
		}
		writer->used += n;
		bytes -= n;
		if (writer->used == SEG_PAGE_PAYLOAD)
			flush_data_page(writer);
	}
}

/*
 * Step over sections that are complete, keeping their checksums, and pad to the
 * next one's offset.
 */
static void
next_section(SegmentWriter *writer)
{
	SegmentHeader *header = &writer->header;

	while (writer->section < (int) header->nsections &&
		   writer->section_done == header->sections[writer->section].bytes)
	{
		uint64		end = header->sections[writer->section].offset + writer->section_done;

		FIN_CRC32C(writer->crc);
		header->sections[writer->section].crc = writer->crc;
		INIT_CRC32C(writer->crc);
		writer->section++;
		writer->section_done = 0;
		if (writer->section < (int) header->nsections)
			append_bytes(writer, NULL, header->sections[writer->section].offset - end);
	}
}

SegmentWriter *
SegmentWriterBegin(Relation rel, const SegmentHeader *header, BlockNumber start)
{
	SegmentWriter *writer = palloc0(sizeof(SegmentWriter));

	writer->rel = rel;
	writer->header = *header;
	writer->start = start;
	writer->logged_to = start + 1;
	writer->strategy = GetAccessStrategy(BAS_BULKWRITE);
	INIT_CRC32C(writer->crc);
	start_data_page(writer);
	next_section(writer);
	return writer;
}

void
SegmentWriterAppend(SegmentWriter *writer, const void *data, Size bytes)
{
	const char *p = data;

	while (bytes > 0)
	{
		SegmentSection *section;
		Size		n;

		if (writer->section >= (int) writer->header.nsections)
			elog(ERROR, "segment writer was given more bytes than planned");
		section = &writer->header.sections[writer->section];
		n = Min(bytes, section->bytes - writer->section_done);
		COMP_CRC32C(writer->crc, p, n);
		append_bytes(writer, p, n);
		writer->section_done += n;
		p += n;
		bytes -= n;
		next_section(writer);
	}
}

void
SegmentWriterFinish(SegmentWriter *writer, const uint64 *marks)
{
	SegmentHeader *header = &writer->header;
	BlockNumber block = writer->start + 1 + header->data_pages;
	uint64		bytes = SEGMENT_MARK_WORDS(header->rows) * sizeof(uint64);

	if (writer->section < (int) header->nsections)
		elog(ERROR, "segment writer was given fewer bytes than planned");
	if (writer->used > 0)
		flush_data_page(writer);
	Assert(writer->page == header->data_pages);

	for (uint32 i = 0; i < header->mark_pages; i++)
	{
		uint64		from = (uint64) i * SEG_PAGE_PAYLOAD;

		memset(writer->buf.data, 0, BLCKSZ);
		SegPageInit((Page) writer->buf.data, SEG_PAGE_MARKS, &header->id,
					1 + header->data_pages + i, SEG_PAGE_PAYLOAD);
		if (marks != NULL && from < bytes)
			memcpy(writer->buf.data + SEG_PAGE_OFFSET, (const char *) marks + from,
				   Min(bytes - from, SEG_PAGE_PAYLOAD));
		put_page(writer, block + i, writer->buf.data);
	}
	log_written(writer, block + header->mark_pages);

	INIT_CRC32C(header->crc);
	COMP_CRC32C(header->crc, header, offsetof(SegmentHeader, crc));
	FIN_CRC32C(header->crc);
	memset(writer->buf.data, 0, BLCKSZ);
	SegPageInit((Page) writer->buf.data, SEG_PAGE_HEADER, &header->id, 0, sizeof(SegmentHeader));
	memcpy(SegPageGetContents((Page) writer->buf.data), header, sizeof(SegmentHeader));
	put_page(writer, writer->start, writer->buf.data);
	writer->logged_to = writer->start;
	log_written(writer, writer->start + 1);
	FreeAccessStrategy(writer->strategy);
	pfree(writer);
}
