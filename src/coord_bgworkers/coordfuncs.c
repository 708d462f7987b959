/*
 * coordfuncs.c
 *		Start of the module, and SQL functions: who works, at what.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "compat.h"
#include "coord_bgworkers/coord_internal.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(milvus_list_workers);
PG_FUNCTION_INFO_V1(milvus_list_jobs);
PG_FUNCTION_INFO_V1(milvus_run_jobs);

#define WORKER_COLUMNS 9
#define JOB_COLUMNS 13

void
CoordInit(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	CoordRequestSharedMemory();
	CoordRegisterLauncher();
	CoordInstallHooks();
}

/* Whether the caller may see a row about a database. */
static bool
may_see(bool monitor, Oid database)
{
	return monitor || database == MyDatabaseId || !OidIsValid(database);
}

static bool
is_monitor(void)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
}

/* Whether the caller owns a relation, which may be gone. */
static bool
owns(Oid relation)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)) && MilvusOwnsRelation(relation);
}

static Datum
job_text(CoordJobKind kind, Oid relation)
{
	char		text[64];

	snprintf(text, sizeof(text), OidIsValid(relation) ? "%s %u" : "%s", CoordKindName(kind), relation);
	return CStringGetTextDatum(text);
}

/* milvus.list_workers(): the launcher, the workers, and the databases whose worker sleeps. */
Datum
milvus_list_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		monitor = is_monitor();
	CoordShared *copy;

	InitMaterializedSRF(fcinfo, 0);
	if (!CoordPreloaded())
		return (Datum) 0;
	copy = palloc(sizeof(CoordShared));
	LWLockAcquire(coord_shared->lock, LW_SHARED);
	memcpy(copy, coord_shared, sizeof(CoordShared));
	LWLockRelease(coord_shared->lock);

	if (copy->launcher_pid != 0)
	{
		Datum		values[WORKER_COLUMNS] = {0};
		bool		nulls[WORKER_COLUMNS] = {0};

		values[0] = Int32GetDatum(copy->launcher_pid);
		nulls[1] = true;
		values[2] = CStringGetTextDatum("launcher");
		values[3] = CStringGetTextDatum("sleeping");
		values[4] = TimestampTzGetDatum(copy->launcher_since);
		nulls[5] = nulls[6] = nulls[8] = true;
		values[7] = Int64GetDatum((int64) copy->launcher_wakeups);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	for (int i = 0; i < COORD_SLOTS; i++)
	{
		const CoordWorker *worker = &copy->workers[i];
		Datum		values[WORKER_COLUMNS] = {0};
		bool		nulls[WORKER_COLUMNS] = {0};
		Oid			database;

		if (worker->state == COORD_WORKER_FREE)
			continue;
		database = copy->databases[worker->database].database;
		if (!may_see(monitor, database))
			continue;
		values[0] = Int32GetDatum(worker->pid);
		nulls[0] = worker->pid == 0;
		values[1] = ObjectIdGetDatum(database);
		values[2] = CStringGetTextDatum(worker->eager ? "eager worker" :
										worker->helper ? "session worker" : "worker");
		values[3] = CStringGetTextDatum(worker->state == COORD_WORKER_STARTING ? "starting" :
										worker->state == COORD_WORKER_RUNNING ? "running" : "waiting");
		values[4] = TimestampTzGetDatum(worker->since);
		nulls[5] = nulls[6] = true;
		if (worker->state == COORD_WORKER_RUNNING)
		{
			const CoordJob *job = worker->helper ? NULL : &copy->jobs[worker->job];
			Oid			relation = worker->helper ? worker->relation : job->relation;

			values[5] = job_text(worker->helper ? worker->kind : job->kind, relation);
			nulls[5] = false;
			values[6] = ObjectIdGetDatum(relation);
			nulls[6] = !OidIsValid(relation);
		}
		values[7] = Int64GetDatum((int64) worker->wakeups);
		values[8] = Int64GetDatum((int64) worker->delays);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	for (int i = 0; i < COORD_MAX_DATABASES; i++)
	{
		const CoordDatabase *entry = &copy->databases[i];
		Datum		values[WORKER_COLUMNS] = {0};
		bool		nulls[WORKER_COLUMNS] = {0};
		bool		awake = false;

		if (!OidIsValid(entry->database) || entry->extension != COORD_PRESENT ||
			!may_see(monitor, entry->database))
			continue;
		for (int j = 0; j < COORD_SLOTS; j++)
			awake |= copy->workers[j].state != COORD_WORKER_FREE && copy->workers[j].database == i;
		if (awake)
			continue;
		nulls[0] = true;
		values[1] = ObjectIdGetDatum(entry->database);
		values[2] = CStringGetTextDatum("worker");
		values[3] = CStringGetTextDatum(entry->blocks > 0 ? "blocked" : "sleeping");
		nulls[4] = nulls[5] = nulls[6] = nulls[7] = nulls[8] = true;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static void
put_time(Datum *value, bool *null, TimestampTz time)
{
	*value = TimestampTzGetDatum(time);
	*null = time == 0;
}

static void
put_progress(Datum *values, bool *nulls, const CoordWorker *worker)
{
	uint64		total = worker->total.value;

	values[4] = Int32GetDatum(worker->pid);
	values[5] = Int64GetDatum((int64) worker->done.value);
	values[6] = Int64GetDatum((int64) total);
	nulls[4] = false;
	/* nothing is known until the job says how much there is */
	nulls[5] = nulls[6] = total == 0;
}

/* milvus.list_jobs(): the queue, and what sessions' workers do. */
Datum
milvus_list_jobs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	bool		monitor = is_monitor();
	TimestampTz now = GetCurrentTimestamp();
	CoordShared *copy;

	InitMaterializedSRF(fcinfo, 0);
	if (!CoordPreloaded())
		return (Datum) 0;
	copy = palloc(sizeof(CoordShared));
	LWLockAcquire(coord_shared->lock, LW_SHARED);
	memcpy(copy, coord_shared, sizeof(CoordShared));
	LWLockRelease(coord_shared->lock);
	for (int i = 0; i < COORD_MAX_JOBS; i++)
	{
		const CoordJob *job = &copy->jobs[i];
		Datum		values[JOB_COLUMNS] = {0};
		bool		nulls[JOB_COLUMNS] = {0};
		const CoordWorker *worker = NULL;
		Oid			database;

		if (job->state == COORD_JOB_FREE)
			continue;
		database = copy->databases[job->database].database;
		if (!may_see(monitor, database))
			continue;
		for (int j = 0; j < COORD_MAX_WORKERS; j++)
			if (copy->workers[j].state != COORD_WORKER_FREE && copy->workers[j].job == i)
				worker = &copy->workers[j];
		values[0] = ObjectIdGetDatum(database);
		values[1] = ObjectIdGetDatum(job->relation);
		nulls[1] = !OidIsValid(job->relation);
		values[2] = CStringGetTextDatum(CoordKindName(job->kind));
		values[3] = CStringGetTextDatum(job->state == COORD_JOB_RUNNING ? "running" :
										job->state == COORD_JOB_BACKOFF ? "backing off" :
										job->due > now ? "scheduled" : "queued");
		nulls[4] = nulls[5] = nulls[6] = true;
		if (worker != NULL)
			put_progress(values, nulls, worker);
		put_time(&values[7], &nulls[7], job->queued);
		put_time(&values[8], &nulls[8], job->state == COORD_JOB_RUNNING ? 0 : job->due);
		put_time(&values[9], &nulls[9], job->started);
		values[10] = Int32GetDatum((int32) job->attempts);
		values[11] = CStringGetTextDatum(job->error);
		nulls[11] = job->error[0] == '\0' ||
			!(monitor || owns(job->relation));
		values[12] = Int64GetDatum((int64) job->rows);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	for (int i = COORD_MAX_WORKERS; i < COORD_SLOTS; i++)
	{
		const CoordWorker *worker = &copy->workers[i];
		Datum		values[JOB_COLUMNS] = {0};
		bool		nulls[JOB_COLUMNS] = {0};
		Oid			database;

		if (worker->state != COORD_WORKER_RUNNING)
			continue;
		database = copy->databases[worker->database].database;
		if (!may_see(monitor, database))
			continue;
		values[0] = ObjectIdGetDatum(database);
		values[1] = ObjectIdGetDatum(worker->relation);
		nulls[1] = !OidIsValid(worker->relation);
		values[2] = CStringGetTextDatum(CoordKindName(worker->kind));
		values[3] = CStringGetTextDatum("running");
		put_progress(values, nulls, worker);
		put_time(&values[7], &nulls[7], worker->since);
		nulls[8] = true;
		put_time(&values[9], &nulls[9], worker->since);
		values[10] = Int32GetDatum(0);
		nulls[11] = true;
		values[12] = Int64GetDatum(0);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * milvus.run_jobs() returns integer: do what is due in this database now, in a worker
 * that is waited for; the number of jobs done.
 */
Datum
milvus_run_jobs(PG_FUNCTION_ARGS)
{
	CoordRunResult result;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("Segments are sealed and merged on the primary; its standbys follow.")));
	CoordRunDue(&result);
	if (result.failed > 0)
		ereport(WARNING,
				(errmsg_plural("%llu background job failed", "%llu background jobs failed",
							   (unsigned long) result.failed, (unsigned long long) result.failed),
				 errdetail("The last error was: %s", result.error),
				 errhint("The server's log has all of them.")));
	PG_RETURN_INT32((int32) result.jobs);
}
