/*
 * fuzz_segment.c
 *		Damaged durable sections of every index type: they are refused, or give a
 *		segment that can be checked and searched.
 *
 * An input is a list of changes to the sections of an index that was built from good
 * rows: bytes made up from nothing would hardly pass the first check.  Byte 0 says which
 * index, then come changes of CHANGE_BYTES bytes each: section, kind, place, value.
 *
 * What must hold: AnnExpand says ANN_OK or ANN_CORRUPT; of what it opens a search gives
 * every row that it may give once, whatever the damage did to distances.
 */
#include <stdlib.h>

#include "check.h"
#include "fuzz.h"
#include "index/index.h"
#include "index/index_internal.h"
#include "index/sq8.h"
#include "kernels/kernels.h"

#define CHANGE_BYTES 10
#define MAX_CHANGES 24
/* A changed section grows to at most this many bytes more than it had. */
#define MAX_GROWTH 4096

#define HNSW_OPTIONS .m = 4, .ef_construction = 20
#define LISTS_OPTIONS .nlist = 5

/* The indexes whose sections are damaged.  Seeds name them by number: add at the end. */
static const AnnParams kinds[] = {
	{ANN_HNSW, ANN_L2, ANN_F32, 7, HNSW_OPTIONS},
	{ANN_HNSW, ANN_COSINE, ANN_F16, 16, HNSW_OPTIONS, .compact = true},
	{ANN_HNSW, ANN_L1, ANN_F32, 5, HNSW_OPTIONS},
	{ANN_HNSW, ANN_IP, ANN_I8, 8, HNSW_OPTIONS},
	{ANN_HNSW, ANN_JACCARD, ANN_BIT, 40, HNSW_OPTIONS},
	{ANN_FLAT, ANN_IP, ANN_F32, 9},
	{ANN_FLAT, ANN_L2, ANN_BF16, 9, .compact = true},
	{ANN_FLAT, ANN_HAMMING, ANN_BIT, 21},
	{ANN_IVF_FLAT, ANN_COSINE, ANN_F32, 8, LISTS_OPTIONS},
	{ANN_IVF_FLAT, ANN_HAMMING, ANN_BIT, 40, LISTS_OPTIONS},
	{ANN_IVF_SQ8, ANN_L2, ANN_BF16, 12, LISTS_OPTIONS},
	{ANN_IVF_PQ, ANN_L2, ANN_F32, 8, LISTS_OPTIONS, .pq_m = 4, .pq_nbits = 5},
	{ANN_IVF_PQ, ANN_IP, ANN_F32, 8, LISTS_OPTIONS, .pq_m = 2, .pq_nbits = 11, .refine_type = ANN_QUANT_F16},
	{ANN_IVF_PQ, ANN_COSINE, ANN_F32, 8, LISTS_OPTIONS, .pq_m = 4, .pq_nbits = 4},
	{ANN_SCANN, ANN_L2, ANN_F32, 8, LISTS_OPTIONS, .pq_m = 4, .pq_nbits = 4, .refine_type = ANN_QUANT_F32},
	{ANN_IVF_RABITQ, ANN_L2, ANN_F32, 12, LISTS_OPTIONS, .refine_type = ANN_QUANT_SQ6},
	{ANN_IVF_RABITQ, ANN_COSINE, ANN_F16, 65, LISTS_OPTIONS},
	{ANN_HNSW_SQ, ANN_L2, ANN_F32, 9, HNSW_OPTIONS, .sq_type = ANN_QUANT_SQ4, .refine_type = ANN_QUANT_BF16},
	{ANN_HNSW_SQ, ANN_IP, ANN_F32, 9, HNSW_OPTIONS, .sq_type = ANN_QUANT_SQ6},
	{ANN_HNSW_SQ, ANN_COSINE, ANN_F32, 9, HNSW_OPTIONS, .sq_type = ANN_QUANT_SQ8, .refine_type = ANN_QUANT_SQ8},
	{ANN_HNSW_SQ, ANN_L2, ANN_F32, 9, HNSW_OPTIONS, .sq_type = ANN_QUANT_F16},
	{ANN_HNSW_SQ, ANN_L2, ANN_I8, 9, HNSW_OPTIONS, .sq_type = ANN_QUANT_BF16},
	{ANN_HNSW_PQ, ANN_L2, ANN_F32, 8, HNSW_OPTIONS, .pq_m = 4, .pq_nbits = 8},
	{ANN_HNSW_PRQ, ANN_IP, ANN_F32, 8, HNSW_OPTIONS, .pq_m = 2, .pq_nbits = 5, .nrq = 2},
	{ANN_MINHASH_LSH, ANN_JACCARD, ANN_BIT, 64, .mh_band = 2, .mh_element_bits = 8},
	{ANN_MINHASH_LSH, ANN_MHJACCARD, ANN_BIT, 128, .mh_band = 2, .mh_element_bits = 32},
	{ANN_HNSW, ANN_L2, ANN_F32, 4, HNSW_OPTIONS},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/*
 * Rows of an index: few, so that an input takes a millisecond.  The last one has enough of them
 * for a walk through the excluded rows to be worth its while.
 */
#define ROWS(kind) ((kind) == KINDS - 1 ? MAX_ROWS : 150 + (kind))
#define MAX_ROWS 2048

/* An index of good rows, built when an input first asks for it. */
typedef struct Good
{
	AnnParams	params;
	uint32_t	n;
	char	   *raw;			/* in segment order */
	AnnBuilt	built;
} Good;

static Good goods[KINDS];

/* Bytes of exactly this size, so that a read behind them is seen. */
static void *
exact(size_t bytes)
{
	void	   *p;

	if (posix_memalign(&p, 64, bytes) != 0)
		abort();
	return p;
}

/* ---- good indexes ---- */

/* n rows around a few centres; some are equal. */
static void *
make_rows(const AnnParams *params, uint32_t n)
{
	size_t		row_bytes = AnnRowBytes(params);
	char	   *raw = exact(row_bytes * n);
	CheckRandom r = {12345};

	for (uint32_t row = 0; row < n; row++)
	{
		char	   *at = raw + row * row_bytes;

		if (row % 13 == 5)
		{
			memcpy(at, raw, row_bytes);
			continue;
		}
		for (uint32_t d = 0; d < params->dim; d++)
		{
			float		x = (float) ((row * 7 + d) % 5) + (float) CheckRandomDouble(&r, -1, 1);

			switch (params->elem)
			{
				case ANN_F32:
					((float *) at)[d] = x;
					break;
				case ANN_F16:
					kernels->f32_to_f16(&x, (uint16_t *) at + d, 1);
					break;
				case ANN_BF16:
					kernels->f32_to_bf16(&x, (uint16_t *) at + d, 1);
					break;
				case ANN_I8:
					((int8_t *) at)[d] = (int8_t) (x * 20);
					break;
				case ANN_BIT:
					if (d % 8 == 0)
						at[d / 8] = 0;
					at[d / 8] |= (char) ((x > 2) << (7 - d % 8));
					break;
			}
		}
	}
	return raw;
}

static const Good *
good_index(uint32_t kind)
{
	Good	   *good = &goods[kind];

	if (good->raw == NULL)
	{
		size_t		row_bytes;
		char	   *raw;

		good->params = kinds[kind];
		good->params.seed = 3;
		good->n = ROWS(kind);
		row_bytes = AnnRowBytes(&good->params);
		raw = make_rows(&good->params, good->n);
		if (AnnBuild(&good->params, raw, good->n, 1, &AnnMallocEnv, &good->built) != ANN_OK)
			abort();
		good->raw = exact(row_bytes * good->n);
		for (uint32_t row = 0; row < good->n; row++)
			memcpy(good->raw + row * row_bytes,
				   raw + row_bytes * (good->built.order != NULL ? good->built.order[row] : row),
				   row_bytes);
		free(raw);
	}
	return good;
}

/* ---- damage ---- */

static uint64_t
get_number(const uint8_t *data, int bytes)
{
	uint64_t	value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64_t) data[i] << (8 * i);
	return value;
}

/* Apply one change to a section whose data are of exactly its bytes. */
static void
change_section(AnnSection *section, uint64_t original, uint8_t kind, uint32_t place, uint32_t value)
{
	static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, -1.0f, 1e-45f, 3e38f, -3e38f, 1e20f, 1e-20f};
	char	   *data = (char *) section->data;
	uint64_t	bytes = section->bytes;
	/* every other kind stays where headers are */
	uint64_t	reach = kind & 0x80 ? AnnMin(bytes, 128) : bytes;
	uint64_t	words = reach / 4;
	float		x;

	switch ((kind & 0x7f) % 9)
	{
		case 0:
			if (bytes > 0)
				data[place % reach] ^= (char) (value ? value : 1);
			break;
		case 1:
			if (words > 0)
				memcpy(data + place % words * 4, &value, 4);
			break;
		case 2:
			if (words > 0)
			{
				uint32_t	before;

				memcpy(&before, data + place % words * 4, 4);
				before += (uint32_t) (int32_t) (int8_t) value;
				memcpy(data + place % words * 4, &before, 4);
			}
			break;
		case 3:
			if (words > 0)
			{
				x = odd[value % (sizeof(odd) / sizeof(odd[0]))];
				memcpy(data + place % words * 4, &x, 4);
			}
			break;
		case 4:
			{
				uint64_t	resized = value & 1 ? place % (original + MAX_GROWTH)
					: original + (int8_t) value / 2 * (uint64_t) 1;
				char	   *copy;

				if (resized > original + MAX_GROWTH)
					resized = 0;
				copy = exact(resized);
				memset(copy, 0, resized);
				memcpy(copy, data, AnnMin(resized, bytes));
				free(data);
				section->data = copy;
				section->bytes = resized;
			}
			break;
		case 5:
			if (bytes > 0)
				memset(data + place % reach, (int) (value & 255), AnnMin(bytes - place % reach, value >> 8 & 255));
			break;
		case 6:
			if (reach >= 2)
				memcpy(data + place % (reach / 2) * 2, &value, 2);
			break;
		case 7:
			if (reach >= 8)
			{
				uint64_t	wide = (uint64_t) value << (place >> 24 & 31);

				memcpy(data + place % (reach / 8) * 8, &wide, 8);
			}
			break;
		case 8:
			section->id = ANN_NO_ROW;
			break;
	}
}

/* ---- what reads it ---- */

typedef struct Reader
{
	const Good *good;
	AnnSection	sections[ANN_MAX_SECTIONS];
	int			nsections;
} Reader;

static bool
read_raw(void *ctx, uint64_t offset, size_t bytes, void *dst)
{
	const Good *good = ((Reader *) ctx)->good;

	if (offset + bytes > AnnRowBytes(&good->params) * good->n)
		abort();
	memcpy(dst, good->raw + offset, bytes);
	return true;
}

static bool
write_section(void *ctx, uint32_t id, uint64_t offset, const void *data, size_t bytes)
{
	Reader	   *reader = ctx;

	for (int i = 0; i < reader->nsections; i++)
	{
		if (reader->sections[i].id == id)
		{
			if (offset + bytes > reader->sections[i].bytes)
				abort();
			memcpy((char *) reader->sections[i].data + offset, data, bytes);
			return true;
		}
	}
	abort();
}

typedef struct Exact
{
	const Good *good;
	const void *query;
} Exact;

static float
exact_distance(void *ctx, uint32_t row)
{
	const Exact *search = ctx;
	const Good *good = search->good;

	if (row >= good->n)
		abort();
	return AnnDistance(&good->params, good->raw + row * AnnRowBytes(&good->params), search->query);
}

static bool
read_vector(void *ctx, uint32_t row, void *dst)
{
	const Good *good = ctx;
	size_t		bytes = AnnRowBytes(&good->params);

	if (row >= good->n)
		abort();
	memcpy(dst, good->raw + row * bytes, bytes);
	return true;
}

/* Search until nothing is left: the rows that are to come, each once. */
static void
search_all(const Good *good, const AnnSegment *segment, uint32_t at, AnnSearchParams params,
		   uint32_t expected)
{
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	Exact		search_for = {good, good->raw + at * AnnRowBytes(&good->params)};
	uint8_t		seen[MAX_ROWS] = {0};
	uint32_t	total = 0;
	AnnHit		hits[40];
	int			nhits;
	AnnSearch  *search;

	params.exact = exact_distance;
	params.exact_ctx = &search_for;
	search = AnnSearchBegin(segment, search_for.query, &params, scratch, &AnnMallocEnv);
	do
	{
		if (AnnSearchNext(search, hits, 40, &nhits) != ANN_OK)
			abort();
		for (int i = 0; i < nhits; i++)
		{
			if (hits[i].row >= good->n || seen[hits[i].row]++)
				abort();
			if (params.excluded != NULL && params.excluded[hits[i].row / 64] >> hits[i].row % 64 & 1)
				abort();
			if (hits[i].distance != exact_distance(&search_for, hits[i].row))
				abort();
		}
		total += (uint32_t) nhits;
	} while (nhits > 0);
	if (total != expected)
		abort();
	AnnSearchEnd(search);
	AnnScratchFree(scratch);
}

static void
use_segment(const Good *good, const AnnSegment *segment, bool calibrate)
{
	uint64_t	some[MAX_ROWS / 64] = {0};
	uint64_t	most[MAX_ROWS / 64] = {0};
	uint32_t	rows[] = {0, 3, 4, 5, 77, 149};
	uint32_t	left_by_some = 0;
	uint32_t	left_by_most = 0;
	char		message[200];

	for (uint32_t row = 0; row < good->n; row++)
	{
		if (row % 4 != 1)
			left_by_some++;
		else
			some[row / 64] |= UINT64_C(1) << row % 64;
		if (row % 8 == 3)
			left_by_most++;
		else
			most[row / 64] |= UINT64_C(1) << row % 64;
	}
	(void) AnnCheck(segment, &AnnMallocEnv, message, sizeof(message));
	search_all(good, segment, 0, (AnnSearchParams){.ef = 3, .nprobe = 1}, good->n);
	search_all(good, segment, 9,
			   (AnnSearchParams){.ef = 4, .nprobe = 2, .rbq_query_bits = 4, .refine_k = 2,
								 .reorder_k = 8, .excluded = some}, left_by_some);
	search_all(good, segment, 33, (AnnSearchParams){.ef = 50, .nprobe = 1, .excluded = most}, left_by_most);
	search_all(good, segment, 20, (AnnSearchParams){.ef = 9, .nprobe = 3, .rows = rows, .nrows = 6}, 6);
	if (calibrate)
	{
		AnnCalibration calibration;

		if (AnnCalibrate(segment, read_vector, (void *) good, &AnnMallocEnv, &calibration) != ANN_OK)
			abort();
	}
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	KernelsInit();
	GemmInit();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const Good *good;
	AnnSection	durable[ANN_MAX_SECTIONS];
	int			ndurable;
	Reader		reader;
	AnnSegment	segment;
	AnnStatus	status = ANN_CORRUPT;

	if (size < 1)
		return 0;
	good = good_index(data[0] % KINDS);
	ndurable = good->built.nsections;
	for (int i = 0; i < ndurable; i++)
	{
		void	   *copy = exact(good->built.sections[i].bytes);

		durable[i] = good->built.sections[i];
		memcpy(copy, durable[i].data, durable[i].bytes);
		durable[i].data = copy;
	}
	for (size_t i = 0; i < MAX_CHANGES && 1 + (i + 1) * CHANGE_BYTES <= size && ndurable > 0; i++)
	{
		const uint8_t *change = data + 1 + i * CHANGE_BYTES;
		int			which = change[0] % ndurable;

		change_section(&durable[which], good->built.sections[which].bytes, change[1],
					   (uint32_t) get_number(change + 2, 4), (uint32_t) get_number(change + 6, 4));
	}

	reader.good = good;
	reader.nsections = AnnExpandedSections(&good->params, good->n, durable, ndurable, reader.sections);
	for (int i = 0; i < reader.nsections; i++)
		reader.sections[i].data = exact(reader.sections[i].bytes);
	if (reader.nsections >= 0)
		status = AnnExpand(&good->params, good->n, durable, ndurable, read_raw, &reader,
						   write_section, &reader, &AnnMallocEnv);
	if (status == ANN_OK)
	{
		if (AnnOpen(&good->params, good->n, reader.sections, reader.nsections, &segment) != ANN_OK)
			abort();
		use_segment(good, &segment, size % 16 == 5);
	}
	else if (status != ANN_CORRUPT)
		abort();
	/* nothing that is whole is refused */
	if (size <= CHANGE_BYTES && status != ANN_OK)
		abort();

	for (int i = 0; i < reader.nsections; i++)
		free((void *) reader.sections[i].data);
	for (int i = 0; i < ndurable; i++)
		free((void *) durable[i].data);
	return 0;
}
