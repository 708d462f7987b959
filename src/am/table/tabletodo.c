/*
 * tabletodo.c
 *		To-do lists: what sealing and compaction have promised with the commit of a
 *		segment and not yet done to the pages.  A list is one TOAST value; whoever has it
 *		can finish the work, after a crash too.
 *
 * Sealing:
 *	 header | page: block, rows, LSN | row: row, offset, values | value ids ... | ...
 * Compaction:
 *	 header | numbers of sources, results, blocks | sources | results | blocks |
 *	 targets of each source's rows
 * Everything is a multiple of 4 bytes, in the server's byte order, as heap pages are.
 */
#include "postgres.h"

#include "am/table/tableseal.h"
#include "port/pg_crc32c.h"

#define TODO_MAGIC 0x4d4c5444	/* "MLTD" */
#define TODO_VERSION 1

typedef struct TodoHeader
{
	uint32		magic;
	uint32		version;
	uint32		kind;			/* TableTodoKind */
	pg_crc32c	crc;			/* of all that follows */
} TodoHeader;

typedef struct TodoPage
{
	BlockNumber block;
	uint32		nrows;
	uint32		lsn_high;
	uint32		lsn_low;
} TodoPage;

typedef struct TodoRow
{
	uint32		row;
	uint16		offset;
	uint16		nvalues;
} TodoRow;

typedef struct TodoCompact
{
	uint32		nsources;
	uint32		nresults;
	uint32		nblocks;
} TodoCompact;

static void
begin(StringInfo list, TableTodoKind kind)
{
	TodoHeader	header = {.magic = TODO_MAGIC,.version = TODO_VERSION,.kind = (uint32) kind};

	initStringInfo(list);
	appendBinaryStringInfo(list, (char *) &header, sizeof(header));
}

void
TableTodoBeginSeal(StringInfo list)
{
	begin(list, TABLE_TODO_SEAL);
}

void
TableTodoAddPage(StringInfo list, const TableTodoPage *page)
{
	TodoPage	stored = {
		.block = page->block,
		.nrows = (uint32) page->nrows,
		.lsn_high = (uint32) (page->lsn >> 32),
		.lsn_low = (uint32) page->lsn
	};

	appendBinaryStringInfo(list, (char *) &stored, sizeof(stored));
	for (int i = 0; i < page->nrows; i++)
	{
		const TableTodoRow *row = &page->rows[i];
		TodoRow		stored_row = {.row = row->row,.offset = row->offset,.nvalues = row->nvalues};

		appendBinaryStringInfo(list, (char *) &stored_row, sizeof(stored_row));
		if (row->nvalues > 0)
			appendBinaryStringInfo(list, (const char *) row->values, (int) (row->nvalues * sizeof(Oid)));
	}
}

void
TableTodoFinish(StringInfo list)
{
	TodoHeader *header = (TodoHeader *) list->data;

	INIT_CRC32C(header->crc);
	COMP_CRC32C(header->crc, list->data + sizeof(TodoHeader), list->len - sizeof(TodoHeader));
	FIN_CRC32C(header->crc);
}

static pg_noinline void
damaged(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the to-do list of a segment is damaged")));
}

TableTodoKind
TableTodoVerify(const void *data, Size len)
{
	TodoHeader	header;
	pg_crc32c	crc;

	if (len < sizeof(header))
		damaged();
	memcpy(&header, data, sizeof(header));
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, (const char *) data + sizeof(TodoHeader), len - sizeof(TodoHeader));
	FIN_CRC32C(crc);
	if (header.magic != TODO_MAGIC || header.version != TODO_VERSION || !EQ_CRC32C(crc, header.crc) ||
		(header.kind != TABLE_TODO_SEAL && header.kind != TABLE_TODO_COMPACT))
		damaged();
	return (TableTodoKind) header.kind;
}

/* The next `bytes` bytes of a list. */
static const char *
take(const void *data, Size len, Size *at, Size bytes)
{
	const char *p = (const char *) data + *at;

	if (bytes > len - *at)
		damaged();
	*at += bytes;
	return p;
}

bool
TableTodoNextPage(const void *data, Size len, Size *at, TableTodoPage *page)
{
	TodoPage	stored;

	if (*at == 0)
		*at = sizeof(TodoHeader);
	if (*at == len)
		return false;
	memcpy(&stored, take(data, len, at, sizeof(stored)), sizeof(stored));
	if (stored.nrows > MaxHeapTuplesPerPage)
		damaged();
	page->block = stored.block;
	page->lsn = ((XLogRecPtr) stored.lsn_high) << 32 | stored.lsn_low;
	page->nrows = (int) stored.nrows;
	for (int i = 0; i < page->nrows; i++)
	{
		TableTodoRow *row = &page->rows[i];
		TodoRow		stored_row;

		memcpy(&stored_row, take(data, len, at, sizeof(stored_row)), sizeof(stored_row));
		row->row = stored_row.row;
		row->offset = stored_row.offset;
		row->nvalues = stored_row.nvalues;
		row->values = (const Oid *) take(data, len, at, row->nvalues * sizeof(Oid));
	}
	return true;
}

/* ---- compaction ---- */

void
TableTodoWriteCompact(StringInfo list, const TableTodoCompact *compact)
{
	TodoCompact stored = {
		.nsources = (uint32) compact->nsources,
		.nresults = (uint32) compact->nresults,
		.nblocks = compact->nblocks
	};

	begin(list, TABLE_TODO_COMPACT);
	appendBinaryStringInfo(list, (char *) &stored, sizeof(stored));
	appendBinaryStringInfo(list, (char *) compact->sources,
						   (int) (compact->nsources * sizeof(TableTodoSegment)));
	appendBinaryStringInfo(list, (char *) compact->results,
						   (int) (compact->nresults * sizeof(TableTodoSegment)));
	appendBinaryStringInfo(list, (char *) compact->blocks, (int) (compact->nblocks * sizeof(BlockNumber)));
	for (int i = 0; i < compact->nsources; i++)
		appendBinaryStringInfo(list, (char *) compact->targets[i],
							   (int) (compact->sources[i].rows * sizeof(TableTodoTarget)));
	TableTodoFinish(list);
}

/* The next n elements of `size` bytes of a list, copied; NULL for none. */
static void *
take_array(const void *data, Size len, Size *at, Size n, Size size)
{
	const char *p = take(data, len, at, n * size);
	void	   *copy;

	if (n == 0)
		return NULL;
	copy = MemoryContextAllocHuge(CurrentMemoryContext, n * size);
	memcpy(copy, p, n * size);
	return copy;
}

TableTodoCompact *
TableTodoReadCompact(const void *data, Size len)
{
	TableTodoCompact *compact = palloc0(sizeof(TableTodoCompact));
	TodoCompact stored;
	Size		at = sizeof(TodoHeader);

	memcpy(&stored, take(data, len, &at, sizeof(stored)), sizeof(stored));
	compact->nsources = (int) stored.nsources;
	compact->nresults = (int) stored.nresults;
	compact->nblocks = stored.nblocks;
	compact->sources = take_array(data, len, &at, stored.nsources, sizeof(TableTodoSegment));
	compact->results = take_array(data, len, &at, stored.nresults, sizeof(TableTodoSegment));
	compact->blocks = take_array(data, len, &at, stored.nblocks, sizeof(BlockNumber));
	compact->targets = palloc0((stored.nsources + 1) * sizeof(TableTodoTarget *));
	for (uint32 i = 0; i < stored.nsources; i++)
	{
		compact->targets[i] = take_array(data, len, &at, compact->sources[i].rows, sizeof(TableTodoTarget));
		for (uint32 row = 0; row < compact->sources[i].rows; row++)
			if (compact->targets[i][row].result > stored.nresults)
				damaged();
	}
	if (at != len)
		damaged();
	return compact;
}
