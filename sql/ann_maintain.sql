--
-- ann: functions to maintain an index and to look inside, and who may call them
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it
SET enable_seqscan = off;
SET enable_sort = off;

-- of a temporary table, for no other session can hold its dead rows
CREATE TEMP TABLE items (id int, v vector(4));
CREATE FUNCTION add(first int, last int) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO items SELECT i, ARRAY[i, i % 10, i % 7, 1]::vector FROM generate_series(first, last) AS i $$;

-- an index says what it is
SELECT add(1, 1500);
CREATE INDEX items_v ON items USING ann (v vector_l2_ops) WITH (segment_rows = 1000, m = 8, ef_construction = 40);
SELECT index_type, metric, dimension, segments, sealed_rows, growing_rows, deleted_rows,
	bytes = pg_relation_size('items_v') AS bytes, free_bytes, growing_limit > 1000 AS limited
	FROM milvus.index_stats('items_v');
SELECT state, index_type, rows, deleted_rows, zero_rows, null_rows, bytes > 0 AS bytes, created <= clock_timestamp() AS created
	FROM milvus.index_segments('items_v');
SELECT count(*), count(segment_id), count(DISTINCT segment_id) FROM milvus.index_segments('items_v');

-- the growing part
SELECT add(1501, 1600);
SELECT segments, sealed_rows, growing_rows FROM milvus.index_stats('items_v');
SELECT state, index_type, rows FROM milvus.index_segments('items_v');

-- sealing it: a segment not larger than what is sealed is merged in, as long as segment_rows allows
SELECT milvus.seal_index('items_v');
SELECT state, index_type, rows FROM milvus.index_segments('items_v');
SELECT add(1601, 2000);
SELECT milvus.seal_index('items_v');
SELECT state, index_type, rows FROM milvus.index_segments('items_v');
-- there is nothing to seal then
SELECT milvus.seal_index('items_v');

-- compacting, after the limit of a segment was raised
ALTER INDEX items_v SET (segment_rows = 10000);
SELECT milvus.compact_index('items_v');
SELECT state, index_type, rows FROM milvus.index_segments('items_v');
SELECT milvus.compact_index('items_v');

-- the manifest changes with each of them, and only then
SELECT manifest_version AS before FROM milvus.index_stats('items_v') \gset
SELECT count(*) FROM milvus.check_index('items_v');
SELECT manifest_version = :before AS same FROM milvus.index_stats('items_v');
SELECT add(2001, 2100);
SELECT milvus.compact_index('items_v');
SELECT manifest_version > :before AS changed, free_bytes > 0 AS freed FROM milvus.index_stats('items_v');

-- recall against exact search, at the settings of the session
SET milvus.ef = 200;
SELECT milvus.index_recall('items_v', 10, 50) > 0.9 AS good;
SELECT milvus.index_recall('items_v') BETWEEN 0.9 AND 1 AS defaults, milvus.index_recall('items_v', sample => 5, k => 1) AS itself;
SELECT milvus.index_recall('items_v', 0);
SELECT milvus.index_recall('items_v', 16385);
SELECT milvus.index_recall('items_v', 10, 0);
RESET milvus.ef;
-- settings are as before
SELECT name, setting FROM pg_settings WHERE name IN ('enable_seqscan', 'enable_sort', 'enable_indexscan') ORDER BY name;

-- the last search
SELECT id FROM items ORDER BY v <-> '[0,0,0,0]' LIMIT 3;
SELECT index, index_types, segments, growing_rows, returned_rows, ef, nprobe FROM milvus.last_search();
SELECT add(2101, 2110);
SET milvus.ef = 5000;
SELECT id FROM items ORDER BY v <-> '[2200,0,0,0]' LIMIT 3;
SELECT index, index_types, segments, growing_rows, code_distances, skipped_rows, returned_rows, ef, exhaustive FROM milvus.last_search();
-- deleted rows of a segment are skipped
DELETE FROM items WHERE id % 20 = 0;
VACUUM items;
SELECT sealed_rows, deleted_rows, growing_rows FROM milvus.index_stats('items_v');
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[0,0,0,0]') AS s;
SELECT code_distances, returned_rows, dropped_rows FROM milvus.last_search();
SELECT * FROM milvus.check_index('items_v');
RESET milvus.ef;
DROP TABLE items;

-- what is not an index, not of this kind, not there
CREATE TABLE items (id int PRIMARY KEY, v vector(4));
CREATE INDEX items_v ON items USING ann (v);
SELECT milvus.seal_index('items');
SELECT milvus.compact_index('items_pkey');
SELECT * FROM milvus.index_segments('pg_class');
SELECT * FROM milvus.index_stats('items_nothing');
SELECT milvus.load_index(0);
SELECT milvus.seal_index(NULL), milvus.index_recall(NULL);
SELECT * FROM milvus.check_index(NULL);

-- the cache: of as many bytes as load_index() says, made by the first search
SELECT add(1, 2000);
SELECT milvus.seal_index('items_v');
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[0,0,0,0]' LIMIT 3) AS s;
SELECT cached FROM milvus.index_segments('items_v');
SELECT cached_segments FROM milvus.last_search();
SELECT milvus.load_index('items_v') = cache_bytes AS loaded, cache_bytes > 0 AS some FROM milvus.index_stats('items_v');
SELECT milvus.load_index('items_v') = cache_bytes AS loaded FROM milvus.index_stats('items_v');

-- without a cache the answers are the same, for every row is compared
SELECT array_agg(id) AS cached FROM (SELECT id FROM items ORDER BY v <-> '[0.1,0.2,0,0]' LIMIT 20) AS s \gset
SET milvus.ef = 2000;
SET milvus.cache_size = 0;
REINDEX INDEX items_v;
SELECT cached FROM milvus.index_segments('items_v');
SELECT array_agg(id) = :'cached' AS same FROM (SELECT id FROM items ORDER BY v <-> '[0.1,0.2,0,0]' LIMIT 20) AS s;
SELECT index_types, segments, cached_segments, exhaustive FROM milvus.last_search();
SELECT milvus.load_index('items_v');
SELECT * FROM milvus.check_index('items_v');
RESET milvus.cache_size;

-- a build with less memory than its rows take
CREATE TABLE many (id int, v vector(100));
INSERT INTO many SELECT i, (SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector FROM generate_series(1, 100) AS j)
	FROM generate_series(1, 4000) AS i;
SET maintenance_work_mem = '1MB';
CREATE INDEX many_hnsw ON many USING ann (v) WITH (m = 8, ef_construction = 40);
CREATE INDEX many_ivf ON many USING ann (v) WITH (index_type = 'IVF_FLAT', nlist = 20);
INSERT INTO many SELECT id + 4000, v + v FROM many;
SELECT milvus.compact_index('many_hnsw'), milvus.compact_index('many_ivf');
RESET maintenance_work_mem;
SET milvus.ef = 400;
SET milvus.nprobe = 20;
SELECT i, sealed_rows, milvus.index_recall(i, 10, 20) > 0.9 AS good, (SELECT count(*) FROM milvus.check_index(i)) AS problems
	FROM unnest(ARRAY['many_hnsw', 'many_ivf']::regclass[]) AS i, LATERAL milvus.index_stats(i);
RESET milvus.ef;
RESET milvus.nprobe;
DROP TABLE many;

-- only the owner may call them
CREATE ROLE regress_ann_reader;
GRANT SELECT ON items TO regress_ann_reader;
GRANT EXECUTE ON FUNCTION add TO regress_ann_reader;
SET ROLE regress_ann_reader;
SELECT milvus.seal_index('items_v');
SELECT milvus.compact_index('items_v');
SELECT milvus.load_index('items_v');
SELECT * FROM milvus.index_segments('items_v');
SELECT * FROM milvus.index_stats('items_v');
SELECT * FROM milvus.check_index('items_v');
SELECT milvus.index_recall('items_v');
SET milvus.cache_size = 0;
SET milvus.debug_point = 'build-published';
-- a reader searches, and sees figures of his own search
SELECT id FROM items ORDER BY v <-> '[0,0,0,0]' LIMIT 3;
SELECT index, returned_rows FROM milvus.last_search();
RESET ROLE;
-- an index owner whose table hides rows by a policy learns nothing of them from figures
ALTER TABLE items OWNER TO regress_ann_reader;
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
ALTER TABLE items FORCE ROW LEVEL SECURITY;
CREATE POLICY few ON items USING (id <= 5);
SET ROLE regress_ann_reader;
SELECT id FROM items ORDER BY v <-> '[0,0,0,0]';
SELECT milvus.index_recall('items_v');
SELECT milvus.seal_index('items_v');
RESET ROLE;

DROP TABLE items;
DROP FUNCTION add;
DROP ROLE regress_ann_reader;
