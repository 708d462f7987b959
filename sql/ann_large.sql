--
-- ann: dimensions up to 32768, and vectors larger than a page, growing and sealed
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it
SET enable_seqscan = off;
SET enable_sort = off;

-- the vector whose elements are all `level` but for the one in front
CREATE FUNCTION flat_vector(dim int, front real, level real) RETURNS vector LANGUAGE sql IMMUTABLE AS
	$$ SELECT array_prepend(front, array_fill(level, ARRAY[dim - 1]))::vector $$;

-- Rows that are i / 8 away from the query in each element, by L2, half of them sealed, half growing;
-- NULLs and deleted rows between.  What an index scan returns, and problems found.
CREATE FUNCTION try_dimension(dim int, type text, index_type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	ids int[];
	sealed_ids int[];
	problems text;
	query text := format('SELECT array_agg(id) FROM (SELECT id FROM large ORDER BY v <-> flat_vector(%s, 0, 0)::%s) AS s', dim, type);
BEGIN
	EXECUTE format('CREATE TEMP TABLE large (id int, v %s(%s))', type, dim);
	INSERT INTO large SELECT i, flat_vector(dim, i / 8.0, -i / 8.0) FROM generate_series(2, 12, 2) AS i;
	INSERT INTO large VALUES (13, NULL);
	EXECUTE format('CREATE INDEX large_v ON large USING ann (v) WITH (index_type = %L, nlist = 2, m = 4)', index_type);
	INSERT INTO large SELECT i, flat_vector(dim, i / 8.0, -i / 8.0) FROM generate_series(11, 1, -2) AS i;
	DELETE FROM large WHERE id IN (5, 6);
	EXECUTE query INTO ids;
	PERFORM milvus.seal_index('large_v');
	EXECUTE query INTO sealed_ids;
	SELECT string_agg(p, '; ') INTO problems FROM milvus.check_index('large_v') AS p;
	DROP TABLE large;
	RETURN concat(ids, CASE WHEN ids = sealed_ids THEN ', sealed the same' ELSE format(', sealed %s', sealed_ids) END, problems);
END
$$;
-- a page holds an entry of 2030 float32 or 4060 float16 elements, two pages one of 4062
SELECT type, dim, index_type, try_dimension(dim, type, index_type)
	FROM (VALUES ('vector', 1), ('vector', 2030), ('vector', 2031), ('vector', 4062), ('vector', 4063), ('vector', 32768),
		('halfvec', 1), ('halfvec', 4060), ('halfvec', 4061), ('halfvec', 32768)) AS d(type, dim),
	unnest(ARRAY['HNSW', 'IVF_FLAT', 'FLAT']) AS index_type
	ORDER BY type DESC, dim, index_type;

-- no column is wider
CREATE TABLE wider (v vector(32769));

-- rows that come and go: their pages are used again
CREATE TEMP TABLE large (id int, v vector(5000));
CREATE INDEX large_v ON large USING ann (v vector_cosine_ops);
INSERT INTO large SELECT i, flat_vector(5000, i, 1) FROM generate_series(1, 40) AS i;
SELECT id FROM large ORDER BY v <=> flat_vector(5000, 1, 0) LIMIT 3;
DELETE FROM large WHERE id > 30;
VACUUM large;
SELECT id FROM large ORDER BY v <=> flat_vector(5000, 1, 0) LIMIT 3;
SELECT milvus.seal_index('large_v');
SELECT state, rows, deleted_rows FROM milvus.index_segments('large_v');
SELECT id FROM large ORDER BY v <=> flat_vector(5000, 1, 0) LIMIT 3;
UPDATE large SET v = flat_vector(5000, -id, 1);
VACUUM large;
SELECT id FROM large ORDER BY v <=> flat_vector(5000, -1, 0) LIMIT 3;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM large ORDER BY v <=> flat_vector(5000, -1, 0)) AS s;
SELECT * FROM milvus.check_index('large_v');
SELECT bytes AS bytes_before FROM milvus.index_stats('large_v') \gset
UPDATE large SET v = flat_vector(5000, id, 2); VACUUM large; SELECT milvus.compact_index('large_v') AS round \gset
UPDATE large SET v = flat_vector(5000, id, 3); VACUUM large; SELECT milvus.compact_index('large_v') AS round \gset
UPDATE large SET v = flat_vector(5000, id, 4); VACUUM large; SELECT milvus.compact_index('large_v') AS round \gset
UPDATE large SET v = flat_vector(5000, id, 5); VACUUM large; SELECT milvus.compact_index('large_v') AS round \gset
UPDATE large SET v = flat_vector(5000, id, 6); VACUUM large; SELECT milvus.compact_index('large_v') AS round \gset
SELECT bytes::float8 / :bytes_before < 1.5 AS bounded, sealed_rows, growing_rows, deleted_rows FROM milvus.index_stats('large_v');
SELECT id FROM large ORDER BY v <=> flat_vector(5000, 1, 0) LIMIT 3;
SELECT * FROM milvus.check_index('large_v');

-- values that the table stores compressed, or out of line
CREATE TABLE stored (id int, v vector(3000));
ALTER TABLE stored ALTER v SET STORAGE EXTENDED;
INSERT INTO stored SELECT i, flat_vector(3000, i, 1) FROM generate_series(1, 10) AS i;
CREATE INDEX stored_v ON stored USING ann (v);
INSERT INTO stored SELECT i, flat_vector(3000, i, 1) FROM generate_series(11, 15) AS i;
ALTER TABLE stored ALTER v SET STORAGE EXTERNAL;
INSERT INTO stored SELECT i, flat_vector(3000, i, 1) FROM generate_series(16, 20) AS i;
SELECT min(pg_column_size(v)) < 1000 AS compressed, max(pg_column_size(v)) > 12000 AS external FROM stored;
SELECT array_agg(id) FROM (SELECT id FROM stored ORDER BY v <-> flat_vector(3000, 0, 1)) AS s;
-- a query that comes from the table
SELECT array_agg(id) FROM (SELECT id FROM stored ORDER BY v <-> (SELECT v FROM stored WHERE id = 12) LIMIT 1) AS s;
SELECT * FROM milvus.check_index('stored_v');

DROP TABLE large, stored;
DROP FUNCTION try_dimension, flat_vector;
