/*
 * annfilterseg.c
 *		Which rows of a segment meet the conditions on scalar columns, and by which
 *		way that is applied.
 *
 * The rows by code tell at once how many match each condition (anncondition.c).
 * From the counts follows the way: few matching rows are listed and compared one
 * by one, more become a mask, and nearly all are searched as if there was no
 * condition.
 *
 * What reads a mapping runs under guard (segment/guard.c): it allocates nothing
 * and calls nothing of the server.
 */
#include "postgres.h"

#include <math.h>

#include "am/ann/annfilter_internal.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

/* Rows handled at a time when codes are read through the buffers. */
#define ROW_CHUNK 8192
/* Lists of matching rows are made up to this share of a segment's rows. */
#define LIST_SHARE 0.05
/* From this share on, rows are tested when they are found. */
#define AFTER_SHARE 0.8

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
		if (!AnnConditionMatches(condition, &work->attrs->headers[condition->i], work->attrs->base, row))
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
			AnnConditionMask(condition, header, attrs->base + header->codes,
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
		Size		bytes = sizeof(AnnCodeRange) * condition->nranges + sizeof(uint32) * condition->ncodes;

		if (sizeof(uint32) * (n + 6) + bytes > MAX_MASK_KEY)
			return 0;
		key[n++] = condition->i;
		key[n++] = condition->array;
		key[n++] = condition->strategy;
		key[n++] = condition->has_null;
		key[n++] = condition->nranges;
		key[n++] = condition->ncodes;
		if (condition->nranges > 0)
			memcpy(key + n, condition->ranges, sizeof(AnnCodeRange) * condition->nranges);
		n += sizeof(AnnCodeRange) / sizeof(uint32) * condition->nranges;
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
	AnnAttrsSource source = {0};
	GuardedFilter work = {0};
	double		share = 1;
	int			driver = 0;

	result->segment = segment;
	result->way = ANN_FILTER_NONE;
	source.attrs = handle->attrs;
	if (n == 0 ||
		!AnnMakeConditions(filter, &source, handle->attrs->headers, &result->conditions, &result->nconditions))
		return source.failed ? NULL : result;

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
read_chunk(AnnAttrsSource *source, const AnnAttrHeader *header, uint32 first, uint32 n, ColumnChunk *chunk)
{
	uint64		from = first;
	uint64		count = n;

	if (header->array)
	{
		if (!AnnReadSource(source, header->starts + sizeof(uint64) * (uint64) first,
						sizeof(uint64) * ((Size) n + 1), chunk->starts) ||
			!AnnReadSource(source, header->flags + first, n, chunk->flags))
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
		!AnnReadSource(source, header->codes + header->code_bytes * from, header->code_bytes * count,
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
	AnnAttrsSource source = {0};
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
	if (!AnnReadSource(&source, 0, Min(header_bytes, section->bytes), &headers))
		return false;
	if (AnnAttrsCheckHeaders(&headers, Min(header_bytes, section->bytes), section->bytes, n, &ncolumns) == NULL ||
		ncolumns != filter->attrs->n)
		report_segment_damage(index);
	if (!AnnMakeConditions(filter, &source, headers.columns, &conditions, &nconditions))
	{
		SegmentReaderRelease(&source.reader);
		if (!source.failed)
			memset(excluded, 0xff, sizeof(uint64) * SEGMENT_MARK_WORDS((uint64) n));
		return !source.failed;
	}
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
			AnnConditionMask(&conditions[c], header, chunk.codes, chunk.starts, header->array ? chunk.starts[0] : 0,
					   chunk.flags, rows, mask);
			for (uint32 w = 0; w < (rows + 63) / 64; w++)
				excluded[first / 64 + w] |= ~mask[w];
		}
	}
	SegmentReaderRelease(&source.reader);
	return !source.failed;
}
