/*
 * anncheck.c
 *		milvus.check_index() and milvus.index_recall().
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "am/ann/annattr.h"
#include "catalog/index.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_operator.h"
#include "compat.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "guc.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/plancat.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(milvus_check_index);
PG_FUNCTION_INFO_V1(milvus_index_recall);

/* Problems reported before the rest is only counted. */
#define MAX_PROBLEMS 100

/* An even number, which hash_vector() never returns. */
#define HASH_UNKNOWN UINT64CONST(2)

typedef struct TidEntry
{
	ItemPointerData tid;		/* hash key */
	bool		in_table;
	int			place;			/* segment number, or -1 for the growing part */
	uint64		hash;			/* of the vector's bytes, 0 for rows without; HASH_UNKNOWN: not kept */
	IndexTuple	attrs;			/* scalar columns; NULL: none */
} TidEntry;

typedef struct CheckState
{
	ReturnSetInfo *rsinfo;
	Relation	index;
	AnnParams	params;
	AnnAttrs   *attrs;			/* NULL: no scalar columns */
	HTAB	   *tids;
	int			problems;
	MemoryContext row_context;
	uint64		table_rows;
} CheckState;

static void report_problem(CheckState *state, const char *format,...) pg_attribute_printf(2, 3);

static void
report_problem(CheckState *state, const char *format,...)
{
	StringInfoData message;
	Datum		value;
	bool		isnull = false;

	if (++state->problems > MAX_PROBLEMS)
		return;
	initStringInfo(&message);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&message, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	value = CStringGetTextDatum(message.data);
	tuplestore_putvalues(state->rsinfo->setResult, state->rsinfo->setDesc, &value, &isnull);
	pfree(message.data);
}

/* FNV-1a; compares what the index and the table hold without keeping either */
static uint64
hash_vector(const void *data, Size bytes)
{
	const uint8 *p = data;
	uint64		hash = UINT64CONST(0xcbf29ce484222325);

	for (Size i = 0; i < bytes; i++)
		hash = (hash ^ p[i]) * UINT64CONST(0x100000001b3);
	return hash | 1;
}

static void
add_tid(CheckState *state, ItemPointer tid, int place, uint64 hash, IndexTuple attrs)
{
	TidEntry   *entry;
	bool		found;

	if (!ItemPointerIsValid(tid))
	{
		report_problem(state, "an invalid row pointer is stored");
		return;
	}
	entry = hash_search(state->tids, tid, HASH_ENTER, &found);
	if (found)
	{
		report_problem(state, "row (%u,%u) is in more than one place",
					   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
		return;
	}
	entry->in_table = false;
	entry->place = place;
	entry->hash = hash;
	entry->attrs = attrs;
}

/*
 * A section's checksum, reading it through the buffers.
 */
static void
check_sections(CheckState *state, SegmentReader *reader, const SegmentHeader *header, int number)
{
	const Size	chunk_bytes = 256 * 1024;
	char	   *chunk = palloc(chunk_bytes);

	for (uint32 i = 0; i < header->nsections; i++)
	{
		const SegmentSection *section = &header->sections[i];
		pg_crc32c	crc;

		INIT_CRC32C(crc);
		for (uint64 at = 0; at < section->bytes; at += chunk_bytes)
		{
			Size		n = Min(chunk_bytes, section->bytes - at);

			if (!SegmentReaderRead(reader, section->offset + at, n, chunk))
			{
				report_problem(state, "segment %d: section %u does not read", number, section->id);
				break;
			}
			COMP_CRC32C(crc, chunk, n);
		}
		FIN_CRC32C(crc);
		if (!EQ_CRC32C(crc, section->crc))
			report_problem(state, "segment %d: checksum of section %u does not match", number, section->id);
	}
	pfree(chunk);
}

/* Argument and result of a check that reads a mapped file. */
typedef struct GuardedCheck
{
	const AnnSegment *ann;
	const AnnEnv *env;
	bool		good;
	char		message[256];
} GuardedCheck;

static void
guarded_check(void *arg)
{
	GuardedCheck *check = arg;

	check->good = AnnCheck(check->ann, check->env, check->message, sizeof(check->message));
}

/*
 * One segment: sections' checksums, each row's place and vector, the graph or lists.
 */
static void
check_segment(CheckState *state, const AnnViewSegment *segment, int number)
{
	const AnnSegmentHandle *handle = segment->handle;
	const AnnSegmentEntry *entry = &handle->entry;
	Size		bytes = AnnVectorBytes(&handle->params);
	char	   *vector = palloc(bytes);
	const SegmentSection *raw = SegmentFindSection(&handle->header, ANN_SEC_RAW);
	AnnAttrsReader *attrs = NULL;
	SegmentReader reader;
	SegmentHeader header;

	if (!SegmentReaderOpen(&reader, state->index, &entry->id, entry->start, &header))
	{
		report_problem(state, "segment %d is not where the manifest says", number);
		return;
	}
	reader.strategy = GetAccessStrategy(BAS_BULKREAD);
	check_sections(state, &reader, &header, number);
	if (state->attrs != NULL)
	{
		const SegmentSection *section = SegmentFindSection(&header, ANN_SEC_ATTRS);
		void	   *data = section != NULL ? AnnReadSection(state->index, &reader, section) : NULL;

		if (data == NULL || !AnnAttrsCheck(data, section->bytes, entry->rows))
			report_problem(state, "segment %d: its scalar columns do not read", number);
		else
			attrs = AnnAttrsReaderCreate(state->attrs, state->index, data);
	}
	for (uint64 row = 0; row < AnnSegmentEntryRows(entry); row++)
	{
		ItemPointerData tid;
		uint64		hash = 0;

		if (segment->marks != NULL && (segment->marks[row / 64] >> (row % 64)) & 1)
			continue;
		if (!AnnSegmentTid(state->index, handle, row, &tid) ||
			(row < entry->rows && raw != NULL &&
			 !SegmentReaderRead(&reader, raw->offset + bytes * row, bytes, vector)))
		{
			report_problem(state, "segment %d: row " UINT64_FORMAT " does not read", number, row);
			break;
		}
		if (row < entry->rows)
			hash = raw != NULL ? hash_vector(vector, bytes) : HASH_UNKNOWN;
		add_tid(state, &tid, number, hash,
				attrs != NULL && row < entry->rows ? AnnAttrsReadRow(attrs, (uint32) row) : NULL);
	}
	SegmentReaderRelease(&reader);
	FreeAccessStrategy(reader.strategy);
	if (handle->map.base != NULL)
	{
		GuardedCheck check;
		AnnEnv		env;

		AnnArenaEnv(&env, ScratchArenaCreate((Size) maintenance_work_mem * 1024));
		env.progress = NULL;
		env.cancelled = NULL;
		check.ann = &handle->ann;
		check.env = &env;
		if (!SegmentGuardedCall(guarded_check, &check))
		{
			SegmentCacheKey key;

			segment->handle->failed = true;
			SegmentCacheKeyInit(&key, state->index, &entry->id);
			SegmentCacheDrop(&key);
			AnnForgetView(RelationGetRelid(state->index));
			report_problem(state, "segment %d: its vector cache file could not be read and was removed; check again",
						   number);
		}
		else if (!check.good)
			report_problem(state, "segment %d: %s", number, check.message);
	}
	pfree(vector);
}

static void
check_growing(CheckState *state, const AnnMeta *meta)
{
	BlockNumber block = meta->growing_head;
	uint64		ordinal = meta->growing_head_ordinal;
	BlockNumber last = InvalidBlockNumber;
	char	   *scratch = palloc(AnnVectorBytes(&state->params));

	while (BlockNumberIsValid(block))
	{
		AnnGrowingPage info;
		Buffer		buffer = AnnGrowingOpen(state->index, &meta->index_id, block, ordinal,
											BUFFER_LOCK_SHARE, &info);
		Size		offset = ANN_FIRST_ENTRY;

		CHECK_FOR_INTERRUPTS();
		if (!BufferIsValid(buffer))
		{
			report_problem(state, "growing part: block %u is not the page it should be", block);
			break;
		}
		for (int i = 0; i < info.nentries; i++)
		{
			Page		page = BufferGetPage(buffer);
			AnnEntry   *entry = AnnEntryAt(&state->params, page, offset);
			uint64		hash = 0;
			IndexTuple	attrs = NULL;

			if ((entry->flags & ANN_ENTRY_DEAD) == 0)
			{
				if ((entry->flags & (ANN_ENTRY_NULL | ANN_ENTRY_ZERO)) == 0)
				{
					const void *data = AnnEntryVector(state->index, &meta->index_id, &state->params,
													  page, &info, offset, scratch);

					if (data == NULL)
						report_problem(state, "growing part: large vector at block %u does not read", block);
					else
						hash = hash_vector(data, AnnVectorBytes(&state->params));
					if (state->attrs != NULL)
					{
						attrs = AnnEntryAttrs(entry);
						if (attrs == NULL)
							report_problem(state, "growing part: an entry in block %u lacks its scalar columns", block);
						else
							attrs = CopyIndexTuple(attrs);
					}
				}
				add_tid(state, &entry->tid, -1, hash, attrs);
			}
			offset = AnnNextEntry(&state->params, page, offset);
		}
		if (offset != ((PageHeader) BufferGetPage(buffer))->pd_lower)
			report_problem(state, "growing part: entries of block %u do not fill it as its header says", block);
		UnlockReleaseBuffer(buffer);
		last = block;
		block = info.next;
		ordinal += info.nentries;
	}
	if (last != meta->growing_tail)
	{
		AnnMeta		now;

		/* inserters may have added pages since */
		AnnReadMeta(state->index, &now);
		if (now.manifest_version == meta->manifest_version && last != now.growing_tail)
			report_problem(state, "growing part: its last page is %u, the metapage says %u", last, now.growing_tail);
	}
	pfree(scratch);
}

/*
 * A row of the table that the snapshot sees: it must be in the index, with this
 * vector.
 */
static void
check_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool tupleIsAlive, void *arg)
{
	CheckState *state = arg;
	MemoryContext old = MemoryContextSwitchTo(state->row_context);
	TidEntry   *entry = hash_search(state->tids, tid, HASH_FIND, NULL);
	const void *data = NULL;
	AnnRowClass class = AnnClassify(index, &state->params, values[0], isnull[0], &data);

	state->table_rows++;
	if (entry == NULL)
		report_problem(state, "row (%u,%u) is not in the index",
					   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
	else
	{
		uint64		hash = class == ANN_ROW_VECTOR ? hash_vector(data, AnnVectorBytes(&state->params)) : 0;

		entry->in_table = true;
		if (entry->hash == HASH_UNKNOWN ? class != ANN_ROW_VECTOR : hash != entry->hash)
			report_problem(state, "row (%u,%u) has another vector in the index",
						   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
		else if (entry->attrs != NULL &&
				 !AnnAttrsEqual(state->attrs, entry->attrs, AnnFormAttrs(state->attrs, index, values, isnull)))
			report_problem(state, "row (%u,%u) has other scalar columns in the index",
						   ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row_context);
}

/* milvus.check_index(regclass) returns setof text */
Datum
milvus_check_index(PG_FUNCTION_ARGS)
{
	Relation	heap;
	Relation	index = AnnOpenForFunction(PG_GETARG_OID(0), AccessShareLock, &heap);
	CheckState	state = {0};
	HASHCTL		ctl;
	Snapshot	snapshot;
	AnnGrowing *growing;
	AnnView    *view;
	AnnMeta		meta;
	IndexInfo  *info;
	TableScanDesc scan;
	AnnCallerIdentity caller;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	state.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	state.index = index;
	state.row_context = AllocSetContextCreate(CurrentMemoryContext, "ann check row", ALLOCSET_DEFAULT_SIZES);
	AnnGetParams(index, &state.params);
	state.attrs = AnnGetAttrs(index);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(ItemPointerData);
	ctl.entrysize = sizeof(TidEntry);
	ctl.hcxt = CurrentMemoryContext;
	state.tids = hash_create("ann check", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	AnnBecomeOwner(heap, &caller);

	/* the snapshot first: what it sees is in the index when that is read */
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	view = AnnAcquireView(index, &state.params, &growing);
	AnnReadMeta(index, &meta);
	if (meta.manifest_version != view->manifest_version)
	{
		/* sealed meanwhile: look once more, sealing twice in between is unlikely */
		AnnReleaseView(view, growing);
		view = AnnAcquireView(index, &state.params, &growing);
		AnnReadMeta(index, &meta);
	}
	if (meta.manifest_version != view->manifest_version)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("index \"%s\" is being merged", RelationGetRelationName(index)),
				 errhint("Check it again.")));
	for (int i = 0; i < view->nsegments; i++)
		check_segment(&state, &view->segments[i], i);
	check_growing(&state, &meta);

	/*
	 * The table as a concurrent index build would read it: an MVCC snapshot, root
	 * pointers of HOT chains.  The index must be valid: an unfinished concurrent
	 * build has no entries of rows older than itself.
	 */
	if (index->rd_index->indisvalid)
	{
		info = BuildIndexInfo(index);
		info->ii_Concurrent = true;
		info->ii_Unique = false;
		info->ii_ExclusionOps = NULL;
		scan = table_beginscan_strat(heap, snapshot, 0, NULL, true, true);
		(void) table_index_build_scan(heap, index, info, true, false, check_row, &state, scan);
	}
	else
		report_problem(&state, "index is not valid: its build has not finished");
	AnnReleaseView(view, growing);
	UnregisterSnapshot(snapshot);
	AnnBecomeCaller(&caller);
	if (state.problems > MAX_PROBLEMS)
	{
		int			more = state.problems - MAX_PROBLEMS;

		state.problems = 0;
		report_problem(&state, "%d further problems", more);
	}
	AnnCloseForFunction(index, heap, AccessShareLock);
	return (Datum) 0;
}

/*
 * Distances of the k nearest rows to one sampled row, by the plan that `force`
 * settings leave.
 */
static int
nearest_distances(const char *query, int k, Oid *argtypes, Datum *args, double *distances)
{
	int			n;

	if (SPI_execute_with_args(query, 1, argtypes, args, NULL, false, k) != SPI_OK_SELECT)
		elog(ERROR, "could not search for sampled rows");
	n = (int) SPI_processed;
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		/* NULLs and NaNs come last alike */
		distances[i] = isnull ? get_float8_nan() : DatumGetFloat8(value);
	}
	SPI_freetuptable(SPI_tuptable);
	return n;
}

/*
 * The index that index_recall() is about, while the planner may use no other of
 * its table.
 */
static struct
{
	Oid			table;
	Oid			index;
	get_relation_info_hook_type next;
}			only_index;

static void
hide_other_indexes(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	ListCell   *cell;

	if (only_index.next != NULL)
		only_index.next(root, relid, inhparent, rel);
	if (relid != only_index.table)
		return;
	foreach(cell, rel->indexlist)
	{
		if (((IndexOptInfo *) lfirst(cell))->indexoid != only_index.index)
			rel->indexlist = foreach_delete_current(rel->indexlist, cell);
	}
}

/*
 * nearest_distances() by one index of the table, by whatever it costs.
 */
static int
nearest_by_index(Relation heap, Relation index, const char *query, int k, Oid *argtypes,
				 Datum *args, double *distances)
{
	get_relation_info_hook_type previous = get_relation_info_hook;
	int			level = NewGUCNestLevel();
	int			n = 0;

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_sort", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_indexscan", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	PG_TRY();
	{
		/* an expression of the index may ask for the recall of another */
		if (previous != hide_other_indexes)
			only_index.next = previous;
		only_index.table = RelationGetRelid(heap);
		only_index.index = RelationGetRelid(index);
		get_relation_info_hook = hide_other_indexes;
		n = nearest_distances(query, k, argtypes, args, distances);
	}
	PG_FINALLY();
	{
		get_relation_info_hook = previous;
	}
	PG_END_TRY();
	AtEOXact_GUC(false, level);
	return n;
}

/*
 * The order-by operator of the index's operator class.
 */
static char *
distance_operator(Relation index, Oid *type)
{
	Oid			family = index->rd_opfamily[0];
	Oid			operator;
	HeapTuple	tuple;
	char	   *name;

	*type = index->rd_opcintype[0];
	operator = get_opfamily_member(family, *type, *type, ANN_STRATEGY_DISTANCE);
	if (!OidIsValid(operator))
		elog(ERROR, "operator class of index \"%s\" has no distance operator",
			 RelationGetRelationName(index));
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	name = psprintf("OPERATOR(%s.%s)",
					quote_identifier(get_namespace_name(((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace)),
					NameStr(((Form_pg_operator) GETSTRUCT(tuple))->oprname));
	ReleaseSysCache(tuple);
	return name;
}

/* milvus.index_recall(regclass, k, sample) returns float8; NULL: no rows */
Datum
milvus_index_recall(PG_FUNCTION_ARGS)
{
	int			k = PG_GETARG_INT32(1);
	int			sample = PG_GETARG_INT32(2);
	Relation	heap;
	Relation	index = AnnOpenForFunction(PG_GETARG_OID(0), AccessShareLock, &heap);
	char	   *expression;
	char	   *predicate;
	char	   *table;
	char	   *query;
	Oid			argtypes[1];
	Datum	   *samples;
	double	   *found;
	double	   *truth;
	int			nsamples;
	double		hits = 0;
	double		wanted = 0;
	int			level;
	AnnCallerIdentity caller;
	MemoryContext old = CurrentMemoryContext;

	if (k < 1 || k > 16384)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be between 1 and 16384")));
	if (sample < 1 || sample > 100000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample must be between 1 and 100000")));

	/* before anything is deparsed: names are qualified as search_path demands */
	AnnBecomeOwner(heap, &caller);
	expression = TextDatumGetCString(DirectFunctionCall3(pg_get_indexdef_ext,
														 ObjectIdGetDatum(RelationGetRelid(index)),
														 Int32GetDatum(1), BoolGetDatum(false)));
	predicate = "";
	if (RelationGetIndexPredicate(index) != NIL)
	{
		Node	   *expr = (Node *) make_ands_explicit(RelationGetIndexPredicate(index));

		predicate = psprintf(" AND (%s)", deparse_expression(expr, deparse_context_for(RelationGetRelationName(heap),
																					   RelationGetRelid(heap)), false, false));
	}
	table = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(heap)),
									   RelationGetRelationName(heap));
	query = psprintf("SELECT ((%s) %s $1)::pg_catalog.float8 FROM ONLY %s WHERE true%s ORDER BY (%s) %s $1 LIMIT %d",
					 expression, distance_operator(index, &argtypes[0]), table, predicate,
					 expression, distance_operator(index, &argtypes[0]), k);

	SPI_connect();
	if (SPI_execute(psprintf("SELECT (%s) FROM ONLY %s WHERE (%s) IS NOT NULL%s ORDER BY pg_catalog.hashtext(ctid::pg_catalog.text) LIMIT %d",
							 expression, table, expression, predicate, sample), true, sample) != SPI_OK_SELECT)
		elog(ERROR, "could not sample rows");
	nsamples = (int) SPI_processed;
	samples = MemoryContextAlloc(old, sizeof(Datum) * Max(nsamples, 1));
	for (int i = 0; i < nsamples; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext spi = MemoryContextSwitchTo(old);

		samples[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		MemoryContextSwitchTo(spi);
	}
	found = palloc(sizeof(double) * k);
	truth = palloc(sizeof(double) * k);
	for (int i = 0; i < nsamples; i++)
	{
		int			nfound;
		int			ntruth;

		CHECK_FOR_INTERRUPTS();
		nfound = nearest_by_index(heap, index, query, k, argtypes, &samples[i], found);
		if (nfound > 0 && ann_last_scan.index != RelationGetRelid(index))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the planner does not choose index \"%s\" for its own expression",
							RelationGetRelationName(index))));
		level = NewGUCNestLevel();
		(void) set_config_option("enable_indexscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		ntruth = nearest_distances(query, k, argtypes, &samples[i], truth);
		AtEOXact_GUC(false, level);
		wanted += ntruth;
		/* a row as near as the k-th true one is as good as that one */
		for (int j = 0; j < nfound && ntruth > 0; j++)
			if (float8_le(found[j], truth[ntruth - 1]))
				hits++;
	}
	SPI_finish();
	AnnBecomeCaller(&caller);
	AnnCloseForFunction(index, heap, AccessShareLock);
	if (wanted == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(hits / wanted);
}
