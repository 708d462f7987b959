/*
 * kernels_avx2.c
 *		AVX2 with FMA and F16C: 8 floats or 32 codes a register.
 *
 * VPMADDUBSW is not used for the codes: two products of 255 * 128 do not fit its
 * saturating int16.  Even and odd bytes are widened to int16 in place instead and
 * go through VPMADDWD, which is exact; four rows share the widened query.
 */
#include "kernels/kernels_internal.h"

#if KERNELS_X86

#include <immintrin.h>
#include <string.h>

#define KT_TABLE KernelsAvx2
#define KT_NAME "avx2"
#define KT_TARGET __attribute__((target("avx2,fma,f16c")))
#define KT_ROWS 2
#define KT_LANES 8
#define PRIMITIVE KERNELS_INLINE KT_TARGET

typedef __m256 Vec;

/* Eight set words, then eight clear ones: loaded from 8 - n on, a mask of n lanes. */
static const int32_t lane_masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

/* The mask of the first n < 8 lanes. */
PRIMITIVE __m256i
first_lanes(size_t n)
{
	return _mm256_loadu_si256((const __m256i *) (lane_masks + 8 - n));
}

PRIMITIVE Vec
vec_zero(void)
{
	return _mm256_setzero_ps();
}

PRIMITIVE Vec
vec_load_f32(const float *p)
{
	return _mm256_loadu_ps(p);
}

PRIMITIVE Vec
vec_part_f32(const float *p, size_t n)
{
	return _mm256_maskload_ps(p, first_lanes(n));
}

PRIMITIVE Vec
vec_load_f16(const uint16_t *p)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) p));
}

PRIMITIVE Vec
vec_part_f16(const uint16_t *p, size_t n)
{
	uint64_t	low,
				high;

	load_tail16(p, n * sizeof(uint16_t), &low, &high);
	return _mm256_cvtph_ps(_mm_set_epi64x((int64_t) high, (int64_t) low));
}

/* The upper half of a float32: moved there, four in each half of a register that has all. */
PRIMITIVE Vec
widen_bf16(__m128i v)
{
	const __m256i upper =
		_mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7,
						 -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15);

	return _mm256_castsi256_ps(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(v), upper));
}

PRIMITIVE Vec
vec_load_bf16(const uint16_t *p)
{
	return widen_bf16(_mm_loadu_si128((const __m128i *) p));
}

PRIMITIVE Vec
vec_part_bf16(const uint16_t *p, size_t n)
{
	uint64_t	low,
				high;

	load_tail16(p, n * sizeof(uint16_t), &low, &high);
	return widen_bf16(_mm_set_epi64x((int64_t) high, (int64_t) low));
}

PRIMITIVE void
vec_store_f32(float *p, Vec v)
{
	_mm256_storeu_ps(p, v);
}

PRIMITIVE void
vec_store_part_f32(float *p, Vec v, size_t n)
{
	_mm256_maskstore_ps(p, first_lanes(n), v);
}

PRIMITIVE void
vec_store_f16(uint16_t *p, Vec v)
{
	_mm_storeu_si128((__m128i *) p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

PRIMITIVE void
vec_store_part_f16(uint16_t *p, Vec v, size_t n)
{
	uint16_t	part[KT_LANES];

	vec_store_f16(part, v);
	memcpy(p, part, n * sizeof(uint16_t));
}

/*
 * As float_to_brain: the addition that rounds, or for a NaN the bit that makes it quiet.
 * Shifted down, the words fit unsigned 16 bits and are packed, each half by itself.
 */
PRIMITIVE __m128i
narrow_bf16(Vec v)
{
	__m256i		bits = _mm256_castps_si256(v);
	__m256i		odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
	__m256i		rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
	__m256i		quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
	__m256		nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
	__m256i		all = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(nan));

	all = _mm256_srli_epi32(all, 16);
	return _mm_packus_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

PRIMITIVE void
vec_store_bf16(uint16_t *p, Vec v)
{
	_mm_storeu_si128((__m128i *) p, narrow_bf16(v));
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
	return _mm256_add_ps(a, b);
}

PRIMITIVE Vec
vec_sub(Vec a, Vec b)
{
	return _mm256_sub_ps(a, b);
}

PRIMITIVE Vec
vec_abs(Vec a)
{
	return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

PRIMITIVE Vec
vec_fma(Vec a, Vec b, Vec c)
{
	return _mm256_fmadd_ps(a, b, c);
}

/* In each 128-bit lane (x0 + x2) + (x1 + x3), then the two lanes. */
PRIMITIVE float
vec_sum(Vec v)
{
	v = _mm256_add_ps(v, _mm256_permute_ps(v, _MM_SHUFFLE(1, 0, 3, 2)));
	v = _mm256_add_ps(v, _mm256_permute_ps(v, _MM_SHUFFLE(2, 3, 0, 1)));
	return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)));
}

PRIMITIVE void
vec_sum4(Vec a, Vec b, Vec c, Vec d, float *out)
{
	out[0] = vec_sum(a);
	out[1] = vec_sum(b);
	out[2] = vec_sum(c);
	out[3] = vec_sum(d);
}

/* 32 signed bytes as int16, those at even and at odd places. */
typedef struct Wide
{
	__m256i		even;
	__m256i		odd;
} Wide;

PRIMITIVE Wide
widen_signed(__m256i v)
{
	return (Wide) {_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), _mm256_srai_epi16(v, 8)};
}

/* sum plus the products of 32 codes with 32 widened signed bytes. */
PRIMITIVE __m256i
add_products(__m256i sum, const uint8_t *code, Wide q)
{
	__m256i		c = _mm256_loadu_si256((const __m256i *) code);
	__m256i		even = _mm256_and_si256(c, _mm256_set1_epi16(0x00ff));
	__m256i		odd = _mm256_srli_epi16(c, 8);

	sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, q.even));
	return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, q.odd));
}

/* int32 sums */
typedef __m256i Ints;

PRIMITIVE Ints
ints_zero(void)
{
	return _mm256_setzero_si256();
}

PRIMITIVE Ints
ints_add(Ints a, Ints b)
{
	return _mm256_add_epi32(a, b);
}

PRIMITIVE int32_t
ints_sum(Ints v)
{
	__m128i		s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, _MM_SHUFFLE(1, 0, 3, 2)));
	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, _MM_SHUFFLE(2, 3, 0, 1)));
	return _mm_cvtsi128_si32(s);
}

PRIMITIVE void
ints_sum4(Ints a, Ints b, Ints c, Ints d, int32_t *out)
{
	__m256i		sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));

	_mm_storeu_si128((__m128i *) out, _mm_add_epi32(_mm256_castsi256_si128(sums),
													_mm256_extracti128_si256(sums, 1)));
}

/*
 * Sum of code[i] times the signed byte that signed_bytes[i] is once `turn` is
 * XORed to it.
 */
PRIMITIVE int32_t
dot_bytes(const uint8_t *code, const void *signed_bytes, __m256i turn, size_t len)
{
	const char *p = signed_bytes;
	__m256i		s0 = _mm256_setzero_si256();
	__m256i		s1 = s0;

	for (size_t i = 0; i < len; i += 64)
	{
		__m256i		y0 = _mm256_loadu_si256((const __m256i *) (p + i));
		__m256i		y1 = _mm256_loadu_si256((const __m256i *) (p + i + 32));

		s0 = add_products(s0, code + i, widen_signed(_mm256_xor_si256(y0, turn)));
		s1 = add_products(s1, code + i + 32, widen_signed(_mm256_xor_si256(y1, turn)));
	}
	return ints_sum(ints_add(s0, s1));
}

PRIMITIVE int32_t
sq8_row(const uint8_t *code, const int8_t *q, size_t len)
{
	return dot_bytes(code, q, _mm256_setzero_si256(), len);
}

/* y - 128 as a signed byte is y with its highest bit turned. */
PRIMITIVE int32_t
sq8_codes(const uint8_t *x, const uint8_t *y, size_t len)
{
	return dot_bytes(x, y, _mm256_set1_epi8((char) SQ8_ZERO), len);
}

PRIMITIVE void
sq8_rows4(const uint8_t *r0, const uint8_t *r1, const uint8_t *r2, const uint8_t *r3,
		  const int8_t *q, size_t len, int32_t *out)
{
	__m256i		a = _mm256_setzero_si256();
	__m256i		b = a;
	__m256i		c = a;
	__m256i		d = a;

	for (size_t i = 0; i < len; i += 32)
	{
		Wide		w = widen_signed(_mm256_loadu_si256((const __m256i *) (q + i)));

		a = add_products(a, r0 + i, w);
		b = add_products(b, r1 + i, w);
		c = add_products(c, r2 + i, w);
		d = add_products(d, r3 + i, w);
	}
	ints_sum4(a, b, c, d, out);
}

#include "kernels/kernels_avx2_codes.h"
#include "kernels/kernels_template.h"

#endif							/* KERNELS_X86 */
