/*
 * kernels.h
 *		Distance kernels, one table of functions an instruction set.
 *
 * Nothing here knows PostgreSQL.  The table is chosen once when the library is
 * loaded (KernelsInit) and may be lowered by name (KernelsSelect); callers go
 * through the global pointer `kernels`.  All pointers may be unaligned unless
 * said otherwise.  `dim` counts elements, `stride` counts elements of the array
 * it belongs to.  Sums of float kernels are accumulated in float32 in an order
 * that differs between instruction sets; integer kernels are exact and equal on
 * all of them.
 *
 * Within one table, for vectors of one dim and on any machine, these hold bit for
 * bit: l2sq_f32_many is l2sq_f32 and ip_f32_many is ip_f32 of each row; the sums of
 * a cosine kernel are those of the ip kernel; exchanging a and b changes nothing;
 * the l2sq and l1 of a finite vector and itself are zero; a *_rows kernel gives a row
 * the same number whichever rows are asked for with it.  So a norm or a distance may be
 * computed by either and kept.
 */
#ifndef MILVUS_KERNELS_H
#define MILVUS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Code rows of the 8-bit kernels are padded to this many bytes with SQ8_ZERO. */
#define SQ8_PAD 64
#define SQ8_ZERO 128

typedef struct VectorKernels
{
	const char *name;			/* "portable", "avx2", "avx512", "neon", "neon_dot" */

	/* float32, one to one */
	float		(*l2sq_f32) (const float *a, const float *b, size_t dim);
	float		(*ip_f32) (const float *a, const float *b, size_t dim);
	float		(*l1_f32) (const float *a, const float *b, size_t dim);
	/* *ab = a.b, *aa = a.a, *bb = b.b in one pass */
	void		(*cosine_f32) (const float *a, const float *b, size_t dim,
							   float *ab, float *aa, float *bb);

	/* float16 (IEEE 754 binary16 bits), accumulated in float32 */
	float		(*l2sq_f16) (const uint16_t *a, const uint16_t *b, size_t dim);
	float		(*ip_f16) (const uint16_t *a, const uint16_t *b, size_t dim);
	float		(*l1_f16) (const uint16_t *a, const uint16_t *b, size_t dim);
	void		(*cosine_f16) (const uint16_t *a, const uint16_t *b, size_t dim,
							   float *ab, float *aa, float *bb);
	void		(*f16_to_f32) (const uint16_t *src, float *dst, size_t n);
	/* round to nearest even; overflow gives infinity, which callers check */
	void		(*f32_to_f16) (const float *src, uint16_t *dst, size_t n);

	/* float32, one query to n rows of base (row i at base + i * stride) */
	void		(*l2sq_f32_many) (const float *q, const float *base, size_t stride,
								  size_t n, size_t dim, float *out);
	void		(*ip_f32_many) (const float *q, const float *base, size_t stride,
								size_t n, size_t dim, float *out);

	/*
	 * 8-bit codes: a row is unsigned (value + 128), a query is signed.  len is
	 * the padded length, a multiple of SQ8_PAD; code rows and query are 64-byte
	 * aligned.  Result: sum of code[i] * q[i] with code unsigned (the caller
	 * subtracts 128 * sum(q)).
	 */
	int32_t		(*sq8_dot) (const uint8_t *code, const int8_t *q, size_t len);
	/* n rows one after the other, stride bytes apart */
	void		(*sq8_dot_seq) (const uint8_t *codes, size_t stride, size_t n,
								const int8_t *q, size_t len, int32_t *out);
	/* n rows given by number, in any order, repeated or not; prefetches ahead */
	void		(*sq8_dot_gather) (const uint8_t *codes, size_t stride,
								   const uint32_t *rows, size_t n,
								   const int8_t *q, size_t len, int32_t *out);
	/* two code rows: sum of x[i] * (y[i] - 128) */
	int32_t		(*sq8_dot_codes) (const uint8_t *x, const uint8_t *y, size_t len);

	/* bfloat16 (the upper half of a float32), accumulated in float32 */
	float		(*l2sq_bf16) (const uint16_t *a, const uint16_t *b, size_t dim);
	float		(*ip_bf16) (const uint16_t *a, const uint16_t *b, size_t dim);
	float		(*l1_bf16) (const uint16_t *a, const uint16_t *b, size_t dim);
	void		(*cosine_bf16) (const uint16_t *a, const uint16_t *b, size_t dim,
								float *ab, float *aa, float *bb);
	void		(*bf16_to_f32) (const uint16_t *src, float *dst, size_t n);
	/* round to nearest even; overflow gives infinity, NaN stays NaN */
	void		(*f32_to_bf16) (const float *src, uint16_t *dst, size_t n);

	/* int8, exact for dim <= 32768 */
	int32_t		(*l2sq_i8) (const int8_t *a, const int8_t *b, size_t dim);
	int32_t		(*ip_i8) (const int8_t *a, const int8_t *b, size_t dim);
	int32_t		(*l1_i8) (const int8_t *a, const int8_t *b, size_t dim);
	void		(*cosine_i8) (const int8_t *a, const int8_t *b, size_t dim,
							  int32_t *ab, int32_t *aa, int32_t *bb);

	/* bits: popcount of a ^ b; of a & b and of a | b; the order of bits does not matter */
	uint64_t	(*hamming) (const uint8_t *a, const uint8_t *b, size_t bytes);
	void		(*jaccard) (const uint8_t *a, const uint8_t *b, size_t bytes,
							uint64_t *both, uint64_t *either);

	/*
	 * One query to many rows: row i is at base + rows[i] * stride, or with rows NULL
	 * at base + i * stride; rows in any order, repeated or not; prefetches ahead.
	 */
	void		(*hamming_rows) (const uint8_t *q, const uint8_t *base, size_t stride,
								 const uint32_t *rows, size_t n, size_t bytes, uint32_t *out);
	/* popcount of q & row */
	void		(*and_rows) (const uint8_t *q, const uint8_t *base, size_t stride,
							 const uint32_t *rows, size_t n, size_t bytes, uint32_t *out);
	/* strides in elements */
	void		(*ip_f32_f16_rows) (const float *q, const uint16_t *base, size_t stride,
									const uint32_t *rows, size_t n, size_t dim, float *out);
	void		(*ip_f32_bf16_rows) (const float *q, const uint16_t *base, size_t stride,
									 const uint32_t *rows, size_t n, size_t dim, float *out);

	/*
	 * 4-bit codes 0..15, by blocks of 64 values in 32 bytes: byte i of a block has
	 * value i in its low half and value 32 + i in its high half.  len counts values, a
	 * multiple of 64; q has len signed bytes.  Result: sum of code * q.
	 */
	void		(*sq4_dot_rows) (const int8_t *q, const uint8_t *codes, size_t stride,
								 const uint32_t *rows, size_t n, size_t len, int32_t *out);
	/*
	 * 6-bit codes 0..63, by blocks of 64 values in 48 bytes: 32 bytes as above with the
	 * low four bits, then 16 bytes with the upper two: byte i of these has those of
	 * values i, 16 + i, 32 + i and 48 + i from its lowest bits on.
	 */
	void		(*sq6_dot_rows) (const int8_t *q, const uint8_t *codes, size_t stride,
								 const uint32_t *rows, size_t n, size_t len, int32_t *out);

	/* sum over j < m of lut[j * 256 + code[j]], a byte a code */
	void		(*pq8_rows) (const float *lut, const uint8_t *codes, size_t stride,
							 const uint32_t *rows, size_t n, size_t m, float *out);
	/*
	 * 4-bit product codes in blocks of 32 rows (fast scan): m is even; a block has 16 m
	 * bytes, 32 for each pair of subspaces (j, j + 1).  Of those 32, byte i has row i's
	 * code of subspace j in its low half and that of j + 1 in its high half.  lut has m x 16 bytes.
	 * out: 32 sums a block, of lut[j * 16 + code], in 16 bits (m <= 256 cannot overflow;
	 * with more they saturate at 65535).
	 */
	void		(*pq4_scan) (const uint8_t *lut, const uint8_t *blocks, size_t nblocks,
							 size_t m, uint16_t *out);

	/*
	 * One-bit codes, bit i in byte i / 8 at value 1 << (i % 8): sum of q[i] where bit i
	 * is set.  dim floats; bits past dim are zero.
	 */
	void		(*bits_ip_rows) (const float *q, const uint8_t *codes, size_t stride,
								 const uint32_t *rows, size_t n, size_t dim, float *out);
	/* The same of a query given as bit planes: sum over p of 2^p popcount(plane p & code). */
	void		(*bits_planes_rows) (const uint8_t *planes, size_t nplanes, size_t plane_stride,
									 const uint8_t *codes, size_t stride, const uint32_t *rows,
									 size_t n, size_t bytes, uint32_t *out);

	/*
	 * Bit i of mask (n bits, words of 64; the last word's other bits are zero): whether
	 * lo <= v[i] <= hi.
	 */
	void		(*range_u8) (const uint8_t *v, size_t n, uint8_t lo, uint8_t hi, uint64_t *mask);
	void		(*range_u16) (const uint16_t *v, size_t n, uint16_t lo, uint16_t hi,
							  uint64_t *mask);
	void		(*range_u32) (const uint32_t *v, size_t n, uint32_t lo, uint32_t hi,
							  uint64_t *mask);
	void		(*range_u64) (const uint64_t *v, size_t n, uint64_t lo, uint64_t hi,
							  uint64_t *mask);
	/* of floats: also the NaNs when nans is set; lo and hi are not NaN */
	void		(*range_f32) (const float *v, size_t n, float lo, float hi, bool nans,
							  uint64_t *mask);
	void		(*range_f64) (const double *v, size_t n, double lo, double hi, bool nans,
							  uint64_t *mask);
	/* whether v[i] is one of set[0 .. nset - 1] */
	void		(*in_u8) (const uint8_t *v, size_t n, const uint8_t *set, size_t nset,
						  uint64_t *mask);
	void		(*in_u16) (const uint16_t *v, size_t n, const uint16_t *set, size_t nset,
						   uint64_t *mask);
	void		(*in_u32) (const uint32_t *v, size_t n, const uint32_t *set, size_t nset,
						   uint64_t *mask);
	void		(*in_u64) (const uint64_t *v, size_t n, const uint64_t *set, size_t nset,
						   uint64_t *mask);

	/* bits set in words of 64; their numbers plus base, ascending, of which it returns how many */
	size_t		(*bits_count) (const uint64_t *mask, size_t words);
	size_t		(*bits_rows) (const uint64_t *mask, size_t words, uint32_t base, uint32_t *rows);
} VectorKernels;

/* The chosen table; the portable one until KernelsInit() was called. */
extern const VectorKernels *kernels;

/*
 * Choose the best table this CPU runs.  Idempotent: a second call does not undo a
 * KernelsSelect().
 */
extern void KernelsInit(void);

/*
 * Choose by name ("auto" is the best one).  Returns false, changing nothing, if
 * the name is unknown or this CPU cannot run it.
 */
extern bool KernelsSelect(const char *name);

/* The i-th table compiled in, portable first; NULL past the end. */
extern const VectorKernels *KernelsTable(int i);
/* Whether this CPU can run a table. */
extern bool KernelsUsable(const VectorKernels *table);

/*
 * C (m x n, row-major, ldc) = A (m x k, lda) . B (n x k, ldb) transposed.
 * OpenBLAS when it can be loaded, held to one thread and to a core type that
 * fits this CPU; otherwise, and before GemmInit(), blocked calls of ip_f32_many.
 * C must not overlap A or B.  Callable from several threads after GemmInit(),
 * which itself changes the environment for a moment and so belongs before the
 * first thread; its further calls do nothing.
 */
extern void GemmInit(void);
extern void GemmNT(size_t m, size_t n, size_t k, const float *a, size_t lda,
				   const float *b, size_t ldb, float *c, size_t ldc);
/* "openblas 0.3.21 SkylakeX" or "built-in" */
extern const char *GemmName(void);

#endif							/* MILVUS_KERNELS_H */
