/*
 * test_kernels.c
 *		Every table of kernels that this CPU runs, against sums in double and
 *		against the portable table; the choice of a table; matrix products.
 *		test_kernels_codes.c has those of bytes, bits and codes.
 */
#include "test_kernels_support.h"

#include <pthread.h>

/* The one-to-one float kernels of a table on one pair. */
typedef struct Sums
{
	float		l2sq,
				ip,
				l1,
				ab,
				aa,
				bb;
} Sums;

static Sums
sums_f32(const VectorKernels *t, const float *a, const float *b, size_t dim)
{
	Sums		s;

	s.l2sq = t->l2sq_f32(a, b, dim);
	s.ip = t->ip_f32(a, b, dim);
	s.l1 = t->l1_f32(a, b, dim);
	t->cosine_f32(a, b, dim, &s.ab, &s.aa, &s.bb);
	return s;
}

static Sums
sums_f16(const VectorKernels *t, const uint16_t *a, const uint16_t *b, size_t dim)
{
	Sums		s;

	s.l2sq = t->l2sq_f16(a, b, dim);
	s.ip = t->ip_f16(a, b, dim);
	s.l1 = t->l1_f16(a, b, dim);
	t->cosine_f16(a, b, dim, &s.ab, &s.aa, &s.bb);
	return s;
}

static Sums
sums_bf16(const VectorKernels *t, const uint16_t *a, const uint16_t *b, size_t dim)
{
	Sums		s;

	s.l2sq = t->l2sq_bf16(a, b, dim);
	s.ip = t->ip_bf16(a, b, dim);
	s.l1 = t->l1_bf16(a, b, dim);
	t->cosine_bf16(a, b, dim, &s.ab, &s.aa, &s.bb);
	return s;
}

/* Sums are within their bounds of the exact ones. */
static void
check_exact(Sums s, const Exact *e)
{
	CHECK_NEAR(s.l2sq, e->l2sq, e->l2sq_eps);
	CHECK_NEAR(s.ip, e->ip, e->ip_eps);
	CHECK_NEAR(s.l1, e->l1, e->l1_eps);
	CHECK_NEAR(s.ab, e->ip, e->ip_eps);
	CHECK_NEAR(s.aa, e->aa, e->aa_eps);
	CHECK_NEAR(s.bb, e->bb, e->bb_eps);
}

/* Sums of a table and of the portable one, each of which may err by its bound. */
static void
check_portable(Sums s, Sums p, const Exact *e)
{
	CHECK_NEAR(s.l2sq, p.l2sq, 2 * e->l2sq_eps);
	CHECK_NEAR(s.ip, p.ip, 2 * e->ip_eps);
	CHECK_NEAR(s.l1, p.l1, 2 * e->l1_eps);
	CHECK_NEAR(s.ab, p.ab, 2 * e->ip_eps);
	CHECK_NEAR(s.aa, p.aa, 2 * e->aa_eps);
	CHECK_NEAR(s.bb, p.bb, 2 * e->bb_eps);
}

static double exact_a[MAX_DIM],
			exact_b[MAX_DIM];

static void
test_float32_sums(void)
{
	const VectorKernels *portable = KernelsTable(0);
	CheckRandom r = {1};

	FOR_DIMS(dim)
	{
		float	   *a = guarded(guard_a, dim, sizeof(float));
		float	   *b = guarded(guard_b, dim, sizeof(float));

		for (int kind = 0; kind < N_KINDS * N_KINDS; kind++)
		{
			Exact		e;
			Sums		p;

			/* subnormal times huge is fine, range times huge may overflow */
			if (kind / N_KINDS != kind % N_KINDS &&
				(kind / N_KINDS == KIND_RANGE || kind % N_KINDS == KIND_RANGE))
				continue;
			for (size_t i = 0; i < dim; i++)
			{
				exact_a[i] = a[i] = random_float(&r, kind / N_KINDS, dim);
				exact_b[i] = b[i] = random_float(&r, kind % N_KINDS, dim);
			}
			e = exact_sums(exact_a, exact_b, dim);
			p = sums_f32(portable, a, b, dim);
			FOR_TABLES(t)
			{
				Sums		s = sums_f32(t, a, b, dim);

				check_exact(s, &e);
				check_portable(s, p, &e);
			}
		}
	}
}

static void
test_float16_sums(void)
{
	const VectorKernels *portable = KernelsTable(0);
	CheckRandom r = {2};

	FOR_DIMS(dim)
	{
		uint16_t   *a = guarded(guard_a, dim, sizeof(uint16_t));
		uint16_t   *b = guarded(guard_b, dim, sizeof(uint16_t));

		for (int kind = 0; kind < N_KINDS * N_KINDS; kind++)
		{
			Exact		e;
			Sums		p;

			for (size_t i = 0; i < dim; i++)
			{
				a[i] = random_half(&r, kind / N_KINDS);
				b[i] = random_half(&r, kind % N_KINDS);
				exact_a[i] = half_value(a[i]);
				exact_b[i] = half_value(b[i]);
			}
			e = exact_sums(exact_a, exact_b, dim);
			p = sums_f16(portable, a, b, dim);
			FOR_TABLES(t)
			{
				Sums		s = sums_f16(t, a, b, dim);

				check_exact(s, &e);
				check_portable(s, p, &e);
			}
		}
	}
}

static void
test_bfloat16_sums(void)
{
	const VectorKernels *portable = KernelsTable(0);
	CheckRandom r = {13};

	FOR_DIMS(dim)
	{
		uint16_t   *a = guarded(guard_a, dim, sizeof(uint16_t));
		uint16_t   *b = guarded(guard_b, dim, sizeof(uint16_t));

		for (int kind = 0; kind < N_KINDS * N_KINDS; kind++)
		{
			Exact		e;
			Sums		p;

			if (kind / N_KINDS != kind % N_KINDS &&
				(kind / N_KINDS == KIND_RANGE || kind % N_KINDS == KIND_RANGE))
				continue;
			for (size_t i = 0; i < dim; i++)
			{
				a[i] = random_brain(&r, kind / N_KINDS, dim);
				b[i] = random_brain(&r, kind % N_KINDS, dim);
				exact_a[i] = brain_value(a[i]);
				exact_b[i] = brain_value(b[i]);
			}
			e = exact_sums(exact_a, exact_b, dim);
			p = sums_bf16(portable, a, b, dim);
			FOR_TABLES(t)
			{
				Sums		s = sums_bf16(t, a, b, dim);

				check_exact(s, &e);
				check_portable(s, p, &e);
			}
		}
	}
}

/* A sum over nothing is zero, and no array is looked at. */
static void
test_no_elements(void)
{
	const void *none = guarded(guard_a, 0, 1);

	FOR_TABLES(t)
	{
		Sums		sums[3] = {sums_f32(t, none, none, 0), sums_f16(t, none, none, 0),
							   sums_bf16(t, none, none, 0)};

		for (int i = 0; i < 3; i++)
		{
			CHECK(sums[i].l2sq == 0 && sums[i].ip == 0 && sums[i].l1 == 0);
			CHECK(sums[i].ab == 0 && sums[i].aa == 0 && sums[i].bb == 0);
		}
	}
}

/* An array that starts at an odd multiple of its element's size. */
static void
test_unaligned_arrays(void)
{
	static float a[1000 + 16],
				b[1000 + 16];
	static uint16_t ha[1000 + 16],
				hb[1000 + 16];
	const size_t dim = 1000;
	CheckRandom r = {3};

	for (size_t i = 0; i < dim + 16; i++)
	{
		a[i] = random_float(&r, KIND_UNIFORM, dim);
		b[i] = random_float(&r, KIND_UNIFORM, dim);
		ha[i] = random_half(&r, KIND_UNIFORM);
		hb[i] = random_half(&r, KIND_UNIFORM);
	}
	for (size_t shift = 0; shift < 16; shift++)
	{
		Exact		e;

		for (size_t i = 0; i < dim; i++)
		{
			exact_a[i] = a[i + shift];
			exact_b[i] = b[i + 15 - shift];
		}
		e = exact_sums(exact_a, exact_b, dim);
		FOR_TABLES(t)
			check_exact(sums_f32(t, a + shift, b + 15 - shift, dim), &e);

		for (size_t i = 0; i < dim; i++)
		{
			exact_a[i] = half_value(ha[i + shift]);
			exact_b[i] = half_value(hb[i + 15 - shift]);
		}
		e = exact_sums(exact_a, exact_b, dim);
		FOR_TABLES(t)
			check_exact(sums_f16(t, ha + shift, hb + 15 - shift, dim), &e);
	}
}

/* Every element counts, at every place of every dim: one-hot vectors are exact. */
static void
test_every_place_counts_once(void)
{
	for (size_t dim = 1; dim <= 130; dim++)
	{
		float	   *a = guarded(guard_a, dim, sizeof(float));
		float	   *b = guarded(guard_b, dim, sizeof(float));

		for (size_t i = 0; i < dim; i++)
		{
			for (size_t j = 0; j < dim; j++)
			{
				a[j] = j == i ? 3 : 0;
				b[j] = 1;
			}
			FOR_TABLES(t)
			{
				Sums		s = sums_f32(t, a, b, dim);

				CHECK(s.ip == 3 && s.ab == 3);
				CHECK(s.aa == 9 && s.bb == dim);
				CHECK(s.l2sq == dim + 3);
				CHECK(s.l1 == dim + 1);
			}
		}
	}
}

/* A sum that does not fit is infinite, in every table. */
static void
test_overflow_is_infinite(void)
{
	FOR_DIMS(dim)
	{
		float	   *a = guarded(guard_a, dim, sizeof(float));
		float	   *b = guarded(guard_b, dim, sizeof(float));

		for (size_t i = 0; i < dim; i++)
		{
			a[i] = FLT_MAX;
			b[i] = -FLT_MAX;
		}
		FOR_TABLES(t)
		{
			Sums		s = sums_f32(t, a, b, dim);

			CHECK(s.l2sq == INFINITY);
			CHECK(s.l1 == INFINITY);
			CHECK(s.ip == -INFINITY && s.ab == -INFINITY);
			CHECK(s.aa == INFINITY && s.bb == INFINITY);
		}
	}
}

/* A NaN or an infinity anywhere is seen in the result. */
static void
test_nan_and_infinity_propagate(void)
{
	for (size_t dim = 1; dim <= 130; dim++)
	{
		float	   *a = guarded(guard_a, dim, sizeof(float));
		float	   *b = guarded(guard_b, dim, sizeof(float));

		for (size_t i = 0; i < dim; i++)
		{
			for (size_t j = 0; j < dim; j++)
				a[j] = b[j] = 1;
			FOR_TABLES(t)
			{
				Sums		s;

				a[i] = NAN;
				s = sums_f32(t, a, b, dim);
				CHECK(isnan(s.l2sq) && isnan(s.ip) && isnan(s.l1));
				CHECK(isnan(s.ab) && isnan(s.aa) && s.bb == dim);
				a[i] = -INFINITY;
				s = sums_f32(t, a, b, dim);
				CHECK(s.l2sq == INFINITY && s.ip == -INFINITY && s.l1 == INFINITY);
				CHECK(s.ab == -INFINITY && s.aa == INFINITY && s.bb == dim);
			}
		}
	}
}

/* What the header promises to hold bit for bit within a table. */
static void
test_equal_within_a_table(void)
{
	CheckRandom r = {4};

	FOR_DIMS(dim)
	{
		float	   *a = guarded(guard_a, dim, sizeof(float));
		float	   *b = guarded(guard_b, dim, sizeof(float));
		uint16_t	ha[130],
					hb[130],
					ba[130],
					bb[130];

		for (size_t i = 0; i < dim; i++)
		{
			a[i] = random_float(&r, KIND_UNIFORM, dim);
			b[i] = random_float(&r, KIND_UNIFORM, dim);
		}
		for (size_t i = 0; i < 130; i++)
		{
			ha[i] = random_half(&r, KIND_UNIFORM);
			hb[i] = random_half(&r, KIND_UNIFORM);
			ba[i] = random_brain(&r, KIND_UNIFORM, dim);
			bb[i] = random_brain(&r, KIND_UNIFORM, dim);
		}
		FOR_TABLES(t)
		{
			Sums		s = sums_f32(t, a, b, dim);
			Sums		reversed = sums_f32(t, b, a, dim);
			Sums		self = sums_f32(t, a, a, dim);

			CHECK(s.ab == s.ip);
			CHECK(s.aa == t->ip_f32(a, a, dim));
			CHECK(s.bb == t->ip_f32(b, b, dim));
			CHECK(s.ip == reversed.ip && s.l2sq == reversed.l2sq && s.l1 == reversed.l1);
			CHECK(self.l2sq == 0 && self.l1 == 0);
			CHECK(self.ab == self.aa && self.aa == self.bb);
			if (dim <= 130)
			{
				s = sums_f16(t, ha, hb, dim);
				self = sums_f16(t, ha, ha, dim);
				CHECK(s.ab == s.ip);
				CHECK(s.aa == t->ip_f16(ha, ha, dim));
				CHECK(s.bb == t->ip_f16(hb, hb, dim));
				CHECK(self.l2sq == 0 && self.ab == self.aa && self.aa == self.bb);

				s = sums_bf16(t, ba, bb, dim);
				self = sums_bf16(t, ba, ba, dim);
				CHECK(s.ab == s.ip);
				CHECK(s.aa == t->ip_bf16(ba, ba, dim));
				CHECK(s.bb == t->ip_bf16(bb, bb, dim));
				CHECK(self.l2sq == 0 && self.ab == self.aa && self.aa == self.bb);
			}
		}
	}
}

/* One query to many rows: bit for bit the one-to-one kernels, and not a row more. */
static void
test_many_rows(void)
{
	CheckRandom r = {5};

	FOR_DIMS(dim)
	{
		float	   *q = guarded(guard_a, dim, sizeof(float));

		for (size_t i = 0; i < dim; i++)
			q[i] = random_float(&r, KIND_UNIFORM, dim);
		for (size_t n = 0; n <= 11; n++)
		{
			size_t		stride = dim + n % 4;
			size_t		total = n == 0 ? 0 : (n - 1) * stride + dim;
			float	   *base = guarded(guard_rows, total, sizeof(float));
			float	   *out = guarded(guard_out, n, sizeof(float));

			for (size_t i = 0; i < total; i++)
				base[i] = random_float(&r, KIND_UNIFORM, dim);
			FOR_TABLES(t)
			{
				t->l2sq_f32_many(q, base, stride, n, dim, out);
				for (size_t i = 0; i < n; i++)
					CHECK(out[i] == t->l2sq_f32(q, base + i * stride, dim));
				t->ip_f32_many(q, base, stride, n, dim, out);
				for (size_t i = 0; i < n; i++)
					CHECK(out[i] == t->ip_f32(q, base + i * stride, dim));
			}
		}
	}
}

/* A float32 query with rows of narrow elements, in order and by number. */
static void
test_mixed_rows(void)
{
	const size_t n_rows = 11;
	CheckRandom r = {14};

	FOR_DIMS(dim)
	{
		float	   *q = guarded(guard_a, dim, sizeof(float));
		size_t		stride = dim + dim % 3;
		size_t		total = (n_rows - 1) * stride + dim;
		uint16_t   *base = guarded(guard_rows, total, sizeof(uint16_t));

		for (size_t i = 0; i < dim; i++)
			q[i] = random_float(&r, KIND_UNIFORM, dim);
		for (int brain = 0; brain < 2; brain++)
		{
			for (size_t i = 0; i < total; i++)
				base[i] = brain ? random_brain(&r, KIND_UNIFORM, dim) : random_half(&r, KIND_UNIFORM);
			for (int order = 0; order < N_ROW_ORDERS; order++)
			{
				size_t		n = order == ROWS_IN_ORDER || dim % 2 ? n_rows : dim % n_rows;
				uint32_t   *numbers = guarded(guard_b, n, sizeof(uint32_t));
				const uint32_t *rows = choose_rows(numbers, order, n, n_rows, &r);
				float	   *out = guarded(guard_out, n, sizeof(float));
				Exact		exact[11];

				for (size_t i = 0; i < n; i++)
				{
					const uint16_t *row = base + (rows ? rows[i] : i) * stride;

					for (size_t j = 0; j < dim; j++)
					{
						exact_a[j] = q[j];
						exact_b[j] = brain ? brain_value(row[j]) : half_value(row[j]);
					}
					exact[i] = exact_sums(exact_a, exact_b, dim);
				}
				FOR_TABLES(t)
				{
					memset(out, 0x55, n * sizeof(float));
					(brain ? t->ip_f32_bf16_rows : t->ip_f32_f16_rows)(q, base, stride, rows, n, dim,
																		  out);
					for (size_t i = 0; i < n; i++)
					{
						size_t		place = (rows ? rows[i] : i) * stride;
						float		alone;

						CHECK_NEAR(out[i], exact[i].ip, exact[i].ip_eps);
						/* the same bits alone and among others */
						(brain ? t->ip_f32_bf16_rows : t->ip_f32_f16_rows)(q, base + place, 0, NULL,
																			  1, dim, &alone);
						CHECK(alone == out[i]);
					}
				}
			}
		}
	}
}

/* All 65,536 float16 values widen to the value that the format defines. */
static void
test_float16_to_float32(void)
{
	static uint16_t all[65536];
	static float wide[65536];

	for (int h = 0; h < 65536; h++)
		all[h] = (uint16_t) h;
	FOR_TABLES(t)
	{
		t->f16_to_f32(all, wide, 65536);
		for (int h = 0; h < 65536; h++)
			CHECK(same_float(wide[h], (float) half_value((uint16_t) h)));
	}
}

/* Convert one value; the array kernel on an array of one. */
static uint16_t
to_half(const VectorKernels *t, float f)
{
	uint16_t	h;

	t->f32_to_f16(&f, &h, 1);
	return h;
}

static bool
half_is_nan(uint16_t h)
{
	return (h & 0x7fff) > 0x7c00;
}

/*
 * Narrowing, from the definition of rounding: each value comes back, what lies
 * between two neighbours goes to the nearer one and from the middle to the even.
 */
static void
test_float32_to_float16(void)
{
	FOR_TABLES(t)
	{
		for (int h = 0; h < 0x7c00; h++)
		{
			float		low = (float) half_value((uint16_t) h);
			/* past 65504 the next place, 65536, stands for infinity */
			float		high = h == 0x7bff ? 65536 : (float) half_value((uint16_t) (h + 1));
			float		middle = (low + high) / 2;
			uint16_t	even = (uint16_t) (h + (h & 1));

			CHECK(to_half(t, low) == h);
			CHECK(to_half(t, -low) == (h | 0x8000));
			CHECK(to_half(t, middle) == even);
			CHECK(to_half(t, -middle) == (even | 0x8000));
			CHECK(to_half(t, nextafterf(middle, 0)) == h);
			CHECK(to_half(t, nextafterf(middle, INFINITY)) == h + 1);
		}
		CHECK(to_half(t, FLT_MAX) == 0x7c00);
		CHECK(to_half(t, -FLT_MAX) == 0xfc00);
		CHECK(to_half(t, INFINITY) == 0x7c00);
		CHECK(to_half(t, -INFINITY) == 0xfc00);
		CHECK(to_half(t, FLT_TRUE_MIN) == 0);
		CHECK(to_half(t, -FLT_MIN) == 0x8000);
		CHECK(half_is_nan(to_half(t, NAN)));
		CHECK(half_is_nan(to_half(t, bits_float(0x7f800001))));
	}
}

/* Arrays of any length, any bits: as the portable table, and nothing written past the end. */
static void
test_float16_arrays(void)
{
	const VectorKernels *portable = KernelsTable(0);
	CheckRandom r = {6};

	for (int round = 0; round < 2000; round++)
	{
		size_t		n = round % 100;
		float	   *f = guarded(guard_a, n, sizeof(float));
		float	   *f_out = guarded(guard_out, n, sizeof(float));
		uint16_t   *h = guarded(guard_b, n, sizeof(uint16_t));
		uint16_t   *h_out = guarded(guard_rows, n, sizeof(uint16_t));
		uint16_t	h_portable[100];
		float		f_portable[100];

		for (size_t i = 0; i < n; i++)
		{
			uint32_t	bits = (uint32_t) CheckRandomBits(&r);

			/* every other one in or near the range of float16 */
			if (i % 2 == 0)
				bits = (bits & 0x807fffff) | ((100 + (bits >> 23) % 48) << 23);
			f[i] = bits_float(bits);
			h[i] = (uint16_t) CheckRandomBits(&r);
		}
		portable->f32_to_f16(f, h_portable, n);
		portable->f16_to_f32(h, f_portable, n);
		FOR_TABLES(t)
		{
			t->f32_to_f16(f, h_out, n);
			t->f16_to_f32(h, f_out, n);
			for (size_t i = 0; i < n; i++)
			{
				CHECK(h_out[i] == h_portable[i] ||
					  (half_is_nan(h_out[i]) && half_is_nan(h_portable[i])));
				CHECK(same_float(f_out[i], f_portable[i]));
			}
		}
	}
}

/* All 65,536 bfloat16 values widen to the value that the format defines. */
static void
test_bfloat16_to_float32(void)
{
	static uint16_t all[65536];
	static float wide[65536];

	for (int b = 0; b < 65536; b++)
		all[b] = (uint16_t) b;
	FOR_TABLES(t)
	{
		t->bf16_to_f32(all, wide, 65536);
		for (int b = 0; b < 65536; b++)
			CHECK(same_float(wide[b], (float) brain_value((uint16_t) b)));
	}
}

/* Convert one value; the array kernel on an array of one. */
static uint16_t
to_brain(const VectorKernels *t, float f)
{
	uint16_t	b;

	t->f32_to_bf16(&f, &b, 1);
	return b;
}

/* Narrowing, from the definition of rounding, as for float16. */
static void
test_float32_to_bfloat16(void)
{
	FOR_TABLES(t)
	{
		for (int b = 0; b < 0x7f80; b++)
		{
			double		low = brain_value((uint16_t) b);
			/* past the greatest the next place, 2^128, stands for infinity */
			double		high = b == 0x7f7f ? 0x1p128 : brain_value((uint16_t) (b + 1));
			float		middle = (float) ((low + high) / 2);
			uint16_t	even = (uint16_t) (b + (b & 1));

			CHECK(to_brain(t, (float) low) == b);
			CHECK(to_brain(t, (float) -low) == (b | 0x8000));
			CHECK(to_brain(t, middle) == even);
			CHECK(to_brain(t, -middle) == (even | 0x8000));
			CHECK(to_brain(t, nextafterf(middle, 0)) == b);
			CHECK(to_brain(t, nextafterf(middle, INFINITY)) == b + 1);
		}
		CHECK(to_brain(t, INFINITY) == 0x7f80);
		CHECK(to_brain(t, -INFINITY) == 0xff80);
		CHECK(to_brain(t, FLT_TRUE_MIN) == 0);
		CHECK(isnan(brain_value(to_brain(t, NAN))));
		CHECK(isnan(brain_value(to_brain(t, bits_float(0x7f800001)))));
		CHECK(isnan(brain_value(to_brain(t, bits_float(0xffffffff)))));
	}
}

/* Arrays of any length, any bits: as one value after the other, and nothing past the end. */
static void
test_bfloat16_arrays(void)
{
	const VectorKernels *portable = KernelsTable(0);
	CheckRandom r = {15};

	for (size_t n = 0; n < 200; n++)
	{
		float	   *f = guarded(guard_a, n, sizeof(float));
		float	   *f_out = guarded(guard_out, n, sizeof(float));
		uint16_t   *b = guarded(guard_b, n, sizeof(uint16_t));
		uint16_t   *b_out = guarded(guard_rows, n, sizeof(uint16_t));

		for (size_t i = 0; i < n; i++)
		{
			f[i] = bits_float((uint32_t) CheckRandomBits(&r));
			b[i] = (uint16_t) CheckRandomBits(&r);
		}
		FOR_TABLES(t)
		{
			t->f32_to_bf16(f, b_out, n);
			t->bf16_to_f32(b, f_out, n);
			for (size_t i = 0; i < n; i++)
			{
				CHECK(b_out[i] == to_brain(portable, f[i]));
				CHECK(same_float(f_out[i], (float) brain_value(b[i])));
			}
		}
	}
}

/* The two products of the 8-bit kernels, in 64 bits. */
static int64_t
exact_dot(const uint8_t *code, const int8_t *q, size_t len)
{
	int64_t		sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += (int64_t) code[i] * q[i];
	return sum;
}

static int64_t
exact_dot_codes(const uint8_t *x, const uint8_t *y, size_t len)
{
	int64_t		sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += (int64_t) x[i] * ((int64_t) y[i] - 128);
	return sum;
}

/* Random codes of every padded length up to 2,048, and of the longest. */
static void
test_sq8_random(void)
{
	CheckRandom r = {7};

	for (size_t len = SQ8_PAD; len <= MAX_DIM; len = len < 2048 ? len + SQ8_PAD : len * 4)
	{
		uint8_t    *x = guarded(guard_a, len, 1);
		uint8_t    *y = guarded(guard_b, len, 1);
		int8_t	   *q = guarded(guard_out, len, 1);

		for (int round = 0; round < 20; round++)
		{
			for (size_t i = 0; i < len; i++)
			{
				x[i] = (uint8_t) CheckRandomBits(&r);
				y[i] = (uint8_t) CheckRandomBits(&r);
				q[i] = (int8_t) CheckRandomBits(&r);
			}
			FOR_TABLES(t)
			{
				CHECK(t->sq8_dot(x, q, len) == exact_dot(x, q, len));
				CHECK(t->sq8_dot_codes(x, y, len) == exact_dot_codes(x, y, len));
			}
		}
	}
}

/* The ends of the range, in every mixture of two neighbours: nothing saturates or wraps. */
static void
test_sq8_extremes(void)
{
	static const uint8_t codes[4] = {0, 255, 128, 127};
	static const int8_t queries[4] = {-128, 127, -127, 0};
	const size_t len = MAX_DIM;
	uint8_t    *x = guarded(guard_a, len, 1);
	uint8_t    *y = guarded(guard_b, len, 1);
	int8_t	   *q = guarded(guard_out, len, 1);

	for (int mix = 0; mix < 256; mix++)
	{
		for (size_t i = 0; i < len; i++)
		{
			x[i] = codes[i % 2 ? mix & 3 : mix >> 2 & 3];
			y[i] = codes[i % 2 ? mix >> 4 & 3 : mix >> 6 & 3];
			q[i] = queries[i % 2 ? mix >> 4 & 3 : mix >> 6 & 3];
		}
		FOR_TABLES(t)
		{
			int32_t		out[4];
			uint32_t	rows[4] = {0};

			CHECK(t->sq8_dot(x, q, len) == exact_dot(x, q, len));
			CHECK(t->sq8_dot_codes(x, y, len) == exact_dot_codes(x, y, len));
			t->sq8_dot_gather(x, len, rows, 4, q, len, out);
			for (int i = 0; i < 4; i++)
				CHECK(out[i] == exact_dot(x, q, len));
		}
	}
}

/* Padding both sides of a product of codes with SQ8_ZERO adds nothing to (x - 128)(y - 128). */
static void
test_sq8_padding(void)
{
	const size_t len = 2 * SQ8_PAD;
	uint8_t    *x = guarded(guard_a, len, 1);
	uint8_t    *y = guarded(guard_b, len, 1);
	CheckRandom r = {8};

	for (size_t dim = 1; dim <= len; dim++)
	{
		int64_t		expected = 0;
		int64_t		sum_y = 0;

		for (size_t i = 0; i < len; i++)
		{
			x[i] = i < dim ? (uint8_t) CheckRandomBits(&r) : SQ8_ZERO;
			y[i] = i < dim ? (uint8_t) CheckRandomBits(&r) : SQ8_ZERO;
			expected += i < dim ? (x[i] - 128) * (y[i] - 128) : 0;
			sum_y += y[i] - 128;
		}
		FOR_TABLES(t)
			CHECK(t->sq8_dot_codes(x, y, len) - 128 * sum_y == expected);
	}
}

/* Many rows: in order with a stride, and by number in any order, some more than once. */
static void
test_sq8_many_rows(void)
{
	const size_t n_rows = 50;
	CheckRandom r = {9};

	for (size_t len = SQ8_PAD; len <= 20 * SQ8_PAD; len += SQ8_PAD)
	{
		size_t		stride = len + (len / SQ8_PAD % 3) * SQ8_PAD;
		size_t		total = (n_rows - 1) * stride + len;
		uint8_t    *codes = guarded(guard_rows, total, 1);
		int8_t	   *q = guarded(guard_a, len, 1);

		for (size_t i = 0; i < total; i++)
			codes[i] = (uint8_t) CheckRandomBits(&r);
		for (size_t i = 0; i < len; i++)
			q[i] = (int8_t) CheckRandomBits(&r);

		for (size_t n = 0; n <= n_rows; n++)
		{
			uint32_t   *rows = guarded(guard_b, n, sizeof(uint32_t));
			int32_t    *out = guarded(guard_out, n, sizeof(int32_t));

			FOR_TABLES(t)
			{
				/* the last n rows, so that the array's end is reached */
				const uint8_t *last = codes + (n_rows - n) * stride;

				t->sq8_dot_seq(last, stride, n, q, len, out);
				for (size_t i = 0; i < n; i++)
					CHECK(out[i] == exact_dot(last + i * stride, q, len));

				for (int order = 0; order < 3; order++)
				{
					for (size_t i = 0; i < n; i++)
						rows[i] = order == 0 ? (uint32_t) (n_rows - 1 - i) :	/* reversed */
							order == 1 ? (uint32_t) n_rows - 1 :	/* one row n times */
							(uint32_t) (CheckRandomBits(&r) % n_rows);
					memset(out, 0x55, n * sizeof(int32_t));
					t->sq8_dot_gather(codes, stride, rows, n, q, len, out);
					for (size_t i = 0; i < n; i++)
						CHECK(out[i] == exact_dot(codes + rows[i] * stride, q, len));
				}
			}
		}
	}
}

/* Row numbers times stride beyond 4 GiB; a file with holes stands for the codes. */
static void
test_sq8_gather_beyond_4gb(void)
{
	const size_t stride = 128;
	const uint32_t far[5] = {40000000, 33554432, 40000001, 0, 39999999};
	const size_t size = (size_t) 40000002 * stride;
	FILE	   *file = tmpfile();
	const uint8_t *codes;
	int8_t	   *q = guarded(guard_a, stride, 1);
	uint8_t		row[128];
	CheckRandom r = {10};

	REQUIRE(file != NULL && ftruncate(fileno(file), (off_t) size) == 0);
	for (size_t i = 0; i < stride; i++)
		q[i] = (int8_t) CheckRandomBits(&r);
	for (int i = 0; i < 5; i++)
	{
		for (size_t j = 0; j < stride; j++)
			row[j] = (uint8_t) CheckRandomBits(&r);
		REQUIRE(pwrite(fileno(file), row, stride, (off_t) (far[i] * stride)) == (ssize_t) stride);
	}
	codes = mmap(NULL, size, PROT_READ, MAP_SHARED, fileno(file), 0);
	REQUIRE(codes != MAP_FAILED);
	FOR_TABLES(t)
	{
		int32_t		out[5];

		t->sq8_dot_gather(codes, stride, far, 5, q, stride, out);
		for (int i = 0; i < 5; i++)
			CHECK(out[i] == exact_dot(codes + far[i] * stride, q, stride));
	}
	munmap((void *) codes, size);
	fclose(file);
}

/* An unknown name is refused and changes nothing; each usable table can be chosen. */
static void
test_select(void)
{
	const VectorKernels *best = NULL;
	int			usable = 0;

	KernelsInit();
	for (int i = 0; KernelsTable(i) != NULL; i++)
	{
		if (KernelsUsable(KernelsTable(i)))
		{
			best = KernelsTable(i);
			usable++;
		}
	}
	printf("# tables usable here: %d, best: %s\n", usable, best->name);
	CHECK(strcmp(KernelsTable(0)->name, "portable") == 0);
	CHECK(KernelsUsable(KernelsTable(0)));
	CHECK(KernelsTable(-1) == NULL);
	CHECK(!KernelsUsable(NULL));
	CHECK(kernels == best);

	for (int i = 0; KernelsTable(i) != NULL; i++)
	{
		const VectorKernels *before = kernels;
		const VectorKernels *table = KernelsTable(i);

		CHECK(KernelsSelect(table->name) == KernelsUsable(table));
		CHECK(kernels == (KernelsUsable(table) ? table : before));
	}

	CHECK(KernelsSelect("portable"));
	CHECK(!KernelsSelect("no such table"));
	CHECK(!KernelsSelect(""));
	CHECK(!KernelsSelect("PORTABLE"));
	CHECK(kernels == KernelsTable(0));
	KernelsInit();
	CHECK(kernels == KernelsTable(0));
	CHECK(KernelsSelect("auto"));
	CHECK(kernels == best);
}

/* One product of a shape against a double loop; what lies between rows of C stays. */
static void
check_gemm(size_t m, size_t n, size_t k, size_t pad, CheckRandom *r)
{
	size_t		lda = k + pad;
	size_t		ldb = k + 2 * pad;
	size_t		ldc = n + pad;
	float	   *a = malloc((m * lda + 1) * sizeof(float));
	float	   *b = malloc((n * ldb + 1) * sizeof(float));
	float	   *c = malloc((m * ldc + 1) * sizeof(float));

	for (size_t i = 0; i < m * lda; i++)
		a[i] = random_float(r, KIND_UNIFORM, k);
	for (size_t i = 0; i < n * ldb; i++)
		b[i] = random_float(r, KIND_UNIFORM, k);
	for (size_t i = 0; i < m * ldc; i++)
		c[i] = NAN;

	GemmNT(m, n, k, a, lda, b, ldb, c, ldc);

	for (size_t i = 0; i < m; i++)
	{
		for (size_t j = 0; j < n; j++)
		{
			double		sum = 0;
			double		magnitude = 0;

			for (size_t l = 0; l < k; l++)
			{
				sum += (double) a[i * lda + l] * b[j * ldb + l];
				magnitude += fabs((double) a[i * lda + l] * b[j * ldb + l]);
			}
			CHECK_NEAR(c[i * ldc + j], sum, (k + 8) * UNIT_ROUNDOFF * magnitude);
		}
		for (size_t j = n; j < ldc; j++)
			CHECK(isnan(c[i * ldc + j]));
	}
	free(a);
	free(b);
	free(c);
}

static void
check_gemm_shapes(void)
{
	static const size_t shapes[][3] = {
		{1, 1, 1}, {1, 17, 5}, {19, 1, 128}, {3, 5, 7}, {17, 33, 129}, {64, 64, 64},
		{65, 63, 100}, {2, 300, 1536}, {7, 9, 0}, {0, 4, 3}, {4, 0, 3}, {5, 3, 20000}
	};
	CheckRandom r = {11};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
	{
		check_gemm(shapes[i][0], shapes[i][1], shapes[i][2], 0, &r);
		check_gemm(shapes[i][0], shapes[i][1], shapes[i][2], 3, &r);
	}
}

/* Before GemmInit() products are made by the tables. */
static void
test_gemm_builtin(void)
{
	CHECK(strcmp(GemmName(), "built-in") == 0);
	FOR_TABLES(t)
	{
		CHECK(KernelsSelect(t->name));
		check_gemm_shapes();
	}
	CHECK(KernelsSelect("auto"));
}

/* After it by OpenBLAS, if there is one; the environment is as it was. */
static void
test_gemm_library(void)
{
	unsetenv("OPENBLAS_CORETYPE");
	setenv("OPENBLAS_NUM_THREADS", "1", 1);
	GemmInit();
	printf("# products by: %s\n", GemmName());
	CHECK(getenv("OPENBLAS_CORETYPE") == NULL);
	CHECK(getenv("OPENBLAS_NUM_THREADS") != NULL &&
		  strcmp(getenv("OPENBLAS_NUM_THREADS"), "1") == 0);
	check_gemm_shapes();
	GemmInit();
	check_gemm_shapes();
}

#define THREADS 4
#define SIDE 96

static float thread_a[SIDE * SIDE],
			thread_b[SIDE * SIDE],
			thread_c[SIDE * SIDE];

/* The same product again and again; returns NULL if it was always thread_c. */
static void *
gemm_thread(void *arg)
{
	static char differs;
	float	   *c = malloc(sizeof(thread_c));
	void	   *result = NULL;

	for (int i = 0; i < 200; i++)
	{
		memset(c, 0, sizeof(thread_c));
		GemmNT(SIDE, SIDE, SIDE, thread_a, SIDE, thread_b, SIDE, c, SIDE);
		if (memcmp(c, thread_c, sizeof(thread_c)) != 0)
			result = &differs;
	}
	free(c);
	return result;
}

static void
test_gemm_in_threads(void)
{
	pthread_t	threads[THREADS];
	CheckRandom r = {12};

	for (size_t i = 0; i < SIDE * SIDE; i++)
	{
		thread_a[i] = random_float(&r, KIND_UNIFORM, SIDE);
		thread_b[i] = random_float(&r, KIND_UNIFORM, SIDE);
	}
	GemmNT(SIDE, SIDE, SIDE, thread_a, SIDE, thread_b, SIDE, thread_c, SIDE);
	for (int i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, gemm_thread, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
	{
		void	   *result;

		REQUIRE(pthread_join(threads[i], &result) == 0);
		CHECK(result == NULL);
	}
}

int
main(void)
{
	reserve_guarded();

	RUN(test_float32_sums);
	RUN(test_float16_sums);
	RUN(test_bfloat16_sums);
	RUN(test_no_elements);
	RUN(test_unaligned_arrays);
	RUN(test_every_place_counts_once);
	RUN(test_overflow_is_infinite);
	RUN(test_nan_and_infinity_propagate);
	RUN(test_equal_within_a_table);
	RUN(test_many_rows);
	RUN(test_mixed_rows);
	RUN(test_float16_to_float32);
	RUN(test_float32_to_float16);
	RUN(test_float16_arrays);
	RUN(test_bfloat16_to_float32);
	RUN(test_float32_to_bfloat16);
	RUN(test_bfloat16_arrays);
	RUN(test_sq8_random);
	RUN(test_sq8_extremes);
	RUN(test_sq8_padding);
	RUN(test_sq8_many_rows);
	RUN(test_sq8_gather_beyond_4gb);
	RUN(test_select);
	RUN(test_gemm_builtin);
	RUN(test_gemm_library);
	RUN(test_gemm_in_threads);
	return CheckDone();
}
