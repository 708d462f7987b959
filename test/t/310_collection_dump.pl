# Collections through pg_dump and restore (plain, and with parallel jobs), pg_dump of one schema, a publication
# FOR ALL TABLES, and ALTER EXTENSION UPDATE: what is told of them is the same, and nothing but rows is published.

use strict;
use warnings;

use MilvusTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main',
	init => [ allows_streaming => 'logical' ],
	conf => 'max_worker_processes = 12');
$node->safe_psql('postgres', q{
	SELECT milvus.create_database('books', '{"timezone": "UTC"}');
	SELECT milvus.create_collection('docs', 4, description => 'it''s', properties => '{"collection.ttl.seconds": 100000}');
	SELECT milvus.create_partition('docs', 'one'), milvus.create_alias('docs', 'nick');
	SELECT milvus.create_index('docs', '{"field_name": "$meta", "index_name": "color", "index_type": "INVERTED",
		"params": {"json_path": "color", "json_cast_type": "varchar"}}');
	SELECT milvus.create_collection('things', db_name => 'books', num_partitions => 4, consistency_level => 'Strong', schema => format('{"fields": [
		{"name": "id", "type": "VARCHAR", "params": {"max_length": 20}, "is_primary": true, "auto_id": true},
		{"name": "%s", "type": "INT8", "default_value": 3},
		{"name": "tenant", "type": "INT64", "is_partition_key": true},
		{"name": "words", "type": "ARRAY", "element_type": "VARCHAR", "params": {"max_length": 5, "max_capacity": 3}, "nullable": true},
		{"name": "v", "type": "BINARY_VECTOR", "params": {"dim": 16}},
		{"name": "sp", "type": "SPARSE_FLOAT_VECTOR"}],
		"struct_fields": [{"name": "parts", "max_capacity": 2, "fields": [{"name": "w", "type": "FLOAT_VECTOR", "params": {"dim": 2}}]}],
		"functions": [{"name": "f", "type": "BM25", "input_field_names": ["id"], "output_field_names": ["sp"]}]}', repeat('long', 20))::jsonb,
		index_params => '[{"field_name": "v", "index_type": "BIN_FLAT"}, {"field_name": "sp", "index_type": "SPARSE_INVERTED_INDEX"},
			{"field_name": "parts[w]", "metric_type": "MAX_SIM_IP"}, {"field_name": "words", "index_type": "BITMAP"}]');
	INSERT INTO docs (id, vector, "$partition") SELECT i, '[1,2,3,4]', i % 2 FROM generate_series(1, 10) i;
	INSERT INTO books.things (tenant, v, sp, "parts[w]") SELECT i, i::bit(16), '{1:1}/5', '{"[1,2]"}' FROM generate_series(1, 10) i;
	CREATE TABLE plain (id int PRIMARY KEY, v vector(2));
	SELECT milvus.attach_collection('plain');
	SET milvus.default_storage = heap;
	SELECT milvus.create_collection('onheap', 4)});

# all that is told, without what differs by nature
sub told
{
	my ($database) = @_;
	# rows of scalar indexes are the planner's estimate
	$node->safe_psql($database, 'ANALYZE');
	return $node->safe_psql($database, q{
		SELECT db_name, collection_name, milvus.describe_collection(collection_name, db_name) - 'collection_id',
			(SELECT jsonb_agg(to_jsonb(i)) FROM milvus.collection_indexes(collection_name, db_name) i),
			(SELECT row_count FROM milvus.get_collection_stats(collection_name, db_name))
			FROM milvus.collections ORDER BY 1, 2;
		SELECT db_name, collection_name, partition_name, load_state FROM milvus.partitions ORDER BY 1, 2, 3;
		SELECT * FROM milvus.aliases ORDER BY 1, 2;
		SELECT milvus.describe_database(d) FROM milvus.list_databases() d});
}

my $expected = told('postgres');
is(scalar(split(/^/, $expected)), 4 + 2 + 4 + 2 + 1 + 2, 'there is something to tell');

my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump";
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', "$dump.sql" ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dump.sql" ], 'restored');
is(told('plain'), $expected, 'plain dump: the same is told');
is($node->safe_psql('plain', q{INSERT INTO books.things (tenant, v, sp, "parts[w]") VALUES (1, B'1'::bit(16), '{1:1}/5', '{"[1,2]"}') RETURNING id}),
	11, 'plain dump: keys go on');

$node->command_ok([ 'pg_dump', '-Fd', '-d', $node->connstr('postgres'), '-f', "$dump.dir" ], 'pg_dump -Fd');
$node->safe_psql('postgres', 'CREATE DATABASE jobs');
$node->command_ok([ 'pg_restore', '-j', '3', '--exit-on-error', '-d', $node->connstr('jobs'), "$dump.dir" ], 'pg_restore -j');
is(told('jobs'), $expected, 'parallel restore: the same is told');

# one schema, into a database that has the extension already, in a session that has not used it
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-n', 'books', '-f', "$dump.books.sql" ], 'pg_dump of a schema');
$node->safe_psql('postgres', 'CREATE DATABASE part');
$node->safe_psql('part', 'CREATE EXTENSION milvus');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('part'), '-f', "$dump.books.sql" ], 'a schema restored');
is($node->safe_psql('part', q{SELECT db_name, collection_name FROM milvus.collections; SELECT milvus.describe_database('books')}),
	qq(books|things\n{"name": "books", "timezone": "UTC"}), 'a schema: its collections come along');

# a copy of the database
$node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
is(told('copy'), $expected, 'CREATE DATABASE: the same is told');

# what is published are the rows of collections, and no table of the extension
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
is($node->safe_psql('postgres', 'SELECT schemaname, tablename FROM pg_publication_tables ORDER BY 1, 2'),
	"books|things\npublic|docs\npublic|onheap\npublic|plain", 'only collections are published');
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('changes', 'test_decoding')});
$node->safe_psql('postgres', q{SELECT milvus.release_collection('docs'), milvus.load_collection('docs'), milvus.create_partition('docs', 'two'),
	milvus.create_alias('docs', 'other'), milvus.alter_collection_properties('docs', '{"x": 1}')});
is($node->safe_psql('postgres', q{SELECT data FROM pg_logical_slot_get_changes('changes', NULL, NULL) WHERE data !~ '^(BEGIN|COMMIT)'}),
	'', 'changes of definitions are not decoded');

# an update of the extension, by a script that makes all its functions and views anew
my $folder = $node->config_data('--sharedir') . '/extension';
SKIP:
{
	skip 'the folder of extensions may not be written', 5 unless -w $folder;
	my $version = $node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'milvus'});
	my $script = "$folder/milvus--$version--$version.next.sql";
	append_to_file($script, $node->safe_psql('postgres', q{
		SELECT coalesce(pg_get_functiondef(p.oid) || ';', 'CREATE OR REPLACE VIEW ' || c.oid::regclass || ' AS ' || pg_get_viewdef(c.oid))
		FROM pg_depend d
		LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid AND p.prokind IN ('f', 'p')
		LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind = 'v'
		WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND COALESCE(p.oid, c.oid) IS NOT NULL
			AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'milvus')}));
	my $before = told('plain');
	my ($rc, $out, $err) = $node->psql('plain', "ALTER EXTENSION milvus UPDATE TO '$version.next'");
	unlink $script;
	is($err, '', 'the extension is updated');
	is($node->safe_psql('plain', q{SELECT extversion FROM pg_extension WHERE extname = 'milvus'}), "$version.next", 'to the next version');
	is(told('plain'), $before, 'update: the same is told');
	is($node->safe_psql('plain', q{SELECT count(*) FROM milvus.search('docs', '[[1,2,3,4]]', "limit" => 10)}), 10, 'update: collections are searched');
	is($node->safe_psql('plain', q{INSERT INTO books.things (tenant, v, sp, "parts[w]") VALUES (1, B'1'::bit(16), '{1:1}/5', '{"[1,2]"}') RETURNING id}),
		12, 'update: keys go on');
}

$node->stop;
done_testing();
