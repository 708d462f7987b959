/*
 * collection_internal.h
 *		What the files of this folder share.
 */
#ifndef MILVUS_COLLECTION_INTERNAL_H
#define MILVUS_COLLECTION_INTERNAL_H

#include "collection/collection.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/rel.h"

/* ---- json.c ---- */

/* The value of a key; false when the object has none, or null. */
extern bool JsonGet(JsonbContainer *object, const char *key, JsonbValue *value);
/* The same under either of two names (`b` may be NULL). */
extern bool JsonGetEither(JsonbContainer *object, const char *a, const char *b, JsonbValue *value);
/* A string, number or boolean as text; objects and arrays as JSON.  palloc'd. */
extern char *JsonText(const JsonbValue *value);
/* Numbers, and strings that are numbers; false: it is neither. */
extern bool JsonToInt(const JsonbValue *value, int64 *result);
/* Booleans, and the strings "true" and "false" in any case; false: it is neither. */
extern bool JsonToBool(const JsonbValue *value, bool *result);
/* NULL when it is not an object (an array). */
extern JsonbContainer *JsonToObject(const JsonbValue *value);
extern JsonbContainer *JsonToArray(const JsonbValue *value);
/*
 * An object, or the text of one, as Milvus's clients send parameters; NULL in `object`: an empty text.
 * False: it is neither.
 */
extern bool JsonToObjectOrText(const JsonbValue *value, JsonbContainer **object);
/* Values of an array in order, each a palloc'd JsonbValue. */
extern List *JsonElements(JsonbContainer *array);
/* Keys of an object, palloc'd strings. */
extern List *JsonKeys(JsonbContainer *object);
/* Text that the object has under a key, or the default. */
extern char *JsonGetText(JsonbContainer *object, const char *key, char *initial);
extern int64 JsonGetInt(JsonbContainer *object, const char *key, int64 initial);
extern bool JsonGetBool(JsonbContainer *object, const char *key, bool initial);

/* Writing JSON: a comma is put where one belongs. */
extern void JsonBegin(StringInfo json, const char *key, char bracket);	/* key NULL: an element */
extern void JsonEnd(StringInfo json, char bracket);
extern void JsonAddText(StringInfo json, const char *key, const char *value);
extern void JsonAddInt(StringInfo json, const char *key, int64 value);
extern void JsonAddBool(StringInfo json, const char *key, bool value);
extern void JsonAddRaw(StringInfo json, const char *key, const char *value);

extern Jsonb *JsonFromText(const char *text);
extern char *JsonToText(Jsonb *json);
/* A copy of an object (NULL: an empty one) where a key has this JSON; NULL: without the key. */
extern Jsonb *JsonWith(Jsonb *object, const char *key, const char *json);
extern Jsonb *JsonWithText(Jsonb *object, const char *key, const char *text);
/* The root; ERROR when it is no object, in Milvus's words: `what` should be one. */
extern JsonbContainer *JsonRequireObject(Jsonb *json, const char *what);
/* An object of strings with those of another laid over it. */
extern Jsonb *JsonMergeTexts(Jsonb *object, JsonbContainer *changes);

/* ---- type.c ---- */

/* The schema of an extension's objects. */
extern Oid	MilvusExtensionNamespace(Oid extension);
/* The schema of this extension's types. */
extern Oid	MilvusTypeNamespace(void);
/*
 * The type of a column in SQL, qualified: "public.vector(768)".  ERROR for types that cannot
 * be had (Geometry without PostGIS).
 */
extern char *MilvusSqlType(MilvusType type, MilvusType element_type, int dim);
/*
 * What a column's type is in Milvus: type, element_type and dim are set; MILVUS_NONE when
 * Milvus has nothing like it.
 */
extern MilvusType MilvusTypeOfColumn(Oid typid, int32 typmod, int ndims, MilvusType *element_type, int *dim);
extern MilvusConsistency MilvusConsistencyByName(const char *name);
extern const char *MilvusConsistencyName(MilvusConsistency level);

/* ---- name.c ---- */

/* ERROR in Milvus's words unless the name may be one of ... */
extern void CheckCollectionName(const char *name);
extern void CheckAlias(const char *name);
extern void CheckFieldName(const char *name);
extern void CheckPartitionName(const char *name);
/* A name that was given, not the default, whose length is checked too. */
extern void CheckIndexName(const char *name);
extern void CheckDatabaseName(const char *name);

/* What PostgreSQL calls the thing of this name, NAMEDATALEN bytes; columns have further rules. */
extern void RelationNameOf(const char *name, char *result);
extern void ColumnNameOf(const char *name, char *result);
/* The name of the thing that has `actual` as name and maybe `stored` in its label. */
extern const char *NameFromLabel(const char *actual, const char *stored, bool column);

/* The schema of a database; InvalidOid with missing_ok, else ERROR with code 800. */
extern Oid	DatabaseNamespace(const char *database, bool missing_ok);
/* The database that a schema is. */
extern char *NamespaceDatabase(Oid namespace_oid);
/* Is it the schema of a database? */
extern bool NamespaceIsDatabase(Oid namespace_oid, const char *name);
/* "schema.name", quoted. */
extern char *QualifiedName(Oid namespace_oid, const char *name);
/* A schema's name; ERROR 800 when it is gone, as it may be: looking it up does not keep it. */
extern char *NamespaceName(Oid namespace_oid);
/*
 * Whoever makes, or drops, a collection, an alias or (namespace_oid 0) a database of this name waits for others that do,
 * to the end of their transactions, and then sees what they did.  Plain SQL does not wait.
 */
extern void LockName(Oid namespace_oid, const char *name);

/* ---- label.c ---- */

#define LABEL_PROVIDER "milvus_catalog"
#define DATABASE_VIEW "$database"	/* of a schema: carries its label */

/* Labels of a relation (subid 0) and its columns; NULL: none. */
extern Jsonb *LabelRead(Oid relid, int subid);
/* All of a relation, by subid from 0 on, natts + 1 of them. */
extern Jsonb **LabelReadAll(Oid relid, int natts);
/* Write one (NULL: remove it); the caller has the relation locked.  ERROR unless the caller owns it. */
extern void LabelWrite(Oid relid, int subid, Jsonb *label);

/* ---- collection.c ---- */

typedef struct IndexEntry
{
	CollectionField *field;
	const char *name;			/* Milvus's */
	const char *relation_name;	/* as stored; NULL: none */
	Oid			relid;			/* InvalidOid: there is no index, comparisons are exact */
	const char *index_type;
	MilvusMetric metric;
	Jsonb	   *params;			/* as given; never NULL */
	Jsonb	   *properties;		/* likewise (mmap.enabled) */
	const char *json_path;		/* of a JSON path index, else NULL */
	bool		is_valid;
	bool		is_ready;
} IndexEntry;

/* The indexes of a collection, those that Milvus's API made and others of its fields; List of IndexEntry. */
extern List *CollectionIndexes(const Collection *collection, Relation rel);

/* The view of an alias; InvalidOid when the name is none's.  *target: the table it means. */
extern Oid	FindAlias(Oid namespace_oid, const char *alias, Oid *target);
/* Is there a relation of any kind that has a collection's or an alias's name? */
extern Oid	FindRelation(Oid namespace_oid, const char *name);
/* As CollectionOpen, for what changes the collection: ERROR unless the caller owns the table. */
extern const Collection *CollectionOpenOwned(const char *database, const char *name, LOCKMODE lockmode);
/* Change one key of a collection's label, and the time of its last change. */
extern void CollectionSetLabel(const Collection *collection, const char *key, const char *json);
extern void CollectionSetFieldLabel(const Collection *collection, const CollectionField *field, const char *key, const char *json);

/* ---- schema.c ---- */

typedef struct FieldDef
{
	char	   *name;
	char	   *description;
	MilvusType	type;
	MilvusType	element_type;
	bool		has_dim;
	int64		dim;
	bool		has_max_length;
	int64		max_length;
	bool		has_max_capacity;
	int64		max_capacity;
	bool		is_primary;
	bool		auto_id;
	bool		nullable;
	bool		is_partition_key;
	bool		is_clustering_key;
	bool		is_function_output;
	bool		enable_match;
	bool		enable_analyzer;
	bool		has_default;
	JsonbValue	default_value;
	Jsonb	   *params;			/* others; NULL: none */
	char	   *struct_name;
	int			id;				/* given out when it is made */
} FieldDef;

typedef struct StructDef
{
	char	   *name;
	char	   *description;
	int64		max_capacity;
	bool		nullable;
	int			id;
} StructDef;

typedef struct SchemaDef
{
	char	   *name;			/* of the collection */
	char	   *description;
	bool		dynamic;
	List	   *fields;			/* FieldDef; sub-fields of structs after the others */
	List	   *structs;		/* StructDef */
	Jsonb	   *functions;		/* array */
} SchemaDef;

/* Read a definition; checks what can be checked without the rest. */
extern SchemaDef *SchemaRead(const char *collection, JsonbContainer *json);
extern FieldDef *SchemaReadField(JsonbContainer *json);
/* ERROR unless it is one that Milvus takes. */
extern void SchemaCheck(SchemaDef *schema);
extern void SchemaCheckField(const char *collection, FieldDef *field);

/* SQL of a column of a table: "name type NOT NULL DEFAULT ... CONSTRAINT ...". */
extern void SchemaAppendColumn(StringInfo sql, FieldDef *field);
extern char *FieldLabel(const FieldDef *field);
/* ERROR for a property whose value it cannot have. */
extern void CheckProperties(Jsonb *properties);

/* ---- others ---- */

/* Run DDL with the caller's rights. */
extern void MilvusExecute(const char *format, ...) __attribute__((format(MILVUS_PRINTF, 1, 2)));
/* name_constraint: a constraint's name, as PostgreSQL would choose one. */
extern char *ConstraintName(const char *column, const char *what);

/* Elements of a text[], null ones left out. */
extern List *TextArrayToList(ArrayType *array);

/* text argument, NULL when it is null */
#define TEXT_ARG(n) (PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n)))

/* The btree that a partition key has. */
extern void IndexAfterCreate(const Collection *collection);
/* Make the indexes of Milvus's parameters: an object, or an array of them. */
extern void IndexCreateAll(const Collection *collection, JsonbContainer *params);
/* Tell the labels that an index has another name. */
extern void IndexRenamed(const Collection *collection, const char *old, const char *new);
/* Before a text field's max_length becomes this: indexes that could not have such values are made anew. */
extern void IndexFitLength(const Collection *collection, const CollectionField *field, int64 length);
extern void IndexCreateAuto(const Collection *collection, const char *field, const char *metric);
/* ERROR, code 700, when a vector field has no index. */
extern void CollectionCheckIndexes(const Collection *collection);
/* Set the state to loaded; ERROR when a vector field has no index. */
extern void CollectionLoad(const Collection *collection);
/* The alias that a view is, and the table that it means; NULL: it is none. */
extern const char *AliasOfView(Oid view, Oid *target);
/* Add $inserted, or another column of ours, unless it is there. */
extern void AddHiddenColumn(const Collection *collection, const char *column, const char *definition);
/* ERROR for partition names where there is a partition key. */
extern void RefusePartitionNames(const Collection *collection, const char *message);
/* Write the list of partitions into the label. */
extern void PartitionsWrite(const Collection *collection, List *partitions);
extern List *PartitionsList(const Collection *collection);
/* A jsonb of the database's properties. */
extern Jsonb *DatabaseProperties(Oid namespace_oid);
/* Names of a table's aliases. */
extern List *CollectionAliases(Oid relid);

#endif							/* MILVUS_COLLECTION_INTERNAL_H */
