# Cache files of tables' columns never make a query fail for long or answer wrongly: verified piece
# by piece after a restart, damaged, cut short while they are mapped, swept, bounded by
# milvus.cache_size; a standby makes its own.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main', init => [ allows_streaming => 1 ]);
my $rows = 30000;
$node->safe_psql('postgres', qq{
	CREATE TABLE plain (id int PRIMARY KEY, number int, words text, embedding vector(64));
	INSERT INTO plain SELECT i, CASE WHEN i % 7 > 0 THEN i * 31 END, CASE WHEN i % 5 > 0 THEN md5(i::text) || repeat('x', i % 60) END,
		(SELECT array_agg(sin(i * k)::real) FROM generate_series(1, 64) k)::vector FROM generate_series(1, $rows) i;
	CREATE TABLE items (LIKE plain INCLUDING ALL) USING milvus;
	INSERT INTO items SELECT * FROM plain;
});
$node->safe_psql('postgres', "SELECT milvus.flush_table('items')");
is($node->safe_psql('postgres', "SELECT sum(rows) FROM milvus.table_segments('items') WHERE state = 'Flushed'"),
	$rows, 'all rows are sealed');

my $sum = 'SELECT md5(string_agg(t::text, chr(10) ORDER BY id)) FROM %s t WHERE id BETWEEN %d AND %d';
sub expected { my ($first, $last) = @_; return $node->safe_psql('postgres', sprintf $sum, 'plain', $first, $last); }

# What a session says to the sum of rows, and its warnings and errors.
sub answer
{
	my ($server, $first, $last) = @_;
	my ($stdout, $stderr);
	$server->psql('postgres', sprintf($sum, 'items', $first, $last), stdout => \$stdout, stderr => \$stderr);
	return ($stdout, $stderr);
}

sub answers
{
	my ($server, $what, $first, $last, $complaint) = @_;
	my ($stdout, $stderr) = answer($server, $first, $last);
	is($stdout, expected($first, $last), "$what: rows $first to $last");
	like($stderr, $complaint // qr/^$/, "$what: what is said");
	return;
}

sub column_files
{
	my ($server, $table) = @_;
	my $relation = $server->safe_psql('postgres',
		"SELECT pg_relation_filenode(reltoastrelid) FROM pg_class WHERE oid = '$table'::regclass");
	my @files = sort { -s $b <=> -s $a } grep { /\.$relation\.[0-9a-f]{32}$/ } glob $server->data_dir . '/pgsql_tmp_milvus/*';
	return @files;
}

sub flip
{
	my ($file, $at) = @_;
	open my $handle, '+<', $file or die "$file: $!";
	binmode $handle;
	seek $handle, $at, 0;
	read $handle, my $byte, 1;
	seek $handle, $at, 0;
	print $handle chr(ord($byte) ^ 0x55);
	close $handle or die "$file: $!";
	return;
}

cmp_ok($node->safe_psql('postgres', "SELECT milvus.load_table('items')"), '>', $rows * 256, 'files are made');
is(scalar(column_files($node, 'items')), 5, 'one a column, and one for the TIDs');
answers($node, 'loaded', 1, $rows);

# after a restart: only what is read is verified
$node->stop;
my ($vectors) = column_files_of_stopped();
flip($vectors, (-s $vectors) - 300 * 1024);
$node->start;
answers($node, 'damaged far away', 1, 100);
answers($node, 'damaged', $rows - 2000, $rows, qr/cache file of column 4 .* is damaged/);
answers($node, 'made anew', 1, $rows);

# all of it is verified by the first to read it, not by the next
$node->restart;
answers($node, 'verified', 1, $rows);
($vectors) = column_files($node, 'items');
flip($vectors, (-s $vectors) - 300 * 1024);
my ($stdout, $stderr) = answer($node, $rows - 2000, $rows);
isnt($stdout, expected($rows - 2000, $rows), 'a verified file is trusted for as long as the server lives');
$node->safe_psql('postgres', "SELECT milvus.release_table('items')");
answers($node, 'released', 1, $rows);

# every file, at its beginning and in its header
foreach my $at (4096, 40)
{
	$node->safe_psql('postgres', "SELECT milvus.load_table('items')");
	$node->stop;
	flip($_, $at) foreach column_files_of_stopped();
	$node->start;
	answers($node, "damaged at $at", 1, $rows, qr/is damaged and is made anew/);
	answers($node, "damaged at $at, again", 1, $rows);
}

# cut short while a session has it mapped: an error there, the server lives, the next transaction is right
$node->safe_psql('postgres', "SELECT milvus.load_table('items')");
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time(), pid FROM pg_stat_activity WHERE backend_type = \'checkpointer\'');
($vectors) = column_files($node, 'items');
my $all = sprintf $sum, 'items', 1, $rows;
$node->psql('postgres', "$all;\n\\! truncate -s 8192 $vectors\n$all;\n$all;", stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
like($stderr, qr/could not read a mapped vector cache file/, 'cut short: an error');
is($stdout, join("\n", (expected(1, $rows)) x 2), 'cut short: right before and afterwards');
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time(), pid FROM pg_stat_activity WHERE backend_type = \'checkpointer\''),
	$started, 'cut short: the server goes on');

# no room: chunks are decoded by each backend
$node->safe_psql('postgres', "SELECT milvus.release_table('items')");
$node->append_conf('postgresql.conf', 'milvus.cache_size = 1MB');
$node->reload;
answers($node, 'no room', 1, $rows);
is(scalar(grep { -s $_ > 1024 * 1024 } column_files($node, 'items')), 0, 'no file that is too large');
$node->append_conf('postgresql.conf', 'milvus.cache_size = 1GB');
$node->reload;

# a standby makes files of its own
$node->safe_psql('postgres', "SELECT milvus.load_table('items')");
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is(scalar(column_files($standby, 'items')), 0, 'a base backup leaves the files out');
answers($standby, 'standby', 1, $rows);
# single rows by an index, while nothing is mapped
is($standby->safe_psql('postgres', 'SET milvus.cache_size = 0; SELECT words, embedding FROM items WHERE id = 777'),
	$node->safe_psql('postgres', 'SELECT words, embedding FROM plain WHERE id = 777'), 'standby: one row');
$standby->stop;

# files go with what they are of: VACUUM removes those of segments that are gone, and of dropped tables
$node->safe_psql('postgres', 'CREATE TABLE gone (LIKE plain) USING milvus; INSERT INTO gone SELECT * FROM plain');
$node->safe_psql('postgres', "SELECT milvus.flush_table('gone')");
$node->safe_psql('postgres', "SELECT milvus.load_table('gone')");
my @gone = column_files($node, 'gone');
cmp_ok(scalar(@gone), '>', 0, 'another table has files');
my ($kept) = column_files($node, 'items');
(my $stray = $kept) =~ s/[0-9a-f]{32}$/'0' x 32/e;
open my $handle, '>', $stray or die "$stray: $!";
close $handle;
$node->safe_psql('postgres', 'DROP TABLE gone');
$node->safe_psql('postgres', 'VACUUM items');
is(scalar(grep { -e $_ } @gone), 0, 'files of a dropped table are removed');
ok(!-e $stray, 'a file of no segment is removed');
ok(-e $kept, 'files of segments stay');
answers($node, 'after VACUUM', 1, $rows);

$node->stop;
done_testing();

# The same without asking the server.
sub column_files_of_stopped
{
	return sort { -s $b <=> -s $a } grep { /\.[0-9a-f]{32}$/ } glob $node->data_dir . '/pgsql_tmp_milvus/*';
}
