/*
 * write_plan.c
 *		Statements that write: prepared once a session, run with a request's rows.
 *
 * Rows reach a statement as a relation that is there only while it runs, like the transition
 * tables of triggers; so one statement writes them all, and the server sees to rights,
 * row-level security, triggers, constraints, generated columns and indexes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "collection/write.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

/* ---- prepared statements ---- */

/* Those of more collections, or shapes of rows, than fit are forgotten all at once. */
#define CACHE_ENTRIES 256

typedef struct PlanEntry
{
	uint64		hash;			/* hash key: of the bytes below */
	char	   *key;
	int			length;
	int			users;			/* calls that run it now */
	SPIPlanPtr	plan;			/* NULL: none yet */
} PlanEntry;

static HTAB *cache;

static void
forget_entry(PlanEntry *entry)
{
	if (entry->plan != NULL)
		SPI_freeplan(entry->plan);
	entry->plan = NULL;
	if (entry->key != NULL)
		pfree(entry->key);
	entry->key = NULL;
}

/* What a call further out runs (a trigger called us) stays. */
static void
forget_unused(void)
{
	HASH_SEQ_STATUS status;
	PlanEntry  *entry;

	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->users == 0)
		{
			forget_entry(entry);
			hash_search(cache, &entry->hash, HASH_REMOVE, NULL);
		}
}

/*
 * The entry of a statement, with its plan.  Connected to SPI.
 */
static PlanEntry *
find_plan(const Collection *collection, const char *sql, const WriteParams *params)
{
	StringInfoData key;
	PlanEntry  *entry;
	uint64		hash;
	bool		found;

	/* types of parameters follow from the text and the definition */
	initStringInfo(&key);
	appendBinaryStringInfo(&key, (const char *) &collection->generation, sizeof(uint64));
	appendBinaryStringInfo(&key, sql, strlen(sql));
	hash = hash_bytes_extended((unsigned char *) key.data, key.len, 0);

	if (cache == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(uint64),.entrysize = sizeof(PlanEntry)};

		cache = hash_create("milvus writes", CACHE_ENTRIES, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	/* a hash that two statements share: one more bit of it */
	for (;; hash++)
	{
		entry = hash_search(cache, &hash, HASH_FIND, NULL);
		if (entry == NULL || entry->plan == NULL ||
			(entry->length == key.len && memcmp(entry->key, key.data, key.len) == 0))
			break;
	}
	if (entry == NULL || entry->plan == NULL)
	{
		/* keys do not change a plan, so it is made once for all */
		SPIPlanPtr	plan = SPI_prepare_cursor(sql, params != NULL ? params->n : 0, params != NULL ? params->types : NULL,
											  params != NULL && params->has_filter ? 0 : CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
		if (hash_get_num_entries(cache) >= CACHE_ENTRIES)
			forget_unused();
		entry = hash_search(cache, &hash, HASH_ENTER, &found);
		if (!found || entry->plan == NULL)
		{
			if (!found)
				entry->users = 0;
			entry->plan = NULL;
			entry->length = key.len;
			entry->key = NULL;
			entry->key = MemoryContextAlloc(TopMemoryContext, key.len);
			memcpy(entry->key, key.data, key.len);
			SPI_keepplan(plan);
			entry->plan = plan;
		}
	}
	return entry;
}

/* ---- rows ---- */

char *
BatchColumn(int field)
{
	return psprintf("c%d", field + 1);
}

/*
 * The columns of a set of fields.  Only vectors' dimensions were checked before; for other
 * types the column's modifier (varchar(10)) is the server's business.
 */
static TupleDesc
describe_rows(const Collection *collection, const Bitmapset *fields)
{
	TupleDesc	desc = CreateTemplateTupleDesc(bms_num_members(fields));
	AttrNumber	n = 0;
	int			i = -1;

	while ((i = bms_next_member(fields, i)) >= 0)
	{
		const CollectionField *field = &collection->fields[i];

		TupleDescInitEntry(desc, ++n, BatchColumn(i), field->typid,
						   MilvusTypeIsVector(field->type) ? field->typmod : -1, 0);
		TupleDescInitEntryCollation(desc, n, field->collation);
	}
	return desc;
}

static Tuplestorestate *
store_rows(const WriteBatch *batch, const int *rows, int nrows, const Bitmapset *fields, TupleDesc desc)
{
	/* they are in memory once already */
	Tuplestorestate *store = tuplestore_begin_heap(false, false, Max(work_mem, 1024 * 1024));
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *isnull = palloc(sizeof(bool) * desc->natts);

	for (int r = 0; r < nrows; r++)
	{
		int			i = -1;
		int			n = 0;

		while ((i = bms_next_member(fields, i)) >= 0)
		{
			Size		at = BatchIndex(batch, rows != NULL ? rows[r] : r, i);

			values[n] = batch->values[at];
			isnull[n++] = batch->isnull[at];
		}
		tuplestore_putvalues(store, desc, values, isnull);
	}
	return store;
}

uint64
WriteExecute(const Collection *collection, const char *sql, const WriteParams *params,
			 const WriteBatch *batch, const int *rows, int nrows, const Bitmapset *fields,
			 WriteReturning returning, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	EphemeralNamedRelationData relation = {{0}};
	PlanEntry  *volatile entry = NULL;
	uint64		processed;
	int			result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (batch != NULL)
	{
		relation.md.name = BATCH_RELATION;
		relation.md.reliddesc = InvalidOid;
		relation.md.tupdesc = describe_rows(collection, fields);
		relation.md.enrtype = ENR_NAMED_TUPLESTORE;
		/* planned for few rows, whose keys are looked up one by one */
		relation.md.enrtuples = 1;
		relation.reldata = store_rows(batch, rows, nrows, fields, relation.md.tupdesc);
		if (SPI_register_relation(&relation) != SPI_OK_REL_REGISTER)
			elog(ERROR, "SPI_register_relation failed");
	}
	PG_TRY();
	{
		entry = find_plan(collection, sql, params);
		entry->users++;
		result = SPI_execute_plan(entry->plan, params != NULL ? params->values : NULL, NULL, false, 0);
		entry->users--;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (entry != NULL)
			entry->users--;
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		CollectionTranslateError(collection, error, -1);
		ReThrowError(error);
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	processed = SPI_processed;
	if (returning != NULL)
	{
		SPITupleTable *table = SPI_tuptable;

		MemoryContextSwitchTo(context);
		for (uint64 i = 0; i < table->numvals; i++)
		{
			bool		isnull;

			returning(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull), arg);
		}
	}
	if (batch != NULL)
		tuplestore_end(relation.reldata);
	SPI_finish();
	return processed;
}

/* ---- time to live ---- */

void
AppendTtl(const Collection *collection, StringInfo sql, bool expired)
{
	char	   *condition = CollectionTtlCondition(collection, "t");

	if (condition != NULL)
		appendStringInfo(sql, expired ? " AND (%s) IS NOT TRUE" : " AND %s", condition);
}

void
DeleteExpired(const Collection *collection, ArrayType *keys)
{
	StringInfoData sql;
	Oid			type = get_array_type(collection->primary->typid);
	Datum		value = PointerGetDatum(keys);
	WriteParams params = {1, &type, &value};

	/* who may not delete finds the key taken */
	if (collection->ttl_attnum == 0 || ArrayGetNItems(ARR_NDIM(keys), ARR_DIMS(keys)) == 0 ||
		pg_class_aclcheck(collection->relid, GetUserId(), ACL_DELETE) != ACLCHECK_OK ||
		pg_class_aclcheck(collection->relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s AS t WHERE t.%s OPERATOR(pg_catalog.=) ANY ($1)", collection->relation,
					 quote_identifier(collection->primary->column));
	AppendTtl(collection, &sql, true);
	WriteExecute(collection, sql.data, &params, NULL, NULL, 0, NULL, NULL, NULL);
}

/* ---- answers ---- */

Datum
WriteResult(FunctionCallInfo fcinfo, int64 count, Datum ids)
{
	TupleDesc	desc;
	Datum		values[3];
	bool		isnull[3] = {false, false, false};
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	values[n++] = Int64GetDatum(count);
	if (desc->natts == 3)
		values[n++] = ids;
	values[n++] = Int64GetDatum(MilvusAllocTimestamp());
	return HeapTupleGetDatum(heap_form_tuple(desc, values, isnull));
}
