-- Load state, segments, flush, compaction, time to live.
\set SHOW_CONTEXT never
SELECT milvus.create_collection('c', schema => '{"fields": [{"name": "id", "type": 5, "is_primary": true}, {"name": "n", "type": 5, "is_clustering_key": true},
	{"name": "v", "type": 101, "params": {"dim": 2}}]}', properties => '{"collection.ttl.seconds": 100}');
SELECT * FROM milvus.get_load_state('c');
SELECT * FROM milvus.get_load_state('nothing');
SELECT milvus.load_collection('c');
SELECT milvus.create_index('c', '{"field_name": "v", "index_type": "FLAT", "metric_type": "L2"}');
SELECT milvus.load_collection('c', load_fields => '{nothing}');
SELECT milvus.load_collection('c', replica_number => -1);
SELECT milvus.load_collection('c', replica_number => 2, load_fields => '{id,v}', refresh => true);
SELECT * FROM milvus.get_load_state('c');
SELECT milvus.release_collection('c'), milvus.release_collection('c');
SELECT * FROM milvus.get_load_state('c');
-- state is part of the transaction
BEGIN;
SELECT milvus.load_collection('c');
SELECT * FROM milvus.get_load_state('c');
ROLLBACK;
SELECT * FROM milvus.get_load_state('c');
SELECT milvus.load_collection('c');

-- segments, flush
INSERT INTO c SELECT i, i % 3, ARRAY[i, 1]::vector FROM generate_series(1, 3000) i;
SELECT segment_id, collection_name, num_rows, deleted_rows, state FROM milvus.list_persistent_segments('c');
SELECT segment_id, collection_name, index_name, num_rows, state FROM milvus.list_loaded_segments('c');
BEGIN;
SELECT milvus.truncate_collection('c');
SELECT segment_ids FROM milvus.flush('c');
ROLLBACK;
SELECT cardinality(segment_ids) AS segments, milvus.get_flush_state('c', flush_timestamp) AS flushed,
	flush_timestamp >> 18 BETWEEN extract(epoch FROM now()) * 1000 - 1 AND extract(epoch FROM clock_timestamp()) * 1000 AS now FROM milvus.flush('c');
SELECT segment_id <> 'growing' AS sealed, num_rows, deleted_rows, state, bytes > 0 AS bytes FROM milvus.list_persistent_segments('c');
SELECT cardinality(segment_ids) AS segments FROM milvus.flush('c');
SELECT milvus.release_collection('c');
SELECT count(*) FROM milvus.list_loaded_segments('c');

-- rows that have outlived their time are gone from answers at once, and from the table when it is compacted
UPDATE c SET "$inserted" = now() - interval '101 s' WHERE id <= 1000;
SELECT row_count FROM milvus.get_collection_stats('c');
SELECT count(*) FROM c;
SELECT milvus.compact('c') AS job \gset
SELECT milvus.get_compaction_state(:job), milvus.get_compaction_state(-1);
SELECT count(*) FROM c;
SELECT milvus.get_compaction_state(milvus.compact('c', is_clustering => true));
SELECT sum(num_rows - deleted_rows) FROM milvus.list_persistent_segments('c');
SELECT * FROM milvus.check_table('c');

-- a collection on a heap table
SET milvus.default_storage = heap;
SELECT milvus.create_collection('h', 2);
RESET milvus.default_storage;
SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = 'h'::regclass;
INSERT INTO h SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 10) i;
SELECT segment_ids FROM milvus.flush('h');
SELECT count(*) FROM milvus.list_persistent_segments('h');
SELECT index_name, num_rows, state FROM milvus.list_loaded_segments('h');
SELECT milvus.get_compaction_state(milvus.compact('h'));
SELECT index_name, num_rows, state FROM milvus.list_loaded_segments('h');
SELECT milvus.compact('h', is_clustering => true);
SELECT milvus.flush('nothing');
SELECT milvus.compact('nothing');
SELECT milvus.list_persistent_segments('nothing');

-- time goes on
SELECT count(*) = count(DISTINCT t) AND bool_and(t > before) AS grows FROM
	(SELECT t, lag(t, 1, 0::bigint) OVER (ORDER BY i) AS before FROM (SELECT i, milvus.alloc_timestamp() AS t FROM generate_series(1, 10000) i) a) b;
SELECT milvus.drop_collection('c'), milvus.drop_collection('h');
