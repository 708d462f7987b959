/*
 * test_index_bits.c
 *		Indexes of binary vectors answer as a count of bits, one by one, says.
 */
#include "test_index_support.h"

static const AnnType bit_types[] = {ANN_FLAT, ANN_IVF_FLAT, ANN_HNSW, ANN_MINHASH_LSH};
static const AnnMetric bit_metrics[] = {ANN_HAMMING, ANN_JACCARD, ANN_MHJACCARD};

#define BIT_TYPES 4
#define BIT_METRICS 3

static AnnParams
bit_params(AnnType type, AnnMetric metric, uint32_t dim)
{
	AnnParams	params = {
		.type = type, .metric = metric, .elem = ANN_BIT, .dim = dim, .m = 12,
		.ef_construction = 100, .nlist = 16, .seed = 7, .mh_band = 4, .mh_element_bits = 8,
	};

	return params;
}

/* MHJACCARD goes with FLAT and MINHASH_LSH. */
static bool
pairs(AnnType type, AnnMetric metric)
{
	return metric != ANN_MHJACCARD || type == ANN_FLAT || type == ANN_MINHASH_LSH;
}

/* ---- data ---- */

static bool
get_bit(const uint8_t *x, uint32_t i)
{
	return (x[i / 8] >> (7 - i % 8)) & 1;
}

static void
set_bit(uint8_t *x, uint32_t i)
{
	x[i / 8] |= (uint8_t) (0x80 >> (i % 8));
}

/* Clustered floats above a limit: about half of the bits are set, or a tenth under Jaccard. */
static uint8_t *
bit_rows(const AnnParams *params, uint32_t n, uint32_t clusters, uint64_t seed)
{
	AnnParams	floats = kind_params(0, ANN_FLAT, params->dim);
	float	   *x = clustered_rows(&floats, n, clusters, seed);
	uint8_t    *raw = allocate(AnnRowBytes(params) * n);
	float		limit = params->metric == ANN_JACCARD ? 2.2f : 0.5f;

	memset(raw, 0, AnnRowBytes(params) * n);
	for (uint32_t row = 0; row < n; row++)
	{
		for (uint32_t d = 0; d < params->dim; d++)
		{
			if (x[(size_t) row * params->dim + d] > limit)
				set_bit(raw + row * AnnRowBytes(params), d);
		}
	}
	free(x);
	return raw;
}

/* The distance, bit by bit. */
static double
plain_distance(const AnnParams *params, const uint8_t *a, const uint8_t *b)
{
	uint32_t	differ = 0;
	uint32_t	both = 0;
	uint32_t	either = 0;
	uint32_t	equal = 0;

	for (uint32_t i = 0; i < params->dim; i++)
	{
		differ += get_bit(a, i) != get_bit(b, i);
		both += get_bit(a, i) && get_bit(b, i);
		either += get_bit(a, i) || get_bit(b, i);
	}
	if (params->metric == ANN_HAMMING)
		return differ;
	if (params->metric == ANN_JACCARD)
		return both == 0 ? 1 : 1 - (double) both / either;
	for (uint32_t first = 0; first < params->dim; first += params->mh_element_bits)
	{
		bool		same = true;

		for (uint32_t i = first; i < first + params->mh_element_bits; i++)
			same = same && get_bit(a, i) == get_bit(b, i);
		equal += same;
	}
	return 1 - (double) equal / (params->dim / params->mh_element_bits);
}

/* ---- distances and parameters ---- */

static void
test_distances(void)
{
	static const uint32_t dims[] = {1, 7, 8, 9, 63, 64, 127, 512, 1000, 4096, ANN_MAX_BITS};
	static const uint32_t widths[] = {8, 16, 32, 64};
	CheckRandom r = {5};

	for (size_t d = 0; d < sizeof(dims) / sizeof(*dims); d++)
	{
		for (int kind = 0; kind < 2 + 4; kind++)
		{
			AnnParams	params = bit_params(ANN_FLAT, bit_metrics[kind < 2 ? kind : 2], dims[d]);
			size_t		bytes = AnnRowBytes(&params);
			uint32_t	n = dims[d] > 5000 ? 6 : 300;
			uint8_t    *raw = allocate(bytes * n);
			uint32_t   *rows = allocate(sizeof(uint32_t) * n);
			float	   *in_turn = allocate(sizeof(float) * n);
			float	   *by_number = allocate(sizeof(float) * n);

			CHECK(bytes == (dims[d] + 7) / 8);
			if (kind >= 2)
				params.mh_element_bits = widths[kind - 2];
			memset(raw, 0, bytes * n);
			/* row 0 is zero, row 1 all ones; the others are alike to a degree */
			for (uint32_t i = 0; i < dims[d]; i++)
			{
				bool		common = CheckRandomDouble(&r, 0, 1) < 0.4;

				set_bit(raw + bytes, i);
				for (uint32_t row = 2; row < n; row++)
				{
					if (CheckRandomDouble(&r, 0, 1) < 0.98 ? common : !common)
						set_bit(raw + row * bytes, i);
				}
			}
			for (uint32_t i = 0; i < n; i++)
				rows[i] = (i * 7 + 3) % n;
			if (kind >= 2 && dims[d] % params.mh_element_bits != 0)
				CHECK(isnan(AnnDistance(&params, raw, raw)));
			else
			{
				for (uint32_t q = 0; q < 4; q++)
				{
					const uint8_t *query = raw + q * bytes;

					AnnDistances(&params, query, raw, NULL, n, in_turn);
					AnnDistances(&params, query, raw, rows, n, by_number);
					for (uint32_t i = 0; i < n; i++)
					{
						const uint8_t *row = raw + i * bytes;
						float		plain = (float) plain_distance(&params, row, query);

						CHECK(AnnDistance(&params, row, query) == plain);
						CHECK(in_turn[i] == plain);
						CHECK(by_number[i] == in_turn[rows[i]]);
					}
				}
			}
			free(raw);
			free(rows);
			free(in_turn);
			free(by_number);
		}
	}
}

static AnnStatus
try_build(const AnnParams *params)
{
	static const uint64_t raw[64];
	AnnBuilt	built;
	AnnStatus	status = AnnBuild(params, raw, 1, 1, &AnnMallocEnv, &built);

	AnnBuiltFree(&built, &AnnMallocEnv);
	return status;
}

static void
test_parameters(void)
{
	AnnParams	good = bit_params(ANN_MINHASH_LSH, ANN_MHJACCARD, 128);
	AnnParams	bad;

	CHECK(try_build(&good) == ANN_OK);
	good.mh_band = 16;
	CHECK(try_build(&good) == ANN_OK);
	bad = good;
	bad.mh_band = 17;
	CHECK(try_build(&bad) == ANN_CORRUPT);
	bad.mh_band = 0;
	CHECK(try_build(&bad) == ANN_CORRUPT);
	bad = good;
	bad.mh_element_bits = 12;
	CHECK(try_build(&bad) == ANN_CORRUPT);
	bad = good;
	bad.dim = 129;
	CHECK(try_build(&bad) == ANN_CORRUPT);

	for (int t = 0; t < BIT_TYPES; t++)
	{
		for (int m = ANN_L2; m <= ANN_MHJACCARD; m++)
		{
			AnnParams	params = bit_params(bit_types[t], (AnnMetric) m, 64);
			bool		fits = m >= ANN_HAMMING && pairs(bit_types[t], (AnnMetric) m);

			CHECK(try_build(&params) == (fits ? ANN_OK : ANN_CORRUPT));
			params.compact = true;
			CHECK(try_build(&params) == ANN_CORRUPT);
			params.compact = false;
			params.elem = ANN_F32;
			CHECK((try_build(&params) == ANN_OK) ==
				  (m < ANN_HAMMING && bit_types[t] != ANN_MINHASH_LSH));
		}
	}
	bad = bit_params(ANN_FLAT, ANN_HAMMING, 0);
	CHECK(try_build(&bad) == ANN_CORRUPT);
	bad.dim = ANN_MAX_BITS + 1;
	CHECK(try_build(&bad) == ANN_CORRUPT);
	bad = bit_params(ANN_IVF_SQ8, ANN_HAMMING, 64);
	CHECK(try_build(&bad) == ANN_CORRUPT);

	CHECK(strcmp(AnnTypeNameOf(ANN_FLAT, ANN_BIT), "BIN_FLAT") == 0);
	CHECK(strcmp(AnnTypeNameOf(ANN_IVF_FLAT, ANN_BIT), "BIN_IVF_FLAT") == 0);
	CHECK(strcmp(AnnTypeNameOf(ANN_HNSW, ANN_BIT), "HNSW") == 0);
	CHECK(strcmp(AnnTypeNameOf(ANN_FLAT, ANN_F32), "FLAT") == 0);
}

/* ---- answers ---- */

/* All rows by distance bit by bit, ties by row of the segment. */
static AnnHit *
plain_answer(const Store *store, const uint8_t *query)
{
	AnnHit	   *hits = allocate(sizeof(AnnHit) * (store->n + 1));

	for (uint32_t row = 0; row < store->n; row++)
	{
		hits[row].row = row;
		hits[row].distance = (float) plain_distance(&store->params,
													AnnRow(&store->params, store->segment.raw, row),
													query);
	}
	qsort(hits, store->n, sizeof(AnnHit), compare_hits);
	return hits;
}

static void
test_recall(void)
{
	for (int m = 0; m < 2; m++)
	{
		AnnParams	params = bit_params(ANN_FLAT, bit_metrics[m], 200);
		uint32_t	n = 5000;
		uint8_t    *raw = bit_rows(&params, n, 20, 1);
		uint8_t    *queries = bit_rows(&params, 30, 20, 2);

		for (int t = 0; t < 3; t++)
		{
			AnnSearchParams search = {.ef = 64, .nprobe = 8};
			char		message[200];
			Store		store;

			params.type = bit_types[t];
			params.nlist = 40;
			REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
			CHECK(store_order_valid(&store));
			CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
			for (int i = 0; i < store.nsections; i++)
				CHECK(store.written[store.sections[i].id] == store.sections[i].bytes);
			if (bit_types[t] != ANN_FLAT)
				CHECK(recall(&store, queries, 30, 10, &search) >= 0.95);
			/* and all of them with the widest setting */
			search.ef = n;
			search.nprobe = params.nlist;
			CHECK(recall(&store, queries, 30, 10, &search) == 1);
			store_free(&store);
		}
		free(raw);
		free(queries);
	}
}

/* FLAT gives the rows in the order of a sort by distance and row, however many are equally far. */
static void
test_flat_is_exact(void)
{
	for (int m = 0; m < BIT_METRICS; m++)
	{
		for (int narrow = 0; narrow < 2; narrow++)
		{
			AnnParams	params = bit_params(ANN_FLAT, bit_metrics[m], narrow ? 16 : 176);
			uint32_t	n = 3000;
			uint8_t    *raw = bit_rows(&params, n, 20, 1);
			uint8_t    *queries = bit_rows(&params, 5, 20, 2);
			AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
			AnnSearchParams search_params = {.ef = 1};
			AnnHit	   *hits = allocate(sizeof(AnnHit) * n);
			Store		store;

			REQUIRE(store_make(&store, &params, raw, n, 1) == ANN_OK);
			for (int q = 0; q < 5; q++)
			{
				const void *query = AnnRow(&params, queries, q);
				AnnHit	   *truth = plain_answer(&store, query);
				AnnSearch  *search = AnnSearchBegin(&store.segment, query, &search_params,
													scratch, &AnnMallocEnv);

				CHECK(take(search, hits, 10) == 10);
				CHECK(take(search, hits + 10, (int) n - 10) == (int) n - 10);
				CHECK(memcmp(hits, truth, sizeof(AnnHit) * n) == 0);
				/* ties cost nothing: each row was compared once */
				CHECK(AnnSearchGetStats(search)->exact_distances == n);
				AnnSearchEnd(search);
				free(truth);
			}
			store_free(&store);
			AnnScratchFree(scratch);
			free(hits);
			free(raw);
			free(queries);
		}
	}
}

/* A search taken to its end returns every row that is not excluded once, with its distance. */
static void
check_stream(const Store *store, const uint8_t *query, const uint64_t *excluded, uint32_t ef,
			 int batch, AnnScratch *scratch)
{
	AnnSearchParams params = {.ef = ef, .nprobe = 1 + ef / 16, .excluded = excluded};
	uint8_t    *seen = calloc(store->n + 1, 1);
	AnnHit	   *hits = allocate(sizeof(AnnHit) * batch);
	AnnSearch  *search = AnnSearchBegin(&store->segment, query, &params, scratch, &AnnMallocEnv);
	uint32_t	returned = 0;
	uint32_t	expected = 0;
	int			nhits;

	REQUIRE(search != NULL);
	for (uint32_t i = 0; i < store->n; i++)
		expected += excluded == NULL || !AnnMapGet(excluded, i);
	do
	{
		CHECK(AnnSearchNext(search, hits, batch, &nhits) == ANN_OK);
		for (int i = 0; i < nhits; i++)
		{
			uint32_t	row = hits[i].row;

			REQUIRE(row < store->n);
			CHECK(!seen[row]);
			CHECK(excluded == NULL || !AnnMapGet(excluded, row));
			seen[row] = 1;
			CHECK(hits[i].distance ==
				  (float) plain_distance(&store->params,
										 AnnRow(&store->params, store->segment.raw, row), query));
			CHECK(i == 0 || compare_hits(&hits[i - 1], &hits[i]) < 0);
		}
		returned += (uint32_t) nhits;
	} while (nhits > 0);
	CHECK(returned == expected);
	CHECK(AnnSearchNext(search, hits, batch, &nhits) == ANN_OK && nhits == 0);
	AnnSearchEnd(search);
	free(seen);
	free(hits);
}

/* Half of the rows in a few equal groups, some all zero; with and without excluded rows. */
static void
test_streams_are_complete(void)
{
	static const double shares[] = {0, 0.02, 0.9, 1};
	CheckRandom r = {3};

	for (int m = 0; m < BIT_METRICS; m++)
	{
		for (int t = 0; t < BIT_TYPES; t++)
		{
			AnnParams	params = bit_params(bit_types[t], bit_metrics[m], 96);
			uint32_t	n = 3001;
			size_t		bytes = AnnRowBytes(&params);
			uint8_t    *raw;
			AnnScratch *scratch;
			char		message[200];
			Store		store;

			if (!pairs(params.type, params.metric))
				continue;
			raw = bit_rows(&params, n, 20, 1);
			scratch = AnnScratchCreate(&AnnMallocEnv);
			for (uint32_t row = 0; row < n; row += 2)
				memcpy(raw + row * bytes, raw + (row % 10 + 1) * bytes, bytes);
			for (uint32_t row = 3; row < n; row += 9)
				memset(raw + row * bytes, 0, bytes);
			params.m = 4;
			REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
			CHECK(store_order_valid(&store));
			CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
			for (int s = 0; s < 4; s++)
			{
				uint64_t   *map = calloc(AnnMapWords(n) + 1, sizeof(uint64_t));

				for (uint32_t i = 0; i < n; i++)
				{
					if (CheckRandomDouble(&r, 0, 1) < shares[s])
						AnnMapSet(map, i);
				}
				check_stream(&store, raw + 5 * bytes, s == 0 ? NULL : map, 8, 10, scratch);
				check_stream(&store, raw + 3 * bytes, map, 40, 777, scratch);
				free(map);
			}
			AnnScratchFree(scratch);
			store_free(&store);
			free(raw);
		}
	}
}

/* Only the rows that the caller names, but excluded ones, in order of distance and row. */
static void
test_named_rows(void)
{
	uint32_t	n = 1500;

	for (int m = 0; m < BIT_METRICS; m++)
	{
		for (int t = 0; t < BIT_TYPES; t++)
		{
			AnnParams	params = bit_params(bit_types[t], bit_metrics[m], 64);
			AnnSearchParams search_params = {.ef = 8, .nprobe = 1};
			uint64_t   *excluded = calloc(AnnMapWords(n), sizeof(uint64_t));
			uint32_t   *rows = allocate(sizeof(uint32_t) * n);
			AnnHit	   *hits = allocate(sizeof(AnnHit) * n);
			AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
			uint8_t    *raw = bit_rows(&params, n, 9, 1);
			Store		store;

			params.type = pairs(params.type, params.metric) ? params.type : ANN_FLAT;
			REQUIRE(store_make(&store, &params, raw, n, 1) == ANN_OK);
			for (uint32_t row = 1; row < n; row += 3)
				rows[search_params.nrows++] = row;
			for (uint32_t row = 0; row < n; row += 4)
				AnnMapSet(excluded, row);
			search_params.rows = rows;
			for (int masked = 0; masked < 2; masked++)
			{
				AnnHit	   *truth = plain_answer(&store, raw);
				AnnSearch  *search;
				int			at = 0;
				int			found;

				search_params.excluded = masked ? excluded : NULL;
				search = AnnSearchBegin(&store.segment, raw, &search_params, scratch,
										&AnnMallocEnv);
				found = take(search, hits, (int) n);
				for (uint32_t i = 0; i < n; i++)
				{
					uint32_t	row = truth[i].row;

					if (row % 3 != 1 || (masked && row % 4 == 0))
						continue;
					REQUIRE(at < found);
					CHECK(hits[at].row == row && hits[at].distance == truth[i].distance);
					at++;
				}
				CHECK(at == found);
				AnnSearchEnd(search);
				free(truth);
			}
			store_free(&store);
			AnnScratchFree(scratch);
			free(excluded);
			free(rows);
			free(hits);
			free(raw);
		}
	}
}

/* A graph's recall at the effort that calibration names for a target, of queries it did not see. */
static void
test_calibration(void)
{
	for (int m = 0; m < 2; m++)
	{
		for (int t = 1; t < 3; t++)
		{
			AnnParams	params = bit_params(bit_types[t], bit_metrics[m], 256);
			uint32_t	n = 6000;
			uint8_t    *raw = bit_rows(&params, n, 20, 1);
			uint8_t    *queries = bit_rows(&params, 60, 20, 2);
			AnnCalibration calibration;
			AnnSearchParams search;
			Store		store;

			params.nlist = 64;
			REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
			REQUIRE(AnnCalibrate(&store.segment, NULL, NULL, &AnnMallocEnv, &calibration) == ANN_OK);
			memset(&search, 0, sizeof(search));
			search.ef = search.nprobe = AnnEffortFor(params.type, &calibration, 0.95);
			CHECK(search.ef < n);
			CHECK(recall(&store, queries, 60, 10, &search) >= 0.93);
			store_free(&store);
			free(raw);
			free(queries);
		}
	}
}

static void
test_few_rows_and_odd_dimensions(void)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 40, 300};
	static const uint32_t dims[] = {1, 8, 13, 64, 520, 4096};

	for (int m = 0; m < BIT_METRICS; m++)
	{
		for (int t = 0; t < BIT_TYPES; t++)
		{
			for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
			{
				for (size_t d = 0; d < sizeof(dims) / sizeof(*dims); d++)
				{
					AnnParams	params = bit_params(bit_types[t], bit_metrics[m], dims[d]);
					bool		elements = params.type == ANN_MINHASH_LSH ||
						params.metric == ANN_MHJACCARD;
					uint8_t    *raw;
					AnnScratch *scratch;
					char		message[200];
					Store		store;

					if (!pairs(params.type, params.metric) || (elements && dims[d] % 8 != 0))
						continue;
					raw = bit_rows(&params, sizes[s] + 1, 3, 1);
					scratch = AnnScratchCreate(&AnnMallocEnv);
					params.m = 2;
					params.ef_construction = 8;
					params.nlist = 7;
					/* 3 of 8 and of 65 elements leave a remainder */
					params.mh_band = dims[d] == 8 ? 1 : 3;
					REQUIRE(store_make(&store, &params, raw, sizes[s], 3) == ANN_OK);
					CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
					check_stream(&store, AnnRow(&params, raw, sizes[s]), NULL, 1, 3, scratch);
					AnnScratchFree(scratch);
					store_free(&store);
					free(raw);
				}
			}
		}
	}
}

/* Thousands of equal rows are one node, and do not keep a walk from the others. */
static void
test_equal_rows_in_a_graph(void)
{
	AnnParams	params = bit_params(ANN_HNSW, ANN_HAMMING, 128);
	uint32_t	n = 6000;
	size_t		bytes = AnnRowBytes(&params);
	uint8_t    *raw = bit_rows(&params, n, 20, 1);
	AnnSearchParams search = {.ef = 64};
	Store		store;

	for (uint32_t row = 0; row < 4000; row++)
		memset(raw + row * bytes, row % 2 ? 0xff : 0, bytes);
	REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
	CHECK(recall(&store, raw + 4000 * bytes, 50, 10, &search) >= 0.95);
	CHECK(recall(&store, raw, 2, 10, &search) == 1);
	store_free(&store);
	free(raw);
}

/* ---- lists ---- */

/* Rows that differ from one of a few far centres in some bits: each list holds one centre's. */
static void
test_lists_are_clusters(void)
{
	enum
	{
		DIM = 256, CLUSTERS = 6, N = 1200
	};

	for (int m = 0; m < 2; m++)
	{
		AnnParams	params = bit_params(ANN_IVF_FLAT, bit_metrics[m], DIM);
		size_t		bytes = AnnRowBytes(&params);
		uint8_t    *centres = allocate(bytes * CLUSTERS);
		uint8_t    *raw = allocate(bytes * N);
		double		density = params.metric == ANN_JACCARD ? 0.1 : 0.5;
		CheckRandom r = {21};
		Store		store;
		uint32_t	pure = 0;

		memset(centres, 0, bytes * CLUSTERS);
		memset(raw, 0, bytes * N);
		for (uint32_t i = 0; i < CLUSTERS * DIM; i++)
		{
			if (CheckRandomDouble(&r, 0, 1) < density)
				set_bit(centres + i / DIM * bytes, i % DIM);
		}
		for (uint32_t row = 0; row < N; row++)
		{
			for (uint32_t i = 0; i < DIM; i++)
			{
				bool		bit = get_bit(centres + row % CLUSTERS * bytes, i);

				if (CheckRandomDouble(&r, 0, 1) < (bit ? 0.8 : density * 0.2))
					set_bit(raw + row * bytes, i);
			}
		}
		/* more lists than clusters, so that each cluster has one to start from */
		params.nlist = 4 * CLUSTERS;
		REQUIRE(store_make(&store, &params, raw, N, 3) == ANN_OK);
		CHECK(store.segment.nlist == 4 * CLUSTERS);
		for (uint32_t list = 0; list < store.segment.nlist; list++)
		{
			uint32_t	first = store.segment.lists[list];
			uint32_t	end = store.segment.lists[list + 1];
			const uint8_t *centre = (const uint8_t *) store.segment.centroids + list * bytes;

			for (uint32_t row = first; row < end; row++)
			{
				const uint8_t *at = AnnRow(&params, store.segment.raw, row);
				double		own = plain_distance(&params, at, centre);

				pure += store_input(&store, row) % CLUSTERS ==
					store_input(&store, first) % CLUSTERS;
				/* no centre is nearer than that of its list */
				for (uint32_t c = 0; c < store.segment.nlist; c++)
					CHECK(own <= plain_distance(&params, at, (const uint8_t *)
												store.segment.centroids + c * bytes));
			}
		}
		CHECK(pure >= 0.99 * N);
		store_free(&store);
		free(centres);
		free(raw);
	}
}

/* The number of threads changes nothing; a second build and expansion give the same bytes. */
static void
test_builds_are_deterministic(void)
{
	for (int m = 0; m < BIT_METRICS; m++)
	{
		for (int t = 0; t < BIT_TYPES; t++)
		{
			AnnParams	params = bit_params(bit_types[t], bit_metrics[m], 96);
			uint8_t    *raw;
			Store		a;
			Store		b;

			if (!pairs(params.type, params.metric))
				continue;
			raw = bit_rows(&params, 1500, 9, 1);
			REQUIRE(store_make(&a, &params, raw, 1500, 1) == ANN_OK);
			/* a graph depends on the order in which threads insert rows */
			REQUIRE(store_make(&b, &params, raw, 1500, params.type == ANN_HNSW ? 1 : 4) == ANN_OK);
			REQUIRE(a.nsections == b.nsections && a.built.nsections == b.built.nsections);
			for (int i = 0; i < a.built.nsections; i++)
				CHECK(a.built.sections[i].bytes == b.built.sections[i].bytes &&
					  memcmp(a.built.sections[i].data, b.built.sections[i].data,
							 a.built.sections[i].bytes) == 0);
			for (int i = 0; i < a.nsections; i++)
				CHECK(memcmp(a.sections[i].data, b.sections[i].data, a.sections[i].bytes) == 0);
			store_free(&a);
			store_free(&b);
			free(raw);
		}
	}
}

/* ---- MinHash ---- */

/* Signatures that agree with the first in each element with a given chance. */
static uint8_t *
signatures(uint32_t n, uint32_t elements, double chance, uint64_t seed)
{
	uint32_t   *x = allocate(sizeof(uint32_t) * n * elements);
	CheckRandom r = {seed};

	for (uint32_t i = 0; i < n * elements; i++)
		x[i] = i >= elements && CheckRandomDouble(&r, 0, 1) < chance ? x[i % elements]
			: (uint32_t) CheckRandomBits(&r);
	return (uint8_t *) x;
}

/*
 * As many rows are candidates as theory says: those that agree in a band.  Of them,
 * those come first that are as similar as most rows that agree in a band.
 */
static void
test_minhash_candidates(void)
{
	enum
	{
		N = 4000, ELEMENTS = 35, BANDS = 8, BAND = ELEMENTS / BANDS
	};
	static const double chances[] = {0, 0.3, 0.6, 0.9};

	for (int c = 0; c < 4; c++)
	{
		AnnParams	params = bit_params(ANN_MINHASH_LSH, ANN_MHJACCARD, 32 * ELEMENTS);
		AnnSearchParams search_params = {.ef = 1};
		AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
		uint8_t    *raw = signatures(N, ELEMENTS, chances[c], 77);
		const uint32_t *x = (const uint32_t *) raw;
		AnnHit	   *hits = allocate(sizeof(AnnHit) * N);
		uint32_t	candidates = 0;
		uint32_t	near = 0;
		AnnSearch  *search;
		Store		store;
		int			n;

		params.mh_element_bits = 32;
		params.mh_band = BANDS;
		REQUIRE(store_make(&store, &params, raw, N, 2) == ANN_OK);
		CHECK(store.built.order == NULL);
		for (uint32_t row = 0; row < N; row++)
		{
			bool		shared = false;

			for (uint32_t band = 0; band < BANDS; band++)
				shared = shared || memcmp(x + row * ELEMENTS + band * BAND, x + band * BAND,
										  BAND * sizeof(uint32_t)) == 0;
			candidates += shared;
			near += shared && 1 - plain_distance(&params, raw + row * 4 * ELEMENTS, raw) >=
				pow(1.0 / BANDS, 1.0 / BAND);
		}
		CHECK_NEAR((candidates - 1.0) / (N - 1), 1 - pow(1 - pow(chances[c], BAND), BANDS), 0.02);

		search = AnnSearchBegin(&store.segment, raw, &search_params, scratch, &AnnMallocEnv);
		REQUIRE(AnnSearchNext(search, hits, N, &n) == ANN_OK);
		CHECK(n == (int) near);
		CHECK(AnnSearchGetStats(search)->exact_distances == candidates);
		CHECK(!AnnSearchGetStats(search)->exhaustive);
		CHECK(hits[0].row == 0 && hits[0].distance == 0);
		for (int i = 1; i < n; i++)
			CHECK(hits[i].distance ==
				  (float) plain_distance(&params, raw + hits[i].row * 4 * ELEMENTS, raw));
		AnnSearchEnd(search);
		store_free(&store);
		AnnScratchFree(scratch);
		free(hits);
		free(raw);
	}
}

/* ---- damage and faults ---- */

/* An environment that fails or is cancelled at a given call. */
typedef struct Faulty
{
	long		allocations;
	long		asked;
	long		fail_at;
	long		polls;
	long		cancel_at;
	uint64_t	done;
	uint64_t	total;
	bool		backwards;
} Faulty;

static void *
faulty_alloc(void *ctx, size_t bytes)
{
	Faulty	   *faulty = ctx;

	if (++faulty->asked == faulty->fail_at)
		return NULL;
	faulty->allocations++;
	return AnnMallocEnv.alloc(NULL, bytes);
}

static void
faulty_free(void *ctx, void *p)
{
	((Faulty *) ctx)->allocations--;
	free(p);
}

static bool
faulty_cancelled(void *ctx)
{
	Faulty	   *faulty = ctx;

	return ++faulty->polls == faulty->cancel_at;
}

static void
faulty_progress(void *ctx, uint64_t done, uint64_t total)
{
	Faulty	   *faulty = ctx;

	faulty->backwards = faulty->backwards || done < faulty->done || done > total;
	faulty->done = done;
	faulty->total = total;
}

static AnnEnv
faulty_env(Faulty *faulty)
{
	AnnEnv		env = {.ctx = faulty, .alloc = faulty_alloc, .free = faulty_free,
		.cancelled = faulty_cancelled, .progress = faulty_progress};

	memset(faulty, 0, sizeof(*faulty));
	return env;
}

static long writes_left;

static bool
fail_write(void *ctx, uint32_t id, uint64_t offset, const void *data, size_t bytes)
{
	return --writes_left >= 0 && store_write(ctx, id, offset, data, bytes);
}

/* Build, expand, open and drain a search in env; leaves nothing behind. */
static AnnStatus
whole_life(const Store *model, const uint8_t *raw, AnnWriteSection write, const AnnEnv *env)
{
	const AnnParams *params = &model->params;
	AnnSearchParams search_params = {.ef = 4, .nprobe = 2};
	Store		store = *model;
	AnnScratch *scratch = NULL;
	AnnBuilt	built;
	AnnStatus	status = AnnBuild(params, raw, model->n, 2, env, &built);

	if (status != ANN_OK)
		return status;
	status = AnnExpand(params, model->n, built.sections, built.nsections, store_read, &store,
					   write, &store, env);
	if (status == ANN_OK)
	{
		scratch = AnnScratchCreate(env);
		status = scratch == NULL ? ANN_NO_MEMORY : ANN_OK;
	}
	if (status == ANN_OK)
	{
		AnnSearch  *search = AnnSearchBegin(&model->segment, raw, &search_params, scratch, env);
		AnnHit		hits[100];
		int			nhits = 1;

		status = search == NULL ? ANN_NO_MEMORY : ANN_OK;
		while (status == ANN_OK && nhits > 0)
			status = AnnSearchNext(search, hits, 100, &nhits);
		AnnSearchEnd(search);
	}
	AnnScratchFree(scratch);
	AnnBuiltFree(&built, env);
	return status;
}

/* Each allocation, each look at cancellation and each write fails once. */
static void
test_faults(void)
{
	static const AnnStatus causes[] = {ANN_NO_MEMORY, ANN_CANCELLED, ANN_IO};
	uint32_t	n = 700;

	for (int m = 0; m < BIT_METRICS; m++)
	{
		for (int t = 0; t < BIT_TYPES; t++)
		{
			AnnParams	params = bit_params(bit_types[t], bit_metrics[m], 64);
			uint8_t    *raw;
			Store		model;

			if (!pairs(params.type, params.metric))
				continue;
			params.m = 3;
			params.ef_construction = 8;
			raw = bit_rows(&params, n, 9, 1);
			REQUIRE(store_make(&model, &params, raw, n, 1) == ANN_OK);
			for (int cause = 0; cause < 3; cause++)
			{
				long		failures = 0;

				for (long at = 1;; at++)
				{
					Faulty		faulty;
					AnnEnv		env = faulty_env(&faulty);
					AnnStatus	status;

					writes_left = cause == 2 ? at - 1 : 1000000;
					faulty.fail_at = cause == 0 ? at : 0;
					faulty.cancel_at = cause == 1 ? at : 0;
					status = whole_life(&model, raw, fail_write, &env);
					CHECK(faulty.allocations == 0);
					CHECK(!faulty.backwards);
					if (cause == 0 ? faulty.asked < at : cause == 1 ? faulty.polls < at
						: writes_left >= 0)
					{
						CHECK(status == ANN_OK);
						CHECK(faulty.total == n);
						break;
					}
					REQUIRE(status == causes[cause]);
					failures++;
				}
				CHECK(failures >= 1);
			}
			store_free(&model);
			free(raw);
		}
	}
}

/* A durable section that is missing, shorter or longer is refused, as is another index's. */
static void
test_wrong_sections(void)
{
	for (int t = 1; t < BIT_TYPES; t++)
	{
		AnnParams	params = bit_params(bit_types[t], ANN_HAMMING, 64);
		AnnParams	other = params;
		uint8_t    *raw = bit_rows(&params, 500, 9, 1);
		AnnSection	expanded[ANN_MAX_SECTIONS];
		Store		store;

		REQUIRE(store_make(&store, &params, raw, 500, 1) == ANN_OK);
		for (int i = 0; i < store.built.nsections; i++)
		{
			AnnSection	sections[ANN_MAX_SECTIONS];

			for (int change = 0; change < 4; change++)
			{
				memcpy(sections, store.built.sections, sizeof(sections));
				if (change == 0)
					sections[i].id = 99;
				else if (change == 1)
					sections[i].data = NULL;
				else if (sections[i].id == ANN_SEC_GRAPH)
					continue;	/* its length shows when it is unpacked: test_index_faults.c */
				else
					sections[i].bytes += change == 2 ? 4 : -4;
				CHECK(AnnExpandedSections(&params, 500, sections, store.built.nsections,
										  expanded) == -1);
			}
		}
		for (int i = 0; i < store.nsections; i++)
		{
			AnnSegment	segment;

			store.sections[i].bytes += 4;
			CHECK(AnnOpen(&params, 500, store.sections, store.nsections, &segment) ==
				  ANN_CORRUPT);
			store.sections[i].bytes -= 4;
		}
		other.mh_band = 2;
		other.dim = 128;
		CHECK(AnnExpandedSections(&other, 500, store.built.sections, store.built.nsections,
								  expanded) == (bit_types[t] == ANN_HNSW ? 3 : -1));
		store_free(&store);
		free(raw);
	}
}

/* Hashes out of order and rows out of range are refused; AnnCheck sees the rest. */
static void
test_damaged_hashes(void)
{
	enum
	{
		N = 300, BANDS = 4
	};
	AnnParams	params = bit_params(ANN_MINHASH_LSH, ANN_MHJACCARD, 256);
	uint8_t    *raw = bit_rows(&params, N, 9, 1);
	uint32_t	header = 64 / sizeof(uint32_t);
	char		message[200];
	uint32_t   *words;
	uint32_t   *mapped;
	uint32_t	before;
	Store		store;

	REQUIRE(store_make(&store, &params, raw, N, 1) == ANN_OK);
	REQUIRE(store.built.nsections == 1);
	REQUIRE(store.built.sections[0].bytes == sizeof(uint32_t) * (header + 2 * BANDS * N));
	words = (uint32_t *) store.built.sections[0].data;
	for (uint32_t at = 0; at < header + 2 * BANDS * N; at++)
	{
		Store		damaged = store;
		bool		is_hash = at >= header && (at - header) % (2 * N) < N;
		bool		last = is_hash && (at - header) % N == N - 1;

		if (at >= 5 && at < header)
			continue;			/* room */
		before = words[at];
		words[at] = is_hash ? (last ? 0 : 0xffffffffu) : N + before;
		if (words[at] != before && !(is_hash && last && words[at] == words[at - 1]) &&
			!(is_hash && !last && words[at + 1] == 0xffffffffu))
			CHECK(AnnExpand(&params, N, damaged.built.sections, 1, store_read, &damaged,
							store_write, &damaged, &AnnMallocEnv) == ANN_CORRUPT);
		words[at] = before;
	}

	CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
	mapped = (uint32_t *) store.segment.hashes + header;
	before = mapped[N + 7];
	mapped[N + 7] = mapped[N + 8];
	CHECK(!AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
	mapped[N + 7] = before;
	mapped[2 * N + N - 1]++;
	CHECK(!AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
	CHECK(strstr(message, "band 1") != NULL && strstr(message, "wrong hash") != NULL);
	store_free(&store);
	free(raw);
}

int
main(void)
{
	KernelsInit();
	RUN(test_distances);
	RUN(test_parameters);
	RUN(test_recall);
	RUN(test_flat_is_exact);
	RUN(test_streams_are_complete);
	RUN(test_named_rows);
	RUN(test_calibration);
	RUN(test_few_rows_and_odd_dimensions);
	RUN(test_equal_rows_in_a_graph);
	RUN(test_lists_are_clusters);
	RUN(test_builds_are_deterministic);
	RUN(test_minhash_candidates);
	RUN(test_faults);
	RUN(test_wrong_sections);
	RUN(test_damaged_hashes);
	return CheckDone();
}
