--
-- ann: results stream in order of distance and go on past milvus.ef and milvus.nprobe
-- as long as the executor asks
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE TABLE items (id int PRIMARY KEY, category int, v vector(8));
INSERT INTO items
	SELECT i, i % 100, (SELECT array_agg(sin(i * (j * j + 0.37)) + sin(i % 40 * j) ORDER BY j)::vector FROM generate_series(1, 8) AS j)
	FROM generate_series(1, 4000) AS i;
CREATE INDEX items_hnsw ON items USING ann (v) WITH (m = 8, ef_construction = 40);
CREATE INDEX items_ivf ON items USING ann (v vector_cosine_ops) WITH (index_type = 'IVF_FLAT', nlist = 40);
ANALYZE items;
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
SET milvus.ef = 10;
SET milvus.nprobe = 1;

-- the graph and the lists are used: few of the rows are compared
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 10) AS s;
SELECT index, index_types, segments, growing_rows, code_distances < 2000 AS few_compared, hops > 0 AS walked, returned_rows, ef, exhaustive
	FROM milvus.last_search();
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <=> '[1,1,1,1,1,1,1,1]' LIMIT 10) AS s;
SELECT index, index_types, segments, growing_rows, code_distances < 2000 AS few_compared, returned_rows, nprobe, exhaustive
	FROM milvus.last_search();

-- LIMIT beyond ef and nprobe: as many rows as asked for, none twice, each farther than the one before
CREATE VIEW by_graph AS SELECT id, category, v <-> '[1,1,1,1,1,1,1,1]' AS distance FROM items ORDER BY v <-> '[1,1,1,1,1,1,1,1]';
CREATE VIEW by_lists AS SELECT id, category, v <=> '[1,1,1,1,1,1,1,1]' AS distance FROM items ORDER BY v <=> '[1,1,1,1,1,1,1,1]';
SELECT count(*), count(DISTINCT id), bool_and(distance >= before) AS ordered
	FROM (SELECT *, lag(distance, 1, 0) OVER () AS before FROM by_graph LIMIT 500) AS s;
SELECT count(*), count(DISTINCT id), bool_and(distance >= before) AS ordered
	FROM (SELECT *, lag(distance, 1, -1) OVER () AS before FROM by_lists LIMIT 500) AS s;

-- to the end, strict: rows found too late for their place are left out, and counted
SELECT count(*) = count(DISTINCT id) AS distinct, bool_and(distance >= before) AS ordered, count(*) AS returned
	FROM (SELECT *, lag(distance, 1, 0) OVER () AS before FROM by_graph) AS s \gset
SELECT :'distinct' AS distinct, :'ordered' AS ordered, returned_rows = :returned AS counted,
	returned_rows + dropped_rows AS all_rows, exhaustive FROM milvus.last_search();

-- to the end, relaxed: every row once
SET milvus.iterative_order = relaxed;
SELECT count(*), count(DISTINCT id) FROM by_graph;
SELECT dropped_rows, returned_rows, exhaustive FROM milvus.last_search();
SELECT count(*), count(DISTINCT id) FROM by_lists;
SELECT dropped_rows, returned_rows, exhaustive FROM milvus.last_search();
RESET milvus.iterative_order;

-- with as many candidates as rows, strict order leaves nothing out
SET milvus.ef = 4000;
SELECT count(*), count(DISTINCT id), bool_and(distance >= before) AS ordered
	FROM (SELECT *, lag(distance, 1, 0) OVER () AS before FROM by_graph) AS s;
SELECT dropped_rows, returned_rows FROM milvus.last_search();
SET milvus.ef = 10;

-- a filter that one row in a hundred passes: the scan goes on until there are ten
SELECT count(*), bool_and(category = 7) AS passed FROM (SELECT * FROM by_graph WHERE category = 7 LIMIT 10) AS s;
SELECT returned_rows > 100 AS went_on FROM milvus.last_search();
SELECT count(*), bool_and(category = 7) AS passed FROM (SELECT * FROM by_lists WHERE category = 7 LIMIT 10) AS s;
-- a filter that nothing passes ends with the index
SELECT count(*) FROM (SELECT * FROM by_graph WHERE category = 100 LIMIT 10) AS s;
SELECT exhaustive FROM milvus.last_search();

-- a bound on what a scan returns
SET milvus.max_scan_tuples = 150;
SELECT count(*) FROM by_graph;
SELECT count(*) FROM by_lists;
SELECT count(*) FROM (SELECT * FROM by_graph WHERE category = 100 LIMIT 10) AS s;
SELECT returned_rows FROM milvus.last_search();
RESET milvus.max_scan_tuples;

-- LATERAL: a rescan for every query; the nearest row of each is itself
EXPLAIN (COSTS OFF) SELECT q.id, n.id FROM items AS q, LATERAL (SELECT id FROM items ORDER BY v <-> q.v LIMIT 3) AS n WHERE q.id <= 5;
SELECT q.id, array_agg(n.id) FILTER (WHERE n.distance = 0) AS itself, count(*), bool_and(n.distance >= 0) AS measured
	FROM items AS q, LATERAL (SELECT id, v <-> q.v AS distance FROM items ORDER BY v <-> q.v LIMIT 3) AS n WHERE q.id <= 5
	GROUP BY q.id ORDER BY q.id;
-- the same query twice gives the same rows twice, and a NULL between does no harm
SELECT n, count(*), count(DISTINCT id)
	FROM (VALUES (1, '[1,1,1,1,1,1,1,1]'::vector), (2, NULL), (3, '[1,1,1,1,1,1,1,1]'), (4, '[-1,1,-1,1,-1,1,-1,1]')) AS q(n, v),
		LATERAL (SELECT id FROM items ORDER BY v <-> q.v LIMIT 20) AS a
	GROUP BY n ORDER BY n;

-- a join behind the scan: rows of the other table decide how far it goes
CREATE TABLE wanted AS SELECT id, id * 10 AS payload FROM items WHERE id % 150 = 0;
CREATE UNIQUE INDEX ON wanted (id);
ANALYZE wanted;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*), bool_and(payload = id * 10) AS joined
	FROM (SELECT i.id, w.payload FROM items AS i JOIN wanted AS w USING (id) ORDER BY i.v <-> '[1,1,1,1,1,1,1,1]' LIMIT 20) AS s;
SELECT count(*) FROM (SELECT id FROM items AS i WHERE EXISTS (SELECT FROM wanted AS w WHERE w.id = i.id)
	ORDER BY i.v <-> '[1,1,1,1,1,1,1,1]' LIMIT 20) AS s;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- two scans of one index at a time, in step
SELECT count(*), count(*) FILTER (WHERE a.id = b.id) AS same
	FROM (SELECT id, row_number() OVER () AS n FROM by_graph LIMIT 100) AS a
	JOIN (SELECT id, row_number() OVER () AS n FROM by_graph LIMIT 100) AS b USING (n);

-- cursors: a part at a time, two at once, backwards when asked for with SCROLL
CREATE FUNCTION fetched(cursor refcursor, direction text, n int) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	row_id int;
	ids int[] := '{}';
BEGIN
	FOR i IN 1..n LOOP
		IF direction = 'forward' THEN
			FETCH FORWARD FROM cursor INTO row_id;
		ELSE
			FETCH BACKWARD FROM cursor INTO row_id;
		END IF;
		EXIT WHEN NOT FOUND;
		ids := ids || row_id;
	END LOOP;
	RETURN ids;
END
$$;
CREATE TABLE straight AS SELECT array_agg(id) AS ids FROM (SELECT id FROM by_graph LIMIT 300) AS s;
BEGIN;
DECLARE one NO SCROLL CURSOR FOR SELECT id FROM by_graph;
DECLARE two SCROLL CURSOR FOR SELECT id FROM by_graph;
SELECT fetched('one', 'forward', 200) = ids[1:200] AS one, fetched('two', 'forward', 150) = ids[1:150] AS two,
	fetched('one', 'forward', 100) = ids[201:300] AS one_goes_on, fetched('two', 'forward', 150) = ids[151:300] AS two_goes_on FROM straight;
SELECT fetched('two', 'backward', 2) = ARRAY[ids[299], ids[298]] AS back FROM straight;
FETCH BACKWARD 1 FROM one;
ROLLBACK;

-- a cursor that is kept after its transaction
BEGIN;
DECLARE kept CURSOR WITH HOLD FOR SELECT id FROM by_graph LIMIT 40;
COMMIT;
SELECT fetched('kept', 'forward', 50) = ids[1:40] AS kept FROM straight;
CLOSE kept;

-- prepared statements, planned once or each time
PREPARE nearest(vector, int) AS SELECT id FROM items ORDER BY v <-> $1 LIMIT $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest('[1,1,1,1,1,1,1,1]', 3);
CREATE TEMP TABLE generic AS EXECUTE nearest('[1,1,1,1,1,1,1,1]', 30);
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest('[1,1,1,1,1,1,1,1]', 3);
CREATE TEMP TABLE custom AS EXECUTE nearest('[1,1,1,1,1,1,1,1]', 30);
RESET plan_cache_mode;
SELECT count(*), (SELECT count(*) FROM generic JOIN custom USING (id)) AS same FROM generic;

-- a further sort key, ties, OFFSET
SELECT count(*), count(DISTINCT id), bool_and((distance, id) > (before, 0)) AS ordered
	FROM (SELECT id, distance, lag(distance, 1, 0) OVER () AS before
		FROM (SELECT id, v <-> '[1,1,1,1,1,1,1,1]' AS distance FROM items ORDER BY v <-> '[1,1,1,1,1,1,1,1]', id LIMIT 50) AS r) AS s;
SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> '[1,1,1,1,1,1,1,1]' FETCH FIRST 5 ROWS WITH TIES) AS s;
SELECT array_agg(id) = (SELECT ids[201:250] FROM straight) AS behind FROM (SELECT id FROM by_graph OFFSET 200 LIMIT 50) AS s;

-- thousands of equal vectors: each is found once
CREATE TABLE equals (id int, v vector(8));
INSERT INTO equals SELECT i, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 3000) AS i;
CREATE INDEX equals_hnsw ON equals USING ann (v) WITH (m = 8, ef_construction = 40);
CREATE INDEX equals_ivf ON equals USING ann (v vector_l1_ops) WITH (index_type = 'IVF_FLAT');
CREATE INDEX equals_flat ON equals USING ann (v vector_ip_ops) WITH (index_type = 'FLAT');
INSERT INTO equals SELECT i, '[1,2,3,4,5,6,7,8]' FROM generate_series(3001, 3500) AS i;
INSERT INTO equals VALUES (0, '[1,2,3,4,5,6,7,9]');
SELECT count(*), count(DISTINCT id), min(distance), max(distance)
	FROM (SELECT id, v <-> '[1,2,3,4,5,6,7,9]' AS distance FROM equals ORDER BY v <-> '[1,2,3,4,5,6,7,9]') AS s;
SELECT count(*), count(DISTINCT id), min(distance), max(distance)
	FROM (SELECT id, v <+> '[1,2,3,4,5,6,7,9]' AS distance FROM equals ORDER BY v <+> '[1,2,3,4,5,6,7,9]') AS s;
SELECT count(*), count(DISTINCT id), min(distance), max(distance)
	FROM (SELECT id, v <#> '[1,2,3,4,5,6,7,9]' AS distance FROM equals ORDER BY v <#> '[1,2,3,4,5,6,7,9]') AS s;
SELECT id FROM equals ORDER BY v <-> '[1,2,3,4,5,6,7,9]' LIMIT 1;
SELECT * FROM milvus.check_index('equals_hnsw');
SELECT * FROM milvus.check_index('equals_ivf');
SELECT * FROM milvus.check_index('equals_flat');

DROP VIEW by_graph, by_lists;
DROP FUNCTION fetched;
DROP TABLE items, wanted, straight, equals, generic, custom;
