/*
 * tableneed.c
 *		Which columns of a sealed row a plan reads.
 *
 * The executor asks a slot for all columns up to the last one that an expression needs.  To
 * complete a stub that far can mean to decode a chunk of vectors for the sake of a number behind
 * them.  So each scan of a milvus table tells its slot who reads it: when columns are asked for,
 * those that are not mapped, and that nobody reads, are passed over.
 *
 * Read is what the scan's own expressions name, and those of the node above when the scan hands
 * up its slot as it is (then its target list is the table's columns in order).  Of the nodes
 * above joins and plain aggregates are known here; for others, all columns are read.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "am/table/tableslot.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

static ExecutorStart_hook_type next_hook = NULL;

/* ---- what a slot's reader reads ---- */

/* Add the columns of range table entry `rti`, or of OUTER_VAR or INNER_VAR, that an expression names. */
static void
add_columns(const void *expression, Index rti, Bitmapset **columns)
{
	pull_varattnos((Node *) expression, rti, columns);
}

static void
add_scan(const PlanState *ps, Bitmapset **columns)
{
	const Scan *scan = (const Scan *) ps->plan;
	Index		rti = scan->scanrelid;

	add_columns(ps->plan->qual, rti, columns);
	if (ps->ps_ProjInfo != NULL)
		add_columns(ps->plan->targetlist, rti, columns);
	switch (nodeTag(scan))
	{
		case T_IndexScan:
			add_columns(((const IndexScan *) scan)->indexqualorig, rti, columns);
			add_columns(((const IndexScan *) scan)->indexorderbyorig, rti, columns);
			break;
		case T_BitmapHeapScan:
			add_columns(((const BitmapHeapScan *) scan)->bitmapqualorig, rti, columns);
			break;
		case T_TidScan:
			add_columns(((const TidScan *) scan)->tidquals, rti, columns);
			break;
		case T_TidRangeScan:
			add_columns(((const TidRangeScan *) scan)->tidrangequals, rti, columns);
			break;
		case T_SampleScan:
			add_columns(((const SampleScan *) scan)->tablesample, rti, columns);
			break;
		default:
			break;
	}
}

/*
 * Add the columns that `reader` reads of a slot that its child `side` (OUTER_VAR or INNER_VAR) hands
 * up; false: any.
 */
static bool
add_reader(const PlanState *reader, int side, Bitmapset **columns)
{
	const Plan *plan = reader->plan;

	switch (nodeTag(plan))
	{
		case T_NestLoop:
			{
				ListCell   *cell;

				foreach(cell, ((const NestLoop *) plan)->nestParams)
					add_columns(((const NestLoopParam *) lfirst(cell))->paramval, side, columns);
			}
			break;
		case T_HashJoin:
			/* its inner child is a Hash, with a target list of what it needs */
			add_columns(((const HashJoin *) plan)->hashclauses, side, columns);
			add_columns(((const HashJoin *) plan)->hashkeys, side, columns);
			break;
		case T_MergeJoin:
			add_columns(((const MergeJoin *) plan)->mergeclauses, side, columns);
			break;
		case T_Agg:
			{
				const Agg  *agg = (const Agg *) plan;

				if (agg->groupingSets != NIL || agg->chain != NIL)
					return false;
				for (int i = 0; i < agg->numCols; i++)
					*columns = bms_add_member(*columns, agg->grpColIdx[i] - FirstLowInvalidHeapAttributeNumber);
			}
			break;
		default:
			return false;
	}
	if (IsA(plan, NestLoop) || IsA(plan, HashJoin) || IsA(plan, MergeJoin))
		add_columns(((const Join *) plan)->joinqual, side, columns);
	add_columns(plan->qual, side, columns);
	add_columns(plan->targetlist, side, columns);
	return true;
}

void
TableNeedFind(TableSlot *slot)
{
	const PlanState *scan = slot->scan;
	Bitmapset  *columns = NULL;
	MemoryContext old = MemoryContextSwitchTo(slot->base.tts_mcxt);
	bool		all = false;

	slot->reads_known = true;
	if (scan != NULL)
	{
		add_scan(scan, &columns);
		if (scan->ps_ProjInfo == NULL)
			all = slot->reader == NULL || !add_reader(slot->reader, slot->reader_side, &columns);
		/* it copies the first row of each group, and of all */
		slot->copies_reads = scan->ps_ProjInfo == NULL && !all && IsA(slot->reader->plan, Agg);
	}
	/* whole rows */
	if (scan == NULL || all || bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns))
		slot->reads_all = true;
	else
		slot->reads = columns;
	MemoryContextSwitchTo(old);
}

void
TableSlotReads(TupleTableSlot *slot, const Bitmapset *columns)
{
	TableSlot  *table_slot = (TableSlot *) slot;
	MemoryContext old;

	if (!TTS_IS_MILVUS(slot))
		return;
	old = MemoryContextSwitchTo(slot->tts_mcxt);
	table_slot->reads_known = true;
	table_slot->reads_all = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns);
	table_slot->reads = bms_copy(columns);
	MemoryContextSwitchTo(old);
}

/* ---- telling slots ---- */

static bool
tell_slot(PlanState *ps, const PlanState *reader)
{
	switch (nodeTag(ps))
	{
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
			{
				TupleTableSlot *slot = ((ScanState *) ps)->ss_ScanTupleSlot;

				if (slot != NULL && TTS_IS_MILVUS(slot))
				{
					TableSlot  *table_slot = (TableSlot *) slot;

					table_slot->scan = ps;
					if (reader != NULL && (outerPlanState(reader) == ps || innerPlanState(reader) == ps))
						table_slot->reader = reader;
					table_slot->reader_side = reader != NULL && outerPlanState(reader) == ps ? OUTER_VAR : INNER_VAR;
				}
			}
			break;
		default:
			break;
	}
	return planstate_tree_walker(ps, tell_slot, ps);
}

static bool
reads_milvus_tables(const EState *estate)
{
	for (Index i = 0; i < estate->es_range_table_size; i++)
		if (estate->es_relations[i] != NULL && TableIsMilvus(estate->es_relations[i]))
			return true;
	return false;
}

static void
start_executor(QueryDesc *query, int eflags)
{
	if (next_hook != NULL)
		next_hook(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (query->planstate != NULL && reads_milvus_tables(query->estate))
		(void) tell_slot(query->planstate, NULL);
}

void
TableNeedInit(void)
{
	next_hook = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
}
