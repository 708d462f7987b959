/*
 * server.h
 *		The few functions of the server that the targets call, for a process that is none.
 */
#ifndef MILVUS_FUZZ_SERVER_H
#define MILVUS_FUZZ_SERVER_H

#include "postgres.h"

#include "fmgr.h"

/*
 * Call body(arg), which may raise errors.  Returns 0 or the SQLSTATE of the error.  A WARNING or less
 * passes.  Memory that was palloc'd since the last ServerReset stays.
 */
extern int	ServerTry(void (*body) (void *arg), void *arg);
/* Free all that was palloc'd. */
extern void ServerReset(void);

/* Call an SQL function of up to 3 arguments. */
extern Datum ServerCall(PGFunction function, Datum a, Datum b, Datum c);

#endif							/* MILVUS_FUZZ_SERVER_H */
