/*
 * annseal.c
 *		Sealing the growing part, merging segments, publishing, and finding blocks
 *		that a crash left behind.
 *
 * All of it runs under the manifest lock, one process an index, while inserts,
 * scans and VACUUM go on.  README.md has the argument why nothing is lost.
 */
#include "postgres.h"

#include "access/transam.h"
#include "am/ann/ann.h"
#include "am/ann/annattr.h"
#include "coord_bgworkers/coord.h"
#include "guc.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "postmaster/bgworker.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* A segment with a larger share of dead rows than this is written anew. */
#define DEAD_SHARE_MERGE 0.2

/*
 * VACUUM leaves a growing part that is smaller than this share of the limit; a
 * segment of few rows would cost searches more than the scan of its rows.
 */
#define VACUUM_GROWING_SHARE 0.125

/* Rows, in multiples of the growing limit, that a worker seals on one thread. */
#define UNHURRIED_FACTOR 4

/* Where a source row went: segment in the upper bits, spool position below. */
typedef uint64 RowPlace;
#define PLACE_NONE PG_UINT64_MAX

typedef struct SourceSegment
{
	AnnSegmentEntry entry;
	SegmentHeader header;
	uint64	   *marks;			/* as they were when the rows were read */
	RowPlace   *places;			/* by row */
} SourceSegment;

typedef struct SealState
{
	Relation	index;
	Relation	heap;
	AnnParams	params;
	AnnAttrs   *attrs;
	AnnManifest *manifest;
	uint64		marks_version;	/* before any source was read */
	MemoryContext context;
	MemoryContext spool_context;
	ScratchArena *arena;		/* for places */
	AnnSpool   *spool;
	uint32		segment_rows;
	int			nthreads;
	/* progress: a row counts when it was read, and when it is in a segment */
	uint64		read;
	uint64		built;
	uint64		expected;
	SourceSegment *sources;
	int			nsources;
	AnnNewSegment **made;
	int			nmade;
	/* the growing part, when it is sealed */
	bool		growing;
	BlockNumber growing_head;
	uint64		growing_ordinal;
	BlockNumber growing_last;	/* the closed page */
	uint64		growing_entries;
	RowPlace   *growing_places; /* by ordinal - growing_ordinal */
	BlockNumber *growing_blocks;
	int			ngrowing_blocks;
	int			maxgrowing_blocks;
} SealState;

/* ---- publishing ---- */

static inline bool
bit_is_set(const uint64 *bits, uint64 i)
{
	return (bits[i / 64] >> (i % 64)) & 1;
}

static RowPlace
make_place(int segment, AnnSpoolPosition position)
{
	return ((uint64) segment << 40) | ((uint64) position.class << 36) | position.number;
}

/*
 * Set the mark of a row in the new segment that it went to.
 */
static void
mark_place(SealState *state, uint64 **marks, RowPlace place)
{
	int			segment = (int) (place >> 40);
	AnnSpoolPosition position;
	uint32		row;

	if (place == PLACE_NONE)
		return;
	position.class = (AnnRowClass) ((place >> 36) & 0xf);
	position.number = (uint32) place;
	row = AnnNewSegmentRow(state->made[segment], position);
	if (marks[segment] == NULL)
		marks[segment] = MemoryContextAllocExtended(CurrentMemoryContext,
													sizeof(uint64) * SEGMENT_MARK_WORDS(state->made[segment]->header.rows),
													MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	marks[segment][row / 64] |= UINT64CONST(1) << (row % 64);
}

/*
 * Carry marks that were set since the sources were read into the new segments.
 * The metapage is exclusively locked.  A VACUUM changes marks_version after its
 * marks and then looks at the manifest: one that does so later finds the new
 * segments and goes over them, so this is needed only if marks_version changed
 * since the sources were read.
 */
static void
carry_marks(SealState *state, const SegmentId *index_id)
{
	uint64	  **marks = palloc0(sizeof(uint64 *) * Max(state->nmade, 1));
	uint64		done = 0;

	for (int i = 0; i < state->nsources; i++)
	{
		SourceSegment *source = &state->sources[i];
		uint64		words = SEGMENT_MARK_WORDS(source->header.rows);
		uint64	   *now = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(uint64) * Max(words, 1),
													 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		uint64		count;

		if (!SegmentReadMarks(state->index, &source->entry.id, source->entry.start, &source->header,
							  now, &count))
			elog(ERROR, "source segment of a merge has vanished");
		for (uint64 w = 0; w < words; w++)
		{
			uint64		fresh = now[w] & ~source->marks[w];

			for (; fresh != 0; fresh &= fresh - 1)
				mark_place(state, marks, source->places[w * 64 + pg_rightmost_one_pos64(fresh)]);
		}
		pfree(now);
	}
	for (int i = 0; state->growing && i < state->ngrowing_blocks && done < state->growing_entries; i++)
	{
		AnnGrowingPage info;
		Size		offset = ANN_FIRST_ENTRY;
		Buffer		buffer;

		buffer = AnnGrowingOpen(state->index, index_id, state->growing_blocks[i],
								state->growing_ordinal + done, BUFFER_LOCK_SHARE, &info);
		if (!BufferIsValid(buffer))
			elog(ERROR, "growing page of a seal has vanished");
		for (int e = 0; e < info.nentries; e++, done++)
		{
			AnnEntry   *entry = AnnEntryAt(&state->params, BufferGetPage(buffer), offset);

			if (entry->flags & ANN_ENTRY_DEAD)
				mark_place(state, marks, state->growing_places[done]);
			offset = AnnNextEntry(&state->params, BufferGetPage(buffer), offset);
		}
		i += AnnGrowingRest(&state->params, BufferGetPage(buffer), &info);
		UnlockReleaseBuffer(buffer);
	}
	for (int i = 0; i < state->nmade; i++)
		if (marks[i] != NULL &&
			!SegmentWriteMarks(state->index, &state->made[i]->entry.id, state->made[i]->entry.start,
							   &state->made[i]->header, marks[i]))
			elog(ERROR, "new segment has vanished");
}

/*
 * Swing the metapage to a new manifest, in one record.  state: what is sealed or
 * merged (NULL: nothing, the caller only changed the list).  Caller holds the
 * manifest lock, or the index is not yet visible to others.
 */
static void
publish(Relation index, Relation heap, AnnManifest *manifest, SealState *state)
{
	BlockNumber head;
	Buffer		metabuf;
	GenericXLogState *xlog;
	AnnMeta    *meta;
	AnnRun		reserves[ANN_MAX_RESERVES];
	int			nreserves = 0;
	BlockNumber next_head = InvalidBlockNumber;
	uint64		next_ordinal = 0;

	/*
	 * Hand blocks that can be overwritten to the inserters, about as many as the
	 * sealed part took, so that growing pages do not extend the file for ever.
	 */
	if (state != NULL && state->growing)
	{
		int			unit = 1 + AnnRestPages(&state->params, state->attrs != NULL ? ANN_MAX_ATTR_BYTES : 0);

		nreserves = AnnTakeReserves(index, heap, manifest, state->ngrowing_blocks, unit, reserves,
									ANN_MAX_RESERVES / 2);
	}
	head = AnnWriteManifest(index, heap, manifest);
	MILVUS_DEBUG_POINT("publish-manifest-written");

	metabuf = AnnLockMeta(index);
	meta = AnnMetaOf(BufferGetPage(metabuf));
	if (state != NULL && meta->marks_version != state->marks_version)
	{
		carry_marks(state, &meta->index_id);
		MILVUS_DEBUG_POINT("publish-marks-carried");
	}
	if (state != NULL && state->growing)
	{
		Buffer		buffer = ReadBuffer(index, state->growing_last);
		SegPageHeader *header;

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		header = SegPageGetHeader(BufferGetPage(buffer));
		next_head = header->next;
		next_ordinal = header->ordinal + header->number;
		UnlockReleaseBuffer(buffer);
	}

	xlog = GenericXLogStart(index);
	meta = AnnMetaOf(GenericXLogRegisterBuffer(xlog, metabuf, 0));
	meta->manifest_head = head;
	meta->manifest_version = manifest->version;
	/* every scan that reads the old manifest has its snapshot by now */
	meta->manifest_fxid = U64FromFullTransactionId(ReadNextFullTransactionId());
	meta->nsegments = manifest->nsegments;
	meta->segment_rows = 0;
	for (int i = 0; i < manifest->nsegments; i++)
		meta->segment_rows += AnnSegmentEntryRows(&manifest->segments[i]);
	if (state != NULL && state->growing)
	{
		meta->growing_head = next_head;
		meta->growing_head_ordinal = next_ordinal;
		if (!BlockNumberIsValid(next_head))
		{
			meta->growing_tail = InvalidBlockNumber;
			meta->next_ordinal = next_ordinal;
		}
	}
	for (int i = 0; i < nreserves; i++)
	{
		/* what does not fit is found by garbage collection */
		if (meta->nreserves < ANN_MAX_RESERVES)
			meta->reserves[meta->nreserves++] = reserves[i];
	}
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(metabuf);
	MILVUS_DEBUG_POINT("published");
}

void
AnnPublish(Relation index, Relation heap, AnnManifest *manifest)
{
	publish(index, heap, manifest, NULL);
}

/* ---- collecting rows ---- */

static void
report_progress(const SealState *state)
{
	CoordReportProgress(state->read + state->built, state->expected);
}

static void
add_made(SealState *state, AnnNewSegment *segment)
{
	AnnNewSegment **made = palloc(sizeof(AnnNewSegment *) * (state->nmade + 1));

	if (state->nmade > 0)
		memcpy(made, state->made, sizeof(AnnNewSegment *) * state->nmade);
	made[state->nmade++] = segment;
	state->made = made;
}

static void
finish_spool(SealState *state)
{
	AnnNewSegment *segment;

	if (AnnSpoolRows(state->spool) == 0)
		return;
	AnnProgressBegin(state->read + state->built, state->expected);
	state->built += AnnSpoolRows(state->spool);
	/* the spool's memory goes with it; the segment's description stays */
	segment = AnnWriteSegment(state->index, state->heap, state->manifest, state->spool, state->nthreads);
	report_progress(state);
	add_made(state, segment);
	AnnSpoolDestroy(state->spool);
	state->spool = AnnSpoolCreate(&state->params, state->attrs);
}

static RowPlace
add_row(SealState *state, ItemPointer tid, AnnRowClass class, const void *data, IndexTuple attrs)
{
	if (AnnSpoolRows(state->spool) >= state->segment_rows)
		finish_spool(state);
	AnnSpoolAdd(state->spool, tid, class, data, attrs);
	return make_place(state->nmade, AnnSpoolLast(state->spool));
}

static RowPlace *
alloc_places(SealState *state, uint64 n)
{
	RowPlace   *places = ScratchAlloc(state->arena, sizeof(RowPlace) * Max(n, 1));

	if (places == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return places;
}

/*
 * Where the vectors of a source come from that has none itself: the table, under the latest snapshot, and
 * for rows that this does not see (they are about to go, or to be committed) what the codes decode to.
 * Index expressions may run, so it is the table's owner who reads.
 */
typedef struct TableSource
{
	AnnCallerIdentity caller;
	Snapshot	snapshot;
	AnnHeapReader *reader;
	AnnSegmentHandle *handle;
	/* of a row to decode */
	uint32		row;
	void	   *vector;
	bool		decoded;
} TableSource;

static void
begin_table_source(SealState *state, TableSource *table, const AnnSegmentEntry *entry,
				   const AnnParams *params)
{
	AnnBecomeOwner(state->heap, &table->caller);
	table->snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(table->snapshot);
	table->reader = AnnHeapReaderBegin(state->heap, state->index, params, table->snapshot);
	table->handle = AnnSegmentOpen(state->index, entry, CurrentMemoryContext);
	if (table->handle == NULL)
		elog(ERROR, "segment of index \"%s\" has vanished under its lock",
			 RelationGetRelationName(state->index));
	table->handle->refcount++;
}

static void
end_table_source(TableSource *table)
{
	AnnSegmentClose(table->handle);
	AnnHeapReaderEnd(table->reader);
	PopActiveSnapshot();
	UnregisterSnapshot(table->snapshot);
	AnnBecomeCaller(&table->caller);
}

static void
guarded_decode(void *arg)
{
	TableSource *table = arg;

	table->decoded = AnnDecodeRow(&table->handle->ann, table->row, table->vector);
}

/* The vector of a row into `vector`. */
static void
read_table_source(SealState *state, TableSource *table, uint32 row, const ItemPointerData *tid,
				  void *vector)
{
	const void *data = AnnHeapReaderFetch(table->reader, tid);

	if (data != NULL)
		memcpy(vector, data, AnnVectorBytes(&state->params));
	/* a build may begin with this row: no page is held meanwhile */
	AnnHeapReaderRelease(table->reader);
	if (data != NULL)
		return;
	table->row = row;
	table->vector = vector;
	table->decoded = false;
	if (table->handle->map.base == NULL || !SegmentGuardedCall(guarded_decode, table) || !table->decoded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not merge a segment of index \"%s\" without its cache file",
						RelationGetRelationName(state->index)),
				 errdetail("The segment keeps no vectors, and some of its rows are not visible to everybody.")));
}

static void
read_segment_rows(SealState *state, SourceSegment *source)
{
	const AnnSegmentEntry *entry = &source->entry;
	uint64		rows = AnnSegmentEntryRows(entry);
	Size		bytes = AnnVectorBytes(&state->params);
	char	   *vector = palloc(bytes);
	const SegmentSection *raw;
	const SegmentSection *tids;
	SegmentReader reader;
	SegmentReader tid_reader;
	TableSource table = {0};
	AnnParams	params;
	MemoryContext attr_context = NULL;
	MemoryContext row_context = NULL;
	AnnAttrsReader *attrs = NULL;
	uint64		count;
	bool		good;

	good = SegmentReaderOpen(&reader, state->index, &entry->id, entry->start, &source->header) &&
		source->header.rows == rows;
	source->marks = MemoryContextAllocExtended(CurrentMemoryContext,
											   sizeof(uint64) * Max(SEGMENT_MARK_WORDS(rows), 1),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	good = good && SegmentReadMarks(state->index, &entry->id, entry->start, &source->header,
									source->marks, &count);
	if (!good)
		elog(ERROR, "segment of index \"%s\" has vanished under its lock",
			 RelationGetRelationName(state->index));
	source->places = alloc_places(state, rows);
	reader.strategy = GetAccessStrategy(BAS_BULKREAD);
	tid_reader = reader;
	raw = SegmentFindSection(&source->header, ANN_SEC_RAW);
	tids = SegmentFindSection(&source->header, ANN_SEC_TIDS);
	AnnHeaderParams(&source->header, &params);
	if (tids == NULL || tids->bytes != sizeof(ItemPointerData) * rows ||
		(raw != NULL) != AnnKeepsRaw(&params) || (raw != NULL && raw->bytes != bytes * entry->rows))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("segment of index \"%s\" is damaged", RelationGetRelationName(state->index)),
				 errhint("REINDEX the index.")));
	if (raw == NULL)
		begin_table_source(state, &table, entry, &params);
	if (state->attrs != NULL)
	{
		MemoryContext old;
		void	   *data;

		attr_context = AllocSetContextCreate(CurrentMemoryContext, "ann source scalars", ALLOCSET_DEFAULT_SIZES);
		row_context = AllocSetContextCreate(CurrentMemoryContext, "ann source row", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(attr_context);
		data = AnnReadAttrs(state->index, &reader, &source->header, entry->rows);
		good = data != NULL;
		if (good)
			attrs = AnnAttrsReaderCreate(state->attrs, state->index, data);
		MemoryContextSwitchTo(old);
	}
	for (uint64 row = 0; row < rows && good; row++)
	{
		AnnRowClass class = row < entry->rows ? ANN_ROW_VECTOR
			: row < (uint64) entry->rows + entry->zero_rows ? ANN_ROW_ZERO : ANN_ROW_NULL;
		ItemPointerData tid;

		CoordThrottle();
		state->read++;
		report_progress(state);
		source->places[row] = PLACE_NONE;
		if (bit_is_set(source->marks, row))
			continue;
		good = SegmentReaderRead(&tid_reader, tids->offset + sizeof(tid) * row, sizeof(tid), &tid);
		if (good && class == ANN_ROW_VECTOR && raw != NULL)
			good = SegmentReaderRead(&reader, raw->offset + bytes * row, bytes, vector);
		else if (good && class == ANN_ROW_VECTOR)
			read_table_source(state, &table, (uint32) row, &tid, vector);
		if (good)
		{
			IndexTuple	tuple = NULL;

			if (attrs != NULL && class == ANN_ROW_VECTOR)
			{
				MemoryContext old;

				MemoryContextReset(row_context);
				old = MemoryContextSwitchTo(row_context);
				tuple = AnnAttrsReadRow(attrs, (uint32) row);
				MemoryContextSwitchTo(old);
			}
			source->places[row] = add_row(state, &tid, class, vector, tuple);
		}
	}
	if (state->attrs != NULL)
	{
		MemoryContextDelete(attr_context);
		MemoryContextDelete(row_context);
	}
	if (table.reader != NULL)
		end_table_source(&table);
	SegmentReaderRelease(&reader);
	SegmentReaderRelease(&tid_reader);
	FreeAccessStrategy(reader.strategy);
	pfree(vector);
	if (!good)
		elog(ERROR, "segment of index \"%s\" has vanished under its lock",
			 RelationGetRelationName(state->index));
}

/*
 * Close the last growing page: inserters that find it closed go on to a new one.
 */
static void
close_growing(SealState *state, const AnnMeta *meta)
{
	BlockNumber last = InvalidBlockNumber;
	Buffer		buffer;
	SegPageHeader *header;

	for (;;)
	{
		AnnMeta		now;

		CHECK_FOR_INTERRUPTS();
		AnnReadMeta(state->index, &now);
		/* a page gets its successor and the metapage its tail in one record */
		if (!BlockNumberIsValid(now.growing_tail) || now.growing_tail == last)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("growing part of index \"%s\" is damaged", RelationGetRelationName(state->index)),
					 errhint("REINDEX the index.")));
		last = now.growing_tail;
		buffer = ReadBuffer(state->index, now.growing_tail);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		header = SegPageGetHeader(BufferGetPage(buffer));
		if (!BlockNumberIsValid(header->next))
			break;
		/* a page was added since the metapage was read */
		UnlockReleaseBuffer(buffer);
	}
	if ((header->flags & ANN_GROWING_CLOSED) == 0)
	{
		GenericXLogState *xlog = GenericXLogStart(state->index);
		Page		page = GenericXLogRegisterBuffer(xlog, buffer, 0);

		SegPageGetHeader(page)->flags |= ANN_GROWING_CLOSED;
		GenericXLogFinish(xlog);
	}
	header = SegPageGetHeader(BufferGetPage(buffer));
	state->growing = true;
	state->growing_head = meta->growing_head;
	state->growing_ordinal = meta->growing_head_ordinal;
	state->growing_last = BufferGetBlockNumber(buffer);
	state->growing_entries = header->ordinal + header->number - meta->growing_head_ordinal;
	UnlockReleaseBuffer(buffer);
}

static void
add_growing_block(SealState *state, BlockNumber block)
{
	if (state->ngrowing_blocks == state->maxgrowing_blocks)
	{
		int			max = Max(256, state->maxgrowing_blocks * 2);
		BlockNumber *blocks = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(BlockNumber) * (Size) max);

		if (state->ngrowing_blocks > 0)
			memcpy(blocks, state->growing_blocks, sizeof(BlockNumber) * (Size) state->ngrowing_blocks);
		state->growing_blocks = blocks;
		state->maxgrowing_blocks = max;
	}
	state->growing_blocks[state->ngrowing_blocks++] = block;
}

static void
read_growing_rows(SealState *state, const SegmentId *index_id)
{
	char	   *scratch = palloc(AnnVectorBytes(&state->params));
	char	   *copy = palloc(BLCKSZ);
	BlockNumber block = state->growing_head;
	uint64		done = 0;

	state->growing_places = alloc_places(state, state->growing_entries);
	for (;;)
	{
		AnnGrowingPage info;
		Buffer		buffer;
		Size		offset = ANN_FIRST_ENTRY;

		CoordThrottle();
		buffer = AnnGrowingOpen(state->index, index_id, block, state->growing_ordinal + done,
								BUFFER_LOCK_SHARE, &info);
		if (!BufferIsValid(buffer))
			elog(ERROR, "growing page of index \"%s\" has vanished under its lock",
				 RelationGetRelationName(state->index));
		/* rows may start a segment's build: not under a page lock */
		memcpy(copy, BufferGetPage(buffer), BLCKSZ);
		UnlockReleaseBuffer(buffer);
		for (int e = 0; e < info.nentries; e++, done++)
		{
			AnnEntry   *entry = AnnEntryAt(&state->params, (Page) copy, offset);
			AnnRowClass class = entry->flags & ANN_ENTRY_NULL ? ANN_ROW_NULL
				: entry->flags & ANN_ENTRY_ZERO ? ANN_ROW_ZERO : ANN_ROW_VECTOR;
			const void *data = NULL;

			state->growing_places[done] = PLACE_NONE;
			if ((entry->flags & ANN_ENTRY_DEAD) == 0)
			{
				if (class == ANN_ROW_VECTOR)
				{
					data = AnnEntryVector(state->index, index_id, &state->params, (Page) copy, &info,
										  offset, scratch);
					if (data == NULL)
						elog(ERROR, "growing page of index \"%s\" has vanished under its lock",
							 RelationGetRelationName(state->index));
				}
				state->growing_places[done] = add_row(state, &entry->tid, class, data, AnnEntryAttrs(entry));
			}
			offset = AnnNextEntry(&state->params, (Page) copy, offset);
		}
		state->read += info.nentries;
		report_progress(state);
		for (int i = 0; i <= AnnGrowingRest(&state->params, (Page) copy, &info); i++)
			add_growing_block(state, block + i);
		if (block == state->growing_last)
			break;
		block = info.next;
	}
	if (done != state->growing_entries)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("growing part of index \"%s\" is damaged", RelationGetRelationName(state->index)),
				 errdetail("It has " UINT64_FORMAT " entries, " UINT64_FORMAT " were expected.",
						   done, state->growing_entries),
				 errhint("REINDEX the index.")));
	pfree(scratch);
	pfree(copy);
}

/* ---- policy ---- */

static int
compare_entries(const void *a, const void *b)
{
	uint64		x = AnnSegmentEntryRows(*(const AnnSegmentEntry *const *) a);
	uint64		y = AnnSegmentEntryRows(*(const AnnSegmentEntry *const *) b);

	return x < y ? -1 : x > y ? 1 : 0;
}

uint64
AnnCountMarks(Relation index, const AnnSegmentEntry *entry)
{
	SegmentReader reader;
	SegmentHeader header;
	uint64		count = 0;
	uint64	   *marks = MemoryContextAllocExtended(CurrentMemoryContext,
												   sizeof(uint64) * Max(SEGMENT_MARK_WORDS(AnnSegmentEntryRows(entry)), 1),
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	if (SegmentReaderOpen(&reader, index, &entry->id, entry->start, &header) &&
		header.rows == AnnSegmentEntryRows(entry))
		(void) SegmentReadMarks(index, &entry->id, entry->start, &header, marks, &count);
	pfree(marks);
	return count;
}

/*
 * Whether a segment can be a source here.  One that keeps no vectors is merged from the table, which VACUUM
 * cannot do: its snapshot holds nobody back, so what it reads may vanish, and it runs no user code.
 * A worker does it instead (AnnNeedsWorker).
 */
static bool
is_mergeable(Relation index, const AnnSegmentEntry *entry, AnnSealMode mode)
{
	SegmentReader reader;
	SegmentHeader header;
	AnnParams	params;

	if (!SegmentReaderOpen(&reader, index, &entry->id, entry->start, &header))
		return true;			/* who reads its rows complains */
	AnnHeaderParams(&header, &params);
	if (AnnKeepsRaw(&params))
		return true;
	if (MyProc->statusFlags & PROC_IN_VACUUM)
		return false;
	return mode == ANN_SEAL_ALL || milvus_settings.cache_size != 0;
}

/* Whether VACUUM left a segment with many dead rows to a worker. */
bool
AnnNeedsWorker(Relation index, const AnnManifest *manifest)
{
	for (int i = 0; i < manifest->nsegments; i++)
	{
		const AnnSegmentEntry *entry = &manifest->segments[i];

		if (!is_mergeable(index, entry, ANN_SEAL_VACUUM) &&
			AnnCountMarks(index, entry) > AnnSegmentEntryRows(entry) * DEAD_SHARE_MERGE)
			return true;
	}
	return false;
}

/*
 * Choose the segments that go into the new one.  Sizes are kept apart by a
 * factor: a segment is taken along when it is not larger than what is being
 * merged already, so that a row is written again about log2(rows / growing rows)
 * times and the number of segments stays logarithmic.  VACUUM is stricter, for it
 * runs seldom, and also takes segments with many dead rows.
 */
static void
choose_sources(SealState *state, AnnSealMode mode, uint64 growing_rows)
{
	AnnManifest *manifest = state->manifest;
	AnnSegmentEntry **sorted = palloc(sizeof(AnnSegmentEntry *) * Max(manifest->nsegments, 1));
	bool	   *chosen = palloc0(sizeof(bool) * Max(manifest->nsegments, 1));
	uint64		total = growing_rows;
	uint64		factor = mode == ANN_SEAL_VACUUM ? 3 : 1;
	int			nchosen = 0;
	bool		rewrite = false;

	for (int i = 0; i < manifest->nsegments; i++)
		sorted[i] = &manifest->segments[i];
	qsort(sorted, manifest->nsegments, sizeof(AnnSegmentEntry *), compare_entries);
	for (int i = 0; i < manifest->nsegments; i++)
	{
		uint64		rows = AnnSegmentEntryRows(sorted[i]);
		uint64		marked;
		bool		other_type = sorted[i]->type != (uint32) state->params.type;

		if (!is_mergeable(state->index, sorted[i], mode))
			continue;
		marked = mode == ANN_SEAL_GROWING ? 0 : AnnCountMarks(state->index, sorted[i]);
		if (mode == ANN_SEAL_ALL)
			chosen[i] = rows - marked < state->segment_rows || marked > 0 || other_type;
		else if (marked > rows * DEAD_SHARE_MERGE)
			chosen[i] = rewrite = true;
		else if (mode == ANN_SEAL_GROWING || growing_rows > 0)
			chosen[i] = rows <= total * factor && total + rows <= state->segment_rows;
		if (chosen[i])
		{
			total += rows - marked;
			nchosen++;
		}
		/* one full, clean segment alone has nothing to gain from being written again */
		if (chosen[i] && mode == ANN_SEAL_ALL && (marked > 0 || other_type))
			rewrite = true;
	}
	if (growing_rows == 0 && nchosen == 1 && !rewrite)
		nchosen = 0;
	state->sources = palloc0(sizeof(SourceSegment) * Max(nchosen, 1));
	for (int i = 0; i < manifest->nsegments && nchosen > 0; i++)
		if (chosen[i])
			state->sources[state->nsources++].entry = *sorted[i];
}

/*
 * Take the sources out of the manifest and put the new segments in.
 */
static void
change_manifest(SealState *state)
{
	AnnManifest *manifest = state->manifest;
	AnnSegmentEntry *segments = palloc(sizeof(AnnSegmentEntry) *
									   Max(manifest->nsegments + state->nmade, 1));
	int			n = 0;

	for (int i = 0; i < manifest->nsegments; i++)
	{
		const AnnSegmentEntry *entry = &manifest->segments[i];
		bool		out = false;

		for (int j = 0; j < state->nsources && !out; j++)
			out = SegmentIdEquals(&state->sources[j].entry.id, &entry->id);
		if (out)
			AnnAddFree(manifest, entry->start, entry->nblocks);
		else
			segments[n++] = *entry;
	}
	for (int i = 0; i < state->nmade; i++)
		segments[n++] = state->made[i]->entry;
	for (int i = 0; i < state->ngrowing_blocks; i++)
		AnnAddFree(manifest, state->growing_blocks[i], 1);
	manifest->segments = segments;
	manifest->nsegments = n;
}

/*
 * Rows in the growing part, by the page ordinals.
 */
uint64
AnnGrowingRows(Relation index, const AnnMeta *meta)
{
	Buffer		buffer;
	SegPageHeader *header;
	uint64		rows = 0;

	if (!BlockNumberIsValid(meta->growing_tail))
		return 0;
	buffer = ReadBuffer(index, meta->growing_tail);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	header = SegPageGetHeader(BufferGetPage(buffer));
	if (SegPageIs(BufferGetPage(buffer), SEG_PAGE_GROWING, &meta->index_id) &&
		header->ordinal >= meta->growing_head_ordinal)
		rows = header->ordinal + header->number - meta->growing_head_ordinal;
	UnlockReleaseBuffer(buffer);
	return rows;
}

/*
 * A background worker that seals in good time leaves the other cores to those it
 * works for; one that has much to do, or is late, takes what it may.
 */
static int
choose_threads(const SealState *state, uint64 growing_rows)
{
	uint64		rows = growing_rows;

	for (int i = 0; i < state->nsources; i++)
		rows += AnnSegmentEntryRows(&state->sources[i].entry);
	if (MyBgworkerEntry != NULL && rows <= UNHURRIED_FACTOR * AnnGrowingLimit(&state->params))
		return 1;
	return AnnBuildThreads();
}

static int
seal_locked(Relation index, Relation heap, AnnSealMode mode)
{
	SealState	state = {0};
	AnnMeta		meta;
	uint64		growing_rows;

	AnnGetParams(index, &state.params);
	state.attrs = AnnGetAttrs(index);
	state.index = index;
	state.heap = heap;
	state.context = CurrentMemoryContext;
	state.segment_rows = AnnSegmentRows(index);
	state.manifest = AnnReadManifestLatest(index, &meta);
	state.marks_version = meta.marks_version;
	growing_rows = AnnGrowingRows(index, &meta);
	if (mode == ANN_SEAL_VACUUM &&
		growing_rows < AnnGrowingLimit(&state.params) * VACUUM_GROWING_SHARE)
		growing_rows = 0;
	choose_sources(&state, mode, growing_rows);
	if (growing_rows == 0 && state.nsources == 0)
		return 0;
	state.nthreads = choose_threads(&state, growing_rows);

	/* look-ups so far left a catalog snapshot: do not hold back VACUUM by it */
	InvalidateCatalogSnapshot();
	state.arena = ScratchArenaCreate(64 * 1024 * 1024);
	state.spool = AnnSpoolCreate(&state.params, state.attrs);
	if (growing_rows > 0)
	{
		close_growing(&state, &meta);
		MILVUS_DEBUG_POINT("seal-closed");
	}
	for (int i = 0; i < state.nsources; i++)
		state.expected += 2 * AnnSegmentEntryRows(&state.sources[i].entry);
	state.expected += 2 * state.growing_entries;
	report_progress(&state);
	if (state.growing)
		read_growing_rows(&state, &meta.index_id);
	for (int i = 0; i < state.nsources; i++)
		read_segment_rows(&state, &state.sources[i]);
	finish_spool(&state);
	/* the dead are in none */
	CoordReportProgress(state.expected, state.expected);
	change_manifest(&state);
	MILVUS_DEBUG_POINT("seal-before-publish");
	publish(index, heap, state.manifest, &state);

	for (int i = 0; i < state.nsources; i++)
	{
		SegmentCacheKey key;

		/* who has it mapped keeps it; who comes with an older manifest makes it again */
		SegmentCacheKeyInit(&key, index, &state.sources[i].entry.id);
		SegmentCacheDrop(&key);
	}
	return state.nmade;
}

/*
 * An index that is being built concurrently, or whose build failed, must keep
 * its entries where they are: the second pass of such a build compares them.
 */
static bool
index_is_usable(Relation index)
{
	return index->rd_index->indisready && index->rd_index->indisvalid && index->rd_index->indislive;
}

int
AnnSeal(Relation index, Relation heap, AnnSealMode mode, bool wait)
{
	MemoryContext context;
	MemoryContext old;
	int			made;

	if (!index_is_usable(index))
		return 0;
	if (wait)
		AnnLockManifest(index);
	else if (!AnnTryLockManifest(index))
		return -1;
	context = AllocSetContextCreate(CurrentMemoryContext, "ann seal", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	made = seal_locked(index, heap, mode);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	AnnUnlockManifest(index);
	return made;
}

/* ---- garbage collection ---- */

/*
 * Add blocks that nothing refers to (left by a crash or an error) to the free
 * runs.  Caller holds the manifest lock.
 */
static BlockNumber
collect_locked(Relation index, Relation heap)
{
	AnnMeta		meta;
	AnnManifest *manifest = AnnReadManifestLatest(index, &meta);
	Buffer		metabuf;
	BlockNumber nblocks;
	uint8	   *used;
	BlockNumber found = 0;
	BlockNumber block;
	uint64		ordinal;
	AnnParams	params;

	AnnGetParams(index, &params);

	/*
	 * Inserters extend the file under the lock that the caller holds exclusively
	 * and write the blocks down in the metapage: size and metapage account for
	 * every block.
	 */
	metabuf = ReadBuffer(index, ANN_META_BLOCK);
	LockBuffer(metabuf, BUFFER_LOCK_SHARE);
	nblocks = RelationGetNumberOfBlocks(index);
	memcpy(&meta, AnnMetaOf(BufferGetPage(metabuf)), sizeof(meta));
	UnlockReleaseBuffer(metabuf);

	used = MemoryContextAllocExtended(CurrentMemoryContext, nblocks, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
#define USE(b) do { if ((b) < nblocks) used[b] = 1; } while (0)
	USE(ANN_META_BLOCK);
	for (int i = 0; i < manifest->npages; i++)
		USE(manifest->pages[i]);
	for (int i = 0; i < manifest->nsegments; i++)
		for (BlockNumber b = 0; b < manifest->segments[i].nblocks; b++)
			USE(manifest->segments[i].start + b);
	for (int i = 0; i < manifest->nfree; i++)
		for (BlockNumber b = 0; b < manifest->free[i].nblocks; b++)
			USE(manifest->free[i].start + b);
	for (uint32 i = 0; i < meta.nreserves; i++)
		for (BlockNumber b = meta.reserves[i].start; b < meta.reserves[i].end; b++)
			USE(b);
	block = meta.growing_head;
	ordinal = meta.growing_head_ordinal;
	while (BlockNumberIsValid(block))
	{
		AnnGrowingPage info;
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = AnnGrowingOpen(index, &meta.index_id, block, ordinal, BUFFER_LOCK_SHARE, &info);
		if (!BufferIsValid(buffer))
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("growing part of index \"%s\" is damaged at block %u",
							RelationGetRelationName(index), block),
					 errhint("REINDEX the index.")));
		for (int i = 0; i <= AnnGrowingRest(&params, BufferGetPage(buffer), &info); i++)
			USE(block + i);
		UnlockReleaseBuffer(buffer);
		block = info.next;
		ordinal += info.nentries;
	}
#undef USE
	for (BlockNumber b = 0; b < nblocks; b++)
		if (!used[b])
		{
			AnnAddFree(manifest, b, 1);
			found++;
		}
	/* blocks at the end may never have been written: not by redo either */
	if (nblocks > 0 && !used[nblocks - 1])
		SegLogEnd(index, nblocks - 1);
	pfree(used);
	if (found > 0)
		publish(index, heap, manifest, NULL);
	return found;
}

BlockNumber
AnnCollectGarbage(Relation index, Relation heap)
{
	MemoryContext context;
	MemoryContext old;
	BlockNumber found = 0;

	if (!index_is_usable(index) || !AnnTryLockManifest(index))
		return 0;
	if (ConditionalLockPage(index, ANN_BLOCKS_LOCK, ExclusiveLock))
	{
		context = AllocSetContextCreate(CurrentMemoryContext, "ann garbage", ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(context);
		found = collect_locked(index, heap);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		UnlockPage(index, ANN_BLOCKS_LOCK, ExclusiveLock);
	}
	AnnUnlockManifest(index);
	return found;
}
