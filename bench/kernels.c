/*
 * kernels.c
 *		Speed of the distance kernels and of the matrix product, one core.
 *
 *		kernels [WORD ...]		only those whose names contain one of the words
 *
 * Prints a table in Markdown for each dim: nanoseconds a row for every table of
 * kernels that this CPU runs.  Rows are read from the caches nearest to the core
 * (256 KiB of them) except where a line says "memory": those are random rows of
 * 256 MiB.  A figure is the best of many short rounds, in which the tables take
 * turns: what another program takes from the core only ever adds.
 *
 * What a row is: dim elements, codes or bits; for pq8 a code for each 8 elements, for
 * pq4 one for each 2; of a range kernel, dim values.  A kernel that takes rows by number
 * is named so where it is given numbers.
 */
#include "kernels/kernels.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NEAR_BYTES ((size_t) 256 * 1024)
#define FAR_BYTES ((size_t) 256 * 1024 * 1024)
#define ROUNDS 25
#define ROUND_NS 0.5e6
#define MAX_TABLES 8
#define GATHERED 4096			/* rows of one gather from memory */
#define LINKS 32				/* rows of one call, as the links of a graph's node */

/* What a measurement works on. */
typedef struct Bench
{
	size_t		dim;
	size_t		rows;			/* in the near arrays */
	size_t		far_rows;
	float	   *q;
	float	   *f32;
	uint16_t   *qh;
	uint16_t   *f16;
	uint16_t   *qb;
	uint16_t   *bf16;
	float	   *lut;			/* 256 for each 8 elements */
	int8_t	   *qc;
	uint8_t    *codes;			/* FAR_BYTES */
	uint32_t   *near_order;		/* LINKS row numbers below rows */
	uint32_t   *far_order;		/* GATHERED row numbers below far_rows */
	float	   *out;
	int32_t    *out_int;
} Bench;

/* Keeps results alive. */
static volatile float sink;

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* Each returns the number of rows it has handled. */
typedef size_t (*Work) (const VectorKernels *t, const Bench *b);

#define SIGNED(at) ((const int8_t *) b->codes + (at))

#define EACH_ROW(name, call) \
	static size_t \
	name(const VectorKernels *t, const Bench *b) \
	{ \
		float		sum = 0; \
		for (size_t i = 0; i < b->rows; i++) \
			sum += call; \
		sink = sum; \
		return b->rows; \
	}

EACH_ROW(l2sq_f32, t->l2sq_f32(b->q, b->f32 + i * b->dim, b->dim))
EACH_ROW(ip_f32, t->ip_f32(b->q, b->f32 + i * b->dim, b->dim))
EACH_ROW(l1_f32, t->l1_f32(b->q, b->f32 + i * b->dim, b->dim))
EACH_ROW(l2sq_f16, t->l2sq_f16(b->qh, b->f16 + i * b->dim, b->dim))
EACH_ROW(ip_f16, t->ip_f16(b->qh, b->f16 + i * b->dim, b->dim))
EACH_ROW(l1_f16, t->l1_f16(b->qh, b->f16 + i * b->dim, b->dim))
EACH_ROW(l2sq_bf16, t->l2sq_bf16(b->qb, b->bf16 + i * b->dim, b->dim))
EACH_ROW(ip_bf16, t->ip_bf16(b->qb, b->bf16 + i * b->dim, b->dim))
EACH_ROW(l1_bf16, t->l1_bf16(b->qb, b->bf16 + i * b->dim, b->dim))
EACH_ROW(l2sq_i8, (float) t->l2sq_i8(b->qc, SIGNED(i * b->dim), b->dim))
EACH_ROW(ip_i8, (float) t->ip_i8(b->qc, SIGNED(i * b->dim), b->dim))
EACH_ROW(l1_i8, (float) t->l1_i8(b->qc, SIGNED(i * b->dim), b->dim))
EACH_ROW(hamming, (float) t->hamming((uint8_t *) b->qc, b->codes + i * b->dim / 8, b->dim / 8))
EACH_ROW(sq8_dot, (float) t->sq8_dot(b->codes + i * b->dim, b->qc, b->dim))
EACH_ROW(sq8_dot_codes, (float) t->sq8_dot_codes(b->codes + i * b->dim, b->codes, b->dim))

static size_t
cosine_f32(const VectorKernels *t, const Bench *b)
{
	float		ab,
				aa,
				bb,
				sum = 0;

	for (size_t i = 0; i < b->rows; i++)
	{
		t->cosine_f32(b->q, b->f32 + i * b->dim, b->dim, &ab, &aa, &bb);
		sum += ab + aa + bb;
	}
	sink = sum;
	return b->rows;
}

static size_t
cosine_f16(const VectorKernels *t, const Bench *b)
{
	float		ab,
				aa,
				bb,
				sum = 0;

	for (size_t i = 0; i < b->rows; i++)
	{
		t->cosine_f16(b->qh, b->f16 + i * b->dim, b->dim, &ab, &aa, &bb);
		sum += ab + aa + bb;
	}
	sink = sum;
	return b->rows;
}

static size_t
cosine_bf16(const VectorKernels *t, const Bench *b)
{
	float		ab,
				aa,
				bb,
				sum = 0;

	for (size_t i = 0; i < b->rows; i++)
	{
		t->cosine_bf16(b->qb, b->bf16 + i * b->dim, b->dim, &ab, &aa, &bb);
		sum += ab + aa + bb;
	}
	sink = sum;
	return b->rows;
}

static size_t
cosine_i8(const VectorKernels *t, const Bench *b)
{
	int32_t		ab,
				aa,
				bb,
				sum = 0;

	for (size_t i = 0; i < b->rows; i++)
	{
		t->cosine_i8(b->qc, SIGNED(i * b->dim), b->dim, &ab, &aa, &bb);
		sum += ab ^ aa ^ bb;
	}
	sink = (float) sum;
	return b->rows;
}

static size_t
jaccard(const VectorKernels *t, const Bench *b)
{
	uint64_t	both,
				either,
				sum = 0;

	for (size_t i = 0; i < b->rows; i++)
	{
		t->jaccard((uint8_t *) b->qc, b->codes + i * b->dim / 8, b->dim / 8, &both, &either);
		sum += both + either;
	}
	sink = (float) sum;
	return b->rows;
}

/*
 * A kernel of rows of so many bytes, in three ways: the near rows in order, LINKS of them
 * by number, and far rows, dim bytes apart, by number in calls of LINKS.
 */
#define MANY_ROWS(name, seq, gather, far, row_bytes, ...) \
	static size_t \
	name##_call(const VectorKernels *t, const Bench *b, const uint32_t *rows, size_t n, \
				size_t stride) \
	{ \
		void	   *out = b->out; \
		__VA_ARGS__; \
		sink = b->out[0]; \
		return n; \
	} \
	static size_t \
	seq(const VectorKernels *t, const Bench *b) \
	{ \
		return name##_call(t, b, NULL, b->rows, row_bytes); \
	} \
	static size_t \
	gather(const VectorKernels *t, const Bench *b) \
	{ \
		return name##_call(t, b, b->near_order, LINKS, row_bytes); \
	} \
	static size_t \
	far(const VectorKernels *t, const Bench *b) \
	{ \
		for (size_t i = 0; i < GATHERED; i += LINKS) \
			name##_call(t, b, b->far_order + i, LINKS, b->dim); \
		return GATHERED; \
	}

MANY_ROWS(hamming_rows, hamming_seq, hamming_gather, hamming_far, b->dim / 8,
		  t->hamming_rows((uint8_t *) b->qc, b->codes, stride, rows, n, b->dim / 8, out))
MANY_ROWS(bits_ip_rows, bits_ip_seq, bits_ip_gather, bits_ip_far, b->dim / 8,
		  t->bits_ip_rows(b->q, b->codes, stride, rows, n, b->dim, out))
MANY_ROWS(planes_rows, planes_seq, planes_gather, planes_far, b->dim / 8,
		  t->bits_planes_rows((uint8_t *) b->f32, 4, b->dim / 8, b->codes, stride, rows, n,
							  b->dim / 8, out))
MANY_ROWS(sq4_rows, sq4_seq, sq4_gather, sq4_far, b->dim / 2,
		  t->sq4_dot_rows(b->qc, b->codes, stride, rows, n, b->dim, out))
MANY_ROWS(sq6_rows, sq6_seq, sq6_gather, sq6_far, b->dim / 4 * 3,
		  t->sq6_dot_rows(b->qc, b->codes, stride, rows, n, b->dim, out))
MANY_ROWS(pq8_rows, pq8_seq, pq8_gather, pq8_far, b->dim / 8,
		  t->pq8_rows(b->lut, b->codes, stride, rows, n, b->dim / 8, out))

static size_t
ip_f32_f16_rows(const VectorKernels *t, const Bench *b)
{
	t->ip_f32_f16_rows(b->q, b->f16, b->dim, b->near_order, LINKS, b->dim, b->out);
	sink = b->out[0];
	return LINKS;
}

static size_t
ip_f32_bf16_rows(const VectorKernels *t, const Bench *b)
{
	t->ip_f32_bf16_rows(b->q, b->bf16, b->dim, b->near_order, LINKS, b->dim, b->out);
	sink = b->out[0];
	return LINKS;
}

static size_t
pq4_scan(const VectorKernels *t, const Bench *b)
{
	size_t		nblocks = b->rows / 32 + 1;

	t->pq4_scan((uint8_t *) b->f32, b->codes, nblocks, b->dim / 2, (uint16_t *) b->out);
	sink = b->out[0];
	return nblocks * 32;
}

static size_t
range_u8(const VectorKernels *t, const Bench *b)
{
	t->range_u8(b->codes, b->rows * b->dim, 50, 99, (uint64_t *) b->out);
	sink = b->out[0];
	return b->rows;
}

static size_t
range_u16(const VectorKernels *t, const Bench *b)
{
	t->range_u16((uint16_t *) b->codes, b->rows * b->dim, 5000, 9999, (uint64_t *) b->out);
	sink = b->out[0];
	return b->rows;
}

static size_t
range_u32(const VectorKernels *t, const Bench *b)
{
	t->range_u32((uint32_t *) b->codes, b->rows * b->dim, 5000000, 99999999,
				 (uint64_t *) b->out);
	sink = b->out[0];
	return b->rows;
}

static size_t
range_u64(const VectorKernels *t, const Bench *b)
{
	t->range_u64((uint64_t *) b->codes, b->rows * b->dim, 5000000, UINT64_C(1) << 62,
				 (uint64_t *) b->out);
	return b->rows;
}

static size_t
range_f32(const VectorKernels *t, const Bench *b)
{
	t->range_f32(b->f32, b->rows * b->dim, -0.5f, 0.5f, true, (uint64_t *) b->out);
	return b->rows;
}

static size_t
range_f64(const VectorKernels *t, const Bench *b)
{
	t->range_f64((double *) b->codes, b->rows * b->dim, -0.5, 0.5, true, (uint64_t *) b->out);
	return b->rows;
}

/* Four values. */
static size_t
in_u32(const VectorKernels *t, const Bench *b)
{
	static const uint32_t set[] = {1, 20, 300, 4000};

	t->in_u32((uint32_t *) b->codes, b->rows * b->dim, set, 4, (uint64_t *) b->out);
	return b->rows;
}

/* Numbers of the bits set in random words, half of them, a bit an element of dim. */
static size_t
bits_rows(const VectorKernels *t, const Bench *b)
{
	for (size_t i = 0; i < b->rows; i++)
		sink = (float) t->bits_rows((uint64_t *) b->codes + i * (b->dim / 64), b->dim / 64, 0,
									(uint32_t *) b->out_int);
	return b->rows;
}

static size_t
f32_to_bf16(const VectorKernels *t, const Bench *b)
{
	for (size_t i = 0; i < b->rows; i++)
		t->f32_to_bf16(b->f32 + i * b->dim, (uint16_t *) b->out, b->dim);
	sink = b->out[0];
	return b->rows;
}

static size_t
f16_to_f32(const VectorKernels *t, const Bench *b)
{
	for (size_t i = 0; i < b->rows; i++)
		t->f16_to_f32(b->f16 + i * b->dim, b->out, b->dim);
	sink = b->out[0];
	return b->rows;
}

static size_t
f32_to_f16(const VectorKernels *t, const Bench *b)
{
	for (size_t i = 0; i < b->rows; i++)
		t->f32_to_f16(b->f32 + i * b->dim, (uint16_t *) b->out, b->dim);
	sink = b->out[0];
	return b->rows;
}

static size_t
l2sq_f32_many(const VectorKernels *t, const Bench *b)
{
	t->l2sq_f32_many(b->q, b->f32, b->dim, b->rows, b->dim, b->out);
	sink = b->out[0];
	return b->rows;
}

static size_t
ip_f32_many(const VectorKernels *t, const Bench *b)
{
	t->ip_f32_many(b->q, b->f32, b->dim, b->rows, b->dim, b->out);
	sink = b->out[0];
	return b->rows;
}

static size_t
sq8_dot_seq(const VectorKernels *t, const Bench *b)
{
	t->sq8_dot_seq(b->codes, b->dim, b->rows, b->qc, b->dim, b->out_int);
	sink = (float) b->out_int[0];
	return b->rows;
}

static size_t
sq8_dot_gather(const VectorKernels *t, const Bench *b)
{
	t->sq8_dot_gather(b->codes, b->dim, b->near_order, LINKS, b->qc, b->dim, b->out_int);
	sink = (float) b->out_int[0];
	return LINKS;
}

/* In calls of LINKS rows, each of which starts cold. */
static size_t
sq8_dot_gather_far(const VectorKernels *t, const Bench *b)
{
	for (size_t i = 0; i < GATHERED; i += LINKS)
		t->sq8_dot_gather(b->codes, b->dim, b->far_order + i, LINKS, b->qc, b->dim, b->out_int);
	sink = (float) b->out_int[0];
	return GATHERED;
}

/* The same rows one by one, without fetching ahead. */
static size_t
sq8_dot_far(const VectorKernels *t, const Bench *b)
{
	float		sum = 0;

	for (size_t i = 0; i < GATHERED; i++)
		sum += (float) t->sq8_dot(b->codes + b->far_order[i] * b->dim, b->qc, b->dim);
	sink = sum;
	return GATHERED;
}

static size_t
sq8_dot_seq_far(const VectorKernels *t, const Bench *b)
{
	size_t		start = b->far_order[0] % (b->far_rows - GATHERED);

	t->sq8_dot_seq(b->codes + start * b->dim, b->dim, GATHERED, b->qc, b->dim, b->out_int);
	sink = (float) b->out_int[0];
	return GATHERED;
}

static const struct
{
	const char *name;
	Work		work;
	bool		far;			/* reads far rows */
} works[] = {
	{"l2sq_f32", l2sq_f32},
	{"ip_f32", ip_f32},
	{"l1_f32", l1_f32},
	{"cosine_f32", cosine_f32},
	{"l2sq_f16", l2sq_f16},
	{"ip_f16", ip_f16},
	{"l1_f16", l1_f16},
	{"cosine_f16", cosine_f16},
	{"f16_to_f32", f16_to_f32},
	{"f32_to_f16", f32_to_f16},
	{"l2sq_f32_many", l2sq_f32_many},
	{"ip_f32_many", ip_f32_many},
	{"sq8_dot", sq8_dot},
	{"sq8_dot_codes", sq8_dot_codes},
	{"sq8_dot_seq", sq8_dot_seq},
	{"sq8_dot_gather", sq8_dot_gather},
	{"sq8_dot, memory", sq8_dot_far, true},
	{"sq8_dot_seq, memory", sq8_dot_seq_far, true},
	{"sq8_dot_gather, memory", sq8_dot_gather_far, true},
	{"l2sq_bf16", l2sq_bf16},
	{"ip_bf16", ip_bf16},
	{"l1_bf16", l1_bf16},
	{"cosine_bf16", cosine_bf16},
	{"f32_to_bf16", f32_to_bf16},
	{"l2sq_i8", l2sq_i8},
	{"ip_i8", ip_i8},
	{"l1_i8", l1_i8},
	{"cosine_i8", cosine_i8},
	{"hamming", hamming},
	{"jaccard", jaccard},
	{"hamming_rows", hamming_seq},
	{"hamming_rows, by number", hamming_gather},
	{"hamming_rows, memory", hamming_far, true},
	{"ip_f32_f16_rows, by number", ip_f32_f16_rows},
	{"ip_f32_bf16_rows, by number", ip_f32_bf16_rows},
	{"sq4_dot_rows", sq4_seq},
	{"sq4_dot_rows, by number", sq4_gather},
	{"sq4_dot_rows, memory", sq4_far, true},
	{"sq6_dot_rows", sq6_seq},
	{"sq6_dot_rows, by number", sq6_gather},
	{"sq6_dot_rows, memory", sq6_far, true},
	{"pq8_rows", pq8_seq},
	{"pq8_rows, by number", pq8_gather},
	{"pq8_rows, memory", pq8_far, true},
	{"pq4_scan", pq4_scan},
	{"bits_ip_rows", bits_ip_seq},
	{"bits_ip_rows, by number", bits_ip_gather},
	{"bits_ip_rows, memory", bits_ip_far, true},
	{"bits_planes_rows, 4 planes", planes_seq},
	{"bits_planes_rows, by number", planes_gather},
	{"bits_planes_rows, memory", planes_far, true},
	{"range_u8", range_u8},
	{"range_u16", range_u16},
	{"range_u32", range_u32},
	{"range_u64", range_u64},
	{"range_f32", range_f32},
	{"range_f64", range_f64},
	{"in_u32", in_u32},
	{"bits_rows", bits_rows},
};

#define N_WORKS (sizeof(works) / sizeof(works[0]))

/* Uniform in -0.5..0.5. */
static float
random_float(void)
{
	return (float) (rand() % 65536) / 65536 - 0.5f;
}

/* Memory that starts at a page. */
static void *
allocate(size_t bytes)
{
	void	   *p = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	if (p == NULL)
	{
		perror("kernels");
		exit(1);
	}
	return p;
}

/*
 * Nanoseconds a row, of as many calls as fill a round.  The far rows move between
 * calls, or they would soon be near.
 */
static double
measure(Work work, bool far, const VectorKernels *t, Bench *b)
{
	double		spent = 0;
	size_t		rows = 0;

	do
	{
		double		start;

		for (size_t i = 0; far && i < GATHERED; i++)
			b->far_order[i] = (uint32_t) ((b->far_order[i] + 79199) % b->far_rows);
		start = now_ns();
		rows += work(t, b);
		spent += now_ns() - start;
	} while (spent < ROUND_NS);
	return spent / rows;
}

/* The words of the command line; none: everything. */
static char **words;

static bool
wanted(const char *name)
{
	for (char **word = words; *word != NULL; word++)
	{
		if (strstr(name, *word) != NULL)
			return true;
	}
	return *words == NULL;
}

static void
bench_dim(Bench *b, const VectorKernels *const *tables, int n_tables)
{
	b->rows = NEAR_BYTES / (b->dim * sizeof(float));
	b->far_rows = FAR_BYTES / b->dim;
	for (size_t i = 0; i < LINKS; i++)
		b->near_order[i] = (uint32_t) (rand() % b->rows);
	for (size_t i = 0; i < GATHERED; i++)
		b->far_order[i] = (uint32_t) (((size_t) rand() * 32768 + rand()) % b->far_rows);

	printf("\n| ns a row, dim %zu |", b->dim);
	for (int i = 0; i < n_tables; i++)
		printf(" %s |", tables[i]->name);
	printf("\n| --- |");
	for (int i = 0; i < n_tables; i++)
		printf(" ---: |");
	printf("\n");

	for (size_t w = 0; w < N_WORKS; w++)
	{
		double		best[MAX_TABLES];

		if (!wanted(works[w].name))
			continue;
		for (int round = 0; round < ROUNDS; round++)
		{
			for (int i = 0; i < n_tables; i++)
			{
				double		time = measure(works[w].work, works[w].far, tables[i], b);

				best[i] = round == 0 || time < best[i] ? time : best[i];
			}
		}
		printf("| %s |", works[w].name);
		for (int i = 0; i < n_tables; i++)
			printf(" %.1f |", best[i]);
		printf("\n");
		fflush(stdout);
	}
}

/* GFLOP/s of a product of this shape. */
static double
gemm_speed(size_t m, size_t n, size_t k)
{
	float	   *a = allocate(m * k * sizeof(float));
	float	   *b = allocate(n * k * sizeof(float));
	float	   *c = allocate(m * n * sizeof(float));
	double		best = 0;

	for (size_t i = 0; i < m * k; i++)
		a[i] = random_float();
	for (size_t i = 0; i < n * k; i++)
		b[i] = random_float();
	GemmNT(m, n, k, a, k, b, k, c, n);
	for (int round = 0; round < ROUNDS; round++)
	{
		double		start = now_ns();
		double		speed;

		GemmNT(m, n, k, a, k, b, k, c, n);
		speed = 2.0 * m * n * k / (now_ns() - start);
		best = speed > best ? speed : best;
	}
	sink = c[0];
	free(a);
	free(b);
	free(c);
	return best;
}

static void
bench_gemm(void)
{
	static const size_t shapes[][3] = {{1024, 128, 128}, {1024, 1024, 384}, {512, 512, 1536}};

	printf("\n| GFLOP/s of GemmNT |");
	for (size_t i = 0; i < 3; i++)
		printf(" %zu x %zu x %zu |", shapes[i][0], shapes[i][1], shapes[i][2]);
	printf("\n| --- | ---: | ---: | ---: |\n");
	for (int pass = 0; pass < 2; pass++)
	{
		if (pass == 1)
			GemmInit();
		printf("| %s |", GemmName());
		for (size_t i = 0; i < 3; i++)
			printf(" %.0f |", gemm_speed(shapes[i][0], shapes[i][1], shapes[i][2]));
		printf("\n");
	}
}

int
main(int argc, char **argv)
{
	static const size_t dims[] = {128, 384, 1536};
	const VectorKernels *tables[MAX_TABLES];
	const VectorKernels *t;
	int			n_tables = 0;
	Bench		b;

	words = argv + 1;
	KernelsInit();
	for (int i = 0; (t = KernelsTable(i)) != NULL && n_tables < MAX_TABLES; i++)
	{
		if (KernelsUsable(t))
			tables[n_tables++] = t;
	}

	b.q = allocate(1536 * sizeof(float));
	b.qh = allocate(1536 * sizeof(uint16_t));
	b.qc = allocate(1536);
	b.f32 = allocate(NEAR_BYTES);
	b.f16 = allocate(NEAR_BYTES);
	b.qb = allocate(1536 * sizeof(uint16_t));
	b.bf16 = allocate(NEAR_BYTES);
	b.lut = allocate(1536 / 8 * 256 * sizeof(float));
	b.codes = allocate(FAR_BYTES);
	b.near_order = allocate(LINKS * sizeof(uint32_t));
	b.far_order = allocate(GATHERED * sizeof(uint32_t));
	b.out = allocate(NEAR_BYTES);
	b.out_int = allocate(GATHERED * sizeof(int32_t));
	for (size_t i = 0; i < 1536; i++)
	{
		b.q[i] = random_float();
		b.qc[i] = (int8_t) rand();
	}
	for (size_t i = 0; i < NEAR_BYTES / sizeof(float); i++)
		b.f32[i] = random_float();
	kernels->f32_to_f16(b.q, b.qh, 1536);
	kernels->f32_to_f16(b.f32, b.f16, NEAR_BYTES / sizeof(float));
	kernels->f32_to_bf16(b.q, b.qb, 1536);
	kernels->f32_to_bf16(b.f32, b.bf16, NEAR_BYTES / sizeof(float));
	for (size_t i = 0; i < 1536 / 8 * 256; i++)
		b.lut[i] = random_float();
	for (size_t i = 0; i < FAR_BYTES; i++)
		b.codes[i] = (uint8_t) (i * 2654435761u >> 13);

	for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
	{
		b.dim = dims[i];
		bench_dim(&b, tables, n_tables);
	}
	if (wanted("GemmNT"))
		bench_gemm();
	return 0;
}
