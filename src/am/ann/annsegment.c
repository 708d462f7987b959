/*
 * annsegment.c
 *		The segments of an index: collecting rows, building and writing a segment,
 *		opening one for search.
 */
#include "postgres.h"

#include "am/ann/ann.h"
#include "am/ann/annattr.h"
#include "am/ann/annmask.h"
#include "compat.h"
#include "commands/progress.h"
#include "coord_bgworkers/coord.h"
#include "guc.h"
#include "index/sq8.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include <unistd.h>

/* Bytes read and handed on at a time when a section is copied. */
#define COPY_CHUNK (256 * 1024)

/* Parameters as they lie in a segment header. */
typedef struct StoredParams
{
	uint32		type;
	uint32		metric;
	uint32		elem;
	uint32		dim;
	uint32		m;
	uint32		ef_construction;
	uint32		nlist;
	uint32		rows;
	uint32		zero_rows;
	uint32		null_rows;
	uint32		sq_type;
	uint32		pq_m;
	uint32		pq_nbits;
	uint32		nrq;
	uint32		refine_type;
	uint32		mh_band;
	uint32		mh_element_bits;
	uint32		compact;
} StoredParams;

StaticAssertDecl(sizeof(StoredParams) <= SEGMENT_PARAMS_LEN, "parameters must fit a segment header");

/* ---- spool ---- */

struct AnnSpool
{
	MemoryContext context;
	AnnParams	params;
	ScratchArena *arena;
	char	   *raw;			/* rows x vector bytes */
	Size		raw_capacity;	/* rows */
	ItemPointerData *tids[3];	/* by AnnRowClass */
	uint32		rows[3];
	uint32		capacity[3];
	const AnnAttrs *attrs;		/* NULL: the index has no scalar columns */
	AnnAttrRows attr_rows;		/* of the vector rows */
	AnnSpoolPosition last;
};

AnnSpool *
AnnSpoolCreate(const AnnParams *params, const AnnAttrs *attrs)
{
	AnnSpool   *spool = palloc0(sizeof(AnnSpool));
	int			work_mem_kb = AmAutoVacuumWorkerProcess() && autovacuum_work_mem != -1
		? autovacuum_work_mem : maintenance_work_mem;

	spool->context = CurrentMemoryContext;
	spool->params = *params;
	spool->attrs = attrs;
	spool->arena = ScratchArenaCreate((Size) work_mem_kb * 1024);
	return spool;
}

/*
 * Keep a row's tuple behind those of the rows before it.
 */
static void
add_attrs(AnnSpool *spool, uint32 row, IndexTuple tuple)
{
	AnnAttrRows *rows = &spool->attr_rows;
	Size		bytes = IndexTupleSize(tuple);
	bool		room = true;

	if (row >= rows->maxplaces)
	{
		uint32		max = Max(256, rows->maxplaces * 2);
		uint64	   *places = ScratchResize(spool->arena, rows->places, sizeof(uint64) * (Size) max);

		room = places != NULL;
		rows->places = room ? places : rows->places;
		rows->maxplaces = room ? max : rows->maxplaces;
	}
	if (room && rows->used + bytes > rows->capacity)
	{
		uint64		capacity = Max(256 * 1024, rows->capacity * 2);
		char	   *data = ScratchResize(spool->arena, rows->data, capacity);

		room = data != NULL;
		rows->data = room ? data : rows->data;
		rows->capacity = room ? capacity : rows->capacity;
	}
	if (!room)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed to make room for the scalar columns of an index segment.")));
	rows->places[row] = rows->used;
	memcpy(rows->data + rows->used, tuple, bytes);
	rows->used += MAXALIGN(bytes);
}

void
AnnSpoolAdd(AnnSpool *spool, ItemPointer tid, AnnRowClass class, const void *data, IndexTuple attrs)
{
	Size		bytes = AnnVectorBytes(&spool->params);
	uint32		row = spool->rows[class];

	if (row == spool->capacity[class])
	{
		uint32		capacity = Max(256, spool->capacity[class] * 2);
		void	   *tids = ScratchResize(spool->arena, spool->tids[class],
										 sizeof(ItemPointerData) * (Size) capacity);

		if (tids != NULL && class == ANN_ROW_VECTOR)
		{
			void	   *raw = ScratchResize(spool->arena, spool->raw, bytes * capacity);

			spool->tids[class] = tids;
			tids = raw;
			spool->raw = raw != NULL ? raw : spool->raw;
		}
		else if (tids != NULL)
			spool->tids[class] = tids;
		if (tids == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed to make room for %u vectors of an index segment.", capacity)));
		spool->capacity[class] = capacity;
	}
	spool->tids[class][row] = *tid;
	if (class == ANN_ROW_VECTOR)
	{
		memcpy(spool->raw + bytes * row, data, bytes);
		if (spool->attrs != NULL)
			add_attrs(spool, row, attrs);
	}
	spool->rows[class] = row + 1;
	spool->last.class = class;
	spool->last.number = row;
}

AnnSpoolPosition
AnnSpoolLast(const AnnSpool *spool)
{
	return spool->last;
}

uint64
AnnSpoolRows(const AnnSpool *spool)
{
	return (uint64) spool->rows[0] + spool->rows[1] + spool->rows[2];
}

void
AnnSpoolDestroy(AnnSpool *spool)
{
	ScratchArenaDestroy(spool->arena);
}

/* ---- environment of src/index ---- */

static void *
env_alloc(void *ctx, size_t bytes)
{
	return ScratchAlloc(ctx, bytes);
}

static void
env_free(void *ctx, void *p)
{
	ScratchFree(ctx, p);
}

/*
 * A background seal gives way to whoever waits for a lock on its table or index.
 * LockHasWaitersRelation() cannot tell, for it does not know fast-path locks; the
 * lock table is looked at as pg_locks does, a few times a second.
 */
#define YIELD_INTERVAL 200		/* ms */

static struct
{
	Oid			table;
	Oid			index;
	TimestampTz checked;
}			yield;

void
AnnYieldFor(Oid table, Oid index)
{
	yield.table = table;
	yield.index = index;
}

/*
 * The lock table, or NULL: builder threads may be running, so nothing may jump
 * out of here.
 */
static LockData *
read_locks(void)
{
	MemoryContext context = CurrentMemoryContext;
	LockData   *volatile locks = NULL;

	PG_TRY();
	{
		locks = GetLockStatusData();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		LWLockReleaseAll();
		FlushErrorState();
	}
	PG_END_TRY();
	return locks;
}

/* Whether a lock keeps others from connecting to the database: of DROP DATABASE and its like. */
static bool
wants_database(const LockInstanceData *lock)
{
	return lock->locktag.locktag_type == LOCKTAG_OBJECT && lock->locktag.locktag_field1 == InvalidOid &&
		lock->locktag.locktag_field2 == DatabaseRelationId && lock->locktag.locktag_field3 == MyDatabaseId &&
		((lock->holdMask & ~(LOCKBIT_ON(ShareLock) - 1)) != 0 || lock->waitLockMode >= ShareLock);
}

static bool
somebody_waits(void)
{
	TimestampTz now;
	LockData   *locks;
	bool		waits = false;

	if (!OidIsValid(yield.table))
		return false;
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(yield.checked, now, YIELD_INTERVAL))
		return false;
	yield.checked = now;
	locks = read_locks();
	if (locks == NULL)
		return false;
	for (int i = 0; i < locks->nelements && !waits; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		waits = (lock->waitLockMode != NoLock && lock->locktag.locktag_type == LOCKTAG_RELATION &&
				 lock->locktag.locktag_field1 == MyDatabaseId &&
				 (lock->locktag.locktag_field2 == yield.table || lock->locktag.locktag_field2 == yield.index)) ||
			wants_database(lock);
	}
	pfree(locks->locks);
	pfree(locks);
	return waits;
}

/*
 * Only looks: the builder winds down and the caller raises the error.
 */
static bool
env_cancelled(void *ctx)
{
	return (InterruptPending && (QueryCancelPending || ProcDiePending)) || somebody_waits();
}

/* What a background job had done when the build of a segment began, and what it has to do. */
static struct
{
	uint64		before;
	uint64		total;
}			job;

void
AnnProgressBegin(uint64 before, uint64 total)
{
	job.before = before;
	job.total = total;
}

static void
env_progress(void *ctx, uint64_t done, uint64_t total)
{
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, (int64) total);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) done);
	CoordReportProgress(job.before + done, job.total);
}

void
AnnArenaEnv(AnnEnv *env, ScratchArena *arena)
{
	memset(env, 0, sizeof(*env));
	env->ctx = arena;
	env->alloc = env_alloc;
	env->free = env_free;
	env->cancelled = env_cancelled;
	env->progress = env_progress;
}

/*
 * Threads of a build: what max_parallel_maintenance_workers allows beside the
 * backend itself, within the cores there are.
 */
int
AnnBuildThreads(void)
{
	long		cores = sysconf(_SC_NPROCESSORS_ONLN);

	return Max(1, Min(1 + max_parallel_maintenance_workers, (int) Max(1, cores)));
}

static void
report_status(AnnStatus status, Relation index)
{
	switch (status)
	{
		case ANN_OK:
			return;
		case ANN_CANCELLED:
			CHECK_FOR_INTERRUPTS();
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("canceling the build of a segment of index \"%s\" because another session waits for its table or its database",
							RelationGetRelationName(index))));
			break;
		case ANN_NO_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory while building index \"%s\"", RelationGetRelationName(index))));
			break;
		case ANN_IO:
		case ANN_CORRUPT:
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("segment of index \"%s\" is damaged", RelationGetRelationName(index)),
					 errhint("REINDEX the index.")));
			break;
	}
}

/* ---- writing ---- */

static void
add_section(SegmentHeader *header, uint32 id, uint64 bytes)
{
	if (header->nsections >= SEGMENT_MAX_SECTIONS)
		elog(ERROR, "too many sections in a segment");
	header->sections[header->nsections].id = id;
	header->sections[header->nsections].bytes = bytes;
	header->nsections++;
}

/* ---- calibrating ---- */

typedef struct GuardedCalibration
{
	const AnnSegmentHandle *handle;
	const AnnSpool *spool;
	const uint32 *order;		/* rows of the segment by number in the spool; NULL: the same */
	AnnEnv		env;
	AnnCalibration result;
	AnnStatus	status;
} GuardedCalibration;

/* AnnReadVector: what the segment was built from */
static bool
calibration_vector(void *arg, uint32_t row, void *dst)
{
	GuardedCalibration *c = arg;
	Size		bytes = AnnVectorBytes(&c->spool->params);

	memcpy(dst, c->spool->raw + bytes * (c->order != NULL ? c->order[row] : row), bytes);
	return true;
}

static void
guarded_calibration(void *arg)
{
	GuardedCalibration *c = arg;

	c->status = AnnCalibrate(&c->handle->ann, calibration_vector, c, &c->env, &c->result);
}

/*
 * Open a new segment, which makes its cache file, and measure what recall its
 * searches reach; unknown where there is no cache.
 */
static void
calibrate(Relation index, AnnSegmentEntry *entry, const AnnSpool *spool, const uint32 *order)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ann calibration",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	AnnSegmentHandle *handle = AnnSegmentOpen(index, entry, context);
	GuardedCalibration c = {.handle = handle, .spool = spool, .order = order};

	if (handle == NULL)
		elog(ERROR, "new segment has vanished");
	handle->refcount++;
	if (handle->map.base != NULL && entry->rows > 0)
	{
		AnnArenaEnv(&c.env, ScratchArenaCreate((Size) maintenance_work_mem * 1024));
		c.env.progress = NULL;
		/* a mapping that breaks leaves the segment unknown, as none does */
		if (SegmentGuardedCall(guarded_calibration, &c))
			report_status(c.status, index);
		else
			memset(&c.result, 0, sizeof(c.result));
	}
	entry->calibration = c.result;
	AnnSegmentClose(handle);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

AnnNewSegment *
AnnWriteSegment(Relation index, Relation heap, AnnManifest *manifest, AnnSpool *spool, int nthreads)
{
	AnnNewSegment *segment = palloc0(sizeof(AnnNewSegment));
	SegmentHeader *header = &segment->header;
	AnnSegmentEntry *entry = &segment->entry;
	const AnnParams *params = &spool->params;
	Size		bytes = AnnVectorBytes(params);
	uint32		n = spool->rows[ANN_ROW_VECTOR];
	StoredParams stored;
	AnnEnv		env;
	AnnBuilt	built;
	void	   *attrs = NULL;
	uint64		attr_bytes = 0;
	SegmentWriter *writer;

	AnnArenaEnv(&env, spool->arena);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 3);
	report_status(AnnBuild(params, spool->raw, n, nthreads, &env, &built), index);
	MILVUS_DEBUG_POINT("segment-built");
	if (spool->attrs != NULL)
		attrs = AnnAttrsBuild(spool->attrs, &spool->attr_rows, built.order, n, spool->arena, &attr_bytes);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, 4);
	memset(&stored, 0, sizeof(stored));
	stored.type = params->type;
	stored.metric = params->metric;
	stored.elem = params->elem;
	stored.dim = params->dim;
	stored.m = params->m;
	stored.ef_construction = params->ef_construction;
	stored.nlist = params->nlist;
	stored.rows = n;
	stored.zero_rows = spool->rows[ANN_ROW_ZERO];
	stored.null_rows = spool->rows[ANN_ROW_NULL];
	stored.sq_type = params->sq_type;
	stored.pq_m = params->pq_m;
	stored.pq_nbits = params->pq_nbits;
	stored.nrq = params->nrq;
	stored.refine_type = params->refine_type;
	stored.mh_band = params->mh_band;
	stored.mh_element_bits = params->mh_element_bits;
	stored.compact = params->compact;

	SegmentIdGenerate(&header->id);
	memcpy(header->params, &stored, sizeof(stored));
	header->rows = AnnSpoolRows(spool);
	header->created = GetCurrentTimestamp();
	for (int i = 0; i < built.nsections; i++)
		add_section(header, built.sections[i].id, built.sections[i].bytes);
	add_section(header, ANN_SEC_TIDS, sizeof(ItemPointerData) * header->rows);
	if (attrs != NULL)
		add_section(header, ANN_SEC_ATTRS, attr_bytes);
	if (AnnKeepsRaw(params))
		add_section(header, ANN_SEC_RAW, bytes * n);

	entry->id = header->id;
	entry->nblocks = SegmentPlan(header);
	entry->rows = n;
	entry->zero_rows = stored.zero_rows;
	entry->null_rows = stored.null_rows;
	entry->type = params->type;
	entry->created = header->created;
	entry->start = AnnAllocExtent(index, heap, manifest, entry->nblocks);
	MILVUS_DEBUG_POINT("segment-allocated");

	writer = SegmentWriterBegin(index, header, entry->start);
	for (int i = 0; i < built.nsections; i++)
		SegmentWriterAppend(writer, built.sections[i].data, built.sections[i].bytes);
	MILVUS_DEBUG_POINT("segment-half-written");
	for (uint32 row = 0; row < n; row++)
		SegmentWriterAppend(writer, &spool->tids[ANN_ROW_VECTOR][built.order ? built.order[row] : row],
							sizeof(ItemPointerData));
	SegmentWriterAppend(writer, spool->tids[ANN_ROW_ZERO], sizeof(ItemPointerData) * (Size) stored.zero_rows);
	SegmentWriterAppend(writer, spool->tids[ANN_ROW_NULL], sizeof(ItemPointerData) * (Size) stored.null_rows);
	if (attrs != NULL)
	{
		SegmentWriterAppend(writer, attrs, attr_bytes);
		ScratchFree(spool->arena, attrs);
	}
	for (uint32 row = 0; row < n && AnnKeepsRaw(params); row++)
		SegmentWriterAppend(writer, spool->raw + bytes * (built.order ? built.order[row] : row), bytes);
	SegmentWriterFinish(writer, NULL);
	MILVUS_DEBUG_POINT("segment-written");

	if (built.order != NULL)
	{
		segment->inverse = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) * (Size) Max(n, 1));
		for (uint32 row = 0; row < n; row++)
			segment->inverse[built.order[row]] = row;
	}
	calibrate(index, entry, spool, built.order);
	AnnBuiltFree(&built, &env);
	return segment;
}

uint32
AnnNewSegmentRow(const AnnNewSegment *segment, AnnSpoolPosition position)
{
	switch (position.class)
	{
		case ANN_ROW_VECTOR:
			return segment->inverse ? segment->inverse[position.number] : position.number;
		case ANN_ROW_ZERO:
			return segment->entry.rows + position.number;
		case ANN_ROW_NULL:
			return segment->entry.rows + segment->entry.zero_rows + position.number;
	}
	pg_unreachable();
}

/* ---- opening ---- */

void
AnnHeaderParams(const SegmentHeader *header, AnnParams *params)
{
	StoredParams stored;

	memcpy(&stored, header->params, sizeof(stored));
	memset(params, 0, sizeof(*params));
	params->type = stored.type;
	params->metric = stored.metric;
	params->elem = stored.elem;
	params->dim = stored.dim;
	params->m = stored.m;
	params->ef_construction = stored.ef_construction;
	params->nlist = stored.nlist;
	params->sq_type = (AnnQuantizer) stored.sq_type;
	params->pq_m = stored.pq_m;
	params->pq_nbits = stored.pq_nbits;
	params->nrq = stored.nrq;
	params->refine_type = (AnnQuantizer) stored.refine_type;
	params->mh_band = stored.mh_band;
	params->mh_element_bits = stored.mh_element_bits;
	params->compact = stored.compact != 0;
}

static const SegmentSection *
find_mapped(const SegmentMap *map, uint32 id)
{
	for (int i = 0; i < map->nsections; i++)
		if (map->sections[i].id == id)
			return &map->sections[i];
	return NULL;
}

/* Argument and result of opening a mapped file. */
typedef struct GuardedOpen
{
	AnnSegmentHandle *handle;
	const AnnSection *sections;
	int			nsections;
	const SegmentSection *attrs;
	const SegmentSection *attr_index;
	const SegmentSection *tid_index;
	AnnStatus	status;
} GuardedOpen;

static void
guarded_open(void *arg)
{
	GuardedOpen *open = arg;
	const AnnSegmentHandle *handle = open->handle;
	const char *base = handle->map.base;

	if (handle->attrs != NULL &&
		!AnnAttrsAttach(handle->attrs, base + open->attrs->offset, open->attrs->bytes,
						base + open->attr_index->offset, open->attr_index->bytes, handle->entry.rows))
	{
		open->status = ANN_CORRUPT;
		return;
	}
	if (!AnnTidIndexAttach(&open->handle->tid_index, base + open->tid_index->offset, open->tid_index->bytes,
						   handle->entry.rows))
	{
		open->status = ANN_CORRUPT;
		return;
	}
	open->status = AnnOpen(&open->handle->params, open->handle->entry.rows, open->sections,
						   open->nsections, &open->handle->ann);
}

/*
 * Point the handle at its mapping; false when the file does not fit the segment.
 */
static bool
attach_map(AnnSegmentHandle *handle)
{
	AnnSection	sections[ANN_MAX_SECTIONS];
	const SegmentSection *tids = find_mapped(&handle->map, ANN_SEC_TIDS);
	GuardedOpen open;
	int			n = 0;

	if (tids == NULL || tids->bytes != sizeof(ItemPointerData) * AnnSegmentEntryRows(&handle->entry))
		return false;
	for (int i = 0; i < handle->map.nsections; i++)
	{
		const SegmentSection *section = &handle->map.sections[i];

		if (section->id >= ANN_SEC_TIDS)
			continue;
		if (n >= ANN_MAX_SECTIONS)
			return false;
		sections[n].id = section->id;
		sections[n].bytes = section->bytes;
		sections[n].data = (char *) handle->map.base + section->offset;
		n++;
	}
	open.attrs = find_mapped(&handle->map, ANN_SEC_ATTRS);
	open.attr_index = find_mapped(&handle->map, ANN_SEC_ATTR_INDEX);
	open.tid_index = find_mapped(&handle->map, ANN_SEC_TID_INDEX);
	if (open.tid_index == NULL || (handle->attrs != NULL && (open.attrs == NULL || open.attr_index == NULL)))
		return false;
	open.handle = handle;
	open.sections = sections;
	open.nsections = n;
	if (!SegmentGuardedCall(guarded_open, &open) || open.status != ANN_OK)
		return false;
	handle->tids = (const ItemPointerData *) ((char *) handle->map.base + tids->offset);
	return true;
}

typedef struct FillState
{
	SegmentReader reader;
	const SegmentSection *raw;
	pg_crc32c	raw_crc;
	uint64		raw_done;
	SegmentCacheFill *fill;
	bool		recycled;
} FillState;

/*
 * AnnReadRaw: the raw section through the buffers, checksummed on the way.
 */
static bool
fill_read_raw(void *ctx, uint64_t offset, size_t bytes, void *dst)
{
	FillState  *state = ctx;

	CHECK_FOR_INTERRUPTS();
	if (!SegmentReaderRead(&state->reader, state->raw->offset + offset, bytes, dst))
	{
		state->recycled = true;
		return false;
	}
	if (offset == state->raw_done)
	{
		COMP_CRC32C(state->raw_crc, dst, bytes);
		state->raw_done += bytes;
	}
	return true;
}

static bool
fill_write(void *ctx, uint32_t id, uint64_t offset, const void *data, size_t bytes)
{
	FillState  *state = ctx;

	return SegmentCacheWrite(state->fill, id, offset, data, bytes);
}

void *
AnnReadSection(Relation index, SegmentReader *reader, const SegmentSection *section)
{
	char	   *data = MemoryContextAllocHuge(CurrentMemoryContext, Max(section->bytes, 1) + SEGMENT_ALIGN);
	pg_crc32c	crc;

	data = (char *) TYPEALIGN(SEGMENT_ALIGN, data);
	if (!SegmentReaderRead(reader, section->offset, section->bytes, data))
		return NULL;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, data, section->bytes);
	FIN_CRC32C(crc);
	if (!EQ_CRC32C(crc, section->crc))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("checksum of section %u of a segment of index \"%s\" does not match",
						section->id, RelationGetRelationName(index)),
				 errhint("REINDEX the index.")));
	return data;
}

void *
AnnReadAttrs(Relation index, SegmentReader *reader, const SegmentHeader *header, uint32 rows)
{
	const SegmentSection *section = SegmentFindSection(header, ANN_SEC_ATTRS);
	void	   *data;

	if (section == NULL)
		report_status(ANN_CORRUPT, index);
	data = AnnReadSection(index, reader, section);
	if (data != NULL && !AnnAttrsCheck(data, section->bytes, rows))
		report_status(ANN_CORRUPT, index);
	return data;
}

/*
 * Write the attributes to a cache file, and their postings.
 */
static bool
fill_attrs(FillState *state, const void *attrs, uint64 bytes, uint64 index_bytes)
{
	void	   *index = MemoryContextAllocExtended(CurrentMemoryContext, index_bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	AnnAttrIndexBuild(attrs, index);
	return SegmentCacheWrite(state->fill, ANN_SEC_ATTRS, 0, attrs, bytes) &&
		SegmentCacheWrite(state->fill, ANN_SEC_ATTR_INDEX, 0, index, index_bytes);
}

/*
 * Make the cache file of a segment from its durable form.  Returns false when
 * the extent was recycled; having no file afterwards is no failure.
 */
static bool
fill_cache(Relation index, AnnSegmentHandle *handle, const SegmentCacheKey *key)
{
	const SegmentHeader *header = &handle->header;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ann cache fill",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	AnnSection	durable[ANN_MAX_SECTIONS];
	AnnSection	expanded[ANN_MAX_SECTIONS];
	SegmentSection sections[SEGMENT_MAX_SECTIONS];
	const SegmentSection *tids = SegmentFindSection(header, ANN_SEC_TIDS);
	SegmentHeader reread;
	FillState	state;
	AnnEnv		env;
	int			ndurable = 0;
	int			nexpanded;
	int			nsections;
	void	   *tid_data = NULL;
	void	   *tid_index;
	void	   *attrs = NULL;
	uint64		attr_bytes = 0;
	uint64		index_bytes = 0;
	AnnStatus	status;
	bool		good;

	memset(&state, 0, sizeof(state));
	good = SegmentReaderOpen(&state.reader, index, &handle->entry.id, handle->entry.start, &reread);
	state.reader.strategy = GetAccessStrategy(BAS_BULKREAD);
	state.raw = SegmentFindSection(header, ANN_SEC_RAW);
	INIT_CRC32C(state.raw_crc);
	if (tids == NULL || (state.raw != NULL) != AnnKeepsRaw(&handle->params) ||
		(state.raw != NULL &&
		 state.raw->bytes != AnnVectorBytes(&handle->params) * handle->entry.rows))
		report_status(ANN_CORRUPT, index);
	for (uint32 i = 0; i < header->nsections && good; i++)
	{
		const SegmentSection *section = &header->sections[i];
		void	   *data;

		if (section->id == ANN_SEC_RAW)
			continue;
		if (section->id == ANN_SEC_ATTRS)
		{
			attrs = AnnReadAttrs(index, &state.reader, header, handle->entry.rows);
			attr_bytes = section->bytes;
			good = attrs != NULL;
			continue;
		}
		data = AnnReadSection(index, &state.reader, section);
		if (data == NULL)
			good = false;
		else if (section->id == ANN_SEC_TIDS)
			tid_data = data;
		else if (ndurable < ANN_MAX_SECTIONS)
		{
			durable[ndurable].id = section->id;
			durable[ndurable].bytes = section->bytes;
			durable[ndurable].data = data;
			ndurable++;
		}
	}
	if (!good)
		goto done;

	nexpanded = AnnExpandedSections(&handle->params, handle->entry.rows, durable, ndurable, expanded);
	if (nexpanded < 0)
		report_status(ANN_CORRUPT, index);
	memset(sections, 0, sizeof(sections));
	for (int i = 0; i < nexpanded; i++)
	{
		sections[i].id = expanded[i].id;
		sections[i].bytes = expanded[i].bytes;
	}
	sections[nexpanded].id = ANN_SEC_TIDS;
	sections[nexpanded].bytes = tids->bytes;
	tid_index = AnnTidIndexBuild(tid_data, handle->entry.rows, &sections[nexpanded + 1].bytes);
	sections[nexpanded + 1].id = ANN_SEC_TID_INDEX;
	nsections = nexpanded + 2;
	if (attrs != NULL)
	{
		index_bytes = AnnAttrIndexBytes(attrs);
		sections[nsections].id = ANN_SEC_ATTRS;
		sections[nsections++].bytes = attr_bytes;
		sections[nsections].id = ANN_SEC_ATTR_INDEX;
		sections[nsections++].bytes = index_bytes;
	}
	state.fill = SegmentCacheBegin(key, sections, nsections);
	if (state.fill == NULL)
		goto done;
	MILVUS_DEBUG_POINT("cache-fill");
	AnnArenaEnv(&env, ScratchArenaCreate((Size) maintenance_work_mem * 1024));
	env.progress = NULL;
	env.cancelled = NULL;
	status = AnnExpand(&handle->params, handle->entry.rows, durable, ndurable,
					   fill_read_raw, &state, fill_write, &state, &env);
	if (status == ANN_IO)
		good = !state.recycled;
	else if (status != ANN_OK && status != ANN_NO_MEMORY)
		report_status(status, index);
	if (status != ANN_OK)
		goto done;
	FIN_CRC32C(state.raw_crc);
	if (state.raw != NULL && state.raw_done == state.raw->bytes && !EQ_CRC32C(state.raw_crc, state.raw->crc))
		report_status(ANN_CORRUPT, index);
	if (SegmentCacheWrite(state.fill, ANN_SEC_TIDS, 0, tid_data, tids->bytes) &&
		SegmentCacheWrite(state.fill, ANN_SEC_TID_INDEX, 0, tid_index, sections[nexpanded + 1].bytes) &&
		(attrs == NULL || fill_attrs(&state, attrs, attr_bytes, index_bytes)))
		(void) SegmentCachePublish(state.fill);
done:
	if (state.fill != NULL)
		SegmentCacheEnd(state.fill);
	SegmentReaderRelease(&state.reader);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return good;
}

/*
 * The handle is made in `owner`; everything else in the current context.
 */
AnnSegmentHandle *
AnnSegmentOpen(Relation index, const AnnSegmentEntry *entry, MemoryContext owner)
{
	AnnSegmentHandle handle = {0};
	AnnSegmentHandle *result;
	SegmentReader reader;
	SegmentCacheKey key;

	handle.entry = *entry;
	if (!SegmentReaderOpen(&reader, index, &entry->id, entry->start, &handle.header))
		return NULL;
	AnnHeaderParams(&handle.header, &handle.params);
	if (handle.header.rows != AnnSegmentEntryRows(entry))
		report_status(ANN_CORRUPT, index);

	result = MemoryContextAllocZero(owner, sizeof(AnnSegmentHandle));
	handle.attrs = NULL;
	if (IndexRelationGetNumberOfKeyAttributes(index) > 1)
	{
		if (SegmentFindSection(&handle.header, ANN_SEC_ATTRS) == NULL)
			report_status(ANN_CORRUPT, index);
		handle.attrs = MemoryContextAllocZero(owner, sizeof(AnnSegmentAttrs));
	}
	SegmentCacheKeyInit(&key, index, &entry->id);
	/* with the cache off there is nothing to wait for */
	if (milvus_settings.cache_size != 0 && !SegmentCacheOpen(&key, &handle.map))
	{
		bool		good;

		/* one process fills, the others wait for it and map its file */
		LockPage(index, entry->start, ExclusiveLock);
		if (SegmentCacheExists(&key))
			good = true;
		else
		{
			LOCKTAG		tag;

			/* a moment to look for files of indexes that were dropped */
			SegmentCacheSweepUnknown();
			SET_LOCKTAG_PAGE(tag, index->rd_lockInfo.lockRelId.dbId, index->rd_lockInfo.lockRelId.relId, entry->start);
			CoordThrottleUnder(&tag);
			good = fill_cache(index, &handle, &key);
			CoordThrottleUnder(NULL);
		}
		UnlockPage(index, entry->start, ExclusiveLock);
		if (!good)
		{
			if (handle.attrs != NULL)
				pfree(handle.attrs);
			pfree(result);
			return NULL;
		}
		(void) SegmentCacheOpen(&key, &handle.map);
	}
	if (handle.map.base != NULL && !attach_map(&handle))
	{
		SegmentCacheClose(&handle.map);
		SegmentCacheDrop(&key);
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("vector cache file of index \"%s\" does not fit its segment and was removed",
						RelationGetRelationName(index))));
	}
	*result = handle;
	return result;
}

void
AnnSegmentClose(AnnSegmentHandle *handle)
{
	if (--handle->refcount > 0)
		return;
	SegmentCacheClose(&handle->map);
	if (handle->attrs != NULL)
		pfree(handle->attrs);
	pfree(handle);
}

bool
AnnSegmentTid(Relation index, const AnnSegmentHandle *handle, uint32 row, ItemPointer tid)
{
	SegmentReader reader = {0};
	const SegmentSection *section;
	bool		good;

	section = SegmentFindSection(&handle->header, ANN_SEC_TIDS);
	reader.rel = index;
	reader.id = handle->entry.id;
	reader.start = handle->entry.start;
	reader.block = InvalidBlockNumber;
	good = SegmentReaderRead(&reader, section->offset + sizeof(ItemPointerData) * (uint64) row,
							 sizeof(ItemPointerData), tid);
	SegmentReaderRelease(&reader);
	return good;
}
