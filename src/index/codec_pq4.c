/*
 * codec_pq4.c
 *		Product quantization of four bits, read from registers (André, Kermarrec, Le
 *		Scouarnec 2015).
 *
 * Sixteen centres a subspace: a query's products with them, in eight bits, fill a vector
 * register, and one shuffle looks up many rows.  So codes lie in blocks of 32
 * rows as kernels->pq4_scan reads them, the subspaces made even in number by one of zeros.
 *
 * The products of subspace j are stored as (product - least of j) / step, rounded, with one
 * step for all subspaces: a sum of bytes is a dot product but for a factor and a
 * constant, and the rounding, at most step / 2 a subspace, falls on all rows alike.
 */
#include "index/codec_pq.h"

#include <math.h>

#define BLOCK_ROWS 32
#define CENTRES 16

/* Dimensions of a subspace where pq_m is 0. */
#define DEFAULT_DSUB 2

/* Subspaces whose sums fit 16 bits; more are added up in groups. */
#define GROUP 256

/* Blocks scanned at a time. */
#define BATCH 16

/* What pq4 keeps of a query; the products in bytes follow, 16 a subspace. */
typedef struct Pq4Query
{
	float		step;
	float		offset;			/* the sum of the least products */
	uint32_t	reserved[14];
	uint8_t		products[];
} Pq4Query;

static bool
shape_of(const AnnParams *params, PqModel *shape)
{
	memset(shape, 0, sizeof(*shape));
	shape->layers = 1;
	shape->nbits = 4;
	return params->dim >= 1 && params->dim <= ANN_MAX_DIM && PqShape(params, DEFAULT_DSUB, shape);
}

/* Subspaces of a block. */
static inline uint32_t
even_m(const PqModel *model)
{
	return model->m + model->m % 2;
}

static inline size_t
block_bytes(const PqModel *model)
{
	return (size_t) even_m(model) * BLOCK_ROWS / 2;
}

static bool
pq4_check(const AnnParams *params, const void *bytes_of_model, uint64_t bytes)
{
	const PqModel *model = bytes_of_model;
	PqModel		shape;

	return bytes >= sizeof(PqModel) && shape_of(params, &shape) && model->magic == PQ_MAGIC &&
		   model->dim == shape.dim && model->m == shape.m && model->dsub == shape.dsub &&
		   model->layers == 1 && model->nbits == 4 && bytes == PqModelBytes(model);
}

static uint64_t
pq4_code_bytes(const AnnParams *params, const void *model, uint32_t n)
{
	PqModel		shape;

	if (!shape_of(params, &shape) || ((const PqModel *) model)->m != shape.m)
		return 0;
	return ((uint64_t) n + BLOCK_ROWS - 1) / BLOCK_ROWS * block_bytes(model);
}

static AnnStatus
pq4_train(const AnnCodecInput *input, void **model, uint64_t *bytes)
{
	PqModel		shape;

	if (!shape_of(input->params, &shape))
		return ANN_CORRUPT;
	return PqTrain(input, &shape, true, model, bytes);
}

/* ---- coding ---- */

static inline uint32_t
get_code(const PqModel *model, const uint8_t *codes, uint32_t row, uint32_t subspace)
{
	const uint8_t *block = codes + row / BLOCK_ROWS * block_bytes(model);
	uint8_t		pair = block[subspace / 2 * BLOCK_ROWS + row % BLOCK_ROWS];

	return subspace % 2 == 0 ? pair & 15 : pair >> 4;
}

static void
decode_row(const PqModel *model, const uint8_t *codes, uint32_t row, float *out)
{
	for (uint32_t j = 0; j < model->m; j++)
	{
		uint32_t	first = j * model->dsub;
		const float *centre = PqCentre(model, PqTable(model, j, 0), get_code(model, codes, row, j));

		for (uint32_t d = 0; d < model->dsub && first + d < model->dim; d++)
			out[first + d] = centre[(size_t) d * CENTRES];
	}
}

/* Code n rows (padded) of one block, from its row `at` on. */
static void
code_rows(const PqModel *model, const float *rows, uint32_t at, uint32_t n, uint8_t *block)
{
	uint32_t	padded = PqPadded(model);
	uint32_t	dsub = model->dsub;
	float		parts[PQ_TILE_FLOATS];
	uint32_t	picks[PQ_TILE];

	for (uint32_t j = 0; j < model->m; j++)
	{
		for (uint32_t i = 0; i < n; i++)
			memcpy(parts + (size_t) i * dsub, rows + (size_t) i * padded + (size_t) j * dsub,
				   dsub * sizeof(float));
		PqNearest(model, PqTable(model, j, 0), parts, n, picks, NULL);
		for (uint32_t i = 0; i < n; i++)
			block[j / 2 * BLOCK_ROWS + at + i] |= (uint8_t) (picks[i] << (j % 2 * 4));
	}
}

static void
pq4_encode(const AnnCodecInput *input, const void *model, const uint32_t *order, uint32_t first,
		   uint32_t n, uint8_t *codes, Sq8Meta *meta, float *scratch)
{
	const PqModel *pq = model;
	uint32_t	padded = PqPadded(pq);
	uint32_t	tile = AnnMin(PQ_TILE, PQ_TILE_FLOATS / padded);
	float		rows[PQ_TILE_FLOATS];
	bool		bounded[PQ_TILE];
	uint32_t	count;

	for (uint32_t at = first; at < first + n; at += count)
	{
		uint32_t	in_block = at % BLOCK_ROWS;
		uint8_t	   *block = codes + at / BLOCK_ROWS * block_bytes(pq);

		if (in_block == 0)
			memset(block, 0, block_bytes(pq));
		count = AnnMin(AnnMin(tile, first + n - at), BLOCK_ROWS - in_block);
		PqLoad(input, pq, order, at, count, rows, bounded);
		code_rows(pq, rows, in_block, count, block);
		for (uint32_t i = at; i < at + count; i++)
		{
			decode_row(pq, codes, i, scratch);
			PqMeta(input, order != NULL ? order[i] : i, bounded[i - at],
				   rows + (size_t) (i - at) * padded, scratch,
				   &meta[i]);
		}
	}
}

static void
pq4_decode(const AnnCodes *codes, uint32_t row, float *out)
{
	decode_row(codes->model, codes->codes, row, out);
}

/* ---- queries ---- */

static size_t
pq4_query_bytes(const AnnParams *params, const void *model)
{
	return AnnRoundUp(sizeof(Pq4Query) + (size_t) even_m(model) * CENTRES, ANN_ALIGN);
}

/* A query's products with the centres of a subspace. */
static void
multiply(const PqModel *model, const float *query, uint32_t subspace, float *products)
{
	const float *centres = PqTable(model, subspace, 0) + CENTRES;
	uint32_t	first = subspace * model->dsub;

	memset(products, 0, CENTRES * sizeof(float));
	for (uint32_t d = 0; d < model->dsub && first + d < model->dim; d++, centres += CENTRES)
	{
		for (int c = 0; c < CENTRES; c++)
			products[c] += query[first + d] * centres[c];
	}
}

static float
least_of(const float *products, float *range)
{
	float		least = products[0];
	float		most = products[0];

	for (int c = 1; c < CENTRES; c++)
	{
		least = AnnMin(least, products[c]);
		most = AnnMax(most, products[c]);
	}
	*range = most - least;
	return least;
}

static void
pq4_prepare(AnnCodeQuery *query)
{
	const PqModel *model = query->codes->model;
	Pq4Query   *q = query->memory;
	float		products[CENTRES];
	float		widest = 0;
	float		range;
	double		offset = 0;
	float		scale;

	memset(q, 0, pq4_query_bytes(query->codes->params, model));
	for (uint32_t j = 0; j < model->m; j++)
	{
		multiply(model, query->query, j, products);
		offset += least_of(products, &range);
		widest = AnnMax(widest, range);
		/* infinite products: nothing can be said of any row */
		if (!(range < FLT_MAX))
		{
			query->error = INFINITY;
			return;
		}
	}
	q->offset = (float) offset;
	q->step = widest / 255;
	/* next to nothing between the centres, or between their products with this query */
	if (!(q->step > FLT_MIN))
	{
		q->step = 0;
		return;
	}
	scale = 1 / q->step;
	for (uint32_t j = 0; j < model->m; j++)
	{
		float		least;

		multiply(model, query->query, j, products);
		least = least_of(products, &range);
		for (int c = 0; c < CENTRES; c++)
		{
			float		level = (products[c] - least) * scale + 0.5f;

			q->products[(size_t) j * CENTRES + c] = (uint8_t) (level > 0 ? AnnMin(level, 255) : 0);
		}
	}
}

/* Sums of the products in bytes, of nblocks <= BATCH blocks. */
static void
scan_blocks(const PqModel *model, const Pq4Query *q, const uint8_t *blocks, uint32_t nblocks,
			uint32_t *sums)
{
	uint16_t	part[BATCH * BLOCK_ROWS];
	uint32_t	m = even_m(model);

	if (m <= GROUP)
	{
		kernels->pq4_scan(q->products, blocks, nblocks, m, part);
		for (uint32_t i = 0; i < nblocks * BLOCK_ROWS; i++)
			sums[i] = part[i];
		return;
	}
	memset(sums, 0, nblocks * BLOCK_ROWS * sizeof(uint32_t));
	for (uint32_t b = 0; b < nblocks; b++)
	{
		for (uint32_t j = 0; j < m; j += GROUP)
		{
			kernels->pq4_scan(q->products + (size_t) j * CENTRES,
							  blocks + b * block_bytes(model) + (size_t) j / 2 * BLOCK_ROWS, 1,
							  AnnMin(GROUP, m - j), part);
			for (uint32_t i = 0; i < BLOCK_ROWS; i++)
				sums[b * BLOCK_ROWS + i] += part[i];
		}
	}
}

/* The same of one row. */
static uint32_t
row_sum(const PqModel *model, const Pq4Query *q, const uint8_t *codes, uint32_t row)
{
	const uint8_t *pairs = codes + row / BLOCK_ROWS * block_bytes(model) + row % BLOCK_ROWS;
	const uint8_t *products = q->products;
	uint32_t	sum = 0;

	for (uint32_t j = 0; j < model->m; j += 2, pairs += BLOCK_ROWS, products += 2 * CENTRES)
		sum += products[*pairs & 15] + products[CENTRES + (*pairs >> 4)];
	return sum;
}

static void
pq4_dots(const AnnCodeQuery *query, const uint32_t *rows, uint32_t first, uint32_t n, float *out)
{
	const PqModel *model = query->codes->model;
	const Pq4Query *q = query->memory;
	const uint8_t *codes = query->codes->codes;
	uint32_t	sums[BATCH * BLOCK_ROWS];

	if (rows != NULL)
	{
		for (uint32_t i = 0; i < n; i++)
			out[i] = q->offset + q->step * (float) row_sum(model, q, codes, rows[i]);
		return;
	}
	while (n > 0)
	{
		uint32_t	block = first / BLOCK_ROWS;
		uint32_t	skip = first % BLOCK_ROWS;
		uint32_t	count = AnnMin(n, BATCH * BLOCK_ROWS - skip);

		scan_blocks(model, q, codes + block * block_bytes(model),
					(skip + count + BLOCK_ROWS - 1) / BLOCK_ROWS, sums);
		for (uint32_t i = 0; i < count; i++)
			*out++ = q->offset + q->step * (float) sums[skip + i];
		first += count;
		n -= count;
	}
}

const AnnCodec AnnCodecPq4 = {
	.name = "PQ4",
	.rigorous = false,
	.block_rows = BLOCK_ROWS,
	.code_bytes = pq4_code_bytes,
	.train = pq4_train,
	.check = pq4_check,
	.encode = pq4_encode,
	.decode = pq4_decode,
	.query_bytes = pq4_query_bytes,
	.prepare = pq4_prepare,
	.dots = pq4_dots,
	.excess = PqExcess,
};
