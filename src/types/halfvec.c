/*
 * halfvec.c
 *		Input and output of the type halfvec.
 *
 * Text is read and printed by way of float32, which holds every float16.
 * Binary form: int16 dimensions (read and written as unsigned), int16 0, then
 * the elements' bits as int16, all in network byte order.
 */
#include "postgres.h"

#include "kernels/kernels.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "types/elems.h"
#include "types/halfvec.h"

PG_FUNCTION_INFO_V1(halfvec_in);
PG_FUNCTION_INFO_V1(halfvec_out);
PG_FUNCTION_INFO_V1(halfvec_typmod_in);
PG_FUNCTION_INFO_V1(halfvec_recv);
PG_FUNCTION_INFO_V1(halfvec_send);

/* halfvec_in(cstring, oid, typmod): text to halfvec, rounded to nearest even */
Datum
halfvec_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = fcinfo->context;
	float	   *x = palloc(sizeof(float) * ElemsMaxCount(str));
	int			dim = ElemsParse(str, "halfvec", HALF_OVERFLOW, x, escontext);
	HalfVec    *result;

	if (dim < 0 || !DimsCheckExpected(typmod, dim, escontext))
		PG_RETURN_NULL();
	result = InitHalfVec(dim);
	kernels->f32_to_f16(x, result->x, dim);
	pfree(x);
	PG_RETURN_HALFVEC_P(result);
}

/* halfvec_out(halfvec): the shortest text of each element as a float32 */
Datum
halfvec_out(PG_FUNCTION_ARGS)
{
	HalfVec    *v = PG_GETARG_HALFVEC_P(0);
	float	   *x = palloc(sizeof(float) * v->dim);

	kernels->f16_to_f32(v->x, x, v->dim);
	PG_RETURN_CSTRING(ElemsPrint(x, v->dim));
}

/* halfvec_typmod_in(cstring[]): the n of halfvec(n) */
Datum
halfvec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(DimsTypmodIn("halfvec", PG_GETARG_ARRAYTYPE_P(0)));
}

/* halfvec_recv(internal, oid, typmod): binary form to halfvec */
Datum
halfvec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = DimsReceive("halfvec", buf, typmod);
	const char *data = pq_getmsgbytes(buf, dim * sizeof(uint16));
	HalfVec    *result = InitHalfVec(dim);
	const uint16 exponent = 0x7c00;

	for (int i = 0; i < dim; i++)
	{
		uint16		bits;

		memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
		result->x[i] = pg_ntoh16(bits);
	}
	for (int i = 0; i < dim; i++)
	{
		if (unlikely((result->x[i] & exponent) == exponent))
		{
			float		x;

			kernels->f16_to_f32(&result->x[i], &x, 1);
			ElemsCheckElement("halfvec", x, i, NULL);
		}
	}
	PG_RETURN_HALFVEC_P(result);
}

/* halfvec_send(halfvec): binary form */
Datum
halfvec_send(PG_FUNCTION_ARGS)
{
	HalfVec    *v = PG_GETARG_HALFVEC_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, 2 * sizeof(uint16) + v->dim * sizeof(uint16));
	pq_writeint16(&buf, v->dim);
	pq_writeint16(&buf, v->unused);
	for (int i = 0; i < v->dim; i++)
		pq_writeint16(&buf, v->x[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}
