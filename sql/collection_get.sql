-- Getting rows by their keys.
\set SHOW_CONTEXT never

SELECT milvus.create_collection('docs', 2) \g (tuples_only=on)
SELECT milvus.create_partition('docs', 'p');
SELECT insert_count FROM milvus.insert('docs', '[{"id": 1, "vector": [1, 2], "color": "red"}, {"id": 2, "vector": [0.1, 2]}, {"id": 3, "vector": [3, 4], "n": {"a": [null]}}]');
SELECT insert_count FROM milvus.insert('docs', '[{"id": 4, "vector": [4, 4]}]', 'p');
SELECT milvus.get('docs', '[3, 1, 99, 1]');
SELECT milvus.get(collection_name => 'docs', ids => '2', output_fields => '{id}');
SELECT milvus.get('docs', '[1, 2]', '{color}');
SELECT milvus.get('docs', '[1, 2, 4]', '{vector}', partition_names => '{p}');
SELECT milvus.get('docs', '[1, 4]', '{id}', '{p,_default}');
SELECT milvus.get('docs', '[]');
SELECT milvus.get('docs', NULL);
SELECT milvus.get('docs', '["x"]');
SELECT milvus.get('docs', '[1]', partition_names => '{q}');
SELECT milvus.get('nothing', '[1]');
SELECT milvus.release_collection('docs');
SELECT milvus.get('docs', '[1]');
SELECT milvus.load_collection('docs');

-- every type comes back as it went in
SELECT milvus.create_collection('types', index_params => '[{"field_name": "v", "metric_type": "L2"}, {"field_name": "h", "metric_type": "L2"}, {"field_name": "bf", "metric_type": "L2"},
	{"field_name": "i8v", "metric_type": "L2"}, {"field_name": "bits", "metric_type": "HAMMING"}]', schema => '{"enable_dynamic_field": true, "fields": [
	{"name": "id", "type": "VARCHAR", "params": {"max_length": 9}, "is_primary": true},
	{"name": "b", "type": "BOOL", "nullable": true}, {"name": "i8", "type": "INT8", "nullable": true}, {"name": "i16", "type": "INT16", "nullable": true},
	{"name": "i32", "type": "INT32", "nullable": true}, {"name": "i64", "type": "INT64", "nullable": true},
	{"name": "f", "type": "FLOAT", "nullable": true}, {"name": "d", "type": "DOUBLE", "nullable": true},
	{"name": "s", "type": "VARCHAR", "params": {"max_length": 6}, "nullable": true}, {"name": "j", "type": "JSON", "nullable": true},
	{"name": "t", "type": "TIMESTAMPTZ", "nullable": true},
	{"name": "ab", "type": "ARRAY", "element_type": "BOOL", "params": {"max_capacity": 4}, "nullable": true},
	{"name": "ai64", "type": "ARRAY", "element_type": "INT64", "params": {"max_capacity": 4}, "nullable": true},
	{"name": "as", "type": "ARRAY", "element_type": "VARCHAR", "params": {"max_capacity": 4, "max_length": 3}, "nullable": true},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}, "nullable": true},
	{"name": "h", "type": "FLOAT16_VECTOR", "params": {"dim": 2}, "nullable": true},
	{"name": "bf", "type": "BFLOAT16_VECTOR", "params": {"dim": 2}, "nullable": true},
	{"name": "i8v", "type": "INT8_VECTOR", "params": {"dim": 2}, "nullable": true},
	{"name": "bits", "type": "BINARY_VECTOR", "params": {"dim": 16}, "nullable": true}]}') \g (tuples_only=on)
SELECT row AS written FROM (VALUES ('{"id": "full", "b": false, "i8": -128, "i16": 32767, "i32": -2147483648, "i64": 9223372036854775807, "f": 0.1, "d": 0.1,
	"s": "é\"\\", "j": {"a": [1.50, "x", null]}, "t": "2025-01-02T03:04:05.5Z", "ab": [true], "ai64": [-1], "as": ["", "a b"], "v": [0.1, -2], "h": [0.5, 2], "bf": [0.5, 2],
	"i8v": [-128, 127], "bits": [1, 254], "more": {"k": 1}}'::jsonb)) x(row) \gset
SELECT insert_count FROM milvus.insert('types', jsonb_build_array(:'written'::jsonb, '{"id": "empty"}'::jsonb));
SELECT milvus.get('types', '["full"]') - 't' = :'written'::jsonb - 't' AS same, milvus.get('types', '["full"]') ->> 't' AS t;
SELECT milvus.get('types', '["empty"]');
-- what was got can be upserted
SELECT upsert_count FROM milvus.upsert('types', (SELECT jsonb_agg(e || jsonb_build_object('id', (e ->> 'id') || '2')) FROM milvus.get('types', '["full", "empty"]') e));
SELECT a - 'id' = b - 'id' AS same FROM milvus.get('types', '["full", "empty"]') WITH ORDINALITY x(a, n)
	JOIN milvus.get('types', '["full2", "empty2"]') WITH ORDINALITY y(b, n) USING (n);

-- rows that have outlived their time; rights
SELECT milvus.create_collection('aging', 2, properties => '{"collection.ttl.seconds": "3600"}') \g (tuples_only=on)
SELECT insert_count FROM milvus.insert('aging', '[{"id": 1, "vector": [1, 1]}, {"id": 2, "vector": [2, 2]}]');
UPDATE aging SET "$inserted" = now() - interval '2 hours' WHERE id = 1;
SELECT milvus.get('aging', '[1, 2]');
CREATE ROLE collection_reader;
SET ROLE collection_reader;
SELECT milvus.get('docs', '[1]');
RESET ROLE;
GRANT SELECT (id, vector) ON docs TO collection_reader;
SET ROLE collection_reader;
SELECT milvus.get('docs', '[1]');
SELECT milvus.get('docs', '[1]', '{vector}');
RESET ROLE;
GRANT SELECT ON docs TO collection_reader;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON docs USING (id % 2 = 1);
SET ROLE collection_reader;
SELECT milvus.get('docs', '[1, 2, 3]', '{id}');
RESET ROLE;
REVOKE ALL ON docs FROM collection_reader;
DROP ROLE collection_reader;
DROP TABLE docs, types, aging;
