/*
 * segment.h
 *		Segments: immutable sets of named byte arrays ("sections"), durable in the
 *		pages of a relation, and their query form in a mapped cache file.
 *
 * The layer does not know what the sections mean.  Durable form: one extent of
 * contiguous blocks,
 *
 *	  [header page][data pages ...][mark pages ...]
 *
 * where the data pages' contents, joined, are the sections one after the other
 * at 64-byte aligned offsets, and the mark pages hold one bit a row, set when
 * the row's table tuple is dead.  Only mark pages change after publishing.
 */
#ifndef MILVUS_SEGMENT_H
#define MILVUS_SEGMENT_H

#include "segment/page.h"
#include "port/pg_crc32c.h"

#define SEGMENT_MAGIC 0x4d4c5653	/* "MLVS" */
#define SEGMENT_VERSION 2
#define SEGMENT_MAX_SECTIONS 24
#define SEGMENT_PARAMS_LEN 128
#define SEGMENT_ALIGN 64

typedef struct SegmentSection
{
	uint32		id;
	pg_crc32c	crc;			/* of the section's bytes */
	uint64		offset;			/* in the joined contents of the data pages */
	uint64		bytes;
} SegmentSection;

/* Contents of the header page. */
typedef struct SegmentHeader
{
	uint32		magic;
	uint32		version;
	SegmentId	id;
	uint8		params[SEGMENT_PARAMS_LEN]; /* the caller's */
	uint64		rows;			/* rows that have a mark bit */
	int64		created;		/* TimestampTz */
	uint32		data_pages;
	uint32		mark_pages;
	uint32		nsections;
	uint32		reserved;
	SegmentSection sections[SEGMENT_MAX_SECTIONS];
	pg_crc32c	crc;			/* of all before */
} SegmentHeader;

/* Rows whose marks one mark page holds. */
#define SEGMENT_MARKS_PER_PAGE (SEG_PAGE_PAYLOAD * 8)

/* ---- writer.c ---- */

/*
 * Give the sections of `header` their offsets and compute page counts from
 * nsections, sections[].id/.bytes and rows.  Returns the blocks of the extent.
 */
extern BlockNumber SegmentPlan(SegmentHeader *header);

typedef struct SegmentWriter SegmentWriter;

/*
 * Write a planned segment into the blocks start.. of an extent that nobody else
 * reads yet: SegmentWriterAppend in the order of the sections, exactly their
 * bytes, then Finish, which logs everything.  marks: bits of the rows that are
 * dead already, or NULL.
 */
extern SegmentWriter *SegmentWriterBegin(Relation rel, const SegmentHeader *header, BlockNumber start);
extern void SegmentWriterAppend(SegmentWriter *writer, const void *data, Size bytes);
extern void SegmentWriterFinish(SegmentWriter *writer, const uint64 *marks);

/* ---- reader.c ---- */

typedef struct SegmentReader
{
	Relation	rel;
	SegmentId	id;
	BlockNumber start;
	BufferAccessStrategy strategy;
	Buffer		buffer;			/* pinned, not locked; or InvalidBuffer */
	BlockNumber block;
} SegmentReader;

/*
 * Read through the buffer manager.  All return false when a page is not (any
 * longer) this segment's: the caller looks at the manifest again.
 */
extern bool SegmentReaderOpen(SegmentReader *reader, Relation rel, const SegmentId *id,
							  BlockNumber start, SegmentHeader *header);
extern bool SegmentReaderRead(SegmentReader *reader, uint64 offset, Size bytes, void *dst);
/* Let go of the page held between reads. */
extern void SegmentReaderRelease(SegmentReader *reader);
extern const SegmentSection *SegmentFindSection(const SegmentHeader *header, uint32 id);
/* OR the segment's marks into bits (SEGMENT_MARK_WORDS(rows) words); counts them. */
extern bool SegmentReadMarks(Relation rel, const SegmentId *id, BlockNumber start,
							 const SegmentHeader *header, uint64 *bits, uint64 *count);
/* Set marks (bits to set in `bits`), logged, page by page. */
extern bool SegmentWriteMarks(Relation rel, const SegmentId *id, BlockNumber start,
							  const SegmentHeader *header, const uint64 *bits);

#define SEGMENT_MARK_WORDS(rows) (((rows) + 63) / 64)

/* ---- cache.c ---- */

/*
 * Called between the pieces of long work on files and pages, with the bytes of files that were read
 * and written since; may sleep and raise errors.  No lock on a page is held.  NULL: nobody wants to know.
 */
extern void (*SegmentPace) (Size read, Size written);

/* Bytes that one checksum of a file with pieces is of; a section begins a new one. */
#define SEGMENT_PIECE_BYTES (256 * 1024)

/* A segment's query form, mapped read-only. */
typedef struct SegmentMap
{
	void	   *base;			/* NULL: not mapped */
	Size		bytes;
	int			nsections;
	SegmentSection sections[SEGMENT_MAX_SECTIONS];	/* offset is into base */
	/* of a file with pieces that this server has not verified: which ones this map has */
	uint32		unverified;		/* number that are not; 0: the whole file is good */
	uint8	   *verified;		/* bits, malloc'd; in the order of the sections */
	const pg_crc32c *pieces;	/* in the mapping */
} SegmentMap;

/* What names a cache file: the relation's physical identity and the segment. */
typedef struct SegmentCacheKey
{
	Oid			space;
	Oid			database;
	Oid			relation;
	SegmentId	id;
} SegmentCacheKey;

extern void SegmentCacheKeyInit(SegmentCacheKey *key, Relation rel, const SegmentId *id);
/* Map an existing, intact file; false when there is none. */
extern bool SegmentCacheOpen(const SegmentCacheKey *key, SegmentMap *map);
extern bool SegmentCacheExists(const SegmentCacheKey *key);
extern void SegmentCacheClose(SegmentMap *map);
/*
 * Verify what `bytes` bytes at `offset` of a section need, by reading the mapping.  False:
 * they are damaged, or cannot be read.  Only needed where map->unverified is not 0; a file
 * without pieces never needs it.
 */
extern bool SegmentCacheVerify(const SegmentCacheKey *key, SegmentMap *map, int section, uint64 offset,
							   uint64 bytes);
/* Remove the file; mappings of it stay valid. */
extern void SegmentCacheDrop(const SegmentCacheKey *key);

typedef struct SegmentCacheFill SegmentCacheFill;

/*
 * Make a file: Begin allocates the space and returns NULL, with a warning once a
 * session, when that cannot be done; Write appends to a section (each section
 * in order); Publish gives the file its name.  A fill that is not published
 * vanishes with the current memory context.
 */
extern SegmentCacheFill *SegmentCacheBegin(const SegmentCacheKey *key, const SegmentSection *sections,
										   int nsections);
/*
 * A file that may be large and of which little may be read at first: with a checksum for each
 * SEGMENT_PIECE_BYTES, verified when they are needed.  NULL without a warning when it does not
 * fit beside the files that were used in the last minute.
 */
extern SegmentCacheFill *SegmentCacheBeginPieces(const SegmentCacheKey *key, const SegmentSection *sections,
												 int nsections);
extern bool SegmentCacheWrite(SegmentCacheFill *fill, uint32 section, uint64 offset,
							  const void *data, Size bytes);
extern bool SegmentCachePublish(SegmentCacheFill *fill);
/* Close a fill, published or not; to be called unless an error ends it. */
extern void SegmentCacheEnd(SegmentCacheFill *fill);

/*
 * Remove the files of a relation whose segments are not among ids (nids = 0: all
 * of them).
 */
extern void SegmentCacheSweep(Relation rel, const SegmentId *ids, int nids);
/* Remove the files used longest ago until milvus.cache_size is kept. */
extern void SegmentCacheTrim(void);
/* The same by the first nbytes bytes of ids: of segments that have several files. */
extern void SegmentCacheSweepPrefix(Relation rel, const SegmentId *ids, int nids, int nbytes);
/* Remove the files of relations that are not there any more, and abandoned ones. */
extern void SegmentCacheSweepUnknown(void);
/* Bytes of cache files of a relation. */
extern uint64 SegmentCacheBytes(Relation rel);

/* ---- scratch.c ---- */

/*
 * Memory for builds: aligned to 64 bytes, freed with the memory context in which
 * the arena was made.  What passes `budget` bytes lies in unlinked files that
 * the kernel can write back.
 */
typedef struct ScratchArena ScratchArena;
extern ScratchArena *ScratchArenaCreate(Size budget);
extern void *ScratchAlloc(ScratchArena *arena, Size bytes); /* NULL: no memory */
extern void *ScratchResize(ScratchArena *arena, void *p, Size bytes);	/* NULL: p is as it was */
extern void ScratchFree(ScratchArena *arena, void *p);
extern void ScratchArenaDestroy(ScratchArena *arena);

/* ---- guard.c ---- */

/*
 * Memory that others read unguarded, wherever a pointer into it may go: an I/O error there
 * is an ERROR of the statement.  Its address and the number of such errors so far.
 */
extern void SegmentGuardWatch(const void *base, Size bytes);
extern void SegmentGuardUnwatch(const void *base);
extern uint32 SegmentGuardFaults(void);

/*
 * Run fn(arg), which reads mapped files and changes nothing that outlives an
 * early end.  Returns false when an I/O error on a mapping (SIGBUS) ended it.
 */
extern bool SegmentGuardedCall(void (*fn) (void *arg), void *arg);

/*
 * For a callback of fn that leaves it for a while, to take locks or to raise errors:
 * suspend the guard before, resume it with what that returned afterwards.
 */
extern void *SegmentGuardSuspend(void);
extern void SegmentGuardResume(void *suspended);

#endif							/* MILVUS_SEGMENT_H */
