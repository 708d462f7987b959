/*
 * annvacuum.c
 *		VACUUM: marking entries of dead rows, sealing, merging, reuse.
 *
 * Marks are bits in segments and flags in growing entries; no graph is repaired
 * and nothing moves.  The manifest may change meanwhile (no lock is held): a
 * publisher carries over marks that it finds when it holds the metapage, and
 * annbulkdelete() looks at the manifest again when it is through and goes over
 * what was published since.
 */
#include "postgres.h"

#include "access/table.h"
#include "am/ann/ann.h"
#include "catalog/index.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Item pointers read at a time. */
#define TID_BATCH 4096

typedef struct VacuumState
{
	Relation	index;
	AnnParams	params;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	IndexBulkDeleteResult *stats;
	SegmentId  *seen;			/* segments gone over */
	int			nseen;
	bool		marked;			/* marks were set since the last bump */
} VacuumState;

/*
 * Mark the dead rows of a segment.  False: it was recycled.
 */
static bool
vacuum_segment(VacuumState *state, const AnnSegmentEntry *entry)
{
	SegmentReader reader;
	SegmentHeader header;
	const SegmentSection *section;
	uint64		rows = AnnSegmentEntryRows(entry);
	uint64		words = Max(SEGMENT_MARK_WORDS(rows), 1);
	ItemPointerData *tids;
	uint64	   *marks;
	uint64	   *fresh;
	uint64		count;
	uint64		removed = 0;
	bool		good;

	if (!SegmentReaderOpen(&reader, state->index, &entry->id, entry->start, &header))
		return false;
	reader.strategy = GetAccessStrategy(BAS_VACUUM);
	section = SegmentFindSection(&header, ANN_SEC_TIDS);
	if (header.rows != rows || section == NULL || section->bytes != rows * sizeof(ItemPointerData))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("segment of index \"%s\" is damaged", RelationGetRelationName(state->index)),
				 errhint("REINDEX the index.")));
	marks = MemoryContextAllocExtended(CurrentMemoryContext, words * sizeof(uint64),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	fresh = MemoryContextAllocExtended(CurrentMemoryContext, words * sizeof(uint64),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	tids = palloc(sizeof(ItemPointerData) * TID_BATCH);
	good = SegmentReadMarks(state->index, &entry->id, entry->start, &header, marks, &count);
	for (uint64 first = 0; first < rows && good; first += TID_BATCH)
	{
		uint64		n = Min(TID_BATCH, rows - first);

		MilvusVacuumDelayPoint();
		good = SegmentReaderRead(&reader, section->offset + first * sizeof(ItemPointerData),
								 n * sizeof(ItemPointerData), tids);
		for (uint64 i = 0; i < n && good; i++)
		{
			uint64		row = first + i;

			if ((marks[row / 64] >> (row % 64)) & 1)
				continue;
			if (!ItemPointerIsValid(&tids[i]))
				ereport(ERROR,
						(errcode(ERRCODE_INDEX_CORRUPTED),
						 errmsg("segment of index \"%s\" is damaged",
								RelationGetRelationName(state->index)),
						 errhint("REINDEX the index.")));
			if (state->callback(&tids[i], state->callback_state))
			{
				fresh[row / 64] |= UINT64CONST(1) << (row % 64);
				removed++;
			}
		}
	}
	SegmentReaderRelease(&reader);
	FreeAccessStrategy(reader.strategy);
	if (good && removed > 0)
	{
		MILVUS_DEBUG_POINT("vacuum-before-marks");
		good = SegmentWriteMarks(state->index, &entry->id, entry->start, &header, fresh);
		MILVUS_DEBUG_POINT("vacuum-after-marks");
	}
	if (good)
	{
		state->stats->tuples_removed += removed;

		/*
		 * Marks that were there already may be of a VACUUM that ended before it
		 * told of them.
		 */
		state->marked |= removed > 0 || count > 0;
	}
	pfree(tids);
	pfree(marks);
	pfree(fresh);
	return good;
}

/*
 * Flag the dead entries of the growing part.  False: a page was recycled.
 */
static bool
vacuum_growing(VacuumState *state, const AnnMeta *meta)
{
	BlockNumber block = meta->growing_head;
	uint64		ordinal = meta->growing_head_ordinal;

	while (BlockNumberIsValid(block))
	{
		AnnGrowingPage info;
		Buffer		buffer;
		Page		page;
		Size		offset = ANN_FIRST_ENTRY;
		GenericXLogState *xlog = NULL;

		MilvusVacuumDelayPoint();
		buffer = AnnGrowingOpen(state->index, &meta->index_id, block, ordinal, BUFFER_LOCK_EXCLUSIVE, &info);
		if (!BufferIsValid(buffer))
			return false;
		page = BufferGetPage(buffer);
		for (int i = 0; i < info.nentries; i++)
		{
			AnnEntry   *entry = AnnEntryAt(&state->params, page, offset);

			/* perhaps of a VACUUM that ended before it told of its marks */
			if (entry->flags & ANN_ENTRY_DEAD)
				state->marked = true;
			else if (state->callback(&entry->tid, state->callback_state))
			{
				if (xlog == NULL)
				{
					xlog = GenericXLogStart(state->index);
					page = GenericXLogRegisterBuffer(xlog, buffer, 0);
					entry = (AnnEntry *) ((char *) page + offset);
				}
				entry->flags |= ANN_ENTRY_DEAD;
				state->marked = true;
				state->stats->tuples_removed++;
			}
			offset = AnnNextEntry(&state->params, page, offset);
		}
		if (xlog != NULL)
			GenericXLogFinish(xlog);
		UnlockReleaseBuffer(buffer);
		if (xlog != NULL)
			MILVUS_DEBUG_POINT("vacuum-growing-marked");
		block = info.next;
		ordinal += info.nentries;
	}
	return true;
}

static bool
was_seen(const VacuumState *state, const SegmentId *id)
{
	for (int i = 0; i < state->nseen; i++)
		if (SegmentIdEquals(&state->seen[i], id))
			return true;
	return false;
}

static void
note_seen(VacuumState *state, const SegmentId *id)
{
	if (state->seen == NULL)
		state->seen = palloc(sizeof(SegmentId) * 16);
	else if (state->nseen >= 16 && (state->nseen & (state->nseen - 1)) == 0)
		state->seen = repalloc(state->seen, sizeof(SegmentId) * state->nseen * 2);
	state->seen[state->nseen++] = *id;
}

/*
 * Make scans read the marks again, and publishers carry them over.  After the
 * marks, before the last look at the manifest and before the table's rows can be
 * reused.
 */
static void
bump_marks_version(VacuumState *state)
{
	Buffer		metabuf = AnnLockMeta(state->index);
	GenericXLogState *xlog = GenericXLogStart(state->index);

	AnnMetaOf(GenericXLogRegisterBuffer(xlog, metabuf, 0))->marks_version++;
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(metabuf);
	state->marked = false;
}

IndexBulkDeleteResult *
annbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
			  IndexBulkDeleteCallback callback, void *callback_state)
{
	VacuumState state = {0};
	bool		growing_done = false;
	bool		again = true;
	uint64		failed_version = 0;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	state.index = info->index;
	AnnGetParams(info->index, &state.params);
	state.callback = callback;
	state.callback_state = callback_state;
	state.stats = stats;

	/*
	 * The growing part first: what is sealed after that is found in the manifest
	 * as a segment not seen.  Entries added later are of rows not dead yet.
	 */
	while (again)
	{
		AnnMeta		meta;
		AnnManifest *manifest = AnnReadManifestLatest(info->index, &meta);
		bool		good = true;

		again = false;
		if (!growing_done)
		{
			good = growing_done = vacuum_growing(&state, &meta);
			again = true;
		}
		for (int i = 0; i < manifest->nsegments; i++)
		{
			const AnnSegmentEntry *entry = &manifest->segments[i];

			if (was_seen(&state, &entry->id))
				continue;
			again = true;
			if (vacuum_segment(&state, entry))
				note_seen(&state, &entry->id);
			else
				good = false;
		}

		/* what the manifest names is recycled only after a newer manifest */
		if (!good && meta.manifest_version == failed_version)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("index \"%s\" lacks pages that its manifest names",
							RelationGetRelationName(info->index)),
					 errhint("REINDEX the index.")));
		if (!good)
			failed_version = meta.manifest_version;
		if (state.marked)
			bump_marks_version(&state);
		MILVUS_DEBUG_POINT("vacuum-marked");
	}
	return stats;
}

/*
 * Entries that are not marked.
 */
static double
count_entries(Relation index)
{
	AnnMeta		meta;
	AnnManifest *manifest = AnnReadManifestLatest(index, &meta);
	double		count = AnnGrowingRows(index, &meta);

	for (int i = 0; i < manifest->nsegments; i++)
		count += AnnSegmentEntryRows(&manifest->segments[i]) - AnnCountMarks(index, &manifest->segments[i]);
	return count;
}

IndexBulkDeleteResult *
annvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	AnnMeta		meta;
	AnnManifest *manifest;
	Relation	heap;
	bool		exclusive;

	if (info->analyze_only)
		return stats;
	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	/* VACUUM holds its lock; PostgreSQL 15 does not pass the table */
	heap = table_open(IndexGetRelation(RelationGetRelid(info->index), false), NoLock);
	(void) AnnSeal(info->index, heap, ANN_SEAL_VACUUM, false);
	stats->pages_newly_deleted += AnnCollectGarbage(info->index, heap);
	table_close(heap, NoLock);

	/* a seal makes the cache files of its segments before a manifest names them */
	exclusive = AnnTryLockManifest(info->index);
	manifest = AnnReadManifestLatest(info->index, &meta);
	if (exclusive)
	{
		SegmentId  *ids = palloc(sizeof(SegmentId) * Max(manifest->nsegments, 1));

		for (int i = 0; i < manifest->nsegments; i++)
			ids[i] = manifest->segments[i].id;
		SegmentCacheSweep(info->index, ids, manifest->nsegments);
		AnnUnlockManifest(info->index);
	}
	if (milvus_settings.background_seal && info->index->rd_rel->relpersistence != RELPERSISTENCE_TEMP &&
		AnnNeedsWorker(info->index, manifest))
		(void) AnnStartWorker(info->index, ANN_SEAL_VACUUM);
	stats->pages_free = 0;
	for (int i = 0; i < manifest->nfree; i++)
		stats->pages_free += manifest->free[i].nblocks;
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	stats->num_index_tuples = count_entries(info->index);
	stats->estimated_count = false;
	return stats;
}
