/*
 * annoptions.c
 *		Options of CREATE INDEX ... USING ann, operator classes, and what follows
 *		from both: build parameters and the class of a value.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "am/ann/ann.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "guc.h"
#include "kernels/kernels.h"
#include "utils/rel.h"

static relopt_kind ann_relopt_kind;

static relopt_enum_elt_def index_type_values[] = {
	{"HNSW", ANN_HNSW},
	{"IVF_FLAT", ANN_IVF_FLAT},
	{"FLAT", ANN_FLAT},
	{NULL, 0}
};

void
AnnDefineOptions(void)
{
	ann_relopt_kind = add_reloption_kind();
	add_enum_reloption(ann_relopt_kind, "index_type",
					   "Type of the index's segments",
					   index_type_values, ANN_HNSW,
					   "Valid values are \"HNSW\", \"IVF_FLAT\" and \"FLAT\".",
					   ShareUpdateExclusiveLock);
	add_int_reloption(ann_relopt_kind, "m",
					  "Links a node has in an HNSW graph",
					  ANN_DEFAULT_M, ANN_MIN_M, ANN_MAX_M, ShareUpdateExclusiveLock);
	add_int_reloption(ann_relopt_kind, "ef_construction",
					  "Length of the candidate list while an HNSW graph is built",
					  ANN_DEFAULT_EF_CONSTRUCTION, ANN_MIN_EF_CONSTRUCTION,
					  ANN_MAX_EF_CONSTRUCTION, ShareUpdateExclusiveLock);
	add_int_reloption(ann_relopt_kind, "nlist",
					  "Number of lists of an IVF index",
					  ANN_DEFAULT_NLIST, ANN_MIN_NLIST, ANN_MAX_NLIST, ShareUpdateExclusiveLock);
	add_int_reloption(ann_relopt_kind, "segment_rows",
					  "Most rows that one segment holds",
					  ANN_DEFAULT_SEGMENT_ROWS, ANN_MIN_SEGMENT_ROWS,
					  ANN_MAX_SEGMENT_ROWS, ShareUpdateExclusiveLock);
}

bytea *
AnnParseOptions(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"index_type", RELOPT_TYPE_ENUM, offsetof(AnnOptions, index_type)},
		{"m", RELOPT_TYPE_INT, offsetof(AnnOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(AnnOptions, ef_construction)},
		{"nlist", RELOPT_TYPE_INT, offsetof(AnnOptions, nlist)},
		{"segment_rows", RELOPT_TYPE_INT, offsetof(AnnOptions, segment_rows)}
	};

	return (bytea *) build_reloptions(reloptions, validate, ann_relopt_kind,
									  sizeof(AnnOptions), table, lengthof(table));
}

/*
 * Support functions of the operator classes.  They take and return `internal`
 * and hand out a constant.
 */
#define ANN_OPCLASS(name, metric, elem) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		static const AnnOpclass opclass = {metric, elem}; \
		PG_RETURN_POINTER(&opclass); \
	} \
	extern int	ann_opclass_end_##name

ANN_OPCLASS(ann_support_f32_l2, ANN_L2, ANN_F32);
ANN_OPCLASS(ann_support_f32_ip, ANN_IP, ANN_F32);
ANN_OPCLASS(ann_support_f32_cosine, ANN_COSINE, ANN_F32);
ANN_OPCLASS(ann_support_f32_l1, ANN_L1, ANN_F32);
ANN_OPCLASS(ann_support_f16_l2, ANN_L2, ANN_F16);
ANN_OPCLASS(ann_support_f16_ip, ANN_IP, ANN_F16);
ANN_OPCLASS(ann_support_f16_cosine, ANN_COSINE, ANN_F16);
ANN_OPCLASS(ann_support_f16_l1, ANN_L1, ANN_F16);

const AnnOpclass *
AnnGetOpclass(Relation index)
{
	FmgrInfo   *support = index_getprocinfo(index, 1, ANN_SUPPORT_TYPE);

	return (const AnnOpclass *)
		DatumGetPointer(FunctionCall1Coll(support, InvalidOid, PointerGetDatum(NULL)));
}

void
AnnGetParams(Relation index, AnnParams *params)
{
	const AnnOpclass *opclass = AnnGetOpclass(index);
	const AnnOptions *options = (const AnnOptions *) index->rd_options;
	int32		typmod = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;

	if (typmod < 1 || typmod > ANN_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("index column of \"%s\" has no dimension", RelationGetRelationName(index)),
				 errhint("Declare the column with one, for example vector(384), "
						 "or index an expression such as ((embedding::vector(384))).")));
	memset(params, 0, sizeof(*params));
	params->type = options ? (AnnType) options->index_type : ANN_HNSW;
	params->metric = opclass->metric;
	params->elem = opclass->elem;
	params->dim = typmod;
	params->m = options ? options->m : ANN_DEFAULT_M;
	params->ef_construction = options ? options->ef_construction : ANN_DEFAULT_EF_CONSTRUCTION;
	params->nlist = options ? options->nlist : ANN_DEFAULT_NLIST;
	params->seed = 42;
}

uint32
AnnSegmentRows(Relation index)
{
	const AnnOptions *options = (const AnnOptions *) index->rd_options;

	return options ? options->segment_rows : ANN_DEFAULT_SEGMENT_ROWS;
}

uint32
AnnGrowingLimit(const AnnParams *params)
{
	/* codes of this many bytes are scanned in about a tenth of a millisecond */
	const uint32 code_bytes = 4 * 1024 * 1024;

	if (milvus_settings.growing_rows > 0)
		return milvus_settings.growing_rows;
	return Max(1000, Min(32768, code_bytes / params->dim));
}

/*
 * Whether all elements are zero; of either element type the bits but for the
 * sign must be zero.
 */
static bool
is_zero(const AnnParams *params, const void *data)
{
	if (params->elem == ANN_F16)
	{
		const uint16 *x = data;

		for (uint32 i = 0; i < params->dim; i++)
			if ((x[i] & 0x7fff) != 0)
				return false;
	}
	else
	{
		const float *x = data;

		for (uint32 i = 0; i < params->dim; i++)
			if (x[i] != 0)
				return false;
	}
	return true;
}

/*
 * A vector whose squared length underflows to zero has no direction either: the
 * operator's result is NaN for it.
 */
static bool
has_no_length(const AnnParams *params, const void *data)
{
	float		ab,
				aa,
				bb;

	if (params->elem == ANN_F16)
		return is_zero(params, data);
	kernels->cosine_f32(data, data, params->dim, &ab, &aa, &bb);
	return aa == 0;
}

AnnRowClass
AnnClassify(Relation index, const AnnParams *params, Datum value, bool isnull, const void **data)
{
	struct varlena *vector;
	uint16		dim;

	if (isnull)
		return ANN_ROW_NULL;
	vector = PG_DETOAST_DATUM(value);
	memcpy(&dim, (char *) vector + 4, sizeof(dim));
	if (dim != params->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different vector dimensions %u and %u", dim, params->dim),
				 errdetail("Index \"%s\" holds vectors of %u dimensions.",
						   RelationGetRelationName(index), params->dim)));
	*data = (char *) vector + 8;
	if (params->metric == ANN_COSINE && has_no_length(params, *data))
		return ANN_ROW_ZERO;
	return ANN_ROW_VECTOR;
}
