-- Scores of lists of vectors: for each vector of the query the best score over the
-- vectors of the document, summed.

CREATE FUNCTION max_sim_ip(query vector[], document vector[]) RETURNS float8
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION max_sim_ip(vector[], vector[]) IS 'sum over query vectors of the largest inner product with a document vector';

CREATE FUNCTION max_sim_cosine(query vector[], document vector[]) RETURNS float8
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION max_sim_cosine(vector[], vector[]) IS 'sum over query vectors of the largest cosine with a document vector';

CREATE FUNCTION max_sim_l2(query vector[], document vector[]) RETURNS float8
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION max_sim_l2(vector[], vector[]) IS 'sum over query vectors of the least squared Euclidean distance to a document vector';

