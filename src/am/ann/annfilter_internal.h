/*
 * annfilter_internal.h
 *		What annfilter.c and annfilterseg.c share: scan keys made ready.
 */
#ifndef MILVUS_ANNFILTER_INTERNAL_H
#define MILVUS_ANNFILTER_INTERNAL_H

#include "am/ann/annattr.h"
#include "access/stratnum.h"

typedef enum AnnKeyKind
{
	ANN_KEY_COMPARE,			/* column <op> values[0] */
	ANN_KEY_ANY_OF,				/* column = any of the values */
	ANN_KEY_ARRAY,				/* array column <op> array */
	ANN_KEY_IS_NULL,
	ANN_KEY_NOT_NULL
} AnnKeyKind;

/* A scan key on a scalar column. */
typedef struct AnnFilterKey
{
	AnnKeyKind	kind;
	int			i;				/* of the column, from 0 */
	StrategyNumber strategy;
	int			nvalues;
	Datum	   *values;			/* not NULL; ascending, distinct; of an array key its elements */
	bool		has_null;		/* an array key's array has a NULL */
	FmgrInfo	cmp;			/* compares the column's value with one of these */
	FmgrInfo   *func;			/* the operator itself, for growing rows */
	Datum		argument;
	Oid			collation;
} AnnFilterKey;

struct AnnFilter
{
	const AnnAttrs *attrs;
	bool		nothing;		/* no row can match */
	bool		lossy;
	bool		vector_null;	/* the vector IS NULL */
	bool		vector_not_null;
	int			nkeys;
	AnnFilterKey *keys;
};

#endif							/* MILVUS_ANNFILTER_INTERNAL_H */
