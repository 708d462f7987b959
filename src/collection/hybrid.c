/*
 * hybrid.c
 *		milvus.hybrid_search: several searches whose hits become one list.
 *
 * The sub-requests, and the statement that reads the entities of the list, run with the
 * caller's snapshot, so all of them see the same rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "guc.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(milvus_hybrid_search);

#define INT_ARG(n, initial) (PG_ARGISNULL(n) ? (initial) : PG_GETARG_INT32(n))
#define LIST_ARG(n) (PG_ARGISNULL(n) ? NIL : TextArrayToList(PG_GETARG_ARRAYTYPE_P(n)))

typedef enum GroupScorer
{
	SCORER_MAX,
	SCORER_SUM,
	SCORER_AVG
} GroupScorer;

/* An entity that one or more sub-requests found. */
typedef struct Candidate
{
	Datum		id;
	int			request;		/* that found it */
	int			place;			/* among that one's hits, from 0 */
	double		score;
	const Hit  *hit;
	const char *group;
	int			group_number;	/* of its group in the answer */
} Candidate;

typedef struct Hybrid
{
	const Collection *collection;
	int			nrequests;
	SearchRequest *requests;
	Hits	   *hits;
	Ranker	   *ranker;
	GroupScorer scorer;
	int64		limit;
	int64		offset;
	int			round_decimal;
	const char *group_by;
	int			group_size;
	bool		strict_group_size;
	Output	   *output;
	Oid			id_type;
	bool		ascending;
	bool		to_greater;		/* distances are turned round */
	MemoryContext context;		/* of one query */
	/* reading entities */
	int			nfound;
	Candidate **found;			/* by id */
	Jsonb	  **entities;
} Hybrid;

/* ---- reading ---- */

static void
read_sub_request(Hybrid *hybrid, SearchRequest *request, JsonbContainer *object, List *partition_names, const char *timezone)
{
	JsonbValue	value;
	int64		limit = 10;

	if (object == NULL || !JsonContainerIsObject(object))
		MilvusInvalidParameter("a request of hybrid_search should be an object");
	memset(request, 0, sizeof(*request));
	request->collection = hybrid->collection;
	request->where.partition_names = partition_names;
	request->timezone = timezone;
	request->round_decimal = -1;
	request->group_by = hybrid->group_by;
	request->group_size = hybrid->group_size;
	request->strict_group_size = hybrid->strict_group_size;
	if (JsonGet(object, "data", &value))
		request->data = JsonText(&value);
	if (JsonGet(object, "ids", &value))
		request->search_ids = JsonbValueToJsonb(&value);
	if (JsonGetEither(object, "anns_field", "annsField", &value))
		request->anns_field = JsonText(&value);
	if (JsonGetEither(object, "expr", "filter", &value))
		request->where.filter = JsonText(&value);
	if (JsonGetEither(object, "expr_params", "filter_params", &value) || JsonGetEither(object, "exprParams", "filterParams", &value))
		request->where.filter_params = JsonbValueToJsonb(&value);
	if (JsonGetEither(object, "param", "search_params", &value) || JsonGetEither(object, "searchParams", "params", &value))
	{
		if (JsonToObject(&value) == NULL)
			MilvusInvalidParameter("param of a request of hybrid_search should be an object");
		request->search_params = JsonFromText(JsonText(&value));
	}
	if (JsonGetEither(object, "limit", "topk", &value) && !JsonToInt(&value, &limit))
		MilvusInvalidParameter("limit [%s] is invalid", JsonText(&value));
	if (JsonGet(object, "ranker", &value) && JsonToObject(&value) != NULL)
		request->ranker_json = JsonFromText(JsonText(&value));
	request->limit = limit;
	/* a request's own offset is none of Milvus's */
	request->offset = 0;
	RequestRead(request);
	if (request->offset != 0)
		MilvusInvalidParameter("offset is not supported in a request of hybrid_search");
}

static void
read_ranker(Hybrid *hybrid, Jsonb *json)
{
	JsonbValue	value;
	bool		any_similarity = false;
	bool		any_distance = false;
	const char *scorer = NULL;

	hybrid->ranker = RankerRead(hybrid->collection, json != NULL ? json : JsonFromText("{\"strategy\": \"rrf\"}"));
	if (hybrid->ranker->kind == RANK_WEIGHTED && hybrid->ranker->nweights != hybrid->nrequests)
		MilvusInvalidValue(psprintf("%d", hybrid->nrequests), psprintf("%d", hybrid->ranker->nweights),
						   "the length of weights param mismatch with ann search requests");
	if (hybrid->group_by != NULL && (hybrid->ranker->kind == RANK_DECAY || hybrid->ranker->kind == RANK_BOOST))
		MilvusInvalidParameter("a decay or boost ranker does not go with group_by_field");
	if (json != NULL && JsonGet(&json->root, "rank_group_scorer", &value))
		scorer = JsonText(&value);
	if (scorer == NULL || pg_strcasecmp(scorer, "max") == 0)
		hybrid->scorer = SCORER_MAX;
	else if (pg_strcasecmp(scorer, "sum") == 0)
		hybrid->scorer = SCORER_SUM;
	else if (pg_strcasecmp(scorer, "avg") == 0)
		hybrid->scorer = SCORER_AVG;
	else
		MilvusInvalidParameter("input group scorer type: %s is not supported!", scorer);
	for (int i = 0; i < hybrid->nrequests; i++)
	{
		any_similarity |= hybrid->requests[i].similarity;
		any_distance |= !hybrid->requests[i].similarity;
		/* columns that it asks of the rows stand among each statement's, unless a request has a ranker of its own */
		if ((hybrid->ranker->kind == RANK_DECAY || hybrid->ranker->kind == RANK_BOOST) && hybrid->requests[i].ranker != NULL)
			MilvusInvalidParameter("a request of hybrid_search has a ranker of its own, beside a decay or boost ranker");
	}
	/* distances alone are weighted as they are, small ones first */
	hybrid->ascending = hybrid->ranker->kind == RANK_WEIGHTED && !hybrid->ranker->norm_score && !any_similarity;
	hybrid->to_greater = hybrid->ranker->kind != RANK_WEIGHTED || (any_similarity && any_distance);
}

/* ---- one list of several ---- */

static int
by_id(const void *a, const void *b, void *arg)
{
	const Hybrid *hybrid = arg;
	const Candidate *x = a;
	const Candidate *y = b;
	int			order = CompareIds(hybrid->id_type, x->id, y->id);

	if (order != 0)
		return order;
	if (x->request != y->request)
		return x->request < y->request ? -1 : 1;
	return (x->place > y->place) - (x->place < y->place);
}

static int
by_score(const void *a, const void *b, void *arg)
{
	const Hybrid *hybrid = arg;
	const Candidate *x = a;
	const Candidate *y = b;

	if (x->score != y->score)
		return (x->score > y->score) == hybrid->ascending ? 1 : -1;
	return CompareIds(hybrid->id_type, x->id, y->id);
}

/*
 * What a request's hit adds to an entity's score.
 */
static double
part_of(const Hybrid *hybrid, const Candidate *candidate)
{
	const Ranker *ranker = hybrid->ranker;
	double		score = candidate->hit->score;
	MilvusMetric metric = hybrid->requests[candidate->request].metric;

	switch (ranker->kind)
	{
		case RANK_RRF:
			return 1 / (ranker->k + candidate->place + 1);
		case RANK_WEIGHTED:
			return ranker->weights[candidate->request] * NormalizeScore(score, metric, ranker->norm_score, hybrid->to_greater);
		default:
			return NormalizeScore(score, metric, ranker->norm_score, true);
	}
}

/*
 * The candidates of a query, best first; *n: how many.
 */
static Candidate *
fuse(Hybrid *hybrid, int *n)
{
	int			total = 0;
	int			kept = 0;
	Candidate  *all;

	for (int i = 0; i < hybrid->nrequests; i++)
		total += hybrid->hits[i].n;
	all = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Candidate) * Max(total, 1));
	total = 0;
	for (int i = 0; i < hybrid->nrequests; i++)
	{
		int			first,
					last;

		HitsFinish(&hybrid->hits[i], &first, &last);
		for (int j = first; j < last; j++)
		{
			const Hit  *hit = &hybrid->hits[i].hits[j];
			Candidate  *candidate = &all[total++];

			candidate->id = hit->id;
			candidate->request = i;
			candidate->place = j - first;
			candidate->hit = hit;
			candidate->group = hit->group >= 0 ? hit->group_name : NULL;
			candidate->group_number = 0;
		}
	}
	qsort_arg(all, total, sizeof(Candidate), by_id, hybrid);
	for (int i = 0; i < total;)
	{
		Candidate	candidate = all[i];
		int			count = 0;
		int			last_request = -1;
		double		score = 0;

		for (; i < total && CompareIds(hybrid->id_type, all[i].id, candidate.id) == 0; i++)
		{
			double		part;

			/* the best element of a list of vectors */
			if (all[i].request == last_request)
				continue;
			last_request = all[i].request;
			part = part_of(hybrid, &all[i]);
			if (count == 0 || hybrid->ranker->kind == RANK_RRF || hybrid->ranker->kind == RANK_WEIGHTED || hybrid->ranker->mode != MODE_MAX)
				score += part;
			else
				score = Max(score, part);
			count++;
		}
		if (hybrid->ranker->kind == RANK_DECAY || hybrid->ranker->kind == RANK_BOOST)
		{
			const SearchRequest *request = &hybrid->requests[candidate.request];

			if (hybrid->ranker->mode == MODE_AVG)
				score /= count;
			score = RankerScore(hybrid->ranker, score, candidate.id, hybrid->id_type,
								candidate.hit->values + request->rank_column, candidate.hit->isnull + request->rank_column);
		}
		candidate.score = (float) score;
		all[kept++] = candidate;
	}
	qsort_arg(all, kept, sizeof(Candidate), by_score, hybrid);
	*n = kept;
	return all;
}

typedef struct ResultGroup
{
	const char *name;
	int			n;
	Candidate **members;
	double		score;
} ResultGroup;

static int
by_group(const void *a, const void *b, void *arg)
{
	const Hybrid *hybrid = arg;
	const ResultGroup *x = a;
	const ResultGroup *y = b;

	if (x->score != y->score)
		return (x->score > y->score) == hybrid->ascending ? 1 : -1;
	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return CompareIds(hybrid->id_type, x->members[0]->id, y->members[0]->id);
}

static int
compare_names(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int
by_group_name(const void *a, const void *b, void *arg)
{
	const Candidate *x = a;
	const Candidate *y = b;
	int			order = compare_names(x->group, y->group);

	return order != 0 ? order : by_score(a, b, arg);
}

/*
 * Of each group its best, groups by their score.
 */
static Candidate *
take_groups(Hybrid *hybrid, Candidate *candidates, int *n)
{
	ResultGroup	   *groups = palloc0(sizeof(ResultGroup) * Max(*n, 1));
	Candidate  *result = palloc(sizeof(Candidate) * Max(*n, 1));
	int			ngroups = 0;
	int			kept = 0;

	qsort_arg(candidates, *n, sizeof(Candidate), by_group_name, hybrid);
	for (int i = 0; i < *n; i++)
	{
		ResultGroup	   *group = ngroups > 0 ? &groups[ngroups - 1] : NULL;

		if (group == NULL || compare_names(group->name, candidates[i].group) != 0)
		{
			group = &groups[ngroups++];
			group->name = candidates[i].group;
			group->members = palloc(sizeof(Candidate *) * hybrid->group_size);
		}
		if (group->n < hybrid->group_size)
			group->members[group->n++] = &candidates[i];
	}
	for (int i = 0; i < ngroups; i++)
	{
		double		sum = 0;

		for (int j = 0; j < groups[i].n; j++)
			sum += groups[i].members[j]->score;
		groups[i].score = hybrid->scorer == SCORER_MAX ? groups[i].members[0]->score :
			hybrid->scorer == SCORER_SUM ? sum : sum / groups[i].n;
	}
	qsort_arg(groups, ngroups, sizeof(ResultGroup), by_group, hybrid);
	for (int64 i = hybrid->offset; i < ngroups && i < hybrid->offset + hybrid->limit; i++)
	{
		if (hybrid->strict_group_size && groups[i].n < hybrid->group_size)
			continue;
		for (int j = 0; j < groups[i].n; j++)
			result[kept++] = *groups[i].members[j];
	}
	*n = kept;
	return result;
}

/* ---- entities ---- */

static int
find_by_id(const void *a, const void *b, void *arg)
{
	const Hybrid *hybrid = arg;

	return CompareIds(hybrid->id_type, (*(Candidate *const *) a)->id, (*(Candidate *const *) b)->id);
}

static bool
take_entity(TupleTableSlot *slot, void *arg)
{
	Hybrid	   *hybrid = arg;
	int			low = 0;
	int			high = hybrid->nfound - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			order = CompareIds(hybrid->id_type, slot->tts_values[0], hybrid->found[middle]->id);

		if (order == 0)
		{
			/* group_number is of no use any more: the place among the entities */
			hybrid->entities[hybrid->found[middle]->group_number] = OutputEntity(hybrid->output, slot->tts_values + 1, slot->tts_isnull + 1);
			break;
		}
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return true;
}

static void
read_entities(Hybrid *hybrid, Candidate *candidates, int n)
{
	StringInfoData sql;
	Params		params = {0};
	bool		is_text = MilvusTypeIsString(hybrid->collection->primary->type);
	Datum	   *ids = palloc(sizeof(Datum) * Max(n, 1));

	hybrid->entities = palloc0(sizeof(Jsonb *) * Max(n, 1));
	hybrid->found = palloc(sizeof(Candidate *) * Max(n, 1));
	hybrid->nfound = n;
	if (hybrid->output->nitems == 0 || n == 0)
	{
		for (int i = 0; i < n; i++)
			hybrid->entities[i] = OutputEntity(hybrid->output, NULL, NULL);
		return;
	}
	for (int i = 0; i < n; i++)
	{
		candidates[i].group_number = i;
		hybrid->found[i] = &candidates[i];
		ids[i] = candidates[i].id;
	}
	qsort_arg(hybrid->found, n, sizeof(Candidate *), find_by_id, hybrid);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", PrimarySql(hybrid->collection));
	OutputAppendColumns(hybrid->output, &sql);
	{
		Oid			element = hybrid->id_type == VARCHAROID ? TEXTOID : hybrid->id_type;
		int16		typlen;
		bool		typbyval;
		char		typalign;

		get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
		ParamsAdd(&params, get_array_type(element), PointerGetDatum(construct_array(ids, n, element, typlen, typbyval, typalign)));
	}
	appendStringInfo(&sql, " FROM %s AS " SEARCH_ALIAS " WHERE %s OPERATOR(pg_catalog.=) ANY ($1)", hybrid->collection->relation,
					 is_text ? psprintf("%s::pg_catalog.text", PrimarySql(hybrid->collection)) : PrimarySql(hybrid->collection));
	StatementRun(StatementPrepare(hybrid->collection, sql.data, "", &params, false), &params, take_entity, hybrid);
}

/* ---- the function ---- */

/*
 * hybrid_search(collection_name, reqs, ranker, limit, output_fields, partition_names, offset, round_decimal, group_by_field,
 *		group_size, strict_group_size, consistency_level, guarantee_timestamp, timezone, db_name)
 */
static void
hybrid_search(FunctionCallInfo fcinfo, SearchScope *scope)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Hybrid		hybrid = {0};
	List	   *requests;
	List	   *partition_names = LIST_ARG(5);
	ListCell   *cell;
	const char *timezone = TEXT_ARG(13);
	Jsonb	   *json;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	hybrid.limit = INT_ARG(3, 10);
	hybrid.offset = INT_ARG(6, 0);
	hybrid.round_decimal = INT_ARG(7, -1);
	hybrid.group_by = TEXT_ARG(8);
	hybrid.group_size = INT_ARG(9, 1);
	hybrid.strict_group_size = !PG_ARGISNULL(10) && PG_GETARG_BOOL(10);
	CheckConsistency(TEXT_ARG(11), !PG_ARGISNULL(12), PG_ARGISNULL(12) ? 0 : PG_GETARG_INT64(12));
	CheckTimezone(timezone);
	hybrid.collection = CollectionOpen(TEXT_ARG(14), TEXT_ARG(0), AccessShareLock, false);
	(void) PrimarySql(hybrid.collection);
	hybrid.id_type = hybrid.collection->primary->typid;
	if (hybrid.offset < 0)
		MilvusInvalidParameter("invalid max query result window, offset [" INT64_FORMAT "] is invalid, should be gte than 0", hybrid.offset);
	if (hybrid.limit <= 0)
		MilvusInvalidParameter("invalid max query result window, limit [" INT64_FORMAT "] is invalid, should be greater than 0", hybrid.limit);
	if (hybrid.offset + hybrid.limit > milvus_settings.max_result_window)
		MilvusInvalidParameter("invalid max query result window, (offset+limit) should be in range [1, %d], but got " INT64_FORMAT,
							   milvus_settings.max_result_window, hybrid.offset + hybrid.limit);
	CheckRoundDecimal(hybrid.round_decimal);
	if (hybrid.group_by != NULL)
		CheckGroupSize(hybrid.group_size);

	json = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	requests = json != NULL && JB_ROOT_IS_ARRAY(json) && !JB_ROOT_IS_SCALAR(json) ? JsonElements(&json->root) : NIL;
	if (requests == NIL)
		MilvusInvalidParameter("no search request in hybrid_search: reqs should be an array of objects");
	if (list_length(requests) > MAX_SUB_REQUESTS)
		MilvusInvalidParameter("maximum number of ann search requests is %d, but got %d", MAX_SUB_REQUESTS, list_length(requests));
	hybrid.requests = palloc0(sizeof(SearchRequest) * list_length(requests));
	hybrid.hits = palloc0(sizeof(Hits) * list_length(requests));
	foreach(cell, requests)
		read_sub_request(&hybrid, &hybrid.requests[hybrid.nrequests++], JsonToObject(lfirst(cell)), partition_names, timezone);
	for (int i = 1; i < hybrid.nrequests; i++)
		if (hybrid.requests[i].nq != hybrid.requests[0].nq)
			MilvusInvalidParameter("sub request nq mismatch: %d and %d", hybrid.requests[0].nq, hybrid.requests[i].nq);
	read_ranker(&hybrid, PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	hybrid.output = OutputRead(hybrid.collection, LIST_ARG(4), timezone);
	for (int i = 0; i < hybrid.nrequests; i++)
	{
		SearchRequest *request = &hybrid.requests[i];

		/* the list's ranker scores entities by columns of theirs */
		if (hybrid.ranker->kind == RANK_DECAY || hybrid.ranker->kind == RANK_BOOST)
			request->column_ranker = hybrid.ranker;
		RequestPrepare(request, false, false);
		hybrid.hits[i].request = request;
		hybrid.hits[i].context = AllocSetContextCreate(CurrentMemoryContext, "milvus search hits", ALLOCSET_DEFAULT_SIZES);
	}
	hybrid.context = AllocSetContextCreate(CurrentMemoryContext, "milvus hybrid search", ALLOCSET_DEFAULT_SIZES);

	for (int query = 0; query < hybrid.requests[0].nq; query++)
	{
		MemoryContext before;
		Candidate  *candidates;
		int			n;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < hybrid.nrequests; i++)
		{
			SearchScope settings = {0};

			/* each with its own ef, nprobe and the like */
			HitsReset(&hybrid.hits[i]);
			RequestApplySettings(&settings, &hybrid.requests[i]);
			HitsRun(&hybrid.hits[i], &hybrid.requests[i], query);
			ScopeEnd(&settings);
		}
		MemoryContextReset(hybrid.context);
		before = MemoryContextSwitchTo(hybrid.context);
		candidates = fuse(&hybrid, &n);
		if (hybrid.group_by != NULL)
			candidates = take_groups(&hybrid, candidates, &n);
		else
		{
			int			first = Min(hybrid.offset, n);

			n = Min(hybrid.offset + hybrid.limit, n) - first;
			candidates += first;
		}
		read_entities(&hybrid, candidates, n);
		for (int i = 0; i < n; i++)
		{
			Datum		values[4];
			bool		nulls[4] = {false, false, false, false};

			values[0] = Int32GetDatum(query);
			values[1] = CStringGetTextDatum(IdText(hybrid.id_type, candidates[i].id));
			values[2] = Float4GetDatum((float) RoundScore(candidates[i].score, hybrid.round_decimal));
			values[3] = JsonbPGetDatum(hybrid.entities[i]);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
		MemoryContextSwitchTo(before);
	}
}

Datum
milvus_hybrid_search(PG_FUNCTION_ARGS)
{
	return SearchCall(fcinfo, hybrid_search);
}
