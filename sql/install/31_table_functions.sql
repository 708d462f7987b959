-- Functions of milvus tables: sealing, compaction, options, what is inside.

CREATE FUNCTION milvus.flush_table(relation regclass) RETURNS SETOF integer
	AS 'MODULE_PATHNAME', 'milvus_flush_table' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION milvus.flush_table(regclass) IS 'seals all settled rows of a table; numbers of the segments made';

CREATE FUNCTION milvus.compact_table(relation regclass, kind text DEFAULT 'merge') RETURNS SETOF integer
	AS 'MODULE_PATHNAME', 'milvus_compact_table' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION milvus.compact_table(regclass, text) IS
	'writes segments of a table anew (merge, cluster, sort), without deleted rows; numbers of the segments made';

CREATE FUNCTION milvus.load_table(relation regclass) RETURNS bigint
	AS 'MODULE_PATHNAME', 'milvus_load_table' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION milvus.load_table(regclass) IS 'makes the query form of all segments of a table; bytes it takes';

CREATE FUNCTION milvus.release_table(relation regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_release_table' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.release_table(regclass) IS 'removes the query form of all segments of a table from this server';

CREATE FUNCTION milvus.alter_table_options(relation regclass, options jsonb) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'milvus_alter_table_options' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.alter_table_options(regclass, jsonb) IS
	'sets options of a table, null removes one; the options that are set';

CREATE FUNCTION milvus.table_options(relation regclass) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'milvus_table_options' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.table_options(regclass) IS 'options of a table in effect';

CREATE FUNCTION milvus.table_segments(relation regclass,
		OUT id uuid, OUT number integer, OUT state text, OUT rows bigint, OUT deleted_rows bigint,
		OUT raw_bytes bigint, OUT stored_bytes bigint, OUT columns jsonb,
		OUT created timestamptz, OUT sealed timestamptz, OUT flushed timestamptz,
		OUT first_row tid, OUT last_row tid, OUT location text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_table_segments' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 20 COST 10000;
COMMENT ON FUNCTION milvus.table_segments(regclass) IS 'segments of a table, and its growing rows';

CREATE FUNCTION milvus.check_table(relation regclass) RETURNS SETOF text
	AS 'MODULE_PATHNAME', 'milvus_check_table' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10 COST 100000;
COMMENT ON FUNCTION milvus.check_table(regclass) IS 'problems of a table and its segments; no row when there are none';

-- A table's options are its label of the provider milvus.
CREATE VIEW milvus.table_option AS
	SELECT objoid::regclass AS relation, label::jsonb AS options
	FROM pg_catalog.pg_seclabel
	WHERE provider = 'milvus' AND classoid = 'pg_catalog.pg_class'::regclass AND objsubid = 0;
COMMENT ON VIEW milvus.table_option IS 'options that are set for tables, by milvus.alter_table_options()';
GRANT SELECT ON milvus.table_option TO PUBLIC;
