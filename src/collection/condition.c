/*
 * condition.c
 *		Filters of a collection: its description as the filter language wants it, and
 *		compiled filters, kept for the session.
 *
 * Descriptions and compiled filters are kept by the collection's generation, so those of a
 * former definition are never found; they go when the cache is full.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "collection/collection_internal.h"
#include "collection/condition.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/relcache.h"

/* More filters than this are forgotten all at once; longer ones are not kept. */
#define CACHE_ENTRIES 256
#define CACHE_MAX_KEY 16384

/* ---- descriptions ---- */

/*
 * Does a GIN index serve @> on the whole column?
 */
static bool
has_gin_index(Relation rel, AttrNumber attnum)
{
	ListCell   *cell;
	bool		found = false;

	foreach(cell, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		/* both operator classes for jsonb have @> */
		if (index->rd_rel->relam == GIN_AM_OID && index->rd_index->indisvalid &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			for (int i = 0; i < index->rd_index->indnkeyatts; i++)
				found |= index->rd_index->indkey.values[i] == attnum;
		index_close(index, AccessShareLock);
	}
	return found;
}

static FilterField
describe_field(const Collection *collection, Relation rel, const CollectionField *field)
{
	FilterField result = {
		.name = pstrdup(field->sub_name != NULL ? field->sub_name : field->name),
		.column = pstrdup(field->column),
		.attnum = field->attnum,
		.type = (FilterType) field->type,	/* both have Milvus's numbers */
		.element_type = (FilterType) field->element_type,
		.max_length = field->max_length,
		.max_capacity = field->max_capacity,
		.nullable = field->nullable,
		.is_dynamic = field->is_dynamic,
		.enable_match = field->enable_match,
	};

	result.has_json_gin = field->type == MILVUS_JSON && has_gin_index(rel, field->attnum);
	return result;
}

static const FilterSchema *
describe(const Collection *collection)
{
	FilterSchema *schema = palloc0(sizeof(FilterSchema));
	FilterField *fields = palloc0(sizeof(FilterField) * (collection->nfields + 1));
	Relation	rel = relation_open(collection->relid, AccessShareLock);

	for (int i = 0; i < collection->nfields; i++)
	{
		const CollectionField *field = &collection->fields[i];
		FilterField *parent = NULL;

		if (field->struct_name == NULL)
		{
			fields[schema->nfields++] = describe_field(collection, rel, field);
			continue;
		}
		for (int j = 0; j < schema->nfields; j++)
			if (fields[j].type == FILTER_ARRAY_OF_STRUCT && strcmp(fields[j].name, field->struct_name) == 0)
				parent = &fields[j];
		if (parent == NULL)
		{
			parent = &fields[schema->nfields++];
			parent->name = pstrdup(field->struct_name);
			parent->type = FILTER_ARRAY_OF_STRUCT;
			parent->max_capacity = field->max_capacity;
			parent->nullable = field->nullable;
			parent->fields = palloc0(sizeof(FilterField) * collection->nfields);
		}
		((FilterField *) parent->fields)[parent->nfields++] = describe_field(collection, rel, field);
	}
	relation_close(rel, AccessShareLock);
	schema->fields = fields;
	schema->enable_dynamic_field = collection->meta != NULL;
	return schema;
}

const FilterSchema *
CollectionFilterSchema(const Collection *collection)
{
	if (collection->filter_schema == NULL)
	{
		/* kept with the collection; what an error leaves there goes with it */
		MemoryContext before = MemoryContextSwitchTo(GetMemoryChunkContext((void *) collection));

		((Collection *) collection)->filter_schema = describe(collection);
		MemoryContextSwitchTo(before);
	}
	return collection->filter_schema;
}

const char *
CollectionTimezone(const Collection *collection)
{
	if (collection->timezone != NULL)
		return collection->timezone;
	return JsonGetText(&DatabaseProperties(collection->namespace_oid)->root, "timezone", NULL);
}

/*
 * The time zone that a filter's meaning depends on; "" where it depends on none.
 */
static const char *
filter_timezone(const Collection *collection, const char *timezone)
{
	for (int i = 0; i < collection->nfields && timezone == NULL; i++)
		if (collection->fields[i].type == MILVUS_TIMESTAMPTZ)
		{
			timezone = CollectionTimezone(collection);
			break;
		}
	return timezone != NULL ? timezone : "";
}

void
CollectionFilterOptions(const Collection *collection, Jsonb *params, const char *alias, int first_param,
						const char *timezone, FilterOptions *options)
{
	FilterOptionsInit(options);
	options->alias = alias;
	options->first_param = first_param;
	timezone = filter_timezone(collection, timezone);
	options->timezone = *timezone != '\0' ? timezone : NULL;
	FilterTemplatesFromJson(params, options);
}

/* ---- compiled filters ---- */

typedef struct ConditionEntry
{
	uint64		hash;			/* hash key: of the bytes below */
	char	   *key;
	int			length;
	FilterSQL  *filter;			/* NULL: none yet */
} ConditionEntry;

static HTAB *cache;
static MemoryContext cache_context;

/*
 * The entry of a key; NULL where there is none.  With `enter`, one without a value is made
 * when the key is not there, and replaces another of the same hash.
 */
static ConditionEntry *
find_entry(StringInfo key, bool enter)
{
	uint64		hash = hash_bytes_extended((unsigned char *) key->data, key->len, 0);
	ConditionEntry *entry;
	bool		found;

	if (enter && cache != NULL && hash_get_num_entries(cache) >= CACHE_ENTRIES)
	{
		cache = NULL;
		MemoryContextDelete(cache_context);
		cache_context = NULL;
	}
	if (cache == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(uint64),.entrysize = sizeof(ConditionEntry)};

		if (!enter)
			return NULL;
		if (cache_context == NULL)
			cache_context = AllocSetContextCreate(TopMemoryContext, "milvus filters", ALLOCSET_DEFAULT_SIZES);
		ctl.hcxt = cache_context;
		cache = hash_create("milvus filters", CACHE_ENTRIES, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(cache, &hash, enter ? HASH_ENTER : HASH_FIND, &found);
	if (found && entry->filter != NULL && entry->length == key->len && memcmp(entry->key, key->data, key->len) == 0)
		return entry;
	if (!enter)
		return NULL;
	entry->filter = NULL;
	entry->length = key->len;
	entry->key = MemoryContextAlloc(cache_context, key->len);
	memcpy(entry->key, key->data, key->len);
	return entry;
}

static char *
copy_text(const char *text)
{
	return text != NULL ? pstrdup(text) : NULL;
}

static FilterSQL *
copy_filter(const FilterSQL *filter)
{
	FilterSQL  *copy = palloc(sizeof(FilterSQL));
	FilterParam *params = palloc(sizeof(FilterParam) * Max(filter->nparams, 1));

	*copy = *filter;
	copy->sql = copy_text(filter->sql);
	copy->element_struct = copy_text(filter->element_struct);
	copy->element_sql = copy_text(filter->element_sql);
	for (int i = 0; i < filter->nparams; i++)
	{
		params[i].type = filter->params[i].type;
		params[i].text = copy_text(filter->params[i].text);
	}
	copy->params = params;
	return copy;
}

FilterSQL *
CollectionCompileFilter(const Collection *collection, const char *text, Jsonb *params,
						const char *alias, int first_param, const char *timezone)
{
	StringInfoData key;
	ConditionEntry *entry;
	FilterOptions options;
	FilterSQL  *filter;
	MemoryContext before;
	bool		keep;

	if (text == NULL)
		text = "";
	/*
	 * Values of templates are part of the key: the compiler computes with them.  Texts do not
	 * hold zeros, so their ends are clear.
	 */
	initStringInfo(&key);
	appendBinaryStringInfo(&key, (const char *) &collection->generation, sizeof(uint64));
	appendBinaryStringInfo(&key, (const char *) &first_param, sizeof(int));
	appendBinaryStringInfo(&key, alias, strlen(alias) + 1);
	timezone = filter_timezone(collection, timezone);
	appendBinaryStringInfo(&key, timezone, strlen(timezone) + 1);
	appendBinaryStringInfo(&key, text, strlen(text) + 1);
	if (params != NULL)
		appendBinaryStringInfo(&key, (const char *) &params->root, VARSIZE(params) - VARHDRSZ);
	keep = key.len <= CACHE_MAX_KEY;
	entry = keep ? find_entry(&key, false) : NULL;
	if (entry != NULL)
		return copy_filter(entry->filter);

	CollectionFilterOptions(collection, params, alias, first_param, timezone, &options);
	filter = FilterCompile(CollectionFilterSchema(collection), text, &options);
	if (keep)
	{
		entry = find_entry(&key, true);
		before = MemoryContextSwitchTo(cache_context);
		entry->filter = copy_filter(filter);
		MemoryContextSwitchTo(before);
	}
	return filter;
}
