/*
 * name.c
 *		Names: which ones Milvus allows, what PostgreSQL calls the things that have them, and
 *		the schemas that are databases.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/catalog.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "collection/collection_internal.h"
#include "common/hashfn.h"
#include "guc.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* ---- rules ---- */

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Has it nothing but letters, digits, underscores, and what is in `also`?
 */
static bool
has_allowed_characters(const char *name, const char *also)
{
	for (const char *p = name; *p != '\0'; p++)
		if (!is_letter(*p) && !is_digit(*p) && *p != '_' && strchr(also, *p) == NULL)
			return false;
	return true;
}

static void
check_collection_or_alias(const char *name, const char *kind)
{
	if (*name == '\0')
		MilvusInvalidParameter("collection %s should not be empty", kind);
	if (strlen(name) > (size_t) milvus_settings.max_name_length)
		MilvusInvalidParameter("Invalid collection %s: %s. the length of a collection %s must be less than %d characters",
							   kind, name, kind, milvus_settings.max_name_length);
	if (*name != '_' && !is_letter(*name))
		MilvusInvalidParameter("Invalid collection %s: %s. the first character of a collection %s must be an underscore or letter",
							   kind, name, kind);
	if (!has_allowed_characters(name, ""))
		MilvusInvalidParameter("Invalid collection %s: %s. collection %s can only contain numbers, letters and underscores",
							   kind, name, kind);
}

void
CheckCollectionName(const char *name)
{
	check_collection_or_alias(name, "name");
}

void
CheckAlias(const char *name)
{
	check_collection_or_alias(name, "alias");
}

static void
invalid_field_name(const char *name, const char *why)
{
	ereport(ERROR,
			(errmilvus(MILVUS_FIELD_NAME),
			 errmsg("%s: field name invalid[field=%s]", why, name)));
}

void
CheckFieldName(const char *name)
{
	/* words of the filter language, and fields that Milvus adds itself */
	static const char *const keywords[] = {
		"RowID", "Timestamp", "$meta", "$namespace_id",
		"like", "LIKE", "in", "IN", "not", "NOT", "and", "AND", "or", "OR", "exists", "EXISTS",
		"true", "True", "TRUE", "false", "False", "FALSE",
		"json_contains", "JSON_CONTAINS", "json_contains_all", "JSON_CONTAINS_ALL",
		"json_contains_any", "JSON_CONTAINS_ANY", "array_contains", "ARRAY_CONTAINS",
		"array_contains_all", "ARRAY_CONTAINS_ALL", "array_contains_any", "ARRAY_CONTAINS_ANY",
		"array_length", "ARRAY_LENGTH", "text_match", "TEXT_MATCH", "phrase_match", "PHRASE_MATCH",
		"random_sample", "RANDOM_SAMPLE", "element_filter", "ELEMENT_FILTER"
	};
	const char *start = psprintf("Invalid field name: %s. ", name);

	if (*name == '\0')
		invalid_field_name(name, "field name should not be empty");
	if (strlen(name) > (size_t) milvus_settings.max_name_length)
		invalid_field_name(name, psprintf("%sThe length of a field name must be less than %d characters.",
										  start, milvus_settings.max_name_length));
	for (int i = 0; i < (int) lengthof(keywords); i++)
		if (strcmp(name, keywords[i]) == 0)
			invalid_field_name(name, psprintf("%s%s is keyword in milvus.", start, name));
	if (pg_strcasecmp(name, "null") == 0)
		invalid_field_name(name, psprintf("%s%s is keyword in milvus.", start, name));
	if (*name != '_' && !is_letter(*name))
		invalid_field_name(name, psprintf("%sThe first character of a field name must be an underscore or letter.", start));
	if (!has_allowed_characters(name, ""))
		invalid_field_name(name, psprintf("%sField name can only contain numbers, letters, and underscores.", start));
}

void
CheckPartitionName(const char *name)
{
	const char *start = psprintf("Invalid partition name: %s. ", name);

	if (*name == '\0')
		MilvusInvalidParameter("%sPartition name should not be empty.", start);
	if (strlen(name) > (size_t) milvus_settings.max_name_length)
		MilvusInvalidParameter("%sThe length of a partition name must be less than %d characters.",
							   start, milvus_settings.max_name_length);
	if (*name != '_' && !is_letter(*name) && !is_digit(*name))
		MilvusInvalidParameter("%sThe first character of a partition name must be an underscore or letter.", start);
	if (!has_allowed_characters(name, "-"))
		MilvusInvalidParameter("%sPartition name can only contain numbers, letters and underscores.", start);
}

void
CheckIndexName(const char *name)
{
	const char *start = psprintf("Invalid index name: %s. ", name);

	if (*name != '_' && !is_letter(*name))
		MilvusInvalidParameter("%sThe first character of a index name must be an underscore or letter.", start);
	if (!has_allowed_characters(name, "$"))
		MilvusInvalidParameter("%sIndex name can only contain numbers, letters, and underscores.", start);
}

static void
invalid_database_name(const char *name, const char *why)
{
	ereport(ERROR,
			(errmilvus(MILVUS_DATABASE_NAME),
			 errmsg("%s: invalid database name[database=%s]", why, name)));
}

/*
 * Schemas that are something else.
 */
static bool
is_reserved_schema(const char *name)
{
	return IsReservedName(name) || strcmp(name, "information_schema") == 0 || strcmp(name, "milvus") == 0;
}

void
CheckDatabaseName(const char *name)
{
	if (*name == '\0')
		invalid_database_name(name, "database name couldn't be empty");
	if (strlen(name) > (size_t) milvus_settings.max_name_length)
		invalid_database_name(name, psprintf("the length of a database name must be less than %d characters",
											 milvus_settings.max_name_length));
	if (*name != '_' && !is_letter(*name))
		invalid_database_name(name, "the first character of a database name must be an underscore or letter");
	if (!has_allowed_characters(name, ""))
		invalid_database_name(name, "database name can only contain numbers, letters and underscores");
	if (is_reserved_schema(name) || strcmp(name, milvus_settings.default_database_schema) == 0)
		invalid_database_name(name, "database name is reserved");
}

/* ---- names that PostgreSQL cannot have ---- */

/*
 * The name itself; one that is too long keeps its first bytes, and a hash of the whole.
 */
void
RelationNameOf(const char *name, char *result)
{
	size_t		len = strlen(name);

	if (len < NAMEDATALEN)
		strcpy(result, name);
	else
		snprintf(result, NAMEDATALEN, "%.*s_" "%016llx", pg_mbcliplen(name, len, NAMEDATALEN - 18), name,
				 (unsigned long long) hash_bytes_extended((const unsigned char *) name, len, 0));
}

void
ColumnNameOf(const char *name, char *result)
{
	RelationNameOf(name, result);
	/* "ctid", "xmin" ... are columns that every table has */
	if (SystemAttributeByName(name) != NULL)
		snprintf(result, NAMEDATALEN, "%s_" "%016llx", name,
				 (unsigned long long) hash_bytes_extended((const unsigned char *) name, strlen(name), 0));
}

const char *
NameFromLabel(const char *actual, const char *stored, bool column)
{
	char		expected[NAMEDATALEN];

	if (stored == NULL)
		return actual;
	/* it has been renamed since, unless it is the name that it would be given */
	if (column)
		ColumnNameOf(stored, expected);
	else
		RelationNameOf(stored, expected);
	return strcmp(actual, expected) == 0 ? stored : actual;
}

/* ---- databases ---- */

const char *
CollectionDatabase(const char *name)
{
	if (name != NULL && *name != '\0')
		return name;
	return *milvus_settings.database != '\0' ? milvus_settings.database : "default";
}

Oid
DatabaseNamespace(const char *database, bool missing_ok)
{
	char		schema[NAMEDATALEN];
	Oid			result = InvalidOid;

	database = CollectionDatabase(database);
	if (strcmp(database, "default") == 0)
		result = get_namespace_oid(milvus_settings.default_database_schema, true);
	else
	{
		RelationNameOf(database, schema);
		/* the default database has one name, and a reserved schema none */
		if (!is_reserved_schema(schema) && strcmp(schema, milvus_settings.default_database_schema) != 0)
			result = get_namespace_oid(schema, true);
	}
	if (!OidIsValid(result) && !missing_ok)
		ereport(ERROR,
				(errmilvus(MILVUS_DATABASE_NOT_FOUND),
				 errmsg("database not found[database=%s]", database)));
	return result;
}

bool
NamespaceIsDatabase(Oid namespace_oid, const char *name)
{
	return strcmp(name, milvus_settings.default_database_schema) == 0 ||
		(!is_reserved_schema(name) && strcmp(name, "default") != 0);
}

char *
NamespaceDatabase(Oid namespace_oid)
{
	char	   *name = get_namespace_name(namespace_oid);
	Jsonb	   *label;
	Oid			view;

	if (name == NULL)
		return pstrdup("");
	if (strcmp(name, milvus_settings.default_database_schema) == 0)
		return pstrdup("default");
	if (strlen(name) < NAMEDATALEN - 1)
		return name;
	/* maybe its database has a longer name */
	view = get_relname_relid(DATABASE_VIEW, namespace_oid);
	label = OidIsValid(view) ? LabelRead(view, 0) : NULL;
	return label == NULL ? name : pstrdup(NameFromLabel(name, JsonGetText(&label->root, "name", NULL), false));
}

char *
NamespaceName(Oid namespace_oid)
{
	char	   *name = get_namespace_name(namespace_oid);

	if (name == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_DATABASE_NOT_FOUND),
				 errmsg("database not found: it was dropped meanwhile")));
	return name;
}

char *
QualifiedName(Oid namespace_oid, const char *name)
{
	return quote_qualified_identifier(NamespaceName(namespace_oid), name);
}

void
LockName(Oid namespace_oid, const char *name)
{
	/* an object of our own making beside the schema: number 0 would be the schema itself */
	uint16		number = hash_bytes((const unsigned char *) name, strlen(name)) | 1;

	LockDatabaseObject(NamespaceRelationId, namespace_oid, number, ExclusiveLock);
}
