-- Collections: quick form, full form, describe, has, list, rename, truncate, drop.
\pset null '(null)'
CREATE FUNCTION pg_temp.brief(name text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT milvus.describe_collection(name) - '{collection_id,created_timestamp,update_timestamp,fields}'::text[] $$;
CREATE VIEW pg_temp.fields AS SELECT collection_name, field_id AS id, field_name AS name, type, element_type AS element, params,
	concat_ws(' ', CASE WHEN is_primary THEN 'primary' END, CASE WHEN auto_id THEN 'auto' END, CASE WHEN nullable THEN 'nullable' END) AS flags,
	default_value FROM milvus.fields ORDER BY collection_name, number;

-- the quick form: a key, a vector, an index, loaded
SELECT milvus.create_collection(collection_name => 'docs', dimension => 8);
SELECT pg_temp.brief('docs');
SELECT * FROM pg_temp.fields WHERE collection_name = 'docs';
SELECT index_name, field_name, index_type, metric_type, params, state, total_rows, relation FROM milvus.describe_index('docs');
SELECT * FROM milvus.get_load_state('docs');
SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = 'docs'::regclass;
SELECT pg_get_indexdef('docs_vector_idx'::regclass);
-- equal is no error, different is
SELECT milvus.create_collection('docs', 8);
SELECT milvus.create_collection('docs', 16);

SELECT milvus.create_collection('keys', 4, id_type => 'string', max_length => 20, auto_id => true, metric_type => 'L2',
	primary_field_name => 'key', vector_field_name => 'v', enable_dynamic_field => false);
\d keys
INSERT INTO keys (v) VALUES ('[1,2,3,4]'), ('[1,2,3,5]');
SELECT key FROM keys ORDER BY key;

-- the full form
SELECT milvus.create_collection('things', schema => '{"description": "all types", "enable_dynamic_field": true, "fields": [
	{"name": "id", "type": "INT64", "is_primary": true, "auto_id": true},
	{"name": "b", "type": "BOOL", "nullable": true},
	{"name": "i8", "type": "INT8", "default_value": 5},
	{"name": "i16", "type": 3, "nullable": true},
	{"name": "i32", "type": "Int32", "nullable": true},
	{"name": "f", "type": "FLOAT", "default_value": 1.5},
	{"name": "d", "type": "DOUBLE", "nullable": true},
	{"name": "s", "type": "VARCHAR", "params": {"max_length": 10}, "default_value": "it''s"},
	{"name": "j", "type": "JSON", "nullable": true},
	{"name": "t", "type": "TIMESTAMPTZ", "nullable": true},
	{"name": "ai8", "type": "ARRAY", "element_type": "INT8", "params": {"max_capacity": 3}, "nullable": true},
	{"name": "as", "type": "ARRAY", "element_type": "VARCHAR", "params": {"max_capacity": 3, "max_length": 4}, "nullable": true},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 4}},
	{"name": "h", "type": "FLOAT16_VECTOR", "params": {"dim": "4"}, "nullable": true},
	{"name": "bf", "type": "BFLOAT16_VECTOR", "params": {"dim": 4}, "nullable": true},
	{"name": "i8v", "type": "INT8_VECTOR", "params": {"dim": 4}, "nullable": true},
	{"name": "bits", "type": "BINARY_VECTOR", "params": {"dim": 16}, "nullable": true},
	{"name": "sp", "type": "SPARSE_FLOAT_VECTOR", "nullable": true}],
	"struct_fields": [{"name": "chunks", "max_capacity": 4, "fields": [
		{"name": "text", "type": "VARCHAR", "params": {"max_length": 8}},
		{"name": "emb", "type": "FLOAT_VECTOR", "params": {"dim": 3}}]}]}');
\d things
SELECT pg_temp.brief('things');
SELECT * FROM pg_temp.fields WHERE collection_name = 'things';
SELECT * FROM milvus.get_load_state('things');

-- the same as REST writes it
SELECT milvus.create_collection('rest', schema => '{"autoID": true, "enableDynamicField": false, "fields": [
	{"fieldName": "id", "dataType": "Int64", "isPrimary": true},
	{"fieldName": "v", "dataType": "FloatVector", "elementTypeParams": {"dim": "4"}},
	{"fieldName": "tags", "dataType": "Array", "elementDataType": "Int32", "elementTypeParams": {"max_capacity": "5"}}]}',
	index_params => '[{"fieldName": "v", "metricType": "IP", "indexName": "v_index", "indexType": "HNSW", "params": {"M": "16", "efConstruction": 100}},
		{"field_name": "tags", "index_type": "INVERTED"}]', num_shards => 2, consistency_level => 'Strong', properties => '{"mmap.enabled": true}');
SELECT pg_temp.brief('rest');
SELECT * FROM pg_temp.fields WHERE collection_name = 'rest';
SELECT index_name, field_name, index_type, metric_type, params FROM milvus.describe_index('rest');
\d rest

-- checks of the columns
BEGIN;
INSERT INTO things (v, "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', '{a}', '{"[1,2,3]"}') RETURNING id, i8, f, s, "$meta";
SAVEPOINT s;
INSERT INTO things (v, "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', '{a,b}', '{"[1,2,3]"}');
ROLLBACK TO s;
INSERT INTO things (v, i8, "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', 128, '{}', '{}');
ROLLBACK TO s;
INSERT INTO things (v, s, "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', 'ééééé1', '{}', '{}');
ROLLBACK TO s;
INSERT INTO things (v, ai8, "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', '{1,-129}', '{}', '{}');
ROLLBACK TO s;
INSERT INTO things (v, "as", "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', '{abcd,abcde}', '{}', '{}');
ROLLBACK TO s;
INSERT INTO things (v, "as", "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', '{a,b,c,d}', '{}', '{}');
ROLLBACK TO s;
INSERT INTO things (v, "as", "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', '{a,NULL}', '{}', '{}');
ROLLBACK TO s;
INSERT INTO things (v, j, "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', to_jsonb(repeat('x', 65534)), '{}', '{}');
INSERT INTO things (v, j, "chunks[text]", "chunks[emb]") VALUES ('[1,2,3,4]', to_jsonb(repeat('x', 65535)), '{}', '{}');
ROLLBACK;

-- list, has, count, rename, truncate, drop
SELECT * FROM milvus.list_collections();
SELECT milvus.has_collection('docs'), milvus.has_collection('nothing');
SELECT milvus.describe_collection('nothing');
SELECT * FROM milvus.get_collection_stats('keys');
SELECT milvus.rename_collection('keys', 'docs');
SELECT milvus.rename_collection('keys', 'renamed');
SELECT milvus.has_collection('keys'), pg_temp.brief('renamed') -> 'collection_name' AS name, pg_temp.brief('renamed') -> 'relation' AS relation;
SELECT milvus.truncate_collection('renamed');
SELECT row_count FROM milvus.get_collection_stats('renamed');
SELECT milvus.drop_collection('renamed');
SELECT milvus.drop_collection('renamed');
SELECT * FROM milvus.list_collections();

-- table and catalog change in one transaction
BEGIN;
SELECT milvus.create_collection('gone', 4);
SELECT milvus.has_collection('gone');
ROLLBACK;
SELECT milvus.has_collection('gone');
BEGIN;
SELECT milvus.drop_collection('docs');
SELECT milvus.has_collection('docs');
ROLLBACK;
SELECT milvus.has_collection('docs');

-- plain SQL: the catalog stays true
ALTER TABLE docs RENAME TO papers;
SELECT milvus.has_collection('docs'), milvus.has_collection('papers');
ALTER TABLE papers ADD COLUMN year integer, ADD COLUMN note xml;
ALTER TABLE papers RENAME COLUMN vector TO embedding;
ALTER INDEX docs_vector_idx RENAME TO something;
SELECT name, id FROM pg_temp.fields WHERE collection_name = 'papers';
SELECT index_name, field_name, relation FROM milvus.describe_index('papers');
ALTER TABLE papers DROP COLUMN embedding;
SELECT name, id FROM pg_temp.fields WHERE collection_name = 'papers';
SELECT * FROM milvus.list_indexes('papers');
DROP TABLE papers;
SELECT milvus.has_collection('papers');

DROP TABLE things, rest;
