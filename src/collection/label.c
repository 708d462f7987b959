/*
 * label.c
 *		Security labels of the provider milvus_catalog: what is remembered of collections.
 *
 * The provider is registered when a SECURITY LABEL statement names it (which dumps do): a
 * provider that is always there would change what SECURITY LABEL without FOR means to others.
 * Our own functions need no provider to read and write labels.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_seclabel.h"
#include "collection/collection_internal.h"
#include "commands/seclabel.h"
#include "compat.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

Jsonb *
LabelRead(Oid relid, int subid)
{
	ObjectAddress address;
	char	   *label;

	ObjectAddressSubSet(address, RelationRelationId, relid, subid);
	label = GetSecurityLabel(&address, LABEL_PROVIDER);
	return label != NULL ? JsonFromText(label) : NULL;
}

Jsonb **
LabelReadAll(Oid relid, int natts)
{
	Jsonb	  **labels = palloc0(sizeof(Jsonb *) * (natts + 1));
	Relation	rel = table_open(SecLabelRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_seclabel_objoid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_seclabel_classoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	scan = systable_beginscan(rel, SecLabelObjectIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		int			subid = DatumGetInt32(heap_getattr(tuple, Anum_pg_seclabel_objsubid, RelationGetDescr(rel), &isnull));
		Datum		provider = heap_getattr(tuple, Anum_pg_seclabel_provider, RelationGetDescr(rel), &isnull);
		Datum		label;

		if (subid < 0 || subid > natts || strcmp(TextDatumGetCString(provider), LABEL_PROVIDER) != 0)
			continue;
		label = heap_getattr(tuple, Anum_pg_seclabel_label, RelationGetDescr(rel), &isnull);
		if (!isnull)
			labels[subid] = JsonFromText(TextDatumGetCString(label));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return labels;
}

void
LabelWrite(Oid relid, int subid, Jsonb *label)
{
	ObjectAddress address;

	if (!MilvusOwnsRelation(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	ObjectAddressSubSet(address, RelationRelationId, relid, subid);
	SetSecurityLabel(&address, LABEL_PROVIDER, label != NULL ? JsonToText(label) : NULL);
	CacheInvalidateRelcacheByRelid(relid);
	CommandCounterIncrement();
}

/* ---- SECURITY LABEL ---- */

/*
 * A label that comes from a dump, or that somebody writes himself.
 */
static void
check_label(const ObjectAddress *object, const char *label)
{
	if (object->classId != RelationRelationId)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("labels of the provider \"%s\" are for tables, views and columns only", LABEL_PROVIDER)));
	if (label != NULL)
	{
		Jsonb	   *json = JsonFromText(label);

		if (!JB_ROOT_IS_OBJECT(json))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("labels of the provider \"%s\" are JSON objects", LABEL_PROVIDER)));
	}
	CacheInvalidateRelcacheByRelid(object->objectId);
}

static ProcessUtility_hook_type next_utility;

static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest,
				QueryCompletion *completion)
{
	static bool registered = false;

	if (IsA(pstmt->utilityStmt, SecLabelStmt) && !registered)
	{
		const SecLabelStmt *stmt = (SecLabelStmt *) pstmt->utilityStmt;

		if (stmt->provider != NULL && strcmp(stmt->provider, LABEL_PROVIDER) == 0)
		{
			register_label_provider(LABEL_PROVIDER, check_label);
			registered = true;
		}
	}
	if (next_utility != NULL)
		next_utility(pstmt, query, read_only, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(pstmt, query, read_only, context, params, environment, dest, completion);
}

void
CollectionInit(void)
{
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
