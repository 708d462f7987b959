-- Operator classes of ann for bfloat16vec and int8vec.

CREATE FUNCTION milvus.ann_support_bf16_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_bf16_l2(internal) IS 'support function of bfloat16vec_l2_ops';
CREATE OPERATOR CLASS bfloat16vec_l2_ops
	DEFAULT FOR TYPE bfloat16vec USING ann AS
	OPERATOR 1 <-> (bfloat16vec, bfloat16vec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_bf16_l2(internal);
COMMENT ON OPERATOR CLASS bfloat16vec_l2_ops USING ann IS 'nearest neighbours by L2 distance';

CREATE FUNCTION milvus.ann_support_bf16_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_bf16_ip(internal) IS 'support function of bfloat16vec_ip_ops';
CREATE OPERATOR CLASS bfloat16vec_ip_ops
	FOR TYPE bfloat16vec USING ann AS
	OPERATOR 1 <#> (bfloat16vec, bfloat16vec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_bf16_ip(internal);
COMMENT ON OPERATOR CLASS bfloat16vec_ip_ops USING ann IS 'nearest neighbours by negative inner product';

CREATE FUNCTION milvus.ann_support_bf16_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_bf16_cosine(internal) IS 'support function of bfloat16vec_cosine_ops';
CREATE OPERATOR CLASS bfloat16vec_cosine_ops
	FOR TYPE bfloat16vec USING ann AS
	OPERATOR 1 <=> (bfloat16vec, bfloat16vec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_bf16_cosine(internal);
COMMENT ON OPERATOR CLASS bfloat16vec_cosine_ops USING ann IS 'nearest neighbours by cosine distance';

CREATE FUNCTION milvus.ann_support_bf16_l1(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_bf16_l1(internal) IS 'support function of bfloat16vec_l1_ops';
CREATE OPERATOR CLASS bfloat16vec_l1_ops
	FOR TYPE bfloat16vec USING ann AS
	OPERATOR 1 <+> (bfloat16vec, bfloat16vec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_bf16_l1(internal);
COMMENT ON OPERATOR CLASS bfloat16vec_l1_ops USING ann IS 'nearest neighbours by L1 distance';

CREATE FUNCTION milvus.ann_support_i8_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_i8_l2(internal) IS 'support function of int8vec_l2_ops';
CREATE OPERATOR CLASS int8vec_l2_ops
	DEFAULT FOR TYPE int8vec USING ann AS
	OPERATOR 1 <-> (int8vec, int8vec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_i8_l2(internal);
COMMENT ON OPERATOR CLASS int8vec_l2_ops USING ann IS 'nearest neighbours by L2 distance';

CREATE FUNCTION milvus.ann_support_i8_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_i8_ip(internal) IS 'support function of int8vec_ip_ops';
CREATE OPERATOR CLASS int8vec_ip_ops
	FOR TYPE int8vec USING ann AS
	OPERATOR 1 <#> (int8vec, int8vec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_i8_ip(internal);
COMMENT ON OPERATOR CLASS int8vec_ip_ops USING ann IS 'nearest neighbours by negative inner product';

CREATE FUNCTION milvus.ann_support_i8_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_i8_cosine(internal) IS 'support function of int8vec_cosine_ops';
CREATE OPERATOR CLASS int8vec_cosine_ops
	FOR TYPE int8vec USING ann AS
	OPERATOR 1 <=> (int8vec, int8vec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_i8_cosine(internal);
COMMENT ON OPERATOR CLASS int8vec_cosine_ops USING ann IS 'nearest neighbours by cosine distance';

CREATE FUNCTION milvus.ann_support_i8_l1(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_i8_l1(internal) IS 'support function of int8vec_l1_ops';
CREATE OPERATOR CLASS int8vec_l1_ops
	FOR TYPE int8vec USING ann AS
	OPERATOR 1 <+> (int8vec, int8vec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_i8_l1(internal);
COMMENT ON OPERATOR CLASS int8vec_l1_ops USING ann IS 'nearest neighbours by L1 distance';
