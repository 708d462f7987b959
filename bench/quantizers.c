/*
 * quantizers.c
 *		What a quantizer loses: recall of a ranking by codes, without a server.
 *
 * Reads base.npy and queries.npy (float16 or float32) from a folder, codes the base relative to
 * its mean or to the centres of inverted lists, ranks all rows for each query by
 * estimate, and prints the share of the exact ten nearest that are among the best 10, 40
 * and 100 estimates (refinement 1, 4 and 10 times), with bytes a row and processor time.
 *
 *	quantizers DIR [--codec pq|pq4|rabitq] [--metric l2|ip|cosine] [--m N] [--nbits N] [--nrq N]
 *		[--query-bits N] [--nlist N] [--rows N] [--queries N] [--threads N]
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "index/codec.h"
#include "index/ivf.h"

#define K 10

/* Estimates that are looked at for ten answers. */
static const uint32_t windows[] = {10, 20, 40, 100};

#define WINDOWS 4

typedef struct Matrix
{
	uint32_t	rows;
	uint32_t	columns;
	float	   *data;
} Matrix;

static void __attribute__((noreturn)) die(const char *message, const char *detail)
{
	fprintf(stderr, "quantizers: %s: %s\n", message, detail);
	exit(1);
}

static void *
allocate(size_t bytes)
{
	void	   *p = aligned_alloc(64, AnnRoundUp(bytes + 1, 64));

	if (p == NULL)
		die("out of memory", "allocate");
	return p;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* The first `most` rows of an .npy file of float16 or float32. */
static Matrix
read_npy(const char *dir, const char *name, size_t most)
{
	char		path[4096];
	char		header[4096] = {0};
	uint8_t		magic[10];
	size_t		header_bytes;
	size_t		rows;
	size_t		columns;
	const char *at;
	Matrix		out;
	FILE	   *file;
	bool		half;

	snprintf(path, sizeof(path), "%s/%s.npy", dir, name);
	file = fopen(path, "rb");
	if (file == NULL || fread(magic, 1, 10, file) != 10 || memcmp(magic, "\x93NUMPY\x01", 7) != 0)
		die("not an .npy file of version 1", path);
	header_bytes = magic[8] | (size_t) magic[9] << 8;
	if (header_bytes >= sizeof(header) || fread(header, 1, header_bytes, file) != header_bytes)
		die("bad header", path);
	half = strstr(header, "'<f2'") != NULL;
	at = strstr(header, "'shape': (");
	if (at == NULL || sscanf(at, "'shape': (%zu, %zu)", &rows, &columns) != 2 ||
		(!half && strstr(header, "'<f4'") == NULL))
		die("not a matrix of float16 or float32", path);
	rows = AnnMin(rows, most);
	out = (Matrix){(uint32_t) rows, (uint32_t) columns, allocate(rows * columns * 4)};
	if (half)
	{
		uint16_t   *halves = allocate(rows * columns * 2);

		if (fread(halves, 2, rows * columns, file) != rows * columns)
			die("cannot read", path);
		kernels->f16_to_f32(halves, out.data, rows * columns);
		free(halves);
	}
	else if (fread(out.data, 4, rows * columns, file) != rows * columns)
		die("cannot read", path);
	fclose(file);
	return out;
}

static float
dot(const float *a, const float *b, uint32_t dim)
{
	return kernels->ip_f32(a, b, dim);
}

/* The exact ten nearest of a query. */
static void
exact_nearest(const AnnParams *params, const Matrix *base, const float *query, uint64_t *keys)
{
	for (uint32_t i = 0; i < base->rows; i++)
		keys[i] =
			AnnKey(AnnDistance(params, base->data + (size_t) i * params->dim, query) + 0.0f, i);
	AnnSortKeys(keys, AnnSelectKeys(keys, base->rows, K));
}

int
main(int argc, char **argv)
{
	AnnParams	params = {.type = ANN_HNSW_PQ, .metric = ANN_COSINE, .elem = ANN_F32, .seed = 7};
	const AnnCodec *codec = &AnnCodecPq;
	const AnnEnv *env = &AnnMallocEnv;
	uint32_t	nlist = 0;
	uint32_t	query_bits = 0;
	size_t		most = SIZE_MAX;
	size_t		most_queries = 200;
	int			threads = 2;
	Matrix		base;
	Matrix		queries;
	AnnCodecInput input;
	float	   *mean;
	uint32_t   *list_of = NULL;
	void	   *model;
	uint64_t	model_bytes;
	double		start = now();
	double		trained;
	double		coded;
	double		prepare_time = 0;
	double		scan_time = 0;
	double		error = 0;
	uint64_t	found[WINDOWS] = {0};

	if (argc < 2)
		die("usage", "quantizers DIR [options], see the source");
	for (int i = 2; i + 1 < argc; i += 2)
	{
		const char *value = argv[i + 1];
		uint32_t	number = (uint32_t) atoi(value);

		if (strcmp(argv[i], "--codec") == 0)
			codec = strcmp(value, "pq4") == 0		? &AnnCodecPq4
					: strcmp(value, "rabitq") == 0 ? &AnnCodecRabitq
												   : &AnnCodecPq;
		else if (strcmp(argv[i], "--metric") == 0)
			params.metric = strcmp(value, "l2") == 0   ? ANN_L2
							: strcmp(value, "ip") == 0 ? ANN_IP
													   : ANN_COSINE;
		else if (strcmp(argv[i], "--m") == 0)
			params.pq_m = number;
		else if (strcmp(argv[i], "--nbits") == 0)
			params.pq_nbits = number;
		else if (strcmp(argv[i], "--nrq") == 0)
			params.nrq = number;
		else if (strcmp(argv[i], "--query-bits") == 0)
			query_bits = number;
		else if (strcmp(argv[i], "--nlist") == 0)
			nlist = number;
		else if (strcmp(argv[i], "--rows") == 0)
			most = number;
		else if (strcmp(argv[i], "--queries") == 0)
			most_queries = number;
		else if (strcmp(argv[i], "--threads") == 0)
			threads = (int) number;
		else
			die("unknown option", argv[i]);
	}
	if (params.nrq > 1)
		params.type = ANN_HNSW_PRQ;
	else if (codec == &AnnCodecPq4)
		params.type = ANN_SCANN;
	else if (codec == &AnnCodecRabitq)
		params.type = ANN_IVF_RABITQ;
	KernelsInit();
	GemmInit();
	base = read_npy(argv[1], "base", most);
	queries = read_npy(argv[1], "queries", most_queries);
	params.dim = base.columns;

	mean = allocate(params.dim * sizeof(float));
	Sq8Mean(&params, base.data, base.rows, mean);
	input = (AnnCodecInput){.params = &params,
							.raw = base.data,
							.n = base.rows,
							.centers = mean,
							.ncenters = 1,
							.nthreads = threads,
							.env = env};
	if (nlist > 0)
	{
		float	   *centers = allocate((size_t) nlist * params.dim * sizeof(float));

		list_of = allocate(base.rows * sizeof(uint32_t));
		if (AnnKmeans(&params, base.data, base.rows, nlist, threads, env, centers) != ANN_OK ||
			AnnKmeansAssign(&params, base.data, base.rows, centers, nlist, threads, env, list_of) !=
				ANN_OK)
			die("k-means failed", argv[1]);
		input.centers = centers;
		input.ncenters = nlist;
		input.center_of = list_of;
	}

	start = now();
	if (codec->train(&input, &model, &model_bytes) != ANN_OK ||
		!codec->check(&params, model, model_bytes))
		die("training failed", codec->name);
	trained = now();
	{
		AnnCodes	codes = {&params, codec, model, NULL, NULL, base.rows};
		uint64_t	bytes = codec->code_bytes(&params, model, base.rows);
		uint8_t	   *code = allocate(bytes);
		Sq8Meta	   *meta = allocate(base.rows * sizeof(Sq8Meta));
		float	   *scratch = allocate(4 * params.dim * sizeof(float));
		float	   *dots = allocate(base.rows * sizeof(float));
		uint64_t   *keys = allocate(base.rows * sizeof(uint64_t));
		uint64_t   *ranked = allocate(base.rows * sizeof(uint64_t));
		float	   *bases = allocate(input.ncenters * sizeof(float));
		float	   *query = allocate(params.dim * sizeof(float));

		codec->encode(&input, model, NULL, 0, base.rows, code, meta, scratch);
		coded = now();
		codes.codes = code;
		codes.meta = meta;
		for (uint32_t i = 0; i < base.rows; i++)
			error += (double) meta[i].error * meta[i].error;
		for (uint32_t q = 0; q < queries.rows; q++)
		{
			AnnCodeQuery prepared = {.codes = &codes,
									 .query = query,
									 .query_bits = query_bits,
									 .memory = allocate(codec->query_bytes(&params, model))};
			const float *raw = queries.data + (size_t) q * params.dim;
			float		scale = params.metric == ANN_COSINE ? 1 / sqrtf(dot(raw, raw, params.dim)) : 1;
			double		t;

			for (uint32_t d = 0; d < params.dim; d++)
				query[d] = raw[d] * scale;
			exact_nearest(&params, &base, raw, keys);
			t = now();
			codec->prepare(&prepared);
			prepare_time += now() - t;
			t = now();
			codec->dots(&prepared, NULL, 0, base.rows, dots);
			scan_time += now() - t;
			for (uint32_t c = 0; c < input.ncenters; c++)
				bases[c] = dot(query, input.centers + (size_t) c * params.dim, params.dim);
			for (uint32_t i = 0; i < base.rows; i++)
			{
				float		product = dots[i] + bases[list_of != NULL ? list_of[i] : 0];

				ranked[i] = AnnKey((params.metric == ANN_IP ? 0 : meta[i].norm2) - 2 * product, i);
			}
			AnnSortKeys(ranked, AnnSelectKeys(ranked, base.rows, windows[WINDOWS - 1]));
			for (int w = 0; w < WINDOWS; w++)
			{
				uint32_t	near = 0;

				/* rows as near as the tenth are as good */
				for (uint32_t r = 0; r < windows[w]; r++)
					near +=
						AnnDistance(&params, base.data + (size_t) (uint32_t) ranked[r] * params.dim,
									raw) <= AnnKeyDistance(keys[K - 1]);
				found[w] += AnnMin(near, K);
			}
			free(prepared.memory);
		}
		printf("%-4s m %-4u nbits %-2u nrq %-2u query bits %u nlist %-4u %6.1f bytes/row, model %8.1f kB, "
			   "error %.4f, recall@10",
			   codec->name, params.pq_m, params.pq_nbits, params.nrq, query_bits, nlist,
			   (double) bytes / base.rows, model_bytes / 1024.0, sqrt(error / base.rows));
		for (int w = 0; w < WINDOWS; w++)
			printf("  %ux %.4f", windows[w] / K, (double) found[w] / (K * queries.rows));
		printf("; train %.1f s, code %.2f us, prepare %.1f us, scan %.2f ns a row\n",
			   trained - start, (coded - trained) * 1e6 / base.rows,
			   prepare_time * 1e6 / queries.rows, scan_time * 1e9 / queries.rows / base.rows);
	}
	return 0;
}
