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

#define KERNELS_INLINE static inline __attribute__((always_inline))

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
