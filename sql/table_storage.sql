-- Columns whose storage became PLAIN after rows were written.  Heap carries along, compressed or
-- out of line, what such rows have; a sealed row has to be as good a source.  Each statement runs
-- on both kinds of table and has to end alike.
SET client_min_messages = warning;

CREATE FUNCTION made(i int, n int) RETURNS text IMMUTABLE LANGUAGE sql
	AS $$SELECT string_agg(md5((i * 31 + g)::text), '') FROM generate_series(1, n) g$$;

CREATE TABLE storage_heap (id int PRIMARY KEY, n int, zip text, big text, other text, emb vector(2200), e text DEFAULT 'e');
ALTER TABLE storage_heap ALTER big SET STORAGE EXTERNAL;
CREATE TABLE storage_milvus (LIKE storage_heap INCLUDING ALL) USING milvus;
CREATE INDEX ON storage_heap (zip);
CREATE INDEX ON storage_milvus (zip);

-- zip: compressed to little; big: out of line; other: some of both
INSERT INTO storage_heap
	SELECT i, i, repeat('zip ' || i || ' ', 1000), made(i, 300), repeat(made(i, 30), i % 7), array_fill(i::real, ARRAY[2200])::vector
	FROM generate_series(1, 60) i;
INSERT INTO storage_milvus SELECT * FROM storage_heap;
SELECT count(*) AS segments FROM milvus.flush_table('storage_milvus');
SELECT format('ALTER TABLE %s ALTER zip SET STORAGE PLAIN, ALTER big SET STORAGE PLAIN, ALTER other SET STORAGE PLAIN, ALTER emb SET STORAGE PLAIN', t)
	FROM unnest(ARRAY['storage_heap', 'storage_milvus']) t
\gexec

CREATE FUNCTION refill() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.e := NEW.e || OLD.id; RETURN NEW; END$$;

-- a statement, with %T for the table, on both
CREATE FUNCTION on_both(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text[];
	name text;
	differing bigint;
	n bigint;
BEGIN
	FOREACH name IN ARRAY ARRAY['heap', 'milvus'] LOOP
		n := 0;
		BEGIN
			EXECUTE replace(statement, '%T', 'storage_' || name);
			GET DIAGNOSTICS n = ROW_COUNT;
			said := said || (n || ' rows');
		EXCEPTION WHEN OTHERS THEN
			said := said || regexp_replace(replace(SQLERRM, 'storage_' || name, '%T'), 'size \d+', 'size N');
		END;
	END LOOP;
	SELECT count(*) INTO differing FROM ((TABLE storage_heap EXCEPT ALL TABLE storage_milvus)
		UNION ALL (TABLE storage_milvus EXCEPT ALL TABLE storage_heap)) x;
	RETURN CASE WHEN said[1] = said[2] AND differing = 0 THEN 'same: ' || said[1] ELSE format('DIFFERENT: %s, %s rows', said, differing) END;
END $$;

-- what is not changed stays what it was
SELECT on_both('UPDATE %T SET n = n + 1 WHERE id <= 10');
SELECT on_both('UPDATE %T SET id = id + 1000 WHERE id <= 5');
SELECT on_both('INSERT INTO %T (id, n) SELECT i, 1 FROM generate_series(11, 20) i ON CONFLICT (id) DO UPDATE SET n = %T.n + excluded.n');
SELECT on_both('MERGE INTO %T t USING generate_series(21, 30) s ON t.id = s WHEN MATCHED THEN UPDATE SET n = -s');
SELECT on_both('DO $x$ DECLARE r record; BEGIN FOR r IN SELECT id FROM %T WHERE id BETWEEN 31 AND 35 FOR UPDATE LOOP UPDATE %T SET n = 0, e = NULL WHERE id = r.id; END LOOP; END $x$');
SELECT on_both('CREATE TRIGGER refill BEFORE UPDATE ON %T FOR EACH ROW EXECUTE FUNCTION refill()');
SELECT on_both('UPDATE %T SET n = n + 1 WHERE id BETWEEN 36 AND 40');
SELECT on_both('DROP TRIGGER refill ON %T');
-- nor when it has been updated already, sealed again or not
SELECT on_both('UPDATE %T SET n = n + 1 WHERE id <= 45');
SELECT count(*) AS segments FROM milvus.flush_table('storage_milvus');
SELECT on_both('UPDATE %T SET n = n + 1 WHERE id <= 45');
SELECT count(*) > 0 AS compacted FROM milvus.compact_table('storage_milvus', 'sort');
SELECT on_both('UPDATE %T SET n = n + 1 WHERE id <= 45');
SELECT count(*) AS rows, sum(n) AS n, sum(length(zip)) AS zip, sum(length(big)) AS big, sum(length(other)) AS other FROM storage_milvus;

-- what a statement sets is stored as the column wants it
SELECT on_both('UPDATE %T SET zip = zip || ''!'' WHERE id = 50');
SELECT on_both('UPDATE %T SET big = made(id, 299) WHERE id = 50');
SELECT on_both('UPDATE %T SET big = NULL, emb = NULL, zip = ''short'' WHERE id = 50');
SELECT on_both('UPDATE %T SET other = made(id, 200) WHERE id = 51');
SELECT on_both('UPDATE %T SET other = made(id, 250), big = ''small'', emb = NULL WHERE id = 51');

-- indexes on values that are compressed
SELECT on_both('REINDEX TABLE %T');
SELECT on_both('CREATE INDEX ON %T (n, zip)');
SELECT on_both('UPDATE %T SET n = n + 1 WHERE id > 45');

-- rows as a source of other rows
CREATE TABLE taken (LIKE storage_heap);
ALTER TABLE taken ALTER zip SET STORAGE PLAIN;
SELECT on_both('INSERT INTO taken (id, zip) SELECT id, zip FROM %T');
SELECT count(*), count(DISTINCT (id, zip)) FROM taken;

-- rows that are written anew: out of line is not for a plain column
SELECT on_both('UPDATE %T SET big = NULL, emb = NULL');
SELECT count(*) AS segments FROM milvus.flush_table('storage_milvus');
SELECT on_both('ALTER TABLE %T ALTER n TYPE bigint');
SELECT count(*) AS segments FROM milvus.flush_table('storage_milvus');
SELECT on_both('CLUSTER %T USING %T_pkey');
VACUUM FULL storage_heap;
VACUUM FULL storage_milvus;
SELECT on_both('UPDATE %T SET n = 0 WHERE id % 2 = 0');
SELECT on_both('ALTER TABLE %T REPLICA IDENTITY FULL');
SELECT on_both('CLUSTER %T USING %T_pkey');
SELECT on_both('UPDATE %T SET n = 1 WHERE id % 3 = 0');

-- to another partition
CREATE TABLE parts (id int, part int, zip text) PARTITION BY LIST (part);
ALTER TABLE parts ALTER zip SET STORAGE PLAIN;
CREATE TABLE part_one PARTITION OF parts FOR VALUES IN (1) USING milvus;
CREATE TABLE part_two PARTITION OF parts FOR VALUES IN (2) USING milvus;
ALTER TABLE part_one ALTER zip SET STORAGE EXTENDED;
INSERT INTO parts SELECT i, 1, repeat('zip ' || i || ' ', 2000) FROM generate_series(1, 20) i;
SELECT count(*) AS segments FROM milvus.flush_table('part_one');
ALTER TABLE part_one ALTER zip SET STORAGE PLAIN;
UPDATE parts SET part = 2;
SELECT tableoid::regclass, count(*), bool_and(zip = repeat('zip ' || id || ' ', 2000)) FROM parts GROUP BY 1;

-- a column of storage PLAIN from the beginning: its values are read where they lie
CREATE TABLE plain (id int PRIMARY KEY, emb vector(700), note text) USING milvus;
ALTER TABLE plain ALTER emb SET STORAGE PLAIN, ALTER note SET STORAGE PLAIN;
INSERT INTO plain SELECT i, array_fill(i::real, ARRAY[700])::vector, repeat('n', 3000) FROM generate_series(1, 50) i;
SELECT count(*) AS segments FROM milvus.flush_table('plain');
SELECT count(*) FROM plain WHERE pg_column_size(emb) = 2808 AND pg_column_size(note) = 3004 AND emb = array_fill(id::real, ARRAY[700])::vector;

SELECT * FROM milvus.check_table('storage_milvus');
SELECT * FROM milvus.check_table('part_two');
DROP TABLE storage_heap, storage_milvus, taken, parts, plain;
DROP FUNCTION made, on_both, refill;
