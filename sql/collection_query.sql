-- Queries: filters, ids, fields, order, pages, aggregates, errors; explain_filter.
\pset null '(null)'
SELECT milvus.create_collection('books', schema => '{"enable_dynamic_field": true, "fields": [
	{"name": "id", "type": "VARCHAR", "is_primary": true, "params": {"max_length": 10}},
	{"name": "year", "type": "INT32"}, {"name": "shelf", "type": "VARCHAR", "params": {"max_length": 10}, "nullable": true},
	{"name": "price", "type": "DOUBLE", "nullable": true}, {"name": "small", "type": "INT8"}, {"name": "at", "type": "TIMESTAMPTZ"},
	{"name": "tags", "type": "ARRAY", "element_type": "VARCHAR", "params": {"max_capacity": 4, "max_length": 8}},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}',
	index_params => '{"field_name": "v", "index_type": "FLAT", "metric_type": "L2"}', properties => '{"timezone": "Europe/Zurich"}');
INSERT INTO books (id, year, shelf, price, small, at, tags, v, "$meta")
	SELECT 'b' || lpad(i::text, 3, '0'), 1990 + i % 30, (ARRAY['a', 'B', 'c', NULL])[1 + i % 4], CASE WHEN i % 7 > 0 THEN i * 0.25 END, i % 5,
		'2025-07-01 00:00:00+00'::timestamptz + i * interval '24 hours', ARRAY['t' || i % 3], format('[%s,%s]', i, -i)::vector, jsonb_build_object('pages', i * 10)
	FROM generate_series(1, 200) i;

-- each row as it is, in the order of keys
SELECT * FROM milvus.query('books', 'year == 2000 and shelf == "c"');
SELECT * FROM milvus.query('books', 'pages in {p}', output_fields => '{shelf,pages,at}', filter_params => '{"p": [10, 40, 5]}');
SELECT * FROM milvus.query('books', 'pages == 10', output_fields => '{at}', timezone => 'UTC');
SELECT * FROM milvus.query('books', ids => '["b007", "b003", "none"]', output_fields => '{price,tags}');
SELECT * FROM milvus.query('books', 'year > 1995', ids => '["b007", "b003", "b010"]', output_fields => '{year}');
SELECT count(*), count(*) FILTER (WHERE q ->> 'shelf' IS NULL) FROM milvus.query('books', 'price > 10 or shelf is null', output_fields => '{shelf}') q;
SELECT count(*), count(*) FILTER (WHERE shelf IS NULL) FROM books WHERE price > 10 OR shelf IS NULL;
SELECT array_agg(q ->> 'id') = (SELECT array_agg(id ORDER BY id) FROM books WHERE year < 2005) AS same FROM milvus.query('books', 'year < 2005', output_fields => '{id}') q;
-- pages
SELECT array_agg(q ->> 'id') FROM milvus.query('books', "limit" => 3, "offset" => 2, output_fields => '{id}') q;
SELECT array_agg(q ->> 'id') FROM milvus.query('books', 'small == 4', "limit" => 3, output_fields => '{id}') q;
SELECT count(*) FROM milvus.query('books', 'year > 0', output_fields => '{id}', "offset" => 195);
-- order
SELECT * FROM milvus.query('books', 'year == 2001', order_by_fields => '{shelf,price:desc}', output_fields => '{shelf,price}');
SELECT jsonb_strip_nulls(jsonb_build_object('id', id, 'shelf', shelf)) FROM books WHERE year = 2001 ORDER BY shelf COLLATE "C", price DESC, id;
SELECT array_agg(q ->> 'id') FROM milvus.query('books', "limit" => 3, order_by_fields => '{pages:desc}', output_fields => '{id}') q;
SELECT array_agg(q -> 'price') FROM milvus.query('books', 'year == 1997', order_by_fields => '{price:asc:nulls_first}', output_fields => '{price}') q;
-- aggregates
SELECT * FROM milvus.query('books', output_fields => '{count(*)}');
SELECT * FROM milvus.query('books', 'year == 2001', output_fields => ARRAY['count(*)', 'count(shelf)', 'sum(year)', 'sum(price)', 'avg(small)', 'min(shelf)', 'max(at)']);
SELECT count(*), count(shelf), sum(year), sum(price), avg(small), min(shelf COLLATE "C"), to_char(max(at) AT TIME ZONE 'Europe/Zurich', 'YYYY-MM-DD"T"HH24:MI:SS') FROM books WHERE year = 2001;
SELECT * FROM milvus.query('books', group_by_fields => '{shelf}', output_fields => ARRAY['shelf', 'count(*)', 'avg(price)']);
SELECT shelf, count(*), avg(price) FROM books GROUP BY shelf ORDER BY shelf COLLATE "C";
SELECT * FROM milvus.query('books', 'small < 2', group_by_fields => '{small,shelf}', output_fields => ARRAY['small', 'max(year)', 'shelf'], order_by_fields => ARRAY['max(year):desc', 'small', 'shelf:asc:nulls_last'], "limit" => 4, "offset" => 1);
SELECT small, max(year), shelf FROM books WHERE small < 2 GROUP BY small, shelf ORDER BY max(year) DESC, small, shelf COLLATE "C" NULLS LAST LIMIT 4 OFFSET 1;
SELECT * FROM milvus.query('books', group_by_fields => '{small}');

-- errors
SELECT * FROM milvus.query('books');
SELECT * FROM milvus.query('books', '  ', output_fields => '{id}');
SELECT * FROM milvus.query('books', "limit" => 0);
SELECT * FROM milvus.query('books', "limit" => 5, "offset" => -1);
SELECT * FROM milvus.query('books', "limit" => 16384, "offset" => 1);
SELECT * FROM milvus.query('books', output_fields => '{count(*)}', "limit" => 1);
SELECT * FROM milvus.query('books', output_fields => '{count(*),year}');
SELECT * FROM milvus.query('books', output_fields => '{year,shelf}', group_by_fields => '{year}');
SELECT * FROM milvus.query('books', group_by_fields => '{price}');
SELECT * FROM milvus.query('books', group_by_fields => '{nothing}');
SELECT * FROM milvus.query('books', output_fields => '{sum(shelf)}');
SELECT * FROM milvus.query('books', output_fields => '{sum(nothing)}');
SELECT * FROM milvus.query('books', ids => '[1]');
SELECT * FROM milvus.query('books', ids => '{"a": 1}');
SELECT * FROM milvus.query('books', 'year = = 1');
SELECT * FROM milvus.query('books', "limit" => 1, order_by_fields => '{tags}');
SELECT * FROM milvus.query('books', "limit" => 1, consistency_level => 'Always');
SELECT * FROM milvus.query('nothing', 'id == 1');
SELECT * FROM milvus.query(NULL, 'id == 1');
-- without the dynamic field unknown names are errors
SELECT milvus.create_collection('plain', 2, enable_dynamic_field => false);
SELECT * FROM milvus.query('plain', 'id > 0', output_fields => '{nothing}');
SELECT * FROM milvus.query('plain', 'nothing > 0');
SELECT * FROM milvus.query('plain', "limit" => 1, order_by_fields => '{nothing}');
SELECT milvus.release_collection('plain');
SELECT * FROM milvus.query('plain', 'id > 0');
-- a partition key: partitions have no names
SELECT milvus.create_collection('tenants', schema => '{"fields": [{"name": "id", "type": 5, "is_primary": true},
	{"name": "tenant", "type": 21, "params": {"max_length": 10}, "is_partition_key": true}, {"name": "v", "type": 101, "params": {"dim": 2}}]}',
	index_params => '{"field_name": "v"}', num_partitions => 4);
INSERT INTO tenants (id, tenant, v) SELECT i, 't' || i % 5, '[1,2]' FROM generate_series(1, 20) i;
SELECT array_agg(q -> 'id') FROM milvus.query('tenants', 'tenant == "t3"', output_fields => '{id}') q;
SELECT count(*) FROM milvus.search('tenants', '[1,2]', filter => 'tenant in ["t1", "t2"]', "limit" => 100);
SELECT * FROM milvus.query('tenants', 'id > 0', partition_names => '{_default_0}');

-- output fields of the dynamic field: identifiers, and any key as $meta["..."]; paths are none
SELECT milvus.create_collection('keys', 2);
SELECT insert_count FROM milvus.insert('keys', '{"id": 1, "vector": [1, 2], "a": {"b": 1}, "my-key": 2, "clé": 3}');
SELECT * FROM milvus.query('keys', 'id == 1', output_fields => ARRAY['a', 'nothing', '$meta["my-key"]', '$meta[''clé'']']);
SELECT * FROM milvus.query('keys', 'id == 1', output_fields => ARRAY['a["b"]']);
SELECT * FROM milvus.query('keys', 'id == 1', output_fields => ARRAY['$meta["a"]["b"]']);
SELECT * FROM milvus.query('keys', 'id == 1', output_fields => ARRAY['my-key']);
SELECT * FROM milvus.query('keys', 'id == 1', output_fields => ARRAY['']);
SELECT * FROM milvus.query('keys', 'id == 1', output_fields => ARRAY['$meta["a']);
SELECT * FROM milvus.search('keys', '[1,2]', output_fields => ARRAY['count(*)']);

-- what a filter means
SELECT milvus.explain_filter('books', 'year > 2000 and pages == {x}', '{"x": 3}');
SELECT milvus.explain_filter('books', '');
SELECT milvus.explain_filter('books', 'year like 3');
-- JSON's null is none: sorted and grouped as a missing key
SELECT insert_count FROM milvus.insert('keys', '[{"id": 2, "vector": [1, 2], "k": null}, {"id": 3, "vector": [1, 2], "k": 5}, {"id": 4, "vector": [1, 2]}]');
SELECT * FROM milvus.query('keys', 'id > 0', '{id}', order_by_fields => '{k,id:desc}');
SELECT * FROM milvus.query('keys', 'id > 0', '{id}', order_by_fields => '{k:desc,id}');
SELECT id FROM milvus.search('keys', '[1,2]', group_by_field => 'k');
-- a path as long as a filter is deep
SELECT count(*) FROM milvus.query('keys', 'k' || repeat('["a"]', 200) || ' == 1');
SELECT length(milvus.explain_filter('keys', 'k' || repeat('["a"]', 300) || ' == 1'));
DROP TABLE books, plain, tenants, keys;
