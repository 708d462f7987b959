/*
 * column.h
 *		Chunks of a column: their decoded form (a view), their encoded form, and
 *		encoding and decoding.  Plain C: no PostgreSQL header, errors as codes, so
 *		that it is tested and fuzzed outside the server.
 *
 * Decoded form of n rows: a bitmap of nulls (bit set: null; LSB first) or none, and
 * either fixed-width values (n * width bytes; null rows are zero bytes) or variable
 * ones: offsets[0 .. n] into bytes, each value beginning at a multiple of `align`
 * (a value's length is given by its own header or by the caller's knowledge; padding
 * lies at its end; null rows have no bytes).
 */
#ifndef MILVUS_COLUMN_H
#define MILVUS_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ColumnStatus
{
	COLUMN_OK = 0,
	COLUMN_NO_MEMORY,
	COLUMN_CORRUPT,				/* the encoded form is damaged */
	COLUMN_INVALID				/* the arguments make no sense */
} ColumnStatus;

/* What numbers are in a fixed-width column: how to order and delta-code them. */
typedef enum ColumnKind
{
	COLUMN_BYTES = 0,			/* no order known */
	COLUMN_SIGNED,				/* little-endian two's complement, width 1, 2, 4, 8 */
	COLUMN_UNSIGNED,
	COLUMN_FLOAT,				/* width 4 or 8 */
	COLUMN_FLOAT_VECTOR,		/* rows of float32 after `skip` header bytes: transposed */
	COLUMN_HALF_VECTOR			/* rows of 16-bit floats (of either kind) after `skip` header bytes */
} ColumnKind;

typedef enum ColumnCompression
{
	COLUMN_COMPRESS_NONE,
	COLUMN_COMPRESS_LZ4,
	COLUMN_COMPRESS_ZSTD
} ColumnCompression;

typedef struct ColumnShape
{
	uint32_t	width;			/* bytes a value; 0: variable */
	uint32_t	align;			/* 1, 2, 4, 8; of variable values */
	uint32_t	kind;			/* ColumnKind */
	uint32_t	skip;			/* header bytes before a vector's elements */
} ColumnShape;

/* Decoded rows; the pointers belong to somebody else. */
typedef struct ColumnView
{
	uint32_t	rows;
	uint32_t	width;			/* 0: variable.  A column whose values all have one length is fixed */
	const uint8_t *nulls;		/* NULL: no nulls.  Bit of row i: nulls[(null_offset + i) / 8] */
	uint32_t	null_offset;
	const uint8_t *values;		/* fixed: rows * width; variable: the bytes */
	const uint32_t *offsets;	/* variable: rows + 1 offsets into values */
} ColumnView;

static inline bool
ColumnIsNull(const ColumnView *view, uint32_t row)
{
	uint32_t	bit = view->null_offset + row;

	return view->nulls != NULL && (view->nulls[bit >> 3] >> (bit & 7) & 1) != 0;
}

/* Memory through callbacks; resize(NULL, n) allocates, NULL return = no memory. */
typedef struct ColumnMemory
{
	void	   *(*alloc) (void *context, size_t bytes);
	void		(*free) (void *context, void *p);
	void	   *context;
} ColumnMemory;

typedef struct ColumnCodecOptions
{
	ColumnCompression compression;
	int			level;			/* zstd's; 0: its default.  Elements of vectors have one of their own */
} ColumnCodecOptions;

/*
 * Encode a view: the smallest of plain, constant, run-length, dictionary,
 * delta/frame-of-reference with bit packing (numbers), decimals (floats that are integers over a
 * power of ten), byte transposition (vectors, numbers), each then compressed when that saves at least 1/16.  *out (from memory->alloc)
 * holds *bytes with its own header (magic, version, shape, rows, encoding, CRC-32C of the rest).
 * Variable values of vectors that differ in length may have the kinds of vectors too.  A chunk's
 * decoded values are at most UINT32_MAX bytes.
 */
extern ColumnStatus ColumnEncode(const ColumnView *view, const ColumnShape *shape,
								 const ColumnCodecOptions *options, const ColumnMemory *memory,
								 void **out, size_t *bytes);

/* What an encoded chunk says of itself, header and checksum verified. */
typedef struct ColumnChunkFacts
{
	uint32_t	rows;
	uint32_t	width;			/* of the decoded values; 0: variable */
	bool		has_nulls;
	size_t		value_bytes;	/* decoded bytes of values */
} ColumnChunkFacts;

extern ColumnStatus ColumnInspect(const void *stored, size_t bytes, ColumnChunkFacts *facts);

/*
 * Decode what ColumnInspect, which alone compares the checksum, has accepted, into the caller's arrays, sized by facts: nulls ((rows + 7) / 8 bytes, written
 * when has_nulls, else not touched), values (value_bytes), offsets (rows + 1; NULL for fixed width).
 * Never reads or writes out of bounds whatever the stored bytes are.
 */
extern ColumnStatus ColumnDecode(const void *stored, size_t bytes, const ColumnMemory *memory,
								 uint8_t *nulls, uint8_t *values, uint32_t *offsets);

/* "dictionary+zstd" ...: static string. */
extern const char *ColumnCodecName(const void *stored, size_t bytes);

/* ---- Bloom filters over 64-bit hashes (split blocks of 256 bits) ---- */

extern size_t ColumnBloomBytes(uint32_t values);
extern void ColumnBloomAdd(uint8_t *bloom, size_t bytes, uint64_t hash);
extern bool ColumnBloomMayContain(const uint8_t *bloom, size_t bytes, uint64_t hash);

#endif							/* MILVUS_COLUMN_H */
