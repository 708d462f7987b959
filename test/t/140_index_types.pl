# Every index type through the life of an index, on every column type it takes: built,
# growing, sealed, deleted from and vacuumed, merged, recovered after kill -9, on a
# standby.  At each stage recall against exact search, every row once, no problem
# that check_index finds.  (HNSW, IVF_FLAT and FLAT on vector and halfvec: 060, 020, 010.)

use strict;
use warnings;

use MilvusTest;
use Test::More;

my %operators = (l2 => '<->', ip => '<#>', cosine => '<=>', hamming => '<~>', jaccard => '<%>');
my $rows = test_size(1500, 20000);
my $dim = 32;

# name, column type, metric, options, recall with the settings below (of 10)
my @kinds = (
	[ 'ivf_sq8', 'vector', 'l2', "index_type = 'IVF_SQ8', nlist = 16", 0.95 ],
	[ 'ivf_pq', 'vector', 'l2', "index_type = 'IVF_PQ', nlist = 16, pq_m = 16", 0.9 ],
	[ 'ivf_pq4', 'halfvec', 'cosine', "index_type = 'IVF_PQ', nlist = 16, pq_m = 16, pq_nbits = 4", 0.9 ],
	[ 'ivf_rabitq', 'vector', 'cosine', "index_type = 'IVF_RABITQ', nlist = 16", 0.9 ],
	[ 'ivf_rabitq_sq8', 'vector', 'ip', "index_type = 'IVF_RABITQ', nlist = 16, refine = true, refine_type = 'SQ8'", 0.9 ],
	[ 'scann', 'vector', 'l2', "index_type = 'SCANN', nlist = 16", 0.9 ],
	[ 'scann_codes', 'vector', 'cosine', "index_type = 'SCANN', nlist = 16, with_raw_data = false", 0.9 ],
	[ 'hnsw_sq4', 'vector', 'cosine', "index_type = 'HNSW_SQ', sq_type = 'SQ4U', m = 16, refine = true, refine_type = 'FP16'", 0.95 ],
	[ 'hnsw_sq6', 'vector', 'l2', "index_type = 'HNSW_SQ', sq_type = 'SQ6', m = 16", 0.95 ],
	[ 'hnsw_sq8', 'int8vec', 'l2', "index_type = 'HNSW_SQ', sq_type = 'SQ8', m = 16", 0.95 ],
	[ 'hnsw_bf16', 'bfloat16vec', 'ip', "index_type = 'HNSW_SQ', sq_type = 'BF16', m = 16", 0.95 ],
	[ 'hnsw_fp16', 'vector', 'ip', "index_type = 'HNSW_SQ', sq_type = 'FP16', m = 16", 0.95 ],
	[ 'hnsw_pq', 'vector', 'cosine', "index_type = 'HNSW_PQ', pq_m = 16, m = 16", 0.9 ],
	[ 'hnsw_prq', 'vector', 'l2', "index_type = 'HNSW_PRQ', pq_m = 8, nrq = 2, m = 16, refine = true", 0.95 ],
	[ 'flat_compact', 'vector', 'l2', "index_type = 'FLAT', compact = true", 1 ],
	[ 'hnsw_compact', 'halfvec', 'ip', "index_type = 'HNSW', compact = true, m = 16", 0.95 ],
	[ 'ivf_compact', 'vector', 'cosine', "index_type = 'IVF_FLAT', compact = true, nlist = 16", 0.9 ],
	[ 'auto_bf16', 'bfloat16vec', 'cosine', '', 0.95 ],
	[ 'flat_i8', 'int8vec', 'cosine', "index_type = 'FLAT'", 1 ],
	[ 'ivf_i8', 'int8vec', 'ip', "index_type = 'IVF_FLAT', nlist = 16", 0.9 ],
	[ 'bin_flat', 'bit', 'hamming', "index_type = 'BIN_FLAT'", 1 ],
	[ 'bin_flat_jaccard', 'bit', 'jaccard', "index_type = 'BIN_FLAT'", 1 ],
	[ 'bin_ivf_flat', 'bit', 'hamming', "index_type = 'BIN_IVF_FLAT', nlist = 16", 0.85 ],
	[ 'bin_ivf_jaccard', 'bit', 'jaccard', "index_type = 'BIN_IVF_FLAT', nlist = 16", 0.85 ],
	[ 'bin_hnsw', 'bit', 'hamming', "index_type = 'HNSW', m = 16", 0.9 ],
	[ 'bin_hnsw_jaccard', 'bit', 'jaccard', "index_type = 'HNSW', m = 16", 0.9 ],
	# of one band: equal rows, then all others
	[ 'minhash', 'bit', 'hamming', "index_type = 'MINHASH_LSH', mh_element_bit_width = 16, mh_lsh_band = 1", 1 ]);

my $primary = new_node('primary', init => [ allows_streaming => 1 ],
	conf => "milvus.background_seal = off\nwal_consistency_checking = 'all'\nrestart_after_crash = off");
foreach my $type ('vector', 'halfvec', 'bfloat16vec', 'int8vec', 'bit')
{
	load_clustered_queries($primary, table => "queries_$type", dim => $dim, type => $type);
}
foreach my $kind (@kinds)
{
	my ($name, $type, $metric, $options) = @$kind;
	load_clustered($primary, table => $name, rows => $rows, dim => $dim, type => $type);
	$primary->safe_psql('postgres',
		"CREATE INDEX ${name}_embedding ON $name USING ann (embedding ${type}_${metric}_ops)"
		  . ($options eq '' ? '' : " WITH ($options)"));
}

# what every index answers now on a node
sub all_answer_well
{
	my ($node, $stage) = @_;
	foreach my $kind (@kinds)
	{
		my ($name, $type, $metric, undef, $least) = @$kind;
		my %search = (table => $name, operator => $operators{$metric}, queries => "queries_$type");
		my $found = recall($node, %search, settings => 'SET milvus.ef = 40; SET milvus.nprobe = 8;');

		cmp_ok($found, '>=', $least, "$name, $stage: recall");
		note(sprintf '%s, %s: recall %.4f', $name, $stage, $found);
		is(same_rows($node, %search), '', "$name, $stage: every row once");
		is(check_index($node, "${name}_embedding"), '', "$name, $stage: no problem");
	}
	return;
}

sub on_all
{
	my ($sql) = @_;
	$primary->safe_psql('postgres', $sql =~ s/TABLE/$_->[0]/gr) foreach @kinds;
	return;
}

all_answer_well($primary, 'built');

insert_clustered($primary, table => $_->[0], type => $_->[1], first => $rows + 1, rows => 300, dim => $dim) foreach @kinds;
all_answer_well($primary, 'growing');

on_all("SELECT milvus.seal_index('TABLE_embedding')");
on_all('DELETE FROM TABLE WHERE id % 5 = 2');
$primary->safe_psql('postgres', "VACUUM $_->[0]") foreach @kinds;
all_answer_well($primary, 'sealed, deleted from, vacuumed');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# kill -9 in the middle of a merge, then merge for good
run_until_killed($primary, 'segment-half-written', "SELECT milvus.compact_index('$kinds[0][0]_embedding')");
$primary->start;
all_answer_well($primary, 'recovered');
on_all("SELECT milvus.compact_index('TABLE_embedding')");
all_answer_well($primary, 'merged');
foreach my $kind (@kinds)
{
	is(index_stat($primary, "$kind->[0]_embedding", 'segments'), 1, "$kind->[0]: one segment");
}

$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
all_answer_well($standby, 'on a standby');

# codes take the room they promise: the index is smaller than the vectors of its rows
foreach my $name ('ivf_sq8', 'ivf_pq', 'scann_codes', 'hnsw_pq', 'ivf_rabitq')
{
	my $bytes = $primary->safe_psql('postgres', "SELECT bytes / rows FROM milvus.index_segments('${name}_embedding')");
	cmp_ok($bytes, '<', 4 * $dim + 130, "$name: $bytes bytes a row");
}

done_testing();
