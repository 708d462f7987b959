/*
 * sq8.h
 *		8-bit scalar codes with a scale a row: what searches read first.
 *
 * A row x (normalised first under COSINE) is centred, x' = x - mean, and coded
 * as c[i] = round(x'[i] / scale) in -127..127, scale = max |x'[i]| / 127, stored
 * as the byte c + 128, padded with SQ8_ZERO to a multiple of SQ8_PAD.  A query
 * is coded the same way with signed bytes.  Then
 *
 *	  x'.q' ~ scale_x * scale_q * (sum code[i]*q[i] - 128 * sum q[i])
 *
 * and |x - q|^2 = |x' - q'|^2 ~ |x^|^2 + |q^|^2 - 2 x^.q^, with x^ = scale * c the
 * decoded row.  |x' - q'| differs from |x^ - q^| by at most |x' - x^| + |q' - q^|, and
 * x'.q' from x^.q^ by at most |x' - x^| |q'| + |x^| |q' - q^|, which gives the lower
 * bounds that make a scan over codes exact.  L1 and bits have no codes.
 */
#ifndef MILVUS_SQ8_H
#define MILVUS_SQ8_H

#include "index/index.h"

struct Sq8Meta
{
	float		scale;
	float		norm2;			/* |x^|^2 */
	float		error;			/* |x' - x^|, rounded up; infinite: no bound can be given */
	int32_t		sum;			/* sum of c[i] */
};

/* Bytes of one code row: dim rounded up to SQ8_PAD. */
extern size_t Sq8Stride(uint32_t dim);

/* Whether a metric is searched through codes. */
extern bool Sq8Supports(AnnMetric metric);

/*
 * The mean of n rows (dim floats into mean), of normalised rows under COSINE,
 * from a sample of at most 65,536 evenly spaced rows.
 */
extern void Sq8Mean(const AnnParams *params, const void *raw, uint32_t n, float *mean);

/* Code n rows; codes has n * Sq8Stride(dim) bytes, 64-byte aligned.  mean NULL: zero. */
extern void Sq8Encode(const AnnParams *params, const float *mean, const void *raw,
					  uint32_t n, uint8_t *codes, Sq8Meta *meta);

#endif							/* MILVUS_SQ8_H */
