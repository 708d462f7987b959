/*
 * filter.c
 *		Comparisons of filter.h in terms of the range kernels, and work on bitmaps.
 *
 * Every comparison is a closed range of the type's order, or the rows outside of one.  Signed
 * numbers use the kernels of unsigned ones: a range within one sign has the same bits in both,
 * and the rows outside of one that crosses zero are a range of unsigned numbers.
 */
#include "kernels/filter.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

/* The bits of the last word that belong to n rows. */
static inline uint64_t
last_word(size_t n)
{
	return n % 64 == 0 ? ~UINT64_C(0) : (UINT64_C(1) << (n % 64)) - 1;
}

void
FilterFill(uint64_t *mask, size_t n, bool set)
{
	size_t words = FilterWords(n);

	if (words == 0)
		return;
	memset(mask, set ? 0xff : 0, words * sizeof(uint64_t));
	mask[words - 1] &= last_word(n);
}

void
FilterNot(uint64_t *into, size_t n)
{
	size_t words = FilterWords(n);

	for (size_t i = 0; i < words; i++)
		into[i] = ~into[i];
	if (words > 0)
		into[words - 1] &= last_word(n);
}

void
FilterAnd(uint64_t *into, const uint64_t *other, size_t n)
{
	for (size_t i = 0; i < FilterWords(n); i++)
		into[i] &= other[i];
}

void
FilterOr(uint64_t *into, const uint64_t *other, size_t n)
{
	for (size_t i = 0; i < FilterWords(n); i++)
		into[i] |= other[i];
}

void
FilterAndNot(uint64_t *into, const uint64_t *other, size_t n)
{
	for (size_t i = 0; i < FilterWords(n); i++)
		into[i] &= ~other[i];
}

/* ---- comparisons ---- */

/*
 * The range that a comparison asks for, low .. high of a type from `smallest` to `largest`;
 * *outside: the rows not in it.  Returns false when there is no such value.
 */
#define BOUNDS(type, smallest, largest) \
	type low = a;                       \
	type high = a;                      \
	bool outside = false;               \
	switch (op)                         \
	{                                   \
		case FILTER_EQ:                 \
			break;                      \
		case FILTER_NE:                 \
			outside = true;             \
			break;                      \
		case FILTER_LT:                 \
			outside = true;             \
			high = (largest);           \
			break;                      \
		case FILTER_LE:                 \
			low = (smallest);           \
			break;                      \
		case FILTER_GT:                 \
			outside = true;             \
			low = (smallest);           \
			break;                      \
		case FILTER_GE:                 \
			high = (largest);           \
			break;                      \
		case FILTER_BETWEEN:            \
			high = b;                   \
			break;                      \
	}

#define UNSIGNED_FILTER(name, type, kernel, largest)                                \
	void name(const type *v, size_t n, FilterOp op, type a, type b, uint64_t *mask) \
	{                                                                               \
		BOUNDS(type, 0, largest)                                                    \
		kernels->kernel(v, n, low, high, mask);                                     \
		if (outside)                                                                \
			FilterNot(mask, n);                                                     \
	}

#define SIGNED_FILTER(name, type, unsigned_type, kernel, smallest, largest)         \
	void name(const type *v, size_t n, FilterOp op, type a, type b, uint64_t *mask) \
	{                                                                               \
		BOUNDS(type, smallest, largest)                                             \
		if (low > high)                                                             \
			FilterFill(mask, n, false);                                             \
		else if (low < 0 && high >= 0)                                              \
		{                                                                           \
			kernels->kernel((const unsigned_type *) v, n,                           \
							(unsigned_type) ((unsigned_type) high + 1),             \
							(unsigned_type) ((unsigned_type) low - 1), mask);       \
			outside = !outside;                                                     \
		}                                                                           \
		else                                                                        \
			kernels->kernel((const unsigned_type *) v, n, (unsigned_type) low,      \
							(unsigned_type) high, mask);                            \
		if (outside)                                                                \
			FilterNot(mask, n);                                                     \
	}

/* A range whose upper end is NaN has all from its lower end on; one that begins with NaN, only
 * NaNs. */
#define FLOAT_FILTER(name, type, kernel)                                            \
	void name(const type *v, size_t n, FilterOp op, type a, type b, uint64_t *mask) \
	{                                                                               \
		bool nans;                                                                  \
		BOUNDS(type, -(type) INFINITY, (type) NAN)                                  \
		nans = isnan(high);                                                         \
		if (isnan(low))                                                             \
		{                                                                           \
			low = (type) INFINITY;                                                  \
			high = -(type) INFINITY;                                                \
		}                                                                           \
		else if (nans)                                                              \
			high = (type) INFINITY;                                                 \
		kernels->kernel(v, n, low, high, nans, mask);                               \
		if (outside)                                                                \
			FilterNot(mask, n);                                                     \
	}

UNSIGNED_FILTER(FilterUint8, uint8_t, range_u8, UINT8_MAX)
UNSIGNED_FILTER(FilterUint16, uint16_t, range_u16, UINT16_MAX)
UNSIGNED_FILTER(FilterUint32, uint32_t, range_u32, UINT32_MAX)
UNSIGNED_FILTER(FilterUint64, uint64_t, range_u64, UINT64_MAX)
SIGNED_FILTER(FilterInt16, int16_t, uint16_t, range_u16, INT16_MIN, INT16_MAX)
SIGNED_FILTER(FilterInt32, int32_t, uint32_t, range_u32, INT32_MIN, INT32_MAX)
SIGNED_FILTER(FilterInt64, int64_t, uint64_t, range_u64, INT64_MIN, INT64_MAX)
FLOAT_FILTER(FilterFloat32, float, range_f32)
FLOAT_FILTER(FilterFloat64, double, range_f64)

/* ---- sets ---- */

void
FilterIn8(const void *v, size_t n, const void *set, size_t nset, uint64_t *mask)
{
	kernels->in_u8(v, n, set, nset, mask);
}

void
FilterIn16(const void *v, size_t n, const void *set, size_t nset, uint64_t *mask)
{
	kernels->in_u16(v, n, set, nset, mask);
}

void
FilterIn32(const void *v, size_t n, const void *set, size_t nset, uint64_t *mask)
{
	kernels->in_u32(v, n, set, nset, mask);
}

void
FilterIn64(const void *v, size_t n, const void *set, size_t nset, uint64_t *mask)
{
	kernels->in_u64(v, n, set, nset, mask);
}

/* A dictionary is in the nearest cache, so a look-up a row is quick enough. */
#define FILTER_CODES(name, type)                                                    \
	void name(const type *codes, size_t n, const uint64_t *accepted, size_t ncodes, \
			  uint64_t *mask)                                                       \
	{                                                                               \
		for (size_t i = 0; i < n; i += 64)                                          \
		{                                                                           \
			size_t bits = n - i < 64 ? n - i : 64;                                  \
			uint64_t word = 0;                                                      \
			for (size_t j = 0; j < bits; j++)                                       \
			{                                                                       \
				size_t code = codes[i + j];                                         \
				if (code < ncodes)                                                  \
					word |= (accepted[code / 64] >> (code % 64) & 1) << j;          \
			}                                                                       \
			mask[i / 64] = word;                                                    \
		}                                                                           \
	}

FILTER_CODES(FilterCodes8, uint8_t)
FILTER_CODES(FilterCodes16, uint16_t)

/* ---- bitmaps ---- */

void
FilterNulls(const uint8_t *bits, size_t first, size_t n, uint64_t *mask)
{
	size_t words = FilterWords(n);
	size_t shift = first % 8;

	if (bits == NULL || n == 0)
	{
		FilterFill(mask, n, false);
		return;
	}
	bits += first / 8;
	for (size_t w = 0; w < words; w++)
	{
		size_t rows = n - w * 64 < 64 ? n - w * 64 : 64;
		size_t bytes = (shift + rows + 7) / 8; /* up to 9 */
		uint64_t word = 0;

		for (size_t i = 0; i < bytes && i < 8; i++)
			word |= (uint64_t) bits[w * 8 + i] << (8 * i);
		word >>= shift;
		if (bytes == 9)
			word |= (uint64_t) bits[w * 8 + 8] << (64 - shift);
		mask[w] = word;
	}
	mask[words - 1] &= last_word(n);
}

size_t
FilterCount(const uint64_t *mask, size_t n)
{
	return kernels->bits_count(mask, FilterWords(n));
}

size_t
FilterRows(const uint64_t *mask, size_t n, uint32_t base, uint32_t *rows)
{
	return kernels->bits_rows(mask, FilterWords(n), base, rows);
}
