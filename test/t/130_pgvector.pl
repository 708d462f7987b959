# Dump and restore of what enable_pgvector() and enable_pgvector_syntax() made, with the
# indexes that use it; a dump of pgvector's own tables into a database with our types; sealing
# in the background and a crash under indexes in pgvector's syntax.

use strict;
use warnings;

use MilvusTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', conf => "hnsw.ef_search = 77\nmilvus.growing_rows = 500");
my $dumps = PostgreSQL::Test::Utils::tempdir();
my $has_pgvector = $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'");

# What a database says of the indexes of table items.
my $INDEXES = q{
	SELECT relname, amname, pg_get_indexdef(indexrelid), indisvalid
	FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam
	WHERE indrelid = 'items'::regclass AND amname IN ('ann', 'hnsw', 'ivfflat') ORDER BY relname};

# restored($from, $to, $edit): dumps a database as SQL and restores it into another, whose
# text went through $edit; dies on an error of the restore.
sub restored
{
	my ($from, $to, $edit) = @_;
	my $file = "$dumps/$from.sql";
	$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr($from) ], "$from is dumped");
	my $sql = slurp_file($file);
	$sql = $edit->($sql) if defined $edit;
	open(my $out, '>', $file) or die $!;
	print $out $sql;
	close $out;
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr($to) ],
		"it is restored into $to");
	return;
}

# pgvector's syntax
$node->safe_psql('postgres', 'SELECT milvus.enable_pgvector_syntax()');
load_clustered($node, rows => 1500, dim => 16);
load_clustered_queries($node, dim => 16);
$node->safe_psql('postgres', q{
	CREATE INDEX items_hnsw ON items USING hnsw (embedding vector_l2_ops) WITH (m = 12, ef_construction = 80);
	CREATE INDEX items_ivfflat ON items USING ivfflat (embedding) WITH (lists = 12);
	CREATE INDEX items_half ON items USING hnsw ((embedding::halfvec(16)) halfvec_cosine_ops);
});
is($node->safe_psql('postgres', q{SET enable_seqscan = off;
		SELECT count(*) FROM (SELECT id FROM items ORDER BY embedding::halfvec(16) <=> (SELECT embedding::halfvec(16) FROM queries WHERE id = 1) LIMIT 1000) t}),
	'77', 'hnsw.ef_search of postgresql.conf counts');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
restored('postgres', 'copy');
is($node->safe_psql('copy', $INDEXES), $node->safe_psql('postgres', $INDEXES), 'the same indexes are there');
is(check_index($node, $_, dbname => 'copy'), '', "$_ of the copy is sound") foreach qw(items_hnsw items_ivfflat items_half);
is(index_used($node, 'SELECT id FROM items ORDER BY embedding::halfvec(16) <=> (SELECT embedding::halfvec(16) FROM queries LIMIT 1) LIMIT 5', dbname => 'copy',
		settings => 'SET enable_seqscan = off;'),
	'items_half', 'and are used');
is($node->safe_psql('copy', 'SELECT count(*) FROM milvus.enable_pgvector_syntax()'), '0', 'the copy knows that the syntax is there');

# the custom format, restored by several processes
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dumps/custom", $node->connstr('postgres') ], 'a dump in the custom format');
$node->safe_psql('postgres', 'CREATE DATABASE parallel TEMPLATE template0');
$node->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', $node->connstr('parallel'), "$dumps/custom" ], 'is restored by two processes');
is($node->safe_psql('parallel', $INDEXES), $node->safe_psql('postgres', $INDEXES), 'with the same indexes');

# inserts past the limit start the background worker for such an index, too
insert_clustered($node, first => 2001, rows => 1000, dim => 16);
ok($node->poll_query_until('postgres', q{SELECT bool_and(s.growing_rows < 500)
		FROM unnest('{items_hnsw,items_ivfflat,items_half}'::regclass[]) i, milvus.index_stats(i) s}),
	'growing parts are sealed in the background');
insert_clustered($node, first => 4001, rows => 100, dim => 16);
$node->stop('immediate');
$node->start;
is(check_index($node, $_), '', "$_ is sound after a crash") foreach qw(items_hnsw items_ivfflat items_half);
$node->safe_psql('postgres', 'DROP INDEX items_ivfflat');
cmp_ok(recall($node, table => 'items', operator => '<->'), '>=', 0.95, 'recall of hnsw');

SKIP:
{
	skip 'pgvector is not installed', 1 if !$has_pgvector;

	# ann on pgvector's columns
	$node->safe_psql('postgres', 'CREATE DATABASE theirs TEMPLATE template0');
	$node->safe_psql('theirs', q{
		CREATE EXTENSION vector;
		CREATE SCHEMA ann;
		CREATE EXTENSION milvus SCHEMA ann;
		SELECT milvus.enable_pgvector();
		CREATE TABLE items (id int PRIMARY KEY, v vector(4), h halfvec(4), own ann.vector(4));
		INSERT INTO items SELECT i, a, a, a FROM generate_series(1, 1000) i,
			LATERAL (SELECT ARRAY[sin(i), cos(i), sin(i * 0.7), cos(i * 0.3)]::real[]) r(a);
		CREATE INDEX items_v ON items USING ann (v);
		CREATE INDEX items_h ON items USING ann (h halfvec_ip_ops) WITH (index_type = 'FLAT');
		CREATE INDEX items_own ON items USING ann (own ann.vector_l1_ops);
		CREATE INDEX items_theirs ON items USING hnsw (v vector_cosine_ops) WITH (m = 8);
	});
	$node->safe_psql('postgres', 'CREATE DATABASE theirs_copy TEMPLATE template0');
	restored('theirs', 'theirs_copy');
	is($node->safe_psql('theirs_copy', $INDEXES), $node->safe_psql('theirs', $INDEXES), 'the same indexes are there');
	is(check_index($node, $_, dbname => 'theirs_copy'), '', "$_ of the copy is sound") foreach qw(items_v items_h items_own);
	is($node->safe_psql('theirs_copy', 'SELECT count(*) FROM milvus.enable_pgvector()'), '0', 'the copy has the operator classes');

	# a dump of a database of pgvector's goes into one of ours
	$node->safe_psql('postgres', 'CREATE DATABASE only_theirs TEMPLATE template0');
	$node->safe_psql('only_theirs', q{
		CREATE EXTENSION vector;
		CREATE TABLE items (id int PRIMARY KEY, v vector(4), h halfvec(4));
		INSERT INTO items SELECT i, a, a FROM generate_series(1, 1000) i,
			LATERAL (SELECT ARRAY[sin(i), cos(i), sin(i * 0.7), cos(i * 0.3)]::real[]) r(a);
		CREATE INDEX items_v ON items USING hnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 32);
		CREATE INDEX items_l1 ON items USING hnsw (v vector_l1_ops);
		CREATE INDEX items_lists ON items USING ivfflat (v) WITH (lists = 8);
		CREATE INDEX items_h ON items USING ivfflat (h halfvec_cosine_ops) WITH (lists = 8);
	});
	$node->safe_psql('postgres', 'CREATE DATABASE ours TEMPLATE template0');
	$node->safe_psql('ours', 'CREATE EXTENSION milvus; SELECT milvus.enable_pgvector_syntax()');
	restored('only_theirs', 'ours', sub { $_[0] =~ s/^(CREATE|COMMENT ON) EXTENSION .*$//mgr });
	is($node->safe_psql('ours', $INDEXES), $node->safe_psql('only_theirs', $INDEXES), 'the same indexes are there');
	is($node->safe_psql('ours', 'SELECT id, v, h FROM items ORDER BY id'),
		$node->safe_psql('only_theirs', 'SELECT id, v, h FROM items ORDER BY id'), 'and the same rows');
	is(check_index($node, $_, dbname => 'ours'), '', "$_ is sound") foreach qw(items_v items_l1 items_lists items_h);
}

done_testing();
