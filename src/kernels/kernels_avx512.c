/*
 * kernels_avx512.c
 *		AVX-512 (F, BW, VL, DQ) with VNNI: 16 floats or 64 codes a register.
 *
 * VPDPBUSD multiplies unsigned by signed bytes and adds groups of four products
 * to an int32 without saturating, which is what the form of the codes was chosen
 * for.  Tails are masked loads: no element past the end is touched.
 */
#include "kernels/kernels_internal.h"

#if KERNELS_X86

#include <immintrin.h>

#define KT_TABLE KernelsAvx512
#define KT_NAME "avx512"
#define KT_TARGET \
	__attribute__(( \
		target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx2,fma,f16c")))
#define KT_ROWS 4
#define KT_LANES 16
#define PRIMITIVE KERNELS_INLINE KT_TARGET

typedef __m512 Vec;

/* The mask of the first n < 16 lanes. */
#define FIRST_LANES(n) ((__mmask16) ((1u << (n)) - 1))

PRIMITIVE Vec
vec_zero(void)
{
	return _mm512_setzero_ps();
}

PRIMITIVE Vec
vec_load_f32(const float *p)
{
	return _mm512_loadu_ps(p);
}

PRIMITIVE Vec
vec_part_f32(const float *p, size_t n)
{
	return _mm512_maskz_loadu_ps(FIRST_LANES(n), p);
}

PRIMITIVE Vec
vec_load_f16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) p));
}

PRIMITIVE Vec
vec_part_f16(const uint16_t *p, size_t n)
{
	return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(FIRST_LANES(n), p));
}

/* 16 halves to the upper halves of float32. */
PRIMITIVE Vec
widen_bf16(__m256i v)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

PRIMITIVE Vec
vec_load_bf16(const uint16_t *p)
{
	return widen_bf16(_mm256_loadu_si256((const __m256i *) p));
}

PRIMITIVE Vec
vec_part_bf16(const uint16_t *p, size_t n)
{
	return widen_bf16(_mm256_maskz_loadu_epi16(FIRST_LANES(n), p));
}

PRIMITIVE void
vec_store_f32(float *p, Vec v)
{
	_mm512_storeu_ps(p, v);
}

PRIMITIVE void
vec_store_part_f32(float *p, Vec v, size_t n)
{
	_mm512_mask_storeu_ps(p, FIRST_LANES(n), v);
}

PRIMITIVE void
vec_store_f16(uint16_t *p, Vec v)
{
	_mm256_storeu_si256((__m256i *) p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

PRIMITIVE void
vec_store_part_f16(uint16_t *p, Vec v, size_t n)
{
	_mm256_mask_storeu_epi16(p, FIRST_LANES(n), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

/* As float_to_brain: the addition that rounds, or for a NaN the bit that makes it quiet. */
PRIMITIVE __m256i
narrow_bf16(Vec v)
{
	__m512i		bits = _mm512_castps_si512(v);
	__m512i		odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
	__m512i		rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
	__mmask16	nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);

	rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
	return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

PRIMITIVE void
vec_store_bf16(uint16_t *p, Vec v)
{
	_mm256_storeu_si256((__m256i *) p, narrow_bf16(v));
}

PRIMITIVE void
vec_store_part_bf16(uint16_t *p, Vec v, size_t n)
{
	_mm256_mask_storeu_epi16(p, FIRST_LANES(n), narrow_bf16(v));
}

PRIMITIVE Vec
vec_add(Vec a, Vec b)
{
	return _mm512_add_ps(a, b);
}

PRIMITIVE Vec
vec_sub(Vec a, Vec b)
{
	return _mm512_sub_ps(a, b);
}

PRIMITIVE Vec
vec_abs(Vec a)
{
	return _mm512_abs_ps(a);
}

PRIMITIVE Vec
vec_fma(Vec a, Vec b, Vec c)
{
	return _mm512_fmadd_ps(a, b, c);
}

/*
 * In each 128-bit lane (x0 + x2) + (x1 + x3), then lanes 0 + 2 and 1 + 3, then
 * those two: the order that vec_sum4's transposition leads to.
 */
PRIMITIVE float
vec_sum(Vec v)
{
	__m256		half;

	v = _mm512_add_ps(v, _mm512_permute_ps(v, _MM_SHUFFLE(1, 0, 3, 2)));
	v = _mm512_add_ps(v, _mm512_permute_ps(v, _MM_SHUFFLE(2, 3, 0, 1)));
	half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(half),
									_mm256_extractf128_ps(half, 1)));
}

PRIMITIVE void
vec_sum4(Vec a, Vec b, Vec c, Vec d, float *out)
{
	__m512		ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
	__m512		cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
	__m512		abcd = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0)),
									 _mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2)));
	__m256		half = _mm256_add_ps(_mm512_castps512_ps256(abcd),
									 _mm512_extractf32x8_ps(abcd, 1));

	_mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(half),
								  _mm256_extractf128_ps(half, 1)));
}

/* 64 bytes; rows are aligned, but the instruction costs nothing if they were not. */
PRIMITIVE __m512i
load_bytes(const void *p)
{
	return _mm512_loadu_si512(p);
}

/* int32 sums */
typedef __m512i Ints;

PRIMITIVE Ints
ints_zero(void)
{
	return _mm512_setzero_si512();
}

PRIMITIVE Ints
ints_add(Ints a, Ints b)
{
	return _mm512_add_epi32(a, b);
}

PRIMITIVE int32_t
ints_sum(Ints v)
{
	return _mm512_reduce_add_epi32(v);
}

PRIMITIVE void
ints_sum4(Ints a, Ints b, Ints c, Ints d, int32_t *out)
{
	__m512i		ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
	__m512i		cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
	__m256i		half;

	ab = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
	half = _mm256_add_epi32(_mm512_castsi512_si256(ab), _mm512_extracti64x4_epi64(ab, 1));
	_mm_storeu_si128((__m128i *) out, _mm_add_epi32(_mm256_castsi256_si128(half),
													_mm256_extracti128_si256(half, 1)));
}

PRIMITIVE int32_t
sq8_row(const uint8_t *code, const int8_t *q, size_t len)
{
	__m512i		s0 = _mm512_setzero_si512();
	__m512i		s1 = s0;
	size_t		i = 0;

	for (; i + 128 <= len; i += 128)
	{
		s0 = _mm512_dpbusd_epi32(s0, load_bytes(code + i), load_bytes(q + i));
		s1 = _mm512_dpbusd_epi32(s1, load_bytes(code + i + 64), load_bytes(q + i + 64));
	}
	if (i < len)
		s0 = _mm512_dpbusd_epi32(s0, load_bytes(code + i), load_bytes(q + i));
	return ints_sum(ints_add(s0, s1));
}

PRIMITIVE void
sq8_rows4(const uint8_t *r0, const uint8_t *r1, const uint8_t *r2, const uint8_t *r3,
		  const int8_t *q, size_t len, int32_t *out)
{
	__m512i		a = _mm512_setzero_si512();
	__m512i		b = a;
	__m512i		c = a;
	__m512i		d = a;

	for (size_t i = 0; i < len; i += 64)
	{
		__m512i		qv = load_bytes(q + i);

		a = _mm512_dpbusd_epi32(a, load_bytes(r0 + i), qv);
		b = _mm512_dpbusd_epi32(b, load_bytes(r1 + i), qv);
		c = _mm512_dpbusd_epi32(c, load_bytes(r2 + i), qv);
		d = _mm512_dpbusd_epi32(d, load_bytes(r3 + i), qv);
	}

	ints_sum4(a, b, c, d, out);
}

/* y - 128 as a signed byte is y with its highest bit turned. */
PRIMITIVE int32_t
sq8_codes(const uint8_t *x, const uint8_t *y, size_t len)
{
	const __m512i turn = _mm512_set1_epi8((char) SQ8_ZERO);
	__m512i		s0 = _mm512_setzero_si512();
	__m512i		s1 = s0;
	size_t		i = 0;

	for (; i + 128 <= len; i += 128)
	{
		s0 = _mm512_dpbusd_epi32(s0, load_bytes(x + i),
								 _mm512_xor_si512(load_bytes(y + i), turn));
		s1 = _mm512_dpbusd_epi32(s1, load_bytes(x + i + 64),
								 _mm512_xor_si512(load_bytes(y + i + 64), turn));
	}
	if (i < len)
		s0 = _mm512_dpbusd_epi32(s0, load_bytes(x + i),
								 _mm512_xor_si512(load_bytes(y + i), turn));
	return ints_sum(ints_add(s0, s1));
}

#include "kernels/kernels_avx512_codes.h"
#include "kernels/kernels_template.h"

#endif							/* KERNELS_X86 */
