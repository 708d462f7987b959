/*
 * coordqueue.c
 *		The queue of background work in shared memory, and how sessions put
 *		requests into it.
 *
 * Everything is small arrays under one lock: requests are rare beside the work that
 * they ask for.  The queue holds no state that matters: after a crash or when it
 * overflows, a look at the relations (COORD_SCAN) finds what is due.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "coord_bgworkers/coord_internal.h"
#include "guc.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"

#define TRANCHE_NAME "milvus_coord"

CoordShared *coord_shared = NULL;

static shmem_request_hook_type prev_shmem_request_hook;
static shmem_startup_hook_type prev_shmem_startup_hook;

static void
request_shared_memory(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(CoordShared)));
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
}

static void
start_shared_memory(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	coord_shared = ShmemInitStruct("milvus workers", sizeof(CoordShared), &found);
	if (!found)
	{
		memset(coord_shared, 0, sizeof(CoordShared));
		coord_shared->lock = &GetNamedLWLockTranche(TRANCHE_NAME)->lock;
		for (int i = 0; i < COORD_SLOTS; i++)
		{
			coord_shared->workers[i].job = -1;
			pg_atomic_init_u64(&coord_shared->workers[i].done, 0);
			pg_atomic_init_u64(&coord_shared->workers[i].total, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
CoordRequestSharedMemory(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;
}

bool
CoordPreloaded(void)
{
	return coord_shared != NULL;
}

const char *
CoordKindName(CoordJobKind kind)
{
	static const char *const names[COORD_KINDS] = {
		[COORD_INDEX_SEAL] = "seal index",
		[COORD_SEAL] = "seal table",
		[COORD_COMPACT] = "compact table",
		[COORD_INDEX_MERGE] = "merge index",
		[COORD_WARM] = "warm cache",
		[COORD_SCAN] = "look for work",
	};

	return names[kind];
}

/* Milliseconds to wait after so many failures in a row. */
int64
CoordBackoff(uint32 failures)
{
	return Min(COORD_BACKOFF_MAX, (int64) COORD_BACKOFF_MIN << Min(failures > 0 ? failures - 1 : 0, 20));
}

void
CoordWakeLauncher(void)
{
	if (coord_shared->launcher_latch != NULL)
		SetLatch(coord_shared->launcher_latch);
}

/* Whether anything refers to an entry of databases[]. */
static bool
database_in_use(int database)
{
	const CoordDatabase *entry = &coord_shared->databases[database];

	if (entry->blocks > 0 || entry->overflow || OidIsValid(entry->looked_at))
		return true;
	for (int i = 0; i < COORD_SLOTS; i++)
		if (coord_shared->workers[i].state != COORD_WORKER_FREE &&
			coord_shared->workers[i].database == database)
			return true;
	for (int i = 0; i < COORD_MAX_JOBS; i++)
		if (coord_shared->jobs[i].state != COORD_JOB_FREE && coord_shared->jobs[i].database == database)
			return true;
	return false;
}

int
CoordFindDatabase(Oid database, bool make)
{
	int			place = -1;
	bool		place_is_taken;

	for (int i = 0; i < COORD_MAX_DATABASES; i++)
	{
		CoordDatabase *entry = &coord_shared->databases[i];

		if (entry->database == database)
			return i;
		if (!OidIsValid(entry->database) && place < 0)
			place = i;
	}
	if (!make)
		return -1;
	place_is_taken = place < 0;
	/* full: the one not used longest makes room, it is found again when it is used */
	for (int i = 0; i < COORD_MAX_DATABASES && place_is_taken; i++)
		if ((place < 0 || coord_shared->databases[i].used < coord_shared->databases[place].used) &&
			!database_in_use(i))
			place = i;
	if (place < 0)
		return -1;
	memset(&coord_shared->databases[place], 0, sizeof(CoordDatabase));
	coord_shared->databases[place].database = database;
	coord_shared->databases[place].used = GetCurrentTimestamp();
	return place;
}

void
CoordFreeJob(CoordJob *job)
{
	Assert(job->state != COORD_JOB_FREE);
	memset(job, 0, sizeof(CoordJob));
	job->serial = ++coord_shared->serial;
	coord_shared->njobs--;
	/* there is room again: see what a database has to do whose requests were lost */
	for (int i = 0; i < COORD_MAX_DATABASES; i++)
	{
		CoordDatabase *entry = &coord_shared->databases[i];

		if (OidIsValid(entry->database) && (entry->overflow || OidIsValid(entry->looked_at)) &&
			CoordQueue(i, InvalidOid, COORD_SCAN,
					   TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												   (int64) milvus_settings.worker_naptime * 1000),
					   0, 0, 0, 0) < 0)
			break;
	}
}

/* The jobs of a database that is gone or has no extension any more; none is running. */
void
CoordForgetDatabase(int database)
{
	coord_shared->databases[database].overflow = false;
	coord_shared->databases[database].looked_at = InvalidOid;
	for (int i = 0; i < COORD_MAX_JOBS; i++)
	{
		CoordJob   *job = &coord_shared->jobs[i];

		if (job->database == database && (job->state == COORD_JOB_QUEUED || job->state == COORD_JOB_BACKOFF))
			CoordFreeJob(job);
	}
}

/* The database is gone. */
void
CoordReleaseDatabase(int database)
{
	CoordForgetDatabase(database);
	coord_shared->databases[database].extension = COORD_UNKNOWN;
	if (!database_in_use(database))
		coord_shared->databases[database].database = InvalidOid;
}

/*
 * A job for a new request.  When the queue is full, the job that failed most often
 * goes, to be found again by a look at its database.
 */
static CoordJob *
allocate_job(int database)
{
	CoordJob   *victim = NULL;

	if (coord_shared->njobs < (MILVUS_DEBUG_FAILS("many-jobs") ? COORD_FEW_JOBS : COORD_MAX_JOBS))
		for (int i = 0; i < COORD_MAX_JOBS; i++)
			if (coord_shared->jobs[i].state == COORD_JOB_FREE)
			{
				coord_shared->njobs++;
				return &coord_shared->jobs[i];
			}
	for (int i = 0; i < COORD_MAX_JOBS; i++)
	{
		CoordJob   *job = &coord_shared->jobs[i];

		if (job->state == COORD_JOB_BACKOFF && (victim == NULL || job->attempts > victim->attempts))
			victim = job;
	}
	if (victim == NULL)
	{
		coord_shared->databases[database].overflow = true;
		return NULL;
	}
	coord_shared->databases[victim->database].overflow = true;
	return victim;
}

/*
 * Wake up a worker of a database that waits for a job.  Each is woken up for one: another job is for
 * another worker.
 */
bool
CoordWakeWorker(int database)
{
	for (int i = 0; i < COORD_MAX_WORKERS; i++)
	{
		CoordWorker *worker = &coord_shared->workers[i];

		if (worker->state == COORD_WORKER_WAITING && worker->database == database &&
			!worker->woken && !worker->eager && !worker->stop && worker->latch != NULL)
		{
			worker->woken = true;
			SetLatch(worker->latch);
			return true;
		}
	}
	return false;
}

static int
number_of(const CoordJob *job)
{
	return (int) (job - coord_shared->jobs);
}

/*
 * limit_rows, limit_bytes: the growth at which the job is due at once; 0: none.
 */
int
CoordQueue(int database, Oid relation, CoordJobKind kind, TimestampTz due,
		   uint64 rows, uint64 bytes, uint64 limit_rows, uint64 limit_bytes)
{
	TimestampTz now = GetCurrentTimestamp();
	CoordJob   *job = NULL;
	TimestampTz before;

	coord_shared->databases[database].used = now;
	for (int i = 0; i < COORD_MAX_JOBS && job == NULL; i++)
	{
		CoordJob   *other = &coord_shared->jobs[i];

		if (other->state != COORD_JOB_FREE && other->database == database &&
			other->relation == relation && other->kind == kind)
			job = other;
	}
	if (job == NULL)
	{
		job = allocate_job(database);
		if (job == NULL)
			return -1;
		memset(job, 0, sizeof(CoordJob));
		job->serial = ++coord_shared->serial;
		job->state = COORD_JOB_QUEUED;
		job->database = database;
		job->relation = relation;
		job->kind = kind;
		job->queued = now;
		job->due = COORD_NEVER;
	}
	before = job->due;
	job->rows += rows;
	job->bytes += bytes;
	if ((limit_rows > 0 && job->rows >= limit_rows) || (limit_bytes > 0 && job->bytes >= limit_bytes))
		due = now;
	switch (job->state)
	{
		case COORD_JOB_RUNNING:
			/* what is asked for now may not be in what it does */
			if (!job->again || due < job->due)
				job->due = due;
			job->again = true;
			return number_of(job);
		case COORD_JOB_BACKOFF:
			/* it keeps its time: asking does not make it succeed */
			return number_of(job);
		default:
			if (due < job->due)
				job->due = due;
			break;
	}
	/* one that is never due is only counted in */
	if (job->due < before && !(job->due <= now && CoordWakeWorker(database)) &&
		job->due < coord_shared->launcher_next)
		CoordWakeLauncher();
	return number_of(job);
}

bool
CoordJobIsDue(const CoordJob *job, TimestampTz now)
{
	if ((job->state != COORD_JOB_QUEUED && job->state != COORD_JOB_BACKOFF) || job->due > now)
		return false;
	/* one at a time for a relation */
	for (int i = 0; i < COORD_SLOTS; i++)
	{
		const CoordWorker *worker = &coord_shared->workers[i];

		if (worker->state != COORD_WORKER_RUNNING || worker->database != job->database)
			continue;
		if ((worker->helper ? worker->relation : coord_shared->jobs[worker->job].relation) == job->relation)
			return false;
	}
	return true;
}

int
CoordNextJob(int database, TimestampTz now)
{
	int			best = -1;

	for (int i = 0; i < COORD_MAX_JOBS; i++)
	{
		const CoordJob *job = &coord_shared->jobs[i];
		const CoordJob *other = best < 0 ? NULL : &coord_shared->jobs[best];

		if (job->database != database || !CoordJobIsDue(job, now))
			continue;
		if (other == NULL || job->kind < other->kind || (job->kind == other->kind && job->due < other->due))
			best = i;
	}
	return best;
}

/* ---- requests ---- */

bool
CoordRequestAfter(Oid relid, CoordJobKind kind, int64 delay)
{
	TimestampTz due;
	int			database;
	bool		queued = false;

	if (RecoveryInProgress() || !OidIsValid(MyDatabaseId))
		return false;
	if (!CoordPreloaded())
		return delay <= COORD_SHORT_DELAY && milvus_settings.background_seal &&
			CoordStartDynamic(relid, kind, delay);
	if (milvus_settings.max_workers == 0)
		return false;
	due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	database = CoordFindDatabase(MyDatabaseId, true);
	if (database >= 0)
	{
		/* who asks has the extension */
		coord_shared->databases[database].extension = COORD_PRESENT;
		queued = CoordQueue(database, relid, kind, due, 0, 0, 0, 0) >= 0;
	}
	/* the next launcher finds it, but not soon */
	if (coord_shared->launcher_pid == 0)
		queued = false;
	LWLockRelease(coord_shared->lock);
	return queued;
}

bool
CoordRequest(Oid relid, CoordJobKind kind)
{
	return CoordRequestAfter(relid, kind, 0);
}
