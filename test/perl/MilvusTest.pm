# MilvusTest: what the TAP tests of this extension share.
#
# A server with the extension (new_node), real data from data/ (load_glosses,
# load_queries), and the one measurement that most tests end with: how much of
# exact search's answer an index gives (recall), or that it gives the very same
# rows (same_as_exact).  Both first make sure that the plan uses the index and
# that exact search's does not, so that a test cannot pass by comparing exact
# search with itself.
#
# Names follow PostgreSQL::Test::Cluster, whose nodes all functions take first.
package MilvusTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Spec;
use Carp qw(croak);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More ();

our @EXPORT = qw(
  new_node load_glosses load_queries load_clustered insert_clustered
  load_clustered_queries index_used recall same_as_exact same_rows check_index
  index_stat sql_state test_size random_seed crash_at run_until_killed
  wait_until_down
);

# The folder of the shipped data, which the server reads itself.
our $DATA = File::Spec->rel2abs(dirname(__FILE__) . '/../../data');

# Settings that leave the planner only exact search, or only the index.  (They
# inflate cost estimates, which must not set off JIT compilation.)
our $EXACT =
  'SET jit = off; SET enable_indexscan = off; SET enable_bitmapscan = off;';
our $INDEXED = 'SET jit = off; SET enable_seqscan = off; SET enable_sort = off;';

# test_size($quick, $full): the size of a test, $full under dev/test --full.
sub test_size
{
	my ($quick, $full) = @_;
	return $ENV{MILVUS_TEST_FULL} ? $full : $quick;
}

# random_seed($seed): seeds what is random in a test: Perl's rand and pgbench's.  With $seed in
# an ordinary run, by the clock under dev/test --full, with MILVUS_SEED when that is set.
# Returns the seed; a test that fails says which it was.
my $random_seed;

sub random_seed
{
	my ($seed) = @_;
	$random_seed = $ENV{MILVUS_SEED} // test_size($seed, int(time));
	srand($random_seed);
	$ENV{PGBENCH_RANDOM_SEED} = $random_seed;
	Test::More::note("seed $random_seed");
	return $random_seed;
}

END
{
	Test::More::diag("seed $random_seed: MILVUS_SEED repeats it")
	  if defined $random_seed && ($? != 0 || !Test::More->builder->is_passing);
}

# new_node($name, %options): a started server with the extension in the database
# postgres.  Options: conf => lines for postgresql.conf; init => arguments of
# init, e.g. [allows_streaming => 1].
sub new_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(@{ $options{init} // [] });
	$node->append_conf('postgresql.conf', 'autovacuum = off');
	$node->append_conf('postgresql.conf', $options{conf})
	  if defined $options{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION milvus');
	return $node;
}

# load_glosses($node, %options): makes the table "glosses" (id, pos, topic, words,
# definition, embedding) of the 5,000 entries.  Options: table => another name;
# type => halfvec instead of vector; rows => only so many, in order of id;
# persistence => 'UNLOGGED'; copies => each row so many times, with ids of their
# own, 100,000 apart; dbname.
sub load_glosses
{
	my ($node, %options) = @_;
	my $table = $options{table} // 'glosses';
	my $type = $options{type} // 'vector';
	my $persistence = $options{persistence} // '';
	my $copies = $options{copies} // 1;
	my $limit = defined $options{rows} ? "LIMIT $options{rows}" : '';

	$node->safe_psql($options{dbname} // 'postgres', qq{
		CREATE TEMP TABLE incoming (id int, pos text, topic int, words text,
			definition text, embedding halfvec(384));
		COPY incoming FROM '$DATA/glosses.copy' (FORMAT binary);
		CREATE $persistence TABLE $table (id int PRIMARY KEY, pos text,
			topic int, words text, definition text, embedding $type(384));
		INSERT INTO $table
			SELECT id + 100000 * copy, pos, topic, words, definition,
				embedding::$type
			FROM (SELECT * FROM incoming ORDER BY id $limit) i,
				generate_series(0, $copies - 1) copy
			ORDER BY copy, id;
		ANALYZE $table;
	});
	return;
}

# load_queries($node, %options): makes the table "queries" (id from 1, words,
# embedding) of the 200 held-out entries.  Options: type, rows, dbname as above.
sub load_queries
{
	my ($node, %options) = @_;
	my $type = $options{type} // 'vector';
	my $rows = $options{rows} // 200;

	$node->safe_psql($options{dbname} // 'postgres', qq{
		CREATE TEMP TABLE incoming (id int, words text, definition text,
			embedding halfvec(384));
		COPY incoming FROM '$DATA/queries.copy' (FORMAT binary);
		CREATE TABLE queries (id int PRIMARY KEY, words text,
			embedding $type(384));
		INSERT INTO queries
			SELECT row_number() OVER (ORDER BY id), words, embedding::$type
			FROM incoming ORDER BY id LIMIT $rows;
		ANALYZE queries;
	});
	return;
}

# _make_generator($node, $dbname): the function row_vector, which makes vectors in
# 23 clusters that overlap; noise is uniform in (-1, 1) and fixed by its arguments.
sub _make_generator
{
	my ($node, $dbname) = @_;
	$node->safe_psql($dbname // 'postgres', q{
		CREATE OR REPLACE FUNCTION noise(a bigint, b bigint) RETURNS float8
			IMMUTABLE PARALLEL SAFE LANGUAGE sql
			AS 'SELECT hashint8extended(a, b) / 9223372036854775808.0::float8';
		CREATE OR REPLACE FUNCTION row_vector(id int, dim int) RETURNS real[]
			IMMUTABLE PARALLEL SAFE LANGUAGE sql
			AS 'SELECT array_agg(noise(id % 23, d) + noise(id + 1000000, d)
					ORDER BY d)::real[] FROM generate_series(1, dim) d';
	});
	return;
}

# _value($type, $id, $dim): the SQL expression of a row's vector as a value of $type.
sub _value
{
	my ($type, $id, $dim) = @_;
	my $floats = "row_vector($id, $dim)";
	return "binary_quantize($floats\::vector)::bit($dim)" if $type eq 'bit';
	return "(SELECT '[' || string_agg(round(x * 60)::text, ',' ORDER BY n) || ']' FROM unnest($floats) WITH ORDINALITY u (x, n))::int8vec"
	  if $type eq 'int8vec';
	return "$floats\::$type";
}

# load_clustered($node, %options): makes the table "items" (id, grp, embedding) of
# made-up vectors in clusters.  A row's vector is a function of its id (the SQL
# function row_vector), so that a test can say what a row must hold.  Options:
# table => another name; rows (2000), dim (32), type => halfvec, bfloat16vec, int8vec
# or bit; persistence; dbname.
sub load_clustered
{
	my ($node, %options) = @_;
	my $table = $options{table} // 'items';
	my $type = $options{type} // 'vector';
	my $dim = $options{dim} // 32;
	my $persistence = $options{persistence} // '';

	_make_generator($node, $options{dbname});
	$node->safe_psql($options{dbname} // 'postgres', qq{
		CREATE $persistence TABLE $table (id int PRIMARY KEY, grp int,
			embedding $type($dim));
	});
	insert_clustered($node, %options, first => 1);
	return;
}

# insert_clustered($node, %options): rows of the same kind with the ids from
# `first` on.  Options as for load_clustered.
sub insert_clustered
{
	my ($node, %options) = @_;
	my $table = $options{table} // 'items';
	my $type = $options{type} // 'vector';
	my $dim = $options{dim} // 32;
	my $first = $options{first};
	my $last = $first + ($options{rows} // 2000) - 1;

	$node->safe_psql($options{dbname} // 'postgres', qq{
		INSERT INTO $table SELECT id, id % 10, ${\ _value($type, 'id', $dim)}
			FROM generate_series($first, $last) id;
	});
	return;
}

# load_clustered_queries($node, %options): the table "queries" of vectors of the
# same clusters, none of which is in a table.  Options: table, rows (20), dim,
# type, dbname.
sub load_clustered_queries
{
	my ($node, %options) = @_;
	my $table = $options{table} // 'queries';
	my $type = $options{type} // 'vector';
	my $dim = $options{dim} // 32;
	my $rows = $options{rows} // 20;

	_make_generator($node, $options{dbname});
	$node->safe_psql($options{dbname} // 'postgres', qq{
		CREATE TABLE $table AS SELECT id, ${\ _value($type, 'id + 50000000', $dim)}::$type($dim)
			AS embedding FROM generate_series(1, $rows) id;
		ANALYZE $table;
	});
	return;
}

# _search(%options): the query whose answer recall and same_as_exact compare.
sub _search
{
	my (%options) = @_;
	my $table = $options{table} // 'glosses';
	my $operator = $options{operator} // '<=>';
	my $column = $options{column} // 'embedding';
	my $k = $options{k} // 10;
	my $where = defined $options{where} ? "WHERE $options{where}" : '';
	my $queries = $options{queries} // 'queries';

	return qq{
		SELECT q.id AS query, n.id, n.distance
		FROM $queries q CROSS JOIN LATERAL (
			SELECT t.id, t.$column $operator q.embedding AS distance
			FROM $table t $where
			ORDER BY t.$column $operator q.embedding LIMIT $k) n};
}

# index_used($node, $sql, %options): the name of the ann index that the plan of
# $sql scans, or ''.  Options: settings => statements before it; dbname.
sub index_used
{
	my ($node, $sql, %options) = @_;
	my $plan = $node->safe_psql($options{dbname} // 'postgres',
		($options{settings} // '') . "EXPLAIN (COSTS OFF) $sql");
	return $1
	  if $plan =~ /Index Scan using (\S+) on[^\n]*(?:\n\s*Index Cond:[^\n]*)?\n\s*Order By:/;
	return '';
}

# _compare($node, $figure, %options): runs the search exactly and through the index
# and returns what the function $figure makes of the two answers, each a hash from
# the query's id to its rows [id, distance] in the order they came.
sub _compare
{
	my ($node, $figure, %options) = @_;
	my $dbname = $options{dbname} // 'postgres';
	my $settings = $INDEXED . ($options{settings} // '');
	my $search = _search(%options);

	croak "the plan of the indexed search uses no index"
	  if index_used($node, $search, settings => $settings, dbname => $dbname) eq '';
	croak "the plan of the exact search uses an index"
	  if index_used($node, $search, settings => $EXACT, dbname => $dbname) ne '';

	# A standby has no temporary tables: both answers come as rows of text.
	my $exact = $node->safe_psql($dbname, "$EXACT $search");
	my $found = $node->safe_psql($dbname, "$settings $search");
	return $figure->(_by_query($exact), _by_query($found));
}

# _by_query($rows): psql's lines "query|id|distance" as query => [[id, distance]...].
sub _by_query
{
	my ($rows) = @_;
	my %by_query;
	foreach my $row (split /\n/, $rows)
	{
		my ($query, $id, $distance) = split /\|/, $row;
		push @{ $by_query{$query} }, [ $id, $distance ];
	}
	return \%by_query;
}

# recall($node, %options): the mean over the rows of "queries" of the share of the
# k true neighbours that the index gives.  A row as near as the k-th neighbour
# counts, whichever of equals exact search gave; a row given twice counts once.
# Options: table, queries, column, k (10), operator ('<=>'), where (a condition on
# t), settings (statements before the indexed search), dbname.
sub recall
{
	my ($node, %options) = @_;
	return _compare(
		$node,
		sub {
			my ($exact, $found) = @_;
			my ($hits, $all) = (0, 0);
			foreach my $query (keys %$exact)
			{
				my @true = sort { $a <=> $b } map { $_->[1] } @{ $exact->{$query} };
				my %near;
				foreach my $row (@{ $found->{$query} // [] })
				{
					$near{ $row->[0] } = 1 if $row->[1] <= $true[-1];
				}
				$hits += keys %near;
				$all += @true;
			}
			croak "exact search found nothing" if $all == 0;
			return $hits / $all;
		},
		%options);
}

# same_as_exact($node, %options): '' when the index gives every query the same
# distances in the same order as exact search, without a row twice; otherwise
# what differs first.  Rows of equal distance may change places.  Options as for
# recall.
sub same_as_exact
{
	my ($node, %options) = @_;
	return _compare(
		$node,
		sub {
			my ($exact, $found) = @_;
			croak "exact search found nothing" if !%$exact;
			foreach my $query (sort { $a <=> $b } keys %$exact)
			{
				my %seen;
				my $want = join ' ', map { $_->[1] } @{ $exact->{$query} };
				my $got = join ' ', map { $_->[1] } @{ $found->{$query} // [] };
				return "query $query: exact $want, index $got" if $want ne $got;
				foreach my $row (@{ $found->{$query} })
				{
					return "query $query: row $row->[0] twice" if $seen{ $row->[0] }++;
				}
			}
			return '';
		},
		%options);
}

# same_rows($node, %options): '' when a scan of the whole index gives every row of
# the table once and no other, otherwise the two counts and sums.  (The scan may
# give rows late, milvus.iterative_order = relaxed: none is dropped for its order.)
# Options: table ('items'), operator ('<->'), queries, where, dbname.
sub same_rows
{
	my ($node, %options) = @_;
	my $table = $options{table} // 'items';
	my $operator = $options{operator} // '<->';
	my $queries = $options{queries} // 'queries';
	my $where = defined $options{where} ? "WHERE $options{where}" : '';
	my $dbname = $options{dbname} // 'postgres';
	my $settings = "$INDEXED SET milvus.iterative_order = relaxed;";
	my $rows = qq{SELECT t.id FROM $table t $where
		ORDER BY t.embedding $operator (SELECT embedding FROM $queries WHERE id = 1)};
	my $figures = 'count(*), count(DISTINCT id), sum(id::bigint), sum(id::bigint * id)';

	croak "the plan of the whole scan uses no index"
	  if index_used($node, $rows, settings => $settings, dbname => $dbname) eq '';
	my $found = $node->safe_psql($dbname, "$settings SELECT $figures FROM ($rows) r");
	my $exact = $node->safe_psql($dbname, "$EXACT SELECT $figures FROM $table t $where");
	return $found eq $exact ? '' : "index: $found, table: $exact";
}

# check_index($node, $index, %options): what milvus.check_index says; '' when there
# is no problem.  Options: dbname.
sub check_index
{
	my ($node, $index, %options) = @_;
	return $node->safe_psql($options{dbname} // 'postgres',
		"SELECT milvus.check_index('$index')");
}

# index_stat($node, $index, $figure, %options): a figure of milvus.index_stats.
sub index_stat
{
	my ($node, $index, $figure, %options) = @_;
	return $node->safe_psql($options{dbname} // 'postgres',
		"SELECT $figure FROM milvus.index_stats('$index')");
}

# sql_state($node, $sql, %options): the SQLSTATE with which $sql fails, or '' when
# it does not fail.  Options: dbname.
sub sql_state
{
	my ($node, $sql, %options) = @_;
	my ($status, $stdout, $stderr) = $node->psql(
		$options{dbname} // 'postgres', "\\set VERBOSITY sqlstate\n$sql",
		on_error_stop => 1);
	return '' if $status == 0;
	return $stderr =~ /(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5})\b/ ? $1 : $stderr;
}

# run_until_killed($node, $point, $sql, %options): runs $sql in a session that kills
# itself with SIGKILL when it comes to the named step (milvus.debug_point), and
# leaves the server down.  Dies when the step was never reached.  Options: dbname.
sub run_until_killed
{
	my ($node, $point, $sql, %options) = @_;
	my ($status) = $node->psql($options{dbname} // 'postgres',
		"SET milvus.debug_point = '$point';\n$sql", on_error_stop => 1);
	croak "the step \"$point\" was not reached" if $status != 2;

	wait_until_down($node);
	return;
}

# wait_until_down($node): waits for the server to end after one of its processes was
# killed; it does not restart by itself (restart_after_crash = off in these nodes).
sub wait_until_down
{
	my ($node) = @_;
	my $pidfile = $node->data_dir . '/postmaster.pid';
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		last if !-e $pidfile;
		select(undef, undef, undef, 0.1);
	}
	$node->stop('immediate', fail_ok => 1);
	return;
}

# crash_at($node, $point, $sql, %options): run_until_killed, and starts the server
# again, which recovers from WAL.
sub crash_at
{
	my ($node, $point, $sql, %options) = @_;
	run_until_killed($node, $point, $sql, %options);
	$node->start;
	return;
}

1;
