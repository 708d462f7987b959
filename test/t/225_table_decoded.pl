# Columns that have no cache file are read from chunks decoded into a session's memory,
# which is bounded (milvus.decoded_size): a query that holds values of more chunks than
# that gets the right rows, and the memory is given back afterwards.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MilvusTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# one chunk of almost any column is larger than what may be kept
my $node = new_node('main', conf => qq{
	milvus.cache_size = 0
	milvus.decoded_size = 64kB
	max_parallel_workers_per_gather = 0});

my $rows = 20000;
$node->safe_psql('postgres', qq{
	CREATE TABLE heap_rows (id int, a int, t text, u text, n numeric, d float8, v vector(16));
	INSERT INTO heap_rows SELECT i, i % 100, 'the text of row ' || md5(i::text), md5((i + 1)::text) || md5((i + 2)::text),
		i / 8.0, i * 0.5, array_agg(hashint4extended(i, j) / 9e18 ORDER BY j)::real[]::vector
		FROM generate_series(1, $rows) i, generate_series(1, 16) j GROUP BY i ORDER BY i;
	CREATE TABLE rows (LIKE heap_rows) USING milvus;
	INSERT INTO rows TABLE heap_rows;
	ANALYZE rows;
	ANALYZE heap_rows});
$node->safe_psql('postgres', q{SELECT milvus.flush_table('rows')});
is($node->safe_psql('postgres', q{SELECT sum(rows) FROM milvus.table_segments('rows') WHERE state = 'Flushed'}), $rows, 'all rows are sealed');

my $kept = q{SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts WHERE name = 'milvus column chunk'};

# same($name, $node_name, $query): the same rows from both tables (TABLE stands for the name), read by a
# plan with that node from the one.
sub same
{
	my ($name, $scan, $query) = @_;
	(my $ours = $query) =~ s/\bTABLE\b/rows/g;
	(my $theirs = $query) =~ s/\bTABLE\b/heap_rows/g;
	like($node->safe_psql('postgres', "EXPLAIN (COSTS off) $ours"), qr/\b$scan\b/, "$name: the plan");
	my $found = $node->safe_psql('postgres', $ours);
	isnt($found, '', "$name: rows");
	is($found, $node->safe_psql('postgres', $theirs), "$name: the heap table's");
	return;
}

same('all columns of filtered rows', 'MilvusColumns', q{
	SELECT count(*), md5(string_agg(ROW(id, a, t, u, n, d, v)::text, ',')) FROM TABLE
		WHERE id > 100 AND a BETWEEN 3 AND 60 AND t LIKE 'the text of row%' AND u > '2' AND n < 2000 AND d > 3});
same('two scans that take turns', 'MilvusColumns', q{
	SELECT count(*), md5(string_agg(x.t || y.u || y.v::text, ',' ORDER BY x.id, y.id)) FROM TABLE x,
		LATERAL (SELECT y.id, y.u, y.v FROM TABLE y WHERE y.a = x.a AND y.u > x.u ORDER BY y.id LIMIT 3) y
		WHERE x.id % 1000 = 7});
same('exact search with a condition', 'MilvusNeighbours', q{
	SELECT id, t, u FROM TABLE WHERE t > 'the text of row 5' AND a <> 7 ORDER BY v <-> (SELECT v FROM heap_rows WHERE id = 77) LIMIT 20});

# cursors hold their chunks while others are read
my $session = $node->background_psql('postgres');
my %cursors = (c1 => 'id, t, v FROM TABLE WHERE a < 50 AND u > \'3\'', c2 => 't, n, d, v FROM TABLE WHERE t > \'the text of row 8\'',
	c3 => 'a, u, v FROM TABLE WHERE id % 3 = 0');
my %found;
foreach my $table ('rows', 'heap_rows')
{
	$session->query_safe('BEGIN');
	foreach my $cursor (sort keys %cursors)
	{
		(my $query = $cursors{$cursor}) =~ s/\bTABLE\b/$table/;
		$session->query_safe("DECLARE ${cursor}_$table CURSOR FOR SELECT $query");
	}
	foreach my $round (1 .. 12)
	{
		$found{$table} .= $session->query_safe("FETCH 251 FROM ${_}_$table") . "\n" foreach sort keys %cursors;
		# others' chunks take the room
		$session->query_safe("SELECT sum(d), max(n), max(u), max(t) FROM $table WHERE a > $round") if $round % 4 == 0;
	}
	cmp_ok($session->query_safe($kept), '>', 64 * 1024, 'what is held passes the limit') if $table eq 'rows';
	$session->query_safe('COMMIT');
	cmp_ok($session->query_safe($kept), '<=', 64 * 1024, 'it is given back at the end of the transaction') if $table eq 'rows';
}
cmp_ok(length $found{rows}, '>', 100000, 'cursors: rows');
ok($found{rows} eq $found{heap_rows}, "cursors: the heap table's");
$session->quit;

done_testing();
