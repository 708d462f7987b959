--
-- ann: every instruction set finds the same rows
--
SET jit = off;			-- the cost of plans that are turned off would start it

CREATE TABLE source AS
	SELECT i AS id, a.v, a.v::halfvec AS h
	FROM generate_series(1, 800) AS i,
		LATERAL (SELECT array_agg(sin(i * (j * j + 0.37)) ORDER BY j)::vector AS v FROM generate_series(1, 100) AS j) AS a;
CREATE TABLE queries AS SELECT * FROM source WHERE id % 100 = 50;

-- most of the rows in a segment that the best instruction set wrote, some in the growing part
CREATE TABLE items (id int, v vector(100), h halfvec(100));
INSERT INTO items SELECT * FROM source WHERE id <= 600;
CREATE INDEX items_l2 ON items USING ann (v vector_l2_ops) WITH (m = 8, ef_construction = 60);
CREATE INDEX items_cosine ON items USING ann (v vector_cosine_ops) WITH (index_type = 'IVF_FLAT', nlist = 8);
CREATE INDEX items_l1 ON items USING ann (v vector_l1_ops) WITH (m = 8, ef_construction = 60);
CREATE INDEX items_h_ip ON items USING ann (h halfvec_ip_ops) WITH (index_type = 'FLAT');
CREATE INDEX items_h_l2 ON items USING ann (h halfvec_l2_ops) WITH (index_type = 'IVF_FLAT', nlist = 8);
CREATE INDEX items_h_cosine ON items USING ann (h halfvec_cosine_ops) WITH (m = 8, ef_construction = 60);
INSERT INTO items SELECT * FROM source WHERE id > 600;

SET enable_seqscan = off;
SET milvus.ef = 1000;
SET milvus.nprobe = 8;

-- the ten nearest rows of each query by each operator, with an instruction set; NULL: this CPU has it not
CREATE FUNCTION answers(simd text) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('milvus.simd', simd, true);
	RETURN ARRAY(SELECT concat(q.id, a) FROM queries AS q, LATERAL (
		SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY v <-> q.v LIMIT 10) AS s
		UNION ALL SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY v <=> q.v LIMIT 10) AS s
		UNION ALL SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY v <+> q.v LIMIT 10) AS s
		UNION ALL SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY h <#> q.h LIMIT 10) AS s
		UNION ALL SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY h <-> q.h LIMIT 10) AS s
		UNION ALL SELECT array_agg(id) FROM (SELECT id FROM items ORDER BY h <=> q.h LIMIT 10) AS s) AS n(a) ORDER BY q.id);
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN NULL;
END
$$;
CREATE TABLE results AS
	SELECT simd, answers(simd) FROM unnest(ARRAY['auto', 'portable', 'avx2', 'avx512', 'neon', 'neon_dot']) AS simd;
SELECT cardinality(answers) FROM results WHERE simd = 'portable';
SELECT count(*) >= 2 AS several, bool_and(answers = (SELECT answers FROM results WHERE simd = 'portable')) AS same
	FROM results WHERE answers IS NOT NULL;

-- what the best one wrote checks with the least, and the other way round
SET milvus.simd = portable;
SHOW milvus.simd;
SELECT * FROM milvus.check_index('items_l2');
SELECT * FROM milvus.check_index('items_h_cosine');
REINDEX TABLE items;
SET milvus.simd = auto;
SELECT * FROM milvus.check_index('items_l2');
SELECT * FROM milvus.check_index('items_h_cosine');
SELECT answers('auto') = answers AS same FROM results WHERE simd = 'portable';

DROP FUNCTION answers;
DROP TABLE items, source, queries, results;
