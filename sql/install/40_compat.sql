
-- Working with what people have: ann on pgvector's columns, and pgvector's
-- syntax where pgvector is absent.  What these functions make belongs to the user, not to
-- the extension, so pg_dump writes it out and a restored index finds it.

CREATE FUNCTION milvus.hnsw_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION milvus.hnsw_handler(internal) IS
	'index access method handler for hnsw in pgvector''s syntax';

CREATE FUNCTION milvus.ivfflat_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION milvus.ivfflat_handler(internal) IS
	'index access method handler for ivfflat in pgvector''s syntax';

-- The operator classes of an access method of ours for the vector types and
-- operators of a schema, ours or pgvector's.  Types and operators that are not there
-- are left out, operators that have a class already too, and whatever has the name
-- but is not the extension's own: support functions take a value for what that name says.
CREATE FUNCTION milvus.create_operator_classes(method name, schema regnamespace) RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	method_oid oid := (SELECT oid FROM pg_am WHERE amname = method);
	-- ann is made for pgvector's types, pgvector's methods for ours
	extension_oid oid := (SELECT oid FROM pg_extension
		WHERE extname = CASE WHEN method = 'ann' THEN 'vector' ELSE 'milvus' END);
	class record;
	type_oid regtype;
	operator_oid regoperator;
	by_default boolean;
BEGIN
	FOR class IN
		SELECT format('%s_%s_ops', t.type, o.metric) AS name, t.type, o.operator,
			format('ann_support_%s_%s', t.element, o.metric) AS support,
			-- as pgvector has it: an index of hnsw always names its class
			method = 'ann' AND o.number = 1
				OR method = 'ivfflat' AND t.type = 'vector' AND o.number = 1 AS by_default
		FROM (VALUES
			(1, 'vector', 'f32', 'numbers'),
			(2, 'halfvec', 'f16', 'numbers'),
			(3, 'bfloat16vec', 'bf16', 'numbers'),
			(4, 'int8vec', 'i8', 'numbers'),
			(5, 'bit', 'bit', 'bits')) AS t(number, type, element, kind)
		JOIN (VALUES
			(1, 'numbers', 'l2', '<->'),
			(2, 'numbers', 'ip', '<#>'),
			(3, 'numbers', 'cosine', '<=>'),
			(4, 'numbers', 'l1', '<+>'),
			(1, 'bits', 'hamming', '<~>'),
			(2, 'bits', 'jaccard', '<%>')) AS o(number, kind, metric, operator) USING (kind)
		ORDER BY t.number, o.number
	LOOP
		type_oid := CASE WHEN class.type = 'bit' THEN 'bit'::regtype
			ELSE to_regtype(format('%s.%I', schema, class.type)) END;
		CONTINUE WHEN type_oid IS NULL OR class.type <> 'bit' AND NOT EXISTS (SELECT FROM pg_depend
			WHERE classid = 'pg_type'::regclass AND objid = type_oid AND deptype = 'e'
				AND refclassid = 'pg_extension'::regclass AND refobjid = extension_oid);
		operator_oid := to_regoperator(format('%1$s.%2$s(%3$s,%3$s)', schema, class.operator, type_oid));
		CONTINUE WHEN operator_oid IS NULL
			OR NOT EXISTS (SELECT FROM pg_depend
				WHERE classid = 'pg_operator'::regclass AND objid = operator_oid AND deptype = 'e'
					AND refclassid = 'pg_extension'::regclass AND refobjid = extension_oid)
			OR EXISTS (SELECT FROM pg_amop WHERE amopmethod = method_oid AND amopopr = operator_oid);
		by_default := class.by_default AND NOT EXISTS (SELECT FROM pg_opclass
			WHERE opcmethod = method_oid AND opcintype = type_oid AND opcdefault);
		EXECUTE format('CREATE OPERATOR CLASS %s.%I %s FOR TYPE %s USING %I AS '
			'OPERATOR 1 %s.%s (%s, %s) FOR ORDER BY pg_catalog.float_ops, FUNCTION 1 milvus.%I(internal)',
			schema, class.name, CASE WHEN by_default THEN 'DEFAULT' END, type_oid, method,
			schema, class.operator, type_oid, type_oid, class.support);
		RETURN NEXT format('%s.%I USING %I', schema, class.name, method);
	END LOOP;
END
$$;
COMMENT ON FUNCTION milvus.create_operator_classes(name, regnamespace) IS
	'what milvus.enable_pgvector() and milvus.enable_pgvector_syntax() share: make operator classes for the vector types of a schema';
REVOKE ALL ON FUNCTION milvus.create_operator_classes(name, regnamespace) FROM PUBLIC;

-- Drop the operator families of an access method, all or those with operators of an
-- extension; an error that names them when there are indexes.
CREATE FUNCTION milvus.drop_operator_classes(method name, extension name DEFAULT NULL) RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	families oid[];
	indexes text;
	family record;
BEGIN
	families := ARRAY(SELECT f.oid
		FROM pg_opfamily AS f JOIN pg_am AS a ON a.oid = f.opfmethod AND a.amname = method
		WHERE extension IS NULL
		-- DROP EXTENSION ... CASCADE takes the classes and leaves empty families
		OR NOT EXISTS (SELECT FROM pg_amproc WHERE amprocfamily = f.oid) AND
			NOT EXISTS (SELECT FROM pg_amop WHERE amopfamily = f.oid)
		OR EXISTS (SELECT
			FROM pg_amop AS o
			JOIN pg_depend AS d ON d.classid = 'pg_operator'::regclass AND d.objid = o.amopopr AND d.deptype = 'e'
			JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
			WHERE o.amopfamily = f.oid AND e.extname = extension));

	indexes := (SELECT string_agg(DISTINCT i.indexrelid::regclass::text, ', ')
		FROM pg_index AS i, unnest(i.indclass) AS u(class) JOIN pg_opclass AS c ON c.oid = u.class
		WHERE c.opcfamily = ANY (families));
	IF indexes IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'dependent_objects_still_exist',
			MESSAGE = 'indexes use the operator classes',
			DETAIL = 'Indexes: ' || indexes || '.',
			HINT = 'Drop them first.';
	END IF;

	FOR family IN
		SELECT opfnamespace::regnamespace AS schema, opfname AS name FROM pg_opfamily
		WHERE oid = ANY (families) ORDER BY oid
	LOOP
		EXECUTE format('DROP OPERATOR FAMILY %s.%I USING %I', family.schema, family.name, method);
		RETURN NEXT format('%s.%I USING %I', family.schema, family.name, method);
	END LOOP;
END
$$;
COMMENT ON FUNCTION milvus.drop_operator_classes(name, name) IS
	'what milvus.disable_pgvector() and milvus.disable_pgvector_syntax() share: drop operator classes that no index uses';
REVOKE ALL ON FUNCTION milvus.drop_operator_classes(name, name) FROM PUBLIC;

CREATE FUNCTION milvus.enable_pgvector() RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	schema regnamespace := (SELECT extnamespace FROM pg_extension WHERE extname = 'vector');
BEGIN
	IF schema IS NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'undefined_object',
			MESSAGE = 'extension "vector" is not installed in this database',
			HINT = 'To write pgvector''s syntax without pgvector, use milvus.enable_pgvector_syntax().';
	END IF;
	RETURN QUERY SELECT milvus.create_operator_classes('ann', schema);
	IF to_regtype(format('%s.sparsevec', schema)) IS NOT NULL THEN
		RAISE NOTICE 'columns of type sparsevec cannot be indexed by ann';
	END IF;
END
$$;
COMMENT ON FUNCTION milvus.enable_pgvector() IS
	'operator classes of ann for pgvector''s types, in pgvector''s schema; returns those it made';

CREATE FUNCTION milvus.disable_pgvector() RETURNS SETOF text
	LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
SELECT milvus.drop_operator_classes('ann', 'vector')
$$;
COMMENT ON FUNCTION milvus.disable_pgvector() IS
	'drop what milvus.enable_pgvector() made, unless indexes use it; returns what it dropped';

CREATE FUNCTION milvus.enable_pgvector_syntax() RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	schema regnamespace := (SELECT extnamespace FROM pg_extension WHERE extname = 'milvus');
	method name;
	handler regproc;
	ours regproc;
BEGIN
	IF EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = 'extension "vector" is installed in this database',
			DETAIL = 'It has access methods named hnsw and ivfflat of its own.',
			HINT = 'To index its columns with ann, use milvus.enable_pgvector().';
	END IF;
	FOREACH method IN ARRAY '{hnsw,ivfflat}'::name[] LOOP
		ours := format('milvus.%I', method || '_handler')::regproc;
		handler := (SELECT amhandler FROM pg_am WHERE amname = method);
		IF handler <> ours THEN
			RAISE EXCEPTION USING
				ERRCODE = 'duplicate_object',
				MESSAGE = format('access method "%s" already exists', method),
				DETAIL = format('Its handler is %s.', handler);
		ELSIF handler IS NULL THEN
			EXECUTE format('CREATE ACCESS METHOD %I TYPE INDEX HANDLER %s', method, ours);
			EXECUTE format('COMMENT ON ACCESS METHOD %I IS %L', method,
				'approximate nearest neighbours of vectors, in pgvector''s syntax');
		END IF;
		RETURN QUERY SELECT milvus.create_operator_classes(method, schema);
	END LOOP;
END
$$;
COMMENT ON FUNCTION milvus.enable_pgvector_syntax() IS
	'access methods hnsw and ivfflat that take pgvector''s options, operator classes and settings; returns the operator classes it made';

CREATE FUNCTION milvus.disable_pgvector_syntax() RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	method name;
BEGIN
	FOR method IN
		SELECT amname FROM pg_am
		WHERE amhandler IN ('milvus.hnsw_handler(internal)'::regprocedure, 'milvus.ivfflat_handler(internal)'::regprocedure)
		ORDER BY amname
	LOOP
		RETURN QUERY SELECT milvus.drop_operator_classes(method);
		EXECUTE format('DROP ACCESS METHOD %I', method);
	END LOOP;
	IF EXISTS (SELECT FROM pg_settings WHERE name = 'hnsw.ef_search') THEN
		RAISE NOTICE 'settings hnsw.* and ivfflat.* stay defined until this session ends'
			USING HINT = 'Connect anew before CREATE EXTENSION vector.';
	END IF;
END
$$;
COMMENT ON FUNCTION milvus.disable_pgvector_syntax() IS
	'drop what milvus.enable_pgvector_syntax() made, unless indexes use it; returns the operator classes it dropped';
