/*
 * guard.c
 *		Turning an I/O error on a mapped file (SIGBUS) into an ordinary failure.
 *
 * Reading a mapping whose page cannot be brought in, because the disk failed or
 * somebody truncated the file, raises SIGBUS, which would end the server.  While
 * a guarded call runs, the handler jumps out of it.  That is sound because the
 * signal is synchronous and the guarded code only reads mappings and writes its
 * own scratch memory: it holds no lock and is inside no allocator.
 *
 * Values of mapped columns are read wherever the executor takes them, outside of any
 * guarded call.  There the error is raised from the handler.  That is sound for the
 * same reason: the signal comes at the very instruction that reads the mapping, and no
 * allocator or other keeper of state reads one between two halves of a change.  In a
 * critical section it is a PANIC as any error is; nobody reads columns in one.
 */
#include "postgres.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "segment/segment.h"
#include "utils/memutils.h"

/* Where the guarded call that runs now goes back to; NULL: none does. */
static sigjmp_buf *volatile guard_jump = NULL;
static bool guard_installed = false;
static struct sigaction guard_previous;

/* Memory that is read unguarded. */
typedef struct WatchedRange
{
	const char *base;
	Size		bytes;
} WatchedRange;

static WatchedRange *watched = NULL;
static int	nwatched = 0;
static int	watched_room = 0;
static uint32 faults = 0;
static pthread_t main_thread;

static bool
is_watched(const char *address)
{
	for (int i = 0; i < nwatched; i++)
		if (address >= watched[i].base && address < watched[i].base + watched[i].bytes)
			return true;
	return false;
}

static void
guard_handler(int signo, siginfo_t *info, void *context)
{
	if (guard_jump != NULL)
		siglongjmp(*guard_jump, 1);
	if (is_watched(info->si_addr) && pthread_equal(pthread_self(), main_thread))
	{
		faults++;
		ereport(ERROR,
				(errcode(ERRCODE_IO_ERROR),
				 errmsg("could not read a mapped vector cache file"),
				 errhint("The file is made anew for the next transaction.")));
	}
	/* not ours: let the previous disposition have it when the access repeats */
	sigaction(SIGBUS, &guard_previous, NULL);
}

static void
install_handler(void)
{
	struct sigaction action;

	if (guard_installed)
		return;
	main_thread = pthread_self();
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = guard_handler;
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &guard_previous) != 0)
		elog(ERROR, "could not install a SIGBUS handler: %m");
	guard_installed = true;
}

void
SegmentGuardWatch(const void *base, Size bytes)
{
	install_handler();
	if (nwatched == watched_room)
	{
		int			room = Max(64, 2 * watched_room);
		WatchedRange *more = MemoryContextAlloc(TopMemoryContext, room * sizeof(WatchedRange));

		if (nwatched > 0)
			memcpy(more, watched, nwatched * sizeof(WatchedRange));
		if (watched != NULL)
			pfree(watched);
		watched = more;
		watched_room = room;
	}
	watched[nwatched].base = base;
	watched[nwatched].bytes = bytes;
	nwatched++;
}

void
SegmentGuardUnwatch(const void *base)
{
	for (int i = 0; i < nwatched; i++)
		if (watched[i].base == base)
		{
			watched[i] = watched[--nwatched];
			return;
		}
}

uint32
SegmentGuardFaults(void)
{
	return faults;
}

bool
SegmentGuardedCall(void (*fn) (void *arg), void *arg)
{
	sigjmp_buf	jump;

	install_handler();
	if (guard_jump != NULL)
	{
		/* nested: the outer guard covers it */
		fn(arg);
		return true;
	}
	if (sigsetjmp(jump, 0) != 0)
	{
		guard_jump = NULL;
		return false;
	}
	guard_jump = &jump;
	fn(arg);
	guard_jump = NULL;
	return true;
}

void *
SegmentGuardSuspend(void)
{
	void	   *jump = guard_jump;

	guard_jump = NULL;
	return jump;
}

void
SegmentGuardResume(void *suspended)
{
	guard_jump = suspended;
}
