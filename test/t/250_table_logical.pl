# Logical decoding and replication of milvus tables while they are sealed and compacted: the
# user's changes and nothing else, with every replica identity; both ways between heap and
# milvus tables, also FOR ALL TABLES and with the initial copy.

use strict;
use warnings;

use MilvusTest;
use MilvusTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

random_seed(250);
my $conf = "max_worker_processes = 20\nmax_logical_replication_workers = 8\nmax_sync_workers_per_subscription = 4";
my $node = new_node('main', init => [ allows_streaming => 'logical' ], conf => $conf);

# ---- decoding: what a heap table with the same changes gives ----

make_pair($node);
fill_pair($node, 1, 2000);
is(flush($node), 1, 'a segment');
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('changes', 'test_decoding')});

# decoded_differ(): the changes since: how those of the two tables differ, and their number.
sub decoded_differ
{
	my $lines = $node->safe_psql('postgres', q{
		SELECT data FROM pg_logical_slot_get_changes('changes', NULL, NULL, 'include-xids', '0', 'skip-empty-xacts', '1')
			WHERE data !~ '^(BEGIN|COMMIT)'});
	my %changes = (heap_rows => [], rows => [], other => []);
	foreach my $line (split /\n/, $lines)
	{
		if ($line =~ /^table public\.(heap_rows|rows): (.*)$/) { push @{ $changes{$1} }, $2; }
		else { push @{ $changes{other} }, $line; }
	}
	return ("other changes: @{ $changes{other} }", 0) if @{ $changes{other} };
	# a changed row is in the order of its table; of a value out of line that did not change the
	# heap says so, a sealed row says the value
	my @heap = sort @{ $changes{heap_rows} };
	my @rows = sort @{ $changes{rows} };
	my $unchanged = qr/ big\[text\]:unchanged-toast-datum/;
	if (@heap == @rows)
	{
		my %bare;
		foreach my $i (0 .. $#heap)
		{
			$bare{$i} = 1 if $heap[$i] =~ $unchanged;
		}
		foreach my $i (keys %bare)
		{
			s/ big\[text\]:.*// foreach ($heap[$i], $rows[$i]);
		}
	}
	my ($heap, $rows) = (join("\n", @heap), join("\n", @rows));
	return ($heap eq $rows ? '' : "heap:\n" . substr($heap, 0, 2000) . "\nmilvus:\n" . substr($rows, 0, 2000), scalar @{ $changes{rows} });
}

my $round = 0;
foreach my $identity ('DEFAULT', 'USING INDEX TABLE_u', 'FULL', 'NOTHING', 'DEFAULT')
{
	my $first = 10000 * ++$round;
	if ($round == 1)
	{
		$node->safe_psql('postgres', qq{
			ALTER TABLE $_ ALTER n SET NOT NULL; CREATE UNIQUE INDEX ${_}_u ON $_ (n)}) foreach ('heap_rows', 'rows');
	}
	foreach my $table ('heap_rows', 'rows')
	{
		(my $which = $identity) =~ s/TABLE/$table/;
		$node->safe_psql('postgres', "ALTER TABLE $table REPLICA IDENTITY $which");
	}
	decoded_differ();
	# rows whose stubs were made for the identity that there was before need a rewrite
	if ($identity =~ /INDEX|FULL/)
	{
		my $error = sql_state($node, 'DELETE FROM rows WHERE id = (SELECT min(id) FROM rows)');
		like($error, qr/^(55000|0A000|)$/, "$identity: a stub that lacks the identity is refused, or has it") or diag($error);
		if ($error eq '') { $node->safe_psql('postgres', 'DELETE FROM heap_rows WHERE id = (SELECT min(id) FROM heap_rows)') }
		$node->safe_psql('postgres', 'VACUUM FULL rows');
	}
	my ($differ) = decoded_differ();
	is($differ, '', "$identity: VACUUM FULL decodes to nothing");
	fill_pair($node, $first, $first + 500);
	if ($identity eq 'FULL')
	{
		is(sql_state($node, q{SELECT milvus.flush_table('rows')}), '55000', 'FULL: rows are not sealed');
	}
	else
	{
		flush($node);
	}
	both($node, 'UPDATE TABLE SET a = a + 1 WHERE id % 41 = 3');
	both($node, 'UPDATE TABLE SET big = md5(id::text) WHERE id % 41 = 4');
	both($node, 'UPDATE TABLE SET id = -id WHERE id % 83 = 5');
	both($node, 'DELETE FROM TABLE WHERE id % 41 = 6');
	flush($node) if $identity ne 'FULL';
	$node->safe_psql('postgres', 'VACUUM rows');
	$node->safe_psql('postgres', q{SELECT milvus.compact_table('rows', 'sort')}) if $identity ne 'FULL';
	both($node, 'UPDATE TABLE SET t = t || $$!$$ WHERE id % 41 = 7');
	both($node, 'DELETE FROM TABLE WHERE id % 83 = 9');
	my ($difference, $changes) = decoded_differ();
	is($difference, '', "$identity: the changes of the heap table");
	cmp_ok($changes, '>', 500, "$identity: all of them");
	sound($node, $identity);
}
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('changes'); DROP INDEX heap_rows_u, rows_u});

# ---- replication: milvus to heap, heap to milvus, milvus to milvus ----

my $subscriber = new_node('subscriber', conf => $conf);
$subscriber->safe_psql('postgres', q{
	CREATE TABLE heap_rows (id int PRIMARY KEY, a int, t text, n numeric NOT NULL, v vector(8), big text) USING milvus;
	CREATE TABLE rows (LIKE heap_rows INCLUDING ALL) USING heap;
	CREATE TABLE third (LIKE heap_rows INCLUDING ALL) USING milvus;
	CREATE INDEX ON rows (a); CREATE INDEX ON heap_rows (a)});
$node->safe_psql('postgres', q{
	CREATE TABLE third (LIKE rows INCLUDING ALL) USING milvus;
	INSERT INTO third SELECT * FROM rows;
	SELECT milvus.flush_table('third');
	CREATE PUBLICATION everything FOR ALL TABLES});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_publication_tables WHERE schemaname <> 'public'}), 0,
	'nothing of the extension is published');
my $address = $node->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION everything CONNECTION '$address' PUBLICATION everything");
my $stop = pair_load($node, maintain => 1);
$subscriber->wait_for_subscription_sync($node, 'everything');
foreach my $turn (1 .. 3)
{
	$node->safe_psql('postgres', "UPDATE third SET a = $turn WHERE id % 17 = $turn; DELETE FROM third WHERE id % 101 = $turn;
		SELECT milvus.flush_table('third'); SELECT milvus.compact_table('third')");
	$subscriber->safe_psql('postgres', q{SELECT milvus.flush_table('heap_rows'); SELECT milvus.compact_table('heap_rows'); VACUUM heap_rows;
		SELECT milvus.flush_table('third')});
}
my $said = $stop->();
unlike($said, qr/ERROR|FATAL|aborted/, 'the load had no error') or diag($said);
$node->wait_for_catchup('everything');
foreach my $table ('heap_rows', 'rows', 'third')
{
	my $figures = "SELECT count(*), md5(string_agg(ROW(id, a, t, n, v, big)::text, chr(10) ORDER BY id)) FROM $table";
	is($subscriber->safe_psql('postgres', $figures), $node->safe_psql('postgres', $figures), "replicated: $table");
}
is(pair_differs($subscriber), '', 'every scan of the subscriber');
is(pair_differs($node), '', 'every scan of the publisher');
is(table_problems($subscriber, table => $_), '', "no problem: $_ of the subscriber") foreach ('heap_rows', 'third');
is(table_problems($node, table => $_), '', "no problem: $_ of the publisher") foreach ('rows', 'third');
unlike(slurp_file($subscriber->logfile), qr/ERROR|PANIC|TRAP/, 'the subscriber had no error');

done_testing();
