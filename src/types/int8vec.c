/*
 * int8vec.c
 *		The type int8vec: input, output, functions and operators.
 *
 * Binary form: int16 dimensions (read and written as unsigned), int16 0, both in
 * network byte order, then a byte an element.
 *
 * Distances are sums of integers and so exact, equal on all machines.  What leaves
 * the range of an element is an error, as with PostgreSQL's integers; l2_normalize()
 * and the aggregates give a vector.
 */
#include "postgres.h"

#include <math.h>

#include "kernels/kernels.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "types/dense.h"
#include "types/distances.h"
#include "types/elems.h"
#include "types/int8vec.h"

PG_FUNCTION_INFO_V1(int8vec_in);
PG_FUNCTION_INFO_V1(int8vec_out);
PG_FUNCTION_INFO_V1(int8vec_typmod_in);
PG_FUNCTION_INFO_V1(int8vec_recv);
PG_FUNCTION_INFO_V1(int8vec_send);
PG_FUNCTION_INFO_V1(int8vec_l2_distance);
PG_FUNCTION_INFO_V1(int8vec_l2_squared_distance);
PG_FUNCTION_INFO_V1(int8vec_inner_product);
PG_FUNCTION_INFO_V1(int8vec_negative_inner_product);
PG_FUNCTION_INFO_V1(int8vec_cosine_distance);
PG_FUNCTION_INFO_V1(int8vec_l1_distance);
PG_FUNCTION_INFO_V1(int8vec_l2_norm);
PG_FUNCTION_INFO_V1(int8vec_l2_normalize);
PG_FUNCTION_INFO_V1(int8vec_subvector);
PG_FUNCTION_INFO_V1(int8vec_binary_quantize);
PG_FUNCTION_INFO_V1(int8vec_add);
PG_FUNCTION_INFO_V1(int8vec_sub);
PG_FUNCTION_INFO_V1(int8vec_mul);
PG_FUNCTION_INFO_V1(int8vec_concat);
PG_FUNCTION_INFO_V1(int8vec_lt);
PG_FUNCTION_INFO_V1(int8vec_le);
PG_FUNCTION_INFO_V1(int8vec_eq);
PG_FUNCTION_INFO_V1(int8vec_ne);
PG_FUNCTION_INFO_V1(int8vec_ge);
PG_FUNCTION_INFO_V1(int8vec_gt);
PG_FUNCTION_INFO_V1(int8vec_cmp);

/* Digits after which a number is certainly too large; more would overflow an int. */
#define MAX_DIGITS 6

/* Bytes of the longest element as text, "-128", with a separator */
#define ELEMENT_TEXT_LEN 5

/* ---- input and output ---- */

/*
 * An ElemParser of integers.  What goes on as a fraction or with an exponent is not
 * one: *end is s then.
 */
static float
parse_integer(const char *s, const char **end, bool *overflow)
{
	const char *p = s;
	bool		negative = false;
	int			value = 0;
	int			digits = 0;

	if (*p == '-' || *p == '+')
		negative = (*p++ == '-');
	while (*p >= '0' && *p <= '9')
	{
		if (digits < MAX_DIGITS)
			value = value * 10 + (*p - '0');
		/* leading zeros are not counted */
		digits += (value != 0);
		p++;
	}
	if (p == s || p[-1] < '0' || p[-1] > '9' || *p == '.' || *p == 'e' || *p == 'E')
	{
		*end = s;
		*overflow = false;
		return 0.0f;
	}
	if (negative)
		value = -value;
	*end = p;
	*overflow = (value < PG_INT8_MIN || value > PG_INT8_MAX);
	return (float) value;
}

/* int8vec_in(cstring, oid, typmod): text to int8vec */
Datum
int8vec_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	float	   *x = palloc(sizeof(float) * ElemsMaxCount(str));
	int			dim = ElemsParse(str, "int8vec", parse_integer, INFINITY, x, escontext);
	Int8Vec    *result;

	if (dim < 0 || !DimsCheckExpected(typmod, dim, escontext))
		PG_RETURN_NULL();
	result = InitInt8Vec(dim);
	for (int i = 0; i < dim; i++)
		result->x[i] = (int8) x[i];
	pfree(x);
	PG_RETURN_INT8VEC_P(result);
}

/* int8vec_out(int8vec): "[1,-2,3]" */
Datum
int8vec_out(PG_FUNCTION_ARGS)
{
	Int8Vec    *v = PG_GETARG_INT8VEC_P(0);
	char	   *result = palloc((Size) v->dim * ELEMENT_TEXT_LEN + 2);
	char	   *p = result;

	for (int i = 0; i < v->dim; i++)
	{
		unsigned	magnitude = abs(v->x[i]);

		*p++ = (i == 0) ? '[' : ',';
		if (v->x[i] < 0)
			*p++ = '-';
		if (magnitude >= 100)
			*p++ = '0' + magnitude / 100;
		if (magnitude >= 10)
			*p++ = '0' + magnitude / 10 % 10;
		*p++ = '0' + magnitude % 10;
	}
	*p++ = ']';
	*p = '\0';
	PG_RETURN_CSTRING(result);
}

/* int8vec_typmod_in(cstring[]): the n of int8vec(n) */
Datum
int8vec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(DimsTypmodIn("int8vec", PG_GETARG_ARRAYTYPE_P(0), VECTOR_MAX_DIM));
}

/* int8vec_recv(internal, oid, typmod): binary form to int8vec */
Datum
int8vec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = DimsReceive("int8vec", buf, typmod);
	Int8Vec    *result = InitInt8Vec(dim);

	pq_copymsgbytes(buf, (char *) result->x, dim);
	PG_RETURN_INT8VEC_P(result);
}

/* int8vec_send(int8vec): binary form */
Datum
int8vec_send(PG_FUNCTION_ARGS)
{
	Int8Vec    *v = PG_GETARG_INT8VEC_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint16(&buf, v->dim);
	pq_sendint16(&buf, v->unused);
	pq_sendbytes(&buf, (char *) v->x, v->dim);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ---- distances ---- */

/* Both arguments, which must have the same number of dimensions */
#define GETARG_INT8VEC_PAIR(a, b) \
	Int8Vec    *a = PG_GETARG_INT8VEC_P(0); \
	Int8Vec    *b = PG_GETARG_INT8VEC_P(1); \
	DimsCheckSame("int8vec", a->dim, b->dim)

/* l2_distance(int8vec, int8vec), <-> */
Datum
int8vec_l2_distance(PG_FUNCTION_ARGS)
{
	GETARG_INT8VEC_PAIR(a, b);

	PG_RETURN_FLOAT8(sqrt((double) kernels->l2sq_i8(a->x, b->x, a->dim)));
}

/* l2_squared_distance(int8vec, int8vec) */
Datum
int8vec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	GETARG_INT8VEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) kernels->l2sq_i8(a->x, b->x, a->dim));
}

/* inner_product(int8vec, int8vec) */
Datum
int8vec_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_INT8VEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) kernels->ip_i8(a->x, b->x, a->dim));
}

/* negative_inner_product(int8vec, int8vec), <#> */
Datum
int8vec_negative_inner_product(PG_FUNCTION_ARGS)
{
	GETARG_INT8VEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) -kernels->ip_i8(a->x, b->x, a->dim));
}

/* cosine_distance(int8vec, int8vec), <=>; NaN if one of them is zero */
Datum
int8vec_cosine_distance(PG_FUNCTION_ARGS)
{
	int32		ab,
				aa,
				bb;

	GETARG_INT8VEC_PAIR(a, b);

	kernels->cosine_i8(a->x, b->x, a->dim, &ab, &aa, &bb);
	PG_RETURN_FLOAT8(CosineOfSums(ab, aa, bb));
}

/* l1_distance(int8vec, int8vec), <+> */
Datum
int8vec_l1_distance(PG_FUNCTION_ARGS)
{
	GETARG_INT8VEC_PAIR(a, b);

	PG_RETURN_FLOAT8((double) kernels->l1_i8(a->x, b->x, a->dim));
}

/* ---- properties and parts ---- */

/* l2_norm(int8vec) */
Datum
int8vec_l2_norm(PG_FUNCTION_ARGS)
{
	Int8Vec    *a = PG_GETARG_INT8VEC_P(0);

	PG_RETURN_FLOAT8(sqrt((double) kernels->ip_i8(a->x, a->x, a->dim)));
}

/* l2_normalize(int8vec): a vector; zero stays zero */
Datum
int8vec_l2_normalize(PG_FUNCTION_ARGS)
{
	Int8Vec    *a = PG_GETARG_INT8VEC_P(0);
	Vector	   *result = InitVector(a->dim);

	DenseInt8Vec.widen(a->x, result->x, a->dim);
	ElemsNormalize(result->x, result->x, a->dim);
	PG_RETURN_VECTOR_P(result);
}

/* subvector(int8vec, start, count): elements start (from 1) and following */
Datum
int8vec_subvector(PG_FUNCTION_ARGS)
{
	return DenseSubvector(fcinfo, &DenseInt8Vec);
}

/* binary_quantize(int8vec): a bit an element, set where it is positive */
Datum
int8vec_binary_quantize(PG_FUNCTION_ARGS)
{
	Vector	   *a = PG_GETARG_VECTOR_P(0);

	PG_RETURN_VARBIT_P(ElemsBinaryQuantize(DenseWiden(&DenseInt8Vec, a), a->dim));
}

/* int8vec || int8vec */
Datum
int8vec_concat(PG_FUNCTION_ARGS)
{
	return DenseConcat(fcinfo, &DenseInt8Vec);
}

/* ---- arithmetic, element by element ---- */

/* A result as an element; sets *overflow where it is out of range. */
static inline int8
to_element(int value, bool *overflow)
{
	*overflow |= (value < PG_INT8_MIN || value > PG_INT8_MAX);
	return (int8) value;
}

/* The value, unless an element left the range. */
static Datum
checked(Int8Vec *result, bool overflow)
{
	if (overflow)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("int8vec out of range")));
	PG_RETURN_INT8VEC_P(result);
}

/* int8vec + int8vec */
Datum
int8vec_add(PG_FUNCTION_ARGS)
{
	GETARG_INT8VEC_PAIR(a, b);
	Int8Vec    *result = InitInt8Vec(a->dim);
	bool		overflow = false;

	for (int i = 0; i < a->dim; i++)
		result->x[i] = to_element(a->x[i] + b->x[i], &overflow);
	return checked(result, overflow);
}

/* int8vec - int8vec */
Datum
int8vec_sub(PG_FUNCTION_ARGS)
{
	GETARG_INT8VEC_PAIR(a, b);
	Int8Vec    *result = InitInt8Vec(a->dim);
	bool		overflow = false;

	for (int i = 0; i < a->dim; i++)
		result->x[i] = to_element(a->x[i] - b->x[i], &overflow);
	return checked(result, overflow);
}

/* int8vec * int8vec */
Datum
int8vec_mul(PG_FUNCTION_ARGS)
{
	GETARG_INT8VEC_PAIR(a, b);
	Int8Vec    *result = InitInt8Vec(a->dim);
	bool		overflow = false;

	for (int i = 0; i < a->dim; i++)
		result->x[i] = to_element(a->x[i] * b->x[i], &overflow);
	return checked(result, overflow);
}

/* ---- comparisons: by the first element that differs, then by length ---- */

/* -1, 0 or 1 as the first argument is less than, equal to or greater than the second. */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	Int8Vec    *a = PG_GETARG_INT8VEC_P(0);
	Int8Vec    *b = PG_GETARG_INT8VEC_P(1);
	int			dim = Min(a->dim, b->dim);
	int			result = (a->dim > b->dim) - (a->dim < b->dim);

	for (int i = 0; i < dim; i++)
	{
		if (a->x[i] != b->x[i])
		{
			result = (a->x[i] < b->x[i]) ? -1 : 1;
			break;
		}
	}
	/* btree must not leak: it compares many pairs in one memory context */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

/* int8vec < int8vec */
Datum
int8vec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

/* int8vec <= int8vec */
Datum
int8vec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

/* int8vec = int8vec */
Datum
int8vec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

/* int8vec <> int8vec */
Datum
int8vec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

/* int8vec >= int8vec */
Datum
int8vec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

/* int8vec > int8vec */
Datum
int8vec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

/* int8vec_cmp(int8vec, int8vec): support function 1 of btree */
Datum
int8vec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}
