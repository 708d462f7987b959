/*
 * test_index_faults.c
 *		Damaged sections, failing callbacks, short memory and cancellation: an error
 *		status or a segment that can be walked, nothing leaked, nothing overrun.
 */
#include "test_index_support.h"

#include "index/hnsw.h"

/* ---- an environment that fails on demand ---- */

typedef struct Faulty
{
	long		allocations;	/* alive */
	long		asked;
	long		fail_at;		/* this allocation returns NULL; 0: none */
	long		polls;
	long		cancel_at;		/* this look at cancellation says yes, and all after it */
	uint64_t	last_done;
	uint64_t	total;
	bool		backwards;
} Faulty;

static void *
faulty_alloc(void *ctx, size_t bytes)
{
	Faulty	   *faulty = ctx;

	if (++faulty->asked == faulty->fail_at)
		return NULL;
	faulty->allocations++;
	return allocate(bytes);
}

static void
faulty_free(void *ctx, void *p)
{
	((Faulty *) ctx)->allocations--;
	free(p);
}

static bool
faulty_cancelled(void *ctx)
{
	Faulty	   *faulty = ctx;

	return ++faulty->polls >= faulty->cancel_at && faulty->cancel_at > 0;
}

static void
faulty_progress(void *ctx, uint64_t done, uint64_t total)
{
	Faulty	   *faulty = ctx;

	faulty->backwards |= done > total;
	faulty->last_done = done;
	faulty->total = total;
}

static AnnEnv
faulty_env(Faulty *faulty)
{
	AnnEnv		env = {faulty, faulty_alloc, faulty_free, faulty_cancelled, faulty_progress};

	memset(faulty, 0, sizeof(*faulty));
	return env;
}

/* ---- data ---- */

static const AnnType types[] = {ANN_FLAT, ANN_IVF_FLAT, ANN_HNSW};

/* The plain types, and behind them the variants. */
#define TYPES (3 + VARIANTS)
#define ROWS 700

static AnnParams
type_params(int t, uint32_t dim)
{
	return t < 3 ? kind_params(0, types[t], dim) : variant_params(t - 3, ANN_L2, ANN_F32, dim);
}

/* ROWS rows of which some are equal. */
static void *
some_rows(const AnnParams *params)
{
	void	   *raw = clustered_rows(params, ROWS, 9, 1);

	for (uint32_t i = 5; i < ROWS; i += 11)
		memcpy((char *) raw + i * AnnRowBytes(params), raw, AnnRowBytes(params));
	return raw;
}

/* ---- damage ---- */

/* Walk an opened segment in every way; the sanitizers watch. */
static void
walk_segment(const Store *store)
{
	AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
	Exact		exact = {store, store->raw, 0};
	AnnSearchParams params = {.ef = 3, .nprobe = 1, .exact = exact_from_store,
		.exact_ctx = &exact};
	AnnSearch  *search = AnnSearchBegin(&store->segment, store->raw, &params, scratch,
										&AnnMallocEnv);
	AnnHit		hits[50];
	uint32_t	total = 0;
	int			nhits;

	do
	{
		CHECK(AnnSearchNext(search, hits, 50, &nhits) == ANN_OK);
		for (int i = 0; i < nhits; i++)
			CHECK(hits[i].row < store->n);
		total += (uint32_t) nhits;
		REQUIRE(total <= store->n);
	} while (nhits > 0);
	CHECK(total == store->n);
	AnnSearchEnd(search);
	AnnScratchFree(scratch);
}

/* A graph with flipped bits is refused or can be walked; one that is cut short is refused. */
static void
test_damaged_graph(void)
{
	AnnParams	params = kind_params(0, ANN_HNSW, 4);
	void	   *raw;
	AnnSection	durable[2];
	AnnSection *graph;
	uint8_t    *copy;
	CheckRandom r = {41};
	int			refused = 0;
	int			opened = 0;
	Store		store;

	params.m = 4;
	raw = some_rows(&params);
	REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
	REQUIRE(store.built.nsections == 2);
	memcpy(durable, store.built.sections, sizeof(durable));
	graph = &durable[durable[0].id == ANN_SEC_GRAPH ? 0 : 1];
	REQUIRE(graph->id == ANN_SEC_GRAPH);

	/* an exact copy of the bytes, so that a read past them is seen */
	copy = malloc(graph->bytes);
	for (int round = 0; round < 3000; round++)
	{
		AnnStatus	status;

		memcpy(copy, graph->data, graph->bytes);
		for (uint64_t flips = 1 + CheckRandomBits(&r) % 3; flips > 0; flips--)
		{
			/* half of them in the header and the first rows */
			uint64_t	bytes = CheckRandomBits(&r) % 2 ? AnnMin(graph->bytes, 300) : graph->bytes;

			copy[CheckRandomBits(&r) % bytes] ^= (uint8_t) (1 << CheckRandomBits(&r) % 8);
		}
		store_free_sections(&store);
		{
			AnnSection	damaged[2];

			memcpy(damaged, durable, sizeof(damaged));
			damaged[graph - durable].data = copy;
			status = store_expand(&store, damaged, 2);
		}
		CHECK(status == ANN_OK || status == ANN_CORRUPT);
		if (status == ANN_OK)
		{
			char		message[200];

			opened++;
			walk_segment(&store);
			AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message));
		}
		else
			refused++;
	}
	/* both happen: bits of a link's gap can lead to another row that exists */
	CHECK(refused > 500);
	CHECK(opened > 50);

	for (uint64_t bytes = 0; bytes < graph->bytes; bytes += 1 + bytes / 40)
	{
		uint8_t    *cut = malloc(bytes + 1);
		AnnSection	damaged[2];

		memcpy(cut, graph->data, bytes);
		memcpy(damaged, durable, sizeof(damaged));
		damaged[graph - durable].data = cut;
		damaged[graph - durable].bytes = bytes;
		store_free_sections(&store);
		CHECK(store_expand(&store, damaged, 2) == ANN_CORRUPT);
		free(cut);
	}
	free(copy);
	store_free(&store);
	free(raw);
}

/* Bytes appended to the graph are refused too. */
static void
test_graph_with_more_bytes(void)
{
	AnnParams	params = kind_params(0, ANN_HNSW, 4);
	void	   *raw = some_rows(&params);
	AnnSection	durable[2];
	Store		store;

	REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
	memcpy(durable, store.built.sections, sizeof(durable));
	for (int i = 0; i < 2; i++)
	{
		uint8_t    *longer;

		if (durable[i].id != ANN_SEC_GRAPH)
			continue;
		longer = calloc(durable[i].bytes + 1, 1);
		memcpy(longer, durable[i].data, durable[i].bytes);
		durable[i].data = longer;
		durable[i].bytes++;
		store_free_sections(&store);
		CHECK(store_expand(&store, durable, 2) == ANN_CORRUPT);
		free(longer);
	}
	store_free(&store);
	free(raw);
}

/* Sections that are missing, of the wrong size or of other parameters are refused. */
static void
test_wrong_sections(void)
{
	for (int t = 0; t < TYPES; t++)
	{
		AnnParams	params = type_params(t, 8);
		AnnParams	other;
		void	   *raw = some_rows(&params);
		AnnSection	expanded[ANN_MAX_SECTIONS];
		AnnSegment	segment;
		Store		store;

		REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
		for (int i = 0; i < store.built.nsections; i++)
		{
			AnnSection	durable[ANN_MAX_SECTIONS];

			memcpy(durable, store.built.sections, sizeof(durable));
			durable[i].id = 77;
			CHECK(AnnExpandedSections(&params, ROWS, durable, store.built.nsections,
									  expanded) == -1);
			if (store.built.sections[i].id != ANN_SEC_GRAPH)
			{
				durable[i].id = store.built.sections[i].id;
				durable[i].bytes -= 4;
				CHECK(AnnExpandedSections(&params, ROWS, durable, store.built.nsections,
										  expanded) == -1);
			}
		}
		for (int i = 0; i < store.nsections; i++)
		{
			AnnSection	sections[ANN_MAX_SECTIONS];

			memcpy(sections, store.sections, sizeof(sections));
			sections[i].bytes -= 4;
			CHECK(AnnOpen(&params, ROWS, sections, store.nsections, &segment) == ANN_CORRUPT);
			sections[i].id = 77;
			CHECK(AnnOpen(&params, ROWS, sections, store.nsections, &segment) == ANN_CORRUPT);
		}
		CHECK(AnnOpen(&params, ROWS + 1, store.sections, store.nsections, &segment) ==
			  ANN_CORRUPT);
		other = params;
		other.dim++;
		CHECK(AnnOpen(&other, ROWS, store.sections, store.nsections, &segment) == ANN_CORRUPT);
		if (AnnTypeStructure(params.type) == ANN_GRAPH)
		{
			other = params;
			other.m++;
			CHECK(AnnOpen(&other, ROWS, store.sections, store.nsections, &segment) ==
				  ANN_CORRUPT);
			CHECK(AnnExpandedSections(&other, ROWS, store.built.sections,
									  store.built.nsections, expanded) == -1);
		}
		store_free(&store);
		free(raw);
	}
}

/* Lists that do not ascend from 0 to n are refused. */
static void
test_damaged_lists(void)
{
	AnnParams	params = kind_params(0, ANN_IVF_FLAT, 8);
	void	   *raw = some_rows(&params);
	AnnSection	expanded[ANN_MAX_SECTIONS];
	Store		store;

	REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
	for (int i = 0; i < store.built.nsections; i++)
	{
		uint32_t   *lists = (uint32_t *) store.built.sections[i].data;
		uint64_t	n = store.built.sections[i].bytes / sizeof(uint32_t);

		if (store.built.sections[i].id != ANN_SEC_LISTS)
			continue;
		for (uint64_t at = 0; at < n; at++)
		{
			uint32_t	before = lists[at];

			lists[at] = ROWS + 1;
			CHECK(AnnExpandedSections(&params, ROWS, store.built.sections,
									  store.built.nsections, expanded) == -1);
			lists[at] = before;
		}
		CHECK(AnnExpandedSections(&params, ROWS, store.built.sections, store.built.nsections,
								  expanded) > 0);
	}
	store_free(&store);
	free(raw);
}

/* AnnCheck sees links that the expansion would not have written. */
static void
test_check_finds_faults(void)
{
	AnnParams	params = kind_params(0, ANN_HNSW, 8);
	void	   *raw = some_rows(&params);
	char		message[200];
	uint32_t   *links;
	uint32_t	width;
	uint32_t	before;
	uint32_t	nodes;
	uint32_t	victim;
	Store		store;

	REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
	CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
	links = (uint32_t *) store.segment.links;
	width = HnswWidth(((const HnswHeader *) store.segment.upper)->degree);
	nodes = ((const HnswHeader *) store.segment.upper)->count[0];
	CHECK(nodes < ROWS);

	before = links[3 * width];
	links[3 * width] = ROWS;
	CHECK(!AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
	CHECK(strstr(message, "row 3") != NULL);
	links[3 * width] = 3;
	CHECK(!AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
	links[3 * width] = before;
	CHECK(AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));

	/* no link leads to this node any more */
	victim = nodes - 1;
	for (uint32_t row = 0; row < nodes; row++)
	{
		uint32_t	kept = 0;
		uint32_t   *at = links + (size_t) row * width;

		for (uint32_t i = 0; i < width; i++)
		{
			if (at[i] != victim && at[i] != ANN_NO_ROW)
				at[kept++] = at[i];
		}
		while (kept < width)
			at[kept++] = ANN_NO_ROW;
	}
	CHECK(!AnnCheck(&store.segment, &AnnMallocEnv, message, sizeof(message)));
	CHECK(strstr(message, "cannot be reached") != NULL);
	store_free(&store);
	free(raw);
}

/*
 * Stored codes, their meta and models with flipped bits are refused or can be searched; cut or
 * lengthened ones are refused.
 */
static void
test_damaged_codes(void)
{
	static const uint32_t ids[] = {ANN_SEC_PACKED, ANN_SEC_REFINE, ANN_SEC_MODEL};
	CheckRandom r = {77};
	int			refused = 0;
	int			opened = 0;

	for (int v = 0; v < VARIANTS; v++)
	{
		AnnParams	params = variant_params(v, (AnnMetric) (ANN_L2 + v % 3), ANN_F32, 12);
		void	   *raw = some_rows(&params);
		Store		store;

		REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
		for (int i = 0; i < 3; i++)
		{
			AnnSection	durable[ANN_MAX_SECTIONS];
			AnnSection *section = NULL;
			uint64_t	bytes;
			uint8_t    *copy;

			memcpy(durable, store.built.sections, sizeof(durable));
			for (int s = 0; s < store.built.nsections; s++)
			{
				if (durable[s].id == ids[i])
					section = &durable[s];
			}
			if (section == NULL)
				continue;
			bytes = section->bytes;
			copy = allocate(bytes);
			for (int round = 0; round < 60; round++)
			{
				AnnStatus	status;

				memcpy(copy, store.built.sections[section - durable].data, bytes);
				for (uint64_t flips = 1 + CheckRandomBits(&r) % 4; flips > 0; flips--)
					copy[CheckRandomBits(&r) % (round % 2 ? AnnMin(bytes, 100) : bytes)] ^=
						(uint8_t) (1 << CheckRandomBits(&r) % 8);
				/* and numbers that are none */
				if (round % 7 == 0)
					memset(copy + CheckRandomBits(&r) % (bytes / 4) * 4, 0xff, 4);
				section->data = copy;
				store_free_sections(&store);
				status = store_expand(&store, durable, store.built.nsections);
				CHECK(status == ANN_OK || status == ANN_CORRUPT);
				if (status == ANN_OK)
				{
					opened++;
					walk_segment(&store);
				}
				else
					refused++;
			}
			for (uint64_t cut = 0; cut < bytes; cut += 1 + bytes / 9)
			{
				section->bytes = cut;
				store_free_sections(&store);
				CHECK(store_expand(&store, durable, store.built.nsections) == ANN_CORRUPT);
			}
			section->bytes = bytes + 16;
			store_free_sections(&store);
			CHECK(store_expand(&store, durable, store.built.nsections) == ANN_CORRUPT);
			free(copy);
		}
		store_free(&store);
		free(raw);
	}
	CHECK(refused > 20);
	CHECK(opened > 100);
}

/* ---- failing callbacks ---- */

static bool
fail_read(void *ctx, uint64_t offset, size_t bytes, void *dst)
{
	return false;
}

static long writes_left;

static bool
fail_write(void *ctx, uint32_t id, uint64_t offset, const void *data, size_t bytes)
{
	return --writes_left >= 0 && store_write(ctx, id, offset, data, bytes);
}

static void
test_failing_reads_and_writes(void)
{
	for (int t = 0; t < TYPES; t++)
	{
		AnnParams	params = type_params(t, 8);
		void	   *raw = some_rows(&params);
		Faulty		faulty;
		AnnEnv		env = faulty_env(&faulty);
		AnnStatus	status = ANN_IO;
		long		writes = 0;
		Store		store;

		REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
		CHECK(AnnExpand(&params, ROWS, store.built.sections, store.built.nsections, fail_read,
						&store, store_write, &store, &env) ==
			  (AnnKeepsRaw(&params) ? ANN_IO : ANN_OK));
		while (status == ANN_IO && writes < 1000)
		{
			writes_left = writes++;
			status = AnnExpand(&params, ROWS, store.built.sections, store.built.nsections,
							   store_read, &store, fail_write, &store, &env);
		}
		CHECK(status == ANN_OK);
		CHECK(writes > 2);
		CHECK(faulty.allocations == 0);
		store_free(&store);
		free(raw);
	}
}

/* Each allocation of a build, an expansion and a search fails once. */
static void
test_short_memory(void)
{
	for (int t = 0; t < TYPES; t++)
	{
		AnnParams	params = type_params(t, 8);
		void	   *raw = some_rows(&params);
		Store		store;
		long		failures = 0;

		params.m = 3;
		REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
		for (long at = 1;; at++)
		{
			Faulty		faulty;
			AnnEnv		env = faulty_env(&faulty);
			AnnBuilt	built;
			AnnScratch *scratch;
			AnnStatus	status;

			faulty.fail_at = at;
			status = AnnBuild(&params, raw, ROWS, 2, &env, &built);
			if (status == ANN_OK)
				AnnBuiltFree(&built, &env);
			if (status == ANN_OK)
				status = AnnExpand(&params, ROWS, store.built.sections, store.built.nsections,
								   store_read, &store, store_write, &store, &env);
			scratch = status == ANN_OK ? AnnScratchCreate(&env) : NULL;
			if (scratch == NULL)
				status = ANN_NO_MEMORY;
			else
			{
				Exact		exact = {&store, raw, 0};
				AnnSearchParams search_params = {.ef = 4, .nprobe = 2,
					.exact = exact_from_store, .exact_ctx = &exact};
				AnnSearch  *search = AnnSearchBegin(&store.segment, raw, &search_params,
													scratch, &env);
				AnnHit		hits[100];
				int			nhits = 1;

				status = search == NULL ? ANN_NO_MEMORY : ANN_OK;
				while (status == ANN_OK && nhits > 0)
					status = AnnSearchNext(search, hits, 100, &nhits);
				AnnSearchEnd(search);
				AnnScratchFree(scratch);
			}
			CHECK(faulty.allocations == 0);
			CHECK(!faulty.backwards);
			if (faulty.asked < at)
			{
				CHECK(status == ANN_OK);
				break;
			}
			CHECK(status == ANN_NO_MEMORY);
			failures++;
		}
		CHECK(failures > 5);
		store_free(&store);
		free(raw);
	}
}

/* A scan's allocations fail. */
static void
test_short_memory_of_a_scan(void)
{
	AnnParams	params = kind_params(0, ANN_FLAT, 8);
	void	   *raw = some_rows(&params);
	Store		store;
	bool		finished = false;

	REQUIRE(store_make(&store, &params, raw, ROWS, 1) == ANN_OK);
	for (long at = 1; !finished; at++)
	{
		Faulty		faulty;
		AnnEnv		env = faulty_env(&faulty);
		AnnScratch *scratch;
		AnnSearchParams search_params = {.ef = 1};
		AnnSearch  *search;
		AnnHit		hits[ROWS];
		int			nhits = 0;
		AnnStatus	status = ANN_NO_MEMORY;

		faulty.fail_at = at;
		scratch = AnnScratchCreate(&env);
		search = scratch == NULL ? NULL
			: AnnSearchBegin(&store.segment, raw, &search_params, scratch, &env);
		if (search != NULL)
			status = AnnSearchNext(search, hits, ROWS, &nhits);
		finished = faulty.asked < at;
		CHECK(status == (finished ? ANN_OK : ANN_NO_MEMORY));
		CHECK(!finished || nhits == ROWS);
		AnnSearchEnd(search);
		AnnScratchFree(scratch);
		CHECK(faulty.allocations == 0);
	}
	store_free(&store);
	free(raw);
}

/* A warm scratch serves further searches without another allocation. */
static void
test_warm_scratch_allocates_nothing(void)
{
	for (int t = 0; t < TYPES; t++)
	{
		AnnParams	params = type_params(t, 16);
		void	   *raw = clustered_rows(&params, 8000, 9, 1);
		Faulty		faulty;
		AnnEnv		env = faulty_env(&faulty);
		AnnScratch *scratch = AnnScratchCreate(&env);
		long		after_first = 0;
		Store		store;
		Exact		exact = {&store, raw, 0};
		AnnSearchParams search_params = {.ef = 40, .nprobe = 4, .exact = exact_from_store,
			.exact_ctx = &exact};

		REQUIRE(store_make(&store, &params, raw, 8000, 1) == ANN_OK);
		for (int round = 0; round < 3; round++)
		{
			for (uint32_t q = 0; q < 50; q++)
			{
				AnnHit		hits[10];
				AnnSearch  *search;

				exact.query = AnnRow(&params, raw, q);
				search = AnnSearchBegin(&store.segment, exact.query, &search_params, scratch,
										&env);
				CHECK(take(search, hits, 10) == 10);
				CHECK(hits[0].distance == 0);
				AnnSearchEnd(search);
			}
			if (round == 0)
				after_first = faulty.asked;
		}
		CHECK(faulty.asked == after_first);
		AnnScratchFree(scratch);
		CHECK(faulty.allocations == 0);
		store_free(&store);
		free(raw);
	}
}

/* ---- cancellation ---- */

/* A build stopped at any point says so and leaves nothing behind; one that is not, ends at 100 %. */
static void
test_cancelled_build(void)
{
	for (int t = 1; t < TYPES; t++)
	{
		AnnParams	params = type_params(t, 16);
		uint32_t	n = 3000;
		void	   *raw = clustered_rows(&params, n, 9, 1);
		bool		finished = false;
		int			cancelled = 0;

		for (long at = 1; !finished; at += 1 + at / 8)
		{
			Faulty		faulty;
			AnnEnv		env = faulty_env(&faulty);
			AnnBuilt	built;
			AnnStatus	status;

			faulty.cancel_at = at;
			status = AnnBuild(&params, raw, n, 3, &env, &built);
			finished = faulty.polls < at;
			CHECK(status == (finished ? ANN_OK : ANN_CANCELLED));
			CHECK(!faulty.backwards);
			cancelled += !finished;
			/* FLAT has no loop worth reporting */
			if (finished)
				CHECK(faulty.total == n || params.type == ANN_FLAT);
			else
				CHECK(built.nsections == 0 && built.order == NULL);
			AnnBuiltFree(&built, &env);
			CHECK(faulty.allocations == 0);
		}
		CHECK(cancelled >= 1 || params.type == ANN_FLAT);
		free(raw);
	}
}

static void
test_cancelled_search(void)
{
	for (int t = 0; t < TYPES; t++)
	{
		AnnParams	params = type_params(t, 16);
		uint32_t	n = 20000;
		void	   *raw = clustered_rows(&params, n, 9, 1);
		AnnScratch *scratch = AnnScratchCreate(&AnnMallocEnv);
		Faulty		faulty;
		AnnEnv		env = faulty_env(&faulty);
		AnnSearch  *search;
		AnnHit		hits[10];
		int			nhits;
		Store		store;
		Exact		exact = {&store, raw, 0};
		AnnSearchParams search_params = {.ef = 300, .nprobe = 16, .exact = exact_from_store,
			.exact_ctx = &exact};

		params.m = 4;
		params.ef_construction = 30;
		REQUIRE(store_make(&store, &params, raw, n, 2) == ANN_OK);
		faulty.cancel_at = 1;
		search = AnnSearchBegin(&store.segment, raw, &search_params, scratch, &env);
		CHECK(AnnSearchNext(search, hits, 10, &nhits) == ANN_CANCELLED);
		AnnSearchEnd(search);
		/* the scratch is good for the next one */
		search = AnnSearchBegin(&store.segment, raw, &search_params, scratch, &AnnMallocEnv);
		CHECK(AnnSearchNext(search, hits, 10, &nhits) == ANN_OK && nhits == 10);
		AnnSearchEnd(search);
		AnnScratchFree(scratch);
		store_free(&store);
		free(raw);
	}
}

int
main(void)
{
	KernelsInit();
	GemmInit();
	RUN(test_damaged_graph);
	RUN(test_graph_with_more_bytes);
	RUN(test_wrong_sections);
	RUN(test_damaged_lists);
	RUN(test_damaged_codes);
	RUN(test_check_finds_faults);
	RUN(test_failing_reads_and_writes);
	RUN(test_short_memory);
	RUN(test_short_memory_of_a_scan);
	RUN(test_warm_scratch_allocates_nothing);
	RUN(test_cancelled_build);
	RUN(test_cancelled_search);
	return CheckDone();
}
