/*
 * schema.c
 *		Definitions of collections in JSON, as pymilvus or REST write them: read, checked by
 *		Milvus's rules, and turned into columns of a table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "collection/collection_internal.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "guc.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

/* ---- reading ---- */

static char *
read_text(JsonbContainer *object, const char *a, const char *b, char *initial)
{
	JsonbValue	value;

	return JsonGetEither(object, a, b, &value) ? JsonText(&value) : initial;
}

static bool
read_bool(JsonbContainer *object, const char *a, const char *b, bool initial)
{
	JsonbValue	value;
	bool		result;

	if (!JsonGetEither(object, a, b, &value))
		return initial;
	if (!JsonToBool(&value, &result))
		MilvusInvalidParameter("%s should be a boolean", a);
	return result;
}

static MilvusType
read_type(JsonbContainer *object, const char *a, const char *b)
{
	char	   *name = read_text(object, a, b, NULL);
	MilvusType	type;

	if (name == NULL)
		return MILVUS_NONE;
	type = MilvusTypeByName(name);
	if (type == MILVUS_NONE)
		MilvusInvalidParameter("data type %s is not supported", name);
	return type;
}

/*
 * A type parameter: of the object `params` or `elementTypeParams`, or beside it.
 */
static bool
find_param(JsonbContainer *object, const char *key, JsonbValue *value)
{
	static const char *const places[] = {"params", "type_params", "elementTypeParams", "typeParams"};
	JsonbValue	place;

	for (int i = 0; i < (int) lengthof(places); i++)
		if (JsonGet(object, places[i], &place) && JsonGet(JsonToObject(&place), key, value))
			return true;
	return JsonGet(object, key, value);
}

static bool
find_int(JsonbContainer *object, const char *field, const char *key, int64 *result)
{
	JsonbValue	value;

	if (!find_param(object, key, &value))
		return false;
	if (!JsonToInt(&value, result))
		MilvusInvalidParameter("the value for %s of field %s must be an integer", key, field);
	return true;
}

static bool
find_bool(JsonbContainer *object, const char *key)
{
	JsonbValue	value;
	bool		result = false;

	if (find_param(object, key, &value) && !JsonToBool(&value, &result))
		MilvusInvalidParameter("%s should be a boolean", key);
	return result;
}

/*
 * Parameters that only have to be remembered: analyzers, mmap and the like.
 */
static Jsonb *
other_params(JsonbContainer *object)
{
	static const char *const known[] = {"dim", "max_length", "max_capacity", "enable_match", "enable_analyzer"};
	JsonbValue	place;
	Jsonb	   *params = NULL;
	ListCell   *cell;

	if (!JsonGetEither(object, "params", "elementTypeParams", &place))
		return NULL;
	foreach(cell, JsonKeys(JsonToObject(&place)))
	{
		char	   *key = lfirst(cell);
		bool		is_known = false;
		JsonbValue	value;

		for (int i = 0; i < (int) lengthof(known); i++)
			is_known |= strcmp(known[i], key) == 0;
		if (!is_known && JsonGet(JsonToObject(&place), key, &value))
			params = JsonWithText(params, key, JsonText(&value));
	}
	return params;
}

FieldDef *
SchemaReadField(JsonbContainer *json)
{
	FieldDef   *field = palloc0(sizeof(FieldDef));

	field->name = read_text(json, "name", "fieldName", "");
	if (*field->name == '\0')
		field->name = read_text(json, "field_name", NULL, "");
	field->description = read_text(json, "description", "desc", "");
	field->type = read_type(json, "type", "dataType");
	if (field->type == MILVUS_NONE)
		field->type = read_type(json, "data_type", NULL);
	if (field->type == MILVUS_NONE)
		MilvusInvalidParameter("data type None is not valid");
	field->element_type = read_type(json, "element_type", "elementDataType");
	field->has_dim = find_int(json, field->name, "dim", &field->dim);
	field->has_max_length = find_int(json, field->name, "max_length", &field->max_length);
	field->has_max_capacity = find_int(json, field->name, "max_capacity", &field->max_capacity);
	field->is_primary = read_bool(json, "is_primary", "isPrimary", false) ||
		read_bool(json, "is_primary_key", NULL, false);
	field->auto_id = read_bool(json, "auto_id", "autoID", false);
	field->nullable = read_bool(json, "nullable", NULL, false);
	field->is_partition_key = read_bool(json, "is_partition_key", "isPartitionKey", false);
	field->is_clustering_key = read_bool(json, "is_clustering_key", "isClusteringKey", false);
	field->is_function_output = read_bool(json, "is_function_output", NULL, false);
	field->enable_match = find_bool(json, "enable_match");
	field->enable_analyzer = find_bool(json, "enable_analyzer");
	field->has_default = JsonGetEither(json, "default_value", "defaultValue", &field->default_value);
	if (read_bool(json, "is_dynamic", NULL, false))
		MilvusInvalidParameter("cannot explicitly set a field as a dynamic field");
	field->params = other_params(json);
	return field;
}

/*
 * A struct array's sub-fields become fields "struct[sub]", arrays all.
 */
static void
read_struct(SchemaDef *schema, JsonbContainer *json)
{
	StructDef  *def = palloc0(sizeof(StructDef));
	JsonbValue	value;
	List	   *parts;
	ListCell   *cell;

	def->name = read_text(json, "name", "fieldName", "");
	CheckFieldName(def->name);
	def->description = read_text(json, "description", NULL, "");
	def->nullable = read_bool(json, "nullable", NULL, false);
	if (!find_int(json, def->name, "max_capacity", &def->max_capacity))
		MilvusInvalidParameter("type param(max_capacity) should be specified for array field %s of collection %s",
							   def->name, schema->name);
	if (!JsonGetEither(json, "fields", "struct_fields", &value))
		MilvusInvalidParameter("struct array field %s has no sub-fields", def->name);
	parts = JsonElements(JsonToArray(&value));
	if (parts == NIL)
		MilvusInvalidParameter("struct array field %s has no sub-fields", def->name);
	foreach(cell, parts)
	{
		JsonbContainer *object = JsonToObject(lfirst(cell));
		FieldDef   *field;

		if (object == NULL)
			MilvusInvalidParameter("struct array field %s has a sub-field that is not an object", def->name);
		field = SchemaReadField(object);
		CheckFieldName(field->name);
		/* pymilvus names the elements' types, the proto the arrays' */
		if (field->type != MILVUS_ARRAY && field->type != MILVUS_ARRAY_OF_VECTOR)
		{
			field->element_type = field->type;
			field->type = MilvusTypeIsVector(field->type) ? MILVUS_ARRAY_OF_VECTOR : MILVUS_ARRAY;
		}
		if (field->type == MILVUS_ARRAY_OF_VECTOR && field->element_type == MILVUS_SPARSE_VECTOR)
			MilvusInvalidParameter("data type %s of sub-field %s is not supported in a struct array",
								   MilvusTypeName(field->element_type), field->name);
		field->struct_name = def->name;
		field->name = psprintf("%s[%s]", def->name, field->name);
		field->max_capacity = def->max_capacity;
		field->has_max_capacity = true;
		field->nullable = def->nullable;
		schema->fields = lappend(schema->fields, field);
	}
	schema->structs = lappend(schema->structs, def);
}

SchemaDef *
SchemaRead(const char *collection, JsonbContainer *json)
{
	SchemaDef  *schema = palloc0(sizeof(SchemaDef));
	JsonbValue	value;
	ListCell   *cell;
	List	   *structs = NIL;
	bool		auto_id;

	if (json == NULL || !JsonContainerIsObject(json))
		MilvusInvalidParameter("schema of collection %s should be a JSON object", collection);
	schema->name = pstrdup(collection);
	schema->description = read_text(json, "description", NULL, "");
	schema->dynamic = read_bool(json, "enable_dynamic_field", "enableDynamicField", false);
	schema->functions = JsonGet(json, "functions", &value) && JsonToArray(&value) ? JsonFromText(JsonText(&value)) : JsonFromText("[]");
	if (JsonGet(json, "fields", &value))
		foreach(cell, JsonElements(JsonToArray(&value)))
		{
			JsonbContainer *object = JsonToObject(lfirst(cell));

			if (object == NULL)
				MilvusInvalidParameter("a field of collection %s is not a JSON object", collection);
			/* an array of structs may stand among the fields */
			if (JsonGetEither(object, "fields", "struct_fields", &value))
				structs = lappend(structs, object);
			else
				schema->fields = lappend(schema->fields, SchemaReadField(object));
		}
	/* the collection's autoID is its primary key's */
	auto_id = read_bool(json, "auto_id", "autoID", false) || read_bool(json, "autoId", NULL, false);
	foreach(cell, schema->fields)
		if (((FieldDef *) lfirst(cell))->is_primary)
			((FieldDef *) lfirst(cell))->auto_id |= auto_id;
	if (JsonGetEither(json, "struct_fields", "structFields", &value) || JsonGet(json, "struct_array_fields", &value))
		foreach(cell, JsonElements(JsonToArray(&value)))
			if (JsonToObject(lfirst(cell)) != NULL)
				structs = lappend(structs, JsonToObject(lfirst(cell)));
	foreach(cell, structs)
		read_struct(schema, lfirst(cell));
	return schema;
}

/* ---- rules ---- */

static void
check_dimension(const FieldDef *field, MilvusType type)
{
	int			max = milvus_settings.max_dimension;

	if (type == MILVUS_SPARSE_VECTOR)
	{
		if (field->has_dim)
			MilvusInvalidParameter("dim should not be specified for sparse vector field %s", field->name);
		return;
	}
	if (!field->has_dim)
		MilvusInvalidParameter("dimension is not defined in field type params of field %s, check type param `dim` for vector field",
							   field->name);
	if (field->dim <= 1)
		MilvusInvalidParameter("invalid dimension: " INT64_FORMAT " of field %s. should be in range 2 ~ %d",
							   field->dim, field->name, max);
	if (type == MILVUS_BINARY_VECTOR)
	{
		if (field->dim % 8 != 0)
			MilvusInvalidParameter("invalid dimension: " INT64_FORMAT " of field %s. binary vector dimension should be multiple of 8. ",
								   field->dim, field->name);
		if (field->dim > (int64) max * 8)
			MilvusInvalidParameter("invalid dimension: " INT64_FORMAT " of field %s. binary vector dimension should be in range 2 ~ %d",
								   field->dim, field->name, max * 8);
	}
	else if (field->dim > max)
		MilvusInvalidParameter("invalid dimension: " INT64_FORMAT " of field %s. float vector dimension should be in range 2 ~ %d",
							   field->dim, field->name, max);
}

static void
check_default(const FieldDef *field)
{
	if (!field->has_default)
		return;
	if (field->is_primary)
		MilvusInvalidParameter("primary field not support default_value");
	if (field->type == MILVUS_ARRAY || field->type == MILVUS_JSON || field->type == MILVUS_GEOMETRY ||
		field->type == MILVUS_TEXT || MilvusTypeIsVector(field->type))
		MilvusInvalidParameter("type not support default_value, type:%s, name:%s", MilvusTypeName(field->type), field->name);
	if (field->type == MILVUS_VARCHAR && field->default_value.type == jbvString &&
		field->default_value.val.string.len > field->max_length)
		MilvusInvalidParameter("the length (%d) of string exceeds max length (" INT64_FORMAT ")",
							   field->default_value.val.string.len, field->max_length);
	if (MilvusTypeIsString(field->type) ? field->default_value.type != jbvString :
		field->type == MILVUS_BOOL ? field->default_value.type != jbvBool :
		(MilvusTypeIsInteger(field->type) || MilvusTypeIsFloat(field->type)) && field->default_value.type != jbvNumeric)
		MilvusInvalidParameter("type (%s) of field (%s) is not equal to the type(%s) of default_value",
							   MilvusTypeName(field->type), field->name,
							   field->default_value.type == jbvString ? "VarChar" :
							   field->default_value.type == jbvBool ? "Bool" :
							   field->default_value.type == jbvNumeric ? "Double" : "JSON");
	if (MilvusTypeIsInteger(field->type))
	{
		int64		value;
		int			bits = field->type == MILVUS_INT8 ? 8 : field->type == MILVUS_INT16 ? 16 :
		field->type == MILVUS_INT32 ? 32 : 64;

		if (!JsonToInt(&field->default_value, &value) ||
			(bits < 64 && (value < -(INT64CONST(1) << (bits - 1)) || value >= INT64CONST(1) << (bits - 1))))
			MilvusInvalidParameter("[%s] is out of range for the default_value of field (%s)",
								   JsonText(&field->default_value), field->name);
	}
}

void
SchemaCheckField(const char *collection, FieldDef *field)
{
	int			max_length = milvus_settings.max_varchar_length;

	if (field->struct_name == NULL)
		CheckFieldName(field->name);
	if (field->type == MILVUS_ARRAY_OF_STRUCT || field->type == MILVUS_STRUCT)
		MilvusInvalidParameter("data type %s is not supported", MilvusTypeName(field->type));
	if (field->type == MILVUS_ARRAY && (field->element_type < MILVUS_BOOL || field->element_type > MILVUS_VARCHAR))
		MilvusInvalidParameter(field->element_type == MILVUS_NONE ? "element data type %s is not valid" : "element type %s is not supported",
							   MilvusTypeName(field->element_type));
	if (field->type == MILVUS_ARRAY_OF_VECTOR && !MilvusTypeIsVector(field->element_type))
		MilvusInvalidParameter("element type %s is not supported", MilvusTypeName(field->element_type));
	if (MilvusTypeIsVector(field->type))
		check_dimension(field, field->type == MILVUS_ARRAY_OF_VECTOR ? field->element_type : field->type);
	if (field->type == MILVUS_VARCHAR || (field->type == MILVUS_ARRAY && field->element_type == MILVUS_VARCHAR))
	{
		if (!field->has_max_length)
			MilvusInvalidParameter("type param(max_length) should be specified for varChar field(%s) of collection %s",
								   field->name, collection);
		if (field->max_length <= 0 || field->max_length > max_length)
			MilvusInvalidParameter("the maximum length specified for a VarChar field(%s) should be in (0, %d], but got " INT64_FORMAT " instead",
								   field->name, max_length, field->max_length);
	}
	if (field->type == MILVUS_ARRAY || field->type == MILVUS_ARRAY_OF_VECTOR)
	{
		if (!field->has_max_capacity)
			MilvusInvalidParameter("type param(max_capacity) should be specified for array field %s of collection %s",
								   field->name, collection);
		if (field->max_capacity <= 0 || field->max_capacity > milvus_settings.max_array_capacity)
			MilvusInvalidParameter("the maximum capacity specified for a Array should be in (0, %d]",
								   milvus_settings.max_array_capacity);
	}
	if (field->is_primary && field->nullable)
		MilvusInvalidParameter("primary field not support null");
	if (field->is_partition_key && field->nullable)
		MilvusInvalidParameter("partition key field not support nullable");
	if (field->auto_id && !field->is_primary)
		MilvusInvalidParameter("only primary field can speficy AutoID with true, field name = %s", field->name);
	if (field->enable_match && !field->enable_analyzer)
		MilvusInvalidParameter("field %s is set to enable match or bm25 function but not enable analyzer", field->name);
	check_default(field);
	/* ERROR where there is no such type in this database */
	(void) MilvusSqlType(field->type, field->element_type, Max(1, (int) field->dim));
}

/*
 * Functions are kept; their fields have to be there.
 */
static void
check_functions(SchemaDef *schema)
{
	ListCell   *cell;

	foreach(cell, JsonElements(&schema->functions->root))
	{
		JsonbContainer *function = JsonToObject(lfirst(cell));
		char	   *name = function != NULL ? JsonGetText(function, "name", "") : "";
		static const char *const keys[][2] = {
			{"input_field_names", "inputFieldNames"}, {"output_field_names", "outputFieldNames"}
		};

		if (*name == '\0')
			MilvusInvalidParameter("function name cannot be empty");
		for (int i = 0; i < 2; i++)
		{
			JsonbValue	value;
			ListCell   *part;

			if (!JsonGetEither(function, keys[i][0], keys[i][1], &value))
				continue;
			foreach(part, JsonElements(JsonToArray(&value)))
			{
				char	   *field_name = JsonText(lfirst(part));
				ListCell   *other;
				bool		found = false;

				foreach(other, schema->fields)
				{
					FieldDef   *field = lfirst(other);

					if (strcmp(field->name, field_name) != 0)
						continue;
					found = true;
					field->is_function_output |= i == 1;
				}
				if (!found)
					MilvusInvalidParameter("function %s field not found: %s", i == 0 ? "input" : "output", field_name);
			}
		}
	}
}

void
SchemaCheck(SchemaDef *schema)
{
	FieldDef   *primary = NULL;
	FieldDef   *partition_key = NULL;
	FieldDef   *clustering_key = NULL;
	int			nfields = 0;
	int			vectors = 0;
	ListCell   *cell;

	if (strlen(schema->description) > 1024)
		MilvusInvalidParameter("the length of collection description must be less than 1024 characters");
	foreach(cell, schema->fields)
	{
		FieldDef   *field = lfirst(cell);
		ListCell   *other;

		for_each_from(other, schema->fields, foreach_current_index(cell) + 1)
			if (strcmp(field->name, ((FieldDef *) lfirst(other))->name) == 0)
				MilvusInvalidParameter("duplicated field name %s found", field->name);
		foreach(other, schema->structs)
			if (strcmp(field->name, ((StructDef *) lfirst(other))->name) == 0)
				MilvusInvalidParameter("duplicated field name %s found", field->name);
		nfields++;
		vectors += MilvusTypeIsVector(field->type);
	}
	if (nfields > milvus_settings.max_fields)
		MilvusInvalidParameter("maximum field's number should be limited to %d", milvus_settings.max_fields);
	if (vectors == 0)
		MilvusInvalidParameter("schema does not contain vector field");
	if (vectors > milvus_settings.max_vector_fields)
		MilvusInvalidParameter("maximum vector field's number should be limited to %d", milvus_settings.max_vector_fields);
	foreach(cell, schema->fields)
	{
		FieldDef   *field = lfirst(cell);

		if (field->is_primary)
		{
			if (primary != NULL)
				MilvusInvalidParameter("there are more than one primary key, field name = %s, %s", primary->name, field->name);
			if (field->type != MILVUS_INT64 && field->type != MILVUS_VARCHAR)
				MilvusInvalidParameter("the data type of primary key should be Int64 or VarChar");
			primary = field;
		}
		if (field->is_partition_key)
		{
			if (partition_key != NULL)
				MilvusInvalidParameter("there are more than one partition key, field name = %s, %s", partition_key->name, field->name);
			if (field->is_primary)
				MilvusInvalidParameter("the partition key field must not be primary field");
			if (field->type != MILVUS_INT64 && field->type != MILVUS_VARCHAR)
				MilvusInvalidParameter("the data type of partition key should be Int64 or VarChar");
			partition_key = field;
		}
		if (field->is_clustering_key)
		{
			if (clustering_key != NULL)
				MilvusInvalidParameter("there are more than one clustering key, field name = %s, %s", clustering_key->name, field->name);
			if (MilvusTypeIsVector(field->type) || field->type == MILVUS_JSON || field->type == MILVUS_ARRAY)
				MilvusInvalidParameter("clustering key field %s has unsupported data type %s", field->name, MilvusTypeName(field->type));
			clustering_key = field;
		}
		SchemaCheckField(schema->name, field);
	}
	if (primary == NULL)
		MilvusInvalidParameter("primary key is not specified");
	check_functions(schema);
}

/* ---- columns ---- */

char *
ConstraintName(const char *column, const char *what)
{
	return makeObjectName(column, NULL, what);
}

/*
 * A default as a literal of the column's type.
 */
static char *
default_literal(const FieldDef *field)
{
	return psprintf("%s::%s", quote_literal_cstr(JsonText(&field->default_value)),
					MilvusSqlType(field->type, field->element_type, field->dim));
}

static void
append_check(StringInfo sql, const char *column, const char *what, const char *condition)
{
	appendStringInfo(sql, " CONSTRAINT %s CHECK (%s)", quote_identifier(ConstraintName(column, what)), condition);
}

/*
 * Operators and functions are qualified: whatever search_path is set when the table is made,
 * the column means the same.
 */
void
SchemaAppendColumn(StringInfo sql, FieldDef *field)
{
	char		column[NAMEDATALEN];
	const char *name;

	ColumnNameOf(field->name, column);
	name = pstrdup(quote_identifier(column));
	appendStringInfo(sql, "%s %s", name, MilvusSqlType(field->type, field->element_type, field->dim));
	if (MilvusTypeIsString(field->type) || field->element_type == MILVUS_VARCHAR)
		appendStringInfoString(sql, " COLLATE pg_catalog.\"C\"");
	if (!field->nullable)
		appendStringInfoString(sql, " NOT NULL");
	if (field->has_default)
		appendStringInfo(sql, " DEFAULT %s", default_literal(field));
	if (field->type == MILVUS_INT8)
		append_check(sql, column, "range",
					 psprintf("%s OPERATOR(pg_catalog.>=) (-128) AND %s OPERATOR(pg_catalog.<=) 127", name, name));
	if (field->type == MILVUS_VARCHAR)
		append_check(sql, column, "max_length",
					 psprintf("pg_catalog.octet_length(%s) OPERATOR(pg_catalog.<=) " INT64_FORMAT, name, field->max_length));
	if (field->type == MILVUS_TEXT)
		append_check(sql, column, "max_length",
					 psprintf("pg_catalog.octet_length(%s) OPERATOR(pg_catalog.<=) %d", name, milvus_settings.max_text_length));
	if (field->type == MILVUS_JSON)
		append_check(sql, column, "size",
					 psprintf("milvus.json_fits(%s, %d)", name, milvus_settings.max_json_length));
	if (field->type == MILVUS_ARRAY || field->type == MILVUS_ARRAY_OF_VECTOR)
		append_check(sql, column, "max_capacity",
					 psprintf("pg_catalog.cardinality(%s) OPERATOR(pg_catalog.<=) " INT64_FORMAT, name, field->max_capacity));
	if (field->type == MILVUS_ARRAY)
	{
		if (field->element_type == MILVUS_INT8)
			append_check(sql, column, "range",
						 psprintf("(-128) OPERATOR(pg_catalog.<=) ALL (%s) AND 127 OPERATOR(pg_catalog.>=) ALL (%s)", name, name));
		/* a CHECK cannot look into elements but by a function */
		append_check(sql, column, "elements",
					 psprintf("milvus.array_fits(%s, " INT64_FORMAT ")", name, field->element_type == MILVUS_VARCHAR ? field->max_length : 0));
	}
}

/*
 * What a column's label says of the field.
 */
char *
FieldLabel(const FieldDef *field)
{
	char		column[NAMEDATALEN];
	StringInfoData json;

	ColumnNameOf(field->name, column);
	initStringInfo(&json);
	JsonBegin(&json, NULL, '{');
	JsonAddInt(&json, "id", field->id);
	if (strcmp(column, field->name) != 0)
		JsonAddText(&json, "name", field->name);
	if (field->type == MILVUS_INT8 || field->type == MILVUS_TEXT)
		JsonAddText(&json, "type", MilvusTypeName(field->type));
	if (field->element_type == MILVUS_INT8)
		JsonAddText(&json, "element_type", MilvusTypeName(field->element_type));
	if (field->has_max_length && (field->type == MILVUS_VARCHAR || field->element_type == MILVUS_VARCHAR))
		JsonAddInt(&json, "max_length", field->max_length);
	if (field->has_max_capacity && (field->type == MILVUS_ARRAY || field->type == MILVUS_ARRAY_OF_VECTOR))
		JsonAddInt(&json, "max_capacity", field->max_capacity);
	if (*field->description != '\0')
		JsonAddText(&json, "description", field->description);
	if (field->struct_name != NULL)
		JsonAddText(&json, "struct", field->struct_name);
	if (field->auto_id)
		JsonAddBool(&json, "auto_id", true);
	if (field->is_partition_key)
		JsonAddBool(&json, "partition_key", true);
	if (field->is_clustering_key)
		JsonAddBool(&json, "clustering_key", true);
	if (field->is_function_output)
		JsonAddBool(&json, "function_output", true);
	if (field->enable_match)
		JsonAddBool(&json, "enable_match", true);
	if (field->enable_analyzer)
		JsonAddBool(&json, "enable_analyzer", true);
	if (field->params != NULL)
		JsonAddRaw(&json, "params", JsonToText(field->params));
	JsonEnd(&json, '}');
	return json.data;
}
