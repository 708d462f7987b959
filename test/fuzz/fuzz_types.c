/*
 * fuzz_types.c
 *		Text and binary input of vector, halfvec, bfloat16vec, int8vec and sparsevec.
 *
 * Byte 0: the type, and whether text or binary form follows.  Bytes 1 to 4: the type
 * modifier, where byte 0 says that there is one.
 *
 * What must hold: the input is refused with an SQLSTATE of those in elems.h, or gives a value
 * with the invariants of src/types/README.md, which text and binary form reproduce bit by bit.
 * Text of a vector is read a second time, by strtof().
 */
#include "server.h"

#include <math.h>
#include <stdlib.h>

#include "fuzz.h"
#include "kernels/kernels.h"
#include "lib/stringinfo.h"
#include "types/float_parse.h"
#include "types/sparsevec.h"
#include "types/vector.h"

#define TYPE(name) \
	extern Datum name##_in(PG_FUNCTION_ARGS); \
	extern Datum name##_out(PG_FUNCTION_ARGS); \
	extern Datum name##_recv(PG_FUNCTION_ARGS); \
	extern Datum name##_send(PG_FUNCTION_ARGS)

TYPE(vector);
TYPE(halfvec);
TYPE(bfloat16vec);
TYPE(int8vec);
TYPE(sparsevec);

typedef struct Type
{
	const char *name;
	PGFunction	in;
	PGFunction	out;
	PGFunction	recv;
	PGFunction	send;
	Size		width;			/* bytes of an element; 0: sparse */
} Type;

static const Type types[] = {
	{"vector", vector_in, vector_out, vector_recv, vector_send, 4},
	{"halfvec", halfvec_in, halfvec_out, halfvec_recv, halfvec_send, 2},
	{"bfloat16vec", bfloat16vec_in, bfloat16vec_out, bfloat16vec_recv, bfloat16vec_send, 2},
	{"int8vec", int8vec_in, int8vec_out, int8vec_recv, int8vec_send, 1},
	{"sparsevec", sparsevec_in, sparsevec_out, sparsevec_recv, sparsevec_send, 0},
};

#define TYPES (sizeof(types) / sizeof(types[0]))

/* One input. */
typedef struct Input
{
	const Type *type;
	bool		binary;
	int32		typmod;
	const uint8_t *data;
	size_t		size;
	Datum		value;			/* what it gave */
	int			unread;			/* bytes of binary form left */
} Input;

static void
require(bool condition)
{
	if (!condition)
		abort();
}

/* A message of exactly these bytes. */
static Datum
receive(const Type *type, const void *data, size_t size, int32 typmod, int *unread)
{
	StringInfoData message;
	Datum		value;

	message.data = palloc(size);
	memcpy(message.data, data, size);
	message.len = (int) size;
	message.maxlen = (int) size;
	message.cursor = 0;
	value = ServerCall(type->recv, PointerGetDatum(&message), ObjectIdGetDatum(InvalidOid), Int32GetDatum(typmod));
	*unread = message.len - message.cursor;
	return value;
}

static void
read_value(void *arg)
{
	Input	   *input = arg;

	if (input->binary)
		input->value = receive(input->type, input->data, input->size, input->typmod, &input->unread);
	else
		input->value = ServerCall(input->type->in, CStringGetDatum(pnstrdup((const char *) input->data, input->size)),
								  ObjectIdGetDatum(InvalidOid), Int32GetDatum(input->typmod));
}

static bool
expected_error(int sqlstate)
{
	return sqlstate == ERRCODE_INVALID_TEXT_REPRESENTATION ||
		sqlstate == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE ||
		sqlstate == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		sqlstate == ERRCODE_DATA_EXCEPTION ||
		sqlstate == ERRCODE_PROTOCOL_VIOLATION;
}

static bool
finite_element(const Type *type, const void *elements, int i)
{
	uint16		half;
	float		x;

	switch (type->width)
	{
		case 4:
			memcpy(&x, (const char *) elements + 4 * i, 4);
			return isfinite(x);
		case 2:
			memcpy(&half, (const char *) elements + 2 * i, 2);
			return type == &types[1] ? (half & 0x7c00) != 0x7c00 : (half & 0x7f80) != 0x7f80;
	}
	return true;
}

/* What src/types/README.md says of a value. */
static void
check_value(const Input *input)
{
	if (input->type->width > 0)
	{
		const Vector *v = (Vector *) DatumGetPointer(input->value);

		require(v->dim >= 1 && v->dim <= VECTOR_MAX_DIM && v->unused == 0);
		require(input->typmod == -1 || input->typmod == v->dim);
		require(VARSIZE(v) == offsetof(Vector, x) + input->type->width * v->dim);
		for (int i = 0; i < v->dim; i++)
			require(finite_element(input->type, v->x, i));
	}
	else
	{
		SparseVec  *v = (SparseVec *) DatumGetPointer(input->value);
		const float *values = SPARSEVEC_VALUES(v);

		require(v->dim >= 1 && v->dim <= SPARSEVEC_MAX_DIM && v->nnz <= SPARSEVEC_MAX_NNZ && v->unused == 0);
		require(input->typmod == -1 || (uint32) input->typmod == v->dim);
		require(VARSIZE(v) == SPARSEVEC_SIZE(v->nnz));
		for (uint32 i = 0; i < v->nnz; i++)
		{
			require(v->indices[i] < v->dim && (i == 0 || v->indices[i - 1] < v->indices[i]));
			require(isfinite(values[i]) && values[i] != 0);
		}
	}
}

static void
check_same(Datum a, Datum b)
{
	require(VARSIZE(DatumGetPointer(a)) == VARSIZE(DatumGetPointer(b)));
	require(memcmp(DatumGetPointer(a), DatumGetPointer(b), VARSIZE(DatumGetPointer(a))) == 0);
}

/* Text and binary form of a value read back as the same bytes. */
static void
check_round_trips(void *arg)
{
	const Input *input = arg;
	const Type *type = input->type;
	char	   *text = DatumGetCString(ServerCall(type->out, input->value, 0, 0));
	bytea	   *bytes = (bytea *) DatumGetPointer(ServerCall(type->send, input->value, 0, 0));
	int			unread;

	check_same(input->value, ServerCall(type->in, CStringGetDatum(text), 0, Int32GetDatum(input->typmod)));
	check_same(input->value, receive(type, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ, input->typmod, &unread));
	require(unread == 0);
	/* what was read is what is written, to the last byte */
	if (input->binary)
	{
		require(input->size - input->unread == VARSIZE(bytes) - VARHDRSZ);
		require(memcmp(input->data, VARDATA(bytes), input->size - input->unread) == 0);
	}
}

/* The elements that strtof() reads, where vector_in found any. */
static void
check_by_strtof(const Input *input)
{
	const Vector *v = (Vector *) DatumGetPointer(input->value);
	char	   *text = pnstrdup((const char *) input->data, input->size);
	char	   *p = strchr(text, '[') + 1;

	for (int i = 0; i < v->dim; i++)
	{
		char	   *end;
		float		x = strtof(p, &end);

		require(end > p && memcmp(&x, &v->x[i], sizeof(x)) == 0);
		p = strpbrk(end, ",]") + 1;
	}
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	KernelsInit();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {.typmod = -1};
	int			sqlstate;

	if (size < 1)
		return 0;
	input.type = &types[(data[0] & 15) % TYPES];
	input.binary = data[0] & 16;
	data++, size--;
	if (data[-1] & 32)
	{
		if (size < 4)
			return 0;
		memcpy(&input.typmod, data, 4);
		/* what a type modifier can be */
		if (input.typmod < 1)
			input.typmod = -1;
		data += 4, size -= 4;
	}
	input.data = data;
	input.size = size;

	sqlstate = ServerTry(read_value, &input);
	if (sqlstate != 0)
		require(expected_error(sqlstate));
	else
	{
		check_value(&input);
		if (!input.binary && input.type == &types[0])
			check_by_strtof(&input);
		require(ServerTry(check_round_trips, &input) == 0);
	}
	ServerReset();
	return 0;
}
