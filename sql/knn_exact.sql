-- Nearest neighbours without an index, over the columns of milvus tables: what a sort of a heap
-- table gives, for every type and distance, in every state of the rows.
CREATE SCHEMA knn_exact;
SET search_path = knn_exact, public;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SELECT setseed(0.25);

CREATE FUNCTION floats(n int, salt int) RETURNS real[] LANGUAGE sql VOLATILE AS
	$$ SELECT array_agg((random() * 20 - 10)::numeric(6,2)::real + 0 * salt) FROM generate_series(1, n) $$;
CREATE FUNCTION bits(n int, salt int) RETURNS text LANGUAGE sql VOLATILE AS
	$$ SELECT string_agg(CASE WHEN random() < 0.3 THEN '1' ELSE '0' END, '') FROM generate_series(1, n + 0 * salt) $$;

CREATE TABLE h (id int PRIMARY KEY, cat int, note text, v vector(12), few vector(5), big vector(800),
	half halfvec(12), brain bfloat16vec(12), tiny int8vec(12), sparse sparsevec(12), flags bit(96));
INSERT INTO h
SELECT i, nullif(i % 10, 7), chr(97 + i % 5) || i, f::vector, f[1:5]::vector,
	(SELECT array_agg(f[1 + j % 12] + j % 3) FROM generate_series(1, 800) j)::vector,
	f::vector::halfvec, f::vector::bfloat16vec, f::vector::int8vec, f::vector::sparsevec, bits(96, i)::bit(96)
FROM (SELECT i, floats(12, i) AS f FROM generate_series(1, 1500) i) s;
-- duplicates, nulls, zeros (no cosine distance)
UPDATE h SET (v, few, big, half, brain, tiny, sparse, flags) =
	(SELECT v, few, big, half, brain, tiny, sparse, flags FROM h o WHERE o.id = h.id - 1) WHERE id % 7 = 0;
UPDATE h SET v = NULL, few = NULL, big = NULL, half = NULL, brain = NULL, tiny = NULL, sparse = NULL, flags = NULL WHERE id % 31 = 0;
UPDATE h SET v = array_fill(0, ARRAY[12])::vector, few = array_fill(0, ARRAY[5])::vector, big = array_fill(0, ARRAY[800])::vector,
	half = array_fill(0, ARRAY[12])::vector::halfvec, brain = array_fill(0, ARRAY[12])::vector::bfloat16vec,
	tiny = array_fill(0, ARRAY[12])::vector::int8vec, sparse = '{}/12', flags = 0::bit(96) WHERE id % 97 = 0;
CREATE TABLE m (LIKE h) USING milvus;
INSERT INTO m SELECT * FROM h ORDER BY id;
ANALYZE h, m;

-- One search in both tables: 'ok', or what is wrong.  Equal distances may come in any order.
-- Sorts are forbidden: where few rows are left they win, rightly.
CREATE FUNCTION compare(tab text, col text, op text, q text, qual text, k int) RETURNS text LANGUAGE plpgsql SET enable_sort = off AS $$
DECLARE
	-- 0 and -0 are equal
	body text := format('(SELECT id, (%1$s %2$s %3$s) + 0 AS d FROM TABLE_NAME WHERE %4$s ORDER BY %1$s %2$s %3$s LIMIT %5$s) s', col, op, q, qual, k);
	ours text[];
	theirs text[];
	ids int[];
	found int;
	line text;
	used boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN SELECT * FROM ' || replace(body, 'TABLE_NAME', tab) LOOP
		used := used OR line LIKE '%MilvusNeighbours%';
	END LOOP;
	IF NOT used THEN
		RETURN 'not planned';
	END IF;
	EXECUTE 'SELECT array_agg(id), array_agg(coalesce(encode(float8send(d), ''hex''), ''null'')) FROM ' || replace(body, 'TABLE_NAME', tab) INTO ids, ours;
	EXECUTE 'SELECT array_agg(coalesce(encode(float8send(d), ''hex''), ''null'')) FROM ' || replace(body, 'TABLE_NAME', 'h') INTO theirs;
	IF ours IS DISTINCT FROM theirs THEN
		RETURN format('distances differ: %s and %s', ours[1:3], theirs[1:3]);
	END IF;
	EXECUTE format('SELECT count(*) FROM unnest($1, $2) a(id, d) JOIN h USING (id)
		WHERE coalesce(encode(float8send((h.%s %s %s) + 0), ''hex''), ''null'') = a.d AND (%s)', col, op, q, qual)
		INTO found USING ids, ours;
	IF found <> coalesce(cardinality(ids), 0) OR found <> (SELECT count(DISTINCT i) FROM unnest(ids) i) THEN
		RETURN 'rows differ';
	END IF;
	RETURN 'ok';
END $$;

CREATE VIEW searches AS
SELECT * FROM (VALUES ('v'), ('few'), ('big'), ('half'), ('brain'), ('tiny'), ('sparse')) c(col),
	(VALUES ('<->'), ('<#>'), ('<=>'), ('<+>')) o(op)
UNION ALL SELECT 'flags', op FROM (VALUES ('<~>'), ('<%>'), ('<%%>')) o(op);
CREATE VIEW quals(qual) AS VALUES ('true'), ('cat = 3'), ('cat = 3 AND id % 2 = 0'), ('cat IS NULL OR cat > 8'), ('id % 50 = 1'),
	('cat = 99'), ('note LIKE ''a%'' AND id BETWEEN 200 AND 700');
CREATE FUNCTION check_all(tab text, more text DEFAULT 'all') RETURNS TABLE (searches bigint, wrong text[]) LANGUAGE sql AS $$
	SELECT count(*), (array_agg(DISTINCT format('%s %s %s %s %s: %s', col, op, qual, q, k, result)) FILTER (WHERE result <> 'ok'))[1:5]
	FROM (SELECT *, compare(tab, col, op, q, qual, k) AS result
		FROM searches, quals,
			(VALUES (11, 1), (12, 10), (12, 2000)) n(row, k),
			LATERAL (SELECT format('(SELECT %s FROM h WHERE id = %s)', col, row)) query(q)
		WHERE more = 'all' OR col = ANY (string_to_array(more, ' '))) s
$$;

-- growing
SELECT * FROM check_all('m');
-- sealed
SELECT count(*) FROM milvus.flush_table('m');
SELECT * FROM check_all('m');
EXPLAIN (COSTS OFF) SELECT id FROM m WHERE cat = 3 AND id % 2 = 0 ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 5;
-- changed, deleted, new, in several segments; a column that came later
CREATE FUNCTION change(tab text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('UPDATE %s SET v = (SELECT v FROM h WHERE id = 3), cat = 3 WHERE id %% 101 = 5', tab);
	EXECUTE format('DELETE FROM %s WHERE id %% 103 = 6', tab);
	EXECUTE format('UPDATE %s SET note = note || ''x'' WHERE id %% 211 = 8', tab);
	EXECUTE format('INSERT INTO %1$s SELECT 10000 + id, cat, note, v, few, big, half, brain, tiny, sparse, flags FROM %1$s WHERE id < 300', tab);
END $$;
SELECT change('h');
SELECT change('m');
SELECT * FROM check_all('m', 'v big sparse flags');
SELECT count(*) FROM milvus.flush_table('m');
SELECT * FROM check_all('m', 'v half flags');
VACUUM m;
SELECT * FROM check_all('m', 'v big flags');
ALTER TABLE m ADD COLUMN late vector(3) DEFAULT '[1,2,3]';
ALTER TABLE h ADD COLUMN late vector(3) DEFAULT '[1,2,3]';
UPDATE m SET late = '[1,2,4]' WHERE id IN (17, 900);
UPDATE h SET late = '[1,2,4]' WHERE id IN (17, 900);
SELECT compare('m', 'late', op, '''[1,2,5]''::vector', 'true', k) FROM (VALUES ('<->'), ('<=>')) o(op), (VALUES (1), (2), (3000)) n(k);

-- a null query: all distances are null
SELECT count(*), count(d) FROM (SELECT v <-> NULL::vector AS d FROM m ORDER BY v <-> NULL::vector LIMIT 5000) s;
PREPARE by_null(vector) AS SELECT count(*), count(d) FROM (SELECT v <-> $1 AS d FROM m ORDER BY v <-> $1 LIMIT 5000) s;
EXECUTE by_null(NULL);
-- LIMIT and OFFSET as parameters; the value first
SET plan_cache_mode = force_generic_plan;
PREPARE page(vector, int, int) AS SELECT id, round(($1 <-> few)::numeric, 4) AS d FROM m WHERE id < 10000 ORDER BY $1 <-> few LIMIT $2 OFFSET $3;
EXPLAIN (COSTS OFF) EXECUTE page('[1,2,3,4,5]', 3, 0);
EXECUTE page('[1,2,3,4,5]', 3, 0);
EXECUTE page('[1,2,3,4,5]', 3, 2);
EXECUTE page('[1,2,3,4,5]', NULL, 1600);
SELECT id, round((few <-> '[1,2,3,4,5]')::numeric, 4) AS d FROM h WHERE id < 10000 ORDER BY few <-> '[1,2,3,4,5]' LIMIT 3 OFFSET 2;
EXECUTE page('[1,2]', 3, 0);
RESET plan_cache_mode;
-- other orders are sorted
EXPLAIN (COSTS OFF) SELECT id FROM m ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1]' DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM m ORDER BY v <-> few LIMIT 3;
SET milvus.enable_exact_search = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM (SELECT id FROM m ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 3) s;
RESET milvus.enable_exact_search;

-- More rows than LIMIT are asked of the scan: the table is read again.
CREATE TABLE picked AS SELECT id FROM h WHERE id % 400 = 9;
CREATE UNIQUE INDEX ON picked (id);
ANALYZE picked;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_sort = off;
SET enable_material = off;
EXPLAIN (COSTS OFF) SELECT m.id FROM m JOIN picked p ON p.id = m.id ORDER BY m.few <-> '[1,2,3,4,5]' LIMIT 3;
SELECT m.id FROM m JOIN picked p ON p.id = m.id ORDER BY m.few <-> '[1,2,3,4,5]' LIMIT 3;
SELECT h.id FROM h JOIN picked p ON p.id = h.id ORDER BY h.few <-> '[1,2,3,4,5]' LIMIT 3;
-- all rows, each once, in order
SELECT count(*), count(DISTINCT id), bool_and(d >= before OR d = 'NaN') FROM (
	SELECT id, d, lag(d) OVER () AS before FROM (
		SELECT m.id, m.v <=> '[1,1,1,1,1,1,1,1,1,1,1,1]' AS d FROM m, LATERAL (SELECT id WHERE m.id > 0 OFFSET 0) p
		ORDER BY m.v <=> '[1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 5) s
	UNION ALL SELECT NULL, NULL, NULL) s;
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT id, v <=> '[1,1,1,1,1,1,1,1,1,1,1,1]' AS d FROM m
	ORDER BY v <=> '[1,1,1,1,1,1,1,1,1,1,1,1]' FETCH FIRST 2 ROWS WITH TIES;
FETCH ALL c;
ROLLBACK;
SELECT id, v <=> '[1,1,1,1,1,1,1,1,1,1,1,1]' AS d FROM h ORDER BY v <=> '[1,1,1,1,1,1,1,1,1,1,1,1]', id LIMIT 3;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_sort;
RESET enable_material;
-- further sort keys within equal distances
SELECT array_agg(id) FROM (SELECT id FROM m ORDER BY v <-> '[0,0,0,0,0,0,0,0,0,0,0,0]', id DESC LIMIT 6) s;
SELECT array_agg(id) FROM (SELECT id FROM h ORDER BY v <-> '[0,0,0,0,0,0,0,0,0,0,0,0]', id DESC LIMIT 6) s;

-- A list of queries: many are searched at once.  More than one look-ahead, nulls, duplicates; more
-- rows than LIMIT; a condition that depends on the query's row, too.
CREATE TABLE q AS SELECT id, cat, v, half, tiny, (few::real[] || few::real[])::vector AS ten FROM h WHERE id <= 200;
ALTER TABLE m ADD COLUMN ten vector(10);
ALTER TABLE h ADD COLUMN ten vector(10);
UPDATE m SET ten = (few::real[] || few::real[])::vector;
UPDATE h SET ten = (few::real[] || few::real[])::vector;
SELECT count(*) FROM milvus.flush_table('m');
VACUUM ANALYZE m;
ANALYZE h, q;
EXPLAIN (COSTS OFF) SELECT q.id, n.d FROM q, LATERAL (SELECT m.v <-> q.v AS d FROM m WHERE cat = 3 ORDER BY m.v <-> q.v LIMIT 7) n;
CREATE FUNCTION compare_join(col text, op text, qual text, more text) RETURNS TABLE (rows bigint, different bigint) LANGUAGE plpgsql AS $$
DECLARE
	body text := format('SELECT q.id, n.d + 0 AS d FROM q %3$s JOIN LATERAL (SELECT t.%1$s %2$s q.%1$s AS d, t.id FROM TABLE_NAME t WHERE %4$s
		ORDER BY t.%1$s %2$s q.%1$s LIMIT 7) n ON true', col, op, more, qual);
BEGIN
	SET LOCAL enable_sort = off;
	EXECUTE 'CREATE TEMP TABLE ours AS ' || replace(body, 'TABLE_NAME', 'm');
	RESET enable_sort;
	EXECUTE 'CREATE TEMP TABLE theirs AS ' || replace(body, 'TABLE_NAME', 'h');
	RETURN QUERY SELECT (SELECT count(*) FROM ours), (SELECT count(*) FROM (
		(TABLE ours EXCEPT ALL TABLE theirs) UNION ALL (TABLE theirs EXCEPT ALL TABLE ours)) s);
	DROP TABLE ours, theirs;
END $$;
SELECT col, op, qual, j.* FROM (VALUES ('v', '<->'), ('v', '<#>'), ('v', '<=>'), ('v', '<+>'), ('ten', '<->'), ('half', '<=>'), ('tiny', '<->')) s(col, op),
	(VALUES ('true'), ('cat = 3 AND t.id % 2 = 0'), ('t.id > q.id')) c(qual), compare_join(col, op, qual, '') j ORDER BY 1, 2, 3;
SELECT j.* FROM compare_join('ten', '<->', 't.cat = q.cat', 'LEFT') j;
-- each search of the list is asked for all its rows
SELECT count(*), count(DISTINCT (q.id, n.id)) FROM (SELECT * FROM q LIMIT 5) q, LATERAL (SELECT m.id FROM m, LATERAL (SELECT 1 WHERE m.id > 0 OFFSET 0) o
	ORDER BY m.v <-> q.v LIMIT 1000) n;
-- cursors, backwards and kept
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM m WHERE id < 10000 ORDER BY few <-> '[1,2,3,4,5]' LIMIT 4;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
COMMIT;
FETCH LAST FROM c;
CLOSE c;
-- rows are locked and changed through it
BEGIN;
SELECT id, ctid IS NOT NULL AS place, tableoid::regclass FROM m WHERE id < 10000 ORDER BY few <-> '[1,2,3,4,5]' LIMIT 2 FOR UPDATE;
UPDATE m SET note = 'near' WHERE ctid = ANY (ARRAY(SELECT ctid FROM m WHERE id < 10000 ORDER BY few <-> '[1,2,3,4,5]' LIMIT 2));
SELECT id, note FROM m WHERE id < 10000 ORDER BY few <-> '[1,2,3,4,5]' LIMIT 3;
ROLLBACK;

-- partitions
CREATE TABLE parts (id int, v vector(12)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (500) USING milvus;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (500) TO (100000) USING milvus;
INSERT INTO parts SELECT id, v FROM h;
ANALYZE parts;
SELECT count(*) FROM milvus.flush_table('parts_1');
EXPLAIN (COSTS OFF) SELECT id FROM parts ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 5;
SELECT compare('parts', 'v', op, '''[1,1,1,1,1,1,1,1,1,1,1,1]''::vector', 'true', k) FROM (VALUES ('<->'), ('<=>')) o(op), (VALUES (5), (2000)) n(k);

-- parallel
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT id FROM m WHERE cat = 3 ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 5;
SELECT compare('m', 'v', op, '''[1,1,1,1,1,1,1,1,1,1,1,1]''::vector', qual, k) FROM (VALUES ('<->'), ('<=>')) o(op), (VALUES (5), (2000)) n(k),
	(VALUES ('true'), ('cat = 3'), ('id % 50 = 1')) c(qual);
-- what EXPLAIN ANALYZE says is there when the workers have gone
CREATE FUNCTION rows_read(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE line text; total bigint := 0;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		total := total + coalesce(substring(line FROM 'Rows Read by [A-Z].*: ([0-9]+)')::bigint, 0);
	END LOOP;
	RETURN total;
END $$;
SELECT rows_read('SELECT id FROM m ORDER BY v <-> ''[1,1,1,1,1,1,1,1,1,1,1,1]'' LIMIT 5') = (SELECT count(*) FROM m) AS all_read;
-- executed again; LIMIT that is unknown, and is none
SELECT g, (SELECT count(*) FROM (SELECT id FROM m ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 5) s WHERE s.id > g) AS rows
FROM generate_series(-3, -1) g;
SET plan_cache_mode = force_generic_plan;
PREPARE nearest(bigint) AS SELECT count(*) = least($1, (SELECT count(*) FROM m)) AS found FROM (SELECT id FROM m ORDER BY v <-> '[1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT $1) s;
EXECUTE nearest(5);
EXECUTE nearest(NULL);
DEALLOCATE nearest;
RESET plan_cache_mode;
-- parts of a partitioned table may be sorted once more, by which all is asked for
CREATE TABLE halves (id int, v vector(16)) PARTITION BY RANGE (id);
CREATE TABLE halves_1 PARTITION OF halves FOR VALUES FROM (0) TO (10000) USING milvus;
CREATE TABLE halves_2 PARTITION OF halves FOR VALUES FROM (10000) TO (20000) USING milvus;
INSERT INTO halves SELECT i, array_fill(i % 1000, ARRAY[16])::real[]::vector FROM generate_series(0, 19999) i;
SELECT count(*) FROM milvus.flush_table('halves_1');
SELECT count(*) FROM milvus.flush_table('halves_2');
VACUUM ANALYZE halves;
SET enable_seqscan = off;
SET milvus.enable_column_scan = off;
SET cpu_tuple_cost = 0.05;
SET cpu_operator_cost = 0.0001;
SET max_parallel_workers = 0;
SELECT count(*) FROM (SELECT id FROM halves ORDER BY v <-> array_fill(5, ARRAY[16])::real[]::vector LIMIT 9900) s;
RESET max_parallel_workers;
RESET enable_seqscan;
RESET milvus.enable_column_scan;
RESET cpu_tuple_cost;
RESET cpu_operator_cost;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;

-- Rows that a policy hides say nothing, not even by an error of the distance.
CREATE TABLE mixed (id int, visible boolean, v vector) USING milvus;
INSERT INTO mixed SELECT i, i % 5 <> 0, CASE WHEN i % 5 = 0 THEN '[1,2]' ELSE array_fill(i, ARRAY[3])::vector END FROM generate_series(1, 200) i;
ANALYZE mixed;
CREATE FUNCTION leaky(int) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.0001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
ALTER TABLE mixed ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mixed USING (visible);
CREATE ROLE regress_knn_reader;
GRANT USAGE ON SCHEMA knn_exact TO regress_knn_reader;
GRANT SELECT ON mixed TO regress_knn_reader;
SET enable_sort = off;
SET ROLE regress_knn_reader;
EXPLAIN (COSTS OFF) SELECT id FROM mixed WHERE leaky(id) ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT id FROM mixed ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT id FROM mixed WHERE leaky(id) AND id < 9 ORDER BY v <-> '[1,2,3]' LIMIT 3;
RESET ROLE;
SELECT count(*) FROM milvus.flush_table('mixed');
SET ROLE regress_knn_reader;
SELECT id FROM mixed ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT id FROM mixed WHERE leaky(id) AND id < 9 ORDER BY v <-> '[1,2,3]' LIMIT 3;
RESET ROLE;
SELECT id FROM mixed ORDER BY v <-> '[1,2,3]' LIMIT 3;

-- values of one size in bytes, with other numbers of elements: an error as without the scan
CREATE TABLE widths (id int PRIMARY KEY, half halfvec, tiny int8vec) USING milvus;
INSERT INTO widths
	SELECT i, array_fill(i % 100, ARRAY[32 - i % 2])::real[]::vector::halfvec,
		array_fill(i % 100, ARRAY[32 - i % 2])::real[]::vector::int8vec
	FROM generate_series(0, 2999) i;
SELECT count(*) FROM milvus.flush_table('widths');
SELECT count(*) FROM (SELECT FROM widths ORDER BY half <-> array_fill(6.1, ARRAY[32])::real[]::vector::halfvec LIMIT 1) nearest;
SELECT count(*) FROM (SELECT FROM widths ORDER BY tiny <-> array_fill(6, ARRAY[32])::real[]::vector::int8vec LIMIT 1) nearest;
SELECT id FROM widths WHERE id % 2 = 0 AND id < 90 ORDER BY tiny <-> array_fill(6, ARRAY[32])::real[]::vector::int8vec LIMIT 3;

SET client_min_messages = warning;
DROP SCHEMA knn_exact CASCADE;
DROP ROLE regress_knn_reader;
