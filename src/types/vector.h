/*
 * vector.h
 *		The type vector: a varlena of 1 to VECTOR_MAX_DIM finite float32 elements.
 *
 * What is here is all that an access method or another type needs.  The layout
 * is that of the pgvector client libraries' binary format and of pgvector's
 * own rows, except that dim is unsigned, so that 32,768 dimensions fit.
 */
#ifndef MILVUS_VECTOR_H
#define MILVUS_VECTOR_H

#include "access/htup_details.h"	/* brings varatt.h where there is one */
#include "fmgr.h"

/* Milvus's limit; of vector and halfvec alike */
#define VECTOR_MAX_DIM 32768

typedef struct Vector
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	uint16		dim;			/* number of elements */
	uint16		unused;			/* always 0 */
	float		x[FLEXIBLE_ARRAY_MEMBER];
} Vector;

/* Bytes of a vector with its header */
#define VECTOR_SIZE(dim) (offsetof(Vector, x) + sizeof(float) * (dim))

/* The argument may be toasted or have a short header; the result never has. */
#define DatumGetVector(d) ((Vector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VECTOR_P(n) DatumGetVector(PG_GETARG_DATUM(n))
#define PG_RETURN_VECTOR_P(v) PG_RETURN_POINTER(v)

/*
 * A palloc'd vector of dim elements, whose values the caller sets.  Inline, not
 * a symbol: pgvector exports a function of this name, and both libraries can be
 * loaded into one backend.
 */
static inline Vector *
InitVector(int dim)
{
	Vector	   *result = (Vector *) palloc(VECTOR_SIZE(dim));

	Assert(dim >= 1 && dim <= VECTOR_MAX_DIM);
	SET_VARSIZE(result, VECTOR_SIZE(dim));
	result->dim = (uint16) dim;
	result->unused = 0;
	return result;
}

/*
 * Number of elements of a vector or halfvec datum, in whatever form it comes.
 * Of a value that is stored out of line only the first chunk is read.
 */
extern int	VectorDatumDim(Datum d);

#endif							/* MILVUS_VECTOR_H */
