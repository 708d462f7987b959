/*
 * knnpath.c
 *		Paths for ORDER BY column <-> value LIMIT k on `milvus` tables.
 *
 * The path reads all rows and gives them in order of distance.  It is offered where a LIMIT
 * says how many are likely to be asked for; the node gives as many as it is asked for, but
 * each time that the first k were not enough it reads the table again.  So its cost rises
 * steeply with the rows that are wanted, and a sort wins where that is all of them.
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "guc.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "planner/columnscan_internal.h"
#include "planner/knn.h"
#include "utils/lsyscache.h"

/* A comparison by column costs this share of what the operator does. */
#define COMPARE_SHARE 0.5
/* Fetching a row by TID costs as much as so many tuples of a scan. */
#define FETCH_ROWS 5.0
/* Each further reading asks for so many times the rows of the one before. */
#define GROWTH 4.0
/* Rows that are expected to be asked for when LIMIT is known at execution alone. */
#define UNKNOWN_LIMIT 100

static set_rel_pathlist_hook_type next_hook;

static Plan *plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans);
static List *keep_private(PlannerInfo *root, List *custom_private, RelOptInfo *child);

static const CustomPathMethods path_methods = {
	.CustomName = "MilvusNeighbours",
	.PlanCustomPath = plan_path,
	.ReparameterizeCustomPathByChild = keep_private,
};

/* What an expression that the query is ordered by says. */
typedef struct KnnOrder
{
	Expr *distance;
	AttrNumber attnum;
	Oid funcid;
	Oid collation;
	bool swapped;
	Expr *query;
} KnnOrder;

static Node *
strip_relabel(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* Is the expression a distance of a column of rel and a value that is the same for all rows? */
static bool
match_distance(PlannerInfo *root, RelOptInfo *rel, Expr *expr, KnnOrder *order)
{
	List *args;
	KnnFunction function;

	if (IsA(expr, OpExpr))
	{
		OpExpr *op = (OpExpr *) expr;

		set_opfuncid(op);
		order->funcid = op->opfuncid;
		order->collation = op->inputcollid;
		args = op->args;
	}
	else if (IsA(expr, FuncExpr))
	{
		FuncExpr *func = (FuncExpr *) expr;

		order->funcid = func->funcid;
		order->collation = func->inputcollid;
		args = func->args;
	}
	else
		return false;
	if (list_length(args) != 2 || exprType((Node *) expr) != FLOAT8OID)
		return false;
	order->distance = expr;
	for (int i = 0; i < 2; i++)
	{
		Var *var = (Var *) strip_relabel(list_nth(args, i));
		Node *other = list_nth(args, 1 - i);

		if (!IsA(var, Var) || var->varno != (int) rel->relid || var->varattno <= 0 ||
			var->varlevelsup != 0)
			continue;
		if (!bms_is_empty(pull_varnos(root, other)) || contain_volatile_functions(other) ||
			contain_subplans(other) || !KnnFindFunction(order->funcid, &function))
			return false;
		order->attnum = var->varattno;
		order->query = (Expr *) other;
		order->swapped = i == 1;
		return true;
	}
	return false;
}

/* Is the query ordered first of all by a distance, nearest first? */
static bool
find_order(PlannerInfo *root, RelOptInfo *rel, KnnOrder *order)
{
	PathKey *key = linitial_node(PathKey, root->query_pathkeys);
	EquivalenceClass *class = key->pk_eclass;
	MilvusMembers members;
	EquivalenceMember *member;

	if (key->pk_strategy != BTLessStrategyNumber || key->pk_nulls_first || class->ec_has_volatile)
		return false;
	MilvusMembersBegin(&members, class, rel->relids);
	while ((member = MilvusMembersNext(&members)) != NULL)
	{
		if (bms_equal(member->em_relids, rel->relids) &&
			match_distance(root, rel, member->em_expr, order))
			return true;
	}
	return false;
}

/* LIMIT or OFFSET as something to evaluate when the scan begins; NULL if that is not simple. */
static Node *
simple_limit(Node *node)
{
	return node != NULL && (IsA(node, Const) || IsA(node, Param)) ? copyObject(node) : NULL;
}

/*
 * Is the number of rows that will be asked for known to be LIMIT's (with OFFSET), because
 * nothing else lies between this relation and LIMIT?
 */
static bool
limit_is_exact(PlannerInfo *root)
{
	Query *parse = root->parse;

	return simple_limit(parse->limitCount) != NULL &&
		   (parse->limitOffset == NULL || simple_limit(parse->limitOffset) != NULL) &&
		   parse->limitOption == LIMIT_OPTION_COUNT && list_length(root->query_pathkeys) == 1 &&
		   bms_membership(root->all_baserels) == BMS_SINGLETON &&
		   parse->commandType == CMD_SELECT && !parse->hasAggs && !parse->hasWindowFuncs &&
		   !parse->hasTargetSRFs && parse->groupClause == NIL && parse->groupingSets == NIL &&
		   parse->distinctClause == NIL && parse->rowMarks == NIL && parse->havingQual == NULL;
}

/* Cost of a path that is one of `divisor` processes. */
static void
cost_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, const ColumnTableShape *shape,
		  double width, List *columns, List *rest, double limit, double divisor)
{
	QualCost column_cost;
	QualCost rest_cost;
	double rows = rel->tuples / divisor;
	double selected;
	double share;
	double near;
	double passes;
	Cost pass;

	cost_qual_eval(&column_cost, columns, root);
	cost_qual_eval(&rest_cost, rest, root);
	selected = Max(1.0, rows * clauselist_selectivity(root, columns, rel->relid, JOIN_INNER, NULL));
	share = clauselist_selectivity(root, rest, rel->relid, JOIN_INNER, NULL);
	share = Max(share, 1 / selected);
	limit = Max(1.0, Min(limit, selected * share));
	/* rows that are among the nearest so far when they come: only they meet the other conditions */
	near = Min(selected, limit / share * (1 + log(Max(1.0, selected * share / limit))));
	pass = (seq_page_cost *
				(shape->mixed_pages + COLUMN_PAGE_COST * width * shape->column_rows / BLCKSZ) +
			shape->tuple_rows * (cpu_tuple_cost + column_cost.per_tuple + rest_cost.per_tuple) +
			shape->column_rows * list_length(columns) * COLUMN_FILTER_COST * cpu_operator_cost) /
			   divisor +
		   selected * COMPARE_SHARE * cpu_operator_cost +
		   near * (cpu_operator_cost + rest_cost.per_tuple);
	path->path.rows = clamp_row_est(rel->rows / divisor);
	path->path.startup_cost = COLUMN_STARTUP_COST * cpu_operator_cost + column_cost.startup +
							  rest_cost.startup + pass + path->path.pathtarget->cost.startup;
	passes = Max(0.0, log(path->path.rows / limit) / log(GROWTH));
	/* rows are fetched by TID, in an order that is not theirs */
	path->path.total_cost =
		path->path.startup_cost + passes * pass +
		path->path.rows * (FETCH_ROWS * cpu_tuple_cost + path->path.pathtarget->cost.per_tuple);
}

static CustomPath *
make_path(PlannerInfo *root, RelOptInfo *rel, const ColumnTableShape *shape, const KnnOrder *order,
		  List *columns, List *rest, double limit, int workers)
{
	CustomPath *path = makeNode(CustomPath);
	Param *param = (Param *) strip_relabel((Node *) order->query);
	double divisor = 1;

	if (workers > 0)
	{
		double leader = parallel_leader_participation ? 1.0 - 0.3 * workers : 0;

		divisor = workers + Max(leader, 0);
	}
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info = NULL;
	path->path.parallel_aware = workers > 0;
	path->path.parallel_safe = rel->consider_parallel;
	path->path.parallel_workers = workers;
	path->path.pathkeys = list_make1(linitial(root->query_pathkeys));
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = &path_methods;
	path->custom_private = list_make2(
		list_make5_int(order->attnum, order->funcid, order->collation, order->swapped,
					   root->limit_tuples > 0 ? (int) Min(root->limit_tuples, INT_MAX) : 0),
		list_make4(order->query, simple_limit(root->parse->limitCount),
				   simple_limit(root->parse->limitOffset), order->distance));
	linitial(path->custom_private) =
		lappend_int(linitial(path->custom_private),
					IsA(param, Param) && param->paramkind == PARAM_EXEC ? param->paramid : -1);
	cost_path(root, rel, path, shape, rel->attr_widths[order->attnum - rel->min_attr], columns,
			  rest, limit, divisor);
	return path;
}

static void
add_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	ColumnTableShape shape;
	KnnOrder order;
	List *columns;
	List *rest;
	double limit;

	if (next_hook != NULL)
		next_hook(root, rel, rti, rte);
	if (!milvus_settings.enable_exact_search || rel->rtekind != RTE_RELATION || rte->inh ||
		root->query_pathkeys == NIL || root->parse->limitCount == NULL ||
		rel->lateral_relids != NULL || !ColumnScanPossible(root, rel, rte) ||
		!find_order(root, rel, &order))
		return;
	if (IsA(root->parse->limitCount, Const) && ((Const *) root->parse->limitCount)->constisnull)
		return;
	ColumnQualSplit(root, rel, rel->baserestrictinfo, &columns, &rest);
	/* such a condition would be asked about fewer rows than exist */
	if (contain_volatile_functions((Node *) rest))
		return;
	limit = root->limit_tuples > 0 ? root->limit_tuples : UNKNOWN_LIMIT;
	ColumnGetShape(rel, rte->relid, &shape);
	add_path(rel, (Path *) make_path(root, rel, &shape, &order, columns, rest, limit, 0));

	/* a worker that is done cannot read its part again */
	if (rel->consider_parallel && limit_is_exact(root))
	{
		int workers = compute_parallel_worker(rel, Max(rel->pages, rel->tuples / 100), -1,
											  max_parallel_workers_per_gather);

		if (workers > 0)
			add_partial_path(
				rel, (Path *) make_path(root, rel, &shape, &order, columns, rest, limit, workers));
	}
}

/* The plan of a path: its conditions divided again, in the order the planner gives them. */
static Plan *
plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
		  List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	List *exprs = lsecond(path->custom_private);
	List *limits = NIL;
	List *columns;
	List *rest;

	ColumnQualSplit(root, rel, clauses, &columns, &rest);
	if (lsecond(exprs) != NULL)
		limits = list_make1(lsecond(exprs));
	if (lthird(exprs) != NULL)
		limits = lappend(limits, lthird(exprs));
	scan->scan.scanrelid = rel->relid;
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(rest, false);
	scan->flags = path->flags;
	scan->methods = &KnnScanMethods;
	scan->custom_private = list_make1(linitial(path->custom_private));
	scan->custom_exprs =
		list_make4(list_make1(linitial(exprs)), limits, extract_actual_clauses(columns, false),
				   list_make1(lfourth(exprs)));
	return (Plan *) scan;
}

int
KnnPathParam(Path *path)
{
	for (;;)
	{
		if (IsA(path, SubqueryScanPath))
			path = ((SubqueryScanPath *) path)->subpath;
		else if (IsA(path, LimitPath))
			path = ((LimitPath *) path)->subpath;
		else if (IsA(path, ProjectionPath))
			path = ((ProjectionPath *) path)->subpath;
		else if (IsA(path, CustomPath) && ((CustomPath *) path)->methods == &path_methods &&
				 !path->parallel_aware)
			return list_nth_int(linitial(((CustomPath *) path)->custom_private),
								KNN_PRIVATE_QUERY_PARAM);
		else
			return -1;
	}
}

/* These paths have no parameters that could become a child's. */
static List *
keep_private(PlannerInfo *root, List *custom_private, RelOptInfo *child)
{
	return custom_private;
}

void
KnnInstall(void)
{
	RegisterCustomScanMethods(&KnnScanMethods);
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_paths;
	KnnJoinInstall();
}
