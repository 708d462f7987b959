# A milvus table under everything at once: clients that insert, update, delete and lock rows
# of it and of a heap table alike, readers whose figures must agree within a snapshot, workers
# that seal each page as soon as they may, compaction, VACUUM; and again and again a process
# or the whole server is killed.  What clients were told was committed is in a list that this
# script keeps: all of it is there, and nothing else.

use strict;
use warnings;

use MilvusTest;
use MilvusTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

random_seed(270);
my $node = new_node('main', conf => q{
	shared_preload_libraries = 'milvus'
	milvus.seal_eagerly = on
	milvus.worker_cost_delay = 0
	max_worker_processes = 16
	restart_after_crash = on
	synchronous_commit = on
	log_statement = none
	autovacuum = on
	autovacuum_naptime = 1
	autovacuum_vacuum_scale_factor = 0.05
	checkpoint_timeout = 30
	max_wal_size = 64MB});
make_pair($node);
fill_pair($node, 1, 3000);
$node->safe_psql('postgres', q{
	CREATE TABLE ledger (id int PRIMARY KEY, n int, note text) USING milvus;
	SELECT milvus.alter_table_options('rows', '{"compact_ratio": 0.1}')});

# Readers: the same rows by either table, and figures of one snapshot that agree; a division
# by zero, which pgbench reports, otherwise.  (As float8: which of equal numerics with other digits is the least,
# their order decides.)
my $read = $node->basedir . '/read.pgbench';
PostgreSQL::Test::Utils::append_to_file($read, q{
	\set id random(1, 3000)
	\set low random(0, 5)
	SET jit = off;
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT 1 / (h = r)::int FROM (SELECT (SELECT ROW(count(*), sum(id::bigint), sum(a), min(n)::float8, max(t))::text FROM heap_rows WHERE a >= :low) h,
		(SELECT ROW(count(*), sum(id::bigint), sum(a), min(n)::float8, max(t))::text FROM rows WHERE a >= :low) r) x;
	SELECT 1 / (h IS NOT DISTINCT FROM r)::int FROM (SELECT (SELECT h::text FROM heap_rows h WHERE id = :id) h,
		(SELECT r::text FROM rows r WHERE id = :id) r) x;
	SET LOCAL milvus.enable_column_scan = off;
	SELECT 1 / (h = r)::int FROM (SELECT (SELECT ROW(count(*), sum(length(big)), max(v::text))::text FROM heap_rows) h,
		(SELECT ROW(count(*), sum(length(big)), max(v::text))::text FROM rows) r) x;
	COMMIT;
});

# load(): starts the clients; gives a function that stops them and returns what they said.
sub load
{
	my $stop_pair = pair_load($node, clients => 2);
	my $said = '';
	my $reader = IPC::Run::start([ 'pgbench', '-n', '-c', '1', '-T', '600', '--random-seed=' . int(rand(2**31)), '-f', $read,
			'-h', $node->host, '-p', $node->port, 'postgres' ], '>', '/dev/null', '2>', \$said);
	return sub {
		my $all = $stop_pair->();
		$reader->signal('TERM');
		$reader->finish;
		return $all . $said;
	};
}

# ---- a list kept outside: rows of the table ledger that were committed ----

my %ledger;
my $next = 1;
my $in_doubt;

# one transaction; committed for certain when psql says so, not at all or in doubt otherwise
sub change_ledger
{
	my %change;
	my $sql = '';
	my @known = sort { $a <=> $b } keys %ledger;
	foreach (1 .. 40)
	{
		my $kind = int(rand(4));
		if ($kind < 2 || @known < 50)
		{
			my $id = $next++;
			my $n = int(rand(1000000));
			$sql .= "INSERT INTO ledger VALUES ($id, $n, repeat('note $n ', 1 + $n % 700));\n";
			$change{$id} = $n;
		}
		else
		{
			my $id = $known[ rand @known ];
			next if exists $change{$id};
			if ($kind == 2)
			{
				my $n = int(rand(1000000));
				$sql .= "UPDATE ledger SET n = $n, note = repeat('note $n ', 1 + $n % 700) WHERE id = $id;\n";
				$change{$id} = $n;
			}
			else
			{
				$sql .= "DELETE FROM ledger WHERE id = $id;\n";
				$change{$id} = undef;
			}
		}
	}
	my ($rc, $out, $err) = $node->psql('postgres', "BEGIN;\n$sql COMMIT;\nSELECT 'committed'", on_error_stop => 1);
	if (($out // '') =~ /committed/)
	{
		foreach my $id (keys %change)
		{
			if (defined $change{$id}) { $ledger{$id} = $change{$id}; }
			else { delete $ledger{$id}; }
		}
		return 1;
	}
	$in_doubt = \%change;
	return 0;
}

# the table's rows against the list; a transaction in doubt is there wholly or not at all
sub ledger_differs
{
	my $rows = $node->safe_psql('postgres', q{SELECT id, n, note = repeat('note ' || n || ' ', 1 + n % 700) FROM ledger});
	my %found;
	foreach my $line (split /\n/, $rows)
	{
		my ($id, $n, $good) = split /\|/, $line;
		return "row $id is damaged" if $good ne 't';
		return "row $id is there twice" if exists $found{$id};
		$found{$id} = $n;
	}
	my %with = %ledger;
	if ($in_doubt)
	{
		foreach my $id (keys %$in_doubt)
		{
			if (defined $in_doubt->{$id}) { $with{$id} = $in_doubt->{$id}; }
			else { delete $with{$id}; }
		}
	}
	my $text = sub { my ($h) = @_; return join ' ', map { "$_=$h->{$_}" } sort { $a <=> $b } keys %$h; };
	my $is = $text->(\%found);
	if ($is eq $text->(\%with)) { %ledger = %with; undef $in_doubt; return ''; }
	if ($is eq $text->(\%ledger)) { undef $in_doubt; return ''; }
	foreach my $id (sort { $a <=> $b } keys %{ { %ledger, %found } })
	{
		my ($want, $got) = ($ledger{$id} // 'none', $found{$id} // 'none');
		return "row $id: committed $want, found $got" if $want ne $got && !($in_doubt && exists $in_doubt->{$id});
	}
	return 'half of a transaction is there';
}

sub answers { return $node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back'; }

# ---- rounds ----

my $end = time() + test_size(60, 600);
my $round = 0;
my %kills;
while (time() < $end)
{
	$round++;
	my $stop = load();
	my $until = time() + 4 + rand(4);
	my $turns = 0;
	while (time() < $until)
	{
		change_ledger() or BAIL_OUT('a change failed');
		$turns++;
		if ($turns % 6 == 0)
		{
			my $kind = ('merge', 'sort', 'merge')[ rand 3 ];
			my ($rc, undef, $err) = $node->psql('postgres',
				"SELECT milvus.compact_table('rows', '$kind'); SELECT milvus.compact_table('ledger', '$kind')");
			is($rc, 0, "round $round: compaction") or diag($err);
		}
	}
	# what dies: a worker or client at a random moment, or all of the server
	my $way = ('backend', 'worker', 'server')[ $round % 3 ];
	if ($way eq 'server')
	{
		$node->stop('immediate');
		$node->start;
	}
	else
	{
		my $types = $way eq 'worker' ? q{backend_type LIKE 'milvus%' AND backend_type <> 'milvus launcher'} : q{backend_type = 'client backend' AND pid <> pg_backend_pid()};
		my $pid = '';
		foreach (1 .. 20)
		{
			$pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE $types ORDER BY random() LIMIT 1");
			last if $pid ne '';
		}
		kill 'KILL', $pid if $pid ne '';
		$kills{$way}++ if $pid ne '';
		select(undef, undef, undef, 0.2);
		answers();
	}
	my $said = $stop->();
	unlike($said, qr/ERROR:  (?!terminat)/, "round $round: nobody had another error than the end of the server") or diag($said);
	answers();
	my $differs = ledger_differs();
	is($differs, '', "round $round ($way): the list of committed rows") or last;
	$differs = pair_differs($node);
	is($differs, '', "round $round ($way): the rows of the heap table") or last;
	if ($round % 3 == 0)
	{
		is(table_problems($node, table => $_), '', "round $round: no problem in $_") foreach ('rows', 'ledger');
	}
}

# ---- at rest ----

note("$round rounds, killed: " . join(', ', map { "$_ $kills{$_}" } sort keys %kills));
cmp_ok($round, '>=', 3, 'each kind of end was met');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM milvus.table_segments('ledger') WHERE state <> 'Growing'}), '>', 0,
	'workers have sealed');
flush($node, table => $_) foreach ('rows', 'ledger');
$node->safe_psql('postgres', 'VACUUM rows; VACUUM ledger');
sound($node, 'in the end');
is(table_problems($node, table => 'ledger'), '', 'no problem in the ledger');
is(ledger_differs(), '', 'and its rows are those of the list');
is($node->safe_psql('postgres', q{
	SET enable_seqscan = off; SET milvus.enable_column_scan = off; SET enable_bitmapscan = off;
	SELECT count(*), sum(n::bigint), sum(length(note)) FROM ledger WHERE id > 0}),
	$node->safe_psql('postgres', q{
	SET enable_indexscan = off; SET enable_bitmapscan = off;
	SELECT count(*), sum(n::bigint), sum(length(note)) FROM ledger WHERE id > 0}), 'by index as by a scan of the table');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'no assertion failed');

done_testing();
