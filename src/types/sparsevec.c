/*
 * sparsevec.c
 *		The type sparsevec: text, binary form, type modifier, checks.
 *
 * Text is "{1:0.5,7:2}/100": positions from 1, in any order, values, and behind the
 * slash the number of dimensions.  Binary form: int32 dimensions, int32 number of
 * elements, int32 0, the positions from 0 as int32, the values as float4, all in
 * network byte order.  The integers are read and written as unsigned; up to 2^31 - 1
 * that is what pgvector's clients write.
 *
 * A type modifier is at most 2^31 - 1, since PostgreSQL takes negative ones for none.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "types/elems.h"
#include "types/float_parse.h"
#include "types/sparse.h"

PG_FUNCTION_INFO_V1(sparsevec_in);
PG_FUNCTION_INFO_V1(sparsevec_out);
PG_FUNCTION_INFO_V1(sparsevec_typmod_in);
PG_FUNCTION_INFO_V1(sparsevec_recv);
PG_FUNCTION_INFO_V1(sparsevec_send);

/* Bytes of the longest position or dimension as text */
#define INDEX_TEXT_LEN 10

/* A number that no position or dimension reaches; larger ones are read as this. */
#define TOO_LARGE (INT64CONST(1) << 40)

/* ---- checks ---- */

/* Whether a value may have dim dimensions. */
bool
SparseCheckDim(int64 dim, Node *escontext)
{
	if (dim < 1)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec must have at least 1 dimension")));
	if (dim > SPARSEVEC_MAX_DIM)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more than %u dimensions", SPARSEVEC_MAX_DIM)));
	return true;
}

/* Whether a value may have nnz elements. */
bool
SparseCheckCount(int64 nnz, Node *escontext)
{
	if (nnz > SPARSEVEC_MAX_NNZ)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more than %d non-zero elements",
						SPARSEVEC_MAX_NNZ)));
	return true;
}

/* Whether dim is what the column's type modifier asks for (-1: anything). */
bool
SparseCheckExpected(int32 typmod, uint32 dim, Node *escontext)
{
	if (typmod != -1 && (uint32) typmod != dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %u", typmod, dim)));
	return true;
}

/* Raise an error unless two values have the same number of dimensions. */
void
SparseCheckSame(const SparseVec *a, const SparseVec *b)
{
	if (a->dim != b->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different sparsevec dimensions %u and %u", a->dim, b->dim)));
}

/* Whether element i may stand behind the one before it. */
static bool
check_position(const uint32 *previous, uint32 index, uint32 dim, Node *escontext)
{
	if (index >= dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec index out of bounds")));
	if (previous != NULL && *previous > index)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec indices must be in ascending order")));
	if (previous != NULL && *previous == index)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec indices must not contain duplicates")));
	return true;
}

/* ---- building ---- */

/* Begin a value; room is a guess of its number of elements. */
void
SparseBuilderInit(SparseBuilder *builder, uint32 dim, uint32 room)
{
	builder->dim = dim;
	builder->nnz = 0;
	builder->room = Min(Max(room, 1), SPARSEVEC_MAX_NNZ);
	builder->elements = palloc(sizeof(SparseElement) * builder->room);
}

/* Add an element, unless it is zero. */
bool
SparseBuilderAdd(SparseBuilder *builder, uint32 index, float value, Node *escontext)
{
	if (value == 0.0f)
		return true;
	if (builder->nnz == builder->room)
	{
		if (!SparseCheckCount((int64) builder->nnz + 1, escontext))
			return false;
		builder->room = Min(builder->room * 2, SPARSEVEC_MAX_NNZ);
		builder->elements =
			repalloc(builder->elements, sizeof(SparseElement) * builder->room);
	}
	builder->elements[builder->nnz].index = index;
	builder->elements[builder->nnz].value = value;
	builder->nnz++;
	return true;
}

/* The palloc'd value, whose positions must be in order.  The builder is gone. */
SparseVec *
SparseBuilderFinish(SparseBuilder *builder)
{
	SparseVec  *result = InitSparseVec(builder->dim, builder->nnz);
	float	   *values = SPARSEVEC_VALUES(result);

	for (uint32 i = 0; i < builder->nnz; i++)
	{
		result->indices[i] = builder->elements[i].index;
		values[i] = builder->elements[i].value;
	}
	pfree(builder->elements);
	return result;
}

/* ---- text ---- */

static int
compare_elements(const void *a, const void *b)
{
	uint32		x = ((const SparseElement *) a)->index;
	uint32		y = ((const SparseElement *) b)->index;

	return (x > y) - (x < y);
}

/* Sort the elements by position unless they are. */
static void
sort_elements(SparseBuilder *builder)
{
	for (uint32 i = 1; i < builder->nnz; i++)
	{
		if (builder->elements[i - 1].index > builder->elements[i].index)
		{
			qsort(builder->elements, builder->nnz, sizeof(SparseElement), compare_elements);
			break;
		}
	}
}

static const char *
skip_spaces(const char *p)
{
	while (ElemsIsSpace(*p))
		p++;
	return p;
}

/* The integer at s, at most TOO_LARGE; *end is behind it, or s where there is none. */
static int64
parse_integer(const char *s, const char **end)
{
	const char *p = s;
	bool		negative = false;
	int64		value = 0;

	if (*p == '-' || *p == '+')
		negative = (*p++ == '-');
	*end = s;
	for (; *p >= '0' && *p <= '9'; *end = ++p)
		value = Min(value * 10 + (*p - '0'), TOO_LARGE);
	return negative ? -value : value;
}

/* Return false with the error that str is not a sparsevec, for the reason given. */
#define RETURN_SYNTAX_ERROR(...) \
	ereturn(escontext, false, \
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), \
			 errmsg("invalid input syntax for type sparsevec: \"%s\"", str), \
			 errdetail(__VA_ARGS__)))

/*
 * Read "{1:0.5,7:2}/100" into a builder with the positions sorted.  Raises an error,
 * or saves it in escontext and returns false.
 */
static bool
parse(const char *str, SparseBuilder *builder, Node *escontext)
{
	const char *p = skip_spaces(str);
	const char *end;
	int64		dim;
	int			n = 0;

	if (*p != '{')
		RETURN_SYNTAX_ERROR("The value does not start with \"{\".");
	p = skip_spaces(p + 1);

	while (*p != '}')
	{
		int64		position;
		float		value;
		bool		too_large;

		n++;
		position = parse_integer(p, &end);
		if (end == p)
			RETURN_SYNTAX_ERROR("The index of element %d is not an integer.", n);
		p = skip_spaces(end);
		if (*p != ':')
			RETURN_SYNTAX_ERROR("The index of element %d is not followed by \":\".", n);
		p = skip_spaces(p + 1);
		value = FloatParse(p, &end, &too_large);
		if (end == p)
			RETURN_SYNTAX_ERROR("The value of element %d is not a number.", n);
		if (too_large)
			ereturn(escontext, false,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%s\" is out of range for type sparsevec",
							pnstrdup(p, end - p))));
		if (!ElemsCheckElement("sparsevec", value, n - 1, escontext))
			return false;

		/* the number of dimensions comes last; what cannot be below it is marked */
		if (position < 1 || position > SPARSEVEC_MAX_DIM)
			position = (int64) SPARSEVEC_MAX_DIM + 1;
		if (!SparseBuilderAdd(builder, (uint32) (position - 1), value, escontext))
			return false;

		p = skip_spaces(end);
		if (*p == ',')
		{
			p = skip_spaces(p + 1);
			if (*p == '}')
				RETURN_SYNTAX_ERROR("There is no element after the last \",\".");
		}
		else if (*p != '}')
			RETURN_SYNTAX_ERROR("Element %d is not followed by \",\" or \"}\".", n);
	}

	p = skip_spaces(p + 1);
	if (*p != '/')
		RETURN_SYNTAX_ERROR("The closing \"}\" is not followed by \"/\".");
	p = skip_spaces(p + 1);
	dim = parse_integer(p, &end);
	if (end == p)
		RETURN_SYNTAX_ERROR("The number of dimensions is not an integer.");
	if (*skip_spaces(end) != '\0')
		RETURN_SYNTAX_ERROR("There is text after the number of dimensions.");
	if (!SparseCheckDim(dim, escontext))
		return false;

	builder->dim = (uint32) dim;
	sort_elements(builder);
	for (uint32 i = 0; i < builder->nnz; i++)
		if (!check_position(i == 0 ? NULL : &builder->elements[i - 1].index,
							builder->elements[i].index, builder->dim, escontext))
			return false;
	return true;
}

/* sparsevec_in(cstring, oid, typmod): text to sparsevec */
Datum
sparsevec_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	SparseBuilder builder;

	SparseBuilderInit(&builder, 1, (uint32) ElemsMaxCount(str));
	if (!parse(str, &builder, escontext) ||
		!SparseCheckExpected(typmod, builder.dim, escontext))
		PG_RETURN_NULL();
	PG_RETURN_SPARSEVEC_P(SparseBuilderFinish(&builder));
}

/* Write n in decimal to p; return the place behind it. */
static char *
print_integer(uint32 n, char *p)
{
	char		digits[INDEX_TEXT_LEN];
	int			count = 0;

	do
	{
		digits[count++] = '0' + n % 10;
		n /= 10;
	} while (n > 0);
	while (count > 0)
		*p++ = digits[--count];
	return p;
}

/* sparsevec_out(sparsevec): shortest text that reads back as the same value */
Datum
sparsevec_out(PG_FUNCTION_ARGS)
{
	SparseVec  *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = SPARSEVEC_VALUES(v);
	/* position, colon, value, separator an element; braces, slash, dimensions */
	Size		size = (Size) v->nnz * (INDEX_TEXT_LEN + FLOAT_SHORTEST_DECIMAL_LEN + 2) +
		INDEX_TEXT_LEN + 4;
	char	   *result = palloc(size);
	char	   *p = result;

	*p++ = '{';
	for (uint32 i = 0; i < v->nnz; i++)
	{
		if (i > 0)
			*p++ = ',';
		p = print_integer(v->indices[i] + 1, p);
		*p++ = ':';
		p += float_to_shortest_decimal_bufn(values[i], p);
	}
	*p++ = '}';
	*p++ = '/';
	p = print_integer(v->dim, p);
	*p = '\0';
	PG_RETURN_CSTRING(result);
}

/* sparsevec_typmod_in(cstring[]): the n of sparsevec(n) */
Datum
sparsevec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(DimsTypmodIn("sparsevec", PG_GETARG_ARRAYTYPE_P(0), PG_INT32_MAX));
}

/* ---- binary form ---- */

/* sparsevec_recv(internal, oid, typmod): binary form to sparsevec */
Datum
sparsevec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	uint32		dim = pq_getmsgint(buf, sizeof(uint32));
	uint32		nnz = pq_getmsgint(buf, sizeof(uint32));
	uint32		unused = pq_getmsgint(buf, sizeof(uint32));
	SparseVec  *result;
	float	   *values;

	SparseCheckDim(dim, NULL);
	SparseCheckCount(nnz, NULL);
	SparseCheckExpected(typmod, dim, NULL);
	if (nnz > dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec cannot have more elements than dimensions")));
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", (int32) unused)));

	/* a count that the message does not bear out must not make us allocate */
	if ((Size) (buf->len - buf->cursor) < (sizeof(uint32) + sizeof(float)) * nnz)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("insufficient data left in message")));

	result = InitSparseVec(dim, nnz);
	values = SPARSEVEC_VALUES(result);
	for (uint32 i = 0; i < nnz; i++)
	{
		result->indices[i] = pq_getmsgint(buf, sizeof(uint32));
		check_position(i == 0 ? NULL : &result->indices[i - 1], result->indices[i], dim, NULL);
	}
	for (uint32 i = 0; i < nnz; i++)
	{
		values[i] = pq_getmsgfloat4(buf);
		ElemsCheckElement("sparsevec", values[i], i, NULL);
		if (values[i] == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("binary representation of sparsevec cannot contain zero values")));
	}
	PG_RETURN_SPARSEVEC_P(result);
}

/* sparsevec_send(sparsevec): binary form */
Datum
sparsevec_send(PG_FUNCTION_ARGS)
{
	SparseVec  *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = SPARSEVEC_VALUES(v);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, SPARSEVEC_SIZE(v->nnz));
	pq_writeint32(&buf, v->dim);
	pq_writeint32(&buf, v->nnz);
	pq_writeint32(&buf, v->unused);
	for (uint32 i = 0; i < v->nnz; i++)
		pq_writeint32(&buf, v->indices[i]);
	for (uint32 i = 0; i < v->nnz; i++)
	{
		uint32		bits;

		memcpy(&bits, &values[i], sizeof(bits));
		pq_writeint32(&buf, bits);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}
