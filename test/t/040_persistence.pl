# UNLOGGED and temporary tables, and wal_level = minimal: what is not logged is empty
# and usable after a crash, what was committed is there.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main', conf => "wal_level = minimal\nmax_wal_senders = 0\nmilvus.background_seal = off");
load_clustered_queries($node, dim => 16);

sub kill_server
{
	$node->stop('immediate');
	$node->start;
	return;
}

# ---- UNLOGGED ----

load_clustered($node, persistence => 'UNLOGGED', rows => 500, dim => 16);
$node->safe_psql('postgres',
	'CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops)');
insert_clustered($node, first => 501, rows => 100, dim => 16);
$node->safe_psql('postgres', "SELECT milvus.seal_index('items_embedding')");
is(check_index($node, 'items_embedding'), '', 'unlogged: no problem before');
is(same_rows($node), '', 'unlogged: every row once');
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), 600, 'unlogged: a clean restart keeps the rows');
is(same_rows($node), '', 'unlogged: and the index');

foreach my $round (1, 2)
{
	kill_server();
	is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), 0, "unlogged, crash $round: empty");
	is($node->safe_psql('postgres', "$MilvusTest::INDEXED SELECT id FROM items
			ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 1)"),
		'', "unlogged, crash $round: the index finds nothing");
	is(check_index($node, 'items_embedding'), '', "unlogged, crash $round: no problem");
	is(index_stat($node, 'items_embedding', 'segments + growing_rows'), 0, "unlogged, crash $round: no rows in it");

	# other vectors at the same places of the table: nothing of before may answer
	insert_clustered($node, first => 1001 + 1000 * $round, rows => 400, dim => 16);
	is(same_rows($node), '', "unlogged, crash $round: new rows are found");
	$node->safe_psql('postgres', "SELECT milvus.seal_index('items_embedding')");
	is(check_index($node, 'items_embedding'), '', "unlogged, crash $round: usable");
	is(same_rows($node), '', "unlogged, crash $round: sealed rows are found");
	cmp_ok(recall($node, table => 'items', operator => '<->'), '>=', 0.95, "unlogged, crash $round: recall");
}
$node->safe_psql('postgres', 'ALTER TABLE items SET LOGGED');
is(check_index($node, 'items_embedding'), '', 'set logged: no problem');
kill_server();
is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), 400, 'set logged: rows outlive a crash');
is(check_index($node, 'items_embedding'), '', 'set logged: no problem after a crash');
is(same_rows($node), '', 'set logged: every row once');
$node->safe_psql('postgres', 'DROP TABLE items');

# ---- wal_level = minimal: an index made in the transaction that made its table ----

foreach my $threshold ('0', '100MB')
{
	# small files are logged at commit, large ones are synced, by this setting
	$node->append_conf('postgresql.conf', "wal_skip_threshold = '$threshold'");
	$node->reload;
	$node->safe_psql('postgres', q{
		BEGIN;
		CREATE TABLE items (id int PRIMARY KEY, grp int, embedding vector(16));
		CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops);
		INSERT INTO items SELECT id, 0, row_vector(id, 16)::vector FROM generate_series(1, 300) id;
		SELECT milvus.seal_index('items_embedding');
		INSERT INTO items SELECT id, 0, row_vector(id, 16)::vector FROM generate_series(301, 500) id;
		COMMIT});
	kill_server();
	is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), 500, "minimal, threshold $threshold: rows are there");
	is(check_index($node, 'items_embedding'), '', "minimal, threshold $threshold: no problem");
	is(same_rows($node), '', "minimal, threshold $threshold: every row once");

	$node->safe_psql('postgres', q{
		BEGIN;
		TRUNCATE items;
		INSERT INTO items SELECT id, 0, row_vector(id, 16)::vector FROM generate_series(1001, 1200) id;
		SELECT milvus.compact_index('items_embedding');
		COMMIT});
	kill_server();
	is(check_index($node, 'items_embedding'), '', "minimal, threshold $threshold: truncated and filled: no problem");
	is(same_rows($node), '', "minimal, threshold $threshold: truncated and filled: every row once");
	$node->safe_psql('postgres', 'REINDEX INDEX items_embedding');
	kill_server();
	is(check_index($node, 'items_embedding'), '', "minimal, threshold $threshold: reindexed: no problem");
	is(same_rows($node), '', "minimal, threshold $threshold: reindexed: every row once");
	$node->safe_psql('postgres', 'DROP TABLE items');
}

# ---- temporary ----

is( $node->safe_psql('postgres', qq{
		CREATE TEMP TABLE items (id int PRIMARY KEY, embedding vector(16));
		CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops) WITH (index_type = 'FLAT');
		SET milvus.growing_rows = 100;
		INSERT INTO items SELECT id, row_vector(id, 16)::vector FROM generate_series(1, 1000) id;
		DELETE FROM items WHERE id % 4 = 1;
		VACUUM items;
		INSERT INTO items SELECT id, row_vector(id, 16)::vector FROM generate_series(2001, 2050) id;
		SELECT milvus.check_index('items_embedding');
		$MilvusTest::EXACT
		CREATE TEMP TABLE exact AS SELECT id FROM items ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 1);
		RESET enable_indexscan; $MilvusTest::INDEXED
		CREATE TEMP TABLE found AS SELECT id FROM items ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 1);
		SELECT (SELECT segments > 0 FROM milvus.index_stats('items_embedding')),
			(SELECT array_agg(id) FROM exact) = (SELECT array_agg(id) FROM found),
			(SELECT count(*) FROM found)}),
	't|t|800', 'a temporary table: sealed by its own session, answers as exact search');
is( $node->safe_psql('postgres', qq{
		CREATE TEMP TABLE items (id int, embedding vector(16)) ON COMMIT DELETE ROWS;
		CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops);
		$MilvusTest::INDEXED
		CREATE TEMP VIEW found AS SELECT count(*) FROM (SELECT id FROM items ORDER BY embedding <-> row_vector(1, 16)::vector) s;
		BEGIN;
		INSERT INTO items SELECT id, row_vector(id, 16)::vector FROM generate_series(1, 100) id;
		SELECT milvus.seal_index('items_embedding');
		SELECT * FROM found;
		COMMIT;
		SELECT * FROM found;
		BEGIN;
		INSERT INTO items SELECT id, row_vector(id, 16)::vector FROM generate_series(1, 30) id;
		SELECT * FROM found;
		SELECT milvus.check_index('items_embedding');
		COMMIT}),
	"1\n100\n0\n30", 'ON COMMIT DELETE ROWS empties the index at each commit');

done_testing();
