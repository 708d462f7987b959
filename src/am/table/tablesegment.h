/*
 * tablesegment.h
 *		An open segment, as tablesegment.c and tablecache.c share it.
 */
#ifndef MILVUS_TABLESEGMENT_H
#define MILVUS_TABLESEGMENT_H

#include "lib/ilist.h"
#include "table.h"
#include "tableroot.h"

typedef struct TableColumn TableColumn;

/* A chunk in this backend's memory. */
struct TableDecoded
{
	dlist_node	node;			/* in the list of all, used last first */
	TableColumn *column;
	uint32		chunk;
	uint32		pins;			/* views that hold it */
	Size		bytes;
	MemoryContext context;
	ColumnView	view;			/* of the column's width */
};

struct TableColumn
{
	/* the mapped column; values are NULL when it is not */
	const uint8 *values;
	const uint32 *offsets;		/* variable width */
	const uint8 *nulls;			/* NULL: none */
	uint32		width;
	int16		attlen;
	bool		byval;
	bool		dropped;
	bool		trusted;		/* all of the mapping was verified */

	const TableRootColumn *root;
	const TableRootChunk *chunks;
	AttrNumber	attnum;			/* 0: TIDs */
	TableDecoded **decoded;		/* by chunk; NULL: none yet */
	uint32		misses;			/* chunks that had to be decoded */
	uint64		missed_bytes;
	uint8	   *filters;		/* Bloom filters, when they were asked for */
	SegmentMap *map;			/* NULL: none */
	SegmentCacheKey key;		/* of what is mapped */
	bool		broken;			/* what is mapped was found to be damaged */
	uint64		no_map;			/* transaction in which it could not be mapped */
	uint64		looked;			/* transaction, and misses then, in which a file was looked for */
	uint32		looked_misses;
};

typedef struct TableSegmentKey
{
	Oid			relid;
	Oid			space;
	Oid			relation;		/* file number */
	Oid			root;
} TableSegmentKey;

struct TableSegment
{
	TableSegmentKey key;		/* must be first: hash key */
	dlist_node	node;			/* in the list of all, used last first */
	uint32		tag;
	uint32		rows;
	uint32		natts;
	bool		stale;			/* the relation changed: closed at the end of the transaction */
	bool		changed;		/* ... and missing values have to be read again */
	uint64		used;			/* transaction that used it last */
	int64		verified;		/* when its root was read */
	MemoryContext context;
	Oid			toast;
	const TableRoot *root;
	const char *pool;
	TableColumn *columns;		/* natts + 1 */
	int			nmissing;		/* attributes after natts whose missing values are here */
	Datum	   *missing;
	bool	   *missing_null;
};

/* ---- tablesegment.c ---- */

/* The number of the running transaction of this backend, counted by its ends. */
extern uint64 TableTransaction(void);

/* Read and decode a chunk into the current memory context. */
extern void TableSegmentReadChunk(TableSegment *segment, TableColumn *column, uint32 chunk, ColumnView *view);

/* ---- tablecache.c ---- */

/* Map a column, making its cache file unless another process is at it; false: it cannot be. */
extern bool TableColumnMap(TableSegment *segment, TableColumn *column);
/* The same for a single value: when the file is there, or enough was decoded for want of one. */
extern bool TableColumnMapForFetch(TableSegment *segment, TableColumn *column);
/* Verify what rows first .. first + n - 1 of a mapped column need; false: it is damaged, and unmapped. */
extern bool TableColumnVerify(TableSegment *segment, TableColumn *column, uint32 first, uint32 n);
extern void TableColumnUnmap(TableColumn *column);
/* After an I/O error on some mapping: remove the files that the segment has mapped. */
extern void TableColumnFault(TableSegment *segment);

#endif							/* MILVUS_TABLESEGMENT_H */
