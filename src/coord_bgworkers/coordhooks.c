/*
 * coordhooks.c
 *		Commands that want a database to themselves, those that make or drop the
 *		extension, those that drop relations with jobs.
 *
 * DROP DATABASE, CREATE DATABASE of a template, ALTER DATABASE RENAME and SET
 * TABLESPACE fail while somebody else is connected.  Before one of them runs, and
 * before DROP EXTENSION, the database is blocked: its workers are told to leave, and
 * the launcher starts none until the command's transaction is over.
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "compat.h"
#include "coord_bgworkers/coord_internal.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

/* How long a command waits for workers: ms; then for the server's own check. */
#define WAIT_FOR_WORKERS 10000
/* After so many ms a worker that does not react to a cancel is terminated. */
#define TERMINATE_AFTER 2000
#define WAIT_STEP 10

/* A relation with jobs that is dropped. */
typedef struct DroppedRelation
{
	Oid			relation;
	int			level;			/* of the subtransaction whose end decides */
} DroppedRelation;

/* What this transaction changes; at its end it is told to the launcher. */
static struct
{
	bool		registered;
	Oid			blocked[4];		/* databases */
	int			nblocked;
	Oid			gone;			/* database that is dropped on commit */
	Oid			copied;			/* database that is made on commit */
	List	   *relations;		/* DroppedRelation; in TopTransactionContext */
	bool		created;		/* this database gets the extension */
	bool		dropped;		/* it loses it */
}			pending;

static ProcessUtility_hook_type prev_process_utility;
static object_access_hook_type prev_object_access;

static bool
is_dropped(Oid relation)
{
	ListCell   *lc;

	foreach(lc, pending.relations)
		if (((DroppedRelation *) lfirst(lc))->relation == relation)
			return true;
	return false;
}

/*
 * Undo the blocks, and say what has become of the databases.
 */
static void
end_pending(bool committed)
{
	int			database;

	if (pending.nblocked == 0 && !OidIsValid(pending.copied) && pending.relations == NIL &&
		!pending.created && !pending.dropped)
		return;
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < pending.nblocked; i++)
	{
		database = CoordFindDatabase(pending.blocked[i], false);
		if (database < 0)
			continue;
		coord_shared->databases[database].blocks--;
		if (committed && pending.blocked[i] == pending.gone)
			CoordReleaseDatabase(database);
	}
	if (committed && pending.relations != NIL)
	{
		database = CoordFindDatabase(MyDatabaseId, false);
		for (int i = 0; i < COORD_MAX_JOBS && database >= 0; i++)
		{
			CoordJob   *job = &coord_shared->jobs[i];

			if ((job->state == COORD_JOB_QUEUED || job->state == COORD_JOB_BACKOFF) &&
				job->database == database && is_dropped(job->relation))
				CoordFreeJob(job);
		}
	}
	if (committed && OidIsValid(pending.copied))
	{
		/* what its template had to do, it has to do as well */
		database = CoordFindDatabase(pending.copied, true);
		if (database >= 0)
			(void) CoordQueue(database, InvalidOid, COORD_SCAN, GetCurrentTimestamp(), 0, 0, 0, 0);
	}
	if (committed && (pending.created || pending.dropped))
	{
		database = CoordFindDatabase(MyDatabaseId, true);
		if (database >= 0)
		{
			coord_shared->databases[database].extension = pending.created ? COORD_PRESENT : COORD_UNKNOWN;
			if (!pending.created)
			{
				CoordForgetDatabase(database);
				/* it may have been a savepoint's that was rolled back */
				(void) CoordQueue(database, InvalidOid, COORD_SCAN, GetCurrentTimestamp(), 0, 0, 0, 0);
			}
		}
	}
	CoordWakeLauncher();
	LWLockRelease(coord_shared->lock);
	pending.nblocked = 0;
	pending.relations = NIL;	/* its memory goes with the transaction */
	pending.gone = pending.copied = InvalidOid;
	pending.created = pending.dropped = false;
}

static void
transaction_ends(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		end_pending(event == XACT_EVENT_COMMIT);
	else if (event == XACT_EVENT_ABORT)
		end_pending(false);
}

/* What was dropped after a savepoint is there again when that is rolled back. */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *lc;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(lc, pending.relations)
	{
		DroppedRelation *dropped = lfirst(lc);

		if (dropped->level < level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			dropped->level = level - 1;
		else
			pending.relations = foreach_delete_current(pending.relations, lc);
	}
}

static void
process_ends(int code, Datum arg)
{
	end_pending(false);
}

static void
register_callbacks(void)
{
	if (pending.registered)
		return;
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
	before_shmem_exit(process_ends, (Datum) 0);
	pending.registered = true;
}

/*
 * Signal the workers of a database to leave; their number.
 */
static int
signal_workers(Oid oid, int signal)
{
	int			database = CoordFindDatabase(oid, false);
	int			n = 0;

	for (int i = 0; i < COORD_SLOTS && database >= 0; i++)
	{
		CoordWorker *worker = &coord_shared->workers[i];

		if (worker->state == COORD_WORKER_FREE || worker->database != database ||
			worker->pid == MyProcPid)
			continue;
		n++;
		worker->stop = true;
		/* one that is starting sees it before it connects */
		if (worker->pid != 0)
		{
			kill(worker->pid, signal);
			if (worker->latch != NULL)
				SetLatch(worker->latch);
		}
	}
	return n;
}

/*
 * Have nobody of ours connected to a database until the end of the transaction.
 */
static void
block_database(Oid oid)
{
	TimestampTz start = GetCurrentTimestamp();
	int			database;
	int			left = 0;
	bool		terminated = false;

	for (int i = 0; i < pending.nblocked; i++)
		if (pending.blocked[i] == oid)
			return;
	if (pending.nblocked == lengthof(pending.blocked))
		return;
	register_callbacks();
	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	database = CoordFindDatabase(oid, true);
	if (database >= 0)
	{
		coord_shared->databases[database].blocks++;
		pending.blocked[pending.nblocked++] = oid;
		left = signal_workers(oid, SIGINT);
	}
	LWLockRelease(coord_shared->lock);
	while (left > 0 && !TimestampDifferenceExceeds(start, GetCurrentTimestamp(), WAIT_FOR_WORKERS))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, WAIT_STEP,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		LWLockAcquire(coord_shared->lock, LW_SHARED);
		left = 0;
		for (int i = 0; i < COORD_SLOTS; i++)
			left += coord_shared->workers[i].state != COORD_WORKER_FREE &&
				coord_shared->workers[i].database == database &&
				coord_shared->workers[i].pid != MyProcPid;
		LWLockRelease(coord_shared->lock);
		if (left > 0 && !terminated &&
			TimestampDifferenceExceeds(start, GetCurrentTimestamp(), TERMINATE_AFTER))
		{
			LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
			(void) signal_workers(oid, SIGTERM);
			LWLockRelease(coord_shared->lock);
			terminated = true;
		}
	}
}

/* Whether the user may run CREATE DATABASE; the server says the rest itself. */
static bool
may_create_database(void)
{
	HeapTuple	tuple;
	bool		may = superuser();

	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		may |= ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

/* The text of an option, NULL when it is not given. */
static const char *
option_text(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/* Whether everybody who may create databases may copy this one. */
static bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The database that a command wants to itself, InvalidOid when it wants none or will
 * be refused anyway.
 */
static Oid
wanted_database(Node *node)
{
	const char *name = NULL;
	Oid			database;

	if (IsA(node, DropdbStmt))
		name = ((DropdbStmt *) node)->dbname;
	else if (IsA(node, CreatedbStmt))
	{
		name = option_text(((CreatedbStmt *) node)->options, "template");
		if (name == NULL)
			name = "template1";
		database = may_create_database() ? get_database_oid(name, true) : InvalidOid;
		return OidIsValid(database) && (is_template(database) || MilvusOwnsDatabase(database)) ? database : InvalidOid;
	}
	else if (IsA(node, AlterDatabaseStmt))
	{
		if (option_text(((AlterDatabaseStmt *) node)->options, "tablespace") != NULL)
			name = ((AlterDatabaseStmt *) node)->dbname;
	}
	else if (IsA(node, RenameStmt) && ((RenameStmt *) node)->renameType == OBJECT_DATABASE)
		name = ((RenameStmt *) node)->subname;
	if (name == NULL)
		return InvalidOid;
	database = get_database_oid(name, true);
	return OidIsValid(database) && MilvusOwnsDatabase(database) ? database : InvalidOid;
}

/* Whether a command drops the extension by name. */
static bool
drops_extension(Node *node)
{
	ListCell   *lc;

	if (!IsA(node, DropStmt) || ((DropStmt *) node)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, ((DropStmt *) node)->objects)
		if (strcmp(strVal(lfirst(lc)), "milvus") == 0)
			return true;
	return false;
}

static void
process_utility(PlannedStmt *pstmt, const char *text, bool read_only, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest,
				QueryCompletion *completion)
{
	Node	   *node = pstmt->utilityStmt;
	Oid			database = wanted_database(node);

	if (OidIsValid(database))
	{
		block_database(database);
		if (IsA(node, DropdbStmt))
			pending.gone = database;
	}
	else if (drops_extension(node))
	{
		Oid			extension = get_extension_oid("milvus", true);

		if (OidIsValid(extension) && MilvusOwnsExtension(extension))
			block_database(MyDatabaseId);
	}

	if (prev_process_utility)
		prev_process_utility(pstmt, text, read_only, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(pstmt, text, read_only, context, params, environment, dest, completion);

	if (IsA(node, CreatedbStmt))
	{
		register_callbacks();
		pending.copied = get_database_oid(((CreatedbStmt *) node)->dbname, true);
	}
	else if (IsA(node, CreateExtensionStmt) && strcmp(((CreateExtensionStmt *) node)->extname, "milvus") == 0)
	{
		register_callbacks();
		pending.created = true;
		pending.dropped = false;
	}
}

/*
 * A relation is dropped: if it has jobs, they go when that is committed.  (A job that is
 * asked for later finds that there is nothing to do.)  The extension may be dropped with
 * something else, its schema or its owner's things.
 */
static void
object_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
	bool		wanted = false;
	int			database;

	if (prev_object_access)
		prev_object_access(access, class, object, sub, arg);
	if (access == OAT_DROP && class == ExtensionRelationId && object == get_extension_oid("milvus", true))
	{
		register_callbacks();
		pending.created = false;
		pending.dropped = true;
	}
	if (access != OAT_DROP || class != RelationRelationId || sub != 0 || coord_shared->njobs == 0)
		return;
	LWLockAcquire(coord_shared->lock, LW_SHARED);
	database = CoordFindDatabase(MyDatabaseId, false);
	for (int i = 0; i < COORD_MAX_JOBS && database >= 0 && !wanted; i++)
		wanted = coord_shared->jobs[i].state != COORD_JOB_FREE &&
			coord_shared->jobs[i].database == database && coord_shared->jobs[i].relation == object;
	LWLockRelease(coord_shared->lock);
	if (wanted)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
		DroppedRelation *dropped = palloc(sizeof(DroppedRelation));

		register_callbacks();
		dropped->relation = object;
		dropped->level = GetCurrentTransactionNestLevel();
		pending.relations = lappend(pending.relations, dropped);
		MemoryContextSwitchTo(old);
	}
}

void
CoordInstallHooks(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_access;

	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
