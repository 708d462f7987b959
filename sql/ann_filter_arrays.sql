--
-- ann: conditions on arrays beside the vector: &&, @>, <@, =, constant = ANY; empty arrays, NULLs in
-- them and instead of them, several dimensions, elements of other types
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE TABLE items (id int, a int[], b bigint[], t text[], n numeric[], v vector(3));
INSERT INTO items
	SELECT x, CASE x % 10 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY[x % 4, NULL] WHEN 3 THEN ARRAY[NULL::int] WHEN 4 THEN ARRAY[x % 3, x % 3, x % 5]
			WHEN 5 THEN ARRAY[[1, 2], [3, x % 4]] WHEN 6 THEN '[5:6]={1,2}'::int[] ELSE ARRAY[x % 3, x % 5, x % 7] END,
		ARRAY[x % 6, 5000000000 + x % 3], ARRAY['tag ' || x % 9, 'mark ' || x % 4], ARRAY[1.0, x % 5, 2.50], ARRAY[sin(x), sin(x * 1.37), sin(x * 2.11)]::vector
	FROM generate_series(1, 600) AS x;
CREATE INDEX items_v ON items USING ann (v, a, b, t, n) WITH (index_type = 'FLAT');
INSERT INTO items SELECT 600 + id, a, b, t, n, v + v FROM items WHERE id <= 100;
ANALYZE items;
SELECT * FROM milvus.check_index('items_v');

CREATE FUNCTION answer(condition text, indexed bool) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	rows int[];
BEGIN
	PERFORM set_config('enable_indexscan', indexed::text, true), set_config('enable_bitmapscan', 'off', true),
		set_config('enable_seqscan', (NOT indexed)::text, true), set_config('enable_sort', (NOT indexed)::text, true);
	EXECUTE format($q$SELECT array_agg(id) FROM (SELECT id FROM items WHERE %s ORDER BY v <-> '[0.1,0.2,0.3]' LIMIT 2000) AS s$q$, condition) INTO rows;
	RETURN rows;
END
$$;
CREATE FUNCTION try(condition text, OUT rows int, OUT same bool, OUT asked text) LANGUAGE plpgsql AS $$
DECLARE
	found int[] := answer(condition, true);
	line text;
BEGIN
	rows := coalesce(cardinality(found), 0);
	same := found IS NOT DISTINCT FROM answer(condition, false);
	PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
	FOR line IN EXECUTE format($q$EXPLAIN (COSTS OFF) SELECT id FROM items WHERE %s ORDER BY v <-> '[0.1,0.2,0.3]' LIMIT 2000$q$, condition) LOOP
		-- versions write the result of a subquery in several ways
		asked := coalesce(asked, regexp_replace(substring(line FROM 'Index Cond: (.*)'), '\$0|\(InitPlan 1\).col1', '?'));
	END LOOP;
END
$$;
CREATE TABLE conditions (n serial, condition text);
INSERT INTO conditions (condition) VALUES
	('a && ''{1}'''), ('a && ''{0,6,77}'''), ('a && ''{77}'''), ('a && ''{}'''), ('a && ''{NULL}'''), ('a && ''{NULL,3}'''), ('a && NULL'),
	('a @> ''{1}'''), ('a @> ''{1,2}'''), ('a @> ''{1,1}'''), ('a @> ''{1,77}'''), ('a @> ''{}'''), ('a @> ''{1,NULL}'''), ('''{1}'' <@ a'), ('a @> ''{{1,2},{3,1}}'''),
	('a <@ ''{0,1,2,3}'''), ('a <@ ''{}'''), ('a <@ ''{1,NULL}'''), ('a <@ ''{77}'''), ('''{0,1,2,3}'' @> a'),
	('a = ''{1,2}'''), ('a = ''{}'''), ('a = ''{NULL}'''), ('a = ''{1,2,3}'''), ('a = ''{{1,2},{3,1}}'''), ('a = ''[5:6]={1,2}'''), ('a = ''{0,NULL}'''), ('a IN (''{1,2,3}'', ''{}'')'),
	('a IS NULL'), ('a IS NOT NULL'), ('a IS NULL AND a @> ''{}'''),
	('3 = ANY (a)'), ('77 = ANY (a)'), ('NULL = ANY (a)'), ('(SELECT 3) = ANY (a)'), ('3 = ALL (a)'), ('3 > ANY (a)'), ('NOT 3 = ANY (a)'), ('id = ANY (a)'),
	('b && ''{5000000001}'''), ('5000000001 = ANY (b)'), ('3 = ANY (b)'), ('3::bigint = ANY (b)'), ('b @> ''{3,5000000000}'''),
	('t && ''{tag 3,mark 9}'''), ('t @> ''{tag 3,mark 3}'''), ('''mark 2'' = ANY (t)'), ('t <@ ''{tag 3,mark 3,tag 7}'''), ('n @> ''{1,2.5}'''), ('n @> ''{4.0}'''), ('4.00 = ANY (n)'),
	('a @> ''{1}'' AND b @> ''{1}'' AND t && ''{tag 1,tag 2,tag 3}'' AND 2.5 = ANY (n)'), ('a @> ''{1}'' AND 2 = ANY (a) AND a && ''{3,4}'''), ('a @> ''{1}'' AND a <@ ''{1,2}''');
SELECT condition, t.* FROM conditions, LATERAL try(condition) AS t ORDER BY n;

-- the same from segments, after a merge, without the cache
SELECT milvus.compact_index('items_v');
SELECT * FROM milvus.check_index('items_v');
SELECT condition, t.* FROM conditions, LATERAL try(condition) AS t WHERE NOT same ORDER BY n;
UPDATE items SET a = a || 4 WHERE id % 11 = 0 AND array_ndims(a) IS DISTINCT FROM 2;
SELECT milvus.compact_index('items_v');
SELECT * FROM milvus.check_index('items_v');
SELECT condition, t.* FROM conditions, LATERAL try(condition) AS t WHERE NOT same ORDER BY n;
SET milvus.cache_size = 0;
REINDEX INDEX items_v;
SELECT condition, t.* FROM conditions, LATERAL try(condition) AS t WHERE NOT same ORDER BY n;
RESET milvus.cache_size;

-- the constant of = ANY may come with the execution
SET enable_seqscan = off;
SET enable_sort = off;
SET plan_cache_mode = force_generic_plan;
PREPARE tagged(text) AS SELECT id FROM items WHERE $1 = ANY (t) ORDER BY v <-> '[0.1,0.2,0.3]' LIMIT 3;
EXPLAIN (COSTS OFF) EXECUTE tagged('tag 3');
EXECUTE tagged('tag 3');
EXECUTE tagged(NULL);
RESET plan_cache_mode;
SELECT (answer('''tag 3'' = ANY (t)', false))[1:3];

DROP TABLE items, conditions;
DROP FUNCTION answer, try;
