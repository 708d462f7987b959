--
-- ann on pgvector's columns (needs pgvector; without it the test ends after the first
-- queries, and pgvector_columns_1.out is what it gives)
--
\set SHOW_CONTEXT never
SELECT milvus.enable_pgvector();
SELECT milvus.disable_pgvector();
SELECT count(*) = 0 AS absent FROM pg_available_extensions WHERE name = 'vector' \gset
\if :absent
\quit
\endif
SET client_min_messages = warning;
SET jit = off;

-- pgvector in a schema of its own, first on the path: its names mean its types
CREATE SCHEMA pgvector;
CREATE EXTENSION vector SCHEMA pgvector;
SET search_path = pgvector, public;
RESET client_min_messages;
SELECT milvus.enable_pgvector();
-- a second time there is nothing to make, also for what only has the name of a type
CREATE TYPE bfloat16vec AS (x float8);
CREATE FUNCTION distance(bfloat16vec, bfloat16vec) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT abs($1.x - $2.x)';
CREATE OPERATOR <-> (FUNCTION = distance, LEFTARG = bfloat16vec, RIGHTARG = bfloat16vec);
SELECT milvus.enable_pgvector();
DROP OPERATOR <-> (bfloat16vec, bfloat16vec);
DROP FUNCTION distance(bfloat16vec, bfloat16vec);
DROP TYPE bfloat16vec;
SELECT c.opcnamespace::regnamespace, c.opcname, c.opcintype::regtype, c.opcdefault, o.amopopr::regoperator, p.amproc, amvalidate(c.oid)
	FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = c.opcmethod
	JOIN pg_amop AS o ON o.amopfamily = c.opcfamily JOIN pg_amproc AS p ON p.amprocfamily = c.opcfamily
	WHERE a.amname = 'ann' AND c.opcnamespace = 'pgvector'::regnamespace
	ORDER BY c.opcintype::regtype::text, c.opcname COLLATE "C";
SELECT milvus.enable_pgvector_syntax();

-- a table of pgvector's types, and the same rows in ours
CREATE TABLE items (id int PRIMARY KEY, v vector(8), h halfvec(8), own public.vector(8));
INSERT INTO items SELECT i, a, a, a FROM generate_series(1, 2000) AS i,
	LATERAL (SELECT array_agg(sin(i * j + j * j)::real ORDER BY j) FROM generate_series(1, 8) AS j) AS r(a);
CREATE INDEX items_l2 ON items USING ann (v) WITH (index_type = 'HNSW', m = 16);
CREATE INDEX items_ip ON items USING ann (v vector_ip_ops) WITH (index_type = 'FLAT');
CREATE INDEX items_cosine ON items USING ann (h halfvec_cosine_ops) WITH (index_type = 'IVF_FLAT', nlist = 16);
CREATE INDEX items_l1 ON items USING ann (h halfvec_l1_ops) WITH (index_type = 'FLAT');
CREATE INDEX items_own ON items USING ann (own public.vector_cosine_ops) WITH (index_type = 'FLAT');
CREATE INDEX items_theirs ON items USING hnsw (v vector_cosine_ops);
INSERT INTO items SELECT i, a, a, a FROM generate_series(2001, 2100) AS i,
	LATERAL (SELECT array_agg(sin(i * j + j * j)::real ORDER BY j) FROM generate_series(1, 8) AS j) AS r(a);
INSERT INTO items (id) VALUES (0);
\d items
SELECT i AS index, s.index_type, s.metric, s.dimension, s.sealed_rows, s.growing_rows
	FROM unnest('{items_l2,items_ip,items_cosine,items_l1,items_own}'::regclass[]) AS i, milvus.index_stats(i) AS s;

-- the plan takes our index, and its answer is exact search's
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY v <-> '[1,0,0,0,0,0,0,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY h <=> '[1,0,0,0,0,0,0,0]' LIMIT 5;
CREATE TABLE found AS
	SELECT q.id AS query, a.* FROM items AS q, LATERAL (
		(SELECT 'ip' AS search, id, v <#> q.v AS distance FROM items ORDER BY v <#> q.v LIMIT 10)
		UNION ALL (SELECT 'l1', id, h <+> q.h FROM items ORDER BY h <+> q.h LIMIT 10)
		UNION ALL (SELECT 'cosine', id, own OPERATOR(public.<=>) q.own FROM items ORDER BY own OPERATOR(public.<=>) q.own LIMIT 10)) AS a
	WHERE q.id % 100 = 1;
SET enable_indexscan = off;
CREATE TABLE exact AS
	SELECT q.id AS query, a.* FROM items AS q, LATERAL (
		(SELECT 'ip' AS search, id, v <#> q.v AS distance FROM items ORDER BY v <#> q.v LIMIT 10)
		UNION ALL (SELECT 'l1', id, h <+> q.h FROM items ORDER BY h <+> q.h LIMIT 10)
		UNION ALL (SELECT 'cosine', id, own OPERATOR(public.<=>) q.own FROM items ORDER BY own OPERATOR(public.<=>) q.own LIMIT 10)) AS a
	WHERE q.id % 100 = 1;
RESET enable_indexscan;
SELECT search, count(*), count(*) FILTER (WHERE f.id IS NULL) AS missing
	FROM exact AS e LEFT JOIN found AS f USING (query, search, id) GROUP BY search ORDER BY search;
SELECT milvus.index_recall('items_l2') > 0.98 AS l2, milvus.index_recall('items_ip') AS ip,
	milvus.index_recall('items_cosine') > 0.8 AS cosine, milvus.index_recall('items_l1') AS l1;

-- maintenance
DELETE FROM items WHERE id % 7 = 0;
VACUUM items;
SELECT milvus.compact_index('items_l2'), milvus.seal_index('items_cosine');
SELECT i AS index, problem FROM unnest('{items_l2,items_ip,items_cosine,items_l1,items_own}'::regclass[]) AS i, milvus.check_index(i) AS problem;

-- bit strings: by the operators of pgvector, whose classes do not clash with ours
CREATE TABLE strings (id int, b bit(24));
INSERT INTO strings SELECT i, (i * 31337 % 16777216)::bit(24) FROM generate_series(1, 1000) AS i;
CREATE INDEX strings_theirs ON strings USING ann (b bit_jaccard_ops) WITH (index_type = 'FLAT');
CREATE INDEX strings_ours ON strings USING ann (b public.bit_jaccard_ops) WITH (index_type = 'FLAT');
EXPLAIN (COSTS OFF) SELECT id FROM strings ORDER BY b <%> B'101010101010101010101010' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM strings ORDER BY b OPERATOR(public.<%>) B'101010101010101010101010' LIMIT 5;
SELECT milvus.index_recall('strings_theirs') AS theirs, milvus.index_recall('strings_ours') AS ours;
DROP TABLE strings;

-- it is not undone under an index; without one it is
SELECT milvus.disable_pgvector();
DROP INDEX items_l2, items_ip, items_cosine, items_l1;
SELECT milvus.disable_pgvector();
SELECT milvus.disable_pgvector();
SELECT count(*) FROM pg_opfamily WHERE opfnamespace = 'pgvector'::regnamespace AND opfmethod = (SELECT oid FROM pg_am WHERE amname = 'ann');
DROP TABLE items, found, exact;

-- DROP EXTENSION vector takes the operator classes along, and they can be made again
SET client_min_messages = warning;
SELECT count(*) > 0 AS made FROM milvus.enable_pgvector();
DROP EXTENSION vector CASCADE;
CREATE EXTENSION vector SCHEMA pgvector;
SELECT count(*) > 0 AS made FROM milvus.enable_pgvector();
DROP EXTENSION vector CASCADE;
SELECT count(*) > 0 AS dropped FROM milvus.disable_pgvector();
SELECT count(*) FROM pg_opfamily WHERE opfnamespace = 'pgvector'::regnamespace;

-- with its library still in this session, our access method hnsw obeys the settings
-- that it defined
SET search_path = public;
SELECT count(*) > 0 AS made FROM milvus.enable_pgvector_syntax();
CREATE TABLE items (id int, v vector(2));
INSERT INTO items SELECT i, ARRAY[i, 0] FROM generate_series(1, 500) AS i;
CREATE INDEX ON items USING hnsw (v vector_l2_ops);
CREATE INDEX ON items USING ivfflat (v vector_ip_ops) WITH (lists = 5);
SET hnsw.ef_search = 3;
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[9,0]' LIMIT 1000) AS t;
SET hnsw.iterative_scan = relaxed_order;
SET hnsw.max_scan_tuples = 77;
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[9,0]' LIMIT 1000) AS t;
SET ivfflat.probes = 2;
SELECT count(*) < 500 AS few FROM (SELECT id FROM items ORDER BY v <#> '[9,0]' LIMIT 1000) AS t;
SELECT ef, nprobe, hops FROM milvus.last_search();
DROP TABLE items;
SELECT count(*) > 0 AS dropped FROM milvus.disable_pgvector_syntax();
DROP SCHEMA pgvector;
