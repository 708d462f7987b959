--
-- The type sparsevec: text, binary form, dimensions, functions, operators, casts,
-- aggregates, btree
--
SET extra_float_digits = 1;

-- text: positions from 1, in any order; zeros are not kept
SELECT '{1:0.5,7:2}/100'::sparsevec, ' { 7 : 2 , 1 : -3e-2 } / 100 '::sparsevec, '{}/5'::sparsevec, '{2:0,1:1,3:-0,4:1e-46}/4'::sparsevec;
SELECT '{4294967295:1,1:2}/4294967295'::sparsevec, '{0:0}/3'::sparsevec;

-- what is not a sparsevec
SELECT '1:2}/3'::sparsevec;
SELECT '{1:2/3'::sparsevec;
SELECT '{1:2}'::sparsevec;
SELECT '{1:2}/'::sparsevec;
SELECT '{1:2}/3x'::sparsevec;
SELECT '{1:2}/3/4'::sparsevec;
SELECT '{1:2,}/3'::sparsevec;
SELECT '{,1:2}/3'::sparsevec;
SELECT '{a:2}/3'::sparsevec;
SELECT '{1:a}/3'::sparsevec;
SELECT '{1:}/3'::sparsevec;
SELECT '{1 2}/3'::sparsevec;
SELECT '{1:2 2:3}/3'::sparsevec;
SELECT '{1.5:2}/3'::sparsevec;
SELECT ''::sparsevec;

-- positions: from 1 to the dimensions, each once
SELECT '{0:1}/3'::sparsevec;
SELECT '{-1:1}/3'::sparsevec;
SELECT '{4:1}/3'::sparsevec;
SELECT '{1:1,99999999999999999999:1}/3'::sparsevec;
SELECT '{1:1,2:2,1:3}/3'::sparsevec;

-- values: finite and in range
SELECT '{1:NaN}/3'::sparsevec;
SELECT '{1:1,2:-Infinity}/3'::sparsevec;
SELECT '{1:1e39}/3'::sparsevec;

-- dimensions: 1 to 4294967295, as a type modifier to 2147483647
SELECT '{}/0'::sparsevec;
SELECT '{}/-1'::sparsevec;
SELECT '{}/4294967296'::sparsevec;
SELECT '{}/99999999999999999999'::sparsevec;
SELECT '{}/3'::sparsevec(0);
SELECT '{}/3'::sparsevec(4294967295);
SELECT '{}/3'::sparsevec(4);
SELECT '{2147483647:1}/2147483647'::sparsevec(2147483647), vector_dims('{}/4294967295'::sparsevec);

-- elements: a million
SELECT vector_dims(v), l2_norm(v), length(v::text) FROM (SELECT ('{' || string_agg(i || ':1', ',' ORDER BY -i) || '}/2000000')::sparsevec AS v
	FROM generate_series(1, 1000000) AS i) AS t;
SELECT ('{' || string_agg(i || ':1', ',') || '}/2000000')::sparsevec FROM generate_series(1, 1000001) AS i;

-- binary form: dimensions, number of elements, zero, positions from 0, values
SELECT sparsevec_send('{1:1,7:-2}/100');
SELECT sparsevec_send('{4294967295:1}/4294967295');

-- what COPY wrote in binary form comes back
CREATE TABLE sent (id int, v sparsevec);
INSERT INTO sent VALUES (1, '{1:0.1,7:2}/100'), (2, NULL), (3, '{}/4294967295'), (4, '{4294967295:1e-45,2147483648:1}/4294967295');
INSERT INTO sent SELECT 5, ('{' || string_agg(i * 3 || ':' || i * 0.1, ',') || '}/30000')::sparsevec FROM generate_series(1, 10000) AS i;
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/sparsevec.copy'
\set read '\\copy received FROM ' :'file' ' (FORMAT binary)'
COPY sent TO STDOUT (FORMAT binary) \g :file
CREATE TABLE received (LIKE sent);
:read
SELECT id, vector_dims(s.v), s.v = r.v AS same, sparsevec_send(s.v) = sparsevec_send(r.v) AS same_bits
	FROM sent s LEFT JOIN received r USING (id) ORDER BY id;

-- refused: dimensions, elements, the reserved field, positions, values, a wrong length
CREATE TABLE bits (id int, what text, v bytea);
INSERT INTO bits VALUES
	(1, 'no dimensions', '\x000000000000000000000000'),
	(2, 'more elements than dimensions', '\x0000000100000002000000000000000000000001' || '\x3f8000003f800000'::bytea),
	(3, 'too many elements', '\xffffffff7fffffff00000000'),
	(4, 'reserved', '\x000000030000000000000001'),
	(5, 'out of bounds', '\x000000030000000100000000000000033f800000'),
	(6, 'order', '\x00000003000000020000000000000001000000003f8000003f800000'),
	(7, 'twice', '\x00000003000000020000000000000001000000013f8000003f800000'),
	(8, 'zero', '\x0000000300000001000000000000000180000000'),
	(9, 'NaN', '\x000000030000000100000000000000017fc00000'),
	(10, 'infinite', '\x000000030000000100000000000000017f800000'),
	(11, 'short', '\x00000003000000020000000000000001'),
	(12, 'long', '\x000000030000000000000000ff');
\set n 1
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 2
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 3
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 4
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 5
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 6
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 7
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 8
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 9
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 10
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 11
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
\set n 12
COPY (SELECT 1, v FROM bits WHERE id = :n) TO STDOUT (FORMAT binary) \g :file
:read
DROP TABLE sent, received, bits;

-- distances
SELECT '{}/2'::sparsevec <-> '{1:3,2:4}/2', l2_distance('{1:1}/9'::sparsevec, '{9:1}/9'), l2_squared_distance('{1:3}/2'::sparsevec, '{2:4}/2'),
	sparsevec_l2_squared_distance('{1:3}/2', '{2:4}/2');
SELECT '{1:1,2:2}/2'::sparsevec <#> '{1:3,2:4}/2', inner_product('{1:1,5:2}/5'::sparsevec, '{1:3,4:4}/5'),
	negative_inner_product('{5:2}/5'::sparsevec, '{5:4}/5'), sparsevec_negative_inner_product('{5:2}/5', '{5:4}/5');
SELECT '{1:1,2:2}/2'::sparsevec <=> '{1:2,2:4}/2', cosine_distance('{1:1}/2'::sparsevec, '{1:-1}/2'), '{1:1}/2'::sparsevec <=> '{2:2}/2';
SELECT '{1:1,2:2}/2'::sparsevec <+> '{1:4,2:-2}/2', l1_distance('{1:3}/9'::sparsevec, '{9:4}/9');
SELECT '{}/2'::sparsevec <=> '{1:1}/2', '{1:3e38}/2'::sparsevec <-> '{1:-3e38}/2';
SELECT '{1:1}/2'::sparsevec <-> '{1:1}/3';
SELECT '{1:1}/2'::sparsevec <#> '{1:1}/3';
SELECT '{1:1}/2'::sparsevec <=> '{1:1}/4294967295';
SELECT '{1:1}/2'::sparsevec <+> '{1:1}/3';

-- the same as of the vectors with their zeros: distances, norm, parts, arithmetic, order
CREATE TABLE both_forms AS
	SELECT k, v, v::sparsevec AS s, v::sparsevec::vector = v AS back
	FROM generate_series(1, 60) AS k,
		LATERAL (SELECT array_agg(CASE WHEN (i * i + k * 7) % 11 < 4 THEN (i * k) % 7 - 3 ELSE 0 END ORDER BY i)::vector AS v
			FROM generate_series(1, 50) AS i) AS t;
SELECT count(*), bool_and(back) AS back, bool_and(vector_dims(s) = 50) AS dims, bool_and(l2_norm(s) = l2_norm(v)) AS norm,
	bool_and(l2_normalize(s)::vector = l2_normalize(v)) AS normalized,
	bool_and(binary_quantize(s) = binary_quantize(v)) AS bits, bool_and(subvector(s, k, 9)::vector = subvector(v, k, 9)) AS part
	FROM both_forms WHERE k <= 50;
SELECT count(*), bool_and(a.s <-> b.s = a.v <-> b.v) AS l2, bool_and(a.s <#> b.s = a.v <#> b.v) AS ip,
	bool_and(a.s <+> b.s = a.v <+> b.v) AS l1, bool_and(abs((a.s <=> b.s) - (a.v <=> b.v)) < 1e-15) AS cosine,
	bool_and((a.s + b.s)::vector = a.v + b.v) AS sum, bool_and((a.s - b.s)::vector = a.v - b.v) AS difference,
	bool_and((a.s * b.s)::vector = a.v * b.v) AS product, bool_and((a.s || b.s)::vector = a.v || b.v) AS joined,
	bool_and(sparsevec_cmp(a.s, b.s) = vector_cmp(a.v, b.v)) AS cmp,
	bool_and(sparsevec_cmp(a.s, subvector(b.s, 1, b.k)) = vector_cmp(a.v, subvector(b.v, 1, b.k))) AS cmp_shorter
	FROM both_forms AS a, both_forms AS b WHERE b.k <= 50;
SELECT count(*), bool_and((s + s - s = s) AND (s - s = '{}/50')) AS arithmetic FROM both_forms;
SELECT avg(s)::vector = avg(v) AS avg, sum(s)::vector = sum(v) AS sum FROM both_forms;
DROP TABLE both_forms;

-- parts at the ends of the range
SELECT subvector('{1:1,2:2,3:3,4294967295:4}/4294967295'::sparsevec, 2, 9223372036854775807), subvector('{1:1,2:2,3:3}/3'::sparsevec, -1, 4),
	subvector('{1:1,4294967295:4}/4294967295'::sparsevec, 4294967295, 1);
SELECT subvector('{1:1}/3'::sparsevec, 4, 1);
SELECT subvector('{1:1}/3'::sparsevec, -9223372036854775808, 0);
SELECT subvector('{1:1}/3'::sparsevec, 9223372036854775807, 9223372036854775807);
SELECT '{}/4294967295'::sparsevec || '{}/1';
SELECT binary_quantize('{}/4294967295'::sparsevec);
SELECT l2_normalize('{1:3,2:4}/2'::sparsevec), l2_normalize('{}/2'::sparsevec), l2_normalize('{1:3e38,2:1e-20}/3'::sparsevec);

-- arithmetic out of range
SELECT '{1:3e38}/2'::sparsevec + '{1:3e38}/2';
SELECT '{1:-3e38}/2'::sparsevec - '{1:3e38}/2';
SELECT '{1:1e20}/2'::sparsevec * '{1:1e20}/2';
SELECT '{1:1e-30}/2'::sparsevec * '{1:1e-30}/2';
SELECT '{1:1}/2'::sparsevec + '{1:1}/3';

-- comparison
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt, sparsevec_cmp(a, b)
	FROM (VALUES ('{1:1,2:2}/2'::sparsevec, '{1:1,2:3}/2'::sparsevec), ('{1:1}/2', '{1:1}/2'), ('{}/1', '{}/2'),
		('{2:-1}/2', '{}/2'), ('{}/1', '{2:-1}/2'), ('{}/2', '{2:-1}/2'), ('{1:1}/3', '{2:1}/3')) AS t(a, b);
CREATE TABLE sorted (a int, b int, v sparsevec(2));
INSERT INTO sorted SELECT i % 7 - 3, i % 5 - 2, ARRAY[i % 7 - 3, i % 5 - 2]::sparsevec FROM generate_series(1, 1000) AS i;
CREATE INDEX ON sorted (v);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM sorted WHERE v < '{1:-1,2:1}/2';
SELECT count(*), (SELECT count(*) FROM sorted WHERE (a, b) < (-1, 1)) AS expected FROM sorted WHERE v < '{1:-1,2:1}/2';
RESET enable_seqscan;
RESET enable_bitmapscan;
SELECT count(DISTINCT v), count(DISTINCT (a, b)) AS expected FROM sorted;
DROP TABLE sorted;

-- casts
SELECT ARRAY[1,0,2]::sparsevec, ARRAY[0,1.5,-0.0]::real[]::sparsevec, ARRAY[0,0.1]::float8[]::sparsevec, ARRAY[0,0.1]::numeric[]::sparsevec;
SELECT '[0,1.5,0]'::vector::sparsevec, '[0,1.5,0]'::halfvec::sparsevec, '[0,1.5,0]'::bfloat16vec::sparsevec, '[0,-2,0]'::int8vec::sparsevec;
SELECT '{2:1.5}/3'::sparsevec::vector, '{2:0.1}/3'::sparsevec::halfvec, '{2:0.1}/3'::sparsevec::bfloat16vec, '{2:1.5}/3'::sparsevec::int8vec, '{2:1.5}/3'::sparsevec::real[];
SELECT '{}/32769'::sparsevec::vector;
SELECT '{}/4294967295'::sparsevec::halfvec;
SELECT '{}/4294967295'::sparsevec::real[];
SELECT '{1:65520}/2'::sparsevec::halfvec;
SELECT '{1:128}/2'::sparsevec::int8vec;
SELECT '{NaN}'::real[]::sparsevec;
SELECT '{1,Infinity}'::float8[]::sparsevec;
SELECT '{1,NULL}'::real[]::sparsevec;
SELECT '{{1}}'::real[]::sparsevec;
SELECT '{}'::real[]::sparsevec;
SELECT '[1,2]'::vector::sparsevec(3);
SELECT '{}/2'::sparsevec::vector(3);
SELECT '{}/2'::sparsevec::sparsevec(3);
SELECT array_length(array_fill(0, ARRAY[40000])::sparsevec::real[], 1), pg_typeof('[1]'::vector + '{1:1}/1'::sparsevec), '[1,2]'::halfvec <-> '{1:1}/2'::sparsevec;

-- aggregates
SELECT avg(v), sum(v) FROM (VALUES ('{1:1,3:3}/3'::sparsevec), ('{1:-1,2:2}/3'), (NULL)) AS t(v);
SELECT avg(v), sum(v) FROM (VALUES (NULL::sparsevec)) AS t(v);
SELECT avg(v) FROM (VALUES ('{1:3e38}/1'::sparsevec), ('{1:3e38}/1')) AS t(v);
SELECT sum(v) FROM (VALUES ('{1:3e38}/1'::sparsevec), ('{1:3e38}/1')) AS t(v);
SELECT sum(v) FROM (VALUES ('{}/1'::sparsevec), ('{}/2')) AS t(v);
CREATE TABLE rows (i int, v sparsevec(1000));
INSERT INTO rows SELECT i, format('{%s:%s,1000:1}/1000', i % 900 + 1, i % 10)::sparsevec FROM generate_series(1, 10000) AS i;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE rows SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM rows;
SELECT sum(v)::real[] = (SELECT array_agg(s ORDER BY j) FROM (SELECT j, CASE WHEN j = 1000 THEN 10000
		ELSE coalesce((SELECT sum(i % 10) FROM rows WHERE i % 900 + 1 = j), 0) END::real AS s FROM generate_series(1, 1000) AS j) AS t) AS sum,
	subvector(avg(v), 1000, 1) AS avg FROM rows;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
DROP TABLE rows;

-- running sums in a window: each row sees the rows up to it
SELECT count(*), bool_and(sum = ARRAY[s, t, c]::real[]::sparsevec) AS running
	FROM (SELECT sum(ARRAY[i % 3, i % 5, 1]::sparsevec) OVER w AS sum, sum(i % 3) OVER w AS s, sum(i % 5) OVER w AS t, count(*) OVER w AS c
		FROM generate_series(1, 200) AS i WINDOW w AS (ORDER BY i)) AS t(sum, s, t, c);

-- the functions behind them leave their arguments alone and check the state
SELECT a, sparsevec_accum(a, '{1:1,3:2}/3'), a FROM (VALUES ('{1,3,0,5,1,6}'::float8[])) AS t(a);
SELECT sparsevec_combine('{1,3,0,5}', '{2,3,1,6}'), sparsevec_combine('{0,0}', '{2,3,1,6}'), sparsevec_combine('{2,3,1,6}', '{0,0}');
SELECT sparsevec_avg('{2,3,1,6}'), sparsevec_sum('{2,3,1,6}'), sparsevec_avg('{0,0}'), sparsevec_sum('{2,3,1,0}');
SELECT sparsevec_avg('{}');
SELECT sparsevec_avg('{1,3,1}');
SELECT sparsevec_avg('{1,3,3,1}');
SELECT sparsevec_avg('{1,3,-1,1}');
SELECT sparsevec_avg('{1,3,0.5,1}');
SELECT sparsevec_avg('{1,3,2,1,1,1}');
SELECT sparsevec_avg('{1,3,NaN,1}');
SELECT sparsevec_avg('{NaN,3,1,1}');
SELECT sparsevec_avg('{1,NaN}');
SELECT sparsevec_avg('{1,0}');
SELECT sparsevec_avg('{1,5e9}');
SELECT sparsevec_avg('{1,NULL}');
SELECT sparsevec_sum('{1,3,1,NaN}');
SELECT sparsevec_sum('{1,3,1,1e300}');
SELECT sparsevec_combine('{1,3}', '{1,4}');
SELECT sparsevec_combine('{1,3,0,1.7e308}', '{1,3,0,1.7e308}');
