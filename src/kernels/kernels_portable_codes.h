/*
 * kernels_portable_codes.h
 *		The kernels of bytes, bits, codes and ranges of kernels_portable.c.
 *
 * All are exact but pq8_rows and bits_ip_rows, which sum floats.
 */
#ifndef MILVUS_KERNELS_PORTABLE_CODES_H
#define MILVUS_KERNELS_PORTABLE_CODES_H

#include "kernels/kernels_internal.h"

#include <stdlib.h>

/* At most 255 * 255 * 32,768: an int32 holds it. */
static int32_t
l2sq_i8(const int8_t *a, const int8_t *b, size_t dim)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < dim; i++)
		sum += (a[i] - b[i]) * (a[i] - b[i]);
	return sum;
}

static int32_t
ip_i8(const int8_t *a, const int8_t *b, size_t dim)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < dim; i++)
		sum += a[i] * b[i];
	return sum;
}

static int32_t
l1_i8(const int8_t *a, const int8_t *b, size_t dim)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < dim; i++)
		sum += abs(a[i] - b[i]);
	return sum;
}

static void
cosine_i8(const int8_t *a, const int8_t *b, size_t dim, int32_t *ab, int32_t *aa, int32_t *bb)
{
	*ab = ip_i8(a, b, dim);
	*aa = ip_i8(a, a, dim);
	*bb = ip_i8(b, b, dim);
}

/* The next bytes of a bit string as a word: eight of them, or the last ones and zeros. */
KERNELS_INLINE uint64_t
load_word(const uint8_t *p, size_t bytes)
{
	uint64_t	word = 0;

	memcpy(&word, p, bytes < sizeof(word) ? bytes : sizeof(word));
	return word;
}

/* Set bits of a word: counted in pairs, nibbles and bytes, which a product adds up. */
KERNELS_INLINE uint64_t
popcount(uint64_t x)
{
	x -= (x >> 1) & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
	x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (x * UINT64_C(0x0101010101010101)) >> 56;
}

static uint64_t
hamming(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	uint64_t	sum = 0;

	for (size_t i = 0; i < bytes; i += 8)
		sum += popcount(load_word(a + i, bytes - i) ^ load_word(b + i, bytes - i));
	return sum;
}

static void
jaccard(const uint8_t *a, const uint8_t *b, size_t bytes, uint64_t *both, uint64_t *either)
{
	*both = *either = 0;
	for (size_t i = 0; i < bytes; i += 8)
	{
		uint64_t	x = load_word(a + i, bytes - i);
		uint64_t	y = load_word(b + i, bytes - i);

		*both += popcount(x & y);
		*either += popcount(x | y);
	}
}

/* popcount of q & row */
KERNELS_INLINE uint64_t
count_and(const uint8_t *q, const uint8_t *row, size_t bytes)
{
	uint64_t	sum = 0;

	for (size_t i = 0; i < bytes; i += 8)
		sum += popcount(load_word(q + i, bytes - i) & load_word(row + i, bytes - i));
	return sum;
}

static void
hamming_rows(const uint8_t *q, const uint8_t *base, size_t stride, const uint32_t *rows,
			 size_t n, size_t bytes, uint32_t *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint32_t) hamming(q, base + row_place(rows, i, stride), bytes);
}

static void
and_rows(const uint8_t *q, const uint8_t *base, size_t stride, const uint32_t *rows, size_t n,
		 size_t bytes, uint32_t *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint32_t) count_and(q, base + row_place(rows, i, stride), bytes);
}

static void
sq4_dot_rows(const int8_t *q, const uint8_t *codes, size_t stride, const uint32_t *rows,
			 size_t n, size_t len, int32_t *out)
{
	for (size_t i = 0; i < n; i++)
	{
		const uint8_t *block = codes + row_place(rows, i, stride);
		int32_t		sum = 0;

		for (size_t at = 0; at < len; at += 64, block += 32)
		{
			for (int j = 0; j < 32; j++)
			{
				sum += (block[j] & 15) * q[at + j];
				sum += (block[j] >> 4) * q[at + 32 + j];
			}
		}
		out[i] = sum;
	}
}

static void
sq6_dot_rows(const int8_t *q, const uint8_t *codes, size_t stride, const uint32_t *rows,
			 size_t n, size_t len, int32_t *out)
{
	for (size_t i = 0; i < n; i++)
	{
		const uint8_t *block = codes + row_place(rows, i, stride);
		int32_t		sum = 0;

		for (size_t at = 0; at < len; at += 64, block += 48)
		{
			for (int j = 0; j < 16; j++)
			{
				uint8_t		upper = block[32 + j];

				sum += ((block[j] & 15) | (upper & 3) << 4) * q[at + j];
				sum += ((block[16 + j] & 15) | (upper >> 2 & 3) << 4) * q[at + 16 + j];
				sum += (block[j] >> 4 | (upper >> 4 & 3) << 4) * q[at + 32 + j];
				sum += (block[16 + j] >> 4 | upper >> 6 << 4) * q[at + 48 + j];
			}
		}
		out[i] = sum;
	}
}

static void
pq8_rows(const float *lut, const uint8_t *codes, size_t stride, const uint32_t *rows, size_t n,
		 size_t m, float *out)
{
	for (size_t i = 0; i < n; i++)
	{
		const uint8_t *code = codes + row_place(rows, i, stride);
		float		even = 0;
		float		odd = 0;
		size_t		j = 0;

		for (; j + 2 <= m; j += 2)
		{
			even += lut[j * 256 + code[j]];
			odd += lut[(j + 1) * 256 + code[j + 1]];
		}
		if (j < m)
			even += lut[j * 256 + code[j]];
		out[i] = even + odd;
	}
}

static void
pq4_scan(const uint8_t *lut, const uint8_t *blocks, size_t nblocks, size_t m, uint16_t *out)
{
	for (size_t b = 0; b < nblocks; b++)
	{
		uint32_t	sums[32] = {0};

		for (size_t j = 0; j < m; j += 2, blocks += 32)
		{
			for (int i = 0; i < 32; i++)
				sums[i] += lut[j * 16 + (blocks[i] & 15)] + lut[(j + 1) * 16 + (blocks[i] >> 4)];
		}
		for (int i = 0; i < 32; i++)
			*out++ = (uint16_t) (sums[i] < 65535 ? sums[i] : 65535);
	}
}

/* Each lane takes the bits at one place of their bytes. */
static void
bits_ip_rows(const float *q, const uint8_t *codes, size_t stride, const uint32_t *rows,
			 size_t n, size_t dim, float *out)
{
	for (size_t i = 0; i < n; i++)
	{
		const uint8_t *code = codes + row_place(rows, i, stride);
		float		acc[8] = {0};

		for (size_t at = 0; at < dim; at += 8, code++)
		{
			size_t		bits = dim - at < 8 ? dim - at : 8;

			for (size_t j = 0; j < bits; j++)
				acc[j] += *code >> j & 1 ? q[at + j] : 0.0f;
		}
		out[i] = ((acc[0] + acc[1]) + (acc[2] + acc[3])) + ((acc[4] + acc[5]) + (acc[6] + acc[7]));
	}
}

static void
bits_planes_rows(const uint8_t *planes, size_t nplanes, size_t plane_stride,
				 const uint8_t *codes, size_t stride, const uint32_t *rows, size_t n,
				 size_t bytes, uint32_t *out)
{
	for (size_t i = 0; i < n; i++)
	{
		const uint8_t *code = codes + row_place(rows, i, stride);
		uint32_t	sum = 0;

		for (size_t p = 0; p < nplanes; p++)
			sum += (uint32_t) count_and(planes + p * plane_stride, code, bytes) << p;
		out[i] = sum;
	}
}

/* Bit i of the result: whether lo <= v[i] <= hi, for i < n <= 64. */
#define RANGE(name, type) \
	static void \
	name(const type *v, size_t n, type lo, type hi, uint64_t *mask) \
	{ \
		for (size_t i = 0; i < n; i += 64) \
		{ \
			size_t		bits = n - i < 64 ? n - i : 64; \
			uint64_t	word = 0; \
			for (size_t j = 0; j < bits; j++) \
				word |= (uint64_t) (lo <= v[i + j] && v[i + j] <= hi) << j; \
			mask[i / 64] = word; \
		} \
	}

RANGE(range_u8, uint8_t)
RANGE(range_u16, uint16_t)
RANGE(range_u32, uint32_t)
RANGE(range_u64, uint64_t)

#undef RANGE

/* The same of floats; a NaN is the value that is not itself. */
#define RANGE_FLOAT(name, type) \
	static void \
	name(const type *v, size_t n, type lo, type hi, bool nans, uint64_t *mask) \
	{ \
		for (size_t i = 0; i < n; i += 64) \
		{ \
			size_t		bits = n - i < 64 ? n - i : 64; \
			uint64_t	word = 0; \
			for (size_t j = 0; j < bits; j++) \
			{ \
				type		x = v[i + j]; \
				word |= (uint64_t) ((lo <= x && x <= hi) || (nans && x != x)) << j; \
			} \
			mask[i / 64] = word; \
		} \
	}

RANGE_FLOAT(range_f32, float)
RANGE_FLOAT(range_f64, double)

#undef RANGE_FLOAT

#define IN_SET(name, type) \
	static void \
	name(const type *v, size_t n, const type *set, size_t nset, uint64_t *mask) \
	{ \
		for (size_t i = 0; i < n; i += 64) \
		{ \
			size_t		bits = n - i < 64 ? n - i : 64; \
			uint64_t	word = 0; \
			for (size_t j = 0; j < bits; j++) \
			{ \
				bool		found = false; \
				for (size_t k = 0; k < nset; k++) \
					found = found || v[i + j] == set[k]; \
				word |= (uint64_t) found << j; \
			} \
			mask[i / 64] = word; \
		} \
	}

IN_SET(in_u8, uint8_t)
IN_SET(in_u16, uint16_t)
IN_SET(in_u32, uint32_t)
IN_SET(in_u64, uint64_t)

#undef IN_SET

static size_t
bits_count(const uint64_t *mask, size_t words)
{
	size_t		count = 0;

	for (size_t i = 0; i < words; i++)
		count += (size_t) __builtin_popcountll(mask[i]);
	return count;
}

static size_t
bits_rows(const uint64_t *mask, size_t words, uint32_t base, uint32_t *rows)
{
	size_t		count = 0;

	for (size_t i = 0; i < words; i++)
		count += bits_to_rows(mask[i], base + (uint32_t) (i * 64), rows + count);
	return count;
}

#endif							/* MILVUS_KERNELS_PORTABLE_CODES_H */
