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
