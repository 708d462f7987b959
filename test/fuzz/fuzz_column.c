/*
 * fuzz_column.c
 *		Encoded column chunks: damaged ones are refused or decode to something sound, and
 *		views made from the input come back as they were.
 *
 * Byte 0 of an input is even: the rest is an encoded chunk, whose checksum is put right here, so
 * that what lies behind it is reached.  It is odd: a description of a view and its bytes.
 *
 * What must hold of a chunk that decodes: nulls as many as there are, offsets that ascend to the
 * end of the values, zeros in null rows, and the same again when it is encoded and decoded.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "segment/column.h"
#include "segment/column_internal.h"

#define MAX_ROWS 20000
#define MAX_BYTES (1024 * 1024)
/* Where a chunk's checksum is, and what it is of. */
#define CHECKSUM_AT 4
#define CHECKED_FROM 8

static long live;

static void *
get_memory(void *context, size_t bytes)
{
	live++;
	return malloc(bytes);
}

static void
put_memory(void *context, void *p)
{
	live--;
	free(p);
}

static const ColumnMemory memory = {get_memory, put_memory, NULL};

/* Bytes of exactly this size, so that a step behind them is seen. */
static void *
exact(size_t bytes)
{
	void	   *p = malloc(bytes);

	if (p == NULL)
		abort();
	return p;
}

/* A decoded chunk. */
typedef struct Decoded
{
	ColumnChunkFacts facts;
	uint8_t    *nulls;
	uint8_t    *values;
	uint32_t   *offsets;
} Decoded;

static void
decoded_free(Decoded *decoded)
{
	free(decoded->nulls);
	free(decoded->values);
	free(decoded->offsets);
}

/* False: refused, or too large to be tried. */
static bool
decode(const uint8_t *stored, size_t bytes, Decoded *decoded)
{
	ColumnStatus status = ColumnInspect(stored, bytes, &decoded->facts);

	(void) ColumnCodecName(stored, bytes);
	if (status != COLUMN_OK)
	{
		if (status != COLUMN_CORRUPT)
			abort();
		return false;
	}
	if (decoded->facts.rows > MAX_ROWS || decoded->facts.value_bytes > MAX_BYTES)
		return false;
	decoded->nulls = decoded->facts.has_nulls ? exact((decoded->facts.rows + 7) / 8) : NULL;
	decoded->values = exact(decoded->facts.value_bytes);
	decoded->offsets = decoded->facts.width == 0 ?
		exact(((size_t) decoded->facts.rows + 1) * sizeof(uint32_t)) : NULL;
	status = ColumnDecode(stored, bytes, &memory, decoded->nulls, decoded->values, decoded->offsets);
	if (live != 0)
		abort();
	if (status == COLUMN_OK)
		return true;
	if (status != COLUMN_CORRUPT)
		abort();
	decoded_free(decoded);
	return false;
}

/* What holds of every decoded chunk. */
static void
check_sound(const Decoded *decoded)
{
	const ColumnChunkFacts *facts = &decoded->facts;

	if (decoded->offsets != NULL &&
		(decoded->offsets[0] != 0 || decoded->offsets[facts->rows] != facts->value_bytes))
		abort();
	for (uint32_t i = 0; i < facts->rows; i++)
	{
		bool		null = decoded->nulls != NULL && (decoded->nulls[i / 8] >> (i % 8) & 1);

		if (decoded->offsets != NULL)
		{
			if (decoded->offsets[i] > decoded->offsets[i + 1] ||
				(null && decoded->offsets[i] != decoded->offsets[i + 1]))
				abort();
		}
		else if (null)
		{
			for (uint32_t b = 0; b < facts->width; b++)
			{
				if (decoded->values[(size_t) i * facts->width + b] != 0)
					abort();
			}
		}
	}
}

/* Encode, decode, compare with the view. */
static void
round_trip(const ColumnView *view, const ColumnShape *shape, const ColumnCodecOptions *options)
{
	void	   *out;
	size_t		bytes;
	Decoded		again;

	if (ColumnEncode(view, shape, options, &memory, &out, &bytes) != COLUMN_OK || live != 1)
		abort();
	live = 0;
	if (!decode(out, bytes, &again))
		abort();
	check_sound(&again);
	if (again.facts.rows != view->rows || again.facts.width != view->width)
		abort();
	for (uint32_t i = 0; i < view->rows; i++)
	{
		bool		null = ColumnIsNull(view, i);

		if ((again.nulls != NULL && (again.nulls[i / 8] >> (i % 8) & 1)) != null)
			abort();
		if (null)
			continue;
		if (view->width > 0)
		{
			if (memcmp(again.values + (size_t) i * view->width, view->values + (size_t) i * view->width,
					   view->width) != 0)
				abort();
		}
		else
		{
			uint32_t	length = view->offsets[i + 1] - view->offsets[i];

			if (again.offsets[i + 1] - again.offsets[i] != length ||
				memcmp(again.values + again.offsets[i], view->values + view->offsets[i], length) != 0)
				abort();
		}
	}
	free(out);
	decoded_free(&again);
}

static void
fuzz_chunk(const uint8_t *data, size_t size)
{
	uint8_t    *stored = exact(size);
	Decoded		decoded;

	memcpy(stored, data, size);
	if (size >= CHECKED_FROM)
	{
		uint32_t	checksum = ColumnChecksum(stored + CHECKED_FROM, size - CHECKED_FROM);

		memcpy(stored + CHECKSUM_AT, &checksum, sizeof(checksum));
	}
	if (decode(stored, size, &decoded))
	{
		ColumnView	view = {decoded.facts.rows, decoded.facts.width, decoded.nulls, 0, decoded.values, decoded.offsets};
		ColumnShape shape = {decoded.facts.width, 4, COLUMN_BYTES, 0};
		ColumnCodecOptions options = {COLUMN_COMPRESS_ZSTD, 1};

		check_sound(&decoded);
		round_trip(&view, &shape, &options);
		decoded_free(&decoded);
	}
	free(stored);
}

/*
 * A view: kind, width, header bytes, alignment and compression, rows (2 bytes), repetitions, place of
 * nulls; the rest are values, read in a circle.
 */
#define VIEW_HEADER 8

static void
fuzz_view(const uint8_t *data, size_t size)
{
	ColumnShape shape;
	ColumnCodecOptions options;
	ColumnView	view = {0};
	uint32_t	repeat;
	uint8_t    *values;
	uint8_t    *nulls = NULL;
	uint32_t   *offsets = NULL;
	size_t		at = 0;

	if (size <= VIEW_HEADER)
		return;
	shape.kind = data[0] % (COLUMN_HALF_VECTOR + 1);
	shape.width = data[1] % 80;
	shape.skip = shape.width > 0 ? data[2] % (shape.width + 1) : data[2];
	shape.align = 1u << (data[3] & 3);
	options.compression = (data[3] >> 2) % (COLUMN_COMPRESS_ZSTD + 1);
	options.level = (data[3] >> 4) % 5;
	view.rows = (data[4] | (uint32_t) data[5] << 8) % 2000;
	view.width = shape.width;
	repeat = data[6] % 32 + 1;
	view.null_offset = data[7] & 15;
	if (data[7] & 16)
	{
		size_t		bytes = (view.null_offset + view.rows + 7) / 8;

		nulls = exact(bytes);
		for (size_t i = 0; i < bytes; i++)
			nulls[i] = data[VIEW_HEADER + i % (size - VIEW_HEADER)] & (data[7] & 32 ? 0xff : data[7]);
	}
	if (view.width > 0)
	{
		values = exact((size_t) view.rows * view.width);
		for (uint32_t i = 0; i < view.rows; i++)
		{
			for (uint32_t b = 0; b < view.width; b++)
				values[at++] = data[VIEW_HEADER + (i / repeat * view.width + b) % (size - VIEW_HEADER)];
		}
	}
	else
	{
		values = exact((size_t) view.rows * 64 + 1);
		offsets = exact(((size_t) view.rows + 1) * sizeof(uint32_t));
		for (uint32_t i = 0; i < view.rows; i++)
		{
			size_t		from = i / repeat;
			uint32_t	length = data[VIEW_HEADER + from % (size - VIEW_HEADER)] % 64;

			offsets[i] = (uint32_t) at;
			for (uint32_t b = 0; b < length; b++)
				values[at++] = data[VIEW_HEADER + (from + b) % (size - VIEW_HEADER)];
		}
		offsets[view.rows] = (uint32_t) at;
	}
	view.nulls = nulls;
	view.values = values;
	view.offsets = offsets;
	round_trip(&view, &shape, &options);
	free(nulls);
	free(values);
	free(offsets);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] % 2 == 0)
		fuzz_chunk(data + 1, size - 1);
	else
		fuzz_view(data + 1, size - 1);
	return 0;
}
