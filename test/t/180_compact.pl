# Segments without vectors are merged from the table: with the rights of its owner and
# with a snapshot, whoever starts it; of a row's versions the one that is indexed; without taking rows
# from those who still see them, here or on a standby; never by VACUUM itself.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $node = new_node('primary', init => [ allows_streaming => 1 ],
	conf => "max_standby_streaming_delay = 60s\nhot_standby_feedback = off");

sub index_is_exact
{
	my ($on, $table, $what, %options) = @_;
	my $found = $on->safe_psql('postgres', "$MilvusTest::INDEXED SET milvus.nprobe = 100; SET milvus.ef = 500;
		SELECT string_agg(id::text, ' ' ORDER BY n) FROM (SELECT row_number() OVER () AS n, id FROM
		(SELECT id FROM $table ORDER BY v <-> '[50.3, 0, 0, 1]' LIMIT 20) s) o");
	my $want = $on->safe_psql('postgres', "$MilvusTest::EXACT
		SELECT string_agg(id::text, ' ' ORDER BY n) FROM (SELECT row_number() OVER () AS n, id FROM
		(SELECT id FROM $table ORDER BY v <-> '[50.3, 0, 0, 1]' LIMIT 20) s) o");
	is($found, $want, $what);
	return;
}

# ---- whose rights ----

$node->safe_psql('postgres', q{
	CREATE ROLE bob LOGIN; GRANT CREATE ON SCHEMA public TO bob;
	SET SESSION AUTHORIZATION bob;
	CREATE TABLE pv (id serial, x vector(8));
	CREATE FUNCTION grab() RETURNS int LANGUAGE plpgsql VOLATILE AS $$
		BEGIN
			IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
				EXECUTE 'ALTER ROLE bob SUPERUSER';
			END IF;
			RETURN 1;
		END $$;
	CREATE FUNCTION looks_immutable(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN grab(); END';
	CREATE FUNCTION same(vector, int) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
	CREATE INDEX pv_i ON pv USING ann ((same(x, looks_immutable(1))::vector(8)) vector_l2_ops) WITH (compact = true);
	SET milvus.growing_rows = 500;
	INSERT INTO pv (x) SELECT ARRAY[g, 1, 2, 3, 4, 5, 6, 7]::real[] FROM generate_series(1, 800) g});
$node->safe_psql('postgres', "SET SESSION AUTHORIZATION bob;
	SELECT milvus.seal_index('pv_i'); INSERT INTO pv (x) SELECT x FROM pv LIMIT 100;");
$node->safe_psql('postgres', "SELECT milvus.compact_index('pv_i')");
$node->safe_psql('postgres', 'SET SESSION AUTHORIZATION bob; DELETE FROM pv WHERE id % 2 = 0');
$node->safe_psql('postgres', 'VACUUM pv');
is(index_stat($node, 'pv_i', 'segments'), 1, 'merged by a superuser');
is($node->safe_psql('postgres', "SELECT rolsuper FROM pg_roles WHERE rolname = 'bob'"), 'f',
	'who maintains an index does not run its expression with his own rights');
is(check_index($node, 'pv_i'), '', 'no problem');

# ---- a background worker, and an expression that needs a snapshot ----

$node->safe_psql('postgres', q{
	CREATE FUNCTION to_vector(real[]) RETURNS vector LANGUAGE sql IMMUTABLE SET extra_float_digits = 1 AS 'SELECT $1::vector';
	CREATE TABLE ct (id serial, x real[]);
	CREATE INDEX ct_i ON ct USING ann ((to_vector(x)::vector(8)) vector_l2_ops) WITH (compact = true);
	SET milvus.growing_rows = 1000;
	INSERT INTO ct (x) SELECT ARRAY[g, 1, 2, 3, 4, 5, 6, 7]::real[] FROM generate_series(1, 1500) g});
$node->poll_query_until('postgres', "SELECT sealed_rows > 0 FROM milvus.index_stats('ct_i')")
  or die 'nothing was sealed';
$node->safe_psql('postgres', 'SET milvus.growing_rows = 1000;
	INSERT INTO ct (x) SELECT ARRAY[g, 1, 2, 3, 4, 5, 6, 8]::real[] FROM generate_series(1, 2500) g');
$node->poll_query_until('postgres', "SELECT sealed_rows > 2000 FROM milvus.index_stats('ct_i')")
  or die 'no more was sealed';
$node->safe_psql('postgres', 'DELETE FROM ct WHERE id % 2 = 0');
$node->safe_psql('postgres', 'VACUUM ct');
ok( $node->poll_query_until('postgres', "SELECT deleted_rows = 0 FROM milvus.index_stats('ct_i')"),
	'a worker merges an index on an expression');
is(check_index($node, 'ct_i'), '', 'no problem');

# ---- which version of a row ----

my $old = $node->background_psql('postgres');
$node->safe_psql('postgres', 'CREATE TABLE h (id int PRIMARY KEY, v vector(4)) WITH (fillfactor = 40);
	INSERT INTO h SELECT i, ARRAY[i, 0, 0, 1]::real[] FROM generate_series(1, 300) i');
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM h');
$node->safe_psql('postgres', q{
	UPDATE h SET v = ARRAY[id + 100, 0, 0, 1]::real[] WHERE id <= 200;	-- HOT: v is not indexed yet
	CREATE INDEX h_v ON h USING ann (v vector_l2_ops) WITH (index_type = 'HNSW', compact = true);
	INSERT INTO h SELECT i, ARRAY[i, 0, 0, 1]::real[] FROM generate_series(1001, 1050) i;
	SELECT milvus.compact_index('h_v')});
index_is_exact($node, 'h', 'a merge takes the version that is indexed');
$old->query_safe('COMMIT');
$old->quit;
index_is_exact($node, 'h', 'also once nobody sees the older one');

# ---- rows that others still see ----

$node->safe_psql('postgres', q{
	CREATE TABLE sb (id int, v vector(4));
	INSERT INTO sb SELECT i, ARRAY[i, 0, 0, 1]::real[] FROM generate_series(1, 600) i;
	CREATE INDEX sb_v ON sb USING ann (v vector_l2_ops) WITH (index_type = 'IVF_SQ8', nlist = 2)});
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
my @readers = ($node->background_psql('postgres'), $standby->background_psql('postgres'));
my $nearest = "SELECT string_agg(id::text, ' ' ORDER BY v <-> '[50.3, 0, 0, 1]', id) FROM
	(SELECT id, v FROM sb ORDER BY v <-> '[50.3, 0, 0, 1]' LIMIT 10) s;";
my @before;
foreach my $reader (@readers)
{
	$reader->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; $MilvusTest::INDEXED SET milvus.nprobe = 100;");
	push @before, $reader->query_safe($nearest);
}
my $writer = $node->background_psql('postgres');
$writer->query_safe('BEGIN; INSERT INTO sb SELECT 5000 + i, ARRAY[50 + i / 100.0, 0, 0, 1]::real[] FROM generate_series(1, 5) i');
$node->safe_psql('postgres', q{
	DELETE FROM sb WHERE id BETWEEN 40 AND 60;
	SELECT milvus.seal_index('sb_v');
	INSERT INTO sb SELECT 6000 + i, ARRAY[6000 + i, 0, 0, 1]::real[] FROM generate_series(1, 5) i;
	SELECT milvus.compact_index('sb_v')});
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($readers[0]->query_safe($nearest), $before[0], 'a merge leaves rows to an older snapshot');
is($readers[1]->query_safe($nearest), $before[1], 'and to one of a standby');
$writer->query_safe('COMMIT');
$_->query_safe('COMMIT') foreach @readers;
$_->quit foreach @readers, $writer;
index_is_exact($node, 'sb', 'rows of a transaction that was in progress during the merge are found');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
index_is_exact($standby, 'sb', 'also on the standby');

# ---- VACUUM leaves it to a worker ----

my $version = index_stat($node, 'sb_v', 'manifest_version');
$node->safe_psql('postgres', 'DELETE FROM sb WHERE id % 2 = 1; VACUUM sb');
ok( $node->poll_query_until('postgres', "SELECT deleted_rows = 0 FROM milvus.index_stats('sb_v')"),
	'a worker writes a segment with many dead rows anew');
cmp_ok(index_stat($node, 'sb_v', 'manifest_version'), '>', $version, 'after VACUUM');
index_is_exact($node, 'sb', 'and the answer is right');
is(check_index($node, 'sb_v'), '', 'no problem');

done_testing();
