/*
 * codec_sq.c
 *		Scalar codes: 4, 6 and 8 bits a number with a scale a row, float16 and
 *		bfloat16.  There is no model.
 *
 * 4 and 6 bits stand for odd multiples of half a step, x^ = step (code - (levels - 1) / 2):
 * all levels are used, none is wasted on a zero that hardly occurs.  The step is the one of a
 * few that leaves the smallest error, then fitted to the chosen codes by least
 * squares.  The query is coded with signed bytes (sq8.c), products are exact integers.
 *
 * float16 and bfloat16 are multiplied with the query in float.  float16 rows are scaled
 * by a power of two that brings them into the middle of its range.
 */
#include "index/codec.h"

#include <math.h>

/* Rows whose largest element is below this are coded as zeros, as sq8.c does. */
#define SMALLEST_SCALED 1e-30f

/* Squares of larger numbers overflow when summed: their rows have no bound. */
#define LARGEST_SCALED 1e18f

/* Values of a block of 4- or 6-bit codes. */
#define BLOCK_VALUES 64

/* Rows of integer dots at a time. */
#define BLOCK_ROWS 128

/* float16 rows are scaled to a largest element of 2^F16_TOP .. 2^(F16_TOP + 1). */
#define F16_TOP 14

/* 16-bit floats of a row are padded to a multiple of this. */
#define HALF_PAD 8

/* ---- no model ---- */

static AnnStatus
train_nothing(const AnnCodecInput *input, void **model, uint64_t *bytes)
{
	*model = NULL;
	*bytes = 0;
	return ANN_OK;
}

static bool
check_nothing(const AnnParams *params, const void *model, uint64_t bytes)
{
	return bytes == 0;
}

/* ---- rows ---- */

static float
largest_of(const float *x, uint32_t dim)
{
	float		max = 0;

	for (uint32_t d = 0; d < dim; d++)
	{
		float		magnitude = fabsf(x[d]);

		/* NaN counts as infinite */
		max = magnitude <= max ? max : isnan(magnitude) ? INFINITY : magnitude;
	}
	return max;
}

/*
 * The meta of a row x coded as x^: rest2 = |x - x^|^2, decoded2 = |x^|^2, size2 = |x|^2.
 * x lost up to 2^-24 of itself when the origin was subtracted, and up to 2^-21 when
 * it was normalised.
 */
static void
set_meta(const AnnCodecInput *input, bool bounded, float scale, double rest2, double decoded2,
		 double size2, Sq8Meta *meta)
{
	double		error = sqrt(rest2) * (1 + 0x1p-20) + sqrt(size2) * 0x1p-22;

	if (input->params->metric == ANN_COSINE)
		error += 0x1p-21;
	meta->scale = scale;
	meta->norm2 = (float) decoded2;
	meta->error = bounded ? (float) (error * (1 + 0x1p-20)) : INFINITY;
	meta->sum = 0;
}

/* A row that is next to zero, or so large that nothing can be said: zeros. */
static void
set_meta_zero(const AnnCodecInput *input, bool bounded, float max, Sq8Meta *meta)
{
	double		size = sqrt((double) input->params->dim) * max * 1.001;

	set_meta(input, bounded && max < SMALLEST_SCALED, 0, size * size, 0, 0, meta);
}

static bool
out_of_range(float max)
{
	return max < SMALLEST_SCALED || !(max < LARGEST_SCALED);
}

static uint32_t
input_row(const uint32_t *order, uint32_t row)
{
	return order != NULL ? order[row] : row;
}

/* ---- a query coded with signed bytes ---- */

static size_t
bytes_query_bytes(const AnnParams *params, const void *model)
{
	return AnnRoundUp(sizeof(Sq8Query), ANN_ALIGN) + Sq8Stride(params->dim);
}

static void
bytes_prepare(AnnCodeQuery *query)
{
	AnnParams	plain = {.metric = ANN_L2, .elem = ANN_F32, .dim = query->codes->params->dim};
	Sq8Query   *out = query->memory;

	AnnSq8Query(&plain, NULL, query->query,
				(int8_t *) query->memory + AnnRoundUp(sizeof(Sq8Query), ANN_ALIGN), out);
	query->norm2 = out->norm2;
	query->error = out->error;
}

/* The query's step. */
static inline float
bytes_step(const Sq8Query *query)
{
	return query->coef * -0.5f;
}

/* ---- 8 bits ---- */

static uint64_t
sq8_code_bytes(const AnnParams *params, const void *model, uint32_t n)
{
	return (uint64_t) Sq8Stride(params->dim) * n;
}

static void
sq8_encode(const AnnCodecInput *input, const void *model, const uint32_t *order, uint32_t first,
		   uint32_t n, uint8_t *codes, Sq8Meta *meta, float *scratch)
{
	AnnParams	plain = {.metric = ANN_L2, .elem = ANN_F32, .dim = input->params->dim};
	size_t		stride = Sq8Stride(plain.dim);

	for (uint32_t row = first; row < first + n; row++)
	{
		bool		bounded = AnnCodecResidual(input, input_row(order, row), scratch);
		Sq8Meta    *m = &meta[row];

		Sq8Encode(&plain, NULL, scratch, 1, codes + row * stride, m);
		if (!bounded)
			m->error = INFINITY;
		m->error += sqrtf(m->norm2) * 0x1p-22f +
			(input->params->metric == ANN_COSINE ? 0x1p-21f : 0);
	}
}

static void
sq8_decode(const AnnCodes *codes, uint32_t row, float *out)
{
	uint32_t	dim = codes->params->dim;
	const uint8_t *code = codes->codes + row * Sq8Stride(dim);

	for (uint32_t d = 0; d < dim; d++)
		out[d] = codes->meta[row].scale * (float) (code[d] - SQ8_ZERO);
}

static void
sq8_dots(const AnnCodeQuery *query, const uint32_t *rows, uint32_t first, uint32_t n, float *out)
{
	const AnnCodes *codes = query->codes;
	const Sq8Query *q = query->memory;
	float		step = bytes_step(q);
	int32_t		dots[BLOCK_ROWS];

	for (uint32_t at = 0; at < n; at += BLOCK_ROWS)
	{
		uint32_t	block = AnnMin(BLOCK_ROWS, n - at);

		if (rows != NULL)
			kernels->sq8_dot_gather(codes->codes, q->stride, rows + at, block, q->codes,
									q->stride, dots);
		else
			kernels->sq8_dot_seq(codes->codes + (size_t) (first + at) * q->stride, q->stride,
								 block, q->codes, q->stride, dots);
		for (uint32_t i = 0; i < block; i++)
			out[at + i] = codes->meta[rows != NULL ? rows[at + i] : first + at + i].scale *
				(step * (float) (dots[i] - q->offset));
	}
}

const AnnCodec AnnCodecSq8 = {
	.name = "SQ8",
	.rigorous = true,
	.block_rows = 1,
	.code_bytes = sq8_code_bytes,
	.train = train_nothing,
	.check = check_nothing,
	.encode = sq8_encode,
	.decode = sq8_decode,
	.query_bytes = bytes_query_bytes,
	.prepare = bytes_prepare,
	.dots = sq8_dots,
};

/* ---- 4 and 6 bits ---- */

/* Bytes of a row: its values padded to whole blocks, `bits` each. */
static size_t
packed_stride(uint32_t dim, uint32_t bits)
{
	return AnnRoundUp(dim, BLOCK_VALUES) * bits / 8;
}

/* Pack the codes of a block (kernels.h). */
static void
pack_block(const uint8_t *values, uint32_t bits, uint8_t *out)
{
	for (int i = 0; i < 32; i++)
		out[i] = (uint8_t) ((values[i] & 15) | values[32 + i] << 4);
	for (int i = 0; bits == 6 && i < 16; i++)
		out[32 + i] = (uint8_t) (values[i] >> 4 | values[16 + i] >> 4 << 2 |
								 values[32 + i] >> 4 << 4 | values[48 + i] >> 4 << 6);
}

static uint32_t
unpack_value(const uint8_t *code, uint32_t bits, uint32_t d)
{
	const uint8_t *block = code + d / BLOCK_VALUES * (BLOCK_VALUES * bits / 8);
	uint32_t	i = d % BLOCK_VALUES;
	uint32_t	value = block[i % 32] >> (i / 32 * 4) & 15;

	if (bits == 6)
		value |= (uint32_t) (block[32 + i % 16] >> (i / 16 * 2) & 3) << 4;
	return value;
}

/* Codes of x with a step given by its inverse; returns the squared error in steps. */
static double
quantize(const float *x, uint32_t dim, float inverse, uint32_t levels, uint8_t *values)
{
	float		middle = (float) (levels - 1) / 2;
	float		top = (float) (levels - 1);
	double		total = 0;

	for (uint32_t at = 0; at < dim; at += BLOCK_VALUES)
	{
		float		sum = 0;

		for (uint32_t d = at; d < AnnMin(at + BLOCK_VALUES, dim); d++)
		{
			float		u = x[d] * inverse + middle;
			float		code = u < 0 ? 0 : u > top ? top : (float) (int32_t) (u + 0.5f);

			values[d] = (uint8_t) code;
			sum += (u - code) * (u - code);
		}
		total += sum;
	}
	return total;
}

/* Find the step for x, whose largest element is max; fills values (dim codes). */
static float
choose_step(const float *x, uint32_t dim, float max, uint32_t bits, uint8_t *values)
{
	/* the part of the range that is covered: of normal numbers, a little less than all is best */
	static const float covered[] = {1, 0.93f, 0.86f, 0.79f, 0.72f, 0.65f, 0.58f};
	uint32_t	levels = 1u << bits;
	int			choices = bits == 4 ? (int) (sizeof(covered) / sizeof(*covered)) : 2;
	double		least = INFINITY;
	float		best = 0;
	double		fit = 0;
	double		squares = 0;

	for (int i = 0; i < choices; i++)
	{
		float		step = max * covered[i] * 2 / (float) (levels - 1);
		double		error = quantize(x, dim, 1 / step, levels, values) * step * step;

		if (error < least)
		{
			least = error;
			best = step;
		}
	}
	quantize(x, dim, 1 / best, levels, values);

	/* least squares: x . u / |u|^2 with u the odd numbers that codes stand for */
	for (uint32_t d = 0; d < dim; d++)
	{
		int32_t		u = 2 * values[d] - (int32_t) (levels - 1);

		fit += (double) x[d] * u;
		squares += (double) u * u;
	}
	return (float) (2 * fit / squares);
}

static void
packed_encode(const AnnCodecInput *input, const uint32_t *order, uint32_t first, uint32_t n,
			  uint8_t *codes, Sq8Meta *meta, float *scratch, uint32_t bits)
{
	uint32_t	dim = input->params->dim;
	size_t		stride = packed_stride(dim, bits);
	uint8_t    *values = (uint8_t *) (scratch + dim);
	size_t		block_bytes = BLOCK_VALUES * bits / 8;

	for (uint32_t row = first; row < first + n; row++)
	{
		bool		bounded = AnnCodecResidual(input, input_row(order, row), scratch);
		float		max = largest_of(scratch, dim);
		uint8_t    *code = codes + row * stride;
		float		step;
		double		rest2 = 0;
		double		decoded2 = 0;
		double		size2 = 0;

		if (out_of_range(max))
		{
			memset(code, 0, stride);
			set_meta_zero(input, bounded, max, &meta[row]);
			continue;
		}
		step = choose_step(scratch, dim, max, bits, values);
		for (uint32_t d = 0; d < dim; d++)
		{
			double		decoded = 0.5 * step * (2 * values[d] - ((1 << bits) - 1));

			rest2 += (scratch[d] - decoded) * (scratch[d] - decoded);
			decoded2 += decoded * decoded;
			size2 += (double) scratch[d] * scratch[d];
		}
		for (uint32_t at = 0; at < dim; at += BLOCK_VALUES)
		{
			uint8_t		block[BLOCK_VALUES] = {0};

			memcpy(block, values + at, AnnMin(BLOCK_VALUES, dim - at));
			pack_block(block, bits, code + at / BLOCK_VALUES * block_bytes);
		}
		set_meta(input, bounded, step, rest2, decoded2, size2, &meta[row]);

		/*
		 * The error e = x - x^ of 4 bits is large, and has nothing to do with where x lies from
		 * q: |x - q|^2 = |x^ - q|^2 - |e|^2 + 2 e.(x - q), whose last part is zero on average.
		 */
		if (bits == 4)
			meta[row].norm2 = (float) (decoded2 - rest2);
	}
}

static void
packed_decode(const AnnCodes *codes, uint32_t row, float *out, uint32_t bits)
{
	uint32_t	dim = codes->params->dim;
	const uint8_t *code = codes->codes + row * packed_stride(dim, bits);

	for (uint32_t d = 0; d < dim; d++)
		out[d] = 0.5f * codes->meta[row].scale *
			(float) (2 * (int32_t) unpack_value(code, bits, d) - ((1 << bits) - 1));
}

static void
packed_dots(const AnnCodeQuery *query, const uint32_t *rows, uint32_t first, uint32_t n,
			float *out, uint32_t bits)
{
	const AnnCodes *codes = query->codes;
	const Sq8Query *q = query->memory;
	size_t		stride = packed_stride(codes->params->dim, bits);
	const uint8_t *base = codes->codes + (rows != NULL ? 0 : first * stride);
	/* 2 code - (levels - 1) is the odd number of half steps */
	int32_t		offset = q->offset / SQ8_ZERO * ((1 << bits) - 1);
	float		step = 0.5f * bytes_step(q);
	int32_t		dots[BLOCK_ROWS];

	for (uint32_t at = 0; at < n; at += BLOCK_ROWS)
	{
		uint32_t	block = AnnMin(BLOCK_ROWS, n - at);
		const uint32_t *numbers = rows != NULL ? rows + at : NULL;
		const uint8_t *from = rows != NULL ? base : base + at * stride;

		if (bits == 4)
			kernels->sq4_dot_rows(q->codes, from, stride, numbers, block, q->stride, dots);
		else
			kernels->sq6_dot_rows(q->codes, from, stride, numbers, block, q->stride, dots);
		for (uint32_t i = 0; i < block; i++)
			out[at + i] = codes->meta[rows != NULL ? rows[at + i] : first + at + i].scale *
				(step * (float) (2 * dots[i] - offset));
	}
}

/* What differs between 4 and 6 bits, as functions. */
#define PACKED_CODEC(name_, bits_, rigorous_) \
	static uint64_t sq##bits_##_code_bytes(const AnnParams *params, const void *model, \
										   uint32_t n) \
	{ \
		return (uint64_t) packed_stride(params->dim, bits_) * n; \
	} \
	static void sq##bits_##_encode(const AnnCodecInput *input, const void *model, \
								   const uint32_t *order, uint32_t first, uint32_t n, \
								   uint8_t *codes, Sq8Meta *meta, float *scratch) \
	{ \
		packed_encode(input, order, first, n, codes, meta, scratch, bits_); \
	} \
	static void sq##bits_##_decode(const AnnCodes *codes, uint32_t row, float *out) \
	{ \
		packed_decode(codes, row, out, bits_); \
	} \
	static void sq##bits_##_dots(const AnnCodeQuery *query, const uint32_t *rows, \
								 uint32_t first, uint32_t n, float *out) \
	{ \
		packed_dots(query, rows, first, n, out, bits_); \
	} \
	const AnnCodec AnnCodecSq##bits_ = { \
		.name = name_, \
		.rigorous = rigorous_, \
		.block_rows = 1, \
		.code_bytes = sq##bits_##_code_bytes, \
		.train = train_nothing, \
		.check = check_nothing, \
		.encode = sq##bits_##_encode, \
		.decode = sq##bits_##_decode, \
		.query_bytes = bytes_query_bytes, \
		.prepare = bytes_prepare, \
		.dots = sq##bits_##_dots, \
	}

PACKED_CODEC("SQ6", 6, true);
/* its bounds would hold, but be so low that hundreds of rows were compared exactly */
PACKED_CODEC("SQ4U", 4, false);

/* ---- 16-bit floats ---- */

static uint64_t
half_code_bytes(const AnnParams *params, const void *model, uint32_t n)
{
	return (uint64_t) AnnRoundUp(params->dim, HALF_PAD) * sizeof(uint16_t) * n;
}

static void
half_encode(const AnnCodecInput *input, const uint32_t *order, uint32_t first, uint32_t n,
			uint8_t *codes, Sq8Meta *meta, float *scratch, bool brain)
{
	uint32_t	dim = input->params->dim;
	size_t		padded = AnnRoundUp(dim, HALF_PAD);
	float	   *decoded = scratch + dim;

	for (uint32_t row = first; row < first + n; row++)
	{
		bool		bounded = AnnCodecResidual(input, input_row(order, row), scratch);
		float		max = largest_of(scratch, dim);
		uint16_t   *code = (uint16_t *) codes + row * padded;
		float		scale = 1;
		double		rest2 = 0;
		double		decoded2 = 0;
		double		size2 = 0;

		memset(code, 0, padded * sizeof(uint16_t));
		if (out_of_range(max))
		{
			set_meta_zero(input, bounded, max, &meta[row]);
			continue;
		}
		if (brain)
		{
			kernels->f32_to_bf16(scratch, code, dim);
			kernels->bf16_to_f32(code, decoded, dim);
		}
		else
		{
			/* a power of two: only what is smaller than float16's smallest is lost */
			scale = ldexpf(1, ilogbf(max) - F16_TOP);
			for (uint32_t d = 0; d < dim; d++)
				decoded[d] = scratch[d] / scale;
			kernels->f32_to_f16(decoded, code, dim);
			kernels->f16_to_f32(code, decoded, dim);
		}
		for (uint32_t d = 0; d < dim; d++)
		{
			double		x = (double) decoded[d] * scale;

			rest2 += (scratch[d] - x) * (scratch[d] - x);
			decoded2 += x * x;
			size2 += (double) scratch[d] * scratch[d];
		}
		set_meta(input, bounded, scale, rest2, decoded2, size2, &meta[row]);
	}
}

static void
f16_encode(const AnnCodecInput *input, const void *model, const uint32_t *order, uint32_t first,
		   uint32_t n, uint8_t *codes, Sq8Meta *meta, float *scratch)
{
	half_encode(input, order, first, n, codes, meta, scratch, false);
}

static void
bf16_encode(const AnnCodecInput *input, const void *model, const uint32_t *order, uint32_t first,
			uint32_t n, uint8_t *codes, Sq8Meta *meta, float *scratch)
{
	half_encode(input, order, first, n, codes, meta, scratch, true);
}

static void
scale_row(const AnnCodes *codes, uint32_t row, float *out)
{
	for (uint32_t d = 0; d < codes->params->dim; d++)
		out[d] *= codes->meta[row].scale;
}

static void
f16_decode(const AnnCodes *codes, uint32_t row, float *out)
{
	uint32_t	dim = codes->params->dim;

	kernels->f16_to_f32((const uint16_t *) codes->codes + row * AnnRoundUp(dim, HALF_PAD), out,
						dim);
	scale_row(codes, row, out);
}

static void
bf16_decode(const AnnCodes *codes, uint32_t row, float *out)
{
	uint32_t	dim = codes->params->dim;

	kernels->bf16_to_f32((const uint16_t *) codes->codes + row * AnnRoundUp(dim, HALF_PAD), out,
						 dim);
	scale_row(codes, row, out);
}

/* The query is used as it is. */
static size_t
half_query_bytes(const AnnParams *params, const void *model)
{
	return 0;
}

static void
half_prepare(AnnCodeQuery *query)
{
}

static inline void
half_dots(const AnnCodeQuery *query, const uint32_t *rows, uint32_t first, uint32_t n, float *out,
		  bool brain)
{
	const AnnCodes *codes = query->codes;
	uint32_t	dim = codes->params->dim;
	size_t		stride = AnnRoundUp(dim, HALF_PAD);
	const uint16_t *base = (const uint16_t *) codes->codes + (rows != NULL ? 0 : first * stride);

	if (brain)
		kernels->ip_f32_bf16_rows(query->query, base, stride, rows, n, dim, out);
	else
		kernels->ip_f32_f16_rows(query->query, base, stride, rows, n, dim, out);
	for (uint32_t i = 0; i < n; i++)
		out[i] *= codes->meta[rows != NULL ? rows[i] : first + i].scale;
}

static void
f16_dots(const AnnCodeQuery *query, const uint32_t *rows, uint32_t first, uint32_t n, float *out)
{
	half_dots(query, rows, first, n, out, false);
}

static void
bf16_dots(const AnnCodeQuery *query, const uint32_t *rows, uint32_t first, uint32_t n, float *out)
{
	half_dots(query, rows, first, n, out, true);
}

const AnnCodec AnnCodecF16 = {
	.name = "FP16",
	.rigorous = true,
	.block_rows = 1,
	.code_bytes = half_code_bytes,
	.train = train_nothing,
	.check = check_nothing,
	.encode = f16_encode,
	.decode = f16_decode,
	.query_bytes = half_query_bytes,
	.prepare = half_prepare,
	.dots = f16_dots,
};

const AnnCodec AnnCodecBf16 = {
	.name = "BF16",
	.rigorous = true,
	.block_rows = 1,
	.code_bytes = half_code_bytes,
	.train = train_nothing,
	.check = check_nothing,
	.encode = bf16_encode,
	.decode = bf16_decode,
	.query_bytes = half_query_bytes,
	.prepare = half_prepare,
	.dots = bf16_dots,
};
