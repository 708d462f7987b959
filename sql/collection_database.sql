-- Databases and aliases; names that PostgreSQL cannot have; tables that become collections.
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

-- databases are schemas
SELECT * FROM milvus.list_databases();
SELECT milvus.create_database('books'), milvus.create_database('films', '{"database.replica.number": 2}');
SELECT * FROM milvus.list_databases();
SELECT milvus.describe_database('default'), milvus.describe_database('books'), milvus.describe_database('films');
SELECT milvus.alter_database_properties('books', '{"database.max.collections": 10, "timezone": "UTC"}'), milvus.drop_database_properties('books', '{timezone}');
SELECT milvus.describe_database('books');
SELECT milvus.create_collection('c', 4, db_name => 'books'), milvus.create_collection('c', 8);
SELECT db_name, collection_name, relation FROM milvus.collections ORDER BY 1;
SELECT * FROM milvus.list_collections('books');
SELECT milvus.use_database('books');
SELECT milvus.describe_collection('c') ->> 'relation' AS relation, milvus.describe_collection('c', 'default') ->> 'relation' AS other;
SELECT milvus.create_index('c', '{"field_name": "$meta", "index_type": "INVERTED", "index_name": "x", "params": {"json_path": "x", "json_cast_type": "double"}}');
SELECT milvus.rename_collection('c', 'c', 'films');
SELECT * FROM milvus.list_collections('films');
SELECT milvus.rename_collection('c', 'c2', 'default', 'films');
SELECT milvus.use_database('default');
SELECT * FROM milvus.list_collections();
SELECT index_name, relation FROM milvus.describe_index('c2');
SELECT milvus.drop_collection('c2');
SELECT milvus.drop_database('books'), milvus.drop_database('books');
SELECT milvus.create_collection('c', 4, db_name => 'films');
SELECT pg_temp.refused(s) FROM (VALUES
	(1, 'SELECT milvus.create_database(''films'')'), (2, 'SELECT milvus.create_database(''default'')'), (3, 'SELECT milvus.create_database(''public'')'),
	(4, 'SELECT milvus.create_database(''milvus'')'), (5, 'SELECT milvus.create_database(''pg_x'')'), (6, 'SELECT milvus.create_database(''information_schema'')'),
	(7, 'SELECT milvus.create_database('''')'), (8, 'SELECT milvus.create_database(''1a'')'), (9, 'SELECT milvus.create_database(''a-b'')'), (10, 'SELECT milvus.create_database(repeat(''a'', 256))'),
	(11, 'SELECT milvus.drop_database(''default'')'), (12, 'SELECT milvus.drop_database(''films'')'), (13, 'SELECT milvus.describe_database(''nothing'')'),
	(14, 'SELECT milvus.use_database(''nothing'')'), (15, 'SELECT milvus.list_collections(''nothing'')'), (16, 'SELECT milvus.has_collection(''c'', ''milvus'')'),
	(17, 'SELECT milvus.has_collection(''c'', ''pg_catalog'')'), (18, 'SELECT milvus.has_collection(''c'', ''public'')'), (19, 'SELECT milvus.alter_database_properties(''nothing'', ''{}'')')) AS v(i, s) ORDER BY i;
-- arguments that are objects
SELECT pg_temp.refused(s) FROM (VALUES
	(1, $$SELECT milvus.create_collection('e', 4, properties => '[1]')$$), (2, $$SELECT milvus.create_collection('e', 4, properties => '"x"')$$),
	(3, $$SELECT milvus.create_database('e', '[]')$$), (4, $$SELECT milvus.alter_database_properties('films', '3')$$),
	(5, $$SELECT milvus.alter_collection_field('c', 'id', '5', 'films')$$), (6, $$SELECT milvus.attach_collection('pg_class', properties => '[]')$$)) AS v(i, s) ORDER BY i;
SELECT milvus.release_collection('c', 'films'), pg_temp.refused($$SELECT milvus.alter_index_properties('c', 'vector', '[]', 'films')$$);
SET milvus.max_databases = 2;
SELECT pg_temp.refused('SELECT milvus.create_database(''third'')');
RESET milvus.max_databases;
-- another schema is the default
CREATE SCHEMA main;
SET milvus.default_database_schema = 'main';
SELECT milvus.create_collection('c', 4);
SELECT db_name, relation FROM milvus.collections ORDER BY 1, 2;
RESET milvus.default_database_schema;
DROP SCHEMA main CASCADE;

-- aliases
SELECT milvus.create_collection('d', 4);
SELECT milvus.create_alias('c', 'a'), milvus.create_alias('c', 'a'), milvus.create_alias('c', 'b');
SELECT * FROM milvus.list_aliases('c');
SELECT * FROM milvus.describe_alias('a');
SELECT milvus.describe_collection('a') -> 'collection_name' AS name, milvus.describe_collection('a') -> 'aliases' AS aliases, milvus.has_collection('a');
SELECT db_name, alias, collection_name, relation FROM milvus.aliases ORDER BY alias;
SELECT * FROM a;
SELECT milvus.alter_alias('d', 'b');
SELECT * FROM milvus.list_aliases('c');
SELECT * FROM milvus.list_aliases();
SELECT milvus.create_partition('b', 'by_alias'), milvus.has_partition('d', 'by_alias');
-- an alias follows a rename, and keeps its collection
SELECT milvus.rename_collection('c', 'renamed');
SELECT * FROM milvus.describe_alias('a');
DROP TABLE renamed;
SELECT pg_temp.refused(s) FROM (VALUES
	(1, 'SELECT milvus.drop_collection(''renamed'')'), (2, 'SELECT milvus.drop_collection(''a'')'), (3, 'SELECT milvus.rename_collection(''a'', ''x'')'),
	(4, 'SELECT milvus.create_alias(''d'', ''a'')'), (5, 'SELECT milvus.create_alias(''d'', ''renamed'')'), (6, 'SELECT milvus.create_alias(''nothing'', ''x'')'),
	(7, 'SELECT milvus.create_alias(''a'', ''x'')'), (8, 'SELECT milvus.create_alias(''d'', ''1'')'), (9, 'SELECT milvus.alter_alias(''d'', ''x'')'),
	(10, 'SELECT milvus.describe_alias(''x'')'), (11, 'SELECT milvus.describe_alias(''d'')'), (12, 'SELECT milvus.list_aliases(''nothing'')'),
	(13, 'SELECT milvus.create_collection(''a'', 4)'), (14, 'SELECT milvus.rename_collection(''d'', ''a'')'), (15, 'SELECT milvus.rename_collection(''renamed'', ''renamed'', ''films'')')) AS v(i, s) ORDER BY i;
SELECT milvus.drop_alias('a'), milvus.drop_alias('a'), milvus.drop_alias('d');
SELECT milvus.has_collection('a'), milvus.has_collection('d');
SELECT milvus.drop_collection('renamed');
DROP TABLE d CASCADE;
SELECT * FROM milvus.list_aliases();
SELECT milvus.drop_collection('c', 'films'), milvus.drop_database('films');

-- names longer than PostgreSQL's, and those of system columns
SELECT repeat('long_name_', 25) || '1' AS l, repeat('long_name_', 25) || '2' AS m \gset
SELECT milvus.create_database(:'l');
SELECT milvus.create_collection(:'l', schema => format('{"fields": [{"name": "%1$s", "type": 5, "is_primary": true}, {"name": "%2$s", "type": 101, "params": {"dim": 2}},
	{"name": "ctid", "type": 21, "params": {"max_length": 3}}]}', :'l', :'m')::jsonb, index_params => format('{"field_name": "%s"}', :'m')::jsonb, db_name => :'l');
SELECT milvus.create_collection(:'m', 4, db_name => :'l'), milvus.create_alias(:'m', 'm' || substr(:'m', 2), :'l');
SELECT name = :'l' AS same FROM milvus.list_databases() AS name WHERE name LIKE 'long%';
SELECT collection_name = :'l' AS l, collection_name = :'m' AS m, db_name = :'l' AS db FROM milvus.collections ORDER BY 1;
SELECT n AS alias_length FROM milvus.list_aliases(db_name => :'l') a, length(a) n;
SELECT jsonb_path_query_array(d, '$.fields[*].name') = to_jsonb(ARRAY[:'l', :'m', 'ctid']) AS fields, d ->> 'collection_name' = :'l' AS name
	FROM milvus.describe_collection(:'l', :'l') d;
SELECT column_name FROM milvus.fields WHERE collection_name = :'l';
SELECT index_name = :'m' AS named, field_name = :'m' AS field FROM milvus.describe_index(:'l', db_name => :'l');
SELECT milvus.rename_collection(:'l', 'short', db_name => :'l');
SELECT milvus.has_collection(:'l', :'l'), milvus.has_collection('short', :'l');
SELECT milvus.drop_collection('short', :'l'), milvus.drop_alias('m' || substr(:'m', 2), :'l'), milvus.drop_collection(:'m', :'l'), milvus.drop_database(:'l');

-- a table becomes a collection
CREATE TABLE items (id serial PRIMARY KEY, title varchar(20), price numeric, tags text[], embedding vector(3), added timestamptz);
CREATE INDEX ON items USING ann (embedding vector_l2_ops);
SELECT milvus.attach_collection('items', description => 'a table', properties => '{"collection.ttl.seconds": 60}');
SELECT field_id, field_name, type, element_type, params, is_primary, auto_id, nullable FROM milvus.fields;
SELECT index_name, index_type, metric_type FROM milvus.describe_index('items');
SELECT milvus.load_collection('items'), milvus.create_partition('items', 'p'), milvus.add_collection_field('items', 'x', 'BOOL', nullable => true);
\d items
CREATE TABLE two (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE "odd name" (id int PRIMARY KEY);
CREATE TABLE odd_key (id uuid PRIMARY KEY);
CREATE TEMP TABLE temporary (id int PRIMARY KEY);
CREATE VIEW seen AS SELECT 1 AS id;
SELECT pg_temp.refused(format('SELECT milvus.attach_collection(%L)', t)) FROM unnest('{items,two,"\"odd name\"",odd_key,seen,pg_class}'::text[]) WITH ORDINALITY t(t, i) ORDER BY i;
SELECT left(pg_temp.refused('SELECT milvus.attach_collection(''temporary'')'), 26);
DROP TABLE items, two, "odd name", odd_key;
DROP VIEW seen;
