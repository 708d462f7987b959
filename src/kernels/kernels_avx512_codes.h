/*
 * kernels_avx512_codes.h
 *		The primitives of kernels_avx512.c for bytes, bits, codes and ranges.
 */

/* The mask of the first n < 64 bytes. */
#define FIRST_BYTES(n) ((__mmask64) ((UINT64_C(1) << (n)) - 1))

/* signed bytes */
typedef __m512i I8;

#define I8_LANES 64

PRIMITIVE I8
i8_load(const int8_t *p)
{
	return load_bytes(p);
}

PRIMITIVE I8
i8_part(const int8_t *p, size_t n)
{
	return _mm512_maskz_loadu_epi8(FIRST_BYTES(n), p);
}

/* The differences as unsigned bytes: 255 at most. */
PRIMITIVE __m512i
i8_differences(I8 x, I8 y)
{
	return _mm512_sub_epi8(_mm512_max_epi8(x, y), _mm512_min_epi8(x, y));
}

PRIMITIVE Ints
i8_add_l2sq(Ints s, I8 x, I8 y)
{
	__m512i		d = i8_differences(x, y);
	__m512i		even = _mm512_and_si512(d, _mm512_set1_epi16(0x00ff));
	__m512i		odd = _mm512_srli_epi16(d, 8);

	return _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(s, even, even), odd, odd);
}

/* (x + 128) y, which VPDPBUSD multiplies, less 128 y. */
PRIMITIVE Ints
i8_add_ip(Ints s, I8 x, I8 y)
{
	const __m512i turn = _mm512_set1_epi8((char) 128);
	__m512i		bias = _mm512_dpbusd_epi32(_mm512_setzero_si512(), turn, y);

	return _mm512_sub_epi32(_mm512_dpbusd_epi32(s, _mm512_xor_si512(x, turn), y), bias);
}

/* Sums of eight differences are words of 64 bits with the upper half zero. */
PRIMITIVE Ints
i8_add_l1(Ints s, I8 x, I8 y)
{
	return _mm512_add_epi32(s, _mm512_sad_epu8(i8_differences(x, y), _mm512_setzero_si512()));
}

/* bits, and counts of them in words of 64 bits */
typedef __m512i Bits;
typedef __m512i Pops;
typedef __m512i Counts;

#define BITS_BYTES 64

PRIMITIVE Bits
bits_load(const uint8_t *p)
{
	return load_bytes(p);
}

PRIMITIVE Bits
bits_part(const uint8_t *p, size_t n)
{
	return _mm512_maskz_loadu_epi8(FIRST_BYTES(n), p);
}

PRIMITIVE Bits
bits_and(Bits a, Bits b)
{
	return _mm512_and_si512(a, b);
}

PRIMITIVE Bits
bits_or(Bits a, Bits b)
{
	return _mm512_or_si512(a, b);
}

PRIMITIVE Bits
bits_xor(Bits a, Bits b)
{
	return _mm512_xor_si512(a, b);
}

PRIMITIVE Pops
pops_of(Bits b)
{
	return _mm512_popcnt_epi64(b);
}

PRIMITIVE Pops
pops_add(Pops a, Pops b)
{
	return _mm512_add_epi64(a, b);
}

PRIMITIVE Pops
pops_double(Pops a)
{
	return _mm512_add_epi64(a, a);
}

PRIMITIVE Counts
counts_zero(void)
{
	return _mm512_setzero_si512();
}

PRIMITIVE Counts
counts_add(Counts s, Pops p)
{
	return _mm512_add_epi64(s, p);
}

PRIMITIVE uint64_t
counts_sum(Counts v)
{
	return (uint64_t) _mm512_reduce_add_epi64(v);
}

/* The lower halves of the words: counts of one row fit them. */
PRIMITIVE void
counts_sum4(Counts a, Counts b, Counts c, Counts d, uint32_t *out)
{
	__m512i		ab = _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
	__m512i		cd = _mm512_add_epi64(_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
	__m512		abcd = _mm512_shuffle_ps(_mm512_castsi512_ps(ab), _mm512_castsi512_ps(cd),
										 _MM_SHUFFLE(2, 0, 2, 0));
	__m512i		sums = _mm512_castps_si512(abcd);
	__m256i		half = _mm256_add_epi32(_mm512_castsi512_si256(sums),
										_mm512_extracti64x4_epi64(sums, 1));

	_mm_storeu_si128((__m128i *) out, _mm_add_epi32(_mm256_castsi256_si128(half),
													_mm256_extracti128_si256(half, 1)));
}

PRIMITIVE Vec
vec_add_where(Vec acc, Vec v, uint64_t word, int k)
{
	return _mm512_mask_add_ps(acc, (__mmask16) (word >> (16 * k)), acc, v);
}

/* 64 codes or bytes of a query */
typedef __m512i Block;

PRIMITIVE Block
block_query(const int8_t *q)
{
	return load_bytes(q);
}

/* 32 bytes twice, the second time with their upper halves moved to the lower ones. */
PRIMITIVE __m512i
both_halves(const uint8_t *p)
{
	__m512i		both = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *) p));

	return _mm512_srlv_epi64(both, _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4));
}

PRIMITIVE Block
block_sq4(const uint8_t *p)
{
	return _mm512_and_si512(both_halves(p), _mm512_set1_epi8(15));
}

/*
 * 16 bytes four times, turned so that the two upper bits of the values are at their
 * place; chosen where the lower four bits are not (0xca: A ? B : C).
 */
PRIMITIVE Block
block_sq6(const uint8_t *p)
{
	__m512i		upper = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *) (p + 32)));
	__m512i		all;

	upper = _mm512_rolv_epi64(upper, _mm512_setr_epi64(4, 4, 2, 2, 0, 0, 62, 62));
	all = _mm512_ternarylogic_epi64(_mm512_set1_epi8(15), both_halves(p), upper, 0xca);
	return _mm512_and_si512(all, _mm512_set1_epi8(63));
}

PRIMITIVE Ints
block_dot(Ints s, Block code, Block q)
{
	return _mm512_dpbusd_epi32(s, code, q);
}

/* Blocks that share what is read of the tables. */
#define PQ4_BLOCKS 4
/* Subspaces of which sums in 16 bits do not run over: 256 * 255. */
#define PQ4_RUN 256

/* Sums of the bytes at even and at odd places so far; the halves are of two pairs. */
typedef struct Pq4Sums
{
	__m512i		all;			/* even + 256 * odd, modulo 2^16 */
	__m512i		odd;
} Pq4Sums;

/* Both plus the entries that 64 codes name, each in the table of its lane. */
PRIMITIVE Pq4Sums
pq4_add(Pq4Sums s, __m512i tables, __m512i codes)
{
	__m512i		entries = _mm512_shuffle_epi8(tables, codes);

	s.all = _mm512_add_epi16(s.all, entries);
	s.odd = _mm512_add_epi16(s.odd, _mm512_srli_epi16(entries, 8));
	return s;
}

/* The 32 sums in the order of rows, added to out so that they saturate. */
PRIMITIVE void
pq4_finish(Pq4Sums s, uint16_t *out)
{
	__m512i		even = _mm512_sub_epi16(s.all, _mm512_slli_epi16(s.odd, 8));
	__m256i		e = _mm256_add_epi16(_mm512_castsi512_si256(even),
									 _mm512_extracti64x4_epi64(even, 1));
	__m256i		o = _mm256_add_epi16(_mm512_castsi512_si256(s.odd),
									 _mm512_extracti64x4_epi64(s.odd, 1));
	__m256i		low = _mm256_unpacklo_epi16(e, o);
	__m256i		high = _mm256_unpackhi_epi16(e, o);
	__m512i		sums = _mm512_inserti64x4(
		_mm512_castsi256_si512(_mm256_permute2x128_si256(low, high, 0x20)),
		_mm256_permute2x128_si256(low, high, 0x31), 1);

	_mm512_storeu_si512(out, _mm512_adds_epu16(_mm512_loadu_si512(out), sums));
}

/*
 * Two pairs of subspaces a register.  At the end there may be one pair: what the mask
 * leaves out are codes of zero and tables of zeros.
 */
PRIMITIVE void
pq4_step(int n, __mmask64 bytes, const uint8_t *lut, const uint8_t *blocks, size_t block_bytes,
		 Pq4Sums *sums)
{
	const __m512i half = _mm512_set1_epi8(15);
	__m512i		tables = _mm512_maskz_loadu_epi8(bytes, lut);
	__m512i		even = _mm512_shuffle_i64x2(tables, tables, _MM_SHUFFLE(2, 2, 0, 0));
	__m512i		odd = _mm512_shuffle_i64x2(tables, tables, _MM_SHUFFLE(3, 3, 1, 1));

	for (int b = 0; b < n; b++)
	{
		__m512i		codes = _mm512_maskz_loadu_epi8(bytes, blocks + (size_t) b * block_bytes);

		sums[b] = pq4_add(sums[b], even, _mm512_and_si512(codes, half));
		sums[b] = pq4_add(sums[b], odd, _mm512_and_si512(_mm512_srli_epi16(codes, 4), half));
	}
}

PRIMITIVE void
pq4_blocks(int n, const uint8_t *lut, const uint8_t *blocks, size_t m, uint16_t *out)
{
	memset(out, 0, (size_t) n * 32 * sizeof(uint16_t));
	for (size_t from = 0; from < m; from += PQ4_RUN)
	{
		size_t		end = m - from > PQ4_RUN ? from + PQ4_RUN : m;
		Pq4Sums		sums[PQ4_BLOCKS];
		size_t		j = from;

		for (int b = 0; b < n; b++)
			sums[b].all = sums[b].odd = _mm512_setzero_si512();
		for (; j + 4 <= end; j += 4)
			pq4_step(n, ~(__mmask64) 0, lut + j * 16, blocks + j * 16, 16 * m, sums);
		if (j < end)
			pq4_step(n, FIRST_BYTES(32), lut + j * 16, blocks + j * 16, 16 * m, sums);
		for (int b = 0; b < n; b++)
			pq4_finish(sums[b], out + b * 32);
	}
}

PRIMITIVE uint64_t
range64_u8(const uint8_t *v, uint8_t lo, uint8_t span)
{
	__m512i		x = _mm512_sub_epi8(load_bytes(v), _mm512_set1_epi8((char) lo));

	return _mm512_cmple_epu8_mask(x, _mm512_set1_epi8((char) span));
}

PRIMITIVE uint64_t
range64_u16(const uint16_t *v, uint16_t lo, uint16_t span)
{
	__m512i		from = _mm512_set1_epi16((short) lo);
	__m512i		width = _mm512_set1_epi16((short) span);
	__mmask32	low = _mm512_cmple_epu16_mask(_mm512_sub_epi16(load_bytes(v), from), width);
	__mmask32	high = _mm512_cmple_epu16_mask(_mm512_sub_epi16(load_bytes(v + 32), from), width);

	return low | (uint64_t) high << 32;
}

PRIMITIVE uint64_t
range64_u32(const uint32_t *v, uint32_t lo, uint32_t span)
{
	__m512i		from = _mm512_set1_epi32((int) lo);
	__m512i		width = _mm512_set1_epi32((int) span);
	uint64_t	mask = 0;

	for (int i = 0; i < 64; i += 16)
		mask |= (uint64_t) _mm512_cmple_epu32_mask(
			_mm512_sub_epi32(load_bytes(v + i), from), width) << i;
	return mask;
}

PRIMITIVE uint64_t
range64_u64(const uint64_t *v, uint64_t lo, uint64_t span)
{
	__m512i		from = _mm512_set1_epi64((int64_t) lo);
	__m512i		width = _mm512_set1_epi64((int64_t) span);
	uint64_t	mask = 0;

	for (int i = 0; i < 64; i += 8)
		mask |= (uint64_t) _mm512_cmple_epu64_mask(
			_mm512_sub_epi64(load_bytes(v + i), from), width) << i;
	return mask;
}

PRIMITIVE uint64_t
range64_f32(const float *v, float lo, float hi, bool nans)
{
	__m512		from = _mm512_set1_ps(lo);
	__m512		to = _mm512_set1_ps(hi);
	__mmask16	all = nans ? 0xffff : 0;
	uint64_t	mask = 0;

	for (int i = 0; i < 64; i += 16)
	{
		__m512		x = _mm512_loadu_ps(v + i);
		__mmask16	inside = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(x, from, _CMP_GE_OQ),
													 x, to, _CMP_LE_OQ);
		__mmask16	nan = _mm512_mask_cmp_ps_mask(all, x, x, _CMP_UNORD_Q);

		mask |= (uint64_t) (uint16_t) (inside | nan) << i;
	}
	return mask;
}

PRIMITIVE uint64_t
range64_f64(const double *v, double lo, double hi, bool nans)
{
	__m512d		from = _mm512_set1_pd(lo);
	__m512d		to = _mm512_set1_pd(hi);
	__mmask8	all = nans ? 0xff : 0;
	uint64_t	mask = 0;

	for (int i = 0; i < 64; i += 8)
	{
		__m512d		x = _mm512_loadu_pd(v + i);
		__mmask8	inside = _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(x, from, _CMP_GE_OQ),
													 x, to, _CMP_LE_OQ);
		__mmask8	nan = _mm512_mask_cmp_pd_mask(all, x, x, _CMP_UNORD_Q);

		mask |= (uint64_t) (uint8_t) (inside | nan) << i;
	}
	return mask;
}

/*
 * Many bits: the numbers compressed 16 at a time.  In a register and then stored: compressing
 * into memory is slow on some CPUs.
 */
PRIMITIVE size_t
word_rows(uint64_t word, uint32_t base, uint32_t *rows)
{
	const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	size_t		count = 0;

	if (__builtin_popcountll(word) < 8)
		return bits_to_rows(word, base, rows);
	for (int i = 0; i < 64; i += 16)
	{
		__mmask16	part = (__mmask16) (word >> i);
		unsigned	n = (unsigned) __builtin_popcount(part);
		__m512i		numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32((int) (base + (uint32_t) i)));

		_mm512_mask_storeu_epi32(rows + count, (__mmask16) ((1u << n) - 1),
								 _mm512_maskz_compress_epi32(part, numbers));
		count += n;
	}
	return count;
}
