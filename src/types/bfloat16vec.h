/*
 * bfloat16vec.h
 *		The type bfloat16vec: a varlena of 1 to VECTOR_MAX_DIM finite bfloat16
 *		elements.
 *
 * Elements are the upper halves of float32, as the kernels take them: the range
 * of float32 with 8 significant bits.  The layout is that of halfvec.
 */
#ifndef MILVUS_BFLOAT16VEC_H
#define MILVUS_BFLOAT16VEC_H

#include "types/halfvec.h"

typedef HalfVec BFloat16Vec;

/* The least magnitude that rounds to infinity: half an ulp above the largest value */
#define BFLOAT16_OVERFLOW 0x1.ffp127f

/* The argument may be toasted or have a short header; the result never has. */
#define DatumGetBFloat16Vec(d) ((BFloat16Vec *) PG_DETOAST_DATUM(d))
#define PG_GETARG_BFLOAT16VEC_P(n) DatumGetBFloat16Vec(PG_GETARG_DATUM(n))
#define PG_RETURN_BFLOAT16VEC_P(v) PG_RETURN_POINTER(v)

#endif							/* MILVUS_BFLOAT16VEC_H */
