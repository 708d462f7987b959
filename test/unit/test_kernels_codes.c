/*
 * test_kernels_codes.c
 *		The kernels of bytes, bits, codes and ranges of every table that this CPU runs,
 *		against loops over the values themselves.
 */
#include "test_kernels_support.h"

#define N_ROWS 11
#define MAX_BYTES 8192			/* of a bit string */

/* Sizes around the widths of registers and of unrolled loops, ascending; SIZE_MAX past the last. */
static size_t
next_size(size_t size, size_t max)
{
	static const size_t large[] = {191, 192, 193, 255, 256, 257, 384, 511, 512, 513, 1000,
		1536, 4096, 4097, MAX_BYTES, MAX_DIM - 1, MAX_DIM};

	if (size < 140)
		return size + 1;
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]) && large[i] <= max; i++)
	{
		if (large[i] > size)
			return large[i];
	}
	return SIZE_MAX;
}

#define FOR_SIZES(size, max) \
	for (size_t size = 0; size != SIZE_MAX; size = next_size(size, max))

/* What the bytes of a test are: any, or the ends of the range in a pattern. */
typedef enum Fill
{
	FILL_RANDOM,
	FILL_SMALLEST,
	FILL_LARGEST,
	FILL_MIXED,
	N_FILLS
} Fill;

/* n numbers low..high into v, any or as the pattern says. */
static void
fill_values(int *v, size_t n, int low, int high, Fill fill, CheckRandom *r)
{
	for (size_t i = 0; i < n; i++)
	{
		uint64_t	bits = CheckRandomBits(r) >> 8;

		if (fill == FILL_RANDOM)
			v[i] = low + (int) (bits % (uint64_t) (high - low + 1));
		else if (fill == FILL_MIXED)
			v[i] = bits & 1 ? low : high;
		else
			v[i] = fill == FILL_SMALLEST ? low : high;
	}
}

static int	values_a[MAX_DIM],
			values_b[MAX_DIM];

static void
test_int8_sums(void)
{
	CheckRandom r = {1};

	FOR_SIZES(dim, MAX_DIM)
	{
		int8_t	   *a = guarded(guard_a, dim, 1);
		int8_t	   *b = guarded(guard_b, dim, 1);

		for (int fill = 0; fill < N_FILLS * N_FILLS; fill++)
		{
			int64_t		l2sq = 0,
						ip = 0,
						l1 = 0,
						aa = 0,
						bb = 0;

			fill_values(values_a, dim, -128, 127, fill / N_FILLS, &r);
			fill_values(values_b, dim, -128, 127, fill % N_FILLS, &r);
			for (size_t i = 0; i < dim; i++)
			{
				int64_t		x = values_a[i];
				int64_t		y = values_b[i];

				a[i] = (int8_t) x;
				b[i] = (int8_t) y;
				l2sq += (x - y) * (x - y);
				ip += x * y;
				l1 += x < y ? y - x : x - y;
				aa += x * x;
				bb += y * y;
			}
			FOR_TABLES(t)
			{
				int32_t		sums[3] = {-1, -1, -1};

				CHECK(t->l2sq_i8(a, b, dim) == l2sq);
				CHECK(t->ip_i8(a, b, dim) == ip);
				CHECK(t->l1_i8(a, b, dim) == l1);
				t->cosine_i8(a, b, dim, &sums[0], &sums[1], &sums[2]);
				CHECK(sums[0] == ip && sums[1] == aa && sums[2] == bb);
			}
		}
	}
}

/* Whether bit i of a bit string is set. */
static int
bit(const uint8_t *bits, size_t i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

static void
random_bytes(uint8_t *p, size_t bytes, Fill fill, CheckRandom *r)
{
	for (size_t i = 0; i < bytes; i++)
	{
		uint8_t		any = (uint8_t) (CheckRandomBits(r) >> 8);

		p[i] = fill == FILL_RANDOM ? any : fill == FILL_SMALLEST ? 0 :
			fill == FILL_LARGEST ? 255 : (any & 1) * 255;
	}
}

static void
test_hamming_and_jaccard(void)
{
	CheckRandom r = {2};

	FOR_SIZES(bytes, MAX_BYTES)
	{
		uint8_t    *a = guarded(guard_a, bytes, 1);
		uint8_t    *b = guarded(guard_b, bytes, 1);

		for (int fill = 0; fill < N_FILLS * N_FILLS; fill++)
		{
			uint64_t	differ = 0,
						both = 0,
						either = 0;

			random_bytes(a, bytes, fill / N_FILLS, &r);
			random_bytes(b, bytes, fill % N_FILLS, &r);
			for (size_t i = 0; i < 8 * bytes; i++)
			{
				differ += bit(a, i) != bit(b, i);
				both += bit(a, i) && bit(b, i);
				either += bit(a, i) || bit(b, i);
			}
			FOR_TABLES(t)
			{
				uint64_t	sums[2] = {77, 77};

				CHECK(t->hamming(a, b, bytes) == differ);
				t->jaccard(a, b, bytes, &sums[0], &sums[1]);
				CHECK(sums[0] == both && sums[1] == either);
			}
		}
	}
}

/* Long strings of ones: no counter of fewer bits runs over. */
static void
test_many_bits(void)
{
	const size_t bytes = (size_t) N_ROWS * MAX_DIM * sizeof(float);
	uint8_t    *a = guarded(guard_rows, bytes, 1);
	uint8_t    *zero = calloc(bytes, 1);
	uint32_t	count;

	memset(a, 255, bytes);
	FOR_TABLES(t)
	{
		uint64_t	both,
					either;

		CHECK(t->hamming(a, zero, bytes) == 8 * bytes);
		t->jaccard(a, a, bytes, &both, &either);
		CHECK(both == 8 * bytes && either == 8 * bytes);
		t->hamming_rows(a, zero, bytes, NULL, 1, bytes, &count);
		CHECK(count == 8 * bytes);
		t->and_rows(a, a, bytes, NULL, 1, bytes, &count);
		CHECK(count == 8 * bytes);
	}
	free(zero);
}

/*
 * Go through the row orders and numbers of rows of a *_rows kernel: `call` with
 * rows, n and out, for every table t, and each out[i] checked by `check` with the
 * row's place.
 */
#define CHECK_ROWS(type, base, stride, call, check) \
	for (int order = 0; order < N_ROW_ORDERS; order++) \
	{ \
		for (size_t n = 0; n <= N_ROWS; n += 1 + n / 4) \
		{ \
			uint32_t   *numbers = guarded(guard_b, n, sizeof(uint32_t)); \
			const uint32_t *rows = choose_rows(numbers, order, n, N_ROWS, &r); \
			type	   *out = guarded(guard_out, n, sizeof(type)); \
			FOR_TABLES(t) \
			{ \
				memset(out, 0x55, n * sizeof(type)); \
				call; \
				for (size_t i = 0; i < n; i++) \
				{ \
					size_t		number = rows != NULL ? rows[i] : i; \
					check; \
				} \
			} \
		} \
	}

static void
test_bit_rows(void)
{
	CheckRandom r = {3};

	FOR_SIZES(bytes, MAX_BYTES)
	{
		size_t		stride = bytes + bytes % 5;
		size_t		total = (N_ROWS - 1) * stride + bytes;
		uint8_t    *q = guarded(guard_a, bytes, 1);
		uint8_t    *base = guarded(guard_rows, total, 1);
		uint32_t	differ[N_ROWS] = {0};
		uint32_t	both[N_ROWS] = {0};

		random_bytes(q, bytes, FILL_RANDOM, &r);
		random_bytes(base, total, FILL_RANDOM, &r);
		for (size_t row = 0; row < N_ROWS; row++)
		{
			for (size_t i = 0; i < 8 * bytes; i++)
			{
				differ[row] += bit(q, i) != bit(base + row * stride, i);
				both[row] += bit(q, i) && bit(base + row * stride, i);
			}
		}
		CHECK_ROWS(uint32_t, base, stride, t->hamming_rows(q, base, stride, rows, n, bytes, out),
				   CHECK(out[i] == differ[number]));
		CHECK_ROWS(uint32_t, base, stride, t->and_rows(q, base, stride, rows, n, bytes, out),
				   CHECK(out[i] == both[number]));
	}
}

/* Put value k of a block of 64 4-bit codes where the header says. */
static void
put_sq4(uint8_t *block, size_t k, int value)
{
	block[k % 32] |= value << (k / 32 * 4);
}

/* The same of 6-bit codes. */
static void
put_sq6(uint8_t *block, size_t k, int value)
{
	block[k % 32] |= (value & 15) << (k / 32 * 4);
	block[32 + k % 16] |= (value >> 4) << (k / 16 * 2);
}

static void
test_narrow_codes(void)
{
	CheckRandom r = {4};

	for (size_t len = 0; len <= MAX_DIM; len = len < 1024 ? len + 64 : len * 2)
	{
		for (int six = 0; six < 2; six++)
		{
			size_t		block_bytes = six ? 48 : 32;
			size_t		bytes = len / 64 * block_bytes;
			size_t		stride = bytes + len / 64 % 3 * 7;
			size_t		total = (N_ROWS - 1) * stride + bytes;
			uint8_t    *base = guarded(guard_rows, total, 1);
			int8_t	   *q = guarded(guard_a, len, 1);

			for (int fill = 0; fill < N_FILLS; fill++)
			{
				int64_t		exact[N_ROWS] = {0};

				fill_values(values_a, len, -128, 127, fill, &r);
				for (size_t i = 0; i < len; i++)
					q[i] = (int8_t) values_a[i];
				memset(base, 0, total);
				for (size_t row = 0; row < N_ROWS; row++)
				{
					/* the last rows hold the largest codes */
					fill_values(values_b, len, 0, six ? 63 : 15,
								row < 7 ? FILL_RANDOM : row < 9 ? FILL_MIXED : FILL_LARGEST, &r);
					for (size_t i = 0; i < len; i++)
					{
						uint8_t    *block = base + row * stride + i / 64 * block_bytes;

						(six ? put_sq6 : put_sq4)(block, i % 64, values_b[i]);
						exact[row] += (int64_t) values_a[i] * values_b[i];
					}
				}
				CHECK_ROWS(int32_t, base, stride,
						   (six ? t->sq6_dot_rows : t->sq4_dot_rows)(q, base, stride, rows, n,
																	   len, out),
						   CHECK(out[i] == exact[number]));
			}
		}
	}
}

static void
test_pq8_rows(void)
{
	static float lut[300 * 256];
	CheckRandom r = {5};

	for (size_t i = 0; i < sizeof(lut) / sizeof(lut[0]); i++)
		lut[i] = random_float(&r, KIND_UNIFORM, 1);
	for (size_t m = 0; m <= 300; m = m < 70 ? m + 1 : m + 23)
	{
		size_t		stride = m + m % 4;
		size_t		total = (N_ROWS - 1) * stride + m;
		uint8_t    *base = guarded(guard_rows, total, 1);
		double		exact[N_ROWS] = {0};
		double		magnitude[N_ROWS] = {0};

		random_bytes(base, total, FILL_RANDOM, &r);
		for (size_t row = 0; row < N_ROWS; row++)
		{
			for (size_t j = 0; j < m; j++)
			{
				double		x = lut[j * 256 + base[row * stride + j]];

				exact[row] += x;
				magnitude[row] += fabs(x);
			}
		}
		CHECK_ROWS(float, base, stride, t->pq8_rows(lut, base, stride, rows, n, m, out),
				   CHECK_NEAR(out[i], exact[number], m * UNIT_ROUNDOFF * magnitude[number]));

		/* the same bits alone and among others */
		FOR_TABLES(t)
		{
			float		together[N_ROWS];
			float		alone;

			t->pq8_rows(lut, base, stride, NULL, N_ROWS, m, together);
			for (uint32_t row = 0; row < N_ROWS; row++)
			{
				t->pq8_rows(lut, base, stride, &row, 1, m, &alone);
				CHECK(alone == together[row]);
			}
		}
	}
}

static void
test_pq4_scan(void)
{
	static const size_t ms[] = {0, 2, 4, 6, 8, 16, 30, 32, 48, 62, 64, 66, 96, 126, 128, 130,
		192, 254, 256, 258, 300, 384, 512, 514, 766, 1000};
	CheckRandom r = {6};

	for (size_t k = 0; k < sizeof(ms) / sizeof(ms[0]); k++)
	{
		size_t		m = ms[k];
		uint8_t    *lut = guarded(guard_a, 16 * m, 1);

		for (size_t nblocks = 0; nblocks <= 9; nblocks++)
		{
			uint8_t    *blocks = guarded(guard_rows, nblocks * 16 * m, 1);
			uint16_t   *out = guarded(guard_out, 32 * nblocks, sizeof(uint16_t));
			Fill		fill = nblocks % N_FILLS;

			/* a sum over 255 everywhere is the largest that fits, with m = 256 */
			random_bytes(lut, 16 * m, fill == FILL_SMALLEST ? FILL_RANDOM : fill, &r);
			random_bytes(blocks, nblocks * 16 * m, FILL_RANDOM, &r);
			FOR_TABLES(t)
			{
				memset(out, 0x55, 32 * nblocks * sizeof(uint16_t));
				t->pq4_scan(lut, blocks, nblocks, m, out);
				for (size_t row = 0; row < 32 * nblocks; row++)
				{
					const uint8_t *block = blocks + row / 32 * 16 * m;
					uint32_t	sum = 0;

					for (size_t j = 0; j < m; j++)
					{
						uint8_t		pair = block[j / 2 * 32 + row % 32];

						sum += lut[16 * j + (j % 2 ? pair >> 4 : pair & 15)];
					}
					CHECK(out[row] == (sum > 65535 ? 65535 : sum));
				}
			}
		}
	}
}

/* Random bits, those past the dim-th clear. */
static void
random_bits(uint8_t *code, size_t dim, CheckRandom *r)
{
	random_bytes(code, (dim + 7) / 8, FILL_RANDOM, r);
	if (dim % 8)
		code[dim / 8] &= (1 << dim % 8) - 1;
}

static void
test_bits_ip_rows(void)
{
	CheckRandom r = {7};

	FOR_SIZES(dim, MAX_DIM)
	{
		size_t		bytes = (dim + 7) / 8;
		size_t		stride = bytes + dim % 3;
		size_t		total = (N_ROWS - 1) * stride + bytes;
		float	   *q = guarded(guard_a, dim, sizeof(float));
		uint8_t    *base = guarded(guard_rows, total, 1);
		double		exact[N_ROWS] = {0};
		double		eps[N_ROWS] = {0};

		memset(base, 0, total);
		for (size_t i = 0; i < dim; i++)
			q[i] = random_float(&r, KIND_UNIFORM, dim);
		for (size_t row = 0; row < N_ROWS; row++)
		{
			uint8_t    *code = base + row * stride;

			random_bits(code, dim, &r);
			for (size_t i = 0; i < dim; i++)
			{
				exact[row] += bit(code, i) ? q[i] : 0;
				eps[row] += bit(code, i) ? fabsf(q[i]) : 0;
			}
			eps[row] *= (dim / 4.0 + 8) * UNIT_ROUNDOFF;
		}
		CHECK_ROWS(float, base, stride, t->bits_ip_rows(q, base, stride, rows, n, dim, out),
				   CHECK_NEAR(out[i], exact[number], eps[number]));

		/* the same bits alone and among others */
		FOR_TABLES(t)
		{
			float		together[N_ROWS];
			float		alone;

			t->bits_ip_rows(q, base, stride, NULL, N_ROWS, dim, together);
			for (uint32_t row = 0; row < N_ROWS; row++)
			{
				t->bits_ip_rows(q, base, stride, &row, 1, dim, &alone);
				CHECK(alone == together[row]);
			}
		}

		/* one element alone is seen exactly, and an infinity only where its bit is set */
		for (size_t i = 0; i < dim; i += 1 + dim / 50)
		{
			float		before = q[i];

			q[i] = INFINITY;
			memset(base, 0, bytes);
			FOR_TABLES(t)
			{
				float		sum = NAN;

				base[i / 8] = 0;
				t->bits_ip_rows(q, base, stride, NULL, 1, dim, &sum);
				CHECK(sum == 0);
				base[i / 8] = 1 << i % 8;
				t->bits_ip_rows(q, base, stride, NULL, 1, dim, &sum);
				CHECK(sum == INFINITY);
			}
			q[i] = before;
		}
	}
}

static void
test_bits_planes_rows(void)
{
	CheckRandom r = {8};

	FOR_SIZES(bytes, 4096)
	{
		size_t		stride = bytes + bytes % 3;
		size_t		total = (N_ROWS - 1) * stride + bytes;
		size_t		plane_stride = bytes + bytes % 2;
		uint8_t    *base = guarded(guard_rows, total, 1);

		for (size_t nplanes = 0; nplanes <= 12; nplanes += bytes < 140 ? 1 : 4)
		{
			size_t		plane_bytes = nplanes == 0 ? 0 : (nplanes - 1) * plane_stride + bytes;
			uint8_t    *planes = guarded(guard_a, plane_bytes, 1);
			uint32_t	exact[N_ROWS] = {0};
			/* only ones where the sums are the largest */
			Fill		fill = bytes % 2 ? FILL_RANDOM : FILL_LARGEST;

			random_bytes(planes, plane_bytes, fill, &r);
			random_bytes(base, total, fill, &r);
			for (size_t row = 0; row < N_ROWS; row++)
			{
				for (size_t i = 0; i < 8 * bytes; i++)
				{
					/* the value that the planes have at place i */
					uint32_t	value = 0;

					for (size_t p = 0; p < nplanes; p++)
						value += (uint32_t) bit(planes + p * plane_stride, i) << p;
					exact[row] += bit(base + row * stride, i) ? value : 0;
				}
			}
			CHECK_ROWS(uint32_t, base, stride,
					   t->bits_planes_rows(planes, nplanes, plane_stride, base, stride, rows, n,
										   bytes, out),
					   CHECK(out[i] == exact[number]));
		}
	}
}

/* One kernel of ranges, with values near the bounds and at the ends of the type. */
#define TEST_RANGE(name, kernel, type, max) \
	static void \
	name(void) \
	{ \
		CheckRandom r = {9}; \
		FOR_SIZES(n, 4097) \
		{ \
			type	   *v = guarded(guard_a, n, sizeof(type)); \
			uint64_t   *mask = guarded(guard_out, (n + 63) / 64, sizeof(uint64_t)); \
			for (int round = 0; round < 8; round++) \
			{ \
				type		any = (type) CheckRandomBits(&r); \
				type		other = (type) CheckRandomBits(&r); \
				/* also: all, none (lo > hi), one value, the ends */ \
				type		lo = round < 3 ? (any < other ? any : other) : round == 3 ? 0 : \
					round == 4 ? (max) : round == 5 ? (any < other ? other : any) : \
					round == 6 ? any : 1; \
				type		hi = round < 3 ? (any < other ? other : any) : round == 3 ? (max) : \
					round == 4 ? 0 : round == 5 ? (any < other ? any : other) : \
					round == 6 ? any : (max) - 1; \
				for (size_t i = 0; i < n; i++) \
				{ \
					type		near[8] = {lo, hi, (type) (lo - 1), (type) (lo + 1), \
						(type) (hi - 1), (type) (hi + 1), 0, (max)}; \
					uint64_t	bits = CheckRandomBits(&r) >> 8; \
					v[i] = bits & 8 ? near[bits & 7] : (type) (bits >> 8); \
				} \
				FOR_TABLES(t) \
				{ \
					memset(mask, 0x55, (n + 63) / 64 * sizeof(uint64_t)); \
					t->kernel(v, n, lo, hi, mask); \
					for (size_t i = 0; i < (n + 63) / 64 * 64; i++) \
					{ \
						bool		inside = i < n && v[i] >= lo && v[i] <= hi; \
						CHECK((mask[i / 64] >> (i % 64) & 1) == inside); \
					} \
				} \
			} \
		} \
	}

TEST_RANGE(test_range_u8, range_u8, uint8_t, UINT8_MAX)
TEST_RANGE(test_range_u16, range_u16, uint16_t, UINT16_MAX)
TEST_RANGE(test_range_u32, range_u32, uint32_t, UINT32_MAX)

int
main(void)
{
	reserve_guarded();

	RUN(test_int8_sums);
	RUN(test_hamming_and_jaccard);
	RUN(test_many_bits);
	RUN(test_bit_rows);
	RUN(test_narrow_codes);
	RUN(test_pq8_rows);
	RUN(test_pq4_scan);
	RUN(test_bits_ip_rows);
	RUN(test_bits_planes_rows);
	RUN(test_range_u8);
	RUN(test_range_u16);
	RUN(test_range_u32);
	return CheckDone();
}
