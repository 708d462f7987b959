# sqlsmith's random statements over a database full of our types and indexes: no server process dies,
# no error is an internal one of ours, and the indexes are whole afterwards.
#
# sqlsmith runs as the owner of the tables, who may insert, update and delete; not as a superuser,
# since functions that stop a server or write files would be called, too.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use MilvusTest;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'sqlsmith is not installed' if system('sqlsmith --version >/dev/null 2>&1') != 0;

my $statements = test_size(2000, 50000);
my $node = new_node('main', conf => "log_line_prefix = '%e '\nlog_error_verbosity = verbose\nrestart_after_crash = off\nfsync = off\nautovacuum = on\nautovacuum_naptime = 5s");

$node->safe_psql('postgres', q{
	CREATE ROLE smith LOGIN;
	CREATE DATABASE smith OWNER smith;
});
$node->safe_psql('smith', 'CREATE EXTENSION milvus');
$node->safe_psql('smith', <<'SQL', extra_params => [ '-U', 'smith' ]);
CREATE TABLE items (id int PRIMARY KEY, topic int, price float8, name text, made date, tags int[], words text[],
	v vector(8), h halfvec(8), b bfloat16vec(8), i int8vec(8), s sparsevec(8), bits bit(64), vs vector[]);
CREATE FUNCTION numbers(id int, n int) RETURNS real[] IMMUTABLE LANGUAGE sql AS
	'SELECT array_agg(((hashint4extended(id, d) % 1000) / 100.0)::real ORDER BY d) FROM generate_series(1, n) d';
CREATE FUNCTION point(id int) RETURNS vector IMMUTABLE LANGUAGE sql AS 'SELECT numbers(id, 8)::vector';
INSERT INTO items
	SELECT id, id % 7, id / 3.0, 'n' || id % 11, date '2026-01-01' + id, ARRAY[id % 3, id % 5], ARRAY['w' || id % 4],
		point(id), point(id)::halfvec, point(id)::bfloat16vec, point(id)::int8vec, point(id)::sparsevec,
		binary_quantize(numbers(id, 64)::vector)::bit(64), ARRAY[numbers(id, 3)::vector, numbers(id + 1, 3)::vector]
	FROM generate_series(1, 400) id;
INSERT INTO items (id) SELECT generate_series(401, 410);
-- a table for each index, so that the planner has nothing to choose
DO $$
DECLARE
	kind text[];
	n int := 0;
BEGIN
	FOREACH kind SLICE 1 IN ARRAY ARRAY[
		['v vector_l2_ops', '<->', '', 'topic, price, name, made, tags, words'],
		['v vector_cosine_ops', '<=>', 'index_type = ''HNSW'', m = 4', 'topic, tags'],
		['v vector_ip_ops', '<#>', 'index_type = ''IVF_FLAT'', nlist = 8', 'name'],
		['v vector_l1_ops', '<+>', 'index_type = ''FLAT''', 'words, price'],
		['v vector_l2_ops', '<->', 'index_type = ''IVF_SQ8'', nlist = 8', ''],
		['v vector_l2_ops', '<->', 'index_type = ''IVF_PQ'', nlist = 8, pq_m = 4', 'topic'],
		['v vector_cosine_ops', '<=>', 'index_type = ''IVF_RABITQ'', nlist = 8', 'topic, made'],
		['v vector_l2_ops', '<->', 'index_type = ''SCANN'', nlist = 8', ''],
		['h halfvec_l2_ops', '<->', 'index_type = ''HNSW_SQ'', sq_type = ''SQ6'', m = 4', 'topic'],
		['h halfvec_ip_ops', '<#>', 'index_type = ''HNSW_PQ'', pq_m = 4, m = 4', ''],
		['b bfloat16vec_cosine_ops', '<=>', 'index_type = ''HNSW_PRQ'', pq_m = 4, m = 4', ''],
		['b bfloat16vec_l2_ops', '<->', 'index_type = ''HNSW'', compact = true, m = 4', 'price, tags'],
		['i int8vec_l2_ops', '<->', 'index_type = ''FLAT'', compact = true', 'topic'],
		['i int8vec_cosine_ops', '<=>', '', ''],
		['bits bit_hamming_ops', '<~>', 'index_type = ''BIN_IVF_FLAT'', nlist = 8', 'topic'],
		['bits bit_jaccard_ops', '<%>', 'index_type = ''HNSW'', m = 4', 'name'],
		['bits bit_hamming_ops', '<~>', 'index_type = ''MINHASH_LSH'', mh_lsh_band = 2, mh_element_bit_width = 8', '']]
	LOOP
		n := n + 1;
		EXECUTE format('CREATE TABLE items_%s (LIKE items INCLUDING INDEXES)', n);
		EXECUTE format('CREATE INDEX items_%s_ann ON items_%s USING ann (%s%s)%s', n, n, kind[1],
			CASE WHEN kind[4] <> '' THEN ', ' || kind[4] ELSE '' END,
			CASE WHEN kind[3] <> '' THEN ' WITH (' || kind[3] || ')' ELSE '' END);
		EXECUTE format('INSERT INTO items_%s SELECT * FROM items WHERE id %% 10 < 8', n);
		EXECUTE format('SELECT milvus.seal_index(''items_%s_ann'')', n);
		EXECUTE format('INSERT INTO items_%s SELECT * FROM items WHERE id %% 10 >= 8', n);
		EXECUTE format('CREATE VIEW near_%s AS SELECT *, %s %s (SELECT %s FROM items WHERE id = %s) AS distance
			FROM items_%s ORDER BY %s %s (SELECT %s FROM items WHERE id = %s) LIMIT 30',
			n, split_part(kind[1], ' ', 1), kind[2], split_part(kind[1], ' ', 1), n, n,
			split_part(kind[1], ' ', 1), kind[2], split_part(kind[1], ' ', 1), n);
		EXECUTE format('CREATE VIEW near_filtered_%s AS SELECT * FROM items_%s
			WHERE topic IN (1, 3, 4) AND (tags && ''{1}'' OR price < 60) AND name >= ''n3''
			ORDER BY %s %s (SELECT %s FROM items WHERE id = %s) LIMIT 30',
			n, n, split_part(kind[1], ' ', 1), kind[2], split_part(kind[1], ' ', 1), n + 20);
		EXECUTE format('CREATE FUNCTION near_%s(topics int, k int) RETURNS SETOF int STABLE LANGUAGE sql AS
			''SELECT id FROM items_%s WHERE topic = topics ORDER BY %s %s (SELECT %s FROM items WHERE id = 3) LIMIT k %% 100''',
			n, n, split_part(kind[1], ' ', 1), kind[2], split_part(kind[1], ' ', 1));
	END LOOP;
END $$;
CREATE VIEW sums AS SELECT topic, sum(v) AS sv, avg(v) AS av, sum(h) AS sh, avg(b) AS ab, sum(i) AS si, sum(s) AS ss FROM items GROUP BY topic;
SQL
# no plan but that by an index; statements that join everything with everything end
$node->safe_psql('smith', q{
	ALTER ROLE smith SET enable_seqscan = off;
	ALTER ROLE smith SET enable_sort = off;
	ALTER ROLE smith SET jit = off;
	ALTER ROLE smith SET statement_timeout = '500ms';
});

my $views = $node->safe_psql('smith', q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'v' AND relname LIKE 'near_%'});
my $host = $node->host;
my $port = $node->port;
my $status = system("sqlsmith --target='host=$host port=$port dbname=smith user=smith' --seed=1 --exclude-catalog "
	  . "--max-queries=$statements >$PostgreSQL::Test::Utils::log_path/sqlsmith 2>&1");
is($status, 0, "sqlsmith's $statements statements");
is($node->safe_psql('postgres', 'SELECT 1'), 1, 'the server is there');

my $log = slurp_file($node->logfile);
unlike($log, qr/TRAP:|PANIC|terminated by signal/, 'no process died');

# Internal errors: corruption, or raised by this extension.  (PostgreSQL has some of its own for made-up
# arguments.)
my $sources = join '|', map { quotemeta basename($_) } glob(dirname(__FILE__) . '/../../src/*.c ' . dirname(__FILE__) . '/../../src/*/*.c '
	  . dirname(__FILE__) . '/../../src/*/*/*.c');
my @internal;
while ($log =~ /^XX(\d{3}) ERROR: (.*?)^XX\d{3} LOCATION:\s*\w+, ([\w.]+):\d+/msg)
{
	push @internal, "$2 ($3)" if $1 ne '000' || $3 =~ /^(?:$sources)$/;
}
is(join("\n", @internal), '', 'no internal error');

# it did reach the indexes, and changed their tables
my $unused = $node->safe_psql('smith', q{SELECT string_agg(indexrelname, ' ') FROM pg_stat_user_indexes WHERE indexrelname LIKE '%_ann' AND idx_scan = 0});
is($unused, '', 'every index was scanned');
cmp_ok($node->safe_psql('smith', 'SELECT sum(n_tup_upd) FROM pg_stat_user_tables'), '>', 1000, 'rows were updated');

foreach my $view (split / /, $views)
{
	next if $view =~ /filtered/;
	my $index = $view =~ s/near_(\d+)/items_$1_ann/r;
	is(check_index($node, $index, dbname => 'smith'), '', "$index is whole");
}

done_testing();
