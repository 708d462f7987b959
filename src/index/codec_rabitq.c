/*
 * codec_rabitq.c
 *		RaBitQ: one bit a dimension, from which dot products are estimated without bias
 *		(Gao, Long: "RaBitQ", SIGMOD 2024).
 *
 * The code of a residual r is the signs s of z = P r, where P is a random rotation of
 * the `bits` dimensions that r is padded to with zeros (a multiple of 64).  It decodes to
 *
 *		decode = scale * P^T s,		scale = |r|^2 / (|z_1| + |z_2| + ...)
 *
 * which is the paper's estimator: scale is |r| / (sqrt(bits) <o_bar, o>) of its section 3.2.
 * So r . decode = |r|^2: what decode has besides r, e = decode - r, is at a right angle
 * to r, of length |r| sqrt(1 / <o_bar, o>^2 - 1), about 0.76 |r|, and its direction depends on
 * P alone: q . decode is q . r on the average over P.
 *
 * Under L2 and COSINE what must be free of bias is the distance, and its error should
 * grow with the distance from the query, not with the query's from the origin.  With
 *
 *		|x - q|^2 - |q|^2 = |c|^2 + |r|^2 - 2 q.c - 2 r.(q - c)
 *
 * the last product is estimated by decode.(q - c), whose part decode.c is known when the
 * row is coded: norm2 = |c|^2 + |r|^2 + 2 decode.c, which is |x^|^2 with |decode|^2
 * replaced by |r|^2.  The error of norm2 - 2 (q.c + dot) is then -2 e.(q - c), and as
 * e.r = 0, it is -2 e.(q - x): of standard deviation 2 |e| |q - x| / sqrt(dim) at most.
 * That is codec.h's formula for meta.error = |e| = |x - x^|, and the paper's theorem
 * 3.2; |q - x| is the distance being estimated.  Under IP the error of a dot
 * is e.q, of standard deviation |e| |q| / sqrt(dim).
 *
 * The query is rotated once, whatever the lists: P q = P (q - c) + P c.  It may be rounded to
 * 1..8 bits an element, by which it becomes bit planes and a dot product some popcounts.
 */
#include "index/codec.h"

#include <math.h>

#define MODEL_MAGIC 0x51426152u	/* "RaBQ" */

/* Times that signs are flipped and a Hadamard transform is made. */
#define ROUNDS 4

/* Bits of a code are a multiple of this. */
#define BITS_PAD 64

/* Rows of which planes' sums are kept between kernel and estimate. */
#define BATCH 256

/* Vectors with elements in between are rotated as they are, others in units of their largest. */
#define PLAIN_MIN 1e-12f
#define PLAIN_MAX 1e12f

/* Four lanes of SSE2 or NEON: what every target of the build has. */
typedef float Float4 __attribute__((vector_size(16), may_alias));
typedef uint32_t Uint4 __attribute__((vector_size(16), may_alias));
typedef uint32_t AliasUint __attribute__((may_alias));

/*
 * The model: this, then the signs of each round, bits / 16 words a round.  Bit 15 - k of
 * word 4 b + lane belongs to element 64 b + 4 k + lane: blocks of 64 are flipped four
 * lanes at a time.
 */
typedef struct RabitqModel
{
	uint32_t	magic;
	uint32_t	dim;
	uint32_t	bits;
	uint32_t	rounds;
	uint16_t	signs[];
} RabitqModel;

/* A query's memory: this, then its rotated form (bits floats) and its planes (bits / 8 bytes each). */
typedef struct RabitqQuery
{
	uint32_t	bits;
	uint32_t	nplanes;		/* 0: not rounded */
	float		unit;			/* what products of the rotated form are multiplied by */
	float		total;			/* sum of the rotated form */
	uint32_t	weight;			/* with planes: see rounded_dots */
	uint32_t	offset;
} RabitqQuery;

#define QUERY_HEADER ANN_ALIGN

static uint32_t
code_bits(uint32_t dim)
{
	return (uint32_t) AnnRoundUp(dim, BITS_PAD);
}

static uint64_t
model_bytes(uint32_t dim)
{
	return sizeof(RabitqModel) + (uint64_t) ROUNDS * code_bits(dim) / 8;
}

/* ---- the rotation ---- */

/* Change the signs of bits floats. */
static void
flip(float *x, uint32_t bits, const uint16_t *signs)
{
	Uint4	   *v = (Uint4 *) x;

	for (uint32_t block = 0; block < bits / 64; block++, v += 16, signs += 4)
	{
		Uint4		word = {(uint32_t) signs[0] << 16, (uint32_t) signs[1] << 16,
			(uint32_t) signs[2] << 16, (uint32_t) signs[3] << 16};

		for (int k = 0; k < 16; k++)
		{
			v[k] ^= word & 0x80000000u;
			word += word;
		}
	}
}

/* The Hadamard transform of n floats, a power of two from 64 on, that keeps lengths. */
static void
hadamard(float *x, uint32_t n)
{
	Float4	   *v = (Float4 *) x;
	uint32_t	nv = n / 4;
	float		share = 1 / sqrtf((float) n);
	uint32_t	h = 1;

	for (uint32_t i = 0; i < n; i += 4)
	{
		float		a = x[i] + x[i + 1];
		float		b = x[i] - x[i + 1];
		float		c = x[i + 2] + x[i + 3];
		float		d = x[i + 2] - x[i + 3];

		x[i] = (a + c) * share;
		x[i + 1] = (b + d) * share;
		x[i + 2] = (a - c) * share;
		x[i + 3] = (b - d) * share;
	}

	/* two of the remaining steps at a time, after one alone where they are odd */
	if (__builtin_ctz(nv) % 2 != 0)
	{
		for (uint32_t i = 0; i < nv; i += 2)
		{
			Float4		a = v[i];

			v[i] = a + v[i + 1];
			v[i + 1] = a - v[i + 1];
		}
		h = 2;
	}
	for (; h < nv; h *= 4)
	{
		for (uint32_t i = 0; i < nv; i += 4 * h)
		{
			for (uint32_t j = i; j < i + h; j++)
			{
				Float4		a = v[j] + v[j + h];
				Float4		b = v[j] - v[j + h];
				Float4		c = v[j + 2 * h] + v[j + 3 * h];
				Float4		d = v[j + 2 * h] - v[j + 3 * h];

				v[j] = a + c;
				v[j + h] = b + d;
				v[j + 2 * h] = a - c;
				v[j + 3 * h] = b - d;
			}
		}
	}
}

/* Turn element i and element i + n / 2 against each other by 45 degrees; its own inverse. */
static void
mix_halves(float *x, uint32_t n)
{
	Float4	   *low = (Float4 *) x;
	Float4	   *high = (Float4 *) (x + n / 2);

	for (uint32_t i = 0; i < n / 8; i++)
	{
		Float4		a = low[i] * 0.70710678f;
		Float4		b = high[i] * 0.70710678f;

		low[i] = a + b;
		high[i] = a - b;
	}
}

/*
 * The transform of a round.  Where bits is no power of two, it takes the largest one that
 * fits: of the head in even rounds, of the tail in odd ones.
 */
static void
transform(float *x, uint32_t bits, int round)
{
	uint32_t	largest = 1u << (31 - __builtin_clz(bits));

	hadamard(round % 2 == 0 ? x : x + (bits - largest), largest);
}

/*
 * Whether the halves are mixed after a round: when head and tail were both transformed.
 * Without it, a head that is little more than half of all exchanges next to nothing
 * with the tail; after every round, parts of an axis would stay together.
 */
static bool
mixes(uint32_t bits, int round)
{
	return round % 2 == 1 && (bits & (bits - 1)) != 0;
}

/* x = P x; bits floats, 64-byte aligned */
static void
rotate(const RabitqModel *model, float *x)
{
	uint32_t	bits = model->bits;

	for (int round = 0; round < ROUNDS; round++)
	{
		flip(x, bits, model->signs + (size_t) round * (bits / 16));
		transform(x, bits, round);
		if (mixes(bits, round))
			mix_halves(x, bits);
	}
}

/* x = P^T x */
static void
rotate_back(const RabitqModel *model, float *x)
{
	uint32_t	bits = model->bits;

	for (int round = ROUNDS - 1; round >= 0; round--)
	{
		if (mixes(bits, round))
			mix_halves(x, bits);
		transform(x, bits, round);
		flip(x, bits, model->signs + (size_t) round * (bits / 16));
	}
}

/* ---- model ---- */

static bool
rabitq_fits(const AnnParams *params, const RabitqModel *model)
{
	return params->dim > 0 && params->dim <= ANN_MAX_DIM && model->magic == MODEL_MAGIC &&
		model->dim == params->dim && model->bits == code_bits(params->dim) &&
		model->rounds == ROUNDS;
}

static uint64_t
rabitq_code_bytes(const AnnParams *params, const void *model, uint32_t n)
{
	if (!rabitq_fits(params, model))
		return 0;
	return (uint64_t) n * (code_bits(params->dim) / 8);
}

/* Nothing is learnt of the rows: the rotation is drawn from the seed. */
static AnnStatus
rabitq_train(const AnnCodecInput *input, void **model, uint64_t *bytes)
{
	uint32_t	bits = code_bits(input->params->dim);
	uint64_t	state = input->params->seed ^ MODEL_MAGIC;
	RabitqModel *made;

	*bytes = model_bytes(input->params->dim);
	made = AnnAlloc(input->env, *bytes);
	if (made == NULL)
		return ANN_NO_MEMORY;
	made->magic = MODEL_MAGIC;
	made->dim = input->params->dim;
	made->bits = bits;
	made->rounds = ROUNDS;
	for (uint32_t i = 0; i < ROUNDS * (bits / 16); i++)
		made->signs[i] = (uint16_t) (AnnRandom(&state) >> 48);
	*model = made;
	return ANN_OK;
}

/* Whatever the signs are, they make a rotation. */
static bool
rabitq_check(const AnnParams *params, const void *model, uint64_t bytes)
{
	return bytes >= sizeof(RabitqModel) && rabitq_fits(params, model) &&
		bytes == model_bytes(params->dim);
}

/* ---- rows ---- */

/*
 * Pad x, dim floats, to `bits` with zeros and bring elements of unusual size near one.
 * Returns the power of two that they were divided by, or 0 when an element is not finite or
 * all are zero; *finite tells which.
 */
static double
load(float *x, uint32_t dim, uint32_t bits, bool *finite)
{
	uint32_t	max_bits = 0;
	float		max;
	double		unit;
	int			exponent;

	/* magnitudes order as their bits do, NaN above all */
	for (uint32_t d = 0; d < dim; d++)
	{
		uint32_t	magnitude = ((const AliasUint *) x)[d] & 0x7fffffff;

		max_bits = AnnMax(max_bits, magnitude);
	}
	memcpy(&max, &max_bits, sizeof(max));
	memset(x + dim, 0, (bits - dim) * sizeof(float));
	*finite = max <= FLT_MAX;
	if (!*finite || max == 0)
		return 0;
	if (max > PLAIN_MIN && max < PLAIN_MAX)
		return 1;

	/* 2^128 is no float */
	frexpf(max, &exponent);
	unit = ldexp(1, AnnMin(exponent, 127));
	for (uint32_t d = 0; d < dim; d++)
		x[d] = (float) (x[d] / unit);
	return unit;
}

/* The signs of z as a code, and their number of ones. */
static int32_t
pack_signs(const float *z, uint32_t bits, uint8_t *code)
{
	int32_t		ones = 0;

	for (uint32_t i = 0; i < bits / 8; i++)
	{
		uint32_t	byte = 0;

		for (int k = 0; k < 8; k++)
			byte |= (~((const AliasUint *) z)[i * 8 + k] >> 31) << k;
		code[i] = (uint8_t) byte;
		ones += __builtin_popcount(byte);
	}
	return ones;
}

/* x = P^T s */
static void
unpack_signs(const RabitqModel *model, const uint8_t *code, float *x)
{
#define SIGN(n, bit) ((n) >> (bit) & 1 ? 1 : -1)
#define SIGNS(n) {SIGN(n, 0), SIGN(n, 1), SIGN(n, 2), SIGN(n, 3)}
	static const Float4 signs[16] = {
		SIGNS(0), SIGNS(1), SIGNS(2), SIGNS(3), SIGNS(4), SIGNS(5), SIGNS(6), SIGNS(7),
		SIGNS(8), SIGNS(9), SIGNS(10), SIGNS(11), SIGNS(12), SIGNS(13), SIGNS(14), SIGNS(15)
	};
#undef SIGN
#undef SIGNS
	Float4	   *v = (Float4 *) x;

	for (uint32_t i = 0; i < model->bits / 8; i++)
	{
		v[2 * i] = signs[code[i] & 15];
		v[2 * i + 1] = signs[code[i] >> 4];
	}
	rotate_back(model, x);
}

/* Sum of |x[i]| of n floats, a multiple of 4, 16-byte aligned. */
static double
sum_of_magnitudes(const float *x, uint32_t n)
{
	const Uint4 *v = (const Uint4 *) x;
	Float4		sum = {0};

	for (uint32_t i = 0; i < n / 4; i++)
		sum += (Float4) (v[i] & 0x7fffffffu);
	return ((double) sum[0] + sum[1]) + ((double) sum[2] + sum[3]);
}

/* a . b in double, in four sums that do not wait for each other */
static double
dot_double(const float *a, const float *b, uint32_t n)
{
	double		sum[4] = {0};
	uint32_t	i = 0;

	for (; i + 4 <= n; i += 4)
	{
		for (int k = 0; k < 4; k++)
			sum[k] += (double) a[i + k] * b[i + k];
	}
	for (; i < n; i++)
		sum[0] += (double) a[i] * b[i];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Of a row nothing can be said of: it will be compared exactly. */
static void
code_nothing(const RabitqModel *model, uint8_t *code, Sq8Meta *meta)
{
	memset(code, 0, model->bits / 8);
	memset(meta, 0, sizeof(*meta));
	meta->error = INFINITY;
}

/* Code one residual of dim floats, r, relative to a centre (NULL: zero). */
static void
encode_row(const RabitqModel *model, const float *center, const float *r, uint8_t *code,
		   Sq8Meta *meta)
{
	uint32_t	dim = model->dim;
	uint32_t	bits = model->bits;
	float		z[ANN_MAX_DIM] __attribute__((aligned(ANN_ALIGN)));
	double		r2;
	double		center_dot = 0; /* center . P^T s */
	double		error2 = 0;
	double		scale = 0;
	double		norm2;
	double		unit;
	bool		finite;

	memset(code, 0, bits / 8);
	memset(meta, 0, sizeof(*meta));
	memcpy(z, r, dim * sizeof(float));
	unit = load(z, dim, bits, &finite);
	if (!finite)
	{
		code_nothing(model, code, meta);
		return;
	}

	r2 = dot_double(r, r, dim);
	if (unit > 0)
	{
		rotate(model, z);
		meta->sum = pack_signs(z, bits, code);
		scale = r2 / (sum_of_magnitudes(z, bits) * unit);
		unpack_signs(model, code, z);
		if (center != NULL)
			center_dot = dot_double(center, z, dim);
		for (uint32_t d = 0; d < dim; d++)
			z[d] = (float) (z[d] * scale - r[d]);
		error2 = dot_double(z, z, dim);
	}
	norm2 = r2 + 2 * scale * center_dot;
	if (center != NULL)
		norm2 += dot_double(center, center, dim);
	if (!(norm2 < FLT_MAX) || !(scale < FLT_MAX))
	{
		code_nothing(model, code, meta);
		return;
	}
	meta->scale = (float) scale;
	meta->norm2 = (float) norm2;
	meta->error = (float) (sqrt(error2) * (1 + 0x1p-20));
}

static void
rabitq_encode(const AnnCodecInput *input, const void *model, const uint32_t *order,
			  uint32_t first, uint32_t n, uint8_t *codes, Sq8Meta *meta, float *scratch)
{
	uint32_t	dim = input->params->dim;
	size_t		stride = code_bits(dim) / 8;

	for (uint32_t i = first; i < first + n; i++)
	{
		uint32_t	row = order != NULL ? order[i] : i;
		const float *center = input->centers;

		if (center != NULL && input->center_of != NULL)
			center += (size_t) input->center_of[row] * dim;
		if (AnnCodecResidual(input, row, scratch))
			encode_row(model, center, scratch, codes + i * stride, &meta[i]);
		else
			code_nothing(model, codes + i * stride, &meta[i]);
	}
}

static void
rabitq_decode(const AnnCodes *codes, uint32_t row, float *out)
{
	const RabitqModel *model = codes->model;
	float		x[ANN_MAX_DIM] __attribute__((aligned(ANN_ALIGN)));
	float		scale = codes->meta[row].scale;

	unpack_signs(model, codes->codes + (size_t) row * (model->bits / 8), x);
	for (uint32_t d = 0; d < model->dim; d++)
		out[d] = x[d] * scale;
}

/* ---- queries ---- */

static size_t
rabitq_query_bytes(const AnnParams *params, const void *model)
{
	size_t		bits = code_bits(params->dim);

	return QUERY_HEADER + bits * sizeof(float) + ANN_MAX_RBQ_QUERY_BITS * (bits / 8);
}

static inline float *
query_rotated(const RabitqQuery *query)
{
	return (float *) ((char *) query + QUERY_HEADER);
}

static inline uint8_t *
query_planes(const RabitqQuery *query)
{
	return (uint8_t *) (query_rotated(query) + query->bits);
}

/*
 * About what is lost of |q|^2 (n floats, 16-byte aligned) by rounding with a step to levels of
 * which the last cells end at +-edge: step^2 / 12 an element, and what is beyond the edges.
 */
static float
rounding_loss(const float *q, uint32_t n, float step, float edge)
{
	const Float4 *v = (const Float4 *) q;
	Float4		sum = {0};

	for (uint32_t i = 0; i < n / 4; i++)
	{
		Float4		beyond = (Float4) ((Uint4) v[i] & 0x7fffffffu) - edge;

		beyond = (Float4) ((Uint4) beyond & (Uint4) (beyond > 0));
		sum += beyond * beyond;
	}
	return (sum[0] + sum[1]) + (sum[2] + sum[3]) + (float) n * step * step / 12;
}

/*
 * Round the rotated query to 2^nplanes evenly spaced levels, (u - (levels - 1) / 2) * step,
 * and write the numbers u as planes.  Its elements are about normally distributed, so
 * the step is the one that is best for those (Max, "Quantizing for minimum distortion",
 * 1960, table II; from 6 bits on computed), or a wider one where a few stand out.
 * A rounded query is shorter along the query than the query is, which would bias
 * the dot products: they are divided by what remains, as those of the rows are.
 * Returns |q - q^| in units of |q|: the tangent of the angle between them.
 */
static double
round_query(RabitqQuery *query, uint32_t nplanes)
{
	static const float best_step[ANN_MAX_RBQ_QUERY_BITS + 1] = {
		0, 1.5956f, 0.9957f, 0.5860f, 0.3352f, 0.1881f, 0.1041f, 0.0569f, 0.0308f
	};
	const float widen = 1.2f;
	const float *q = query_rotated(query);
	uint8_t    *planes = query_planes(query);
	uint32_t	bits = query->bits;
	uint32_t	levels = 1u << nplanes;
	float		half = 0.5f * (float) levels;
	float		middle = half - 0.5f;
	uint32_t	total = 0;
	double		norm2 = 0;
	double		along = 0;		/* q . the rounded query, in units of the step */
	double		rounded2 = 0;	/* |q^|^2 in units of the step */
	double		cosine2;
	float		step;
	float		loss;
	float		inverse;

	for (uint32_t i = 0; i < bits; i++)
		norm2 += (double) q[i] * q[i];
	step = (float) sqrt(norm2 / bits) * best_step[nplanes];
	loss = rounding_loss(q, bits, step, step * half);
	for (;;)
	{
		float		wider = rounding_loss(q, bits, step * widen, step * widen * half);

		if (!(wider < loss))
			break;
		step *= widen;
		loss = wider;
	}
	inverse = step > 0 ? 1 / step : 0;

	memset(planes, 0, (size_t) nplanes * (bits / 8));
	for (uint32_t i = 0; i < bits; i++)
	{
		float		scaled = q[i] * inverse + half;
		float		held = AnnMin(AnnMax(scaled, 0), (float) (levels - 1));
		uint32_t	u = (uint32_t) held;

		total += u;
		along += (double) q[i] * ((float) u - middle);
		rounded2 += ((float) u - middle) * ((float) u - middle);
		for (uint32_t p = 0; p < nplanes; p++)
			planes[(size_t) p * (bits / 8) + i / 8] |= (uint8_t) ((u >> p & 1) << (i % 8));
	}
	query->nplanes = nplanes;
	query->weight = levels - 1;
	query->offset = (levels - 1) * (bits / 2) - total;
	if (!(along > 0))
	{
		query->unit = 0;
		return 0;
	}
	query->unit *= (float) (norm2 / along);
	cosine2 = along * along / (norm2 * rounded2);
	return cosine2 < 1 ? sqrt(1 / cosine2 - 1) : 0;
}

static void
rabitq_prepare(AnnCodeQuery *query)
{
	const RabitqModel *model = query->codes->model;
	RabitqQuery *made = query->memory;
	float	   *rotated = query_rotated(made);
	double		total = 0;
	bool		finite;

	memset(made, 0, sizeof(*made));
	made->bits = model->bits;
	memcpy(rotated, query->query, model->dim * sizeof(float));
	made->unit = (float) load(rotated, model->dim, model->bits, &finite);
	if (!finite)
		memset(rotated, 0, model->bits * sizeof(float));
	rotate(model, rotated);
	for (uint32_t i = 0; i < model->bits; i++)
		total += rotated[i];
	made->total = (float) total;
	if (query->query_bits > 0)
		query->error = (float) (sqrt(query->norm2) * (1 + 0x1p-20) *
								round_query(made, AnnMin(query->query_bits,
														 ANN_MAX_RBQ_QUERY_BITS)));
}

/* With q the rotated query: the sum of s q is twice that where s is 1, less that of q. */
static void
plain_dots(const RabitqQuery *query, const AnnCodes *codes, const uint32_t *rows,
		   uint32_t first, uint32_t n, float *out)
{
	uint32_t	bits = query->bits;
	size_t		stride = bits / 8;
	const Sq8Meta *meta = rows != NULL ? codes->meta : codes->meta + first;

	kernels->bits_ip_rows(query_rotated(query),
						  rows != NULL ? codes->codes : codes->codes + first * stride,
						  stride, rows, n, bits, out);
	for (uint32_t i = 0; i < n; i++)
		out[i] = (2 * out[i] - query->total) * meta[rows != NULL ? rows[i] : i].scale *
			query->unit;
}

/*
 * The same of the rounded query, u - (levels - 1) / 2 in units of the step, in integers:
 * 2 (sum of u where s is 1) - (levels - 1) (ones) + (levels - 1) bits / 2 - (sum of u).
 */
static void
rounded_dots(const RabitqQuery *query, const AnnCodes *codes, const uint32_t *rows,
			 uint32_t first, uint32_t n, float *out)
{
	size_t		stride = query->bits / 8;
	uint32_t	sums[BATCH];

	for (uint32_t done = 0; done < n; done += BATCH)
	{
		uint32_t	batch = AnnMin(BATCH, n - done);
		const uint32_t *numbers = rows != NULL ? rows + done : NULL;
		size_t		start = rows != NULL ? 0 : (size_t) first + done;
		const Sq8Meta *meta = codes->meta + start;

		kernels->bits_planes_rows(query_planes(query), query->nplanes, stride,
								  codes->codes + start * stride, stride, numbers, batch, stride,
								  sums);
		for (uint32_t i = 0; i < batch; i++)
		{
			const Sq8Meta *m = &meta[numbers != NULL ? numbers[i] : i];
			/* unsigned: a garbled sum may overflow */
			uint32_t	dot = 2 * sums[i] - query->weight * (uint32_t) m->sum + query->offset;

			out[done + i] = (float) (int32_t) dot * m->scale * query->unit;
		}
	}
}

static void
rabitq_dots(const AnnCodeQuery *query, const uint32_t *rows, uint32_t first, uint32_t n,
			float *out)
{
	const RabitqQuery *made = query->memory;

	if (made->nplanes > 0)
		rounded_dots(made, query->codes, rows, first, n, out);
	else
		plain_dots(made, query->codes, rows, first, n, out);
}

const AnnCodec AnnCodecRabitq = {
	.name = "RABITQ",
	.rigorous = false,
	.block_rows = 1,
	.code_bytes = rabitq_code_bytes,
	.train = rabitq_train,
	.check = rabitq_check,
	.encode = rabitq_encode,
	.decode = rabitq_decode,
	.query_bytes = rabitq_query_bytes,
	.prepare = rabitq_prepare,
	.dots = rabitq_dots,
};
