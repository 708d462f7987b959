/*
 * filter.h
 *		Which of n values of a column satisfy a comparison, as bitmaps.
 *
 * A bitmap has one bit a row, in words of 64, row 0 in the lowest bit of word 0.
 * The functions write FilterWords(n) whole words; bits past n are zero, and those that
 * take bitmaps expect them so.  Plain C on the kernels of kernels.h.
 *
 * Order is PostgreSQL's: of floats, NaN equals NaN and is greater than every other
 * number, and the zeros are equal.  Nulls are the caller's: their values compare like
 * any (zero bytes), so a result is cleared with FilterNulls() and FilterAndNot().
 */
#ifndef MILVUS_FILTER_H
#define MILVUS_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum FilterOp
{
	FILTER_EQ,
	FILTER_NE,
	FILTER_LT,
	FILTER_LE,
	FILTER_GT,
	FILTER_GE,
	FILTER_BETWEEN /* a <= v <= b; none when a > b */
} FilterOp;

/* Words of a bitmap of n rows. */
static inline size_t
FilterWords(size_t n)
{
	return (n + 63) / 64;
}

/* v[i] op a, or a <= v[i] <= b.  b is looked at for FILTER_BETWEEN only. */
extern void FilterUint8(const uint8_t *v, size_t n, FilterOp op, uint8_t a, uint8_t b,
						uint64_t *mask);
extern void FilterInt16(const int16_t *v, size_t n, FilterOp op, int16_t a, int16_t b,
						uint64_t *mask);
extern void FilterUint16(const uint16_t *v, size_t n, FilterOp op, uint16_t a, uint16_t b,
						 uint64_t *mask);
extern void FilterInt32(const int32_t *v, size_t n, FilterOp op, int32_t a, int32_t b,
						uint64_t *mask);
extern void FilterUint32(const uint32_t *v, size_t n, FilterOp op, uint32_t a, uint32_t b,
						 uint64_t *mask);
extern void FilterInt64(const int64_t *v, size_t n, FilterOp op, int64_t a, int64_t b,
						uint64_t *mask);
extern void FilterUint64(const uint64_t *v, size_t n, FilterOp op, uint64_t a, uint64_t b,
						 uint64_t *mask);
extern void FilterFloat32(const float *v, size_t n, FilterOp op, float a, float b, uint64_t *mask);
extern void FilterFloat64(const double *v, size_t n, FilterOp op, double a, double b,
						  uint64_t *mask);

/*
 * v[i] is one of set[0 .. nset - 1]; signed or unsigned alike.  Work grows with nset: meant
 * for a few (8); for more, sort and prune first.
 */
extern void FilterIn8(const void *v, size_t n, const void *set, size_t nset, uint64_t *mask);
extern void FilterIn16(const void *v, size_t n, const void *set, size_t nset, uint64_t *mask);
extern void FilterIn32(const void *v, size_t n, const void *set, size_t nset, uint64_t *mask);
extern void FilterIn64(const void *v, size_t n, const void *set, size_t nset, uint64_t *mask);

/*
 * Dictionary codes: bit codes[i] of `accepted` (a bitmap of ncodes bits); a code that is not
 * below ncodes is not accepted.  Equality with one code is FilterUint8() or FilterUint16().
 */
extern void FilterCodes8(const uint8_t *codes, size_t n, const uint64_t *accepted, size_t ncodes,
						 uint64_t *mask);
extern void FilterCodes16(const uint16_t *codes, size_t n, const uint64_t *accepted, size_t ncodes,
						  uint64_t *mask);

/* Bits first .. first + n - 1 of bytes (LSB first) as a bitmap; NULL: none set.  For ColumnView's
 * nulls. */
extern void FilterNulls(const uint8_t *bits, size_t first, size_t n, uint64_t *mask);

/* into op= other, of n rows. */
extern void FilterAnd(uint64_t *into, const uint64_t *other, size_t n);
extern void FilterOr(uint64_t *into, const uint64_t *other, size_t n);
extern void FilterAndNot(uint64_t *into, const uint64_t *other, size_t n);
extern void FilterNot(uint64_t *into, size_t n);
/* All n bits set, or none. */
extern void FilterFill(uint64_t *mask, size_t n, bool set);

/* Number of set bits. */
extern size_t FilterCount(const uint64_t *mask, size_t n);
/*
 * Numbers of the rows whose bits are set, each plus `base`, ascending.  rows has room for n;
 * returns their number.
 */
extern size_t FilterRows(const uint64_t *mask, size_t n, uint32_t base, uint32_t *rows);

#endif /* MILVUS_FILTER_H */
