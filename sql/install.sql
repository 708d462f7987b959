--
-- CREATE EXTENSION: a schema whose names are taken, other schemas, catalog hygiene
--

-- every object has a comment (array types and rows of views aside)
SELECT pg_describe_object(d.classid, d.objid, 0)
	FROM pg_depend AS d JOIN pg_extension AS e ON d.refobjid = e.oid
	WHERE e.extname = 'milvus' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
	AND d.classid <> 'pg_opfamily'::regclass
	AND obj_description(d.objid, d.classid::regclass::name) IS NULL
	AND NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = d.objid AND (t.typelem <> 0 OR t.typtype = 'c'))
	ORDER BY 1;

-- the functions of the types may be folded, skipped on null and run in parallel
SELECT p.oid::regprocedure
	FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
	JOIN pg_extension AS e ON d.refobjid = e.oid AND d.deptype = 'e' AND e.extname = 'milvus',
	(SELECT array_agg(oid) FROM pg_type
		WHERE oid = ANY ('{vector,vector[],halfvec,bfloat16vec,int8vec,sparsevec,bit}'::regtype[])) AS types(oids)
	WHERE p.prokind = 'f' AND (p.proargtypes::oid[] && types.oids
		OR p.prorettype = ANY (types.oids))
	AND NOT (p.provolatile = 'i' AND p.proisstrict AND p.proparallel = 's')
	ORDER BY 1;

-- where the names are taken, the message says what to do
\set SHOW_CONTEXT never
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION milvus CASCADE;
CREATE SCHEMA taken;
CREATE TYPE taken.halfvec AS (x real);
SAVEPOINT before;
CREATE EXTENSION milvus SCHEMA taken;
ROLLBACK TO before;

-- the schema of the functions has one name, wherever the types go
CREATE SCHEMA free;
CREATE SCHEMA milvus;
CREATE EXTENSION milvus SCHEMA free;
ROLLBACK TO before;

-- in another schema it can be created; its search path does not matter then
CREATE SCHEMA "Another One";
CREATE EXTENSION milvus SCHEMA "Another One";
SELECT '[1,2]'::"Another One".vector OPERATOR("Another One".<->) '[1,3]';
SELECT "Another One".avg(v), "Another One".sum(v) FROM (VALUES ('[1,2]'::"Another One".vector)) AS t(v);
ROLLBACK;
