--
-- ann: when the planner chooses the index
--
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE TABLE items (id int PRIMARY KEY, category int, v vector(64));
INSERT INTO items
	SELECT i, i % 1000, (SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector FROM generate_series(1, 64) AS j)
	FROM generate_series(1, 5000) AS i;
CREATE INDEX items_category ON items (category);
CREATE INDEX items_v ON items USING ann (v) WITH (index_type = 'IVF_FLAT', nlist = 50);
VACUUM ANALYZE items;
SELECT v AS query FROM items WHERE id = 1 \gset
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		CONTINUE WHEN line ~ 'Sort Key|Order By|Disabled|Filter: \(\(v <->';
		RETURN NEXT line;
	END LOOP;
END
$$;

-- ORDER BY distance LIMIT k
SELECT plan(format('SELECT id FROM items ORDER BY v <-> %L LIMIT 10', :'query'));
SELECT plan(format('SELECT id FROM items ORDER BY v <-> %L LIMIT 1000', :'query'));
SELECT plan(format('SELECT id, v <-> %L AS distance FROM items ORDER BY distance LIMIT 10', :'query'));

-- all rows in order: a sort, for that leaves none out
SELECT plan(format('SELECT id FROM items ORDER BY v <-> %L', :'query'));

-- not without ORDER BY, nor by another order, nor backwards
SELECT plan('SELECT id FROM items LIMIT 10');
SELECT plan('SELECT count(v) FROM items');
SELECT plan('SELECT count(*) FROM items WHERE v IS NULL');
SELECT plan(format('SELECT id FROM items WHERE v <-> %L < 1', :'query'));
SELECT plan(format('SELECT id FROM items ORDER BY v <-> %L DESC LIMIT 10', :'query'));
SELECT plan(format('SELECT id FROM items ORDER BY v <-> %L NULLS FIRST LIMIT 10', :'query'));
SELECT plan(format('SELECT id FROM items ORDER BY v <=> %L LIMIT 10', :'query'));
SELECT plan('SELECT id FROM items ORDER BY v LIMIT 10');
-- not even when there is nothing else
SET enable_seqscan = off;
SELECT plan('SELECT v FROM items LIMIT 10');
RESET enable_seqscan;

-- (masked_search has the plans that search among the rows of other indexes)
SET milvus.enable_masked_search = off;
-- a filter that leaves five rows: those rows, sorted
SELECT plan(format('SELECT id FROM items WHERE category = 7 ORDER BY v <-> %L LIMIT 5', :'query'));
SELECT plan(format('SELECT id FROM items WHERE id BETWEEN 11 AND 20 ORDER BY v <-> %L LIMIT 5', :'query'));
-- a filter that leaves most: the index, filtered
SELECT plan(format('SELECT id FROM items WHERE category > 100 ORDER BY v <-> %L LIMIT 5', :'query'));

RESET milvus.enable_masked_search;
-- the estimate follows nprobe and ef
CREATE FUNCTION startup_cost(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Startup Cost';
END
$$;
SELECT startup_cost(format('SELECT id FROM items ORDER BY v <-> %L LIMIT 10', :'query')) AS nprobe_8 \gset
SET milvus.nprobe = 40;
SELECT startup_cost(format('SELECT id FROM items ORDER BY v <-> %L LIMIT 10', :'query')) AS nprobe_40 \gset
RESET milvus.nprobe;
SELECT :nprobe_40 > :nprobe_8 AS more_lists_cost_more;
ALTER INDEX items_v SET (index_type = 'HNSW', m = 8, ef_construction = 40);
REINDEX INDEX items_v;
SET milvus.ef = 10;
SELECT startup_cost(format('SELECT id FROM items ORDER BY v <-> %L LIMIT 10', :'query')) AS ef_10 \gset
SET milvus.ef = 200;
SELECT startup_cost(format('SELECT id FROM items ORDER BY v <-> %L LIMIT 10', :'query')) AS ef_200 \gset
RESET milvus.ef;
SELECT :ef_200 > :ef_10 AS more_candidates_cost_more;
SELECT plan(format('SELECT id FROM items ORDER BY v <-> %L LIMIT 10', :'query'));

-- the settings of the planner are honoured
SET enable_indexscan = off;
SELECT plan(format('SELECT id FROM items ORDER BY v <-> %L LIMIT 10', :'query'));
RESET enable_indexscan;

-- no index-only scan, no bitmap scan, no parallel scan of it
SELECT plan(format('SELECT v <-> %L FROM items ORDER BY v <-> %1$L LIMIT 10', :'query'));
SELECT p, pg_indexam_has_property(a.oid, p) FROM pg_am AS a, unnest(ARRAY['can_order', 'can_unique', 'can_multi_col', 'can_exclude', 'can_include']) AS p
	WHERE amname = 'ann' ORDER BY p;
SELECT p, pg_index_has_property('items_v'::regclass, p) FROM unnest(ARRAY['clusterable', 'index_scan', 'bitmap_scan', 'backward_scan']) AS p ORDER BY p;
SELECT p, pg_index_column_has_property('items_v'::regclass, 1, p)
	FROM unnest(ARRAY['asc', 'desc', 'nulls_first', 'nulls_last', 'orderable', 'distance_orderable', 'returnable', 'search_array', 'search_nulls']) AS p ORDER BY p;

DROP TABLE items;
DROP FUNCTION plan, startup_cost;
