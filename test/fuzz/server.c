/*
 * server.c
 *		The few functions of the server that the targets call: memory, errors, messages.
 *
 * Each palloc is a malloc of exactly its size, so that AddressSanitizer sees what a
 * memory context hides: a byte too many, and what is used after it was freed.
 */
#include "server.h"

#include <setjmp.h>
#include <stdlib.h>

#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

volatile sig_atomic_t InterruptPending = false;

/* what messages are made of */
#if PG_VERSION_NUM < 160000
typedef char MessageBytes;
#else
typedef void MessageBytes;
#endif

static jmp_buf *handler;
static int	sqlstate;
static int	error_level;

/* ---- memory ---- */

/* Before each allocation, in a list of all. */
typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *previous;
	Size		size;
	Size		pad;			/* what follows is aligned as malloc's memory is */
} Chunk;

static Chunk chunks = {&chunks, &chunks};

void *
palloc(Size size)
{
	Chunk	   *chunk;

	/* the server's error is an internal one: no input may lead there */
	if (!AllocSizeIsValid(size))
		abort();
	chunk = malloc(sizeof(Chunk) + size);
	if (chunk == NULL)
		abort();
	chunk->size = size;
	chunk->next = chunks.next;
	chunk->previous = &chunks;
	chunk->next->previous = chunk;
	chunks.next = chunk;
	/* what is used without having been set is seen as garbage */
	memset(chunk + 1, 0x7f, size);
	return chunk + 1;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void
pfree(void *pointer)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;

	chunk->next->previous = chunk->previous;
	chunk->previous->next = chunk->next;
	free(chunk);
}

void *
repalloc(void *pointer, Size size)
{
	void	   *copy = palloc(size);

	memcpy(copy, pointer, Min(size, ((Chunk *) pointer - 1)->size));
	pfree(pointer);
	return copy;
}

char *
pstrdup(const char *in)
{
	return pnstrdup(in, strlen(in));
}

char *
pnstrdup(const char *in, Size len)
{
	char	   *copy;

	len = strnlen(in, len);
	copy = palloc(len + 1);
	memcpy(copy, in, len);
	copy[len] = '\0';
	return copy;
}

void
ServerReset(void)
{
	while (chunks.next != &chunks)
		pfree(chunks.next + 1);
}

/* ---- errors ---- */

/* More than recursion of bounded depth takes, with the frames that sanitizers make. */
#define STACK_LIMIT (1024 * 1024)

static char *stack_base;

/* No input may use much of the stack: where the server would raise an error, a target fails. */
void
check_stack_depth(void)
{
	char		here;

	if (stack_base - &here > STACK_LIMIT)
		abort();
}

int
ServerTry(void (*body) (void *arg), void *arg)
{
	jmp_buf		here;

	stack_base = (char *) __builtin_frame_address(0);
	handler = &here;
	sqlstate = 0;
	if (setjmp(here) == 0)
		body(arg);
	handler = NULL;
	return sqlstate;
}

bool
errstart(int elevel, const char *domain)
{
	error_level = elevel;
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

int
errcode(int code)
{
	if (error_level >= ERROR)
		sqlstate = code;
	return 0;
}

/* Texts are formatted as the server would, for the sanitizers to look at the arguments. */
static int
format(const char *fmt, va_list args)
{
	va_list		copy;
	int			bytes;
	char	   *text;

	va_copy(copy, args);
	bytes = vsnprintf(NULL, 0, fmt, copy);
	va_end(copy);
	text = malloc(bytes + 1);
	vsnprintf(text, bytes + 1, fmt, args);
	free(text);
	return 0;
}

#define FORMAT_FUNCTION(name) \
	int \
	name(const char *fmt, ...) \
	{ \
		va_list		args; \
		va_start(args, fmt); \
		format(fmt, args); \
		va_end(args); \
		return 0; \
	}

FORMAT_FUNCTION(errmsg)
FORMAT_FUNCTION(errmsg_internal)
FORMAT_FUNCTION(errdetail)
FORMAT_FUNCTION(errhint)

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	if (error_level < ERROR)
		return;
	if (sqlstate == 0)
		sqlstate = ERRCODE_INTERNAL_ERROR;
	longjmp(*handler, 1);
}

/* ---- calls ---- */

Datum
ServerCall(PGFunction function, Datum a, Datum b, Datum c)
{
	LOCAL_FCINFO(fcinfo, 3);

	InitFunctionCallInfoData(*fcinfo, NULL, 3, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = a;
	fcinfo->args[1].value = b;
	fcinfo->args[2].value = c;
	for (int i = 0; i < 3; i++)
		fcinfo->args[i].isnull = false;
	return function(fcinfo);
}

/* Values here are never toasted. */
struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	if (VARATT_IS_EXTENDED(datum))
		abort();
	return datum;
}

/* Lengths of the types that stored dictionaries of the seeds have; others are variable. */
void
get_typlenbyval(Oid typid, int16 *typlen, bool *typbyval)
{
	switch (typid)
	{
		case BOOLOID:
			*typlen = 1;
			break;
		case INT4OID:
			*typlen = 4;
			break;
		case INT8OID:
			*typlen = 8;
			break;
		case UUIDOID:
			*typlen = 16;
			break;
		default:
			*typlen = -1;
	}
	*typbyval = *typlen > 0 && *typlen <= 8;
}

/* ---- messages ---- */

const char *
pq_getmsgbytes(StringInfo msg, int datalen)
{
	const char *result;

	if (datalen < 0 || datalen > msg->len - msg->cursor)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("insufficient data left in message")));
	result = &msg->data[msg->cursor];
	msg->cursor += datalen;
	return result;
}

void
pq_copymsgbytes(StringInfo msg, char *buf, int datalen)
{
	memcpy(buf, pq_getmsgbytes(msg, datalen), datalen);
}

unsigned int
pq_getmsgint(StringInfo msg, int b)
{
	const uint8 *bytes = (const uint8 *) pq_getmsgbytes(msg, b);
	unsigned int result = 0;

	for (int i = 0; i < b; i++)
		result = result << 8 | bytes[i];
	return result;
}

float4
pq_getmsgfloat4(StringInfo msg)
{
	uint32		bits = pq_getmsgint(msg, 4);
	float4		result;

	memcpy(&result, &bits, sizeof(result));
	return result;
}

void
initStringInfo(StringInfo str)
{
	str->maxlen = 64;
	str->data = palloc(str->maxlen);
	str->data[0] = '\0';
	str->len = 0;
	str->cursor = 0;
}

void
enlargeStringInfo(StringInfo str, int needed)
{
	if (needed < 0 || (Size) str->len + needed + 1 > MaxAllocSize)
		abort();
	if (str->len + needed + 1 <= str->maxlen)
		return;
	str->maxlen = str->len + needed + 1;
	str->data = repalloc(str->data, str->maxlen);
}

void
appendBinaryStringInfo(StringInfo str, const MessageBytes *data, int datalen)
{
	enlargeStringInfo(str, datalen);
	memcpy(str->data + str->len, data, datalen);
	str->len += datalen;
	str->data[str->len] = '\0';
}

void
appendStringInfoString(StringInfo str, const char *s)
{
	appendBinaryStringInfo(str, s, (int) strlen(s));
}

#undef appendStringInfoChar
void
appendStringInfoChar(StringInfo str, char ch)
{
	appendBinaryStringInfo(str, &ch, 1);
}

void
appendStringInfo(StringInfo str, const char *fmt,...)
{
	va_list		args;
	int			bytes;

	va_start(args, fmt);
	bytes = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	enlargeStringInfo(str, bytes);
	va_start(args, fmt);
	vsnprintf(str->data + str->len, bytes + 1, fmt, args);
	va_end(args);
	str->len += bytes;
}

char *
psprintf(const char *fmt,...)
{
	va_list		args;
	char	   *text;
	int			bytes;

	va_start(args, fmt);
	bytes = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	text = palloc(bytes + 1);
	va_start(args, fmt);
	vsnprintf(text, bytes + 1, fmt, args);
	va_end(args);
	return text;
}

void
pq_sendbytes(StringInfo buf, const MessageBytes *data, int datalen)
{
	appendBinaryStringInfo(buf, data, datalen);
}

void
pq_begintypsend(StringInfo buf)
{
	static const char room[VARHDRSZ];

	initStringInfo(buf);
	appendBinaryStringInfo(buf, room, VARHDRSZ);
}

bytea *
pq_endtypsend(StringInfo buf)
{
	bytea	   *result = (bytea *) buf->data;

	SET_VARSIZE(result, buf->len);
	return result;
}
