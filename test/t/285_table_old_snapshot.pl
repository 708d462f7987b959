# Snapshots of a standby do not hold back what the primary drops and seals.  A scan by
# column that goes by one answers what the snapshot sees: when rows are deleted and
# compacted away between its reading of the page map and of the manifest, and when
# the server was promoted after the snapshot was taken.  And values that VACUUM FULL wrote
# under an old snapshot go when their rows are sealed under it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MilvusTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_node('primary', init => [ allows_streaming => 1 ], conf => qq{
	shared_preload_libraries = 'milvus'
	max_worker_processes = 16
	max_standby_streaming_delay = -1
	hot_standby_feedback = off
	wal_receiver_status_interval = 1});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', q{
	CREATE TABLE items (id int PRIMARY KEY, part int, note text) USING milvus WITH (autovacuum_enabled = off);
	INSERT INTO items SELECT i, i % 10, 'note ' || i FROM generate_series(1, 3000) i});
$primary->safe_psql('postgres', q{SELECT milvus.flush_table('items')});
$primary->safe_psql('postgres', 'VACUUM ANALYZE items');

# caught_up(): the standby has replayed everything.
sub caught_up
{
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	return;
}

caught_up();
my $settings = 'SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0';
my $scan = "SELECT count(*), sum(id), sum(length(note)) FROM items WHERE part < 9";
my $expected = $primary->safe_psql('postgres', "SET milvus.enable_column_scan = off; $scan");
like($standby->safe_psql('postgres', "$settings; EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) $scan"), qr/Rows by Column: [1-9]/,
	'a standby scans by column');

# ---- deleted and compacted away behind the page map ----

foreach my $what ('id > 2000', 'id BETWEEN 500 AND 700', 'true')
{
	my $reader = $standby->background_psql('postgres');
	my $holder = $standby->background_psql('postgres');
	my $pid = $reader->query_safe('SELECT pg_backend_pid()');
	my $before = $standby->safe_psql('postgres', "SET milvus.enable_column_scan = off; $scan");

	$holder->query_safe('SELECT pg_advisory_lock(0, 19530)');
	$reader->query_safe("$settings; SET milvus.debug_point = 'scan-map:wait'");
	$reader->query_until(qr/scanning/, "\\echo scanning\n$scan;\n");
	ok($standby->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid"),
		'the scan waits behind the page map');
	$primary->safe_psql('postgres', "DELETE FROM items WHERE $what");
	$primary->safe_psql('postgres', "SELECT milvus.compact_table('items')");
	caught_up();
	$holder->query_safe('SELECT pg_advisory_unlock(0, 19530)');
	is($reader->query_safe("SELECT 'end'") =~ s/\s*end\s*$//r, $before, "the scan answers what its snapshot sees ($what)");
	$reader->quit;
	$holder->quit;
}

# ---- sealed after the snapshot, promoted before the scan ----

$primary->safe_psql('postgres', q{INSERT INTO items SELECT i, i % 10, 'again ' || i FROM generate_series(1, 2000) i});
$primary->safe_psql('postgres', q{SELECT milvus.flush_table('items')});
caught_up();
$expected = $primary->safe_psql('postgres', "SET milvus.enable_column_scan = off; $scan");
my $old = $standby->background_psql('postgres');
$old->query_safe("$settings; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
$primary->safe_psql('postgres', q{INSERT INTO items SELECT i, i % 10, 'later ' || i FROM generate_series(5001, 8000) i});
$primary->safe_psql('postgres', q{SELECT milvus.flush_table('items')});
caught_up();
is($old->query_safe($scan), $expected, 'an old snapshot does not see what was sealed since');
$standby->promote;
is($old->query_safe($scan), $expected, 'nor after promotion');
$old->query_safe('COMMIT');
isnt($old->query_safe($scan), $expected, 'the next transaction does');
is($standby->safe_psql('postgres', q{SELECT milvus.check_table('items')}), '', 'the promoted table is sound');
$old->quit;

# ---- rows older than a snapshot, their TOAST values copied since ----

$primary->safe_psql('postgres', q{
	CREATE TABLE large (id int PRIMARY KEY, big text) USING milvus WITH (autovacuum_enabled = off);
	ALTER TABLE large ALTER big SET STORAGE EXTERNAL;
	INSERT INTO large SELECT i, repeat('large ' || i || ' ', 500) FROM generate_series(1, 100) i});
my $holder = $primary->background_psql('postgres');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$primary->safe_psql('postgres', 'VACUUM FULL large');
isnt($primary->safe_psql('postgres', q{SELECT count(*) FROM milvus.flush_table('large')}), '0', 'old rows are sealed');
is($primary->safe_psql('postgres', q{SELECT milvus.check_table('large')}), '', 'and no value of theirs is left');
is($primary->safe_psql('postgres', q{SELECT count(*) FROM large WHERE big = repeat('large ' || id || ' ', 500)}), '100', 'nor lost');
$holder->quit;

$standby->stop;
$primary->stop;
done_testing();
