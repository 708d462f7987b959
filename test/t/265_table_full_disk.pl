# A file system without room, a small one in memory: for the cache files of milvus tables and ann
# indexes, which are done without; and for a tablespace in which a table is sealed, compacted
# and rewritten, which is an ERROR and no more, at any step.  Nothing is lost, every answer is right, and with
# room again all of it is done.
#
# The file system is mounted in a namespace of this test's own, where its user may do that, or
# is the folder MILVUS_TEST_DISK.

use strict;
use warnings;

use IPC::Run;
use Test::More;

BEGIN
{
	if (!$ENV{MILVUS_TEST_DISK})
	{
		# as "root" of a namespace, to mount; and in another within it as the user that runs servers
		my $folder = $ENV{TESTDATADIR} // 'tmp_check';
		mkdir $_ foreach ($folder, "$folder/disk");
		my @namespace = ('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
			'mount -t tmpfs -o size=64m,mode=0777 tmpfs "$1" && shift && exec "$@"', 'sh', "$folder/disk",
			'unshare', '--user', "--map-user=$>", '--map-group=' . (split ' ', $))[0]);
		plan skip_all => 'this user cannot mount a file system'
		  if !IPC::Run::run([ @namespace, 'true' ], '>', '/dev/null', '2>&1');
		$ENV{MILVUS_TEST_DISK} = "$folder/disk";
		$ENV{PERL5LIB} = join ':', @INC;
		exec @namespace, $^X, $0 or die "unshare: $!";
	}
}

use MilvusTest;
use MilvusTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my $disk = $ENV{MILVUS_TEST_DISK};
my $filler = "$disk/filler";
system_or_bail('sh', '-c', "rm -rf '$disk'/*");
mkdir "$disk/$_" foreach ('cache', 'space');

# leave($bytes): fills the disk but for so much.
sub leave
{
	my ($bytes) = @_;
	open my $file, '>', $filler or die "$filler: $!";
	my $size = 0;
	foreach my $piece (1024 * 1024, 4096)
	{
		while (defined(my $written = syswrite $file, "\1" x $piece))
		{
			$size += $written;
		}
	}
	die "the disk is not full: $!" if !$!{ENOSPC};
	die "there is no room for $bytes bytes" if $size < $bytes;
	truncate $file, $size - $bytes or die "$filler: $!";
	close $file;
	return;
}

sub make_room { unlink $filler or die "$filler: $!"; return; }

my $node = new_node('main', conf => 'max_worker_processes = 12');
make_pair($node);
$node->safe_psql('postgres', q{CREATE INDEX rows_v ON rows USING ann (v vector_l2_ops)});

# ---- no room for cache files ----

my $folder = $node->data_dir . '/pgsql_tmp_milvus';
system_or_bail('rm', '-rf', $folder);
symlink "$disk/cache", $folder or die "symlink: $!";

# cache_bytes(): what the files in the cache hold.
sub cache_bytes
{
	my $sum = 0;
	$sum += -s $_ foreach glob "$folder/*";
	return $sum;
}

# right($what): no problem in table or index, and the rows of the heap table, also the nearest ones.
sub right
{
	my ($what) = @_;
	my $search = q{SELECT round((v <-> '[1234.25,1,2,3,4,5,6,7]')::numeric, 3) AS d FROM TABLE ORDER BY v <-> '[1234.25,1,2,3,4,5,6,7]' LIMIT 20};
	my ($expected, $found) = map {
		my ($table, $settings) = @$_;
		$node->safe_psql('postgres', "SET jit = off; $settings; " . $search =~ s/TABLE/$table/r);
	} ([ 'heap_rows', 'SET enable_indexscan = off' ], [ 'rows', 'SET enable_seqscan = off; SET enable_sort = off; SET milvus.enable_column_scan = off' ]);
	sound($node, $what);
	is($found, $expected, "$what: the nearest rows");
	is(check_index($node, 'rows_v'), '', "$what: no problem in the index");
	return;
}

# larger than the room: the column of long texts, the vectors of the table and of its index
my $room = 128 * 1024;
leave($room);
fill_pair($node, 1, 8000);
cmp_ok(flush($node), '>=', 1, 'little room for the cache: sealed');
$node->safe_psql('postgres', q{SELECT milvus.seal_index('rows_v')});
right('little room for the cache');
cmp_ok(cache_bytes(), '<=', $room, 'little room for the cache: files fit');
leave(0);
fill_pair($node, 8001, 9000);
cmp_ok(flush($node), '>=', 1, 'no room for the cache: sealed');
right('no room for the cache');
make_room();
right('room for the cache');
cmp_ok(cache_bytes(), '>', 8 * $room, 'room for the cache: files are made');
my $warnings = () = slurp_file($node->logfile) =~ /WARNING/g;
note("$warnings warnings");

# ---- no room for the table ----

unlink $folder or die "$folder: $!";
$node->safe_psql('postgres', qq{
	DROP TABLE rows, heap_rows;
	DROP SEQUENCE pair_ids;
	CREATE TABLESPACE small LOCATION '$disk/space'});
system_or_bail('rm', '-rf', "$disk/cache");
make_pair($node);
# values out of line that no compression makes smaller: 8 MB of them, and as much again when they are sealed
both($node, q{
	INSERT INTO TABLE SELECT i, i % 10, 'the text', i, '[1,2,3,4,5,6,7,8]',
			string_agg(encode(sha512((i || ' ' || k)::bytea), 'base64'), '')
		FROM generate_series(1, 1500) i, generate_series(1, 60) k GROUP BY i});
$node->safe_psql('postgres', q{ALTER TABLE rows SET TABLESPACE small; VACUUM rows});

my $flush = q{SELECT count(*) FROM milvus.flush_table('rows')};
my $sort = q{SELECT milvus.compact_table('rows', 'sort')};

# without_room($statement, $what, @rooms): $statement fails with each of these rooms, and does no harm.
# (What it wrote stays in the way until a VACUUM: no time finds room that the one before had not.)
sub without_room
{
	my ($statement, $what, @rooms) = @_;
	foreach my $bytes (@rooms)
	{
		leave($bytes);
		my ($rc, undef, $err) = $node->psql('postgres', $statement, on_error_stop => 1);
		isnt($rc, 0, "$what, room for $bytes bytes");
		like($err, qr/could not (?:extend|write)[^\n]*No space left/, "$what, room for $bytes bytes: it says so");
		sound($node, "$what, room for $bytes bytes");
		make_room();
	}
	return;
}

# filled_at($point, $statement): the disk is full from this step of $statement on.  What is committed then is either
# finished or left for the next time.
sub filled_at
{
	my ($point, $statement) = @_;
	my $holder = $node->background_psql('postgres');
	my $worker = $node->background_psql('postgres', on_error_stop => 0);
	$holder->query_safe('SELECT pg_advisory_lock(0, 19530)');
	$worker->query_until(qr/begun/, "\\echo begun\nSET milvus.debug_point = '$point:wait';\n$statement;\n");
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted})
	  or die "nobody waits at $point: $worker->{stderr}";
	leave(0);
	$holder->query_safe('SELECT pg_advisory_unlock(0, 19530)');
	$holder->quit;
	$worker->query('SELECT 1');
	my $errors = $worker->{stderr};
	$worker->quit;
	like($errors, qr/^$|could not (?:extend|write)[^\n]*No space left/, "full at $point: done, or for want of room not");
	note("full at $point: ", $errors eq '' ? 'done' : $errors);
	sound($node, "full at $point");
	make_room();
	return;
}

my @rooms = (0, 100_000, 1_000_000, 5_000_000);
without_room($flush, 'sealing', @rooms);
$node->safe_psql('postgres', 'VACUUM rows');
filled_at('table-seal-before-commit', $flush);
both($node, q{INSERT INTO TABLE SELECT 10000 + id, a, t, n, v, reverse(big) FROM TABLE WHERE id <= 300});
filled_at('table-seal-committed', $flush);
$node->safe_psql('postgres', $flush);
is(unfinished_segments($node), 0, 'with room: nothing is unfinished');
is($node->safe_psql('postgres', q{SELECT coalesce(sum(rows), 0) FROM milvus.table_segments('rows') WHERE state = 'Growing'}), 0,
	'with room: all rows are sealed');
sound($node, 'with room, sealed');

both($node, 'DELETE FROM TABLE WHERE id % 3 = 1');
without_room($sort, 'compaction', @rooms[ 0 .. 2 ]);
$node->safe_psql('postgres', 'VACUUM rows');
filled_at('table-compact-before-commit', $sort);
both($node, 'DELETE FROM TABLE WHERE id % 30 = 3');
filled_at('table-compact-committed', $sort);
$node->safe_psql('postgres', $sort);
is(unfinished_segments($node), 0, 'compaction with room: nothing is unfinished');
sound($node, 'with room, compacted');

without_room('VACUUM FULL rows', 'VACUUM FULL', @rooms[ 0 .. 2 ]);
$node->safe_psql('postgres', 'VACUUM FULL rows');
sound($node, 'with room, VACUUM FULL');
$node->restart;
sound($node, 'restarted');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing worse');
$node->stop;
system_or_bail('sh', '-c', "rm -rf '$disk'/*");

done_testing();
