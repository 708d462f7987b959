/*
 * column_decode.c
 *		The nodes of an encoded chunk, read.
 *
 * Stored bytes are never believed: every count is compared with what the node above asks for,
 * every code with its dictionary, every length with what is left.  Memory taken depends on the
 * number of values asked for, not on what is stored.
 */
#include "segment/column_internal.h"

/* The error of a node that does not fit what is asked of it. */
static void
corrupt(ColumnCursor *cursor)
{
	if (cursor->status == COLUMN_OK)
		cursor->status = COLUMN_CORRUPT;
}

/* ---- packed numbers ---- */

/* v[0 .. n - 1]: base plus numbers of so many bits at packed, of which `room` bytes may be read. */
static void
unpack_group(const uint8_t *packed, size_t room, uint32_t n, uint32_t bits, uint64_t base,
			 uint64_t *v)
{
	uint64_t	mask = bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1;
	uint32_t	i = 0;

	if (bits == 0)
	{
		for (; i < n; i++)
			v[i] = base;
		return;
	}
	/* a number of up to 57 bits lies within the eight bytes that begin with its first one */
	if (bits <= 57 && room >= 8)
	{
		uint64_t	last = (uint64_t) (room - 8) * 8 + 7;
		uint64_t	fit = last / bits + 1;

		for (uint32_t end = fit < n ? (uint32_t) fit : n; i < end; i++)
		{
			uint64_t	at = (uint64_t) i * bits;
			uint64_t	word;

			memcpy(&word, packed + at / 8, sizeof(word));
			v[i] = base + (word >> (at % 8) & mask);
		}
	}
	for (; i < n; i++)
	{
		uint64_t	at = (uint64_t) i * bits;
		uint32_t	shift = at % 8;
		uint64_t	x = 0;

		for (uint32_t b = 0; b * 8 < shift + bits; b++)
		{
			uint64_t	byte = packed[at / 8 + b];

			x |= b == 0 ? byte >> shift : byte << (b * 8 - shift);
		}
		v[i] = base + (x & mask);
	}
}

static void
narrow(const uint64_t *v, uint32_t n, uint32_t width, uint8_t *values)
{
#define NARROW(type) \
	for (uint32_t i = 0; i < n; i++) \
	{ \
		type		x = (type) v[i]; \
		memcpy(values + (size_t) i * sizeof(x), &x, sizeof(x)); \
	} \
	break

	switch (width)
	{
		case 1:
			NARROW(uint8_t);
		case 2:
			NARROW(uint16_t);
		case 4:
			NARROW(uint32_t);
		case 8:
			memcpy(values, v, (size_t) n * sizeof(uint64_t));
			break;
	}
#undef NARROW
}

static void
take_packed(ColumnCursor *cursor, uint8_t *values, uint32_t n, uint32_t width, bool sums)
{
	uint64_t	sum = 0;
	uint32_t	bytes;
	void	   *owned;
	const uint8_t *packed;
	size_t		at = 0;

	if (width != 1 && width != 2 && width != 4 && width != 8)
	{
		corrupt(cursor);
		return;
	}
	if (sums)
	{
		const uint8_t *before = ColumnTake(cursor, sizeof(sum));

		if (before == NULL)
			return;
		memcpy(&sum, before, sizeof(sum));
	}
	bytes = ColumnTakeNumber(cursor);
	if (bytes > (size_t) n * 8 + ((size_t) n / COLUMN_GROUP + 1) * 9)
	{
		corrupt(cursor);
		return;
	}
	packed = ColumnTakeBlockInPlace(cursor, bytes, &owned);
	if (packed == NULL)
		return;
	for (uint32_t first = 0; first < n; first += COLUMN_GROUP)
	{
		uint32_t	size = n - first < COLUMN_GROUP ? n - first : COLUMN_GROUP;
		uint64_t	v[COLUMN_GROUP];
		uint64_t	base;
		uint32_t	bits;

		if (bytes - at < 9)
			break;
		memcpy(&base, packed + at, sizeof(base));
		bits = packed[at + 8];
		at += 9;
		if (bits > 64 || bytes - at < ColumnPackedBytes(size, bits))
			break;
		unpack_group(packed + at, bytes - at, size, bits, base, v);
		at += ColumnPackedBytes(size, bits);
		if (sums)
		{
			for (uint32_t i = 0; i < size; i++)
				v[i] = sum += v[i];
		}
		narrow(v, size, width, values + (size_t) first * width);
		if (n - first <= COLUMN_GROUP)
		{
			/* the last one: all of it is read */
			if (at == bytes)
			{
				ColumnFree(cursor->memory, owned);
				return;
			}
			break;
		}
	}
	ColumnFree(cursor->memory, owned);
	corrupt(cursor);
}

/* ---- values of one width ---- */

/* n values from their codes; a code beyond the entries is damage. */
static void
look_up(ColumnCursor *cursor, const uint8_t *entries, uint32_t nentries, const uint8_t *codes,
		uint32_t n, uint32_t width, uint8_t *values)
{
	uint32_t	code_bytes = nentries <= 256 ? 1 : 2;
	uint32_t	largest = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		uint16_t	code = codes[(size_t) i * code_bytes];

		if (code_bytes == 2)
			memcpy(&code, codes + (size_t) i * 2, sizeof(code));
		largest = code > largest ? code : largest;
	}
	if (n > 0 && largest >= nentries)
	{
		corrupt(cursor);
		return;
	}
#define LOOK_UP(bytes) \
	for (uint32_t i = 0; i < n; i++) \
	{ \
		uint16_t	code = codes[(size_t) i * code_bytes]; \
		if (code_bytes == 2) \
			memcpy(&code, codes + (size_t) i * 2, sizeof(code)); \
		memcpy(values + (size_t) i * (bytes), entries + (size_t) code * (bytes), bytes); \
	} \
	break

	switch (width)
	{
		case 2:
			LOOK_UP(2);
		case 4:
			LOOK_UP(4);
		case 8:
			LOOK_UP(8);
		case 16:
			LOOK_UP(16);
		default:
			LOOK_UP(width);
	}
#undef LOOK_UP
}

/* The number of entries of a dictionary of n values. */
static uint32_t
take_entries(ColumnCursor *cursor, uint32_t n)
{
	uint32_t	entries = ColumnTakeNumber(cursor);

	if (entries == 0 || entries > n || entries > COLUMN_MAX_DICTIONARY)
		corrupt(cursor);
	return cursor->status == COLUMN_OK ? entries : 0;
}

static void
take_dictionary(ColumnCursor *cursor, uint8_t *values, uint32_t n, uint32_t width, int depth)
{
	uint32_t	nentries = take_entries(cursor, n);
	uint8_t    *entries = ColumnAlloc(cursor->memory, (size_t) nentries * width, &cursor->status);
	uint8_t    *codes = ColumnAlloc(cursor->memory, (size_t) n * 2, &cursor->status);

	if (codes != NULL)
	{
		ColumnTakeFixed(cursor, entries, nentries, width, depth + 1);
		ColumnTakeFixed(cursor, codes, n, nentries <= 256 ? 1 : 2, depth + 1);
		if (cursor->status == COLUMN_OK)
			look_up(cursor, entries, nentries, codes, n, width, values);
	}
	ColumnFree(cursor->memory, entries);
	ColumnFree(cursor->memory, codes);
}

/* One value n times; what is written doubles, so that small widths are as quick as large ones. */
static void
repeat(uint8_t *values, const uint8_t *value, size_t n, uint32_t width)
{
	size_t		bytes = n * width;
	size_t		done = width;

	if (bytes == 0)
		return;
	memcpy(values, value, width);
	while (done < bytes)
	{
		size_t		more = done < bytes - done ? done : bytes - done;

		/* pieces that stay in the nearest cache */
		if (more > 4096)
			more = 4096 / width > 0 ? 4096 / width * width : width;
		if (more > bytes - done)
			more = bytes - done;
		memcpy(values + done, values, more);
		done += more;
	}
}

static void
take_runs(ColumnCursor *cursor, uint8_t *values, uint32_t n, uint32_t width, int depth)
{
	uint32_t	runs = ColumnTakeNumber(cursor);
	uint8_t    *heads;
	uint32_t   *lengths;
	uint32_t	done = 0;

	if (runs > n || runs == 0)
		corrupt(cursor);
	heads = ColumnAlloc(cursor->memory, (size_t) runs * width, &cursor->status);
	lengths = ColumnAlloc(cursor->memory, (size_t) runs * sizeof(uint32_t), &cursor->status);
	if (lengths != NULL)
	{
		ColumnTakeFixed(cursor, heads, runs, width, depth + 1);
		ColumnTakeFixed(cursor, (uint8_t *) lengths, runs, sizeof(uint32_t), depth + 1);
		for (uint32_t run = 0; cursor->status == COLUMN_OK && run < runs; run++)
		{
			if (lengths[run] > n - done)
				corrupt(cursor);
			else
			{
				repeat(values + (size_t) done * width, heads + (size_t) run * width, lengths[run], width);
				done += lengths[run];
			}
		}
		if (done != n)
			corrupt(cursor);
	}
	ColumnFree(cursor->memory, heads);
	ColumnFree(cursor->memory, lengths);
}

static void
take_planes(ColumnCursor *cursor, uint8_t *elements, size_t n, uint32_t width)
{
	const uint8_t *planes[COLUMN_MAX_PLANES] = {NULL};
	void	   *owned[COLUMN_MAX_PLANES];
	uint32_t	taken = 0;

	if (width > COLUMN_MAX_PLANES)
	{
		corrupt(cursor);
		return;
	}
	for (; taken < width && cursor->status == COLUMN_OK; taken++)
		planes[taken] = ColumnTakeBlockInPlace(cursor, n, &owned[taken]);
	if (cursor->status == COLUMN_OK)
		ColumnJoin(planes, n, width, elements);
	for (uint32_t b = 0; b < taken; b++)
		ColumnFree(cursor->memory, owned[b]);
}

static void
take_decimals(ColumnCursor *cursor, uint8_t *values, uint32_t n, uint32_t width, int depth)
{
	uint32_t	digits = ColumnTakeByte(cursor);
	double		power = ColumnPowerOfTen(digits <= COLUMN_MAX_DIGITS ? digits : 0);
	int64_t    *integers;

	if (digits > COLUMN_MAX_DIGITS || (width != 4 && width != 8))
		corrupt(cursor);
	integers = ColumnAlloc(cursor->memory, (size_t) n * sizeof(int64_t), &cursor->status);
	if (integers == NULL)
		return;
	ColumnTakeFixed(cursor, (uint8_t *) integers, n, sizeof(int64_t), depth + 1);
	for (uint32_t i = 0; cursor->status == COLUMN_OK && i < n; i++)
	{
		double		x = (double) integers[i] / power;
		float		single = (float) x;

		if (width == 4)
			memcpy(values + (size_t) i * 4, &single, sizeof(single));
		else
			memcpy(values + (size_t) i * 8, &x, sizeof(x));
	}
	ColumnFree(cursor->memory, integers);
}

void
ColumnTakeFixed(ColumnCursor *cursor, uint8_t *values, uint32_t n, uint32_t width, int depth)
{
	uint8_t		encoding = ColumnTakeByte(cursor);
	const uint8_t *value;

	if (cursor->status != COLUMN_OK)
		return;
	if (depth > COLUMN_MAX_DEPTH)
	{
		corrupt(cursor);
		return;
	}
	switch (encoding)
	{
		case COLUMN_PLAIN:
			ColumnTakeBlock(cursor, values, (size_t) n * width);
			break;
		case COLUMN_CONSTANT:
			value = ColumnTake(cursor, width);
			if (value != NULL)
				repeat(values, value, n, width);
			break;
		case COLUMN_RUNS:
			take_runs(cursor, values, n, width, depth);
			break;
		case COLUMN_DICTIONARY:
			take_dictionary(cursor, values, n, width, depth);
			break;
		case COLUMN_PACKED:
			take_packed(cursor, values, n, width, false);
			break;
		case COLUMN_DELTA:
			take_packed(cursor, values, n, width, true);
			break;
		case COLUMN_PLANES:
			take_planes(cursor, values, n, width);
			break;
		case COLUMN_DECIMAL:
			take_decimals(cursor, values, n, width, depth);
			break;
		default:
			corrupt(cursor);
			break;
	}
}

/* ---- vectors ---- */

void
ColumnTakeVectors(ColumnCursor *cursor, uint8_t *values, uint32_t n, uint32_t width, uint32_t skip,
				  uint32_t element)
{
	const ColumnMemory *memory = cursor->memory;
	uint32_t	dim = width > skip ? (width - skip) / element : 0;
	size_t		elements = (size_t) n * dim;
	uint32_t	tail;
	uint8_t    *edges;
	const uint8_t *planes[4];
	void	   *owned[4] = {NULL};

	if (cursor->left == 0 || cursor->at[0] != COLUMN_PLANES || dim == 0)
	{
		ColumnTakeFixed(cursor, values, n, width, 0);
		return;
	}
	(void) ColumnTakeByte(cursor);
	tail = width - skip - dim * element;
	edges = ColumnAlloc(memory, (size_t) n * (skip + tail), &cursor->status);
	if (edges == NULL)
		return;
	if (skip + tail > 0)
		ColumnTakeFixed(cursor, edges, n, skip + tail, 1);
	for (uint32_t b = 0; b < element; b++)
		planes[b] = ColumnTakeBlockInPlace(cursor, elements, &owned[b]);
	for (uint32_t row = 0; cursor->status == COLUMN_OK && row < n; row++)
	{
		uint8_t    *value = values + (size_t) row * width;
		const uint8_t *edge = edges + (size_t) row * (skip + tail);
		const uint8_t *row_planes[4];

		for (uint32_t b = 0; b < element; b++)
			row_planes[b] = planes[b] + (size_t) row * dim;
		memcpy(value, edge, skip);
		ColumnJoin(row_planes, dim, element, value + skip);
		memcpy(value + width - tail, edge + skip, tail);
	}
	for (uint32_t b = 0; b < element; b++)
		ColumnFree(memory, owned[b]);
	ColumnFree(memory, edges);
}

/* ---- values of any length ---- */

/* n lengths that add up to *total, which is computed here. */
static void
take_lengths(ColumnCursor *cursor, uint32_t *lengths, uint32_t n, uint64_t *total)
{
	uint32_t	unit = ColumnTakeByte(cursor);

	*total = 0;
	ColumnTakeFixed(cursor, (uint8_t *) lengths, n, sizeof(uint32_t), 1);
	if (unit == 0)
		corrupt(cursor);
	for (uint32_t i = 0; cursor->status == COLUMN_OK && i < n; i++)
	{
		if (lengths[i] > UINT32_MAX / unit)
			corrupt(cursor);
		else
			lengths[i] *= unit;
		*total += lengths[i];
	}
}

/* Entries and codes; what an entry's bytes are copied to is checked by its length first. */
static void
take_variable_dictionary(ColumnCursor *cursor, uint8_t *values, size_t value_bytes,
						 uint32_t *lengths, uint32_t n)
{
	const ColumnMemory *memory = cursor->memory;
	uint32_t	nentries = take_entries(cursor, n);
	uint32_t   *entry_lengths = ColumnAlloc(memory, (size_t) nentries * sizeof(uint32_t), &cursor->status);
	uint32_t   *starts = ColumnAlloc(memory, (size_t) nentries * sizeof(uint32_t), &cursor->status);
	uint8_t    *codes = ColumnAlloc(memory, (size_t) n * 2, &cursor->status);
	const uint8_t *entries = NULL;
	void	   *owned = NULL;
	uint64_t	total = 0;

	if (codes != NULL)
	{
		take_lengths(cursor, entry_lengths, nentries, &total);
		/* every entry is somebody's value */
		if (total > value_bytes)
			corrupt(cursor);
		else
			entries = ColumnTakeBlockInPlace(cursor, (size_t) total, &owned);
		ColumnTakeFixed(cursor, codes, n, nentries <= 256 ? 1 : 2, 1);
	}
	if (cursor->status == COLUMN_OK)
	{
		size_t		done = 0;

		total = 0;
		for (uint32_t i = 0; i < nentries; i++)
		{
			starts[i] = (uint32_t) total;
			total += entry_lengths[i];
		}
		for (uint32_t i = 0; i < n; i++)
		{
			uint16_t	code = codes[i];
			uint32_t	length;

			if (nentries > 256)
				memcpy(&code, codes + (size_t) i * 2, sizeof(code));
			if (code >= nentries || (length = entry_lengths[code]) > value_bytes - done)
			{
				corrupt(cursor);
				break;
			}
			memcpy(values + done, entries + starts[code], length);
			lengths[i] = length;
			done += length;
		}
		if (done != value_bytes)
			corrupt(cursor);
	}
	ColumnFree(memory, owned);
	ColumnFree(memory, entry_lengths);
	ColumnFree(memory, starts);
	ColumnFree(memory, codes);
}

void
ColumnTakeVariable(ColumnCursor *cursor, uint8_t *values, size_t value_bytes, uint32_t *lengths,
				   uint32_t n, uint32_t element)
{
	uint8_t		encoding = ColumnTakeByte(cursor);
	uint64_t	total;

	if (cursor->status != COLUMN_OK)
		return;
	if (encoding == COLUMN_DICTIONARY)
	{
		take_variable_dictionary(cursor, values, value_bytes, lengths, n);
		return;
	}
	if (encoding != COLUMN_PLAIN)
	{
		corrupt(cursor);
		return;
	}
	take_lengths(cursor, lengths, n, &total);
	if (total != value_bytes)
		corrupt(cursor);
	encoding = ColumnTakeByte(cursor);
	if (cursor->status != COLUMN_OK)
		return;
	if (encoding == COLUMN_PLAIN)
		ColumnTakeBlock(cursor, values, value_bytes);
	else if (encoding == COLUMN_PLANES && element > 0 && value_bytes % element == 0)
		take_planes(cursor, values, value_bytes / element, element);
	else
		corrupt(cursor);
}
