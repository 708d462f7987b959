/*
 * test_column.c
 *		Encoded column chunks: what is decoded is what was encoded, and damage is noticed.
 *
 * The decoded form is compared with the view itself, in arrays that end where they should.
 */
#include <stdlib.h>

#include "check.h"
#include "segment/column.h"
#include "segment/column_internal.h"

/* ---- memory that counts, and fails on demand ---- */

static long live;				/* allocations not yet freed */
static long allocations;
static long fail_at = -1;		/* the allocation that fails; -1: none */

static void *
test_alloc(void *context, size_t bytes)
{
	if (allocations++ == fail_at)
		return NULL;
	live++;
	return malloc(bytes);
}

static void
test_free(void *context, void *p)
{
	live--;
	free(p);
}

static const ColumnMemory memory = {test_alloc, test_free, NULL};

/* Exactly so many bytes, for the sanitizers' sake. */
static void *
exact(size_t bytes)
{
	void	   *p = malloc(bytes);

	if (p == NULL)
		abort();
	return p;
}

/* ---- columns ---- */

/* A column to encode; pointers are malloc'd. */
typedef struct Column
{
	ColumnView	view;
	ColumnShape shape;
} Column;

static void
column_free(Column *column)
{
	free((void *) column->view.nulls);
	free((void *) column->view.values);
	free((void *) column->view.offsets);
}

/* Which rows are null. */
typedef enum Nulls
{
	NULLS_NONE,
	NULLS_NO_ROW,				/* a bitmap without a bit */
	NULLS_SOME,
	NULLS_MOST,
	NULLS_ALL,
	N_NULLS
} Nulls;

static void
add_nulls(Column *column, Nulls nulls, CheckRandom *r)
{
	uint32_t	rows = column->view.rows;
	uint32_t	offset = (uint32_t) (CheckRandomBits(r) >> 20) % 19;
	uint8_t    *bits;

	if (nulls == NULLS_NONE)
		return;
	bits = exact((offset + rows + 7) / 8);
	/* bits before and after are somebody else's */
	memset(bits, 0xa5, (offset + rows + 7) / 8);
	for (uint32_t i = 0; i < rows; i++)
	{
		uint32_t	any = (uint32_t) (CheckRandomBits(r) >> 32) % 100;
		bool		null = nulls == NULLS_ALL || (nulls == NULLS_SOME && any < 10) ||
			(nulls == NULLS_MOST && any < 97);
		uint32_t	bit = offset + i;

		bits[bit / 8] = (uint8_t) ((bits[bit / 8] & ~(1u << bit % 8)) | (unsigned) null << bit % 8);
	}
	column->view.nulls = bits;
	column->view.null_offset = offset;
}

/* Encode, decode, compare.  *codec: the name, if asked for. */
static void
check_round_trip(const Column *column, const ColumnCodecOptions *options, const char **codec,
				 size_t *stored_bytes)
{
	const ColumnView *view = &column->view;
	ColumnChunkFacts facts;
	void	   *out = NULL;
	void	   *stored;
	size_t		bytes = 0;
	size_t		value_bytes = 0;
	uint8_t    *nulls;
	uint8_t    *values;
	uint32_t   *offsets;
	bool		any_null = false;
	size_t		wrong = 0;

	for (uint32_t i = 0; i < view->rows; i++)
	{
		any_null = any_null || ColumnIsNull(view, i);
		if (view->width == 0 && !ColumnIsNull(view, i))
			value_bytes += view->offsets[i + 1] - view->offsets[i];
	}
	if (view->width > 0)
		value_bytes = (size_t) view->rows * view->width;

	REQUIRE(ColumnEncode(view, &column->shape, options, &memory, &out, &bytes) == COLUMN_OK);
	CHECK(live == 1);
	stored = exact(bytes);
	memcpy(stored, out, bytes);
	test_free(NULL, out);
	CHECK(bytes < value_bytes + value_bytes / 32 + view->rows / 8 + 512);
	CHECK(ColumnInspect(stored, bytes, &facts) == COLUMN_OK);
	CHECK(facts.rows == view->rows && facts.width == view->width && facts.has_nulls == any_null);
	REQUIRE(facts.value_bytes == value_bytes);

	nulls = any_null ? exact((view->rows + 7) / 8) : NULL;
	values = exact(value_bytes);
	offsets = view->width == 0 ? exact(((size_t) view->rows + 1) * sizeof(uint32_t)) : NULL;
	memset(values, 0x77, value_bytes);
	CHECK(ColumnDecode(stored, bytes, &memory, nulls, values, offsets) == COLUMN_OK);
	CHECK(live == 0);
	if (offsets != NULL)
		CHECK(offsets[0] == 0);
	for (uint32_t i = 0; i < view->rows; i++)
	{
		bool		null = ColumnIsNull(view, i);

		if (nulls != NULL)
			wrong += (nulls[i / 8] >> (i % 8) & 1) != null;
		if (view->width > 0)
		{
			if (!null)
				wrong += memcmp(values + (size_t) i * view->width, view->values + (size_t) i * view->width,
								view->width) != 0;
			else
			{
				for (uint32_t b = 0; b < view->width; b++)
					wrong += values[(size_t) i * view->width + b] != 0;
			}
		}
		else
		{
			uint32_t	length = null ? 0 : view->offsets[i + 1] - view->offsets[i];

			if (offsets[i + 1] - offsets[i] != length ||
				memcmp(values + offsets[i], view->values + view->offsets[i], length) != 0)
				wrong++;
		}
	}
	/* bits past the last row */
	if (nulls != NULL && view->rows % 8 != 0)
		CHECK(nulls[view->rows / 8] >> (view->rows % 8) == 0);
	CHECK(wrong == 0);
	if (codec != NULL)
		*codec = ColumnCodecName(stored, bytes);
	if (stored_bytes != NULL)
		*stored_bytes = bytes;
	free(stored);
	free(nulls);
	free(values);
	free(offsets);
}

static const ColumnCodecOptions every_option[] = {
	{COLUMN_COMPRESS_NONE, 0}, {COLUMN_COMPRESS_LZ4, 0}, {COLUMN_COMPRESS_ZSTD, 0},
	{COLUMN_COMPRESS_ZSTD, 1}, {COLUMN_COMPRESS_ZSTD, 12}, {COLUMN_COMPRESS_ZSTD, -5},
};

#define N_OPTIONS (sizeof(every_option) / sizeof(every_option[0]))

static const uint32_t every_size[] = {0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 511, 512, 513, 1025, 8191, 8192};

#define N_SIZES (sizeof(every_size) / sizeof(every_size[0]))

/* What numbers are like: shapes that call for the different encodings. */
typedef enum Pattern
{
	PATTERN_ZERO,
	PATTERN_CONSTANT,
	PATTERN_RANDOM,
	PATTERN_SMALL,				/* few bits above a base */
	PATTERN_AROUND_ZERO,		/* small, of both signs */
	PATTERN_RUNS,
	PATTERN_ASCENDING,
	PATTERN_DESCENDING,
	PATTERN_FEW,				/* distinct values, far apart */
	PATTERN_MANY,				/* more than 256 distinct values */
	PATTERN_OUTLIER,
	PATTERN_ENDS,				/* of the type */
	N_PATTERNS
} Pattern;

static uint64_t
number_of(Pattern pattern, uint32_t i, CheckRandom *r)
{
	uint64_t	any = CheckRandomBits(r);

	switch (pattern)
	{
		case PATTERN_ZERO:
			return 0;
		case PATTERN_CONSTANT:
			return UINT64_C(0xfedcba9876543210);
		case PATTERN_RANDOM:
			return any;
		case PATTERN_SMALL:
			return UINT64_C(0x7000000000001234) + (any >> 40) % 100;
		case PATTERN_AROUND_ZERO:
			return (any >> 40) % 41 - 20;
		case PATTERN_RUNS:
			return (i / 61) * UINT64_C(0x9E3779B97F4A7C15);
		case PATTERN_ASCENDING:
			return UINT64_C(1700000000000000) + i * 1000ULL + (any >> 40) % 10;
		case PATTERN_DESCENDING:
			return (uint64_t) 0 - i * 7ULL;
		case PATTERN_FEW:
			return ((any >> 40) % 11) * UINT64_C(0x9E3779B97F4A7C15);
		case PATTERN_MANY:
			return ((any >> 40) % 700) * UINT64_C(0x9E3779B97F4A7C15);
		case PATTERN_OUTLIER:
			return i == 77 ? UINT64_MAX / 3 : any % 4;
		case PATTERN_ENDS:
			return any & 1 ? UINT64_MAX : any & 2 ? UINT64_C(1) << 63 : any & 4 ? INT64_MAX : 0;
		default:
			return 0;
	}
}

static Column
make_numbers(uint32_t rows, uint32_t width, ColumnKind kind, Pattern pattern, Nulls nulls, CheckRandom *r)
{
	uint8_t    *values = exact((size_t) rows * width);
	Column		column = {{.rows = rows, .width = width}, {.width = width, .align = 1, .kind = kind}};

	column.view.values = values;
	add_nulls(&column, nulls, r);
	for (uint32_t i = 0; i < rows; i++)
	{
		uint64_t	x = number_of(pattern, i, r);

		for (uint32_t b = 0; b < width; b += 8)
			memcpy(values + (size_t) i * width + b, &x, width - b < 8 ? width - b : 8);
		if (ColumnIsNull(&column.view, i))
			memset(values + (size_t) i * width, 0, width);
	}
	return column;
}

/* Every width and kind, of every pattern, with every kind of nulls and option at some size. */
static void
test_numbers(void)
{
	static const struct
	{
		uint32_t	width;
		ColumnKind	kind;
	}			types[] = {
		{1, COLUMN_SIGNED}, {2, COLUMN_SIGNED}, {4, COLUMN_SIGNED}, {8, COLUMN_SIGNED},
		{1, COLUMN_UNSIGNED}, {2, COLUMN_UNSIGNED}, {4, COLUMN_UNSIGNED}, {8, COLUMN_UNSIGNED},
		{4, COLUMN_FLOAT}, {8, COLUMN_FLOAT}, {1, COLUMN_BYTES}, {3, COLUMN_BYTES}, {6, COLUMN_BYTES},
		{8, COLUMN_BYTES}, {12, COLUMN_BYTES}, {16, COLUMN_BYTES}, {64, COLUMN_BYTES},
		{65, COLUMN_BYTES}, {300, COLUMN_BYTES},
	};
	CheckRandom r = {1};
	size_t		turn = 0;

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
	{
		for (int pattern = 0; pattern < N_PATTERNS; pattern++)
		{
			for (size_t s = 0; s < N_SIZES; s++)
			{
				uint32_t	rows = types[t].width > 64 ? every_size[s] % 700 : every_size[s];
				Column		column = make_numbers(rows, types[t].width, types[t].kind, pattern,
												  turn % N_NULLS, &r);

				check_round_trip(&column, &every_option[turn / N_NULLS % N_OPTIONS], NULL, NULL);
				column_free(&column);
				turn++;
			}
		}
	}
}

/* Floats with few digits, and what looks like them: the same bits again, whatever they are. */
static void
test_decimals(void)
{
	CheckRandom r = {13};

	for (int odd = 0; odd < 9; odd++)
	{
		for (int digits = 0; digits <= 10; digits++)
		{
			for (uint32_t width = 4; width <= 8; width += 4)
			{
				const double odd_ones[] = {0, -0.0, NAN, INFINITY, -INFINITY, 1e300, 9007199254740993.0, 1e-300, -9.5e18};
				Column		column = make_numbers(777, width, COLUMN_FLOAT, PATTERN_ZERO, digits % 2 ? NULLS_SOME : NULLS_NONE, &r);
				const char *codec = "";
				size_t		bytes;
				bool		exact_in_type = width == 8 ? digits <= 8 : digits <= 3;

				for (uint32_t i = 0; i < 777; i++)
				{
					/* as PostgreSQL reads them: from text */
					int64_t		m = (int64_t) (CheckRandomBits(&r) >> 44) % (width == 8 ? 1000000 : 10000);
					char		text[40];
					double		x;
					float		single;

					snprintf(text, sizeof(text), "%s%lld.%0*lld", i % 5 == 0 && m > 0 ? "-" : "", (long long) m,
							 digits > 0 ? digits : 1, digits > 0 ? (long long) (m * 7 % (digits < 4 ? 10 : 1000)) : 0);
					x = strtod(text, NULL);
					single = strtof(text, NULL);
					if (odd > 0 && i == 400)
					{
						x = odd_ones[odd];
						single = (float) odd_ones[odd];
					}
					memcpy((uint8_t *) column.view.values + (size_t) i * width, width == 8 ? (void *) &x : (void *) &single, width);
				}
				check_round_trip(&column, &every_option[odd % N_OPTIONS], &codec, &bytes);
				if (odd == 0 && exact_in_type)
					CHECK(strncmp(codec, "decimal", 7) == 0 && bytes < 777 * width * 4 / 5);
				if (odd >= 1 && odd <= 4 && !ColumnIsNull(&column.view, 400))
					CHECK(strncmp(codec, "decimal", 7) != 0);
				column_free(&column);
			}
		}
	}
}

/* Numbers of every number of bits, in the last group too; around a base, and growing by them. */
static void
test_every_number_of_bits(void)
{
	static const ColumnCodecOptions none = {COLUMN_COMPRESS_NONE, 0};
	CheckRandom r = {12};

	for (uint32_t bits = 0; bits <= 64; bits++)
	{
		for (int growing = 0; growing < 2; growing++)
		{
			for (uint32_t rows = 505; rows <= 520; rows++)
			{
				Column		column = make_numbers(rows, 8, growing ? COLUMN_SIGNED : COLUMN_UNSIGNED,
												  PATTERN_ZERO, NULLS_NONE, &r);
				uint64_t	sum = UINT64_C(0x123456789abcdef0);

				for (uint32_t i = 0; i < rows; i++)
				{
					uint64_t	x = bits == 0 ? 0 : CheckRandomBits(&r) >> (64 - bits);

					sum += x;
					x = growing ? sum : x + 1000;
					memcpy((uint8_t *) column.view.values + (size_t) i * 8, &x, 8);
				}
				check_round_trip(&column, &none, NULL, NULL);
				column_free(&column);
			}
		}
	}
}

/* ---- vectors ---- */

static uint16_t
half_of(float x)
{
	uint32_t	bits;

	/* normal numbers of a middling size only, cut off */
	memcpy(&bits, &x, 4);
	return (uint16_t) ((bits >> 16 & 0x8000) | (((bits >> 23 & 255) - 112) & 31) << 10 | (bits >> 13 & 0x3ff));
}

/* Rows of a vector datum: length, dim, elements, padding to `width`. */
static Column
make_vectors(uint32_t rows, uint32_t dim, uint32_t width, ColumnKind kind, bool coarse, Nulls nulls,
			 CheckRandom *r)
{
	Column		column = {{.rows = rows, .width = width}, {.width = width, .align = 4, .kind = kind, .skip = 8}};
	uint8_t    *values = exact((size_t) rows * width);

	column.view.values = values;
	memset(values, 0, (size_t) rows * width);
	add_nulls(&column, nulls, r);
	for (uint32_t row = 0; row < rows; row++)
	{
		uint8_t    *value = values + (size_t) row * width;
		uint32_t	head[2] = {width * 4, dim};

		if (ColumnIsNull(&column.view, row))
			continue;
		memcpy(value, head, 8);
		for (uint32_t i = 0; i < dim; i++)
		{
			float		x = (float) (CheckRandomDouble(r, -1, 1) + CheckRandomDouble(r, -1, 1));
			uint16_t	half = half_of(x);

			if (coarse)
			{
				uint32_t	bits;

				memcpy(&bits, &x, 4);
				bits &= 0xffffe000;
				memcpy(&x, &bits, 4);
			}
			if (kind == COLUMN_FLOAT_VECTOR)
				memcpy(value + 8 + 4 * i, &x, 4);
			else
				memcpy(value + 8 + 2 * i, &half, 2);
		}
	}
	return column;
}

static void
test_vectors(void)
{
	static const uint32_t dims[] = {1, 2, 3, 16, 100, 768};
	CheckRandom r = {2};
	size_t		turn = 0;

	for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
	{
		for (uint32_t padding = 0; padding < 8; padding++)
		{
			for (int kind = COLUMN_FLOAT_VECTOR; kind <= COLUMN_HALF_VECTOR; kind++)
			{
				uint32_t	element = kind == COLUMN_FLOAT_VECTOR ? 4 : 2;
				uint32_t	rows = (uint32_t[]) {0, 1, 2, 5, 60, 257}[turn % 6];
				Column		column = make_vectors(rows, dims[d], 8 + dims[d] * element + padding, kind,
												  turn % 2, turn % N_NULLS, &r);

				for (size_t o = 0; o < N_OPTIONS; o++)
					check_round_trip(&column, &every_option[o], NULL, NULL);
				column_free(&column);
				turn++;
			}
		}
	}
	/* header bytes that fill the value, or are odd */
	for (uint32_t skip = 0; skip <= 12; skip++)
	{
		Column		column = make_vectors(50, 1, 12, COLUMN_FLOAT_VECTOR, false, skip % N_NULLS, &r);

		column.shape.skip = skip;
		check_round_trip(&column, &every_option[2], NULL, NULL);
		column_free(&column);
	}
}

/* ---- values of any length ---- */

static Column
make_texts(uint32_t rows, uint32_t distinct, uint32_t longest, uint32_t align, uint32_t from, ColumnKind kind,
		   Nulls nulls, bool null_bytes, CheckRandom *r)
{
	static const char *const words[] = {"segment", "column", "of", "the", "vector", "a", "index", "row",
		"page", "growing", "sealed", "list", "is", "and", "code", "to"};
	Column		column = {{.rows = rows}, {.align = align, .kind = kind}};
	uint32_t   *offsets = exact(((size_t) rows + 1) * sizeof(uint32_t));
	uint8_t    *values = exact((size_t) rows * (longest + align) + from);
	uint32_t	at = from;

	add_nulls(&column, nulls, r);
	memset(values, 0x11, from);
	offsets[0] = from;
	for (uint32_t row = 0; row < rows; row++)
	{
		CheckRandom which = {((CheckRandomBits(r) >> 30) % distinct + 1) * UINT64_C(0x9E3779B97F4A7C15)};
		uint32_t	length = (uint32_t) ((CheckRandomBits(&which) >> 30) % (longest + 1));
		uint32_t	done = 0;

		if (!ColumnIsNull(&column.view, row) || null_bytes)
		{
			while (done < length)
			{
				const char *word = words[(CheckRandomBits(&which) >> 30) % 16];
				size_t		n = strlen(word);

				if (n > length - done)
					n = length - done;
				memcpy(values + at + done, word, n);
				done += (uint32_t) n;
			}
			at += length;
			while (at % align != 0)
				values[at++] = 0;
		}
		offsets[row + 1] = at;
	}
	column.view.values = realloc(values, at > 0 ? at : 1);
	column.view.offsets = offsets;
	return column;
}

static void
test_texts(void)
{
	static const uint32_t distinct[] = {1, 2, 200, 300, 5000, 1000000000};
	CheckRandom r = {3};
	size_t		turn = 0;

	for (size_t d = 0; d < sizeof(distinct) / sizeof(distinct[0]); d++)
	{
		for (uint32_t align = 1; align <= 8; align *= 2)
		{
			for (size_t s = 0; s < N_SIZES; s++)
			{
				for (uint32_t longest = 0; longest <= 40; longest += 20)
				{
					Column		column = make_texts(every_size[s], distinct[d], longest, align,
													turn % 3 * 8, turn % 7 < 4 ? COLUMN_BYTES : COLUMN_FLOAT_VECTOR,
													turn % N_NULLS, turn % 11 == 0, &r);

					check_round_trip(&column, &every_option[turn % N_OPTIONS], NULL, NULL);
					column_free(&column);
					turn++;
				}
			}
		}
	}
}

/* ---- the choice ---- */

static void
test_choice_of_encodings(void)
{
	static const ColumnCodecOptions none = {COLUMN_COMPRESS_NONE, 0};
	static const ColumnCodecOptions zstd = {COLUMN_COMPRESS_ZSTD, 0};
	static const struct
	{
		Pattern		pattern;
		ColumnKind	kind;
		const char *codec;
		size_t		most;		/* bytes of 8192 numbers of 8 bytes */
	}			cases[] = {
		{PATTERN_CONSTANT, COLUMN_SIGNED, "constant", 64},
		{PATTERN_SMALL, COLUMN_SIGNED, "bit-packed", 8192 * 7 / 8 + 300},
		{PATTERN_AROUND_ZERO, COLUMN_SIGNED, "bit-packed", 8192 * 6 / 8 + 300},
		{PATTERN_RUNS, COLUMN_FLOAT, "run-length", 8192 / 61 * 10 + 200},
		{PATTERN_ASCENDING, COLUMN_SIGNED, "delta", 8192 * 5 / 8 + 300},
		{PATTERN_DESCENDING, COLUMN_SIGNED, "delta", 300},
		{PATTERN_FEW, COLUMN_SIGNED, "dictionary", 8192 * 4 / 8 + 500},
		{PATTERN_FEW, COLUMN_FLOAT, "dictionary", 8192 * 4 / 8 + 500},
		{PATTERN_MANY, COLUMN_BYTES, "dictionary", 8192 * 10 / 8 + 700 * 8 + 500},
		{PATTERN_RANDOM, COLUMN_SIGNED, "plain", 8192 * 8 + 100},
		{PATTERN_OUTLIER, COLUMN_SIGNED, "dictionary", 8192 * 3 / 8 + 300},
	};
	CheckRandom r = {4};
	const char *codec = "";
	size_t		bytes = 0;
	Column		column;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		column = make_numbers(8192, 8, cases[i].kind, cases[i].pattern, NULLS_NONE, &r);
		check_round_trip(&column, &none, &codec, &bytes);
		CHECK(strcmp(codec, cases[i].codec) == 0);
		CHECK(bytes <= cases[i].most);
		check_round_trip(&column, &zstd, &codec, &bytes);
		CHECK(strncmp(codec, cases[i].codec, strlen(cases[i].codec)) == 0);
		CHECK(bytes <= cases[i].most);
		column_free(&column);
	}
	/* texts: few of them, and none like another */
	column = make_texts(8192, 20, 30, 1, 0, COLUMN_BYTES, NULLS_NONE, false, &r);
	check_round_trip(&column, &zstd, &codec, &bytes);
	CHECK(strncmp(codec, "dictionary", 10) == 0 && bytes < 8192);
	column_free(&column);
	column = make_texts(8192, 1000000000, 60, 1, 0, COLUMN_BYTES, NULLS_NONE, false, &r);
	check_round_trip(&column, &zstd, &codec, &bytes);
	CHECK(strcmp(codec, "plain+zstd") == 0 && bytes < (size_t) 8192 * 30 / 2);
	column_free(&column);
	/* vectors: exponents only, and of float16-exact ones nearly half */
	column = make_vectors(300, 768, 8 + 768 * 4, COLUMN_FLOAT_VECTOR, false, NULLS_NONE, &r);
	check_round_trip(&column, &zstd, &codec, &bytes);
	CHECK(strcmp(codec, "transposed+zstd") == 0 && bytes < 300 * 768 * 4 * 88 / 100);
	column_free(&column);
	column = make_vectors(300, 768, 8 + 768 * 4, COLUMN_FLOAT_VECTOR, true, NULLS_NONE, &r);
	check_round_trip(&column, &zstd, &codec, &bytes);
	CHECK(strcmp(codec, "transposed+zstd") == 0 && bytes < 300 * 768 * 4 / 2);
	column_free(&column);
}

/* ---- errors ---- */

static void
test_damage_is_noticed(void)
{
	static const ColumnCodecOptions zstd = {COLUMN_COMPRESS_ZSTD, 0};
	CheckRandom r = {5};

	for (int pattern = 0; pattern < N_PATTERNS; pattern++)
	{
		Column		column = pattern % 3 == 0 ?
			make_texts(600, 9, 30, 4, 0, COLUMN_BYTES, NULLS_SOME, false, &r) :
			make_numbers(600, 8, COLUMN_SIGNED, pattern, NULLS_SOME, &r);
		void	   *out;
		size_t		bytes;
		ColumnChunkFacts facts;

		REQUIRE(ColumnEncode(&column.view, &column.shape, &zstd, &memory, &out, &bytes) == COLUMN_OK);
		for (int round = 0; round < 300; round++)
		{
			uint8_t    *copy = exact(bytes);
			size_t		at = (CheckRandomBits(&r) >> 20) % bytes;
			size_t		cut = (CheckRandomBits(&r) >> 20) % bytes;

			memcpy(copy, out, bytes);
			copy[at] ^= (uint8_t) (1 + (CheckRandomBits(&r) >> 20) % 255);
			CHECK(ColumnInspect(copy, bytes, &facts) == COLUMN_CORRUPT);
			free(copy);
			copy = exact(cut);
			memcpy(copy, out, cut);
			CHECK(ColumnInspect(copy, cut, &facts) == COLUMN_CORRUPT);
			free(copy);
		}
		test_free(NULL, out);
		column_free(&column);
	}
	CHECK(live == 0);
}

/* CRC-32C a bit at a time. */
static uint32_t
slow_checksum(const uint8_t *p, size_t n)
{
	uint32_t	crc = UINT32_MAX;

	while (n-- > 0)
	{
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (crc >> 1) ^ UINT32_C(0x82F63B78) : crc >> 1;
	}
	return ~crc;
}

static void
test_checksum(void)
{
	CheckRandom r = {8};
	uint8_t		bytes[200];

	CHECK(ColumnChecksum("123456789", 9) == UINT32_C(0xE3069283));
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t) (CheckRandomBits(&r) >> 40);
	for (size_t n = 0; n <= 100; n++)
	{
		for (size_t from = 0; from < 9; from++)
			CHECK(ColumnChecksum(bytes + from, n) == slow_checksum(bytes + from, n));
	}
}

/* Encode without compression into a copy with `room` zero bytes more. */
static uint8_t *
encode_plainly(const Column *column, size_t room, size_t *bytes)
{
	static const ColumnCodecOptions none = {COLUMN_COMPRESS_NONE, 0};
	void	   *out = NULL;
	uint8_t    *copy;

	if (ColumnEncode(&column->view, &column->shape, &none, &memory, &out, bytes) != COLUMN_OK)
		abort();
	copy = exact(*bytes + room);
	memset(copy, 0, *bytes + room);
	memcpy(copy, out, *bytes);
	test_free(NULL, out);
	return copy;
}

/* What a chunk of at most 1000 rows of at most 8000 bytes says, its checksum put right. */
static ColumnStatus
decode_changed(uint8_t *stored, size_t bytes)
{
	static uint8_t nulls[200],
				values[8000];
	static uint32_t offsets[1001];
	uint32_t	checksum = slow_checksum(stored + 8, bytes - 8);
	ColumnChunkFacts facts;
	ColumnStatus status;

	memcpy(stored + 4, &checksum, sizeof(checksum));
	status = ColumnInspect(stored, bytes, &facts);
	if (status != COLUMN_OK)
		return status;
	if (facts.rows > 1000 || facts.value_bytes > sizeof(values))
		abort();
	return ColumnDecode(stored, bytes, &memory, nulls, values, offsets);
}

static void
add_to(uint8_t *at, int delta)
{
	uint32_t	x;

	memcpy(&x, at, sizeof(x));
	x += (uint32_t) delta;
	memcpy(at, &x, sizeof(x));
}

/* Every number of a chunk agrees with the others: rows, present rows, nulls, lengths, entries. */
static void
test_numbers_that_disagree(void)
{
	enum
	{
		ROWS_AT = 16, PRESENT_AT = 20, NODE_AT = 40, BLOCK_BYTES = 5
	};
	CheckRandom r = {10};
	size_t		bytes;
	uint8_t    *stored;
	uint32_t	bitmap = 700 / 8 + 1;
	/* where the node begins when there are nulls */
	uint32_t	node = NODE_AT + BLOCK_BYTES + bitmap;
	Column		column = make_numbers(700, 8, COLUMN_SIGNED, PATTERN_SMALL, NULLS_SOME, &r);

	stored = encode_plainly(&column, 1, &bytes);
	CHECK(stored[node] == COLUMN_PACKED);
	CHECK(decode_changed(stored, bytes) == COLUMN_OK);
	CHECK(decode_changed(stored, bytes + 1) == COLUMN_CORRUPT);
	for (int delta = -1; delta <= 1; delta += 2)
	{
		add_to(stored + PRESENT_AT, delta);
		CHECK(decode_changed(stored, bytes) == COLUMN_CORRUPT);
		add_to(stored + PRESENT_AT, -delta);
	}
	/* a null more, or one less; one past the last row */
	stored[NODE_AT + BLOCK_BYTES] ^= 1;
	CHECK(decode_changed(stored, bytes) == COLUMN_CORRUPT);
	stored[NODE_AT + BLOCK_BYTES] ^= 1;
	stored[node - 1] ^= 0x80;
	CHECK(decode_changed(stored, bytes) == COLUMN_CORRUPT);
	stored[node - 1] ^= 0x80;
	CHECK(decode_changed(stored, bytes) == COLUMN_OK);
	/* a byte behind the last group */
	add_to(stored + node + 1, 1);
	add_to(stored + node + 6, 1);
	CHECK(decode_changed(stored, bytes + 1) == COLUMN_CORRUPT);
	free(stored);
	column_free(&column);

	/* a code one beyond the dictionary: 11 entries of 8 bytes in a block, then packed codes */
	column = make_numbers(700, 8, COLUMN_FLOAT, PATTERN_FEW, NULLS_NONE, &r);
	stored = encode_plainly(&column, 0, &bytes);
	node = NODE_AT + 5 + 1 + BLOCK_BYTES + 11 * 8;
	REQUIRE(stored[NODE_AT] == COLUMN_DICTIONARY && stored[node] == COLUMN_PACKED);
	CHECK(decode_changed(stored, bytes) == COLUMN_OK);
	/* the first group's base */
	stored[node + 10] = 1;
	CHECK(decode_changed(stored, bytes) == COLUMN_CORRUPT);
	stored[node + 10] = 0;
	add_to(stored + NODE_AT + 1, 1);
	CHECK(decode_changed(stored, bytes) == COLUMN_CORRUPT);
	free(stored);
	column_free(&column);

	/* runs that are too long: the lengths' node is the last */
	column = make_numbers(61 * 10, 8, COLUMN_SIGNED, PATTERN_RUNS, NULLS_NONE, &r);
	stored = encode_plainly(&column, 0, &bytes);
	REQUIRE(stored[NODE_AT] == COLUMN_RUNS && stored[bytes - 5] == COLUMN_CONSTANT);
	for (int delta = -1; delta <= 1; delta++)
	{
		add_to(stored + bytes - 4, delta);
		CHECK(decode_changed(stored, bytes) == (delta == 0 ? COLUMN_OK : COLUMN_CORRUPT));
		add_to(stored + bytes - 4, -delta);
	}
	free(stored);
	column_free(&column);

	/* texts whose lengths do not add up to the bytes that there are: one byte, repeated as often as asked */
	column = make_texts(20, 1000000000, 300, 1, 0, COLUMN_BYTES, NULLS_NONE, false, &r);
	memset((void *) column.view.values, 'a', column.view.offsets[20]);
	stored = encode_plainly(&column, 0, &bytes);
	CHECK(decode_changed(stored, bytes) == COLUMN_OK);
	for (int delta = -1; delta <= 1; delta += 2)
	{
		add_to(stored + 32, delta);
		CHECK(decode_changed(stored, bytes) == COLUMN_CORRUPT);
		add_to(stored + 32, -delta);
	}
	free(stored);
	column_free(&column);
	CHECK(live == 0);
}

/* Damage that a right checksum hides: refused or decoded, within bounds, nothing leaked. */
static void
test_damage_behind_the_checksum(void)
{
	CheckRandom r = {9};
	long		refused = 0;
	long		decoded = 0;

	for (int pattern = 0; pattern < N_PATTERNS + 4; pattern++)
	{
		Column		column = pattern < N_PATTERNS ?
			make_numbers(600, pattern % 2 ? 8 : 16, COLUMN_SIGNED, pattern, pattern % N_NULLS, &r) :
			pattern == N_PATTERNS ? make_vectors(40, 16, 73, COLUMN_FLOAT_VECTOR, true, NULLS_SOME, &r) :
			make_texts(600, pattern % 2 ? 9 : 1000000000, 30, 4, 0,
					   pattern % 3 ? COLUMN_BYTES : COLUMN_FLOAT_VECTOR, NULLS_SOME, false, &r);
		ColumnCodecOptions options = every_option[pattern % 3];
		void	   *out;
		size_t		bytes;

		REQUIRE(ColumnEncode(&column.view, &column.shape, &options, &memory, &out, &bytes) == COLUMN_OK);
		for (int round = 0; round < 2000; round++)
		{
			/* now and then bytes are missing, or there are some more */
			size_t		size = round % 7 == 0 ? (CheckRandomBits(&r) >> 20) % (bytes + 20) : bytes;
			uint8_t    *copy = exact(size);
			ColumnChunkFacts facts;
			ColumnStatus status;

			memset(copy, 0, size);
			memcpy(copy, out, size < bytes ? size : bytes);
			for (int change = 0; change < 1 + round % 3 && size > 0; change++)
			{
				/* more often where the headers are */
				size_t		at = (CheckRandomBits(&r) >> 20) % (round % 2 && size > 120 ? 120 : size);

				copy[at] = (uint8_t) (round % 5 == 0 ? copy[at] + 1u : CheckRandomBits(&r) >> 40);
			}
			if (size >= 8)
			{
				uint32_t	checksum = slow_checksum(copy + 8, size - 8);

				memcpy(copy + 4, &checksum, sizeof(checksum));
			}
			status = ColumnInspect(copy, size, &facts);
			if (status == COLUMN_OK && facts.rows <= 100000 && facts.value_bytes <= 10000000)
			{
				uint8_t    *nulls = exact((facts.rows + 7) / 8);
				uint8_t    *values = exact(facts.value_bytes);
				uint32_t   *offsets = exact(((size_t) facts.rows + 1) * sizeof(uint32_t));

				status = ColumnDecode(copy, size, &memory, nulls, values, offsets);
				free(nulls);
				free(values);
				free(offsets);
			}
			CHECK(status == COLUMN_OK || status == COLUMN_CORRUPT);
			CHECK(live == 1);
			if (status == COLUMN_OK)
				decoded++;
			else
				refused++;
			free(copy);
		}
		test_free(NULL, out);
		column_free(&column);
	}
	/* both happen often */
	CHECK(refused > 1000 && decoded > 1000);
}

static void
test_views_that_make_no_sense(void)
{
	static const ColumnCodecOptions none = {COLUMN_COMPRESS_NONE, 0};
	const uint32_t backwards[] = {0, 5, 3};
	ColumnView	view = {.rows = 2, .values = (const uint8_t *) "abcdefgh", .offsets = backwards};
	ColumnShape shape = {.align = 1};
	void	   *out;
	size_t		bytes;

	CHECK(ColumnEncode(&view, &shape, &none, &memory, &out, &bytes) == COLUMN_INVALID);
	view.offsets = NULL;
	CHECK(ColumnEncode(&view, &shape, &none, &memory, &out, &bytes) == COLUMN_INVALID);
	view.width = 4;
	CHECK(ColumnEncode(&view, &shape, &none, &memory, &out, &bytes) == COLUMN_INVALID);
	shape.width = 4;
	CHECK(ColumnEncode(&view, &shape, &none, &memory, &out, &bytes) == COLUMN_OK);
	test_free(NULL, out);
	shape.kind = 99;
	CHECK(ColumnEncode(&view, &shape, &none, &memory, &out, &bytes) == COLUMN_INVALID);
	CHECK(live == 0);
}

/* Memory that ends at every place: an error, and nothing leaked. */
static void
test_no_memory(void)
{
	static const ColumnCodecOptions zstd = {COLUMN_COMPRESS_ZSTD, 0};
	CheckRandom r = {6};

	for (int which = 0; which < 8; which++)
	{
		Column		column = which == 0 ? make_texts(700, 9, 30, 4, 0, COLUMN_BYTES, NULLS_SOME, true, &r) :
			which == 1 ? make_texts(700, 1000000000, 30, 4, 0, COLUMN_BYTES, NULLS_NONE, false, &r) :
			which == 2 ? make_vectors(100, 32, 136, COLUMN_FLOAT_VECTOR, true, NULLS_SOME, &r) :
			make_numbers(700, 8, COLUMN_SIGNED, (Pattern[]) {PATTERN_FEW, PATTERN_RUNS, PATTERN_ASCENDING,
				PATTERN_SMALL, PATTERN_RANDOM}[which - 3], NULLS_SOME, &r);
		void	   *out;
		size_t		bytes;
		ColumnStatus status;
		ColumnChunkFacts facts;

		for (long at = 0;; at++)
		{
			allocations = 0;
			fail_at = at;
			status = ColumnEncode(&column.view, &column.shape, &zstd, &memory, &out, &bytes);
			fail_at = -1;
			if (status == COLUMN_OK)
				break;
			CHECK(status == COLUMN_NO_MEMORY && live == 0);
		}
		REQUIRE(ColumnInspect(out, bytes, &facts) == COLUMN_OK);
		for (long at = 0;; at++)
		{
			uint8_t    *nulls = exact((facts.rows + 7) / 8);
			uint8_t    *values = exact(facts.value_bytes);
			uint32_t   *offsets = exact(((size_t) facts.rows + 1) * sizeof(uint32_t));

			allocations = 0;
			fail_at = at;
			status = ColumnDecode(out, bytes, &memory, nulls, values, offsets);
			fail_at = -1;
			free(nulls);
			free(values);
			free(offsets);
			CHECK(live == 1);
			if (status == COLUMN_OK)
				break;
			CHECK(status == COLUMN_NO_MEMORY);
		}
		test_free(NULL, out);
		column_free(&column);
	}
}

/* ---- Bloom filters ---- */

static void
test_bloom(void)
{
	CheckRandom r = {7};
	static const uint32_t sizes[] = {0, 1, 10, 1000, 8192, 100000};

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
	{
		size_t		bytes = ColumnBloomBytes(sizes[s]);
		uint8_t    *bloom = exact(bytes);
		CheckRandom added = {11};
		long		found = 0;

		CHECK(bytes >= 32 && bytes % 32 == 0 && bytes <= (size_t) sizes[s] * 2 + 32);
		memset(bloom, 0, bytes);
		for (uint32_t i = 0; i < sizes[s]; i++)
			ColumnBloomAdd(bloom, bytes, CheckRandomBits(&added));
		added.state = 11;
		for (uint32_t i = 0; i < sizes[s]; i++)
			CHECK(ColumnBloomMayContain(bloom, bytes, CheckRandomBits(&added)));
		for (int i = 0; i < 20000; i++)
			found += ColumnBloomMayContain(bloom, bytes, CheckRandomBits(&r));
		CHECK(found < 20000 / 50);
		free(bloom);
	}
	CHECK(ColumnBloomMayContain(NULL, 0, 5));
}

int
main(void)
{
	RUN(test_numbers);
	RUN(test_every_number_of_bits);
	RUN(test_decimals);
	RUN(test_vectors);
	RUN(test_texts);
	RUN(test_choice_of_encodings);
	RUN(test_checksum);
	RUN(test_damage_is_noticed);
	RUN(test_numbers_that_disagree);
	RUN(test_damage_behind_the_checksum);
	RUN(test_views_that_make_no_sense);
	RUN(test_no_memory);
	RUN(test_bloom);
	return CheckDone();
}
