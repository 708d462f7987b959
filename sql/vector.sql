--
-- The type vector: text, binary form, dimensions, functions, operators, btree
--
SET extra_float_digits = 1;

-- text: white space, signs, exponents; the shortest form comes out
SELECT '[1,2,3]'::vector;
SELECT E' [ 1.50\t,\n-2e-3 , +.5 , 5. ] '::vector;
SELECT '[0.1,16777217,1e-45,3.4028235e38,-0,0x10]'::vector;

-- too small becomes zero, too large is an error
SELECT '[1e-46]'::vector;
SELECT '[3.4028236e38]'::vector;
SELECT '[1,-1e39]'::vector;

-- what is not a finite number says which element it is
SELECT '[1,NaN]'::vector;
SELECT '[1,2,-Infinity]'::vector;

-- what is not a vector
SELECT ''::vector;
SELECT '1,2'::vector;
SELECT '[]'::vector;
SELECT '[1,2'::vector;
SELECT '[1,,2]'::vector;
SELECT '[1,2,]'::vector;
SELECT '[1 2]'::vector;
SELECT '[1,abc]'::vector;
SELECT '[1,2]3'::vector;

-- SQLSTATEs
\set VERBOSITY sqlstate
SELECT '[1,2'::vector;
SELECT '[1e39]'::vector;
SELECT '[NaN]'::vector;
SELECT '[]'::vector;
SELECT '[1,2]'::vector(3);
SELECT '[1]'::vector <-> '[1,2]';
SELECT ('[' || repeat('0,', 32768) || '0]')::vector;
\set VERBOSITY default

-- dimensions: 1 to 32768
SELECT '[1]'::vector(0);
SELECT '[1]'::vector(32769);
SELECT '[1]'::vector(1,2);
SELECT '[1,2]'::vector(3);
SELECT vector_dims(('[' || repeat('0,', 32767) || '0]')::vector(32768));
SELECT ('[' || repeat('0,', 32768) || '0]')::vector;

-- a column checks them
CREATE TABLE items (id int, v vector(3));
INSERT INTO items VALUES (1, '[1,2,3]');
INSERT INTO items VALUES (2, '[1,2]');
SELECT format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'items'::regclass AND attname = 'v';
DROP TABLE items;

-- binary form: dimensions, zero, big-endian elements
SELECT vector_send('[1,-2]');
SELECT substr(vector_send(('[' || repeat('0,', 32767) || '0]')::vector), 1, 5);

-- what COPY wrote in binary form comes back; 32768 dimensions do not turn negative
CREATE TABLE sent (id int, v vector);
INSERT INTO sent VALUES (1, '[1.5,-0,1e-45]'), (2, NULL),
	(3, array_fill(0.5::real, ARRAY[32768])), (4, array_fill(-1::real, ARRAY[600]));
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/vector.copy'
\set read '\\copy received FROM ' :'file' ' (FORMAT binary)'
COPY sent TO STDOUT (FORMAT binary) \g :file
CREATE TABLE received (LIKE sent);
:read
SELECT id, vector_dims(s.v), s.v = r.v AS same, vector_send(s.v) = vector_send(r.v) AS same_bits
	FROM sent s LEFT JOIN received r USING (id) ORDER BY id;

-- and is checked against the column
ALTER TABLE received ALTER v TYPE vector(3) USING NULL;
DELETE FROM sent WHERE id < 4;
COPY sent TO STDOUT (FORMAT binary) \g :file
:read
DROP TABLE sent, received;

-- distances
SELECT '[0,0]'::vector <-> '[3,4]', l2_distance('[0,0]'::vector, '[3,4]'),
	l2_squared_distance('[0,0]'::vector, '[3,4]'), vector_l2_squared_distance('[0,0]', '[3,4]');
SELECT '[1,2]'::vector <#> '[3,4]', inner_product('[1,2]'::vector, '[3,4]'),
	negative_inner_product('[1,2]'::vector, '[3,4]'), vector_negative_inner_product('[1,2]', '[3,4]');
SELECT '[1,2]'::vector <=> '[2,4]', cosine_distance('[1,1]'::vector, '[-1,-1]'), '[1,0]'::vector <=> '[0,2]';
SELECT '[1,2]'::vector <+> '[4,-2]', l1_distance('[0,0]'::vector, '[3,4]');

-- the cosine of a zero vector is not a number; sums may exceed float32
SELECT '[0,0]'::vector <=> '[1,1]';
SELECT '[3e38]'::vector <-> '[-3e38]', '[3e38,1]'::vector <#> '[3e38,1]', '[3e38]'::vector <+> '[-3e38]';

-- they need equal dimensions
SELECT '[1,2]'::vector <-> '[1]';
SELECT '[1,2]'::vector <#> '[1]';
SELECT '[1,2]'::vector <=> '[1]';
SELECT '[1,2]'::vector <+> '[1]';

-- all lengths agree with sums over the elements, which are small integers and so exact
WITH pairs AS (
	SELECT n, array_agg((i * 7) % 11 - 5 ORDER BY i)::vector AS a,
		array_agg((i * 5) % 13 - 6 ORDER BY i)::vector AS b,
		sum((((i * 7) % 11 - 5) - ((i * 5) % 13 - 6)) ^ 2) AS l2_squared,
		sum(((i * 7) % 11 - 5) * ((i * 5) % 13 - 6)) AS ip,
		sum(abs(((i * 7) % 11 - 5) - ((i * 5) % 13 - 6))) AS l1,
		sum(((i * 7) % 11 - 5) ^ 2) AS aa, sum(((i * 5) % 13 - 6) ^ 2) AS bb
	FROM generate_series(1, 130) AS n, generate_series(1, n) AS i GROUP BY n)
SELECT count(*), bool_and(a <-> b = sqrt(l2_squared)) AS l2, bool_and(a <#> b = -ip) AS ip,
	bool_and(abs((a <=> b) - (1 - ip / sqrt(aa * bb))) < 1e-15) AS cosine, bool_and(a <+> b = l1) AS l1
	FROM pairs;

-- norm
SELECT vector_norm('[3,4]'), l2_norm('[3,4]'::vector), vector_norm('[0]'), vector_norm('[3e37,4e37]');
SELECT l2_normalize('[3,4]'::vector), l2_normalize('[0,0]'::vector), l2_normalize('[3e38,1e-45]'::vector);

-- parts: positions count from 1, what lies outside is cut off
SELECT subvector('[1,2,3,4,5]'::vector, 2, 3), subvector('[1,2,3,4,5]'::vector, 4, 2147483647),
	subvector('[1,2,3,4,5]'::vector, -1, 4);
SELECT subvector('[1,2,3]'::vector, 1, 0);
SELECT subvector('[1,2,3]'::vector, 4, 1);
SELECT subvector('[1,2,3]'::vector, -2147483648, 2147483647);

-- binary quantization
SELECT binary_quantize('[1,0,-1,0.5,-0,1e-45,-2,3,4]'::vector);

-- arithmetic
SELECT '[1,2,3]'::vector + '[4,5,6]', '[1,2,3]'::vector - '[4,5,6]', '[1,2,3]'::vector * '[4,5,6]',
	'[1,2]'::vector || '[3]';
SELECT '[1,2]'::vector + '[1]';
SELECT '[1,2]'::vector - '[1]';
SELECT '[1,2]'::vector * '[1]';
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[-3e38]'::vector - '[3e38]';
SELECT '[1e20]'::vector * '[1e20]';
SELECT '[1e-30]'::vector * '[1e-30]';
SELECT '[0,1e-30]'::vector * '[1e-30,0]';
SELECT vector_dims(v || v) FROM (SELECT array_fill(1, ARRAY[16384])::vector) AS t(v);
SELECT v || v FROM (SELECT array_fill(1, ARRAY[16385])::vector) AS t(v);

-- comparison: the first element that differs, then the length; zeros are equal
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, vector_cmp(a, b)
	FROM (VALUES ('[1,2]'::vector, '[1,3]'::vector), ('[1,2]', '[1,2]'), ('[2]', '[1,3]'),
		('[1]', '[1,0]'), ('[0]', '[-0]')) AS t(a, b);

-- nulls
SELECT '[1]'::vector <-> NULL, NULL::vector + '[1]', NULL::vector < '[1]';

-- btree: the counts that the row comparison of the elements gives
CREATE TABLE sorted (a int, b int, v vector(2));
INSERT INTO sorted SELECT i % 7, i % 5, ARRAY[i % 7, i % 5]::vector FROM generate_series(1, 1000) AS i;
CREATE INDEX ON sorted (v);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM sorted WHERE v < '[2,1]';
SELECT count(*), (SELECT count(*) FROM sorted WHERE (a, b) < (2, 1)) AS expected
	FROM sorted WHERE v < '[2,1]';
SELECT count(*), (SELECT count(*) FROM sorted WHERE (a, b) = (3, 3)) AS expected
	FROM sorted WHERE v = '[3,3]';
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT count(DISTINCT v), count(DISTINCT (a, b)) AS expected FROM sorted;
DROP TABLE sorted;

-- values stored out of line: the same answers, and their dimensions without reading them
CREATE TABLE wide (id int, v vector(3000));
INSERT INTO wide SELECT g, (SELECT array_agg((i * g) % 97 ORDER BY i) FROM generate_series(1, 3000) AS i)
	FROM generate_series(1, 5) AS g;
SELECT id, vector_dims(v), pg_column_size(v), v = (SELECT array_agg((i * id) % 97 ORDER BY i)
	FROM generate_series(1, 3000) AS i)::vector AS same FROM wide ORDER BY id;
INSERT INTO wide SELECT id + 10, v FROM wide;
SELECT count(*) FROM wide a JOIN wide b ON a.id + 10 = b.id AND a.v = b.v;
DROP TABLE wide;
