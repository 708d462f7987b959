/*
 * filter.h
 *		Milvus's filter language: text in, a boolean SQL expression out.
 *
 * A caller describes the collection (FilterSchema), gives the text and the template values, and gets
 * SQL over an alias of the collection's table, with the template values as parameters.  See README.md.
 */
#ifndef MILVUS_FILTER_H
#define MILVUS_FILTER_H

#include "utils/jsonb.h"

/* Milvus's data types, by the numbers of its wire format. */
typedef enum FilterType
{
	FILTER_NONE = 0,
	FILTER_BOOL = 1,
	FILTER_INT8 = 2,
	FILTER_INT16 = 3,
	FILTER_INT32 = 4,
	FILTER_INT64 = 5,
	FILTER_FLOAT = 10,
	FILTER_DOUBLE = 11,
	FILTER_STRING = 20,
	FILTER_VARCHAR = 21,
	FILTER_ARRAY = 22,
	FILTER_JSON = 23,
	FILTER_GEOMETRY = 24,
	FILTER_TEXT = 25,
	FILTER_TIMESTAMPTZ = 26,
	FILTER_BINARY_VECTOR = 100,
	FILTER_FLOAT_VECTOR = 101,
	FILTER_FLOAT16_VECTOR = 102,
	FILTER_BFLOAT16_VECTOR = 103,
	FILTER_SPARSE_FLOAT_VECTOR = 104,
	FILTER_INT8_VECTOR = 105,
	FILTER_ARRAY_OF_VECTOR = 106,
	FILTER_ARRAY_OF_STRUCT = 200,
	FILTER_STRUCT = 201
} FilterType;

/* A field of a collection, or a sub-field of a struct array. */
typedef struct FilterField
{
	const char *name;			/* as filters name it */
	const char *column;			/* the SQL column, unquoted; NULL for a struct array */
	int			attnum;			/* its attribute number; for the caller's use, not read here */
	FilterType	type;			/* of a sub-field: FILTER_ARRAY or FILTER_ARRAY_OF_VECTOR */
	FilterType	element_type;	/* of an array */
	int			max_length;		/* of VarChar, bytes; 0: unknown */
	int			max_capacity;	/* of an array; 0: unknown */
	bool		nullable;
	bool		is_dynamic;		/* $meta */
	bool		enable_match;	/* text_match and phrase_match are allowed */
	const char *text_config;	/* name of their text search configuration, qualified and quoted as regconfig
								 * reads it; NULL: pg_catalog.simple */
	bool		has_json_gin;	/* JSON: an index serves @>, so equality is written with it */
	int			nfields;		/* struct array: sub-fields */
	const struct FilterField *fields;
} FilterField;

typedef struct FilterSchema
{
	int			nfields;
	const FilterField *fields;
	bool		enable_dynamic_field;	/* unknown names are keys of the field that is_dynamic */
} FilterSchema;

/* Values of templates, and literals. */
typedef enum FilterValueKind
{
	FILTER_VALUE_BOOL,
	FILTER_VALUE_INT,
	FILTER_VALUE_DOUBLE,
	FILTER_VALUE_STRING,
	FILTER_VALUE_ARRAY,
	FILTER_VALUE_ISO,			/* ISO '...': string is the normalized timestamp */
	FILTER_VALUE_INTERVAL		/* INTERVAL '...' */
} FilterValueKind;

typedef struct FilterValue
{
	FilterValueKind kind;
	bool		is_template;	/* becomes a parameter, not a literal */
	bool		overflows;		/* an integer literal of 2^63, which only a minus sign makes valid */
	bool		boolean;
	int64		integer;
	double		number;
	const char *string;			/* no terminating zero inside; valid in the server's encoding */
	int			count;			/* of an array */
	struct FilterValue *items;
} FilterValue;

typedef struct FilterTemplate
{
	const char *name;
	FilterValue value;
} FilterTemplate;

#define FILTER_MAX_DEPTH 256
#define FILTER_MAX_LENGTH (16 * 1024 * 1024)

typedef struct FilterOptions
{
	const char *alias;			/* of the table in the caller's query, unquoted */
	int			first_param;	/* number of the first parameter, from 1 */
	int			max_depth;		/* nesting; 0: FILTER_MAX_DEPTH */
	int			max_length;		/* bytes of text; 0: FILTER_MAX_LENGTH */
	const char *(*find_postgis) (void); /* gives the schema that PostGIS is in, unquoted, or NULL; asked where a filter
										 * needs it */
	const char *timezone;		/* of timestamps without offset, an IANA name; NULL: UTC */
	bool		is_utf8;		/* the server's encoding */
	int			ntemplates;
	const FilterTemplate *templates;
} FilterOptions;

typedef struct FilterParam
{
	Oid			type;
	const char *text;			/* input of that type */
} FilterParam;

typedef struct FilterSQL
{
	const char *sql;			/* a boolean expression in parentheses; TRUE for the rows that match, FALSE or NULL
								 * for others.  Names the type of each parameter, so equal texts have equal types. */
	bool		is_true;		/* matches all rows: the text was empty or a constant */
	bool		is_sample;		/* holds random_sample: volatile */
	const char *element_struct; /* of an element_filter, the struct array's name; NULL: there is none */
	const char *element_sql;	/* "ROWS FROM (...) WITH ORDINALITY AS milvus_e(..., n) WHERE ...": the elements that
								 * match, n their numbers from 1; it may use parameters that sql does not */
	int			nparams;
	const FilterParam *params;
} FilterSQL;

/*
 * The key of the dynamic field that "k" or "$meta["k"]" means; NULL: the path leads elsewhere.
 * ERROR when it cannot be parsed.
 */
extern char *FilterDynamicKey(const FilterSchema *schema, const char *path, const FilterOptions *options);

/*
 * Compile a filter.  What it returns is in the current memory context.  Errors: Milvus's text, detail
 * milvus_code=1100.
 */
extern FilterSQL *FilterCompile(const FilterSchema *schema, const char *text, const FilterOptions *options);

/*
 * The SQL expression of a path as filters write it: f, f["a"][0], a dynamic key, s[sub].  Filters use the same
 * expression, so an index over it serves them.  type: what the path holds, FILTER_JSON of a key.
 */
extern char *FilterPathSQL(const FilterSchema *schema, const char *path, const FilterOptions *options, FilterType *type);

/* ---- within the server (filter_funcs.c) ---- */

/* A schema in the JSON form that create_collection takes; keys column and text_config may be added to fields. */
extern FilterSchema *FilterSchemaFromJson(Jsonb *json);
/* Templates of a JSON object; NULL has none. */
extern void FilterTemplatesFromJson(Jsonb *json, FilterOptions *options);
/* What depends on the database: encoding, PostGIS.  The rest is zero, but alias and first_param. */
extern void FilterOptionsInit(FilterOptions *options);
extern Datum FilterParamDatum(const FilterParam *param);
/* A type by Milvus's name (Int64, INT64, DataType.INT64 or 5); FILTER_NONE if there is none. */
extern FilterType FilterTypeByName(const char *name);
/* Milvus's name of a type: Int64. */
extern const char *FilterTypeName(FilterType type);

#endif							/* MILVUS_FILTER_H */
