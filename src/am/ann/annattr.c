/*
 * annattr.c
 *		Scalar key columns: describing them, the tuple that an entry of the growing
 *		part carries, and the sections of a segment that hold their values.
 *
 * A segment keeps a sorted dictionary for each column and a code for each row, so
 * that a condition is a range of codes; the query form has the rows by code
 * besides.  Sections come from disk: nothing in them is believed before it was
 * looked at.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "am/ann/annattr.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"

/* ---- columns ---- */

static void
describe_array(Relation index, AnnAttrColumn *column, Oid array_type)
{
	Oid			element = get_base_element_type(array_type);
	TypeCacheEntry *entry = lookup_type_cache(element, TYPECACHE_CMP_PROC_FINFO | TYPECACHE_LT_OPR);

	if (!OidIsValid(entry->cmp_proc_finfo.fn_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify a comparison function for type %s", format_type_be(element)),
				 errdetail("Column %d of index \"%s\" needs one of its elements.", column->attno,
						   RelationGetRelationName(index))));
	column->type = element;
	column->input = element;
	column->typlen = entry->typlen;
	column->typbyval = entry->typbyval;
	column->typalign = entry->typalign;
	column->less = entry->lt_opr;
	fmgr_info_copy(&column->cmp, &entry->cmp_proc_finfo, CurrentMemoryContext);
}

static void
describe_scalar(Relation index, AnnAttrColumn *column, Form_pg_attribute att)
{
	Oid			proc = index_getprocid(index, column->attno, ANN_SUPPORT_COMPARE);
	TypeCacheEntry *entry = lookup_type_cache(column->input, TYPECACHE_CMP_PROC | TYPECACHE_LT_OPR);

	column->type = att->atttypid;
	column->typlen = att->attlen;
	column->typbyval = att->attbyval;
	column->typalign = att->attalign;
	column->less = entry->cmp_proc == proc ? entry->lt_opr : InvalidOid;
	fmgr_info_copy(&column->cmp, index_getprocinfo(index, column->attno, ANN_SUPPORT_COMPARE),
				   CurrentMemoryContext);
	if (column->typlen == -2)
		elog(ERROR, "an ann index cannot hold values of type cstring");
}

AnnAttrs *
AnnGetAttrs(Relation index)
{
	int			n = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	TupleDesc	desc = RelationGetDescr(index);
	AnnAttrs   *attrs;

	if (n == 0)
		return NULL;
	attrs = palloc0(offsetof(AnnAttrs, columns) + sizeof(AnnAttrColumn) * n);
	attrs->n = n;
	attrs->desc = CreateTemplateTupleDesc(n);
	for (int i = 0; i < n; i++)
	{
		AnnAttrColumn *column = &attrs->columns[i];
		Form_pg_attribute att = TupleDescAttr(desc, i + 1);

		column->attno = i + 2;
		if (!OidIsValid(index_getprocid(index, column->attno, ANN_SUPPORT_COMPARE)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column %d of index \"%s\" cannot be a vector", column->attno,
							RelationGetRelationName(index)),
					 errdetail("An index of access method ann has one vector, which is its first column; further columns are scalars or arrays.")));
		TupleDescCopyEntry(attrs->desc, i + 1, desc, i + 2);
		column->input = index->rd_opcintype[i + 1];
		column->family = index->rd_opfamily[i + 1];
		column->collation = index->rd_indcollation[i + 1];
		column->array = column->input == ANYARRAYOID;
		if (column->array)
			describe_array(index, column, att->atttypid);
		else
			describe_scalar(index, column, att);
	}
	return attrs;
}

IndexTuple
AnnFormAttrs(const AnnAttrs *attrs, Relation index, Datum *values, bool *isnull)
{
	IndexTuple	tuple = index_form_tuple(attrs->desc, values + 1, isnull + 1);

	if (IndexTupleSize(tuple) > ANN_MAX_ATTR_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("scalar columns of index \"%s\" take %zu bytes in a row, the maximum is %zu",
						RelationGetRelationName(index), IndexTupleSize(tuple), (Size) ANN_MAX_ATTR_BYTES),
				 errhint("Index a shorter value, for example the beginning of a text or a hash of it.")));
	return tuple;
}

/* ---- building the durable section ---- */

/* A section being put together. */
typedef struct Blob
{
	ScratchArena *arena;
	char	   *data;
	uint64		used;
	uint64		capacity;
} Blob;

static void *
scratch(ScratchArena *arena, uint64 bytes)
{
	void	   *p = ScratchAlloc(arena, Max(bytes, 1));

	if (p == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed to make room for the scalar columns of an index segment.")));
	return p;
}

/*
 * Room for `bytes` more at a multiple of 8; returns its offset.  The blob may move.
 */
static uint64
blob_add(Blob *blob, uint64 bytes)
{
	uint64		offset = TYPEALIGN64(8, blob->used);
	uint64		end = TYPEALIGN64(8, offset + bytes);

	if (end > blob->capacity)
	{
		uint64		capacity = Max(end, blob->capacity * 2);
		void	   *data = ScratchResize(blob->arena, blob->data, capacity);

		if (data == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed to make room for the scalar columns of an index segment.")));
		blob->data = data;
		blob->capacity = capacity;
	}
	memset(blob->data + blob->used, 0, end - blob->used);
	blob->used = end;
	return offset;
}

/* A value and the row it is of. */
typedef struct SortItem
{
	Datum		value;
	uint32		row;
} SortItem;

static int
compare_items(const void *a, const void *b, void *arg)
{
	const SortItem *x = a;
	const SortItem *y = b;

	return ApplySortComparator(x->value, false, y->value, false, arg);
}

static void
sort_items(const AnnAttrColumn *column, SortItem *items, uint64 n)
{
	SortSupportData ssup;

	memset(&ssup, 0, sizeof(ssup));
	ssup.ssup_cxt = CurrentMemoryContext;
	ssup.ssup_collation = column->collation;
	if (OidIsValid(column->less))
		PrepareSortSupportFromOrderingOp(column->less, &ssup);
	else
		PrepareSortSupportComparisonShim(column->cmp.fn_oid, &ssup);
	qsort_arg(items, n, sizeof(SortItem), compare_items, &ssup);
}

static int
compare_values(const AnnAttrColumn *column, Datum a, Datum b)
{
	return DatumGetInt32(FunctionCall2Coll((FmgrInfo *) &column->cmp, column->collation, a, b));
}

/*
 * Replace each item's value by its number among the distinct ones, and put those
 * into the blob.
 */
static void
make_dictionary(const AnnAttrColumn *column, SortItem *items, uint64 n, Blob *blob, AnnAttrHeader *header)
{
	uint64		distinct = 0;
	uint64		values;
	uint64		places = 0;
	uint64		bytes = 0;
	Datum		last = (Datum) 0;

	/* how many, and how long they are together */
	for (uint64 i = 0; i < n; i++)
	{
		if (i % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		if (i > 0 && compare_values(column, last, items[i].value) == 0)
			continue;
		last = items[i].value;
		distinct++;
		if (column->typbyval)
			bytes += sizeof(Datum);
		else if (column->typlen > 0)
			bytes += MAXALIGN(column->typlen);
		else
			bytes += MAXALIGN(toast_raw_datum_size(last));
	}
	header->ndistinct = (uint32) distinct;
	header->values_bytes = bytes;
	header->values = values = blob_add(blob, bytes);
	if (!column->typbyval)
		header->places = places = blob_add(blob, sizeof(uint64) * (distinct + 1));
	header->code_bytes = distinct < PG_UINT8_MAX ? 1 : distinct < PG_UINT16_MAX ? 2 : 4;

	distinct = 0;
	bytes = 0;
	for (uint64 i = 0; i < n; i++)
	{
		Datum		value = items[i].value;

		if (i % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		if (i == 0 || compare_values(column, last, value) != 0)
		{
			last = value;
			if (column->typbyval)
				((Datum *) (blob->data + values))[distinct] = value;
			else
			{
				char	   *to = blob->data + values + bytes;

				((uint64 *) (blob->data + places))[distinct] = bytes;
				if (column->typlen > 0)
				{
					memcpy(to, DatumGetPointer(value), column->typlen);
					bytes += MAXALIGN(column->typlen);
				}
				else
				{
					/* with a header of four bytes, uncompressed */
					struct varlena *flat = PG_DETOAST_DATUM(value);

					memcpy(to, flat, VARSIZE(flat));
					bytes += MAXALIGN(VARSIZE(flat));
					if ((Pointer) flat != DatumGetPointer(value))
						pfree(flat);
				}
			}
			distinct++;
		}
		items[i].value = (Datum) (distinct - 1);
	}
	if (!column->typbyval)
		((uint64 *) (blob->data + places))[distinct] = bytes;
}

static inline void
put_code(char *codes, uint32 code_bytes, uint64 at, uint32 code)
{
	if (code_bytes == 1)
		((uint8 *) codes)[at] = (uint8) code;
	else if (code_bytes == 2)
		((uint16 *) codes)[at] = (uint16) code;
	else
		((uint32 *) codes)[at] = code;
}

/*
 * A value of a row's tuple, decompressed if need be in the current context.
 */
static Datum
row_value(const AnnAttrs *attrs, int i, IndexTuple tuple, bool *isnull)
{
	Datum		value = index_getattr(tuple, i + 1, attrs->desc, isnull);

	if (!*isnull && TupleDescAttr(attrs->desc, i)->attlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	return value;
}

static void
build_scalar(const AnnAttrs *attrs, int i, const AnnAttrRows *rows, const uint32 *order, uint32 n,
			 Blob *blob, AnnAttrHeader *header)
{
	const AnnAttrColumn *column = &attrs->columns[i];
	SortItem   *items = scratch(blob->arena, sizeof(SortItem) * (uint64) n);
	uint32	   *codes = scratch(blob->arena, sizeof(uint32) * (uint64) n);
	uint64		nitems = 0;

	for (uint32 row = 0; row < n; row++)
	{
		bool		isnull;
		Datum		value = row_value(attrs, i, AnnAttrRow(rows, row), &isnull);

		codes[row] = PG_UINT32_MAX;
		if (isnull)
			continue;
		items[nitems].value = value;
		items[nitems++].row = row;
	}
	sort_items(column, items, nitems);
	make_dictionary(column, items, nitems, blob, header);
	for (uint64 j = 0; j < nitems; j++)
		codes[items[j].row] = (uint32) items[j].value;
	header->ncodes = n;
	header->codes = blob_add(blob, header->code_bytes * (uint64) n);
	for (uint32 row = 0; row < n; row++)
		put_code(blob->data + header->codes, header->code_bytes, row,
				 Min(codes[order ? order[row] : row], header->ndistinct));
	ScratchFree(blob->arena, codes);
	ScratchFree(blob->arena, items);
}

static void
build_array(const AnnAttrs *attrs, int i, const AnnAttrRows *rows, const uint32 *order, uint32 n,
			Blob *blob, AnnAttrHeader *header)
{
	const AnnAttrColumn *column = &attrs->columns[i];
	uint8	   *flags = scratch(blob->arena, n);
	uint32	   *place = scratch(blob->arena, sizeof(uint32) * (uint64) n);	/* row of the segment */
	uint64	   *starts;
	uint64	   *ends;
	SortItem   *items = NULL;
	uint64		nitems = 0;
	uint64		maxitems = 0;
	uint64		total = 0;

	for (uint32 row = 0; row < n; row++)
		place[order ? order[row] : row] = row;
	for (uint32 row = 0; row < n; row++)
	{
		bool		isnull;
		Datum		value = row_value(attrs, i, AnnAttrRow(rows, row), &isnull);
		Datum	   *elements;
		bool	   *nulls;
		int			nelements;

		flags[place[row]] = isnull ? ANN_ARRAY_NULL : 0;
		if (isnull)
			continue;
		deconstruct_array(DatumGetArrayTypeP(value), column->type, column->typlen, column->typbyval,
						  column->typalign, &elements, &nulls, &nelements);
		if (nitems + nelements > maxitems)
		{
			maxitems = Max(Max(maxitems * 2, nitems + nelements), 1024);
			items = ScratchResize(blob->arena, items, sizeof(SortItem) * maxitems);
			if (items == NULL)
				ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		}
		for (int e = 0; e < nelements; e++)
		{
			if (nulls[e])
			{
				flags[place[row]] |= ANN_ARRAY_HAS_NULL;
				continue;
			}
			items[nitems].value = elements[e];
			items[nitems++].row = place[row];
		}
		pfree(elements);
		pfree(nulls);
	}
	if (items != NULL)
		sort_items(column, items, nitems);
	make_dictionary(column, items, nitems, blob, header);

	/* the items are in order of their codes: dealt out to the rows, each row's are, too */
	header->starts = blob_add(blob, sizeof(uint64) * ((uint64) n + 1));
	header->flags = blob_add(blob, n);
	memcpy(blob->data + header->flags, flags, n);
	ends = scratch(blob->arena, sizeof(uint64) * ((uint64) n + 1));
	for (int pass = 0; pass < 2; pass++)
	{
		uint32	   *last = place;	/* the code a row got last, + 1 */

		if (pass == 0)
			memset(ends, 0, sizeof(uint64) * ((uint64) n + 1));
		memset(last, 0, sizeof(uint32) * (uint64) n);
		for (uint64 j = 0; j < nitems; j++)
		{
			uint32		row = items[j].row;
			uint32		code = (uint32) items[j].value;

			if (last[row] == code + 1)
				continue;
			last[row] = code + 1;
			if (pass == 1)
				put_code(blob->data + header->codes, header->code_bytes, ends[row], code);
			ends[row]++;
		}
		if (pass == 0)
		{
			starts = (uint64 *) (blob->data + header->starts);
			for (uint32 row = 0; row < n; row++)
			{
				starts[row] = total;
				total += ends[row];
			}
			starts[n] = total;
			memcpy(ends, starts, sizeof(uint64) * (uint64) n);
			header->ncodes = total;
			header->codes = blob_add(blob, header->code_bytes * total);
		}
	}
	ScratchFree(blob->arena, ends);
	ScratchFree(blob->arena, items);
	ScratchFree(blob->arena, place);
	ScratchFree(blob->arena, flags);
}

void *
AnnAttrsBuild(const AnnAttrs *attrs, const AnnAttrRows *rows, const uint32 *order, uint32 n,
			  ScratchArena *arena, uint64 *bytes)
{
	AnnAttrHeader headers[INDEX_MAX_KEYS];
	Blob		blob = {0};
	AnnAttrsHeader *head;

	memset(headers, 0, sizeof(headers));
	blob.arena = arena;
	(void) blob_add(&blob, sizeof(AnnAttrsHeader) + sizeof(AnnAttrHeader) * attrs->n);
	for (int i = 0; i < attrs->n; i++)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ann scalar column",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		headers[i].type = attrs->columns[i].type;
		headers[i].array = attrs->columns[i].array;
		if (attrs->columns[i].array)
			build_array(attrs, i, rows, order, n, &blob, &headers[i]);
		else
			build_scalar(attrs, i, rows, order, n, &blob, &headers[i]);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
	}
	head = (AnnAttrsHeader *) blob.data;
	head->magic = ANN_ATTRS_MAGIC;
	head->version = ANN_ATTRS_VERSION;
	head->ncolumns = attrs->n;
	head->rows = n;
	head->bytes = blob.used;
	memcpy(head + 1, headers, sizeof(AnnAttrHeader) * attrs->n);
	*bytes = blob.used;
	return blob.data;
}

/* ---- checking it ---- */

/* Whether an array of n items lies within a section. */
static bool
array_fits(uint64 offset, uint64 n, uint64 item, uint64 bytes)
{
	return offset % 8 == 0 && offset <= bytes && n <= (bytes - offset) / item;
}

static bool
header_fits(const AnnAttrHeader *header, uint64 bytes, uint32 rows)
{
	if (header->code_bytes != 1 && header->code_bytes != 2 && header->code_bytes != 4)
		return false;
	if (header->ndistinct > PG_UINT32_MAX - 2 ||
		(header->code_bytes < 4 && header->ndistinct >= (UINT64CONST(1) << (8 * header->code_bytes))) ||
		!array_fits(header->values, header->values_bytes, 1, bytes) ||
		!array_fits(header->codes, header->ncodes, header->code_bytes, bytes))
		return false;
	if (header->places != 0
		? !array_fits(header->places, (uint64) header->ndistinct + 1, sizeof(uint64), bytes)
		: header->values_bytes != sizeof(Datum) * (uint64) header->ndistinct)
		return false;
	if (!header->array)
		return header->ncodes == rows && header->starts == 0 && header->flags == 0;
	return array_fits(header->starts, (uint64) rows + 1, sizeof(uint64), bytes) &&
		array_fits(header->flags, rows, 1, bytes);
}

const AnnAttrHeader *
AnnAttrsCheckHeaders(const void *data, uint64 available, uint64 bytes, uint32 rows, int *ncolumns)
{
	const AnnAttrsHeader *head = data;
	const AnnAttrHeader *headers = (const AnnAttrHeader *) (head + 1);

	if (available < sizeof(AnnAttrsHeader) || head->magic != ANN_ATTRS_MAGIC ||
		head->version != ANN_ATTRS_VERSION || head->rows != rows || head->bytes != bytes ||
		head->ncolumns < 1 || head->ncolumns >= INDEX_MAX_KEYS ||
		available < sizeof(AnnAttrsHeader) + sizeof(AnnAttrHeader) * head->ncolumns)
		return NULL;
	for (uint32 i = 0; i < head->ncolumns; i++)
		if (!header_fits(&headers[i], bytes, rows))
			return NULL;
	*ncolumns = head->ncolumns;
	return headers;
}

static bool
dictionary_good(const char *data, const AnnAttrHeader *header)
{
	const uint64 *places = (const uint64 *) (data + header->places);
	int16		typlen;
	bool		typbyval;

	get_typlenbyval(header->type, &typlen, &typbyval);
	if (typbyval != (header->places == 0))
		return false;
	if (typbyval)
		return true;
	if (places[0] != 0 || places[header->ndistinct] > header->values_bytes)
		return false;
	for (uint32 i = 0; i < header->ndistinct; i++)
	{
		uint64		bytes = places[i + 1] - places[i];
		const char *value = data + header->values + places[i];

		if (places[i + 1] < places[i] || places[i + 1] > header->values_bytes || places[i] % 8 != 0 ||
			bytes < (typlen > 0 ? (uint64) typlen : VARHDRSZ))
			return false;
		if (typlen == -1 && (!VARATT_IS_4B_U(value) || VARSIZE_4B(value) > bytes || VARSIZE_4B(value) < VARHDRSZ))
			return false;
	}
	return true;
}

bool
AnnAttrStartsGood(const AnnAttrHeader *header, const uint64 *starts, uint32 n)
{
	for (uint32 row = 0; row < n; row++)
		if (starts[row] > starts[row + 1])
			return false;
	return starts[n] <= header->ncodes;
}

bool
AnnAttrCodesGood(const AnnAttrHeader *header, const char *codes, const uint64 *starts, uint32 n)
{
	uint64		ncodes = header->array ? starts[n] - starts[0] : n;
	uint32		end = header->ndistinct + (header->array ? 0 : 1);

	for (uint64 j = 0; j < ncodes; j++)
		if (AnnAttrCode(codes, header->code_bytes, j) >= end)
			return false;
	/* an array's are ascending */
	for (uint32 row = 0; header->array && row < n; row++)
		for (uint64 j = starts[row] - starts[0] + 1; j < starts[row + 1] - starts[0]; j++)
			if (AnnAttrCode(codes, header->code_bytes, j - 1) >= AnnAttrCode(codes, header->code_bytes, j))
				return false;
	return true;
}

bool
AnnAttrsCheck(const void *data, uint64 bytes, uint32 rows)
{
	int			ncolumns;
	const AnnAttrHeader *headers = AnnAttrsCheckHeaders(data, bytes, bytes, rows, &ncolumns);

	if (headers == NULL)
		return false;
	for (int i = 0; i < ncolumns; i++)
	{
		const AnnAttrHeader *header = &headers[i];
		const uint64 *starts = (const uint64 *) ((const char *) data + header->starts);

		CHECK_FOR_INTERRUPTS();
		if (!dictionary_good(data, header))
			return false;
		if (header->array &&
			(starts[0] != 0 || starts[rows] != header->ncodes || !AnnAttrStartsGood(header, starts, rows)))
			return false;
		if (!AnnAttrCodesGood(header, (const char *) data + header->codes, starts, rows))
			return false;
	}
	return true;
}

/* ---- postings ---- */

/* Rows that the postings of a column list. */
static uint64
posting_rows(const char *data, const AnnAttrHeader *header, uint32 rows)
{
	const uint64 *starts = (const uint64 *) (data + header->starts);
	uint64		count = rows;

	/* a row with elements is listed with each */
	for (uint32 row = 0; header->array && row < rows; row++)
		if (starts[row + 1] > starts[row])
			count += starts[row + 1] - starts[row] - 1;
	return count;
}

static uint64
plan_index(const char *data, AnnAttrPostings *postings)
{
	const AnnAttrsHeader *head = (const AnnAttrsHeader *) data;
	const AnnAttrHeader *headers = (const AnnAttrHeader *) (head + 1);
	uint64		offset = sizeof(AnnAttrIndexHeader) + sizeof(AnnAttrPostings) * head->ncolumns;

	for (uint32 i = 0; i < head->ncolumns; i++)
	{
		postings[i].nrows = posting_rows(data, &headers[i], head->rows);
		postings[i].starts = offset;
		offset += sizeof(uint64) * ((uint64) AnnAttrCodes(&headers[i]) + 1);
		postings[i].rows = offset;
		offset = TYPEALIGN64(8, offset + sizeof(uint32) * postings[i].nrows);
	}
	return offset;
}

uint64
AnnAttrIndexBytes(const void *data)
{
	AnnAttrPostings postings[INDEX_MAX_KEYS];

	return plan_index(data, postings);
}

/*
 * Call fn for every code that a row is listed with.
 */
#define FOR_CODES_OF_ROW(data, header, row, code, statement) \
	do { \
		const char *codes_ = (data) + (header)->codes; \
		if (!(header)->array) \
		{ \
			uint32		code = AnnAttrCode(codes_, (header)->code_bytes, row); \
			statement; \
		} \
		else \
		{ \
			const uint64 *starts_ = (const uint64 *) ((data) + (header)->starts); \
			for (uint64 j_ = starts_[row]; j_ < starts_[(row) + 1]; j_++) \
			{ \
				uint32		code = AnnAttrCode(codes_, (header)->code_bytes, j_); \
				statement; \
			} \
			if (starts_[row] == starts_[(row) + 1]) \
			{ \
				uint32		code = (header)->ndistinct + \
					(((data) + (header)->flags)[row] & ANN_ARRAY_NULL ? 1 : 0); \
				statement; \
			} \
		} \
	} while (0)

void
AnnAttrIndexBuild(const void *data, void *index)
{
	const AnnAttrsHeader *head = data;
	const AnnAttrHeader *headers = (const AnnAttrHeader *) (head + 1);
	AnnAttrIndexHeader *index_head = index;
	AnnAttrPostings *postings = (AnnAttrPostings *) (index_head + 1);

	index_head->magic = ANN_ATTR_INDEX_MAGIC;
	index_head->ncolumns = head->ncolumns;
	index_head->bytes = plan_index(data, postings);
	for (uint32 i = 0; i < head->ncolumns; i++)
	{
		const AnnAttrHeader *header = &headers[i];
		uint32		ncodes = AnnAttrCodes(header);
		uint64	   *starts = (uint64 *) ((char *) index + postings[i].starts);
		uint32	   *rows = (uint32 *) ((char *) index + postings[i].rows);

		CHECK_FOR_INTERRUPTS();
		memset(starts, 0, sizeof(uint64) * ((uint64) ncodes + 1));
		for (uint32 row = 0; row < head->rows; row++)
			FOR_CODES_OF_ROW((const char *) data, header, row, code, starts[code + 1]++);
		for (uint32 c = 0; c < ncodes; c++)
			starts[c + 1] += starts[c];
		for (uint32 row = 0; row < head->rows; row++)
			FOR_CODES_OF_ROW((const char *) data, header, row, code, rows[starts[code]++] = row);
		/* every start has moved on to the next one's */
		memmove(starts + 1, starts, sizeof(uint64) * ncodes);
		starts[0] = 0;
	}
}

/* ---- opened segments ---- */

bool
AnnAttrsAttach(AnnSegmentAttrs *attrs, const char *base, uint64 bytes, const char *index,
			   uint64 index_bytes, uint32 rows)
{
	const AnnAttrHeader *headers = AnnAttrsCheckHeaders(base, bytes, bytes, rows, &attrs->ncolumns);
	const AnnAttrIndexHeader *head = (const AnnAttrIndexHeader *) index;

	if (headers == NULL)
		return false;
	memcpy(attrs->headers, headers, sizeof(AnnAttrHeader) * attrs->ncolumns);
	attrs->base = base;
	if (index_bytes < sizeof(AnnAttrIndexHeader) + sizeof(AnnAttrPostings) * attrs->ncolumns ||
		head->magic != ANN_ATTR_INDEX_MAGIC || head->ncolumns != (uint32) attrs->ncolumns ||
		head->bytes != index_bytes)
		return false;
	memcpy(attrs->postings, head + 1, sizeof(AnnAttrPostings) * attrs->ncolumns);
	attrs->index = index;
	for (int i = 0; i < attrs->ncolumns; i++)
	{
		const AnnAttrPostings *postings = &attrs->postings[i];
		uint64		ncodes = AnnAttrCodes(&attrs->headers[i]);

		if (!array_fits(postings->starts, ncodes + 1, sizeof(uint64), index_bytes) ||
			!array_fits(postings->rows, postings->nrows, sizeof(uint32), index_bytes) ||
			((const uint64 *) (index + postings->starts))[ncodes] != postings->nrows)
			return false;
	}
	return true;
}

/* ---- rows as tuples again ---- */

struct AnnAttrsReader
{
	const AnnAttrs *attrs;
	const char *data;
	const AnnAttrHeader *headers;
};

AnnAttrsReader *
AnnAttrsReaderCreate(const AnnAttrs *attrs, Relation index, const void *data)
{
	AnnAttrsReader *reader = palloc(sizeof(AnnAttrsReader));
	const AnnAttrsHeader *head = data;
	bool		same = head->ncolumns == (uint32) attrs->n;

	reader->attrs = attrs;
	reader->data = data;
	reader->headers = (const AnnAttrHeader *) (head + 1);
	for (int i = 0; i < attrs->n && same; i++)
		same = reader->headers[i].type == attrs->columns[i].type &&
			(reader->headers[i].array != 0) == attrs->columns[i].array;
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("a segment of index \"%s\" has other scalar columns than the index",
						RelationGetRelationName(index)),
				 errhint("REINDEX the index.")));
	return reader;
}

static Datum
dictionary_value(const AnnAttrsReader *reader, int i, uint32 code)
{
	const AnnAttrHeader *header = &reader->headers[i];
	const char *values = reader->data + header->values;

	if (header->places == 0)
		return ((const Datum *) values)[code];
	return PointerGetDatum(values + ((const uint64 *) (reader->data + header->places))[code]);
}

static Datum
read_array(const AnnAttrsReader *reader, int i, uint32 row, bool *isnull)
{
	const AnnAttrColumn *column = &reader->attrs->columns[i];
	const AnnAttrHeader *header = &reader->headers[i];
	const uint64 *starts = (const uint64 *) (reader->data + header->starts);
	uint8		flags = ((const uint8 *) (reader->data + header->flags))[row];
	int			ncodes = (int) (starts[row + 1] - starts[row]);
	int			n = ncodes + ((flags & ANN_ARRAY_HAS_NULL) ? 1 : 0);
	Datum	   *elements;
	bool	   *nulls;
	int			lower = 1;
	ArrayType  *array;

	*isnull = (flags & ANN_ARRAY_NULL) != 0;
	if (*isnull)
		return (Datum) 0;
	if (n == 0)
		return PointerGetDatum(construct_empty_array(column->type));
	elements = palloc0(sizeof(Datum) * n);
	nulls = palloc0(sizeof(bool) * n);
	for (int e = 0; e < ncodes; e++)
		elements[e] = dictionary_value(reader, i, AnnAttrCode(reader->data + header->codes,
														   header->code_bytes, starts[row] + e));
	if (n > ncodes)
		nulls[ncodes] = true;
	array = construct_md_array(elements, nulls, 1, &n, &lower, column->type, column->typlen,
							   column->typbyval, column->typalign);
	pfree(elements);
	pfree(nulls);
	return PointerGetDatum(array);
}

IndexTuple
AnnAttrsReadRow(AnnAttrsReader *reader, uint32 row)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	for (int i = 0; i < reader->attrs->n; i++)
	{
		const AnnAttrHeader *header = &reader->headers[i];

		if (header->array)
			values[i] = read_array(reader, i, row, &isnull[i]);
		else
		{
			uint32		code = AnnAttrCode(reader->data + header->codes, header->code_bytes, row);

			isnull[i] = code == header->ndistinct;
			values[i] = isnull[i] ? (Datum) 0 : dictionary_value(reader, i, code);
		}
	}
	return index_form_tuple(reader->attrs->desc, values, isnull);
}

static int
compare_elements(const void *a, const void *b, void *arg)
{
	return compare_values(arg, *(const Datum *) a, *(const Datum *) b);
}

/*
 * An array as conditions see it: its distinct elements in order, and whether one
 * is NULL.
 */
static int
elements_of(const AnnAttrColumn *column, Datum value, Datum **elements, bool *has_null)
{
	bool	   *nulls;
	int			n;
	int			count = 0;

	deconstruct_array(DatumGetArrayTypeP(value), column->type, column->typlen, column->typbyval,
					  column->typalign, elements, &nulls, &n);
	*has_null = false;
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			*has_null = true;
		else
			(*elements)[count++] = (*elements)[i];
	}
	qsort_arg(*elements, count, sizeof(Datum), compare_elements, (void *) column);
	n = count;
	count = 0;
	for (int i = 0; i < n; i++)
		if (count == 0 || compare_values(column, (*elements)[count - 1], (*elements)[i]) != 0)
			(*elements)[count++] = (*elements)[i];
	return count;
}

bool
AnnAttrsEqual(const AnnAttrs *attrs, IndexTuple a, IndexTuple b)
{
	for (int i = 0; i < attrs->n; i++)
	{
		const AnnAttrColumn *column = &attrs->columns[i];
		bool		xnull;
		bool		ynull;
		Datum		x = row_value(attrs, i, a, &xnull);
		Datum		y = row_value(attrs, i, b, &ynull);
		Datum	   *xset;
		Datum	   *yset;
		int			n;

		if (xnull || ynull)
		{
			if (xnull != ynull)
				return false;
			continue;
		}
		if (!column->array)
		{
			if (compare_values(column, x, y) != 0)
				return false;
			continue;
		}
		n = elements_of(column, x, &xset, &xnull);
		if (elements_of(column, y, &yset, &ynull) != n || xnull != ynull)
			return false;
		for (int e = 0; e < n; e++)
			if (compare_values(column, xset[e], yset[e]) != 0)
				return false;
	}
	return true;
}
