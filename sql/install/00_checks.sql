-- What must hold before anything is created.

-- The vector types have pgvector's names on purpose, so the two extensions need
-- a schema each.  Say so, rather than leave the user with a bare name clash.
DO $$
DECLARE
	type_name pg_catalog.text;
	type_oid pg_catalog.oid;
	owner pg_catalog.text;
BEGIN
	FOREACH type_name IN ARRAY '{vector,halfvec,bfloat16vec,int8vec,sparsevec}'::pg_catalog.text[] LOOP
		type_oid := pg_catalog.to_regtype(pg_catalog.concat('@extschema@.', type_name));
		CONTINUE WHEN type_oid IS NULL;

		SELECT e.extname INTO owner
		FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_extension AS e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
		WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
		AND d.objid OPERATOR(pg_catalog.=) type_oid
		AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
		AND d.deptype OPERATOR(pg_catalog.=) 'e';

		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_object',
			MESSAGE = pg_catalog.format('type "%s" already exists in schema "%s"', type_name,
				pg_catalog.btrim('@extschema@', '"')),
			DETAIL = COALESCE('It belongs to extension "' || owner || '".',
				'The extension creates types "vector", "halfvec", "bfloat16vec", "int8vec" and "sparsevec" in its schema.'),
			HINT = 'Create another schema and use CREATE EXTENSION milvus SCHEMA another_schema.';
	END LOOP;

	IF pg_catalog.to_regnamespace('milvus') IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = 'duplicate_schema',
			MESSAGE = 'schema "milvus" already exists',
			DETAIL = 'The extension makes a schema of this name for its functions.',
			HINT = 'Rename or drop that schema; to put the types elsewhere than into the current schema, '
				'use CREATE EXTENSION milvus SCHEMA another_schema.';
	END IF;
END
$$;

