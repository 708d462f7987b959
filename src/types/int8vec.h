/*
 * int8vec.h
 *		The type int8vec: a varlena of 1 to VECTOR_MAX_DIM integers of one byte,
 *		-128 to 127.
 *
 * The header is that of vector, so VectorDatumDim() serves this type too.
 */
#ifndef MILVUS_INT8VEC_H
#define MILVUS_INT8VEC_H

#include "types/vector.h"

typedef struct Int8Vec
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	uint16		dim;			/* number of elements */
	uint16		unused;			/* always 0 */
	int8		x[FLEXIBLE_ARRAY_MEMBER];
} Int8Vec;

/* Bytes of an int8vec with its header */
#define INT8VEC_SIZE(dim) (offsetof(Int8Vec, x) + (dim))

/* The argument may be toasted or have a short header; the result never has. */
#define DatumGetInt8Vec(d) ((Int8Vec *) PG_DETOAST_DATUM(d))
#define PG_GETARG_INT8VEC_P(n) DatumGetInt8Vec(PG_GETARG_DATUM(n))
#define PG_RETURN_INT8VEC_P(v) PG_RETURN_POINTER(v)

/* A palloc'd int8vec of dim elements, whose values the caller sets. */
static inline Int8Vec *
InitInt8Vec(int dim)
{
	Int8Vec    *result = (Int8Vec *) palloc(INT8VEC_SIZE(dim));

	Assert(dim >= 1 && dim <= VECTOR_MAX_DIM);
	SET_VARSIZE(result, INT8VEC_SIZE(dim));
	result->dim = (uint16) dim;
	result->unused = 0;
	return result;
}

#endif							/* MILVUS_INT8VEC_H */
