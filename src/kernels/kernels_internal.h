/*
 * kernels_internal.h
 *		What the files of this folder share: the tables and the target macros.
 *
 * Instruction sets are turned on by function attributes and not by compiler
 * flags a file, so that one command line builds all of them, with gcc, with
 * clang and as LLVM bitcode.
 */
#ifndef MILVUS_KERNELS_INTERNAL_H
#define MILVUS_KERNELS_INTERNAL_H

#include "kernels/kernels.h"

#include <string.h>

#define KERNELS_INLINE static inline __attribute__((always_inline))

/* The float with these bits. */
KERNELS_INLINE float
float_of_bits(uint32_t bits)
{
	float		f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* The bits of a float. */
KERNELS_INLINE uint32_t
bits_of_float(float f)
{
	uint32_t	bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* bfloat16 to float32: its upper half. */
KERNELS_INLINE float
brain_to_float(uint16_t b)
{
	return float_of_bits((uint32_t) b << 16);
}

/*
 * float32 to bfloat16, to nearest even.  The carry of the rounding may run into the
 * exponent, up to infinity.  A NaN could lose what makes it one with its lower half,
 * so it is made quiet.
 */
KERNELS_INLINE uint16_t
float_to_brain(float f)
{
	uint32_t	bits = bits_of_float(f);
	uint32_t	rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
	uint32_t	nan = (bits >> 16) | 0x40;

	return (uint16_t) ((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

/* Some bytes as a word, the first one lowest; for tables of little-endian machines. */
KERNELS_INLINE uint64_t
load_u32(const void *p)
{
	uint32_t	word;

	memcpy(&word, p, sizeof(word));
	return word;
}

KERNELS_INLINE uint64_t
load_u64(const void *p)
{
	uint64_t	word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * The same of n < 8 bytes.  Two words that overlap, the second one shifted, come without
 * a way through memory, which a register loaded from single bytes would wait for.
 */
KERNELS_INLINE uint64_t
load_tail(const void *p, size_t n)
{
	const uint8_t *b = p;

	if (n >= 4)
		return load_u32(b) | load_u32(b + n - 4) >> (8 * (8 - n)) << 32;
	if (n == 0)
		return 0;
	return b[0] | (uint64_t) b[n / 2] << (8 * (n / 2)) | (uint64_t) b[n - 1] << (8 * (n - 1));
}

/* The n < 16 first bytes as two words. */
KERNELS_INLINE void
load_tail16(const void *p, size_t n, uint64_t *low, uint64_t *high)
{
	const uint8_t *b = p;

	*low = n >= 8 ? load_u64(b) : load_tail(b, n);
	*high = n > 8 ? load_u64(b + n - 8) >> (8 * (16 - n)) : 0;
}

/* The place of the i-th row of a *_rows kernel: by number, or in order without numbers. */
KERNELS_INLINE size_t
row_place(const uint32_t *rows, size_t i, size_t stride)
{
	return (rows != NULL ? rows[i] : i) * stride;
}

/* The numbers of a word's set bits, plus base, ascending; how many. */
KERNELS_INLINE size_t
bits_to_rows(uint64_t word, uint32_t base, uint32_t *rows)
{
	size_t		count = 0;

	for (; word != 0; word &= word - 1)
		rows[count++] = base + (uint32_t) __builtin_ctzll(word);
	return count;
}

extern const VectorKernels KernelsPortable;

#if defined(__x86_64__)
#define KERNELS_X86 1
extern const VectorKernels KernelsAvx2;
extern const VectorKernels KernelsAvx512;
#endif

#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#define KERNELS_NEON 1
extern const VectorKernels KernelsNeon;

/*
 * The dot product instructions need an attribute on their functions, which gcc
 * and clang from 16 on understand; an older clang has them only where the
 * command line already asks for them.
 */
#if defined(__ARM_FEATURE_DOTPROD) || !defined(__clang__) || __clang_major__ >= 16
#define KERNELS_NEON_DOT 1
extern const VectorKernels KernelsNeonDot;
#endif
#endif

#endif							/* MILVUS_KERNELS_INTERNAL_H */
