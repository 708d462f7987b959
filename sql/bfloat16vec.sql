--
-- The type bfloat16vec: text, binary form, dimensions, functions, operators, btree
--
SET extra_float_digits = 1;

-- text: rounded to bfloat16, printed as the shortest float32
SELECT '[1,2,3]'::bfloat16vec, ' [ 1.5 , -2e-3 ] '::bfloat16vec;
SELECT '[0.1,257,259,3.3895314e38,-0]'::bfloat16vec;

-- rounding is to nearest, ties to even; the smallest value is 2^-133
SELECT '[1.00390625,1.01171875,9.1835496e-41,4.5917748e-41,4.59e-41]'::bfloat16vec;

-- out of range: what rounds to infinity
SELECT '[3.3961775e38]'::bfloat16vec;
SELECT '[3.3961773e38]'::bfloat16vec;
SELECT '[1,-3.4e38]'::bfloat16vec;
SELECT '[1e39]'::bfloat16vec;

-- what is not a finite number, what is not a vector
SELECT '[1,NaN]'::bfloat16vec;
SELECT '[Infinity]'::bfloat16vec;
SELECT '1,2'::bfloat16vec;
SELECT '[]'::bfloat16vec;
SELECT '[1,2'::bfloat16vec;
SELECT '[1,a]'::bfloat16vec;
SELECT '[1,2]]'::bfloat16vec;

-- dimensions: 1 to 32768
SELECT '[1]'::bfloat16vec(0);
SELECT '[1]'::bfloat16vec(32769);
SELECT '[1,2]'::bfloat16vec(3);
SELECT vector_dims(('[' || repeat('0,', 32767) || '0]')::bfloat16vec(32768));
SELECT ('[' || repeat('0,', 32768) || '0]')::bfloat16vec;

-- binary form: dimensions, zero, the big-endian bits
SELECT bfloat16vec_send('[1,-2,3.3895314e38]');

-- what COPY wrote in binary form comes back; 32768 dimensions do not turn negative
CREATE TABLE sent (id int, v bfloat16vec);
INSERT INTO sent VALUES (1, '[1.5,-0,1e-40]'), (2, NULL),
	(3, array_fill(0.5::real, ARRAY[32768])), (4, array_fill(-1::real, ARRAY[600]));
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/bfloat16vec.copy'
\set read '\\copy received FROM ' :'file' ' (FORMAT binary)'
COPY sent TO STDOUT (FORMAT binary) \g :file
CREATE TABLE received (LIKE sent);
:read
SELECT id, vector_dims(s.v), s.v = r.v AS same, bfloat16vec_send(s.v) = bfloat16vec_send(r.v) AS same_bits
	FROM sent s LEFT JOIN received r USING (id) ORDER BY id;

-- NaN and infinity are refused: the bfloat16vec 1.5 with other bits
CREATE TABLE bits (id int, v bytea);
INSERT INTO bits VALUES (1, '\x000100007fc0');
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
UPDATE bits SET v = '\x00010000ff80';
COPY bits TO STDOUT (FORMAT binary) \g :file
:read

-- and so are a wrong length, the reserved field, more than 32768 dimensions
UPDATE bits SET v = '\x000200003fc0';
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
UPDATE bits SET v = '\x000100013fc0';
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
UPDATE bits SET v = '\x80010000'::bytea || decode(repeat('0000', 32769), 'hex');
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
DROP TABLE sent, received, bits;

-- distances
SELECT '[0,0]'::bfloat16vec <-> '[3,4]', l2_distance('[0,0]'::bfloat16vec, '[3,4]'),
	l2_squared_distance('[0,0]'::bfloat16vec, '[3,4]');
SELECT '[1,2]'::bfloat16vec <#> '[3,4]', inner_product('[1,2]'::bfloat16vec, '[3,4]'),
	negative_inner_product('[1,2]'::bfloat16vec, '[3,4]');
SELECT '[1,2]'::bfloat16vec <=> '[2,4]', cosine_distance('[1,1]'::bfloat16vec, '[-1,-1]'), '[1,0]'::bfloat16vec <=> '[0,2]';
SELECT '[1,2]'::bfloat16vec <+> '[4,-2]', l1_distance('[0,0]'::bfloat16vec, '[3,4]');
SELECT '[0,0]'::bfloat16vec <=> '[1,1]', '[1e19]'::bfloat16vec <-> '[-1e19]';
SELECT '[1,2]'::bfloat16vec <-> '[1]';
SELECT '[1,2]'::bfloat16vec <#> '[1]';
SELECT '[1,2]'::bfloat16vec <=> '[1]';
SELECT '[1,2]'::bfloat16vec <+> '[1]';

-- all lengths agree with sums over the elements, which are small integers and so exact
WITH pairs AS (
	SELECT n, array_agg((i * 7) % 11 - 5 ORDER BY i)::bfloat16vec AS a,
		array_agg((i * 5) % 13 - 6 ORDER BY i)::bfloat16vec AS b,
		sum((((i * 7) % 11 - 5) - ((i * 5) % 13 - 6)) ^ 2) AS l2_squared,
		sum(((i * 7) % 11 - 5) * ((i * 5) % 13 - 6)) AS ip,
		sum(abs(((i * 7) % 11 - 5) - ((i * 5) % 13 - 6))) AS l1,
		sum(((i * 7) % 11 - 5) ^ 2) AS aa, sum(((i * 5) % 13 - 6) ^ 2) AS bb
	FROM generate_series(1, 130) AS n, generate_series(1, n) AS i GROUP BY n)
SELECT count(*), bool_and(a <-> b = sqrt(l2_squared)) AS l2, bool_and(a <#> b = -ip) AS ip,
	bool_and(abs((a <=> b) - (1 - ip / sqrt(aa * bb))) < 1e-15) AS cosine, bool_and(a <+> b = l1) AS l1
	FROM pairs;

-- norm, parts, binary quantization
SELECT l2_norm('[3,4]'::bfloat16vec), l2_norm('[3e38,3e38]'::bfloat16vec);
SELECT l2_normalize('[3,4]'::bfloat16vec), l2_normalize('[0,0]'::bfloat16vec), l2_normalize('[3e38,1e-40]'::bfloat16vec);
SELECT subvector('[1,2,3,4,5]'::bfloat16vec, 2, 3), subvector('[1,2,3,4,5]'::bfloat16vec, -1, 4);
SELECT subvector('[1,2,3]'::bfloat16vec, 4, 1);
SELECT binary_quantize('[1,0,-1,0.5,-0,1e-40,-2,3,4]'::bfloat16vec);

-- arithmetic; 300 elements pass through more than one piece
SELECT '[1,2,3]'::bfloat16vec + '[4,5,6]', '[1,2,3]'::bfloat16vec - '[4,5,6]', '[1,2,3]'::bfloat16vec * '[4,5,6]',
	'[1,2]'::bfloat16vec || '[3]';
WITH v AS (SELECT array_agg(i % 120 ORDER BY i) AS a, array_agg(i % 7 ORDER BY i) AS b, array_agg(i % 120 + i % 7 ORDER BY i) AS sum,
	array_agg(i % 120 - i % 7 ORDER BY i) AS difference, array_agg((i % 120) * (i % 7) ORDER BY i) AS product
	FROM generate_series(1, 300) AS i)
SELECT a::bfloat16vec + b::bfloat16vec = sum::bfloat16vec AS sum, a::bfloat16vec - b::bfloat16vec = difference::bfloat16vec AS difference,
	a::bfloat16vec * b::bfloat16vec = product::bfloat16vec AS product FROM v;
SELECT '[1,2]'::bfloat16vec + '[1]';
SELECT '[1,2]'::bfloat16vec - '[1]';
SELECT '[1,2]'::bfloat16vec * '[1]';
SELECT '[3.3895314e38]'::bfloat16vec + '[1e36]';
SELECT '[-3.3895314e38]'::bfloat16vec - '[1e36]';
SELECT '[1e20]'::bfloat16vec * '[1e20]';
SELECT '[1e-22]'::bfloat16vec * '[1e-22]';
SELECT '[0,1e-22]'::bfloat16vec * '[1e-22,0]';
SELECT v || v FROM (SELECT array_fill(1, ARRAY[16385])::bfloat16vec) AS t(v);

-- comparison: the first element that differs, then the length; zeros are equal
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, bfloat16vec_cmp(a, b)
	FROM (VALUES ('[1,2]'::bfloat16vec, '[1,3]'::bfloat16vec), ('[1,2]', '[1,2]'), ('[2]', '[1,3]'),
		('[1]', '[1,0]'), ('[0]', '[-0]'), ('[-1]', '[-2]'), ('[-1]', '[1]')) AS t(a, b);

-- btree: the counts that the row comparison of the elements gives
CREATE TABLE sorted (a int, b int, v bfloat16vec(2));
INSERT INTO sorted SELECT i % 7 - 3, i % 5 - 2, ARRAY[i % 7 - 3, i % 5 - 2]::bfloat16vec FROM generate_series(1, 1000) AS i;
CREATE INDEX ON sorted (v);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM sorted WHERE v < '[-1,1]';
SELECT count(*), (SELECT count(*) FROM sorted WHERE (a, b) < (-1, 1)) AS expected
	FROM sorted WHERE v < '[-1,1]';
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT count(DISTINCT v), count(DISTINCT (a, b)) AS expected FROM sorted;
DROP TABLE sorted;

-- casts: every bfloat16 there is has the value of its bits, and text and float32 lead back to it
SELECT count(*), bool_and((b::float8[])[1] = x) AS value,
	bool_and(bfloat16vec_send(b) = bfloat16vec_send(b::text::bfloat16vec)) AS text,
	bool_and(bfloat16vec_send(b) = bfloat16vec_send(b::vector::bfloat16vec)) AS float32,
	bool_and(bfloat16vec_send(b) = '\x00010000'::bytea || substring(vector_send(b::vector), 5, 2)) AS bits
	FROM (SELECT x, ARRAY[x]::bfloat16vec AS b
		FROM generate_series(0, 254) AS e, generate_series(0, 127) AS m, (VALUES (1), (-1)) AS v(s),
		LATERAL (SELECT s * CASE WHEN e = 0 THEN m * 2::float8 ^ -133 ELSE (128 + m) * 2::float8 ^ (e - 134) END) AS f(x)) AS t;
SELECT ARRAY[1,2,3]::bfloat16vec, ARRAY[1.5,0.1]::real[]::bfloat16vec, ARRAY[1.5,0.1]::float8[]::bfloat16vec, ARRAY[1.5,0.1]::numeric[]::bfloat16vec;
SELECT '[1,2.5,-0.1]'::bfloat16vec::real[], '[1,2.5,-0.1]'::bfloat16vec::float8[], '[1.5,2.5,-0.1]'::bfloat16vec::int[],
	'[1,2.5,-0.1]'::bfloat16vec::numeric[];
SELECT '[1,0.1,3e38]'::vector::bfloat16vec, '[1,0.1]'::halfvec::bfloat16vec, '[1,0.1,65280]'::bfloat16vec::halfvec;
SELECT '[1,65536]'::bfloat16vec::halfvec;
SELECT '[3.4e38]'::vector::bfloat16vec;
SELECT '{1,NaN}'::real[]::bfloat16vec;
SELECT '{1,NULL}'::real[]::bfloat16vec;
SELECT '{{1}}'::real[]::bfloat16vec;
SELECT '{}'::real[]::bfloat16vec;
SELECT '[1,2]'::vector::bfloat16vec(3);
SELECT '[1,2]'::bfloat16vec::bfloat16vec(3);

-- with a vector it is a bfloat16vec, with a halfvec nothing is guessed
SELECT pg_typeof('[1]'::vector + '[1]'::bfloat16vec), '[1,2]'::bfloat16vec <-> '[1,3]'::vector;
SELECT '[1]'::halfvec + '[1]'::bfloat16vec;
CREATE TABLE assigned (v vector(2), h halfvec(2), b bfloat16vec(2), a real[]);
INSERT INTO assigned SELECT b, b, b, b FROM (VALUES ('[1,0.1]'::bfloat16vec)) AS t(b);
INSERT INTO assigned (b) VALUES (ARRAY[1,2]), ('[1,0.1]'::vector), ('[1,0.1]'::halfvec);
TABLE assigned;
DROP TABLE assigned;

-- aggregates give a vector, as exact as float64 sums are
SELECT avg(v), sum(v), pg_typeof(sum(v)) FROM (VALUES ('[1,2,3]'::bfloat16vec), ('[4,5,6]'), (NULL)) AS t(v);
SELECT avg(v), sum(v) FROM (VALUES (NULL::bfloat16vec)) AS t(v);
SELECT sum(v) FROM (VALUES ('[256]'::bfloat16vec), ('[1]'), ('[1]')) AS t(v);
SELECT avg(v) FROM (VALUES ('[3e38]'::bfloat16vec), ('[3e38]')) AS t(v);
SELECT sum(v) FROM (VALUES ('[3e38]'::bfloat16vec), ('[3e38]')) AS t(v);
SELECT sum(v) FROM (VALUES ('[1,2]'::bfloat16vec), ('[1]')) AS t(v);
CREATE TABLE rows (i int, v bfloat16vec(2));
INSERT INTO rows SELECT i, ARRAY[i % 200, i % 7 - 3] FROM generate_series(1, 10000) AS i;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE rows SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM rows;
SELECT sum(v) = ARRAY[sum(i % 200), sum(i % 7 - 3)]::float8[]::vector AS sum, avg(v) = ARRAY[avg(i % 200), avg(i % 7 - 3)]::vector AS avg FROM rows;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
DROP TABLE rows;
