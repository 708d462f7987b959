/*
 * tablebuild.c
 *		Rows in, segment out: collects a chunk of rows a column, encodes it when it is
 *		full, writes it as a TOAST value, and describes all of it in the root.
 *
 * Memory is bounded by a chunk a column.  How many rows a chunk of a column has is
 * decided by the first: TABLE_CHUNK_ROWS, or as many (a power of two) as TABLE_CHUNK_BYTES
 * take.  When rows become so much larger later that a chunk would be huge, the segment
 * is full: only a last chunk may be shorter than the others.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "access/tupmacs.h"
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "table.h"
#include "tableroot.h"
#include "types/vector.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Bytes of a column that are collected at most, when its chunk is not full before. */
#define BUILD_MAX_BUFFER ((Size) 64 * 1024 * 1024)
/* TABLE_MAX_COLUMN_BYTES, for tests */
#define TEST_COLUMN_BYTES (1024 * 1024)
/* Bytes of a string that its minimum and maximum keep. */
#define BUILD_RANGE_BYTES 64

/* How values are ordered for minimum and maximum. */
typedef enum BuildOrder
{
	ORDER_NONE,
	ORDER_SIGNED,
	ORDER_UNSIGNED,
	ORDER_FLOAT,
	ORDER_TEXT,
	ORDER_BPCHAR
} BuildOrder;

/* A column: its facts so far and the rows that are not in a chunk yet. */
typedef struct BuildColumn
{
	TableRootColumn root;
	ColumnKind	kind;
	uint32		skip;			/* vectors: header bytes */
	bool		vector;			/* varlena that keeps its full header, of one size as a rule */
	bool		make_short;		/* as heap would store it */
	BuildOrder	order;
	bool		bloom;
	TableBloomHash hash;

	uint32		rows;
	uint32		nulls;
	uint8	   *bitmap;			/* of nulls */
	char	   *values;
	Size		used;
	Size		room;
	uint32	   *offsets;		/* variable: rows + 1 */
	Size		uniform;		/* vectors: bytes of each of all values of the segment; 0: none came */
	bool		varies;			/* vectors: not all have one size */
	Size		bytes;			/* values of the segment so far, chunks and collected rows */

	TableRootChunk *chunks;
	uint32		chunk_room;
	uint8	   *filters;		/* Bloom filters, one after the other */
} BuildColumn;

struct TableBuilder
{
	MemoryContext context;
	MemoryContext row_context;
	Relation	rel;
	Relation	toast;
	Relation	oldtoast;		/* its value ids are taken too; or NULL */
	TableOptions options;
	ColumnMemory memory;
	SegmentId	id;
	uint32		tag;
	Oid			root;
	int64		created;
	uint32		natts;
	BuildColumn *columns;		/* natts + 1; 0: TIDs */
	uint32		rows;
	uint64		raw_bytes;
	bool		full;
	BlockNumber first_block;
	BlockNumber last_block;
	char	   *pool;
	uint32		pool_used;
	uint32		pool_room;
	/* one row's values, as they will be stored */
	const char **data;
	Size	   *lengths;
};

/* ---- memory for the codecs ---- */

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

static void
check_column_status(ColumnStatus status)
{
	if (status == COLUMN_NO_MEMORY)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (status != COLUMN_OK)
		elog(ERROR, "could not encode a column chunk: status %d", (int) status);
}

/* ---- Bloom filters' hashes ---- */

bool
TableBloomHashInit(Oid typid, Oid collation, TableBloomHash *hash)
{
	Oid			base = getBaseType(typid);
	TypeCacheEntry *type;

	/*
	 * Types of the server alone, and no containers of other types: sealing may run as
	 * anybody, so it must not call functions that somebody made; and another operator
	 * class cannot make other values equal later.
	 */
	if (base >= FirstNormalObjectId || type_is_array(base) || type_is_range(base) || type_is_multirange(base) ||
		get_typtype(base) != TYPTYPE_BASE)
		return false;
	if (type_is_collatable(base) && (!OidIsValid(collation) || !get_collation_isdeterministic(collation)))
		return false;
	type = lookup_type_cache(base, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
	if (!OidIsValid(type->hash_extended_proc) || type->hash_extended_proc >= FirstNormalObjectId)
		return false;
	hash->function = &type->hash_extended_proc_finfo;
	hash->collation = collation;
	return true;
}

uint64
TableBloomHashDatum(const TableBloomHash *hash, Datum value)
{
	return DatumGetUInt64(FunctionCall2Coll(hash->function, hash->collation, value, UInt64GetDatum(0)));
}

/* ---- columns ---- */

/*
 * Vectors of our types and of pgvector's, which look alike, keep their full header, so that
 * the kernels read them where they lie.
 */
static void
init_vector(BuildColumn *column, Oid base)
{
	static const struct
	{
		const char *name;
		ColumnKind	kind;
	}			types[] = {
		{"vector", COLUMN_FLOAT_VECTOR},
		{"halfvec", COLUMN_HALF_VECTOR},
		{"bfloat16vec", COLUMN_HALF_VECTOR},
		{"int8vec", COLUMN_BYTES}
	};
	Oid			extension;
	HeapTuple	tuple;
	const char *name;

	if (base < FirstNormalObjectId)
		return;
	extension = getExtensionOfObject(TypeRelationId, base);
	if (!OidIsValid(extension) ||
		(extension != get_extension_oid("milvus", true) && extension != get_extension_oid("vector", true)))
		return;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(base));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", base);
	name = NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname);
	for (size_t i = 0; i < lengthof(types); i++)
		if (strcmp(name, types[i].name) == 0)
		{
			column->vector = true;
			column->kind = types[i].kind;
			column->skip = offsetof(Vector, x);
		}
	ReleaseSysCache(tuple);
}

/*
 * What is known of a type's values: kind for the codecs, order for minimum and maximum.
 */
static void
init_kind(BuildColumn *column, Oid base)
{
	column->kind = COLUMN_BYTES;
	column->order = ORDER_NONE;
	switch (base)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case CASHOID:
			column->kind = COLUMN_SIGNED;
			column->order = ORDER_SIGNED;
			break;
		case BOOLOID:
		case CHAROID:
		case OIDOID:
		case XID8OID:
		case PG_LSNOID:
			column->kind = COLUMN_UNSIGNED;
			column->order = ORDER_UNSIGNED;
			break;
		case FLOAT4OID:
		case FLOAT8OID:
			column->kind = COLUMN_FLOAT;
			column->order = ORDER_FLOAT;
			break;
		case TEXTOID:
		case VARCHAROID:
			column->order = ORDER_TEXT;
			break;
		case BPCHAROID:
			column->order = ORDER_BPCHAR;
			break;
		default:
			/* enums: their OIDs */
			if ((column->root.flags & TABLE_ROOT_BYVAL) != 0)
				column->kind = COLUMN_UNSIGNED;
			break;
	}
}

static uint32
align_bytes(char attalign)
{
	switch (attalign)
	{
		case TYPALIGN_CHAR:
			return 1;
		case TYPALIGN_SHORT:
			return ALIGNOF_SHORT;
		case TYPALIGN_INT:
			return ALIGNOF_INT;
		default:
			return ALIGNOF_DOUBLE;
	}
}

static void
init_column(TableBuilder *builder, BuildColumn *column, Form_pg_attribute att, bool kept, bool bloom)
{
	TableRootColumn *root = &column->root;

	if (att == NULL)
	{
		/* TIDs: block << 16 | offset */
		root->attlen = root->width = root->align = 8;
		root->attalign = TYPALIGN_DOUBLE;
		root->flags = TABLE_ROOT_BYVAL;
		column->kind = COLUMN_UNSIGNED;
	}
	else
	{
		root->typid = att->atttypid;
		root->attlen = att->attlen;
		root->attalign = att->attalign;
		root->align = align_bytes(att->attalign);
		root->flags = (att->attbyval ? TABLE_ROOT_BYVAL : 0) | (kept ? TABLE_ROOT_KEPT : 0);
		if (att->attisdropped)
		{
			root->flags = TABLE_ROOT_DROPPED;
			return;
		}
		/* so that every value is aligned when the first one is */
		if (att->attlen > 0)
			root->width = TYPEALIGN(root->align, att->attlen);
		init_kind(column, getBaseType(att->atttypid));
		if (att->attlen == -1)
			init_vector(column, getBaseType(att->atttypid));
		column->make_short = att->attlen == -1 && att->attstorage != TYPSTORAGE_PLAIN && !column->vector;
		if (column->make_short)
			root->flags |= TABLE_ROOT_TOASTED;
		column->bloom = bloom && TableBloomHashInit(att->atttypid, att->attcollation, &column->hash);
	}
	column->bitmap = palloc0(TABLE_CHUNK_ROWS / 8);
	if (root->width == 0)
	{
		column->offsets = palloc((TABLE_CHUNK_ROWS + 1) * sizeof(uint32));
		column->offsets[0] = 0;
	}
	column->room = root->width != 0 ? (Size) root->width * 64 : 1024;
	column->values = palloc(column->room);
}

TableBuilder *
TableBuilderBegin(Relation rel, Relation toast, Relation oldtoast, TupleDesc desc)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "milvus segment builder",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TableBuilder *builder = palloc0(sizeof(TableBuilder));
	Bitmapset  *kept;
	bool		sealable;

	builder->context = context;
	builder->row_context = AllocSetContextCreate(context, "milvus segment builder row", ALLOCSET_DEFAULT_SIZES);
	builder->rel = rel;
	builder->toast = toast;
	builder->oldtoast = oldtoast;
	builder->created = GetCurrentTimestamp();
	builder->memory.alloc = codec_alloc;
	builder->memory.free = codec_free;
	builder->memory.context = context;
	TableGetOptions(rel, &builder->options);
	SegmentIdGenerate(&builder->id);
	builder->tag = TableEntryTag(builder);

	builder->root = TableNewValueId(builder->toast, builder->oldtoast);

	builder->natts = desc->natts;
	builder->columns = palloc0((desc->natts + 1) * sizeof(BuildColumn));
	builder->data = palloc0((desc->natts + 1) * sizeof(char *));
	builder->lengths = palloc0((desc->natts + 1) * sizeof(Size));
	builder->first_block = InvalidBlockNumber;
	builder->pool_room = 1024;
	builder->pool = palloc(builder->pool_room);
	init_column(builder, &builder->columns[0], NULL, false, false);
	kept = TableKeptColumns(rel, &sealable);
	for (int i = 1; i <= desc->natts; i++)
	{
		bool		is_kept = bms_is_member(i - FirstLowInvalidHeapAttributeNumber, kept);

		init_column(builder, &builder->columns[i], TupleDescAttr(desc, i - 1), is_kept,
					is_kept || bms_is_member(i, builder->options.bloom_columns));
	}
	MemoryContextSwitchTo(old);
	return builder;
}

void
TableBuilderSetKept(TableBuilder *builder, const Bitmapset *kept)
{
	for (uint32 i = 1; i <= builder->natts; i++)
		if (bms_is_member((int) i - FirstLowInvalidHeapAttributeNumber, kept))
			builder->columns[i].root.flags |= TABLE_ROOT_KEPT;
		else
			builder->columns[i].root.flags &= ~TABLE_ROOT_KEPT;
}

void
TableBuilderInherit(TableBuilder *builder, const TableSegment *source)
{
	for (uint32 i = 1; i <= builder->natts; i++)
		if (TableSegmentToasted(source, (AttrNumber) i))
			builder->columns[i].root.flags |= TABLE_ROOT_TOASTED;
}

TableRef
TableBuilderNextRef(TableBuilder *builder)
{
	TableRef	ref;

	ref.root = builder->root;
	ref.row = builder->tag << TABLE_ROW_BITS | builder->rows;
	return ref;
}

/* ---- chunks ---- */

/*
 * Room for n more bytes in a column's buffer.
 */
static inline void
reserve(BuildColumn *column, Size n)
{
	if (column->used + n > column->room)
	{
		column->room = Max(2 * column->room, column->used + n);
		column->values = repalloc_huge(column->values, column->room);
	}
}

/*
 * Collected value i and its length; strings for ORDER_TEXT and ORDER_BPCHAR without header.
 */
static const char *
string_of(const BuildColumn *column, uint32 i, Size *len)
{
	const char *value = column->values + column->offsets[i];
	const char *data = VARDATA_ANY(value);

	*len = VARSIZE_ANY_EXHDR(value);
	if (column->order == ORDER_BPCHAR)
		while (*len > 0 && data[*len - 1] == ' ')
			(*len)--;
	return data;
}

static inline bool
is_null(const BuildColumn *column, uint32 i)
{
	return (column->bitmap[i >> 3] >> (i & 7) & 1) != 0;
}

/*
 * Append to the pool, at a multiple of 4.  Returns the offset.
 */
static uint32
pool_add(TableBuilder *builder, const void *data, uint32 bytes)
{
	uint32		at = builder->pool_used;
	uint32		end = INTALIGN(at + bytes);

	if (end > builder->pool_room)
	{
		builder->pool_room = Max(2 * builder->pool_room, end);
		builder->pool = repalloc_huge(builder->pool, builder->pool_room);
	}
	memset(builder->pool + at, 0, end - at);
	memcpy(builder->pool + at, data, bytes);
	builder->pool_used = end;
	return at;
}

/* A codec's name; few differ, so those used before are looked through. */
static uint32
pool_codec(TableBuilder *builder, BuildColumn *column, const char *name)
{
	for (uint32 i = 0; i < column->root.nchunks; i++)
		if (strcmp(builder->pool + column->chunks[i].codec, name) == 0)
			return column->chunks[i].codec;
	return pool_add(builder, name, strlen(name) + 1);
}

static uint32
pool_string(TableBuilder *builder, const char *data, Size len)
{
	union
	{
		struct varlena header;
		char		room[VARHDRSZ + BUILD_RANGE_BYTES];
	}			value;

	len = Min(len, BUILD_RANGE_BYTES);
	SET_VARSIZE(&value, VARHDRSZ + len);
	memcpy(VARDATA(&value.header), data, len);
	return pool_add(builder, &value, VARHDRSZ + len);
}

static int
compare_strings(const char *a, Size alen, const char *b, Size blen)
{
	int			order = memcmp(a, b, Min(alen, blen));

	return order != 0 ? order : (alen > blen) - (alen < blen);
}

static void
string_range(TableBuilder *builder, BuildColumn *column, uint32 rows, TableRootChunk *chunk)
{
	const char *minimum = NULL;
	const char *maximum = NULL;
	Size		min_len = 0;
	Size		max_len = 0;

	for (uint32 i = 0; i < rows; i++)
	{
		const char *data;
		Size		len;

		if (is_null(column, i))
			continue;
		data = string_of(column, i, &len);
		if (minimum == NULL || compare_strings(data, len, minimum, min_len) < 0)
		{
			minimum = data;
			min_len = len;
		}
		if (maximum == NULL || compare_strings(data, len, maximum, max_len) > 0)
		{
			maximum = data;
			max_len = len;
		}
	}
	if (minimum == NULL)
		return;
	chunk->range = TABLE_RANGE_POOL;
	chunk->minimum = pool_string(builder, minimum, min_len);
	chunk->maximum = pool_string(builder, maximum, max_len);
	chunk->maximum_cut = max_len > BUILD_RANGE_BYTES;
}

/*
 * Does by-value datum a come before b?
 */
static inline bool
datum_less(const BuildColumn *column, Datum a, Datum b)
{
	int			len = column->root.attlen;

	switch (column->order)
	{
		case ORDER_SIGNED:
			return len == 2 ? DatumGetInt16(a) < DatumGetInt16(b) :
				len == 4 ? DatumGetInt32(a) < DatumGetInt32(b) : DatumGetInt64(a) < DatumGetInt64(b);
		case ORDER_UNSIGNED:
			return len == 1 ? DatumGetUInt8(a) < DatumGetUInt8(b) :
				len == 4 ? DatumGetUInt32(a) < DatumGetUInt32(b) : DatumGetUInt64(a) < DatumGetUInt64(b);
		default:
			return len == 4 ? float4_lt(DatumGetFloat4(a), DatumGetFloat4(b)) :
				float8_lt(DatumGetFloat8(a), DatumGetFloat8(b));
	}
}

static inline Datum
datum_of(const BuildColumn *column, uint32 i)
{
	if (column->root.width == 0)
		return PointerGetDatum(column->values + column->offsets[i]);
	return fetch_att(column->values + (Size) i * column->root.width,
					 (column->root.flags & TABLE_ROOT_BYVAL) != 0, column->root.attlen);
}

static void
datum_range(BuildColumn *column, uint32 rows, TableRootChunk *chunk)
{
	Datum		minimum = 0;
	Datum		maximum = 0;
	bool		any = false;

	for (uint32 i = 0; i < rows; i++)
	{
		Datum		value;

		if (is_null(column, i))
			continue;
		value = datum_of(column, i);
		if (!any || datum_less(column, value, minimum))
			minimum = value;
		if (!any || datum_less(column, maximum, value))
			maximum = value;
		any = true;
	}
	if (!any)
		return;
	chunk->range = TABLE_RANGE_DATUM;
	chunk->minimum = (uint64) minimum;
	chunk->maximum = (uint64) maximum;
}

static void
add_filter(BuildColumn *column, uint32 rows, TableRootChunk *chunk)
{
	uint32		at = column->root.bloom_bytes;
	Size		bytes = ColumnBloomBytes(rows - chunk->nulls);

	if (rows == chunk->nulls)
		return;
	column->filters = column->filters == NULL ? palloc(bytes) : repalloc_huge(column->filters, at + bytes);
	memset(column->filters + at, 0, bytes);
	for (uint32 i = 0; i < rows; i++)
		if (!is_null(column, i))
			ColumnBloomAdd(column->filters + at, bytes, TableBloomHashDatum(&column->hash, datum_of(column, i)));
	chunk->bloom_offset = at;
	chunk->bloom_bytes = bytes;
	column->root.bloom_bytes = at + bytes;
}

/*
 * Values of vectors of one size as a fixed-width array: nulls become zero bytes.
 */
static char *
widen(TableBuilder *builder, const BuildColumn *column, uint32 rows)
{
	char	   *values = MemoryContextAllocExtended(builder->context, rows * column->uniform,
													MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint32 i = 0; i < rows; i++)
		if (!is_null(column, i))
			memcpy(values + i * column->uniform, column->values + column->offsets[i], column->uniform);
	return values;
}

/*
 * Encode and write the first `rows` collected rows of a column; what is left moves up.
 */
static void
write_chunk(TableBuilder *builder, BuildColumn *column, uint32 rows)
{
	TableRootColumn *root = &column->root;
	TableRootChunk *chunk;
	ColumnView	view = {0};
	ColumnShape shape;
	ColumnCodecOptions codec;
	char	   *widened = NULL;
	void	   *encoded;
	size_t		bytes;
	Size		consumed;
	uint32		left = column->rows - rows;

	if (root->nchunks == column->chunk_room)
	{
		column->chunk_room = Max(16, 2 * column->chunk_room);
		column->chunks = column->chunks == NULL ?
			MemoryContextAlloc(builder->context, column->chunk_room * sizeof(TableRootChunk)) :
			repalloc_huge(column->chunks, column->chunk_room * sizeof(TableRootChunk));
	}
	chunk = &column->chunks[root->nchunks];
	memset(chunk, 0, sizeof(*chunk));
	chunk->rows = rows;
	for (uint32 i = 0; i < rows; i++)
		chunk->nulls += is_null(column, i);

	consumed = root->width != 0 ? (Size) rows * root->width : column->offsets[rows];
	view.rows = rows;
	view.width = root->width;
	view.nulls = chunk->nulls == 0 ? NULL : column->bitmap;
	view.values = (uint8 *) column->values;
	view.offsets = column->offsets;
	shape.width = root->width;
	shape.align = root->align;
	shape.kind = root->width != 0 ? column->kind : COLUMN_BYTES;
	shape.skip = 0;
	/* a chunk of vectors of one size is an array, unless an earlier chunk was not */
	if (column->vector && !column->varies && column->uniform > 0)
	{
		if (chunk->nulls > 0)
			view.values = (uint8 *) (widened = widen(builder, column, rows));
		view.width = shape.width = column->uniform;
		view.offsets = NULL;
		shape.kind = column->kind;
		shape.skip = column->skip;
	}
	else if (root->width != 0)
		view.offsets = NULL;
	chunk->raw_bytes = view.width != 0 ? (uint64) rows * view.width : consumed;

	codec.compression = builder->options.compression;
	codec.level = builder->options.compression_level;
	check_column_status(ColumnEncode(&view, &shape, &codec, &builder->memory, &encoded, &bytes));
	if (widened != NULL)
		pfree(widened);

	chunk->stored_bytes = bytes;
	chunk->codec = pool_codec(builder, column, ColumnCodecName(encoded, bytes));
	if (column->order == ORDER_TEXT || column->order == ORDER_BPCHAR)
		string_range(builder, column, rows, chunk);
	else if (column->order != ORDER_NONE)
		datum_range(column, rows, chunk);
	if (column->bloom)
		add_filter(column, rows, chunk);

	chunk->value = TableNewValueId(builder->toast, builder->oldtoast);
	TableWriteValue(builder->toast, chunk->value, encoded, bytes);
	pfree(encoded);
	MILVUS_DEBUG_POINT("table-chunk-written");

	root->nchunks++;
	root->nulls += chunk->nulls;
	root->raw_bytes += chunk->raw_bytes;
	root->stored_bytes += bytes;
	/* nulls among vectors of one size take room, too; should another size come, offsets of 32 bits tell it all */
	if (root->raw_bytes >= TABLE_MAX_COLUMN_BYTES - 2 * (uint64) TABLE_MAX_VALUE)
		builder->full = true;

	memmove(column->values, column->values + consumed, column->used - consumed);
	column->used -= consumed;
	if (column->offsets != NULL)
		for (uint32 i = 0; i <= left; i++)
			column->offsets[i] = column->offsets[rows + i] - consumed;
	for (uint32 i = 0; i < left; i++)
	{
		bool		null = is_null(column, rows + i);

		column->bitmap[i >> 3] = (column->bitmap[i >> 3] & ~(1 << (i & 7))) | (null << (i & 7));
	}
	/* bits of rows to come are clear */
	for (uint32 i = left; i < Min(TABLE_CHUNK_ROWS, column->rows); i++)
		column->bitmap[i >> 3] &= ~(1 << (i & 7));
	column->rows = left;
}

/*
 * Write the chunks of a column that are complete.
 */
static void
write_full_chunks(TableBuilder *builder, BuildColumn *column)
{
	TableRootColumn *root = &column->root;

	if (root->chunk_rows == 0)
	{
		if (column->rows < TABLE_CHUNK_ROWS && column->used < TABLE_CHUNK_BYTES)
			return;
		root->chunk_rows = 1 << pg_leftmost_one_pos32(column->rows);
	}
	while (column->rows >= root->chunk_rows)
		write_chunk(builder, column, root->chunk_rows);
	if (column->used >= BUILD_MAX_BUFFER)
		builder->full = true;
}

/* ---- rows ---- */

static void
add_null(BuildColumn *column)
{
	uint32		width = column->root.width;

	column->bitmap[column->rows >> 3] |= 1 << (column->rows & 7);
	if (width != 0)
	{
		reserve(column, width);
		memset(column->values + column->used, 0, width);
		column->used += width;
		column->bytes += width;
		column->rows++;
	}
	else
		column->offsets[++column->rows] = column->used;
}

/*
 * Append a value of len bytes, padded to the column's alignment.
 */
static void
add_value(BuildColumn *column, const char *data, Size len)
{
	Size		padded = column->root.width != 0 ? column->root.width : TYPEALIGN(column->root.align, len);

	reserve(column, padded);
	memcpy(column->values + column->used, data, len);
	memset(column->values + column->used + len, 0, padded - len);
	column->used += padded;
	column->bytes += padded;
	column->rows++;
	if (column->root.width == 0)
		column->offsets[column->rows] = column->used;
	if (column->vector && column->uniform != padded)
	{
		column->varies = column->varies || column->uniform != 0;
		column->uniform = padded;
	}
}

static void
add_number(BuildColumn *column, uint64 number)
{
	add_value(column, (const char *) &number, sizeof(number));
}

/*
 * A short header in place of a full one.
 */
static const char *
shorten(const char *value, Size *len)
{
	Size		short_len = VARATT_CONVERTED_SHORT_SIZE(value);
	char	   *result = palloc(short_len);

	SET_VARSIZE_SHORT(result, short_len);
	memcpy(VARDATA_SHORT(result), VARDATA(value), short_len - VARHDRSZ_SHORT);
	*len = short_len;
	return result;
}

/*
 * The bytes that a segment stores of a value that is not by value: those that a heap tuple
 * would hold when it is small enough to be neither compressed nor moved out of line.
 */
static const char *
stored_form(BuildColumn *column, Datum value, Size *len)
{
	const char *data = DatumGetPointer(value);

	if (column->root.attlen > 0)
	{
		*len = column->root.attlen;
		return data;
	}
	if (column->root.attlen == -2)
	{
		*len = strlen(data) + 1;
		return data;
	}
	if (column->vector)
		data = (const char *) PG_DETOAST_DATUM(value);
	else if (VARATT_IS_EXTERNAL(data) || VARATT_IS_COMPRESSED(data))
	{
		data = (const char *) detoast_attr((struct varlena *) DatumGetPointer(value));
		column->root.flags |= TABLE_ROOT_TOASTED;
	}
	if (column->make_short && VARATT_CAN_MAKE_SHORT(data))
		return shorten(data, len);
	*len = VARSIZE_ANY(data);
	return data;
}

/*
 * Does the value fit the segment?  Asked before anything is read from out of line.  Whether the
 * segment is full is asked between pages, and the rows of one page alone can be too much for a column.
 */
static bool
value_fits(const BuildColumn *column, Datum value)
{
	uint64		limit;
	Size		size;

	if (column->root.attlen > 0)
		return true;
	limit = MILVUS_DEBUG_FAILS("small-columns") ? TEST_COLUMN_BYTES : TABLE_MAX_COLUMN_BYTES;
	size = column->root.attlen == -1 ? toast_raw_datum_size(value) : strlen(DatumGetCString(value)) + 1;
	return size <= TABLE_MAX_VALUE && column->bytes + size + MAXIMUM_ALIGNOF <= limit;
}

bool
TableBuilderFits(const TableBuilder *builder, const Datum *values, const bool *isnull)
{
	for (uint32 i = 1; i <= builder->natts; i++)
	{
		const BuildColumn *column = &builder->columns[i];

		if (!isnull[i - 1] && (column->root.flags & (TABLE_ROOT_DROPPED | TABLE_ROOT_BYVAL)) == 0 &&
			!value_fits(column, values[i - 1]))
			return false;
	}
	return true;
}

int64
TableBuilderAdd(TableBuilder *builder, ItemPointer tid, const Datum *values, const bool *isnull)
{
	MemoryContext old;
	BlockNumber block = ItemPointerGetBlockNumber(tid);

	Assert(builder->rows < TABLE_MAX_ROWS);
	if (!TableBuilderFits(builder, values, isnull))
		return -1;

	/* what can fail or be interrupted first, so that a row is added whole */
	old = MemoryContextSwitchTo(builder->row_context);
	for (uint32 i = 1; i <= builder->natts; i++)
	{
		BuildColumn *column = &builder->columns[i];

		if (!isnull[i - 1] && (column->root.flags & (TABLE_ROOT_DROPPED | TABLE_ROOT_BYVAL)) == 0)
			builder->data[i] = stored_form(column, values[i - 1], &builder->lengths[i]);
	}
	MemoryContextSwitchTo(builder->context);
	for (uint32 i = 1; i <= builder->natts; i++)
	{
		BuildColumn *column = &builder->columns[i];

		if ((column->root.flags & TABLE_ROOT_DROPPED) != 0)
			continue;
		if (isnull[i - 1])
			add_null(column);
		else if ((column->root.flags & TABLE_ROOT_BYVAL) != 0)
		{
			char		number[sizeof(Datum)];

			store_att_byval(number, values[i - 1], column->root.attlen);
			add_value(column, number, column->root.attlen);
			builder->raw_bytes += column->root.attlen;
		}
		else
		{
			add_value(column, builder->data[i], builder->lengths[i]);
			builder->raw_bytes += builder->lengths[i];
		}
		if (column->bytes >= TABLE_MAX_COLUMN_BYTES - 2 * (uint64) TABLE_MAX_VALUE)
			builder->full = true;
	}
	add_number(&builder->columns[0], (uint64) block << 16 | ItemPointerGetOffsetNumber(tid));
	if (builder->rows == 0 || block < builder->first_block)
		builder->first_block = block;
	if (builder->rows == 0 || block > builder->last_block)
		builder->last_block = block;
	builder->rows++;
	for (uint32 i = 0; i <= builder->natts; i++)
		if ((builder->columns[i].root.flags & TABLE_ROOT_DROPPED) == 0)
			write_full_chunks(builder, &builder->columns[i]);
	MemoryContextSwitchTo(old);
	MemoryContextReset(builder->row_context);
	return builder->rows - 1;
}

bool
TableBuilderIsFull(const TableBuilder *builder)
{
	return builder->full || builder->rows >= TABLE_MAX_ROWS ||
		(int64) builder->rows >= builder->options.segment_rows ||
		(int64) builder->raw_bytes >= builder->options.segment_bytes;
}

uint32
TableBuilderRows(const TableBuilder *builder)
{
	return builder->rows;
}

/* ---- the root ---- */

/*
 * Write the Bloom filters of a column as one value.
 */
static void
write_filters(TableBuilder *builder, BuildColumn *column)
{
	if (column->root.bloom_bytes == 0)
		return;
	column->root.bloom = TableNewValueId(builder->toast, builder->oldtoast);
	TableWriteValue(builder->toast, column->root.bloom, column->filters, column->root.bloom_bytes);
	column->root.stored_bytes += column->root.bloom_bytes;
}

/*
 * Lay out and write the root.  Returns its bytes.
 */
static Size
write_root(TableBuilder *builder)
{
	uint32		ncolumns = builder->natts + 1;
	uint32		nchunks = 0;
	Size		bytes;
	char	   *data;
	TableRoot  *root;
	TableRootColumn *columns;
	TableRootChunk *chunks;
	pg_crc32c	crc;

	for (uint32 i = 0; i < ncolumns; i++)
	{
		builder->columns[i].root.first_chunk = nchunks;
		nchunks += builder->columns[i].root.nchunks;
	}
	bytes = sizeof(TableRoot) + ncolumns * sizeof(TableRootColumn) +
		(Size) nchunks * sizeof(TableRootChunk) + builder->pool_used;
	data = MemoryContextAllocExtended(builder->context, bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	root = (TableRoot *) data;
	columns = (TableRootColumn *) (root + 1);
	chunks = (TableRootChunk *) (columns + ncolumns);
	root->magic = TABLE_ROOT_MAGIC;
	root->version = TABLE_ROOT_VERSION;
	root->id = builder->id;
	root->bytes = bytes;
	root->natts = builder->natts;
	root->rows = builder->rows;
	root->nchunks = nchunks;
	root->pool_bytes = builder->pool_used;
	for (uint32 i = 0; i < ncolumns; i++)
	{
		columns[i] = builder->columns[i].root;
		for (uint32 j = 0; j < columns[i].nchunks; j++)
			chunks[columns[i].first_chunk + j] = builder->columns[i].chunks[j];
	}
	if (builder->pool_used > 0)
		memcpy(chunks + nchunks, builder->pool, builder->pool_used);
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, data, bytes);
	FIN_CRC32C(crc);
	root->crc = crc;
	TableWriteValue(builder->toast, builder->root, data, bytes);
	return bytes;
}

void
TableBuilderFinish(TableBuilder *builder, TableSegmentEntry *entry)
{
	MemoryContext old = MemoryContextSwitchTo(builder->context);

	memset(entry, 0, sizeof(*entry));
	for (uint32 i = 0; i <= builder->natts; i++)
	{
		BuildColumn *column = &builder->columns[i];

		if ((column->root.flags & TABLE_ROOT_DROPPED) != 0)
			continue;
		if (column->rows > 0)
			write_chunk(builder, column, column->rows);
		if (column->root.chunk_rows == 0)
			column->root.chunk_rows = Max(builder->rows, 1);
		if (column->vector && !column->varies)
			column->root.width = column->uniform;
		write_filters(builder, column);
		entry->stored_bytes += column->root.stored_bytes;
	}
	entry->stored_bytes += write_root(builder);
	MILVUS_DEBUG_POINT("table-root-written");
	entry->magic = TABLE_ENTRY_MAGIC;
	entry->version = TABLE_ENTRY_VERSION;
	entry->id = builder->id;
	entry->number = TableNextNumber(builder->toast);
	entry->root = builder->root;
	entry->rows = builder->rows;
	entry->raw_bytes = builder->raw_bytes;
	entry->created = builder->created;
	entry->first_block = builder->first_block;
	entry->last_block = builder->last_block;
	if (builder->options.cache_on_seal && builder->rows > 0)
		TableSegmentWarmRoot(builder->rel, builder->toast, builder->root);
	MemoryContextSwitchTo(old);
	TableBuilderAbort(builder);
}

void
TableBuilderAbort(TableBuilder *builder)
{
	MemoryContextDelete(builder->context);
}
