/*
 * maskscan.c
 *		The plan node "Custom Scan (MilvusMasked)": rows in order of distance that pass
 *		conditions which other indexes answer.
 *
 * Its children are an index scan of the ann index, of which it takes the scan keys and
 * drives the scan by itself, and what makes a bitmap of the rows that may match.  Three ways:
 *
 *	- exact: the rows of a small bitmap are fetched, compared and sorted;
 *	- masked: the search is restricted to the bitmap's rows (AnnScanRestrict);
 *	- post-check: an ordinary search, whose rows are tested as they come.  When it is to cost more than
 *	  the bitmap, by the share of rows that passed so far, the bitmap is made and the
 *	  search goes on among its rows.
 *
 * Every row is tested for all conditions, and the bitmap has all rows that match and the
 * snapshot sees: it was made after the snapshot, and indexes keep rows as long as anybody sees them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "am/ann/annmask.h"
#include "catalog/index.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "planner/knn.h"
#include "planner/mask.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Rows tested before post-checking is judged for the first time. */
#define FIRST_TRIAL 64
/* Rows that are expected to be asked for when LIMIT is not known. */
#define UNKNOWN_LIMIT 10
/* Rows given, of which more are not remembered: post-checking goes on to the end. */
#define MAX_GIVEN 100000

typedef enum MaskWay
{
	MASK_NOT_STARTED,
	MASK_EXACT,
	MASK_MASKED,
	MASK_POST,
	MASK_END
} MaskWay;

typedef struct MaskScanState
{
	CustomScanState css;
	IndexScanState *index;
	PlanState *bitmap;
	ExprState *qual;

	/* from planning */
	bool post_first;
	int64 limit;
	double mask_cost;
	double row_cost;
	uint32 expected;

	/* what the bitmap says, kept while its parameters stay */
	MemoryContext set_context;
	AnnTidSet *set;

	MaskWay way;
	int64 tested;
	int64 passed;
	int64 next_trial;
	ItemPointerData *given; /* roots of rows given by post-checking; sorted when it has ended */
	int64 ngiven;
	int64 max_given;

	/* exact */
	KnnHeap heap;
	int64 next;
	IndexInfo *index_info; /* where the column is an expression */

	/* for EXPLAIN */
	uint64 searches[MASK_END];
	uint64 switched;
	uint64 set_rows;
	uint64 set_lossy;
} MaskScanState;

static Node *create_state(CustomScan *plan);
static void begin_scan(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *exec_scan(CustomScanState *node);
static void end_scan(CustomScanState *node);
static void rescan(CustomScanState *node);
static void explain_scan(CustomScanState *node, List *ancestors, ExplainState *es);

const CustomScanMethods MaskScanMethods = {
	.CustomName = "MilvusMasked",
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "MilvusMasked",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain_scan,
};

static Node *
create_state(CustomScan *plan)
{
	MaskScanState *state = palloc0(sizeof(MaskScanState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

static void
begin_scan(CustomScanState *node, EState *estate, int eflags)
{
	MaskScanState *state = (MaskScanState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	Relation rel = node->ss.ss_currentRelation;

	/* rows are the table's, not virtual */
	ExecInitScanTupleSlot(estate, &node->ss, RelationGetDescr(rel), table_slot_callbacks(rel));
	ExecAssignScanProjectionInfo(&node->ss);
	state->qual = ExecInitQual(plan->scan.plan.qual, &node->ss.ps);
	/* rows that are given have been tested */
	node->ss.ps.qual = NULL;

	state->index = castNode(
		IndexScanState, ExecInitNode(list_nth(plan->custom_plans, MASK_CHILD_INDEX), estate, eflags));
	state->bitmap = ExecInitNode(list_nth(plan->custom_plans, MASK_CHILD_BITMAP), estate, eflags);
	node->custom_ps = list_make2(state->index, state->bitmap);
	state->post_first = list_nth_int(plan->custom_private, MASK_PRIVATE_POST);
	state->limit = list_nth_int(plan->custom_private, MASK_PRIVATE_LIMIT);
	state->mask_cost = list_nth_int(plan->custom_private, MASK_PRIVATE_MASK_COST);
	state->row_cost = list_nth_int(plan->custom_private, MASK_PRIVATE_ROW_COST);
	state->expected = list_nth_int(plan->custom_private, MASK_PRIVATE_EXPECTED);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state->set_context =
		AllocSetContextCreate(estate->es_query_cxt, "milvus rows of a bitmap", ALLOCSET_DEFAULT_SIZES);
	KnnHeapInit(&state->heap, estate->es_query_cxt);
	if (state->index->iss_RelationDesc->rd_index->indkey.values[0] == 0)
		state->index_info = BuildIndexInfo(state->index->iss_RelationDesc);
}

/* ---- the bitmap ---- */

static void
make_set(MaskScanState *state)
{
	MemoryContext old = MemoryContextSwitchTo(state->set_context);
	TIDBitmap *bitmap;

	/* a single index scan fills a bitmap of the size that hash tables may have */
	if (IsA(state->bitmap, BitmapIndexScanState))
		((BitmapIndexScanState *) state->bitmap)->biss_result =
			tbm_create(get_hash_memory_limit(), NULL);
	bitmap = (TIDBitmap *) MultiExecProcNode(state->bitmap);
	if (bitmap == NULL || !IsA(bitmap, TIDBitmap))
		elog(ERROR, "unrecognized result from subplan");
	state->set = AnnTidSetMake(bitmap);
	tbm_free(bitmap);
	MemoryContextSwitchTo(old);
	state->set_rows = state->set->ntids;
	state->set_lossy = state->set->nlossy;
}

/* Does a row pass? */
static bool
passes(MaskScanState *state, TupleTableSlot *slot)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;

	econtext->ecxt_scantuple = slot;
	if (ExecQual(state->qual, econtext))
		return true;
	InstrCountFiltered1(&state->css.ss, 1);
	ResetExprContext(econtext);
	return false;
}

/* ---- exact ---- */

/* The distance of a row, with its place in the order of the answer. */
static KnnPlace
place_of(MaskScanState *state, TupleTableSlot *slot)
{
	ScanKey key = &state->index->iss_OrderByKeys[0];
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	AttrNumber column = state->index->iss_RelationDesc->rd_index->indkey.values[0];
	MemoryContext old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	KnnPlace place;
	Datum value;
	bool isnull;

	if (column != 0)
		value = slot_getattr(slot, column, &isnull);
	else
	{
		EState *estate = state->css.ss.ps.state;
		Datum values[INDEX_MAX_KEYS];
		bool nulls[INDEX_MAX_KEYS];

		GetPerTupleExprContext(estate)->ecxt_scantuple = slot;
		FormIndexDatum(state->index_info, slot, estate, values, nulls);
		value = values[0];
		isnull = nulls[0];
	}
	if (isnull || (key->sk_flags & SK_ISNULL))
		place = KnnMakePlace(0, true);
	else
		place = KnnMakePlace(DatumGetFloat8(FunctionCall2Coll(&key->sk_func, key->sk_collation,
															 value, key->sk_argument)),
							 false);
	MemoryContextSwitchTo(old);
	place.tid = slot->tts_tid;
	return place;
}

static void
collect_exact(MaskScanState *state)
{
	IndexScanDesc scan = state->index->iss_ScanDesc;
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	const AnnTidSet *set = state->set;

	KnnHeapReset(&state->heap, set->ntids);
	state->next = 0;
	for (uint32 p = 0; p < set->npages; p++)
	{
		for (int i = 0; i < set->pages[p].n; i++)
		{
			ItemPointerData tid;
			bool again = false;

			CHECK_FOR_INTERRUPTS();
			ItemPointerSet(&tid, set->pages[p].block, set->offsets[set->pages[p].first + i]);
			if (table_index_fetch_tuple(scan->xs_heapfetch, &tid, scan->xs_snapshot, slot, &again,
										NULL) &&
				passes(state, slot))
			{
				KnnPlace place = place_of(state, slot);

				KnnHeapAdd(&state->heap, &place);
			}
			ResetExprContext(econtext);
		}
	}
	KnnHeapSort(&state->heap);
}

static TupleTableSlot *
next_exact(MaskScanState *state)
{
	ScanState *node = &state->css.ss;
	KnnPlace *place;

	if (state->next == state->heap.n)
		return ExecClearTuple(node->ss_ScanTupleSlot);
	place = &state->heap.places[state->next++];
	if (!table_tuple_fetch_row_version(node->ss_currentRelation, &place->tid,
									   node->ps.state->es_snapshot, node->ss_ScanTupleSlot))
		elog(ERROR, "row (%u,%u) of \"%s\" is not there any more",
			 ItemPointerGetBlockNumber(&place->tid), ItemPointerGetOffsetNumber(&place->tid),
			 RelationGetRelationName(node->ss_currentRelation));
	return node->ss_ScanTupleSlot;
}

/* ---- searching ---- */

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(ItemPointerData *, (const ItemPointerData *) a),
							  unconstify(ItemPointerData *, (const ItemPointerData *) b));
}

static void
note_given(MaskScanState *state, const ItemPointerData *root)
{
	if (state->ngiven == state->max_given)
	{
		state->max_given = Max(64, state->max_given * 2);
		state->given =
			state->given == NULL
				? MemoryContextAlloc(state->css.ss.ps.state->es_query_cxt,
									 sizeof(ItemPointerData) * state->max_given)
				: repalloc(state->given, sizeof(ItemPointerData) * state->max_given);
	}
	state->given[state->ngiven++] = *root;
}

static bool
was_given(const MaskScanState *state, const ItemPointerData *root)
{
	return state->ngiven > 0 && bsearch(root, state->given, state->ngiven, sizeof(ItemPointerData),
										compare_tids) != NULL;
}

/* Search among the rows of the bitmap from here on. */
static void
use_set(MaskScanState *state)
{
	if (state->set == NULL)
		make_set(state);
	if (state->set->npages == 0)
		state->way = MASK_END;
	else if (state->set->nlossy == 0 && state->set->ntids <= MASK_EXACT_ROWS && state->ngiven == 0)
	{
		state->way = MASK_EXACT;
		collect_exact(state);
	}
	else
	{
		state->way = MASK_MASKED;
		if (state->ngiven > 1)
			qsort(state->given, state->ngiven, sizeof(ItemPointerData), compare_tids);
		AnnScanRestrict(state->index->iss_ScanDesc, state->set, state->ngiven == 0);
	}
	state->searches[state->way == MASK_END ? MASK_EXACT : state->way]++;
}

/* Is post-checking to cost more than the bitmap? */
static bool
should_switch(MaskScanState *state)
{
	double share;
	double need;

	if (state->tested < state->next_trial || state->ngiven > MAX_GIVEN)
		return false;
	state->next_trial = state->tested * 2;
	share = (state->passed + 1.0) / (state->tested + 2.0);
	/* who asks for more than LIMIT needs as many again */
	need = state->limit > state->passed ? state->limit - state->passed
										: Max(state->passed, UNKNOWN_LIMIT);
	return need / share * state->row_cost > state->mask_cost + need * state->row_cost;
}

static void
start(MaskScanState *state)
{
	IndexScanState *index = state->index;

	/* as an index scan does it itself */
	if (index->iss_ScanDesc == NULL)
	{
		index->iss_ScanDesc = MilvusBeginNodeScan(state->css.ss.ss_currentRelation, index,
												  state->css.ss.ps.state->es_snapshot);
		if (index->iss_NumRuntimeKeys == 0 || index->iss_RuntimeKeysReady)
			index_rescan(index->iss_ScanDesc, index->iss_ScanKeys, index->iss_NumScanKeys,
						 index->iss_OrderByKeys, index->iss_NumOrderByKeys);
	}
	if (index->iss_NumRuntimeKeys != 0 && !index->iss_RuntimeKeysReady)
		ExecReScan(&index->ss.ps);
	state->tested = 0;
	state->passed = 0;
	state->ngiven = 0;
	state->next_trial = FIRST_TRIAL;
	/* what has been made already costs nothing any more */
	if (!state->post_first || state->set != NULL)
		use_set(state);
	else
	{
		AnnScanExpect(index->iss_ScanDesc, state->expected);
		state->way = MASK_POST;
		state->searches[MASK_POST]++;
	}
}

/* The next row of the search that the snapshot sees, with the root of its HOT chain. */
static bool
next_found(MaskScanState *state, ItemPointer root)
{
	IndexScanDesc scan = state->index->iss_ScanDesc;
	Instrumentation *instrument = state->index->ss.ps.instrument;
	ItemPointer tid;
	bool found = false;

	if (instrument != NULL)
		InstrStartNode(instrument);
	while (!found && (tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		*root = *tid;
		state->tested++;
		found = index_fetch_heap(scan, state->css.ss.ss_ScanTupleSlot);
	}
	if (instrument != NULL)
		InstrStopNode(instrument, found ? 1 : 0);
	return found;
}

static TupleTableSlot *
next_row(ScanState *node)
{
	MaskScanState *state = (MaskScanState *) node;
	ItemPointerData root;

	if (state->way == MASK_NOT_STARTED)
		start(state);
	for (;;)
	{
		if (state->way == MASK_POST && should_switch(state))
		{
			state->switched++;
			use_set(state);
		}
		if (state->way == MASK_END)
			return ExecClearTuple(node->ss_ScanTupleSlot);
		if (state->way == MASK_EXACT)
			return next_exact(state);
		if (!next_found(state, &root))
		{
			state->way = MASK_END;
			continue;
		}
		if (!passes(state, node->ss_ScanTupleSlot))
			continue;
		if (state->way == MASK_POST)
			note_given(state, &root);
		else if (was_given(state, &root))
			continue;
		state->passed++;
		return node->ss_ScanTupleSlot;
	}
}

/* A row that changed meanwhile. */
static bool
recheck(ScanState *node, TupleTableSlot *slot)
{
	MaskScanState *state = (MaskScanState *) node;

	node->ps.ps_ExprContext->ecxt_scantuple = slot;
	return ExecQual(state->qual, node->ps.ps_ExprContext);
}

static TupleTableSlot *
exec_scan(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck);
}

static void
end_scan(CustomScanState *node)
{
	MaskScanState *state = (MaskScanState *) node;

	ExecEndNode(&state->index->ss.ps);
	ExecEndNode(state->bitmap);
}

static void
rescan(CustomScanState *node)
{
	MaskScanState *state = (MaskScanState *) node;

	if (node->ss.ps.chgParam != NULL)
	{
		UpdateChangedParamSet(&state->index->ss.ps, node->ss.ps.chgParam);
		UpdateChangedParamSet(state->bitmap, node->ss.ps.chgParam);
	}
	/* the search lets go of the set */
	ExecReScan(&state->index->ss.ps);
	if (state->bitmap->chgParam != NULL)
	{
		state->set = NULL;
		MemoryContextReset(state->set_context);
	}
	ExecScanReScan(&node->ss);
	state->way = MASK_NOT_STARTED;
}

/* ---- EXPLAIN ---- */

static void
explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	MaskScanState *state = (MaskScanState *) node;

	ExplainPropertyText("Search", state->post_first ? "post-check, masked when few rows pass" : "masked", es);
	/* a parallel worker's own searches are not seen */
	if (!es->analyze || state->searches[MASK_EXACT] + state->searches[MASK_MASKED] + state->searches[MASK_POST] == 0)
		return;
	if (es->format == EXPLAIN_FORMAT_TEXT)
		ExplainPropertyText("Searches",
							psprintf("Exact: " UINT64_FORMAT "  Masked: " UINT64_FORMAT
									 "  Post-Check: " UINT64_FORMAT "  Switched: " UINT64_FORMAT,
									 state->searches[MASK_EXACT], state->searches[MASK_MASKED],
									 state->searches[MASK_POST], state->switched),
							es);
	else
	{
		ExplainPropertyUInteger("Exact Searches", NULL, state->searches[MASK_EXACT], es);
		ExplainPropertyUInteger("Masked Searches", NULL, state->searches[MASK_MASKED], es);
		ExplainPropertyUInteger("Post-Check Searches", NULL, state->searches[MASK_POST], es);
		ExplainPropertyUInteger("Searches Switched", NULL, state->switched, es);
	}
	if (state->searches[MASK_EXACT] + state->searches[MASK_MASKED] > 0)
	{
		ExplainPropertyUInteger("Mask Rows", NULL, state->set_rows, es);
		if (state->set_lossy > 0)
			ExplainPropertyUInteger("Mask Lossy Pages", NULL, state->set_lossy, es);
	}
}
