/*
 * float_parse.h
 *		Text to float32, correctly rounded.  No PostgreSQL header.
 */
#ifndef MILVUS_FLOAT_PARSE_H
#define MILVUS_FLOAT_PARSE_H

#include <stdbool.h>

/*
 * The number that s begins with, as strtof() in the C locale reads it, leading
 * white space excepted: none is skipped.  *end is set behind the number, or to
 * s if there is none.  *overflow tells that a finite number exceeded float32
 * (the result is then an infinity); one too small for float32 becomes zero.
 */
extern float FloatParse(const char *s, const char **end, bool *overflow);

#endif							/* MILVUS_FLOAT_PARSE_H */
