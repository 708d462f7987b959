--
-- ann: every row has an entry (pgvector's indexes leave some out).  Rows without a distance come last, as a sort would
-- have them: those of zero length under cosine, then NULLs
--
-- the square of 1e-30 is no float32, so that row has no length
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE TABLE items (id int, v vector(3));
CREATE FUNCTION fill(first int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO items VALUES (first + 1, '[1,0,0]'), (first + 2, NULL), (first + 3, '[0,0,0]'), (first + 4, '[0,1,0]'),
		(first + 5, NULL), (first + 6, '[0,0,0]'), (first + 7, '[1e-30,0,0]'), (first + 8, '[-1,-1,0]');
$$;
-- rows in the order of a scan, in groups of equal distance: their ids, the first and the last place
CREATE FUNCTION ranked(op text) RETURNS TABLE (distance float8, ids int[], first bigint, last bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'SELECT s.distance, array_agg(id ORDER BY id), min(n), max(n)
		FROM (SELECT id, r.distance, row_number() OVER () AS n
			FROM (SELECT id, v %1$s ''[1,0,0]'' AS distance FROM items ORDER BY v %1$s ''[1,0,0]'') AS r) AS s
		GROUP BY s.distance ORDER BY min(n)', op);
END
$$;

-- half of the rows in a segment, half in the growing part
SELECT fill(0);
CREATE INDEX items_cosine ON items USING ann (v vector_cosine_ops);
CREATE INDEX items_l2 ON items USING ann (v vector_l2_ops) WITH (index_type = 'IVF_FLAT');
CREATE INDEX items_ip ON items USING ann (v vector_ip_ops) WITH (index_type = 'FLAT');
CREATE INDEX items_l1 ON items USING ann (v vector_l1_ops);
SELECT fill(10);
SELECT i, s.state, s.rows, s.zero_rows, s.null_rows
	FROM unnest(ARRAY['items_cosine', 'items_l2', 'items_ip', 'items_l1']) WITH ORDINALITY AS u(i, n),
		LATERAL milvus.index_segments(i::regclass) AS s ORDER BY n, state;

-- by a sort
SET enable_indexscan = off;
SELECT * FROM ranked('<=>');
SELECT * FROM ranked('<->');
SELECT * FROM ranked('<#>');
SELECT * FROM ranked('<+>');

-- by the indexes
SET enable_indexscan = on;
SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id, v <=> '[1,0,0]' AS distance FROM items ORDER BY v <=> '[1,0,0]';
SELECT * FROM ranked('<=>');
SELECT * FROM ranked('<->');
SELECT * FROM ranked('<#>');
SELECT * FROM ranked('<+>');

-- all of them sealed
SELECT milvus.compact_index('items_cosine'), milvus.compact_index('items_l2'), milvus.compact_index('items_ip');
SELECT state, rows, zero_rows, null_rows FROM milvus.index_segments('items_cosine');
SELECT * FROM ranked('<=>');
SELECT * FROM ranked('<->');
SELECT * FROM ranked('<#>');

-- all of them sealed and read through the buffers
SET milvus.cache_size = 0;
REINDEX TABLE items;
SELECT * FROM ranked('<=>');
SELECT * FROM ranked('<->');
RESET milvus.cache_size;

-- a query of zero length has no cosine distance to anything: rows first, NULLs last
SELECT count(*), count(v), array_agg(id ORDER BY n) FILTER (WHERE v IS NULL) = array_agg(id ORDER BY n) FILTER (WHERE n > 12) AS nulls_last
	FROM (SELECT id, v, row_number() OVER () AS n FROM (SELECT * FROM items ORDER BY v <=> '[0,0,0]') AS s) AS r;

-- a NULL query has no distance to anything: every row, in any order
PREPARE nearest(vector) AS SELECT id FROM items ORDER BY v <-> $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest(NULL);
CREATE TEMP TABLE found AS EXECUTE nearest(NULL);
SELECT count(*), count(DISTINCT id) FROM found;
SELECT count(*), count(DISTINCT id)
	FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = 2)) AS s;

-- only rows without a distance
DELETE FROM items WHERE v <> '[0,0,0]';
SELECT count(*), count(v) FROM (SELECT * FROM items ORDER BY v <=> '[1,0,0]') AS s;
VACUUM items;
SELECT count(*), count(v) FROM (SELECT * FROM items ORDER BY v <=> '[1,0,0]') AS s;
REINDEX TABLE items;
SELECT count(*), count(v) FROM (SELECT * FROM items ORDER BY v <=> '[1,0,0]') AS s;
SELECT state, rows, zero_rows, null_rows FROM milvus.index_segments('items_cosine');
SELECT * FROM milvus.check_index('items_cosine');
SELECT * FROM milvus.check_index('items_l2');

-- halfvec: the smallest number is not zero
CREATE TABLE halves (id int, h halfvec(2));
INSERT INTO halves VALUES (1, '[0,0]'), (2, '[6e-8,0]'), (3, '[0,-6e-8]'), (4, NULL), (5, '[-0,0]');
CREATE INDEX halves_h ON halves USING ann (h halfvec_cosine_ops);
INSERT INTO halves SELECT id + 5, h FROM halves;
SELECT state, rows, zero_rows, null_rows FROM milvus.index_segments('halves_h');
SELECT array_agg(id ORDER BY id), distance
	FROM (SELECT id, h <=> '[1,0]' AS distance, row_number() OVER () AS n FROM (SELECT * FROM halves ORDER BY h <=> '[1,0]') AS s) AS r
	GROUP BY distance ORDER BY min(n);

DROP TABLE items, halves, found;
DROP FUNCTION fill, ranked;
