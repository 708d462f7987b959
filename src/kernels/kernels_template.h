/*
 * kernels_template.h
 *		The kernels of a vector instruction set, from a handful of primitives.
 *
 * No include guard: each instruction set's file defines the primitives below and
 * includes this once, which defines every function of its table and, last, the
 * table itself.  What differs between instruction sets is thereby only what has
 * to; the order of the sums, the tails and the prefetching are written once.
 *
 * To be defined before:
 *
 *	KT_TABLE, KT_NAME	the table's symbol and its name
 *	KT_TARGET			the function attribute that turns the instructions on
 *	KT_ROWS				rows that the *_f32_many kernels take at once, 2 or 4; a
 *						row needs four registers
 *	KT_LANES			floats in a Vec
 *	Vec					a register of floats
 *	vec_zero()			zeros
 *	vec_load_f32(p), vec_load_f16(p), vec_load_bf16(p)
 *						KT_LANES elements, as float32
 *	vec_part_f32(p, n), vec_part_f16(p, n), vec_part_bf16(p, n)
 *						the first n < KT_LANES elements, then zeros; must not
 *						read past the n-th
 *	vec_store_f32(p, v), vec_store_f16(p, v), vec_store_bf16(p, v),
 *	vec_store_part_f32(p, v, n), vec_store_part_f16(p, v, n), vec_store_part_bf16(p, v, n)
 *						the way back; rounded to nearest even
 *	vec_add(a, b), vec_sub(a, b), vec_abs(a), vec_fma(a, b, c)
 *						vec_fma is a * b + c, rounded once
 *	vec_sum(v)			sum of the lanes, in a fixed order
 *	vec_sum4(a, b, c, d, out)
 *						four such sums, each equal to vec_sum's
 *	sq8_row(code, q, len)
 *						as sq8_dot
 *	sq8_rows4(r0, r1, r2, r3, q, len, out)
 *						the same of four rows
 *	sq8_codes(x, y, len)
 *						as sq8_dot_codes
 *	and what kernels_template_codes.h lists
 *
 * A sum is kept in four registers, enough to hide the latency of a fused
 * multiply-add, and always in the same order for the same dim, whichever kernel
 * computes it.  So within a table l2sq_f32_many equals l2sq_f32, ip_f32_many
 * equals ip_f32 and the sums of cosine_f32 equal ip_f32's, bit for bit; the tests
 * hold every table to that.
 */

#define KT_FUNC static KT_TARGET
#define KT_INLINE KERNELS_INLINE KT_TARGET

/*
 * What is fetched ahead of the rows being read: in a scan so many bytes, in a gather
 * so many rows, and so many cache lines of each.
 */
#define BYTES_AHEAD 4096
#define ROWS_AHEAD 8
#define ROW_LINES_AHEAD 8
#define CACHE_LINE 64

typedef enum Term
{
	TERM_L2SQ,
	TERM_IP,
	TERM_L1
} Term;

/* What an array holds. */
typedef enum Element
{
	ELEMENT_F32,
	ELEMENT_F16,
	ELEMENT_BF16
} Element;

/* A sum under way. */
typedef struct Acc
{
	Vec			v0;
	Vec			v1;
	Vec			v2;
	Vec			v3;
} Acc;

/* KT_LANES elements from the i-th on. */
KT_INLINE Vec
load(const void *v, size_t i, Element e)
{
	switch (e)
	{
		case ELEMENT_F32:
			return vec_load_f32((const float *) v + i);
		case ELEMENT_F16:
			return vec_load_f16((const uint16_t *) v + i);
		case ELEMENT_BF16:
			return vec_load_bf16((const uint16_t *) v + i);
	}
	__builtin_unreachable();
}

/* The last n < KT_LANES elements, from the i-th on; the other lanes are zero. */
KT_INLINE Vec
load_part(const void *v, size_t i, size_t n, Element e)
{
	switch (e)
	{
		case ELEMENT_F32:
			return vec_part_f32((const float *) v + i, n);
		case ELEMENT_F16:
			return vec_part_f16((const uint16_t *) v + i, n);
		case ELEMENT_BF16:
			return vec_part_bf16((const uint16_t *) v + i, n);
	}
	__builtin_unreachable();
}

/* The first n floats, a whole register or a part of one. */
KT_INLINE Vec
vec_upto_f32(const float *p, size_t n)
{
	return n >= KT_LANES ? vec_load_f32(p) : vec_part_f32(p, n);
}

/* acc plus what one register of pairs adds to a sum; a pair of zeros adds zero. */
KT_INLINE Vec
add_term(Term t, Vec x, Vec y, Vec acc)
{
	Vec			d;

	if (t == TERM_IP)
		return vec_fma(x, y, acc);
	d = vec_sub(x, y);
	return t == TERM_L2SQ ? vec_fma(d, d, acc) : vec_add(vec_abs(d), acc);
}

KT_INLINE void
acc_init(Acc *s)
{
	s->v0 = s->v1 = s->v2 = s->v3 = vec_zero();
}

/* The four registers as one. */
KT_INLINE Vec
acc_fold(const Acc *s)
{
	return vec_add(vec_add(s->v0, s->v1), vec_add(s->v2, s->v3));
}

/* Four registers of pairs: query registers q0..q3 and the row from i on. */
KT_INLINE void
acc_step(Acc *s, Term t, Element e, Vec q0, Vec q1, Vec q2, Vec q3, const void *row, size_t i)
{
	s->v0 = add_term(t, q0, load(row, i, e), s->v0);
	s->v1 = add_term(t, q1, load(row, i + KT_LANES, e), s->v1);
	s->v2 = add_term(t, q2, load(row, i + 2 * KT_LANES, e), s->v2);
	s->v3 = add_term(t, q3, load(row, i + 3 * KT_LANES, e), s->v3);
}

/*
 * Sums of the terms of a query of qe elements with the first `rows` (1, 2 or 4, a
 * constant) of four rows of e elements, into out.
 */
KT_INLINE void
sum_rows(int rows, Term t, Element qe, Element e, const void *q, const void *r0, const void *r1,
		 const void *r2, const void *r3, size_t dim, float *out)
{
	Acc			s0,
				s1,
				s2,
				s3;
	size_t		i = 0;

	acc_init(&s0);
	acc_init(&s1);
	acc_init(&s2);
	acc_init(&s3);

	for (; i + 4 * KT_LANES <= dim; i += 4 * KT_LANES)
	{
		Vec			q0 = load(q, i, qe);
		Vec			q1 = load(q, i + KT_LANES, qe);
		Vec			q2 = load(q, i + 2 * KT_LANES, qe);
		Vec			q3 = load(q, i + 3 * KT_LANES, qe);

		acc_step(&s0, t, e, q0, q1, q2, q3, r0, i);
		if (rows > 1)
			acc_step(&s1, t, e, q0, q1, q2, q3, r1, i);
		if (rows > 2)
		{
			acc_step(&s2, t, e, q0, q1, q2, q3, r2, i);
			acc_step(&s3, t, e, q0, q1, q2, q3, r3, i);
		}
	}

	/* up to three whole registers, each into its own sum */
#define TAIL_STEP(member) \
	do { \
		Vec			qv = load(q, i, qe); \
		s0.member = add_term(t, qv, load(r0, i, e), s0.member); \
		if (rows > 1) \
			s1.member = add_term(t, qv, load(r1, i, e), s1.member); \
		if (rows > 2) \
		{ \
			s2.member = add_term(t, qv, load(r2, i, e), s2.member); \
			s3.member = add_term(t, qv, load(r3, i, e), s3.member); \
		} \
		i += KT_LANES; \
	} while (0)

	if (i + KT_LANES <= dim)
		TAIL_STEP(v0);
	if (i + KT_LANES <= dim)
		TAIL_STEP(v1);
	if (i + KT_LANES <= dim)
		TAIL_STEP(v2);
#undef TAIL_STEP

	if (i < dim)
	{
		size_t		n = dim - i;
		Vec			qv = load_part(q, i, n, qe);

		s0.v3 = add_term(t, qv, load_part(r0, i, n, e), s0.v3);
		if (rows > 1)
			s1.v3 = add_term(t, qv, load_part(r1, i, n, e), s1.v3);
		if (rows > 2)
		{
			s2.v3 = add_term(t, qv, load_part(r2, i, n, e), s2.v3);
			s3.v3 = add_term(t, qv, load_part(r3, i, n, e), s3.v3);
		}
	}

	if (rows == 4)
		vec_sum4(acc_fold(&s0), acc_fold(&s1), acc_fold(&s2), acc_fold(&s3), out);
	else
	{
		out[0] = vec_sum(acc_fold(&s0));
		if (rows == 2)
			out[1] = vec_sum(acc_fold(&s1));
	}
}

/* Sum of the terms of two vectors. */
KT_INLINE float
sum_pair(Term t, Element e, const void *a, const void *b, size_t dim)
{
	float		sum;

	sum_rows(1, t, e, e, a, b, b, b, b, dim, &sum);
	return sum;
}

/* Sums of the query's terms with n rows, KT_ROWS at once while there are as many. */
KT_INLINE void
sum_many(Term t, const float *q, const float *base, size_t stride, size_t n, size_t dim,
		 float *out)
{
	size_t		i = 0;

#define ROW(i) (base + (i) * stride)
#if KT_ROWS == 4
	for (; i + 4 <= n; i += 4)
		sum_rows(4, t, ELEMENT_F32, ELEMENT_F32, q, ROW(i), ROW(i + 1), ROW(i + 2), ROW(i + 3), dim,
				 out + i);
#endif
	for (; i + 2 <= n; i += 2)
		sum_rows(2, t, ELEMENT_F32, ELEMENT_F32, q, ROW(i), ROW(i + 1), ROW(i), ROW(i), dim,
				 out + i);
	if (i < n)
		sum_rows(1, t, ELEMENT_F32, ELEMENT_F32, q, ROW(i), ROW(i), ROW(i), ROW(i), dim,
				 out + i);
#undef ROW
}

/*
 * Ask for rows up to number `upto` ahead of time, of which those before `fetched` were
 * asked for; returns the new `fetched`.  Rows that lie anywhere are each a cache miss,
 * and most a TLB miss; beyond ROW_LINES_AHEAD lines of a row the hardware has seen that
 * they follow one another.  Rows in order it fetches by itself, but starts anew at each
 * page: what lies a page ahead is asked for.
 */
KT_INLINE size_t
fetch_rows(const void *base, size_t stride_bytes, const uint32_t *rows, size_t n, size_t bytes,
		   size_t fetched, size_t upto)
{
	const char *start = base;

	upto = upto < n ? upto : n;
	if (rows == NULL)
	{
		size_t		to = upto * stride_bytes + BYTES_AHEAD;

		for (size_t at = fetched * stride_bytes + BYTES_AHEAD; at < to && at < n * stride_bytes;
			 at += CACHE_LINE)
			__builtin_prefetch(start + at);
		return upto;
	}
	if (bytes > ROW_LINES_AHEAD * CACHE_LINE)
		bytes = ROW_LINES_AHEAD * CACHE_LINE;
	for (; fetched < upto; fetched++)
	{
		const char *row = start + rows[fetched] * stride_bytes;

		for (size_t at = 0; at < bytes; at += CACHE_LINE)
			__builtin_prefetch(row + at);
	}
	return fetched;
}

/* Inner products of a float32 query with rows of e elements, given by number or in order. */
KT_INLINE void
ip_rows(Element e, const float *q, const uint16_t *base, size_t stride, const uint32_t *rows,
		size_t n, size_t dim, float *out)
{
	size_t		fetched = 0;
	size_t		i = 0;

#define ROW(i) (base + row_place(rows, i, stride))
	for (; i + KT_ROWS <= n; i += KT_ROWS)
	{
		fetched = fetch_rows(base, stride * sizeof(uint16_t), rows, n, dim * sizeof(uint16_t),
							 fetched, i + KT_ROWS + ROWS_AHEAD);
		sum_rows(KT_ROWS, TERM_IP, ELEMENT_F32, e, q, ROW(i), ROW(i + 1), ROW(i + KT_ROWS - 2),
				 ROW(i + KT_ROWS - 1), dim, out + i);
	}
	for (; i < n; i++)
		sum_rows(1, TERM_IP, ELEMENT_F32, e, q, ROW(i), ROW(i), ROW(i), ROW(i), dim, out + i);
#undef ROW
}

/* One register of pairs into the three sums of a cosine. */
#define COSINE_STEP(member, x, y) \
	do { \
		Vec			xv = (x); \
		Vec			yv = (y); \
		sab.member = vec_fma(xv, yv, sab.member); \
		saa.member = vec_fma(xv, xv, saa.member); \
		sbb.member = vec_fma(yv, yv, sbb.member); \
	} while (0)

/* a.b, a.a and b.b in one pass, in the order of sum_rows. */
KT_INLINE void
sum_cosine(Element e, const void *a, const void *b, size_t dim, float *ab, float *aa, float *bb)
{
	Acc			sab,
				saa,
				sbb;
	size_t		i = 0;

	acc_init(&sab);
	acc_init(&saa);
	acc_init(&sbb);

	for (; i + 4 * KT_LANES <= dim; i += 4 * KT_LANES)
	{
		COSINE_STEP(v0, load(a, i, e), load(b, i, e));
		COSINE_STEP(v1, load(a, i + KT_LANES, e), load(b, i + KT_LANES, e));
		COSINE_STEP(v2, load(a, i + 2 * KT_LANES, e), load(b, i + 2 * KT_LANES, e));
		COSINE_STEP(v3, load(a, i + 3 * KT_LANES, e), load(b, i + 3 * KT_LANES, e));
	}
	if (i + KT_LANES <= dim)
	{
		COSINE_STEP(v0, load(a, i, e), load(b, i, e));
		i += KT_LANES;
	}
	if (i + KT_LANES <= dim)
	{
		COSINE_STEP(v1, load(a, i, e), load(b, i, e));
		i += KT_LANES;
	}
	if (i + KT_LANES <= dim)
	{
		COSINE_STEP(v2, load(a, i, e), load(b, i, e));
		i += KT_LANES;
	}
	if (i < dim)
		COSINE_STEP(v3, load_part(a, i, dim - i, e), load_part(b, i, dim - i, e));

	*ab = vec_sum(acc_fold(&sab));
	*aa = vec_sum(acc_fold(&saa));
	*bb = vec_sum(acc_fold(&sbb));
}

#undef COSINE_STEP

KT_FUNC float
l2sq_f32(const float *a, const float *b, size_t dim)
{
	return sum_pair(TERM_L2SQ, ELEMENT_F32, a, b, dim);
}

KT_FUNC float
ip_f32(const float *a, const float *b, size_t dim)
{
	return sum_pair(TERM_IP, ELEMENT_F32, a, b, dim);
}

KT_FUNC float
l1_f32(const float *a, const float *b, size_t dim)
{
	return sum_pair(TERM_L1, ELEMENT_F32, a, b, dim);
}

KT_FUNC void
cosine_f32(const float *a, const float *b, size_t dim, float *ab, float *aa, float *bb)
{
	sum_cosine(ELEMENT_F32, a, b, dim, ab, aa, bb);
}

KT_FUNC float
l2sq_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_L2SQ, ELEMENT_F16, a, b, dim);
}

KT_FUNC float
ip_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_IP, ELEMENT_F16, a, b, dim);
}

KT_FUNC float
l1_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_L1, ELEMENT_F16, a, b, dim);
}

KT_FUNC void
cosine_f16(const uint16_t *a, const uint16_t *b, size_t dim, float *ab, float *aa, float *bb)
{
	sum_cosine(ELEMENT_F16, a, b, dim, ab, aa, bb);
}

KT_FUNC float
l2sq_bf16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_L2SQ, ELEMENT_BF16, a, b, dim);
}

KT_FUNC float
ip_bf16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_IP, ELEMENT_BF16, a, b, dim);
}

KT_FUNC float
l1_bf16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_L1, ELEMENT_BF16, a, b, dim);
}

KT_FUNC void
cosine_bf16(const uint16_t *a, const uint16_t *b, size_t dim, float *ab, float *aa, float *bb)
{
	sum_cosine(ELEMENT_BF16, a, b, dim, ab, aa, bb);
}

KT_FUNC void
f16_to_f32(const uint16_t *src, float *dst, size_t n)
{
	size_t		i = 0;

	for (; i + KT_LANES <= n; i += KT_LANES)
		vec_store_f32(dst + i, vec_load_f16(src + i));
	if (i < n)
		vec_store_part_f32(dst + i, vec_part_f16(src + i, n - i), n - i);
}

KT_FUNC void
f32_to_f16(const float *src, uint16_t *dst, size_t n)
{
	size_t		i = 0;

	for (; i + KT_LANES <= n; i += KT_LANES)
		vec_store_f16(dst + i, vec_load_f32(src + i));
	if (i < n)
		vec_store_part_f16(dst + i, vec_part_f32(src + i, n - i), n - i);
}

KT_FUNC void
bf16_to_f32(const uint16_t *src, float *dst, size_t n)
{
	size_t		i = 0;

	for (; i + KT_LANES <= n; i += KT_LANES)
		vec_store_f32(dst + i, vec_load_bf16(src + i));
	if (i < n)
		vec_store_part_f32(dst + i, vec_part_bf16(src + i, n - i), n - i);
}

KT_FUNC void
f32_to_bf16(const float *src, uint16_t *dst, size_t n)
{
	size_t		i = 0;

	for (; i + KT_LANES <= n; i += KT_LANES)
		vec_store_bf16(dst + i, vec_load_f32(src + i));
	if (i < n)
		vec_store_part_bf16(dst + i, vec_part_f32(src + i, n - i), n - i);
}

KT_FUNC void
l2sq_f32_many(const float *q, const float *base, size_t stride, size_t n, size_t dim, float *out)
{
	sum_many(TERM_L2SQ, q, base, stride, n, dim, out);
}

KT_FUNC void
ip_f32_many(const float *q, const float *base, size_t stride, size_t n, size_t dim, float *out)
{
	sum_many(TERM_IP, q, base, stride, n, dim, out);
}

KT_FUNC void
ip_f32_f16_rows(const float *q, const uint16_t *base, size_t stride, const uint32_t *rows,
				size_t n, size_t dim, float *out)
{
	ip_rows(ELEMENT_F16, q, base, stride, rows, n, dim, out);
}

KT_FUNC void
ip_f32_bf16_rows(const float *q, const uint16_t *base, size_t stride, const uint32_t *rows,
				 size_t n, size_t dim, float *out)
{
	ip_rows(ELEMENT_BF16, q, base, stride, rows, n, dim, out);
}

KT_FUNC int32_t
sq8_dot(const uint8_t *code, const int8_t *q, size_t len)
{
	return sq8_row(code, q, len);
}

/*
 * Rows in order.  The hardware fetches ahead by itself, but starts anew at each
 * page: asking for what lies a page ahead makes long rows from memory up to 1.8
 * times as fast.
 */
KT_FUNC void
sq8_dot_seq(const uint8_t *codes, size_t stride, size_t n, const int8_t *q, size_t len,
			int32_t *out)
{
	size_t		i = 0;

	for (; i + 4 <= n; i += 4)
	{
		const uint8_t *r = codes + i * stride;
		size_t		from = i * stride + BYTES_AHEAD;
		size_t		to = from + 4 * stride;

		for (size_t at = from; at < to && at < n * stride; at += CACHE_LINE)
			__builtin_prefetch(codes + at);
		sq8_rows4(r, r + stride, r + 2 * stride, r + 3 * stride, q, len, out + i);
	}
	for (; i < n; i++)
		out[i] = sq8_row(codes + i * stride, q, len);
}

KT_FUNC void
sq8_dot_gather(const uint8_t *codes, size_t stride, const uint32_t *rows, size_t n,
			   const int8_t *q, size_t len, int32_t *out)
{
	size_t		fetched = 0;
	size_t		i = 0;

#define ROW(i) (codes + rows[i] * stride)
	for (; i + 4 <= n; i += 4)
	{
		fetched = fetch_rows(codes, stride, rows, n, len, fetched, i + 4 + ROWS_AHEAD);
		sq8_rows4(ROW(i), ROW(i + 1), ROW(i + 2), ROW(i + 3), q, len, out + i);
	}
	for (; i < n; i++)
		out[i] = sq8_row(ROW(i), q, len);
#undef ROW
}

KT_FUNC int32_t
sq8_dot_codes(const uint8_t *x, const uint8_t *y, size_t len)
{
	return sq8_codes(x, y, len);
}

#include "kernels/kernels_template_codes.h"

const VectorKernels KT_TABLE = {
	.name = KT_NAME,
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
