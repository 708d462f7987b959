/*
 * vector.c
 *		Input and output of the type vector.
 *
 * Binary form: int16 dimensions (read and written as unsigned), int16 0, then
 * the elements as float4, all in network byte order.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "types/elems.h"
#include "types/float_parse.h"

PG_FUNCTION_INFO_V1(vector_in);
PG_FUNCTION_INFO_V1(vector_out);
PG_FUNCTION_INFO_V1(vector_typmod_in);
PG_FUNCTION_INFO_V1(vector_recv);
PG_FUNCTION_INFO_V1(vector_send);

/* vector_in(cstring, oid, typmod): text to vector, read in place */
Datum
vector_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	Vector	   *result = InitVector(ElemsMaxCount(str));
	int			dim = ElemsParse(str, "vector", FloatParse, INFINITY, result->x, escontext);

	if (dim < 0 || !DimsCheckExpected(typmod, dim, escontext))
		PG_RETURN_NULL();
	SET_VARSIZE(result, VECTOR_SIZE(dim));
	result->dim = (uint16) dim;
	PG_RETURN_VECTOR_P(result);
}

/* vector_out(vector): shortest text that reads back as the same value */
Datum
vector_out(PG_FUNCTION_ARGS)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);

	PG_RETURN_CSTRING(ElemsPrint(v->x, v->dim));
}

/* vector_typmod_in(cstring[]): the n of vector(n) */
Datum
vector_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(DimsTypmodIn("vector", PG_GETARG_ARRAYTYPE_P(0), VECTOR_MAX_DIM));
}

/* vector_recv(internal, oid, typmod): binary form to vector */
Datum
vector_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = DimsReceive("vector", buf, typmod);
	const char *data = pq_getmsgbytes(buf, dim * sizeof(float));
	Vector	   *result = InitVector(dim);

	for (int i = 0; i < dim; i++)
	{
		uint32		bits;

		memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
		bits = pg_ntoh32(bits);
		memcpy(&result->x[i], &bits, sizeof(bits));
	}
	ElemsCheckFinite("vector", result->x, dim);
	PG_RETURN_VECTOR_P(result);
}

/* vector_send(vector): binary form */
Datum
vector_send(PG_FUNCTION_ARGS)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, 2 * sizeof(uint16) + v->dim * sizeof(float));
	pq_writeint16(&buf, v->dim);
	pq_writeint16(&buf, v->unused);
	for (int i = 0; i < v->dim; i++)
	{
		uint32		bits;

		memcpy(&bits, &v->x[i], sizeof(bits));
		pq_writeint32(&buf, bits);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}
