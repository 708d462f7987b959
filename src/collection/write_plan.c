/*
 * write_plan.c
 *		Statements that write, run with a request's rows.
 *
 * Rows reach a statement as a relation that is there only while it runs, like the transition
 * tables of triggers; so one statement writes them all, and the server sees to rights,
 * row-level security, triggers, constraints, generated columns and indexes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "collection/plans.h"
#include "collection/write.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

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
	PlansBegin();
	PG_TRY();
	{
		/* keys do not change a plan, so it is made once for all */
		SPIPlanPtr	plan = PlanPrepare(collection, sql, "", params != NULL ? params->n : 0, params != NULL ? params->types : NULL,
									   params != NULL && params->has_filter ? 0 : CURSOR_OPT_GENERIC_PLAN);

		result = SPI_execute_plan(plan, params != NULL ? params->values : NULL, NULL, false, 0);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		PlansEnd();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		CollectionTranslateError(collection, error, -1);
		ReThrowError(error);
	}
	PG_END_TRY();
	PlansEnd();
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
