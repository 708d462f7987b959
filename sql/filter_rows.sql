--
-- The filter language: which rows filters find, and the SQL they become
--

CREATE TABLE items (id bigint, i8 smallint, n bigint, f real, b boolean, s text COLLATE "C", title text, j jsonb, ts timestamptz,
	tags text[], nums bigint[], "sa[si]" integer[], "sa[ss]" text[], "$meta" jsonb);
INSERT INTO items VALUES
	(1, 1, 10, 0.5, true, 'apple', 'The quick brown fox jumps', '{"a": 1, "b": {"c": "x"}, "l": [1, 2, 3]}', '2025-01-31 10:00+00', '{red,green}', '{1,2,3}', '{1,2}', '{a,b}', '{"color": "red"}'),
	(2, -1, 20, 0.1, false, 'Banana', 'A brown dog, a quick fox', '{"a": "1", "l": [[1, 2], 4]}', '2025-02-28 10:00+00', '{}', '{}', '{}', '{}', '{"color": "blue", "size": 3}'),
	(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}'),
	(4, 5, -7, -2.5, true, 'a%b_c\d', 'quick', '{"a": null, "b": [10, 20], "l": "1"}', '2025-03-01 00:00+00', '{blue}', '{3}', '{5,2,2}', '{a,b,c}', '{"color": null, "0": "zero"}'),
	(5, 7, 9223372036854775807, 3.5, false, '', 'fox fox quick', '{"a": 1.0, "b": {"c": "y"}, "l": []}', '2024-02-29 23:59:59+00', '{"red, green","it''s"}', '{-1,9}', '{2}', '{z}', '{"size": 2.5}');

-- ids that a filter finds, with the filter's SQL; templates are parameters of a prepared statement
CREATE FUNCTION found(filter text, params jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	schema jsonb := '{"enable_dynamic_field": true, "fields": [{"name": "id", "data_type": "Int64"}, {"name": "i8", "data_type": "Int8"}, {"name": "n", "data_type": "Int64"},
		{"name": "f", "data_type": "Float"}, {"name": "b", "data_type": "Bool"}, {"name": "s", "data_type": "VarChar"},
		{"name": "title", "data_type": "VarChar", "params": {"enable_match": "true"}, "text_config": "pg_catalog.english"}, {"name": "j", "data_type": "JSON"}, {"name": "ts", "data_type": "Timestamptz"},
		{"name": "tags", "data_type": "Array", "element_type": "VarChar"}, {"name": "nums", "data_type": "Array", "element_type": "Int64"},
		{"name": "sa", "data_type": "Array", "element_type": "Struct", "fields": [{"name": "si", "data_type": "Int32"}, {"name": "ss", "data_type": "VarChar"}]}]}';
	lines text[] := regexp_split_to_array(milvus.explain_filter_schema(schema, filter, params), E'\n\\$[0-9]+ = ');
	result text;
BEGIN
	EXECUTE 'PREPARE filter_statement AS SELECT coalesce(string_agg(id::text, '','' ORDER BY id), ''none'') FROM items AS t WHERE ' || lines[1];
	EXECUTE 'EXECUTE filter_statement' || CASE WHEN array_length(lines, 1) > 1 THEN '(' || array_to_string(lines[2:], ', ') || ')' ELSE '' END INTO result;
	DEALLOCATE filter_statement;
	RETURN result;
END$$;

-- a null is unknown, also under not
SELECT filter, found(filter) FROM (VALUES (''), ('n > 0'), ('not (n > 0)'), ('n != 10'), ('not (n == 10) and not (n == 20)'), ('n in [10, 20]'), ('n not in [10, 20]'), ('not (n in [10] or b == true)'), ('n not in []'), ('n in []'),
	('n is null'), ('not (n is null)'), ('true'), ('not true'), ('n is null or n == 10'), ('f == 0.1'), ('f > 0.1'), ('f in [0.1, 3.5]'), ('i8 < 300'), ('i8 == 300'), ('i8 in [300, 5]'), ('i8 not in [300]'), ('b == true'), ('b != true')) AS v(filter);

-- arithmetic has no bounds
SELECT filter, found(filter) FROM (VALUES ('n + 1 > 0'), ('n * 9223372036854775807 > 0'), ('n - 9223372036854775807 == 0'), ('n * 2 == 20'), ('n * -3 >= 21'), ('n * 3 == 10'), ('n * 3 != 10'), ('n / 2 == 5'), ('n / -1 == 7'), ('n % 3 == 1'), ('n % 3 == -1'),
	('(n & 3) == 2'), ('(n | 1) == 11'), ('(n ^ 10) == 0'), ('f * 2 == 1'), ('f / 2.5 == -1'), ('5 == n / 2 or 20 <= n + 0'), ('n * 0 == 0'), ('n + 9223372036854775807 > 9223372036854775806')) AS v(filter);

-- keys of JSON: their type counts, their form does not
SELECT filter, found(filter) FROM (VALUES ('j["a"] == 1'), ('j["a"] == 1.0'), ('j["a"] == "1"'), ('j["a"] != 1'), ('not (j["a"] == 1)'), ('j["a"] != 2'), ('j["a"] < 2'), ('j["a"] in [1, "1"]'), ('j["a"] not in [2]'), ('j["a"] not in [2, "2"]'), ('j["a"] not in []'),
	('exists j["a"]'), ('j["a"] is null'), ('j["a"] is not null'), ('j["b"]["c"] == "x"'), ('j["b"]["c"] > "x"'), ('j["b"][1] == 20'), ('j["b"]["1"] == 20'), ('$meta["0"] == "zero"'), ('$meta[0] == "zero"'), ('j["l"] == [1, 2, 3]'), ('j["l"] != [1, 2, 3]'),
	('color == "red"'), ('color is null'), ('not (color == "red")'), ('size > 2'), ('size + 1 == 4'), ('size / 2 == 1'), ('size / 2 == 1.25'), ('size % 2 == 1'), ('(size & 1) == 1'), ('color like "%e%"'), ('color not in ["red"]'), ('1 < size < 3'), ('j["a"] like "1"'), ('array_length(j["l"]) >= 2'), ('array_length(j["l"]) < 2'),
	('json_contains(j["l"], 1)'), ('json_contains(j["l"], [1, 2])'), ('json_contains(j["l"], [2, 1])'), ('json_contains(j["l"], [1])'), ('not json_contains(j["l"], 1)'), ('json_contains_all(j["l"], [1, 3])'), ('json_contains_any(j["l"], [4, "1"])'), ('json_contains_all(j["l"], [])'), ('json_contains_any(j["l"], [])'), ('json_contains_any(j["l"], [[1, 2], 3])')) AS v(filter);

-- strings: patterns, escapes, order by bytes
SELECT filter, found(filter) FROM (VALUES ('s like "a%"'), ('s like "%\%%"'), ('s like "%\_%"'), ('s like r"%\\d"'), ('s like "%\\\\d"'), ('s like "_pple"'), ('not s like "a%"'), ('s like ""'), ('s like "%"'), ('s == "a%b_c\\d"'), ('s == r"a%b_c\d"'), ('s == ''a%b_c\\d'''), ('s < "a"'), ('s >= "a"'), ('"B" <= s < "b"'),
	('s =~ "^[aB]"'), ('s =~ "AN"'), ('s =~ "(?i)AN"'), ('s !~ "a"'), ('s =~ r"\\d$"'), ('s =~ r"\d"'), ('s =~ "an{1,2}a"'), ('title =~ r"\bfox\b.*quick"'), ('starts_with(s, "a")'), ('not starts_with(s, "a")'), ('starts_with(title, s)'), ('empty(s)'), ('not empty(s)'), ('s in ["apple", "", "it''s"]')) AS v(filter);

-- arrays and struct arrays
SELECT filter, found(filter) FROM (VALUES ('nums == [1, 2, 3]'), ('nums != [1, 2, 3]'), ('nums == []'), ('nums[0] == 1'), ('nums[1] > 0'), ('nums[9] == 1'), ('not (nums[9] == 1)'), ('nums[0] in [3, -1]'), ('array_contains(nums, 3)'), ('not array_contains(nums, 3)'), ('array_contains_all(nums, [1, 3])'), ('array_contains_any(nums, [9, 2])'), ('array_contains_any(nums, [])'), ('array_contains_all(nums, [])'), ('array_contains_all(nums, [1, 2.5])'),
	('array_length(nums) == 0'), ('array_length(nums) != 0'), ('array_contains(tags, "red, green")'), ('tags[0] like "r%"'), ('tags == ["red, green", "it''s"]'), ('MATCH_ANY(nums, $ > 2)'), ('MATCH_ALL(tags, $ like "%e%")'),
	('array_contains(sa[si], 2)'), ('sa[0][si] == 1'), ('sa[1][ss] == "b"'), ('array_length(sa[si]) == 2'), ('array_length(sa) > 2'), ('sa is null'), ('MATCH_ANY(sa, $[si] == 2)'), ('MATCH_ANY(sa, $[si] == 2 && $[ss] == "a")'), ('MATCH_ANY(sa, $[si] == 2 && $[ss] == "b")'), ('not MATCH_ANY(sa, $[si] == 2)'), ('MATCH_ALL(sa, $[si] >= 2)'), ('not MATCH_ALL(sa, $[si] >= 2)'), ('MATCH_LEAST(sa, $[si] == 2, threshold=2)'), ('MATCH_MOST(sa, $[si] == 2, threshold=1)'), ('MATCH_EXACT(sa, $[si] > 1, threshold=0)'), ('MATCH_EXACT(sa, $[si] < i8, threshold=2)'),
	('element_filter(sa, $[si] > 1 && $[ss] in ["b", "z"])'), ('n > 0 && element_filter(sa, 1 < $[si] <= 2)'), ('MATCH_ANY(sa, not ($[si] == 2 or $[ss] == "a"))')) AS v(filter);

-- timestamps do not depend on the session's settings
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German, DMY';
SET intervalstyle = 'sql_standard';
SELECT filter, found(filter) FROM (VALUES ($$ts > ISO '2025-01-31T10:00:00Z'$$), ($$ts >= ISO '2025-01-31T18:00:00+08:00'$$), ($$ISO '2025-03-01' <= ts$$), ($$ISO '2025-01-01' < ts < ISO '2025-03-01T00:00:00Z'$$), ($$ts + INTERVAL 'P1M' == ISO '2025-02-28T10:00:00Z'$$), ($$ts + INTERVAL 'P28D' == ISO '2025-02-28T10:00:00Z'$$), ($$ts - INTERVAL 'P1Y' < ISO '2024-01-01'$$), ($$ts + INTERVAL 'PT1S' == ISO '2024-03-01'$$), ($$not ts == ISO '2024-02-29T23:59:59Z'$$), ($$ts != ISO '2024-02-29T23:59:59.000001Z'$$), ('ts is null')) AS v(filter);
RESET timezone;
RESET datestyle;
RESET intervalstyle;

-- text search: the field's configuration stems, and drops stop words
SELECT filter, found(filter) FROM (VALUES ('text_match(title, "foxes")'), ('text_match(title, "dog jump")'), ('text_match(title, "the")'), ('text_match(title, "quick brown dog", minimum_should_match=3)'), ('text_match(title, "quick brown dog", minimum_should_match=2)'), ('not text_match(title, "dog")'), ('phrase_match(title, "quick brown")'), ('phrase_match(title, "brown fox")'), ('phrase_match(title, "quick fox")'), ('phrase_match(title, "quick fox", 1)'), ('phrase_match(title, "brown quick", 3)'), ('phrase_match(title, "fox quick")'), ('phrase_match(title, "fox fox")'), ('phrase_match(title, "fox & | ! :* ''\\")'), ('not phrase_match(title, "quick fox", 1)'), ('text_match(title, "'' | ''quick")')) AS v(filter);
SELECT milvus.filter_match_query('simple', 'b a b ''c\d'), numnode(milvus.filter_match_query('simple', ' ')) = 0 AS empty;
SELECT milvus.filter_phrase_slop(to_tsvector('simple', t), 'simple', p) FROM (VALUES ('a b c', 'a b c'), ('a x b c', 'a b c'), ('c b a', 'a b c'), ('a b', 'a b c'), ('a a b', 'a a b'), ('', 'a'), ('a', '')) AS v(t, p);
SELECT milvus.filter_json_contains(v, '[1]') FROM (VALUES ('[[1]]'::jsonb), ('[[1.0], 2]'), ('[[1, 2]]'), ('[1]'), ('1'), ('{"a": [1]}')) AS x(v);

-- templates
SELECT filter, params, found(filter, params) FROM (VALUES ('n == {x}', '{"x": 10}'::jsonb), ('s == {x} or s in {y}', '{"x": "a%b_c\\d", "y": ["apple", "it''s {x}"]}'), ('color == {x}', '{"x": "red"}'), ('j["a"] in {x}', '{"x": [1, "1"]}'), ('tags == {x}', '{"x": ["red, green", "it''s"]}'), ('n + {x} < {y}', '{"x": 5, "y": 20}'),
	('i8 in {x}', '{"x": [1, 70000]}'), ('f > {x}', '{"x": 0}'), ('s like {x}', '{"x": "%\\%%"}'), ('s =~ {x}', '{"x": "^.?a.*e$"}'), ('json_contains(j["l"], {x})', '{"x": [1, 2]}'), ('json_contains_any(j["l"], {x})', '{"x": [4, 3, "1"]}'), ('not json_contains_any(j["l"], {x})', '{"x": [4, 3]}'), ('array_contains_any(nums, {x})', '{"x": [9, 2]}'), ('text_match(title, {x})', '{"x": "dog"}'), ('MATCH_ANY(sa, $[si] == {x} and $[ss] == {y})', '{"x": 2, "y": "z"}'), ('n not in {x}', '{"x": []}'), ('color not in {x}', '{"x": []}'), ('n in {x}', '{"x": []}')) AS v(filter, params);

-- nothing of a filter's text is SQL
SELECT filter, found(filter) FROM (VALUES ('s == "'' or true or ''"'), ('s == "\\'' or true --"'), ('j["'' or true or ''"] == 1'), ('j["a\") or true --"] == 1'), ('s in ["''}'' or true", "\"}"]'), ('s like "\\\\'' or true --"'), ('tags == ["a\",\"b", "\\"]'), ('color in ["\\\"", "}'']"]'), ('s =~ "'' or true"')) AS v(filter);
-- nor do operators and functions of other schemas count
CREATE SCHEMA evil;
CREATE FUNCTION evil.always(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (FUNCTION = evil.always, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR evil.>= (FUNCTION = evil.always, LEFTARG = bigint, RIGHTARG = bigint);
CREATE FUNCTION evil.cardinality(anyarray) RETURNS integer LANGUAGE sql AS 'SELECT 77';
CREATE DOMAIN evil.int8 AS text;
SET client_min_messages = warning;
SET search_path = evil, pg_catalog, public;
SELECT found('n == 10 and array_length(nums) == 3 and n >= 10');
RESET search_path;
DROP SCHEMA evil CASCADE;
RESET client_min_messages;

-- indexes serve filters
CREATE TABLE many AS SELECT i AS id, i % 1000 AS n, ('s' || i % 1000) COLLATE "C" AS s, jsonb_build_object('k', i % 1000, 't', ARRAY[i % 1000, i % 7]) AS "$meta",
	ARRAY[i % 1000, i % 3] AS nums, 'word' || i % 1000 || ' common' AS title, ARRAY[i % 1000, 5] AS "sa[si]", '2025-01-01 UTC'::timestamptz + i * interval '1 hour' AS ts
	FROM generate_series(1, 20000) i;
ALTER TABLE many ALTER n TYPE bigint, ALTER nums TYPE bigint[];
CREATE INDEX many_n ON many (n);
CREATE INDEX many_s ON many (s);
CREATE INDEX many_k ON many (("$meta" -> 'k'));
CREATE INDEX many_t ON many USING gin (("$meta" -> 't'));
CREATE INDEX many_nums ON many USING gin (nums);
CREATE INDEX many_title ON many USING gin (to_tsvector('simple', title));
CREATE INDEX many_si ON many USING gin ("sa[si]");
CREATE INDEX many_ts ON many (ts);
ANALYZE many;
CREATE FUNCTION index_of(filter text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found text := 'none';
	condition text := milvus.explain_filter_schema('{"enable_dynamic_field": true, "fields": [{"name": "n", "data_type": "Int64"}, {"name": "s", "data_type": "VarChar"}, {"name": "nums", "data_type": "Array", "element_type": "Int64"},
		{"name": "title", "data_type": "VarChar", "enable_match": true}, {"name": "ts", "data_type": "Timestamptz"}, {"name": "sa", "data_type": "Array", "element_type": "Struct", "fields": [{"name": "si", "data_type": "Int32"}]}]}', filter);
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT * FROM many AS t WHERE ' || condition LOOP
		found := coalesce(substring(line from 'Index Scan (?:using|on) (many_\w+)'), found);
	END LOOP;
	RETURN found;
END$$;
SELECT filter, index_of(filter) FROM (VALUES ('n == 5'), ('n in [5, 6]'), ('5 <= n <= 6'), ('n + 1 == 6'), ('n * 2 < 4'), ('n == 5 or n == 7'), ('not (n != 5)'), ('s == "s5"'), ('s like "s99%"'), ('s < "s1"'), ('starts_with(s, "s99")'), ('k == 5'), ('k > 998'), ('k in [5, 6]'), ('k + 1 == 6'),
	('json_contains(t, 5)'), ('json_contains_any(t, [55, 56])'), ('array_contains(nums, 5)'), ('array_contains_any(nums, [15, 16])'), ('text_match(title, "word5 word6")'), ('phrase_match(title, "word5 common")'), ('MATCH_ANY(sa, $[si] == 77)'),
	($$ts < ISO '2025-01-02T00:00:00Z'$$), ($$ts + INTERVAL 'P1D' < ISO '2025-01-03T00:00:00Z'$$), ('n % 10 == 3')) AS v(filter);

-- a sample is some of the rows that match
DO $$
DECLARE
	condition text := milvus.explain_filter_schema('{"fields": [{"name": "id", "data_type": "Int64"}]}', 'id > 10000 and random_sample(0.5)');
	found int;
BEGIN
	RAISE NOTICE '%', condition;
	EXECUTE 'SELECT count(*) FROM many AS t WHERE ' || condition INTO found;
	RAISE NOTICE 'about half: %', found BETWEEN 4000 AND 6000;
END$$;

DROP TABLE items, many;
DROP FUNCTION found, index_of;
