/*
 * tableslot.h
 *		The slot of milvus tables, for the callbacks of the access method.
 */
#ifndef MILVUS_TABLESLOT_H
#define MILVUS_TABLESLOT_H

#include "am/table/table.h"
#include "executor/tuptable.h"

/*
 * A buffer heap slot, which heap's own code fills, with a slot around it that completes
 * stubs.  Both share the arrays of values.  The row is in one of these states:
 *
 *	empty			both slots are empty
 *	virtual			values only; inner is empty, or virtual too
 *	growing			inner holds a complete tuple, in its page or a copy of its own
 *	stub			inner holds a stub, always in its (pinned) page
 */
typedef struct TableSlot
{
	TupleTableSlot base;
	BufferHeapTupleTableSlot inner;
	bool		stub;			/* inner holds a stub */
	bool		copied;			/* values in `copies` */
	bool		partial;		/* columns that nobody reads were passed over, as null */
	Oid			relid;			/* table of the stub */
	MemoryContext copies;		/* values of columns that are not mapped; NULL until needed */

	/* The segment of the last stub completed; it stays open until its transaction ends. */
	TableSegment *segment;
	Oid			segment_relid;
	Oid			segment_root;
	LocalTransactionId segment_lxid;

	/* Who reads the slot; tableneed.c. */
	struct PlanState *scan;		/* whose slot it is; NULL: nobody said */
	const struct PlanState *reader; /* node above, when it gets this very slot from the scan */
	int			reader_side;	/* OUTER_VAR or INNER_VAR */
	bool		reads_known;	/* what follows is set */
	bool		reads_all;
	bool		copies_reads;	/* copies of the row are made by the reader, for itself */
	Bitmapset  *reads;			/* columns, offset by FirstLowInvalidHeapAttributeNumber */
} TableSlot;

#define TTS_IS_MILVUS(slot) ((slot)->tts_ops == &TTSOpsMilvus)

/* The heap slot inside, for heap's code to store into (what it holds now, it will release). */
static inline TupleTableSlot *
TableSlotInner(TupleTableSlot *slot)
{
	TableSlot  *table_slot = (TableSlot *) slot;
	TupleTableSlot *inner = &table_slot->inner.base.base;

	Assert(TTS_IS_MILVUS(slot));
	inner->tts_tupleDescriptor = slot->tts_tupleDescriptor;
	inner->tts_values = slot->tts_values;
	inner->tts_isnull = slot->tts_isnull;
	return inner;
}

extern void TableSlotForget(TableSlot *slot);

/* Take over what heap's code stored into the slot inside: a row of `rel`. */
static inline void
TableSlotStored(TupleTableSlot *slot, Relation rel)
{
	TableSlot  *table_slot = (TableSlot *) slot;
	TupleTableSlot *inner = &table_slot->inner.base.base;
	HeapTuple	tuple = table_slot->inner.base.tuple;

	if (unlikely(table_slot->copied))
		TableSlotForget(table_slot);
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
	slot->tts_nvalid = inner->tts_nvalid;
	slot->tts_tid = inner->tts_tid;
	slot->tts_tableOid = RelationGetRelid(rel);
	table_slot->stub = tuple != NULL && TableTupleIsStub(tuple->t_data);
	table_slot->partial = false;
	table_slot->relid = RelationGetRelid(rel);
}

/*
 * The same for heap's code that takes a row from the slot: it is complete and the slot's
 * own afterwards.  Returns the slot to pass, which is `slot` itself when it is of another kind.
 */
extern TupleTableSlot *TableSlotGive(TupleTableSlot *slot);

/* A complete copy of the slot's tuple, never a stub, with its header; palloc'd. */
extern HeapTuple TableSlotCopyTuple(TupleTableSlot *slot);

/* ---- tableneed.c ---- */

/* Find out what slot->scan and its reader read. */
extern void TableNeedFind(TableSlot *slot);
#endif							/* MILVUS_TABLESLOT_H */
