-- What Milvus refuses, in its words and with its codes.
\set SHOW_CONTEXT never
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
-- a definition with these fields besides, or instead
CREATE FUNCTION pg_temp.fields(VARIADIC fields text[]) RETURNS text LANGUAGE sql AS $$
	SELECT format($f$SELECT milvus.create_collection('bad', schema => '{"fields": [%s]}')$f$, array_to_string(fields, ', ')) $$;
\set pk '''{"name": "id", "type": 5, "is_primary": true}'''
\set vec '''{"name": "v", "type": 101, "params": {"dim": 4}}'''
\t on

-- names of collections
SELECT pg_temp.refused(format('SELECT milvus.create_collection(%L, 4)', name))
	FROM unnest(ARRAY['', '1a', 'a-b', 'a b', 'ä', '$a', repeat('a', 256), NULL]) WITH ORDINALITY n(name, i) ORDER BY i;
SELECT pg_temp.refused(format('SELECT milvus.has_collection(%L)', '12-s'));
SELECT pg_temp.refused('SELECT milvus.create_collection(''a'')');
SELECT pg_temp.refused('SELECT milvus.create_collection(''a'', 4, db_name => ''nothing'')');

-- dimensions
SELECT pg_temp.refused(format('SELECT milvus.create_collection(''bad'', %s)', dim)) FROM unnest('{-1,0,1,32769}'::int[]) dim;
SELECT pg_temp.refused(pg_temp.fields(:pk, format('{"name": "v", "type": %s, "params": {%s}}', type, params)))
	FROM (VALUES ('100', '"dim": 12'), ('100', '"dim": 262152'), ('101', ''), ('101', '"dim": "x"'), ('104', '"dim": 4'), ('102', '"dim": 40000')) AS v(type, params);

-- keys
SELECT pg_temp.refused(pg_temp.fields(:vec));
SELECT pg_temp.refused(pg_temp.fields(:pk));
SELECT pg_temp.refused(pg_temp.fields(:pk, :vec, '{"name": "id2", "type": 5, "is_primary": true}'));
SELECT pg_temp.refused(pg_temp.fields('{"name": "id", "type": 4, "is_primary": true}', :vec));
SELECT pg_temp.refused(pg_temp.fields('{"name": "id", "type": 5, "is_primary": true, "nullable": true}', :vec));
SELECT pg_temp.refused(pg_temp.fields('{"name": "id", "type": 5, "is_primary": true, "default_value": 1}', :vec));
SELECT pg_temp.refused(pg_temp.fields(:pk, :vec, '{"name": "a", "type": 5, "auto_id": true}'));
SELECT pg_temp.refused('SELECT milvus.create_collection(''bad'', 4, id_type => ''float'')');

-- names and types of fields
SELECT pg_temp.refused(pg_temp.fields(:pk, :vec, format('{"name": "%s", "type": 5}', name)))
	FROM unnest(ARRAY['', '1a', 'a-b', repeat('a', 256), 'in', 'RowID', 'NULL', '$meta', 'id']) WITH ORDINALITY n(name, i) ORDER BY i;
SELECT pg_temp.refused(pg_temp.fields(:pk, :vec, format('{"name": "a", %s}', rest))) FROM (VALUES
	(1, '"type": "nothing"'), (2, '"description": ""'), (3, '"type": 21'), (4, '"type": 21, "params": {"max_length": 0}'),
	(5, '"type": 21, "params": {"max_length": 65536}'), (6, '"type": 22, "element_type": 5'),
	(7, '"type": 22, "element_type": 5, "params": {"max_capacity": 4097}'), (8, '"type": 22, "params": {"max_capacity": 4}'),
	(9, '"type": 22, "element_type": 23, "params": {"max_capacity": 4}'),
	(10, '"type": 22, "element_type": 21, "params": {"max_capacity": 4}'),
	(11, '"type": 2, "default_value": 128'), (12, '"type": 5, "default_value": "x"'), (13, '"type": 1, "default_value": 1'),
	(14, '"type": 21, "params": {"max_length": 2}, "default_value": "abc"'), (15, '"type": 23, "default_value": 1'),
	(16, '"type": 201'), (17, '"type": 21, "params": {"max_length": 4, "enable_match": true}'), (18, '"type": 5, "nullable": "perhaps"')) AS r(i, rest) ORDER BY i;

-- a type of another extension
\t off
SELECT milvus.create_collection('bad', schema => format('{"fields": [%s, %s, {"name": "g", "type": "Geometry"}]}', :pk, :vec)::jsonb);
\t on

-- numbers of things
SELECT pg_temp.refused(pg_temp.fields(:pk, :vec, string_agg(format('{"name": "f%s", "type": 5}', i), ', '))) FROM generate_series(1, 63) i;
SELECT pg_temp.refused(pg_temp.fields(:pk, string_agg(format('{"name": "v%s", "type": 101, "params": {"dim": 2}}', i), ', '))) FROM generate_series(1, 11) i;
SELECT pg_temp.refused('SELECT milvus.create_collection(''bad'', 4, num_shards => 17)');
SELECT pg_temp.refused('SELECT milvus.create_collection(''bad'', 4, num_partitions => 4)');
SELECT pg_temp.refused(format('SELECT milvus.create_collection(''bad'', schema => ''{"fields": [%s, %s, {"name": "k", "type": 5, "is_partition_key": true}]}'', num_partitions => %s)', :pk, :vec, n)) FROM unnest('{0,1025}'::int[]) n;
SELECT pg_temp.refused('SELECT milvus.create_collection(''bad'', 4, consistency_level => ''Sometimes'')');
SELECT pg_temp.refused('SELECT milvus.create_collection(''bad'', 4, partition_key_field => ''nothing'')');
SELECT pg_temp.refused('SELECT milvus.create_collection(''bad'', 4, partition_key_field => ''id'')');
SELECT pg_temp.refused(pg_temp.fields(:pk, :vec, '{"name": "k", "type": 10, "is_partition_key": true}'));
SELECT pg_temp.refused(pg_temp.fields(:pk, :vec, '{"name": "k", "type": 5, "is_partition_key": true}', '{"name": "l", "type": 5, "is_partition_key": true}'));
SELECT pg_temp.refused(pg_temp.fields(:pk, '{"name": "v", "type": 101, "params": {"dim": 4}, "is_clustering_key": true}'));
SET milvus.max_collections = 1;
SELECT pg_temp.refused('SELECT milvus.create_collection(''first'', 4)');
SELECT pg_temp.refused('SELECT milvus.create_collection(''second'', 4)');
RESET milvus.max_collections;
SELECT milvus.drop_collection('first');

-- properties
SELECT pg_temp.refused(format('SELECT milvus.create_collection(''bad'', 4, properties => %L)', p)) FROM (VALUES
	(1, '{"mmap.enabled": "maybe"}'), (2, '{"collection.ttl.seconds": "x"}'), (3, '{"collection.ttl.seconds": -2}'),
	(4, '{"timezone": "Mars/Olympus"}'), (5, '{"partitionkey.isolation": 3}')) AS v(i, p) ORDER BY i;

-- functions
SELECT pg_temp.refused(format('SELECT milvus.create_collection(''bad'', schema => ''{"fields": [%s, %s], "functions": [%s]}'')', :pk, :vec, f)) FROM (VALUES
	(1, '{"type": "BM25"}'), (2, '{"name": "f", "input_field_names": ["nothing"]}'), (3, '{"name": "f", "output_field_names": ["nothing"]}')) AS v(i, f) ORDER BY i;

-- what is not there, and what is another thing
CREATE TABLE ordinary (id bigint PRIMARY KEY);
SELECT pg_temp.refused(s) FROM (VALUES
	(1, 'SELECT milvus.create_collection(''ordinary'', 4)'),
	(2, 'SELECT milvus.drop_collection(''ordinary'')'),
	(3, 'SELECT milvus.describe_collection(''ordinary'')'),
	(4, 'SELECT milvus.truncate_collection(''nothing'')'),
	(5, 'SELECT milvus.rename_collection(''nothing'', ''other'')'),
	(6, 'SELECT milvus.rename_collection(''nothing'', ''1'')'),
	(7, 'SELECT milvus.load_collection(''nothing'')'),
	(8, 'SELECT milvus.release_collection(''nothing'')'),
	(9, 'SELECT milvus.get_collection_stats(''nothing'')'),
	(10, 'SELECT milvus.create_index(''nothing'', ''{}'')'),
	(11, 'SELECT milvus.list_partitions(NULL)'),
	(12, 'SELECT milvus.get_load_state(''nothing'')')) AS v(i, s) ORDER BY i;
DROP TABLE ordinary;

-- no argument at all is an error, or nothing
CREATE FUNCTION pg_temp.without_arguments(OUT asked text, OUT failures text) LANGUAGE plpgsql AS $$
DECLARE
	f record;
	n integer := 0;
BEGIN
	FOR f IN SELECT p.oid::regprocedure AS signature, p.proname, p.pronargs FROM pg_proc p
		WHERE p.pronamespace = 'milvus'::regnamespace AND p.pronargs > 0 AND NOT p.proisstrict AND p.prokind = 'f'
			AND p.proargnames[1] = ANY ('{collection_name,db_name,alias,old_name,relation}') ORDER BY 1
	LOOP
		n := n + 1;
		BEGIN
			EXECUTE format('SELECT milvus.%I(%s)', f.proname, (SELECT string_agg('NULL', ', ') FROM generate_series(1, f.pronargs)));
		EXCEPTION WHEN OTHERS THEN
			IF SQLSTATE LIKE 'XX%' OR SQLSTATE LIKE '42%' AND SQLSTATE NOT IN ('42602', '42P01') THEN
				failures := concat(failures, f.signature, ' ', SQLERRM, ' ');
			END IF;
		END;
	END LOOP;
	asked := CASE WHEN n > 40 THEN 'all' ELSE n::text END;
END $$;
SELECT asked, failures FROM pg_temp.without_arguments();
