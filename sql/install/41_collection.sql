-- Milvus's API: collections, databases, aliases, partitions, indexes, load state.
-- docs/api.md has the table of them.

-- ---- what constraints of collections' tables call ----

CREATE FUNCTION milvus.array_fits(elements anyarray, max_bytes integer) RETURNS boolean
	AS 'MODULE_PATHNAME', 'milvus_array_fits' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.array_fits(anyarray, integer) IS
	'no element is null, and no text has more bytes than that (0: any number)';

CREATE FUNCTION milvus.json_fits(value jsonb, max_bytes integer) RETURNS boolean
	AS 'MODULE_PATHNAME', 'milvus_json_fits' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION milvus.json_fits(jsonb, integer) IS 'the value has no more bytes than that, as text';

-- ---- collections ----

CREATE FUNCTION milvus.create_collection(collection_name text, dimension integer DEFAULT NULL,
		primary_field_name text DEFAULT 'id', id_type text DEFAULT 'int', vector_field_name text DEFAULT 'vector',
		metric_type text DEFAULT 'COSINE', auto_id boolean DEFAULT NULL, schema jsonb DEFAULT NULL,
		index_params jsonb DEFAULT NULL, description text DEFAULT NULL, enable_dynamic_field boolean DEFAULT NULL,
		max_length integer DEFAULT NULL, num_shards integer DEFAULT 1, num_partitions integer DEFAULT NULL,
		partition_key_field text DEFAULT NULL, clustering_key_field text DEFAULT NULL,
		consistency_level text DEFAULT NULL, properties jsonb DEFAULT NULL, db_name text DEFAULT NULL)
	RETURNS regclass
	AS 'MODULE_PATHNAME', 'milvus_create_collection' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.create_collection(text, integer, text, text, text, text, boolean, jsonb, jsonb, text, boolean,
		integer, integer, integer, text, text, text, jsonb, text) IS
	'makes a collection: of a key and a vector of a dimension, indexed and loaded, or by a schema; its table';

CREATE FUNCTION milvus.attach_collection(relation regclass, description text DEFAULT NULL, properties jsonb DEFAULT NULL)
	RETURNS regclass
	AS 'MODULE_PATHNAME', 'milvus_attach_collection' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.attach_collection(regclass, text, jsonb) IS 'makes a collection of a table, as it is';

CREATE FUNCTION milvus.describe_collection(collection_name text, db_name text DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'milvus_describe_collection' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.describe_collection(text, text) IS 'fields, properties, aliases and the rest of a collection';

CREATE FUNCTION milvus.has_collection(collection_name text, db_name text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'milvus_has_collection' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.has_collection(text, text) IS 'whether there is a collection, or an alias, of the name';

CREATE FUNCTION milvus.drop_collection(collection_name text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_collection' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_collection(text, text) IS 'drops a collection with its rows; none of the name: nothing happens';

CREATE FUNCTION milvus.rename_collection(old_name text, new_name text, target_db text DEFAULT NULL, db_name text DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_rename_collection' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.rename_collection(text, text, text, text) IS 'gives a collection another name, or moves it to another database';

CREATE FUNCTION milvus.truncate_collection(collection_name text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_truncate_collection' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.truncate_collection(text, text) IS 'removes all rows of a collection';

CREATE FUNCTION milvus.collection_relation(collection_name text, db_name text DEFAULT NULL) RETURNS regclass
	AS 'MODULE_PATHNAME', 'milvus_collection_relation' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.collection_relation(text, text) IS 'the table of a collection';

CREATE FUNCTION milvus.alter_collection_properties(collection_name text, properties jsonb, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_alter_collection_properties' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.alter_collection_properties(text, jsonb, text) IS 'sets properties of a collection';

CREATE FUNCTION milvus.drop_collection_properties(collection_name text, property_keys text[], db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_collection_properties' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_collection_properties(text, text[], text) IS 'removes properties of a collection';

CREATE FUNCTION milvus.alter_collection_field(collection_name text, field_name text, field_params jsonb, db_name text DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_alter_collection_field' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.alter_collection_field(text, text, jsonb, text) IS
	'changes max_length, max_capacity, description, mmap.enabled or warmup of a field';

CREATE FUNCTION milvus.add_collection_field(collection_name text, field_name text, data_type text,
		description text DEFAULT '', nullable boolean DEFAULT NULL, default_value jsonb DEFAULT NULL,
		max_length integer DEFAULT NULL, element_type text DEFAULT NULL, max_capacity integer DEFAULT NULL,
		dim integer DEFAULT NULL, params jsonb DEFAULT NULL, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_add_collection_field' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.add_collection_field(text, text, text, text, boolean, jsonb, integer, text, integer, integer, jsonb, text) IS
	'adds a field, nullable or with a default, to a collection; its rows are not rewritten';

CREATE FUNCTION milvus.drop_collection_field(collection_name text, field_name text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_collection_field' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_collection_field(text, text, text) IS 'drops a field of a collection, or a struct array with its sub-fields';

CREATE FUNCTION milvus.add_collection_function(collection_name text, "function" jsonb, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_add_collection_function' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.add_collection_function(text, jsonb, text) IS 'adds a function to a collection''s definition';

CREATE FUNCTION milvus.alter_collection_function(collection_name text, function_name text, "function" jsonb, db_name text DEFAULT NULL)
	RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_alter_collection_function' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.alter_collection_function(text, text, jsonb, text) IS 'puts another function in the place of one';

CREATE FUNCTION milvus.drop_collection_function(collection_name text, function_name text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_collection_function' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_collection_function(text, text, text) IS 'removes a function from a collection''s definition';

CREATE FUNCTION milvus.count_rows(collection_name text, partition_name text DEFAULT NULL, db_name text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'milvus_count_rows' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION milvus.count_rows(text, text, text) IS 'rows of a collection or a partition that the caller sees';

CREATE FUNCTION milvus.get_collection_stats(collection_name text, db_name text DEFAULT NULL, OUT row_count bigint)
	LANGUAGE sql STABLE PARALLEL UNSAFE COST 10000 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT milvus.count_rows($1, NULL, $2) $$;
COMMENT ON FUNCTION milvus.get_collection_stats(text, text) IS 'number of rows of a collection';

-- ---- names ----

CREATE FUNCTION milvus.name_of(relation_name text, stored_name text, is_column boolean) RETURNS text
	AS 'MODULE_PATHNAME', 'milvus_name_of' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION milvus.name_of(text, text, boolean) IS
	'Milvus''s name of a relation or column: the one in its label, unless it was renamed since';

CREATE FUNCTION milvus.database_of(schema regnamespace) RETURNS text
	AS 'MODULE_PATHNAME', 'milvus_database_of' LANGUAGE C STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.database_of(regnamespace) IS 'the Milvus database that a schema is, null when it is none';

CREATE FUNCTION milvus.database_name(db_name text) RETURNS text
	AS 'MODULE_PATHNAME', 'milvus_database_name' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.database_name(text) IS 'the database meant: the session''s for null and the empty name; an error when there is none';

-- ---- views ----

CREATE VIEW milvus.collections AS
	SELECT milvus.database_of(c.relnamespace) AS db_name,
		milvus.name_of(c.relname, l.label::pg_catalog.jsonb OPERATOR(pg_catalog.->>) 'name', false) AS collection_name,
		c.oid::pg_catalog.regclass AS relation,
		COALESCE(l.label::pg_catalog.jsonb OPERATOR(pg_catalog.->>) 'description', '') AS description,
		COALESCE(l.label::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'properties', '{}') AS properties
	FROM pg_catalog.pg_seclabel l
	JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) l.objoid
	WHERE l.provider OPERATOR(pg_catalog.=) 'milvus_catalog' AND l.objsubid OPERATOR(pg_catalog.=) 0
		AND l.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::"char"[])
		AND milvus.database_of(c.relnamespace) IS NOT NULL
		AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
		AND (pg_catalog.has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
			OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE'));
COMMENT ON VIEW milvus.collections IS 'collections that the user has a right on';
GRANT SELECT ON milvus.collections TO PUBLIC;

CREATE VIEW milvus.aliases AS
	SELECT milvus.database_of(v.relnamespace) AS db_name,
		milvus.name_of(v.relname, l.label::pg_catalog.jsonb OPERATOR(pg_catalog.->>) 'name', false) AS alias,
		c.collection_name, c.relation
	FROM pg_catalog.pg_seclabel l
	JOIN pg_catalog.pg_class v ON v.oid OPERATOR(pg_catalog.=) l.objoid
	JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) v.oid
	JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
		AND d.objid OPERATOR(pg_catalog.=) r.oid AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
	JOIN milvus.collections c ON c.relation OPERATOR(pg_catalog.=) d.refobjid
	WHERE l.provider OPERATOR(pg_catalog.=) 'milvus_catalog' AND l.objsubid OPERATOR(pg_catalog.=) 0
		AND l.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		AND v.relkind OPERATOR(pg_catalog.=) 'v' AND l.label::pg_catalog.jsonb OPERATOR(pg_catalog.@>) '{"alias": true}';
COMMENT ON VIEW milvus.aliases IS 'aliases of the collections that the user has a right on';
GRANT SELECT ON milvus.aliases TO PUBLIC;

CREATE FUNCTION milvus.list_collections(db_name text DEFAULT NULL) RETURNS SETOF text
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT c.collection_name FROM milvus.collections c
		WHERE c.db_name = milvus.database_name(list_collections.db_name) ORDER BY c.collection_name;
END $$;
COMMENT ON FUNCTION milvus.list_collections(text) IS 'names of a database''s collections';

CREATE VIEW milvus.fields AS
	SELECT c.db_name, c.collection_name, f.place::pg_catalog.int4 AS number,
		(f.value OPERATOR(pg_catalog.->>) 'field_id')::pg_catalog.int8 AS field_id,
		f.value OPERATOR(pg_catalog.->>) 'name' AS field_name, f.value OPERATOR(pg_catalog.->>) 'type' AS type,
		f.value OPERATOR(pg_catalog.->>) 'element_type' AS element_type, f.value OPERATOR(pg_catalog.->) 'params' AS params,
		COALESCE((f.value OPERATOR(pg_catalog.->) 'is_primary')::pg_catalog.bool, false) AS is_primary,
		COALESCE((f.value OPERATOR(pg_catalog.->) 'auto_id')::pg_catalog.bool, false) AS auto_id,
		COALESCE((f.value OPERATOR(pg_catalog.->) 'nullable')::pg_catalog.bool, false) AS nullable,
		f.value OPERATOR(pg_catalog.->) 'default_value' AS default_value,
		COALESCE((f.value OPERATOR(pg_catalog.->) 'is_partition_key')::pg_catalog.bool, false) AS is_partition_key,
		COALESCE((f.value OPERATOR(pg_catalog.->) 'is_clustering_key')::pg_catalog.bool, false) AS is_clustering_key,
		f.value OPERATOR(pg_catalog.->>) 'description' AS description,
		f.value OPERATOR(pg_catalog.->>) 'column' AS column_name
	FROM milvus.collections c,
		pg_catalog.jsonb_array_elements(milvus.describe_collection(c.collection_name, c.db_name) OPERATOR(pg_catalog.->) 'fields')
			WITH ORDINALITY AS f(value, place);
COMMENT ON VIEW milvus.fields IS 'fields of the collections that the user has a right on';
GRANT SELECT ON milvus.fields TO PUBLIC;

-- ---- databases ----

CREATE FUNCTION milvus.create_database(db_name text, properties jsonb DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_create_database' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.create_database(text, jsonb) IS 'makes a database: a schema of this name';

CREATE FUNCTION milvus.drop_database(db_name text) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_database' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_database(text) IS 'drops a database without collections; none of the name: nothing happens';

CREATE FUNCTION milvus.describe_database(db_name text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'milvus_describe_database' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.describe_database(text) IS 'name and properties of a database';

CREATE FUNCTION milvus.list_databases() RETURNS SETOF text
	LANGUAGE sql STABLE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
	SELECT d.name FROM (SELECT milvus.database_of(oid) AS name FROM pg_namespace
		WHERE has_schema_privilege(oid, 'USAGE')) d WHERE d.name IS NOT NULL ORDER BY d.name <> 'default', d.name $$;
COMMENT ON FUNCTION milvus.list_databases() IS 'names of the databases that the user may use';

CREATE FUNCTION milvus.alter_database_properties(db_name text, properties jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_alter_database_properties' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.alter_database_properties(text, jsonb) IS 'sets properties of a database';

CREATE FUNCTION milvus.drop_database_properties(db_name text, property_keys text[]) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_database_properties' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_database_properties(text, text[]) IS 'removes properties of a database';

CREATE FUNCTION milvus.use_database(db_name text) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_use_database' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.use_database(text) IS 'makes a database the session''s';

-- ---- aliases ----

CREATE FUNCTION milvus.create_alias(collection_name text, alias text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_create_alias' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.create_alias(text, text, text) IS 'gives a collection another name besides';

CREATE FUNCTION milvus.alter_alias(collection_name text, alias text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_alter_alias' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.alter_alias(text, text, text) IS 'makes an alias one of another collection';

CREATE FUNCTION milvus.drop_alias(alias text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_alias' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_alias(text, text) IS 'drops an alias; none of the name: nothing happens';

CREATE FUNCTION milvus.describe_alias(alias text, db_name text DEFAULT NULL,
		OUT alias text, OUT collection_name text, OUT db_name text) RETURNS record
	AS 'MODULE_PATHNAME', 'milvus_describe_alias' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.describe_alias(text, text) IS 'the collection that an alias means';

CREATE FUNCTION milvus.list_aliases(collection_name text DEFAULT NULL, db_name text DEFAULT NULL) RETURNS SETOF text
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF COALESCE(collection_name, '') <> '' THEN
		RETURN QUERY SELECT a FROM milvus.collection_aliases($1, $2) AS a ORDER BY a;
	ELSE
		RETURN QUERY SELECT a.alias FROM milvus.aliases a WHERE a.db_name = milvus.database_name($2) ORDER BY a.alias;
	END IF;
END $$;
COMMENT ON FUNCTION milvus.list_aliases(text, text) IS 'aliases of a collection, or of all of a database';

CREATE FUNCTION milvus.collection_aliases(collection_name text, db_name text DEFAULT NULL) RETURNS SETOF text
	AS 'MODULE_PATHNAME', 'milvus_list_aliases' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION milvus.collection_aliases(text, text) IS 'aliases of a collection';

-- ---- partitions ----

CREATE FUNCTION milvus.get_load_state(collection_name text, partition_name text DEFAULT NULL, db_name text DEFAULT NULL,
		OUT state text, OUT progress integer) RETURNS record
	AS 'MODULE_PATHNAME', 'milvus_get_load_state' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.get_load_state(text, text, text) IS 'NotExist, NotLoad or Loaded, and percent';

CREATE FUNCTION milvus.create_partition(collection_name text, partition_name text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_create_partition' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.create_partition(text, text, text) IS 'makes a partition; when it is there, nothing happens';

CREATE FUNCTION milvus.drop_partition(collection_name text, partition_name text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_partition' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_partition(text, text, text) IS 'drops a partition that is not loaded, with its rows; none of the name: nothing happens';

CREATE FUNCTION milvus.has_partition(collection_name text, partition_name text, db_name text DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'milvus_has_partition' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.has_partition(text, text, text) IS 'whether a collection has a partition of the name';

CREATE FUNCTION milvus.list_partitions(collection_name text, db_name text DEFAULT NULL) RETURNS SETOF text
	AS 'MODULE_PATHNAME', 'milvus_list_partitions' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION milvus.list_partitions(text, text) IS 'names of a collection''s partitions';

CREATE VIEW milvus.partitions AS
	SELECT c.db_name, c.collection_name, p.name AS partition_name,
		(milvus.get_load_state(c.collection_name, p.name, c.db_name)).state AS load_state
	FROM milvus.collections c, milvus.list_partitions(c.collection_name, c.db_name) AS p(name);
COMMENT ON VIEW milvus.partitions IS 'partitions of the collections that the user has a right on';
GRANT SELECT ON milvus.partitions TO PUBLIC;

CREATE FUNCTION milvus.load_partitions(collection_name text, partition_names text[], db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_load_partitions' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.load_partitions(text, text[], text) IS 'lets partitions be searched';

CREATE FUNCTION milvus.release_partitions(collection_name text, partition_names text[], db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_release_partitions' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.release_partitions(text, text[], text) IS 'lets partitions be searched no more';

CREATE FUNCTION milvus.get_partition_stats(collection_name text, partition_name text, db_name text DEFAULT NULL, OUT row_count bigint)
	LANGUAGE sql STABLE PARALLEL UNSAFE COST 10000 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT milvus.count_rows($1, COALESCE($2, ''), $3) $$;
COMMENT ON FUNCTION milvus.get_partition_stats(text, text, text) IS 'number of rows of a partition';

-- ---- indexes ----

CREATE FUNCTION milvus.create_index(collection_name text, index_params jsonb, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_create_index' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.create_index(text, jsonb, text) IS 'makes indexes by Milvus''s parameters, one object or an array of them';

CREATE FUNCTION milvus.describe_index(collection_name text, index_name text DEFAULT NULL, db_name text DEFAULT NULL,
		OUT index_name text, OUT field_name text, OUT index_type text, OUT metric_type text, OUT params jsonb,
		OUT state text, OUT total_rows bigint, OUT indexed_rows bigint, OUT pending_index_rows bigint, OUT relation regclass)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_describe_index' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 5;
COMMENT ON FUNCTION milvus.describe_index(text, text, text) IS 'an index of a collection, or all of them';

CREATE FUNCTION milvus.list_indexes(collection_name text, field_name text DEFAULT NULL, db_name text DEFAULT NULL) RETURNS SETOF text
	AS 'MODULE_PATHNAME', 'milvus_list_indexes' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 5;
COMMENT ON FUNCTION milvus.list_indexes(text, text, text) IS 'names of a collection''s indexes, or of those of a field';

CREATE FUNCTION milvus.drop_index(collection_name text, index_name text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_index' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_index(text, text, text) IS 'drops an index; none of the name: nothing happens';

CREATE FUNCTION milvus.alter_index_properties(collection_name text, index_name text, properties jsonb, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_alter_index_properties' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.alter_index_properties(text, text, jsonb, text) IS 'sets properties of an index';

CREATE FUNCTION milvus.drop_index_properties(collection_name text, index_name text, property_keys text[], db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_drop_index_properties' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.drop_index_properties(text, text, text[], text) IS 'removes properties of an index';

-- ---- load ----

CREATE FUNCTION milvus.load_collection(collection_name text, replica_number integer DEFAULT 1, load_fields text[] DEFAULT NULL,
		refresh boolean DEFAULT false, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_load_collection' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.load_collection(text, integer, text[], boolean, text) IS
	'lets a collection be searched, and makes the cache files of its indexes';

CREATE FUNCTION milvus.release_collection(collection_name text, db_name text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'milvus_release_collection' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.release_collection(text, text) IS 'lets a collection be searched no more';

-- ---- segments, flush, compaction ----

CREATE FUNCTION milvus.alloc_timestamp() RETURNS bigint
	AS 'MODULE_PATHNAME', 'milvus_alloc_timestamp' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION milvus.alloc_timestamp() IS 'a hybrid time, later than all that this session had';

CREATE FUNCTION milvus.list_persistent_segments(collection_name text, db_name text DEFAULT NULL,
		OUT segment_id text, OUT collection_id bigint, OUT collection_name text, OUT num_rows bigint,
		OUT deleted_rows bigint, OUT is_sorted boolean, OUT state text, OUT bytes bigint)
	RETURNS SETOF record
	LANGUAGE sql VOLATILE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
	SELECT COALESCE(s.id::text, 'growing'), t.oid::bigint, t.name, s.rows, COALESCE(s.deleted_rows, 0), false,
		initcap(s.state), COALESCE(s.stored_bytes, 0)
	FROM (SELECT c.oid, milvus.describe_collection($1, $2) ->> 'collection_name' AS name FROM pg_class c
			JOIN pg_am a ON a.oid = c.relam
			WHERE c.oid = milvus.collection_relation($1, $2) AND a.amname = 'milvus' OFFSET 0) t,
		milvus.table_segments(t.oid) s $$;
COMMENT ON FUNCTION milvus.list_persistent_segments(text, text) IS 'segments of a collection''s table, and its growing rows';

CREATE FUNCTION milvus.collection_indexes(collection_name text, db_name text DEFAULT NULL,
		OUT index_name text, OUT field_name text, OUT index_type text, OUT metric_type text, OUT params jsonb,
		OUT state text, OUT total_rows bigint, OUT indexed_rows bigint, OUT pending_index_rows bigint, OUT relation regclass)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_collection_indexes' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 5;
COMMENT ON FUNCTION milvus.collection_indexes(text, text) IS 'as describe_index() without a name, no row where there is no index';

CREATE FUNCTION milvus.list_loaded_segments(collection_name text, db_name text DEFAULT NULL,
		OUT segment_id text, OUT collection_id bigint, OUT collection_name text, OUT index_name text, OUT num_rows bigint,
		OUT mem_size bigint, OUT state text)
	RETURNS SETOF record
	LANGUAGE sql VOLATILE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
	SELECT COALESCE(s.segment_id::text, 'growing'), (c.description ->> 'collection_id')::bigint,
		c.description ->> 'collection_name', i.index_name, s.rows - COALESCE(s.deleted_rows, 0), COALESCE(s.bytes, 0), initcap(s.state)
	FROM (SELECT milvus.describe_collection($1, $2) AS description) c,
		(SELECT * FROM milvus.collection_indexes($1, $2) x
			WHERE x.metric_type IS NOT NULL AND x.relation IS NOT NULL
				AND (milvus.get_load_state($1, NULL, $2)).state = 'Loaded' OFFSET 0) i,
		milvus.index_segments(i.relation) s $$;
COMMENT ON FUNCTION milvus.list_loaded_segments(text, text) IS 'segments of a loaded collection''s vector indexes, and their growing parts';

CREATE FUNCTION milvus.flush(collection_name text, db_name text DEFAULT NULL, OUT segment_ids text[], OUT flush_timestamp bigint)
	RETURNS record
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation regclass := milvus.collection_relation($1, $2);
	numbers integer[];
BEGIN
	segment_ids := '{}';
	IF (SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam
		WHERE c.oid = relation AND c.relpersistence = 'p') = 'milvus' THEN
		BEGIN
			numbers := ARRAY(SELECT milvus.flush_table(relation));
			segment_ids := ARRAY(SELECT s.id::text FROM milvus.table_segments(relation) s WHERE s.number = ANY (numbers));
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			-- made or changed by this transaction: a worker will do it once that has committed
			RAISE NOTICE 'nothing was flushed: %', SQLERRM;
		END;
	END IF;
	flush_timestamp := milvus.alloc_timestamp();
END $$;
COMMENT ON FUNCTION milvus.flush(text, text) IS 'seals a collection''s settled rows; the segments made';

CREATE FUNCTION milvus.get_flush_state(collection_name text, flush_timestamp bigint DEFAULT NULL, db_name text DEFAULT NULL)
	RETURNS boolean
	LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT milvus.collection_relation($1, $3) IS NOT NULL $$;
COMMENT ON FUNCTION milvus.get_flush_state(text, bigint, text) IS 'whether a flush is done: it is when milvus.flush() returns';

CREATE FUNCTION milvus.expire_rows(collection_name text, db_name text DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'milvus_expire_rows' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION milvus.expire_rows(text, text) IS 'deletes the rows of a collection that have outlived their time; their number';

CREATE FUNCTION milvus.compact(collection_name text, is_clustering boolean DEFAULT false, target_size bigint DEFAULT NULL,
		db_name text DEFAULT NULL) RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	relation regclass := milvus.collection_relation($1, $4);
	collection jsonb := milvus.describe_collection($1, $4);
	index regclass;
BEGIN
	IF is_clustering AND NOT jsonb_path_exists(collection, '$.fields[*].is_clustering_key') THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'milvus_code=2310',
			MESSAGE = 'collection does not support clustering compaction: it has no clustering key';
	END IF;
	PERFORM milvus.expire_rows($1, $4);
	IF (SELECT a.amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam
		WHERE c.oid = relation AND c.relpersistence = 'p') = 'milvus' THEN
		BEGIN
			PERFORM milvus.compact_table(relation, CASE WHEN is_clustering THEN 'cluster' ELSE 'merge' END);
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			RAISE NOTICE 'the table was not compacted: %', SQLERRM;
		END;
	END IF;
	FOR index IN SELECT i.relation FROM milvus.collection_indexes($1, $4) i
		WHERE i.metric_type IS NOT NULL AND i.relation IS NOT NULL
	LOOP
		PERFORM milvus.compact_index(index);
	END LOOP;
	RETURN milvus.alloc_timestamp();
END $$;
COMMENT ON FUNCTION milvus.compact(text, boolean, bigint, text) IS
	'removes rows that have outlived their time, and writes segments anew without deleted rows, sorted by the clustering key when asked; the job''s number';

CREATE FUNCTION milvus.get_compaction_state(job_id bigint) RETURNS text
	LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT CASE WHEN $1 > 0 AND $1 <= milvus.alloc_timestamp() THEN 'Completed' ELSE 'UndefiedState' END $$;
COMMENT ON FUNCTION milvus.get_compaction_state(bigint) IS 'state of a compaction: it is complete when milvus.compact() returns';
