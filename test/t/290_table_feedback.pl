# A standby begins to send feedback for a snapshot that it took long ago: rows that were dead to everybody
# on the primary are dead to some only again.  Compaction may have removed their segment by then.
# What is still there is kept for the standby; what is gone does not stand in the way of VACUUM FULL,
# CREATE INDEX, milvus.check_table.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MilvusTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_node('primary', init => [ allows_streaming => 1 ], conf => qq{
	autovacuum = off
	max_worker_processes = 16});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', q{
	max_standby_streaming_delay = -1
	hot_standby_feedback = off
	wal_receiver_status_interval = 1});
$standby->start;

my $digest = 'SELECT count(*), sum(id), sum(length(note)), count(DISTINCT note)';

# prepare($table): a sealed table, on the standby too.
sub prepare
{
	my ($table) = @_;
	$primary->safe_psql('postgres', qq{
		CREATE TABLE $table (id int PRIMARY KEY, note text) USING milvus;
		INSERT INTO $table SELECT i, 'note ' || i || repeat(' more', 20) FROM generate_series(1, 2000) i});
	isnt($primary->safe_psql('postgres', "SELECT count(*) FROM milvus.flush_table('$table')"), '0', "$table is sealed");
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	return;
}

# delete_and_compact($table): deletes rows, and the segment that they were in is replaced.
sub delete_and_compact
{
	my ($table) = @_;
	$primary->safe_psql('postgres', "DELETE FROM $table WHERE id % 4 = 0");
	is($primary->safe_psql('postgres', "SELECT count(*) FROM milvus.compact_table('$table')"), '1', "$table is compacted");
	return;
}

# feedback($how): the standby says, or does not say, what its oldest snapshot is.
sub feedback
{
	my ($how) = @_;
	my $said = $how eq 'on' ? 'IS NOT NULL' : 'IS NULL';
	$standby->safe_psql('postgres', "ALTER SYSTEM SET hot_standby_feedback = $how");
	$standby->reload;
	ok($primary->poll_query_until('postgres', "SELECT backend_xmin $said FROM pg_stat_replication"), "feedback is $how");
	return;
}

# ---- the values of dead rows are there still ----

prepare('kept');
my $reader = $standby->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
my $before = $standby->safe_psql('postgres', "$digest FROM kept");
delete_and_compact('kept');
feedback('on');
is($primary->safe_psql('postgres', q{SELECT milvus.check_table('kept')}), '', 'the table is sound');
$primary->safe_psql('postgres', 'CREATE INDEX ON kept (note)');
$primary->safe_psql('postgres', 'VACUUM FULL kept');
is($primary->safe_psql('postgres', 'SELECT count(*), count(DISTINCT note) FROM kept'), '1500|1500', 'VACUUM FULL keeps what lives');
is($primary->safe_psql('postgres', q{SELECT milvus.check_table('kept')}), '', 'the new table is sound');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($reader->query_safe("$digest FROM kept"), $before, 'the old snapshot sees the rows that it saw, in the new table');
is($reader->query_safe('SET enable_seqscan = off; SELECT note FROM kept WHERE id = 400') =~ s/ more//gr, 'note 400', 'by an index, too');
$reader->query_safe('COMMIT');
is($reader->query_safe('SELECT count(*) FROM kept'), '1500', 'a new one does not');
$reader->quit;
feedback('off');

# ---- they are gone ----

prepare('swept');
$reader = $standby->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
delete_and_compact('swept');
$primary->safe_psql('postgres', 'VACUUM ' . $primary->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'swept'::regclass}));
feedback('on');
is($primary->safe_psql('postgres', q{SELECT milvus.check_table('swept')}), '', 'a table with stubs of a segment that is gone is sound');
$primary->safe_psql('postgres', 'CREATE INDEX ON swept (note)');
is($primary->safe_psql('postgres', q{SET enable_seqscan = off; SET milvus.enable_column_scan = off; SELECT count(*) FROM swept WHERE note > ''}),
	'1500', 'an index is built on what lives');
$primary->safe_psql('postgres', 'REINDEX TABLE swept');
$primary->safe_psql('postgres', 'CLUSTER swept USING swept_pkey');
is($primary->safe_psql('postgres', 'SELECT count(*), count(DISTINCT note) FROM swept'), '1500|1500', 'CLUSTER keeps what lives');
$primary->safe_psql('postgres', 'UPDATE swept SET note = upper(note) WHERE id % 4 = 1');
$primary->safe_psql('postgres', 'VACUUM FULL swept');
is($primary->safe_psql('postgres', 'SELECT count(*), count(DISTINCT note) FROM swept'), '1500|1500', 'and so does VACUUM FULL');
is($primary->safe_psql('postgres', q{SELECT milvus.check_table('swept')}), '', 'the new table is sound');
is($reader->query_safe('SELECT count(*) FROM swept'), '2000', 'the old snapshot sees all rows: nothing that took them away is replayed');
$reader->query_safe('COMMIT');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', "$digest FROM swept"), $primary->safe_psql('postgres', "$digest FROM swept"), 'then the standby has the same rows');
$reader->quit;

$standby->stop;
$primary->stop;
done_testing();
