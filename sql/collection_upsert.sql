-- Upserting: whole rows, some fields, array operations.
\set SHOW_CONTEXT never
\pset null '(null)'

CREATE FUNCTION pg_temp.make(name text) RETURNS regclass LANGUAGE sql AS $$
	SELECT milvus.create_collection(name, schema => '{"enable_dynamic_field": true, "fields": [
		{"name": "id", "type": "INT64", "is_primary": true},
		{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}},
		{"name": "n", "type": "INT64", "default_value": 7},
		{"name": "s", "type": "VARCHAR", "params": {"max_length": 10}, "nullable": true},
		{"name": "tags", "type": "ARRAY", "element_type": "VARCHAR", "params": {"max_capacity": 4, "max_length": 5}, "nullable": true},
		{"name": "nums", "type": "ARRAY", "element_type": "INT32", "params": {"max_capacity": 4}, "nullable": true}]}') $$;
SELECT pg_temp.make('docs');

-- ---- whole rows ----

SELECT upsert_count, ids, "timestamp" > 0 AS has_time FROM milvus.upsert('docs', '[{"id": 2, "v": [1, 2], "n": 1, "s": "a", "tags": ["x"], "color": "red"}, {"id": 1, "v": [1, 1]}]');
TABLE docs ORDER BY id;
-- what is left out has its default again
SELECT upsert_count, ids FROM milvus.upsert('docs', '{"id": 2, "v": [3, 4]}');
SELECT upsert_count, ids FROM milvus.upsert('docs', '[{"id": 3, "v": [3, 3], "n": null}, {"id": 1, "v": [1, 2], "s": null, "tags": []}]');
SELECT upsert_count, ids FROM milvus.upsert('docs', '[]');
TABLE docs ORDER BY id;
SELECT * FROM milvus.upsert('docs', '[{"id": 1, "v": [1, 2]}, {"id": 2, "v": [1, 2]}, {"id": 1, "v": [1, 2]}]');
SELECT * FROM milvus.upsert('docs', '{"v": [1, 2]}');
SELECT * FROM milvus.upsert('docs', '{"id": null, "v": [1, 2]}');
SELECT * FROM milvus.upsert('docs', '{"id": 1}');
SELECT * FROM milvus.upsert('docs', '{"id": 1, "v": [1, 2], "tags": ["a", "b", "c", "d", "e"]}');
SELECT * FROM milvus.upsert('docs', NULL);
SELECT * FROM milvus.upsert(NULL, '{}');
SELECT * FROM milvus.upsert('nothing', '{}');

-- ---- some fields ----

SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1, "v": [1, 1], "n": 1, "s": "one", "tags": ["a"], "color": "red", "size": 5}');
SELECT upsert_count, ids FROM milvus.upsert('docs', '{"id": 1, "n": 2}', partial_update => true);
SELECT * FROM docs WHERE id = 1;
-- keys of the dynamic field are fields too
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1, "color": "blue", "shape": null}', partial_update => true);
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1, "s": null, "tags": null}', partial_update => true);
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1}', partial_update => true);
SELECT * FROM docs WHERE id = 1;
-- rows with different fields, new rows among them
SELECT upsert_count, ids FROM milvus.upsert('docs', '[{"id": 10, "v": [1, 0]}, {"id": 2, "s": "two"}, {"id": 3, "v": [0, 3], "n": 3}, {"id": 1, "s": "one"}, {"id": 11, "v": [1, 1], "n": 11}]', partial_update => true);
TABLE docs ORDER BY id;
-- a new row needs its fields; nothing of the request remains
SELECT * FROM milvus.upsert('docs', '[{"id": 1, "s": "lost"}, {"id": 20, "s": "new"}]', partial_update => true);
SELECT s FROM docs WHERE id = 1;

-- ---- array operations ----

SELECT upsert_count FROM milvus.upsert('docs', '[{"id": 1, "tags": ["b", "c"], "nums": [1]}, {"id": 2, "tags": ["z"], "nums": [1, 2]}]',
	partial_update => true, field_ops => '{"tags": "ARRAY_APPEND", "nums": "REPLACE"}');
SELECT id, tags, nums FROM docs WHERE id IN (1, 2) ORDER BY id;
SELECT upsert_count FROM milvus.upsert('docs', '[{"id": 1, "tags": ["b", "b"], "nums": [1, 5]}, {"id": 2, "tags": ["b"], "nums": [2, 1]}, {"id": 30, "v": [1, 2], "tags": ["q"], "nums": [9]}]',
	partial_update => true, field_ops => '{"tags": "array_append", "nums": "ARRAY_REMOVE"}');
SELECT id, tags, nums FROM docs WHERE id IN (1, 2, 30) ORDER BY id;
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1, "tags": ["b", "no"], "n": 99}', field_ops => '{"tags": "ARRAY_REMOVE"}');
SELECT id, n, tags FROM docs WHERE id = 1;
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1, "tags": null}', field_ops => '{"tags": "ARRAY_APPEND"}');
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 3, "tags": ["first"]}', field_ops => '{"tags": "ARRAY_APPEND"}');
SELECT id, tags FROM docs WHERE id IN (1, 3) ORDER BY id;
SELECT * FROM milvus.upsert('docs', '{"id": 1, "tags": ["1", "2", "3", "4"]}', field_ops => '{"tags": "ARRAY_APPEND"}');
SELECT * FROM milvus.upsert('docs', '{"id": 1, "n": 1}', field_ops => '{"n": "ARRAY_APPEND"}');
SELECT * FROM milvus.upsert('docs', '{"id": 1, "n": 1}', field_ops => '{"n": "ADD"}');
SELECT * FROM milvus.upsert('docs', '{"id": 1, "n": 1}', field_ops => '{"m": "ARRAY_APPEND"}');
SELECT * FROM milvus.upsert('docs', '{"id": 1, "n": 1}', field_ops => '[]');
SELECT milvus.array_extend(NULL::int[], NULL), milvus.array_extend(NULL, '{1}'::int[]), milvus.array_extend('{1}'::int[], NULL),
	milvus.array_extend('{}'::int[], '{}'), milvus.array_extend('{1,2}'::int[], '{3}', 3);
SELECT milvus.array_extend('{1,2}'::int[], '{3}', 2);
SELECT milvus.array_extend('{1,NULL}'::int[], '{3}');
SELECT milvus.array_without(NULL::int[], '{1}'), milvus.array_without('{1,2,1}'::int[], NULL), milvus.array_without('{1,2,1}'::int[], '{1,NULL}'),
	milvus.array_without('{1}'::int[], '{1}'), milvus.array_without('{a,B}'::text[], '{A,B}');
SELECT milvus.array_without('{1,NULL}'::int[], '{1}');

-- ---- keys that the table makes ----

SELECT milvus.create_collection('auto', 2, auto_id => true) \g (tuples_only=on)
SELECT ids FROM milvus.insert('auto', '[{"vector": [1, 2], "a": 1}, {"vector": [2, 3], "a": 2}]');
-- the row gets a new one
SELECT upsert_count, ids FROM milvus.upsert('auto', '[{"id": 2, "vector": [5, 5]}, {"id": 100, "vector": [6, 6]}]');
TABLE auto ORDER BY id;
SELECT upsert_count, ids FROM milvus.upsert('auto', '[{"id": 1, "b": 1}, {"id": 200, "vector": [7, 7]}]', partial_update => true);
TABLE auto ORDER BY id;
SELECT * FROM milvus.upsert('auto', '{"vector": [5, 5]}');
SELECT milvus.alter_collection_properties('auto', '{"allow_insert_auto_id": "true"}');
SELECT upsert_count, ids FROM milvus.upsert('auto', '[{"id": 3, "vector": [8, 8]}]');
TABLE auto ORDER BY id;

-- ---- text keys, partitions, partition key, heap ----

SELECT milvus.create_collection('texts', 2, id_type => 'string', max_length => 8) \g (tuples_only=on)
SELECT upsert_count, ids FROM milvus.upsert('texts', '[{"id": "b", "vector": [1, 2]}, {"id": "a", "vector": [1, 2]}, {"id": "B", "vector": [1, 2]}, {"id": "", "vector": [0, 0]}]');
SELECT upsert_count, ids FROM milvus.upsert('texts', '[{"id": "b", "x": 1}, {"id": "aa", "vector": [3, 3]}, {"id": "", "x": 2}]', partial_update => true);
SELECT * FROM milvus.upsert('texts', '[{"id": "b", "x": 1}, {"id": "b", "x": 1}]', partial_update => true);
TABLE texts ORDER BY id COLLATE "C";
SELECT milvus.create_partition('docs', 'p');
SELECT upsert_count FROM milvus.upsert('docs', '[{"id": 1, "v": [1, 2]}, {"id": 40, "v": [1, 2]}]', partition_name => 'p');
SELECT id, "$partition" FROM docs WHERE id IN (1, 40) ORDER BY id;
-- a part of a row leaves it where it is
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1, "n": 5}', partial_update => true);
SELECT id, "$partition" FROM docs WHERE id IN (1, 40) ORDER BY id;
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1, "v": [1, 2]}');
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 2, "n": 5}', 'p', true);
SELECT id, "$partition" FROM docs WHERE id IN (1, 2, 40) ORDER BY id;
SELECT * FROM milvus.upsert('docs', '{"id": 1, "v": [1, 2]}', 'q');
SELECT milvus.create_collection('keyed', partition_key_field => 'tenant', num_partitions => 8, schema => '{"fields": [
	{"name": "id", "type": "INT64", "is_primary": true}, {"name": "tenant", "type": "INT64"},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}') \g (tuples_only=on)
SELECT upsert_count FROM milvus.upsert('keyed', '[{"id": 1, "tenant": 1, "v": [1, 2]}, {"id": 2, "tenant": 2, "v": [1, 2]}]');
SELECT upsert_count FROM milvus.upsert('keyed', '{"id": 1, "tenant": 2}', partial_update => true);
SELECT count(DISTINCT "$partition") FROM keyed;
SELECT * FROM milvus.upsert('keyed', '{"id": 1, "tenant": 2, "v": [1, 2]}', '_default');
SET milvus.default_storage = heap;
SELECT pg_temp.make('heaped');
RESET milvus.default_storage;
SELECT upsert_count FROM milvus.upsert('heaped', '[{"id": 1, "v": [1, 2], "a": 1}, {"id": 2, "v": [1, 2]}]');
SELECT upsert_count FROM milvus.upsert('heaped', '[{"id": 1, "v": [3, 4]}, {"id": 3, "v": [1, 2]}]');
SELECT upsert_count FROM milvus.upsert('heaped', '[{"id": 1, "b": 5, "tags": ["t"]}, {"id": 4, "v": [4, 4]}]', field_ops => '{"tags": "ARRAY_APPEND"}');
TABLE heaped ORDER BY id;

-- ---- rows that have outlived their time ----

SELECT milvus.create_collection('aging', 2, properties => '{"collection.ttl.seconds": "3600"}') \g (tuples_only=on)
SELECT insert_count FROM milvus.insert('aging', '[{"id": 1, "vector": [1, 1], "a": 1}, {"id": 2, "vector": [2, 2], "a": 2}, {"id": 3, "vector": [3, 3], "a": 3}]');
UPDATE aging SET "$inserted" = now() - interval '2 hours' WHERE id < 3;
-- nothing of them is merged
SELECT * FROM milvus.upsert('aging', '{"id": 1, "b": 1}', partial_update => true);
SELECT upsert_count FROM milvus.upsert('aging', '[{"id": 1, "vector": [5, 5], "b": 1}, {"id": 3, "b": 3}]', partial_update => true);
SELECT upsert_count FROM milvus.upsert('aging', '{"id": 2, "vector": [6, 6]}');
SELECT id, vector, "$meta", "$inserted" > now() - interval '1 hour' AS young FROM aging ORDER BY id;
UPDATE aging SET "$inserted" = now() - interval '2 hours' WHERE id = 2;
SELECT insert_count FROM milvus.insert('aging', '{"id": 2, "vector": [7, 7]}');
SELECT * FROM milvus.insert('aging', '{"id": 3, "vector": [7, 7]}');
-- written anew, it lives anew
UPDATE aging SET "$inserted" = now() - interval '59 minutes';
SELECT upsert_count FROM milvus.upsert('aging', '{"id": 1, "c": 1}', partial_update => true);
SELECT upsert_count FROM milvus.upsert('aging', '{"id": 2, "vector": [8, 8]}');
SELECT id, "$inserted" > now() - interval '10 minutes' AS young FROM aging ORDER BY id;
SELECT delete_count FROM milvus.delete('aging', '[1, 2, 3]');

-- ---- a table that was attached: columns that are no fields stay ----

CREATE TABLE attached (id integer PRIMARY KEY, note inet DEFAULT '10.0.0.1', twice integer GENERATED ALWAYS AS (id * 2) STORED, title text DEFAULT 'none', v vector(2));
INSERT INTO attached VALUES (1, '10.0.0.2', DEFAULT, 'x', '[1,2]');
SELECT milvus.attach_collection('attached');
SELECT upsert_count, ids FROM milvus.upsert('attached', '[{"id": 1, "v": [2, 2]}, {"id": 2, "v": [3, 3]}]');
SELECT upsert_count, ids FROM milvus.upsert('attached', '[{"id": 1, "title": "y"}]', partial_update => true);
TABLE attached ORDER BY id;

-- ---- triggers, rights, row-level security ----

CREATE TABLE log (operation text, id bigint);
CREATE FUNCTION log_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO public.log VALUES (TG_OP, NEW.id);
	RETURN NULL;
END $$;
CREATE TRIGGER log AFTER INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION log_row();
SELECT upsert_count FROM milvus.upsert('docs', '[{"id": 50, "v": [1, 2]}, {"id": 1, "v": [1, 2]}]');
SELECT upsert_count FROM milvus.upsert('docs', '[{"id": 1, "n": 0}]', partial_update => true);
TABLE log;

CREATE ROLE collection_writer;
GRANT INSERT ON docs TO collection_writer;
SET ROLE collection_writer;
SELECT * FROM milvus.upsert('docs', '{"id": 60, "v": [1, 2]}');
SELECT * FROM milvus.upsert('docs', '{"id": 1, "n": 1}', partial_update => true);
RESET ROLE;
GRANT SELECT, UPDATE ON docs TO collection_writer;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON docs USING (n < 50);
SET ROLE collection_writer;
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 60, "v": [1, 2], "n": 49}');
SELECT * FROM milvus.upsert('docs', '{"id": 60, "v": [1, 2], "n": 50}');
SELECT * FROM milvus.upsert('docs', '{"id": 60, "n": 50}', partial_update => true);
RESET ROLE;
UPDATE docs SET n = 100 WHERE id = 60;
SET ROLE collection_writer;
-- a row that the policy hides
SELECT * FROM milvus.upsert('docs', '{"id": 60, "v": [1, 2]}');
SELECT * FROM milvus.upsert('docs', '{"id": 60, "n": 1}', partial_update => true);
SELECT * FROM milvus.upsert('docs', '{"id": 60, "v": [1, 2], "n": 1}', partial_update => true);
RESET ROLE;
REVOKE ALL ON docs FROM collection_writer;
DROP ROLE collection_writer;

-- a transaction that is rolled back
BEGIN;
SELECT upsert_count FROM milvus.upsert('docs', '{"id": 1, "v": [9, 9]}');
ROLLBACK;
SELECT v FROM docs WHERE id = 1;

DROP TABLE docs, auto, texts, keyed, heaped, aging, attached, log;
DROP FUNCTION log_row;
