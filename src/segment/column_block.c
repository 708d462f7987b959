/*
 * column_block.c
 *		Blocks of bytes, stored plain or compressed; checksums; byte planes.
 *
 * A block: one byte how it is stored, four bytes how many follow, and these.  zstd's and lz4's own
 * checks are not relied on beyond their bounds: the chunk has a checksum.
 */
#include "segment/column_internal.h"

#include <lz4.h>
#include <math.h>
#include <zstd.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

/* How a block is stored.  Numbers are part of the format. */
typedef enum BlockStore
{
	BLOCK_PLAIN = 0,
	BLOCK_REPEATED = 1,			/* one byte */
	BLOCK_LZ4 = 2,
	BLOCK_ZSTD = 3
} BlockStore;

/* Compressing must save 1 / SAVING of a block. */
#define SAVING 16
/* Smaller blocks are not compressed. */
#define MIN_COMPRESSED 64
/* Of blocks this large two pieces are tried first. */
#define TRIAL_FROM ((size_t) 256 * 1024)
#define TRIAL_BYTES ((size_t) 32 * 1024)
/* Bytes looked at for an estimate. */
#define SAMPLE 4096
/*
 * Planes have no strings to search for, only bytes of unequal frequency: the search is made as
 * short as zstd's parameters allow.
 */
#define PLANE_LEVEL 1
#define PLANE_MIN_MATCH 7
#define PLANE_HASH_LOG 6

/* zstd's contexts are kept: making one takes longer than a small block. */
static _Thread_local struct
{
	ZSTD_CCtx  *compress;
	ZSTD_CCtx  *compress_planes;
	ZSTD_DCtx  *decompress;
} contexts;

/* ---- memory ---- */

void *
ColumnAlloc(const ColumnMemory *memory, size_t bytes, ColumnStatus *status)
{
	void	   *p;

	if (*status != COLUMN_OK)
		return NULL;
	p = memory->alloc(memory->context, bytes > 0 ? bytes : 1);
	if (p == NULL)
		*status = COLUMN_NO_MEMORY;
	return p;
}

void
ColumnFree(const ColumnMemory *memory, void *p)
{
	if (p != NULL)
		memory->free(memory->context, p);
}

/* ---- checksum: CRC-32C ---- */

/* The reflected polynomial's table for one byte at a time, eight tables deep. */
static uint32_t
crc_portable(uint32_t crc, const uint8_t *p, size_t n)
{
	static uint32_t tables[8][256];
	static bool made = false;

	if (!__atomic_load_n(&made, __ATOMIC_ACQUIRE))
	{
		/* two threads that come here at once write the same numbers */
		for (uint32_t i = 0; i < 256; i++)
		{
			uint32_t	c = i;

			for (int bit = 0; bit < 8; bit++)
				c = c & 1 ? (c >> 1) ^ UINT32_C(0x82F63B78) : c >> 1;
			tables[0][i] = c;
		}
		for (int t = 1; t < 8; t++)
		{
			for (uint32_t i = 0; i < 256; i++)
				tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 255];
		}
		__atomic_store_n(&made, true, __ATOMIC_RELEASE);
	}
	for (; n >= 8; n -= 8, p += 8)
	{
		uint32_t	low = crc ^ (p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
								 (uint32_t) p[3] << 24);

		crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^
			tables[4][low >> 24] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^
			tables[0][p[7]];
	}
	for (; n > 0; n--, p++)
		crc = (crc >> 8) ^ tables[0][(crc ^ *p) & 255];
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_sse42(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t	wide = crc;
	uint64_t	word;

	for (; n >= 8; n -= 8, p += 8)
	{
		memcpy(&word, p, 8);
		wide = _mm_crc32_u64(wide, word);
	}
	crc = (uint32_t) wide;
	for (; n > 0; n--, p++)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}
#endif

/* CRC-32C (Castagnoli), as iSCSI and PostgreSQL compute it. */
uint32_t
ColumnChecksum(const void *data, size_t bytes)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse42(UINT32_MAX, data, bytes);
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
	{
		const uint8_t *p = data;
		uint32_t	crc = UINT32_MAX;
		uint64_t	word;

		for (; bytes >= 8; bytes -= 8, p += 8)
		{
			memcpy(&word, p, 8);
			crc = __crc32cd(crc, word);
		}
		for (; bytes > 0; bytes--, p++)
			crc = __crc32cb(crc, *p);
		return ~crc;
	}
#endif
	return ~crc_portable(UINT32_MAX, data, bytes);
}

/* ---- writing ---- */

uint8_t *
ColumnReserve(ColumnWriter *writer, size_t bytes)
{
	if (writer->status != COLUMN_OK)
		return NULL;
	if (writer->size - writer->used < bytes)
	{
		size_t		size = (writer->used + bytes) + (writer->used + bytes) / 4 + 256;
		uint8_t    *data = ColumnAlloc(writer->memory, size, &writer->status);

		if (data == NULL)
			return NULL;
		if (writer->used > 0)
			memcpy(data, writer->data, writer->used);
		ColumnFree(writer->memory, writer->data);
		writer->data = data;
		writer->size = size;
	}
	return writer->data + writer->used;
}

void
ColumnPut(ColumnWriter *writer, const void *data, size_t bytes)
{
	uint8_t    *to = ColumnReserve(writer, bytes);

	if (to != NULL && bytes > 0)
	{
		memcpy(to, data, bytes);
		writer->used += bytes;
	}
}

void
ColumnPutByte(ColumnWriter *writer, uint8_t value)
{
	ColumnPut(writer, &value, 1);
}

void
ColumnPutNumber(ColumnWriter *writer, uint32_t value)
{
	ColumnPut(writer, &value, sizeof(value));
}

double
ColumnEntropy(const uint8_t *data, size_t bytes, size_t step)
{
	uint32_t	counts[256] = {0};
	size_t		n = bytes;
	size_t		apart = step;
	double		sum = 0;

	if (bytes == 0)
		return 0;
	if (n > SAMPLE)
	{
		/* odd, so that it goes through the places of a pattern */
		apart = step * (bytes / SAMPLE | 1);
		n = (bytes - 1) / (bytes / SAMPLE | 1) + 1;
	}
	for (size_t i = 0; i < n; i++)
		counts[data[i * apart]]++;
	for (int i = 0; i < 256; i++)
	{
		if (counts[i] > 0)
			sum += counts[i] * log2((double) n / counts[i]);
	}
	return sum / 8 / (double) n * (double) bytes;
}

/* A context for planes; NULL when there is no memory. */
static ZSTD_CCtx *
plane_context(void)
{
	ZSTD_CCtx  *context = contexts.compress_planes;

	if (context != NULL)
		return context;
	context = ZSTD_createCCtx();
	if (context == NULL)
		return NULL;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, PLANE_LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, ZSTD_fast)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, PLANE_MIN_MATCH)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, PLANE_HASH_LOG)))
	{
		ZSTD_freeCCtx(context);
		return NULL;
	}
	return contexts.compress_planes = context;
}

/*
 * Compressed bytes at dst, of which there are `room`; 0 when they are not enough.  level: of ANY.
 */
static size_t
compress(const ColumnCodecOptions *options, int level, ColumnBlockHint hint, uint8_t *dst,
		 size_t room, const void *raw, size_t bytes)
{
	if (options->compression == COLUMN_COMPRESS_LZ4)
	{
		int			got;

		if (bytes > LZ4_MAX_INPUT_SIZE)
			return 0;
		got = LZ4_compress_default(raw, (char *) dst, (int) bytes, (int) room);
		return got > 0 ? (size_t) got : 0;
	}
	else
	{
		size_t		got;

		if (hint == COLUMN_BLOCK_PLANE)
		{
			ZSTD_CCtx  *context = plane_context();

			if (context == NULL)
				return 0;
			got = ZSTD_compress2(context, dst, room, raw, bytes);
			return ZSTD_isError(got) ? 0 : got;
		}
		if (contexts.compress == NULL)
			contexts.compress = ZSTD_createCCtx();
		if (contexts.compress == NULL)
			return 0;
		got = ZSTD_compressCCtx(contexts.compress, dst, room, raw, bytes, level);
		return ZSTD_isError(got) ? 0 : got;
	}
}

/* Does compressing two pieces of a large block save enough?  dst: room for a piece. */
static bool
worth_trying(const ColumnCodecOptions *options, uint8_t *dst, const uint8_t *raw, size_t bytes)
{
	size_t		room = TRIAL_BYTES - TRIAL_BYTES / SAVING;

	return compress(options, 1, COLUMN_BLOCK_ANY, dst, room, raw, TRIAL_BYTES) != 0 ||
		compress(options, 1, COLUMN_BLOCK_ANY, dst, room, raw + bytes / 2, TRIAL_BYTES) != 0;
}

/* The same byte everywhere? */
static bool
is_repeated(const uint8_t *raw, size_t bytes)
{
	return bytes > 1 && raw[0] == raw[bytes - 1] && memcmp(raw, raw + 1, bytes - 1) == 0;
}

void
ColumnPutBlock(ColumnWriter *writer, const void *raw, size_t bytes, ColumnBlockHint hint)
{
	const ColumnCodecOptions *options = writer->options;
	uint8_t    *to = ColumnReserve(writer, 5 + bytes);
	BlockStore	store = BLOCK_PLAIN;
	size_t		stored = bytes;
	uint32_t	number;

	if (to == NULL)
		return;
	if (bytes > UINT32_MAX)
	{
		writer->status = COLUMN_INVALID;
		return;
	}
	if (is_repeated(raw, bytes))
	{
		store = BLOCK_REPEATED;
		stored = 1;
		to[5] = *(const uint8_t *) raw;
	}
	else if (options->compression != COLUMN_COMPRESS_NONE && bytes >= MIN_COMPRESSED)
	{
		size_t		room = bytes - bytes / SAVING;
		int			level = options->level != 0 ? options->level : ZSTD_CLEVEL_DEFAULT;
		bool		try = true;
		size_t		got = 0;

		if (hint == COLUMN_BLOCK_PLANE && options->compression == COLUMN_COMPRESS_ZSTD)
			try = ColumnEntropy(raw, bytes, 1) < (double) room;
		else if (bytes >= TRIAL_FROM)
			try = worth_trying(options, to + 5, raw, bytes);
		if (try)
			got = compress(options, level, hint, to + 5, room, raw, bytes);
		if (got > 0)
		{
			store = options->compression == COLUMN_COMPRESS_LZ4 ? BLOCK_LZ4 : BLOCK_ZSTD;
			stored = got;
			writer->compressed = true;
		}
	}
	if (store == BLOCK_PLAIN && bytes > 0)
		memcpy(to + 5, raw, bytes);
	to[0] = (uint8_t) store;
	number = (uint32_t) stored;
	memcpy(to + 1, &number, sizeof(number));
	writer->used += 5 + stored;
}

/* ---- reading ---- */

const uint8_t *
ColumnTake(ColumnCursor *cursor, size_t bytes)
{
	const uint8_t *at = cursor->at;

	if (cursor->status != COLUMN_OK)
		return NULL;
	if (cursor->left < bytes)
	{
		cursor->status = COLUMN_CORRUPT;
		return NULL;
	}
	cursor->at += bytes;
	cursor->left -= bytes;
	return at;
}

/* After an error: 0. */
uint8_t
ColumnTakeByte(ColumnCursor *cursor)
{
	const uint8_t *at = ColumnTake(cursor, 1);

	return at != NULL ? *at : 0;
}

uint32_t
ColumnTakeNumber(ColumnCursor *cursor)
{
	const uint8_t *at = ColumnTake(cursor, sizeof(uint32_t));
	uint32_t	value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return value;
}

static void
expand(ColumnCursor *cursor, BlockStore store, const uint8_t *stored, uint32_t length, void *dst,
	   size_t bytes)
{
	bool		right = false;

	switch (store)
	{
		case BLOCK_PLAIN:
			right = length == bytes;
			if (right && bytes > 0)
				memcpy(dst, stored, bytes);
			break;
		case BLOCK_REPEATED:
			right = length == 1 && bytes > 0;
			if (right)
				memset(dst, stored[0], bytes);
			break;
		case BLOCK_LZ4:
			right = bytes <= LZ4_MAX_INPUT_SIZE && length <= INT32_MAX &&
				LZ4_decompress_safe((const char *) stored, dst, (int) length, (int) bytes) ==
				(int) bytes;
			break;
		case BLOCK_ZSTD:
			if (contexts.decompress == NULL)
				contexts.decompress = ZSTD_createDCtx();
			if (contexts.decompress == NULL)
			{
				cursor->status = COLUMN_NO_MEMORY;
				return;
			}
			right = ZSTD_decompressDCtx(contexts.decompress, dst, bytes, stored, length) == bytes;
			break;
	}
	if (!right)
		cursor->status = COLUMN_CORRUPT;
}

void
ColumnTakeBlock(ColumnCursor *cursor, void *dst, size_t bytes)
{
	BlockStore	store = ColumnTakeByte(cursor);
	uint32_t	length = ColumnTakeNumber(cursor);
	const uint8_t *stored = ColumnTake(cursor, length);

	if (stored != NULL)
		expand(cursor, store, stored, length, dst, bytes);
}

const uint8_t *
ColumnTakeBlockInPlace(ColumnCursor *cursor, size_t bytes, void **owned)
{
	BlockStore	store = ColumnTakeByte(cursor);
	uint32_t	length = ColumnTakeNumber(cursor);
	const uint8_t *stored = ColumnTake(cursor, length);

	*owned = NULL;
	if (stored == NULL)
		return NULL;
	if (store == BLOCK_PLAIN && length == bytes)
		return stored;
	*owned = ColumnAlloc(cursor->memory, bytes, &cursor->status);
	if (*owned == NULL)
		return NULL;
	expand(cursor, store, stored, length, *owned, bytes);
	if (cursor->status != COLUMN_OK)
	{
		ColumnFree(cursor->memory, *owned);
		*owned = NULL;
	}
	return *owned;
}

/* ---- planes ---- */

/* Written for compilers that turn such loops into vector code. */
static void
split4(const uint8_t *restrict from, size_t n, uint8_t *restrict a, uint8_t *restrict b,
	   uint8_t *restrict c, uint8_t *restrict d)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	x;

		memcpy(&x, from + 4 * i, 4);
		a[i] = (uint8_t) x;
		b[i] = (uint8_t) (x >> 8);
		c[i] = (uint8_t) (x >> 16);
		d[i] = (uint8_t) (x >> 24);
	}
}

static void
split2(const uint8_t *restrict from, size_t n, uint8_t *restrict a, uint8_t *restrict b)
{
	for (size_t i = 0; i < n; i++)
	{
		uint16_t	x;

		memcpy(&x, from + 2 * i, 2);
		a[i] = (uint8_t) x;
		b[i] = (uint8_t) (x >> 8);
	}
}

static void
join4(const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict c,
	  const uint8_t *restrict d, size_t n, uint8_t *restrict to)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	x = a[i] | (uint32_t) b[i] << 8 | (uint32_t) c[i] << 16 | (uint32_t) d[i] << 24;

		memcpy(to + 4 * i, &x, 4);
	}
}

static void
join2(const uint8_t *restrict a, const uint8_t *restrict b, size_t n, uint8_t *restrict to)
{
	for (size_t i = 0; i < n; i++)
	{
		uint16_t	x = (uint16_t) (a[i] | b[i] << 8);

		memcpy(to + 2 * i, &x, 2);
	}
}

void
ColumnSplit(const uint8_t *elements, size_t n, size_t width, uint8_t *const *planes)
{
	if (width == 4)
		split4(elements, n, planes[0], planes[1], planes[2], planes[3]);
	else if (width == 2)
		split2(elements, n, planes[0], planes[1]);
	else
	{
		for (size_t b = 0; b < width; b++)
		{
			uint8_t    *plane = planes[b];

			for (size_t i = 0; i < n; i++)
				plane[i] = elements[i * width + b];
		}
	}
}

void
ColumnJoin(const uint8_t *const *planes, size_t n, size_t width, uint8_t *elements)
{
	if (width == 4)
		join4(planes[0], planes[1], planes[2], planes[3], n, elements);
	else if (width == 2)
		join2(planes[0], planes[1], n, elements);
	else
	{
		for (size_t b = 0; b < width; b++)
		{
			const uint8_t *plane = planes[b];

			for (size_t i = 0; i < n; i++)
				elements[i * width + b] = plane[i];
		}
	}
}
