/*
 * test_codec_pq.c
 *		Product quantizers alone: codes, dots, errors, models from disk, ranking.
 */
#include "test_index_support.h"

#include "index/codec.h"
#include "index/codec_pq.h"

#define THREADS 2

/* Rows coded by a codec. */
typedef struct Coded
{
	AnnParams	params;
	AnnCodecInput input;
	AnnCodes	codes;
	uint64_t	model_bytes;
	void	   *model;
	uint8_t	   *code;
	Sq8Meta	   *meta;
	float	   *mean;
} Coded;

static AnnParams
pq_params(AnnType type, AnnMetric metric, uint32_t dim, uint32_t m, uint32_t nbits)
{
	AnnParams	params = {
		.type = type,
		.metric = metric,
		.elem = ANN_F32,
		.dim = dim,
		.seed = 5,
		.pq_m = m,
		.pq_nbits = nbits,
		.nrq = 2,
	};

	return params;
}

/* Code rows [first, first + n) of order, on memory of the codes' own. */
static void
encode(Coded *c, const uint32_t *order, uint32_t first, uint32_t n)
{
	float	   *scratch = allocate(4 * c->params.dim * sizeof(float));

	c->codes.codec->encode(&c->input, c->model, order, first, n, c->code, c->meta, scratch);
	free(scratch);
}

/* Train and code; the rows are relative to their mean. */
static bool
code_rows(Coded *c, const AnnCodec *codec, const AnnParams *params, const void *raw, uint32_t n)
{
	uint64_t	bytes;

	memset(c, 0, sizeof(*c));
	c->params = *params;
	c->mean = allocate(params->dim * sizeof(float));
	Sq8Mean(params, raw, n, c->mean);
	c->input = (AnnCodecInput){.params = &c->params,
							   .raw = raw,
							   .n = n,
							   .centers = c->mean,
							   .ncenters = 1,
							   .nthreads = THREADS,
							   .env = &AnnMallocEnv};
	if (codec->train(&c->input, &c->model, &c->model_bytes) != ANN_OK ||
		!codec->check(&c->params, c->model, c->model_bytes))
		return false;
	bytes = codec->code_bytes(&c->params, c->model, n);
	c->code = allocate(bytes);
	memset(c->code, 0xa5, bytes);
	c->meta = allocate(n * sizeof(Sq8Meta));
	c->codes = (AnnCodes){&c->params, codec, c->model, c->code, c->meta, n};
	encode(c, NULL, 0, n);
	return true;
}

static void
free_coded(Coded *c)
{
	free(c->mean);
	AnnFree(&AnnMallocEnv, c->model);
	free(c->code);
	free(c->meta);
}

/* A row as it was given, normalised under COSINE, in double. */
static void
load_double(const AnnParams *params, const void *raw, uint32_t row, double *out)
{
	float	   *x = allocate(params->dim * sizeof(float));
	double		norm2 = 0;

	AnnRowToFloat(params, AnnRow(params, raw, row), x);
	for (uint32_t d = 0; d < params->dim; d++)
		norm2 += (double) x[d] * x[d];
	for (uint32_t d = 0; d < params->dim; d++)
		out[d] = params->metric == ANN_COSINE ? x[d] / sqrt(norm2) : x[d];
	free(x);
}

/* A query's memory, ready. */
static AnnCodeQuery
prepare(const Coded *c, const float *query)
{
	AnnCodeQuery out = {.codes = &c->codes,
						.query = query,
						.memory = allocate(c->codes.codec->query_bytes(&c->params, c->model))};

	c->codes.codec->prepare(&out);
	return out;
}

/* The most that quantized products may put a dot off: half a step a subspace; 0 for PQ. */
static double
dot_rounding(const Coded *c, const float *query)
{
	const PqModel *model = c->model;
	double		widest = 0;

	if (c->codes.codec != &AnnCodecPq4)
		return 0;
	for (uint32_t j = 0; j < model->m; j++)
	{
		double		least = INFINITY;
		double		most = -INFINITY;

		for (uint32_t k = 0; k < 16; k++)
		{
			const float *centre = PqCentre(model, PqTable(model, j, 0), k);
			double		product = 0;

			for (uint32_t d = 0; d < model->dsub && j * model->dsub + d < model->dim; d++)
				product += (double) centre[d * PqCentreStep(model)] * query[j * model->dsub + d];
			least = fmin(least, product);
			most = fmax(most, product);
		}
		widest = fmax(widest, most - least);
	}
	return widest / 255 * 0.501 * model->m;
}

/*
 * Meta and dots of all rows against double arithmetic on what decode() says; dots by number and in
 * sequence are the same.
 */
static void
check_codes(const Coded *c, const void *raw)
{
	uint32_t	dim = c->params.dim;
	uint32_t	n = c->codes.n;
	float	   *decoded = allocate(dim * sizeof(float));
	float	   *query = allocate(dim * sizeof(float));
	float	   *dots = allocate(n * sizeof(float));
	float	   *again = allocate(n * sizeof(float));
	uint32_t   *rows = allocate(n * sizeof(uint32_t));
	double	   *x = allocate(dim * sizeof(double));
	CheckRandom	r = {99};
	AnnCodeQuery prepared;
	double		norm = 0;
	double		rounding;

	for (uint32_t d = 0; d < dim; d++)
	{
		query[d] = random_normal(&r);
		norm += (double) query[d] * query[d];
	}
	norm = sqrt(norm);
	prepared = prepare(c, query);
	rounding = dot_rounding(c, query);
	c->codes.codec->dots(&prepared, NULL, 0, n, dots);
	for (uint32_t i = 0; i < n; i++)
	{
		double		norm2 = 0;
		double		error2 = 0;
		double		dot = 0;
		double		size2 = 0;

		c->codes.codec->decode(&c->codes, i, decoded);
		load_double(&c->params, raw, i, x);
		for (uint32_t d = 0; d < dim; d++)
		{
			double		y = (double) c->mean[d] + decoded[d];

			norm2 += y * y;
			error2 += (x[d] - y) * (x[d] - y);
			dot += (double) query[d] * decoded[d];
			size2 += (double) decoded[d] * decoded[d];
		}
		norm2 += (c->input.center_of != NULL ? 0.5 : 0.25) * error2;
		CHECK_NEAR(c->meta[i].norm2, norm2, 1e-6 * norm2 + 1e-30);
		CHECK(c->meta[i].error >= sqrt(error2));
		CHECK(c->meta[i].error <= sqrt(error2) * 1.00001 + 1e-5 * sqrt(norm2) + 1e-6);
		CHECK_NEAR(dots[i], dot, 1e-5 * norm * sqrt(size2) + rounding + 1e-30);
	}

	/* any rows, in any order and number; any range */
	for (uint32_t i = 0; i < n; i++)
		rows[i] = (uint32_t) (CheckRandomBits(&r) % n);
	c->codes.codec->dots(&prepared, rows, 0, n, again);
	for (uint32_t i = 0; i < n; i++)
		CHECK(again[i] == dots[rows[i]]);
	for (int t = 0; t < 20; t++)
	{
		uint32_t	first = (uint32_t) (CheckRandomBits(&r) % n);
		uint32_t	count = (uint32_t) (CheckRandomBits(&r) % (n - first + 1));

		c->codes.codec->dots(&prepared, NULL, first, count, again);
		CHECK(memcmp(again, dots + first, count * sizeof(float)) == 0);
	}
	free(prepared.memory);
	free(decoded);
	free(query);
	free(dots);
	free(again);
	free(rows);
	free(x);
}

/* The whole range of shapes: subspaces, bits, layers, odd dimensions, few rows. */
static void
test_codes(void)
{
	static const struct
	{
		AnnType		type;
		AnnMetric	metric;
		AnnElem		elem;
		uint32_t	dim, m, nbits, nrq, n;
	} cases[] = {
		{ANN_HNSW_PQ, ANN_L2, ANN_F32, 16, 0, 8, 0, 2500},
		{ANN_HNSW_PQ, ANN_COSINE, ANN_F16, 24, 3, 8, 0, 2100},
		{ANN_IVF_PQ, ANN_IP, ANN_F32, 16, 16, 1, 0, 300},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 12, 3, 2, 0, 300},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 20, 5, 3, 0, 300},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 18, 9, 5, 0, 500},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 18, 9, 7, 0, 1500},
		{ANN_IVF_PQ, ANN_IP, ANN_F32, 4, 2, 9, 0, 17000},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 1, 0, 4, 0, 200},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 7, 0, 6, 0, 600},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 64, 1, 4, 0, 200},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 8, 2, 24, 0, 1},
		{ANN_IVF_PQ, ANN_L2, ANN_F32, 8, 2, 24, 0, 100},
		{ANN_HNSW_PRQ, ANN_L2, ANN_F32, 16, 4, 6, 2, 1000},
		{ANN_HNSW_PRQ, ANN_COSINE, ANN_F32, 12, 2, 3, 16, 1100},
		{ANN_HNSW_PRQ, ANN_IP, ANN_F16, 10, 0, 8, 3, 4000},
		{ANN_HNSW_PRQ, ANN_IP, ANN_F32, 12, 2, 8, 1, 2100},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		AnnParams	params =
			pq_params(cases[i].type, cases[i].metric, cases[i].dim, cases[i].m, cases[i].nbits);
		Coded		c;
		void	   *raw;

		params.elem = cases[i].elem;
		params.nrq = cases[i].nrq;
		raw = clustered_rows(&params, cases[i].n, 20, i + 1);
		REQUIRE(code_rows(&c, &AnnCodecPq, &params, raw, cases[i].n));
		check_codes(&c, raw);
		free_coded(&c);
		free(raw);
	}
}

/* Tables of more than 1024 centres have no products a query and lie differently. */
static void
test_wide_tables(void)
{
	AnnParams	params = pq_params(ANN_IVF_PQ, ANN_L2, 6, 2, 11);
	uint32_t	n = 65600;
	void	   *raw = clustered_rows(&params, n, 50, 3);
	Coded		c;

	REQUIRE(code_rows(&c, &AnnCodecPq, &params, raw, n));
	CHECK(((PqModel *) c.model)->nbits == 11);
	CHECK(AnnCodecPq.code_bytes(&params, c.model, n) == (uint64_t) n * 4);
	check_codes(&c, raw);
	free_coded(&c);
	free(raw);
}

static void
test_pq4_codes(void)
{
	static const struct
	{
		AnnMetric	metric;
		uint32_t	dim, m, n;
	} cases[] = {
		{ANN_L2, 16, 0, 1000},   {ANN_IP, 15, 0, 333},   {ANN_COSINE, 9, 3, 320},
		{ANN_L2, 1, 0, 31},      {ANN_L2, 8, 8, 1},      {ANN_COSINE, 12, 1, 40},
		{ANN_L2, 600, 300, 700}, {ANN_IP, 518, 259, 65},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		AnnParams	params = pq_params(ANN_SCANN, cases[i].metric, cases[i].dim, cases[i].m, 4);
		void	   *raw = clustered_rows(&params, cases[i].n, 10, i + 1);
		Coded		c;

		REQUIRE(code_rows(&c, &AnnCodecPq4, &params, raw, cases[i].n));
		for (int t = 0; KernelsTable(t) != NULL; t++)
		{
			if (KernelsUsable(KernelsTable(t)) && KernelsSelect(KernelsTable(t)->name))
				check_codes(&c, raw);
		}
		KernelsSelect("auto");
		free_coded(&c);
		free(raw);
	}
}

/* A code is the nearest of all centres, subspace by subspace. */
static void
test_nearest_centre(void)
{
	AnnParams	params = pq_params(ANN_IVF_PQ, ANN_L2, 24, 6, 7);
	uint32_t	n = 1500;
	void	   *raw = clustered_rows(&params, n, 20, 8);
	float		decoded[24];
	float		residual[24];
	Coded		c;

	for (int four = 0; four < 2; four++)
	{
		const PqModel *model;

		REQUIRE(code_rows(&c, four ? &AnnCodecPq4 : &AnnCodecPq, &params, raw, n));
		model = c.model;
		for (uint32_t i = 0; i < n; i++)
		{
			c.codes.codec->decode(&c.codes, i, decoded);
			AnnCodecResidual(&c.input, i, residual);
			for (uint32_t j = 0; j < model->m; j++)
			{
				double		chosen = 0;
				double		best = INFINITY;

				for (uint32_t d = 0; d < 4; d++)
					chosen += pow((double) residual[j * 4 + d] - decoded[j * 4 + d], 2);
				for (uint32_t k = 0; k < 1u << model->nbits; k++)
				{
					const float *centre = PqCentre(model, PqTable(model, j, 0), k);
					double		distance = 0;

					for (uint32_t d = 0; d < 4; d++)
						distance +=
							pow((double) residual[j * 4 + d] - centre[d * PqCentreStep(model)], 2);
					best = fmin(best, distance);
				}
				CHECK_NEAR(chosen, best, 1e-4 * best + 1e-5);
			}
		}
		free_coded(&c);
	}
	free(raw);
}

/* Mean square error of the codes. */
static double
mean_square(const Coded *c)
{
	double		sum = 0;

	for (uint32_t i = 0; i < c->codes.n; i++)
		sum += (double) c->meta[i].error * c->meta[i].error;
	return sum / c->codes.n;
}

/* Lloyd's algorithm in double on one subspace, from random rows: its mean square error. */
static double
plain_kmeans(const float *x, uint32_t n, uint32_t dim, uint32_t k, uint64_t seed)
{
	double	   *centres = allocate(k * dim * sizeof(double));
	double	   *sums = allocate(k * dim * sizeof(double));
	uint32_t   *counts = allocate(k * sizeof(uint32_t));
	CheckRandom	r = {seed};
	double		error = 0;

	for (uint32_t c = 0; c < k; c++)
	{
		uint32_t	row = (uint32_t) (CheckRandomBits(&r) % n);

		for (uint32_t d = 0; d < dim; d++)
			centres[c * dim + d] = x[row * dim + d];
	}
	for (int iteration = 0; iteration < 25; iteration++)
	{
		memset(sums, 0, k * dim * sizeof(double));
		memset(counts, 0, k * sizeof(uint32_t));
		error = 0;
		for (uint32_t i = 0; i < n; i++)
		{
			double		best = INFINITY;
			uint32_t	at = 0;

			for (uint32_t c = 0; c < k; c++)
			{
				double		distance = 0;

				for (uint32_t d = 0; d < dim; d++)
					distance += pow(x[i * dim + d] - centres[c * dim + d], 2);
				if (distance < best)
				{
					best = distance;
					at = c;
				}
			}
			error += best / n;
			counts[at]++;
			for (uint32_t d = 0; d < dim; d++)
				sums[at * dim + d] += x[i * dim + d];
		}
		for (uint32_t c = 0; c < k; c++)
		{
			for (uint32_t d = 0; counts[c] > 0 && d < dim; d++)
				centres[c * dim + d] = sums[c * dim + d] / counts[c];
		}
	}
	free(centres);
	free(sums);
	free(counts);
	return error;
}

/* Codebooks are as good as those of a plain k-means. */
static void
test_training(void)
{
	AnnParams	params = pq_params(ANN_IVF_PQ, ANN_L2, 6, 2, 5);
	uint32_t	n = 1200;
	void	   *raw = clustered_rows(&params, n, 30, 4);
	float	   *part = allocate(n * 3 * sizeof(float));
	double		plain = 0;
	Coded		c;

	REQUIRE(code_rows(&c, &AnnCodecPq, &params, raw, n));
	for (uint32_t j = 0; j < 2; j++)
	{
		for (uint32_t i = 0; i < n; i++)
		{
			for (uint32_t d = 0; d < 3; d++)
				part[i * 3 + d] = ((float *) raw)[i * 6 + j * 3 + d];
		}
		plain += plain_kmeans(part, n, 3, 32, 17 + j);
	}
	CHECK(mean_square(&c) < 1.08 * plain);
	free(part);
	free_coded(&c);
	free(raw);
}

/* Mean square error of choosing each layer's nearest centre, layer by layer. */
static double
greedy_square(const Coded *c)
{
	const PqModel *model = c->model;
	float	   *rest = allocate(PqPadded(model) * sizeof(float));
	double		sum = 0;
	bool		bounded;

	for (uint32_t i = 0; i < c->codes.n; i++)
	{
		PqLoad(&c->input, model, NULL, i, 1, rest, &bounded);
		for (uint32_t j = 0; j < model->m; j++)
		{
			float	   *x = rest + (size_t) j * model->dsub;

			for (uint32_t l = 0; l < model->layers; l++)
			{
				const float *nearest = NULL;
				double		best = INFINITY;

				for (uint32_t k = 0; k < 1u << model->nbits; k++)
				{
					const float *centre = PqCentre(model, PqTable(model, j, l), k);
					double		distance = 0;

					for (uint32_t d = 0; d < model->dsub; d++)
						distance += pow(x[d] - centre[d * PqCentreStep(model)], 2);
					if (distance < best)
					{
						best = distance;
						nearest = centre;
					}
				}
				for (uint32_t d = 0; d < model->dsub; d++)
					x[d] -= nearest[d * PqCentreStep(model)];
			}
			for (uint32_t d = 0; d < model->dsub; d++)
				sum += (double) x[d] * x[d] / c->codes.n;
		}
	}
	free(rest);
	return sum;
}

/* More layers leave less, and the beam less than the nearest centre of each layer. */
static void
test_layers(void)
{
	double		before = INFINITY;

	for (uint32_t nrq = 1; nrq <= 4; nrq++)
	{
		AnnParams	params = pq_params(ANN_HNSW_PRQ, ANN_L2, 32, 4, 5);
		uint32_t	n = 1500;
		void	   *raw = clustered_rows(&params, n, 40, 6);
		Coded		c;
		double		error;

		params.nrq = nrq;
		REQUIRE(code_rows(&c, &AnnCodecPq, &params, raw, n));
		error = mean_square(&c);
		CHECK(error < 0.8 * before);
		if (nrq > 1)
			CHECK(error < 0.95 * greedy_square(&c));
		else
			CHECK_NEAR(error, greedy_square(&c), 1e-3 * error);
		before = error;
		free_coded(&c);
		free(raw);
	}
}

/* The same model from any number of threads; the same codes from any pieces, in any order. */
static void
test_pieces(void)
{
	for (int kind = 0; kind < 3; kind++)
	{
		const AnnCodec *codec = kind == 2 ? &AnnCodecPq4 : &AnnCodecPq;
		AnnParams	params = pq_params(kind == 1 ? ANN_HNSW_PRQ : ANN_IVF_PQ, ANN_COSINE, 20, 5, 6);
		uint32_t	n = 1001;
		void	   *raw = clustered_rows(&params, n, 20, 2);
		uint32_t   *order = allocate(n * sizeof(uint32_t));
		Coded		c, whole;
		void	   *model;
		uint64_t	bytes;

		REQUIRE(code_rows(&c, codec, &params, raw, n));
		REQUIRE(code_rows(&whole, codec, &params, raw, n));
		c.input.nthreads = 5;
		REQUIRE(codec->train(&c.input, &model, &bytes) == ANN_OK);
		CHECK(bytes == c.model_bytes && memcmp(model, c.model, bytes) == 0);
		AnnFree(&AnnMallocEnv, model);

		for (uint32_t i = 0; i < n; i++)
			order[i] = (uint32_t) ((i * UINT64_C(271)) % n);
		memset(c.code, 0x5a, codec->code_bytes(&params, c.model, n));
		encode(&c, order, 960, 41);
		encode(&c, order, 0, 64);
		encode(&c, order, 64, 896);
		for (uint32_t i = 0; i < n; i++)
		{
			float		a[20];
			float		b[20];

			codec->decode(&c.codes, i, a);
			codec->decode(&whole.codes, order[i], b);
			CHECK(memcmp(a, b, sizeof(a)) == 0);
			CHECK(memcmp(&c.meta[i], &whole.meta[order[i]], sizeof(Sq8Meta)) == 0);
		}
		free_coded(&c);
		free_coded(&whole);
		free(order);
		free(raw);
	}
}

/* Share of the exact ten nearest among the best `window` estimates. */
static double
ranking_recall(const Coded *c, const void *raw, uint32_t window, uint32_t queries)
{
	const AnnParams *params = &c->params;
	uint32_t	n = c->codes.n;
	void	   *asked = clustered_rows(params, queries, 60, 77);
	float	   *query = allocate(params->dim * sizeof(float));
	float	   *dots = allocate(n * sizeof(float));
	double	   *x = allocate(params->dim * sizeof(double));
	AnnHit	   *ranked = allocate(n * sizeof(AnnHit));
	uint32_t	found = 0;

	for (uint32_t q = 0; q < queries; q++)
	{
		AnnHit	   *exact = brute_force(params, raw, n, AnnRow(params, asked, q));
		AnnCodeQuery prepared;
		double		centre = 0;

		load_double(params, asked, q, x);
		for (uint32_t d = 0; d < params->dim; d++)
		{
			query[d] = (float) x[d];
			centre += x[d] * c->mean[d];
		}
		prepared = prepare(c, query);
		c->codes.codec->dots(&prepared, NULL, 0, n, dots);
		for (uint32_t i = 0; i < n; i++)
		{
			ranked[i].row = i;
			ranked[i].distance = (float) ((params->metric == ANN_IP ? 0 : c->meta[i].norm2) -
										  2 * (centre + dots[i]));
		}
		qsort(ranked, n, sizeof(AnnHit), compare_hits);
		for (uint32_t i = 0; i < 10; i++)
		{
			for (uint32_t w = 0; w < window; w++)
				found += ranked[w].row == exact[i].row;
		}
		free(prepared.memory);
		free(exact);
	}
	free(asked);
	free(query);
	free(dots);
	free(x);
	free(ranked);
	return found / (queries * 10.0);
}

/* A ranking by codes has the nearest rows near its top. */
static void
test_ranking(void)
{
	static const AnnMetric metrics[] = {ANN_L2, ANN_IP, ANN_COSINE};

	for (size_t m = 0; m < 3; m++)
	{
		for (int kind = 0; kind < 3; kind++)
		{
			AnnParams	params =
				pq_params(kind == 1 ? ANN_HNSW_PRQ : ANN_IVF_PQ, metrics[m], 64, 0, 8);
			uint32_t	n = 4096;
			void	   *raw = clustered_rows(&params, n, 60, 12);
			Coded		c;
			double		recall;

			REQUIRE(code_rows(&c, kind == 2 ? &AnnCodecPq4 : &AnnCodecPq, &params, raw, n));
			recall = ranking_recall(&c, raw, 40, 20);
			if (getenv("MILVUS_TEST_VERBOSE") != NULL)
				printf("# metric %d kind %d: %.3f %.3f\n", metrics[m], kind,
					   ranking_recall(&c, raw, 10, 20), recall);
			CHECK(recall >= 0.95);
			free_coded(&c);
			free(raw);
		}
	}
}

/* Next to nothing, huge, infinite, equal rows: codes that can be read, errors that own up. */
static void
test_extremes(void)
{
	for (int kind = 0; kind < 3; kind++)
	{
		const AnnCodec *codec = kind == 2 ? &AnnCodecPq4 : &AnnCodecPq;
		AnnParams	params = pq_params(kind == 1 ? ANN_HNSW_PRQ : ANN_IVF_PQ, ANN_L2, 8, 4, 8);
		uint32_t	n = 300;
		float	   *raw = clustered_rows(&params, n, 5, 1);
		float	   *dots = allocate(n * sizeof(float));
		static const float queries[] = {0, 1e-30f, 1, 1e30f, INFINITY, NAN};
		Coded		c;

		for (uint32_t d = 0; d < 8; d++)
		{
			raw[d] = 0;
			raw[8 + d] = 1e-40f;
			raw[16 + d] = d % 2 ? 3e38f : -3e38f;
			raw[24 + d] = 1e20f;
		}
		for (uint32_t i = 150; i < n; i++)
			memcpy(raw + i * 8, raw + 150 * 8, 8 * sizeof(float));
		REQUIRE(code_rows(&c, codec, &params, raw, n));
		CHECK(c.meta[2].error == INFINITY || c.meta[2].error > 1e37f);
		for (uint32_t i = 0; i < n; i++)
			CHECK(c.meta[i].error >= 0 && c.meta[i].norm2 >= 0);
		for (size_t q = 0; q < 6; q++)
		{
			float		query[8];
			AnnCodeQuery prepared;

			for (uint32_t d = 0; d < 8; d++)
				query[d] = d % 3 ? queries[q] : -queries[q];
			prepared = prepare(&c, query);
			codec->dots(&prepared, NULL, 0, n, dots);
			for (uint32_t i = 0; i < n; i++)
				CHECK(q > 2 || isfinite(dots[i]));
			/* equal rows, equal codes */
			CHECK(memcmp(&dots[150], &dots[n - 1], sizeof(float)) == 0);
			free(prepared.memory);
		}
		free_coded(&c);
		free(raw);
		free(dots);
	}
}

/* Whatever check() lets pass can be used, and what it must not let pass it does not. */
static void
test_models_from_disk(void)
{
	CheckRandom	r = {31337};

	for (int kind = 0; kind < 4; kind++)
	{
		const AnnCodec *codec = kind == 2 ? &AnnCodecPq4 : &AnnCodecPq;
		AnnParams	params =
			pq_params(kind == 1 ? ANN_HNSW_PRQ : ANN_IVF_PQ, ANN_L2, 14, kind == 3 ? 7 : 0, 5);
		uint32_t	n = 500;
		void	   *raw = clustered_rows(&params, n, 10, 9);
		float		query[14];
		float		decoded[14];
		float		dots[64];
		AnnParams	other;
		Coded		c;
		uint64_t	bytes;
		int			passed = 0;

		for (uint32_t d = 0; d < 14; d++)
			query[d] = random_normal(&r);
		REQUIRE(code_rows(&c, codec, &params, raw, n));
		bytes = c.model_bytes;

		/* another length, other parameters */
		for (uint64_t cut = 0; cut < bytes; cut += 1 + cut / 7)
			CHECK(!codec->check(&params, c.model, cut));
		CHECK(!codec->check(&params, c.model, bytes - 1));
		CHECK(!codec->check(&params, c.model, bytes + 4));
		CHECK(codec->check(&params, c.model, bytes));
		other = params;
		other.dim = 16;
		CHECK(!codec->check(&other, c.model, bytes));
		other = params;
		other.pq_m = 2;
		CHECK(!codec->check(&other, c.model, bytes));
		CHECK(codec->code_bytes(&other, c.model, n) == 0);
		other.pq_m = 5;
		CHECK(!codec->check(&other, c.model, bytes));
		if (kind != 2)
		{
			other = params;
			other.pq_nbits = 3;
			CHECK(!codec->check(&other, c.model, bytes));
			other = params;
			other.type = kind == 1 ? ANN_IVF_PQ : ANN_HNSW_PRQ;
			CHECK(!codec->check(&other, c.model, bytes));
		}

		/* garbled, the codes too; the copy has just the bytes it says, so that ASan sees more */
		for (int t = 0; t < 3000; t++)
		{
			uint8_t	   *copy = malloc(bytes);
			uint8_t	   *code = malloc(codec->code_bytes(&params, c.model, n));
			uint32_t	flips = 1 + (uint32_t) (CheckRandomBits(&r) % 6);
			uint64_t	span = t % 3 == 0 ? bytes : 24;
			AnnCodes	codes = c.codes;
			AnnCodeQuery prepared = {.codes = &codes, .query = query};

			memcpy(copy, c.model, bytes);
			memcpy(code, c.code, codec->code_bytes(&params, c.model, n));
			for (uint32_t f = 0; f < flips; f++)
			{
				copy[CheckRandomBits(&r) % span] = (uint8_t) CheckRandomBits(&r);
				code[CheckRandomBits(&r) % codec->code_bytes(&params, c.model, n)] ^= 0xff;
			}
			if (codec->check(&params, copy, bytes))
			{
				passed++;
				codes.model = copy;
				codes.codes = code;
				prepared.memory = allocate(codec->query_bytes(&params, copy));
				codec->prepare(&prepared);
				codec->dots(&prepared, NULL, n - 64, 64, dots);
				for (uint32_t i = 0; i < n; i++)
					codec->decode(&codes, i, decoded);
				free(prepared.memory);
			}
			free(copy);
			free(code);
		}
		CHECK(passed > 0 && passed < 2900);
		free_coded(&c);
		free(raw);
	}
}

/* An environment that refuses the nth allocation, or stops at the nth question. */
typedef struct Faults
{
	int			allocations;
	int			questions;
	int			live;
} Faults;

static void *
fault_alloc(void *ctx, size_t bytes)
{
	Faults	   *faults = ctx;

	if (--faults->allocations == 0)
		return NULL;
	faults->live++;
	return allocate(bytes);
}

static void
fault_free(void *ctx, void *p)
{
	((Faults *) ctx)->live--;
	free(p);
}

static bool
fault_cancelled(void *ctx)
{
	return --((Faults *) ctx)->questions == 0;
}

/* Training ends with a status and no memory left when memory or patience ends. */
static void
test_faults(void)
{
	AnnParams	params = pq_params(ANN_HNSW_PRQ, ANN_L2, 12, 3, 4);
	uint32_t	n = 600;
	void	   *raw = clustered_rows(&params, n, 10, 9);
	int			refused = 0;
	int			cancelled = 0;

	for (int at = 1; at < 100; at++)
	{
		Faults		faults = {.allocations = at % 2 ? (at + 1) / 2 : 0,
						 .questions = at % 2 ? 0 : at * 2};
		AnnEnv		env = {&faults, fault_alloc, fault_free, fault_cancelled, NULL};
		AnnCodecInput input = {.params = &params,
							   .raw = raw,
							   .n = n,
							   .nthreads = 1,
							   .env = &env,
							   .ncenters = 1,
							   .centers = allocate(12 * sizeof(float))};
		void	   *model = NULL;
		uint64_t	bytes;
		AnnStatus	status;

		memset((float *) input.centers, 0, 12 * sizeof(float));
		status = AnnCodecPq.train(&input, &model, &bytes);
		refused += status == ANN_NO_MEMORY;
		cancelled += status == ANN_CANCELLED;
		CHECK((status == ANN_OK) == (model != NULL));
		if (model != NULL)
			AnnFree(&env, model);
		CHECK(faults.live == 0);
		free((float *) input.centers);
	}
	CHECK(refused == 7);
	CHECK(cancelled > 20);
	free(raw);
}

/* Few rows make few bits, never more than were asked for. */
static void
test_bits(void)
{
	static const struct
	{
		uint32_t	n, asked, got;
	} cases[] = {
		{1, 8, 1},    {16, 8, 1},    {64, 8, 3},     {2047, 8, 7},
		{2048, 8, 8}, {2048, 24, 8}, {16384, 24, 9}, {5000, 6, 6},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		AnnParams	params = pq_params(ANN_HNSW_PQ, ANN_L2, 4, 1, cases[i].asked);
		void	   *raw = clustered_rows(&params, cases[i].n, 10, 9);
		Coded		c;

		REQUIRE(code_rows(&c, &AnnCodecPq, &params, raw, cases[i].n));
		CHECK(((PqModel *) c.model)->nbits == cases[i].got);
		free_coded(&c);
		free(raw);
	}
}

int
main(void)
{
	KernelsInit();
	RUN(test_codes);
	RUN(test_wide_tables);
	RUN(test_pq4_codes);
	RUN(test_nearest_centre);
	RUN(test_training);
	RUN(test_layers);
	RUN(test_pieces);
	RUN(test_ranking);
	RUN(test_extremes);
	RUN(test_models_from_disk);
	RUN(test_faults);
	RUN(test_bits);
	return CheckDone();
}
