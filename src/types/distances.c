/*
 * distances.c
 *		Distances of two values, from the kernels.
 *
 * Sums are float32, as pgvector's are, and so depend in their last bits on the
 * order of the additions, which differs between instruction sets.  Vectors of
 * fewer than IN_ORDER_DIMS elements gain nothing from wide instructions; they
 * are what people type, compare and print, so they are summed from the first
 * element to the last: the same result on all machines, and the one of
 * pgvector, which gets to its wide loops at 4 (vector) and 8 (halfvec).
 */
#include "postgres.h"

#include <math.h>

#include "kernels/kernels.h"
#include "types/distances.h"
#include "utils/float.h"

/* Sum of squared differences, in order. */
float
L2SquaredInOrder(const float *a, const float *b, int dim)
{
	float		sum = 0.0f;

	for (int i = 0; i < dim; i++)
	{
		float		diff = a[i] - b[i];

		sum += diff * diff;
	}
	return sum;
}

/* Sum of products, in order. */
float
InnerProductInOrder(const float *a, const float *b, int dim)
{
	float		sum = 0.0f;

	for (int i = 0; i < dim; i++)
		sum += a[i] * b[i];
	return sum;
}

/* Sum of absolute differences, in order. */
float
L1InOrder(const float *a, const float *b, int dim)
{
	float		sum = 0.0f;

	for (int i = 0; i < dim; i++)
		sum += fabsf(a[i] - b[i]);
	return sum;
}

/*
 * 1 - cosine of a and b from their products; NaN if one of them is zero, or so
 * short that its squared length is.
 */
double
CosineOfSums(double ab, double aa, double bb)
{
	double		similarity;

	if (aa == 0 || bb == 0)
		return get_float8_nan();
	similarity = ab / sqrt(aa * bb);

	/* rounding may leave the range of a cosine; NaN passes both tests */
	if (similarity > 1.0)
		similarity = 1.0;
	else if (similarity < -1.0)
		similarity = -1.0;
	return 1.0 - similarity;
}

/*
 * CosineOfSums(), with sums in order.  Products are not rounded before they
 * are added, as in pgvector wherever the CPU has such an instruction.
 */
double
CosineInOrder(const float *a, const float *b, int dim)
{
	float		ab = 0.0f;
	float		aa = 0.0f;
	float		bb = 0.0f;

	for (int i = 0; i < dim; i++)
	{
		ab = fmaf(a[i], b[i], ab);
		aa = fmaf(a[i], a[i], aa);
		bb = fmaf(b[i], b[i], bb);
	}
	return CosineOfSums(ab, aa, bb);
}

/* Squared Euclidean distance */
float
VectorL2Squared(const Vector *a, const Vector *b)
{
	Assert(a->dim == b->dim);
	return a->dim < IN_ORDER_DIMS ? L2SquaredInOrder(a->x, b->x, a->dim)
		: kernels->l2sq_f32(a->x, b->x, a->dim);
}

/* Inner product */
float
VectorInnerProduct(const Vector *a, const Vector *b)
{
	Assert(a->dim == b->dim);
	return a->dim < IN_ORDER_DIMS ? InnerProductInOrder(a->x, b->x, a->dim)
		: kernels->ip_f32(a->x, b->x, a->dim);
}

/* Taxicab distance */
float
VectorL1(const Vector *a, const Vector *b)
{
	Assert(a->dim == b->dim);
	return a->dim < IN_ORDER_DIMS ? L1InOrder(a->x, b->x, a->dim)
		: kernels->l1_f32(a->x, b->x, a->dim);
}

/* 1 - cosine; NaN if one of the vectors is zero */
double
VectorCosine(const Vector *a, const Vector *b)
{
	float		ab,
				aa,
				bb;

	Assert(a->dim == b->dim);
	if (a->dim < IN_ORDER_DIMS)
		return CosineInOrder(a->x, b->x, a->dim);
	kernels->cosine_f32(a->x, b->x, a->dim, &ab, &aa, &bb);
	return CosineOfSums(ab, aa, bb);
}
