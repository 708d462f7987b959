# A base backup taken while inserts, seals and merges go on becomes a sound server;
# it carries no cache files; recovery to a point between seals gives the rows of
# that point.

use strict;
use warnings;

use MilvusTest;
use Test::More;

random_seed(30);
my $primary = new_node('primary',
	init => [ allows_streaming => 1, has_archiving => 1 ],
	conf => "milvus.background_seal = off\nmilvus.growing_rows = 200\nfull_page_writes = on");
load_clustered_queries($primary, dim => 16);
load_clustered($primary, rows => 1000, dim => 16);
$primary->safe_psql('postgres', q{
	CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops)
		WITH (index_type = 'FLAT');
	CREATE SEQUENCE ids START 100001});

# ---- backup under load ----

my $script = $primary->basedir . '/load.pgbench';
PostgreSQL::Test::Utils::append_to_file($script, q{
	INSERT INTO items SELECT id, 0, row_vector(id::int, 16)::vector
		FROM (SELECT nextval('ids') AS id FROM generate_series(1, 10)) s;
	DELETE FROM items WHERE id = (SELECT min(id) FROM items);
	SELECT milvus.seal_index('items_embedding');
});
my ($out, $err) = ('', '');
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '2', '-T', '120', '-f', $script, '-h', $primary->host, '-p', $primary->port, 'postgres' ],
	'>', \$out, '2>', \$err);
my $version = 'SELECT manifest_version FROM milvus.index_stats(\'items_embedding\')';
my $start = $primary->safe_psql('postgres', $version);
$primary->poll_query_until('postgres', "SELECT ($version) > $start + 10") or die "no load: $err";
my $before = $primary->safe_psql('postgres', $version);
$primary->backup('running', backup_options => [ '--checkpoint=fast', '--max-rate=20M' ]);
my $after = $primary->safe_psql('postgres', $version);
$load->signal('INT');
$load->finish;
cmp_ok($after, '>', $before, 'segments were sealed during the backup');

ok(scalar(glob $primary->data_dir . '/pgsql_tmp_milvus/pgsql_tmp*'), 'the primary has cache files');
is(scalar(my @copied = glob $primary->backup_dir . '/running/pgsql_tmp_milvus/*'),
	0, 'the backup has none');

my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($primary, 'running');
$restored->start;
is(check_index($restored, 'items_embedding'), '', 'the restored index has no problem');
is(same_rows($restored), '', 'it has every row once');
is(same_as_exact($restored, table => 'items', operator => '<->'), '', 'it answers as exact search');
insert_clustered($restored, first => 500001, rows => 100, dim => 16);
$restored->safe_psql('postgres', "SELECT milvus.compact_index('items_embedding')");
is(check_index($restored, 'items_embedding'), '', 'it can be merged');
is(same_rows($restored), '', 'and has every row once');
$restored->stop;

# ---- recovery to a point ----

my %rows;
foreach my $point ('inserted', 'sealed', 'deleted', 'vacuumed', 'merged')
{
	insert_clustered($primary, first => 600001, rows => 150, dim => 16) if $point eq 'inserted';
	$primary->safe_psql('postgres', "SELECT milvus.seal_index('items_embedding')") if $point eq 'sealed';
	$primary->safe_psql('postgres', 'DELETE FROM items WHERE id % 5 = 2') if $point eq 'deleted';
	$primary->safe_psql('postgres', 'VACUUM items') if $point eq 'vacuumed';
	$primary->safe_psql('postgres', "SELECT milvus.compact_index('items_embedding')") if $point eq 'merged';
	$rows{$point} = $primary->safe_psql('postgres', 'SELECT count(*), sum(id) FROM items');
	$primary->safe_psql('postgres', "SELECT pg_create_restore_point('$point')");
}
# what comes after must not be seen
$primary->safe_psql('postgres', "DELETE FROM items; VACUUM items; SELECT pg_switch_wal()");
my $needed = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
$primary->safe_psql('postgres', 'SELECT pg_create_restore_point(\'end\'), pg_switch_wal()');
$primary->poll_query_until('postgres',
	"SELECT last_archived_wal >= '$needed' FROM pg_stat_archiver")
  or die 'the log was not archived';

foreach my $point ('inserted', 'sealed', 'vacuumed', 'merged')
{
	my $node = PostgreSQL::Test::Cluster->new("to_$point");
	$node->init_from_backup($primary, 'running', has_restoring => 1, standby => 0);
	$node->append_conf('postgresql.conf',
		"recovery_target_name = '$point'\nrecovery_target_action = 'promote'\n"
		  . "recovery_target_timeline = 'current'\narchive_mode = off");
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'not promoted';
	is($node->safe_psql('postgres', 'SELECT count(*), sum(id) FROM items'),
		$rows{$point}, "to $point: the rows of that point");
	is(check_index($node, 'items_embedding'), '', "to $point: no problem");
	is(same_rows($node), '', "to $point: every row once");
	is(same_as_exact($node, table => 'items', operator => '<->'), '', "to $point: answers as exact search");
	$node->safe_psql('postgres', "INSERT INTO items SELECT 1, 1, row_vector(1, 16)::vector;
		SELECT milvus.seal_index('items_embedding')");
	is(check_index($node, 'items_embedding'), '', "to $point: another way to go on");
	$node->stop;
}

done_testing();
