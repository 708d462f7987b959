/*
 * ivf.h
 *		k-means, as inverted lists use it.
 */
#ifndef MILVUS_IVF_H
#define MILVUS_IVF_H

#include "index/index_internal.h"

/*
 * Find k centres (k x dim float32 into centroids) of n >= k rows.  Under COSINE
 * rows are normalised and so are the centres (spherical k-means); under the
 * other metrics rows are gathered by L2.
 */
extern AnnStatus AnnKmeans(const AnnParams *params, const void *raw, uint32_t n, uint32_t k,
						   int nthreads, const AnnEnv *env, float *centroids);

/* The centre nearest to each row, into nearest (n numbers). */
extern AnnStatus AnnKmeansAssign(const AnnParams *params, const void *raw, uint32_t n,
								 const float *centroids, uint32_t k, int nthreads,
								 const AnnEnv *env, uint32_t *nearest);

/*
 * The same of bits (kmeans_bits.c): k centres, rows of bits, into centroids, and
 * the one nearest to each row into nearest.
 */
extern AnnStatus AnnKmeansBits(const AnnParams *params, const void *raw, uint32_t n, uint32_t k,
							   int nthreads, const AnnEnv *env, uint8_t *centroids,
							   uint32_t *nearest);

#endif							/* MILVUS_IVF_H */
