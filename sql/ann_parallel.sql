--
-- ann: searches inside parallel workers see what their leader sees, and use its settings
--
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE TABLE items (id int PRIMARY KEY, v vector(4));
INSERT INTO items SELECT i, ARRAY[i, i % 10, i % 7, 1]::vector FROM generate_series(1, 2000) AS i;
CREATE INDEX items_v ON items USING ann (v) WITH (m = 8, ef_construction = 40);
INSERT INTO items SELECT i, ARRAY[i, i % 10, i % 7, 1]::vector FROM generate_series(2001, 2100) AS i;
ANALYZE items;
SET enable_seqscan = off;
SET enable_sort = off;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;

-- the whole query in a worker
SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v <-> '[0,0,0,1]' LIMIT 3;
BEGIN;
INSERT INTO items VALUES (0, '[0,0,0,1]');
DELETE FROM items WHERE id = 1;
SELECT id FROM items ORDER BY v <-> '[0,0,0,1]' LIMIT 3;
SET LOCAL milvus.max_scan_tuples = 2;
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[0,0,0,1]' LIMIT 3) AS s;
ROLLBACK;
SELECT id FROM items ORDER BY v <-> '[0,0,0,1]' LIMIT 3;
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- a part of the queries in each
RESET enable_seqscan;
SELECT count(*), count(*) FILTER (WHERE q.id = (SELECT i.id FROM items AS i ORDER BY i.v <-> q.v LIMIT 1)) AS themselves FROM items AS q;

-- a parallel build of other indexes, and other ways to read the table, beside it
CREATE INDEX items_id ON items (id, v);
SELECT count(v) FROM items;
SELECT * FROM milvus.check_index('items_v');

DROP TABLE items;
