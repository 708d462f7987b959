-- Scans by column: every predicate finds the rows that it finds in a heap table
-- and in the same table without such scans.
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
CREATE TYPE mood AS ENUM ('sad', 'calm', 'glad', 'mad');
CREATE TABLE columns_heap (
	id int PRIMARY KEY, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, b bool, d date, ts timestamp,
	tz timestamptz, tm time, o oid, ch "char", t text, tc text COLLATE "C", v varchar(20), c char(6), u uuid,
	y bytea, e mood, n numeric, a int[]);
SELECT setseed(0.25);
INSERT INTO columns_heap
SELECT i,
	CASE WHEN random() < 0.1 THEN NULL ELSE (random() * 60000 - 30000)::int2 END,
	CASE WHEN random() < 0.05 THEN NULL ELSE i / 10 END,
	CASE WHEN random() < 0.1 THEN NULL ELSE (random() * 1e18)::int8 * (1 - 2 * (i % 2)) END,
	CASE WHEN random() < 0.05 THEN 'NaN' WHEN random() < 0.03 THEN 'inf' WHEN random() < 0.03 THEN -0.0
		WHEN random() < 0.1 THEN NULL ELSE (random() * 100)::float4 END,
	CASE WHEN random() < 0.05 THEN 'NaN' WHEN random() < 0.03 THEN '-inf' WHEN random() < 0.1 THEN NULL
		ELSE round((random() * 100)::numeric, 1)::float8 END,
	CASE WHEN random() < 0.2 THEN NULL ELSE random() < 0.5 END,
	CASE WHEN random() < 0.02 THEN 'infinity' WHEN random() < 0.1 THEN NULL ELSE date '2020-01-01' + i / 50 END,
	CASE WHEN random() < 0.02 THEN '-infinity' ELSE timestamp '2020-01-01' + i * interval '1 hour' END,
	timestamptz '2020-01-01 00:00:00+00' + (random() * 1000)::int * interval '6 hours',
	time '00:00' + (i % 1440) * interval '1 minute',
	(random() * 4294967295)::int8::oid,
	chr(65 + i % 26)::"char",
	CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.1 THEN '' ELSE md5((i % 500)::text) END,
	CASE WHEN random() < 0.1 THEN NULL ELSE repeat(chr(97 + i / 2000), 1 + i % 90) END,
	CASE WHEN random() < 0.1 THEN NULL ELSE (ARRAY['red', 'green', 'blue', 'Ärger', 'red ', '50%_x'])[1 + i % 6] END,
	CASE WHEN random() < 0.1 THEN NULL ELSE (ARRAY['ab', 'ab c', 'x', '', 'abcdef'])[1 + i % 5] END,
	CASE WHEN random() < 0.1 THEN NULL ELSE md5((i % 300)::text)::uuid END,
	CASE WHEN random() < 0.1 THEN NULL ELSE decode(md5((i % 100)::text), 'hex') END,
	CASE WHEN random() < 0.1 THEN NULL ELSE (enum_range(NULL::mood))[1 + i % 4] END,
	CASE WHEN random() < 0.1 THEN NULL ELSE (i % 1000) / 8.0 END,
	ARRAY[i % 7, i % 11]
FROM generate_series(1, 20000) i;
CREATE TABLE columns_rows (LIKE columns_heap INCLUDING ALL) USING milvus;

-- some rows sealed in two segments, one of them with rows changed since, some growing
INSERT INTO columns_rows SELECT * FROM columns_heap WHERE id <= 12000;
SELECT count(*) FROM milvus.flush_table('columns_rows');
INSERT INTO columns_rows SELECT * FROM columns_heap WHERE id BETWEEN 12001 AND 19000;
SELECT count(*) FROM milvus.flush_table('columns_rows');
INSERT INTO columns_rows SELECT * FROM columns_heap WHERE id > 19000;
DELETE FROM columns_heap WHERE id BETWEEN 100 AND 400 OR id = 15000;
DELETE FROM columns_rows WHERE id BETWEEN 100 AND 400 OR id = 15000;
UPDATE columns_heap SET i4 = -id, t = 'changed' WHERE id BETWEEN 5000 AND 5050;
UPDATE columns_rows SET i4 = -id, t = 'changed' WHERE id BETWEEN 5000 AND 5050;
-- columns that the segments lack
ALTER TABLE columns_heap ADD late int DEFAULT 7, ADD late_text text DEFAULT 'later', ADD late_null float8;
ALTER TABLE columns_rows ADD late int DEFAULT 7, ADD late_text text DEFAULT 'later', ADD late_null float8;
UPDATE columns_heap SET late = 8, late_null = 1 WHERE id % 1000 = 0;
UPDATE columns_rows SET late = 8, late_null = 1 WHERE id % 1000 = 0;
ALTER TABLE columns_heap DROP a;
ALTER TABLE columns_rows DROP a;
ANALYZE columns_heap;
ANALYZE columns_rows;

SET enable_seqscan = off;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
EXPLAIN (COSTS OFF) SELECT id, t FROM columns_rows WHERE i4 BETWEEN 100 AND 200 AND t LIKE 'a%' AND n > 3;

-- which conditions are column filters, and which are not
CREATE FUNCTION filters(predicate text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT id FROM columns_rows WHERE ' || predicate LOOP
		IF line ~ 'Filter:' THEN found := found || trim(line) || ' '; END IF;
	END LOOP;
	-- before 17 a subquery's result is $0
	RETURN replace(found, '(InitPlan 1).col1', '$0');
END $$;
SELECT p, filters(p) FROM unnest(ARRAY[
	'i2 = 5', 'i4 > 5000000000', '7 > i8', 'f4 < 1.5', 'f8 = ''NaN''', 'b', 'NOT b', 'b IS NOT TRUE', 'd >= ''2020-05-05''',
	'ts < date ''2021-01-01''', 'tz > now()', 'd < timestamp ''2020-01-01''', 'tm < ''12:00''', 'o > 100', 'ch = ''A''', 't = ''x''',
	't < ''x''', 'tc < ''x''', 't COLLATE "C" < ''x''', 't LIKE ''ab%''', 't LIKE ''ab%c''', 't LIKE ''a_''', 't NOT LIKE ''ab%''',
	't LIKE ''a\_b%''', 'v = ''red''', 'v IN (''red'', ''blue'')', 'c = ''ab''', 'c LIKE ''ab %''', 'u = ''00000000000000000000000000000000''',
	'y > ''\x00''', 'e = ''sad''', 'e > ''sad''', 'e IN (''sad'', ''mad'')', 'n > 1', 'i4 IN (1, 2, 3)', 'i4 <> ALL (''{1,2,3}'')',
	'i4 = 1 OR t = ''x''', 'i4 = 1 OR n = 3', 'NOT (i4 = 1 AND b)', 't IS NULL', 'i4 + 1 = 5', 'i4 = i2', 'id = (SELECT 3)',
	'i4 > random()', 'i4 IN (SELECT 3)', 't ILIKE ''a%''', 'starts_with(t, ''a'')', 't ^@ ''a''', 'columns_rows.* IS NULL', 'i4 IS DISTINCT FROM 4',
	'i4 > length(current_setting(''port''))']) p;

-- random predicates
CREATE FUNCTION literal(col text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	IF random() < 0.05 THEN RETURN 'NULL'; END IF;
	EXECUTE format('SELECT quote_literal(%I::text) FROM columns_heap WHERE id >= $1 AND %I IS NOT NULL ORDER BY id LIMIT 1', col, col)
		INTO result USING (random() * 19000)::int;
	RETURN coalesce(result, 'NULL');
END $$;
CREATE FUNCTION predicate(depth int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	columns text[] := ARRAY['id', 'i2', 'i4', 'i8', 'f4', 'f8', 'd', 'ts', 'tz', 'tm', 'o', 'ch', 't', 'tc', 'v', 'c', 'u', 'y', 'e', 'n',
		'late', 'late_text', 'late_null'];
	col text := columns[1 + floor(random() * 23)];
	kind int := floor(random() * 12);
	type text;
BEGIN
	IF depth > 0 AND random() < 0.6 THEN
		RETURN CASE floor(random() * 5)::int
			WHEN 0 THEN 'NOT (' || predicate(depth - 1) || ')'
			WHEN 1 THEN '(' || predicate(depth - 1) || ' OR ' || predicate(depth - 1) || ')'
			WHEN 2 THEN '((' || predicate(depth - 1) || ') IS NOT TRUE)'
			ELSE '(' || predicate(depth - 1) || ' AND ' || predicate(depth - 1) || ')' END;
	END IF;
	IF random() < 0.05 THEN
		RETURN (ARRAY['b', 'NOT b', 'b IS TRUE', 'b IS NOT FALSE', 'b IS UNKNOWN', 'b = true', 'b <> false'])[1 + floor(random() * 7)];
	END IF;
	SELECT format_type(atttypid, NULL) INTO type FROM pg_attribute WHERE attrelid = 'columns_heap'::regclass AND attname = col;
	RETURN CASE
		WHEN kind < 2 THEN col || ' IS ' || (ARRAY['', 'NOT '])[1 + floor(random() * 2)] || 'NULL'
		WHEN kind < 4 THEN format('%s BETWEEN %s AND %s', col, literal(col), literal(col))
		WHEN kind < 6 THEN format('%s %s (ARRAY[%s, %s, %s]::%s[])', col, (ARRAY['= ANY', '<> ALL'])[1 + floor(random() * 2)],
			literal(col), literal(col), literal(col), type)
		WHEN kind < 7 AND col IN ('t', 'tc', 'v', 'c', 'late_text') THEN format('%s %sLIKE %L', col,
			(ARRAY['', 'NOT '])[1 + floor(random() * 2)], (ARRAY['a%', '%', '', 'ab', 'ab %', 'ab c%', 'red%', 'la%', 'cc%', 'x_%', 'Ä%', '50\%%', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%'])[1 + floor(random() * 13)])
		WHEN kind < 8 AND col IN ('i2', 'i4', 'i8') THEN format('%s %s %s', col, (ARRAY['<', '<=', '=', '>=', '>', '<>'])[1 + floor(random() * 6)],
			(ARRAY['5000000000', '(-5000000000)', '100::int2', '100', '-9223372036854775808', '9223372036854775807', '32767'])[1 + floor(random() * 7)])
		WHEN kind < 8 AND col IN ('f4', 'f8') THEN format('%s %s %s', col, (ARRAY['<', '<=', '=', '>=', '>', '<>'])[1 + floor(random() * 6)],
			(ARRAY['0.1::float8', '1e300::float8', '-1e300::float8', '''inf''::float8', '''NaN''::float4', '1.5::float4', '-0.0', '1e-50::float8'])[1 + floor(random() * 8)])
		WHEN kind < 8 AND col IN ('ts', 'tz') THEN format('%s %s %s', col, (ARRAY['<', '<=', '=', '>=', '>', '<>'])[1 + floor(random() * 6)],
			(ARRAY['date ''2020-06-01''', 'date ''infinity''', 'date ''5874897-12-31''', 'timestamp ''2020-03-29 02:30''', 'timestamp ''-infinity'''])[1 + floor(random() * 5)])
		WHEN kind < 9 THEN format('%s %s %s', literal(col), (ARRAY['<', '<=', '=', '>=', '>', '<>'])[1 + floor(random() * 6)], col)
		ELSE format('%s %s %s', col, (ARRAY['<', '<=', '=', '>=', '>', '<>'])[1 + floor(random() * 6)], literal(col)) END;
END $$;
CREATE FUNCTION compare(n int) RETURNS TABLE (predicates int, with_rows int) LANGUAGE plpgsql AS $$
DECLARE
	p text;
	expected text;
	found text;
BEGIN
	predicates := 0;
	with_rows := 0;
	FOR i IN 1..n LOOP
		p := predicate(3);
		-- whole rows of some, of all how many and which
		EXECUTE 'SELECT count(*) || '' '' || coalesce(sum(' || CASE WHEN i % 10 = 0 THEN 'hashtext(h::text)' ELSE 'id::int8 * id' END ||
			'), 0) FROM columns_heap h WHERE ' || p INTO expected;
		EXECUTE 'SELECT count(*) || '' '' || coalesce(sum(' || CASE WHEN i % 10 = 0 THEN 'hashtext(h::text)' ELSE 'id::int8 * id' END ||
			'), 0) FROM columns_rows h WHERE ' || p INTO found;
		IF expected <> found THEN
			RAISE WARNING 'wrong: % instead of %: %', found, expected, p;
		END IF;
		EXECUTE 'SELECT count(*) FROM columns_rows WHERE ' || p INTO found;
		IF split_part(expected, ' ', 1) <> found THEN
			RAISE WARNING 'wrong count: % instead of %: %', found, expected, p;
		END IF;
		predicates := predicates + 1;
		with_rows := with_rows + (found <> '0')::int;
	END LOOP;
	RETURN NEXT;
END $$;
SET timezone = 'Europe/Berlin';
SELECT setseed(0.5);
SELECT predicates, with_rows > 20 AS many_with_rows FROM compare(60);
DROP TABLE columns_heap, columns_rows;
DROP FUNCTION filters, literal, predicate, compare;
DROP TYPE mood;
RESET timezone;

