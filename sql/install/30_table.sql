-- The table access method milvus.

CREATE FUNCTION milvus.table_handler(internal) RETURNS table_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION milvus.table_handler(internal) IS 'table access method handler for milvus';

CREATE ACCESS METHOD milvus TYPE TABLE HANDLER milvus.table_handler;
COMMENT ON ACCESS METHOD milvus IS 'rows whose payload moves to compressed columnar segments';
