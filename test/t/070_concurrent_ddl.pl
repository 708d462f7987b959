# CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY while clients insert, update and
# delete: the index is complete, and answers as exact search.

use strict;
use warnings;

use MilvusTest;
use Test::More;

random_seed(70);
my $node = new_node('main', conf => "milvus.growing_rows = 100\nmax_worker_processes = 16");
load_clustered($node, rows => 2000, dim => 16);
load_clustered_queries($node, dim => 16);
$node->safe_psql('postgres', 'CREATE SEQUENCE ids START 100001');

my $script = $node->basedir . '/writes.pgbench';
PostgreSQL::Test::Utils::append_to_file($script, q{
	\set id random(1, 2000)
	\set other random(1, 2000)
	INSERT INTO items SELECT id, 0, row_vector(id::int, 16)::vector FROM (SELECT nextval('ids') AS id) s;
	DELETE FROM items WHERE id = :id;
	BEGIN;
	UPDATE items SET grp = grp + 1, embedding = row_vector(id + 3000000, 16)::vector WHERE id = :other;
	SAVEPOINT s;
	INSERT INTO items SELECT -id, 0, row_vector(id::int, 16)::vector FROM (SELECT nextval('ids') AS id) s;
	ROLLBACK TO s;
	END;
	INSERT INTO items SELECT :id, 0, row_vector(:id, 16)::vector ON CONFLICT DO NOTHING;
});

sub under_load
{
	my ($work) = @_;
	my ($out, $err) = ('', '');
	my $load = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '3', '-T', '600', '-f', $script,
			'-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \$out, '2>', \$err);
	my $written = sub { return $node->safe_psql('postgres', 'SELECT last_value FROM ids'); };
	my $start = $written->();
	$node->poll_query_until('postgres', "SELECT last_value > $start + 50 FROM ids") or die "no load: $err";
	$work->();
	my $end = $written->();
	cmp_ok($end, '>', $start, 'clients wrote meanwhile');
	$node->poll_query_until('postgres', "SELECT last_value > $end + 50 FROM ids") or die "load ended: $err";
	$load->signal('INT');
	$load->finish;
	unlike($err, qr/ERROR|FATAL|aborted/, 'no client met an error') or diag($err);
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'});
	return;
}

sub sound
{
	my ($what) = @_;
	is($node->safe_psql('postgres', q{
			SELECT count(*), bool_and(indisvalid AND indisready) FROM pg_index
			WHERE indrelid = 'items'::regclass AND NOT indisprimary}),
		'1|t', "$what: one index, valid");
	is(check_index($node, 'items_embedding'), '', "$what: no problem");
	is(same_rows($node), '', "$what: every row once");
	is(same_as_exact($node, table => 'items', operator => '<->'), '', "$what: answers as exact search");
	return;
}

under_load(sub {
	$node->safe_psql('postgres',
		"CREATE INDEX CONCURRENTLY items_embedding ON items USING ann (embedding vector_l2_ops, id) WITH (index_type = 'FLAT', segment_rows = 1000)");
});
sound('created');
under_load(sub { $node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY items_embedding') for 1 .. 3; });
sound('reindexed');
under_load(sub {
	$node->safe_psql('postgres', 'VACUUM items') for 1 .. 3;
	$node->safe_psql('postgres', 'REINDEX TABLE CONCURRENTLY items');
	$node->safe_psql('postgres', "SELECT milvus.compact_index('items_embedding')");
});
sound('vacuumed and reindexed');

# A build that fails leaves an index that is not valid: inserts do not reach it when
# it failed in its first pass, and do when it failed in its second, which compares it
# with the table; nobody seals or searches it, and REINDEX makes it whole.
foreach my $failed ([ 'build-segments-written', '0 0', 500001 ], [ 'vacuum-marked', '1 300', 600001 ])
{
	my ($point, $holds, $first) = @$failed;
	$node->safe_psql('postgres', 'DROP INDEX items_embedding');
	isnt(sql_state($node, qq{
			SET milvus.debug_point = '$point:error';
			CREATE INDEX CONCURRENTLY items_embedding ON items USING ann (embedding vector_l2_ops) WITH (index_type = 'FLAT')}),
		'', "$point: the build fails");
	is($node->safe_psql('postgres', q{SELECT indisvalid FROM pg_index WHERE indexrelid = 'items_embedding'::regclass}),
		'f', "$point: a failed build leaves an index that is not valid");
	insert_clustered($node, first => $first, rows => 300, dim => 16);
	$node->safe_psql('postgres', "SELECT milvus.seal_index('items_embedding'); VACUUM items");
	is(index_stat($node, 'items_embedding', q{segments || ' ' || growing_rows}), $holds,
		"$point: nobody seals it");
	is(check_index($node, 'items_embedding') =~ /^(index is not valid.*)$/m ? 1 : 0, 1, "$point: a check says so");
	$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 5 = 1; VACUUM items; REINDEX INDEX CONCURRENTLY items_embedding');
	sound("$point, made whole");
}

done_testing();
