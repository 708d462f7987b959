--
-- The type halfvec: text, binary form, dimensions, functions, operators, btree
--
SET extra_float_digits = 1;

-- text: rounded to float16, printed as the shortest float32
SELECT '[1,2,3]'::halfvec, ' [ 1.5 , -2e-3 ] '::halfvec;
SELECT '[0.1,2049,2051,65504,-0]'::halfvec;

-- rounding is to nearest, ties to even; the smallest value is 2^-24
SELECT '[65519.996,5.9604645e-08,2.9802326e-08,2.9802322e-08]'::halfvec;

-- out of range: what rounds to infinity
SELECT '[65520]'::halfvec;
SELECT '[1,-7e4]'::halfvec;
SELECT '[1e39]'::halfvec;

-- what is not a finite number, what is not a vector
SELECT '[1,NaN]'::halfvec;
SELECT '[Infinity]'::halfvec;
SELECT '1,2'::halfvec;
SELECT '[]'::halfvec;
SELECT '[1,2'::halfvec;
SELECT '[1,a]'::halfvec;
SELECT '[1,2]]'::halfvec;

-- dimensions: 1 to 32768
SELECT '[1]'::halfvec(0);
SELECT '[1]'::halfvec(32769);
SELECT '[1,2]'::halfvec(3);
SELECT vector_dims(('[' || repeat('0,', 32767) || '0]')::halfvec(32768));
SELECT ('[' || repeat('0,', 32768) || '0]')::halfvec;

-- binary form: dimensions, zero, the big-endian bits
SELECT halfvec_send('[1,-2,65504]');

-- what COPY wrote in binary form comes back; 32768 dimensions do not turn negative
CREATE TABLE sent (id int, v halfvec);
INSERT INTO sent VALUES (1, '[1.5,-0,6e-8]'), (2, NULL),
	(3, array_fill(0.5::real, ARRAY[32768])), (4, array_fill(-1::real, ARRAY[600]));
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/halfvec.copy'
\set read '\\copy received FROM ' :'file' ' (FORMAT binary)'
COPY sent TO STDOUT (FORMAT binary) \g :file
CREATE TABLE received (LIKE sent);
:read
SELECT id, vector_dims(s.v), s.v = r.v AS same, halfvec_send(s.v) = halfvec_send(r.v) AS same_bits
	FROM sent s LEFT JOIN received r USING (id) ORDER BY id;

-- NaN and infinity are refused: the halfvec 1.5 with other bits
CREATE TABLE bits (id int, v bytea);
INSERT INTO bits VALUES (1, '\x000100007e00');
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
UPDATE bits SET v = '\x00010000fc00';
COPY bits TO STDOUT (FORMAT binary) \g :file
:read

-- and so are a wrong length, the reserved field, more than 32768 dimensions
UPDATE bits SET v = '\x000200003e00';
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
UPDATE bits SET v = '\x000100013e00';
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
UPDATE bits SET v = '\x80010000'::bytea || decode(repeat('0000', 32769), 'hex');
COPY bits TO STDOUT (FORMAT binary) \g :file
:read
DROP TABLE sent, received, bits;

-- distances
SELECT '[0,0]'::halfvec <-> '[3,4]', l2_distance('[0,0]'::halfvec, '[3,4]'),
	l2_squared_distance('[0,0]'::halfvec, '[3,4]'), halfvec_l2_squared_distance('[0,0]', '[3,4]');
SELECT '[1,2]'::halfvec <#> '[3,4]', inner_product('[1,2]'::halfvec, '[3,4]'),
	negative_inner_product('[1,2]'::halfvec, '[3,4]'), halfvec_negative_inner_product('[1,2]', '[3,4]');
SELECT '[1,2]'::halfvec <=> '[2,4]', cosine_distance('[1,1]'::halfvec, '[-1,-1]'), '[1,0]'::halfvec <=> '[0,2]';
SELECT '[1,2]'::halfvec <+> '[4,-2]', l1_distance('[0,0]'::halfvec, '[3,4]');
SELECT '[0,0]'::halfvec <=> '[1,1]', '[65504]'::halfvec <-> '[-65504]';
SELECT '[1,2]'::halfvec <-> '[1]';
SELECT '[1,2]'::halfvec <#> '[1]';
SELECT '[1,2]'::halfvec <=> '[1]';
SELECT '[1,2]'::halfvec <+> '[1]';

-- all lengths agree with sums over the elements, which are small integers and so exact
WITH pairs AS (
	SELECT n, array_agg((i * 7) % 11 - 5 ORDER BY i)::halfvec AS a,
		array_agg((i * 5) % 13 - 6 ORDER BY i)::halfvec AS b,
		sum((((i * 7) % 11 - 5) - ((i * 5) % 13 - 6)) ^ 2) AS l2_squared,
		sum(((i * 7) % 11 - 5) * ((i * 5) % 13 - 6)) AS ip,
		sum(abs(((i * 7) % 11 - 5) - ((i * 5) % 13 - 6))) AS l1,
		sum(((i * 7) % 11 - 5) ^ 2) AS aa, sum(((i * 5) % 13 - 6) ^ 2) AS bb
	FROM generate_series(1, 130) AS n, generate_series(1, n) AS i GROUP BY n)
SELECT count(*), bool_and(a <-> b = sqrt(l2_squared)) AS l2, bool_and(a <#> b = -ip) AS ip,
	bool_and(abs((a <=> b) - (1 - ip / sqrt(aa * bb))) < 1e-15) AS cosine, bool_and(a <+> b = l1) AS l1
	FROM pairs;

-- norm, parts, binary quantization
SELECT l2_norm('[3,4]'::halfvec), l2_norm('[65504,65504]'::halfvec);
SELECT l2_normalize('[3,4]'::halfvec), l2_normalize('[0,0]'::halfvec), l2_normalize('[65504,6e-8]'::halfvec);
SELECT subvector('[1,2,3,4,5]'::halfvec, 2, 3), subvector('[1,2,3,4,5]'::halfvec, -1, 4);
SELECT subvector('[1,2,3]'::halfvec, 4, 1);
SELECT binary_quantize('[1,0,-1,0.5,-0,6e-8,-2,3,4]'::halfvec);

-- arithmetic; 300 elements pass through more than one piece
SELECT '[1,2,3]'::halfvec + '[4,5,6]', '[1,2,3]'::halfvec - '[4,5,6]', '[1,2,3]'::halfvec * '[4,5,6]',
	'[1,2]'::halfvec || '[3]';
WITH v AS (SELECT array_agg(i ORDER BY i) AS a, array_agg(i % 7 ORDER BY i) AS b, array_agg(i + i % 7 ORDER BY i) AS sum,
	array_agg(i - i % 7 ORDER BY i) AS difference, array_agg(i * (i % 7) ORDER BY i) AS product
	FROM generate_series(1, 300) AS i)
SELECT a::halfvec + b::halfvec = sum::halfvec AS sum, a::halfvec - b::halfvec = difference::halfvec AS difference,
	a::halfvec * b::halfvec = product::halfvec AS product FROM v;
SELECT '[1,2]'::halfvec + '[1]';
SELECT '[1,2]'::halfvec - '[1]';
SELECT '[1,2]'::halfvec * '[1]';
SELECT '[65504]'::halfvec + '[16]';
SELECT '[-65504]'::halfvec - '[16]';
SELECT '[300]'::halfvec * '[300]';
SELECT '[1e-4]'::halfvec * '[1e-4]';
SELECT '[0,1e-4]'::halfvec * '[1e-4,0]';
SELECT v || v FROM (SELECT array_fill(1, ARRAY[16385])::halfvec) AS t(v);

-- comparison: the first element that differs, then the length; zeros are equal
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, halfvec_cmp(a, b)
	FROM (VALUES ('[1,2]'::halfvec, '[1,3]'::halfvec), ('[1,2]', '[1,2]'), ('[2]', '[1,3]'),
		('[1]', '[1,0]'), ('[0]', '[-0]'), ('[-1]', '[-2]'), ('[-1]', '[1]')) AS t(a, b);

-- btree: the counts that the row comparison of the elements gives
CREATE TABLE sorted (a int, b int, v halfvec(2));
INSERT INTO sorted SELECT i % 7 - 3, i % 5 - 2, ARRAY[i % 7 - 3, i % 5 - 2]::halfvec FROM generate_series(1, 1000) AS i;
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
