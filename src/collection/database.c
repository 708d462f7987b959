/*
 * database.c
 *		Databases: schemas.  Properties are in the label of a view that is made for them.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "collection/collection_internal.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "guc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(milvus_create_database);
PG_FUNCTION_INFO_V1(milvus_drop_database);
PG_FUNCTION_INFO_V1(milvus_describe_database);
PG_FUNCTION_INFO_V1(milvus_alter_database_properties);
PG_FUNCTION_INFO_V1(milvus_drop_database_properties);
PG_FUNCTION_INFO_V1(milvus_use_database);
PG_FUNCTION_INFO_V1(milvus_database_of);
PG_FUNCTION_INFO_V1(milvus_database_name);

/*
 * A number that a query gives; it sees what this statement did.
 */
static int64
query_number(const char *sql)
{
	int64		result;
	bool		isnull;

	SPI_connect();
	if (SPI_execute(sql, false, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "query failed: %s", sql);
	result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return result;
}

/*
 * The view that carries the label, made when it is not there.  It has a literal of a type of
 * ours, whose input function loads the library: a restored view is labeled next.
 */
static Oid
database_view(Oid namespace_oid)
{
	Oid			view = get_relname_relid(DATABASE_VIEW, namespace_oid);

	if (OidIsValid(view))
		return view;
	MilvusExecute("CREATE VIEW %s AS SELECT %s::pg_catalog.text AS note, '[0]'::%s AS library", QualifiedName(namespace_oid, DATABASE_VIEW),
				  quote_literal_cstr("properties of this Milvus database are the view's security label"),
				  QualifiedName(MilvusTypeNamespace(), "vector"));
	return get_relname_relid(DATABASE_VIEW, namespace_oid);
}

static void
write_properties(Oid namespace_oid, Jsonb *properties)
{
	Oid			view = database_view(namespace_oid);

	LabelWrite(view, 0, JsonWith(LabelRead(view, 0), "properties", JsonToText(properties)));
}

Jsonb *
DatabaseProperties(Oid namespace_oid)
{
	Oid			view = get_relname_relid(DATABASE_VIEW, namespace_oid);
	Jsonb	   *label = OidIsValid(view) ? LabelRead(view, 0) : NULL;
	JsonbValue	value;

	if (label == NULL || !JsonGet(&label->root, "properties", &value) || JsonToObject(&value) == NULL)
		return JsonFromText("{}");
	return JsonFromText(JsonText(&value));
}

static char *
database_arg(FunctionCallInfo fcinfo)
{
	char	   *name = TEXT_ARG(0);

	if (name == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_DATABASE_NAME),
				 errmsg("database name couldn't be empty: invalid database name[database=]")));
	return name;
}

/* milvus.create_database(db_name, properties) returns void */
Datum
milvus_create_database(PG_FUNCTION_ARGS)
{
	char	   *name = database_arg(fcinfo);
	char		schema[NAMEDATALEN];
	Oid			namespace_oid;

	LockName(InvalidOid, name);
	if (strcmp(name, "default") == 0 || OidIsValid(DatabaseNamespace(name, true)))
	{
		if (*name == '\0')
			CheckDatabaseName(name);
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("database already exist: %s", name)));
	}
	CheckDatabaseName(name);
	if (query_number("SELECT pg_catalog.count(*) FROM milvus.list_databases()") >= milvus_settings.max_databases)
		ereport(ERROR,
				(errmilvus(MILVUS_DATABASE_LIMIT),
				 errmsg("exceeded the limit number of database[limit=%d]", milvus_settings.max_databases)));
	RelationNameOf(name, schema);
	MilvusExecute("CREATE SCHEMA %s", quote_identifier(schema));
	namespace_oid = get_namespace_oid(schema, false);
	if (strcmp(schema, name) != 0)
	{
		Oid			view = database_view(namespace_oid);

		LabelWrite(view, 0, JsonWithText(NULL, "name", name));
	}
	if (!PG_ARGISNULL(1) && JsonContainerSize(JsonRequireObject(PG_GETARG_JSONB_P(1), "properties")) > 0)
		write_properties(namespace_oid, JsonMergeTexts(NULL, &PG_GETARG_JSONB_P(1)->root));
	PG_RETURN_VOID();
}

/* milvus.drop_database(db_name) returns void */
Datum
milvus_drop_database(PG_FUNCTION_ARGS)
{
	char	   *name = database_arg(fcinfo);
	Oid			namespace_oid;

	if (strcmp(CollectionDatabase(name), "default") == 0)
		MilvusInvalidParameter("can not drop default database");
	LockName(InvalidOid, CollectionDatabase(name));
	namespace_oid = DatabaseNamespace(name, true);
	if (!OidIsValid(namespace_oid))
		PG_RETURN_VOID();
	if (query_number(psprintf("SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_seclabel l "
							  "ON l.objoid OPERATOR(pg_catalog.=) c.oid WHERE c.relnamespace OPERATOR(pg_catalog.=) %u "
							  "AND c.relkind IN ('r', 'p') AND l.provider OPERATOR(pg_catalog.=) '" LABEL_PROVIDER "' "
							  "AND l.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass "
							  "AND l.objsubid OPERATOR(pg_catalog.=) 0", namespace_oid)) > 0)
		ereport(ERROR,
				(errmilvus(MILVUS_UNEXPECTED),
				 errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("database:%s not empty, must drop all collections before drop database", name)));
	if (OidIsValid(get_relname_relid(DATABASE_VIEW, namespace_oid)))
		MilvusExecute("DROP VIEW %s", QualifiedName(namespace_oid, DATABASE_VIEW));
	MilvusExecute("DROP SCHEMA %s", quote_identifier(NamespaceName(namespace_oid)));
	PG_RETURN_VOID();
}

/* milvus.describe_database(db_name) returns jsonb */
Datum
milvus_describe_database(PG_FUNCTION_ARGS)
{
	const char *name = CollectionDatabase(database_arg(fcinfo));
	Oid			namespace_oid = DatabaseNamespace(name, false);

	PG_RETURN_JSONB_P(JsonWithText(DatabaseProperties(namespace_oid), "name", name));
}

/* milvus.alter_database_properties(db_name, properties) returns void */
Datum
milvus_alter_database_properties(PG_FUNCTION_ARGS)
{
	Oid			namespace_oid = DatabaseNamespace(database_arg(fcinfo), false);

	if (PG_ARGISNULL(1))
		MilvusInvalidParameter("no properties are given");
	write_properties(namespace_oid, JsonMergeTexts(DatabaseProperties(namespace_oid), JsonRequireObject(PG_GETARG_JSONB_P(1), "properties")));
	PG_RETURN_VOID();
}

/* milvus.drop_database_properties(db_name, property_keys) returns void */
Datum
milvus_drop_database_properties(PG_FUNCTION_ARGS)
{
	Oid			namespace_oid = DatabaseNamespace(database_arg(fcinfo), false);
	Jsonb	   *properties = DatabaseProperties(namespace_oid);
	ListCell   *cell;

	foreach(cell, PG_ARGISNULL(1) ? NIL : TextArrayToList(PG_GETARG_ARRAYTYPE_P(1)))
		properties = JsonWith(properties, lfirst(cell), NULL);
	write_properties(namespace_oid, properties);
	PG_RETURN_VOID();
}

/* milvus.use_database(db_name) returns void */
Datum
milvus_use_database(PG_FUNCTION_ARGS)
{
	char	   *name = database_arg(fcinfo);

	(void) DatabaseNamespace(*name == '\0' ? "default" : name, false);
	(void) set_config_option("milvus.database", name, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
	PG_RETURN_VOID();
}

/* milvus.database_of(regnamespace) returns text: the database that a schema is; NULL: none */
Datum
milvus_database_of(PG_FUNCTION_ARGS)
{
	Oid			namespace_oid = PG_GETARG_OID(0);
	char	   *name = get_namespace_name(namespace_oid);

	if (name == NULL || !NamespaceIsDatabase(namespace_oid, name))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(NamespaceDatabase(namespace_oid)));
}

/* milvus.database_name(db_name) returns text: the database meant; ERROR when there is none */
Datum
milvus_database_name(PG_FUNCTION_ARGS)
{
	const char *name = CollectionDatabase(TEXT_ARG(0));

	(void) DatabaseNamespace(name, false);
	PG_RETURN_TEXT_P(cstring_to_text(name));
}
