/*
 * hits.c
 *		Running a search for one vector: rows in the order of distance become hits, until there
 *		are enough; groups, ties, sort keys and rankers order them.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "collection/search_internal.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

/* Relative difference of distances up to which an index may have two rows in either order. */
#define TIE_TOLERANCE 1e-6
/* Rows of equal distance that are kept beyond those of a page. */
#define MAX_TIES 16384

static int	by_distance(const void *a, const void *b, void *arg);

char *
IdText(Oid type, Datum id)
{
	switch (type)
	{
		case INT8OID:
			return psprintf(INT64_FORMAT, DatumGetInt64(id));
		case INT4OID:
			return psprintf("%d", DatumGetInt32(id));
		case INT2OID:
			return psprintf("%d", DatumGetInt16(id));
		default:
			return TextDatumGetCString(id);
	}
}

int
CompareIds(Oid type, Datum a, Datum b)
{
	int64		x,
				y;

	switch (type)
	{
		case INT8OID:
			x = DatumGetInt64(a);
			y = DatumGetInt64(b);
			break;
		case INT4OID:
			x = DatumGetInt32(a);
			y = DatumGetInt32(b);
			break;
		case INT2OID:
			x = DatumGetInt16(a);
			y = DatumGetInt16(b);
			break;
		default:
			{
				text	   *s = DatumGetTextPP(a);
				text	   *t = DatumGetTextPP(b);

				return varstr_cmp(VARDATA_ANY(s), VARSIZE_ANY_EXHDR(s), VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t), C_COLLATION_OID);
			}
	}
	return (x > y) - (x < y);
}

static double
score_of(const SearchRequest *request, double distance)
{
	switch (request->score)
	{
		case SCORE_SQUARE:
			return distance * distance;
		case SCORE_NEGATE:
			/* no minus zero */
			return distance == 0 ? 0 : -distance;
		case SCORE_COSINE:
			/* a zero vector has no cosine; Milvus says 0 */
			return isnan(distance) ? 0 : 1 - distance;
		default:
			return distance;
	}
}

/* ---- groups ---- */

typedef struct GroupEntry
{
	uint64		key[2];			/* hash key: two hashes of the value's text */
	int			number;
} GroupEntry;

/*
 * The number of a row's group; -1 when the row is not wanted: the group is full, or there
 * are enough groups.
 */
static int
find_group(Hits *hits, Datum value, bool isnull)
{
	SearchRequest *request = hits->request;
	int64		capacity = request->offset + request->limit;
	GroupEntry *entry;
	GroupEntry	probe;
	bool		found;
	char	   *name = NULL;
	int			length = 0;

	if (hits->group_table == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(probe.key),.entrysize = sizeof(GroupEntry),.hcxt = hits->context};
		Oid			output;
		bool		is_varlena;

		hits->group_table = hash_create("milvus search groups", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		getTypeOutputInfo(request->group_type, &output, &is_varlena);
		fmgr_info_cxt(output, &hits->group_out, hits->context);
		hits->row_context = AllocSetContextCreate(hits->context, "milvus search row", ALLOCSET_SMALL_SIZES);
	}
	/* many rows may be of groups that are full: what a row needs goes with it */
	MemoryContextReset(hits->row_context);
	if (!isnull)
	{
		MemoryContext before = MemoryContextSwitchTo(hits->row_context);

		name = OutputFunctionCall(&hits->group_out, value);
		length = strlen(name);
		MemoryContextSwitchTo(before);
	}
	probe.key[0] = hash_bytes_extended((unsigned char *) (name != NULL ? name : ""), length, isnull ? 1 : 0);
	probe.key[1] = hash_bytes_extended((unsigned char *) (name != NULL ? name : ""), length, UINT64CONST(0x9e3779b97f4a7c15));
	entry = hash_search(hits->group_table, probe.key, HASH_FIND, NULL);
	if (entry == NULL)
	{
		if (hits->ngroups >= capacity)
			return -1;
		if (hits->ngroups == hits->groups_room)
		{
			hits->groups_room = Max(16, hits->groups_room * 2);
			hits->group_sizes = hits->group_sizes == NULL ? palloc(sizeof(int) * hits->groups_room) :
				repalloc(hits->group_sizes, sizeof(int) * hits->groups_room);
			hits->group_names = hits->group_names == NULL ? palloc(sizeof(char *) * hits->groups_room) :
				repalloc(hits->group_names, sizeof(char *) * hits->groups_room);
		}
		entry = hash_search(hits->group_table, probe.key, HASH_ENTER, &found);
		entry->number = hits->ngroups;
		hits->group_sizes[hits->ngroups] = 0;
		hits->group_names[hits->ngroups++] = name != NULL ? pstrdup(name) : NULL;
	}
	else if (hits->group_sizes[entry->number] >= request->group_size)
		return -1;
	if (++hits->group_sizes[entry->number] == request->group_size)
		hits->nfull++;
	return entry->number;
}

/*
 * Groups are enough when there are as many as were asked for, and with strict_group_size full.
 */
static bool
groups_are_enough(const Hits *hits)
{
	int64		capacity = hits->request->offset + hits->request->limit;

	return hits->ngroups >= capacity && (!hits->request->strict_group_size || hits->nfull >= capacity);
}

/* ---- rows ---- */

static void
copy_values(Hits *hits, Hit *hit, TupleTableSlot *slot)
{
	int			n = slot->tts_tupleDescriptor->natts;

	hit->values = palloc(sizeof(Datum) * n);
	hit->isnull = palloc(sizeof(bool) * n);
	/* an entity was built already */
	if (!hits->want_rows)
		n = hits->request->output_column;
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(slot->tts_tupleDescriptor, i);

		hit->isnull[i] = slot->tts_isnull[i];
		hit->values[i] = hit->isnull[i] ? (Datum) 0 : attribute->attlen == -1 ?
			PointerGetDatum(PG_DETOAST_DATUM_COPY(slot->tts_values[i])) :
			datumCopy(slot->tts_values[i], attribute->attbyval, attribute->attlen);
	}
}

static bool
take_row(TupleTableSlot *slot, void *arg)
{
	Hits	   *hits = arg;
	SearchRequest *request = hits->request;
	Hit			hit = {.group = -1};

	/* null vectors come last, and are none */
	if (slot->tts_isnull[0])
		return false;
	hit.distance = DatumGetFloat8(slot->tts_values[0]);
	hit.score = (float) score_of(request, hit.distance);
	/* it comes from the scan last, and stands where its score does; pages of an iterator keep the scan's order */
	if (request->score == SCORE_COSINE && isnan(hit.distance) && !hits->whole_ties)
		hit.distance = 1;
	if (request->has_radius && (request->similarity ? !(hit.score > request->radius) : !(hit.score < request->radius)))
		return false;
	if (request->has_range_filter && (request->similarity ? hit.score > request->range_filter : hit.score < request->range_filter))
		return true;
	hit.id = slot->tts_values[1];
	if (request->offset_column > 0)
		hit.element = DatumGetInt64(slot->tts_values[request->offset_column]) - 1;
	if (hits->skip != NULL && hits->skip(&hit, hits->skip_arg))
		return true;
	if (request->group_column > 0)
	{
		hit.group = find_group(hits, slot->tts_values[request->group_column], slot->tts_isnull[request->group_column]);
		if (hit.group < 0)
			return true;
	}
	if (hits->whole_ties && hits->n >= hits->wanted)
	{
		double		last = hits->hits[hits->wanted - 1].distance;

		/* an index may order by a coarser distance than the operator's: rows that are nearly as near may be nearer */
		if (hit.distance > last + TIE_TOLERANCE * (1 + fabs(last)) || (isnan(hit.distance) && !isnan(last)))
			return false;
		/* of many ties only those are kept that may be on the page */
		if (hits->n >= hits->wanted + MAX_TIES)
		{
			qsort_arg(hits->hits, hits->n, sizeof(Hit), by_distance, hits);
			hits->n = hits->wanted;
		}
	}
	hit.id = hits->id_byval ? hit.id : PointerGetDatum(PG_DETOAST_DATUM_COPY(hit.id));
	if (hits->want_entity)
		hit.entity = OutputEntity(request->output, slot->tts_values + request->output_column, slot->tts_isnull + request->output_column);
	if (hits->want_rows || request->output_column > request->order_column)
		copy_values(hits, &hit, slot);

	if (hits->n == hits->room)
	{
		hits->room = Max(16, hits->room * 2);
		hits->hits = hits->hits == NULL ? palloc(sizeof(Hit) * hits->room) :
			repalloc_huge(hits->hits, sizeof(Hit) * hits->room);
	}
	hits->hits[hits->n++] = hit;
	if (hits->whole_ties)
		return true;
	return request->group_column > 0 ? !groups_are_enough(hits) : hits->n < hits->wanted;
}

/* ---- order ---- */

static int
by_distance(const void *a, const void *b, void *arg)
{
	const Hits *hits = arg;
	const Hit  *x = a;
	const Hit  *y = b;

	if (x->distance != y->distance)
	{
		if (isnan(x->distance) || isnan(y->distance))
		{
			if (isnan(x->distance) != isnan(y->distance))
				return isnan(x->distance) ? 1 : -1;
		}
		else
			return x->distance < y->distance ? -1 : 1;
	}
	if (CompareIds(hits->id_type, x->id, y->id) != 0)
		return CompareIds(hits->id_type, x->id, y->id);
	return (x->element > y->element) - (x->element < y->element);
}

/*
 * Groups one after the other.
 */
static int
by_group(const void *a, const void *b, void *arg)
{
	const Hit  *x = a;
	const Hit  *y = b;

	return x->group != y->group ? (x->group < y->group ? -1 : 1) : by_distance(a, b, arg);
}

static int
by_rank(const void *a, const void *b, void *arg)
{
	const Hits *hits = arg;
	const Hit  *x = a;
	const Hit  *y = b;

	if (x->score != y->score)
		return (x->score > y->score) == hits->ascending ? 1 : -1;
	return CompareIds(hits->id_type, x->id, y->id);
}

static int
by_keys(const void *a, const void *b, void *arg)
{
	const Hits *hits = arg;
	const SearchRequest *request = hits->request;
	const Hit  *x = a;
	const Hit  *y = b;

	for (int i = 0; i < request->norder; i++)
	{
		const SortKey *key = request->order[i];
		int			column = request->order_column + i;
		int			order;

		if (x->isnull[column] || y->isnull[column])
		{
			if (x->isnull[column] == y->isnull[column])
				continue;
			return x->isnull[column] == key->nulls_first ? -1 : 1;
		}
		order = DatumGetInt32(FunctionCall2Coll(&lookup_type_cache(key->typid, TYPECACHE_CMP_PROC_FINFO)->cmp_proc_finfo, key->collation,
												x->values[column], y->values[column]));
		if (order != 0)
			return key->descending ? -order : order;
	}
	return by_distance(a, b, arg);
}

/*
 * Rows came in the order of distance, or nearly so: bring them into it, equal ones by id, and
 * groups behind each other, the one with the best row first.
 */
static void
sort_hits(Hits *hits)
{
	int		   *numbers;
	int			n = 0;

	qsort_arg(hits->hits, hits->n, sizeof(Hit), by_distance, hits);
	if (hits->request->group_column == 0 || hits->ngroups == 0)
		return;
	numbers = palloc(sizeof(int) * hits->ngroups);
	for (int i = 0; i < hits->ngroups; i++)
		numbers[i] = -1;
	for (int i = 0; i < hits->n; i++)
	{
		Hit		   *hit = &hits->hits[i];

		hit->group_name = hits->group_names[hit->group];
		if (numbers[hit->group] < 0)
			numbers[hit->group] = n++;
		hit->group = numbers[hit->group];
	}
	qsort_arg(hits->hits, hits->n, sizeof(Hit), by_group, hits);
}

static void
begin(Hits *hits, SearchRequest *request)
{
	hits->request = request;
	hits->id_type = request->collection->primary->typid;
	hits->id_byval = get_typbyval(hits->id_type);
	if (hits->wanted == 0)
		hits->wanted = request->offset + request->limit;
}

void
HitsRun(Hits *hits, SearchRequest *request, int query)
{
	MemoryContext before = MemoryContextSwitchTo(hits->context);

	begin(hits, request);
	request->params->values[0] = request->vectors[query];
	StatementRun(request->plan, request->params, take_row, hits);
	sort_hits(hits);
	MemoryContextSwitchTo(before);
}

/* ---- all queries ---- */

typedef struct Batch
{
	Hits	   *hits;
	int			query;			/* whose rows come */
	bool		full;			/* no more of them are wanted */
	HitsDone	done;
	void	   *arg;
} Batch;

static void
end_query(Hits *hits, int query, HitsDone done, void *arg)
{
	MemoryContext before = MemoryContextSwitchTo(hits->context);

	sort_hits(hits);
	done(hits, query, arg);
	MemoryContextSwitchTo(before);
	HitsReset(hits);
}

/*
 * Rows of one query after the other, as a nested loop gives them.
 */
static bool
take_batched_row(TupleTableSlot *slot, void *arg)
{
	Batch	   *batch = arg;
	int			query = (int) DatumGetInt64(slot->tts_values[slot->tts_tupleDescriptor->natts - 1]) - 1;

	if (query < batch->query)
		elog(ERROR, "rows of query %d came after those of query %d", query, batch->query);
	for (; batch->query < query; batch->query++)
	{
		end_query(batch->hits, batch->query, batch->done, batch->arg);
		batch->full = false;
	}
	if (!batch->full)
	{
		MemoryContext before = MemoryContextSwitchTo(batch->hits->context);

		batch->full = !take_row(slot, batch->hits);
		MemoryContextSwitchTo(before);
	}
	return true;
}

void
HitsRunAll(Hits *hits, SearchRequest *request, HitsDone done, void *arg)
{
	Batch		batch = {.hits = hits,.done = done,.arg = arg};
	int16		typlen;
	bool		typbyval;
	char		typalign;

	begin(hits, request);
	if (!request->batched)
	{
		for (int query = 0; query < request->nq; query++)
		{
			CHECK_FOR_INTERRUPTS();
			HitsRun(hits, request, query);
			done(hits, query, arg);
			HitsReset(hits);
		}
		return;
	}
	get_typlenbyvalalign(request->vector_type, &typlen, &typbyval, &typalign);
	request->params->values[0] = PointerGetDatum(construct_array(request->vectors, request->nq, request->vector_type, typlen, typbyval, typalign));
	StatementRun(request->plan, request->params, take_batched_row, &batch);
	for (; batch.query < request->nq; batch.query++)
		end_query(hits, batch.query, done, arg);
}

void
HitsReset(Hits *hits)
{
	MemoryContextReset(hits->context);
	hits->n = hits->room = 0;
	hits->hits = NULL;
	hits->ngroups = hits->nfull = hits->groups_room = 0;
	hits->group_sizes = NULL;
	hits->group_names = NULL;
	hits->group_table = NULL;
}

void
HitsFinish(Hits *hits, int *first, int *last)
{
	SearchRequest *request = hits->request;

	if (request->group_column > 0)
	{
		/* the offset counts groups */
		for (*first = 0; *first < hits->n && hits->hits[*first].group < request->offset;)
			(*first)++;
		*last = hits->n;
		return;
	}
	if (request->ranker != NULL)
	{
		Ranker	   *ranker = request->ranker;

		hits->ascending = ranker->kind == RANK_BOOST && !request->similarity;
		for (int i = 0; i < hits->n; i++)
		{
			Hit		   *hit = &hits->hits[i];
			double		score = ranker->kind == RANK_DECAY ? NormalizeScore(hit->score, request->metric, ranker->norm_score, true) : hit->score;

			hit->score = (float) RankerScore(ranker, score, hit->id, hits->id_type,
											 hit->values + request->rank_column, hit->isnull + request->rank_column);
		}
		qsort_arg(hits->hits, hits->n, sizeof(Hit), by_rank, hits);
	}
	if (request->norder > 0)
		qsort_arg(hits->hits, hits->n, sizeof(Hit), by_keys, hits);
	*first = Min(request->offset, hits->n);
	*last = Min(request->offset + request->limit, hits->n);
}
