/*
 * test_index_codecs.c
 *		Quantized and compact indexes: codes against a naive decoder, bounds against
 *		exact distances, answers against brute force.
 */
#include "test_index_support.h"

#include "index/codec.h"

/* ---- scalar codes ---- */

static const AnnQuantizer scalars[] = {ANN_QUANT_SQ4, ANN_QUANT_SQ6, ANN_QUANT_SQ8, ANN_QUANT_F16,
									   ANN_QUANT_BF16};

#define SCALARS 5

enum Shape
{
	NORMAL,
	OFF_ORIGIN, /* far from the origin, near each other */
	SPIKE,      /* one element dwarfs the others */
	LARGE,
	TINY,
	HUGE_SQUARES, /* squares overflow in float */
	DENORMAL,
	EQUAL,
	SHAPES
};

static float
shaped(enum Shape shape, uint32_t d, CheckRandom *r)
{
	float x = random_normal(r);

	switch (shape)
	{
		case NORMAL:
			return x;
		case OFF_ORIGIN:
			return 10 + 0.05f * x;
		case SPIKE:
			return d == 1 ? 300 * x : x;
		case LARGE:
			return x * 1e12f;
		case TINY:
			return x * 1e-12f;
		case HUGE_SQUARES:
			return x * 1e25f;
		case DENORMAL:
			return x * 1e-40f;
		case EQUAL:
			return 3;
		case SHAPES:
			break;
	}
	return 0;
}

/* Value d of a row of codes, as kernels.h describes them, before the row's scale. */
static double
naive_value(AnnQuantizer quantizer, const uint8_t *codes, uint32_t dim, uint32_t row, uint32_t d)
{
	uint32_t blocks = (dim + 63) / 64;
	uint32_t in = d % 64;
	const uint8_t *block;
	uint16_t half;
	float value;
	int code;

	switch (quantizer)
	{
		case ANN_QUANT_SQ8:
			return (int) codes[(size_t) row * blocks * 64 + d] - 128;
		case ANN_QUANT_SQ4:
			block = codes + ((size_t) row * blocks + d / 64) * 32;
			code = in < 32 ? block[in] % 16 : block[in - 32] / 16;
			return code - 7.5;
		case ANN_QUANT_SQ6:
			block = codes + ((size_t) row * blocks + d / 64) * 48;
			code = in < 32 ? block[in] % 16 : block[in - 32] / 16;
			code += 16 * (block[32 + in % 16] >> 2 * (in / 16) & 3);
			return code - 31.5;
		default:
			memcpy(&half, codes + ((size_t) row * ((dim + 7) / 8 * 8) + d) * 2, 2);
			if (quantizer == ANN_QUANT_F16)
				kernels->f16_to_f32(&half, &value, 1);
			else
				kernels->bf16_to_f32(&half, &value, 1);
			return value;
	}
}

/* What a share of a row's length its error may be, of normal numbers. */
static double
usual_error(AnnQuantizer quantizer)
{
	switch (quantizer)
	{
		case ANN_QUANT_SQ4:
			return 0.16;
		case ANN_QUANT_SQ6:
			return 0.04;
		case ANN_QUANT_SQ8:
			return 0.01;
		case ANN_QUANT_F16:
			return 0.0003;
		default:
			return 0.0025;
	}
}

static void
check_scalar(AnnQuantizer quantizer, const AnnParams *params, enum Shape shape, CheckRandom *r)
{
	enum
	{
		N = 40
	};
	const AnnCodec *codec = AnnCodecOf(quantizer);
	uint32_t dim = params->dim;
	void *raw = allocate(AnnRowBytes(params) * N);
	float *origin = allocate(sizeof(float) * dim);
	float *query = allocate(sizeof(float) * dim);
	float *row = allocate(sizeof(float) * dim);
	float *scratch = allocate(sizeof(float) * 4 * dim);
	uint8_t *codes = allocate(codec->code_bytes(params, NULL, N));
	Sq8Meta meta[N];
	uint32_t order[N];
	float dots[N];
	float bounds[N];
	AnnCodecInput input = {.params = params,
						   .raw = raw,
						   .n = N,
						   .origin = origin,
						   .nthreads = 1,
						   .env = &AnnMallocEnv};
	AnnCoded coded = {
		.codes = {.params = params, .codec = codec, .codes = codes, .meta = meta, .n = N}};
	void *memory = allocate(AnnCodedBytes(&coded.codes));
	bool bounded;

	for (size_t i = 0; i < (size_t) N * dim; i++)
		put_element(params, raw, i, shaped(shape, (uint32_t) (i % dim), r));
	Sq8Mean(params, raw, N, origin);
	for (uint32_t i = 0; i < N; i++)
		order[i] = N - 1 - i;
	memset(codes, 0, codec->code_bytes(params, NULL, N));
	codec->encode(&input, NULL, order, 0, N, codes, meta, scratch);

	/* the query is one of the rows, a little moved */
	for (uint32_t d = 0; d < dim; d++)
		put_element(params, scratch, d, shaped(shape, d, r));
	bounded = AnnCodedQuery(params, scratch, origin, query);
	AnnCodedBegin(&coded, query, origin, bounded, 0, memory);
	codec->dots(&coded.query, NULL, 0, N, dots);
	AnnCodedEstimate(&coded, NULL, 0, N, coded.base, bounds);
	for (uint32_t i = 0; i < N; i++)
		CHECK(!isnan(bounds[i]));
	AnnCodedBounds(&coded, NULL, 0, N, bounds);

	for (uint32_t i = 0; i < N; i++)
	{
		double error2 = 0;
		double norm2 = 0;
		double size2 = 0;
		double dot = 0;
		double sizes = 0;
		float again;
		uint32_t number = i;
		float exact = AnnDistance(params, AnnRow(params, raw, order[i]), scratch);

		CHECK(AnnCodecResidual(&input, order[i], row) || meta[i].error == INFINITY);
		codec->decode(&coded.codes, i, scratch + 2 * dim);
		for (uint32_t d = 0; d < dim; d++)
		{
			double x = naive_value(quantizer, codes, dim, i, d) * meta[i].scale;

			CHECK_NEAR(scratch[2 * dim + d], x, 1e-6 * fabs(x));
			error2 += (row[d] - x) * (row[d] - x);
			norm2 += x * x;
			size2 += (double) row[d] * row[d];
			dot += x * query[d];
			sizes += fabs(x * query[d]);
		}
		CHECK(sqrt(error2) <= meta[i].error);
		if (shape == NORMAL && dim >= 64)
		{
			CHECK(sqrt(error2) >= 0.9 * meta[i].error - 1e-6);
			CHECK(sqrt(error2) <= usual_error(quantizer) * sqrt(size2));
		}
		if (isfinite(meta[i].error))
			CHECK_NEAR(meta[i].norm2, norm2 - (quantizer == ANN_QUANT_SQ4 ? error2 : 0),
					   1e-4 * (norm2 + error2) + 1e-37);

		/* a dot is that of the query as coded */
		if (isfinite(meta[i].error) && !coded.boundless)
			CHECK(fabs(dots[i] - dot) <=
				  coded.query.error * sqrt(norm2) + 1e-5 * (sizes + fabs(dot)) + 1e-30);
		codec->dots(&coded.query, &number, 0, 1, &again);
		CHECK(again == dots[i] || (isnan(again) && isnan(dots[i])));
		CHECK(!isnan(bounds[i]));
		if (codec->rigorous)
			CHECK(isnan(exact) || bounds[i] <= exact);
	}
	free(raw);
	free(origin);
	free(query);
	free(row);
	free(scratch);
	free(codes);
	free(memory);
}

/* Codes decode to what they say, within their error; bounds hold. */
static void
test_scalar_codes(void)
{
	static const uint32_t dims[] = {1, 2, 7, 63, 64, 65, 100, 384, 1000};
	CheckRandom r = {44};

	for (int t = 0; KernelsTable(t) != NULL; t++)
	{
		if (!KernelsUsable(KernelsTable(t)))
			continue;
		KernelsSelect(KernelsTable(t)->name);
		for (int s = 0; s < SCALARS; s++)
		{
			for (int kind = 0; kind < ALL_KINDS; kind++)
			{
				for (size_t d = 0; d < sizeof(dims) / sizeof(*dims); d++)
				{
					AnnParams params = kind_params(kind, ANN_HNSW_SQ, dims[d]);

					if (!Sq8Supports(params.metric))
						continue;
					for (int shape = 0; shape < SHAPES; shape++)
					{
						/* what float16 and int8 cannot hold */
						if (shape >= LARGE && shape <= DENORMAL &&
							(params.elem == ANN_F16 || params.elem == ANN_I8))
							continue;
						check_scalar(scalars[s], &params, shape, &r);
					}
				}
			}
		}
	}
	KernelsSelect("auto");
}

/* ---- answers ---- */

static AnnMetric
metric_of(int i)
{
	return (AnnMetric) (ANN_L2 + i);
}

/* Whether a variant's answers are exact over the rows that it looks at. */
static bool
is_rigorous(const AnnParams *params)
{
	const AnnCodec *codec = AnnRowCodec(params);

	return codec == NULL || codec->rigorous;
}

/* Every variant finds what it should, under every metric; drained, it returns all rows. */
static void
test_recall_of_variants(void)
{
	for (int m = 0; m < 3; m++)
	{
		AnnParams data = variant_params(0, metric_of(m), ANN_F32, 64);
		uint32_t n = 5000;
		void *raw = clustered_rows(&data, n, 20, 1);
		void *queries = clustered_rows(&data, 40, 20, 2);

		for (int v = 0; v < VARIANTS; v++)
		{
			AnnParams params = variant_params(v, metric_of(m), ANN_F32, 64);
			AnnSearchParams search = {.ef = 64, .nprobe = 8};
			char message[200];
			Store store;

			params.nlist = 40;
			REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
			CHECK(store_order_valid(&store));
			CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
			CHECK((store.segment.raw != NULL) == AnnKeepsRaw(&params));
			for (int i = 0; i < store.nsections; i++)
				CHECK(store.written[store.sections[i].id] == store.sections[i].bytes);
			CHECK(recall(&store, queries, 40, 10, &search) >= 0.95);
			search.ef = n;
			search.nprobe = params.nlist;
			CHECK(recall(&store, queries, 40, 10, &search) >= (is_rigorous(&params) ? 1 : 0.99));
			store_free(&store);
		}
		free(raw);
		free(queries);
	}
}

static uint64_t *
random_map(uint32_t n, double share, CheckRandom *r)
{
	uint64_t *map = calloc(AnnMapWords(n) + 1, sizeof(uint64_t));

	for (uint32_t i = 0; i < n; i++)
	{
		if (CheckRandomDouble(r, 0, 1) < share)
			AnnMapSet(map, i);
	}
	return map;
}

/*
 * A search taken to its end: every row that it may return comes once, with its exact
 * distance, in order within an answer.  With rows named and bounds that hold, all answers
 * together are what brute force gives.
 */
static void
check_stream(const Store *store, const void *query, const AnnSearchParams *search_params, int batch,
			 AnnScratch *scratch)
{
	Exact exact = {store, query, 0};
	AnnSearchParams params = *search_params;
	uint32_t n = store->n;
	uint8_t *wanted = calloc(n + 1, 1);
	AnnHit *hits = allocate(sizeof(AnnHit) * batch);
	AnnHit *truth = brute_force(&store->params, store->raw, n, query);
	AnnSearch *search;
	uint32_t left = 0;
	bool ordered = params.rows != NULL && is_rigorous(&store->params) && params.refine_k == 0 &&
				   params.reorder_k == 0;
	uint32_t at = 0;
	uint32_t *row_of = allocate(sizeof(uint32_t) * (n + 1));
	int nhits;

	for (uint32_t i = 0; i < n; i++)
		row_of[store_input(store, i)] = i;
	if (params.rows != NULL)
	{
		for (uint32_t i = 0; i < params.nrows; i++)
			wanted[params.rows[i]] = 1;
	}
	else
		memset(wanted, 1, n);
	for (uint32_t i = 0; i < n; i++)
	{
		if (params.excluded != NULL && AnnMapGet(params.excluded, i))
			wanted[i] = 0;
		left += wanted[i];
	}
	params.exact = exact_from_store;
	params.exact_ctx = &exact;
	search = AnnSearchBegin(&store->segment, query, &params, scratch, &AnnMallocEnv);
	REQUIRE(search != NULL);
	do
	{
		CHECK(AnnSearchNext(search, hits, batch, &nhits) == ANN_OK);
		for (int i = 0; i < nhits; i++)
		{
			uint32_t row = hits[i].row;

			REQUIRE(row < n);
			CHECK(wanted[row]);
			wanted[row] = 0;
			left--;
			CHECK(hits[i].distance == exact_from_store(&exact, row));
			if (is_rigorous(&store->params))
				CHECK(i == 0 || compare_hits(&hits[i - 1], &hits[i]) < 0);
			if (ordered)
			{
				/* the next of the truth that may be returned; ties in any order of rows */
				while (at < n && truth[at].distance < hits[i].distance)
				{
					CHECK(!wanted[row_of[truth[at].row]]);
					at++;
				}
			}
		}
	} while (nhits > 0);
	CHECK(left == 0);
	CHECK(AnnSearchNext(search, hits, batch, &nhits) == ANN_OK && nhits == 0);
	/* each row was asked for once */
	if (store->segment.raw == NULL)
		CHECK(AnnSearchGetStats(search)->exact_distances <= n);
	AnnSearchEnd(search);
	free(wanted);
	free(hits);
	free(truth);
	free(row_of);
}

/* Rows named by the caller: some, ascending. */
static uint32_t *
some_numbers(uint32_t n, double share, CheckRandom *r, uint32_t *count)
{
	uint32_t *rows = allocate(sizeof(uint32_t) * (n + 1));

	*count = 0;
	for (uint32_t i = 0; i < n; i++)
	{
		if (CheckRandomDouble(r, 0, 1) < share)
			rows[(*count)++] = i;
	}
	return rows;
}

static void
check_streams(const AnnParams *params, uint32_t n, uint64_t seed, CheckRandom *r)
{
	static const double shares[] = {0.02, 0.4, 0.98};
	void *raw = clustered_rows(params, n, 20, seed);
	void *query = clustered_rows(params, 1, 20, seed + 1);
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	AnnSearchParams search = {.ef = 20, .nprobe = 2};
	Store store;

	/* equal rows */
	for (uint32_t i = 3; i < n; i += 7)
		memcpy((char *) raw + i * AnnRowBytes(params), raw, AnnRowBytes(params));
	REQUIRE(store_make(&store, params, raw, n, 1) == ANN_OK);
	check_stream(&store, query, &search, 10, scratch);
	search.refine_k = 3;
	check_stream(&store, query, &search, 7, scratch);
	search.reorder_k = 100;
	check_stream(&store, raw, &search, 50, scratch);
	for (int s = 0; s < 3; s++)
	{
		uint64_t *map = random_map(n, shares[s], r);
		uint32_t *rows = some_numbers(n, shares[2 - s], r, &search.nrows);

		search = (AnnSearchParams){.ef = 20, .nprobe = 2, .nrows = search.nrows};
		search.excluded = map;
		check_stream(&store, query, &search, 10, scratch);
		search.rows = rows;
		check_stream(&store, query, &search, 13, scratch);
		search.excluded = NULL;
		check_stream(&store, query, &search, 1000, scratch);
		search.refine_k = 2;
		check_stream(&store, raw, &search, 10, scratch);
		search.nrows = 0;
		check_stream(&store, query, &search, 10, scratch);
		free(map);
		free(rows);
	}
	AnnScratchFree(scratch);
	store_free(&store);
	free(raw);
	free(query);
}

static void
test_streams_of_variants(void)
{
	CheckRandom r = {9};

	for (int v = 0; v < VARIANTS; v++)
	{
		for (int elem = ANN_F32; elem <= ANN_I8; elem++)
		{
			AnnParams params = variant_params(v, metric_of((v + elem) % 3), (AnnElem) elem, 24);

			params.m = 4;
			check_streams(&params, 1501, 3, &r);
		}
	}
}

/* Named rows, of the types that keep their raw vectors and need no codec. */
static void
test_named_rows_of_plain_types(void)
{
	static const AnnType types[] = {ANN_FLAT, ANN_IVF_FLAT, ANN_HNSW};
	CheckRandom r = {10};

	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		for (int t = 0; t < 3; t++)
		{
			AnnParams params = kind_params(kind, types[t], 24);

			params.m = 4;
			check_streams(&params, 1501, 5, &r);
		}
	}
}

/* A row number that does not exist is an error, not a read past the end. */
static void
test_named_rows_out_of_range(void)
{
	for (int v = 0; v < VARIANTS; v++)
	{
		AnnParams params = variant_params(v, ANN_L2, ANN_F32, 16);
		void *raw = clustered_rows(&params, 300, 5, 1);
		AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
		uint32_t rows[] = {5, 300};
		AnnHit hits[4];
		int nhits;
		Store store;
		Exact exact = {&store, raw, 0};
		AnnSearchParams search_params = {
			.rows = rows, .nrows = 2, .exact = exact_from_store, .exact_ctx = &exact};
		AnnSearch *search;

		REQUIRE(store_make(&store, &params, raw, 300, 1) == ANN_OK);
		search = AnnSearchBegin(&store.segment, raw, &search_params, scratch, &AnnMallocEnv);
		CHECK(AnnSearchNext(search, hits, 4, &nhits) == ANN_CORRUPT);
		AnnSearchEnd(search);
		AnnScratchFree(scratch);
		store_free(&store);
		free(raw);
	}
}

/* A compact index gives the answers of the one with raw vectors, hit by hit. */
static void
test_compact_equals_plain(void)
{
	static const AnnType types[] = {ANN_FLAT, ANN_IVF_FLAT, ANN_HNSW};

	for (int t = 0; t < 3; t++)
	{
		for (int m = 0; m < 3; m++)
		{
			AnnParams params = kind_params(m, types[t], 40);
			uint32_t n = 4000;
			void *raw = clustered_rows(&params, n, 20, 1);
			void *queries = clustered_rows(&params, 10, 20, 2);
			AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
			Store plain;
			Store compact;

			REQUIRE(store_make(&plain, &params, raw, n, 1) == ANN_OK);
			params.compact = true;
			REQUIRE(store_make(&compact, &params, raw, n, 1) == ANN_OK);
			CHECK(memcmp(plain.segment.codes, compact.segment.codes,
						 n * plain.segment.code_stride) == 0);
			for (int q = 0; q < 10; q++)
			{
				const void *query = AnnRow(&params, queries, q);
				Exact exact = {&compact, query, 0};
				AnnSearchParams search_params = {
					.ef = 30, .nprobe = 4, .exact = exact_from_store, .exact_ctx = &exact};
				AnnHit a[60];
				AnnHit b[60];
				AnnSearch *search =
					AnnSearchBegin(&plain.segment, query, &search_params, scratch, &AnnMallocEnv);

				CHECK(take(search, a, 60) == 60);
				AnnSearchEnd(search);
				CHECK(exact.calls == 0);
				search =
					AnnSearchBegin(&compact.segment, query, &search_params, scratch, &AnnMallocEnv);
				CHECK(take(search, b, 60) == 60);
				AnnSearchEnd(search);
				CHECK(memcmp(a, b, sizeof(a)) == 0);
				/* lazily: little more than what was returned */
				CHECK(exact.calls >= 60 && exact.calls < 150);
			}
			AnnScratchFree(scratch);
			store_free(&plain);
			store_free(&compact);
			free(raw);
			free(queries);
		}
	}
}

/* Refinement spares exact distances; a window looks at as many as it says. */
static void
test_exact_distances_are_few(void)
{
	static const AnnQuantizer refines[] = {ANN_QUANT_NONE, ANN_QUANT_SQ6, ANN_QUANT_SQ8,
										   ANN_QUANT_F16};
	AnnParams params = kind_params(0, ANN_HNSW_SQ, 128);
	uint32_t n = 4000;
	void *raw = clustered_rows(&params, n, 20, 1);
	void *queries = clustered_rows(&params, 20, 20, 2);
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);

	params.sq_type = ANN_QUANT_SQ4;
	for (int f = 0; f < 4; f++)
	{
		uint64_t exact_calls = 0;
		Store store;

		params.refine_type = refines[f];
		REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
		for (int q = 0; q < 20; q++)
		{
			Exact exact = {&store, AnnRow(&params, queries, q), 0};
			AnnSearchParams search_params = {
				.ef = 100, .exact = exact_from_store, .exact_ctx = &exact};
			AnnHit hits[10];
			AnnSearch *search =
				AnnSearchBegin(&store.segment, exact.query, &search_params, scratch, &AnnMallocEnv);

			CHECK(take(search, hits, 10) == 10);
			exact_calls += exact.calls;
			AnnSearchEnd(search);

			/* the window: so many candidates are looked at, refined where that can be */
			search_params.refine_k = 2.5f;
			exact.calls = 0;
			search =
				AnnSearchBegin(&store.segment, exact.query, &search_params, scratch, &AnnMallocEnv);
			CHECK(take(search, hits, 10) == 10);
			if (refines[f] == ANN_QUANT_NONE)
				CHECK(exact.calls == 25);
			else
			{
				CHECK(exact.calls >= 10 && exact.calls <= 25);
				CHECK(AnnSearchGetStats(search)->refine_distances == 25);
			}
			AnnSearchEnd(search);
		}
		/* of about a hundred candidates */
		CHECK(exact_calls < 20 * (refines[f] == ANN_QUANT_NONE  ? 60
								  : refines[f] == ANN_QUANT_F16 ? 12
																: 30));
		store_free(&store);
	}
	AnnScratchFree(scratch);
	free(raw);
	free(queries);
}

/* ---- corners ---- */

static void
test_few_rows(void)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 40, 300};
	static const uint32_t dims[] = {1, 7, 64, 500};
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);

	for (int v = 0; v < VARIANTS; v++)
	{
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
		{
			for (size_t d = 0; d < sizeof(dims) / sizeof(*dims); d++)
			{
				AnnParams params =
					variant_params(v, metric_of((int) ((s + d) % 3)), ANN_F32, dims[d]);
				void *raw = clustered_rows(&params, sizes[s] + 1, 3, 1);
				AnnSearchParams search = {.ef = 1, .nprobe = 1};
				char message[200];
				Store store;

				params.m = 2;
				params.ef_construction = 8;
				REQUIRE(store_make(&store, &params, raw, sizes[s], 2) == ANN_OK);
				CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
				check_stream(&store, AnnRow(&params, raw, sizes[s]), &search, 3, scratch);
				store_free(&store);
				free(raw);
			}
		}
	}
	AnnScratchFree(scratch);
}

/* What makes no sense is refused before anything is built. */
static void
test_parameters_out_of_range(void)
{
	AnnParams params = variant_params(0, ANN_L2, ANN_F32, 12);
	float raw[12] = {1};
	AnnBuilt built;

	params.metric = ANN_L1;
	CHECK(AnnBuild(&params, raw, 1, 1, &AnnMallocEnv, &built) == ANN_CORRUPT);
	params = variant_params(0, ANN_L2, ANN_F32, 12);
	params.type = ANN_HNSW_SQ;
	params.sq_type = ANN_QUANT_NONE;
	CHECK(AnnBuild(&params, raw, 1, 1, &AnnMallocEnv, &built) == ANN_CORRUPT);
	params.sq_type = ANN_QUANT_PQ;
	CHECK(AnnBuild(&params, raw, 1, 1, &AnnMallocEnv, &built) == ANN_CORRUPT);
	params.sq_type = ANN_QUANT_SQ6;
	params.refine_type = ANN_QUANT_SQ4;
	CHECK(AnnBuild(&params, raw, 1, 1, &AnnMallocEnv, &built) == ANN_CORRUPT);
	params.refine_type = ANN_QUANT_NONE;
	CHECK(AnnBuild(&params, raw, 1, 1, &AnnMallocEnv, &built) == ANN_OK);
	AnnBuiltFree(&built, &AnnMallocEnv);
	params.metric = ANN_L1;
	CHECK(AnnBuild(&params, raw, 1, 1, &AnnMallocEnv, &built) == ANN_CORRUPT);
}

/* Values whose squares overflow or vanish: nothing breaks, every row comes. */
static void
test_extreme_values(void)
{
	static const float factors[] = {1e30f, 1e18f, 1e-30f, 1e-42f};
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);

	for (int v = 0; v < VARIANTS; v++)
	{
		for (int m = 0; m < 3; m++)
		{
			for (int f = 0; f < 4; f++)
			{
				AnnParams params = variant_params(v, metric_of(m), ANN_F32, 12);
				uint32_t n = 1000;
				float *raw = clustered_rows(&params, n, 9, 1);
				Store store;
				Exact exact = {&store, raw, 0};
				AnnSearchParams search_params = {
					.ef = 10, .nprobe = 2, .exact = exact_from_store, .exact_ctx = &exact};
				AnnSearch *search;
				uint32_t total = 0;
				uint32_t nans = 0;
				AnnHit hits[64];
				int nhits;

				for (uint32_t i = 0; i < n * 12; i++)
					raw[i] *= i / 12 % 3 == 0 ? 1 : factors[f];
				REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
				/* lengths that are not representable have no distance; the caller leaves them out
				 */
				for (uint32_t i = 0; store.segment.raw == NULL && i < n; i++)
					nans += isnan(exact_from_store(&exact, i));
				search =
					AnnSearchBegin(&store.segment, raw, &search_params, scratch, &AnnMallocEnv);
				do
				{
					CHECK(AnnSearchNext(search, hits, 64, &nhits) == ANN_OK);
					for (int i = 0; i < nhits; i++)
						CHECK(!isnan(hits[i].distance));
					total += (uint32_t) nhits;
				} while (nhits > 0);
				CHECK(total == n - nans);
				AnnSearchEnd(search);
				store_free(&store);
				free(raw);
			}
		}
	}
	AnnScratchFree(scratch);
}

int
main(void)
{
	KernelsInit();
	GemmInit();
	RUN(test_scalar_codes);
	RUN(test_parameters_out_of_range);
	RUN(test_few_rows);
	RUN(test_compact_equals_plain);
	RUN(test_exact_distances_are_few);
	RUN(test_named_rows_out_of_range);
	RUN(test_named_rows_of_plain_types);
	RUN(test_streams_of_variants);
	RUN(test_extreme_values);
	RUN(test_recall_of_variants);
	return CheckDone();
}
