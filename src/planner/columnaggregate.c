/*
 * columnaggregate.c
 *		Custom Scan (MilvusAggregate): count, sum, avg, min and max without GROUP BY over a
 *		scan by column, from the batches' bitmaps and the columns' arrays: no row is formed.
 *
 * The node stands above a MilvusColumns node, whose source of rows it drives itself.  It
 * is chosen when every condition is a column filter and every aggregate is one of
 * `known` over a plain column of the table; everything else is the server's Agg.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "compat.h"
#include "executor/executor.h"
#include "guc.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planner.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "planner/columnscan_internal.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"

/* cpu_operator_costs of an aggregate's value in an array. */
#define AGGREGATE_VALUE_COST 0.05

typedef enum AggregateKind
{
	AGGREGATE_COUNT_ROWS,
	AGGREGATE_COUNT,
	AGGREGATE_SUM,				/* of smallint, integer: bigint, as the server adds them */
	AGGREGATE_SUM_NUMERIC,		/* of bigint */
	AGGREGATE_AVG,
	AGGREGATE_MIN,
	AGGREGATE_MAX
} AggregateKind;

/* The aggregates that are known, and the width of the integers that their values are. */
static const struct
{
	Oid			function;
	AggregateKind kind;
	int			width;			/* 0: of any type */
}			known[] = {
	{F_COUNT_, AGGREGATE_COUNT_ROWS, 0},
	{F_COUNT_ANY, AGGREGATE_COUNT, 0},
	{F_SUM_INT2, AGGREGATE_SUM, 2},
	{F_SUM_INT4, AGGREGATE_SUM, 4},
	{F_SUM_INT8, AGGREGATE_SUM_NUMERIC, 8},
	{F_AVG_INT2, AGGREGATE_AVG, 2},
	{F_AVG_INT4, AGGREGATE_AVG, 4},
	{F_AVG_INT8, AGGREGATE_AVG, 8},
	{F_MIN_INT2, AGGREGATE_MIN, 2},
	{F_MIN_INT4, AGGREGATE_MIN, 4},
	{F_MIN_INT8, AGGREGATE_MIN, 8},
	{F_MIN_DATE, AGGREGATE_MIN, 4},
	{F_MIN_TIMESTAMP, AGGREGATE_MIN, 8},
	{F_MIN_TIMESTAMPTZ, AGGREGATE_MIN, 8},
	{F_MAX_INT2, AGGREGATE_MAX, 2},
	{F_MAX_INT4, AGGREGATE_MAX, 4},
	{F_MAX_INT8, AGGREGATE_MAX, 8},
	{F_MAX_DATE, AGGREGATE_MAX, 4},
	{F_MAX_TIMESTAMP, AGGREGATE_MAX, 8},
	{F_MAX_TIMESTAMPTZ, AGGREGATE_MAX, 8},
};

/* An aggregate at work. */
typedef struct Accumulator
{
	int			which;			/* of `known` */
	AttrNumber	attnum;			/* 0: count(*) */
	uint64		n;				/* rows, or values that are not null */
	int128		sum;
	int64		minimum;
	int64		maximum;
} Accumulator;

typedef struct AggregateState
{
	CustomScanState css;
	ColumnSource *source;		/* the child's */
	int			naccumulators;
	Accumulator *accumulators;
	AttrNumber	last_attr;
	bool		done;
} AggregateState;

static create_upper_paths_hook_type next_hook;
static CustomPathMethods aggregate_path_methods;
static CustomScanMethods aggregate_scan_methods;
static CustomExecMethods aggregate_exec_methods;

/* ---- planning ---- */

/* The aggregate's place in `known`, its column in *attnum; -1: it is for the server. */
static int
find_aggregate(const Aggref *aggref, Index relid, AttrNumber *attnum)
{
	const Var  *var;

	*attnum = 0;
	if (aggref->aggdirectargs != NIL || aggref->aggorder != NIL || aggref->aggdistinct != NIL ||
		aggref->aggfilter != NULL || aggref->aggvariadic || aggref->aggkind != AGGKIND_NORMAL ||
		aggref->agglevelsup != 0 || aggref->aggsplit != AGGSPLIT_SIMPLE)
		return -1;
	for (size_t i = 0; i < lengthof(known); i++)
	{
		if (known[i].function != aggref->aggfnoid)
			continue;
		if (known[i].kind == AGGREGATE_COUNT_ROWS)
			return (int) i;
		if (list_length(aggref->args) != 1)
			return -1;
		var = (const Var *) linitial_node(TargetEntry, aggref->args)->expr;
		if (!IsA(var, Var) || var->varno != (int) relid || var->varlevelsup != 0 || var->varattno <= 0)
			return -1;
		*attnum = var->varattno;
		return (int) i;
	}
	return -1;
}

/* Aggregates of an expression that is evaluated on their results alone; false: it needs more. */
static bool
collect_aggregates(PathTarget *target, Index relid, List **aggregates)
{
	List	   *found = pull_var_clause((Node *) target->exprs,
										PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS | PVC_INCLUDE_PLACEHOLDERS);
	ListCell   *cell;

	*aggregates = NIL;
	foreach(cell, found)
	{
		AttrNumber	attnum;

		if (!IsA(lfirst(cell), Aggref) || find_aggregate(lfirst(cell), relid, &attnum) < 0)
			return false;
		*aggregates = list_append_unique(*aggregates, lfirst(cell));
	}
	return *aggregates != NIL;
}

static void
add_aggregate_path(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output, void *extra)
{
	Query	   *parse = root->parse;
	RangeTblEntry *rte;
	List	   *aggregates;
	List	   *columns;
	List	   *rest;
	ColumnTableShape shape;
	CustomPath *child;
	CustomPath *path;
	double		by_column;

	if (next_hook != NULL)
		next_hook(root, stage, input, output, extra);
	if (stage != UPPERREL_GROUP_AGG || !milvus_settings.enable_column_scan || !parse->hasAggs || parse->groupClause != NIL ||
		parse->groupingSets != NIL || parse->havingQual != NULL || input->reloptkind != RELOPT_BASEREL ||
		!bms_is_empty(input->lateral_relids))
		return;
	rte = planner_rt_fetch(input->relid, root);
	if (IS_DUMMY_REL(input) || !ColumnScanPossible(root, input, rte) ||
		!collect_aggregates(output->reltarget, input->relid, &aggregates))
		return;
	ColumnQualSplit(root, input, input->baserestrictinfo, &columns, &rest);
	if (rest != NIL)
		return;
	ColumnGetShape(input, rte->relid, &shape);
	if (shape.column_rows == 0)
		return;

	child = ColumnMakePath(root, input, rte->relid, &shape);
	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = output;
	path->path.pathtarget = output->reltarget;
	path->path.parallel_safe = output->consider_parallel && child->path.parallel_safe;
	path->path.rows = 1;
	/* the child's rows are not formed */
	by_column = input->rows * shape.column_rows / Max(input->tuples, 1);
	path->path.startup_cost = child->path.total_cost - by_column * COLUMN_ROW_COST * cpu_tuple_cost +
		input->rows * AGGREGATE_VALUE_COST * cpu_operator_cost * list_length(aggregates) +
		output->reltarget->cost.startup;
	path->path.startup_cost = Max(path->path.startup_cost, child->path.startup_cost);
	path->path.total_cost = path->path.startup_cost + cpu_tuple_cost + output->reltarget->cost.per_tuple;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make1(child);
	path->custom_private = list_make2(aggregates, makeInteger((int) input->relid));
	path->methods = &aggregate_path_methods;
	add_path(output, &path->path);
}

static Plan *
make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	List	   *aggregates = linitial_node(List, path->custom_private);
	Index		relid = (Index) intVal(lsecond(path->custom_private));
	List	   *whiches = NIL;
	List	   *attnums = NIL;
	ListCell   *cell;

	foreach(cell, aggregates)
	{
		AttrNumber	attnum;
		int			which = find_aggregate(lfirst(cell), relid, &attnum);

		whiches = lappend_int(whiches, which);
		attnums = lappend_int(attnums, attnum);
	}
	scan->scan.plan.targetlist = tlist;
	scan->scan.scanrelid = 0;
	scan->flags = path->flags;
	scan->custom_plans = custom_plans;
	scan->custom_scan_tlist = add_to_flat_tlist(NIL, aggregates);
	scan->custom_private = list_make2(whiches, attnums);
	scan->methods = &aggregate_scan_methods;
	return &scan->scan.plan;
}

/* ---- execution ---- */

static Node *
create_state(CustomScan *plan)
{
	AggregateState *state = palloc0(sizeof(AggregateState));

	NodeSetTag(state, T_CustomScanState);
	state->css.flags = plan->flags;
	state->css.methods = &aggregate_exec_methods;
	return (Node *) state;
}

static void
reset(AggregateState *state)
{
	for (int i = 0; i < state->naccumulators; i++)
	{
		Accumulator *accumulator = &state->accumulators[i];

		accumulator->n = 0;
		accumulator->sum = 0;
		accumulator->minimum = PG_INT64_MAX;
		accumulator->maximum = PG_INT64_MIN;
	}
	state->done = false;
}

static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	AggregateState *state = (AggregateState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *whiches = linitial(plan->custom_private);
	List	   *attnums = lsecond(plan->custom_private);
	PlanState  *child = ExecInitNode(linitial(plan->custom_plans), estate, eflags);

	node->custom_ps = list_make1(child);
	state->source = ColumnScanSource(child);
	state->naccumulators = list_length(whiches);
	state->accumulators = palloc0((Size) state->naccumulators * sizeof(Accumulator));
	for (int i = 0; i < state->naccumulators; i++)
	{
		Accumulator *accumulator = &state->accumulators[i];
		Oid			function;
		AclResult	acl;

		accumulator->which = list_nth_int(whiches, i);
		accumulator->attnum = (AttrNumber) list_nth_int(attnums, i);
		state->last_attr = Max(state->last_attr, accumulator->attnum);
		/* as nodeAgg does */
		function = known[accumulator->which].function;
		acl = MilvusFunctionAclCheck(function, GetUserId(), ACL_EXECUTE);
		if (acl != ACLCHECK_OK)
			aclcheck_error(acl, OBJECT_AGGREGATE, get_func_name(function));
	}
	reset(state);
}

static void
add_integer(Accumulator *accumulator, int64 value)
{
	accumulator->n++;
	accumulator->sum += value;
	accumulator->minimum = Min(accumulator->minimum, value);
	accumulator->maximum = Max(accumulator->maximum, value);
}

/* Add values of an array; `bits`: those of rows 0 .. n - 1 that count. */
#define ADD_VALUES(type) \
	do { \
		const type *v = (const type *) view->values; \
		int64		low = accumulator->minimum; \
		int64		high = accumulator->maximum; \
		int128		total = 0; \
		for (uint32 at = 0; at < n; at += 64) \
		{ \
			uint64		word = bits[at / 64]; \
			int64		sum = 0; \
			if (sizeof(type) < 8 && word == PG_UINT64_MAX) \
			{ \
				type		least = v[at]; \
				type		most = v[at]; \
				for (uint32 i = 0; i < 64; i++) \
				{ \
					sum += v[at + i]; \
					least = Min(least, v[at + i]); \
					most = Max(most, v[at + i]); \
				} \
				total += sum; \
				low = Min(low, least); \
				high = Max(high, most); \
				continue; \
			} \
			for (; word != 0; word &= word - 1) \
			{ \
				int64		value = v[at + (uint32) pg_rightmost_one_pos64(word)]; \
				total += value; \
				low = Min(low, value); \
				high = Max(high, value); \
			} \
		} \
		accumulator->sum += total; \
		accumulator->minimum = low; \
		accumulator->maximum = high; \
	} while (0)

/* Rows 0 .. n - 1 of a view; bits are of these rows alone. */
static void
add_view(Accumulator *accumulator, const ColumnView *view, uint32 n, uint64 *bits)
{
	if (view->nulls != NULL)
	{
		uint64		nulls[COLUMN_BATCH_WORDS];

		FilterNulls(view->nulls, view->null_offset, n, nulls);
		FilterAndNot(bits, nulls, n);
	}
	accumulator->n += FilterCount(bits, n);
	switch (known[accumulator->which].width)
	{
		case 2:
			ADD_VALUES(int16);
			break;
		case 4:
			ADD_VALUES(int32);
			break;
		case 8:
			ADD_VALUES(int64);
			break;
		default:				/* count: that was all */
			break;
	}
}

/* The one value of a view, `times` times. */
static void
add_constant(Accumulator *accumulator, const ColumnView *view, uint32 times)
{
	int64		value = 0;

	if (ColumnIsNull(view, 0))
		return;
	switch (known[accumulator->which].width)
	{
		case 2:
			value = *(const int16 *) view->values;
			break;
		case 4:
			value = *(const int32 *) view->values;
			break;
		case 8:
			value = *(const int64 *) view->values;
			break;
	}
	accumulator->n += times;
	accumulator->sum += (int128) value * times;
	accumulator->minimum = Min(accumulator->minimum, value);
	accumulator->maximum = Max(accumulator->maximum, value);
}

static void
add_batch(AggregateState *state, const ColumnBatch *batch)
{
	for (int i = 0; i < state->naccumulators; i++)
	{
		Accumulator *accumulator = &state->accumulators[i];
		uint32		n;

		if (accumulator->attnum == 0)
		{
			accumulator->n += batch->selected;
			continue;
		}
		for (uint32 done = 0; done < batch->rows; done += n)
		{
			uint64		bits[COLUMN_BATCH_WORDS];
			ColumnView	view;

			bool		constant;

			n = Min(batch->rows - done,
					ColumnSourceRun(state->source, batch, accumulator->attnum, batch->first + done, &constant));
			if (constant)
			{
				ColumnSourceView(state->source, batch, accumulator->attnum, batch->first, 1, &view);
				add_constant(accumulator, &view, batch->selected);
				continue;
			}
			ColumnBatchBits(batch, done, n, bits);
			if (FilterCount(bits, n) == 0)
				continue;
			ColumnSourceView(state->source, batch, accumulator->attnum, batch->first + done, n, &view);
			add_view(accumulator, &view, n, bits);
		}
	}
}

static void
add_tuple(AggregateState *state, TupleTableSlot *slot)
{
	slot_getsomeattrs(slot, state->last_attr);
	for (int i = 0; i < state->naccumulators; i++)
	{
		Accumulator *accumulator = &state->accumulators[i];
		Datum		value;

		if (accumulator->attnum != 0 && slot->tts_isnull[accumulator->attnum - 1])
			continue;
		value = accumulator->attnum != 0 ? slot->tts_values[accumulator->attnum - 1] : (Datum) 0;
		switch (known[accumulator->which].width)
		{
			case 2:
				add_integer(accumulator, DatumGetInt16(value));
				break;
			case 4:
				add_integer(accumulator, DatumGetInt32(value));
				break;
			case 8:
				add_integer(accumulator, DatumGetInt64(value));
				break;
			default:
				accumulator->n++;
				break;
		}
	}
}

/* high * 2^32 + low, since the server's numerics are made of 64 bits at most. */
static Datum
numeric_of(int128 value)
{
	Datum		high = NumericGetDatum(int64_to_numeric((int64) (value >> 32)));
	Datum		low = NumericGetDatum(int64_to_numeric((int64) (uint32) value));
	Datum		base = NumericGetDatum(int64_to_numeric(INT64CONST(1) << 32));

	return DirectFunctionCall2(numeric_add, DirectFunctionCall2(numeric_mul, high, base), low);
}

static Datum
integer_datum(const Accumulator *accumulator, int64 value)
{
	switch (known[accumulator->which].width)
	{
		case 2:
			return Int16GetDatum((int16) value);
		case 4:
			return Int32GetDatum((int32) value);
		default:
			return Int64GetDatum(value);
	}
}

static Datum
result(const Accumulator *accumulator, bool *isnull)
{
	AggregateKind kind = known[accumulator->which].kind;

	*isnull = accumulator->n == 0 && kind != AGGREGATE_COUNT_ROWS && kind != AGGREGATE_COUNT;
	if (*isnull)
		return (Datum) 0;
	switch (kind)
	{
		case AGGREGATE_COUNT_ROWS:
		case AGGREGATE_COUNT:
			return Int64GetDatum((int64) accumulator->n);
		case AGGREGATE_SUM:
			return Int64GetDatum((int64) accumulator->sum);
		case AGGREGATE_SUM_NUMERIC:
			return numeric_of(accumulator->sum);
		case AGGREGATE_AVG:
			return DirectFunctionCall2(numeric_div, numeric_of(accumulator->sum),
									   NumericGetDatum(int64_to_numeric((int64) accumulator->n)));
		case AGGREGATE_MIN:
			return integer_datum(accumulator, accumulator->minimum);
		case AGGREGATE_MAX:
			return integer_datum(accumulator, accumulator->maximum);
	}
	pg_unreachable();
}

/* Drive the child's source to its end. */
static void
read_rows(AggregateState *state)
{
	PlanState  *child = linitial(state->css.custom_ps);
	ColumnBatch batch;
	double		rows = 0;
	ColumnSourceKind kind;

	if (child->instrument != NULL)
		InstrStartNode(child->instrument);
	while ((kind = ColumnSourceNext(state->source, &batch)) != COLUMN_SOURCE_END)
	{
		CHECK_FOR_INTERRUPTS();
		if (kind == COLUMN_SOURCE_BATCH)
		{
			add_batch(state, &batch);
			rows += batch.selected;
		}
		else
		{
			add_tuple(state, ColumnSourceTuple(state->source));
			rows++;
		}
	}
	if (child->instrument != NULL)
		InstrStopNode(child->instrument, rows);
}

static TupleTableSlot *
next_row(ScanState *ss)
{
	AggregateState *state = (AggregateState *) ss;
	TupleTableSlot *slot = ss->ss_ScanTupleSlot;
	MemoryContext old;

	if (state->done)
		return ExecClearTuple(slot);
	if (((PlanState *) linitial(state->css.custom_ps))->chgParam != NULL)
		ExecReScan(linitial(state->css.custom_ps));
	read_rows(state);
	state->done = true;
	ExecClearTuple(slot);
	old = MemoryContextSwitchTo(ss->ps.ps_ExprContext->ecxt_per_tuple_memory);
	for (int i = 0; i < state->naccumulators; i++)
		slot->tts_values[i] = result(&state->accumulators[i], &slot->tts_isnull[i]);
	MemoryContextSwitchTo(old);
	return ExecStoreVirtualTuple(slot);
}

static bool
recheck_row(ScanState *ss, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck_row);
}

static void
end_scan(CustomScanState *node)
{
	ExecEndNode(linitial(node->custom_ps));
}

static void
rescan(CustomScanState *node)
{
	PlanState  *child = linitial(node->custom_ps);

	if (node->ss.ps.chgParam != NULL)
		UpdateChangedParamSet(child, node->ss.ps.chgParam);
	if (child->chgParam == NULL)
		ExecReScan(child);
	reset((AggregateState *) node);
	ExecScanReScan(&node->ss);
}

static CustomPathMethods aggregate_path_methods = {
	.CustomName = "MilvusAggregate",
	.PlanCustomPath = make_plan,
};

static CustomScanMethods aggregate_scan_methods = {
	.CustomName = "MilvusAggregate",
	.CreateCustomScanState = create_state,
};

static CustomExecMethods aggregate_exec_methods = {
	.CustomName = "MilvusAggregate",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
};

void
ColumnAggregateInstall(void)
{
	RegisterCustomScanMethods(&aggregate_scan_methods);
	next_hook = create_upper_paths_hook;
	create_upper_paths_hook = add_aggregate_path;
}
