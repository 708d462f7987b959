/*
 * annexplain.c
 *		Lines of EXPLAIN (ANALYZE) about the scans of our indexes.
 *
 * PostgreSQL 18 asks for them at each plan node.  Before that, a query's EXPLAIN
 * is taken through two hooks: ExplainOneQuery_hook remembers where the text goes,
 * and ExecutorEnd_hook, which runs while the query's part of the output is still
 * open, writes after the plan.  So EXPLAIN ANALYZE EXECUTE, which passes by the first
 * hook, and auto_explain have the lines from 18 on only.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "am/ann/annattr.h"
#include "compat.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "utils/rel.h"

/* The names of the index types in a scan's segments. */
static const char *
type_names(uint32 types, AnnElem elem)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int type = 0; type < 32; type++)
		if (types & (1u << type))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", AnnTypeNameOf((AnnType) type, elem));
	return names.data;
}

/*
 * The figures of a scan, as properties of the group that is open.
 */
static void
explain_scan(Relation index, const AnnScanStats *stats, uint64 searches, ExplainState *es)
{
	AnnParams	params;
	const char *types;

	AnnGetParams(index, &params);
	types = type_names(stats->types != 0 ? stats->types : 1u << params.type, params.elem);
	if (es->format == EXPLAIN_FORMAT_TEXT)
	{
		ExplainPropertyText("Vector Index",
							psprintf("%s  Segments: %d  Cached: %d  Growing Rows: " UINT64_FORMAT,
									 types, stats->nsegments, stats->cached_segments,
									 stats->growing_rows),
							es);
		ExplainPropertyText("Vector Searches",
							psprintf(UINT64_FORMAT "%s  Hops: " UINT64_FORMAT "%s", searches,
									 AnnTypeStructure(params.type) == ANN_GRAPH
									 ? psprintf("  ef: %d", stats->ef)
									 : AnnTypeStructure(params.type) == ANN_LISTS
									 ? psprintf("  nprobe: %d", stats->nprobe) : "",
									 stats->hops, stats->exhaustive ? "  Exhaustive" : ""),
							es);
		ExplainPropertyText("Vector Distances",
							psprintf("Code: " UINT64_FORMAT "  Exact: " UINT64_FORMAT,
									 stats->code_distances, stats->exact_distances),
							es);
		ExplainPropertyText("Vector Rows",
							psprintf("Skipped: " UINT64_FORMAT "  Dropped: " UINT64_FORMAT
									 "  Returned: " UINT64_FORMAT,
									 stats->excluded, stats->dropped, stats->returned),
							es);
		if (stats->ways != 0)
			ExplainPropertyText("Vector Filter",
								psprintf("%s  Matching: " UINT64_FORMAT "  Removed: " UINT64_FORMAT,
										 AnnFilterWayName(stats->ways), stats->matches, stats->filtered),
								es);
		return;
	}
	ExplainPropertyText("Vector Index Type", types, es);
	ExplainPropertyUInteger("Vector Segments", NULL, stats->nsegments, es);
	ExplainPropertyUInteger("Vector Cached Segments", NULL, stats->cached_segments, es);
	ExplainPropertyUInteger("Vector Growing Rows", NULL, stats->growing_rows, es);
	ExplainPropertyUInteger("Vector Searches", NULL, searches, es);
	if (AnnTypeStructure(params.type) == ANN_GRAPH)
		ExplainPropertyUInteger("Vector ef", NULL, stats->ef, es);
	if (AnnTypeStructure(params.type) == ANN_LISTS)
		ExplainPropertyUInteger("Vector nprobe", NULL, stats->nprobe, es);
	ExplainPropertyUInteger("Vector Hops", NULL, stats->hops, es);
	ExplainPropertyBool("Vector Exhaustive", stats->exhaustive, es);
	ExplainPropertyUInteger("Vector Code Distances", NULL, stats->code_distances, es);
	ExplainPropertyUInteger("Vector Exact Distances", NULL, stats->exact_distances, es);
	ExplainPropertyUInteger("Vector Rows Skipped", NULL, stats->excluded, es);
	ExplainPropertyUInteger("Vector Rows Dropped", NULL, stats->dropped, es);
	ExplainPropertyUInteger("Vector Rows Returned", NULL, stats->returned, es);
	if (stats->ways != 0)
	{
		ExplainPropertyText("Vector Filter", AnnFilterWayName(stats->ways), es);
		ExplainPropertyUInteger("Vector Filter Matching Rows", NULL, stats->matches, es);
		ExplainPropertyUInteger("Vector Filter Rows Removed", NULL, stats->filtered, es);
	}
}

/*
 * The index of a plan node that scanned one of ours, and the figures; NULL for other
 * nodes and scans that were never begun.  A parallel worker's own are not seen.
 */
static Relation
scanned_index(PlanState *node, AnnScanStats *stats, uint64 *searches)
{
	IndexScanState *scan = (IndexScanState *) node;

	if (!IsA(node, IndexScanState) || scan->iss_ScanDesc == NULL ||
		!AnnIsOurIndex(scan->iss_RelationDesc))
		return NULL;
	*searches = AnnScanTotals(scan->iss_ScanDesc, stats);
	return *searches > 0 ? scan->iss_RelationDesc : NULL;
}

#if MILVUS_EXPLAINS_NODES

static explain_per_node_hook_type previous_per_node;

static void
explain_node(PlanState *node, List *ancestors, const char *relationship, const char *plan_name,
			 ExplainState *es)
{
	AnnScanStats stats;
	uint64		searches;
	Relation	index;

	if (previous_per_node != NULL)
		previous_per_node(node, ancestors, relationship, plan_name, es);
	if (es->analyze && (index = scanned_index(node, &stats, &searches)) != NULL)
		explain_scan(index, &stats, searches, es);
}

void
AnnInstallExplain(void)
{
	previous_per_node = explain_per_node_hook;
	explain_per_node_hook = explain_node;
}

#else

/* An EXPLAIN ANALYZE that is being done; a query may run another one inside. */
typedef struct Explaining
{
	struct Explaining *outer;
	ExplainState *es;
	const char *source;			/* the query's text, whose address marks its executor */
	bool		any;			/* a scan was written */
} Explaining;

static Explaining *explaining;
static ExplainOneQuery_hook_type previous_one_query;
static ExecutorEnd_hook_type previous_end;

static bool
explain_tree(PlanState *node, void *context)
{
	Explaining *explain = context;
	ExplainState *es = explain->es;
	AnnScanStats stats;
	uint64		searches;
	Relation	index = scanned_index(node, &stats, &searches);

	if (index != NULL)
	{
		const char *name = RelationGetRelationName(index);

		if (!explain->any)
			ExplainOpenGroup("Vector Index Scans", "Vector Index Scans", false, es);
		explain->any = true;
		ExplainOpenGroup("Vector Index Scan", NULL, true, es);
		ExplainPropertyText(es->format == EXPLAIN_FORMAT_TEXT ? "Vector Index Scan" : "Index Name",
							name, es);
		if (es->format == EXPLAIN_FORMAT_TEXT)
			es->indent++;
		explain_scan(index, &stats, searches, es);
		if (es->format == EXPLAIN_FORMAT_TEXT)
			es->indent--;
		ExplainCloseGroup("Vector Index Scan", NULL, true, es);
	}
	return planstate_tree_walker(node, explain_tree, context);
}

/*
 * The executor of the explained query ends: its scans are open for the last time.
 */
static void
end_executor(QueryDesc *query)
{
	Explaining *explain = explaining;

	if (explain != NULL && query->sourceText == explain->source &&
		query->instrument_options != 0 && query->planstate != NULL)
	{
		(void) explain_tree(query->planstate, explain);
		if (explain->any)
			ExplainCloseGroup("Vector Index Scans", "Vector Index Scans", false, explain->es);
		explain->any = false;
	}
	if (previous_end != NULL)
		previous_end(query);
	else
		standard_ExecutorEnd(query);
}

static void
explain_query(Query *query, int cursor_options, IntoClause *into, ExplainState *es,
			  const char *source, ParamListInfo params, QueryEnvironment *environment)
{
	Explaining	explain = {.outer = explaining,.es = es,.source = source};

	explaining = es->analyze ? &explain : NULL;
	PG_TRY();
	{
		if (previous_one_query != NULL)
			previous_one_query(query, cursor_options, into, es, source, params, environment);
		else
			standard_ExplainOneQuery(query, cursor_options, into, es, source, params, environment);
	}
	PG_FINALLY();
	{
		explaining = explain.outer;
	}
	PG_END_TRY();
}

void
AnnInstallExplain(void)
{
	previous_one_query = ExplainOneQuery_hook;
	ExplainOneQuery_hook = explain_query;
	previous_end = ExecutorEnd_hook;
	ExecutorEnd_hook = end_executor;
}

#endif
