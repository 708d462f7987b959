/*
 * distances.h
 *		Distances of two values of one type and number of dimensions, as SQL
 *		shows them.  Private to src/types.
 */
#ifndef MILVUS_DISTANCES_H
#define MILVUS_DISTANCES_H

#include "types/vector.h"

/* Shorter values than this are summed from the first element to the last. */
#define IN_ORDER_DIMS 8

extern float VectorL2Squared(const Vector *a, const Vector *b);
extern float VectorInnerProduct(const Vector *a, const Vector *b);
extern float VectorL1(const Vector *a, const Vector *b);
extern double VectorCosine(const Vector *a, const Vector *b);

/* The same of elements, summed in order */
extern float L2SquaredInOrder(const float *a, const float *b, int dim);
extern float InnerProductInOrder(const float *a, const float *b, int dim);
extern float L1InOrder(const float *a, const float *b, int dim);
extern double CosineInOrder(const float *a, const float *b, int dim);

/* 1 - cosine from the products a.b, a.a and b.b */
extern double CosineOfSums(double ab, double aa, double bb);

#endif							/* MILVUS_DISTANCES_H */
