/*
 * knnjoin.c
 *		Joins of a list of queries with LATERAL (... ORDER BY column <-> query LIMIT k).
 *
 * Such a join is a nested loop: for each row of the outer side the search runs again with
 * another value of its parameter.  So that it can run for many values at once, a node
 * "Custom Scan (MilvusQueries)" is put over the outer side.  It reads up to KNN_LOOKAHEAD rows
 * ahead and says which values the parameter will have; the search looks them up
 * (KnnLookaheadValues), answers all of them in one reading of the table, and is found by
 * value when the loop comes to them.  If it does not ask, or values are not found, each is
 * searched by itself: the rows are the same.
 */
#include "postgres.h"

#include "compat.h"
#include "executor/executor.h"
#include "guc.h"
#include "lib/ilist.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "planner/knn.h"
#include "utils/memutils.h"

/* A search among many costs this share of one alone. */
#define SHARED_SEARCH_COST 0.3

/* What a node has read ahead, to be found by executor state and parameter. */
typedef struct KnnLookahead
{
	dlist_node link;
	EState *estate;
	int param;
	int n;
	Datum values[KNN_LOOKAHEAD];
	MemoryContextCallback forget;
} KnnLookahead;

typedef struct KnnQueriesState
{
	CustomScanState css;
	AttrNumber attnum; /* of the outer side's rows: the value */
	KnnLookahead *lookahead;
	MemoryContext context; /* rows and values */
	MinimalTuple rows[KNN_LOOKAHEAD];
	int nrows;
	int next;
	bool done;
	uint64 batches;
} KnnQueriesState;

static dlist_head lookaheads = DLIST_STATIC_INIT(lookaheads);
static set_join_pathlist_hook_type next_hook;

static Plan *plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans);
static Node *create_state(CustomScan *plan);
static void begin_queries(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_queries(CustomScanState *node);
static void end_queries(CustomScanState *node);
static void rescan_queries(CustomScanState *node);

static const CustomPathMethods path_methods = {
	.CustomName = "MilvusQueries",
	.PlanCustomPath = plan_path,
};

static const CustomScanMethods scan_methods = {
	.CustomName = "MilvusQueries",
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "MilvusQueries",
	.BeginCustomScan = begin_queries,
	.ExecCustomScan = exec_queries,
	.EndCustomScan = end_queries,
	.ReScanCustomScan = rescan_queries,
};

static bool
uses_params_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		return true;
	if (IsA(node, SubPlan) || IsA(node, AlternativeSubPlan))
		return true;
	return expression_tree_walker(node, uses_params_walker, context);
}

bool
KnnUsesParams(Node *node)
{
	return uses_params_walker(node, NULL);
}

/* ---- planning ---- */

/* The column of the outer side that becomes the parameter, or NULL. */
static Var *
find_outer_column(RelOptInfo *outer, RelOptInfo *inner, int param)
{
	ListCell *cell;

	foreach (cell, inner->subplan_params)
	{
		PlannerParamItem *item = lfirst(cell);
		Var *var = (Var *) item->item;
		ListCell *column;

		if (item->paramId != param || !IsA(var, Var) || !bms_is_member(var->varno, outer->relids))
			continue;
		foreach (column, outer->reltarget->exprs)
			if (equal(lfirst(column), var))
				return var;
	}
	return NULL;
}

static void
add_join_paths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel, RelOptInfo *innerrel,
			   JoinType jointype, JoinPathExtraData *extra)
{
	Path *outer = outerrel->cheapest_total_path;
	ListCell *cell;

	if (next_hook != NULL)
		next_hook(root, joinrel, outerrel, innerrel, jointype, extra);
	if (!milvus_settings.enable_exact_search || !enable_nestloop ||
		innerrel->rtekind != RTE_SUBQUERY || innerrel->subplan_params == NIL ||
		(jointype != JOIN_INNER && jointype != JOIN_LEFT) || outer == NULL ||
		outer->param_info != NULL)
		return;
	foreach (cell, innerrel->pathlist)
	{
		Path *inner = lfirst(cell);
		int param = KnnPathParam(inner);
		Var *column;
		CustomPath *ahead;
		NestPath *join;
		JoinCostWorkspace workspace;
		double loops;

		if (param < 0 || !bms_is_subset(PATH_REQ_OUTER(inner), outerrel->relids))
			continue;
		column = find_outer_column(outerrel, innerrel, param);
		if (column == NULL)
			continue;
		ahead = makeNode(CustomPath);
		ahead->path.pathtype = T_CustomScan;
		ahead->path.parent = outerrel;
		ahead->path.pathtarget = outer->pathtarget;
		ahead->path.rows = outer->rows;
		ahead->path.startup_cost = outer->startup_cost;
		ahead->path.total_cost = outer->total_cost + outer->rows * cpu_operator_cost;
		ahead->path.pathkeys = outer->pathkeys;
		ahead->methods = &path_methods;
		ahead->custom_paths = list_make1(outer);
		ahead->custom_private = list_make2(makeInteger(param), copyObject(column));
		initial_cost_nestloop(root, &workspace, jointype, &ahead->path, inner, extra);
		join = create_nestloop_path(
			root, joinrel, jointype, &workspace, extra, &ahead->path, inner, extra->restrictlist,
			build_join_pathkeys(root, joinrel, jointype, outer->pathkeys), NULL);
		loops = Max(outer->rows - 1, 0);
		join->jpath.path.total_cost -= (1 - SHARED_SEARCH_COST) * loops * inner->startup_cost;
		join->jpath.path.total_cost =
			Max(join->jpath.path.total_cost, join->jpath.path.startup_cost);
		add_path(joinrel, (Path *) join);
		break;
	}
}

static Plan *
plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
		  List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	Plan *outer = linitial(custom_plans);

	scan->scan.scanrelid = 0;
	scan->scan.plan.targetlist = tlist;
	scan->custom_plans = custom_plans;
	scan->custom_scan_tlist = copyObject(outer->targetlist);
	scan->custom_private = list_make1(linitial(path->custom_private));
	scan->custom_exprs = list_make1(lsecond(path->custom_private));
	scan->methods = &scan_methods;
	return (Plan *) scan;
}

void
KnnJoinInstall(void)
{
	RegisterCustomScanMethods(&scan_methods);
	next_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = add_join_paths;
}

/* ---- execution ---- */

int
KnnLookaheadValues(EState *estate, int param, const Datum **values)
{
	dlist_iter iter;

	dlist_foreach(iter, &lookaheads)
	{
		KnnLookahead *lookahead = dlist_container(KnnLookahead, link, iter.cur);

		if (lookahead->estate == estate && lookahead->param == param)
		{
			*values = lookahead->values;
			return lookahead->n;
		}
	}
	return 0;
}

/* When the executor's memory goes, after an error too. */
static void
forget_lookahead(void *argument)
{
	dlist_delete(&((KnnLookahead *) argument)->link);
}

static Node *
create_state(CustomScan *plan)
{
	KnnQueriesState *state = palloc0(sizeof(KnnQueriesState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

static void
begin_queries(CustomScanState *node, EState *estate, int eflags)
{
	KnnQueriesState *state = (KnnQueriesState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	Var *column = linitial(plan->custom_exprs);

	Assert(IsA(column, Var) && column->varno == INDEX_VAR);
	state->attnum = column->varattno;
	node->custom_ps = list_make1(ExecInitNode(linitial(plan->custom_plans), estate, eflags));
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state->context =
		AllocSetContextCreate(estate->es_query_cxt, "milvus look-ahead", ALLOCSET_DEFAULT_SIZES);
	state->lookahead = MemoryContextAllocZero(estate->es_query_cxt, sizeof(KnnLookahead));
	state->lookahead->estate = estate;
	state->lookahead->param = intVal(linitial(plan->custom_private));
	state->lookahead->forget.func = forget_lookahead;
	state->lookahead->forget.arg = state->lookahead;
	dlist_push_head(&lookaheads, &state->lookahead->link);
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &state->lookahead->forget);
}

/* Read rows ahead. */
static void
read_ahead(KnnQueriesState *state)
{
	PlanState *outer = linitial(state->css.custom_ps);
	KnnLookahead *lookahead = state->lookahead;
	MemoryContext old;

	lookahead->n = 0;
	state->nrows = state->next = 0;
	MemoryContextReset(state->context);
	while (state->nrows < KNN_LOOKAHEAD && !state->done)
	{
		TupleTableSlot *slot = ExecProcNode(outer);
		bool isnull;
		Datum value;

		if (TupIsNull(slot))
		{
			state->done = true;
			break;
		}
		old = MemoryContextSwitchTo(state->context);
		value = slot_getattr(slot, state->attnum, &isnull);
		if (!isnull)
			lookahead->values[lookahead->n++] = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		state->rows[state->nrows++] = ExecCopySlotMinimalTuple(slot);
		MemoryContextSwitchTo(old);
	}
}

static TupleTableSlot *
exec_queries(CustomScanState *node)
{
	KnnQueriesState *state = (KnnQueriesState *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ExprContext *econtext = node->ss.ps.ps_ExprContext;

	ResetExprContext(econtext);
	if (state->next == state->nrows)
		read_ahead(state);
	if (state->nrows == 0)
		return ExecClearTuple(node->ss.ps.ps_ResultTupleSlot);
	ExecForceStoreMinimalTuple(state->rows[state->next++], slot, false);
	if (node->ss.ps.ps_ProjInfo == NULL)
		return slot;
	econtext->ecxt_scantuple = slot;
	return ExecProject(node->ss.ps.ps_ProjInfo);
}

static void
end_queries(CustomScanState *node)
{
	KnnQueriesState *state = (KnnQueriesState *) node;

	ExecEndNode(linitial(node->custom_ps));
	if (state->lookahead != NULL)
		state->lookahead->n = 0;
}

static void
rescan_queries(CustomScanState *node)
{
	KnnQueriesState *state = (KnnQueriesState *) node;
	PlanState *outer = linitial(node->custom_ps);

	state->nrows = state->next = 0;
	state->done = false;
	if (state->lookahead != NULL)
		state->lookahead->n = 0;
	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(outer, node->ss.ps.chgParam);
	if (outer->chgParam == NULL)
		ExecReScan(outer);
}
