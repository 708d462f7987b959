/*
 * iterator.c
 *		milvus.search_iterator and milvus.query_iterator: an answer in pages, each asked for
 *		with a token of the page before.
 *
 * A token says where the page ended: the distance and key of its last entity, or its key alone.
 * The next page begins behind it in the same order, so no entity is told twice, and one that is
 * there all the time is not missed.  Nothing is kept in the server.  What changes between two
 * pages is seen or not by where it lies; in a transaction of REPEATABLE READ all pages are of one
 * snapshot.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "common/hashfn.h"
#include "guc.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(milvus_search_iterator);
PG_FUNCTION_INFO_V1(milvus_query_iterator);

#define JSONB_ARG(n) (PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n))
#define LIST_ARG(n) (PG_ARGISNULL(n) ? NIL : TextArrayToList(PG_GETARG_ARRAYTYPE_P(n)))

/* ---- tokens ---- */

#define TOKEN_VERSION 1

typedef struct Token
{
	char		kind;			/* 's' of a search, 'q' of a query */
	uint64		request;		/* hash of what was asked for */
	int64		count;			/* entities given so far */
	int64		time;			/* hybrid time of the first page */
	double		distance;		/* of the last entity */
	int64		element;
	char	   *id;
} Token;

static char *
write_token(const Token *token)
{
	char	   *plain = psprintf("%d %c " UINT64_FORMAT " " INT64_FORMAT " " INT64_FORMAT " %.17g " INT64_FORMAT " %s", TOKEN_VERSION, token->kind,
								 token->request, token->count, token->time, token->distance, token->element, token->id);
	int			length = strlen(plain);
	char	   *text = palloc(length * 2 + 1);

	text[hex_encode(plain, length, text)] = '\0';
	return text;
}

static void
read_token(const char *text, char kind, uint64 request, Token *token)
{
	int			length = strlen(text);
	char	   *plain;
	int			version;
	unsigned long long hash;
	long long	count,
				time,
				element;

	if (length % 2 != 0 || (int) strspn(text, "0123456789abcdef") != length)
		MilvusInvalidParameter("invalid token format");
	plain = palloc(length / 2 + 1);
	plain[hex_decode(text, length, plain)] = '\0';
	/* the key is what is behind the seventh blank, whatever it has */
	token->id = plain;
	for (int i = 0; i < 7 && token->id != NULL; i++)
	{
		token->id = strchr(token->id, ' ');
		if (token->id != NULL)
			token->id++;
	}
	/* the key becomes a text of the server's */
	if (token->id == NULL || !pg_verify_mbstr(GetDatabaseEncoding(), token->id, strlen(token->id), true) ||
		sscanf(plain, "%d %c %llu %lld %lld %lg %lld", &version, &token->kind, &hash, &count, &time, &token->distance, &element) != 7 ||
		version != TOKEN_VERSION || count < 0)
		MilvusInvalidParameter("invalid token format");
	token->request = hash;
	token->count = count;
	token->time = time;
	token->element = element;
	if (token->kind != kind || token->request != request)
		MilvusInvalidParameter("the token is of another iterator: collection, data, filter, parameters and partitions must be the same for all pages");
}

static void
add_text(StringInfo key, const char *text)
{
	appendStringInfo(key, "%d:%s;", text != NULL ? (int) strlen(text) : -1, text != NULL ? text : "");
}

static void
add_list(StringInfo key, List *list)
{
	ListCell   *cell;

	foreach(cell, list)
		add_text(key, lfirst(cell));
	add_text(key, NULL);
}

static uint64
hash_request(StringInfo key)
{
	return hash_bytes_extended((unsigned char *) key->data, key->len, TOKEN_VERSION);
}

/*
 * A key as the token has it.
 */
static Datum
id_of_text(Oid type, const char *text)
{
	char	   *end;
	long long	number;

	if (type == TEXTOID || type == VARCHAROID)
		return CStringGetTextDatum(text);
	number = strtoll(text, &end, 10);
	if (*end != '\0' || end == text)
		MilvusInvalidParameter("invalid token format");
	return type == INT8OID ? Int64GetDatum(number) : type == INT4OID ? Int32GetDatum((int32) number) : Int16GetDatum((int16) number);
}

/*
 * How many entities this page may have: of `limit` in all, -1 means no end.
 */
static int64
page_size(int64 batch_size, int64 limit, int64 count)
{
	if (batch_size < 1 || batch_size > milvus_settings.max_topk)
		MilvusInvalidParameter("batch size is invalid, it should be in range [1, %d], but got " INT64_FORMAT, milvus_settings.max_topk, batch_size);
	if (limit < -1)
		MilvusInvalidParameter("limit [" INT64_FORMAT "] is invalid, it should be -1 or greater", limit);
	return limit < 0 ? batch_size : Max(0, Min(batch_size, limit - count));
}

/* ---- search_iterator ---- */

typedef struct Bound
{
	double		distance;
	Datum		id;
	int64		element;
	Oid			id_type;
} Bound;

/*
 * Was a hit on an earlier page?
 */
static bool
is_behind(const Hit *hit, void *arg)
{
	const Bound *bound = arg;
	int			order;

	/* NaN comes last */
	if (isnan(hit->distance) || isnan(bound->distance))
	{
		if (!isnan(hit->distance))
			return true;
		if (!isnan(bound->distance))
			return false;
	}
	else if (hit->distance != bound->distance)
		return hit->distance < bound->distance;
	order = CompareIds(bound->id_type, hit->id, bound->id);
	return order < 0 || (order == 0 && hit->element <= bound->element);
}

/*
 * search_iterator(collection_name, data, batch_size, filter, limit, output_fields, search_params, anns_field, partition_names,
 *		filter_params, round_decimal, token, db_name)
 */
static void
search_iterator(FunctionCallInfo fcinfo, SearchScope *scope)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	SearchRequest request = {0};
	int64		batch_size = PG_ARGISNULL(2) ? 1000 : PG_GETARG_INT32(2);
	int64		limit = PG_ARGISNULL(4) ? -1 : PG_GETARG_INT32(4);
	char	   *last = TEXT_ARG(11);
	StringInfoData key;
	Token		token = {.kind = 's',.time = MilvusAllocTimestamp()};
	Bound		bound;
	int64		size;
	Hits		hits = {0};

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	request.data = TEXT_ARG(1);
	request.where.filter = TEXT_ARG(3);
	request.output_names = LIST_ARG(5);
	request.search_params = JSONB_ARG(6);
	request.anns_field = TEXT_ARG(7);
	request.where.partition_names = LIST_ARG(8);
	request.where.filter_params = JSONB_ARG(9);
	request.round_decimal = PG_ARGISNULL(10) ? -1 : PG_GETARG_INT32(10);
	request.group_size = 1;
	request.collection = CollectionOpen(TEXT_ARG(12), TEXT_ARG(0), AccessShareLock, false);
	(void) page_size(batch_size, limit, 0);
	request.limit = batch_size;
	RequestRead(&request);
	if (request.group_by != NULL)
		MilvusInvalidParameter("Not allowed to do groupBy when doing iteration");
	if (request.offset != 0)
		MilvusInvalidParameter("Setting an offset is not permitted when using a search iterator");
	if (request.nq != 1)
		MilvusInvalidParameter("search iterator does not support processing multiple vectors simultaneously, nq is %d", request.nq);

	initStringInfo(&key);
	appendStringInfo(&key, "%u;", request.collection->relid);
	add_text(&key, request.data);
	add_text(&key, request.where.filter);
	add_text(&key, request.search_params != NULL ? JsonToText(request.search_params) : NULL);
	add_text(&key, request.field->name);
	add_list(&key, request.where.partition_names);
	add_text(&key, request.where.filter_params != NULL ? JsonToText(request.where.filter_params) : NULL);
	token.request = hash_request(&key);
	bound.id_type = request.collection->primary != NULL ? request.collection->primary->typid : InvalidOid;
	if (last != NULL)
	{
		read_token(last, 's', token.request, &token);
		bound.distance = token.distance;
		bound.id = id_of_text(bound.id_type, token.id);
		bound.element = token.element;
		hits.skip = is_behind;
		hits.skip_arg = &bound;
	}
	size = page_size(batch_size, limit, token.count);
	if (size == 0)
		return;
	RequestPrepare(&request, true, false);
	RequestApplySettings(scope, &request);
	hits.request = &request;
	hits.want_entity = true;
	hits.whole_ties = true;
	hits.wanted = size;
	hits.context = AllocSetContextCreate(CurrentMemoryContext, "milvus search hits", ALLOCSET_DEFAULT_SIZES);
	HitsRun(&hits, &request, 0);
	for (int i = 0; i < hits.n && i < size; i++)
	{
		Hit		   *hit = &hits.hits[i];
		Datum		values[4];
		bool		nulls[4] = {false, false, false, false};

		token.count++;
		token.distance = hit->distance;
		token.element = hit->element;
		token.id = IdText(hits.id_type, hit->id);
		if (request.target == TARGET_ELEMENT)
			hit->entity = EntityWithOffset(hit->entity, hit->element);
		values[0] = CStringGetTextDatum(token.id);
		values[1] = Float4GetDatum((float) RoundScore(hit->score, request.round_decimal));
		values[2] = JsonbPGetDatum(hit->entity);
		values[3] = CStringGetTextDatum(write_token(&token));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

Datum
milvus_search_iterator(PG_FUNCTION_ARGS)
{
	return SearchCall(fcinfo, search_iterator);
}

/* ---- query_iterator ---- */

typedef struct IteratorPage
{
	ReturnSetInfo *rsinfo;
	const Output *output;
	Oid			id_type;
	Token		token;
	MemoryContext context;		/* of one row */
} IteratorPage;

static bool
take_row(TupleTableSlot *slot, void *arg)
{
	IteratorPage	   *page = arg;
	MemoryContext before;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	MemoryContextReset(page->context);
	before = MemoryContextSwitchTo(page->context);
	page->token.count++;
	page->token.id = IdText(page->id_type, slot->tts_values[0]);
	values[0] = JsonbPGetDatum(OutputEntity(page->output, slot->tts_values + 1, slot->tts_isnull + 1));
	values[1] = CStringGetTextDatum(write_token(&page->token));
	tuplestore_putvalues(page->rsinfo->setResult, page->rsinfo->setDesc, values, nulls);
	MemoryContextSwitchTo(before);
	return true;
}

/*
 * query_iterator(collection_name, batch_size, limit, filter, output_fields, partition_names, filter_params, token, db_name)
 */
static void
query_iterator(FunctionCallInfo fcinfo, SearchScope *scope)
{
	int64		batch_size = PG_ARGISNULL(1) ? 1000 : PG_GETARG_INT32(1);
	int64		limit = PG_ARGISNULL(2) ? -1 : PG_GETARG_INT32(2);
	Where		where = {.filter = TEXT_ARG(3)};
	List	   *outputs = LIST_ARG(4);
	char	   *last = TEXT_ARG(7);
	const Collection *collection;
	IteratorPage		page = {.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo};
	StringInfoData key;
	StringInfoData sql;
	Params		params = {0};
	uint64		request;
	int64		size;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	where.partition_names = LIST_ARG(5);
	where.filter_params = JSONB_ARG(6);
	collection = where.collection = CollectionOpen(TEXT_ARG(8), TEXT_ARG(0), AccessShareLock, false);
	WhereCheckLoaded(&where);
	initStringInfo(&key);
	appendStringInfo(&key, "%u;", collection->relid);
	add_text(&key, where.filter);
	add_list(&key, where.partition_names);
	add_text(&key, where.filter_params != NULL ? JsonToText(where.filter_params) : NULL);
	request = hash_request(&key);
	page.token.kind = 'q';
	page.token.request = request;
	page.token.time = MilvusAllocTimestamp();
	(void) page_size(batch_size, limit, 0);
	if (last != NULL)
		read_token(last, 'q', request, &page.token);
	size = page_size(batch_size, limit, page.token.count);
	if (size == 0)
		return;

	if (outputs == NIL)
		outputs = list_make1(pstrdup("*"));
	(void) PrimarySql(collection);
	page.id_type = collection->primary->typid;
	page.output = OutputRead(collection, lcons(unconstify(char *, collection->primary->name), outputs), NULL);
	page.context = AllocSetContextCreate(CurrentMemoryContext, "milvus iterator row", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", PrimarySql(collection));
	OutputAppendColumns(page.output, &sql);
	appendStringInfo(&sql, " FROM %s AS " SEARCH_ALIAS, collection->relation);
	{
		int			length = sql.len;

		WhereAppend(&where, &sql, &params);
		if (last != NULL)
			appendStringInfo(&sql, "%s %s OPERATOR(pg_catalog.>) $%d", sql.len > length ? " AND" : " WHERE", PrimarySql(collection),
							 ParamsAdd(&params, page.id_type == VARCHAROID ? TEXTOID : page.id_type, id_of_text(page.id_type, page.token.id)));
	}
	appendStringInfo(&sql, " ORDER BY %s LIMIT " INT64_FORMAT, PrimarySql(collection), size);
	StatementRun(StatementPrepare(collection, sql.data, "", &params, false), &params, take_row, &page);
}

Datum
milvus_query_iterator(PG_FUNCTION_ARGS)
{
	return SearchCall(fcinfo, query_iterator);
}
