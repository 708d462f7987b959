/*
 * column_internal.h
 *		What the files of the column codecs share.
 *
 * An encoded chunk is a header (column.c) and a tree of nodes, each of which begins with its
 * encoding.  A node's number of values and their width are known from above it, so nothing in the
 * stored bytes says how much memory to take.  Bytes are stored in blocks, each plain, one byte
 * repeated, or compressed.
 */
#ifndef MILVUS_COLUMN_INTERNAL_H
#define MILVUS_COLUMN_INTERNAL_H

#include "segment/column.h"

#include <string.h>

/* How a node stores its values.  Numbers are part of the format. */
typedef enum ColumnEncoding
{
	COLUMN_PLAIN = 0,
	COLUMN_CONSTANT = 1,		/* one value */
	COLUMN_RUNS = 2,			/* values and how often each is repeated */
	COLUMN_DICTIONARY = 3,		/* distinct values and a code for each row */
	COLUMN_PACKED = 4,			/* distance from the smallest of a group, in as many bits as it takes */
	COLUMN_DELTA = 5,			/* the same of differences */
	COLUMN_PLANES = 6,			/* first bytes of all elements, then the second ones, ... */
	COLUMN_DECIMAL = 7			/* floats that are integers divided by a power of ten */
} ColumnEncoding;

#define COLUMN_ENCODINGS 8

/* Nodes within nodes, at most: dictionary, runs of codes, lengths of runs. */
#define COLUMN_MAX_DEPTH 3
/* Digits behind the point of COLUMN_DECIMAL, at most. */
#define COLUMN_MAX_DIGITS 8
/* Values of one group of COLUMN_PACKED. */
#define COLUMN_GROUP 512
/* Bytes of an element that are taken apart into planes, at most. */
#define COLUMN_MAX_PLANES 64
/* Distinct values of a dictionary: codes have 16 bits. */
#define COLUMN_MAX_DICTIONARY 65536

/* A growing array of bytes.  An error sticks: what follows does nothing. */
typedef struct ColumnWriter
{
	uint8_t    *data;
	size_t		used;
	size_t		size;
	const ColumnMemory *memory;
	const ColumnCodecOptions *options;
	ColumnStatus status;
	bool		compressed;		/* some block is */
} ColumnWriter;

/* Stored bytes being read.  An error sticks. */
typedef struct ColumnCursor
{
	const uint8_t *at;
	size_t		left;
	const ColumnMemory *memory;
	ColumnStatus status;
} ColumnCursor;

/* ---- column_block.c ---- */

extern uint32_t ColumnChecksum(const void *data, size_t bytes);

extern void *ColumnAlloc(const ColumnMemory *memory, size_t bytes, ColumnStatus *status);
extern void ColumnFree(const ColumnMemory *memory, void *p);

/* Room for more bytes; returns where they begin, or NULL. */
extern uint8_t *ColumnReserve(ColumnWriter *writer, size_t bytes);
extern void ColumnPut(ColumnWriter *writer, const void *data, size_t bytes);
extern void ColumnPutByte(ColumnWriter *writer, uint8_t value);
extern void ColumnPutNumber(ColumnWriter *writer, uint32_t value);

/* What a block's bytes are, which says how to look for what can be saved. */
typedef enum ColumnBlockHint
{
	COLUMN_BLOCK_ANY,
	COLUMN_BLOCK_PLANE			/* bytes without repeated strings: only their frequencies matter */
} ColumnBlockHint;

extern void ColumnPutBlock(ColumnWriter *writer, const void *raw, size_t bytes, ColumnBlockHint hint);

/* The next bytes, or NULL. */
extern const uint8_t *ColumnTake(ColumnCursor *cursor, size_t bytes);
extern uint8_t ColumnTakeByte(ColumnCursor *cursor);
extern uint32_t ColumnTakeNumber(ColumnCursor *cursor);
/* A block of so many bytes, into dst. */
extern void ColumnTakeBlock(ColumnCursor *cursor, void *dst, size_t bytes);
/* The same without copying when it is stored plain.  *owned is to be freed; NULL then and after errors. */
extern const uint8_t *ColumnTakeBlockInPlace(ColumnCursor *cursor, size_t bytes, void **owned);

/* Estimated bytes of `bytes` bytes, `step` apart, with a code for each by its frequency. */
extern double ColumnEntropy(const uint8_t *data, size_t bytes, size_t step);

/*
 * n elements of `width` bytes to planes and back: byte b of element i is planes[b][i].
 */
extern void ColumnSplit(const uint8_t *elements, size_t n, size_t width, uint8_t *const *planes);
extern void ColumnJoin(const uint8_t *const *planes, size_t n, size_t width, uint8_t *elements);

/* ---- column_encode.c ---- */

/* A node of n values of `width` bytes each. */
extern ColumnEncoding ColumnPutFixed(ColumnWriter *writer, const uint8_t *values, uint32_t n,
									 uint32_t width, ColumnKind kind, int depth);
/* Vectors of `element` bytes an element, with `skip` bytes before them. */
extern ColumnEncoding ColumnPutVectors(ColumnWriter *writer, const uint8_t *values, uint32_t n,
									   uint32_t width, uint32_t skip, uint32_t element);
/* Values i at offsets[i] .. offsets[i + 1], offsets[0] = 0; element: of vectors, 0 of others. */
extern ColumnEncoding ColumnPutVariable(ColumnWriter *writer, const uint8_t *values,
										const uint32_t *offsets, uint32_t n, uint32_t align,
										uint32_t element);

/* ---- column_decode.c ---- */

extern void ColumnTakeFixed(ColumnCursor *cursor, uint8_t *values, uint32_t n, uint32_t width,
							int depth);
extern void ColumnTakeVectors(ColumnCursor *cursor, uint8_t *values, uint32_t n, uint32_t width,
							  uint32_t skip, uint32_t element);
/* lengths: n; values: value_bytes, which the lengths must add up to. */
extern void ColumnTakeVariable(ColumnCursor *cursor, uint8_t *values, size_t value_bytes,
							   uint32_t *lengths, uint32_t n, uint32_t element);

/* Bytes of an element of a kind of vectors; 0 of other kinds. */
static inline uint32_t
ColumnElementBytes(uint32_t kind)
{
	return kind == COLUMN_FLOAT_VECTOR ? 4 : kind == COLUMN_HALF_VECTOR ? 2 : 0;
}

/* Bits of a number. */
static inline uint32_t
ColumnBitWidth(uint64_t value)
{
	return value == 0 ? 0 : 64 - (uint32_t) __builtin_clzll(value);
}

/* 10^digits, digits <= COLUMN_MAX_DIGITS: exact. */
static inline double
ColumnPowerOfTen(uint32_t digits)
{
	double		power = 1;

	while (digits-- > 0)
		power *= 10;
	return power;
}

/* Bytes of n numbers of so many bits. */
static inline size_t
ColumnPackedBytes(size_t n, uint32_t bits)
{
	return (n * bits + 7) / 8;
}

#endif							/* MILVUS_COLUMN_INTERNAL_H */
