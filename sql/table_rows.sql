-- Whatever SQL does to a milvus table, it does the same to a heap table: each statement runs on
-- both, and afterwards both have the same rows.  First on growing rows, then with every row
-- sealed before each statement.
SET client_min_messages = warning;

CREATE TABLE parent (id int PRIMARY KEY);
INSERT INTO parent SELECT generate_series(0, 9);
CREATE TABLE rows_heap (
	id int PRIMARY KEY,
	p int REFERENCES parent,
	a text,
	n numeric(12, 3),
	f float8,
	d date,
	j jsonb,
	e vector(4),
	big text,
	twice int GENERATED ALWAYS AS (p * 2) STORED,
	CHECK (id > -1000000)
);
CREATE TABLE rows_milvus (LIKE rows_heap INCLUDING ALL) USING milvus;
ALTER TABLE rows_milvus ADD FOREIGN KEY (p) REFERENCES parent;
CREATE INDEX ON rows_heap (a);
CREATE INDEX ON rows_milvus (a);
CREATE INDEX ON rows_heap (lower(a)) WHERE p > 3;
CREATE INDEX ON rows_milvus (lower(a)) WHERE p > 3;

CREATE FUNCTION fill(rel regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('TRUNCATE %s CASCADE', rel);
	EXECUTE format($q$INSERT INTO %s
		SELECT i, CASE WHEN i %% 13 = 0 THEN NULL ELSE i %% 10 END, CASE WHEN i %% 7 = 0 THEN NULL ELSE 'text ' || i END,
			i * 1.001, CASE WHEN i %% 31 = 0 THEN 'NaN' ELSE i / 3.0 END, date '2000-01-01' + i,
			jsonb_build_object('k', i, 'l', ARRAY[i, i + 1]), ARRAY[i, i + 1, 0, 2]::real[]::vector,
			CASE WHEN i %% 100 = 0 THEN (SELECT string_agg(md5((i * s)::text), '') FROM generate_series(1, 400) s) END
		FROM generate_series(1, 3000) i$q$, rel);
END $$;

-- One statement, with %T for the table, on both; what it reports, and the rows, must be equal.
CREATE FUNCTION on_both(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	done bigint[];
	failed text[];
	name text;
	n bigint;
	differing bigint;
BEGIN
	FOREACH name IN ARRAY ARRAY['heap', 'milvus'] LOOP
		n := 0;
		BEGIN
			EXECUTE replace(statement, '%T', 'rows_' || name);
			GET DIAGNOSTICS n = ROW_COUNT;
			failed := failed || ''::text;
		EXCEPTION WHEN OTHERS THEN
			failed := failed || (SQLSTATE || ' ' || replace(SQLERRM, 'rows_' || name, '%T'));
		END;
		done := done || n;
	END LOOP;
	SELECT count(*) INTO differing FROM ((TABLE rows_heap EXCEPT ALL TABLE rows_milvus)
		UNION ALL (TABLE rows_milvus EXCEPT ALL TABLE rows_heap)) x;
	RETURN CASE WHEN differing = 0 AND done[1] = done[2] AND failed[1] = failed[2] THEN 'same: ' || done[1] || ' ' || failed[1]
		ELSE format('DIFFERENT: %s rows, reported %s, %s', differing, done, failed) END;
END $$;

-- One query on both.
CREATE FUNCTION asked_both(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	heap text;
	milvus text;
BEGIN
	EXECUTE format('SELECT md5(string_agg(x::text, %L ORDER BY x::text)) || %L || count(*) FROM (%s) x', ';', ' rows ', replace(query, '%T', 'rows_heap')) INTO heap;
	EXECUTE format('SELECT md5(string_agg(x::text, %L ORDER BY x::text)) || %L || count(*) FROM (%s) x', ';', ' rows ', replace(query, '%T', 'rows_milvus')) INTO milvus;
	RETURN CASE WHEN heap = milvus OR (heap IS NULL AND milvus IS NULL) THEN 'same' || coalesce(substr(heap, 33), ': none')
		ELSE format('DIFFERENT: %s, %s', heap, milvus) END;
END $$;

CREATE TABLE steps (n serial, kind text, statement text);
INSERT INTO steps (kind, statement) VALUES
	('on_both', 'INSERT INTO %T (id, p, a) VALUES (4001, 1, ''one''), (4002, 2, NULL)'),
	('on_both', 'INSERT INTO %T (id, p, a) VALUES (5, 1, ''again'')'),
	('on_both', 'INSERT INTO %T (id, p) VALUES (4003, 77)'),
	('on_both', 'INSERT INTO %T (id, p, a) SELECT id, 3, ''conflict'' FROM generate_series(2990, 3010) id ON CONFLICT (id) DO UPDATE SET a = excluded.a || %T.a, p = NULL WHERE %T.id % 2 = 0'),
	('on_both', 'INSERT INTO %T (id) SELECT generate_series(1, 50) ON CONFLICT DO NOTHING'),
	('on_both', 'UPDATE %T SET n = n + 1 WHERE id % 17 = 0'),
	('on_both', 'UPDATE %T SET a = NULL WHERE id % 11 = 0'),
	('asked_both', 'SELECT id FROM %T WHERE a IS NULL'),
	('asked_both', 'SELECT * FROM %T WHERE lower(a) LIKE ''text 1%'' AND p > 3'),
	('on_both', 'UPDATE %T SET a = a'),
	('on_both', 'UPDATE %T SET id = id + 100000 WHERE id % 19 = 0'),
	('on_both', 'UPDATE %T SET big = big || ''!'', e = ''[1,2,3,4]'' WHERE big IS NOT NULL'),
	('on_both', 'UPDATE %T x SET f = y.n FROM %T y WHERE y.id = x.id + 1 AND x.id % 23 = 0'),
	('on_both', 'DELETE FROM %T WHERE id % 29 = 0'),
	('on_both', 'DELETE FROM %T x USING parent WHERE parent.id = x.p AND x.p = 9 AND x.id % 2 = 0'),
	('on_both', 'MERGE INTO %T t USING generate_series(100, 400, 3) s ON t.id = s WHEN MATCHED AND s % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET a = ''merged'' WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s, ''made'')'),
	('on_both', 'DO $x$ BEGIN BEGIN UPDATE %T SET a = ''lost''; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END; UPDATE %T SET a = ''kept'' WHERE id = 7; END $x$'),
	('on_both', 'DO $x$ DECLARE r record; BEGIN FOR r IN SELECT * FROM %T WHERE id BETWEEN 20 AND 40 ORDER BY id FOR UPDATE LOOP UPDATE %T SET n = r.n * 2, j = r.j || ''{"x": 1}'' WHERE id = r.id; END LOOP; END $x$'),
	('on_both', 'DO $x$ DECLARE c SCROLL CURSOR FOR SELECT * FROM %T ORDER BY id; r record; BEGIN OPEN c; MOVE LAST FROM c; FETCH PRIOR FROM c INTO r; UPDATE %T SET a = r.a || r.id WHERE id = r.id; CLOSE c; END $x$'),
	('on_both', 'DO $x$ BEGIN PERFORM 1 FROM %T WHERE id < 100 FOR SHARE; PERFORM 1 FROM %T WHERE id < 50 FOR KEY SHARE; UPDATE %T SET a = ''locked'' WHERE id < 10; END $x$'),
	('on_both', 'DO $x$ DECLARE c tid; BEGIN SELECT ctid INTO c FROM %T WHERE id = 77; UPDATE %T SET a = ''by tid'' WHERE ctid = c; END $x$'),
	('asked_both', 'SELECT id, twice, x FROM %T x WHERE ctid > ''(0,0)'' AND ctid < ''(100000,1)'''),
	('asked_both', 'SELECT t.tableoid::regclass = ''%T''::regclass, t FROM %T t TABLESAMPLE SYSTEM (100)'),
	('asked_both', 'SELECT p, count(*), sum(n), min(d), max(a), sum(f::numeric) FILTER (WHERE f <> ''NaN'') FROM %T GROUP BY p'),
	('asked_both', 'SELECT x.id, y.a, y.e FROM %T x JOIN %T y ON x.id = y.id + 1 WHERE y.big IS NULL'),
	('asked_both', 'SELECT id, length(big), md5(big) FROM %T WHERE big IS NOT NULL'),
	('asked_both', 'SELECT id FROM %T ORDER BY e <-> ''[50,50,0,2]'', id LIMIT 20'),
	('on_both', 'ALTER TABLE %T ADD added int DEFAULT 42'),
	('on_both', 'UPDATE %T SET added = id WHERE id % 5 = 0'),
	('on_both', 'ALTER TABLE %T ALTER n TYPE float8'),
	('on_both', 'ALTER TABLE %T DROP COLUMN f'),
	('on_both', 'ALTER TABLE %T ADD volatile_one float8 DEFAULT round((random() * 0)::numeric)'),
	('on_both', 'CREATE INDEX ON %T (d, p)'),
	('asked_both', 'SELECT id, d FROM %T WHERE d BETWEEN ''2000-02-01'' AND ''2000-03-01'''),
	('on_both', 'CREATE UNIQUE INDEX ON %T (a)'),
	('on_both', 'REINDEX TABLE %T'),
	('on_both', 'CLUSTER %T USING %T_pkey'),
	('on_both', 'ALTER TABLE %T SET LOGGED'),
	('on_both', 'DELETE FROM %T WHERE id > 2000');

SELECT fill('rows_heap'), fill('rows_milvus');
SELECT format('SELECT %s(%L) AS "%s"', kind, statement, left(regexp_replace(statement, '\s+', ' ', 'g'), 60)) FROM steps ORDER BY n
\gexec
SELECT * FROM milvus.check_table('rows_milvus');

-- the same once more, every row that may be sealed being sealed before each step
ALTER TABLE rows_heap DROP added, DROP volatile_one, ALTER n TYPE numeric(12, 3), ADD f float8;
ALTER TABLE rows_milvus DROP added, DROP volatile_one, ALTER n TYPE numeric(12, 3), ADD f float8;
DROP INDEX rows_heap_d_p_idx, rows_milvus_d_p_idx;
CREATE OR REPLACE FUNCTION fill(rel regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('TRUNCATE %s CASCADE', rel);
	EXECUTE format($q$INSERT INTO %s (id, p, a, n, f, d, j, e, big)
		SELECT i, CASE WHEN i %% 13 = 0 THEN NULL ELSE i %% 10 END, CASE WHEN i %% 7 = 0 THEN NULL ELSE 'text ' || i END,
			i * 1.001, CASE WHEN i %% 31 = 0 THEN 'NaN' ELSE i / 3.0 END, date '2000-01-01' + i,
			jsonb_build_object('k', i, 'l', ARRAY[i, i + 1]), ARRAY[i, i + 1, 0, 2]::real[]::vector,
			CASE WHEN i %% 100 = 0 THEN (SELECT string_agg(md5((i * s)::text), '') FROM generate_series(1, 400) s) END
		FROM generate_series(1, 3000) i$q$, rel);
END $$;
SELECT fill('rows_heap'), fill('rows_milvus');
SELECT count(*) > 0 AS sealed FROM milvus.flush_table('rows_milvus');
SELECT 'SELECT sum(0) AS "." FROM milvus.flush_table(''rows_milvus'')',
	format('SELECT %s(%L) AS "%s"', kind, statement, left(regexp_replace(statement, '\s+', ' ', 'g'), 60)) FROM steps ORDER BY n
\gexec
SELECT * FROM milvus.check_table('rows_milvus');
SELECT state, sum(rows) > 0 AS rows FROM milvus.table_segments('rows_milvus') GROUP BY state ORDER BY state;

-- both ways to another access method
ALTER TABLE rows_milvus SET ACCESS METHOD heap;
SELECT asked_both('SELECT * FROM %T');
ALTER TABLE rows_milvus SET ACCESS METHOD milvus;
SELECT asked_both('SELECT * FROM %T');

-- VACUUM FULL seals densely what is worth it; a FULL replica identity takes the segments away
SET milvus.seal_min_rows = 1000;
VACUUM FULL rows_milvus;
SELECT asked_both('SELECT * FROM %T');
SELECT state, rows, deleted_rows FROM milvus.table_segments('rows_milvus') ORDER BY number;
ALTER TABLE rows_milvus REPLICA IDENTITY FULL;
VACUUM FULL rows_milvus;
SELECT asked_both('SELECT * FROM %T');
SELECT state, rows FROM milvus.table_segments('rows_milvus') ORDER BY number;

DROP TABLE rows_heap, rows_milvus, parent, steps;
DROP FUNCTION fill, on_both, asked_both;
