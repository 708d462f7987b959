/*
 * coordgrowth.c
 *		Growth of tables: counted in each session, told to the queue when a
 *		transaction commits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "am/table/table.h"
#include "coord_bgworkers/coord_internal.h"
#include "guc.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Tables that a session remembers; more are forgotten together. */
#define MAX_TABLES 256
/* The queue hears of a table again after this share of a segment, or so many ms. */
#define TELL_SHARE 16
#define TELL_INTERVAL 10000
/* Young rows are sealed after so many ms at the earliest, however small the age that is asked for. */
#define MIN_DELAY 1000
/* A table's options are read again after so many ms. */
#define OPTIONS_INTERVAL 10000

typedef struct GrowthEntry
{
	Oid			relation;		/* key */
	uint64		rows;			/* committed, the queue has not heard of them */
	uint64		bytes;
	uint64		new_rows;		/* of this transaction */
	uint64		new_bytes;
	bool		touched;		/* in the list of this transaction's */
	struct GrowthEntry *next;
	TimestampTz told;			/* when the queue heard of the table; 0: never */
	int			job;			/* number of the job there, -1: there was no room */
	uint32		serial;
	TimestampTz read;			/* when the options were read; 0: never */
	uint64		limit_rows;		/* at which it is to be sealed; 0: it is not */
	uint64		limit_bytes;
	int			age;			/* s, -1: no sealing by age */
} GrowthEntry;

static struct
{
	HTAB	   *tables;
	GrowthEntry *touched;		/* to which this transaction added rows */
	bool		registered;
}			growth;

/*
 * Put a table's growth into the queue.  A launcher that is about to be started anew finds it there.
 */
static void
tell(GrowthEntry *entry, TimestampTz now)
{
	TimestampTz due = entry->age < 0 ? COORD_NEVER :
		TimestampTzPlusMilliseconds(now, Max((int64) entry->age * 1000, MIN_DELAY));
	int			database;

	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	database = CoordFindDatabase(MyDatabaseId, true);
	entry->job = -1;
	if (database >= 0)
	{
		coord_shared->databases[database].extension = COORD_PRESENT;
		entry->job = CoordQueue(database, entry->relation, COORD_SEAL, due, entry->rows, entry->bytes,
								entry->limit_rows, entry->limit_bytes);
	}
	if (entry->job >= 0)
		entry->serial = coord_shared->jobs[entry->job].serial;
	LWLockRelease(coord_shared->lock);
	entry->told = now;
	entry->rows = entry->bytes = 0;
}

/*
 * Whether the queue is to hear of growth now: there is much, or it has not heard for a while, or the job that
 * it was told for has begun since and may not see these rows.  The last is looked at without the lock: a job
 * that begins now has a newer snapshot than this transaction's end.
 */
static bool
is_time_to_tell(const GrowthEntry *entry, TimestampTz now)
{
	return entry->rows >= entry->limit_rows / TELL_SHARE ||
		entry->bytes >= entry->limit_bytes / TELL_SHARE ||
		TimestampDifferenceExceeds(entry->told, now, TELL_INTERVAL) ||
		(entry->job >= 0 && *(volatile uint32 *) &coord_shared->jobs[entry->job].serial != entry->serial);
}

/*
 * The transaction has committed.
 */
static void
commit_growth(void)
{
	TimestampTz now = GetCurrentTransactionStopTimestamp();

	for (GrowthEntry *entry = growth.touched; entry != NULL; entry = entry->next)
	{
		entry->rows += entry->new_rows;
		entry->bytes += entry->new_bytes;
		if (CoordPreloaded() && milvus_settings.max_workers > 0)
		{
			if (is_time_to_tell(entry, now))
				tell(entry, now);
		}
		else if (entry->rows >= entry->limit_rows || entry->bytes >= entry->limit_bytes)
		{
			if (!CoordPreloaded() && milvus_settings.background_seal)
				(void) CoordStartDynamic(entry->relation, COORD_SEAL, 0);
			entry->rows = entry->bytes = 0;
		}
	}
}

static void
transaction_ends(XactEvent event, void *arg)
{
	GrowthEntry *next;

	if (growth.touched == NULL ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE && event != XACT_EVENT_ABORT))
		return;
	if (event != XACT_EVENT_ABORT)
		commit_growth();
	for (GrowthEntry *entry = growth.touched; entry != NULL; entry = next)
	{
		next = entry->next;
		entry->new_rows = entry->new_bytes = 0;
		entry->touched = false;
		entry->next = NULL;
	}
	growth.touched = NULL;
}

static GrowthEntry *
find_entry(Oid relid)
{
	GrowthEntry *entry;
	bool		found;

	if (growth.tables != NULL && growth.touched == NULL && hash_get_num_entries(growth.tables) >= MAX_TABLES)
	{
		hash_destroy(growth.tables);
		growth.tables = NULL;
	}
	if (growth.tables == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(GrowthEntry),.hcxt = TopMemoryContext};

		growth.tables = hash_create("milvus growth", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(growth.tables, &relid, HASH_ENTER, &found);
	if (!found)
	{
		memset(entry, 0, sizeof(*entry));
		entry->relation = relid;
		entry->job = -1;
	}
	return entry;
}

static void
read_options(Relation rel, GrowthEntry *entry)
{
	TableOptions options;

	TableGetOptions(rel, &options);
	entry->limit_rows = options.auto_seal ? (uint64) options.segment_rows : 0;
	entry->limit_bytes = (uint64) options.segment_bytes;
	entry->age = options.segment_age;
	entry->read = GetCurrentStatementStartTimestamp();
	bms_free(options.bloom_columns);
}

void
TableNoteGrowth(Relation rel, uint64 rows, uint64 bytes)
{
	GrowthEntry *entry;

	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT ||
		rel->rd_rel->relkind != RELKIND_RELATION || rows == 0)
		return;
	if (!growth.registered)
	{
		RegisterXactCallback(transaction_ends, NULL);
		growth.registered = true;
	}
	entry = find_entry(RelationGetRelid(rel));
	if (entry->read == 0 ||
		TimestampDifferenceExceeds(entry->read, GetCurrentStatementStartTimestamp(), OPTIONS_INTERVAL))
		read_options(rel, entry);
	if (entry->limit_rows == 0)
		return;
	entry->new_rows += rows;
	entry->new_bytes += bytes;
	if (entry->touched)
		return;
	entry->touched = true;
	entry->next = growth.touched;
	growth.touched = entry;
}
