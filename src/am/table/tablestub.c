/*
 * tablestub.c
 *		Stubs: what is left in the page of a sealed row.
 *
 * A stub has the row's header, the columns that keys and the replica identity
 * need, and a reference to the row of the segment.  README.md has the layout.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/tupdesc.h"
#include "am/table/table.h"
#include "catalog/pg_class.h"
#include "compat.h"
#include "utils/rel.h"
#include "utils/relcache.h"

Bitmapset *
TableKeptColumns(Relation rel, bool *sealable)
{
	Bitmapset  *kept;
	Bitmapset  *identity;

	/*
	 * Pages of temporary and unlogged tables have no LSN to recognize changes by; decoding
	 * takes a FULL replica identity from the tuple in the page.
	 */
	*sealable = rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT &&
		OidIsValid(rel->rd_rel->reltoastrelid) &&
		rel->rd_rel->relreplident != REPLICA_IDENTITY_FULL;

	kept = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	identity = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
	kept = bms_add_members(kept, identity);
	bms_free(identity);
	return kept;
}

/* The last attribute of the set, 0: none. */
static int
last_attribute(const Bitmapset *kept)
{
	int			member = bms_prev_member(kept, -1);

	return member < 0 ? 0 : Max(member + FirstLowInvalidHeapAttributeNumber, 0);
}

HeapTuple
TableFormStub(Relation rel, HeapTuple full, const Bitmapset *kept, TableRef ref)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			natts = Min(last_attribute(kept), desc->natts);
	Datum		values[MaxHeapAttributeNumber];
	bool		isnull[MaxHeapAttributeNumber];
	TupleDesc	short_desc;
	HeapTuple	tuple;
	HeapTuple	stub;
	Size		length;

	heap_deform_tuple(full, desc, values, isnull);
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, kept))
			isnull[i] = true;
		if (!isnull[i] && attribute->attlen == -1 && VARATT_IS_EXTERNAL(DatumGetPointer(values[i])))
			return NULL;
	}
	short_desc = CreateTemplateTupleDesc(natts);
	for (int i = 0; i < natts; i++)
		TupleDescCopyEntry(short_desc, i + 1, desc, i + 1);
	tuple = heap_form_tuple(short_desc, values, isnull);
	FreeTupleDesc(short_desc);

	length = INTALIGN(tuple->t_len) + sizeof(TableRef);
	if (MAXALIGN(length) + MAXIMUM_ALIGNOF > MAXALIGN(full->t_len))
	{
		heap_freetuple(tuple);
		return NULL;
	}
	stub = palloc0(HEAPTUPLESIZE + length);
	stub->t_data = (HeapTupleHeader) ((char *) stub + HEAPTUPLESIZE);
	stub->t_len = length;
	stub->t_self = full->t_self;
	stub->t_tableOid = full->t_tableOid;
	memcpy(stub->t_data, tuple->t_data, tuple->t_len);
	heap_freetuple(tuple);

	/* Nothing that a transaction could observe changes. */
	stub->t_data->t_choice.t_heap = full->t_data->t_choice.t_heap;
	stub->t_data->t_ctid = full->t_data->t_ctid;
	stub->t_data->t_infomask &= ~HEAP_XACT_MASK;
	stub->t_data->t_infomask |= full->t_data->t_infomask & HEAP_XACT_MASK;
	stub->t_data->t_infomask2 &= ~HEAP2_XACT_MASK;
	stub->t_data->t_infomask2 |= (full->t_data->t_infomask2 & HEAP2_XACT_MASK) | HEAP_STUB;
	memcpy((char *) stub->t_data + length - sizeof(TableRef), &ref, sizeof(TableRef));
	return stub;
}
