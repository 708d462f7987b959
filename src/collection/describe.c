/*
 * describe.c
 *		What is told of a collection.
 */
#include "postgres.h"

#include "access/table.h"
#include "collection/collection_internal.h"
#include "fmgr.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(milvus_describe_collection);
PG_FUNCTION_INFO_V1(milvus_has_collection);
PG_FUNCTION_INFO_V1(milvus_name_of);

/*
 * The DEFAULT of a column as JSON; NULL when it has none, or one that is no constant.
 */
static char *
default_value(const Collection *collection, const CollectionField *field)
{
	Relation	rel;
	Node	   *expression;
	StringInfoData json;
	char	   *text;
	Oid			output;
	bool		is_varlena;

	if (!field->has_default || field->is_dynamic)
		return NULL;
	rel = table_open(collection->relid, AccessShareLock);
	expression = build_column_default(rel, field->attnum);
	table_close(rel, AccessShareLock);
	if (expression == NULL)
		return NULL;
	expression = eval_const_expressions(NULL, expression);
	if (!IsA(expression, Const) || ((Const *) expression)->constisnull)
		return NULL;
	getTypeOutputInfo(((Const *) expression)->consttype, &output, &is_varlena);
	text = OidOutputFunctionCall(output, ((Const *) expression)->constvalue);
	if (field->type == MILVUS_BOOL)
		return DatumGetBool(((Const *) expression)->constvalue) ? "true" : "false";
	if ((MilvusTypeIsInteger(field->type) || MilvusTypeIsFloat(field->type)) && strspn(text, "0123456789+-.eE") == strlen(text))
		return text;
	initStringInfo(&json);
	escape_json(&json, text);
	return json.data;
}

static void
describe_field(StringInfo json, const Collection *collection, const CollectionField *field)
{
	Jsonb	   *label = LabelRead(collection->relid, field->attnum);
	JsonbValue	value;
	char	   *initial = default_value(collection, field);

	JsonBegin(json, NULL, '{');
	JsonAddInt(json, "field_id", field->id);
	JsonAddText(json, "name", field->sub_name != NULL ? field->sub_name : field->name);
	JsonAddText(json, "description", field->description);
	JsonAddText(json, "type", MilvusTypeName(field->type));
	if (field->element_type != MILVUS_NONE)
		JsonAddText(json, "element_type", MilvusTypeName(field->element_type));
	JsonBegin(json, "params", '{');
	if (field->dim > 0)
		JsonAddInt(json, "dim", field->dim);
	if (field->max_length > 0)
		JsonAddInt(json, "max_length", field->max_length);
	if (field->max_capacity > 0)
		JsonAddInt(json, "max_capacity", field->max_capacity);
	if (field->enable_match)
		JsonAddBool(json, "enable_match", true);
	if (field->enable_analyzer)
		JsonAddBool(json, "enable_analyzer", true);
	if (label != NULL && JsonGet(&label->root, "params", &value))
	{
		ListCell   *cell;

		foreach(cell, JsonKeys(JsonToObject(&value)))
			JsonAddText(json, lfirst(cell), JsonGetText(JsonToObject(&value), lfirst(cell), ""));
	}
	JsonEnd(json, '}');
	if (field->is_primary)
		JsonAddBool(json, "is_primary", true);
	if (field->auto_id)
		JsonAddBool(json, "auto_id", true);
	if (field->is_partition_key)
		JsonAddBool(json, "is_partition_key", true);
	if (field->is_clustering_key)
		JsonAddBool(json, "is_clustering_key", true);
	if (field->is_dynamic)
		JsonAddBool(json, "is_dynamic", true);
	if (field->is_function_output)
		JsonAddBool(json, "is_function_output", true);
	if (field->nullable)
		JsonAddBool(json, "nullable", true);
	if (initial != NULL)
		JsonAddRaw(json, "default_value", initial);
	JsonAddText(json, "column", field->column);
	JsonEnd(json, '}');
}

/* milvus.describe_collection(collection_name, db_name) returns jsonb */
Datum
milvus_describe_collection(PG_FUNCTION_ARGS)
{
	char	   *name = TEXT_ARG(0);
	const Collection *collection;
	Jsonb	   *label;
	JsonbValue	value;
	StringInfoData json;
	ListCell   *cell;

	if (name == NULL)
		MilvusInvalidParameter("collection name should not be empty");
	CheckCollectionName(name);
	collection = CollectionOpen(TEXT_ARG(1), name, AccessShareLock, true);
	if (collection == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_COLLECTION_NOT_FOUND),
				 errmsg("can't find collection[database=%s][collection=%s]", CollectionDatabase(TEXT_ARG(1)), name)));
	label = LabelRead(collection->relid, 0);
	initStringInfo(&json);
	JsonBegin(&json, NULL, '{');
	JsonAddText(&json, "collection_name", collection->name);
	JsonAddInt(&json, "collection_id", collection->relid);
	JsonAddText(&json, "db_name", collection->database);
	JsonAddText(&json, "description", collection->description);
	JsonAddText(&json, "relation", collection->relation);
	JsonAddBool(&json, "auto_id", collection->primary != NULL && collection->primary->auto_id);
	JsonAddBool(&json, "enable_dynamic_field", collection->meta != NULL);
	JsonAddText(&json, "consistency_level", MilvusConsistencyName(collection->consistency));
	JsonAddInt(&json, "num_shards", collection->shards);
	JsonAddInt(&json, "num_partitions", collection->partition_key != NULL ? collection->num_partitions : collection->npartitions);
	JsonAddInt(&json, "created_timestamp", JsonGetInt(&label->root, "created", 0));
	JsonAddInt(&json, "update_timestamp", JsonGetInt(&label->root, "updated", 0));
	JsonAddRaw(&json, "properties", JsonToText(collection->properties));
	JsonAddRaw(&json, "functions", JsonToText(collection->functions));
	JsonBegin(&json, "aliases", '[');
	foreach(cell, CollectionAliases(collection->relid))
		JsonAddText(&json, NULL, lfirst(cell));
	JsonEnd(&json, ']');
	JsonBegin(&json, "fields", '[');
	for (int i = 0; i < collection->nfields; i++)
		if (collection->fields[i].struct_name == NULL && !collection->fields[i].is_dynamic)
			describe_field(&json, collection, &collection->fields[i]);
	JsonEnd(&json, ']');
	if (JsonGet(&label->root, "structs", &value))
	{
		JsonBegin(&json, "struct_array_fields", '[');
		foreach(cell, JsonElements(JsonToArray(&value)))
		{
			JsonbContainer *object = JsonToObject(lfirst(cell));
			char	   *struct_name = object != NULL ? JsonGetText(object, "name", "") : "";

			JsonBegin(&json, NULL, '{');
			JsonAddInt(&json, "field_id", JsonGetInt(object, "id", 0));
			JsonAddText(&json, "name", struct_name);
			JsonAddText(&json, "description", JsonGetText(object, "description", ""));
			JsonAddInt(&json, "max_capacity", JsonGetInt(object, "max_capacity", 0));
			JsonBegin(&json, "fields", '[');
			for (int i = 0; i < collection->nfields; i++)
				if (collection->fields[i].struct_name != NULL && strcmp(collection->fields[i].struct_name, struct_name) == 0)
					describe_field(&json, collection, &collection->fields[i]);
			JsonEnd(&json, ']');
			JsonEnd(&json, '}');
		}
		JsonEnd(&json, ']');
	}
	JsonEnd(&json, '}');
	PG_RETURN_JSONB_P(JsonFromText(json.data));
}

/* milvus.has_collection(collection_name, db_name) returns boolean */
Datum
milvus_has_collection(PG_FUNCTION_ARGS)
{
	char	   *name = TEXT_ARG(0);

	if (name == NULL)
		MilvusInvalidParameter("collection name should not be empty");
	CheckCollectionName(name);
	PG_RETURN_BOOL(CollectionOpen(TEXT_ARG(1), name, AccessShareLock, true) != NULL);
}

/*
 * milvus.name_of(relation_name, stored, is_column) returns text: the name in Milvus of what
 * has this name and this one in its label.
 */
Datum
milvus_name_of(PG_FUNCTION_ARGS)
{
	char	   *actual = TEXT_ARG(0);

	if (actual == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(NameFromLabel(actual, TEXT_ARG(1), !PG_ARGISNULL(2) && PG_GETARG_BOOL(2))));
}
