/*
 * columnqual.c
 *		Which conditions column filters can evaluate, and their translation.
 *
 * The translator is the same at planning, where only its success matters, and at the
 * beginning of execution.  It knows operators by their place in the type's default btree
 * family, and takes built-in ones only: these neither raise errors nor look at anything
 * but the values, so that filters may evaluate them for rows that nobody asks for.
 * Whether they may run before other conditions is decided by security level as for
 * conditions of an index.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "planner/columnscan_internal.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static ColumnFilter *build(Node *clause, Index varno, bool negated, bool top);

/*
 * How a type's values compare and lie in a view.
 */
ColumnOrder
ColumnOrderOfType(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case CHAROID:
			return ORDER_UINT8;
		case INT2OID:
			return ORDER_INT16;
		case INT4OID:
		case DATEOID:
			return ORDER_INT32;
		case INT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case CASHOID:
			return ORDER_INT64;
		case OIDOID:
			return ORDER_UINT32;
		case FLOAT4OID:
			return ORDER_FLOAT4;
		case FLOAT8OID:
			return ORDER_FLOAT8;
		case TEXTOID:
		case VARCHAROID:
		case BYTEAOID:
			return ORDER_BYTES;
		case BPCHAROID:
			return ORDER_PADDED;
		case UUIDOID:
			return ORDER_FIXED;
		default:
			return type_is_enum(type) ? ORDER_UINT32 : ORDER_NONE;
	}
}

static Node *
strip_relabel(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

/* An attribute of the relation, possibly relabeled, or NULL. */
static Var *
column_of(Node *node, Index varno)
{
	Var		   *var = (Var *) strip_relabel(node);

	if (var != NULL && IsA(var, Var) && var->varno == (int) varno && var->varlevelsup == 0 && var->varattno > 0)
		return var;
	return NULL;
}

static bool
refers_to_walker(Node *node, Index *varno)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno == (int) *varno && ((Var *) node)->varlevelsup == 0;
	return expression_tree_walker(node, refers_to_walker, varno);
}

/*
 * Can an expression be evaluated once before the scan?  One that could raise an error
 * must not be behind an OR that might keep it from being evaluated.
 */
static bool
is_operand(Node *node, Index varno, bool top)
{
	Node	   *bare = strip_relabel(node);

	if (IsA(bare, Const) || IsA(bare, Param))
		return true;
	if (IsA(bare, Var))
		return !refers_to_walker(bare, &varno);
	if (IsA(bare, ArrayExpr))
	{
		ListCell   *cell;
		bool		plain = true;

		foreach(cell, ((ArrayExpr *) bare)->elements)
			plain &= is_operand(lfirst(cell), varno, false);
		if (plain)
			return true;
	}
	return top && !refers_to_walker(node, &varno) && !contain_volatile_functions(node) &&
		!contain_subplans(node);
}

/* Is equality under a collation equality of bytes? */
static bool
is_deterministic(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

/* Is order under a collation that of bytes? */
static bool
is_bytewise(Oid collation)
{
	return !OidIsValid(collation) || MilvusCollationIsBytewise(collation);
}

/*
 * Can a value of `operand` be brought to what is compared with values of `column`, under
 * the operator of these two types?  ColumnFilterBind does it.
 */
static bool
types_compare(Oid column, Oid operand)
{
	if (column == operand)
		return true;
	switch (column)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return operand == INT2OID || operand == INT4OID || operand == INT8OID;
		case FLOAT4OID:
		case FLOAT8OID:
			return operand == FLOAT4OID || operand == FLOAT8OID;
		case TIMESTAMPOID:
			return operand == DATEOID;
		case TIMESTAMPTZOID:
			return operand == DATEOID || operand == TIMESTAMPOID;
		default:
			return type_is_enum(column) && operand == ANYENUMOID;
	}
}

/*
 * What a btree comparison says: its types, and FILTER_EQ .. FILTER_GE, or FILTER_NE when it
 * is the negator of an equality.
 */
static bool
describe_operator(Oid opno, Oid column_type, FilterOp *op, Oid *left, Oid *right)
{
	TypeCacheEntry *entry = lookup_type_cache(column_type, TYPECACHE_BTREE_OPFAMILY);
	Oid			family = entry->btree_opf;
	int			strategy;

	if (!OidIsValid(family) || opno >= FirstUnpinnedObjectId)
		return false;
	if (op_in_opfamily(opno, family))
	{
		get_op_opfamily_properties(opno, family, false, &strategy, left, right);
		switch (strategy)
		{
			case BTLessStrategyNumber:
				*op = FILTER_LT;
				return true;
			case BTLessEqualStrategyNumber:
				*op = FILTER_LE;
				return true;
			case BTEqualStrategyNumber:
				*op = FILTER_EQ;
				return true;
			case BTGreaterEqualStrategyNumber:
				*op = FILTER_GE;
				return true;
			case BTGreaterStrategyNumber:
				*op = FILTER_GT;
				return true;
			default:
				return false;
		}
	}
	opno = get_negator(opno);
	if (!OidIsValid(opno) || !op_in_opfamily(opno, family))
		return false;
	get_op_opfamily_properties(opno, family, false, &strategy, left, right);
	*op = FILTER_NE;
	return strategy == BTEqualStrategyNumber;
}

static ColumnFilter *
make_leaf(ColumnFilterKind kind, const Var *var, ColumnOrder order, bool negated)
{
	ColumnFilter *filter = palloc0(sizeof(ColumnFilter));

	filter->kind = kind;
	filter->attnum = var->varattno;
	filter->order = order;
	filter->negated = negated;
	return filter;
}

static ColumnFilter *
make_null_test(const Var *var, bool negated)
{
	return make_leaf(COLUMN_NULL, var, ORDER_NONE, negated);
}

/* Of one child, the child; NULL among the children: NULL. */
static ColumnFilter *
make_list(ColumnFilterKind kind, List *children)
{
	ColumnFilter *filter;

	if (list_member_ptr(children, NULL))
		return NULL;
	filter = palloc0(sizeof(ColumnFilter));
	filter->kind = kind;
	filter->children = children;
	return filter;
}

/*
 * column [NOT] LIKE 'prefix%', column ^@ prefix; without % at the end an equality of the
 * bytes as they are.
 */
static ColumnFilter *
build_prefix(OpExpr *clause, Index varno, bool negated)
{
	Oid			function = get_opcode(clause->opno);
	Var		   *var = column_of(linitial(clause->args), varno);
	Const	   *pattern = (Const *) strip_relabel(lsecond(clause->args));
	bool		like = function == F_TEXTLIKE || function == F_BPCHARLIKE;
	bool		not_like = function == F_TEXTNLIKE || function == F_BPCHARNLIKE;
	ColumnFilter *filter;
	char	   *from;
	char	   *to;
	uint8	   *prefix;
	int			n = 0;
	int			left;

	if ((!like && !not_like && function != F_STARTS_WITH) || var == NULL || !IsA(pattern, Const) ||
		pattern->constisnull || pattern->consttype != TEXTOID || !is_deterministic(clause->inputcollid))
		return NULL;
	filter = make_leaf(COLUMN_PREFIX, var, ORDER_BYTES, negated != not_like);
	from = VARDATA_ANY(DatumGetTextPP(pattern->constvalue));
	left = (int) VARSIZE_ANY_EXHDR(DatumGetTextPP(pattern->constvalue));
	to = from + left;
	prefix = palloc((Size) left + 1);
	if (function == F_STARTS_WITH)
	{
		memcpy(prefix, from, (Size) left);
		n = left;
	}
	else
	{
		while (from < to && *from != '%')
		{
			if (*from == '_' || (*from == '\\' && ++from == to))
				return NULL;
			prefix[n++] = (uint8) *from++;
		}
		/* op says whether something may follow */
		filter->op = from == to ? FILTER_EQ : FILTER_GE;
		for (; from < to; from++)
			if (*from != '%')
				return NULL;
	}
	if (function == F_STARTS_WITH)
		filter->op = FILTER_GE;
	filter->bytes.data = prefix;
	filter->bytes.length = (uint32) n;
	return filter;
}

static ColumnFilter *
build_comparison(OpExpr *clause, Index varno, bool negated, bool top)
{
	Node	   *left;
	Node	   *right;
	Oid			opno = clause->opno;
	Oid			left_type;
	Oid			right_type;
	Oid			type;
	FilterOp	op;
	Var		   *var;
	ColumnOrder order;
	ColumnFilter *filter;

	if (list_length(clause->args) != 2)
		return NULL;
	left = linitial(clause->args);
	right = lsecond(clause->args);
	var = column_of(left, varno);
	if (var == NULL || !is_operand(right, varno, top))
	{
		Node	   *swap = left;

		left = right;
		right = swap;
		opno = get_commutator(opno);
		var = column_of(left, varno);
		if (!OidIsValid(opno) || var == NULL || !is_operand(right, varno, top))
			return NULL;
	}
	type = getBaseType(exprType(left));
	order = ColumnOrderOfType(type);
	if (order == ORDER_NONE)
		return NULL;
	if (!describe_operator(opno, type, &op, &left_type, &right_type))
		return opno == clause->opno && order != ORDER_FIXED ? build_prefix(clause, varno, negated) : NULL;
	if (type_is_enum(type))
	{
		if (op != FILTER_EQ && op != FILTER_NE)
			return NULL;
		right_type = type;
	}
	else if (ColumnOrderOfType(left_type) != order || !types_compare(left_type, right_type))
		return NULL;
	if (order == ORDER_BYTES || order == ORDER_PADDED)
	{
		/* the collation of equality has no say when it is deterministic */
		if (op == FILTER_EQ || op == FILTER_NE ? !is_deterministic(clause->inputcollid) :
			!is_bytewise(clause->inputcollid))
			return NULL;
		if (right_type != left_type)
			return NULL;
	}
	if (op == FILTER_NE)
	{
		op = FILTER_EQ;
		negated = !negated;
	}
	filter = make_leaf(COLUMN_COMPARE, var, order, negated);
	filter->op = op;
	filter->column_type = type_is_enum(type) ? type : left_type;
	filter->operand_type = right_type;
	filter->operand = (Expr *) right;
	return filter;
}

/*
 * column = ANY (array), column <> ALL (array).
 */
static ColumnFilter *
build_list(ScalarArrayOpExpr *clause, Index varno, bool negated, bool top)
{
	Node	   *array = lsecond(clause->args);
	Var		   *var = column_of(linitial(clause->args), varno);
	Oid			left_type;
	Oid			right_type;
	Oid			type;
	Oid			element;
	FilterOp	op;
	ColumnOrder order;
	ColumnFilter *filter;

	if (var == NULL || !is_operand(array, varno, top))
		return NULL;
	type = getBaseType(exprType(linitial(clause->args)));
	order = ColumnOrderOfType(type);
	element = get_base_element_type(exprType(array));
	if (order == ORDER_NONE || !OidIsValid(element) ||
		!describe_operator(clause->opno, type, &op, &left_type, &right_type) ||
		op != (clause->useOr ? FILTER_EQ : FILTER_NE))
		return NULL;
	if (type_is_enum(type))
		right_type = left_type = type;
	else if (ColumnOrderOfType(left_type) != order || !types_compare(left_type, right_type))
		return NULL;
	if (getBaseType(element) != right_type && !(right_type == TEXTOID && getBaseType(element) == VARCHAROID))
		return NULL;
	if ((order == ORDER_BYTES || order == ORDER_PADDED) &&
		(!is_deterministic(clause->inputcollid) || right_type != left_type))
		return NULL;
	filter = make_leaf(COLUMN_IN, var, order, negated != (op == FILTER_NE));
	filter->op = FILTER_EQ;
	filter->column_type = left_type;
	filter->operand_type = right_type;
	filter->operand = (Expr *) array;
	return filter;
}

/* column = value, of a boolean column. */
static ColumnFilter *
build_boolean(const Var *var, bool value)
{
	ColumnFilter *filter = make_leaf(COLUMN_COMPARE, var, ORDER_UINT8, false);

	filter->op = FILTER_EQ;
	filter->column_type = filter->operand_type = BOOLOID;
	filter->operand = (Expr *) makeBoolConst(value, false);
	return filter;
}

static ColumnFilter *
build_boolean_test(BooleanTest *test, Index varno, bool negated)
{
	Var		   *var = column_of((Node *) test->arg, varno);
	bool		opposite = test->booltesttype == IS_NOT_TRUE || test->booltesttype == IS_NOT_FALSE ||
		test->booltesttype == IS_NOT_UNKNOWN;
	bool		value = test->booltesttype == IS_TRUE || test->booltesttype == IS_NOT_TRUE;

	if (var == NULL)
		return NULL;
	if (test->booltesttype == IS_UNKNOWN || test->booltesttype == IS_NOT_UNKNOWN)
		return make_null_test(var, negated != opposite);
	if (negated == opposite)
		return build_boolean(var, value);
	/* anything but the value */
	return make_list(COLUMN_OR, list_make2(build_boolean(var, !value), make_null_test(var, false)));
}

static ColumnFilter *
build_boolean_list(BoolExpr *expr, Index varno, bool negated, bool top)
{
	bool		both = (expr->boolop == AND_EXPR) != negated;
	List	   *children = NIL;
	ListCell   *cell;

	if (expr->boolop == NOT_EXPR)
		return build(linitial(expr->args), varno, !negated, false);
	foreach(cell, expr->args)
		children = lappend(children, build(lfirst(cell), varno, negated, top && both));
	return make_list(both ? COLUMN_AND : COLUMN_OR, children);
}

/*
 * The filter that is true where clause is (negated: where clause is false), or NULL.
 */
static ColumnFilter *
build(Node *clause, Index varno, bool negated, bool top)
{
	Var		   *var;

	if (clause == NULL)
		return NULL;
	check_stack_depth();
	switch (nodeTag(clause))
	{
		case T_OpExpr:
			return build_comparison((OpExpr *) clause, varno, negated, top);
		case T_ScalarArrayOpExpr:
			return build_list((ScalarArrayOpExpr *) clause, varno, negated, top);
		case T_BoolExpr:
			return build_boolean_list((BoolExpr *) clause, varno, negated, top);
		case T_BooleanTest:
			return build_boolean_test((BooleanTest *) clause, varno, negated);
		case T_NullTest:
			var = column_of((Node *) ((NullTest *) clause)->arg, varno);
			if (var == NULL || ((NullTest *) clause)->argisrow)
				return NULL;
			return make_null_test(var, negated != (((NullTest *) clause)->nulltesttype == IS_NOT_NULL));
		case T_Var:
		case T_RelabelType:
			var = column_of(clause, varno);
			if (var == NULL || getBaseType(exprType(clause)) != BOOLOID)
				return NULL;
			return build_boolean(var, !negated);
		default:
			return NULL;
	}
}

ColumnFilter *
ColumnFilterBuild(Node *clause, Index varno)
{
	return build(clause, varno, false, true);
}

ColumnFilter *
ColumnFilterBuildList(List *clauses, Index varno)
{
	List	   *children = NIL;
	ListCell   *cell;

	foreach(cell, clauses)
		children = lappend(children, ColumnFilterBuild(lfirst(cell), varno));
	if (list_length(children) <= 1)
		return children == NIL ? NULL : linitial(children);
	return make_list(COLUMN_AND, children);
}

/* ---- planning ---- */

static bool
contains_current_of(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CurrentOfExpr))
		return true;
	return expression_tree_walker(node, contains_current_of, context);
}

bool
ColumnScanPossible(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	Bitmapset  *attrs = NULL;
	int			attr = -1;
	ListCell   *cell;
	Relation	table;
	bool		ours;

	if (rte->rtekind != RTE_RELATION || rte->inh || rte->tablesample != NULL || rel->relid == 0 ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW))
		return false;
	table = table_open(rte->relid, NoLock);
	ours = TableIsMilvus(table);
	table_close(table, NoLock);
	if (!ours)
		return false;
	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &attrs);
	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (contains_current_of((Node *) rinfo->clause, NULL))
			return false;
		pull_varattnos((Node *) rinfo->clause, rel->relid, &attrs);
	}
	while ((attr = bms_next_member(attrs, attr)) >= 0)
	{
		int			attnum = attr + FirstLowInvalidHeapAttributeNumber;

		if (attnum < 0 && attnum != SelfItemPointerAttributeNumber && attnum != TableOidAttributeNumber)
			return false;
	}
	return true;
}

void
ColumnQualSplit(PlannerInfo *root, RelOptInfo *rel, List *rinfos, List **columns, List **rest)
{
	ListCell   *cell;

	*columns = *rest = NIL;
	foreach(cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (!rinfo->pseudoconstant && restriction_is_securely_promotable(rinfo, rel) &&
			ColumnFilterBuild((Node *) rinfo->clause, rel->relid) != NULL)
			*columns = lappend(*columns, rinfo);
		else
			*rest = lappend(*rest, rinfo);
	}
}

Bitmapset *
ColumnAttrs(Node *exprs, Index varno, TupleDesc desc)
{
	Bitmapset  *found = NULL;
	Bitmapset  *attrs = NULL;
	int			attr = -1;

	pull_varattnos(exprs, varno, &found);
	while ((attr = bms_next_member(found, attr)) >= 0)
	{
		int			attnum = attr + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			attrs = bms_add_member(attrs, attnum);
		else if (attnum == InvalidAttrNumber)
			for (int i = 1; i <= desc->natts; i++)
				if (!TupleDescAttr(desc, i - 1)->attisdropped)
					attrs = bms_add_member(attrs, i);
	}
	bms_free(found);
	return attrs;
}
