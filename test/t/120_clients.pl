# Clients written for pgvector, against milvus.enable_pgvector_syntax(): the packages
# for Node, Go and Java (../clients), SQLAlchemy and Django (../python).  Each program
# makes its table, writes and reads through its adapter, makes indexes USING hnsw and
# ivfflat, searches and compares with distances of its own; its checks are reported
# here.  A language is skipped where its tools are absent or its registry cannot be
# reached.  What is downloaded and built is kept in $MILVUS_CLIENTS, when that is set.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Spec;
use MilvusTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $here = File::Spec->rel2abs(dirname(__FILE__));
my $work = $ENV{MILVUS_CLIENTS} || PostgreSQL::Test::Utils::tempdir();

# JDBC has no unix sockets.
my $node = new_node('main', conf => "listen_addresses = '127.0.0.1'");
$node->safe_psql('postgres', 'SELECT milvus.enable_pgvector_syntax()');

# environment of every program: the server, and caches that are not the user's
local %ENV = (
	%ENV,
	PGHOST => '127.0.0.1', PGPORT => $node->port, PGDATABASE => 'postgres',
	PGUSER => $node->safe_psql('postgres', 'SELECT current_user'),
	HOME => $work, npm_config_cache => "$work/npm", npm_config_update_notifier => 'false',
	GOPATH => "$work/gopath", GOCACHE => "$work/gocache", GOTOOLCHAIN => 'local', GOFLAGS => '-mod=mod -buildvcs=false');

# run_in($folder, @command): whether it succeeds, its output, the last line of its errors
sub run_in
{
	my ($folder, @command) = @_;
	my ($out, $err) = ('', '');
	my $good = IPC::Run::run(\@command, '>', \$out, '2>', \$err, init => sub { chdir $folder or die $! });
	my ($last) = ($err || $out) =~ /([^\n]*\S)\s*\z/;
	return ($good, $out, $last // 'no message', $err);
}

# there($program): whether the path has it
sub there
{
	my ($program) = @_;
	return scalar grep { -x "$_/$program" } File::Spec->path;
}

# report($language, $folder, @command): the checks of a program as ours
sub report
{
	my ($language, $folder, @command) = @_;
	my ($good, $out, $last, $err) = run_in($folder, @command);
	my @checks = $out =~ /^((?:not )?ok \d+ - .*)$/mg;
	foreach my $check (@checks)
	{
		my ($status, $what) = $check =~ /^(not ok|ok) \d+ - (.*)$/;
		ok($status eq 'ok', "$language: $what");
	}
	like($out, qr/^1\.\.${\ scalar @checks}$/m, "$language: the program came to its end") or diag($err);
	ok($good && @checks > 0, "$language: the program says that all is well");
	return;
}

# folder($language, @files): a folder to build in, with the sources
sub folder
{
	my ($language, @files) = @_;
	make_path("$work/$language");
	copy("$here/../clients/$language/$_", "$work/$language/$_") or die "$_: $!" foreach @files;
	return "$work/$language";
}

SKIP:
{
	skip 'Node: no node and npm', 1 unless there('node') && there('npm');
	my $folder = folder('node', 'package.json', 'client.js');
	my ($good, undef, $why) = run_in($folder, qw(npm install --silent --no-package-lock --no-audit --no-fund));
	skip "Node: packages cannot be had ($why)", 1 unless $good;
	report('Node', $folder, 'node', 'client.js');
}

SKIP:
{
	skip 'Go: no go', 1 unless there('go');
	my $folder = folder('go', 'go.mod', 'client.go');
	my ($good, undef, $why) = run_in($folder, qw(go list -deps .));
	skip "Go: modules cannot be had ($why)", 1 unless $good;
	($good, undef, $why) = run_in($folder, qw(go build -buildvcs=false -o client .));
	ok($good, 'Go: the program builds') or diag($why);
	report('Go', $folder, "$folder/client");
}

SKIP:
{
	skip 'Java: no javac and mvn', 1 unless there('javac') && there('mvn');
	my $folder = folder('java', 'pom.xml', 'Client.java');
	my ($good, undef, $why) = run_in($folder,
		'mvn', '-q', '-B', "-Dmaven.repo.local=$work/maven", 'dependency:copy-dependencies', '-DoutputDirectory=lib');
	skip "Java: packages cannot be had ($why)", 1 unless $good;
	($good, undef, $why) = run_in($folder, 'javac', '-cp', 'lib/*', 'Client.java');
	ok($good, 'Java: the program builds') or diag($why);
	report('Java', $folder, 'java', '-cp', 'lib/*:.', 'Client');
}

my $python = $ENV{MILVUS_PYTHON} || 'python3';
foreach my $client ([ 'SQLAlchemy', 'sqlalchemy' ], [ 'Django', 'django' ])
{
	my ($name, $module) = @$client;
  SKIP:
	{
		my ($good) = run_in($here, $python, '-c', "import numpy, psycopg, pgvector, $module");
		skip "$name: python3 without numpy, psycopg, pgvector and $module", 1 unless $good;
		report($name, $here, $python, "$here/../python/${module}_client.py");
	}
}

is($node->safe_psql('postgres', "SELECT count(*) FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE amname IN ('hnsw', 'ivfflat')"),
	'0', 'the programs cleaned up');
is($node->safe_psql('postgres', 'SELECT count(*) FROM milvus.disable_pgvector_syntax()') > 0, 1, 'the syntax can go again');

done_testing();
