/*
 * columnplan.c
 *		Custom Scan (MilvusColumns): paths and plans.
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_class.h"
#include "guc.h"
#include "nodes/extensible.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "planner/columnscan_internal.h"
#include "port/pg_bitutils.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static set_rel_pathlist_hook_type next_hook;
static planner_hook_type next_planner;

/* A statement is being planned whose scan has to be one that goes backwards. */
static bool scrolls;

static CustomPathMethods column_path_methods;

/*
 * Share of the table's blocks that are pure now.
 */
void
ColumnGetShape(RelOptInfo *rel, Oid relid, ColumnTableShape *shape)
{
	Relation	table = table_open(relid, NoLock);
	BlockNumber nblocks = rel->pages;
	uint64	   *pure = TableMapRead(table, nblocks);
	uint64		n = pg_popcount((const char *) pure, (int) (((Size) nblocks + 63) / 64 * sizeof(uint64)));

	table_close(table, NoLock);
	pfree(pure);
	shape->pages = nblocks;
	shape->mixed_pages = nblocks - (double) n;
	shape->column_rows = nblocks > 0 ? rel->tuples * (double) n / nblocks : 0;
	shape->tuple_rows = rel->tuples - shape->column_rows;
}

/* Average bytes of the columns that are asked for. */
static double
columns_width(RelOptInfo *rel, Oid relid, List *columns, List *rest)
{
	Bitmapset  *attrs = NULL;
	Relation	table = table_open(relid, NoLock);
	double		width = 0;
	int			attr = -1;
	List	   *exprs = list_concat(list_copy(rel->reltarget->exprs),
									list_concat(get_actual_clauses(columns), extract_actual_clauses(rest, false)));

	attrs = ColumnAttrs((Node *) exprs, rel->relid, RelationGetDescr(table));
	while ((attr = bms_next_member(attrs, attr)) >= 0)
	{
		int32		w = attr <= rel->max_attr ? rel->attr_widths[attr - rel->min_attr] : 0;

		width += w > 0 ? w : get_attavgwidth(relid, (AttrNumber) attr) > 0 ? get_attavgwidth(relid, (AttrNumber) attr) :
			get_typavgwidth(TupleDescAttr(RelationGetDescr(table), attr - 1)->atttypid, -1);
	}
	table_close(table, NoLock);
	return width;
}

static void
set_costs(PlannerInfo *root, RelOptInfo *rel, Oid relid, Path *path, const ColumnTableShape *shape, List *rinfos,
		  int workers)
{
	List	   *columns;
	List	   *rest;
	QualCost	all;
	QualCost	of_rest;
	double		divisor = 1;
	double		selectivity;
	double		emitted;
	Cost		cpu;
	Cost		disk;
	double		column_bytes;

	ColumnQualSplit(root, rel, rinfos, &columns, &rest);
	cost_qual_eval(&all, rinfos, root);
	cost_qual_eval(&of_rest, rest, root);
	selectivity = clauselist_selectivity(root, columns, (int) rel->relid, JOIN_INNER, NULL);
	emitted = shape->column_rows * selectivity;
	column_bytes = columns_width(rel, relid, columns, rest) * shape->column_rows;

	disk = seq_page_cost * (shape->mixed_pages + COLUMN_PAGE_COST * column_bytes / BLCKSZ);
	cpu = shape->tuple_rows * (cpu_tuple_cost + all.per_tuple) +
		shape->column_rows * list_length(columns) * COLUMN_FILTER_COST * cpu_operator_cost +
		emitted * (COLUMN_ROW_COST * cpu_tuple_cost + of_rest.per_tuple);
	if (workers > 0)
	{
		double		leader = 1.0 - 0.3 * workers;

		divisor = workers + (parallel_leader_participation && leader > 0 ? leader : 0);
		cpu /= divisor;
	}
	path->startup_cost = all.startup + COLUMN_STARTUP_COST * cpu_operator_cost + path->pathtarget->cost.startup;
	path->rows = clamp_row_est((path->param_info ? path->param_info->ppi_rows : rel->rows) / divisor);
	path->total_cost = path->startup_cost + disk + cpu + path->pathtarget->cost.per_tuple * path->rows;
}

static CustomPath *
make_path(PlannerInfo *root, RelOptInfo *rel, Oid relid, const ColumnTableShape *shape, Relids outer, int workers)
{
	CustomPath *path = makeNode(CustomPath);
	List	   *rinfos = rel->baserestrictinfo;

	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info = get_baserel_parampathinfo(root, rel, outer);
	path->path.parallel_aware = workers > 0;
	path->path.parallel_safe = rel->consider_parallel;
	path->path.parallel_workers = workers;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = &column_path_methods;
	if (path->path.param_info != NULL)
		rinfos = list_concat_copy(rinfos, path->path.param_info->ppi_clauses);
	set_costs(root, rel, relid, &path->path, shape, rinfos, workers);
	return path;
}

CustomPath *
ColumnMakePath(PlannerInfo *root, RelOptInfo *rel, Oid relid, const ColumnTableShape *shape)
{
	return make_path(root, rel, relid, shape, NULL, 0);
}

static void
add_column_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	ColumnTableShape	shape;
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(root, rel, rti, rte);
	if (!milvus_settings.enable_column_scan || scrolls || !ColumnScanPossible(root, rel, rte))
		return;

	/* nothing to win where an index finds a few rows */
	foreach(cell, rel->pathlist)
		if (enable_seqscan && ((Path *) lfirst(cell))->total_cost < COLUMN_STARTUP_COST * cpu_operator_cost)
			return;
	ColumnGetShape(rel, rte->relid, &shape);
	/* the same as a sequential scan, but slower: only for those who do not want that */
	if (shape.column_rows == 0 && enable_seqscan)
		return;
	add_path(rel, (Path *) make_path(root, rel, rte->relid, &shape, rel->lateral_relids, 0));
	if (rel->consider_parallel && bms_is_empty(rel->lateral_relids))
	{
		double		pages = shape.mixed_pages + shape.column_rows * (8 + rel->reltarget->width) / BLCKSZ;
		int			workers = compute_parallel_worker(rel, pages, -1, max_parallel_workers_per_gather);

		if (workers > 0)
			add_partial_path(rel, (Path *) make_path(root, rel, rte->relid, &shape, NULL, workers));
	}
}

static Plan *
make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist, List *clauses,
		  List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	List	   *columns;
	List	   *rest;

	ColumnQualSplit(root, rel, clauses, &columns, &rest);
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(rest, false);
	scan->scan.scanrelid = rel->relid;
	scan->flags = best_path->flags;
	scan->custom_exprs = get_actual_clauses(columns);
	scan->methods = &column_scan_methods;
	return &scan->scan.plan;
}

/*
 * May rows of this query be updated WHERE CURRENT OF its cursor, though they are not locked?  As
 * ExecCurrentOf has it: a scan of one table, with conditions and LIMIT.
 */
static bool
simply_updatable(Query *query)
{
	RangeTblRef *ref;
	RangeTblEntry *rte;

	if (query->commandType != CMD_SELECT || query->rowMarks != NIL || query->setOperations != NULL ||
		query->hasAggs || query->hasWindowFuncs || query->groupClause != NIL || query->groupingSets != NIL ||
		query->distinctClause != NIL || query->sortClause != NIL || query->jointree == NULL ||
		list_length(query->jointree->fromlist) != 1)
		return false;
	ref = linitial(query->jointree->fromlist);
	if (!IsA(ref, RangeTblRef))
		return false;
	rte = rt_fetch(ref->rtindex, query->rtable);
	return rte->rtekind == RTE_RELATION ||
		(rte->rtekind == RTE_SUBQUERY && simply_updatable(rte->subquery));
}

/*
 * A SCROLL cursor over a scan by column, which goes forward only, reads from a Material node, and
 * ExecCurrentOf does not look through one.  Such a cursor gets the scans that a heap table has.
 */
static PlannedStmt *
plan_statement(Query *parse, const char *query_string, int options, ParamListInfo params)
{
	bool		saved = scrolls;
	PlannedStmt *stmt;

	scrolls = (options & CURSOR_OPT_SCROLL) != 0 && simply_updatable(parse);
	PG_TRY();
	{
		stmt = next_planner != NULL ? next_planner(parse, query_string, options, params) :
			standard_planner(parse, query_string, options, params);
	}
	PG_FINALLY();
	{
		scrolls = saved;
	}
	PG_END_TRY();
	return stmt;
}

/* Nothing of the path refers to the parent. */
static List *
reparameterize(PlannerInfo *root, List *custom_private, RelOptInfo *child_rel)
{
	return custom_private;
}

static CustomPathMethods column_path_methods = {
	.CustomName = "MilvusColumns",
	.PlanCustomPath = make_plan,
	.ReparameterizeCustomPathByChild = reparameterize,
};

void
ColumnScanInstall(void)
{
	RegisterCustomScanMethods(&column_scan_methods);
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_column_paths;
	next_planner = planner_hook;
	planner_hook = plan_statement;
	ColumnAggregateInstall();
}
