# Damaged scalar columns of a segment that is read through the buffers (no cache): the
# search ends with an error of its own, SQLSTATE XX002, and neither crashes nor answers.

use strict;
use warnings;

use MilvusTest;
use Test::More;

my $ROWS = 1000;
my ($BLOCK, $PAGE_HEADER) = (8192, 64);
my $node = new_node('main', conf => "milvus.cache_size = 0\nmilvus.background_seal = off\nignore_checksum_failure = on");
$node->safe_psql('postgres', qq{
	CREATE TABLE items (id int, kind int, tags int[], name text, v vector(4));
	INSERT INTO items SELECT i, i % 5, ARRAY[i % 10, 10 + i % 3], 'name ' || i % 50, ARRAY[i, 0, 0, 0]::vector FROM generate_series(1, $ROWS) AS i;
	CREATE INDEX items_v ON items USING ann (v, kind, tags, name) WITH (index_type = 'FLAT')});
my $file = $node->data_dir . '/' . $node->safe_psql('postgres', "CHECKPOINT; SELECT pg_relation_filepath('items_v')");

sub search
{
	my ($where) = @_;
	return "$MilvusTest::INDEXED SELECT string_agg(id::text, ' ') FROM (SELECT id FROM items WHERE $where ORDER BY v <-> '[0,0,0,0]' LIMIT 5) AS s";
}

# The durable section: pages' contents joined, found by its first bytes.
my $pages = do { open my $in, '<:raw', $file or die "$file: $!"; local $/; <$in> };
my $begin = index($pages, pack('L4', 0x4d4c564b, 1, 3, $ROWS));
die 'there is no section of scalar columns' if $begin < 0;

# at($offset): where a byte of the section is in the file.
sub at
{
	my ($offset) = @_;
	my $payload = $BLOCK - $PAGE_HEADER;
	my $place = int($begin / $BLOCK) * $payload + $begin % $BLOCK - $PAGE_HEADER + $offset;
	return int($place / $payload) * $BLOCK + $PAGE_HEADER + $place % $payload;
}

# The header of column $i.
sub column
{
	my ($i) = @_;
	my $bytes = join '', map { substr($pages, at($_), 1) } 24 + 72 * $i .. 24 + 72 * $i + 71;
	my %header;
	@header{qw(type array ndistinct code_bytes values values_bytes places codes ncodes starts flags)} = unpack('L4 Q7', $bytes);
	return %header;
}

# With $bytes at $offset of the section, the search for $where must fail, and without them give $answer.
sub damaged
{
	my ($what, $offset, $bytes, $where, $answer) = @_;
	foreach my $damage (1, 0)
	{
		$node->stop;
		open my $out, '+<:raw', $file or die "$file: $!";
		for my $i (0 .. length($bytes) - 1)
		{
			seek $out, at($offset + $i), 0;
			print $out $damage ? substr($bytes, $i, 1) : substr($pages, at($offset + $i), 1);
		}
		close $out or die "$file: $!";
		$node->start;
		is(sql_state($node, search($where)), 'XX002', "$what: an error") if $damage;
		is($node->safe_psql('postgres', search($where)), $answer, "$what: mended, the answer") if !$damage;
	}
	return;
}

my ($kind, $tags, $name) = map { { column($_) } } 0 .. 2;
is("$kind->{ndistinct} $tags->{ndistinct} $name->{ndistinct}", '5 13 50', 'the headers are found');
is("$kind->{code_bytes} $tags->{code_bytes}", '1 1', 'and what is changed below is a code');

damaged('a code past the dictionary, two ranges', $kind->{codes} + 700, chr(250), 'kind IN (1, 3)', '1 3 6 8 11');
damaged('a code past the dictionary, one range', $kind->{codes} + 700, chr(6), 'kind = 2', '2 7 12 17 22');
damaged('an array that begins far behind', $tags->{starts} + 8 * 500, pack('Q', 1 << 40), q{tags @> '{7}'}, '7 17 27 37 47');
damaged('an array that begins before the others', $tags->{starts} + 8 * 500, pack('Q', 0), q{tags && '{7,8}'}, '7 8 17 18 27');
damaged('an element past the dictionary', $tags->{codes} + 900, chr(13), q{tags @> '{11,4}'}, '4 34 64 94 124');
damaged('elements out of order', $tags->{codes} + 901, chr(0), q{tags <@ '{4,11,5}'}, '4 25 34 55 64');
# the binary search reads it: the value in the middle
my $middle = unpack('Q', join '', map { substr($pages, at($name->{places} + 8 * 25 + $_), 1) } 0 .. 7);
damaged('a value of less than no bytes', $name->{values} + $middle, pack('L', 0), q{name = 'name 3'}, '3 53 103 153 203');
damaged('a place past the values', $name->{places} + 8 * 26, pack('Q', 1 << 40), q{name = 'name 3'}, '3 53 103 153 203');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing died');

done_testing();
