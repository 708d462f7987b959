/*
 * calibrate.c
 *		What recall a segment's searches reach at which effort, measured when it is
 *		built, so that a search can be asked for recall instead of for `ef`.
 *
 * Queries are made from the segment's rows.  A row itself would be far too easy a
 * query of a graph, which was built to find its neighbours: it is a node of it.  So
 * a query is moved away from a row x, to the side that a near neighbour y is not on:
 * q = x + t (x - y).  With t = 1.25 such points are about as hard for a graph as rows
 * left out of its build; for lists, which do not know their rows in this way,
 * t = 0.25 does the same (52,248 glosses of 384 dimensions: within 0.02 of the
 * recall of 1,000 other glosses from 0.95 on).
 */
#include "index/index_internal.h"

#include <math.h>

/* Rows of the answer that recall is measured for. */
#define K 10
/* The neighbour y that a query moves away from: drawn from this many. */
#define NEIGHBOURS 8
/* How far it moves: t above. */
#define MOVE_GRAPH 1.25f
#define MOVE_LISTS 0.25f
/* Standard errors that recall is believed to be below what was measured. */
#define DOUBT 1.0
#define MAX_QUERIES 100

static const uint32_t efforts_graph[ANN_EFFORTS] = {
	12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024
};
static const uint32_t efforts_lists[ANN_EFFORTS] = {
	1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128
};

typedef struct Calibration
{
	const AnnSegment *segment;
	AnnReadVector read;
	void	   *read_ctx;
	AnnScratch *scratch;
	const AnnEnv *env;
	size_t		row_bytes;
	void	   *query;
	void	   *vector;
	AnnStatus	status;			/* of reading, where a callback cannot say */
} Calibration;

/* A row's elements; NULL: it is gone. */
static const void *
read_row(Calibration *c, uint32_t row, void *into)
{
	if (c->segment->raw != NULL)
		return AnnRow(&c->segment->params, c->segment->raw, row);
	return c->read(c->read_ctx, row, into) ? into : NULL;
}

static float
exact_distance(void *ctx, uint32_t row)
{
	Calibration *c = ctx;
	const void *vector = read_row(c, row, c->vector);

	return vector == NULL ? NAN : AnnDistance(&c->segment->params, vector, c->query);
}

/* The nearest rows at an effort, as far as there are; 0: all of them compared. */
static AnnStatus
nearest(Calibration *c, uint32_t effort, AnnHit *hits, int want, int *nhits)
{
	AnnSearchParams params = {0};
	AnnSearch  *search;
	AnnStatus	status = ANN_OK;

	params.ef = effort > 0 ? effort : ANN_MAX_ROWS;
	params.nprobe = effort > 0 ? effort : ANN_MAX_ROWS;
	params.exact = c->segment->raw == NULL ? exact_distance : NULL;
	params.exact_ctx = c;
	*nhits = 0;
	search = AnnSearchBegin(c->segment, c->query, &params, c->scratch, c->env);
	if (search == NULL)
		return ANN_NO_MEMORY;
	while (*nhits < want && status == ANN_OK)
	{
		int			n;

		status = AnnSearchNext(search, hits + *nhits, want - *nhits, &n);
		if (n == 0)
			break;
		*nhits += n;
	}
	AnnSearchEnd(search);
	return status;
}

/* q = x + t (x - y), within what the elements can hold. */
static void
move_away(const AnnParams *params, const void *x, const void *y, void *q, uint64_t *random)
{
	float		t = AnnTypeStructure(params->type) == ANN_GRAPH ? MOVE_GRAPH : MOVE_LISTS;
	float		a[ANN_MAX_DIM];
	float		b[ANN_MAX_DIM];

	if (params->elem == ANN_BIT)
	{
		const uint8_t *p = x;
		const uint8_t *o = y;
		uint8_t    *out = q;

		/* half of what differs, from either */
		for (uint32_t i = 0; i < (params->dim + 7) / 8; i++)
			out[i] = p[i] ^ ((p[i] ^ o[i]) & (uint8_t) AnnRandom(random));
		return;
	}
	AnnRowToFloat(params, x, a);
	AnnRowToFloat(params, y, b);
	for (uint32_t i = 0; i < params->dim; i++)
	{
		float		value = a[i] + t * (a[i] - b[i]);

		a[i] = isfinite(value) ? value : a[i];
	}
	AnnRowFromFloat(params, a, q);
}

/*
 * Make the query of a row in c->query.  False: the row gives none.
 */
static bool
make_query(Calibration *c, uint32_t row, AnnHit *hits, uint64_t *random, AnnStatus *status)
{
	const AnnParams *params = &c->segment->params;
	const void *x = read_row(c, row, c->query);
	const void *y;
	uint32_t	other;
	int			n;
	float		self;

	*status = ANN_OK;
	if (x == NULL)
		return false;
	if (x != c->query)
		memcpy(c->query, x, c->row_bytes);
	*status = nearest(c, AnnTypeStructure(params->type) == ANN_GRAPH ? 32 : 4, hits, NEIGHBOURS + 1, &n);
	if (*status != ANN_OK || n < 2)
		return false;
	other = hits[1 + AnnRandom(random) % (uint64_t) (n - 1)].row;
	if (other == row)
		other = hits[0].row;
	y = read_row(c, other, c->vector);
	if (y == NULL)
		return false;
	if (y != c->vector)
	{
		memcpy(c->vector, y, c->row_bytes);
		y = c->vector;
	}
	x = read_row(c, row, c->query);
	if (x == NULL)
		return false;
	move_away(params, x, y, c->query, random);
	/* no length, no answer */
	self = AnnDistance(params, c->query, c->query);
	return !isnan(self);
}

/* Of `n` hits, how many are as near as the K-th true one. */
static int
count_found(const AnnHit *hits, int n, const AnnHit *truth, int ntruth)
{
	int			found = 0;

	for (int i = 0; i < n && i < ntruth; i++)
		found += hits[i].distance <= truth[ntruth - 1].distance;
	return found;
}

/* See index_internal.h. */
void
AnnRowFromFloat(const AnnParams *params, const float *values, void *row)
{
	float		cut[ANN_MAX_DIM];

	switch (params->elem)
	{
		case ANN_F32:
			memcpy(row, values, sizeof(float) * params->dim);
			break;
		case ANN_F16:
			for (uint32_t i = 0; i < params->dim; i++)
				cut[i] = AnnMax(AnnMin(values[i], 65504.0f), -65504.0f);
			kernels->f32_to_f16(cut, row, params->dim);
			break;
		case ANN_BF16:
			for (uint32_t i = 0; i < params->dim; i++)
				cut[i] = AnnMax(AnnMin(values[i], 3.3e38f), -3.3e38f);
			kernels->f32_to_bf16(cut, row, params->dim);
			break;
		case ANN_I8:
			for (uint32_t i = 0; i < params->dim; i++)
				((int8_t *) row)[i] = (int8_t) AnnMax(AnnMin(lrintf(values[i]), 127), -128);
			break;
		case ANN_BIT:
			break;
	}
}

AnnStatus
AnnCalibrate(const AnnSegment *segment, AnnReadVector read, void *read_ctx, const AnnEnv *env,
			 AnnCalibration *calibration)
{
	const uint32_t *efforts = AnnEfforts(segment->params.type);
	Calibration c = {.segment = segment, .read = read, .read_ctx = read_ctx, .env = env};
	uint32_t	nqueries = AnnMin(MAX_QUERIES, segment->n / 20);
	uint64_t	random = segment->params.seed + segment->n;
	uint32_t	found[ANN_EFFORTS] = {0};
	uint32_t	queries_of[ANN_EFFORTS] = {0};
	uint32_t	wanted[ANN_EFFORTS] = {0};
	AnnHit		truth[K];
	AnnHit		hits[NEIGHBOURS + K];
	AnnStatus	status = ANN_OK;

	memset(calibration, 0, sizeof(*calibration));
	if (efforts == NULL || nqueries == 0)
		return ANN_OK;
	c.row_bytes = AnnRowBytes(&segment->params);
	c.scratch = AnnScratchCreate(env);
	c.query = AnnAlloc(env, c.row_bytes);
	c.vector = AnnAlloc(env, c.row_bytes);
	if (c.scratch == NULL || c.query == NULL || c.vector == NULL)
		status = ANN_NO_MEMORY;
	for (uint32_t i = 0; i < nqueries && status == ANN_OK; i++)
	{
		uint32_t	row = (uint32_t) (((uint64_t) i * segment->n +
										   AnnRandom(&random) % segment->n) / nqueries);
		int			ntruth;

		if (AnnCancelled(env))
			status = ANN_CANCELLED;
		else if (make_query(&c, row, hits, &random, &status))
		{
			status = nearest(&c, 0, truth, K, &ntruth);
			for (int e = 0; e < ANN_EFFORTS && status == ANN_OK && ntruth > 0; e++)
			{
				int			n;

				status = nearest(&c, efforts[e], hits, K, &n);
				found[e] += (uint32_t) count_found(hits, n, truth, ntruth);
				wanted[e] += (uint32_t) ntruth;
				queries_of[e]++;
			}
		}
	}
	AnnScratchFree(c.scratch);
	AnnFree(env, c.query);
	AnnFree(env, c.vector);
	if (status != ANN_OK)
		return status;
	for (int e = 0; e < ANN_EFFORTS; e++)
	{
		double		recall;
		double		error;

		if (wanted[e] == 0)
			return ANN_OK;
		recall = (double) found[e] / wanted[e];
		/* a lower bound: misses of one query come together, so queries are what is counted */
		error = sqrt(AnnMax(recall * (1 - recall), 0.0001) / (queries_of[e] * 2.0));
		recall = AnnMax(recall - DOUBT * error, 0);
		calibration->recall[e] = (uint16_t) (recall * 65535);
		if (e > 0)
			calibration->recall[e] = AnnMax(calibration->recall[e], calibration->recall[e - 1]);
	}
	return ANN_OK;
}

const uint32_t *
AnnEfforts(AnnType type)
{
	switch (AnnTypeStructure(type))
	{
		case ANN_GRAPH:
			return efforts_graph;
		case ANN_LISTS:
			return efforts_lists;
		default:
			return NULL;
	}
}

uint32_t
AnnEffortFor(AnnType type, const AnnCalibration *calibration, double target)
{
	const uint32_t *efforts = AnnEfforts(type);

	for (int e = 0; e < ANN_EFFORTS && efforts != NULL; e++)
		if (calibration->recall[e] >= target * 65535)
			return efforts[e];
	return ANN_MAX_ROWS;
}
