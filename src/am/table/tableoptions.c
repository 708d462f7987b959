/*
 * tableoptions.c
 *		Options of a table: what milvus.alter_table_options() sets, over the settings.
 *
 * The server gives a table access method no storage parameters.  The options are a JSON
 * object in pg_seclabel, as the table's label of the provider "milvus": a catalog row that
 * is dumped and restored with the table, goes with it, needs its owner to be changed, and is
 * neither decoded nor published, which a table of our own could not avoid.
 *
 * A label provider has to be registered for SECURITY LABEL, which dumps use.  That is done
 * when such a statement comes: a provider that is always there would change what SECURITY
 * LABEL without FOR means to others.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "am/table/table.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "commands/seclabel.h"
#include "common/jsonapi.h"
#include "compat.h"
#include "guc.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"

#define PROVIDER "milvus"

PG_FUNCTION_INFO_V1(milvus_alter_table_options);
PG_FUNCTION_INFO_V1(milvus_table_options);

/* ---- what there is ---- */

typedef enum OptionType
{
	OPTION_BOOL,
	OPTION_INTEGER,
	OPTION_REAL,
	OPTION_BYTES,				/* integer, or text with a unit */
	OPTION_SECONDS,				/* likewise */
	OPTION_COMPRESSION,
	OPTION_COLUMN,
	OPTION_COLUMNS
} OptionType;

typedef struct OptionDef
{
	const char *name;
	OptionType	type;
	size_t		offset;			/* in TableOptions */
	double		min;
	double		max;
} OptionDef;

static const OptionDef option_defs[] = {
	{"auto_seal", OPTION_BOOL, offsetof(TableOptions, auto_seal), 0, 0},
	{"bloom_columns", OPTION_COLUMNS, offsetof(TableOptions, bloom_columns), 0, 0},
	{"cache_on_seal", OPTION_BOOL, offsetof(TableOptions, cache_on_seal), 0, 0},
	{"cluster_key", OPTION_COLUMN, offsetof(TableOptions, cluster_key), 0, 0},
	{"compact_ratio", OPTION_REAL, offsetof(TableOptions, compact_ratio), 0.01, 1},
	{"compression", OPTION_COMPRESSION, offsetof(TableOptions, compression), 0, 0},
	{"compression_level", OPTION_INTEGER, offsetof(TableOptions, compression_level), 0, 22},
	{"min_rows", OPTION_INTEGER, offsetof(TableOptions, min_rows), 1, TABLE_MAX_ROWS},
	{"segment_age", OPTION_SECONDS, offsetof(TableOptions, segment_age), -1, INT_MAX / 1000},
	{"segment_rows", OPTION_INTEGER, offsetof(TableOptions, segment_rows), TABLE_MIN_SEGMENT_ROWS, TABLE_MAX_ROWS},
	{"segment_size", OPTION_BYTES, offsetof(TableOptions, segment_bytes), 1024 * 1024, 1024.0 * 1024 * 1024 * 1024},
};

static const char *const compression_names[] = {"none", "lz4", "zstd"};

static const OptionDef *
find_option(const char *name, int len)
{
	for (int i = 0; i < (int) lengthof(option_defs); i++)
		if ((int) strlen(option_defs[i].name) == len && strncmp(option_defs[i].name, name, len) == 0)
			return &option_defs[i];
	return NULL;
}

/* ---- one value ---- */

static pg_noinline void
wrong_value(const OptionDef *def, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for table option \"%s\"", def->name),
			 errhint("%s", expected)));
}

static char *
string_of(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/*
 * Attribute number of a column by its name; 0 when there is none and `missing_ok`.
 */
static AttrNumber
column_of(const OptionDef *def, Oid relid, const JsonbValue *value, bool missing_ok)
{
	char	   *name;
	AttrNumber	attnum;

	if (value->type != jbvString)
		wrong_value(def, "Name a column of the table.");
	name = string_of(value);
	attnum = get_attnum(relid, name);
	if (attnum > 0)
		return attnum;
	if (!missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", name, get_rel_name(relid))));
	return 0;
}

/*
 * A number within the option's range, whole unless it is OPTION_REAL.
 */
static double
number_of(const OptionDef *def, const JsonbValue *value)
{
	double		number = 0;

	if (value->type == jbvNumeric)
		number = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
	else if (value->type == jbvString && (def->type == OPTION_BYTES || def->type == OPTION_SECONDS))
	{
		char	   *text = string_of(value);
		const char *hint = NULL;
		int			parsed;

		/* parse_int wants a unit of the base that it is told, and rounds to that */
		if (!parse_int(text, &parsed, def->type == OPTION_BYTES ? GUC_UNIT_KB : GUC_UNIT_S, &hint))
			wrong_value(def, hint != NULL ? hint : "Give a number, or a number with a unit as text.");
		number = def->type == OPTION_BYTES ? parsed * 1024.0 : parsed;
	}
	else
		wrong_value(def, def->type == OPTION_BYTES ? "Give a number of bytes, or text like \"64MB\"." :
					def->type == OPTION_SECONDS ? "Give a number of seconds, or text like \"5min\"." :
					"Give a number.");
	if (!(number >= def->min && number <= def->max) ||
		(def->type != OPTION_REAL && number != floor(number)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %g of table option \"%s\" is out of range", number, def->name),
				 errhint(def->type == OPTION_REAL ? "It is a number from %g to %g." :
						 "It is a whole number from %.0f to %.0f.", def->min, def->max)));
	return number;
}

/*
 * Set what an option's value says in *options; ERROR for what may not be.  array: that of
 * OPTION_COLUMNS.  Columns that are not there are left out when `stored`: it may have been
 * dropped or renamed since.
 */
static void
apply_option(const OptionDef *def, Oid relid, const JsonbValue *value, bool stored, TableOptions *options)
{
	char	   *field = (char *) options + def->offset;

	switch (def->type)
	{
		case OPTION_BOOL:
			if (value->type != jbvBool)
				wrong_value(def, "Give true or false.");
			*(bool *) field = value->val.boolean;
			break;
		case OPTION_INTEGER:
			if (def->offset == offsetof(TableOptions, compression_level))
				*(int *) field = (int) number_of(def, value);
			else
				*(int64 *) field = (int64) number_of(def, value);
			break;
		case OPTION_REAL:
			*(double *) field = number_of(def, value);
			break;
		case OPTION_BYTES:
			*(int64 *) field = (int64) number_of(def, value);
			break;
		case OPTION_SECONDS:
			*(int *) field = (int) number_of(def, value);
			break;
		case OPTION_COMPRESSION:
			for (int i = 0; i < (int) lengthof(compression_names); i++)
				if (value->type == jbvString && value->val.string.len == (int) strlen(compression_names[i]) &&
					memcmp(value->val.string.val, compression_names[i], value->val.string.len) == 0)
				{
					*(int *) field = i;
					return;
				}
			wrong_value(def, "It is \"none\", \"lz4\" or \"zstd\".");
			break;
		case OPTION_COLUMN:
			*(AttrNumber *) field = column_of(def, relid, value, stored);
			break;
		case OPTION_COLUMNS:
			{
				Bitmapset  *columns = NULL;
				JsonbIterator *it;
				JsonbIteratorToken token;
				JsonbValue	element;

				if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
					wrong_value(def, "Give an array of names of columns.");
				it = JsonbIteratorInit(value->val.binary.data);
				while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
					if (token == WJB_ELEM)
					{
						AttrNumber	attnum = column_of(def, relid, &element, stored);

						if (attnum > 0)
							columns = bms_add_member(columns, attnum);
					}
				*(Bitmapset **) field = columns;
				break;
			}
	}
}

/*
 * Apply an object of options.  `stored`: leave out what is not (any longer) understood.
 */
static void
apply_options(Oid relid, Jsonb *object, bool stored, TableOptions *options)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("table options must be a JSON object"),
				 errhint("For example: {\"segment_rows\": 100000}.")));
	it = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
	{
		const OptionDef *def;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&it, &value, true);
		def = find_option(key.val.string.val, key.val.string.len);
		if (def != NULL)
		{
			if (value.type != jbvNull)
				apply_option(def, relid, &value, stored, options);
			continue;
		}
		if (!stored)
		{
			StringInfoData names;

			initStringInfo(&names);
			for (int i = 0; i < (int) lengthof(option_defs); i++)
				appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", option_defs[i].name);
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown table option \"%s\"", string_of(&key)),
					 errhint("There are: %s.", names.data)));
		}
	}
}

static void
default_options(TableOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->segment_rows = milvus_settings.seal_rows;
	options->segment_bytes = (int64) milvus_settings.seal_size * 1024 * 1024;
	options->segment_age = milvus_settings.seal_age;
	options->min_rows = milvus_settings.seal_min_rows;
	options->compact_ratio = milvus_settings.compact_ratio;
	options->auto_seal = milvus_settings.auto_seal;
	options->cache_on_seal = milvus_settings.cache_on_seal;
	options->compression = milvus_settings.compression;
	options->compression_level = milvus_settings.compression_level;
}

/* ---- stored options ---- */

static Jsonb *
jsonb_of(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/*
 * The labels of tables that this backend has looked at; NULL: the table has none.  Forgotten
 * when the table's relation cache entry is.
 */
typedef struct CachedLabel
{
	Oid			relid;			/* hash key */
	char	   *label;			/* in TopMemoryContext */
} CachedLabel;

static HTAB *labels;

static void
forget_label(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	CachedLabel *cached;

	if (OidIsValid(relid))
	{
		cached = hash_search(labels, &relid, HASH_FIND, NULL);
		if (cached != NULL)
		{
			if (cached->label != NULL)
				pfree(cached->label);
			(void) hash_search(labels, &relid, HASH_REMOVE, NULL);
		}
		return;
	}
	hash_seq_init(&status, labels);
	while ((cached = hash_seq_search(&status)) != NULL)
	{
		if (cached->label != NULL)
			pfree(cached->label);
		(void) hash_search(labels, &cached->relid, HASH_REMOVE, NULL);
	}
}

static char *
read_label(Oid relid)
{
	ObjectAddress address;

	ObjectAddressSet(address, RelationRelationId, relid);
	return GetSecurityLabel(&address, PROVIDER);
}

static const char *
cached_label(Oid relid)
{
	CachedLabel *cached;
	char	   *label;

	if (labels == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(CachedLabel)};

		labels = hash_create("milvus table options", 64, &ctl, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(forget_label, (Datum) 0);
	}
	cached = hash_search(labels, &relid, HASH_FIND, NULL);
	if (cached != NULL)
		return cached->label;
	label = read_label(relid);
	if (label != NULL)
		label = MemoryContextStrdup(TopMemoryContext, label);
	cached = hash_search(labels, &relid, HASH_ENTER, NULL);
	cached->label = label;
	return label;
}

void
TableGetOptions(Relation rel, TableOptions *options)
{
	const char *label = cached_label(RelationGetRelid(rel));

	default_options(options);
	if (label != NULL)
		apply_options(RelationGetRelid(rel), jsonb_of(label), true, options);
}

/* ---- SECURITY LABEL ---- */

/*
 * A label that comes from a dump, or that somebody writes himself.
 */
static void
check_label(const ObjectAddress *object, const char *label)
{
	TableOptions options;

	if (object->classId != RelationRelationId || object->objectSubId != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("labels of the provider \"%s\" are for tables only", PROVIDER)));
	/* columns may have been dropped or renamed since they were named */
	if (label != NULL)
		apply_options(object->objectId, jsonb_of(label), true, &options);
	CacheInvalidateRelcacheByRelid(object->objectId);
}

/*
 * The table that the statement gives another access method; InvalidOid for other statements.
 */
static Oid
changes_method(Node *statement)
{
	AlterTableStmt *stmt = (AlterTableStmt *) statement;
	ListCell   *cell;

	if (!IsA(statement, AlterTableStmt))
		return InvalidOid;
	foreach(cell, stmt->cmds)
		if (((AlterTableCmd *) lfirst(cell))->subtype == AT_SetAccessMethod)
			return RangeVarGetRelid(stmt->relation, NoLock, true);
	return InvalidOid;
}

/*
 * A table of another method has no options; a dump of them could not be restored where the
 * library is not loaded.
 */
static void
drop_label(Oid relid)
{
	Relation	rel;
	ObjectAddress address;

	CommandCounterIncrement();
	/* the statement has it locked, if it did something */
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return;
	if (!TableIsMilvus(rel) && read_label(relid) != NULL)
	{
		ObjectAddressSet(address, RelationRelationId, relid);
		SetSecurityLabel(&address, PROVIDER, NULL);
		CacheInvalidateRelcache(rel);
	}
	relation_close(rel, NoLock);
}

static ProcessUtility_hook_type next_utility;

static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest,
				QueryCompletion *completion)
{
	static bool registered = false;
	Oid			relid = changes_method(pstmt->utilityStmt);

	if (IsA(pstmt->utilityStmt, SecLabelStmt) && !registered)
	{
		const SecLabelStmt *stmt = (SecLabelStmt *) pstmt->utilityStmt;

		if (stmt->provider != NULL && strcmp(stmt->provider, PROVIDER) == 0)
		{
			register_label_provider(PROVIDER, check_label);
			registered = true;
		}
	}
	if (next_utility != NULL)
		next_utility(pstmt, query, read_only, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(pstmt, query, read_only, context, params, environment, dest, completion);
	if (OidIsValid(relid))
		drop_label(relid);
}

void
TableOptionsInit(void)
{
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

/* ---- functions ---- */

/*
 * What becomes of stored options (NULL: none) when `changes` are made: later values win, null
 * removes.  NULL when nothing is left.
 */
static Jsonb *
merge_options(const char *stored, Jsonb *changes)
{
	JsonbParseState *state = NULL;
	Jsonb	   *sources[2];
	JsonbValue *result;
	int			n = 0;

	if (stored != NULL)
		sources[n++] = jsonb_of(stored);
	sources[n++] = changes;
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < n; i++)
	{
		JsonbIterator *it = JsonbIteratorInit(&sources[i]->root);
		JsonbIteratorToken token;
		JsonbValue	key;
		JsonbValue	value;

		while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
		{
			if (token != WJB_KEY)
				continue;
			(void) JsonbIteratorNext(&it, &value, true);
			(void) pushJsonbValue(&state, WJB_KEY, &key);
			(void) pushJsonbValue(&state, WJB_VALUE, &value);
		}
	}
	result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	/* the last of equal keys is kept; nulls are what was removed */
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_strip_nulls,
											  JsonbPGetDatum(JsonbValueToJsonb(result))));
}

/* milvus.alter_table_options(regclass, jsonb) returns jsonb: the options set now */
Datum
milvus_alter_table_options(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Jsonb	   *changes = PG_GETARG_JSONB_P(1);
	Relation	rel = TableOpenOwned(relid, ShareUpdateExclusiveLock);
	TableOptions options;
	ObjectAddress address;
	Jsonb	   *merged;
	bool		empty;

	default_options(&options);
	apply_options(relid, changes, false, &options);
	merged = merge_options(read_label(relid), changes);
	empty = JB_ROOT_COUNT(merged) == 0;
	/* options of a table that is of another method now can be removed, not set */
	if (!empty)
		TableRequire(rel);
	ObjectAddressSet(address, RelationRelationId, relid);
	SetSecurityLabel(&address, PROVIDER, empty ? NULL :
					 JsonbToCString(NULL, &merged->root, VARSIZE(merged)));
	CacheInvalidateRelcache(rel);
	table_close(rel, NoLock);
	PG_RETURN_JSONB_P(merged);
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = pstrdup(text);
	value.val.string.len = (int) strlen(text);
	(void) pushJsonbValue(state, token, &value);
}

static void
push_number(JsonbParseState **state, double number)
{
	JsonbValue	value = {.type = jbvNumeric};

	value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(number)));
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

/* milvus.table_options(regclass) returns jsonb: the options in effect */
Datum
milvus_table_options(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel = table_open(relid, AccessShareLock);
	JsonbParseState *state = NULL;
	TableOptions options;
	JsonbValue *result;

	TableRequire(rel);
	TableGetOptions(rel, &options);
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < (int) lengthof(option_defs); i++)
	{
		const OptionDef *def = &option_defs[i];
		const char *field = (const char *) &options + def->offset;
		JsonbValue	value;

		push_string(&state, WJB_KEY, def->name);
		switch (def->type)
		{
			case OPTION_BOOL:
				value.type = jbvBool;
				value.val.boolean = *(const bool *) field;
				(void) pushJsonbValue(&state, WJB_VALUE, &value);
				break;
			case OPTION_INTEGER:
				push_number(&state, def->offset == offsetof(TableOptions, compression_level) ?
							*(const int *) field : (double) *(const int64 *) field);
				break;
			case OPTION_REAL:
				push_number(&state, *(const double *) field);
				break;
			case OPTION_BYTES:
				push_number(&state, (double) *(const int64 *) field);
				break;
			case OPTION_SECONDS:
				push_number(&state, *(const int *) field);
				break;
			case OPTION_COMPRESSION:
				push_string(&state, WJB_VALUE, compression_names[*(const int *) field]);
				break;
			case OPTION_COLUMN:
				if (*(const AttrNumber *) field > 0)
					push_string(&state, WJB_VALUE, get_attname(relid, *(const AttrNumber *) field, false));
				else
				{
					value.type = jbvNull;
					(void) pushJsonbValue(&state, WJB_VALUE, &value);
				}
				break;
			case OPTION_COLUMNS:
				{
					const Bitmapset *columns = *(Bitmapset *const *) field;

					(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
					for (int attnum = -1; (attnum = bms_next_member(columns, attnum)) >= 0;)
						push_string(&state, WJB_ELEM, get_attname(relid, (AttrNumber) attnum, false));
					(void) pushJsonbValue(&state, WJB_END_ARRAY, NULL);
					break;
				}
		}
	}
	result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	table_close(rel, NoLock);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(result));
}
