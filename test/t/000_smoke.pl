# The whole way on real data: load, build, search, insert, delete, restart.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('main');
load_glosses($node);
load_queries($node, rows => test_size(50, 200));

is($node->safe_psql('postgres', 'SELECT count(*) FROM glosses'),
	5000, 'the shipped file has 5,000 entries');

$node->safe_psql('postgres',
	'CREATE INDEX glosses_embedding ON glosses USING ann (embedding vector_cosine_ops)'
	  . " WITH (index_type = 'HNSW', m = 16, ef_construction = 200)");
is($node->safe_psql('postgres', "SELECT milvus.check_index('glosses_embedding')"),
	'', 'the built index has no problem');
cmp_ok(recall($node), '>=', 0.98, 'recall of the built index');
cmp_ok(recall($node, where => "t.pos = 'v'"), '>=', 0.95, 'recall behind a filter');

# A row that was just inserted is its own nearest neighbour, and is gone once deleted.
my $nearest_to_query_1 =
  "SELECT id FROM glosses ORDER BY embedding <=> (SELECT embedding FROM queries WHERE id = 1) LIMIT 1";
$node->safe_psql('postgres',
	'INSERT INTO glosses (id, embedding) SELECT -1, embedding FROM queries WHERE id = 1');
is( $node->safe_psql('postgres', $MilvusTest::INDEXED . $nearest_to_query_1),
	'-1', 'the next statement finds an inserted row');
$node->safe_psql('postgres', 'DELETE FROM glosses WHERE id = -1');
isnt( $node->safe_psql('postgres', $MilvusTest::INDEXED . $nearest_to_query_1),
	'-1', 'the next statement does not find a deleted row');

$node->restart;
cmp_ok(recall($node), '>=', 0.98, 'recall after a restart');

done_testing();
