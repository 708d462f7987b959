/*
 * codec_pq_train.c
 *		The codebooks of a product quantizer: k-means in each subspace, layer by layer.
 *
 * All subspaces go through their iterations together, so that threads share out pieces of
 * (subspace, rows) however many subspaces there are, and cancellation is seen
 * after each piece.  The sample lies subspace by subspace.
 *
 * Layer l is trained on what the layers before it leave of the sample.  When all are
 * there, a few rounds choose anew with the whole beam and move every centre to
 * the mean of what its rows lack without it.
 */
#include "index/codec_pq.h"

#include <math.h>

/* Rows of the sample a centre, and at least; floats of the sample at most (256 MB with its layers).
 */
#define SAMPLE_PER_CENTRE 96
#define SAMPLE_PER_CENTRE_WIDE 48
#define SAMPLE_MIN 16384
#define SAMPLE_FLOATS (UINT64_C(64) << 20)

/* Rows a centre and table, at least: what the model takes stays a small part of the rows. */
#define ROWS_PER_CENTRE 8
#define ROWS_PER_CENTRE_WIDE 32
#define ROWS_PER_CENTRE_AND_LAYER 4

#define ITERATIONS 16
#define ITERATIONS_WIDE 6

/* Rounds over all layers. */
#define ROUNDS 4

/* Stop when an iteration makes the sum of squares smaller by less than this share. */
#define ENOUGH 0.001

/* Splitting moves a centre by this share of itself. */
#define SPLIT 0.001f

/* Rows of one piece of work. */
#define PIECE 256

/* Elements beyond are brought down to it: their squares must not overflow. */
#define LARGEST 1e15f

typedef struct Training
{
	const AnnCodecInput *input;
	PqModel	   *model;
	uint32_t	sample;			/* rows */
	uint32_t	layer;
	uint32_t	pieces;			/* a subspace */
	float	   *rows;			/* m x sample x dsub */
	float	   *rests;			/* the same, less the layers so far; rows itself for one layer */
	uint32_t   *picks;			/* m x sample x layers */
	float	   *halves;			/* m x sample */
	uint32_t   *counts;			/* a worker: a number a centre */
	uint64_t   *keys;			/* a worker: a key a centre */
} Training;

/* See codec_pq.h. */
bool
PqShape(const AnnParams *params, uint32_t dsub, PqModel *model)
{
	if (params->pq_m != 0)
	{
		if (params->pq_m > params->dim || params->dim % params->pq_m != 0)
			return false;
		dsub = params->dim / params->pq_m;
	}
	model->dim = params->dim;
	model->dsub = AnnMin(dsub, params->dim);
	model->m = (params->dim + model->dsub - 1) / model->dsub;
	return true;
}

/* See codec_pq.h. */
void
PqLoad(const AnnCodecInput *input, const PqModel *model, const uint32_t *order, uint32_t first,
	   uint32_t n, float *rows, bool *bounded)
{
	uint32_t	padded = PqPadded(model);

	for (uint32_t i = 0; i < n; i++)
	{
		float	   *row = rows + (size_t) i * padded;

		bounded[i] = AnnCodecResidual(input, order != NULL ? order[first + i] : first + i, row);
		memset(row + model->dim, 0, (padded - model->dim) * sizeof(float));
	}
}

/* As many bits as the rows are enough for. */
static uint32_t
bits_for(const PqModel *shape, uint64_t rows)
{
	uint32_t	bits = shape->nbits;

	while (bits > 1)
	{
		uint64_t	each = bits > 8 ? ROWS_PER_CENTRE_WIDE : ROWS_PER_CENTRE;

		each = AnnMax(each, (uint64_t) shape->layers * ROWS_PER_CENTRE_AND_LAYER);
		if (each << bits <= rows)
			break;
		bits--;
	}
	return bits;
}

/* Rows of the sample and bits of the model. */
static void
choose_sizes(const AnnCodecInput *input, bool exact, PqModel *model, uint32_t *sample)
{
	uint64_t	floats = SAMPLE_FLOATS / (model->layers > 1 ? 2 : 1);
	uint64_t	rows = AnnMin(input->n, floats / PqPadded(model));
	uint64_t	most;

	if (!exact)
		model->nbits = bits_for(model, rows);
	most = (UINT64_C(1) << model->nbits) *
		   (PqWide(model) ? SAMPLE_PER_CENTRE_WIDE : SAMPLE_PER_CENTRE);
	*sample = (uint32_t) AnnMin(rows, AnnMax(most, SAMPLE_MIN));
}

static inline float *
subspace_rows(const Training *t, float *rows, uint32_t subspace)
{
	return rows + (size_t) subspace * t->sample * t->model->dsub;
}

static inline float *
layer_table(const Training *t, uint32_t subspace, uint32_t layer)
{
	return (float *) PqTable(t->model, subspace, layer);
}

/* Rows [first, end) of the sample to where the subspaces have them. */
static void
load_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Training   *t = ctx;
	uint32_t	dsub = t->model->dsub;
	float		row[ANN_MAX_DIM];
	bool		bounded;

	for (uint32_t i = first; i < end; i++)
	{
		PqLoad(t->input, t->model, NULL, (uint32_t) ((uint64_t) i * t->input->n / t->sample), 1, row,
			   &bounded);
		for (uint32_t d = 0; d < PqPadded(t->model); d++)
		{
			/* NaN becomes 0 */
			float		x = row[d] < LARGEST ? row[d] : LARGEST;

			row[d] = row[d] != row[d] ? 0 : AnnMax(x, -LARGEST);
		}
		for (uint32_t j = 0; j < t->model->m; j++)
			memcpy(subspace_rows(t, t->rows, j) + (size_t) i * dsub, row + (size_t) j * dsub,
				   dsub * sizeof(float));
	}
}

static void
put_centre(const PqModel *model, float *table, uint32_t centre, const float *from)
{
	float	   *to = (float *) PqCentre(model, table, centre);
	size_t		step = PqCentreStep(model);

	for (uint32_t d = 0; d < model->dsub; d++)
		to[d * step] = from[d];
}

/* |c|^2 / 2 of each centre; the padding is infinitely far. */
static void
put_halves(const PqModel *model, float *table)
{
	size_t		step = PqCentreStep(model);

	for (uint32_t c = 0; c < PqWidth(model); c++)
	{
		const float *centre = PqCentre(model, table, c);
		double		sum = 0;

		if (c >= 1u << model->nbits)
		{
			table[c] = INFINITY;
			continue;
		}
		for (uint32_t d = 0; d < model->dsub; d++)
			sum += (double) centre[d * step] * centre[d * step];
		table[c] = (float) (sum / 2);
	}
}

/* Start subspaces [first, end) from different rows, spread over the sample. */
static void
start_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Training   *t = ctx;
	PqModel	   *model = t->model;
	uint64_t	k = UINT64_C(1) << model->nbits;

	for (uint32_t j = first; j < end; j++)
	{
		float	   *table = layer_table(t, j, t->layer);
		uint64_t	seed = t->input->params->seed + ((uint64_t) j << 8) + t->layer;

		for (uint32_t c = 0; c < k; c++)
		{
			uint64_t	from = c * (uint64_t) t->sample / k;
			uint64_t	to = (c + 1) * (uint64_t) t->sample / k;
			uint64_t	row = from + (to > from ? AnnRandom(&seed) % (to - from) : 0);

			put_centre(model, table, c, subspace_rows(t, t->rests, j) + (size_t) row * model->dsub);
		}
		put_halves(model, table);
	}
}

/* The rows of a piece. */
static uint32_t
piece_rows(const Training *t, uint32_t piece, uint32_t *subspace, uint32_t *first)
{
	*subspace = piece / t->pieces;
	*first = piece % t->pieces * PIECE;
	return AnnMin(PIECE, t->sample - *first);
}

/* Nearest centres of the layer, of pieces [first, end). */
static void
assign_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Training   *t = ctx;

	for (uint32_t piece = first; piece < end; piece++)
	{
		uint32_t	j, at;
		uint32_t	n = piece_rows(t, piece, &j, &at);
		size_t		place = (size_t) j * t->sample + at;

		PqNearest(t->model, layer_table(t, j, t->layer), t->rests + place * t->model->dsub, n,
				  t->picks + place, t->halves + place);
	}
}

/* The best choice of all layers so far, of pieces [first, end); leaves the rests. */
static void
choose_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Training   *t = ctx;

	for (uint32_t piece = first; piece < end; piece++)
	{
		uint32_t	j, at;
		uint32_t	n = piece_rows(t, piece, &j, &at);
		size_t		place = (size_t) j * t->sample + at;

		PqChoose(t->model, j, t->layer + 1, t->rows + place * t->model->dsub, n,
				 t->picks + place * (t->layer + 1), t->rests + place * t->model->dsub);
	}
}

/*
 * Give each centre without rows half of the rows of one of the fullest: both are that centre
 * moved a little to either side, and part at the next assignment.
 */
static void
split_full(const PqModel *model, float *table, const uint32_t *counts, uint64_t *keys)
{
	uint32_t	k = 1u << model->nbits;
	uint32_t	used = 0;
	uint32_t	next = 0;
	size_t		step = PqCentreStep(model);

	for (uint32_t c = 0; c < k; c++)
	{
		if (counts[c] > 1)
			keys[used++] = (uint64_t) (UINT32_MAX - counts[c]) << 32 | c;
	}
	if (used == 0)
		return;
	AnnSortKeys(keys, used);
	for (uint32_t c = 0; c < k && next < used; c++)
	{
		float	   *to = (float *) PqCentre(model, table, c);
		float	   *from;

		if (counts[c] > 0)
			continue;
		from = (float *) PqCentre(model, table, (uint32_t) keys[next++]);
		for (uint32_t d = 0; d < model->dsub; d++)
		{
			float		move = (d % 2 == 0 ? SPLIT : -SPLIT) * from[d * step];

			to[d * step] = from[d * step] + move;
			from[d * step] -= move;
		}
	}
}

/*
 * Move the centres of a table to the mean of rows (sample x dsub), by picks (`stride` apart).
 * Where `add`, the rows are rests, to which a row's own centre comes; they become
 * the rests of the new centres.
 */
static void
update_table(Training *t, int worker, float *table, float *rows, const uint32_t *picks,
			 uint32_t stride, bool add)
{
	const PqModel *model = t->model;
	uint32_t	dsub = model->dsub;
	uint32_t	k = 1u << model->nbits;
	size_t		step = PqCentreStep(model);
	uint32_t   *counts = t->counts + (size_t) worker * k;

	memset(counts, 0, k * sizeof(uint32_t));
	for (uint32_t i = 0; i < t->sample; i++)
	{
		uint32_t	pick = picks[(size_t) i * stride];
		const float *centre = PqCentre(model, table, pick);

		counts[pick]++;
		for (uint32_t d = 0; add && d < dsub; d++)
			rows[(size_t) i * dsub + d] += centre[d * step];
	}
	for (uint32_t c = 0; c < k; c++)
	{
		float	   *centre = (float *) PqCentre(model, table, c);

		for (uint32_t d = 0; counts[c] > 0 && d < dsub; d++)
			centre[d * step] = 0;
	}
	for (uint32_t i = 0; i < t->sample; i++)
	{
		uint32_t	pick = picks[(size_t) i * stride];
		float	   *centre = (float *) PqCentre(model, table, pick);
		float		share = 1.0f / (float) counts[pick];

		for (uint32_t d = 0; d < dsub; d++)
			centre[d * step] += rows[(size_t) i * dsub + d] * share;
	}
	for (uint32_t i = 0; add && i < t->sample; i++)
	{
		const float *centre = PqCentre(model, table, picks[(size_t) i * stride]);

		for (uint32_t d = 0; d < dsub; d++)
			rows[(size_t) i * dsub + d] -= centre[d * step];
	}
	split_full(model, table, counts, t->keys + (size_t) worker * k);
	put_halves(model, table);
}

/* An iteration's second half, of subspaces [first, end). */
static void
update_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Training   *t = ctx;

	for (uint32_t j = first; j < end; j++)
		update_table(t, worker, layer_table(t, j, t->layer), subspace_rows(t, t->rests, j),
					 t->picks + (size_t) j * t->sample, 1, false);
}

/* A round's second half, of subspaces [first, end): every layer in turn. */
static void
adjust_chunk(void *ctx, int worker, uint32_t first, uint32_t end)
{
	Training   *t = ctx;
	uint32_t	layers = t->model->layers;

	for (uint32_t j = first; j < end; j++)
	{
		for (uint32_t l = 0; l < layers; l++)
			update_table(t, worker, layer_table(t, j, l), subspace_rows(t, t->rests, j),
						 t->picks + (size_t) j * t->sample * layers + l, layers, true);
	}
}

/* fn for all pieces, or for all subspaces. */
static AnnStatus
for_pieces(Training *t, AnnChunkFn fn)
{
	return AnnParallel(t->input->env, t->input->nthreads, 0, t->model->m * t->pieces, 1, fn, t,
					   NULL);
}

static AnnStatus
for_subspaces(Training *t, AnnChunkFn fn)
{
	return AnnParallel(t->input->env, t->input->nthreads, 0, t->model->m, 1, fn, t, NULL);
}

/* k-means on what is left of the rows. */
static AnnStatus
train_layer(Training *t)
{
	int			iterations = PqWide(t->model) ? ITERATIONS_WIDE : ITERATIONS;
	size_t		n = (size_t) t->model->m * t->sample;
	size_t		floats = n * t->model->dsub;
	double		squares = 0;
	double		before = INFINITY;
	AnnStatus	status = for_subspaces(t, start_chunk);

	for (size_t i = 0; i < floats; i++)
		squares += (double) t->rests[i] * t->rests[i];
	for (int i = 0; i < iterations && status == ANN_OK; i++)
	{
		double		sum = squares;

		status = for_pieces(t, assign_chunk);
		if (status == ANN_OK)
			status = for_subspaces(t, update_chunk);
		if (status != ANN_OK)
			break;
		for (size_t r = 0; r < n; r++)
			sum += 2 * (double) t->halves[r];
		if (before - sum <= ENOUGH * fabs(sum))
			break;
		before = sum;
	}
	return status;
}

static AnnStatus
train(Training *t)
{
	PqModel	   *model = t->model;
	AnnStatus	status =
		AnnParallel(t->input->env, t->input->nthreads, 0, t->sample, PIECE, load_chunk, t, NULL);

	for (uint32_t l = 0; l < model->layers && status == ANN_OK; l++)
	{
		t->layer = l;
		if (l == 0 && t->rests != t->rows)
			memcpy(t->rests, t->rows, (size_t) t->sample * PqPadded(model) * sizeof(float));
		status = train_layer(t);
		if (status == ANN_OK && model->layers > 1)
			status = for_pieces(t, choose_chunk);
	}
	for (int r = 0; r < ROUNDS && model->layers > 1 && status == ANN_OK; r++)
	{
		status = for_subspaces(t, adjust_chunk);
		if (status == ANN_OK && r + 1 < ROUNDS)
			status = for_pieces(t, choose_chunk);
	}
	return status;
}

/* See codec_pq.h. */
AnnStatus
PqTrain(const AnnCodecInput *input, const PqModel *shape, bool exact, void **model, uint64_t *bytes)
{
	const AnnEnv *env = input->env;
	PqModel		sized = *shape;
	Training	t = {.input = input};
	int			threads = AnnMax(input->nthreads, 1);
	size_t		floats;
	size_t		centres;
	AnnStatus	status = ANN_NO_MEMORY;

	sized.magic = PQ_MAGIC;
	memset(sized.reserved, 0, sizeof(sized.reserved));
	choose_sizes(input, exact, &sized, &t.sample);
	*bytes = PqModelBytes(&sized);
	*model = t.model = AnnAlloc(env, *bytes);
	if (t.model == NULL)
		return ANN_NO_MEMORY;
	memset(t.model, 0, *bytes);
	memcpy(t.model, &sized, sizeof(sized));
	if (t.sample == 0)
	{
		for (uint32_t i = 0; i < sized.m * sized.layers; i++)
			put_halves(t.model, layer_table(&t, i / sized.layers, i % sized.layers));
		return ANN_OK;
	}

	/* on the caller's thread: it may load a library */
	GemmInit();
	t.pieces = (t.sample + PIECE - 1) / PIECE;
	floats = (size_t) t.sample * PqPadded(&sized);
	centres = ((size_t) 1 << sized.nbits) * threads;
	t.rows = AnnAlloc(env, floats * sizeof(float));
	t.rests = sized.layers > 1 ? AnnAlloc(env, floats * sizeof(float)) : t.rows;
	t.picks = AnnAlloc(env, (size_t) sized.m * t.sample * sized.layers * sizeof(uint32_t));
	t.halves = AnnAlloc(env, (size_t) sized.m * t.sample * sizeof(float));
	t.counts = AnnAlloc(env, centres * sizeof(uint32_t));
	t.keys = AnnAlloc(env, centres * sizeof(uint64_t));
	if (t.rows != NULL && t.rests != NULL && t.picks != NULL && t.halves != NULL &&
		t.counts != NULL && t.keys != NULL)
		status = train(&t);

	if (t.rests != t.rows)
		AnnFree(env, t.rests);
	AnnFree(env, t.rows);
	AnnFree(env, t.picks);
	AnnFree(env, t.halves);
	AnnFree(env, t.counts);
	AnnFree(env, t.keys);
	if (status != ANN_OK)
	{
		AnnFree(env, *model);
		*model = NULL;
	}
	return status;
}
