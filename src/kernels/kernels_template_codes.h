/*
 * kernels_template_codes.h
 *		The template's kernels of bytes, bits, codes and ranges.
 *
 * Included by kernels_template.h, for each instruction set once.  Kernels of many rows
 * take four at a time: what they read of the query is read once for all four, and the
 * sums of four registers are brought to four numbers in hardly more steps than one.
 *
 * To be defined before, beside what kernels_template.h lists:
 *
 *	I8, I8_LANES		a register of signed bytes, and how many
 *	i8_load(p), i8_part(p, n)
 *						I8_LANES bytes; the first n < I8_LANES, then zeros
 *	Ints				a register of int32 sums
 *	ints_zero(), ints_add(a, b), ints_sum(v), ints_sum4(a, b, c, d, out)
 *	i8_add_l2sq(s, x, y), i8_add_ip(s, x, y), i8_add_l1(s, x, y)
 *						s plus the terms of a register of pairs
 *	Bits, BITS_BYTES	a register of bits
 *	bits_load(p), bits_part(p, n), bits_and(a, b), bits_or(a, b), bits_xor(a, b)
 *	Pops				counts of set bits, in pieces as small as bytes
 *	pops_of(b)			at most 8 a byte
 *	pops_add(a, b), pops_double(a)
 *						while a byte's count stays below 256
 *	Counts				a register of wider counts
 *	counts_zero(), counts_add(s, pops), counts_sum(s), counts_sum4(a, b, c, d, out)
 *	Block				64 codes or 64 bytes of a query
 *	block_query(q), block_sq4(p), block_sq6(p)
 *	block_dot(s, code, q)
 *						Ints s plus the products of a block
 *	vec_add_where(acc, v, word, k)
 *						acc plus v in the lanes that bits k * KT_LANES.. of a word name;
 *						k is a constant 0..3
 *	pq4_blocks(n, lut, blocks, m, out)
 *						pq4_scan of n blocks, a constant 1 or PQ4_BLOCKS
 *	range64_u8(v, lo, span), range64_u16, range64_u32, range64_u64
 *						the mask of 64 values v with v - lo <= span, as unsigned
 *	range64_f32(v, lo, hi, nans), range64_f64
 *						the mask of 64 values v with lo <= v <= hi, and of NaNs when nans is set
 *	word_rows(word, base, rows)
 *						the numbers of the set bits, plus base; how many.  Only so much of rows
 *						is written
 */

/* How many counts of 8 may be added up before a byte runs over. */
#define POPS_RUN 31
/* How many planes are weighed in one byte: 8 * (1 + 2 + 4 + 8) fits. */
#define PLANES_RUN 4

/* Sum of the terms of two int8 vectors. */
KT_INLINE int32_t
i8_sum(Term t, const int8_t *a, const int8_t *b, size_t dim)
{
	Ints		s0 = ints_zero();
	Ints		s1 = s0;
	size_t		i = 0;

#define I8_ADD(s, x, y) \
	(t == TERM_L2SQ ? i8_add_l2sq(s, x, y) : t == TERM_IP ? i8_add_ip(s, x, y) : i8_add_l1(s, x, y))

	for (; i + 2 * I8_LANES <= dim; i += 2 * I8_LANES)
	{
		s0 = I8_ADD(s0, i8_load(a + i), i8_load(b + i));
		s1 = I8_ADD(s1, i8_load(a + i + I8_LANES), i8_load(b + i + I8_LANES));
	}
	if (i + I8_LANES <= dim)
	{
		s0 = I8_ADD(s0, i8_load(a + i), i8_load(b + i));
		i += I8_LANES;
	}
	if (i < dim)
		s1 = I8_ADD(s1, i8_part(a + i, dim - i), i8_part(b + i, dim - i));
#undef I8_ADD

	return ints_sum(ints_add(s0, s1));
}

KT_FUNC int32_t
l2sq_i8(const int8_t *a, const int8_t *b, size_t dim)
{
	return i8_sum(TERM_L2SQ, a, b, dim);
}

KT_FUNC int32_t
ip_i8(const int8_t *a, const int8_t *b, size_t dim)
{
	return i8_sum(TERM_IP, a, b, dim);
}

KT_FUNC int32_t
l1_i8(const int8_t *a, const int8_t *b, size_t dim)
{
	return i8_sum(TERM_L1, a, b, dim);
}

KT_FUNC void
cosine_i8(const int8_t *a, const int8_t *b, size_t dim, int32_t *ab, int32_t *aa, int32_t *bb)
{
	Ints		sab = ints_zero();
	Ints		saa = sab;
	Ints		sbb = sab;

	for (size_t i = 0; i < dim; i += I8_LANES)
	{
		bool		whole = i + I8_LANES <= dim;
		I8			x = whole ? i8_load(a + i) : i8_part(a + i, dim - i);
		I8			y = whole ? i8_load(b + i) : i8_part(b + i, dim - i);

		sab = i8_add_ip(sab, x, y);
		saa = i8_add_ip(saa, x, x);
		sbb = i8_add_ip(sbb, y, y);
	}
	*ab = ints_sum(sab);
	*aa = ints_sum(saa);
	*bb = ints_sum(sbb);
}

/* What is counted of two bit strings. */
typedef enum BitOp
{
	BIT_AND,
	BIT_OR,
	BIT_XOR
} BitOp;

KT_INLINE Pops
pops_op(BitOp op, Bits x, Bits y)
{
	return pops_of(op == BIT_AND ? bits_and(x, y) : op == BIT_OR ? bits_or(x, y) : bits_xor(x, y));
}

/*
 * Popcounts of q and the first `rows` (1 or 4, a constant) of four rows: the one
 * returned, or the four put into out.  Counts are added as bytes for as long as these
 * hold them.
 */
KT_INLINE uint64_t
count_bits(int rows, BitOp op, const uint8_t *q, const uint8_t *r0, const uint8_t *r1,
		   const uint8_t *r2, const uint8_t *r3, size_t bytes, uint32_t *out)
{
	Counts		s0 = counts_zero();
	Counts		s1 = s0;
	Counts		s2 = s0;
	Counts		s3 = s0;
	size_t		whole = bytes / BITS_BYTES * BITS_BYTES;
	size_t		i = 0;

	while (i < whole)
	{
		size_t		end = whole - i > POPS_RUN * BITS_BYTES ? i + POPS_RUN * BITS_BYTES : whole;
		Bits		x = bits_load(q + i);
		Pops		p0 = pops_op(op, x, bits_load(r0 + i));
		Pops		p1 = rows > 1 ? pops_op(op, x, bits_load(r1 + i)) : p0;
		Pops		p2 = rows > 1 ? pops_op(op, x, bits_load(r2 + i)) : p0;
		Pops		p3 = rows > 1 ? pops_op(op, x, bits_load(r3 + i)) : p0;

		for (i += BITS_BYTES; i < end; i += BITS_BYTES)
		{
			x = bits_load(q + i);
			p0 = pops_add(p0, pops_op(op, x, bits_load(r0 + i)));
			if (rows > 1)
			{
				p1 = pops_add(p1, pops_op(op, x, bits_load(r1 + i)));
				p2 = pops_add(p2, pops_op(op, x, bits_load(r2 + i)));
				p3 = pops_add(p3, pops_op(op, x, bits_load(r3 + i)));
			}
		}
		s0 = counts_add(s0, p0);
		s1 = rows > 1 ? counts_add(s1, p1) : s1;
		s2 = rows > 1 ? counts_add(s2, p2) : s2;
		s3 = rows > 1 ? counts_add(s3, p3) : s3;
	}
	if (i < bytes)
	{
		size_t		left = bytes - i;
		Bits		x = bits_part(q + i, left);

		s0 = counts_add(s0, pops_op(op, x, bits_part(r0 + i, left)));
		if (rows > 1)
		{
			s1 = counts_add(s1, pops_op(op, x, bits_part(r1 + i, left)));
			s2 = counts_add(s2, pops_op(op, x, bits_part(r2 + i, left)));
			s3 = counts_add(s3, pops_op(op, x, bits_part(r3 + i, left)));
		}
	}

	if (rows == 1)
		return counts_sum(s0);
	counts_sum4(s0, s1, s2, s3, out);
	return 0;
}

KT_FUNC uint64_t
hamming(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	return count_bits(1, BIT_XOR, a, b, b, b, b, bytes, NULL);
}

KT_FUNC void
jaccard(const uint8_t *a, const uint8_t *b, size_t bytes, uint64_t *both, uint64_t *either)
{
	*both = count_bits(1, BIT_AND, a, b, b, b, b, bytes, NULL);
	*either = count_bits(1, BIT_OR, a, b, b, b, b, bytes, NULL);
}

/*
 * The body of a kernel of n rows of `bytes` bytes, `step` bytes apart: `four` with the
 * rows r0 to r3, then `one` with r0; i is the row's place in out.
 */
#define EACH_ROW(base, step, bytes, four, one) \
	do { \
		const uint8_t *start = (base); \
		size_t		fetched = 0; \
		size_t		i = 0; \
		for (; i + 4 <= n; i += 4) \
		{ \
			const uint8_t *r0 = start + row_place(rows, i, step); \
			const uint8_t *r1 = start + row_place(rows, i + 1, step); \
			const uint8_t *r2 = start + row_place(rows, i + 2, step); \
			const uint8_t *r3 = start + row_place(rows, i + 3, step); \
			fetched = fetch_rows(start, step, rows, n, bytes, fetched, i + 4 + ROWS_AHEAD); \
			four; \
		} \
		for (; i < n; i++) \
		{ \
			const uint8_t *r0 = start + row_place(rows, i, step); \
			one; \
		} \
	} while (0)

KT_FUNC void
hamming_rows(const uint8_t *q, const uint8_t *base, size_t stride, const uint32_t *rows,
			 size_t n, size_t bytes, uint32_t *out)
{
	EACH_ROW(base, stride, bytes,
			 count_bits(4, BIT_XOR, q, r0, r1, r2, r3, bytes, out + i),
			 out[i] = (uint32_t) count_bits(1, BIT_XOR, q, r0, r0, r0, r0, bytes, NULL));
}

KT_FUNC void
and_rows(const uint8_t *q, const uint8_t *base, size_t stride, const uint32_t *rows, size_t n,
		 size_t bytes, uint32_t *out)
{
	EACH_ROW(base, stride, bytes,
			 count_bits(4, BIT_AND, q, r0, r1, r2, r3, bytes, out + i),
			 out[i] = (uint32_t) count_bits(1, BIT_AND, q, r0, r0, r0, r0, bytes, NULL));
}

/*
 * The register of a plane and one of a row, weighed: counts of the planes so far doubled,
 * the next ones added.
 */
KT_INLINE Pops
pops_weigh(Pops so_far, Bits plane, Bits row)
{
	return pops_add(pops_double(so_far), pops_of(bits_and(plane, row)));
}

/* s0 to s3 plus the weighed counts of one register of each row: all planes p of a run. */
#define PLANES_STEP(load_bits) \
	do { \
		Bits		x0 = load_bits(r0); \
		Bits		x1 = rows > 1 ? load_bits(r1) : x0; \
		Bits		x2 = rows > 1 ? load_bits(r2) : x0; \
		Bits		x3 = rows > 1 ? load_bits(r3) : x0; \
		Bits		y = load_bits(top); \
		Pops		p0 = pops_of(bits_and(y, x0)); \
		Pops		p1 = rows > 1 ? pops_of(bits_and(y, x1)) : p0; \
		Pops		p2 = rows > 1 ? pops_of(bits_and(y, x2)) : p0; \
		Pops		p3 = rows > 1 ? pops_of(bits_and(y, x3)) : p0; \
		for (int p = 1; p < nplanes; p++) \
		{ \
			y = load_bits((top - p * plane_stride)); \
			p0 = pops_weigh(p0, y, x0); \
			p1 = rows > 1 ? pops_weigh(p1, y, x1) : p0; \
			p2 = rows > 1 ? pops_weigh(p2, y, x2) : p0; \
			p3 = rows > 1 ? pops_weigh(p3, y, x3) : p0; \
		} \
		s0 = counts_add(s0, p0); \
		s1 = rows > 1 ? counts_add(s1, p1) : s0; \
		s2 = rows > 1 ? counts_add(s2, p2) : s0; \
		s3 = rows > 1 ? counts_add(s3, p3) : s0; \
	} while (0)

/*
 * Weighed counts of the first `rows` (1 or 4) of four rows with nplanes (1 to PLANES_RUN)
 * planes, both constants, of which `top` is the last; added to out, 2^shift times.
 */
KT_INLINE void
weigh_planes(int rows, int nplanes, const uint8_t *top, size_t plane_stride, const uint8_t *r0,
			 const uint8_t *r1, const uint8_t *r2, const uint8_t *r3, size_t bytes, size_t shift,
			 uint32_t *out)
{
	Counts		s0 = counts_zero();
	Counts		s1 = s0;
	Counts		s2 = s0;
	Counts		s3 = s0;
	uint32_t	sums[4];
	size_t		i = 0;

#define WHOLE(row) bits_load(row + i)
#define PART(row) bits_part(row + i, bytes - i)
	for (; i + BITS_BYTES <= bytes; i += BITS_BYTES)
		PLANES_STEP(WHOLE);
	if (i < bytes)
		PLANES_STEP(PART);
#undef PART
#undef WHOLE

	if (rows > 1)
		counts_sum4(s0, s1, s2, s3, sums);
	else
		sums[0] = (uint32_t) counts_sum(s0);
	for (int r = 0; r < rows; r++)
		out[r] += sums[r] << shift;
}

#undef PLANES_STEP

/* The same with all planes, as many at a time as a byte can weigh; out is set. */
KT_INLINE void
weigh_all_planes(int rows, const uint8_t *planes, size_t nplanes, size_t plane_stride,
				 const uint8_t *r0, const uint8_t *r1, const uint8_t *r2, const uint8_t *r3,
				 size_t bytes, uint32_t *out)
{
	size_t		p = 0;

#define WEIGH(run) \
	weigh_planes(rows, run, planes + (p + (run) - 1) * plane_stride, plane_stride, r0, r1, r2, r3, \
				 bytes, p, out)

	for (int r = 0; r < rows; r++)
		out[r] = 0;
	for (; p + PLANES_RUN <= nplanes; p += PLANES_RUN)
		WEIGH(PLANES_RUN);
	switch (nplanes - p)
	{
		case 3:
			WEIGH(3);
			break;
		case 2:
			WEIGH(2);
			break;
		case 1:
			WEIGH(1);
			break;
	}
#undef WEIGH
}

KT_FUNC void
bits_planes_rows(const uint8_t *planes, size_t nplanes, size_t plane_stride,
				 const uint8_t *codes, size_t stride, const uint32_t *rows, size_t n,
				 size_t bytes, uint32_t *out)
{
	EACH_ROW(codes, stride, bytes,
			 weigh_all_planes(4, planes, nplanes, plane_stride, r0, r1, r2, r3, bytes, out + i),
			 weigh_all_planes(1, planes, nplanes, plane_stride, r0, r0, r0, r0, bytes, out + i));
}

/* Four registers of a query, and the bits of a row that choose among their lanes. */
#define BITS_STEP (4 * KT_LANES)

/* The next BITS_STEP bits of a row, or the last ones and zeros. */
KT_INLINE uint64_t
step_word(const uint8_t *p, size_t bytes)
{
	uint64_t	word = 0;

	if (bytes < BITS_STEP / 8)
		return load_tail(p, bytes);
	memcpy(&word, p, BITS_STEP / 8);
	return word;
}

/*
 * Sums of those elements of q whose bits are set in the first `rows` (1 or 4) of four
 * rows, into out.
 */
KT_INLINE void
sum_where(int rows, const float *q, const uint8_t *r0, const uint8_t *r1, const uint8_t *r2,
		  const uint8_t *r3, size_t dim, float *out)
{
	Vec			s0 = vec_zero();
	Vec			s1 = s0;
	Vec			s2 = s0;
	Vec			s3 = s0;
	Vec			u0 = s0;
	Vec			u1 = s0;
	Vec			u2 = s0;
	Vec			u3 = s0;
	size_t		bytes = (dim + 7) / 8;

#define ADD_WHERE(s, v, k) \
	do { \
		Vec			x = (v); \
		s##0 = vec_add_where(s##0, x, w0, k); \
		if (rows > 1) \
		{ \
			s##1 = vec_add_where(s##1, x, w1, k); \
			s##2 = vec_add_where(s##2, x, w2, k); \
			s##3 = vec_add_where(s##3, x, w3, k); \
		} \
	} while (0)

	for (size_t i = 0; i < dim; i += BITS_STEP)
	{
		size_t		at = i / 8;
		uint64_t	w0 = step_word(r0 + at, bytes - at);
		uint64_t	w1 = rows > 1 ? step_word(r1 + at, bytes - at) : w0;
		uint64_t	w2 = rows > 1 ? step_word(r2 + at, bytes - at) : w0;
		uint64_t	w3 = rows > 1 ? step_word(r3 + at, bytes - at) : w0;

		if (i + BITS_STEP <= dim)
		{
			ADD_WHERE(s, vec_load_f32(q + i), 0);
			ADD_WHERE(u, vec_load_f32(q + i + KT_LANES), 1);
			ADD_WHERE(s, vec_load_f32(q + i + 2 * KT_LANES), 2);
			ADD_WHERE(u, vec_load_f32(q + i + 3 * KT_LANES), 3);
			continue;
		}
		ADD_WHERE(s, vec_upto_f32(q + i, dim - i), 0);
		if (i + KT_LANES < dim)
			ADD_WHERE(u, vec_upto_f32(q + i + KT_LANES, dim - i - KT_LANES), 1);
		if (i + 2 * KT_LANES < dim)
			ADD_WHERE(s, vec_upto_f32(q + i + 2 * KT_LANES, dim - i - 2 * KT_LANES), 2);
		if (i + 3 * KT_LANES < dim)
			ADD_WHERE(u, vec_part_f32(q + i + 3 * KT_LANES, dim - i - 3 * KT_LANES), 3);
	}
#undef ADD_WHERE

	if (rows > 1)
		vec_sum4(vec_add(s0, u0), vec_add(s1, u1), vec_add(s2, u2), vec_add(s3, u3), out);
	else
		out[0] = vec_sum(vec_add(s0, u0));
}

KT_FUNC void
bits_ip_rows(const float *q, const uint8_t *codes, size_t stride, const uint32_t *rows,
			 size_t n, size_t dim, float *out)
{
	size_t		bytes = (dim + 7) / 8;

	EACH_ROW(codes, stride, bytes, sum_where(4, q, r0, r1, r2, r3, dim, out + i),
			 sum_where(1, q, r0, r0, r0, r0, dim, out + i));
}

/* Products of the query with the first `rows` (1 or 4) of four rows of narrow codes, into out. */
KT_INLINE void
dot_blocks(int rows, bool six, const int8_t *q, const uint8_t *r0, const uint8_t *r1,
		   const uint8_t *r2, const uint8_t *r3, size_t len, int32_t *out)
{
	const size_t bytes = six ? 48 : 32;
	Ints		s0 = ints_zero();
	Ints		s1 = s0;
	Ints		s2 = s0;
	Ints		s3 = s0;

#define DOT(s, row) block_dot(s, six ? block_sq6(row + at) : block_sq4(row + at), x)
	for (size_t i = 0, at = 0; i < len; i += 64, at += bytes)
	{
		Block		x = block_query(q + i);

		s0 = DOT(s0, r0);
		if (rows > 1)
		{
			s1 = DOT(s1, r1);
			s2 = DOT(s2, r2);
			s3 = DOT(s3, r3);
		}
	}
#undef DOT

	if (rows > 1)
		ints_sum4(s0, s1, s2, s3, out);
	else
		out[0] = ints_sum(s0);
}

KT_FUNC void
sq4_dot_rows(const int8_t *q, const uint8_t *codes, size_t stride, const uint32_t *rows,
			 size_t n, size_t len, int32_t *out)
{
	EACH_ROW(codes, stride, len / 2, dot_blocks(4, false, q, r0, r1, r2, r3, len, out + i),
			 dot_blocks(1, false, q, r0, r0, r0, r0, len, out + i));
}

KT_FUNC void
sq6_dot_rows(const int8_t *q, const uint8_t *codes, size_t stride, const uint32_t *rows,
			 size_t n, size_t len, int32_t *out)
{
	EACH_ROW(codes, stride, len / 4 * 3, dot_blocks(4, true, q, r0, r1, r2, r3, len, out + i),
			 dot_blocks(1, true, q, r0, r0, r0, r0, len, out + i));
}

/*
 * Look-ups for the first `rows` (1 or 4) of four rows, into out.  The entries of one row
 * are far apart, so this is plain code: two sums a row keep the adders busy.
 */
KT_INLINE void
look_up(int rows, const float *lut, const uint8_t *r0, const uint8_t *r1, const uint8_t *r2,
		const uint8_t *r3, size_t m, float *out)
{
	float		even[4] = {0};
	float		odd[4] = {0};
	size_t		j = 0;

	for (; j + 2 <= m; j += 2, lut += 512)
	{
		even[0] += lut[r0[j]];
		odd[0] += lut[256 + r0[j + 1]];
		if (rows > 1)
		{
			even[1] += lut[r1[j]];
			odd[1] += lut[256 + r1[j + 1]];
			even[2] += lut[r2[j]];
			odd[2] += lut[256 + r2[j + 1]];
			even[3] += lut[r3[j]];
			odd[3] += lut[256 + r3[j + 1]];
		}
	}
	if (j < m)
	{
		even[0] += lut[r0[j]];
		even[1] += lut[r1[j]];
		even[2] += lut[r2[j]];
		even[3] += lut[r3[j]];
	}
	for (int r = 0; r < rows; r++)
		out[r] = even[r] + odd[r];
}

KT_FUNC void
pq8_rows(const float *lut, const uint8_t *codes, size_t stride, const uint32_t *rows, size_t n,
		 size_t m, float *out)
{
	EACH_ROW(codes, stride, m, look_up(4, lut, r0, r1, r2, r3, m, out + i),
			 look_up(1, lut, r0, r0, r0, r0, m, out + i));
}

#undef EACH_ROW

/* The tables of two subspaces and the codes of a block meet in registers (fast scan). */
KT_FUNC void
pq4_scan(const uint8_t *lut, const uint8_t *blocks, size_t nblocks, size_t m, uint16_t *out)
{
	size_t		b = 0;

	for (; b + PQ4_BLOCKS <= nblocks; b += PQ4_BLOCKS)
		pq4_blocks(PQ4_BLOCKS, lut, blocks + b * 16 * m, m, out + b * 32);
	for (; b < nblocks; b++)
		pq4_blocks(1, lut, blocks + b * 16 * m, m, out + b * 32);
}

/*
 * With unsigned numbers lo <= v <= hi is v - lo <= hi - lo: one comparison.  The last
 * values are copied, so that no value past the end is read.
 */
#define RANGE(name, range64, type) \
	KT_FUNC void \
	name(const type *v, size_t n, type lo, type hi, uint64_t *mask) \
	{ \
		const type	span = (type) (hi - lo); \
		size_t		i = 0; \
		if (lo > hi) \
		{ \
			memset(mask, 0, (n + 63) / 64 * sizeof(uint64_t)); \
			return; \
		} \
		for (; i + 64 <= n; i += 64) \
			mask[i / 64] = range64(v + i, lo, span); \
		if (i < n) \
		{ \
			type		last[64] = {0}; \
			memcpy(last, v + i, (n - i) * sizeof(type)); \
			mask[i / 64] = range64(last, lo, span) & ((UINT64_C(1) << (n - i)) - 1); \
		} \
	}

RANGE(range_u8, range64_u8, uint8_t)
RANGE(range_u16, range64_u16, uint16_t)
RANGE(range_u32, range64_u32, uint32_t)
RANGE(range_u64, range64_u64, uint64_t)

#undef RANGE

#define RANGE_FLOAT(name, range64, type) \
	KT_FUNC void \
	name(const type *v, size_t n, type lo, type hi, bool nans, uint64_t *mask) \
	{ \
		size_t		i = 0; \
		for (; i + 64 <= n; i += 64) \
			mask[i / 64] = range64(v + i, lo, hi, nans); \
		if (i < n) \
		{ \
			type		last[64] = {0}; \
			memcpy(last, v + i, (n - i) * sizeof(type)); \
			mask[i / 64] = range64(last, lo, hi, nans) & ((UINT64_C(1) << (n - i)) - 1); \
		} \
	}

RANGE_FLOAT(range_f32, range64_f32, float)
RANGE_FLOAT(range_f64, range64_f64, double)

#undef RANGE_FLOAT

/* A set is so many ranges of one value; 64 values stay in the nearest cache meanwhile. */
#define IN_SET(name, range64, type) \
	KT_FUNC void \
	name(const type *v, size_t n, const type *set, size_t nset, uint64_t *mask) \
	{ \
		size_t		i = 0; \
		for (; i + 64 <= n; i += 64) \
		{ \
			uint64_t	word = 0; \
			for (size_t k = 0; k < nset; k++) \
				word |= range64(v + i, set[k], 0); \
			mask[i / 64] = word; \
		} \
		if (i < n) \
		{ \
			type		last[64] = {0}; \
			uint64_t	word = 0; \
			memcpy(last, v + i, (n - i) * sizeof(type)); \
			for (size_t k = 0; k < nset; k++) \
				word |= range64(last, set[k], 0); \
			mask[i / 64] = word & ((UINT64_C(1) << (n - i)) - 1); \
		} \
	}

IN_SET(in_u8, range64_u8, uint8_t)
IN_SET(in_u16, range64_u16, uint16_t)
IN_SET(in_u32, range64_u32, uint32_t)
IN_SET(in_u64, range64_u64, uint64_t)

#undef IN_SET

/* Independent sums: a count depends on the register it is written to, on many CPUs. */
KT_FUNC size_t
bits_count(const uint64_t *mask, size_t words)
{
	size_t		a = 0;
	size_t		b = 0;
	size_t		i = 0;

	for (; i + 2 <= words; i += 2)
	{
		a += (size_t) __builtin_popcountll(mask[i]);
		b += (size_t) __builtin_popcountll(mask[i + 1]);
	}
	if (i < words)
		a += (size_t) __builtin_popcountll(mask[i]);
	return a + b;
}

KT_FUNC size_t
bits_rows(const uint64_t *mask, size_t words, uint32_t base, uint32_t *rows)
{
	size_t		count = 0;

	for (size_t i = 0; i < words; i++)
		count += word_rows(mask[i], base + (uint32_t) (i * 64), rows + count);
	return count;
}
