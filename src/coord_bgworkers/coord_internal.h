/*
 * coord_internal.h
 *		Shared memory of the launcher and its workers, and what their files call
 *		of each other.
 */
#ifndef MILVUS_COORD_INTERNAL_H
#define MILVUS_COORD_INTERNAL_H

#include "coord_bgworkers/coord.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

#define COORD_MAX_WORKERS 64	/* the launcher's: the first of workers[] */
#define COORD_MAX_HELPERS 64	/* that sessions started: the others; more than that are not seen */
#define COORD_SLOTS (COORD_MAX_WORKERS + COORD_MAX_HELPERS)
#define COORD_MAX_JOBS 1024
#define COORD_FEW_JOBS 8		/* instead, for tests */
#define COORD_MAX_DATABASES 512
#define COORD_ERROR_LEN 256

#define COORD_NEVER PG_INT64_MAX	/* a time that does not come */

/* Back-off of a job that failed, of a database that could not be connected to: ms. */
#define COORD_BACKOFF_MIN 1000
#define COORD_BACKOFF_MAX (10 * 60 * 1000)

/* Whether a database has the extension, as far as somebody looked. */
typedef enum CoordPresence
{
	COORD_UNKNOWN,
	COORD_ABSENT,
	COORD_PRESENT
} CoordPresence;

typedef struct CoordDatabase
{
	Oid			database;		/* InvalidOid: free entry */
	CoordPresence extension;
	int			blocks;			/* commands under way that want nobody connected */
	bool		overflow;		/* a request was lost: look what is due */
	Oid			looked_at;		/* a look did not get beyond this relation for want of room */
	int			failures;		/* workers in a row that could not connect */
	TimestampTz not_before;		/* no worker before this because of them */
	TimestampTz used;
} CoordDatabase;

typedef enum CoordWorkerState
{
	COORD_WORKER_FREE,
	COORD_WORKER_STARTING,		/* asked the postmaster for */
	COORD_WORKER_WAITING,
	COORD_WORKER_RUNNING
} CoordWorkerState;

typedef struct CoordWorker
{
	CoordWorkerState state;
	int			database;		/* of databases[] */
	uint32		cookie;			/* of this use of the slot */
	bool		eager;			/* for milvus.seal_eagerly */
	bool		stop;			/* is to leave */
	bool		connected;
	bool		woken;			/* while waiting: its latch was set for a job */
	pid_t		pid;			/* 0: not running yet */
	pid_t		starter;		/* the launcher that hears of its end */
	Latch	   *latch;
	TimestampTz since;			/* of this state */
	uint64		wakeups;
	uint64		delays;			/* by the cost limit */
	int			job;			/* of jobs[], -1: none */
	/* a session's worker: what it does while it is RUNNING */
	bool		helper;
	Oid			relation;
	CoordJobKind kind;
	pg_atomic_uint64 done;		/* progress of the job */
	pg_atomic_uint64 total;
} CoordWorker;

typedef enum CoordJobState
{
	COORD_JOB_FREE,
	COORD_JOB_QUEUED,			/* to be run from `due` on */
	COORD_JOB_RUNNING,
	COORD_JOB_BACKOFF			/* failed; again from `due` on */
} CoordJobState;

typedef struct CoordJob
{
	CoordJobState state;
	int			database;		/* of databases[] */
	Oid			relation;
	CoordJobKind kind;
	bool		again;			/* asked for while running */
	uint32		serial;			/* another one when the job begins, or is another */
	uint32		attempts;		/* that failed, in a row */
	uint32		rounds;			/* in a row that left something for later */
	TimestampTz queued;
	TimestampTz due;
	TimestampTz started;
	uint64		rows;			/* growth noted since it was queued or run */
	uint64		bytes;
	uint64		run_rows;		/* that it was begun with */
	uint64		run_bytes;
	char		error[COORD_ERROR_LEN]; /* of the last failure */
} CoordJob;

typedef struct CoordShared
{
	LWLock	   *lock;			/* of all that follows */
	pid_t		launcher_pid;	/* 0: none */
	Latch	   *launcher_latch;
	TimestampTz launcher_since;
	TimestampTz launcher_next;	/* who has something due before has to wake it up; 0: it sees for itself */
	uint64		launcher_wakeups;
	uint32		cookie;
	uint32		serial;
	int			njobs;			/* jobs in use */
	CoordDatabase databases[COORD_MAX_DATABASES];
	CoordWorker workers[COORD_SLOTS];
	CoordJob	jobs[COORD_MAX_JOBS];
} CoordShared;

/* NULL: not preloaded. */
extern CoordShared *coord_shared;

/* What a worker was started with: bgw_extra. */
typedef struct CoordWorkerArgs
{
	uint32		cookie;
} CoordWorkerArgs;

/* A job of this database as its code gets it. */
typedef struct CoordTask
{
	Oid			relation;
	CoordJobKind kind;
	uint32		rounds;			/* in a row that left something for later */
	uint64		rows;			/* growth that it was queued for */
	uint64		bytes;
} CoordTask;

/* What a job says when it ended without an error. */
typedef struct CoordOutcome
{
	int64		made;			/* segments */
	int64		later;			/* ms after which it is to be run again, -1: it is done */
	bool		fresh;			/* ... as if for the first time */
	uint64		left;			/* of task->rows and task->bytes, for then */
	uint64		left_bytes;
} CoordOutcome;

/* ---- coordqueue.c; all of it under the lock ---- */

extern void CoordRequestSharedMemory(void);
extern const char *CoordKindName(CoordJobKind kind);
/* Entry of a database, made when there is none; -1: no room. */
extern int	CoordFindDatabase(Oid database, bool make);
/* Queue a job; its number, -1: no room (the database is looked over later). */
extern int	CoordQueue(int database, Oid relation, CoordJobKind kind, TimestampTz due,
					   uint64 rows, uint64 bytes, uint64 limit_rows, uint64 limit_bytes);
/* Wake up a worker that waits in a database; false: there is none. */
extern bool CoordWakeWorker(int database);
/* Number of the job that a worker for a database should do now, or -1. */
extern int	CoordNextJob(int database, TimestampTz now);
/* Whether a job may be begun now. */
extern bool CoordJobIsDue(const CoordJob *job, TimestampTz now);
extern void CoordFreeJob(CoordJob *job);
extern void CoordForgetDatabase(int database);
extern void CoordReleaseDatabase(int database);
/* Have the launcher look at everything anew. */
extern void CoordWakeLauncher(void);
extern int64 CoordBackoff(uint32 failures);

/* ---- coordlauncher.c ---- */

extern void CoordRegisterLauncher(void);
extern PGDLLEXPORT void CoordLauncherMain(Datum arg);

/* ---- coordworker.c ---- */

extern PGDLLEXPORT void CoordWorkerMain(Datum arg);
extern PGDLLEXPORT void CoordDynamicMain(Datum arg);
/* Have the postmaster start a worker that does one job after `delay` ms (without preload). */
extern bool CoordStartDynamic(Oid relation, CoordJobKind kind, int64 delay);

/* What became of the jobs that a session waited for; in dynamic shared memory. */
typedef struct CoordRunResult
{
	bool		dismissed;		/* somebody wanted the database */
	uint64		jobs;			/* that made something */
	uint64		failed;
	bool		finished;
	char		error[COORD_ERROR_LEN]; /* of the last that failed */
} CoordRunResult;

/* Start a dynamic worker for all that is due in this database, wait until it is through. */
extern void CoordRunDue(CoordRunResult *result);

/* ---- coordjob.c ---- */

/* Do a job; outside of a transaction, errors are the caller's. */
extern void CoordRunJob(const CoordTask *task, CoordOutcome *outcome);
/*
 * Jobs (CoordTask, in `context`) that are due by what the database's relations say; with `warm`
 * also cache files to verify.  Outside of a transaction.  False: the extension is not here.
 */
extern bool CoordFindDue(List **due, bool warm, MemoryContext context);
/* Say in pg_stat_activity what is being done. */
extern void CoordReportActivity(const CoordTask *task);
/* Tables of the access method milvus, in `context`; outside of a transaction. */
extern List *CoordListTables(MemoryContext context);

/* ---- coordhooks.c ---- */

extern void CoordInstallHooks(void);

#endif							/* MILVUS_COORD_INTERNAL_H */
