--
-- ann: what the extension leaves in the catalogs, and what DROP EXTENSION takes away
--
\set SHOW_CONTEXT never
SET jit = off;			-- the cost of plans that are turned off would start it

-- operator classes: one a metric and type, the L2 ones are the default; all are valid
SELECT c.opcname, c.opcintype::regtype, c.opcdefault, o.amopopr::regoperator, p.amproc, amvalidate(c.oid)
	FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = c.opcmethod
	JOIN pg_amop AS o ON o.amopfamily = c.opcfamily JOIN pg_amproc AS p ON p.amprocfamily = c.opcfamily
	WHERE a.amname = 'ann' AND o.amoppurpose = 'o' ORDER BY c.opcintype::regtype::text, c.opcname COLLATE "C";

-- those of scalar key columns: comparisons, or what arrays are searched by
SELECT c.opcname, c.opcintype::regtype, c.opcdefault, amvalidate(c.oid),
		(SELECT string_agg(o.amopopr::regoperator::text, ' ' ORDER BY o.amopstrategy) FROM pg_amop AS o
			WHERE o.amopfamily = c.opcfamily AND o.amoplefttype = c.opcintype AND o.amoprighttype = c.opcintype) AS operators
	FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = c.opcmethod
	WHERE a.amname = 'ann' AND NOT EXISTS (SELECT FROM pg_amop AS o WHERE o.amopfamily = c.opcfamily AND o.amoppurpose = 'o')
	ORDER BY c.opcname COLLATE "C";

-- those that are not: another kind of operator, another support function, none
BEGIN;
CREATE OPERATOR CLASS search_ops FOR TYPE vector USING ann AS OPERATOR 1 = (vector, vector), FUNCTION 1 milvus.ann_support_f32_l2(internal);
CREATE OPERATOR CLASS odd_ops FOR TYPE vector USING ann AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 (vector, vector) vector_cmp(vector, vector);
CREATE OPERATOR CLASS half_ops FOR TYPE vector USING ann AS OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops;
CREATE OPERATOR CLASS no_ops FOR TYPE vector USING ann AS STORAGE vector;
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname IN ('search_ops', 'odd_ops', 'half_ops', 'no_ops') ORDER BY opcname;
ROLLBACK;

-- functions of schema milvus: what they promise to the planner; none runs with its owner's rights
\pset format unaligned
\pset footer off
SELECT p.oid::regprocedure, p.provolatile, p.proisstrict, p.proparallel, p.prosecdef
	FROM pg_proc AS p WHERE pronamespace = 'milvus'::regnamespace ORDER BY p.oid::regprocedure::text COLLATE "C";
\pset format aligned
\pset footer on

-- everything has a comment, settings have a description
SELECT pg_describe_object(d.classid, d.objid, 0)
	FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'milvus' AND d.deptype = 'e'
	AND d.classid IN ('pg_am'::regclass, 'pg_proc'::regclass, 'pg_opclass'::regclass, 'pg_namespace'::regclass)
	AND obj_description(d.objid, d.classid::regclass::name) IS NULL;
SELECT name FROM pg_settings WHERE name LIKE 'milvus.%' AND coalesce(short_desc, '') = '';
SELECT obj_description(oid, 'pg_am') FROM pg_am WHERE amname = 'ann';

-- the extension goes with its indexes and columns, and leaves nothing
CREATE TABLE items (id int, v vector(3));
CREATE INDEX items_v ON items USING ann (v);
INSERT INTO items VALUES (1, '[1,2,3]');
DROP EXTENSION milvus;
DROP ACCESS METHOD ann;
BEGIN;
SET LOCAL client_min_messages = warning;
DROP EXTENSION milvus CASCADE;
\d items
SELECT count(*) FROM pg_am WHERE amname = 'ann';
SELECT count(*) FROM pg_proc WHERE probin LIKE '%milvus%';
SELECT count(*) FROM pg_namespace WHERE nspname = 'milvus';
SELECT count(*) FROM pg_type WHERE typname IN ('vector', 'halfvec', '_vector', '_halfvec');
-- it comes again, in a schema that is not on the path
CREATE SCHEMA "Another One";
CREATE EXTENSION milvus SCHEMA "Another One";
CREATE TABLE again (id int, v "Another One".vector(2));
INSERT INTO again SELECT i, ARRAY[i, 0] FROM generate_series(1, 10) AS i;
CREATE INDEX again_l2 ON again USING ann (v);
CREATE INDEX again_l1 ON again USING ann (v "Another One".vector_l1_ops);
INSERT INTO again SELECT i, ARRAY[i, 0] FROM generate_series(11, 20) AS i;
SET LOCAL enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM again ORDER BY v OPERATOR("Another One".<+>) '[12.2,0]' LIMIT 2;
SELECT id FROM again ORDER BY v OPERATOR("Another One".<+>) '[12.2,0]' LIMIT 2;
SELECT milvus.index_recall('again_l2'), milvus.index_recall('again_l1');
SELECT * FROM milvus.check_index('again_l1');
ROLLBACK;
SELECT id FROM items ORDER BY v <-> '[0,0,0]';
DROP TABLE items;
