# A statement that is cancelled: CREATE INDEX, a seal, a merge and the making of a
# cache file, stopped where they wait at a named step and in the middle of a build.
# It ends with query_canceled; nothing of it is left that anybody sees; VACUUM finds
# its blocks, and the same statement then works.  A search gives way, too, before it
# has compared what it would have.  On the way,
# pg_stat_progress_create_index names the phases.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main', conf => 'milvus.background_seal = off');
my $folder = $node->data_dir . '/pgsql_tmp_milvus';
my $create = 'CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops)';
my $canceled = '57014';
load_clustered_queries($node, dim => 16);

# The SQLSTATE of $sql, cancelled while it waits at the step $point; and what the
# query $watch, if there is one, gives meanwhile in another session.
sub cancel_at
{
	my ($point, $sql, $watch) = @_;
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('SELECT pg_advisory_lock(0, 19530)');
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_until(qr/begun/,
		"\\echo begun\nSET milvus.debug_point = '$point:wait';\n$sql;\n");
	my $waiting = q{FROM pg_locks WHERE locktype = 'advisory' AND NOT granted};
	$node->poll_query_until('postgres', "SELECT count(*) = 1 $waiting")
	  or die "the step \"$point\" was not reached";
	my $seen = defined $watch ? $node->safe_psql('postgres', $watch) : undef;
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $waiting");
	my $state = $session->query('\echo :LAST_ERROR_SQLSTATE');
	$_->quit foreach $session, $holder;
	return ($state, $seen);
}

sub fill_files { return scalar(grep { /\.fill/ } glob "$folder/*"); }

# ---- CREATE INDEX ----

my $phase = 'SELECT phase FROM pg_stat_progress_create_index';
load_clustered($node, rows => 2500, dim => 16);
foreach my $step (
	[ 'segment-built', 'building segment' ],
	[ 'segment-allocated', 'writing segment' ],
	[ 'build-segments-written', 'loading vectors' ],
	[ 'build-published', 'loading vectors' ],
	[ 'cache-fill', 'writing segment' ])
{
	my ($point, $name) = @$step;
	my ($state, $seen) = cancel_at($point, "$create WITH (segment_rows = 1000)", $phase);
	is($state, $canceled, "build, $point: cancelled");
	is($seen, "building index: $name", "build, $point: the phase is shown");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname = 'items_embedding'}),
		0, "build, $point: there is no index");
	is(fill_files(), 0, "build, $point: no unfinished cache file");
}
$node->safe_psql('postgres', "$create WITH (segment_rows = 1000)");
is(index_stat($node, 'items_embedding', 'segments'), 3, 'build: made afterwards');
is(check_index($node, 'items_embedding'), '', 'build: without a problem');
is(same_rows($node), '', 'build: every row once');

# ---- the making of a cache file ----

my $cached = q{SELECT bool_and(cached), bool_or(cached) FROM milvus.index_segments('items_embedding')
	WHERE state = 'sealed'};
unlink glob "$folder/*";
my ($state) = cancel_at('cache-fill', "SELECT milvus.load_index('items_embedding')");
is($state, $canceled, 'load: cancelled');
is($node->safe_psql('postgres', $cached), 'f|f', 'load: no segment is cached');
is_deeply([ glob "$folder/*" ], [], 'load: nothing is left in the folder');
is($node->safe_psql('postgres', "SELECT milvus.load_index('items_embedding') > 0"), 't', 'load: works afterwards');
is($node->safe_psql('postgres', $cached), 't|t', 'load: every segment is cached');
is(check_index($node, 'items_embedding'), '', 'load: no problem');
cmp_ok(recall($node, table => 'items', operator => '<->'), '>=', 0.95, 'load: recall');
$node->safe_psql('postgres', 'DROP TABLE items');

# ---- seal and merge ----

# Dead rows in the sealed and the growing part, and after a cancelled $sql: nothing
# changed, the blocks it took are free after VACUUM, the same statement works.
sub cancelled_change
{
	my ($what, $sql, $cancel, $leaves) = @_;
	load_clustered($node, rows => 500, dim => 16);
	$node->safe_psql('postgres', $create);
	insert_clustered($node, first => 501, rows => 300, dim => 16);
	$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 8 = 3');
	my $segments = q{SELECT string_agg(s::text, ' ' ORDER BY s::text)
		FROM (SELECT state, rows, deleted_rows FROM milvus.index_segments('items_embedding')) s};
	my $before = $node->safe_psql('postgres', $segments);
	my $bytes = index_stat($node, 'items_embedding', 'bytes');
	my $free = index_stat($node, 'items_embedding', 'free_bytes');

	is($cancel->($sql), $canceled, "$what: cancelled");
	is($node->safe_psql('postgres', $segments), $before, "$what: the segments are as before");
	is(check_index($node, 'items_embedding'), '', "$what: no problem");
	is(same_rows($node), '', "$what: every row once");
	is(fill_files(), 0, "$what: no unfinished cache file");
	my $left = index_stat($node, 'items_embedding', 'bytes') - $bytes;
	$node->safe_psql('postgres', 'VACUUM items');
	if ($leaves)
	{
		cmp_ok($left, '>', 0, "$what: blocks were taken");
		cmp_ok(index_stat($node, 'items_embedding', 'free_bytes'),
			'>=', $free + $left, "$what: VACUUM found them");
	}
	$node->safe_psql('postgres', $sql);
	is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE state = 'growing' AND rows > 0),
			sum(rows - deleted_rows) FROM milvus.index_segments('items_embedding')}),
		$node->safe_psql('postgres', 'SELECT 0, count(*) FROM items'),
		"$what: works afterwards, every row is sealed");
	is(check_index($node, 'items_embedding'), '', "$what: no problem after it");
	is(same_rows($node), '', "$what: every row once after it");
	$node->safe_psql('postgres', 'DROP TABLE items');
	return;
}

foreach my $function ('seal_index', 'compact_index')
{
	foreach my $step (
		[ 'seal-closed', 0 ],
		[ 'segment-built', 0 ],
		[ 'segment-written', 1 ],
		[ 'cache-fill', 1 ],
		[ 'seal-before-publish', 1 ])
	{
		my ($point, $leaves) = @$step;
		cancelled_change("$function, $point", "SELECT milvus.$function('items_embedding')",
			sub { return (cancel_at($point, $_[0]))[0]; }, $leaves);
	}
}

# ---- in the middle of a build ----

# The graph takes seconds.  A session that came to the end of it would stop there
# with another SQLSTATE (internal_error): query_canceled says that the build itself
# gave way.
load_clustered($node, rows => 20000, dim => 16);
my $slow = "$create WITH (index_type = 'HNSW', ef_construction = 1000)";
my $end = "SET max_parallel_maintenance_workers = 0; SET milvus.debug_point = 'segment-built:error'";
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(qr/begun/, "$end;\n\\echo begun\n$slow;\n");
$node->poll_query_until('postgres',
	q{SELECT phase = 'building index: building segment' FROM pg_stat_progress_create_index})
  or die 'the build does not begin';
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index');
is($session->query('\echo :LAST_ERROR_SQLSTATE'), $canceled, 'amid the build: cancelled');
is($node->safe_psql('postgres', q{SELECT to_regclass('items_embedding')}), '', 'amid the build: there is no index');
$session->quit;

# The same in a merge, which shows no progress: by a timeout.
$node->safe_psql('postgres', 'CREATE TABLE kept AS SELECT * FROM items; TRUNCATE items');
$node->safe_psql('postgres', "$slow; SET milvus.growing_rows = 1000000; INSERT INTO items SELECT * FROM kept");
is(sql_state($node, "$end; SET statement_timeout = '500ms'; SELECT milvus.compact_index('items_embedding')"),
	$canceled, 'amid a merge: cancelled');
is(check_index($node, 'items_embedding'), '', 'amid a merge: no problem');
is(same_rows($node), '', 'amid a merge: every row once');
is(index_stat($node, 'items_embedding', 'segments'), 0, 'amid a merge: nothing was sealed');

$node->safe_psql('postgres', 'DROP TABLE items; DROP TABLE kept');

# ---- in the middle of a search ----

# Settings, SQLSTATE, rows and figures of a search in one session: with $point cancelled from the
# step "search" on, which is past the last look of the executor and the scan.
sub search_figures
{
	my ($setting, $point, $where) = @_;
	my ($status, $out) = $node->psql('postgres', qq{
		SET enable_seqscan = off; SET enable_bitmapscan = off; $setting;
		SET milvus.debug_point = '$point';
		SELECT count(*) AS n FROM (SELECT id FROM items $where
			ORDER BY embedding <-> (SELECT embedding FROM queries ORDER BY id LIMIT 1) LIMIT 10) found \\gset
		\\echo :LAST_ERROR_SQLSTATE
		RESET milvus.debug_point;
		SELECT code_distances + exact_distances, hops FROM milvus.last_search()}, on_error_stop => 0);
	my ($state, $figures) = split /\n/, $out;
	return ($state, split /\|/, $figures);
}

# On one side the work up to the first look, on the other what the whole takes.
sub cancelled_search
{
	my ($what, $figure, $least, $setting, $where) = @_;
	$where //= '';
	my ($state, @whole) = search_figures($setting, '', $where);
	is($state, '00000', "search, $what: answers");
	cmp_ok($whole[$figure], '>=', $least, "search, $what: has much to do");
	($state, my @part) = search_figures($setting, 'search:cancel', $where);
	is($state, $canceled, "search, $what: cancelled");
	cmp_ok($part[$figure], '<', $whole[$figure] / 2, "search, $what: amid it");
	my ($after, @again) = search_figures($setting, '', $where);
	is("$after @again", "00000 @whole", "search, $what: does the same again afterwards");
	return;
}

load_clustered($node, rows => 20000, dim => 16);
$node->safe_psql('postgres', q{CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops, grp)
	WITH (index_type = 'FLAT')});
cancelled_search('all rows', 0, 20000, 'SELECT');
cancelled_search('all rows, masked', 0, 10000, 'SELECT', 'WHERE grp < 5');
cancelled_search('without a mapping', 0, 20000, 'SET milvus.cache_size = 0');
$node->safe_psql('postgres', q{ALTER INDEX items_embedding SET (index_type = 'IVF_FLAT', nlist = 16); REINDEX INDEX items_embedding});
cancelled_search('lists', 0, 20000, 'SET milvus.nprobe = 16');
$node->safe_psql('postgres', q{ALTER INDEX items_embedding RESET (nlist);
	ALTER INDEX items_embedding SET (index_type = 'HNSW', m = 4, ef_construction = 40); REINDEX INDEX items_embedding});
cancelled_search('graph', 1, 600, 'SET milvus.ef = 600');
cancelled_search('graph, rows that match', 0, 10000, 'SET milvus.ef = 600', 'WHERE grp < 7');
$node->safe_psql('postgres', q{CREATE TABLE kept AS SELECT * FROM items; TRUNCATE items;
	SET milvus.growing_rows = 1000000; INSERT INTO items SELECT * FROM kept});
cancelled_search('growing rows', 0, 20000, 'SELECT');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing died');

done_testing();
