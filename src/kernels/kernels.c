/*
 * kernels.c
 *		Which table of kernels this process uses.
 *
 * The tables are compiled in, each in its own file, and are listed here from the
 * plainest to the fastest.  The choice is a pointer that is set when the library
 * is loaded and changes only by KernelsSelect(), so a call costs one indirection.
 */
#include "kernels/kernels_internal.h"

#include <string.h>

#if KERNELS_X86
#include <cpuid.h>
#elif KERNELS_NEON && defined(__linux__)
#include <sys/auxv.h>
#include <asm/hwcap.h>
#endif

/* Compiled-in tables; a later one is preferred to an earlier one. */
static const VectorKernels *const tables[] = {
	&KernelsPortable,
#if KERNELS_X86
	&KernelsAvx2,
	&KernelsAvx512,
#endif
#if KERNELS_NEON
	&KernelsNeon,
#endif
#if KERNELS_NEON_DOT
	&KernelsNeonDot,
#endif
};

#define N_TABLES ((int) (sizeof(tables) / sizeof(tables[0])))

const VectorKernels *kernels = &KernelsPortable;

#if KERNELS_X86
/*
 * Whether the CPU and the operating system run what kernels_avx2.c is compiled
 * for.  F16C is read from cpuid: __builtin_cpu_supports() of clang 14 does not
 * know its name.
 */
static bool
have_avx2(void)
{
	unsigned	eax,
				ebx,
				ecx,
				edx;

	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}

/*
 * The same for kernels_avx512.c.  VNNI with VPOPCNTDQ means Ice Lake, Zen 4 or later.
 * Earlier CPUs, which lower their clock under 512-bit code, run the AVX2 table.
 */
static bool
have_avx512(void)
{
	return have_avx2() &&
		__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
		__builtin_cpu_supports("avx512vnni") &&
		__builtin_cpu_supports("avx512vpopcntdq");
}
#endif

#if KERNELS_NEON_DOT
/* Whether the CPU has SDOT and UDOT.  NEON itself is part of every AArch64. */
static bool
have_neon_dot(void)
{
#if defined(__ARM_FEATURE_DOTPROD)
	return true;
#elif defined(__linux__) && defined(HWCAP_ASIMDDP)
	return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
	return false;
#endif
}
#endif

/* Whether this CPU can run a table; false for a pointer that is not a table. */
bool
KernelsUsable(const VectorKernels *table)
{
	if (table == &KernelsPortable)
		return true;
#if KERNELS_X86
	if (table == &KernelsAvx2)
		return have_avx2();
	if (table == &KernelsAvx512)
		return have_avx512();
#endif
#if KERNELS_NEON
	if (table == &KernelsNeon)
		return true;
#endif
#if KERNELS_NEON_DOT
	if (table == &KernelsNeonDot)
		return have_neon_dot();
#endif
	return false;
}

/* The i-th table compiled in, portable first; NULL past the end. */
const VectorKernels *
KernelsTable(int i)
{
	return i >= 0 && i < N_TABLES ? tables[i] : NULL;
}

/* The fastest table that this CPU runs. */
static const VectorKernels *
best_table(void)
{
	for (int i = N_TABLES - 1; i > 0; i--)
	{
		if (KernelsUsable(tables[i]))
			return tables[i];
	}
	return &KernelsPortable;
}

/*
 * Choose the best table this CPU runs.  Only the first call does anything: a
 * later one must not undo a KernelsSelect().
 */
void
KernelsInit(void)
{
	static bool done = false;

	if (done)
		return;
	done = true;
	kernels = best_table();
}

/*
 * Choose by name; "auto" is the best one.  Returns false, changing nothing, if
 * the name is unknown or this CPU cannot run the table.
 */
bool
KernelsSelect(const char *name)
{
	if (strcmp(name, "auto") == 0)
	{
		kernels = best_table();
		return true;
	}
	for (int i = 0; i < N_TABLES; i++)
	{
		if (strcmp(name, tables[i]->name) == 0)
		{
			if (!KernelsUsable(tables[i]))
				return false;
			kernels = tables[i];
			return true;
		}
	}
	return false;
}
