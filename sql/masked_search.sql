--
-- Filters on columns that an ann index does not have: other indexes say which rows match,
-- and the search goes among these
--
\set SHOW_CONTEXT never
SET jit = off;
SET milvus.background_seal = off;

CREATE TABLE items (id int PRIMARY KEY, attr int, cat int, tags int[], note text, far int, v vector(8)) WITH (fillfactor = 10);
CREATE FUNCTION add(first int, last int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO items
		SELECT i, (i * 7919::bigint) % 10000, CASE WHEN i % 11 > 0 THEN i % 7 END, ARRAY[i % 50, i % 3], 'note ' || i % 100,
			i / 100, CASE WHEN i % 503 > 0 THEN (SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector FROM generate_series(1, 8) AS j) END
		FROM generate_series(first, last) AS i
$$;
SELECT add(1, 9000);
CREATE INDEX items_v ON items USING ann (v vector_l2_ops) WITH (index_type = 'HNSW');
CREATE INDEX items_attr ON items (attr);
CREATE INDEX items_cat ON items (cat);
CREATE INDEX items_tags ON items USING gin (tags);
CREATE INDEX items_brin ON items USING brin (far) WITH (pages_per_range = 4);
CREATE INDEX items_low ON items (note) WHERE attr < 2000;
-- the growing part
SELECT add(9001, 10000);
ANALYZE items;

-- Of each of 20 queries the ten nearest rows that match: how many are as they should be.  An answer may differ from the exact one in
-- rows, but not in order, nor have rows twice or ones that do not match.
CREATE FUNCTION recall(condition text, op text DEFAULT '<->', relation text DEFAULT 'items', type text DEFAULT 'vector') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	query record;
	hits int;
	wanted int;
	wrong int;
	all_hits float8 := 0;
	all_wanted int := 0;
BEGIN
	FOR query IN EXECUTE format('SELECT v::text AS q FROM %I WHERE id %% 500 = 7 ORDER BY id', relation) LOOP
		EXECUTE format('
			WITH answer AS MATERIALIZED (SELECT row_number() OVER () AS n, * FROM
					(SELECT id, v %2$s %3$L::%5$s AS d, (%1$s) AS good FROM %4$I WHERE %1$s ORDER BY v %2$s %3$L::%5$s LIMIT 10) AS s),
				rows AS MATERIALIZED (SELECT id, v %2$s %3$L::%5$s AS d FROM %4$I WHERE %1$s OFFSET 0),
				exact AS MATERIALIZED (SELECT d FROM rows ORDER BY d LIMIT 10)
			SELECT (SELECT count(*) FROM answer WHERE d <= (SELECT max(d) FROM exact) OR d IS NULL),
				(SELECT count(*) FROM exact),
				(SELECT count(*) FROM answer WHERE good IS NOT TRUE) + (SELECT count(*) - count(DISTINCT id) FROM answer) +
					(SELECT count(*) FROM answer AS a JOIN answer AS b ON b.n = a.n + 1 AND b.d < a.d)',
			condition, op, query.q, relation, type) INTO hits, wanted, wrong;
		IF wrong > 0 THEN
			RETURN 'wrong';
		END IF;
		all_hits := all_hits + hits;
		all_wanted := all_wanted + wanted;
	END LOOP;
	RETURN CASE WHEN all_wanted = 0 THEN 'none' WHEN all_hits >= 0.95 * all_wanted THEN 'good' ELSE 'recall ' || round((all_hits / all_wanted)::numeric, 2) END;
END
$$;
-- What a search did, and how it is planned.
CREATE FUNCTION ways(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || statement LOOP
		IF line ~ '(Search|Searches|Mask [A-Z].*|Vector Filter): ' THEN
			RETURN NEXT ltrim(line);
		END IF;
	END LOOP;
END
$$;
CREATE FUNCTION conditions() RETURNS SETOF text LANGUAGE sql AS $$
	VALUES ('attr < 10'), ('attr < 100'), ('attr < 1000'), ('attr < 5000'), ('attr >= 0'), ('attr = 77'), ('attr = -1'),
		('attr IN (5, 50, 500, 5000)'), ('attr < 2000 AND cat = 3'), ('attr < 50 OR cat = 3'), ('attr < 300 OR (cat = 2 AND attr > 9000)'),
		('cat IS NULL'), ('cat IS NULL AND attr < 500'), ('tags && ARRAY[7]'), ('tags @> ARRAY[7, 1]'), ('far BETWEEN 20 AND 21'),
		('far = 95'), ('note = ''note 7'' AND attr < 2000'), ('attr < 1000 AND note < ''note 3'''), ('attr < 3000 AND id % 50 = 0'), ('attr < 4 AND v IS NULL')
$$;

-- few rows are fetched, more are a mask, with many the rows found are tested
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE attr < 100 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE attr < 4000 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE attr < 50 OR cat = 3 AND attr < 200 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
SELECT ways($$SELECT id FROM items WHERE attr < 20 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10$$);
SELECT ways($$SELECT id FROM items WHERE attr < 200 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10$$);
SELECT ways($$SELECT id FROM items WHERE attr < 5000 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10$$);
SELECT c AS condition, recall(c) FROM conditions() AS c;

-- settings
SET milvus.enable_masked_search = off;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE attr < 4000 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
RESET milvus.enable_masked_search;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE attr < 4000 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
RESET enable_bitmapscan;

-- a bitmap that knows of some pages only that they have such rows
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT count(*) FROM ways($$SELECT id FROM items WHERE attr < 1500 OR cat = 3 AND attr < 1600 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 300$$) AS w WHERE w ~ 'Lossy';
SELECT recall('attr < 1500 OR cat = 3 AND attr < 1600'), recall('attr < 1600');
RESET work_mem;
RESET hash_mem_multiplier;

-- the planner was wrong: fewer rows pass than it thought, and the bitmap is made after all
PREPARE below (int, text) AS SELECT id FROM items WHERE attr < $1 ORDER BY v <-> $2::vector LIMIT 5;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE below(3, '[0,0,0,0,0,0,0,0]');
SELECT ways($$EXECUTE below(30, '[0,0,0,0,0,0,0,0]')$$);
CREATE TEMP TABLE seen AS EXECUTE below(30, '[0.1,0,0,0,0,0,0,0]');
SELECT count(*) FROM seen WHERE id IN (SELECT id FROM items WHERE attr < 30 ORDER BY sqrt(v <-> '[0.1,0,0,0,0,0,0,0]') LIMIT 5);
RESET plan_cache_mode;
DEALLOCATE below;

-- more than LIMIT was thought to be, and to the end: nearest first, NULL last, nothing twice
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE attr < 300 ORDER BY v <-> '[1,0,0,0,0,0,0,0]';
CREATE FUNCTION drain(condition text, OUT rows int, OUT missing int, OUT ordered bool) LANGUAGE plpgsql AS $$
DECLARE
	r record;
	last float8 := 0;
	ids int[] := '{}';
BEGIN
	SET LOCAL enable_sort = off;
	ordered := true;
	FOR r IN EXECUTE format('SELECT id, coalesce(v <-> %1$L, %2$L) AS d FROM items WHERE %3$s ORDER BY v <-> %1$L', '[1,0,0,0,0,0,0,0]', 'Infinity', condition) LOOP
		ordered := ordered AND r.d >= last;
		last := r.d;
		ids := ids || r.id;
	END LOOP;
	rows := cardinality(ids);
	EXECUTE format('SELECT count(*) FROM items WHERE (%s) AND id <> ALL (%L)', condition, ids) INTO missing;
	IF rows <> (SELECT count(DISTINCT id) FROM unnest(ids) AS id) THEN
		RAISE 'rows came twice';
	END IF;
END
$$;
-- in relaxed order nothing is dropped that was found late
SET milvus.iterative_order = relaxed;
SELECT c AS condition, rows, missing FROM unnest(ARRAY['attr < 30', 'attr < 1000', 'attr < 9000', 'cat IS NULL', 'attr < 2000 AND v IS NULL']) AS c, drain(c);
RESET milvus.iterative_order;
SELECT c AS condition, ordered FROM unnest(ARRAY['attr < 30', 'attr < 1000', 'attr < 9000', 'cat IS NULL', 'attr < 2000 AND v IS NULL']) AS c, drain(c);

-- the inner side of a join: the bitmap is made once, or for each value of its parameter
CREATE TABLE queries AS SELECT id, v, id % 5 * 40 AS bound FROM items WHERE id % 1000 = 8;
ANALYZE queries;
SELECT ways($$SELECT * FROM queries AS q, LATERAL (SELECT id FROM items WHERE attr < 150 ORDER BY v <-> q.v LIMIT 3) AS s$$);
SELECT ways($$SELECT * FROM queries AS q, LATERAL (SELECT id FROM items WHERE attr = q.bound ORDER BY v <-> q.v LIMIT 3) AS s$$);
SELECT count(*), count(*) FILTER (WHERE s.id = ANY (ARRAY(SELECT id FROM items AS i WHERE i.attr < 150 ORDER BY sqrt(i.v <-> q.v) LIMIT 3)))
	FROM queries AS q, LATERAL (SELECT id FROM items WHERE attr < 150 ORDER BY v <-> q.v LIMIT 3) AS s;
SELECT count(*), count(*) FILTER (WHERE s.attr = q.bound)
	FROM queries AS q, LATERAL (SELECT id, attr FROM items WHERE attr = q.bound ORDER BY v <-> q.v LIMIT 3) AS s;

-- rows that changed, in ways that do and do not go to new index entries
UPDATE items SET attr = attr + 20000 WHERE id % 3 = 0;
UPDATE items SET note = 'other' WHERE id % 5 = 0;
DELETE FROM items WHERE id % 4 = 0;
SELECT c AS condition, recall(c) FROM unnest(ARRAY['attr < 100', 'attr < 1000', 'attr < 9000', 'attr > 20000', 'attr > 29000', 'attr < 1000 AND note = ''other''']) AS c;
VACUUM (INDEX_CLEANUP on) items;
SELECT add(10001, 11000);
SELECT c AS condition, recall(c) FROM unnest(ARRAY['attr < 100', 'attr < 1000', 'attr < 9000', 'attr > 20000', 'attr > 29000', 'attr < 1000 AND note = ''other''']) AS c;
-- everything in segments, and everything read through the buffers
SELECT milvus.compact_index('items_v') > 0;
ANALYZE items;
SELECT c AS condition, recall(c) FROM conditions() AS c;
SET milvus.cache_size = 0;
REINDEX INDEX items_v;
SELECT c AS condition, recall(c) FROM unnest(ARRAY['attr < 100', 'attr < 1000', 'cat = 3']) AS c;
RESET milvus.cache_size;

-- a condition that the ann index answers besides one that it does not
CREATE INDEX items_both ON items USING ann (v vector_l2_ops, cat) WITH (index_type = 'HNSW');
DROP INDEX items_v;
DROP INDEX items_cat;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE attr < 1000 AND cat = 3 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE cat = 3 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
SELECT c AS condition, recall(c) FROM unnest(ARRAY['attr < 1000 AND cat = 3', 'attr < 300 AND cat >= 0', 'attr < 9000 AND cat IN (1, 2, 3, 4)', 'attr < 100 AND cat IS NULL', 'attr < 2000 AND cat > 5']) AS c;

-- other types and metrics
CREATE TABLE others (id int PRIMARY KEY, attr int, v halfvec(8), b bit(64));
INSERT INTO others SELECT i, (i * 7919::bigint) % 4000,
		(SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector FROM generate_series(1, 8) AS j)::halfvec,
		(hashint8(i)::bigint * 4294967291 + i)::bit(64) FROM generate_series(1, 4000) AS i;
INSERT INTO others VALUES (5001, 1, '[0,0,0,0,0,0,0,0]', NULL), (5002, 2, NULL, NULL);
CREATE INDEX ON others (attr);
CREATE INDEX others_v ON others USING ann (v halfvec_cosine_ops) WITH (index_type = 'IVF_FLAT', nlist = 16);
ANALYZE others;
SET milvus.nprobe = 16;
SELECT c AS condition, recall(c, '<=>', 'others', 'halfvec') FROM unnest(ARRAY['attr < 5', 'attr < 40', 'attr < 400', 'attr < 3000']) AS c;
SELECT id FROM (SELECT id FROM others WHERE attr < 3 ORDER BY v <=> '[1,0,0,0,0,0,0,0]' LIMIT 100) AS s OFFSET 3;
DROP INDEX others_v;
CREATE INDEX others_v ON others USING ann (v halfvec_ip_ops) WITH (index_type = 'FLAT');
SELECT c AS condition, recall(c, '<#>', 'others', 'halfvec') FROM unnest(ARRAY['attr < 5', 'attr < 40', 'attr < 400', 'attr < 3000']) AS c;
CREATE INDEX others_b ON others USING ann (b bit_hamming_ops) WITH (index_type = 'HNSW');
ALTER TABLE others RENAME v TO w;
ALTER TABLE others RENAME b TO v;
SELECT c AS condition, recall(c, '<~>', 'others', 'bit(64)') FROM unnest(ARRAY['attr < 5', 'attr < 40', 'attr < 400', 'attr < 3000']) AS c;
-- an expression, and an index of some rows
CREATE INDEX others_e ON others USING ann ((w::vector(8)) vector_l2_ops) WHERE attr < 3500;
EXPLAIN (COSTS OFF) SELECT id FROM others WHERE attr < 20 ORDER BY w::vector(8) <-> '[1,0,0,0,0,0,0,0]' LIMIT 3;
SELECT id FROM others WHERE attr < 20 ORDER BY w::vector(8) <-> '[1,0,0,0,0,0,0,0]' LIMIT 3;
SELECT id FROM others WHERE attr < 20 ORDER BY sqrt(w::vector(8) <-> '[1,0,0,0,0,0,0,0]') LIMIT 3;

-- a table of access method milvus, and partitions
CREATE TABLE columns (id int, attr int, v vector(8)) USING milvus;
INSERT INTO columns SELECT id, attr, v FROM items WHERE v IS NOT NULL;
CREATE INDEX ON columns (attr);
CREATE INDEX ON columns USING ann (v vector_l2_ops);
SELECT count(*) FROM milvus.flush_table('columns');
VACUUM ANALYZE columns;
SET milvus.enable_exact_search = off;
SELECT c AS condition, recall(c, relation => 'columns') FROM unnest(ARRAY['attr < 5', 'attr < 100', 'attr < 1000', 'attr < 9000']) AS c;
RESET milvus.enable_exact_search;
CREATE TABLE parts (id int, attr int, v vector(8)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (5000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (5000) TO (20000);
INSERT INTO parts SELECT id, attr, v FROM items WHERE v IS NOT NULL;
CREATE INDEX ON parts (attr);
CREATE INDEX ON parts USING ann (v vector_l2_ops);
ANALYZE parts;
EXPLAIN (COSTS OFF) SELECT id FROM parts WHERE attr < 100 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
SELECT c AS condition, recall(c, relation => 'parts') FROM unnest(ARRAY['attr < 5', 'attr < 100', 'attr < 1000', 'attr < 9000']) AS c;

-- policies: what is tested before them must not leak, and their conditions hold however a row is found
CREATE ROLE masked_reader;
GRANT SELECT ON items TO masked_reader;
CREATE POLICY low ON items TO masked_reader USING (id < 3000 AND pg_catalog.length(note) > 0);
ALTER TABLE items ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION leak(int) RETURNS int LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS $$ BEGIN IF $1 >= 3000 THEN RAISE EXCEPTION 'leaked %', $1; END IF; RETURN $1; END $$;
CREATE INDEX items_leak ON items ((id / 10));
SET ROLE masked_reader;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE attr < 1000 AND leak(id) > 0 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10;
SELECT count(*), max(id) < 3000 FROM (SELECT id FROM items WHERE attr < 1000 AND leak(id) > 0 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 100) AS s;
SELECT count(*), max(id) < 3000 FROM (SELECT id FROM items WHERE attr < 100 AND leak(id) > 0 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 100) AS s;
-- integer division can raise an error, so it says something of rows that are not seen: no bitmap of it
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE id / 10 = 100 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3;
RESET enable_sort;
RESET ROLE;
DROP POLICY low ON items;
ALTER TABLE items DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON items FROM masked_reader;
DROP ROLE masked_reader;

-- locking, deleting and constant conditions
BEGIN;
SELECT count(*) FROM (SELECT id FROM items WHERE attr < 100 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5 FOR UPDATE) AS s;
DELETE FROM items WHERE ctid = ANY (ARRAY(SELECT ctid FROM items WHERE attr < 100 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5));
SELECT count(*) FROM (SELECT id FROM items WHERE attr < 100 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5) AS s;
ROLLBACK;
PREPARE gated (bool) AS SELECT count(*) FROM (SELECT id FROM items WHERE attr < 100 AND $1 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5) AS s;
SET plan_cache_mode = force_generic_plan;
EXECUTE gated(true);
EXECUTE gated(false);
EXPLAIN (COSTS OFF) EXECUTE gated(true);
RESET plan_cache_mode;
SELECT id FROM items WHERE attr < 100 ORDER BY v <-> NULL LIMIT 0;
SELECT count(*) FROM (SELECT id FROM items WHERE attr < 500 ORDER BY v <-> NULL LIMIT 20) AS s;

DROP TABLE items, queries, seen, others, columns, parts;
DROP FUNCTION add, recall, ways, conditions, drain, leak;
