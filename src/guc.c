/*
 * guc.c
 *		Definition of every setting, with range, unit and description.
 */
#include "postgres.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "am/table/table.h"
#include "collection/collection.h"
#include "coord_bgworkers/coord_internal.h"
#include "guc.h"
#include "index/index.h"
#include "kernels/kernels.h"
#include "storage/lock.h"
#include "storage/lmgr.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"

/* How long "name:sleep" sleeps, unless interrupted. */
#define DEBUG_SLEEP_SECONDS 300

MilvusSettings milvus_settings;

static const struct config_enum_entry compression_options[] = {
	{"none", COLUMN_COMPRESS_NONE, false},
	{"lz4", COLUMN_COMPRESS_LZ4, false},
	{"zstd", COLUMN_COMPRESS_ZSTD, false},
	{NULL, 0, false}
};

static const struct config_enum_entry iterative_order_options[] = {
	{"strict", ITERATIVE_STRICT, false},
	{"relaxed", ITERATIVE_RELAXED, false},
	{NULL, 0, false}
};

static const struct config_enum_entry storage_options[] = {
	{"milvus", STORAGE_MILVUS, false},
	{"heap", STORAGE_HEAP, false},
	{NULL, 0, false}
};

/*
 * Milvus's limits, by its defaults.
 */
static const struct
{
	const char *name;
	const char *description;
	int		   *value;
	int			initial;
	int			max;
	int			flags;
}			limits[] = {
	{"milvus.max_array_capacity", "Largest capacity of an array field.", &milvus_settings.max_array_capacity, 4096, 1000000, 0},
	{"milvus.max_collections", "Most collections of a database.", &milvus_settings.max_collections, 65536, INT_MAX, 0},
	{"milvus.max_databases", "Most databases.", &milvus_settings.max_databases, 64, INT_MAX, 0},
	{"milvus.max_dimension", "Largest dimension of a vector field; binary vectors have eight times as many.",
	&milvus_settings.max_dimension, 32768, 32768, 0},
	{"milvus.max_fields", "Most fields of a collection.", &milvus_settings.max_fields, 64, 1500, 0},
	{"milvus.max_group_size", "Largest size of a group of search results.", &milvus_settings.max_group_size, 10, INT_MAX, 0},
	{"milvus.max_json_length", "Largest JSON value of a field, as text.", &milvus_settings.max_json_length, 65536, INT_MAX, GUC_UNIT_BYTE},
	{"milvus.max_name_length", "Longest name of a collection, field, partition, alias, index or database.",
	&milvus_settings.max_name_length, 255, 255, GUC_UNIT_BYTE},
	{"milvus.max_nq", "Most vectors of a search.", &milvus_settings.max_nq, 16384, INT_MAX, 0},
	{"milvus.max_output_size", "Largest answer to a search or query.", &milvus_settings.max_output_size, 100, INT_MAX, GUC_UNIT_MB},
	{"milvus.max_partitions", "Most partitions of a collection.", &milvus_settings.max_partitions, 1024, 4096, 0},
	{"milvus.max_result_window", "Most rows of a search or query, with those left out by its offset.",
	&milvus_settings.max_result_window, 16384, INT_MAX, 0},
	{"milvus.max_shards", "Most shards of a collection.", &milvus_settings.max_shards, 16, INT_MAX, 0},
	{"milvus.max_text_length", "Longest text of a field of type Text.", &milvus_settings.max_text_length, 2097152, INT_MAX, GUC_UNIT_BYTE},
	{"milvus.max_topk", "Most rows that a search finds for a vector.", &milvus_settings.max_topk, 16384, INT_MAX, 0},
	{"milvus.max_varchar_length", "Largest max_length of a field of type VarChar.",
	&milvus_settings.max_varchar_length, 65535, 10485760, GUC_UNIT_BYTE},
	{"milvus.max_vector_fields", "Most vector fields of a collection.", &milvus_settings.max_vector_fields, 10, 1500, 0},
};

/* Which schema is which database depends on it. */
static void
assign_default_database_schema(const char *newval, void *extra)
{
	CollectionForgetAll();
}

/*
 * milvus.simd takes "auto" or the name of a kernel table that this CPU runs.
 */
static bool
check_simd(char **newval, void **extra, GucSource source)
{
	if (strcmp(*newval, "auto") == 0)
		return true;
	for (int i = 0; KernelsTable(i) != NULL; i++)
	{
		if (strcmp(*newval, KernelsTable(i)->name) != 0)
			continue;
		if (KernelsUsable(KernelsTable(i)))
			return true;
		GUC_check_errdetail("This CPU cannot run the \"%s\" kernels.", *newval);
		return false;
	}
	GUC_check_errhint("Use \"auto\", \"portable\", \"avx2\", \"avx512\", \"neon\" or \"neon_dot\".");
	return false;
}

static void
assign_simd(const char *newval, void *extra)
{
	KernelsSelect(newval);
}

/* Show the table in use rather than the word "auto". */
static const char *
show_simd(void)
{
	return kernels->name;
}

static bool
check_target_recall(double *newval, void **extra, GucSource source)
{
	if (*newval == 0 || *newval >= 0.5)
		return true;
	GUC_check_errdetail("\"milvus.target_recall\" must be 0 or between 0.5 and 0.999.");
	return false;
}

static bool
check_refine_k(double *newval, void **extra, GucSource source)
{
	if (*newval == 0 || *newval >= 1)
		return true;
	GUC_check_errdetail("\"milvus.refine_k\" must be 0 or at least 1.");
	return false;
}

void
MilvusDefineSettings(void)
{
	DefineCustomIntVariable("milvus.ef",
							"Length of the candidate list of an HNSW search.",
							"Larger values give better recall and slower searches.",
							&milvus_settings.ef, 64, 1, 65536,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.nprobe",
							"Number of lists an IVF search looks at first.",
							"Larger values give better recall and slower searches.",
							&milvus_settings.nprobe, 8, 1, 65536,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("milvus.target_recall",
							 "Share of the nearest rows that a search is to find.",
							 "A search takes the smallest \"milvus.ef\" or \"milvus.nprobe\" that reached it when "
							 "the segment was built. From 0.5 to 0.999; 0 turns it off.",
							 &milvus_settings.target_recall, 0, 0, 0.999,
							 PGC_USERSET, 0, check_target_recall, NULL, NULL);
	DefineCustomRealVariable("milvus.refine_k",
							 "Rows compared exactly for each row returned, in a quantized index.",
							 "0 compares as many as the usual error of the codes makes necessary.",
							 &milvus_settings.refine_k, 0, 0, 65536,
							 PGC_USERSET, 0, check_refine_k, NULL, NULL);
	DefineCustomIntVariable("milvus.reorder_k",
							"Rows compared exactly before a SCANN search returns the first one.",
							"0 compares as many as the usual error of the codes makes necessary.",
							&milvus_settings.reorder_k, 0, 0, 65536,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.rbq_query_bits",
							"Bits that an IVF_RABITQ search quantizes the query to.",
							"Fewer are faster and coarser; 0 does not quantize it.",
							&milvus_settings.rbq_query_bits, 0, 0, ANN_MAX_RBQ_QUERY_BITS,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("milvus.iterative_order",
							 "What happens to a row found late that is nearer than one already returned.",
							 "\"strict\" drops it, \"relaxed\" returns it out of order.",
							 &milvus_settings.iterative_order, ITERATIVE_STRICT,
							 iterative_order_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.max_scan_tuples",
							"Number of rows after which a vector index scan ends.",
							"0 sets no bound.",
							&milvus_settings.max_scan_tuples, 0, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.cache_size",
							"Disk space for the query form of index segments.",
							"The least recently used files are removed first; 0 turns the cache off, "
							"-1 sets no bound.",
							&milvus_settings.cache_size, -1, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.growing_rows",
							"Number of rows at which the growing part of an index is sealed.",
							"0 chooses by the dimension, so that a scan of the growing part stays short.",
							&milvus_settings.growing_rows, 0, 0, 10000000,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("milvus.enable_exact_search",
							 "Lets the planner search the columns of tables for nearest neighbours.",
							 NULL,
							 &milvus_settings.enable_exact_search, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomBoolVariable("milvus.enable_masked_search",
							 "Lets the planner search an index for neighbours among the rows that other indexes find.",
							 NULL,
							 &milvus_settings.enable_masked_search, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomBoolVariable("milvus.background_seal",
							 "Starts a background worker to seal a full growing part.",
							 "When off, or when no worker can be had, the inserting backend seals it.",
							 &milvus_settings.background_seal, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.max_workers",
							"Number of background workers that run at a time.",
							"With the library in \"shared_preload_libraries\"; 0: none.",
							&milvus_settings.max_workers, 2, 0, COORD_MAX_WORKERS,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.worker_naptime",
							"Time between two looks at a table that could not be sealed at the first.",
							NULL,
							&milvus_settings.worker_naptime, 60, 1, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.worker_cost_limit",
							"Cost of pages read and written after which a background worker sleeps.",
							"Counted as \"vacuum_cost_page_hit\", \"vacuum_cost_page_miss\" and "
							"\"vacuum_cost_page_dirty\" say.",
							&milvus_settings.worker_cost_limit, 2000, 1, 1000000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("milvus.worker_cost_delay",
							 "Time that a background worker sleeps then.",
							 "0 turns this off.",
							 &milvus_settings.worker_cost_delay, 2, 0, 100,
							 PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("milvus.warm_cache",
							 "Background workers make and verify cache files ahead of the first search.",
							 NULL,
							 &milvus_settings.warm_cache, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("milvus.seal_eagerly",
							 "Seals every row of every table as soon as it may be (for tests).",
							 NULL,
							 &milvus_settings.seal_eagerly, false,
							 PGC_SIGHUP, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	DefineCustomBoolVariable("milvus.auto_seal",
							 "Background workers seal the settled rows of tables.",
							 "milvus.flush_table() seals them in any case.",
							 &milvus_settings.auto_seal, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.seal_rows",
							"Number of settled rows of a table at which they are sealed, and the most of a segment.",
							NULL,
							&milvus_settings.seal_rows, 262144, TABLE_MIN_SEGMENT_ROWS, TABLE_MAX_ROWS,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.seal_size",
							"Size of the settled rows of a table at which they are sealed, before compression.",
							NULL,
							&milvus_settings.seal_size, 512, 1, 1024 * 1024,
							PGC_USERSET, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.seal_age",
							"Time after the last segment of a table at which fewer rows are sealed too.",
							"-1 turns that off.",
							&milvus_settings.seal_age, 600, -1, INT_MAX / 1000,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.seal_min_rows",
							"Number of rows below which age alone does not seal them.",
							NULL,
							&milvus_settings.seal_min_rows, 10000, 1, TABLE_MAX_ROWS,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("milvus.compact_ratio",
							 "Share of deleted rows at which a segment of a table is written anew.",
							 NULL,
							 &milvus_settings.compact_ratio, 0.2, 0.01, 1,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("milvus.compression",
							 "How segments of tables are compressed.",
							 "What does not become smaller is stored as it is.",
							 &milvus_settings.compression, COLUMN_COMPRESS_ZSTD, compression_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.compression_level",
							"Level of zstd compression.",
							"0 takes the library's default.",
							&milvus_settings.compression_level, 0, 0, 22,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("milvus.cache_on_seal",
							 "Makes the query form of a table's segment while it is written.",
							 "When off, it is made when a column is first read.",
							 &milvus_settings.cache_on_seal, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("milvus.enable_column_scan",
							 "Enables the planner's use of scans by column of tables of the access method milvus.",
							 NULL,
							 &milvus_settings.enable_column_scan, true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomIntVariable("milvus.decoded_size",
							"Memory of a session for decoded chunks of columns that have no cache file.",
							"What a query reads at the moment is kept beyond it.",
							&milvus_settings.decoded_size, 64 * 1024, 64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	DefineCustomStringVariable("milvus.database",
							   "Milvus database of functions that are told none.",
							   NULL,
							   &milvus_settings.database, "default",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("milvus.default_database_schema",
							   "Schema that is the Milvus database \"default\".",
							   "Other databases are the schemas of their names.",
							   &milvus_settings.default_database_schema, "public",
							   PGC_SUSET, 0, NULL, assign_default_database_schema, NULL);
	DefineCustomEnumVariable("milvus.default_storage",
							 "Access method of the tables of new collections.",
							 NULL,
							 &milvus_settings.default_storage, STORAGE_MILVUS, storage_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	for (int i = 0; i < (int) lengthof(limits); i++)
		DefineCustomIntVariable(limits[i].name, limits[i].description, "A limit of Milvus.",
								limits[i].value, limits[i].initial, 1, limits[i].max,
								PGC_SUSET, limits[i].flags, NULL, NULL, NULL);
	DefineCustomStringVariable("milvus.simd",
							   "Instruction set of the distance kernels.",
							   "\"auto\" takes the best one this CPU has.",
							   &milvus_settings.simd, "auto",
							   PGC_USERSET, 0, check_simd, assign_simd, show_simd);
	DefineCustomStringVariable("milvus.debug_point",
							   "Stops the process at a named step (for tests).",
							   NULL,
							   &milvus_settings.debug_point, "",
							   PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL, NULL, NULL, NULL);
	MarkGUCPrefixReserved("milvus");
}

/* ---- pgvector's settings ---- */

PgvectorSettings pgvector_settings;

static const struct config_enum_entry hnsw_scan_options[] = {
	{"off", PGVECTOR_SCAN_OFF, false},
	{"relaxed_order", PGVECTOR_SCAN_RELAXED, false},
	{"strict_order", PGVECTOR_SCAN_STRICT, false},
	{NULL, 0, false}
};

static const struct config_enum_entry ivfflat_scan_options[] = {
	{"off", PGVECTOR_SCAN_OFF, false},
	{"relaxed_order", PGVECTOR_SCAN_RELAXED, false},
	{NULL, 0, false}
};

/* One of them: an enum when it has options, a real number when its address is one's. */
typedef struct PgvectorSetting
{
	const char *name;
	const char *description;
	int		   *value;
	double	   *real_value;
	const struct config_enum_entry *options;
	int			initial;
	int			min;
	int			max;
	bool		foreign;		/* another library defined it */
} PgvectorSetting;

static PgvectorSetting pgvector_table[] = {
	{.name = "hnsw.ef_search",.description = "Length of the candidate list of a search.",
	.value = &pgvector_settings.ef_search,.initial = 40,.min = 1,.max = 1000},
	{.name = "hnsw.iterative_scan",.description = "Whether a scan goes on after ef_search rows, and in which order.",
	.value = &pgvector_settings.hnsw_iterative_scan,.options = hnsw_scan_options},
	{.name = "hnsw.max_scan_tuples",.description = "Number of rows after which an iterative scan ends.",
	.value = &pgvector_settings.max_scan_tuples,.initial = 20000,.min = 1,.max = INT_MAX},
	{.name = "hnsw.scan_mem_multiplier",.description = "Accepted for compatibility; a search's memory needs no bound.",
	.real_value = &pgvector_settings.scan_mem_multiplier,.initial = 1,.min = 1,.max = 1000},
	{.name = "ivfflat.probes",.description = "Number of lists a search looks at.",
	.value = &pgvector_settings.probes,.initial = 1,.min = 1,.max = 32768},
	{.name = "ivfflat.iterative_scan",.description = "Whether a scan goes on after the rows of the probed lists.",
	.value = &pgvector_settings.ivfflat_iterative_scan,.options = ivfflat_scan_options},
	{.name = "ivfflat.max_probes",.description = "Number of lists after which an iterative scan ends.",
	.value = &pgvector_settings.max_probes,.initial = 32768,.min = 1,.max = 32768},
};

static bool pgvector_any_foreign;

void
MilvusDefinePgvectorSettings(void)
{
	static bool done = false;

	if (done)
		return;
	done = true;
	for (int i = 0; i < (int) lengthof(pgvector_table); i++)
	{
		PgvectorSetting *setting = &pgvector_table[i];

		/* what SET made before anybody defined it is a placeholder, and ours to define */
		setting->foreign = GetConfigOption(setting->name, true, false) != NULL &&
			(GetConfigOptionFlags(setting->name, true) & GUC_CUSTOM_PLACEHOLDER) == 0;
		pgvector_any_foreign |= setting->foreign;
		if (setting->foreign)
			continue;
		if (setting->options != NULL)
			DefineCustomEnumVariable(setting->name, setting->description, NULL, setting->value,
									 setting->initial, setting->options,
									 PGC_USERSET, 0, NULL, NULL, NULL);
		else if (setting->real_value != NULL)
			DefineCustomRealVariable(setting->name, setting->description, NULL, setting->real_value,
									 setting->initial, setting->min, setting->max,
									 PGC_USERSET, 0, NULL, NULL, NULL);
		else
			DefineCustomIntVariable(setting->name, setting->description, NULL, setting->value,
									setting->initial, setting->min, setting->max,
									PGC_USERSET, 0, NULL, NULL, NULL);
	}
}

void
MilvusReadPgvectorSettings(void)
{
	if (!pgvector_any_foreign)
		return;
	for (int i = 0; i < (int) lengthof(pgvector_table); i++)
	{
		PgvectorSetting *setting = &pgvector_table[i];
		const char *text;

		if (!setting->foreign || setting->value == NULL)
			continue;
		text = GetConfigOption(setting->name, false, false);
		*setting->value = setting->initial;
		if (setting->options == NULL)
			*setting->value = Max(setting->min, Min(setting->max, (int) strtol(text, NULL, 10)));
		else
			for (const struct config_enum_entry *entry = setting->options; entry->name != NULL; entry++)
				if (strcmp(entry->name, text) == 0)
					*setting->value = entry->val;
	}
}

/* ---- steps at which tests stop the process ---- */

/*
 * What milvus.debug_point asks for at a step: NULL nothing, else what follows the
 * name (":error,..." and so on, or the end).
 */
static const char *
debug_action(const char *name)
{
	size_t		len = strlen(name);

	for (const char *p = milvus_settings.debug_point; *p != '\0';)
	{
		if (strncmp(p, name, len) == 0 && strchr(":,", p[len]) != NULL)
			return p + len;
		p += strcspn(p, ",");
		p += *p == ',';
	}
	return NULL;
}

bool
MilvusDebugFails(const char *name)
{
	const char *action = debug_action(name);

	return action != NULL && strncmp(action, ":fail", 5) == 0;
}

void
MilvusDebugPoint(const char *name)
{
	const char *action = debug_action(name);

	if (action == NULL)
		return;
	if (*action != ':')
	{
		elog(LOG, "stopping at debug point \"%s\"", name);
		kill(getpid(), SIGKILL);
		pg_usleep(10000000);
	}
	else if (strncmp(action, ":error", 6) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("stopped at debug point \"%s\"", name)));
	else if (strncmp(action, ":wait", 5) == 0)
	{
		LOCKTAG		tag;
		int			lock_timeout = LockTimeout;

		elog(LOG, "waiting at debug point \"%s\"", name);
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 19530, 2);
		/* however long a test takes, and whatever the step allows other locks */
		LockTimeout = 0;
		PG_TRY();
		{
			(void) LockAcquire(&tag, ExclusiveLock, false, false);
		}
		PG_FINALLY();
		{
			LockTimeout = lock_timeout;
		}
		PG_END_TRY();
		LockRelease(&tag, ExclusiveLock, false);
	}
	else if (strncmp(action, ":sleep", 6) == 0)
	{
		elog(LOG, "sleeping at debug point \"%s\"", name);
		for (int i = 0; i < DEBUG_SLEEP_SECONDS * 10; i++)
		{
			CHECK_FOR_INTERRUPTS();
			pg_usleep(100000);
		}
	}
	else if (strncmp(action, ":pause", 6) == 0)
	{
		elog(LOG, "pausing at debug point \"%s\"", name);
		for (int i = 0; i < DEBUG_SLEEP_SECONDS * 10 && !ConfigReloadPending; i++)
		{
			CHECK_FOR_INTERRUPTS();
			pg_usleep(100000);
		}
	}
	else if (strncmp(action, ":cancel", 7) == 0)
	{
		/* what the handler of SIGINT does */
		InterruptPending = true;
		QueryCancelPending = true;
	}
}
