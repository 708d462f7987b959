/*
 * index.c
 *		Indexes of collections: Milvus's parameters turned into indexes of ann, and into
 *		PostgreSQL's own for scalar fields; what was asked for is kept in the column's label.
 *
 * Fields that no index type serves yet (sparse vectors, embedding lists) have an entry
 * without an index: searches compare all rows.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "am/ann/ann.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "collection/collection_internal.h"
#include "collection/filter/filter.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "guc.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(milvus_create_index);
PG_FUNCTION_INFO_V1(milvus_describe_index);
PG_FUNCTION_INFO_V1(milvus_collection_indexes);
PG_FUNCTION_INFO_V1(milvus_list_indexes);
PG_FUNCTION_INFO_V1(milvus_drop_index);
PG_FUNCTION_INFO_V1(milvus_alter_index_properties);
PG_FUNCTION_INFO_V1(milvus_drop_index_properties);

/* Bytes of a key that a btree takes for certain; its limit is a third of a page. */
#define MAX_BTREE_BYTES 2600

/* An index as it was asked for. */
typedef struct IndexDef
{
	CollectionField *field;
	char	   *name;
	char	   *type;			/* in upper case; AUTOINDEX when nothing was said */
	MilvusMetric metric;
	Jsonb	   *params;			/* of strings */
	Jsonb	   *properties;		/* mmap.enabled and the like */
	char	   *json_path;		/* NULL: none */
	char	   *json_cast_type;
} IndexDef;

/* ---- parameters ---- */

/*
 * A parameter of Milvus, and the option of ann that it is.
 */
typedef struct ParamDef
{
	const char *name;
	const char *option;
	int64		min;
	int64		max;			/* 0: not a number */
} ParamDef;

static const ParamDef param_defs[] = {
	{"M", "m", 2, 2048},
	{"efConstruction", "ef_construction", 1, PG_INT32_MAX},
	{"nlist", "nlist", 1, 65536},
	{"m", "pq_m", 1, 65536},
	{"nbits", "pq_nbits", 1, 24},
	{"nrq", "nrq", 1, 16},
	{"sq_type", "sq_type", 0, 0},
	{"refine", "refine", 0, 0},
	{"refine_type", "refine_type", 0, 0},
	{"with_raw_data", "with_raw_data", 0, 0},
	{"mh_lsh_band", "mh_lsh_band", 1, 32768},
	{"mh_element_bit_width", "mh_element_bit_width", 0, 0},
	/* ours */
	{"compact", "compact", 0, 0},
	{"segment_rows", "segment_rows", ANN_MIN_SEGMENT_ROWS, ANN_MAX_SEGMENT_ROWS},
};

/* What Milvus has and what ann calls it; params that the type takes. */
static const struct
{
	const char *milvus;
	const char *ann;			/* NULL: none, rows are compared */
	const char *params;
	bool		binary;			/* of binary vectors */
	bool		dense;			/* of other vectors but sparse ones */
	bool		sparse;
}			vector_types[] = {
	{"AUTOINDEX", "AUTOINDEX", "compact segment_rows", true, true, true},
	{"FLAT", "FLAT", "compact segment_rows", false, true, false},
	{"GPU_BRUTE_FORCE", "FLAT", "", false, true, false},
	{"BIN_FLAT", "BIN_FLAT", "segment_rows", true, false, false},
	{"IVF_FLAT", "IVF_FLAT", "nlist compact segment_rows", false, true, false},
	{"GPU_IVF_FLAT", "IVF_FLAT", "nlist", false, true, false},
	{"BIN_IVF_FLAT", "BIN_IVF_FLAT", "nlist segment_rows", true, false, false},
	{"IVF_SQ8", "IVF_SQ8", "nlist refine refine_type segment_rows", false, true, false},
	{"IVF_PQ", "IVF_PQ", "nlist m nbits refine refine_type segment_rows", false, true, false},
	{"GPU_IVF_PQ", "IVF_PQ", "nlist m nbits", false, true, false},
	{"IVF_RABITQ", "IVF_RABITQ", "nlist refine refine_type segment_rows", false, true, false},
	{"SCANN", "SCANN", "nlist with_raw_data segment_rows", false, true, false},
	{"HNSW", "HNSW", "M efConstruction compact segment_rows", true, true, false},
	{"GPU_CAGRA", "HNSW", "", false, true, false},
	{"HNSW_SQ", "HNSW_SQ", "M efConstruction sq_type refine refine_type segment_rows", false, true, false},
	{"HNSW_PQ", "HNSW_PQ", "M efConstruction m nbits refine refine_type segment_rows", false, true, false},
	{"HNSW_PRQ", "HNSW_PRQ", "M efConstruction m nbits nrq refine refine_type segment_rows", false, true, false},
	{"ANNOY", "AUTOINDEX", "", false, true, false},
	{"MINHASH_LSH", "MINHASH_LSH", "mh_lsh_band mh_element_bit_width segment_rows", true, false, false},
	{"SPARSE_INVERTED_INDEX", NULL, "", false, false, true},
	{"SPARSE_WAND", NULL, "", false, false, true},
};

static const char *const scalar_types[] = {
	"AUTOINDEX", "INVERTED", "BITMAP", "STL_SORT", "TRIE", "HYBRID", "NGRAM", "RTREE"
};

static bool
word_in(const char *word, const char *list)
{
	size_t		len = strlen(word);

	for (const char *p = list; *p != '\0'; p += strspn(p, " "))
	{
		size_t		n = strcspn(p, " ");

		if (n == len && strncmp(p, word, len) == 0)
			return true;
		p += n;
	}
	return false;
}

static char *
upper_text(const char *text)
{
	char	   *result = pstrdup(text);

	for (char *p = result; *p != '\0'; p++)
		*p = pg_ascii_toupper((unsigned char) *p);
	return result;
}

/*
 * Read one object of index_params.
 */
static IndexDef *
read_index(const Collection *collection, JsonbContainer *object)
{
	static const char *const names[] = {
		"field_name", "fieldName", "index_name", "indexName", "index_type", "indexType",
		"metric_type", "metricType", "params", "json_path", "json_cast_type", "json_cast_function"
	};
	IndexDef   *def = palloc0(sizeof(IndexDef));
	JsonbValue	value;
	JsonbContainer *places[2];

	if (object == NULL)
		MilvusInvalidParameter("index_params should be an object or an array of objects");
	if (!JsonGetEither(object, "field_name", "fieldName", &value))
		ereport(ERROR,
				(errmilvus(MILVUS_MISSING_PARAMETER),
				 errmsg("field_name of index is missing")));
	def->field = CollectionFindField(collection, JsonText(&value));
	if (def->field == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_FIELD_NOT_FOUND),
				 errmsg("cannot create index on non-exist field: %s: field not found[field=%s]",
						JsonText(&value), JsonText(&value))));
	def->params = JsonFromText("{}");
	def->properties = JsonFromText("{}");
	def->type = "";
	places[0] = object;
	places[1] = NULL;
	if (JsonGet(object, "params", &value) && !JsonToObjectOrText(&value, &places[1]))
		MilvusInvalidParameter("params of the index of field %s should be an object", def->field->name);
	/* pymilvus puts parameters beside the names, or index_type and metric_type into params */
	for (int i = 0; i < 2; i++)
	{
		ListCell   *cell;

		if (JsonGetEither(places[i], "index_type", "indexType", &value))
			def->type = upper_text(JsonText(&value));
		if (JsonGetEither(places[i], "metric_type", "metricType", &value) && *JsonText(&value) != '\0')
		{
			def->metric = MilvusMetricByName(JsonText(&value));
			if (def->metric == METRIC_NONE)
				MilvusInvalidParameter("metric type %s not found or not supported, supported: [L2 IP COSINE HAMMING JACCARD MHJACCARD SUBSTRUCTURE SUPERSTRUCTURE BM25]",
									   JsonText(&value));
		}
		def->json_path = JsonGetText(places[i], "json_path", def->json_path);
		def->json_cast_type = JsonGetText(places[i], "json_cast_type", def->json_cast_type);
		foreach(cell, JsonKeys(places[i]))
		{
			char	   *key = lfirst(cell);
			bool		is_name = false;

			for (int j = 0; j < (int) lengthof(names); j++)
				is_name |= strcmp(names[j], key) == 0;
			if (is_name || !JsonGet(places[i], key, &value))
				continue;
			if (strcmp(key, "mmap.enabled") == 0 || strcmp(key, "warmup") == 0)
				def->properties = JsonWithText(def->properties, key, JsonText(&value));
			else
			{
				if (value.type == jbvBool && (strcmp(key, "M") == 0 || strcmp(key, "nlist") == 0 || strcmp(key, "efConstruction") == 0))
					MilvusInvalidParameter("Type conflict in json: param '%s' (%s) should be integer", key, JsonText(&value));
				def->params = JsonWithText(def->params, key, JsonText(&value));
			}
		}
	}
	if (*def->type == '\0')
		def->type = "AUTOINDEX";
	def->name = JsonGetEither(object, "index_name", "indexName", &value) ? JsonText(&value) : "";
	if (*def->name == '\0')
		def->name = def->json_path != NULL ? psprintf("%s/%s", def->field->name, def->json_path) : pstrdup(def->field->name);
	else
		CheckIndexName(def->name);
	return def;
}

/*
 * The options of ann that the parameters are, ", m = 16, ...".
 */
static char *
ann_options(const IndexDef *def, const char *known)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < (int) lengthof(param_defs); i++)
	{
		const ParamDef *param = &param_defs[i];
		char	   *text = JsonGetText(&def->params->root, param->name, NULL);
		char	   *end;
		long long	number;

		if (text == NULL || !word_in(param->name, known))
			continue;
		if (param->max == 0)
		{
			if (strcmp(param->name, "sq_type") == 0)
			{
				text = upper_text(text);
				if (!word_in(text, "SQ4U SQ6 SQ8 BF16 FP16"))
					MilvusInvalidParameter("invalid scalar quantizer type");
			}
			else if (strcmp(param->name, "refine_type") == 0)
			{
				text = upper_text(text);
				if (strcmp(text, "FLAT") == 0)
					text = "FP32";
				if (!word_in(text, "SQ6 SQ8 BF16 FP16 FP32"))
					MilvusInvalidParameter("invalid refine type : %s, optional types are [sq6, sq8, fp16, bf16, fp32, flat]", text);
			}
			else if (strcmp(param->name, "mh_element_bit_width") == 0)
			{
				if (!word_in(text, "8 16 32 64"))
					MilvusInvalidParameter("Out of range in json: param '%s' (%s) should be 8, 16, 32 or 64", param->name, text);
			}
			else if (pg_strcasecmp(text, "true") != 0 && pg_strcasecmp(text, "false") != 0)
				MilvusInvalidParameter("%s should be a boolean", param->name);
			appendStringInfo(&sql, ", %s = %s", param->option, quote_literal_cstr(text));
			continue;
		}
		errno = 0;
		number = strtoll(text, &end, 10);
		if (errno != 0 || end == text || *end != '\0')
			MilvusInvalidParameter("invalid integer value, key: '%s', value: '%s'", param->name, text);
		if (number < param->min || number > param->max)
			MilvusInvalidParameter("Out of range in json: param '%s' (%lld) should be in range [%lld, %lld]",
								   param->name, number, (long long) param->min, (long long) param->max);
		if (strcmp(param->name, "m") == 0 && number > 0 && def->field->dim % number != 0)
			MilvusInvalidParameter("The dimension of a vector (dim) should be a multiple of the number of subquantizers (m). Dimension:%d, m:%lld",
								   def->field->dim, number);
		/* ann's own range ends earlier */
		if (strcmp(param->name, "efConstruction") == 0)
			number = Max(8, Min(65536, number));
		appendStringInfo(&sql, ", %s = %lld", param->option, number);
	}
	return sql.data;
}

/* ---- making one ---- */

/*
 * A free name for an index.
 */
static char *
index_relation_name(const Collection *collection, const char *field)
{
	return ChooseRelationName(get_rel_name(collection->relid), field, "idx", collection->namespace_oid, false);
}

/*
 * What the label remembers of an index.  relation: NULL when there is none.
 */
static void
append_entry(StringInfo json, const char *name, const char *relation, const char *type, MilvusMetric metric,
			 Jsonb *params, Jsonb *properties, const char *json_path, bool hidden)
{
	JsonBegin(json, NULL, '{');
	JsonAddText(json, "name", name);
	if (relation != NULL)
		JsonAddText(json, "relation", relation);
	JsonAddText(json, "index_type", type);
	if (metric != METRIC_NONE)
		JsonAddText(json, "metric_type", MilvusMetricName(metric));
	if (params != NULL && JB_ROOT_COUNT(params) > 0)
		JsonAddRaw(json, "params", JsonToText(params));
	if (properties != NULL && JB_ROOT_COUNT(properties) > 0)
		JsonAddRaw(json, "properties", JsonToText(properties));
	if (json_path != NULL)
		JsonAddText(json, "json_path", json_path);
	if (hidden)
		JsonAddBool(json, "hidden", true);
	JsonEnd(json, '}');
}

/*
 * The array of entries in a field's label, without the one of a name, as "[..." to go on with.
 */
static StringInfo
begin_entries(const Collection *collection, const CollectionField *field, const char *without)
{
	Jsonb	   *label = LabelRead(collection->relid, field->attnum);
	StringInfo	json = makeStringInfo();
	JsonbValue	value;
	ListCell   *cell;

	JsonBegin(json, NULL, '[');
	if (label != NULL && JsonGet(&label->root, "indexes", &value))
		foreach(cell, JsonElements(JsonToArray(&value)))
		{
			JsonbContainer *object = JsonToObject(lfirst(cell));

			if (object != NULL &&
				(strcmp(JsonGetText(object, "name", ""), without) != 0 || JsonGetBool(object, "hidden", false)))
				JsonAddRaw(json, NULL, JsonText(lfirst(cell)));
		}
	return json;
}

static void
add_entry(const Collection *collection, const IndexDef *def, const char *relation)
{
	StringInfo	json = begin_entries(collection, def->field, def->name);
	Jsonb	   *params = def->params;

	if (def->json_path != NULL)
		params = JsonWithText(JsonWithText(params, "json_path", def->json_path),
							  "json_cast_type", def->json_cast_type != NULL ? upper_text(def->json_cast_type) : "JSON");
	append_entry(json, def->name, relation, def->type, def->metric, params, def->properties, def->json_path, false);
	JsonEnd(json, ']');
	CollectionSetFieldLabel(collection, def->field, "indexes", json->data);
}

static void
type_name_and_schema(Oid typid, char **name, Oid *schema)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(typid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", typid);
	*name = pstrdup(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
	*schema = typid == BITOID ? MilvusTypeNamespace() : ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
}

/*
 * The operator class of a vector's type for a metric, qualified; it lies where its type does.
 */
static char *
operator_class(const CollectionField *field, MilvusMetric metric)
{
	static const struct
	{
		MilvusMetric metric;
		const char *name;
	}			names[] = {
		{METRIC_L2, "l2"}, {METRIC_IP, "ip"}, {METRIC_COSINE, "cosine"},
		{METRIC_HAMMING, "hamming"}, {METRIC_JACCARD, "jaccard"}, {METRIC_MHJACCARD, "mhjaccard"}
	};
	char	   *type;
	Oid			schema;

	type_name_and_schema(field->typid, &type, &schema);

	for (int i = 0; i < (int) lengthof(names); i++)
		if (names[i].metric == metric)
			return QualifiedName(schema, psprintf("%s_%s_ops", type, names[i].name));
	ereport(ERROR,
			(errmilvus(MILVUS_INDEX_UNSUPPORTED),
			 errmsg("metric type %s is not supported by indexes yet", MilvusMetricName(metric))));
}

/*
 * The metric where none was named; ERROR for one that the type does not have.
 */
static MilvusMetric
check_metric(const CollectionField *field, MilvusMetric metric)
{
	MilvusType	type = field->type;
	bool		valid;

	if (metric == METRIC_NONE)
		return type == MILVUS_BINARY_VECTOR ? METRIC_HAMMING : type == MILVUS_SPARSE_VECTOR ? METRIC_IP :
			type == MILVUS_ARRAY_OF_VECTOR ? METRIC_MAX_SIM_COSINE : METRIC_COSINE;
	if (type == MILVUS_BINARY_VECTOR)
		valid = metric >= METRIC_HAMMING && metric <= METRIC_SUPERSTRUCTURE;
	else if (type == MILVUS_SPARSE_VECTOR)
		valid = metric == METRIC_IP || metric == METRIC_BM25;
	else if (type == MILVUS_ARRAY_OF_VECTOR)
		valid = metric >= METRIC_MAX_SIM || metric <= METRIC_MHJACCARD;
	else
		valid = metric <= METRIC_COSINE;
	if (!valid)
		MilvusInvalidParameter(type == MILVUS_BINARY_VECTOR ? "binary vector index does not support metric type: %s" :
							   type == MILVUS_SPARSE_VECTOR ? "only IP&BM25 is the supported metric type for sparse index, but got %s" :
							   "float vector index does not support metric type: %s", MilvusMetricName(metric));
	return metric;
}

static void
unsupported_type(const IndexDef *def)
{
	MilvusInvalidParameter("data type %s can't build with this index %s", MilvusTypeName(def->field->type), def->type);
}

/*
 * May a value be too large for a page of a btree, or for the scalar columns of ann?
 */
static bool
is_long(const CollectionField *field)
{
	return MilvusTypeIsString(field->type) && (field->max_length == 0 || field->max_length > MAX_BTREE_BYTES);
}

/*
 * The column that conditions on partitions use: the key itself, or $partition; NULL: neither.
 */
static const char *
partition_column(const Collection *collection)
{
	if (collection->partition_key != NULL && !is_long(collection->partition_key))
		return collection->partition_key->column;
	return collection->partition_attnum != 0 ? COLLECTION_PARTITION_COLUMN : NULL;
}

static void
create_vector_index(const Collection *collection, IndexDef *def)
{
	const CollectionField *field = def->field;
	const char *partition = partition_column(collection);
	char	   *options;
	char	   *name;
	int			i;

	for (i = 0; i < (int) lengthof(vector_types); i++)
		if (strcmp(vector_types[i].milvus, def->type) == 0)
			break;
	if (i == (int) lengthof(vector_types))
	{
		if (word_in(def->type, "DISKANN AISAQ FAISS"))
			ereport(ERROR,
					(errmilvus(MILVUS_INDEX_UNSUPPORTED),
					 errmsg("index type %s is not supported yet", def->type),
					 errhint("HNSW_SQ and IVF_RABITQ are small indexes.")));
		for (int j = 0; j < (int) lengthof(scalar_types); j++)
			if (strcmp(scalar_types[j], def->type) == 0)
				unsupported_type(def);
		MilvusInvalidValue("valid index", psprintf("invalid index type: %s", def->type), "invalid index type: %s", def->type);
	}
	if (!(field->type == MILVUS_SPARSE_VECTOR ? vector_types[i].sparse :
		  field->type == MILVUS_BINARY_VECTOR ? vector_types[i].binary : vector_types[i].dense))
		unsupported_type(def);
	def->metric = check_metric(field, def->metric);
	options = ann_options(def, vector_types[i].params);
	if (field->type == MILVUS_SPARSE_VECTOR || field->type == MILVUS_ARRAY_OF_VECTOR)
	{
		add_entry(collection, def, NULL);
		return;
	}
	if (def->metric == METRIC_MHJACCARD && strcmp(def->type, "MINHASH_LSH") != 0 && strcmp(def->type, "BIN_FLAT") != 0)
		unsupported_type(def);
	name = index_relation_name(collection, field->column);
	MilvusExecute("CREATE INDEX %s ON %s USING ann (%s %s%s%s) WITH (index_type = %s%s)",
				  quote_identifier(name), collection->relation, quote_identifier(field->column),
				  operator_class(field, def->metric),
				  partition != NULL ? ", " : "", partition != NULL ? quote_identifier(partition) : "",
				  quote_literal_cstr(vector_types[i].ann), options);
	add_entry(collection, def, name);
}

/*
 * The value at a JSON path as filters write it, so that an index over it serves them.
 */
static char *
json_path_expression(const Collection *collection, const CollectionField *field, const char *path)
{
	FilterField json = {
		.name = field->name,
		.column = field->column,
		.attnum = field->attnum,
		.type = FILTER_JSON,
		.nullable = field->nullable,
		.is_dynamic = field->is_dynamic
	};
	FilterSchema schema = {.nfields = 1,.fields = &json,.enable_dynamic_field = field->is_dynamic};
	FilterOptions options;
	FilterType	type;

	FilterOptionsInit(&options);
	options.alias = get_rel_name(collection->relid);
	return FilterPathSQL(&schema, path, &options, &type);
}

/*
 * The same as text, which is what patterns are matched with: the last -> or #> gets another >.
 */
static char *
json_path_text(const char *expression)
{
	static const char *const operators[] = {"pg_catalog.->)", "pg_catalog.#>)"};
	const char *last = NULL;
	bool		quoted = false;

	for (const char *p = expression; *p != '\0'; p++)
	{
		if (*p == '\'')
			quoted = !quoted;
		for (int i = 0; i < 2 && !quoted; i++)
			if (strncmp(p, operators[i], strlen(operators[i])) == 0)
				last = p + strlen(operators[i]) - 1;
	}
	if (last == NULL)
		return psprintf("(%s OPERATOR(pg_catalog.#>>) '{}'::pg_catalog.text[])", expression);
	return psprintf("%.*s>%s", (int) (last - expression), expression, last);
}

/*
 * PostgreSQL's index for a scalar field: method, and what is indexed.
 */
static char *
scalar_index(const Collection *collection, const IndexDef *def, const char **method)
{
	const CollectionField *field = def->field;
	MilvusType	type = field->type;
	const char *column = quote_identifier(field->column);
	bool		is_auto = word_in(def->type, "AUTOINDEX HYBRID");

	*method = "btree";
	if (strcmp(def->type, "NGRAM") == 0)
	{
		Oid			extension = get_extension_oid("pg_trgm", true);

		if (type != MILVUS_VARCHAR && type != MILVUS_JSON)
			MilvusInvalidParameter("Ngram index can only be created on VARCHAR or JSON field");
		if (JsonGetText(&def->params->root, "min_gram", NULL) == NULL || JsonGetText(&def->params->root, "max_gram", NULL) == NULL)
			MilvusInvalidParameter("Ngram index must specify both min_gram and max_gram");
		if (JsonGetInt(&def->params->root, "min_gram", 0) < 1 ||
			JsonGetInt(&def->params->root, "max_gram", 0) < JsonGetInt(&def->params->root, "min_gram", 0))
			MilvusInvalidParameter("invalid min_gram or max_gram value for Ngram index");
		if (!OidIsValid(extension))
			ereport(ERROR,
					(errmilvus(MILVUS_INVALID_PARAMETER),
					 errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("index type NGRAM needs the extension pg_trgm: invalid parameter"),
					 errhint("Run CREATE EXTENSION pg_trgm in this database.")));
		*method = "gin";
		if (type == MILVUS_JSON && def->json_path == NULL)
			MilvusInvalidParameter("JSON field with ngram index must specify json path");
		return psprintf("%s %s", type == MILVUS_JSON ?
						psprintf("(%s)", json_path_text(json_path_expression(collection, field, def->json_path))) : column,
						QualifiedName(MilvusExtensionNamespace(extension), "gin_trgm_ops"));
	}
	if (type == MILVUS_JSON)
	{
		if (!is_auto && strcmp(def->type, "INVERTED") != 0)
			unsupported_type(def);
		if (def->json_path == NULL)
		{
			*method = "gin";
			return psprintf("%s pg_catalog.jsonb_path_ops", column);
		}
		if (def->json_cast_type != NULL &&
			!word_in(upper_text(def->json_cast_type), "BOOL DOUBLE VARCHAR ARRAY_BOOL ARRAY_DOUBLE ARRAY_VARCHAR JSON"))
			MilvusInvalidParameter("json_cast_type %s is not supported", def->json_cast_type);
		if (def->json_cast_type != NULL &&
			(strncmp(upper_text(def->json_cast_type), "ARRAY", 5) == 0 || pg_strcasecmp(def->json_cast_type, "JSON") == 0))
		{
			*method = "gin";
			return psprintf("(%s) pg_catalog.jsonb_path_ops", json_path_expression(collection, field, def->json_path));
		}
		return psprintf("(%s)", json_path_expression(collection, field, def->json_path));
	}
	if (type == MILVUS_GEOMETRY)
	{
		if (!is_auto && strcmp(def->type, "RTREE") != 0)
			unsupported_type(def);
		*method = "gist";
		return pstrdup(column);
	}
	if (strcmp(def->type, "RTREE") == 0)
		unsupported_type(def);
	if (type == MILVUS_ARRAY)
	{
		if (!is_auto && !word_in(def->type, "INVERTED BITMAP"))
			unsupported_type(def);
		*method = "gin";
		return pstrdup(column);
	}
	if (strcmp(def->type, "TRIE") == 0 && type != MILVUS_VARCHAR)
		MilvusInvalidParameter("TRIE are only supported on varchar field");
	if (strcmp(def->type, "STL_SORT") == 0 && (type == MILVUS_BOOL || type == MILVUS_TEXT))
		MilvusInvalidParameter("STL_SORT are only supported on numeric, varchar or timestamptz field");
	if (is_long(field))
		*method = "hash";
	if (strcmp(def->type, "BITMAP") == 0)
	{
		if (field->is_primary)
			MilvusInvalidParameter("create bitmap index on primary key not supported");
		if (type != MILVUS_BOOL && !MilvusTypeIsInteger(type) && type != MILVUS_VARCHAR)
			MilvusInvalidParameter("bitmap index are only supported on bool, int, string");
	}
	return pstrdup(column);
}

static void
create_scalar_index(const Collection *collection, IndexDef *def)
{
	bool		known = false;
	const char *method;
	char	   *elements;
	char	   *name;

	for (int i = 0; i < (int) lengthof(scalar_types); i++)
		known |= strcmp(scalar_types[i], def->type) == 0;
	if (!known)
	{
		for (int i = 0; i < (int) lengthof(vector_types); i++)
			if (strcmp(vector_types[i].milvus, def->type) == 0)
				unsupported_type(def);
		MilvusInvalidValue("valid index", psprintf("invalid index type: %s", def->type), "invalid index type: %s", def->type);
	}
	def->metric = METRIC_NONE;
	if (def->json_path != NULL && def->field->type != MILVUS_JSON)
		MilvusInvalidParameter("json_path is only for fields of type JSON");
	elements = scalar_index(collection, def, &method);
	name = index_relation_name(collection, def->field->column);
	MilvusExecute("CREATE INDEX %s ON %s USING %s (%s)", quote_identifier(name), collection->relation, method, elements);
	add_entry(collection, def, name);
}

/*
 * What there is already on the field: true when it is the same.
 */
static bool
check_existing(const Collection *collection, const IndexDef *def)
{
	Relation	rel = table_open(collection->relid, NoLock);
	List	   *entries = CollectionIndexes(collection, rel);
	ListCell   *cell;

	table_close(rel, NoLock);
	foreach(cell, entries)
	{
		IndexEntry *entry = lfirst(cell);
		bool		same_field = entry->field->attnum == def->field->attnum;
		bool		same_name = strcmp(entry->name, def->name) == 0;
		bool		same_path = entry->json_path == NULL || def->json_path == NULL ? entry->json_path == def->json_path :
		strcmp(entry->json_path, def->json_path) == 0;
		Jsonb	   *params = def->json_path == NULL ? def->params :
		JsonWithText(JsonWithText(def->params, "json_path", def->json_path),
					 "json_cast_type", def->json_cast_type != NULL ? upper_text(def->json_cast_type) : "JSON");

		if (same_field && same_name && same_path && strcmp(entry->index_type, def->type) == 0 &&
			(!MilvusTypeIsVector(def->field->type) || entry->metric == check_metric(def->field, def->metric)) &&
			compareJsonbContainers(&entry->params->root, &params->root) == 0)
			return true;
		if (same_field && same_path)
			MilvusInvalidParameter("CreateIndex failed: at most one distinct index is allowed per field");
		if (same_name)
			ereport(ERROR,
					(errmilvus(MILVUS_INDEX_DUPLICATE),
					 errmsg("CreateIndex failed: index name is used by another field: index duplicates[indexName=%s]", def->name)));
	}
	return false;
}

static void
create_one(Oid relid, JsonbContainer *object)
{
	const Collection *collection = CollectionByRelid(relid);
	IndexDef   *def = read_index(collection, object);

	if (strlen(def->name) > (size_t) milvus_settings.max_name_length)
		MilvusInvalidParameter("Invalid index name: %s. The length of a index name must be less than %d characters.",
							   def->name, milvus_settings.max_name_length);
	if (check_existing(collection, def))
		return;
	if (MilvusTypeIsVector(def->field->type))
		create_vector_index(collection, def);
	else
		create_scalar_index(collection, def);
}

void
IndexCreateAll(const Collection *collection, JsonbContainer *params)
{
	ListCell   *cell;
	Oid			relid = collection->relid;

	if (JsonContainerIsObject(params))
		create_one(relid, params);
	else if (!JsonContainerIsArray(params) || JsonContainerIsScalar(params))
		MilvusInvalidParameter("index_params should be an object or an array of objects");
	else
		foreach(cell, JsonElements(params))
			create_one(relid, JsonToObject(lfirst(cell)));
}

void
IndexCreateAuto(const Collection *collection, const char *field, const char *metric)
{
	StringInfoData json;

	initStringInfo(&json);
	JsonBegin(&json, NULL, '{');
	JsonAddText(&json, "field_name", field);
	JsonAddText(&json, "metric_type", metric);
	JsonEnd(&json, '}');
	create_one(collection->relid, &JsonFromText(json.data)->root);
}

static List *
open_indexes(const Collection *collection)
{
	Relation	rel = table_open(collection->relid, AccessShareLock);
	List	   *entries = CollectionIndexes(collection, rel);

	table_close(rel, NoLock);
	return entries;
}

void
IndexRenamed(const Collection *collection, const char *old, const char *new)
{
	for (int i = 0; i < collection->nfields; i++)
	{
		Jsonb	   *label = LabelRead(collection->relid, collection->fields[i].attnum);
		StringInfoData json;
		JsonbValue	value;
		ListCell   *cell;
		bool		found = false;

		if (label == NULL || !JsonGet(&label->root, "indexes", &value))
			continue;
		initStringInfo(&json);
		JsonBegin(&json, NULL, '[');
		foreach(cell, JsonElements(JsonToArray(&value)))
		{
			char	   *entry = JsonText(lfirst(cell));

			if (JsonToObject(lfirst(cell)) != NULL &&
				strcmp(JsonGetText(JsonToObject(lfirst(cell)), "relation", ""), old) == 0)
			{
				found = true;
				entry = JsonToText(JsonWithText(JsonFromText(entry), "relation", new));
			}
			JsonAddRaw(&json, NULL, entry);
		}
		JsonEnd(&json, ']');
		if (found)
			CollectionSetFieldLabel(collection, &collection->fields[i], "indexes", json.data);
	}
}

/*
 * A text field may have longer values from now on: its btree, if it has one, becomes a hash
 * index where they would not fit.
 */
void
IndexFitLength(const Collection *collection, const CollectionField *field, int64 length)
{
	ListCell   *cell;

	if (length <= MAX_BTREE_BYTES || is_long(field))
		return;
	if (field->is_partition_key)
		MilvusInvalidParameter("max_length of partition key field %s cannot be raised over %d", field->name, MAX_BTREE_BYTES);
	foreach(cell, open_indexes(collection))
	{
		IndexEntry *entry = lfirst(cell);
		Relation	index;
		bool		is_btree;
		char	   *name;

		if (entry->field->attnum != field->attnum || !OidIsValid(entry->relid))
			continue;
		index = index_open(entry->relid, AccessShareLock);
		is_btree = index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indnatts == 1 && !index->rd_index->indisunique;
		index_close(index, NoLock);
		if (!is_btree)
			continue;
		name = get_rel_name(entry->relid);
		MilvusExecute("DROP INDEX %s", QualifiedName(collection->namespace_oid, name));
		MilvusExecute("CREATE INDEX %s ON %s USING hash (%s)", quote_identifier(name), collection->relation,
					  quote_identifier(field->column));
	}
}

void
IndexAfterCreate(const Collection *collection)
{
	const CollectionField *key = collection->partition_key;
	StringInfo	json;
	char	   *name;

	if (key == NULL)
		return;
	name = index_relation_name(collection, key->column);
	MilvusExecute("CREATE INDEX %s ON %s USING %s (%s)", quote_identifier(name), collection->relation,
				  is_long(key) ? "hash" : "btree", quote_identifier(key->column));
	json = begin_entries(collection, key, "");
	append_entry(json, "", name, "STL_SORT", METRIC_NONE, NULL, NULL, NULL, true);
	JsonEnd(json, ']');
	CollectionSetFieldLabel(collection, key, "indexes", json->data);
}

/* milvus.create_index(collection_name, index_params, db_name) returns void */
Datum
milvus_create_index(PG_FUNCTION_ARGS)
{
	const Collection *collection;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errmilvus(MILVUS_MISSING_PARAMETER),
				 errmsg("missing required argument: collection_name and index_params")));
	collection = CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), ShareUpdateExclusiveLock);
	IndexCreateAll(collection, &PG_GETARG_JSONB_P(1)->root);
	PG_RETURN_VOID();
}

/* ---- looking at them ---- */

static void
index_not_found(const Collection *collection, const char *name)
{
	if (name == NULL)
		ereport(ERROR,
				(errmilvus(MILVUS_INDEX_NOT_FOUND),
				 errmsg("index not found[collection=%s]", collection->name)));
	ereport(ERROR,
			(errmilvus(MILVUS_INDEX_NOT_FOUND),
			 errmsg("index not found[indexName=%s][collection=%s]", name, collection->name)));
}

static IndexEntry *
find_entry(const Collection *collection, const char *name)
{
	ListCell   *cell;

	foreach(cell, open_indexes(collection))
		if (strcmp(((IndexEntry *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}

/*
 * Rows that an index has: of ann its own count, else the planner's estimate of the table.
 */
static int64
indexed_rows(const Collection *collection, const IndexEntry *entry)
{
	int64		rows = 0;

	if (OidIsValid(entry->relid) && entry->metric != METRIC_NONE)
	{
		Relation	index = index_open(entry->relid, AccessShareLock);
		AnnMeta		meta;
		AnnManifest *manifest = AnnReadManifestLatest(index, &meta);

		for (int i = 0; i < manifest->nsegments; i++)
			rows += (int64) AnnSegmentEntryRows(&manifest->segments[i]) - (int64) AnnCountMarks(index, &manifest->segments[i]);
		rows += (int64) AnnGrowingRows(index, &meta);
		index_close(index, AccessShareLock);
	}
	else
	{
		Relation	rel = table_open(collection->relid, AccessShareLock);

		rows = rel->rd_rel->reltuples > 0 ? (int64) rel->rd_rel->reltuples : 0;
		table_close(rel, AccessShareLock);
	}
	return rows;
}

/*
 * A row for each index, or that of a name; how many.
 */
static int
put_indexes(FunctionCallInfo fcinfo, const Collection *collection, const char *name)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;
	int			found = 0;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, open_indexes(collection))
	{
		IndexEntry *entry = lfirst(cell);
		Datum		values[10];
		bool		nulls[10] = {0};
		int64		rows;

		if (name != NULL && strcmp(entry->name, name) != 0)
			continue;
		found++;
		rows = indexed_rows(collection, entry);
		values[0] = CStringGetTextDatum(entry->name);
		values[1] = CStringGetTextDatum(entry->field->name);
		values[2] = CStringGetTextDatum(entry->index_type);
		values[3] = CStringGetTextDatum(MilvusMetricName(entry->metric));
		nulls[3] = entry->metric == METRIC_NONE;
		values[4] = JsonbPGetDatum(JsonMergeTexts(entry->params, &entry->properties->root));
		values[5] = CStringGetTextDatum(entry->is_valid ? "Finished" : entry->is_ready ? "InProgress" : "Failed");
		values[6] = Int64GetDatum(rows);
		values[7] = Int64GetDatum(entry->is_valid ? rows : 0);
		values[8] = Int64GetDatum(entry->is_valid ? 0 : rows);
		values[9] = ObjectIdGetDatum(entry->relid);
		nulls[9] = !OidIsValid(entry->relid);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return found;
}

/* A collection that may be asked about, of the arguments of these numbers. */
static const Collection *
open_for_reading(FunctionCallInfo fcinfo, int name, int database)
{
	if (PG_ARGISNULL(name))
		MilvusInvalidParameter("collection name should not be empty");
	return CollectionOpen(TEXT_ARG(database), TEXT_ARG(name), AccessShareLock, false);
}

/* milvus.describe_index(collection_name, index_name, db_name) */
Datum
milvus_describe_index(PG_FUNCTION_ARGS)
{
	const Collection *collection = open_for_reading(fcinfo, 0, 2);
	char	   *name = TEXT_ARG(1);

	if (name != NULL && *name == '\0')
		name = NULL;
	if (put_indexes(fcinfo, collection, name) == 0)
		index_not_found(collection, name);
	return (Datum) 0;
}

/* milvus.collection_indexes(collection_name, db_name) */
Datum
milvus_collection_indexes(PG_FUNCTION_ARGS)
{
	(void) put_indexes(fcinfo, open_for_reading(fcinfo, 0, 1), NULL);
	return (Datum) 0;
}

/* milvus.list_indexes(collection_name, field_name, db_name) returns setof text */
Datum
milvus_list_indexes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *field_name = TEXT_ARG(1);
	const Collection *collection = open_for_reading(fcinfo, 0, 2);
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(cell, open_indexes(collection))
	{
		IndexEntry *entry = lfirst(cell);
		Datum		value = CStringGetTextDatum(entry->name);
		bool		isnull = false;

		if (field_name == NULL || *field_name == '\0' || strcmp(field_name, entry->field->name) == 0)
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

/* ---- drop, alter ---- */

/* milvus.drop_index(collection_name, index_name, db_name) returns void */
Datum
milvus_drop_index(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	IndexEntry *entry;
	StringInfo	json;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		MilvusInvalidParameter("collection name and index name should not be empty");
	collection = CollectionOpenOwned(TEXT_ARG(2), TEXT_ARG(0), ShareUpdateExclusiveLock);
	entry = find_entry(collection, TEXT_ARG(1));
	if (entry == NULL)
		PG_RETURN_VOID();
	if (MilvusTypeIsVector(entry->field->type) && collection->loaded)
		MilvusInvalidParameter("vector index cannot be dropped on loaded collection: %s", collection->name);
	if (OidIsValid(entry->relid))
		MilvusExecute("DROP INDEX %s", QualifiedName(collection->namespace_oid, get_rel_name(entry->relid)));
	json = begin_entries(collection, entry->field, entry->name);
	JsonEnd(json, ']');
	CollectionSetFieldLabel(collection, entry->field, "indexes", strcmp(json->data, "[]") == 0 ? NULL : json->data);
	PG_RETURN_VOID();
}

static void
set_properties(const Collection *collection, IndexEntry *entry, Jsonb *properties)
{
	StringInfo	json = begin_entries(collection, entry->field, entry->name);

	append_entry(json, entry->name, OidIsValid(entry->relid) ? get_rel_name(entry->relid) : NULL, entry->index_type,
				 entry->metric, entry->params, properties, entry->json_path, false);
	JsonEnd(json, ']');
	CollectionSetFieldLabel(collection, entry->field, "indexes", json->data);
}

static IndexEntry *
open_for_properties(FunctionCallInfo fcinfo, const Collection **collection)
{
	IndexEntry *entry;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		MilvusInvalidParameter("collection name, index name and properties should not be empty");
	*collection = CollectionOpenOwned(TEXT_ARG(3), TEXT_ARG(0), ShareUpdateExclusiveLock);
	entry = find_entry(*collection, TEXT_ARG(1));
	if (entry == NULL)
		index_not_found(*collection, TEXT_ARG(1));
	if ((*collection)->loaded)
		MilvusInvalidParameter("can't alter index on loaded collection, please release the collection first");
	return entry;
}

static void
check_property(const char *key)
{
	if (strcmp(key, "mmap.enabled") != 0 && strcmp(key, "warmup") != 0)
		MilvusInvalidParameter("%s is not a configable index property", key);
}

/* milvus.alter_index_properties(collection_name, index_name, properties, db_name) returns void */
Datum
milvus_alter_index_properties(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	IndexEntry *entry = open_for_properties(fcinfo, &collection);
	Jsonb	   *properties = PG_GETARG_JSONB_P(2);
	ListCell   *cell;

	foreach(cell, JsonKeys(JsonRequireObject(properties, "properties")))
	{
		JsonbValue	value;
		bool		enabled;

		check_property(lfirst(cell));
		if (strcmp(lfirst(cell), "mmap.enabled") == 0 &&
			(!JsonGet(&properties->root, lfirst(cell), &value) || !JsonToBool(&value, &enabled)))
			MilvusInvalidParameter("invalid mmap.enabled value: %s, expected: true, false",
								   JsonGetText(&properties->root, lfirst(cell), ""));
	}
	set_properties(collection, entry, JsonMergeTexts(entry->properties, &properties->root));
	PG_RETURN_VOID();
}

/* milvus.drop_index_properties(collection_name, index_name, property_keys, db_name) returns void */
Datum
milvus_drop_index_properties(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	IndexEntry *entry = open_for_properties(fcinfo, &collection);
	Jsonb	   *properties = entry->properties;
	ListCell   *cell;

	foreach(cell, TextArrayToList(PG_GETARG_ARRAYTYPE_P(2)))
	{
		check_property(lfirst(cell));
		properties = JsonWith(properties, lfirst(cell), NULL);
	}
	set_properties(collection, entry, properties);
	PG_RETURN_VOID();
}
