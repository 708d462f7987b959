# Milvus tables without room: cache files that cannot be made, a cache that is turned off or
# not writable, and a disk that is full amid sealing, compaction and VACUUM FULL (files that may
# not grow past a limit).  Nothing is lost, every answer is right, and with room again all of it
# is done.

use strict;
use warnings;

use MilvusTest;
use MilvusTable;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => 'max_wal_size = 256MB');
make_pair($node);

sub cache_files
{
	return scalar(my @files = glob $node->data_dir . '/pgsql_tmp_milvus/*');
}

# ---- no cache files ----

my $first = 1;
foreach my $point ('cache-allocate', 'cache-write')
{
	fill_pair($node, $first, $first + 2000);
	$first += 3000;
	is($node->safe_psql('postgres', "SET milvus.debug_point = '$point:fail'; SELECT count(*) FROM milvus.flush_table('rows')"),
		1, "$point fails: sealed");
	is($node->safe_psql('postgres', "SET milvus.debug_point = '$point:fail';" . pair_sql()), '', "$point fails: the rows of the heap table");
	is(cache_files(), 0, "$point fails: no file");
}
is($node->safe_psql('postgres', 'SET milvus.cache_size = 0;' . pair_sql()), '', 'no cache: the rows of the heap table');
is(cache_files(), 0, 'no cache: no file');
sound($node, 'with a cache');
cmp_ok(cache_files(), '>', 0, 'files are made when they can be');

SKIP:
{
	skip 'root writes anywhere', 3 if $> == 0;
	my $folder = $node->data_dir . '/pgsql_tmp_milvus';
	fill_pair($node, $first, $first + 2000);
	$node->safe_psql('postgres', q{SELECT milvus.release_table('rows')});
	chmod 0500, $folder;
	is(flush($node), 1, 'a folder that is not writable: sealed');
	is(pair_differs($node), '', 'a folder that is not writable: the rows of the heap table');
	chmod 0700, $folder;
	sound($node, 'writable again');
}

# ---- a full disk ----

# limit($bytes): no file of the server may grow past it.  Processes started from now on have
# the limit; as sealing and compaction have a process of their own.
sub limit
{
	my ($bytes) = @_;
	my $pid = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	return system_log('prlimit', '--pid', $pid, "--fsize=$bytes:") == 0;
}

SKIP:
{
	skip 'no prlimit', 1 if !limit('unlimited');

	# values out of line that no compression makes smaller: 10 MB of them, and as much again when
	# they are sealed; a file of WAL has 16 MB
	both($node, 'DELETE FROM TABLE WHERE true');
	$node->safe_psql('postgres', q{VACUUM rows; SELECT milvus.compact_table('rows'); VACUUM FULL rows});
	$node->safe_psql('postgres', q{
		CREATE TABLE noise AS SELECT i AS id, string_agg(encode(sha512((i || ' ' || k)::bytea), 'base64'), '') AS big
			FROM generate_series(1, 1500) i, generate_series(1, 80) k GROUP BY i});
	both($node, q{INSERT INTO TABLE SELECT id, id % 10, 'the text', id, '[1,2,3,4,5,6,7,8]', big FROM noise});
	my $toast = q{(SELECT pg_relation_size(reltoastrelid) / 1048576 FROM pg_class WHERE oid = 'rows'::regclass)};
	cmp_ok($node->safe_psql('postgres', "SELECT $toast"), '<', 16, 'the values fit');
	cmp_ok($node->safe_psql('postgres', "SELECT $toast"), '>', 8, 'with their segment they do not');

	sub full_disk
	{
		my ($statement, $what) = @_;
		limit(17 * 1024 * 1024) or die;
		foreach my $turn (1, 2)
		{
			my ($rc, undef, $err) = $node->psql('postgres', $statement, on_error_stop => 1);
			isnt($rc, 0, "$what on a full disk");
			like($err, qr/could not (extend|write)|No space|File too large/, "$what: it says so");
			sound($node, "$what, full");
		}
		limit('unlimited') or die;
		both($node, 'UPDATE TABLE SET t = t || $$.$$ WHERE id % 100 = 1');
		is($node->psql('postgres', $statement), 0, "$what with room");
		sound($node, "$what, done");
		return;
	}
	full_disk(q{SELECT milvus.flush_table('rows')}, 'sealing');
	is(unfinished_segments($node), 0, 'sealing is finished');
	cmp_ok(segments($node), '>=', 1, 'rows are sealed');
	both($node, 'DELETE FROM TABLE WHERE id % 3 = 1');
	full_disk(q{SELECT milvus.compact_table('rows', 'sort')}, 'compaction');
	$node->safe_psql('postgres', 'VACUUM FULL rows');
	sound($node, 'VACUUM FULL');
	$node->restart;
	sound($node, 'restarted');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM rows r JOIN noise USING (id) WHERE r.big <> noise.big}), 0,
		'values are what they were');
}
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'nothing worse');

done_testing();
