# Background workers: they do what is asked for, show themselves, back off after
# errors, leave a database to who wants it to himself, stop with the server, sleep
# when there is nothing to do; and what happens without preload.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MilvusTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Rows past the limit, fewer than those at which the inserter seals himself.
my $limit = 500;
my $node = new_node('main', conf => qq{
	shared_preload_libraries = 'milvus'
	milvus.growing_rows = $limit
	max_worker_processes = 16
	max_prepared_transactions = 2
	restart_after_crash = on
	log_min_messages = info});

# debug_point($points): what all processes stop at from now on.
sub debug_point
{
	my ($points) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET milvus.debug_point = '$points'");
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	return;
}

# wake(): jobs that sleep are cancelled, and done when they are tried again.
sub wake
{
	debug_point('');
	$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM milvus.jobs WHERE state = 'running'});
	return;
}

# add_index($dbname): a table and its index.
sub add_index
{
	my ($dbname) = @_;
	$node->safe_psql($dbname, 'CREATE TABLE items (id int PRIMARY KEY, v vector(4));
		CREATE INDEX items_v ON items USING ann (v vector_l2_ops)');
	return;
}

# add_rows($dbname, $first, $settings): rows past the limit.
sub add_rows
{
	my ($dbname, $first, $settings) = @_;
	my $last = $first + 2 * $limit - 1;
	$settings //= '';
	$node->safe_psql($dbname, "$settings INSERT INTO items SELECT i, ARRAY[i, 1, 2, 3]::real[] FROM generate_series($first, $last) i");
	return;
}

# becomes($query, $what, $dbname): passes when the query gives true in the end.
sub becomes
{
	my ($query, $what, $dbname) = @_;
	return ok($node->poll_query_until($dbname // 'postgres', "SELECT $query"), $what);
}

# running($dbname): a condition on a job of the database that sleeps in a worker.
sub running
{
	my ($dbname) = @_;
	return "(SELECT count(*) = 1 FROM milvus.jobs WHERE database = '$dbname' AND state = 'running')";
}

my $sealed = "(SELECT sealed_rows > 0 FROM milvus.index_stats('items_v'))";
my $nothing_left = '(SELECT count(*) = 0 FROM milvus.jobs)';

# ---- who is there ----

becomes(q{(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'milvus launcher')}, 'a launcher runs');
becomes(q{(SELECT state = 'sleeping' AND pid IS NULL FROM milvus.workers WHERE database = 'postgres')},
	'the database of CREATE EXTENSION is known, its worker sleeps');
is($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.workers WHERE database IN ('template0', 'template1')}), 0,
	'databases without the extension are not listed');

# ---- a job ----

add_index('postgres');
debug_point('seal-before-publish:sleep');
add_rows('postgres', 1);
becomes(running('postgres'), 'a full growing part becomes a job');
is($node->safe_psql('postgres', q{
	SELECT j.kind, j.relation, j.attempts, j.pid = w.pid, w.role, w.state, w.relation, a.backend_type, a.query
	FROM milvus.jobs j, milvus.workers w JOIN pg_stat_activity a USING (pid) WHERE w.role = 'worker'}),
	'seal index|items_v|0|t|worker|running|items_v|milvus worker|milvus: seal index public.items_v',
	'it is seen in milvus.jobs, milvus.workers and pg_stat_activity');
becomes(q{(SELECT done = total AND total BETWEEN 1000 AND 2000 FROM milvus.jobs)}, 'its progress, too: rows read and rows built');

# ---- permissions ----

$node->safe_psql('postgres', 'CREATE ROLE somebody LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
	CREATE DATABASE other;');
$node->safe_psql('other', 'CREATE EXTENSION milvus');
# the count of jobs of the first database that a role sees from a database
foreach my $case (['somebody', 'postgres', 1], ['somebody', 'other', 0], ['monitor', 'other', 1])
{
	my ($role, $dbname, $count) = @$case;
	is($node->safe_psql($dbname, "SET ROLE $role; SELECT count(*) FROM milvus.jobs WHERE kind = 'seal index'"),
		$count, "what $role sees from $dbname");
}
isnt($node->psql('postgres', 'SET ROLE somebody; SELECT milvus.run_jobs()'), 0, 'not everybody has jobs run');

# ---- cancelled: an error, and back-off ----

debug_point('job-begins:error');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM milvus.jobs WHERE state = 'running'});
becomes(q{(SELECT state = 'backing off' AND attempts >= 2 AND due > queued AND last_error = 'stopped at debug point "job-begins"' FROM milvus.jobs)},
	'a job that fails is tried again later, its error is kept');
is($node->safe_psql('postgres', 'SET ROLE somebody; SELECT count(last_error) FROM milvus.jobs'), 0,
	'others do not see the error');
my $rows = 2 * $limit;
$node->safe_psql('postgres', qq{CREATE TABLE gone (v vector(4));
	CREATE INDEX gone_v ON gone USING ann (v vector_l2_ops);
	INSERT INTO gone SELECT ARRAY[i, 1, 2, 3]::real[] FROM generate_series(1, $rows) i});
becomes(q{(SELECT count(*) = 2 FROM milvus.jobs WHERE state = 'backing off' AND last_error <> '')}, 'another job fails');
$node->safe_psql('postgres', q{BEGIN; DROP TABLE gone; PREPARE TRANSACTION 'drop'});
$node->safe_psql('postgres', q{COMMIT PREPARED 'drop'});
is($node->safe_psql('postgres', 'SET ROLE somebody; SELECT count(last_error) FROM milvus.jobs'), 0,
	'not those about a relation that is gone either');
debug_point('');
becomes($sealed, 'it succeeds in the end');
becomes($nothing_left, 'and is no job any more');
becomes(q{(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'milvus worker')}, 'the worker leaves');
is(check_index($node, 'items_v'), '', 'no problem');
like(slurp_file($node->logfile), qr/ERROR:  stopped at debug point "job-begins"\n.*CONTEXT:  background job "seal index" of relation/,
	'errors are in the log');

# ---- idle ----

# nobody_wakes_up($what): the launcher's counter moves with every start and end of a worker, too.
sub nobody_wakes_up
{
	my ($what) = @_;
	my $wakeups = 'SELECT sum(wakeups) FROM milvus.workers';
	my $before = $node->safe_psql('postgres', $wakeups);
	sleep 11;
	is($node->safe_psql('postgres', $wakeups), $before, $what);
	return;
}
nobody_wakes_up('nobody wakes up while there is nothing to do');

# ---- commands that want a database to themselves ----

# busy($dbname): a new database with a job that sleeps.
sub busy
{
	my ($dbname) = @_;
	debug_point('');
	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	$node->safe_psql($dbname, 'CREATE EXTENSION milvus');
	add_index($dbname);
	debug_point('seal-before-publish:sleep');
	add_rows($dbname, 1);
	becomes(running($dbname), "a job in database $dbname");
	return;
}

my $offset = -s $node->logfile;
busy('dropped');
is($node->psql('postgres', 'DROP DATABASE dropped'), 0, 'DROP DATABASE');
is($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.list_jobs() WHERE database NOT IN (SELECT oid FROM pg_database)}),
	0, 'its jobs go with it');

busy('source');
is($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE source'), 0, 'CREATE DATABASE with a database at work as template');
becomes(running('source'), 'its job is done anew');
is($node->psql('postgres', 'ALTER DATABASE source RENAME TO renamed'), 0, 'ALTER DATABASE RENAME');
becomes(running('renamed'), 'its job is done anew');
{
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN');
	isnt($node->psql('postgres', 'DROP DATABASE renamed WITH (nonsense)'), 0, 'a command that is refused');
	becomes(running('renamed'), 'stops nobody for long');
	$session->quit;
}
{
	my $worker = q{SELECT pid FROM milvus.workers WHERE database = 'renamed' AND state = 'running'};
	my $pid = $node->safe_psql('postgres', $worker);
	$node->safe_psql('postgres', 'CREATE ROLE maker CREATEDB');
	isnt($node->psql('postgres', 'SET ROLE maker; CREATE DATABASE mine TEMPLATE renamed', on_error_stop => 1), 0,
		'a copy by somebody who may not');
	is($node->safe_psql('postgres', $worker), $pid, 'stops nobody at all');
}
mkdir $node->basedir . '/space';
my $space = $node->basedir . '/space';
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
is($node->psql('postgres', 'ALTER DATABASE renamed SET TABLESPACE space'), 0, 'ALTER DATABASE SET TABLESPACE');
becomes(running('renamed'), 'its job is done anew');
unlike(slurp_file($node->logfile, $offset), qr/FATAL|could not open|PANIC|TRAP/, 'all of it without a fuss');

# whoever takes the table when the job was cancelled may not keep it from being done
{
	my $session = $node->background_psql('renamed');
	$session->query_until(qr/begun/, "\\echo begun\nBEGIN; LOCK TABLE items;\n");
	becomes(q{(SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock')}, 'somebody wants the table');
	$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM milvus.workers WHERE database = 'renamed' AND state = 'running'});
	sleep 3;
	is($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.jobs WHERE database = 'renamed' AND state <> 'running'}), 1,
		'a job whose table is locked waits');
	$session->query_safe('ROLLBACK');
	$session->quit;
	becomes(running('renamed'), 'and is done');
}

is($node->psql('renamed', 'BEGIN; DROP EXTENSION milvus CASCADE; ROLLBACK'), 0, 'DROP EXTENSION rolled back');
becomes(running('renamed'), 'its job is done anew');
is($node->psql('renamed', 'DROP EXTENSION milvus CASCADE'), 0, 'DROP EXTENSION with a job at work');
becomes(q{(SELECT count(*) = 0 FROM milvus.jobs WHERE database = 'renamed')}, 'its jobs go with it');
becomes(q{(SELECT count(*) = 0 FROM milvus.workers WHERE database = 'renamed')}, 'its worker, too');
$node->safe_psql('renamed', 'CREATE EXTENSION milvus; DROP TABLE items');
becomes(q{(SELECT count(*) = 1 FROM milvus.workers WHERE database = 'renamed')}, 'and comes back with it');

# the copy has the growing rows of its template; nobody has asked for work in it
becomes(running('copy'), 'the work of a copy is found');
wake();
becomes($sealed, 'and done', 'copy');
is(check_index($node, 'items_v', dbname => 'copy'), '', 'no problem');
is($node->safe_psql('copy', 'SELECT milvus.run_jobs()'), 0, 'no more to do');
debug_point('seal-before-publish:error');
add_rows('copy', 10001, 'SET milvus.growing_rows = 100000;');
my ($rc, $out, $err) = $node->psql('copy', 'SELECT milvus.run_jobs()');
is($out, 0, 'run_jobs with an error');
like($err, qr/WARNING:  1 background job failed\nDETAIL:  The last error was: stopped at debug point "seal-before-publish"/, 'it says so');
debug_point('');
is($node->safe_psql('copy', 'SELECT milvus.run_jobs()'), 1, 'without the error');

# ---- tables ----

sub rows_in
{
	my ($state) = @_;
	return "(SELECT coalesce(sum(rows), 0) FROM milvus.table_segments('docs') WHERE state = '$state')";
}
$node->safe_psql('postgres', q{
	CREATE TABLE docs (id int PRIMARY KEY, words text) USING milvus;
	SELECT milvus.alter_table_options('docs', '{"segment_rows": 5000, "min_rows": 100, "segment_age": 3600, "compact_ratio": 0.2}');
	CREATE TABLE docs_copy AS SELECT i AS id, 'words of row ' || i AS words FROM generate_series(1, 12000) i;
	CREATE FUNCTION differ() RETURNS bigint LANGUAGE sql AS
		'SELECT count(*) FROM ((TABLE docs EXCEPT ALL TABLE docs_copy) UNION ALL (TABLE docs_copy EXCEPT ALL TABLE docs)) d'});
$node->safe_psql('postgres', 'INSERT INTO docs TABLE docs_copy ORDER BY id LIMIT 3000');
becomes(q{(SELECT state = 'scheduled' AND due > now() + interval '50 minutes' AND new_rows = 3000 FROM milvus.jobs WHERE relation = 'docs'::regclass)},
	'a few rows are sealed when they are old enough');
is($node->safe_psql('postgres', 'SELECT ' . rows_in('Flushed')), 0, 'not before');
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM docs');
$node->safe_psql('postgres', 'INSERT INTO docs SELECT * FROM docs_copy WHERE id > 3000');
becomes(q{(SELECT state = 'scheduled' AND new_rows >= 9000 AND due < now() + interval '1 minute' FROM milvus.jobs WHERE relation = 'docs'::regclass AND kind = 'seal table')},
	'rows that somebody does not see yet are tried again');
$reader->query_safe('COMMIT');
$reader->quit;
becomes(rows_in('Flushed') . ' >= 8000', 'many rows are sealed by themselves');
is($node->safe_psql('postgres', 'SELECT differ()'), 0, 'the rows are the same');
$node->safe_psql('postgres', 'DELETE FROM docs WHERE id % 3 = 0; DELETE FROM docs_copy WHERE id % 3 = 0; VACUUM docs');
becomes("(SELECT bool_and(deleted_rows = 0) FROM milvus.table_segments('docs'))", 'VACUUM has segments with dead rows written anew');
is($node->safe_psql('postgres', 'SELECT differ()'), 0, 'the rows are the same');
is($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.check_table('docs')}), 0, 'no problem');

# 2,000 rows are left: too few for a segment, and too young
my $later = q{(SELECT bool_and(state = 'scheduled' AND due > now() + interval '50 minutes') FROM milvus.jobs)
	AND (SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'milvus worker')};
becomes($later, 'after a load the workers leave');
$node->safe_psql('postgres', 'VACUUM docs');
becomes($later, 'after a VACUUM, too, and rows that were left are not forgotten');
nobody_wakes_up('nobody wakes up for rows that are too young');
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM docs") - $node->safe_psql('postgres', 'SELECT ' . rows_in('Flushed')),
	'>=', 100, 'there are such rows');

$node->safe_psql('postgres', 'ALTER SYSTEM SET milvus.seal_eagerly = on; SELECT pg_reload_conf()');
becomes(q{(SELECT count(*) = 1 FROM milvus.workers WHERE role = 'eager worker' AND database = 'postgres')}, 'eager workers');
$node->safe_psql('postgres', q{INSERT INTO docs SELECT i, 'more words of row ' || i FROM generate_series(20001, 20100) i;
	INSERT INTO docs_copy SELECT i, 'more words of row ' || i FROM generate_series(20001, 20100) i});
becomes(rows_in('Growing') . ' = 0', 'seal every row');
is($node->psql('postgres', 'CREATE DATABASE eager TEMPLATE postgres'), 0, 'and give way');
is($node->psql('postgres', 'DROP DATABASE eager'), 0, 'also when they are new');
is($node->safe_psql('postgres', 'SELECT differ()'), 0, 'the rows are the same');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET milvus.seal_eagerly; SELECT pg_reload_conf()');
becomes(q{(SELECT count(*) = 0 FROM milvus.workers WHERE role = 'eager worker')}, 'until they are not wanted');
$node->safe_psql('postgres', 'DROP TABLE docs, docs_copy CASCADE');
becomes($nothing_left, 'the jobs of a table that was dropped go away');
$node->safe_psql('postgres', q{CREATE TABLE late (id int, words text) USING milvus;
	INSERT INTO late SELECT i, 'words of row ' || i FROM generate_series(1, 10) i});
is($node->safe_psql('postgres', q{BEGIN; DROP TABLE late; ROLLBACK; SELECT state FROM milvus.jobs}), 'scheduled',
	'a job that is due later');
is($node->safe_psql('postgres', q{DROP TABLE late; SELECT count(*) FROM milvus.jobs}), 0, 'goes with its table');

# ---- progress ----

# progress($kind, $done, $total): what a job that sleeps says, as conditions on x.
sub progress
{
	my ($kind, $done, $total, $what) = @_;
	becomes("(SELECT count(*) = 1 FROM milvus.jobs WHERE kind = '$kind' AND relation = 'steps'::regclass AND state = 'running'
		AND done $done AND total $total)", $what);
	return;
}
$node->safe_psql('postgres', q{CREATE TABLE steps (id int, words text) USING milvus;
	SELECT milvus.alter_table_options('steps', '{"segment_rows": 5000, "min_rows": 100, "compact_ratio": 0.2}')});
debug_point('table-seal-page:sleep');
$node->safe_psql('postgres', q{INSERT INTO steps SELECT i, 'words of row ' || i FROM generate_series(1, 5000) i});
my $pages = $node->safe_psql('postgres', q{SELECT pg_relation_size('steps') / current_setting('block_size')::int});
cmp_ok($pages, '>', 10, 'a table of some pages');
progress('seal table', "= $pages", "= 2 * $pages", 'a seal that has copied its pages and rewritten none');
wake();
becomes(q{(SELECT count(*) = 1 FROM milvus.table_segments('steps') WHERE state = 'Flushed')}, 'it goes on');
debug_point('table-compact-page:sleep');
$node->safe_psql('postgres', 'DELETE FROM steps WHERE id % 3 = 0; VACUUM steps');
progress('compact table', 'BETWEEN 10001 AND 14999', '= 15000', 'a compaction that has written its rows and changed the first page');
wake();
becomes(q{(SELECT rows = 3334 AND state = 'Flushed' FROM milvus.table_segments('steps'))}, 'it goes on');
# a cache file for each column, and for the rows' places
$node->safe_psql('postgres', q{SELECT milvus.load_table('steps')});
debug_point('cache-file-warm:sleep');
$node->safe_psql('postgres', 'ALTER SYSTEM SET milvus.max_workers = 8; ALTER SYSTEM SET milvus.worker_cost_limit = 1');
$node->restart;
progress('warm cache', '= 0', '= 3', 'a warm-up that has verified one file, and has not counted it yet');
# the indexes of both databases have files, too
becomes(q{(SELECT count(*) >= 3 AND bool_and(delays > 0) FROM milvus.workers WHERE job LIKE 'warm cache%')},
	'warm-up of tables and indexes is throttled');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET milvus.worker_cost_limit; ALTER SYSTEM RESET milvus.max_workers');
wake();
becomes(q{(SELECT count(*) = 0 FROM milvus.jobs WHERE kind = 'warm cache')}, 'it goes on');
$node->safe_psql('postgres', 'DROP TABLE steps');

# ---- work that sessions wait for ----

# launch($dbname, $query): begun in a session of its own; its errors are in ->{stderr} after ->quit.
sub launch
{
	my ($dbname, $query) = @_;
	my $session = $node->background_psql($dbname, on_error_stop => 0);
	$session->query_until(qr/begun/, "\\echo begun\n$query;\n");
	return $session;
}
# helped($point, $query): a new database with a table, and a session there whose worker sleeps at a point.
sub helped
{
	my ($point, $query) = @_;
	debug_point('');
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS helped WITH (FORCE)');
	$node->safe_psql('postgres', 'CREATE DATABASE helped');
	$node->safe_psql('helped', q{CREATE EXTENSION milvus; CREATE TABLE rows (id int, words text) USING milvus;
		SELECT milvus.alter_table_options('rows', '{"auto_seal": false}');
		INSERT INTO rows SELECT i, 'words of row ' || i FROM generate_series(1, 5000) i;
		CREATE TABLE numbers (n bigint);
		INSERT INTO numbers SELECT pg_relation_size('rows') / current_setting('block_size')::int});
	$node->safe_psql('helped', q{SELECT milvus.flush_table('rows'); DELETE FROM rows WHERE id % 3 = 0}) if $query =~ /compact/;
	debug_point($point);
	my $session = launch('helped', $query);
	$node->poll_query_until('helped', q{SELECT count(*) = 1 FROM milvus.jobs WHERE state = 'running'})
	  or die "nothing runs for $query";
	return $session;
}
my $whose = q{SELECT w.role, w.state, w.relation, j.relation, j.kind, j.state, j.pid = w.pid, w.job = j.kind || ' ' || j.relid, a.query
	FROM milvus.workers w JOIN milvus.jobs j USING (pid) JOIN pg_stat_activity a USING (pid)};

my $helped = helped('table-seal-page:sleep', q{SELECT milvus.flush_table('rows')});
is($node->safe_psql('helped', $whose), 'session worker|running|rows|rows|seal table|running|t|t|milvus: seal table public.rows',
	'the worker of flush_table is seen');
becomes('(SELECT done = n AND total = 2 * n FROM milvus.jobs, numbers)', 'and its progress', 'helped');
is($node->psql('helped', 'DROP EXTENSION milvus CASCADE'), 0, 'DROP EXTENSION stops it');
$helped->quit;
like($helped->{stderr}, qr/ERROR:  background work was stopped because a command wants the database to itself/, 'the session is told');
is($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.list_workers() w JOIN pg_database d ON d.oid = w.database WHERE datname = 'helped'}),
	0, 'it has left');

$helped = helped('table-compact-page:sleep', q{SELECT milvus.compact_table('rows', 'merge')});
is($node->safe_psql('helped', $whose),
	'session worker|running|rows|rows|compact table|running|t|t|milvus: compact table public.rows', 'the worker of compact_table');
is($node->psql('postgres', 'DROP DATABASE helped WITH (FORCE)'), 0, 'DROP DATABASE stops it');
# psql has left, too
$helped->{run}->finish;

$helped = helped('table-seal-page:sleep', 'BEGIN; SELECT milvus.flush_table(\'rows\')');
$node->safe_psql('helped', 'SELECT pg_terminate_backend(pid) FROM milvus.workers WHERE pid IS NOT NULL AND role = \'session worker\'');
$helped->quit;
like($helped->{stderr}, qr/ERROR:  the background worker has ended before its work was done/, 'one that is terminated is not taken for one that was told to leave');

$helped = helped('job-begins:sleep', q{SELECT milvus.run_jobs()});
like($node->safe_psql('helped', $whose), qr/^session worker\|running\|.*\|running\|t\|/, 'the worker of run_jobs');
my $dropper = $node->background_psql('helped');
$dropper->query_safe('SET client_min_messages = warning; BEGIN; DROP EXTENSION milvus CASCADE');
$helped->quit;
like($helped->{stderr}, qr/ERROR:  background work was stopped/, 'DROP EXTENSION stops it, too');
($rc, $out, $err) = $node->psql('helped', 'SELECT milvus.run_jobs()');
like($err, qr/ERROR:  background work was stopped/, 'and keeps others out until it has ended');
$dropper->query_safe('ROLLBACK');
$dropper->quit;
debug_point('');
is($node->safe_psql('helped', 'SELECT milvus.run_jobs()'), 0, 'then there is nothing to do');
$node->safe_psql('postgres', 'DROP DATABASE helped');

# ---- fewer workers than databases ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET milvus.max_workers = 1');
debug_point('seal-before-publish:wait');
my %holders;
foreach my $dbname ('postgres', 'copy')
{
	$holders{$dbname} = $node->background_psql($dbname);
	$holders{$dbname}->query_safe('SELECT pg_advisory_lock(0, 19530)');
	add_rows($dbname, 20001);
}
becomes(q{(SELECT array_agg(state ORDER BY state) = '{queued,running}' FROM milvus.jobs WHERE kind = 'seal index')}, 'one works, one waits');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'milvus worker'}), 1, 'one worker');
$_->quit foreach values %holders;
becomes($nothing_left, 'one after the other is served');

# ---- no workers ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET milvus.max_workers = 0; ALTER SYSTEM RESET milvus.debug_point');
$node->restart;
add_rows('postgres', 30001);
# 2 * limit rows and what was there before: without seals all of them would be growing
is($node->safe_psql('postgres', "SELECT growing_rows < 2 * $limit FROM milvus.index_stats('items_v')"), 't',
	'without workers who inserts seals');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET milvus.max_workers; SELECT pg_reload_conf()');

# ---- the end of a worker, of the server ----

debug_point('seal-before-publish:sleep');
add_rows('postgres', 40001);
becomes(running('postgres'), 'a job again');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM milvus.jobs});
becomes(q{(SELECT attempts = 1 AND last_error = 'the worker was terminated' FROM milvus.jobs WHERE kind = 'seal index')},
	'a worker that is terminated counts as a failure of the job');
becomes(running('postgres'), 'another takes it');

my $victim = $node->safe_psql('postgres', 'SELECT pid FROM milvus.jobs');
kill 'KILL', $victim;
becomes("(SELECT count(*) = 1 FROM milvus.jobs WHERE pid <> $victim)",
	'after a crash the job is found again');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM milvus.workers WHERE role = 'launcher'});
becomes(q{(SELECT count(*) = 1 FROM milvus.workers WHERE role = 'launcher')}, 'a launcher that is terminated comes back');
becomes(running('postgres'), 'a job at work');
$node->stop('fast');
pass('the server stops while a job is at work');
$node->start;
becomes(running('postgres'), 'and finds it again when it starts');
wake();
becomes("(SELECT growing_rows < $limit FROM milvus.index_stats('items_v'))", 'it is done in the end');
is(check_index($node, 'items_v'), '', 'no problem');
$node->stop;

# ---- without preload ----

my $bare = new_node('bare', conf => "milvus.growing_rows = $limit");
$bare->safe_psql('postgres', 'CREATE TABLE items (id int PRIMARY KEY, v vector(4));
	CREATE INDEX items_v ON items USING ann (v vector_l2_ops)');
is($bare->safe_psql('postgres', 'SELECT (SELECT count(*) FROM milvus.workers) + (SELECT count(*) FROM milvus.jobs)'), 0,
	'without preload there is no queue');
$bare->safe_psql('postgres', "INSERT INTO items SELECT i, ARRAY[i, 1, 2, 3]::real[] FROM generate_series(1, 2 * $limit) i");
ok($bare->poll_query_until('postgres', "SELECT $sealed"), 'a dynamic worker does the job');
$bare->safe_psql('postgres', "SET milvus.growing_rows = 100000;
	INSERT INTO items SELECT i, ARRAY[i, 1, 2, 3]::real[] FROM generate_series(10001, 10000 + 2 * $limit) i");
is($bare->safe_psql('postgres', 'SELECT milvus.run_jobs()'), 1, 'run_jobs does what is due');
is($bare->safe_psql('postgres', "SELECT growing_rows FROM milvus.index_stats('items_v')"), 0, 'at once');
is(check_index($bare, 'items_v'), '', 'no problem');

# a seal that would take minutes: a page at a time
$bare->safe_psql('postgres', 'CREATE DATABASE slow');
$bare->safe_psql('slow', 'CREATE EXTENSION milvus; CREATE TABLE items (id int PRIMARY KEY, v vector(1000));
	CREATE INDEX items_v ON items USING ann (v vector_l2_ops)');
$bare->append_conf('postgresql.conf', "milvus.worker_cost_limit = 1\nmilvus.worker_cost_delay = 100");
$bare->reload;
$bare->safe_psql('slow', "INSERT INTO items SELECT i, array_fill(i, ARRAY[1000])::real[] FROM generate_series(1, 2 * $limit) i");
ok($bare->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'milvus worker' AND datname = 'slow'}),
	'a dynamic worker at work');
is($bare->psql('postgres', 'DROP DATABASE slow'), 0, 'leaves for DROP DATABASE');

done_testing();
