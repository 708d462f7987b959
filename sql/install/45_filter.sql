-- Milvus's filter language: what the SQL of a filter calls, and its SQL shown.

CREATE FUNCTION milvus.explain_filter_schema(schema jsonb, filter text, filter_params jsonb DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'milvus_explain_filter_schema' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION milvus.explain_filter_schema(jsonb, text, jsonb) IS
	'the SQL of a filter over a collection schema in JSON, columns of the alias t; a line for each parameter follows';

CREATE FUNCTION milvus.explain_path_schema(schema jsonb, path text) RETURNS text
	AS 'MODULE_PATHNAME', 'milvus_explain_path_schema' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.explain_path_schema(jsonb, text) IS
	'the SQL of a field, a key of JSON or a sub-field, as filters write it, and its type';

CREATE FUNCTION milvus.filter_json_contains(value jsonb, element jsonb) RETURNS boolean
	AS 'MODULE_PATHNAME', 'milvus_filter_json_contains' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.filter_json_contains(jsonb, jsonb) IS
	'whether a JSON array has an element that equals this array; json_contains of filters calls it';

CREATE FUNCTION milvus.filter_match_query(config regconfig, query text) RETURNS tsquery
	AS 'MODULE_PATHNAME', 'milvus_filter_match_query' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION milvus.filter_match_query(regconfig, text) IS
	'a tsquery that any of a text''s lexemes satisfies; text_match of filters calls it';

CREATE FUNCTION milvus.filter_match_count(document tsvector, config regconfig, query text) RETURNS integer
	AS 'MODULE_PATHNAME', 'milvus_filter_match_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION milvus.filter_match_count(tsvector, regconfig, text) IS
	'how many of a text''s lexemes a document has; text_match with minimum_should_match calls it';

CREATE FUNCTION milvus.filter_phrase_slop(document tsvector, config regconfig, phrase text) RETURNS bigint
	AS 'MODULE_PATHNAME', 'milvus_filter_phrase_slop' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION milvus.filter_phrase_slop(tsvector, regconfig, text) IS
	'how far a document''s words are from a phrase, NULL if one is missing; phrase_match with slop calls it';
