/*
 * annpgvector.c
 *		Access methods that take pgvector's syntax: `hnsw` and `ivfflat`.
 *
 * An index of theirs is an index of `ann` in all but its options, its operator
 * classes' names and the settings that its scans obey.  milvus.
 * enable_pgvector_syntax() makes them (sql/install/40_compat.sql), where pgvector
 * itself is absent.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "am/ann/ann.h"
#include "fmgr.h"
#include "guc.h"

PG_FUNCTION_INFO_V1(hnsw_handler);
PG_FUNCTION_INFO_V1(ivfflat_handler);

/* pgvector's ranges and defaults */
#define HNSW_MIN_M 2
#define HNSW_MAX_M 100
#define HNSW_DEFAULT_M 16
#define HNSW_MIN_EF_CONSTRUCTION 4
#define HNSW_MAX_EF_CONSTRUCTION 1000
#define HNSW_DEFAULT_EF_CONSTRUCTION 64
#define IVFFLAT_MIN_LISTS 1
#define IVFFLAT_MAX_LISTS 32768
#define IVFFLAT_DEFAULT_LISTS 100

typedef struct PgvectorOptions
{
	int32		vl_len_;
	int			m;
	int			ef_construction;
	int			lists;
} PgvectorOptions;

static relopt_kind hnsw_relopt_kind;
static relopt_kind ivfflat_relopt_kind;

void
AnnDefinePgvectorOptions(void)
{
	hnsw_relopt_kind = add_reloption_kind();
	add_int_reloption(hnsw_relopt_kind, "m", "Links a node has in the graph",
					  HNSW_DEFAULT_M, HNSW_MIN_M, HNSW_MAX_M, ShareUpdateExclusiveLock);
	add_int_reloption(hnsw_relopt_kind, "ef_construction",
					  "Length of the candidate list while the graph is built",
					  HNSW_DEFAULT_EF_CONSTRUCTION, HNSW_MIN_EF_CONSTRUCTION,
					  HNSW_MAX_EF_CONSTRUCTION, ShareUpdateExclusiveLock);
	ivfflat_relopt_kind = add_reloption_kind();
	add_int_reloption(ivfflat_relopt_kind, "lists", "Number of lists",
					  IVFFLAT_DEFAULT_LISTS, IVFFLAT_MIN_LISTS, IVFFLAT_MAX_LISTS,
					  ShareUpdateExclusiveLock);
}

/*
 * Our options of such an index: those of `ann` at their defaults, but for what
 * pgvector's syntax can say.
 */
static bytea *
hnsw_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"m", RELOPT_TYPE_INT, offsetof(PgvectorOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(PgvectorOptions, ef_construction)}
	};
	PgvectorOptions *given = build_reloptions(reloptions, validate, hnsw_relopt_kind,
											  sizeof(PgvectorOptions), table, lengthof(table));
	AnnOptions *options = (AnnOptions *) AnnParseOptions((Datum) 0, false);

	options->index_type = ANN_HNSW;
	options->m = given->m;
	options->ef_construction = Max(given->ef_construction, ANN_MIN_EF_CONSTRUCTION);
	return (bytea *) options;
}

static bytea *
ivfflat_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"lists", RELOPT_TYPE_INT, offsetof(PgvectorOptions, lists)}
	};
	PgvectorOptions *given = build_reloptions(reloptions, validate, ivfflat_relopt_kind,
											  sizeof(PgvectorOptions), table, lengthof(table));
	AnnOptions *options = (AnnOptions *) AnnParseOptions((Datum) 0, false);

	options->index_type = ANN_IVF_FLAT;
	options->nlist = given->lists;
	return (bytea *) options;
}

static IndexAmRoutine *
make_routine(amoptions_function options)
{
	IndexAmRoutine *am = AnnMakeRoutine();

	/* here is where a database shows that it uses this syntax */
	MilvusDefinePgvectorSettings();
	am->amoptions = options;
	/* its operator classes are of vectors, and the first column is the only one */
	am->amcanmulticol = false;
	return am;
}

Datum
hnsw_handler(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(make_routine(hnsw_options));
}

Datum
ivfflat_handler(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(make_routine(ivfflat_options));
}

/*
 * `off` ends a scan of hnsw after hnsw.ef_search rows, and one of ivfflat after
 * the rows of the probed lists, as pgvector's do.
 */
void
AnnGetEffort(Relation index, AnnEffort *effort)
{
	amoptions_function options = index->rd_indam->amoptions;

	effort->ef = milvus_settings.ef;
	effort->nprobe = milvus_settings.nprobe;
	effort->max_probes = 0;
	effort->max_tuples = milvus_settings.max_scan_tuples;
	effort->target_recall = milvus_settings.target_recall;
	effort->strict = milvus_settings.iterative_order == ITERATIVE_STRICT;
	if (options != hnsw_options && options != ivfflat_options)
		return;

	MilvusReadPgvectorSettings();
	effort->max_tuples = 0;
	effort->target_recall = 0;
	if (options == hnsw_options)
	{
		effort->ef = pgvector_settings.ef_search;
		effort->max_tuples = pgvector_settings.hnsw_iterative_scan == PGVECTOR_SCAN_OFF
			? pgvector_settings.ef_search : pgvector_settings.max_scan_tuples;
		effort->strict = pgvector_settings.hnsw_iterative_scan != PGVECTOR_SCAN_RELAXED;
	}
	else
	{
		effort->nprobe = pgvector_settings.probes;
		effort->max_probes = pgvector_settings.ivfflat_iterative_scan == PGVECTOR_SCAN_OFF
			? pgvector_settings.probes : pgvector_settings.max_probes;
		effort->strict = pgvector_settings.ivfflat_iterative_scan != PGVECTOR_SCAN_RELAXED;
	}
}
