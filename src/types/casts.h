/*
 * casts.h
 *		Arrays of numbers as float32 elements and back.  Private to src/types.
 */
#ifndef MILVUS_CASTS_H
#define MILVUS_CASTS_H

#include "utils/array.h"

extern int	ArrayCheckedLength(ArrayType *array);
extern void ArrayToFloats(ArrayType *array, float *x, int n);
extern ArrayType *FloatsToArray(const float *x, int n, Oid elemtype);

#endif							/* MILVUS_CASTS_H */
