/*
 * test_codec_rabitq.c
 *		RaBitQ codes: held against a rotation written out as a matrix, against the law of
 *		their error, and against exact distances.
 */
#include "test_index_support.h"

#include "index/codec.h"
#include "index/ivf.h"

static const AnnCodec *const codec = &AnnCodecRabitq;

/* Rows coded, with all that belongs to them. */
typedef struct Coded
{
	AnnParams	params;
	AnnCodecInput input;
	AnnCodes	codes;
	void	   *model;
	uint64_t	model_bytes;
	uint8_t    *bytes;
	Sq8Meta    *meta;
	size_t		stride;
} Coded;

static AnnParams
rabitq_params(AnnMetric metric, uint32_t dim)
{
	return (AnnParams) {
		.type = ANN_IVF_RABITQ, .metric = metric, .elem = ANN_F32, .dim = dim, .nlist = 16,
		.seed = 5,
	};
}

/* Code n rows; centers NULL: the origin. */
static void
coded_make(Coded *coded, const AnnParams *params, const float *raw, uint32_t n,
		   const float *centers, uint32_t ncenters, const uint32_t *center_of)
{
	static const float origin[ANN_MAX_DIM];
	float	   *scratch = allocate(sizeof(float) * 4 * params->dim);

	memset(coded, 0, sizeof(*coded));
	coded->params = *params;
	coded->input = (AnnCodecInput) {
		.params = &coded->params, .raw = raw, .n = n,
		.centers = centers != NULL ? centers : origin, .ncenters = centers != NULL ? ncenters : 1,
		.center_of = center_of, .nthreads = 1, .env = &AnnMallocEnv,
	};
	CHECK(codec->train(&coded->input, &coded->model, &coded->model_bytes) == ANN_OK);
	CHECK(codec->check(params, coded->model, coded->model_bytes));
	coded->stride = codec->code_bytes(params, coded->model, 1);
	CHECK(coded->stride == (params->dim + 63) / 64 * 8);
	coded->bytes = allocate(codec->code_bytes(params, coded->model, n));
	coded->meta = allocate(sizeof(Sq8Meta) * n);
	codec->encode(&coded->input, coded->model, NULL, 0, n, coded->bytes, coded->meta, scratch);
	coded->codes = (AnnCodes) {
		.params = &coded->params, .codec = codec, .model = coded->model,
		.codes = coded->bytes, .meta = coded->meta, .n = n,
	};
	free(scratch);
}

static void
coded_free(Coded *coded)
{
	AnnMallocEnv.free(AnnMallocEnv.ctx, coded->model);
	free(coded->bytes);
	free(coded->meta);
}

static const float *
center_of_row(const Coded *coded, uint32_t row)
{
	uint32_t	center = coded->input.center_of != NULL ? coded->input.center_of[row] : 0;

	return coded->input.centers + (size_t) center * coded->params.dim;
}

static double
dot_product(const float *a, const float *b, uint32_t dim)
{
	double		sum = 0;

	for (uint32_t d = 0; d < dim; d++)
		sum += (double) a[d] * b[d];
	return sum;
}

static double
square_distance(const float *a, const float *b, uint32_t dim)
{
	double		sum = 0;

	for (uint32_t d = 0; d < dim; d++)
		sum += ((double) a[d] - b[d]) * ((double) a[d] - b[d]);
	return sum;
}

static float *
normal_rows(uint32_t n, uint32_t dim, float offset, uint64_t seed)
{
	CheckRandom r = {seed * 0x9e3779b97f4a7c15u + 1};
	float	   *rows = allocate(sizeof(float) * n * dim);

	for (size_t i = 0; i < (size_t) n * dim; i++)
		rows[i] = offset + random_normal(&r);
	return rows;
}

/* Dots of n rows with a query. */
static void
dots_of(const Coded *coded, const float *query, uint32_t query_bits, const uint32_t *rows,
		uint32_t first, uint32_t n, float *out)
{
	AnnCodeQuery prepared = {.codes = &coded->codes, .query = query, .query_bits = query_bits};

	prepared.memory = allocate(codec->query_bytes(&coded->params, coded->model));
	codec->prepare(&prepared);
	codec->dots(&prepared, rows, first, n, out);
	free(prepared.memory);
}

/* What codec.h makes of a dot: |x - q|^2 - |q|^2, or -(x . q) under IP. */
static double
estimate_of(const Coded *coded, const float *query, uint32_t row, float dot)
{
	double		product = dot_product(query, center_of_row(coded, row), coded->params.dim) + dot;

	return coded->params.metric == ANN_IP ? -product : coded->meta[row].norm2 - 2 * product;
}

/* ---- codes ---- */

/*
 * The rotation as a matrix: column j of P^T is half of what the codes with and without bit
 * j decode to.  It is orthogonal, spreads every axis over all others, and its signs of P r are
 * the code of r.
 */
static void
test_code_is_signs_of_rotation(void)
{
	static const uint32_t dims[] = {64, 128, 192, 320, 448, 960};

	for (int t = 0; t < (int) (sizeof(dims) / sizeof(dims[0])); t++)
	{
		uint32_t	dim = dims[t];
		AnnParams	params = rabitq_params(ANN_L2, dim);
		float	   *raw = normal_rows(20, dim, 0.3f, t);
		float	   *p = allocate(sizeof(float) * dim * dim);
		float	   *with = allocate(sizeof(float) * dim);
		float	   *without = allocate(sizeof(float) * dim);
		uint8_t    *bytes;
		Sq8Meta		one = {.scale = 1};
		double		fourth = 0;
		Coded		coded;
		AnnCodes	codes;

		/* among the rows one axis and a constant */
		memset(raw, 0, sizeof(float) * dim);
		raw[t] = 1;
		for (uint32_t d = 0; d < dim; d++)
			raw[dim + d] = 2;
		coded_make(&coded, &params, raw, 20, NULL, 0, NULL);
		bytes = allocate(coded.stride);
		codes = coded.codes;
		codes.codes = bytes;
		codes.meta = &one;
		codes.n = 1;
		for (uint32_t j = 0; j < dim; j++)
		{
			memset(bytes, 0, coded.stride);
			codec->decode(&codes, 0, without);
			bytes[j / 8] = (uint8_t) (1 << (j % 8));
			codec->decode(&codes, 0, with);
			for (uint32_t d = 0; d < dim; d++)
				p[(size_t) j * dim + d] = (with[d] - without[d]) / 2;
		}

		for (uint32_t i = 0; i < dim; i++)
		{
			for (uint32_t j = i; j < dim; j++)
				CHECK_NEAR(dot_product(p + (size_t) i * dim, p + (size_t) j * dim, dim), i == j,
						   1e-4);
			for (uint32_t d = 0; d < dim; d++)
			{
				double		x = p[(size_t) i * dim + d] * sqrt(dim);

				CHECK(fabs(x) < 7);
				fourth += x * x * x * x / dim / dim;
			}
		}
		/* 3 is that of a normal distribution, dim / 64 that of a rotation of blocks of 64 alone */
		CHECK(fourth < 3.6);

		for (uint32_t row = 0; row < 20; row++)
		{
			for (uint32_t j = 0; j < dim; j++)
			{
				double		z = dot_product(p + (size_t) j * dim, raw + (size_t) row * dim, dim);
				bool		set = coded.bytes[row * coded.stride + j / 8] >> (j % 8) & 1;

				CHECK(fabs(z) < 1e-4 || set == (z > 0));
			}
		}
		coded_free(&coded);
		free(raw);
		free(p);
		free(with);
		free(without);
		free(bytes);
	}
}

static const uint32_t odd_dims[] = {1, 2, 7, 8, 63, 64, 65, 100, 384, 449, 1000, 1536, 4097, 32768};

#define N_ODD_DIMS ((int) (sizeof(odd_dims) / sizeof(odd_dims[0])))

/* meta is what decode and exact arithmetic say, and decode . r = |r|^2. */
static void
test_meta_describes_decoded_row(void)
{
	for (int t = 0; t < N_ODD_DIMS; t++)
	{
		uint32_t	dim = odd_dims[t];
		uint32_t	n = dim > 2000 ? 4 : 40;
		AnnParams	params = rabitq_params(t % 2 == 0 ? ANN_L2 : ANN_COSINE, dim);
		float	   *raw = normal_rows(n, dim, 0.5f, 100 + t);
		float	   *centers = normal_rows(3, dim, 0.5f, 200 + t);
		float	   *decoded = allocate(sizeof(float) * dim);
		float	   *residual = allocate(sizeof(float) * dim);
		uint32_t	center_of[40];
		Coded		coded;

		for (uint32_t i = 0; i < n; i++)
			center_of[i] = i * 7 % 3;
		coded_make(&coded, &params, raw, n, centers, 3, center_of);
		for (uint32_t i = 0; i < n; i++)
		{
			const Sq8Meta *meta = &coded.meta[i];
			const float *c = center_of_row(&coded, i);
			double		norm = 1;
			double		r2;
			int			ones = 0;

			if (params.metric == ANN_COSINE)
				norm = sqrt(dot_product(raw + (size_t) i * dim, raw + (size_t) i * dim, dim));
			for (uint32_t d = 0; d < dim; d++)
				residual[d] = (float) (raw[(size_t) i * dim + d] / norm - c[d]);
			r2 = dot_product(residual, residual, dim);
			codec->decode(&coded.codes, i, decoded);
			CHECK_NEAR(dot_product(residual, decoded, dim) / r2, 1, 1e-4);
			CHECK_NEAR(meta->error, sqrt(square_distance(residual, decoded, dim)), 1e-5 * sqrt(r2));
			CHECK_NEAR(meta->norm2, dot_product(c, c, dim) + r2 + 2 * dot_product(c, decoded, dim),
					   1e-5 * (dot_product(c, c, dim) + r2));
			for (uint32_t b = 0; b < coded.stride * 8; b++)
				ones += coded.bytes[i * coded.stride + b / 8] >> (b % 8) & 1;
			CHECK(meta->sum == ones);
			/* <o_bar, o> is about .8: sqrt(1 / .8^2 - 1) = .75 */
			if (dim >= 384)
				CHECK_NEAR(meta->error / sqrt(r2), 0.7555, 0.15);
		}
		coded_free(&coded);
		free(raw);
		free(centers);
		free(decoded);
		free(residual);
	}
}

/* Codes do not depend on how the rows are divided among calls, and follow `order`. */
static void
test_encode_in_pieces(void)
{
	uint32_t	dim = 200;
	uint32_t	n = 300;
	AnnParams	params = rabitq_params(ANN_COSINE, dim);
	float	   *raw = normal_rows(n, dim, 0.2f, 3);
	float	   *centers = normal_rows(5, dim, 0.2f, 4);
	float	   *scratch = allocate(sizeof(float) * 4 * dim);
	uint32_t   *center_of = allocate(sizeof(uint32_t) * n);
	uint32_t   *order = allocate(sizeof(uint32_t) * n);
	Sq8Meta    *meta = allocate(sizeof(Sq8Meta) * n);
	uint8_t    *bytes;
	Coded		coded;

	for (uint32_t i = 0; i < n; i++)
	{
		center_of[i] = i % 5;
		order[i] = (i * 7 + 11) % n;
	}
	coded_make(&coded, &params, raw, n, centers, 5, center_of);
	bytes = allocate(coded.stride * n);
	for (uint32_t first = 0; first < n;)
	{
		uint32_t	piece = AnnMin(1 + first % 31, n - first);

		codec->encode(&coded.input, coded.model, order, first, piece, bytes, meta, scratch);
		first += piece;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		CHECK(memcmp(&meta[i], &coded.meta[order[i]], sizeof(Sq8Meta)) == 0);
		CHECK(memcmp(bytes + i * coded.stride, coded.bytes + order[i] * coded.stride,
					 coded.stride) == 0);
	}
	coded_free(&coded);
	free(raw);
	free(centers);
	free(scratch);
	free(center_of);
	free(order);
	free(meta);
	free(bytes);
}

/* Without centres rows are relative to the origin alone, as to a centre of zero. */
static void
test_encode_without_centres(void)
{
	uint32_t	dim = 100;
	uint32_t	n = 50;
	AnnParams	params = rabitq_params(ANN_L2, dim);
	float	   *raw = normal_rows(n, dim, 3, 5);
	float	   *moved = allocate(sizeof(float) * n * dim);
	float	   *scratch = allocate(sizeof(float) * 4 * dim);
	float		origin[100];
	Coded		coded;
	Coded		other;

	for (uint32_t d = 0; d < dim; d++)
		origin[d] = 3.0f + (float) d;
	for (size_t i = 0; i < (size_t) n * dim; i++)
		moved[i] = raw[i] - origin[i % dim];
	coded_make(&coded, &params, moved, n, NULL, 0, NULL);
	coded_make(&other, &params, raw, n, NULL, 0, NULL);
	other.input.origin = origin;
	other.input.centers = NULL;
	other.input.ncenters = 0;
	codec->encode(&other.input, other.model, NULL, 0, n, other.bytes, other.meta, scratch);
	CHECK(memcmp(other.bytes, coded.bytes, coded.stride * n) == 0);
	CHECK(memcmp(other.meta, coded.meta, sizeof(Sq8Meta) * n) == 0);
	coded_free(&coded);
	coded_free(&other);
	free(raw);
	free(moved);
	free(scratch);
}

/* ---- dots ---- */

/*
 * dot = q . decode(code) on every kernel table, rows in sequence and by number, the query
 * rounded or not; rounded, up to the rounding of the query.
 */
static void
test_dots_are_of_decoded_rows(void)
{
	/*
	 * share of |q|^2 that the best even rounding of normal numbers to as many bits loses (Max
	 * 1960); with many bits, a few elements that stand out lose more
	 */
	static const double lost[] = {0, .3634, .1188, .03744, .01154, .0035, .00104, .0003, .00009};
	const VectorKernels *before = kernels;

	for (int t = 0; t < N_ODD_DIMS; t++)
	{
		uint32_t	dim = odd_dims[t];
		uint32_t	n = dim > 2000 ? 5 : 300;
		AnnParams	params = rabitq_params(ANN_L2, dim);
		float	   *raw = normal_rows(n, dim, 0.5f, 300 + t);
		float	   *center = allocate(sizeof(float) * dim);
		float	   *query = normal_rows(1, dim, 0.5f, 500 + t);
		float	   *decoded = allocate(sizeof(float) * n * dim);
		float	   *sequence = allocate(sizeof(float) * n);
		float	   *numbered = allocate(sizeof(float) * n);
		uint32_t   *rows = allocate(sizeof(uint32_t) * n);
		double		q = sqrt(dot_product(query, query, dim));
		Coded		coded;

		/* the mean, so that residuals are independent of each other */
		for (uint32_t d = 0; d < dim; d++)
			center[d] = 0.5f;
		coded_make(&coded, &params, raw, n, center, 1, NULL);
		for (uint32_t i = 0; i < n; i++)
		{
			codec->decode(&coded.codes, i, decoded + (size_t) i * dim);
			rows[i] = i * 5 / 7 * 3 % n;	/* some twice */
		}
		for (int k = 0; KernelsTable(k) != NULL; k++)
		{
			if (!KernelsUsable(KernelsTable(k)))
				continue;
			kernels = KernelsTable(k);
			for (uint32_t bits = 0; bits <= ANN_MAX_RBQ_QUERY_BITS; bits++)
			{
				double		off2 = 0;
				double		all2 = 0;

				dots_of(&coded, query, bits, NULL, 2, n - 2, sequence + 2);
				dots_of(&coded, query, bits, NULL, 0, 2, sequence);
				dots_of(&coded, query, bits, rows, 17, n, numbered);
				for (uint32_t i = 0; i < n; i++)
				{
					const float *row = decoded + (size_t) i * dim;
					double		length = sqrt(dot_product(row, row, dim)) * q;
					double		off = sequence[i] - dot_product(query, row, dim);

					CHECK_NEAR(numbered[i], sequence[rows[i]], length * 1e-5);
					if (bits == 0)
						CHECK_NEAR(off, 0, length * 1e-4);
					off2 += off * off;
					all2 += length * length / dim;
				}
				if (dim >= 384 && n > 100)
					CHECK(off2 <= lost[bits] / (1 - lost[bits]) * (bits > 4 ? 2.5 : 1.3) * all2 +
						  1e-6 * all2);
			}
		}
		kernels = before;
		coded_free(&coded);
		free(raw);
		free(center);
		free(query);
		free(decoded);
		free(sequence);
		free(numbered);
		free(rows);
	}
}

/*
 * The rounded query, written out: element j of P q^ is half of what the dots with and without
 * bit j differ by.  It has at most 2^bits levels, evenly spaced, q^.q = |q|^2, and its
 * distance from q is what the query says.
 */
static void
test_rounded_query(void)
{
	enum
	{
		DIM = 192
	};
	AnnParams	params = rabitq_params(ANN_L2, DIM);
	float	   *query = normal_rows(1, DIM, 0.2f, 8);
	double		q2 = dot_product(query, query, DIM);
	uint8_t    *bytes;
	Sq8Meta		meta[DIM + 1];
	Coded		coded;

	coded_make(&coded, &params, query, 1, NULL, 0, NULL);
	bytes = allocate(coded.stride * (DIM + 1));
	memset(bytes, 0, coded.stride * (DIM + 1));
	for (uint32_t i = 0; i <= DIM; i++)
	{
		meta[i] = (Sq8Meta) {.scale = 1, .sum = i < DIM};
		if (i < DIM)
			bytes[i * coded.stride + i / 8] |= (uint8_t) (1 << (i % 8));
	}
	coded.codes.codes = bytes;
	coded.codes.meta = meta;
	coded.codes.n = DIM + 1;
	for (uint32_t bits = 1; bits <= ANN_MAX_RBQ_QUERY_BITS; bits++)
	{
		AnnCodeQuery prepared = {.codes = &coded.codes, .query = query, .query_bits = bits,
			.norm2 = (float) q2};
		float		dots[DIM + 1];
		float		exact[DIM + 1];
		double		along = 0;
		double		off2 = 0;
		double		gap = INFINITY;

		prepared.memory = allocate(codec->query_bytes(&params, coded.model));
		codec->prepare(&prepared);
		codec->dots(&prepared, NULL, 0, DIM + 1, dots);
		free(prepared.memory);
		dots_of(&coded, query, 0, NULL, 0, DIM + 1, exact);
		for (uint32_t i = 0; i < DIM; i++)
		{
			double		rounded = (dots[i] - dots[DIM]) / 2;
			double		rotated = (exact[i] - exact[DIM]) / 2;

			along += rounded * rotated;
			off2 += (rounded - rotated) * (rounded - rotated);
			for (uint32_t j = 0; j < i; j++)
			{
				double		apart = fabs(dots[i] - dots[j]) / 2;

				if (apart > 1e-3 && apart < gap)
					gap = apart;
			}
		}
		CHECK_NEAR(along / q2, 1, 1e-4);
		CHECK_NEAR(prepared.error / sqrt(off2), 1, 1e-2);
		for (uint32_t i = 0; i < DIM; i++)
		{
			double		step = (dots[i] - dots[0]) / 2 / gap;

			CHECK(fabs(step) < (1 << bits) - 0.5);
			CHECK_NEAR(step, round(step), 0.05);
		}
	}
	coded.codes.codes = coded.bytes;
	coded_free(&coded);
	free(bytes);
	free(query);
}

/*
 * Over rotations, the estimates of one distance average to it, and scatter as meta.error says;
 * also of a row that lies along an axis, and with the query rounded to a bit.
 */
static void
test_estimates_are_unbiased(void)
{
	enum
	{
		SEEDS = 600
	};
	static const uint32_t dims[] = {30, 128, 200, 448};
	static const uint32_t query_bits[] = {0, 1, 4};

	for (int t = 0; t < 4 * 3 * 3; t++)
	{
		uint32_t	dim = dims[t % 4];
		uint32_t	bits = query_bits[t / 4 % 3];
		AnnParams	params = rabitq_params((AnnMetric[]) {ANN_L2, ANN_IP, ANN_COSINE}[t / 12], dim);
		float	   *raw = normal_rows(2, dim, 0.5f, 600 + t);
		float	   *center = normal_rows(1, dim, 0.5f, 700 + t);
		float	   *query = raw + dim;
		double		sum = 0;
		double		square = 0;
		double		law = 0;
		double		truth;
		double		reach;
		double		deviation;

		if (t % 2 == 0)
		{
			memcpy(raw, center, sizeof(float) * dim);
			raw[dim / 2] += 9;
		}
		if (params.metric == ANN_COSINE)
		{
			for (int i = 0; i < 3; i++)
			{
				float	   *x = i < 2 ? raw + (size_t) i * dim : center;
				double		norm = sqrt(dot_product(x, x, dim));

				for (uint32_t d = 0; d < dim; d++)
					x[d] = (float) (x[d] / norm);
			}
		}
		if (params.metric == ANN_IP)
		{
			truth = -dot_product(raw, query, dim);
			reach = sqrt(dot_product(query, query, dim));
		}
		else
		{
			truth = square_distance(raw, query, dim) - dot_product(query, query, dim);
			reach = 2 * sqrt(square_distance(raw, query, dim));
		}
		for (uint32_t seed = 0; seed < SEEDS; seed++)
		{
			Coded		coded;
			float		dot;
			double		off;

			params.seed = seed * 1001;
			coded_make(&coded, &params, raw, 1, center, 1, NULL);
			dots_of(&coded, query, bits, NULL, 0, 1, &dot);
			off = estimate_of(&coded, query, 0, dot) - truth;
			sum += off / SEEDS;
			square += off * off / SEEDS;
			law += pow(coded.meta[0].error * reach, 2) / dim / SEEDS;
			coded_free(&coded);
		}
		deviation = sqrt(square - sum * sum);
		/* five times what the mean of so many scatters by */
		CHECK_NEAR(sum, 0, 5 * deviation / sqrt(SEEDS));
		/* less where a part of the query lies along the row, which adds nothing */
		if (bits == 0)
			CHECK(square < 1.2 * law && square > 0.25 * law);
		free(raw);
		free(center);
	}
}

/* Over rows, errors are within 1, 2 and 3 times the formula as often as a normal variable's. */
static void
test_error_law_over_rows(void)
{
	static const double usual[] = {.683, .954, .9973};

	for (int t = 0; t < 6; t++)
	{
		uint32_t	dim = (uint32_t[]) {64, 100, 384, 448, 768, 1000}[t];
		uint32_t	n = 2000;
		AnnParams	params = rabitq_params(ANN_L2, dim);
		float	   *raw = clustered_rows(&params, n, 10, 800 + t);
		float	   *center = normal_rows(1, dim, 0.5f, 900 + t);
		float	   *dots = allocate(sizeof(float) * n);
		int			within[3] = {0};
		int			compared = 0;
		Coded		coded;

		coded_make(&coded, &params, raw, n, center, 1, NULL);
		for (uint32_t q = 0; q < 20; q++)
		{
			const float *query = raw + (size_t) q * 97 * dim;

			dots_of(&coded, query, 0, NULL, 0, n, dots);
			for (uint32_t i = 0; i < n; i++)
			{
				double		distance = square_distance(raw + (size_t) i * dim, query, dim);
				double		off = estimate_of(&coded, query, i, dots[i]) +
					dot_product(query, query, dim) - distance;
				double		sigma = 2 * coded.meta[i].error * sqrt(distance / dim);

				if (distance == 0)
					continue;
				compared++;
				for (int s = 0; s < 3; s++)
					within[s] += fabs(off) <= (s + 1) * sigma;
			}
		}
		for (int s = 0; s < 3; s++)
			CHECK((double) within[s] / compared > usual[s] - 0.02);
		CHECK((double) within[0] / compared < 0.85);
		coded_free(&coded);
		free(raw);
		free(center);
		free(dots);
	}
}

/* ---- recall ---- */

typedef struct Ranked
{
	double		estimate;
	uint32_t	row;
} Ranked;

static int
compare_ranked(const void *a, const void *b)
{
	const Ranked *x = a;
	const Ranked *y = b;

	return (x->estimate > y->estimate) - (x->estimate < y->estimate);
}

/* Recall@10 of the 10, 50 and 200 rows of the smallest estimates, compared exactly. */
static void
measure_recall(const Coded *coded, const float *queries, uint32_t nqueries, uint32_t query_bits,
			   double *recall)
{
	static const uint32_t refined[] = {10, 50, 200};
	uint32_t	dim = coded->params.dim;
	uint32_t	n = coded->codes.n;
	float	   *dots = allocate(sizeof(float) * n);
	Ranked	   *ranked = allocate(sizeof(Ranked) * n);

	recall[0] = recall[1] = recall[2] = 0;
	for (uint32_t q = 0; q < nqueries; q++)
	{
		const float *query = queries + (size_t) q * dim;
		AnnHit	   *truth = brute_force(&coded->params, coded->input.raw, n, query);

		dots_of(coded, query, query_bits, NULL, 0, n, dots);
		for (uint32_t i = 0; i < n; i++)
			ranked[i] = (Ranked) {estimate_of(coded, query, i, dots[i]), i};
		qsort(ranked, n, sizeof(Ranked), compare_ranked);
		for (int k = 0; k < 3; k++)
		{
			for (uint32_t i = 0; i < refined[k]; i++)
				recall[k] += AnnDistance(&coded->params,
										 AnnRow(&coded->params, coded->input.raw, ranked[i].row),
										 query) <= truth[9].distance;
		}
		free(truth);
	}
	for (int k = 0; k < 3; k++)
		recall[k] /= 10.0 * nqueries;
	free(dots);
	free(ranked);
}

/*
 * Recall@10 by estimates alone, and with 5 and 20 times as many rows compared exactly.  The least
 * values are below what was measured by about twice what 400 answers scatter by.  Normal
 * rows are the hardest data: all lie about equally far from a query.
 */
static void
test_recall_with_refinement(void)
{
	static const struct
	{
		AnnMetric	metric;
		bool		clustered;
		uint32_t	query_bits;
		double		least[3];
	}			cases[] = {
		{ANN_L2, false, 0, {.26, .63, .91}},
		{ANN_L2, false, 4, {.26, .63, .91}},
		{ANN_L2, false, 8, {.26, .63, .91}},
		{ANN_L2, true, 0, {.81, .99, .999}},
		{ANN_L2, true, 4, {.81, .99, .999}},
		{ANN_L2, true, 8, {.81, .99, .999}},
		{ANN_L2, true, 1, {.6, .9, .99}},
		{ANN_COSINE, true, 0, {.78, .99, .999}},
		{ANN_COSINE, true, 4, {.78, .99, .999}},
		{ANN_COSINE, true, 8, {.78, .99, .999}},
		{ANN_IP, true, 0, {.73, .98, .999}},
		{ANN_IP, true, 4, {.73, .98, .999}},
		{ANN_IP, true, 8, {.73, .98, .999}},
	};
	uint32_t	dim = 128;
	uint32_t	n = 5000;
	uint32_t	nqueries = 40;
	uint32_t	k = 16;

	for (int t = 0; t < (int) (sizeof(cases) / sizeof(cases[0])); t++)
	{
		AnnParams	params = rabitq_params(cases[t].metric, dim);
		float	   *raw = cases[t].clustered ? clustered_rows(&params, n + nqueries, 20, 1)
			: normal_rows(n + nqueries, dim, 0, 1);
		float	   *queries = raw + (size_t) n * dim;
		float	   *centers = allocate(sizeof(float) * k * dim);
		uint32_t   *center_of = allocate(sizeof(uint32_t) * n);
		double		recall[3];
		Coded		coded;

		if (params.metric == ANN_COSINE)
		{
			for (uint32_t i = 0; i < nqueries; i++)
			{
				float	   *q = queries + (size_t) i * dim;
				double		norm = sqrt(dot_product(q, q, dim));

				for (uint32_t d = 0; d < dim; d++)
					q[d] = (float) (q[d] / norm);
			}
		}
		REQUIRE(AnnKmeans(&params, raw, n, k, 1, &AnnMallocEnv, centers) == ANN_OK);
		REQUIRE(AnnKmeansAssign(&params, raw, n, centers, k, 1, &AnnMallocEnv, center_of) ==
				ANN_OK);
		coded_make(&coded, &params, raw, n, centers, k, center_of);
		measure_recall(&coded, queries, nqueries, cases[t].query_bits, recall);
		printf("# %s %s, query bits %u: recall@10 %.3f, refined 5x %.3f, 20x %.3f\n",
			   AnnMetricName(params.metric), cases[t].clustered ? "clustered" : "gaussian",
			   cases[t].query_bits, recall[0], recall[1], recall[2]);
		for (int i = 0; i < 3; i++)
			CHECK(recall[i] >= cases[t].least[i]);
		coded_free(&coded);
		free(raw);
		free(centers);
		free(center_of);
	}
}

/* ---- rows and models that are out of the ordinary ---- */

/* Rows on their centre, constant, huge, tiny and infinitely far: sensible numbers everywhere. */
static void
test_degenerate_rows(void)
{
	static const float values[] = {0, 1, -1, 1e-45f, 1e-38f, 1e-20f, 1e15f, 1e18f, 3e38f};
	const uint32_t n = sizeof(values) / sizeof(values[0]);

	for (int t = 0; t < N_ODD_DIMS; t++)
	{
		uint32_t	dim = odd_dims[t];
		AnnParams	params = rabitq_params(ANN_L2, dim);
		float	   *raw = allocate(sizeof(float) * n * dim);
		float	   *decoded = allocate(sizeof(float) * dim);
		float		dots[sizeof(values) / sizeof(values[0])];
		Coded		coded;

		for (uint32_t i = 0; i < n; i++)
		{
			for (uint32_t d = 0; d < dim; d++)
				raw[(size_t) i * dim + d] = values[i];
		}
		coded_make(&coded, &params, raw, n, NULL, 0, NULL);
		for (uint32_t i = 0; i < n; i++)
		{
			double		r2 = (double) values[i] * values[i] * dim;

			codec->decode(&coded.codes, i, decoded);
			if (r2 > 1e38)
			{
				CHECK(isinf(coded.meta[i].error) && coded.meta[i].error > 0);
				CHECK(coded.meta[i].scale == 0 && coded.meta[i].sum == 0);
			}
			else
			{
				CHECK_NEAR(coded.meta[i].norm2, r2, r2 * 1e-6 + 1e-44);
				CHECK(coded.meta[i].error <= 1.3 * sqrt(r2) + 1e-43);
				/* denormal numbers have few digits */
				CHECK_NEAR(dot_product(decoded, raw + (size_t) i * dim, dim), r2,
						   r2 * (sqrt(r2) < 1e-30 ? 1 : 1e-4));
			}
		}
		/* every row is a query too, those included that have no codes */
		for (uint32_t q = 0; q < n; q++)
		{
			for (uint32_t bits = 0; bits <= ANN_MAX_RBQ_QUERY_BITS; bits += 4)
			{
				double		q2 = (double) values[q] * values[q] * dim;

				dots_of(&coded, raw + (size_t) q * dim, bits, NULL, 0, n, dots);
				for (uint32_t i = 0; i < n; i++)
				{
					double		r2 = (double) values[i] * values[i] * dim;

					CHECK(!isnan(dots[i]));
					/* parallel vectors: the estimate is the product */
					if (bits == 0 && q2 > 1e-30 && q2 < 1e37 && r2 > 1e-30 && r2 < 1e37)
						CHECK_NEAR(dots[i] / sqrt(q2 * r2), values[q] * values[i] > 0 ? 1 : -1,
								   1e-3);
				}
			}
		}
		coded_free(&coded);
		free(raw);
		free(decoded);
	}
}

/* A row whose difference from the centre overflows. */
static void
test_infinite_residual(void)
{
	uint32_t	dim = 16;
	AnnParams	params = rabitq_params(ANN_L2, dim);
	float	   *raw = normal_rows(1, dim, 0, 1);
	float	   *center = normal_rows(1, dim, 0, 2);
	float		dot;
	Coded		coded;

	raw[3] = 3e38f;
	center[3] = -3e38f;
	coded_make(&coded, &params, raw, 1, center, 1, NULL);
	CHECK(isinf(coded.meta[0].error));
	CHECK(!isnan(coded.meta[0].norm2));
	dots_of(&coded, raw, 0, NULL, 0, 1, &dot);
	CHECK(dot == 0);
	coded_free(&coded);
	free(raw);
	free(center);
}

/* A model of other sizes is refused; other signs are another rotation. */
static void
test_garbled_model(void)
{
	uint32_t	dim = 200;
	AnnParams	params = rabitq_params(ANN_L2, dim);
	AnnParams	other;
	float	   *raw = normal_rows(5, dim, 0, 1);
	float	   *decoded = allocate(sizeof(float) * dim);
	CheckRandom r = {77};
	uint8_t    *garbled;
	float		dots[5];
	Coded		coded;

	coded_make(&coded, &params, raw, 5, NULL, 0, NULL);
	for (uint64_t bytes = 0; bytes < coded.model_bytes + 100; bytes++)
	{
		/* a copy of exactly this size: reading past it is an error under ASan */
		garbled = malloc(bytes > 0 ? bytes : 1);
		memset(garbled, 0, bytes > 0 ? bytes : 1);
		memcpy(garbled, coded.model, AnnMin(bytes, coded.model_bytes));
		CHECK(codec->check(&params, garbled, bytes) == (bytes == coded.model_bytes));
		free(garbled);
	}

	garbled = allocate(coded.model_bytes);
	for (uint32_t i = 0; i < 16; i++)
	{
		for (int bit = 0; bit < 8; bit++)
		{
			memcpy(garbled, coded.model, coded.model_bytes);
			garbled[i] ^= (uint8_t) (1 << bit);
			CHECK(!codec->check(&params, garbled, coded.model_bytes));
			CHECK(codec->code_bytes(&params, garbled, 1) == 0);
		}
	}
	for (uint32_t i = 0; i < 3; i++)
	{
		other = params;
		other.dim = (uint32_t[]) {199, 0, 32768}[i];
		CHECK(!codec->check(&other, coded.model, coded.model_bytes));
		CHECK(codec->code_bytes(&other, coded.model, 1) == 0);
	}

	/* signs, codes and meta that mean nothing: wrong numbers, but no fault */
	memcpy(garbled, coded.model, coded.model_bytes);
	for (uint64_t i = 16; i < coded.model_bytes; i++)
		garbled[i] = (uint8_t) CheckRandomBits(&r);
	CHECK(codec->check(&params, garbled, coded.model_bytes));
	coded.codes.model = garbled;
	for (size_t i = 0; i < 5 * coded.stride; i++)
		coded.bytes[i] = (uint8_t) CheckRandomBits(&r);
	for (uint32_t i = 0; i < 5; i++)
		coded.meta[i].sum = (int32_t) CheckRandomBits(&r);
	for (uint32_t bits = 0; bits <= ANN_MAX_RBQ_QUERY_BITS; bits++)
	{
		dots_of(&coded, raw, bits, NULL, 0, 5, dots);
		for (uint32_t i = 0; i < 5; i++)
			CHECK(isfinite(dots[i]));
	}
	codec->decode(&coded.codes, 4, decoded);
	for (uint32_t d = 0; d < dim; d++)
		CHECK(isfinite(decoded[d]));
	coded_free(&coded);
	free(garbled);
	free(raw);
	free(decoded);
}

static void *
alloc_nothing(void *ctx, size_t bytes)
{
	return NULL;
}

/* Training without memory says so. */
static void
test_no_memory(void)
{
	AnnParams	params = rabitq_params(ANN_L2, 100);
	AnnEnv		env = AnnMallocEnv;
	AnnCodecInput input = {.params = &params, .env = &env};
	void	   *model;
	uint64_t	bytes;

	env.alloc = alloc_nothing;
	CHECK(codec->train(&input, &model, &bytes) == ANN_NO_MEMORY);
}

int
main(void)
{
	KernelsInit();
	RUN(test_code_is_signs_of_rotation);
	RUN(test_meta_describes_decoded_row);
	RUN(test_encode_in_pieces);
	RUN(test_encode_without_centres);
	RUN(test_dots_are_of_decoded_rows);
	RUN(test_rounded_query);
	RUN(test_estimates_are_unbiased);
	RUN(test_error_law_over_rows);
	RUN(test_recall_with_refinement);
	RUN(test_degenerate_rows);
	RUN(test_infinite_residual);
	RUN(test_garbled_model);
	RUN(test_no_memory);
	return CheckDone();
}
