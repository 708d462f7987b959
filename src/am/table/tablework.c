/*
 * tablework.c
 *		Work on one table that takes several transactions: locks, checks, giving way.
 *
 * The table is locked for the session with ShareUpdateExclusiveLock, as VACUUM does it.
 * That keeps out other sealers, VACUUM and DDL, and neither readers nor writers.  Each
 * transaction runs as the owner of the table with the rights of a security-restricted
 * operation: comparing values may call functions of their types.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "am/table/tableseal.h"
#include "compat.h"
#include "coord_bgworkers/coord.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* Calls of TableWorkWanted between looks at the lock's queue. */
#define LOOK_INTERVAL 32
/* Between tries to get the lock, in ms. */
#define LOCK_DELAY 50
/* The longest wait for any other lock, in ms. */
#define LOCK_WAIT 200

void		(*TableWorkWaitHook) (bool waiting) = NULL;

static void
announce(bool waiting)
{
	if (TableWorkWaitHook != NULL)
		TableWorkWaitHook(waiting);
}

/*
 * DROP TABLE of a partition may have locked an index before the table that is being worked on
 * (as it deadlocks with VACUUM).  Nobody else may be the one whom the deadlock detector ends:
 * this process stops waiting before anybody looks for deadlocks.
 */
static void
give_in_first(void)
{
	char		timeout[32];

	snprintf(timeout, sizeof(timeout), "%d", Max(Min(LOCK_WAIT, DeadlockTimeout / 2), 1));
	(void) set_config_option("lock_timeout", timeout, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

/* Open what the work is about, in a new transaction that runs as the table's owner. */
static void
enter(TableWork *work)
{
	/* whatever the database's settings say of transactions */
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
	XactDeferrable = false;
	GetUserIdAndSecContext(&work->saved_user, &work->saved_context);
	SetUserIdAndSecContext(work->rel->rd_rel->relowner,
						   work->saved_context | SECURITY_RESTRICTED_OPERATION);
	work->nest_level = NewGUCNestLevel();
	RestrictSearchPath();
	give_in_first();
	work->toast = table_open(work->rel->rd_rel->reltoastrelid, RowExclusiveLock);
}

static bool
suitable(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT &&
		OidIsValid(rel->rd_rel->reltoastrelid) &&
		TableIsMilvus(rel);
}

/*
 * The process ends between two transactions: nobody else releases the session's lock then.
 */
static void
release_locks(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	LockReleaseAll(DEFAULT_LOCKMETHOD, true);
}

bool
TableWorkBegin(TableWork *work, Oid relid, bool wait)
{
	MemoryContext caller = CurrentMemoryContext;

	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(release_locks, (Datum) 0);
		registered = true;
	}
	memset(work, 0, sizeof(*work));
	work->relid = relid;
	work->wait = wait;
	work->caller = caller;
	if (RecoveryInProgress())
		return false;
	StartTransactionCommand();
	while (!ConditionalLockRelationOid(relid, ShareUpdateExclusiveLock))
	{
		if (!wait)
		{
			CommitTransactionCommand();
			MemoryContextSwitchTo(caller);
			return false;
		}
		/*
		 * Never in the lock's queue: somebody may wait for this process without a lock
		 * that the deadlock detector could see, and be waited for by those before us.
		 */
		announce(true);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_DELAY,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CoordThrottle();
	}
	if (wait)
		announce(false);
	/* the number may be another relation's by now, or nobody's */
	work->rel = try_relation_open(relid, NoLock);
	if (work->rel == NULL || !suitable(work->rel))
	{
		if (work->rel != NULL)
			relation_close(work->rel, NoLock);
		CommitTransactionCommand();
		MemoryContextSwitchTo(caller);
		return false;
	}
	work->lock = work->rel->rd_lockInfo.lockRelId;
	LockRelationIdForSession(&work->lock, ShareUpdateExclusiveLock);
	work->context = AllocSetContextCreate(caller, "milvus table work", ALLOCSET_DEFAULT_SIZES);
	enter(work);
	return true;
}

void
TableWorkStart(TableWork *work)
{
	StartTransactionCommand();
	work->rel = table_open(work->relid, ShareUpdateExclusiveLock);
	enter(work);
}

void
TableWorkCommit(TableWork *work)
{
	table_close(work->toast, NoLock);
	table_close(work->rel, NoLock);
	work->rel = work->toast = NULL;
	AtEOXact_GUC(false, work->nest_level);
	SetUserIdAndSecContext(work->saved_user, work->saved_context);
	CommitTransactionCommand();
	MemoryContextSwitchTo(work->caller);
}

void
TableWorkEnd(TableWork *work)
{
	UnlockRelationIdForSession(&work->lock, ShareUpdateExclusiveLock);
	MemoryContextDelete(work->context);
	work->context = NULL;
}

void
TableWorkAbandon(TableWork *work)
{
	/* releases the session's locks as well */
	AbortCurrentTransaction();
	work->rel = work->toast = NULL;
	MemoryContextSwitchTo(work->caller);
	MemoryContextDelete(work->context);
	work->context = NULL;
}

bool
TableWorkWanted(TableWork *work)
{
	CoordThrottle();
	if (++work->tries % LOOK_INTERVAL != 0)
		return false;
	return LockHasWaitersRelation(work->rel, ShareUpdateExclusiveLock);
}

void
TableWorkExpect(TableWork *work, uint64 total)
{
	work->done = 0;
	work->total = total;
	CoordReportProgress(0, total);
}

void
TableWorkDone(TableWork *work, uint64 units)
{
	work->done += units;
	/* it may have been an estimate */
	work->total = Max(work->total, work->done);
	CoordReportProgress(work->done, work->total);
}
