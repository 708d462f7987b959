/*
 * kernels_neon_dot.c
 *		AArch64 NEON with the dot product instructions of ARMv8.2.
 */
#define NEON_USE_DOT 1
#include "kernels/kernels_neon.c"
