/*
 * guc.h
 *		Settings of the extension; see guc.c for ranges and meanings.
 */
#ifndef MILVUS_GUC_H
#define MILVUS_GUC_H

typedef enum IterativeOrder
{
	ITERATIVE_STRICT,
	ITERATIVE_RELAXED
} IterativeOrder;

/* Where the rows of new collections are. */
typedef enum CollectionStorage
{
	STORAGE_MILVUS,
	STORAGE_HEAP
} CollectionStorage;

typedef struct MilvusSettings
{
	int			ef;				/* milvus.ef */
	int			nprobe;			/* milvus.nprobe */
	double		target_recall;	/* milvus.target_recall; 0: off */
	double		refine_k;		/* milvus.refine_k; 0: by the codes' usual error */
	int			reorder_k;		/* milvus.reorder_k; 0: likewise */
	int			rbq_query_bits; /* milvus.rbq_query_bits; 0: not quantized */
	bool		enable_exact_search;	/* milvus.enable_exact_search */
	bool		enable_masked_search;	/* milvus.enable_masked_search */
	int			iterative_order;	/* milvus.iterative_order */
	int			max_scan_tuples;	/* milvus.max_scan_tuples; 0: no bound */
	int			cache_size;		/* milvus.cache_size, MB; 0: no cache; -1: no bound */
	int			growing_rows;	/* milvus.growing_rows; 0: by dimension */
	bool		background_seal;	/* milvus.background_seal */
	int			max_workers;	/* milvus.max_workers */
	int			worker_naptime; /* milvus.worker_naptime, s */
	int			worker_cost_limit;	/* milvus.worker_cost_limit */
	double		worker_cost_delay;	/* milvus.worker_cost_delay, ms */
	bool		warm_cache;		/* milvus.warm_cache */
	bool		seal_eagerly;	/* milvus.seal_eagerly */
	/* of tables, unless their options say otherwise */
	bool		auto_seal;		/* milvus.auto_seal */
	int			seal_rows;		/* milvus.seal_rows */
	int			seal_size;		/* milvus.seal_size, MB */
	int			seal_age;		/* milvus.seal_age, s; -1: never by age */
	int			seal_min_rows;	/* milvus.seal_min_rows */
	double		compact_ratio;	/* milvus.compact_ratio */
	int			compression;	/* milvus.compression: ColumnCompression */
	int			compression_level;	/* milvus.compression_level; 0: the default */
	bool		cache_on_seal;	/* milvus.cache_on_seal */
	bool		enable_column_scan; /* milvus.enable_column_scan */
	int			decoded_size;	/* milvus.decoded_size, kB */
	/* of collections */
	char	   *database;		/* milvus.database: the session's */
	char	   *default_database_schema;	/* milvus.default_database_schema */
	int			default_storage;	/* milvus.default_storage: CollectionStorage */
	int			max_array_capacity;
	int			max_collections;	/* a database */
	int			max_databases;
	int			max_dimension;
	int			max_fields;
	int			max_group_size;
	int			max_json_length;	/* bytes */
	int			max_name_length;	/* bytes */
	int			max_nq;
	int			max_output_size;	/* MB */
	int			max_partitions;
	int			max_result_window;	/* offset + limit */
	int			max_shards;
	int			max_text_length;	/* bytes */
	int			max_topk;
	int			max_varchar_length; /* bytes */
	int			max_vector_fields;
	char	   *simd;			/* milvus.simd */
	char	   *debug_point;	/* milvus.debug_point */
} MilvusSettings;

extern MilvusSettings milvus_settings;

extern void MilvusDefineSettings(void);

/* pgvector's settings, which indexes made with its syntax obey. */
typedef enum PgvectorScan
{
	PGVECTOR_SCAN_OFF,
	PGVECTOR_SCAN_RELAXED,
	PGVECTOR_SCAN_STRICT
} PgvectorScan;

typedef struct PgvectorSettings
{
	int			ef_search;		/* hnsw.ef_search */
	int			hnsw_iterative_scan;	/* hnsw.iterative_scan */
	int			max_scan_tuples;	/* hnsw.max_scan_tuples */
	double		scan_mem_multiplier;	/* hnsw.scan_mem_multiplier: accepted, bounds nothing */
	int			probes;			/* ivfflat.probes */
	int			ivfflat_iterative_scan; /* ivfflat.iterative_scan */
	int			max_probes;		/* ivfflat.max_probes */
} PgvectorSettings;

extern PgvectorSettings pgvector_settings;

/*
 * Define those that nobody has defined yet.  Only in a process that uses the
 * syntax: two libraries cannot define the same setting, and pgvector's, loaded
 * later into the same process, would fail.
 */
extern void MilvusDefinePgvectorSettings(void);
/* Bring pgvector_settings up to date with those that another library defined. */
extern void MilvusReadPgvectorSettings(void);

/*
 * A named step at which tests stop the process: `milvus.debug_point = 'name'`
 * kills it with SIGKILL there, 'name:error' raises an ERROR, 'name:wait' waits
 * until an advisory lock (0, 19530) can be had, 'name:sleep' sleeps until it is
 * cancelled (five minutes at most), 'name:pause' until the configuration is
 * reloaded, 'name:cancel' asks for the statement's cancellation and goes on.  Several are separated by commas.
 * Never 'wait' where a buffer lock is held.
 */
#define MILVUS_DEBUG_POINT(name) \
	do { \
		if (unlikely(milvus_settings.debug_point[0] != '\0')) \
			MilvusDebugPoint(name); \
	} while (0)
extern void MilvusDebugPoint(const char *name);

/*
 * Whether a system call is to fail for want of space: 'name:fail'.
 */
#define MILVUS_DEBUG_FAILS(name) \
	(unlikely(milvus_settings.debug_point[0] != '\0') && MilvusDebugFails(name))
extern bool MilvusDebugFails(const char *name);

#endif							/* MILVUS_GUC_H */
