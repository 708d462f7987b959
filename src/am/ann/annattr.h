/*
 * annattr.h
 *		Scalar key columns of an ann index ("attributes"): their values in the
 *		growing part and in segments, and conditions on them.
 *
 * README.md in this folder has the layout of the sections and the ways in which a
 * scan uses them.
 */
#ifndef MILVUS_ANNATTR_H
#define MILVUS_ANNATTR_H

#include "am/ann/ann.h"
#include "access/skey.h"
#include "fmgr.h"

/* Strategies of array columns; those of scalar ones are btree's. */
#define ANN_ARRAY_OVERLAPS 1	/* && */
#define ANN_ARRAY_CONTAINS 2	/* @> */
#define ANN_ARRAY_CONTAINED 3	/* <@ */
#define ANN_ARRAY_EQUAL 4		/* = */

/* ---- columns (annattr.c) ---- */

typedef struct AnnAttrColumn
{
	AttrNumber	attno;			/* in the index, from 2 on */
	bool		array;
	Oid			type;			/* of what the dictionary holds: the value, or an array's element */
	Oid			input;			/* of the operator class; what cmp compares */
	Oid			family;
	Oid			collation;
	int16		typlen;			/* of `type` */
	bool		typbyval;
	char		typalign;
	Oid			less;			/* sort operator that agrees with cmp, or InvalidOid */
	FmgrInfo	cmp;
} AnnAttrColumn;

/* The scalar columns of an index. */
typedef struct AnnAttrs
{
	int			n;
	TupleDesc	desc;			/* of the tuples that entries carry */
	AnnAttrColumn columns[FLEXIBLE_ARRAY_MEMBER];
} AnnAttrs;

/*
 * Describe them, in the current memory context; NULL when the index has none.
 * An error when the columns are not a vector and then scalars.
 */
extern AnnAttrs *AnnGetAttrs(Relation index);
/* The tuple of a row, from the values of all index columns; an error if it is too large. */
extern IndexTuple AnnFormAttrs(const AnnAttrs *attrs, Relation index, Datum *values, bool *isnull);

/* ---- durable form (annattr.c) ---- */

#define ANN_ATTRS_MAGIC 0x4d4c564b	/* "MLVK" */
#define ANN_ATTRS_VERSION 1
#define ANN_ATTR_INDEX_MAGIC 0x4d4c5649	/* "MLVI" */

/*
 * ANN_SEC_ATTRS: this header, then a header for each column, then their arrays.
 * Offsets are from the beginning of the section, multiples of 8.
 */
typedef struct AnnAttrsHeader
{
	uint32		magic;
	uint32		version;
	uint32		ncolumns;
	uint32		rows;			/* those with vectors */
	uint64		bytes;			/* of the section */
} AnnAttrsHeader;

typedef struct AnnAttrHeader
{
	uint32		type;			/* AnnAttrColumn.type */
	uint32		array;
	uint32		ndistinct;		/* values in the dictionary, ascending */
	uint32		code_bytes;		/* 1, 2 or 4 */
	uint64		values;			/* 8 bytes each, or the values themselves at places */
	uint64		values_bytes;
	uint64		places;			/* ndistinct + 1 uint64, relative to values; 0: by value */
	uint64		codes;			/* a code a row, ndistinct for NULL; of an array one an element */
	uint64		ncodes;
	uint64		starts;			/* of an array: rows + 1 uint64, its codes ascending; else 0 */
	uint64		flags;			/* of an array: a byte a row; else 0 */
} AnnAttrHeader;

#define ANN_ARRAY_NULL 1		/* the array is NULL */
#define ANN_ARRAY_HAS_NULL 2	/* an element is */

/*
 * ANN_SEC_ATTR_INDEX: this header, then one for each column, then for each the
 * rows by code: those of code c are rows[starts[c]] .. rows[starts[c + 1] - 1],
 * ascending.  Codes are those above and, behind them, NULL; of an array, the
 * empty array and NULL.
 */
typedef struct AnnAttrIndexHeader
{
	uint32		magic;
	uint32		ncolumns;
	uint64		bytes;
} AnnAttrIndexHeader;

typedef struct AnnAttrPostings
{
	uint64		starts;			/* uint64 each, one more than there are codes */
	uint64		rows;			/* uint32 each */
	uint64		nrows;
} AnnAttrPostings;

/* Codes of a column that have postings. */
static inline uint32
AnnAttrCodes(const AnnAttrHeader *header)
{
	return header->ndistinct + (header->array ? 2 : 1);
}

/* Tuples of rows, one behind the other in memory that may move. */
typedef struct AnnAttrRows
{
	char	   *data;
	uint64	   *places;
	uint64		used;
	uint64		capacity;		/* bytes of data */
	uint32		maxplaces;
} AnnAttrRows;

static inline IndexTuple
AnnAttrRow(const AnnAttrRows *rows, uint32 row)
{
	return (IndexTuple) (rows->data + rows->places[row]);
}

/*
 * Make the durable section of n rows, row i of the segment being row order[i] of
 * the tuples (order NULL: row i).  In memory of the arena.
 */
extern void *AnnAttrsBuild(const AnnAttrs *attrs, const AnnAttrRows *rows, const uint32 *order,
						   uint32 n, ScratchArena *arena, uint64 *bytes);
/*
 * The column headers of a durable section, checked as far as they say where
 * things are; NULL when the section is not one of `rows` rows.
 */
extern const AnnAttrHeader *AnnAttrsCheckHeaders(const void *data, uint64 available, uint64 bytes,
												 uint32 rows, int *ncolumns);
/* Check everything else: places, codes and starts in range.  data: all of the section. */
extern bool AnnAttrsCheck(const void *data, uint64 bytes, uint32 rows);
/*
 * The same for n rows read by themselves: n + 1 starts, and then the codes from
 * those of starts[0] on (of a scalar column n codes, starts is not looked at).
 */
extern bool AnnAttrStartsGood(const AnnAttrHeader *header, const uint64 *starts, uint32 n);
extern bool AnnAttrCodesGood(const AnnAttrHeader *header, const char *codes, const uint64 *starts, uint32 n);
/* Bytes of the postings of a checked section, and the postings, into memory of that size. */
extern uint64 AnnAttrIndexBytes(const void *data);
extern void AnnAttrIndexBuild(const void *data, void *index);

/* Rows of a durable section as tuples again, for merges and checks. */
typedef struct AnnAttrsReader AnnAttrsReader;
/* data: a checked section in memory.  An error when it has other columns. */
extern AnnAttrsReader *AnnAttrsReaderCreate(const AnnAttrs *attrs, Relation index, const void *data);
/* In the current memory context. */
extern IndexTuple AnnAttrsReadRow(AnnAttrsReader *reader, uint32 row);
/* Whether two rows mean the same to every condition. */
extern bool AnnAttrsEqual(const AnnAttrs *attrs, IndexTuple a, IndexTuple b);

/* ---- an opened segment's attributes (annattr.c) ---- */

struct AnnSegmentAttrs
{
	int			ncolumns;
	const char *base;			/* of the mapped section; NULL: not mapped */
	const char *index;			/* of the mapped postings */
	AnnAttrHeader headers[INDEX_MAX_KEYS];
	AnnAttrPostings postings[INDEX_MAX_KEYS];	/* when mapped */
};

/* Point at mapped sections and check that they belong together; reads them. */
extern bool AnnAttrsAttach(AnnSegmentAttrs *attrs, const char *base, uint64 bytes,
						   const char *index, uint64 index_bytes, uint32 rows);

/* Offsets and codes read from memory. */
static inline uint32
AnnAttrCode(const char *codes, uint32 code_bytes, uint64 at)
{
	if (code_bytes == 1)
		return ((const uint8 *) codes)[at];
	if (code_bytes == 2)
		return ((const uint16 *) codes)[at];
	return ((const uint32 *) codes)[at];
}

/* ---- conditions (annfilter.c) ---- */

typedef struct AnnFilter AnnFilter;

/*
 * Prepare the scan keys of a scan, in the current memory context; attrs must stay.
 * NULL: there are none.
 */
extern AnnFilter *AnnFilterCreate(const AnnAttrs *attrs, ScanKey keys, int nkeys);
/* Whether rows of a class can match, by the conditions on the vector (IS NULL). */
extern bool AnnFilterAllows(const AnnFilter *filter, AnnRowClass class);
/* Whether there is a condition on a scalar column. */
extern bool AnnFilterHasAttrs(const AnnFilter *filter);
/* Whether the executor must test the table's row again. */
extern bool AnnFilterIsLossy(const AnnFilter *filter);
/* Whether a row of the growing part matches. */
extern bool AnnFilterTuple(AnnFilter *filter, IndexTuple tuple);

/* ---- conditions in a segment (anncondition.c, annfilterseg.c) ---- */

/* How a segment is searched. */
typedef enum AnnFilterWay
{
	ANN_FILTER_NONE,			/* no row matches */
	ANN_FILTER_ROWS,			/* these rows, compared one by one */
	ANN_FILTER_MASK,			/* all but the excluded rows */
	ANN_FILTER_AFTER			/* all rows, tested when they are found */
} AnnFilterWay;

typedef struct AnnCondition AnnCondition;	/* annfilter_internal.h */

/* "exact", "walk", "post", "none", or "mixed", from bits by AnnFilterWay. */
extern const char *AnnFilterWayName(uint32 ways);

/* The conditions in terms of a segment's codes, and the rows that match. */
typedef struct AnnSegmentFilter
{
	AnnFilterWay way;
	double		share;			/* of the rows that match, about */
	uint64		matches;		/* rows that match, about; exact unless the way is AFTER */
	const uint64 *excluded;		/* MASK: rows that do not match, or are marked */
	const uint32 *rows;			/* ROWS: ascending */
	uint32		nrows;
	struct AnnKeptMask *kept;	/* whose mask it is, to be given back; or NULL: its own */
	bool		allowed;		/* AFTER: rows are tested by the mask (annmask.c) */
	/* private */
	AnnViewSegment *segment;
	int			nconditions;
	AnnCondition *conditions;
} AnnSegmentFilter;

/*
 * Turn the conditions into codes of a mapped segment and choose the way, in the
 * current memory context.  NULL: the mapping could not be read.
 */
extern AnnSegmentFilter *AnnFilterSegment(AnnFilter *filter, Relation index,
										  AnnViewSegment *segment, uint32 ef, uint32 nprobe);
/* Masks are kept with the view for the next scan with the same conditions. */
extern void AnnReleaseMask(struct AnnKeptMask *kept);
extern void AnnFreeMasks(AnnViewSegment *segment);
/* Turn AFTER into MASK: false when the mapping could not be read. */
extern bool AnnSegmentFilterMask(AnnSegmentFilter *filter);
/* Whether a row matches; reads the mapping, so to be called under guard. */
extern bool AnnSegmentFilterTest(const AnnSegmentFilter *filter, uint32 row);
/*
 * Set the bits of a segment's rows that do not match, reading its durable form
 * through the buffers.  False: recycled.
 */
extern bool AnnFilterBuffered(AnnFilter *filter, Relation index, const AnnViewSegment *segment,
							  uint64 *excluded);

/* ---- planner (annplan.c) ---- */

extern void AnnInstallPlannerHook(void);

#endif							/* MILVUS_ANNATTR_H */
