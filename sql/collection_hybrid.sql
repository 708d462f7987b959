-- Hybrid searches: rankers against the same computed in SQL; groups; errors.
SET extra_float_digits = 0;
SELECT milvus.create_collection('h', schema => '{"fields": [
	{"name": "id", "type": "INT64", "is_primary": true}, {"name": "n", "type": "INT32"}, {"name": "price", "type": "FLOAT", "nullable": true},
	{"name": "a", "type": "FLOAT_VECTOR", "params": {"dim": 3}}, {"name": "b", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}',
	index_params => '[{"field_name": "a", "index_type": "HNSW", "metric_type": "L2", "params": {"M": 8, "efConstruction": 40}}, {"field_name": "b", "index_type": "FLAT", "metric_type": "COSINE"}]');
INSERT INTO h SELECT i, i % 6, CASE WHEN i % 9 > 0 THEN i END, format('[%s,%s,%s]', i % 17 + i * 0.001, i % 19, i % 23)::vector, format('[%s,%s]', i % 29 + i * 0.01, 1 + i % 31)::vector
	FROM generate_series(1, 500) i;
\set reqs '[{"data": [3,4,5], "anns_field": "a", "param": {"metric_type": "L2", "params": {"ef": 100}}, "limit": 30}, {"data": "[2,1]", "anns_field": "b", "limit": 20, "expr": "n < {x}", "expr_params": {"x": 4}}]'
CREATE VIEW a AS SELECT id, n, price, l2_squared_distance(a, '[3,4,5]')::real AS d, row_number() OVER (ORDER BY a <-> '[3,4,5]', id) AS place FROM h ORDER BY place LIMIT 30;
CREATE VIEW b AS SELECT id, n, price, (1 - (b <=> '[2,1]'))::real AS d, row_number() OVER (ORDER BY b <=> '[2,1]', id) AS place FROM h WHERE n < 4 ORDER BY place LIMIT 20;

-- RRF
SELECT count(*), bool_and(abs(s.distance - e.score) < 1e-6) FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "rrf", "params": {"k": 10}}', "limit" => 50) s
	JOIN (SELECT id, sum(1.0 / (10 + place)) AS score FROM (SELECT id, place FROM a UNION ALL SELECT id, place FROM b) u GROUP BY id) e ON s.id::bigint = e.id;
SELECT count(DISTINCT id) FROM (SELECT id FROM a UNION ALL SELECT id FROM b) u;
SELECT id, distance, entity FROM milvus.hybrid_search('h', :'reqs', '{"params": {"reranker": "rrf"}}', "limit" => 3, "offset" => 1, output_fields => '{n,b}');
SELECT id, score::real FROM (SELECT id, sum(1.0 / (60 + place)) AS score FROM (SELECT id, place FROM a UNION ALL SELECT id, place FROM b) u GROUP BY id) s ORDER BY score DESC, id LIMIT 3 OFFSET 1;
SELECT bool_and(x.id = y.id AND x.distance = y.distance) FROM milvus.hybrid_search('h', :'reqs') x JOIN milvus.hybrid_search('h', :'reqs', '{"strategy": "rrf", "params": {"k": 60}}') y USING (id);
-- weights: normalized, and of distances and similarities together, of distances alone
SELECT count(*), bool_and(abs(s.distance - e.score) < 1e-5) FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "weighted", "params": {"weights": [0.3, 0.9], "norm_score": true}}', "limit" => 50) s
	JOIN (SELECT id, sum(score) AS score FROM (SELECT id, 0.3 * (1 - 2 * atan(d) / pi()) AS score FROM a UNION ALL SELECT id, 0.9 * (1 + d) / 2 FROM b) u GROUP BY id) e ON s.id::bigint = e.id;
SELECT count(*), bool_and(abs(s.distance - e.score) < 1e-5) FROM milvus.hybrid_search('h', :'reqs', '{"params": {"reranker": "weighted", "weights": "[0.3, 0.9]"}}', "limit" => 50) s
	JOIN (SELECT id, sum(score) AS score FROM (SELECT id, 0.3 * (1 - 2 * atan(d) / pi()) AS score FROM a UNION ALL SELECT id, 0.9 * d FROM b) u GROUP BY id) e ON s.id::bigint = e.id;
SELECT id, distance FROM milvus.hybrid_search('h', '[{"data": [3,4,5], "anns_field": "a", "limit": 30}]', '{"strategy": "weighted", "params": {"weights": [0.5]}}', "limit" => 3);
SELECT id, d * 0.5 FROM a ORDER BY d, id LIMIT 3;
-- decay, in each curve and mode
SELECT curve, mode, count(*), bool_and(abs(s.distance - e.score * CASE WHEN e.price IS NULL THEN 1 WHEN curve = 'gauss' THEN exp(ln(0.3) * power(greatest(0, abs(e.price - 100) - 5) / 40, 2))
		WHEN curve = 'exp' THEN exp(ln(0.3) / 40 * greatest(0, abs(e.price - 100) - 5)) ELSE greatest(0.3, 1 - 0.7 / 40 * greatest(0, abs(e.price - 100) - 5)) END) < 1e-5)
	FROM (VALUES ('gauss', 'max'), ('exp', 'sum'), ('linear', 'avg')) AS t(curve, mode),
	LATERAL milvus.hybrid_search('h', :'reqs', jsonb_build_object('name', 'x', 'input_field_names', '["price"]'::jsonb, 'params', jsonb_build_object('reranker', 'decay', 'function', curve,
		'origin', 100, 'scale', 40, 'offset', 5, 'decay', 0.3, 'score_mode', mode, 'norm_score', true)), "limit" => 50) s
	JOIN LATERAL (SELECT id, price, CASE mode WHEN 'max' THEN max(score) WHEN 'sum' THEN sum(score) ELSE avg(score) END AS score FROM
		(SELECT id, price, 1 - 2 * atan(d) / pi() AS score FROM a UNION ALL SELECT id, price, (1 + d) / 2 FROM b) u GROUP BY id, price) e ON s.id::bigint = e.id GROUP BY curve, mode ORDER BY curve;
-- boost
SELECT count(*), bool_and(abs(s.distance - (e.score + CASE WHEN n = 2 THEN 0.25 ELSE 0 END)) < 1e-5) FROM milvus.hybrid_search('h', :'reqs', '{"functions": [{"params": {"reranker": "boost", "filter": "n == 2", "weight": 0.25}}], "params": {"boost_mode": "sum"}}', "limit" => 50) s
	JOIN (SELECT id, n, max(score) AS score FROM (SELECT id, n, 1 - 2 * atan(d) / pi() AS score FROM a UNION ALL SELECT id, n, d FROM b) u GROUP BY id, n) e ON s.id::bigint = e.id;
-- several vectors
SELECT query_no, count(*), min(id::int) > 0 AS ids FROM milvus.hybrid_search('h', '[{"data": [[3,4,5],[1,1,1]], "anns_field": "a", "limit": 5}, {"data": [[1,2],[2,1]], "anns_field": "b", "limit": 5}]', "limit" => 7) GROUP BY 1 ORDER BY 1;
-- groups
SELECT entity -> 'n' AS n, count(*) FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "rrf"}', "limit" => 3, group_by_field => 'n', group_size => 2, strict_group_size => true, output_fields => '{n}') GROUP BY 1 ORDER BY 1;
SELECT count(*), count(DISTINCT entity -> 'n') FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "rrf", "rank_group_scorer": "sum"}', "limit" => 2, "offset" => 1, group_by_field => 'n', output_fields => '{n}');
SELECT distance FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "rrf", "params": {"k": 1}}', "limit" => 2, round_decimal => 2);
-- more statements than a session keeps: none is forgotten while its call still needs it
DO $$ DECLARE n bigint; BEGIN
	FOR i IN 1..300 LOOP
		SELECT count(*) INTO n FROM milvus.hybrid_search('h', format('[{"data": [3,4,5], "anns_field": "a", "limit": %s}, {"data": [2,1], "anns_field": "b", "limit": %s}]', i, i)::jsonb, "limit" => 1, output_fields => '{n}');
		IF n <> 1 THEN RAISE 'hybrid search % found % entities', i, n; END IF;
	END LOOP;
END $$;

-- errors
SELECT * FROM milvus.hybrid_search('h', '[]', '{"strategy": "rrf"}');
SELECT * FROM milvus.hybrid_search('h', '[3]', '{"strategy": "rrf"}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "best"}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '[1]');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "rrf", "params": {"k": 0}}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "rrf", "params": {"k": 16384}}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "weighted", "params": {"weights": [0.1]}}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "weighted", "params": {"weights": [0.1, 2]}}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "weighted", "params": {"weights": "x"}}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "weighted"}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"params": {"reranker": "model"}}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"functions": [{"params": {"reranker": "rrf"}}, {"params": {"reranker": "rrf"}}]}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"params": {"reranker": "decay", "function": "gauss", "origin": 1, "scale": 2, "score_mode": "least"}, "input_field_names": ["price"]}');
SELECT * FROM milvus.hybrid_search('h', :'reqs', "limit" => 0);
SELECT * FROM milvus.hybrid_search('h', :'reqs', "limit" => 16000, "offset" => 1000);
SELECT * FROM milvus.hybrid_search('h', :'reqs', "offset" => -1);
SELECT * FROM milvus.hybrid_search('h', '[{"data": [3,4,5]}]');
SELECT * FROM milvus.hybrid_search('h', '[{"data": [3,4], "anns_field": "a"}]');
SELECT * FROM milvus.hybrid_search('h', '[{"data": [3,4,5], "anns_field": "a", "limit": 0}]');
SELECT * FROM milvus.hybrid_search('h', '[{"data": [3,4,5], "anns_field": "a", "param": {"metric_type": "IP"}}]');
SELECT * FROM milvus.hybrid_search('h', '[{"data": [3,4,5], "anns_field": "a"}, {"data": [[1,2],[3,4]], "anns_field": "b"}]');
SELECT * FROM milvus.hybrid_search('h', :'reqs', group_by_field => 'price');
SELECT * FROM milvus.hybrid_search('h', '[{"data": [3,4,5], "anns_field": "a", "expr": "id > {x}", "expr_params": "x"}]');
SELECT * FROM milvus.hybrid_search('h', '[{"ids": "x", "anns_field": "a"}]');
SELECT count(*) FROM milvus.hybrid_search('h', '[{"ids": [1], "anns_field": "a", "expr": "id > {x}", "expr_params": {"x": 3}}]');
SELECT * FROM milvus.hybrid_search('h', :'reqs', '{"strategy": "rrf", "params": 60}');
SELECT milvus.release_collection('h');
SELECT * FROM milvus.hybrid_search('h', :'reqs');
DROP VIEW a, b;
DROP TABLE h;
