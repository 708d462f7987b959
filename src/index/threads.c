/*
 * threads.c
 *		A loop over rows on several threads.
 *
 * The caller is worker 0: it takes chunks like the others, and alone calls back
 * into the environment (cancellation, progress), between its chunks.  Workers
 * live for one loop, block every signal (a backend's handlers must run on its
 * main thread) and neither allocate nor fail.
 */
#include "index/index_internal.h"

#include <pthread.h>
#include <signal.h>

#define MAX_THREADS 256

typedef struct Loop
{
	AnnChunkFn	fn;
	void	   *ctx;
	uint32_t	first;
	uint32_t	end;
	uint32_t	chunk;
	uint64_t	taken;			/* rows given out so far; may pass the end */
	int			stop;
	int			workers;		/* numbers given out */
} Loop;

/* Take the next chunk; false when none is left or the loop was stopped. */
static bool
next_chunk(Loop *loop, uint32_t *first, uint32_t *end)
{
	uint64_t	at;

	if (__atomic_load_n(&loop->stop, __ATOMIC_RELAXED))
		return false;
	at = loop->first + __atomic_fetch_add(&loop->taken, loop->chunk, __ATOMIC_RELAXED);
	if (at >= loop->end)
		return false;
	*first = (uint32_t) at;
	*end = (uint32_t) AnnMin(at + loop->chunk, loop->end);
	return true;
}

static void *
worker_main(void *arg)
{
	Loop	   *loop = arg;
	int			worker = 1 + __atomic_fetch_add(&loop->workers, 1, __ATOMIC_RELAXED);
	uint32_t	first,
				end;

	while (next_chunk(loop, &first, &end))
		loop->fn(loop->ctx, worker, first, end);
	return NULL;
}

/* Start up to n workers; returns how many run (a system out of threads is no error). */
static int
start_workers(Loop *loop, pthread_t *threads, int n)
{
	sigset_t	all,
				before;
	int			started = 0;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return 0;
	while (started < n && pthread_create(&threads[started], NULL, worker_main, loop) == 0)
		started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

/*
 * Call fn for all rows first .. end - 1 in chunks, on nthreads threads including
 * this one.  progress may be NULL.  ANN_CANCELLED when the environment asked to
 * stop; every worker has ended when this returns.
 */
AnnStatus
AnnParallel(const AnnEnv *env, int nthreads, uint32_t first, uint32_t end, uint32_t chunk,
			AnnChunkFn fn, void *ctx, const AnnProgress *progress)
{
	pthread_t	threads[MAX_THREADS];
	uint32_t	rows = end > first ? end - first : 0;
	Loop		loop = {.fn = fn, .ctx = ctx, .first = first, .end = end, .chunk = chunk};
	uint32_t	at,
				to;
	int			started = 0;
	AnnStatus	status = ANN_OK;

	nthreads = (int) AnnMin((uint64_t) AnnMin(nthreads, MAX_THREADS),
							((uint64_t) rows + chunk - 1) / chunk);
	if (nthreads > 1)
		started = start_workers(&loop, threads, nthreads - 1);

	while (next_chunk(&loop, &at, &to))
	{
		fn(ctx, 0, at, to);
		if (AnnCancelled(env))
		{
			__atomic_store_n(&loop.stop, 1, __ATOMIC_RELAXED);
			status = ANN_CANCELLED;
		}
		else if (progress != NULL && env->progress != NULL)
			env->progress(env->ctx, progress->done + progress->share * (to - first) / rows,
						  progress->total);
	}
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	/* the last chunks may have been the workers' */
	if (status == ANN_OK && progress != NULL && env->progress != NULL)
		env->progress(env->ctx, progress->done + progress->share, progress->total);
	return status;
}
