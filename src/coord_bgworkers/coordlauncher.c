/*
 * coordlauncher.c
 *		The launcher: starts workers for databases that have something to do.
 *
 * It sleeps on its latch, without a timeout when nothing is due later.  It is
 * connected to no database and so in nobody's way; a database's worker lives only
 * while there is work.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "compat.h"
#include "coord_bgworkers/coord_internal.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "segment/segment.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

/* Seconds until the postmaster starts a launcher that died anew. */
#define RESTART_SECONDS 5
/* When the postmaster has no slot for a worker: again after so many ms. */
#define NO_SLOT_DELAY 5000
/* pg_database.datconnlimit of one whose DROP DATABASE was interrupted. */
#define INVALID_DATABASE (-2)

/* Of the workers that this launcher started. */
static BackgroundWorkerHandle *handles[COORD_MAX_WORKERS];

void
CoordRegisterLauncher(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_SECONDS;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "milvus");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "CoordLauncherMain");
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "milvus launcher");
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "milvus launcher");
	RegisterBackgroundWorker(&worker);
}

static void
launcher_exit(int code, Datum arg)
{
	LWLockReleaseAll();
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	if (coord_shared->launcher_pid == MyProcPid)
	{
		coord_shared->launcher_pid = 0;
		coord_shared->launcher_latch = NULL;
	}
	LWLockRelease(coord_shared->lock);
}

/*
 * Have every database that can be connected to looked at once: which have the
 * extension, and what an earlier life of the server left to do.
 */
static void
look_at_databases(void)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	TimestampTz now = GetCurrentTimestamp();

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		int			database;

		if (!form->datallowconn || form->datconnlimit == INVALID_DATABASE)
			continue;
		LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
		database = CoordFindDatabase(form->oid, true);
		if (database >= 0 && coord_shared->databases[database].extension == COORD_UNKNOWN)
			(void) CoordQueue(database, InvalidOid, COORD_SCAN, now, 0, 0, 0, 0);
		LWLockRelease(coord_shared->lock);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
}

/* Whether a database is there and lets workers in. */
static bool
can_connect(Oid database)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	bool		can = false;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (form->oid != database)
			continue;
		can = form->datallowconn && form->datconnlimit != INVALID_DATABASE;
		break;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return can;
}

/*
 * Free slots of workers that ended before they took them.
 */
static void
reap(TimestampTz now)
{
	for (int i = 0; i < COORD_MAX_WORKERS; i++)
	{
		CoordWorker *worker = &coord_shared->workers[i];
		pid_t		pid;

		if (handles[i] == NULL || GetBackgroundWorkerPid(handles[i], &pid) != BGWH_STOPPED)
			continue;
		pfree(handles[i]);
		handles[i] = NULL;
		LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
		if (worker->state == COORD_WORKER_STARTING && worker->pid == 0)
		{
			CoordDatabase *entry = &coord_shared->databases[worker->database];

			worker->state = COORD_WORKER_FREE;
			entry->failures++;
			entry->not_before = TimestampTzPlusMilliseconds(now, CoordBackoff(entry->failures));
		}
		LWLockRelease(coord_shared->lock);
	}
}

/* Whether an earlier job for the same relation is due as well. */
static bool
is_second_job(int number, TimestampTz now)
{
	const CoordJob *job = &coord_shared->jobs[number];

	for (int i = 0; i < number; i++)
	{
		const CoordJob *other = &coord_shared->jobs[i];

		if (other->state != COORD_JOB_FREE && other->database == job->database &&
			other->relation == job->relation && CoordJobIsDue(other, now))
			return true;
	}
	return false;
}

/*
 * The database that should get a worker next, -1 when none should; lowers *next to
 * the time at which that may change by itself, 0: it does not.
 */
static int
choose_database(TimestampTz now, TimestampTz *next, bool *eager)
{
	static uint16 due[COORD_MAX_DATABASES];
	static uint16 workers[COORD_MAX_DATABASES];
	static uint16 free_workers[COORD_MAX_DATABASES];
	static bool has_eager[COORD_MAX_DATABASES];
	static TimestampTz first[COORD_MAX_DATABASES];
	int			nworkers = 0;
	int			best = -1;

	memset(due, 0, sizeof(due));
	memset(workers, 0, sizeof(workers));
	memset(free_workers, 0, sizeof(free_workers));
	memset(has_eager, 0, sizeof(has_eager));
	for (int i = 0; i < COORD_MAX_WORKERS; i++)
	{
		const CoordWorker *worker = &coord_shared->workers[i];

		if (worker->state == COORD_WORKER_FREE)
			continue;
		if (worker->eager)
		{
			has_eager[worker->database] = true;
			continue;
		}
		nworkers++;
		workers[worker->database]++;
		if (worker->job < 0)
			free_workers[worker->database]++;
	}
	*eager = true;
	for (int i = 0; i < COORD_MAX_DATABASES && milvus_settings.seal_eagerly; i++)
	{
		const CoordDatabase *entry = &coord_shared->databases[i];

		if (!OidIsValid(entry->database) || entry->blocks > 0 || has_eager[i] ||
			entry->extension != COORD_PRESENT)
			continue;
		if (entry->not_before <= now)
			return i;
		*next = Min(*next, entry->not_before);
	}
	*eager = false;
	/* whoever leaves makes himself heard */
	if (nworkers >= milvus_settings.max_workers)
	{
		if (*next == COORD_NEVER)
			*next = 0;
		return -1;
	}
	for (int i = 0; i < COORD_MAX_JOBS; i++)
	{
		const CoordJob *job = &coord_shared->jobs[i];
		const CoordDatabase *entry = &coord_shared->databases[job->database];

		if (job->state == COORD_JOB_FREE || entry->blocks > 0)
			continue;
		if (CoordJobIsDue(job, now))
		{
			/* one after the other for a relation; nobody needs more workers than there can be */
			if (due[job->database] > COORD_MAX_WORKERS || is_second_job(i, now))
				continue;
			if (due[job->database]++ == 0 || job->due < first[job->database])
				first[job->database] = job->due;
		}
		else if (job->state != COORD_JOB_RUNNING && job->due > now)
			*next = Min(*next, job->due);
	}
	/* jobs whose time has come while a worker waits for another */
	for (int i = 0; i < COORD_MAX_DATABASES; i++)
		for (int j = 0; j < due[i] && CoordWakeWorker(i); j++)
			;
	for (int i = 0; i < COORD_MAX_DATABASES; i++)
	{
		if (due[i] <= free_workers[i])
			continue;
		if (coord_shared->databases[i].not_before > now)
		{
			*next = Min(*next, coord_shared->databases[i].not_before);
			continue;
		}
		/* who has none comes before who has some, then who waits longest */
		if (best < 0 || workers[i] < workers[best] ||
			(workers[i] == workers[best] && first[i] < first[best]))
			best = i;
	}
	return best;
}

/*
 * Start a worker for a database; false: the postmaster has no room for one.
 */
static bool
start_worker(Oid oid, bool eager, TimestampTz now)
{
	BackgroundWorker worker;
	CoordWorkerArgs args;
	int			slot = -1;
	int			database;
	bool		started;

	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	/* since it was chosen, somebody may have wanted it to himself: whoever does so now sees the slot */
	database = CoordFindDatabase(oid, false);
	if (database < 0 || coord_shared->databases[database].blocks > 0)
	{
		LWLockRelease(coord_shared->lock);
		return true;
	}
	/* nobody but this process takes these slots, so a handle left from before means that it is ending */
	for (int i = 0; i < COORD_MAX_WORKERS && slot < 0; i++)
		if (coord_shared->workers[i].state == COORD_WORKER_FREE && handles[i] == NULL)
			slot = i;
	if (slot >= 0)
	{
		CoordWorker *new = &coord_shared->workers[slot];

		new->state = COORD_WORKER_STARTING;
		new->database = database;
		new->cookie = ++coord_shared->cookie;
		new->eager = eager;
		new->helper = false;
		new->stop = false;
		new->connected = false;
		new->woken = false;
		new->pid = 0;
		new->starter = MyProcPid;
		new->latch = NULL;
		new->since = now;
		new->wakeups = new->delays = 0;
		new->job = -1;
		args.cookie = new->cookie;
	}
	LWLockRelease(coord_shared->lock);
	if (slot < 0)
		return false;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "milvus");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "CoordWorkerMain");
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "milvus worker for database %u", oid);
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "milvus worker");
	worker.bgw_main_arg = Int32GetDatum(slot);
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &args, sizeof(args));
	MemoryContextSwitchTo(TopMemoryContext);	/* the handle stays */
	started = RegisterDynamicBackgroundWorker(&worker, &handles[slot]);
	if (!started)
	{
		handles[slot] = NULL;
		LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
		coord_shared->workers[slot].state = COORD_WORKER_FREE;
		LWLockRelease(coord_shared->lock);
	}
	return started;
}

/*
 * Start what is wanted.  Returns when to look again at the latest; launcher_next says the same to
 * those who put something into the queue.
 */
static TimestampTz
start_workers(void)
{
	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		TimestampTz next = COORD_NEVER;
		Oid			oid = InvalidOid;
		int			database;
		bool		eager;

		reap(now);
		LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
		database = choose_database(now, &next, &eager);
		if (database >= 0)
			oid = coord_shared->databases[database].database;
		/* while this process is about it, it looks again by itself */
		coord_shared->launcher_next = database >= 0 ? 0 : next;
		LWLockRelease(coord_shared->lock);
		if (database < 0)
			return next > 0 ? next : COORD_NEVER;
		if (!can_connect(oid))
		{
			LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
			/* the entry may be another's by now */
			database = CoordFindDatabase(oid, false);
			if (database >= 0)
				CoordReleaseDatabase(database);
			LWLockRelease(coord_shared->lock);
		}
		else
		{
			MILVUS_DEBUG_POINT("launcher-starts-worker");
			/* no room: nothing that is asked for now changes that */
			if (!start_worker(oid, eager, now))
				return TimestampTzPlusMilliseconds(now, NO_SLOT_DELAY);
		}
	}
}

void
CoordLauncherMain(Datum arg)
{
	int			cache_size;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGINT, SIG_IGN);	/* there is nothing to cancel */
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	before_shmem_exit(launcher_exit, (Datum) 0);
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	coord_shared->launcher_pid = MyProcPid;
	coord_shared->launcher_latch = MyLatch;
	coord_shared->launcher_since = GetCurrentTimestamp();
	/* workers that the launcher before this one asked for leave when they see that they are not wanted */
	for (int i = 0; i < COORD_MAX_WORKERS; i++)
		if (coord_shared->workers[i].state == COORD_WORKER_STARTING && coord_shared->workers[i].pid == 0)
			coord_shared->workers[i].state = COORD_WORKER_FREE;
	LWLockRelease(coord_shared->lock);
	MemoryContextSwitchTo(TopMemoryContext);

	look_at_databases();
	cache_size = milvus_settings.cache_size;
	for (;;)
	{
		TimestampTz next = start_workers();
		int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
		long		timeout = -1;

		if (next != COORD_NEVER)
		{
			events |= WL_TIMEOUT;
			timeout = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next) + 1;
		}
		pgstat_report_activity(STATE_IDLE, NULL);
		(void) WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		/* not 0: unless the server stops, the postmaster is to start another */
		if (ShutdownRequestPending)
			proc_exit(1);
		coord_shared->launcher_wakeups++;
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			if (milvus_settings.cache_size != cache_size)
				SegmentCacheTrim();
			cache_size = milvus_settings.cache_size;
		}
	}
}
