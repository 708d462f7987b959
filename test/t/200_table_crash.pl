# Tables of the method milvus: kill -9 at every step of sealing and compaction.  After recovery,
# and after rows were changed before the work is finished, the table has the rows of a heap table
# that had the same statements; milvus.check_table() finds nothing; the next run finishes what was
# begun and leaves no TOAST value behind.  A standby replays it all to the same pages
# (wal_consistency_checking), and logical decoding carries the user's changes alone.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main',
	init => [ allows_streaming => 'logical' ],
	conf => qq{
		wal_consistency_checking = 'heap2, heap'
		max_standby_streaming_delay = 0
		hot_standby_feedback = off
		max_prepared_transactions = 2
		max_worker_processes = 12});

$node->safe_psql('postgres', q{
	CREATE TABLE heap_rows (id int PRIMARY KEY, a int, t text, big text);
	ALTER TABLE heap_rows ALTER big SET STORAGE external;});

# Both tables get every change.
sub both
{
	my ($sql) = @_;
	foreach my $table ('heap_rows', 'rows')
	{
		(my $statement = $sql) =~ s/TABLE/$table/g;
		$node->safe_psql('postgres', $statement);
	}
	return;
}

sub sound
{
	my ($what) = @_;
	is($node->safe_psql('postgres', 'SELECT * FROM milvus.check_table($$rows$$)'), '', "$what: no problem");
	is($node->safe_psql('postgres', q{
			SELECT (SELECT count(*) FROM (SELECT * FROM heap_rows EXCEPT ALL SELECT * FROM rows) x),
				(SELECT count(*) FROM (SELECT * FROM rows EXCEPT ALL SELECT * FROM heap_rows) x)}),
		'0|0', "$what: the rows of the heap table");
	is($node->safe_psql('postgres', q{
			SET enable_seqscan = off; SET enable_bitmapscan = off;
			SELECT count(*) FROM heap_rows h LEFT JOIN LATERAL (SELECT * FROM rows r WHERE r.id = h.id OFFSET 0) r
				ON true WHERE r IS DISTINCT FROM h::text::rows}),
		'0', "$what: the same by the primary key");
	return;
}

# Rows of which some have values out of line, in pages of both kinds.
sub prepare
{
	$node->safe_psql('postgres', q{
		DROP TABLE IF EXISTS rows;
		CREATE TABLE rows (LIKE heap_rows INCLUDING ALL) USING milvus;
		TRUNCATE heap_rows});
	both(q{INSERT INTO TABLE SELECT i, i % 10, 'the text of row ' || i,
			CASE WHEN i % 5 = 0 THEN repeat(md5(i::text), 150 + i % 50) END
		FROM generate_series(1, 3000) i});
	return;
}

# Changes of rows that a killed process may or may not have sealed: gone, gone and their place used
# again, changed with and without their values out of line.
sub change
{
	both('DELETE FROM TABLE WHERE id % 50 = 15');
	both(q{UPDATE TABLE SET a = a + 1 WHERE id % 50 = 20});
	both(q{UPDATE TABLE SET big = repeat('new', 1500) WHERE id % 50 = 25});
	$node->safe_psql('postgres', 'VACUUM rows');
	both(q{INSERT INTO TABLE SELECT (SELECT max(id) FROM TABLE) + i, i, 'again at the place', repeat('again', 900)
		FROM generate_series(1, 100) i});
	return;
}

sub unfinished
{
	return $node->safe_psql('postgres', q{
		SELECT count(*) FROM milvus.table_segments('rows') WHERE state = 'Sealed'});
}

foreach my $point (
	'table-root-written', 'table-seal-written', 'table-seal-before-commit', 'table-seal-committed',
	'table-seal-page', 'table-seal-pages-written', 'table-seal-values-deleted', 'table-seal-before-flushed',
	'table-seal-flushed')
{
	foreach my $changed (0, 1)
	{
		prepare();
		crash_at($node, $point, q{SELECT milvus.flush_table('rows')});
		sound("$point, restarted");
		if ($changed)
		{
			change();
			sound("$point, rows changed");
		}
		$node->safe_psql('postgres', q{SELECT milvus.flush_table('rows')});
		is(unfinished(), 0, "$point: nothing is unfinished");
		sound("$point, finished");
		is($node->safe_psql('postgres', q{SELECT coalesce(sum(rows), 0) FROM milvus.table_segments('rows') WHERE state = 'Growing'}),
			0, "$point: all rows are sealed");
	}
}

foreach my $point (
	'table-compact-written', 'table-compact-before-commit', 'table-compact-committed', 'table-compact-page',
	'table-compact-pages-written', 'table-compact-before-flushed', 'table-compact-flushed')
{
	foreach my $kind ('merge', 'sort')
	{
		prepare();
		$node->safe_psql('postgres', q{SELECT milvus.flush_table('rows')});
		change();
		$node->safe_psql('postgres', q{SELECT milvus.flush_table('rows')});
		crash_at($node, $point, "SELECT milvus.compact_table('rows', '$kind')");
		sound("$point, $kind, restarted");
		both('DELETE FROM TABLE WHERE id % 50 = 35');
		both('UPDATE TABLE SET a = -a WHERE id % 50 = 40');
		$node->safe_psql('postgres', 'VACUUM rows') if $kind eq 'merge';
		sound("$point, $kind, rows changed");
		$node->safe_psql('postgres', "SELECT milvus.compact_table('rows', '$kind')");
		is(unfinished(), 0, "$point, $kind: nothing is unfinished");
		sound("$point, $kind, finished");
	}
}

# ---- values that VACUUM FULL copied under an old horizon ----

prepare();
$node->safe_psql('postgres', q{BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'old'});
$node->safe_psql('postgres', 'SET milvus.seal_min_rows = 1000000; VACUUM FULL rows');
crash_at($node, 'table-seal-pages-written', q{SELECT milvus.flush_table('rows')});
is(unfinished(), 1, 'sealing under an old horizon is unfinished');
$node->safe_psql('postgres', q{COMMIT PREPARED 'old'});
change();
$node->safe_psql('postgres', q{SELECT milvus.flush_table('rows')});
sound('rows of VACUUM FULL sealed under an old horizon, finished');

# ---- a standby, and decoding ----

prepare();
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('changes', 'test_decoding')});

sub same_on_standby
{
	my ($what) = @_;
	$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
	foreach my $table ('heap_rows', 'rows')
	{
		is($standby->safe_psql('postgres', "SELECT count(*), md5(string_agg(r::text, '' ORDER BY id)) FROM $table r"),
			$node->safe_psql('postgres', "SELECT count(*), md5(string_agg(r::text, '' ORDER BY id)) FROM heap_rows r"),
			"$what: $table on the standby");
	}
	is($standby->safe_psql('postgres', q{SELECT * FROM milvus.check_table('rows')}), '', "$what: no problem on the standby");
	return;
}

sub decoded
{
	return $node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_logical_slot_get_changes('changes', NULL, NULL) WHERE data NOT SIMILAR TO '(BEGIN|COMMIT)%'});
}

$node->safe_psql('postgres', q{SELECT milvus.flush_table('rows')});
same_on_standby('sealed');
is(decoded(), 0, 'sealing decodes to nothing');
$node->safe_psql('postgres', q{SELECT milvus.alter_table_options('rows', '{"compact_ratio": 0.1}')});
is(decoded(), 0, 'options decode to nothing');
change();
my $decoded = $node->safe_psql('postgres', q{
	SELECT bool_and(data ~ '^(BEGIN|COMMIT|table public\.(heap_rows|rows):)') FROM pg_logical_slot_get_changes('changes', NULL, NULL)});
is($decoded, 't', 'only changes of the two tables are decoded');
$node->safe_psql('postgres', q{SELECT milvus.flush_table('rows'); SELECT milvus.compact_table('rows')});
same_on_standby('compacted');
$node->safe_psql('postgres', q{SELECT milvus.compact_table('rows', 'sort'); VACUUM rows});
same_on_standby('sorted');
is(decoded(), 0, 'compaction decodes to nothing');
$standby->promote;
$standby->safe_psql('postgres', q{
	INSERT INTO rows SELECT i, 1, 'after', NULL FROM generate_series(100001, 100500) i;
	SELECT milvus.flush_table('rows')});
is($standby->safe_psql('postgres', q{SELECT * FROM milvus.check_table('rows')}), '', 'the promoted standby seals');

done_testing();
