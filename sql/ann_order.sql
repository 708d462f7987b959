--
-- ann: for every index type, metric and element type, the rows of an index scan are
-- the rows of a sort
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it

-- What a query returns by the index and by a sort: their number when they agree.
CREATE FUNCTION by_both_ways(query text) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off SET enable_indexscan = on
AS $$
DECLARE
	line text;
	used boolean := false;
	by_index text[];
	by_sort text[];
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		used := used OR line LIKE '%Index Scan using%';
	END LOOP;
	IF NOT used THEN
		RETURN 'the index was not used';
	END IF;
	EXECUTE format('SELECT array_agg(t::text) FROM (%s) AS t', query) INTO by_index;
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_sort = on;
	EXECUTE format('SELECT array_agg(t::text) FROM (%s) AS t', query) INTO by_sort;
	RETURN CASE WHEN by_index = by_sort THEN format('%s rows', cardinality(by_sort))
		ELSE format('index: %s; sort: %s', by_index, by_sort) END;
END
$$;

-- 500 points of 16 dimensions of which no two near ones are equally far from a query
CREATE TABLE source AS
	SELECT i AS id, a.v, a.v::halfvec AS h
	FROM generate_series(1, 500) AS i,
		LATERAL (SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector AS v FROM generate_series(1, 16) AS j) AS a;
CREATE TABLE points (id int, v vector(16), h halfvec(16));

CREATE TABLE kinds AS
	SELECT row_number() OVER () AS number, t AS index_type, c.*, m.*
	FROM unnest(ARRAY['HNSW', 'IVF_FLAT', 'FLAT']) AS t, (VALUES ('vector', 'v'), ('halfvec', 'h')) AS c(type, col),
		(VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>'), ('l1', '<+>')) AS m(metric, op);

-- Fill the table with `sealed` rows, make a kind's index, insert the others, and run ten queries.
CREATE FUNCTION try_kind(kind kinds, sealed int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	query source;
	sort_key text;
	answers text[] := '{}';
BEGIN
	TRUNCATE points;
	INSERT INTO points SELECT * FROM source WHERE id <= sealed;
	EXECUTE format('CREATE INDEX points_ann ON points USING ann (%I %I) WITH (index_type = %L, nlist = 10)',
		kind.col, kind.type || '_' || kind.metric || '_ops', kind.index_type);
	INSERT INTO points SELECT * FROM source WHERE id > sealed;
	FOR query IN SELECT * FROM source WHERE id % 50 = 3 LOOP
		sort_key := format('%I %s %L', kind.col, kind.op, CASE kind.col WHEN 'v' THEN query.v::text ELSE query.h::text END);
		answers := answers || by_both_ways(format('SELECT id, %s AS distance FROM points ORDER BY %1$s LIMIT 20', sort_key));
	END LOOP;
	-- all rows in order; of this many, two may be equally far
	answers := answers || by_both_ways(format('SELECT %s AS distance FROM points ORDER BY %1$s', sort_key));
	answers := answers || ARRAY(SELECT milvus.check_index('points_ann'));
	DROP INDEX points_ann;
	RETURN (SELECT string_agg(format('%s x %s', n, a), ', ' ORDER BY n DESC)
		FROM (SELECT count(*) AS n, a FROM unnest(answers) AS a GROUP BY a) AS g);
END
$$;

-- all candidates and all lists are looked at, so the answers are exact: rows in a sealed
-- segment, in the growing part, in both
SET milvus.ef = 500;
SET milvus.nprobe = 10;
SELECT index_type, type, metric, try_kind(kinds, 500) AS sealed, try_kind(kinds, 0) AS growing, try_kind(kinds, 300) AS both
	FROM kinds ORDER BY number;

-- a FLAT index needs no candidates and no lists
SET milvus.ef = 1;
SET milvus.nprobe = 1;
SELECT index_type, type, metric, try_kind(kinds, 300) AS both FROM kinds WHERE index_type = 'FLAT' ORDER BY number;

-- without a cache segments are read through the buffers
SET milvus.cache_size = 0;
SELECT index_type, type, metric, try_kind(kinds, 300) AS both FROM kinds ORDER BY number;

DROP FUNCTION try_kind, by_both_ways;
DROP TABLE points, source, kinds;
