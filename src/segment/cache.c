/*
 * cache.c
 *		The segment cache: query forms in files that every backend maps read-only.
 *
 * Files lie in $PGDATA/pgsql_tmp_milvus/, named
 *	  pgsql_tmp.<tablespace>.<database>.<relation>.<segment id>
 * so that base backups, pg_rewind and pg_checksums pass them by.  A file is
 * written whole under another name and renamed, never changed afterwards apart
 * from its stamp: the start time of the server in whose life it was verified
 * last.  Nothing here is the only copy of anything; whatever is wrong with a
 * file, it is removed and the durable form is read instead.
 */
#include "postgres.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "common/file_perm.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "segment/segment.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define CACHE_DIR "pgsql_tmp_milvus"
#define CACHE_MAGIC 0x4d4c5643	/* "MLVC" */
#define CACHE_VERSION 1
#define CACHE_ALIGN 4096
#define CACHE_VERIFY_CHUNK (1024 * 1024)
/* The section, the last one, that holds the checksums of the others' pieces. */
#define CACHE_PIECES 0xffffffff
/* A file used this many seconds ago does not make room for one with pieces. */
#define CACHE_BUSY_SECONDS 60

typedef struct CacheHeader
{
	uint32		magic;
	uint32		version;
	SegmentId	id;
	uint64		bytes;			/* of the whole file */
	uint32		nsections;
	uint32		has_pieces;		/* the last section is CACHE_PIECES; the others' crc is not used */
	SegmentSection sections[SEGMENT_MAX_SECTIONS];
	pg_crc32c	crc;			/* of all before */
	uint64		stamp;			/* PgStartTime when verified; not in the checksum */
} CacheHeader;

StaticAssertDecl(sizeof(CacheHeader) <= CACHE_ALIGN, "cache header must fit its page");

struct SegmentCacheFill
{
	SegmentCacheKey key;
	CacheHeader header;
	pg_crc32c	crc[SEGMENT_MAX_SECTIONS];
	uint64		done[SEGMENT_MAX_SECTIONS];
	pg_crc32c  *pieces;			/* checksums of pieces, all sections' */
	char		path[MAXPGPATH];
	int			fd;
	bool		published;
	MemoryContextCallback callback;
};

/* Pieces that are verified, bytes that are written between two calls of SegmentPace. */
#define PACE_PIECES 4
#define PACE_BYTES (256 * 1024)

void		(*SegmentPace) (Size read, Size written) = NULL;

static bool warned = false;

/*
 * Say once a session why the cache is not used.
 */
static void
warn_once(const char *what, const char *path)
{
	ereport(warned ? DEBUG1 : WARNING,
			(errcode_for_file_access(),
			 errmsg("could not %s vector cache file \"%s\": %m", what, path),
			 errdetail("Searches read the index through the buffers instead, which is slower.")));
	warned = true;
}

void
SegmentCacheKeyInit(SegmentCacheKey *key, Relation rel, const SegmentId *id)
{
	key->space = RelationLocatorSpace(rel);
	key->database = RelationLocatorDatabase(rel);
	key->relation = RelationLocatorNumber(rel);
	key->id = *id;
}

static void
cache_prefix(char *path, Oid space, Oid database, Oid relation)
{
	snprintf(path, MAXPGPATH, "pgsql_tmp.%u.%u.%u.", space, database, relation);
}

static void
cache_path(char *path, const SegmentCacheKey *key)
{
	char		prefix[MAXPGPATH];
	char		hex[2 * SEG_ID_LEN + 1];

	cache_prefix(prefix, key->space, key->database, key->relation);
	SegmentIdToString(&key->id, hex);
	snprintf(path, MAXPGPATH, CACHE_DIR "/%s%s", prefix, hex);
}

/* Pieces of sections 0 .. n - 1. */
static uint64
count_pieces(const SegmentSection *sections, int n)
{
	uint64		pieces = 0;

	for (int i = 0; i < n; i++)
		pieces += (sections[i].bytes + SEGMENT_PIECE_BYTES - 1) / SEGMENT_PIECE_BYTES;
	return pieces;
}

/*
 * Read a file's sections from `first` on and compare their checksums.
 */
static bool
verify_sections(int fd, const CacheHeader *header, uint32 first)
{
	char	   *chunk = palloc(CACHE_VERIFY_CHUNK);
	bool		good = true;

	for (uint32 i = first; i < header->nsections && good; i++)
	{
		const SegmentSection *section = &header->sections[i];
		pg_crc32c	crc;

		INIT_CRC32C(crc);
		for (uint64 at = 0; at < section->bytes && good;)
		{
			Size		n = Min(CACHE_VERIFY_CHUNK, section->bytes - at);
			ssize_t		got;

			CHECK_FOR_INTERRUPTS();
			got = pg_pread(fd, chunk, n, section->offset + at);
			if (got != (ssize_t) n)
				good = false;
			else
				COMP_CRC32C(crc, chunk, n);
			at += n;
			if (SegmentPace != NULL)
				SegmentPace(n, 0);
		}
		FIN_CRC32C(crc);
		good = good && EQ_CRC32C(crc, section->crc);
	}
	pfree(chunk);
	return good;
}

/*
 * Whether an open file is this segment's and intact; its sections are read and
 * compared by the first to open it in a server's life.
 */
static bool
verify_file(int fd, const char *path, const SegmentCacheKey *key, CacheHeader *header)
{
	struct stat st;
	pg_crc32c	crc;

	if (pg_pread(fd, header, sizeof(CacheHeader), 0) != sizeof(CacheHeader))
		return false;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, header, offsetof(CacheHeader, crc));
	FIN_CRC32C(crc);
	if (header->magic != CACHE_MAGIC || header->version != CACHE_VERSION ||
		!EQ_CRC32C(crc, header->crc) || !SegmentIdEquals(&header->id, &key->id) ||
		header->nsections > SEGMENT_MAX_SECTIONS ||
		fstat(fd, &st) != 0 || (uint64) st.st_size != header->bytes)
		return false;
	for (uint32 i = 0; i < header->nsections; i++)
	{
		const SegmentSection *section = &header->sections[i];

		if (section->offset > header->bytes || section->bytes > header->bytes - section->offset)
			return false;
	}
	if (header->has_pieces != 0)
	{
		uint32		last = header->nsections - 1;

		if (header->nsections < 1 || header->sections[last].id != CACHE_PIECES ||
			header->sections[last].bytes != count_pieces(header->sections, last) * sizeof(pg_crc32c))
			return false;
		/* the pieces' turn comes when they are read */
		return header->stamp == (uint64) PgStartTime || verify_sections(fd, header, last);
	}
	if (header->stamp != (uint64) PgStartTime)
	{
		uint64		stamp = (uint64) PgStartTime;

		if (!verify_sections(fd, header, 0))
			return false;
		/* failing to note it means verifying again, no more */
		if (pg_pwrite(fd, &stamp, sizeof(stamp), offsetof(CacheHeader, stamp)) != sizeof(stamp))
			ereport(DEBUG1, (errmsg("could not stamp \"%s\": %m", path)));
	}
	return true;
}

bool
SegmentCacheOpen(const SegmentCacheKey *key, SegmentMap *map)
{
	char		path[MAXPGPATH];
	CacheHeader header;
	int			fd;

	map->base = NULL;
	if (milvus_settings.cache_size == 0)
		return false;
	cache_path(path, key);
	fd = OpenTransientFile(path, O_RDWR | PG_BINARY);
	if (fd < 0)
	{
		if (errno != ENOENT)
			warn_once("open", path);
		return false;
	}
	if (!verify_file(fd, path, key, &header))
	{
		CloseTransientFile(fd);
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("vector cache file \"%s\" is damaged and is made anew", path)));
		unlink(path);
		return false;
	}
	map->base = mmap(NULL, header.bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map->base == MAP_FAILED)
	{
		map->base = NULL;
		warn_once("map", path);
		CloseTransientFile(fd);
		return false;
	}
	CloseTransientFile(fd);
#ifdef MADV_HUGEPAGE
	(void) madvise(map->base, header.bytes, MADV_HUGEPAGE);
#endif
	/* the modification time is the time of last use, for eviction */
	(void) utime(path, NULL);
	map->bytes = header.bytes;
	map->nsections = header.nsections;
	memcpy(map->sections, header.sections, sizeof(header.sections));
	map->unverified = 0;
	map->verified = NULL;
	if (header.has_pieces != 0)
	{
		map->nsections--;
		map->pieces = (const pg_crc32c *) ((char *) map->base + map->sections[map->nsections].offset);
		if (header.stamp != (uint64) PgStartTime)
		{
			map->unverified = count_pieces(map->sections, map->nsections);
			map->verified = calloc(1, map->unverified / 8 + 1);
			if (map->verified == NULL)
			{
				SegmentCacheClose(map);
				return false;
			}
		}
	}
	return true;
}

/* Arguments of guarded_verify(). */
typedef struct VerifyPieces
{
	SegmentMap *map;
	const SegmentSection *section;
	uint64		first;			/* piece of the section */
	uint64		last;
	uint64		index;			/* of the section's first piece */
	bool		good;
} VerifyPieces;

static void
guarded_verify(void *arg)
{
	VerifyPieces *work = arg;
	SegmentMap *map = work->map;

	for (uint64 i = work->first; i <= work->last; i++)
	{
		uint64		bit = work->index + i;
		uint64		at = i * SEGMENT_PIECE_BYTES;
		pg_crc32c	crc;

		if ((map->verified[bit >> 3] >> (bit & 7) & 1) != 0)
			continue;
		INIT_CRC32C(crc);
		COMP_CRC32C(crc, (char *) map->base + work->section->offset + at,
					Min(work->section->bytes - at, SEGMENT_PIECE_BYTES));
		FIN_CRC32C(crc);
		if (!EQ_CRC32C(crc, map->pieces[bit]))
			return;
		map->verified[bit >> 3] |= 1 << (bit & 7);
		map->unverified--;
	}
	work->good = true;
}

bool
SegmentCacheVerify(const SegmentCacheKey *key, SegmentMap *map, int section, uint64 offset, uint64 bytes)
{
	VerifyPieces work = {0};
	uint64		last;

	if (map->unverified == 0 || bytes == 0)
		return true;
	work.map = map;
	work.section = &map->sections[section];
	if (offset > work.section->bytes || bytes > work.section->bytes - offset)
		return false;
	work.index = count_pieces(map->sections, section);
	work.first = offset / SEGMENT_PIECE_BYTES;
	last = (offset + bytes - 1) / SEGMENT_PIECE_BYTES;
	for (; work.first <= last; work.first = work.last + 1)
	{
		uint32		before = map->unverified;

		CHECK_FOR_INTERRUPTS();
		work.last = Min(last, work.first + PACE_PIECES - 1);
		work.good = false;
		if (!SegmentGuardedCall(guarded_verify, &work) || !work.good)
			return false;
		if (SegmentPace != NULL)
			SegmentPace((Size) (before - map->unverified) * SEGMENT_PIECE_BYTES, 0);
	}
	if (map->unverified == 0)
	{
		/* all of it is good: nobody needs to look again in this server's life */
		uint64		stamp = (uint64) PgStartTime;
		char		path[MAXPGPATH];
		CacheHeader header;
		int			fd;

		free(map->verified);
		map->verified = NULL;
		cache_path(path, key);
		fd = OpenTransientFile(path, O_RDWR | PG_BINARY);
		if (fd < 0)
			return true;
		/* unless it is another file of this name */
		if (pg_pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
			memcmp(&header, map->base, offsetof(CacheHeader, stamp)) == 0 &&
			pg_pwrite(fd, &stamp, sizeof(stamp), offsetof(CacheHeader, stamp)) != sizeof(stamp))
			ereport(DEBUG1, (errmsg("could not stamp \"%s\": %m", path)));
		CloseTransientFile(fd);
	}
	return true;
}

bool
SegmentCacheExists(const SegmentCacheKey *key)
{
	char		path[MAXPGPATH];

	cache_path(path, key);
	return access(path, R_OK) == 0;
}

void
SegmentCacheClose(SegmentMap *map)
{
	if (map->base != NULL)
		munmap(map->base, map->bytes);
	map->base = NULL;
	free(map->verified);
	map->verified = NULL;
}

void
SegmentCacheDrop(const SegmentCacheKey *key)
{
	char		path[MAXPGPATH];

	cache_path(path, key);
	unlink(path);
}

/*
 * Call fn for every file of the cache.
 */
static void
walk_cache(void (*fn) (const char *name, const char *path, struct stat *st, void *arg), void *arg)
{
	DIR		   *dir = opendir(CACHE_DIR);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
	{
		char		path[MAXPGPATH];
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CACHE_DIR "/%s", entry->d_name);
		if (stat(path, &st) == 0)
			fn(entry->d_name, path, &st, arg);
	}
	closedir(dir);
}

typedef struct EvictState
{
	uint64		total;
	time_t		busy;			/* files used since are not looked at */
	time_t		oldest_time;
	char		oldest[MAXPGPATH];
} EvictState;

static void
evict_visit(const char *name, const char *path, struct stat *st, void *arg)
{
	EvictState *state = arg;

	state->total += (uint64) st->st_blocks * 512;
	/* files being filled have a suffix after the id and are not touched */
	if (strstr(name, ".fill") == NULL && st->st_mtime <= state->busy &&
		(state->oldest[0] == '\0' || st->st_mtime < state->oldest_time))
	{
		state->oldest_time = st->st_mtime;
		strlcpy(state->oldest, path, MAXPGPATH);
	}
}

/*
 * Make room for `bytes` within milvus.cache_size by removing the files used
 * longest ago, among those not used for `busy` seconds.  False when it cannot fit.
 */
static bool
make_room(uint64 bytes, int busy)
{
	uint64		limit = (uint64) milvus_settings.cache_size * 1024 * 1024;

	if (milvus_settings.cache_size < 0)
		return true;
	if (bytes > limit)
		return false;
	for (;;)
	{
		EvictState	state = {.busy = time(NULL) - busy};

		walk_cache(evict_visit, &state);
		if (state.total + bytes <= limit)
			return true;
		if (state.oldest[0] == '\0' || unlink(state.oldest) != 0)
			return false;
	}
}

void
SegmentCacheTrim(void)
{
	(void) make_room(0, 0);
}

static void
fill_cleanup(void *arg)
{
	SegmentCacheFill *fill = arg;

	/* the descriptor is transient: an aborted transaction has closed it */
	if (!fill->published)
		unlink(fill->path);
}

static SegmentCacheFill *
begin_fill(const SegmentCacheKey *key, const SegmentSection *sections, int nsections, bool pieces)
{
	SegmentCacheFill *fill;
	CacheHeader *header;
	char		path[MAXPGPATH];
	uint64		bytes = CACHE_ALIGN;
	int			rc;

	if (milvus_settings.cache_size == 0)
		return NULL;
	fill = palloc0(sizeof(SegmentCacheFill));
	header = &fill->header;
	header->magic = CACHE_MAGIC;
	header->version = CACHE_VERSION;
	header->id = key->id;
	header->nsections = nsections;
	for (int i = 0; i < nsections; i++)
	{
		header->sections[i].id = sections[i].id;
		header->sections[i].bytes = sections[i].bytes;
		header->sections[i].offset = bytes;
		bytes = TYPEALIGN64(CACHE_ALIGN, bytes + sections[i].bytes);
		INIT_CRC32C(fill->crc[i]);
	}
	if (pieces)
	{
		SegmentSection *last = &header->sections[header->nsections++];

		last->id = CACHE_PIECES;
		last->offset = bytes;
		last->bytes = count_pieces(sections, nsections) * sizeof(pg_crc32c);
		bytes = TYPEALIGN64(CACHE_ALIGN, bytes + last->bytes);
		INIT_CRC32C(fill->crc[nsections]);
		header->has_pieces = 1;
		fill->pieces = palloc(Max(last->bytes, sizeof(pg_crc32c)));
	}
	header->bytes = bytes;
	fill->key = *key;
	cache_path(path, key);
	snprintf(fill->path, MAXPGPATH, "%s.fill%d", path, MyProcPid);

	if (!make_room(bytes, pieces ? CACHE_BUSY_SECONDS : 0))
	{
		errno = ENOSPC;
		if (!pieces)
			warn_once("make room for", path);
		pfree(fill);
		return NULL;
	}
	(void) MakePGDirectory(CACHE_DIR);
	fill->fd = OpenTransientFile(fill->path, O_RDWR | O_CREAT | O_TRUNC | PG_BINARY);
	if (fill->fd < 0)
	{
		warn_once("create", fill->path);
		pfree(fill);
		return NULL;
	}
	fill->callback.func = fill_cleanup;
	fill->callback.arg = fill;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &fill->callback);

	/* allocate the space now, so that a full disk is met before the work */
	do
	{
		CHECK_FOR_INTERRUPTS();
		rc = posix_fallocate(fill->fd, 0, bytes);
	} while (rc == EINTR);
	if (MILVUS_DEBUG_FAILS("cache-allocate"))
		rc = ENOSPC;
	if (rc == EINVAL || rc == EOPNOTSUPP)
		rc = ftruncate(fill->fd, bytes) == 0 ? 0 : errno;
	if (rc != 0)
	{
		errno = rc;
		warn_once("allocate space for", fill->path);
		CloseTransientFile(fill->fd);
		unlink(fill->path);
		return NULL;
	}
	return fill;
}

SegmentCacheFill *
SegmentCacheBegin(const SegmentCacheKey *key, const SegmentSection *sections, int nsections)
{
	Assert(nsections <= SEGMENT_MAX_SECTIONS);
	return begin_fill(key, sections, nsections, false);
}

SegmentCacheFill *
SegmentCacheBeginPieces(const SegmentCacheKey *key, const SegmentSection *sections, int nsections)
{
	Assert(nsections < SEGMENT_MAX_SECTIONS);
	return begin_fill(key, sections, nsections, true);
}

/*
 * Add what is written at `at` of a section to the checksums of its pieces.
 */
static void
add_to_pieces(SegmentCacheFill *fill, uint32 section, uint64 at, const char *data, Size bytes)
{
	pg_crc32c  *crc = fill->pieces + count_pieces(fill->header.sections, section) + at / SEGMENT_PIECE_BYTES;

	while (bytes > 0)
	{
		Size		in_piece = at % SEGMENT_PIECE_BYTES;
		Size		n = Min(bytes, SEGMENT_PIECE_BYTES - in_piece);

		if (in_piece == 0)
			INIT_CRC32C(*crc);
		COMP_CRC32C(*crc, data, n);
		at += n;
		data += n;
		bytes -= n;
		if (at % SEGMENT_PIECE_BYTES == 0 || at == fill->header.sections[section].bytes)
		{
			FIN_CRC32C(*crc);
			crc++;
		}
	}
}

bool
SegmentCacheWrite(SegmentCacheFill *fill, uint32 section, uint64 offset, const void *data, Size bytes)
{
	CacheHeader *header = &fill->header;

	for (uint32 i = 0; i < header->nsections; i++)
	{
		const char *p = data;
		uint64		at = header->sections[i].offset + offset;

		if (header->sections[i].id != section)
			continue;
		if (offset != fill->done[i] || offset + bytes > header->sections[i].bytes)
			elog(ERROR, "section %u of a vector cache file was not written in order", section);
		if (fill->pieces == NULL || section == CACHE_PIECES)
			COMP_CRC32C(fill->crc[i], data, bytes);
		else
			add_to_pieces(fill, i, offset, data, bytes);
		fill->done[i] += bytes;
		while (bytes > 0)
		{
			ssize_t		n = MILVUS_DEBUG_FAILS("cache-write") ? 0 :
				pg_pwrite(fill->fd, p, Min(bytes, PACE_BYTES), at);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
			{
				if (n == 0)
					errno = ENOSPC;
				warn_once("write", fill->path);
				return false;
			}
			p += n;
			at += n;
			bytes -= n;
			if (SegmentPace != NULL)
				SegmentPace(0, n);
		}
		return true;
	}
	elog(ERROR, "vector cache file has no section %u", section);
}

bool
SegmentCachePublish(SegmentCacheFill *fill)
{
	CacheHeader *header = &fill->header;
	char		path[MAXPGPATH];
	bool		good;

	if (fill->pieces != NULL &&
		!SegmentCacheWrite(fill, CACHE_PIECES, 0, fill->pieces, header->sections[header->nsections - 1].bytes))
		return false;
	for (uint32 i = 0; i < header->nsections; i++)
	{
		if (fill->done[i] != header->sections[i].bytes)
			elog(ERROR, "section %u of a vector cache file is not complete", header->sections[i].id);
		FIN_CRC32C(fill->crc[i]);
		header->sections[i].crc = fill->crc[i];
	}
	INIT_CRC32C(header->crc);
	COMP_CRC32C(header->crc, header, offsetof(CacheHeader, crc));
	FIN_CRC32C(header->crc);
	/* written in this server life: what was checksummed is what is mapped */
	header->stamp = (uint64) PgStartTime;
	cache_path(path, &fill->key);
	good = pg_pwrite(fill->fd, header, sizeof(CacheHeader), 0) == sizeof(CacheHeader);
	good = CloseTransientFile(fill->fd) == 0 && good;
	fill->fd = -1;
	if (good && rename(fill->path, path) == 0)
	{
		fill->published = true;
		return true;
	}
	warn_once("finish", fill->path);
	return false;
}

/*
 * What is not published is unlinked with the memory context; the descriptor would
 * stay until the end of the transaction, with a warning there.
 */
void
SegmentCacheEnd(SegmentCacheFill *fill)
{
	if (fill->fd >= 0)
		CloseTransientFile(fill->fd);
	fill->fd = -1;
}

typedef struct SweepState
{
	char		prefix[MAXPGPATH];
	const SegmentId *ids;
	int			nids;
	int			nbytes;			/* of ids that count */
	uint64		bytes;
} SweepState;

static void
sweep_visit(const char *name, const char *path, struct stat *st, void *arg)
{
	SweepState *state = arg;
	size_t		len = strlen(state->prefix);

	if (strncmp(name, state->prefix, len) != 0)
		return;
	/* of a process that is at it; what dead ones left goes in SegmentCacheSweepUnknown() */
	if (strstr(name + len, ".fill") != NULL)
		return;
	for (int i = 0; i < state->nids; i++)
	{
		char		hex[2 * SEG_ID_LEN + 1];

		SegmentIdToString(&state->ids[i], hex);
		if (strncmp(name + len, hex, 2 * state->nbytes) == 0)
			return;
	}
	unlink(path);
}

void
SegmentCacheSweepPrefix(Relation rel, const SegmentId *ids, int nids, int nbytes)
{
	SweepState	state = {0};

	cache_prefix(state.prefix, RelationLocatorSpace(rel), RelationLocatorDatabase(rel),
				 RelationLocatorNumber(rel));
	state.ids = ids;
	state.nids = nids;
	state.nbytes = nbytes;
	walk_cache(sweep_visit, &state);
}

void
SegmentCacheSweep(Relation rel, const SegmentId *ids, int nids)
{
	SegmentCacheSweepPrefix(rel, ids, nids, SEG_ID_LEN);
}

/*
 * Whether a relation is there; of another database's it is not known.
 */
static bool
relation_is_known(Oid space, Oid database, Oid relation)
{
	if (database == MyDatabaseId)
		return OidIsValid(RelidByRelfilenumber(space, relation));
	return SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database));
}

static void
unknown_visit(const char *name, const char *path, struct stat *st, void *arg)
{
	Oid			space;
	Oid			database;
	Oid			relation;
	const char *fill = strstr(name, ".fill");

	if (sscanf(name, "pgsql_tmp.%u.%u.%u.", &space, &database, &relation) != 3)
		return;
	/* a file that was being made when its process died, or one of a relation that is gone */
	if (fill != NULL ? (kill(atoi(fill + 5), 0) != 0 && errno == ESRCH)
		: !relation_is_known(space, database, relation))
		unlink(path);
}

void
SegmentCacheSweepUnknown(void)
{
	walk_cache(unknown_visit, NULL);
}

static void
bytes_visit(const char *name, const char *path, struct stat *st, void *arg)
{
	SweepState *state = arg;

	if (strncmp(name, state->prefix, strlen(state->prefix)) == 0)
		state->bytes += st->st_size;
}

uint64
SegmentCacheBytes(Relation rel)
{
	SweepState	state = {0};

	cache_prefix(state.prefix, RelationLocatorSpace(rel), RelationLocatorDatabase(rel),
				 RelationLocatorNumber(rel));
	walk_cache(bytes_visit, &state);
	return state.bytes;
}
