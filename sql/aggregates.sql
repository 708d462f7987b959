--
-- avg() and sum() of vector and halfvec
--
SET extra_float_digits = 1;

SELECT avg(v), sum(v) FROM (VALUES ('[1,2,3]'::vector), ('[4,5,6]'), (NULL)) AS t(v);
SELECT avg(v), sum(v) FROM (VALUES ('[1,2,3]'::halfvec), ('[4,5,6]'), (NULL)) AS t(v);

-- of nothing
SELECT avg(v), sum(v) FROM (VALUES (NULL::vector)) AS t(v);
SELECT avg(v), sum(v) FROM (VALUES (NULL::halfvec)) AS t(v);

-- the mean of values whose sum exceeds the type is right; their sum is an error
SELECT avg(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]')) AS t(v);
SELECT sum(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]')) AS t(v);
SELECT avg(v) FROM (VALUES ('[65504]'::halfvec), ('[65504]')) AS t(v);
SELECT sum(v) FROM (VALUES ('[65504]'::halfvec), ('[65504]')) AS t(v);

-- dimensions must agree
SELECT avg(v) FROM (VALUES ('[1,2]'::vector), ('[1]')) AS t(v);
SELECT sum(v) FROM (VALUES ('[1,2]'::halfvec), ('[1]')) AS t(v);

-- groups and windows: the same as of the elements (all sums are exact in both types)
CREATE TABLE rows (g int, i int, v vector(3), h halfvec(3));
INSERT INTO rows SELECT i % 5, i % 50, ARRAY[i % 50, i % 7, -(i % 50)], ARRAY[i % 2, i % 3 - 1, -0.5]
	FROM generate_series(1, 10000) AS i;
SELECT g, avg(v) = ARRAY[avg(i), avg((v::int[])[2]), -avg(i)]::vector AS avg,
	sum(v) = ARRAY[sum(i), sum((v::int[])[2]), -sum(i)]::float8[]::vector AS sum,
	avg(h) = ARRAY[avg(i % 2), avg((h::int[])[2]), -0.5]::halfvec AS half_avg,
	sum(h) = ARRAY[sum(i % 2), sum((h::int[])[2]), count(*) * -0.5]::float8[]::halfvec AS half_sum
	FROM rows GROUP BY g ORDER BY g;
SELECT count(*), bool_and(sum = ARRAY[s, 0, -s]::float8[]::vector) AS sum,
	bool_and(avg = ARRAY[s / 4.0, 0, s / -4.0]::vector) AS avg,
	bool_and(running = ARRAY[r, 0, -r]::float8[]::vector) AS running
	FROM (SELECT sum(v * '[1,0,1]') OVER frame, avg(v * '[1,0,1]') OVER frame, sum(i) OVER frame AS s, count(*) OVER frame,
		sum(v * '[1,0,1]') OVER start AS running, sum(i) OVER start AS r
		FROM rows WINDOW frame AS (ORDER BY i, v ROWS 3 PRECEDING), start AS (ORDER BY i, v ROWS UNBOUNDED PRECEDING)) AS t
	WHERE count = 4;

-- in parallel
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE rows SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v), avg(h), sum(h) FROM rows;
SELECT avg(v) = ARRAY[avg(i), avg((v::int[])[2]), -avg(i)]::vector AS avg,
	sum(v) = ARRAY[sum(i), sum((v::int[])[2]), -sum(i)]::float8[]::vector AS sum, avg(h)
	FROM rows;
SELECT sum(h) = ARRAY[sum(i % 2), sum((h::int[])[2]), count(*) * -0.5]::float8[]::halfvec AS half_sum
	FROM rows WHERE i < 10;
SELECT avg(v), avg(h), sum(h) FROM rows WHERE i < 0;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE rows;

-- the functions behind avg() leave their arguments alone and check the state
SELECT a, vector_accum(a, '[1,2]'), a FROM (VALUES ('{1,10,20}'::float8[])) AS t(a);
SELECT vector_combine('{1,2,3}', '{2,4,5}'), vector_combine('{0}', '{2,4,5}'), halfvec_combine('{2,4,5}', '{0}');
SELECT vector_avg('{4,2,6}'), halfvec_avg('{4,2,6}'), vector_avg('{0}');
SELECT vector_avg('{}');
SELECT vector_avg('{{1,2}}');
SELECT halfvec_avg('{1,NULL}');
SELECT vector_avg('{1}');
SELECT vector_avg('{1,1e300}');
SELECT halfvec_avg('{1,1e5}');
SELECT vector_accum('{1,2}', '[1,2]');
SELECT halfvec_accum('{}', '[1,2]');
SELECT vector_combine('{1,2}', '{1,2,3}');
SELECT vector_combine('{1,1.7e308}', '{1,1.7e308}');
