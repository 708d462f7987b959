--
-- ann: rows come and go.  A row is found by the next statement, by the same transaction
-- too; a row of an aborted transaction or a deleted one never
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it
SET enable_seqscan = off;
SET enable_sort = off;

-- an index on an empty table
CREATE TABLE items (id int PRIMARY KEY, v vector(3), note text);
CREATE INDEX items_v ON items USING ann (v);
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
SELECT segments, sealed_rows, growing_rows FROM milvus.index_stats('items_v');
SELECT count(*) FROM milvus.index_segments('items_v');
SELECT * FROM milvus.check_index('items_v');
SELECT milvus.seal_index('items_v'), milvus.compact_index('items_v'), milvus.load_index('items_v'), milvus.index_recall('items_v');

-- one row
INSERT INTO items VALUES (1, '[1,0,0]');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
SELECT milvus.seal_index('items_v');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';

-- in the transaction that inserts, and after ROLLBACK
BEGIN;
INSERT INTO items VALUES (2, '[2,0,0]');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
SAVEPOINT a;
INSERT INTO items VALUES (3, '[3,0,0]');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
ROLLBACK TO a;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
INSERT INTO items VALUES (4, '[4,0,0]');
RELEASE a;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
ROLLBACK;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';

-- a statement does not see its own rows
INSERT INTO items SELECT 10 + id, v + v FROM items ORDER BY v <-> '[0,0,0]';
SELECT id FROM items ORDER BY v <-> '[0,0,0]';

-- an open cursor sees what was there when it was opened, whatever is inserted, sealed or deleted meanwhile
BEGIN;
DECLARE c CURSOR FOR SELECT id, v FROM items ORDER BY v <-> '[0,0,0]';
INSERT INTO items VALUES (5, '[0,0,0]'), (6, '[9,0,0]');
DELETE FROM items WHERE id = 11;
SELECT milvus.seal_index('items_v');
FETCH ALL FROM c;
COMMIT;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';

-- UPDATE: by its new vector, not by its old one; of another column, with and without a new entry
UPDATE items SET v = '[0,7,0]' WHERE id = 5;
UPDATE items SET id = 60 WHERE id = 6;
UPDATE items SET note = 'once' WHERE id = 60;
UPDATE items SET note = 'twice' WHERE id = 60;
SELECT * FROM items ORDER BY v <-> '[0,0,0]';
VACUUM items;
SELECT milvus.seal_index('items_v');
UPDATE items SET note = 'after sealing' WHERE id = 60;
SELECT * FROM items ORDER BY v <-> '[0,0,0]';
SELECT * FROM milvus.check_index('items_v');

-- a cursor's row, rows that are locked, rows found by the index that change
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> '[0,0,0]';
FETCH 2 FROM c;
UPDATE items SET v = '[0,0,2]' WHERE CURRENT OF c;
FETCH 1 FROM c;
SELECT id FROM items ORDER BY v <-> '[0,0,0]' LIMIT 2 FOR UPDATE;
WITH moved AS (UPDATE items SET v = v + '[50,0,0]' WHERE id IN (SELECT id FROM items ORDER BY v <-> '[0,0,0]' LIMIT 2) RETURNING id)
	SELECT id FROM moved ORDER BY id;
DELETE FROM items USING (SELECT id FROM items ORDER BY v <-> '[0,0,0]' LIMIT 1) AS nearest WHERE nearest.id = items.id RETURNING items.id;
SELECT id, v FROM items ORDER BY v <-> '[0,0,0]';
ROLLBACK;

-- COPY
COPY items FROM stdin (DELIMITER ';', NULL '');
70;[0,0.5,0];
71;;by hand
\.
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
DELETE FROM items WHERE id IN (70, 71);

-- DELETE and VACUUM, of sealed rows and growing ones; the table's slots are filled again
DELETE FROM items;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
VACUUM (INDEX_CLEANUP off) items;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
VACUUM (INDEX_CLEANUP on) items;
INSERT INTO items SELECT i, ARRAY[i, 0, 0]::vector FROM generate_series(1, 6) AS i;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
SELECT milvus.seal_index('items_v');
DELETE FROM items WHERE id % 2 = 0;
INSERT INTO items VALUES (7, '[7,0,0]'), (8, '[8,0,0]');
DELETE FROM items WHERE id = 8;
VACUUM items;
INSERT INTO items SELECT i, ARRAY[0, i, 0]::vector FROM generate_series(9, 12) AS i;
SELECT id, v FROM items ORDER BY v <-> '[0,0,0]';
SELECT * FROM milvus.check_index('items_v');

-- what VACUUM leaves behind (of a temporary table, for no other session can hold its dead rows)
CREATE TEMP TABLE mine (id int, v vector(3));
INSERT INTO mine SELECT i, ARRAY[i, 0, 0]::vector FROM generate_series(1, 100) AS i;
CREATE INDEX mine_v ON mine USING ann (v);
INSERT INTO mine SELECT i, ARRAY[i, 0, 0]::vector FROM generate_series(101, 110) AS i;
DELETE FROM mine WHERE id % 10 = 0;
SELECT sealed_rows, deleted_rows, growing_rows FROM milvus.index_stats('mine_v');
VACUUM mine;
SELECT sealed_rows, deleted_rows, growing_rows FROM milvus.index_stats('mine_v');
SELECT state, rows, deleted_rows FROM milvus.index_segments('mine_v');
SELECT count(*) FROM (SELECT * FROM mine ORDER BY v <-> '[0,0,0]') AS s;
-- a segment of which more than a fifth is dead is written anew
DELETE FROM mine WHERE id % 10 IN (1, 2);
VACUUM mine;
SELECT sealed_rows, deleted_rows, growing_rows FROM milvus.index_stats('mine_v');
-- a compacted index has no dead rows
SELECT milvus.compact_index('mine_v');
SELECT sealed_rows, deleted_rows, growing_rows FROM milvus.index_stats('mine_v');
SELECT count(*) FROM (SELECT * FROM mine ORDER BY v <-> '[0,0,0]') AS s;
SELECT * FROM milvus.check_index('mine_v');
DROP TABLE mine;

-- ON CONFLICT, RETURNING
INSERT INTO items VALUES (1, '[0,0,1]') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v;
INSERT INTO items VALUES (1, '[0,0,2]') ON CONFLICT DO NOTHING;
SELECT id, v FROM items ORDER BY v <-> '[0,0,0]' LIMIT 2;

-- a full growing part is sealed by the one who fills it; it looks when a page of it (about 400 rows here) is full
SET milvus.growing_rows = 100;
SET milvus.background_seal = off;
INSERT INTO items SELECT 100 + i, ARRAY[i, 1, 1]::vector FROM generate_series(1, 1000) AS i;
SELECT growing_limit, segments > 0 AS sealed, growing_rows < 600 AS bounded
	FROM milvus.index_stats('items_v');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v <-> '[0,0,0]') AS s;
SELECT * FROM milvus.check_index('items_v');
RESET milvus.growing_rows;
RESET milvus.background_seal;

-- TRUNCATE, and what comes after; with ROLLBACK the rows are back
BEGIN;
TRUNCATE items;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
INSERT INTO items VALUES (1, '[1,1,1]');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
SELECT milvus.seal_index('items_v');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
ROLLBACK;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v <-> '[0,0,0]') AS s;
TRUNCATE items;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
SELECT segments, sealed_rows, growing_rows FROM milvus.index_stats('items_v');
INSERT INTO items VALUES (1, '[1,1,1]');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';

-- CREATE INDEX, REINDEX and DROP INDEX in a transaction that fails
BEGIN;
CREATE INDEX items_w ON items USING ann (v vector_l1_ops);
INSERT INTO items VALUES (2, '[2,2,2]');
SELECT id FROM items ORDER BY v <+> '[0,0,0]';
ROLLBACK;
BEGIN;
INSERT INTO items VALUES (3, '[3,3,3]');
REINDEX INDEX items_v;
INSERT INTO items VALUES (4, '[4,4,4]');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
ROLLBACK;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
BEGIN;
DROP INDEX items_v;
INSERT INTO items VALUES (5, '[5,5,5]');
ROLLBACK;
INSERT INTO items VALUES (6, '[6,6,6]');
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
SELECT * FROM milvus.check_index('items_v');

-- rewriting the table makes the index anew
INSERT INTO items SELECT i, ARRAY[i, i, i]::vector FROM generate_series(10, 200) AS i;
DELETE FROM items WHERE id > 100;
VACUUM FULL items;
SELECT segments, deleted_rows, growing_rows FROM milvus.index_stats('items_v');
CLUSTER items USING items_pkey;
ALTER TABLE items ALTER id TYPE bigint;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM items ORDER BY v <-> '[0,0,0]') AS s;
SELECT * FROM milvus.check_index('items_v');
REINDEX TABLE CONCURRENTLY items;
SELECT id FROM items ORDER BY v <-> '[90.2,90,90]' LIMIT 3;
SELECT * FROM milvus.check_index('items_v');
DROP INDEX CONCURRENTLY items_v;
CREATE INDEX CONCURRENTLY items_v ON items USING ann (v) WITH (index_type = 'IVF_FLAT', nlist = 4);
SELECT id FROM items ORDER BY v <-> '[90.2,90,90]' LIMIT 3;
SELECT * FROM milvus.check_index('items_v');

-- the column's type can change with its dimension; names can; without the column there is no index
ALTER TABLE items ALTER v TYPE halfvec(4) USING (v || '[1]')::halfvec;
ALTER TABLE items ALTER v TYPE vector(4);
SELECT indexdef FROM pg_indexes WHERE indexname = 'items_v';
ALTER TABLE items RENAME v TO "Vec Tor";
ALTER TABLE items RENAME TO "The Items";
ALTER INDEX items_v RENAME TO "The Index";
SELECT id FROM "The Items" ORDER BY "Vec Tor" <-> '[90.2,90,90,1]' LIMIT 3;
SELECT milvus.index_recall('"The Index"') > 0.5 AS found;
SELECT * FROM milvus.check_index('"The Index"');
ALTER TABLE "The Items" DROP "Vec Tor";
SELECT count(*) FROM pg_indexes WHERE indexname = 'The Index';
ALTER TABLE "The Items" ADD w vector(2) DEFAULT '[1,2]';
CREATE INDEX "The Index" ON "The Items" USING ann (w);
SELECT count(*), min(distance), max(distance) FROM (SELECT w <-> '[1,1]' AS distance FROM "The Items" ORDER BY w <-> '[1,1]') AS s;
SELECT * FROM milvus.check_index('"The Index"');
DROP TABLE "The Items";
