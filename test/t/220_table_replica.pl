# Milvus tables on standbys: replay makes the primary's pages (wal_consistency_checking);
# a reader there gets the rows of its snapshot or is cancelled, as on heap tables, however
# old its snapshot is beside what was sealed, compacted and vacuumed since; sealing alone
# cancels nobody but who holds a page.  A promoted standby goes on.

use strict;
use warnings;

use MilvusTest;
use MilvusTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_node('primary', init => [ allows_streaming => 1 ], conf => q{
	wal_consistency_checking = 'all'
	wal_keep_size = 4GB
	max_standby_streaming_delay = 0
	wal_receiver_status_interval = 1
	hot_standby_feedback = off});
make_pair($primary);
fill_pair($primary, 1, 3000);
is(flush($primary), 1, 'a segment');

# two standbys: one gives feedback and waits for its readers, one does neither
$primary->backup('base');
my %standbys;
foreach my $name ('ruthless', 'patient')
{
	$standbys{$name} = PostgreSQL::Test::Cluster->new($name);
	$standbys{$name}->init_from_backup($primary, 'base', has_streaming => 1);
}
$standbys{patient}->append_conf('postgresql.conf', "hot_standby_feedback = on\nmax_standby_streaming_delay = -1");
$_->start foreach values %standbys;
my ($ruthless, $patient) = @standbys{ 'ruthless', 'patient' };

sub caught_up
{
	$primary->wait_for_catchup($_, 'replay', $primary->lsn('insert')) foreach values %standbys;
	return;
}

# on both standbys
sub same
{
	my ($what) = @_;
	caught_up();
	sound($standbys{$_}, "$what, $_") foreach sort keys %standbys;
	return;
}

# seal_all(): what a standby said last of its readers may be a second old, and keep rows growing.
sub seal_all
{
	$primary->poll_query_until('postgres', q{
		SELECT count(*) >= 0 FROM milvus.flush_table('rows');
		SELECT coalesce(sum(rows), 0) FROM milvus.table_segments('rows') WHERE state = 'Growing'}, "t\n0")
	  or die 'rows are not sealed';
	return;
}

same('sealed');
like($ruthless->safe_psql('postgres', 'SET enable_seqscan = off; EXPLAIN SELECT sum(a) FROM rows'),
	qr/Custom Scan/, 'a standby scans by column');

# ---- a snapshot older than what was sealed ----

my $count = q{SELECT ROW(count(*), sum(id), max(t)) FROM rows};
my $old = $ruthless->background_psql('postgres');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $expected = $old->query_safe('SELECT ROW(count(*), sum(id), max(t)) FROM heap_rows');
fill_pair($primary, 3001, 6000);
seal_all();
caught_up();
foreach my $off ('enable_seqscan', 'milvus.enable_column_scan')
{
	$old->query_safe("SET LOCAL $off = off");
	is($old->query_safe($count), $expected, "rows sealed since are not seen, $off = off");
	$old->query_safe("SET LOCAL $off = on");
}
is($old->query_safe(pair_sql(begin => '')), '', 'and the others are right by every scan');
$primary->safe_psql('postgres', q{SELECT milvus.compact_table('rows', 'sort')});
caught_up();
is($old->query_safe(pair_sql(begin => '')), '', 'so they are in a segment that was compacted since');
is($old->query_safe($count), $expected, 'and no others');
$old->query_safe('COMMIT');
same('compacted');

# deleted rows of sealed pages, as an old snapshot sees them
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$expected = $old->query_safe('SELECT ROW(count(*), sum(id), max(t)) FROM heap_rows');
both($primary, 'DELETE FROM TABLE WHERE id % 100 = 4');
both($primary, 'UPDATE TABLE SET t = $$zzz$$ WHERE id % 100 = 5');
caught_up();
is($old->query_safe($count), $expected, 'rows that were changed since are there');
is($old->query_safe(pair_sql(begin => '')), '', 'by every scan');
$old->quit;

# ---- a snapshot that feedback protects ----

my $kept = $patient->background_psql('postgres');
$kept->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$expected = $kept->query_safe('SELECT ROW(count(*), sum(id), max(t)) FROM heap_rows');
$primary->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = 'patient' AND backend_xmin IS NOT NULL});
both($primary, 'DELETE FROM TABLE WHERE id % 100 = 14');
fill_pair($primary, 6001, 8000);
flush($primary);
$primary->safe_psql('postgres', q{SELECT milvus.compact_table('rows', 'merge'); VACUUM rows; VACUUM heap_rows});
flush($primary);
caught_up();
is($kept->query_safe($count), $expected, 'feedback keeps what a reader sees');
is($kept->query_safe(pair_sql(begin => '')), '', 'by every scan');

# a cursor on a page of growing rows: replay of sealing waits for it
$kept->query_safe('COMMIT');
fill_pair($primary, 8001, 9000);
caught_up();
$kept->query_safe(q{BEGIN; SET LOCAL enable_seqscan = on; SET LOCAL milvus.enable_column_scan = off;
	DECLARE c CURSOR FOR SELECT id, t, big FROM rows;
	DECLARE h CURSOR FOR SELECT id, t, big FROM heap_rows});
my $first = $kept->query_safe('FETCH 3 FROM c');
$expected = $kept->query_safe('FETCH ALL FROM h');
flush($primary);
my $rest = $kept->query_safe('FETCH ALL FROM c');
is(join("\n", sort split /\n/, "$first\n$rest"), join("\n", sort split /\n/, $expected), 'a cursor across sealing');
$kept->query_safe('COMMIT');
$kept->quit;
same('after cursors');

# ---- readers under load ----

# (with some patience, or none would ever come to an end on a slow machine)
$ruthless->safe_psql('postgres', q{ALTER SYSTEM SET max_standby_streaming_delay = '3s'});
$ruthless->reload;
my $stop = pair_load($primary, clients => 2, maintain => 1);
my %told = (right => 0, cancelled => 0);
foreach my $round (1 .. test_size(12, 200))
{
	my ($rc, $out, $err) = $ruthless->psql('postgres', pair_sql(), on_error_stop => 1);
	if ($rc == 0 && $out eq '') { $told{right}++; }
	elsif ($err =~ /conflict with recovery/) { $told{cancelled}++; }
	else { fail("round $round: a reader is right or cancelled"); diag("$out$err"); last; }

	($rc, $out, $err) = $patient->psql('postgres', pair_sql(), on_error_stop => 1);
	if ($rc != 0 || $out ne '') { fail("round $round: a protected reader is right"); diag("$out$err"); last; }
}
my $said = $stop->();
unlike($said, qr/ERROR|FATAL|aborted/, 'nobody on the primary had an error') or diag($said);
note("$told{right} readers were right, $told{cancelled} were cancelled");
same('after the load');
is(pair_differs($primary), '', 'the same on the primary');
is(table_problems($primary), '', 'no problem there');

# ---- promotion, while a segment is not finished ----

fill_pair($primary, 20001, 22000);
isnt($primary->psql('postgres', q{SET milvus.debug_point = 'table-seal-pages-written:error'; SELECT milvus.flush_table('rows')}),
	0, 'a seal that is not finished');
caught_up();
is(unfinished_segments($patient), 1, 'the standby has it');
$primary->stop;
$patient->promote;
sound($patient, 'promoted');
both($patient, 'DELETE FROM TABLE WHERE id BETWEEN 20100 AND 20200');
fill_pair($patient, 30001, 32000);
cmp_ok(flush($patient), '>=', 1, 'it seals');
is(unfinished_segments($patient), 0, 'and finishes what the primary began');
sound($patient, 'sealed after promotion');
$patient->safe_psql('postgres', q{VACUUM rows; SELECT milvus.compact_table('rows', 'sort')});
sound($patient, 'compacted after promotion');

# no page differed
unlike(slurp_file($_->logfile), qr/inconsistent page|PANIC|TRAP/, 'replay made the same pages, ' . $_->name)
  foreach ($ruthless, $patient);

done_testing();
