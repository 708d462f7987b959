/*
 * bfloat16vec.c
 *		The type bfloat16vec: elements are the upper halves of float32.
 *
 * Below the normal range, about 1.2e-38, arithmetic rounds twice: bfloat16 has the
 * exponents of the float32 that it is done in.
 */
#include "postgres.h"

#include "types/bfloat16vec.h"

#define FLOAT16_NAME bfloat16vec
#define FLOAT16_FORMAT bf16
#define FLOAT16_DENSE DenseBFloat16Vec
#define FLOAT16_OVERFLOW BFLOAT16_OVERFLOW
#define FLOAT16_EXPONENT 0x7f80
#include "types/float16_template.h"
