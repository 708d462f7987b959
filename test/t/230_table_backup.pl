# Milvus tables in base backups taken while rows are changed, sealed and compacted, and in
# recovery to a point between any two steps of sealing and of compaction: all rows are there,
# nothing is damaged, and the next run finishes what was begun.

use strict;
use warnings;

use MilvusTest;
use MilvusTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

random_seed(230);
my $primary = new_node('primary', init => [ allows_streaming => 1, has_archiving => 1 ],
	conf => "wal_keep_size = 4GB\nmax_wal_size = 1GB");
make_pair($primary);
fill_pair($primary, 1, 3000);

# restored($name, $backup, %options): a server that recovered from a backup.
sub restored
{
	my ($name, $backup, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init_from_backup($primary, $backup, %options);
	$node->append_conf('postgresql.conf', "archive_mode = off\nrecovery_target_action = 'promote'");
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery did not end';
	return $node;
}

# goes_on($node, $what): rows are right, work that was begun is finished, more is done.
sub goes_on
{
	my ($node, $what) = @_;
	sound($node, $what);
	both($node, 'DELETE FROM TABLE WHERE id % 50 = 17');
	flush($node);
	is(unfinished_segments($node), 0, "$what: nothing is unfinished");
	$node->safe_psql('postgres', q{VACUUM rows; SELECT milvus.compact_table('rows')});
	sound($node, "$what, sealed again");
	return;
}

# ---- a backup under load ----

my $stop = pair_load($primary, maintain => 1);
my $merged = q{SELECT count(*) > 0 FROM milvus.table_segments('rows') WHERE state = 'Flushed'};
$primary->poll_query_until('postgres', $merged) or die 'nothing is sealed';
$primary->backup('running', backup_options => [ '--checkpoint=fast', '--max-rate=10M' ]);
my $said = $stop->();
unlike($said, qr/ERROR|FATAL|aborted/, 'the load had no error') or diag($said);
sound($primary, 'the server that was copied');
my $node = restored('copy', 'running');
goes_on($node, 'backup under load');
$node->stop;

# ---- recovery to points between steps ----

$primary->safe_psql('postgres', 'TRUNCATE rows, heap_rows');
fill_pair($primary, 1, 2500);
flush($primary);
fill_pair($primary, 2501, 4000);
both($primary, 'DELETE FROM TABLE WHERE id % 10 = 1');
$primary->backup('base');

# Sealing (compaction) waits at each step, where a restore point is made.
my @points;
my %expected;

# stop_at($point, $function): runs the function with a stop at the step.
sub stop_at
{
	my ($point, $function) = @_;
	my $log = -s $primary->logfile;
	my $holder = $primary->background_psql('postgres');
	$holder->query_safe('SELECT pg_advisory_lock(0, 19530)');
	my $worker = $primary->background_psql('postgres', on_error_stop => 0);
	$worker->query_safe("SET milvus.debug_point = '$point:wait'");
	$worker->query_until(qr/started/, "\\echo started\n$function;\n");
	$primary->wait_for_log(qr/waiting at debug point "$point"/, $log);
	# rows that are changed in the middle
	my $id = 100 * (1 + @points);
	both($primary, "UPDATE TABLE SET a = -a, big = repeat('x', 3000) WHERE id BETWEEN $id AND $id + 5");
	both($primary, "DELETE FROM TABLE WHERE id = $id + 9");
	fill_pair($primary, 10000 + $id, 10010 + $id);
	$primary->safe_psql('postgres', "SELECT pg_create_restore_point('$point')");
	$expected{$point} = $primary->safe_psql('postgres', 'SELECT count(*), md5(string_agg(h::text, $$ $$ ORDER BY id)) FROM heap_rows h');
	push @points, $point;
	$holder->quit;
	$worker->quit;
	return;
}

foreach my $point ('table-root-written', 'table-seal-before-commit', 'table-seal-committed', 'table-seal-pages-written',
	'table-seal-values-deleted', 'table-seal-flushed')
{
	fill_pair($primary, 20000 + 1000 * @points, 20999 + 1000 * @points);
	stop_at($point, q{SELECT milvus.flush_table('rows')});
}
foreach my $point ('table-compact-written', 'table-compact-committed', 'table-compact-pages-written', 'table-compact-flushed')
{
	stop_at($point, q{SELECT milvus.compact_table('rows', 'sort')});
}
sound($primary, 'the primary');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$primary->stop;

my @chosen = test_size(1, 0) ? grep { /seal-committed|seal-pages|values-deleted|compact-committed|compact-pages/ } @points : @points;
foreach my $point (@chosen)
{
	(my $name = $point) =~ s/-/_/g;
	my $point_node = PostgreSQL::Test::Cluster->new($name);
	$point_node->init_from_backup($primary, 'base', has_restoring => 1);
	$point_node->append_conf('postgresql.conf',
		"archive_mode = off\nrecovery_target_name = '$point'\nrecovery_target_action = 'promote'");
	$point_node->start;
	$point_node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery did not end';
	is($point_node->safe_psql('postgres', 'SELECT count(*), md5(string_agg(h::text, $$ $$ ORDER BY id)) FROM heap_rows h'),
		$expected{$point}, "$point: the rows of that moment");
	goes_on($point_node, $point);
	$point_node->stop;
}

done_testing();
