-- Searches: what they find against plain SQL, each metric and type of vector, options, limits, errors.
\pset null '(null)'
SET extra_float_digits = 0;
SELECT milvus.create_collection('docs', schema => '{"enable_dynamic_field": true, "fields": [
	{"name": "id", "type": "INT64", "is_primary": true},
	{"name": "color", "type": "VARCHAR", "params": {"max_length": 20}, "nullable": true},
	{"name": "price", "type": "DOUBLE", "nullable": true},
	{"name": "f", "type": "FLOAT"},
	{"name": "n", "type": "INT32"},
	{"name": "ok", "type": "BOOL"},
	{"name": "j", "type": "JSON", "nullable": true},
	{"name": "tags", "type": "ARRAY", "element_type": "INT64", "params": {"max_capacity": 4}, "nullable": true},
	{"name": "at", "type": "TIMESTAMPTZ", "nullable": true},
	{"name": "v", "type": "FLOAT_VECTOR", "params": {"dim": 4}, "nullable": true}]}',
	index_params => '[{"field_name": "v", "index_type": "HNSW", "metric_type": "L2", "params": {"M": 8, "efConstruction": 64}}]');
INSERT INTO docs (id, color, price, f, n, ok, j, tags, at, v, "$meta")
	SELECT i, (ARRAY['red', 'green', 'blue', NULL])[1 + i % 4], CASE WHEN i % 10 > 0 THEN i * 1.5 END, i * 0.1, i % 10, i % 2 = 0,
		jsonb_build_object('a', i % 5, 'b', jsonb_build_array(i, 'x')), ARRAY[i, i + 1], '2025-01-01 00:00:00+00'::timestamptz + i * interval '1 hour',
		CASE WHEN i % 50 > 0 THEN format('[%s,%s,%s,%s]', i % 7, i % 11, i % 13, i % 101)::vector END,
		jsonb_build_object('k', i, 'tag', 'x' || i % 3, 'n', 'hidden')
	FROM generate_series(1, 1000) i;
-- the same by a sort; ties by id
CREATE FUNCTION pg_temp.exact(vector, k integer, condition text DEFAULT 'true') RETURNS TABLE (place bigint, id text, distance real) LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY EXECUTE format('SELECT row_number() OVER (ORDER BY d, id), id::text, d::real FROM
	(SELECT id, l2_squared_distance(v, $1) AS d FROM docs WHERE v IS NOT NULL AND %s) s ORDER BY d, s.id LIMIT $2', condition) USING $1, $2; END $$;
CREATE FUNCTION pg_temp.found(k integer, filter text DEFAULT '', params jsonb DEFAULT NULL) RETURNS TABLE (place bigint, id text, distance real) LANGUAGE sql AS $$
	SELECT row_number() OVER (), id, distance FROM milvus.search('docs', '[3,4,5,50]', "limit" => k, filter => filter, filter_params => params) $$;
SELECT * FROM pg_temp.found(5);
-- rows where the two differ: none, but for ties at the end
SELECT * FROM pg_temp.found(100) FULL JOIN pg_temp.exact('[3,4,5,50]', 100) USING (place, distance) WHERE found IS NULL OR exact IS NULL;
SELECT count(*) FROM pg_temp.found(100, 'color == "red" and n > 4') JOIN pg_temp.exact('[3,4,5,50]', 100, 'color = ''red'' AND n > 4') USING (place, distance);
SELECT count(*) FROM pg_temp.found(100, 'k < {x} && tag in {y}', '{"x": 500, "y": ["x1", "x2"]}')
	JOIN pg_temp.exact('[3,4,5,50]', 100, '("$meta" ->> ''k'')::int < 500 AND "$meta" ->> ''tag'' IN (''x1'', ''x2'')') USING (place, distance);
-- null vectors are not found: all others are
SELECT count(*), count(DISTINCT id) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 2000);

-- the answer
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 2, output_fields => '{color,price,f,n,ok,j,tags,at,v}');
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1, output_fields => '{*}');
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1, output_fields => '{$meta}');
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1, output_fields => '{k,nothing,id}');
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1, output_fields => '{at}', timezone => 'Asia/Shanghai');
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1, output_fields => '{at}', timezone => 'nowhere');
SELECT entity -> 'price' AS price, entity -> 'color' AS color FROM milvus.search('docs', '[1,1,1,1]', filter => 'id in [10, 20]', output_fields => '{price,color}');
SELECT * FROM milvus.search_rows('docs', '[[1,1,1,1],[2,2,2,2]]', "limit" => 2, output_fields => '{color,k,v}')
	AS t(query_no integer, id bigint, distance real, color text, k jsonb, v vector);
SELECT * FROM milvus.search_rows('docs', '[1,1,1,1]', output_fields => '{color}') AS t(query_no integer, id bigint, distance real);
SELECT * FROM milvus.search_rows('docs', '[1,1,1,1]', output_fields => '{color}') AS t(query_no integer, id bigint, distance real, color integer);
-- many vectors: each as if alone
SELECT count(*), bool_and(a.id = b.id AND a.distance = b.distance) FROM
	(SELECT query_no, id, distance, row_number() OVER (PARTITION BY query_no ORDER BY distance, id::int) AS place FROM milvus.search('docs',
		(SELECT '[' || string_agg(format('[%s,%s,3,%s]', i, i % 3, i * 9), ',' ORDER BY i) || ']' FROM generate_series(0, 9) i), "limit" => 20)) a
	JOIN LATERAL (SELECT *, row_number() OVER (ORDER BY distance, id::int) AS place FROM milvus.search('docs',
		format('[%s,%s,3,%s]', query_no, query_no % 3, query_no * 9), "limit" => 20) s) b USING (place);
-- vectors of entities
SELECT * FROM milvus.search('docs', ids => '[5, 7]', "limit" => 2);
-- in the order of the request, however many
SELECT count(*), bool_and(s.id = w.id::text) FROM (SELECT id, row_number() OVER (ORDER BY id DESC) - 1 AS n FROM docs WHERE v IS NOT NULL) w
	FULL JOIN milvus.search('docs', ids => (SELECT jsonb_agg(id ORDER BY id DESC) FROM docs WHERE v IS NOT NULL), "limit" => 1) s ON w.n = s.query_no;
SELECT * FROM milvus.search('docs', ids => '["5"]', "limit" => 1);
SELECT * FROM milvus.search('docs', ids => '[5, 5]', "limit" => 2);
SELECT * FROM milvus.search('docs', ids => '[5, 5000, 6000]', "limit" => 2);
SELECT * FROM milvus.search('docs', ids => '[50]', "limit" => 2);
SELECT * FROM milvus.search('docs', '[1,1,1,1]', ids => '[5]', "limit" => 2);
SELECT * FROM milvus.search('docs', "limit" => 2);

-- offset, round_decimal
SELECT array_agg(id) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 3, "offset" => 2);
SELECT array_agg(id) FROM (SELECT id FROM milvus.search('docs', '[3,4,5,50]', "limit" => 5) OFFSET 2) s;
SELECT array_agg(id) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 3, search_params => '{"offset": 2}');
SELECT distance FROM milvus.search('docs', '[1.123,1.1,1.1,1.1]', "limit" => 2, round_decimal => 2);
SELECT distance FROM milvus.search('docs', '[1.123,1.1,1.1,1.1]', "limit" => 2, search_params => '{"round_decimal": "0"}');
-- a range: from range_filter up to, not with, radius
SELECT count(*), min(distance), max(distance) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 1000, search_params => '{"params": {"radius": 100, "range_filter": 30}}');
SELECT count(*), min(d), max(d) FROM (SELECT l2_squared_distance(v, '[3,4,5,50]')::real AS d FROM docs) s WHERE d >= 30 AND d < 100;
SELECT count(*), max(distance) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 1000, search_params => '{"radius": "30"}');
SELECT count(*), max(d) FROM (SELECT l2_squared_distance(v, '[3,4,5,50]')::real AS d FROM docs) s WHERE d < 30;
SELECT count(*) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 3, search_params => '{"params": {"radius": 100, "range_filter": 30}}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": {"range_filter": 30}}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": {"radius": 3, "range_filter": 30}}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": {"radius": "far"}}');

-- groups: the nearest of each; limit and offset count groups
SELECT id, distance, entity FROM milvus.search('docs', '[3,4,5,50]', "limit" => 3, group_by_field => 'n', output_fields => '{n}');
SELECT id, d, n FROM (SELECT DISTINCT ON (n) id, n, l2_squared_distance(v, '[3,4,5,50]')::real AS d FROM docs WHERE v IS NOT NULL ORDER BY n, d, id) s ORDER BY d, id LIMIT 3;
SELECT entity ->> 'color' AS color, count(*), min(distance) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 4, group_by_field => 'color', group_size => 3,
	strict_group_size => true, output_fields => '{color}') GROUP BY 1 ORDER BY 3, 1;
SELECT color, 3, min(d) FROM (SELECT color, l2_squared_distance(v, '[3,4,5,50]')::real AS d FROM docs) s GROUP BY 1, 2 ORDER BY 3, 1;
SELECT count(*), count(DISTINCT entity -> 'n') FROM milvus.search('docs', '[3,4,5,50]', "limit" => 20, group_by_field => 'n', group_size => 10, strict_group_size => true, output_fields => '{n}');
SELECT array_agg(entity -> 'n') FROM milvus.search('docs', '[3,4,5,50]', "limit" => 2, "offset" => 1, search_params => '{"group_by_field": "n"}', output_fields => '{n}');
SELECT entity FROM milvus.search('docs', '[3,4,5,50]', "limit" => 3, group_by_field => 'tag', output_fields => '{tag}');
SELECT entity FROM milvus.search('docs', '[3,4,5,50]', "limit" => 2, group_by_field => 'j["a"]', output_fields => '{j}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', group_by_field => 'price');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', group_by_field => 'v');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', group_by_field => 'n', group_size => 11);
SELECT * FROM milvus.search('docs', '[3,4,5,50]', group_by_field => 'n', group_size => 0);
SELECT * FROM milvus.search('docs', '[3,4,5,50]', group_by_field => 'n', search_params => '{"radius": 30}');

-- sorted by fields: the nearest, in another order
SELECT id, entity FROM milvus.search('docs', '[3,4,5,50]', "limit" => 6, order_by_fields => '{color:desc,price}', output_fields => '{color,price}');
SELECT id, entity FROM milvus.search('docs', '[3,4,5,50]', "limit" => 6, order_by_fields => '{color:asc:nulls_first,k:desc}', output_fields => '{color,k}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', order_by_fields => '{v}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', order_by_fields => '{color:up}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', order_by_fields => '{color}', group_by_field => 'n');

-- rankers: decay and boost
SELECT id, distance, entity FROM milvus.search('docs', '[3,4,5,50]', "limit" => 4, output_fields => '{price}', ranker =>
	'{"name": "near", "input_field_names": ["price"], "params": {"reranker": "decay", "function": "linear", "origin": 600, "offset": 10, "scale": 300, "decay": 0.4}}');
SELECT id, ((1 - 2 * atan(d) / pi()) * greatest(0.4, 1 - 0.6 / 300 * greatest(0, abs(price - 600) - 10)))::real AS score FROM
	(SELECT id, price, l2_squared_distance(v, '[3,4,5,50]')::real AS d FROM docs WHERE v IS NOT NULL ORDER BY d, id LIMIT 4) s ORDER BY score DESC;
SELECT id, distance FROM milvus.search('docs', '[3,4,5,50]', "limit" => 4, ranker =>
	'{"functions": [{"params": {"reranker": "boost", "filter": "n == 3", "weight": 0.5}}, {"params": {"reranker": "boost", "filter": "ok == {x}", "filter_params": {"x": false}, "weight": 2}}], "function_mode": "Multiply"}');
SELECT id, (d * (CASE WHEN n = 3 THEN 0.5 ELSE 1 END) * (CASE WHEN NOT ok THEN 2 ELSE 1 END))::real AS score FROM
	(SELECT id, n, ok, l2_squared_distance(v, '[3,4,5,50]')::real AS d FROM docs WHERE v IS NOT NULL ORDER BY d, id LIMIT 4) s ORDER BY score, id;
SELECT count(*), bool_and(distance BETWEEN 0 AND 200) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 5, ranker =>
	'{"params": {"reranker": "boost", "weight": 1, "random_score": {"seed": 7}}}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', ranker => '{"strategy": "rrf"}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', ranker => '{"params": {"reranker": "model", "provider": "tei"}}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', ranker => '{"params": {"reranker": "decay", "function": "gauss", "origin": 1, "scale": 0}, "input_field_names": ["price"]}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', ranker => '{"params": {"reranker": "decay", "function": "gauss", "scale": 1}, "input_field_names": ["price"]}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', ranker => '{"params": {"reranker": "decay", "function": "round", "origin": 1, "scale": 1}, "input_field_names": ["price"]}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', ranker => '{"params": {"reranker": "decay", "function": "exp", "origin": 1, "scale": 1}, "input_field_names": ["color"]}');

-- parameters of the index hold for the call alone
SELECT count(*) FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"metric_type": "L2", "params": {"ef": 77}}');
SHOW milvus.ef;
SELECT count(*) FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": "{\"ef\": 77}", "ignore_growing": true, "hints": "iterative_filter"}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": {"ef": 5}}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": {"ef": "many"}}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"metric_type": "IP"}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"hints": "quick"}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"ignore_growing": "perhaps"}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '[1]');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": 5}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": "ef=5"}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', search_params => '{"params": "[]"}');

-- limits
SELECT * FROM milvus.search('docs', '[3,4,5,50]', "limit" => 0);
SELECT * FROM milvus.search('docs', '[3,4,5,50]', "limit" => 16385);
SELECT * FROM milvus.search('docs', '[3,4,5,50]', "limit" => 16000, "offset" => 1000);
SELECT * FROM milvus.search('docs', '[3,4,5,50]', "offset" => -1);
SELECT * FROM milvus.search('docs', '[3,4,5,50]', round_decimal => 7);
SELECT * FROM milvus.search('docs', '[]');
SET milvus.max_nq = 2;
SELECT * FROM milvus.search('docs', '[[1,1,1,1],[1,1,1,1],[1,1,1,1]]');
RESET milvus.max_nq;
-- wrong vectors, fields, filters, levels
SELECT * FROM milvus.search('docs', '[1,2,3]');
SELECT * FROM milvus.search('docs', '[[1,2,3,4],[1,2]]');
SELECT * FROM milvus.search('docs', 'text');
SELECT * FROM milvus.search('docs', '[1,2,3,x]');
SELECT * FROM milvus.search('docs', '[1,2,3,NaN]');
SELECT * FROM milvus.search('docs', '[1,2,3,1e39]');
SELECT * FROM milvus.search('docs', '[[1,2,3,4],[1,2,3,null]]');
SELECT * FROM milvus.search('docs', '[1,2,3,4]', anns_field => 'nothing');
SELECT * FROM milvus.search('docs', '[1,2,3,4]', anns_field => 'color');
SELECT * FROM milvus.search('docs', '[1,2,3,4]', filter => 'color = = 3');
SELECT * FROM milvus.search('docs', '[1,2,3,4]', filter => 'n == {x}');
SELECT count(*) FROM milvus.search('docs', '[1,2,3,4]', consistency_level => 'Eventually', guarantee_timestamp => milvus.alloc_timestamp());
SELECT * FROM milvus.search('docs', '[1,2,3,4]', consistency_level => 'Whenever');
SELECT * FROM milvus.search('docs', '[1,2,3,4]', guarantee_timestamp => -1);
SELECT * FROM milvus.search('nothing', '[1,2,3,4]');
SELECT * FROM milvus.search('docs', '[1,2,3,4]', db_name => 'nothing');
-- user's text stays text
SELECT count(*) FROM milvus.search('docs', '[1,2,3,4]', filter => 'color == "x'') OR true --"');
SELECT * FROM milvus.search('docs', '[1,2,3,4]', "limit" => 1, output_fields => ARRAY['k", (SELECT 1), "']);
SELECT * FROM milvus.search('docs', '[1,2,3,4]', "limit" => 1, output_fields => ARRAY['$meta["k\", (SELECT 1), \""]']);

-- partitions, load state
SELECT milvus.create_partition('docs', 'p');
SELECT milvus.create_partition('docs', 'q');
UPDATE docs SET "$partition" = id % 3 WHERE id > 500;
SELECT array_agg(id) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 5, partition_names => '{p}');
SELECT array_agg(id) FROM (SELECT id FROM docs WHERE id > 500 AND id % 3 = 1 AND v IS NOT NULL ORDER BY l2_squared_distance(v, '[3,4,5,50]'), id LIMIT 5) s;
SELECT count(*) FROM milvus.search('docs', '[3,4,5,50]', "limit" => 2000, partition_names => '{p,q}');
SELECT count(*) FROM docs WHERE "$partition" IN (1, 2) AND v IS NOT NULL;
SELECT * FROM milvus.search('docs', '[3,4,5,50]', partition_names => '{none}');
SELECT milvus.release_partitions('docs', '{p}');
SELECT * FROM milvus.search('docs', '[3,4,5,50]', partition_names => '{p}');
SELECT count(*) FROM milvus.search('docs', '[3,4,5,50]', partition_names => '{q}');
SELECT milvus.release_collection('docs');
SELECT * FROM milvus.search('docs', '[3,4,5,50]');
SELECT milvus.load_collection('docs');
SELECT count(*) FROM milvus.search('docs', '[3,4,5,50]');

-- a changed collection is searched as it is
ALTER TABLE docs RENAME COLUMN color TO paint;
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1, output_fields => '{paint}');
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1, output_fields => '{v}', filter => 'paint == "red"');
DELETE FROM docs WHERE id = 1;
SELECT id FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1);

-- other types and metrics, against their operators
SELECT milvus.create_collection('kinds', schema => '{"fields": [
	{"name": "key", "type": "VARCHAR", "is_primary": true, "params": {"max_length": 20}},
	{"name": "ip", "type": "FLOAT_VECTOR", "params": {"dim": 4}},
	{"name": "h", "type": "FLOAT16_VECTOR", "params": {"dim": 4}},
	{"name": "b", "type": "BFLOAT16_VECTOR", "params": {"dim": 4}},
	{"name": "i", "type": "INT8_VECTOR", "params": {"dim": 4}},
	{"name": "ham", "type": "BINARY_VECTOR", "params": {"dim": 16}},
	{"name": "jac", "type": "BINARY_VECTOR", "params": {"dim": 16}},
	{"name": "sp", "type": "SPARSE_FLOAT_VECTOR"}],
	"struct_fields": [{"name": "chunks", "max_capacity": 4, "fields": [
		{"name": "part", "type": "INT64"},
		{"name": "emb", "type": "FLOAT_VECTOR", "params": {"dim": 2}},
		{"name": "one", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}]}',
	index_params => '[{"field_name": "ip", "index_type": "FLAT", "metric_type": "IP"}, {"field_name": "h", "index_type": "HNSW", "metric_type": "COSINE", "params": {"M": 8, "efConstruction": 40}},
		{"field_name": "b", "index_type": "IVF_FLAT", "metric_type": "L2", "params": {"nlist": 4}}, {"field_name": "i", "index_type": "AUTOINDEX", "metric_type": "IP"},
		{"field_name": "ham", "index_type": "BIN_FLAT", "metric_type": "HAMMING"}, {"field_name": "jac", "index_type": "BIN_IVF_FLAT", "metric_type": "JACCARD", "params": {"nlist": 4}},
		{"field_name": "sp", "index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP"},
		{"field_name": "chunks[emb]", "index_type": "HNSW", "metric_type": "MAX_SIM_IP"}, {"field_name": "chunks[one]", "index_type": "HNSW", "metric_type": "L2"}]');
INSERT INTO kinds (key, ip, h, b, i, ham, jac, sp, "chunks[part]", "chunks[emb]", "chunks[one]")
	SELECT 'k' || i, v::vector, v::halfvec, v::bfloat16vec, v::int8vec, (i * 37 % 65536)::bit(16), (i * 11 % 65536)::bit(16),
		format('{%s:%s,%s:0.5}/4294967295', 1 + i % 5, i % 7 + 1, 100 + i % 3)::sparsevec, ARRAY[i, i + 1], ARRAY[format('[%s,1]', i % 9), format('[1,%s]', i % 4)]::vector[],
		ARRAY[format('[%s,1]', i % 9), format('[1,%s]', i % 4)]::vector[]
	FROM (SELECT i, format('[%s,%s,%s,%s]', i % 7 - 3, i % 11, i % 13, 1 + i % 17) AS v FROM generate_series(1, 200) i) s;
CREATE FUNCTION pg_temp.same(field text, query text, expression text, descending boolean, condition text DEFAULT 'true') RETURNS TABLE (found bigint, equal boolean, best real) LANGUAGE plpgsql AS $$
BEGIN RETURN QUERY EXECUTE format('SELECT count(*), bool_and(s.distance = e.d), (array_agg(s.distance ORDER BY place))[1] FROM
	(SELECT row_number() OVER () AS place, distance FROM milvus.search(''kinds'', $1, anns_field => $2, "limit" => 20)) s JOIN
	(SELECT row_number() OVER (ORDER BY d %1$s) AS place, d FROM (SELECT (%2$s)::real AS d FROM kinds WHERE %3$s) x ORDER BY d %1$s LIMIT 20) e USING (place)',
	CASE WHEN descending THEN 'DESC' ELSE 'ASC' END, expression, condition) USING query, field; END $$;
SELECT * FROM pg_temp.same('ip', '[1,2,3,4]', 'inner_product(ip, ''[1,2,3,4]'')', true);
SELECT * FROM pg_temp.same('h', '[1,2,3,4]', '1 - cosine_distance(h, ''[1,2,3,4]''::halfvec)', true);
SELECT * FROM pg_temp.same('b', '[1,2,3,4]', 'l2_squared_distance(b, ''[1,2,3,4]''::bfloat16vec)', false);
SELECT * FROM pg_temp.same('i', '[1,2,3,4]', 'inner_product(i, ''[1,2,3,4]''::int8vec)', true);
SELECT * FROM pg_temp.same('ham', '0101010101010101', 'hamming_distance(ham, B''0101010101010101'')', false);
SELECT * FROM pg_temp.same('ham', '[85, 85]', 'hamming_distance(ham, B''0101010101010101'')', false);
SELECT * FROM pg_temp.same('ham', '"VVU="', 'hamming_distance(ham, B''0101010101010101'')', false);
SELECT * FROM pg_temp.same('ham', 'VVU=', 'hamming_distance(ham, B''0101010101010101'')', false);
SELECT * FROM pg_temp.same('jac', '["0101010101010101"]', 'jaccard_distance(jac, B''0101010101010101'')', false);
SELECT * FROM pg_temp.same('sp', '{"1": 2, "99": 1.5}', 'inner_product(sp, ''{2:2,100:1.5}/4294967295''::sparsevec)', true, 'inner_product(sp, ''{2:2,100:1.5}/4294967295''::sparsevec) <> 0');
SELECT * FROM pg_temp.same('sp', '{2:2,100:1.5}/4294967295', 'inner_product(sp, ''{2:2,100:1.5}/4294967295''::sparsevec)', true, 'inner_product(sp, ''{2:2,100:1.5}/4294967295''::sparsevec) <> 0');
SELECT * FROM pg_temp.same('chunks[emb]', '[[1,2],[3,1]]', 'max_sim_ip(ARRAY[''[1,2]'', ''[3,1]'']::vector[], "chunks[emb]")', true);
SELECT query_no, id, distance FROM milvus.search('kinds', '[[[1,2],[3,1]], [[0,1]]]', anns_field => 'chunks[emb]', "limit" => 1);
-- elements of lists one by one; `offset` says which
SELECT id, distance, entity FROM milvus.search('kinds', '[2,1]', anns_field => 'chunks[one]', "limit" => 3, output_fields => '{chunks[part]}', filter => 'key in ["k2", "k3", "k5"]');
SELECT key, d, n - 1 AS "offset" FROM (SELECT key, n, l2_squared_distance(e, '[2,1]') AS d FROM kinds, unnest("chunks[one]") WITH ORDINALITY u(e, n) WHERE key IN ('k2', 'k3', 'k5')) s ORDER BY d, key COLLATE "C", n LIMIT 3;
SELECT id, entity -> 'offset' AS "offset" FROM milvus.search('kinds', '[2,1]', anns_field => 'chunks[one]', "limit" => 2, filter => 'key in ["k2", "k3"] and element_filter(chunks, $[part] == 4)');
SELECT * FROM milvus.search_rows('kinds', '[2,1]', anns_field => 'chunks[one]', "limit" => 1, output_fields => '{chunks[part]}') AS t(query_no integer, id text, distance real, "offset" bigint, part bigint[]);
SELECT entity FROM milvus.search('kinds', '[1,2,3,4]', anns_field => 'ip', "limit" => 1, output_fields => '{*}');
SELECT entity FROM milvus.search('kinds', '[1,2,3,4]', anns_field => 'ip', "limit" => 1, output_fields => '{chunks}');
-- a similarity's range
SELECT count(*), min(distance), max(distance) FROM milvus.search('kinds', '[1,2,3,4]', anns_field => 'ip', "limit" => 1000, search_params => '{"params": {"radius": 50, "range_filter": 90}}');
SELECT count(*), min(d), max(d) FROM (SELECT inner_product(ip, '[1,2,3,4]') AS d FROM kinds) s WHERE d > 50 AND d <= 90;
SELECT * FROM milvus.search('kinds', '[1,2,3,4]', anns_field => 'ip', search_params => '{"params": {"radius": 50, "range_filter": 9}}');
-- errors of these
SELECT * FROM milvus.search('kinds', '[1,2,3,4]');
SELECT * FROM milvus.search('kinds', '[1,2,3,4]', anns_field => 'b', search_params => '{"params": {"nprobe": 0}}');
SELECT * FROM milvus.search('kinds', '[1,2,3,400]', anns_field => 'i');
SELECT * FROM milvus.search('kinds', '0101', anns_field => 'ham');
SELECT * FROM milvus.search('kinds', '[1]', anns_field => 'ham');
SELECT * FROM milvus.search('kinds', 'some words', anns_field => 'sp');
SELECT * FROM milvus.search('kinds', '{"x": 1}', anns_field => 'sp');
SELECT * FROM milvus.search('kinds', '[1,2]', anns_field => 'chunks[emb]');
-- what their types do not read
SELECT * FROM milvus.search('kinds', '[1,2,3,1.5]', anns_field => 'i');
SELECT * FROM milvus.search('kinds', '[1,2,3,70000]', anns_field => 'h');
SELECT * FROM milvus.search('kinds', '"%%%="', anns_field => 'ham');
SELECT * FROM milvus.search('kinds', '{"1": "x"}', anns_field => 'sp');
SELECT * FROM milvus.search('kinds', '{1:', anns_field => 'sp');
-- no index, many vectors: one statement
DROP INDEX kinds_ip_idx;
SELECT query_no, count(*), bool_and(distance = d) FROM (SELECT *, row_number() OVER (PARTITION BY query_no) AS place
		FROM milvus.search('kinds', '[[1,2,3,4],[4,3,2,1],[0,0,0,1]]', anns_field => 'ip', search_params => '{"metric_type": "IP"}', filter => 'key != "k7"', "limit" => 15)) s
	JOIN LATERAL (SELECT d, row_number() OVER (ORDER BY d DESC) AS place FROM (SELECT inner_product(ip, (ARRAY['[1,2,3,4]', '[4,3,2,1]', '[0,0,0,1]']::vector[])[query_no + 1]) AS d
		FROM kinds WHERE key <> 'k7') x ORDER BY d DESC LIMIT 15) e USING (place) GROUP BY query_no ORDER BY query_no;

-- a zero vector has the similarity 0
SELECT milvus.create_collection('zeros', 2);
SELECT insert_count FROM milvus.insert('zeros', '[{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0, 0]}, {"id": 3, "vector": [-1, 0]}, {"id": 4, "vector": [0, 1]}, {"id": 5, "vector": [0, 0]}]');
SELECT id, distance FROM milvus.search('zeros', '[1,0]');
SELECT query_no, id, distance FROM milvus.search('zeros', '[[0,0],[0,-2]]');
SELECT id, distance FROM milvus.search('zeros', '[1,0]', search_params => '{"params": {"radius": 0.5}}');
SELECT id, distance FROM milvus.search_iterator('zeros', '[1,0]', batch_size => 4);
SELECT id, distance FROM milvus.hybrid_search('zeros', '[{"data": [1,0], "anns_field": "vector", "limit": 5}]', '{"strategy": "weighted", "params": {"weights": [1], "norm_score": true}}');
-- rows that outlived their time
SELECT milvus.create_collection('short', 2, metric_type => 'L2', properties => '{"collection.ttl.seconds": "3600"}');
INSERT INTO short (id, vector) VALUES (1, '[1,1]'), (2, '[2,2]');
UPDATE short SET "$inserted" = now() - interval '2 hours' WHERE id = 1;
SELECT id FROM milvus.search('short', '[1,1]');
SELECT * FROM milvus.query('short', 'id > 0', output_fields => '{id}');
SELECT * FROM milvus.query('short', output_fields => '{count(*)}');

-- the caller's rights, and row-level security; search_path does not matter
CREATE ROLE regress_searcher;
CREATE SCHEMA traps;
CREATE FUNCTION traps.bad(vector, vector) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$;
CREATE OPERATOR traps.<-> (FUNCTION = traps.bad, LEFTARG = vector, RIGHTARG = vector);
GRANT USAGE ON SCHEMA traps TO regress_searcher;
SET ROLE regress_searcher;
SELECT * FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1);
SELECT * FROM milvus.query('docs', 'id == 2');
RESET ROLE;
GRANT SELECT ON docs TO regress_searcher;
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO regress_searcher USING (n = 3);
SET ROLE regress_searcher;
SET search_path = traps, public, pg_catalog;
SELECT count(*), bool_and((entity ->> 'n')::int = 3) FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1000, output_fields => '{n}');
SELECT * FROM milvus.query('docs', output_fields => '{count(*)}');
SELECT count(*) FROM milvus.search_iterator('docs', '[1,1,1,1]');
SELECT count(*) FROM milvus.hybrid_search('docs', '[{"data": [1,1,1,1], "limit": 500}]', "limit" => 500);
RESET search_path;
RESET ROLE;
SELECT count(*) FROM milvus.search('docs', '[1,1,1,1]', "limit" => 1000);
DROP SCHEMA traps CASCADE;
DROP TABLE docs, kinds, short, zeros;
DROP ROLE regress_searcher;
