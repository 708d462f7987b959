/*
 * search.c
 *		milvus.search and milvus.search_rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(milvus_search);
PG_FUNCTION_INFO_V1(milvus_search_rows);

#define INT_ARG(n, initial) (PG_ARGISNULL(n) ? (initial) : PG_GETARG_INT32(n))
#define BOOL_ARG(n, initial) (PG_ARGISNULL(n) ? (initial) : PG_GETARG_BOOL(n))
#define JSONB_ARG(n) (PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n))
#define LIST_ARG(n) (PG_ARGISNULL(n) ? NIL : TextArrayToList(PG_GETARG_ARRAYTYPE_P(n)))

/*
 * search(collection_name, data, filter, limit, output_fields, search_params, anns_field, partition_names, filter_params,
 *		offset, round_decimal, group_by_field, group_size, strict_group_size, order_by_fields, ids, consistency_level,
 *		guarantee_timestamp, ranker, timezone, db_name)
 */
static void
read_arguments(FunctionCallInfo fcinfo, SearchRequest *request)
{
	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	memset(request, 0, sizeof(*request));
	request->data = TEXT_ARG(1);
	request->where.filter = TEXT_ARG(2);
	request->limit = INT_ARG(3, 10);
	request->output_names = LIST_ARG(4);
	request->search_params = JSONB_ARG(5);
	request->anns_field = TEXT_ARG(6);
	request->where.partition_names = LIST_ARG(7);
	request->where.filter_params = JSONB_ARG(8);
	request->offset = INT_ARG(9, 0);
	request->round_decimal = INT_ARG(10, -1);
	request->group_by = TEXT_ARG(11);
	request->group_size = INT_ARG(12, 1);
	request->strict_group_size = BOOL_ARG(13, false);
	request->order_by_names = LIST_ARG(14);
	request->search_ids = JSONB_ARG(15);
	CheckConsistency(TEXT_ARG(16), !PG_ARGISNULL(17), PG_ARGISNULL(17) ? 0 : PG_GETARG_INT64(17));
	request->ranker_json = JSONB_ARG(18);
	request->timezone = TEXT_ARG(19);
	request->collection = CollectionOpen(TEXT_ARG(20), TEXT_ARG(0), AccessShareLock, false);
	RequestRead(request);
	RequestPrepare(request, false, true);
}

static Hits
begin_hits(SearchRequest *request, bool want_entity)
{
	Hits		hits = {
		.request = request,
		.want_entity = want_entity,
		.want_rows = !want_entity,
		.context = AllocSetContextCreate(CurrentMemoryContext, "milvus search hits", ALLOCSET_DEFAULT_SIZES),
	};

	return hits;
}

/*
 * "offset" of a hit in a list of vectors stands in the entity, as in Milvus's answer.
 */
Jsonb *
EntityWithOffset(Jsonb *entity, int64 element)
{
	return JsonWith(entity, "offset", psprintf(INT64_FORMAT, element));
}

static void
tell_entities(Hits *hits, int query, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	const SearchRequest *request = hits->request;
	bool		is_text = hits->id_type == TEXTOID || hits->id_type == VARCHAROID;
	int			first,
				last;

	HitsFinish(hits, &first, &last);
	for (int i = first; i < last; i++)
	{
		Hit		   *hit = &hits->hits[i];
		Datum		values[4];
		bool		nulls[4] = {false, false, false, false};

		if (request->target == TARGET_ELEMENT)
			hit->entity = EntityWithOffset(hit->entity, hit->element);
		values[0] = Int32GetDatum(query);
		values[1] = is_text ? hit->id : CStringGetTextDatum(IdText(hits->id_type, hit->id));
		values[2] = Float4GetDatum((float) RoundScore(hit->score, request->round_decimal));
		values[3] = JsonbPGetDatum(hit->entity);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

static void
search(FunctionCallInfo fcinfo, SearchScope *scope)
{
	SearchRequest request;
	Hits		hits;

	read_arguments(fcinfo, &request);
	RequestApplySettings(scope, &request);
	hits = begin_hits(&request, true);
	HitsRunAll(&hits, &request, tell_entities, fcinfo->resultinfo);
}

Datum
milvus_search(PG_FUNCTION_ARGS)
{
	return SearchCall(fcinfo, search);
}

/*
 * ERROR unless the caller's columns are those of the answer.
 */
static void
check_columns(const SearchRequest *request, TupleDesc desc)
{
	int			n = 3 + request->output->nitems + (request->target == TARGET_ELEMENT ? 1 : 0);
	int			column = 3;

	for (int i = 0; i < request->output->nitems; i++)
		if (request->output->items[i].kind == OUTPUT_STRUCT)
			n += request->output->items[i].ncolumns - 1;
	if (desc->natts != n)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the column definition list has %d columns, the answer has %d", desc->natts, n)));
#define CHECK(i, type) \
	if (TupleDescAttr(desc, (i))->atttypid != (type)) \
		ereport(ERROR, \
				(errcode(ERRCODE_DATATYPE_MISMATCH), \
				 errmsg("column %d of the answer is of type %s, not %s", (i) + 1, format_type_be(type), \
						format_type_be(TupleDescAttr(desc, (i))->atttypid))))
	CHECK(0, INT4OID);
	CHECK(1, request->collection->primary->typid);
	CHECK(2, FLOAT4OID);
	if (request->target == TARGET_ELEMENT)
	{
		CHECK(3, INT8OID);
		column++;
	}
	for (int i = 0; i < request->output->nitems; i++)
	{
		const OutputItem *item = &request->output->items[i];

		for (int j = 0; j < item->ncolumns; j++, column++)
			CHECK(column, request->output->columns[item->column + j].typid);
	}
#undef CHECK
}

static void
tell_rows(Hits *hits, int query, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	const SearchRequest *request = hits->request;
	Datum	   *values = palloc(sizeof(Datum) * rsinfo->setDesc->natts);
	bool	   *nulls = palloc0(sizeof(bool) * rsinfo->setDesc->natts);
	int			first,
				last;

	HitsFinish(hits, &first, &last);
	for (int i = first; i < last; i++)
	{
		Hit		   *hit = &hits->hits[i];
		int			column = 3;

		values[0] = Int32GetDatum(query);
		values[1] = hit->id;
		values[2] = Float4GetDatum((float) RoundScore(hit->score, request->round_decimal));
		if (request->target == TARGET_ELEMENT)
			values[column++] = Int64GetDatum(hit->element);
		for (int j = 0; j < request->output->nitems; j++)
		{
			const OutputItem *item = &request->output->items[j];

			for (int k = 0; k < item->ncolumns; k++, column++)
			{
				int			from = request->output_column + item->column + k;

				values[column] = hit->values[from];
				nulls[column] = hit->isnull[from];
				if (item->kind == OUTPUT_KEY && !nulls[column])
				{
					Jsonb	   *meta = DatumGetJsonbP(values[column]);
					JsonbValue *value = JB_ROOT_IS_OBJECT(meta) ?
						getKeyJsonValueFromContainer(&meta->root, item->name, strlen(item->name), NULL) : NULL;

					nulls[column] = value == NULL;
					values[column] = value == NULL ? (Datum) 0 : JsonbPGetDatum(JsonbValueToJsonb(value));
				}
			}
		}
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

static void
search_rows(FunctionCallInfo fcinfo, SearchScope *scope)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SearchRequest request;
	Hits		hits;

	read_arguments(fcinfo, &request);
	check_columns(&request, rsinfo->setDesc);
	RequestApplySettings(scope, &request);
	hits = begin_hits(&request, false);
	HitsRunAll(&hits, &request, tell_rows, rsinfo);
}

Datum
milvus_search_rows(PG_FUNCTION_ARGS)
{
	return SearchCall(fcinfo, search_rows);
}
