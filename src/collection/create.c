/*
 * create.c
 *		Collections are made, attached, renamed, truncated and dropped.
 *
 * The table is made by SQL, with the caller's rights; labels follow in the same transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_type.h"
#include "collection/collection_internal.h"
#include "common/hashfn.h"
#include "commands/defrem.h"
#include "compat.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "guc.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(milvus_create_collection);
PG_FUNCTION_INFO_V1(milvus_attach_collection);
PG_FUNCTION_INFO_V1(milvus_drop_collection);
PG_FUNCTION_INFO_V1(milvus_rename_collection);
PG_FUNCTION_INFO_V1(milvus_truncate_collection);
PG_FUNCTION_INFO_V1(milvus_array_fits);
PG_FUNCTION_INFO_V1(milvus_json_fits);

void
MilvusExecute(const char *format, ...)
{
	StringInfoData sql;
	int			result;

	initStringInfo(&sql);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&sql, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&sql, needed);
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute(sql.data, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
	SPI_finish();
}

/* ---- create ---- */

/*
 * The quick form: a key and a vector.
 */
static SchemaDef *
quick_schema(FunctionCallInfo fcinfo, const char *name)
{
	SchemaDef  *schema = palloc0(sizeof(SchemaDef));
	FieldDef   *primary = palloc0(sizeof(FieldDef));
	FieldDef   *vector = palloc0(sizeof(FieldDef));
	char	   *id_type = TEXT_ARG(3);

	primary->name = TEXT_ARG(2);
	if (primary->name == NULL)
		primary->name = "id";
	if (id_type == NULL || pg_strcasecmp(id_type, "int") == 0 || pg_strcasecmp(id_type, "integer") == 0 ||
		MilvusTypeByName(id_type) == MILVUS_INT64)
		primary->type = MILVUS_INT64;
	else if (pg_strcasecmp(id_type, "str") == 0 || pg_strcasecmp(id_type, "string") == 0 ||
			 MilvusTypeByName(id_type) == MILVUS_VARCHAR)
	{
		primary->type = MILVUS_VARCHAR;
		primary->has_max_length = true;
		primary->max_length = PG_ARGISNULL(11) ? milvus_settings.max_varchar_length : PG_GETARG_INT32(11);
	}
	else
		MilvusInvalidParameter("the data type of primary key should be Int64 or VarChar");
	primary->description = "";
	primary->is_primary = true;
	primary->auto_id = !PG_ARGISNULL(6) && PG_GETARG_BOOL(6);

	vector->name = TEXT_ARG(4);
	if (vector->name == NULL)
		vector->name = "vector";
	vector->description = "";
	vector->type = MILVUS_FLOAT_VECTOR;
	vector->has_dim = true;
	vector->dim = PG_GETARG_INT32(1);

	schema->name = pstrdup(name);
	schema->description = "";
	schema->dynamic = PG_ARGISNULL(10) || PG_GETARG_BOOL(10);
	schema->fields = list_make2(primary, vector);
	schema->functions = JsonFromText("[]");
	return schema;
}

/*
 * A field that an argument names, beside the definition.
 */
static FieldDef *
named_field(SchemaDef *schema, const char *name)
{
	ListCell   *cell;

	foreach(cell, schema->fields)
		if (strcmp(((FieldDef *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	ereport(ERROR,
			(errmilvus(MILVUS_FIELD_NOT_FOUND),
			 errmsg("field not found[field=%s]", name)));
}

/*
 * The database may have another collection; a cheap look at the size of pg_seclabel first,
 * which has a row of each.
 */
static void
check_collection_limit(Oid namespace_oid, const char *database)
{
	Relation	rel = table_open(SecLabelRelationId, AccessShareLock);
	int64		bound = (int64) RelationGetNumberOfBlocks(rel) * MaxHeapTuplesPerPage;
	bool		isnull;
	int64		count;

	table_close(rel, AccessShareLock);
	if (bound < milvus_settings.max_collections)
		return;
	SPI_connect();
	if (SPI_execute(psprintf("SELECT pg_catalog.count(*) FROM pg_catalog.pg_seclabel l JOIN pg_catalog.pg_class c "
							 "ON c.oid OPERATOR(pg_catalog.=) l.objoid WHERE l.provider OPERATOR(pg_catalog.=) '" LABEL_PROVIDER "' "
							 "AND l.objsubid OPERATOR(pg_catalog.=) 0 AND c.relkind IN ('r', 'p') "
							 "AND c.relnamespace OPERATOR(pg_catalog.=) %u", namespace_oid), false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count collections");
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	if (count >= milvus_settings.max_collections)
		ereport(ERROR,
				(errmilvus(MILVUS_COLLECTION_LIMIT),
				 errmsg("exceeded the limit number of collections[dbName=%s][limit=%d]", database,
						milvus_settings.max_collections)));
}

/*
 * A key's partition, as an expression of its column.
 */
static char *
partition_expression(const FieldDef *key, int partitions)
{
	char		column[NAMEDATALEN];

	ColumnNameOf(key->name, column);
	return psprintf("(pg_catalog.mod(pg_catalog.%s(%s, 0) OPERATOR(pg_catalog.&) 9223372036854775807, %d))::pg_catalog.int2",
					key->type == MILVUS_INT64 ? "hashint8extended" : "hashtextextended",
					quote_identifier(column), partitions);
}

/*
 * Columns and constraints of the table.
 */
static char *
table_elements(SchemaDef *schema, FieldDef *partition_key, int partitions, bool has_ttl, const char *sequence)
{
	StringInfoData sql;
	ListCell   *cell;

	initStringInfo(&sql);
	foreach(cell, schema->fields)
	{
		FieldDef   *field = lfirst(cell);

		if (sql.len > 0)
			appendStringInfoString(&sql, ", ");
		SchemaAppendColumn(&sql, field);
		if (!field->is_primary)
			continue;
		if (field->auto_id && field->type == MILVUS_INT64)
			appendStringInfoString(&sql, " GENERATED BY DEFAULT AS IDENTITY");
		else if (field->auto_id)
			appendStringInfo(&sql, " DEFAULT (pg_catalog.nextval(%s::pg_catalog.regclass))::pg_catalog.text",
							 quote_literal_cstr(sequence));
		appendStringInfoString(&sql, " PRIMARY KEY");
	}
	if (schema->dynamic)
		appendStringInfo(&sql, ", \"$meta\" pg_catalog.jsonb NOT NULL DEFAULT '{}' CONSTRAINT \"$meta_size\" CHECK (milvus.json_fits(\"$meta\", %d))"
						 " CONSTRAINT \"$meta_object\" CHECK (pg_catalog.jsonb_typeof(\"$meta\") OPERATOR(pg_catalog.=) 'object')",
						 milvus_settings.max_json_length);
	if (partition_key != NULL)
		appendStringInfo(&sql, ", \"$partition\" pg_catalog.int2 NOT NULL GENERATED ALWAYS AS (%s) STORED",
						 partition_expression(partition_key, partitions));
	else
		appendStringInfoString(&sql, ", \"$partition\" pg_catalog.int2 NOT NULL DEFAULT 0");
	if (has_ttl)
		appendStringInfoString(&sql, ", \"$inserted\" pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()");
	foreach(cell, schema->structs)
	{
		StructDef  *def = lfirst(cell);
		StringInfoData condition;
		char	   *first = NULL;
		ListCell   *other;

		initStringInfo(&condition);
		foreach(other, schema->fields)
		{
			FieldDef   *field = lfirst(other);
			char		column[NAMEDATALEN];

			if (field->struct_name == NULL || strcmp(field->struct_name, def->name) != 0)
				continue;
			ColumnNameOf(field->name, column);
			if (first == NULL)
				first = pstrdup(quote_identifier(column));
			else
				appendStringInfo(&condition, "%spg_catalog.cardinality(%s) IS NOT DISTINCT FROM pg_catalog.cardinality(%s)",
								 condition.len > 0 ? " AND " : "", first, quote_identifier(column));
		}
		if (condition.len > 0)
			appendStringInfo(&sql, ", CONSTRAINT %s CHECK (%s)",
							 quote_identifier(ConstraintName(def->name, "lengths")), condition.data);
	}
	return sql.data;
}

/*
 * The label of a new collection's table.
 */
static StringInfo
begin_label(const char *name, const char *relation, const char *description)
{
	StringInfo	json = makeStringInfo();

	JsonBegin(json, NULL, '{');
	if (strcmp(name, relation) != 0)
		JsonAddText(json, "name", name);
	if (*description != '\0')
		JsonAddText(json, "description", description);
	JsonAddInt(json, "created", MilvusAllocTimestamp());
	JsonAddInt(json, "updated", MilvusAllocTimestamp());
	return json;
}

static Oid
make_table(SchemaDef *schema, Oid namespace_oid, FieldDef *partition_key, int partitions, int shards,
		   MilvusConsistency consistency, Jsonb *properties, const char *definition)
{
	char		relation[NAMEDATALEN];
	char	   *table;
	char	   *sequence = NULL;
	FieldDef   *primary = NULL;
	StringInfo	json;
	Oid			relid;
	int			next_id = 100;
	ListCell   *cell;

	RelationNameOf(schema->name, relation);
	table = QualifiedName(namespace_oid, relation);
	foreach(cell, schema->fields)
		if (((FieldDef *) lfirst(cell))->is_primary)
			primary = lfirst(cell);
	if (primary->auto_id && primary->type == MILVUS_VARCHAR)
	{
		char		column[NAMEDATALEN];

		ColumnNameOf(primary->name, column);
		sequence = QualifiedName(namespace_oid, ChooseRelationName(relation, column, "seq", namespace_oid, false));
		MilvusExecute("CREATE SEQUENCE %s", sequence);
	}
	MilvusExecute("CREATE TABLE %s (%s) USING %s", table,
				  table_elements(schema, partition_key, partitions,
								 JsonGetInt(&properties->root, "collection.ttl.seconds", 0) > 0, sequence),
				  milvus_settings.default_storage == STORAGE_HEAP ? "heap" : "milvus");
	relid = get_relname_relid(relation, namespace_oid);
	if (sequence != NULL)
	{
		char		column[NAMEDATALEN];

		ColumnNameOf(primary->name, column);
		MilvusExecute("ALTER SEQUENCE %s OWNED BY %s.%s", sequence, table, quote_identifier(column));
	}

	json = begin_label(schema->name, relation, schema->description);
	JsonAddInt(json, "consistency_level", consistency);
	JsonAddInt(json, "num_shards", shards);
	if (JB_ROOT_COUNT(properties) > 0)
		JsonAddRaw(json, "properties", JsonToText(properties));
	if (partition_key != NULL)
		JsonAddInt(json, "num_partitions", partitions);
	if (JB_ROOT_COUNT(schema->functions) > 0)
		JsonAddRaw(json, "functions", JsonToText(schema->functions));
	foreach(cell, schema->fields)
	{
		FieldDef   *field = lfirst(cell);
		char		column[NAMEDATALEN];

		field->id = next_id++;
		ColumnNameOf(field->name, column);
		LabelWrite(relid, get_attnum(relid, column), JsonFromText(FieldLabel(field)));
	}
	if (schema->structs != NIL)
	{
		JsonBegin(json, "structs", '[');
		foreach(cell, schema->structs)
		{
			StructDef  *def = lfirst(cell);

			JsonBegin(json, NULL, '{');
			JsonAddInt(json, "id", next_id++);
			JsonAddText(json, "name", def->name);
			JsonAddText(json, "description", def->description);
			JsonAddInt(json, "max_capacity", def->max_capacity);
			JsonEnd(json, '}');
		}
		JsonEnd(json, ']');
	}
	if (schema->dynamic)	/* the last field */
		LabelWrite(relid, get_attnum(relid, COLLECTION_META_COLUMN), JsonFromText(psprintf("{\"id\": %d}", next_id++)));
	JsonAddInt(json, "next_field_id", next_id);
	JsonAddText(json, "definition", definition);
	JsonEnd(json, '}');
	LabelWrite(relid, 0, JsonFromText(json->data));
	foreach(cell, schema->fields)
	{
		char		column[NAMEDATALEN];

		if (!((FieldDef *) lfirst(cell))->is_clustering_key || milvus_settings.default_storage == STORAGE_HEAP)
			continue;
		ColumnNameOf(((FieldDef *) lfirst(cell))->name, column);
		MilvusExecute("SELECT milvus.alter_table_options(%s::pg_catalog.regclass, pg_catalog.jsonb_build_object('cluster_key', %s::pg_catalog.text))",
					  quote_literal_cstr(table), quote_literal_cstr(column));
	}
	return relid;
}

/*
 * What tells one definition from another.
 */
static char *
definition_of(SchemaDef *schema, FieldDef *partition_key, int partitions, int shards)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, schema->fields)
	{
		SchemaAppendColumn(&text, lfirst(cell));
		appendStringInfoString(&text, FieldLabel(lfirst(cell)));
	}
	appendStringInfo(&text, "%s %d %d %d %s", schema->description, schema->dynamic, partitions, shards,
					 JsonToText(schema->functions));
	return psprintf("%016llx", (unsigned long long) hash_bytes_extended((unsigned char *) text.data, text.len, 0));
}

/*
 * A relation that has the new collection's name: ERROR, unless it is the same collection.
 */
static Oid
existing_collection(Oid namespace_oid, const char *database, const char *name, const char *definition)
{
	Oid			relid = FindRelation(namespace_oid, name);
	Oid			target;
	Jsonb	   *label;

	if (!OidIsValid(relid))
		return InvalidOid;
	if (OidIsValid(FindAlias(namespace_oid, name, &target)))
		ereport(ERROR,
				(errmilvus(MILVUS_ALIAS_CONFLICT),
				 errmsg("collection name [%s] conflicts with an existing alias, please choose a unique name: "
						"alias and collection name conflict[database=%s][alias=%s]", name, database, name)));
	/* gone, when this waited for who dropped it */
	if (CollectionByRelid(relid) == NULL && !OidIsValid(FindRelation(namespace_oid, name)))
		return InvalidOid;
	if (CollectionByRelid(relid) == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists and is no collection", name),
				 errhint("milvus.attach_collection() makes a collection of a table.")));
	label = LabelRead(relid, 0);
	/* dropped just now */
	if (label == NULL)
		return InvalidOid;
	if (strcmp(JsonGetText(&label->root, "definition", ""), definition) != 0)
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("create duplicate collection with different parameters, collection: %s", name)));
	return relid;
}

/*
 * milvus.create_collection(collection_name, dimension, primary_field_name, id_type, vector_field_name,
 *		metric_type, auto_id, schema, index_params, description, enable_dynamic_field, max_length,
 *		num_shards, num_partitions, partition_key_field, clustering_key_field, consistency_level,
 *		properties, db_name) returns regclass
 */
Datum
milvus_create_collection(PG_FUNCTION_ARGS)
{
	char	   *name = TEXT_ARG(0);
	Jsonb	   *json = PG_ARGISNULL(7) ? NULL : PG_GETARG_JSONB_P(7);
	Jsonb	   *index_params = PG_ARGISNULL(8) ? NULL : PG_GETARG_JSONB_P(8);
	char	   *metric = TEXT_ARG(5);
	char	   *partition_key_name = TEXT_ARG(14);
	char	   *clustering_key_name = TEXT_ARG(15);
	char	   *level = TEXT_ARG(16);
	const char *database = CollectionDatabase(TEXT_ARG(18));
	Jsonb	   *properties = JsonMergeTexts(NULL, PG_ARGISNULL(17) ? NULL : JsonRequireObject(PG_GETARG_JSONB_P(17), "properties"));
	Oid			namespace_oid = DatabaseNamespace(database, false);
	int			shards = PG_ARGISNULL(12) ? 1 : PG_GETARG_INT32(12);
	int			partitions = PG_ARGISNULL(13) ? 0 : PG_GETARG_INT32(13);
	MilvusConsistency consistency = level != NULL ? MilvusConsistencyByName(level) : CONSISTENCY_BOUNDED;
	FieldDef   *partition_key = NULL;
	SchemaDef  *schema;
	char	   *definition;
	Oid			relid;
	ListCell   *cell;

	if (name == NULL)
		MilvusInvalidParameter("collection name should not be empty");
	CheckCollectionName(name);
	if (json == NULL && PG_ARGISNULL(1))
		ereport(ERROR,
				(errmilvus(MILVUS_MISSING_PARAMETER),
				 errmsg("missing required argument: dimension or schema")));
	schema = json != NULL ? SchemaRead(name, &json->root) : quick_schema(fcinfo, name);
	if (!PG_ARGISNULL(9))
		schema->description = TEXT_ARG(9);
	if (json != NULL && !PG_ARGISNULL(10))
		schema->dynamic = PG_GETARG_BOOL(10);
	if (json != NULL && !PG_ARGISNULL(6))
		foreach(cell, schema->fields)
			if (((FieldDef *) lfirst(cell))->is_primary)
				((FieldDef *) lfirst(cell))->auto_id = PG_GETARG_BOOL(6);
	if (partition_key_name != NULL)
		named_field(schema, partition_key_name)->is_partition_key = true;
	if (clustering_key_name != NULL)
		named_field(schema, clustering_key_name)->is_clustering_key = true;
	SchemaCheck(schema);
	foreach(cell, schema->fields)
		if (((FieldDef *) lfirst(cell))->is_partition_key)
			partition_key = lfirst(cell);
	if (shards < 1 || shards > milvus_settings.max_shards)
		MilvusInvalidParameter("maximum shards's number should be limited to %d", milvus_settings.max_shards);
	if (partition_key == NULL && !PG_ARGISNULL(13))
		MilvusInvalidParameter("num_partitions should only be specified with partition key field enabled");
	if (partition_key != NULL)
	{
		if (PG_ARGISNULL(13))
			partitions = 16;
		if (partitions < 1)
			MilvusInvalidParameter("the specified partitions should be greater than 0 if partition key is used");
		if (partitions > milvus_settings.max_partitions)
			MilvusInvalidParameter("partition number (%d) exceeds max configuration (%d)", partitions,
								   milvus_settings.max_partitions);
	}
	CheckProperties(properties);

	definition = definition_of(schema, partition_key, partitions, shards);
	LockName(namespace_oid, name);
	relid = existing_collection(namespace_oid, database, name, definition);
	if (OidIsValid(relid))
		PG_RETURN_OID(relid);
	check_collection_limit(namespace_oid, database);
	relid = make_table(schema, namespace_oid, partition_key, partitions, shards, consistency, properties, definition);
	IndexAfterCreate(CollectionByRelid(relid));
	if (index_params != NULL)
		IndexCreateAll(CollectionByRelid(relid), &index_params->root);
	else if (json == NULL)
		IndexCreateAuto(CollectionByRelid(relid), ((FieldDef *) lsecond(schema->fields))->name,
						metric != NULL ? metric : "COSINE");
	if (index_params != NULL || json == NULL)
		CollectionLoad(CollectionByRelid(relid));
	PG_RETURN_OID(relid);
}

/* ---- attach ---- */

/* milvus.attach_collection(relation regclass, description text, properties jsonb) returns regclass */
Datum
milvus_attach_collection(PG_FUNCTION_ARGS)
{
	Oid			relid;
	Relation	rel;
	Jsonb	   *properties;
	const char *name;
	StringInfo	json;
	const Collection *collection;
	int			next_id = 100;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	relid = PG_GETARG_OID(0);
	properties = JsonMergeTexts(NULL, PG_ARGISNULL(2) ? NULL : JsonRequireObject(PG_GETARG_JSONB_P(2), "properties"));
	if (!MilvusOwnsRelation(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	rel = table_open(relid, ShareUpdateExclusiveLock);
	name = RelationGetRelationName(rel);
	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relispartition)
		ereport(ERROR,
				(errmilvus(MILVUS_ILLEGAL_SCHEMA),
				 errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an ordinary table: illegal collection schema", name)));
	if (!NamespaceIsDatabase(RelationGetNamespace(rel), get_namespace_name(RelationGetNamespace(rel))) ||
		rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errmilvus(MILVUS_DATABASE_NAME),
				 errmsg("schema \"%s\" cannot be a database: invalid database name[database=%s]",
						get_namespace_name(RelationGetNamespace(rel)), get_namespace_name(RelationGetNamespace(rel)))));
	CheckCollectionName(name);
	if (CollectionByRelid(relid) != NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("\"%s\" is a collection already", name)));
	CheckProperties(properties);

	json = begin_label(name, name, PG_ARGISNULL(1) ? "" : TEXT_ARG(1));
	JsonAddInt(json, "consistency_level", CONSISTENCY_BOUNDED);
	if (JB_ROOT_COUNT(properties) > 0)
		JsonAddRaw(json, "properties", JsonToText(properties));
	JsonAddInt(json, "next_field_id", next_id);
	JsonEnd(json, '}');
	LabelWrite(relid, 0, JsonFromText(json->data));
	collection = CollectionByRelid(relid);
	if (collection->primary == NULL ||
		(!MilvusTypeIsInteger(collection->primary->type) && collection->primary->type != MILVUS_VARCHAR))
		ereport(ERROR,
				(errmilvus(MILVUS_ILLEGAL_SCHEMA),
				 errmsg("table \"%s\" has no primary key of one integer or text column: illegal collection schema", name)));
	for (int i = 0; i < collection->nfields; i++)
		LabelWrite(relid, collection->fields[i].attnum, JsonFromText(psprintf("{\"id\": %d}", next_id++)));
	CollectionSetLabel(collection, "next_field_id", psprintf("%d", next_id));
	table_close(rel, NoLock);
	if (JsonGetInt(&properties->root, "collection.ttl.seconds", 0) > 0)
		AddHiddenColumn(collection, COLLECTION_TIME_COLUMN, "pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()");
	PG_RETURN_OID(relid);
}

/* ---- drop, rename, truncate ---- */

/*
 * Names of a collection's aliases, as one text; NULL: it has none.
 */
static char *
alias_names(const Collection *collection)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, CollectionAliases(collection->relid))
		appendStringInfo(&text, "%s%s", text.len > 0 ? " " : "", (char *) lfirst(cell));
	return text.len > 0 ? text.data : NULL;
}

/*
 * A collection by its own name, owned by the caller; via_alias: the message when it is an alias.
 */
static const Collection *
open_by_own_name(const char *database, const char *name, const char *via_alias)
{
	Oid			target;

	if (OidIsValid(FindAlias(DatabaseNamespace(database, false), name, &target)))
		MilvusInvalidParameter(via_alias, name);
	return CollectionOpenOwned(database, name, AccessExclusiveLock);
}

/* milvus.drop_collection(collection_name, db_name) returns void */
Datum
milvus_drop_collection(PG_FUNCTION_ARGS)
{
	char	   *name = TEXT_ARG(0);
	char	   *database = TEXT_ARG(1);
	const Collection *collection;
	Oid			namespace_oid;
	char	   *aliases;

	if (name == NULL)
		MilvusInvalidParameter("collection name should not be empty");
	namespace_oid = DatabaseNamespace(database, false);
	if (!OidIsValid(FindRelation(namespace_oid, name)))
		PG_RETURN_VOID();
	LockName(namespace_oid, name);
	if (!OidIsValid(FindRelation(namespace_oid, name)))
		PG_RETURN_VOID();
	collection = open_by_own_name(database, name, "cannot drop the collection via alias = %s");
	aliases = alias_names(collection);
	if (aliases != NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("unable to drop the collection [%s] because it has associated aliases [%s], "
						"please remove all aliases before dropping the collection", name, aliases)));
	MilvusExecute("DROP TABLE %s", collection->relation);
	PG_RETURN_VOID();
}

/*
 * Give a table's indexes and sequences names that are free in the other schema too.
 */
static void
free_names(const Collection *collection, Oid target_namespace)
{
	Relation	rel = table_open(collection->relid, NoLock);
	List	   *oids = list_concat_copy(RelationGetIndexList(rel), getOwnedSequences(collection->relid));
	ListCell   *cell;

	table_close(rel, NoLock);
	foreach(cell, oids)
	{
		char	   *name = get_rel_name(lfirst_oid(cell));
		bool		is_sequence = get_rel_relkind(lfirst_oid(cell)) == RELKIND_SEQUENCE;
		char	   *other = NULL;

		if (!OidIsValid(get_relname_relid(name, target_namespace)))
			continue;
		for (int i = 1; other == NULL; i++)
		{
			other = makeObjectName(name, NULL, psprintf("%d", i));
			if (OidIsValid(get_relname_relid(other, target_namespace)) ||
				OidIsValid(get_relname_relid(other, collection->namespace_oid)))
				other = NULL;
		}
		MilvusExecute("ALTER %s %s RENAME TO %s", is_sequence ? "SEQUENCE" : "INDEX",
					  QualifiedName(collection->namespace_oid, name), quote_identifier(other));
		if (!is_sequence)
			IndexRenamed(collection, name, other);
	}
}

/* milvus.rename_collection(old_name, new_name, target_db, db_name) returns void */
Datum
milvus_rename_collection(PG_FUNCTION_ARGS)
{
	char	   *old_name = TEXT_ARG(0);
	char	   *new_name = TEXT_ARG(1);
	char	   *database = TEXT_ARG(3);
	char	   *target_db = PG_ARGISNULL(2) || *TEXT_ARG(2) == '\0' ? database : TEXT_ARG(2);
	Oid			target_namespace;
	const Collection *collection;
	char		relation[NAMEDATALEN];
	Oid			relid;
	Oid			target;

	if (old_name == NULL || new_name == NULL)
		MilvusInvalidParameter("collection name should not be empty");
	CheckCollectionName(new_name);
	target_namespace = DatabaseNamespace(target_db, false);
	collection = open_by_own_name(database, old_name, "unsupported use an alias to rename collection, alias:%s");
	relid = collection->relid;
	LockName(target_namespace, new_name);
	if (OidIsValid(FindAlias(target_namespace, new_name, &target)))
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errcode(ERRCODE_DUPLICATE_ALIAS),
				 errmsg("cannot rename collection to an existing alias: %s", new_name)));
	if (OidIsValid(FindRelation(target_namespace, new_name)))
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("duplicated new collection name %s:%s with other collection name or alias",
						CollectionDatabase(target_db), new_name)));
	if (target_namespace != collection->namespace_oid && CollectionAliases(relid) != NIL)
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errmsg("fail to rename db name, must drop all aliases of collection %s before rename", old_name)));
	RelationNameOf(new_name, relation);
	if (target_namespace != collection->namespace_oid)
	{
		/* its new name may be taken here, its old one there: by way of a name that nothing has */
		char	   *between = psprintf("milvus_rename_%u", relid);

		free_names(collection, target_namespace);
		MilvusExecute("ALTER TABLE %s RENAME TO %s", collection->relation, quote_identifier(between));
		MilvusExecute("ALTER TABLE %s SET SCHEMA %s", QualifiedName(collection->namespace_oid, between),
					  quote_identifier(NamespaceName(target_namespace)));
		MilvusExecute("ALTER TABLE %s RENAME TO %s", QualifiedName(target_namespace, between), quote_identifier(relation));
	}
	else
		MilvusExecute("ALTER TABLE %s RENAME TO %s", collection->relation, quote_identifier(relation));
	{
		StringInfoData json;

		initStringInfo(&json);
		escape_json(&json, new_name);
		CollectionSetLabel(CollectionByRelid(relid), "name", strcmp(relation, new_name) == 0 ? NULL : json.data);
	}
	PG_RETURN_VOID();
}

/* milvus.truncate_collection(collection_name, db_name) returns void */
Datum
milvus_truncate_collection(PG_FUNCTION_ARGS)
{
	const Collection *collection;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	collection = CollectionOpen(TEXT_ARG(1), TEXT_ARG(0), NoLock, false);
	MilvusExecute("TRUNCATE TABLE %s", collection->relation);
	PG_RETURN_VOID();
}

/* ---- what CHECK constraints call ---- */

/*
 * milvus.array_fits(anyarray, integer) returns boolean: no element is null, and none has
 * more bytes than that (0: any number).
 */
Datum
milvus_array_fits(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			max = PG_GETARG_INT32(1);
	Datum	   *values;
	int			n;

	if (array_contains_nulls(array))
		PG_RETURN_BOOL(false);
	if (max == 0 || ARR_ELEMTYPE(array) != TEXTOID)
		PG_RETURN_BOOL(true);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &n);
	for (int i = 0; i < n; i++)
		if ((int) VARSIZE_ANY_EXHDR(DatumGetPointer(values[i])) > max)
			PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(true);
}

/*
 * milvus.json_fits(jsonb, integer) returns boolean: it has no more bytes than that, as text.
 * Only what is larger as it is stored is written out.
 */
Datum
milvus_json_fits(PG_FUNCTION_ARGS)
{
	Jsonb	   *json = PG_GETARG_JSONB_P(0);
	int			max = PG_GETARG_INT32(1);

	PG_RETURN_BOOL((int) VARSIZE(json) <= max || strlen(JsonToText(json)) <= (size_t) max);
}
