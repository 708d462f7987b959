/*
 * halfvec.c
 *		The type halfvec: elements are IEEE 754 binary16.
 */
#define FLOAT16_NAME halfvec
#define FLOAT16_FORMAT f16
#define FLOAT16_DENSE DenseHalfVec
#define FLOAT16_OVERFLOW HALF_OVERFLOW
#define FLOAT16_EXPONENT 0x7c00
#include "types/float16_template.h"
