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
 *	vec_load_f32(p), vec_load_f16(p)
 *						KT_LANES elements, as float32
 *	vec_part_f32(p, n), vec_part_f16(p, n)
 *						the first n < KT_LANES elements, then zeros; must not
 *						read past the n-th
 *	vec_store_f32(p, v), vec_store_f16(p, v), vec_store_part_f32(p, v, n),
 *	vec_store_part_f16(p, v, n)
 *						the way back; float16 rounded to nearest even
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
 * Codes are fetched ahead of the rows being read: in a scan so many bytes, in a
 * gather so many rows, and so many cache lines of each.
 */
#define SQ8_BYTES_AHEAD 4096
#define SQ8_ROWS_AHEAD 8
#define SQ8_LINES_AHEAD 8
#define CACHE_LINE 64

typedef enum Term
{
	TERM_L2SQ,
	TERM_IP,
	TERM_L1
} Term;

/* A sum under way. */
typedef struct Acc
{
	Vec			v0;
	Vec			v1;
	Vec			v2;
	Vec			v3;
} Acc;

/* KT_LANES elements from the i-th on, of a float32 or a float16 array. */
KT_INLINE Vec
load(const void *v, size_t i, bool half)
{
	return half ? vec_load_f16((const uint16_t *) v + i) : vec_load_f32((const float *) v + i);
}

/* The last n < KT_LANES elements, from the i-th on; the other lanes are zero. */
KT_INLINE Vec
load_part(const void *v, size_t i, size_t n, bool half)
{
	return half ? vec_part_f16((const uint16_t *) v + i, n) :
		vec_part_f32((const float *) v + i, n);
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
acc_step(Acc *s, Term t, bool half, Vec q0, Vec q1, Vec q2, Vec q3, const void *row, size_t i)
{
	s->v0 = add_term(t, q0, load(row, i, half), s->v0);
	s->v1 = add_term(t, q1, load(row, i + KT_LANES, half), s->v1);
	s->v2 = add_term(t, q2, load(row, i + 2 * KT_LANES, half), s->v2);
	s->v3 = add_term(t, q3, load(row, i + 3 * KT_LANES, half), s->v3);
}

/*
 * Sums of the query's terms with `rows` (1, 2 or 4, a constant) rows that start
 * `step` elements apart, into out.
 */
KT_INLINE void
sum_rows(int rows, Term t, bool half, const void *q, const void *base, size_t step, size_t dim,
		 float *out)
{
	size_t		bytes = step * (half ? sizeof(uint16_t) : sizeof(float));
	const char *r0 = base;
	const char *r1 = rows > 1 ? r0 + bytes : r0;
	const char *r2 = rows > 2 ? r1 + bytes : r0;
	const char *r3 = rows > 2 ? r2 + bytes : r0;
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
		Vec			q0 = load(q, i, half);
		Vec			q1 = load(q, i + KT_LANES, half);
		Vec			q2 = load(q, i + 2 * KT_LANES, half);
		Vec			q3 = load(q, i + 3 * KT_LANES, half);

		acc_step(&s0, t, half, q0, q1, q2, q3, r0, i);
		if (rows > 1)
			acc_step(&s1, t, half, q0, q1, q2, q3, r1, i);
		if (rows > 2)
		{
			acc_step(&s2, t, half, q0, q1, q2, q3, r2, i);
			acc_step(&s3, t, half, q0, q1, q2, q3, r3, i);
		}
	}

	/* up to three whole registers, each into its own sum */
#define TAIL_STEP(member) \
	do { \
		Vec			qv = load(q, i, half); \
		s0.member = add_term(t, qv, load(r0, i, half), s0.member); \
		if (rows > 1) \
			s1.member = add_term(t, qv, load(r1, i, half), s1.member); \
		if (rows > 2) \
		{ \
			s2.member = add_term(t, qv, load(r2, i, half), s2.member); \
			s3.member = add_term(t, qv, load(r3, i, half), s3.member); \
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
		Vec			qv = load_part(q, i, n, half);

		s0.v3 = add_term(t, qv, load_part(r0, i, n, half), s0.v3);
		if (rows > 1)
			s1.v3 = add_term(t, qv, load_part(r1, i, n, half), s1.v3);
		if (rows > 2)
		{
			s2.v3 = add_term(t, qv, load_part(r2, i, n, half), s2.v3);
			s3.v3 = add_term(t, qv, load_part(r3, i, n, half), s3.v3);
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
sum_pair(Term t, bool half, const void *a, const void *b, size_t dim)
{
	float		sum;

	sum_rows(1, t, half, a, b, 0, dim, &sum);
	return sum;
}

/* Sums of the query's terms with n rows, KT_ROWS at once while there are as many. */
KT_INLINE void
sum_many(Term t, const float *q, const float *base, size_t stride, size_t n, size_t dim,
		 float *out)
{
	size_t		i = 0;

#if KT_ROWS == 4
	for (; i + 4 <= n; i += 4)
		sum_rows(4, t, false, q, base + i * stride, stride, dim, out + i);
#endif
	for (; i + 2 <= n; i += 2)
		sum_rows(2, t, false, q, base + i * stride, stride, dim, out + i);
	if (i < n)
		sum_rows(1, t, false, q, base + i * stride, stride, dim, out + i);
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
sum_cosine(bool half, const void *a, const void *b, size_t dim, float *ab, float *aa, float *bb)
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
		COSINE_STEP(v0, load(a, i, half), load(b, i, half));
		COSINE_STEP(v1, load(a, i + KT_LANES, half), load(b, i + KT_LANES, half));
		COSINE_STEP(v2, load(a, i + 2 * KT_LANES, half), load(b, i + 2 * KT_LANES, half));
		COSINE_STEP(v3, load(a, i + 3 * KT_LANES, half), load(b, i + 3 * KT_LANES, half));
	}
	if (i + KT_LANES <= dim)
	{
		COSINE_STEP(v0, load(a, i, half), load(b, i, half));
		i += KT_LANES;
	}
	if (i + KT_LANES <= dim)
	{
		COSINE_STEP(v1, load(a, i, half), load(b, i, half));
		i += KT_LANES;
	}
	if (i + KT_LANES <= dim)
	{
		COSINE_STEP(v2, load(a, i, half), load(b, i, half));
		i += KT_LANES;
	}
	if (i < dim)
		COSINE_STEP(v3, load_part(a, i, dim - i, half), load_part(b, i, dim - i, half));

	*ab = vec_sum(acc_fold(&sab));
	*aa = vec_sum(acc_fold(&saa));
	*bb = vec_sum(acc_fold(&sbb));
}

#undef COSINE_STEP

KT_FUNC float
l2sq_f32(const float *a, const float *b, size_t dim)
{
	return sum_pair(TERM_L2SQ, false, a, b, dim);
}

KT_FUNC float
ip_f32(const float *a, const float *b, size_t dim)
{
	return sum_pair(TERM_IP, false, a, b, dim);
}

KT_FUNC float
l1_f32(const float *a, const float *b, size_t dim)
{
	return sum_pair(TERM_L1, false, a, b, dim);
}

KT_FUNC void
cosine_f32(const float *a, const float *b, size_t dim, float *ab, float *aa, float *bb)
{
	sum_cosine(false, a, b, dim, ab, aa, bb);
}

KT_FUNC float
l2sq_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_L2SQ, true, a, b, dim);
}

KT_FUNC float
ip_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_IP, true, a, b, dim);
}

KT_FUNC float
l1_f16(const uint16_t *a, const uint16_t *b, size_t dim)
{
	return sum_pair(TERM_L1, true, a, b, dim);
}

KT_FUNC void
cosine_f16(const uint16_t *a, const uint16_t *b, size_t dim, float *ab, float *aa, float *bb)
{
	sum_cosine(true, a, b, dim, ab, aa, bb);
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
l2sq_f32_many(const float *q, const float *base, size_t stride, size_t n, size_t dim, float *out)
{
	sum_many(TERM_L2SQ, q, base, stride, n, dim, out);
}

KT_FUNC void
ip_f32_many(const float *q, const float *base, size_t stride, size_t n, size_t dim, float *out)
{
	sum_many(TERM_IP, q, base, stride, n, dim, out);
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
		size_t		from = i * stride + SQ8_BYTES_AHEAD;
		size_t		to = from + 4 * stride;

		for (size_t at = from; at < to && at < n * stride; at += CACHE_LINE)
			__builtin_prefetch(codes + at);
		sq8_rows4(r, r + stride, r + 2 * stride, r + 3 * stride, q, len, out + i);
	}
	for (; i < n; i++)
		out[i] = sq8_row(codes + i * stride, q, len);
}

/*
 * Rows anywhere: each is a cache miss and most are a TLB miss, which only a fetch
 * ahead of time overlaps.  Beyond SQ8_LINES_AHEAD lines of a row the hardware has
 * seen that they follow one another.
 */
KT_FUNC void
sq8_dot_gather(const uint8_t *codes, size_t stride, const uint32_t *rows, size_t n,
			   const int8_t *q, size_t len, int32_t *out)
{
	size_t		ahead = len < SQ8_LINES_AHEAD * CACHE_LINE ? len : SQ8_LINES_AHEAD * CACHE_LINE;
	size_t		fetched = 0;
	size_t		i = 0;

#define ROW(i) (codes + rows[i] * stride)
#define FETCH_UPTO(end) \
	for (; fetched < n && fetched < (end); fetched++) \
	{ \
		const uint8_t *next = ROW(fetched); \
		for (size_t at = 0; at < ahead; at += CACHE_LINE) \
			__builtin_prefetch(next + at); \
	}

	FETCH_UPTO(SQ8_ROWS_AHEAD);
	for (; i + 4 <= n; i += 4)
	{
		FETCH_UPTO(i + 4 + SQ8_ROWS_AHEAD);
		sq8_rows4(ROW(i), ROW(i + 1), ROW(i + 2), ROW(i + 3), q, len, out + i);
	}
	for (; i < n; i++)
		out[i] = sq8_row(ROW(i), q, len);

#undef FETCH_UPTO
#undef ROW
}

KT_FUNC int32_t
sq8_dot_codes(const uint8_t *x, const uint8_t *y, size_t len)
{
	return sq8_codes(x, y, len);
}

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
};
