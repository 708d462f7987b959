-- Updates that change no indexed column stay heap-only: they write nothing to an ann index, with
-- scalar columns in it or without, and the index finds the new versions.
CREATE TABLE hot (id int PRIMARY KEY, topic int, tags int[], note text, v vector(3)) WITH (fillfactor = 20);
INSERT INTO hot SELECT i, i % 5, ARRAY[i % 3], 'old', ARRAY[i, i % 7, 1]::real[]::vector FROM generate_series(1, 200) i;
CREATE INDEX hot_v ON hot USING ann (v vector_l2_ops, topic, tags);
CREATE INDEX hot_half ON hot USING ann ((v::halfvec(3)) halfvec_cosine_ops) WITH (index_type = 'IVF_FLAT', nlist = 4);

-- rows updated so far and those of them heap-only, which are this transaction's, and entries that the indexes got
CREATE FUNCTION updates(OUT updated bigint, OUT hot bigint, OUT entries bigint, OUT entries_half bigint) LANGUAGE sql AS $$
	SELECT pg_stat_get_xact_tuples_updated('hot'::regclass), pg_stat_get_xact_tuples_hot_updated('hot'::regclass),
		(SELECT growing_rows FROM milvus.index_stats('hot_v')), (SELECT growing_rows FROM milvus.index_stats('hot_half'))
$$;

BEGIN;
-- a column that is in no index
UPDATE hot SET note = 'new';
SELECT * FROM updates();
-- indexed columns set to the values that they have
UPDATE hot SET topic = id % 5, tags = ARRAY[id % 3], v = ARRAY[id, id % 7, 1]::real[]::vector, note = 'newer' WHERE id <= 50;
SELECT * FROM updates();
-- a scalar column of one index: all indexes of the table get an entry, as with any index
UPDATE hot SET topic = 9 WHERE id <= 10;
SELECT * FROM updates();
-- the vector
UPDATE hot SET v = ARRAY[1000 + id, 0, 0]::real[]::vector WHERE id BETWEEN 11 AND 15;
SELECT * FROM updates();
COMMIT;

-- the newest versions are found, before and after pruning took the others away
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
CREATE FUNCTION answers() RETURNS TABLE (what text, answer text) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT 'nearest', string_agg(a.id || ' ' || a.note, ', ')
		FROM (SELECT id, note FROM hot ORDER BY v <-> '[20.2, 6, 1]' LIMIT 3) a;
	RETURN QUERY SELECT 'of topic 9', string_agg(a.id || ' ' || a.note, ', ')
		FROM (SELECT id, note FROM hot WHERE topic = 9 ORDER BY v <-> '[4.1, 4, 1]' LIMIT 3) a;
	RETURN QUERY SELECT 'with a tag', string_agg(a.id || ' ' || a.note, ', ')
		FROM (SELECT id, note FROM hot WHERE tags @> '{2}' ORDER BY v <-> '[60.2, 4, 1]' LIMIT 3) a;
	RETURN QUERY SELECT 'moved', string_agg(a.id || ' ' || a.note, ', ')
		FROM (SELECT id, note FROM hot ORDER BY v <-> '[1013.1, 0, 0]' LIMIT 3) a;
	RETURN QUERY SELECT 'all', count(*) || ' ' || count(DISTINCT a.id) FROM (SELECT id FROM hot ORDER BY v <-> '[0, 0, 0]') a;
END $$;
EXPLAIN (COSTS OFF) SELECT id, note FROM hot WHERE topic = 9 ORDER BY v <-> '[4.1, 4, 1]' LIMIT 3;
SELECT * FROM answers();
VACUUM hot;
SELECT * FROM answers();
-- chains that grow again behind the entries
UPDATE hot SET note = 'newest' WHERE id % 2 = 0;
SELECT * FROM answers();
SELECT milvus.compact_index('hot_v');
SELECT * FROM answers();
SELECT * FROM milvus.check_index('hot_v');
SELECT * FROM milvus.check_index('hot_half');
DROP TABLE hot;
DROP FUNCTION updates;
DROP FUNCTION answers;
