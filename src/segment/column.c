/*
 * column.c
 *		Encoded chunks of a column: header, nulls, and what is not null as a node.
 *
 * Form:
 *		ChunkHeader | null bitmap (a block, when some but not all rows are null) | node
 * The node has the rows that are not null.  Numbers are of the machine's byte order, as everything
 * in a data directory.
 */
#include "segment/column_internal.h"

#define CHUNK_MAGIC UINT32_C(0x4C4F434D)
#define CHUNK_VERSION 1

/* flags */
#define CHUNK_NULLS 1
#define CHUNK_COMPRESSED 2		/* some block is; for the name */
#define CHUNK_LZ4 4				/* by lz4 */
#define CHUNK_FLAGS 7

typedef struct ChunkHeader
{
	uint32_t	magic;
	uint32_t	checksum;		/* CRC-32C of all that follows */
	uint16_t	version;
	uint8_t		kind;
	uint8_t		flags;
	uint8_t		encoding;		/* of the uppermost node; for the name */
	uint8_t		unused[3];
	uint32_t	rows;
	uint32_t	present;		/* rows that are not null */
	uint32_t	width;
	uint32_t	skip;
	uint64_t	value_bytes;
} ChunkHeader;

_Static_assert(sizeof(ChunkHeader) == 40, "no padding in a stored header");

#define CHECKED_FROM offsetof(ChunkHeader, version)

static inline bool
null_bit(const uint8_t *nulls, uint32_t row)
{
	return nulls[row / 8] >> (row % 8) & 1;
}

/* ---- encoding ---- */

/* What a view's rows are once the nulls are left out. */
typedef struct Dense
{
	uint8_t    *nulls;			/* bitmap from bit 0 on; NULL when there are none */
	uint32_t	present;
	const uint8_t *values;
	const uint32_t *offsets;	/* from 0 */
	size_t		value_bytes;	/* variable: of present rows */
	void	   *owned_values;
	void	   *owned_offsets;
} Dense;

static bool
valid_view(const ColumnView *view, const ColumnShape *shape)
{
	if (view->width != shape->width || shape->kind > COLUMN_HALF_VECTOR)
		return false;
	if (shape->align != 0 && shape->align != 1 && shape->align != 2 && shape->align != 4 &&
		shape->align != 8)
		return false;
	if (view->width > 0)
	{
		if (view->values == NULL && view->rows > 0)
			return false;
		if ((uint64_t) view->rows * view->width > UINT32_MAX || shape->skip > view->width)
			return false;
		return true;
	}
	if (view->rows == 0)
		return true;
	if (view->offsets == NULL)
		return false;
	for (uint32_t i = 0; i < view->rows; i++)
	{
		if (view->offsets[i] > view->offsets[i + 1])
			return false;
	}
	return view->values != NULL || view->offsets[view->rows] == view->offsets[0];
}

static void
make_dense(const ColumnView *view, ColumnWriter *writer, Dense *dense)
{
	const ColumnMemory *memory = writer->memory;
	uint32_t	rows = view->rows;
	uint32_t	row;

	memset(dense, 0, sizeof(*dense));
	dense->present = rows;
	if (view->nulls != NULL && rows > 0)
	{
		dense->nulls = ColumnAlloc(memory, ((size_t) rows + 7) / 8, &writer->status);
		if (dense->nulls == NULL)
			return;
		memset(dense->nulls, 0, ((size_t) rows + 7) / 8);
		for (row = 0; row < rows; row++)
		{
			if (ColumnIsNull(view, row))
			{
				dense->nulls[row / 8] |= (uint8_t) (1u << (row % 8));
				dense->present--;
			}
		}
		if (dense->present == rows)
		{
			ColumnFree(memory, dense->nulls);
			dense->nulls = NULL;
		}
	}
	dense->values = view->values;
	if (view->width > 0)
	{
		uint8_t    *to;

		dense->value_bytes = (size_t) rows * view->width;
		if (dense->nulls == NULL)
			return;
		to = ColumnAlloc(memory, (size_t) dense->present * view->width, &writer->status);
		if (to == NULL)
			return;
		dense->values = dense->owned_values = to;
		for (row = 0; row < rows; row++)
		{
			if (!null_bit(dense->nulls, row))
			{
				memcpy(to, view->values + (size_t) row * view->width, view->width);
				to += view->width;
			}
		}
	}
	else
	{
		uint32_t   *offsets = ColumnAlloc(memory, ((size_t) dense->present + 1) * sizeof(uint32_t),
										  &writer->status);
		uint32_t	at = 0;
		uint32_t	n = 0;

		if (offsets == NULL)
			return;
		dense->offsets = dense->owned_offsets = offsets;
		for (row = 0; row < rows; row++)
		{
			if (dense->nulls == NULL || !null_bit(dense->nulls, row))
			{
				offsets[n++] = at;
				at += view->offsets[row + 1] - view->offsets[row];
			}
		}
		offsets[n] = at;
		dense->value_bytes = at;
		if (rows == 0)
			return;
		if (at == view->offsets[rows] - view->offsets[0])
		{
			if (at > 0)
				dense->values += view->offsets[0];
		}
		else
		{
			/* a null row has bytes: they are left out */
			uint8_t    *to = ColumnAlloc(memory, at, &writer->status);

			if (to == NULL)
				return;
			dense->values = dense->owned_values = to;
			for (row = 0; row < rows; row++)
			{
				uint32_t	length = view->offsets[row + 1] - view->offsets[row];

				if (!null_bit(dense->nulls, row))
				{
					memcpy(to, view->values + view->offsets[row], length);
					to += length;
				}
			}
		}
	}
}

ColumnStatus
ColumnEncode(const ColumnView *view, const ColumnShape *shape, const ColumnCodecOptions *options,
			 const ColumnMemory *memory, void **out, size_t *bytes)
{
	ColumnWriter writer = {.memory = memory, .options = options, .status = COLUMN_OK};
	ChunkHeader header = {.magic = CHUNK_MAGIC, .version = CHUNK_VERSION};
	static const uint8_t nothing[1] = {0};
	uint32_t	element = ColumnElementBytes(shape->kind);
	ColumnEncoding encoding;
	Dense		dense;

	if (!valid_view(view, shape))
		return COLUMN_INVALID;
	make_dense(view, &writer, &dense);
	if (dense.values == NULL)
		dense.values = nothing;
	/* what it will hardly be larger than */
	if (ColumnReserve(&writer, sizeof(header) + dense.value_bytes + dense.value_bytes / 64 + 1024) != NULL)
		writer.used = sizeof(header);

	if (dense.nulls != NULL && dense.present > 0)
		ColumnPutBlock(&writer, dense.nulls, ((size_t) view->rows + 7) / 8, COLUMN_BLOCK_ANY);
	if (writer.status != COLUMN_OK)
		encoding = COLUMN_PLAIN;
	else if (view->width == 0)
		encoding = ColumnPutVariable(&writer, dense.values, dense.offsets, dense.present,
									 shape->align > 0 ? shape->align : 1, element);
	else if (element > 0)
		encoding = ColumnPutVectors(&writer, dense.values, dense.present, view->width, shape->skip,
									element);
	else
		encoding = ColumnPutFixed(&writer, dense.values, dense.present, view->width, shape->kind, 0);
	ColumnFree(memory, dense.owned_values);
	ColumnFree(memory, dense.owned_offsets);

	header.kind = (uint8_t) shape->kind;
	header.flags = (uint8_t) ((dense.nulls != NULL ? CHUNK_NULLS : 0) |
							  (writer.compressed ? CHUNK_COMPRESSED : 0) |
							  (writer.compressed && options->compression == COLUMN_COMPRESS_LZ4 ? CHUNK_LZ4 : 0));
	header.encoding = (uint8_t) encoding;
	header.rows = view->rows;
	header.present = dense.present;
	header.width = view->width;
	header.skip = shape->skip;
	header.value_bytes = dense.value_bytes;
	ColumnFree(memory, dense.nulls);
	if (writer.status != COLUMN_OK)
	{
		ColumnFree(memory, writer.data);
		return writer.status;
	}
	memcpy(writer.data, &header, sizeof(header));
	header.checksum = ColumnChecksum(writer.data + CHECKED_FROM, writer.used - CHECKED_FROM);
	memcpy(writer.data, &header, sizeof(header));
	*out = writer.data;
	*bytes = writer.used;
	return COLUMN_OK;
}

/* ---- decoding ---- */

static ColumnStatus
read_header(const void *stored, size_t bytes, ChunkHeader *header)
{
	if (bytes < sizeof(*header))
		return COLUMN_CORRUPT;
	memcpy(header, stored, sizeof(*header));
	if (header->magic != CHUNK_MAGIC || header->version != CHUNK_VERSION)
		return COLUMN_CORRUPT;
	if (header->kind > COLUMN_HALF_VECTOR || (header->flags & ~CHUNK_FLAGS) != 0 ||
		header->encoding >= COLUMN_ENCODINGS || header->present > header->rows ||
		header->value_bytes > UINT32_MAX)
		return COLUMN_CORRUPT;
	if ((header->present < header->rows) != ((header->flags & CHUNK_NULLS) != 0))
		return COLUMN_CORRUPT;
	if (header->width > 0 && (header->value_bytes != (uint64_t) header->rows * header->width ||
							  header->skip > header->width))
		return COLUMN_CORRUPT;
	return COLUMN_OK;
}

ColumnStatus
ColumnInspect(const void *stored, size_t bytes, ColumnChunkFacts *facts)
{
	ChunkHeader header;
	ColumnStatus status = read_header(stored, bytes, &header);

	if (status != COLUMN_OK)
		return status;
	if (header.checksum != ColumnChecksum((const uint8_t *) stored + CHECKED_FROM, bytes - CHECKED_FROM))
		return COLUMN_CORRUPT;
	facts->rows = header.rows;
	facts->width = header.width;
	facts->has_nulls = (header.flags & CHUNK_NULLS) != 0;
	facts->value_bytes = (size_t) header.value_bytes;
	return COLUMN_OK;
}

/* The bitmap of nulls, as many as the header says and none past the last row. */
static void
take_nulls(ColumnCursor *cursor, const ChunkHeader *header, uint8_t *nulls)
{
	size_t		bytes = ((size_t) header->rows + 7) / 8;
	uint32_t	set = 0;

	if (header->present == 0)
	{
		memset(nulls, 0xff, bytes);
		if (header->rows % 8 != 0)
			nulls[bytes - 1] = (uint8_t) ((1u << (header->rows % 8)) - 1);
		return;
	}
	ColumnTakeBlock(cursor, nulls, bytes);
	if (cursor->status != COLUMN_OK)
		return;
	for (size_t i = 0; i < bytes; i++)
		set += (uint32_t) __builtin_popcount(nulls[i]);
	if (set != header->rows - header->present ||
		(header->rows % 8 != 0 && nulls[bytes - 1] >> (header->rows % 8) != 0))
		cursor->status = COLUMN_CORRUPT;
}

/* The values of present rows, at the beginning of values, to their rows; from the last on. */
static void
spread(uint8_t *values, const uint8_t *nulls, const ChunkHeader *header)
{
	size_t		width = header->width;
	size_t		from = header->present;

	for (uint32_t row = header->rows; row-- > 0;)
	{
		uint8_t    *to = values + row * width;

		if (null_bit(nulls, row))
			memset(to, 0, width);
		else
		{
			from--;
			if (from != row)
				memmove(to, values + from * width, width);
		}
	}
}

ColumnStatus
ColumnDecode(const void *stored, size_t bytes, const ColumnMemory *memory, uint8_t *nulls,
			 uint8_t *values, uint32_t *offsets)
{
	ChunkHeader header;
	ColumnStatus status = read_header(stored, bytes, &header);
	ColumnCursor cursor = {.memory = memory, .status = COLUMN_OK};
	uint32_t	element;

	if (status != COLUMN_OK)
		return status;
	if (((header.flags & CHUNK_NULLS) != 0 && nulls == NULL) ||
		(header.width == 0 && offsets == NULL) || (header.value_bytes > 0 && values == NULL))
		return COLUMN_INVALID;
	cursor.at = (const uint8_t *) stored + sizeof(header);
	cursor.left = bytes - sizeof(header);
	element = ColumnElementBytes(header.kind);
	if (header.flags & CHUNK_NULLS)
	{
		take_nulls(&cursor, &header, nulls);
		if (cursor.status != COLUMN_OK)
			return cursor.status;
	}
	if (header.width > 0)
	{
		if (element > 0)
			ColumnTakeVectors(&cursor, values, header.present, header.width, header.skip, element);
		else
			ColumnTakeFixed(&cursor, values, header.present, header.width, 0);
		if (cursor.status == COLUMN_OK && (header.flags & CHUNK_NULLS) != 0)
			spread(values, nulls, &header);
	}
	else
	{
		/* lengths of present rows, in the place of the offsets that they become */
		uint32_t   *lengths = offsets + (header.rows - header.present) + 1;
		uint32_t	at = 0;

		ColumnTakeVariable(&cursor, values, (size_t) header.value_bytes, lengths, header.present, element);
		offsets[0] = 0;
		for (uint32_t row = 0; cursor.status == COLUMN_OK && row < header.rows; row++)
		{
			if ((header.flags & CHUNK_NULLS) == 0 || !null_bit(nulls, row))
				at += *lengths++;
			offsets[row + 1] = at;
		}
	}
	if (cursor.status == COLUMN_OK && cursor.left != 0)
		cursor.status = COLUMN_CORRUPT;
	return cursor.status;
}

const char *
ColumnCodecName(const void *stored, size_t bytes)
{
	static const char *const names[COLUMN_ENCODINGS][3] = {
		{"plain", "plain+zstd", "plain+lz4"},
		{"constant", "constant+zstd", "constant+lz4"},
		{"run-length", "run-length+zstd", "run-length+lz4"},
		{"dictionary", "dictionary+zstd", "dictionary+lz4"},
		{"bit-packed", "bit-packed+zstd", "bit-packed+lz4"},
		{"delta", "delta+zstd", "delta+lz4"},
		{"transposed", "transposed+zstd", "transposed+lz4"},
		{"decimal", "decimal+zstd", "decimal+lz4"},
	};
	ChunkHeader header;

	if (bytes < sizeof(header))
		return "damaged";
	memcpy(&header, stored, sizeof(header));
	if (header.magic != CHUNK_MAGIC || header.version != CHUNK_VERSION ||
		header.encoding >= COLUMN_ENCODINGS)
		return "damaged";
	return names[header.encoding][(header.flags & CHUNK_COMPRESSED) == 0 ? 0 : header.flags & CHUNK_LZ4 ? 2 : 1];
}
