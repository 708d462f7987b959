/*
 * check.h
 *		A harness for tests in plain C.
 *
 * A test is a function without arguments that makes CHECKs; main() names the
 * tests with RUN() and returns CheckDone().  A test's first failed check is
 * printed with its place, and the test goes on, so that what it allocated is
 * freed; REQUIRE() is for what the rest of the test cannot do without.
 */
#ifndef MILVUS_CHECK_H
#define MILVUS_CHECK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int	check_passed = 0;	/* tests */
static int	check_failed = 0;	/* tests */
static const char *check_name;	/* the test that runs */
static long check_errors;		/* checks of it that failed */

/* Note a failed check of the running test. */
static inline void
check_fail(const char *file, int line, const char *what)
{
	if (check_errors++ == 0)
		printf("not ok %s: %s:%d %s\n", check_name, file, line, what);
}

/* CHECK_NEAR's comparison: equal (as infinities may be), both NaN, or within eps. */
static inline void
check_near(double a, double b, double eps, const char *file, int line, const char *what)
{
	char		text[256];

	if (a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= eps)
		return;
	snprintf(text, sizeof(text), "%s: %.9g is not within %.3g of %.9g", what, a, eps, b);
	check_fail(file, line, text);
}

/* The condition holds. */
#define CHECK(cond) \
	do { \
		if (!(cond)) \
			check_fail(__FILE__, __LINE__, #cond); \
	} while (0)

/* The same, ending the test (a void function) where it does not. */
#define REQUIRE(cond) \
	do { \
		if (!(cond)) \
		{ \
			check_fail(__FILE__, __LINE__, #cond); \
			return; \
		} \
	} while (0)

/* Two numbers differ by at most eps. */
#define CHECK_NEAR(a, b, eps) \
	check_near((double) (a), (double) (b), (double) (eps), __FILE__, __LINE__, #a " ~ " #b)

/* Run one test and print how it ended. */
static inline void
check_run(const char *name, void (*test) (void))
{
	check_name = name;
	check_errors = 0;
	test();
	if (check_errors == 0)
	{
		check_passed++;
		printf("ok %s\n", name);
	}
	else
	{
		check_failed++;
		if (check_errors > 1)
			printf("# %s: %ld checks failed\n", name, check_errors);
	}
	fflush(stdout);
}

#define RUN(test) check_run(#test, test)

/* Print the totals; the exit status of the program, zero only if tests ran and all passed. */
static inline int
CheckDone(void)
{
	printf("# %d passed, %d failed\n", check_passed, check_failed);
	return check_failed == 0 && check_passed > 0 ? 0 : 1;
}

/* A small generator (xorshift64*), so that a test sees the same numbers everywhere. */
typedef struct CheckRandom
{
	uint64_t	state;			/* not zero */
} CheckRandom;

static inline uint64_t
CheckRandomBits(CheckRandom *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(0x2545F4914F6CDD1D);
}

/* Uniform in [low, high). */
static inline double
CheckRandomDouble(CheckRandom *r, double low, double high)
{
	return low + (high - low) * (double) (CheckRandomBits(r) >> 11) / 9007199254740992.0;
}

#endif							/* MILVUS_CHECK_H */
