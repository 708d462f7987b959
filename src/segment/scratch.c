/*
 * scratch.c
 *		Memory for builds that may be larger than maintenance_work_mem.
 *
 * Blocks are private mappings: anonymous ones until the budget is spent, then
 * ones of unlinked files beside the segment cache, which the kernel writes back
 * when memory is short.  When no file can be had the block is anonymous after
 * all: a build that can still run is better than one that fails.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "miscadmin.h"
#include "segment/segment.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#define SCRATCH_DIR "pgsql_tmp_milvus"
/* Smaller blocks than this are never put into files. */
#define SCRATCH_FILE_MIN (1024 * 1024)
/* Blocks up to this size come from malloc. */
#define SCRATCH_SMALL (64 * 1024)

typedef struct ScratchBlock
{
	struct ScratchBlock *prev;
	struct ScratchBlock *next;
	void	   *base;
	Size		bytes;			/* of the mapping */
	bool		file;
	bool		small;			/* from malloc */
} ScratchBlock;

struct ScratchArena
{
	Size		budget;
	Size		used;			/* bytes in anonymous blocks */
	ScratchBlock *blocks;
	MemoryContextCallback callback;
};

static void
release_block(ScratchBlock *block)
{
	if (block->small)
		free(block->base);
	else
		munmap(block->base, block->bytes);
	free(block);
}

static void
unmap_all(void *arg)
{
	ScratchArena *arena = arg;

	for (ScratchBlock *block = arena->blocks; block != NULL;)
	{
		ScratchBlock *next = block->next;

		release_block(block);
		block = next;
	}
	arena->blocks = NULL;
	arena->used = 0;
}

ScratchArena *
ScratchArenaCreate(Size budget)
{
	ScratchArena *arena = palloc0(sizeof(ScratchArena));

	arena->budget = budget;
	arena->callback.func = unmap_all;
	arena->callback.arg = arena;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &arena->callback);
	return arena;
}

void
ScratchArenaDestroy(ScratchArena *arena)
{
	/* the reset callback finds nothing left to do */
	unmap_all(arena);
}

/*
 * A mapping of an unlinked file of allocated space, or NULL.
 */
static void *
map_file(Size bytes)
{
	static unsigned counter = 0;
	char		path[MAXPGPATH];
	void	   *base = NULL;
	int			fd;
	int			rc;

	(void) MakePGDirectory(SCRATCH_DIR);
	snprintf(path, sizeof(path), SCRATCH_DIR "/pgsql_tmp.build.%d.%u", MyProcPid, counter++);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, pg_file_create_mode);
	if (fd < 0)
		return NULL;
	unlink(path);
	do
		rc = posix_fallocate(fd, 0, bytes);
	while (rc == EINTR);
	if (rc == 0)
	{
		base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (base == MAP_FAILED)
			base = NULL;
	}
	close(fd);
	return base;
}

static void *
map_anonymous(Size bytes)
{
	void	   *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
#ifdef MADV_HUGEPAGE
	(void) madvise(base, bytes, MADV_HUGEPAGE);
#endif
	return base;
}

void *
ScratchAlloc(ScratchArena *arena, Size bytes)
{
	ScratchBlock *block = malloc(sizeof(ScratchBlock));

	if (block == NULL)
		return NULL;
	block->base = NULL;
	block->file = false;
	block->small = bytes <= SCRATCH_SMALL;
	bytes = TYPEALIGN64(block->small ? SEGMENT_ALIGN : 4096, Max(bytes, 1));
	if (block->small)
	{
		if (posix_memalign(&block->base, SEGMENT_ALIGN, bytes) != 0)
			block->base = NULL;
	}
	else if (arena->used + bytes > arena->budget && bytes >= SCRATCH_FILE_MIN)
	{
		block->base = map_file(bytes);
		block->file = block->base != NULL;
	}
	if (block->base == NULL && !block->small)
		block->base = map_anonymous(bytes);
	if (block->base == NULL)
	{
		free(block);
		return NULL;
	}
	block->bytes = bytes;
	if (!block->file)
		arena->used += bytes;
	block->prev = NULL;
	block->next = arena->blocks;
	if (arena->blocks != NULL)
		arena->blocks->prev = block;
	arena->blocks = block;
	return block->base;
}

static ScratchBlock *
find_block(ScratchArena *arena, void *p)
{
	for (ScratchBlock *block = arena->blocks; block != NULL; block = block->next)
		if (block->base == p)
			return block;
	return NULL;
}

void
ScratchFree(ScratchArena *arena, void *p)
{
	ScratchBlock *block;

	if (p == NULL)
		return;
	block = find_block(arena, p);
	if (block == NULL)
		elog(ERROR, "scratch block %p is not in its arena", p);
	if (!block->file)
		arena->used -= block->bytes;
	if (block->prev != NULL)
		block->prev->next = block->next;
	else
		arena->blocks = block->next;
	if (block->next != NULL)
		block->next->prev = block->prev;
	release_block(block);
}

void *
ScratchResize(ScratchArena *arena, void *p, Size bytes)
{
	ScratchBlock *block;
	void	   *moved;

	if (p == NULL)
		return ScratchAlloc(arena, bytes);
	block = find_block(arena, p);
	if (block == NULL)
		elog(ERROR, "scratch block %p is not in its arena", p);
	if (!block->small)
		bytes = TYPEALIGN64(4096, Max(bytes, 1));
	if (!block->small && !block->file && (bytes <= block->bytes || arena->used - block->bytes + bytes <= arena->budget))
	{
		moved = mremap(block->base, block->bytes, bytes, MREMAP_MAYMOVE);
		if (moved == MAP_FAILED)
			return NULL;
		arena->used = arena->used - block->bytes + bytes;
		block->base = moved;
		block->bytes = bytes;
		return moved;
	}
	moved = ScratchAlloc(arena, bytes);
	if (moved == NULL)
		return NULL;
	memcpy(moved, p, Min(bytes, block->bytes));
	ScratchFree(arena, p);
	return moved;
}
