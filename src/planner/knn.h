/*
 * knn.h
 *		Exact nearest neighbours over the columns of `milvus` tables.  Private to
 *		src/planner, but for KnnInstall(); README.md explains the parts.
 */
#ifndef MILVUS_KNN_H
#define MILVUS_KNN_H

#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "planner/columnscan.h"
#include "segment/column.h"
#include "storage/itemptr.h"

extern void KnnInstall(void);

/* ---- knndistance.c: distances of a query and the values of a column ---- */

typedef enum KnnElement
{
	KNN_FLOAT32,
	KNN_FLOAT16,
	KNN_BFLOAT16,
	KNN_INT8,
	KNN_BITS,
	KNN_OTHER /* only by calling the function */
} KnnElement;

typedef enum KnnMetric
{
	KNN_L2,
	KNN_L2_SQUARED,
	KNN_IP, /* negative inner product */
	KNN_COSINE,
	KNN_L1,
	KNN_HAMMING,
	KNN_JACCARD
} KnnMetric;

/* A distance function of this extension that gives float8. */
typedef struct KnnFunction
{
	KnnElement element;
	KnnMetric metric;
} KnnFunction;

/* Is funcid one?  Told by its address: other libraries have functions of the same names. */
extern bool KnnFindFunction(Oid funcid, KnnFunction *function);

/* The value that rows are compared with. */
typedef struct KnnQuery
{
	KnnFunction function;
	bool isnull;    /* every distance is null then */
	Datum datum;    /* detoasted, four-byte header */
	const uint8 *x; /* elements */
	uint32 count;   /* of elements; bits of a bit string */
	Size payload;   /* bytes after the header */
} KnnQuery;

extern void KnnQueryInit(KnnQuery *query, const KnnFunction *function, Datum value, bool isnull);

/*
 * Where the elements of a value begin, if it can be compared with the query without calling
 * the function: not compressed, of the same number of elements.  Else NULL.
 */
extern const uint8 *KnnElements(const KnnQuery *query, const void *value);

/*
 * Distances, as the function gives them, of n values whose elements begin at x, stride bytes
 * apart.
 */
extern void KnnScores(const KnnQuery *query, const uint8 *x, Size stride, int n, double *scores);

/* ---- knnheap.c: the k nearest ---- */

typedef enum KnnClass
{
	KNN_NUMBER,
	KNN_NAN, /* after all numbers */
	KNN_NULL /* last */
} KnnClass;

/* A row's place in the answer: by class, score, TID. */
typedef struct KnnPlace
{
	double score; /* 0 unless a number */
	ItemPointerData tid;
	uint8 class;
} KnnPlace;

typedef struct KnnHeap
{
	KnnPlace *places; /* the last one first, until KnnHeapSort */
	int64 n;
	int64 room; /* allocated */
	int64 k;
	MemoryContext context;
} KnnHeap;

extern KnnPlace KnnMakePlace(double score, bool isnull);
extern int KnnCompare(const KnnPlace *a, const KnnPlace *b);

extern void KnnHeapInit(KnnHeap *heap, MemoryContext context);
extern void KnnHeapReset(KnnHeap *heap, int64 k);
extern void KnnHeapAdd(KnnHeap *heap, const KnnPlace *place);
/* In the order of the answer; nothing may be added after it. */
extern void KnnHeapSort(KnnHeap *heap);

/* Could a place of this class and score be among the k nearest, whatever its TID? */
static inline bool
KnnHeapMayTake(const KnnHeap *heap, double score, KnnClass class)
{
	const KnnPlace *last = heap->places;

	if (heap->n < heap->k)
		return true;
	return class < last->class || (class == last->class && score <= last->score);
}

/* ---- knngemm.c: distances of many queries, estimated by matrix products ---- */

typedef struct KnnGemm KnnGemm;

/*
 * For queries of one number of elements; NULL when matrix products are of no use to them.  In
 * the current memory context.  The queries must stay where they are.
 */
extern KnnGemm *KnnGemmMake(const KnnQuery *const *queries, int n, int max_rows);
/* Multiply with n <= max_rows rows, whose elements begin at x, stride bytes (of whole floats)
 * apart. */
extern void KnnGemmRows(KnnGemm *gemm, const uint8 *x, Size stride, int n);
/* Of these rows: numbers that no distance from a query is below (NaN: any distance). */
extern void KnnGemmBounds(const KnnGemm *gemm, int query, int n, double *bounds);

/* ---- knnjoin.c: joins with lists of queries ---- */

/* Values that are searched together. */
#define KNN_LOOKAHEAD 64

extern void KnnJoinInstall(void);
/* Values that a parameter will have next, none null; valid until the next row of the join's outer
 * side. */
extern int KnnLookaheadValues(EState *estate, int param, const Datum **values);
/* Does an expression hold parameters that may change between rescans? */
extern bool KnnUsesParams(Node *node);

/* ---- knnpath.c ---- */

/* The parameter whose value's neighbours a path gives, through LIMIT; -1: none. */
extern int KnnPathParam(Path *path);

/* ---- knnscan.c: the plan node ---- */

/* custom_private of paths and plans, in this order. */
typedef enum KnnPrivate
{
	KNN_PRIVATE_ATTNUM,   /* the column */
	KNN_PRIVATE_FUNCTION, /* Oid of the distance function */
	KNN_PRIVATE_COLLATION,
	KNN_PRIVATE_SWAPPED,     /* the column is the second argument */
	KNN_PRIVATE_LIMIT,       /* rows expected to be asked for, 0: not known */
	KNN_PRIVATE_QUERY_PARAM, /* paramid when the query is just that PARAM_EXEC, -1: not */
	KNN_PRIVATE_COUNT
} KnnPrivate;

/* custom_exprs of plans: lists, in this order. */
typedef enum KnnExprs
{
	KNN_EXPRS_QUERY,   /* the value to compare with */
	KNN_EXPRS_LIMIT,   /* LIMIT and OFFSET, when they are parameters */
	KNN_EXPRS_COLUMNS, /* conditions evaluated on columns */
	KNN_EXPRS_ORDER    /* the distance, for EXPLAIN */
} KnnExprs;

extern const CustomScanMethods KnnScanMethods;

#endif /* MILVUS_KNN_H */
