# Milvus tables through everything that moves, copies, replaces or removes their files, with
# wal_level = minimal, where a relation made in the same transaction is not logged: after each
# step and a crash the rows of a heap table are there.  What is dropped leaves nothing.

use strict;
use warnings;

use MilvusTest;
use MilvusTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => q{
	wal_level = minimal
	max_wal_senders = 0
	wal_skip_threshold = 0
	max_prepared_transactions = 5});
make_pair($node);
fill_pair($node, 1, 3000);
flush($node);

sub kill_server
{
	$node->stop('immediate');
	$node->start;
	return;
}

# in what comes after a step: rows, more sealing, a crash
sub step
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	sound($node, $what);
	kill_server();
	both($node, 'UPDATE TABLE SET a = a + 1 WHERE id % 30 = 3');
	both($node, 'DELETE FROM TABLE WHERE id % 200 = 7');
	my $next = $node->safe_psql('postgres', 'SELECT coalesce(max(id), 0) + 1 FROM heap_rows');
	fill_pair($node, $next, $next + 200);
	flush($node);
	sound($node, "$what, crash, sealed");
	return;
}

step('sealed');

# ---- rewrites ----

mkdir $node->basedir . '/space' or die;
$node->safe_psql('postgres', 'CREATE TABLESPACE space LOCATION \'' . $node->basedir . '/space\'');
foreach my $statement ('VACUUM FULL rows', 'CLUSTER rows USING rows_pkey', 'ALTER TABLE rows SET TABLESPACE space',
	'ALTER TABLE rows ALTER a TYPE bigint', 'ALTER TABLE rows ADD late int DEFAULT (random() * 1000)::int',
	'ALTER TABLE rows SET ACCESS METHOD heap', 'ALTER TABLE rows SET ACCESS METHOD milvus', 'ALTER TABLE rows SET TABLESPACE pg_default',
	'VACUUM FULL rows')
{
	$node->safe_psql('postgres', 'ALTER TABLE heap_rows ALTER a TYPE bigint') if $statement =~ /bigint/;
	if ($statement !~ /VACUUM/)
	{
		# (the indexes stay where they are when a table moves, and keep what a rolled back
		# transaction inserted for the copy that is gone: PostgreSQL's own, heap does it too)
		my $insert = $statement =~ /TABLESPACE/ ? '' : 'INSERT INTO rows (id, n) VALUES (-1, 0);';
		$node->safe_psql('postgres', "BEGIN; $statement; $insert ROLLBACK");
		is(pair_differs($node), '', "$statement, rolled back");
	}
	# a segment that is not finished, and dead rows
	fill_pair($node, 50001, 50500);
	isnt($node->psql('postgres', q{SET milvus.debug_point = 'table-seal-committed:error'; SELECT milvus.flush_table('rows')}), 0,
		'a seal that is not finished') if $statement !~ /METHOD/;
	both($node, 'DELETE FROM TABLE WHERE id BETWEEN 50100 AND 50150');
	$node->safe_psql('postgres', $statement);
	if ($statement =~ /METHOD heap/)
	{
		is(pair_differs($node), '', $statement);
		kill_server();
		is(pair_differs($node), '', "$statement, crash");
	}
	else
	{
		step($statement);
	}
	both($node, 'DELETE FROM TABLE WHERE id >= 50000');
}
$node->safe_psql('postgres', 'ALTER TABLE rows DROP late');

# ---- TRUNCATE ----

my $toast = $node->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'rows'::regclass});
is($node->safe_psql('postgres', qq{BEGIN; TRUNCATE rows; SELECT count(*) FROM rows; ROLLBACK}), 0, 'TRUNCATE');
sound($node, 'TRUNCATE rolled back');
$node->safe_psql('postgres', 'TRUNCATE rows, heap_rows');
is($node->safe_psql('postgres', "SELECT count(*) FROM $toast"), 0, 'TRUNCATE leaves nothing');
step('TRUNCATE');
# in place: the table is of the same transaction
$node->safe_psql('postgres', q{
	BEGIN;
	DROP TABLE rows;
	CREATE TABLE rows (LIKE heap_rows INCLUDING ALL) USING milvus;
	INSERT INTO rows SELECT 7000000 + i, 1, repeat('x', 9000) FROM generate_series(1, 50) i;
	TRUNCATE rows;
	INSERT INTO rows SELECT * FROM heap_rows;
	COMMIT});
step('TRUNCATE in place');

# ---- two-phase commit, savepoints ----

$node->safe_psql('postgres', q{
	BEGIN;
	DELETE FROM rows WHERE id % 11 = 2; UPDATE rows SET a = -5 WHERE id % 11 = 3;
	DELETE FROM heap_rows WHERE id % 11 = 2; UPDATE heap_rows SET a = -5 WHERE id % 11 = 3;
	PREPARE TRANSACTION 'changes'});
is(pair_differs($node), '', 'prepared');
flush($node);
kill_server();
flush($node);
is(pair_differs($node), '', 'prepared, crash');
$node->safe_psql('postgres', q{COMMIT PREPARED 'changes'});
is($node->safe_psql('postgres', 'SELECT count(*) FROM rows WHERE id % 11 = 2'), 0, 'committed');
step('COMMIT PREPARED');
$node->safe_psql('postgres', q{BEGIN; ALTER TABLE rows ALTER t TYPE varchar; DELETE FROM rows WHERE id % 2 = 0; PREPARE TRANSACTION 'rewrite'});
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'rewrite'});
step('ROLLBACK PREPARED');
$node->safe_psql('postgres', q{BEGIN; DROP TABLE rows; PREPARE TRANSACTION 'drop'});
kill_server();
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'drop'});
sound($node, 'DROP prepared and rolled back');
$node->safe_psql('postgres', q{BEGIN; SAVEPOINT s; DROP TABLE rows; ROLLBACK TO s; SAVEPOINT s; TRUNCATE rows; ROLLBACK TO s;
	INSERT INTO rows (id, n) VALUES (-9, 0); COMMIT; DELETE FROM rows WHERE id = -9});
step('savepoints');

# ---- rows that are never sealed ----

foreach my $persistence ('UNLOGGED', 'TEMP')
{
	is($node->safe_psql('postgres', qq{
		CREATE $persistence TABLE other (id int PRIMARY KEY, t text) USING milvus;
		INSERT INTO other SELECT i, repeat('x', i % 3000) FROM generate_series(1, 5000) i;
		\\set ON_ERROR_STOP 0
		SELECT milvus.flush_table('other');
		\\set ON_ERROR_STOP 1
		VACUUM other;
		SELECT count(*) FROM milvus.table_segments('other') WHERE state <> 'Growing';
		SELECT count(*), sum(length(t)) FROM other}), "0\n5000|6499500", "$persistence is not sealed");
}
kill_server();
is($node->safe_psql('postgres', 'SELECT count(*) FROM other'), 0, 'UNLOGGED is empty after a crash');
$node->safe_psql('postgres', q{INSERT INTO other SELECT i, repeat('x', 20) FROM generate_series(1, 5000) i; ALTER TABLE other SET LOGGED});
cmp_ok(flush($node, table => 'other'), '>', 0, 'SET LOGGED: it is sealed');
$node->safe_psql('postgres', 'ALTER TABLE other SET UNLOGGED');
is($node->safe_psql('postgres', 'SELECT count(*), min(length(t)) FROM other'), '5000|20', 'SET UNLOGGED: rows are there');
is($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.table_segments('other') WHERE state <> 'Growing'}), 0,
	'SET UNLOGGED: nothing of it is sealed');
kill_server();
is($node->safe_psql('postgres', 'SELECT count(*) FROM other'), 0, 'and empty after a crash');
is(table_problems($node, table => 'other'), '', 'no problem');
$node->safe_psql('postgres', 'DROP TABLE other');

# ---- nothing is left ----

both($node, 'DELETE FROM TABLE WHERE true');
$node->safe_psql('postgres', q{VACUUM rows; SELECT milvus.compact_table('rows'); VACUUM rows});
$toast = $node->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'rows'::regclass});
is($node->safe_psql('postgres', "SELECT count(*) FROM $toast WHERE chunk_id >= 16384"), 0, 'no value of a segment without rows');
is(segments($node), 0, 'and no such segment');
sound($node, 'without rows');
fill_pair($node, 1, 2000);
flush($node);
$node->safe_psql('postgres', q{SELECT milvus.load_table('rows')});

sub cache_files
{
	return scalar(my @files = glob $node->data_dir . '/pgsql_tmp_milvus/*');
}
cmp_ok(cache_files(), '>', 0, 'there are cache files');
isnt($node->psql('postgres', 'DROP EXTENSION milvus'), 0, 'DROP EXTENSION refuses');
is($node->safe_psql('postgres', 'BEGIN; DROP EXTENSION milvus CASCADE; ROLLBACK; SELECT count(*) FROM rows'), 2000, 'CASCADE rolled back');
sound($node, 'DROP EXTENSION rolled back');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION milvus');
make_pair($node, dbname => 'other');
fill_pair($node, 1, 2000, dbname => 'other');
is(flush($node, dbname => 'other'), 1, 'a segment in another database');
$node->safe_psql('postgres', 'DROP DATABASE other');
sound($node, 'DROP DATABASE of another');
$node->safe_psql('postgres', 'DROP EXTENSION milvus CASCADE');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM pg_class WHERE relname IN ('rows', 'rows_pkey', 'rows_a');
	SELECT count(*) FROM pg_am WHERE amname = 'milvus';
	SELECT count(*) FROM pg_seclabel}), "0\n0\n0", 'CASCADE takes the tables with it');

done_testing();
