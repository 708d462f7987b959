/*
 * float_parse.c
 *		Text to float32, correctly rounded, several times faster than strtof().
 *
 * Vectors arrive mostly as text, and reading them is then what COPY and INSERT
 * spend their time on.  Nearly every element that people write has at most 17
 * digits and a small exponent.  For these the value is w * 10^e with w and
 * 10^|e| both exact in float64, so one multiplication or division gives the
 * float64 nearest to it (W. D. Clinger, How to Read Floating Point Numbers
 * Accurately, PLDI 1990, section 3).  Rounding that again to float32 could only
 * go wrong if it lay exactly between two float32 values, which is tested.
 * Everything else (long numbers, large exponents, results outside the normal
 * range, hexadecimal, inf, nan) is left to strtof().
 */
#include "types/float_parse.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_EXACT_POWER 22		/* 10^22 < 2^53 * 2^22: exact in float64 */
#define MAX_EXACT_DIGITS 18		/* cannot overflow uint64 */

static const double powers_of_ten[MAX_EXACT_POWER + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

/* Read by strtof(); same contract as FloatParse(). */
static float
parse_slowly(const char *s, const char **end, bool *overflow)
{
	char	   *stop;
	float		value;

	*end = s;
	*overflow = false;
	if (isspace((unsigned char) *s))
		return 0.0f;
	errno = 0;
	value = strtof(s, &stop);
	*end = stop;
	*overflow = (errno == ERANGE && isinf(value));
	return value;
}

/*
 * Round a positive float64 that is the nearest one to the number read.  Returns
 * false where the result might not be the float32 nearest to that number: below
 * the normal range, above the largest value, or halfway between two.
 */
static bool
round_to_float(double nearest, float *result)
{
	uint64_t	bits;

	if (!(nearest >= FLT_MIN && nearest <= FLT_MAX))
		return false;
	memcpy(&bits, &nearest, sizeof(bits));
	/* float64 has 29 bits more; only their topmost set is the midpoint */
	if ((bits & UINT64_C(0x1fffffff)) == UINT64_C(0x10000000))
		return false;
	*result = (float) nearest;
	return true;
}

/* See float_parse.h. */
float
FloatParse(const char *s, const char **end, bool *overflow)
{
	const char *p = s;
	bool		negative = false;
	bool		any_digit = false;
	uint64_t	digits = 0;		/* the significant ones, as an integer */
	int			ndigits = 0;
	int			power = 0;
	float		value;

	if (*p == '-' || *p == '+')
		negative = (*p++ == '-');

	for (bool in_fraction = false;; p++)
	{
		unsigned	d = (unsigned) (*p - '0');

		if (d <= 9)
		{
			any_digit = true;
			digits = digits * 10 + d;
			if (digits != 0 && ++ndigits > MAX_EXACT_DIGITS)
				return parse_slowly(s, end, overflow);
			power -= in_fraction;
		}
		else if (*p == '.' && !in_fraction)
			in_fraction = true;
		else
			break;
	}
	if (!any_digit || *p == 'x' || *p == 'X')
		return parse_slowly(s, end, overflow);

	if (*p == 'e' || *p == 'E')
	{
		bool		negative_power = false;
		int			given = 0;

		p++;
		if (*p == '-' || *p == '+')
			negative_power = (*p++ == '-');
		/* strtof() takes an e without digits as the end of the number */
		if (!isdigit((unsigned char) *p))
			return parse_slowly(s, end, overflow);
		for (; isdigit((unsigned char) *p); p++)
			if (given < 10000)
				given = given * 10 + (*p - '0');
		power += negative_power ? -given : given;
	}

	if (digits == 0)
		value = 0.0f;
	else
	{
		if (FLT_EVAL_METHOD != 0 || digits > (UINT64_C(1) << 53) ||
			power < -MAX_EXACT_POWER || power > MAX_EXACT_POWER)
			return parse_slowly(s, end, overflow);
		if (!round_to_float(power < 0 ? (double) digits / powers_of_ten[-power]
							: (double) digits * powers_of_ten[power], &value))
			return parse_slowly(s, end, overflow);
	}

	*end = p;
	*overflow = false;
	return negative ? -value : value;
}
