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
#include "optimizer/optimizer.h"
#include "planner/knn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

/* Rows kept when LIMIT is not known, and how many times more at each further reading. */
#define FIRST_ROWS 100
#define GROWTH 4

/* Kept where the table cannot be read a second time. */
#define ALL_ROWS (PG_INT64_MAX / GROWTH)

/* Rows whose distances are computed between two looks at the heap. */
#define PIECE_ROWS 256

/* A value that neighbours are searched of, and those found so far. */
typedef struct KnnTarget
{
	KnnQuery query;
	KnnHeap heap;
	bool bounded; /* rows up to `bound` were given */
	KnnPlace bound;
} KnnTarget;

typedef struct KnnScanState
{
	CustomScanState css;

	/* what is asked */
	AttrNumber attnum;
	KnnFunction function;
	FmgrInfo call;
	Oid collation;
	bool swapped;
	int64 expected; /* rows of a constant LIMIT, 0: not known */
	ExprState *query_expr;
	List *limit_exprs;
	List *columns; /* conditions */
	ExprState *columns_expr;
	Bitmapset *rest_attrs; /* columns of ps.qual */

	/* reading */
	ColumnSource *source;
	ColumnBatch *batch;
	ExprState *rest; /* conditions that column filters do not evaluate */
	MemoryContext query_context;
	KnnTarget single;
	KnnTarget *targets; /* of the reading: &single, or those of the look-ahead */
	int ntargets;
	uint32 judged; /* the row of the batch that `rest` was asked about last */
	bool judgement;

	/* many values at once: answers for those that the look-ahead has */
	int param; /* of the value, -1: not searched ahead */
	KnnTarget *ahead;
	int nahead;
	MemoryContext ahead_context;
	KnnGemm *gemm; /* NULL: by kernels alone */

	/* giving */
	KnnTarget *answer; /* NULL: not read yet */
	int64 next;        /* of its heap's places */
	TupleTableSlot *fetched;

	/* for EXPLAIN */
	uint64 readings;
	uint64 compared;
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
static void shutdown_scan(CustomScanState *node);
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
	.ShutdownCustomScan = shutdown_scan,
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
	PlanState *ps = &node->ss.ps;

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
	/* rows that are given have been asked already */
	ps->qual = NULL;
}

static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	KnnScanState *state = (KnnScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	Relation rel = node->ss.ss_currentRelation;
	List *private = linitial(plan->custom_private);
	ListCell *cell;

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

	state->query_expr =
		ExecInitExpr(linitial(list_nth(plan->custom_exprs, KNN_EXPRS_QUERY)), &node->ss.ps);
	foreach (cell, (List *) list_nth(plan->custom_exprs, KNN_EXPRS_LIMIT))
		state->limit_exprs = lappend(state->limit_exprs, ExecInitExpr(lfirst(cell), &node->ss.ps));
	state->columns_expr = ExecInitQual(state->columns, &node->ss.ps);
	state->rest = ExecInitQual(plan->scan.plan.qual, &node->ss.ps);
	state->rest_attrs =
		ColumnAttrs((Node *) plan->scan.plan.qual, plan->scan.scanrelid, RelationGetDescr(rel));
	state->fetched =
		ExecInitExtraTupleSlot(estate, RelationGetDescr(rel), table_slot_callbacks(rel));
	state->query_context =
		AllocSetContextCreate(estate->es_query_cxt, "milvus query", ALLOCSET_DEFAULT_SIZES);
	KnnHeapInit(&state->single.heap, estate->es_query_cxt);
	state->param = list_nth_int(private, KNN_PRIVATE_QUERY_PARAM);
	if (plan->scan.plan.parallel_aware || KnnUsesParams((Node *) plan->scan.plan.qual) ||
		KnnUsesParams((Node *) state->columns))
		state->param = -1;
	state->batch = palloc(sizeof(ColumnBatch));
	state->source = ColumnSourceBegin(&node->ss.ps, rel, estate->es_snapshot, plan->scan.scanrelid,
									  state->columns);
	ColumnSourceReads(state->source, state->rest_attrs);
	ColumnSourceReads(state->source, bms_make_singleton(state->attnum));
	if (node->ss.ps.ps_ProjInfo != NULL)
	{
		Bitmapset *columns = NULL;

		pull_varattnos((Node *) plan->scan.plan.targetlist, plan->scan.scanrelid, &columns);
		TableSlotReads(state->fetched, columns);
	}
}

/* ---- reading ---- */

/* Rows to keep at the first reading. */
static int64
first_rows(KnnScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	int64 rows = 0;
	ListCell *cell;

	if (state->expected > 0)
		return state->expected;
	foreach (cell, state->limit_exprs)
	{
		bool isnull;
		int64 value = DatumGetInt64(ExecEvalExprSwitchContext(lfirst(cell), econtext, &isnull));

		/* without LIMIT, how many is not known; wrong values are LIMIT's to complain about */
		if (isnull && cell == list_head(state->limit_exprs))
			return state->css.ss.ps.plan->parallel_aware ? ALL_ROWS : FIRST_ROWS;
		if (!isnull && value > 0)
			rows += Min(value, INT_MAX);
	}
	return rows > 0 ? rows : FIRST_ROWS;
}

/* Keep a row that passed all conditions, unless it was given already. */
static void
keep(KnnTarget *target, KnnPlace *place, const ItemPointerData *tid)
{
	place->tid = *tid;
	if (!target->bounded || KnnCompare(place, &target->bound) > 0)
		KnnHeapAdd(&target->heap, place);
}

/* Could a row with this place, whose TID is not known, be kept? */
static inline bool
may_keep(const KnnTarget *target, const KnnPlace *place)
{
	return KnnHeapMayTake(&target->heap, place->score, place->class) &&
		   (!target->bounded || place->class > target->bound.class ||
			(place->class == target->bound.class && place->score >= target->bound.score));
}

/* Do the conditions hold that column filters have not seen? */
static bool
passes(KnnScanState *state, TupleTableSlot *slot)
{
	PlanState *ps = &state->css.ss.ps;

	if (state->rest == NULL)
		return true;
	ps->ps_ExprContext->ecxt_scantuple = slot;
	if (ExecQual(state->rest, ps->ps_ExprContext))
		return true;
	InstrCountFiltered1(ps, 1);
	return false;
}

/* The same of a row of a batch; several targets ask one after the other. */
static bool
row_passes(KnnScanState *state, uint32 row)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;

	if (state->rest == NULL)
		return true;
	if (state->judged != row)
	{
		ColumnSourceStore(state->source, state->batch, row, state->rest_attrs, slot);
		state->judgement = passes(state, slot);
		state->judged = row;
	}
	return state->judgement;
}

/* The place of a value, by calling the function. */
static KnnPlace
call_function(KnnScanState *state, const KnnTarget *target, Datum value, bool isnull)
{
	MemoryContext old;
	Datum datum = target->query.datum;
	double distance;

	if (isnull || target->query.isnull)
		return KnnMakePlace(0, true);
	old = MemoryContextSwitchTo(state->css.ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	distance = DatumGetFloat8(
		state->swapped ? FunctionCall2Coll(&state->call, state->collation, datum, value)
					   : FunctionCall2Coll(&state->call, state->collation, value, datum));
	MemoryContextSwitchTo(old);
	return KnnMakePlace(distance, false);
}

/* A row of the heap. */
static void
take_tuple(KnnScanState *state, TupleTableSlot *slot)
{
	state->compared++;
	if (passes(state, slot))
	{
		bool isnull;
		Datum value = slot_getattr(slot, state->attnum, &isnull);

		for (int t = 0; t < state->ntargets; t++)
		{
			KnnTarget *target = &state->targets[t];
			KnnPlace place = call_function(state, target, value, isnull);

			if (may_keep(target, &place))
				keep(target, &place, &slot->tts_tid);
		}
	}
	ResetExprContext(state->css.ss.ps.ps_ExprContext);
}

/* A row of the batch whose place is known. */
static void
take_place(KnnScanState *state, KnnTarget *target, uint32 row, KnnPlace *place)
{
	ItemPointerData tid;

	if (!may_keep(target, place) || !row_passes(state, row))
		return;
	TableSegmentTids(state->batch->segment, row, 1, &tid);
	keep(target, place, &tid);
}

/* A row of the batch, as a datum, that kernels cannot compare. */
static void
take_value(KnnScanState *state, uint32 row, Datum value, bool isnull)
{
	state->compared++;
	/* the function may raise an error: not for a row that nobody asks for */
	if (!isnull && !row_passes(state, row))
	{
		ResetExprContext(state->css.ss.ps.ps_ExprContext);
		return;
	}
	for (int t = 0; t < state->ntargets; t++)
	{
		KnnPlace place = call_function(state, &state->targets[t], value, isnull);

		take_place(state, &state->targets[t], row, &place);
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
		uint64 word = batch->bits[i / 64] >> (i % 64);

		if (word != 0)
			return i + pg_rightmost_one_pos64(word);
		i = (i / 64 + 1) * 64;
	}
	return batch->rows;
}

/* Could a distance be among the nearest?  True for NaN. */
static inline bool
is_near(const KnnTarget *target, double score)
{
	const KnnHeap *heap = &target->heap;

	return heap->n < heap->k || heap->places[0].class != KNN_NUMBER ||
		   !(score > heap->places[0].score);
}

/* Selected rows start .. start + n - 1 of the batch, none null, whose elements begin at x. */
static void
take_scores(KnnScanState *state, uint32 start, int n, const uint8 *x, Size stride)
{
	uint32 first = state->batch->first + start;
	double scores[PIECE_ROWS];

	state->compared += n;
	if (state->gemm != NULL && stride % sizeof(float) == 0)
		KnnGemmRows(state->gemm, x, stride, n);
	for (int t = 0; t < state->ntargets; t++)
	{
		KnnTarget *target = &state->targets[t];
		bool approximate = state->gemm != NULL && stride % sizeof(float) == 0;

		/* lower bounds of the distances, or the distances */
		if (approximate)
			KnnGemmBounds(state->gemm, t, n, scores);
		else
			KnnScores(&target->query, x, stride, n, scores);
		for (int i = 0; i < n; i++)
		{
			KnnPlace place;

			if (!is_near(target, scores[i]))
				continue;
			if (approximate)
				KnnScores(&target->query, x + i * stride, stride, 1, &scores[i]);
			place = KnnMakePlace(scores[i], false);
			take_place(state, target, first + i, &place);
		}
	}
	ResetExprContext(state->css.ss.ps.ps_ExprContext);
}

/* Rows of one chunk: n rows from `start` of the batch on. */
static void
take_view(KnnScanState *state, uint32 start, uint32 n, const ColumnView *view)
{
	const ColumnBatch *batch = state->batch;
	/* float32 fill a value; of smaller elements one width has several numbers, told by the header */
	bool one_number = state->targets[0].query.function.element == KNN_FLOAT32;
	const uint8 *elements = NULL;
	const uint8 *model = NULL;
	uint32 offset = 0;
	uint32 end = start + n;
	uint32 i;

	for (i = next_selected(batch, start); i < end;)
	{
		uint32 row = i - start;
		uint32 run = 1;
		const uint8 *value;

		CHECK_FOR_INTERRUPTS();
		if (ColumnIsNull(view, row))
		{
			take_value(state, batch->first + i, (Datum) 0, true);
			i = next_selected(batch, i + 1);
			continue;
		}
		value = view->values + (view->width != 0 ? (Size) row * view->width : view->offsets[row]);
		if (elements == NULL || view->width == 0 ||
			(!one_number && memcmp(value, model, offset) != 0))
		{
			elements = KnnElements(&state->targets[0].query, value);
			if (elements == NULL)
			{
				take_value(state, batch->first + i, PointerGetDatum(value), false);
				i = next_selected(batch, i + 1);
				continue;
			}
			offset = elements - value;
			model = value;
		}
		if (view->width != 0)
		{
			while (run < PIECE_ROWS && i + run < end && selected(batch, i + run) &&
				   !ColumnIsNull(view, row + run) &&
				   (one_number || memcmp(value + (Size) run * view->width, model, offset) == 0))
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
	uint32 chunk_rows;

	/* a column that was added later has its missing value, and no chunks */
	state->judged = PG_UINT32_MAX;
	if (state->attnum > TableSegmentNatts(segment) || state->targets[0].query.isnull)
	{
		for (uint32 i = next_selected(batch, 0); i < batch->rows; i = next_selected(batch, i + 1))
		{
			bool isnull;
			Datum value = TableSegmentFetch(segment, state->attnum, batch->first + i, &isnull,
											state->css.ss.ps.ps_ExprContext->ecxt_per_tuple_memory);

			CHECK_FOR_INTERRUPTS();
			take_value(state, batch->first + i, value, isnull);
		}
		return;
	}
	chunk_rows = TableSegmentChunkRows(segment, state->attnum);
	for (uint32 i = next_selected(batch, 0); i < batch->rows;)
	{
		uint32 row = batch->first + i;
		uint32 n = Min(chunk_rows - row % chunk_rows, batch->rows - i);
		ColumnView view;

		ColumnSourceView(state->source, batch, state->attnum, row, n, &view);
		take_view(state, i, n, &view);
		i = next_selected(batch, i + n);
	}
}

/* Read the table: the k nearest of each target are in its heap, in order. */
static void
read_table(KnnScanState *state, KnnTarget *targets, int ntargets, int64 k)
{
	bool done = false;

	state->targets = targets;
	state->ntargets = ntargets;
	for (int t = 0; t < ntargets; t++)
		KnnHeapReset(&targets[t].heap, k);
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
	for (int t = 0; t < ntargets; t++)
		KnnHeapSort(&targets[t].heap);
}

/* The answer for a value among those searched ahead, or NULL. */
static KnnTarget *
find_ahead(KnnScanState *state, Datum value)
{
	struct varlena *wanted = PG_DETOAST_DATUM(value);

	for (int t = 0; t < state->nahead; t++)
	{
		Pointer has = DatumGetPointer(state->ahead[t].query.datum);

		if (VARSIZE(has) == VARSIZE(wanted) && memcmp(has, wanted, VARSIZE(wanted)) == 0)
			return &state->ahead[t];
	}
	return NULL;
}

/*
 * Search for all values that the look-ahead has, when this is one of them: NULL when it is
 * not, or when they cannot be searched together.
 */
static KnnTarget *
search_ahead(KnnScanState *state, Datum value)
{
	const Datum *values;
	int n = KnnLookaheadValues(state->css.ss.ps.state, state->param, &values);
	MemoryContext old;

	state->nahead = 0;
	if (n < 2)
		return NULL;
	if (state->ahead_context == NULL)
		state->ahead_context = AllocSetContextCreate(state->css.ss.ps.state->es_query_cxt,
													 "milvus queries", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(state->ahead_context);
	old = MemoryContextSwitchTo(state->ahead_context);
	state->ahead = palloc0(n * sizeof(KnnTarget));
	for (int i = 0; i < n; i++)
	{
		KnnTarget *target = &state->ahead[state->nahead];

		if (find_ahead(state, values[i]) != NULL)
			continue;
		KnnQueryInit(&target->query, &state->function, values[i], false);
		/* values of one size are compared with the same rows in the same way */
		if (target->query.function.element == KNN_OTHER ||
			target->query.count != state->ahead[0].query.count)
			continue;
		KnnHeapInit(&target->heap, state->ahead_context);
		state->nahead++;
	}
	state->gemm = NULL;
	if (state->nahead > 1 && find_ahead(state, value) != NULL)
	{
		const KnnQuery *queries[KNN_LOOKAHEAD];

		for (int t = 0; t < state->nahead; t++)
			queries[t] = &state->ahead[t].query;
		state->gemm = KnnGemmMake(queries, state->nahead, PIECE_ROWS);
	}
	else
		state->nahead = 0;
	MemoryContextSwitchTo(old);
	if (state->nahead == 0)
		return NULL;
	read_table(state, state->ahead, state->nahead, first_rows(state));
	state->gemm = NULL;
	return find_ahead(state, value);
}

/* Evaluate the value and read for the first time, unless that was done ahead. */
static void
start(KnnScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	MemoryContext old;
	Datum value;
	bool isnull;

	MemoryContextReset(state->query_context);
	old = MemoryContextSwitchTo(state->query_context);
	value = ExecEvalExpr(state->query_expr, econtext, &isnull);
	state->next = 0;
	state->answer = NULL;
	if (state->param >= 0 && !isnull)
	{
		state->answer = find_ahead(state, value);
		if (state->answer == NULL)
			state->answer = search_ahead(state, value);
	}
	if (state->answer == NULL)
	{
		KnnQueryInit(&state->single.query, &state->function, value, isnull);
		state->single.bounded = false;
		read_table(state, &state->single, 1, first_rows(state));
		state->answer = &state->single;
	}
	MemoryContextSwitchTo(old);
}

/* ---- giving ---- */

/* The rows after those given; false when there are none. */
static bool
read_on(KnnScanState *state)
{
	KnnTarget *answer = state->answer;
	KnnTarget *single = &state->single;
	int64 k = answer->heap.k * GROWTH;

	/* not as many as could be kept: these were all */
	if (answer->heap.n < answer->heap.k)
		return false;
	/* a sort above asks for all; what LIMIT takes is among the nearest of each process */
	if (state->css.ss.ps.plan->parallel_aware)
		return false;
	single->bound = answer->heap.places[answer->heap.n - 1];
	single->bounded = true;
	single->query = answer->query;
	ColumnSourceRescan(state->source);
	read_table(state, single, 1, k);
	state->answer = single;
	state->next = 0;
	return single->heap.n > 0;
}

/* The next row in order. */
static TupleTableSlot *
next_row(ScanState *node)
{
	KnnScanState *state = (KnnScanState *) node;
	KnnPlace *place;

	if (state->answer == NULL)
		start(state);
	if (state->next == state->answer->heap.n && !read_on(state))
		return NULL;
	place = &state->answer->heap.places[state->next++];
	if (!table_tuple_fetch_row_version(node->ss_currentRelation, &place->tid,
									   node->ps.state->es_snapshot, state->fetched))
		elog(ERROR, "row (%u,%u) of \"%s\" is not there any more",
			 ItemPointerGetBlockNumber(&place->tid), ItemPointerGetOffsetNumber(&place->tid),
			 RelationGetRelationName(node->ss_currentRelation));
	return state->fetched;
}

/* A row that changed meanwhile: no condition has seen it. */
static bool
recheck(ScanState *node, TupleTableSlot *slot)
{
	KnnScanState *state = (KnnScanState *) node;
	ExprContext *econtext = node->ps.ps_ExprContext;

	econtext->ecxt_scantuple = slot;
	return ExecQual(state->columns_expr, econtext) && ExecQual(state->rest, econtext);
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
	state->next = 0;
	/* the same rows once more */
	if (node->ss.ps.chgParam == NULL && !state->single.bounded && !node->ss.ps.plan->parallel_aware)
		return;
	/* what was found ahead stays, unless more than the value changes */
	if (state->param < 0 || bms_membership(node->ss.ps.chgParam) != BMS_SINGLETON ||
		!bms_is_member(state->param, node->ss.ps.chgParam))
		state->nahead = 0;
	state->answer = NULL;
	state->single.bounded = false;
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

/* Before the shared memory goes, with what EXPLAIN and another execution need of it. */
static void
shutdown_scan(CustomScanState *node)
{
	KnnScanState *state = (KnnScanState *) node;

	if (state->source != NULL)
		ColumnSourceShutdown(state->source);
}

/* ---- EXPLAIN ---- */

static void
explain_expr(CustomScanState *node, const char *label, Node *expr, List *ancestors,
			 ExplainState *es)
{
	List *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
	bool prefix = list_length(es->rtable) > 1 || es->verbose;

	ExplainPropertyText(label, deparse_expression(expr, context, prefix, false), es);
}

static void
explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	KnnScanState *state = (KnnScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	const ColumnSourceCounts *counts;

	explain_expr(node, "Order By", linitial(list_nth(plan->custom_exprs, KNN_EXPRS_ORDER)),
				 ancestors, es);
	if (state->columns != NIL)
		explain_expr(node, "Column Filter", (Node *) make_ands_explicit(list_copy(state->columns)),
					 ancestors, es);
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
