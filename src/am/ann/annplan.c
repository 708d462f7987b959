/*
 * annplan.c
 *		Index conditions that the planner does not find by itself.
 *
 * Three kinds of WHERE clauses on a scalar column can be answered by the index,
 * but the planner does not put them together with the order by distance:
 *
 *	- column IN (list), on a column that is not the first: up to PostgreSQL 16 the
 *	  planner takes the order of an index as lost with such a condition;
 *	- constant = ANY (array column): it has no index form; the same rows match
 *	  array column @> ARRAY[constant];
 *	- a boolean column by itself, or NOT it: only btree's own family is known to
 *	  mean column = true.
 *
 * So paths of an ann index are made once more after the planner's own, and such
 * clauses are added to the conditions of each.
 */
#include "postgres.h"

#include "am/ann/annattr.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static set_rel_pathlist_hook_type next_hook;

static Node *
strip_relabel(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* Whether an expression is the same for all rows of a relation. */
static bool
is_constant_for(PlannerInfo *root, Node *node, RelOptInfo *rel)
{
	return !bms_is_member(rel->relid, pull_varnos(root, node)) && !contain_volatile_functions(node);
}

/*
 * A condition that holds for the same rows as a clause, as a clause of its own:
 * its estimates are those of the original.
 */
static RestrictInfo *
derive_clause(PlannerInfo *root, RestrictInfo *original, Expr *clause)
{
	RestrictInfo *derived = make_simple_restrictinfo(root, clause);

	derived->security_level = original->security_level;
	/* its operator is another one */
	derived->leakproof = original->security_level > 0 && !contain_leaked_vars((Node *) clause);
	derived->norm_selec = original->norm_selec;
	derived->outer_selec = original->outer_selec;
	return derived;
}

/*
 * constant = ANY (array column), as column @> ARRAY[constant].
 */
static RestrictInfo *
match_array_member(PlannerInfo *root, RestrictInfo *rinfo, ScalarArrayOpExpr *clause,
				   IndexOptInfo *index, int column)
{
	Node	   *constant = linitial(clause->args);
	Node	   *array = lsecond(clause->args);
	Oid			array_type = exprType(array);
	Oid			element = get_base_element_type(array_type);
	TypeCacheEntry *entry;
	ArrayExpr  *list;
	Oid			contains;

	if (!clause->useOr || index->opcintype[column] != ANYARRAYOID || !OidIsValid(element) ||
		!match_index_to_operand(array, column, index) ||
		!is_constant_for(root, constant, index->rel) ||
		exprType(constant) != element)
		return NULL;
	entry = lookup_type_cache(element, TYPECACHE_EQ_OPR);
	if (clause->opno != entry->eq_opr ||
		(OidIsValid(index->indexcollations[column]) && index->indexcollations[column] != clause->inputcollid))
		return NULL;
	contains = get_opfamily_member(index->opfamily[column], ANYARRAYOID, ANYARRAYOID, ANN_ARRAY_CONTAINS);
	if (!OidIsValid(contains))
		return NULL;
	list = makeNode(ArrayExpr);
	list->array_typeid = get_array_type(element);
	list->array_collid = exprCollation(array);
	list->element_typeid = element;
	list->elements = list_make1(copyObject(constant));
	list->location = -1;
	return derive_clause(root, rinfo,
						 make_opclause(contains, BOOLOID, false, (Expr *) copyObject(array),
									   (Expr *) eval_const_expressions(root, (Node *) list),
									   InvalidOid, clause->inputcollid));
}

/*
 * column IN (list).
 */
static RestrictInfo *
match_list(PlannerInfo *root, RestrictInfo *rinfo, ScalarArrayOpExpr *clause, IndexOptInfo *index, int column)
{
	if (!clause->useOr || index->opcintype[column] == ANYARRAYOID ||
		!match_index_to_operand(linitial(clause->args), column, index) ||
		!is_constant_for(root, lsecond(clause->args), index->rel) ||
		!op_in_opfamily(clause->opno, index->opfamily[column]) ||
		(OidIsValid(index->indexcollations[column]) && index->indexcollations[column] != clause->inputcollid))
		return NULL;
	return rinfo;
}

/*
 * A boolean column, NOT it, it IS TRUE, it IS FALSE.
 */
static RestrictInfo *
match_boolean(PlannerInfo *root, RestrictInfo *rinfo, Node *clause, IndexOptInfo *index, int column)
{
	Node	   *operand = clause;
	bool		value = true;
	Oid			equal;

	if (index->opcintype[column] != BOOLOID)
		return NULL;
	if (is_notclause(clause))
	{
		operand = (Node *) get_notclausearg(clause);
		value = false;
	}
	else if (IsA(clause, BooleanTest))
	{
		BooleanTest *test = (BooleanTest *) clause;

		if (test->booltesttype != IS_TRUE && test->booltesttype != IS_FALSE)
			return NULL;
		operand = (Node *) test->arg;
		value = test->booltesttype == IS_TRUE;
	}
	if (exprType(operand) != BOOLOID || !match_index_to_operand(operand, column, index))
		return NULL;
	equal = get_opfamily_member(index->opfamily[column], BOOLOID, BOOLOID, BTEqualStrategyNumber);
	if (!OidIsValid(equal))
		return NULL;
	return derive_clause(root, rinfo,
						 make_opclause(equal, BOOLOID, false, (Expr *) copyObject(strip_relabel(operand)),
									   (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid));
}

/*
 * What a clause says of a column in index form, or NULL.
 */
static IndexClause *
match_clause(PlannerInfo *root, RestrictInfo *rinfo, IndexOptInfo *index, int column)
{
	Node	   *clause = (Node *) rinfo->clause;
	RestrictInfo *qual = NULL;
	IndexClause *result;

	if (IsA(clause, ScalarArrayOpExpr))
	{
		qual = match_list(root, rinfo, (ScalarArrayOpExpr *) clause, index, column);
		if (qual == NULL)
			qual = match_array_member(root, rinfo, (ScalarArrayOpExpr *) clause, index, column);
	}
	else
		qual = match_boolean(root, rinfo, clause, index, column);
	/* what runs before a policy's conditions must not leak: what is derived, too */
	if (qual == NULL || !restriction_is_securely_promotable(qual, index->rel))
		return NULL;
	result = makeNode(IndexClause);
	result->rinfo = rinfo;
	result->indexquals = list_make1(qual);
	result->lossy = false;
	result->indexcol = column;
	result->indexcols = NIL;
	return result;
}

/*
 * The clauses of a relation that can be added to the paths of an index, one each.
 */
static List *
find_clauses(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index)
{
	List	   *result = NIL;
	ListCell   *cell;

	foreach(cell, index->indrestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (rinfo->pseudoconstant || !restriction_is_securely_promotable(rinfo, rel))
			continue;
		for (int column = 1; column < index->nkeycolumns; column++)
		{
			IndexClause *clause = match_clause(root, rinfo, index, column);

			if (clause != NULL)
			{
				result = lappend(result, clause);
				break;
			}
		}
	}
	return result;
}

static int
compare_columns(const ListCell *a, const ListCell *b)
{
	return ((IndexClause *) lfirst(a))->indexcol - ((IndexClause *) lfirst(b))->indexcol;
}

/*
 * The conditions of a path and the found ones that it lacks, by column.
 */
static List *
join_clauses(IndexPath *path, List *found)
{
	List	   *joined = list_copy(path->indexclauses);
	ListCell   *cell;

	foreach(cell, found)
	{
		IndexClause *clause = lfirst(cell);
		bool		has = false;
		ListCell   *other;

		foreach(other, path->indexclauses)
			has |= ((IndexClause *) lfirst(other))->rinfo == clause->rinfo;
		if (!has)
			joined = lappend(joined, clause);
	}
	list_sort(joined, compare_columns);
	return joined;
}

/*
 * Make the planner's paths of one index again, by themselves, and of each that is
 * in order of distance one with the clauses found.
 */
static void
add_paths(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index, List *found)
{
	List	   *indexes = rel->indexlist;
	List	   *paths = rel->pathlist;
	List	   *partial_paths = rel->partial_pathlist;
	List	   *made;
	ListCell   *cell;

	rel->indexlist = list_make1(index);
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	create_index_paths(root, rel);
	made = rel->pathlist;
	rel->indexlist = indexes;
	rel->pathlist = paths;
	rel->partial_pathlist = partial_paths;

	foreach(cell, made)
	{
		IndexPath  *path = lfirst(cell);
		List	   *clauses;

		if (!IsA(path, IndexPath) || path->indexorderbys == NIL)
			continue;
		clauses = join_clauses(path, found);
		if (list_length(clauses) == list_length(path->indexclauses))
			continue;
		add_path(rel, (Path *) create_index_path(root, index, clauses, path->indexorderbys,
												 path->indexorderbycols, path->path.pathkeys,
												 path->indexscandir, false,
												 PATH_REQ_OUTER(&path->path), 1.0, false));
	}
}

static void
add_ann_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(root, rel, rti, rte);
	if (rel->rtekind != RTE_RELATION || rte->inh || root->query_pathkeys == NIL)
		return;
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);
		List	   *found;

		if (index->amcostestimate != anncostestimate || index->nkeycolumns < 2 ||
			(index->indpred != NIL && !index->predOK))
			continue;
		found = find_clauses(root, rel, index);
		if (found != NIL)
			add_paths(root, rel, index, found);
	}
}

void
AnnInstallPlannerHook(void)
{
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_ann_paths;
}
