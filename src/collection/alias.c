/*
 * alias.c
 *		Aliases: views that hold a collection's table as a constant.
 *
 * So an alias has a name of its own among tables and views, follows a rename, is dumped, and
 * keeps its table from being dropped.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_rewrite.h"
#include "collection/collection_internal.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(milvus_create_alias);
PG_FUNCTION_INFO_V1(milvus_alter_alias);
PG_FUNCTION_INFO_V1(milvus_drop_alias);
PG_FUNCTION_INFO_V1(milvus_describe_alias);
PG_FUNCTION_INFO_V1(milvus_list_aliases);

/*
 * The view that a rule belongs to.
 */
static Oid
view_of_rule(Oid rule)
{
	Relation	rel = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(rule));
	scan = systable_beginscan(rel, RewriteOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Found by what depends on the table.
 */
List *
CollectionAliases(Oid relid)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *rules = NIL;
	List	   *aliases = NIL;
	ListCell   *cell;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		if (depend->classid == RewriteRelationId)
			rules = list_append_unique_oid(rules, depend->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	foreach(cell, rules)
	{
		Oid			target;
		const char *alias = AliasOfView(view_of_rule(lfirst_oid(cell)), &target);

		if (alias != NULL && target == relid)
			aliases = lappend(aliases, pstrdup(alias));
	}
	return aliases;
}

/*
 * The collection of an alias to be made: by its own name, not by an alias.
 */
static const Collection *
open_target(const char *database, const char *name)
{
	Oid			target;

	if (OidIsValid(FindAlias(DatabaseNamespace(database, false), name, &target)))
		ereport(ERROR,
				(errmilvus(MILVUS_COLLECTION_NOT_FOUND),
				 errmsg("collection not found[database=%s][collection=%s]", CollectionDatabase(database), name)));
	return CollectionOpenOwned(database, name, ShareUpdateExclusiveLock);
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	if (PG_ARGISNULL(1))
		MilvusInvalidParameter("collection alias should not be empty");
	CheckAlias(TEXT_ARG(1));
}

/* milvus.create_alias(collection_name, alias, db_name) returns void */
Datum
milvus_create_alias(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	char	   *alias;
	char		relation[NAMEDATALEN];
	char	   *view;
	Oid			target;
	Oid			relid;
	Jsonb	   *label;

	check_arguments(fcinfo);
	alias = TEXT_ARG(1);
	collection = open_target(TEXT_ARG(2), TEXT_ARG(0));
	LockName(collection->namespace_oid, alias);
	if (OidIsValid(FindAlias(collection->namespace_oid, alias, &target)))
	{
		const Collection *other = CollectionByRelid(target);

		if (target == collection->relid)
			PG_RETURN_VOID();
		ereport(ERROR,
				(errmilvus(MILVUS_ALIAS_EXISTS),
				 errmsg("%s is alias to another collection: %s: alias already exist[database=%s][alias=%s]", alias,
						other != NULL ? other->name : get_rel_name(target), collection->database, alias)));
	}
	if (OidIsValid(FindRelation(collection->namespace_oid, alias)))
		ereport(ERROR,
				(errmilvus(MILVUS_ALIAS_CONFLICT),
				 errmsg("alias and collection name conflict[database=%s][alias=%s]", collection->database, alias)));
	RelationNameOf(alias, relation);
	view = QualifiedName(collection->namespace_oid, relation);
	MilvusExecute("CREATE VIEW %s AS SELECT %s::pg_catalog.regclass AS collection", view,
				  quote_literal_cstr(collection->relation));
	relid = get_relname_relid(relation, collection->namespace_oid);
	label = JsonFromText("{\"alias\": true}");
	LabelWrite(relid, 0, strcmp(relation, alias) == 0 ? label : JsonWithText(label, "name", alias));
	PG_RETURN_VOID();
}

static void
alias_not_found(const char *database, const char *alias)
{
	ereport(ERROR,
			(errmilvus(MILVUS_ALIAS_NOT_FOUND),
			 errmsg("alias not found[database=%s][alias=%s]", CollectionDatabase(database), alias)));
}

/* milvus.alter_alias(collection_name, alias, db_name) returns void */
Datum
milvus_alter_alias(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	char		relation[NAMEDATALEN];
	Oid			target;
	Oid			view;

	check_arguments(fcinfo);
	collection = open_target(TEXT_ARG(2), TEXT_ARG(0));
	LockName(collection->namespace_oid, TEXT_ARG(1));
	view = FindAlias(collection->namespace_oid, TEXT_ARG(1), &target);
	if (!OidIsValid(view))
		alias_not_found(TEXT_ARG(2), TEXT_ARG(1));
	RelationNameOf(TEXT_ARG(1), relation);
	MilvusExecute("CREATE OR REPLACE VIEW %s AS SELECT %s::pg_catalog.regclass AS collection",
				  QualifiedName(collection->namespace_oid, relation), quote_literal_cstr(collection->relation));
	PG_RETURN_VOID();
}

/* milvus.drop_alias(alias, db_name) returns void */
Datum
milvus_drop_alias(PG_FUNCTION_ARGS)
{
	char	   *alias = TEXT_ARG(0);
	Oid			namespace_oid = DatabaseNamespace(TEXT_ARG(1), false);
	char		relation[NAMEDATALEN];
	Oid			target;

	if (alias == NULL)
		MilvusInvalidParameter("collection alias should not be empty");
	CheckAlias(alias);
	if (!OidIsValid(FindAlias(namespace_oid, alias, &target)))
		PG_RETURN_VOID();
	LockName(namespace_oid, alias);
	if (!OidIsValid(FindAlias(namespace_oid, alias, &target)))
		PG_RETURN_VOID();
	RelationNameOf(alias, relation);
	MilvusExecute("DROP VIEW %s", QualifiedName(namespace_oid, relation));
	PG_RETURN_VOID();
}

/* milvus.describe_alias(alias, db_name) returns (alias, collection_name, db_name) */
Datum
milvus_describe_alias(PG_FUNCTION_ARGS)
{
	char	   *alias = TEXT_ARG(0);
	Oid			namespace_oid = DatabaseNamespace(TEXT_ARG(1), false);
	const Collection *collection;
	TupleDesc	desc;
	const char *name;
	Datum		values[3];
	bool		nulls[3] = {0};
	Oid			target;

	if (alias == NULL)
		MilvusInvalidParameter("collection alias should not be empty");
	CheckAlias(alias);
	if (!OidIsValid(FindAlias(namespace_oid, alias, &target)))
		alias_not_found(TEXT_ARG(1), alias);
	collection = CollectionByRelid(target);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(alias);
	name = collection != NULL ? collection->name : get_rel_name(target);
	/* dropped just now, the alias with it */
	if (name == NULL)
		alias_not_found(TEXT_ARG(1), alias);
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(CollectionDatabase(TEXT_ARG(1)));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* milvus.list_aliases(collection_name, db_name) returns setof text: of one collection */
Datum
milvus_list_aliases(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const Collection *collection;
	ListCell   *cell;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection name should not be empty");
	collection = CollectionOpen(TEXT_ARG(1), TEXT_ARG(0), AccessShareLock, false);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(cell, CollectionAliases(collection->relid))
	{
		Datum		value = CStringGetTextDatum(lfirst(cell));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}
