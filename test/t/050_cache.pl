# The segment cache never makes a query fail or answer wrongly: no folder, no room,
# files damaged, cut short or removed on disk, also while they are mapped; and
# milvus.cache_size bounds the folder.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main', conf => 'milvus.background_seal = off');
my $folder = $node->data_dir . '/pgsql_tmp_milvus';
load_clustered_queries($node, dim => 32);
foreach my $type ('HNSW', 'FLAT', 'IVF_FLAT')
{
	load_clustered($node, table => "${type}_items", rows => 3000, dim => 32);
	$node->safe_psql('postgres',
		"CREATE INDEX ${type}_items_embedding ON ${type}_items USING ann (embedding vector_l2_ops)
			WITH (index_type = '$type', nlist = 16, segment_rows = 1000)");
}

sub cache_files { return grep { !/\.fill/ } glob "$folder/*"; }

sub node_of_index
{
	my ($index) = @_;
	return $node->safe_psql('postgres', "SELECT pg_relation_filenode('$index')");
}

sub files_of
{
	my ($index) = @_;
	my $relation = node_of_index($index);
	return grep { m{/pgsql_tmp\.\d+\.\d+\.$relation\.[0-9a-f]{32}$} } cache_files();
}

# All three answer: FLAT exactly, the others well.
sub answers_well
{
	my ($what, %options) = @_;
	is(same_as_exact($node, table => 'FLAT_items', operator => '<->', %options),
		'', "$what: FLAT answers as exact search");
	cmp_ok(recall($node, table => 'HNSW_items', operator => '<->', %options),
		'>=', 0.95, "$what: recall of HNSW");
	cmp_ok(recall($node, table => 'IVF_FLAT_items', operator => '<->', %options),
		'>=', 0.9, "$what: recall of IVF_FLAT");
	return;
}

# The warnings of a session that searches $times times, each as often as it came.
sub warnings_of
{
	my ($settings, $times) = @_;
	my ($stdout, $stderr);
	my $search = 'SELECT id FROM HNSW_items ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 1) LIMIT 1;';
	$node->psql('postgres', "$settings $MilvusTest::INDEXED " . $search x $times, stderr => \$stderr, on_error_die => 1);
	return scalar(() = $stderr =~ /WARNING/g);
}

sub damage
{
	my ($how, $file) = @_;
	if ($how eq 'removed')
	{
		unlink $file or die "$file: $!";
		return;
	}
	my $size = -s $file;
	return truncate($file, $1 eq 'all' ? 0 : $1 eq 'half' ? int($size / 2) : $size - 4096) || die "$file: $!"
	  if $how =~ /^cut, (all|half|end)$/;
	open my $handle, '+<', $file or die "$file: $!";
	binmode $handle;
	# in the header, in the middle, near the end
	my $at = { 'flipped, header' => 40, 'flipped, middle' => int($size / 2), 'flipped, first section' => 4096 + 100 }->{$how};
	seek $handle, $at, 0;
	read $handle, my $byte, 1;
	seek $handle, $at, 0;
	print $handle chr(ord($byte) ^ 0x55);
	close $handle or die "$file: $!";
	return;
}

is(scalar(cache_files()), 9, 'each of the nine segments has a file after the build');
answers_well('cached');
is($node->safe_psql('postgres', "$MilvusTest::INDEXED SELECT id FROM HNSW_items ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 1) LIMIT 1; SELECT segments, cached_segments FROM milvus.last_search()")
	  =~ /\n(.*)$/ ? $1 : '', '3|3', 'searches use the files');

# ---- no cache ----

answers_well('cache off', settings => 'SET milvus.cache_size = 0;');
is($node->safe_psql('postgres', "SET milvus.cache_size = 0; $MilvusTest::INDEXED SELECT id FROM HNSW_items ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 1) LIMIT 1; SELECT segments, cached_segments FROM milvus.last_search()")
	  =~ /\n(.*)$/ ? $1 : '', '3|0', 'cache off: searches read the pages');
is(check_index($node, 'HNSW_items_embedding'), '', 'cache off: no problem');

unlink cache_files();
$node->append_conf('postgresql.conf', 'milvus.cache_size = 0');
$node->restart;
answers_well('cache off for all');
is(scalar(cache_files()), 0, 'cache off for all: no file is made');
is(warnings_of('', 3), 0, 'cache off for all: nothing to warn of');

# ---- the folder cannot be written ----

$node->append_conf('postgresql.conf', 'milvus.cache_size = -1');
$node->reload;
rmdir $folder or die "$folder: $!";
PostgreSQL::Test::Utils::append_to_file($folder, "a file in the folder's place");
answers_well('no folder');
is(warnings_of('', 3), 1, 'no folder: one warning a session');
is(check_index($node, 'HNSW_items_embedding'), '', 'no folder: no problem');
insert_clustered($node, table => 'FLAT_items', first => 10001, rows => 100, dim => 32);
$node->safe_psql('postgres', "SELECT milvus.seal_index('FLAT_items_embedding'); VACUUM FLAT_items");
answers_well('no folder, sealed');
unlink $folder or die "$folder: $!";
mkdir $folder, 0500 or die "$folder: $!";
SKIP:
{
	# root may write everywhere; tests run as another user
	skip 'this user may write into a read-only folder', 4 if -w $folder;
	answers_well('read-only folder');
	is(warnings_of('', 3), 1, 'read-only folder: one warning a session');
}
chmod 0700, $folder;
answers_well('writable again');
cmp_ok(scalar(cache_files()), '>=', 9, 'writable again: the files are made');

# ---- the disk is full ----

# What the sessions of answers_well would not show: that no file was there to read,
# and what each of them says.
my $cached = "SELECT bool_and(cached), bool_or(cached) FROM milvus.index_segments('%s_items_embedding') WHERE state = 'sealed'";
foreach my $step ('cache-allocate', 'cache-write')
{
	my $full = "SET milvus.debug_point = '$step:fail';";
	unlink cache_files();
	answers_well("$step fails", settings => $full);
	is(warnings_of($full, 3), 1, "$step fails: one warning a session");
	foreach my $type ('HNSW', 'FLAT', 'IVF_FLAT')
	{
		is($node->safe_psql('postgres', "$full SELECT milvus.check_index('${type}_items_embedding')"),
			'', "$step fails, $type: no problem");
		$node->safe_psql('postgres', "$full SELECT milvus.load_index('${type}_items_embedding')");
		is($node->safe_psql('postgres', sprintf($cached, $type)), 'f|f', "$step fails, $type: no segment is cached");
	}
	is_deeply([ glob "$folder/*" ], [], "$step fails: nothing is left in the folder");
	is($node->safe_psql('postgres', "$full $MilvusTest::INDEXED SELECT id FROM FLAT_items ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 1) LIMIT 1; SELECT segments > 0, cached_segments FROM milvus.last_search()")
		  =~ /\n(.*)$/ ? $1 : '', 't|0', "$step fails: searches read the pages");

	# the next session has room
	answers_well("room after $step failed");
	is($node->safe_psql('postgres', sprintf($cached, $_)), 't|t', "room after $step failed, $_: the files are made")
	  foreach 'HNSW', 'FLAT', 'IVF_FLAT';
}

# ---- a bound ----

my $megabyte = 1024 * 1024;
sub cache_bytes { my $bytes = 0; $bytes += -s $_ foreach cache_files(); return $bytes; }
cmp_ok(cache_bytes(), '>', 2 * $megabyte, 'all files together are larger than the bound');
$node->append_conf('postgresql.conf', 'milvus.cache_size = 2');
$node->restart;
unlink cache_files();
foreach my $round (1 .. 2)
{
	answers_well("bound, round $round");
	cmp_ok(cache_bytes(), '<=', 2 * $megabyte, "bound, round $round: the folder keeps it");
	cmp_ok(scalar(cache_files()), '>', 0, "bound, round $round: it is used");
}
load_clustered($node, table => 'big', rows => 3000, dim => 256);
$node->safe_psql('postgres', "CREATE INDEX big_embedding ON big USING ann (embedding vector_l2_ops) WITH (index_type = 'FLAT')");
$node->safe_psql('postgres', 'CREATE TABLE small_queries AS SELECT * FROM queries; DELETE FROM queries; ALTER TABLE queries ALTER embedding TYPE vector(256); INSERT INTO queries SELECT id, row_vector(id::int + 7000000, 256)::vector FROM small_queries');
is(same_as_exact($node, table => 'big', operator => '<->'), '', 'a segment larger than the bound is searched without a file');
cmp_ok(cache_bytes(), '<=', 2 * $megabyte, 'and the folder keeps the bound');
$node->safe_psql('postgres', 'DROP TABLE big, queries; ALTER TABLE small_queries RENAME TO queries');
$node->append_conf('postgresql.conf', 'milvus.cache_size = -1');
$node->restart;
answers_well('bound removed');

# ---- damaged while the server is down, or while nobody has it mapped ----

foreach my $how ('cut, all', 'cut, half', 'cut, end', 'flipped, header', 'flipped, middle',
	'flipped, first section', 'removed')
{
	# at rest: the checksums are looked at once in a server's life
	$node->stop;
	damage($how, $_) foreach cache_files();
	$node->start;
	answers_well("$how at rest");
	is(scalar(grep { -s $_ } files_of('hnsw_items_embedding')), 3, "$how at rest: the files are there again");
	is(check_index($node, 'HNSW_items_embedding'), '', "$how at rest: no problem");
}
foreach my $how ('cut, all', 'cut, half', 'cut, end', 'flipped, header', 'removed')
{
	damage($how, $_) foreach cache_files();
	answers_well("$how while the server runs");
}

# ---- damaged while a session has them mapped ----

# What a background session answers, and its messages.
sub ask
{
	my ($session, $sql) = @_;
	$session->{stderr} = '';
	my $rows = $session->query($sql);
	return ($rows, $session->{stderr});
}

foreach my $how ('removed', 'cut, all', 'cut, half', 'cut, end')
{
	foreach my $type ('HNSW', 'FLAT', 'IVF_FLAT')
	{
		my $search = "SELECT string_agg(id::text, ' ') FROM (SELECT id FROM ${type}_items
			ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = 4) LIMIT 1000) s;";
		my $session = $node->background_psql('postgres', on_error_stop => 0);
		ask($session, $MilvusTest::INDEXED);
		my ($before) = ask($session, $search);
		damage($how, $_) foreach files_of("${type}_items_embedding");
		my ($after, $error) = ask($session, $search);
		ok( $after eq $before || $error =~ /could not read the vector cache file/,
			"$how while mapped, $type: the same answer, or an error") or diag("$after $error");
		is((ask($session, $search))[0], $before, "$how while mapped, $type: the next search answers");

		# the functions that look into a mapping
		damage($how, $_) foreach files_of("${type}_items_embedding");
		ask($session, "SELECT milvus.check_index('${type}_items_embedding');");
		is((ask($session, "SELECT milvus.check_index('${type}_items_embedding');"))[0],
			'', "$how while mapped, $type: checked without a problem the second time");
		$session->quit;
	}
	answers_well("$how while mapped, afterwards");
}

# ---- what nobody needs goes ----

$node->safe_psql('postgres', "SELECT milvus.compact_index('FLAT_items_embedding')");
$node->safe_psql('postgres', 'DELETE FROM FLAT_items WHERE id % 3 = 0');
$node->safe_psql('postgres', 'VACUUM FLAT_items');
is( scalar(files_of('flat_items_embedding')),
	index_stat($node, 'FLAT_items_embedding', 'segments'),
	'merged: only the files of live segments are left');
my @dropped = files_of('ivf_flat_items_embedding');
cmp_ok(scalar(@dropped), '>', 0, 'dropped: there are files before');
$node->safe_psql('postgres', 'DROP TABLE IVF_FLAT_items');
load_clustered($node, table => 'another', rows => 100, dim => 32);
$node->safe_psql('postgres', 'CREATE INDEX ON another USING ann (embedding vector_l2_ops); VACUUM another');
is(scalar(grep { -e $_ } @dropped), 0, 'dropped: the files go when another file is made');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|terminated by signal/, 'nothing died');

done_testing();
