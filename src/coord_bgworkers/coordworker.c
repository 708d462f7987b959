/*
 * coordworker.c
 *		Workers: those that the launcher starts for a database and that do its jobs
 *		until there are none, and dynamic ones for a single job without preload.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/resource.h>

#include "access/xact.h"
#include "am/ann/ann.h"
#include "catalog/pg_database.h"
#include "coord_bgworkers/coord_internal.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "segment/segment.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

/* A worker without work waits so long for more before it leaves: ms. */
#define LINGER 2000
/* Between two rounds of an eager worker: ms. */
#define EAGER_NAP 20
/* Priority of workers among the processes of the machine: searches come first. */
#define NICENESS 15
/* Without preload, between two looks whether somebody wants the database: ms. */
#define WANTED_INTERVAL 500
/* Whoever waits for a worker that the server has no room for: how long, and between two attempts: ms. */
#define LAUNCH_WAIT 10000
#define LAUNCH_INTERVAL 50
/* Longest sleep of the throttle, in multiples of milvus.worker_cost_delay. */
#define MAX_DELAY_FACTOR 4

/* This process's slot; NULL in other processes and in dynamic workers. */
static CoordWorker *my_worker = NULL;
/* Whether this process does a job. */
static bool in_job = false;
/* Whether a session started it, and whether it has seen that somebody wants the database. */
static bool is_helper = false;
static bool dismissed = false;

/* ---- for the code of jobs ---- */

void
CoordReportProgress(uint64 done, uint64 total)
{
	if (my_worker == NULL)
		return;
	pg_atomic_write_u64(&my_worker->total, total);
	pg_atomic_write_u64(&my_worker->done, done);
}

/*
 * Without preload nobody tells a worker that its database is wanted: the command holds a lock on it
 * that nobody can connect under.
 */
static bool
database_is_wanted(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	(void) LockRelease(&tag, RowExclusiveLock, false);
	return false;
}

static void
leave_when_wanted(void)
{
	static TimestampTz looked = 0;
	TimestampTz now;

	if (!is_helper || CoordPreloaded() || !IsTransactionState())
		return;
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(looked, now, WANTED_INTERVAL))
		return;
	looked = now;
	if (!database_is_wanted())
		return;
	dismissed = true;
	CoordReportDismissal();
}

static LOCKTAG wanted_lock;
static bool has_wanted_lock = false;

void
CoordThrottleUnder(const LOCKTAG *tag)
{
	has_wanted_lock = tag != NULL;
	if (tag != NULL)
		wanted_lock = *tag;
}

/*
 * The server counts the cost of pages for VACUUM; it counts ours in the same unit.
 */
void
CoordThrottle(void)
{
	CHECK_FOR_INTERRUPTS();
	leave_when_wanted();
	if (!in_job || milvus_settings.worker_cost_delay <= 0)
		return;
	VacuumCostActive = true;
	if (VacuumCostBalance >= milvus_settings.worker_cost_limit)
	{
		double		delay = milvus_settings.worker_cost_delay * VacuumCostBalance /
			milvus_settings.worker_cost_limit;

		VacuumCostBalance = 0;
		if (has_wanted_lock && LockHasWaiters(&wanted_lock, ExclusiveLock, false))
			return;
		delay = Min(delay, milvus_settings.worker_cost_delay * MAX_DELAY_FACTOR);
		if (my_worker != NULL)
			my_worker->delays++;
		/* a latch set for other reasons must not be lost, so it is not waited for */
		pgstat_report_wait_start(PG_WAIT_EXTENSION);
		pg_usleep((long) (delay * 1000));
		pgstat_report_wait_end();
		CHECK_FOR_INTERRUPTS();
	}
}

/* Files cost as much as the pages that they could be made of. */
static void
pace(Size read, Size written)
{
	VacuumCostBalance += (int) (read / BLCKSZ) * VacuumCostPageMiss + (int) (written / BLCKSZ) * VacuumCostPageDirty;
	CoordThrottle();
}

/* ---- running jobs ---- */

static void
begin_work(void)
{
	in_job = true;
	VacuumCostBalance = 0;
	VacuumCostActive = milvus_settings.worker_cost_delay > 0;
	SegmentPace = pace;
}

static void
end_work(void)
{
	in_job = false;
	VacuumCostActive = false;
	SegmentPace = NULL;
	CoordThrottleUnder(NULL);
}

static void
job_context(void *arg)
{
	const CoordTask *task = arg;

	if (OidIsValid(task->relation))
		errcontext("background job \"%s\" of relation %u", CoordKindName(task->kind), task->relation);
	else
		errcontext("background job \"%s\"", CoordKindName(task->kind));
}

/*
 * Run a job, report its error to the log and into error[COORD_ERROR_LEN].
 */
static bool
run_guarded(CoordTask *task, CoordOutcome *outcome, char *error, const volatile bool *unwanted)
{
	MemoryContext context;
	ErrorContextCallback callback = {error_context_stack, job_context, task};
	volatile bool good = false;

	memset(outcome, 0, sizeof(*outcome));
	outcome->later = -1;
	error[0] = '\0';
	/* who wants us to leave says so before the signal: one that came already is in *unwanted */
	QueryCancelPending = false;
	if (unwanted != NULL && *unwanted)
		return false;
	context = AllocSetContextCreate(TopMemoryContext, "milvus job", ALLOCSET_DEFAULT_SIZES);
	error_context_stack = &callback;
	MemoryContextSwitchTo(context);
	begin_work();
	PG_TRY();
	{
		MILVUS_DEBUG_POINT("job-begins");
		CoordReportActivity(task);
		CoordRunJob(task, outcome);
		good = true;
	}
	PG_CATCH();
	{
		ErrorData  *data;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		data = CopyErrorData();
		strlcpy(error, data->message ? data->message : "", COORD_ERROR_LEN);
		/* one that somebody stopped is no failure */
		if (unwanted == NULL || !*unwanted)
			EmitErrorReport();
		FlushErrorState();
		/* also when no transaction was open, which would release it */
		LWLockReleaseAll();
		AbortOutOfAnyTransaction();
		/* those that a job held between two transactions */
		LockReleaseAll(DEFAULT_LOCKMETHOD, true);
		QueryCancelPending = false;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	end_work();
	AnnYieldFor(InvalidOid, InvalidOid);
	pgstat_report_stat(true);
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
	return good;
}

/* ---- workers of the launcher ---- */

/* The slot is free again, whichever way the process ends; a job not ended is queued again. */
static void
release_slot(int code, Datum arg)
{
	CoordWorker *worker = my_worker;

	if (worker == NULL)
		return;
	my_worker = NULL;
	LWLockReleaseAll();
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	if (worker->job >= 0)
	{
		CoordJob   *job = &coord_shared->jobs[worker->job];

		job->again = false;
		job->state = COORD_JOB_QUEUED;
		job->rows += job->run_rows;
		job->bytes += job->run_bytes;
		job->due = GetCurrentTimestamp();
		if (!worker->stop)
		{
			job->state = COORD_JOB_BACKOFF;
			job->attempts++;
			job->due = TimestampTzPlusMilliseconds(job->due, CoordBackoff(job->attempts));
			strlcpy(job->error, "the worker was terminated", COORD_ERROR_LEN);
		}
	}
	if (!worker->connected && !worker->stop && !worker->helper)
	{
		CoordDatabase *entry = &coord_shared->databases[worker->database];

		entry->failures++;
		entry->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														CoordBackoff(entry->failures));
	}
	worker->job = -1;
	worker->state = COORD_WORKER_FREE;
	worker->pid = 0;
	worker->latch = NULL;
	/* the postmaster tells the one that started it; a helper's relation may have had to wait for it */
	if (worker->starter != coord_shared->launcher_pid || worker->helper)
		CoordWakeLauncher();
	LWLockRelease(coord_shared->lock);
}

static void
set_state(CoordWorkerState state)
{
	if (my_worker->state != state)
		my_worker->since = GetCurrentTimestamp();
	my_worker->state = state;
}

/* Take the next job; false: none is due. */
static bool
take_job(int *number, CoordTask *task)
{
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	my_worker->woken = false;
	*number = my_worker->stop ? -1 : CoordNextJob(my_worker->database, now);
	if (*number >= 0)
	{
		CoordJob   *job = &coord_shared->jobs[*number];

		job->state = COORD_JOB_RUNNING;
		job->serial = ++coord_shared->serial;
		job->again = false;
		job->started = now;
		job->run_rows = job->rows;
		job->run_bytes = job->bytes;
		job->rows = job->bytes = 0;
		*task = (CoordTask) {job->relation, job->kind, job->rounds, job->run_rows, job->run_bytes};
		my_worker->job = *number;
		pg_atomic_write_u64(&my_worker->done, 0);
		pg_atomic_write_u64(&my_worker->total, 0);
		set_state(COORD_WORKER_RUNNING);
	}
	else
		set_state(COORD_WORKER_WAITING);
	LWLockRelease(coord_shared->lock);
	return *number >= 0;
}

static void
finish_job(int number, bool good, const CoordOutcome *outcome, const char *error)
{
	CoordJob   *job = &coord_shared->jobs[number];
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	my_worker->job = -1;
	job->rows += good ? outcome->left : job->run_rows;
	job->bytes += good ? outcome->left_bytes : job->run_bytes;
	if (my_worker->stop && !good)
	{
		/* stopped for somebody's sake, not failed */
		job->state = COORD_JOB_QUEUED;
		job->due = now;
	}
	else if (!good)
	{
		job->state = COORD_JOB_BACKOFF;
		job->attempts++;
		job->due = TimestampTzPlusMilliseconds(now, CoordBackoff(job->attempts));
		strlcpy(job->error, error, COORD_ERROR_LEN);
	}
	else if (job->again || outcome->later >= 0)
	{
		TimestampTz later = outcome->later >= 0 ?
			TimestampTzPlusMilliseconds(now, outcome->later) : COORD_NEVER;

		/* job->due is that of the new request */
		job->due = job->again ? Min(job->due, later) : later;
		job->rounds = outcome->later >= 0 && !outcome->fresh ? job->rounds + 1 : 0;
		job->state = COORD_JOB_QUEUED;
		job->queued = now;
		job->attempts = 0;
		job->error[0] = '\0';
	}
	else
		CoordFreeJob(job);
	if (job->state != COORD_JOB_FREE)
		job->again = false;
	set_state(COORD_WORKER_WAITING);
	LWLockRelease(coord_shared->lock);
}

/*
 * Whether the worker is to leave although there may be jobs here: another database has work and no
 * worker while all places are taken, or there are more workers than there should be.
 */
static bool
place_is_wanted(void)
{
	TimestampTz now = GetCurrentTimestamp();
	int			nworkers = 0;
	bool		wanted;

	LWLockAcquire(coord_shared->lock, LW_SHARED);
	for (int i = 0; i < COORD_MAX_WORKERS; i++)
		if (coord_shared->workers[i].state != COORD_WORKER_FREE && !coord_shared->workers[i].eager)
			nworkers++;
	wanted = nworkers > milvus_settings.max_workers;
	for (int i = 0; i < COORD_MAX_JOBS && nworkers == milvus_settings.max_workers && !wanted; i++)
	{
		const CoordJob *job = &coord_shared->jobs[i];
		bool		served = job->database == my_worker->database;

		if (!CoordJobIsDue(job, now) || coord_shared->databases[job->database].blocks > 0 ||
			coord_shared->databases[job->database].not_before > now)
			continue;
		for (int j = 0; j < COORD_MAX_WORKERS && !served; j++)
			served = coord_shared->workers[j].state != COORD_WORKER_FREE &&
				!coord_shared->workers[j].eager && coord_shared->workers[j].database == job->database;
		wanted = !served;
	}
	LWLockRelease(coord_shared->lock);
	return wanted;
}

static void
reload_settings(void)
{
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* Sleep on the latch; false: time is up. */
static bool
nap(long timeout)
{
	int			event = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout,
								  PG_WAIT_EXTENSION);

	ResetLatch(MyLatch);
	/* a cancelled job of before is none of now's business */
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
	my_worker->wakeups++;
	reload_settings();
	return (event & WL_LATCH_SET) != 0;
}

/*
 * The main loop: jobs as long as there are some.  One who has made something waits for more for
 * a while; one who has only looked leaves, as it would be woken up by nothing but the time.
 */
static void
work(void)
{
	bool		useful = false;
	bool		waited = false;

	while (!my_worker->stop)
	{
		CoordTask	task;
		CoordOutcome outcome;
		char		error[COORD_ERROR_LEN];
		int			number;

		ResetLatch(MyLatch);
		if (take_job(&number, &task))
		{
			bool		good = run_guarded(&task, &outcome, error, &my_worker->stop);

			finish_job(number, good, &outcome, error);
			useful |= good && outcome.made > 0;
			waited = false;
			reload_settings();
			if (place_is_wanted())
				break;
			continue;
		}
		if (waited || !useful)
			break;
		pgstat_report_activity(STATE_IDLE, NULL);
		/* what became due in the meantime is done before it leaves */
		waited = !nap(LINGER);
	}
}

/*
 * For tests: everything that may be sealed, all the time.  Errors are what tests are
 * made for: reported and forgotten.
 */
static void
work_eagerly(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "milvus tables", ALLOCSET_DEFAULT_SIZES);

	pgstat_report_activity(STATE_RUNNING, "milvus: seal eagerly");
	for (uint64 round = 0; !my_worker->stop && milvus_settings.seal_eagerly; round++)
	{
		List	   *tables;
		ListCell   *lc;

		MemoryContextReset(context);
		tables = CoordListTables(context);
		foreach(lc, tables)
		{
			CoordTask	task = {.relation = lfirst_oid(lc),.kind = round % 2 == 0 ? COORD_SEAL : COORD_COMPACT};
			CoordOutcome outcome;
			char		error[COORD_ERROR_LEN];

			(void) run_guarded(&task, &outcome, error, &my_worker->stop);
			if (my_worker->stop)
				break;
		}
		(void) nap(EAGER_NAP);
	}
}

void
CoordWorkerMain(Datum arg)
{
	CoordWorker *worker = &coord_shared->workers[DatumGetInt32(arg)];
	CoordWorkerArgs args;
	Oid			database = InvalidOid;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	(void) setpriority(PRIO_PROCESS, 0, NICENESS);

	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	if (worker->state == COORD_WORKER_STARTING && worker->cookie == args.cookie && !worker->stop)
	{
		my_worker = worker;
		worker->pid = MyProcPid;
		worker->latch = MyLatch;
		database = coord_shared->databases[worker->database].database;
	}
	else if (worker->state == COORD_WORKER_STARTING && worker->cookie == args.cookie)
		worker->state = COORD_WORKER_FREE;
	LWLockRelease(coord_shared->lock);
	if (my_worker == NULL)
		proc_exit(0);
	before_shmem_exit(release_slot, (Datum) 0);

	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	SetConfigOption("application_name", "milvus worker", PGC_USERSET, PGC_S_SESSION);
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	worker->connected = true;
	coord_shared->databases[worker->database].failures = 0;
	set_state(COORD_WORKER_WAITING);
	LWLockRelease(coord_shared->lock);
	MemoryContextSwitchTo(TopMemoryContext);
	if (worker->eager)
		work_eagerly();
	else
		work();
	proc_exit(0);
}

/* ---- workers of sessions ---- */

bool
CoordEnter(Oid database)
{
	bool		blocked = false;
	int			number;

	is_helper = true;
	if (!CoordPreloaded())
		return true;
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	number = CoordFindDatabase(database, true);
	if (number >= 0)
		blocked = coord_shared->databases[number].blocks > 0;
	for (int i = COORD_MAX_WORKERS; i < COORD_SLOTS && number >= 0 && !blocked && my_worker == NULL; i++)
	{
		CoordWorker *worker = &coord_shared->workers[i];

		if (worker->state != COORD_WORKER_FREE)
			continue;
		worker->state = COORD_WORKER_STARTING;
		worker->database = number;
		worker->helper = true;
		worker->stop = worker->connected = false;
		worker->pid = MyProcPid;
		worker->starter = 0;
		worker->latch = MyLatch;
		worker->since = GetCurrentTimestamp();
		worker->wakeups = worker->delays = 0;
		worker->job = -1;
		my_worker = worker;
	}
	LWLockRelease(coord_shared->lock);
	if (my_worker != NULL)
		before_shmem_exit(release_slot, (Datum) 0);
	dismissed = blocked;
	return !blocked;
}

static void
show_job(const CoordTask *task)
{
	if (my_worker == NULL)
		return;
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	coord_shared->databases[my_worker->database].extension = COORD_PRESENT;
	my_worker->relation = task->relation;
	my_worker->kind = task->kind;
	my_worker->state = COORD_WORKER_RUNNING;
	my_worker->since = GetCurrentTimestamp();
	pg_atomic_write_u64(&my_worker->done, 0);
	pg_atomic_write_u64(&my_worker->total, 0);
	LWLockRelease(coord_shared->lock);
}

void
CoordEnterJob(Oid relid, CoordJobKind kind)
{
	CoordTask	task = {.relation = relid,.kind = kind};

	show_job(&task);
	CoordReportActivity(&task);
}

bool
CoordDismissed(void)
{
	return dismissed || (my_worker != NULL && my_worker->stop);
}

bool
CoordIsBlocked(void)
{
	bool		blocked = false;
	int			number;

	if (!CoordPreloaded())
		return false;
	LWLockAcquire(coord_shared->lock, LW_SHARED);
	number = CoordFindDatabase(MyDatabaseId, false);
	if (number >= 0)
		blocked = coord_shared->databases[number].blocks > 0;
	LWLockRelease(coord_shared->lock);
	return blocked;
}

void
CoordReportDismissal(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("background work was stopped because a command wants the database to itself"),
			 errhint("Try again when DROP DATABASE, CREATE DATABASE, ALTER DATABASE or DROP EXTENSION has ended.")));
}

typedef struct DynamicArgs
{
	Oid			database;
	Oid			relation;
	CoordJobKind kind;
	int			delay;			/* ms */
	dsm_handle	result;			/* of a CoordRunResult; 0: nobody waits for it */
} DynamicArgs;

StaticAssertDecl(sizeof(DynamicArgs) <= BGW_EXTRALEN, "worker arguments must fit");

static void
describe_dynamic(BackgroundWorker *worker, Oid relation, CoordJobKind kind, int64 delay, dsm_handle result)
{
	DynamicArgs args = {MyDatabaseId, relation, kind, (int) delay, result};

	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker->bgw_library_name, sizeof(worker->bgw_library_name), "milvus");
	snprintf(worker->bgw_function_name, sizeof(worker->bgw_function_name), "CoordDynamicMain");
	snprintf(worker->bgw_name, sizeof(worker->bgw_name), "milvus worker: %s", CoordKindName(kind));
	snprintf(worker->bgw_type, sizeof(worker->bgw_type), "milvus worker");
	memcpy(worker->bgw_extra, &args, sizeof(args));
}

bool
CoordStartDynamic(Oid relation, CoordJobKind kind, int64 delay)
{
	BackgroundWorker worker;

	describe_dynamic(&worker, relation, kind, delay, 0);
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

BackgroundWorkerHandle *
CoordLaunch(BackgroundWorker *worker)
{
	BackgroundWorkerHandle *handle;
	TimestampTz start = GetCurrentTimestamp();

	worker->bgw_notify_pid = MyProcPid;
	while (!RegisterDynamicBackgroundWorker(worker, &handle))
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), LAUNCH_WAIT))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("could not start a background worker"),
					 errhint("You might need to increase \"max_worker_processes\".")));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LAUNCH_INTERVAL,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return handle;
}

static void
count_result(CoordRunResult *result, bool good, const CoordOutcome *outcome, const char *error)
{
	if (result == NULL)
		return;
	if (good)
		result->jobs += outcome->made > 0;
	else
	{
		result->failed++;
		strlcpy(result->error, error, COORD_ERROR_LEN);
	}
}

static void
dismiss(CoordRunResult *result)
{
	if (result != NULL)
		result->dismissed = true;
	proc_exit(0);
}

/* Between two jobs. */
static bool
wanted_meanwhile(void)
{
	bool		wanted = CoordDismissed();

	if (!wanted && !CoordPreloaded())
	{
		StartTransactionCommand();
		wanted = database_is_wanted();
		CommitTransactionCommand();
	}
	return wanted;
}

void
CoordDynamicMain(Datum arg)
{
	DynamicArgs args;
	CoordTask	task;
	CoordOutcome outcome;
	CoordRunResult *result = NULL;
	char		error[COORD_ERROR_LEN];
	List	   *due = NIL;
	ListCell   *lc;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	task = (CoordTask) {.relation = args.relation,.kind = args.kind};
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	(void) setpriority(PRIO_PROCESS, 0, NICENESS);
	for (TimestampTz start = GetCurrentTimestamp();
		 !TimestampDifferenceExceeds(start, GetCurrentTimestamp(), args.delay);)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, args.delay,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	if (args.result != 0)
	{
		dsm_segment *segment;

		CurrentResourceOwner = ResourceOwnerCreate(NULL, "milvus worker");
		segment = dsm_attach(args.result);
		/* who asked is gone: nobody wants it any more */
		if (segment == NULL)
			proc_exit(0);
		dsm_pin_mapping(segment);
		result = dsm_segment_address(segment);
	}
	if (!CoordEnter(args.database))
		dismiss(result);
	BackgroundWorkerInitializeConnectionByOid(args.database, InvalidOid, 0);
	SetConfigOption("application_name", "milvus worker", PGC_USERSET, PGC_S_SESSION);
	MemoryContextSwitchTo(TopMemoryContext);
	if (args.kind != COORD_SCAN)
		due = list_make1(&task);
	else
	{
		show_job(&task);
		(void) CoordFindDue(&due, false, TopMemoryContext);
	}
	foreach(lc, due)
	{
		CoordTask  *job = lfirst(lc);
		bool		good;

		if (wanted_meanwhile())
			dismiss(result);
		show_job(job);
		good = run_guarded(job, &outcome, error, my_worker != NULL ? &my_worker->stop : &dismissed);
		if (CoordDismissed())
			dismiss(result);
		count_result(result, good, &outcome, error);
	}
	if (result != NULL)
		result->finished = true;
	pgstat_report_activity(STATE_IDLE, NULL);
	proc_exit(0);
}

static void
terminate_worker(int code, Datum arg)
{
	TerminateBackgroundWorker((BackgroundWorkerHandle *) DatumGetPointer(arg));
}

void
CoordRunDue(CoordRunResult *result)
{
	dsm_segment *segment = dsm_create(sizeof(CoordRunResult), 0);
	CoordRunResult *shared = dsm_segment_address(segment);
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	memset(shared, 0, sizeof(*shared));
	describe_dynamic(&worker, InvalidOid, COORD_SCAN, 0, dsm_segment_handle(segment));
	handle = CoordLaunch(&worker);
	/* also when the session ends meanwhile */
	PG_ENSURE_ERROR_CLEANUP(terminate_worker, PointerGetDatum(handle));
	{
		if (WaitForBackgroundWorkerShutdown(handle) == BGWH_POSTMASTER_DIED)
			ereport(FATAL,
					(errcode(ERRCODE_ADMIN_SHUTDOWN),
					 errmsg("the postmaster has died")));
	}
	PG_END_ENSURE_ERROR_CLEANUP(terminate_worker, PointerGetDatum(handle));
	memcpy(result, shared, sizeof(*result));
	dsm_detach(segment);
	if (result->dismissed || (!result->finished && CoordIsBlocked()))
		CoordReportDismissal();
	if (!result->finished)
		ereport(ERROR,
				(errcode(ERRCODE_OPERATOR_INTERVENTION),
				 errmsg("the background worker ended before its work was done"),
				 errhint("The server's log says why.")));
}
