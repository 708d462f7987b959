/*
 * test_index_scan.c
 *		Codes, their bounds, and the exact scan over them.
 */
#include "test_index_support.h"

/* ---- bounds ---- */

enum Shape
{
	SHAPE_NORMAL,
	SHAPE_CLUSTERED,			/* far from the origin, near each other */
	SHAPE_LARGE,
	SHAPE_TINY,
	SHAPE_HUGE,					/* squares overflow in float32 */
	SHAPE_DENORMAL,
	SHAPE_SPIKE,				/* one element dwarfs the others */
	SHAPE_INTEGERS,
	SHAPES
};

/* One element of a row of some shape; float16 is kept within its range. */
static float
shaped(enum Shape shape, bool half, uint32_t d, CheckRandom *r)
{
	float		x = random_normal(r);

	switch (shape)
	{
		case SHAPE_NORMAL:
			return x;
		case SHAPE_CLUSTERED:
			return 10 + 0.01f * x;
		case SHAPE_LARGE:
			return x * (half ? 1000 : 1e15f);
		case SHAPE_TINY:
			return x * (half ? 1e-4f : 1e-15f);
		case SHAPE_HUGE:
			return x * (half ? 5000 : 1e30f);
		case SHAPE_DENORMAL:
			return x * (half ? 1e-7f : 1e-40f);
		case SHAPE_SPIKE:
			return d == 3 ? 500 * x : 0.1f * x;
		case SHAPE_INTEGERS:
			return roundf(x * 2);
		case SHAPES:
			break;
	}
	return 0;
}

static void *
shaped_rows(const AnnParams *params, enum Shape shape, uint32_t n, CheckRandom *r)
{
	void	   *raw = allocate(AnnRowBytes(params) * n);

	for (uint32_t i = 0; i < n; i++)
	{
		for (uint32_t d = 0; d < params->dim; d++)
			put_element(params, raw, (size_t) i * params->dim + d,
						shaped(shape, params->elem == ANN_F16, d, r));
	}
	return raw;
}

/* No exact distance, as the machine computes it, lies below the bound from the codes. */
static void
check_bounds(const AnnParams *params, enum Shape shape, enum Shape query_shape, CheckRandom *r,
			 double *tightness, int *measured)
{
	enum
	{
		ROWS = 64, QUERIES = 4
	};
	uint32_t	dim = params->dim;
	size_t		stride = Sq8Stride(dim);
	void	   *raw = shaped_rows(params, shape, ROWS, r);
	void	   *queries = shaped_rows(params, query_shape, QUERIES, r);
	float	   *mean = allocate(sizeof(float) * dim);
	uint8_t    *codes = allocate(stride * ROWS);
	int8_t	   *query_codes = allocate(stride);
	Sq8Meta		meta[ROWS];
	int32_t		dots[ROWS];
	float		estimates[ROWS];
	float		bounds[ROWS];

	/* one query is a row: its distance is next to nothing */
	memcpy(queries, raw, AnnRowBytes(params));
	Sq8Mean(params, raw, ROWS, mean);
	for (int centred = 0; centred < 2; centred++)
	{
		const float *centre = centred ? mean : NULL;

		Sq8Encode(params, centre, raw, ROWS, codes, meta);
		for (int q = 0; q < QUERIES; q++)
		{
			Sq8Query	query;

			AnnSq8Query(params, centre, AnnRow(params, queries, q), query_codes, &query);
			kernels->sq8_dot_seq(codes, stride, ROWS, query_codes, stride, dots);
			AnnSq8Estimate(&query, meta, NULL, dots, ROWS, estimates);
			memcpy(bounds, estimates, sizeof(bounds));
			AnnSq8Bounds(&query, meta, NULL, ROWS, bounds);
			for (int i = 0; i < ROWS; i++)
			{
				float		exact = AnnDistance(params, AnnRow(params, raw, i),
												AnnRow(params, queries, q));

				CHECK(!isnan(bounds[i]));
				CHECK(!isnan(estimates[i]));
				CHECK(isnan(exact) || bounds[i] <= exact);
				if (shape == SHAPE_NORMAL && query_shape == SHAPE_NORMAL && q > 0 &&
					params->elem != ANN_I8)
				{
					/* the gap, in units of the spread of distances */
					*tightness += (exact - bounds[i]) /
						(params->metric == ANN_COSINE ? 1 : 2 * dim);
					(*measured)++;
				}
			}
		}
	}
	free(raw);
	free(queries);
	free(mean);
	free(codes);
	free(query_codes);
}

static void
test_bounds_hold(void)
{
	static const uint32_t dims[] = {1, 2, 3, 16, 63, 64, 65, 384, 1000, 4096};
	CheckRandom r = {99};

	for (int t = 0; KernelsTable(t) != NULL; t++)
	{
		double		tightness = 0;
		int			measured = 0;

		if (!KernelsUsable(KernelsTable(t)))
			continue;
		KernelsSelect(KernelsTable(t)->name);
		for (int kind = 0; kind < ALL_KINDS; kind++)
		{
			for (size_t d = 0; d < sizeof(dims) / sizeof(*dims); d++)
			{
				AnnParams	params = kind_params(kind, ANN_FLAT, dims[d]);

				if (!Sq8Supports(params.metric))
					continue;
				for (int shape = 0; shape < SHAPES; shape++)
				{
					check_bounds(&params, shape, shape, &r, &tightness, &measured);
					check_bounds(&params, shape, (shape + 1) % SHAPES, &r, &tightness,
								 &measured);
				}
			}
		}
		/* and they are worth having: on average within a few hundredths */
		CHECK(measured > 0);
		CHECK(tightness / measured < 0.05);
	}
	KernelsSelect("auto");
}

/* Decoded codes are within the error that the meta data say, and not by far. */
static void
test_codes_decode(void)
{
	CheckRandom r = {5};

	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		AnnParams	params = kind_params(kind, ANN_FLAT, 100);
		size_t		stride = Sq8Stride(params.dim);
		void	   *raw;
		uint8_t    *codes;
		float		mean[100];
		Sq8Meta		meta[20];

		if (!Sq8Supports(params.metric))
			continue;
		raw = shaped_rows(&params, SHAPE_NORMAL, 20, &r);
		codes = allocate(stride * 20);
		Sq8Mean(&params, raw, 20, mean);
		Sq8Encode(&params, mean, raw, 20, codes, meta);
		for (int i = 0; i < 20; i++)
		{
			float		x[100];
			double		norm2 = 0;
			double		error2 = 0;
			double		decoded2 = 0;
			int			sum = 0;

			AnnRowToFloat(&params, AnnRow(&params, raw, i), x);
			for (int d = 0; d < 100; d++)
				norm2 += (double) x[d] * x[d];
			for (int d = 0; d < 100; d++)
			{
				int			c = codes[i * stride + d] - SQ8_ZERO;
				double		value = params.metric == ANN_COSINE ? x[d] / sqrt(norm2) : x[d];
				double		decoded = (double) c * meta[i].scale;

				sum += c;
				decoded2 += decoded * decoded;
				error2 += (value - mean[d] - decoded) * (value - mean[d] - decoded);
			}
			for (size_t d = 100; d < stride; d++)
				CHECK(codes[i * stride + d] == SQ8_ZERO);
			CHECK(sum == meta[i].sum);
			CHECK_NEAR(decoded2, meta[i].norm2, 1e-5 * decoded2);
			CHECK(sqrt(error2) <= meta[i].error);
			CHECK(sqrt(error2) >= 0.98 * meta[i].error);
		}
		free(raw);
		free(codes);
	}
}

/* Rows all equal, or all zero, have codes of zeros and no error. */
static void
test_codes_of_equal_rows(void)
{
	AnnParams	params = kind_params(0, ANN_FLAT, 50);
	float		raw[3 * 50];
	float		mean[50];
	uint8_t    *codes = allocate(Sq8Stride(50) * 3);
	Sq8Meta		meta[3];

	for (int value = 0; value < 2; value++)
	{
		for (int i = 0; i < 150; i++)
			raw[i] = (float) value * 3;
		Sq8Mean(&params, raw, 3, mean);
		Sq8Encode(&params, mean, raw, 3, codes, meta);
		for (size_t i = 0; i < Sq8Stride(50) * 3; i++)
			CHECK(codes[i] == SQ8_ZERO);
		for (int i = 0; i < 3; i++)
			CHECK(meta[i].scale == 0 && meta[i].norm2 == 0 && meta[i].error == 0 &&
				  meta[i].sum == 0);
	}
	free(codes);
}

/* ---- keys ---- */

static void
test_keys_sort_and_select(void)
{
	CheckRandom r = {31};

	for (int round = 0; round < 400; round++)
	{
		size_t		n = CheckRandomBits(&r) % 3000;
		size_t		want = 1 + CheckRandomBits(&r) % 600;
		uint64_t   *keys = allocate(sizeof(uint64_t) * (n + 1));
		uint64_t	largest = 0;
		uint64_t	sum = 0;
		size_t		chosen;

		for (size_t i = 0; i < n; i++)
		{
			/* few distances, so long runs of ties; ascending in some rounds */
			keys[i] = (round % 3 == 0 ? i / 10 : CheckRandomBits(&r) % 50) << 32 | i;
			sum += keys[i];
		}
		chosen = AnnSelectKeys(keys, n, want);
		CHECK(chosen <= n);
		CHECK(chosen >= AnnMin(n, 1));
		for (size_t i = 0; i < chosen; i++)
			largest = AnnMax(largest, keys[i]);
		for (size_t i = chosen; i < n; i++)
			CHECK(keys[i] > largest);
		AnnSortKeys(keys, n);
		for (size_t i = 0; i < n; i++)
		{
			CHECK(i == 0 || keys[i - 1] < keys[i]);
			sum -= keys[i];
		}
		CHECK(sum == 0);
		free(keys);
	}
}

static void
test_keys_order_floats(void)
{
	static const float values[] = {-INFINITY, -FLT_MAX, -1, -1e-40f, 0, 1e-40f, 1, FLT_MAX, INFINITY};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
	{
		CHECK(AnnKeyDistance(AnnKey(values[i], 7)) == values[i]);
		CHECK(i == 0 || AnnKey(values[i - 1], UINT32_MAX) < AnnKey(values[i], 0));
	}
}

/* ---- the scan ---- */

typedef struct Rows
{
	const AnnParams *params;
	const void *raw;
	const void *query;
	const uint64_t *left_out;
} Rows;

static float
exact_distance(void *ctx, uint32_t row)
{
	const Rows *rows = ctx;

	if (rows->left_out != NULL && AnnMapGet(rows->left_out, row))
		return NAN;
	return AnnDistance(rows->params, AnnRow(rows->params, rows->raw, row), rows->query);
}

/*
 * A scan, rows added in parts between answers, returns what brute force does.
 * The parts are added before the first answer, except the last one, whose rows
 * may come too late to be in order.
 */
static void
check_scan(const AnnParams *params, const void *raw, uint32_t n, const void *query,
		   const uint64_t *excluded, const uint64_t *left_out, CheckRandom *r)
{
	size_t		stride = Sq8Stride(params->dim);
	bool		coded = Sq8Supports(params->metric);
	uint8_t    *codes = allocate(stride * n);
	Sq8Meta    *meta = allocate(sizeof(Sq8Meta) * n);
	float	   *mean = allocate(sizeof(float) * params->dim);
	AnnHit	   *truth = brute_force(params, raw, n, query);
	Rows		rows = {params, raw, query, left_out};
	AnnScan    *scan;
	uint32_t	expected = 0;
	uint32_t	got = 0;

	Sq8Mean(params, raw, n, mean);
	if (coded)
		Sq8Encode(params, mean, raw, n, codes, meta);
	scan = AnnScanBegin(params, query, mean, exact_distance, &rows, &AnnMallocEnv);
	REQUIRE(scan != NULL);
	for (uint32_t at = 0; at < n;)
	{
		uint32_t	part = 1 + (uint32_t) (CheckRandomBits(r) % 700);

		part = AnnMin(part, n - at);
		CHECK((coded ? AnnScanAddCodes(scan, codes + at * stride, stride, meta + at, at, part,
									   excluded)
			   : AnnScanAddRaw(scan, AnnRow(params, raw, at), at, part, excluded)) == ANN_OK);
		at += part;
	}
	for (;;)
	{
		AnnHit		hits[37];
		int			nhits;

		CHECK(AnnScanNext(scan, hits, 1 + (int) (CheckRandomBits(r) % 37), &nhits) == ANN_OK);
		if (nhits == 0)
			break;
		for (int i = 0; i < nhits; i++)
		{
			while (expected < n &&
				   ((excluded != NULL && AnnMapGet(excluded, truth[expected].row)) ||
					(left_out != NULL && AnnMapGet(left_out, truth[expected].row))))
				expected++;
			REQUIRE(expected < n);
			CHECK(hits[i].row == truth[expected].row);
			CHECK(hits[i].distance == truth[expected].distance);
			expected++;
			got++;
		}
	}
	for (uint32_t i = 0; i < n; i++)
	{
		if ((excluded == NULL || !AnnMapGet(excluded, i)) &&
			(left_out == NULL || !AnnMapGet(left_out, i)))
			got--;
	}
	CHECK(got == 0);
	AnnScanEnd(scan);
	free(codes);
	free(meta);
	free(mean);
	free(truth);
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
test_scan_is_exact(void)
{
	static const uint32_t sizes[] = {1, 2, 63, 256, 257, 2500};
	CheckRandom r = {17};

	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
		{
			AnnParams	params = kind_params(kind, ANN_FLAT, 40);
			uint32_t	n = sizes[s];
			void	   *raw = clustered_rows(&params, n, 5, 3);
			void	   *query = clustered_rows(&params, 1, 5, 4);
			uint64_t   *few = random_map(n, 0.1, &r);
			uint64_t   *most = random_map(n, 0.97, &r);

			/* equal rows: ties */
			for (uint32_t i = 3; i < n; i += 7)
				memcpy((char *) raw + i * AnnRowBytes(&params), raw, AnnRowBytes(&params));
			check_scan(&params, raw, n, query, NULL, NULL, &r);
			check_scan(&params, raw, n, query, few, NULL, &r);
			check_scan(&params, raw, n, query, most, NULL, &r);
			check_scan(&params, raw, n, query, NULL, few, &r);
			check_scan(&params, raw, n, query, few, most, &r);
			check_scan(&params, raw, n, raw, NULL, NULL, &r);
			free(raw);
			free(query);
			free(few);
			free(most);
		}
	}
}

static void
test_scan_of_odd_values_is_exact(void)
{
	CheckRandom r = {23};

	for (int kind = 0; kind < ALL_KINDS; kind++)
	{
		for (int shape = 0; shape < SHAPES; shape++)
		{
			AnnParams	params = kind_params(kind, ANN_FLAT, 33);
			void	   *raw;
			void	   *query;

			/* lengths that float cannot square have no cosine */
			if (params.metric == ANN_COSINE && (shape == SHAPE_HUGE || shape == SHAPE_DENORMAL))
				continue;
			if (params.metric == ANN_COSINE && params.elem == ANN_I8 && shape == SHAPE_TINY)
				continue;
			/* infinities of both signs have no inner product */
			if (params.metric == ANN_IP && shape == SHAPE_HUGE)
				continue;
			raw = shaped_rows(&params, shape, 500, &r);
			query = shaped_rows(&params, shape, 1, &r);
			check_scan(&params, raw, 500, query, NULL, NULL, &r);
			free(raw);
			free(query);
		}
	}
}

/* Rows added after some answers: every row comes once, each answer in order. */
static void
test_scan_takes_rows_between_answers(void)
{
	AnnParams	params = kind_params(0, ANN_FLAT, 24);
	uint32_t	n = 3000;
	size_t		stride = Sq8Stride(24);
	void	   *raw = clustered_rows(&params, n, 5, 8);
	void	   *query = clustered_rows(&params, 1, 5, 9);
	uint8_t    *codes = allocate(stride * n);
	Sq8Meta    *meta = allocate(sizeof(Sq8Meta) * n);
	uint8_t    *seen = calloc(n, 1);
	Rows		rows = {&params, raw, query, NULL};
	AnnScan    *scan = AnnScanBegin(&params, query, NULL, exact_distance, &rows, &AnnMallocEnv);
	uint32_t	total = 0;

	Sq8Encode(&params, NULL, raw, n, codes, meta);
	for (uint32_t at = 0; at <= n; at += 500)
	{
		AnnHit		hits[300];
		int			nhits;

		if (at < n)
			CHECK(AnnScanAddCodes(scan, codes + at * stride, stride, meta + at, at, 500, NULL) ==
				  ANN_OK);
		do
		{
			CHECK(AnnScanNext(scan, hits, 300, &nhits) == ANN_OK);
			for (int i = 0; i < nhits; i++)
			{
				CHECK(i == 0 || compare_hits(&hits[i - 1], &hits[i]) < 0);
				CHECK(hits[i].row < n && !seen[hits[i].row]);
				seen[hits[i].row] = 1;
				total++;
			}
		} while (at == n && nhits > 0);
	}
	CHECK(total == n);
	/* most rows were never compared exactly before they were asked for */
	CHECK(AnnScanGetStats(scan)->exact_distances == n);
	AnnScanEnd(scan);
	free(raw);
	free(query);
	free(codes);
	free(meta);
	free(seen);
}

/* The first answers cost few exact distances. */
static void
test_scan_is_lazy(void)
{
	AnnParams	params = kind_params(0, ANN_FLAT, 64);
	uint32_t	n = 5000;
	size_t		stride = Sq8Stride(64);
	void	   *raw = clustered_rows(&params, n, 5, 8);
	void	   *query = clustered_rows(&params, 1, 5, 9);
	uint8_t    *codes = allocate(stride * n);
	Sq8Meta    *meta = allocate(sizeof(Sq8Meta) * n);
	Rows		rows = {&params, raw, query, NULL};
	AnnScan    *scan = AnnScanBegin(&params, query, NULL, exact_distance, &rows, &AnnMallocEnv);
	AnnHit		hits[10];
	int			nhits;

	Sq8Encode(&params, NULL, raw, n, codes, meta);
	CHECK(AnnScanAddCodes(scan, codes, stride, meta, 0, n, NULL) == ANN_OK);
	CHECK(AnnScanNext(scan, hits, 10, &nhits) == ANN_OK);
	CHECK(nhits == 10);
	CHECK(AnnScanGetStats(scan)->code_distances == n);
	CHECK(AnnScanGetStats(scan)->exact_distances < 60);
	AnnScanEnd(scan);
	free(raw);
	free(query);
	free(codes);
	free(meta);
}

int
main(void)
{
	KernelsInit();
	RUN(test_keys_order_floats);
	RUN(test_keys_sort_and_select);
	RUN(test_codes_decode);
	RUN(test_codes_of_equal_rows);
	RUN(test_bounds_hold);
	RUN(test_scan_is_exact);
	RUN(test_scan_of_odd_values_is_exact);
	RUN(test_scan_takes_rows_between_answers);
	RUN(test_scan_is_lazy);
	return CheckDone();
}
