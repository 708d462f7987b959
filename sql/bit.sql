--
-- Distances of bit strings
--
SELECT B'1010' <~> B'0110' AS hamming, hamming_distance(B'1010', B'1010'), B'1010' <%> B'0110' AS jaccard,
	jaccard_distance(B'1010', B'1010');
-- without a common bit the Jaccard distance is 1, of empty sets too
SELECT B'1100' <%> B'0011', B'0000' <%> B'0000', B'0000' <%> B'1111', B'' <~> B'', B'' <%> B'';
SELECT B'101' <~> B'10';
SELECT B'101' <%> B'10';
SELECT B'101' <%%> B'10';

-- all lengths agree with a count of the bits
CREATE TABLE pairs AS
	SELECT n, a, b FROM generate_series(1, 300) AS n,
		LATERAL (SELECT string_agg(((i * i * 7 + n) % 11 % 2)::text, '' ORDER BY i)::bit varying AS a,
			string_agg(((i * 5 + n * n) % 13 % 2)::text, '' ORDER BY i)::bit varying AS b FROM generate_series(1, n) AS i) AS v;
SELECT count(*), bool_and(a::bit(300) <~> b::bit(300) = length(replace((a # b)::text, '0', ''))) AS fixed,
	bool_and(a <~> b = length(replace((a # b)::text, '0', ''))) AS hamming,
	bool_and(a <%> b = CASE WHEN length(replace((a & b)::text, '0', '')) = 0 THEN 1
		ELSE 1 - length(replace((a & b)::text, '0', ''))::float8 / length(replace((a | b)::text, '0', '')) END) AS jaccard
	FROM pairs;
DROP TABLE pairs;
SELECT repeat('1', 262144)::bit varying <~> repeat('0', 262144)::bit varying AS all, repeat('1', 262144)::bit varying <%> repeat('1', 262144)::bit varying AS same;

-- MinHash signatures: elements of 32 bits, or of the width given
SELECT minhash_distance(x'00000001000000020000000300000004', x'00000001000000020000000900000008') AS half,
	x'00000001000000020000000300000004' <%%> x'00000001000000020000000300000004' AS same,
	x'00000001' <%%> x'00000011' AS none;
SELECT minhash_distance(x'0102030405060708', x'01020304f5060708', 8) AS bytes, minhash_distance(x'0102030405060708', x'01020304f5060708', 16) AS words,
	minhash_distance(x'0102030405060708', x'01020304f5060708', 32) AS double, minhash_distance(x'0102030405060708', x'01020304f5060708', 64) AS quad;
-- the share of equal elements, computed with arrays
SELECT bool_and(a.v <%%> b.v = (SELECT count(*) / 16.0 FROM unnest(a.e, b.e) AS u(x, y) WHERE x <> y)) AS agrees, count(*)
	FROM (SELECT s, array_agg(i * s % 5 ORDER BY i) AS e, string_agg((i * s % 5)::bit(32)::text, '' ORDER BY i)::bit varying AS v
		FROM generate_series(1, 16) AS i, generate_series(1, 20) AS s GROUP BY s) AS a,
	(SELECT s, array_agg(i * s % 7 ORDER BY i) AS e, string_agg((i * s % 7)::bit(32)::text, '' ORDER BY i)::bit varying AS v
		FROM generate_series(1, 16) AS i, generate_series(1, 20) AS s GROUP BY s) AS b;
SELECT minhash_distance(x'01', x'01', 12);
SELECT minhash_distance(x'01', x'01');
SELECT minhash_distance(B'', B'', 8);
SELECT minhash_distance(x'010203', x'010203', 16);

-- from vectors: the Hamming distance of the signs
SELECT binary_quantize('[1,-1,0,2]'::vector) <~> binary_quantize('[1,1,-2,-2]'::vector) AS vector,
	binary_quantize('[1,-1,0,2]'::halfvec) <~> binary_quantize('[1,1,-2,-2]'::bfloat16vec) AS half,
	binary_quantize('[1,-1,0,2]'::int8vec) <~> binary_quantize('{1:1,2:1,3:-2,4:-2}/4'::sparsevec) AS others;

-- the operators sort
SELECT b FROM (VALUES (B'1111'), (B'1110'), (B'0000'), (B'1000')) AS t(b) ORDER BY b <~> B'1100', b;
