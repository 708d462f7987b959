# Recall gates: every index type × metric × selectivity of a condition on a scalar column in the
# index, at the default settings; and milvus.target_recall kept on queries that the calibration
# did not see.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my %operators = (l2 => '<->', ip => '<#>', cosine => '<=>', hamming => '<~>', jaccard => '<%>');
my $rows = test_size(3000, 20000);
my $queries = test_size(20, 100);
my $dim = 24;
my @float_metrics = ('l2', 'ip', 'cosine');
my @bit_metrics = ('hamming', 'jaccard');
# share of rows that a condition on the column "share" lets through
my @selectivities = (1, 0.5, 0.1, 0.01);

# options, column type, recall of the 10 nearest that the default settings must reach at every selectivity
my @kinds = (
	[ "index_type = 'AUTOINDEX'", 'vector', 0.99 ],
	[ "index_type = 'FLAT'", 'vector', 1 ],
	[ "index_type = 'FLAT', compact = true", 'vector', 1 ],
	[ "index_type = 'HNSW', m = 16, ef_construction = 100", 'vector', 0.99 ],
	[ "index_type = 'HNSW', m = 16, ef_construction = 100, compact = true", 'vector', 0.99 ],
	[ "index_type = 'HNSW_SQ', sq_type = 'SQ8', m = 16, ef_construction = 100", 'vector', 0.99 ],
	[ "index_type = 'HNSW_SQ', sq_type = 'SQ6', m = 16, ef_construction = 100", 'vector', 0.99 ],
	[ "index_type = 'HNSW_SQ', sq_type = 'SQ4U', m = 16, ef_construction = 100, refine = true, refine_type = 'FP16'", 'vector', 0.98 ],
	[ "index_type = 'HNSW_PQ', pq_m = 12, m = 16, ef_construction = 100", 'vector', 0.98 ],
	[ "index_type = 'HNSW_PRQ', pq_m = 6, nrq = 2, m = 16, ef_construction = 100", 'vector', 0.98 ],
	[ "index_type = 'IVF_FLAT', nlist = 32", 'vector', 0.97 ],
	[ "index_type = 'IVF_SQ8', nlist = 32", 'vector', 0.97 ],
	[ "index_type = 'IVF_PQ', nlist = 32, pq_m = 12", 'vector', 0.97 ],
	[ "index_type = 'IVF_PQ', nlist = 32, pq_m = 12, pq_nbits = 4", 'vector', 0.97 ],
	[ "index_type = 'IVF_RABITQ', nlist = 32", 'vector', 0.97 ],
	[ "index_type = 'SCANN', nlist = 32", 'vector', 0.97 ],
	[ "index_type = 'BIN_FLAT'", 'bit', 1 ],
	[ "index_type = 'BIN_IVF_FLAT', nlist = 32", 'bit', 0.9 ],
	[ "index_type = 'HNSW', m = 16, ef_construction = 100", 'bit', 0.98 ],
	# of one band: equal rows, then all others
	[ "index_type = 'MINHASH_LSH', mh_element_bit_width = 16, mh_lsh_band = 1", 'bit', 1 ]);

my $node = new_node('main', conf => "milvus.background_seal = off\nfsync = off");

# One table a type; its column "share" is a random permutation of (0, 1]: share <= s holds for
# that part of the rows, whatever their vectors.
sub make_table
{
	my ($type, $width) = @_;
	load_clustered($node, table => "rows_$type", rows => $rows, dim => $width, type => $type);
	load_clustered_queries($node, table => "queries_$type", rows => $queries, dim => $width, type => $type);
	$node->safe_psql('postgres', qq{
		ALTER TABLE rows_$type ADD share float8;
		UPDATE rows_$type t SET share = s.n / $rows.0
			FROM (SELECT id, row_number() OVER (ORDER BY hashint8extended(id, 99)) AS n FROM rows_$type) s WHERE s.id = t.id;
		VACUUM (FULL, ANALYZE) rows_$type});
	return;
}
make_table('vector', $dim);
make_table('bit', 128);

# Recall of each metric and selectivity for one index type
foreach my $kind (@kinds)
{
	my ($options, $type, $least) = @$kind;
	foreach my $metric ($type eq 'bit' ? @bit_metrics : @float_metrics)
	{
		$node->safe_psql('postgres',
			"CREATE INDEX gate ON rows_$type USING ann (embedding ${type}_${metric}_ops, share) WITH ($options)");
		foreach my $selectivity (@selectivities)
		{
			my %search = (table => "rows_$type", queries => "queries_$type", operator => $operators{$metric});
			$search{where} = "share <= $selectivity" if $selectivity < 1;
			my $found = recall($node, %search);

			cmp_ok($found, '>=', $least, sprintf('%s, %s, %g %% of the rows: recall %.4f', $options, $metric, 100 * $selectivity, $found));
		}
		$node->safe_psql('postgres', 'DROP INDEX gate');
	}
}

# A recall that is asked for is reached, in the mean of many queries that the calibration did not see.
my $held_out = test_size(200, 400);
load_clustered_queries($node, table => 'held_out', rows => $held_out, dim => $dim);
foreach my $options (
	"index_type = 'HNSW', m = 8, ef_construction = 40",
	"index_type = 'HNSW_SQ', sq_type = 'SQ4U', m = 8, ef_construction = 40",
	"index_type = 'HNSW_PQ', pq_m = 6, m = 8, ef_construction = 40",
	"index_type = 'IVF_FLAT', nlist = 64",
	"index_type = 'IVF_RABITQ', nlist = 64",
	"index_type = 'SCANN', nlist = 64")
{
	my %efforts;

	$node->safe_psql('postgres',
		"CREATE INDEX gate ON rows_vector USING ann (embedding vector_l2_ops) WITH ($options)");
	foreach my $target (0.9, 0.95, 0.99)
	{
		my $found = recall($node, table => 'rows_vector', queries => 'held_out', operator => '<->',
			settings => "SET milvus.target_recall = $target;");

		cmp_ok($found, '>=', $target, sprintf('%s, target %g: recall %.4f', $options, $target, $found));
		$efforts{$target} = $node->safe_psql('postgres', qq{
			SET enable_seqscan = off; SET milvus.target_recall = $target;
			SELECT count(*) FROM (SELECT id FROM rows_vector ORDER BY embedding <-> (SELECT embedding FROM held_out WHERE id = 1) LIMIT 10) s;
			SELECT greatest(ef, nprobe) FROM milvus.last_search()}) =~ s/.*\n//sr;
	}
	note("$options: effort $efforts{0.9}, $efforts{0.95}, $efforts{0.99}");
	cmp_ok($efforts{0.9}, '<=', $efforts{0.99}, "$options: a lower target takes no more effort");
	$node->safe_psql('postgres', 'DROP INDEX gate');
}

done_testing();
