# Random filters over random rows find what an evaluator of their own in Python says:
# ../python/filter_property.py, whose own checks are reported here.
#
# MILVUS_SEED makes other filters than the usual ones.

use strict;
use warnings;

use File::Basename qw(dirname);
use MilvusTest;
use Test::More;

my $python = $ENV{MILVUS_PYTHON} || 'python3';
my ($out, $err);
IPC::Run::run([ $python, '-c', 'import psycopg' ], '>', \$out, '2>', \$err)
  or plan skip_all => 'python3 without psycopg (from PyPI)';

my $node = new_node('main');
my $good = IPC::Run::run(
	[ $python, dirname(__FILE__) . '/../python/filter_property.py', $node->connstr('postgres'),
		test_size(10000, 100000), $ENV{MILVUS_SEED} // () ],
	'>', \$out, '2>', \$err);
my @checks = $out =~ /^((?:not )?ok \d+ - .*)$/mg;
foreach my $check (@checks)
{
	my ($status, $what) = $check =~ /^(not ok|ok) \d+ - (.*)$/;
	ok($status eq 'ok', $what);
}
diag($out) unless $good;
like($out, qr/^1\.\.${\ scalar @checks}$/m, 'the script came to its end') or diag($err);
ok($good, 'the script says that all is well');

done_testing();
