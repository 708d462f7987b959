/*
 * request.c
 *		A search as it was asked for, checked and completed: the field, its metric, search_params,
 *		limits; and its statement.
 *
 * Texts of errors are Milvus's.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "guc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "access/htup_details.h"

/* ---- limits ---- */

static void
check_limit(const char *name, int64 value, int64 highest)
{
	if (value < 1 || value > highest)
		MilvusInvalidParameter("%s [" INT64_FORMAT "] is invalid, it should be in range [1, " INT64_FORMAT "], but got " INT64_FORMAT,
							   name, value, highest, value);
}

void
CheckTopk(const char *name, int64 value)
{
	check_limit(name, value, milvus_settings.max_topk);
}

void
CheckNq(int64 nq)
{
	if (nq < 1 || nq > milvus_settings.max_nq)
		MilvusInvalidParameter("nq [" INT64_FORMAT "] is invalid, nq (number of search vector per search request) should be in range [1, %d], but got " INT64_FORMAT,
							   nq, milvus_settings.max_nq, nq);
}

void
CheckRoundDecimal(int round_decimal)
{
	if (round_decimal < -1 || round_decimal > 6)
		MilvusInvalidParameter("round_decimal [%d] is invalid, should be -1 or an integer in range [0, 6]", round_decimal);
}

void
CheckGroupSize(int64 group_size)
{
	if (group_size <= 0)
		MilvusInvalidParameter("input group size:" INT64_FORMAT " is negative, failed to do search_groupby", group_size);
	if (group_size > milvus_settings.max_group_size)
		MilvusInvalidParameter("input group size:" INT64_FORMAT " exceeds configured max group size:%d", group_size, milvus_settings.max_group_size);
}

double
RoundScore(double score, int round_decimal)
{
	double		factor;

	if (round_decimal < 0 || isnan(score) || isinf(score))
		return score;
	factor = pow(10.0, round_decimal);
	return floor(score * factor + 0.5) / factor;
}

static void
check_limits(const SearchRequest *request)
{
	CheckTopk("topk", request->limit);
	if (request->offset != 0)
	{
		check_limit("offset", request->offset, milvus_settings.max_result_window);
		check_limit("offset+topk", request->offset + request->limit, milvus_settings.max_result_window);
	}
	CheckRoundDecimal(request->round_decimal);
	if (request->group_by != NULL)
		CheckGroupSize(request->group_size);
}

/* ---- the field and its metric ---- */

static void
choose_field(SearchRequest *request)
{
	const Collection *collection = request->collection;

	if (request->anns_field == NULL || request->anns_field[0] == '\0')
	{
		if (collection->nvectors == 0)
			MilvusInvalidParameter("schema does not contain vector field");
		if (collection->nvectors > 1)
			MilvusInvalidParameter("multiple anns_fields exist, please specify a anns_field in search_params");
		request->field = collection->vectors[0];
		return;
	}
	request->field = CollectionFindField(collection, request->anns_field);
	if (request->field == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_FIELD_NOT_FOUND),
				 errmsg("failed to get field schema by name: fieldName(%s) not found: field not found[field=%s]",
						request->anns_field, request->anns_field)));
	if (!MilvusTypeIsVector(request->field->type))
		MilvusInvalidParameter("field (%s) to search is not of vector data type", request->anns_field);
}

static bool
is_max_sim(MilvusMetric metric)
{
	return metric >= METRIC_MAX_SIM;
}

/*
 * Of a field without index: what AUTOINDEX would take.
 */
static MilvusMetric
default_metric(const CollectionField *field)
{
	switch (field->type)
	{
		case MILVUS_BINARY_VECTOR:
			return METRIC_HAMMING;
		case MILVUS_SPARSE_VECTOR:
			return METRIC_IP;
		case MILVUS_ARRAY_OF_VECTOR:
			return field->element_type == MILVUS_BINARY_VECTOR ? METRIC_MAX_SIM_HAMMING : METRIC_MAX_SIM_COSINE;
		default:
			return METRIC_COSINE;
	}
}

static void
choose_metric(SearchRequest *request, const char *asked)
{
	const CollectionField *field = request->field;
	MilvusMetric metric = asked != NULL && *asked != '\0' ? MilvusMetricByName(asked) : METRIC_NONE;
	MilvusType	type = field->type == MILVUS_ARRAY_OF_VECTOR ? field->element_type : field->type;
	bool		allowed;

	request->metric = field->metric;
	if (asked != NULL && *asked != '\0' && field->metric != METRIC_NONE && metric != field->metric &&
		!(metric == METRIC_MAX_SIM && field->metric == METRIC_MAX_SIM_COSINE) &&
		!(metric == METRIC_MAX_SIM_COSINE && field->metric == METRIC_MAX_SIM))
		MilvusInvalidValue(MilvusMetricName(field->metric), asked, "metric type not match");
	if (request->metric == METRIC_NONE)
	{
		if (asked != NULL && *asked != '\0' && metric == METRIC_NONE)
			MilvusInvalidParameter("metric type %s is not supported", asked);
		request->metric = metric != METRIC_NONE ? metric : default_metric(field);
	}
	metric = request->metric;
	if (metric == METRIC_BM25)
		ereport(ERROR,
				(errmilvus(MILVUS_UNIMPLEMENTED),
				 errmsg("full-text search (metric type BM25) is not supported yet")));
	request->similarity = MilvusMetricIsSimilarity(metric);
	request->target = field->type != MILVUS_ARRAY_OF_VECTOR ? TARGET_VECTOR : is_max_sim(metric) ? TARGET_LIST : TARGET_ELEMENT;
	switch (metric)
	{
		case METRIC_L2:
		case METRIC_IP:
		case METRIC_COSINE:
			allowed = type != MILVUS_BINARY_VECTOR && (type != MILVUS_SPARSE_VECTOR || metric == METRIC_IP);
			request->score = metric == METRIC_L2 ? SCORE_SQUARE : metric == METRIC_IP ? SCORE_NEGATE : SCORE_COSINE;
			break;
		case METRIC_HAMMING:
		case METRIC_JACCARD:
		case METRIC_MHJACCARD:
			allowed = type == MILVUS_BINARY_VECTOR;
			request->score = SCORE_AS_IS;
			break;
		case METRIC_MAX_SIM:
		case METRIC_MAX_SIM_COSINE:
		case METRIC_MAX_SIM_IP:
			allowed = field->type == MILVUS_ARRAY_OF_VECTOR && type != MILVUS_BINARY_VECTOR;
			request->score = SCORE_NEGATE;
			break;
		case METRIC_MAX_SIM_L2:
			allowed = field->type == MILVUS_ARRAY_OF_VECTOR && type != MILVUS_BINARY_VECTOR;
			request->score = SCORE_AS_IS;
			break;
		case METRIC_MAX_SIM_HAMMING:
		case METRIC_MAX_SIM_JACCARD:
			allowed = field->type == MILVUS_ARRAY_OF_VECTOR && type == MILVUS_BINARY_VECTOR;
			request->score = SCORE_AS_IS;
			break;
		default:
			allowed = false;
	}
	if (!allowed)
		MilvusInvalidParameter("metric type %s is not supported for field %s of type %s", MilvusMetricName(metric), field->name, MilvusTypeName(field->type));
}

/* ---- search_params ---- */

/*
 * "params" of search_params, which may be a text: read here once.
 */
static void
read_params(SearchRequest *request)
{
	JsonbValue	value;

	if (request->search_params != NULL && JsonGet(&request->search_params->root, "params", &value) &&
		!JsonToObjectOrText(&value, &request->inner_params))
		MilvusInvalidParameter("params of search_params should be an object");
}

/*
 * A parameter: of "params", or of search_params itself.
 */
static bool
get_param(const SearchRequest *request, const char *key, JsonbValue *value)
{
	return JsonGet(request->inner_params, key, value) ||
		(request->search_params != NULL && JsonGet(&request->search_params->root, key, value));
}

static void
add_setting(SearchRequest *request, const char *name, const char *value)
{
	SearchSetting *setting = palloc(sizeof(SearchSetting));

	setting->name = name;
	setting->value = value;
	request->settings = lappend(request->settings, setting);
}

static bool
get_number(const SearchRequest *request, const char *key, double *number)
{
	JsonbValue	value;
	char	   *text;
	char	   *end;

	if (!get_param(request, key, &value))
		return false;
	text = JsonText(&value);
	*number = strtod(text, &end);
	if (value.type != jbvNumeric && (value.type != jbvString || end == text || *end != '\0' || isnan(*number)))
		MilvusInvalidParameter("Type conflict in json: param '%s' (%s) should be a number", key, text);
	return true;
}

/*
 * An integer within its range, as a setting of ours.
 */
static void
read_integer(SearchRequest *request, const char *key, int64 lowest, int64 highest, const char *setting, int64 most)
{
	JsonbValue	value;
	int64		number;

	if (!get_param(request, key, &value))
		return;
	if (!JsonToInt(&value, &number))
		MilvusInvalidParameter("Type conflict in json: param '%s' (%s) should be integer", key, JsonText(&value));
	if (number < lowest || number > highest)
		MilvusInvalidParameter("Out of range in json: param '%s' (" INT64_FORMAT ") should be in range [" INT64_FORMAT ", " INT64_FORMAT "]",
							   key, number, lowest, highest);
	if (setting != NULL)
		add_setting(request, setting, psprintf(INT64_FORMAT, Min(number, most)));
}

static void
read_float(SearchRequest *request, const char *key, double lowest, double highest, bool open, const char *setting, double most)
{
	double		number;

	if (!get_number(request, key, &number))
		return;
	if (number < lowest || number > highest || (open && number >= highest))
		MilvusInvalidParameter("Out of range in json: param '%s' (%g) should be in range [%g, %g%c", key, number, lowest, highest, open ? ')' : ']');
	if (setting != NULL)
		add_setting(request, setting, psprintf("%.17g", Min(number, most)));
}

static bool
begins_with(const char *text, const char *prefix)
{
	return pg_strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static void
read_bool(const SearchRequest *request, const char *key, bool *result)
{
	JsonbValue	value;

	if (get_param(request, key, &value) && !JsonToBool(&value, result))
		MilvusInvalidParameter("%s should be a boolean", key);
}

/*
 * What an index type's searches are asked for, under Milvus's names.  Others than its own are ignored.
 */
static void
read_index_params(SearchRequest *request)
{
	const char *type = request->field->index_type != NULL ? request->field->index_type : "FLAT";
	int64		k = Max(1, request->offset + request->limit);

	if (begins_with(type, "HNSW") || begins_with(type, "AUTOINDEX") || *type == '\0')
		read_integer(request, "ef", k, PG_INT32_MAX, "milvus.ef", 65536);
	if (begins_with(type, "AUTOINDEX"))
	{
		JsonbValue	value;
		int64		level;

		read_integer(request, "level", 1, 10, NULL, 0);
		/* 1 is the fastest, 10 the most exact */
		if (get_param(request, "level", &value) && JsonToInt(&value, &level))
			add_setting(request, "milvus.target_recall", psprintf("%.3f", 0.89 + 0.01 * level));
	}
	if (begins_with(type, "DISKANN") || begins_with(type, "AISAQ"))
		read_integer(request, "search_list", k, PG_INT32_MAX, "milvus.ef", 65536);
	if (begins_with(type, "IVF") || begins_with(type, "BIN_IVF") || begins_with(type, "SCANN") || begins_with(type, "GPU_IVF"))
		read_integer(request, "nprobe", 1, 65536, "milvus.nprobe", 65536);
	if (begins_with(type, "SCANN"))
		read_integer(request, "reorder_k", k, PG_INT32_MAX, "milvus.reorder_k", 65536);
	if (strstr(type, "RABITQ") != NULL)
		read_integer(request, "rbq_query_bits", 0, 8, "milvus.rbq_query_bits", 8);
	if (begins_with(type, "HNSW_") || begins_with(type, "IVF_") || begins_with(type, "SCANN") || begins_with(type, "AUTOINDEX"))
		read_float(request, "refine_k", 1, 1e9, false, "milvus.refine_k", 65536);
	if (request->field->type == MILVUS_SPARSE_VECTOR)
	{
		/* the search is exact: nothing is dropped */
		read_float(request, "drop_ratio_search", 0, 1, true, NULL, 0);
		read_float(request, "dim_max_score_ratio", 0.5, 1.3, false, NULL, 0);
	}
}

static void
read_range(SearchRequest *request)
{
	request->has_radius = get_number(request, "radius", &request->radius);
	request->has_range_filter = get_number(request, "range_filter", &request->range_filter);
	if (request->has_range_filter && !request->has_radius)
		MilvusInvalidParameter("range_filter is given without radius");
	if (!request->has_range_filter)
		return;
	if (!request->similarity && request->range_filter >= request->radius)
		MilvusInvalidParameter("range_filter must be less than radius for L2/HAMMING/JACCARD: range_filter %g, radius %g",
							   request->range_filter, request->radius);
	if (request->similarity && request->range_filter <= request->radius)
		MilvusInvalidParameter("range_filter must be greater than radius for IP/COSINE: range_filter %g, radius %g",
							   request->range_filter, request->radius);
}

/*
 * What pymilvus passes among search_params: taken where the argument itself was left out.
 */
static void
read_common_params(SearchRequest *request)
{
	JsonbValue	value;
	int64		number;
	bool		flag = false;

	if (get_param(request, "offset", &value) && request->offset == 0)
	{
		if (!JsonToInt(&value, &number))
			MilvusInvalidParameter("offset [%s] is invalid", JsonText(&value));
		request->offset = number;
	}
	if (get_param(request, "round_decimal", &value) && request->round_decimal == -1)
	{
		if (!JsonToInt(&value, &number))
			MilvusInvalidParameter("round_decimal [%s] is invalid, should be -1 or an integer in range [0, 6]", JsonText(&value));
		request->round_decimal = (int) Max(-2, Min(number, 100));
	}
	if (get_param(request, "group_by_field", &value) && request->group_by == NULL)
		request->group_by = JsonText(&value);
	if (get_param(request, "group_size", &value) && request->group_size == 1)
	{
		if (!JsonToInt(&value, &number))
			MilvusInvalidParameter("failed to parse input group size:%s", JsonText(&value));
		request->group_size = (int) Max(-1, Min(number, PG_INT32_MAX));
	}
	if (!request->strict_group_size)
		read_bool(request, "strict_group_size", &request->strict_group_size);
	/* rows that are not yet in a segment are found by every search */
	read_bool(request, "ignore_growing", &flag);
	if (get_param(request, "hints", &value))
	{
		char	   *hints = JsonText(&value);

		/* the planner chooses anyway */
		if (*hints != '\0' && strcmp(hints, "iterative_filter") != 0 && strcmp(hints, "disable") != 0)
			MilvusInvalidParameter("hints: %s not supported", hints);
	}
	if (request->anns_field == NULL && get_param(request, "anns_field", &value))
		request->anns_field = JsonText(&value);
	if (request->timezone == NULL && get_param(request, "timezone", &value))
		request->timezone = JsonText(&value);
}

/* ---- the request ---- */

static void
read_group(SearchRequest *request)
{
	const CollectionField *field;
	MilvusType	type;

	if (request->group_by == NULL)
		return;
	if (request->has_radius)
		MilvusInvalidParameter("Not allowed to do range-search when doing search-group-by");
	if (request->order_by_names != NIL)
		MilvusInvalidParameter("order_by is not supported when doing search-group-by");
	field = CollectionFindField(request->collection, request->group_by);
	if (field == NULL && request->collection->meta == NULL && strchr(request->group_by, '[') == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_FIELD_NOT_FOUND),
				 errmsg("groupBy field not found in schema: field not found[field=%s]", request->group_by)));
	(void) FieldPathSql(request->collection, request->group_by, request->timezone, &type, &request->group_type);
	if (!(type == MILVUS_BOOL || MilvusTypeIsInteger(type) || type == MILVUS_VARCHAR || type == MILVUS_TIMESTAMPTZ ||
		  (type == MILVUS_JSON && field == NULL)))
		MilvusInvalidParameter("unsupported data type %s for group by operator", MilvusTypeName(type));
}

void
RequestRead(SearchRequest *request)
{
	JsonbValue	value;
	ListCell   *cell;

	request->where.collection = request->collection;
	WhereCheckLoaded(&request->where);
	if (request->search_params != NULL && !JB_ROOT_IS_OBJECT(request->search_params))
		MilvusInvalidParameter("search_params should be an object");
	read_params(request);
	read_common_params(request);
	CheckTimezone(request->timezone);
	request->where.timezone = request->timezone;
	check_limits(request);
	choose_field(request);
	choose_metric(request, get_param(request, "metric_type", &value) ? JsonText(&value) : NULL);
	read_index_params(request);
	read_range(request);
	read_group(request);
	request->order = palloc(sizeof(SortKey *) * (list_length(request->order_by_names) + 1));
	foreach(cell, request->order_by_names)
		request->order[request->norder++] = SortKeyRead(request->collection, lfirst(cell), request->timezone);
	if (request->ranker_json != NULL)
	{
		request->ranker = RankerRead(request->collection, request->ranker_json);
		if (request->ranker->kind != RANK_DECAY && request->ranker->kind != RANK_BOOST)
			MilvusInvalidParameter("a search takes a decay or boost ranker, rrf and weighted are for hybrid_search");
		if (request->group_by != NULL || request->norder > 0)
			MilvusInvalidParameter("a ranker does not go with group_by_field or order_by_fields");
	}
	request->output = OutputRead(request->collection, request->output_names, request->timezone);
	ReadVectors(request);
}

void
RequestApplySettings(SearchScope *scope, const SearchRequest *request)
{
	ListCell   *cell;

	foreach(cell, request->settings)
	{
		SearchSetting *setting = lfirst(cell);

		ScopeSet(scope, setting->name, setting->value);
	}
	/* a plan that gives its first rows soon: there may be no end to them */
	if (request->streams)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(request->collection->relid));
		double		rows = 1000;

		if (HeapTupleIsValid(tuple))
		{
			rows = Max(rows, ((Form_pg_class) GETSTRUCT(tuple))->reltuples);
			ReleaseSysCache(tuple);
		}
		ScopeSet(scope, "cursor_tuple_fraction", psprintf("%g", Min(1.0, 10.0 * (request->offset + request->limit) * request->group_size / rows)));
	}
}

/* ---- the statement ---- */

static const char *
type_schema(Oid typid)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(typid));
	const char *schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", typid);
	schema = quote_identifier(get_namespace_name(((Form_pg_type) GETSTRUCT(tuple))->typnamespace));
	ReleaseSysCache(tuple);
	return schema;
}

static const char *
operator_of(MilvusMetric metric)
{
	switch (metric)
	{
		case METRIC_L2:
			return "<->";
		case METRIC_IP:
			return "<#>";
		case METRIC_COSINE:
			return "<=>";
		case METRIC_HAMMING:
		case METRIC_MAX_SIM_HAMMING:
			return "<~>";
		case METRIC_JACCARD:
		case METRIC_MAX_SIM_JACCARD:
			return "<%>";
		case METRIC_MHJACCARD:
			return "<%%>";
		default:
			elog(ERROR, "no operator for metric %d", (int) metric);
	}
}

/*
 * The distance to the vector, $1 or one of its elements, smaller is nearer.
 */
static void
append_distance(const SearchRequest *request, StringInfo sql)
{
	const CollectionField *field = request->field;
	Oid			type = field->type == MILVUS_ARRAY_OF_VECTOR ? get_element_type(field->typid) : field->typid;
	const char *schema = type == BITOID ? quote_identifier(get_namespace_name(MilvusTypeNamespace())) : type_schema(type);
	const char *column = ColumnSql(field->column);
	const char *vector = request->batched ? "q.v" : "$1";

	switch (request->target)
	{
		case TARGET_VECTOR:
			appendStringInfo(sql, "%s OPERATOR(%s.%s) %s", column, schema, operator_of(request->metric), vector);
			return;
		case TARGET_ELEMENT:
			appendStringInfo(sql, "v.v OPERATOR(%s.%s) $1", schema, operator_of(request->metric));
			return;
		case TARGET_LIST:
			break;
	}
	if (type == BITOID)
		appendStringInfo(sql, "(SELECT pg_catalog.sum(d.d) FROM (SELECT pg_catalog.min(q.v OPERATOR(%s.%s) e.v) AS d"
						 " FROM pg_catalog.unnest($1) WITH ORDINALITY AS q(v, n), pg_catalog.unnest(%s) AS e(v) GROUP BY q.n) AS d)",
						 schema, operator_of(request->metric), column);
	else
	{
		const char *cast = field->element_type == MILVUS_FLOAT_VECTOR ? "" : psprintf("::%s.vector[]", schema);

		appendStringInfo(sql, "%s%s.%s($1%s, %s%s)", request->metric == METRIC_MAX_SIM_L2 ? "" : "OPERATOR(pg_catalog.-) ", schema,
						 request->metric == METRIC_MAX_SIM_L2 ? "max_sim_l2" : request->metric == METRIC_MAX_SIM_IP ? "max_sim_ip" : "max_sim_cosine",
						 cast, column, cast);
	}
}

/*
 * The statement that finds rows for one vector, $1, in the order of distance.  Hits that are left out (iterators),
 * groups and nearest rows that are too near make the number of rows unknown: then it streams.  allow_batch: it may be one
 * statement for all vectors, for HitsRunAll.
 */
void
RequestPrepare(SearchRequest *request, bool skips, bool allow_batch)
{
	StringInfoData sql;
	StringInfoData shape;
	int			next = 2;
	ListCell   *cell;
	const char *element_schema = NULL;

	request->params = palloc0(sizeof(Params));
	request->streams = skips || request->group_by != NULL || request->has_range_filter;
	/* without an index many vectors are compared with each row that is read, by a matrix product */
	request->batched = allow_batch && request->nq > 1 && !request->streams && request->target == TARGET_VECTOR &&
		!OidIsValid(request->field->index) && request->field->type != MILVUS_SPARSE_VECTOR;
	ParamsAdd(request->params, request->batched ? get_array_type(request->vector_type) : request->vector_type, (Datum) 0);

	initStringInfo(&sql);
	if (request->batched)
		appendStringInfoString(&sql, "SELECT s.*, q.n FROM pg_catalog.unnest($1) WITH ORDINALITY AS q(v, n) CROSS JOIN LATERAL (");
	appendStringInfoString(&sql, "SELECT ");
	append_distance(request, &sql);
	appendStringInfo(&sql, ", %s", PrimarySql(request->collection));
	if (request->target == TARGET_ELEMENT)
	{
		appendStringInfoString(&sql, ", v.n");
		request->offset_column = next++;
	}
	if (request->group_by != NULL)
	{
		MilvusType	type;

		appendStringInfo(&sql, ", %s", FieldPathSql(request->collection, request->group_by, request->timezone, &type, &request->group_type));
		request->group_column = next++;
	}
	request->order_column = next;
	for (int i = 0; i < request->norder; i++, next++)
		appendStringInfo(&sql, ", %s", request->order[i]->sql);
	request->rank_column = next;
	if (request->column_ranker == NULL)
		request->column_ranker = request->ranker;
	if (request->column_ranker != NULL)
	{
		RankerAppendColumns(request->column_ranker, request->collection, &sql, request->params, request->timezone);
		next += request->column_ranker->ncolumns;
	}
	request->output_column = next;
	OutputAppendColumns(request->output, &sql);
	appendStringInfo(&sql, " FROM %s AS " SEARCH_ALIAS, request->collection->relation);
	if (request->target == TARGET_ELEMENT)
		appendStringInfo(&sql, " CROSS JOIN LATERAL pg_catalog.unnest(%s) WITH ORDINALITY AS v(v, n)", ColumnSql(request->field->column));
	{
		int			length = sql.len;
		bool		any;

		WhereAppend(&request->where, &sql, request->params);
		any = sql.len > length;
		/* elements that a filter picks are those that count */
		if (request->target == TARGET_ELEMENT && request->where.compiled->element_sql != NULL &&
			request->field->struct_name != NULL && strcmp(request->where.compiled->element_struct, request->field->struct_name) == 0)
		{
			appendStringInfo(&sql, "%s v.n OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT milvus_e.n FROM %s))", any ? " AND" : " WHERE",
							 request->where.compiled->element_sql);
			any = true;
		}
		/* of sparse vectors those with no position in common are not found */
		if (request->field->type == MILVUS_SPARSE_VECTOR)
		{
			element_schema = type_schema(request->field->typid);
			appendStringInfo(&sql, "%s (%s OPERATOR(%s.<#>) $1) OPERATOR(pg_catalog.<>) 0::pg_catalog.float8", any ? " AND" : " WHERE",
							 ColumnSql(request->field->column), element_schema);
		}
	}
	appendStringInfoString(&sql, " ORDER BY 1");
	if (!request->streams)
		appendStringInfo(&sql, " LIMIT " INT64_FORMAT, request->offset + request->limit);
	if (request->batched)
		appendStringInfoString(&sql, ") AS s");

	initStringInfo(&shape);
	foreach(cell, request->settings)
	{
		SearchSetting *setting = lfirst(cell);

		appendStringInfo(&shape, "%s=%s;", setting->name, setting->value);
	}
	request->plan = StatementPrepare(request->collection, sql.data, shape.data, request->params, request->streams);
}
