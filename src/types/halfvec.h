/*
 * halfvec.h
 *		The type halfvec: a varlena of 1 to VECTOR_MAX_DIM finite float16 elements.
 *
 * Elements are the bits of IEEE 754 binary16, as the kernels take them.  The
 * header is that of vector, so VectorDatumDim() serves both types.
 */
#ifndef MILVUS_HALFVEC_H
#define MILVUS_HALFVEC_H

#include "types/vector.h"

typedef struct HalfVec
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	uint16		dim;			/* number of elements */
	uint16		unused;			/* always 0 */
	uint16		x[FLEXIBLE_ARRAY_MEMBER];
} HalfVec;

/* Bytes of a halfvec with its header */
#define HALFVEC_SIZE(dim) (offsetof(HalfVec, x) + sizeof(uint16) * (dim))

/* The least magnitude that rounds to infinity: half an ulp above 65504 */
#define HALF_OVERFLOW 65520.0f

/* The argument may be toasted or have a short header; the result never has. */
#define DatumGetHalfVec(d) ((HalfVec *) PG_DETOAST_DATUM(d))
#define PG_GETARG_HALFVEC_P(n) DatumGetHalfVec(PG_GETARG_DATUM(n))
#define PG_RETURN_HALFVEC_P(v) PG_RETURN_POINTER(v)

/* A palloc'd halfvec of dim elements, whose values the caller sets. */
static inline HalfVec *
InitHalfVec(int dim)
{
	HalfVec    *result = (HalfVec *) palloc(HALFVEC_SIZE(dim));

	Assert(dim >= 1 && dim <= VECTOR_MAX_DIM);
	SET_VARSIZE(result, HALFVEC_SIZE(dim));
	result->dim = (uint16) dim;
	result->unused = 0;
	return result;
}

#endif							/* MILVUS_HALFVEC_H */
