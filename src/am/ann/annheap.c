/*
 * annheap.c
 *		Vectors from the table itself, for segments that keep only codes.
 *
 * A scan compares the few rows that its codes leave in question with their
 * vectors in the table, under its own snapshot: rows it does not see drop out
 * there.  A merge of such segments reads them under a snapshot of its own; for rows
 * that this does not see it takes what the codes decode to (annseal.c).
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "am/ann/ann.h"
#include "am/table/table.h"
#include "catalog/index.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

struct AnnHeapReader
{
	MemoryContext context;
	MemoryContext row_context;	/* of the row fetched last */
	Relation	heap;
	Relation	index;
	AnnParams	params;
	Snapshot	snapshot;
	IndexFetchTableData *fetch;
	TupleTableSlot *slot;
	AttrNumber	column;			/* 0: an expression */
	EState	   *estate;
	ExprState  *expression;
};

/*
 * Index expressions and predicates are code of the table's owner.  As VACUUM and
 * REINDEX do, run it with the owner's rights, not those of whoever maintains the index.
 */
void
AnnBecomeOwner(Relation heap, AnnCallerIdentity *caller)
{
	GetUserIdAndSecContext(&caller->user, &caller->context);
	SetUserIdAndSecContext(heap->rd_rel->relowner, caller->context | SECURITY_RESTRICTED_OPERATION);
	caller->guc_level = NewGUCNestLevel();
	RestrictSearchPath();
}

void
AnnBecomeCaller(const AnnCallerIdentity *caller)
{
	AtEOXact_GUC(false, caller->guc_level);
	SetUserIdAndSecContext(caller->user, caller->context);
}

AnnHeapReader *
AnnHeapReaderBegin(Relation heap, Relation index, const AnnParams *params, Snapshot snapshot)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ann table rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	AnnHeapReader *reader = palloc0(sizeof(AnnHeapReader));
	Bitmapset  *reads = NULL;

	reader->context = context;
	reader->row_context = AllocSetContextCreate(context, "ann table row", ALLOCSET_DEFAULT_SIZES);
	reader->heap = heap;
	reader->index = index;
	reader->params = *params;
	reader->snapshot = snapshot;
	reader->fetch = table_index_fetch_begin(heap);
	reader->slot = table_slot_create(heap, NULL);
	reader->column = index->rd_index->indkey.values[0];
	if (reader->column != 0)
		reads = bms_make_singleton(reader->column - FirstLowInvalidHeapAttributeNumber);
	else
	{
		List	   *expressions = RelationGetIndexExpressions(index);

		pull_varattnos(linitial(expressions), 1, &reads);
		reader->estate = CreateExecutorState();
		reader->expression = ExecPrepareExpr(linitial(expressions), reader->estate);
		GetPerTupleExprContext(reader->estate)->ecxt_scantuple = reader->slot;
	}
	TableSlotReads(reader->slot, reads);
	MemoryContextSwitchTo(old);
	return reader;
}

void
AnnHeapReaderEnd(AnnHeapReader *reader)
{
	ExecDropSingleTupleTableSlot(reader->slot);
	table_index_fetch_end(reader->fetch);
	if (reader->estate != NULL)
		FreeExecutorState(reader->estate);
	MemoryContextDelete(reader->context);
}

/* The value of the index's first column in the row that was fetched. */
static Datum
vector_value(AnnHeapReader *reader, bool *isnull)
{
	if (reader->column != 0)
		return slot_getattr(reader->slot, reader->column, isnull);
	return ExecEvalExprSwitchContext(reader->expression, GetPerTupleExprContext(reader->estate), isnull);
}

const void *
AnnHeapReaderFetch(AnnHeapReader *reader, const ItemPointerData *tid)
{
	ItemPointerData at = *tid;
	MemoryContext old;
	bool		again = false;
	bool		isnull;
	Datum		value;
	const void *data = NULL;

	if (!table_index_fetch_tuple(reader->fetch, &at, reader->snapshot, reader->slot, &again, NULL))
		return NULL;
	MemoryContextReset(reader->row_context);
	if (reader->estate != NULL)
		ResetPerTupleExprContext(reader->estate);
	old = MemoryContextSwitchTo(reader->row_context);
	value = vector_value(reader, &isnull);
	if (AnnClassify(reader->index, &reader->params, value, isnull, &data) != ANN_ROW_VECTOR)
		data = NULL;
	MemoryContextSwitchTo(old);
	return data;
}

/* Let go of the page that the last row is on. */
void
AnnHeapReaderRelease(AnnHeapReader *reader)
{
	ExecClearTuple(reader->slot);
	table_index_fetch_reset(reader->fetch);
}
