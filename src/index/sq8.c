/*
 * sq8.c
 *		8-bit codes of rows and queries, estimates and lower bounds from them.
 *
 * Arithmetic of a row: with u = x' / scale rounded to c, the error |x' - x^| is
 * scale * sqrt(sum (u - c)^2).  It is computed in units of scale, so nothing
 * underflows, and the roundings on the way are added to it: the bounds below
 * hold for what the machine computes, not only for real numbers.
 */
#include "index/index_internal.h"

#include <math.h>

/* Adding and subtracting it rounds a float of magnitude < 2^22 to the nearest integer. */
#define ROUNDER 12582912.0f

/* Rows whose largest centred element is below this are coded as zeros. */
#define SMALLEST_SCALED 1e-30f

/* Squares of numbers in between neither overflow nor underflow when summed. */
#define NORM2_MIN 1e-25
#define NORM2_MAX 1e37

/* Rows the mean is taken from, at most. */
#define MEAN_SAMPLE 65536

/* Four lanes of SSE2 or NEON: what every target of the build has. */
typedef float Float4 __attribute__((vector_size(16), may_alias));
typedef int32_t Int4 __attribute__((vector_size(16), may_alias));
typedef int32_t AliasInt __attribute__((may_alias));

size_t
Sq8Stride(uint32_t dim)
{
	return AnnRoundUp(dim, SQ8_PAD);
}

bool
Sq8Supports(AnnMetric metric)
{
	return metric == ANN_L2 || metric == ANN_IP || metric == ANN_COSINE;
}

/* What coding a vector gives, besides the codes. */
typedef struct Coded
{
	float		scale;
	float		norm2;			/* |x^|^2 */
	float		error;			/* |x' - x^|, rounded up */
	int32_t		sum;
} Coded;

static inline float
sum4(Float4 v)
{
	return (v[0] + v[1]) + (v[2] + v[3]);
}

/* |x|^2 in double, for vectors whose float sum is not to be trusted. */
static double
norm2_double(const float *x, size_t n)
{
	double		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double) x[i] * x[i];
	return sum;
}

/* |x|^2 of len floats, a multiple of 4, 16-byte aligned. */
static double
norm2_of(const float *x, size_t len)
{
	const Float4 *v = (const Float4 *) x;
	Float4		sum = {0};
	float		total;

	for (size_t i = 0; i < len / 4; i++)
		sum += v[i] * v[i];
	total = sum4(sum);
	if (total > NORM2_MIN && total < NORM2_MAX)
		return total;
	return norm2_double(x, len);
}

/* max |x[i]| of len floats; their bits order as integers do, NaN above all. */
static float
largest(const float *x, size_t len)
{
	const Int4 *v = (const Int4 *) x;
	Int4		max = {0};
	int32_t		bits = 0;
	float		result;

	for (size_t i = 0; i < len / 4; i++)
	{
		Int4		magnitude = v[i] & 0x7fffffff;
		Int4		above = magnitude > max;

		max = (magnitude & above) | (max & ~above);
	}
	for (int i = 0; i < 4; i++)
		bits = AnnMax(bits, max[i]);
	memcpy(&result, &bits, sizeof(result));
	return result;
}

/* See index_internal.h. */
bool
AnnLoadRow(const AnnParams *params, const void *row, float *x, size_t len)
{
	uint32_t	dim = params->dim;
	double		norm2;
	float		inverse;

	AnnRowToFloat(params, row, x);
	memset(x + dim, 0, (len - dim) * sizeof(float));
	if (params->metric != ANN_COSINE)
		return true;

	norm2 = norm2_of(x, len);
	if (!(norm2 > 0))
		return false;
	inverse = (float) (1 / sqrt(norm2));
	if (inverse > 1e30f || inverse < 1e-30f)
	{
		/* the factor itself leaves float's range: in double */
		for (uint32_t i = 0; i < dim; i++)
			x[i] = (float) (x[i] / sqrt(norm2));
	}
	else
	{
		for (uint32_t i = 0; i < dim; i++)
			x[i] *= inverse;
	}

	/* the exact kernel sums the squares in float */
	return norm2 > NORM2_MIN && norm2 < NORM2_MAX;
}

/*
 * Code x (len floats, padded, 16-byte aligned; overwritten with the codes as
 * int32 bits).  extra is the absolute error that x already carries.
 */
static Coded
code_vector(float *x, size_t len, float extra)
{
	float		max = largest(x, len);
	Float4	   *v = (Float4 *) x;
	Int4		sum = {0};
	Int4		squares = {0};
	Float4		rest = {0};
	Coded		out = {0};
	float		inverse;
	double		squares_total;
	double		error;
	double		roundings = (double) (len + 32) * 0x1p-24;

	if (!(max < NORM2_MAX) || max < SMALLEST_SCALED)
	{
		/* infinite differences (or so large that nothing can be said), or next to nothing */
		out.error = max < SMALLEST_SCALED ? (float) (sqrt((double) len) * max * 1.001) + extra
			: INFINITY;
		memset(x, 0, len * sizeof(float));
		return out;
	}

	out.scale = max / 127;
	inverse = 127 / max;
	for (size_t i = 0; i < len / 4; i++)
	{
		Float4		u = v[i] * inverse;
		Float4		rounded = u + ROUNDER;
		Int4		c = (Int4) rounded - (Int4) ((Float4) {0} + ROUNDER);
		Float4		r = u - (rounded - ROUNDER);

		sum += c;
		/* |c| <= 127, and 16-bit products of 4 lanes over 32768 elements fit int32 */
		squares += c * c;
		rest += r * r;
		v[i] = (Float4) c;
	}
	squares_total = (double) squares[0] + squares[1] + squares[2] + squares[3];
	out.sum = sum[0] + sum[1] + sum[2] + sum[3];
	out.norm2 = (float) ((double) out.scale * out.scale * squares_total);

	/* u is off by up to 127 * 2^-22; x - mean was rounded by 2^-24 of itself */
	error = sqrt(sum4(rest) * (1 + roundings)) + sqrt((double) len) * 127 * 0x1p-22;
	error += sqrt(squares_total + 1) * 0x1p-22;
	out.error = (float) (error * out.scale * (1 + 0x1p-20)) + extra;
	return out;
}

/* Absolute error of a row normalised in float: its length is 1. */
static float
load_error(const AnnParams *params)
{
	return params->metric == ANN_COSINE ? 0x1p-21f : 0;
}

void
Sq8Mean(const AnnParams *params, const void *raw, uint32_t n, float *mean)
{
	uint32_t	dim = params->dim;
	size_t		len = Sq8Stride(dim);
	float		x[ANN_MAX_DIM] __attribute__((aligned(ANN_ALIGN)));
	float		block[ANN_MAX_DIM];
	double		total[ANN_MAX_DIM];
	uint32_t	sample = AnnMin(n, MEAN_SAMPLE);

	memset(total, 0, dim * sizeof(double));
	memset(block, 0, dim * sizeof(float));
	for (uint32_t i = 0; i < sample; i++)
	{
		uint32_t	row = (uint32_t) ((uint64_t) i * n / sample);

		AnnLoadRow(params, AnnRow(params, raw, row), x, len);
		for (uint32_t d = 0; d < dim; d++)
			block[d] += x[d];
		/* float sums of a few rows, double sums of those */
		if (i % 16 == 15 || i == sample - 1)
		{
			for (uint32_t d = 0; d < dim; d++)
			{
				total[d] += block[d];
				block[d] = 0;
			}
		}
	}
	for (uint32_t d = 0; d < dim; d++)
	{
		double		m = sample > 0 ? total[d] / sample : 0;

		/* huge elements: any centre will do */
		mean[d] = fabs(m) < 1e30 ? (float) m : 0;
	}
}

void
Sq8Encode(const AnnParams *params, const float *mean, const void *raw, uint32_t n,
		  uint8_t *codes, Sq8Meta *meta)
{
	uint32_t	dim = params->dim;
	size_t		len = Sq8Stride(dim);
	float		x[ANN_MAX_DIM] __attribute__((aligned(ANN_ALIGN)));

	for (uint32_t i = 0; i < n; i++)
	{
		uint8_t    *code = codes + i * len;
		bool		bounded = AnnLoadRow(params, AnnRow(params, raw, i), x, len);
		Coded		coded;

		if (mean != NULL)
		{
			for (uint32_t d = 0; d < dim; d++)
				x[d] -= mean[d];
		}
		coded = code_vector(x, len, load_error(params));
		for (size_t d = 0; d < len; d++)
			code[d] = (uint8_t) (((const AliasInt *) x)[d] + SQ8_ZERO);
		meta[i].scale = coded.scale;
		meta[i].norm2 = coded.norm2;
		meta[i].error = bounded ? coded.error : INFINITY;
		meta[i].sum = coded.sum;
	}
}

void
AnnSq8Query(const AnnParams *params, const float *mean, const void *query, int8_t *codes,
			Sq8Query *out)
{
	uint32_t	dim = params->dim;
	size_t		len = Sq8Stride(dim);
	float		x[ANN_MAX_DIM] __attribute__((aligned(ANN_ALIGN)));
	Coded		coded;
	double		mean_dot = 0;
	double		mean_norm2 = 0;

	memset(out, 0, sizeof(*out));
	out->boundless = !AnnLoadRow(params, query, x, len);
	if (mean != NULL && params->metric == ANN_IP)
	{
		/* x.q = x'.q + mean.q: the query stays as it is */
		for (uint32_t d = 0; d < dim; d++)
		{
			mean_dot += (double) mean[d] * x[d];
			mean_norm2 += (double) mean[d] * mean[d];
		}
	}
	else if (mean != NULL)
	{
		for (uint32_t d = 0; d < dim; d++)
			x[d] -= mean[d];
	}

	coded = code_vector(x, len, load_error(params));
	for (size_t d = 0; d < len; d++)
		codes[d] = (int8_t) ((const AliasInt *) x)[d];
	out->metric = params->metric;
	out->codes = codes;
	out->stride = len;
	out->offset = SQ8_ZERO * coded.sum;
	out->add = params->metric == ANN_IP ? 0 : 1;
	out->coef = (params->metric == ANN_IP ? -1 : -2) * coded.scale;
	out->norm2 = coded.norm2;
	out->error = coded.error;
	out->norm = (float) (sqrt(coded.norm2) * (1 + 0x1p-20)) + coded.error;
	out->mean_norm = (float) (sqrt(mean_norm2) * (1 + 0x1p-20));
	out->mean_dot = (float) mean_dot;
	/* twice what summing dim products one after the other can lose */
	out->rounding = (float) (dim + 32) * 0x1p-23f;
	if (!(coded.norm2 < NORM2_MAX) || !isfinite(coded.error) || !(mean_norm2 < NORM2_MAX))
		out->boundless = true;
}

void
AnnSq8Estimate(const Sq8Query *query, const Sq8Meta *meta, const uint32_t *rows,
			   const int32_t *dots, uint32_t n, float *estimates)
{
	float		add = query->add;
	float		coef = query->coef;
	int32_t		offset = query->offset;

	for (uint32_t i = 0; i < n; i++)
	{
		const Sq8Meta *m = &meta[rows != NULL ? rows[i] : i];
		float		estimate = add * m->norm2 + m->scale * (coef * (float) (dots[i] - offset));

		/* no NaN may reach a sort key: infinite - infinite counts as far */
		estimates[i] = estimate < FLT_MAX ? estimate : FLT_MAX;
	}
}

/*
 * Lower bounds of what AnnDistance computes.
 *
 * L2: |x - q| >= |x^ - q^| - |x' - x^| - |q' - q^|, and |x^ - q^|^2 is the
 * estimate + |q^|^2 up to float rounding (2^-19 of the norms is generous).  The
 * kernel's own sum is at least (1 - rounding) of the true square.
 * COSINE: half of that for unit vectors; the three sums the kernel takes may
 * each be off by `rounding`.
 * IP: Cauchy-Schwarz on x'.q - x^.q^, plus mean.q, plus the kernel's rounding.
 */
void
AnnSq8Bounds(const Sq8Query *query, const Sq8Meta *meta, const uint32_t *rows, uint32_t n,
			 float *values)
{
	float		tiny = (float) query->stride * 1e-38f;
	float		shrink = query->metric == ANN_COSINE ? 0.5f : 1 - query->rounding;
	float		slack = query->metric == ANN_COSINE ? 2 * query->rounding : tiny;

	if (query->boundless)
	{
		for (uint32_t i = 0; i < n; i++)
			values[i] = -INFINITY;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		const Sq8Meta *m = &meta[rows != NULL ? rows[i] : i];
		float		bound;

		if (query->metric == ANN_IP)
		{
			float		norm = sqrtf(m->norm2) * (1 + 0x1p-20f) + m->error;
			float		error = m->error * query->norm + norm * query->error;
			float		kernel = query->rounding * (norm + query->mean_norm) * query->norm;

			bound = values[i] - query->mean_dot - error * (1 + 0x1p-18f) - kernel -
				(fabsf(values[i]) + fabsf(query->mean_dot)) * 0x1p-19f - tiny;
		}
		else
		{
			float		square = values[i] + query->norm2 - 0x1p-19f * (m->norm2 + query->norm2);
			float		away = sqrtf(square > 0 ? square : 0) * (1 - 0x1p-20f) -
				(m->error + query->error) * (1 + 0x1p-20f);

			away = away > 0 ? away : 0;
			bound = away * away * shrink - slack;
		}
		values[i] = m->norm2 < (float) NORM2_MAX && m->error < FLT_MAX ? bound : -INFINITY;
	}
}
