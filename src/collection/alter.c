/*
 * alter.c
 *		Changes of a collection: properties, fields, functions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "collection/collection_internal.h"
#include "fmgr.h"
#include "guc.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(milvus_alter_collection_properties);
PG_FUNCTION_INFO_V1(milvus_drop_collection_properties);
PG_FUNCTION_INFO_V1(milvus_alter_collection_field);
PG_FUNCTION_INFO_V1(milvus_add_collection_field);
PG_FUNCTION_INFO_V1(milvus_drop_collection_field);
PG_FUNCTION_INFO_V1(milvus_add_collection_function);
PG_FUNCTION_INFO_V1(milvus_alter_collection_function);
PG_FUNCTION_INFO_V1(milvus_drop_collection_function);

/* Most rows' lifetime that Milvus takes, seconds. */
#define MAX_TTL_SECONDS INT64CONST(3155760000)	/* 100 years */

List *
TextArrayToList(ArrayType *array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
	List	   *list = NIL;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			list = lappend(list, TextDatumGetCString(values[i]));
	return list;
}

/* ---- properties ---- */

void
CheckProperties(Jsonb *properties)
{
	static const char *const booleans[] = {
		"mmap.enabled", "lazyload.enabled", "partitionkey.isolation", "allow_insert_auto_id",
		"collection.autocompaction.enabled", "dynamicfield.enabled", "collection.insertRate.enabled"
	};
	JsonbContainer *object = &properties->root;
	JsonbValue	value;

	for (int i = 0; i < (int) lengthof(booleans); i++)
	{
		bool		ignored;

		if (JsonGet(object, booleans[i], &value) && !JsonToBool(&value, &ignored))
			MilvusInvalidParameter("%s should be a boolean", booleans[i]);
	}
	if (JsonGet(object, "collection.ttl.seconds", &value))
	{
		int64		seconds;

		if (!JsonToInt(&value, &seconds))
			MilvusInvalidParameter("collection TTL is not a valid positive integer");
		if (seconds < -1 || seconds > MAX_TTL_SECONDS)
			MilvusInvalidParameter("collection TTL is out of range, expect [-1, " INT64_FORMAT "], got " INT64_FORMAT,
								   MAX_TTL_SECONDS, seconds);
		if (seconds > 0 && JsonGet(object, "ttl_field", &value))
			MilvusInvalidParameter("collection TTL and ttl field cannot be set at the same time");
	}
	if (JsonGet(object, "timezone", &value) && pg_tzset(JsonText(&value)) == NULL)
		MilvusInvalidParameter("unknown or invalid IANA Time Zone ID: %s", JsonText(&value));
}

static const Collection *
open_for_properties(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		MilvusInvalidParameter("no properties are given for the collection");
	return CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), ShareUpdateExclusiveLock);
}

/*
 * Is there anything that only a released collection may be told?
 */
static void
check_loaded(const Collection *collection, const char *key)
{
	if (collection->loaded && (strcmp(key, "mmap.enabled") == 0 || strcmp(key, "lazyload.enabled") == 0))
		MilvusInvalidParameter("can not alter %s properties if collection loaded", key);
}

/* milvus.alter_collection_properties(collection_name, properties, db_name) returns void */
Datum
milvus_alter_collection_properties(PG_FUNCTION_ARGS)
{
	const Collection *collection = open_for_properties(fcinfo);
	JsonbContainer *given = &PG_GETARG_JSONB_P(1)->root;
	Jsonb	   *properties = collection->properties;
	Oid			relid = collection->relid;
	char	   *ttl_field;
	ListCell   *cell;

	if (!JsonContainerIsObject(given) || JsonKeys(given) == NIL)
		MilvusInvalidParameter("no properties are given for the collection");
	foreach(cell, JsonKeys(given))
	{
		char	   *key = lfirst(cell);
		char	   *text = JsonGetText(given, key, NULL);

		check_loaded(collection, key);
		if (text == NULL)
			continue;
		if (strcmp(key, "collection.description") == 0)
		{
			StringInfoData json;

			initStringInfo(&json);
			escape_json(&json, text);
			CollectionSetLabel(collection, "description", json.data);
		}
		else if (strcmp(key, "consistency_level") == 0)
			CollectionSetLabel(collection, "consistency_level", psprintf("%d", MilvusConsistencyByName(text)));
		else
			properties = JsonWithText(properties, key, text);
	}
	CheckProperties(properties);
	ttl_field = JsonGetText(&properties->root, "ttl_field", NULL);
	if (ttl_field != NULL)
	{
		CollectionField *field = CollectionFindField(collection, ttl_field);

		if (field == NULL || field->type != MILVUS_TIMESTAMPTZ)
			MilvusInvalidParameter("ttl field %s must be a field of type Timestamptz", ttl_field);
	}
	if (JsonGetInt(&properties->root, "collection.ttl.seconds", 0) > 0)
		AddHiddenColumn(collection, COLLECTION_TIME_COLUMN, "pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()");
	if (JsonGetBool(given, "dynamicfield.enabled", false) && collection->meta == NULL)
	{
		int			id = JsonGetInt(&LabelRead(relid, 0)->root, "next_field_id", 100 + collection->nfields);

		MilvusExecute("ALTER TABLE %s ADD COLUMN \"$meta\" pg_catalog.jsonb NOT NULL DEFAULT '{}' "
					  "CONSTRAINT \"$meta_size\" CHECK (milvus.json_fits(\"$meta\", %d)) "
					  "CONSTRAINT \"$meta_object\" CHECK (pg_catalog.jsonb_typeof(\"$meta\") OPERATOR(pg_catalog.=) 'object')",
					  collection->relation, milvus_settings.max_json_length);
		LabelWrite(relid, get_attnum(relid, COLLECTION_META_COLUMN), JsonFromText(psprintf("{\"id\": %d}", id)));
		CollectionSetLabel(collection, "next_field_id", psprintf("%d", id + 1));
	}
	else if (JsonGetText(given, "dynamicfield.enabled", NULL) != NULL &&
			 !JsonGetBool(given, "dynamicfield.enabled", true) && collection->meta != NULL)
		MilvusInvalidParameter("dynamic schema cannot supported to be disabled");
	properties = JsonWith(properties, "dynamicfield.enabled", NULL);
	CollectionSetLabel(collection, "properties", JB_ROOT_COUNT(properties) > 0 ? JsonToText(properties) : NULL);
	PG_RETURN_VOID();
}

/* milvus.drop_collection_properties(collection_name, property_keys, db_name) returns void */
Datum
milvus_drop_collection_properties(PG_FUNCTION_ARGS)
{
	const Collection *collection = open_for_properties(fcinfo);
	Jsonb	   *properties = collection->properties;
	List	   *keys = TextArrayToList(PG_GETARG_ARRAYTYPE_P(1));
	ListCell   *cell;

	if (keys == NIL)
		MilvusInvalidParameter("The collection properties to alter and keys to delete must not be empty at the same time");
	foreach(cell, keys)
	{
		check_loaded(collection, lfirst(cell));
		properties = JsonWith(properties, lfirst(cell), NULL);
	}
	CollectionSetLabel(collection, "properties", JB_ROOT_COUNT(properties) > 0 ? JsonToText(properties) : NULL);
	PG_RETURN_VOID();
}

/* ---- fields ---- */

/*
 * Put another condition in the place of a constraint of ours.  `broken`: what is said where a row
 * does not fulfil it.
 */
static void
replace_check(const Collection *collection, const char *column, const char *what, const char *condition, const char *broken)
{
	const char *name = ConstraintName(column, what);
	const char *quoted = quote_identifier(name);
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		MilvusExecute("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s, ADD CONSTRAINT %s CHECK (%s)",
					  collection->relation, quoted, quoted, condition);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_CHECK_VIOLATION || error->constraint_name == NULL ||
			strcmp(error->constraint_name, name) != 0)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errmilvus(MILVUS_INVALID_PARAMETER),
				 errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg_internal("%s: invalid parameter", broken)));
	}
	PG_END_TRY();
}

static void
alter_length(const Collection *collection, const CollectionField *field, int64 length)
{
	const char *column = quote_identifier(field->column);

	if (field->type != MILVUS_VARCHAR && field->element_type != MILVUS_VARCHAR)
		MilvusInvalidParameter("%s can not modify the maxlength for non-string types", field->name);
	if (length <= 0 || length > milvus_settings.max_varchar_length)
		MilvusInvalidParameter("the maximum length specified for a VarChar field(%s) should be in (0, %d], but got " INT64_FORMAT " instead",
							   field->name, milvus_settings.max_varchar_length, length);
	if (field->type == MILVUS_VARCHAR)
		IndexFitLength(collection, field, length);
	if (field->type == MILVUS_VARCHAR)
		replace_check(collection, field->column, "max_length",
					  psprintf("pg_catalog.octet_length(%s) OPERATOR(pg_catalog.<=) " INT64_FORMAT, column, length),
					  psprintf("length of varchar field %s exceeds max length in some row, max length: " INT64_FORMAT,
							   field->name, length));
	else
		replace_check(collection, field->column, "elements", psprintf("milvus.array_fits(%s, " INT64_FORMAT ")", column, length),
					  psprintf("elements of array field %s are null or too long in some row, max length: " INT64_FORMAT,
							   field->name, length));
}

static void
alter_capacity(const Collection *collection, const CollectionField *field, int64 capacity)
{
	if (field->type != MILVUS_ARRAY && field->type != MILVUS_ARRAY_OF_VECTOR)
		MilvusInvalidParameter("can not modify the max_capacity for non-array types field %s", field->name);
	if (capacity <= 0 || capacity > milvus_settings.max_array_capacity)
		MilvusInvalidParameter("the maximum capacity specified for a Array should be in (0, %d]", milvus_settings.max_array_capacity);
	replace_check(collection, field->column, "max_capacity",
				  psprintf("pg_catalog.cardinality(%s) OPERATOR(pg_catalog.<=) " INT64_FORMAT,
						   quote_identifier(field->column), capacity),
				  psprintf("the length of array field %s exceeds max_capacity " INT64_FORMAT " in some row", field->name, capacity));
}

/* milvus.alter_collection_field(collection_name, field_name, field_params, db_name) returns void */
Datum
milvus_alter_collection_field(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	CollectionField *field;
	JsonbContainer *params;
	ListCell   *cell;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		MilvusInvalidParameter("collection name, field name and field params should not be empty");
	collection = CollectionOpenOwned(TEXT_ARG(3), TEXT_ARG(0), ShareUpdateExclusiveLock);
	field = CollectionGetField(collection, TEXT_ARG(1));
	params = JsonRequireObject(PG_GETARG_JSONB_P(2), "field_params");
	foreach(cell, JsonKeys(params))
	{
		char	   *key = lfirst(cell);
		JsonbValue	value;
		int64		number = 0;

		if (!JsonGet(params, key, &value))
			continue;
		if (strcmp(key, "max_length") == 0 || strcmp(key, "max_capacity") == 0)
		{
			if (!JsonToInt(&value, &number))
				MilvusInvalidParameter("the value for %s of field %s must be an integer", key, field->name);
			if (strcmp(key, "max_length") == 0)
				alter_length(collection, field, number);
			else
				alter_capacity(collection, field, number);
			CollectionSetFieldLabel(collection, field, key, psprintf(INT64_FORMAT, number));
		}
		else if (strcmp(key, "description") == 0 || strcmp(key, "field.description") == 0)
		{
			StringInfoData json;

			initStringInfo(&json);
			escape_json(&json, JsonText(&value));
			CollectionSetFieldLabel(collection, field, "description", json.data);
		}
		else if (strcmp(key, "mmap.enabled") == 0 || strcmp(key, "mmap_enabled") == 0 || strcmp(key, "warmup") == 0)
		{
			Jsonb	   *label = LabelRead(collection->relid, field->attnum);
			JsonbValue	stored;
			Jsonb	   *others = label != NULL && JsonGet(&label->root, "params", &stored) ? JsonFromText(JsonText(&stored)) : NULL;
			bool		enabled;

			if (strcmp(key, "warmup") != 0)
			{
				key = "mmap.enabled";
				if (!JsonToBool(&value, &enabled))
					MilvusInvalidParameter("%s should be a boolean", key);
			}
			check_loaded(collection, key);
			CollectionSetFieldLabel(collection, field, "params", JsonToText(JsonWithText(others, key, JsonText(&value))));
		}
		else
			MilvusInvalidParameter("%s does not allow update in collection field param", key);
	}
	PG_RETURN_VOID();
}

/*
 * milvus.add_collection_field(collection_name, field_name, data_type, description, nullable,
 *		default_value, max_length, element_type, max_capacity, dim, params, db_name) returns void
 */
Datum
milvus_add_collection_field(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	StringInfoData json;
	StringInfoData sql;
	FieldDef   *field;
	Jsonb	   *label;
	Oid			relid;
	char		column[NAMEDATALEN];
	int			vectors = 0;
	int			nfields = 0;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		MilvusInvalidParameter("collection name, field name and data type should not be empty");
	initStringInfo(&json);
	JsonBegin(&json, NULL, '{');
	JsonAddText(&json, "name", TEXT_ARG(1));
	JsonAddText(&json, "type", TEXT_ARG(2));
	if (!PG_ARGISNULL(3))
		JsonAddText(&json, "description", TEXT_ARG(3));
	if (!PG_ARGISNULL(4))
		JsonAddBool(&json, "nullable", PG_GETARG_BOOL(4));
	if (!PG_ARGISNULL(5))
		JsonAddRaw(&json, "default_value", DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(5))));
	if (!PG_ARGISNULL(7))
		JsonAddText(&json, "element_type", TEXT_ARG(7));
	/* one of its own stands over one in params */
	{
		Jsonb	   *params = PG_ARGISNULL(10) ? NULL : PG_GETARG_JSONB_P(10);

		if (!PG_ARGISNULL(6))
			params = JsonWith(params, "max_length", psprintf("%d", PG_GETARG_INT32(6)));
		if (!PG_ARGISNULL(8))
			params = JsonWith(params, "max_capacity", psprintf("%d", PG_GETARG_INT32(8)));
		if (!PG_ARGISNULL(9))
			params = JsonWith(params, "dim", psprintf("%d", PG_GETARG_INT32(9)));
		if (params != NULL)
			JsonAddRaw(&json, "params", JsonToText(params));
	}
	JsonEnd(&json, '}');

	collection = CollectionOpenOwned(TEXT_ARG(11), TEXT_ARG(0), AccessExclusiveLock);
	relid = collection->relid;
	field = SchemaReadField(&JsonFromText(json.data)->root);
	if (CollectionFindField(collection, field->name) != NULL)
		MilvusInvalidParameter("duplicate field name: %s", field->name);
	SchemaCheckField(collection->name, field);
	if (!field->nullable && (!field->has_default || MilvusTypeIsVector(field->type)))
		MilvusInvalidParameter("added field must be nullable, please check it, field name = %s", field->name);
	for (int i = 0; i < collection->nfields; i++)
	{
		vectors += MilvusTypeIsVector(collection->fields[i].type);
		nfields += !collection->fields[i].is_dynamic;
	}
	if (nfields >= milvus_settings.max_fields)
		MilvusInvalidParameter("The number of fields has reached the maximum value %d", milvus_settings.max_fields);
	if (MilvusTypeIsVector(field->type) && vectors >= milvus_settings.max_vector_fields)
		MilvusInvalidParameter("maximum vector field's number should be limited to %d", milvus_settings.max_vector_fields);

	initStringInfo(&sql);
	SchemaAppendColumn(&sql, field);
	MilvusExecute("ALTER TABLE %s ADD COLUMN %s", collection->relation, sql.data);
	label = LabelRead(relid, 0);
	field->id = JsonGetInt(&label->root, "next_field_id", 100 + collection->nfields);
	ColumnNameOf(field->name, column);
	LabelWrite(relid, get_attnum(relid, column), JsonFromText(FieldLabel(field)));
	CollectionSetLabel(collection, "next_field_id", psprintf("%d", field->id + 1));
	PG_RETURN_VOID();
}

/*
 * The struct arrays of the label, without one.
 */
static void
forget_struct(const Collection *collection, const char *name)
{
	Jsonb	   *label = LabelRead(collection->relid, 0);
	StringInfoData json;
	JsonbValue	value;
	ListCell   *cell;

	initStringInfo(&json);
	JsonBegin(&json, NULL, '[');
	if (JsonGet(&label->root, "structs", &value))
		foreach(cell, JsonElements(JsonToArray(&value)))
			if (JsonToObject(lfirst(cell)) != NULL && strcmp(JsonGetText(JsonToObject(lfirst(cell)), "name", ""), name) != 0)
				JsonAddRaw(&json, NULL, JsonText(lfirst(cell)));
	JsonEnd(&json, ']');
	CollectionSetLabel(collection, "structs", strcmp(json.data, "[]") == 0 ? NULL : json.data);
}

/* milvus.drop_collection_field(collection_name, field_name, db_name) returns void */
Datum
milvus_drop_collection_field(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	StringInfoData sql;
	char	   *name;
	int			vectors_left = 0;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		MilvusInvalidParameter("collection name and field name should not be empty");
	name = TEXT_ARG(1);
	collection = CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), AccessExclusiveLock);
	initStringInfo(&sql);
	for (int i = 0; i < collection->nfields; i++)
	{
		const CollectionField *field = &collection->fields[i];
		bool		is_part = field->struct_name != NULL && strcmp(field->struct_name, name) == 0;

		if (!is_part && strcmp(field->name, name) != 0)
		{
			vectors_left += MilvusTypeIsVector(field->type);
			continue;
		}
		if (field->is_primary)
			MilvusInvalidParameter("cannot drop primary key field: %s", name);
		if (field->is_partition_key)
			MilvusInvalidParameter("cannot drop partition key field: %s", name);
		if (field->is_clustering_key)
			MilvusInvalidParameter("cannot drop clustering key field: %s", name);
		if (field->is_dynamic)
			MilvusInvalidParameter("cannot drop dynamic field: %s", name);
		if (field->is_function_output)
			MilvusInvalidParameter("cannot drop function output field: %s, drop the function", name);
		if (field->struct_name != NULL && !is_part)
			MilvusInvalidParameter("cannot drop sub-field %s of a struct array field, drop %s", name, field->struct_name);
		if (strcmp(JsonGetText(&collection->properties->root, "ttl_field", ""), name) == 0)
			MilvusInvalidParameter("cannot drop ttl field: %s", name);
		appendStringInfo(&sql, "%sDROP COLUMN %s", sql.len > 0 ? ", " : "", quote_identifier(field->column));
	}
	if (sql.len == 0)
		(void) CollectionGetField(collection, name);
	if (vectors_left == 0 && collection->nvectors > 0)
		MilvusInvalidParameter("cannot drop the last vector field: %s", name);
	MilvusExecute("ALTER TABLE %s %s", collection->relation, sql.data);
	forget_struct(collection, name);
	PG_RETURN_VOID();
}

/* ---- functions ---- */

static char *
function_name(const JsonbValue *value)
{
	return JsonToObject(value) != NULL ? JsonGetText(JsonToObject(value), "name", "") : "";
}

/*
 * Write the list with `given` in the place of the function named `old` (NULL: at the end);
 * given NULL: without it.
 */
static void
change_functions(const Collection *collection, const char *old, Jsonb *given)
{
	char	   *name = given != NULL ? JsonGetText(&given->root, "name", "") : NULL;
	StringInfoData json;
	ListCell   *cell;
	bool		found = false;

	if (name != NULL && *name == '\0')
		MilvusInvalidParameter("function name cannot be empty");
	initStringInfo(&json);
	JsonBegin(&json, NULL, '[');
	foreach(cell, JsonElements(&collection->functions->root))
	{
		char	   *other = function_name(lfirst(cell));

		if (old != NULL && strcmp(other, old) == 0)
		{
			found = true;
			if (given != NULL)
				JsonAddRaw(&json, NULL, JsonToText(given));
			continue;
		}
		if (name != NULL && strcmp(other, name) == 0)
			MilvusInvalidParameter("duplicate function name: %s", name);
		JsonAddRaw(&json, NULL, JsonText(lfirst(cell)));
	}
	if (old != NULL && !found)
		ereport(ERROR,
				(errmilvus(MILVUS_FUNCTION),
				 errmsg("function not found[function=%s]", old)));
	if (old == NULL)
		JsonAddRaw(&json, NULL, JsonToText(given));
	JsonEnd(&json, ']');
	/* its fields have to be there; outputs are written by it */
	if (given != NULL)
		for (int i = 0; i < 2; i++)
		{
			JsonbValue	value;

			if (!JsonGetEither(&given->root, i == 0 ? "input_field_names" : "output_field_names",
							   i == 0 ? "inputFieldNames" : "outputFieldNames", &value))
				continue;
			foreach(cell, JsonElements(JsonToArray(&value)))
			{
				CollectionField *field = CollectionFindField(collection, JsonText(lfirst(cell)));

				if (field == NULL)
					MilvusInvalidParameter("function %s field not found: %s", i == 0 ? "input" : "output", JsonText(lfirst(cell)));
				if (i == 1)
					CollectionSetFieldLabel(collection, field, "function_output", "true");
			}
		}
	CollectionSetLabel(collection, "functions", strcmp(json.data, "[]") == 0 ? NULL : json.data);
}

/* milvus.add_collection_function(collection_name, function, db_name) returns void */
Datum
milvus_add_collection_function(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		MilvusInvalidParameter("collection name and function should not be empty");
	change_functions(CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), ShareUpdateExclusiveLock), NULL, PG_GETARG_JSONB_P(1));
	PG_RETURN_VOID();
}

/* milvus.alter_collection_function(collection_name, function_name, function, db_name) returns void */
Datum
milvus_alter_collection_function(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		MilvusInvalidParameter("collection name and function should not be empty");
	change_functions(CollectionOpenOwned(TEXT_ARG(3), TEXT_ARG(0), ShareUpdateExclusiveLock), TEXT_ARG(1), PG_GETARG_JSONB_P(2));
	PG_RETURN_VOID();
}

/* milvus.drop_collection_function(collection_name, function_name, db_name) returns void */
Datum
milvus_drop_collection_function(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	char	   *name;
	ListCell   *cell;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		MilvusInvalidParameter("collection name and function name should not be empty");
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	collection = CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), ShareUpdateExclusiveLock);
	change_functions(collection, name, NULL);
	/* what it wrote is an ordinary field now */
	foreach(cell, JsonElements(&collection->functions->root))
	{
		JsonbValue	value;
		ListCell   *part;

		if (strcmp(function_name(lfirst(cell)), name) != 0 ||
			!JsonGetEither(JsonToObject(lfirst(cell)), "output_field_names", "outputFieldNames", &value))
			continue;
		foreach(part, JsonElements(JsonToArray(&value)))
		{
			CollectionField *field = CollectionFindField(collection, JsonText(lfirst(part)));

			if (field != NULL)
				CollectionSetFieldLabel(collection, field, "function_output", NULL);
		}
	}
	PG_RETURN_VOID();
}
