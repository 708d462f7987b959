# MilvusTable: what the TAP tests of milvus tables share.
#
# A pair of tables with the same columns, `heap_rows` of PostgreSQL's heap and `rows`
# of the access method milvus.  Whoever changes one changes the other in the same
# transaction, so both have the same rows in every snapshot, on every copy of the
# server, whatever sealing, compaction and crashes did to the one: pair_differs()
# says whether that is so, scan by scan.
package MilvusTable;

use strict;
use warnings;

use Exporter 'import';
use Carp qw(croak);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  make_pair fill_pair both pair_differs pair_sql table_problems unfinished_segments
  sound segments flush pair_load
);

our $COLUMNS = 'id, a, t, n, v, big';

# make_pair($node, %options): both tables, empty.  A value of `big` is stored out of
# line.  Options: dbname; persistence ('UNLOGGED', 'TEMP').
sub make_pair
{
	my ($node, %options) = @_;
	my $persistence = $options{persistence} // '';
	$node->safe_psql($options{dbname} // 'postgres', qq{
		CREATE $persistence TABLE heap_rows (id int PRIMARY KEY, a int, t text, n numeric, v vector(8), big text);
		ALTER TABLE heap_rows ALTER big SET STORAGE external;
		CREATE $persistence TABLE rows (LIKE heap_rows INCLUDING ALL) USING milvus;
		CREATE INDEX heap_rows_a ON heap_rows (a);
		CREATE INDEX rows_a ON rows (a);
		CREATE SEQUENCE pair_ids START 1000001});
	return;
}

# both($node, $sql, %options): runs $sql for either table in one transaction, TABLE
# standing for the table's name.  Options: dbname.
sub both
{
	my ($node, $sql, %options) = @_;
	my $script = join ";\n", map { (my $one = $sql) =~ s/\bTABLE\b/$_/g; $one } ('heap_rows', 'rows');
	$node->safe_psql($options{dbname} // 'postgres', "BEGIN;\n$script;\nCOMMIT");
	return;
}

# fill_pair($node, $first, $last, %options): rows with these ids; every seventh has
# a value out of line.
sub fill_pair
{
	my ($node, $first, $last, %options) = @_;
	both($node, qq{
		INSERT INTO TABLE SELECT i, i % 10, 'the text of row ' || i % 100, i / 8.0,
				('[' || i || ',1,2,3,4,5,6,7]')::vector,
				CASE WHEN i % 7 = 0 THEN repeat(md5(i::text), 80 + i % 50) END
			FROM generate_series($first, $last) i}, %options);
	return;
}

# pair_sql(%options): a script that prints one line for each way of reading in which
# the two tables differ, all with the one snapshot of a transaction.  Options: begin
# => '' to run in the transaction that there is.
sub pair_sql
{
	my (%options) = @_;
	my $all = "ROW(count(*), md5(string_agg(ROW($COLUMNS)::text, chr(10) ORDER BY id)))::text";
	# (as float8: which of equal numerics with other digits is the greatest, their order decides)
	my $some = 'ROW(count(*), sum(a), min(t), max(n)::float8, sum(id::bigint))::text';
	my @ways = (
		[ 'sequential scan', 'column_scan indexscan bitmapscan', $all, 'true' ],
		[ 'column scan', 'seqscan indexscan bitmapscan', $all, 'true' ],
		[ 'filtered column scan', 'seqscan indexscan bitmapscan', $some, q{a BETWEEN 3 AND 6 AND t LIKE 'the text%'} ],
		[ 'index scan', 'seqscan column_scan bitmapscan', $all, 'id > -1000000' ],
		[ 'bitmap scan', 'seqscan column_scan indexscan', $some, 'a IN (2, 5)' ]);
	my $sql = $options{begin} // 'BEGIN ISOLATION LEVEL REPEATABLE READ;';
	foreach my $way (@ways)
	{
		my ($name, $disabled, $figures, $where) = @$way;
		foreach my $scan ('column_scan', 'seqscan', 'indexscan', 'bitmapscan')
		{
			my $setting = $scan eq 'column_scan' ? 'milvus.enable_column_scan' : "enable_$scan";
			my $value = $disabled =~ /\b$scan\b/ ? 'off' : 'on';
			$sql .= "SET LOCAL $setting = $value;\n";
		}
		$sql .= qq{SELECT '$name: heap ' || h || ', milvus ' || m FROM (SELECT
			(SELECT $figures FROM heap_rows WHERE $where) h, (SELECT $figures FROM rows WHERE $where) m) x
			WHERE h IS DISTINCT FROM m;\n};
	}
	$sql .= 'COMMIT;' if !defined $options{begin};
	return $sql;
}

# pair_differs($node, %options): '' when both tables have the same rows by every kind
# of scan, else where they differ.  Options: dbname.
sub pair_differs
{
	my ($node, %options) = @_;
	return $node->safe_psql($options{dbname} // 'postgres', pair_sql());
}

# table_problems($node, %options): what milvus.check_table says of a table; '' when
# there is no problem.  Options: table, dbname.
sub table_problems
{
	my ($node, %options) = @_;
	my $table = $options{table} // 'rows';
	return $node->safe_psql($options{dbname} // 'postgres', "SELECT * FROM milvus.check_table('$table')");
}

# sound($node, $what, %options): two tests: no problem, and the rows of the heap table.
sub sound
{
	my ($node, $what, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Test::More::is(table_problems($node, %options), '', "$what: no problem");
	Test::More::is(pair_differs($node, %options), '', "$what: the rows of the heap table");
	return;
}

# segments($node, %options): number of segments of a state.  Options: table, state
# ('Flushed'), dbname.
sub segments
{
	my ($node, %options) = @_;
	my $table = $options{table} // 'rows';
	my $state = $options{state} // 'Flushed';
	return $node->safe_psql($options{dbname} // 'postgres',
		"SELECT count(*) FROM milvus.table_segments('$table') WHERE state = '$state'");
}

# unfinished_segments($node, %options): number of those whose stubs are not all written.
sub unfinished_segments
{
	my ($node, %options) = @_;
	return segments($node, %options, state => 'Sealed');
}

# flush($node, %options): seals the table; returns the number of segments made.
# Options: table, dbname.
sub flush
{
	my ($node, %options) = @_;
	my $table = $options{table} // 'rows';
	return $node->safe_psql($options{dbname} // 'postgres',
		"SELECT count(*) FROM milvus.flush_table('$table')");
}

# pair_load($node, %options): starts pgbench with changes of both tables: single rows
# inserted, updated, deleted, locked; each the same in both, in one transaction (and in one statement:
# between two of them a row that the first did not find can be inserted).  The
# tables do not grow for long, so that slow readers come to their end.
# Returns a handle to be stopped by ->() (which returns what pgbench had to say).
# Options: clients (2), seconds (600), maintain => 1 for a client that seals,
# compacts and vacuums besides; ids: the greatest id that is updated (3000).
sub pair_load
{
	my ($node, %options) = @_;
	my $ids = $options{ids} // 3000;
	my $folder = $node->basedir;
	my %scripts = (
		insert => [ 4, q{
			WITH new AS (INSERT INTO heap_rows
				SELECT CASE k WHEN 0 THEN :id ELSE nextval('pair_ids') END, :id % 10, 'the text of row ' || :id, :id / 4.0,
					('[' || :id || ',7,6,5,4,3,2,1]')::vector, CASE WHEN :id % 3 = 0 THEN repeat(md5(:id::text), 100) END
				FROM generate_series(0, 5) k ON CONFLICT DO NOTHING RETURNING *)
			INSERT INTO rows SELECT * FROM new;} ],
		update => [ 4, q{
			WITH new AS (UPDATE heap_rows SET a = a + 1, t = 'changed ' || :id WHERE id = :id RETURNING *)
			UPDATE rows SET a = new.a, t = new.t FROM new WHERE rows.id = new.id;} ],
		update_big => [ 2, q{
			WITH new AS (UPDATE heap_rows SET n = n + 1, big = repeat(md5(:salt::text), 100) WHERE id = :id RETURNING *)
			UPDATE rows SET n = new.n, big = new.big FROM new WHERE rows.id = new.id;} ],
		update_key => [ 1, q{
			WITH new AS (UPDATE heap_rows SET id = nextval('pair_ids') WHERE id = :id RETURNING *)
			UPDATE rows SET id = new.id FROM new WHERE rows.id = :id;} ],
		delete => [ 2, q{
			WITH gone AS (DELETE FROM heap_rows WHERE id = ANY (:id || ARRAY(
				SELECT id FROM heap_rows WHERE id > 1000000 ORDER BY id LIMIT 12 FOR UPDATE SKIP LOCKED)) RETURNING id)
			DELETE FROM rows USING gone WHERE rows.id = gone.id;} ],
		lock => [ 2, q{
			BEGIN;
			SELECT a FROM heap_rows WHERE id = :id FOR UPDATE;
			SELECT a FROM rows WHERE id = :id FOR NO KEY UPDATE;
			SAVEPOINT s;
			UPDATE rows SET a = -1 WHERE id = :id;
			ROLLBACK TO s;
			WITH new AS (UPDATE heap_rows SET a = :id WHERE id = :id RETURNING id)
			UPDATE rows SET a = :id FROM new WHERE rows.id = new.id;
			COMMIT;} ]);
	my @clients;
	my @files;
	foreach my $name (sort keys %scripts)
	{
		my $file = "$folder/pair_$name.pgbench";
		unlink $file;
		PostgreSQL::Test::Utils::append_to_file($file, "\\set id random(1, $ids)\n\\set salt random(1, 1000000000)\n$scripts{$name}[1]\n");
		push @files, '-f', "$file\@$scripts{$name}[0]";
	}
	push @clients, [ $options{clients} // 2, @files ];
	if ($options{maintain})
	{
		my $file = "$folder/pair_maintain.pgbench";
		unlink $file;
		PostgreSQL::Test::Utils::append_to_file($file, q{
			\set kind random(1, 2)
			SELECT count(*) FROM milvus.flush_table('rows');
			\sleep 100 ms
			SELECT count(*) FROM milvus.flush_table('rows');
			SELECT count(*) FROM milvus.compact_table('rows', (ARRAY['merge', 'sort'])[:kind]);
			VACUUM rows;
			\sleep 100 ms
		});
		push @clients, [ 1, '-f', $file ];
	}
	my @running;
	foreach my $client (@clients)
	{
		my ($number, @arguments) = @$client;
		my $said = '';
		my $handle = IPC::Run::start(
			[ 'pgbench', '-n', '-c', $number, '-T', $options{seconds} // 600, '--random-seed=' . int(rand(2**31)), @arguments,
				'-h', $node->host, '-p', $node->port, 'postgres' ],
			'>', '/dev/null', '2>', \$said);
		push @running, [ $handle, \$said ];
	}
	return sub {
		my $all = '';
		foreach my $one (@running)
		{
			$one->[0]->signal('TERM');
			$one->[0]->finish;
			$all .= ${ $one->[1] };
		}
		return $all;
	};
}

1;
