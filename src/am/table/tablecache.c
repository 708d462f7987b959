/*
 * tablecache.c
 *		Cache files of columns: the decoded column of a segment in a file that every
 *		backend maps.
 *
 * One file a segment and column, named by the TOAST relation's file number and the segment's
 * id, whose last two bytes are combined with the column number.  Sections: the values; for
 * values of varying length where each begins (rows + 1 numbers of 32 bits); a bitmap of nulls
 * where there are any.  The file is a function of the segment: it may be missing, removed,
 * damaged or made twice at any time.
 */
#include "postgres.h"

#include "access/table.h"
#include "compat.h"
#include "coord_bgworkers/coord.h"
#include "guc.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "table.h"
#include "tableroot.h"
#include "tablesegment.h"
#include "utils/memutils.h"

#define CACHE_VALUES 1
#define CACHE_OFFSETS 2
#define CACHE_NULLS 3

/*
 * Single values are read from a file when there is one.  It is made for them when so many
 * chunks had to be decoded, and those add up to a quarter of the column: then what was
 * spent already is of the order of what making the file costs.
 */
#define CACHE_MISSES 8
#define CACHE_MISSED_SHARE 4

/* Bytes of the id that all columns of a segment have in common. */
#define CACHE_ID_BYTES (SEG_ID_LEN - 2)

static void
column_key(const TableSegment *segment, const TableColumn *column, Relation toast, SegmentCacheKey *key)
{
	SegmentId	id = segment->root->id;

	id.bytes[SEG_ID_LEN - 2] ^= column->attnum >> 8;
	id.bytes[SEG_ID_LEN - 1] ^= column->attnum & 0xff;
	SegmentCacheKeyInit(key, toast, &id);
}

/*
 * Sections that the column's file has.  Returns their number.
 */
static int
column_sections(const TableSegment *segment, const TableColumn *column, SegmentSection *sections)
{
	int			n = 0;

	memset(sections, 0, 3 * sizeof(SegmentSection));
	sections[n].id = CACHE_VALUES;
	sections[n++].bytes = column->width != 0 ? (uint64) segment->rows * column->width : column->root->raw_bytes;
	if (column->width == 0)
	{
		sections[n].id = CACHE_OFFSETS;
		sections[n++].bytes = ((uint64) segment->rows + 1) * sizeof(uint32);
	}
	if (column->root->nulls > 0)
	{
		sections[n].id = CACHE_NULLS;
		sections[n++].bytes = (segment->rows + 7) / 8;
	}
	return n;
}

/* ---- making a file ---- */

/*
 * Append a chunk's values, and where they begin, to the file; its nulls to the bitmap.
 */
static bool
write_chunk(SegmentCacheFill *fill, const TableColumn *column, uint32 first_row, const ColumnView *view,
			uint64 *used, uint8 *nulls)
{
	Size		bytes = column->width != 0 ? (Size) view->rows * column->width : view->offsets[view->rows];

	if (!SegmentCacheWrite(fill, CACHE_VALUES, *used, view->values, bytes))
		return false;
	if (column->width == 0)
	{
		uint32	   *offsets = palloc(view->rows * sizeof(uint32));

		for (uint32 i = 0; i < view->rows; i++)
			offsets[i] = view->offsets[i] + (uint32) *used;
		if (!SegmentCacheWrite(fill, CACHE_OFFSETS, first_row * sizeof(uint32), offsets,
							   view->rows * sizeof(uint32)))
			return false;
		pfree(offsets);
	}
	if (view->nulls != NULL)
		for (uint32 i = 0; i < view->rows; i++)
			if (ColumnIsNull(view, i))
				nulls[(first_row + i) >> 3] |= 1 << ((first_row + i) & 7);
	*used += bytes;
	return true;
}

static bool
write_column(SegmentCacheFill *fill, TableSegment *segment, TableColumn *column)
{
	MemoryContext chunk_context = AllocSetContextCreate(CurrentMemoryContext, "milvus column chunk",
														ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = CurrentMemoryContext;
	uint8	   *nulls = palloc0((segment->rows + 7) / 8);
	uint64		used = 0;
	uint32		end;

	for (uint32 i = 0; i < column->root->nchunks; i++)
	{
		ColumnView	view;
		bool		good;

		MemoryContextSwitchTo(chunk_context);
		TableSegmentReadChunk(segment, column, i, &view);
		good = write_chunk(fill, column, i * column->root->chunk_rows, &view, &used, nulls);
		MemoryContextSwitchTo(old);
		MemoryContextReset(chunk_context);
		if (!good)
			return false;
	}
	end = (uint32) used;
	if (column->width == 0 &&
		!SegmentCacheWrite(fill, CACHE_OFFSETS, segment->rows * sizeof(uint32), &end, sizeof(end)))
		return false;
	if (column->root->nulls > 0 && !SegmentCacheWrite(fill, CACHE_NULLS, 0, nulls, (segment->rows + 7) / 8))
		return false;
	return true;
}

/*
 * Make the column's file.  False: there is no room, or it could not be written.
 */
static bool
make_file(TableSegment *segment, TableColumn *column, const SegmentCacheKey *key)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "milvus cache file",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	SegmentSection sections[3];
	int			nsections = column_sections(segment, column, sections);
	SegmentCacheFill *fill = SegmentCacheBeginPieces(key, sections, nsections);
	bool		good = false;

	if (fill != NULL)
	{
		good = write_column(fill, segment, column) && SegmentCachePublish(fill);
		SegmentCacheEnd(fill);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return good;
}

/* ---- mapping one ---- */

/* Index of a section; the caller has seen that it is there. */
static int
find_section(const SegmentMap *map, uint32 id)
{
	int			i = 0;

	while (map->sections[i].id != id)
		i++;
	Assert(i < map->nsections);
	return i;
}

static const void *
section_data(const SegmentMap *map, uint32 id)
{
	return (const char *) map->base + map->sections[find_section(map, id)].offset;
}

static void
set_trusted(TableColumn *column)
{
	column->trusted = column->map->unverified == 0;
}

/*
 * Map the column's file if there is one.
 */
static bool
open_file(TableSegment *segment, TableColumn *column, const SegmentCacheKey *key)
{
	SegmentMap	map = {0};
	SegmentSection expected[3];
	int			n = column_sections(segment, column, expected);
	bool		good;

	if (!SegmentCacheOpen(key, &map))
		return false;
	good = map.nsections == n;
	for (int i = 0; i < n && good; i++)
		good = map.sections[i].id == expected[i].id && map.sections[i].bytes == expected[i].bytes;
	if (!good)
	{
		SegmentCacheClose(&map);
		SegmentCacheDrop(key);
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("vector cache file of column %d of relation %u does not fit its segment and was removed",
						column->attnum, segment->key.relid)));
		return false;
	}
	column->map = MemoryContextAlloc(segment->context, sizeof(SegmentMap));
	*column->map = map;
	column->key = *key;
	SegmentGuardWatch(map.base, map.bytes);
	column->values = section_data(&map, CACHE_VALUES);
	if (column->width == 0)
		column->offsets = section_data(&map, CACHE_OFFSETS);
	if (column->root->nulls > 0)
		column->nulls = section_data(&map, CACHE_NULLS);
	set_trusted(column);
	return true;
}

/*
 * One process makes a column's file at a time.  The lock's block number is no block: readers and
 * writers of the TOAST relation lock none.
 */
static BlockNumber
lock_number(const TableSegment *segment, const TableColumn *column)
{
	return (BlockNumber) segment->key.root * 31 + column->attnum;
}

/*
 * Look for files of relations that were dropped, once in a transaction that makes some.
 */
static void
sweep_sometimes(void)
{
	static uint64 swept = 0;

	if (swept != TableTransaction())
		SegmentCacheSweepUnknown();
	swept = TableTransaction();
}

/*
 * Map a column, when `make` says so after making its file; `wait` for another process
 * that is at it.
 */
static bool
map_column(TableSegment *segment, TableColumn *column, bool make, bool wait)
{
	SegmentCacheKey key;
	Relation	toast;
	bool		good;

	if (column->map != NULL)
		return !column->broken;
	if (milvus_settings.cache_size == 0)
		return false;
	toast = table_open(segment->toast, AccessShareLock);
	column_key(segment, column, toast, &key);
	good = open_file(segment, column, &key);
	if (!good && make)
	{
		BlockNumber number = lock_number(segment, column);
		bool		locked = true;

		if (wait)
			LockPage(toast, number, ExclusiveLock);
		else
			locked = ConditionalLockPage(toast, number, ExclusiveLock);
		if (locked)
		{
			if (!SegmentCacheExists(&key))
			{
				LOCKTAG		tag;

				sweep_sometimes();
				SET_LOCKTAG_PAGE(tag, toast->rd_lockInfo.lockRelId.dbId, toast->rd_lockInfo.lockRelId.relId, number);
				CoordThrottleUnder(&tag);
				(void) make_file(segment, column, &key);
				CoordThrottleUnder(NULL);
			}
			UnlockPage(toast, number, ExclusiveLock);
			good = open_file(segment, column, &key);
		}
	}
	table_close(toast, AccessShareLock);
	return good;
}

bool
TableColumnMap(TableSegment *segment, TableColumn *column)
{
	if (column->map == NULL && column->no_map == TableTransaction())
		return false;
	if (map_column(segment, column, true, false))
		return true;
	column->no_map = TableTransaction();
	return false;
}

bool
TableColumnMapForFetch(TableSegment *segment, TableColumn *column)
{
	bool		often = column->misses >= CACHE_MISSES &&
		column->missed_bytes >= column->root->raw_bytes / CACHE_MISSED_SHARE;

	if (column->map != NULL)
		return !column->broken;
	if (column->no_map == TableTransaction())
		return false;
	/* to look for a file costs more than a value of a chunk that is at hand */
	if (column->looked == TableTransaction() && column->looked_misses == column->misses)
		return false;
	column->looked = TableTransaction();
	column->looked_misses = column->misses;
	if (!often)
		return map_column(segment, column, false, false);
	return TableColumnMap(segment, column);
}

/*
 * Stop using a column's file.  What points into it stays valid until the end of the
 * transaction, when the segment is closed.
 */
static void
drop_file(TableSegment *segment, TableColumn *column)
{
	SegmentCacheDrop(&column->key);
	column->trusted = false;
	column->broken = true;
	segment->stale = true;
}

static bool
verify_section(TableColumn *column, uint32 id, uint64 begin, uint64 end)
{
	return end >= begin &&
		SegmentCacheVerify(&column->key, column->map, find_section(column->map, id), begin, end - begin);
}

bool
TableColumnVerify(TableSegment *segment, TableColumn *column, uint32 first, uint32 n)
{
	bool		good = true;

	if (column->trusted)
		return true;
	if (column->broken)
		return false;
	if (column->nulls != NULL)
		good = verify_section(column, CACHE_NULLS, first / 8, ((uint64) first + n + 7) / 8);
	if (column->width == 0)
		good = good && verify_section(column, CACHE_OFFSETS, (uint64) first * sizeof(uint32),
									  ((uint64) first + n + 1) * sizeof(uint32)) &&
			verify_section(column, CACHE_VALUES, column->offsets[first], column->offsets[first + n]);
	else
		good = good && verify_section(column, CACHE_VALUES, (uint64) first * column->width,
									  ((uint64) first + n) * column->width);
	if (!good)
	{
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("vector cache file of column %d of relation %u is damaged and is made anew",
						column->attnum, segment->key.relid)));
		drop_file(segment, column);
		return false;
	}
	set_trusted(column);
	return true;
}

void
TableColumnUnmap(TableColumn *column)
{
	if (column->map == NULL)
		return;
	SegmentGuardUnwatch(column->map->base);
	SegmentCacheClose(column->map);
	column->map = NULL;
	column->trusted = false;
	column->values = NULL;
	column->offsets = NULL;
	column->nulls = NULL;
}

void
TableColumnFault(TableSegment *segment)
{
	for (uint32 i = 0; i <= segment->natts; i++)
		if (segment->columns[i].map != NULL)
			drop_file(segment, &segment->columns[i]);
}

/* ---- by request ---- */

static bool
warm_column(TableSegment *segment, TableColumn *column)
{
	return map_column(segment, column, true, true) && TableColumnVerify(segment, column, 0, segment->rows);
}

bool
TableSegmentWarm(TableSegment *segment, AttrNumber attnum)
{
	bool		good = true;

	for (uint32 i = 0; i <= segment->natts; i++)
	{
		TableColumn *column = &segment->columns[i];

		if ((attnum == 0 || attnum == (AttrNumber) i) && !column->dropped)
			good = warm_column(segment, column) && good;
	}
	return good;
}

bool
TableSegmentWarmColumn(TableSegment *segment, AttrNumber attnum)
{
	return attnum > (AttrNumber) segment->natts || segment->columns[attnum].dropped ||
		warm_column(segment, &segment->columns[attnum]);
}

Bitmapset *
TableSegmentCached(TableSegment *segment)
{
	Relation	toast = table_open(segment->toast, AccessShareLock);
	Bitmapset  *cached = NULL;

	for (uint32 i = 0; i <= segment->natts; i++)
	{
		SegmentCacheKey key;

		if (segment->columns[i].dropped)
			continue;
		column_key(segment, &segment->columns[i], toast, &key);
		if (SegmentCacheExists(&key))
			cached = bms_add_member(cached, (int) i);
	}
	table_close(toast, AccessShareLock);
	return cached;
}

void
TableSegmentEvict(TableSegment *segment, AttrNumber attnum)
{
	Relation	toast = table_open(segment->toast, AccessShareLock);

	for (uint32 i = 0; i <= segment->natts; i++)
	{
		SegmentCacheKey key;

		if (attnum != 0 && attnum != (AttrNumber) i)
			continue;
		column_key(segment, &segment->columns[i], toast, &key);
		SegmentCacheDrop(&key);
	}
	table_close(toast, AccessShareLock);
	/* so that this backend lets go of the file's space, too */
	segment->stale = true;
}

void
TableSegmentSweep(Relation rel)
{
	TableSegmentEntry *entries;
	SegmentId  *ids;
	Relation	toast;
	int			n;

	SegmentCacheSweepUnknown();
	if (!OidIsValid(rel->rd_rel->reltoastrelid))
		return;
	entries = TableReadManifest(rel, &n);
	ids = palloc(Max(n, 1) * sizeof(SegmentId));
	for (int i = 0; i < n; i++)
		ids[i] = entries[i].id;
	toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
	SegmentCacheSweepPrefix(toast, ids, n, CACHE_ID_BYTES);
	table_close(toast, AccessShareLock);
	pfree(ids);
	pfree(entries);
}

uint64
TableCacheBytes(Relation rel)
{
	Relation	toast;
	uint64		bytes;

	if (!OidIsValid(rel->rd_rel->reltoastrelid))
		return 0;
	/* that is the relation whose files they are */
	toast = table_open(rel->rd_rel->reltoastrelid, AccessShareLock);
	bytes = SegmentCacheBytes(toast);
	table_close(toast, AccessShareLock);
	return bytes;
}
