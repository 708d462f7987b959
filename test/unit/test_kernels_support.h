/*
 * test_kernels_support.h
 *		What the tests of the kernels share: guarded arrays, the tables and sizes to go
 *		through, numbers to fill vectors with, sums in double with their error bounds.
 *
 * Arrays end at a page that cannot be touched, so that a kernel which reads or
 * writes one element too many crashes in every build.
 */
#ifndef MILVUS_TEST_KERNELS_SUPPORT_H
#define MILVUS_TEST_KERNELS_SUPPORT_H

#include "check.h"

#include "kernels/kernels.h"

#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_DIM 32768
#define UNIT_ROUNDOFF 0x1p-24		/* of float32 */
#define SMALLEST 0x1p-149			/* what an underflow can lose */

/* Memory that ends at a page without access. */
typedef struct Guarded
{
	char	   *end;
} Guarded;

static Guarded guard_a,
			guard_b,
			guard_out,
			guard_rows;

/* Reserve `bytes` rounded up to pages, and the page that follows. */
static inline Guarded
guarded_reserve(size_t bytes)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	size_t		size = (bytes + page - 1) / page * page;
	char	   *base = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
							MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED || mprotect(base + size, page, PROT_NONE) != 0)
	{
		perror("guarded_reserve");
		exit(1);
	}
	return (Guarded) {base + size};
}

/* The last n elements of `size` bytes before the guard page. */
static inline void *
guarded(Guarded g, size_t n, size_t size)
{
	return g.end - n * size;
}

/* The table after `table` (NULL: the first) that this CPU runs; NULL past the end. */
static inline const VectorKernels *
next_table(const VectorKernels *table)
{
	bool		seen = table == NULL;
	const VectorKernels *t;

	for (int i = 0; (t = KernelsTable(i)) != NULL; i++)
	{
		if (seen && KernelsUsable(t))
			return t;
		seen = seen || t == table;
	}
	return NULL;
}

#define FOR_TABLES(t) \
	for (const VectorKernels *t = next_table(NULL); t != NULL; t = next_table(t))

/* The dims of the tests, ascending; 0 after the last one. */
static inline size_t
next_dim(size_t dim)
{
	static const size_t large[] = {255, 256, 257, 384, 1000, 1536, MAX_DIM, 0};

	if (dim < 130)
		return dim + 1;
	for (int i = 0;; i++)
	{
		if (large[i] > dim || large[i] == 0)
			return large[i];
	}
}

#define FOR_DIMS(dim) for (size_t dim = 1; dim != 0; dim = next_dim(dim))

static inline uint32_t
float_bits(float f)
{
	uint32_t	bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static inline float
bits_float(uint32_t bits)
{
	float		f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Same number; any NaN is the same as any other. */
static inline bool
same_float(float a, float b)
{
	return float_bits(a) == float_bits(b) || (isnan(a) && isnan(b));
}

/* The value of a float16, from its definition. */
static inline double
half_value(uint16_t h)
{
	int			exponent = (h >> 10) & 0x1f;
	double		fraction = h & 0x3ff;
	double		value;

	if (exponent == 31)
		value = fraction == 0 ? INFINITY : NAN;
	else if (exponent == 0)
		value = ldexp(fraction, -24);
	else
		value = ldexp(1024 + fraction, exponent - 25);
	return h & 0x8000 ? -value : value;
}

/* The row numbers of a *_rows kernel's test. */
typedef enum RowOrder
{
	ROWS_IN_ORDER,				/* no numbers */
	ROWS_REVERSED,
	ROWS_THE_LAST,				/* n times */
	ROWS_RANDOM,
	N_ROW_ORDERS
} RowOrder;

/* Numbers of n out of total rows into rows; NULL for ROWS_IN_ORDER. */
static inline const uint32_t *
choose_rows(uint32_t *rows, RowOrder order, size_t n, size_t total, CheckRandom *r)
{
	for (size_t i = 0; i < n; i++)
		rows[i] = order == ROWS_REVERSED ? (uint32_t) (total - 1 - i) :
			order == ROWS_THE_LAST ? (uint32_t) total - 1 : (uint32_t) (CheckRandomBits(r) % total);
	return order == ROWS_IN_ORDER ? NULL : rows;
}

/* What vectors are filled with. */
typedef enum Kind
{
	KIND_UNIFORM,				/* -1..1 */
	KIND_RANGE,					/* magnitudes over the middle of the exponents */
	KIND_SUBNORMAL,
	KIND_ZERO,					/* zeros of both signs */
	KIND_HUGE,					/* large, with products that just do not overflow */
	N_KINDS
} Kind;

static inline float
random_float(CheckRandom *r, Kind kind, size_t dim)
{
	double		x = CheckRandomDouble(r, -1, 1);

	switch (kind)
	{
		case KIND_UNIFORM:
			return (float) x;
		case KIND_RANGE:
			return (float) (x * pow(10, CheckRandomDouble(r, -15, 15)));
		case KIND_SUBNORMAL:
			return (float) (x * FLT_MIN);
		case KIND_ZERO:
			return x < 0 ? -0.0f : 0.0f;
		case KIND_HUGE:
			return (float) (x * sqrt(FLT_MAX / dim) / 2.1);
		default:
			abort();
	}
}

static inline uint16_t
random_half(CheckRandom *r, Kind kind)
{
	uint16_t	bits = (uint16_t) CheckRandomBits(r);
	uint16_t	sign = bits & 0x8000;

	switch (kind)
	{
		case KIND_UNIFORM:		/* exponents -4..-1 */
			return sign | ((11 + (bits >> 10) % 4) << 10) | (bits & 0x3ff);
		case KIND_RANGE:		/* any finite */
			return sign | (((bits >> 10) % 31) << 10) | (bits & 0x3ff);
		case KIND_SUBNORMAL:
			return sign | (bits & 0x3ff);
		case KIND_ZERO:
			return sign;
		case KIND_HUGE:
			return sign | (30 << 10) | (bits & 0x3ff);
		default:
			abort();
	}
}

/* The value of a bfloat16, from its definition. */
static inline double
brain_value(uint16_t b)
{
	int			exponent = (b >> 7) & 0xff;
	double		fraction = b & 0x7f;
	double		value;

	if (exponent == 255)
		value = fraction == 0 ? INFINITY : NAN;
	else if (exponent == 0)
		value = ldexp(fraction, -133);
	else
		value = ldexp(128 + fraction, exponent - 134);
	return b & 0x8000 ? -value : value;
}

/* A bfloat16 of a kind: a float32 of it, cut. */
static inline uint16_t
random_brain(CheckRandom *r, Kind kind, size_t dim)
{
	return (uint16_t) (float_bits(random_float(r, kind, dim)) >> 16);
}

/* Sums in double with the error bounds of float32 sums in any order of lanes. */
typedef struct Exact
{
	double		l2sq,
				ip,
				l1,
				aa,
				bb;
	double		l2sq_eps,
				ip_eps,
				l1_eps,
				aa_eps,
				bb_eps;
} Exact;

/*
 * The sums of two vectors given as doubles.  A sum in four or more lanes makes at
 * most dim / 4 + 8 roundings on the way of a term, each at most a unit roundoff of
 * the sum of magnitudes (Higham, Accuracy and Stability, section 4.2).
 */
static inline Exact
exact_sums(const double *a, const double *b, size_t dim)
{
	Exact		e = {0};
	double		factor = (dim / 4.0 + 8) * UNIT_ROUNDOFF;

	for (size_t i = 0; i < dim; i++)
	{
		e.l2sq += (a[i] - b[i]) * (a[i] - b[i]);
		e.ip += a[i] * b[i];
		e.l1 += fabs(a[i] - b[i]);
		e.aa += a[i] * a[i];
		e.bb += b[i] * b[i];
		e.ip_eps += fabs(a[i] * b[i]);
	}
	e.ip_eps = e.ip_eps * factor + dim * SMALLEST;
	e.l2sq_eps = e.l2sq * factor + dim * SMALLEST;
	e.l1_eps = e.l1 * factor + dim * SMALLEST;
	e.aa_eps = e.aa * factor + dim * SMALLEST;
	e.bb_eps = e.bb * factor + dim * SMALLEST;
	return e;
}

/* Reserve the arrays of a test program. */
static inline void
reserve_guarded(void)
{
	guard_a = guarded_reserve(MAX_DIM * sizeof(float));
	guard_b = guarded_reserve(MAX_DIM * sizeof(float));
	guard_out = guarded_reserve(MAX_DIM * sizeof(float));
	guard_rows = guarded_reserve((size_t) 11 * (MAX_DIM + 4) * sizeof(float));
}

#endif							/* MILVUS_TEST_KERNELS_SUPPORT_H */
