# Clients that insert, update, delete and search while workers seal, and others
# merge and vacuum: no search meets an error or an answer that cannot be, the
# growing part stays bounded, and in the end the index is sound and answers as
# exact search.  Then, at rest: blocks that merges free are used again.

use strict;
use warnings;

use MilvusTest;
use Test::More;

random_seed(90);
my $node = new_node('main', conf => qq{
	milvus.growing_rows = 150
	max_worker_processes = 16
	autovacuum = on
	autovacuum_naptime = 1
	autovacuum_vacuum_scale_factor = 0.01
	autovacuum_vacuum_threshold = 50});
my %types = (flat_items => 'FLAT', hnsw_items => 'HNSW', ivf_items => 'IVF_FLAT');
load_clustered_queries($node, dim => 16);
foreach my $table (sort keys %types)
{
	load_clustered($node, table => $table, rows => 1000, dim => 16);
	$node->safe_psql('postgres',
		"CREATE INDEX ${table}_embedding ON $table USING ann (embedding vector_l2_ops, id)
			WITH (index_type = '$types{$table}', m = 8, ef_construction = 40, nlist = 8)");
}

# A session's own row is found by the next statement of its transaction, and after
# it; its vector lies apart, so that it is the nearest to itself.  Rows come in
# order and none twice.  Any violation is a division by zero, which pgbench reports.
my %scripts = (
	own => q{
		\set id random(1000000, 2000000000)
		\set keep random(1, 4)
		SET enable_seqscan = off; SET enable_sort = off; SET jit = off;
		BEGIN;
		INSERT INTO TABLE SELECT :id, 0, row_vector(:id, 16)::vector ON CONFLICT DO NOTHING;
		SELECT 1 / count(*) FROM (SELECT id FROM TABLE ORDER BY embedding <-> row_vector(:id, 16)::vector LIMIT 3) s WHERE id = :id;
		END;
		SELECT 1 / count(*) FROM (SELECT id FROM TABLE ORDER BY embedding <-> row_vector(:id, 16)::vector LIMIT 3) s WHERE id = :id;
		BEGIN;
		DELETE FROM TABLE WHERE id = :id;
		SELECT 1 / (1 - count(*)) FROM (SELECT id FROM TABLE ORDER BY embedding <-> row_vector(:id, 16)::vector LIMIT 3) s WHERE id = :id;
		\if :keep = 1
			ROLLBACK;
		\else
			COMMIT;
		\endif
	},
	change => q{
		\set id random(1, 1000)
		UPDATE TABLE SET grp = grp + 1, embedding = row_vector(id + 1000000 * (grp % 5), 16)::vector WHERE id = :id;
		BEGIN;
		DELETE FROM TABLE WHERE id = :id;
		ROLLBACK;
	},
	search => q{
		\set q random(1, 20)
		SET enable_seqscan = off; SET enable_sort = off; SET jit = off;
		SELECT 1 / (count(*) = 200 AND count(DISTINCT id) = 200 AND bool_and(d >= coalesce(before, d)))::int
			FROM (SELECT id, d, lag(d) OVER () AS before
				FROM (SELECT id, embedding <-> (SELECT embedding FROM queries WHERE id = :q) AS d FROM TABLE
					ORDER BY embedding <-> (SELECT embedding FROM queries WHERE id = :q) LIMIT 200) s) s;
	},
	maintain => q{
		\set what random(1, 3)
		\if :what = 1
			SELECT milvus.seal_index('TABLE_embedding');
		\elif :what = 2
			SELECT milvus.compact_index('TABLE_embedding');
		\else
			VACUUM TABLE;
		\endif
		\sleep 50 ms
	});

my @loads;
foreach my $table (sort keys %types)
{
	my @files;
	foreach my $name (sort keys %scripts)
	{
		my $file = $node->basedir . "/$table-$name.pgbench";
		PostgreSQL::Test::Utils::append_to_file($file, $scripts{$name} =~ s/TABLE/$table/gr);
		push @files, '-f', $file . ($name eq 'maintain' ? '@1' : '@5');
	}
	my ($out, $err) = ('', '');
	push @loads, { out => \$out, err => \$err, run => IPC::Run::start(
		[ 'pgbench', '-n', '-c', '3', '-T', test_size(15, 120), @files, '-h', $node->host, '-p', $node->port, 'postgres' ],
		'>', \$out, '2>', \$err) };
}
# inserts alone, without anybody's help but the workers'
load_clustered($node, table => 'grown', rows => 1, dim => 16);
$node->safe_psql('postgres', q{
	ALTER TABLE grown SET (autovacuum_enabled = off);
	CREATE INDEX grown_embedding ON grown USING ann (embedding vector_l2_ops) WITH (index_type = 'FLAT')});
my $most = 0;
foreach my $round (1 .. 30)
{
	insert_clustered($node, table => 'grown', first => 100 * $round, rows => 100, dim => 16);
	my $growing = index_stat($node, 'grown_embedding', 'growing_rows');
	$most = $growing if $growing > $most;
}
foreach my $load (@loads)
{
	$load->{run}->finish;
	unlike(${ $load->{err} }, qr/ERROR|FATAL|PANIC|aborted/, 'no client met an error') or diag(${ $load->{err} });
	like(${ $load->{out} }, qr/number of transactions actually processed: [1-9]\d\d/, 'clients did their work');
}
# an inserter seals by itself at four times the limit; one page more may be added
cmp_ok($most, '<=', 4 * 150 + 112 + 100, 'the growing part stays bounded');
cmp_ok(index_stat($node, 'grown_embedding', 'segments'), '>', 0, 'rows were sealed without being asked for');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile),
	qr/PANIC|TRAP|terminated by signal|damaged|vanished/, 'nothing died or was found damaged');

$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->reload;
foreach my $table (sort(keys %types), 'grown')
{
	is(check_index($node, "${table}_embedding"), '', "$table: no problem");
	is(same_rows($node, table => $table), '', "$table: every row once");
	cmp_ok(recall($node, table => $table, operator => '<->'), '>=', 0.9, "$table: recall");
}
is(same_as_exact($node, table => 'flat_items', operator => '<->'), '', 'FLAT answers as exact search');
$node->safe_psql('postgres', "VACUUM $_") foreach sort keys %types;
is(check_index($node, "${_}_embedding"), '', "$_: no problem after VACUUM") foreach sort keys %types;

# ---- reuse ----

# Rounds at which rows come and as many go: the file reaches a size and keeps it.
$node->safe_psql('postgres', 'DROP TABLE grown');
load_clustered($node, table => 'grown', rows => 1000, dim => 16);
$node->safe_psql('postgres', 'CREATE INDEX grown_embedding ON grown USING ann (embedding vector_l2_ops)');
my @sizes;
foreach my $round (1 .. 12)
{
	insert_clustered($node, table => 'grown', first => 1000 * $round + 1, rows => 200, dim => 16);
	$node->safe_psql('postgres', "DELETE FROM grown WHERE id IN (SELECT id FROM grown ORDER BY id LIMIT 200)");
	$node->safe_psql('postgres', 'VACUUM grown');
	$node->safe_psql('postgres', "SELECT milvus.compact_index('grown_embedding')");
	push @sizes, index_stat($node, 'grown_embedding', 'bytes');
}
cmp_ok($sizes[11], '<=', $sizes[5], 'twelve rounds take no more room than six') or diag("@sizes");
is(check_index($node, 'grown_embedding'), '', 'reuse: no problem');
is(same_rows($node, table => 'grown'), '', 'reuse: every row once');

# Blocks that became free at different times are given out together: what two merges left
# apart is room for the rows that come next.
$node->safe_psql('postgres', 'DROP TABLE grown');
load_clustered($node, table => 'grown', rows => 2000, dim => 128);
$node->safe_psql('postgres', q{CREATE INDEX grown_embedding ON grown USING ann (embedding vector_l2_ops)
	WITH (index_type = 'FLAT')});
@sizes = ();
my $free;
my $seal = q{SELECT milvus.seal_index('grown_embedding')};
foreach my $step ([ 1165, 300, 'VACUUM grown' ], [ 241, 500, $seal ], [ 967, 700, 'VACUUM grown' ],
	[ 999, 100, $seal ], [ 886, 700, 'VACUUM grown' ])
{
	my ($first, $rows, $then) = @$step;
	$free = index_stat($node, 'grown_embedding', 'free_bytes');
	$node->safe_psql('postgres', qq{SET milvus.growing_rows = 1000000;
		UPDATE grown SET embedding = (SELECT array_agg(x + 0.001) FROM unnest(embedding::real[]) x)::real[]::vector
			WHERE (id + $first) % 2000 < $rows;
		$then});
	push @sizes, index_stat($node, 'grown_embedding', 'bytes');
}
cmp_ok($free, '>', 2 * 700 * 4 * 128, 'reuse: there is room for the last rows');
is($sizes[4], $sizes[3], 'reuse: the last rows take it') or diag("@sizes");
is(check_index($node, 'grown_embedding'), '', 'reuse of joined runs: no problem');
is(same_rows($node, table => 'grown', queries => 'grown'), '', 'reuse of joined runs: every row once');

done_testing();
