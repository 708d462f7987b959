--
-- Tables: values of sealed rows, of each kind of type, are those that a heap table holds; NULLs, dropped and
-- added columns, values out of line and of changing sizes; with cache files and without
--
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (x int, y text);
SET TimeZone = 'UTC';

CREATE TABLE plain (id int PRIMARY KEY,
	b1 bool, b2 int2, b4 int4, b8 int8, ch "char", f4 float4, f8 float8, d date, t time, ts timestamptz, o oid, cash money,
	lsn pg_lsn, e mood, dom positive,										-- by value
	tz timetz, iv interval, u uuid, nm name, pt point, mac macaddr,			-- by reference, of one size
	tx text, vc varchar(20), bc char(10), num numeric, by bytea, js jsonb, ia int[], ta text[], p pair, r int4range,
	ip inet, bt bit(9), vb varbit,											-- varlena
	gone int,
	v vector(3), h halfvec(5), bf bfloat16vec(7), i8 int8vec(3), sv sparsevec(10), any_v vector, long text, unaligned text);
ALTER TABLE plain ALTER unaligned SET STORAGE plain;
INSERT INTO plain
	SELECT i, i % 3 = 0, nullif(i % 100, 7), i * 37, 5000000000 + i * i, chr(65 + i % 26)::"char",
		CASE i % 10 WHEN 3 THEN 'NaN' WHEN 4 THEN '-0' ELSE i / 7.0 END, CASE i % 12 WHEN 3 THEN 'inf' ELSE sqrt(i) END,
		date '2020-01-01' + i, time '00:00' + i * interval '1 s', timestamptz '2020-01-01' + i * interval '61 s', i, i, pg_lsn '0/1' + i,
		(ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, i,
		timetz '10:00+02' + i * interval '1 s', i * interval '1 day 1 s', lpad(to_hex(i), 32, '0')::uuid, 'name' || i, point(i, -i),
		('08:00:2b:01:02:' || lpad(to_hex(i % 256), 2, '0'))::macaddr,
		CASE i % 11 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE repeat('x', i % 200) || i END, 'v' || i % 50, 'bc' || i % 77,
		i / 13.0, decode(md5(i::text), 'hex'), jsonb_build_object('a', i, 'b', ARRAY[1, NULL, i]), ARRAY[i, NULL, i + 1],
		ARRAY['a', 'b' || i], ROW(i, 'y' || i)::pair, int4range(i, i + 10), inet '10.0.0.1' + i, (i % 512)::bit(9), B'1011',
		i,
		ARRAY[i, sin(i), 0]::real[]::vector, CASE WHEN i % 5 > 0 THEN ARRAY[i, 1, 2, 3, 4]::real[]::halfvec END, '[1,2,3,4,5,6,7]',
		ARRAY[i % 100, -1, 3]::int[]::int8vec, format('{1:%s,7:2}/10', i)::sparsevec,
		-- of one size at first, then of two
		CASE WHEN i < 9000 THEN '[1,2]' WHEN i % 2 = 0 THEN '[1,2,3]' END::vector,
		CASE WHEN i % 500 = 0 THEN repeat(md5(i::text), 1000) WHEN i % 500 = 1 THEN (SELECT string_agg(md5((i + k)::text), '') FROM generate_series(1, 200) k) END,
		'short ' || i
	FROM generate_series(1, 10000) i;
ALTER TABLE plain DROP gone;

CREATE TABLE sealed (LIKE plain INCLUDING ALL) USING milvus;
ALTER TABLE sealed ADD gone int;
ALTER TABLE sealed DROP gone;
INSERT INTO sealed SELECT * FROM plain;
SELECT count(*) FROM milvus.flush_table('sealed');
SELECT state, rows, deleted_rows FROM milvus.table_segments('sealed') WHERE state <> 'Growing';
SELECT * FROM milvus.check_table('sealed');

-- The columns that differ between the two tables, with the number of rows: as text, because not every type has
-- an equality.  -1: the sizes of small values differ, which are stored as in a heap tuple, but for vectors, which
-- keep their full header.
CREATE FUNCTION differences() RETURNS TABLE (name text, differing bigint) LANGUAGE plpgsql AS $$
DECLARE
	sizes constant text := '(SELECT sum(pg_column_size(%1$I)) FROM %2$s WHERE length(%1$I::text) < 100)';
BEGIN
	FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = 'sealed'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
	LOOP
		EXECUTE format('SELECT count(*) FROM plain a FULL JOIN sealed b USING (id) WHERE a.%1$I::text IS DISTINCT FROM b.%1$I::text', name)
			INTO differing;
		IF differing > 0 THEN
			RETURN NEXT;
		END IF;
		CONTINUE WHEN name IN ('v', 'h', 'bf', 'i8', 'any_v');
		EXECUTE 'SELECT -1 WHERE ' || format(sizes, name, 'plain') || ' IS DISTINCT FROM ' || format(sizes, name, 'sealed') INTO differing;
		IF differing < 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;

SELECT * FROM differences();
-- read from a few chunks at a time
SET milvus.cache_size = 0;
SELECT * FROM differences();
RESET milvus.cache_size;
SELECT milvus.release_table('sealed');
SELECT * FROM differences();
SELECT milvus.load_table('sealed') > 0 AS loaded;
SELECT * FROM differences();

-- one value, by the primary key, and in the order of an index
SELECT b4, tx, v FROM sealed WHERE id = 777;
SELECT id, num FROM sealed WHERE id BETWEEN 8190 AND 8194 ORDER BY id;

-- columns that came after the rows were sealed, also when their addition is rolled back
ALTER TABLE plain ADD later int DEFAULT 5, ADD later_text text DEFAULT 'hello', ADD later_null int;
ALTER TABLE sealed ADD later int DEFAULT 5, ADD later_text text DEFAULT 'hello', ADD later_null int;
SELECT * FROM differences();
BEGIN;
ALTER TABLE sealed ADD once text DEFAULT 'first';
SELECT DISTINCT once FROM sealed;
ROLLBACK;
BEGIN;
SAVEPOINT s;
ALTER TABLE sealed ADD once text DEFAULT 'second';
SELECT DISTINCT once FROM sealed;
ROLLBACK TO s;
ALTER TABLE sealed ADD once text DEFAULT 'third';
SELECT DISTINCT once FROM sealed;
COMMIT;
ALTER TABLE sealed DROP once, DROP later_text;
ALTER TABLE plain DROP later_text;
SELECT * FROM differences();

-- more rows, into a second segment with the columns there are now
INSERT INTO plain (id, tx, later, any_v) SELECT 20000 + i, 'more ' || i, i, '[1]' FROM generate_series(1, 100) i;
INSERT INTO sealed (id, tx, later, any_v) SELECT 20000 + i, 'more ' || i, i, '[1]' FROM generate_series(1, 100) i;
SELECT count(*) FROM milvus.flush_table('sealed');
SELECT number, rows FROM milvus.table_segments('sealed') WHERE state <> 'Growing' ORDER BY number;
SELECT * FROM differences();
SELECT * FROM milvus.check_table('sealed');

-- minimum, maximum and nulls of all chunks are those of the column
SELECT c.key, c.value ->> 'min' AS minimum, c.value ->> 'max' AS maximum, c.value ->> 'nulls' AS nulls
FROM milvus.table_segments('sealed') s, jsonb_each(s.columns) c
WHERE s.number = 1 AND c.key IN ('b2', 'b8', 'f4', 'f8', 'd', 'vc', 'bc', 'any_v') ORDER BY c.key COLLATE "C";
SELECT min(b2), max(b2), count(*) - count(b2) AS nulls, min(b8), max(b8), max(f4), min(d), max(d), min(vc COLLATE "C"), max(vc COLLATE "C"),
	min(bc COLLATE "C"), max(bc COLLATE "C"), count(*) - count(any_v) AS nulls
FROM plain WHERE id <= 10000;

-- rows whose values grow: a segment ends before a chunk gets too large
CREATE TABLE widening (id int, tx text) USING milvus;
INSERT INTO widening SELECT i, repeat('a', 50) FROM generate_series(1, 9000) i;
INSERT INTO widening SELECT i, repeat('abcd', 25000) FROM generate_series(9001, 10000) i;
SELECT count(*) > 1 AS several FROM milvus.flush_table('widening');
SELECT count(*), sum(length(tx)), count(DISTINCT md5(tx)) FROM widening;
SELECT * FROM milvus.check_table('widening');

-- a value that no segment takes stays in its row
CREATE TABLE wide (id int, tx text) USING milvus;
ALTER TABLE wide ALTER tx SET STORAGE external;
INSERT INTO wide VALUES (1, repeat('small', 10)), (2, repeat('0123456789abcdef', 4200000)), (3, repeat('small, too', 10));
SELECT count(*) FROM milvus.flush_table('wide');
SELECT rows FROM milvus.table_segments('wide') WHERE state <> 'Growing';
SELECT id, length(tx), md5(tx) FROM wide ORDER BY id;

-- a session sorts rows of a segment that it has not read before
CREATE TABLE sorted (id int, tx text) USING milvus;
INSERT INTO sorted SELECT i, repeat('text ' || 9 - i || ' ', 3) FROM generate_series(1, 5) i;
SELECT count(*) FROM milvus.flush_table('sorted');
\c -
SET milvus.enable_column_scan = off;
SELECT * FROM sorted ORDER BY id DESC;
RESET milvus.enable_column_scan;

DROP TABLE plain, sealed, widening, wide, sorted;
DROP FUNCTION differences;
DROP TYPE mood, pair;
DROP DOMAIN positive;
