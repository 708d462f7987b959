/*
 * distances.h
 *		Distances of two values of one type and number of dimensions, as SQL
 *		shows them.  Private to src/types.
 */
#ifndef MILVUS_DISTANCES_H
#define MILVUS_DISTANCES_H

#include "types/halfvec.h"
#include "types/vector.h"

extern float VectorL2Squared(const Vector *a, const Vector *b);
extern float VectorInnerProduct(const Vector *a, const Vector *b);
extern float VectorL1(const Vector *a, const Vector *b);
extern double VectorCosine(const Vector *a, const Vector *b);

extern float HalfVecL2Squared(const HalfVec *a, const HalfVec *b);
extern float HalfVecInnerProduct(const HalfVec *a, const HalfVec *b);
extern float HalfVecL1(const HalfVec *a, const HalfVec *b);
extern double HalfVecCosine(const HalfVec *a, const HalfVec *b);

#endif							/* MILVUS_DISTANCES_H */
