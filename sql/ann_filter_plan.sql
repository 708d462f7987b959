--
-- ann: when the planner chooses an index with scalar columns, how a scan uses them, and what it tells
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE TABLE items (id int PRIMARY KEY, category int, rare int, price int, sold bool, v vector(64));
INSERT INTO items
	SELECT i, i % 10, i % 1000, (i * 7919) % 5000, i % 2 = 0, (SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector FROM generate_series(1, 64) AS j)
	FROM generate_series(1, 5000) AS i;
CREATE INDEX items_category ON items (category);
CREATE INDEX items_rare ON items (rare);
CREATE INDEX items_v ON items USING ann (v, category, rare, price, sold) WITH (index_type = 'HNSW', m = 8, ef_construction = 60);
VACUUM ANALYZE items;
SELECT v AS query FROM items WHERE id = 1 \gset
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		CONTINUE WHEN line ~ 'Sort Key|Order By';
		RETURN NEXT line;
	END LOOP;
END
$$;

-- a condition on a tenth, on five rows, on nearly all
SELECT plan(format('SELECT id FROM items WHERE category = 7 ORDER BY v <-> %L LIMIT 10', :'query'));
SELECT plan(format('SELECT id FROM items WHERE category = 7 AND price < 1000 ORDER BY v <-> %L LIMIT 10', :'query'));
SELECT plan(format('SELECT id FROM items WHERE price > 10 ORDER BY v <-> %L LIMIT 10', :'query'));
SELECT plan(format('SELECT id FROM items WHERE category IN (1, 2) AND sold ORDER BY v <-> %L LIMIT 10', :'query'));
-- all that match: a sort, which leaves none out
SELECT plan(format('SELECT id FROM items WHERE category = 7 ORDER BY v <-> %L', :'query'));
-- not without the order, and not by its conditions alone
SELECT plan('SELECT id FROM items WHERE category = 7 LIMIT 10');
SELECT plan('SELECT count(*) FROM items WHERE price = 7');
SET enable_seqscan = off;
SELECT plan('SELECT count(*) FROM items WHERE price = 7 AND v IS NOT NULL');
RESET enable_seqscan;

-- rows estimated: those of the conditions
CREATE FUNCTION estimate(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' -> 'Plans' -> 0 ->> 'Plan Rows';
END
$$;
SELECT estimate(format('SELECT id FROM items WHERE category = 7 AND sold ORDER BY v <-> %L LIMIT 1', :'query')) BETWEEN 200 AND 300 AS estimated;

-- how a scan goes, by the share of rows that match
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
CREATE FUNCTION search(condition text, query text, OUT rows int, OUT filter text, OUT matching_rows bigint, OUT exhaustive bool) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*) FROM (SELECT id FROM items WHERE %s ORDER BY v <-> %L LIMIT 10) AS s', condition, query) INTO rows;
	SELECT s.filter, s.matching_rows, s.exhaustive INTO filter, matching_rows, exhaustive FROM milvus.last_search() AS s;
END
$$;
SELECT condition, s.* FROM (VALUES ('true'), ('price = 12345'), ('rare = 7'), ('price < 20'), ('category = 7'), ('category < 4'), ('sold'), ('price >= 100'),
	('category = 3 AND NOT sold AND price > 2500'), ('price > 100 AND price < 90')) AS c(condition), LATERAL search(condition, :'query') AS s;
-- with a growing part, each has its way
INSERT INTO items SELECT 5000 + i, i % 10, i % 1000, i, true, (SELECT array_agg(sin(i * (j * j + 0.5)) ORDER BY j)::vector FROM generate_series(1, 64) AS j) FROM generate_series(1, 100) AS i;
SELECT condition, s.* FROM (VALUES ('rare = 7'), ('price >= 20')) AS c(condition), LATERAL search(condition, :'query') AS s;
-- an estimate that is wrong: nine rows of ten match, but none of those near the query
ALTER TABLE items RENAME TO others;
SET enable_indexscan = off;
SET enable_seqscan = on;
SET enable_sort = on;
CREATE TABLE items AS SELECT id, (rank() OVER (ORDER BY v <-> :'query'))::int AS price, v FROM others WHERE id <= 5000;
RESET enable_indexscan;
SET enable_seqscan = off;
SET enable_sort = off;
CREATE INDEX near_v ON items USING ann (v, price) WITH (index_type = 'HNSW', m = 8, ef_construction = 60);
ANALYZE items;
SELECT s.* FROM search('price > 500', :'query') AS s;
SELECT count(*) >= 9 AS found FROM (SELECT price FROM items WHERE price > 500 ORDER BY v <-> :'query' LIMIT 10) AS s WHERE price <= 510;
-- a tenth matches, and lies far away
SELECT s.* FROM search('price > 4500', :'query') AS s;
SELECT price FROM items WHERE price > 4500 ORDER BY v <-> :'query' LIMIT 5;

-- properties
SELECT p, pg_index_column_has_property('near_v'::regclass, 2, p)
	FROM unnest(ARRAY['asc', 'orderable', 'distance_orderable', 'returnable', 'search_array', 'search_nulls']) AS p ORDER BY p;
SELECT pg_indexam_has_property(oid, 'can_multi_col') FROM pg_am WHERE amname = 'ann';
-- operator classes are complete
SELECT opcname FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = opcmethod WHERE amname = 'ann' AND NOT amvalidate(c.oid);

-- partitions: each by its own index
CREATE TABLE parts (id int, category int, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
CREATE INDEX ON parts USING ann (v, category);
INSERT INTO parts SELECT i, i % 3, ARRAY[i, 0]::vector FROM generate_series(0, 199) AS i;
SELECT plan('SELECT id FROM parts WHERE category IN (1, 5) ORDER BY v <-> ''[100,0]'' LIMIT 4');
SELECT id FROM parts WHERE category IN (1, 5) ORDER BY v <-> '[100,0]' LIMIT 4;

-- before a policy's conditions only what cannot leak: = of integers, but not @> of arrays,
-- which is what the index would be asked for in its place
CREATE TABLE secret (id int, owner text, tags int[], kind int, v vector(2));
INSERT INTO secret SELECT i, CASE WHEN i % 2 = 0 THEN 'regress_ann_owner' ELSE 'other' END, ARRAY[i % 10, i % 7], i % 5, ARRAY[i, 0]::vector
	FROM generate_series(1, 500) AS i;
CREATE INDEX secret_v ON secret USING ann (v, tags, kind);
CREATE ROLE regress_ann_owner;
GRANT SELECT ON secret TO regress_ann_owner;
CREATE POLICY own ON secret USING (owner = current_user);
SELECT plan('SELECT id FROM secret WHERE 6 = ANY (tags) AND kind IN (1, 2) ORDER BY v <-> ''[9,0]'' LIMIT 4');
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
SET ROLE regress_ann_owner;
SELECT plan('SELECT id FROM secret WHERE 6 = ANY (tags) AND kind IN (1, 2) ORDER BY v <-> ''[9,0]'' LIMIT 4');
SELECT id FROM secret WHERE 6 = ANY (tags) AND kind IN (1, 2) ORDER BY v <-> '[9,0]' LIMIT 4;
RESET ROLE;
SELECT id FROM secret WHERE 6 = ANY (tags) AND kind IN (1, 2) AND id % 2 = 0 ORDER BY v <-> '[9,0]', id LIMIT 4;
DROP TABLE secret;
DROP ROLE regress_ann_owner;

DROP TABLE items, others, parts;
DROP FUNCTION plan, estimate, search;
