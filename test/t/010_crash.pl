# kill -9 at every step of insert, seal, merge, VACUUM and build that writes: after
# recovery the index has no problem, holds every committed row once, answers as
# well as before; VACUUM finds the blocks that were left behind, and the next seal
# works.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main', conf => 'milvus.background_seal = off');
load_clustered_queries($node, dim => 16);

# Nothing of the index may be lost or counted twice; what the crash left is found by
# VACUUM and used again: doing the same work twice more, without crashes, leaves
# the file no larger than crash and work made it together.
sub sound
{
	my ($what, $table, %options) = @_;
	my $index = "${table}_embedding";
	my $blocks_before = $options{bytes_before};

	is(check_index($node, $index), '', "$what: the recovered index has no problem");
	is(same_rows($node, table => $table, operator => $options{operator}),
		'', "$what: every committed row is found once, no other is");
	cmp_ok(
		recall($node, table => $table, operator => '<->', queries => $options{queries}),
		'>=', $options{recall} // 0.95,
		"$what: recall");

	my $free = index_stat($node, $index, 'free_bytes');
	my $left = index_stat($node, $index, 'bytes') - $blocks_before;
	$node->safe_psql('postgres', "VACUUM $table");
	if ($options{leaves})
	{
		cmp_ok($left, '>', 0, "$what: the crash left blocks behind");
		cmp_ok(index_stat($node, $index, 'free_bytes'),
			'>=', $free + $left, "$what: VACUUM found them");
	}
	is(check_index($node, $index), '', "$what: no problem after VACUUM");
	$node->safe_psql('postgres', "SELECT milvus.seal_index('$index')");
	is($node->safe_psql('postgres',
			"SELECT count(*), sum(rows - deleted_rows) FROM milvus.index_segments('$index') WHERE state = 'sealed'")
		  =~ /^[1-9]\d*\|(\d+)$/ ? $1 : 'nothing sealed',
		$node->safe_psql('postgres', "SELECT count(*) FROM $table"),
		"$what: the next seal holds every row");
	is(check_index($node, $index), '', "$what: no problem after it");
	is(same_rows($node, table => $table), '', "$what: every row once after it");
	return;
}

# A table with a sealed and a growing part, dead rows in both: 700 rows live.
sub prepare
{
	my ($table) = @_;
	load_clustered($node, table => $table, rows => 500, dim => 16);
	$node->safe_psql('postgres',
		"CREATE INDEX ${table}_embedding ON $table USING ann (embedding vector_l2_ops, id)");
	insert_clustered($node, table => $table, first => 501, rows => 300, dim => 16);
	$node->safe_psql('postgres', "DELETE FROM $table WHERE id % 8 = 3; CHECKPOINT");
	return index_stat($node, "${table}_embedding", 'bytes');
}

# Kills a seal or merge that carries marks to its new segments: they were set by a
# VACUUM while it was built.
sub crash_carrying
{
	my ($sql) = @_;
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('SELECT pg_advisory_lock(0, 19530);');
	my $sealer = $node->background_psql('postgres', on_error_stop => 0);
	$sealer->query_until(qr/begun/, "\\echo begun\n"
		  . "SET milvus.debug_point = 'seal-before-publish:wait,publish-marks-carried'; $sql;\n");
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted})
	  or die 'the seal does not wait';
	$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 8 = 5');
	$node->safe_psql('postgres', 'VACUUM items');
	# the crash may end this session before it has its answer
	eval { $holder->query('SELECT pg_advisory_unlock(0, 19530);') };
	eval { $_->quit } foreach $sealer, $holder;
	wait_until_down($node);
	$node->start;
	return;
}

# The steps, in the order they come to, each with whether blocks stay behind.
my @sealing = (
	[ 'segment-built', 0 ],
	[ 'segment-allocated', 1 ],
	[ 'segment-half-written', 1 ],
	[ 'segment-written', 1 ],
	[ 'cache-fill', 1 ],
	[ 'seal-before-publish', 1 ],
	[ 'publish-manifest-written', 1 ],
	[ 'publish-marks-carried', 1 ],
	[ 'published', 0 ]);

foreach my $step ([ 'seal-closed', 0 ], @sealing)
{
	my ($point, $leaves) = @$step;
	my $bytes = prepare('items');
	my $seal = "SELECT milvus.seal_index('items_embedding')";
	$point eq 'publish-marks-carried' ? crash_carrying($seal) : crash_at($node, $point, $seal);
	sound("seal, $point", 'items', bytes_before => $bytes, leaves => $leaves);
	$node->safe_psql('postgres', 'DROP TABLE items');
}
foreach my $step (@sealing)
{
	my ($point, $leaves) = @$step;
	my $bytes = prepare('items');
	$node->safe_psql('postgres', "SELECT milvus.seal_index('items_embedding')");
	insert_clustered($node, first => 801, rows => 20, dim => 16);
	$bytes = index_stat($node, 'items_embedding', 'bytes');
	my $merge = "SELECT milvus.compact_index('items_embedding')";
	$point eq 'publish-marks-carried' ? crash_carrying($merge) : crash_at($node, $point, $merge);
	sound("merge, $point", 'items', bytes_before => $bytes, leaves => 0);
	$node->safe_psql('postgres', 'DROP TABLE items');
}
foreach my $point ('vacuum-growing-marked', 'vacuum-before-marks', 'vacuum-after-marks',
	'vacuum-marked', 'segment-written', 'publish-manifest-written', 'published')
{
	my $bytes = prepare('items');
	crash_at($node, $point, 'SET milvus.growing_rows = 100; VACUUM items');
	sound("vacuum, $point", 'items', bytes_before => $bytes);
	$node->safe_psql('postgres', 'DROP TABLE items');
}

# Rows of the transaction that crashes are not there afterwards; those before are.
foreach my $step ([ 'insert-appended', 0 ], [ 'insert-new-page', 0 ], [ 'insert-reserved', 1 ],
	[ 'insert-page-added', 0 ])
{
	my ($point, $leaves) = @$step;
	my $bytes = prepare('items');
	crash_at($node, $point, q{
		INSERT INTO items SELECT id, 0, row_vector(id, 16)::vector FROM generate_series(801, 2000) id});
	is($node->safe_psql('postgres', 'SELECT max(id) FROM items'),
		800, "insert, $point: the transaction is gone");
	sound("insert, $point", 'items', bytes_before => $bytes, leaves => $leaves);
	insert_clustered($node, first => 801, rows => 300, dim => 16);
	is(check_index($node, 'items_embedding'), '', "insert, $point: inserting goes on");
	is(same_rows($node), '', "insert, $point: the new rows are found");
	$node->safe_psql('postgres', 'DROP TABLE items');
}

# Vectors larger than a page lie on blocks of their own, filled before they are linked.
load_clustered_queries($node, table => 'large_queries', rows => 3, dim => 3000);
$node->safe_psql('postgres', 'ALTER TABLE queries RENAME TO small_queries; ALTER TABLE large_queries RENAME TO queries');
foreach my $step ([ 'insert-large-taken', 1 ], [ 'insert-large-filled', 1 ])
{
	my ($point, $leaves) = @$step;
	load_clustered($node, rows => 20, dim => 3000);
	$node->safe_psql('postgres',
		'CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops, id)');
	insert_clustered($node, first => 21, rows => 20, dim => 3000);
	my $bytes = index_stat($node, 'items_embedding', 'bytes');
	crash_at($node, $point, 'INSERT INTO items SELECT 41, 0, row_vector(41, 3000)::vector');
	sound("large vector, $point", 'items', bytes_before => $bytes, leaves => $leaves);
	insert_clustered($node, first => 41, rows => 20, dim => 3000);
	is(check_index($node, 'items_embedding'), '', "large vector, $point: inserting goes on");
	is(same_rows($node), '', "large vector, $point: the new rows are found");
	$node->safe_psql('postgres', 'DROP TABLE items');
}
$node->safe_psql('postgres', 'DROP TABLE queries; ALTER TABLE small_queries RENAME TO queries');

# CREATE INDEX of several segments: no index, no trace in the table, and again.
foreach my $point ('segment-allocated', 'segment-written', 'build-segments-written', 'build-published')
{
	load_clustered($node, rows => 2500, dim => 16);
	crash_at($node, $point,
		'CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops) WITH (segment_rows = 1000)');
	is($node->safe_psql('postgres', "SELECT to_regclass('items_embedding')"),
		'', "build, $point: there is no index");
	$node->safe_psql('postgres',
		'CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops) WITH (segment_rows = 1000)');
	is(index_stat($node, 'items_embedding', 'segments'), 3, "build, $point: built again");
	is(check_index($node, 'items_embedding'), '', "build, $point: without a problem");
	is(same_rows($node), '', "build, $point: every row once");
	$node->safe_psql('postgres', 'DROP TABLE items');
}

# A search that dies while it makes a cache file leaves nothing that later ones use.
prepare('items');
$node->stop;
foreach my $file (glob($node->data_dir . '/pgsql_tmp_milvus/*'))
{
	unlink $file or die "could not remove $file: $!";
}
$node->start;
crash_at($node, 'cache-fill', "SELECT milvus.load_index('items_embedding')");
is(check_index($node, 'items_embedding'), '', 'cache fill: no problem');
cmp_ok(recall($node, table => 'items', operator => '<->'), '>=', 0.95, 'cache fill: recall');
is($node->safe_psql('postgres', "SELECT bool_and(cached) FROM milvus.index_segments('items_embedding') WHERE state = 'sealed'"),
	't', 'cache fill: the file was made by the next search');

done_testing();
