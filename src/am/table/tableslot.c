/*
 * tableslot.c
 *		The slot of milvus tables: a heap slot inside, completed from the segment.
 *
 * Heap's code stores into the slot inside and deforms it; its arrays of values are
 * those of the slot around it, so a growing row costs what it costs in a heap table.
 * Of a stub the columns that it keeps come from the slot inside, the others from
 * the row of the segment.  Whatever leaves the slot (a tuple, a copy, a
 * materialized row) is complete.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "am/table/tablesegment.h"
#include "am/table/tableslot.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "storage/proc.h"
#include "utils/memutils.h"

static void
table_slot_init(TupleTableSlot *slot)
{
	TableSlot  *table_slot = (TableSlot *) slot;
	TupleTableSlot *inner = &table_slot->inner.base.base;

	/* The descriptor is the outer slot's: it alone holds a reference to it. */
	*((const TupleTableSlotOps **) &inner->tts_ops) = &TTSOpsBufferHeapTuple;
	inner->type = T_TupleTableSlot;
	inner->tts_flags = TTS_FLAG_EMPTY;
	inner->tts_mcxt = slot->tts_mcxt;
	ItemPointerSetInvalid(&inner->tts_tid);
}

static void
table_slot_release(TupleTableSlot *slot)
{
	TableSlot  *table_slot = (TableSlot *) slot;

	if (table_slot->copies != NULL)
		MemoryContextDelete(table_slot->copies);
	table_slot->copies = NULL;
	table_slot->copied = false;
}

/* Values that were copied for the last row. */
void
TableSlotForget(TableSlot *slot)
{
	MemoryContextReset(slot->copies);
	slot->copied = false;
}

static void
table_slot_clear(TupleTableSlot *slot)
{
	TableSlot  *table_slot = (TableSlot *) slot;
	TupleTableSlot *inner = &table_slot->inner.base.base;

	inner->tts_ops->clear(inner);
	if (unlikely(table_slot->copied))
		TableSlotForget(table_slot);
	table_slot->stub = false;
	table_slot->partial = false;
	slot->tts_nvalid = 0;
	slot->tts_flags |= TTS_FLAG_EMPTY;
	ItemPointerSetInvalid(&slot->tts_tid);
}

/* The slot inside with as many valid values as ours; a virtual row is virtual there too. */
static TupleTableSlot *
inner_in_step(TupleTableSlot *slot)
{
	TupleTableSlot *inner = TableSlotInner(slot);

	inner->tts_flags &= ~TTS_FLAG_EMPTY;
	inner->tts_nvalid = slot->tts_nvalid;
	return inner;
}

/* The segment of the stub that the slot holds. */
static TableSegment *
stub_segment(TableSlot *slot, TableRef ref)
{
	if (slot->segment == NULL || slot->segment_root != ref.root || slot->segment_relid != slot->relid ||
		slot->segment_lxid != MilvusLocalTransactionId)
	{
		/* Whoever reads the table has it open and locked. */
		Relation	rel = table_open(slot->relid, NoLock);

		slot->segment = NULL;
		slot->segment = TableSegmentOpen(rel, ref.root, TableRefTag(ref));
		slot->segment_root = ref.root;
		slot->segment_relid = slot->relid;
		slot->segment_lxid = MilvusLocalTransactionId;
		table_close(rel, NoLock);
	}
	return slot->segment;
}

/*
 * A value of a column whose storage became PLAIN, as heap would have it still: compressed.  It can be
 * larger than such a column, or an index on it, takes; heap carries it along all the same.
 */
static Datum
compressed_again(Form_pg_attribute att, Datum value, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Datum		compressed = PointerGetDatum(NULL);

	/* as long as what an index compresses */
	if (VARSIZE_ANY(DatumGetPointer(value)) > MaxHeapTupleSize / 16)
		compressed = toast_compress_datum(value, att->attcompression);
	MemoryContextSwitchTo(old);
	return DatumGetPointer(compressed) != NULL ? compressed : value;
}

/* Does anybody read the column of the rows in this slot? */
static inline bool
is_read(TableSlot *slot, int attnum)
{
	if (!slot->reads_known)
		TableNeedFind(slot);
	return slot->reads_all || bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, slot->reads);
}

/* Values of attributes up to natts of a stub; `whole`: those that nobody reads, too. */
static void
stub_getsomeattrs(TableSlot *table_slot, int natts, bool whole)
{
	TupleTableSlot *slot = &table_slot->base;
	TupleTableSlot *inner = inner_in_step(slot);
	HeapTuple	tuple = table_slot->inner.base.tuple;
	int			first = slot->tts_nvalid;
	int			in_stub = Min(natts, (int) HeapTupleHeaderGetNatts(tuple->t_data));
	TableRef	ref = TableStubRef(tuple->t_data, tuple->t_len);
	TableSegment *segment = NULL;
	MemoryContext caller = CurrentMemoryContext;

	natts = Min(natts, slot->tts_tupleDescriptor->natts);
	if (first < in_stub)
		inner->tts_ops->getsomeattrs(inner, in_stub);
	for (int i = first; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, i);

		/* What is null in the stub is null, or is not kept: the segment knows. */
		if (i < in_stub && !slot->tts_isnull[i])
			continue;
		if (att->attisdropped)
		{
			slot->tts_values[i] = (Datum) 0;
			slot->tts_isnull[i] = true;
			continue;
		}
		if (segment == NULL)
		{
			if (table_slot->copies == NULL)
				table_slot->copies =
					AllocSetContextCreate(slot->tts_mcxt, "values of a sealed row", ALLOCSET_SMALL_SIZES);
			table_slot->copied = true;
			/* opening segments reads catalogs; the caller's context may be one that frees nothing (a sort's) */
			MemoryContextSwitchTo(table_slot->copies);
			segment = stub_segment(table_slot, ref);
		}
		if (i >= TableSegmentNatts(segment))
		{
			/*
			 * Columns added since: the caller takes the missing values of the slot's own
			 * descriptor.  The table's may have none any more (during ALTER TABLE).
			 */
			natts = i;
			break;
		}
		if (i < in_stub && (segment->columns[i + 1].root->flags & TABLE_ROOT_KEPT) != 0)
			continue;
		/* a mapped value costs nothing */
		if (!segment->columns[i + 1].trusted && !whole && !is_read(table_slot, i + 1))
		{
			slot->tts_values[i] = (Datum) 0;
			slot->tts_isnull[i] = true;
			table_slot->partial = true;
			continue;
		}
		slot->tts_values[i] = TableSegmentFetch(segment, i + 1, TableRefRow(ref),
												&slot->tts_isnull[i], table_slot->copies);
		if (att->attlen == -1 && att->attstorage == TYPSTORAGE_PLAIN && !slot->tts_isnull[i] &&
			TableSegmentToasted(segment, (AttrNumber) (i + 1)))
			slot->tts_values[i] = compressed_again(att, slot->tts_values[i], table_slot->copies);
	}
	MemoryContextSwitchTo(caller);
	slot->tts_nvalid = natts;
}

static void
table_slot_getsomeattrs(TupleTableSlot *slot, int natts)
{
	TableSlot  *table_slot = (TableSlot *) slot;
	TupleTableSlot *inner;

	Assert(!TTS_EMPTY(slot));
	if (table_slot->stub)
	{
		stub_getsomeattrs(table_slot, natts, false);
		return;
	}
	inner = inner_in_step(slot);
	inner->tts_ops->getsomeattrs(inner, natts);
	slot->tts_nvalid = inner->tts_nvalid;
}

static Datum
table_slot_getsysattr(TupleTableSlot *slot, int attnum, bool *isnull)
{
	TupleTableSlot *inner;

	Assert(!TTS_EMPTY(slot));
	inner = inner_in_step(slot);
	return inner->tts_ops->getsysattr(inner, attnum, isnull);
}

#if MILVUS_SLOT_TELLS_XACT
static bool
table_slot_is_current_xact_tuple(TupleTableSlot *slot)
{
	TupleTableSlot *inner;

	Assert(!TTS_EMPTY(slot));
	inner = inner_in_step(slot);
	return inner->tts_ops->is_current_xact_tuple(inner);
}
#endif

/* All values of a stub, for a copy of the row. */
static void
get_whole_stub(TableSlot *table_slot)
{
	TupleTableSlot *slot = &table_slot->base;
	int			natts = slot->tts_tupleDescriptor->natts;

	if (!table_slot->reads_known)
		TableNeedFind(table_slot);
	if (!table_slot->copies_reads)
	{
		if (table_slot->partial)
			slot->tts_nvalid = 0;
		table_slot->partial = false;
		if (slot->tts_nvalid < natts)
			stub_getsomeattrs(table_slot, natts, true);
	}
	/* those added since */
	slot_getallattrs(slot);
}

/* A stub completed: a tuple with its header and all values. */
static HeapTuple
complete_stub(TableSlot *table_slot)
{
	TupleTableSlot *slot = &table_slot->base;
	HeapTuple	stub = table_slot->inner.base.tuple;
	HeapTuple	tuple;

	get_whole_stub(table_slot);
	tuple = heap_form_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
	tuple->t_data->t_choice.t_heap = stub->t_data->t_choice.t_heap;
	tuple->t_data->t_ctid = stub->t_data->t_ctid;
	tuple->t_data->t_infomask &= ~HEAP_XACT_MASK;
	tuple->t_data->t_infomask |= stub->t_data->t_infomask & HEAP_XACT_MASK;
	tuple->t_data->t_infomask2 &= ~HEAP2_XACT_MASK;
	tuple->t_data->t_infomask2 |= stub->t_data->t_infomask2 & HEAP2_XACT_MASK;
	tuple->t_self = stub->t_self;
	tuple->t_tableOid = stub->t_tableOid;
	Assert(!TableTupleIsStub(tuple->t_data));
	return tuple;
}

static void
table_slot_materialize(TupleTableSlot *slot)
{
	TableSlot  *table_slot = (TableSlot *) slot;
	TupleTableSlot *inner;

	Assert(!TTS_EMPTY(slot));
	if (table_slot->stub)
	{
		MemoryContext old = MemoryContextSwitchTo(slot->tts_mcxt);
		HeapTuple	tuple = complete_stub(table_slot);
		ItemPointerData tid = slot->tts_tid;

		MemoryContextSwitchTo(old);
		inner = TableSlotInner(slot);
		inner->tts_ops->clear(inner);
		table_slot->inner.base.tuple = tuple;
		inner->tts_flags &= ~TTS_FLAG_EMPTY;
		inner->tts_flags |= TTS_FLAG_SHOULDFREE;
		inner->tts_tid = tid;
		table_slot->stub = false;
		slot->tts_nvalid = 0;
		if (table_slot->copied)
			TableSlotForget(table_slot);
		return;
	}
	inner = inner_in_step(slot);
	inner->tts_ops->materialize(inner);
	slot->tts_nvalid = inner->tts_nvalid;
}

static void
table_slot_copyslot(TupleTableSlot *dstslot, TupleTableSlot *srcslot)
{
	TableSlot  *dst = (TableSlot *) dstslot;
	TupleTableSlot *inner = TableSlotInner(dstslot);

	/* A row in its page: another pin is enough. */
	if (TTS_IS_MILVUS(srcslot) && BufferIsValid(((TableSlot *) srcslot)->inner.buffer))
	{
		TableSlot  *src = (TableSlot *) srcslot;

		if (dst->copied)
			TableSlotForget(dst);
		inner->tts_ops->copyslot(inner, &src->inner.base.base);
		dst->stub = src->stub;
		dst->partial = false;
		dst->relid = src->relid;
		dstslot->tts_tid = inner->tts_tid;
	}
	else
	{
		ExecClearTuple(dstslot);
		inner->tts_ops->copyslot(inner, srcslot);
	}
	dstslot->tts_flags &= ~TTS_FLAG_EMPTY;
	dstslot->tts_nvalid = 0;
}

static HeapTuple
table_slot_get_heap_tuple(TupleTableSlot *slot)
{
	TableSlot  *table_slot = (TableSlot *) slot;

	Assert(!TTS_EMPTY(slot));
	if (table_slot->stub || table_slot->inner.base.tuple == NULL)
		table_slot_materialize(slot);
	return table_slot->inner.base.tuple;
}

static HeapTuple
table_slot_copy_heap_tuple(TupleTableSlot *slot)
{
	TableSlot  *table_slot = (TableSlot *) slot;

	Assert(!TTS_EMPTY(slot));
	if (table_slot->stub)
		return complete_stub(table_slot);
	return heap_copytuple(table_slot_get_heap_tuple(slot));
}

static MinimalTuple
table_slot_copy_minimal_tuple(TupleTableSlot *slot MILVUS_EXTRA_PARAMETER)
{
	TableSlot  *table_slot = (TableSlot *) slot;

	Assert(!TTS_EMPTY(slot));
	if (!table_slot->stub)
		return minimal_tuple_from_heap_tuple(table_slot_get_heap_tuple(slot) MILVUS_EXTRA_ARGUMENT);
	get_whole_stub(table_slot);
	return heap_form_minimal_tuple(slot->tts_tupleDescriptor, slot->tts_values,
								   slot->tts_isnull MILVUS_EXTRA_ARGUMENT);
}

TupleTableSlot *
TableSlotGive(TupleTableSlot *slot)
{
	if (!TTS_IS_MILVUS(slot))
		return slot;
	table_slot_materialize(slot);
	return TableSlotInner(slot);
}

HeapTuple
TableSlotCopyTuple(TupleTableSlot *slot)
{
	return table_slot_copy_heap_tuple(slot);
}

const TupleTableSlotOps TTSOpsMilvus = {
	.base_slot_size = sizeof(TableSlot),
	.init = table_slot_init,
	.release = table_slot_release,
	.clear = table_slot_clear,
	.getsomeattrs = table_slot_getsomeattrs,
	.getsysattr = table_slot_getsysattr,
#if MILVUS_SLOT_TELLS_XACT
	.is_current_xact_tuple = table_slot_is_current_xact_tuple,
#endif
	.materialize = table_slot_materialize,
	.copyslot = table_slot_copyslot,
	.get_heap_tuple = table_slot_get_heap_tuple,
	.get_minimal_tuple = NULL,
	.copy_heap_tuple = table_slot_copy_heap_tuple,
	.copy_minimal_tuple = table_slot_copy_minimal_tuple
};
