/*
 * time.c
 *		Milvus's hybrid time: milliseconds of the clock, and a counter.
 */
#include "postgres.h"

#include "collection/collection_internal.h"
#include "fmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(milvus_alloc_timestamp);

#define LOGICAL_LIMIT (INT64CONST(1) << MILVUS_TS_LOGICAL_BITS)
/* Microseconds from 1970 to 2000. */
#define EPOCH_DIFFERENCE ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/*
 * The counter of a time has its microseconds in the upper bits, so times of different
 * sessions follow the clock too.
 */
int64
MilvusTimestampOf(TimestampTz time)
{
	int64		us = time + EPOCH_DIFFERENCE;

	return (us / 1000) * LOGICAL_LIMIT + (us % 1000) * (LOGICAL_LIMIT / 1000);
}

int64
MilvusAllocTimestamp(void)
{
	static int64 last = 0;
	int64		now = MilvusTimestampOf(GetCurrentTimestamp());

	last = Max(now, last + 1);
	return last;
}

/* milvus.alloc_timestamp() returns bigint */
Datum
milvus_alloc_timestamp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(MilvusAllocTimestamp());
}
