/*
 * delete.c
 *		milvus.delete(): rows by their keys, or by a filter.
 */
#include "postgres.h"

#include "collection/condition.h"
#include "collection/write.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(milvus_delete);

/*
 * milvus.delete(collection_name text, ids jsonb, filter text, filter_params jsonb, partition_name text, db_name text)
 *		RETURNS (delete_count bigint, "timestamp" bigint)
 */
Datum
milvus_delete(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	const CollectionPartition *partition;
	char	   *filter = TEXT_ARG(2);
	StringInfoData sql;
	WriteParams params = {0};
	uint64		count;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection_name should not be empty");
	if (filter != NULL && *filter == '\0')
		filter = NULL;
	if (!PG_ARGISNULL(1) && filter != NULL)
		MilvusInvalidParameter("Ambiguous filter parameter, only one deletion condition can be specified.");
	collection = CollectionOpen(TEXT_ARG(5), TEXT_ARG(0), RowExclusiveLock, false);
	partition = WritePartition(collection, TEXT_ARG(4));

	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM %s AS t WHERE ", collection->relation);
	if (!PG_ARGISNULL(1))
	{
		ArrayType  *keys = CollectionKeys(collection, PG_GETARG_JSONB_P(1));

		appendStringInfo(&sql, "t.%s OPERATOR(pg_catalog.=) ANY ($1)", quote_identifier(collection->primary->column));
		params.n = 1;
		params.types = palloc(sizeof(Oid));
		params.values = palloc(sizeof(Datum));
		params.types[0] = get_array_type(collection->primary->typid);
		params.values[0] = PointerGetDatum(keys);
	}
	else
	{
		FilterSQL  *compiled = CollectionCompileFilter(collection, filter, PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3),
													   "t", 1, NULL);

		/* truncate_collection() is the way to delete all rows */
		if (compiled->is_true)
			MilvusInvalidParameter("delete plan can't be empty or always true : %s", filter != NULL ? filter : "");
		appendStringInfoString(&sql, compiled->sql);
		params.n = compiled->nparams;
		params.has_filter = true;
		params.types = palloc(sizeof(Oid) * Max(params.n, 1));
		params.values = palloc(sizeof(Datum) * Max(params.n, 1));
		for (int i = 0; i < params.n; i++)
		{
			params.types[i] = compiled->params[i].type;
			params.values[i] = FilterParamDatum(&compiled->params[i]);
		}
	}
	if (partition != NULL && collection->partition_attnum != 0)
		appendStringInfo(&sql, " AND t.\"" COLLECTION_PARTITION_COLUMN "\" OPERATOR(pg_catalog.=) %d::pg_catalog.int2", partition->id);
	AppendTtl(collection, &sql, false);
	count = WriteExecute(collection, sql.data, &params, NULL, NULL, 0, NULL, NULL, NULL);
	PG_RETURN_DATUM(WriteResult(fcinfo, count, (Datum) 0));
}
