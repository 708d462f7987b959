/*
 * column_bloom.c
 *		Bloom filters of column chunks.
 *
 * A split block filter (Putze, Sanders, Singler, "Cache-, hash- and space-efficient Bloom filters",
 * 2007): the upper half of a hash picks a block of 256 bits, the lower one a bit in each of its
 * eight words.  A look-up reads one cache line.
 */
#include "segment/column.h"

#include <string.h>

#define BLOCK_BYTES 32
#define BLOCK_WORDS 8
/* One in some 200 values that are not there seems to be. */
#define BITS_A_VALUE 12

/* Odd numbers that spread the same 32 bits differently. */
static const uint32_t multipliers[BLOCK_WORDS] = {
	UINT32_C(0x9E3779B1), UINT32_C(0x85EBCA77), UINT32_C(0xC2B2AE3D), UINT32_C(0x27D4EB2F),
	UINT32_C(0x165667B1), UINT32_C(0xD6E8FEB9), UINT32_C(0xA24BAED5), UINT32_C(0x5851F42D),
};

/* Bytes for so many distinct values: a multiple of a block. */
size_t
ColumnBloomBytes(uint32_t values)
{
	size_t		blocks = ((size_t) values * BITS_A_VALUE + BLOCK_BYTES * 8 - 1) / (BLOCK_BYTES * 8);

	return (blocks > 0 ? blocks : 1) * BLOCK_BYTES;
}

static size_t
block_of(size_t bytes, uint64_t hash)
{
	uint64_t	blocks = bytes / BLOCK_BYTES;

	return (size_t) (((hash >> 32) * blocks) >> 32) * BLOCK_BYTES;
}

/* The bit of a word, as byte and place, so that the filter is the same on every machine. */
static inline uint32_t
bit_of(uint64_t hash, int word)
{
	return (uint32_t) hash * multipliers[word] >> 27;
}

void
ColumnBloomAdd(uint8_t *bloom, size_t bytes, uint64_t hash)
{
	uint8_t    *block;

	if (bytes < BLOCK_BYTES)
		return;
	block = bloom + block_of(bytes, hash);
	for (int i = 0; i < BLOCK_WORDS; i++)
	{
		uint32_t	bit = bit_of(hash, i);

		block[i * 4 + bit / 8] |= (uint8_t) (1u << (bit % 8));
	}
}

/* A filter too small to be one may contain anything. */
bool
ColumnBloomMayContain(const uint8_t *bloom, size_t bytes, uint64_t hash)
{
	const uint8_t *block;

	if (bytes < BLOCK_BYTES)
		return true;
	block = bloom + block_of(bytes, hash);
	for (int i = 0; i < BLOCK_WORDS; i++)
	{
		uint32_t	bit = bit_of(hash, i);

		if ((block[i * 4 + bit / 8] >> (bit % 8) & 1) == 0)
			return false;
	}
	return true;
}
