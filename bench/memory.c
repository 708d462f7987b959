/*
 * memory.c
 *		Read bandwidth of this machine's memory, one thread.
 *
 *		memory [MEGABYTES [PASSES]]
 *
 * Sums a buffer that is larger than the caches, in the order of its addresses, with the
 * widest loads the CPU has, and prints bytes a second of the median pass.  It is what a scan of
 * a column is measured against (bench/table.py).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MAX_PASSES 99

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t
sum_plain(const uint64_t *p, size_t n)
{
	uint64_t	s[8] = {0};

	for (size_t i = 0; i + 8 <= n; i += 8)
		for (int j = 0; j < 8; j++)
			s[j] += p[i + j];
	return s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t
sum_avx2(const uint64_t *p, size_t n)
{
	__m256i		a = _mm256_setzero_si256(),
				b = a,
				c = a,
				d = a;
	uint64_t	out[4];

	for (size_t i = 0; i + 16 <= n; i += 16)
	{
		a = _mm256_add_epi64(a, _mm256_load_si256((const __m256i *) (p + i)));
		b = _mm256_add_epi64(b, _mm256_load_si256((const __m256i *) (p + i + 4)));
		c = _mm256_add_epi64(c, _mm256_load_si256((const __m256i *) (p + i + 8)));
		d = _mm256_add_epi64(d, _mm256_load_si256((const __m256i *) (p + i + 12)));
	}
	a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
	_mm256_storeu_si256((__m256i *) out, a);
	return out[0] + out[1] + out[2] + out[3];
}

__attribute__((target("avx512f"))) static uint64_t
sum_avx512(const uint64_t *p, size_t n)
{
	__m512i		a = _mm512_setzero_si512(),
				b = a,
				c = a,
				d = a;

	for (size_t i = 0; i + 32 <= n; i += 32)
	{
		a = _mm512_add_epi64(a, _mm512_load_si512(p + i));
		b = _mm512_add_epi64(b, _mm512_load_si512(p + i + 8));
		c = _mm512_add_epi64(c, _mm512_load_si512(p + i + 16));
		d = _mm512_add_epi64(d, _mm512_load_si512(p + i + 24));
	}
	return (uint64_t) _mm512_reduce_add_epi64(_mm512_add_epi64(_mm512_add_epi64(a, b),
															   _mm512_add_epi64(c, d)));
}
#endif

static uint64_t
sum(const uint64_t *p, size_t n)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f"))
		return sum_avx512(p, n);
	if (__builtin_cpu_supports("avx2"))
		return sum_avx2(p, n);
#endif
	return sum_plain(p, n);
}

static int
compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	size_t		bytes = (size_t) (argc > 1 ? atoi(argv[1]) : 512) << 20;
	int			passes = argc > 2 ? atoi(argv[2]) : 7;
	double		seconds[MAX_PASSES];
	uint64_t	total = 0;
	uint64_t   *buffer;

	if (bytes == 0 || passes < 1 || passes > MAX_PASSES)
		return 2;
	buffer = aligned_alloc(4096, bytes);
	if (buffer == NULL)
	{
		perror("memory");
		return 1;
	}
	memset(buffer, 1, bytes);
	for (int i = 0; i < passes; i++)
	{
		double		start = now();

		total += sum(buffer, bytes / sizeof(uint64_t));
		seconds[i] = now() - start;
	}
	qsort(seconds, passes, sizeof(double), compare);
	printf("%.0f\n", bytes / seconds[passes / 2]);
	/* the sums are used, so that they are computed */
	return total == 1;
}
