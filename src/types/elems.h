/*
 * elems.h
 *		What the vector types share: checks, text, sums.  Private to src/types.
 *
 * The functions work on arrays of float32 and on the name of the type that
 * errors speak of; narrower types convert from and to float32 around them.  Errors in
 * what a user gave have these SQLSTATEs, pgvector's, for all types:
 *
 *	  22P02  text that is not a vector
 *	  22003  a number that the type's elements cannot hold
 *	  54000  more than VECTOR_MAX_DIM dimensions
 *	  22000  any other wrong dimension, NaN, infinity
 */
#ifndef MILVUS_ELEMS_H
#define MILVUS_ELEMS_H

#include "compat.h"
#include "lib/stringinfo.h"
#include "nodes/nodes.h"
#include "types/vector.h"
#include "utils/array.h"
#include "utils/varbit.h"

/* Number of float32 elements that loops converting piece by piece hold on the stack */
#define ELEMS_CHUNK 256

/* dimensions */
extern bool DimsCheck(const char *type, int dim, Node *escontext);
extern bool DimsCheckExpected(int32 typmod, int dim, Node *escontext);
extern void DimsCheckSame(const char *type, int a, int b);
extern int32 DimsTypmodIn(const char *type, ArrayType *typmods, int32 max);
extern int	DimsSubrange(const char *type, int dim, int *start, int count);
extern int	DimsReceive(const char *type, StringInfo buf, int32 typmod);

/* elements */
extern bool ElemsCheckElement(const char *type, float x, int i, Node *escontext);
extern void ElemsCheckFinite(const char *type, const float *x, int n);
extern bool ElemsAnyNonFinite(const float *x, int n);
extern double ElemsNorm(const float *x, int n);
extern void ElemsNormalize(const float *x, float *result, int n);
extern VarBit *ElemsBinaryQuantize(const float *x, int n);

/* result[i] = a[i] op b[i]; result may be a or b */
typedef void (*ElemsOp) (const float *a, const float *b, float *result, int n);
extern void ElemsAdd(const float *a, const float *b, float *result, int n);
extern void ElemsSub(const float *a, const float *b, float *result, int n);
extern void ElemsMul(const float *a, const float *b, float *result, int n);

/* text */
extern bool ElemsIsSpace(char c);
extern int	ElemsMaxCount(const char *str);
/* reads a number as FloatParse() does, see float_parse.h */
typedef float (*ElemParser) (const char *s, const char **end, bool *overflow);
extern int	ElemsParse(const char *str, const char *type, ElemParser parse, float overflow,
					   float *x, Node *escontext);
extern char *ElemsPrint(const float *x, int n);

#endif							/* MILVUS_ELEMS_H */
