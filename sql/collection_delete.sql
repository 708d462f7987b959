-- Deleting: by keys, by a filter with templates, of a partition.
\set SHOW_CONTEXT never
\pset null '(null)'

SELECT milvus.create_collection('docs', schema => '{"enable_dynamic_field": true, "fields": [
	{"name": "id", "type": "INT64", "is_primary": true}, {"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}},
	{"name": "s", "type": "VARCHAR", "params": {"max_length": 20}, "nullable": true}, {"name": "j", "type": "JSON", "nullable": true},
	{"name": "tags", "type": "ARRAY", "element_type": "INT32", "params": {"max_capacity": 4}, "nullable": true},
	{"name": "t", "type": "TIMESTAMPTZ", "nullable": true}],
	"struct_fields": [{"name": "chunks", "max_capacity": 4, "nullable": true, "fields": [{"name": "n", "type": "INT32"},
		{"name": "emb", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}]}') \g (tuples_only=on)
SELECT milvus.create_partition('docs', 'p');
CREATE FUNCTION pg_temp.fill() RETURNS void LANGUAGE sql AS $$
	SELECT milvus.truncate_collection('docs');
	SELECT milvus.insert('docs', (SELECT jsonb_agg(jsonb_build_object('id', i, 'v', '[1,2]', 's', CASE WHEN i % 5 > 0 THEN 'text ' || i END,
		'j', jsonb_build_object('a', i % 3), 'color', CASE WHEN i % 2 = 0 THEN 'red' ELSE 'blue' END, 'tags', ARRAY[i % 4],
		't', '2025-01-01T00:00:00Z'::timestamptz + i * interval '1 day', 'chunks', jsonb_build_array(jsonb_build_object('n', i, 'emb', ARRAY[i, i]))))
		FROM generate_series(1, 10) i));
	SELECT milvus.insert('docs', (SELECT jsonb_agg(jsonb_build_object('id', i, 'v', '[1,2]')) FROM generate_series(11, 12) i), 'p') $$;
SELECT pg_temp.fill();
CREATE FUNCTION pg_temp.remain() RETURNS bigint[] LANGUAGE sql AS $$ SELECT array_agg(id ORDER BY id) FROM docs $$;

-- ---- by keys ----

SELECT delete_count, "timestamp" > 0 AS has_time FROM milvus.delete('docs', '[1, 2, 99]');
SELECT delete_count FROM milvus.delete('docs', ids => '3');
SELECT delete_count FROM milvus.delete('docs', '["4", 4]');
SELECT delete_count FROM milvus.delete('docs', '[]');
SELECT pg_temp.remain();
SELECT * FROM milvus.delete('docs', '["x"]');
SELECT * FROM milvus.delete('docs', '[5, null]');
SELECT * FROM milvus.delete('docs', '{"id": 5}');
SELECT * FROM milvus.delete('docs', 'null');
SELECT * FROM milvus.delete('docs');
SELECT * FROM milvus.delete(NULL, '[5]');
SELECT * FROM milvus.delete('nothing', '[5]');
SELECT * FROM milvus.delete('docs', '[5]', 'id > 5');

-- ---- by a filter ----

SELECT pg_temp.fill();
BEGIN;
SELECT filter, delete_count FROM (VALUES (1, 'id in [1, 2, 77]'), (2, 's == "text 3"'), (3, 's is null and id < 6'), (4, 'j["a"] == 1 and color == "red"'),
	(5, 'array_contains(tags, 2)'), (6, 't > ISO ''2025-01-08T00:00:00Z'''), (7, 'MATCH_ANY(chunks, $[n] == 7)'), (8, 'id > 10 or not (id <= 10)'), (9, 'id > 0')) x(n, filter),
	LATERAL milvus.delete('docs', filter => filter) ORDER BY n;
ROLLBACK;
BEGIN;
SELECT delete_count FROM milvus.delete('docs', filter => 'id in {ids} and color == {color}', filter_params => '{"ids": [1, 2, 3, 4], "color": "red"}');
SELECT delete_count FROM milvus.delete('docs', filter => 'id in {ids} and color == {color}', filter_params => '{"ids": [5, 6], "color": "blue"}');
SELECT delete_count FROM milvus.delete('docs', filter => 's == {s}', filter_params => '{"s": "x'' OR true --"}');
SELECT pg_temp.remain();
ROLLBACK;
SELECT * FROM milvus.delete('docs', filter => '');
SELECT * FROM milvus.delete('docs', filter => 'true');
SELECT * FROM milvus.delete('docs', filter => 'id >');
SELECT * FROM milvus.delete('docs', filter => 'id == "x"');
SELECT * FROM milvus.delete('docs', filter => 'id in {ids}');
SELECT * FROM milvus.delete('docs', filter => 'id in {ids}', filter_params => '{"ids": ["x"]}');
-- the same filter again after the collection has changed
SELECT delete_count FROM milvus.delete('docs', filter => 'n == 5');
ALTER TABLE docs ADD COLUMN n integer DEFAULT 5;
BEGIN;
SELECT delete_count FROM milvus.delete('docs', filter => 'n == 5');
ROLLBACK;
ALTER TABLE docs DROP COLUMN n;
SELECT delete_count FROM milvus.delete('docs', filter => 'n == 5');

-- ---- of a partition ----

BEGIN;
SELECT delete_count FROM milvus.delete('docs', '[10, 11]', partition_name => 'p');
SELECT delete_count FROM milvus.delete('docs', filter => 'id > 9', partition_name => '_default');
SELECT delete_count FROM milvus.delete('docs', filter => 'id > 9', partition_name => 'p');
SELECT pg_temp.remain();
ROLLBACK;
SELECT * FROM milvus.delete('docs', '[1]', partition_name => 'q');
SELECT milvus.create_collection('keyed', partition_key_field => 'tenant', num_partitions => 8, schema => '{"fields": [
	{"name": "id", "type": "VARCHAR", "params": {"max_length": 10}, "is_primary": true}, {"name": "tenant", "type": "INT64"},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}') \g (tuples_only=on)
SELECT insert_count FROM milvus.insert('keyed', '[{"id": "a", "tenant": 1, "v": [1, 2]}, {"id": "b", "tenant": 2, "v": [1, 2]}, {"id": "c", "tenant": 2, "v": [1, 2]}]');
SELECT delete_count FROM milvus.delete('keyed', '["a", "it''s"]');
SELECT delete_count FROM milvus.delete('keyed', filter => 'tenant == 2 and id > "b"');
SELECT id FROM keyed;
SELECT * FROM milvus.delete('keyed', '[1]');
SELECT * FROM milvus.delete('keyed', '["a"]', partition_name => '_default');

-- ---- rows that have outlived their time; heap; another database; an alias ----

SET milvus.default_storage = heap;
SELECT milvus.create_collection('aging', 2, properties => '{"collection.ttl.seconds": "3600"}') \g (tuples_only=on)
RESET milvus.default_storage;
SELECT insert_count FROM milvus.insert('aging', '[{"id": 1, "vector": [1, 1]}, {"id": 2, "vector": [2, 2]}, {"id": 3, "vector": [3, 3]}]');
UPDATE aging SET "$inserted" = now() - interval '2 hours' WHERE id < 3;
SELECT delete_count FROM milvus.delete('aging', '[1]');
SELECT delete_count FROM milvus.delete('aging', filter => 'id > 0');
SELECT milvus.create_database('other');
SELECT milvus.create_collection('docs', 2, db_name => 'other') \g (tuples_only=on)
SELECT insert_count FROM milvus.insert('docs', '{"id": 1, "vector": [1, 2]}', db_name => 'other');
SELECT milvus.create_alias('docs', 'papers', db_name => 'other');
SELECT delete_count FROM milvus.delete('papers', '[1]', db_name => 'other');
SELECT milvus.drop_alias('papers', db_name => 'other');

-- ---- transactions, triggers, rights ----

BEGIN;
SELECT delete_count FROM milvus.delete('docs', '[1]');
ROLLBACK;
SELECT count(*) FROM docs;
CREATE FUNCTION keep_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.id = 5 THEN NULL ELSE OLD END; END $$;
CREATE TRIGGER keep_row BEFORE DELETE ON docs FOR EACH ROW EXECUTE FUNCTION keep_row();
SELECT delete_count FROM milvus.delete('docs', '[5, 6]');
SELECT pg_temp.remain();
CREATE ROLE collection_writer;
SET ROLE collection_writer;
SELECT * FROM milvus.delete('docs', '[1]');
RESET ROLE;
GRANT SELECT (id), DELETE ON docs TO collection_writer;
SET ROLE collection_writer;
SELECT delete_count FROM milvus.delete('docs', '[1]');
SELECT * FROM milvus.delete('docs', filter => 'color == "red"');
RESET ROLE;
GRANT SELECT ON docs TO collection_writer;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY red ON docs USING ("$meta" ->> 'color' = 'red');
SET ROLE collection_writer;
SELECT delete_count FROM milvus.delete('docs', filter => 'id in [2, 3, 4]');
SELECT delete_count FROM milvus.delete('docs', '[7, 8]');
RESET ROLE;
SELECT pg_temp.remain();
REVOKE ALL ON docs FROM collection_writer;
DROP ROLE collection_writer;

DROP TABLE docs, keyed, aging, other.docs;
SELECT milvus.drop_database('other');
DROP FUNCTION keep_row;
