/*
 * test_filter.c
 *		Comparisons, sets and bitmaps of filter.h: with every table of kernels that this
 *		CPU runs, against PostgreSQL's comparison written out.
 */
#include "test_kernels_support.h"

#include "kernels/filter.h"

#define MAX_N 1000

static const char *const table_names[] = {"portable", "avx2", "avx512", "neon", "neon_dot"};

#define N_TABLES (sizeof(table_names) / sizeof(table_names[0]))

/* Each table that can be selected here; the best one is left selected by nobody. */
#define FOR_SELECTED_TABLES \
	for (size_t table_ = 0; table_ < N_TABLES; table_++) \
		if (KernelsSelect(table_names[table_]))

static const size_t sizes[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 62, 63, 64, 65, 127, 128, 129,
	200, 255, 256, 257, 511, 512, 513, 1000};

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define N_OPS (FILTER_BETWEEN + 1)

/* The order of numbers, and of floats with NaN above all and equal to itself. */
#define ORDER(name, type, is_nan) \
	static int \
	name(type a, type b) \
	{ \
		bool		a_nan = is_nan(a); \
		bool		b_nan = is_nan(b); \
		if (a_nan || b_nan) \
			return a_nan - b_nan; \
		return a < b ? -1 : a > b; \
	}

#define NEVER(x) ((void) (x), false)

/* What an operator makes of two orders. */
static bool
holds(FilterOp op, int against_a, int against_b)
{
	switch (op)
	{
		case FILTER_EQ:
			return against_a == 0;
		case FILTER_NE:
			return against_a != 0;
		case FILTER_LT:
			return against_a < 0;
		case FILTER_LE:
			return against_a <= 0;
		case FILTER_GT:
			return against_a > 0;
		case FILTER_GE:
			return against_a >= 0;
		case FILTER_BETWEEN:
			return against_a >= 0 && against_b <= 0;
	}
	return false;
}

/* Every operator and constant of a type's interesting values, at every size. */
#define TEST_COMPARE(name, order, filter, type, is_nan, ...) \
	ORDER(order, type, is_nan) \
	static void \
	name(void) \
	{ \
		static const type special[] = {__VA_ARGS__}; \
		const size_t nspecial = sizeof(special) / sizeof(special[0]); \
		CheckRandom r = {21}; \
		for (size_t s = 0; s < N_SIZES; s++) \
		{ \
			size_t		n = sizes[s]; \
			type	   *v = guarded(guard_a, n, sizeof(type)); \
			uint64_t   *mask = guarded(guard_out, FilterWords(n), sizeof(uint64_t)); \
			for (size_t i = 0; i < n; i++) \
			{ \
				uint64_t	bits = CheckRandomBits(&r); \
				v[i] = special[(bits >> 40) % nspecial]; \
				if ((bits >> 20) % 4 == 0) \
					memcpy(&v[i], &bits, sizeof(type)); \
			} \
			for (size_t a = 0; a < nspecial; a++) \
			{ \
				for (size_t b = 0; b < nspecial; b++) \
				{ \
					for (int op = 0; op < N_OPS; op++) \
					{ \
						if (op != FILTER_BETWEEN && b > 0) \
							continue; \
						FOR_SELECTED_TABLES \
						{ \
							size_t		wrong = 0; \
							memset(mask, 0x5a, FilterWords(n) * sizeof(uint64_t)); \
							filter(v, n, op, special[a], special[b], mask); \
							for (size_t i = 0; i < FilterWords(n) * 64; i++) \
							{ \
								bool		expected = i < n && \
									holds(op, order(v[i], special[a]), order(v[i], special[b])); \
								wrong += (mask[i / 64] >> (i % 64) & 1) != expected; \
							} \
							CHECK(wrong == 0); \
						} \
					} \
				} \
			} \
		} \
	}

TEST_COMPARE(test_uint8, order_u8, FilterUint8, uint8_t, NEVER, 0, 1, 127, 128, 200, 254, 255)
TEST_COMPARE(test_int16, order_i16, FilterInt16, int16_t, NEVER, INT16_MIN, INT16_MIN + 1, -1, 0, 1, 77, INT16_MAX)
TEST_COMPARE(test_uint16, order_u16, FilterUint16, uint16_t, NEVER, 0, 1, 0x7fff, 0x8000, UINT16_MAX)
TEST_COMPARE(test_int32, order_i32, FilterInt32, int32_t, NEVER, INT32_MIN, INT32_MIN + 1, -1, 0, 1, 77, INT32_MAX)
TEST_COMPARE(test_uint32, order_u32, FilterUint32, uint32_t, NEVER, 0, 1, 0x7fffffff, 0x80000000, UINT32_MAX)
TEST_COMPARE(test_int64, order_i64, FilterInt64, int64_t, NEVER, INT64_MIN, INT64_MIN + 1, -1, 0, 1, 77, INT64_MAX)
TEST_COMPARE(test_uint64, order_u64, FilterUint64, uint64_t, NEVER, 0, 1, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX)
TEST_COMPARE(test_float32, order_f32, FilterFloat32, float, isnan, NAN, -NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1.5f,
			 -1.5f, FLT_MAX, -FLT_MAX, 1e-45f, -1e-45f)
TEST_COMPARE(test_float64, order_f64, FilterFloat64, double, isnan, NAN, -NAN, INFINITY, -INFINITY, 0.0, -0.0, 1.5,
			 -1.5, DBL_MAX, -DBL_MAX, 5e-324, -5e-324)

/* ---- sets ---- */

typedef void (*InFilter) (const void *v, size_t n, const void *set, size_t nset, uint64_t *mask);

static void
check_sets(InFilter filter, size_t width)
{
	CheckRandom r = {22};

	for (size_t s = 0; s < N_SIZES; s++)
	{
		size_t		n = sizes[s];

		for (size_t nset = 0; nset <= 11; nset++)
		{
			uint8_t    *v = guarded(guard_a, n, width);
			uint8_t    *set = guarded(guard_b, nset, width);
			uint64_t   *mask = guarded(guard_out, FilterWords(n), sizeof(uint64_t));

			for (size_t i = 0; i < nset * width; i++)
				set[i] = (uint8_t) (CheckRandomBits(&r) >> 40);
			for (size_t i = 0; i < n; i++)
			{
				uint64_t	bits = CheckRandomBits(&r);

				if (nset > 0 && (bits >> 60) % 2 == 0)
					memcpy(v + i * width, set + (bits >> 20) % nset * width, width);
				else
					memcpy(v + i * width, &bits, width);
				/* a neighbour of one that is in the set */
				if ((bits >> 56) % 4 == 0)
					v[i * width + width - 1] ^= 1;
			}
			FOR_SELECTED_TABLES
			{
				size_t		wrong = 0;

				memset(mask, 0x5a, FilterWords(n) * sizeof(uint64_t));
				filter(v, n, set, nset, mask);
				for (size_t i = 0; i < FilterWords(n) * 64; i++)
				{
					bool		expected = false;

					for (size_t k = 0; i < n && k < nset; k++)
						expected = expected || memcmp(v + i * width, set + k * width, width) == 0;
					wrong += (mask[i / 64] >> (i % 64) & 1) != expected;
				}
				CHECK(wrong == 0);
			}
		}
	}
}

static void
test_sets(void)
{
	check_sets(FilterIn8, 1);
	check_sets(FilterIn16, 2);
	check_sets(FilterIn32, 4);
	check_sets(FilterIn64, 8);
}

static void
test_codes(void)
{
	CheckRandom r = {23};
	uint64_t	accepted[5];

	for (size_t s = 0; s < N_SIZES; s++)
	{
		size_t		n = sizes[s];
		size_t		ncodes = (CheckRandomBits(&r) >> 40) % 300;
		uint8_t    *bytes = guarded(guard_a, n, 1);
		uint16_t   *halves = guarded(guard_b, n, 2);
		uint64_t   *mask = guarded(guard_out, FilterWords(n), sizeof(uint64_t));
		size_t		wrong = 0;

		for (int i = 0; i < 5; i++)
			accepted[i] = CheckRandomBits(&r);
		for (size_t i = 0; i < n; i++)
		{
			halves[i] = (uint16_t) ((CheckRandomBits(&r) >> 40) % 320);
			bytes[i] = (uint8_t) halves[i];
		}
		FilterCodes8(bytes, n, accepted, ncodes, mask);
		for (size_t i = 0; i < FilterWords(n) * 64; i++)
		{
			bool		expected = i < n && bytes[i] < ncodes && (accepted[bytes[i] / 64] >> (bytes[i] % 64) & 1);

			wrong += (mask[i / 64] >> (i % 64) & 1) != expected;
		}
		FilterCodes16(halves, n, accepted, ncodes, mask);
		for (size_t i = 0; i < FilterWords(n) * 64; i++)
		{
			bool		expected = i < n && halves[i] < ncodes && (accepted[halves[i] / 64] >> (halves[i] % 64) & 1);

			wrong += (mask[i / 64] >> (i % 64) & 1) != expected;
		}
		CHECK(wrong == 0);
	}
}

/* ---- bitmaps ---- */

static void
test_bitmaps(void)
{
	CheckRandom r = {24};

	for (size_t s = 0; s < N_SIZES; s++)
	{
		/* from no bit to all of them */
		for (int fill = 0; fill <= 8; fill++)
		{
			size_t		n = sizes[s];
			uint64_t	a[MAX_N / 64 + 2],
						b[MAX_N / 64 + 2],
						c[MAX_N / 64 + 2];
			bool		in_a[MAX_N],
						in_b[MAX_N];
			size_t		count = 0;
			size_t		words = FilterWords(n);
			size_t		wrong = 0;

			memset(a, 0, sizeof(a));
			memset(b, 0, sizeof(b));
			for (size_t i = 0; i < n; i++)
			{
				in_a[i] = (int) (CheckRandomBits(&r) >> 61) < fill;
				in_b[i] = (CheckRandomBits(&r) >> 61) < 3;
				a[i / 64] |= (uint64_t) in_a[i] << (i % 64);
				b[i / 64] |= (uint64_t) in_b[i] << (i % 64);
				count += in_a[i];
			}
#define CHECK_BITS(call, expected) \
			memcpy(c, a, sizeof(c)); \
			c[words] = 99; \
			call; \
			CHECK(c[words] == 99); \
			for (size_t i = 0; i < words * 64; i++) \
				wrong += (c[i / 64] >> (i % 64) & 1) != (i < n && (expected))

			CHECK_BITS(FilterAnd(c, b, n), in_a[i] && in_b[i]);
			CHECK_BITS(FilterOr(c, b, n), in_a[i] || in_b[i]);
			CHECK_BITS(FilterAndNot(c, b, n), in_a[i] && !in_b[i]);
			CHECK_BITS(FilterNot(c, n), !in_a[i]);
			CHECK_BITS(FilterFill(c, n, true), true);
			CHECK_BITS(FilterFill(c, n, false), false);
			CHECK(wrong == 0);
			FOR_SELECTED_TABLES
			{
				uint32_t   *rows = guarded(guard_out, count, sizeof(uint32_t));
				size_t		at = 0;

				CHECK(FilterCount(a, n) == count);
				REQUIRE(FilterRows(a, n, 100000, rows) == count);
				for (size_t i = 0; i < n; i++)
				{
					if (in_a[i])
						CHECK(rows[at++] == 100000 + i);
				}
			}
		}
	}
}

static void
test_nulls(void)
{
	CheckRandom r = {25};

	for (size_t first = 0; first < 80; first++)
	{
		for (size_t s = 0; s < N_SIZES; s++)
		{
			size_t		n = sizes[s];
			/* not a byte more than the rows need */
			uint8_t    *bits = guarded(guard_a, (first + n + 7) / 8, 1);
			uint64_t   *mask = guarded(guard_out, FilterWords(n), sizeof(uint64_t));
			size_t		wrong = 0;

			for (size_t i = 0; i < (first + n + 7) / 8; i++)
				bits[i] = (uint8_t) (CheckRandomBits(&r) >> 40);
			FilterNulls(bits, first, n, mask);
			for (size_t i = 0; i < FilterWords(n) * 64; i++)
				wrong += (mask[i / 64] >> (i % 64) & 1) !=
					(i < n && (bits[(first + i) / 8] >> ((first + i) % 8) & 1));
			FilterNulls(NULL, first, n, mask);
			for (size_t i = 0; i < FilterWords(n); i++)
				wrong += mask[i] != 0;
			CHECK(wrong == 0);
		}
	}
}

int
main(void)
{
	reserve_guarded();
	RUN(test_uint8);
	RUN(test_int16);
	RUN(test_uint16);
	RUN(test_int32);
	RUN(test_uint32);
	RUN(test_int64);
	RUN(test_uint64);
	RUN(test_float32);
	RUN(test_float64);
	RUN(test_sets);
	RUN(test_codes);
	RUN(test_bitmaps);
	RUN(test_nulls);
	return CheckDone();
}
