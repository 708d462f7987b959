/*
 * test_float_parse.c
 *		FloatParse() against strtof(): same bits, same end, same overflow.
 */
#include "check.h"

#include <errno.h>
#include <float.h>
#include <stdlib.h>

/* The one file of src/types that needs no server */
#include "types/float_parse.c"

/* The bits of a float32, so that 0 and -0 differ. */
static uint32_t
float_bits(float x)
{
	uint32_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* The float32 of these bits */
static float
float_of(uint32_t bits)
{
	float		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* Check that FloatParse() reads s as strtof() does. */
static void
check_text(const char *s)
{
	char		what[512];
	char	   *expected_end;
	const char *end;
	bool		overflow;
	float		expected;
	float		value;

	errno = 0;
	expected = strtof(s, &expected_end);
	value = FloatParse(s, &end, &overflow);
	if (end == expected_end && overflow == (errno == ERANGE && isinf(expected)) &&
		(float_bits(value) == float_bits(expected) || (isnan(value) && isnan(expected))))
		return;
	snprintf(what, sizeof(what), "\"%.200s\": %.9g of %d characters, strtof() %.9g of %d", s,
			 value, (int) (end - s), expected, (int) (expected_end - s));
	check_fail(__FILE__, __LINE__, what);
}

static void
test_forms(void)
{
	static const char *const forms[] = {
		"", "+", "-", ".", "-.", "e5", "abc", "0", "-0", "+0", "00012", "1.", ".5", "-.5e1", "1..2", "1.2.3",
		"1e", "1e+", "1e-", "1e+x", "1E5", "1e05", "1e+5,", "1e5]", "1 2", "1_000", "--1", "+-1", "- 1",
		"0x1p3", "0X1P-3", "-0x.8", "0x", "0xg", "1x5", "00x1", "inf", "-Infinity", "infin", "nan", "-nan", "nan(12)", "nan(",
		"0e999999999999", "0.000e-99999", "1e999999999999", "-1e99999", "1e-99999999999", "1e39", "-1e39",
		"123456789012345678", "1234567890123456789", "12345678901234567890", "0.00000000000000000000001234567",
		"100000000000000000000000", "1e22", "1e23", "9007199254740993", "9007199254740992e22", "9007199254740993e-22"
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		check_text(forms[i]);
}

/* White space is the caller's; strtof() would skip it. */
static void
test_no_white_space(void)
{
	const char *text = " 1";
	const char *end;
	bool		overflow;

	FloatParse(text, &end, &overflow);
	CHECK(end == text && !overflow);
}

/* Check x as the conversion (of printf) with so many digits prints it. */
static void
check_printed(char conversion, int precision, double x)
{
	char		text[512];

	if (conversion == 'g')
		snprintf(text, sizeof(text), "%.*g", precision, x);
	else if (conversion == 'e')
		snprintf(text, sizeof(text), "%.*e", precision, x);
	else if (conversion == 'f')
		snprintf(text, sizeof(text), "%.*f", precision, x);
	else
		snprintf(text, sizeof(text), "%.*a", precision, x);
	check_text(text);
}

/* Numbers as programs print them, of any magnitude */
static void
test_printed_floats(void)
{
	CheckRandom random = {19530};

	for (const char *conversion = "gefa"; *conversion != '\0'; conversion++)
	{
		for (int i = 0; i < 50000; i++)
		{
			check_printed(*conversion, i % 26, float_of((uint32_t) CheckRandomBits(&random)));
			check_printed(*conversion, i % 26, CheckRandomDouble(&random, -1.0, 1.0));
		}
	}
}

/* Digits and exponents at random, around the limits of the fast way */
static void
test_random_digits(void)
{
	CheckRandom random = {7};
	char		text[64];

	for (int i = 0; i < 300000; i++)
	{
		int			ndigits = 1 + (int) (CheckRandomBits(&random) % 20);
		int			point = (int) (CheckRandomBits(&random) % (ndigits + 1));
		char	   *p = text;

		if (CheckRandomBits(&random) % 2)
			*p++ = '-';
		for (int d = 0; d < ndigits; d++)
		{
			if (d == point)
				*p++ = '.';
			*p++ = (char) ('0' + CheckRandomBits(&random) % 10);
		}
		*p = '\0';
		if (CheckRandomBits(&random) % 2)
			sprintf(p, "e%d", (int) (CheckRandomBits(&random) % 100) - 50);
		check_text(text);
	}
}

/*
 * Exactly between two float32 values, and a little off.  Odd integers from 2^24
 * to 2^25 are such midpoints and short, so the fast way sees them.
 */
static void
test_midpoints(void)
{
	CheckRandom random = {42};
	char		text[512];

	for (int i = 0; i < 20000; i++)
	{
		uint64_t	odd = (UINT64_C(1) << 24) + CheckRandomBits(&random) % (UINT64_C(1) << 24);
		float		x = float_of((uint32_t) (CheckRandomBits(&random) % 0x7f7fffff));
		double		middle = ((double) x + (double) nextafterf(x, INFINITY)) / 2;

		odd |= 1;
		snprintf(text, sizeof(text), "%llu", (unsigned long long) odd);
		check_text(text);
		snprintf(text, sizeof(text), "%llu.00000001", (unsigned long long) odd);
		check_text(text);
		snprintf(text, sizeof(text), "%llu.99999999", (unsigned long long) odd - 1);
		check_text(text);
		snprintf(text, sizeof(text), "%llue5", (unsigned long long) odd);
		check_text(text);
		snprintf(text, sizeof(text), "%.17g", middle);
		check_text(text);
		snprintf(text, sizeof(text), "%.180g", middle);
		check_text(text);
		snprintf(text, sizeof(text), "%.160e1", middle);
		check_text(text);
	}
}

/* The ends of the normal range, of the denormal range, and beyond */
static void
test_range_limits(void)
{
	static const uint32_t limits[] = {0x00000001, 0x00000002, 0x007fffff, 0x00800000, 0x00800001, 0x7f7ffffe, 0x7f7fffff};
	char		text[512];

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
	{
		double		x = float_of(limits[i]);
		double		ulp = x - float_of(limits[i] - 1);

		for (int step = -8; step <= 8; step++)
			for (int precision = 6; precision <= 20; precision++)
			{
				snprintf(text, sizeof(text), "%.*e", precision, x + step * ulp / 4);
				check_text(text);
			}
	}
}

int
main(void)
{
	RUN(test_forms);
	RUN(test_no_white_space);
	RUN(test_printed_floats);
	RUN(test_random_digits);
	RUN(test_midpoints);
	RUN(test_range_limits);
	return CheckDone();
}
