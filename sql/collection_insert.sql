-- Inserting into collections: rows of JSON, columns of arrays; types, limits, messages.
\set SHOW_CONTEXT never
\pset null '(null)'

-- ---- rows ----

SELECT milvus.create_collection('docs', 4) \g (tuples_only=on)
SELECT insert_count, ids, "timestamp" > 0 AS has_time FROM milvus.insert('docs', '{"id": 1, "vector": [1, 2, 3, 4]}');
SELECT insert_count, ids FROM milvus.insert(collection_name => 'docs', data => '[
	{"id": 2, "vector": [0.5, -1e-3, 3, 4], "color": "red", "n": {"a": [1, null]}},
	{"vector": "[2,2,2,2]", "id": 3.0, "color": null},
	{"id": "4", "vector": [4, 4, 4, 4]}]');
SELECT insert_count, ids FROM milvus.insert('docs', '[]');
TABLE docs ORDER BY id;
-- a key is taken; all of a request or nothing
SELECT * FROM milvus.insert('docs', '[{"id": 5, "vector": [1, 2, 3, 4]}, {"id": 1, "vector": [1, 2, 3, 4]}]');
SELECT * FROM milvus.insert('docs', '[{"id": 5, "vector": [1, 2, 3, 4]}, {"id": 5, "vector": [1, 2, 3, 4]}]');
SELECT count(*) FROM docs;

-- what is no row
SELECT * FROM milvus.insert('docs', '5');
SELECT * FROM milvus.insert('docs', '[5]');
SELECT * FROM milvus.insert('docs', '"x"');
SELECT * FROM milvus.insert('docs', NULL);
SELECT * FROM milvus.insert(NULL, '{}');
SELECT * FROM milvus.insert('nothing', '{}');
-- fields that are missing, and values that do not fit
SELECT * FROM milvus.insert('docs', '{"id": 5}');
SELECT * FROM milvus.insert('docs', '{"vector": [1, 2, 3, 4]}');
SELECT * FROM milvus.insert('docs', '{"id": null, "vector": [1, 2, 3, 4]}');
SELECT * FROM milvus.insert('docs', '{"id": "x", "vector": [1, 2, 3, 4]}');
SELECT * FROM milvus.insert('docs', '{"id": 1.5, "vector": [1, 2, 3, 4]}');
SELECT * FROM milvus.insert('docs', '{"id": 9223372036854775808, "vector": [1, 2, 3, 4]}');
SELECT * FROM milvus.insert('docs', '[{"id": 5, "vector": [1, 2, 3, 4]}, {"id": 6, "vector": [1, 2, 3]}]');
SELECT * FROM milvus.insert('docs', '{"id": 5, "vector": [1, 2, 3, "4"]}');
SELECT * FROM milvus.insert('docs', '{"id": 5, "vector": [1, 2, 3, null]}');
SELECT * FROM milvus.insert('docs', '{"id": 5, "vector": [1, 2, 3, 1e39]}');
SELECT * FROM milvus.insert('docs', '{"id": 5, "vector": {"a": 1}}');
SELECT * FROM milvus.insert('docs', '{"id": 5, "vector": "[1,2]"}');
SELECT * FROM milvus.insert('docs', '{"id": 5, "vector": null}');
-- the dynamic field
SELECT * FROM milvus.insert('docs', '{"id": 5, "vector": [1, 2, 3, 4], "$meta": {"a": 1}}');
SELECT * FROM milvus.insert('docs', jsonb_build_object('id', 5, 'vector', '[1,2,3,4]', 'k', repeat('x', 65536)));
SELECT milvus.create_collection('plain', 2, enable_dynamic_field => false) \g (tuples_only=on)
SELECT * FROM milvus.insert('plain', '{"id": 5, "vector": [1, 2], "color": "red"}');
SELECT * FROM milvus.insert('plain', '{"id": 5, "vector": [1, 2], "$meta": {}}');
SELECT * FROM milvus.insert('plain', '{"id": 5, "vector": [1, 2], "$partition": 1}');

-- ---- types ----

SELECT milvus.create_collection('types', schema => '{"enable_dynamic_field": true, "fields": [
	{"name": "id", "type": "INT64", "is_primary": true},
	{"name": "b", "type": "BOOL", "nullable": true},
	{"name": "i8", "type": "INT8", "default_value": 5},
	{"name": "i16", "type": "INT16", "nullable": true},
	{"name": "i32", "type": "INT32", "nullable": true},
	{"name": "i64", "type": "INT64", "nullable": true},
	{"name": "f", "type": "FLOAT", "nullable": true, "default_value": 1.5},
	{"name": "d", "type": "DOUBLE", "nullable": true},
	{"name": "s", "type": "VARCHAR", "params": {"max_length": 6}, "nullable": true},
	{"name": "j", "type": "JSON", "nullable": true},
	{"name": "t", "type": "TIMESTAMPTZ", "nullable": true},
	{"name": "ab", "type": "ARRAY", "element_type": "BOOL", "params": {"max_capacity": 4}, "nullable": true},
	{"name": "ai8", "type": "ARRAY", "element_type": "INT8", "params": {"max_capacity": 4}, "nullable": true},
	{"name": "ai64", "type": "ARRAY", "element_type": "INT64", "params": {"max_capacity": 4}, "nullable": true},
	{"name": "af", "type": "ARRAY", "element_type": "FLOAT", "params": {"max_capacity": 4}, "nullable": true},
	{"name": "as", "type": "ARRAY", "element_type": "VARCHAR", "params": {"max_capacity": 4, "max_length": 3}, "nullable": true},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}, "nullable": true},
	{"name": "h", "type": "FLOAT16_VECTOR", "params": {"dim": 2}, "nullable": true},
	{"name": "bf", "type": "BFLOAT16_VECTOR", "params": {"dim": 2}, "nullable": true},
	{"name": "i8v", "type": "INT8_VECTOR", "params": {"dim": 2}, "nullable": true},
	{"name": "bits", "type": "BINARY_VECTOR", "params": {"dim": 16}, "nullable": true},
	{"name": "sp", "type": "SPARSE_FLOAT_VECTOR", "nullable": true}],
	"struct_fields": [{"name": "chunks", "max_capacity": 2, "nullable": true, "fields": [
		{"name": "text", "type": "VARCHAR", "params": {"max_length": 8}},
		{"name": "emb", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}]}') \g (tuples_only=on)
SET timezone = 'UTC';
SET datestyle = 'ISO';
\x on
SELECT insert_count, ids FROM milvus.insert('types', '[{"id": 1}, {"id": 2, "b": true, "i8": -128, "i16": 32767, "i32": -2147483648,
	"i64": "9223372036854775807", "f": 1e-3, "d": 0.1, "s": "ééé", "j": {"a": [1, "x"]}, "t": "2025-01-02T03:04:05.123456+02:00",
	"ab": [true, false], "ai8": [-128, 127], "ai64": [], "af": [0.5], "as": ["a", "", "ccc"],
	"v": [1, 2], "h": [0.1, 65504], "bf": [0.1, 1e30], "i8v": [-128, 127], "bits": [1, 255], "sp": {"4294967294": 0.5, "0": 1, "7": 0},
	"chunks": [{"text": "a", "emb": [1, 2]}, {"emb": [3, 4], "text": "b"}], "extra": [1]}]');
TABLE types ORDER BY id;
SELECT insert_count FROM milvus.insert('types', '[
	{"id": 3, "i8": null, "f": null, "b": null, "j": null, "v": null, "chunks": null, "t": "2025-01-02 03:04:05", "bits": "0000000111111111"},
	{"id": 4, "i8": 1, "j": "text", "t": "2025-01-02", "sp": {"indices": [9, 3], "values": [0.25, 2]}, "chunks": [], "bits": "Af8="},
	{"id": 5, "j": 5, "sp": "{1:1,3:2}/5", "h": "[1,2]", "bf": "[1,2]", "i8v": "[1,2]"}]');
-- sparse vectors are of one dimension, whatever a text says
SELECT id, i8, f, b, j, t, v, bits, sp, "chunks[text]" FROM types WHERE id > 2 ORDER BY id;
\x off
-- a time without offset is of the collection's zone
SELECT milvus.alter_collection_properties('types', '{"timezone": "Asia/Tokyo"}');
SELECT insert_count FROM milvus.insert('types', '[{"id": 6, "t": "2025-01-02T03:04:05"}, {"id": 7, "t": "2025-01-02T03:04:05Z"}]');
SELECT insert_count FROM milvus.insert('types', '[{"id": 8, "t": "2025-01-02"}, {"id": 9, "t": "2025-01-02Z"}, {"id": 10, "t": "2025-01-02 03:04:05.25-01:30"}, {"id": 11, "t": "2025-01-02T03:04:05 Europe/Berlin"}]');
SELECT id, t FROM types WHERE id BETWEEN 6 AND 11 ORDER BY id;

-- each field with what it cannot hold
CREATE FUNCTION pg_temp.try(field text, value jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM milvus.insert('types', jsonb_build_array('{"id": 100}'::jsonb, jsonb_build_object('id', 101, field, value)));
	RAISE EXCEPTION 'inserted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN format('%s (%s, %s)', SQLERRM, SQLSTATE, detail);
END $$;
SELECT field, value, pg_temp.try(field, json) FROM (VALUES
	(1, 'b', '1'), (2, 'b', '"true"'), (3, 'i8', '128'), (4, 'i8', '-129'), (5, 'i8', '"1"'), (6, 'i16', '32768'), (7, 'i16', '-32769'),
	(8, 'i32', '2147483648'), (9, 'i32', '1.5'), (10, 'i64', 'true'), (11, 'i64', '"12x"'), (12, 'f', '"1"'), (13, 'f', '1e39'), (14, 'd', '1e309'),
	(15, 'd', 'false'), (16, 's', '"éééé"'), (17, 's', '5'), (18, 's', '{}'), (19, 't', '5'), (20, 't', '"yesterday noon"'), (21, 't', '"2025-13-01T00:00:00Z"'), (21.1, 't', '"01/02/2025"'), (21.2, 't', '"2025-01-01T25:00:00"'),
	(22, 'ab', '[1]'), (23, 'ab', 'true'), (24, 'ai8', '[128]'), (25, 'ai8', '[1, 2, 3, 4, 5]'), (26, 'ai64', '[1, null]'), (27, 'ai64', '["x"]'),
	(28, 'af', '[[1]]'), (29, 'as', '["abcd"]'), (30, 'as', '{"a": 1}'), (31, 'as', '["a", "b", "c", "d", "e"]'),
	(32, 'v', '[1]'), (33, 'v', '5'), (34, 'h', '[1, 70000]'), (35, 'h', '[1, 2, 3]'), (36, 'bf', '[]'), (37, 'i8v', '[128, 0]'), (38, 'i8v', '[1]'),
	(39, 'bits', '[1]'), (40, 'bits', '[1, 256]'), (41, 'bits', '[1, -1]'), (42, 'bits', '"01"'), (43, 'bits', '"AAAA"'), (44, 'bits', '5'),
	(45, 'sp', '{"-1": 1}'), (46, 'sp', '{"4294967295": 1}'), (47, 'sp', '{"x": 1}'), (48, 'sp', '{"1": "x"}'), (49, 'sp', '[1]'),
	(50, 'sp', '{"indices": [1, 1], "values": [1, 2]}'), (51, 'sp', '{"indices": [1], "values": [1, 2]}'),
	(52, 'chunks', '5'), (53, 'chunks', '[5]'), (54, 'chunks', '[{"text": "a"}]'), (55, 'chunks', '[{"text": "a", "emb": [1]}]'),
	(56, 'chunks', '[{"text": "123456789", "emb": [1, 2]}]'), (57, 'chunks', '[{"text": "a", "emb": [1, 2], "more": 1}]'),
	(58, 'chunks', '[{"text": "a", "emb": [1, 2]}, {"text": "a", "emb": [1, 2]}, {"text": "a", "emb": [1, 2]}]'),
	(59, 'chunks[text]', '["a"]'), (60, 'id', '[]')) x(n, field, value), LATERAL (SELECT value::jsonb) y(json) ORDER BY n;
SELECT pg_temp.try('j', to_jsonb(repeat('x', 65534)));
SELECT pg_temp.try('j', to_jsonb(repeat('x', 65535)));

-- ---- keys that the table makes ----

SELECT milvus.create_collection('auto', 2, auto_id => true) \g (tuples_only=on)
SELECT insert_count, ids FROM milvus.insert('auto', '[{"vector": [1, 2]}, {"vector": [2, 3], "a": 1}]');
SELECT * FROM milvus.insert('auto', '{"id": 7, "vector": [1, 2]}');
SELECT milvus.alter_collection_properties('auto', '{"allow_insert_auto_id": "true"}');
SELECT insert_count, ids FROM milvus.insert('auto', '[{"id": 70, "vector": [1, 2]}, {"vector": [3, 4]}]');
TABLE auto ORDER BY id;
SELECT milvus.create_collection('auto_text', 2, id_type => 'string', max_length => 10, auto_id => true) \g (tuples_only=on)
SELECT insert_count, ids FROM milvus.insert('auto_text', '[{"vector": [1, 2]}, {"vector": [2, 3]}]');
SELECT milvus.create_collection('texts', 2, id_type => 'string', max_length => 4) \g (tuples_only=on)
SELECT insert_count, ids FROM milvus.insert('texts', '[{"id": "it''s", "vector": [1, 2]}, {"id": "", "vector": [2, 3]}]');
SELECT * FROM milvus.insert('texts', '{"id": "abcde", "vector": [1, 2]}');
SELECT * FROM milvus.insert('texts', '{"id": 5, "vector": [1, 2]}');

-- ---- columns ----

SELECT insert_count, ids FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[10, 11]::bigint[], ARRAY['[1,2,3,4]', '[2,3,4,5]']::vector[]);
SELECT insert_count, ids FROM milvus.insert_columns('docs', '{vector,id,$meta}', NULL, NULL, '{{1,2,3,4},{2,3,4,5}}'::real[], ARRAY[12, 13],
	ARRAY['{"color": "blue"}', NULL]::jsonb[]);
SELECT insert_count, ids FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[14], '{{1,2,3,0.1}}'::float8[]);
SELECT insert_count, ids FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, '{}'::bigint[], '{}'::vector[]);
TABLE docs ORDER BY id;
SELECT insert_count, ids FROM milvus.insert_columns('auto', '{vector}', NULL, NULL, ARRAY['[1,2]', '[2,3]']::vector[]);
SELECT insert_count FROM milvus.insert_columns('types',
	'{id,b,i8,i16,i32,i64,f,d,s,j,t,ab,ai8,ai64,as,v,h,bf,i8v,bits,sp,chunks}', NULL, NULL, ARRAY[20, 21]::int8[],
	ARRAY[true, NULL], ARRAY[NULL, 127], ARRAY[1, 2], ARRAY[1, 2]::int2[], ARRAY[1, 2], ARRAY[0.5, 1]::float8[], ARRAY[1, 2],
	ARRAY['a', 'b'], ARRAY['{}', '"x"']::jsonb[], ARRAY['2025-01-01Z', NULL]::timestamptz[],
	'{{true,false},{false,true}}'::boolean[], ARRAY['[1,2]', '[]']::jsonb[], ARRAY['{1,2,3}', NULL], '{{a,b},{c,d}}'::text[],
	ARRAY['\x0000803f00000040', NULL]::bytea[], ARRAY['\x003c0040', NULL]::bytea[], ARRAY['\x803f0040', NULL]::bytea[],
	ARRAY['\x01ff', NULL]::bytea[], ARRAY['\x01ff', NULL]::bytea[], ARRAY['{"5": 1}', NULL]::jsonb[],
	ARRAY['[{"text": "a", "emb": [1, 2]}]', NULL]::jsonb[]);
\x on
SELECT * FROM types WHERE id IN (20, 21) ORDER BY id;
\x off
-- faults
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30], ARRAY['[1,2,3,4]', '[2,3,4,5]']::vector[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, '{}'::bigint[], ARRAY['[1,2,3,4]']::vector[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30]);
SELECT * FROM milvus.insert_columns('docs', '{id}', NULL, NULL, ARRAY[30]);
SELECT * FROM milvus.insert_columns('docs', '{id,id}', NULL, NULL, ARRAY[30], ARRAY[31]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, 30, ARRAY['[1,2,3,4]']::vector[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, NULL::bigint[], ARRAY['[1,2,3,4]']::vector[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[NULL]::bigint[], ARRAY['[1,2,3,4]']::vector[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30], ARRAY['[1,2,3]']::vector[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30], '{{1,2,3}}'::real[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30], '{{1,2,3,NaN}}'::real[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30], '{{1,2,3,NULL}}'::real[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30], ARRAY['\x0000803f']::bytea[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30], ARRAY['\x0000803f0000803f0000803f0000c07f']::bytea[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, ARRAY[30], ARRAY[true]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector,color}', NULL, NULL, ARRAY[30], ARRAY['[1,2,3,4]']::vector[], ARRAY['x']);
SELECT * FROM milvus.insert_columns('plain', '{id,vector,color}', NULL, NULL, ARRAY[30], ARRAY['[1,2]']::vector[], ARRAY['x']);
SELECT * FROM milvus.insert_columns('docs', '{id,vector,$meta}', NULL, NULL, ARRAY[30], ARRAY['[1,2,3,4]']::vector[], ARRAY['5']::jsonb[]);
SELECT * FROM milvus.insert_columns('docs', '{id,vector,$meta}', NULL, NULL, ARRAY[30], ARRAY['[1,2,3,4]']::vector[], ARRAY['{"id": 5}']::jsonb[]);
SELECT * FROM milvus.insert_columns('types', '{id,i8}', NULL, NULL, ARRAY[30], ARRAY[128]);
SELECT * FROM milvus.insert_columns('types', '{id,i32}', NULL, NULL, ARRAY[30], ARRAY[2147483648]);
SELECT * FROM milvus.insert_columns('types', '{id,f}', NULL, NULL, ARRAY[30], ARRAY[1e39]::float8[]);
SELECT * FROM milvus.insert_columns('types', '{id,s}', NULL, NULL, ARRAY[30], ARRAY['1234567']);
SELECT * FROM milvus.insert_columns('types', '{id,ai8}', NULL, NULL, ARRAY[30], '{{1,128}}'::int2[]);
SELECT * FROM milvus.insert_columns('types', '{id,ai64}', NULL, NULL, ARRAY[30], '{{1,2,3,4,5}}'::int8[]);
SELECT * FROM milvus.insert_columns('types', '{id,as}', NULL, NULL, ARRAY[30], '{{abcd}}'::text[]);
SELECT * FROM milvus.insert_columns('types', '{id,chunks}', NULL, NULL, ARRAY[30], ARRAY['x']);
SELECT * FROM milvus.insert_columns('docs', '{id,vector}', NULL, NULL, VARIADIC ARRAY[30]);

-- ---- partitions ----

SELECT milvus.create_partition('docs', 'p');
SELECT insert_count FROM milvus.insert('docs', '{"id": 40, "vector": [1, 2, 3, 4]}', partition_name => 'p');
SELECT insert_count FROM milvus.insert('docs', '{"id": 41, "vector": [1, 2, 3, 4]}', '_default');
SELECT insert_count FROM milvus.insert_columns('docs', '{id,vector}', 'p', NULL, ARRAY[42], ARRAY['[1,2,3,4]']::vector[]);
SELECT id, "$partition" FROM docs WHERE id >= 40 ORDER BY id;
SELECT row_count FROM milvus.get_partition_stats('docs', 'p');
SELECT * FROM milvus.insert('docs', '{"id": 43, "vector": [1, 2, 3, 4]}', 'q');
-- the partition of a key is computed
SELECT milvus.create_collection('keyed', partition_key_field => 'tenant', num_partitions => 8, schema => '{"fields": [
	{"name": "id", "type": "INT64", "is_primary": true}, {"name": "tenant", "type": "VARCHAR", "params": {"max_length": 20}},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}') \g (tuples_only=on)
SELECT insert_count FROM milvus.insert('keyed', '[{"id": 1, "tenant": "a", "v": [1, 2]}, {"id": 2, "tenant": "a", "v": [1, 2]}, {"id": 3, "tenant": "bb", "v": [1, 2]}]');
SELECT count(*), count(DISTINCT tenant) AS tenants, count(DISTINCT "$partition") <= 2 AS few FROM keyed;
SELECT * FROM milvus.insert('keyed', '{"id": 4, "tenant": "a", "v": [1, 2]}', '_default_1');

-- ---- an alias, another database, other storage, a table that was attached ----

SELECT milvus.create_alias('docs', 'papers');
SELECT insert_count FROM milvus.insert('papers', '{"id": 50, "vector": [1, 2, 3, 4]}');
SELECT milvus.create_database('other');
SELECT milvus.create_collection('docs', 2, db_name => 'other') \g (tuples_only=on)
SELECT insert_count FROM milvus.insert('docs', '{"id": 1, "vector": [1, 2]}', db_name => 'other');
SELECT insert_count FROM milvus.insert_columns('docs', '{id,vector}', NULL, 'other', ARRAY[2], ARRAY['[1,2]']::vector[]);
SELECT * FROM other.docs ORDER BY id;
SELECT * FROM milvus.insert('docs', '{}', db_name => 'nowhere');
SET milvus.default_storage = heap;
SELECT milvus.create_collection('heaped', 2) \g (tuples_only=on)
RESET milvus.default_storage;
SELECT insert_count FROM milvus.insert('heaped', '[{"id": 1, "vector": [1, 2], "a": 1}, {"id": 2, "vector": [1, 2]}]');
TABLE heaped ORDER BY id;
CREATE TABLE attached (id serial PRIMARY KEY, title varchar(3) DEFAULT 'abc', n integer GENERATED ALWAYS AS (id * 2) STORED, note inet, v vector(2));
SELECT milvus.attach_collection('attached');
SELECT insert_count, ids FROM milvus.insert('attached', '[{"v": [1, 2]}, {"title": "x"}, {"id": 7, "title": null}]');
TABLE attached ORDER BY id;
SELECT * FROM milvus.insert('attached', '{"n": 5}');
SELECT * FROM milvus.insert('attached', '{"note": "x"}');
SELECT * FROM milvus.insert('attached', '{"title": "abcd"}');
-- names that PostgreSQL cannot have
SELECT milvus.create_collection('longnames', schema => format('{"fields": [{"name": "id", "type": "INT64", "is_primary": true},
	{"name": "%s", "type": "INT64", "nullable": true}, {"name": "ctid", "type": "INT64", "nullable": true}, {"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}', repeat('x', 100))::jsonb) \g (tuples_only=on)
SELECT insert_count FROM milvus.insert('longnames', jsonb_build_object('id', 1, repeat('x', 100), 5, 'ctid', 6, 'v', '[1,2]'));
SELECT replace(to_jsonb(longnames)::text, repeat('x', 40), '') FROM longnames;

-- ---- transactions, triggers, rights ----

BEGIN;
SELECT insert_count FROM milvus.insert('plain', '{"id": 1, "vector": [1, 2]}');
ALTER TABLE plain ADD COLUMN a integer;
SELECT insert_count FROM milvus.insert('plain', '{"id": 2, "vector": [1, 2], "a": 5}');
SELECT id, a FROM plain ORDER BY id;
ROLLBACK;
SELECT count(*) FROM plain;
SELECT * FROM milvus.insert('plain', '{"id": 2, "vector": [1, 2], "a": 5}');

CREATE FUNCTION change_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id = 13 THEN
		RETURN NULL;
	END IF;
	NEW.id := NEW.id + 1000;
	RETURN NEW;
END $$;
CREATE TRIGGER change_key BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION change_key();
SELECT insert_count, ids FROM milvus.insert('plain', '[{"id": 1, "vector": [1, 2]}, {"id": 13, "vector": [1, 2]}]');
-- a trigger that writes to a collection itself
CREATE FUNCTION copy_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM milvus.insert('heaped', jsonb_build_object('id', NEW.id, 'vector', NEW.vector::text));
	RETURN NULL;
END $$;
CREATE TRIGGER copy_row AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION copy_row();
SELECT insert_count, ids FROM milvus.insert('plain', '[{"id": 3, "vector": [1, 2]}, {"id": 4, "vector": [3, 4]}]');
SELECT id FROM heaped ORDER BY id;
-- statements that are kept for the session have a bound, also when one call makes them all
CREATE FUNCTION many_statements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM milvus.delete('heaped', filter => format('id == %s and id != %s', -NEW.id, NEW.id));
	RETURN NULL;
END $$;
CREATE TABLE many (id bigint PRIMARY KEY, v vector(2));
SELECT milvus.attach_collection('many');
CREATE TRIGGER many_statements AFTER INSERT ON many FOR EACH ROW EXECUTE FUNCTION many_statements();
SELECT insert_count FROM milvus.insert('many', (SELECT jsonb_agg(jsonb_build_object('id', i, 'v', '[1,2]')) FROM generate_series(1, 1200) i));
SELECT count(*) < 1000 AS bounded FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource';
SELECT insert_count FROM milvus.insert('many', '{"id": 0, "v": [1, 2]}');
DROP TABLE many;
-- a rule that returns more rows
CREATE TABLE ruled (id bigint PRIMARY KEY, v vector(2));
SELECT milvus.attach_collection('ruled');
CREATE TRIGGER change_key BEFORE INSERT ON ruled FOR EACH ROW EXECUTE FUNCTION change_key();
CREATE RULE elsewhere AS ON INSERT TO ruled DO INSTEAD
	INSERT INTO heaped (id, vector) SELECT 100 * NEW.id + i, NEW.v FROM generate_series(1, 5) i RETURNING heaped.id, heaped.vector::vector(2);
SELECT insert_count, ids FROM milvus.insert('ruled', '{"id": 5, "v": [1, 2]}');
DROP TABLE ruled;

CREATE ROLE collection_writer;
SET ROLE collection_writer;
SELECT * FROM milvus.insert('docs', '{"id": 60, "vector": [1, 2, 3, 4]}');
RESET ROLE;
-- rights on the columns that are written are enough
GRANT INSERT (id, vector) ON docs TO collection_writer;
SET ROLE collection_writer;
SELECT insert_count, ids FROM milvus.insert('docs', '{"id": 60, "vector": [1, 2, 3, 4]}');
SELECT * FROM milvus.insert('docs', '{"id": 61, "vector": [1, 2, 3, 4], "color": "red"}');
SELECT * FROM milvus.insert('docs', '{"id": 1, "vector": [1, 2]}', db_name => 'other');
RESET ROLE;
GRANT INSERT ON docs TO collection_writer;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY red ON docs USING (true) WITH CHECK ("$meta" ->> 'color' = 'red');
SET ROLE collection_writer;
SELECT * FROM milvus.insert('docs', '{"id": 62, "vector": [1, 2, 3, 4]}');
SELECT insert_count FROM milvus.insert('docs', '{"id": 62, "vector": [1, 2, 3, 4], "color": "red"}');
RESET ROLE;
-- a vector of integers has no fractions
SELECT milvus.create_collection('bytes', schema => '{"fields": [{"name": "id", "type": 5, "is_primary": true}, {"name": "v", "type": "Int8Vector", "params": {"dim": 2}}]}');
SELECT * FROM milvus.insert('bytes', '[{"id": 1, "v": [1, 2]}, {"id": 2, "v": [1.5, 2]}]');
SELECT * FROM milvus.insert('bytes', '{"id": 1, "v": [-128.4, 2]}');
SELECT * FROM milvus.insert_columns('bytes', '{id,v}', NULL, NULL, ARRAY[1], '{{1,0.5}}'::real[]);
SELECT insert_count FROM milvus.insert('bytes', '{"id": 1, "v": [-128, 127.0]}');
SELECT v FROM bytes;
DROP TABLE bytes;
-- search_path is of no account
BEGIN;
SET LOCAL search_path = pg_catalog;
SELECT insert_count FROM milvus.insert('docs', '{"id": 63, "vector": [1, 2, 3, 4], "color": "red"}');
ROLLBACK;

REVOKE ALL ON docs FROM collection_writer;
DROP ROLE collection_writer;
SELECT milvus.drop_alias('papers');
DROP TABLE docs, plain, types, auto, auto_text, texts, keyed, heaped, attached, longnames, other.docs;
SELECT milvus.drop_database('other');
DROP FUNCTION change_key, copy_row;
