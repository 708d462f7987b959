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
/* A table's options are read again after so many ms. */
#define OPTIONS_INTERVAL 10000

typedef struct GrowthEntry
{
	Oid			relation;		/* key */
	uint64		rows;			/* committed, the queue has not heard of them */
	uint64		bytes;
	uint64		new_rows;		/* of this transaction */
	uint64		new_bytes;
	TimestampTz told;			/* when the queue heard of the table; 0: never */
	TimestampTz read;			/* when the options were read; 0: never */
	uint64		limit_rows;		/* at which it is to be sealed; 0: it is not */
	uint64		limit_bytes;
	int			age;			/* s, -1: no sealing by age */
} GrowthEntry;

static struct
{
	HTAB	   *tables;
	bool		touched;		/* this transaction added rows */
	bool		registered;
}			growth;

/*
 * Put a table's growth into the queue.
 */
static void
tell(GrowthEntry *entry, TimestampTz now)
{
	TimestampTz due = entry->age < 0 ? COORD_NEVER :
		TimestampTzPlusMilliseconds(now, (int64) entry->age * 1000);
	int			database;

	LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
	database = coord_shared->launcher_pid == 0 ? -1 : CoordFindDatabase(MyDatabaseId, true);
	if (database >= 0)
	{
		coord_shared->databases[database].extension = COORD_PRESENT;
		(void) CoordQueue(database, entry->relation, COORD_SEAL, due, entry->rows, entry->bytes,
						  entry->limit_rows, entry->limit_bytes);
	}
	LWLockRelease(coord_shared->lock);
}

/*
 * The transaction has committed.
 */
static void
commit_growth(void)
{
	TimestampTz now = GetCurrentTransactionStopTimestamp();
	HASH_SEQ_STATUS status;
	GrowthEntry *entry;

	hash_seq_init(&status, growth.tables);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		bool		much;

		if (entry->new_rows == 0)
			continue;
		entry->rows += entry->new_rows;
		entry->bytes += entry->new_bytes;
		entry->new_rows = entry->new_bytes = 0;
		if (CoordPreloaded() && milvus_settings.max_workers > 0)
		{
			much = entry->rows >= entry->limit_rows / TELL_SHARE ||
				entry->bytes >= entry->limit_bytes / TELL_SHARE;
			if (!much && !TimestampDifferenceExceeds(entry->told, now, TELL_INTERVAL))
				continue;
			tell(entry, now);
		}
		else
		{
			if (entry->rows < entry->limit_rows && entry->bytes < entry->limit_bytes)
				continue;
			if (!CoordPreloaded() && milvus_settings.background_seal)
				(void) CoordStartDynamic(entry->relation, COORD_SEAL, 0);
		}
		entry->told = now;
		entry->rows = entry->bytes = 0;
	}
}

static void
abort_growth(void)
{
	HASH_SEQ_STATUS status;
	GrowthEntry *entry;

	hash_seq_init(&status, growth.tables);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->new_rows = entry->new_bytes = 0;
}

static void
transaction_ends(XactEvent event, void *arg)
{
	if (!growth.touched)
		return;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		commit_growth();
	else if (event == XACT_EVENT_ABORT)
		abort_growth();
	else
		return;
	growth.touched = false;
}

static GrowthEntry *
find_entry(Oid relid)
{
	GrowthEntry *entry;
	bool		found;

	if (growth.tables != NULL && !growth.touched && hash_get_num_entries(growth.tables) >= MAX_TABLES)
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
	growth.touched = true;
}
