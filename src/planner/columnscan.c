/*
 * columnscan.c
 *		Custom Scan (MilvusColumns): the executor's side.  Rows of batches and tuples of
 *		other blocks come out in one virtual slot with the columns that the plan needs.
 */
#include "postgres.h"

#include "compat.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "planner/columnscan_internal.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

typedef struct ColumnScanState
{
	CustomScanState css;
	ColumnSource *source;
	Bitmapset  *attrs;			/* columns that anybody looks at */
	AttrNumber	last_attr;
	ExprState  *column_quals;	/* for EvalPlanQual */
	AttrNumber	last_qual_attr;
	int			next_word;		/* of the batch */
	uint64		word;			/* its bits left */
	ColumnBatch batch;
} ColumnScanState;

static CustomExecMethods column_exec_methods;

static Node *
create_state(CustomScan *plan)
{
	ColumnScanState *state = palloc0(sizeof(ColumnScanState));

	NodeSetTag(state, T_CustomScanState);
	state->css.flags = plan->flags;
	state->css.methods = &column_exec_methods;
	return (Node *) state;
}

ColumnSource *
ColumnScanSource(PlanState *node)
{
	return ((ColumnScanState *) castNode(CustomScanState, node))->source;
}

static AttrNumber
last_member(Bitmapset *attrs)
{
	int			attr = -1;
	AttrNumber	last = 0;

	while ((attr = bms_next_member(attrs, attr)) >= 0)
		last = (AttrNumber) attr;
	return last;
}

static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	ColumnScanState *state = (ColumnScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	Relation	rel = node->ss.ss_currentRelation;
	Index		varno = plan->scan.scanrelid;
	TupleDesc	desc = RelationGetDescr(rel);

	state->attrs = ColumnAttrs((Node *) plan->scan.plan.targetlist, varno, desc);
	state->attrs = bms_add_members(state->attrs, ColumnAttrs((Node *) plan->scan.plan.qual, varno, desc));
	state->last_attr = last_member(state->attrs);
	state->source = ColumnSourceBegin(&node->ss.ps, rel, estate->es_snapshot, varno, plan->custom_exprs);
	ColumnSourceReads(state->source, state->attrs);
	state->column_quals = ExecInitQual(plan->custom_exprs, &node->ss.ps);
	state->last_qual_attr = last_member(ColumnAttrs((Node *) plan->custom_exprs, varno, desc));
	state->next_word = COLUMN_BATCH_WORDS;
}

/*
 * The columns of a heap tuple, in the scan's own slot.
 */
static void
store_tuple(ColumnScanState *state, TupleTableSlot *from, TupleTableSlot *slot)
{
	int			attr = -1;

	ExecClearTuple(slot);
	slot_getsomeattrs(from, state->last_attr);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		slot->tts_values[i] = (Datum) 0;
		slot->tts_isnull[i] = true;
	}
	while ((attr = bms_next_member(state->attrs, attr)) >= 0)
	{
		slot->tts_values[attr - 1] = from->tts_values[attr - 1];
		slot->tts_isnull[attr - 1] = from->tts_isnull[attr - 1];
	}
	slot->tts_tid = from->tts_tid;
	slot->tts_tableOid = from->tts_tableOid;
	ExecStoreVirtualTuple(slot);
}

static TupleTableSlot *
next_row(ScanState *ss)
{
	ColumnScanState *state = (ColumnScanState *) ss;
	TupleTableSlot *slot = ss->ss_ScanTupleSlot;

	for (;;)
	{
		if (state->word != 0)
		{
			uint32		row = (uint32) pg_rightmost_one_pos64(state->word);

			state->word &= state->word - 1;
			ColumnSourceStore(state->source, &state->batch,
							  state->batch.first + (uint32) (state->next_word - 1) * 64 + row, state->attrs, slot);
			return slot;
		}
		if (state->next_word < COLUMN_BATCH_WORDS)
		{
			state->word = state->batch.bits[state->next_word++];
			continue;
		}
		switch (ColumnSourceNext(state->source, &state->batch))
		{
			case COLUMN_SOURCE_BATCH:
				for (uint32 w = (uint32) FilterWords(state->batch.rows); w < COLUMN_BATCH_WORDS; w++)
					state->batch.bits[w] = 0;
				state->next_word = 0;
				break;
			case COLUMN_SOURCE_TUPLE:
				store_tuple(state, ColumnSourceTuple(state->source), slot);
				return slot;
			case COLUMN_SOURCE_END:
				return ExecClearTuple(slot);
		}
	}
}

/*
 * A row of EvalPlanQual: the filters hold for this version, too.  The slot is one of the
 * table, while the expressions are compiled for a virtual one: so it is deformed here.
 */
static bool
recheck_row(ScanState *ss, TupleTableSlot *slot)
{
	ColumnScanState *state = (ColumnScanState *) ss;
	ExprContext *econtext = ss->ps.ps_ExprContext;

	slot_getsomeattrs(slot, Max(state->last_attr, state->last_qual_attr));
	econtext->ecxt_scantuple = slot;
	return state->column_quals == NULL || ExecQual(state->column_quals, econtext);
}

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck_row);
}

static void
end_scan(CustomScanState *node)
{
	ColumnSourceEnd(((ColumnScanState *) node)->source);
}

static void
rescan(CustomScanState *node)
{
	ColumnScanState *state = (ColumnScanState *) node;

	state->word = 0;
	state->next_word = COLUMN_BATCH_WORDS;
	ColumnSourceRescan(state->source);
	ExecScanReScan(&node->ss);
}

static Size
estimate_dsm(CustomScanState *node, ParallelContext *pcxt)
{
	return ColumnSourceEstimate(((ColumnScanState *) node)->source);
}

static void
initialize_dsm(CustomScanState *node, ParallelContext *pcxt, void *space)
{
	ColumnSourceShare(((ColumnScanState *) node)->source, space);
}

static void
reinitialize_dsm(CustomScanState *node, ParallelContext *pcxt, void *space)
{
	ColumnSourceReshare(((ColumnScanState *) node)->source, space);
}

static void
initialize_worker(CustomScanState *node, shm_toc *toc, void *space)
{
	ColumnSourceAttach(((ColumnScanState *) node)->source, space);
}

static void
shutdown_scan(CustomScanState *node)
{
	ColumnSourceShutdown(((ColumnScanState *) node)->source);
}

/* ---- EXPLAIN ---- */

static void
explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	ColumnScanState *state = (ColumnScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	TupleDesc	desc = RelationGetDescr(node->ss.ss_currentRelation);
	Bitmapset  *attrs = bms_union(state->attrs, ColumnAttrs((Node *) plan->custom_exprs, plan->scan.scanrelid, desc));
	List	   *names = NIL;
	int			attr = -1;
	const ColumnSourceCounts *counts;

	while ((attr = bms_next_member(attrs, attr)) >= 0)
		names = lappend(names, NameStr(TupleDescAttr(desc, attr - 1)->attname));
	ExplainPropertyList("Columns", names, es);
	if (plan->custom_exprs != NIL)
	{
		List	   *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
		bool		prefix = list_length(es->rtable) > 1 || es->verbose;

		ExplainPropertyText("Column Filter",
							deparse_expression((Node *) make_ands_explicit(plan->custom_exprs), context, prefix, false),
							es);
	}
	if (!es->analyze)
		return;
	counts = ColumnSourceGetCounts(state->source);
	if (plan->custom_exprs != NIL)
		ExplainPropertyInteger("Rows Removed by Column Filter", NULL, (int64) counts->rows_removed, es);
	ExplainPropertyInteger("Segments", NULL, (int64) counts->segments, es);
	ExplainPropertyInteger("Segments Pruned", NULL, (int64) counts->segments_pruned, es);
	ExplainPropertyInteger("Chunks", NULL, (int64) counts->batches, es);
	ExplainPropertyInteger("Chunks Pruned", NULL, (int64) counts->batches_pruned, es);
	ExplainPropertyInteger("Rows by Column", NULL, (int64) counts->rows_by_column, es);
	ExplainPropertyInteger("Rows by Page", NULL, (int64) counts->rows_by_page, es);
}

static CustomExecMethods column_exec_methods = {
	.CustomName = "MilvusColumns",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.EstimateDSMCustomScan = estimate_dsm,
	.InitializeDSMCustomScan = initialize_dsm,
	.ReInitializeDSMCustomScan = reinitialize_dsm,
	.InitializeWorkerCustomScan = initialize_worker,
	.ShutdownCustomScan = shutdown_scan,
	.ExplainCustomScan = explain_scan,
};

const CustomScanMethods column_scan_methods = {
	.CustomName = "MilvusColumns",
	.CreateCustomScanState = create_state,
};
