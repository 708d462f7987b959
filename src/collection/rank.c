/*
 * rank.c
 *		Rankers: RRF, weights, decay, boost, and how scores of several metrics are made alike.
 *
 * Formulas and texts are Milvus's (internal/util/function/rerank, read, not copied).
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "common/hashfn.h"
#include "guc.h"
#include "utils/builtins.h"

/*
 * Between 0 and 1, larger is nearer, when norm_score is asked for.  Without it a similarity stays
 * as it is; a distance too, unless others are similarities (to_greater).
 */
double
NormalizeScore(double score, MilvusMetric metric, bool norm_score, bool to_greater)
{
	if (!MilvusMetricIsSimilarity(metric))
		return norm_score || to_greater ? 1 - 2 * atan(score) / M_PI : score;
	if (!norm_score)
		return score;
	switch (metric)
	{
		case METRIC_COSINE:
			return (1 + score) / 2;
		case METRIC_BM25:
			return 2 * atan(score) / M_PI;
		default:
			return 0.5 + atan(score) / M_PI;
	}
}

/* ---- reading ---- */

/*
 * A parameter of a ranker's object, which are in "params" or beside it; also as text.
 */
static bool
get_param(JsonbContainer *object, const char *key, JsonbValue *value)
{
	JsonbValue	params;

	if (JsonGet(object, "params", &params))
	{
		if (JsonToObject(&params) == NULL)
			MilvusInvalidParameter("params of a ranker should be an object");
		if (JsonGet(JsonToObject(&params), key, value))
			return true;
	}
	return JsonGet(object, key, value);
}

static JsonbContainer *
nested(const JsonbValue *value)
{
	Jsonb	   *json;

	if (value->type == jbvBinary)
		return value->val.binary.data;
	if (value->type != jbvString || value->val.string.len == 0 || strchr("[{", value->val.string.val[0]) == NULL)
		return NULL;
	json = JsonFromText(JsonText(value));
	return &json->root;
}

static bool
get_number(JsonbContainer *object, const char *key, double *number)
{
	JsonbValue	value;
	char	   *text;
	char	   *end;

	if (!get_param(object, key, &value))
		return false;
	text = JsonText(&value);
	*number = strtod(text, &end);
	if (end == text || *end != '\0' || isnan(*number) || isinf(*number))
		MilvusInvalidParameter("Param %s:%s is not a number", key, text);
	return true;
}

static bool
get_bool(JsonbContainer *object, const char *key)
{
	JsonbValue	value;
	bool		result = false;

	if (get_param(object, key, &value) && !JsonToBool(&value, &result))
		MilvusInvalidParameter("%s params must be true/false, but got %s", key, JsonText(&value));
	return result;
}

static const char *
get_text(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	return get_param(object, key, &value) ? JsonText(&value) : NULL;
}

static List *
input_fields(JsonbContainer *object)
{
	JsonbValue	value;

	if (!JsonGetEither(object, "input_field_names", "inputFieldNames", &value))
		return NIL;
	if (value.type == jbvString)
	{
		JsonbValue *copy = palloc(sizeof(JsonbValue));

		*copy = value;
		return list_make1(copy);
	}
	return JsonElements(JsonToArray(&value));
}

static void
read_rrf(Ranker *ranker, JsonbContainer *object)
{
	ranker->k = 60;
	(void) get_number(object, "k", &ranker->k);
	if (ranker->k <= 0 || ranker->k >= 16384)
		MilvusInvalidParameter("The rank params k should be in range (0, 16384)");
}

static void
read_weighted(Ranker *ranker, JsonbContainer *object)
{
	JsonbValue	value;
	List	   *weights;
	ListCell   *cell;
	JsonbContainer *array;

	if (!get_param(object, "weights", &value))
		MilvusInvalidParameter("weights not found");
	array = nested(&value);
	if (array == NULL || !JsonContainerIsArray(array))
		MilvusInvalidParameter("Parse weights param failed, weight should be []float, but got: %s", JsonText(&value));
	weights = JsonElements(array);
	if (weights == NIL)
		MilvusInvalidParameter("weights not found");
	ranker->weights = palloc(sizeof(double) * list_length(weights));
	foreach(cell, weights)
	{
		JsonbValue *weight = lfirst(cell);
		double		number;

		if (weight->type != jbvNumeric)
			MilvusInvalidParameter("Parse weights param failed, weight should be []float, but got: %s", JsonText(&value));
		number = strtod(JsonText(weight), NULL);
		if (number < 0 || number > 1)
			MilvusInvalidParameter("rank param weight should be in range [0, 1]");
		ranker->weights[ranker->nweights++] = number;
	}
	ranker->norm_score = get_bool(object, "norm_score");
}

static void
read_mode(Ranker *ranker, JsonbContainer *object)
{
	const char *mode = get_text(object, "score_mode");

	ranker->mode = MODE_MAX;
	if (mode == NULL || pg_strcasecmp(mode, "max") == 0)
		return;
	if (pg_strcasecmp(mode, "sum") == 0)
		ranker->mode = MODE_SUM;
	else if (pg_strcasecmp(mode, "avg") == 0)
		ranker->mode = MODE_AVG;
	else
		MilvusInvalidParameter("Unsupport score mode: [%s], only supports: [max, avg, sum]", mode);
}

static void
read_decay(Ranker *ranker, const Collection *collection, JsonbContainer *object)
{
	List	   *names = input_fields(object);
	const char *curve = get_text(object, "function");
	CollectionField *field;

	if (list_length(names) != 1)
		MilvusInvalidParameter("Decay function only supports single input, but gets %d inputs", list_length(names));
	ranker->field = JsonText(linitial(names));
	field = CollectionFindField(collection, ranker->field);
	if (field == NULL)
		MilvusInvalidParameter("field %s not exist", ranker->field);
	if (!MilvusTypeIsInteger(field->type) && !MilvusTypeIsFloat(field->type) && field->type != MILVUS_TIMESTAMPTZ)
		MilvusInvalidParameter("Decay rerank: unsupported input field type:%s, only support numeric field", MilvusTypeName(field->type));
	ranker->decay = 0.5;
	ranker->offset = 0;
	if (!get_number(object, "origin", &ranker->origin))
		MilvusInvalidParameter("Decay function lost param: origin");
	if (!get_number(object, "scale", &ranker->scale))
		MilvusInvalidParameter("Decay function lost param: scale");
	(void) get_number(object, "offset", &ranker->offset);
	(void) get_number(object, "decay", &ranker->decay);
	if (ranker->scale <= 0)
		MilvusInvalidParameter("Decay function param: scale must > 0, but got %f", ranker->scale);
	if (ranker->offset < 0)
		MilvusInvalidParameter("Decay function param: offset must >= 0, but got %f", ranker->offset);
	if (ranker->decay <= 0 || ranker->decay >= 1)
		MilvusInvalidParameter("Decay function param: decay must 0 < decay < 1, but got %f", ranker->decay);
	if (curve != NULL && strcmp(curve, "gauss") == 0)
		ranker->curve = CURVE_GAUSS;
	else if (curve != NULL && strcmp(curve, "exp") == 0)
		ranker->curve = CURVE_EXP;
	else if (curve != NULL && strcmp(curve, "linear") == 0)
		ranker->curve = CURVE_LINEAR;
	else
		MilvusInvalidParameter("Invaild decay function: %s, only support [gauss,linear,exp]", curve != NULL ? curve : "");
	ranker->norm_score = get_bool(object, "norm_score");
	read_mode(ranker, object);
	ranker->ncolumns = 1;
}

static void
read_boost(Boost *boost, JsonbContainer *object)
{
	JsonbValue	value;

	boost->filter_column = boost->field_column = -1;
	boost->weight = 1;
	if (!get_number(object, "weight", &boost->weight) && !get_param(object, "random_score", &value))
		MilvusInvalidParameter("boost function must have weight");
	boost->filter = get_text(object, "filter");
	if (boost->filter != NULL && boost->filter[strspn(boost->filter, " \t\r\n")] == '\0')
		boost->filter = NULL;
	if (get_param(object, "filter_params", &value) && JsonToObject(&value) != NULL)
		boost->filter_params = JsonbValueToJsonb(&value);
	if (get_param(object, "random_score", &value))
	{
		JsonbContainer *random = nested(&value);
		JsonbValue	seed;

		if (random == NULL || !JsonContainerIsObject(random))
			MilvusInvalidParameter("random_score should be an object");
		boost->random = true;
		if (JsonGet(random, "seed", &seed) && !JsonToInt(&seed, &boost->seed))
			MilvusInvalidParameter("random_score seed should be an integer");
		boost->seed_field = JsonGetText(random, "field", NULL);
	}
}

static bool
read_combination(const char *what, const char *mode)
{
	if (mode == NULL || pg_strcasecmp(mode, "multiply") == 0)
		return false;
	if (pg_strcasecmp(mode, "sum") == 0)
		return true;
	MilvusInvalidParameter("unsupported %s: %s, only supports [multiply, sum]", what, mode);
}

/*
 * Pymilvus's RRFRanker, WeightedRanker ("strategy"), Function ("params": {"reranker"}) and
 * FunctionScore ("functions"), and those of REST.
 */
Ranker *
RankerRead(const Collection *collection, Jsonb *json)
{
	Ranker	   *ranker = palloc0(sizeof(Ranker));
	JsonbContainer *object = &json->root;
	JsonbContainer *function = object;
	List	   *functions = NIL;
	JsonbValue	value;
	const char *name;

	if (!JB_ROOT_IS_OBJECT(json))
		MilvusInvalidParameter("ranker should be an object");
	if (JsonGet(object, "functions", &value))
	{
		functions = JsonElements(JsonToArray(&value));
		if (functions == NIL)
			MilvusInvalidParameter("ranker has no functions");
		function = JsonToObject(linitial(functions));
		if (function == NULL)
			MilvusInvalidParameter("a function of a ranker should be an object");
	}
	name = get_text(function, "reranker");
	if (name == NULL)
		name = get_text(function, "strategy");
	if (name == NULL)
		MilvusInvalidParameter("reranker name not specified");
	if (pg_strcasecmp(name, "boost") == 0)
	{
		ListCell   *cell;

		ranker->kind = RANK_BOOST;
		ranker->boosts = palloc0(sizeof(Boost) * Max(1, list_length(functions)));
		ranker->boost_sum = read_combination("boost_mode", get_text(object, "boost_mode"));
		ranker->function_sum = read_combination("function_mode", get_text(object, "function_mode"));
		read_mode(ranker, object);
		if (functions == NIL)
			read_boost(&ranker->boosts[ranker->nboosts++], function);
		foreach(cell, functions)
		{
			JsonbContainer *one = JsonToObject(lfirst(cell));
			const char *kind = one != NULL ? get_text(one, "reranker") : NULL;

			if (kind == NULL || pg_strcasecmp(kind, "boost") != 0)
				MilvusInvalidParameter("only boost functions can be combined");
			read_boost(&ranker->boosts[ranker->nboosts++], one);
		}
		return ranker;
	}
	if (list_length(functions) > 1)
		MilvusInvalidParameter("Currently only supports one rerank, but got %d", list_length(functions));
	if (pg_strcasecmp(name, "rrf") == 0)
	{
		ranker->kind = RANK_RRF;
		read_rrf(ranker, function);
	}
	else if (pg_strcasecmp(name, "weighted") == 0)
	{
		ranker->kind = RANK_WEIGHTED;
		read_weighted(ranker, function);
	}
	else if (pg_strcasecmp(name, "decay") == 0)
	{
		ranker->kind = RANK_DECAY;
		read_decay(ranker, collection, function);
	}
	else if (pg_strcasecmp(name, "model") == 0)
		ereport(ERROR,
				(errmilvus(MILVUS_UNIMPLEMENTED),
				 errmsg("rerank by a model is not supported")));
	else
		MilvusInvalidParameter("Unsupported rerank function: [%s] , list of supported [rrf,weighted,decay,boost]", name);
	return ranker;
}

/* ---- columns ---- */

void
RankerAppendColumns(Ranker *ranker, const Collection *collection, StringInfo sql, Params *params, const char *timezone)
{
	if (ranker->kind == RANK_DECAY)
	{
		const CollectionField *field = CollectionGetField(collection, ranker->field);

		/* of times: microseconds since 1970, as Milvus keeps them */
		if (field->type == MILVUS_TIMESTAMPTZ)
			appendStringInfo(sql, ", (EXTRACT(epoch FROM %s) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.float8", ColumnSql(field->column));
		else
			appendStringInfo(sql, ", %s::pg_catalog.float8", ColumnSql(field->column));
		return;
	}
	ranker->ncolumns = 0;
	for (int i = 0; i < ranker->nboosts; i++)
	{
		Boost	   *boost = &ranker->boosts[i];

		if (boost->filter != NULL)
		{
			FilterSQL  *filter = CollectionCompileFilter(collection, boost->filter, boost->filter_params, SEARCH_ALIAS, params->n + 1, timezone);

			appendStringInfo(sql, ", (%s) IS TRUE", filter->sql);
			ParamsAddFilter(params, filter);
			boost->filter_column = ranker->ncolumns++;
		}
		if (boost->random && boost->seed_field != NULL)
		{
			MilvusType	type;
			Oid			typid;

			appendStringInfo(sql, ", %s::pg_catalog.text", FieldPathSql(collection, boost->seed_field, timezone, &type, &typid));
			boost->field_column = ranker->ncolumns++;
		}
	}
}

/* ---- scores ---- */

static double
decay_of(const Ranker *ranker, double value)
{
	double		distance = Max(0.0, fabs(value - ranker->origin) - ranker->offset);

	switch (ranker->curve)
	{
		case CURVE_GAUSS:
			return exp(distance * distance / (ranker->scale * ranker->scale / log(ranker->decay)));
		case CURVE_EXP:
			return exp(log(ranker->decay) / ranker->scale * distance);
		default:
			return Max(ranker->decay, 1 - (1 - ranker->decay) / ranker->scale * distance);
	}
}

/*
 * From 0 to 1, the same for the same seed and value.
 */
static double
random_of(const Boost *boost, const char *text)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) text, strlen(text), (uint64) boost->seed);

	return (double) (hash >> 11) / (double) (UINT64CONST(1) << 53);
}

double
RankerScore(const Ranker *ranker, double score, Datum id, Oid id_type, const Datum *values, const bool *isnull)
{
	double		factor = 0;
	bool		any = false;

	/* nothing is known of a row without the field: it keeps its score */
	if (ranker->kind == RANK_DECAY)
		return isnull[0] ? score : score * decay_of(ranker, DatumGetFloat8(values[0]));
	for (int i = 0; i < ranker->nboosts; i++)
	{
		const Boost *boost = &ranker->boosts[i];
		double		weight = boost->weight;

		if (boost->filter_column >= 0 && !DatumGetBool(values[boost->filter_column]))
			continue;
		if (boost->random)
		{
			char	   *seeded = boost->field_column < 0 ? IdText(id_type, id) :
				isnull[boost->field_column] ? "" : TextDatumGetCString(values[boost->field_column]);

			weight *= random_of(boost, seeded);
			if (boost->field_column < 0)
				pfree(seeded);
		}
		factor = !any ? weight : ranker->function_sum ? factor + weight : factor * weight;
		any = true;
	}
	if (!any)
		return score;
	return ranker->boost_sum ? score + factor : score * factor;
}
