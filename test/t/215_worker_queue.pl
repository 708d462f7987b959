# The queue of background work: nothing is forgotten when it overflows, when the
# launcher is away, when a relation is damaged, when a DROP is rolled back or rows come
# while a job runs; no worker is started for a database that somebody wants to himself,
# none is lost when the server has no room for one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MilvusTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $limit = 500;
my $node = new_node('main', conf => qq{
	shared_preload_libraries = 'milvus'
	milvus.growing_rows = $limit
	milvus.worker_naptime = 1
	max_worker_processes = 16
	log_min_messages = info});

# configure($settings): settings of the configuration, in force when this returns.
sub configure
{
	my (%settings) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = '$settings{$_}'") foreach sort keys %settings;
	$node->reload;
	foreach my $name (keys %settings)
	{
		$node->poll_query_until('postgres', "SELECT current_setting('$name') = '$settings{$name}'") or die $name;
	}
	return;
}

sub becomes
{
	my ($query, $what, $dbname) = @_;
	return ok($node->poll_query_until($dbname // 'postgres', "SELECT $query"), $what);
}

# table($name): a table that is sealed when it has 5,000 rows, or 100 that are old.
sub table
{
	my ($name, $dbname) = @_;
	return $node->safe_psql($dbname // 'postgres', qq{CREATE TABLE $name (id int, words text) USING milvus;
		SELECT milvus.alter_table_options('$name', '{"segment_rows": 5000, "min_rows": 100, "segment_age": 3600}')});
}

sub rows
{
	my ($name, $rows) = @_;
	return "INSERT INTO $name SELECT i, 'words of row ' || i FROM generate_series(1, $rows) i;";
}

my $idle = q{(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'milvus worker')
	AND (SELECT coalesce(bool_and(state = 'scheduled' AND due > now() + interval '50 minutes'), true) FROM milvus.jobs)};

# ---- rows that come when nobody expects them ----

table('early');
my $session = $node->background_psql('postgres');
$session->query_safe(rows('early', 10));
becomes(q{(SELECT new_rows = 10 AND state = 'scheduled' FROM milvus.jobs WHERE relation = 'early'::regclass)}, 'a few rows are told of');
$node->safe_psql('postgres', 'VACUUM early');
becomes(q{(SELECT count(*) = 0 FROM milvus.jobs)}, 'VACUUM has them looked at: nothing to do');
$session->query_safe(rows('early', 200));
is($node->safe_psql('postgres', q{SELECT new_rows FROM milvus.jobs WHERE relation = 'early'::regclass}), 200,
	'rows of the same session soon after are told of, too, since the job has run');
# without a segment before, rows are old enough
$node->safe_psql('postgres', 'VACUUM early');
becomes(q{(SELECT sum(rows) = 210 FROM milvus.table_segments('early') WHERE state = 'Flushed')}, 'and sealed by the next look');
becomes($idle, 'all is quiet');
$session->query_safe(rows('early', 300));
becomes(q{(SELECT state = 'scheduled' FROM milvus.jobs WHERE relation = 'early'::regclass)}, 'a job for later');
$node->safe_psql('postgres', 'VACUUM early');
becomes("$idle AND EXISTS (SELECT FROM milvus.jobs WHERE relation = 'early'::regclass AND kind = 'seal table')",
	'a look before their time does not make it forget them');
# what is told of and not there any more
$session->query_safe('TRUNCATE early; BEGIN; ' . rows('early', 5000) . ' TRUNCATE early; COMMIT');
becomes($idle, 'rows that were told of and are gone are not waited for');
$session->quit;

# ---- savepoints, schemas ----

is($node->safe_psql('postgres', rows('early', 20) . q{BEGIN; SAVEPOINT a; DROP TABLE early; ROLLBACK TO a; COMMIT;
	SELECT count(*) FROM milvus.jobs WHERE relation = 'early'::regclass AND kind = 'seal table'}), 1,
	'a job stays when the DROP of its table is rolled back to a savepoint');
is($node->safe_psql('postgres', q{BEGIN; SAVEPOINT a; SAVEPOINT b; DROP TABLE early; RELEASE b; RELEASE a; COMMIT;
	SELECT count(*) FROM milvus.jobs}), 0, 'it goes when the savepoint is released');
$node->safe_psql('postgres', 'CREATE DATABASE cascaded');
$node->safe_psql('cascaded', 'CREATE SCHEMA types; CREATE EXTENSION milvus SCHEMA types');
my $known = q{SELECT count(*) FROM milvus.workers WHERE database = 'cascaded'};
is($node->safe_psql('postgres', $known), 1, 'a database with the extension');
$node->safe_psql('cascaded', 'DROP SCHEMA types CASCADE');
becomes("($known) = 0", 'is none any more when it goes with its schema');
$node->safe_psql('postgres', 'DROP DATABASE cascaded');

# ---- no launcher ----

table('orphans');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM milvus.workers WHERE role = 'launcher'});
becomes(q{(SELECT count(*) = 0 FROM milvus.workers WHERE role = 'launcher')}, 'the launcher is away for a moment');
$node->safe_psql('postgres', rows('orphans', 5000));
becomes(q{(SELECT sum(rows) = 5000 FROM milvus.table_segments('orphans') WHERE state = 'Flushed')}, 'what comes then is done by the next');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM milvus.workers WHERE role = 'launcher'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.workers WHERE role = 'launcher'}), 1, 'it cannot be cancelled');

# ---- a database that is wanted when the launcher is about to start a worker ----

$node->safe_psql('postgres', 'CREATE DATABASE raced');
$node->safe_psql('raced', 'CREATE EXTENSION milvus');
table('rows', 'raced');
becomes($idle, 'all is quiet');
# raced(): the launcher has chosen the database, and pauses.
my $offset;
sub raced
{
	configure('milvus.debug_point' => 'launcher-starts-worker:pause');
	$offset = -s $node->logfile;
	$node->safe_psql('raced', rows('rows', 5000));
	$node->wait_for_log(qr/pausing at debug point "launcher-starts-worker"/, $offset);
	return;
}
raced();
my $owner = $node->background_psql('raced');
$owner->query_safe('SET client_min_messages = warning; BEGIN; DROP EXTENSION milvus CASCADE');
configure('milvus.debug_point' => '');
table('passed');
$node->safe_psql('postgres', rows('passed', 5000));
becomes(q{(SELECT sum(rows) = 5000 FROM milvus.table_segments('passed') WHERE state = 'Flushed')}, 'the launcher goes on, and a transaction of another database holds nothing back');
is($node->safe_psql('postgres', q{SELECT state, started IS NULL FROM milvus.jobs WHERE database = 'raced'}), 'queued|t',
	'DROP EXTENSION while a worker is about to be started: none is');
$owner->query_safe('ROLLBACK');
$owner->quit;
becomes(q{(SELECT sum(rows) = 5000 FROM milvus.table_segments('rows') WHERE state = 'Flushed')}, 'until it is rolled back', 'raced');
becomes($idle, 'all is quiet');
raced();
is($node->psql('postgres', 'DROP DATABASE raced'), 0, 'DROP DATABASE while a worker is about to be started');
configure('milvus.debug_point' => '');
becomes($idle, 'all is quiet');
unlike(slurp_file($node->logfile, $offset), qr/FATAL/, 'no worker was started for it');

# ---- more relations than the queue has room for ----

$node->safe_psql('postgres', 'CREATE DATABASE many');
$node->safe_psql('many', 'CREATE EXTENSION milvus');
$node->safe_psql('many', q{DO $$ BEGIN FOR i IN 1 .. 20 LOOP
	EXECUTE format('CREATE TABLE t%s (id int, words text) USING milvus', i);
	PERFORM milvus.alter_table_options(format('t%s', i)::regclass, '{"segment_rows": 5000, "min_rows": 100, "segment_age": 3600}');
	END LOOP; END $$});
sub add_to_all { return $node->safe_psql('many', join(' ', map { rows("t$_", 200) } 1 .. 20)); }
my $all_sealed = q{(SELECT sum(s.rows) FROM generate_series(1, 20) i, milvus.table_segments(format('t%s', i)::regclass) s WHERE s.state = 'Flushed')};
add_to_all();
# what was told of goes with the server; a look finds it, eight jobs at a time
configure('milvus.debug_point' => 'many-jobs:fail');
$node->restart;
becomes("$all_sealed = 4000", 'relations beyond the room of the queue have their turn', 'many');
becomes(q{(SELECT count(*) = 0 FROM milvus.jobs WHERE state <> 'scheduled')}, 'and then there is nothing to do', 'many');
cmp_ok($node->safe_psql('many', 'SELECT count(*) FROM milvus.list_jobs()'), '<=', 8, 'there was room for eight');
configure('milvus.debug_point' => '');
$node->restart;

# ---- a relation that cannot be looked at ----

add_to_all();
# old enough, so that each look seals them
$node->safe_psql('many', q{SELECT milvus.alter_table_options(format('t%s', i)::regclass, '{"segment_age": 0}') FROM generate_series(1, 20) i});
configure('milvus.debug_point' => 'look-at-relation:error');
$node->restart;
becomes("$all_sealed = 8000", 'an error in a look at a relation does not keep others from having jobs', 'many');
like(slurp_file($node->logfile), qr/ERROR:  stopped at debug point "look-at-relation"/, 'there were such errors');
configure('milvus.debug_point' => '');

# ---- fewer workers ----

$node->safe_psql('postgres', 'CREATE TABLE items (id int PRIMARY KEY, v vector(4));
	CREATE INDEX items_v ON items USING ann (v vector_l2_ops)');
sub add_items
{
	my ($first) = @_;
	return $node->safe_psql('postgres', "INSERT INTO items SELECT i, ARRAY[i, 1, 2, 3]::real[] FROM generate_series($first, $first + 2 * $limit - 1) i");
}
configure('milvus.debug_point' => 'seal-before-publish:wait', 'milvus.max_workers' => 1);
my $holder = $node->background_psql('postgres');
$holder->query_safe('SELECT pg_advisory_lock(0, 19530)');
add_items(1);
becomes(q{(SELECT count(*) = 1 FROM milvus.jobs WHERE kind = 'seal index' AND state = 'running')}, 'a job at work');
table('behind');
$node->safe_psql('postgres', rows('behind', 5000));
configure('milvus.max_workers' => 0);
$holder->quit;
becomes(q{(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'milvus worker')}, 'the worker leaves when there are to be none');
is($node->safe_psql('postgres', q{SELECT state FROM milvus.jobs WHERE relation = 'behind'::regclass}), 'queued', 'other jobs stay');
configure('milvus.max_workers' => 2, 'milvus.debug_point' => '');
becomes(q{(SELECT sum(rows) = 5000 FROM milvus.table_segments('behind') WHERE state = 'Flushed')}, 'and are done when there are some again');

# ---- no room in the server ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET max_worker_processes = 2; ALTER SYSTEM SET max_logical_replication_workers = 0');
$node->restart;
becomes($idle, 'all is quiet');
table('last');
$node->safe_psql('postgres', q{SELECT milvus.alter_table_options('last', '{"auto_seal": false}');} . rows('last', 1000));
configure('milvus.debug_point' => 'table-seal-page:sleep');
my $taker = $node->background_psql('postgres', on_error_stop => 0);
$taker->query_until(qr/begun/, "\\echo begun\nSELECT milvus.flush_table('last');\n");
becomes(q{(SELECT count(*) = 1 FROM milvus.workers WHERE role = 'session worker' AND state = 'running')}, 'a session has the only place for a worker');
add_items(10001);
becomes(q{(SELECT state = 'queued' FROM milvus.jobs WHERE kind = 'seal index')}, 'a job waits');
my ($rc, $out, $err) = $node->psql('postgres', q{SELECT milvus.run_jobs()});
like($err, qr/ERROR:  could not start a background worker\nHINT:  .*max_worker_processes/, 'who finds none for ten seconds is told');
is($node->safe_psql('postgres', q{SELECT state FROM milvus.jobs WHERE kind = 'seal index'}), 'queued', 'it still waits');
configure('milvus.debug_point' => '');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM milvus.workers WHERE role = 'session worker'});
$taker->quit;
becomes("(SELECT growing_rows < $limit FROM milvus.index_stats('items_v'))", 'it is done when there is room');
is(check_index($node, 'items_v'), '', 'no problem');

done_testing();
