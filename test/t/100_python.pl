# psycopg with pgvector's adapter reads and writes the types in binary and in text:
# ../python/round_trip.py, whose own checks are reported here.

use strict;
use warnings;

use File::Basename qw(dirname);
use MilvusTest;
use Test::More;

my $python = $ENV{MILVUS_PYTHON} || 'python3';
my ($out, $err);
IPC::Run::run([ $python, '-c', 'import numpy, psycopg, pgvector.psycopg' ], '>', \$out, '2>', \$err)
  or plan skip_all => 'python3 without numpy, psycopg and pgvector (from PyPI)';

my $node = new_node('main');
my $good = IPC::Run::run(
	[ $python, dirname(__FILE__) . '/../python/round_trip.py', $node->connstr('postgres') ],
	'>', \$out, '2>', \$err);
my @checks = $out =~ /^((?:not )?ok \d+ - .*)$/mg;
foreach my $check (@checks)
{
	my ($status, $what) = $check =~ /^(not ok|ok) \d+ - (.*)$/;
	ok($status eq 'ok', $what);
}
like($out, qr/^1\.\.${\ scalar @checks}$/m, 'the script came to its end') or diag($err);
ok($good, 'the script says that all is well');

done_testing();
