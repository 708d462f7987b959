/*
 * tableworker.c
 *		Sealing and compaction for a session that waits for it.
 *
 * Both commit transactions of their own, which a function cannot; so a dynamic background
 * worker does the work, and the function passes on what it says: numbers of segments, or
 * its error.
 */
#include "postgres.h"

#include "access/xact.h"
#include "am/table/tableseal.h"
#include "am/table/tableworker.h"
#include "compat.h"
#include "coord_bgworkers/coord.h"
#include "guc.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* Segments whose numbers a worker can tell: as many as the largest table has, and more. */
#define TASK_MAX_NUMBERS 65536
#define TASK_TEXT 1024
/* Between looks whether the worker waits for somebody who waits for us, in ms. */
#define TASK_LOOK_INTERVAL 500

typedef struct TableTask
{
	Oid			database;
	Oid			relid;
	TableTaskKind kind;
	TableCompactKind compact;
	char		debug_point[TASK_TEXT];
	volatile bool waiting;		/* the worker cannot have the table's lock */
	/* what the worker leaves, read when it has ended */
	bool		done;
	bool		dismissed;		/* somebody wants the database */
	int			sqlstate;		/* 0: no error */
	char		message[TASK_TEXT];
	char		detail[TASK_TEXT];
	char		hint[TASK_TEXT];
	int			nnumbers;
	int32		numbers[TASK_MAX_NUMBERS];
} TableTask;

StaticAssertDecl(sizeof(dsm_handle) <= BGW_EXTRALEN, "worker arguments must fit");

/* ---- the session ---- */

static void
terminate_worker(int code, Datum arg)
{
	TerminateBackgroundWorker((BackgroundWorkerHandle *) DatumGetPointer(arg));
}

/* Whether the lock that somebody waits for is this transaction's end: for its snapshot, or its changes. */
static bool
is_own_transaction(const LOCKTAG *tag)
{
	VirtualTransactionId own;
	LOCKTAG		own_tag;

	if (tag->locktag_type == LOCKTAG_TRANSACTION)
		return TransactionIdIsCurrentTransactionId(tag->locktag_field1);
	GET_VXID_FROM_PGPROC(own, *MyProc);
	SET_LOCKTAG_VIRTUALTRANSACTION(own_tag, own);
	return memcmp(tag, &own_tag, sizeof(own_tag)) == 0;
}

/* Whether a process has a lock that keeps the worker out. */
static bool
keeps_worker_out(const LockData *locks, int pid, const LOCKTAG *table)
{
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		if (lock->pid != pid || lock->holdMask == 0 || memcmp(&lock->locktag, table, sizeof(*table)) != 0)
			continue;
		for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
			if ((lock->holdMask & LOCKBIT_ON(mode)) != 0 && DoLockModesConflict(mode, ShareUpdateExclusiveLock))
				return true;
	}
	return false;
}

static void
report_deadlock(int pid, bool ours)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
			 errmsg("deadlock detected"),
			 ours ?
			 errdetail("Process %d waits for the end of this transaction, and the background worker waits for that process.",
					   pid) :
			 errdetail("Process %d waits for a lock that this transaction holds on the table, and the background worker waits for that process.",
					   pid),
			 ours ?
			 errhint("Call the function again when that process is done with the table.") :
			 errhint("Call the function outside of transactions that use the table.")));
}

/*
 * Somebody waits for a lock of this transaction, and the worker for him, perhaps: nobody
 * else would see that deadlock.  He wants the table, or he has it and waits for the end of
 * all that is older (CREATE INDEX CONCURRENTLY).
 */
static void
check_deadlock(const TableTask *task)
{
	LockData   *locks;
	LOCKTAG		tag;

	if (!task->waiting)
		return;
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, task->relid);
	locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		if (lock->waitLockMode == NoLock)
			continue;
		if (is_own_transaction(&lock->locktag) && keeps_worker_out(locks, lock->pid, &tag))
			report_deadlock(lock->pid, true);
		if (memcmp(&lock->locktag, &tag, sizeof(tag)) != 0)
			continue;
		for (LOCKMODE mode = AccessShareLock; mode < ShareUpdateExclusiveLock; mode++)
			if (DoLockModesConflict(mode, lock->waitLockMode) && MilvusLockHeldByMe(&tag, mode))
				report_deadlock(lock->pid, false);
	}
	pfree(locks->locks);
	pfree(locks);
}

static void
wait_for_worker(BackgroundWorkerHandle *handle, const TableTask *task)
{
	for (;;)
	{
		pid_t		pid;
		BgwHandleStatus status = GetBackgroundWorkerPid(handle, &pid);

		if (status == BGWH_STOPPED)
			return;
		if (status == BGWH_POSTMASTER_DIED)
			ereport(FATAL,
					(errcode(ERRCODE_ADMIN_SHUTDOWN),
					 errmsg("the postmaster has ended")));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, TASK_LOOK_INTERVAL,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		check_deadlock(task);
	}
}

List *
TableRunTask(Oid relid, TableTaskKind kind, TableCompactKind compact)
{
	dsm_segment *segment = dsm_create(sizeof(TableTask), 0);
	TableTask  *task = dsm_segment_address(segment);
	dsm_handle	dsm = dsm_segment_handle(segment);
	BackgroundWorkerHandle *handle;
	BackgroundWorker worker;
	List	   *numbers = NIL;

	memset(task, 0, sizeof(TableTask));
	task->database = MyDatabaseId;
	task->relid = relid;
	task->kind = kind;
	task->compact = compact;
	strlcpy(task->debug_point, milvus_settings.debug_point, sizeof(task->debug_point));

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "milvus");
	snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "TableWorkerMain");
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "milvus %s of table %u",
			 kind == TABLE_TASK_FLUSH ? "seal" : "compaction", relid);
	snprintf(worker.bgw_type, sizeof(worker.bgw_type), "milvus table");
	memcpy(worker.bgw_extra, &dsm, sizeof(dsm));
	handle = CoordLaunch(&worker);
	PG_ENSURE_ERROR_CLEANUP(terminate_worker, PointerGetDatum(handle));
	{
		/* (for isolation tests, which see a session wait only if it waits for a lock) */
		MILVUS_DEBUG_POINT("table-worker-started");
		wait_for_worker(handle, task);
	}
	PG_END_ENSURE_ERROR_CLEANUP(terminate_worker, PointerGetDatum(handle));

	if (task->dismissed || (!task->done && task->sqlstate == 0 && CoordIsBlocked()))
		CoordReportDismissal();
	if (task->sqlstate != 0)
		ereport(ERROR,
				(errcode(task->sqlstate),
				 errmsg_internal("%s", task->message),
				 task->detail[0] != '\0' ? errdetail_internal("%s", task->detail) : 0,
				 task->hint[0] != '\0' ? errhint("%s", task->hint) : 0,
				 errcontext("milvus background worker")));
	if (!task->done)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the background worker has ended before its work was done"),
				 errhint("The server log may have the reason.")));
	for (int i = 0; i < Min(task->nnumbers, TASK_MAX_NUMBERS); i++)
		numbers = lappend_int(numbers, task->numbers[i]);
	dsm_detach(segment);
	return numbers;
}

/* ---- the worker ---- */

static TableTask *worker_task;

static void
note_waiting(bool waiting)
{
	worker_task->waiting = waiting;
}

static void
copy_text(char *to, const char *from)
{
	if (from != NULL)
		strlcpy(to, from, TASK_TEXT);
}

static void
run_task(TableTask *task)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *numbers = NIL;
	ListCell   *cell;

	PG_TRY();
	{
		CoordEnterJob(task->relid, task->kind == TABLE_TASK_FLUSH ? COORD_SEAL : COORD_COMPACT);
		if (task->kind == TABLE_TASK_FLUSH)
			(void) TableSeal(task->relid, TABLE_SEAL_ALL, true, &numbers, NULL);
		else
			(void) TableCompact(task->relid, task->compact, true, &numbers);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		if (CoordDismissed())
		{
			/* the session says so */
			task->dismissed = true;
			FlushErrorState();
			proc_exit(0);
		}
		error = CopyErrorData();
		task->sqlstate = error->sqlerrcode;
		copy_text(task->message, error->message);
		copy_text(task->detail, error->detail);
		copy_text(task->hint, error->hint);
		/* to the log as well, and with it the transaction */
		PG_RE_THROW();
	}
	PG_END_TRY();
	foreach(cell, numbers)
		if (task->nnumbers < TASK_MAX_NUMBERS)
			task->numbers[task->nnumbers++] = lfirst_int(cell);
	task->done = true;
}

void
TableWorkerMain(Datum arg)
{
	dsm_handle	dsm;
	dsm_segment *segment;

	memcpy(&dsm, MyBgworkerEntry->bgw_extra, sizeof(dsm));
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "milvus table worker");
	/* gone: the session has given up */
	segment = dsm_attach(dsm);
	if (segment == NULL)
		proc_exit(0);
	dsm_pin_mapping(segment);
	worker_task = dsm_segment_address(segment);

	if (!CoordEnter(worker_task->database))
	{
		worker_task->dismissed = true;
		proc_exit(0);
	}
	BackgroundWorkerInitializeConnectionByOid(worker_task->database, InvalidOid, 0);
	if (worker_task->debug_point[0] != '\0')
		SetConfigOption("milvus.debug_point", worker_task->debug_point, PGC_SUSET, PGC_S_SESSION);
	TableWorkWaitHook = note_waiting;
	MemoryContextSwitchTo(TopMemoryContext);
	run_task(worker_task);
	proc_exit(0);
}
