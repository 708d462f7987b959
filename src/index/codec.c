/*
 * codec.c
 *		What all quantizers share: rows as they see them, estimates and lower bounds
 *		from their dots.
 */
#include "index/codec.h"

#include <math.h>

/* Squares of numbers in between neither overflow nor underflow when summed. */
#define NORM2_MAX 1e37f

/*
 * How many usual errors an estimate may be off before its row is misplaced.  Measured on
 * bench's glosses: 2 lose 1 to 3 of 1,000 rows that an exact look would have found, 1.5 lose
 * 6 to 11, and 3 compare up to three times as many rows exactly.
 */
#define USUAL_ERRORS 2.0f

/*
 * The same of codes that were learnt: their errors lie where the rows do, in fewer directions
 * than dim.  Where rows spread in 4 of 64 directions, 2 lost 2 to 5 of 100 rows.
 */
#define LEARNT_ERRORS 3.5f

/*
 * A query that was rounded to q^ adds |q - q^| |decode| to the error.  |decode| is not
 * kept; this times the row's error is what it is for codes of one bit, whose queries are
 * rounded most.
 */
#define DECODED_ERRORS 1.7f

/* ---- which codec ---- */

/* See codec.h. */
const AnnCodec *
AnnCodecOf(AnnQuantizer quantizer)
{
	switch (quantizer)
	{
		case ANN_QUANT_SQ8:
			return &AnnCodecSq8;
		case ANN_QUANT_SQ6:
			return &AnnCodecSq6;
		case ANN_QUANT_SQ4:
			return &AnnCodecSq4;
		case ANN_QUANT_F16:
			return &AnnCodecF16;
		case ANN_QUANT_BF16:
			return &AnnCodecBf16;
		case ANN_QUANT_RABITQ:
			return &AnnCodecRabitq;
		case ANN_QUANT_PQ:
			return &AnnCodecPq;
		case ANN_QUANT_PQ4:
			return &AnnCodecPq4;
		case ANN_QUANT_NONE:
		case ANN_QUANT_F32:
			break;
	}
	return NULL;
}

/* See codec.h. */
const AnnCodec *
AnnRowCodec(const AnnParams *params)
{
	AnnQuantizer quantizer = AnnCodesOf(params);

	return quantizer == ANN_QUANT_SQ8 ? NULL : AnnCodecOf(quantizer);
}

/* See codec.h.  Where the raw vectors are kept, they serve as well. */
const AnnCodec *
AnnRefineCodec(const AnnParams *params)
{
	return AnnKeepsRaw(params) ? NULL : AnnCodecOf(params->refine_type);
}

/* ---- rows and queries as codecs see them ---- */

static void
subtract(float *x, const float *y, uint32_t dim)
{
	if (y == NULL)
		return;
	for (uint32_t d = 0; d < dim; d++)
		x[d] -= y[d];
}

/* See codec.h. */
bool
AnnCodecResidual(const AnnCodecInput *input, uint32_t row, float *out)
{
	uint32_t	dim = input->params->dim;
	float		x[ANN_MAX_DIM] __attribute__((aligned(ANN_ALIGN)));
	bool		bounded = AnnLoadRow(input->params, AnnRow(input->params, input->raw, row), x,
									 AnnRoundUp(dim, 4));

	subtract(x, input->origin, dim);
	if (input->centers != NULL)
		subtract(x, input->centers +
				 (input->center_of != NULL ? input->center_of[row] * (size_t) dim : 0), dim);
	memcpy(out, x, dim * sizeof(float));
	return bounded;
}

/* See codec.h. */
bool
AnnCodedQuery(const AnnParams *params, const void *raw, const float *origin, float *out)
{
	AnnCodecInput input = {
		.params = params, .raw = raw, .n = 1,
		/* x.q = (x - origin).q + origin.q: the query stays as it is */
		.origin = params->metric == ANN_IP ? NULL : origin,
	};

	return AnnCodecResidual(&input, 0, out);
}

static double
dot_double(const float *a, const float *b, uint32_t dim)
{
	double		sum = 0;

	for (uint32_t d = 0; d < dim; d++)
		sum += (double) a[d] * b[d];
	return sum;
}

/* ---- a query ---- */

/* See codec.h. */
size_t
AnnCodedBytes(const AnnCodes *codes)
{
	return AnnRoundUp(codes->codec->query_bytes(codes->params, codes->model), ANN_ALIGN);
}

/* See codec.h. */
void
AnnCodedBegin(AnnCoded *coded, const float *query, const float *origin, bool bounded,
			  uint32_t query_bits, void *memory)
{
	const AnnParams *params = coded->codes.params;
	uint32_t	dim = params->dim;
	double		norm2 = dot_double(query, query, dim);
	double		origin_norm2 = dot_double(origin, origin, dim);
	double		origin_dot = dot_double(query, origin, dim);

	coded->metric = params->metric;
	coded->base = params->metric == ANN_IP ? (float) origin_dot : 0;
	coded->origin_dot = params->metric == ANN_IP ? 0 : (float) origin_dot;
	coded->norm = (float) (sqrt(norm2) * (1 + 0x1p-20));
	coded->origin_norm = (float) (sqrt(origin_norm2) * (1 + 0x1p-20));
	/* twice what summing dim products one after the other can lose */
	coded->rounding = (float) (dim + 32) * 0x1p-23f;
	coded->usual = fminf((coded->codes.codec->excess != NULL ? LEARNT_ERRORS : USUAL_ERRORS) /
						 sqrtf((float) dim), 1);
	coded->excess = coded->codes.codec->excess != NULL ? coded->codes.codec->excess(params) : 0;
	coded->query = (AnnCodeQuery) {
		.codes = &coded->codes, .query = query, .query_bits = query_bits, .memory = memory,
		.norm2 = (float) norm2,
	};
	coded->codes.codec->prepare(&coded->query);
	coded->boundless = !bounded || !(norm2 < NORM2_MAX) || !(origin_norm2 < NORM2_MAX) ||
		!(coded->query.norm2 < NORM2_MAX) || !isfinite(coded->query.error);
}

/* See codec.h. */
float
AnnCodedBase(const AnnCoded *coded, const float *center)
{
	return kernels->ip_f32(coded->query.query, center, coded->codes.params->dim) -
		coded->origin_dot;
}

/* See codec.h. */
void
AnnCodedEstimate(const AnnCoded *coded, const uint32_t *rows, uint32_t first, uint32_t n,
				 float base, float *out)
{
	const Sq8Meta *meta = coded->codes.meta + (rows != NULL ? 0 : first);

	coded->codes.codec->dots(&coded->query, rows, first, n, out);
	for (uint32_t i = 0; i < n; i++)
	{
		float		dot = base + out[i];
		float		estimate = coded->metric == ANN_IP ? 0.0f - dot
			: meta[rows != NULL ? rows[i] : i].norm2 - 2 * dot;

		/* no NaN may reach a sort key: infinite - infinite counts as far */
		out[i] = estimate < FLT_MAX ? estimate : FLT_MAX;
	}
}

/*
 * The bound of one row where the codec is rigorous, as AnnSq8Bounds: rows have the
 * origin as their centre, so norm2 is |decode|^2 and the estimate is of q^.
 */
static inline float
rigorous_bound(const AnnCoded *coded, const Sq8Meta *m, float value)
{
	float		tiny = (float) coded->codes.params->dim * 1e-38f;

	if (coded->metric == ANN_IP)
	{
		float		norm = sqrtf(m->norm2) * (1 + 0x1p-20f) + m->error;
		float		error = m->error * coded->norm + norm * coded->query.error;
		/* of the exact kernel, and of the dots */
		float		kernel = 2 * coded->rounding * (norm + coded->origin_norm) * coded->norm;

		return value - error * (1 + 0x1p-18f) - kernel -
			(fabsf(value) + fabsf(coded->base)) * 0x1p-19f - tiny;
	}
	else
	{
		float		norms2 = m->norm2 + coded->query.norm2;
		float		square = value + coded->query.norm2 - (0x1p-19f + coded->rounding) * norms2;
		float		away = sqrtf(square > 0 ? square : 0) * (1 - 0x1p-20f) -
			(m->error + coded->query.error) * (1 + 0x1p-20f);

		away = away > 0 ? away : 0;
		if (coded->metric == ANN_COSINE)
			return away * away * 0.5f - 2 * coded->rounding;
		return away * away * (1 - coded->rounding) - tiny;
	}
}

/* The bound of one row that usually holds. */
static inline float
usual_bound(const AnnCoded *coded, const Sq8Meta *m, float value)
{
	float		error = coded->usual * m->error;
	float		rounded = DECODED_ERRORS * coded->query.error;
	float		square;

	if (coded->metric == ANN_IP)
	{
		/* part of x - x^ lies along x, and so along a near q: as much as makes up for the error */
		float		along = coded->excess > 0 && m->norm2 > 0
			? 0.5f * m->error * m->error * coded->norm / sqrtf(m->norm2) : 0;

		return value - along - error * sqrtf(coded->norm * coded->norm + rounded * rounded) -
			fabsf(value) * 0x1p-19f;
	}
	square = value + coded->query.norm2 - coded->excess * m->error * m->error;
	square = square > 0 ? square : 0;
	square -= 2 * error * sqrtf(square + rounded * rounded);
	if (coded->metric == ANN_COSINE)
		return square * 0.5f - 2 * coded->rounding;
	return square * (1 - coded->rounding);
}

/* See codec.h. */
void
AnnCodedBounds(const AnnCoded *coded, const uint32_t *rows, uint32_t first, uint32_t n,
			   float *values)
{
	const Sq8Meta *meta = coded->codes.meta + (rows != NULL ? 0 : first);
	bool		rigorous = coded->codes.codec->rigorous;

	for (uint32_t i = 0; i < n; i++)
	{
		const Sq8Meta *m = &meta[rows != NULL ? rows[i] : i];

		float		bound = rigorous ? rigorous_bound(coded, m, values[i])
			: usual_bound(coded, m, values[i]);

		/* what is out of range, or came to infinite - infinite, is compared exactly */
		values[i] = !coded->boundless && m->norm2 < NORM2_MAX && m->error < FLT_MAX &&
			!isnan(bound) ? bound : -INFINITY;
	}
}
