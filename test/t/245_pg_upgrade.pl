# pg_upgrade, by copying and by linking files: sealed, changed, unfinished and compacted rows of milvus tables, their
# options, and ann indexes are there afterwards, without problem, and go on being sealed.  One version of the server is
# enough: pg_upgrade rebuilds the catalogs and takes the files over in any case.

use strict;
use warnings;

use MilvusTable;
use MilvusTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = new_node('old', conf => 'milvus.background_seal = off');
my $bindir = $old->config_data('--bindir');
# the server under test is a copy beside the installed one: its programs are first in PATH
foreach my $dir (split /:/, $ENV{PATH})
{
	next unless -x "$dir/pg_upgrade" && -x "$dir/postgres";
	$bindir = $dir;
	last;
}
plan skip_all => 'there is no pg_upgrade' unless -x "$bindir/pg_upgrade";

make_pair($old);
fill_pair($old, 1, 3000);
is(flush($old), 1, 'sealed');
both($old, 'UPDATE TABLE SET a = a + 1 WHERE id % 50 = 0');
both($old, 'DELETE FROM TABLE WHERE id % 77 = 0');
$old->safe_psql('postgres', "ALTER TABLE $_ ADD COLUMN late text DEFAULT 'later'") foreach ('heap_rows', 'rows');
fill_pair($old, 3001, 4000);
is(flush($old), 1, 'sealed again');
$old->safe_psql('postgres', q{SELECT milvus.compact_table('rows')});
$old->safe_psql('postgres', q{SELECT milvus.alter_table_options('rows', '{"compression": "lz4"}')});

# a segment whose stubs are not written yet: the list of what is left travels along
fill_pair($old, 5001, 5500);
like(sql_state($old, q{SET milvus.debug_point = 'table-seal-committed:error'; SELECT milvus.flush_table('rows')}),
	qr/XX000/, 'sealing ended early');
is(unfinished_segments($old), 1, 'a segment is unfinished');
fill_pair($old, 6001, 6100);

load_clustered($old, rows => 2000, dim => 16);
load_clustered_queries($old, dim => 16);
$old->safe_psql('postgres', 'CREATE INDEX items_embedding ON items USING ann (embedding vector_l2_ops)');
insert_clustered($old, first => 2001, rows => 100, dim => 16);
$old->safe_psql('postgres', 'CREATE INDEX rows_v ON rows USING ann (v vector_l2_ops)');
is(table_problems($old), '', 'before: no problem');
$old->safe_psql('postgres', q{
	SELECT milvus.create_database('books', '{"timezone": "UTC"}'), milvus.create_collection('docs', 4, db_name => 'books');
	SELECT milvus.create_collection('docs', 4), milvus.create_partition('docs', 'one'), milvus.create_alias('docs', 'nick')});

# what is told of collections
sub told
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q{
		SELECT milvus.describe_collection(collection_name, db_name) - 'collection_id', milvus.list_indexes(collection_name, db_name => db_name)
			FROM milvus.collections ORDER BY db_name;
		SELECT * FROM milvus.aliases; SELECT * FROM milvus.partitions ORDER BY 1, 2, 3; SELECT milvus.describe_database('books')});
}
my $told = told($old);
like($told, qr/nick/, 'there is something to tell');
$old->stop;

sub upgrade
{
	my ($from, $name, @mode) = @_;
	my $to = PostgreSQL::Test::Cluster->new($name);

	$to->init;
	$to->append_conf('postgresql.conf', "autovacuum = off\nmilvus.background_seal = off");
	# pg_upgrade writes into the folder it is called from
	chdir $PostgreSQL::Test::Utils::tmp_check or die "chdir: $!";
	command_ok(
		[
			"$bindir/pg_upgrade", '--no-sync', @mode,
			'-d', $from->data_dir, '-D', $to->data_dir, '-b', $bindir, '-B', $bindir,
			'-s', $from->host, '-p', $from->port, '-P', $to->port
		],
		"$name: pg_upgrade");
	$to->start;
	is(told($to), $told, "$name: the same is told of collections");
	sound($to, $name);
	is($to->safe_psql('postgres', 'SELECT relation, options FROM milvus.table_option'), 'rows|{"compression": "lz4"}', "$name: options");
	is($to->safe_psql('postgres', 'SELECT count(*) FROM rows WHERE late = $$later$$'),
		$to->safe_psql('postgres', 'SELECT count(*) FROM heap_rows WHERE late = $$later$$'), "$name: a column added after sealing");
	is(unfinished_segments($to), 1, "$name: the segment is still unfinished");
	is(check_index($to, 'items_embedding'), '', "$name: index without problem");
	is(same_rows($to), '', "$name: every row once in the index");
	is(check_index($to, 'rows_v'), '', "$name: index of the milvus table without problem");
	return $to;
}

my $copied = upgrade($old, 'copied');
cmp_ok(flush($copied), '>=', 1, 'copied: sealed');
is(unfinished_segments($copied), 0, 'copied: nothing is unfinished');
both($copied, 'DELETE FROM TABLE WHERE id % 5 = 0');
$copied->safe_psql('postgres', 'VACUUM rows');
$copied->safe_psql('postgres', q{SELECT milvus.compact_table('rows')});
sound($copied, 'copied, changed and compacted');
$copied->safe_psql('postgres', q{SELECT milvus.compact_index('items_embedding')});
is(check_index($copied, 'items_embedding'), '', 'copied: index compacted');
is(same_rows($copied), '', 'copied: every row once in the compacted index');
$copied->stop;

my $linked = upgrade($old, 'linked', '--link');
cmp_ok(flush($linked), '>=', 1, 'linked: sealed');
sound($linked, 'linked, sealed');
$linked->stop;

done_testing();
