--
-- EXPLAIN (ANALYZE): what it says of scans of an index
--
SET jit = off;
SET enable_seqscan = off;
SET enable_sort = off;
CREATE TABLE items (id int PRIMARY KEY, v vector(2));
INSERT INTO items SELECT i, ARRAY[i, 0] FROM generate_series(1, 3000) AS i;
CREATE INDEX items_flat ON items USING ann (v vector_l2_ops) WITH (index_type = 'FLAT');
CREATE INDEX items_graph ON items USING ann (v vector_cosine_ops) WITH (index_type = 'HNSW');
CREATE INDEX items_lists ON items USING ann (v vector_ip_ops) WITH (index_type = 'IVF_FLAT', nlist = 8);
INSERT INTO items SELECT i, ARRAY[i, 0] FROM generate_series(3001, 3010) AS i;
DELETE FROM items WHERE id IN (4, 3004);
VACUUM items;

-- The lines about vectors, without those that name the index (from PostgreSQL 18 on the
-- plan's node does) and without what depends on the CPU.
CREATE FUNCTION vector_lines(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line ~ 'Vector' AND line !~ 'Vector Index Scan' THEN
			RETURN NEXT regexp_replace(ltrim(line), '(Code|Exact|Hops): [1-9]\d*', '\1: N', 'g');
		END IF;
	END LOOP;
END
$$;
SELECT vector_lines('SELECT id FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 3');
SELECT vector_lines('SELECT id FROM items ORDER BY v <=> ''[7.1,0]'' LIMIT 3');
SELECT vector_lines('SELECT id FROM items ORDER BY v <#> ''[7.1,0]'' LIMIT 3');
SET milvus.ef = 7;
SET milvus.nprobe = 2;
SELECT vector_lines('SELECT id FROM items ORDER BY v <=> ''[7.1,0]'' LIMIT 3') AS line OFFSET 1 LIMIT 1;
SELECT vector_lines('SELECT id FROM items ORDER BY v <#> ''[7.1,0]'' LIMIT 3') AS line OFFSET 1 LIMIT 1;
RESET milvus.ef;
RESET milvus.nprobe;

-- conditions on further key columns
CREATE INDEX items_scalar ON items USING ann (v vector_l1_ops, id) WITH (index_type = 'FLAT');
SELECT vector_lines('SELECT id FROM items WHERE id BETWEEN 100 AND 119 ORDER BY v <+> ''[7.1,0]'' LIMIT 3') AS line OFFSET 3;
SELECT vector_lines('SELECT id FROM items WHERE id <> 5 ORDER BY v <+> ''[7.1,0]'' LIMIT 3') AS line OFFSET 3;
DROP INDEX items_scalar;

-- a search for each row of an outer side
SELECT vector_lines('SELECT q.id, n.id FROM items AS q, LATERAL (SELECT id FROM items ORDER BY v <-> q.v LIMIT 2) AS n
	WHERE q.id < 6');
-- two scans, one in a subquery
SELECT vector_lines('(SELECT id FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 1)
	UNION ALL (SELECT (SELECT id FROM items ORDER BY v <#> ''[7.1,0]'' LIMIT 1 OFFSET 3))');
-- a scan that was never begun has no figures; nor has EXPLAIN without ANALYZE
SELECT vector_lines('SELECT id FROM items WHERE current_setting(''jit'') = ''on'' ORDER BY v <-> ''[7.1,0]'' LIMIT 1');
CREATE FUNCTION plain_lines(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END
$$;
SELECT plain_lines('SELECT id FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 3');
-- an EXPLAIN inside of one: each has its own
SELECT vector_lines('SELECT vector_lines(''SELECT id FROM items ORDER BY v <=> ''''[7.1,0]'''' LIMIT 5'') FROM
	(SELECT id FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 2) AS t');
-- a query that fails leaves nothing behind
SELECT vector_lines('SELECT 1 / (id - 7) FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 3');
SELECT vector_lines('SELECT id FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 1') AS line OFFSET 3;
-- EXPLAIN of what is not a SELECT
BEGIN;
SELECT vector_lines('UPDATE items SET id = id WHERE id IN (SELECT id FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 3)') AS line OFFSET 3;
SELECT vector_lines('CREATE TABLE copy AS SELECT id FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 4') AS line OFFSET 3;
ROLLBACK;

-- the other formats stay valid, and say what milvus.last_search() says
CREATE FUNCTION explained(query text, format text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('EXPLAIN (ANALYZE, FORMAT %s) %s', format, query) INTO result;
	RETURN result;
END
$$;
\set query 'SELECT id FROM items ORDER BY v <=> ''[7.1,1]'' LIMIT 12'
SELECT explained(:'query', 'json') AS plan \gset
SELECT jsonb_path_query_first(:'plan'::jsonb, '$.**."Vector Index Type"') AS type,
	jsonb_path_query_first(:'plan'::jsonb, '$.**."Vector ef"') = to_jsonb(ef) AS ef,
	jsonb_path_query_first(:'plan'::jsonb, '$.**."Vector Code Distances"') = to_jsonb(code_distances) AS code_distances,
	jsonb_path_query_first(:'plan'::jsonb, '$.**."Vector Exact Distances"') = to_jsonb(exact_distances) AS exact_distances,
	jsonb_path_query_first(:'plan'::jsonb, '$.**."Vector Hops"') = to_jsonb(hops) AS hops,
	jsonb_path_query_first(:'plan'::jsonb, '$.**."Vector Growing Rows"') = to_jsonb(growing_rows) AS growing_rows,
	jsonb_path_query_first(:'plan'::jsonb, '$.**."Vector Rows Skipped"') = to_jsonb(skipped_rows) AS skipped_rows,
	jsonb_path_query_first(:'plan'::jsonb, '$.**."Vector Rows Returned"') AS returned_rows
	FROM milvus.last_search();
SELECT jsonb_array_length(:'plan'::jsonb) AS queries, :'plan'::jsonb -> 0 ? 'Plan' AS plan;
SELECT ltrim(line) AS line FROM regexp_split_to_table(explained(:'query', 'yaml'), '\n') AS line
	WHERE line ~ '^ +Vector Rows Returned: 12$' AND line !~ '\t' LIMIT 1;
-- every tag of XML that is opened is closed, in order
CREATE FUNCTION balanced(document text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	tag text[];
	open text[] := '{}';
BEGIN
	FOR tag IN SELECT regexp_matches(document, '<(/?)([A-Za-z-]+)[^>]*>', 'g') LOOP
		IF tag[1] = '' THEN
			open := open || tag[2];
		ELSIF open[cardinality(open)] = tag[2] THEN
			open := trim_array(open, 1);
		ELSE
			RETURN false;
		END IF;
	END LOOP;
	RETURN cardinality(open) = 0;
END
$$;
SELECT balanced(explained(:'query', 'xml')) AS balanced,
	explained(:'query', 'xml') ~ '<Vector-Rows-Returned>12</Vector-Rows-Returned>' AS said;
-- before 18 the index has a line of its own, after the plan
CREATE FUNCTION named(query text) RETURNS SETOF boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line ~ (CASE WHEN current_setting('server_version_num')::int < 180000
				THEN '^Vector Index Scan: items_graph$' ELSE 'Index Scan using items_graph' END) THEN
			RETURN NEXT true;
		END IF;
	END LOOP;
END
$$;
SELECT named(:'query');

-- beside another library with the same hooks
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_analyze = on;
SET auto_explain.log_level = debug5;
SELECT vector_lines('SELECT id FROM items ORDER BY v <-> ''[7.1,0]'' LIMIT 3') AS line OFFSET 3;

DROP FUNCTION vector_lines(text), plain_lines(text), explained(text, text), balanced(text), named(text);
DROP TABLE items;
