-- Milvus's API: insert, upsert, delete.

CREATE FUNCTION milvus.insert(collection_name text, data jsonb, partition_name text DEFAULT NULL, db_name text DEFAULT NULL,
		OUT insert_count bigint, OUT ids jsonb, OUT "timestamp" bigint)
	RETURNS record
	AS 'MODULE_PATHNAME', 'milvus_insert' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION milvus.insert(text, jsonb, text, text) IS
	'inserts rows, one object or an array of them; how many, and their keys';

CREATE FUNCTION milvus.insert_columns(collection_name text, field_names text[], partition_name text, db_name text,
		VARIADIC data "any", OUT insert_count bigint, OUT ids jsonb, OUT "timestamp" bigint)
	RETURNS record
	AS 'MODULE_PATHNAME', 'milvus_insert_columns' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION milvus.insert_columns(text, text[], text, text, "any") IS
	'inserts rows given as an array of values for each field; how many, and their keys';

CREATE FUNCTION milvus.upsert(collection_name text, data jsonb, partition_name text DEFAULT NULL,
		partial_update boolean DEFAULT false, field_ops jsonb DEFAULT NULL, db_name text DEFAULT NULL,
		OUT upsert_count bigint, OUT ids jsonb, OUT "timestamp" bigint)
	RETURNS record
	AS 'MODULE_PATHNAME', 'milvus_upsert' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION milvus.upsert(text, jsonb, text, boolean, jsonb, text) IS
	'inserts rows, or replaces those of the same keys, whole or only the fields given; how many, and their keys';

CREATE FUNCTION milvus.delete(collection_name text, ids jsonb DEFAULT NULL, filter text DEFAULT NULL,
		filter_params jsonb DEFAULT NULL, partition_name text DEFAULT NULL, db_name text DEFAULT NULL,
		OUT delete_count bigint, OUT "timestamp" bigint)
	RETURNS record
	AS 'MODULE_PATHNAME', 'milvus_delete' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION milvus.delete(text, jsonb, text, jsonb, text, text) IS
	'deletes the rows of these keys, or those that match a filter; how many';

CREATE FUNCTION milvus.array_extend(elements anyarray, more anyarray, max_capacity integer DEFAULT 0) RETURNS anyarray
	AS 'MODULE_PATHNAME', 'milvus_array_extend' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION milvus.array_extend(anyarray, anyarray, integer) IS
	'elements of both arrays, no more than that (0: any number); ARRAY_APPEND of upsert calls it';

CREATE FUNCTION milvus.array_without(elements anyarray, others anyarray) RETURNS anyarray
	AS 'MODULE_PATHNAME', 'milvus_array_without' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION milvus.array_without(anyarray, anyarray) IS
	'an array''s elements that another does not have; ARRAY_REMOVE of upsert calls it';
