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
#include "index/sq8.h"
#include "kernels/kernels.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/varbit.h"

/* What the operator <%%> takes for an element of a MinHash signature. */
#define OPERATOR_ELEMENT_BITS 32

static relopt_kind ann_relopt_kind;

static relopt_enum_elt_def index_type_values[] = {
	{"AUTOINDEX", ANN_INDEX_AUTO},
	{"ANNOY", ANN_INDEX_ANNOY},
	{"FLAT", ANN_FLAT},
	{"IVF_FLAT", ANN_IVF_FLAT},
	{"IVF_SQ8", ANN_IVF_SQ8},
	{"IVF_PQ", ANN_IVF_PQ},
	{"IVF_RABITQ", ANN_IVF_RABITQ},
	{"SCANN", ANN_SCANN},
	{"HNSW", ANN_HNSW},
	{"HNSW_SQ", ANN_HNSW_SQ},
	{"HNSW_PQ", ANN_HNSW_PQ},
	{"HNSW_PRQ", ANN_HNSW_PRQ},
	{"BIN_FLAT", ANN_INDEX_BIN_FLAT},
	{"BIN_IVF_FLAT", ANN_INDEX_BIN_IVF_FLAT},
	{"MINHASH_LSH", ANN_MINHASH_LSH},
	{NULL, 0}
};

static relopt_enum_elt_def sq_type_values[] = {
	{"SQ4U", ANN_QUANT_SQ4},
	{"SQ6", ANN_QUANT_SQ6},
	{"SQ8", ANN_QUANT_SQ8},
	{"BF16", ANN_QUANT_BF16},
	{"FP16", ANN_QUANT_F16},
	{NULL, 0}
};

static relopt_enum_elt_def refine_type_values[] = {
	{"SQ6", ANN_QUANT_SQ6},
	{"SQ8", ANN_QUANT_SQ8},
	{"BF16", ANN_QUANT_BF16},
	{"FP16", ANN_QUANT_F16},
	{"FP32", ANN_QUANT_F32},
	{NULL, 0}
};

static relopt_enum_elt_def element_bits_values[] = {
	{"8", 8},
	{"16", 16},
	{"32", 32},
	{"64", 64},
	{NULL, 0}
};

/* Links and candidates that AUTOINDEX builds graphs with; docs/index-types.md has the figures behind them. */
#define AUTOINDEX_M 18
#define AUTOINDEX_EF_CONSTRUCTION 240

void
AnnDefineOptions(void)
{
	const LOCKMODE lock = ShareUpdateExclusiveLock;

	ann_relopt_kind = add_reloption_kind();
	add_enum_reloption(ann_relopt_kind, "index_type",
					   "Type of the index's segments",
					   index_type_values, ANN_INDEX_AUTO,
					   "Valid values are \"AUTOINDEX\", \"FLAT\", \"IVF_FLAT\", \"IVF_SQ8\", \"IVF_PQ\", "
					   "\"IVF_RABITQ\", \"SCANN\", \"HNSW\", \"HNSW_SQ\", \"HNSW_PQ\", \"HNSW_PRQ\", "
					   "and for bit strings \"BIN_FLAT\", \"BIN_IVF_FLAT\", \"HNSW\" and \"MINHASH_LSH\".",
					   lock);
	add_int_reloption(ann_relopt_kind, "m",
					  "Links a node has in an HNSW graph",
					  0, ANN_MIN_M, ANN_MAX_M, lock);
	add_int_reloption(ann_relopt_kind, "ef_construction",
					  "Length of the candidate list while an HNSW graph is built",
					  0, ANN_MIN_EF_CONSTRUCTION, ANN_MAX_EF_CONSTRUCTION, lock);
	add_int_reloption(ann_relopt_kind, "nlist",
					  "Number of lists of an IVF index",
					  ANN_DEFAULT_NLIST, ANN_MIN_NLIST, ANN_MAX_NLIST, lock);
	add_int_reloption(ann_relopt_kind, "segment_rows",
					  "Most rows that one segment holds",
					  ANN_DEFAULT_SEGMENT_ROWS, ANN_MIN_SEGMENT_ROWS, ANN_MAX_SEGMENT_ROWS, lock);
	add_enum_reloption(ann_relopt_kind, "sq_type",
					   "Scalar quantizer of an HNSW_SQ index",
					   sq_type_values, ANN_QUANT_SQ8,
					   "Valid values are \"SQ4U\", \"SQ6\", \"SQ8\", \"BF16\" and \"FP16\".", lock);
	add_int_reloption(ann_relopt_kind, "pq_m",
					  "Subspaces of a product quantizer, a divisor of the dimension",
					  0, 1, ANN_MAX_DIM, lock);
	add_int_reloption(ann_relopt_kind, "pq_nbits",
					  "Bits of a product quantizer's code in one subspace",
					  ANN_DEFAULT_PQ_NBITS, ANN_MIN_PQ_NBITS, ANN_MAX_PQ_NBITS, lock);
	add_int_reloption(ann_relopt_kind, "nrq",
					  "Codebooks one after the other in each subspace of an HNSW_PRQ index",
					  ANN_DEFAULT_NRQ, ANN_MIN_NRQ, ANN_MAX_NRQ, lock);
	add_bool_reloption(ann_relopt_kind, "refine",
					   "Whether a quantized index keeps finer codes besides",
					   false, lock);
	add_enum_reloption(ann_relopt_kind, "refine_type",
					   "What a quantized index keeps to refine distances with",
					   refine_type_values, ANN_QUANT_F32,
					   "Valid values are \"SQ6\", \"SQ8\", \"BF16\", \"FP16\" and \"FP32\".", lock);
	add_bool_reloption(ann_relopt_kind, "with_raw_data",
					   "Whether a SCANN index keeps the vectors",
					   true, lock);
	add_bool_reloption(ann_relopt_kind, "compact",
					   "Whether the index leaves the vectors to the table and keeps codes only",
					   false, lock);
	add_int_reloption(ann_relopt_kind, "mh_lsh_band",
					  "Bands of a MINHASH_LSH index",
					  0, ANN_MIN_MH_BAND, ANN_MAX_MH_BAND, lock);
	add_enum_reloption(ann_relopt_kind, "mh_element_bit_width",
					   "Bits of an element of a MinHash signature",
					   element_bits_values, ANN_DEFAULT_MH_ELEMENT_BITS,
					   "Valid values are 8, 16, 32 and 64.", lock);
}

bytea *
AnnParseOptions(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"index_type", RELOPT_TYPE_ENUM, offsetof(AnnOptions, index_type)},
		{"m", RELOPT_TYPE_INT, offsetof(AnnOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(AnnOptions, ef_construction)},
		{"nlist", RELOPT_TYPE_INT, offsetof(AnnOptions, nlist)},
		{"segment_rows", RELOPT_TYPE_INT, offsetof(AnnOptions, segment_rows)},
		{"sq_type", RELOPT_TYPE_ENUM, offsetof(AnnOptions, sq_type)},
		{"pq_m", RELOPT_TYPE_INT, offsetof(AnnOptions, pq_m)},
		{"pq_nbits", RELOPT_TYPE_INT, offsetof(AnnOptions, pq_nbits)},
		{"nrq", RELOPT_TYPE_INT, offsetof(AnnOptions, nrq)},
		{"refine", RELOPT_TYPE_BOOL, offsetof(AnnOptions, refine)},
		{"refine_type", RELOPT_TYPE_ENUM, offsetof(AnnOptions, refine_type)},
		{"with_raw_data", RELOPT_TYPE_BOOL, offsetof(AnnOptions, with_raw_data)},
		{"compact", RELOPT_TYPE_BOOL, offsetof(AnnOptions, compact)},
		{"mh_lsh_band", RELOPT_TYPE_INT, offsetof(AnnOptions, mh_band)},
		{"mh_element_bit_width", RELOPT_TYPE_ENUM, offsetof(AnnOptions, mh_element_bits)}
	};
	AnnOptions *options = (AnnOptions *) build_reloptions(reloptions, validate, ann_relopt_kind,
														  sizeof(AnnOptions), table, lengthof(table));

	if (validate && options != NULL && options->index_type == ANN_INDEX_ANNOY)
		ereport(NOTICE,
				(errmsg("index type \"ANNOY\" no longer exists, \"AUTOINDEX\" is used instead")));
	return (bytea *) options;
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
ANN_OPCLASS(ann_support_bf16_l2, ANN_L2, ANN_BF16);
ANN_OPCLASS(ann_support_bf16_ip, ANN_IP, ANN_BF16);
ANN_OPCLASS(ann_support_bf16_cosine, ANN_COSINE, ANN_BF16);
ANN_OPCLASS(ann_support_bf16_l1, ANN_L1, ANN_BF16);
ANN_OPCLASS(ann_support_i8_l2, ANN_L2, ANN_I8);
ANN_OPCLASS(ann_support_i8_ip, ANN_IP, ANN_I8);
ANN_OPCLASS(ann_support_i8_cosine, ANN_COSINE, ANN_I8);
ANN_OPCLASS(ann_support_i8_l1, ANN_L1, ANN_I8);
ANN_OPCLASS(ann_support_bit_hamming, ANN_HAMMING, ANN_BIT);
ANN_OPCLASS(ann_support_bit_jaccard, ANN_JACCARD, ANN_BIT);
ANN_OPCLASS(ann_support_bit_mhjaccard, ANN_MHJACCARD, ANN_BIT);

const AnnOpclass *
AnnGetOpclass(Relation index)
{
	FmgrInfo   *support = index_getprocinfo(index, 1, ANN_SUPPORT_TYPE);

	return (const AnnOpclass *)
		DatumGetPointer(FunctionCall1Coll(support, InvalidOid, PointerGetDatum(NULL)));
}

/*
 * The options of an index of any of our access methods: none given are the
 * defaults of its access method, which are made once.
 */
const AnnOptions *
AnnGetOptions(Relation index)
{
	static struct
	{
		amoptions_function parse;
		const AnnOptions *options;
	}			defaults[3];
	amoptions_function parse = index->rd_indam->amoptions;
	MemoryContext old;
	int			i;

	if (index->rd_options != NULL)
		return (const AnnOptions *) index->rd_options;
	for (i = 0; i < (int) lengthof(defaults) - 1; i++)
		if (defaults[i].parse == parse || defaults[i].parse == NULL)
			break;
	if (defaults[i].parse != parse)
	{
		old = MemoryContextSwitchTo(TopMemoryContext);
		defaults[i].options = (const AnnOptions *) parse((Datum) 0, false);
		defaults[i].parse = parse;
		MemoryContextSwitchTo(old);
	}
	return defaults[i].options;
}

/*
 * The type of new segments.  AUTOINDEX is a graph: it is ahead of lists at every
 * recall from a few hundred rows on, and below that a search reads all codes
 * whatever the structure.  Only for MinHash signatures it is MINHASH_LSH.
 */
static AnnType
choose_type(Relation index, const AnnParams *params, int option)
{
	bool		bits = params->elem == ANN_BIT;
	bool		signatures = params->metric == ANN_MHJACCARD;

	switch (option)
	{
		case ANN_INDEX_AUTO:
		case ANN_INDEX_ANNOY:
			return signatures ? ANN_MINHASH_LSH : ANN_HNSW;
		case ANN_INDEX_BIN_FLAT:
		case ANN_INDEX_BIN_IVF_FLAT:
			if (!bits)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("index type \"%s\" is for bit strings",
								option == ANN_INDEX_BIN_FLAT ? "BIN_FLAT" : "BIN_IVF_FLAT"),
						 errhint("Use \"%s\".", option == ANN_INDEX_BIN_FLAT ? "FLAT" : "IVF_FLAT")));
			option = option == ANN_INDEX_BIN_FLAT ? ANN_FLAT : ANN_IVF_FLAT;
			break;
		case ANN_FLAT:
		case ANN_IVF_FLAT:
		case ANN_HNSW:
			break;
		case ANN_MINHASH_LSH:
			if (!bits)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("index type \"MINHASH_LSH\" is for bit strings")));
			break;
		default:
			if (bits)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("index type \"%s\" is not for bit strings", AnnTypeName((AnnType) option)),
						 errhint("Use \"BIN_FLAT\", \"BIN_IVF_FLAT\", \"HNSW\" or \"MINHASH_LSH\".")));
			if (!Sq8Supports(params->metric))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("index type \"%s\" does not support metric %s",
								AnnTypeName((AnnType) option), AnnMetricName(params->metric)),
						 errhint("Use \"FLAT\", \"IVF_FLAT\" or \"HNSW\".")));
			break;
	}
	if (signatures && option != ANN_FLAT && option != ANN_MINHASH_LSH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("index type \"%s\" does not support metric %s",
						AnnTypeNameOf((AnnType) option, params->elem), AnnMetricName(params->metric)),
				 errhint("Use \"MINHASH_LSH\" or \"BIN_FLAT\".")));
	return (AnnType) option;
}

/*
 * Bands and elements of MINHASH_LSH; other types under MHJACCARD have elements too.
 */
static void
choose_minhash(const AnnOptions *options, AnnParams *params)
{
	uint32		elements = params->dim / options->mh_element_bits;

	if (params->type != ANN_MINHASH_LSH && params->metric != ANN_MHJACCARD)
		return;
	params->mh_element_bits = options->mh_element_bits;
	if (params->metric == ANN_MHJACCARD && options->mh_element_bits != OPERATOR_ELEMENT_BITS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"mh_element_bit_width\" must be %d under metric %s",
						OPERATOR_ELEMENT_BITS, AnnMetricName(params->metric)),
				 errdetail("Operator <%%%%> compares elements of %d bits.", OPERATOR_ELEMENT_BITS),
				 errhint("Under the metrics HAMMING and JACCARD it may be 8, 16, 32 or 64.")));
	if (params->dim % options->mh_element_bits != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%u bits are no whole number of elements of %d bits",
						params->dim, options->mh_element_bits),
				 errhint("Set option \"mh_element_bit_width\" to the width of the signatures' elements.")));
	if (params->type != ANN_MINHASH_LSH)
		return;
	if ((uint32) options->mh_band > elements)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"mh_lsh_band\" must be between %d and the number of elements, %u",
						ANN_MIN_MH_BAND, elements)));
	params->mh_band = options->mh_band != 0 ? (uint32) options->mh_band : Min(ANN_DEFAULT_MH_BAND, elements);
}

void
AnnGetParams(Relation index, AnnParams *params)
{
	const AnnOpclass *opclass;
	const AnnOptions *options = AnnGetOptions(index);
	int32		typmod = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;
	bool		chosen = options->index_type == ANN_INDEX_AUTO || options->index_type == ANN_INDEX_ANNOY;

	if (!OidIsValid(index_getprocid(index, 1, ANN_SUPPORT_TYPE)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the first column of index \"%s\" must be a vector", RelationGetRelationName(index)),
				 errdetail("An index of access method ann has one vector, which is its first column; further columns are scalars or arrays.")));
	opclass = AnnGetOpclass(index);

	if (opclass->elem == ANN_BIT && typmod > ANN_MAX_BITS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index column of \"%s\" cannot have more than %d bits",
						RelationGetRelationName(index), ANN_MAX_BITS)));
	if (typmod < 1 || (opclass->elem != ANN_BIT && typmod > ANN_MAX_DIM))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("index column of \"%s\" has no dimension", RelationGetRelationName(index)),
				 opclass->elem == ANN_BIT
				 ? errhint("Declare the column with one, for example bit(384), "
						   "or index an expression such as ((code::bit(384))).")
				 : errhint("Declare the column with one, for example vector(384), "
						   "or index an expression such as ((embedding::vector(384))).")));
	memset(params, 0, sizeof(*params));
	params->metric = opclass->metric;
	params->elem = opclass->elem;
	params->dim = typmod;
	params->type = choose_type(index, params, options->index_type);
	params->m = options->m != 0 ? options->m : chosen ? AUTOINDEX_M : ANN_DEFAULT_M;
	params->ef_construction = options->ef_construction != 0 ? options->ef_construction
		: chosen ? AUTOINDEX_EF_CONSTRUCTION : ANN_DEFAULT_EF_CONSTRUCTION;
	params->nlist = options->nlist;
	params->seed = 42;

	params->sq_type = options->sq_type;
	params->pq_m = options->pq_m;
	params->pq_nbits = options->pq_nbits;
	choose_minhash(options, params);
	params->nrq = params->type == ANN_HNSW_PRQ ? options->nrq : 1;
	if (params->pq_m != 0 && params->dim % params->pq_m != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"pq_m\" must divide the dimension"),
				 errdetail("Value %u does not divide dimension %u of index \"%s\".",
						   params->pq_m, params->dim, RelationGetRelationName(index))));
	if (params->type == ANN_SCANN)
		params->refine_type = options->with_raw_data ? ANN_QUANT_F32 : ANN_QUANT_NONE;
	else
		params->refine_type = options->refine ? options->refine_type : ANN_QUANT_NONE;
	params->compact = options->compact;
	if (params->compact && !Sq8Supports(params->metric))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"compact\" does not support metric %s", AnnMetricName(params->metric))));
}

uint32
AnnSegmentRows(Relation index)
{
	return AnnGetOptions(index)->segment_rows;
}

uint32
AnnGrowingLimit(const AnnParams *params)
{
	/* codes of this many bytes are scanned in about a tenth of a millisecond */
	const uint32 code_bytes = 4 * 1024 * 1024;

	if (milvus_settings.growing_rows > 0)
		return milvus_settings.growing_rows;
	return Max(1000, Min(32768, code_bytes / (params->elem == ANN_BIT ? AnnVectorBytes(params) : params->dim)));
}

/*
 * Whether all elements are zero; of either element type the bits but for the
 * sign must be zero.
 */
static bool
is_zero(const AnnParams *params, const void *data)
{
	if (params->elem == ANN_F16 || params->elem == ANN_BF16)
	{
		const uint16 *x = data;

		for (uint32 i = 0; i < params->dim; i++)
			if ((x[i] & 0x7fff) != 0)
				return false;
	}
	else if (params->elem == ANN_I8)
	{
		const int8 *x = data;

		for (uint32 i = 0; i < params->dim; i++)
			if (x[i] != 0)
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

	if (params->elem == ANN_BF16)
	{
		/* bfloat16 has float32's range: its squares underflow alike */
		kernels->cosine_bf16(data, data, params->dim, &ab, &aa, &bb);
		return aa == 0;
	}
	if (params->elem != ANN_F32)
		return is_zero(params, data);
	kernels->cosine_f32(data, data, params->dim, &ab, &aa, &bb);
	return aa == 0;
}

/* The same of a bit string: every one has a place. */
static const void *
classify_bits(Relation index, const AnnParams *params, Datum value)
{
	VarBit	   *bits = DatumGetVarBitP(value);

	if ((uint32) VARBITLEN(bits) != params->dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %d and %u", VARBITLEN(bits), params->dim),
				 errdetail("Index \"%s\" holds bit strings of length %u.",
						   RelationGetRelationName(index), params->dim)));
	return VARBITS(bits);
}

AnnRowClass
AnnClassify(Relation index, const AnnParams *params, Datum value, bool isnull, const void **data)
{
	struct varlena *vector;
	uint16		dim;

	if (isnull)
		return ANN_ROW_NULL;
	if (params->elem == ANN_BIT)
	{
		*data = classify_bits(index, params, value);
		return ANN_ROW_VECTOR;
	}
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
