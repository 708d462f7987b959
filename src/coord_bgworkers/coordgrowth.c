/*
 * coordgrowth.c
 *		Growth of tables: counted in each session, told to the queue when a
 *		transaction commits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "coord_bgworkers/coord_internal.h"
#include "guc.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Tables that a session remembers; more are forgotten together. */
#define MAX_TABLES 256

typedef struct GrowthEntry
{
	Oid			relation;		/* key */
	uint64		rows;			/* not yet told */
	uint64		bytes;
	bool		touched;		/* by this transaction */
	TimestampTz told;			/* when the queue heard of the table last; 0: never */
} GrowthEntry;

static struct
{
	HTAB	   *tables;
	bool		touched;		/* some entry is */
	bool		registered;
}			growth;

/*
 * Tell the queue of what this transaction added.
 */
static void
tell(void)
{
	TimestampTz now = GetCurrentTransactionStopTimestamp();
	HASH_SEQ_STATUS status;
	GrowthEntry *entry;
	int			database = -1;
	bool		locked = false;

	hash_seq_init(&status, growth.tables);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!entry->touched)
			continue;
		entry->touched = false;
		if (!CoordPreloaded() || milvus_settings.max_workers == 0)
			continue;
		if (!locked)
		{
			LWLockAcquire(coord_shared->lock, LW_EXCLUSIVE);
			locked = true;
			database = CoordFindDatabase(MyDatabaseId, true);
			if (database >= 0)
				coord_shared->databases[database].extension = COORD_PRESENT;
		}
		if (database >= 0)
			(void) CoordQueue(database, entry->relation, COORD_SEAL,
							  TimestampTzPlusMilliseconds(now, (int64) milvus_settings.worker_naptime * 1000),
							  entry->rows, entry->bytes, 0, 0);
		entry->rows = entry->bytes = 0;
		entry->told = now;
	}
	if (locked)
		LWLockRelease(coord_shared->lock);
}

static void
forget(void)
{
	HASH_SEQ_STATUS status;
	GrowthEntry *entry;

	hash_seq_init(&status, growth.tables);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->touched)
		{
			entry->touched = false;
			entry->rows = entry->bytes = 0;
		}
}

static void
transaction_ends(XactEvent event, void *arg)
{
	if (!growth.touched)
		return;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		tell();
	else if (event == XACT_EVENT_ABORT)
		forget();
	else
		return;
	growth.touched = false;
}

void
TableNoteGrowth(Relation rel, uint64 rows, uint64 bytes)
{
	Oid			relid = RelationGetRelid(rel);
	GrowthEntry *entry;
	bool		found;

	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		return;
	if (!growth.registered)
	{
		RegisterXactCallback(transaction_ends, NULL);
		growth.registered = true;
	}
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
		entry->rows = entry->bytes = 0;
		entry->told = 0;
	}
	entry->rows += rows;
	entry->bytes += bytes;
	entry->touched = growth.touched = true;
}
