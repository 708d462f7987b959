--
-- ann: on tables of every kind; partial and expression indexes
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it
SET enable_seqscan = off;
SET enable_sort = off;

-- a partial index holds the rows of its predicate, and serves queries that imply it
CREATE TABLE items (id int PRIMARY KEY, category int, v vector(3));
INSERT INTO items SELECT i, i % 5, ARRAY[i, i % 7, 0]::vector FROM generate_series(1, 200) AS i;
CREATE INDEX items_partial ON items USING ann (v) WHERE category = 3;
INSERT INTO items SELECT i, i % 5, ARRAY[i, i % 7, 0]::vector FROM generate_series(201, 250) AS i;
SELECT sealed_rows, growing_rows FROM milvus.index_stats('items_partial');
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE category = 3 ORDER BY v <-> '[0,0,0]' LIMIT 3;
SELECT id FROM items WHERE category = 3 ORDER BY v <-> '[0,0,0]' LIMIT 3;
SELECT count(*), bool_and(category = 3) AS passed FROM (SELECT * FROM items WHERE category = 3 ORDER BY v <-> '[0,0,0]') AS s;
RESET enable_seqscan;
RESET enable_sort;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE category = 4 ORDER BY v <-> '[0,0,0]' LIMIT 3;
SET enable_seqscan = off;
SET enable_sort = off;
-- rows that come to satisfy the predicate, and rows that cease to
UPDATE items SET category = 3 WHERE id = 1;
UPDATE items SET category = 4 WHERE id = 3;
SELECT id FROM items WHERE category = 3 ORDER BY v <-> '[0,0,0]' LIMIT 3;
SELECT * FROM milvus.check_index('items_partial');
SELECT milvus.index_recall('items_partial');
DROP INDEX items_partial;

-- an expression: another type, another dimension, part of a vector
CREATE INDEX items_half ON items USING ann ((v::halfvec(3)) halfvec_l2_ops);
CREATE INDEX items_part ON items USING ann ((subvector(v, 1, 2)::vector(2)) vector_cosine_ops);
INSERT INTO items VALUES (251, 0, '[0.5,0,0]'), (252, 0, NULL);
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v::halfvec(3) <-> '[0,0,0]' LIMIT 3;
SELECT id FROM items ORDER BY v::halfvec(3) <-> '[0,0,0]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY subvector(v, 1, 2)::vector(2) <=> '[1,1.9]' LIMIT 1;
SELECT id FROM items ORDER BY subvector(v, 1, 2)::vector(2) <=> '[1,1.9]' LIMIT 1;
-- candidates by one index, exact order by the column
SELECT id FROM (SELECT id, v FROM items ORDER BY v::halfvec(3) <-> '[100.2,0,0]' LIMIT 20) AS s ORDER BY v <-> '[100.2,0,0]' LIMIT 3;
SELECT * FROM milvus.check_index('items_half');
SELECT * FROM milvus.check_index('items_part');
SELECT milvus.index_recall('items_half'), milvus.index_recall('items_part', 1, 20);
-- an expression that fails for a row refuses the row
CREATE TABLE anydim (id int, v vector);
CREATE INDEX anydim_v ON anydim USING ann ((v::vector(3)));
INSERT INTO anydim VALUES (1, '[1,2,3]');
INSERT INTO anydim VALUES (2, '[1,2]');
CREATE INDEX anydim_2 ON anydim USING ann ((v::vector(2))) WHERE vector_dims(v) = 2;
DROP INDEX anydim_v;
CREATE INDEX anydim_3 ON anydim USING ann ((v::vector(3))) WHERE vector_dims(v) = 3;
INSERT INTO anydim VALUES (2, '[1,2]'), (3, '[2,2]');
SELECT id FROM anydim WHERE vector_dims(v) = 2 ORDER BY v::vector(2) <-> '[3,2]';
SELECT id FROM anydim WHERE vector_dims(v) = 3 ORDER BY v::vector(3) <-> '[3,2,1]';
DROP TABLE anydim;
DROP TABLE items;

-- a generated column, a domain
CREATE DOMAIN embedding AS vector(2) CHECK (vector_dims(VALUE) = 2);
CREATE TABLE derived (id int, x real, y real, v vector(2) GENERATED ALWAYS AS (ARRAY[x, y]::vector) STORED, d embedding);
CREATE INDEX derived_v ON derived USING ann (v);
CREATE INDEX derived_d ON derived USING ann ((d::vector(2)) vector_ip_ops);
INSERT INTO derived (id, x, y, d) VALUES (1, 1, 1, '[1,1]'), (2, 5, 5, '[5,5]'), (3, 3, 3, '[3,3]');
UPDATE derived SET x = 0, y = 0 WHERE id = 2;
SELECT id, v FROM derived ORDER BY v <-> '[0,0]';
SELECT id, d FROM derived ORDER BY d::vector(2) <#> '[1,1]';
DROP TABLE derived;
DROP DOMAIN embedding;

-- a partitioned table: the partitions' scans are merged in order
CREATE TABLE parts (id int, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
INSERT INTO parts SELECT i, ARRAY[(i * 37) % 200, 0]::vector FROM generate_series(0, 199) AS i;
CREATE INDEX parts_v ON parts USING ann (v) WITH (index_type = 'FLAT');
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (200) TO (300);
INSERT INTO parts SELECT i, ARRAY[(i * 37) % 100 + 0.5, 0]::vector FROM generate_series(200, 299) AS i;
INSERT INTO parts VALUES (10, NULL), (250, NULL);
EXPLAIN (COSTS OFF) SELECT v FROM parts ORDER BY v <-> '[50.1,0]' LIMIT 5;
SELECT v FROM parts ORDER BY v <-> '[50.1,0]' LIMIT 5;
SELECT count(*), count(v), bool_and(distance >= before OR before IS NULL OR distance IS NULL) AS ordered
	FROM (SELECT v, distance, lag(distance) OVER () AS before
		FROM (SELECT v, v <-> '[50.1,0]' AS distance FROM parts ORDER BY v <-> '[50.1,0]') AS r) AS s;
SELECT v FROM parts WHERE id < 100 ORDER BY v <-> '[50.1,0]' LIMIT 2;
SELECT relid, isleaf FROM pg_partition_tree('parts_v');
SELECT milvus.seal_index('parts_v');
SELECT index_type, growing_rows FROM milvus.index_stats('parts_3_v_idx');
SELECT milvus.seal_index('parts_3_v_idx');
-- an index of a partition is attached
ALTER TABLE parts DETACH PARTITION parts_2;
CREATE TABLE parts_4 (id int, v vector(2));
INSERT INTO parts_4 VALUES (400, '[50.1,0]');
CREATE INDEX parts_4_mine ON parts_4 USING ann (v);
ALTER TABLE parts ATTACH PARTITION parts_4 FOR VALUES FROM (400) TO (500);
SELECT id FROM parts ORDER BY v <-> '[50.1,0]' LIMIT 1;
SELECT relid FROM pg_partition_tree('parts_v') WHERE isleaf;
-- a row that moves to another partition
UPDATE parts SET id = 210 WHERE id = 400;
SELECT tableoid::regclass, id FROM parts ORDER BY v <-> '[50.1,0]' LIMIT 1;
DROP TABLE parts, parts_2;

-- inheritance
CREATE TABLE parent (id int, v vector(2));
CREATE TABLE child () INHERITS (parent);
CREATE INDEX ON parent USING ann (v);
CREATE INDEX ON child USING ann (v);
INSERT INTO parent SELECT i, ARRAY[i, 0]::vector FROM generate_series(1, 9, 2) AS i;
INSERT INTO child SELECT i, ARRAY[i, 0]::vector FROM generate_series(2, 10, 2) AS i;
SELECT id FROM parent ORDER BY v <-> '[0,0]';
DROP TABLE parent, child;

-- UNLOGGED and TEMP; LIKE copies the index with its options
CREATE UNLOGGED TABLE fast (id int, v vector(3));
CREATE INDEX fast_v ON fast USING ann (v vector_l1_ops) WITH (index_type = 'IVF_FLAT', nlist = 7);
INSERT INTO fast SELECT i, ARRAY[i, 0, 0]::vector FROM generate_series(1, 100) AS i;
SELECT milvus.seal_index('fast_v');
INSERT INTO fast VALUES (0, '[0,0,0]');
SELECT id FROM fast ORDER BY v <+> '[0,0,0]' LIMIT 3;
ALTER TABLE fast SET LOGGED;
SELECT id FROM fast ORDER BY v <+> '[0,0,0]' LIMIT 3;
ALTER TABLE fast SET UNLOGGED;
SELECT id FROM fast ORDER BY v <+> '[0,0,0]' LIMIT 3;
SELECT * FROM milvus.check_index('fast_v');
CREATE TEMP TABLE mine (LIKE fast INCLUDING INDEXES);
SELECT pg_get_indexdef(indexrelid) LIKE '%USING ann (v vector_l1_ops) WITH (index_type=''IVF_FLAT'', nlist=''7'')' AS copied
	FROM pg_index WHERE indrelid = 'mine'::regclass;
INSERT INTO mine SELECT * FROM fast;
SELECT id FROM mine ORDER BY v <+> '[0,0,0]' LIMIT 3;
SELECT milvus.seal_index('mine_v_idx');
SELECT id FROM mine ORDER BY v <+> '[0,0,0]' LIMIT 3;
SELECT * FROM milvus.check_index('mine_v_idx');
BEGIN;
CREATE TEMP TABLE gone (id int, v vector(3)) ON COMMIT DELETE ROWS;
CREATE INDEX gone_v ON gone USING ann (v);
INSERT INTO gone SELECT * FROM fast;
SELECT id FROM gone ORDER BY v <-> '[0,0,0]' LIMIT 3;
COMMIT;
SELECT id FROM gone ORDER BY v <-> '[0,0,0]' LIMIT 3;
INSERT INTO gone VALUES (1, '[1,1,1]');
SELECT segments, sealed_rows, growing_rows FROM milvus.index_stats('gone_v');
DROP TABLE fast, mine, gone;

-- several indexes on a column: the operator chooses
CREATE TABLE several (id int, v vector(2));
INSERT INTO several VALUES (1, '[1,0]'), (2, '[10,1]'), (3, '[0,3]');
CREATE INDEX several_l2 ON several USING ann (v vector_l2_ops);
CREATE INDEX several_ip ON several USING ann (v vector_ip_ops);
CREATE INDEX several_cosine ON several USING ann (v vector_cosine_ops);
CREATE INDEX several_l1 ON several USING ann (v vector_l1_ops);
EXPLAIN (COSTS OFF) SELECT id FROM several ORDER BY v <-> '[1,1]';
EXPLAIN (COSTS OFF) SELECT id FROM several ORDER BY v <#> '[1,1]';
EXPLAIN (COSTS OFF) SELECT id FROM several ORDER BY v <=> '[1,1]';
EXPLAIN (COSTS OFF) SELECT id FROM several ORDER BY v <+> '[1,1]';
SELECT array_agg(id) FROM (SELECT id FROM several ORDER BY v <-> '[1,1]') AS s;
SELECT array_agg(id) FROM (SELECT id FROM several ORDER BY v <#> '[1,1]') AS s;
SELECT array_agg(id) FROM (SELECT id FROM several ORDER BY v <=> '[1,1]') AS s;
SELECT array_agg(id) FROM (SELECT id FROM several ORDER BY v <+> '[1,1]') AS s;
-- the query may stand on either side, and is an expression that does not change
EXPLAIN (COSTS OFF) SELECT id FROM several ORDER BY '[1,1]' <-> v;
SELECT array_agg(id) FROM (SELECT id FROM several ORDER BY v <-> (SELECT v FROM several WHERE id = 3)) AS s;
DROP TABLE several;
