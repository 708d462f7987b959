/*
 * kernels_avx2_codes.h
 *		The primitives of kernels_avx2.c for bytes, bits, codes and ranges.
 */

/* signed bytes */
typedef __m256i I8;

#define I8_LANES 32

/* n < 32 bytes, then zeros. */
PRIMITIVE __m256i
load_part_bytes(const void *p, size_t n)
{
	const char *at = p;
	__m128i		first = _mm_setzero_si128();
	uint64_t	low,
				high;

	if (n >= 16)
		first = _mm_loadu_si128((const __m128i *) at);
	load_tail16(at + (n & 16), n & 15, &low, &high);
	if (n >= 16)
		return _mm256_set_m128i(_mm_set_epi64x((int64_t) high, (int64_t) low), first);
	return _mm256_zextsi128_si256(_mm_set_epi64x((int64_t) high, (int64_t) low));
}

PRIMITIVE I8
i8_load(const int8_t *p)
{
	return _mm256_loadu_si256((const __m256i *) p);
}

PRIMITIVE I8
i8_part(const int8_t *p, size_t n)
{
	return load_part_bytes(p, n);
}

/* The differences as unsigned bytes: 255 at most. */
PRIMITIVE __m256i
i8_differences(I8 x, I8 y)
{
	return _mm256_sub_epi8(_mm256_max_epi8(x, y), _mm256_min_epi8(x, y));
}

/* Two squares of 255 fit an int32, which VPMADDWD adds them up in. */
PRIMITIVE Ints
i8_add_l2sq(Ints s, I8 x, I8 y)
{
	__m256i		d = i8_differences(x, y);
	__m256i		even = _mm256_and_si256(d, _mm256_set1_epi16(0x00ff));
	__m256i		odd = _mm256_srli_epi16(d, 8);

	s = _mm256_add_epi32(s, _mm256_madd_epi16(even, even));
	return _mm256_add_epi32(s, _mm256_madd_epi16(odd, odd));
}

PRIMITIVE Ints
i8_add_ip(Ints s, I8 x, I8 y)
{
	Wide		wx = widen_signed(x);
	Wide		wy = widen_signed(y);

	s = _mm256_add_epi32(s, _mm256_madd_epi16(wx.even, wy.even));
	return _mm256_add_epi32(s, _mm256_madd_epi16(wx.odd, wy.odd));
}

/* Sums of eight differences are words of 64 bits with the upper half zero. */
PRIMITIVE Ints
i8_add_l1(Ints s, I8 x, I8 y)
{
	return _mm256_add_epi32(s, _mm256_sad_epu8(i8_differences(x, y), _mm256_setzero_si256()));
}

/* bits, and counts of them in bytes and in words of 64 bits */
typedef __m256i Bits;
typedef __m256i Pops;
typedef __m256i Counts;

#define BITS_BYTES 32

PRIMITIVE Bits
bits_load(const uint8_t *p)
{
	return _mm256_loadu_si256((const __m256i *) p);
}

PRIMITIVE Bits
bits_part(const uint8_t *p, size_t n)
{
	return load_part_bytes(p, n);
}

PRIMITIVE Bits
bits_and(Bits a, Bits b)
{
	return _mm256_and_si256(a, b);
}

PRIMITIVE Bits
bits_or(Bits a, Bits b)
{
	return _mm256_or_si256(a, b);
}

PRIMITIVE Bits
bits_xor(Bits a, Bits b)
{
	return _mm256_xor_si256(a, b);
}

/* The counts of both halves of a byte looked up (Mula, Kurz, Lemire, 2017). */
PRIMITIVE Pops
pops_of(Bits b)
{
	const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
											0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i half = _mm256_set1_epi8(15);
	__m256i		low = _mm256_and_si256(b, half);
	__m256i		high = _mm256_and_si256(_mm256_srli_epi16(b, 4), half);

	return _mm256_add_epi8(_mm256_shuffle_epi8(counts, low), _mm256_shuffle_epi8(counts, high));
}

PRIMITIVE Pops
pops_add(Pops a, Pops b)
{
	return _mm256_add_epi8(a, b);
}

PRIMITIVE Pops
pops_double(Pops a)
{
	return _mm256_add_epi8(a, a);
}

PRIMITIVE Counts
counts_zero(void)
{
	return _mm256_setzero_si256();
}

PRIMITIVE Counts
counts_add(Counts s, Pops p)
{
	return _mm256_add_epi64(s, _mm256_sad_epu8(p, _mm256_setzero_si256()));
}

PRIMITIVE uint64_t
counts_sum(Counts v)
{
	__m128i		s = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	return (uint64_t) _mm_cvtsi128_si64(s) + (uint64_t) _mm_extract_epi64(s, 1);
}

/* The lower halves of the words: counts of one row fit them. */
PRIMITIVE void
counts_sum4(Counts a, Counts b, Counts c, Counts d, uint32_t *out)
{
	__m256i		ab = _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
	__m256i		cd = _mm256_add_epi64(_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
	__m256		abcd = _mm256_shuffle_ps(_mm256_castsi256_ps(ab), _mm256_castsi256_ps(cd),
										 _MM_SHUFFLE(2, 0, 2, 0));
	__m256i		sums = _mm256_castps_si256(abcd);

	_mm_storeu_si128((__m128i *) out, _mm_add_epi32(_mm256_castsi256_si128(sums),
													_mm256_extracti128_si256(sums, 1)));
}

/* The word in all lanes, of which each looks at one bit. */
PRIMITIVE Vec
vec_add_where(Vec acc, Vec v, uint64_t word, int k)
{
	const __m256i bit = _mm256_sllv_epi32(_mm256_set1_epi32(1 << (8 * k)),
										  _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
	__m256i		words = _mm256_set1_epi32((int32_t) word);
	__m256i		set = _mm256_cmpeq_epi32(_mm256_and_si256(words, bit), bit);

	return _mm256_add_ps(acc, _mm256_and_ps(v, _mm256_castsi256_ps(set)));
}

/* 64 codes or bytes of a query: values 0..31 and 32..63 */
typedef struct Block
{
	__m256i		first;
	__m256i		second;
} Block;

PRIMITIVE Block
block_query(const int8_t *q)
{
	return (Block) {i8_load(q), i8_load(q + 32)};
}

PRIMITIVE Block
block_sq4(const uint8_t *p)
{
	const __m256i half = _mm256_set1_epi8(15);
	__m256i		both = _mm256_loadu_si256((const __m256i *) p);

	return (Block) {_mm256_and_si256(both, half),
					_mm256_and_si256(_mm256_srli_epi16(both, 4), half)};
}

/* The two upper bits of each value are moved to their place; what came along is cleared. */
PRIMITIVE Block
block_sq6(const uint8_t *p)
{
	const __m256i upper = _mm256_set1_epi8(0x30);
	Block		low = block_sq4(p);
	__m256i		u = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) (p + 32)));
	__m256i		first = _mm256_sllv_epi64(u, _mm256_setr_epi64x(4, 4, 2, 2));
	__m256i		second = _mm256_srlv_epi64(u, _mm256_setr_epi64x(0, 0, 2, 2));

	return (Block) {_mm256_or_si256(low.first, _mm256_and_si256(first, upper)),
					_mm256_or_si256(low.second, _mm256_and_si256(second, upper))};
}

/* Codes are at most 63: four products, 63 * 128 * 4 = 32,256, fit an int16. */
PRIMITIVE Ints
block_dot(Ints s, Block code, Block q)
{
	__m256i		products = _mm256_add_epi16(_mm256_maddubs_epi16(code.first, q.first),
											_mm256_maddubs_epi16(code.second, q.second));

	return _mm256_add_epi32(s, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
}

/* Blocks that share what is read of the tables. */
#define PQ4_BLOCKS 2
/* Subspaces of which sums in 16 bits do not run over: 256 * 255. */
#define PQ4_RUN 256

/* Sums of the bytes at even and at odd places so far. */
typedef struct Pq4Sums
{
	__m256i		all;			/* even + 256 * odd, modulo 2^16 */
	__m256i		odd;
} Pq4Sums;

/* Both plus the entries that 32 codes name in a table of 16 bytes, given twice. */
PRIMITIVE Pq4Sums
pq4_add(Pq4Sums s, __m256i table, __m256i codes)
{
	__m256i		entries = _mm256_shuffle_epi8(table, codes);

	s.all = _mm256_add_epi16(s.all, entries);
	s.odd = _mm256_add_epi16(s.odd, _mm256_srli_epi16(entries, 8));
	return s;
}

/* The tables of one subspace in both halves. */
PRIMITIVE __m256i
pq4_table(const uint8_t *lut)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) lut));
}

/* The 32 sums in the order of rows, added to out so that they saturate. */
PRIMITIVE void
pq4_finish(Pq4Sums s, uint16_t *out)
{
	__m256i		even = _mm256_sub_epi16(s.all, _mm256_slli_epi16(s.odd, 8));
	__m256i		low = _mm256_unpacklo_epi16(even, s.odd);
	__m256i		high = _mm256_unpackhi_epi16(even, s.odd);
	__m256i    *o = (__m256i *) out;

	_mm256_storeu_si256(o, _mm256_adds_epu16(_mm256_loadu_si256(o),
											 _mm256_permute2x128_si256(low, high, 0x20)));
	_mm256_storeu_si256(o + 1, _mm256_adds_epu16(_mm256_loadu_si256(o + 1),
												 _mm256_permute2x128_si256(low, high, 0x31)));
}

PRIMITIVE void
pq4_blocks(int n, const uint8_t *lut, const uint8_t *blocks, size_t m, uint16_t *out)
{
	const __m256i half = _mm256_set1_epi8(15);

	memset(out, 0, (size_t) n * 32 * sizeof(uint16_t));
	for (size_t from = 0; from < m; from += PQ4_RUN)
	{
		size_t		end = m - from > PQ4_RUN ? from + PQ4_RUN : m;
		Pq4Sums		sums[PQ4_BLOCKS];

		for (int b = 0; b < n; b++)
			sums[b].all = sums[b].odd = _mm256_setzero_si256();
		for (size_t j = from; j < end; j += 2)
		{
			__m256i		table0 = pq4_table(lut + j * 16);
			__m256i		table1 = pq4_table(lut + j * 16 + 16);

			for (int b = 0; b < n; b++)
			{
				const uint8_t *at = blocks + (size_t) b * 16 * m + j * 16;
				__m256i		codes = _mm256_loadu_si256((const __m256i *) at);

				sums[b] = pq4_add(sums[b], table0, _mm256_and_si256(codes, half));
				sums[b] = pq4_add(sums[b], table1,
								  _mm256_and_si256(_mm256_srli_epi16(codes, 4), half));
			}
		}
		for (int b = 0; b < n; b++)
			pq4_finish(sums[b], out + b * 32);
	}
}

/* The 32 bytes of v that are at most span above lo, as all ones. */
PRIMITIVE __m256i
in_range_u8(const uint8_t *v, __m256i lo, __m256i span)
{
	__m256i		x = _mm256_sub_epi8(_mm256_loadu_si256((const __m256i *) v), lo);

	return _mm256_cmpeq_epi8(_mm256_min_epu8(x, span), x);
}

PRIMITIVE uint64_t
range64_u8(const uint8_t *v, uint8_t lo, uint8_t span)
{
	__m256i		from = _mm256_set1_epi8((char) lo);
	__m256i		width = _mm256_set1_epi8((char) span);
	uint32_t	low = (uint32_t) _mm256_movemask_epi8(in_range_u8(v, from, width));
	uint32_t	high = (uint32_t) _mm256_movemask_epi8(in_range_u8(v + 32, from, width));

	return low | (uint64_t) high << 32;
}

PRIMITIVE __m256i
in_range_u16(const uint16_t *v, __m256i lo, __m256i span)
{
	__m256i		x = _mm256_sub_epi16(_mm256_loadu_si256((const __m256i *) v), lo);

	return _mm256_cmpeq_epi16(_mm256_min_epu16(x, span), x);
}

/* 32 values: packed to bytes, whose quarters come out as 0, 2, 1, 3. */
PRIMITIVE uint32_t
range32_u16(const uint16_t *v, __m256i lo, __m256i span)
{
	__m256i		packed = _mm256_packs_epi16(in_range_u16(v, lo, span),
											in_range_u16(v + 16, lo, span));

	return (uint32_t) _mm256_movemask_epi8(_mm256_permute4x64_epi64(packed,
																	_MM_SHUFFLE(3, 1, 2, 0)));
}

PRIMITIVE uint64_t
range64_u16(const uint16_t *v, uint16_t lo, uint16_t span)
{
	__m256i		from = _mm256_set1_epi16((short) lo);
	__m256i		width = _mm256_set1_epi16((short) span);

	return range32_u16(v, from, width) | (uint64_t) range32_u16(v + 32, from, width) << 32;
}

PRIMITIVE uint64_t
range64_u32(const uint32_t *v, uint32_t lo, uint32_t span)
{
	__m256i		from = _mm256_set1_epi32((int) lo);
	__m256i		width = _mm256_set1_epi32((int) span);
	uint64_t	mask = 0;

	for (int i = 0; i < 64; i += 8)
	{
		__m256i		x = _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *) (v + i)), from);
		__m256i		inside = _mm256_cmpeq_epi32(_mm256_min_epu32(x, width), x);

		mask |= (uint64_t) (uint32_t) _mm256_movemask_ps(_mm256_castsi256_ps(inside)) << i;
	}
	return mask;
}

/* Unsigned comparison by a signed one: both sides with their sign bits turned. */
PRIMITIVE uint64_t
range64_u64(const uint64_t *v, uint64_t lo, uint64_t span)
{
	const __m256i turn = _mm256_set1_epi64x(INT64_MIN);
	__m256i		from = _mm256_set1_epi64x((int64_t) lo);
	__m256i		width = _mm256_xor_si256(_mm256_set1_epi64x((int64_t) span), turn);
	uint64_t	beyond = 0;

	for (int i = 0; i < 64; i += 4)
	{
		__m256i		x = _mm256_sub_epi64(_mm256_loadu_si256((const __m256i *) (v + i)), from);
		__m256i		above = _mm256_cmpgt_epi64(_mm256_xor_si256(x, turn), width);

		beyond |= (uint64_t) (uint32_t) _mm256_movemask_pd(_mm256_castsi256_pd(above)) << i;
	}
	return ~beyond;
}

PRIMITIVE uint64_t
range64_f32(const float *v, float lo, float hi, bool nans)
{
	__m256		from = _mm256_set1_ps(lo);
	__m256		to = _mm256_set1_ps(hi);
	__m256		all = _mm256_castsi256_ps(_mm256_set1_epi32(nans ? -1 : 0));
	uint64_t	mask = 0;

	for (int i = 0; i < 64; i += 8)
	{
		__m256		x = _mm256_loadu_ps(v + i);
		__m256		inside = _mm256_and_ps(_mm256_cmp_ps(x, from, _CMP_GE_OQ),
										   _mm256_cmp_ps(x, to, _CMP_LE_OQ));
		__m256		nan = _mm256_and_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q), all);

		mask |= (uint64_t) (uint32_t) _mm256_movemask_ps(_mm256_or_ps(inside, nan)) << i;
	}
	return mask;
}

PRIMITIVE uint64_t
range64_f64(const double *v, double lo, double hi, bool nans)
{
	__m256d		from = _mm256_set1_pd(lo);
	__m256d		to = _mm256_set1_pd(hi);
	__m256d		all = _mm256_castsi256_pd(_mm256_set1_epi64x(nans ? -1 : 0));
	uint64_t	mask = 0;

	for (int i = 0; i < 64; i += 4)
	{
		__m256d		x = _mm256_loadu_pd(v + i);
		__m256d		inside = _mm256_and_pd(_mm256_cmp_pd(x, from, _CMP_GE_OQ),
										   _mm256_cmp_pd(x, to, _CMP_LE_OQ));
		__m256d		nan = _mm256_and_pd(_mm256_cmp_pd(x, x, _CMP_UNORD_Q), all);

		mask |= (uint64_t) (uint32_t) _mm256_movemask_pd(_mm256_or_pd(inside, nan)) << i;
	}
	return mask;
}

PRIMITIVE size_t
word_rows(uint64_t word, uint32_t base, uint32_t *rows)
{
	return bits_to_rows(word, base, rows);
}
