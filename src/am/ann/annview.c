/*
 * annview.c
 *		What a scan sees: the segments named by the manifest with their marks, and
 *		the growing part.
 *
 * A backend keeps the last view of each index, so that a search of an index that
 * has not changed opens nothing.  The metapage is read anew by every scan, after
 * its snapshot was taken; versions in it say whether the kept view is still the
 * whole truth.  Growing entries are kept as codes, for the first pass of a scan;
 * the entry itself, and whether it is dead, is read from its page each time.
 */
#include "postgres.h"

#include "am/ann/annattr.h"
#include "guc.h"
#include "index/sq8.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* After a segment could not be mapped, try again this much later, in ms. */
#define RETRY_INTERVAL 10000

/* Rows from which the growing part's mean is taken, once there are so many. */
#define MEAN_SAMPLE 256

typedef struct ViewEntry
{
	Oid			indexid;		/* hash key */
	AnnView    *view;
	AnnGrowing *growing;
	bool		suspect;		/* its relation may be gone */
} ViewEntry;

/* The one place where this module keeps state between calls. */
static struct
{
	MemoryContext context;
	HTAB	   *entries;
	bool		any_suspect;
}			views;

/*
 * Relcache invalidation: only remember, for dropped indexes' memory.
 */
static void
invalidate_views(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	ViewEntry  *entry;

	if (OidIsValid(relid))
	{
		entry = hash_search(views.entries, &relid, HASH_FIND, NULL);
		if (entry != NULL)
			entry->suspect = views.any_suspect = true;
		return;
	}
	hash_seq_init(&status, views.entries);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->suspect = views.any_suspect = true;
}

static void
init_views(void)
{
	HASHCTL		ctl;

	if (views.entries != NULL)
		return;
	views.context = AllocSetContextCreate(TopMemoryContext, "ann views", ALLOCSET_DEFAULT_SIZES);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(ViewEntry);
	ctl.hcxt = views.context;
	views.entries = hash_create("ann views", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(invalidate_views, (Datum) 0);
}

static void
unref_view(AnnView *view)
{
	if (view == NULL || --view->refcount > 0)
		return;
	for (int i = 0; i < view->nsegments; i++)
	{
		AnnSegmentClose(view->segments[i].handle);
		if (view->segments[i].marks != NULL)
			pfree(view->segments[i].marks);
		AnnFreeMasks(&view->segments[i]);
	}
	pfree(view->segments);
	pfree(view);
}

static void
unref_growing(AnnGrowing *growing)
{
	if (growing != NULL && --growing->refcount == 0)
		MemoryContextDelete(growing->context);
}

void
AnnReleaseView(AnnView *view, AnnGrowing *growing)
{
	unref_view(view);
	unref_growing(growing);
}

static void
forget_entry(ViewEntry *entry)
{
	AnnView    *view = entry->view;
	AnnGrowing *growing = entry->growing;

	entry->view = NULL;
	entry->growing = NULL;
	unref_view(view);
	unref_growing(growing);
}

void
AnnForgetView(Oid indexid)
{
	ViewEntry  *entry;

	if (views.entries == NULL)
		return;
	entry = hash_search(views.entries, &indexid, HASH_FIND, NULL);
	if (entry != NULL)
		forget_entry(entry);
}

/*
 * Let go of mappings and memory of indexes that were dropped.
 */
static void
forget_dropped(void)
{
	HASH_SEQ_STATUS status;
	ViewEntry  *entry;

	views.any_suspect = false;
	hash_seq_init(&status, views.entries);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!entry->suspect)
			continue;
		entry->suspect = false;
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(entry->indexid)))
		{
			forget_entry(entry);
			hash_search(views.entries, &entry->indexid, HASH_REMOVE, NULL);
		}
	}
}

/* ---- segments ---- */

/*
 * Build the view that meta names, taking over open segments of the last one.
 * NULL: something was recycled, or changed while it was read.
 */
static AnnView *
make_view(Relation index, const AnnMeta *meta, const AnnView *last)
{
	AnnManifest *manifest = AnnReadManifest(index, meta);
	AnnView    *view;

	if (manifest == NULL)
		return NULL;
	view = MemoryContextAllocZero(views.context, sizeof(AnnView));
	view->index_id = meta->index_id;
	view->manifest_version = meta->manifest_version;
	view->marks_version = meta->marks_version;
	view->refcount = 1;
	view->segments = MemoryContextAllocZero(views.context,
											sizeof(AnnViewSegment) * Max(manifest->nsegments, 1));
	PG_TRY();
	{
		for (int i = 0; i < manifest->nsegments; i++)
		{
			const AnnSegmentEntry *entry = &manifest->segments[i];
			AnnViewSegment *segment = &view->segments[i];
			uint64		words = SEGMENT_MARK_WORDS(AnnSegmentEntryRows(entry));
			AnnSegmentHandle *handle = NULL;
			uint64	   *marks;

			for (int j = 0; last != NULL && j < last->nsegments; j++)
				if (SegmentIdEquals(&last->segments[j].handle->entry.id, &entry->id) &&
					!last->segments[j].handle->failed && last->segments[j].handle->map.base != NULL)
					handle = last->segments[j].handle;
			if (handle == NULL)
				handle = AnnSegmentOpen(index, entry, views.context);
			if (handle == NULL)
			{
				unref_view(view);
				view = NULL;
				break;
			}
			handle->refcount++;
			segment->handle = handle;
			view->nsegments++;
			if (handle->map.base == NULL)
				view->retry_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_INTERVAL);

			marks = MemoryContextAllocExtended(views.context, sizeof(uint64) * Max(words, 1),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
			segment->marks = marks;
			if (!SegmentReadMarks(index, &entry->id, entry->start, &handle->header, marks,
								  &segment->nmarks))
			{
				unref_view(view);
				view = NULL;
				break;
			}
			if (segment->nmarks == 0)
			{
				pfree(marks);
				segment->marks = NULL;
			}
		}
	}
	PG_CATCH();
	{
		unref_view(view);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return view;
}

/*
 * Whether it is time to try again to map segments that could not be mapped.
 */
static bool
mapping_is_due(const AnnView *view)
{
	return view->retry_at != 0 && milvus_settings.cache_size != 0 &&
		GetCurrentTimestamp() >= view->retry_at;
}

/* ---- growing part ---- */

static AnnGrowing *
make_growing(Relation index, const AnnMeta *meta, const AnnParams *params)
{
	MemoryContext context = AllocSetContextCreate(views.context, "ann growing part", ALLOCSET_DEFAULT_SIZES);
	AnnGrowing *growing = MemoryContextAllocZero(context, sizeof(AnnGrowing));

	growing->context = context;
	growing->refcount = 1;
	growing->index_id = meta->index_id;
	growing->head_ordinal = meta->growing_head_ordinal;
	growing->last_block = meta->growing_head;
	growing->last_ordinal = meta->growing_head_ordinal;
	growing->last_offset = ANN_FIRST_ENTRY;
	growing->has_attrs = IndexRelationGetNumberOfKeyAttributes(index) > 1;
	return growing;
}

static void
add_aside(AnnGrowing *growing, const AnnGrowingRow *row, AnnRowClass class)
{
	if (growing->naside == growing->maxaside)
	{
		uint32		max = Max(64, growing->maxaside * 2);
		AnnGrowingRow *rows = MemoryContextAlloc(growing->context, sizeof(AnnGrowingRow) * max);
		uint8	   *classes = MemoryContextAlloc(growing->context, max);

		if (growing->naside > 0)
		{
			memcpy(rows, growing->aside, sizeof(AnnGrowingRow) * growing->naside);
			memcpy(classes, growing->aside_class, growing->naside);
			pfree(growing->aside);
			pfree(growing->aside_class);
		}
		growing->aside = rows;
		growing->aside_class = classes;
		growing->maxaside = max;
	}
	growing->aside[growing->naside] = *row;
	growing->aside_class[growing->naside] = class;
	growing->naside++;
}

/*
 * The chunk that takes the next row.
 */
static AnnGrowingChunk *
growing_slot(AnnGrowing *growing, const AnnParams *params)
{
	if (growing->n / ANN_GROWING_CHUNK == (uint32) growing->nchunks)
	{
		Size		row_bytes = Sq8Supports(params->metric) ? Sq8Stride(params->dim) : AnnVectorBytes(params);
		AnnGrowingChunk *chunk;
		char	   *base;

		if (growing->nchunks == growing->maxchunks)
		{
			int			max = Max(16, growing->maxchunks * 2);
			AnnGrowingChunk **chunks = MemoryContextAlloc(growing->context, sizeof(*chunks) * max);

			if (growing->nchunks > 0)
			{
				memcpy(chunks, growing->chunks, sizeof(*chunks) * growing->nchunks);
				pfree(growing->chunks);
			}
			growing->chunks = chunks;
			growing->maxchunks = max;
		}
		chunk = MemoryContextAllocZero(growing->context, sizeof(AnnGrowingChunk));
		if (growing->has_attrs)
			chunk->attrs = MemoryContextAllocZero(growing->context, sizeof(IndexTuple) * ANN_GROWING_CHUNK);
		base = MemoryContextAllocHuge(growing->context, row_bytes * ANN_GROWING_CHUNK + SEGMENT_ALIGN);
		chunk->codes = (uint8 *) TYPEALIGN(SEGMENT_ALIGN, base);
		chunk->meta = MemoryContextAllocZero(growing->context, sizeof(Sq8Meta) * ANN_GROWING_CHUNK);
		growing->chunks[growing->nchunks++] = chunk;
	}
	return growing->chunks[growing->n / ANN_GROWING_CHUNK];
}

static IndexTuple
keep_attrs(AnnGrowing *growing, IndexTuple attrs)
{
	IndexTuple	kept = MemoryContextAlloc(growing->context, IndexTupleSize(attrs));

	memcpy(kept, attrs, IndexTupleSize(attrs));
	return kept;
}

static void
add_vector(AnnGrowing *growing, const AnnParams *params, const AnnGrowingRow *row, const void *data,
		   IndexTuple attrs)
{
	AnnGrowingChunk *chunk = growing_slot(growing, params);
	uint32		at = growing->n % ANN_GROWING_CHUNK;

	chunk->rows[at] = *row;
	if (Sq8Supports(params->metric))
		Sq8Encode(params, growing->mean, data, 1, chunk->codes + at * Sq8Stride(params->dim),
				  &chunk->meta[at]);
	else
		memcpy(chunk->codes + at * AnnVectorBytes(params), data, AnnVectorBytes(params));
	if (growing->has_attrs)
	{
		if (attrs == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("an entry of a growing page lacks its scalar columns"),
					 errhint("REINDEX the index.")));
		chunk->attrs[at] = keep_attrs(growing, attrs);
	}
	growing->n++;
}

/*
 * After a seal, take over the rows that lie behind the new head: they were
 * appended while the segment was built, and need not be read again.
 */
static AnnGrowing *
take_over_growing(Relation index, const AnnMeta *meta, const AnnParams *params, const AnnGrowing *old)
{
	AnnGrowing *growing;
	Size		row_bytes = Sq8Supports(params->metric) ? Sq8Stride(params->dim) : AnnVectorBytes(params);

	if (old == NULL || !SegmentIdEquals(&old->index_id, &meta->index_id) ||
		!BlockNumberIsValid(meta->growing_head) || !BlockNumberIsValid(old->last_block) ||
		old->head_ordinal > meta->growing_head_ordinal ||
		old->last_ordinal < meta->growing_head_ordinal)
		return NULL;
	growing = make_growing(index, meta, params);
	if (old->has_mean)
	{
		growing->mean = MemoryContextAlloc(growing->context, sizeof(float) * params->dim);
		memcpy(growing->mean, old->mean, sizeof(float) * params->dim);
		growing->has_mean = true;
	}
	for (uint32 i = 0; i < old->n; i++)
	{
		const AnnGrowingChunk *chunk = old->chunks[i / ANN_GROWING_CHUNK];
		uint32		at = i % ANN_GROWING_CHUNK;
		AnnGrowingChunk *to;

		if (chunk->rows[at].ordinal < meta->growing_head_ordinal)
			continue;
		to = growing_slot(growing, params);
		to->rows[growing->n % ANN_GROWING_CHUNK] = chunk->rows[at];
		to->meta[growing->n % ANN_GROWING_CHUNK] = chunk->meta[at];
		memcpy(to->codes + (growing->n % ANN_GROWING_CHUNK) * row_bytes, chunk->codes + at * row_bytes,
			   row_bytes);
		if (growing->has_attrs)
			to->attrs[growing->n % ANN_GROWING_CHUNK] = keep_attrs(growing, chunk->attrs[at]);
		growing->n++;
	}
	for (uint32 i = 0; i < old->naside; i++)
		if (old->aside[i].ordinal >= meta->growing_head_ordinal)
			add_aside(growing, &old->aside[i], (AnnRowClass) old->aside_class[i]);
	growing->last_block = old->last_block;
	growing->last_ordinal = old->last_ordinal;
	growing->last_entries = old->last_entries;
	growing->last_offset = old->last_offset;
	return growing;
}

/*
 * Codes are relative to a mean; any will do, a good one makes them finer.  The
 * entries of the first page give it.
 */
static void
choose_mean(Relation index, AnnGrowing *growing, const AnnParams *params, Page page,
			const AnnGrowingPage *info, char *scratch)
{
	Size		bytes = AnnVectorBytes(params);
	char	   *sample = palloc(bytes * Min(info->nentries, MEAN_SAMPLE) + 1);
	Size		offset = ANN_FIRST_ENTRY;
	uint32		n = 0;

	for (int i = 0; i < info->nentries && n < MEAN_SAMPLE; i++)
	{
		AnnEntry   *entry = AnnEntryAt(params, page, offset);

		if ((entry->flags & (ANN_ENTRY_NULL | ANN_ENTRY_ZERO)) == 0)
		{
			const void *data = AnnEntryVector(index, &growing->index_id, params, page, info, offset, scratch);

			if (data != NULL)
				memcpy(sample + bytes * n++, data, bytes);
		}
		offset = AnnNextEntry(params, page, offset);
	}
	if (n > 0)
	{
		growing->mean = MemoryContextAllocZero(growing->context, sizeof(float) * params->dim);
		Sq8Mean(params, sample, n, growing->mean);
		growing->has_mean = true;
	}
	pfree(sample);
}

/*
 * Read on from where the last walk ended.  False: a page was recycled.
 */
static bool
read_growing(Relation index, AnnGrowing *growing, const AnnParams *params)
{
	char	   *scratch = AnnMayContinue(index, params) ? palloc(AnnVectorBytes(params)) : NULL;
	bool		good = true;

	while (BlockNumberIsValid(growing->last_block))
	{
		AnnGrowingPage info;
		Buffer		buffer;
		Page		page;

		CHECK_FOR_INTERRUPTS();
		buffer = AnnGrowingOpen(index, &growing->index_id, growing->last_block,
								growing->last_ordinal, BUFFER_LOCK_SHARE, &info);
		if (!BufferIsValid(buffer))
		{
			good = false;
			break;
		}
		page = BufferGetPage(buffer);
		if (!growing->has_mean && Sq8Supports(params->metric))
			choose_mean(index, growing, params, page, &info, scratch);
		while (growing->last_entries < info.nentries && good)
		{
			AnnEntry   *entry = AnnEntryAt(params, page, growing->last_offset);
			AnnGrowingRow row;

			row.block = info.block;
			row.ordinal = info.ordinal;
			row.offset = growing->last_offset;
			row.tid = entry->tid;
			if (entry->flags & ANN_ENTRY_NULL)
				add_aside(growing, &row, ANN_ROW_NULL);
			else if (entry->flags & ANN_ENTRY_ZERO)
				add_aside(growing, &row, ANN_ROW_ZERO);
			else
			{
				const void *data = AnnEntryVector(index, &growing->index_id, params, page,
												  &info, growing->last_offset, scratch);

				if (data == NULL)
				{
					good = false;
					break;
				}
				add_vector(growing, params, &row, data, AnnEntryAttrs(entry));
			}
			growing->last_entries++;
			growing->last_offset = AnnNextEntry(params, page, growing->last_offset);
		}
		UnlockReleaseBuffer(buffer);
		if (!good || !BlockNumberIsValid(info.next))
			break;
		growing->last_block = info.next;
		growing->last_ordinal = info.ordinal + info.nentries;
		growing->last_entries = 0;
		growing->last_offset = ANN_FIRST_ENTRY;
	}
	if (scratch != NULL)
		pfree(scratch);
	return good;
}

/*
 * Whether what was read before is still the beginning of the growing part.
 */
static bool
growing_is_current(const AnnGrowing *growing, const AnnMeta *meta)
{
	return growing != NULL && SegmentIdEquals(&growing->index_id, &meta->index_id) &&
		BlockNumberIsValid(meta->growing_head) && BlockNumberIsValid(growing->last_block) &&
		growing->head_ordinal == meta->growing_head_ordinal;
}

AnnView *
AnnAcquireView(Relation index, const AnnParams *params, AnnGrowing **growing)
{
	Oid			indexid = RelationGetRelid(index);
	ViewEntry  *entry;
	bool		found;

	init_views();
	if (views.any_suspect)
		forget_dropped();
	entry = hash_search(views.entries, &indexid, HASH_ENTER, &found);
	if (!found)
	{
		entry->view = NULL;
		entry->growing = NULL;
		entry->suspect = false;
	}

	for (int attempt = 0;; attempt++)
	{
		AnnMeta		meta;

		CHECK_FOR_INTERRUPTS();
		if (attempt > 1000)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not read a consistent state of index \"%s\"",
							RelationGetRelationName(index)),
					 errhint("Retry the query; if it keeps failing, REINDEX the index.")));
		AnnReadMeta(index, &meta);
		MILVUS_DEBUG_POINT("view-meta-read");
		if (meta.dim != params->dim || meta.elem != (uint32) params->elem ||
			meta.metric != (uint32) params->metric)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("index \"%s\" was built for another type or dimension",
							RelationGetRelationName(index)),
					 errhint("REINDEX the index.")));
		if (entry->view == NULL ||
			!SegmentIdEquals(&entry->view->index_id, &meta.index_id) ||
			entry->view->manifest_version != meta.manifest_version ||
			entry->view->marks_version != meta.marks_version ||
			mapping_is_due(entry->view))
		{
			AnnView    *last = entry->view;
			AnnView    *view = make_view(index, &meta, last);

			if (view == NULL)
				continue;
			entry->view = view;
			unref_view(last);
		}
		if (!growing_is_current(entry->growing, &meta))
		{
			AnnGrowing *old = entry->growing;
			AnnGrowing *taken = take_over_growing(index, &meta, params, old);

			entry->growing = taken != NULL ? taken : make_growing(index, &meta, params);
			unref_growing(old);
		}
		if (!read_growing(index, entry->growing, params))
		{
			unref_growing(entry->growing);
			entry->growing = NULL;
			continue;
		}
		entry->view->refcount++;
		entry->growing->refcount++;
		*growing = entry->growing;
		return entry->view;
	}
}
