# The same random statements on a milvus table and on a heap table: DML, DDL, savepoints
# and rollbacks, with sealing, compaction and vacuum between.  After each batch both
# hold the same rows, by every kind of scan, for old snapshots too.
#
# A few sequences that are always the same; under --full many that are not, each of which
# MILVUS_SEED repeats.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use MilvusTest;
use PostgreSQL::Test::Utils;
use Test::More;

# The seeds, and how many batches each is for; a batch depends on the seed and on those before it.
my @seeds = (2, 5, 8, 9, 12);
my $batches = 6;
if (defined $ENV{MILVUS_SEED} || $ENV{MILVUS_TEST_FULL})
{
	@seeds = defined $ENV{MILVUS_SEED} ? ($ENV{MILVUS_SEED}) : map { time + $_ } 0 .. 15;
	$batches = 25;
}

my $node = new_node('main', conf => qq{
	shared_preload_libraries = 'milvus'
	max_worker_processes = 16
	jit = off
	max_parallel_workers_per_gather = 0});

# one(...): any of them.
sub one { return $_[ int(rand(@_)) ]; }
sub number { my ($low, $high) = @_; return $low + int(rand($high - $low + 1)); }

$node->safe_psql('postgres', q{
	CREATE FUNCTION digits(i bigint, n int) RETURNS text IMMUTABLE LANGUAGE sql
		AS $$SELECT string_agg(md5((i * 31 + g)::text), '') FROM generate_series(1, n) g$$;
	CREATE FUNCTION note_update() RETURNS trigger LANGUAGE plpgsql
		AS $$BEGIN NEW.note := coalesce(NEW.note, '') || coalesce('<' || OLD.tiny || '>', ''); RETURN NEW; END$$;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
		AS $$BEGIN IF OLD.id % 5 = 0 THEN RETURN NULL; END IF; RETURN OLD; END$$;
});

# Columns of rows made of numbers i; a value is NULL now and then.
my %columns = (
	k => sub { my $m = number(2, 3000); "(i * 7919) % $m" },
	note => sub { one("'note ' || i % 50", "repeat('x', i % 90)", "digits(i, 2)", "''") },
	tiny => sub { '(i % ' . number(1, 300) . ')::smallint' },
	num => sub { one('i / 7.0', "round(i * 1.10, 2)", 'i', "'NaN'", '(i % 3) * 1.00') },
	f => sub { one('i / 3.0', "'-0'", "'NaN'", "'infinity'", 'i % 9') },
	b => sub { 'i % ' . number(2, 5) . ' = 0' },
	ts => sub { "timestamptz '2020-01-01 UTC' + i * interval '37 min'" },
	arr => sub { one('ARRAY[i, i % 3]', "'{}'", 'ARRAY[NULL, i]', '(SELECT array_agg(g) FROM generate_series(1, i % 40) g)') },
	big => sub { one('digits(i, 3)', 'digits(i, 90)', "repeat('big ', i % 4000)", 'digits(i % 7, 200)') },
	js => sub { "jsonb_build_object('i', i, 'a', ARRAY[i % 5])" },
	u => sub { 'md5((i % ' . number(3, 5000) . ')::text)::uuid' },
	d => sub { "date '2000-01-01' + i % " . number(2, 900) },
	c => sub { "'c' || i % 20" },
	v => sub { "'v ' || i % 30" },
	emb => sub { 'ARRAY[i % 11, i % 5, 1, 2]::real[]::vector' });
my @names = sort keys %columns;
my @extra;                      # columns that were added: [name, type]
my ($nextra, $nindexes);
my @indexes;
my $trigger;
my $next_id;

# start_over($seed): empty tables, and all that statements are chosen by as at the beginning.
sub start_over
{
	my ($seed) = @_;
	srand($seed);
	note("seed $seed");
	@extra = @indexes = ();
	$nextra = $nindexes = 0;
	$trigger = '';
	$next_id = 1;
	foreach my $table (qw(milvus heap))
	{
		$node->safe_psql('postgres', "
			DROP TABLE IF EXISTS t_$table;
			CREATE TABLE t_$table (id int PRIMARY KEY, k bigint, note text, tiny smallint, num numeric,
				f float8, b bool, ts timestamptz, arr int[], big text, js jsonb, u uuid, d date,
				c char(6), v varchar(40), emb vector(4), twice int GENERATED ALWAYS AS (id * 2) STORED) USING $table;
			CREATE INDEX t_${table}_k ON t_$table (k);
			CREATE INDEX t_${table}_note ON t_$table (note COLLATE \"C\");
			ALTER TABLE t_$table ALTER big SET STORAGE EXTERNAL");
	}
	return;
}

# value($name): an expression over i.
sub value
{
	my ($name) = @_;
	my $expr = $columns{$name}->();
	return one("CASE WHEN i % 4 = 1 THEN NULL ELSE $expr END", $expr, $expr, $expr);
}

# where(): a condition that chooses rows.
sub where
{
	my $m = number(2, 40);
	my $from = number(1, $next_id);
	return one('id % ' . $m . ' = ' . number(0, $m - 1), "id BETWEEN $from AND $from + " . number(0, 400),
		"id = $from", 'k < ' . number(0, 500), 'tiny = ' . number(0, 50), 'note IS NULL', "id > $next_id - 300 AND b");
}

sub rows
{
	my ($from, $to, $conflict) = @_;
	my @some = grep { rand() < 0.8 } @names;
	my $expressions = join(', ', map { value($_) } @some);
	$expressions = ", $expressions" if $expressions ne '';
	return 'INSERT INTO TABLE (' . join(', ', 'id', @some) . ") SELECT i$expressions FROM generate_series($from, $to) i $conflict";
}

sub change
{
	my @some = grep { rand() < 0.12 } @names;
	push @some, one(@names) if !@some;
	my %sets = map { my $e = value($_); $e =~ s/\bi\b/id/g; ($_ => $e) } @some;
	foreach my $column (@extra)
	{
		next if rand() < 0.8;
		$sets{$column->[0]} = one('NULL', $column->[1] eq 'int' || $column->[1] eq 'bigint' ? 'id % 9' : "'changed'");
	}
	return 'UPDATE TABLE SET ' . join(', ', map { "$_ = $sets{$_}" } sort keys %sets) . ' WHERE ' . where();
}

# statement(): one of DML; TABLE stands for the table.
sub statement
{
	my $what = rand();
	if ($what < 0.3)
	{
		my $n = one(1, 20, 300, 1500);
		$next_id += $n;
		return rows($next_id - $n, $next_id - 1, '');
	}
	return change() if $what < 0.6;
	return 'DELETE FROM TABLE WHERE ' . where() if $what < 0.7;
	if ($what < 0.8)
	{
		my $from = number(1, $next_id);
		my $set = one('note = EXCLUDED.note, k = EXCLUDED.k', "big = TABLE.big || 'c'", "note = coalesce(TABLE.note, '') || 'c', id = TABLE.id");
		return rows($from, $from + number(0, 60), one('ON CONFLICT DO NOTHING', "ON CONFLICT (id) DO UPDATE SET $set"));
	}
	return 'UPDATE TABLE SET id = -id WHERE id BETWEEN 1 AND ' . number(1, 200) if $what < 0.82;
	return 'SELECT count(*) FROM (SELECT 1 FROM TABLE WHERE ' . where() . one(' FOR UPDATE', ' FOR SHARE', ' FOR KEY SHARE') . ') s' if $what < 0.87;
	return 'WITH gone AS (DELETE FROM TABLE WHERE ' . where() . " RETURNING *) SELECT md5(string_agg(gone::text, '' ORDER BY id)) FROM gone" if $what < 0.9;
	return 'UPDATE TABLE SET tiny = s.tiny FROM (SELECT id + 1 AS id, max(tiny) AS tiny FROM TABLE GROUP BY 1) s WHERE TABLE.id = s.id AND TABLE.' . where() if $what < 0.93;
	return 'MERGE INTO TABLE USING (SELECT g FROM generate_series(' . number(1, $next_id) . ", $next_id, 7) g) s ON TABLE.id = s.g
		WHEN MATCHED AND s.g % 3 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'merged ' || s.g WHEN NOT MATCHED THEN INSERT (id, note) VALUES (s.g, 'merged')" if $what < 0.96;
	return change();
}

# definition(): one of DDL.
sub definition
{
	my $what = number(1, 16);
	if ($what <= 3)
	{
		my @column = ('x' . ++$nextra, one('int', 'text', 'varchar(30)', 'bigint'));
		push @extra, \@column;
		return "ALTER TABLE TABLE ADD COLUMN $column[0] $column[1] " . one('', "DEFAULT '7'", "DEFAULT '12'", "NOT NULL DEFAULT '1'");
	}
	if ($what == 4 && @extra)
	{
		my $gone = splice(@extra, int(rand(@extra)), 1);
		return "ALTER TABLE TABLE DROP COLUMN $gone->[0]";
	}
	if ($what == 5 && @extra)
	{
		my $column = one(@extra);
		$column->[1] = $column->[1] eq 'int' ? 'bigint' : 'text';
		return "ALTER TABLE TABLE ALTER COLUMN $column->[0] TYPE $column->[1]";
	}
	if ($what <= 8)
	{
		my $name = 'TABLE_i' . ++$nindexes;
		push @indexes, $name;
		return 'CREATE ' . one('', 'UNIQUE ') . "INDEX $name ON TABLE " . one('(id, tiny)', '(d, id)', '(u, id)', '(id) INCLUDE (note)') if rand() < 0.5;
		return "CREATE INDEX $name ON TABLE " . one('(tiny)', '(k, d) WHERE b', '(lower(note))', 'USING hash (u)', 'USING gin (arr)', '(ts DESC)', 'USING brin (id)', '(note, v)', '((js ->> \'i\'))');
	}
	return 'DROP INDEX ' . splice(@indexes, int(rand(@indexes)), 1) if $what == 9 && @indexes;
	return one('VACUUM FULL TABLE', 'CLUSTER TABLE USING TABLE_k', 'CLUSTER TABLE USING TABLE_pkey') if $what == 10;
	return one('REINDEX TABLE TABLE', 'REINDEX TABLE CONCURRENTLY TABLE') if $what == 11;
	return 'ALTER TABLE TABLE REPLICA IDENTITY ' . one('FULL', 'DEFAULT', 'DEFAULT', 'NOTHING') if $what == 12;
	return 'TRUNCATE TABLE' if $what == 13 && rand() < 0.3;
	return "BEGIN; CLUSTER TABLE USING TABLE_pkey; TRUNCATE TABLE; " . rows($next_id, $next_id + 50, '') . '; ' . one('COMMIT', 'ROLLBACK') if $what == 13;
	return 'ALTER TABLE TABLE ALTER COLUMN ' . one(qw(note big v)) . ' SET STORAGE ' . one(qw(PLAIN EXTENDED MAIN EXTERNAL)) if $what == 14;
	if ($what == 15)
	{
		my $statement = $trigger ne '' ? "DROP TRIGGER $trigger ON TABLE" :
		  one('CREATE TRIGGER noted BEFORE UPDATE ON TABLE FOR EACH ROW EXECUTE FUNCTION note_update()',
			'CREATE TRIGGER refused BEFORE DELETE ON TABLE FOR EACH ROW EXECUTE FUNCTION refuse()');
		$trigger = $trigger ne '' ? '' : ($statement =~ /TRIGGER (\w+)/)[0];
		return $statement;
	}
	return one('ALTER TABLE TABLE ADD CHECK (id <> 0)', 'ALTER TABLE TABLE ALTER COLUMN tiny SET STATISTICS 10');
}

# transaction(): statements in a transaction, with savepoints.
sub transaction
{
	my @list = ('BEGIN');
	my $depth = 0;
	foreach (1 .. number(1, 5))
	{
		if (rand() < 0.3)
		{
			push @list, 'SAVEPOINT s' . ++$depth;
		}
		elsif ($depth > 0 && rand() < 0.4)
		{
			push @list, one('ROLLBACK TO', 'RELEASE') . ' s' . $depth;
			$depth-- if $list[-1] =~ /RELEASE/;
		}
		push @list, statement();
	}
	push @list, one('COMMIT', 'COMMIT', 'ROLLBACK');
	return @list;
}

# cursor(): a cursor over which rows are changed.
sub cursor
{
	my $where = where();
	return ('BEGIN', "DECLARE rows CURSOR FOR SELECT * FROM TABLE WHERE $where ORDER BY id", 'CLOSE rows',
		'DECLARE rows SCROLL CURSOR WITH HOLD FOR SELECT id, note, tiny FROM TABLE WHERE tiny < 40 ORDER BY id', 'FETCH 3 FROM rows',
		statement(), 'COMMIT', 'FETCH 5 FROM rows', 'FETCH BACKWARD 4 FROM rows', 'FETCH LAST FROM rows', 'CLOSE rows');
}

# run(@statements): on both tables, one statement after the other on each; the outputs, which have to be the same.
sub run
{
	my ($table, $settings, @statements) = @_;
	my $sql = "$settings;\n" . join('', map { "$_;\n" } @statements);
	$sql =~ s/\bTABLE(?=_|\b)(?<!ALTER TABLE)(?<!REINDEX TABLE)/t_$table/g;
	my ($out, $err) = ('', '');
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 0);
	$err =~ s/t_$table/TABLE/g;
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^(?:DETAIL|LINE|CONTEXT|HINT|\s).*\n?//mg;
	$out =~ s/t_$table/TABLE/g;
	return ($out, $err);
}

sub maintenance
{
	return one("SELECT count(*) > 0 FROM milvus.flush_table('t_milvus')", "SELECT count(*) > 0 FROM milvus.flush_table('t_milvus')",
		"SELECT count(*) > 0 FROM milvus.flush_table('t_milvus')", "SELECT count(*) > 0 FROM milvus.compact_table('t_milvus')",
		"SELECT count(*) > 0 FROM milvus.compact_table('t_milvus', 'sort')", 'VACUUM t_milvus', 'VACUUM t_milvus', 'VACUUM (FREEZE) t_milvus',
		"SELECT milvus.release_table('t_milvus')", "SELECT milvus.load_table('t_milvus') >= 0", 'ANALYZE t_milvus');
}

my %modes = (
	sequential => 'SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SET milvus.enable_column_scan = off',
	'by column' => 'SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SET enable_seqscan = off; SET enable_tidscan = off',
	parallel => 'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_seqscan = off',
	'by index' => 'SET enable_seqscan = off; SET milvus.enable_column_scan = off; SET enable_bitmapscan = off',
	bitmap => 'SET enable_seqscan = off; SET milvus.enable_column_scan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off');

sub queries
{
	my $all = q{md5(string_agg(t::text, E'\n' ORDER BY id))};
	my @where = ('true', 'k < ' . number(1, 900), "note >= 'note 2' COLLATE \"C\" AND note < 'note 4' COLLATE \"C\"",
		'num = 2', 'num > 100 OR tiny IN (1, 2, 3)', 'f = 0', "f = 'NaN'", 'f > 5', 'b', 'NOT b', 'b IS NOT TRUE', 'note IS NULL AND k IS NOT NULL',
		"ts BETWEEN '2020-01-05 UTC' AND '2020-02-01 UTC'", "d = '2000-01-09'", "c = 'c5'", "v LIKE 'v 1%'", "v = 'v 7'", "u = md5('4')::uuid",
		"arr = '{}'", "js ->> 'i' = '77'", "lower(note) = 'note 9'", 'id = ' . number(1, $next_id), 'id = ANY (ARRAY[' . join(', ', map { number(1, $next_id) } 1 .. 20) . '])',
		'NOT (k = 3 OR tiny > 20)', 'tiny <> ALL (ARRAY[1, 2, NULL])', 'tiny <> ALL (ARRAY[1, 2, 3])', "big = digits(id, 3)", 'length(big) > 2000');
	push @where, map { ($_->[1] =~ /int/ ? ("$_->[0] = 7", "$_->[0] < 10") : ("$_->[0] = '7'", "$_->[0] IS NULL")) } @extra;
	my @queries = map { "SELECT count(*), $all FROM TABLE t WHERE $_" } 'true', map { one(@where) } 1 .. 6;
	my $column = one(@names, map { $_->[0] } @extra);
	push @queries, "SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (SELECT $column\::text AS x FROM TABLE WHERE " . where() . ') s';
	push @queries, 'SELECT sum(id), min(d), max(ts), count(DISTINCT note), sum(tiny) FROM TABLE t WHERE ' . one(@where);
	push @queries, 'SELECT id, note FROM TABLE t WHERE ' . one(@where) . ' ORDER BY k NULLS FIRST, id DESC LIMIT 7';
	push @queries, 'SELECT count(*), sum(a.tiny + b.tiny) FROM TABLE a JOIN TABLE b ON a.id = b.k WHERE a.tiny < 30';
	return @queries;
}

# compare($what, @done): both tables give the same rows, by each way.
sub compare
{
	my ($what, @done) = @_;
	my @queries = queries();
	my ($expected, $expected_err) = run('heap', 'SET jit = off', @queries);
	foreach my $mode (sort keys %modes)
	{
		my ($got, $err) = run('milvus', $modes{$mode}, @queries);
		next if $got eq $expected && $err eq $expected_err;
		my @a = split(/\n/, "$expected\n$expected_err");
		my @b = split(/\n/, "$got\n$err");
		my ($i) = grep { ($a[$_] // '') ne ($b[$_] // '') } 0 .. $#a;
		fail("$what: rows $mode");
		diag("heap: ", $a[ $i // 0 ] // '', "\nmilvus: ", $b[ $i // 0 ] // '', "\nqueries:\n", join("\n", @queries), "\ndone:\n", join("\n", @done));
		return 0;
	}
	my $problems = $node->safe_psql('postgres', q{SELECT milvus.check_table('t_milvus')});
	return 1 if $problems eq '';
	fail("$what: check_table");
	diag("$problems\ndone:\n", join("\n", @done));
	return 0;
}

my $digest = q{SELECT count(*), md5(string_agg(t::text, E'\n' ORDER BY id)) FROM t_milvus t;};
my $old_snapshots = 0;

# batch($what): statements and maintenance, then the comparison.  Returns whether all was well.
sub batch
{
	my ($what) = @_;
	my @done;
	my $with_ddl = rand() < 0.5;
	my $reader;
	my $before;
	my $failed = sub {
		my ($test, $why) = @_;
		fail("$what: $test");
		diag("$why\ndone:\n", join("\n", @done));
		# whoever holds a snapshot would be waited for
		$reader->quit if defined $reader;
		return 0;
	};

	# a snapshot that sees the same before and after
	if (!$with_ddl && rand() < 0.5)
	{
		$reader = $node->background_psql('postgres');
		$before = $reader->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; SET jit = off; $digest");
	}
	foreach (1 .. number(2, 6))
	{
		my @statements = $with_ddl && rand() < 0.4 ? (definition()) :
		  rand() < 0.4 ? transaction() : rand() < 0.1 ? cursor() : (statement());
		my ($out, $err) = run('heap', 'SET jit = off', @statements);
		my ($mode) = one(sort keys %modes);
		my ($milvus_out, $milvus_err) = run('milvus', $modes{$mode}, @statements);
		push @done, "-- $mode", map { "$_;" } @statements;
		push @done, "-- heap: $err" if $err ne '';
		return $failed->('a statement ends the same', "heap: $out $err\nmilvus: $milvus_out $milvus_err")
		  if $milvus_err ne $err || $milvus_out ne $out;
		if (rand() < 0.6)
		{
			my $maintenance = maintenance();
			my ($ret, $o, $e) = $node->psql('postgres', $maintenance, on_error_stop => 1);
			push @done, "$maintenance; -- " . ($o // '');
			# with replica identity FULL nothing is sealed
			return $failed->($maintenance, $e) if $ret != 0 && $e !~ /cannot be sealed/;
		}
	}
	if (defined $reader)
	{
		my $after = $reader->query_safe(one(map { $modes{$_} } sort keys %modes) . "; $digest");
		return $failed->('an old snapshot sees the same', "$before, then $after") if $after ne $before;
		$reader->quit;
		$old_snapshots++;
	}
	return compare($what, @done);
}

foreach my $seed (@seeds)
{
	my $good = 0;
	start_over($seed);
	foreach my $batch (1 .. $batches)
	{
		last if !batch("seed $seed, batch $batch");
		$good++;
	}
	is($good, $batches, "seed $seed: $batches batches leave both tables alike");
	note('segments made: ', $node->safe_psql('postgres', q{SELECT coalesce(max(number), 0) FROM milvus.table_segments('t_milvus')}));
}
note("old snapshots: $old_snapshots");

# Line pointers that HOT updates leave redirected stay as long as their rows: no reason to read such pages tuple by tuple.
$node->safe_psql('postgres', q{
	CREATE TABLE updated (id int PRIMARY KEY, n int, note text) USING milvus WITH (fillfactor = 50);
	INSERT INTO updated SELECT i, i, 'a note ' || i || repeat(' more', 20) FROM generate_series(1, 2000) i});
$node->safe_psql('postgres', 'UPDATE updated SET n = n + 1 WHERE id % 3 = 0');
$node->safe_psql('postgres', 'VACUUM updated');
$node->safe_psql('postgres', q{SELECT milvus.flush_table('updated')});
like($node->safe_psql('postgres', "$modes{'by column'}; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT sum(n) FROM updated"),
	qr/Rows by Column: 2000\n *Rows by Page: 0\b/, 'rows updated in place are read by column once sealed');
is($node->safe_psql('postgres', "$modes{'by column'}; SELECT count(*), sum(n) FROM updated"), '2000|' . (2001000 + 666), 'and are right');
is($node->safe_psql('postgres', q{SELECT milvus.check_table('updated')}), '', 'the table is sound');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing died');
$node->stop;
done_testing();
