/*
 * annworker.c
 *		Who seals a full growing part: a background worker that an inserter asks for
 *		(src/coord_bgworkers), or the inserter itself.
 *
 * Insert-only tables are vacuumed too seldom to leave sealing to VACUUM.  The
 * worker gives way to sessions that wait for the table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "am/ann/ann.h"
#include "catalog/index.h"
#include "coord_bgworkers/coord.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* A backend asks for a worker for the same index this often at most, in ms. */
#define ASK_INTERVAL 500
/* Growing rows, in multiples of the limit, at which an inserter helps itself. */
#define FOREGROUND_FACTOR 4
/*
 * Growing rows, in multiples of the limit, from which inserters are slowed down
 * while somebody seals, and for how many ms a page.
 */
#define SLOW_DOWN_FACTOR 8
#define SLOW_DOWN_DELAY 5

bool
AnnStartWorker(Relation index, AnnSealMode mode)
{
	return CoordRequest(RelationGetRelid(index),
						mode == ANN_SEAL_GROWING ? COORD_INDEX_SEAL : COORD_INDEX_MERGE);
}

/*
 * Inserts have outrun sealing, and every search scans what they leave: let the
 * sealer catch up.  Called once a page of entries.
 */
static void
slow_down(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, SLOW_DOWN_DELAY,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
AnnSealWhenFull(Relation index, Relation heap, const AnnParams *params, uint64 growing_rows)
{
	static Oid	asked_index = InvalidOid;
	static TimestampTz asked_at = 0;
	uint64		limit = AnnGrowingLimit(params);
	TimestampTz now;
	bool		visible;

	/* an index that is being built concurrently is not sealed */
	if (!index->rd_index->indisvalid)
		return;
	/* somebody seals, or VACUUM works on the manifest: nothing to do but wait */
	if (!AnnTryLockManifest(index))
	{
		if (growing_rows > limit * SLOW_DOWN_FACTOR)
			slow_down();
		return;
	}
	AnnUnlockManifest(index);

	/* a worker cannot open what our transaction made */
	visible = index->rd_createSubid == InvalidSubTransactionId &&
		heap->rd_createSubid == InvalidSubTransactionId &&
		index->rd_rel->relpersistence != RELPERSISTENCE_TEMP;
	if (visible && milvus_settings.background_seal && growing_rows < limit * FOREGROUND_FACTOR)
	{
		now = GetCurrentTimestamp();
		if (asked_index == RelationGetRelid(index) &&
			!TimestampDifferenceExceeds(asked_at, now, ASK_INTERVAL))
			return;
		/* only a request that somebody serves keeps this session from asking again */
		if (AnnStartWorker(index, ANN_SEAL_GROWING))
		{
			asked_index = RelationGetRelid(index);
			asked_at = now;
			return;
		}
	}
	(void) AnnSeal(index, heap, ANN_SEAL_GROWING, false);
}

/*
 * Inserts go on while a segment is built: seal again as long as the growing part
 * is over its limit.
 */
static int
seal_until_short(Relation index, Relation heap)
{
	int			total = 0;
	int			made;
	AnnParams	params;
	AnnMeta		meta;

	AnnGetParams(index, &params);
	do
	{
		/* nothing made: another is at it, or the index is not valid (yet) */
		made = AnnSeal(index, heap, ANN_SEAL_GROWING, false);
		if (made <= 0)
			break;
		total += made;
		CHECK_FOR_INTERRUPTS();
		AnnReadMeta(index, &meta);
	} while (AnnGrowingRows(index, &meta) > AnnGrowingLimit(&params));
	return total;
}

int
AnnRunSeal(Oid indexid, AnnSealMode mode)
{
	int			made = 0;
	Oid			heapid;
	Relation	heap;
	Relation	index;

	/* whoever holds a stronger lock is about to change or drop it: not now */
	heapid = IndexGetRelation(indexid, true);
	if (!OidIsValid(heapid))
		return 0;
	if (!ConditionalLockRelationOid(heapid, RowExclusiveLock))
		return ANN_SEAL_LOCKED;
	heap = try_table_open(heapid, NoLock);
	if (heap != NULL && !ConditionalLockRelationOid(indexid, RowExclusiveLock))
		made = ANN_SEAL_LOCKED;
	else if (heap != NULL)
	{
		index = try_relation_open(indexid, NoLock);
		/* the number may be another relation's by now */
		if (index != NULL && AnnIsOurIndex(index) && index->rd_index->indrelid == heapid)
		{
			AnnYieldFor(heapid, indexid);
			if (mode == ANN_SEAL_GROWING)
				made = seal_until_short(index, heap);
			else
				made = AnnSeal(index, heap, mode, true);
			AnnYieldFor(InvalidOid, InvalidOid);
		}
		if (index != NULL)
			relation_close(index, NoLock);
	}
	if (heap != NULL)
		table_close(heap, NoLock);
	return made;
}
