/*
 * compat.h
 *		Everything that differs between the PostgreSQL versions we build on
 *		(15 to 18).  Included after postgres.h; nothing else tests PG_VERSION_NUM.
 */
#ifndef MILVUS_COMPAT_H
#define MILVUS_COMPAT_H

#include "access/heapam_xlog.h"
#include "access/htup_details.h"
#include "access/nbtxlog.h"
#include "access/toast_internals.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "common/base64.h"
#include "commands/explain.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "nodes/pathnodes.h"
#include "nodes/tidbitmap.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/rel.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "optimizer/paths.h"
#endif
#if PG_VERSION_NUM < 170000
#include "tcop/tcopprot.h"
#endif
#if PG_VERSION_NUM >= 160000
#include "utils/relfilenumbermap.h"
#else
#include "utils/relfilenodemap.h"
#endif

#if PG_VERSION_NUM < 150000
#error "milvus needs PostgreSQL 15 or later"
#endif

/* The snapshot that TOAST values are read with; needs an active or registered one. */
#if PG_VERSION_NUM >= 180000
#define MilvusInitToastSnapshot(snapshot) (*(snapshot) = *get_toast_snapshot())
#else
#define MilvusInitToastSnapshot(snapshot) init_toast_snapshot(snapshot)
#endif

/* A relation's physical identity: tablespace, database, file number. */
#if PG_VERSION_NUM >= 160000
#define RelationLocatorSpace(rel) ((rel)->rd_locator.spcOid)
#define RelationLocatorDatabase(rel) ((rel)->rd_locator.dbOid)
#define RelationLocatorNumber(rel) ((rel)->rd_locator.relNumber)
#else
#define RelationLocatorSpace(rel) ((rel)->rd_node.spcNode)
#define RelationLocatorDatabase(rel) ((rel)->rd_node.dbNode)
#define RelationLocatorNumber(rel) ((rel)->rd_node.relNode)
#define RelidByRelfilenumber RelidByRelfilenode
#define RelFileNumber Oid
#endif

#if PG_VERSION_NUM < 170000
#include "postmaster/autovacuum.h"
#define AmAutoVacuumWorkerProcess() IsAutoVacuumWorkerProcess()
#endif

#if PG_VERSION_NUM >= 180000
#define MilvusVacuumDelayPoint() vacuum_delay_point(false)
#else
#define MilvusVacuumDelayPoint() vacuum_delay_point()
#endif

/* The backend's current transaction, for what is kept no longer than that. */
#if PG_VERSION_NUM >= 170000
#define MilvusLocalTransactionId (MyProc->vxid.lxid)
#else
#define MilvusLocalTransactionId (MyProc->lxid)
#endif

/* Tuple slots: from 17 on they say whose the tuple is; from 18 on minimal tuples get room before them. */
#define MILVUS_SLOT_TELLS_XACT (PG_VERSION_NUM >= 170000)
#if PG_VERSION_NUM >= 180000
#define MILVUS_EXTRA_PARAMETER , Size extra
#define MILVUS_EXTRA_ARGUMENT , extra
#else
#define MILVUS_EXTRA_PARAMETER
#define MILVUS_EXTRA_ARGUMENT
#endif

/* Table access methods: what tuple_update says of indexes, ... */
#if PG_VERSION_NUM >= 160000
#define MilvusUpdateIndexes TU_UpdateIndexes
/* ... and the cached set of columns whose change prevents a HOT update. */
#define MilvusHotBlocking INDEX_ATTR_BITMAP_HOT_BLOCKING
#define MilvusHotBlockingSet(rel) ((rel)->rd_hotblockingattr)
#define MilvusAttrSetsValid(rel) ((rel)->rd_attrsvalid)
#else
#define MilvusUpdateIndexes bool
#define MilvusHotBlocking INDEX_ATTR_BITMAP_ALL
#define MilvusHotBlockingSet(rel) ((rel)->rd_indexattr)
#define MilvusAttrSetsValid(rel) ((rel)->rd_indexattr != NULL)
#endif

#if PG_VERSION_NUM >= 160000
#define MilvusTuplesortGetDatum(sort, value, isnull) tuplesort_getdatum(sort, true, false, value, isnull, NULL)
#else
#define MilvusTuplesortGetDatum(sort, value, isnull) tuplesort_getdatum(sort, true, value, isnull, NULL)
#endif

#if PG_VERSION_NUM >= 180000
#define MilvusBeginIndexScan(table, index, snapshot) index_beginscan(table, index, snapshot, NULL, 0, 0)
#else
#define MilvusBeginIndexScan(table, index, snapshot) index_beginscan(table, index, snapshot, 0, 0)
#endif

/* An ordered scan, as an IndexScan node begins it. */
#if PG_VERSION_NUM >= 180000
#define MilvusBeginNodeScan(table, node, snapshot) \
	index_beginscan(table, (node)->iss_RelationDesc, snapshot, &(node)->iss_Instrument, \
					(node)->iss_NumScanKeys, (node)->iss_NumOrderByKeys)
#else
#define MilvusBeginNodeScan(table, node, snapshot) \
	index_beginscan(table, (node)->iss_RelationDesc, snapshot, \
					(node)->iss_NumScanKeys, (node)->iss_NumOrderByKeys)
#endif

/* The pages of a bitmap by themselves: rows of a page, or -1 when any may be meant. */
typedef struct MilvusBitmapIterator
{
#if PG_VERSION_NUM >= 180000
	TBMPrivateIterator *iterator;
	OffsetNumber offsets[TBM_MAX_TUPLES_PER_PAGE];
#else
	TBMIterator *iterator;
#endif
} MilvusBitmapIterator;

static inline void
MilvusBitmapBegin(MilvusBitmapIterator *iterator, TIDBitmap *bitmap)
{
#if PG_VERSION_NUM >= 180000
	iterator->iterator = tbm_begin_private_iterate(bitmap);
#else
	iterator->iterator = tbm_begin_iterate(bitmap);
#endif
}

static inline bool
MilvusBitmapNext(MilvusBitmapIterator *iterator, BlockNumber *block, int *n, const OffsetNumber **offsets)
{
#if PG_VERSION_NUM >= 180000
	TBMIterateResult result;

	if (!tbm_private_iterate(iterator->iterator, &result))
		return false;
	*block = result.blockno;
	*n = result.lossy ? -1 : tbm_extract_page_tuple(&result, iterator->offsets, TBM_MAX_TUPLES_PER_PAGE);
	*offsets = iterator->offsets;
#else
	TBMIterateResult *result = tbm_iterate(iterator->iterator);

	if (result == NULL)
		return false;
	*block = result->blockno;
	*n = result->ntuples;
	*offsets = result->offsets;
#endif
	return true;
}

static inline void
MilvusBitmapEnd(MilvusBitmapIterator *iterator)
{
#if PG_VERSION_NUM >= 180000
	tbm_end_private_iterate(iterator->iterator);
#else
	tbm_end_iterate(iterator->iterator);
#endif
}

/* A bitmap scan's next tuple: the block is an argument up to 17. */
#define MILVUS_BITMAP_BY_BLOCK (PG_VERSION_NUM < 180000)

#if PG_VERSION_NUM >= 180000
#define MilvusBase64Decode(text, length, bytes, room) pg_b64_decode(text, length, (uint8 *) (bytes), room)
#else
#define MilvusBase64Decode(text, length, bytes, room) pg_b64_decode(text, length, bytes, room)
#endif

/* Up to PostgreSQL 15 a data type's input function cannot but throw. */
#ifndef ereturn
#define ereturn(context, dummy, ...) ereport(ERROR, __VA_ARGS__)
#endif

#if PG_VERSION_NUM >= 160000
#define MilvusOwnsRelation(relid) object_ownercheck(RelationRelationId, relid, GetUserId())
#define MilvusOwnsDatabase(oid) object_ownercheck(DatabaseRelationId, oid, GetUserId())
#define MilvusOwnsExtension(oid) object_ownercheck(ExtensionRelationId, oid, GetUserId())
#define MilvusNamespaceAclCheck(oid, mode) object_aclcheck(NamespaceRelationId, oid, GetUserId(), mode)
#else
#define MilvusOwnsRelation(relid) pg_class_ownercheck(relid, GetUserId())
#define MilvusOwnsDatabase(oid) pg_database_ownercheck(oid, GetUserId())
#define MilvusOwnsExtension(oid) pg_extension_ownercheck(oid, GetUserId())
#define MilvusNamespaceAclCheck(oid, mode) pg_namespace_aclcheck(oid, GetUserId(), mode)
#endif

/* search_path as index expressions are evaluated with; before 17 it is the caller's. */
#if PG_VERSION_NUM < 170000
#define RestrictSearchPath() ((void) 0)
#endif

/*
 * Is a collation's order that of bytes?  utils/pg_locale.h needs ICU's headers on some
 * systems; 18 says it through them alone, and there only "C" itself is known to be.
 */
#if PG_VERSION_NUM < 180000
extern bool lc_collate_is_c(Oid collation);
#define MilvusCollationIsBytewise(collation) lc_collate_is_c(collation)
#else
#define MilvusCollationIsBytewise(collation) ((collation) == C_COLLATION_OID)
#endif

/* Besides an infinite cost: 18 compares disabled nodes before costs. */
#if PG_VERSION_NUM >= 180000
#define MilvusDisablePath(indexpath) ((indexpath)->path.disabled_nodes = 2)
#else
#define MilvusDisablePath(indexpath) ((void) 0)
#endif

/*
 * The members of an equivalence class, those of child relations too: begin with
 * MilvusMembersBegin, take with MilvusMembersNext until it gives NULL.
 */
#if PG_VERSION_NUM >= 180000
typedef EquivalenceMemberIterator MilvusMembers;
#define MilvusMembersBegin(members, class, relids) setup_eclass_member_iterator(members, class, relids)
#define MilvusMembersNext(members) eclass_member_iterator_next(members)
#else
typedef struct MilvusMembers
{
	List	   *list;
	int			next;
} MilvusMembers;
#define MilvusMembersBegin(members, class, relids) \
	((members)->list = (class)->ec_members, (members)->next = 0)
#define MilvusMembersNext(members) \
	((members)->next < list_length((members)->list) ? \
	 (EquivalenceMember *) list_nth((members)->list, (members)->next++) : NULL)
#endif

/* Whether EXPLAIN asks an extension for what to say of each plan node. */
#define MILVUS_EXPLAINS_NODES (PG_VERSION_NUM >= 180000)

/* A search that the server counts by itself for EXPLAIN, from 18 on. */
#if PG_VERSION_NUM >= 180000
#define MilvusCountIndexSearch(scan) \
	do { \
		if ((scan)->instrument != NULL) \
			(scan)->instrument->nsearches++; \
	} while (0)
#else
#define MilvusCountIndexSearch(scan) ((void) 0)
#endif

/* Plan a query and explain it: what EXPLAIN does where no hook is set. */
#if PG_VERSION_NUM < 170000
static inline void
standard_ExplainOneQuery(Query *query, int cursor_options, IntoClause *into, ExplainState *es,
						 const char *source, ParamListInfo params, QueryEnvironment *environment)
{
	BufferUsage before = pgBufferUsage;
	BufferUsage used;
	instr_time	start;
	instr_time	duration;
	PlannedStmt *plan;

	INSTR_TIME_SET_CURRENT(start);
	plan = pg_plan_query(query, source, cursor_options, params);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);
	memset(&used, 0, sizeof(used));
	BufferUsageAccumDiff(&used, &pgBufferUsage, &before);
	ExplainOnePlan(plan, into, es, source, params, environment, &duration, es->buffers ? &used : NULL);
}
#endif

/*
 * Tell standbys that pages dropped at `dropped` are about to be overwritten, so
 * that queries which may still read them are cancelled first.  nbtree's own
 * record: its redo does nothing but resolve that conflict.
 */
static inline void
MilvusLogPageReuse(Relation index, Relation heap, BlockNumber block, FullTransactionId dropped)
{
	xl_btree_reuse_page record;

	memset(&record, 0, sizeof(record));
#if PG_VERSION_NUM >= 160000
	record.locator = index->rd_locator;
	record.block = block;
	record.snapshotConflictHorizon = dropped;
	record.isCatalogRel = heap != NULL && RelationIsAccessibleInLogicalDecoding(heap);
#else
	record.node = index->rd_node;
	record.block = block;
	record.latestRemovedFullXid = dropped;
#endif
	XLogBeginInsert();
	XLogRegisterData((char *) &record, SizeOfBtreeReusePage);
	XLogInsert(RM_BTREE_ID, XLOG_BTREE_REUSE_PAGE);
}

/* Whether this process holds that very lock. */
#if PG_VERSION_NUM >= 170000
#define MilvusLockHeldByMe(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define MilvusLockHeldByMe(tag, mode) LockHeldByMe(tag, mode)
#endif

/*
 * Log a heap page whose tuples were moved: a prune record that prunes nothing, with an
 * image of the page, which redo puts in place under a cleanup lock.  Inside of a critical
 * section, after MarkBufferDirty; returns the LSN for the page.
 */
static inline XLogRecPtr
MilvusLogHeapPage(Buffer buffer)
{
	xl_heap_prune record;

	memset(&record, 0, sizeof(record));
	XLogBeginInsert();
#if PG_VERSION_NUM >= 170000
	record.flags = XLHP_CLEANUP_LOCK;
#endif
	XLogRegisterData((char *) &record, SizeOfHeapPrune);
	XLogRegisterBuffer(0, buffer, REGBUF_STANDARD | REGBUF_FORCE_IMAGE);
#if PG_VERSION_NUM >= 170000
	return XLogInsert(RM_HEAP2_ID, XLOG_HEAP2_PRUNE_ON_ACCESS);
#else
	return XLogInsert(RM_HEAP2_ID, XLOG_HEAP2_PRUNE);
#endif
}

/* The right to call a function. */
#if PG_VERSION_NUM >= 160000
#define MilvusFunctionAclCheck(function, role, mode) object_aclcheck(ProcedureRelationId, function, role, mode)
#else
#define MilvusFunctionAclCheck(function, role, mode) pg_proc_aclcheck(function, role, mode)
#endif

#endif							/* MILVUS_COMPAT_H */
