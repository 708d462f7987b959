--
-- The filter language: geometry, where PostGIS can be had
--
SELECT NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis') AS no_postgis \gset
\if :no_postgis
\quit
\endif

SET client_min_messages = error;
CREATE SCHEMA "gis x";
CREATE EXTENSION postgis SCHEMA "gis x";
SET search_path = public, "gis x";
CREATE TABLE places (id bigint, g geometry);
INSERT INTO places VALUES (1, 'POINT(0 0)'), (2, 'POINT(0.001 0)'), (3, 'POLYGON((0 0,0 2,2 2,2 0,0 0))'), (4, NULL), (5, 'LINESTRING(-1 -1,3 3)'),
	(6, 'POLYGON((0 0,2 2,2 0,0 2,0 0))');
RESET search_path;
CREATE FUNCTION found(filter text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT coalesce(string_agg(id::text, '','' ORDER BY id), ''none'') FROM places AS t WHERE '
		|| milvus.explain_filter_schema('{"fields": [{"name": "id", "data_type": "Int64"}, {"name": "g", "data_type": "Geometry"}]}', filter) INTO result;
	RETURN result;
END$$;

-- 0.001 degrees are 111.2 metres
SELECT filter, found(filter) FROM (VALUES ('st_dwithin(g, "POINT(0 0)", 111)'), ('st_dwithin(g, "POINT(0 0)", 111.3)'), ('not st_dwithin(g, "POINT(0 0)", 5)'),
	('st_within(g, "POLYGON((-1 -1,-1 1,1 1,1 -1,-1 -1))")'), ('st_contains(g, "POINT(1 0.5)")'), ('st_equals(g, "POINT(0 0)")'), ('st_touches(g, "POINT(0 1)")'),
	('st_crosses(g, "POLYGON((0 0,0 2,2 2,2 0,0 0))")'), ('st_intersects(g, "POINT(1 1)")'), ('id == 3 and st_overlaps(g, "POLYGON((1 1,1 3,3 3,3 1,1 1))")'),
	('st_isvalid(g)'), ('not st_isvalid(g)'), ('g is null'), ('g is not null and not st_equals(g, "POINT(0 0)")')) AS v(filter);

DROP TABLE places;
DROP FUNCTION found;
DROP EXTENSION postgis;
DROP SCHEMA "gis x";
