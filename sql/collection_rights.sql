-- Who may do what: all functions run with the caller's rights.
\set SHOW_CONTEXT never
CREATE ROLE collection_owner;
CREATE ROLE collection_reader;
CREATE SCHEMA hidden;
GRANT CREATE, USAGE ON SCHEMA public TO collection_owner;
SET ROLE collection_owner;
SELECT milvus.create_collection('mine', 4);
SELECT milvus.create_alias('mine', 'nick');
SELECT milvus.create_database('new');
RESET ROLE;
SELECT milvus.create_collection('secret', 4), milvus.create_collection('inner', 4, db_name => 'hidden');

SET ROLE collection_reader;
SELECT * FROM milvus.list_collections();
SELECT * FROM milvus.list_databases();
SELECT milvus.has_collection('inner', 'hidden');
SELECT milvus.get_collection_stats('mine');
SELECT milvus.load_collection('mine');
SELECT milvus.release_collection('mine');
SELECT milvus.create_partition('mine', 'p');
SELECT milvus.drop_collection('mine');
SELECT milvus.truncate_collection('mine');
SELECT milvus.rename_collection('mine', 'yours');
SELECT milvus.create_alias('mine', 'other');
SELECT milvus.drop_alias('nick');
SELECT milvus.alter_collection_properties('mine', '{"a": 1}');
SELECT milvus.alter_collection_field('mine', 'id', '{"description": "x"}');
SELECT milvus.add_collection_field('mine', 'x', 'BOOL', nullable => true);
SELECT milvus.drop_collection_field('mine', 'vector');
SELECT milvus.create_index('mine', '{"field_name": "id"}');
SELECT milvus.drop_index('mine', 'vector');
SELECT milvus.attach_collection('secret');
SELECT milvus.create_database('theirs');
SECURITY LABEL FOR milvus_catalog ON TABLE mine IS '{}';
RESET ROLE;

-- what is granted
GRANT SELECT ON mine TO collection_reader;
SET ROLE collection_reader;
SELECT * FROM milvus.list_collections();
SELECT alias, collection_name FROM milvus.aliases;
SELECT field_name FROM milvus.fields;
SELECT * FROM milvus.get_collection_stats('mine');
RESET ROLE;
-- row-level security holds
INSERT INTO mine (id, vector) VALUES (1, '[1,2,3,4]'), (2, '[1,2,3,4]');
ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON mine USING (id = 1);
SET ROLE collection_reader;
SELECT * FROM milvus.get_collection_stats('mine');
RESET ROLE;
-- nor does it leave rows of a partition that is dropped, where it holds for the owner too
SET ROLE collection_owner;
SELECT milvus.create_partition('mine', 'part');
SELECT insert_count FROM milvus.insert('mine', '[{"id": 1001, "vector": [1, 2, 3, 4]}]', 'part');
SELECT milvus.release_partitions('mine', '{part}');
ALTER TABLE mine FORCE ROW LEVEL SECURITY;
SELECT milvus.drop_partition('mine', 'part');
ALTER TABLE mine NO FORCE ROW LEVEL SECURITY;
SELECT milvus.drop_partition('mine', 'part');
RESET ROLE;
SELECT id FROM mine ORDER BY id;

-- names in search_path are not believed
CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO collection_owner;
CREATE FUNCTION trap.octet_length(text) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
CREATE FUNCTION trap.less(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR trap.<= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = trap.less);
CREATE TYPE trap.text AS (a integer);
SET search_path = trap, public, pg_catalog;
SET ROLE collection_owner;
SELECT milvus.create_collection('c', schema => '{"fields": [{"name": "id", "type": 5, "is_primary": true}, {"name": "s", "type": 21, "params": {"max_length": 2}},
	{"name": "v", "type": 101, "params": {"dim": 2}}]}'::pg_catalog.jsonb);
RESET ROLE;
RESET search_path;
INSERT INTO c VALUES (1, 'abc', '[1,2]');

-- labels by plain SQL: any object is harmless
SECURITY LABEL FOR milvus_catalog ON TABLE c IS 'x';
SECURITY LABEL FOR milvus_catalog ON TABLE c IS '[1]';
SECURITY LABEL FOR milvus_catalog ON SCHEMA public IS '{}';
SECURITY LABEL FOR milvus_catalog ON TABLE c IS '{"properties": 3, "partitions": [[1], "x", [7, "p", true]], "loaded": "?", "consistency_level": 77, "num_shards": "x", "structs": 5, "functions": {}, "name": 7}';
SECURITY LABEL FOR milvus_catalog ON COLUMN c.s IS '{"type": "Int64", "max_length": "x", "id": {}, "indexes": [3, {}, {"name": 7, "relation": "c_pkey"}], "struct": "y", "params": 3}';
SELECT milvus.describe_collection('c') - '{collection_id,created_timestamp,update_timestamp}'::text[] AS description;
SELECT * FROM milvus.describe_index('c');
SELECT * FROM milvus.list_partitions('c');
SECURITY LABEL FOR milvus_catalog ON TABLE c IS NULL;
SELECT milvus.has_collection('c');

DROP TABLE c, secret, mine CASCADE;
DROP SCHEMA trap, hidden CASCADE;
DROP OWNED BY collection_owner;
DROP ROLE collection_owner, collection_reader;
