-- Columns that a query does not name are not read, though they lie before one that it does; what
-- takes rows whole gets them whole.  Without cache files, so that each value is decoded.
SET client_min_messages = warning;
SET milvus.cache_size = 0;
SET max_parallel_workers_per_gather = 0;
SELECT setseed(0.5);

CREATE TABLE rows_heap (id int PRIMARY KEY, grp int, emb vector(250), n int, note text, part int);
INSERT INTO rows_heap
	SELECT i, i % 7, (SELECT array_agg(random() + g + i)::real[] FROM generate_series(1, 250) g)::vector, i % 50, 'note ' || i || repeat(' more', 10), i
	FROM generate_series(1, 1500) i;
CREATE TABLE rows_milvus (LIKE rows_heap INCLUDING ALL) USING milvus;
INSERT INTO rows_milvus SELECT * FROM rows_heap;
SELECT count(*) AS segments FROM milvus.flush_table('rows_milvus');
ANALYZE rows_milvus;
CREATE TABLE ids AS SELECT i AS id, i % 50 AS n FROM generate_series(1, 1500, 100) i;
ANALYZE ids;

-- pages of segments that a query reads: the vectors take 190 or so, the other columns some 10
CREATE FUNCTION vectors_read(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	toast oid;
	before bigint;
BEGIN
	SELECT reltoastrelid INTO toast FROM pg_class WHERE oid = 'rows_milvus'::regclass;
	before := pg_stat_get_xact_blocks_fetched(toast);
	EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ' || query;
	RETURN CASE WHEN pg_stat_get_xact_blocks_fetched(toast) - before > 120 THEN 'vectors read' ELSE 'vectors not read' END;
END $$;
\c -
SET client_min_messages = warning;
SET milvus.cache_size = 0;
SET max_parallel_workers_per_gather = 0;
SET milvus.enable_column_scan = off;
-- what is decoded stays in memory: a change of the table makes the backend let go of it
\set forget 'ALTER TABLE rows_milvus SET (autovacuum_enabled = off);'
SET enable_seqscan = off;
SET enable_bitmapscan = off;
:forget
SELECT vectors_read('SELECT id, note FROM rows_milvus WHERE id = 77');
:forget
SELECT vectors_read('SELECT note FROM rows_milvus WHERE id < 100 AND n > 7');
:forget
SELECT vectors_read('SELECT ctid, tableoid, part FROM rows_milvus WHERE id = 77');
:forget
SELECT vectors_read('SELECT max(n), count(note) FROM rows_milvus WHERE id < 10');
:forget
SELECT vectors_read('SELECT grp, max(n) FROM rows_milvus WHERE id < 100 GROUP BY grp');
:forget
SELECT vectors_read('SELECT upper(note) FROM rows_milvus WHERE id < 100 ORDER BY n LIMIT 2');
SET enable_hashjoin = off;
SET enable_mergejoin = off;
:forget
SELECT vectors_read('SELECT r.note FROM ids JOIN rows_milvus r USING (id) WHERE r.part > 100');
:forget
SELECT vectors_read('SELECT i.id, (SELECT r.part FROM rows_milvus r WHERE r.id = i.id) FROM ids i');
SET enable_nestloop = off;
SET enable_mergejoin = on;
:forget
SELECT vectors_read('SELECT r.note FROM ids JOIN rows_milvus r USING (id) WHERE r.part > 100');
SET enable_hashjoin = on;
SET enable_mergejoin = off;
SET enable_seqscan = on;
:forget
SELECT vectors_read('SELECT r.note FROM rows_milvus r LEFT JOIN ids ON r.part = ids.id WHERE r.part > 100');
:forget
SELECT vectors_read('SELECT sum(n) FROM rows_milvus');
:forget
SELECT vectors_read('SELECT note FROM rows_milvus TABLESAMPLE SYSTEM (100) WHERE part = 4');
SET enable_indexscan = off;
SET enable_bitmapscan = on;
:forget
SELECT vectors_read('SELECT note FROM rows_milvus WHERE id = 99');
:forget
SELECT vectors_read('SELECT note FROM rows_milvus WHERE ctid = ''(0,3)''');
:forget
SELECT vectors_read('SELECT note FROM rows_milvus WHERE ctid < ''(1,0)''');
RESET ALL;
SET milvus.cache_size = 0;
:forget
SELECT vectors_read('SELECT r.note FROM rows_milvus r WHERE id = 5 FOR UPDATE');
-- the same question about one that is named
:forget
SELECT vectors_read('SELECT r.emb FROM rows_milvus r WHERE id = 5');

-- rows that are taken whole, by every way
CREATE FUNCTION same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	heap text;
	milvus text;
BEGIN
	EXECUTE format('SELECT md5(string_agg(x::text, %L ORDER BY x::text)) || count(*) FROM (%s) x', ';', replace(query, '%T', 'rows_heap')) INTO heap;
	EXECUTE format('SELECT md5(string_agg(x::text, %L ORDER BY x::text)) || count(*) FROM (%s) x', ';', replace(query, '%T', 'rows_milvus')) INTO milvus;
	RETURN CASE WHEN heap = milvus THEN 'same: ' || substr(heap, 33) ELSE 'DIFFERENT' END;
END $$;
\c -
SET client_min_messages = warning;
SET milvus.cache_size = 0;
SET milvus.enable_column_scan = off;
SELECT same('SELECT * FROM %T');
SELECT same('SELECT t FROM %T t WHERE n = 3');
SELECT same('SELECT row_to_json(t)::text FROM %T t WHERE n = 3');
SELECT same('SELECT t.note, (SELECT s FROM (SELECT t.*) s) FROM %T t WHERE id < 20');
SELECT same('SELECT * FROM (SELECT * FROM %T OFFSET 0) t WHERE part < 50');
SELECT same('WITH t AS MATERIALIZED (SELECT * FROM %T) SELECT * FROM t WHERE n < 3 UNION ALL SELECT * FROM t WHERE n > 48');
SELECT same('SELECT DISTINCT ON (n) * FROM %T ORDER BY n, id');
SELECT same('SELECT note, rank() OVER (PARTITION BY grp ORDER BY part) FROM %T');
SELECT same('SELECT grp, n, count(*), min(note) FROM %T GROUP BY GROUPING SETS ((grp), (n), (grp, n), ())');
SELECT same('SELECT n, array_agg(DISTINCT note ORDER BY note) FROM %T GROUP BY n HAVING max(part) > 100');
SELECT same('SELECT a.note, b FROM %T a JOIN %T b ON a.n = b.part');
SET enable_hashjoin = off;
SELECT same('SELECT a.note, b.emb FROM %T a JOIN %T b ON a.n = b.part');
SELECT same('SELECT a.note, b.note FROM %T a JOIN %T b ON a.n = b.n AND a.part < b.part WHERE a.grp = 1');
SET enable_mergejoin = off;
SELECT same('SELECT a.note, b.part FROM %T a JOIN %T b ON a.n = b.id WHERE b.note > ''note 2''');
SELECT same('SELECT a.note, b FROM %T a LEFT JOIN %T b ON a.n = b.id AND b.part > a.grp');
RESET enable_hashjoin;
RESET enable_mergejoin;
SET work_mem = '64kB';
SELECT same('SELECT a.note, b.note FROM %T a FULL JOIN %T b ON a.n = b.part');
SELECT same('SELECT note, part, count(*) FROM %T GROUP BY note, part');
SELECT same('SELECT note, n FROM %T ORDER BY n, part');
RESET work_mem;
SET enable_nestloop = off;
SELECT same('SELECT a.note, b.part FROM %T a JOIN %T b ON a.n = b.n AND a.grp = 1 AND b.grp = 2');
RESET enable_nestloop;

-- a row that is given a new version, of which nothing but the key was asked
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT part, note FROM rows_milvus WHERE n = 4 ORDER BY id;
FETCH 1 FROM c;
UPDATE rows_milvus SET n = n + 1 WHERE id IN (SELECT id FROM rows_milvus WHERE part = 4);
UPDATE rows_heap SET n = n + 1 WHERE part = 4;
MERGE INTO rows_milvus t USING ids ON t.id = ids.id WHEN MATCHED THEN UPDATE SET note = 'merged';
MERGE INTO rows_heap t USING ids ON t.id = ids.id WHEN MATCHED THEN UPDATE SET note = 'merged';
INSERT INTO rows_milvus SELECT id + 5000, grp, emb, n, note FROM rows_milvus WHERE n < 3;
INSERT INTO rows_heap SELECT id + 5000, grp, emb, n, note FROM rows_heap WHERE n < 3;
DELETE FROM rows_milvus WHERE part BETWEEN 700 AND 710 RETURNING id, note, part;
DELETE FROM rows_heap WHERE part BETWEEN 700 AND 710;
COMMIT;
FETCH LAST FROM c;
SELECT same('SELECT * FROM %T');
-- by column and by page
SET enable_seqscan = off;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET milvus.enable_column_scan = on;
SELECT same('SELECT note, n FROM %T WHERE part < 200');
SELECT same('SELECT * FROM %T WHERE part < 200');
SELECT same('SELECT part, n FROM (SELECT * FROM %T ORDER BY emb <-> array_fill(3::real, ARRAY[250])::vector, id LIMIT 20) t');
-- an index on columns behind others
CREATE INDEX ON rows_heap (note, lower(note)) WHERE n > 3;
CREATE INDEX ON rows_milvus (note, lower(note)) WHERE n > 3;
SET enable_indexscan = on;
SET milvus.enable_column_scan = off;
SELECT same('SELECT part FROM %T WHERE note > ''note 5'' AND n > 3');

DROP TABLE rows_heap, rows_milvus, ids;
DROP FUNCTION vectors_read, same;
