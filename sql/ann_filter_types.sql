--
-- ann: conditions on scalar columns of each type: numbers of all sizes compared with each other, NaN,
-- infinity, collations, domains, expressions; NULLs; contradictory and repeated conditions
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE items (id int, a int2, b int4, c int8, d float4, e float8, f numeric, g text, h varchar(20), i bool,
	j date, k timestamp, l timestamptz, m uuid, n positive, o text COLLATE "C", v vector(3));
INSERT INTO items
	SELECT x, x % 7 - 3, nullif(x % 30, 3), 3000000000 + x % 50, CASE x % 10 WHEN 0 THEN float4 'NaN' WHEN 1 THEN '-inf' ELSE x % 10 / 3.0 END,
		CASE x % 12 WHEN 0 THEN float8 'NaN' WHEN 1 THEN 'inf' WHEN 2 THEN '-0' WHEN 3 THEN NULL ELSE x % 12 - 6 END,
		CASE x % 11 WHEN 0 THEN numeric 'NaN' WHEN 1 THEN 1.0 WHEN 2 THEN 1.00 WHEN 3 THEN NULL ELSE (x % 11) * 1e20 END,
		CASE x % 9 WHEN 0 THEN '' WHEN 1 THEN NULL WHEN 2 THEN repeat('ab', 1000) || x % 5 ELSE chr(97 + x % 26) || 'é' || x % 3 END,
		'h' || x % 40, CASE WHEN x % 5 > 0 THEN x % 2 = 0 END,
		date '2020-01-01' + x % 100, timestamp '2020-01-01' + x % 100 * interval '8 hours', timestamptz '2020-01-01 00:00+00' + x % 100 * interval '5 hours',
		('00000000-0000-4000-8000-0000000000' || to_char(x % 60, 'FM00'))::uuid, 1 + x % 8, CASE WHEN x % 2 = 0 THEN 'B' ELSE 'b' END || x % 4,
		ARRAY[sin(x), sin(x * 1.37), sin(x * 2.11)]::vector
	FROM generate_series(1, 900) AS x;
CREATE INDEX items_v ON items USING ann (v, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, (b + c), lower(h)) WITH (index_type = 'FLAT');
INSERT INTO items SELECT 900 + id, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, v + v FROM items WHERE id % 7 = 0;
ANALYZE items;
SELECT * FROM milvus.check_index('items_v');
SET TimeZone = 'America/St_Johns';

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
-- rows that the index gives, whether they are those of a sequential scan, and whether the condition is the index's
CREATE FUNCTION try(condition text, OUT rows int, OUT same bool, OUT asked bool) LANGUAGE plpgsql AS $$
DECLARE
	found int[] := answer(condition, true);
	line text;
BEGIN
	rows := coalesce(cardinality(found), 0);
	same := found IS NOT DISTINCT FROM answer(condition, false);
	asked := false;
	PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
	FOR line IN EXECUTE format($q$EXPLAIN (COSTS OFF) SELECT id FROM items WHERE %s ORDER BY v <-> '[0.1,0.2,0.3]' LIMIT 2000$q$, condition) LOOP
		asked := asked OR line LIKE '%Index Cond%';
	END LOOP;
END
$$;

CREATE TABLE conditions (n serial, condition text);
INSERT INTO conditions (condition) VALUES
	-- numbers, one size and another
	('a = 2'), ('a < 0'), ('a >= 2::bigint'), ('a = 2::int4'), ('a > 40000'), ('a IN (1, 2, 70000)'), ('b = 5'), ('b <= 5::int2'), ('b > 3000000000'), ('b = 5::bigint'),
	('c = 3000000007'), ('c < 3000000003'), ('c > 5::int2'), ('c = ANY (ARRAY[5, 3000000007])'), ('c BETWEEN 3000000010 AND 3000000012'), ('7 > b'), ('b <> 5'), ('NOT b = 5'),
	-- with NaN and infinity
	('d = ''NaN'''), ('d < ''NaN'''), ('d > 3::float8'), ('d = (1 / 3.0)::float4'), ('d = ''-inf'''), ('e = 0'), ('e >= ''inf'''), ('e > ''inf'''), ('e < ''-inf'''), ('e IN (0, ''NaN'', NULL)'), ('e <= 0::float4'),
	('f = 1'), ('f = 1.000'), ('f > 5e20'), ('f = ''NaN'''), ('f < ''NaN'''), ('f > 1e30'), ('f IN (1, 4e20)'),
	-- text and collations
	('g = '''''), ('g = repeat(''ab'', 1000) || 3'), ('g < ''b'''), ('g >= ''zé'''), ('g IN (''aé0'', ''dé0'', ''nowhere'')'), ('g COLLATE "C" < ''b'''), ('h = ''h7'''), ('h > ''h3'''), ('h IN (''h1'', ''h2'')'),
	('h = ''h7''::varchar'), ('o < ''b'''), ('o COLLATE "C" = ''b1'''), ('lower(h) = ''h9'''),
	-- truth, dates and times
	('i'), ('NOT i'), ('i IS TRUE'), ('i IS NOT TRUE'), ('i IS FALSE'), ('i IS NULL'), ('i = (id > 0)'), ('i IN (true, NULL)'), ('i < true'),
	('j = ''2020-02-01'''), ('j > ''2020-03-01''::date AND j <= ''2020-03-05'''), ('j < ''2020-01-10 12:00''::timestamp'), ('j < ''2020-01-10 12:00+05''::timestamptz'),
	('k > ''2020-02-01'''), ('k < ''2020-01-03''::date'), ('k >= ''2020-01-03 00:00+00''::timestamptz'), ('l < ''2020-01-03 12:00+00'''), ('l >= ''2020-01-15''::date'), ('l < ''2020-01-15''::timestamp'),
	('m = ''00000000-0000-4000-8000-000000000013'''), ('m > ''00000000-0000-4000-8000-000000000050'''), ('m IN (''00000000-0000-4000-8000-000000000001'', ''ffffffff-0000-4000-8000-000000000001'')'),
	-- a domain, expressions
	('n = 3'), ('n > 5'), ('b + c = 3000000010'), ('b + c < 3000000010'),
	-- NULLs
	('b IS NULL'), ('b IS NOT NULL'), ('b IS NULL AND b = 5'), ('g IS NULL AND f IS NULL'), ('b = NULL'), ('b IN (NULL)'), ('b = ANY (NULL::int[])'), ('b = ANY (''{}''::int[])'), ('v IS NULL'), ('v IS NOT NULL AND a = 1'),
	-- contradictory, repeated, many
	('b < 3 AND b > 5'), ('b > 3 AND b > 5 AND b <= 20 AND b < 20'), ('b = 4 AND b = 4'), ('b IN (1, 2, 3, 4) AND b IN (4, 5) AND b > 3'), ('b IN (1, 5, 9) AND b <> 5'),
	('a = 1 AND b < 10 AND i AND n IN (2, 3) AND h > ''h1'''), ('b = 4 OR b = 5'), ('b = ANY (SELECT 4)'), ('b = (SELECT 4)'), ('b = (SELECT NULL::int)'), ('b < ANY (ARRAY[3, 5])'), ('b > ALL (ARRAY[3, 5])'), ('a = b'), ('b = 4 AND id % 3 = 0');

SELECT condition, t.* FROM conditions, LATERAL try(condition) AS t ORDER BY n;

-- the same from segments
SELECT milvus.compact_index('items_v');
SELECT * FROM milvus.check_index('items_v');
SELECT condition, t.* FROM conditions, LATERAL try(condition) AS t WHERE NOT same ORDER BY n;

-- the same without the cache
SET milvus.cache_size = 0;
REINDEX INDEX items_v;
SELECT condition, t.* FROM conditions, LATERAL try(condition) AS t WHERE NOT same ORDER BY n;
RESET milvus.cache_size;

-- prepared statements: constants that come with each execution, NULL among them
SET enable_seqscan = off;
SET enable_sort = off;
SET plan_cache_mode = force_generic_plan;
PREPARE near(int, text, int[]) AS SELECT id FROM items WHERE b >= $1 AND h < $2 AND a = ANY ($3) ORDER BY v <-> '[0.1,0.2,0.3]' LIMIT 3;
EXPLAIN (COSTS OFF) EXECUTE near(5, 'h2', '{1,2}');
EXECUTE near(5, 'h2', '{1,2}');
EXECUTE near(25, 'h4', '{3,NULL}');
EXECUTE near(25, NULL, '{3}');
EXECUTE near(25, 'h4', NULL);
RESET plan_cache_mode;
SELECT (answer('b >= 5 AND h < ''h2'' AND a IN (1, 2)', false))[1:3];

-- rescans with other conditions: the nearest of each group
CREATE TABLE groups (b int, q vector(3));
INSERT INTO groups VALUES (1, '[1,0,0]'), (NULL, '[0,1,0]'), (3, '[0,0,1]'), (7, '[0,0,1]'), (99, '[0,0,1]');
EXPLAIN (COSTS OFF)
SELECT groups.b, s.id FROM groups LEFT JOIN LATERAL (SELECT id FROM items WHERE items.b = groups.b ORDER BY v <-> groups.q LIMIT 2) AS s ON true;
SELECT groups.b, s.id FROM groups LEFT JOIN LATERAL (SELECT id FROM items WHERE items.b = groups.b ORDER BY v <-> groups.q LIMIT 2) AS s ON true ORDER BY 1, 2;
SET enable_indexscan = off;
SET enable_seqscan = on;
SET enable_sort = on;
SELECT groups.b, s.id FROM groups LEFT JOIN LATERAL (SELECT id FROM items WHERE items.b = groups.b ORDER BY v <-> groups.q LIMIT 2) AS s ON true ORDER BY 1, 2;
RESET enable_indexscan;

-- what cannot be a column
CREATE INDEX ON items USING ann (a, v);
CREATE INDEX ON items USING ann (v, v);
CREATE INDEX ON items USING ann (a);
CREATE INDEX ON items USING ann (v, (row(a, b)));
CREATE TABLE bits (v vector(2), b bit(3), c bytea, d json, e json[]);
CREATE INDEX ON bits USING ann (v, c);
CREATE INDEX ON bits USING ann (v, e);
-- values too large for an entry
CREATE TABLE long (id int, t text, v vector(2));
CREATE INDEX long_v ON long USING ann (v, t);
INSERT INTO long SELECT 1, string_agg(md5(i::text), ''), '[1,2]' FROM generate_series(1, 120) AS i;
INSERT INTO long SELECT 2, string_agg(md5(i::text), ''), '[0,0]' FROM generate_series(1, 130) AS i;
INSERT INTO long SELECT 3, string_agg(md5(i::text), ''), NULL FROM generate_series(1, 130) AS i;
INSERT INTO long SELECT 4, repeat('x', 20000), '[2,2]';
SELECT id FROM long WHERE t > 'a' ORDER BY v <-> '[0,0]';
-- large vectors with scalars go on behind their page as those without do
CREATE TABLE large (id int, t text, v vector(2000));
CREATE INDEX large_v ON large USING ann (v, t, id) WITH (index_type = 'FLAT');
INSERT INTO large SELECT i, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, i % 90) AS j), (SELECT array_agg(sin(i * j)) FROM generate_series(1, 2000) AS j)::vector
	FROM generate_series(1, 100) AS i;
SELECT * FROM milvus.check_index('large_v');
SET enable_seqscan = off;
SET enable_sort = off;
SELECT id, length(t) FROM large WHERE id > 50 AND t < '5' ORDER BY v <-> (SELECT v FROM large WHERE id = 60) LIMIT 4;
SELECT milvus.seal_index('large_v');
SELECT * FROM milvus.check_index('large_v');
SELECT id, length(t) FROM large WHERE id > 50 AND t < '5' ORDER BY v <-> (SELECT v FROM large WHERE id = 60) LIMIT 4;
SELECT condition, s.id FROM (VALUES ('exact')) AS x(condition), LATERAL (SELECT id FROM large WHERE id + 0 > 50 AND t || '' < '5' ORDER BY (v <-> (SELECT v FROM large WHERE id = 60)) + 0 LIMIT 4) AS s;

-- the type of a column can change with its values, and the index goes along
CREATE TABLE changing (id int, a int, v vector(2));
INSERT INTO changing SELECT i, i % 10, ARRAY[i, i]::vector FROM generate_series(1, 100) AS i;
CREATE INDEX changing_v ON changing USING ann (v, a);
ALTER TABLE changing ALTER a TYPE text USING 'a' || a;
SELECT id FROM changing WHERE a = 'a7' ORDER BY v <-> '[50,50]' LIMIT 3;
SELECT * FROM milvus.check_index('changing_v');
SELECT indexdef FROM pg_indexes WHERE indexname = 'changing_v';
-- partial, with a scalar column
CREATE INDEX changing_p ON changing USING ann (v, a) WHERE id > 50;
SELECT id FROM changing WHERE a = 'a7' AND id > 50 ORDER BY v <-> '[50,50]' LIMIT 3;
SELECT * FROM milvus.check_index('changing_p');

DROP TABLE items, conditions, groups, bits, long, large, changing;
DROP FUNCTION answer, try;
DROP DOMAIN positive;
