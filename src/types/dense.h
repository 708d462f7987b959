/*
 * dense.h
 *		What vector, halfvec, bfloat16vec and int8vec have in common: a header
 *		with the number of elements, then the elements.  Private to src/types.
 */
#ifndef MILVUS_DENSE_H
#define MILVUS_DENSE_H

#include "types/vector.h"

/* A type with the header of Vector and elements of its own from where Vector has x */
typedef struct DenseType
{
	const char *name;			/* as errors speak of it */
	Size		width;			/* bytes of an element */
	/* n elements as float32, exactly */
	void		(*widen) (const void *elems, float *x, int n);
	/*
	 * n float32 numbers, rounded to nearest even; raises an error where one is NaN,
	 * infinite or out of range
	 */
	void		(*narrow) (const float *x, void *elems, int n);
} DenseType;

extern const DenseType DenseVector;
extern const DenseType DenseHalfVec;
extern const DenseType DenseBFloat16Vec;
extern const DenseType DenseInt8Vec;

/*
 * A palloc'd value of dim elements, whose values the caller sets.  Of a Vector that
 * stands for any type, only the header and the address of x mean something.
 */
extern Vector *InitDense(const DenseType *type, int dim);

/* The elements of a value as a palloc'd array of float32 */
extern float *DenseWiden(const DenseType *type, const Vector *value);

/* subvector(value, start, count) and value || value */
extern Datum DenseSubvector(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum DenseConcat(FunctionCallInfo fcinfo, const DenseType *type);

#endif							/* MILVUS_DENSE_H */
