--
-- pgvector's syntax without pgvector: access methods hnsw and ivfflat, their options
-- and settings
--
\set SHOW_CONTEXT never
SET jit = off;
SELECT milvus.disable_pgvector_syntax();
CREATE TABLE items (id serial PRIMARY KEY, v vector(3), h halfvec(3));
CREATE INDEX ON items USING hnsw (v vector_l2_ops);

SELECT milvus.enable_pgvector_syntax();
-- a second time there is nothing to make
SELECT milvus.enable_pgvector_syntax();
SELECT a.amname, c.opcname, c.opcintype::regtype, c.opcdefault, amvalidate(c.oid)
	FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = c.opcmethod
	WHERE a.amname IN ('hnsw', 'ivfflat') ORDER BY 1, 3, 2;
SELECT amname, obj_description(oid, 'pg_am') FROM pg_am WHERE amname IN ('hnsw', 'ivfflat') ORDER BY 1;

-- options: pgvector's ranges, and nothing else
CREATE INDEX ON items USING hnsw (v vector_l2_ops) WITH (m = 1);
CREATE INDEX ON items USING hnsw (v vector_l2_ops) WITH (ef_construction = 1001);
CREATE INDEX ON items USING ivfflat (v) WITH (lists = 32769);
CREATE INDEX ON items USING hnsw (v vector_l2_ops) WITH (lists = 10);
CREATE INDEX ON items USING ivfflat (v) WITH (index_type = 'HNSW');
CREATE INDEX ON items USING hnsw (v);
CREATE INDEX ON items USING hnsw (v vector_l2_ops, id);

-- an index of each kind, over rows that are there and rows that come
INSERT INTO items (v, h) SELECT ARRAY[i, 0, 0], ARRAY[i, 1, 0] FROM generate_series(1, 2000) AS i;
CREATE INDEX items_hnsw ON items USING hnsw (v vector_l2_ops);
CREATE INDEX items_small ON items USING hnsw (v vector_l1_ops) WITH (m = 2, ef_construction = 4);
CREATE INDEX items_ivf ON items USING ivfflat (h halfvec_l2_ops) WITH (lists = 10);
CREATE INDEX items_lists ON items USING ivfflat (v) WITH (lists = 32768);
INSERT INTO items (v, h) SELECT ARRAY[i, 0, 0], ARRAY[i, 1, 0] FROM generate_series(2001, 2500) AS i;
INSERT INTO items (v) VALUES (NULL);
\d items
SELECT i AS index, s.index_type, s.metric, s.dimension, s.segments, s.sealed_rows, s.growing_rows
	FROM unnest('{items_hnsw,items_small,items_ivf,items_lists}'::regclass[]) AS i, milvus.index_stats(i) AS s;

-- all that is done to an index of ann is done to them
SELECT milvus.seal_index('items_hnsw'), milvus.compact_index('items_ivf');
DELETE FROM items WHERE id % 10 = 0;
VACUUM items;
REINDEX INDEX items_small;
SELECT i AS index, s.sealed_rows - s.deleted_rows AS alive, s.growing_rows
	FROM unnest('{items_hnsw,items_small,items_ivf,items_lists}'::regclass[]) AS i, milvus.index_stats(i) AS s;
SELECT milvus.check_index(i) FROM unnest('{items_hnsw,items_small,items_ivf,items_lists}'::regclass[]) AS i;
SELECT milvus.load_index('items_hnsw') > 0 AS loaded, milvus.index_recall('items_hnsw') > 0.95 AS recall;
SELECT milvus.seal_index('items_pkey');

-- settings: names, defaults and ranges are pgvector's
SELECT name, setting, boot_val, min_val, max_val, enumvals, context FROM pg_settings
	WHERE name ~ '^(hnsw|ivfflat)\.' ORDER BY name;
SET hnsw.ef_search = 1001;
SET ivfflat.iterative_scan = strict_order;

-- and the scans obey them: how many rows a scan of the whole index gives
CREATE FUNCTION rows_of(query text) RETURNS bigint LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
	rows bigint;
	line text;
	used boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		used := used OR line ~ 'Index Scan using items_(hnsw|ivf)';
	END LOOP;
	IF NOT used THEN
		RAISE 'the plan uses no index: %', query;
	END IF;
	EXECUTE 'SELECT count(*) FROM (' || query || ') AS q' INTO rows;
	RETURN rows;
END
$$;
\set by_graph 'SELECT id FROM items ORDER BY v <-> ''[700,0,0]'' LIMIT 100000'
\set by_lists 'SELECT id FROM items ORDER BY h <-> ''[700,1,0]'' LIMIT 100000'
SELECT rows_of(:'by_graph');
SET hnsw.ef_search = 7;
SELECT rows_of(:'by_graph');
SET milvus.ef = 100;
SET milvus.max_scan_tuples = 3;
SELECT rows_of(:'by_graph');
SET hnsw.iterative_scan = strict_order;
SELECT rows_of(:'by_graph') BETWEEN 1500 AND 2251 AS most;
SET hnsw.iterative_scan = relaxed_order;
SELECT rows_of(:'by_graph');
SET hnsw.max_scan_tuples = 1000;
SELECT rows_of(:'by_graph');
SELECT ef, nprobe, returned_rows FROM milvus.last_search();
RESET milvus.ef;
RESET milvus.max_scan_tuples;
-- lists: the rows of those that were probed, which are the nearest here
SELECT rows_of(:'by_lists') AS one_list \gset
SET ivfflat.probes = 3;
SELECT rows_of(:'by_lists') AS three_lists \gset
SELECT :one_list BETWEEN 50 AND 1000 AS one_list, :three_lists > :one_list AND :three_lists < 2000 AS three_lists;
SELECT ef, nprobe, hops, exhaustive, returned_rows = :three_lists AS same FROM milvus.last_search();
SET ivfflat.iterative_scan = relaxed_order;
SELECT rows_of(:'by_lists');
SET ivfflat.max_probes = 4;
SELECT rows_of(:'by_lists') AS four_lists \gset
SELECT :four_lists > :three_lists AND :four_lists < 2250 AS four_lists, hops FROM milvus.last_search();
-- fewer than probes: that many are looked at
SET ivfflat.max_probes = 1;
SELECT rows_of(:'by_lists') = :three_lists AS three_lists;
RESET ALL;
SET jit = off;

-- the answers are exact search's
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v <-> '[700.2,0,0]' LIMIT 5;
SELECT id FROM items ORDER BY v <-> '[700.2,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY h <-> '[55.3,1,0]' LIMIT 5;
SELECT id FROM items ORDER BY h <-> '[55.3,1,0]' LIMIT 5;
SELECT id FROM items ORDER BY v <+> '[33.4,0,0]' LIMIT 5;
RESET enable_seqscan;

-- a setting made before the session uses such an index counts, a bad one is told
\c -
SET jit = off;
SET hnsw.ef_search = 5;
SET ivfflat.probes = 0;
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[1,0,0]' LIMIT 100) AS t;
SHOW hnsw.ef_search;
SHOW ivfflat.probes;

-- bit strings
CREATE TABLE strings (id int, b bit(24));
INSERT INTO strings SELECT i, (i * 31337 % 16777216)::bit(24) FROM generate_series(1, 1500) AS i;
CREATE INDEX strings_hamming ON strings USING hnsw (b bit_hamming_ops);
CREATE INDEX strings_jaccard ON strings USING hnsw (b bit_jaccard_ops);
CREATE INDEX strings_lists ON strings USING ivfflat (b bit_hamming_ops) WITH (lists = 4);
INSERT INTO strings SELECT i, (i * 31337 % 16777216)::bit(24) FROM generate_series(1501, 1600) AS i;
SELECT i AS index, s.index_type, s.metric, s.dimension, s.sealed_rows, s.growing_rows
	FROM unnest('{strings_hamming,strings_jaccard,strings_lists}'::regclass[]) AS i, milvus.index_stats(i) AS s;
SET hnsw.ef_search = 200;
EXPLAIN (COSTS OFF) SELECT id FROM strings ORDER BY b <%> B'101010101010101010101010' LIMIT 5;
SELECT milvus.index_recall('strings_jaccard') > 0.95 AS jaccard;
DROP INDEX strings_lists;
SELECT milvus.index_recall('strings_hamming') > 0.95 AS hamming;
SELECT milvus.check_index('strings_hamming');
RESET hnsw.ef_search;

-- partitions
CREATE TABLE parts (id int, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
CREATE INDEX ON parts USING hnsw (v vector_ip_ops);
INSERT INTO parts SELECT i, ARRAY[i, 1] FROM generate_series(0, 199) AS i;
SELECT id FROM parts ORDER BY v <#> '[1,0]' LIMIT 3;
SELECT milvus.check_index('parts_2_v_idx');
SELECT milvus.check_index('parts_v_idx');

-- what has the name of a type or an operator but is not an extension's gets no class
CREATE SCHEMA lookalike;
CREATE TYPE lookalike.bfloat16vec AS (x float8);
CREATE FUNCTION lookalike.distance(lookalike.bfloat16vec, lookalike.bfloat16vec) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT abs($1.x - $2.x)';
CREATE OPERATOR lookalike.<-> (FUNCTION = lookalike.distance, LEFTARG = lookalike.bfloat16vec, RIGHTARG = lookalike.bfloat16vec);
CREATE FUNCTION lookalike.distance(bit, bit) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 0::float8';
CREATE OPERATOR lookalike.<~> (FUNCTION = lookalike.distance, LEFTARG = bit, RIGHTARG = bit);
SELECT method, milvus.create_operator_classes(method, 'lookalike') FROM unnest('{ann,hnsw,ivfflat}'::name[]) AS method;
SET client_min_messages = warning;
DROP SCHEMA lookalike CASCADE;
RESET client_min_messages;

-- they go when no index needs them; the settings stay with this session
SELECT milvus.disable_pgvector_syntax();
DROP TABLE items, parts, strings;
DROP FUNCTION rows_of(text);
SELECT milvus.disable_pgvector_syntax();
SELECT count(*) FROM pg_am WHERE amname IN ('hnsw', 'ivfflat');
SELECT count(*) FROM pg_opfamily WHERE opfmethod NOT IN (SELECT oid FROM pg_am);

-- an access method of that name which is not ours
\c -
CREATE ACCESS METHOD ivfflat TYPE INDEX HANDLER bthandler;
SELECT milvus.enable_pgvector_syntax();
DROP ACCESS METHOD ivfflat;
-- and only a superuser makes them
CREATE ROLE nobody_much;
SET ROLE nobody_much;
SELECT milvus.enable_pgvector_syntax();
SELECT milvus.create_operator_classes('ann', 'public');
SELECT milvus.drop_operator_classes('ann');
RESET ROLE;
DROP ROLE nobody_much;
