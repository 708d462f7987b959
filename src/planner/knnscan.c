/*
 * knnscan.c
 *		The plan node "Custom Scan (MilvusNeighbours)": rows in order of distance.
 *
 * A reading of the table keeps the TIDs of the k nearest rows that pass the conditions;
 * then these are fetched, in order.  When more are asked for, the table is read once
 * more for rows that come after the last one given, and GROWTH times as many are kept.  Equal
 * distances are put in order of TID, so that readings agree on what comes after.
 *
 * Distances are computed for all rows that pass the column filters; the other conditions
 * are evaluated only for rows that are near enough.  Where a distance cannot be had
 * without calling the function, which may raise an error, they go first.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "commands/explain.h"
#include "compat.h"
#include "executor/executor.h"
#include "guc.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "planner/knn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

/* Rows kept when LIMIT is not known, and how many times more at each further reading. */
#define FIRST_ROWS 100
#define GROWTH 4

/* Rows whose distances are computed between two looks at the heap. */
#define PIECE_ROWS 256

typedef struct KnnScanState
{
	CustomScanState css;

	/* what is asked */
	AttrNumber	attnum;
	KnnFunction function;
	FmgrInfo	call;
	Oid			collation;
	bool		swapped;
	int64		expected;		/* rows of a constant LIMIT, 0: not known */
	ExprState  *query_expr;
	List	   *limit_exprs;
	List	   *columns;		/* conditions */
	ExprState  *columns_expr;
	Bitmapset  *rest_attrs;		/* columns of ps.qual */

	/* reading */
	ColumnSource *source;
	ColumnBatch *batch;
	MemoryContext query_context;
	KnnQuery	query;
	KnnHeap		heap;
	bool		bounded;		/* rows up to `bound` were given */
	KnnPlace	bound;

	/* giving */
	bool		ready;
	int64		next;			/* of heap.places */
	TupleTableSlot *fetched;

	/* for EXPLAIN */
	uint64		readings;
	uint64		compared;
} KnnScanState;

static Node *create_state(CustomScan *plan);
static void begin_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_scan(CustomScanState *node);
static void end_scan(CustomScanState *node);
static void rescan(CustomScanState *node);
static Size estimate_dsm(CustomScanState *node, ParallelContext *context);
static void initialize_dsm(CustomScanState *node, ParallelContext *context, void *shared);
static void reinitialize_dsm(CustomScanState *node, ParallelContext *context, void *shared);
static void initialize_worker(CustomScanState *node, shm_toc *toc, void *shared);
static void explain_scan(CustomScanState *node, List *ancestors, ExplainState *es);

const CustomScanMethods KnnScanMethods = {
	.CustomName = "MilvusNeighbours",
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "MilvusNeighbours",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.EstimateDSMCustomScan = estimate_dsm,
	.InitializeDSMCustomScan = initialize_dsm,
	.ReInitializeDSMCustomScan = reinitialize_dsm,
	.InitializeWorkerCustomScan = initialize_worker,
	.ExplainCustomScan = explain_scan,
};

static Node *
create_state(CustomScan *plan)
{
	KnnScanState *state = palloc0(sizeof(KnnScanState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

/*
 * The executor prepared conditions and projection for a virtual slot; ours are those of
 * the table's tuples.
 */
static void
accept_any_slot(CustomScanState *node)
{
	PlanState  *ps = &node->ss.ps;

	ps->scanopsset = true;
	ps->scanopsfixed = false;
	ps->scanops = &TTSOpsVirtual;
	ExecAssignScanProjectionInfo(&node->ss);
	if (ps->ps_ProjInfo == NULL)
	{
		ps->resultopsset = true;
		ps->resultopsfixed = false;
		ps->resultops = &TTSOpsVirtual;
	}
	ps->qual = ExecInitQual(ps->plan->qual, ps);
}

static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	KnnScanState *state = (KnnScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	Relation	rel = node->ss.ss_currentRelation;
	List	   *private = linitial(plan->custom_private);
	ListCell   *cell;

	accept_any_slot(node);
	state->attnum = list_nth_int(private, KNN_PRIVATE_ATTNUM);
	state->collation = list_nth_int(private, KNN_PRIVATE_COLLATION);
	state->swapped = list_nth_int(private, KNN_PRIVATE_SWAPPED);
	state->expected = list_nth_int(private, KNN_PRIVATE_LIMIT);
	fmgr_info(list_nth_int(private, KNN_PRIVATE_FUNCTION), &state->call);
	if (!KnnFindFunction(state->call.fn_oid, &state->function))
		elog(ERROR, "function %u is not a distance", state->call.fn_oid);
	state->columns = list_nth(plan->custom_exprs, KNN_EXPRS_COLUMNS);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state->query_expr = ExecInitExpr(linitial(list_nth(plan->custom_exprs, KNN_EXPRS_QUERY)), &node->ss.ps);
	foreach(cell, (List *) list_nth(plan->custom_exprs, KNN_EXPRS_LIMIT))
		state->limit_exprs = lappend(state->limit_exprs, ExecInitExpr(lfirst(cell), &node->ss.ps));
	state->columns_expr = ExecInitQual(state->columns, &node->ss.ps);
	state->rest_attrs = ColumnAttrs((Node *) plan->scan.plan.qual, plan->scan.scanrelid,
									RelationGetDescr(rel));
	state->fetched = ExecInitExtraTupleSlot(estate, RelationGetDescr(rel), table_slot_callbacks(rel));
	state->query_context = AllocSetContextCreate(estate->es_query_cxt, "milvus query", ALLOCSET_DEFAULT_SIZES);
	KnnHeapInit(&state->heap, estate->es_query_cxt);
	/* a check of changed rows reads nothing */
	if (estate->es_epq_active == NULL)
	{
		state->batch = palloc(sizeof(ColumnBatch));
		state->source = ColumnSourceBegin(&node->ss.ps, rel, estate->es_snapshot,
										  plan->scan.scanrelid, state->columns);
	}
}

/* ---- reading ---- */

/* Rows to keep at the first reading. */
static int64
first_rows(KnnScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	int64		rows = 0;
	ListCell   *cell;

	if (state->expected > 0)
		return state->expected;
	foreach(cell, state->limit_exprs)
	{
		bool		isnull;
		int64		value = DatumGetInt64(ExecEvalExprSwitchContext(lfirst(cell), econtext, &isnull));

		/* without LIMIT, how many is not known; wrong values are LIMIT's to complain about */
		if (isnull && cell == list_head(state->limit_exprs))
			return FIRST_ROWS;
		if (!isnull && value > 0)
			rows += Min(value, INT_MAX);
	}
	return rows > 0 ? rows : FIRST_ROWS;
}

/* Keep a row that passed all conditions, unless it was given already. */
static void
keep(KnnScanState *state, KnnPlace *place, const ItemPointerData *tid)
{
	place->tid = *tid;
	if (!state->bounded || KnnCompare(place, &state->bound) > 0)
		KnnHeapAdd(&state->heap, place);
}

/* Could a row with this place, whose TID is not known, be kept? */
static inline bool
may_keep(KnnScanState *state, const KnnPlace *place)
{
	return KnnHeapMayTake(&state->heap, place->score, place->class) &&
		(!state->bounded || place->class > state->bound.class ||
		 (place->class == state->bound.class && place->score >= state->bound.score));
}

/* Do the conditions hold that column filters have not seen? */
static bool
passes(KnnScanState *state, TupleTableSlot *slot)
{
	PlanState  *ps = &state->css.ss.ps;

	if (ps->qual == NULL)
		return true;
	ps->ps_ExprContext->ecxt_scantuple = slot;
	if (ExecQual(ps->qual, ps->ps_ExprContext))
		return true;
	InstrCountFiltered1(ps, 1);
	return false;
}

/* The same of a row of a batch. */
static bool
row_passes(KnnScanState *state, uint32 row)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;

	if (state->css.ss.ps.qual == NULL)
		return true;
	ColumnSourceStore(state->source, state->batch, row, state->rest_attrs, slot);
	return passes(state, slot);
}

/* The place of a value, by calling the function. */
static KnnPlace
call_function(KnnScanState *state, Datum value, bool isnull)
{
	MemoryContext old;
	double		distance;

	if (isnull || state->query.isnull)
		return KnnMakePlace(0, true);
	old = MemoryContextSwitchTo(state->css.ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	distance = DatumGetFloat8(state->swapped ?
							  FunctionCall2Coll(&state->call, state->collation, state->query.datum, value) :
							  FunctionCall2Coll(&state->call, state->collation, value, state->query.datum));
	MemoryContextSwitchTo(old);
	return KnnMakePlace(distance, false);
}

/* A row of the heap. */
static void
take_tuple(KnnScanState *state, TupleTableSlot *slot)
{
	KnnPlace	place;
	Datum		value;
	bool		isnull;

	state->compared++;
	if (passes(state, slot))
	{
		value = slot_getattr(slot, state->attnum, &isnull);
		place = call_function(state, value, isnull);
		if (may_keep(state, &place))
			keep(state, &place, &slot->tts_tid);
	}
	ResetExprContext(state->css.ss.ps.ps_ExprContext);
}

/* A row of the batch whose place is known. */
static void
take_place(KnnScanState *state, uint32 row, KnnPlace *place)
{
	ItemPointerData tid;

	if (!may_keep(state, place))
		return;
	if (!row_passes(state, row))
	{
		ResetExprContext(state->css.ss.ps.ps_ExprContext);
		return;
	}
	TableSegmentTids(state->batch->segment, row, 1, &tid);
	keep(state, place, &tid);
}

/* A row of the batch, as a datum, that kernels cannot compare. */
static void
take_value(KnnScanState *state, uint32 row, Datum value, bool isnull)
{
	KnnPlace	place;

	state->compared++;
	if (isnull || state->query.isnull)
	{
		place = KnnMakePlace(0, true);
		take_place(state, row, &place);
	}
	else if (row_passes(state, row))
	{
		ItemPointerData tid;

		place = call_function(state, value, false);
		if (may_keep(state, &place))
		{
			TableSegmentTids(state->batch->segment, row, 1, &tid);
			keep(state, &place, &tid);
		}
	}
	ResetExprContext(state->css.ss.ps.ps_ExprContext);
}

static inline bool
selected(const ColumnBatch *batch, uint32 i)
{
	return (batch->bits[i / 64] >> (i % 64) & 1) != 0;
}

/* The first selected row of the batch from i on, or its number of rows. */
static uint32
next_selected(const ColumnBatch *batch, uint32 i)
{
	while (i < batch->rows)
	{
		uint64		word = batch->bits[i / 64] >> (i % 64);

		if (word != 0)
			return i + pg_rightmost_one_pos64(word);
		i = (i / 64 + 1) * 64;
	}
	return batch->rows;
}

/* Selected rows start .. start + n - 1 of the batch, none null, whose elements begin at x. */
static void
take_scores(KnnScanState *state, uint32 start, int n, const uint8 *x, Size stride)
{
	double		scores[PIECE_ROWS];

	KnnScores(&state->query, x, stride, n, scores);
	state->compared += n;
	for (int i = 0; i < n; i++)
	{
		KnnPlace	place;

		/* false for NaN, too */
		if (state->heap.n == state->heap.k && scores[i] > state->heap.places[0].score &&
			state->heap.places[0].class == KNN_NUMBER)
			continue;
		place = KnnMakePlace(scores[i], false);
		take_place(state, state->batch->first + start + i, &place);
	}
}

/* Rows of one chunk: n rows from `start` of the batch on. */
static void
take_view(KnnScanState *state, uint32 start, uint32 n, const ColumnView *view)
{
	const ColumnBatch *batch = state->batch;
	const uint8 *elements = NULL;
	uint32		offset = 0;
	uint32		end = start + n;
	uint32		i;

	for (i = next_selected(batch, start); i < end;)
	{
		uint32		row = i - start;
		uint32		run = 1;
		const uint8 *value;

		CHECK_FOR_INTERRUPTS();
		if (ColumnIsNull(view, row))
		{
			take_value(state, batch->first + i, (Datum) 0, true);
			i = next_selected(batch, i + 1);
			continue;
		}
		value = view->values + (view->width != 0 ? (Size) row * view->width : view->offsets[row]);
		if (elements == NULL || view->width == 0)
		{
			/* values of one width have elements of one number, at one place */
			elements = KnnElements(&state->query, value);
			if (elements == NULL)
			{
				take_value(state, batch->first + i, PointerGetDatum(value), false);
				i = next_selected(batch, i + 1);
				continue;
			}
			offset = elements - value;
		}
		if (view->width != 0)
		{
			while (run < PIECE_ROWS && i + run < end && selected(batch, i + run) &&
				   !ColumnIsNull(view, row + run))
				run++;
		}
		take_scores(state, i, run, value + offset, view->width);
		i = next_selected(batch, i + run);
	}
}

/* The rows of a batch. */
static void
take_batch(KnnScanState *state)
{
	const ColumnBatch *batch = state->batch;
	TableSegment *segment = batch->segment;
	uint32		chunk_rows;

	/* a column that was added later has its missing value, and no chunks */
	if (state->attnum > TableSegmentNatts(segment) || state->query.isnull)
	{
		for (uint32 i = next_selected(batch, 0); i < batch->rows; i = next_selected(batch, i + 1))
		{
			bool		isnull;
			Datum		value = TableSegmentFetch(segment, state->attnum, batch->first + i, &isnull,
												  state->css.ss.ps.ps_ExprContext->ecxt_per_tuple_memory);

			CHECK_FOR_INTERRUPTS();
			take_value(state, batch->first + i, value, isnull);
		}
		return;
	}
	chunk_rows = TableSegmentChunkRows(segment, state->attnum);
	for (uint32 i = next_selected(batch, 0); i < batch->rows;)
	{
		uint32		row = batch->first + i;
		uint32		n = Min(chunk_rows - row % chunk_rows, batch->rows - i);
		ColumnView	view;

		ColumnSourceView(state->source, batch, state->attnum, row, n, &view);
		take_view(state, i, n, &view);
		i = next_selected(batch, i + n);
	}
}

/* Read the table: the k nearest after the bound are in the heap, in order. */
static void
read_table(KnnScanState *state, int64 k)
{
	bool		done = false;

	KnnHeapReset(&state->heap, k);
	state->readings++;
	while (!done)
	{
		CHECK_FOR_INTERRUPTS();
		switch (ColumnSourceNext(state->source, state->batch))
		{
			case COLUMN_SOURCE_BATCH:
				take_batch(state);
				break;
			case COLUMN_SOURCE_TUPLE:
				take_tuple(state, ColumnSourceTuple(state->source));
				break;
			case COLUMN_SOURCE_END:
				done = true;
				break;
		}
	}
	KnnHeapSort(&state->heap);
	state->next = 0;
}

/* Evaluate the query and read for the first time. */
static void
start(KnnScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	MemoryContext old;
	Datum		value;
	bool		isnull;

	MemoryContextReset(state->query_context);
	value = ExecEvalExprSwitchContext(state->query_expr, econtext, &isnull);
	old = MemoryContextSwitchTo(state->query_context);
	KnnQueryInit(&state->query, &state->function, value, isnull);
	MemoryContextSwitchTo(old);
	state->bounded = false;
	state->ready = true;
	read_table(state, first_rows(state));
}

/* ---- giving ---- */

/* The next row in order. */
static TupleTableSlot *
next_row(ScanState *node)
{
	KnnScanState *state = (KnnScanState *) node;
	KnnHeap    *heap = &state->heap;
	KnnPlace   *place;

	if (!state->ready)
		start(state);
	if (state->next == heap->n)
	{
		/* not as many as could be kept: these were all */
		if (heap->n < heap->k)
			return NULL;
		if (node->ps.plan->parallel_aware)
			elog(ERROR, "more rows asked of a parallel search than LIMIT says");
		state->bound = heap->places[heap->n - 1];
		state->bounded = true;
		ColumnSourceRescan(state->source);
		read_table(state, heap->k * GROWTH);
		if (heap->n == 0)
			return NULL;
	}
	place = &heap->places[state->next++];
	if (!table_tuple_fetch_row_version(node->ss_currentRelation, &place->tid,
									   node->ps.state->es_snapshot, state->fetched))
		elog(ERROR, "row (%u,%u) of \"%s\" is not there any more",
			 ItemPointerGetBlockNumber(&place->tid), ItemPointerGetOffsetNumber(&place->tid),
			 RelationGetRelationName(node->ss_currentRelation));
	return state->fetched;
}

/* A row that changed meanwhile: column filters have not seen it. */
static bool
recheck(ScanState *node, TupleTableSlot *slot)
{
	KnnScanState *state = (KnnScanState *) node;
	ExprContext *econtext = node->ps.ps_ExprContext;

	econtext->ecxt_scantuple = slot;
	return ExecQual(state->columns_expr, econtext);
}

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck);
}

static void
end_scan(CustomScanState *node)
{
	KnnScanState *state = (KnnScanState *) node;

	if (state->source != NULL)
		ColumnSourceEnd(state->source);
}

static void
rescan(CustomScanState *node)
{
	KnnScanState *state = (KnnScanState *) node;

	ExecScanReScan(&node->ss);
	if (state->fetched != NULL)
		ExecClearTuple(state->fetched);
	/* the same rows once more */
	if (node->ss.ps.chgParam == NULL && !state->bounded && !node->ss.ps.plan->parallel_aware)
	{
		state->next = 0;
		return;
	}
	state->ready = false;
	if (state->source != NULL)
		ColumnSourceRescan(state->source);
}

/* ---- parallel ---- */

static Size
estimate_dsm(CustomScanState *node, ParallelContext *context)
{
	return ColumnSourceEstimate(((KnnScanState *) node)->source);
}

static void
initialize_dsm(CustomScanState *node, ParallelContext *context, void *shared)
{
	ColumnSourceShare(((KnnScanState *) node)->source, shared);
}

static void
reinitialize_dsm(CustomScanState *node, ParallelContext *context, void *shared)
{
	ColumnSourceReshare(((KnnScanState *) node)->source, shared);
}

static void
initialize_worker(CustomScanState *node, shm_toc *toc, void *shared)
{
	ColumnSourceAttach(((KnnScanState *) node)->source, shared);
}

/* ---- EXPLAIN ---- */

static void
explain_expr(CustomScanState *node, const char *label, Node *expr, List *ancestors, ExplainState *es)
{
	List	   *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
	bool		prefix = list_length(es->rtable) > 1 || es->verbose;

	ExplainPropertyText(label, deparse_expression(expr, context, prefix, false), es);
}

static void
explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	KnnScanState *state = (KnnScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	const ColumnSourceCounts *counts;

	explain_expr(node, "Order By", linitial(list_nth(plan->custom_exprs, KNN_EXPRS_ORDER)), ancestors, es);
	if (state->columns != NIL)
		explain_expr(node, "Column Filter", (Node *) make_ands_explicit(list_copy(state->columns)), ancestors, es);
	if (!es->analyze || state->source == NULL)
		return;
	counts = ColumnSourceGetCounts(state->source);
	ExplainPropertyUInteger("Readings", NULL, state->readings, es);
	ExplainPropertyUInteger("Rows Compared", NULL, state->compared, es);
	ExplainPropertyUInteger("Segments", NULL, counts->segments, es);
	ExplainPropertyUInteger("Segments Pruned", NULL, counts->segments_pruned, es);
	ExplainPropertyUInteger("Rows Read by Column", NULL, counts->rows_by_column, es);
	ExplainPropertyUInteger("Rows Read by Page", NULL, counts->rows_by_page, es);
}
