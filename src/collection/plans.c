/*
 * plans.c
 *		Prepared statements of a session, of those that read and those that write.
 *
 * A plan is found by its text, the generation of its collection, and types, options and shape.  When
 * there are many, all are forgotten by the next call that is no other's; what is prepared until
 * then, by calls inside of one, is not kept.
 */
#include "postgres.h"

#include "collection/collection_internal.h"
#include "collection/plans.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define CACHE_ENTRIES 512

typedef struct PlanEntry
{
	uint64		hash;			/* hash key: of the bytes below */
	char	   *key;
	int			length;
	SPIPlanPtr	plan;			/* NULL: none yet */
} PlanEntry;

static HTAB *cache;

/* Calls that run now. */
static int	depth;

static void
forget_plans(void)
{
	HASH_SEQ_STATUS status;
	PlanEntry  *entry;

	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->plan != NULL)
			SPI_freeplan(entry->plan);
		if (entry->key != NULL)
			pfree(entry->key);
		hash_search(cache, &entry->hash, HASH_REMOVE, NULL);
	}
}

void
PlansBegin(void)
{
	if (depth == 0 && cache != NULL && hash_get_num_entries(cache) >= CACHE_ENTRIES)
		forget_plans();
	depth++;
}

void
PlansEnd(void)
{
	depth--;
}

/*
 * Keep a plan under a key, unless there is no room for it.
 */
static void
keep_plan(uint64 hash, StringInfo key, SPIPlanPtr plan)
{
	PlanEntry  *entry;
	bool		found;

	if (hash_get_num_entries(cache) >= CACHE_ENTRIES && depth > 1)
		return;
	entry = hash_search(cache, &hash, HASH_ENTER, &found);
	/* another of the same hash, which may be in use */
	if (found && entry->plan != NULL)
		return;
	entry->plan = NULL;
	entry->key = NULL;
	entry->length = key->len;
	entry->key = MemoryContextAlloc(TopMemoryContext, key->len);
	memcpy(entry->key, key->data, key->len);
	SPI_keepplan(plan);
	entry->plan = plan;
}

SPIPlanPtr
PlanPrepare(const Collection *collection, const char *sql, const char *shape, int nparams, const Oid *types, int cursor_options)
{
	MemoryContext before = CurrentMemoryContext;
	StringInfoData key;
	PlanEntry  *entry;
	uint64		hash;
	SPIPlanPtr	plan;

	Assert(depth > 0);
	initStringInfo(&key);
	appendBinaryStringInfo(&key, (const char *) &collection->generation, sizeof(collection->generation));
	appendBinaryStringInfo(&key, (const char *) &cursor_options, sizeof(cursor_options));
	appendBinaryStringInfo(&key, (const char *) &nparams, sizeof(nparams));
	if (nparams > 0)
		appendBinaryStringInfo(&key, (const char *) types, sizeof(Oid) * nparams);
	appendBinaryStringInfo(&key, shape, strlen(shape) + 1);
	appendBinaryStringInfo(&key, sql, strlen(sql));
	hash = hash_bytes_extended((unsigned char *) key.data, key.len, 0);

	if (cache == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(uint64),.entrysize = sizeof(PlanEntry)};

		cache = hash_create("milvus statements", CACHE_ENTRIES, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(cache, &hash, HASH_FIND, NULL);
	if (entry != NULL && entry->plan != NULL && entry->length == key.len && memcmp(entry->key, key.data, key.len) == 0)
	{
		pfree(key.data);
		return entry->plan;
	}
	plan = SPI_prepare_cursor(sql, nparams, unconstify(Oid *, types), cursor_options);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	MemoryContextSwitchTo(before);
	keep_plan(hash, &key, plan);
	pfree(key.data);
	return plan;
}
