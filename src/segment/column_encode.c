/*
 * column_encode.c
 *		The nodes of an encoded chunk: choosing an encoding, and writing it.
 *
 * The choice is made by counting, not by trying: sizes of runs and of packed numbers are computed
 * exactly in a pass each, distinct values are first counted in a sample, byte planes are estimated
 * by the entropy of a sample.  Only the winner, and where they may beat it the planes, are written.
 */
#include "segment/column_internal.h"

#include <math.h>

/* Rows whose distinct values are counted before a dictionary is tried. */
#define DICTIONARY_SAMPLE 1024

/* n values: of one width, or between offsets. */
typedef struct Items
{
	const uint8_t *values;
	const uint32_t *offsets;	/* NULL: fixed width */
	uint32_t	width;
	uint32_t	n;
} Items;

/* A dictionary under way: an open hash table of entries' numbers. */
typedef struct Dictionary
{
	uint32_t   *slots;			/* entry + 1; 0: free */
	uint32_t	mask;
	uint32_t   *rows;			/* the row that an entry was first seen in */
	uint32_t	entries;
	uint32_t	most;
} Dictionary;

/* ---- dictionaries ---- */

static inline const uint8_t *
item(const Items *items, uint32_t i, size_t *bytes)
{
	if (items->offsets == NULL)
	{
		*bytes = items->width;
		return items->values + (size_t) i * items->width;
	}
	*bytes = items->offsets[i + 1] - items->offsets[i];
	return items->values + items->offsets[i];
}

/* Words multiplied and folded: quick, and good enough for a table that is thrown away. */
static inline uint64_t
hash_bytes(const uint8_t *p, size_t n)
{
	uint64_t	hash = n * UINT64_C(0x9E3779B97F4A7C15);
	uint64_t	word;

	for (; n >= 8; n -= 8, p += 8)
	{
		memcpy(&word, p, 8);
		hash = (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, p, n);
	hash = (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
	hash ^= hash >> 32;
	hash *= UINT64_C(0xD6E8FEB86659FD93);
	return hash ^ hash >> 29;
}

static bool
dictionary_begin(Dictionary *dictionary, uint32_t most, ColumnWriter *writer)
{
	uint32_t	slots = 64;

	while (slots < 2 * most)
		slots *= 2;
	dictionary->mask = slots - 1;
	dictionary->entries = 0;
	dictionary->most = most;
	dictionary->slots = ColumnAlloc(writer->memory, slots * sizeof(uint32_t), &writer->status);
	dictionary->rows = ColumnAlloc(writer->memory, most * sizeof(uint32_t), &writer->status);
	if (dictionary->rows == NULL)
	{
		ColumnFree(writer->memory, dictionary->slots);
		return false;
	}
	memset(dictionary->slots, 0, slots * sizeof(uint32_t));
	return true;
}

static void
dictionary_end(Dictionary *dictionary, ColumnWriter *writer)
{
	ColumnFree(writer->memory, dictionary->slots);
	ColumnFree(writer->memory, dictionary->rows);
}

/* The code of a row's value; UINT32_MAX when there are too many of them. */
static inline uint32_t
dictionary_code(Dictionary *dictionary, const Items *items, uint32_t row)
{
	size_t		bytes;
	const uint8_t *value = item(items, row, &bytes);
	uint32_t	slot = (uint32_t) hash_bytes(value, bytes) & dictionary->mask;

	for (;; slot = (slot + 1) & dictionary->mask)
	{
		uint32_t	entry = dictionary->slots[slot];
		size_t		other_bytes;
		const uint8_t *other;

		if (entry == 0)
			break;
		other = item(items, dictionary->rows[entry - 1], &other_bytes);
		if (other_bytes == bytes && memcmp(other, value, bytes) == 0)
			return entry - 1;
	}
	if (dictionary->entries == dictionary->most)
		return UINT32_MAX;
	dictionary->rows[dictionary->entries++] = row;
	dictionary->slots[slot] = dictionary->entries;
	return dictionary->entries - 1;
}

/* Number of distinct values of a sample, and its size. */
static uint32_t
sample_distinct(const Items *items, uint32_t *sampled, ColumnWriter *writer)
{
	uint32_t	n = items->n < DICTIONARY_SAMPLE ? items->n : DICTIONARY_SAMPLE;
	Dictionary	dictionary;

	*sampled = n;
	if (!dictionary_begin(&dictionary, n, writer))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		(void) dictionary_code(&dictionary, items, (uint32_t) ((uint64_t) i * items->n / n));
	dictionary_end(&dictionary, writer);
	return dictionary.entries;
}

/*
 * Codes of all rows in *codes (2 bytes each) and the rows of the entries in *rows, both to be freed.
 * False, nothing to be freed, when there are more than `most` values.
 */
static bool
make_dictionary(const Items *items, uint32_t most, ColumnWriter *writer, uint16_t **codes,
				uint32_t **rows, uint32_t *entries)
{
	Dictionary	dictionary;
	bool		fits = true;

	*codes = ColumnAlloc(writer->memory, (size_t) items->n * sizeof(uint16_t), &writer->status);
	if (*codes == NULL)
		return false;
	if (!dictionary_begin(&dictionary, most, writer))
	{
		ColumnFree(writer->memory, *codes);
		return false;
	}
	for (uint32_t i = 0; i < items->n; i++)
	{
		uint32_t	code = dictionary_code(&dictionary, items, i);

		if (code == UINT32_MAX)
		{
			fits = false;
			break;
		}
		(*codes)[i] = (uint16_t) code;
	}
	*entries = dictionary.entries;
	ColumnFree(writer->memory, dictionary.slots);
	*rows = dictionary.rows;
	if (!fits)
	{
		ColumnFree(writer->memory, *codes);
		ColumnFree(writer->memory, *rows);
	}
	return fits;
}

/* Width of the codes of a dictionary. */
static uint32_t
code_width(uint32_t entries)
{
	return entries <= 256 ? 1 : 2;
}

static void
put_codes(ColumnWriter *writer, uint16_t *codes, uint32_t n, uint32_t entries, int depth)
{
	if (code_width(entries) == 1)
	{
		uint8_t    *bytes = (uint8_t *) codes;

		/* in place: byte i comes from bytes 2 i and 2 i + 1 */
		for (uint32_t i = 0; i < n; i++)
		{
			uint16_t	code;

			memcpy(&code, bytes + 2 * (size_t) i, sizeof(code));
			bytes[i] = (uint8_t) code;
		}
	}
	(void) ColumnPutFixed(writer, (const uint8_t *) codes, n, code_width(entries), COLUMN_UNSIGNED,
						  depth);
}

/*
 * Distinct values for which a dictionary of n values of so many bytes would be smaller than `best`
 * bytes; 0 when none.  Codes are taken for as wide as so many entries make them.
 */
static uint32_t
dictionary_limit(uint32_t n, double value_bytes, double best)
{
	uint32_t	limit = 0;

	for (uint32_t bits = 1; bits <= 16; bits++)
	{
		double		room = best - (double) n * bits / 8 - 32;
		double		entries = room / (value_bytes > 0 ? value_bytes : 1);

		if (entries > (double) (1u << (bits - 1)))
			limit = entries < (double) (1u << bits) ? (uint32_t) entries : 1u << bits;
	}
	return limit < n ? limit : n;
}

/* ---- packed numbers ---- */

/* Values widened to 64 bits; signed ones keep their value. */
static void
widen(const uint8_t *values, uint32_t n, uint32_t width, bool is_signed, uint64_t *wide)
{
#define WIDEN(type, signed_type) \
	for (uint32_t i = 0; i < n; i++) \
	{ \
		type		x; \
		memcpy(&x, values + (size_t) i * sizeof(x), sizeof(x)); \
		wide[i] = is_signed ? (uint64_t) (int64_t) (signed_type) x : x; \
	} \
	break

	switch (width)
	{
		case 1:
			WIDEN(uint8_t, int8_t);
		case 2:
			WIDEN(uint16_t, int16_t);
		case 4:
			WIDEN(uint32_t, int32_t);
		case 8:
			WIDEN(uint64_t, int64_t);
	}
#undef WIDEN
}

/* Base and bits of a group: what v[0 .. n - 1] are above their smallest.  turn: the sign bit of signed numbers. */
static inline uint32_t
group_bits(const uint64_t *v, uint32_t n, uint64_t turn, uint64_t *base)
{
	uint64_t	low = v[0] ^ turn;
	uint64_t	high = low;

	for (uint32_t i = 1; i < n; i++)
	{
		uint64_t	x = v[i] ^ turn;

		low = x < low ? x : low;
		high = x > high ? x : high;
	}
	*base = low ^ turn;
	return ColumnBitWidth(high - low);
}

#define SIGN_BIT (UINT64_C(1) << 63)

static inline uint32_t
group_size(uint32_t n, uint32_t first)
{
	return n - first < COLUMN_GROUP ? n - first : COLUMN_GROUP;
}

/* Bytes of n numbers packed by groups. */
static size_t
packed_bytes(const uint64_t *v, uint32_t n, uint64_t turn)
{
	size_t		bytes = 0;

	for (uint32_t first = 0; first < n; first += COLUMN_GROUP)
	{
		uint32_t	size = group_size(n, first);
		uint64_t	base;

		bytes += 9 + ColumnPackedBytes(size, group_bits(v + first, size, turn, &base));
	}
	return bytes;
}

/*
 * Groups of numbers: base (8 bytes), bits, and the numbers above it, least significant bits first.
 */
static void
put_packed(ColumnWriter *writer, const uint64_t *v, uint32_t n, uint64_t turn)
{
	size_t		bytes = packed_bytes(v, n, turn);
	/* whole words are written */
	uint8_t    *packed = ColumnAlloc(writer->memory, bytes + 8, &writer->status);
	uint8_t    *at = packed;

	if (packed == NULL)
		return;
	for (uint32_t first = 0; first < n; first += COLUMN_GROUP)
	{
		uint32_t	size = group_size(n, first);
		uint64_t	base;
		uint32_t	bits = group_bits(v + first, size, turn, &base);
		uint64_t	word = 0;
		uint32_t	filled = 0;
		uint8_t    *to = at + 9;

		memcpy(at, &base, sizeof(base));
		at[8] = (uint8_t) bits;
		at = to + ColumnPackedBytes(size, bits);
		for (uint32_t i = 0; bits > 0 && i < size; i++)
		{
			uint64_t	x = v[first + i] - base;

			word |= x << filled;
			filled += bits;
			if (filled >= 64)
			{
				memcpy(to, &word, sizeof(word));
				to += sizeof(word);
				filled -= 64;
				word = filled > 0 ? x >> (bits - filled) : 0;
			}
		}
		if (filled > 0)
			memcpy(to, &word, (filled + 7) / 8);
	}
	ColumnPutNumber(writer, (uint32_t) bytes);
	ColumnPutBlock(writer, packed, bytes, COLUMN_BLOCK_ANY);
	ColumnFree(writer->memory, packed);
}

/* ---- decimal numbers ---- */

/* Integers up to here are exact as doubles. */
#define EXACT_INTEGERS 9007199254740992.0

/*
 * The number m with value = m / power, if there is one that gives back every bit.  A quotient of two exact
 * numbers is rounded as the decimal text of the value is, so what was typed with few digits has one.
 */
static inline bool
decimal_of(const uint8_t *value, uint32_t width, double power, int64_t *m)
{
	double		x,
				scaled;
	float		single;

	if (width == 4)
	{
		memcpy(&single, value, sizeof(single));
		x = single;
	}
	else
		memcpy(&x, value, sizeof(x));
	scaled = x * power;
	/* not so of NaN */
	if (!(scaled < EXACT_INTEGERS && scaled > -EXACT_INTEGERS))
		return false;
	*m = llrint(scaled);
	x = (double) *m / power;
	single = (float) x;
	return memcmp(value, width == 4 ? (const void *) &single : (const void *) &x, width) == 0;
}

/* Integers of n floats and their common number of digits; false when there are none for some. */
static bool
decimals_of(const uint8_t *values, uint32_t n, uint32_t width, uint64_t *integers, uint32_t *digits)
{
	for (*digits = 0; *digits <= COLUMN_MAX_DIGITS; (*digits)++)
	{
		double		power = ColumnPowerOfTen(*digits);
		uint32_t	i = 0;
		int64_t		m;

		while (i < n && decimal_of(values + (size_t) i * width, width, power, &m))
			integers[i++] = (uint64_t) m;
		if (i == n)
			return true;
	}
	return false;
}

/* ---- byte planes ---- */

/* Estimated bytes of n elements as planes, each as it is or by its entropy. */
static double
planes_estimate(const uint8_t *elements, size_t n, uint32_t width)
{
	double		sum = 0;

	for (uint32_t b = 0; b < width; b++)
	{
		double		plane = ColumnEntropy(elements + b, n, width);

		sum += plane < (double) n * 15 / 16 ? plane : (double) n;
	}
	return sum;
}

/* A node of planes of n elements. */
static void
put_planes(ColumnWriter *writer, const uint8_t *elements, size_t n, uint32_t width,
		   ColumnBlockHint hint)
{
	uint8_t    *planes[COLUMN_MAX_PLANES];
	uint8_t    *memory = ColumnAlloc(writer->memory, n * width, &writer->status);

	if (memory == NULL)
		return;
	for (uint32_t b = 0; b < width; b++)
		planes[b] = memory + b * n;
	ColumnSplit(elements, n, width, planes);
	for (uint32_t b = 0; b < width; b++)
		ColumnPutBlock(writer, planes[b], n, hint);
	ColumnFree(writer->memory, memory);
}

/*
 * Bytes as they are, or as planes of `width` when that makes them smaller.  The encoding byte is
 * written here.
 */
static ColumnEncoding
put_bytes(ColumnWriter *writer, const uint8_t *bytes, size_t n, uint32_t width)
{
	if (width > 1 && width <= COLUMN_MAX_PLANES && n % width == 0 && n > 0 &&
		writer->options->compression != COLUMN_COMPRESS_NONE &&
		planes_estimate(bytes, n / width, width) < (double) n * 15 / 16)
	{
		size_t		before = writer->used;
		bool		compressed = writer->compressed;

		ColumnPutByte(writer, COLUMN_PLANES);
		put_planes(writer, bytes, n / width, width, COLUMN_BLOCK_PLANE);
		if (writer->status != COLUMN_OK || writer->used - before < n - n / 16)
			return COLUMN_PLANES;
		writer->used = before;
		writer->compressed = compressed;
	}
	ColumnPutByte(writer, COLUMN_PLAIN);
	ColumnPutBlock(writer, bytes, n, COLUMN_BLOCK_ANY);
	return COLUMN_PLAIN;
}

/* ---- values of one width ---- */

/* Rows whose value differs from the one before, and the first. */
static uint32_t
count_runs(const uint8_t *values, uint32_t n, uint32_t width)
{
	uint32_t	runs = 1;

#define COUNT(type) \
	for (uint32_t i = 1; i < n; i++) \
	{ \
		type		a, \
					b; \
		memcpy(&a, values + ((size_t) i - 1) * sizeof(a), sizeof(a)); \
		memcpy(&b, values + (size_t) i * sizeof(b), sizeof(b)); \
		runs += a != b; \
	} \
	return runs

	switch (width)
	{
		case 1:
			COUNT(uint8_t);
		case 2:
			COUNT(uint16_t);
		case 4:
			COUNT(uint32_t);
		case 8:
			COUNT(uint64_t);
	}
#undef COUNT
	for (uint32_t i = 1; i < n; i++)
		runs += memcmp(values + ((size_t) i - 1) * width, values + (size_t) i * width, width) != 0;
	return runs;
}

static void
put_runs(ColumnWriter *writer, const uint8_t *values, uint32_t n, uint32_t width, ColumnKind kind,
		 uint32_t runs, int depth)
{
	uint8_t    *heads = ColumnAlloc(writer->memory, (size_t) runs * width, &writer->status);
	uint32_t   *lengths = ColumnAlloc(writer->memory, (size_t) runs * sizeof(uint32_t),
									  &writer->status);
	uint32_t	run = 0;

	if (lengths == NULL)
	{
		ColumnFree(writer->memory, heads);
		return;
	}
	for (uint32_t i = 0; i < n; run++)
	{
		uint32_t	first = i;

		memcpy(heads + (size_t) run * width, values + (size_t) first * width, width);
		do
			i++;
		while (i < n && memcmp(values + (size_t) i * width, values + (size_t) first * width, width) == 0);
		lengths[run] = i - first;
	}
	ColumnPutNumber(writer, runs);
	(void) ColumnPutFixed(writer, heads, runs, width, kind, depth + 1);
	(void) ColumnPutFixed(writer, (const uint8_t *) lengths, runs, sizeof(uint32_t),
						  COLUMN_UNSIGNED, depth + 1);
	ColumnFree(writer->memory, heads);
	ColumnFree(writer->memory, lengths);
}

/* The node of a dictionary, if it has at most `most` entries; otherwise false, nothing written. */
static bool
put_fixed_dictionary(ColumnWriter *writer, const Items *items, uint32_t most, ColumnKind kind,
					 int depth)
{
	uint16_t   *codes;
	uint32_t   *rows;
	uint32_t	entries;
	uint8_t    *values;

	if (!make_dictionary(items, most, writer, &codes, &rows, &entries))
		return false;
	values = ColumnAlloc(writer->memory, (size_t) entries * items->width, &writer->status);
	if (values != NULL)
	{
		for (uint32_t i = 0; i < entries; i++)
			memcpy(values + (size_t) i * items->width,
				   items->values + (size_t) rows[i] * items->width, items->width);
		ColumnPutByte(writer, COLUMN_DICTIONARY);
		ColumnPutNumber(writer, entries);
		(void) ColumnPutFixed(writer, values, entries, items->width, kind, depth + 1);
		put_codes(writer, codes, items->n, entries, depth + 1);
		ColumnFree(writer->memory, values);
	}
	ColumnFree(writer->memory, codes);
	ColumnFree(writer->memory, rows);
	return true;
}

ColumnEncoding
ColumnPutFixed(ColumnWriter *writer, const uint8_t *values, uint32_t n, uint32_t width,
			   ColumnKind kind, int depth)
{
	size_t		bytes = (size_t) n * width;
	bool		number = (width == 1 || width == 2 || width == 4 || width == 8) && kind != COLUMN_FLOAT;
	bool		is_signed = kind == COLUMN_SIGNED;
	bool		deeper = depth < COLUMN_MAX_DEPTH - 1;
	uint32_t	digits = 0;
	ColumnEncoding encoding = COLUMN_PLAIN;
	size_t		best = bytes;
	uint32_t	runs;
	uint64_t   *wide = NULL;
	uint64_t   *differences = NULL;
	const size_t start = writer->used;
	const bool	compressed = writer->compressed;

	if (writer->status != COLUMN_OK)
		return COLUMN_PLAIN;
	if (n > 0 && memcmp(values, values + width, bytes - width) == 0)
	{
		ColumnPutByte(writer, COLUMN_CONSTANT);
		ColumnPut(writer, values, width);
		return COLUMN_CONSTANT;
	}
	if (n < 2 || width > COLUMN_MAX_PLANES)
	{
		ColumnPutByte(writer, COLUMN_PLAIN);
		ColumnPutBlock(writer, values, bytes, COLUMN_BLOCK_ANY);
		return COLUMN_PLAIN;
	}

	if (number)
	{
		wide = ColumnAlloc(writer->memory, (size_t) n * sizeof(uint64_t), &writer->status);
		differences = ColumnAlloc(writer->memory, (size_t) n * sizeof(uint64_t), &writer->status);
		if (differences != NULL)
		{
			size_t		packed,
						delta;

			widen(values, n, width, is_signed, wide);
			differences[0] = wide[1] - wide[0];
			for (uint32_t i = 1; i < n; i++)
				differences[i] = wide[i] - wide[i - 1];
			packed = packed_bytes(wide, n, is_signed ? SIGN_BIT : 0);
			delta = packed_bytes(differences, n, SIGN_BIT) + 8;
			if (packed < best)
			{
				best = packed;
				encoding = COLUMN_PACKED;
			}
			/* sums depend on each other: not for a little */
			if (delta < best - best / 8)
			{
				best = delta;
				encoding = COLUMN_DELTA;
			}
		}
	}
	else if (kind == COLUMN_FLOAT && (width == 4 || width == 8) && deeper)
	{
		wide = ColumnAlloc(writer->memory, (size_t) n * sizeof(uint64_t), &writer->status);
		if (wide != NULL && decimals_of(values, n, width, wide, &digits))
		{
			size_t		packed = packed_bytes(wide, n, SIGN_BIT);

			if (packed < best - best / 8)
			{
				best = packed;
				encoding = COLUMN_DECIMAL;
			}
		}
	}
	runs = count_runs(values, n, width);
	if (deeper && runs <= n / 2 && (size_t) runs * (width + 2) < best)
	{
		best = (size_t) runs * (width + 2);
		encoding = COLUMN_RUNS;
	}
	if (depth == 0 && width > 1)
	{
		Items		items = {values, NULL, width, n};
		uint32_t	limit = dictionary_limit(n, width, (double) (best - best / 16));
		uint32_t	sampled;

		if (limit > COLUMN_MAX_DICTIONARY)
			limit = COLUMN_MAX_DICTIONARY;
		if (limit > 0)
		{
			uint32_t	distinct = sample_distinct(&items, &sampled, writer);

			if (writer->status == COLUMN_OK && distinct <= limit && distinct <= sampled - sampled / 4 &&
				put_fixed_dictionary(writer, &items, limit, kind, depth))
				encoding = COLUMN_DICTIONARY;
		}
	}
	switch (encoding)
	{
		case COLUMN_DICTIONARY:
			break;				/* written above */
		case COLUMN_RUNS:
			ColumnPutByte(writer, COLUMN_RUNS);
			put_runs(writer, values, n, width, kind, runs, depth);
			break;
		case COLUMN_DECIMAL:
			ColumnPutByte(writer, COLUMN_DECIMAL);
			ColumnPutByte(writer, (uint8_t) digits);
			(void) ColumnPutFixed(writer, (const uint8_t *) wide, n, sizeof(int64_t), COLUMN_SIGNED,
								  depth + 1);
			break;
		case COLUMN_PACKED:
			ColumnPutByte(writer, COLUMN_PACKED);
			put_packed(writer, wide, n, is_signed ? SIGN_BIT : 0);
			break;
		case COLUMN_DELTA:
			{
				uint64_t	before = wide != NULL && differences != NULL ? wide[0] - differences[0] : 0;

				ColumnPutByte(writer, COLUMN_DELTA);
				ColumnPut(writer, &before, sizeof(before));
				put_packed(writer, differences, n, SIGN_BIT);
				break;
			}
		default:
			ColumnPutByte(writer, COLUMN_PLAIN);
			ColumnPutBlock(writer, values, bytes, COLUMN_BLOCK_ANY);
			break;
	}
	ColumnFree(writer->memory, wide);
	ColumnFree(writer->memory, differences);

	/* planes instead, when what was written is more than a byte a value and they may be smaller */
	if (writer->status == COLUMN_OK && width > 1 &&
		writer->options->compression != COLUMN_COMPRESS_NONE)
	{
		size_t		written = writer->used - start;

		if (written > n && planes_estimate(values, n, width) < (double) (written - written / 16))
		{
			size_t		middle = writer->used;
			bool		was_compressed = writer->compressed;

			writer->compressed = compressed;
			ColumnPutByte(writer, COLUMN_PLANES);
			put_planes(writer, values, n, width, COLUMN_BLOCK_ANY);
			if (writer->status == COLUMN_OK && writer->used - middle < written - written / 16)
			{
				memmove(writer->data + start, writer->data + middle, writer->used - middle);
				writer->used = start + (writer->used - middle);
				return COLUMN_PLANES;
			}
			writer->used = middle;
			writer->compressed = was_compressed;
		}
	}
	return encoding;
}

/* ---- vectors ---- */

/*
 * Elements as planes, and what is before and after them (the edges) once if it is the same in all
 * rows.
 */
ColumnEncoding
ColumnPutVectors(ColumnWriter *writer, const uint8_t *values, uint32_t n, uint32_t width,
				 uint32_t skip, uint32_t element)
{
	const ColumnMemory *memory = writer->memory;
	uint32_t	dim = width > skip ? (width - skip) / element : 0;
	uint32_t	tail = width - skip - dim * element;
	size_t		elements = (size_t) n * dim;
	double		estimate = 0;
	uint8_t    *edges;
	uint8_t    *planes[4];
	uint8_t    *plane_memory;

	if (writer->status != COLUMN_OK)
		return COLUMN_PLAIN;
	/* planes are estimated from rows all over the chunk: whole ones, so that no place is missed */
	if (dim > 0 && n > 1 && writer->options->compression != COLUMN_COMPRESS_NONE)
	{
		uint32_t	rows = n < 8 ? n : 8;

		for (uint32_t i = 0; i < rows; i++)
			estimate += planes_estimate(values + (size_t) ((uint64_t) i * n / rows) * width + skip,
										dim, element) / rows;
	}
	else
		estimate = (double) width;
	if (dim == 0 || n < 2 || estimate >= (double) dim * element * 15 / 16 ||
		memcmp(values, values + width, (size_t) (n - 1) * width) == 0)
		return ColumnPutFixed(writer, values, n, width, COLUMN_BYTES, 0);

	edges = ColumnAlloc(memory, (size_t) n * (skip + tail), &writer->status);
	plane_memory = ColumnAlloc(memory, elements * element, &writer->status);
	if (plane_memory == NULL)
	{
		ColumnFree(memory, edges);
		return COLUMN_PLAIN;
	}
	for (uint32_t row = 0; row < n; row++)
	{
		const uint8_t *value = values + (size_t) row * width;
		uint8_t    *edge = edges + (size_t) row * (skip + tail);

		memcpy(edge, value, skip);
		memcpy(edge + skip, value + width - tail, tail);
		for (uint32_t b = 0; b < element; b++)
			planes[b] = plane_memory + b * elements + (size_t) row * dim;
		ColumnSplit(value + skip, dim, element, planes);
	}
	ColumnPutByte(writer, COLUMN_PLANES);
	if (skip + tail > 0)
		(void) ColumnPutFixed(writer, edges, n, skip + tail, COLUMN_BYTES, 1);
	for (uint32_t b = 0; b < element; b++)
		ColumnPutBlock(writer, plane_memory + b * elements, elements, COLUMN_BLOCK_PLANE);
	ColumnFree(memory, edges);
	ColumnFree(memory, plane_memory);
	return COLUMN_PLANES;
}

/* ---- values of any length ---- */

/* Lengths as numbers, in units of `align` where all of them are multiples of it. */
static void
put_lengths(ColumnWriter *writer, const uint32_t *offsets, uint32_t n, uint32_t align)
{
	uint32_t   *lengths = ColumnAlloc(writer->memory, (size_t) n * sizeof(uint32_t), &writer->status);
	uint32_t	unit = align;

	if (lengths == NULL)
		return;
	for (uint32_t i = 0; i < n; i++)
	{
		lengths[i] = offsets[i + 1] - offsets[i];
		if (lengths[i] % align != 0)
			unit = 1;
	}
	for (uint32_t i = 0; unit > 1 && i < n; i++)
		lengths[i] /= unit;
	ColumnPutByte(writer, (uint8_t) unit);
	(void) ColumnPutFixed(writer, (const uint8_t *) lengths, n, sizeof(uint32_t), COLUMN_UNSIGNED, 1);
	ColumnFree(writer->memory, lengths);
}

static bool
put_variable_dictionary(ColumnWriter *writer, const Items *items, uint32_t most, uint32_t align)
{
	const ColumnMemory *memory = writer->memory;
	uint16_t   *codes;
	uint32_t   *rows;
	uint32_t	entries;
	uint32_t   *offsets;
	uint8_t    *values;

	if (!make_dictionary(items, most, writer, &codes, &rows, &entries))
		return false;
	offsets = ColumnAlloc(memory, ((size_t) entries + 1) * sizeof(uint32_t), &writer->status);
	if (offsets != NULL)
	{
		size_t		bytes;

		offsets[0] = 0;
		for (uint32_t i = 0; i < entries; i++)
		{
			(void) item(items, rows[i], &bytes);
			offsets[i + 1] = offsets[i] + (uint32_t) bytes;
		}
		values = ColumnAlloc(memory, offsets[entries], &writer->status);
		if (values != NULL)
		{
			for (uint32_t i = 0; i < entries; i++)
			{
				const uint8_t *value = item(items, rows[i], &bytes);

				memcpy(values + offsets[i], value, bytes);
			}
			ColumnPutByte(writer, COLUMN_DICTIONARY);
			ColumnPutNumber(writer, entries);
			put_lengths(writer, offsets, entries, align);
			ColumnPutBlock(writer, values, offsets[entries], COLUMN_BLOCK_ANY);
			put_codes(writer, codes, items->n, entries, 1);
			ColumnFree(memory, values);
		}
		ColumnFree(memory, offsets);
	}
	ColumnFree(memory, codes);
	ColumnFree(memory, rows);
	return true;
}

ColumnEncoding
ColumnPutVariable(ColumnWriter *writer, const uint8_t *values, const uint32_t *offsets, uint32_t n,
				  uint32_t align, uint32_t element)
{
	Items		items = {values, offsets, 0, n};
	size_t		bytes = offsets[n];

	if (writer->status != COLUMN_OK)
		return COLUMN_PLAIN;
	if (n > 1 && element == 0)
	{
		uint32_t	sampled;
		uint32_t	distinct = sample_distinct(&items, &sampled, writer);

		/* strings that repeat but not much are left to the compression */
		if (writer->status == COLUMN_OK && distinct <= sampled / 2)
		{
			uint32_t	limit = dictionary_limit(n, (double) bytes / n + 2, (double) bytes / 2 + n);

			if (limit > COLUMN_MAX_DICTIONARY)
				limit = COLUMN_MAX_DICTIONARY;
			if (limit > 0 && put_variable_dictionary(writer, &items, limit, align))
				return COLUMN_DICTIONARY;
		}
	}
	ColumnPutByte(writer, COLUMN_PLAIN);
	put_lengths(writer, offsets, n, align);
	return put_bytes(writer, values, bytes, element);
}
