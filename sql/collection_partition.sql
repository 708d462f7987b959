-- Partitions by name and by key.
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
SELECT milvus.create_collection('c', 4);
SELECT * FROM milvus.list_partitions('c');
SELECT milvus.create_partition('c', 'p1'), milvus.create_partition('c', '2-p'), milvus.create_partition('c', 'p1');
SELECT * FROM milvus.list_partitions('c');
SELECT milvus.has_partition('c', 'p1'), milvus.has_partition('c', 'p3'), milvus.has_partition('c', '_default');
SELECT milvus.describe_collection('c') -> 'num_partitions' AS partitions;
\d c
-- plain SQL writes the number of a partition
INSERT INTO c (id, vector, "$partition") SELECT i, '[1,2,3,4]', i % 3 FROM generate_series(1, 10) i;
SELECT p, row_count FROM milvus.list_partitions('c') p, milvus.get_partition_stats('c', p) ORDER BY p COLLATE "C";
SELECT * FROM milvus.get_partition_stats('c', 'p3');
-- new partitions of a loaded collection are loaded
SELECT partition_name, load_state FROM milvus.partitions;
SELECT milvus.drop_partition('c', 'p1');
SELECT milvus.release_partitions('c', '{p1}');
SELECT partition_name, load_state, (milvus.get_load_state('c')).* FROM milvus.partitions;
SELECT milvus.drop_partition('c', 'p1'), milvus.drop_partition('c', 'p1');
SELECT count(*) FROM c;
SELECT * FROM milvus.list_partitions('c');
SELECT milvus.release_collection('c');
SELECT partition_name, load_state, (milvus.get_load_state('c')).* FROM milvus.partitions;
SELECT milvus.load_partitions('c', '{2-p}');
SELECT partition_name, load_state, (milvus.get_load_state('c')).* FROM milvus.partitions;
SELECT milvus.load_collection('c');
SELECT partition_name, load_state, (milvus.get_load_state('c')).* FROM milvus.partitions;
-- the number of one that was dropped is not the next one's
SELECT milvus.create_partition('c', 'p4');
SELECT label::jsonb -> 'partitions' AS partitions FROM pg_seclabel WHERE objoid = 'c'::regclass AND objsubid = 0 AND provider = 'milvus_catalog';

-- a key
SELECT milvus.create_collection('k', schema => '{"fields": [{"name": "id", "type": 5, "is_primary": true},
	{"name": "tenant", "type": 21, "params": {"max_length": 20}, "is_partition_key": true}, {"name": "v", "type": 101, "params": {"dim": 2}}]}',
	num_partitions => 4, index_params => '{"field_name": "v", "metric_type": "L2"}', properties => '{"partitionkey.isolation": true}');
\d k
SELECT * FROM milvus.list_partitions('k');
SELECT * FROM milvus.list_indexes('k');
INSERT INTO k (id, tenant, v) SELECT i, 'tenant ' || i % 20, '[1,2]' FROM generate_series(1, 1000) i;
SELECT sum(row_count), count(*) FILTER (WHERE row_count > 0) > 2 AS spread FROM milvus.list_partitions('k') p, milvus.get_partition_stats('k', p);
-- whoever writes, a key's rows are together
UPDATE k SET tenant = 'tenant 7' WHERE id = 1;
SELECT count(DISTINCT "$partition") FROM k WHERE tenant = 'tenant 7';
INSERT INTO k (id, tenant, v, "$partition") VALUES (2000, 'a', '[1,2]', 3);

-- without names, the partitions that are loaded are searched
SELECT milvus.create_collection('some', 2, metric_type => 'L2'), milvus.create_partition('some', 'p'), milvus.create_partition('some', 'q');
SELECT insert_count FROM milvus.insert('some', '{"id": 1, "vector": [1, 1]}');
SELECT insert_count FROM milvus.insert('some', '{"id": 2, "vector": [2, 2]}', 'p');
SELECT insert_count FROM milvus.insert('some', '{"id": 3, "vector": [3, 3]}', 'q');
SELECT milvus.release_partitions('some', '{p}');
SELECT * FROM milvus.get_load_state('some');
SELECT id FROM milvus.search('some', '[2,2]');
SELECT * FROM milvus.query('some', 'id > 0', output_fields => '{count(*)}');
SELECT entity FROM milvus.query_iterator('some', output_fields => '{id}');
SELECT id FROM milvus.search_iterator('some', '[2,2]');
SELECT id FROM milvus.hybrid_search('some', '[{"data": [2,2], "anns_field": "vector", "limit": 5}]') ORDER BY id;
SELECT * FROM milvus.query('some', 'id > 0', partition_names => '{q,p}');
SELECT milvus.release_partitions('some', '{q,_default}');
SELECT * FROM milvus.query('some', 'id > 0');
SELECT milvus.load_partitions('some', '{p}');
SELECT id FROM milvus.search('some', '[2,2]');
SELECT milvus.drop_collection('some');

SELECT pg_temp.refused(s) FROM (VALUES
	(1, 'SELECT milvus.create_partition(''c'', '''')'), (2, 'SELECT milvus.create_partition(''c'', ''a b'')'), (3, 'SELECT milvus.create_partition(''c'', ''-'')'),
	(4, 'SELECT milvus.create_partition(''c'', NULL)'), (5, 'SELECT milvus.drop_partition(''c'', ''_default'')'), (6, 'SELECT milvus.create_partition(''nothing'', ''p'')'),
	(7, 'SELECT milvus.load_partitions(''c'', ''{nothing}'')'), (8, 'SELECT milvus.load_partitions(''c'', ''{}'')'), (9, 'SELECT milvus.get_load_state(''c'', ''nothing'')'),
	(10, 'SELECT milvus.create_partition(''k'', ''p'')'), (11, 'SELECT milvus.drop_partition(''k'', ''_default_1'')'), (12, 'SELECT milvus.load_partitions(''k'', ''{_default_1}'')')) AS v(i, s) ORDER BY i;
SET milvus.max_partitions = 3;
SELECT pg_temp.refused('SELECT milvus.create_partition(''c'', ''p5'')');
RESET milvus.max_partitions;
SELECT milvus.drop_collection('c'), milvus.drop_collection('k');
