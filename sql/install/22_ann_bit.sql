-- Operator classes of bit strings for the access method ann.

CREATE FUNCTION milvus.ann_support_bit_hamming(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_bit_hamming(internal) IS 'support function of bit_hamming_ops';
CREATE OPERATOR CLASS bit_hamming_ops
	DEFAULT FOR TYPE bit USING ann AS
	OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_bit_hamming(internal);
COMMENT ON OPERATOR CLASS bit_hamming_ops USING ann IS 'nearest neighbours by Hamming distance';

CREATE FUNCTION milvus.ann_support_bit_jaccard(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_bit_jaccard(internal) IS 'support function of bit_jaccard_ops';
CREATE OPERATOR CLASS bit_jaccard_ops
	FOR TYPE bit USING ann AS
	OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_bit_jaccard(internal);
COMMENT ON OPERATOR CLASS bit_jaccard_ops USING ann IS 'nearest neighbours by Jaccard distance';

CREATE FUNCTION milvus.ann_support_bit_mhjaccard(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_bit_mhjaccard(internal) IS 'support function of bit_mhjaccard_ops';
CREATE OPERATOR CLASS bit_mhjaccard_ops
	FOR TYPE bit USING ann AS
	OPERATOR 1 <%%> (bit, bit) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_bit_mhjaccard(internal);
COMMENT ON OPERATOR CLASS bit_mhjaccard_ops USING ann IS 'nearest MinHash signatures, of 32-bit elements';
