/*
 * coord.h
 *		Background work: who asks for it, who does it.  README.md explains the
 *		processes, the queue and how they stay out of the way.
 *
 * Work is asked for by relation and kind.  With the library in
 * shared_preload_libraries the request goes to a queue in shared memory that a
 * launcher and its workers serve; without, a dynamic worker is started for it.
 */
#ifndef MILVUS_COORD_H
#define MILVUS_COORD_H

#include "postmaster/bgworker.h"
#include "storage/lock.h"
#include "utils/rel.h"

/* In order of urgency: of what is due in a database, the first kind goes first. */
typedef enum CoordJobKind
{
	COORD_INDEX_SEAL,			/* seal the growing part of an ann index */
	COORD_SEAL,					/* seal rows of a milvus table as its policy says */
	COORD_COMPACT,				/* compact a milvus table as its policy says */
	COORD_INDEX_MERGE,			/* merge segments of an ann index that VACUUM leaves alone */
	COORD_WARM,					/* make or verify the cache files of a table or index */
	COORD_SCAN					/* look what is due in the database; no relation */
} CoordJobKind;

#define COORD_KINDS (COORD_SCAN + 1)

/* Called by _PG_init: settings are defined, the server may be preloading. */
extern void CoordInit(void);

/* Whether the library was preloaded, so that there are a queue and a launcher. */
extern bool CoordPreloaded(void);

/*
 * Ask for a job on a relation of this database (InvalidOid for COORD_SCAN), at
 * once.  A job asked for already is not asked for twice; one that is running is
 * run again after.  False: nobody will do it (workers are turned off, or none can
 * be had), the caller may want to do it himself.  Raises no error, touches no
 * catalog: may be called while a transaction commits.
 */
extern bool CoordRequest(Oid relid, CoordJobKind kind);
/*
 * The same, not before `delay` ms; an earlier time asked for already stays.  Without a queue nobody
 * waits for longer than COORD_SHORT_DELAY.
 */
#define COORD_SHORT_DELAY 1000
extern bool CoordRequestAfter(Oid relid, CoordJobKind kind, int64 delay);

/*
 * Rows were added to a milvus table (bytes: as they are in the heap).  Cheap; when
 * the transaction commits, sealing is asked for: at once when as many rows or bytes
 * came together as the table's policy wants, else by age.
 */
extern void TableNoteGrowth(Relation rel, uint64 rows, uint64 bytes);

/*
 * For the code of jobs; in other processes the first does nothing and the second
 * only checks for interrupts.
 *
 * CoordReportProgress: units of the job done and in all, for milvus.jobs.
 * CoordThrottle: once a page or so of a long loop, holding no buffer lock and no
 * LWLock: sleeps when the pages read and dirtied since the last sleep cost more than
 * milvus.worker_cost_limit.  What is read and written of cache files costs as pages do
 * (SegmentPace).
 */
extern void CoordReportProgress(uint64 done, uint64 total);
extern void CoordThrottle(void);

/*
 * For work under a lock that searches wait for, which the process holds in ExclusiveLock: CoordThrottle does
 * not sleep while somebody does.  NULL, before it is released: no such lock any more.
 */
extern void CoordThrottleUnder(const LOCKTAG *tag);

/*
 * For background workers that a session starts, and may wait for.
 *
 * CoordEnter, before the worker connects to the database: it is shown among the workers from now on, and is told
 * to leave as they are; false: it may not connect, some command wants the database to itself.  CoordEnterJob: what
 * it does now, for the views and pg_stat_activity; outside of a transaction.  CoordDismissed: whether it was told
 * to leave, and an error comes from that.
 *
 * The session: CoordLaunch registers the worker, whose end the session is told of; while the server has no room for one it
 * waits for ten seconds, then it is an error.  Interruptible.  CoordIsBlocked, whether there is such a command now; CoordReportDismissal, its error.
 */
extern bool CoordEnter(Oid database);
extern void CoordEnterJob(Oid relid, CoordJobKind kind);
extern bool CoordDismissed(void);
extern BackgroundWorkerHandle *CoordLaunch(BackgroundWorker *worker);
extern bool CoordIsBlocked(void);
extern void CoordReportDismissal(void) pg_attribute_noreturn();

#endif							/* MILVUS_COORD_H */
