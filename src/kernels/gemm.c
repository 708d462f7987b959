/*
 * gemm.c
 *		Matrix products: OpenBLAS when the machine has it, a blocked loop else.
 *
 * The library is loaded at run time, so that the extension neither needs it to
 * start nor starts its threads in backends that never multiply matrices.  Two
 * settings must be in the environment at that moment, because the library reads
 * them in its constructor: one thread (callers bring their own), and the core
 * type, since a release older than the CPU does not recognise it and falls back
 * to code for SSE3 (0.3.21 on current server CPUs: a quarter of the speed).
 */
#include "kernels/kernels_internal.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLAS_LIBRARY "libopenblas.so.0"

/* Bytes of B that the built-in product reads again for each row of A: an L2 cache. */
#define BLOCK_BYTES ((size_t) 256 * 1024)

/* CBLAS's constants; the header is not needed for one function. */
#define CBLAS_ROW_MAJOR 101
#define CBLAS_NO_TRANS 111
#define CBLAS_TRANS 112

typedef void (*SgemmFunction) (int order, int transa, int transb, int m, int n, int k,
							   float alpha, const float *a, int lda, const float *b, int ldb,
							   float beta, float *c, int ldc);
typedef char *(*StringFunction) (void);
typedef int (*GetIntFunction) (void);
typedef void (*SetIntFunction) (int value);

/* Written by GemmInit() alone. */
static struct
{
	bool		done;
	SgemmFunction sgemm;		/* NULL: the built-in product */
	char		name[64];
} gemm = {.name = "built-in"};

/* An environment variable that is set for a while. */
typedef struct EnvSetting
{
	const char *name;
	bool		changed;
} EnvSetting;

/* Set a variable unless the user has, or value is NULL. */
static EnvSetting
env_set(const char *name, const char *value)
{
	EnvSetting	setting = {name, false};

	if (value != NULL && getenv(name) == NULL)
		setting.changed = setenv(name, value, 0) == 0;
	return setting;
}

/* Undo env_set(). */
static void
env_restore(const EnvSetting *setting)
{
	if (setting->changed)
		unsetenv(setting->name);
}

/*
 * OpenBLAS's name for the core type that fits this CPU; NULL: let it choose.  Its
 * code for SkylakeX needs less of AVX-512 than our table does.
 */
static const char *
core_type(void)
{
#if KERNELS_X86
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
		return "SkylakeX";
	if (KernelsUsable(&KernelsAvx2))
		return "Haswell";
#endif
	return NULL;
}

/*
 * Compose "openblas <version> <core>" from the configuration string, which reads
 * "OpenBLAS 0.3.21 NO_AFFINITY ...", and the name of the core type in use.
 */
static void
compose_name(void *library)
{
	StringFunction get_config = (StringFunction) dlsym(library, "openblas_get_config");
	StringFunction get_core = (StringFunction) dlsym(library, "openblas_get_corename");
	char		version[32] = "";

	if (get_config != NULL && sscanf(get_config(), "%*s %31s", version) != 1)
		version[0] = '\0';
	snprintf(gemm.name, sizeof(gemm.name), "openblas%s%.31s%s%.15s",
			 version[0] != '\0' ? " " : "", version,
			 get_core != NULL ? " " : "", get_core != NULL ? get_core() : "");
}

/*
 * Load OpenBLAS if it is there.  Only the first call does anything.  Changes the
 * environment for a moment: to be called while the process has one thread.  The
 * library is never unloaded.
 */
void
GemmInit(void)
{
	EnvSetting	threads,
				core;
	void	   *library;
	SgemmFunction sgemm;
	GetIntFunction get_threads;
	SetIntFunction set_threads;

	if (gemm.done)
		return;
	gemm.done = true;

	threads = env_set("OPENBLAS_NUM_THREADS", "1");
	core = env_set("OPENBLAS_CORETYPE", core_type());
	library = dlopen(BLAS_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	env_restore(&core);
	env_restore(&threads);

	if (library == NULL)
		return;
	sgemm = (SgemmFunction) dlsym(library, "cblas_sgemm");
	if (sgemm == NULL)
	{
		dlclose(library);
		return;
	}

	/* someone may have loaded the library before us, or set another number */
	get_threads = (GetIntFunction) dlsym(library, "openblas_get_num_threads");
	set_threads = (SetIntFunction) dlsym(library, "openblas_set_num_threads");
	if (get_threads != NULL && set_threads != NULL && get_threads() > 1)
		set_threads(1);

	compose_name(library);
	gemm.sgemm = sgemm;
}

/* "openblas 0.3.21 SkylakeX" or "built-in". */
const char *
GemmName(void)
{
	return gemm.name;
}

/*
 * The product by inner products of a row of A with the rows of B, a block of B
 * small enough to stay in cache at a time.
 */
static void
gemm_builtin(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
			 size_t ldb, float *c, size_t ldc)
{
	size_t		block = BLOCK_BYTES / sizeof(float) / (k > 0 ? k : 1);

	block = block < 4 ? 4 : block;
	for (size_t j = 0; j < n; j += block)
	{
		size_t		rows = n - j < block ? n - j : block;

		for (size_t i = 0; i < m; i++)
			kernels->ip_f32_many(a + i * lda, b + j * ldb, ldb, rows, k, c + i * ldc + j);
	}
}

/*
 * C (m x n, row-major, ldc) = A (m x k, lda) . B (n x k, ldb) transposed; C must
 * not overlap A or B.  Callable from several threads after GemmInit().
 */
void
GemmNT(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
	   float *c, size_t ldc)
{
	bool		fits = m <= INT_MAX && n <= INT_MAX && k <= INT_MAX &&
		lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX;

	if (m == 0 || n == 0)
		return;

	/* OpenBLAS counts in ints, and may refuse the lda of matrices without columns */
	if (gemm.sgemm == NULL || !fits || k == 0)
		gemm_builtin(m, n, k, a, lda, b, ldb, c, ldc);
	else
		gemm.sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, CBLAS_TRANS, (int) m, (int) n, (int) k,
				   1.0f, a, (int) lda, b, (int) ldb, 0.0f, c, (int) ldc);
}
