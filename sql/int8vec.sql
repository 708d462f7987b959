--
-- The type int8vec: text, binary form, dimensions, functions, operators, btree
--
SET extra_float_digits = 1;

-- text: integers from -128 to 127
SELECT '[1,2,3]'::int8vec, ' [ +1 , -2,007, -0 ] '::int8vec, '[-128,127,100,99,-10,-9]'::int8vec;
SELECT bool_and(v::text = '[' || i || ']' AND (v::int[])[1] = i) AS text_and_value
	FROM generate_series(-128, 127) AS i, LATERAL (SELECT ('[' || i || ']')::int8vec) AS t(v);

-- out of range
SELECT '[128]'::int8vec;
SELECT '[1,-129]'::int8vec;
SELECT '[99999999999999999999]'::int8vec;

-- what is not an integer, what is not a vector
SELECT '[1,2.5]'::int8vec;
SELECT '[1e2]'::int8vec;
SELECT '[1,-]'::int8vec;
SELECT '[0x10]'::int8vec;
SELECT '[1,NaN]'::int8vec;
SELECT '[Infinity]'::int8vec;
SELECT '1,2'::int8vec;
SELECT '[]'::int8vec;
SELECT '[1,2'::int8vec;
SELECT '[1,a]'::int8vec;
SELECT '[1,2]]'::int8vec;

-- dimensions: 1 to 32768
SELECT '[1]'::int8vec(0);
SELECT '[1]'::int8vec(32769);
SELECT '[1,2]'::int8vec(3);
SELECT vector_dims(('[' || repeat('0,', 32767) || '0]')::int8vec(32768));
SELECT ('[' || repeat('0,', 32768) || '0]')::int8vec;

-- binary form: dimensions, zero, a byte an element
SELECT int8vec_send('[1,-2,127,-128]');

-- what COPY wrote in binary form comes back; 32768 dimensions do not turn negative
CREATE TABLE sent (id int, v int8vec);
INSERT INTO sent VALUES (1, '[1,-128,127]'), (2, NULL),
	(3, array_fill(50, ARRAY[32768])), (4, array_fill(-1, ARRAY[600]));
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/int8vec.copy'
\set read '\\copy received FROM ' :'file' ' (FORMAT binary)'
COPY sent TO STDOUT (FORMAT binary) \g :file
CREATE TABLE received (LIKE sent);
:read
SELECT id, vector_dims(s.v), s.v = r.v AS same, int8vec_send(s.v) = int8vec_send(r.v) AS same_bits
	FROM sent s LEFT JOIN received r USING (id) ORDER BY id;

-- a wrong length, the reserved field and more than 32768 dimensions are refused
CREATE TABLE bits (id int, v bytea);
INSERT INTO bits VALUES (1, '\x0002000001');
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
UPDATE bits SET v = '\x0001000101';
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
UPDATE bits SET v = '\x80010000'::bytea || decode(repeat('00', 32769), 'hex');
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
DROP TABLE sent, received, bits;

-- distances
SELECT '[0,0]'::int8vec <-> '[3,4]', l2_distance('[0,0]'::int8vec, '[3,4]'),
	l2_squared_distance('[0,0]'::int8vec, '[3,4]');
SELECT '[1,2]'::int8vec <#> '[3,4]', inner_product('[1,2]'::int8vec, '[3,4]'),
	negative_inner_product('[1,2]'::int8vec, '[3,4]');
SELECT '[1,2]'::int8vec <=> '[2,4]', cosine_distance('[1,1]'::int8vec, '[-1,-1]'), '[1,0]'::int8vec <=> '[0,2]';
SELECT '[1,2]'::int8vec <+> '[4,-2]', l1_distance('[0,0]'::int8vec, '[3,4]');
SELECT '[0,0]'::int8vec <=> '[1,1]', '[127]'::int8vec <-> '[-128]';
SELECT '[1,2]'::int8vec <-> '[1]';
SELECT '[1,2]'::int8vec <#> '[1]';
SELECT '[1,2]'::int8vec <=> '[1]';
SELECT '[1,2]'::int8vec <+> '[1]';

-- all lengths agree with sums over the elements, which are small integers and so exact
WITH pairs AS (
	SELECT n, array_agg((i * 7) % 11 - 5 ORDER BY i)::int8vec AS a,
		array_agg((i * 5) % 13 - 6 ORDER BY i)::int8vec AS b,
		sum((((i * 7) % 11 - 5) - ((i * 5) % 13 - 6)) ^ 2) AS l2_squared,
		sum(((i * 7) % 11 - 5) * ((i * 5) % 13 - 6)) AS ip,
		sum(abs(((i * 7) % 11 - 5) - ((i * 5) % 13 - 6))) AS l1,
		sum(((i * 7) % 11 - 5) ^ 2) AS aa, sum(((i * 5) % 13 - 6) ^ 2) AS bb
	FROM generate_series(1, 130) AS n, generate_series(1, n) AS i GROUP BY n)
SELECT count(*), bool_and(a <-> b = sqrt(l2_squared)) AS l2, bool_and(a <#> b = -ip) AS ip,
	bool_and(abs((a <=> b) - (1 - ip / sqrt(aa * bb))) < 1e-15) AS cosine, bool_and(a <+> b = l1) AS l1
	FROM pairs;

-- the largest sums there are: 32768 dimensions at the ends of the range
SELECT l2_squared_distance(a, b) = 32768 * 255.0 ^ 2 AS l2, inner_product(b, b) = 32768 * 128.0 ^ 2 AS ip,
	inner_product(a, b) = -32768 * 127.0 * 128.0 AS negative, a <=> b AS cosine, a <+> b = 32768 * 255 AS l1
	FROM (SELECT array_fill(127, ARRAY[32768])::int8vec AS a, array_fill(-128, ARRAY[32768])::int8vec AS b) AS t;

-- norm, parts, binary quantization; the normalized form is a vector
SELECT l2_norm('[3,4]'::int8vec), l2_norm(array_fill(-128, ARRAY[32768])::int8vec);
SELECT l2_normalize('[3,4]'::int8vec), l2_normalize('[0,0]'::int8vec), pg_typeof(l2_normalize('[1]'::int8vec));
SELECT subvector('[1,2,3,4,5]'::int8vec, 2, 3), subvector('[1,2,3,4,5]'::int8vec, -1, 4);
SELECT subvector('[1,2,3]'::int8vec, 4, 1);
SELECT binary_quantize('[1,0,-1,5,-0,127,-128,3,4]'::int8vec);

-- arithmetic
SELECT '[1,2,3]'::int8vec + '[4,5,6]', '[1,2,3]'::int8vec - '[4,5,6]', '[1,2,3]'::int8vec * '[4,5,-6]',
	'[1,2]'::int8vec || '[3]';
SELECT '[1,2]'::int8vec + '[1]';
SELECT '[1,2]'::int8vec - '[1]';
SELECT '[1,2]'::int8vec * '[1]';
SELECT '[127]'::int8vec + '[1]';
SELECT '[-128]'::int8vec - '[1]';
SELECT '[16]'::int8vec * '[8]';
SELECT '[16]'::int8vec * '[-8]', '[127]'::int8vec + '[0]', '[-128]'::int8vec - '[0]';
SELECT v || v FROM (SELECT array_fill(1, ARRAY[16385])::int8vec) AS t(v);

-- comparison: the first element that differs, then the length; zeros are equal
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, int8vec_cmp(a, b)
	FROM (VALUES ('[1,2]'::int8vec, '[1,3]'::int8vec), ('[1,2]', '[1,2]'), ('[2]', '[1,3]'),
		('[1]', '[1,0]'), ('[0]', '[-0]'), ('[-1]', '[-2]'), ('[-1]', '[1]')) AS t(a, b);

-- btree: the counts that the row comparison of the elements gives
CREATE TABLE sorted (a int, b int, v int8vec(2));
INSERT INTO sorted SELECT i % 7 - 3, i % 5 - 2, ARRAY[i % 7 - 3, i % 5 - 2]::int8vec FROM generate_series(1, 1000) AS i;
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

-- casts round to nearest, ties to even
SELECT ARRAY[1,2,-128]::int8vec, ARRAY[1.5,2.5,-128.4,127.49]::real[]::int8vec, ARRAY[1.5,0.1]::float8[]::int8vec, ARRAY[1.5,-0.1]::numeric[]::int8vec;
SELECT '[1,-2]'::int8vec::real[], '[1,-2]'::int8vec::float8[], '[1,-2]'::int8vec::int[], '[1,-2]'::int8vec::numeric[];
SELECT '[1.5,-128]'::vector::int8vec, '[2.5]'::halfvec::int8vec, '[3.5]'::bfloat16vec::int8vec,
	'[-128,127]'::int8vec::vector, '[-128,127]'::int8vec::halfvec, '[-128,127]'::int8vec::bfloat16vec;
SELECT '[127.5]'::vector::int8vec;
SELECT '[1,-129]'::halfvec::int8vec;
SELECT ARRAY[1,300]::int8vec;
SELECT '{NaN}'::real[]::int8vec;
SELECT '{1,-Infinity}'::float8[]::int8vec;
SELECT '{1,NULL}'::int[]::int8vec;
SELECT '{}'::int[]::int8vec;
SELECT '[1,2]'::vector::int8vec(3);
SELECT '[1,2]'::int8vec::int8vec(3);
SELECT '[1]'::vector + '[1]'::int8vec;
CREATE TABLE assigned (v vector(2), i int8vec(2));
INSERT INTO assigned VALUES ('[1,2]'::int8vec, '[1.4,2.6]'::vector), (NULL, ARRAY[3,4]);
TABLE assigned;
DROP TABLE assigned;

-- aggregates give a vector
SELECT avg(v), sum(v), pg_typeof(sum(v)) FROM (VALUES ('[100,2,3]'::int8vec), ('[100,5,6]'), (NULL)) AS t(v);
SELECT avg(v), sum(v) FROM (VALUES (NULL::int8vec)) AS t(v);
SELECT avg(v) FROM (VALUES ('[1,2]'::int8vec), ('[1]')) AS t(v);
SELECT sum(ARRAY[i % 100, -(i % 7)]::int8vec) = ARRAY[sum(i % 100), -sum(i % 7)]::float8[]::vector AS sum,
	avg(ARRAY[i % 100, -(i % 7)]::int8vec) = ARRAY[avg(i % 100), -avg(i % 7)]::vector AS avg FROM generate_series(1, 10000) AS i;
