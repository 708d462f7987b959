/*
 * float16_template.h
 *		Input, output, functions and operators of a type whose elements are floats of
 *		16 bits: halfvec and bfloat16vec, which differ in where those bits go.
 *
 * Included once a type, by a file that defines
 *
 *	  FLOAT16_NAME		the type; its C functions are called FLOAT16_NAME_...
 *	  FLOAT16_FORMAT	the suffix of its kernels
 *	  FLOAT16_DENSE		its DenseType
 *	  FLOAT16_OVERFLOW	the least magnitude that rounds to infinity
 *	  FLOAT16_EXPONENT	the bits of the exponent, which NaN and infinity have all set
 *
 * Text is read and printed by way of float32, which holds every element.  Binary
 * form: int16 dimensions (read and written as unsigned), int16 0, then the elements'
 * bits as int16, all in network byte order.
 *
 * Arithmetic is done in float32 and rounded once to 16 bits, which for + - * gives
 * what arithmetic in that format would: float32 has more than twice the digits of
 * either (S. A. Figueroa, When is double rounding innocuous?, 1995).
 */
#include "postgres.h"

#include <math.h>

#include "kernels/kernels.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "types/dense.h"
#include "types/distances.h"
#include "types/elems.h"
#include "types/float_parse.h"
#include "types/halfvec.h"
#include "utils/float.h"

/* The layout is the same for all formats. */
typedef HalfVec Value;
#define PG_GETARG_VALUE_P(n) ((Value *) PG_DETOAST_DATUM(PG_GETARG_DATUM(n)))

#define PASTE_EXPANDED(a, b, c) a##b##c
#define PASTE(a, b, c) PASTE_EXPANDED(a, b, c)
#define FN(name) PASTE(FLOAT16_NAME, _, name)
#define TYPE_NAME CppAsString2(FLOAT16_NAME)
#define KERNEL(name) (kernels->PASTE(name, _, FLOAT16_FORMAT))
#define TO_FLOAT32 (kernels->PASTE(FLOAT16_FORMAT, _to_, f32))
#define FROM_FLOAT32 (kernels->PASTE(f32_to, _, FLOAT16_FORMAT))

/* The bits of an element but the sign */
#define MAGNITUDE 0x7fff

PG_FUNCTION_INFO_V1(FN(in));
PG_FUNCTION_INFO_V1(FN(out));
PG_FUNCTION_INFO_V1(FN(typmod_in));
PG_FUNCTION_INFO_V1(FN(recv));
PG_FUNCTION_INFO_V1(FN(send));
PG_FUNCTION_INFO_V1(FN(l2_distance));
PG_FUNCTION_INFO_V1(FN(l2_squared_distance));
PG_FUNCTION_INFO_V1(FN(inner_product));
PG_FUNCTION_INFO_V1(FN(negative_inner_product));
PG_FUNCTION_INFO_V1(FN(cosine_distance));
PG_FUNCTION_INFO_V1(FN(l1_distance));
PG_FUNCTION_INFO_V1(FN(l2_norm));
PG_FUNCTION_INFO_V1(FN(l2_normalize));
PG_FUNCTION_INFO_V1(FN(subvector));
PG_FUNCTION_INFO_V1(FN(binary_quantize));
PG_FUNCTION_INFO_V1(FN(add));
PG_FUNCTION_INFO_V1(FN(sub));
PG_FUNCTION_INFO_V1(FN(mul));
PG_FUNCTION_INFO_V1(FN(concat));
PG_FUNCTION_INFO_V1(FN(lt));
PG_FUNCTION_INFO_V1(FN(le));
PG_FUNCTION_INFO_V1(FN(eq));
PG_FUNCTION_INFO_V1(FN(ne));
PG_FUNCTION_INFO_V1(FN(ge));
PG_FUNCTION_INFO_V1(FN(gt));
PG_FUNCTION_INFO_V1(FN(cmp));

/* ---- input and output ---- */

/* in(cstring, oid, typmod): text to a value, rounded to nearest even */
Datum
FN(in)(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	float	   *x = palloc(sizeof(float) * ElemsMaxCount(str));
	int			dim = ElemsParse(str, TYPE_NAME, FloatParse, FLOAT16_OVERFLOW, x, escontext);
	Value	   *result;

	if (dim < 0 || !DimsCheckExpected(typmod, dim, escontext))
		PG_RETURN_NULL();
	result = InitHalfVec(dim);
	FROM_FLOAT32(x, result->x, dim);
	pfree(x);
	PG_RETURN_POINTER(result);
}

/* out(v): the shortest text of each element as a float32 */
Datum
FN(out)(PG_FUNCTION_ARGS)
{
	Value	   *v = PG_GETARG_VALUE_P(0);
	float	   *x = palloc(sizeof(float) * v->dim);

	TO_FLOAT32(v->x, x, v->dim);
	PG_RETURN_CSTRING(ElemsPrint(x, v->dim));
}

/* typmod_in(cstring[]): the number in parentheses behind the type */
Datum
FN(typmod_in)(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(DimsTypmodIn(TYPE_NAME, PG_GETARG_ARRAYTYPE_P(0), VECTOR_MAX_DIM));
}

/* recv(internal, oid, typmod): from binary form */
Datum
FN(recv)(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = DimsReceive(TYPE_NAME, buf, typmod);
	const char *data = pq_getmsgbytes(buf, dim * sizeof(uint16));
	Value	   *result = InitHalfVec(dim);

	for (int i = 0; i < dim; i++)
	{
		uint16		bits;

		memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
		result->x[i] = pg_ntoh16(bits);
	}
	for (int i = 0; i < dim; i++)
	{
		if (unlikely((result->x[i] & FLOAT16_EXPONENT) == FLOAT16_EXPONENT))
		{
			float		x;

			TO_FLOAT32(&result->x[i], &x, 1);
			ElemsCheckElement(TYPE_NAME, x, i, NULL);
		}
	}
	PG_RETURN_POINTER(result);
}

/* send(v): binary form */
Datum
FN(send)(PG_FUNCTION_ARGS)
{
	Value	   *v = PG_GETARG_VALUE_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, 2 * sizeof(uint16) + v->dim * sizeof(uint16));
	pq_writeint16(&buf, v->dim);
	pq_writeint16(&buf, v->unused);
	for (int i = 0; i < v->dim; i++)
		pq_writeint16(&buf, v->x[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ---- distances ---- */

/* A pair of values short enough to be summed in order, as float32 */
typedef struct ShortPair
{
	float		a[IN_ORDER_DIMS];
	float		b[IN_ORDER_DIMS];
} ShortPair;

/* Convert a and b into pair if they are short; return whether they are. */
static inline bool
widen_short(const Value *a, const Value *b, ShortPair *pair)
{
	if (a->dim >= IN_ORDER_DIMS)
		return false;
	TO_FLOAT32(a->x, pair->a, a->dim);
	TO_FLOAT32(b->x, pair->b, b->dim);
	return true;
}

/* Squared Euclidean distance */
static float
l2_squared(const Value *a, const Value *b)
{
	ShortPair	pair;

	return widen_short(a, b, &pair) ? L2SquaredInOrder(pair.a, pair.b, a->dim)
		: KERNEL(l2sq)(a->x, b->x, a->dim);
}

/* Inner product */
static float
inner_product(const Value *a, const Value *b)
{
	ShortPair	pair;

	return widen_short(a, b, &pair) ? InnerProductInOrder(pair.a, pair.b, a->dim)
		: KERNEL(ip)(a->x, b->x, a->dim);
}

/* Taxicab distance */
static float
l1(const Value *a, const Value *b)
{
	ShortPair	pair;

	return widen_short(a, b, &pair) ? L1InOrder(pair.a, pair.b, a->dim)
		: KERNEL(l1)(a->x, b->x, a->dim);
}

/* 1 - cosine; NaN if one of the values is zero */
static double
cosine(const Value *a, const Value *b)
{
	ShortPair	pair;
	float		ab,
				aa,
				bb;

	if (widen_short(a, b, &pair))
		return CosineInOrder(pair.a, pair.b, a->dim);
	KERNEL(cosine)(a->x, b->x, a->dim, &ab, &aa, &bb);
	return CosineOfSums(ab, aa, bb);
}

/* Both arguments, which must have the same number of dimensions */
#define GETARG_VALUE_PAIR(a, b) \
	Value	   *a = PG_GETARG_VALUE_P(0); \
	Value	   *b = PG_GETARG_VALUE_P(1); \
	DimsCheckSame(TYPE_NAME, a->dim, b->dim)

/* l2_distance(a, b), <-> */
Datum
FN(l2_distance)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);

	PG_RETURN_FLOAT8(sqrt((double) l2_squared(a, b)));
}

/* l2_squared_distance(a, b) */
Datum
FN(l2_squared_distance)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);

	PG_RETURN_FLOAT8((double) l2_squared(a, b));
}

/* inner_product(a, b) */
Datum
FN(inner_product)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);

	PG_RETURN_FLOAT8((double) inner_product(a, b));
}

/* negative_inner_product(a, b), <#> */
Datum
FN(negative_inner_product)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);

	PG_RETURN_FLOAT8((double) -inner_product(a, b));
}

/* cosine_distance(a, b), <=>; NaN if one of them is zero */
Datum
FN(cosine_distance)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);

	PG_RETURN_FLOAT8(cosine(a, b));
}

/* l1_distance(a, b), <+> */
Datum
FN(l1_distance)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);

	PG_RETURN_FLOAT8((double) l1(a, b));
}

/* ---- properties and parts ---- */

/* l2_norm(a) */
Datum
FN(l2_norm)(PG_FUNCTION_ARGS)
{
	Value	   *a = PG_GETARG_VALUE_P(0);

	PG_RETURN_FLOAT8(ElemsNorm(DenseWiden(&FLOAT16_DENSE, (Vector *) a), a->dim));
}

/* l2_normalize(a); the zero vector stays as it is */
Datum
FN(l2_normalize)(PG_FUNCTION_ARGS)
{
	Value	   *a = PG_GETARG_VALUE_P(0);
	float	   *x = DenseWiden(&FLOAT16_DENSE, (Vector *) a);
	Value	   *result = InitHalfVec(a->dim);

	ElemsNormalize(x, x, a->dim);
	FROM_FLOAT32(x, result->x, a->dim);
	PG_RETURN_POINTER(result);
}

/* subvector(a, start, count): elements start (from 1) and following */
Datum
FN(subvector)(PG_FUNCTION_ARGS)
{
	return DenseSubvector(fcinfo, &FLOAT16_DENSE);
}

/* binary_quantize(a): a bit an element, set where it is positive */
Datum
FN(binary_quantize)(PG_FUNCTION_ARGS)
{
	Value	   *a = PG_GETARG_VALUE_P(0);

	PG_RETURN_VARBIT_P(ElemsBinaryQuantize(DenseWiden(&FLOAT16_DENSE, (Vector *) a), a->dim));
}

/* a || b */
Datum
FN(concat)(PG_FUNCTION_ARGS)
{
	return DenseConcat(fcinfo, &FLOAT16_DENSE);
}

/* ---- arithmetic, element by element ---- */

/*
 * op on the two arguments, written to result, which may be a or b.  Raises an
 * error where a result is too large for the format, and if nonzero_product, where
 * two elements other than zero gave zero.
 */
static void
apply(ElemsOp op, const Value *a, const Value *b, Value *result, bool nonzero_product)
{
	float		x[ELEMS_CHUNK];
	float		y[ELEMS_CHUNK];

	for (int done = 0; done < a->dim; done += ELEMS_CHUNK)
	{
		int			n = Min(a->dim - done, ELEMS_CHUNK);
		bool		underflow = false;

		TO_FLOAT32(a->x + done, x, n);
		TO_FLOAT32(b->x + done, y, n);
		op(x, y, y, n);
		for (int i = 0; i < n; i++)
			if (unlikely(fabsf(y[i]) >= FLOAT16_OVERFLOW))
				float_overflow_error();
		if (!nonzero_product)
			FROM_FLOAT32(y, result->x + done, n);
		else
		{
			uint16		product[ELEMS_CHUNK];

			FROM_FLOAT32(y, product, n);
			for (int i = 0; i < n; i++)
				underflow |= (product[i] & MAGNITUDE) == 0 &&
					(a->x[done + i] & MAGNITUDE) != 0 &&
					(b->x[done + i] & MAGNITUDE) != 0;
			if (underflow)
				float_underflow_error();
			memcpy(result->x + done, product, sizeof(uint16) * n);
		}
	}
}

/*
 * a + b.  As sum()'s transition function it adds to the running sum
 * where it is, which saves an allocation and a copy a row.
 */
Datum
FN(add)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);
	Value	   *result = AggCheckCallContext(fcinfo, NULL) ? a : InitHalfVec(a->dim);

	apply(ElemsAdd, a, b, result, false);
	PG_RETURN_POINTER(result);
}

/* a - b */
Datum
FN(sub)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);
	Value	   *result = InitHalfVec(a->dim);

	apply(ElemsSub, a, b, result, false);
	PG_RETURN_POINTER(result);
}

/* a * b */
Datum
FN(mul)(PG_FUNCTION_ARGS)
{
	GETARG_VALUE_PAIR(a, b);
	Value	   *result = InitHalfVec(a->dim);

	apply(ElemsMul, a, b, result, true);
	PG_RETURN_POINTER(result);
}

/* ---- comparisons: by the first element that differs, then by length ---- */

/* An integer that orders as the element does; both zeros give 0. */
static inline int
order_of(uint16 bits)
{
	int			magnitude = bits & MAGNITUDE;

	return (bits == magnitude) ? magnitude : -magnitude;
}

/* -1, 0 or 1 as the first argument is less than, equal to or greater than the second. */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	Value	   *a = PG_GETARG_VALUE_P(0);
	Value	   *b = PG_GETARG_VALUE_P(1);
	int			dim = Min(a->dim, b->dim);
	int			result = (a->dim > b->dim) - (a->dim < b->dim);

	for (int i = 0; i < dim; i++)
	{
		int			x = order_of(a->x[i]);
		int			y = order_of(b->x[i]);

		if (x != y)
		{
			result = (x < y) ? -1 : 1;
			break;
		}
	}
	/* btree must not leak: it compares many pairs in one memory context */
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

/* a < b */
Datum
FN(lt)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

/* a <= b */
Datum
FN(le)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

/* a = b */
Datum
FN(eq)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

/* a <> b */
Datum
FN(ne)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

/* a >= b */
Datum
FN(ge)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

/* a > b */
Datum
FN(gt)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

/* cmp(a, b): support function 1 of btree */
Datum
FN(cmp)(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}
