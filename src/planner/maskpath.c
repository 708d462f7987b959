/*
 * maskpath.c
 *		Paths for ORDER BY column <-> value with a filter that other indexes answer.
 *
 * Of a relation, an ordered path of an ann index and core's bitmap path for the conditions are
 * put together.  Two paths are offered: one makes the bitmap first and searches among its rows;
 * the other begins with an ordinary search, tests rows as they come, and makes the
 * bitmap when too few pass.  The second costs what the index path costs, which it takes the
 * place of: it never does much worse.
 */
#include "postgres.h"

#include <math.h>

#include "am/ann/annmask.h"
#include "guc.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "planner/mask.h"

/* What an index path costs less when there is a way out of it: enough for add_path to tell. */
#define POST_SHARE 0.98
/* A page of a bitmap costs as much as so many tuples: it is hashed, sorted and taken apart. */
#define BITMAP_PAGE_ROWS 4.0
/* Most rows that a search is made wide for beforehand. */
#define MAX_EXPECTED 500

static set_rel_pathlist_hook_type next_hook;

static Plan *plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
					   List *clauses, List *custom_plans);
static List *keep_private(PlannerInfo *root, List *custom_private, RelOptInfo *child);

static const CustomPathMethods path_methods = {
	.CustomName = "MilvusMasked",
	.PlanCustomPath = plan_path,
	.ReparameterizeCustomPathByChild = keep_private,
};

/* The planner's paths of some indexes of a relation, by themselves. */
static List *
index_paths(PlannerInfo *root, RelOptInfo *rel, List *indexes)
{
	List *kept_indexes = rel->indexlist;
	List *kept_paths = rel->pathlist;
	List *kept_partial_paths = rel->partial_pathlist;
	List *made;

	rel->indexlist = indexes;
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	create_index_paths(root, rel);
	made = rel->pathlist;
	rel->indexlist = kept_indexes;
	rel->pathlist = kept_paths;
	rel->partial_pathlist = kept_partial_paths;
	return made;
}

/* The path in order of distance with the most conditions, or NULL. */
static IndexPath *
ordered_path(List *paths, IndexOptInfo *index)
{
	IndexPath *best = NULL;
	ListCell *cell;

	foreach (cell, paths)
	{
		IndexPath *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->indexinfo == index && path->indexorderbys != NIL &&
			path->path.pathkeys != NIL && path->path.param_info == NULL &&
			(best == NULL || list_length(path->indexclauses) > list_length(best->indexclauses)))
			best = path;
	}
	return best;
}

/*
 * The bitmap path for the relation's own conditions, or NULL.  As plain index scans may cost less,
 * and would push it out, it is made without them.
 */
static BitmapHeapPath *
bitmap_path(PlannerInfo *root, RelOptInfo *rel, List *indexes)
{
	bool enabled = enable_indexscan;
	List *paths = NIL;
	ListCell *cell;

	PG_TRY();
	{
		enable_indexscan = false;
		paths = index_paths(root, rel, indexes);
	}
	PG_FINALLY();
	{
		enable_indexscan = enabled;
	}
	PG_END_TRY();
	foreach (cell, paths)
	{
		BitmapHeapPath *path = lfirst(cell);

		if (IsA(path, BitmapHeapPath) && path->path.param_info == NULL &&
			!path->path.parallel_aware)
			return path;
	}
	return NULL;
}

/* Does an index path answer all conditions of its relation? */
static bool
answers_all(const IndexPath *path, const RelOptInfo *rel)
{
	ListCell *cell;

	foreach (cell, rel->baserestrictinfo)
	{
		bool found = ((RestrictInfo *) lfirst(cell))->pseudoconstant;
		ListCell *other;

		foreach (other, path->indexclauses)
			found |= ((IndexClause *) lfirst(other))->rinfo == lfirst(cell);
		if (!found)
			return false;
	}
	return true;
}

static int
hundredths(Cost cost)
{
	return (int) Max(1, Min(cost * 100, INT_MAX / 2));
}

static CustomPath *
make_path(PlannerInfo *root, RelOptInfo *rel, IndexPath *order, BitmapHeapPath *bitmap, bool post)
{
	CustomPath *path = makeNode(CustomPath);
	double tuples = Max(rel->tuples, 1);
	Cost bitmap_cost;
	Selectivity bitmap_share;
	double share;
	Cost search_startup;
	Cost search_total;
	Cost row_cost;
	Cost mask_cost;

	cost_bitmap_tree_node(bitmap->bitmapqual, &bitmap_cost, &bitmap_share);
	share = Max(bitmap_share * (order->indexclauses != NIL ? order->indexselectivity : 1), 1 / tuples);
	/* what the index path pays for the rows of the table */
	row_cost = Max(order->path.total_cost - order->indextotalcost, 0) /
			   Max(tuples * order->indexselectivity, 1);
	AnnMaskedCost(order->indexinfo, share, &search_startup, &search_total);
	mask_cost = bitmap_cost + search_startup +
				BITMAP_PAGE_ROWS * cpu_tuple_cost *
					index_pages_fetched(ceil(tuples * bitmap_share), Max(rel->pages, 1), 0, root);
	/* few rows are all fetched, as a bitmap heap scan does */
	if (tuples * share <= MASK_EXACT_ROWS)
		mask_cost = Max(mask_cost, bitmap->path.total_cost + cpu_operator_cost * tuples * share);

	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info = NULL;
	path->path.parallel_aware = false;
	path->path.parallel_safe = rel->consider_parallel;
	path->path.parallel_workers = 0;
	path->path.pathkeys = order->path.pathkeys;
	path->path.rows = rel->rows;
	if (post)
	{
		path->path.startup_cost = order->path.startup_cost;
		path->path.total_cost = order->path.startup_cost + (order->path.total_cost - order->path.startup_cost) * POST_SHARE;
	}
	else
	{
		path->path.startup_cost = mask_cost + rel->reltarget->cost.startup;
		path->path.total_cost = path->path.startup_cost + search_total - search_startup +
								tuples * share * row_cost +
								path->path.rows * rel->reltarget->cost.per_tuple;
	}
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = &path_methods;
	path->custom_paths = list_make2(order, bitmap);
	path->custom_private =
		list_make5_int(post, root->limit_tuples > 0 ? (int) Min(root->limit_tuples, INT_MAX) : 0,
					   hundredths(mask_cost), hundredths(row_cost),
					   (int) Min(MAX_EXPECTED, Max(root->limit_tuples, 0) * order->indexselectivity * tuples /
												   Max(rel->rows, 1)));
	return path;
}

static void
add_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	List *others = NIL;
	List *ours = NIL;
	BitmapHeapPath *bitmap = NULL;
	ListCell *cell;

	if (next_hook != NULL)
		next_hook(root, rel, rti, rte);
	if (!milvus_settings.enable_masked_search || !enable_indexscan || !enable_bitmapscan ||
		rel->rtekind != RTE_RELATION || rte->inh || rte->tablesample != NULL ||
		root->query_pathkeys == NIL || rel->baserestrictinfo == NIL || rel->lateral_relids != NULL)
		return;
	foreach (cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		if (!AnnIsOurIndexInfo(index))
			others = lappend(others, index);
		else if (index->indpred == NIL || index->predOK)
			ours = lappend(ours, index);
	}
	if (others == NIL)
		return;
	foreach (cell, ours)
	{
		IndexOptInfo *index = lfirst(cell);
		IndexPath *order = ordered_path(rel->pathlist, index);

		/* it may have lost against another path in this order */
		if (order == NULL)
			order = ordered_path(index_paths(root, rel, list_make1(index)), index);
		if (order == NULL || answers_all(order, rel))
			continue;
		if (bitmap == NULL)
			bitmap = bitmap_path(root, rel, others);
		if (bitmap == NULL)
			return;
		add_path(rel, (Path *) make_path(root, rel, order, bitmap, false));
		add_path(rel, (Path *) make_path(root, rel, order, bitmap, true));
	}
}

/* A scan without the node that constant conditions were put into. */
static Plan *
below_gating(Plan *plan)
{
	return IsA(plan, Result) ? outerPlan(plan) : plan;
}

/*
 * The index scan is kept for its keys; it returns the table's rows as they are.  Of the bitmap heap
 * scan what makes the bitmap is kept.  All conditions are tested on each row, so it does not matter
 * what the bitmap answers, nor whether it is lossy.
 */
static Plan *
plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
		  List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	Plan *index = below_gating(list_nth(custom_plans, MASK_CHILD_INDEX));
	Plan *heap = below_gating(list_nth(custom_plans, MASK_CHILD_BITMAP));

	Assert(IsA(index, IndexScan) && IsA(heap, BitmapHeapScan));
	index->targetlist = NIL;
	index->qual = NIL;
	scan->scan.scanrelid = rel->relid;
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->flags = path->flags;
	scan->methods = &MaskScanMethods;
	scan->custom_private = path->custom_private;
	scan->custom_plans = list_make2(index, outerPlan(heap));
	return &scan->scan.plan;
}

/* These paths have no parameters that could become a child's. */
static List *
keep_private(PlannerInfo *root, List *custom_private, RelOptInfo *child)
{
	return custom_private;
}

void
MaskInstall(void)
{
	RegisterCustomScanMethods(&MaskScanMethods);
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_paths;
}
