--
-- ann: options of CREATE INDEX and ALTER INDEX, settings, and what is refused
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE TABLE items (id int, v vector(3), h halfvec(3), anydim vector, n int);
INSERT INTO items SELECT i, ARRAY[i, i % 7, i % 11]::vector, ARRAY[i, i % 7, i % 11]::halfvec, ARRAY[i, i % 7, i % 11]::vector, i
	FROM generate_series(1, 100) AS i;

-- the smallest and the largest value of every option
CREATE INDEX items_least ON items USING ann (v) WITH (m = 2, ef_construction = 8, segment_rows = 1000);
CREATE INDEX items_most ON items USING ann (v) WITH (m = 2048, ef_construction = 65536, segment_rows = 100000000);
CREATE INDEX items_one_list ON items USING ann (v) WITH (index_type = 'IVF_FLAT', nlist = 1);
CREATE INDEX items_more_lists_than_rows ON items USING ann (v) WITH (index_type = 'IVF_FLAT', nlist = 65536);
SELECT i, milvus.index_recall(i), (SELECT count(*) FROM milvus.check_index(i)) AS problems
	FROM unnest(ARRAY['items_least', 'items_most', 'items_one_list', 'items_more_lists_than_rows']::regclass[]) AS i;
DROP INDEX items_least, items_most, items_one_list, items_more_lists_than_rows;

-- out of range: the error names the range
CREATE INDEX ON items USING ann (v) WITH (m = 1);
CREATE INDEX ON items USING ann (v) WITH (m = 2049);
CREATE INDEX ON items USING ann (v) WITH (ef_construction = 7);
CREATE INDEX ON items USING ann (v) WITH (ef_construction = 65537);
CREATE INDEX ON items USING ann (v) WITH (index_type = 'IVF_FLAT', nlist = 0);
CREATE INDEX ON items USING ann (v) WITH (index_type = 'IVF_FLAT', nlist = 65537);
CREATE INDEX ON items USING ann (v) WITH (segment_rows = 999);

-- what is not an option, not a type, not a number
CREATE INDEX ON items USING ann (v) WITH (fillfactor = 90);
CREATE INDEX ON items USING ann (v) WITH (index_type = 'DISKANN');
CREATE INDEX ON items USING ann (v) WITH (m = 'many');

-- what does not go together
CREATE INDEX ON items USING ann (v) WITH (index_type = 'IVF_PQ', pq_nbits = 25);
CREATE INDEX ON items USING ann (v) WITH (index_type = 'IVF_PQ', pq_m = 2);
CREATE INDEX ON items USING ann (v vector_l1_ops) WITH (index_type = 'IVF_SQ8');
CREATE INDEX ON items USING ann (v vector_l1_ops) WITH (compact = true);
CREATE INDEX ON items USING ann (v) WITH (index_type = 'BIN_FLAT');
CREATE INDEX ON items USING ann (v) WITH (index_type = 'HNSW_SQ', sq_type = 'SQ5');
CREATE INDEX ON items USING ann (v) WITH (index_type = 'HNSW_PRQ', nrq = 17);

-- a name that is no more
CREATE INDEX items_annoy ON items USING ann (v) WITH (index_type = 'ANNOY');
SELECT index_type FROM milvus.index_stats('items_annoy');
DROP INDEX items_annoy;

-- settings have ranges
SET milvus.target_recall = 0.3;
SET milvus.target_recall = 1;
SET milvus.refine_k = 0.5;
SET milvus.rbq_query_bits = 9;

-- index types are understood in either case
CREATE INDEX items_flat ON items USING ann (v) WITH (index_type = flat);
SELECT index_type FROM milvus.index_stats('items_flat');
DROP INDEX items_flat;

-- the column must be a vector of a dimension
CREATE INDEX ON items USING ann (n);
CREATE INDEX ON items USING ann (anydim);
CREATE INDEX ON items USING ann (v halfvec_l2_ops);
CREATE INDEX items_anydim ON items USING ann ((anydim::vector(3)));
INSERT INTO items (id, anydim) VALUES (101, '[1,2]');
SELECT * FROM milvus.check_index('items_anydim');
DROP INDEX items_anydim;

-- a query of another dimension
CREATE INDEX items_v ON items USING ann (v);
SET enable_seqscan = off;
SELECT id FROM items ORDER BY v <-> '[1,2]' LIMIT 1;
SELECT id FROM items ORDER BY v <-> '[1,2,3,4]' LIMIT 1;
RESET enable_seqscan;

-- SQLSTATEs
\set VERBOSITY sqlstate
SET enable_seqscan = off;
CREATE INDEX ON items USING ann (anydim);
SELECT id FROM items ORDER BY v <-> '[1,2]' LIMIT 1;
SELECT * FROM milvus.index_stats('items');
SELECT milvus.index_recall('items_v', 0);
RESET enable_seqscan;
\set VERBOSITY default

-- what other access methods can do
CREATE UNIQUE INDEX ON items USING ann (v);
CREATE INDEX ON items USING ann (v, h);
CREATE INDEX ON items USING ann (v) INCLUDE (id);
CREATE INDEX ON items USING ann (v DESC);
CREATE INDEX ON items USING ann (v NULLS FIRST);
CLUSTER items USING items_v;

-- ALTER INDEX SET: for segments made from then on
ALTER INDEX items_v SET (index_type = 'IVF_FLAT', nlist = 4);
SELECT index_type FROM milvus.index_segments('items_v');
INSERT INTO items SELECT 100 + i, ARRAY[i, i % 5, i % 3]::vector FROM generate_series(1, 50) AS i;
SELECT milvus.compact_index('items_v');
SELECT index_type, rows FROM milvus.index_segments('items_v');
ALTER INDEX items_v SET (m = 2049);
ALTER INDEX items_v RESET (index_type, nlist);
REINDEX INDEX items_v;
SELECT index_type, rows FROM milvus.index_segments('items_v');
SELECT * FROM milvus.check_index('items_v');

-- settings
SET milvus.ef = 0;
SET milvus.ef = 65537;
SET milvus.nprobe = 0;
SET milvus.nprobe = 65537;
SET milvus.iterative_order = 'loose';
SET milvus.max_scan_tuples = -1;
SET milvus.growing_rows = -1;
SET milvus.simd = 'mmx';
SET milvus.unknown = 1;
SELECT name, setting, unit, context, vartype, min_val, max_val, enumvals
	FROM pg_settings WHERE name LIKE 'milvus.%' AND name <> 'milvus.simd' ORDER BY name;

DROP TABLE items;
