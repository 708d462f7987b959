-- The index access method ann, its operator classes, and the functions of
-- schema milvus that maintain an index and show what is inside.

CREATE SCHEMA milvus;
COMMENT ON SCHEMA milvus IS 'Functions of the extension milvus';
GRANT USAGE ON SCHEMA milvus TO PUBLIC;

CREATE FUNCTION milvus.ann_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION milvus.ann_handler(internal) IS 'index access method handler for ann';

CREATE ACCESS METHOD ann TYPE INDEX HANDLER milvus.ann_handler;
COMMENT ON ACCESS METHOD ann IS 'approximate nearest neighbours of vectors';

CREATE FUNCTION milvus.ann_support_f32_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_f32_l2(internal) IS 'support function of vector_l2_ops';
CREATE OPERATOR CLASS vector_l2_ops
	DEFAULT FOR TYPE vector USING ann AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_f32_l2(internal);
COMMENT ON OPERATOR CLASS vector_l2_ops USING ann IS 'nearest neighbours by L2 distance';

CREATE FUNCTION milvus.ann_support_f32_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_f32_ip(internal) IS 'support function of vector_ip_ops';
CREATE OPERATOR CLASS vector_ip_ops
	FOR TYPE vector USING ann AS
	OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_f32_ip(internal);
COMMENT ON OPERATOR CLASS vector_ip_ops USING ann IS 'nearest neighbours by negative inner product';

CREATE FUNCTION milvus.ann_support_f32_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_f32_cosine(internal) IS 'support function of vector_cosine_ops';
CREATE OPERATOR CLASS vector_cosine_ops
	FOR TYPE vector USING ann AS
	OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_f32_cosine(internal);
COMMENT ON OPERATOR CLASS vector_cosine_ops USING ann IS 'nearest neighbours by cosine distance';

CREATE FUNCTION milvus.ann_support_f32_l1(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_f32_l1(internal) IS 'support function of vector_l1_ops';
CREATE OPERATOR CLASS vector_l1_ops
	FOR TYPE vector USING ann AS
	OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_f32_l1(internal);
COMMENT ON OPERATOR CLASS vector_l1_ops USING ann IS 'nearest neighbours by L1 distance';

CREATE FUNCTION milvus.ann_support_f16_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_f16_l2(internal) IS 'support function of halfvec_l2_ops';
CREATE OPERATOR CLASS halfvec_l2_ops
	DEFAULT FOR TYPE halfvec USING ann AS
	OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_f16_l2(internal);
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING ann IS 'nearest neighbours by L2 distance';

CREATE FUNCTION milvus.ann_support_f16_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_f16_ip(internal) IS 'support function of halfvec_ip_ops';
CREATE OPERATOR CLASS halfvec_ip_ops
	FOR TYPE halfvec USING ann AS
	OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_f16_ip(internal);
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING ann IS 'nearest neighbours by negative inner product';

CREATE FUNCTION milvus.ann_support_f16_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_f16_cosine(internal) IS 'support function of halfvec_cosine_ops';
CREATE OPERATOR CLASS halfvec_cosine_ops
	FOR TYPE halfvec USING ann AS
	OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_f16_cosine(internal);
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING ann IS 'nearest neighbours by cosine distance';

CREATE FUNCTION milvus.ann_support_f16_l1(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.ann_support_f16_l1(internal) IS 'support function of halfvec_l1_ops';
CREATE OPERATOR CLASS halfvec_l1_ops
	FOR TYPE halfvec USING ann AS
	OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
	FUNCTION 1 milvus.ann_support_f16_l1(internal);
COMMENT ON OPERATOR CLASS halfvec_l1_ops USING ann IS 'nearest neighbours by L1 distance';

CREATE FUNCTION milvus.seal_index(index regclass) RETURNS integer
	AS 'MODULE_PATHNAME', 'milvus_seal_index' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.seal_index(regclass) IS
	'make a segment of an index''s growing part, with small segments merged; returns the number of segments written';

CREATE FUNCTION milvus.compact_index(index regclass) RETURNS integer
	AS 'MODULE_PATHNAME', 'milvus_compact_index' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.compact_index(regclass) IS
	'merge the growing part and all segments into as few as segment_rows allows, without dead rows; returns the number of segments written';

CREATE FUNCTION milvus.load_index(index regclass) RETURNS bigint
	AS 'MODULE_PATHNAME', 'milvus_load_index' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.load_index(regclass) IS
	'make the cache files of an index''s segments ahead of the first search; returns their bytes';

CREATE FUNCTION milvus.index_segments(index regclass,
	OUT segment_id uuid, OUT state text, OUT index_type text, OUT rows bigint,
	OUT deleted_rows bigint, OUT zero_rows bigint, OUT null_rows bigint, OUT bytes bigint,
	OUT cached boolean, OUT created timestamptz)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_index_segments' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION milvus.index_segments(regclass) IS
	'segments of an index and its growing part';

CREATE FUNCTION milvus.index_stats(index regclass,
	OUT index_type text, OUT metric text, OUT dimension integer, OUT segments integer,
	OUT sealed_rows bigint, OUT growing_rows bigint, OUT deleted_rows bigint,
	OUT bytes bigint, OUT free_bytes bigint, OUT cache_bytes bigint,
	OUT growing_limit integer, OUT manifest_version bigint)
	RETURNS record
	AS 'MODULE_PATHNAME', 'milvus_index_stats' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.index_stats(regclass) IS 'figures of an index in one row';

CREATE FUNCTION milvus.check_index(index regclass) RETURNS SETOF text
	AS 'MODULE_PATHNAME', 'milvus_check_index' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 1;
COMMENT ON FUNCTION milvus.check_index(regclass) IS
	'problems of an index, no row when there are none: checksums, graphs and lists, and every visible row of the table in exactly one place with its vector';

CREATE FUNCTION milvus.index_recall(index regclass, k integer DEFAULT 10, sample integer DEFAULT 100)
	RETURNS double precision
	AS 'MODULE_PATHNAME', 'milvus_index_recall' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 100000;
COMMENT ON FUNCTION milvus.index_recall(regclass, integer, integer) IS
	'share of the k true nearest neighbours that the index finds at the current settings, for sampled rows as queries';

CREATE FUNCTION milvus.last_search(
	OUT index regclass, OUT index_types text, OUT segments integer, OUT cached_segments integer,
	OUT growing_rows bigint, OUT code_distances bigint, OUT exact_distances bigint,
	OUT hops bigint, OUT skipped_rows bigint, OUT dropped_rows bigint, OUT returned_rows bigint,
	OUT ef integer, OUT nprobe integer, OUT exhaustive boolean,
	OUT filter text, OUT matching_rows bigint, OUT rows_filtered bigint)
	RETURNS record
	AS 'MODULE_PATHNAME', 'milvus_last_search' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION milvus.last_search() IS 'figures of the session''s last finished vector index scan';
