# A streaming standby: every page that replay makes equals the primary's
# (wal_consistency_checking), searches there answer as on the primary while it
# inserts, seals, merges and vacuums, readers that began before blocks were reused
# get the right answer or are cancelled, and a promoted standby goes on.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $conf = qq{
	wal_consistency_checking = 'all'
	milvus.background_seal = off
	max_standby_streaming_delay = 0
	wal_receiver_status_interval = 1
	hot_standby_feedback = off};

my $primary = new_node('primary', init => [ allows_streaming => 1 ], conf => $conf);
load_clustered_queries($primary, dim => 16);
foreach my $table (['flat_items', 'FLAT'], ['hnsw_items', 'HNSW'], ['ivf_items', 'IVF_FLAT'])
{
	load_clustered($primary, table => $table->[0], rows => 1000, dim => 16);
	$primary->safe_psql('postgres',
		"CREATE INDEX $table->[0]_embedding ON $table->[0] USING ann (embedding vector_l2_ops, id)
			WITH (index_type = '$table->[1]', nlist = 16)");
}

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub caught_up { $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert')); return; }

# what the three indexes answer on a node
sub answers_well
{
	my ($node, $what) = @_;
	is(same_as_exact($node, table => 'flat_items', operator => '<->'),
		'', "$what: FLAT answers as exact search");
	is(same_as_exact($node, table => 'flat_items', operator => '<->', where => 't.id BETWEEN 100 AND 700'),
		'', "$what: FLAT answers as exact search with a condition on a column of the index");
	cmp_ok(recall($node, table => 'hnsw_items', operator => '<->'),
		'>=', 0.97, "$what: recall of HNSW");
	cmp_ok(recall($node, table => 'ivf_items', operator => '<->'),
		'>=', 0.9, "$what: recall of IVF_FLAT");
	foreach my $table ('flat_items', 'hnsw_items', 'ivf_items')
	{
		is(same_rows($node, table => $table), '', "$what: every row of $table once");
		is(check_index($node, "${table}_embedding"), '', "$what: $table has no problem");
	}
	return;
}

# ---- after each kind of change ----

sub on_all
{
	my ($sql) = @_;
	foreach my $table ('flat_items', 'hnsw_items', 'ivf_items')
	{
		$primary->safe_psql('postgres', $sql =~ s/TABLE/$table/gr);
	}
	return;
}
my $add = 'INSERT INTO TABLE SELECT id, id % 10, row_vector(id, 16)::vector FROM generate_series(%d, %d) id';

caught_up();
answers_well($standby, 'built');
on_all(sprintf($add, 1001, 1400));
caught_up();
answers_well($standby, 'inserted');
on_all("SELECT milvus.seal_index('TABLE_embedding')");
caught_up();
answers_well($standby, 'sealed');
on_all('DELETE FROM TABLE WHERE id % 7 = 3');
on_all('VACUUM TABLE');
on_all(sprintf($add, 2001, 2200));    # takes the places of deleted rows
caught_up();
answers_well($standby, 'vacuumed');
on_all("SELECT milvus.compact_index('TABLE_embedding')");
caught_up();
answers_well($standby, 'merged');
on_all('REINDEX INDEX CONCURRENTLY TABLE_embedding');
caught_up();
answers_well($standby, 'reindexed');
is( sql_state($standby, "SELECT milvus.seal_index('flat_items_embedding')"),
	'55000', 'a standby refuses to seal');

# ---- a VACUUM that died between its marks and telling of them ----

# the standby's session keeps its view of the index through what follows
my $keeper = $standby->background_psql('postgres', on_error_stop => 0);
$keeper->query_safe($MilvusTest::INDEXED);
my $nearest = 'SELECT string_agg(id::text, \' \') FROM (SELECT id FROM flat_items
	ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 2) LIMIT 5) s;';
my $before = $keeper->query_safe($nearest);
$primary->safe_psql('postgres', "DELETE FROM flat_items WHERE id IN (${\ join ', ', split / /, $before })");
run_until_killed($primary, 'vacuum-after-marks', 'VACUUM flat_items');
$primary->start;
$primary->safe_psql('postgres', 'VACUUM flat_items');
$primary->safe_psql('postgres', sprintf($add =~ s/TABLE/flat_items/r, 3001, 3005));
caught_up();
is( $keeper->query_safe($nearest),
	$standby->safe_psql('postgres', "$MilvusTest::EXACT $nearest"),
	'a session that kept its view learns of the marks');
$keeper->quit;

# ---- readers that began before merges and reuse ----

# Rounds of changes that write over blocks that earlier rounds freed.  Deletes make
# VACUUM of the table itself cancel readers, so there is a form without.
sub churn
{
	my ($first, $deletes) = @_;
	foreach my $round (0 .. 5)
	{
		my $from = $first + 50 * $round;
		insert_clustered($primary, table => 'flat_items', first => $from, rows => 50, dim => 16);
		$primary->safe_psql('postgres', "DELETE FROM flat_items WHERE id % 50 = $round; VACUUM flat_items")
		  if $deletes;
		$primary->safe_psql('postgres', "SELECT milvus.compact_index('flat_items_embedding')");
	}
	return;
}

# What a session of the standby reads through the index after a churn, in a snapshot
# from before it: the rest of a cursor that has fetched ten rows, or a search anew.
# Returns whether that is what exact search gave in the same snapshot, and the
# error, if there was one.
sub read_through_churn
{
	my ($how, @churn) = @_;
	my $search = 'SELECT id FROM flat_items ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 3)';
	my $session = $standby->background_psql('postgres', on_error_stop => 0);

	$session->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; $MilvusTest::EXACT");
	my $exact = $session->query_safe("$search;");
	$session->query_safe("RESET enable_indexscan; $MilvusTest::INDEXED DECLARE c CURSOR FOR $search;");
	my $found = $how eq 'cursor' ? $session->query_safe('FETCH 10 FROM c;') . "\n" : '';
	die 'the exact search found too little' if ($exact =~ tr/\n//) < 500;

	# the primary has heard of this reader, if it hears of any
	my $xmin = $session->query_safe('SELECT pg_snapshot_xmin(pg_current_snapshot());');
	if ($standby->safe_psql('postgres', 'SHOW hot_standby_feedback') eq 'on')
	{
		$primary->safe_psql('postgres', 'SELECT pg_current_xact_id()');
		$primary->poll_query_until('postgres',
			"SELECT backend_xmin::text::bigint <= $xmin FROM pg_stat_replication")
		  or die 'no feedback came';
	}
	churn(@churn);
	caught_up();
	# the session may have been ended
	eval { $found .= $session->query($how eq 'cursor' ? 'FETCH ALL FROM c;' : "$search;"); };
	my $error = $session->{stderr} . $@;
	eval { $session->quit; };
	return ($found eq $exact, $error);
}

sub conflicts
{
	return $standby->safe_psql('postgres',
		q{SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = 'postgres'});
}

# Without feedback the primary reuses blocks that the readers need, and says so.
my $first = 10001;
foreach my $how ('cursor', 'new search')
{
	foreach my $deletes (0, 1)
	{
		my $what = "$how, no feedback, " . ($deletes ? 'with' : 'without') . ' deletes';
		my $conflicts = conflicts();
		my ($right, $error) = read_through_churn($how, $first += 1000, $deletes);
		ok($right || $error =~ /conflict with recovery/, "$what: the right answer, or cancelled")
		  or diag($error);
		cmp_ok(conflicts(), '>', $conflicts, "$what: the reader was in the way");
	}
}
is(check_index($standby, 'flat_items_embedding'), '', 'the standby has no problem after it');

# With feedback the primary leaves alone what they need.
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = on');
$standby->reload;
foreach my $how ('cursor', 'new search')
{
	my $conflicts = conflicts();
	my ($right, $error) = read_through_churn($how, $first += 1000, 1);
	ok($right, "$how, feedback: the right answer") or diag($error);
	is(conflicts(), $conflicts, "$how, feedback: nobody was in the way");
}
caught_up();
answers_well($standby, 'after the readers');

# ---- promotion ----

$standby->promote;
foreach my $table ('flat_items', 'hnsw_items', 'ivf_items')
{
	insert_clustered($standby, table => $table, first => 20001, rows => 300, dim => 16);
	$standby->safe_psql('postgres', "SELECT milvus.seal_index('${table}_embedding')");
	$standby->safe_psql('postgres', "DELETE FROM $table WHERE id % 11 = 5");
	$standby->safe_psql('postgres', "VACUUM $table");
}
answers_well($standby, 'promoted');

is(scalar(grep { PostgreSQL::Test::Utils::slurp_file($_->logfile) =~ /PANIC|TRAP|inconsistent page/ } $primary, $standby),
	0, 'no page differed, nothing died');

done_testing();
