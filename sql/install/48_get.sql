-- Milvus's API: get, a query by keys.

CREATE FUNCTION milvus.get(collection_name text, ids jsonb, output_fields text[] DEFAULT NULL, partition_names text[] DEFAULT NULL,
		db_name text DEFAULT NULL) RETURNS SETOF jsonb
	LANGUAGE sql STABLE PARALLEL UNSAFE COST 1000 ROWS 10 AS $$
	SELECT e FROM milvus.query(collection_name => $1, ids => COALESCE($2, '[]'::pg_catalog.jsonb), output_fields => $3,
		partition_names => $4, db_name => $5) AS e $$;
COMMENT ON FUNCTION milvus.get(text, jsonb, text[], text[], text) IS
	'the entities of these keys, in the order of keys: all fields, or those named and the key';
