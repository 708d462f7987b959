/*
 * test_index_search.c
 *		Built, expanded and opened segments answer as brute force does.
 */
#include "test_index_support.h"

static const AnnType types[] = {ANN_FLAT, ANN_IVF_FLAT, ANN_HNSW};

#define TYPES 3

/* ---- recall ---- */

/* Every type of index finds what it should for every metric and element type. */
static void
test_recall(void)
{
	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		AnnParams	params = kind_params(kind, ANN_FLAT, 32);
		uint32_t	n = 6000;
		void	   *raw = clustered_rows(&params, n, 20, 1);
		void	   *queries = clustered_rows(&params, 40, 20, 2);

		for (int t = 0; t < TYPES; t++)
		{
			AnnSearchParams search = {.ef = 64, .nprobe = 8};
			char		message[200];
			Store		store;

			params.type = types[t];
			params.nlist = 40;
			REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
			CHECK(store_order_valid(&store));
			CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
			for (int i = 0; i < store.nsections; i++)
				CHECK(store.written[store.sections[i].id] == store.sections[i].bytes);
			if (types[t] == ANN_FLAT)
				CHECK(recall(&store, queries, 40, 10, &search) == 1);
			else
			{
				double		found = recall(&store, queries, 40, 10, &search);

				CHECK(found >= 0.95);
				/* and all of them with the widest setting */
				search.ef = n;
				search.nprobe = params.nlist;
				CHECK(recall(&store, queries, 40, 10, &search) == 1);
			}
			store_free(&store);
		}
		free(raw);
		free(queries);
	}
}

/* Recall of a graph grows with ef, and does not depend on how many threads built it. */
static void
test_threads_reach_the_same_recall(void)
{
	AnnParams	params = kind_params(0, ANN_HNSW, 48);
	uint32_t	n = 12000;
	void	   *raw = clustered_rows(&params, n, 30, 1);
	void	   *queries = clustered_rows(&params, 100, 30, 2);
	static const int threads[] = {1, 2, 4};
	double		wide[3];

	for (int t = 0; t < 3; t++)
	{
		AnnSearchParams search = {.ef = 12};
		char		message[200];
		Store		store;
		double		narrow;

		REQUIRE(store_make(&store, &params, raw, n, threads[t]) == ANN_OK);
		CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
		narrow = recall(&store, queries, 100, 10, &search);
		search.ef = 100;
		wide[t] = recall(&store, queries, 100, 10, &search);
		CHECK(wide[t] >= narrow);
		CHECK(wide[t] >= 0.98);
		CHECK_NEAR(wide[t], wide[0], 0.01);
		store_free(&store);
	}
	free(raw);
	free(queries);
}

/*
 * Clusters as wide as they are apart, each with more rows than ef_construction:
 * no link leads from one to the next on layer 0, so a walk must start in the
 * right one.
 */
static void
test_many_clusters(void)
{
	enum
	{
		DIM = 96, CLUSTERS = 100, AXES = 8, N = 30000, QUERIES = 200
	};
	AnnParams	params = kind_params(0, ANN_HNSW, DIM);
	AnnSearchParams search = {.ef = 24};
	float	   *shapes = allocate(sizeof(float) * CLUSTERS * (1 + AXES) * DIM);
	float	   *raw = allocate(sizeof(float) * (N + QUERIES) * DIM);
	CheckRandom r = {12};
	Store		store;

	for (int i = 0; i < CLUSTERS * (1 + AXES) * DIM; i++)
		shapes[i] = random_normal(&r);
	for (int i = 0; i < N + QUERIES; i++)
	{
		const float *centre = shapes + CheckRandomBits(&r) % CLUSTERS * (1 + AXES) * DIM;

		memcpy(raw + (size_t) i * DIM, centre, sizeof(float) * DIM);
		for (int a = 1; a <= AXES; a++)
		{
			float		along = random_normal(&r) * 0.5f;

			for (int d = 0; d < DIM; d++)
				raw[(size_t) i * DIM + d] += along * centre[a * DIM + d];
		}
	}
	params.m = 8;
	params.ef_construction = 40;
	REQUIRE(store_make(&store, &params, raw, N, 2) == ANN_OK);
	CHECK(recall(&store, raw + (size_t) N * DIM, QUERIES, 10, &search) >= 0.97);
	store_free(&store);
	free(shapes);
	free(raw);
}

/* One thread builds the same bytes each time; expanding them gives the same bytes. */
static void
test_build_and_expand_are_deterministic(void)
{
	for (int t = 0; t < TYPES; t++)
	{
		AnnParams	params = kind_params(0, types[t], 20);
		void	   *raw = clustered_rows(&params, 1500, 9, 1);
		Store		a;
		Store		b;

		REQUIRE(store_make(&a, &params, raw, 1500, 1) == ANN_OK);
		REQUIRE(store_make(&b, &params, raw, 1500, 1) == ANN_OK);
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

/* ---- streaming ---- */

/*
 * A search taken to its end returns every row that is not excluded once, with its
 * exact distance, in order within an answer.
 */
static void
check_stream(const Store *store, const void *query, const uint64_t *excluded, uint32_t ef,
			 int batch, AnnScratch *scratch)
{
	AnnSearchParams params = {.ef = ef, .nprobe = 1 + ef / 16, .excluded = excluded};
	uint32_t	n = store->n;
	uint8_t    *seen = calloc(n + 1, 1);
	AnnHit	   *hits = allocate(sizeof(AnnHit) * batch);
	AnnSearch  *search = AnnSearchBegin(&store->segment, query, &params, scratch, &AnnMallocEnv);
	uint32_t	returned = 0;
	uint32_t	expected = 0;
	int			nhits;

	REQUIRE(search != NULL);
	for (uint32_t i = 0; i < n; i++)
		expected += excluded == NULL || !AnnMapGet(excluded, i);
	do
	{
		CHECK(AnnSearchNext(search, hits, batch, &nhits) == ANN_OK);
		for (int i = 0; i < nhits; i++)
		{
			uint32_t	row = hits[i].row;

			REQUIRE(row < n);
			CHECK(!seen[row]);
			CHECK(excluded == NULL || !AnnMapGet(excluded, row));
			seen[row] = 1;
			CHECK(hits[i].distance ==
				  AnnDistance(&store->params, AnnRow(&store->params, store->segment.raw, row),
							  query));
			CHECK(i == 0 || compare_hits(&hits[i - 1], &hits[i]) < 0);
		}
		returned += (uint32_t) nhits;
	} while (nhits > 0);
	CHECK(returned == expected);
	/* and stays at its end */
	CHECK(AnnSearchNext(search, hits, batch, &nhits) == ANN_OK && nhits == 0);
	AnnSearchEnd(search);
	free(seen);
	free(hits);
}

static uint64_t *
random_map(uint32_t n, double share, CheckRandom *r)
{
	uint64_t   *map = calloc(AnnMapWords(n) + 1, sizeof(uint64_t));

	for (uint32_t i = 0; i < n; i++)
	{
		if (CheckRandomDouble(r, 0, 1) < share)
			AnnMapSet(map, i);
	}
	return map;
}

static void
test_streams_are_complete(void)
{
	static const double shares[] = {0, 0.02, 0.3, 0.9, 0.999, 1};
	CheckRandom r = {3};

	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		for (int t = 0; t < TYPES; t++)
		{
			AnnParams	params = kind_params(kind, types[t], 16);
			uint32_t	n = 4001;
			void	   *raw = clustered_rows(&params, n, 20, 1);
			void	   *queries = clustered_rows(&params, 2, 20, 2);
			AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
			Store		store;

			params.m = 4;
			REQUIRE(store_make(&store, &params, raw, n, 1) == ANN_OK);
			for (int s = 0; s < 6; s++)
			{
				uint64_t   *map = random_map(n, shares[s], &r);

				check_stream(&store, queries, s == 0 ? NULL : map, 8, 10, scratch);
				check_stream(&store, AnnRow(&params, queries, 1), map, 40, 777, scratch);
				free(map);
			}
			AnnScratchFree(scratch);
			store_free(&store);
			free(raw);
			free(queries);
		}
	}
}

/* A walk that goes on returns near rows next: the first thousand are nearly the nearest. */
static void
test_walk_goes_on_in_order(void)
{
	AnnParams	params = kind_params(0, ANN_HNSW, 24);
	uint32_t	n = 40000;
	void	   *raw = clustered_rows(&params, n, 30, 1);
	void	   *queries = clustered_rows(&params, 10, 30, 2);
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	AnnHit	   *hits = allocate(sizeof(AnnHit) * 400);
	int			near = 0;
	Store		store;

	REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
	for (int q = 0; q < 10; q++)
	{
		const void *query = AnnRow(&params, queries, q);
		AnnSearchParams search_params = {.ef = 20};
		AnnHit	   *truth = brute_force(&params, raw, n, query);
		AnnSearch  *search = AnnSearchBegin(&store.segment, query, &search_params, scratch,
											&AnnMallocEnv);

		CHECK(take(search, hits, 400) == 400);
		CHECK(AnnSearchGetStats(search)->batches >= 3);
		CHECK(!AnnSearchGetStats(search)->exhaustive);
		for (int i = 0; i < 400; i++)
			near += hits[i].distance <= truth[440].distance;
		AnnSearchEnd(search);
		free(truth);
	}
	CHECK(near >= 0.95 * 4000);
	store_free(&store);
	AnnScratchFree(scratch);
	free(hits);
	free(raw);
	free(queries);
}

/* Recall among the rows that are left does not suffer from those that are excluded. */
static void
test_recall_with_excluded_rows(void)
{
	static const double shares[] = {0.05, 0.5, 0.8, 0.9, 0.99};
	AnnParams	params = kind_params(0, ANN_HNSW, 24);
	uint32_t	n = 30000;
	void	   *raw = clustered_rows(&params, n, 30, 1);
	void	   *queries = clustered_rows(&params, 50, 30, 2);
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	CheckRandom r = {3};
	Store		store;

	REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
	for (int s = 0; s < 5; s++)
	{
		uint64_t   *map = random_map(n, shares[s], &r);
		AnnSearchParams search_params = {.ef = 64, .excluded = map};
		int			right = 0;

		for (int q = 0; q < 50; q++)
		{
			const void *query = AnnRow(&params, queries, q);
			AnnHit	   *truth = brute_force(&params, store.segment.raw, n, query);
			AnnSearch  *search = AnnSearchBegin(&store.segment, query, &search_params, scratch,
												&AnnMallocEnv);
			AnnHit		hits[10];
			int			found = take(search, hits, 10);
			int			i = 0;

			for (int at = 0; i < 10; at++)
			{
				if (AnnMapGet(map, truth[at].row))
					continue;
				for (int h = 0; h < found; h++)
					right += hits[h].row == truth[at].row;
				i++;
			}
			AnnSearchEnd(search);
			free(truth);
		}
		CHECK(right >= 0.95 * 500);
		free(map);
	}
	store_free(&store);
	AnnScratchFree(scratch);
	free(raw);
	free(queries);
}

/* Rows that match are found where all of them lie far from the query, too. */
static void
test_recall_where_matches_lie_elsewhere(void)
{
	static const double nearer[] = {0.1, 0.5, 0.9};
	AnnParams	params = kind_params(0, ANN_HNSW, 24);
	uint32_t	n = 30000;
	void	   *raw = clustered_rows(&params, n, 30, 1);
	void	   *queries = clustered_rows(&params, 20, 30, 2);
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	Store		store;

	REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
	for (int s = 0; s < 3; s++)
	{
		int			right = 0;

		for (int q = 0; q < 20; q++)
		{
			const void *query = AnnRow(&params, queries, q);
			AnnHit	   *truth = brute_force(&params, store.segment.raw, n, query);
			uint64_t   *map = calloc(n / 64 + 1, sizeof(uint64_t));
			uint32_t	first = (uint32_t) (nearer[s] * n);
			AnnSearchParams search_params = {.ef = 100, .excluded = map};
			AnnSearch  *search;
			AnnHit		hits[10];
			int			found;

			for (uint32_t i = 0; i < first; i++)
				AnnMapSet(map, truth[i].row);
			search = AnnSearchBegin(&store.segment, query, &search_params, scratch, &AnnMallocEnv);
			found = take(search, hits, 10);
			CHECK(found == 10);
			for (int h = 0; h < found; h++)
			{
				CHECK(!AnnMapGet(map, hits[h].row));
				for (uint32_t i = first; i < first + 10; i++)
					right += hits[h].row == truth[i].row;
			}
			AnnSearchEnd(search);
			free(truth);
			free(map);
		}
		CHECK(right >= 0.8 * 200);
	}
	store_free(&store);
	AnnScratchFree(scratch);
	free(raw);
	free(queries);
}

/* A search left open by an error does not disturb the next one with its scratch. */
static void
test_scratch_survives_an_open_search(void)
{
	AnnParams	params = kind_params(0, ANN_HNSW, 16);
	uint32_t	n = 9000;
	void	   *raw = clustered_rows(&params, n, 20, 1);
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	AnnSearchParams search_params = {.ef = 30};
	AnnHit		first[10];
	AnnHit		second[10];
	AnnSearch  *search;
	Store		store;

	REQUIRE(store_make(&store, &params, raw, n, 1) == ANN_OK);
	search = AnnSearchBegin(&store.segment, raw, &search_params, scratch, &AnnMallocEnv);
	CHECK(take(search, first, 10) == 10);
	search = AnnSearchBegin(&store.segment, raw, &search_params, scratch, &AnnMallocEnv);
	CHECK(take(search, second, 10) == 10);
	CHECK(memcmp(first, second, sizeof(first)) == 0);
	AnnSearchEnd(search);
	store_free(&store);
	AnnScratchFree(scratch);
	free(raw);
}

/* ---- corners ---- */

static void
test_few_rows_and_odd_dimensions(void)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 5, 40, 300};
	static const uint32_t dims[] = {1, 7, 64, 2000};

	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		for (int t = 0; t < TYPES; t++)
		{
			for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
			{
				for (size_t d = 0; d < sizeof(dims) / sizeof(*dims); d++)
				{
					AnnParams	params = kind_params(kind, types[t], dims[d]);
					void	   *raw = clustered_rows(&params, sizes[s] + 1, 3, 1);
					AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
					char		message[200];
					Store		store;

					params.m = 2;
					params.ef_construction = 8;
					REQUIRE(store_make(&store, &params, raw, sizes[s], 2) == ANN_OK);
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

static void
test_largest_dimension(void)
{
	for (int t = 0; t < TYPES; t++)
	{
		AnnParams	params = kind_params(0, types[t], ANN_MAX_DIM);
		void	   *raw = clustered_rows(&params, 60, 3, 1);
		AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
		Store		store;

		REQUIRE(store_make(&store, &params, raw, 60, 2) == ANN_OK);
		check_stream(&store, AnnRow(&params, raw, 7), NULL, 4, 9, scratch);
		AnnScratchFree(scratch);
		store_free(&store);
		free(raw);
	}
}

/* Thousands of equal rows among others: all reachable, and the others are still found. */
static void
test_equal_rows(void)
{
	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		AnnParams	params = kind_params(kind, ANN_HNSW, 24);
		uint32_t	n = 9000;
		size_t		row_bytes;
		void	   *raw = clustered_rows(&params, n, 20, 1);
		void	   *queries = clustered_rows(&params, 40, 20, 2);
		AnnSearchParams search = {.ef = 64};
		char		message[200];
		Store		store;

		/* two of three rows are one of ten vectors */
		row_bytes = AnnRowBytes(&params);
		for (uint32_t i = 0; i < n; i++)
		{
			if (i % 3 != 0)
				memcpy((char *) raw + i * row_bytes, (char *) raw + i % 10 * row_bytes * 3,
					   row_bytes);
		}
		REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
		CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
		CHECK(recall(&store, queries, 40, 10, &search) >= 0.95);
		store_free(&store);
		free(raw);
		free(queries);
	}
}

static void
test_all_rows_equal(void)
{
	for (int t = 0; t < TYPES; t++)
	{
		for (int value = 0; value < 2; value++)
		{
			AnnParams	params = kind_params(0, types[t], 10);
			uint32_t	n = 5000;
			float	   *raw = allocate(n * 10 * sizeof(float));
			AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
			char		message[200];
			Store		store;

			for (uint32_t i = 0; i < n * 10; i++)
				raw[i] = (float) value * (float) (1 + i % 10);
			REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
			CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
			check_stream(&store, raw, NULL, 10, 50, scratch);
			AnnScratchFree(scratch);
			store_free(&store);
			free(raw);
		}
	}
}

/* Values whose squares overflow or vanish: nothing breaks, every row comes. */
static void
test_extreme_values(void)
{
	static const float factors[] = {1e30f, 1e18f, 1e-30f, 1e-42f};

	for (int kind = 0; kind < METRICS; kind++)
	{
		for (int t = 0; t < TYPES; t++)
		{
			for (int f = 0; f < 4; f++)
			{
				AnnParams	params = kind_params(kind, types[t], 12);
				uint32_t	n = 3000;
				float	   *raw;
				uint8_t    *seen = calloc(n, 1);
				AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
				AnnSearchParams search_params = {.ef = 10, .nprobe = 2};
				AnnSearch  *search;
				AnnHit		hits[64];
				int			nhits;
				uint32_t	total = 0;
				Store		store;

				raw = clustered_rows(&params, n, 9, 1);
				for (uint32_t i = 0; i < n * 12; i++)
					raw[i] *= i / 12 % 3 == 0 ? 1 : factors[f];
				REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
				search = AnnSearchBegin(&store.segment, raw, &search_params, scratch,
										&AnnMallocEnv);
				do
				{
					CHECK(AnnSearchNext(search, hits, 64, &nhits) == ANN_OK);
					for (int i = 0; i < nhits; i++)
					{
						CHECK(!seen[hits[i].row]);
						CHECK(!isnan(hits[i].distance));
						seen[hits[i].row] = 1;
					}
					total += (uint32_t) nhits;
				} while (nhits > 0);
				CHECK(total == n);
				AnnSearchEnd(search);
				AnnScratchFree(scratch);
				store_free(&store);
				free(raw);
				free(seen);
			}
		}
	}
}

/* ---- lists ---- */

/*
 * At a given nprobe, the answer is that of the same lists searched in float: the
 * nprobe nearest centres, then every row of their lists.
 */
static void
test_ivf_equals_plain_lists(void)
{
	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		AnnParams	params = kind_params(kind, ANN_IVF_FLAT, 20);
		uint32_t	n = 5000;
		void	   *raw = clustered_rows(&params, n, 20, 1);
		void	   *queries = clustered_rows(&params, 20, 20, 2);
		AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
		AnnParams	centre_params = params;
		Store		store;

		params.nlist = 32;
		REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
		REQUIRE(store.segment.nlist == 32);
		centre_params.elem = ANN_F32;
		if (params.metric == ANN_COSINE)
			centre_params.metric = ANN_IP;
		for (int q = 0; q < 20; q++)
		{
			const void *query = AnnRow(&params, queries, q);
			float		query_float[20];
			AnnSearchParams search_params = {.nprobe = 5};
			AnnHit	   *lists;
			AnnHit	   *truth = brute_force(&params, store.segment.raw, n, query);
			uint8_t    *probed = calloc(n, 1);
			AnnHit		hits[10];
			AnnSearch  *search;
			int			at = 0;

			AnnRowToFloat(&params, query, query_float);
			lists = brute_force(&centre_params, store.segment.centroids, 32, query_float);
			for (int l = 0; l < 5; l++)
			{
				for (uint32_t row = store.segment.lists[lists[l].row];
					 row < store.segment.lists[lists[l].row + 1]; row++)
					probed[row] = 1;
			}
			search = AnnSearchBegin(&store.segment, query, &search_params, scratch,
									&AnnMallocEnv);
			REQUIRE(take(search, hits, 10) == 10);
			for (int i = 0; i < 10; i++, at++)
			{
				while (!probed[truth[at].row])
					at++;
				CHECK(hits[i].row == truth[at].row);
				CHECK(hits[i].distance == truth[at].distance);
			}
			AnnSearchEnd(search);
			free(lists);
			free(truth);
			free(probed);
		}
		AnnScratchFree(scratch);
		store_free(&store);
		free(raw);
		free(queries);
	}
}

/* k-means finds the clusters that are there, and lists are not far from even. */
static void
test_kmeans_quality(void)
{
	AnnParams	params = kind_params(0, ANN_IVF_FLAT, 8);
	uint32_t	n = 8000;
	float	   *raw = allocate(n * 8 * sizeof(float));
	CheckRandom r = {77};
	double		inertia = 0;
	uint32_t	largest = 0;
	Store		store;

	/* 16 tight clusters far apart, of equal size */
	for (uint32_t i = 0; i < n; i++)
	{
		for (uint32_t d = 0; d < 8; d++)
			raw[i * 8 + d] = ((i % 16) >> (d % 4) & 1) * 10 + 0.1f * random_normal(&r);
	}
	params.nlist = 64;
	REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
	for (uint32_t l = 0; l < store.segment.nlist; l++)
	{
		uint32_t	first = store.segment.lists[l];
		uint32_t	end = store.segment.lists[l + 1];

		largest = AnnMax(largest, end - first);
		for (uint32_t row = first; row < end; row++)
			inertia += kernels->l2sq_f32((const float *) store.segment.raw + (size_t) row * 8,
										 store.segment.centroids + (size_t) l * 8, 8);
	}
	/* a centre in each cluster leaves the variance of the noise, 8 x 0.01; one missing leaves 50 */
	CHECK(inertia / n < 0.08);
	/* 125 rows a list on average */
	CHECK(largest <= 500);
	store_free(&store);
	free(raw);
}

/* nlist is capped where rows are few, and each row is in the list of its nearest centre. */
static void
test_lists_hold_their_nearest_rows(void)
{
	AnnParams	params = kind_params(0, ANN_IVF_FLAT, 16);
	uint32_t	n = 2000;
	float	   *raw = clustered_rows(&params, n, 12, 5);
	Store		store;

	params.nlist = 4096;
	REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
	CHECK(store.segment.nlist == n / 39);
	for (uint32_t l = 0; l < store.segment.nlist; l++)
	{
		for (uint32_t row = store.segment.lists[l]; row < store.segment.lists[l + 1]; row++)
		{
			const float *x = (const float *) store.segment.raw + (size_t) row * 16;
			float		own = kernels->l2sq_f32(x, store.segment.centroids + (size_t) l * 16, 16);

			for (uint32_t other = 0; other < store.segment.nlist; other++)
				CHECK(own <= 1e-3f + 1.0001f *
					  kernels->l2sq_f32(x, store.segment.centroids + (size_t) other * 16, 16));
		}
	}
	store_free(&store);
	free(raw);
}

int
main(void)
{
	KernelsInit();
	GemmInit();
	RUN(test_recall);
	RUN(test_threads_reach_the_same_recall);
	RUN(test_many_clusters);
	RUN(test_build_and_expand_are_deterministic);
	RUN(test_streams_are_complete);
	RUN(test_walk_goes_on_in_order);
	RUN(test_recall_with_excluded_rows);
	RUN(test_recall_where_matches_lie_elsewhere);
	RUN(test_scratch_survives_an_open_search);
	RUN(test_few_rows_and_odd_dimensions);
	RUN(test_largest_dimension);
	RUN(test_equal_rows);
	RUN(test_all_rows_equal);
	RUN(test_extreme_values);
	RUN(test_ivf_equals_plain_lists);
	RUN(test_kmeans_quality);
	RUN(test_lists_hold_their_nearest_rows);
	return CheckDone();
}
