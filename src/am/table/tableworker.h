/*
 * tableworker.h
 *		Sealing and compaction for a session that waits for it.
 */
#ifndef MILVUS_TABLEWORKER_H
#define MILVUS_TABLEWORKER_H

#include "am/table/table.h"
#include "nodes/pg_list.h"

typedef enum TableTaskKind
{
	TABLE_TASK_FLUSH,			/* TableSeal, all */
	TABLE_TASK_COMPACT			/* TableCompact */
} TableTaskKind;

/*
 * Run a task in a background worker and wait for it: the numbers of the segments made, as a
 * list of integers.  ERROR when it fails.  The caller's transaction must not hold a lock on
 * the table that conflicts with ShareUpdateExclusiveLock.
 */
extern List *TableRunTask(Oid relid, TableTaskKind kind, TableCompactKind compact);

extern PGDLLEXPORT void TableWorkerMain(Datum arg);

#endif							/* MILVUS_TABLEWORKER_H */
