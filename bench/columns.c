/*
 * columns.c
 *		Size and speed of encoded column chunks, one core.
 *
 *		columns [FILE]			FILE: binary COPY of rows that end with a text and a halfvec
 *
 * Prints a table in Markdown: what a chunk of a kind of column is encoded as, its size
 * relative to the decoded form, and megabytes (10^6) of the decoded form a second.  Chunks are as
 * large as the table access method makes them.  A figure is the best of some rounds, in time of the processor.
 */
#include "segment/column.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNK_BYTES (4 * 1024 * 1024)
#define CHUNK_ROWS 8192
#define ROUNDS 7

static void *
get_memory(void *context, size_t bytes)
{
	return malloc(bytes);
}

static void
put_memory(void *context, void *p)
{
	free(p);
}

static const ColumnMemory memory = {get_memory, put_memory, NULL};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static uint64_t state = 88172645463325252;

static uint64_t
any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545F4914F6CDD1D);
}

/* Uniform in (0, 1]. */
static double
uniform(void)
{
	return ((double) (any() >> 11) + 1) / 9007199254740992.0;
}

static double
normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* One line of the table: a view encoded with zstd (level 0: its default) and with lz4. */
static void
measure(const char *what, const ColumnView *view, const ColumnShape *shape)
{
	static const struct
	{
		const char *name;
		ColumnCodecOptions options;
	}			settings[] = {
		{"zstd", {COLUMN_COMPRESS_ZSTD, 0}},
		{"zstd 1", {COLUMN_COMPRESS_ZSTD, 1}},
		{"lz4", {COLUMN_COMPRESS_LZ4, 0}},
		{"none", {COLUMN_COMPRESS_NONE, 0}},
	};
	double		raw = view->width > 0 ? (double) view->rows * view->width : (double) view->offsets[view->rows];

	for (size_t s = 0; s < sizeof(settings) / sizeof(settings[0]); s++)
	{
		double		encode = 1e9;
		double		decode = 1e9;
		size_t		bytes = 0;
		const char *codec = "";

		for (int round = 0; round < ROUNDS; round++)
		{
			void	   *out;
			ColumnChunkFacts facts;
			uint8_t    *values;
			uint32_t   *offsets;
			double		start = now();
			double		took;

			if (ColumnEncode(view, shape, &settings[s].options, &memory, &out, &bytes) != COLUMN_OK)
				exit(1);
			took = now() - start;
			encode = took < encode ? took : encode;
			codec = ColumnCodecName(out, bytes);
			if (ColumnInspect(out, bytes, &facts) != COLUMN_OK)
				exit(1);
			values = malloc(facts.value_bytes + 1);
			offsets = malloc(((size_t) facts.rows + 1) * sizeof(uint32_t));
			/* touched, so that the system's pages are not measured */
			memset(values, 1, facts.value_bytes);
			memset(offsets, 1, ((size_t) facts.rows + 1) * sizeof(uint32_t));
			start = now();
			if (ColumnDecode(out, bytes, &memory, NULL, values, offsets) != COLUMN_OK)
				exit(1);
			took = now() - start;
			decode = took < decode ? took : decode;
			if (memcmp(values, view->values, facts.value_bytes) != 0)
				exit(1);
			free(values);
			free(offsets);
			free(out);
		}
		printf("| %s | %s | %s | %.3f | %.0f | %.0f |\n", s == 0 ? what : "", settings[s].name, codec,
			   (double) bytes / raw, raw / encode / 1e6, raw / decode / 1e6);
	}
	fflush(stdout);
}

/* Vectors of dim floats as datums are: length, dim, elements.  coarse: what float16 holds. */
static void
vectors(const char *what, const float *elements, uint32_t rows, uint32_t dim, bool coarse)
{
	uint32_t	width = 8 + 4 * dim;
	uint8_t    *values = malloc((size_t) rows * width);
	ColumnView	view = {.rows = rows, .width = width, .values = values};
	ColumnShape shape = {.width = width, .align = 4, .kind = COLUMN_FLOAT_VECTOR, .skip = 8};

	for (uint32_t row = 0; row < rows; row++)
	{
		uint8_t    *value = values + (size_t) row * width;
		uint32_t	head[2] = {width * 4, dim};

		memcpy(value, head, 8);
		for (uint32_t i = 0; i < dim; i++)
		{
			uint32_t	bits;
			float		x = elements != NULL ? elements[(size_t) row * dim + i] : (float) normal();

			memcpy(&bits, &x, 4);
			if (coarse)
				bits &= 0xffffe000;
			memcpy(value + 8 + 4 * i, &bits, 4);
		}
	}
	measure(what, &view, &shape);
	free(values);
}

/* 8192 numbers of 8 or 4 bytes, of a generator. */
static void
numbers(const char *what, uint32_t width, ColumnKind kind, uint64_t (*make) (uint32_t i))
{
	uint8_t    *values = malloc((size_t) CHUNK_ROWS * width);
	ColumnView	view = {.rows = CHUNK_ROWS, .width = width, .values = values};
	ColumnShape shape = {.width = width, .align = 1, .kind = kind};

	for (uint32_t i = 0; i < CHUNK_ROWS; i++)
	{
		uint64_t	x = make(i);

		memcpy(values + (size_t) i * width, &x, width);
	}
	measure(what, &view, &shape);
	free(values);
}

static uint64_t
serial(uint32_t i)
{
	return 5000000 + i;
}

static uint64_t
category(uint32_t i)
{
	return any() % 100;
}

static uint64_t
random_bits(uint32_t i)
{
	return any();
}

static uint64_t
timestamps(uint32_t i)
{
	static uint64_t at = UINT64_C(750000000000000);

	return at += any() % 2000000;
}

static uint64_t
prices(uint32_t i)
{
	double		x = (double) (any() % 100000) / 100;
	uint64_t	bits;

	memcpy(&bits, &x, 8);
	return bits;
}

static uint64_t
booleans(uint32_t i)
{
	return any() % 10 == 0;
}

/* Texts as datums with a short header. */
static void
texts(const char *what, char *const *lines, uint32_t rows)
{
	uint8_t    *values = malloc((size_t) rows * 128);
	uint32_t   *offsets = malloc(((size_t) rows + 1) * sizeof(uint32_t));
	ColumnView	view = {.rows = rows, .values = values, .offsets = offsets};
	ColumnShape shape = {.align = 1};
	uint32_t	at = 0;

	for (uint32_t i = 0; i < rows; i++)
	{
		size_t		n = strlen(lines[i]) < 126 ? strlen(lines[i]) : 126;

		offsets[i] = at;
		values[at++] = (uint8_t) ((n + 1) << 1 | 1);
		memcpy(values + at, lines[i], n);
		at += (uint32_t) n;
	}
	offsets[rows] = at;
	measure(what, &view, &shape);
	free(values);
	free(offsets);
}

/* The number in the next bytes of a binary COPY file, most significant byte first. */
static uint32_t
take(FILE *in, int bytes)
{
	uint32_t	x = 0;

	while (bytes-- > 0)
		x = x << 8 | (uint32_t) (getc(in) & 255);
	return x;
}

/* The value of a float16 that is not infinite. */
static float
half_value(uint16_t h)
{
	int			exponent = h >> 10 & 31;
	double		x = exponent == 0 ? ldexp(h & 0x3ff, -24) : ldexp(0x400 + (h & 0x3ff), exponent - 25);

	return (float) (h & 0x8000 ? -x : x);
}

/*
 * The vectors and the texts of a file of binary COPY: rows whose last field is a halfvec and whose
 * field before it a text.  Vectors are measured as float32, once with the digits that float16 lost
 * made up: those of the embeddings themselves.
 */
static void
file(const char *name)
{
	FILE	   *in = fopen(name, "rb");
	float	   *elements = malloc(CHUNK_BYTES);
	float	   *blurred = malloc(CHUNK_BYTES);
	char	  **words = calloc(CHUNK_ROWS, sizeof(char *));
	char	  **kinds = calloc(CHUNK_ROWS, sizeof(char *));
	uint32_t	rows = 0;
	uint32_t	ntexts = 0;
	uint32_t	dim = 0;

	if (in == NULL || fseek(in, 19, SEEK_SET) != 0)
	{
		perror(name);
		exit(1);
	}
	while (ntexts < CHUNK_ROWS)
	{
		uint16_t	fields = (uint16_t) take(in, 2);

		if (fields == UINT16_MAX || feof(in))
			break;
		for (int field = 0; field < fields; field++)
		{
			uint32_t	bytes = take(in, 4);
			char	   *value = calloc(bytes + 1, 1);

			if (fread(value, 1, bytes, in) != bytes)
				exit(1);
			if (field == fields - 2)
				words[ntexts++] = strdup(value);
			else if (field == fields - 1)
			{
				const uint8_t *v = (const uint8_t *) value;

				dim = (uint32_t) (v[0] << 8 | v[1]);
				if ((rows + 1) * (size_t) (dim * 4 + 8) <= CHUNK_BYTES)
				{
					for (uint32_t i = 0; i < dim; i++)
					{
						float		x = half_value((uint16_t) (v[4 + 2 * i] << 8 | v[5 + 2 * i]));

						elements[(size_t) rows * dim + i] = x;
						blurred[(size_t) rows * dim + i] = x * (float) (1 + uniform() / 2048);
					}
					rows++;
				}
			}
			free(value);
		}
	}
	fclose(in);
	for (uint32_t i = 0; i < ntexts; i++)
		kinds[i] = words[any() % 20];
	vectors("embeddings, 384-d", blurred, rows, dim, false);
	vectors("embeddings, float16-exact", elements, rows, dim, false);
	texts("definitions", words, ntexts);
	texts("20 different texts", kinds, ntexts);
	for (uint32_t i = 0; i < ntexts; i++)
		free(words[i]);
	free(words);
	free(kinds);
	free(blurred);
	free(elements);
}

int
main(int argc, char **argv)
{
	printf("| column | compression | encoding | size | encode MB/s | decode MB/s |\n");
	printf("| --- | --- | --- | ---: | ---: | ---: |\n");
	vectors("768-d, normal", NULL, CHUNK_BYTES / (8 + 4 * 768), 768, false);
	vectors("768-d, float16-exact", NULL, CHUNK_BYTES / (8 + 4 * 768), 768, true);
	if (argc > 1)
		file(argv[1]);
	numbers("serial, 8 bytes", 8, COLUMN_SIGNED, serial);
	numbers("timestamps", 8, COLUMN_SIGNED, timestamps);
	numbers("category of 100, 4 bytes", 4, COLUMN_SIGNED, category);
	numbers("prices, float8", 8, COLUMN_FLOAT, prices);
	numbers("booleans, 1 in 10", 1, COLUMN_UNSIGNED, booleans);
	numbers("random, 8 bytes", 8, COLUMN_SIGNED, random_bits);
	return 0;
}
