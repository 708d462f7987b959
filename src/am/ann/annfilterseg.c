/*
 * annfilterseg.c
 *		Conditions on scalar columns in a segment.
 *
 * A segment's codes are numbered in the order of their values, so that a
 * comparison is a range of codes, found by binary search in the dictionary; the
 * rows by code tell at once how many match.  From the counts follows the way:
 * few matching rows are listed and compared one by one, more become a mask, and
 * nearly all are searched as if there was no condition.
 *
 * What reads a mapping runs under guard (segment/guard.c): it allocates nothing
 * and calls nothing of the server.
 */
#include "postgres.h"

#include <math.h>

#include "am/ann/annfilter_internal.h"
#include "index/sq8.h"
#include "kernels/kernels.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

/* Codes lo <= code < hi. */
typedef struct CodeRange
{
	uint32		lo;
	uint32		hi;
} CodeRange;

/* What is asked of one column: a scalar one by ranges, an array by a set of codes. */
struct AnnCondition
{
	int			i;				/* column */
	bool		array;
	int			nranges;		/* ascending, disjoint; all keys of the column together */
	CodeRange  *ranges;
	uint8	   *table;			/* of a column with several ranges: by code; or NULL */
	StrategyNumber strategy;
	int			ncodes;			/* ascending */
	uint32	   *codes;
	bool		has_null;		/* strategy =: the array has a NULL */
	uint64		count;			/* rows; of an array a bound */
};

/* Rows handled at a time when codes are read through the buffers. */
#define ROW_CHUNK 8192
/* Largest dictionary that is copied for the time of a scan. */
#define COPY_DICTIONARY (64 * 1024)
/* Lists of matching rows are made up to this share of a segment's rows. */
#define LIST_SHARE 0.05
/* From this share on, rows are tested when they are found. */
#define AFTER_SHARE 0.8

/* ---- reading a segment ---- */

typedef struct AttrsSource
{
	const AnnSegmentAttrs *attrs;
	SegmentReader reader;		/* not mapped */
	uint64		offset;			/* of the section, then */
	bool		failed;			/* recycled, or an I/O error */
} AttrsSource;

typedef struct GuardedCopy
{
	void	   *to;
	const void *from;
	Size		bytes;
} GuardedCopy;

static void
guarded_copy(void *arg)
{
	GuardedCopy *copy = arg;

	memcpy(copy->to, copy->from, copy->bytes);
}

static bool
read_attrs(AttrsSource *source, uint64 offset, Size bytes, void *to)
{
	if (source->failed)
		return false;
	if (source->attrs->base != NULL)
	{
		GuardedCopy copy = {to, source->attrs->base + offset, bytes};

		source->failed = !SegmentGuardedCall(guarded_copy, &copy);
	}
	else
		source->failed = !SegmentReaderRead(&source->reader, source->offset + offset, bytes, to);
	return !source->failed;
}

/* A column's dictionary: copied, or read value by value. */
typedef struct Dictionary
{
	AttrsSource *source;
	const AnnAttrHeader *header;
	int16		typlen;
	char	   *values;			/* copy, or NULL */
	uint64	   *places;
	char	   *buffer;
	Size		capacity;
} Dictionary;

static void
report_damage(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("the dictionary of a scalar column of an index segment is damaged"),
			 errhint("REINDEX the index.")));
}

/*
 * What is read through the buffers was not checked as a mapped file was.
 */
static void
check_value(const Dictionary *dictionary, const char *value, uint64 bytes)
{
	if (dictionary->typlen > 0
		? bytes < (uint64) dictionary->typlen
		: bytes < VARHDRSZ || !VARATT_IS_4B_U(value) || VARSIZE_4B(value) < VARHDRSZ || VARSIZE_4B(value) > bytes)
		report_damage();
}

static void
open_dictionary(Dictionary *dictionary, AttrsSource *source, const AnnAttrHeader *header,
				const AnnAttrColumn *column)
{
	memset(dictionary, 0, sizeof(*dictionary));
	dictionary->source = source;
	dictionary->header = header;
	dictionary->typlen = column->typlen;
	if ((header->places == 0) != column->typbyval || (header->array != 0) != column->array)
		report_damage();
	if (header->values_bytes <= COPY_DICTIONARY)
	{
		dictionary->values = palloc(Max(header->values_bytes, 1));
		if (!read_attrs(source, header->values, header->values_bytes, dictionary->values))
			return;
		if (header->places != 0)
		{
			Size		bytes = sizeof(uint64) * ((Size) header->ndistinct + 1);

			dictionary->places = palloc(bytes);
			(void) read_attrs(source, header->places, bytes, dictionary->places);
		}
	}
}

static void
close_dictionary(Dictionary *dictionary)
{
	if (dictionary->values != NULL)
		pfree(dictionary->values);
	if (dictionary->places != NULL)
		pfree(dictionary->places);
	if (dictionary->buffer != NULL)
		pfree(dictionary->buffer);
}

/*
 * The value of a code; valid until the next one is read.  After a failure anything
 * of the right type.
 */
static Datum
dictionary_value(Dictionary *dictionary, uint32 code)
{
	const AnnAttrHeader *header = dictionary->header;
	uint64		places[2] = {0, 0};

	if (header->places == 0)
	{
		Datum		value = (Datum) 0;

		if (dictionary->values != NULL)
			return ((Datum *) dictionary->values)[code];
		(void) read_attrs(dictionary->source, header->values + sizeof(Datum) * (uint64) code,
						  sizeof(Datum), &value);
		return value;
	}
	if (dictionary->values != NULL)
		memcpy(places, &dictionary->places[code], sizeof(places));
	else if (!read_attrs(dictionary->source, header->places + sizeof(uint64) * (uint64) code,
						 sizeof(places), places))
		return (Datum) 0;
	if (places[0] % 8 != 0 || places[1] < places[0] || places[1] > header->values_bytes ||
		places[1] - places[0] > MaxAllocSize)
		report_damage();
	if (dictionary->values != NULL)
	{
		check_value(dictionary, dictionary->values + places[0], places[1] - places[0]);
		return PointerGetDatum(dictionary->values + places[0]);
	}
	if (places[1] - places[0] > dictionary->capacity)
	{
		if (dictionary->buffer != NULL)
			pfree(dictionary->buffer);
		dictionary->capacity = Max(places[1] - places[0], 256);
		dictionary->buffer = palloc(dictionary->capacity);
	}
	if (!read_attrs(dictionary->source, header->values + places[0], places[1] - places[0],
					dictionary->buffer))
		return (Datum) 0;
	check_value(dictionary, dictionary->buffer, places[1] - places[0]);
	return PointerGetDatum(dictionary->buffer);
}

/*
 * The first code whose value is not less than a constant (after: is greater).
 */
static uint32
find_code(Dictionary *dictionary, const AnnAttrColumn *column, FmgrInfo *cmp, Datum constant, bool after)
{
	uint32		low = 0;
	uint32		high = dictionary->header->ndistinct;

	while (low < high && !dictionary->source->failed)
	{
		uint32		middle = low + (high - low) / 2;
		Datum		value = dictionary_value(dictionary, middle);
		int			order;

		if (dictionary->source->failed)
			break;
		order = DatumGetInt32(FunctionCall2Coll(cmp, column->collation, value, constant));
		if (order < 0 || (after && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- conditions ---- */

/*
 * The codes that a key lets through.
 */
static int
key_ranges(AnnFilterKey *key, const AnnAttrColumn *column, Dictionary *dictionary, CodeRange *ranges)
{
	uint32		n = dictionary->header->ndistinct;
	int			count = 0;
	CodeRange	range = {0, n};

	switch (key->kind)
	{
		case ANN_KEY_IS_NULL:
			range.lo = n;
			range.hi = n + 1;
			break;
		case ANN_KEY_NOT_NULL:
			break;
		case ANN_KEY_ANY_OF:
			for (int v = 0; v < key->nvalues; v++)
			{
				uint32		code = find_code(dictionary, column, &key->cmp, key->values[v], false);
				uint32		end = find_code(dictionary, column, &key->cmp, key->values[v], true);

				if (code == end)
					continue;
				if (count > 0 && ranges[count - 1].hi == code)
					ranges[count - 1].hi = end;
				else
				{
					ranges[count].lo = code;
					ranges[count++].hi = end;
				}
			}
			return count;
		case ANN_KEY_COMPARE:
			switch (key->strategy)
			{
				case BTLessStrategyNumber:
					range.hi = find_code(dictionary, column, &key->cmp, key->values[0], false);
					break;
				case BTLessEqualStrategyNumber:
					range.hi = find_code(dictionary, column, &key->cmp, key->values[0], true);
					break;
				case BTEqualStrategyNumber:
					range.lo = find_code(dictionary, column, &key->cmp, key->values[0], false);
					range.hi = find_code(dictionary, column, &key->cmp, key->values[0], true);
					break;
				case BTGreaterEqualStrategyNumber:
					range.lo = find_code(dictionary, column, &key->cmp, key->values[0], false);
					break;
				case BTGreaterStrategyNumber:
					range.lo = find_code(dictionary, column, &key->cmp, key->values[0], true);
					break;
				default:
					elog(ERROR, "unrecognized strategy number %d of a scalar column", key->strategy);
			}
			break;
		case ANN_KEY_ARRAY:
			elog(ERROR, "an array key on a scalar column");
	}
	if (range.lo < range.hi)
		ranges[count++] = range;
	return count;
}

/*
 * Two ascending lists of ranges into one, in place of the first.
 */
static int
intersect_ranges(CodeRange *a, int na, const CodeRange *b, int nb)
{
	CodeRange  *result = palloc(sizeof(CodeRange) * (na + nb + 1));
	int			count = 0;

	for (int i = 0, j = 0; i < na && j < nb;)
	{
		uint32		lo = Max(a[i].lo, b[j].lo);
		uint32		hi = Min(a[i].hi, b[j].hi);

		if (lo < hi)
		{
			result[count].lo = lo;
			result[count++].hi = hi;
		}
		if (a[i].hi < b[j].hi)
			i++;
		else
			j++;
	}
	memcpy(a, result, sizeof(CodeRange) * count);
	pfree(result);
	return count;
}

/*
 * The codes of an array key's elements.  False: no row matches.
 */
static bool
array_codes(AnnFilterKey *key, const AnnAttrColumn *column, Dictionary *dictionary, AnnCondition *condition)
{
	condition->array = true;
	condition->strategy = key->strategy;
	condition->has_null = key->has_null;
	condition->codes = palloc(sizeof(uint32) * Max(key->nvalues, 1));
	for (int v = 0; v < key->nvalues; v++)
	{
		uint32		code = find_code(dictionary, column, &key->cmp, key->values[v], false);

		if (code < find_code(dictionary, column, &key->cmp, key->values[v], true))
			condition->codes[condition->ncodes++] = code;
		else if (key->strategy == ANN_ARRAY_CONTAINS || key->strategy == ANN_ARRAY_EQUAL)
			return false;
	}
	return key->strategy != ANN_ARRAY_OVERLAPS || condition->ncodes > 0;
}

/*
 * Make the conditions of a filter on a segment.  False: no row matches (or the
 * source failed).
 */
static bool
make_conditions(AnnFilter *filter, AttrsSource *source, const AnnAttrHeader *headers,
				AnnCondition **conditions, int *nconditions)
{
	*nconditions = 0;
	*conditions = palloc0(sizeof(AnnCondition) * Max(filter->nkeys, 1));
	for (int k = 0; k < filter->nkeys; k++)
	{
		AnnFilterKey *key = &filter->keys[k];
		const AnnAttrColumn *column = &filter->attrs->columns[key->i];
		AnnCondition *condition = NULL;
		Dictionary	dictionary;
		bool		good;

		open_dictionary(&dictionary, source, &headers[key->i], column);
		if (key->kind == ANN_KEY_ARRAY)
		{
			condition = &(*conditions)[(*nconditions)++];
			condition->i = key->i;
			good = array_codes(key, column, &dictionary, condition);
		}
		else if (column->array)
		{
			/* IS NULL and IS NOT NULL of an array */
			condition = &(*conditions)[(*nconditions)++];
			condition->i = key->i;
			condition->array = true;
			condition->strategy = key->kind == ANN_KEY_IS_NULL ? InvalidStrategy : ANN_ARRAY_CONTAINS;
			good = true;
		}
		else
		{
			CodeRange  *ranges = palloc(sizeof(CodeRange) * (key->nvalues + 1));
			int			n = key_ranges(key, column, &dictionary, ranges);

			for (int c = 0; c < *nconditions; c++)
				if ((*conditions)[c].i == key->i && !(*conditions)[c].array)
					condition = &(*conditions)[c];
			if (condition == NULL)
			{
				condition = &(*conditions)[(*nconditions)++];
				condition->i = key->i;
				condition->ranges = ranges;
				condition->nranges = n;
			}
			else
			{
				CodeRange  *both = palloc(sizeof(CodeRange) * (condition->nranges + n + 1));

				memcpy(both, condition->ranges, sizeof(CodeRange) * condition->nranges);
				condition->nranges = intersect_ranges(both, condition->nranges, ranges, n);
				condition->ranges = both;
			}
			good = condition->nranges > 0;
		}
		close_dictionary(&dictionary);
		if (!good || source->failed)
			return false;
	}
	return true;
}

/*
 * Several ranges are tested by a table of codes where that is small.
 */
static void
make_tables(AnnCondition *conditions, int n, const AnnAttrHeader *headers)
{
	for (int c = 0; c < n; c++)
	{
		AnnCondition *condition = &conditions[c];
		const AnnAttrHeader *header = &headers[condition->i];

		if (condition->array || condition->nranges < 2 || header->code_bytes > 2)
			continue;
		condition->table = palloc0(header->ndistinct + 1);
		for (int r = 0; r < condition->nranges; r++)
			memset(condition->table + condition->ranges[r].lo, 1,
				   condition->ranges[r].hi - condition->ranges[r].lo);
	}
}

/* ---- testing rows ---- */

static inline bool
code_in_ranges(const AnnCondition *condition, uint32 code)
{
	int			low = 0;
	int			high = condition->nranges;

	if (condition->nranges == 1)
		return code - condition->ranges[0].lo < condition->ranges[0].hi - condition->ranges[0].lo;
	if (condition->table != NULL)
		return condition->table[code] != 0;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (code < condition->ranges[middle].lo)
			high = middle;
		else if (code >= condition->ranges[middle].hi)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

/* How many of a row's codes, ascending, are among the condition's. */
static int
count_common(const AnnCondition *condition, const char *codes, uint32 code_bytes, uint64 first, uint64 end)
{
	int			count = 0;
	int			low = 0;

	for (uint64 j = first; j < end && low < condition->ncodes; j++)
	{
		uint32		code = AnnAttrCode(codes, code_bytes, j);
		int			high = condition->ncodes;

		while (low < high)
		{
			int			middle = low + (high - low) / 2;

			if (condition->codes[middle] < code)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < condition->ncodes && condition->codes[low] == code)
			count++;
	}
	return count;
}

/* Whether an array row matches; its codes are first .. end - 1 of `codes`. */
static bool
array_matches(const AnnCondition *condition, const char *codes, uint32 code_bytes, uint64 first,
			  uint64 end, uint8 flags)
{
	if (condition->strategy == InvalidStrategy)
		return (flags & ANN_ARRAY_NULL) != 0;
	if (flags & ANN_ARRAY_NULL)
		return false;
	switch (condition->strategy)
	{
		case ANN_ARRAY_OVERLAPS:
			return count_common(condition, codes, code_bytes, first, end) > 0;
		case ANN_ARRAY_CONTAINS:
			return count_common(condition, codes, code_bytes, first, end) == condition->ncodes;
		case ANN_ARRAY_CONTAINED:
			return (flags & ANN_ARRAY_HAS_NULL) == 0 &&
				count_common(condition, codes, code_bytes, first, end) == (int) (end - first);
		case ANN_ARRAY_EQUAL:
			return ((flags & ANN_ARRAY_HAS_NULL) != 0) == condition->has_null &&
				end - first == (uint64) condition->ncodes &&
				count_common(condition, codes, code_bytes, first, end) == condition->ncodes;
		default:
			return false;
	}
}

static bool
row_matches(const AnnCondition *condition, const AnnAttrHeader *header, const char *base, uint32 row)
{
	const char *codes = base + header->codes;
	const uint64 *starts;

	if (!condition->array)
		return code_in_ranges(condition, AnnAttrCode(codes, header->code_bytes, row));
	starts = (const uint64 *) (base + header->starts);
	return array_matches(condition, codes, header->code_bytes, starts[row], starts[row + 1],
						 ((const uint8 *) (base + header->flags))[row]);
}

/* Bits of rows 0 .. n - 1 whose code is in one range. */
static void
range_mask(const char *codes, uint32 code_bytes, uint32 n, CodeRange range, uint64 *mask)
{
	if (code_bytes == 1)
		kernels->range_u8((const uint8 *) codes, n, (uint8) range.lo, (uint8) (range.hi - 1), mask);
	else if (code_bytes == 2)
		kernels->range_u16((const uint16 *) codes, n, (uint16) range.lo, (uint16) (range.hi - 1), mask);
	else
		kernels->range_u32((const uint32 *) codes, n, range.lo, range.hi - 1, mask);
}

/*
 * Bits of n rows that match a condition.  codes, starts and flags are those of
 * the first row on; starts are less `base_start`.
 */
static void
chunk_mask(const AnnCondition *condition, const AnnAttrHeader *header, const char *codes,
		   const uint64 *starts, uint64 base_start, const uint8 *flags, uint32 n, uint64 *mask)
{
	if (!condition->array && condition->nranges == 1)
	{
		range_mask(codes, header->code_bytes, n, condition->ranges[0], mask);
		return;
	}
	for (uint32 first = 0; first < n; first += 64)
	{
		uint64		word = 0;
		uint32		count = Min(64, n - first);

		for (uint32 b = 0; b < count; b++)
		{
			uint32		row = first + b;
			bool		match = condition->array
				? array_matches(condition, codes, header->code_bytes, starts[row] - base_start,
								starts[row + 1] - base_start, flags[row])
				: code_in_ranges(condition, AnnAttrCode(codes, header->code_bytes, row));

			word |= (uint64) match << b;
		}
		mask[first / 64] = word;
	}
}

bool
AnnSegmentFilterTest(const AnnSegmentFilter *filter, uint32 row)
{
	const AnnSegmentAttrs *attrs = filter->segment->handle->attrs;

	for (int c = 0; c < filter->nconditions; c++)
		if (!row_matches(&filter->conditions[c], &attrs->headers[filter->conditions[c].i], attrs->base, row))
			return false;
	return true;
}

/* ---- mapped segments: counting, listing, masking ---- */

typedef struct GuardedFilter
{
	AnnSegmentFilter *filter;
	const AnnSegmentAttrs *attrs;
	int			driver;			/* condition with the fewest rows */
	uint32	   *rows;
	uint32		nrows;
	uint64	   *mask;
	uint64	   *other;
	uint64		count;
} GuardedFilter;

static const uint64 *
posting_starts(const AnnSegmentAttrs *attrs, int i)
{
	return (const uint64 *) (attrs->index + attrs->postings[i].starts);
}

static const uint32 *
posting_list(const AnnSegmentAttrs *attrs, int i)
{
	return (const uint32 *) (attrs->index + attrs->postings[i].rows);
}

/* Rows that match each condition; of an array a bound. */
static void
guarded_count(void *arg)
{
	GuardedFilter *work = arg;
	uint32		n = work->filter->segment->handle->entry.rows;

	for (int c = 0; c < work->filter->nconditions; c++)
	{
		AnnCondition *condition = &work->filter->conditions[c];
		const uint64 *starts = posting_starts(work->attrs, condition->i);
		uint32		ndistinct = work->attrs->headers[condition->i].ndistinct;
		uint64		empty = starts[ndistinct + 1] - starts[ndistinct];

		condition->count = 0;
		if (!condition->array)
		{
			for (int r = 0; r < condition->nranges; r++)
				condition->count += starts[condition->ranges[r].hi] - starts[condition->ranges[r].lo];
			continue;
		}
		if (condition->strategy == InvalidStrategy)
			condition->count = starts[ndistinct + 2] - starts[ndistinct + 1];
		else if (condition->strategy == ANN_ARRAY_CONTAINS || condition->strategy == ANN_ARRAY_EQUAL)
		{
			condition->count = n - (starts[ndistinct + 2] - starts[ndistinct + 1]);
			if (condition->strategy == ANN_ARRAY_EQUAL && condition->ncodes == 0)
				condition->count = empty;
			for (int i = 0; i < condition->ncodes; i++)
				condition->count = Min(condition->count,
									   starts[condition->codes[i] + 1] - starts[condition->codes[i]]);
		}
		else
		{
			if (condition->strategy == ANN_ARRAY_CONTAINED)
				condition->count = empty;
			for (int i = 0; i < condition->ncodes; i++)
				condition->count += starts[condition->codes[i] + 1] - starts[condition->codes[i]];
			condition->count = Min(condition->count, n);
		}
	}
}

/* Set the bits of the rows of codes lo .. hi - 1. */
static void
set_posting_bits(const AnnSegmentAttrs *attrs, int i, uint32 lo, uint32 hi, uint64 *mask)
{
	const uint64 *starts = posting_starts(attrs, i);
	const uint32 *rows = posting_list(attrs, i);

	for (uint64 j = starts[lo]; j < starts[hi]; j++)
		mask[rows[j] / 64] |= UINT64CONST(1) << (rows[j] % 64);
}

/*
 * Bits of the rows that may match a condition, by its postings: those of a scalar
 * column and of && exactly, else more.
 */
static void
posting_mask(const AnnSegmentAttrs *attrs, const AnnCondition *condition, uint64 *mask)
{
	uint32		ndistinct = attrs->headers[condition->i].ndistinct;

	if (!condition->array)
	{
		for (int r = 0; r < condition->nranges; r++)
			set_posting_bits(attrs, condition->i, condition->ranges[r].lo, condition->ranges[r].hi, mask);
		return;
	}
	switch (condition->strategy)
	{
		case InvalidStrategy:
			set_posting_bits(attrs, condition->i, ndistinct + 1, ndistinct + 2, mask);
			break;
		case ANN_ARRAY_CONTAINS:
		case ANN_ARRAY_EQUAL:
			if (condition->ncodes > 0)
			{
				const uint64 *starts = posting_starts(attrs, condition->i);
				uint32		rarest = condition->codes[0];

				for (int i = 1; i < condition->ncodes; i++)
					if (starts[condition->codes[i] + 1] - starts[condition->codes[i]] <
						starts[rarest + 1] - starts[rarest])
						rarest = condition->codes[i];
				set_posting_bits(attrs, condition->i, rarest, rarest + 1, mask);
			}
			else if (condition->strategy == ANN_ARRAY_EQUAL)
				set_posting_bits(attrs, condition->i, ndistinct, ndistinct + 1, mask);
			else
				set_posting_bits(attrs, condition->i, 0, ndistinct + 1, mask);
			break;
		case ANN_ARRAY_CONTAINED:
			set_posting_bits(attrs, condition->i, ndistinct, ndistinct + 1, mask);
			/* FALLTHROUGH */
		default:
			for (int i = 0; i < condition->ncodes; i++)
				set_posting_bits(attrs, condition->i, condition->codes[i], condition->codes[i] + 1, mask);
			break;
	}
}

static bool
is_marked(const AnnSegmentFilter *filter, uint32 row)
{
	const uint64 *marks = filter->segment->marks;

	return marks != NULL && (marks[row / 64] >> (row % 64)) & 1;
}

/* Whether a row matches all conditions but the one it was found by. */
static bool
others_match(const GuardedFilter *work, uint32 row)
{
	const AnnSegmentFilter *filter = work->filter;

	for (int c = 0; c < filter->nconditions; c++)
	{
		const AnnCondition *condition = &filter->conditions[c];

		/* the postings of && and of scalars are exact */
		if (c == work->driver && (!condition->array || condition->strategy == ANN_ARRAY_OVERLAPS))
			continue;
		if (!row_matches(condition, &work->attrs->headers[condition->i], work->attrs->base, row))
			return false;
	}
	return true;
}

/* List the rows that match, found by the condition with the fewest, ascending. */
static void
guarded_list(void *arg)
{
	GuardedFilter *work = arg;
	const AnnSegmentFilter *filter = work->filter;
	const AnnCondition *driver = &filter->conditions[work->driver];

	work->nrows = 0;
	if (!driver->array && driver->nranges == 1 && driver->ranges[0].hi - driver->ranges[0].lo == 1)
	{
		/* the rows of one code are in order */
		const uint64 *starts = posting_starts(work->attrs, driver->i);
		const uint32 *rows = posting_list(work->attrs, driver->i);
		uint32		code = driver->ranges[0].lo;

		for (uint64 j = starts[code]; j < starts[code + 1]; j++)
			if (!is_marked(filter, rows[j]) && (filter->nconditions == 1 || others_match(work, rows[j])))
				work->rows[work->nrows++] = rows[j];
		return;
	}
	posting_mask(work->attrs, driver, work->mask);
	for (uint32 w = 0; w < SEGMENT_MARK_WORDS(filter->segment->handle->entry.rows); w++)
	{
		for (uint64 word = work->mask[w]; word != 0; word &= word - 1)
		{
			uint32		row = w * 64 + pg_rightmost_one_pos64(word);

			if (!is_marked(filter, row) && others_match(work, row))
				work->rows[work->nrows++] = row;
		}
	}
}

/* Make the mask of rows that do not match or are marked, and count those that do. */
static void
guarded_mask(void *arg)
{
	GuardedFilter *work = arg;
	const AnnSegmentFilter *filter = work->filter;
	const AnnSegmentAttrs *attrs = work->attrs;
	uint32		n = filter->segment->handle->entry.rows;
	uint32		words = SEGMENT_MARK_WORDS(n);

	for (int c = 0; c < filter->nconditions; c++)
	{
		const AnnCondition *condition = &filter->conditions[c];
		const AnnAttrHeader *header = &attrs->headers[condition->i];
		uint64	   *mask = c == 0 ? work->mask : work->other;
		bool		exact = !condition->array || condition->strategy == ANN_ARRAY_OVERLAPS;

		if (exact && condition->count < n / 64)
		{
			memset(mask, 0, sizeof(uint64) * words);
			posting_mask(attrs, condition, mask);
		}
		else
			chunk_mask(condition, header, attrs->base + header->codes,
					   (const uint64 *) (attrs->base + header->starts), 0,
					   (const uint8 *) (attrs->base + header->flags), n, mask);
		for (uint32 w = 0; c > 0 && w < words; w++)
			work->mask[w] &= mask[w];
	}
	work->count = 0;
	for (uint32 w = 0; w < words; w++)
	{
		uint64		match = work->mask[w];

		if (filter->segment->marks != NULL)
			match &= ~filter->segment->marks[w];
		if (w == words - 1 && n % 64 != 0)
			match &= (UINT64CONST(1) << (n % 64)) - 1;
		work->count += pg_popcount64(match);
		work->mask[w] = ~match;
	}
}

static uint64 *
alloc_mask(uint32 n, int flags)
{
	return MemoryContextAllocExtended(CurrentMemoryContext,
									  sizeof(uint64) * Max(SEGMENT_MARK_WORDS((uint64) n), 1),
									  MCXT_ALLOC_HUGE | flags);
}

bool
AnnSegmentFilterMask(AnnSegmentFilter *filter)
{
	uint32		n = filter->segment->handle->entry.rows;
	GuardedFilter work = {0};

	work.filter = filter;
	work.attrs = filter->segment->handle->attrs;
	work.mask = alloc_mask(n, 0);
	work.other = filter->nconditions > 1 ? alloc_mask(n, 0) : NULL;
	if (!SegmentGuardedCall(guarded_mask, &work))
		return false;
	if (work.other != NULL)
		pfree(work.other);
	filter->way = work.count == 0 ? ANN_FILTER_NONE : ANN_FILTER_MASK;
	filter->excluded = work.mask;
	filter->matches = work.count;
	filter->share = (double) work.count / Max(n, 1);
	return true;
}

/*
 * Few rows: list them.
 */
static bool
list_rows(AnnSegmentFilter *filter, int driver)
{
	const AnnCondition *condition = &filter->conditions[driver];
	GuardedFilter work = {0};

	work.filter = filter;
	work.attrs = filter->segment->handle->attrs;
	work.driver = driver;
	work.rows = palloc(sizeof(uint32) * Max(condition->count, 1));
	if (condition->array || condition->nranges != 1 ||
		condition->ranges[0].hi - condition->ranges[0].lo != 1)
		work.mask = alloc_mask(filter->segment->handle->entry.rows, MCXT_ALLOC_ZERO);
	if (!SegmentGuardedCall(guarded_list, &work))
		return false;
	if (work.mask != NULL)
		pfree(work.mask);
	filter->way = work.nrows == 0 ? ANN_FILTER_NONE : ANN_FILTER_ROWS;
	filter->rows = work.rows;
	filter->nrows = work.nrows;
	filter->matches = work.nrows;
	filter->share = (double) work.nrows / Max(filter->segment->handle->entry.rows, 1);
	return true;
}

/* ---- masks kept ---- */

/*
 * A filter is often that of the search before.  Its mask depends on the segment
 * and its marks only, so it is kept with the view, which stays while a scan uses
 * it.
 */
#define KEPT_MASKS 8
/* Conditions described by more bytes than this are not kept. */
#define MAX_MASK_KEY 4096

typedef struct AnnKeptMask
{
	Size		key_bytes;
	uint64	   *mask;			/* NULL: a free place */
	uint32	   *key;			/* behind the mask, in the same memory */
	uint64		count;
	uint64		used;			/* when, by the cache's clock */
	int			users;			/* scans */
} AnnKeptMask;

typedef struct AnnMaskCache
{
	uint64		clock;
	AnnKeptMask masks[KEPT_MASKS];
} AnnMaskCache;

void
AnnReleaseMask(struct AnnKeptMask *kept)
{
	Assert(kept->users > 0);
	kept->users--;
}

static void
free_mask(AnnKeptMask *kept)
{
	Assert(kept->users == 0);
	if (kept->mask == NULL)
		return;
	pfree(kept->mask);
	memset(kept, 0, sizeof(*kept));
}

void
AnnFreeMasks(AnnViewSegment *segment)
{
	if (segment->masks == NULL)
		return;
	for (int i = 0; i < KEPT_MASKS; i++)
		free_mask(&segment->masks->masks[i]);
	pfree(segment->masks);
	segment->masks = NULL;
}

/* The conditions as numbers: equal ones have equal masks.  Returns their bytes. */
static Size
mask_key(const AnnSegmentFilter *filter, uint32 *key)
{
	Size		n = 0;

	for (int c = 0; c < filter->nconditions; c++)
	{
		const AnnCondition *condition = &filter->conditions[c];
		Size		bytes = sizeof(CodeRange) * condition->nranges + sizeof(uint32) * condition->ncodes;

		if (sizeof(uint32) * (n + 6) + bytes > MAX_MASK_KEY)
			return 0;
		key[n++] = condition->i;
		key[n++] = condition->array;
		key[n++] = condition->strategy;
		key[n++] = condition->has_null;
		key[n++] = condition->nranges;
		key[n++] = condition->ncodes;
		if (condition->nranges > 0)
			memcpy(key + n, condition->ranges, sizeof(CodeRange) * condition->nranges);
		n += sizeof(CodeRange) / sizeof(uint32) * condition->nranges;
		if (condition->ncodes > 0)
			memcpy(key + n, condition->codes, sizeof(uint32) * condition->ncodes);
		n += condition->ncodes;
	}
	return n * sizeof(uint32);
}

static void
use_mask(AnnSegmentFilter *filter, AnnKeptMask *kept)
{
	kept->users++;
	kept->used = ++filter->segment->masks->clock;
	filter->kept = kept;
	filter->way = ANN_FILTER_MASK;
	filter->excluded = kept->mask;
	filter->matches = kept->count;
	filter->share = (double) kept->count / Max(filter->segment->handle->entry.rows, 1);
}

/* Take a kept mask; false when there is none. */
static bool
find_mask(AnnSegmentFilter *filter)
{
	AnnMaskCache *cache = filter->segment->masks;
	uint32		key[MAX_MASK_KEY / sizeof(uint32)];
	Size		bytes;

	if (cache == NULL)
		return false;
	bytes = mask_key(filter, key);
	for (int i = 0; i < KEPT_MASKS && bytes > 0; i++)
		if (cache->masks[i].mask != NULL && cache->masks[i].key_bytes == bytes &&
			memcmp(cache->masks[i].key, key, bytes) == 0)
		{
			use_mask(filter, &cache->masks[i]);
			return true;
		}
	return false;
}

/*
 * Make the mask, and keep it in the place of the one used longest ago.  False: the
 * mapping could not be read.
 */
static bool
make_mask(AnnSegmentFilter *filter)
{
	MemoryContext owner = GetMemoryChunkContext(filter->segment->handle);
	uint32		key[MAX_MASK_KEY / sizeof(uint32)];
	Size		bytes = mask_key(filter, key);
	Size		mask_bytes = sizeof(uint64) * Max(SEGMENT_MARK_WORDS((uint64) filter->segment->handle->entry.rows), 1);
	AnnKeptMask *place = NULL;
	AnnKeptMask made = {0};

	if (!AnnSegmentFilterMask(filter))
		return false;
	if (filter->way != ANN_FILTER_MASK || bytes == 0)
		return true;
	if (filter->segment->masks == NULL)
		filter->segment->masks = MemoryContextAllocZero(owner, sizeof(AnnMaskCache));
	for (int i = 0; i < KEPT_MASKS; i++)
	{
		AnnKeptMask *kept = &filter->segment->masks->masks[i];

		if (kept->users == 0 && (place == NULL || kept->used < place->used))
			place = kept;
	}
	if (place == NULL)
		return true;
	made.key_bytes = bytes;
	/* one piece of memory: an error leaves nothing behind in the view's context */
	made.mask = MemoryContextAllocHuge(owner, mask_bytes + bytes);
	memcpy(made.mask, filter->excluded, mask_bytes);
	made.key = (uint32 *) ((char *) made.mask + mask_bytes);
	memcpy(made.key, key, bytes);
	made.count = filter->matches;
	free_mask(place);
	*place = made;
	pfree((void *) filter->excluded);
	use_mask(filter, place);
	return true;
}

AnnSegmentFilter *
AnnFilterSegment(AnnFilter *filter, Relation index, AnnViewSegment *segment, uint32 ef, uint32 nprobe)
{
	AnnSegmentFilter *result = palloc0(sizeof(AnnSegmentFilter));
	const AnnSegmentHandle *handle = segment->handle;
	uint32		n = handle->entry.rows;
	AttrsSource source = {0};
	GuardedFilter work = {0};
	double		share = 1;
	int			driver = 0;

	result->segment = segment;
	result->way = ANN_FILTER_NONE;
	source.attrs = handle->attrs;
	if (n == 0 ||
		!make_conditions(filter, &source, handle->attrs->headers, &result->conditions, &result->nconditions))
		return source.failed ? NULL : result;
	make_tables(result->conditions, result->nconditions, handle->attrs->headers);

	work.filter = result;
	work.attrs = handle->attrs;
	if (!SegmentGuardedCall(guarded_count, &work))
		return NULL;
	for (int c = 0; c < result->nconditions; c++)
	{
		share *= (double) result->conditions[c].count / n;
		if (result->conditions[c].count < result->conditions[driver].count)
			driver = c;
	}
	result->share = share;
	result->matches = (uint64) ceil(share * n);
	if (result->conditions[driver].count == 0)
		return result;

	if (result->conditions[driver].count <= n * LIST_SHARE || result->conditions[driver].count < 1024)
	{
		if (!list_rows(result, driver))
			return NULL;
		if (result->way == ANN_FILTER_NONE ||
			result->nrows <= AnnRowsLimit(&handle->ann, ef, nprobe, result->share))
			return result;
	}
	else if (share >= AFTER_SHARE)
	{
		result->way = ANN_FILTER_AFTER;
		return result;
	}
	return find_mask(result) || make_mask(result) ? result : NULL;
}

const char *
AnnFilterWayName(uint32 ways)
{
	/* a part without a row that matches says nothing of how the others were searched */
	if (ways != 1u << ANN_FILTER_NONE)
		ways &= ~(1u << ANN_FILTER_NONE);
	switch (ways)
	{
		case 1u << ANN_FILTER_NONE:
			return "none";
		case 1u << ANN_FILTER_ROWS:
			return "exact";
		case 1u << ANN_FILTER_MASK:
			return "walk";
		case 1u << ANN_FILTER_AFTER:
			return "post";
		default:
			return "mixed";
	}
}

/* ---- segments that are not mapped ---- */

/* Some rows' part of a column. */
typedef struct ColumnChunk
{
	char	   *codes;
	Size		codes_capacity;
	uint64	   *starts;			/* ROW_CHUNK + 1 */
	uint8	   *flags;			/* ROW_CHUNK */
} ColumnChunk;

static void
report_segment_damage(Relation index)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("a segment of index \"%s\" is damaged", RelationGetRelationName(index)),
			 errhint("REINDEX the index.")));
}

/*
 * Read what rows first .. first + n - 1 have in a column, and check what is relied
 * on: it was read as it is on disk.
 */
static void
read_chunk(AttrsSource *source, const AnnAttrHeader *header, uint32 first, uint32 n, ColumnChunk *chunk)
{
	uint64		from = first;
	uint64		count = n;

	if (header->array)
	{
		if (!read_attrs(source, header->starts + sizeof(uint64) * (uint64) first,
						sizeof(uint64) * ((Size) n + 1), chunk->starts) ||
			!read_attrs(source, header->flags + first, n, chunk->flags))
			return;
		from = chunk->starts[0];
		if (!AnnAttrStartsGood(header, chunk->starts, n))
			report_segment_damage(source->reader.rel);
		count = chunk->starts[n] - from;
	}
	if (count * header->code_bytes > chunk->codes_capacity)
	{
		if (chunk->codes != NULL)
			pfree(chunk->codes);
		chunk->codes_capacity = count * header->code_bytes;
		chunk->codes = MemoryContextAllocHuge(CurrentMemoryContext, chunk->codes_capacity);
	}
	if (count > 0 &&
		!read_attrs(source, header->codes + header->code_bytes * from, header->code_bytes * count,
					chunk->codes))
		return;
	if (!AnnAttrCodesGood(header, chunk->codes, chunk->starts, n))
		report_segment_damage(source->reader.rel);
}

bool
AnnFilterBuffered(AnnFilter *filter, Relation index, const AnnViewSegment *segment, uint64 *excluded)
{
	const AnnSegmentHandle *handle = segment->handle;
	const SegmentSection *section = SegmentFindSection(&handle->header, ANN_SEC_ATTRS);
	uint32		n = handle->entry.rows;
	AttrsSource source = {0};
	AnnSegmentAttrs unmapped = {0};
	struct
	{
		AnnAttrsHeader head;
		AnnAttrHeader columns[INDEX_MAX_KEYS];
	}			headers;
	Size		header_bytes = sizeof(AnnAttrsHeader) + sizeof(AnnAttrHeader) * filter->attrs->n;
	ColumnChunk chunk = {0};
	AnnCondition *conditions;
	int			nconditions;
	int			ncolumns;
	uint64		mask[ROW_CHUNK / 64];

	source.attrs = &unmapped;
	source.reader.rel = index;
	source.reader.id = handle->entry.id;
	source.reader.start = handle->entry.start;
	source.reader.block = InvalidBlockNumber;
	source.offset = section->offset;
	if (!read_attrs(&source, 0, Min(header_bytes, section->bytes), &headers))
		return false;
	if (AnnAttrsCheckHeaders(&headers, Min(header_bytes, section->bytes), section->bytes, n, &ncolumns) == NULL ||
		ncolumns != filter->attrs->n)
		report_segment_damage(index);
	if (!make_conditions(filter, &source, headers.columns, &conditions, &nconditions))
	{
		SegmentReaderRelease(&source.reader);
		if (!source.failed)
			memset(excluded, 0xff, sizeof(uint64) * SEGMENT_MARK_WORDS((uint64) n));
		return !source.failed;
	}
	make_tables(conditions, nconditions, headers.columns);
	chunk.starts = palloc(sizeof(uint64) * (ROW_CHUNK + 1));
	chunk.flags = palloc(ROW_CHUNK);
	for (uint32 first = 0; first < n && !source.failed; first += ROW_CHUNK)
	{
		uint32		rows = Min(ROW_CHUNK, n - first);

		for (int c = 0; c < nconditions && !source.failed; c++)
		{
			const AnnAttrHeader *header = &headers.columns[conditions[c].i];

			read_chunk(&source, header, first, rows, &chunk);
			if (source.failed)
				break;
			chunk_mask(&conditions[c], header, chunk.codes, chunk.starts, header->array ? chunk.starts[0] : 0,
					   chunk.flags, rows, mask);
			for (uint32 w = 0; w < (rows + 63) / 64; w++)
				excluded[first / 64 + w] |= ~mask[w];
		}
	}
	SegmentReaderRelease(&source.reader);
	return !source.failed;
}
