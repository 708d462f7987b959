# Sealing and compaction of milvus tables against writers and DDL that come in between their
# steps: nobody waits for them but DDL, for which they make way, nobody gets an error, rows that
# changed are left alone, and each table has the rows of a heap table that had the same statements.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main', conf => 'max_worker_processes = 12');

sub prepare
{
	$node->safe_psql('postgres', q{
		DROP TABLE IF EXISTS rows, heap_rows;
		CREATE TABLE heap_rows (id int PRIMARY KEY, n int, note text);
		INSERT INTO heap_rows SELECT i, 0, repeat('note ' || i || ' ', 5) FROM generate_series(1, 600) i;
		CREATE TABLE rows (LIKE heap_rows INCLUDING ALL) USING milvus});
	$node->safe_psql('postgres', 'INSERT INTO rows SELECT * FROM heap_rows');
	return;
}

sub sound
{
	my ($what) = @_;
	is($node->safe_psql('postgres', q{SELECT * FROM milvus.check_table('rows')}), '', "$what: no problem");
	is($node->safe_psql('postgres', q{
			SELECT (SELECT count(*) FROM (SELECT * FROM heap_rows EXCEPT ALL SELECT * FROM rows) x),
				(SELECT count(*) FROM (SELECT * FROM rows EXCEPT ALL SELECT * FROM heap_rows) x)}),
		'0|0', "$what: the rows of the heap table");
	return;
}

# Runs $sql in a session of its own, as a statement that is not waited for.
sub launch
{
	my ($sql) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/begun/, "\\echo begun\n$sql;\n\\echo ended\n");
	return $session;
}

# Waits until a launched statement has ended; what it and the session wrote to stderr.
sub ended
{
	my ($session) = @_;
	$session->query('SELECT 1');
	my $errors = $session->{stderr};
	$session->quit;
	return $errors;
}

# Stops the worker of $sql at the step $point, calls $meanwhile, lets it go on.
sub meanwhile
{
	my ($point, $sql, $meanwhile) = @_;
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('SELECT pg_advisory_lock(0, 19530)');
	my $sealer = launch("SET milvus.debug_point = '$point:wait'; $sql");
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted})
	  or die "no worker waits at $point";
	$meanwhile->();
	$holder->query_safe('SELECT pg_advisory_unlock(0, 19530)');
	$holder->quit;
	is(ended($sealer), '', "$point: the function has no error");
	return;
}

# The same statements on both tables, each in a transaction of a session that stays open.
sub sessions
{
	return map { $node->background_psql('postgres') } 1 .. 2;
}

sub both
{
	my ($sessions, $sql) = @_;
	my @tables = ('heap_rows', 'rows');
	foreach my $i (0, 1)
	{
		(my $statement = $sql) =~ s/TABLE/$tables[$i]/g;
		$sessions->[$i]->query_safe($statement);
	}
	return;
}

my @changes = (
	'UPDATE TABLE SET n = n + 1 WHERE id % 100 = 5',
	'DELETE FROM TABLE WHERE id % 100 = 6',
	'SELECT id FROM TABLE WHERE id % 100 = 7 FOR UPDATE',
	'SELECT id FROM TABLE WHERE id % 100 = 7 FOR KEY SHARE',
	q{INSERT INTO TABLE VALUES (0, 0, 'new') ON CONFLICT DO NOTHING},
	q{INSERT INTO TABLE VALUES (8, 0, 'new') ON CONFLICT (id) DO UPDATE SET n = 100},
	'UPDATE TABLE SET id = -id WHERE id % 100 = 9',
	q{UPDATE TABLE SET note = NULL WHERE id % 100 = 10});

my $flush = q{SELECT milvus.flush_table('rows')};
my $sort = q{SELECT milvus.compact_table('rows', 'sort')};

foreach my $end ('COMMIT', 'ROLLBACK')
{
	foreach my $level ('READ COMMITTED', 'SERIALIZABLE')
	{
		# begun and ended between two steps; begun before the first, ended after the last
		foreach my $case (
			[ 'table-seal-before-commit', $flush ], [ 'table-seal-committed', $flush ],
			[ 'table-compact-before-commit', $sort ], [ 'table-compact-committed', $sort ])
		{
			my ($point, $sql) = @$case;
			my $what = "$point, $level, $end";
			prepare();
			$node->safe_psql('postgres', $flush) if $sql eq $sort;
			my @early = sessions();
			both(\@early, "BEGIN ISOLATION LEVEL $level");
			# (two serializable transactions that write would be in conflict on a heap table, too)
			if ($level eq 'READ COMMITTED')
			{
				both(\@early, 'UPDATE TABLE SET n = -1 WHERE id % 100 = 50');
				both(\@early, 'DELETE FROM TABLE WHERE id % 100 = 51');
			}
			both(\@early, 'SELECT sum(n), count(*) FROM TABLE WHERE id % 100 < 52');
			meanwhile($point, $sql, sub {
				my @late = sessions();
				both(\@late, "BEGIN ISOLATION LEVEL $level");
				both(\@late, $_) foreach @changes;
				both(\@late, $end);
				$_->quit foreach @late;
			});
			both(\@early, 'UPDATE TABLE SET n = n - 1 WHERE id % 100 = 52') if $level eq 'READ COMMITTED';
			both(\@early, $end);
			$_->quit foreach @early;
			sound($what);
			$node->safe_psql('postgres', $flush);
			$node->safe_psql('postgres', q{SELECT milvus.compact_table('rows')});
			sound("$what, and again");
			is($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.table_segments('rows') WHERE state = 'Sealed'}),
				0, "$what: nothing is unfinished");
		}
	}
}

# ---- DDL ----

# DDL that comes while a table is sealed gets its lock without waiting for the end
prepare();
$node->safe_psql('postgres', q{
	INSERT INTO heap_rows SELECT i, 0, repeat('more ' || i || ' ', 5) FROM generate_series(1000, 6000) i;
	INSERT INTO rows SELECT * FROM heap_rows WHERE id >= 1000});
my $ddl;
meanwhile('table-seal-committed', $flush, sub {
	$ddl = launch(q{ALTER TABLE rows ADD extra int DEFAULT 3});
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted})
	  or die 'ALTER TABLE does not wait';
});
is(ended($ddl), '', 'ALTER TABLE had its turn');
is($node->safe_psql('postgres', 'SELECT count(*), sum(extra) FROM rows'), '5601|16803', 'the column is there');
$node->safe_psql('postgres', 'ALTER TABLE heap_rows ADD extra int DEFAULT 3');
$node->safe_psql('postgres', $flush);
sound('ALTER TABLE while sealing');

# so does an index that is built beside writers, and it has each row
foreach my $case ([ 'table-seal-before-commit', $flush ], [ 'table-seal-committed', $flush ], [ 'table-compact-committed', $sort ])
{
	my ($point, $sql) = @$case;
	foreach my $statement ('CREATE INDEX CONCURRENTLY rows_n ON rows (n)', 'REINDEX TABLE CONCURRENTLY rows')
	{
		prepare();
		$node->safe_psql('postgres', 'CREATE INDEX rows_n ON rows (n)') if $statement =~ /^REINDEX/;
		$node->safe_psql('postgres', $flush) if $sql eq $sort;
		meanwhile($point, $sql, sub {
			$ddl = launch($statement);
			$node->poll_query_until('postgres',
				q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted})
			  or die "$statement does not wait";
			$node->safe_psql('postgres', "UPDATE $_ SET n = n + 1 WHERE id % 10 = 3; DELETE FROM $_ WHERE id % 10 = 4")
			  foreach ('rows', 'heap_rows');
		});
		is(ended($ddl), '', "$point: $statement had its turn");
		sound("$point: $statement");
		is($node->safe_psql('postgres', q{SET enable_seqscan = off; SET enable_bitmapscan = off; SET milvus.enable_column_scan = off;
				SELECT count(*), count(DISTINCT id), sum(id) FROM rows WHERE n >= 0}),
			$node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), sum(id) FROM heap_rows WHERE n >= 0'),
			"$point: $statement has each row");
	}
}

# a table that is locked is waited for, and may be gone then
foreach my $statement ('LOCK TABLE rows IN SHARE MODE', 'TRUNCATE rows', 'ALTER TABLE rows ADD late text', 'DROP TABLE rows')
{
	prepare();
	my $locker = $node->background_psql('postgres');
	$locker->query_safe("BEGIN; $statement");
	my $sealer = launch($flush);
	# the worker, or for the strongest locks the function itself
	$node->poll_query_until('postgres', q{
			SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'milvus table') OR
				EXISTS (SELECT FROM pg_locks WHERE locktype = 'relation' AND NOT granted)})
	  or die 'nobody waits';
	$locker->query_safe('COMMIT');
	$locker->quit;
	my $errors = ended($sealer);
	$statement =~ /^DROP/
	  ? like($errors, qr/could not open relation/, 'flush_table of a table that was dropped meanwhile')
	  : is($errors, '', "flush_table after $statement: no error");
	is($node->safe_psql('postgres', q{SELECT * FROM milvus.check_table('rows')}), '', "$statement: no problem")
	  if $statement !~ /^DROP/;
}

# a session that waits for itself is told
prepare();
my $reader = $node->background_psql('postgres', on_error_stop => 0);
$reader->query_safe('BEGIN');
$reader->query_safe('SELECT count(*) FROM rows');
$ddl = launch('ALTER TABLE rows ADD extra int');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted})
  or die 'ALTER TABLE does not wait';
$reader->query($flush);
like($reader->{stderr}, qr/deadlock detected/, 'a deadlock through the worker is found');
$reader->{stderr} = '';
$reader->query('ROLLBACK');
$reader->quit;
is(ended($ddl), '', 'ALTER TABLE goes on then');

# a session that is cancelled ends its worker
prepare();
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE rows IN SHARE MODE');
my $canceled = launch($flush);
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'milvus table'})
  or die 'no worker';
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT milvus.flush%'});
like(ended($canceled), qr/canceling statement/, 'flush_table can be cancelled');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'milvus table'}),
	'and its worker ends');
$holder->query_safe('COMMIT');
$holder->quit;

# ---- VACUUM compacts what has lost many rows ----

prepare();
$node->safe_psql('postgres', $flush);
$node->safe_psql('postgres', "DELETE FROM $_ WHERE id % 2 = 0") foreach ('rows', 'heap_rows');
$node->safe_psql('postgres', 'VACUUM rows');
ok($node->poll_query_until('postgres', q{
		SELECT count(*) = 1 AND min(rows) = 300 AND min(number) = 2 FROM milvus.table_segments('rows')}),
	'VACUUM has the segment written anew');
sound('compacted after VACUUM');

done_testing();
