--
-- ann on bit strings: every index type and metric against a sort
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it

-- The distances that a query returns by the index and by a sort: their number when they agree.
CREATE FUNCTION by_both_ways(query text) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off SET enable_indexscan = on
AS $$
DECLARE
	line text;
	used boolean := false;
	by_index float8[];
	by_sort float8[];
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		used := used OR line LIKE '%Index Scan using%';
	END LOOP;
	IF NOT used THEN
		RETURN 'the index was not used';
	END IF;
	EXECUTE format('SELECT array_agg(distance) FROM (%s) AS t', query) INTO by_index;
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_sort = on;
	EXECUTE format('SELECT array_agg(distance) FROM (%s) AS t', query) INTO by_sort;
	RETURN CASE WHEN by_index IS NOT DISTINCT FROM by_sort THEN format('%s rows', cardinality(by_sort))
		ELSE format('index: %s; sort: %s', by_index, by_sort) END;
END
$$;

-- 600 bit strings in 30 groups; some are equal, some without bits, some NULL
CREATE TABLE source AS
	SELECT i AS id, CASE WHEN i % 61 = 0 THEN NULL WHEN i % 40 = 0 THEN repeat('0', 96)::bit(96) ELSE b::bit(96) END AS b
	FROM generate_series(1, 600) AS i,
		LATERAL (SELECT string_agg(CASE WHEN sin(i % 30 * (j * j + 0.37)) + 0.7 * cos(i / 2 * (j * 1.7 + 0.11)) > 0.3
			THEN '1' ELSE '0' END, '' ORDER BY j) AS b FROM generate_series(1, 96) AS j) AS a;
CREATE TABLE strings (id int, b bit(96));

CREATE FUNCTION try_kind(type text, metric text, op text, sealed int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	query source;
	answers text[] := '{}';
BEGIN
	TRUNCATE strings;
	INSERT INTO strings SELECT * FROM source WHERE id <= sealed;
	EXECUTE format('CREATE INDEX strings_ann ON strings USING ann (b %I) WITH (index_type = %L, nlist = 10, mh_lsh_band = 1)',
		'bit_' || metric || '_ops', type);
	INSERT INTO strings SELECT * FROM source WHERE id > sealed;
	FOR query IN SELECT * FROM source WHERE id % 60 = 23 OR id = 40 LOOP
		answers := answers || by_both_ways(format('SELECT b %s %L AS distance FROM strings ORDER BY 1 LIMIT 20', op, query.b));
	END LOOP;
	-- all rows, those without a value at the end
	answers := answers || by_both_ways(format('SELECT b %s %L AS distance FROM strings ORDER BY 1', op, query.b));
	answers := answers || ARRAY(SELECT milvus.check_index('strings_ann'));
	-- merged with what was growing, without what was deleted
	DELETE FROM strings WHERE id % 3 = 0;
	PERFORM milvus.compact_index('strings_ann');
	answers := answers || by_both_ways(format('SELECT b %s %L AS distance FROM strings ORDER BY 1 LIMIT 30', op, query.b));
	answers := answers || ARRAY(SELECT milvus.check_index('strings_ann'));
	DROP INDEX strings_ann;
	RETURN (SELECT string_agg(format('%s x %s', n, a), ', ' ORDER BY n DESC, a)
		FROM (SELECT count(*) AS n, a FROM unnest(answers) AS a GROUP BY a) AS g);
END
$$;

-- all candidates and all lists are looked at, so the answers are exact; with one band,
-- equal bit strings come first and then all others in order
SET milvus.ef = 600;
SET milvus.nprobe = 10;
CREATE TABLE kinds AS
	SELECT * FROM unnest(ARRAY['BIN_FLAT', 'BIN_IVF_FLAT', 'HNSW', 'MINHASH_LSH']) WITH ORDINALITY AS t(type, number),
		(VALUES ('hamming', '<~>'), ('jaccard', '<%>'), ('mhjaccard', '<%%>')) AS m(metric, op)
	WHERE metric <> 'mhjaccard' OR type IN ('BIN_FLAT', 'MINHASH_LSH');
SELECT type, metric, try_kind(type, metric, op, 600) AS sealed, try_kind(type, metric, op, 0) AS growing,
	try_kind(type, metric, op, 300) AS both
	FROM kinds ORDER BY number, metric;
RESET milvus.ef;
RESET milvus.nprobe;

-- without the segment cache
SET milvus.cache_size = 0;
SELECT type, metric, try_kind(type, metric, op, 300) AS both FROM kinds WHERE type = 'BIN_FLAT' ORDER BY metric;
RESET milvus.cache_size;

-- a graph and lists at their defaults
TRUNCATE strings;
INSERT INTO strings SELECT * FROM source;
CREATE INDEX strings_hamming ON strings USING ann (b);
SELECT milvus.index_recall('strings_hamming') >= 0.95 AS good;
SELECT index_type, metric, dimension, sealed_rows FROM milvus.index_stats('strings_hamming');
DROP INDEX strings_hamming;
CREATE INDEX strings_jaccard ON strings USING ann (b bit_jaccard_ops) WITH (index_type = 'IVF_FLAT', nlist = 10);
SELECT milvus.index_recall('strings_jaccard') >= 0.9 AS good;
SELECT index_type, rows, null_rows FROM milvus.index_segments('strings_jaccard');
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT FROM strings ORDER BY b <%> repeat('01', 48)::bit(96) LIMIT 5) AS t;
SELECT index_types, segments, nprobe FROM milvus.last_search();
-- a value of another length
SELECT id FROM strings ORDER BY b <%> B'101' LIMIT 5;
RESET enable_seqscan;
-- rows deleted and updated, then vacuumed
DELETE FROM strings WHERE id % 7 = 0;
UPDATE strings SET b = ~b WHERE id % 7 = 1;
VACUUM strings;
SELECT milvus.check_index('strings_jaccard');
SET milvus.nprobe = 10;
SELECT by_both_ways(format('SELECT b <%%> %L AS distance FROM strings ORDER BY 1 LIMIT 50', repeat('0011', 24)));
RESET milvus.nprobe;
DROP INDEX strings_jaccard;

-- the signs of vectors, through an expression; their exact order by a second sort
CREATE TABLE vectors AS
	SELECT i AS id, (SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector(64) AS v FROM generate_series(1, 64) AS j)
	FROM generate_series(1, 400) AS i;
ALTER TABLE vectors ALTER v TYPE vector(64);
CREATE INDEX vectors_signs ON vectors USING ann ((binary_quantize(v)::bit(64)) bit_hamming_ops);
SELECT by_both_ways('SELECT binary_quantize(v)::bit(64) <~> (SELECT binary_quantize(v)::bit(64) FROM vectors WHERE id = 9) AS distance
	FROM vectors ORDER BY 1 LIMIT 10');
SELECT milvus.check_index('vectors_signs');

-- bit strings that no page holds
CREATE TABLE large (id int, b bit(100000));
INSERT INTO large SELECT i, repeat(right((i * 12345 + 100000000)::bit(40)::text, 20), 5000)::bit(100000) FROM generate_series(1, 30) AS i;
CREATE INDEX large_ann ON large USING ann (b bit_jaccard_ops);
INSERT INTO large SELECT i, repeat(right((i * 54321 + 200000000)::bit(40)::text, 20), 5000)::bit(100000) FROM generate_series(1, 30) AS i;
SELECT by_both_ways('SELECT b <%> repeat(''10100'', 20000)::bit(100000) AS distance FROM large ORDER BY 1 LIMIT 40');
SELECT milvus.check_index('large_ann');

-- signatures of 64 elements: five sets each that share 18 of 22 members
CREATE TABLE sets AS
	SELECT i AS id, (SELECT string_agg(least::bit(32)::text, '' ORDER BY e)::bit(2048)
		FROM (SELECT e, min(hashint8extended(member, e) & 2147483647)::int AS least
			FROM generate_series(1, 64) AS e, generate_series(1, 20) AS m,
				LATERAL (SELECT CASE WHEN m <= 18 THEN i / 5 * 100 + m ELSE 1000000 + i * 100 + m END::bigint AS member) AS s
			GROUP BY e) AS elements) AS signature
	FROM generate_series(0, 299) AS i;
ALTER TABLE sets ALTER signature TYPE bit(2048);
CREATE INDEX sets_lsh ON sets USING ann (signature bit_mhjaccard_ops) WITH (mh_lsh_band = 16);
SELECT index_type, metric FROM milvus.index_stats('sets_lsh');
SET enable_seqscan = off;
-- a set and the four like it come first, and little but them was looked at
SELECT array_agg(id ORDER BY id)
	FROM (SELECT id FROM sets ORDER BY signature <%%> (SELECT signature FROM sets WHERE id = 123) LIMIT 5) AS t;
SELECT exact_distances < 20 AS few, exhaustive FROM milvus.last_search();
-- when more are wanted, all others are compared
SELECT array_agg(id ORDER BY id) @> '{120,121,122,123,124}'
	FROM (SELECT id FROM sets ORDER BY signature <%%> (SELECT signature FROM sets WHERE id = 123) LIMIT 100) AS t;
SELECT exact_distances >= 300 AS "all", exhaustive FROM milvus.last_search();
SELECT by_both_ways(format('SELECT signature <%%%%> %L AS distance FROM sets ORDER BY 1 LIMIT 100', signature))
	FROM sets WHERE id = 77;
RESET enable_seqscan;
SELECT milvus.check_index('sets_lsh');

-- options
CREATE INDEX ON strings USING ann (b) WITH (index_type = 'IVF_SQ8');
CREATE INDEX ON strings USING ann (b bit_mhjaccard_ops) WITH (index_type = 'HNSW');
CREATE INDEX ON strings USING ann (b bit_mhjaccard_ops) WITH (mh_element_bit_width = 16);
CREATE INDEX ON strings USING ann (b) WITH (index_type = 'MINHASH_LSH', mh_element_bit_width = 64);
CREATE INDEX ON strings USING ann (b) WITH (index_type = 'MINHASH_LSH', mh_element_bit_width = 20);
CREATE INDEX ON strings USING ann (b) WITH (index_type = 'MINHASH_LSH', mh_lsh_band = 4);
CREATE INDEX ON strings USING ann (b) WITH (index_type = 'MINHASH_LSH', mh_lsh_band = 0);
CREATE INDEX ON strings USING ann (b) WITH (index_type = 'MINHASH_LSH', mh_lsh_band = 12, mh_element_bit_width = 8);
CREATE INDEX ON strings USING ann (b) WITH (compact = true);
CREATE INDEX ON vectors USING ann (v vector_l2_ops) WITH (index_type = 'BIN_FLAT');
CREATE INDEX ON vectors USING ann (v vector_l2_ops) WITH (index_type = 'MINHASH_LSH');
CREATE TABLE unbounded (b bit varying, c bit(300000));
CREATE INDEX ON unbounded USING ann (b);
CREATE INDEX ON unbounded USING ann ((b::bit(262144)));
CREATE INDEX ON unbounded USING ann (c);

DROP TABLE source, strings, kinds, vectors, large, sets, unbounded;
DROP FUNCTION try_kind, by_both_ways;
