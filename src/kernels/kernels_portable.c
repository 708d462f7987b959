/*
 * kernels_portable.c
 *		The kernels in plain C: the meaning the other tables are held against.
 *
 * Sums run over a fixed number of lanes that are added pairwise at the end.
 * Fixing the order this way lets the compiler vectorise without -ffast-math, and
 * keeps the rounding error of a long vector low.  The conversions between
 * float16 and float32 give the bits that F16C gives; a NaN stays a NaN.
 */
#include "kernels/kernels_internal.h"

#include <math.h>

#define LANES 16
#define BLOCK 64				/* halves widened at a time, a multiple of LANES */

typedef enum Term
{
	TERM_L2SQ,
	TERM_IP,
	TERM_L1
} Term;

/*
 * float16 to float32, exact.  Moving the fields into place leaves the exponent
 * 112 too low, and that of an infinity or NaN another 112.  A subnormal has no
 * hidden bit: it is given one (the exponent of 2^-14) which is subtracted again
 * as a float, so that the hardware normalises.
 */
KERNELS_INLINE float
half_to_float(uint16_t h)
{
	const uint32_t rebias = (127 - 15) << 23;
	uint32_t	sign = (uint32_t) (h & 0x8000) << 16;
	uint32_t	magnitude = (uint32_t) (h & 0x7fff) << 13;
	uint32_t	exponent = h & 0x7c00;
	uint32_t	normal = magnitude + rebias + (exponent == 0x7c00 ? rebias : 0);
	float		hidden = float_of_bits(rebias + (1 << 23));
	uint32_t	subnormal = bits_of_float(float_of_bits(normal + (1 << 23)) - hidden);

	return float_of_bits((exponent == 0 ? subnormal : normal) | sign);
}

/*
 * float32 to float16, to nearest even.  In the normal range the rounding is an
 * integer addition whose carry may run into the exponent, up to infinity.  Below
 * it, adding 0.5 makes the float unit round at 2^-24, the last place of a
 * subnormal half, and leaves the half in the low bits.
 */
KERNELS_INLINE uint16_t
float_to_half(float f)
{
	const uint32_t rebias = (uint32_t) (127 - 15) << 23;
	uint32_t	all = bits_of_float(f);
	uint32_t	sign = (all >> 16) & 0x8000;
	uint32_t	bits = all & 0x7fffffff;
	uint32_t	normal = (bits - rebias + 0x0fff + ((bits >> 13) & 1)) >> 13;
	uint32_t	subnormal = bits_of_float(float_of_bits(bits) + 0.5f) - bits_of_float(0.5f);
	uint32_t	nan = 0x7e00 | ((bits >> 13) & 0x03ff);
	uint32_t	half;

	half = bits < (113u << 23) ? subnormal : normal;	/* below 2^-14 */
	half = bits >= (143u << 23) ? 0x7c00 : half;	/* 2^16 and up */
	half = bits > 0x7f800000 ? nan : half;
	return (uint16_t) (half | sign);
}

/* What one pair of elements adds to a sum. */
KERNELS_INLINE float
term(Term t, float x, float y)
{
	switch (t)
	{
		case TERM_L2SQ:
			return (x - y) * (x - y);
		case TERM_IP:
			return x * y;
		case TERM_L1:
			return fabsf(x - y);
	}
	__builtin_unreachable();
}

/* Add the terms of two vectors of dim elements to the lanes. */
KERNELS_INLINE void
add_terms(Term t, const float *a, const float *b, size_t dim, float *acc)
{
	size_t		i = 0;

	for (; i + LANES <= dim; i += LANES)
	{
		for (int j = 0; j < LANES; j++)
			acc[j] += term(t, a[i + j], b[i + j]);
	}
	for (int j = 0; i + j < dim; j++)
		acc[j] += term(t, a[i + j], b[i + j]);
}

/* Sum of the lanes, pairwise. */
KERNELS_INLINE float
sum_lanes(float *acc)
{
	for (int half = LANES / 2; half > 0; half /= 2)
	{
		for (int j = 0; j < half; j++)
			acc[j] += acc[j + half];
	}
	return acc[0];
}

/* Sum of the terms of two float32 vectors. */
KERNELS_INLINE float
sum_f32(Term t, const float *a, const float *b, size_t dim)
{
	float		acc[LANES] = {0};

	add_terms(t, a, b, dim, acc);
	return sum_lanes(acc);
}

static void
f16_to_f32(const uint16_t *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = half_to_float(src[i]);
}

static void
f32_to_f16(const float *src, uint16_t *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = float_to_half(src[i]);
}

static void
bf16_to_f32(const uint16_t *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = brain_to_float(src[i]);
}

static void
f32_to_bf16(const float *src, uint16_t *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = float_to_brain(src[i]);
}

/* Sum of the terms of two float16 or bfloat16 vectors, widened a block at a time. */
KERNELS_INLINE float
sum_16(Term t, bool brain, const uint16_t *a, const uint16_t *b, size_t dim)
{
	float		acc[LANES] = {0};
	float		x[BLOCK],
				y[BLOCK];

	for (size_t i = 0; i < dim; i += BLOCK)
	{
		size_t		n = dim - i < BLOCK ? dim - i : BLOCK;

		(brain ? bf16_to_f32 : f16_to_f32)(a + i, x, n);
		(brain ? bf16_to_f32 : f16_to_f32)(b + i, y, n);
		add_terms(t, x, y, n, acc);
	}
	return sum_lanes(acc);
}

/* Inner product of a float32 vector and a float16 or bfloat16 one. */
KERNELS_INLINE float
ip_mixed(bool brain, const float *q, const uint16_t *row, size_t dim)
{
	float		acc[LANES] = {0};
	float		x[BLOCK];

	for (size_t i = 0; i < dim; i += BLOCK)
	{
		size_t		n = dim - i < BLOCK ? dim - i : BLOCK;

		(brain ? bf16_to_f32 : f16_to_f32)(row + i, x, n);
		add_terms(TERM_IP, q + i, x, n, acc);
	}
	return sum_lanes(acc);
}

static float
l2sq_f32(const float *a, const float *b, size_t dim)
{
	return sum_f32(TERM_L2SQ, a, b, dim);
}

static float
ip_f32(const float *a, const float *b, size_t dim)
{
	return sum_f32(TERM_IP, a, b, dim);
}

static float
l1_f32(const float *a, const float *b, size_t dim)
{
	return sum_f32(TERM_L1, a, b, dim);
}

/* Three passes: the compiler vectorises them, and the sums are those of ip_f32. */
static void
cosine_f32(const float *a, const float *b, size_t dim, float *ab, float *aa, float *bb)
{
	*ab = ip_f32(a, b, dim);
	*aa = ip_f32(a, a, dim);
	*bb = ip_f32(b, b, dim);
}

static float
l2sq_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_16(TERM_L2SQ, false, a, b, dim);
}

static float
ip_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_16(TERM_IP, false, a, b, dim);
}

static float
l1_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_16(TERM_L1, false, a, b, dim);
}

static void
cosine_f16(const uint16_t *a, const uint16_t *b, size_t dim, float *ab, float *aa, float *bb)
{
	*ab = ip_f16(a, b, dim);
	*aa = ip_f16(a, a, dim);
	*bb = ip_f16(b, b, dim);
}

static float
l2sq_bf16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_16(TERM_L2SQ, true, a, b, dim);
}

static float
ip_bf16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_16(TERM_IP, true, a, b, dim);
}

static float
l1_bf16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_16(TERM_L1, true, a, b, dim);
}

static void
cosine_bf16(const uint16_t *a, const uint16_t *b, size_t dim, float *ab, float *aa, float *bb)
{
	*ab = ip_bf16(a, b, dim);
	*aa = ip_bf16(a, a, dim);
	*bb = ip_bf16(b, b, dim);
}

static void
ip_f32_f16_rows(const float *q, const uint16_t *base, size_t stride, const uint32_t *rows,
				size_t n, size_t dim, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = ip_mixed(false, q, base + row_place(rows, i, stride), dim);
}

static void
ip_f32_bf16_rows(const float *q, const uint16_t *base, size_t stride, const uint32_t *rows,
				 size_t n, size_t dim, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = ip_mixed(true, q, base + row_place(rows, i, stride), dim);
}

static void
l2sq_f32_many(const float *q, const float *base, size_t stride, size_t n, size_t dim, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = l2sq_f32(q, base + i * stride, dim);
}

static void
ip_f32_many(const float *q, const float *base, size_t stride, size_t n, size_t dim, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = ip_f32(q, base + i * stride, dim);
}

/* At most 255 * 128 * 32,768 in magnitude: an int32 holds it. */
static int32_t
sq8_dot(const uint8_t *code, const int8_t *q, size_t len)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += code[i] * q[i];
	return sum;
}

static void
sq8_dot_seq(const uint8_t *codes, size_t stride, size_t n, const int8_t *q, size_t len,
			int32_t *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = sq8_dot(codes + i * stride, q, len);
}

static void
sq8_dot_gather(const uint8_t *codes, size_t stride, const uint32_t *rows, size_t n,
			   const int8_t *q, size_t len, int32_t *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = sq8_dot(codes + rows[i] * stride, q, len);
}

static int32_t
sq8_dot_codes(const uint8_t *x, const uint8_t *y, size_t len)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += x[i] * (y[i] - SQ8_ZERO);
	return sum;
}

#include "kernels/kernels_portable_codes.h"

const VectorKernels KernelsPortable = {
	.name = "portable",
	.l2sq_f32 = l2sq_f32,
	.ip_f32 = ip_f32,
	.l1_f32 = l1_f32,
	.cosine_f32 = cosine_f32,
	.l2sq_f16 = l2sq_f16,
	.ip_f16 = ip_f16,
	.l1_f16 = l1_f16,
	.cosine_f16 = cosine_f16,
	.f16_to_f32 = f16_to_f32,
	.f32_to_f16 = f32_to_f16,
	.l2sq_f32_many = l2sq_f32_many,
	.ip_f32_many = ip_f32_many,
	.sq8_dot = sq8_dot,
	.sq8_dot_seq = sq8_dot_seq,
	.sq8_dot_gather = sq8_dot_gather,
	.sq8_dot_codes = sq8_dot_codes,
	.l2sq_bf16 = l2sq_bf16,
	.ip_bf16 = ip_bf16,
	.l1_bf16 = l1_bf16,
	.cosine_bf16 = cosine_bf16,
	.bf16_to_f32 = bf16_to_f32,
	.f32_to_bf16 = f32_to_bf16,
	.ip_f32_f16_rows = ip_f32_f16_rows,
	.ip_f32_bf16_rows = ip_f32_bf16_rows,
	.l2sq_i8 = l2sq_i8,
	.ip_i8 = ip_i8,
	.l1_i8 = l1_i8,
	.cosine_i8 = cosine_i8,
	.hamming = hamming,
	.jaccard = jaccard,
	.hamming_rows = hamming_rows,
	.and_rows = and_rows,
	.sq4_dot_rows = sq4_dot_rows,
	.sq6_dot_rows = sq6_dot_rows,
	.pq8_rows = pq8_rows,
	.pq4_scan = pq4_scan,
	.bits_ip_rows = bits_ip_rows,
	.bits_planes_rows = bits_planes_rows,
	.range_u8 = range_u8,
	.range_u16 = range_u16,
	.range_u32 = range_u32,
	.range_u64 = range_u64,
	.range_f32 = range_f32,
	.range_f64 = range_f64,
	.in_u8 = in_u8,
	.in_u16 = in_u16,
	.in_u32 = in_u32,
	.in_u64 = in_u64,
	.bits_count = bits_count,
	.bits_rows = bits_rows,
};
