/*
 * annhandler.c
 *		The access method's callbacks and properties, and checking operator classes.
 */
#include "postgres.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "am/ann/annattr.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "fmgr.h"
#include "access/stratnum.h"
#include "utils/lsyscache.h"
#include "utils/catcache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(ann_handler);

/*
 * Phases shown by pg_stat_progress_create_index.
 */
static char *
annbuildphasename(int64 phase)
{
	switch (phase)
	{
		case 1:
			return "initializing";
		case 2:
			return "loading vectors";
		case 3:
			return "building segment";
		case 4:
			return "writing segment";
		default:
			return NULL;
	}
}

/*
 * The vector is in order of distance; the other properties follow from the
 * routine's fields.
 */
static bool
annproperty(Oid index_oid, int attno, IndexAMProperty property, const char *name,
			bool *result, bool *isnull)
{
	if (property != AMPROP_DISTANCE_ORDERABLE || attno == 0)
		return false;
	*result = attno == 1;
	return true;
}

/*
 * Whether an operator family is of scalar columns: it has comparisons.
 */
static bool
is_scalar_family(Oid family)
{
	CatCList   *list = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(family));
	bool		found = false;

	for (int i = 0; i < list->n_members; i++)
		found |= ((Form_pg_amproc) GETSTRUCT(&list->members[i]->tuple))->amprocnum == ANN_SUPPORT_COMPARE;
	ReleaseCatCacheList(list);
	return found;
}

/*
 * A scalar column's operator class has search operators that return boolean, by
 * the numbers of btree or, of arrays, those of annattr.h, and for each pair of
 * types that they compare a comparison.
 */
static bool
validate_scalar(Form_pg_opclass opclass, const char *name)
{
	bool		array = opclass->opcintype == ANYARRAYOID;
	CatCList   *operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(opclass->opcfamily));
	CatCList   *procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(opclass->opcfamily));
	uint32		strategies = 0;
	bool		valid = true;

	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (proc->amprocnum != ANN_SUPPORT_COMPARE ||
			!check_amproc_signature(proc->amproc, INT4OID, true, 2, 2, proc->amproclefttype, proc->amprocrighttype))
		{
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("operator family of operator class \"%s\" of access method ann has an invalid support function", name)));
			valid = false;
		}
	}
	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (amop->amoppurpose != AMOP_SEARCH || amop->amopstrategy < 1 ||
			amop->amopstrategy > (array ? ANN_ARRAY_EQUAL : BTMaxStrategyNumber) ||
			!check_amop_signature(amop->amopopr, BOOLOID, amop->amoplefttype, amop->amoprighttype))
		{
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("operator family of operator class \"%s\" of access method ann has an invalid operator", name)));
			valid = false;
		}
		if (!OidIsValid(get_opfamily_proc(opclass->opcfamily, amop->amoplefttype, amop->amoprighttype,
										  ANN_SUPPORT_COMPARE)))
		{
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("operator family of operator class \"%s\" of access method ann lacks a comparison of two types", name)));
			valid = false;
		}
		if (amop->amoplefttype == opclass->opcintype && amop->amoprighttype == opclass->opcintype)
			strategies |= 1u << amop->amopstrategy;
	}
	ReleaseCatCacheList(operators);
	ReleaseCatCacheList(procs);
	if (strategies != (array ? 0x1e : 0x3e))
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator class \"%s\" of access method ann lacks an operator", name)));
		valid = false;
	}
	return valid;
}

/*
 * A vector's operator class has one order-by operator and one support function,
 * which takes and returns internal.
 */
static bool
annvalidate(Oid opclassoid)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclassoid));
	Form_pg_opclass opclass;
	CatCList   *list;
	bool		valid = true;
	bool		complete;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclassoid);
	opclass = (Form_pg_opclass) GETSTRUCT(tuple);
	name = pstrdup(NameStr(opclass->opcname));
	if (is_scalar_family(opclass->opcfamily))
	{
		valid = validate_scalar(opclass, name);
		ReleaseSysCache(tuple);
		return valid;
	}

	list = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(opclass->opcfamily));
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amop amop = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);

		if (amop->amopstrategy != ANN_STRATEGY_DISTANCE || amop->amoppurpose != AMOP_ORDER)
		{
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("operator class \"%s\" of access method ann has an operator that is not its distance", name)));
			valid = false;
		}
	}
	complete = list->n_members > 0;
	ReleaseCatCacheList(list);

	list = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(opclass->opcfamily));
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&list->members[i]->tuple);

		if (proc->amprocnum != ANN_SUPPORT_TYPE ||
			!check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1, INTERNALOID))
		{
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("operator class \"%s\" of access method ann has an invalid support function", name)));
			valid = false;
		}
	}
	complete &= list->n_members > 0;
	ReleaseCatCacheList(list);

	if (!complete)
	{
		ereport(INFO,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator class \"%s\" of access method ann lacks its distance operator or its support function", name)));
		valid = false;
	}
	ReleaseSysCache(tuple);
	return valid;
}

IndexAmRoutine *
AnnMakeRoutine(void)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = BTMaxStrategyNumber;
	am->amsupport = ANN_SUPPORT_COMPARE;
	am->amoptsprocnum = 0;
	am->amcanorder = false;
	am->amcanorderbyop = true;
	am->amcanbackward = false;
	am->amcanunique = false;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = true;
	am->amstorage = false;
	am->amclusterable = false;
	am->ampredlocks = false;
	am->amcanparallel = false;
	am->amcaninclude = false;
	am->amusemaintenanceworkmem = true;
	am->amparallelvacuumoptions = VACUUM_OPTION_NO_PARALLEL;
	am->amkeytype = InvalidOid;

	am->ambuild = annbuild;
	am->ambuildempty = annbuildempty;
	am->aminsert = anninsert;
	am->ambulkdelete = annbulkdelete;
	am->amvacuumcleanup = annvacuumcleanup;
	am->amcostestimate = anncostestimate;
	am->amoptions = AnnParseOptions;
	am->amproperty = annproperty;
	am->ambuildphasename = annbuildphasename;
	am->amvalidate = annvalidate;
	am->ambeginscan = annbeginscan;
	am->amrescan = annrescan;
	am->amgettuple = anngettuple;
	am->amendscan = annendscan;

	return am;
}

Datum
ann_handler(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(AnnMakeRoutine());
}
