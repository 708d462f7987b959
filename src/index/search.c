/*
 * search.c
 *		A search: rows handed over in batches by the index type, ranked and
 *		returned by the exact scan.
 *
 * FLAT hands over everything at once.  Lists (ivf.c) and graphs (hnsw_search.c)
 * hand over what they find first, more when the caller goes on, and at last
 * every row that is left, so that a search always ends with each row that is not
 * excluded returned once.  Where the caller names the rows, these are all there are.
 */
#include "index/codec.h"

/* ---- scratch memory ---- */

AnnScratch *
AnnScratchCreate(const AnnEnv *env)
{
	size_t		head = AnnRoundUp(sizeof(AnnScratch), ANN_ALIGN);
	AnnScratch *scratch = AnnAlloc(env, head + sizeof(AnnEnv));
	AnnEnv	   *copy;

	if (scratch == NULL)
		return NULL;
	memset(scratch, 0, sizeof(*scratch));
	copy = (AnnEnv *) ((char *) scratch + head);
	*copy = *env;
	scratch->env = copy;
	scratch->scan.memory = copy;
	return scratch;
}

void
AnnScratchFree(AnnScratch *scratch)
{
	AnnEnv		env;

	if (scratch == NULL)
		return;
	env = *scratch->env;
	AnnFree(&env, scratch->scan.keys);
	AnnFree(&env, scratch->scan.refined.keys);
	AnnFree(&env, scratch->scan.exactly.keys);
	AnnFree(&env, scratch->walk.map);
	AnnFree(&env, scratch->walk.seen);
	AnnFree(&env, scratch->walk.estimates);
	AnnFree(&env, scratch->walk.dots);
	AnnFree(&env, scratch->walk.pool);
	AnnFree(&env, scratch->walk.given);
	AnnFree(&env, scratch->walk.bridges);
	AnnFree(&env, scratch->query);
	AnnFree(&env, scratch->lists);
	AnnFree(&env, scratch->list_distances);
	AnnFree(&env, scratch);
}

/* ---- life of a search ---- */

/* About which share of the rows a mask lets through, from at most 256 words of it. */
static double
allowed_share(const uint64_t *excluded, uint32_t n)
{
	size_t		words = n / 64;
	size_t		step = AnnMax(words / 256, 1);
	size_t		looked = 0;
	size_t		out = 0;

	if (excluded == NULL || words == 0)
		return 1;
	for (size_t i = 0; i < words; i += step)
	{
		out += (size_t) __builtin_popcountll(excluded[i]);
		looked += 64;
	}
	/* never zero: half a row of those looked at */
	return AnnMax((double) (looked - out), 0.5) / (double) looked;
}

/* Clear the marks of a walk: word by word where little was seen. */
static void
clear_marks(AnnWalk *walk)
{
	if (walk->nseen + walk->nbridges > walk->map_words / 4)
		memset(walk->map, 0, walk->map_words * sizeof(uint64_t));
	else
	{
		for (size_t i = 0; i < walk->nseen; i++)
			walk->map[walk->seen[i] >> 6] = 0;
		for (size_t i = 0; i < walk->nbridges; i++)
			walk->map[walk->bridges[i] >> 6] = 0;
	}
	walk->nseen = 0;
	walk->nbridges = 0;
}

/* What a query needs besides its raw copy: SQ8 codes, or what codecs make of it. */
typedef struct QueryRoom
{
	size_t		raw;			/* bytes of each, rounded up to 64 */
	size_t		codes;
	size_t		floats;
	size_t		coded;
	size_t		refine;
} QueryRoom;

static AnnCodes
row_codes(const AnnSegment *segment)
{
	return (AnnCodes) {
		.params = &segment->params, .codec = segment->codec, .model = segment->model,
		.codes = segment->codes, .meta = segment->code_meta, .n = segment->n,
	};
}

static AnnCodes
refine_codes(const AnnSegment *segment)
{
	return (AnnCodes) {
		.params = &segment->params, .codec = segment->refine_codec,
		.codes = segment->refine_codes, .meta = segment->refine_meta, .n = segment->n,
	};
}

#define CODED_BYTES AnnRoundUp(sizeof(AnnCoded), ANN_ALIGN)

static QueryRoom
query_room(const AnnSegment *segment)
{
	QueryRoom	room = {.raw = AnnRoundUp(AnnRowBytes(&segment->params), ANN_ALIGN)};

	if (segment->codes != NULL && segment->codec == NULL)
		room.codes = segment->code_stride;
	if (segment->codec != NULL)
	{
		AnnCodes	codes = row_codes(segment);

		room.coded = CODED_BYTES + AnnCodedBytes(&codes);
	}
	if (segment->refine_codec != NULL)
	{
		AnnCodes	codes = refine_codes(segment);

		room.refine = CODED_BYTES + AnnCodedBytes(&codes);
	}
	if (room.coded > 0 || room.refine > 0)
		room.floats = AnnRoundUp(sizeof(float) * segment->params.dim, ANN_ALIGN);
	return room;
}

/* Make the query ready for codes, in the memory at `at`; room says how it is divided. */
static void
prepare_query(const AnnSegment *segment, const void *query, uint32_t query_bits,
			  const QueryRoom *room, char *at, AnnScan *scan)
{
	const AnnParams *ann = &segment->params;
	float	   *floats = (float *) (at + room->codes);
	bool		bounded = true;

	scan->coded = NULL;
	scan->refine = NULL;
	if (room->codes > 0)
		AnnSq8Query(ann, segment->mean, query, (int8_t *) at, &scan->query);
	at += room->codes + room->floats;
	if (room->floats > 0)
		bounded = AnnCodedQuery(ann, query, segment->mean, floats);
	if (room->coded > 0)
	{
		AnnCoded   *coded = (AnnCoded *) at;

		coded->codes = row_codes(segment);
		AnnCodedBegin(coded, floats, segment->mean, bounded, query_bits, at + CODED_BYTES);
		scan->coded = coded;
	}
	at += room->coded;
	if (room->refine > 0)
	{
		AnnCoded   *coded = (AnnCoded *) at;

		coded->codes = refine_codes(segment);
		AnnCodedBegin(coded, floats, segment->mean, bounded, 0, at + CODED_BYTES);
		scan->refine = coded;
	}
}

AnnSearch *
AnnSearchBegin(const AnnSegment *segment, const void *query, const AnnSearchParams *params,
			   AnnScratch *scratch, const AnnEnv *env)
{
	const AnnParams *ann = &segment->params;
	QueryRoom	room = query_room(segment);
	AnnSearch  *search = &scratch->search;
	AnnScan    *scan = &scratch->scan;

	if (!AnnGrow(scratch->env, &scratch->query, &scratch->query_capacity, 0,
				 room.raw + room.codes + room.floats + room.coded + room.refine, 1))
		return NULL;

	/* of a search that an error left open */
	clear_marks(&scratch->walk);

	memset(search, 0, sizeof(*search));
	search->segment = segment;
	search->env = env;
	search->scratch = scratch;
	search->params = *params;
	search->params.ef = AnnMax(params->ef, 1);
	search->params.nprobe = AnnMax(params->nprobe, 1);
	search->allowed = allowed_share(params->excluded, segment->n);
	search->exhausted = segment->n == 0 || (params->rows != NULL && params->nrows == 0);

	memcpy(scratch->query, query, AnnRowBytes(ann));
	scan->env = env;
	scan->params = *ann;
	scan->query_raw = scratch->query;
	scan->exact = segment->raw == NULL ? params->exact : NULL;
	scan->exact_ctx = params->exact_ctx;
	scan->raw = segment->raw;
	prepare_query(segment, query, params->rbq_query_bits, &room,
				  (char *) scratch->query + room.raw, scan);
	scan->window_share = 0;
	scan->window_rows = 0;
	if (segment->codec != NULL && !segment->codec->rigorous)
	{
		scan->window_share = params->refine_k > 0 ? params->refine_k : 0;
		scan->window_rows = params->reorder_k;
	}
	AnnScanReset(scan);
	return search;
}

/* ---- handing over rows ---- */

/* What the estimates of a list's rows need: 0 where codes have no use for it. */
static float
base_of(const AnnSearch *search, uint32_t list)
{
	const AnnSegment *segment = search->segment;
	const AnnCoded *coded = search->scratch->scan.coded;

	if (coded == NULL)
		return 0;
	if (segment->lists == NULL)
		return coded->base;
	return AnnCodedBase(coded, segment->centroids + (size_t) list * segment->params.dim);
}

/* Below this share of rows let through, they are listed, not met one after the other. */
#define SPARSE_MASK 0.5
/* Rows listed at a time. */
#define LIST_ROWS 1024

/* Hand the rows that are not in a mask to the ranking, by number. */
static AnnStatus
give_allowed(AnnSearch *search, const uint64_t *except)
{
	const AnnSegment *segment = search->segment;
	size_t		words = AnnMapWords(segment->n);
	uint32_t	rows[LIST_ROWS + 64];
	uint32_t	count = 0;
	AnnStatus	status = ANN_OK;

	for (size_t i = 0; i < words && status == ANN_OK; i++)
	{
		uint64_t	word = ~except[i];

		if (i == words - 1 && segment->n % 64 != 0)
			word &= (UINT64_C(1) << (segment->n % 64)) - 1;
		search->scratch->scan.stats.excluded += 64 - (uint32_t) __builtin_popcountll(word);
		for (; word != 0; word &= word - 1)
			rows[count++] = (uint32_t) (i * 64) + (uint32_t) __builtin_ctzll(word);
		if (count >= LIST_ROWS || (i == words - 1 && count > 0))
		{
			if (AnnCancelled(search->env))
				return ANN_CANCELLED;
			status = AnnScanAddRows(&search->scratch->scan, segment->codes, segment->code_stride,
									segment->code_meta, base_of(search, 0), rows, count);
			count = 0;
		}
	}
	return status;
}

/* See index_internal.h. */
AnnStatus
AnnGiveRange(AnnSearch *search, uint32_t list, uint32_t first, uint32_t n, const uint64_t *except)
{
	const AnnSegment *segment = search->segment;
	AnnScan    *scan = &search->scratch->scan;

	if (n == 0)
		return ANN_OK;
	if (scan->coded != NULL)
		return AnnScanAddCoded(scan, base_of(search, list), first, n, except);
	if (segment->codes != NULL)
		return AnnScanAddCodes(scan, segment->codes + first * segment->code_stride,
							   segment->code_stride, segment->code_meta + first, first, n,
							   except);
	return AnnScanAddRaw(scan, AnnRow(&segment->params, segment->raw, first), first, n, except);
}

/* Hand all rows to the ranking but those in `except` (NULL: none).  Not for lists. */
AnnStatus
AnnGiveAll(AnnSearch *search, const uint64_t *except)
{
	search->exhausted = true;
	search->scratch->scan.stats.exhaustive = true;
	if (except != NULL && search->allowed < SPARSE_MASK)
		return give_allowed(search, except);
	return AnnGiveRange(search, 0, 0, search->segment->n, except);
}

/* Rows compared by number at a time. */
#define NAMED_BLOCK 256

/* Hand over the rows that the caller named, but excluded ones. */
static AnnStatus
give_named(AnnSearch *search)
{
	const AnnSegment *segment = search->segment;
	const AnnSearchParams *params = &search->params;
	AnnScan    *scan = &search->scratch->scan;
	/* codes of lists are relative to their centroids: rows ascend, and so do their lists */
	bool		by_list = scan->coded != NULL && segment->lists != NULL;
	uint32_t	list = 0;
	uint32_t	at = 0;

	search->exhausted = true;
	while (at < params->nrows)
	{
		uint32_t	rows[NAMED_BLOCK];
		uint32_t	end = segment->n;
		uint32_t	n = 0;
		AnnStatus	status;

		if (params->rows[at] >= segment->n)
			return ANN_CORRUPT;
		if (by_list)
		{
			while (segment->lists[list + 1] <= params->rows[at])
				list++;
			end = segment->lists[list + 1];
		}
		for (; at < params->nrows && n < NAMED_BLOCK && params->rows[at] < end; at++)
		{
			rows[n] = params->rows[at];
			if (params->excluded != NULL && AnnMapGet(params->excluded, rows[n]))
				scan->stats.excluded++;
			else
				n++;
		}
		if (n == 0)
			continue;
		if (AnnCancelled(search->env))
			return ANN_CANCELLED;
		status = AnnScanAddRows(scan, segment->codes, segment->code_stride, segment->code_meta,
								base_of(search, list), rows, n);
		if (status != ANN_OK)
			return status;
		search->given += n;
	}
	return ANN_OK;
}

/* See index.h. */
double
AnnRowsLimit(const AnnSegment *segment, uint32_t ef, uint32_t nprobe, double share)
{
	switch (AnnTypeStructure(segment->params.type))
	{
		case ANN_GRAPH:
			return AnnHnswMaskedCost(segment, ef, share);
		case ANN_LISTS:
			return AnnMax((double) segment->n / AnnMax(segment->nlist, 1) * nprobe * share,
						  AnnMin(segment->n * share, 4096));
		default:
			return segment->n;
	}
}

/* Hand more rows to the ranking. */
static AnnStatus
give(AnnSearch *search)
{
	if (search->params.rows != NULL)
		return give_named(search);
	switch (AnnTypeStructure(search->segment->params.type))
	{
		case ANN_ALL_ROWS:
			return AnnGiveAll(search, search->params.excluded);
		case ANN_LISTS:
			return AnnIvfGive(search);
		case ANN_GRAPH:
			return AnnHnswGive(search);
		case ANN_HASHES:
			return AnnMinhashGive(search);
	}
	return ANN_CORRUPT;
}

/*
 * Whether more rows should be handed over before the next answer.  A graph's
 * batch is drained first.  Lists are read ahead: what is left of the probed ones
 * gets worse with every answer, and nearer rows may lie in the next lists.
 */
static bool
wants_more(const AnnSearch *search)
{
	const AnnScan *scan = &search->scratch->scan;

	if (search->exhausted)
		return false;
	if (AnnScanEmpty(scan))
		return true;
	return AnnTypeStructure(search->segment->params.type) == ANN_LISTS &&
		(uint64_t) search->returned * 4 >= search->given;
}

AnnStatus
AnnSearchNext(AnnSearch *search, AnnHit *hits, int max, int *nhits)
{
	AnnScan    *scan = &search->scratch->scan;
	AnnStatus	status;

	*nhits = 0;
	/* without raw vectors, the caller has them */
	if (scan->raw == NULL && scan->exact == NULL)
		return ANN_IO;
	for (;;)
	{
		while (wants_more(search))
		{
			scan->stats.batches++;
			status = give(search);
			if (status != ANN_OK)
				return status;
		}
		status = AnnScanNext(scan, hits, max, nhits);
		if (status != ANN_OK || *nhits > 0 || search->exhausted || max <= 0)
			break;
	}
	search->returned += (uint32_t) *nhits;
	return status;
}

const AnnSearchStats *
AnnSearchGetStats(const AnnSearch *search)
{
	return &search->scratch->scan.stats;
}

void
AnnSearchEnd(AnnSearch *search)
{
	if (search != NULL)
		clear_marks(&search->scratch->walk);
}
