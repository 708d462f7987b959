# Recall against exact search on clustered data, for every index type, metric and
# element type: as built, after inserts and a seal, after deletes and VACUUM, and
# after rows were updated over and over.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main', conf => "milvus.background_seal = off\nmax_parallel_maintenance_workers = 1");
my $rows = test_size(2000, 20000);
my %operators = (l2 => '<->', ip => '<#>', cosine => '<=>', l1 => '<+>');
# With ef = 20 and nprobe = 8 of 32 lists, so that there is something to miss.
my %least = (HNSW => 0.95, IVF_FLAT => 0.92, FLAT => 1);

foreach my $elem ('vector', 'halfvec')
{
	load_clustered_queries($node, dim => 24, type => $elem, rows => test_size(20, 100));
	foreach my $type ('HNSW', 'IVF_FLAT', 'FLAT')
	{
		foreach my $metric ('l2', 'ip', 'cosine', 'l1')
		{
			my $operator = $operators{$metric};
			my $what = "$type, $metric, $elem";
			my %search = (table => 'items', operator => $operator,
				settings => 'SET milvus.ef = 20; SET milvus.nprobe = 8;');
			my $measure = sub {
				my ($when) = @_;
				my $recall = recall($node, %search);
				cmp_ok($recall, '>=', $least{$type}, "$what, $when: recall");
				note(sprintf "recall %.4f", $recall);
				is(same_as_exact($node, %search), '', "$what, $when: the very answer of exact search")
				  if $type eq 'FLAT';
				return;
			};

			load_clustered($node, rows => $rows, dim => 24, type => $elem);
			$node->safe_psql('postgres',
				"CREATE INDEX items_embedding ON items USING ann (embedding ${elem}_${metric}_ops)
					WITH (index_type = '$type', m = 16, ef_construction = 100, nlist = 32)");
			$measure->('built');

			insert_clustered($node, first => $rows + 1, rows => $rows / 4, dim => 24, type => $elem);
			$measure->('growing');
			$node->safe_psql('postgres', "SELECT milvus.seal_index('items_embedding')");
			is(index_stat($node, 'items_embedding', 'growing_rows'), 0, "$what: sealed");
			$measure->('sealed');

			$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 3 = 0; VACUUM items');
			$measure->('deleted');

			foreach my $round (1, 2)
			{
				$node->safe_psql('postgres', qq{
					UPDATE items SET embedding = row_vector(id + $round * 1000000, 24)::$elem WHERE id % 4 = $round;
					VACUUM items});
			}
			$measure->('updated');
			$node->safe_psql('postgres', "SELECT milvus.compact_index('items_embedding')");
			is(index_stat($node, 'items_embedding', 'segments || \' \' || deleted_rows'), '1 0', "$what: merged");
			$measure->('merged');
			is(check_index($node, 'items_embedding'), '', "$what: no problem");
			is(same_rows($node, operator => $operator), '', "$what: every row once");
			# the function that measures agrees with the measurement here
			cmp_ok($node->safe_psql('postgres', "SELECT milvus.index_recall('items_embedding', 10, 50)"),
				'>=', $least{$type}, "$what: milvus.index_recall");
			$node->safe_psql('postgres', 'DROP TABLE items');
		}
	}
	$node->safe_psql('postgres', 'DROP TABLE queries');
}

done_testing();
