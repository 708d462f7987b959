/*
 * index_bench.c
 *		Build and search of src/index in process, one thread searching.
 *
 * Reads base.npy, queries.npy and truth_<metric>.npy (float16 or float32, int32
 * ids) from a folder and prints, for each ef or nprobe: recall@k, microseconds of
 * processor time a query (best and median of the rounds) and what a query read.
 *
 *	index_bench DIR [--type TYPE] [--metric l2|ip|cosine|l1] [--elem f32|f16|bf16|i8]
 *		[--m N] [--efc N] [--nlist N] [--threads N] [--rows N] [--k N] [--sweep A,B,C]
 *		[--rounds N] [--map FILE | --huge] [--simd NAME] [--excluded SHARE] [--named SHARE]
 *		[--compact 1] [--sq CODES] [--refine CODES] [--pqm N] [--nbits N] [--nrq N]
 *		[--query-bits N] [--refine-k X] [--reorder-k N]
 *
 * TYPE is a type's name in lower case (hnsw, ivf_sq8, ...; ivf is ivf_flat), CODES sq4, sq6, sq8,
 * f16, bf16 or f32.  int8 rows are 127 times the floats'.  Segments without raw vectors take exact distances
 * from the rows as read.  --named gives the rows to look at, instead of a walk.
 * With --rows, or where no truth file is there, the exact answers are computed.
 * --map maps the query form from a file, as the server does; --huge asks for huge
 * pages instead.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "index/index.h"
#include "kernels/kernels.h"

#define MAX_SWEEP 32

typedef struct Array
{
	size_t		rows;
	size_t		columns;
	char		type;			/* 'e' float16, 'f' float32, 'i' int32, 'b' bfloat16, 'c' int8 */
	void	   *data;
} Array;

typedef struct Options
{
	const char *dir;
	AnnParams	params;
	const char *metric;
	int			threads;
	size_t		rows;
	int			k;
	int			rounds;
	const char *map;
	bool		huge;
	double		excluded;
	double		named;
	AnnSearchParams search;		/* what stays the same */
	uint32_t	sweep[MAX_SWEEP];
	int			nsweep;
} Options;

/* The query form in memory, one allocation. */
typedef struct Arena
{
	AnnSection	sections[ANN_MAX_SECTIONS];
	int			nsections;
	const char *raw;
	size_t		row_bytes;
	const uint32_t *order;
} Arena;

static void __attribute__((noreturn))
die(const char *message, const char *detail)
{
	fprintf(stderr, "index_bench: %s: %s\n", message, detail);
	exit(1);
}

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static double
now(void)
{
	return seconds(CLOCK_MONOTONIC);
}

/* ---- input ---- */

/* Read an .npy file of two dimensions; false if it is not there. */
static bool
read_npy(const char *dir, const char *name, Array *array)
{
	char		path[4096];
	char		header[4096] = {0};
	uint8_t		magic[10];
	const char *at;
	size_t		header_bytes;
	size_t		bytes;
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s.npy", dir, name);
	file = fopen(path, "rb");
	if (file == NULL)
		return false;
	if (fread(magic, 1, 10, file) != 10 || memcmp(magic, "\x93NUMPY\x01", 7) != 0)
		die("not an .npy file of version 1", path);
	header_bytes = magic[8] | (size_t) magic[9] << 8;
	if (header_bytes >= sizeof(header) || fread(header, 1, header_bytes, file) != header_bytes)
		die("bad header", path);
	if (strstr(header, "'<f2'"))
		array->type = 'e';
	else if (strstr(header, "'<f4'"))
		array->type = 'f';
	else if (strstr(header, "'<i4'"))
		array->type = 'i';
	else
		die("elements must be float16, float32 or int32", path);
	at = strstr(header, "'shape': (");
	if (at == NULL || sscanf(at, "'shape': (%zu, %zu)", &array->rows, &array->columns) != 2)
		die("not two-dimensional", path);
	bytes = array->rows * array->columns * (array->type == 'e' ? 2 : 4);
	array->data = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (array->data == NULL || fread(array->data, 1, bytes, file) != bytes)
		die("cannot read", path);
	fclose(file);
	return true;
}

/* Bring an array to the element type asked for. */
static void
convert(Array *array, AnnElem elem)
{
	size_t		n = array->rows * array->columns;
	char		type = elem == ANN_F16 ? 'e' : elem == ANN_BF16 ? 'b' : elem == ANN_I8 ? 'c' : 'f';
	float	   *floats = array->data;
	void	   *out;

	if (array->type == type)
		return;
	if (array->type == 'e')
	{
		floats = aligned_alloc(64, (n * 4 + 63) / 64 * 64);
		kernels->f16_to_f32(array->data, floats, n);
		free(array->data);
	}
	out = type == 'f' ? floats : aligned_alloc(64, (n * 2 + 63) / 64 * 64);
	if (type == 'e')
		kernels->f32_to_f16(floats, out, n);
	else if (type == 'b')
		kernels->f32_to_bf16(floats, out, n);
	else if (type == 'c')
	{
		for (size_t i = 0; i < n; i++)
			((int8_t *) out)[i] = (int8_t) fmaxf(fminf(roundf(floats[i] * 127), 127), -127);
	}
	if (out != floats)
		free(floats);
	array->data = out;
	array->type = type;
}

static size_t
element_bytes(AnnElem elem)
{
	return elem == ANN_F32 ? 4 : elem == ANN_I8 ? 1 : 2;
}

/* ---- build and expansion ---- */

static bool
read_raw(void *ctx, uint64_t offset, size_t bytes, void *dst)
{
	Arena	   *arena = ctx;

	for (size_t at = 0; at < bytes; at += arena->row_bytes)
	{
		size_t		row = (offset + at) / arena->row_bytes;

		if (arena->order != NULL)
			row = arena->order[row];
		memcpy((char *) dst + at, arena->raw + row * arena->row_bytes, arena->row_bytes);
	}
	return true;
}

static bool
write_section(void *ctx, uint32_t id, uint64_t offset, const void *data, size_t bytes)
{
	Arena	   *arena = ctx;

	for (int i = 0; i < arena->nsections; i++)
	{
		if (arena->sections[i].id == id && offset + bytes <= arena->sections[i].bytes)
		{
			memcpy((char *) arena->sections[i].data + offset, data, bytes);
			return true;
		}
	}
	return false;
}

/* Memory for the sections: anonymous, or a mapped file. */
static void
make_arena(const Options *options, Arena *arena)
{
	size_t		total = 0;
	char	   *base;
	int			fd = -1;

	for (int i = 0; i < arena->nsections; i++)
		total += (arena->sections[i].bytes + 4095) / 4096 * 4096;
	if (options->map != NULL)
	{
		fd = open(options->map, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t) total) != 0)
			die("cannot make", options->map);
	}
	base = mmap(NULL, total, PROT_READ | PROT_WRITE,
				fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	if (base == MAP_FAILED)
		die("cannot map", "memory");
	if (options->huge)
		madvise(base, total, MADV_HUGEPAGE);
	for (int i = 0; i < arena->nsections; i++)
	{
		arena->sections[i].data = base;
		base += (arena->sections[i].bytes + 4095) / 4096 * 4096;
	}
	if (fd >= 0)
	{
		close(fd);
		unlink(options->map);
	}
}

/* ---- measuring ---- */

static int
compare_double(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* The exact distance of a row of the segment, from the rows as read. */
typedef struct Exact
{
	const AnnParams *params;
	const Arena *arena;
	const void *query;
} Exact;

static float
exact_distance(void *ctx, uint32_t row)
{
	const Exact *exact = ctx;
	const Arena *arena = exact->arena;
	size_t		input = arena->order != NULL ? arena->order[row] : row;

	return AnnDistance(exact->params, arena->raw + input * arena->row_bytes, exact->query);
}

/* k hits as rows of the input; fewer are padded with ANN_NO_ROW. */
static void
search(const AnnSegment *segment, const void *query, AnnSearchParams *params, int k,
	   AnnScratch *scratch, const Arena *arena, uint32_t *rows, AnnSearchStats *stats)
{
	AnnHit		hits[k];
	const uint32_t *order = arena->order;
	Exact		exact = {&segment->params, arena, query};
	AnnSearch  *s;
	int			n = 0;

	params->exact = exact_distance;
	params->exact_ctx = &exact;
	s = AnnSearchBegin(segment, query, params, scratch, &AnnMallocEnv);
	while (n < k)
	{
		int			got;

		if (s == NULL || AnnSearchNext(s, hits + n, k - n, &got) != ANN_OK)
			die("search", "failed");
		if (got == 0)
			break;
		n += got;
	}
	for (int i = 0; i < k; i++)
		rows[i] = i >= n ? ANN_NO_ROW : order != NULL ? order[hits[i].row] : hits[i].row;
	stats->code_distances += AnnSearchGetStats(s)->code_distances;
	stats->refine_distances += AnnSearchGetStats(s)->refine_distances;
	stats->exact_distances += AnnSearchGetStats(s)->exact_distances;
	stats->hops += AnnSearchGetStats(s)->hops;
	AnnSearchEnd(s);
}

/* The k nearest rows of each query, computed pair by pair. */
static void
compute_truth(const AnnParams *params, const Array *base, const Array *queries,
			  const bool *excluded, int k, uint32_t *truth)
{
	size_t		row_bytes = base->columns * element_bytes(params->elem);
	float	   *best = malloc(sizeof(float) * k);

	for (size_t q = 0; q < queries->rows; q++)
	{
		uint32_t   *rows = truth + q * k;
		int			n = 0;

		for (size_t i = 0; i < base->rows; i++)
		{
			float		d;
			int			at;

			if (excluded != NULL && excluded[i])
				continue;
			d = AnnDistance(params, (char *) base->data + i * row_bytes,
							(char *) queries->data + q * row_bytes);
			if (n == k && d >= best[k - 1])
				continue;
			for (at = n < k ? n++ : k - 1; at > 0 && best[at - 1] > d; at--)
			{
				best[at] = best[at - 1];
				rows[at] = rows[at - 1];
			}
			best[at] = d;
			rows[at] = (uint32_t) i;
		}
	}
	free(best);
}

static void
measure(const Options *options, const AnnSegment *segment, const Array *queries,
		const uint32_t *truth, size_t truth_stride, const Arena *arena, uint32_t setting)
{
	AnnSearchParams params = options->search;
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	size_t		row_bytes = queries->columns * element_bytes(options->params.elem);
	int			k = options->k;
	double	   *times = malloc(sizeof(double) * options->rounds);
	AnnSearchStats stats = {0};
	size_t		right = 0;

	params.ef = params.nprobe = setting;
	for (int round = -1; round < options->rounds; round++)
	{
		double		start = seconds(CLOCK_THREAD_CPUTIME_ID);

		for (size_t q = 0; q < queries->rows; q++)
		{
			uint32_t	rows[k];

			search(segment, (char *) queries->data + q * row_bytes, &params, k, scratch, arena,
				   rows, &stats);
			for (int i = 0; round < 0 && i < k; i++)
			{
				for (int j = 0; j < k; j++)
					right += truth[q * truth_stride + j] == rows[i];
			}
		}
		if (round >= 0)
			times[round] = (seconds(CLOCK_THREAD_CPUTIME_ID) - start) / queries->rows * 1e6;
	}
	qsort(times, options->rounds, sizeof(double), compare_double);
	printf("%6u  recall %.4f  us %.1f (best) %.1f (median)  codes %.0f refined %.1f exact %.1f hops %.1f\n",
		   setting, (double) right / (queries->rows * k), times[0], times[options->rounds / 2],
		   (double) stats.code_distances / queries->rows / (options->rounds + 1),
		   (double) stats.refine_distances / queries->rows / (options->rounds + 1),
		   (double) stats.exact_distances / queries->rows / (options->rounds + 1),
		   (double) stats.hops / queries->rows / (options->rounds + 1));
	fflush(stdout);
	free(times);
	AnnScratchFree(scratch);
}

/* ---- options ---- */

static void
parse_sweep(Options *options, char *list)
{
	options->nsweep = 0;
	for (char *item = strtok(list, ","); item != NULL && options->nsweep < MAX_SWEEP;
		 item = strtok(NULL, ","))
		options->sweep[options->nsweep++] = (uint32_t) atoi(item);
}

static AnnType
type_named(const char *name)
{
	if (strcmp(name, "ivf") == 0)
		return ANN_IVF_FLAT;
	for (int type = ANN_FLAT; type <= ANN_MINHASH_LSH; type++)
	{
		if (strcasecmp(name, AnnTypeName((AnnType) type)) == 0)
			return (AnnType) type;
	}
	die("unknown type", name);
}

static AnnQuantizer
codes_named(const char *name)
{
	static const char *const names[] = {"none", "sq8", "sq6", "sq4", "f16", "bf16", "f32"};

	for (int i = 0; i < 7; i++)
	{
		if (strcmp(name, names[i]) == 0)
			return (AnnQuantizer) i;
	}
	die("unknown codes", name);
}

static AnnElem
elem_named(const char *name)
{
	static const char *const names[] = {"f32", "f16", "bf16", "i8"};

	for (int i = 0; i < 4; i++)
	{
		if (strcmp(name, names[i]) == 0)
			return (AnnElem) (ANN_F32 + i);
	}
	die("unknown element type", name);
}

static void
parse_options(Options *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
	{
		const char *name = argv[i];
		char	   *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (name[0] != '-')
		{
			options->dir = name;
			continue;
		}
		if (strcmp(name, "--huge") == 0)
		{
			options->huge = true;
			continue;
		}
		if (value == NULL)
			die("no value for", name);
		i++;
		if (strcmp(name, "--type") == 0)
			options->params.type = type_named(value);
		else if (strcmp(name, "--compact") == 0)
			options->params.compact = atoi(value) != 0;
		else if (strcmp(name, "--sq") == 0)
			options->params.sq_type = codes_named(value);
		else if (strcmp(name, "--refine") == 0)
			options->params.refine_type = codes_named(value);
		else if (strcmp(name, "--pqm") == 0)
			options->params.pq_m = (uint32_t) atoi(value);
		else if (strcmp(name, "--nbits") == 0)
			options->params.pq_nbits = (uint32_t) atoi(value);
		else if (strcmp(name, "--nrq") == 0)
			options->params.nrq = (uint32_t) atoi(value);
		else if (strcmp(name, "--query-bits") == 0)
			options->search.rbq_query_bits = (uint32_t) atoi(value);
		else if (strcmp(name, "--refine-k") == 0)
			options->search.refine_k = (float) atof(value);
		else if (strcmp(name, "--reorder-k") == 0)
			options->search.reorder_k = (uint32_t) atoi(value);
		else if (strcmp(name, "--named") == 0)
			options->named = atof(value);
		else if (strcmp(name, "--metric") == 0)
			options->metric = value;
		else if (strcmp(name, "--elem") == 0)
			options->params.elem = elem_named(value);
		else if (strcmp(name, "--m") == 0)
			options->params.m = (uint32_t) atoi(value);
		else if (strcmp(name, "--efc") == 0)
			options->params.ef_construction = (uint32_t) atoi(value);
		else if (strcmp(name, "--nlist") == 0)
			options->params.nlist = (uint32_t) atoi(value);
		else if (strcmp(name, "--threads") == 0)
			options->threads = atoi(value);
		else if (strcmp(name, "--rows") == 0)
			options->rows = (size_t) atol(value);
		else if (strcmp(name, "--k") == 0)
			options->k = atoi(value);
		else if (strcmp(name, "--rounds") == 0)
			options->rounds = atoi(value);
		else if (strcmp(name, "--map") == 0)
			options->map = value;
		else if (strcmp(name, "--excluded") == 0)
			options->excluded = atof(value);
		else if (strcmp(name, "--sweep") == 0)
			parse_sweep(options, value);
		else if (strcmp(name, "--simd") == 0)
		{
			if (!KernelsSelect(value))
				die("cannot use", value);
		}
		else
			die("unknown option", name);
	}
	if (options->dir == NULL)
		die("usage", "index_bench DIR [options], see the source");
	if (strcmp(options->metric, "l2") == 0)
		options->params.metric = ANN_L2;
	else if (strcmp(options->metric, "ip") == 0)
		options->params.metric = ANN_IP;
	else if (strcmp(options->metric, "cosine") == 0)
		options->params.metric = ANN_COSINE;
	else if (strcmp(options->metric, "l1") == 0)
		options->params.metric = ANN_L1;
	else
		die("unknown metric", options->metric);
}

int
main(int argc, char **argv)
{
	Options		options = {
		.params = {.type = ANN_HNSW, .elem = ANN_F32, .m = 16, .ef_construction = 200,
			.nlist = 256, .seed = 1, .sq_type = ANN_QUANT_SQ8, .pq_nbits = 8, .nrq = 2},
		.metric = "cosine", .threads = 2, .k = 10, .rounds = 5,
	};
	Array		base,
				queries,
				truth = {0};
	AnnBuilt	built;
	Arena		arena = {0};
	AnnSegment	segment;
	uint32_t	n;
	uint32_t   *answers;
	bool	   *out = NULL;
	uint64_t   *excluded = NULL;
	char		name[64];
	char		message[256];
	uint64_t	durable = 0;
	double		start;
	double		cpu;

	KernelsInit();
	GemmInit();
	parse_options(&options, argc, argv);
	if (!read_npy(options.dir, "base", &base) || !read_npy(options.dir, "queries", &queries))
		die("no base.npy and queries.npy in", options.dir);
	convert(&base, options.params.elem);
	convert(&queries, options.params.elem);
	options.params.dim = (uint32_t) base.columns;
	snprintf(name, sizeof(name), "truth_%s", options.metric);
	if (options.rows > 0 && options.rows < base.rows)
		base.rows = options.rows;
	else if (options.excluded == 0 && options.named == 0 && options.params.elem != ANN_I8)
		read_npy(options.dir, name, &truth);
	n = (uint32_t) base.rows;

	start = now();
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	if (AnnBuild(&options.params, base.data, n, options.threads, &AnnMallocEnv, &built) != ANN_OK)
		die("build", "failed");
	printf("%s %s %s rows %u dim %u m %u efc %u nlist %u threads %d simd %s gemm %s\n",
		   AnnTypeName(options.params.type), AnnMetricName(options.params.metric),
		   options.params.elem == ANN_F32 ? "f32" : options.params.elem == ANN_F16 ? "f16"
		   : options.params.elem == ANN_BF16 ? "bf16" : "i8", n, options.params.dim,
		   options.params.m, options.params.ef_construction, options.params.nlist,
		   options.threads, kernels->name, GemmName());
	printf("build s %.2f, processor s %.2f\n", now() - start,
		   seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);

	start = now();
	arena.raw = base.data;
	arena.row_bytes = base.columns * element_bytes(options.params.elem);
	arena.order = built.order;
	arena.nsections = AnnExpandedSections(&options.params, n, built.sections, built.nsections,
										  arena.sections);
	if (arena.nsections < 0)
		die("sections", "do not fit");
	make_arena(&options, &arena);
	if (AnnExpand(&options.params, n, built.sections, built.nsections, read_raw, &arena,
				  write_section, &arena, &AnnMallocEnv) != ANN_OK)
		die("expand", "failed");
	printf("expand s %.2f\n", now() - start);
	for (int i = 0; i < built.nsections; i++)
		durable += built.sections[i].bytes;
	printf("durable bytes a row %.1f besides raw %zu; ", (double) durable / n,
		   AnnKeepsRaw(&options.params) ? arena.row_bytes : 0);
	if (AnnKeepsRaw(&options.params))
		durable += (uint64_t) n * arena.row_bytes;
	printf("durable + 6, and 0.8 %%, over raw: %.3f\n",
		   ((double) durable / n + 6) * 1.008 / arena.row_bytes);
	if (AnnOpen(&options.params, n, arena.sections, arena.nsections, &segment) != ANN_OK)
		die("open", "failed");
	if (!AnnCheck(&segment, &AnnMallocEnv, message, sizeof(message)))
		die("check", message);

	if (options.excluded > 0 || options.named > 0)
	{
		uint32_t   *named = malloc(sizeof(uint32_t) * n);
		uint32_t	nnamed = 0;
		double		share = options.named > 0 ? 1 - options.named : options.excluded;

		out = calloc(n, sizeof(bool));
		excluded = calloc((size_t) n / 64 + 1, sizeof(uint64_t));
		srand(1);
		for (uint32_t i = 0; i < n; i++)
		{
			uint32_t	row = built.order != NULL ? built.order[i] : i;

			out[row] = rand() < share * RAND_MAX;
			if (out[row])
				excluded[i / 64] |= UINT64_C(1) << (i % 64);
			else
				named[nnamed++] = i;
		}
		if (options.named > 0)
		{
			options.search.rows = named;
			options.search.nrows = nnamed;
		}
		else
			options.search.excluded = excluded;
	}
	if (truth.data == NULL)
	{
		queries.rows = queries.rows < 200 ? queries.rows : 200;
		truth.columns = (size_t) options.k;
		truth.data = malloc(sizeof(uint32_t) * queries.rows * truth.columns);
		compute_truth(&options.params, &base, &queries, out, options.k, truth.data);
	}
	answers = truth.data;
	for (int i = 0; i < options.nsweep; i++)
		measure(&options, &segment, &queries, answers, truth.columns, &arena,
				options.sweep[i]);
	AnnBuiltFree(&built, &AnnMallocEnv);
	return 0;
}
