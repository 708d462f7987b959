/*
 * page.h
 *		The header that every page of an `ann` index carries after PostgreSQL's.
 *
 *	  0        24                     64                          8192
 *	  +--------+----------------------+---------------------------+
 *	  | page   | SegPageHeader        | contents                  |
 *	  | header | kind, owner, number  | (8,128 bytes)             |
 *	  +--------+----------------------+---------------------------+
 *
 * `owner` is the 128-bit random id of the segment that the page belongs to, or
 * of the index for pages outside segments.  A page that was recycled names
 * another owner or ordinal, which is how a reader finds out.
 */
#ifndef MILVUS_SEGMENT_PAGE_H
#define MILVUS_SEGMENT_PAGE_H

#include "postgres.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/rel.h"

#define SEG_ID_LEN 16

typedef struct SegmentId
{
	uint8		bytes[SEG_ID_LEN];
} SegmentId;

typedef enum SegPageKind
{
	SEG_PAGE_META = 1,			/* block 0 */
	SEG_PAGE_MANIFEST = 2,
	SEG_PAGE_GROWING = 3,
	SEG_PAGE_GROWING_REST = 4,	/* the rest of a vector larger than a page */
	SEG_PAGE_HEADER = 5,		/* first page of a segment */
	SEG_PAGE_DATA = 6,
	SEG_PAGE_MARKS = 7,
	SEG_PAGE_FREE = 8			/* nobody's; see SegLogEnd() */
} SegPageKind;

#define SEG_PAGE_MAGIC 0x4d4c5650	/* "MLVP" */

typedef struct SegPageHeader
{
	uint32		magic;
	uint16		kind;
	uint16		flags;
	SegmentId	owner;
	uint32		number;			/* position in the extent, or kind-specific */
	BlockNumber next;			/* next page of a chain */
	uint64		ordinal;		/* growing: number of the page's first entry */
} SegPageHeader;

/* Bytes of contents a page has, and where they begin. */
#define SEG_PAGE_OFFSET 64
#define SEG_PAGE_PAYLOAD (BLCKSZ - SEG_PAGE_OFFSET)

StaticAssertDecl(SizeOfPageHeaderData == 24 && sizeof(SegPageHeader) == 40,
				 "page headers must fill 64 bytes");

static inline SegPageHeader *
SegPageGetHeader(Page page)
{
	return (SegPageHeader *) ((char *) page + SizeOfPageHeaderData);
}

static inline char *
SegPageGetContents(Page page)
{
	return (char *) page + SEG_PAGE_OFFSET;
}

static inline bool
SegmentIdEquals(const SegmentId *a, const SegmentId *b)
{
	return memcmp(a->bytes, b->bytes, SEG_ID_LEN) == 0;
}

/* A new random id. */
extern void SegmentIdGenerate(SegmentId *id);
/* 32 hexadecimal digits into buf (33 bytes). */
extern void SegmentIdToString(const SegmentId *id, char *buf);

/*
 * Make an empty page.  used: bytes of contents that count (the rest is a hole
 * that WAL leaves out).
 */
extern void SegPageInit(Page page, SegPageKind kind, const SegmentId *owner,
						uint32 number, Size used);

/* Whether a page is initialised, of this kind and of this owner. */
extern bool SegPageIs(Page page, SegPageKind kind, const SegmentId *owner);

/*
 * Extend the relation by nblocks zeroed, contiguous blocks and return the first.
 * The space is allocated, so a full disk is met here.
 */
extern BlockNumber SegReserveBlocks(Relation rel, BlockNumber nblocks);

/*
 * Write and log an empty page in a block that nobody uses, so that after redo the
 * file reaches at least that far.
 */
extern void SegLogEnd(Relation rel, BlockNumber block);

#endif							/* MILVUS_SEGMENT_PAGE_H */
