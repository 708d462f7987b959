/*
 * json.c
 *		Reading and writing of JSON: definitions, parameters, labels.
 *
 * Values are read as Milvus's clients send them: numbers and booleans may be strings.
 */
#include "postgres.h"

#include "collection/collection_internal.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/numeric.h"

bool
JsonGet(JsonbContainer *object, const char *key, JsonbValue *value)
{
	if (object == NULL || !JsonContainerIsObject(object))
		return false;
	return getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL &&
		value->type != jbvNull;
}

bool
JsonGetEither(JsonbContainer *object, const char *a, const char *b, JsonbValue *value)
{
	return JsonGet(object, a, value) || (b != NULL && JsonGet(object, b, value));
}

char *
JsonText(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvBinary:
			return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
		default:
			return pstrdup("null");
	}
}

bool
JsonToInt(const JsonbValue *value, int64 *result)
{
	char	   *text;
	char	   *end;

	if (value->type != jbvNumeric && value->type != jbvString)
		return false;
	text = JsonText(value);
	errno = 0;
	*result = strtoll(text, &end, 10);
	if (value->type == jbvNumeric && *end == '.')	/* 3.0 is whole */
		end += 1 + strspn(end + 1, "0");
	return errno == 0 && end != text && *end == '\0';
}

bool
JsonToBool(const JsonbValue *value, bool *result)
{
	char	   *text;

	if (value->type == jbvBool)
	{
		*result = value->val.boolean;
		return true;
	}
	if (value->type != jbvString)
		return false;
	text = JsonText(value);
	*result = pg_strcasecmp(text, "true") == 0;
	return *result || pg_strcasecmp(text, "false") == 0;
}

JsonbContainer *
JsonToObject(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data) ? value->val.binary.data : NULL;
}

bool
JsonToObjectOrText(const JsonbValue *value, JsonbContainer **object)
{
	char	   *text;

	*object = JsonToObject(value);
	if (*object != NULL)
		return true;
	if (value->type != jbvString)
		return false;
	text = JsonText(value);
	text += strspn(text, " \t\r\n");
	if (*text == '\0')
		return true;
	/* other texts are the server's error, without Milvus's code */
	if (*text != '{')
		return false;
	*object = &JsonFromText(text)->root;
	return true;
}

JsonbContainer *
JsonToArray(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data) &&
		!JsonContainerIsScalar(value->val.binary.data) ? value->val.binary.data : NULL;
}

List *
JsonElements(JsonbContainer *array)
{
	List	   *elements = NIL;

	for (uint32 i = 0; array != NULL && i < JsonContainerSize(array); i++)
		elements = lappend(elements, getIthJsonbValueFromContainer(array, i));
	return elements;
}

List *
JsonKeys(JsonbContainer *object)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	List	   *keys = NIL;

	if (object == NULL || !JsonContainerIsObject(object))
		return NIL;
	it = JsonbIteratorInit(object);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_KEY)
			keys = lappend(keys, JsonText(&value));
	return keys;
}

char *
JsonGetText(JsonbContainer *object, const char *key, char *initial)
{
	JsonbValue	value;

	return JsonGet(object, key, &value) ? JsonText(&value) : initial;
}

int64
JsonGetInt(JsonbContainer *object, const char *key, int64 initial)
{
	JsonbValue	value;
	int64		result;

	return JsonGet(object, key, &value) && JsonToInt(&value, &result) ? result : initial;
}

bool
JsonGetBool(JsonbContainer *object, const char *key, bool initial)
{
	JsonbValue	value;
	bool		result;

	return JsonGet(object, key, &value) && JsonToBool(&value, &result) ? result : initial;
}

/* ---- writing ---- */

static void
add_key(StringInfo json, const char *key)
{
	if (json->len > 0 && strchr("{[:", json->data[json->len - 1]) == NULL)
		appendStringInfoChar(json, ',');
	if (key != NULL)
	{
		escape_json(json, key);
		appendStringInfoChar(json, ':');
	}
}

void
JsonBegin(StringInfo json, const char *key, char bracket)
{
	add_key(json, key);
	appendStringInfoChar(json, bracket);
}

void
JsonEnd(StringInfo json, char bracket)
{
	appendStringInfoChar(json, bracket);
}

void
JsonAddText(StringInfo json, const char *key, const char *value)
{
	add_key(json, key);
	escape_json(json, value);
}

void
JsonAddInt(StringInfo json, const char *key, int64 value)
{
	add_key(json, key);
	appendStringInfo(json, INT64_FORMAT, value);
}

void
JsonAddBool(StringInfo json, const char *key, bool value)
{
	add_key(json, key);
	appendStringInfoString(json, value ? "true" : "false");
}

void
JsonAddRaw(StringInfo json, const char *key, const char *value)
{
	add_key(json, key);
	appendStringInfoString(json, value);
}

/* ---- whole values ---- */

Jsonb *
JsonFromText(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

char *
JsonToText(Jsonb *json)
{
	return JsonbToCString(NULL, &json->root, VARSIZE(json));
}

Jsonb *
JsonWith(Jsonb *object, const char *key, const char *json)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	JsonBegin(&text, NULL, '{');
	foreach(cell, object != NULL ? JsonKeys(&object->root) : NIL)
	{
		char	   *name = lfirst(cell);
		JsonbValue	value;

		if (strcmp(name, key) == 0 || !JsonGet(&object->root, name, &value))
			continue;
		if (value.type == jbvString)
			JsonAddText(&text, name, JsonText(&value));
		else
			JsonAddRaw(&text, name, JsonText(&value));
	}
	if (json != NULL)
		JsonAddRaw(&text, key, json);
	JsonEnd(&text, '}');
	return JsonFromText(text.data);
}

Jsonb *
JsonWithText(Jsonb *object, const char *key, const char *value)
{
	StringInfoData text;

	initStringInfo(&text);
	escape_json(&text, value);
	return JsonWith(object, key, text.data);
}

JsonbContainer *
JsonRequireObject(Jsonb *json, const char *what)
{
	if (!JB_ROOT_IS_OBJECT(json))
		MilvusInvalidParameter("%s should be an object", what);
	return &json->root;
}

Jsonb *
JsonMergeTexts(Jsonb *object, JsonbContainer *changes)
{
	ListCell   *cell;

	foreach(cell, JsonKeys(changes))
	{
		JsonbValue	value;

		if (JsonGet(changes, lfirst(cell), &value))
			object = JsonWithText(object, lfirst(cell), JsonText(&value));
	}
	return object != NULL ? object : JsonFromText("{}");
}
