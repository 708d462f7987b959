/*
 * guard.c
 *		Turning an I/O error on a mapped file (SIGBUS) into an ordinary failure.
 *
 * Reading a mapping whose page cannot be brought in, because the disk failed or
 * somebody truncated the file, raises SIGBUS, which would end the server.  While
 * a guarded call runs, the handler jumps out of it.  That is sound because the
 * signal is synchronous and the guarded code only reads mappings and writes its
 * own scratch memory: it holds no lock and is inside no allocator.
 */
#include "postgres.h"

#include <setjmp.h>
#include <signal.h>

#include "segment/segment.h"

/* Where the guarded call that runs now goes back to; NULL: none does. */
static sigjmp_buf *volatile guard_jump = NULL;
static bool guard_installed = false;
static struct sigaction guard_previous;

static void
guard_handler(int signo, siginfo_t *info, void *context)
{
	if (guard_jump != NULL)
		siglongjmp(*guard_jump, 1);
	/* not ours: let the previous disposition have it when the access repeats */
	sigaction(SIGBUS, &guard_previous, NULL);
}

bool
SegmentGuardedCall(void (*fn) (void *arg), void *arg)
{
	sigjmp_buf	jump;

	if (!guard_installed)
	{
		struct sigaction action;

		memset(&action, 0, sizeof(action));
		action.sa_sigaction = guard_handler;
		action.sa_flags = SA_SIGINFO | SA_NODEFER;
		sigemptyset(&action.sa_mask);
		if (sigaction(SIGBUS, &action, &guard_previous) != 0)
			elog(ERROR, "could not install a SIGBUS handler: %m");
		guard_installed = true;
	}
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
