/*
 * filter_time.c
 *		ISO '...' and INTERVAL '...': ISO 8601 timestamps and durations.
 *
 * Both are read here, to the last digit, and written again in one form, so that what reaches SQL does not
 * depend on DateStyle, IntervalStyle or TimeZone.
 */
#include "collection/filter/filter_internal.h"

/* Read so many digits at *p; -1 if there are fewer. */
static int
read_digits(const char **p, int count)
{
	int			value = 0;

	for (int i = 0; i < count; i++, (*p)++)
	{
		if (**p < '0' || **p > '9')
			return -1;
		value = value * 10 + (**p - '0');
	}
	return value;
}

static bool
accept(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/*
 * A timestamp: 2025-01-02, or with T or a blank 03:04[:05[.123456]], then Z, +08:00 or nothing.  Returns
 * `2025-01-02 03:04:05.123456+08:00`, or without offset where there was none.
 */
char *
FilterReadTimestamp(FilterContext *context, const char *string)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const char *p = string;
	int			year;
	int			month;
	int			day;
	int			days;
	int			hour = 0;
	int			minute = 0;
	int			second = 0;
	int			micros = 0;
	int			offset_hour = 0;
	int			offset_minute = 0;
	char		sign = '\0';
	bool		good;

	year = read_digits(&p, 4);
	good = year > 0 && accept(&p, '-');
	month = good ? read_digits(&p, 2) : -1;
	good = good && month >= 1 && month <= 12 && accept(&p, '-');
	day = good ? read_digits(&p, 2) : -1;
	if (good)
	{
		days = lengths[month - 1];
		if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
			days++;
		good = day >= 1 && day <= days;
	}
	if (good && (accept(&p, 'T') || accept(&p, 't') || accept(&p, ' ')))
	{
		hour = read_digits(&p, 2);
		good = hour >= 0 && hour <= 23 && accept(&p, ':');
		minute = good ? read_digits(&p, 2) : -1;
		good = good && minute >= 0 && minute <= 59;
		if (good && accept(&p, ':'))
		{
			second = read_digits(&p, 2);
			good = second >= 0 && second <= 59;
			if (good && accept(&p, '.'))
			{
				int			scale = 100000;

				good = *p >= '0' && *p <= '9';
				for (; *p >= '0' && *p <= '9'; p++, scale /= 10)
					micros += (*p - '0') * scale;
			}
		}
	}
	if (good && (accept(&p, 'Z') || accept(&p, 'z')))
		sign = '+';
	else if (good && (*p == '+' || *p == '-'))
	{
		sign = *p++;
		offset_hour = read_digits(&p, 2);
		good = offset_hour >= 0 && offset_hour <= 15 && accept(&p, ':');
		offset_minute = good ? read_digits(&p, 2) : -1;
		good = good && offset_minute >= 0 && offset_minute <= 59;
	}
	if (!good || *p != '\0')
		FILTER_INVALID(context, "invalid timestamp string: '%s'. Does not match any known format", string);
	return psprintf("%04d-%02d-%02d %02d:%02d:%02d.%06d%s", year, month, day, hour, minute, second, micros,
					sign == '\0' ? "" : psprintf("%c%02d:%02d", sign, offset_hour, offset_minute));
}

/*
 * A duration: P[nY][nM][nD][T[nH][nM][nS]].  Returns it in words; where it has no years and months, in hours
 * for days too, since it is counted in UTC.
 */
char *
FilterReadInterval(FilterContext *context, const char *string)
{
	static const char units[] = "YMDHMS";
	const char *p = string;
	int64		parts[6] = {0};
	bool		good = accept(&p, 'P');
	int			from = 0;

	while (good && *p != '\0')
	{
		int64		number = 0;
		int			digits = 0;
		int			unit;

		if (*p == 'T' && from < 3)
		{
			from = 3;
			p++;
			continue;
		}
		for (; *p >= '0' && *p <= '9'; p++, digits++)
		{
			number = number * 10 + (*p - '0');
			if (number > 1000000000)
				FILTER_INVALID(context, "invalid ISO 8601 duration: %s", string);
		}
		unit = from;
		while (unit < (from < 3 ? 3 : 6) && units[unit] != *p)
			unit++;
		good = digits > 0 && unit < (from < 3 ? 3 : 6);
		if (good)
		{
			parts[unit] = number;
			from = unit + 1;
			p++;
			/* after days only T may come, after seconds nothing */
			if (from == 3 && *p != '\0' && *p != 'T')
				good = false;
			else if (from == 3 && *p == 'T')
				p++;
			else if (from == 3 || from == 6)
				good = *p == '\0';
		}
	}
	/* some thousand years at most, so that timestamps near ours stay in PostgreSQL's range */
	if (!good || parts[0] > 2000 || parts[1] > 24000 || parts[2] > 700000 || parts[3] > 17000000)
		FILTER_INVALID(context, "invalid ISO 8601 duration: %s", string);
	if (parts[0] == 0 && parts[1] == 0)
		return psprintf("%lld seconds",
						(long long) (((parts[2] * 24 + parts[3]) * 60 + parts[4]) * 60 + parts[5]));
	return psprintf("%lld months %lld days %lld seconds", (long long) (parts[0] * 12 + parts[1]), (long long) parts[2],
					(long long) ((parts[3] * 60 + parts[4]) * 60 + parts[5]));
}
