--
-- Scores of lists of vectors: max_sim_ip, max_sim_cosine, max_sim_l2
--
-- the query's [1,0] is best matched by [2,0], its [0,1] by [0,3]
SELECT max_sim_ip(q, d), max_sim_cosine(q, d), max_sim_l2(q, d)
	FROM (VALUES (ARRAY['[1,0]', '[0,1]']::vector[], ARRAY['[2,0]', '[0,3]', '[-1,-1]']::vector[])) AS t(q, d);

-- the same as of all pairs, at any shape; 40 by 3000 takes more than one block
CREATE FUNCTION list_of(n int, dim int, seed int) RETURNS vector[] LANGUAGE sql AS
	'SELECT array_agg(v ORDER BY i) FROM (SELECT i, array_agg(sin(i * 12.9898 + j * 78.233 + seed) ORDER BY j)::vector AS v
		FROM generate_series(1, n) AS i, generate_series(1, dim) AS j GROUP BY i) AS t';
CREATE TABLE lists AS SELECT m, n, dim, list_of(m, dim, 1) AS q, list_of(n, dim, 2) AS d
	FROM (VALUES (1, 1, 1), (1, 5, 3), (7, 3, 8), (32, 100, 128), (3, 40, 300), (40, 3000, 4)) AS t(m, n, dim);
SELECT m, n, dim, abs(max_sim_ip(q, d) - ip) < 1e-4 * m AS ip, abs(max_sim_cosine(q, d) - cosine) < 1e-5 * m AS cosine,
	abs(max_sim_l2(q, d) - l2) < 1e-4 * m AS l2
	FROM lists, LATERAL (SELECT sum(i) AS ip, sum(c) AS cosine, sum(l) AS l2 FROM
		(SELECT max(inner_product(a, b)) AS i, max(1 - (a <=> b)) AS c, min(l2_squared_distance(a, b)) AS l
			FROM unnest(q) AS a, unnest(d) AS b GROUP BY a) AS best) AS expected
	ORDER BY m, n;

-- near vectors keep their digits
SELECT max_sim_l2(ARRAY['[10000,0.001,0,0,0,0,0,0]']::vector[], ARRAY['[10000,0.002,0,0,0,0,0,0]']::vector[]) BETWEEN 0.99e-6 AND 1.01e-6 AS exact;
DROP TABLE lists;
DROP FUNCTION list_of;

-- a list without vectors: nothing to sum, or nothing that matches
SELECT max_sim_ip('{}', ARRAY['[1]']::vector[]), max_sim_cosine('{}', '{}'), max_sim_l2('{}', '{}');
SELECT max_sim_ip(ARRAY['[1]']::vector[], '{}'), max_sim_cosine(ARRAY['[1]']::vector[], '{}'), max_sim_l2(ARRAY['[1]']::vector[], '{}');
SELECT max_sim_ip(NULL, '{}'), max_sim_l2('{}', NULL);

-- a zero vector has no cosine
SELECT max_sim_cosine(ARRAY['[0,0]']::vector[], ARRAY['[1,0]']::vector[]) AS query,
	max_sim_cosine(ARRAY['[1,0]']::vector[], ARRAY['[0,0]']::vector[]) AS document,
	max_sim_cosine(ARRAY['[1,0]']::vector[], ARRAY['[0,0]', '[-1,0]']::vector[]) AS other;

-- lists have one dimension, no nulls, and vectors of the same number of dimensions
SELECT max_sim_ip(ARRAY['[1]', NULL]::vector[], ARRAY['[1]']::vector[]);
SELECT max_sim_ip(ARRAY['[1]']::vector[], ARRAY[ARRAY['[1]'], ARRAY['[2]']]::vector[]);
SELECT max_sim_ip(ARRAY['[1]', '[1,2]']::vector[], ARRAY['[1]']::vector[]);
SELECT max_sim_l2(ARRAY['[1]']::vector[], ARRAY['[1,2]']::vector[]);

-- ranking documents, from columns of a table stored out of line
CREATE TABLE documents (id int, chunks vector(200)[]);
INSERT INTO documents SELECT id, array_agg(v ORDER BY k)
	FROM (SELECT id, k, array_agg((id * j * j + k) % 17 ORDER BY j)::vector AS v FROM generate_series(1, 10) AS id, generate_series(1, 30) AS k, generate_series(1, 200) AS j GROUP BY id, k) AS t
	GROUP BY id;
INSERT INTO documents VALUES (11, '{}'), (12, NULL);
SELECT id FROM documents ORDER BY max_sim_l2((SELECT chunks FROM documents WHERE id = 3), chunks), id LIMIT 1;
SELECT count(*), bool_and(max_sim_cosine(chunks, chunks) BETWEEN 29.9999 AND 30) AS own FROM documents WHERE cardinality(chunks) > 0;
DROP TABLE documents;
