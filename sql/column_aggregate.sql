-- Aggregates over columns: what they give is what the server's own aggregates give.
SET client_min_messages = warning;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE agg_heap (id int PRIMARY KEY, s int2, i int4, l int8, d date, ts timestamp, tz timestamptz, t text, n numeric);
INSERT INTO agg_heap
SELECT g, CASE WHEN g % 7 = 0 THEN NULL ELSE (g * 37 % 65536 - 32768)::int2 END,
	CASE WHEN g % 11 = 0 THEN NULL ELSE (g::int8 * 7919 % 4294967296 - 2147483648)::int4 END,
	CASE g % 13 WHEN 0 THEN NULL WHEN 1 THEN 9223372036854775807 WHEN 2 THEN -9223372036854775808 ELSE g::int8 * 1234567891011 END,
	CASE WHEN g % 5 = 0 THEN NULL WHEN g = 4001 THEN 'infinity' ELSE date '2020-01-01' + g % 500 END,
	CASE WHEN g = 4002 THEN '-infinity' ELSE timestamp '2020-01-01' + g * interval '1 min' END,
	timestamptz '2020-01-01 UTC' + g * interval '1 sec', CASE WHEN g % 3 = 0 THEN NULL ELSE 'text ' || g END, g / 3.0
FROM generate_series(1, 20000) g;
CREATE TABLE agg_rows (LIKE agg_heap INCLUDING ALL) USING milvus;
INSERT INTO agg_rows SELECT * FROM agg_heap WHERE id <= 12000;
SELECT count(*) FROM milvus.flush_table('agg_rows');
INSERT INTO agg_rows SELECT * FROM agg_heap WHERE id BETWEEN 12001 AND 19000;
SELECT count(*) FROM milvus.flush_table('agg_rows');
-- growing rows, changed rows, deleted rows, columns that the segments lack
INSERT INTO agg_rows SELECT * FROM agg_heap WHERE id > 19000;
DELETE FROM agg_heap WHERE id BETWEEN 100 AND 400;
DELETE FROM agg_rows WHERE id BETWEEN 100 AND 400;
UPDATE agg_heap SET i = -id WHERE id BETWEEN 5000 AND 5050;
UPDATE agg_rows SET i = -id WHERE id BETWEEN 5000 AND 5050;
ALTER TABLE agg_heap ADD late int DEFAULT 7, ADD late_null int8;
ALTER TABLE agg_rows ADD late int DEFAULT 7, ADD late_null int8;
UPDATE agg_heap SET late = -8, late_null = id WHERE id % 1000 = 0;
UPDATE agg_rows SET late = -8, late_null = id WHERE id % 1000 = 0;
ANALYZE agg_heap;
ANALYZE agg_rows;

CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;
-- the aggregates of both tables, and whether the columns' node made ours
CREATE FUNCTION same(list text, condition text DEFAULT 'true', OUT by_column bool, OUT same bool, OUT result text)
LANGUAGE plpgsql AS $$
DECLARE
	expected text;
BEGIN
	EXECUTE format('SELECT ROW(%s)::text FROM agg_heap WHERE %s', list, condition) INTO expected;
	EXECUTE format('SELECT ROW(%s)::text FROM agg_rows WHERE %s', list, condition) INTO result;
	same := result = expected;
	SELECT bool_or(p LIKE '%MilvusAggregate%') INTO by_column
	FROM plan_of(format('SELECT %s FROM agg_rows WHERE %s', list, condition)) p;
END $$;

EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*), max(i) + 1 FROM agg_rows WHERE s > 10;
SELECT * FROM same('count(*)');
SELECT * FROM same('count(*), count(s), count(t), count(n), count(late_null)');
SELECT * FROM same('sum(s), sum(i), sum(l)');
SELECT * FROM same('avg(s), avg(i), avg(l)');
SELECT * FROM same('min(s), min(i), min(l), min(d), min(ts)');
SELECT * FROM same('max(s), max(i), max(l), max(d), max(ts)');
SELECT * FROM same('extract(epoch FROM min(tz)), extract(epoch FROM max(tz))');
SELECT * FROM same('sum(late), avg(late), min(late), max(late), sum(late_null), count(late_null), min(late_null)');
SELECT * FROM same('count(*), sum(i)', 's BETWEEN -100 AND 5000');
SELECT * FROM same('count(*), sum(i), max(l)', 'i IS NULL OR l < 0');
SELECT * FROM same('count(*), sum(i), max(l), avg(s)', 'id > 13000 AND t LIKE ''text 15%''');
-- no row: counts are 0, the rest is null
SELECT * FROM same('count(*), count(i), sum(i), sum(l), avg(i), min(i), max(d)', 's = 32767 AND s = 1');
SELECT * FROM same('count(*) * 2 + 1, coalesce(sum(i), -1)', 'late = 3');
-- what the server does itself
SELECT * FROM same('count(DISTINCT s)');
SELECT * FROM same('sum(n)');
SELECT * FROM same('sum(i + 1)');
SELECT * FROM same('count(*) FILTER (WHERE s > 0)');
SELECT * FROM same('count(*)', 'length(t) > 8');
SELECT count(*) FROM plan_of('SELECT late, count(*) FROM agg_rows GROUP BY late') p WHERE p LIKE '%MilvusAggregate%';

-- once a row of an outer query
SELECT o.id, (SELECT count(*) FROM agg_rows r WHERE r.s < o.s) = (SELECT count(*) FROM agg_heap r WHERE r.s < o.s) AS same
FROM agg_heap o WHERE o.id IN (1, 14, 5001, 19999) ORDER BY 1;
PREPARE counted(int) AS SELECT count(*), sum(i) FROM agg_rows WHERE s < $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE counted(0);
EXECUTE counted(NULL);
EXECUTE counted(32767);
-- in a cursor, and over a window
BEGIN;
DECLARE c CURSOR FOR SELECT count(*) FROM agg_rows WHERE s < 0;
FETCH 2 FROM c;
COMMIT;
SELECT count(*), rank() OVER (ORDER BY max(i)) FROM agg_rows WHERE s < 0;
-- what a transaction did itself
BEGIN;
DELETE FROM agg_rows WHERE s < 0;
SELECT count(*), min(s) FROM agg_rows WHERE s IS NOT NULL;
ROLLBACK;
-- rows that the user may not see
CREATE ROLE agg_reader;
GRANT SELECT ON agg_rows TO agg_reader;
ALTER TABLE agg_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY evens ON agg_rows TO agg_reader USING (id % 2 = 0 AND s > 0);
SET ROLE agg_reader;
SELECT count(*) FROM agg_rows WHERE i < 0;
RESET ROLE;
SELECT count(*) FROM agg_heap WHERE i < 0 AND id % 2 = 0 AND s > 0;
-- a right that was taken away is asked for
REVOKE EXECUTE ON FUNCTION pg_catalog.max(int4) FROM public;
ALTER TABLE agg_rows DISABLE ROW LEVEL SECURITY;
SET ROLE agg_reader;
SELECT count(*), max(i) FROM agg_rows;
RESET ROLE;
GRANT EXECUTE ON FUNCTION pg_catalog.max(int4) TO public;
-- all of it in segments: read by column
VACUUM FULL agg_rows;
VACUUM agg_rows;
ANALYZE agg_rows;
SELECT * FROM same('count(*), count(s), sum(s), sum(i), sum(l), avg(s), avg(i), avg(l), count(t)');
SELECT * FROM same('min(s), max(s), min(i), max(i), min(l), max(l), min(d), max(d), min(ts), max(ts), min(late), sum(late_null)');
SELECT * FROM same('count(*), count(s), sum(s), sum(i), sum(l), avg(s), avg(i), avg(l)', 'id > 0 OR s IS NULL');
SELECT * FROM same('count(*), count(i), sum(i), min(l), max(d)', 'id BETWEEN 7001 AND 17000 AND s > -20000');
DELETE FROM agg_heap WHERE id % 97 = 0;
DELETE FROM agg_rows WHERE id % 97 = 0;
SELECT * FROM same('count(*), count(i), sum(i), min(l), max(d)', 'id BETWEEN 7001 AND 17000 AND s > -20000');
SELECT p FROM (SELECT 1) one, LATERAL plan_of('SELECT count(*) FROM agg_rows WHERE s > 0') p;
-- flush_table makes them so as well
VACUUM FULL agg_rows;
ANALYZE agg_rows;
SELECT count(*) FROM milvus.flush_table('agg_rows');
SELECT p FROM (SELECT 1) one, LATERAL plan_of('SELECT count(*) FROM agg_rows WHERE s > 0') p;
DROP TABLE agg_heap, agg_rows;
DROP FUNCTION plan_of, same;
DROP ROLE agg_reader;
