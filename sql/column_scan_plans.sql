-- Scans by column under everything that a plan can ask of a scan.
SET client_min_messages = warning;
SET jit = off;
CREATE TABLE scanned (id int PRIMARY KEY, part int, name text, owner text, price float8) USING milvus;
INSERT INTO scanned SELECT i, i % 10, 'name ' || i, CASE WHEN i % 3 = 0 THEN 'ann' ELSE 'bob' END, i / 4.0
FROM generate_series(1, 30000) i;
SELECT count(*) FROM milvus.flush_table('scanned');
INSERT INTO scanned SELECT i, i % 10, 'name ' || i, 'eve', i / 4.0 FROM generate_series(30001, 30100) i;
ANALYZE scanned;
CREATE TABLE scanned_heap AS SELECT * FROM scanned;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SET max_parallel_workers_per_gather = 0;

-- pruning by minimum and maximum; rows by column and by page
CREATE FUNCTION figures(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line ~ '(Segments|Chunks|MilvusColumns|Filter:|Columns|Planned)' THEN
			RETURN NEXT regexp_replace(trim(line), ' \(actual.*', '');
		END IF;
	END LOOP;
END $$;
SELECT figures('SELECT * FROM scanned WHERE id BETWEEN 10 AND 20');
SELECT figures('SELECT name FROM scanned WHERE part = 77');
SELECT * FROM scanned WHERE id BETWEEN 10 AND 12;

-- ctid, tableoid, whole rows; other system columns are left to other scans
SELECT count(*) FROM scanned s JOIN scanned_heap h USING (id) WHERE s.ctid IS NOT NULL AND s.tableoid = 'scanned'::regclass;
SELECT s FROM scanned s WHERE id = 5;
EXPLAIN (COSTS OFF) SELECT xmin FROM scanned WHERE part = 3;
SELECT count(*) FROM scanned a JOIN scanned b ON a.ctid = b.ctid WHERE a.id <> b.id;

-- two scans of the same column at once
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
SELECT count(*), min(a.name), max(b.name) FROM scanned a, scanned b WHERE a.id BETWEEN 100 AND 130 AND b.id = a.id + 10000;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
RESET enable_memoize;

-- parameters: of a prepared statement, of a join, of a sub-select, of a lateral function
PREPARE by_name(text, int) AS SELECT id FROM scanned WHERE name = $1 AND part = $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_name('name 77', 7);
EXECUTE by_name('name 77', 7);
EXECUTE by_name('name 77', 8);
EXECUTE by_name(NULL, 7);
RESET plan_cache_mode;
SELECT x, (SELECT count(*) FROM scanned WHERE part = x AND id < 100) FROM generate_series(8, 11) x;
SELECT x, l.* FROM generate_series(1, 3) x, LATERAL (SELECT count(*), min(name) FROM scanned WHERE id < x * 10 AND part = x) l;
SELECT count(*) FROM scanned WHERE id IN (SELECT id FROM scanned_heap WHERE part = 4) AND name LIKE 'name 4%';

-- cursors
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM scanned WHERE part = 9 AND id < 60;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH LAST FROM c;
UPDATE scanned SET name = 'current' WHERE CURRENT OF c;
SELECT id, name FROM scanned WHERE name = 'current';
ROLLBACK;
-- other SCROLL cursors go back through rows that were kept
CREATE VIEW scanned_view AS SELECT id, name FROM scanned WHERE part = 9;
EXPLAIN (COSTS OFF) DECLARE c SCROLL CURSOR FOR SELECT id FROM scanned_view WHERE id < 60 LIMIT 3;
EXPLAIN (COSTS OFF) DECLARE c SCROLL CURSOR FOR SELECT part, count(*) FROM scanned GROUP BY part;
DROP VIEW scanned_view;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id, name FROM scanned WHERE id IN (7, 8);
COMMIT;
FETCH ALL FROM held;
CLOSE held;
BEGIN;
DECLARE positioned CURSOR FOR SELECT * FROM scanned WHERE part = 3 AND id > 20000 AND id < 20020;
FETCH 1 FROM positioned;
UPDATE scanned SET name = 'current' WHERE CURRENT OF positioned;
SELECT id, name FROM scanned WHERE name = 'current';
ROLLBACK;

-- a statement sees what was before it, and not what it does
BEGIN;
UPDATE scanned SET price = price + 1 WHERE part = 5;
SELECT count(*), sum(price) FROM scanned WHERE part = 5;
SELECT count(*), sum(price + 1) FROM scanned_heap WHERE part = 5;
DELETE FROM scanned WHERE name LIKE 'name 1%';
SELECT count(*) FROM scanned;
SELECT count(*) FROM scanned_heap WHERE name NOT LIKE 'name 1%';
WITH gone AS (DELETE FROM scanned WHERE part = 6 RETURNING id) SELECT count(*) = (SELECT count(*) FROM scanned_heap WHERE part = 6 AND name NOT LIKE 'name 1%') FROM gone;
ROLLBACK;
SELECT count(*), sum(price) FROM scanned WHERE part = 5;
MERGE INTO scanned s USING (VALUES (1), (40000)) v (id) ON s.id = v.id AND s.part < 100
	WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (v.id, 0, 'inserted', 'eve', 0);
SELECT id, name FROM scanned WHERE name IN ('merged', 'inserted') ORDER BY id;
SELECT id FROM scanned WHERE name = 'merged' FOR UPDATE;
DELETE FROM scanned WHERE id = 40000;
UPDATE scanned SET name = 'name 1' WHERE id = 1;

SET enable_seqscan = off;

-- row-level security: a condition of the query that is not leakproof runs after the policy's
CREATE ROLE column_scan_user;
GRANT ALL ON scanned TO column_scan_user;
ALTER TABLE scanned ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON scanned USING (owner = 'ann' AND price + 1 < 5001);
CREATE FUNCTION tell(text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING 'seen: %', $1; RETURN true; END $$;
SET ROLE column_scan_user;
EXPLAIN (COSTS OFF) SELECT id FROM scanned WHERE id < 10 AND name LIKE 'name%' AND tell(name);
SELECT id FROM scanned WHERE id < 10 AND tell(name);
SELECT count(*) FROM scanned WHERE part = 3;
RESET ROLE;
SELECT count(*) FROM scanned_heap WHERE part = 3 AND owner = 'ann' AND price < 5000;
ALTER TABLE scanned DISABLE ROW LEVEL SECURITY;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM scanned WHERE price + 0 < 3;
SELECT id FROM barrier WHERE tell(name) AND id > 9;

-- parallel; VACUUM finds the pages pure again that a rollback left as they were
VACUUM scanned;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT count(*), sum(price), min(name) FROM scanned WHERE part < 5;
SELECT count(*), sum(price), min(name) FROM scanned WHERE part < 5;
SELECT count(*), sum(price), min(name) FROM scanned_heap WHERE part < 5;
SELECT figures('SELECT name FROM scanned WHERE part < 5 AND id < 9000');
SET parallel_leader_participation = on;
SELECT count(*), sum(a.price) FROM scanned a JOIN scanned b USING (id) WHERE a.part < 5 AND b.part > 2;
SELECT count(*), sum(a.price) FROM scanned_heap a JOIN scanned_heap b USING (id) WHERE a.part < 5 AND b.part > 2;
SELECT (SELECT count(*) FROM scanned WHERE part = x) FROM generate_series(1, 2) x;
SET max_parallel_workers_per_gather = 0;

-- partitions and children
CREATE TABLE parted (id int, k int, label text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10000) USING milvus;
CREATE TABLE parted_2 (label text, k int, id int) USING milvus;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10000) TO (20000);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (20000) TO (30000);
INSERT INTO parted SELECT i, i % 100, 'label ' || i % 7 FROM generate_series(0, 29999) i;
SELECT count(*) FROM milvus.flush_table('parted_1');
SELECT count(*) FROM milvus.flush_table('parted_2');
ANALYZE parted;
EXPLAIN (COSTS OFF) SELECT id FROM parted WHERE label = 'label 3' AND k = 5;
SELECT count(*), sum(id) FROM parted WHERE label = 'label 3' AND k = 5;
SELECT count(*), sum(i) FROM generate_series(0, 29999) i WHERE i % 7 = 3 AND i % 100 = 5;
SELECT count(*), sum(a.id) FROM parted a JOIN parted b ON a.id = b.id WHERE a.k = 5 AND b.label = 'label 3';
SET enable_partitionwise_join = on;
SELECT count(*), sum(a.id) FROM parted a JOIN parted b ON a.id = b.id WHERE a.k = 5 AND b.label = 'label 3';
UPDATE parted SET label = 'moved' WHERE k = 5 AND id > 19000;
SELECT count(*) FROM parted WHERE label = 'moved';

-- off, and where it does not pay
RESET enable_seqscan;
SET milvus.enable_column_scan = off;
EXPLAIN (COSTS OFF) SELECT id FROM scanned WHERE part = 3;
RESET milvus.enable_column_scan;
RESET enable_indexscan;
RESET enable_bitmapscan;
EXPLAIN (COSTS OFF) SELECT name FROM scanned WHERE id = 3;
CREATE TABLE tiny (id int) USING milvus;
INSERT INTO tiny VALUES (1), (2);
EXPLAIN (COSTS OFF) SELECT * FROM tiny WHERE id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM scanned TABLESAMPLE SYSTEM (10);

-- a snapshot taken before goes on seeing what was
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM scanned WHERE part = 3;
COMMIT;
DROP VIEW barrier;
DROP TABLE scanned, scanned_heap, parted, tiny;
DROP ROLE column_scan_user;
