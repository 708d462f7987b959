/*
 * tablesegment.c
 *		Open segments of this backend, and the values of their rows.
 *
 * A segment stays open over transactions, so that a point query does not read its root again;
 * it is closed at the end of a transaction at the earliest, so that pointers into it are good until
 * then.  A column is read from its cache file where that is mapped (tablecache.c), and
 * otherwise from chunks decoded into a small memory of the backend.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupmacs.h"
#include "access/xact.h"
#include "compat.h"
#include "miscadmin.h"
#include "table.h"
#include "tableroot.h"
#include "tablesegment.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Decoded chunks that a backend keeps. */
#define SEGMENT_DECODED_BYTES ((Size) 64 * 1024 * 1024)
/* Open segments, and bytes of their roots, that stay open after a transaction. */
#define SEGMENT_MAX_OPEN 1024
#define SEGMENT_MAX_ROOT_BYTES ((Size) 64 * 1024 * 1024)
/*
 * A value id names another value only after the server's counter of OIDs went round, which
 * takes longer than this: an open segment whose root was read so long ago is opened anew.
 */
#define SEGMENT_REOPEN_MS (10 * 60 * 1000)

/* Last segments used, by the low bits of the root. */
#define SEGMENT_RECENT 64

static struct
{
	HTAB	   *open;			/* TableSegmentKey -> SegmentSlot */
	dlist_head	segments;
	dlist_head	decoded;
	Size		decoded_bytes;
	Size		root_bytes;
	int			nsegments;
	uint64		transaction;
	uint32		faults;			/* SegmentGuardFaults() when the transaction began */
	TableSegment *recent[SEGMENT_RECENT];
} state;

typedef struct SegmentSlot
{
	TableSegmentKey key;
	TableSegment *segment;
} SegmentSlot;

uint64
TableTransaction(void)
{
	return state.transaction;
}

/* ---- closing ---- */

static void
forget_decoded(TableDecoded *decoded)
{
	decoded->column->decoded[decoded->chunk] = NULL;
	dlist_delete(&decoded->node);
	state.decoded_bytes -= decoded->bytes;
	MemoryContextDelete(decoded->context);
}

static void
close_segment(TableSegment *segment)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &state.decoded)
	{
		TableDecoded *decoded = dlist_container(TableDecoded, node, iter.cur);

		if (decoded->column >= segment->columns && decoded->column <= segment->columns + segment->natts)
			forget_decoded(decoded);
	}
	for (uint32 i = 0; i <= segment->natts; i++)
		TableColumnUnmap(&segment->columns[i]);
	for (int i = 0; i < SEGMENT_RECENT; i++)
		if (state.recent[i] == segment)
			state.recent[i] = NULL;
	dlist_delete(&segment->node);
	state.root_bytes -= segment->root->bytes;
	state.nsegments--;
	(void) hash_search(state.open, &segment->key, HASH_REMOVE, NULL);
	MemoryContextDelete(segment->context);
}

/*
 * End of a transaction: nobody points into segments any more.  Those of changed relations are
 * closed, and the ones used longest ago when there are too many.
 */
static void
transaction_end(XactEvent event, void *arg)
{
	dlist_mutable_iter iter;
	bool		faults = state.faults != SegmentGuardFaults();

	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT ||
		event == XACT_EVENT_PRE_PREPARE)
		return;
	state.transaction++;
	state.faults = SegmentGuardFaults();
	dlist_foreach_modify(iter, &state.decoded)
	{
		TableDecoded *decoded = dlist_container(TableDecoded, node, iter.cur);

		decoded->pins = 0;
	}
	dlist_foreach_modify(iter, &state.segments)
	{
		TableSegment *segment = dlist_container(TableSegment, node, iter.cur);

		if (faults)
			TableColumnFault(segment);
		if (segment->stale)
			close_segment(segment);
	}
	while (state.nsegments > 0 &&
		   (state.nsegments > SEGMENT_MAX_OPEN || state.root_bytes > SEGMENT_MAX_ROOT_BYTES))
		close_segment(dlist_tail_element(TableSegment, node, &state.segments));
}

/*
 * A relation changed: rewritten, truncated, dropped, compacted, given columns.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	dlist_iter	iter;

	dlist_foreach(iter, &state.segments)
	{
		TableSegment *segment = dlist_container(TableSegment, node, iter.cur);

		if (!OidIsValid(relid) || relid == segment->key.relid || relid == segment->toast)
			segment->stale = segment->changed = true;
	}
}

static void
init_state(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(TableSegmentKey);
	ctl.entrysize = sizeof(SegmentSlot);
	ctl.hcxt = TopMemoryContext;
	dlist_init(&state.segments);
	dlist_init(&state.decoded);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	RegisterXactCallback(transaction_end, NULL);
	state.transaction = 1;
	state.open = hash_create("milvus open segments", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* ---- opening ---- */

static void
report_damage(Oid relid, Oid root, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("segment with root %u of relation %u is damaged: %s", root, relid, what)));
}

/*
 * Verify a root as far as memory depends on it.  Returns what is wrong, or NULL.
 */
static const char *
root_problem(char *data, Size bytes)
{
	TableRoot  *root = (TableRoot *) data;
	const TableRootColumn *columns = (const TableRootColumn *) (root + 1);
	const TableRootChunk *chunks;
	const char *pool;
	pg_crc32c	stored;
	pg_crc32c	crc;

	if (bytes < sizeof(TableRoot) || root->magic != TABLE_ROOT_MAGIC || root->version != TABLE_ROOT_VERSION ||
		root->bytes != bytes)
		return "its root is none";
	stored = root->crc;
	root->crc = 0;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, data, bytes);
	FIN_CRC32C(crc);
	root->crc = stored;
	if (!EQ_CRC32C(stored, crc))
		return "its root's checksum differs";
	if (root->natts > MaxAttrNumber || root->rows > TABLE_MAX_ROWS || root->rows == 0 ||
		sizeof(TableRoot) + (root->natts + 1) * sizeof(TableRootColumn) +
		(uint64) root->nchunks * sizeof(TableRootChunk) + root->pool_bytes != bytes)
		return "its root's sizes disagree";
	chunks = (const TableRootChunk *) (columns + root->natts + 1);
	pool = (const char *) (chunks + root->nchunks);
	for (uint32 i = 0; i <= root->natts; i++)
	{
		const TableRootColumn *column = &columns[i];

		if ((column->flags & TABLE_ROOT_DROPPED) != 0)
			continue;
		if (column->chunk_rows == 0 || column->first_chunk > root->nchunks ||
			column->nchunks > root->nchunks - column->first_chunk ||
			column->nchunks != (root->rows + (uint64) column->chunk_rows - 1) / column->chunk_rows ||
			column->align == 0 || column->align > MAXIMUM_ALIGNOF ||
			((column->flags & TABLE_ROOT_BYVAL) != 0 &&
			 (column->attlen <= 0 || column->attlen > (int) sizeof(Datum) || (uint32) column->attlen > column->width)) ||
			(column->attlen > 0 && column->width < (uint32) column->attlen))
			return "a column's facts are not possible";
		for (uint32 j = 0; j < column->nchunks; j++)
		{
			const TableRootChunk *chunk = &chunks[column->first_chunk + j];

			if (chunk->rows != Min(column->chunk_rows, root->rows - j * column->chunk_rows) ||
				chunk->nulls > chunk->rows || chunk->codec >= root->pool_bytes ||
				memchr(pool + chunk->codec, '\0', root->pool_bytes - chunk->codec) == NULL ||
				chunk->bloom_offset > column->bloom_bytes ||
				chunk->bloom_bytes > column->bloom_bytes - chunk->bloom_offset)
				return "a chunk's facts are not possible";
			if (chunk->range != TABLE_RANGE_POOL)
				continue;
			if (chunk->minimum > root->pool_bytes - VARHDRSZ || chunk->maximum > root->pool_bytes - VARHDRSZ ||
				chunk->minimum % 4 != 0 || chunk->maximum % 4 != 0 ||
				VARSIZE(pool + chunk->minimum) > root->pool_bytes - chunk->minimum ||
				VARSIZE(pool + chunk->maximum) > root->pool_bytes - chunk->maximum)
				return "a chunk's range is not possible";
		}
	}
	return NULL;
}

/*
 * Read a segment's root; everything in a memory context of its own, under the current one.  NULL, if
 * `missing_ok`, when it is not there.
 */
static TableSegment *
read_segment(Relation toast, const TableSegmentKey *key, bool missing_ok)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "milvus segment",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TableSegment *segment = palloc0(sizeof(TableSegment));
	const TableRootColumn *columns;
	const TableRootChunk *chunks;
	const char *problem;
	Size		bytes;
	char	   *data = missing_ok ? TableReadValueIfThere(toast, key->root, &bytes) :
		TableReadValue(toast, key->root, &bytes);

	problem = data == NULL ? "its root is missing" : root_problem(data, bytes);
	if (problem != NULL && missing_ok)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return NULL;
	}
	if (problem != NULL)
		report_damage(key->relid, key->root, problem);
	segment->key = *key;
	segment->context = context;
	segment->root = (const TableRoot *) data;
	segment->toast = RelationGetRelid(toast);
	segment->rows = segment->root->rows;
	segment->natts = segment->root->natts;
	segment->tag = TableEntryTag(segment->root);
	segment->verified = GetCurrentTransactionStopTimestamp();
	columns = (const TableRootColumn *) (segment->root + 1);
	chunks = (const TableRootChunk *) (columns + segment->natts + 1);
	segment->pool = (const char *) (chunks + segment->root->nchunks);
	segment->columns = palloc0((segment->natts + 1) * sizeof(TableColumn));
	for (uint32 i = 0; i <= segment->natts; i++)
	{
		TableColumn *column = &segment->columns[i];

		column->attnum = i;
		column->root = &columns[i];
		column->chunks = chunks + columns[i].first_chunk;
		column->width = columns[i].width;
		column->attlen = columns[i].attlen;
		column->byval = (columns[i].flags & TABLE_ROOT_BYVAL) != 0;
		column->dropped = (columns[i].flags & TABLE_ROOT_DROPPED) != 0;
	}
	MemoryContextSwitchTo(old);
	return segment;
}

/*
 * Missing values of attributes that were added after sealing; copies, because the relation's
 * descriptor may go.
 */
static void
read_missing(TableSegment *segment, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(segment->context);
	int			n = desc->natts - (int) segment->natts;
	Datum	   *values = palloc0(n * sizeof(Datum));
	bool	   *isnull = palloc0(n * sizeof(bool));

	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, segment->natts + i);

		values[i] = getmissingattr(desc, segment->natts + i + 1, &isnull[i]);
		if (!isnull[i])
			values[i] = datumCopy(values[i], att->attbyval, att->attlen);
	}
	segment->missing = values;
	segment->missing_null = isnull;
	segment->nmissing = n;
	MemoryContextSwitchTo(old);
}

/*
 * Whether a segment that was open when this transaction began may be used in it.
 */
static bool
still_good(TableSegment *segment)
{
	if (segment->used == state.transaction)
		return true;
	return !segment->stale &&
		!TimestampDifferenceExceeds(segment->verified, GetCurrentStatementStartTimestamp(), SEGMENT_REOPEN_MS);
}

/*
 * The open segment of a root in the TOAST relation `toastid`, which belongs to rel or
 * is going to.  NULL, if `missing_ok`, when it is not there.
 */
static TableSegment *
open_segment(Relation rel, Oid toastid, Oid root, bool missing_ok)
{
	TableSegmentKey key;
	SegmentSlot *slot;
	TableSegment *segment = NULL;
	bool		found;

	if (state.open == NULL)
		init_state();
	memset(&key, 0, sizeof(key));
	key.relid = RelationGetRelid(rel);
	key.space = RelationLocatorSpace(rel);
	key.relation = RelationLocatorNumber(rel);
	key.root = root;
	slot = hash_search(state.open, &key, HASH_FIND, &found);
	if (found)
	{
		segment = slot->segment;
		if (!still_good(segment) || segment->toast != toastid)
		{
			close_segment(segment);
			segment = NULL;
		}
	}
	if (segment == NULL)
	{
		Relation	toast;

		if (!OidIsValid(toastid))
			report_damage(key.relid, root, "the relation has no TOAST relation");
		toast = table_open(toastid, AccessShareLock);
		segment = read_segment(toast, &key, missing_ok);
		table_close(toast, AccessShareLock);
		if (segment == NULL)
			return NULL;
		slot = hash_search(state.open, &key, HASH_ENTER, &found);
		slot->segment = segment;
		MemoryContextSetParent(segment->context, TopMemoryContext);
		dlist_push_head(&state.segments, &segment->node);
		state.nsegments++;
		state.root_bytes += segment->root->bytes;
	}
	else
		dlist_move_head(&state.segments, &segment->node);
	segment->used = state.transaction;
	state.recent[root % SEGMENT_RECENT] = segment;
	return segment;
}

TableSegment *
TableSegmentOpen(Relation rel, Oid root, uint32 tag)
{
	TableSegment *segment = state.recent[root % SEGMENT_RECENT];
	int			natts = RelationGetDescr(rel)->natts;

	if (segment == NULL || segment->key.root != root || segment->key.relid != RelationGetRelid(rel) ||
		segment->key.relation != RelationLocatorNumber(rel) || segment->key.space != RelationLocatorSpace(rel) ||
		segment->used != state.transaction || segment->changed)
	{
		segment = open_segment(rel, rel->rd_rel->reltoastrelid, root, false);
		/* a column whose addition was rolled back may have been added again with another value */
		if (segment->changed)
			segment->nmissing = 0;
		segment->changed = false;
	}
	if (segment->tag != tag)
		report_damage(segment->key.relid, root, "a stub of another segment refers to it");
	if (unlikely(natts > (int) segment->natts + segment->nmissing))
		read_missing(segment, RelationGetDescr(rel));
	return segment;
}

uint32
TableSegmentRows(const TableSegment *segment)
{
	return segment->rows;
}

const SegmentId *
TableSegmentId(const TableSegment *segment)
{
	return &segment->root->id;
}

int
TableSegmentNatts(const TableSegment *segment)
{
	return segment->natts;
}

bool
TableSegmentKeeps(const TableSegment *segment, AttrNumber attnum)
{
	return attnum > 0 && attnum <= (int) segment->natts &&
		(segment->columns[attnum].root->flags & TABLE_ROOT_KEPT) != 0;
}

bool
TableSegmentToasted(const TableSegment *segment, AttrNumber attnum)
{
	return attnum > 0 && attnum <= (int) segment->natts &&
		(segment->columns[attnum].root->flags & TABLE_ROOT_TOASTED) != 0;
}

Oid
TableSegmentColumnType(const TableSegment *segment, AttrNumber attnum)
{
	Assert(attnum > 0 && attnum <= (int) segment->natts);
	return segment->columns[attnum].dropped ? InvalidOid : segment->columns[attnum].root->typid;
}

/* ---- decoded chunks ---- */

static void *
codec_alloc(void *context, size_t bytes)
{
	return MemoryContextAllocExtended(context, Max(bytes, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

static void
codec_free(void *context, void *p)
{
	if (p != NULL)
		pfree(p);
}

/*
 * Make room for a chunk, from those used longest ago.
 */
static void
evict_decoded(Size bytes)
{
	dlist_node *node;

	if (dlist_is_empty(&state.decoded))
		return;
	for (node = dlist_tail_node(&state.decoded); state.decoded_bytes + bytes > SEGMENT_DECODED_BYTES;)
	{
		TableDecoded *decoded = dlist_container(TableDecoded, node, node);
		bool		last = !dlist_has_prev(&state.decoded, node);

		if (!last)
			node = dlist_prev_node(&state.decoded, node);
		if (decoded->pins == 0)
			forget_decoded(decoded);
		if (last)
			break;
	}
}

/*
 * Bring decoded values into the column's form: chunks of vectors can be of one size in
 * a column of several, and a chunk without values is of no size.
 */
static bool
fit_view(TableColumn *column, const TableRootChunk *chunk, ColumnView *view, Size value_bytes)
{
	if (view->width == column->width)
		return true;
	if (view->width == 0)
	{
		if (chunk->nulls != chunk->rows || value_bytes != 0)
			return false;
		view->values = MemoryContextAllocExtended(CurrentMemoryContext, (Size) chunk->rows * column->width,
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		view->offsets = NULL;
		view->width = column->width;
		return true;
	}
	if (column->width == 0 && view->width % column->root->align == 0)
	{
		uint32	   *offsets = palloc((chunk->rows + 1) * sizeof(uint32));

		for (uint32 i = 0; i <= chunk->rows; i++)
			offsets[i] = i * view->width;
		view->offsets = offsets;
		view->width = 0;
		return true;
	}
	return false;
}

/*
 * Read and decode a chunk into the current context.  What is wrong with it, or NULL.
 */
static const char *
decode_chunk(TableSegment *segment, TableColumn *column, const TableRootChunk *chunk, ColumnView *view)
{
	ColumnMemory memory = {codec_alloc, codec_free, CurrentMemoryContext};
	ColumnChunkFacts facts;
	ColumnStatus status;
	Relation	toast;
	Size		bytes;
	void	   *stored;
	uint8	   *nulls = NULL;
	uint8	   *values;
	uint32	   *offsets = NULL;

	toast = table_open(segment->toast, AccessShareLock);
	stored = TableReadValueIfThere(toast, chunk->value, &bytes);
	table_close(toast, AccessShareLock);
	if (stored == NULL)
		return "a chunk is missing";
	if (bytes != chunk->stored_bytes)
		return "a chunk has another size";
	if (ColumnInspect(stored, bytes, &facts) != COLUMN_OK)
		return "a chunk's checksum or header is wrong";
	if (facts.rows != chunk->rows || facts.has_nulls != (chunk->nulls > 0) || facts.value_bytes != chunk->raw_bytes ||
		(facts.width != 0 && facts.value_bytes != (uint64) facts.rows * facts.width))
		return "a chunk is not what the root says";
	if (facts.has_nulls)
		nulls = palloc0((facts.rows + 7) / 8);
	values = codec_alloc(CurrentMemoryContext, facts.value_bytes);
	if (facts.width == 0)
		offsets = palloc((facts.rows + 1) * sizeof(uint32));
	status = values == NULL ? COLUMN_NO_MEMORY : ColumnDecode(stored, bytes, &memory, nulls, values, offsets);
	if (status == COLUMN_NO_MEMORY)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (status != COLUMN_OK)
		return "a chunk cannot be decoded";
	pfree(stored);
	view->rows = facts.rows;
	view->width = facts.width;
	view->nulls = nulls;
	view->null_offset = 0;
	view->values = values;
	view->offsets = offsets;
	return fit_view(column, chunk, view, facts.value_bytes) ? NULL : "a chunk's values have another width";
}

void
TableSegmentReadChunk(TableSegment *segment, TableColumn *column, uint32 chunk, ColumnView *view)
{
	const char *problem = decode_chunk(segment, column, &column->chunks[chunk], view);

	if (problem != NULL)
		report_damage(segment->key.relid, segment->key.root, problem);
}

/*
 * A chunk in the backend's memory; until another is read or the end of the transaction, unless
 * it is pinned.  NULL, if `missing_ok`, when it cannot be read.
 */
static TableDecoded *
get_chunk(TableSegment *segment, TableColumn *column, uint32 number, bool missing_ok)
{
	const char *problem;
	TableDecoded *decoded;
	MemoryContext context;
	MemoryContext old;

	if (column->decoded == NULL)
		column->decoded = MemoryContextAllocZero(segment->context, column->root->nchunks * sizeof(TableDecoded *));
	decoded = column->decoded[number];
	if (decoded != NULL)
	{
		dlist_move_head(&state.decoded, &decoded->node);
		return decoded;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "milvus column chunk", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	decoded = palloc0(sizeof(TableDecoded));
	problem = decode_chunk(segment, column, &column->chunks[number], &decoded->view);
	MemoryContextSwitchTo(old);
	if (problem != NULL)
	{
		MemoryContextDelete(context);
		if (missing_ok)
			return NULL;
		report_damage(segment->key.relid, segment->key.root, problem);
	}
	decoded->column = column;
	decoded->chunk = number;
	decoded->context = context;
	decoded->bytes = MemoryContextMemAllocated(context, false);
	evict_decoded(decoded->bytes);
	MemoryContextSetParent(context, TopMemoryContext);
	column->decoded[number] = decoded;
	dlist_push_head(&state.decoded, &decoded->node);
	state.decoded_bytes += decoded->bytes;
	column->misses++;
	column->missed_bytes += decoded->bytes;
	return decoded;
}

/* ---- values ---- */

static inline Datum
value_at(const TableColumn *column, const uint8 *values, const uint32 *offsets, uint32 row)
{
	if (column->width != 0)
	{
		const uint8 *value = values + (Size) row * column->width;

		if (column->byval)
			return fetch_att(value, true, column->attlen);
		return PointerGetDatum(value);
	}
	return PointerGetDatum(values + offsets[row]);
}

/*
 * A value of a column that is not mapped, or not verified yet.
 */
static Datum
fetch_slowly(TableSegment *segment, TableColumn *column, uint32 row, bool *isnull, MemoryContext copies)
{
	uint32		chunk = row / column->root->chunk_rows;
	TableDecoded *decoded;
	MemoryContext old;
	Datum		value;

	if (TableColumnMapForFetch(segment, column) && TableColumnVerify(segment, column, row, 1))
	{
		if (column->nulls != NULL && (column->nulls[row >> 3] >> (row & 7) & 1) != 0)
		{
			*isnull = true;
			return (Datum) 0;
		}
		*isnull = false;
		return value_at(column, column->values, column->offsets, row);
	}
	decoded = get_chunk(segment, column, chunk, false);
	row -= chunk * column->root->chunk_rows;
	*isnull = ColumnIsNull(&decoded->view, row);
	if (*isnull)
		return (Datum) 0;
	value = value_at(column, decoded->view.values, decoded->view.offsets, row);
	if (column->byval)
		return value;
	old = MemoryContextSwitchTo(copies);
	value = datumCopy(value, false, column->attlen);
	MemoryContextSwitchTo(old);
	return value;
}

Datum
TableSegmentFetch(TableSegment *segment, AttrNumber attnum, uint32 row, bool *isnull, MemoryContext copies)
{
	TableColumn *column;

	Assert(attnum > 0);
	if (unlikely(row >= segment->rows))
		report_damage(segment->key.relid, segment->key.root, "a stub refers to a row that it does not have");
	if (unlikely(attnum > (int) segment->natts))
	{
		int			i = attnum - (int) segment->natts - 1;

		*isnull = i >= segment->nmissing || segment->missing_null[i];
		return *isnull ? (Datum) 0 : segment->missing[i];
	}
	column = &segment->columns[attnum];
	if (likely(column->trusted))
	{
		if (column->nulls != NULL && (column->nulls[row >> 3] >> (row & 7) & 1) != 0)
		{
			*isnull = true;
			return (Datum) 0;
		}
		*isnull = false;
		return value_at(column, column->values, column->offsets, row);
	}
	if (column->dropped)
	{
		*isnull = true;
		return (Datum) 0;
	}
	return fetch_slowly(segment, column, row, isnull, copies);
}

bool
TableSegmentHasRow(Relation rel, TableRef ref)
{
	TableSegment *segment = open_segment(rel, rel->rd_rel->reltoastrelid, ref.root, true);
	uint32		row = TableRefRow(ref);

	if (segment == NULL || segment->tag != TableRefTag(ref) || row >= segment->rows)
		return false;
	for (uint32 i = 1; i <= segment->natts; i++)
	{
		TableColumn *column = &segment->columns[i];

		if (!column->dropped && (column->map == NULL || column->broken) &&
			get_chunk(segment, column, row / column->root->chunk_rows, true) == NULL)
			return false;
	}
	return true;
}

/* ---- chunks ---- */

static TableColumn *
get_column(const TableSegment *segment, AttrNumber attnum)
{
	if (attnum < 0 || attnum > (int) segment->natts || segment->columns[attnum].dropped)
		elog(ERROR, "segment has no column %d", attnum);
	return &segment->columns[attnum];
}

uint32
TableSegmentChunkRows(const TableSegment *segment, AttrNumber attnum)
{
	return get_column(segment, attnum)->root->chunk_rows;
}

int
TableSegmentChunks(const TableSegment *segment, AttrNumber attnum)
{
	return get_column(segment, attnum)->root->nchunks;
}

/*
 * Read a column's Bloom filters, all at once.
 */
static void
read_filters(TableSegment *segment, TableColumn *column)
{
	Relation	toast = table_open(segment->toast, AccessShareLock);
	MemoryContext old;
	uint8	   *filters;
	Size		bytes;

	old = MemoryContextSwitchTo(segment->context);
	filters = TableReadValue(toast, column->root->bloom, &bytes);
	MemoryContextSwitchTo(old);
	table_close(toast, AccessShareLock);
	if (bytes != column->root->bloom_bytes)
		report_damage(segment->key.relid, segment->key.root, "its Bloom filters have another size");
	column->filters = filters;
}

void
TableSegmentChunkInfo(TableSegment *segment, AttrNumber attnum, int number, TableChunkInfo *info)
{
	TableColumn *column = get_column(segment, attnum);
	const TableRootChunk *chunk = &column->chunks[number];

	Assert(number >= 0 && (uint32) number < column->root->nchunks);
	memset(info, 0, sizeof(*info));
	info->first_row = number * column->root->chunk_rows;
	info->rows = chunk->rows;
	info->nulls = chunk->nulls;
	info->raw_bytes = chunk->raw_bytes;
	info->stored_bytes = chunk->stored_bytes;
	info->codec = segment->pool + chunk->codec;
	info->maximum_cut = chunk->maximum_cut;
	if (chunk->range == TABLE_RANGE_DATUM)
	{
		info->has_range = true;
		info->minimum = (Datum) chunk->minimum;
		info->maximum = (Datum) chunk->maximum;
	}
	else if (chunk->range == TABLE_RANGE_POOL)
	{
		info->has_range = true;
		info->minimum = PointerGetDatum(segment->pool + chunk->minimum);
		info->maximum = PointerGetDatum(segment->pool + chunk->maximum);
	}
	if (chunk->bloom_bytes > 0)
	{
		if (column->filters == NULL)
			read_filters(segment, column);
		info->bloom = column->filters + chunk->bloom_offset;
		info->bloom_bytes = chunk->bloom_bytes;
	}
}

void
TableSegmentView(TableSegment *segment, AttrNumber attnum, uint32 first, uint32 n,
				 ColumnView *view, TableDecoded **hold)
{
	TableColumn *column = get_column(segment, attnum);
	uint32		chunk = first / column->root->chunk_rows;
	uint32		in_chunk = first - chunk * column->root->chunk_rows;

	if (first >= segment->rows || n > column->chunks[chunk].rows - in_chunk)
		elog(ERROR, "rows %u to %u are not in a chunk of the segment", first, first + n);
	if (column->trusted ||
		(TableColumnMap(segment, column) && TableColumnVerify(segment, column, first, n)))
	{
		view->nulls = column->chunks[chunk].nulls > 0 ? column->nulls : NULL;
		view->values = column->values + (Size) first * column->width;
		view->offsets = column->width == 0 ? column->offsets + first : NULL;
		view->null_offset = first;
		TableSegmentViewEnd(hold);
	}
	else
	{
		TableDecoded *decoded = get_chunk(segment, column, chunk, false);

		decoded->pins++;
		TableSegmentViewEnd(hold);
		*hold = decoded;
		view->nulls = decoded->view.nulls;
		view->values = decoded->view.values + (Size) in_chunk * column->width;
		view->offsets = column->width == 0 ? decoded->view.offsets + in_chunk : NULL;
		view->null_offset = in_chunk;
	}
	view->rows = n;
	view->width = column->width;
}

void
TableSegmentViewEnd(TableDecoded **hold)
{
	if (*hold != NULL)
		(*hold)->pins--;
	*hold = NULL;
}

void
TableSegmentTids(TableSegment *segment, uint32 first, uint32 n, ItemPointerData *tids)
{
	uint32		chunk_rows = segment->columns[0].root->chunk_rows;
	TableDecoded *hold = NULL;

	while (n > 0)
	{
		uint32		some = Min(n, chunk_rows - first % chunk_rows);
		ColumnView	view;

		TableSegmentView(segment, 0, first, some, &view, &hold);
		for (uint32 i = 0; i < some; i++)
		{
			uint64		number;

			memcpy(&number, view.values + (Size) i * sizeof(uint64), sizeof(uint64));
			ItemPointerSet(&tids[i], (BlockNumber) (number >> 16), (OffsetNumber) (number & 0xffff));
		}
		tids += some;
		first += some;
		n -= some;
	}
	TableSegmentViewEnd(&hold);
}

void
TableSegmentWarmRoot(Relation rel, Relation toast, Oid root)
{
	(void) TableSegmentWarm(open_segment(rel, RelationGetRelid(toast), root, false), 0);
}
