/*
 * knngemm.c
 *		Distances of many queries and many rows, estimated by a matrix product.
 *
 * The product q.r is summed in another order than the kernels sum it, so what follows from it
 * is only a bound: the distance that the kernel gives is not below.  Rows that it lets
 * through are compared by the kernel.
 *
 * A sum of n products of float32 is wrong by at most gamma |q| |r|, gamma = n u / (1 - n u),
 * u = 2^-24 (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1);
 * and |q| |r| <= (q.q + r.r) / 2.
 */
#include "postgres.h"

#include <math.h>

#include "kernels/kernels.h"
#include "planner/knn.h"
#include "types/distances.h"

#define UNIT_ROUNDOFF (1.0 / (1 << 24))
/* What products may lose that are too small for float32. */
#define UNDERFLOW_LOSS 1e-38

struct KnnGemm
{
	KnnMetric metric;
	int nqueries;
	int max_rows;
	size_t dim;
	double gamma;
	float *queries;       /* nqueries x dim */
	float *query_squares; /* q.q */
	float *row_squares;   /* r.r */
	float *products;      /* nqueries x max_rows */
};

KnnGemm *
KnnGemmMake(const KnnQuery *const *queries, int n, int max_rows)
{
	KnnGemm *gemm;
	KnnMetric metric = queries[0]->function.metric;

	if (queries[0]->function.element != KNN_FLOAT32 || queries[0]->count < IN_ORDER_DIMS ||
		metric == KNN_L1)
		return NULL;
	GemmInit();
	gemm = palloc(sizeof(KnnGemm));
	gemm->metric = metric;
	gemm->nqueries = n;
	gemm->max_rows = max_rows;
	gemm->dim = queries[0]->count;
	/* some more, for what is done with the sums */
	gemm->gamma = 1.01 * (gemm->dim + 16) * UNIT_ROUNDOFF;
	gemm->queries = palloc(n * gemm->dim * sizeof(float));
	gemm->query_squares = palloc(n * sizeof(float));
	gemm->row_squares = palloc(max_rows * sizeof(float));
	gemm->products = palloc((Size) n * max_rows * sizeof(float));
	for (int i = 0; i < n; i++)
	{
		float *q = gemm->queries + i * gemm->dim;

		memcpy(q, queries[i]->x, gemm->dim * sizeof(float));
		gemm->query_squares[i] = kernels->ip_f32(q, q, gemm->dim);
	}
	return gemm;
}

void
KnnGemmRows(KnnGemm *gemm, const uint8 *x, Size stride, int n)
{
	const float *rows = (const float *) x;
	size_t step = stride / sizeof(float);

	for (int i = 0; i < n; i++)
		gemm->row_squares[i] = kernels->ip_f32(rows + i * step, rows + i * step, gemm->dim);
	GemmNT(gemm->nqueries, n, gemm->dim, gemm->queries, gemm->dim, rows, step, gemm->products,
		   gemm->max_rows);
}

void
KnnGemmBounds(const KnnGemm *gemm, int query, int n, double *bounds)
{
	const float *products = gemm->products + (Size) query * gemm->max_rows;
	double qq = gemm->query_squares[query];

	switch (gemm->metric)
	{
		case KNN_IP:
			/* the product here and the kernel's: twice gamma |q| |r| */
			for (int i = 0; i < n; i++)
				bounds[i] = -(double) products[i] - 2 * gemm->gamma * (qq + gemm->row_squares[i]) -
							UNDERFLOW_LOSS;
			break;
		case KNN_COSINE:
			/* q.q and r.r are the kernel's own; NaN when one is zero */
			for (int i = 0; i < n; i++)
				bounds[i] = 1 - (products[i] + UNDERFLOW_LOSS) / sqrt(qq * gemm->row_squares[i]) -
							4 * gemm->gamma;
			break;
		default:
			/*
			 * q.q + r.r - 2 q.r: twice the product's error and that of the squares, each at most
			 * gamma (q.q + r.r), and the kernel's, at most gamma |q - r|^2 <= 2 gamma (q.q + r.r)
			 */
			for (int i = 0; i < n; i++)
			{
				double squares = qq + gemm->row_squares[i];

				bounds[i] =
					squares - 2.0 * products[i] - 6 * gemm->gamma * squares - UNDERFLOW_LOSS;
			}
			if (gemm->metric == KNN_L2)
				for (int i = 0; i < n; i++)
					bounds[i] = bounds[i] > 0 ? sqrt(bounds[i]) * (1 - 1e-12) : bounds[i];
			break;
	}
}
