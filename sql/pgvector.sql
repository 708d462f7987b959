--
-- pgvector and milvus in one database, in either order (needs pgvector; without it
-- the test ends after the first query, and pgvector_1.out is what it gives)
--
SELECT count(*) = 0 AS absent FROM pg_available_extensions WHERE name = 'vector' \gset
\if :absent
\quit
\endif
\set SHOW_CONTEXT never

-- milvus is here: pgvector goes elsewhere
BEGIN;
CREATE SCHEMA pgvector;
CREATE EXTENSION vector SCHEMA pgvector;

-- the two give the same text, bytes and arithmetic, and up to the order of additions the same distances
CREATE TABLE both_types AS
	SELECT i, a.v::vector AS v, a.v::pgvector.vector AS w, a.v::halfvec AS h, a.v::pgvector.halfvec AS k
	FROM generate_series(1, 200) AS i,
		LATERAL (SELECT array_agg(sin(i * j) * 10 ORDER BY j) FROM generate_series(1, i) AS j) AS a(v);
SELECT count(*), bool_and(v::text = w::text) AS text, bool_and(vector_send(v) = pgvector.vector_send(w)) AS bytes,
	bool_and(h::text = k::text) AS half_text, bool_and(halfvec_send(h) = pgvector.halfvec_send(k)) AS half_bytes,
	bool_and(abs(vector_norm(v) / pgvector.vector_norm(w) - 1) < 1e-15) AS norm,
	bool_and(l2_normalize(v)::text = pgvector.l2_normalize(w)::text) AS normalized,
	bool_and(l2_normalize(h)::text = pgvector.l2_normalize(k)::text) AS half_normalized,
	bool_and(binary_quantize(v) = pgvector.binary_quantize(w)) AS bits,
	bool_and((v + v)::text = (w OPERATOR(pgvector.+) w)::text) AS sum,
	bool_and((h * h)::text = (k OPERATOR(pgvector.*) k)::text) AS half_product
	FROM both_types;
WITH pairs AS (
	SELECT ARRAY[a.v <-> b.v, (a.v <#> b.v) / a.l, a.v <=> b.v, a.v <+> b.v, a.h <-> b.h, (a.h <#> b.h) / a.l, a.h <=> b.h, a.h <+> b.h] AS x,
		ARRAY[a.w OPERATOR(pgvector.<->) b.w, (a.w OPERATOR(pgvector.<#>) b.w) / a.l,
			a.w OPERATOR(pgvector.<=>) b.w, a.w OPERATOR(pgvector.<+>) b.w,
			a.k OPERATOR(pgvector.<->) b.k, (a.k OPERATOR(pgvector.<#>) b.k) / a.l,
			a.k OPERATOR(pgvector.<=>) b.k, a.k OPERATOR(pgvector.<+>) b.k] AS y
	FROM (SELECT *, vector_norm(v) ^ 2 AS l FROM both_types) AS a
	JOIN (SELECT i + 1 AS i, subvector(v || v, 1, i + 1) AS v, pgvector.subvector(w OPERATOR(pgvector.||) w, 1, i + 1) AS w,
		subvector(h || h, 1, i + 1) AS h, pgvector.subvector(k OPERATOR(pgvector.||) k, 1, i + 1) AS k FROM both_types) AS b
	USING (i))
SELECT count(*), bool_and(abs(d.x - d.y) <= 1e-6 * greatest(abs(d.x), 1)) AS distances
	FROM pairs, LATERAL unnest(pairs.x, pairs.y) AS d(x, y);
-- sparsevec: the same text, bytes, norms and order, and the same distances, summed in the same order
CREATE TABLE both_sparse AS
	SELECT i, a.v::sparsevec AS s, a.v::pgvector.sparsevec AS t
	FROM generate_series(1, 100) AS i,
		LATERAL (SELECT format('{%s}/1000', string_agg(format('%s:%s', 1 + j * (i % 7 + 1), sin(i * j) * 10), ',' ORDER BY -j))
			FROM generate_series(0, 90) AS j WHERE (i + j) % 3 > 0) AS a(v);
SELECT count(*), bool_and(s::text = t::text) AS text, bool_and(sparsevec_send(s) = pgvector.sparsevec_send(t)) AS bytes,
	bool_and(abs(l2_norm(s) / pgvector.l2_norm(t) - 1) < 1e-15) AS norm,
	bool_and(l2_normalize(s)::text = pgvector.l2_normalize(t)::text) AS normalized,
	bool_and(s::vector::text = t::pgvector.vector::text) AS vector, bool_and(s::halfvec::text = t::pgvector.halfvec::text) AS halfvec,
	bool_and(s::vector::sparsevec::text = t::pgvector.vector::pgvector.sparsevec::text) AS back
	FROM both_sparse;
SELECT count(*), bool_and(sparsevec_cmp(a.s, b.s) = pgvector.sparsevec_cmp(a.t, b.t)) AS cmp, bool_and(abs(d.x - d.y) <= 1e-6 * greatest(abs(d.x), 1)) AS distances
	FROM both_sparse AS a, both_sparse AS b,
		LATERAL unnest(ARRAY[a.s <-> b.s, a.s <#> b.s, a.s <=> b.s, a.s <+> b.s],
			ARRAY[a.t OPERATOR(pgvector.<->) b.t, a.t OPERATOR(pgvector.<#>) b.t, a.t OPERATOR(pgvector.<=>) b.t, a.t OPERATOR(pgvector.<+>) b.t]) AS d(x, y);

-- and the same errors
CREATE FUNCTION error_of(value text, type text) RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE format('SELECT %L::%s', value, type); RETURN 'none'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
SELECT v, error_of(v, 'public.sparsevec') AS error FROM unnest('{"{1:1}/2","{}/2","{2:0}/2","{1:1","{1:1}","1:1/2","{a:1}/2","{1:a}/2","{1:1,1:2}/2",'
	'"{0:1}/2","{3:1}/2","{-1:1}/2","{1:nan}/2","{1:inf}/2","{1:1e39}/2","{}/0","{}/-1","{1:1}/2x","[1,2]"}'::text[]) AS v
	WHERE error_of(v, 'public.sparsevec') = error_of(v, 'pgvector.sparsevec');

-- bit strings: the same distances
SELECT count(*), bool_and(a <~> b = a OPERATOR(pgvector.<~>) b) AS hamming, bool_and(a <%> b = a OPERATOR(pgvector.<%>) b) AS jaccard,
	bool_and(hamming_distance(a, b) = pgvector.hamming_distance(a, b) AND jaccard_distance(a, b) = pgvector.jaccard_distance(a, b)) AS functions
	FROM generate_series(1, 200) AS i,
		LATERAL (SELECT binary_quantize(array_agg(sin(i * j) ORDER BY j)::vector), binary_quantize(array_agg(cos(i * j) ORDER BY j)::vector)
			FROM generate_series(1, i) AS j) AS v(a, b);
ROLLBACK;

-- pgvector is here: milvus says where to go, and goes there
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION milvus CASCADE;
CREATE EXTENSION vector;
SAVEPOINT before;
CREATE EXTENSION milvus;
ROLLBACK TO before;
CREATE SCHEMA elsewhere;
CREATE EXTENSION milvus SCHEMA elsewhere;
SELECT '[1,2]'::elsewhere.vector::text = '[1,2]'::public.vector::text AS same;
ROLLBACK;
