-- Changes of collections: properties, fields, functions.
\pset null '(null)'
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE statement;
	RETURN 'was taken';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN format('%s %s %s', SQLSTATE, replace(detail, 'milvus_code=', ''), SQLERRM);
END $$;
CREATE VIEW pg_temp.fields AS SELECT collection_name, field_id AS id, field_name AS name, type, element_type AS element, params,
	nullable, default_value, description FROM milvus.fields ORDER BY collection_name, number;
SELECT milvus.create_collection('c', schema => '{"fields": [{"name": "id", "type": 5, "is_primary": true},
	{"name": "s", "type": 21, "params": {"max_length": 4}}, {"name": "a", "type": 22, "element_type": 21, "params": {"max_capacity": 2, "max_length": 4}},
	{"name": "at", "type": "Timestamptz", "nullable": true}, {"name": "v", "type": 101, "params": {"dim": 2}}],
	"struct_fields": [{"name": "parts", "max_capacity": 3, "fields": [{"name": "n", "type": 5}, {"name": "w", "type": 101, "params": {"dim": 2}}]}]}');
INSERT INTO c (id, s, a, v, "parts[n]", "parts[w]") SELECT i, 'abcd', '{a,b}', '[1,2]', '{1}', '{"[1,2]"}' FROM generate_series(1, 5) i;

-- properties
SELECT milvus.alter_collection_properties('c', '{"mmap.enabled": true, "replica.number": 2, "timezone": "Europe/Paris"}');
SELECT milvus.describe_collection('c') -> 'properties' AS properties;
SELECT milvus.alter_collection_properties('c', '{"replica.number": "3", "collection.description": "words", "consistency_level": "strong"}');
SELECT d -> 'properties' AS properties, d -> 'description' AS description, d -> 'consistency_level' AS level FROM milvus.describe_collection('c') d;
SELECT milvus.drop_collection_properties('c', '{mmap.enabled,timezone,nothing}');
SELECT milvus.describe_collection('c') -> 'properties' AS properties;
-- rows get a time when they are to have an end
SELECT milvus.alter_collection_properties('c', '{"collection.ttl.seconds": 3600}');
\d c
INSERT INTO c (id, s, a, v, "parts[n]", "parts[w]", "$inserted") VALUES (6, 'old', '{}', '[1,2]', '{}', '{}', now() - interval '3601 s');
SELECT row_count, (SELECT count(*) FROM c) AS stored FROM milvus.get_collection_stats('c');
SELECT milvus.drop_collection_properties('c', '{collection.ttl.seconds}');
SELECT row_count FROM milvus.get_collection_stats('c');
SELECT milvus.alter_collection_properties('c', '{"ttl_field": "at"}');
UPDATE c SET at = CASE id WHEN 1 THEN now() - interval '1 s' WHEN 2 THEN now() + interval '1 day' END;
SELECT row_count FROM milvus.get_collection_stats('c');
SELECT milvus.expire_rows('c');
SELECT id FROM c ORDER BY id;
-- a dynamic field afterwards
SELECT milvus.alter_collection_properties('c', '{"dynamicfield.enabled": true}');
SELECT d -> 'enable_dynamic_field' AS dynamic, d -> 'properties' AS properties FROM milvus.describe_collection('c') d;
SELECT DISTINCT "$meta" FROM c;

-- fields
SELECT milvus.alter_collection_field('c', 's', '{"max_length": 8, "description": "a text", "mmap_enabled": "true"}'),
	milvus.alter_collection_field('c', 'a', '{"max_length": 6, "max_capacity": 3}');
INSERT INTO c (id, s, a, v, "parts[n]", "parts[w]") VALUES (10, '12345678', '{123456,b,c}', '[1,2]', '{}', '{}');
INSERT INTO c (id, s, a, v, "parts[n]", "parts[w]") VALUES (11, '123456789', '{}', '[1,2]', '{}', '{}');
INSERT INTO c (id, s, a, v, "parts[n]", "parts[w]") VALUES (11, '', '{1234567}', '[1,2]', '{}', '{}');
SELECT milvus.alter_collection_field('c', 's', '{"max_length": 4}');
SELECT pg_temp.refused(format('SELECT milvus.alter_collection_field(''c'', %L, %L)', f, p)) FROM (VALUES
	(1, 's', '{"max_length": 7}'), (2, 'a', '{"max_length": 5}'), (3, 'a', '{"max_capacity": 2}')) AS v(i, f, p) ORDER BY i;

-- longer than what a btree can have
SELECT milvus.create_index('c', '{"field_name": "s", "index_type": "INVERTED"}');
SELECT milvus.alter_collection_field('c', 's', '{"max_length": 2600}');
SELECT pg_get_indexdef('c_s_idx'::regclass);
SELECT milvus.alter_collection_field('c', 's', '{"max_length": 60000}');
SELECT pg_get_indexdef('c_s_idx'::regclass);
SELECT index_name, index_type, relation FROM milvus.describe_index('c');
SELECT milvus.alter_collection_field('c', 's', '{"max_length": 8}');

SELECT relfilenode AS before FROM pg_class WHERE oid = 'c'::regclass \gset
SELECT milvus.add_collection_field('c', 'n', 'INT32', nullable => true), milvus.add_collection_field('c', 'i8', 'INT8', default_value => '7', description => 'small'),
	milvus.add_collection_field('c', 'words', 'ARRAY', element_type => 'VARCHAR', max_capacity => 3, params => '{"max_length": "5"}', nullable => true),
	milvus.add_collection_field('c', 'v2', 'FLOAT16_VECTOR', dim => 4, nullable => true),
	milvus.add_collection_field('c', 't', 'VARCHAR', max_length => 9, default_value => '"it''s"', nullable => true),
	milvus.add_collection_field('c', 'body', 'TEXT', nullable => true);
SELECT relfilenode = :before AS not_rewritten FROM pg_class WHERE oid = 'c'::regclass;
SELECT * FROM pg_temp.fields WHERE collection_name = 'c';
SELECT id, n, i8, words, t FROM c WHERE id = 2;
INSERT INTO c (id, s, a, v, "parts[n]", "parts[w]", i8) VALUES (12, '', '{}', '[1,2]', '{}', '{}', 200);
SELECT milvus.drop_collection_field('c', 'i8'), milvus.drop_collection_field('c', 'parts');
SELECT jsonb_path_query_array(d, '$.fields[*].name') AS fields, d -> 'struct_array_fields' AS structs FROM milvus.describe_collection('c') d;
-- the number of a field is not given out again
SELECT milvus.add_collection_field('c', 'again', 'BOOL', nullable => true);
SELECT id, name FROM pg_temp.fields WHERE collection_name = 'c' AND name IN ('again', 't');

-- functions
SELECT milvus.add_collection_field('c', 'sparse', 'SPARSE_FLOAT_VECTOR', nullable => true);
SELECT milvus.add_collection_function('c', '{"name": "bm25", "type": "BM25", "input_field_names": ["s"], "output_field_names": ["sparse"]}');
SELECT milvus.describe_collection('c') -> 'functions' AS functions;
SELECT milvus.alter_collection_function('c', 'bm25', '{"name": "other", "type": "BM25", "input_field_names": ["t"], "output_field_names": ["sparse"]}');
SELECT milvus.describe_collection('c') -> 'functions' AS functions;
SELECT pg_temp.refused('SELECT milvus.drop_collection_field(''c'', ''sparse'')');
SELECT milvus.drop_collection_function('c', 'other');
SELECT milvus.drop_collection_field('c', 'sparse');
SELECT milvus.describe_collection('c') -> 'functions' AS functions;

SELECT milvus.create_collection('k', schema => '{"fields": [{"name": "id", "type": 5, "is_primary": true}, {"name": "p", "type": 21, "params": {"max_length": 9}, "is_partition_key": true},
	{"name": "c", "type": 5, "is_clustering_key": true}, {"name": "v", "type": 101, "params": {"dim": 2}}], "enable_dynamic_field": true}', index_params => '{"field_name": "v"}');
SELECT options FROM milvus.table_option WHERE relation = 'k'::regclass;
SELECT pg_temp.refused(s) FROM (VALUES
	(1, 'SELECT milvus.alter_collection_properties(''c'', ''{}'')'), (2, 'SELECT milvus.alter_collection_properties(''c'', ''{"lazyload.enabled": 1}'')'),
	(3, 'SELECT milvus.alter_collection_properties(''k'', ''{"mmap.enabled": true}'')'), (4, 'SELECT milvus.alter_collection_properties(''c'', ''{"ttl_field": "s"}'')'),
	(5, 'SELECT milvus.alter_collection_properties(''c'', ''{"collection.ttl.seconds": 10}'')'), (6, 'SELECT milvus.alter_collection_properties(''k'', ''{"dynamicfield.enabled": false}'')'),
	(7, 'SELECT milvus.drop_collection_properties(''c'', ''{}'')'), (8, 'SELECT milvus.alter_collection_field(''c'', ''nothing'', ''{}'')'),
	(9, 'SELECT milvus.alter_collection_field(''c'', ''id'', ''{"max_length": 3}'')'), (10, 'SELECT milvus.alter_collection_field(''c'', ''s'', ''{"max_length": 0}'')'),
	(11, 'SELECT milvus.alter_collection_field(''c'', ''s'', ''{"max_length": "x"}'')'), (12, 'SELECT milvus.alter_collection_field(''c'', ''s'', ''{"max_capacity": 3}'')'),
	(13, 'SELECT milvus.alter_collection_field(''c'', ''a'', ''{"max_capacity": 5000}'')'), (14, 'SELECT milvus.alter_collection_field(''c'', ''s'', ''{"dim": 3}'')'),
	(15, 'SELECT milvus.alter_collection_field(''c'', ''s'', ''{"mmap.enabled": 3}'')'),
	(16, 'SELECT milvus.alter_collection_field(''k'', ''p'', ''{"max_length": 5000}'')'),
	(20, 'SELECT milvus.add_collection_field(''c'', ''x'', ''INT64'')'), (21, 'SELECT milvus.add_collection_field(''c'', ''s'', ''INT64'', nullable => true)'),
	(22, 'SELECT milvus.add_collection_field(''c'', ''x'', ''VARCHAR'', nullable => true)'), (23, 'SELECT milvus.add_collection_field(''c'', ''1x'', ''INT64'', nullable => true)'),
	(24, 'SELECT milvus.add_collection_field(''c'', ''x'', ''NOTHING'', nullable => true)'), (25, 'SELECT milvus.add_collection_field(''nothing'', ''x'', ''INT64'', nullable => true)'),
	(26, 'SELECT milvus.add_collection_field(''c'', ''x'', ''FLOAT_VECTOR'', dim => 2)'),
	(30, 'SELECT milvus.drop_collection_field(''k'', ''id'')'), (31, 'SELECT milvus.drop_collection_field(''k'', ''p'')'), (32, 'SELECT milvus.drop_collection_field(''k'', ''c'')'),
	(33, 'SELECT milvus.drop_collection_field(''k'', ''v'')'), (34, 'SELECT milvus.drop_collection_field(''k'', ''$meta'')'), (35, 'SELECT milvus.drop_collection_field(''k'', ''nothing'')'),
	(36, 'SELECT milvus.drop_collection_field(''c'', ''at'')'),
	(40, 'SELECT milvus.add_collection_function(''c'', ''{"type": "BM25"}'')'), (41, 'SELECT milvus.add_collection_function(''c'', ''{"name": "f", "input_field_names": ["nothing"]}'')'),
	(42, 'SELECT milvus.drop_collection_function(''c'', ''nothing'')')) AS v(i, s) ORDER BY i;
SET milvus.max_fields = 9;
SELECT pg_temp.refused('SELECT milvus.add_collection_field(''c'', ''x'', ''INT64'', nullable => true)');
RESET milvus.max_fields;
SET milvus.max_vector_fields = 2;
SELECT pg_temp.refused('SELECT milvus.add_collection_field(''c'', ''x'', ''FLOAT_VECTOR'', dim => 2, nullable => true)');
RESET milvus.max_vector_fields;
SELECT milvus.drop_collection('c'), milvus.drop_collection('k');
