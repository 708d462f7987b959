/*
 * collection.c
 *		Descriptions of collections: put together from the catalogs and labels, kept in the
 *		session's cache, and found by name or alias.
 *
 * A description is made anew when the relation cache says that its table has changed.  The
 * old one stays until the end of the transaction, for those who still hold it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xact.h"
#include "am/ann/ann.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "collection/collection_internal.h"
#include "commands/defrem.h"
#include "compat.h"
#include "guc.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "rewrite/prs2lock.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Ids of fields that are columns without a label: above this. */
#define UNLABELED_FIELD_ID 100000

/* ---- indexes ---- */

/*
 * The name that Milvus has for an option of ann.
 */
static const char *
milvus_option(const char *name)
{
	static const char *const names[][2] = {
		{"m", "M"}, {"ef_construction", "efConstruction"}, {"pq_m", "m"}, {"pq_nbits", "nbits"}
	};

	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(names[i][0], name) == 0)
			return names[i][1];
	return name;
}

/*
 * What an index that Milvus's API did not make would have been asked for as.
 */
static void
describe_foreign_index(Relation index, IndexEntry *entry)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(RelationGetRelid(index)));
	StringInfoData params;
	Datum		options;
	bool		isnull;
	ListCell   *cell;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", RelationGetRelid(index));
	initStringInfo(&params);
	JsonBegin(&params, NULL, '{');
	options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
	foreach(cell, isnull ? NIL : untransformRelOptions(options))
	{
		DefElem    *option = lfirst(cell);

		if (option->arg == NULL)
			continue;
		if (strcmp(option->defname, "index_type") == 0)
			entry->index_type = defGetString(option);
		else
			JsonAddText(&params, milvus_option(option->defname), defGetString(option));
	}
	ReleaseSysCache(tuple);
	JsonEnd(&params, '}');
	entry->params = JsonFromText(params.data);
	if (entry->index_type != NULL)
		return;
	if (entry->metric != METRIC_NONE)
		entry->index_type = "AUTOINDEX";
	else if (index->rd_rel->relam == GIN_AM_OID)
		entry->index_type = "INVERTED";
	else if (index->rd_rel->relam == GIST_AM_OID)
		entry->index_type = "RTREE";
	else
		entry->index_type = "STL_SORT";
}

/*
 * Metric of an index of ann on a vector; METRIC_NONE for other indexes, and for metrics that
 * are none of Milvus's.
 */
static MilvusMetric
index_metric(Relation index)
{
	if (index->rd_indam->ambuild != annbuild || !OidIsValid(index_getprocid(index, 1, ANN_SUPPORT_TYPE)))
		return METRIC_NONE;
	switch (AnnGetOpclass(index)->metric)
	{
		case ANN_L2:
			return METRIC_L2;
		case ANN_IP:
			return METRIC_IP;
		case ANN_COSINE:
			return METRIC_COSINE;
		case ANN_HAMMING:
			return METRIC_HAMMING;
		case ANN_JACCARD:
			return METRIC_JACCARD;
		case ANN_MHJACCARD:
			return METRIC_MHJACCARD;
		default:
			return METRIC_NONE;
	}
}

typedef struct TableIndex
{
	Relation	rel;
	bool		claimed;
} TableIndex;

/*
 * An index that an entry of a label describes: the one of that name, else one of the same
 * kind on the column, in case it was renamed.
 */
static TableIndex *
find_table_index(TableIndex *indexes, int n, const IndexEntry *entry)
{
	const CollectionField *field = entry->field;

	for (int i = 0; i < n; i++)
	{
		AttrNumber	first = indexes[i].rel->rd_index->indkey.values[0];

		if (!indexes[i].claimed && !indexes[i].rel->rd_index->indisprimary &&
			(first == field->attnum || first == 0) &&
			strcmp(RelationGetRelationName(indexes[i].rel), entry->relation_name) == 0)
			return &indexes[i];
	}
	for (int i = 0; i < n && entry->json_path == NULL; i++)
		if (!indexes[i].claimed && indexes[i].rel->rd_index->indkey.values[0] == field->attnum &&
			!indexes[i].rel->rd_index->indisprimary && !indexes[i].rel->rd_index->indisunique &&
			index_metric(indexes[i].rel) == entry->metric)
			return &indexes[i];
	return NULL;
}

static void
take_index(IndexEntry *entry, TableIndex *index)
{
	index->claimed = true;
	entry->relid = RelationGetRelid(index->rel);
	entry->is_valid = index->rel->rd_index->indisvalid;
	entry->is_ready = index->rel->rd_index->indisready;
}

static List *
read_indexes(const Collection *collection, Relation rel, Jsonb **labels)
{
	List	   *oids = RelationGetIndexList(rel);
	TableIndex *indexes = palloc0(sizeof(TableIndex) * (list_length(oids) + 1));
	List	   *entries = NIL;
	int			n = 0;
	ListCell   *cell;

	foreach(cell, oids)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		/* a partial index does not have all rows */
		if (heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			indexes[n++].rel = index;
		else
			index_close(index, AccessShareLock);
	}
	for (int i = 0; i < collection->nfields; i++)
	{
		CollectionField *field = &collection->fields[i];
		Jsonb	   *label = labels[field->attnum];
		JsonbValue	value;

		if (label == NULL || !JsonGet(&label->root, "indexes", &value))
			continue;
		foreach(cell, JsonElements(JsonToArray(&value)))
		{
			JsonbContainer *object = JsonToObject(lfirst(cell));
			IndexEntry *entry = palloc0(sizeof(IndexEntry));
			TableIndex *index;

			if (object == NULL)
				continue;
			entry->field = field;
			entry->name = JsonGetText(object, "name", pstrdup(field->name));
			entry->relation_name = JsonGetText(object, "relation", NULL);
			entry->index_type = JsonGetText(object, "index_type", "AUTOINDEX");
			entry->metric = MilvusMetricByName(JsonGetText(object, "metric_type", ""));
			entry->json_path = JsonGetText(object, "json_path", NULL);
			entry->params = JsonGet(object, "params", &value) && JsonToObject(&value) ? JsonFromText(JsonText(&value)) : JsonFromText("{}");
			entry->properties = JsonGet(object, "properties", &value) && JsonToObject(&value) ? JsonFromText(JsonText(&value)) : JsonFromText("{}");
			if (entry->relation_name == NULL)
			{
				/* only of what is compared without one */
				if (field->type != MILVUS_SPARSE_VECTOR && field->type != MILVUS_ARRAY_OF_VECTOR)
					continue;
				entry->is_valid = entry->is_ready = true;
				entries = lappend(entries, entry);
				continue;
			}
			index = find_table_index(indexes, n, entry);
			if (index == NULL)
				continue;
			take_index(entry, index);
			/* the btree of a partition key is not an index of Milvus's */
			if (!JsonGetBool(object, "hidden", false))
				entries = lappend(entries, entry);
		}
	}
	for (int i = 0; i < n; i++)
	{
		Form_pg_index form = indexes[i].rel->rd_index;

		for (int j = 0; j < collection->nfields && !indexes[i].claimed && !form->indisprimary; j++)
		{
			CollectionField *field = &collection->fields[j];
			MilvusMetric metric = index_metric(indexes[i].rel);
			IndexEntry *entry;

			if (form->indkey.values[0] != field->attnum ||
				(MilvusTypeIsVector(field->type) && metric == METRIC_NONE))
				continue;
			entry = palloc0(sizeof(IndexEntry));
			entry->field = field;
			entry->name = pstrdup(RelationGetRelationName(indexes[i].rel));
			entry->relation_name = entry->name;
			entry->metric = metric;
			entry->properties = JsonFromText("{}");
			describe_foreign_index(indexes[i].rel, entry);
			take_index(entry, &indexes[i]);
			entries = lappend(entries, entry);
		}
	}
	for (int i = 0; i < n; i++)
		index_close(indexes[i].rel, AccessShareLock);
	return entries;
}

List *
CollectionIndexes(const Collection *collection, Relation rel)
{
	return read_indexes(collection, rel, LabelReadAll(RelationGetRelid(rel), RelationGetNumberOfAttributes(rel)));
}

/* ---- a description ---- */

/*
 * Milvus's part of a column: false when it is not a field.
 */
static bool
read_field(Form_pg_attribute attribute, Jsonb *label, CollectionField *field)
{
	JsonbContainer *object = label != NULL ? &label->root : NULL;
	bool		is_meta = strcmp(NameStr(attribute->attname), COLLECTION_META_COLUMN) == 0;
	MilvusType	labeled;
	char	   *bracket;

	if (attribute->attisdropped || (NameStr(attribute->attname)[0] == '$' && !is_meta))
		return false;
	field->type = MilvusTypeOfColumn(attribute->atttypid, attribute->atttypmod, attribute->attndims,
									 &field->element_type, &field->dim);
	if (field->type == MILVUS_NONE)
		return false;
	field->attnum = attribute->attnum;
	field->typid = attribute->atttypid;
	field->typmod = attribute->atttypmod;
	field->collation = attribute->attcollation;
	field->column = pstrdup(NameStr(attribute->attname));
	field->name = NameFromLabel(field->column, JsonGetText(object, "name", NULL), true);
	field->id = JsonGetInt(object, "id", UNLABELED_FIELD_ID + attribute->attnum);
	field->description = JsonGetText(object, "description", "");

	/* several of Milvus's types are one of ours */
	labeled = MilvusTypeByName(JsonGetText(object, field->type == MILVUS_ARRAY ? "element_type" : "type", "?"));
	if (field->type == MILVUS_ARRAY)
	{
		if (field->element_type == MILVUS_INT16 && labeled == MILVUS_INT8)
			field->element_type = labeled;
	}
	else if ((field->type == MILVUS_INT16 && labeled == MILVUS_INT8) ||
			 (field->type == MILVUS_VARCHAR && labeled == MILVUS_TEXT))
		field->type = labeled;
	if (field->type == MILVUS_VARCHAR || field->element_type == MILVUS_VARCHAR)
	{
		field->max_length = JsonGetInt(object, "max_length", 0);
		/* varchar(n) counts characters */
		if (field->max_length == 0 && field->typid == VARCHAROID && field->typmod > VARHDRSZ)
			field->max_length = Min(milvus_settings.max_varchar_length, (field->typmod - VARHDRSZ) * 4);
	}
	if (field->type == MILVUS_ARRAY || field->type == MILVUS_ARRAY_OF_VECTOR)
		field->max_capacity = JsonGetInt(object, "max_capacity", 0);
	field->struct_name = JsonGetText(object, "struct", NULL);
	bracket = strchr(field->name, '[');
	if (field->struct_name != NULL && bracket != NULL && field->name[strlen(field->name) - 1] == ']')
		field->sub_name = pnstrdup(bracket + 1, strlen(bracket) - 2);
	else
		field->struct_name = NULL;

	field->nullable = !attribute->attnotnull;
	field->is_dynamic = is_meta;
	field->auto_id = JsonGetBool(object, "auto_id", attribute->attidentity != '\0');
	field->has_default = attribute->atthasdef && attribute->attgenerated == '\0' && !field->auto_id;
	field->is_generated = attribute->attgenerated != '\0';
	field->is_partition_key = JsonGetBool(object, "partition_key", false);
	field->is_clustering_key = JsonGetBool(object, "clustering_key", false);
	field->is_function_output = JsonGetBool(object, "function_output", false);
	field->enable_match = JsonGetBool(object, "enable_match", false);
	field->enable_analyzer = JsonGetBool(object, "enable_analyzer", false);
	return true;
}

/*
 * Partitions, as the table's label has them.
 */
static void
read_partitions(Collection *collection, TupleDesc desc, JsonbContainer *label)
{
	AttrNumber	attnum = 0;
	JsonbValue	value;
	List	   *elements;
	ListCell   *cell;
	bool		loaded = JsonGetBool(label, "loaded", false);
	bool		any = false;

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && TupleDescAttr(desc, i)->atttypid == INT2OID &&
			strcmp(NameStr(TupleDescAttr(desc, i)->attname), COLLECTION_PARTITION_COLUMN) == 0)
			attnum = i + 1;
	collection->partition_attnum = attnum;
	if (collection->partition_key != NULL && attnum != 0)
	{
		collection->num_partitions = Max(1, Min(4096, JsonGetInt(label, "num_partitions", 16)));
		collection->npartitions = collection->num_partitions;
		collection->partitions = palloc0(sizeof(CollectionPartition) * collection->npartitions);
		for (int i = 0; i < collection->npartitions; i++)
		{
			collection->partitions[i].id = i;
			collection->partitions[i].name = psprintf(COLLECTION_DEFAULT_PARTITION "_%d", i);
			collection->partitions[i].loaded = loaded;
		}
		collection->loaded = loaded;
		return;
	}
	elements = attnum != 0 && JsonGet(label, "partitions", &value) ? JsonElements(JsonToArray(&value)) : NIL;
	collection->partitions = palloc0(sizeof(CollectionPartition) * (list_length(elements) + 1));
	foreach(cell, elements)
	{
		JsonbContainer *entry = JsonToArray(lfirst(cell));
		List	   *parts = JsonElements(entry);
		CollectionPartition *partition = &collection->partitions[collection->npartitions];
		int64		id;

		if (list_length(parts) < 3 || !JsonToInt(linitial(parts), &id) || id < 0 || id > PG_INT16_MAX ||
			!JsonToBool(lthird(parts), &partition->loaded))
			continue;
		partition->id = (int) id;
		partition->name = JsonText(lsecond(parts));
		any |= partition->loaded;
		collection->npartitions++;
	}
	if (collection->npartitions == 0)
	{
		collection->npartitions = 1;
		collection->partitions[0].name = COLLECTION_DEFAULT_PARTITION;
		collection->partitions[0].loaded = any = loaded;
	}
	collection->loaded = any;
}

/*
 * When rows have outlived their time.
 */
static void
read_ttl(Collection *collection, TupleDesc desc)
{
	JsonbContainer *properties = &collection->properties->root;
	char	   *field_name = JsonGetText(properties, "ttl_field", NULL);
	int64		seconds = JsonGetInt(properties, "collection.ttl.seconds", 0);

	if (field_name != NULL)
	{
		CollectionField *field = CollectionFindField(collection, field_name);

		if (field != NULL && field->type == MILVUS_TIMESTAMPTZ)
			collection->ttl_attnum = field->attnum;
		return;
	}
	for (int i = 0; i < desc->natts && seconds > 0; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && TupleDescAttr(desc, i)->atttypid == TIMESTAMPTZOID &&
			strcmp(NameStr(TupleDescAttr(desc, i)->attname), COLLECTION_TIME_COLUMN) == 0)
		{
			collection->ttl_attnum = i + 1;
			collection->ttl_seconds = seconds;
		}
}

/*
 * The column of a primary key of one column; 0: there is none.
 */
static AttrNumber
primary_key_column(Relation rel)
{
	Oid			oid;
	Relation	index;
	AttrNumber	result = 0;

	(void) RelationGetIndexList(rel);
	oid = rel->rd_pkindex;
	if (!OidIsValid(oid))
		return 0;
	index = index_open(oid, AccessShareLock);
	if (IndexRelationGetNumberOfKeyAttributes(index) == 1)
		result = index->rd_index->indkey.values[0];
	index_close(index, AccessShareLock);
	return result;
}

/*
 * A table's description; NULL when it is no collection.  In the current memory context.
 */
static Collection *
describe_table(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Jsonb	  **labels = LabelReadAll(RelationGetRelid(rel), desc->natts);
	JsonbContainer *label;
	JsonbValue	value;
	Collection *collection;
	AttrNumber	primary;
	ListCell   *cell;

	if (labels[0] == NULL || !JB_ROOT_IS_OBJECT(labels[0]))
		return NULL;
	label = &labels[0]->root;
	collection = palloc0(sizeof(Collection));
	collection->relid = RelationGetRelid(rel);
	collection->namespace_oid = RelationGetNamespace(rel);
	collection->database = NamespaceDatabase(collection->namespace_oid);
	collection->name = NameFromLabel(pstrdup(RelationGetRelationName(rel)), JsonGetText(label, "name", NULL), false);
	collection->relation = QualifiedName(collection->namespace_oid, RelationGetRelationName(rel));
	collection->description = JsonGetText(label, "description", "");
	collection->shards = JsonGetInt(label, "num_shards", 1);
	collection->consistency = Max(0, Min(CONSISTENCY_CUSTOMIZED, JsonGetInt(label, "consistency_level", CONSISTENCY_BOUNDED)));
	collection->properties = JsonGet(label, "properties", &value) && JsonToObject(&value) ? JsonFromText(JsonText(&value)) : JsonFromText("{}");
	collection->functions = JsonGet(label, "functions", &value) && JsonToArray(&value) ? JsonFromText(JsonText(&value)) : JsonFromText("[]");

	collection->fields = palloc0(sizeof(CollectionField) * (desc->natts + 1));
	for (int i = 0; i < desc->natts; i++)
		if (read_field(TupleDescAttr(desc, i), labels[i + 1], &collection->fields[collection->nfields]))
			collection->nfields++;
	collection->vectors = palloc0(sizeof(CollectionField *) * (collection->nfields + 1));
	primary = primary_key_column(rel);
	for (int i = 0; i < collection->nfields; i++)
	{
		CollectionField *field = &collection->fields[i];

		field->is_primary = field->attnum == primary;
		if (field->is_primary)
		{
			/* a key with a DEFAULT makes itself */
			field->auto_id |= field->has_default;
			field->has_default = false;
			collection->primary = field;
		}
		else
			field->auto_id = false;
		if (field->is_dynamic)
			collection->meta = field;
		if (field->is_partition_key)
			collection->partition_key = field;
		if (MilvusTypeIsVector(field->type))
			collection->vectors[collection->nvectors++] = field;
	}
	read_partitions(collection, desc, label);
	read_ttl(collection, desc);
	collection->allow_insert_auto_id = JsonGetBool(&collection->properties->root, "allow_insert_auto_id", false) ||
		JsonGetBool(&collection->properties->root, "allow_insert_autoid", false);
	collection->partition_isolation = JsonGetBool(&collection->properties->root, "partitionkey.isolation", false);
	collection->timezone = JsonGetText(&collection->properties->root, "timezone", NULL);
	foreach(cell, read_indexes(collection, rel, labels))
	{
		IndexEntry *entry = lfirst(cell);

		if (!MilvusTypeIsVector(entry->field->type) || entry->field->index_type != NULL || !entry->is_valid)
			continue;
		entry->field->index = entry->relid;
		entry->field->metric = entry->metric;
		entry->field->index_type = entry->index_type;
	}
	return collection;
}

/* ---- the cache ---- */

typedef struct CacheEntry
{
	Oid			relid;			/* hash key */
	bool		valid;
	uint64		changes;		/* times that it became invalid */
	Collection *collection;		/* NULL: it is none */
	MemoryContext context;		/* of the collection */
	Oid			target;			/* of an alias */
	char		alias[256];		/* its name; longer ones are cut */
} CacheEntry;

static HTAB *cache;
static List *old_contexts;		/* of descriptions made anew in this transaction */
static uint64 generation;

static void
forget_entry(CacheEntry *entry)
{
	entry->valid = false;
	entry->changes++;
}

static void
forget_relation(Datum arg, Oid relid)
{
	CacheEntry *entry;

	if (!OidIsValid(relid))
	{
		CollectionForgetAll();
		return;
	}
	entry = hash_search(cache, &relid, HASH_FIND, NULL);
	if (entry != NULL)
		forget_entry(entry);
}

static void
forget_all(Datum arg, int cacheid, uint32 hash)
{
	CollectionForgetAll();
}

void
CollectionForgetAll(void)
{
	HASH_SEQ_STATUS status;
	CacheEntry *entry;

	if (cache == NULL)
		return;
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
		forget_entry(entry);
}

static void
end_transaction(XactEvent event, void *arg)
{
	ListCell   *cell;

	if (old_contexts == NIL ||
		event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		return;
	foreach(cell, old_contexts)
		MemoryContextDelete(lfirst(cell));
	list_free(old_contexts);
	old_contexts = NIL;
}

/*
 * The collection that an alias's view names: the constant in its query.
 */
static Oid
alias_target(Relation view)
{
	Query	   *query;
	TargetEntry *target;

	if (view->rd_rules == NULL || view->rd_rules->numLocks < 1 || view->rd_rules->rules[0]->actions == NIL)
		return InvalidOid;
	query = linitial(view->rd_rules->rules[0]->actions);
	if (query->targetList == NIL)
		return InvalidOid;
	target = linitial(query->targetList);
	if (!IsA(target->expr, Const) || ((Const *) target->expr)->consttype != REGCLASSOID ||
		((Const *) target->expr)->constisnull)
		return InvalidOid;
	return DatumGetObjectId(((Const *) target->expr)->constvalue);
}

/*
 * What is known of a relation; NULL when it is gone.
 */
static CacheEntry *
lookup(Oid relid)
{
	CacheEntry *entry;
	Relation	rel;
	bool		found;
	MemoryContext context;
	MemoryContext before;
	Collection *collection = NULL;
	Oid			target = InvalidOid;
	const char *alias = "";
	uint64		changes;

	if (cache == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(CacheEntry)};

		cache = hash_create("milvus collections", 64, &ctl, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
		/* a schema that is renamed is another database */
		CacheRegisterSyscacheCallback(NAMESPACEOID, forget_all, (Datum) 0);
		RegisterXactCallback(end_transaction, NULL);
	}
	entry = hash_search(cache, &relid, HASH_FIND, NULL);
	if (entry != NULL && entry->valid)
		return entry;

	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		return NULL;
	entry = hash_search(cache, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->changes = 0;
		entry->collection = NULL;
		entry->context = NULL;
		entry->target = InvalidOid;
	}
	/* what changes while it is put together makes it invalid at once */
	changes = entry->changes;

	/* the caller's until it is complete, so that an error leaves nothing */
	context = AllocSetContextCreate(CurrentMemoryContext, "milvus collection", ALLOCSET_SMALL_SIZES);
	before = MemoryContextSwitchTo(context);
	if (rel->rd_rel->relkind == RELKIND_RELATION || rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		collection = describe_table(rel);
	else if (rel->rd_rel->relkind == RELKIND_VIEW)
	{
		Jsonb	   *label = LabelRead(relid, 0);

		if (label != NULL && JsonGetBool(&label->root, "alias", false))
		{
			target = alias_target(rel);
			alias = NameFromLabel(RelationGetRelationName(rel), JsonGetText(&label->root, "name", NULL), false);
		}
	}
	MemoryContextSwitchTo(TopMemoryContext);
	if (entry->context != NULL)
		old_contexts = lappend(old_contexts, entry->context);
	MemoryContextSwitchTo(before);
	entry->valid = entry->changes == changes;
	entry->target = target;
	strlcpy(entry->alias, alias, sizeof(entry->alias));
	entry->collection = collection;
	entry->context = NULL;
	if (collection != NULL)
	{
		collection->generation = ++generation;
		MemoryContextSetParent(context, TopMemoryContext);
		entry->context = context;
	}
	else
		MemoryContextDelete(context);
	relation_close(rel, AccessShareLock);
	return entry;
}

Oid
FindRelation(Oid namespace_oid, const char *name)
{
	char		relation[NAMEDATALEN];

	RelationNameOf(name, relation);
	return get_relname_relid(relation, namespace_oid);
}

Oid
FindAlias(Oid namespace_oid, const char *alias, Oid *target)
{
	Oid			relid = FindRelation(namespace_oid, alias);
	CacheEntry *entry = OidIsValid(relid) ? lookup(relid) : NULL;

	if (entry == NULL || !OidIsValid(entry->target))
		return InvalidOid;
	*target = entry->target;
	return relid;
}

const char *
AliasOfView(Oid view, Oid *target)
{
	CacheEntry *entry = lookup(view);

	if (entry == NULL || !OidIsValid(entry->target))
		return NULL;
	*target = entry->target;
	return entry->alias;
}

/*
 * The table that a name means; InvalidOid when it means none.
 */
static Oid
resolve(Oid namespace_oid, const char *name)
{
	Oid			relid = FindRelation(namespace_oid, name);
	CacheEntry *entry = OidIsValid(relid) ? lookup(relid) : NULL;

	if (entry != NULL && OidIsValid(entry->target))
		entry = lookup(entry->target);
	return entry != NULL && entry->collection != NULL ? entry->relid : InvalidOid;
}

static const Collection *
open_collection(const char *database, const char *name, LOCKMODE lockmode, bool missing_ok, bool owned)
{
	Oid			namespace_oid;
	Oid			relid;

	/* databases by their own names too, in messages */
	database = CollectionDatabase(database);
	namespace_oid = DatabaseNamespace(database, false);
	if (MilvusNamespaceAclCheck(namespace_oid, ACL_USAGE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, get_namespace_name(namespace_oid));
	for (;;)
	{
		uint64		messages = SharedInvalidMessageCounter;
		CacheEntry *entry;

		relid = resolve(namespace_oid, name);
		if (!OidIsValid(relid))
		{
			if (missing_ok)
				return NULL;
			ereport(ERROR,
					(errmilvus(MILVUS_COLLECTION_NOT_FOUND),
					 errmsg("collection not found[database=%s][collection=%s]", database, name)));
		}
		if (owned && !MilvusOwnsRelation(relid))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
		if (lockmode != NoLock)
		{
			LockRelationOid(relid, lockmode);
			/* it may have been dropped or renamed while we waited */
			if (messages != SharedInvalidMessageCounter && resolve(namespace_oid, name) != relid)
			{
				UnlockRelationOid(relid, lockmode);
				continue;
			}
		}
		entry = lookup(relid);
		if (entry != NULL && entry->collection != NULL)
			return entry->collection;
	}
}

const Collection *
CollectionOpen(const char *database, const char *name, LOCKMODE lockmode, bool missing_ok)
{
	return open_collection(database, name, lockmode, missing_ok, false);
}

const Collection *
CollectionOpenOwned(const char *database, const char *name, LOCKMODE lockmode)
{
	return open_collection(database, name, lockmode, false, true);
}

const Collection *
CollectionByRelid(Oid relid)
{
	CacheEntry *entry = lookup(relid);

	return entry != NULL ? entry->collection : NULL;
}

/* ---- parts of a description ---- */

CollectionField *
CollectionFindField(const Collection *collection, const char *name)
{
	for (int i = 0; i < collection->nfields; i++)
		if (strcmp(collection->fields[i].name, name) == 0)
			return &collection->fields[i];
	return NULL;
}

CollectionField *
CollectionGetField(const Collection *collection, const char *name)
{
	CollectionField *field = CollectionFindField(collection, name);

	if (field == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_FIELD_NOT_FOUND),
				 errmsg("field not found[field=%s]", name)));
	return field;
}

CollectionPartition *
CollectionFindPartition(const Collection *collection, const char *name)
{
	for (int i = 0; i < collection->npartitions; i++)
		if (strcmp(collection->partitions[i].name, name) == 0)
			return &collection->partitions[i];
	return NULL;
}

CollectionPartition *
CollectionGetPartition(const Collection *collection, const char *name)
{
	CollectionPartition *partition = CollectionFindPartition(collection, name);

	if (partition == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_PARTITION_NOT_FOUND),
				 errmsg("partition not found[partition=%s]", name)));
	return partition;
}

static void
require_partition(const CollectionPartition *partition)
{
	if (!partition->loaded)
		ereport(ERROR,
				(errmilvus(MILVUS_PARTITION_NOT_LOADED),
				 errmsg("partition not loaded[partition=%s]", partition->name)));
}

void
CollectionRequireLoaded(const Collection *collection, char **partition_names, int n)
{
	if (!collection->loaded)
		ereport(ERROR,
				(errmilvus(MILVUS_COLLECTION_NOT_LOADED),
				 errmsg("collection not loaded[collection=%s]", collection->name)));
	for (int i = 0; i < n; i++)
		require_partition(CollectionGetPartition(collection, partition_names[i]));
}

char *
CollectionTtlCondition(const Collection *collection, const char *alias)
{
	const char *column;
	char	   *name;

	if (collection->ttl_attnum == 0)
		return NULL;
	column = quote_identifier(get_attname(collection->relid, collection->ttl_attnum, false));
	name = alias != NULL ? psprintf("%s.%s", alias, column) : pstrdup(column);
	if (collection->ttl_seconds == 0)
		return psprintf("(%s IS NULL OR %s OPERATOR(pg_catalog.>) pg_catalog.now())", name, name);
	return psprintf("(%s OPERATOR(pg_catalog.>) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => " INT64_FORMAT ")))",
					name, collection->ttl_seconds);
}

/* ---- changing labels ---- */

void
CollectionSetLabel(const Collection *collection, const char *key, const char *json)
{
	Jsonb	   *label = JsonWith(LabelRead(collection->relid, 0), key, json);

	LabelWrite(collection->relid, 0, JsonWith(label, "updated", psprintf(INT64_FORMAT, MilvusAllocTimestamp())));
}

void
CollectionSetFieldLabel(const Collection *collection, const CollectionField *field, const char *key, const char *json)
{
	LabelWrite(collection->relid, field->attnum, JsonWith(LabelRead(collection->relid, field->attnum), key, json));
	CollectionSetLabel(collection, "touched", NULL);
}
