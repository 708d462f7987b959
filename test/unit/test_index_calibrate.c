/*
 * test_index_calibrate.c
 *		Whether a search at the effort that AnnCalibrate measured finds what it
 *		promised, for queries that neither the build nor the calibration saw.
 */
#include "test_index_support.h"

#define N 20000
#define DIM 48
#define QUERIES 200
#define K 10

/* Share of the K nearest rows found, over all queries. */
static double
recall_at(const Store *store, const void *queries, const AnnHit *truth, uint32_t effort)
{
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	uint32_t	found = 0;

	for (uint32_t i = 0; i < QUERIES; i++)
	{
		AnnSearchParams params = {.ef = effort, .nprobe = effort};
		AnnSearch  *search = AnnSearchBegin(&store->segment, AnnRow(&store->params, queries, i), &params,
											scratch, &AnnMallocEnv);
		AnnHit		hits[K];
		int			n;

		CHECK(AnnSearchNext(search, hits, K, &n) == ANN_OK);
		for (int j = 0; j < n; j++)
			found += hits[j].distance <= truth[i * K + K - 1].distance;
		AnnSearchEnd(search);
	}
	AnnScratchFree(scratch);
	return found / (double) (QUERIES * K);
}

/* The K nearest rows of every query, by comparing all of them. */
static void
find_truth(const Store *store, const void *queries, AnnHit *truth)
{
	for (uint32_t i = 0; i < QUERIES; i++)
	{
		AnnHit	   *best = truth + i * K;
		int			n = 0;

		for (uint32_t row = 0; row < store->n; row++)
		{
			AnnHit		hit = {AnnDistance(&store->params, AnnRow(&store->params, store->raw, row),
										   AnnRow(&store->params, queries, i)), row};
			int			at = n;

			if (n == K && hit.distance >= best[K - 1].distance)
				continue;
			n += n < K;
			for (at = n - 1; at > 0 && best[at - 1].distance > hit.distance; at--)
				best[at] = best[at - 1];
			best[at] = hit;
		}
	}
}

static void
test_promise(AnnType type, AnnMetric metric, AnnElem elem)
{
	static const double targets[] = {0.8, 0.9, 0.95, 0.99};
	AnnParams	params = {
		.type = type, .metric = metric, .elem = elem, .dim = DIM,
		.m = 8, .ef_construction = 60, .nlist = 128, .seed = 7,
	};
	void	   *raw = clustered_rows(&params, N + QUERIES, 200, 11);
	const void *queries = AnnRow(&params, raw, N);
	AnnHit	   *truth = allocate(sizeof(AnnHit) * QUERIES * K);
	AnnCalibration calibration;
	Store		store;
	uint32_t	last = 0;

	CHECK(store_make(&store, &params, raw, N, 2) == ANN_OK);
	CHECK(AnnCalibrate(&store.segment, NULL, NULL, &AnnMallocEnv, &calibration) == ANN_OK);
	find_truth(&store, queries, truth);
	for (int i = 0; i < 4; i++)
	{
		uint32_t	effort = AnnEffortFor(type, &calibration, targets[i]);
		double		recall = recall_at(&store, queries, truth, effort);

		/* 200 queries place a recall within two hundredths */
		CHECK(recall >= targets[i] - 0.02);
		/* and is not bought with everything there is, nor the same for every target */
		CHECK(effort >= last);
		last = effort;
	}
	CHECK(AnnEffortFor(type, &calibration, 0.8) < 512);
	for (int e = 1; e < ANN_EFFORTS; e++)
		CHECK(calibration.recall[e] >= calibration.recall[e - 1]);
	free(truth);
	free(raw);
	store_free(&store);
}

/* Few rows are not measured: what is not known is searched in full. */
static void
test_unknown(void)
{
	AnnParams	params = {
		.type = ANN_HNSW, .metric = ANN_L2, .elem = ANN_F32, .dim = DIM,
		.m = 8, .ef_construction = 60, .seed = 7,
	};
	void	   *raw = clustered_rows(&params, 10, 2, 11);
	AnnCalibration calibration;
	Store		store;

	CHECK(store_make(&store, &params, raw, 10, 1) == ANN_OK);
	CHECK(AnnCalibrate(&store.segment, NULL, NULL, &AnnMallocEnv, &calibration) == ANN_OK);
	CHECK(AnnEffortFor(ANN_HNSW, &calibration, 0.5) == ANN_MAX_ROWS);
	CHECK(AnnEfforts(ANN_FLAT) == NULL);
	free(raw);
	store_free(&store);
}

static void
test_graph(void)
{
	for (AnnMetric metric = ANN_L2; metric <= ANN_COSINE; metric++)
		test_promise(ANN_HNSW, metric, ANN_F32);
	test_promise(ANN_HNSW, ANN_L2, ANN_F16);
}

static void
test_lists(void)
{
	for (AnnMetric metric = ANN_L2; metric <= ANN_COSINE; metric++)
		test_promise(ANN_IVF_FLAT, metric, ANN_F32);
}

int
main(void)
{
	KernelsInit();
	GemmInit();
	RUN(test_graph);
	RUN(test_lists);
	RUN(test_unknown);
	return CheckDone();
}
