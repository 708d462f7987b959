--
-- Bad input that is reported, not thrown (PostgreSQL 16 and later; on 15 the test
-- ends after the first query, and soft_errors_1.out is what it gives)
--
SELECT current_setting('server_version_num')::int < 160000 AS too_old \gset
\if :too_old
\quit
\endif

SELECT t, s, pg_input_is_valid(full_text, t) AS valid, e.sql_error_code, e.message, e.detail
	FROM (VALUES ('vector', '[1,2,3]'), ('vector', ' [1e-46] '), ('vector(3)', '[1,2]'), ('vector', '[]'), ('vector', '[1,2'),
		('vector', '1'), ('vector', '[1,a]'), ('vector', '[1]2'), ('vector', '[1e39]'), ('vector', '[NaN]'), ('vector', '[-inf]'),
		('vector', '[' || repeat('0,', 32768) || '0]'),
		('bfloat16vec', '[3.39e38]'), ('bfloat16vec', '[3.4e38]'), ('bfloat16vec(3)', '[1,2]'), ('bfloat16vec', '[x]'),
		('int8vec', '[-128,127]'), ('int8vec', '[128]'), ('int8vec', '[1.5]'), ('int8vec(3)', '[1,2]'), ('int8vec', '[]'),
		('sparsevec', '{2:1}/3'), ('sparsevec', '{2:1}'), ('sparsevec', '{4:1}/3'), ('sparsevec', '{1:1,1:1}/3'), ('sparsevec', '{1:nan}/3'),
		('sparsevec', '{1:1e39}/3'), ('sparsevec', '{}/0'), ('sparsevec', '{}/4294967296'), ('sparsevec(3)', '{}/4'),
		('halfvec', '[65519]'), ('halfvec', '[65520]'), ('halfvec(3)', '[1,2]'), ('halfvec', '[]'), ('halfvec', '[1;2]'), ('halfvec', '[1,NaN]'))
		AS v(t, full_text), LATERAL pg_input_error_info(full_text, t) AS e, LATERAL left(full_text, 10) AS s;
