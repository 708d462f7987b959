/*
 * elems.c
 *		What the vector types share: checks, text, sums.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "types/elems.h"
#include "types/float_parse.h"

/* ---- dimensions ---- */

/*
 * Whether a value of the type may have dim dimensions.  Raises the error, or
 * saves it in escontext (PostgreSQL 16 and later) and returns false.
 */
bool
DimsCheck(const char *type, int dim, Node *escontext)
{
	if (dim < 1)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", type)));
	if (dim > VECTOR_MAX_DIM)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s cannot have more than %d dimensions", type, VECTOR_MAX_DIM)));
	return true;
}

/* Whether dim is what the column's type modifier asks for (-1: anything). */
bool
DimsCheckExpected(int32 typmod, int dim, Node *escontext)
{
	if (typmod != -1 && typmod != dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, dim)));
	return true;
}

/* Raise an error unless two values can be compared element by element. */
void
DimsCheckSame(const char *type, int a, int b)
{
	if (a != b)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different %s dimensions %d and %d", type, a, b)));
}

/* The type modifier that (n) behind the type's name means: n itself, at most max. */
int32
DimsTypmodIn(const char *type, ArrayType *typmods, int32 max)
{
	int			n;
	int32	   *typmod = ArrayGetIntegerTypmods(typmods, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier"),
				 errhint("Write %s(n), where n is the number of dimensions.", type)));
	if (*typmod < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1", type)));
	if (*typmod > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d", type, max)));
	return *typmod;
}

/*
 * The part of a value of dim elements that SQL names by start, from 1, and
 * count; what of it lies outside the value is cut off.  Returns its number of
 * elements and sets *start to the first one, from 0.  It must not be empty.
 */
int
DimsSubrange(const char *type, int dim, int *start, int count)
{
	int64		first = Max((int64) *start, 1);
	int64		last = Min((int64) *start + count - 1, dim);

	DimsCheck(type, (int) Max(last - first + 1, 0), NULL);
	*start = (int) first - 1;
	return (int) (last - first + 1);
}

/* Read and check the header of the binary form; the elements come next in buf. */
int
DimsReceive(const char *type, StringInfo buf, int32 typmod)
{
	/* pq_getmsgint() does not extend the sign, so 32768 stays that */
	int			dim = pq_getmsgint(buf, sizeof(uint16));
	int16		unused = pq_getmsgint(buf, sizeof(int16));

	DimsCheck(type, dim, NULL);
	DimsCheckExpected(typmod, dim, NULL);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));
	return dim;
}

/* See vector.h. */
int
VectorDatumDim(Datum d)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(d);
	struct varlena *head;
	uint16		dim;

	if (!VARATT_IS_EXTENDED(value))
		return ((Vector *) value)->dim;

	head = PG_DETOAST_DATUM_SLICE(d, 0, sizeof(dim));
	memcpy(&dim, VARDATA_ANY(head), sizeof(dim));
	pfree(head);
	return dim;
}

/* ---- elements ---- */

/* Whether any of n elements is NaN or infinite, without a branch in the loop. */
bool
ElemsAnyNonFinite(const float *x, int n)
{
	const uint32 exponent = 0x7f800000;
	uint32		any = 0;

	for (int i = 0; i < n; i++)
	{
		uint32		bits;

		memcpy(&bits, &x[i], sizeof(bits));
		any |= ((bits & exponent) == exponent);
	}
	return any != 0;
}

/*
 * Whether element i, counted from 0, is finite.  Raises the error, or saves it
 * in escontext and returns false.
 */
bool
ElemsCheckElement(const char *type, float x, int i, Node *escontext)
{
	if (isnan(x))
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in %s", type),
				 errdetail("Element %d is NaN.", i + 1)));
	if (isinf(x))
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("infinite value not allowed in %s", type),
				 errdetail("Element %d is infinite.", i + 1)));
	return true;
}

/* Raise an error that names the first NaN or infinite one of n elements. */
void
ElemsCheckFinite(const char *type, const float *x, int n)
{
	if (likely(!ElemsAnyNonFinite(x, n)))
		return;

	for (int i = 0; i < n; i++)
		ElemsCheckElement(type, x[i], i, NULL);
}

/* Euclidean norm, summed in float64 so that no float32 input can overflow it. */
double
ElemsNorm(const float *x, int n)
{
	double		sum = 0.0;

	for (int i = 0; i < n; i++)
		sum += (double) x[i] * (double) x[i];
	return sqrt(sum);
}

/* x divided by its norm; zero stays zero.  No result exceeds 1. */
void
ElemsNormalize(const float *x, float *result, int n)
{
	double		norm = ElemsNorm(x, n);

	for (int i = 0; i < n; i++)
		result[i] = (norm > 0) ? (float) (x[i] / norm) : 0.0f;
}

/* A palloc'd bit string of n bits, first element first: 1 where x is positive. */
VarBit *
ElemsBinaryQuantize(const float *x, int n)
{
	VarBit	   *result = (VarBit *) palloc0(VARBITTOTALLEN(n));
	bits8	   *bits = VARBITS(result);

	SET_VARSIZE(result, VARBITTOTALLEN(n));
	VARBITLEN(result) = n;
	for (int i = 0; i < n; i++)
		bits[i / BITS_PER_BYTE] |= (x[i] > 0) << (BITS_PER_BYTE - 1 - i % BITS_PER_BYTE);
	return result;
}

/* See elems.h. */
void
ElemsAdd(const float *a, const float *b, float *result, int n)
{
	for (int i = 0; i < n; i++)
		result[i] = a[i] + b[i];
}

/* See elems.h. */
void
ElemsSub(const float *a, const float *b, float *result, int n)
{
	for (int i = 0; i < n; i++)
		result[i] = a[i] - b[i];
}

/* See elems.h. */
void
ElemsMul(const float *a, const float *b, float *result, int n)
{
	for (int i = 0; i < n; i++)
		result[i] = a[i] * b[i];
}

/* ---- text ---- */

/* What scanner.l, and so all of PostgreSQL's types, take as white space */
bool
ElemsIsSpace(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static inline const char *
skip_spaces(const char *p)
{
	while (ElemsIsSpace(*p))
		p++;
	return p;
}

/* No fewer elements than ElemsParse() will find; at most VECTOR_MAX_DIM. */
int
ElemsMaxCount(const char *str)
{
	int			n = 1;

	for (const char *p = str; (p = strchr(p, ',')) != NULL && n < VECTOR_MAX_DIM; p++)
		n++;
	return n;
}

/*
 * Read "[1, 2.5, -3e2]" into x, which has room for ElemsMaxCount(str) elements,
 * and return their number.  An element that parse cannot hold, or that rounds to the
 * magnitude overflow or more, does not fit the type.  Raises an error, or saves it in escontext and
 * returns -1.
 */
int
ElemsParse(const char *str, const char *type, ElemParser parse, float overflow, float *x,
		   Node *escontext)
{
	const char *p = skip_spaces(str);
	int			dim = 0;

	if (*p != '[')
		ereturn(escontext, -1,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", type, str),
				 errdetail("The value does not start with \"[\".")));
	p = skip_spaces(p + 1);
	if (*p == ']')
	{
		(void) DimsCheck(type, 0, escontext);
		return -1;
	}

	for (;;)
	{
		const char *end;
		bool		too_large;
		float		value;

		if (dim == VECTOR_MAX_DIM)
		{
			(void) DimsCheck(type, dim + 1, escontext);
			return -1;
		}
		p = skip_spaces(p);
		value = parse(p, &end, &too_large);
		if (end == p)
			ereturn(escontext, -1,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", type, str),
					 parse == FloatParse ? errdetail("Element %d is not a number.", dim + 1)
					 : errdetail("Element %d is not an integer.", dim + 1)));
		if (too_large || (fabsf(value) >= overflow && !isinf(value)))
			ereturn(escontext, -1,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%s\" is out of range for type %s",
							pnstrdup(p, end - p), type)));
		if (!ElemsCheckElement(type, value, dim, escontext))
			return -1;
		x[dim++] = value;

		p = skip_spaces(end);
		if (*p == ']')
			break;
		if (*p != ',')
			ereturn(escontext, -1,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", type, str),
					 errdetail("Element %d is not followed by \",\" or \"]\".", dim)));
		p++;
	}

	p = skip_spaces(p + 1);
	if (*p != '\0')
		ereturn(escontext, -1,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", type, str),
				 errdetail("There is text after the closing \"]\".")));
	return dim;
}

/* "[1,2.5,-300]", each the shortest text that reads back as the same float32. */
char *
ElemsPrint(const float *x, int n)
{
	/* a separator or bracket an element, and the closing bracket */
	char	   *result = palloc((Size) n * FLOAT_SHORTEST_DECIMAL_LEN + 2);
	char	   *p = result;

	for (int i = 0; i < n; i++)
	{
		*p++ = (i == 0) ? '[' : ',';
		p += float_to_shortest_decimal_bufn(x[i], p);
	}
	*p++ = ']';
	*p = '\0';
	return result;
}
