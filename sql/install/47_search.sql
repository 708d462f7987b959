-- Milvus's API: searches and queries.  docs/api.md has the table of them.

CREATE FUNCTION milvus.search(collection_name text, data text DEFAULT NULL, filter text DEFAULT '', "limit" integer DEFAULT 10,
		output_fields text[] DEFAULT NULL, search_params jsonb DEFAULT NULL, anns_field text DEFAULT NULL,
		partition_names text[] DEFAULT NULL, filter_params jsonb DEFAULT NULL, "offset" integer DEFAULT 0,
		round_decimal integer DEFAULT -1, group_by_field text DEFAULT NULL, group_size integer DEFAULT 1,
		strict_group_size boolean DEFAULT false, order_by_fields text[] DEFAULT NULL, ids jsonb DEFAULT NULL,
		consistency_level text DEFAULT NULL, guarantee_timestamp bigint DEFAULT NULL, ranker jsonb DEFAULT NULL,
		timezone text DEFAULT NULL, db_name text DEFAULT NULL,
		OUT query_no integer, OUT id text, OUT distance real, OUT entity jsonb)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION milvus.search(text, text, text, integer, text[], jsonb, text, text[], jsonb, integer, integer, text, integer,
		boolean, text[], jsonb, text, bigint, jsonb, text, text) IS
	'the entities nearest to each vector of data: number of the vector from 0, key, distance or score, output fields';

CREATE FUNCTION milvus.search_rows(collection_name text, data text DEFAULT NULL, filter text DEFAULT '', "limit" integer DEFAULT 10,
		output_fields text[] DEFAULT NULL, search_params jsonb DEFAULT NULL, anns_field text DEFAULT NULL,
		partition_names text[] DEFAULT NULL, filter_params jsonb DEFAULT NULL, "offset" integer DEFAULT 0,
		round_decimal integer DEFAULT -1, group_by_field text DEFAULT NULL, group_size integer DEFAULT 1,
		strict_group_size boolean DEFAULT false, order_by_fields text[] DEFAULT NULL, ids jsonb DEFAULT NULL,
		consistency_level text DEFAULT NULL, guarantee_timestamp bigint DEFAULT NULL, ranker jsonb DEFAULT NULL,
		timezone text DEFAULT NULL, db_name text DEFAULT NULL)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_search_rows' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION milvus.search_rows(text, text, text, integer, text[], jsonb, text, text[], jsonb, integer, integer, text, integer,
		boolean, text[], jsonb, text, bigint, jsonb, text, text) IS
	'as search, with a column for each output field: AS t(query_no integer, id bigint, distance real, ...)';

CREATE FUNCTION milvus.query(collection_name text, filter text DEFAULT '', output_fields text[] DEFAULT NULL,
		filter_params jsonb DEFAULT NULL, ids jsonb DEFAULT NULL, partition_names text[] DEFAULT NULL, "limit" integer DEFAULT NULL,
		"offset" integer DEFAULT 0, order_by_fields text[] DEFAULT NULL, group_by_fields text[] DEFAULT NULL,
		consistency_level text DEFAULT NULL, guarantee_timestamp bigint DEFAULT NULL, timezone text DEFAULT NULL, db_name text DEFAULT NULL)
	RETURNS SETOF jsonb
	AS 'MODULE_PATHNAME', 'milvus_query' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000 ROWS 100;
COMMENT ON FUNCTION milvus.query(text, text, text[], jsonb, jsonb, text[], integer, integer, text[], text[], text, bigint, text, text) IS
	'the entities that a filter, or keys, find, in the order of keys; or count(*), sum, avg, min, max of them, also by groups';

CREATE FUNCTION milvus.explain_filter(collection_name text, filter text, filter_params jsonb DEFAULT NULL, db_name text DEFAULT NULL)
	RETURNS text
	AS 'MODULE_PATHNAME', 'milvus_explain_filter' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.explain_filter(text, text, jsonb, text) IS
	'the SQL of a filter over a collection, its table called t; a line for each parameter follows';

CREATE FUNCTION milvus.hybrid_search(collection_name text, reqs jsonb, ranker jsonb DEFAULT NULL, "limit" integer DEFAULT 10,
		output_fields text[] DEFAULT NULL, partition_names text[] DEFAULT NULL, "offset" integer DEFAULT 0,
		round_decimal integer DEFAULT -1, group_by_field text DEFAULT NULL, group_size integer DEFAULT 1,
		strict_group_size boolean DEFAULT false, consistency_level text DEFAULT NULL, guarantee_timestamp bigint DEFAULT NULL,
		timezone text DEFAULT NULL, db_name text DEFAULT NULL,
		OUT query_no integer, OUT id text, OUT distance real, OUT entity jsonb)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_hybrid_search' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000 ROWS 10;
COMMENT ON FUNCTION milvus.hybrid_search(text, jsonb, jsonb, integer, text[], text[], integer, integer, text, integer, boolean, text,
		bigint, text, text) IS
	'several searches whose hits a ranker makes into one list';

CREATE FUNCTION milvus.search_iterator(collection_name text, data text, batch_size integer DEFAULT 1000, filter text DEFAULT '',
		"limit" integer DEFAULT -1, output_fields text[] DEFAULT NULL, search_params jsonb DEFAULT NULL, anns_field text DEFAULT NULL,
		partition_names text[] DEFAULT NULL, filter_params jsonb DEFAULT NULL, round_decimal integer DEFAULT -1,
		token text DEFAULT NULL, db_name text DEFAULT NULL,
		OUT id text, OUT distance real, OUT entity jsonb, OUT token text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_search_iterator' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000 ROWS 1000;
COMMENT ON FUNCTION milvus.search_iterator(text, text, integer, text, integer, text[], jsonb, text, text[], jsonb, integer, text, text) IS
	'a page of the entities in the order of distance; the last row''s token is that of the next page';

CREATE FUNCTION milvus.query_iterator(collection_name text, batch_size integer DEFAULT 1000, "limit" integer DEFAULT -1,
		filter text DEFAULT '', output_fields text[] DEFAULT NULL, partition_names text[] DEFAULT NULL,
		filter_params jsonb DEFAULT NULL, token text DEFAULT NULL, db_name text DEFAULT NULL,
		OUT entity jsonb, OUT token text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_query_iterator' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000 ROWS 1000;
COMMENT ON FUNCTION milvus.query_iterator(text, integer, integer, text, text[], text[], jsonb, text, text) IS
	'a page of the entities in the order of keys; the last row''s token is that of the next page';
