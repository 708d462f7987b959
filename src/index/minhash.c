/*
 * minhash.c
 *		MINHASH_LSH: rows found by bands of their MinHash signature (Broder 1997;
 *		Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4).
 *
 * A signature is a row of elements; equal elements of two signatures are about as
 * many as their sets' Jaccard similarity says.  It is cut into bands of as many
 * elements each (those left over are in no band), and rows that agree in a whole
 * band are candidates: two rows of similarity s are with probability
 * 1 - (1 - s^r)^b, for b bands of r elements.
 *
 *		HASHES	 MinhashHeader | band 0: n hashes, ascending | n rows | band 1 …
 *
 * Candidates are compared exactly, and returned first unless they share a band by mere
 * chance.  When the caller asks for more, all other rows are compared.
 */
#include "index/index_internal.h"

#include <math.h>
#include <stdio.h>

#define MINHASH_MAGIC 0x3153484du	/* "MHS1" */
#define MINHASH_VERSION 1

/* Entries looked at between looks at cancellation. */
#define CANCEL_EVERY 65536

/* Rows compared exactly at a time. */
#define BLOCK 256

typedef struct MinhashHeader
{
	uint32_t	magic;
	uint32_t	version;
	uint32_t	n;
	uint32_t	bands;
	uint32_t	element_bits;
	uint32_t	pad[11];		/* zero; to 64 bytes */
} MinhashHeader;

static inline const uint32_t *
band_hashes(const MinhashHeader *header, uint32_t band)
{
	return (const uint32_t *) (header + 1) + (size_t) band * 2 * header->n;
}

static inline const uint32_t *
band_rows(const MinhashHeader *header, uint32_t band)
{
	return band_hashes(header, band) + header->n;
}

/* Bytes of a band of a row. */
static inline size_t
band_bytes(uint32_t dim, const MinhashHeader *header)
{
	return (size_t) (AnnMinhashElements(dim, header->element_bits) / header->bands) *
		(header->element_bits / 8);
}

static uint32_t
hash_band(const uint8_t *band, size_t bytes)
{
	uint64_t	hash = bytes;

	for (size_t at = 0; at < bytes; at += sizeof(uint64_t))
	{
		uint64_t	word = 0;

		memcpy(&word, band + at, AnnMin(sizeof(word), bytes - at));
		hash = (hash ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
		hash ^= hash >> 29;
	}
	return (uint32_t) (AnnRandom(&hash) >> 32);
}

/* ---- build ---- */

typedef struct Hashing
{
	const AnnParams *params;
	const void *raw;
	MinhashHeader *header;
	uint64_t   *keys;			/* a worker: n keys (hash, row) */
} Hashing;

static void
hash_bands(void *ctx, int worker, uint32_t first, uint32_t end)
{
	const Hashing *hashing = ctx;
	MinhashHeader *header = hashing->header;
	uint32_t	n = header->n;
	size_t		bytes = band_bytes(hashing->params->dim, header);
	uint64_t   *keys = hashing->keys + (size_t) worker * n;

	for (uint32_t band = first; band < end; band++)
	{
		uint32_t   *hashes = (uint32_t *) band_hashes(header, band);
		uint32_t   *rows = hashes + n;

		for (uint32_t row = 0; row < n; row++)
		{
			const uint8_t *at = AnnRow(hashing->params, hashing->raw, row);

			keys[row] = (uint64_t) hash_band(at + band * bytes, bytes) << 32 | row;
		}
		AnnSortKeys(keys, n);
		for (uint32_t i = 0; i < n; i++)
		{
			hashes[i] = (uint32_t) (keys[i] >> 32);
			rows[i] = (uint32_t) keys[i];
		}
	}
}

/* Build HASHES; rows keep their order. */
AnnStatus
AnnMinhashBuild(const AnnParams *params, const void *raw, uint32_t n, int nthreads,
				const AnnEnv *env, AnnBuilt *built)
{
	uint32_t	bands = params->mh_band;
	int			threads = (int) AnnMin((uint32_t) nthreads, bands);
	uint64_t	bytes = sizeof(MinhashHeader) + 2 * sizeof(uint32_t) * (uint64_t) bands * n;
	AnnProgress progress = {.done = 0, .share = n, .total = n};
	Hashing		hashing = {.params = params, .raw = raw};
	AnnStatus	status = ANN_NO_MEMORY;

	hashing.header = AnnAlloc(env, bytes);
	hashing.keys = AnnAlloc(env, sizeof(uint64_t) * n * (size_t) threads);
	if (hashing.header != NULL && hashing.keys != NULL)
	{
		memset(hashing.header, 0, sizeof(MinhashHeader));
		hashing.header->magic = MINHASH_MAGIC;
		hashing.header->version = MINHASH_VERSION;
		hashing.header->n = n;
		hashing.header->bands = bands;
		hashing.header->element_bits = params->mh_element_bits;
		status = AnnParallel(env, threads, 0, bands, 1, hash_bands, &hashing, &progress);
	}
	AnnFree(env, hashing.keys);
	if (status == ANN_OK)
		AnnBuiltAdd(built, ANN_SEC_HASHES, hashing.header, bytes);
	else
		AnnFree(env, hashing.header);
	return status;
}

/* ---- what comes from disk ---- */

/* See index_internal.h. */
bool
AnnMinhashSized(const AnnParams *params, uint32_t n, const AnnSection *hashes)
{
	const MinhashHeader *header = hashes->data;

	return header != NULL && hashes->bytes >= sizeof(MinhashHeader) &&
		header->magic == MINHASH_MAGIC && header->version == MINHASH_VERSION &&
		header->n == n && header->bands == params->mh_band &&
		header->element_bits == params->mh_element_bits &&
		hashes->bytes == sizeof(MinhashHeader) +
		2 * sizeof(uint32_t) * (uint64_t) header->bands * n;
}

/* See index_internal.h. */
AnnStatus
AnnMinhashValid(const AnnSection *hashes, const AnnEnv *env)
{
	const MinhashHeader *header = hashes->data;

	for (uint32_t band = 0; band < header->bands; band++)
	{
		const uint32_t *hash = band_hashes(header, band);
		const uint32_t *rows = band_rows(header, band);

		if (AnnCancelled(env))
			return ANN_CANCELLED;
		for (uint32_t i = 0; i < header->n; i++)
		{
			if (rows[i] >= header->n || (i > 0 && hash[i] < hash[i - 1]))
				return ANN_CORRUPT;
		}
	}
	return ANN_OK;
}

/* See index_internal.h. */
bool
AnnMinhashCheck(const AnnSegment *segment, const AnnEnv *env, char *message, size_t len)
{
	const MinhashHeader *header = segment->hashes;
	size_t		bytes = band_bytes(segment->params.dim, header);
	uint64_t   *map = AnnAlloc(env, AnnMapWords(segment->n) * sizeof(uint64_t));
	bool		valid = map != NULL;

	if (!valid)
		snprintf(message, len, "out of memory");
	for (uint32_t band = 0; band < header->bands && valid; band++)
	{
		const uint32_t *hashes = band_hashes(header, band);
		const uint32_t *rows = band_rows(header, band);

		memset(map, 0, AnnMapWords(segment->n) * sizeof(uint64_t));
		for (uint32_t i = 0; i < segment->n && valid; i++)
		{
			const uint8_t *row = AnnRow(&segment->params, segment->raw, rows[i]);

			if (AnnMapGet(map, rows[i]))
				snprintf(message, len, "band %u: row %u twice", band, rows[i]);
			else if (hashes[i] != hash_band(row + band * bytes, bytes))
				snprintf(message, len, "band %u: row %u under a wrong hash", band, rows[i]);
			else if (i > 0 && hashes[i] < hashes[i - 1])
				snprintf(message, len, "band %u: hashes out of order", band);
			else
			{
				AnnMapSet(map, rows[i]);
				continue;
			}
			valid = false;
		}
	}
	AnnFree(env, map);
	return valid;
}

/* ---- search ---- */

/* Where hash is or would be. */
static uint32_t
find_hash(const uint32_t *hashes, uint32_t n, uint32_t hash)
{
	uint32_t	low = 0;

	for (uint32_t high = n; low < high;)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (hashes[middle] < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The rows that share a band with the query, each once, into walk->seen. */
static AnnStatus
find_candidates(AnnSearch *search)
{
	const AnnSegment *segment = search->segment;
	const MinhashHeader *header = segment->hashes;
	AnnScratch *scratch = search->scratch;
	AnnWalk    *walk = &scratch->walk;
	size_t		words = AnnMapWords(segment->n);
	size_t		bytes = band_bytes(segment->params.dim, header);
	uint64_t	looked = 0;

	if (walk->map_words < words)
	{
		if (!AnnGrow(scratch->env, (void **) &walk->map, &walk->map_words, 0, words,
					 sizeof(uint64_t)))
			return ANN_NO_MEMORY;
		memset(walk->map, 0, walk->map_words * sizeof(uint64_t));
	}
	for (uint32_t band = 0; band < header->bands; band++)
	{
		const uint32_t *hashes = band_hashes(header, band);
		const uint32_t *rows = band_rows(header, band);
		uint32_t	hash = hash_band((const uint8_t *) scratch->query + band * bytes, bytes);

		for (uint32_t i = find_hash(hashes, header->n, hash);
			 i < header->n && hashes[i] == hash; i++)
		{
			if (looked++ % CANCEL_EVERY == 0 && AnnCancelled(search->env))
				return ANN_CANCELLED;
			if (AnnMapGet(walk->map, rows[i]))
				continue;
			if (!AnnGrow(scratch->env, (void **) &walk->seen, &walk->seen_capacity, walk->nseen,
						 walk->nseen + 1, sizeof(uint32_t)))
				return ANN_NO_MEMORY;
			AnnMapSet(walk->map, rows[i]);
			walk->seen[walk->nseen++] = rows[i];
		}
	}
	scratch->scan.stats.hops += header->bands;
	return ANN_OK;
}

/*
 * How far in MHJACCARD a candidate may be from the query.  Of the rows that are
 * about (1 / bands)^(1 / elements of a band) similar, most share a band; of those less similar few do,
 * and whichever they are, as near ones do not: these all come with the rest.
 */
static float
farthest_candidate(const AnnSegment *segment)
{
	const MinhashHeader *header = segment->hashes;
	uint32_t	elements = AnnMinhashElements(segment->params.dim, header->element_bits);

	/* above the rounding of distances */
	return (float) (1 - pow(1.0 / header->bands, 1.0 / (elements / header->bands)) + 1e-6);
}

/* Compare at most BLOCK candidates; those that are no candidates after all lose their mark. */
static AnnStatus
give_block(AnnSearch *search, uint32_t *rows, uint32_t n)
{
	const AnnSegment *segment = search->segment;
	AnnParams	signatures = segment->params;
	AnnScan    *scan = &search->scratch->scan;
	float		farthest = farthest_candidate(segment);
	float		distances[BLOCK];
	uint32_t	kept = 0;

	signatures.metric = ANN_MHJACCARD;
	AnnDistances(&signatures, scan->query_raw, segment->raw, rows, n, distances);
	for (uint32_t i = 0; i < n; i++)
	{
		uint32_t	row = rows[i];

		if (distances[i] <= farthest)
		{
			rows[kept] = row;
			distances[kept++] = distances[i];
		}
		else
			search->scratch->walk.map[row >> 6] &= ~(UINT64_C(1) << (row & 63));
	}
	if (segment->params.metric != ANN_MHJACCARD)
		AnnDistances(&segment->params, scan->query_raw, segment->raw, rows, kept, distances);
	scan->stats.exact_distances += n;
	search->given += kept;
	return AnnScanAddExact(scan, rows, distances, kept);
}

/* Hand the candidates that are not excluded to the ranking. */
static AnnStatus
give_candidates(AnnSearch *search)
{
	const uint64_t *excluded = search->params.excluded;
	AnnWalk    *walk = &search->scratch->walk;
	uint32_t	rows[BLOCK];
	uint32_t	n = 0;
	AnnStatus	status = ANN_OK;

	for (size_t i = 0; i < walk->nseen && status == ANN_OK; i++)
	{
		if (excluded != NULL && AnnMapGet(excluded, walk->seen[i]))
			search->scratch->scan.stats.excluded++;
		else
			rows[n++] = walk->seen[i];
		if (n < BLOCK && (i + 1 < walk->nseen || n == 0))
			continue;
		status = give_block(search, rows, n);
		n = 0;
		if (status == ANN_OK && i % CANCEL_EVERY < BLOCK && AnnCancelled(search->env))
			status = ANN_CANCELLED;
	}
	return status;
}

/* Everything that was neither a candidate nor is excluded. */
static AnnStatus
give_rest(AnnSearch *search)
{
	const uint64_t *excluded = search->params.excluded;
	AnnScratch *scratch = search->scratch;
	AnnWalk    *walk = &scratch->walk;
	size_t		words = AnnMapWords(search->segment->n);

	if (excluded == NULL)
		return AnnGiveAll(search, walk->map);
	if (walk->nseen == 0)
		return AnnGiveAll(search, excluded);
	if (!AnnGrow(scratch->env, (void **) &walk->given, &walk->given_capacity, 0, words,
				 sizeof(uint64_t)))
		return ANN_NO_MEMORY;
	for (size_t i = 0; i < words; i++)
		walk->given[i] = walk->map[i] | excluded[i];
	return AnnGiveAll(search, walk->given);
}

/* The candidates, then all other rows. */
AnnStatus
AnnMinhashGive(AnnSearch *search)
{
	AnnStatus	status;

	if (search->batch++ > 0)
		return give_rest(search);
	status = find_candidates(search);
	return status == ANN_OK ? give_candidates(search) : status;
}
