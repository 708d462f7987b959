/*
 * kernels.c
 *		Speed of the distance kernels and of the matrix product, one core.
 *
 * Prints a table in Markdown for each dim: nanoseconds a row for every table of
 * kernels that this CPU runs.  Rows are read from the caches nearest to the core
 * (256 KiB of them) except where a line says "memory": those are random rows of
 * 256 MiB.  A figure is the best of many short rounds, in which the tables take
 * turns: what another program takes from the core only ever adds.
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
	{"sq8_dot, memory", sq8_dot_far},
	{"sq8_dot_seq, memory", sq8_dot_seq_far},
	{"sq8_dot_gather, memory", sq8_dot_gather_far},
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
measure(Work work, const VectorKernels *t, Bench *b)
{
	bool		far = work == sq8_dot_far || work == sq8_dot_seq_far || work == sq8_dot_gather_far;
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

		for (int round = 0; round < ROUNDS; round++)
		{
			for (int i = 0; i < n_tables; i++)
			{
				double		time = measure(works[w].work, tables[i], b);

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
main(void)
{
	static const size_t dims[] = {128, 384, 1536};
	const VectorKernels *tables[MAX_TABLES];
	const VectorKernels *t;
	int			n_tables = 0;
	Bench		b;

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
	for (size_t i = 0; i < FAR_BYTES; i++)
		b.codes[i] = (uint8_t) (i * 2654435761u >> 13);

	for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
	{
		b.dim = dims[i];
		bench_dim(&b, tables, n_tables);
	}
	bench_gemm();
	return 0;
}
