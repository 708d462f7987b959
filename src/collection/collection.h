/*
 * collection.h
 *		What writing and searching need of collections: errors with Milvus's codes, the
 *		description of a collection by its name or alias, its load state and its limits.
 *		README.md explains where a collection's description is kept.
 */
#ifndef MILVUS_COLLECTION_H
#define MILVUS_COLLECTION_H

#include "access/attnum.h"
#include "storage/lockdefs.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* ---- errors (error.c) ---- */

/* Milvus's codes. */
typedef enum MilvusCode
{
	MILVUS_UNIMPLEMENTED = 10,
	MILVUS_COLLECTION_NOT_FOUND = 100,
	MILVUS_COLLECTION_NOT_LOADED = 101,
	MILVUS_COLLECTION_LIMIT = 102,
	MILVUS_ILLEGAL_SCHEMA = 105,
	MILVUS_SCHEMA_MISMATCH = 109,
	MILVUS_PARTITION_NOT_FOUND = 200,
	MILVUS_PARTITION_NOT_LOADED = 201,
	MILVUS_INDEX_NOT_FOUND = 700,
	MILVUS_INDEX_UNSUPPORTED = 701,
	MILVUS_INDEX_DUPLICATE = 702,
	MILVUS_DATABASE_NOT_FOUND = 800,
	MILVUS_DATABASE_LIMIT = 801,
	MILVUS_DATABASE_NAME = 802,
	MILVUS_INVALID_PARAMETER = 1100,
	MILVUS_MISSING_PARAMETER = 1101,
	MILVUS_PARAMETER_TOO_LARGE = 1102,
	MILVUS_PRIVILEGE = 1401,
	MILVUS_ALIAS_NOT_FOUND = 1600,
	MILVUS_ALIAS_CONFLICT = 1601,
	MILVUS_ALIAS_EXISTS = 1602,
	MILVUS_FIELD_NOT_FOUND = 1700,
	MILVUS_FIELD_NAME = 1701,
	MILVUS_SEGCORE = 2000,
	MILVUS_QUERY_PLAN = 2201,
	MILVUS_COMPACTION = 2300,
	MILVUS_FUNCTION = 2400,
	MILVUS_UNEXPECTED = 65535,
} MilvusCode;

/*
 * Of an ereport: the fitting SQLSTATE, and DETAIL "milvus_code=NNNN", which programs read.
 *
 *		ereport(ERROR, (errmilvus(MILVUS_PARTITION_NOT_FOUND),
 *						errmsg("partition not found[partition=%s]", name)));
 *
 * A call of errcode() after it takes the place of its SQLSTATE.
 */
extern int	errmilvus(MilvusCode code);

/* clang does not know the name that a server built with gcc has for it */
#ifdef __clang__
#define MILVUS_PRINTF printf
#else
#define MILVUS_PRINTF PG_PRINTF_ATTRIBUTE
#endif

/* Milvus's text "<message>: invalid parameter", code 1100. */
extern void MilvusInvalidParameter(const char *format, ...)
			__attribute__((noreturn, format(MILVUS_PRINTF, 1, 2)));
/* "<message>: invalid parameter[expected=...][actual=...]" */
extern void MilvusInvalidValue(const char *expected, const char *actual, const char *format, ...)
			__attribute__((noreturn, format(MILVUS_PRINTF, 3, 4)));

/* ---- types (type.c) ---- */

/* Milvus's numbers. */
typedef enum MilvusType
{
	MILVUS_NONE = 0,
	MILVUS_BOOL = 1,
	MILVUS_INT8 = 2,
	MILVUS_INT16 = 3,
	MILVUS_INT32 = 4,
	MILVUS_INT64 = 5,
	MILVUS_FLOAT = 10,
	MILVUS_DOUBLE = 11,
	MILVUS_VARCHAR = 21,
	MILVUS_ARRAY = 22,
	MILVUS_JSON = 23,
	MILVUS_GEOMETRY = 24,
	MILVUS_TEXT = 25,
	MILVUS_TIMESTAMPTZ = 26,
	MILVUS_BINARY_VECTOR = 100,
	MILVUS_FLOAT_VECTOR = 101,
	MILVUS_FLOAT16_VECTOR = 102,
	MILVUS_BFLOAT16_VECTOR = 103,
	MILVUS_SPARSE_VECTOR = 104,
	MILVUS_INT8_VECTOR = 105,
	MILVUS_ARRAY_OF_VECTOR = 106,
	MILVUS_ARRAY_OF_STRUCT = 200,
	MILVUS_STRUCT = 201,
} MilvusType;

#define MilvusTypeIsVector(type) ((type) >= MILVUS_BINARY_VECTOR && (type) <= MILVUS_ARRAY_OF_VECTOR)
#define MilvusTypeIsInteger(type) ((type) >= MILVUS_INT8 && (type) <= MILVUS_INT64)
#define MilvusTypeIsFloat(type) ((type) == MILVUS_FLOAT || (type) == MILVUS_DOUBLE)
#define MilvusTypeIsString(type) ((type) == MILVUS_VARCHAR || (type) == MILVUS_TEXT)

/* "Int64", "FloatVector", ... */
extern const char *MilvusTypeName(MilvusType type);
/* In any spelling (INT64, Int64, int64, "5"); MILVUS_NONE when there is no such type. */
extern MilvusType MilvusTypeByName(const char *name);

typedef enum MilvusMetric
{
	METRIC_NONE = 0,
	METRIC_L2,
	METRIC_IP,
	METRIC_COSINE,
	METRIC_HAMMING,
	METRIC_JACCARD,
	METRIC_MHJACCARD,
	METRIC_SUBSTRUCTURE,
	METRIC_SUPERSTRUCTURE,
	METRIC_BM25,
	METRIC_MAX_SIM,				/* of the cosine */
	METRIC_MAX_SIM_COSINE,
	METRIC_MAX_SIM_IP,
	METRIC_MAX_SIM_L2,
	METRIC_MAX_SIM_HAMMING,
	METRIC_MAX_SIM_JACCARD,
} MilvusMetric;

/* "L2", "IP", ...; "" for METRIC_NONE. */
extern const char *MilvusMetricName(MilvusMetric metric);
/* In upper or lower case; METRIC_NONE when there is no such metric. */
extern MilvusMetric MilvusMetricByName(const char *name);
/* Is a larger value nearer (IP, COSINE, BM25, MAX_SIM...)? */
extern bool MilvusMetricIsSimilarity(MilvusMetric metric);

typedef enum MilvusConsistency
{
	CONSISTENCY_STRONG = 0,
	CONSISTENCY_SESSION = 1,
	CONSISTENCY_BOUNDED = 2,
	CONSISTENCY_EVENTUALLY = 3,
	CONSISTENCY_CUSTOMIZED = 4,
} MilvusConsistency;

/* ---- a collection (collection.c) ---- */

/* Columns that are not fields; $meta is one. */
#define COLLECTION_META_COLUMN "$meta"	/* the dynamic field: jsonb */
#define COLLECTION_PARTITION_COLUMN "$partition"	/* smallint: CollectionPartition.id */
#define COLLECTION_TIME_COLUMN "$inserted"	/* timestamptz: for collection.ttl.seconds */

#define COLLECTION_DEFAULT_PARTITION "_default"

typedef struct CollectionField
{
	int64		id;				/* Milvus's number of the field: from 100 on */
	const char *name;
	const char *column;			/* of the table: the name, unless that is too long for PostgreSQL */
	AttrNumber	attnum;
	Oid			typid;
	int32		typmod;
	Oid			collation;
	MilvusType	type;
	MilvusType	element_type;	/* of MILVUS_ARRAY and MILVUS_ARRAY_OF_VECTOR, else MILVUS_NONE */
	int			dim;			/* of vectors; of embedding lists: of one vector; 0: sparse */
	int			max_length;		/* bytes of a VarChar, or of a VarChar element; 0: no limit */
	int			max_capacity;	/* elements of an array, or of a struct array; 0: no limit */
	const char *struct_name;	/* of a sub-field of a struct array, else NULL; name is "struct[sub]" */
	const char *sub_name;		/* "sub" of that, else NULL */
	const char *description;	/* never NULL */
	bool		is_primary;
	bool		auto_id;
	bool		nullable;
	bool		has_default;	/* the column has a DEFAULT (an autoID's aside) */
	bool		is_generated;	/* GENERATED: cannot be written */
	bool		is_partition_key;
	bool		is_clustering_key;
	bool		is_dynamic;		/* $meta */
	bool		is_function_output;
	bool		enable_match;	/* for text_match() */
	bool		enable_analyzer;
	/* vectors: the ann index on the column that searches use; InvalidOid and METRIC_NONE: there is none */
	Oid			index;
	MilvusMetric metric;
	const char *index_type;		/* as it was asked for ("HNSW", "AUTOINDEX"); NULL: no index */
} CollectionField;

typedef struct CollectionPartition
{
	int			id;				/* value of the partition column */
	const char *name;
	bool		loaded;
} CollectionPartition;

typedef struct Collection
{
	Oid			relid;
	const char *name;			/* of the collection, also where it was found by an alias */
	const char *database;
	Oid			namespace_oid;
	const char *relation;		/* quoted for SQL, with its schema: public.docs */
	const char *description;	/* never NULL */

	int			nfields;		/* in the order of columns; $meta among them */
	CollectionField *fields;
	CollectionField *primary;	/* NULL only when its constraint was dropped by plain SQL */
	CollectionField *meta;		/* $meta; NULL: no dynamic field */
	CollectionField *partition_key; /* NULL: none */
	int			nvectors;
	CollectionField **vectors;	/* fields whose type is a vector's, sub-fields of structs among them */

	/* partitions: the column is 0 (no partitions were ever made) or that of the partition's id */
	AttrNumber	partition_attnum;
	int			num_partitions; /* of a partition key; 0: none, partitions are made by name */
	int			npartitions;	/* "_default" among them; without a column: only that */
	CollectionPartition *partitions;

	bool		loaded;			/* of the collection as a whole */
	MilvusConsistency consistency;
	int			shards;

	/* time to live: a row is gone `ttl_seconds` after the time in ttl_attnum; for ttl_field 0 s */
	AttrNumber	ttl_attnum;		/* 0: rows live for ever */
	int64		ttl_seconds;

	bool		allow_insert_auto_id;
	bool		partition_isolation;	/* partitionkey.isolation */
	const char *timezone;		/* property "timezone"; NULL: not set */
	Jsonb	   *properties;		/* object of strings; never NULL */
	Jsonb	   *functions;		/* array of objects, as they were given; never NULL */

	/*
	 * Grows with every change of the definition, an index's creation and of the load state, so
	 * that what was made for a collection (plans, compiled filters) can be kept with it.
	 */
	uint64		generation;

	const struct FilterSchema *filter_schema;	/* condition.c's; NULL until it is asked for */
} Collection;

/*
 * The collection of a name or an alias.  database: NULL or "" means the session's
 * (milvus.database).  Locks the table in `lockmode` until the end of the transaction (NoLock:
 * as long as the caller holds none, it may change or vanish) and checks that it is a collection.
 * Not found: ERROR "collection not found[database=...][collection=...]", or NULL with missing_ok.
 *
 * The result belongs to the session's cache and stays as it is until the end of the
 * transaction, whatever changes meanwhile: look again to see changes.
 */
extern const Collection *CollectionOpen(const char *database, const char *name, LOCKMODE lockmode, bool missing_ok);
/* The same by the table; NULL when it is no collection.  The caller has it locked. */
extern const Collection *CollectionByRelid(Oid relid);

/* A field by name; NULL when there is none (a dynamic key, perhaps). */
extern CollectionField *CollectionFindField(const Collection *collection, const char *name);
/* ERROR "field not found[field=...]", code 1700. */
extern CollectionField *CollectionGetField(const Collection *collection, const char *name);
/* A partition by name; NULL when there is none. */
extern CollectionPartition *CollectionFindPartition(const Collection *collection, const char *name);
/* ERROR "partition not found[partition=...]", code 200. */
extern CollectionPartition *CollectionGetPartition(const Collection *collection, const char *name);

/*
 * ERROR with code 101 unless the collection is loaded ("collection not loaded[collection=...]"), with 201
 * unless each of `n` partitions named is.  n = 0: some of them suffices.
 */
extern void CollectionRequireLoaded(const Collection *collection, char **partition_names, int n);

/*
 * The expression that says that a row has not outlived its time, in SQL, in terms of the
 * table's columns (alias: NULL or a quoted alias); NULL when rows live for ever.  palloc'd.
 */
extern char *CollectionTtlCondition(const Collection *collection, const char *alias);

/* The session's database when name is NULL or "". */
extern const char *CollectionDatabase(const char *name);

/*
 * A row broke a constraint that this folder made (caught as `error`): ERROR in Milvus's
 * words.  Returns when the constraint is none of these.  row: its number in the request, or -1.
 */
extern void CollectionTranslateError(const Collection *collection, const ErrorData *error, int64 row);

/* Forget all cached descriptions: a setting that they depend on has changed. */
extern void CollectionForgetAll(void);
/* Part of _PG_init. */
extern void CollectionInit(void);

/* ---- time (time.c) ---- */

/* Milvus's hybrid time: 46 bits of milliseconds, 18 of a counter. */
#define MILVUS_TS_LOGICAL_BITS 18
extern int64 MilvusAllocTimestamp(void);
extern int64 MilvusTimestampOf(TimestampTz time);

#endif							/* MILVUS_COLLECTION_H */
