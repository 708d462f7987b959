# Milvus tables on standbys: replay makes the primary's pages (wal_consistency_checking);
# a reader there gets the rows of its snapshot or is cancelled, as on heap tables, however
# old its snapshot is beside what was sealed, compacted and vacuumed since; a reader that
# gives feedback is never cancelled for it.  A promoted standby goes on.

use strict;
use warnings;

use MilvusTest;
use MilvusTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

random_seed(223);
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

my $figures = 'SELECT ROW(count(*), sum(id), max(t)) FROM';
my $count = "$figures rows";

# with_old_snapshot($what, @steps): a session of the ruthless standby takes a snapshot; each step
# changes the primary, and the session still sees the rows of its snapshot, by every scan.  What
# is pruned meanwhile, a catalog's page too, may cancel it; then all of it is done again.
my $keeper;

sub with_old_snapshot
{
	my ($what, @steps) = @_;
	foreach my $turn (1 .. 10)
	{
		my $log = -s $ruthless->logfile;
		my $old = $ruthless->background_psql('postgres');
		my @wrong;
		my $came_to_end = eval {
			$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
			my $expected = $old->query_safe("$figures heap_rows");
			foreach my $step (@steps)
			{
				$step->();
				caught_up();
				foreach my $off ('enable_seqscan', 'milvus.enable_column_scan')
				{
					$old->query_safe("SET LOCAL $off = off");
					my $found = $old->query_safe($count);
					push @wrong, "$off = off: expected $expected, found $found" if $found ne $expected;
					$old->query_safe("SET LOCAL $off = on");
				}
				my $differs = $old->query_safe(pair_sql(begin => ''));
				push @wrong, $differs if $differs ne '';
			}
			$old->query_safe('COMMIT');
			1;
		};
		my $error = $@;
		$keeper->quit if defined $keeper;
		undef $keeper;
		is(join("\n", @wrong), '', "$what: the rows of the snapshot") if $came_to_end || @wrong;
		eval { $old->quit };
		return if $came_to_end || @wrong;
		die $error if slurp_file($ruthless->logfile, $log) !~ /conflict with recovery/;
		note("$what: cancelled");
	}
	fail("$what: cancelled each time");
	return;
}

my $next = 3001;
# (a snapshot on the primary keeps the values that sealing and compaction delete from being pruned
# before the reader has looked, which would cancel it)
my $add = sub {
	fill_pair($primary, $next, $next + 999);
	$next += 1000;
	$keeper = $primary->background_psql('postgres');
	$keeper->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	seal_all();
};
my $sort = sub { $primary->safe_psql('postgres', q{SELECT milvus.compact_table('rows', 'sort')}); };
with_old_snapshot('sealed since', $add);
with_old_snapshot('sealed and compacted since', $add, $sort);
my $digit = 0;
with_old_snapshot('deleted and updated since', sub {
	both($primary, "DELETE FROM TABLE WHERE id % 100 = $digit");
	$digit++;
	both($primary, "UPDATE TABLE SET t = \$\$zzz\$\$ WHERE id % 100 = $digit");
});
with_old_snapshot('deleted, sealed and compacted since', sub {
	$digit++;
	both($primary, "DELETE FROM TABLE WHERE id % 100 = $digit");
}, $add, $sort);
same('with other snapshots');

# ---- a snapshot that feedback protects ----

my $kept = $patient->background_psql('postgres');
$kept->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $expected = $kept->query_safe("$figures heap_rows");
$primary->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = 'patient' AND backend_xmin IS NOT NULL});
both($primary, 'DELETE FROM TABLE WHERE id % 100 = 14');
fill_pair($primary, 100001, 102000);
flush($primary);
$primary->safe_psql('postgres', q{SELECT milvus.compact_table('rows', 'merge'); VACUUM rows; VACUUM heap_rows});
flush($primary);
caught_up();
is($kept->query_safe($count), $expected, 'feedback keeps what a reader sees');
is($kept->query_safe(pair_sql(begin => '')), '', 'by every scan');

# a cursor on a page of growing rows: replay of sealing waits for it
$kept->query_safe('COMMIT');
fill_pair($primary, 110001, 111000);
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
foreach my $round (1 .. test_size(8, 200))
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

fill_pair($primary, 120001, 122000);
isnt($primary->psql('postgres', q{SET milvus.debug_point = 'table-seal-pages-written:error'; SELECT milvus.flush_table('rows')}),
	0, 'a seal that is not finished');
caught_up();
is(unfinished_segments($patient), 1, 'the standby has it');
$primary->stop;
$patient->promote;
sound($patient, 'promoted');
both($patient, 'DELETE FROM TABLE WHERE id BETWEEN 120100 AND 120200');
fill_pair($patient, 130001, 132000);
cmp_ok(flush($patient), '>=', 1, 'it seals');
is(unfinished_segments($patient), 0, 'and finishes what the primary began');
sound($patient, 'sealed after promotion');
$patient->safe_psql('postgres', q{VACUUM rows; SELECT milvus.compact_table('rows', 'sort')});
sound($patient, 'compacted after promotion');

# no page differed
unlike(slurp_file($_->logfile), qr/inconsistent page|PANIC|TRAP/, 'replay made the same pages, ' . $_->name)
  foreach ($ruthless, $patient);

done_testing();
