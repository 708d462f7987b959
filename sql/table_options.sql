-- Options of milvus tables.
CREATE TABLE docs (id int PRIMARY KEY, title text, topic int) USING milvus;
CREATE TABLE heap_docs (id int PRIMARY KEY);

-- defaults are the settings
SELECT jsonb_pretty(milvus.table_options('docs'));
SET milvus.seal_rows = 50000;
SET milvus.compression = lz4;
SELECT milvus.table_options('docs') -> 'segment_rows' AS rows, milvus.table_options('docs') -> 'compression' AS compression;

-- set, merged, removed
SELECT milvus.alter_table_options('docs', '{"segment_rows": 2000, "compression": "none", "bloom_columns": ["topic", "title"]}');
SELECT milvus.alter_table_options('docs', '{"segment_rows": null, "segment_size": "64MB", "segment_age": "5min", "compact_ratio": 0.5}');
SELECT milvus.table_options('docs') - 'min_rows' - 'auto_seal' - 'cache_on_seal' - 'compression_level' AS options;
SELECT * FROM milvus.table_option;

-- transactional
BEGIN;
SELECT milvus.alter_table_options('docs', '{"auto_seal": false}');
SELECT milvus.table_options('docs') -> 'auto_seal' AS auto_seal;
ROLLBACK;
SELECT milvus.table_options('docs') -> 'auto_seal' AS auto_seal;

-- columns that are renamed or dropped drop out
ALTER TABLE docs RENAME title TO name;
ALTER TABLE docs DROP topic;
SELECT milvus.table_options('docs') -> 'bloom_columns' AS bloom_columns;

-- wrong ones
SELECT milvus.alter_table_options('docs', '{"segmentrows": 2000}');
SELECT milvus.alter_table_options('docs', '{"segment_rows": "many"}');
SELECT milvus.alter_table_options('docs', '{"segment_rows": 3}');
SELECT milvus.alter_table_options('docs', '{"segment_rows": 2000.5}');
SELECT milvus.alter_table_options('docs', '{"segment_size": "64 elephants"}');
SELECT milvus.alter_table_options('docs', '{"auto_seal": "yes"}');
SELECT milvus.alter_table_options('docs', '{"compression": "zip"}');
SELECT milvus.alter_table_options('docs', '{"compact_ratio": 2}');
SELECT milvus.alter_table_options('docs', '{"bloom_columns": "name"}');
SELECT milvus.alter_table_options('docs', '{"cluster_key": "nobody"}');
SELECT milvus.alter_table_options('docs', '[1]');
SELECT milvus.alter_table_options('heap_docs', '{"segment_rows": 2000}');
SELECT milvus.table_options('heap_docs');

-- as dumps have them
SECURITY LABEL FOR milvus ON TABLE docs IS '{"segment_rows": 4000}';
SELECT * FROM milvus.table_option;
SECURITY LABEL FOR milvus ON TABLE docs IS '{"segment_rows": 4}';
SECURITY LABEL FOR milvus ON COLUMN docs.name IS '{}';
SECURITY LABEL FOR nobody ON TABLE docs IS '{}';

-- they go with the method, and with the table
ALTER TABLE docs SET ACCESS METHOD heap;
SELECT * FROM milvus.table_option;
SELECT milvus.alter_table_options('docs', '{"segment_rows": 3000}');
ALTER TABLE docs SET ACCESS METHOD milvus;
SELECT milvus.alter_table_options('docs', '{"segment_rows": 3000}');
DROP TABLE docs;
SELECT * FROM milvus.table_option;
DROP TABLE heap_docs;
