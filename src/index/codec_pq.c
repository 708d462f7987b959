/*
 * codec_pq.c
 *		Product quantization (Jégou, Douze, Schmid 2011), with residual layers where
 *		the type has them (Chen, Guan, Wang 2010).
 *
 * A code row has nbits a table, one after the other from the lowest bit of the
 * first byte on; for 8 bits it is a byte a table.  A query multiplies itself with all centres
 * once and a row adds up one product a table; beyond PQ_NARROW_BITS that would
 * be more than the rows ask for, and a row's centres are multiplied one by one.
 */
#include "index/codec_pq.h"

#include <math.h>

/* Dimensions of a subspace where pq_m is 0. */
#define DEFAULT_DSUB 4

/* Bytes that a field is read from; a row has no less. */
#define WINDOW 4

/* Rows ahead that codes are fetched for. */
#define AHEAD 4

/*
 * |x - q|^2 is |x^ - q|^2 + share |x - x^|^2 on average: a share of 1 for a q unrelated to x, the
 * less the nearer q is, and near ones matter.  Measured; see quantizers.md.
 */
#define LACKS 0.25
#define LACKS_IN_LISTS 0.5

/* Subspaces and layers of the parameters. */
static bool
shape_of(const AnnParams *params, PqModel *shape)
{
	memset(shape, 0, sizeof(*shape));
	shape->layers =
		params->type == ANN_HNSW_PRQ ? (params->nrq != 0 ? params->nrq : ANN_DEFAULT_NRQ) : 1;
	shape->nbits = params->pq_nbits != 0 ? params->pq_nbits : ANN_DEFAULT_PQ_NBITS;
	return params->dim >= 1 && params->dim <= ANN_MAX_DIM && shape->layers <= ANN_MAX_NRQ &&
		   shape->nbits <= ANN_MAX_PQ_NBITS && PqShape(params, DEFAULT_DSUB, shape);
}

static inline uint32_t
table_count(const PqModel *model)
{
	return model->m * model->layers;
}

/* Bytes of a code row. */
static size_t
row_bytes(const PqModel *model)
{
	size_t		bytes = ((size_t) table_count(model) * model->nbits + 7) / 8;

	return model->nbits == 8 ? bytes : AnnMax(bytes, WINDOW);
}

static bool
pq_check(const AnnParams *params, const void *bytes_of_model, uint64_t bytes)
{
	const PqModel *model = bytes_of_model;
	PqModel		shape;

	return bytes >= sizeof(PqModel) && shape_of(params, &shape) && model->magic == PQ_MAGIC &&
		   model->dim == shape.dim && model->m == shape.m && model->dsub == shape.dsub &&
		   model->layers == shape.layers && model->nbits >= 1 && model->nbits <= shape.nbits &&
		   bytes == PqModelBytes(model);
}

static uint64_t
pq_code_bytes(const AnnParams *params, const void *model, uint32_t n)
{
	PqModel		shape;
	const PqModel *m = model;

	if (!shape_of(params, &shape) || m->m != shape.m || m->layers != shape.layers)
		return 0;
	return (uint64_t) n * row_bytes(m);
}

static AnnStatus
pq_train(const AnnCodecInput *input, void **model, uint64_t *bytes)
{
	PqModel		shape;

	if (!shape_of(input->params, &shape))
		return ANN_CORRUPT;
	return PqTrain(input, &shape, false, model, bytes);
}

/* ---- fields of a code row ---- */

static inline uint32_t
load_window(const uint8_t *bytes)
{
	return (uint32_t) bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 |
		   (uint32_t) bytes[3] << 24;
}

/* Field t of a row whose last window begins at `last`; never reads past the row. */
static inline uint32_t
get_field(const uint8_t *code, uint32_t t, uint32_t nbits, size_t last)
{
	size_t		bit = (size_t) t * nbits;
	size_t		byte = AnnMin(bit / 8, last);

	return load_window(code + byte) >> (bit - byte * 8) & ((1u << nbits) - 1);
}

/* Set field t of a row of zeros. */
static inline void
put_field(uint8_t *code, uint32_t t, uint32_t nbits, uint32_t value)
{
	size_t		bit = (size_t) t * nbits;
	uint64_t	shifted = (uint64_t) value << bit % 8;

	for (size_t byte = bit / 8; shifted != 0; byte++, shifted >>= 8)
		code[byte] |= (uint8_t) shifted;
}

static inline uint32_t
get_code(const PqModel *model, const uint8_t *code, uint32_t t)
{
	if (model->nbits == 8)
		return code[t];
	return get_field(code, t, model->nbits, row_bytes(model) - WINDOW);
}

/* ---- coding ---- */

static void
decode_row(const PqModel *model, const uint8_t *code, float *out)
{
	size_t		step = PqCentreStep(model);

	for (uint32_t j = 0; j < model->m; j++)
	{
		uint32_t	first = j * model->dsub;
		uint32_t	dims = AnnMin(model->dsub, model->dim - first);

		memset(out + first, 0, dims * sizeof(float));
		for (uint32_t l = 0; l < model->layers; l++)
		{
			uint32_t	pick = get_code(model, code, j * model->layers + l);
			const float *centre = PqCentre(model, PqTable(model, j, l), pick);

			for (uint32_t d = 0; d < dims; d++)
				out[first + d] += centre[d * step];
		}
	}
}

/* See codec_pq.h. */
float
PqExcess(const AnnParams *params)
{
	return AnnTypeStructure(params->type) == ANN_LISTS ? LACKS_IN_LISTS : LACKS;
}

/* See codec_pq.h. */
void
PqMeta(const AnnCodecInput *input, uint32_t row, bool bounded, const float *residual,
	   const float *decoded, Sq8Meta *meta)
{
	uint32_t	dim = input->params->dim;
	const float *centre = input->centers;
	double		norm2 = 0;
	double		error2 = 0;
	double		residual2 = 0;
	double		error;

	if (centre != NULL && input->center_of != NULL)
		centre += (size_t) input->center_of[row] * dim;
	for (uint32_t d = 0; d < dim; d++)
	{
		double		x = (double) decoded[d] + (centre != NULL ? centre[d] : 0);
		double		e = (double) residual[d] - decoded[d];

		norm2 += x * x;
		error2 += e * e;
		residual2 += (double) residual[d] * residual[d];
	}
	/* what the residual itself was rounded by: under COSINE the row, of length 1, too */
	error = sqrt(error2) + 0x1p-22 * (sqrt(residual2) + sqrt(norm2));
	if (input->params->metric == ANN_COSINE)
		error += 0x1p-21;
	meta->scale = 1;
	/* the square of a distance lacks about that much of the square of the error */
	if (error2 < FLT_MAX)
		norm2 += error2 * (input->center_of != NULL ? LACKS_IN_LISTS : LACKS);
	meta->norm2 = norm2 < FLT_MAX ? (float) norm2 : INFINITY;
	meta->error = bounded && error < FLT_MAX ? (float) (error * (1 + 0x1p-22)) : INFINITY;
	meta->sum = 0;
}

/* Code n rows that lie in `rows`, padded. */
static void
code_tile(const PqModel *model, const float *rows, uint32_t n, uint8_t *codes)
{
	uint32_t	padded = PqPadded(model);
	uint32_t	dsub = model->dsub;
	uint32_t	layers = model->layers;
	size_t		stride = row_bytes(model);
	float		parts[PQ_TILE_FLOATS];
	uint32_t	picks[PQ_TILE * ANN_MAX_NRQ];

	memset(codes, 0, n * stride);
	for (uint32_t j = 0; j < model->m; j++)
	{
		for (uint32_t i = 0; i < n; i++)
			memcpy(parts + (size_t) i * dsub, rows + (size_t) i * padded + (size_t) j * dsub,
				   dsub * sizeof(float));
		PqChoose(model, j, layers, parts, n, picks, NULL);
		for (uint32_t i = 0; i < n * layers; i++)
			put_field(codes + i / layers * stride, j * layers + i % layers, model->nbits, picks[i]);
	}
}

static void
pq_encode(const AnnCodecInput *input, const void *model, const uint32_t *order, uint32_t first,
		  uint32_t n, uint8_t *codes, Sq8Meta *meta, float *scratch)
{
	const PqModel *pq = model;
	uint32_t	padded = PqPadded(pq);
	uint32_t	tile = AnnMin(PQ_TILE, PQ_TILE_FLOATS / padded);
	size_t		stride = row_bytes(pq);
	float		rows[PQ_TILE_FLOATS];
	bool		bounded[PQ_TILE];

	for (uint32_t at = first; at < first + n; at += tile)
	{
		uint32_t	count = AnnMin(tile, first + n - at);

		PqLoad(input, pq, order, at, count, rows, bounded);
		code_tile(pq, rows, count, codes + at * stride);
		for (uint32_t i = at; i < at + count; i++)
		{
			decode_row(pq, codes + i * stride, scratch);
			PqMeta(input, order != NULL ? order[i] : i, bounded[i - at],
				   rows + (size_t) (i - at) * padded, scratch,
				   &meta[i]);
		}
	}
}

static void
pq_decode(const AnnCodes *codes, uint32_t row, float *out)
{
	decode_row(codes->model, codes->codes + row * row_bytes(codes->model), out);
}

/* ---- queries ---- */

/* A narrow model's query: a table of products each; a wide one's: itself, padded. */
static size_t
pq_query_bytes(const AnnParams *params, const void *model)
{
	const PqModel *pq = model;
	size_t		floats = PqWide(pq) ? PqPadded(pq) : (size_t) table_count(pq) * PqWidth(pq);

	return AnnRoundUp(floats * sizeof(float), ANN_ALIGN);
}

static void
pq_prepare(AnnCodeQuery *query)
{
	const PqModel *model = query->codes->model;
	uint32_t	width = PqWidth(model);
	float	   *products = query->memory;

	if (PqWide(model))
	{
		memcpy(products, query->query, model->dim * sizeof(float));
		memset(products + model->dim, 0, (PqPadded(model) - model->dim) * sizeof(float));
		return;
	}
	for (uint32_t t = 0; t < table_count(model); t++, products += width)
	{
		uint32_t	first = t / model->layers * model->dsub;
		uint32_t	dims = AnnMin(model->dsub, model->dim - first);
		const float *centres = PqTable(model, t / model->layers, t % model->layers) + width;

		memset(products, 0, width * sizeof(float));
		for (uint32_t d = 0; d < dims; d++, centres += width)
		{
			float		q = query->query[first + d];

			for (uint32_t c = 0; c < width; c++)
				products[c] += q * centres[c];
		}
	}
}

/* Products of the table, added up. */
static inline float
narrow_dot(const float *products, uint32_t width, uint32_t tables, uint32_t nbits, size_t last,
		   const uint8_t *code)
{
	float		even = 0;
	float		odd = 0;
	uint32_t	t = 0;

	for (; t + 2 <= tables; t += 2, products += 2 * (size_t) width)
	{
		even += products[get_field(code, t, nbits, last)];
		odd += products[width + get_field(code, t + 1, nbits, last)];
	}
	if (t < tables)
		even += products[get_field(code, t, nbits, last)];
	return even + odd;
}

/* Products with the row's centres. */
static float
wide_dot(const PqModel *model, const float *query, size_t last, const uint8_t *code)
{
	float		sum = 0;

	for (uint32_t t = 0; t < table_count(model); t++)
	{
		const float *table = PqTable(model, t / model->layers, t % model->layers);

		sum += kernels->ip_f32(query + (size_t) (t / model->layers) * model->dsub,
							   PqCentre(model, table, get_field(code, t, model->nbits, last)),
							   model->dsub);
	}
	return sum;
}

static void
pq_dots(const AnnCodeQuery *query, const uint32_t *rows, uint32_t first, uint32_t n, float *out)
{
	const PqModel *model = query->codes->model;
	const uint8_t *codes = query->codes->codes;
	size_t		stride = row_bytes(model);
	size_t		last = stride - WINDOW;

	if (model->nbits == 8)
	{
		kernels->pq8_rows(query->memory, rows != NULL ? codes : codes + first * stride, stride,
						  rows, n, table_count(model), out);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		const uint8_t *code = codes + (rows != NULL ? rows[i] : first + i) * stride;

		if (rows != NULL && i + AHEAD < n)
			__builtin_prefetch(codes + rows[i + AHEAD] * stride);
		if (PqWide(model))
			out[i] = wide_dot(model, query->memory, last, code);
		else
			out[i] = narrow_dot(query->memory, PqWidth(model), table_count(model), model->nbits,
								last, code);
	}
}

const AnnCodec AnnCodecPq = {
	.name = "PQ",
	.rigorous = false,
	.block_rows = 1,
	.code_bytes = pq_code_bytes,
	.train = pq_train,
	.check = pq_check,
	.encode = pq_encode,
	.decode = pq_decode,
	.query_bytes = pq_query_bytes,
	.prepare = pq_prepare,
	.dots = pq_dots,
	.excess = PqExcess,
};
