/*
 * kernels_neon.c
 *		AArch64 NEON: 4 floats or 16 codes a register.
 *
 * Two tables are made from this one file: kernels_neon_dot.c defines
 * NEON_USE_DOT and includes it, for CPUs with the dot product instructions.
 * NEON multiplies signed by signed bytes, so a code is turned into code - 128 and
 * 128 times the sum of the other side is added back.
 */
#include "kernels/kernels_internal.h"

#if KERNELS_NEON && (KERNELS_NEON_DOT || !defined(NEON_USE_DOT))

#include <arm_neon.h>
#include <string.h>

#if !defined(NEON_USE_DOT)
#define KT_TABLE KernelsNeon
#define KT_NAME "neon"
#define KT_TARGET
#elif defined(__ARM_FEATURE_DOTPROD)
#define KT_TABLE KernelsNeonDot
#define KT_NAME "neon_dot"
#define KT_TARGET
#else
#define KT_TABLE KernelsNeonDot
#define KT_NAME "neon_dot"
#define KT_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#define KT_ROWS 4
#define KT_LANES 4
#define PRIMITIVE KERNELS_INLINE KT_TARGET

typedef float32x4_t Vec;

PRIMITIVE Vec
vec_zero(void)
{
	return vdupq_n_f32(0.0f);
}

PRIMITIVE Vec
vec_load_f32(const float *p)
{
	return vld1q_f32(p);
}

PRIMITIVE Vec
vec_part_f32(const float *p, size_t n)
{
	float		part[KT_LANES] = {0};

	memcpy(part, p, n * sizeof(float));
	return vld1q_f32(part);
}

PRIMITIVE Vec
vec_load_f16(const uint16_t *p)
{
	return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

PRIMITIVE Vec
vec_part_f16(const uint16_t *p, size_t n)
{
	uint16_t	part[KT_LANES] = {0};

	memcpy(part, p, n * sizeof(uint16_t));
	return vec_load_f16(part);
}

/* The upper half of a float32: moved there. */
PRIMITIVE Vec
vec_load_bf16(const uint16_t *p)
{
	return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

PRIMITIVE Vec
vec_part_bf16(const uint16_t *p, size_t n)
{
	uint16_t	part[KT_LANES] = {0};

	memcpy(part, p, n * sizeof(uint16_t));
	return vec_load_bf16(part);
}

PRIMITIVE void
vec_store_f32(float *p, Vec v)
{
	vst1q_f32(p, v);
}

PRIMITIVE void
vec_store_part_f32(float *p, Vec v, size_t n)
{
	float		part[KT_LANES];

	vst1q_f32(part, v);
	memcpy(p, part, n * sizeof(float));
}

PRIMITIVE void
vec_store_f16(uint16_t *p, Vec v)
{
	vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}

PRIMITIVE void
vec_store_part_f16(uint16_t *p, Vec v, size_t n)
{
	uint16_t	part[KT_LANES];

	vec_store_f16(part, v);
	memcpy(p, part, n * sizeof(uint16_t));
}

/* As float_to_brain: the addition that rounds, or for a NaN the bit that makes it quiet. */
PRIMITIVE void
vec_store_bf16(uint16_t *p, Vec v)
{
	uint32x4_t	bits = vreinterpretq_u32_f32(v);
	uint32x4_t	odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
	uint32x4_t	rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
	uint32x4_t	quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));

	vst1_u16(p, vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16));
}

PRIMITIVE void
vec_store_part_bf16(uint16_t *p, Vec v, size_t n)
{
	uint16_t	part[KT_LANES];

	vec_store_bf16(part, v);
	memcpy(p, part, n * sizeof(uint16_t));
}

PRIMITIVE Vec
vec_add(Vec a, Vec b)
{
	return vaddq_f32(a, b);
}

PRIMITIVE Vec
vec_sub(Vec a, Vec b)
{
	return vsubq_f32(a, b);
}

PRIMITIVE Vec
vec_abs(Vec a)
{
	return vabsq_f32(a);
}

PRIMITIVE Vec
vec_fma(Vec a, Vec b, Vec c)
{
	return vfmaq_f32(c, a, b);
}

/* (x0 + x1) + (x2 + x3) */
PRIMITIVE float
vec_sum(Vec v)
{
	v = vpaddq_f32(v, v);
	return vgetq_lane_f32(vpaddq_f32(v, v), 0);
}

PRIMITIVE void
vec_sum4(Vec a, Vec b, Vec c, Vec d, float *out)
{
	vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

/* 16 codes as signed bytes, 128 less. */
PRIMITIVE int8x16_t
load_codes(const uint8_t *code)
{
	return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(code), vdupq_n_u8(SQ8_ZERO)));
}

/*
 * sum plus the products of 16 signed bytes.  Without SDOT: one product of -128 by
 * -128 is 2^14 and fits an int16; two do not, so they are added as int32.
 */
PRIMITIVE int32x4_t
add_products(int32x4_t sum, int8x16_t x, int8x16_t y)
{
#ifdef NEON_USE_DOT
	return vdotq_s32(sum, x, y);
#else
	sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
	return vpadalq_s16(sum, vmull_high_s8(x, y));
#endif
}

PRIMITIVE int32_t
sq8_row(const uint8_t *code, const int8_t *q, size_t len)
{
	const int8x16_t ones = vdupq_n_s8(1);
	int32x4_t	s0 = vdupq_n_s32(0);
	int32x4_t	s1 = s0;
	int32x4_t	sum_q = s0;

	for (size_t i = 0; i < len; i += 32)
	{
		int8x16_t	q0 = vld1q_s8(q + i);
		int8x16_t	q1 = vld1q_s8(q + i + 16);

		s0 = add_products(s0, load_codes(code + i), q0);
		s1 = add_products(s1, load_codes(code + i + 16), q1);
		sum_q = add_products(sum_q, ones, q0);
		sum_q = add_products(sum_q, ones, q1);
	}
	return vaddvq_s32(vaddq_s32(s0, s1)) + SQ8_ZERO * vaddvq_s32(sum_q);
}

PRIMITIVE void
sq8_rows4(const uint8_t *r0, const uint8_t *r1, const uint8_t *r2, const uint8_t *r3,
		  const int8_t *q, size_t len, int32_t *out)
{
	const int8x16_t ones = vdupq_n_s8(1);
	int32x4_t	a = vdupq_n_s32(0);
	int32x4_t	b = a;
	int32x4_t	c = a;
	int32x4_t	d = a;
	int32x4_t	sum_q = a;
	int32x4_t	sums;

	for (size_t i = 0; i < len; i += 16)
	{
		int8x16_t	qv = vld1q_s8(q + i);

		a = add_products(a, load_codes(r0 + i), qv);
		b = add_products(b, load_codes(r1 + i), qv);
		c = add_products(c, load_codes(r2 + i), qv);
		d = add_products(d, load_codes(r3 + i), qv);
		sum_q = add_products(sum_q, ones, qv);
	}
	sums = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
	vst1q_s32(out, vaddq_s32(sums, vdupq_n_s32(SQ8_ZERO * vaddvq_s32(sum_q))));
}

/* sum of (x - 128) * (y - 128), plus 128 times the sum of (y - 128) */
PRIMITIVE int32_t
sq8_codes(const uint8_t *x, const uint8_t *y, size_t len)
{
	const int8x16_t ones = vdupq_n_s8(1);
	int32x4_t	sum = vdupq_n_s32(0);
	int32x4_t	sum_y = sum;

	for (size_t i = 0; i < len; i += 16)
	{
		int8x16_t	yv = load_codes(y + i);

		sum = add_products(sum, load_codes(x + i), yv);
		sum_y = add_products(sum_y, ones, yv);
	}
	return vaddvq_s32(sum) + SQ8_ZERO * vaddvq_s32(sum_y);
}

#include "kernels/kernels_neon_codes.h"
#include "kernels/kernels_template.h"

#endif							/* KERNELS_NEON */
