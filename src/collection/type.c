/*
 * type.c
 *		Milvus's types, metrics and consistency levels by name and number, and the types of
 *		columns that stand for them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "collection/collection_internal.h"
#include "commands/extension.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* ---- names ---- */

static const struct
{
	MilvusType	type;
	const char *name;
	const char *other;			/* an older or longer name */
}			type_names[] = {
	{MILVUS_BOOL, "Bool", "Boolean"},
	{MILVUS_INT8, "Int8", NULL},
	{MILVUS_INT16, "Int16", NULL},
	{MILVUS_INT32, "Int32", "Int"},
	{MILVUS_INT64, "Int64", NULL},
	{MILVUS_FLOAT, "Float", NULL},
	{MILVUS_DOUBLE, "Double", NULL},
	{MILVUS_VARCHAR, "VarChar", "Var_Char"},
	{MILVUS_ARRAY, "Array", NULL},
	{MILVUS_JSON, "JSON", NULL},
	{MILVUS_GEOMETRY, "Geometry", NULL},
	{MILVUS_TEXT, "Text", NULL},
	{MILVUS_TIMESTAMPTZ, "Timestamptz", NULL},
	{MILVUS_BINARY_VECTOR, "BinaryVector", "Binary_Vector"},
	{MILVUS_FLOAT_VECTOR, "FloatVector", "Float_Vector"},
	{MILVUS_FLOAT16_VECTOR, "Float16Vector", "Float16_Vector"},
	{MILVUS_BFLOAT16_VECTOR, "BFloat16Vector", "BFloat16_Vector"},
	{MILVUS_SPARSE_VECTOR, "SparseFloatVector", "Sparse_Float_Vector"},
	{MILVUS_INT8_VECTOR, "Int8Vector", "Int8_Vector"},
	{MILVUS_ARRAY_OF_VECTOR, "ArrayOfVector", "_Array_Of_Vector"},
	{MILVUS_ARRAY_OF_STRUCT, "ArrayOfStruct", "_Array_Of_Struct"},
	{MILVUS_STRUCT, "Struct", NULL},
};

const char *
MilvusTypeName(MilvusType type)
{
	for (int i = 0; i < (int) lengthof(type_names); i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return "None";
}

MilvusType
MilvusTypeByName(const char *name)
{
	for (int i = 0; i < (int) lengthof(type_names); i++)
		if (pg_strcasecmp(type_names[i].name, name) == 0 ||
			(type_names[i].other != NULL && pg_strcasecmp(type_names[i].other, name) == 0) ||
			(isdigit((unsigned char) *name) && strcmp(psprintf("%d", type_names[i].type), name) == 0))
			return type_names[i].type;
	return MILVUS_NONE;
}

static const struct
{
	MilvusMetric metric;
	const char *name;
}			metric_names[] = {
	{METRIC_L2, "L2"},
	{METRIC_IP, "IP"},
	{METRIC_COSINE, "COSINE"},
	{METRIC_HAMMING, "HAMMING"},
	{METRIC_JACCARD, "JACCARD"},
	{METRIC_MHJACCARD, "MHJACCARD"},
	{METRIC_SUBSTRUCTURE, "SUBSTRUCTURE"},
	{METRIC_SUPERSTRUCTURE, "SUPERSTRUCTURE"},
	{METRIC_BM25, "BM25"},
	{METRIC_MAX_SIM, "MAX_SIM"},
	{METRIC_MAX_SIM_COSINE, "MAX_SIM_COSINE"},
	{METRIC_MAX_SIM_IP, "MAX_SIM_IP"},
	{METRIC_MAX_SIM_L2, "MAX_SIM_L2"},
	{METRIC_MAX_SIM_HAMMING, "MAX_SIM_HAMMING"},
	{METRIC_MAX_SIM_JACCARD, "MAX_SIM_JACCARD"},
};

const char *
MilvusMetricName(MilvusMetric metric)
{
	for (int i = 0; i < (int) lengthof(metric_names); i++)
		if (metric_names[i].metric == metric)
			return metric_names[i].name;
	return "";
}

MilvusMetric
MilvusMetricByName(const char *name)
{
	for (int i = 0; i < (int) lengthof(metric_names); i++)
		if (pg_strcasecmp(metric_names[i].name, name) == 0)
			return metric_names[i].metric;
	return METRIC_NONE;
}

bool
MilvusMetricIsSimilarity(MilvusMetric metric)
{
	switch (metric)
	{
		case METRIC_IP:
		case METRIC_COSINE:
		case METRIC_BM25:
		case METRIC_MAX_SIM:
		case METRIC_MAX_SIM_COSINE:
		case METRIC_MAX_SIM_IP:
			return true;
		default:
			return false;
	}
}

static const char *const consistency_names[] = {"Strong", "Session", "Bounded", "Eventually", "Customized"};

MilvusConsistency
MilvusConsistencyByName(const char *name)
{
	for (int i = 0; i < (int) lengthof(consistency_names); i++)
		if (pg_strcasecmp(consistency_names[i], name) == 0 || (name[0] == '0' + i && name[1] == '\0'))
			return i;
	MilvusInvalidParameter("invalid consistency level: %s", name);
}

const char *
MilvusConsistencyName(MilvusConsistency level)
{
	return consistency_names[level];
}

/* ---- types of columns ---- */

/* The server's own function for it is static in 15. */
Oid
MilvusExtensionNamespace(Oid extension)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		result = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

Oid
MilvusTypeNamespace(void)
{
	return MilvusExtensionNamespace(get_extension_oid("milvus", false));
}

static char *
our_type(const char *name)
{
	return QualifiedName(MilvusTypeNamespace(), name);
}

/*
 * PostGIS's geometry, wherever it is installed.
 */
static char *
geometry_type(void)
{
	Oid			extension = get_extension_oid("postgis", true);

	if (!OidIsValid(extension))
		ereport(ERROR,
				(errmilvus(MILVUS_INVALID_PARAMETER),
				 errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("data type Geometry needs the extension postgis: invalid parameter"),
				 errhint("Install PostGIS and run CREATE EXTENSION postgis in this database.")));
	return psprintf("%s(geometry, 4326)", QualifiedName(MilvusExtensionNamespace(extension), "geometry"));
}

char *
MilvusSqlType(MilvusType type, MilvusType element_type, int dim)
{
	switch (type)
	{
		case MILVUS_BOOL:
			return "pg_catalog.bool";
		case MILVUS_INT8:
		case MILVUS_INT16:
			return "pg_catalog.int2";
		case MILVUS_INT32:
			return "pg_catalog.int4";
		case MILVUS_INT64:
			return "pg_catalog.int8";
		case MILVUS_FLOAT:
			return "pg_catalog.float4";
		case MILVUS_DOUBLE:
			return "pg_catalog.float8";
		case MILVUS_VARCHAR:
		case MILVUS_TEXT:
			return "pg_catalog.text";
		case MILVUS_JSON:
			return "pg_catalog.jsonb";
		case MILVUS_TIMESTAMPTZ:
			return "pg_catalog.timestamptz";
		case MILVUS_GEOMETRY:
			return geometry_type();
		case MILVUS_BINARY_VECTOR:
			return psprintf("pg_catalog.bit(%d)", dim);
		case MILVUS_FLOAT_VECTOR:
			return psprintf("%s(%d)", our_type("vector"), dim);
		case MILVUS_FLOAT16_VECTOR:
			return psprintf("%s(%d)", our_type("halfvec"), dim);
		case MILVUS_BFLOAT16_VECTOR:
			return psprintf("%s(%d)", our_type("bfloat16vec"), dim);
		case MILVUS_INT8_VECTOR:
			return psprintf("%s(%d)", our_type("int8vec"), dim);
		case MILVUS_SPARSE_VECTOR:
			return our_type("sparsevec");
		case MILVUS_ARRAY:
		case MILVUS_ARRAY_OF_VECTOR:
			return psprintf("%s[]", MilvusSqlType(element_type, MILVUS_NONE, dim));
		default:
			MilvusInvalidParameter("data type %s is not supported", MilvusTypeName(type));
	}
}

/*
 * Of a type of an extension: ours, pgvector's, PostGIS's.
 */
static MilvusType
extension_type(Oid typid, int32 typmod, int *dim)
{
	static const struct
	{
		const char *extension;
		const char *name;
		MilvusType	type;
	}			types[] = {
		{"milvus", "vector", MILVUS_FLOAT_VECTOR},
		{"milvus", "halfvec", MILVUS_FLOAT16_VECTOR},
		{"milvus", "bfloat16vec", MILVUS_BFLOAT16_VECTOR},
		{"milvus", "int8vec", MILVUS_INT8_VECTOR},
		{"milvus", "sparsevec", MILVUS_SPARSE_VECTOR},
		{"vector", "vector", MILVUS_FLOAT_VECTOR},
		{"vector", "halfvec", MILVUS_FLOAT16_VECTOR},
		{"postgis", "geometry", MILVUS_GEOMETRY},
	};
	Oid			extension = getExtensionOfObject(TypeRelationId, typid);
	HeapTuple	tuple;
	MilvusType	result = MILVUS_NONE;

	if (!OidIsValid(extension))
		return MILVUS_NONE;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(typid));
	if (!HeapTupleIsValid(tuple))
		return MILVUS_NONE;
	for (int i = 0; i < (int) lengthof(types); i++)
		if (strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname), types[i].name) == 0 &&
			get_extension_oid(types[i].extension, true) == extension)
			result = types[i].type;
	ReleaseSysCache(tuple);
	/* a vector of any dimension is none of Milvus's */
	if (MilvusTypeIsVector(result) && result != MILVUS_SPARSE_VECTOR)
	{
		if (typmod < 1)
			return MILVUS_NONE;
		*dim = typmod;
	}
	return result;
}

MilvusType
MilvusTypeOfColumn(Oid typid, int32 typmod, int ndims, MilvusType *element_type, int *dim)
{
	Oid			element;

	*element_type = MILVUS_NONE;
	*dim = 0;
	switch (typid)
	{
		case BOOLOID:
			return MILVUS_BOOL;
		case INT2OID:
			return MILVUS_INT16;
		case INT4OID:
			return MILVUS_INT32;
		case INT8OID:
			return MILVUS_INT64;
		case FLOAT4OID:
			return MILVUS_FLOAT;
		case FLOAT8OID:
			return MILVUS_DOUBLE;
		case TEXTOID:
		case VARCHAROID:
			return MILVUS_VARCHAR;
		case JSONBOID:
			return MILVUS_JSON;
		case TIMESTAMPTZOID:
			return MILVUS_TIMESTAMPTZ;
		case BITOID:
			*dim = typmod;
			return typmod > 0 && typmod % 8 == 0 ? MILVUS_BINARY_VECTOR : MILVUS_NONE;
	}
	element = get_element_type(typid);
	if (OidIsValid(element))
	{
		MilvusType	none;
		MilvusType	type = MilvusTypeOfColumn(element, typmod, 0, &none, dim);

		*element_type = type;
		if (type >= MILVUS_BOOL && type <= MILVUS_VARCHAR)
			return MILVUS_ARRAY;
		if (MilvusTypeIsVector(type) && type != MILVUS_SPARSE_VECTOR)
			return MILVUS_ARRAY_OF_VECTOR;
		*element_type = MILVUS_NONE;
		return MILVUS_NONE;
	}
	return typid >= FirstNormalObjectId ? extension_type(typid, typmod, dim) : MILVUS_NONE;
}
