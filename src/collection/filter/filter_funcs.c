/*
 * filter_funcs.c
 *		What of filters needs the server: schemas and templates from JSON, parameters, SQL functions.
 */
#include "postgres.h"

#include <errno.h>

#include "collection/filter/filter.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tsearch/ts_type.h"
#include "tsearch/ts_utils.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(milvus_explain_filter_schema);
PG_FUNCTION_INFO_V1(milvus_explain_path_schema);
PG_FUNCTION_INFO_V1(milvus_filter_json_contains);
PG_FUNCTION_INFO_V1(milvus_filter_match_query);
PG_FUNCTION_INFO_V1(milvus_filter_match_count);
PG_FUNCTION_INFO_V1(milvus_filter_phrase_slop);

/* ---- JSON ---- */

static void pg_attribute_noreturn()
invalid_schema(const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid collection schema: %s", reason),
			 errdetail("milvus_code=1100")));
}

static JsonbValue *
json_get(JsonbContainer *object, const char *key)
{
	return getKeyJsonValueFromContainer(object, key, (int) strlen(key), NULL);
}

static char *
json_string(const JsonbValue *value)
{
	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* A scalar's text; NULL if there is none. */
static char *
json_scalar(const JsonbValue *value)
{
	if (value == NULL)
		return NULL;
	if (value->type == jbvNumeric)
		return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	if (value->type == jbvBool)
		return pstrdup(value->val.boolean ? "true" : "false");
	return json_string(value);
}

/* A field's setting, in itself or in its params. */
static char *
field_setting(JsonbContainer *field, const char *key)
{
	char	   *setting = json_scalar(json_get(field, key));
	JsonbValue *params = json_get(field, "params");

	if (setting == NULL && params != NULL && params->type == jbvBinary && JsonContainerIsObject(params->val.binary.data))
		setting = json_scalar(json_get(params->val.binary.data, key));
	return setting;
}

static bool
field_flag(JsonbContainer *field, const char *key)
{
	char	   *setting = field_setting(field, key);

	return setting != NULL && pg_strcasecmp(setting, "true") == 0;
}

static int
field_number(JsonbContainer *field, const char *key)
{
	char	   *setting = field_setting(field, key);

	return setting == NULL ? 0 : atoi(setting);
}

static FilterType
field_type(JsonbContainer *field, const char *key)
{
	char	   *name = json_scalar(json_get(field, key));

	return name == NULL ? FILTER_NONE : FilterTypeByName(name);
}

/* The fields of an array of JSON objects, with room for one more. */
static FilterField *
read_fields(const JsonbValue *value, const char *parent, int *nfields)
{
	JsonbContainer *list;
	FilterField *fields;

	if (value == NULL || value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		invalid_schema("fields must be an array");
	list = value->val.binary.data;
	*nfields = (int) JsonContainerSize(list);
	fields = palloc0((*nfields + 1) * sizeof(FilterField));
	for (int i = 0; i < *nfields; i++)
	{
		JsonbValue *item = getIthJsonbValueFromContainer(list, i);
		FilterField *field = &fields[i];
		JsonbContainer *object;
		JsonbValue *sub_fields;

		if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
			invalid_schema("a field must be an object");
		object = item->val.binary.data;
		field->name = json_string(json_get(object, "name"));
		if (field->name == NULL)
			invalid_schema("a field has no name");
		field->type = field_type(object, "data_type");
		field->element_type = field_type(object, "element_type");
		field->column = json_string(json_get(object, "column"));
		if (field->column == NULL)
			field->column = parent == NULL ? field->name : psprintf("%s[%s]", parent, field->name);
		field->attnum = i + 1;
		field->max_length = field_number(object, "max_length");
		field->max_capacity = field_number(object, "max_capacity");
		field->nullable = field_flag(object, "nullable");
		field->is_dynamic = field_flag(object, "is_dynamic");
		field->enable_match = field_flag(object, "enable_match");
		field->text_config = field_setting(object, "text_config");
		field->has_json_gin = field_flag(object, "has_json_gin");
		if (field->type == FILTER_ARRAY && field->element_type == FILTER_STRUCT)
			field->type = FILTER_ARRAY_OF_STRUCT;
		sub_fields = json_get(object, "fields");
		if (sub_fields == NULL)
			sub_fields = json_get(object, "struct_fields");
		if (field->type == FILTER_ARRAY_OF_STRUCT)
		{
			if (parent != NULL)
				invalid_schema("a struct array cannot be nested");
			field->fields = read_fields(sub_fields, field->name, &field->nfields);
			if (field->nfields == 0)
				invalid_schema("a struct array has no fields");
		}
		/* a sub-field is stored as an array of what it is */
		if (parent != NULL && field->type != FILTER_ARRAY && field->type != FILTER_ARRAY_OF_VECTOR)
		{
			field->element_type = field->type;
			field->type = field->type >= FILTER_BINARY_VECTOR ? FILTER_ARRAY_OF_VECTOR : FILTER_ARRAY;
		}
		if (field->type == FILTER_NONE)
			invalid_schema(psprintf("field %s has no data type", field->name));
	}
	return fields;
}

FilterSchema *
FilterSchemaFromJson(Jsonb *json)
{
	FilterSchema *schema = palloc0(sizeof(FilterSchema));
	FilterField *fields;
	bool		has_dynamic = false;

	if (!JB_ROOT_IS_OBJECT(json))
		invalid_schema("it must be an object");
	fields = read_fields(json_get(&json->root, "fields"), NULL, &schema->nfields);
	schema->enable_dynamic_field = field_flag(&json->root, "enable_dynamic_field");
	for (int i = 0; i < schema->nfields; i++)
		has_dynamic = has_dynamic || fields[i].is_dynamic;
	if (schema->enable_dynamic_field && !has_dynamic)
	{
		FilterField *field = &fields[schema->nfields++];

		field->name = "$meta";
		field->column = "$meta";
		field->attnum = schema->nfields;
		field->type = FILTER_JSON;
		field->is_dynamic = true;
	}
	schema->fields = fields;
	return schema;
}

static FilterValue
read_value(const char *name, const JsonbValue *json)
{
	FilterValue value = {FILTER_VALUE_BOOL};
	char	   *digits;

	switch (json->type)
	{
		case jbvBool:
			value.boolean = json->val.boolean;
			return value;
		case jbvString:
			value.kind = FILTER_VALUE_STRING;
			value.string = json_string(json);
			return value;
		case jbvNumeric:
			/* 2 is an integer, 2.0 and what int64 does not hold are floats */
			digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(json->val.numeric)));
			value.kind = FILTER_VALUE_INT;
			errno = 0;
			value.integer = strtoll(digits, NULL, 10);
			if (strchr(digits, '.') != NULL || errno != 0)
			{
				value.kind = FILTER_VALUE_DOUBLE;
				value.number = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(json->val.numeric)));
			}
			return value;
		case jbvBinary:
			if (JsonContainerIsArray(json->val.binary.data))
			{
				check_stack_depth();
				value.kind = FILTER_VALUE_ARRAY;
				value.count = (int) JsonContainerSize(json->val.binary.data);
				value.items = palloc(Max(value.count, 1) * sizeof(FilterValue));
				for (int i = 0; i < value.count; i++)
					value.items[i] = read_value(name, getIthJsonbValueFromContainer(json->val.binary.data, i));
				return value;
			}
			break;
		default:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 json->type == jbvNull ?
			 errmsg("failed to create query plan: the value of expression template variable {%s} is nil", name) :
			 errmsg("failed to create query plan: the value of expression template variable {%s} is of an unknown type", name),
			 errdetail("milvus_code=1100")));
}

void
FilterTemplatesFromJson(Jsonb *json, FilterOptions *options)
{
	FilterTemplate *templates;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	options->ntemplates = 0;
	options->templates = NULL;
	if (json == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("filter_params must be a JSON object"),
				 errdetail("milvus_code=1100")));
	templates = palloc0(Max(JB_ROOT_COUNT(json), 1) * sizeof(FilterTemplate));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			templates[options->ntemplates].name = json_string(&value);
		else if (token == WJB_VALUE)
		{
			templates[options->ntemplates].value = read_value(templates[options->ntemplates].name, &value);
			options->ntemplates++;
		}
	}
	options->templates = templates;
}

/* ---- the database ---- */

/* The schema of the extension postgis, NULL where it is not installed. */
static const char *
find_postgis(void)
{
	Oid			extension = get_extension_oid("postgis", true);
	const char *schema = NULL;
	Relation	relation;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(extension))
		return NULL;
	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(relation, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = get_namespace_name(((Form_pg_extension) GETSTRUCT(tuple))->extnamespace);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return schema;
}

void
FilterOptionsInit(FilterOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->alias = "t";
	options->first_param = 1;
	options->is_utf8 = GetDatabaseEncoding() == PG_UTF8;
	options->find_postgis = find_postgis;
}

Datum
FilterParamDatum(const FilterParam *param)
{
	Oid			input;
	Oid			typioparam;

	getTypeInputInfo(param->type, &input, &typioparam);
	return OidInputFunctionCall(input, (char *) param->text, typioparam, -1);
}

/* ---- SQL functions ---- */

/* explain_filter_schema(schema jsonb, filter text, filter_params jsonb) */
Datum
milvus_explain_filter_schema(PG_FUNCTION_ARGS)
{
	FilterOptions options;
	FilterSQL  *result;
	StringInfoData lines;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	FilterOptionsInit(&options);
	FilterTemplatesFromJson(PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2), &options);
	result = FilterCompile(FilterSchemaFromJson(PG_GETARG_JSONB_P(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)), &options);
	initStringInfo(&lines);
	appendStringInfoString(&lines, result->sql);
	for (int i = 0; i < result->nparams; i++)
	{
		/* that each value is one of its type is part of the answer */
		FilterParamDatum(&result->params[i]);
		appendStringInfo(&lines, "\n$%d = %s", i + 1, quote_literal_cstr(result->params[i].text));
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(lines.data, lines.len));
}

/* explain_path_schema(schema jsonb, path text) */
Datum
milvus_explain_path_schema(PG_FUNCTION_ARGS)
{
	FilterOptions options;
	FilterType	type;
	char	   *sql;

	FilterOptionsInit(&options);
	sql = FilterPathSQL(FilterSchemaFromJson(PG_GETARG_JSONB_P(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)), &options, &type);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s is %s", sql, FilterTypeName(type))));
}

/* Does a JSON array have this element, itself an array? */
Datum
milvus_filter_json_contains(PG_FUNCTION_ARGS)
{
	Jsonb	   *array = PG_GETARG_JSONB_P(0);
	Jsonb	   *element = PG_GETARG_JSONB_P(1);
	uint32		count = JB_ROOT_COUNT(array);

	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		PG_RETURN_BOOL(false);
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *item = getIthJsonbValueFromContainer(&array->root, i);

		if (item->type == jbvBinary && compareJsonbContainers(item->val.binary.data, &element->root) == 0)
			PG_RETURN_BOOL(true);
	}
	PG_RETURN_BOOL(false);
}

/* A text's lexemes. */
static TSVector
lexemes_of(Oid config, Datum query)
{
	return DatumGetTSVector(DirectFunctionCall2(to_tsvector_byid, ObjectIdGetDatum(config), query));
}

/* filter_match_query(regconfig, text): a tsquery of any of the text's lexemes */
Datum
milvus_filter_match_query(PG_FUNCTION_ARGS)
{
	TSVector	lexemes = lexemes_of(PG_GETARG_OID(0), PG_GETARG_DATUM(1));
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < lexemes->size; i++)
	{
		WordEntry  *word = &ARRPTR(lexemes)[i];
		const char *p = STRPTR(lexemes) + word->pos;

		appendStringInfoString(&text, i == 0 ? "'" : " | '");
		for (int j = 0; j < (int) word->len; j++)
		{
			if (p[j] == '\'' || p[j] == '\\')
				appendStringInfoChar(&text, p[j]);
			appendStringInfoChar(&text, p[j]);
		}
		appendStringInfoChar(&text, '\'');
	}
	if (lexemes->size == 0)
	{
		/* a query without lexemes, which matches nothing */
		TSQuery		empty = palloc0(HDRSIZETQ);

		SET_VARSIZE(empty, HDRSIZETQ);
		PG_RETURN_TSQUERY(empty);
	}
	PG_RETURN_DATUM(DirectFunctionCall1(tsqueryin, CStringGetDatum(text.data)));
}

/* The entry of a lexeme in a document; NULL if it is not there. */
static WordEntry *
find_lexeme(TSVector document, const char *lexeme, int length)
{
	int			low = 0;
	int			high = document->size;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		WordEntry  *word = &ARRPTR(document)[middle];
		int			order = tsCompareString((char *) lexeme, length, STRPTR(document) + word->pos, word->len, false);

		if (order == 0)
			return word;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* filter_match_count(tsvector, regconfig, text): how many of the text's lexemes the document has */
Datum
milvus_filter_match_count(PG_FUNCTION_ARGS)
{
	TSVector	document = PG_GETARG_TSVECTOR(0);
	TSVector	lexemes = lexemes_of(PG_GETARG_OID(1), PG_GETARG_DATUM(2));
	int			count = 0;

	for (int i = 0; i < lexemes->size; i++)
	{
		WordEntry  *word = &ARRPTR(lexemes)[i];

		if (find_lexeme(document, STRPTR(lexemes) + word->pos, word->len) != NULL)
			count++;
	}
	PG_RETURN_INT32(count);
}

/* One word of a phrase: where it is in the phrase, where the document has it. */
typedef struct PhraseWord
{
	int			place;
	int			npositions;
	int			next;
	const WordEntryPos *positions;
} PhraseWord;

/*
 * filter_phrase_slop(tsvector, regconfig, text): how far the document's words are from the phrase: the least
 * spread, over all choices of positions, of position - place in the phrase.  0: the phrase itself; NULL: a word
 * is missing.
 */
Datum
milvus_filter_phrase_slop(PG_FUNCTION_ARGS)
{
	TSVector	document = PG_GETARG_TSVECTOR(0);
	TSVector	phrase = lexemes_of(PG_GETARG_OID(1), PG_GETARG_DATUM(2));
	PhraseWord *words;
	int			nwords = 0;
	int			room = 0;
	int64		best = PG_INT64_MAX;

	for (int i = 0; i < phrase->size; i++)
		room += POSDATALEN(phrase, &ARRPTR(phrase)[i]);
	words = palloc0(Max(room, 1) * sizeof(PhraseWord));
	for (int i = 0; i < phrase->size; i++)
	{
		WordEntry  *word = &ARRPTR(phrase)[i];
		WordEntry  *found = find_lexeme(document, STRPTR(phrase) + word->pos, word->len);

		if (found == NULL || POSDATALEN(document, found) == 0)
			PG_RETURN_NULL();
		for (int j = 0; j < POSDATALEN(phrase, word); j++)
		{
			words[nwords].place = WEP_GETPOS(POSDATAPTR(phrase, word)[j]);
			words[nwords].npositions = POSDATALEN(document, found);
			words[nwords].positions = POSDATAPTR(document, found);
			nwords++;
		}
	}
	if (nwords == 0)
		PG_RETURN_NULL();

	/* the smallest range that has one of each list: always move on in the list that is behind */
	for (;;)
	{
		int			least = 0;
		int64		low = PG_INT64_MAX;
		int64		high = PG_INT64_MIN;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < nwords; i++)
		{
			int64		offset = (int64) WEP_GETPOS(words[i].positions[words[i].next]) - words[i].place;

			if (offset < low)
			{
				low = offset;
				least = i;
			}
			high = Max(high, offset);
		}
		best = Min(best, high - low);
		if (best == 0 || ++words[least].next == words[least].npositions)
			break;
	}
	PG_RETURN_INT64(best);
}
