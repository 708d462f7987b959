--
-- ann: conditions on scalar columns, answered by the index; a scan gives what a sequential
-- scan gives, in each state of the index
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it
SET milvus.background_seal = off;

CREATE TABLE items (id int PRIMARY KEY, topic int, price bigint, small int2, tags int[], sold bool, name text, v vector(6));
CREATE FUNCTION add(first int, last int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO items
		SELECT i, CASE WHEN i % 13 > 0 THEN i % 20 END, (i * 7919::bigint) % 1009, i % 3,
			CASE WHEN i % 17 = 0 THEN NULL WHEN i % 19 = 0 THEN '{}' WHEN i % 23 = 0 THEN ARRAY[i % 5, NULL]
				ELSE ARRAY[i % 5, i % 7, 100 + i % 50] END,
			CASE WHEN i % 7 > 0 THEN i % 2 = 0 END,
			CASE WHEN i % 11 > 0 THEN 'name ' || i % 200 END,
			CASE WHEN i % 101 > 0 THEN (SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector FROM generate_series(1, 6) AS j) END
		FROM generate_series(first, last) AS i
$$;

-- The rows of one search: those with a vector by number, and how many have none.
CREATE FUNCTION answer(condition text, query text, k int, indexed bool) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rows text;
BEGIN
	PERFORM set_config('enable_indexscan', indexed::text, true), set_config('enable_bitmapscan', 'off', true),
		set_config('enable_seqscan', (NOT indexed)::text, true), set_config('enable_sort', (NOT indexed)::text, true);
	EXECUTE format('SELECT string_agg(id::text, '' '' ORDER BY d, id) || '' and '' || count(*) FROM
		(SELECT CASE WHEN v IS NOT NULL THEN id END AS id, v <-> %1$L AS d FROM items WHERE %2$s ORDER BY v <-> %1$L LIMIT %3$s) AS s',
		query, condition, k) INTO rows;
	RETURN rows;
END
$$;
-- A made-up condition; the same ones in each run.
CREATE FUNCTION condition() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	parts text[] := '{}';
	op text;
BEGIN
	FOR n IN 1 .. 1 + (random() * 2.4)::int LOOP
		op := (ARRAY['<', '<=', '=', '>=', '>'])[1 + floor(random() * 5)];
		parts := parts || CASE floor(random() * 16)::int
			WHEN 0 THEN format('topic %s %s', op, floor(random() * 22))
			WHEN 1 THEN format('price %s %s', op, floor(random() * 1100))
			WHEN 2 THEN format('price BETWEEN %s AND %s', floor(random() * 500), floor(500 + random() * 600))
			WHEN 3 THEN format('topic IN (%s, %s, NULL, %s)', floor(random() * 22), floor(random() * 22), floor(random() * 22))
			WHEN 4 THEN format('small %s %s', op, floor(random() * 3))
			WHEN 5 THEN format('tags && ARRAY[%s, %s]', floor(random() * 160), floor(random() * 8))
			WHEN 6 THEN format('tags @> ARRAY[%s, %s]', floor(random() * 6), floor(random() * 8))
			WHEN 7 THEN format('%s = ANY (tags)', floor(random() * 160))
			WHEN 8 THEN format('tags <@ ARRAY[%s, %s, %s, %s, 3]', floor(random() * 6), floor(random() * 8), floor(100 + random() * 50), floor(random() * 8))
			WHEN 9 THEN (ARRAY['sold', 'NOT sold', 'sold IS TRUE', 'sold IS FALSE', 'sold = true'])[1 + floor(random() * 5)]
			WHEN 10 THEN format('name %s %L', op, 'name ' || floor(random() * 210))
			WHEN 11 THEN format('name = ANY (ARRAY[%L, %L, %L])', 'name ' || floor(random() * 210), 'name ' || floor(random() * 210), 'name 7')
			WHEN 12 THEN (ARRAY['topic', 'tags', 'sold', 'name', 'v'])[1 + floor(random() * 5)] || (ARRAY[' IS NULL', ' IS NOT NULL'])[1 + floor(random() * 2)]
			WHEN 13 THEN format('topic %s %s::bigint', op, floor(random() * 22))
			WHEN 14 THEN format('price %s ANY (ARRAY[%s, %s])', op, floor(random() * 1100), floor(random() * 1100))
			ELSE format('tags = ARRAY[%s, %s, %s]', floor(random() * 5), floor(random() * 7), floor(100 + random() * 50))
		END;
	END LOOP;
	RETURN array_to_string(parts, ' AND ');
END
$$;
-- Searches whose answer is not that of a sequential scan, and whether the index was asked with conditions.
CREATE FUNCTION differences(searches int) RETURNS TABLE (state text, asked bool) LANGUAGE plpgsql AS $$
DECLARE
	c text;
	query text;
	k int;
	found text;
	truth text;
	filtered int := 0;
BEGIN
	FOR n IN 1 .. searches LOOP
		c := condition();
		SELECT array_agg(2 * random() - 1 + n - n)::vector::text INTO query FROM generate_series(1, 6);
		k := (ARRAY[1, 5, 20, 2000])[1 + floor(random() * 4)];
		found := answer(c, query, k, true);
		filtered := filtered + coalesce((SELECT (s.filter IS NOT NULL)::int FROM milvus.last_search() AS s), 0);
		truth := answer(c, query, k, false);
		IF found IS DISTINCT FROM truth THEN
			state := format('%s: %s instead of %s', c, found, truth);
			asked := NULL;
			RETURN NEXT;
		END IF;
	END LOOP;
	state := 'done';
	asked := filtered > searches * 0.8;
	RETURN NEXT;
END
$$;
SELECT setseed(0.25);

-- in the growing part
CREATE INDEX items_v ON items USING ann (v, topic, price, small, tags, sold, name) WITH (index_type = 'FLAT', segment_rows = 1500);
SELECT add(1, 1500);
ANALYZE items;
SELECT * FROM differences(200);
SELECT * FROM milvus.check_index('items_v');

-- in a segment
SELECT milvus.seal_index('items_v');
SELECT * FROM differences(200);
SELECT * FROM milvus.check_index('items_v');

-- in several segments and the growing part
SELECT add(1501, 2500);
SELECT milvus.seal_index('items_v');
SELECT add(2501, 3000);
SELECT segments, growing_rows FROM milvus.index_stats('items_v');
SELECT * FROM differences(200);

-- after rows were deleted and changed, with VACUUM and without
DELETE FROM items WHERE id % 10 = 3;
UPDATE items SET topic = 21 - topic WHERE id % 10 = 4;
SELECT * FROM differences(100);
VACUUM items;
SELECT * FROM differences(100);
SELECT * FROM milvus.check_index('items_v');

-- after a merge, which reads the values back from its sources
SELECT milvus.compact_index('items_v') > 0 AS merged;
SELECT * FROM differences(100);
SELECT * FROM milvus.check_index('items_v');

-- without the cache
SET milvus.cache_size = 0;
REINDEX INDEX items_v;
SELECT cached_segments FROM answer('topic = 1', '[1,0,0,0,0,0]', 1, true), milvus.last_search();
SELECT * FROM differences(100);
RESET milvus.cache_size;

-- other index types search everything that matches when asked for all of it
ALTER INDEX items_v SET (index_type = 'IVF_FLAT', nlist = 20);
REINDEX INDEX items_v;
SET milvus.nprobe = 20;
SELECT * FROM differences(100);
ALTER INDEX items_v SET (index_type = 'HNSW', m = 8, ef_construction = 60);
REINDEX INDEX items_v;
SET milvus.ef = 2000;
SELECT * FROM differences(100);
RESET milvus.ef;
RESET milvus.nprobe;
SELECT * FROM milvus.check_index('items_v');

DROP TABLE items;
DROP FUNCTION add, answer, condition, differences;
