--
-- Casts among vector, halfvec and arrays
--
SET extra_float_digits = 1;

-- from arrays
SELECT ARRAY[1,2,3]::vector, ARRAY[1.5,2.5]::real[]::vector, ARRAY[1.5,0.1]::float8[]::vector,
	ARRAY[1.5,0.1]::numeric[]::vector;
SELECT ARRAY[1,2,3]::halfvec, ARRAY[1.5,2.5]::real[]::halfvec, ARRAY[1.5,0.1]::float8[]::halfvec,
	ARRAY[1.5,0.1]::numeric[]::halfvec;
SELECT '[5:6]={1,2}'::int[]::vector, ARRAY[16777217]::vector, ARRAY[2049]::halfvec;

-- an array must be one-dimensional, not empty, without nulls, of the right length
SELECT '{}'::real[]::vector;
SELECT '{{1,2},{3,4}}'::int[]::vector;
SELECT '{1,NULL}'::float8[]::vector;
SELECT '{1,2}'::numeric[]::vector(3);
SELECT '{}'::int[]::halfvec;
SELECT '{{1}}'::real[]::halfvec;
SELECT '{NULL}'::numeric[]::halfvec;
SELECT '{1,2}'::float8[]::halfvec(1);
SELECT array_fill(0, ARRAY[32769])::vector;
SELECT array_fill(0, ARRAY[32769])::halfvec;

-- its elements must be finite and in range
SELECT '{1,NaN}'::real[]::vector;
SELECT '{Infinity}'::float8[]::vector;
SELECT '{1e300}'::float8[]::vector;
SELECT '{1e39}'::numeric[]::vector;
SELECT '{1,NaN}'::numeric[]::halfvec;
SELECT '{-Infinity}'::real[]::halfvec;
SELECT '{1,65520}'::int[]::halfvec;
SELECT '{65519.99}'::float8[]::halfvec;

-- to arrays, as the scalar casts from real
SELECT '[1,2.5,-0.1]'::vector::real[], '[1,2.5,-0.1]'::vector::float8[], '[1.5,2.5,-0.1]'::vector::int[],
	'[1,2.5,1234567.8]'::vector::numeric[];
SELECT '[1,2.5,-0.1]'::halfvec::real[], '[1,2.5,-0.1]'::halfvec::float8[], '[1.5,2.5,-0.1]'::halfvec::int[],
	'[1,2.5,-0.1]'::halfvec::numeric[];
SELECT '[1,3e9]'::vector::int[];

-- between the types
SELECT '[1,0.1,65519]'::vector::halfvec, '[1,0.1,65504]'::halfvec::vector;
SELECT '[1,65520]'::vector::halfvec;
SELECT '[1,2]'::vector::halfvec(3);
SELECT '[1,2]'::halfvec::vector(3);
SELECT '[1,2]'::halfvec(2)::halfvec, '[1,2]'::halfvec::halfvec(2);
SELECT '[1,2]'::halfvec::halfvec(3);

-- every float16 there is: its value is right, and text and float32 lead back to it
SELECT count(*), bool_and((h::float8[])[1] = x) AS value,
	bool_and(halfvec_send(h) = halfvec_send(h::text::halfvec)) AS text,
	bool_and(halfvec_send(h) = halfvec_send(h::vector::halfvec)) AS float32
	FROM (SELECT x, ARRAY[x]::halfvec AS h
		FROM generate_series(0, 30) AS e, generate_series(0, 1023) AS m, (VALUES (1), (-1)) AS v(s),
		LATERAL (SELECT s * CASE WHEN e = 0 THEN m * 2::float8 ^ -24 ELSE (1024 + m) * 2::float8 ^ (e - 25) END) AS f(x)) AS t;

-- vector becomes halfvec or real[] by itself, halfvec and arrays become others when assigned
SELECT pg_typeof('[1]'::vector + '[1]'::halfvec);
CREATE FUNCTION first(real[]) RETURNS real LANGUAGE sql IMMUTABLE AS 'SELECT $1[1]';
SELECT first('[7,8]'::vector);
SELECT first('[7,8]'::halfvec);
DROP FUNCTION first;
CREATE TABLE assigned (v vector(2), h halfvec(2), a float8[], n numeric[]);
INSERT INTO assigned SELECT '[1,2]'::halfvec, '[3,4]'::vector, '[5,6]'::vector, '[7,8]'::halfvec;
INSERT INTO assigned VALUES (ARRAY[1,2], ARRAY[1.5,2.5], NULL, NULL);
TABLE assigned;
INSERT INTO assigned (v) VALUES ('[1,2,3]'::halfvec);
INSERT INTO assigned (h) VALUES (ARRAY[1]);
SELECT '[1,2]'::vector <-> ARRAY[1,2];
DROP TABLE assigned;
