# Milvus tables and their options through pg_dump and restore (plain, and with parallel jobs),
# CREATE DATABASE with both strategies, and a publication FOR ALL TABLES: rows arrive, options go with dump and
# copy, and a subscriber without the extension gets the rows alone.

use strict;
use warnings;

use MilvusTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main',
	init => [ allows_streaming => 'logical' ],
	conf => 'max_worker_processes = 12');
my $options = '{"compression": "lz4", "segment_rows": 2000}';
$node->safe_psql('postgres', qq{
	CREATE TABLE docs (id int PRIMARY KEY, topic int, body text) USING milvus;
	INSERT INTO docs SELECT i, i % 7, repeat('body ' || i || ' ', 20) FROM generate_series(1, 5000) i;
	SELECT milvus.alter_table_options('docs', '$options')});
$node->safe_psql('postgres', q{SELECT milvus.flush_table('docs')});
$node->safe_psql('postgres', q{UPDATE docs SET topic = -1 WHERE id % 100 = 0; DELETE FROM docs WHERE id % 100 = 1});

my $rows = 'SELECT count(*), sum(id), sum(topic), md5(string_agg(body, $$$$ ORDER BY id)) FROM docs';
my $expected = $node->safe_psql('postgres', $rows);

sub same
{
	my ($database, $what) = @_;
	is($node->safe_psql($database, $rows), $expected, "$what: rows");
	is($node->safe_psql($database, 'SELECT relation, options FROM milvus.table_option'), "docs|$options", "$what: options");
	is($node->safe_psql($database, q{SELECT * FROM milvus.check_table('docs')}), '', "$what: no problem");
	return;
}

my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', "$dump.sql" ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dump.sql" ], 'restored');
same('plain', 'plain dump');
$node->command_ok([ 'pg_dump', '-Fd', '-d', $node->connstr('postgres'), '-f', "$dump.dir" ], 'pg_dump -Fd');
$node->safe_psql('postgres', 'CREATE DATABASE jobs');
$node->command_ok([ 'pg_restore', '-j', '3', '--exit-on-error', '-d', $node->connstr('jobs'), "$dump.dir" ], 'pg_restore -j');
same('jobs', 'parallel restore');
$node->safe_psql('jobs', q{SELECT milvus.flush_table('docs')});
same('jobs', 'restored and sealed');
ok($node->safe_psql('jobs', q{SELECT count(*) > 1 FROM milvus.table_segments('docs')}) eq 't', 'by its options');

foreach my $strategy ('wal_log', 'file_copy')
{
	$node->safe_psql('template1', "CREATE DATABASE copy_$strategy TEMPLATE postgres STRATEGY $strategy");
	same("copy_$strategy", $strategy);
	$node->safe_psql("copy_$strategy", q{SELECT milvus.flush_table('docs'); SELECT milvus.compact_table('docs')});
	same("copy_$strategy", "$strategy, compacted");
}
same('postgres', 'the template');

# a subscriber that has no extension
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE TABLE docs (id int PRIMARY KEY, topic int, body text)');
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
is($node->safe_psql('postgres', q{SELECT string_agg(schemaname || '.' || tablename, ',') FROM pg_publication_tables}),
	'public.docs', 'only the table of the user is published');
$subscriber->safe_psql('postgres', sprintf(
	q{CREATE SUBSCRIPTION all_of_it CONNECTION '%s' PUBLICATION everything}, $node->connstr('postgres') =~ s/'/''/gr));
$subscriber->wait_for_subscription_sync($node, 'all_of_it');
is($subscriber->safe_psql('postgres', $rows), $expected, 'the first copy has the rows');
$node->safe_psql('postgres', q{SELECT milvus.alter_table_options('docs', '{"segment_rows": 3000}')});
$node->safe_psql('postgres', q{UPDATE docs SET topic = 100 WHERE id % 10 = 3; DELETE FROM docs WHERE id % 10 = 4});
$node->safe_psql('postgres', q{SELECT milvus.flush_table('docs')});
$node->safe_psql('postgres', q{SELECT milvus.compact_table('docs', 'sort')});
$node->safe_psql('postgres', q{UPDATE docs SET body = 'new' WHERE id % 10 = 5});
$node->wait_for_catchup('all_of_it');
is($subscriber->safe_psql('postgres', $rows), $node->safe_psql('postgres', $rows), 'changes of sealed rows arrive');

# nothing is left of the extension
$node->safe_psql('plain', 'DROP EXTENSION milvus CASCADE');
is($node->safe_psql('plain', q{SELECT count(*) FROM pg_seclabel}), 0, 'no label is left');
is($node->safe_psql('plain', q{SELECT count(*) FROM pg_class WHERE relname = 'docs'}), 0, 'and no table');

done_testing();
