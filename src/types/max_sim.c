/*
 * max_sim.c
 *		Scores of lists of vectors (late interaction; O. Khattab, M. Zaharia, ColBERT,
 *		2020): for each vector of the query the best score over the vectors of the
 *		document, summed.
 *
 * Signs are Milvus's: of max_sim_ip() and max_sim_cosine() larger is better, of
 * max_sim_l2(), the sum of the least squared distances, smaller is better.
 *
 * Products come from matrix multiplication.  Squared distances do not: computed from
 * products they lose their digits where vectors are near each other, which is where
 * they matter.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "kernels/kernels.h"
#include "miscadmin.h"
#include "types/casts.h"
#include "types/elems.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(max_sim_ip);
PG_FUNCTION_INFO_V1(max_sim_cosine);
PG_FUNCTION_INFO_V1(max_sim_l2);

/* Scores computed at a time, of all query vectors with some of the document */
#define BLOCK_SCORES 65536

typedef enum Metric
{
	METRIC_IP,
	METRIC_COSINE,
	METRIC_L2
} Metric;

/* A list of vectors: n rows of dim elements, one after the other */
typedef struct Matrix
{
	int			n;
	int			dim;			/* 0 of an empty list */
	float	   *x;
} Matrix;

/* A vector[] without nulls, whose vectors have the same number of dimensions */
static Matrix
read_matrix(ArrayType *array)
{
	Matrix		result = {ArrayCheckedLength(array), 0, NULL};
	Datum	   *elems;
	int			n;

	if (result.n == 0)
		return result;
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT, &elems, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		Vector	   *v = DatumGetVector(elems[i]);

		if (i == 0)
		{
			result.dim = v->dim;
			result.x = palloc(sizeof(float) * n * v->dim);
		}
		DimsCheckSame("vector", result.dim, v->dim);
		memcpy(result.x + (Size) i * result.dim, v->x, sizeof(float) * result.dim);
	}
	pfree(elems);
	return result;
}

/* The norm of each row, palloc'd */
static double *
norms(const Matrix *m)
{
	double	   *result = palloc(sizeof(double) * m->n);

	for (int i = 0; i < m->n; i++)
		result[i] = ElemsNorm(m->x + (Size) i * m->dim, m->dim);
	return result;
}

/*
 * The sum over the query's rows of the best score with a row of the document.  A zero
 * vector has no cosine: one in the document is never the best, and if a row of the
 * query has no cosine with any, the result is NaN.
 */
static double
max_sim(const Matrix *query, const Matrix *document, Metric metric)
{
	const bool	smaller = (metric == METRIC_L2);
	const double worst = smaller ? get_float8_infinity() : -get_float8_infinity();
	const Size	dim = document->dim;
	double	   *best;
	double	   *query_norms = NULL;
	double	   *document_norms = NULL;
	float	   *scores;
	int			block;
	double		sum = 0.0;

	/* the best of none is the worst there is */
	if (query->n == 0)
		return 0.0;
	if (document->n == 0)
		return worst;
	DimsCheckSame("vector", query->dim, document->dim);

	best = palloc(sizeof(double) * query->n);
	for (int i = 0; i < query->n; i++)
		best[i] = worst;
	if (metric == METRIC_COSINE)
	{
		query_norms = norms(query);
		document_norms = norms(document);
	}
	block = Min(Max(BLOCK_SCORES / query->n, 1), document->n);
	scores = palloc(sizeof(float) * query->n * block);

	for (int done = 0; done < document->n; done += block)
	{
		int			rows = Min(block, document->n - done);
		const float *base = document->x + done * dim;

		CHECK_FOR_INTERRUPTS();
		if (metric == METRIC_L2)
			for (int i = 0; i < query->n; i++)
				kernels->l2sq_f32_many(query->x + i * dim, base, dim, rows, dim,
									   scores + (Size) i * rows);
		else
			GemmNT(query->n, rows, dim, query->x, dim, base, dim, scores, rows);

		for (int i = 0; i < query->n; i++)
		{
			for (int j = 0; j < rows; j++)
			{
				double		score = scores[(Size) i * rows + j];

				if (metric == METRIC_COSINE)
				{
					/* NaN of a zero vector fails the comparison below */
					score /= query_norms[i] * document_norms[done + j];
					if (score > 1.0)
						score = 1.0;
					else if (score < -1.0)
						score = -1.0;
				}
				if (smaller ? score < best[i] : score > best[i])
					best[i] = score;
			}
		}
	}

	for (int i = 0; i < query->n; i++)
		sum += (metric == METRIC_COSINE && best[i] == worst) ? get_float8_nan() : best[i];
	return sum;
}

/* The score of the two arguments */
static Datum
score_arguments(FunctionCallInfo fcinfo, Metric metric)
{
	Matrix		query = read_matrix(PG_GETARG_ARRAYTYPE_P(0));
	Matrix		document = read_matrix(PG_GETARG_ARRAYTYPE_P(1));

	PG_RETURN_FLOAT8(max_sim(&query, &document, metric));
}

/* max_sim_ip(query vector[], document vector[]) */
Datum
max_sim_ip(PG_FUNCTION_ARGS)
{
	return score_arguments(fcinfo, METRIC_IP);
}

/* max_sim_cosine(query vector[], document vector[]) */
Datum
max_sim_cosine(PG_FUNCTION_ARGS)
{
	return score_arguments(fcinfo, METRIC_COSINE);
}

/* max_sim_l2(query vector[], document vector[]) */
Datum
max_sim_l2(PG_FUNCTION_ARGS)
{
	return score_arguments(fcinfo, METRIC_L2);
}
