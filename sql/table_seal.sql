-- Sealing and compaction of milvus tables by hand, and what can be seen of them.
SET client_min_messages = warning;
CREATE TABLE plain (id int PRIMARY KEY, grp int, note text, big text, embedding vector(4));
ALTER TABLE plain ALTER big SET STORAGE external;
CREATE TABLE stored (LIKE plain INCLUDING ALL) USING milvus;
CREATE VIEW segments AS
	SELECT number, state, rows, deleted_rows, raw_bytes > 0 AS raw, stored_bytes > 0 AS stored,
		first_row < last_row AS range, sealed >= created AS sealed, flushed >= sealed AS flushed
	FROM milvus.table_segments('stored');
-- rows that are in one table and not in the other
CREATE VIEW different AS
	(SELECT * FROM plain EXCEPT ALL SELECT * FROM stored) UNION ALL
	(SELECT * FROM stored EXCEPT ALL SELECT * FROM plain);

INSERT INTO plain
	SELECT i, i % 10, 'a note on row ' || i, CASE WHEN i % 20 = 0 THEN repeat(md5(i::text), 200) END,
		ARRAY[i, 0, 0, 1]::real[]::vector
	FROM generate_series(1, 5000) i;
INSERT INTO stored SELECT * FROM plain;

SELECT * FROM segments;
SELECT milvus.flush_table('stored');
SELECT * FROM segments;
SELECT * FROM milvus.check_table('stored');
SELECT * FROM different;
-- nothing is left to be sealed
SELECT milvus.flush_table('stored');
-- the values out of line are in the segment alone
SELECT count(*) FROM stored WHERE length(big) = 6400;

-- ranges and codecs of columns
SELECT key, value ->> 'min' AS min, value ->> 'max' AS max, value ->> 'nulls' AS nulls,
	value ->> 'codec' <> '' AS codec, (value ->> 'raw_bytes')::int > 0 AS raw
FROM milvus.table_segments('stored') s, jsonb_each(s.columns) ORDER BY key;

-- changes make rows growing again, or dead
UPDATE plain SET note = 'changed' WHERE id % 100 = 7;
UPDATE stored SET note = 'changed' WHERE id % 100 = 7;
DELETE FROM plain WHERE id BETWEEN 1001 AND 2500;
DELETE FROM stored WHERE id BETWEEN 1001 AND 2500;
SELECT * FROM segments;
SELECT * FROM different;
SELECT milvus.flush_table('stored');
SELECT * FROM segments ORDER BY number;
SELECT * FROM milvus.check_table('stored');

-- merged, without the dead rows
SELECT milvus.compact_table('stored');
SELECT * FROM segments;
SELECT * FROM milvus.check_table('stored');
SELECT * FROM different;
-- nothing to merge
SELECT milvus.compact_table('stored');

-- sorted: by the primary key, by a column
SELECT milvus.compact_table('stored', 'sort');
SELECT milvus.compact_table('stored', 'cluster');
SELECT milvus.alter_table_options('stored', '{"cluster_key": "grp", "segment_rows": 1024}');
SELECT milvus.compact_table('stored', 'cluster');
SELECT number, rows, columns -> 'grp' ->> 'min' AS min, columns -> 'grp' ->> 'max' AS max
FROM milvus.table_segments('stored') ORDER BY number;
SELECT * FROM milvus.check_table('stored');
SELECT * FROM different;

-- all rows gone: so are the segments
DELETE FROM plain;
DELETE FROM stored;
SELECT milvus.compact_table('stored');
SELECT * FROM segments;
SELECT * FROM milvus.check_table('stored');
VACUUM stored;
INSERT INTO stored (id, note) SELECT i, repeat('again', 10) FROM generate_series(1, 100) i;
SELECT milvus.flush_table('stored');
SELECT rows FROM segments;

-- columns that came and went
DROP VIEW different;
ALTER TABLE stored ADD late int DEFAULT 7, DROP grp;
INSERT INTO stored (id, note, late) SELECT i, repeat('again', 10), i FROM generate_series(101, 200) i;
SELECT milvus.flush_table('stored');
SELECT milvus.compact_table('stored');
SELECT count(*), sum(late), sum(id), min(note) FROM stored;
SELECT * FROM milvus.check_table('stored');

-- the query form
SELECT milvus.load_table('stored') > 0 AS loaded;
SELECT milvus.release_table('stored');
SELECT milvus.load_table('stored') > 0 AS loaded;

-- what cannot be
SELECT milvus.flush_table('plain');
SELECT milvus.compact_table('stored', 'nothing');
CREATE TEMP TABLE mine (id int) USING milvus;
SELECT milvus.flush_table('mine');
CREATE UNLOGGED TABLE fast (id int) USING milvus;
SELECT milvus.flush_table('fast');
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
SELECT milvus.flush_table('parts');
SELECT * FROM milvus.check_table('parts');
SELECT milvus.alter_table_options('parts', '{"min_rows": 2000}');
CREATE MATERIALIZED VIEW viewed USING milvus AS SELECT 1 AS id;
SELECT milvus.flush_table('viewed');
SELECT * FROM milvus.check_table('viewed');
SELECT milvus.alter_table_options('viewed', '{"min_rows": 2000}');
DROP MATERIALIZED VIEW viewed;
BEGIN;
CREATE TABLE fresh (id int) USING milvus;
SELECT milvus.flush_table('fresh');
ROLLBACK;
BEGIN;
LOCK TABLE stored IN SHARE MODE;
SELECT milvus.flush_table('stored');
ROLLBACK;
ALTER TABLE stored REPLICA IDENTITY FULL;
SELECT milvus.flush_table('stored');
ALTER TABLE stored REPLICA IDENTITY DEFAULT;

-- within a transaction that wrote to the table: its own rows are not settled
BEGIN;
INSERT INTO stored (id, note) VALUES (1000, repeat('mine', 20));
SELECT milvus.flush_table('stored');
COMMIT;
SELECT state, rows FROM segments ORDER BY number;

-- who may
CREATE ROLE table_reader;
GRANT SELECT (id) ON stored TO table_reader;
SET ROLE table_reader;
SELECT milvus.flush_table('stored');
SELECT milvus.compact_table('stored');
SELECT milvus.check_table('stored');
SELECT milvus.alter_table_options('stored', '{}');
SELECT number FROM milvus.table_segments('stored');
RESET ROLE;
-- figures for those who monitor, values for those who may read the table
GRANT pg_stat_scan_tables TO table_reader;
SET ROLE table_reader;
SELECT count(*), bool_or(columns::text ~ 'min') AS ranges FROM milvus.table_segments('stored');
RESET ROLE;
GRANT SELECT ON stored TO table_reader;
SET ROLE table_reader;
SELECT count(*), bool_or(columns::text ~ 'min') AS ranges FROM milvus.table_segments('stored');
RESET ROLE;
ALTER TABLE stored ENABLE ROW LEVEL SECURITY;
SET ROLE table_reader;
SELECT count(*), bool_or(columns::text ~ 'min') AS ranges FROM milvus.table_segments('stored');
RESET ROLE;

-- who may not read the referenced table has a new foreign key checked row by row
CREATE TABLE referenced (id int PRIMARY KEY);
INSERT INTO referenced SELECT generate_series(1, 3000);
GRANT REFERENCES ON referenced TO table_reader;
CREATE TABLE referencing (id int PRIMARY KEY, r int, note text) USING milvus;
INSERT INTO referencing SELECT i, i, 'a note on row ' || i FROM generate_series(1, 3000) i;
ALTER TABLE referencing OWNER TO table_reader;
SELECT count(*) FROM milvus.flush_table('referencing');
SET ROLE table_reader;
ALTER TABLE referencing ADD FOREIGN KEY (r) REFERENCES referenced;
ALTER TABLE referencing DROP CONSTRAINT referencing_r_fkey;
RESET ROLE;
DELETE FROM referenced WHERE id = 2000;
SET ROLE table_reader;
ALTER TABLE referencing ADD FOREIGN KEY (r) REFERENCES referenced;
RESET ROLE;

-- bounds of texts are cut between characters
CREATE TABLE wide (id int PRIMARY KEY, note text) USING milvus;
INSERT INTO wide SELECT i, 'x' || repeat('é', 40) || i FROM generate_series(1, 3000) i;
SELECT count(*) FROM milvus.flush_table('wide');
SELECT octet_length(columns -> 'note' ->> 'min') AS min, octet_length(columns -> 'note' ->> 'max_prefix') AS max,
	octet_length(convert_to(columns::text, 'LATIN1')) > 0 AS valid
FROM milvus.table_segments('wide');

-- rows of a page that are too much for a segment's column stay growing for the next one
CREATE TABLE heavy (id int PRIMARY KEY, note text) USING milvus;
INSERT INTO heavy SELECT i, repeat(i::text, 100000 / length(i::text)) FROM generate_series(1, 40) i;
SET milvus.debug_point = 'small-columns:fail';
SELECT count(*) FROM milvus.flush_table('heavy');
RESET milvus.debug_point;
SELECT state, rows FROM milvus.table_segments('heavy');
SELECT count(*) FROM milvus.flush_table('heavy');
SELECT state, rows FROM milvus.table_segments('heavy');
SELECT * FROM milvus.check_table('heavy');
SELECT count(*) FROM heavy WHERE note = repeat(id::text, 100000 / length(id::text));

DROP VIEW segments;
DROP TABLE plain, stored, fast, parts, referencing, referenced, wide, heavy;
DROP ROLE table_reader;
