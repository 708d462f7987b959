/*
 * anncondition.c
 *		From scan keys on scalar columns to conditions on a segment's codes, and
 *		whether a row meets one.
 *
 * A segment's codes are numbered in the order of their values, so that a
 * comparison is a range of codes, found by binary search in the dictionary.  The
 * dictionary is copied, or read value by value: comparisons are functions of the
 * server and run outside the guard.  Testing a row reads only codes, and may run
 * under it (segment/guard.c): it allocates nothing and calls nothing of the server.
 */
#include "postgres.h"

#include "am/ann/annfilter_internal.h"
#include "kernels/kernels.h"
#include "utils/memutils.h"

/* Largest dictionary that is copied for the time of a scan. */
#define COPY_DICTIONARY (64 * 1024)

/* ---- reading a segment ---- */

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

bool
AnnReadSource(AnnAttrsSource *source, uint64 offset, Size bytes, void *to)
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
	AnnAttrsSource *source;
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
open_dictionary(Dictionary *dictionary, AnnAttrsSource *source, const AnnAttrHeader *header,
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
		if (!AnnReadSource(source, header->values, header->values_bytes, dictionary->values))
			return;
		if (header->places != 0)
		{
			Size		bytes = sizeof(uint64) * ((Size) header->ndistinct + 1);

			dictionary->places = palloc(bytes);
			(void) AnnReadSource(source, header->places, bytes, dictionary->places);
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
		(void) AnnReadSource(dictionary->source, header->values + sizeof(Datum) * (uint64) code,
						  sizeof(Datum), &value);
		return value;
	}
	if (dictionary->values != NULL)
		memcpy(places, &dictionary->places[code], sizeof(places));
	else if (!AnnReadSource(dictionary->source, header->places + sizeof(uint64) * (uint64) code,
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
	if (!AnnReadSource(dictionary->source, header->values + places[0], places[1] - places[0],
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
key_ranges(AnnFilterKey *key, const AnnAttrColumn *column, Dictionary *dictionary, AnnCodeRange *ranges)
{
	uint32		n = dictionary->header->ndistinct;
	int			count = 0;
	AnnCodeRange	range = {0, n};

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
intersect_ranges(AnnCodeRange *a, int na, const AnnCodeRange *b, int nb)
{
	AnnCodeRange *result = palloc(sizeof(AnnCodeRange) * (na + nb + 1));
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
	memcpy(a, result, sizeof(AnnCodeRange) * count);
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

bool
AnnMakeConditions(AnnFilter *filter, AnnAttrsSource *source, const AnnAttrHeader *headers,
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
			AnnCodeRange *ranges = palloc(sizeof(AnnCodeRange) * (key->nvalues + 1));
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
				AnnCodeRange *both = palloc(sizeof(AnnCodeRange) * (condition->nranges + n + 1));

				memcpy(both, condition->ranges, sizeof(AnnCodeRange) * condition->nranges);
				condition->nranges = intersect_ranges(both, condition->nranges, ranges, n);
				condition->ranges = both;
			}
			good = condition->nranges > 0;
		}
		close_dictionary(&dictionary);
		if (!good || source->failed)
			return false;
	}
	make_tables(*conditions, *nconditions, headers);
	return true;
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

bool
AnnConditionMatches(const AnnCondition *condition, const AnnAttrHeader *header, const char *base, uint32 row)
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
range_mask(const char *codes, uint32 code_bytes, uint32 n, AnnCodeRange range, uint64 *mask)
{
	if (code_bytes == 1)
		kernels->range_u8((const uint8 *) codes, n, (uint8) range.lo, (uint8) (range.hi - 1), mask);
	else if (code_bytes == 2)
		kernels->range_u16((const uint16 *) codes, n, (uint16) range.lo, (uint16) (range.hi - 1), mask);
	else
		kernels->range_u32((const uint32 *) codes, n, range.lo, range.hi - 1, mask);
}

void
AnnConditionMask(const AnnCondition *condition, const AnnAttrHeader *header, const char *codes,
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

	if (filter->allowed)
		return !((filter->excluded[row / 64] >> (row % 64)) & 1);
	for (int c = 0; c < filter->nconditions; c++)
		if (!AnnConditionMatches(&filter->conditions[c], &attrs->headers[filter->conditions[c].i], attrs->base, row))
			return false;
	return true;
}
