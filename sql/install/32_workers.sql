-- Background workers: who works, at what, and having it done now.

CREATE FUNCTION milvus.list_workers(OUT pid integer, OUT database oid, OUT role text,
	OUT state text, OUT since timestamptz, OUT job text, OUT relid oid, OUT wakeups bigint, OUT delays bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_list_workers' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 5;
COMMENT ON FUNCTION milvus.list_workers() IS 'the launcher and the workers; milvus.workers shows them';

CREATE FUNCTION milvus.list_jobs(OUT database oid, OUT relid oid, OUT kind text, OUT state text,
	OUT pid integer, OUT done bigint, OUT total bigint, OUT queued timestamptz, OUT due timestamptz,
	OUT started timestamptz, OUT attempts integer, OUT last_error text, OUT new_rows bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'milvus_list_jobs' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION milvus.list_jobs() IS 'the queue of background work; milvus.jobs shows it';

CREATE FUNCTION milvus.run_jobs() RETURNS integer
	AS 'MODULE_PATHNAME', 'milvus_run_jobs' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION milvus.run_jobs() IS
	'do the background work that is due in this database now, and wait for it; returns the number of jobs done';
REVOKE EXECUTE ON FUNCTION milvus.run_jobs() FROM PUBLIC;

CREATE VIEW milvus.workers AS
	SELECT w.pid, d.datname AS database, w.role, w.state, w.since, w.job,
		CASE WHEN d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() THEN w.relid::pg_catalog.regclass END AS relation,
		w.wakeups, w.delays
	FROM milvus.list_workers() w LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) w.database;
COMMENT ON VIEW milvus.workers IS 'the launcher, the workers, and databases whose worker sleeps';
GRANT SELECT ON milvus.workers TO PUBLIC;

CREATE VIEW milvus.jobs AS
	SELECT d.datname AS database,
		CASE WHEN d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() THEN j.relid::pg_catalog.regclass END AS relation,
		j.relid, j.kind, j.state, j.pid, j.done, j.total, j.queued, j.due, j.started, j.attempts,
		j.last_error, j.new_rows
	FROM milvus.list_jobs() j LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) j.database;
COMMENT ON VIEW milvus.jobs IS 'background work that is queued, running or backing off';
GRANT SELECT ON milvus.jobs TO PUBLIC;
