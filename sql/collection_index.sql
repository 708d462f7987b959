-- Indexes of collections: Milvus's parameters and what becomes of them.
\pset null '(null)'
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE statement;
	RETURN 'was taken';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN format('%s %s %s', SQLSTATE, replace(detail, 'milvus_code=', ''), SQLERRM);
END $$;
CREATE VIEW pg_temp.definitions AS SELECT regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX (\S+) ON public\.', '\2 \1') AS definition, i.indrelid
	FROM pg_index i ORDER BY i.indexrelid;
SELECT milvus.create_collection('c', schema => '{"enable_dynamic_field": true, "fields": [
	{"name": "id", "type": "INT64", "is_primary": true},
	{"name": "b", "type": "BOOL"}, {"name": "i", "type": "INT32"}, {"name": "f", "type": "FLOAT"},
	{"name": "s", "type": "VARCHAR", "params": {"max_length": 100}},
	{"name": "t", "type": "TIMESTAMPTZ"}, {"name": "j", "type": "JSON"},
	{"name": "a", "type": "ARRAY", "element_type": "INT64", "params": {"max_capacity": 10}},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 8}},
	{"name": "h", "type": "FLOAT16_VECTOR", "params": {"dim": 8}},
	{"name": "bf", "type": "BFLOAT16_VECTOR", "params": {"dim": 8}},
	{"name": "i8", "type": "INT8_VECTOR", "params": {"dim": 8}},
	{"name": "bits", "type": "BINARY_VECTOR", "params": {"dim": 64}},
	{"name": "sp", "type": "SPARSE_FLOAT_VECTOR"}],
	"struct_fields": [{"name": "chunks", "max_capacity": 4, "fields": [{"name": "emb", "type": "FLOAT_VECTOR", "params": {"dim": 4}}]}]}');
SELECT * FROM milvus.list_indexes('c');
SELECT * FROM milvus.describe_index('c');
SELECT * FROM milvus.describe_index('c', 'nothing');
SELECT milvus.load_collection('c');

-- vectors: one statement each type of index; AUTOINDEX where none is named
SELECT milvus.create_index('c', '[
	{"field_name": "v", "index_type": "HNSW", "metric_type": "L2", "params": {"M": 8, "efConstruction": 4}},
	{"field_name": "h", "index_type": "IVF_PQ", "metric_type": "IP", "index_name": "half", "nlist": 16, "m": 4, "nbits": 4},
	{"field_name": "bf", "index_type": "", "params": {"metric_type": "COSINE"}},
	{"field_name": "i8", "index_type": "hnsw_sq", "params": {"sq_type": "sq6", "refine": true, "refine_type": "fp16"}},
	{"field_name": "bits", "index_type": "BIN_IVF_FLAT", "metric_type": "JACCARD", "params": {"nlist": 4}},
	{"field_name": "sp", "index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP", "params": {"inverted_index_algo": "DAAT_MAXSCORE"}},
	{"field_name": "chunks[emb]", "index_type": "HNSW", "metric_type": "MAX_SIM_COSINE", "params": {"M": 16}}]');
-- scalars
SELECT milvus.create_index('c', '[{"field_name": "b", "index_type": "BITMAP"}, {"field_name": "i", "index_type": "STL_SORT"},
	{"field_name": "f", "index_type": "INVERTED"}, {"field_name": "s", "index_type": "Trie"}, {"field_name": "t", "index_type": ""},
	{"field_name": "a", "index_type": "INVERTED"}, {"field_name": "j", "index_type": "INVERTED", "index_name": "whole"},
	{"field_name": "j", "index_type": "INVERTED", "index_name": "path", "params": {"json_path": "j[\"a\"][0]", "json_cast_type": "double"}},
	{"field_name": "j", "index_type": "AUTOINDEX", "index_name": "list", "params": {"json_path": "j[''it\"s'']", "json_cast_type": "ARRAY_VARCHAR"}},
	{"field_name": "$meta", "index_type": "INVERTED", "index_name": "color", "params": {"json_path": "color", "json_cast_type": "varchar"}}]');
SELECT index_name, field_name, index_type, metric_type, params, state, relation FROM milvus.describe_index('c');
SELECT definition FROM pg_temp.definitions WHERE indrelid = 'c'::regclass;
SELECT * FROM milvus.list_indexes('c', 'j');
SELECT index_name, index_type FROM milvus.describe_index('c', 'half');

-- filters write a JSON path as its index does
SELECT milvus.explain_filter_schema('{"fields": [{"name": "j", "data_type": "JSON"}], "enable_dynamic_field": true}', f) AS filter
	FROM unnest(ARRAY['j["a"][0] == 1', 'color == "red"']) WITH ORDINALITY f(f, i) ORDER BY i;
SET enable_seqscan = off;
SET enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT FROM c WHERE j -> 'a' #> '{0}' = '1';
EXPLAIN (COSTS OFF) SELECT FROM c WHERE "$meta" -> 'color' = '"red"';
RESET enable_seqscan;
RESET enable_indexscan;
-- n-grams are pg_trgm's
SELECT pg_temp.refused('SELECT milvus.create_index(''c'', ''{"field_name": "s", "index_name": "gram", "index_type": "NGRAM", "params": {"min_gram": 2, "max_gram": 3}}'')');
SELECT milvus.drop_index('c', 's');
SELECT pg_temp.refused('SELECT milvus.create_index(''c'', ''{"field_name": "s", "index_name": "gram", "index_type": "NGRAM", "params": {"min_gram": 2, "max_gram": 3}}'')');
CREATE EXTENSION pg_trgm;
SELECT milvus.create_index('c', '[{"field_name": "s", "index_name": "gram", "index_type": "NGRAM", "params": {"min_gram": 2, "max_gram": 3}},
	{"field_name": "j", "index_name": "json_gram", "index_type": "NGRAM", "params": {"json_path": "j[\"it''s ->)\"][1][\"x\"]", "json_cast_type": "varchar", "min_gram": 2, "max_gram": 3}}]');
SELECT definition FROM pg_temp.definitions WHERE indrelid = 'c'::regclass AND definition LIKE '%trgm%';
SELECT milvus.drop_index('c', 'gram'), milvus.drop_index('c', 'json_gram');
DROP EXTENSION pg_trgm;

-- the same again is no error, another is
SELECT pg_temp.refused(format('SELECT milvus.create_index(''c'', %L)', p)) FROM (VALUES
	(1, '{"field_name": "v", "index_type": "HNSW", "metric_type": "L2", "params": {"efConstruction": "4", "M": "8"}}'),
	(2, '{"field_name": "v", "index_type": "HNSW", "metric_type": "IP"}'),
	(3, '{"field_name": "i", "index_type": "STL_SORT"}'),
	(4, '{"field_name": "i", "index_type": "INVERTED"}'),
	(5, '{"field_name": "j", "index_name": "path2", "index_type": "INVERTED", "params": {"json_path": "j[\"b\"]", "json_cast_type": "double"}}'),
	(6, '{"field_name": "id", "index_name": "half", "index_type": "INVERTED"}')) AS v(i, p) ORDER BY i;

-- parameters as text, as Milvus's clients send them
SELECT pg_temp.refused(format('SELECT milvus.create_index(''c'', %L)', p)) FROM (VALUES
	(1, '{"field_name": "v", "index_type": "HNSW", "metric_type": "L2", "params": "{\"M\": 8, \"efConstruction\": \"4\"}"}'),
	(2, '{"field_name": "v", "index_type": "HNSW", "params": " {\"M\": 9, \"metric_type\": \"L2\"}"}'),
	(3, '{"field_name": "i", "index_type": "STL_SORT", "params": ""}'),
	(4, '{"field_name": "i", "index_type": "STL_SORT", "params": "M"}'),
	(5, '{"field_name": "i", "index_type": "STL_SORT", "params": "[1]"}'),
	(6, '{"field_name": "i", "index_type": "STL_SORT", "params": 1}'),
	(7, '{"field_name": "i", "index_type": "STL_SORT", "params": "{"}')) AS v(i, p) ORDER BY i;

-- load: all vectors have one now
SELECT milvus.load_collection('c');
SELECT milvus.drop_index('c', 'v');
SELECT milvus.alter_index_properties('c', 'v', '{"mmap.enabled": true}');
SELECT milvus.drop_index('c', 'i');
SELECT milvus.release_collection('c');
SELECT milvus.alter_index_properties('c', 'v', '{"mmap.enabled": true}');
SELECT params FROM milvus.describe_index('c', 'v');
SELECT milvus.drop_index_properties('c', 'v', '{mmap.enabled}');
SELECT params FROM milvus.describe_index('c', 'v');
SELECT milvus.alter_index_properties('c', 'v', '{"M": 4}');
SELECT milvus.alter_index_properties('c', 'v', '{"mmap.enabled": "perhaps"}');
SELECT milvus.alter_index_properties('c', 'nothing', '{"mmap.enabled": true}');
SELECT milvus.drop_index('c', name) FROM milvus.list_indexes('c') AS name WHERE name <> 'half';
SELECT milvus.drop_index('c', 'nothing');
SELECT definition FROM pg_temp.definitions WHERE indrelid = 'c'::regclass;

-- rows
INSERT INTO c (id, b, i, f, s, t, j, a, v, h, bf, i8, bits, sp, "chunks[emb]")
	SELECT n, true, n, n, n::text, now(), '{}', '{1}', array_fill(n, '{8}')::vector, array_fill(n, '{8}')::halfvec, array_fill(1, '{8}')::bfloat16vec,
		array_fill(1, '{8}')::int8vec, n::bit(64), '{1:1}/10', '{"[1,2,3,4]"}' FROM generate_series(1, 50) n;
SELECT total_rows, indexed_rows, pending_index_rows, state FROM milvus.describe_index('c', 'half');

-- an index by plain SQL is one of the collection, too
CREATE INDEX mine ON c USING ann (v vector_ip_ops) WITH (index_type = 'IVF_FLAT', nlist = 4);
CREATE INDEX number ON c (i);
CREATE INDEX partial ON c (f) WHERE f > 1;
SELECT index_name, field_name, index_type, metric_type, params FROM milvus.describe_index('c');
SELECT milvus.drop_index('c', 'mine');
DROP INDEX c_h_idx;
SELECT * FROM milvus.list_indexes('c');

-- values that a btree cannot have; and MinHash
SELECT milvus.create_collection('long', schema => '{"fields": [{"name": "id", "type": "INT64", "is_primary": true},
	{"name": "key", "type": "VARCHAR", "params": {"max_length": 65535}, "is_partition_key": true}, {"name": "s", "type": "VARCHAR", "params": {"max_length": 65535}},
	{"name": "bits", "type": "BINARY_VECTOR", "params": {"dim": 64}}]}',
	index_params => '[{"field_name": "s", "index_type": "INVERTED"}, {"field_name": "bits", "index_type": "MINHASH_LSH", "metric_type": "MHJACCARD", "params": {"mh_lsh_band": 2}}]');
SELECT definition FROM pg_temp.definitions WHERE indrelid = 'long'::regclass;
INSERT INTO long (id, key, s, bits) SELECT i, string_agg(md5(i || ' ' || j), ''), string_agg(md5(j || ' ' || i), ''), i::bit(64)
	FROM generate_series(1, 3) i, generate_series(1, 1000) j GROUP BY i;
SELECT milvus.drop_collection('long');

-- what Milvus refuses
SELECT pg_temp.refused(format('SELECT milvus.create_index(''c'', %L)', p)) FROM (VALUES
	(1, '3'), (2, '{}'), (3, '{"field_name": "nothing"}'), (4, '[1]'),
	(5, '{"field_name": "v", "index_type": "NOTHING"}'), (6, '{"field_name": "v", "index_type": "BIN_FLAT"}'),
	(7, '{"field_name": "bits", "index_type": "IVF_FLAT"}'), (8, '{"field_name": "v", "index_type": "INVERTED"}'),
	(9, '{"field_name": "f", "index_type": "HNSW"}'), (10, '{"field_name": "v", "metric_type": "NEAR"}'),
	(11, '{"field_name": "v", "metric_type": "HAMMING"}'), (12, '{"field_name": "bits", "metric_type": "L2"}'),
	(13, '{"field_name": "sp", "metric_type": "COSINE"}'), (14, '{"field_name": "v", "index_type": "HNSW", "params": {"M": 1}}'),
	(15, '{"field_name": "v", "index_type": "HNSW", "params": {"M": "abc"}}'), (16, '{"field_name": "v", "index_type": "HNSW", "params": {"M": true}}'),
	(17, '{"field_name": "v", "index_type": "IVF_FLAT", "params": {"nlist": 65537}}'), (18, '{"field_name": "v", "index_type": "IVF_PQ", "params": {"m": 3}}'),
	(19, '{"field_name": "v", "index_type": "HNSW_SQ", "params": {"sq_type": "SQ7"}}'),
	(20, '{"field_name": "v", "index_type": "HNSW_SQ", "params": {"refine": "x"}}'),
	(21, '{"field_name": "v", "index_type": "HNSW_SQ", "params": {"refine": true, "refine_type": "x"}}'),
	(22, '{"field_name": "v", "index_type": "DISKANN"}'), (23, '{"field_name": "s", "index_type": "NGRAM"}'),
	(24, '{"field_name": "f", "index_type": "NGRAM", "params": {"min_gram": 2, "max_gram": 3}}'), (25, '{"field_name": "f", "index_type": "TRIE"}'),
	(26, '{"field_name": "id", "index_type": "BITMAP"}'), (27, '{"field_name": "f", "index_type": "BITMAP"}'),
	(28, '{"field_name": "s", "index_type": "RTREE"}'), (29, '{"field_name": "a", "index_type": "STL_SORT"}'),
	(30, '{"field_name": "s", "index_type": "INVERTED", "params": {"json_path": "s[0]"}}'),
	(31, '{"field_name": "j", "index_type": "BITMAP"}'), (32, '{"field_name": "j", "index_type": "INVERTED", "params": {"json_path": "j[", "json_cast_type": "double"}}'),
	(33, '{"field_name": "j", "index_type": "INVERTED", "params": {"json_path": "j[0]", "json_cast_type": "int"}}'),
	(34, '{"field_name": "bits", "metric_type": "SUBSTRUCTURE"}'),
	(35, '{"field_name": "s", "index_name": "a b"}'), (36, '{"field_name": "s", "index_name": "1"}'), (37, '{"field_name": "s", "index_name": "s\"; DROP"}'),
	(38, '{"field_name": "v", "index_type": "HNSW", "params": 5}')) AS v(i, p) ORDER BY i;
SELECT milvus.drop_collection('c');
