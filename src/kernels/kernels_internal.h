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

/* The place of the i-th row of a *_rows kernel: by number, or in order without numbers. */
KERNELS_INLINE size_t
row_place(const uint32_t *rows, size_t i, size_t stride)
{
	return (rows != NULL ? rows[i] : i) * stride;
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
