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
		('halfvec', '[65519]'), ('halfvec', '[65520]'), ('halfvec(3)', '[1,2]'), ('halfvec', '[]'), ('halfvec', '[1;2]'), ('halfvec', '[1,NaN]'))
		AS v(t, full_text), LATERAL pg_input_error_info(full_text, t) AS e, LATERAL left(full_text, 10) AS s;
