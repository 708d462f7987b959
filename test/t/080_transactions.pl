# Transactions and the life of a database: two-phase commit, savepoints, ROLLBACK of
# what makes or replaces an index, CREATE DATABASE TEMPLATE, ALTER … SET TABLESPACE,
# dump and restore, DROP while a background seal runs.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main', conf => "max_prepared_transactions = 4\nmilvus.growing_rows = 50");
load_clustered_queries($node, dim => 16);

sub make_items
{
	load_clustered($node, rows => 600, dim => 16);
	$node->safe_psql('postgres', q{
		CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops) WITH (index_type = 'FLAT')});
	return;
}

sub sound
{
	my ($what, %options) = @_;
	is(check_index($options{node} // $node, 'items_embedding', %options), '', "$what: no problem");
	is(same_rows($options{node} // $node, %options), '', "$what: every row once");
	is(same_as_exact($options{node} // $node, table => 'items', operator => '<->', %options),
		'', "$what: answers as exact search");
	return;
}

my $add = 'INSERT INTO items SELECT id, 0, row_vector(id, 16)::vector FROM generate_series(%d, %d) id;';

# ---- two-phase commit: prepared rows are sealed before their fate is known ----

make_items();
$node->safe_psql('postgres', 'BEGIN;' . sprintf($add, 1001, 1200) . "PREPARE TRANSACTION 'kept'");
$node->safe_psql('postgres', 'BEGIN;' . sprintf($add, 2001, 2200) . "PREPARE TRANSACTION 'dropped'");
$node->safe_psql('postgres', "SELECT milvus.seal_index('items_embedding')");
sound('prepared');
$node->restart;
sound('prepared, restarted');
$node->safe_psql('postgres', "COMMIT PREPARED 'kept'");
is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), 800, 'committed rows are there');
sound('one committed');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'dropped'");
sound('one rolled back');
$node->safe_psql('postgres', 'VACUUM items');
$node->safe_psql('postgres', sprintf($add, 3001, 3200));
sound('places used again');
$node->safe_psql('postgres', 'BEGIN; DELETE FROM items WHERE id <= 100; ' . "SELECT milvus.seal_index('items_embedding'); PREPARE TRANSACTION 'sealer'");
$node->safe_psql('postgres', "SELECT milvus.seal_index('items_embedding'); VACUUM items; COMMIT PREPARED 'sealer'");
sound('a prepared transaction that sealed');

# ---- savepoints ----

$node->safe_psql('postgres', 'BEGIN; SAVEPOINT a;' . sprintf($add, 4001, 4100) . 'ROLLBACK TO a;'
	  . sprintf($add, 5001, 5100) . 'SAVEPOINT b; DELETE FROM items WHERE id <= 150;'
	  . "SELECT milvus.seal_index('items_embedding'); ROLLBACK TO b; DELETE FROM items WHERE id > 5050; COMMIT");
is($node->safe_psql('postgres', 'SELECT count(*) FILTER (WHERE id > 4000), count(*) FILTER (WHERE id <= 150) FROM items'),
	'50|50', 'savepoints: the rows that should be there');
sound('savepoints');

# ---- ROLLBACK of what makes or replaces an index ----

foreach my $replaces ('TRUNCATE items', 'REINDEX INDEX items_embedding', 'DROP INDEX items_embedding',
	'ALTER TABLE items ALTER grp TYPE bigint', 'CLUSTER items USING items_pkey')
{
	my $what = $replaces =~ s/ items.*//r;
	# the session has the old index in view, makes a new one, and comes back
	my $session = $node->background_psql('postgres');
	my $search = "$MilvusTest::INDEXED SELECT string_agg(id::text, ' ') FROM (SELECT id FROM items
		ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 5) LIMIT 20) s;";
	my $before = $session->query_safe($search);
	$session->query_safe("BEGIN; $replaces;" . sprintf($add, 9001, 9100));
	$session->query_safe("SELECT milvus.seal_index('items_embedding');") if $replaces !~ /DROP/;
	my $within = $session->query_safe($search);
	# through the index or without it: those rows that the transaction sees
	my $exact = $session->query_safe("$MilvusTest::EXACT RESET enable_sort; RESET enable_seqscan; " . ($search =~ s/\Q$MilvusTest::INDEXED\E//r) . 'RESET enable_indexscan;');
	is($within, $exact, "$what: in the transaction, its own rows");
	$session->query_safe('ROLLBACK;');
	is($session->query_safe($search), $before, "$what rolled back: the answer of before");
	$session->quit;
	sound("$what rolled back");
}
$node->safe_psql('postgres', 'CLUSTER items USING items_pkey');
sound('CLUSTER');
$node->safe_psql('postgres', 'VACUUM FULL items');
sound('VACUUM FULL');
$node->safe_psql('postgres', 'BEGIN; TRUNCATE items;' . sprintf($add, 1, 300) . 'COMMIT');
is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), 300, 'TRUNCATE: only the new rows');
sound('TRUNCATE');
is(sql_state($node, 'BEGIN; CREATE INDEX other ON items USING ann (embedding vector_cosine_ops); ROLLBACK'),
	'', 'CREATE INDEX rolled back');
is($node->safe_psql('postgres', "SELECT to_regclass('other')"), '', 'is not there');

# ---- a copy of the database, another tablespace ----

$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 9 = 2; VACUUM items;' . sprintf($add, 6001, 6100));
$node->safe_psql('template1', 'CREATE DATABASE original TEMPLATE postgres');
foreach my $strategy ('wal_log', 'file_copy')
{
	$node->safe_psql('template1', "CREATE DATABASE $strategy TEMPLATE original STRATEGY $strategy");
	sound("copy by $strategy", dbname => $strategy);
	insert_clustered($node, dbname => $strategy, first => 7001, rows => 100, dim => 16);
	$node->safe_psql($strategy, "SELECT milvus.compact_index('items_embedding')");
	sound("copy by $strategy, merged", dbname => $strategy);
	sound("the original of $strategy", dbname => 'original');
	$node->safe_psql('template1', "DROP DATABASE $strategy");
}
mkdir $node->basedir . '/space' or die;
$node->safe_psql('postgres', 'CREATE TABLESPACE space LOCATION \'' . $node->basedir . '/space\'');
$node->safe_psql('postgres', 'ALTER INDEX items_embedding SET TABLESPACE space');
sound('another tablespace');
$node->safe_psql('postgres', sprintf($add, 8001, 8100) . "SELECT milvus.seal_index('items_embedding')");
sound('another tablespace, sealed');
$node->stop('immediate');
$node->start;
sound('another tablespace, recovered');
$node->safe_psql('postgres', 'ALTER INDEX items_embedding SET TABLESPACE pg_default; ALTER TABLE items SET TABLESPACE space');
sound('and back');

# ---- dump and restore ----

my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '--no-tablespaces', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is($node->safe_psql('restored', 'SELECT count(*), sum(id), md5(string_agg(embedding::text, \'\' ORDER BY id)) FROM items'),
	$node->safe_psql('postgres', 'SELECT count(*), sum(id), md5(string_agg(embedding::text, \'\' ORDER BY id)) FROM items'),
	'the restored rows are the same');
sound('restored', dbname => 'restored');

# ---- a background seal and who wants the table for himself ----

# Workers of this database stop in the middle of a seal; our own sessions do not.
$node->safe_psql('template1', "ALTER DATABASE restored SET milvus.debug_point = 'seal-closed:wait'");
my $not_us = "SET milvus.debug_point = '';";

foreach my $wants ('DROP INDEX items_embedding', 'TRUNCATE items', 'ALTER TABLE items ADD extra int',
	'DROP TABLE items')
{
	$node->safe_psql('restored', qq{$not_us
		DROP TABLE IF EXISTS items;
		CREATE TABLE items (id int PRIMARY KEY, grp int, embedding vector(16));
		CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops)});
	my $holder = $node->background_psql('restored');
	$holder->query_safe("$not_us SELECT pg_advisory_lock(0, 19530);");
	# two pages of growing rows: past the limit, not so far that the inserter seals
	$node->safe_psql('restored', $not_us . sprintf($add, 10001, 10150));
	$node->poll_query_until('restored',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'milvus worker' AND wait_event = 'advisory'})
	  or die 'no worker seals';
	my $session = $node->background_psql('restored');
	$session->query_until(qr/begun/, "\\echo begun\n$not_us $wants;\n");
	$node->poll_query_until('restored',
		q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND mode = 'AccessExclusiveLock'})
	  or die 'nobody waits';
	$holder->query_safe('SELECT pg_advisory_unlock(0, 19530);');
	is($session->query_safe('SELECT 1;'), 1, "$wants goes through");
	$session->quit;
	$holder->quit;
	$node->poll_query_until('restored', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'milvus worker'})
	  or die 'the worker does not end';
	is(check_index($node, 'items_embedding', dbname => 'restored'), '', "$wants: no problem")
	  if $wants =~ /TRUNCATE|ALTER/;
}
$node->safe_psql('template1', 'DROP DATABASE restored WITH (FORCE)');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing died');

done_testing();
