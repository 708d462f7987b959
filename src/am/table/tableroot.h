/*
 * tableroot.h
 *		The root of a segment: the TOAST value that describes it.  Written by
 *		tablebuild.c, read by tablesegment.c, in the machine's own byte order as
 *		everything in a data directory is.
 *
 *	  [TableRoot][TableRootColumn x (natts + 1)][TableRootChunk x nchunks][pool]
 *
 * Column 0 holds the rows' TIDs, column i attribute i.  The pool holds what is not of one
 * size: minima and maxima of strings as varlenas with full headers at multiples of 4, and names
 * of codecs with a zero byte at the end.  Offsets into it count from its beginning.
 */
#ifndef MILVUS_TABLEROOT_H
#define MILVUS_TABLEROOT_H

#include "port/pg_crc32c.h"
#include "segment/segment.h"

#define TABLE_ROOT_MAGIC 0x4d4c5452
#define TABLE_ROOT_VERSION 1

typedef struct TableRoot
{
	uint32		magic;
	uint32		version;
	SegmentId	id;
	uint32		bytes;			/* of the whole value */
	uint32		natts;			/* of the rows' descriptor, dropped ones included */
	uint32		rows;
	uint32		nchunks;
	uint32		pool_bytes;
	pg_crc32c	crc;			/* of the whole value, this field taken as 0 */
} TableRoot;

/* TableRootColumn.flags */
#define TABLE_ROOT_KEPT 0x01	/* stubs keep the column */
#define TABLE_ROOT_DROPPED 0x02 /* had been dropped: no chunks, null in all rows */
#define TABLE_ROOT_BYVAL 0x04
#define TABLE_ROOT_TOASTED 0x08 /* heap may have had values compressed; see README, storage PLAIN */

typedef struct TableRootColumn
{
	Oid			typid;			/* as declared, InvalidOid: TIDs */
	int16		attlen;
	char		attalign;
	uint8		flags;
	uint32		align;			/* bytes: of variable values */
	uint32		width;			/* decoded bytes a value in all chunks; 0: they vary */
	uint32		chunk_rows;		/* of each chunk but the last */
	uint32		first_chunk;	/* in the chunk array */
	uint32		nchunks;
	uint32		nulls;
	Oid			bloom;			/* value with the Bloom filters of all chunks, or InvalidOid */
	uint32		bloom_bytes;
	uint64		raw_bytes;		/* decoded, of values alone */
	uint64		stored_bytes;
} TableRootColumn;

/* What minimum and maximum of a chunk are. */
typedef enum TableRootRange
{
	TABLE_RANGE_NONE,
	TABLE_RANGE_DATUM,			/* by value */
	TABLE_RANGE_POOL			/* offsets into the pool */
} TableRootRange;

typedef struct TableRootChunk
{
	Oid			value;			/* TOAST value id of the encoded chunk */
	uint32		rows;
	uint32		nulls;
	uint8		range;			/* TableRootRange */
	bool		maximum_cut;	/* the maximum is a prefix of the real one */
	uint16		reserved;
	uint32		codec;			/* name, in the pool */
	uint32		bloom_offset;	/* in the column's filters */
	uint32		bloom_bytes;	/* 0: no filter */
	uint32		stored_bytes;
	uint64		raw_bytes;		/* decoded values */
	uint64		minimum;		/* a Datum's bits, or an offset into the pool */
	uint64		maximum;
} TableRootChunk;

/* ---- tablestore.c, for writers of segments ---- */

/* The number that a new entry of the manifest in `toast` gets. */
extern int32 TableNextNumber(Relation toast);

/* ---- tablesegment.c ---- */

/* Make cache files of all columns of the segment with this root in `toast`, as far as there is room. */
extern void TableSegmentWarmRoot(Relation rel, Relation toast, Oid root);

#endif							/* MILVUS_TABLEROOT_H */
