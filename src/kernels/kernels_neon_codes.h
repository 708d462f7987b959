/*
 * kernels_neon_codes.h
 *		The primitives of kernels_neon.c for bytes, bits, codes and ranges.
 */

/* int32 sums */
typedef int32x4_t Ints;

PRIMITIVE Ints
ints_zero(void)
{
	return vdupq_n_s32(0);
}

PRIMITIVE Ints
ints_add(Ints a, Ints b)
{
	return vaddq_s32(a, b);
}

PRIMITIVE int32_t
ints_sum(Ints v)
{
	return vaddvq_s32(v);
}

PRIMITIVE void
ints_sum4(Ints a, Ints b, Ints c, Ints d, int32_t *out)
{
	vst1q_s32(out, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
}

/* n < 16 bytes, then zeros. */
PRIMITIVE uint8x16_t
load_part_bytes(const void *p, size_t n)
{
	uint64_t	low,
				high;

	load_tail16(p, n, &low, &high);
	return vcombine_u8(vcreate_u8(low), vcreate_u8(high));
}

/* signed bytes */
typedef int8x16_t I8;

#define I8_LANES 16

PRIMITIVE I8
i8_load(const int8_t *p)
{
	return vld1q_s8(p);
}

PRIMITIVE I8
i8_part(const int8_t *p, size_t n)
{
	return vreinterpretq_s8_u8(load_part_bytes(p, n));
}

/* The differences as unsigned bytes: 255 at most. */
PRIMITIVE uint8x16_t
i8_differences(I8 x, I8 y)
{
	return vreinterpretq_u8_s8(vabdq_s8(x, y));
}

/* s plus the products of 16 unsigned bytes. */
PRIMITIVE Ints
add_unsigned_products(Ints s, uint8x16_t x, uint8x16_t y)
{
	uint32x4_t	sum = vreinterpretq_u32_s32(s);

#ifdef NEON_USE_DOT
	sum = vdotq_u32(sum, x, y);
#else
	sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(x), vget_low_u8(y)));
	sum = vpadalq_u16(sum, vmull_high_u8(x, y));
#endif
	return vreinterpretq_s32_u32(sum);
}

PRIMITIVE Ints
i8_add_l2sq(Ints s, I8 x, I8 y)
{
	uint8x16_t	d = i8_differences(x, y);

	return add_unsigned_products(s, d, d);
}

PRIMITIVE Ints
i8_add_ip(Ints s, I8 x, I8 y)
{
	return add_products(s, x, y);
}

PRIMITIVE Ints
i8_add_l1(Ints s, I8 x, I8 y)
{
	uint8x16_t	d = i8_differences(x, y);

#ifdef NEON_USE_DOT
	return add_unsigned_products(s, d, vdupq_n_u8(1));
#else
	return vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(s), vpaddlq_u8(d)));
#endif
}

/* bits, and counts of them in bytes and in words of 64 bits */
typedef uint8x16_t Bits;
typedef uint8x16_t Pops;
typedef uint64x2_t Counts;

#define BITS_BYTES 16

PRIMITIVE Bits
bits_load(const uint8_t *p)
{
	return vld1q_u8(p);
}

PRIMITIVE Bits
bits_part(const uint8_t *p, size_t n)
{
	return load_part_bytes(p, n);
}

PRIMITIVE Bits
bits_and(Bits a, Bits b)
{
	return vandq_u8(a, b);
}

PRIMITIVE Bits
bits_or(Bits a, Bits b)
{
	return vorrq_u8(a, b);
}

PRIMITIVE Bits
bits_xor(Bits a, Bits b)
{
	return veorq_u8(a, b);
}

PRIMITIVE Pops
pops_of(Bits b)
{
	return vcntq_u8(b);
}

PRIMITIVE Pops
pops_add(Pops a, Pops b)
{
	return vaddq_u8(a, b);
}

PRIMITIVE Pops
pops_double(Pops a)
{
	return vaddq_u8(a, a);
}

PRIMITIVE Counts
counts_zero(void)
{
	return vdupq_n_u64(0);
}

PRIMITIVE Counts
counts_add(Counts s, Pops p)
{
	return vpadalq_u32(s, vpaddlq_u16(vpaddlq_u8(p)));
}

PRIMITIVE uint64_t
counts_sum(Counts v)
{
	return vaddvq_u64(v);
}

/* The lower halves of the words: counts of one row fit them. */
PRIMITIVE void
counts_sum4(Counts a, Counts b, Counts c, Counts d, uint32_t *out)
{
	vst1q_u32(out, vcombine_u32(vmovn_u64(vpaddq_u64(a, b)), vmovn_u64(vpaddq_u64(c, d))));
}

/* The word in all lanes, of which each looks at one bit. */
PRIMITIVE Vec
vec_add_where(Vec acc, Vec v, uint64_t word, int k)
{
	static const uint32_t bits[4] = {1, 2, 4, 8};
	uint32x4_t	words = vdupq_n_u32((uint32_t) (word >> (4 * k)));
	uint32x4_t	set = vtstq_u32(words, vld1q_u32(bits));

	return vaddq_f32(acc, vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), set)));
}

/* 64 codes or bytes of a query; codes are at most 63, so they are signed bytes too */
typedef struct Block
{
	int8x16_t	v[4];
} Block;

PRIMITIVE Block
block_query(const int8_t *q)
{
	return (Block) {{vld1q_s8(q), vld1q_s8(q + 16), vld1q_s8(q + 32), vld1q_s8(q + 48)}};
}

PRIMITIVE Block
block_sq4(const uint8_t *p)
{
	const uint8x16_t half = vdupq_n_u8(15);
	uint8x16_t	a = vld1q_u8(p);
	uint8x16_t	b = vld1q_u8(p + 16);

	return (Block) {{vreinterpretq_s8_u8(vandq_u8(a, half)),
					 vreinterpretq_s8_u8(vandq_u8(b, half)),
					 vreinterpretq_s8_u8(vshrq_n_u8(a, 4)),
					 vreinterpretq_s8_u8(vshrq_n_u8(b, 4))}};
}

/* low with the bits of upper that are at their place */
PRIMITIVE int8x16_t
with_upper(int8x16_t low, uint8x16_t upper)
{
	return vorrq_s8(low, vreinterpretq_s8_u8(vandq_u8(upper, vdupq_n_u8(0x30))));
}

PRIMITIVE Block
block_sq6(const uint8_t *p)
{
	Block		block = block_sq4(p);
	uint8x16_t	upper = vld1q_u8(p + 32);

	block.v[0] = with_upper(block.v[0], vshlq_n_u8(upper, 4));
	block.v[1] = with_upper(block.v[1], vshlq_n_u8(upper, 2));
	block.v[2] = with_upper(block.v[2], upper);
	block.v[3] = with_upper(block.v[3], vshrq_n_u8(upper, 2));
	return block;
}

PRIMITIVE Ints
block_dot(Ints s, Block code, Block q)
{
	for (int i = 0; i < 4; i++)
		s = add_products(s, code.v[i], q.v[i]);
	return s;
}

/* Blocks that share what is read of the tables. */
#define PQ4_BLOCKS 2

/* The sums of 16 rows plus two entries each, which saturate. */
PRIMITIVE void
pq4_add(uint16x8_t *sums, uint8x16_t x, uint8x16_t y)
{
	sums[0] = vqaddq_u16(sums[0], vaddl_u8(vget_low_u8(x), vget_low_u8(y)));
	sums[1] = vqaddq_u16(sums[1], vaddl_high_u8(x, y));
}

PRIMITIVE void
pq4_blocks(int n, const uint8_t *lut, const uint8_t *blocks, size_t m, uint16_t *out)
{
	const uint8x16_t half = vdupq_n_u8(15);
	uint16x8_t	sums[PQ4_BLOCKS * 4];

	for (int i = 0; i < n * 4; i++)
		sums[i] = vdupq_n_u16(0);
	for (size_t j = 0; j < m; j += 2)
	{
		uint8x16_t	table0 = vld1q_u8(lut + j * 16);
		uint8x16_t	table1 = vld1q_u8(lut + j * 16 + 16);

		for (int b = 0; b < n; b++)
		{
			const uint8_t *at = blocks + (size_t) b * 16 * m + j * 16;

			for (int i = 0; i < 2; i++)
			{
				uint8x16_t	codes = vld1q_u8(at + 16 * i);

				pq4_add(sums + 4 * b + 2 * i, vqtbl1q_u8(table0, vandq_u8(codes, half)),
						vqtbl1q_u8(table1, vshrq_n_u8(codes, 4)));
			}
		}
	}
	for (int i = 0; i < n * 4; i++)
		vst1q_u16(out + 8 * i, sums[i]);
}

/* 64 bytes, each all ones or zero, as bits: each byte keeps its bit, eight are added up. */
PRIMITIVE uint64_t
mask_of(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d)
{
	const uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
	uint8x16_t	ab = vpaddq_u8(vandq_u8(a, bits), vandq_u8(b, bits));
	uint8x16_t	cd = vpaddq_u8(vandq_u8(c, bits), vandq_u8(d, bits));
	uint8x16_t	all = vpaddq_u8(ab, cd);

	return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

PRIMITIVE uint8x16_t
in_range_u8(const uint8_t *v, uint8x16_t lo, uint8x16_t span)
{
	return vcleq_u8(vsubq_u8(vld1q_u8(v), lo), span);
}

PRIMITIVE uint64_t
range64_u8(const uint8_t *v, uint8_t lo, uint8_t span)
{
	uint8x16_t	from = vdupq_n_u8(lo);
	uint8x16_t	width = vdupq_n_u8(span);

	return mask_of(in_range_u8(v, from, width), in_range_u8(v + 16, from, width),
				   in_range_u8(v + 32, from, width), in_range_u8(v + 48, from, width));
}

/* 16 values, narrowed to bytes of ones or zeros. */
PRIMITIVE uint8x16_t
in_range_u16(const uint16_t *v, uint16x8_t lo, uint16x8_t span)
{
	uint16x8_t	a = vcleq_u16(vsubq_u16(vld1q_u16(v), lo), span);
	uint16x8_t	b = vcleq_u16(vsubq_u16(vld1q_u16(v + 8), lo), span);

	return vuzp1q_u8(vreinterpretq_u8_u16(a), vreinterpretq_u8_u16(b));
}

PRIMITIVE uint64_t
range64_u16(const uint16_t *v, uint16_t lo, uint16_t span)
{
	uint16x8_t	from = vdupq_n_u16(lo);
	uint16x8_t	width = vdupq_n_u16(span);

	return mask_of(in_range_u16(v, from, width), in_range_u16(v + 16, from, width),
				   in_range_u16(v + 32, from, width), in_range_u16(v + 48, from, width));
}

/* 8 values, narrowed to halves of ones or zeros. */
PRIMITIVE uint8x16_t
in_range_u32(const uint32_t *v, uint32x4_t lo, uint32x4_t span)
{
	uint32x4_t	a = vcleq_u32(vsubq_u32(vld1q_u32(v), lo), span);
	uint32x4_t	b = vcleq_u32(vsubq_u32(vld1q_u32(v + 4), lo), span);

	return vreinterpretq_u8_u16(vuzp1q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)));
}

PRIMITIVE uint64_t
range64_u32(const uint32_t *v, uint32_t lo, uint32_t span)
{
	uint32x4_t	from = vdupq_n_u32(lo);
	uint32x4_t	width = vdupq_n_u32(span);
	uint8x16_t	bytes[4];

	for (int i = 0; i < 4; i++)
		bytes[i] = vuzp1q_u8(in_range_u32(v + 16 * i, from, width),
							 in_range_u32(v + 16 * i + 8, from, width));
	return mask_of(bytes[0], bytes[1], bytes[2], bytes[3]);
}

/* 16 values of 8 bytes as bytes of ones or zeros, from eight comparisons of two. */
PRIMITIVE uint8x16_t
narrow_u64(const uint64x2_t *inside)
{
	uint32x4_t	words[4];
	uint16x8_t	halves[2];

	for (int i = 0; i < 4; i++)
		words[i] = vuzp1q_u32(vreinterpretq_u32_u64(inside[2 * i]),
							  vreinterpretq_u32_u64(inside[2 * i + 1]));
	for (int i = 0; i < 2; i++)
		halves[i] = vuzp1q_u16(vreinterpretq_u16_u32(words[2 * i]),
							   vreinterpretq_u16_u32(words[2 * i + 1]));
	return vuzp1q_u8(vreinterpretq_u8_u16(halves[0]), vreinterpretq_u8_u16(halves[1]));
}

PRIMITIVE uint64_t
range64_u64(const uint64_t *v, uint64_t lo, uint64_t span)
{
	uint64x2_t	from = vdupq_n_u64(lo);
	uint64x2_t	width = vdupq_n_u64(span);
	uint8x16_t	bytes[4];

	for (int i = 0; i < 4; i++)
	{
		uint64x2_t	inside[8];

		for (int j = 0; j < 8; j++)
			inside[j] = vcleq_u64(vsubq_u64(vld1q_u64(v + 16 * i + 2 * j), from), width);
		bytes[i] = narrow_u64(inside);
	}
	return mask_of(bytes[0], bytes[1], bytes[2], bytes[3]);
}

PRIMITIVE uint64_t
range64_f32(const float *v, float lo, float hi, bool nans)
{
	float32x4_t from = vdupq_n_f32(lo);
	float32x4_t to = vdupq_n_f32(hi);
	uint32x4_t	all = vdupq_n_u32(nans ? UINT32_MAX : 0);
	uint8x16_t	bytes[4];

	for (int i = 0; i < 4; i++)
	{
		uint16x8_t	halves[2];
		uint32x4_t	inside[4];

		for (int j = 0; j < 4; j++)
		{
			float32x4_t x = vld1q_f32(v + 16 * i + 4 * j);

			inside[j] = vorrq_u32(vandq_u32(vcgeq_f32(x, from), vcleq_f32(x, to)),
								  vbicq_u32(all, vceqq_f32(x, x)));
		}
		for (int j = 0; j < 2; j++)
			halves[j] = vuzp1q_u16(vreinterpretq_u16_u32(inside[2 * j]),
								   vreinterpretq_u16_u32(inside[2 * j + 1]));
		bytes[i] = vuzp1q_u8(vreinterpretq_u8_u16(halves[0]), vreinterpretq_u8_u16(halves[1]));
	}
	return mask_of(bytes[0], bytes[1], bytes[2], bytes[3]);
}

PRIMITIVE uint64_t
range64_f64(const double *v, double lo, double hi, bool nans)
{
	float64x2_t from = vdupq_n_f64(lo);
	float64x2_t to = vdupq_n_f64(hi);
	uint64x2_t	all = vdupq_n_u64(nans ? UINT64_MAX : 0);
	uint8x16_t	bytes[4];

	for (int i = 0; i < 4; i++)
	{
		uint64x2_t	inside[8];

		for (int j = 0; j < 8; j++)
		{
			float64x2_t x = vld1q_f64(v + 16 * i + 2 * j);

			inside[j] = vorrq_u64(vandq_u64(vcgeq_f64(x, from), vcleq_f64(x, to)),
								  vbicq_u64(all, vceqq_f64(x, x)));
		}
		bytes[i] = narrow_u64(inside);
	}
	return mask_of(bytes[0], bytes[1], bytes[2], bytes[3]);
}

PRIMITIVE size_t
word_rows(uint64_t word, uint32_t base, uint32_t *rows)
{
	return bits_to_rows(word, base, rows);
}
