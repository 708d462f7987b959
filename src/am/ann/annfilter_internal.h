/*
 * annfilter_internal.h
 *		What annfilter.c, anncondition.c and annfilterseg.c share: scan keys made
 *		ready, and the conditions on a segment's codes that come of them.
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

/* ---- anncondition.c ---- */

/* Codes lo <= code < hi. */
typedef struct AnnCodeRange
{
	uint32		lo;
	uint32		hi;
} AnnCodeRange;

/* What is asked of one column: a scalar one by ranges, an array by a set of codes. */
struct AnnCondition
{
	int			i;				/* column */
	bool		array;
	int			nranges;		/* ascending, disjoint; all keys of the column together */
	AnnCodeRange *ranges;
	uint8	   *table;			/* of a column with several ranges: by code; or NULL */
	StrategyNumber strategy;
	int			ncodes;			/* ascending */
	uint32	   *codes;
	bool		has_null;		/* strategy =: the array has a NULL */
	uint64		count;			/* rows; of an array a bound */
};

/* Where the section of scalar columns is read: a mapping, or pages. */
typedef struct AnnAttrsSource
{
	const AnnSegmentAttrs *attrs;
	SegmentReader reader;		/* not mapped (attrs->base is NULL) */
	uint64		offset;			/* of the section, then */
	bool		failed;			/* recycled, or an I/O error */
} AnnAttrsSource;

/* Bytes of the section, to the caller's memory.  False: it failed, as everything after it does. */
extern bool AnnReadSource(AnnAttrsSource *source, uint64 offset, Size bytes, void *to);
/*
 * The conditions of a filter on a segment, one a column but of arrays one a key, in the current memory
 * context.  False: no row matches, or the source failed.
 */
extern bool AnnMakeConditions(AnnFilter *filter, AnnAttrsSource *source, const AnnAttrHeader *headers,
							  AnnCondition **conditions, int *nconditions);
/* Whether a row of a mapped segment meets a condition; base: the section.  May run under guard. */
extern bool AnnConditionMatches(const AnnCondition *condition, const AnnAttrHeader *header,
								const char *base, uint32 row);
/*
 * Bits of n rows that meet a condition.  codes, starts and flags are those of the first row on; starts are
 * less `base_start`.  May run under guard.
 */
extern void AnnConditionMask(const AnnCondition *condition, const AnnAttrHeader *header,
							 const char *codes, const uint64 *starts, uint64 base_start,
							 const uint8 *flags, uint32 n, uint64 *mask);

#endif							/* MILVUS_ANNFILTER_INTERNAL_H */
