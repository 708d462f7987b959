/*
 * sparsevec.h
 *		The type sparsevec: the positions and values of the elements that are not
 *		zero.
 *
 * The layout is that of pgvector's rows and of its client libraries' binary format,
 * except that dim and positions are unsigned: Milvus has positions up to 2^32 - 2.
 * Positions count from 0 here and in the binary form, from 1 in text.
 */
#ifndef MILVUS_SPARSEVEC_H
#define MILVUS_SPARSEVEC_H

#include "access/htup_details.h"	/* brings varatt.h where there is one */
#include "fmgr.h"

/* So that the last position is 2^32 - 2, Milvus's limit */
#define SPARSEVEC_MAX_DIM UINT32_C(4294967295)

/* Elements that are not zero: 8 MB.  pgvector's limit is 16,000. */
#define SPARSEVEC_MAX_NNZ 1000000

typedef struct SparseVec
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	uint32		dim;			/* number of dimensions, 1 to SPARSEVEC_MAX_DIM */
	uint32		nnz;			/* number of elements, at most SPARSEVEC_MAX_NNZ */
	uint32		unused;			/* always 0 */
	uint32		indices[FLEXIBLE_ARRAY_MEMBER]; /* ascending, each below dim */
	/* then nnz floats: finite, not zero */
} SparseVec;

/* Bytes of a sparsevec with its header */
#define SPARSEVEC_SIZE(nnz) \
	(offsetof(SparseVec, indices) + (sizeof(uint32) + sizeof(float)) * (nnz))

/* The values, in the order of the positions */
#define SPARSEVEC_VALUES(v) ((float *) ((v)->indices + (v)->nnz))

/* The argument may be toasted or have a short header; the result never has. */
#define DatumGetSparseVec(d) ((SparseVec *) PG_DETOAST_DATUM(d))
#define PG_GETARG_SPARSEVEC_P(n) DatumGetSparseVec(PG_GETARG_DATUM(n))
#define PG_RETURN_SPARSEVEC_P(v) PG_RETURN_POINTER(v)

/*
 * A palloc'd sparsevec with room for nnz elements, whose positions and values the
 * caller sets.
 */
static inline SparseVec *
InitSparseVec(uint32 dim, uint32 nnz)
{
	SparseVec  *result = (SparseVec *) palloc(SPARSEVEC_SIZE(nnz));

	Assert(dim >= 1 && nnz <= SPARSEVEC_MAX_NNZ);
	SET_VARSIZE(result, SPARSEVEC_SIZE(nnz));
	result->dim = dim;
	result->nnz = nnz;
	result->unused = 0;
	return result;
}

#endif							/* MILVUS_SPARSEVEC_H */
