/*
 * sparse.h
 *		What the files about sparsevec share.  Private to src/types.
 */
#ifndef MILVUS_SPARSE_H
#define MILVUS_SPARSE_H

#include "nodes/nodes.h"
#include "types/sparsevec.h"

/* One element */
typedef struct SparseElement
{
	uint32		index;
	float		value;
} SparseElement;

/* A sparsevec that grows at its end */
typedef struct SparseBuilder
{
	uint32		dim;
	uint32		nnz;
	uint32		room;
	SparseElement *elements;
} SparseBuilder;

extern void SparseBuilderInit(SparseBuilder *builder, uint32 dim, uint32 room);
extern bool SparseBuilderAdd(SparseBuilder *builder, uint32 index, float value,
							 Node *escontext);
extern SparseVec *SparseBuilderFinish(SparseBuilder *builder);

/* checks; those with escontext raise the error, or save it and return false */
extern bool SparseCheckDim(int64 dim, Node *escontext);
extern bool SparseCheckCount(int64 nnz, Node *escontext);
extern bool SparseCheckExpected(int32 typmod, uint32 dim, Node *escontext);
extern void SparseCheckSame(const SparseVec *a, const SparseVec *b);

#endif							/* MILVUS_SPARSE_H */
