--
-- The filter language: which expressions are valid, and what is said of the others
--

CREATE TABLE filter_schemas (name text PRIMARY KEY, schema jsonb);
INSERT INTO filter_schemas VALUES
	('dyn', '{"enable_dynamic_field": true, "fields": [
		{"name": "i8", "data_type": "Int8"}, {"name": "i16", "data_type": "Int16"}, {"name": "i32", "data_type": "Int32"},
		{"name": "i64", "data_type": "Int64", "is_primary": true}, {"name": "f", "data_type": "Float", "nullable": true},
		{"name": "d", "data_type": "DOUBLE"}, {"name": "b", "data_type": 1},
		{"name": "s", "data_type": "DataType.VARCHAR", "params": {"max_length": 100}},
		{"name": "sm", "data_type": "VarChar", "params": {"max_length": 100, "enable_match": true, "enable_analyzer": true}},
		{"name": "j", "data_type": "JSON"}, {"name": "g", "data_type": "Geometry"}, {"name": "ts", "data_type": "Timestamptz"},
		{"name": "vec", "data_type": "FloatVector", "params": {"dim": 4}}, {"name": "tx", "data_type": "Text"},
		{"name": "ai", "data_type": "Array", "element_type": "Int64", "params": {"max_capacity": 10}},
		{"name": "as", "data_type": "Array", "element_type": "VarChar", "params": {"max_capacity": 10, "max_length": 20}},
		{"name": "sa", "data_type": "Array", "element_type": "Struct", "params": {"max_capacity": 10}, "fields": [
			{"name": "si", "data_type": "Int32"}, {"name": "ss", "data_type": "VarChar"},
			{"name": "sv", "data_type": "FloatVector", "params": {"dim": 4}}]}]}'),
	('fixed', '{"fields": [{"name": "i64", "data_type": "Int64"}, {"name": "j", "data_type": "JSON"}, {"name": "j2", "data_type": "JSON"}]}');

-- the table that such a collection is
CREATE TABLE filter_rows (i8 smallint, i16 smallint, i32 integer, i64 bigint, f real, d double precision, b boolean,
	s text, sm text, j jsonb, g text, ts timestamptz, vec vector(4), tx text, ai bigint[], "as" text[],
	"sa[si]" integer[], "sa[ss]" text[], "sa[sv]" vector[], "$meta" jsonb);

-- what Milvus says of an expression, after what it always says; what is valid is planned, too
CREATE FUNCTION verdict(filter text, params jsonb DEFAULT NULL, of_schema text DEFAULT 'dyn') RETURNS text
	LANGUAGE plpgsql AS $$
DECLARE
	lines text[];
	condition text;
	detail text;
BEGIN
	lines := string_to_array(milvus.explain_filter_schema((SELECT schema FROM filter_schemas WHERE name = of_schema), filter, params), E'\n$');
	condition := lines[1];
	FOR i IN REVERSE array_length(lines, 1) .. 2 LOOP
		condition := replace(condition, '$' || (i - 1) || '::', substring(lines[i] from ' = (.*)') || '::');
	END LOOP;
	EXECUTE 'EXPLAIN SELECT FROM filter_rows AS t WHERE ' || condition;
	RETURN 'valid';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	IF detail IS DISTINCT FROM 'milvus_code=1100' THEN
		RAISE;
	END IF;
	RETURN replace(replace(SQLERRM, 'failed to create query plan: cannot parse expression: ' || filter || ', error: ', ''),
		': invalid parameter', '');
END$$;

-- a message as it is
SELECT milvus.explain_filter_schema(schema, 'color == "red"') FROM filter_schemas WHERE name = 'fixed';
\set SHOW_CONTEXT never
DO $$
DECLARE message text; detail text;
BEGIN
	PERFORM milvus.explain_filter_schema('{"fields": []}', 'a = 1');
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RAISE NOTICE '% %', SQLSTATE, message;
	RAISE NOTICE '%', detail;
END$$;

CREATE TABLE facts (number int GENERATED ALWAYS AS IDENTITY, fact int, valid boolean, filter text, params jsonb, of_schema text DEFAULT 'dyn');
INSERT INTO facts (fact, valid, filter) VALUES
	(1, true, 'i64 not in []'),
	(2, true, 'k in ["1", 2, 2.5]'),
	(3, false, 'f in [5, 6.0, true]'),
	(4, false, 'i32 in [4.0]'),
	(5, false, 'i64 in [1, NULL]'),
	(6, true, 'j["null"] == 1'),
	(7, true, 'i8 < i16'), (7, true, 'f == d'),
	(8, false, 's < f'),
	(9, false, 's == "1" + "2"'),
	(10, true, '10 >= i64 > 7'),
	(11, false, '1.0 < i32 < 2.0'),
	(12, false, '1 < ai < 3'),
	(13, true, '1 < ai[0] < 3'),
	(14, false, 'i64 + 1.1 == 2.1'),
	(15, true, 'f + 1 == 2'),
	(16, true, 'i64 % 10 != 9'),
	(17, false, '2 % i64 == 1'),
	(18, false, 'i64 / 0 == 1'),
	(19, true, 'i64 + (2**3) > 0'),
	(20, false, 'i64 ** 2 == 100'),
	(21, true, '(i64 & 4) == 4'), (21, true, '4 == (i64 & 4)'),
	(22, false, '(f & 1) == 1'), (22, false, '(i64 & i32) == 4'),
	(23, false, 'b'), (23, false, 'i64 > 1 and b'), (23, false, 'not b'),
	(24, true, 'true'), (24, true, 'b == true'), (24, true, '1 == 2'),
	(25, false, '-i32'), (25, false, '-true'), (25, false, '!"x"'),
	(26, true, 's like "ab%"'), (26, true, 'as[0] like "ab%"'),
	(27, false, 'as like "ab%"'), (27, false, 'f like "x%"'),
	(28, true, 'k == r"a\b"'), (28, true, 'k =~ "^E[0-9]+"'),
	(29, false, 'k == r"x\"'),
	(30, false, 'text_match(s,"q")'), (30, true, 'text_match(sm,"q")'),
	(31, false, 'text_match(sm,"q",minimum_should_match={n})'),
	(32, false, 'phrase_match(sm,"q",-1)'), (32, false, 'phrase_match(sm,"q",4294967296)'),
	(33, false, 'ai[0] is null'), (33, false, 'vec is null'),
	(34, true, 'm["a"] is null'), (34, true, 'exists m["a"] && exists j["b"]'),
	(35, false, 'exists j'), (35, false, 'exists i64'),
	(36, true, 'json_contains(k,[1,2,3])'), (36, false, 'json_contains(ai,"abc")'), (36, false, 'json_contains(k,k2)'),
	(37, true, 'array_length(ai) > 5'), (37, false, 'array_length(ai) % 10 == 2'), (37, false, '0 < array_length(ai) < 9'),
	(38, true, 'i16 <= 1 && random_sample(0.01)'), (38, false, 'random_sample(1)'),
	(38, false, 'random_sample(.01) and i16==4'), (38, false, '(i16 <= 1) || random_sample(.01)'),
	(39, false, 'st_dwithin(g,"POINT(0 0)",-1.0)'), (39, false, 'st_dwithin(g,"POINT(0 0)","5")'),
	(39, false, 'st_dwithin(g,"POINT(0 0)",true)'),
	(40, true, 'i64>0 && element_filter(sa,$[si]>1)'), (40, false, 'element_filter(sa,$[si]>1) && i64>0'),
	(40, false, 'not element_filter(sa,$[si]>1)'), (40, false, '$[si]>1'),
	(41, true, 'MATCH_LEAST(sa,$[si]>1,threshold=3)'), (41, false, 'MATCH_LEAST(sa,$[si]>1,threshold=0)'),
	(41, true, 'MATCH_MOST(sa,$[si]>1,threshold=0)'), (41, true, 'MATCH_EXACT(sa,$[si]>1,threshold=0)'),
	(42, true, $$ts + INTERVAL 'P1Y2M3DT4H' > ISO '2025-01-01T00:00:00Z'$$),
	(42, false, $$ts + INTERVAL '1D' > ISO '2025-01-01T00:00:00Z'$$),
	(42, false, $$ts > ISO '2025-13-01T00:00:00Z'$$),
	(42, false, $$i64 + INTERVAL 'P1D' > ISO '2025-01-01T00:00:00Z'$$),
	(44, false, '"i64" > 500 && "i64" < 9'), (44, false, '1 < 3 < 2'), (44, false, 'k[] == 1');
INSERT INTO facts (fact, valid, filter, params) VALUES
	(31, false, 'text_match(sm,"q",minimum_should_match={n})', '{"n": 2}'),
	(39, false, 'st_dwithin(g,"POINT(0 0)",{d})', '{"d": 5}'),
	(43, true, 'i64 in {xs}', '{"xs": [1, 2]}'), (43, false, 'i64 in {xs}', '{"xs": ["a", "b"]}');

SELECT fact, filter, verdict(filter, params, of_schema) FROM facts ORDER BY number;
-- the reference says so
SELECT fact, filter FROM facts WHERE valid <> (verdict(filter, params, of_schema) = 'valid');
-- geometry takes PostGIS: fact 39's valid one
SELECT milvus.explain_filter_schema(schema, 'st_dwithin(g, "POINT(0 0)", 5)') FROM filter_schemas WHERE name = 'dyn';

-- names
SELECT filter, verdict(filter, NULL, of_schema) FROM (VALUES
	('color == 1', 'dyn'), ('color == 1', 'fixed'), ('$meta["a b"] == 1', 'dyn'), ('$meta["a"] == 1', 'fixed'), ('$meta == 1', 'fixed'),
	('j["a"]["b"][0] == 1', 'fixed'), ('color["a"] == 1', 'fixed'), ('color is null', 'fixed'), ('exists color', 'fixed'),
	('i64["a"] == 1', 'dyn'), ('ai["a"] == 1', 'dyn'), ('ai[0][1] == 1', 'dyn'), ('j[""] == 1', 'dyn'), ('tx == "a"', 'dyn'), ('tx is null', 'dyn'),
	('NULL == 1', 'dyn'), ('i64 == null', 'dyn'), ('Null is null', 'dyn'), ('sa == 1', 'dyn'), ('sa[x] == [1]', 'dyn'), ('sa[si] == [1]', 'dyn'),
	('sa[3][si] == 1', 'dyn'), ('sa[3][ss] like "a%"', 'dyn'), ('sa[si] is not null', 'dyn'), ('sa is null', 'dyn'), ('array_length(sa) > 1', 'dyn'),
	('array_length(sa[si]) > 1', 'dyn'), ('array_contains(sa[si], 1)', 'dyn'), ('array_contains_any(sa[ss], ["a", "b"])', 'dyn'),
	('MATCH_ANY(sa, $[x] > 1)', 'dyn'), ('MATCH_ANY(nothing, $[si] > 1)', 'dyn'), ('MATCH_ANY(sa, $[si])', 'dyn'), ('MATCH_ANY(ai, $ > 1)', 'dyn'),
	('MATCH_ANY(sa, MATCH_ANY(sa, $[si] > 1))', 'dyn'), ('$ > 1', 'dyn'), ('threshold == 1 and iso == 2 and interval == 3', 'dyn'),
	('vec == 1', 'dyn'), ('vec == [1, 2]', 'dyn'), ('g == "POINT(0 0)"', 'dyn'), ('ts > "2025-01-01"', 'dyn'), ('vec in [1]', 'dyn')
) AS v(filter, of_schema);

-- types
SELECT filter, verdict(filter) FROM (VALUES
	('i64 == 2.1'), ('i64 == "a"'), ('s == 1'), ('b == 1'), ('d == 1'), ('i8 == 300'), ('b < true'), ('b == "true"'), ('true == 1'),
	('j["a"] == j["b"]'), ('j["a"] == i64'), ('k == k2'), ('i64 == k'), ('s == sm'), ('ai == ai'), ('b == i64'), ('ai[0] == i64'),
	('ai == [1, 2]'), ('ai != []'), ('ai == ["a"]'), ('ai == [1, "a"]'), ('ai < [1]'), ('as == ["a", "b"]'), ('ai == 1'), ('ai[0] == "a"'), ('i64 == [1]'),
	('j["a"] == [1, "a", true]'), ('j["a"] < [1]'), ('j["a"] < "x"'), ('j["a"] == true'),
	('s + 1 == 2'), ('i64 + i32 == 3'), ('(i64 + 1) * 2 == 4'), ('2 - i64 == 1'), ('2 + i64 == 1'), ('f % 2 == 1'), ('f + 0.5 == 1'), ('j["a"] % 2 == 1'),
	('j["a"] + 1 == 2.5'), ('j["a"] + "a" == 2'), ('i64 + 1 == 2.0'), ('i64 + 1 == i32'), ('(i64 > 1) == true'), ('(i64 > 1) + 1 == 2'), ('ai + 1 == 2'),
	('ai[0] + 1 == 2'), ('i64 << 2 == 4'), ('~i64 == 4'), ('~4 == 4'), ('+i64 == 4'), ('i64 and true'), ('i64 == 1 and true'), ('1 and 2'), ('1'), ('"a"'), ('[1]'), ('i64 + 1'),
	('i64 in [1, "a"]'), ('i64 in 5'), ('i64 in i32'), ('5 in [5]'), ('ai in [[1]]'), ('i64 + 1 in [1]'), ('j["a"] in [1, [2]]'), ('s in ["a", 1]'), ('b in [true]'), ('i64 in [{x}]'),
	('9 < i64 < 7'), ('7 < i64 < 7'), ('7 <= i64 <= 7'), ('"a" < s < "b"'), ('1 < s < 2'), ('false < b < true'), ('1 < i64 < i32'), ('i32 < i64 < 9'), ('1 < i64 > 3'),
	('1 < j["a"] < 2.5'), ('1 < i64 + 1 < 3'), ('1 < $[si] < 3'), ('MATCH_ALL(sa, 1 < $[si] <= 3 and $[ss] != "x")'),
	('array_length(i64) == 1'), ('array_length(ai) == 1.5'), ('array_length(k) == 2'), ('array_length(ai) == i64'), ('array_length(ai)'),
	('json_contains(i64, 1)'), ('json_contains_all(ai, 1)'), ('json_contains_any(ai, ["a"])'), ('json_contains_all(j, [1, "a"])'), ('array_contains(ai, 1.5)'), ('ARRAY_CONTAINS_ALL(ai, [1, 2.5])'),
	('i64 like "a%"'), ('s like 5'), ('s like s'), ('j["a"] like "a%"'), ('s like "a\\"'), ('s like r"a\%"'), ('s + "a" like "b"'),
	('empty(s)'), ('starts_with(s, "a")'), ('Starts_With(s, sm)'), ('empty(i64)'), ('upper(s)'), ('json_Contains(j, 1)'), ('nothing()'),
	('exists i64 == 1'), ('exists m["a"] > 10'), ('exists ai'), ('text_match(i64, "a")'), ('text_match(sm, 5)'), ('text_match(sm, "a", minimum_should_match=0)'),
	('text_match(sm, "a", minimum_should_match=1001)'), ('text_match(sm, "a b", minimum_should_match=2)'), ('phrase_match(s, "q")'), ('phrase_match(sm, "a b", 2)'), ('phrase_match(sm, "a b", "c")'),
	('random_sample(0.5)'), ('not random_sample(0.5)'), ('random_sample(0.0)'), ('random_sample("a")'), ('i64 > 1 and (i32 > 1 and random_sample(0.5))'), ('(i64 > 1 and random_sample(0.5)) and i32 > 1'),
	('st_within(s, "POINT(0 0)")'), ('st_dwithin(g, "LINESTRING(0 0, 1 1)", 5)'), ('i64 > 1 or element_filter(sa, $[si] > 1)')
) AS v(filter);

-- constants
SELECT filter, verdict(filter) FROM (VALUES
	('i64 == 9223372036854775807'), ('i64 == 9223372036854775808'), ('i64 == -9223372036854775808'), ('i64 == -9223372036854775809'), ('i64 == 9223372036854775807 + 1'),
	('i64 == 0x1F'), ('i64 == 0b101'), ('i64 == 017'), ('i64 == 08'), ('d == 1e400'), ('d == .5'), ('d == 5.'), ('d == 1e3'), ('d == 0x1.8p3'), ('d == 1e308 * 10'),
	('i64 == 5 / 0'), ('i64 == 5 % 0'), ('d == 5 % 2.0'), ('i64 == 2 ** 62'), ('i64 == 2 ** 63'), ('s == "a" + 1'), ('s == "\q"'), ('s == "\x41\u00e9\101\n"'), ('s == "\xff"'), ('s == "\0"'),
	('s == u8"x"'), ('s == ''it\''s "here"'''), ('s == "a'), ('s == "中文"'), ('j["中文"] == 1'), ('中 == 1')
) AS v(filter);

-- templates
SELECT filter, params, verdict(filter, params) FROM (VALUES
	('i64 == {x}', '{"x": 1}'::jsonb), ('i64 == {x}', '{"x": 1.0}'), ('i64 == {x}', '{"x": "a"}'), ('i64 == {x}', '{}'), ('i64 == {x}', NULL), ('i64 == {x}', '{"x": null}'), ('i64 == {x}', '{"x": {"a": 1}}'),
	('{x} < i64', '{"x": 1}'), ('d == {x}', '{"x": 1}'), ('{x} == 1', '{"x": 1}'), ('{x} + 1 == 2', '{"x": 1}'), ('i64 + {x} == {y}', '{"x": 1, "y": 2}'), ('i64 + {x} == 2', '{"x": "a"}'), ('i64 / {x} == 2', '{"x": 0}'),
	('{x} <= i64 < {y}', '{"x": 1, "y": 2}'), ('i64 in {x}', '{"x": 1}'), ('i64 in {x}', '{"x": []}'), ('k in {x}', '{"x": [1, "a", 2.5]}'), ('s in {x}', '{"x": ["a", "it''s \"b\" \\ {c}"]}'),
	('s like {x}', '{"x": "a%"}'), ('s like {x}', '{"x": 1}'), ('s =~ {x}', '{"x": "^a\\d"}'), ('json_contains(j, {x})', '{"x": [1, 2]}'), ('json_contains_any(ai, {x})', '{"x": [1, 2]}'), ('json_contains_all(ai, {x})', '{"x": ["a"]}'),
	('ai == {x}', '{"x": [1, 2]}'), ('ts > {x}', '{"x": "2025-01-01"}'), ('text_match(sm, {x})', '{"x": "a b"}'), ('b == {x}', '{"x": true}'), ('i64 == {x} or i64 == {x}', '{"x": 1}'), ('{x}', '{"x": true}'), ('not {x}', '{"x": true}'),
	('j["a"] == {x}', '{"x": 99999999999999999999}'), ('MATCH_ANY(sa, $[si] == {x})', '{"x": 1}')
) AS v(filter, params);
SELECT milvus.explain_filter_schema(schema, 'i64 > 1', '[1]') FROM filter_schemas WHERE name = 'dyn';

-- precedence and syntax
SELECT filter, verdict(filter) FROM (VALUES
	('not i64 == 1'), ('not (i64 == 1)'), ('! (i64 == 1)'), ('NOT(i64 == 1) AND i32 > 1 OR i8 < 1'), ('i64 & 4 == 4'), ('i64 + 1 not in [1]'), ('i64 NOT IN [1,2,]'), ('i64 !in [1]'), ('i64 not  in [1]'),
	('i64 is null'), ('i64 is  null'), ('i64 IS NOT NULL'), ('i64 Is Null'), ('i64 == 1 And i32 == 1'), ('i64 = 1'), ('i64 == = 1'), ('i64 BETWEEN 1 AND 5 and i32 == 1'), ('i64 not between -1 and {x}'), ('i64 between 5 and 1'), ('s between "a" and "b"'),
	('d == -2 ** 2'), ('i64 == 2 * 3 + 4 % 3'), ('(((i64 > 1)))'), ('(i64 > 1'), ('i64 > 1)'), ('i64 >'), ('i64 > 1;'), ('i64 > 1 -- x'), ('i64 > 1 /* x */'), ('/'), ('[1, 2'), ('i64 in [,]'), ('f(,)'), ('()'),
	('i64 in[1]'), ('i64 in [1]and i32 > 1'), ('i64>1and i32>1'), ('s like "a" like "b"'), ('true and false or not true'), ('True == TRUE'), ('tRUE == true'), (''), (E' \t\n '), (E'i64 ==\n 1 and\n i32 = '), ('text_match(sm, "a", minimum_should_match==2)'), ('TEXT_MATCH(sm, "a")'), ('Text_Match(sm, "a")'),
	($$ts >= ISO '2025-01-01'$$), ($$ISO '2025-01-01T00:00:00+08:00' < ts$$), ($$not ts + INTERVAL 'P1D' > ISO '2025-01-01T00:00:00.5Z'$$), ($$ISO '2025-01-01' < ts <= ISO '2025-02-28 12:00:00'$$), ($$ts > ISO '2025-02-30'$$), ($$ts - INTERVAL 'P' > ISO '2025-01-01'$$), ($$ts - INTERVAL 'PT' > ISO '2025-01-01'$$), ($$ts - INTERVAL 'P5H' > ISO '2025-01-01'$$), ($$ts > INTERVAL 'P1D'$$), ($$s > ISO '2025-01-01'$$), ($$ts * INTERVAL 'P1D' > ISO '2025-01-01'$$), ($$ISO '2025-01-01'$$), ($$ts > 5$$), ($$ISO '2025-01-01' == ISO '2025-01-01'$$)
) AS v(filter);

-- regular expressions: RE2's
SELECT pattern, verdict('s =~ r"' || pattern || '"') FROM (VALUES
	('^a.c$'), ('(?i)abc'), ('(?s)a.c'), ('(?im)^a'), ('a(?i)b'), ('(?P<x>a)'), ('(?<x>a)'), ('(?:a|b)+?'), ('a(?=b)'), ('(?<!a)b'), ('(a)\1'), ('\bword\b'), ('\d+\.\D'), ('\pL'), ('a{2,3}'), ('a{2,'), ('a{3,2}'), ('a{1000}'),
	('a**'), ('*a'), ('+'), ('[a-z\d\]]'), ('[]a]'), ('[^]a]'), ('[[:alpha:]_]'), ('[[:nothing:]]'), ('[a'), ('(a'), ('a)'), ('\Qa.b\E.'), ('\x41\x{42}\103'), ('\z'), ('\Z'), ('\q'), ('***=a'), ('}]'), ('')
) AS v(pattern);

-- paths, as indexes and output fields name them
SELECT path, milvus.explain_path_schema(schema, path) FROM filter_schemas, (VALUES ('i64'), ('j'), ('j["a"]["b c"]'), ('j[0]["x''y"]'), ('color'), ('$meta["color"][1]'), ('ai[3]'), ('sa[si]'), ('sa[2][ss]')) AS v(path) WHERE name = 'dyn';
SELECT milvus.explain_path_schema(schema, 'i64 + 1') FROM filter_schemas WHERE name = 'dyn';
SELECT milvus.explain_path_schema(schema, 'color') FROM filter_schemas WHERE name = 'fixed';

-- depth and length are limited, length of chains is no depth
SELECT length(milvus.explain_filter_schema(schema, 'i64 == 1' || repeat(' or i32 == 2', 20000))) < 200 FROM filter_schemas WHERE name = 'dyn';
SELECT verdict(repeat('(', 200) || 'i64 == 1' || repeat(')', 200));
SELECT verdict('not (' || repeat('not (', 200) || 'i64 == 1' || repeat(')', 201));
SELECT right(verdict(repeat('not (', 300) || 'i64 == 1' || repeat(')', 300)), 70);
SELECT right(verdict(repeat('(', 100000) || 'i64 == 1'), 43);
SELECT right(verdict(repeat('-', 100000) || '1 == 1'), 70);
SELECT right(verdict('i64 == 1' || repeat('+1', 100000)), 70);
SELECT right(verdict(repeat('[', 100000)), 43);
SELECT right(verdict(repeat('i64 < ', 100000)), 70);

DROP FUNCTION verdict;
DROP TABLE facts, filter_rows, filter_schemas;
