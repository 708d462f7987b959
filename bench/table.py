#!/usr/bin/env python3
"""Tables `USING milvus` beside heap tables: bench/run --suite table [--check]; see README.md."""
import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import psycopg

from bench import busy_share, environment, print_environment
from server import Server
from sql_peers import PEERS

K = 10
# A point query's client and its server process run on one core, and need some time to settle.
POINT_SECONDS = 1.0
IDLE_SECONDS = 30
# Columns of the tables with ten scalars; the second is what filters ask for.
SCALARS = ("id int4 PRIMARY KEY, bucket int4, score float8, flag boolean, kind int2, made timestamptz, "
           "day date, source text, title text, big int8")
SCALAR_ROWS = """
    SELECT i, (hashint4(i) & 2147483647) %% 1000, sqrt(i), i %% 3 = 0, i %% 7, timestamptz '2026-01-01' + i * interval '1 second',
           date '2026-01-01' + i %% 365, (ARRAY['web', 'mail', 'file', 'api'])[1 + i %% 4],
           'document ' || md5((i / 3)::text), i::int8 * 1000
    FROM generate_series(%s::int4, %s::int4) i"""
MEASURES = ("knn", "filter", "point", "copy", "size", "change", "idle")


@dataclass
class Line:
    """One measured thing: ours, what it is compared with, their ratio (more is better), what it must reach."""

    measure: str
    ours: str
    other: str
    ratio: float
    target: float | None
    at_most: bool = False

    @property
    def missed(self):
        if self.target is None:
            return False
        return self.ratio > self.target if self.at_most else self.ratio < self.target


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run --suite table", description=__doc__)
    parser.add_argument("--suite", choices=("table",), default="table", help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--only", action="append", choices=MEASURES, help="one measure; may be repeated")
    parser.add_argument("--rows", type=int, default=50_000, help="rows with a vector (default: %(default)s)")
    parser.add_argument("--dim", type=int, default=768, help="default: %(default)s")
    parser.add_argument("--scalar-rows", type=int, default=1_000_000, help="rows without a vector (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=POINT_SECONDS, help="of a timing of point queries (default: %(default)s)")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="seconds that idle workers are watched (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small tables, one round: does the benchmark itself work?")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    for name in ("--socket", "--client", "--scratch", "--cache", "--memory", "--peers"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows, arguments.scalar_rows, arguments.rounds = 5_000, 50_000, 1
        arguments.seconds, arguments.idle = 0.2, 3
    return arguments


def progress(text):
    print(f"  {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def median(values):
    return float(np.median(values))


def unit_vectors(rows, dim, seed):
    """Random directions: float32 in all their digits, so that no codec finds what embeddings do not have."""
    made = np.random.default_rng(seed).standard_normal((rows, dim), np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def vector_text(vector):
    return "[" + ",".join(f"{x:.9g}" for x in vector) + "]"


def copy_blocks(ids, vectors, block=2_000):
    """The pieces of a binary COPY of (id int4, embedding vector), made ahead of the timing."""
    dim = vectors.shape[1]
    row = np.dtype([("fields", ">i2"), ("id_size", ">i4"), ("id", ">i4"), ("size", ">i4"),
                    ("dim", ">u2"), ("unused", ">u2"), ("values", ">f4", (dim,))])
    pieces = [b"PGCOPY\n\xff\r\n\0" + bytes(8)]
    for start in range(0, len(vectors), block):
        part = np.zeros(len(vectors[start:start + block]), row)
        part["fields"], part["id_size"], part["size"], part["dim"] = 2, 4, 4 + 4 * dim, dim
        part["id"] = ids[start:start + block]
        part["values"] = vectors[start:start + block]
        pieces.append(part.tobytes())
    return [*pieces, b"\xff\xff"]


def copy_in(connection, table, pieces):
    with connection.cursor().copy(f"COPY {table} (id, embedding) FROM STDIN (FORMAT binary)") as copy:
        for piece in pieces:
            copy.write(piece)


class Suite:
    """The server, connections, and the figures so far."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.rounds = arguments.rounds
        self.server = Server(arguments.socket, arguments.port, arguments.client, arguments.scratch)
        self.lines = []
        PEERS["milvus"].install(self.server)
        self.peers = ["milvus"]
        try:
            PEERS["pgvector"].install(self.server)
            self.peers.append("pgvector")
        except SystemExit:
            progress("pgvector is not installed: exact search is compared with our own type in a heap table")
        self.connection = self.connect("milvus")
        self.has_method = self.one("SELECT count(*) FROM pg_am WHERE amname = 'milvus' AND amtype = 't'") > 0
        if not self.has_method:
            progress("this version has no table access method: heap is compared with heap")
        self.method = "milvus" if self.has_method else "heap"

    def connect(self, peer):
        connection = self.server.connect(PEERS[peer].search_path)
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.execute("SET statement_timeout = 0")
        return connection

    def one(self, statement, *parameters, connection=None):
        row = (connection or self.connection).execute(statement, parameters or None).fetchone()
        return next(iter(row.values()))

    def table(self, name, columns, method, connection=None):
        connection = connection or self.connection
        connection.execute(f"DROP TABLE IF EXISTS bench.{name}")
        connection.execute(f"CREATE TABLE bench.{name} ({columns}) USING {method}")
        connection.execute(f"ALTER TABLE bench.{name} SET (autovacuum_enabled = off)")
        return name

    def flush(self, name):
        """Seal all of a table, if it can be; seconds."""
        start = time.perf_counter()
        if self.one("SELECT amname FROM pg_am JOIN pg_class c ON c.relam = pg_am.oid WHERE c.oid = %s::regclass",
                    f"bench.{name}") == "milvus":
            self.connection.execute("SELECT * FROM milvus.flush_table(%s::regclass)", (f"bench.{name}",)).fetchall()
        return time.perf_counter() - start

    def settle(self, name):
        """Sealed, vacuumed, with statistics, in memory."""
        self.flush(name)
        self.connection.execute(f"VACUUM (ANALYZE, FREEZE) bench.{name}")
        self.connection.execute("SELECT public.pg_prewarm(%s::regclass)", (f"bench.{name}",))
        self.connection.execute("CHECKPOINT")

    def bytes_of(self, name):
        return self.one("""
            SELECT pg_relation_size(c.oid) + coalesce(pg_relation_size(c.reltoastrelid), 0) +
                   coalesce((SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indrelid = c.reltoastrelid), 0)
            FROM pg_class c WHERE oid = %s::regclass""", f"bench.{name}")

    def bandwidth(self):
        """Bytes a second that one thread reads from memory."""
        return float(subprocess.run([self.arguments.memory, "512", "5"], check=True, capture_output=True, text=True).stdout)

    def add(self, *arguments, **names):
        line = Line(*arguments, **names)
        self.lines.append(line)
        progress(f"{line.measure}: {line.ours} against {line.other}, ratio {line.ratio:.3f}")


def in_turn(number, ours, other):
    """Both, in the order of round `number`."""
    return (ours, other) if number % 2 == 0 else (other, ours)


def seconds_of(connection, statement, parameters=None):
    start = time.perf_counter()
    rows = connection.execute(statement, parameters, prepare=True).fetchall()
    return time.perf_counter() - start, rows


def measure_knn(suite):
    """Exact nearest neighbours, one process, no index."""
    rows, dim = suite.arguments.rows, suite.arguments.dim
    vectors = unit_vectors(rows, dim, 1)
    queries = unit_vectors(max(3, suite.rounds), dim, 2)
    pieces = copy_blocks(np.arange(rows), vectors)
    peer = suite.peers[-1]
    other = suite.connect(peer)
    suite.table("knn_ours", f"id int4, embedding vector({dim})", suite.method)
    suite.table("knn_heap", f"id int4, embedding vector({dim})", "heap", other)
    copy_in(suite.connection, "bench.knn_ours", pieces)
    copy_in(other, "bench.knn_heap", pieces)
    suite.settle("knn_ours")
    other.execute("VACUUM (ANALYZE, FREEZE) bench.knn_heap")

    def search(connection, table, query):
        return seconds_of(connection, f"SELECT id FROM bench.{table} ORDER BY embedding <-> %s::vector LIMIT {K}",
                          (vector_text(query),))

    for connection, table in ((suite.connection, "knn_ours"), (other, "knn_heap")):
        found = [row["id"] for row in search(connection, table, queries[0])[1]]
        exact = np.argsort(((vectors - queries[0]) ** 2).sum(axis=1))[:K].tolist()
        if found != exact:
            raise SystemExit(f"bench: {table} gave {found}, exact is {exact}")
    ours, theirs, width = [], [], []
    for number in range(suite.rounds):
        width.append(suite.bandwidth())
        for connection, table, times in in_turn(number, (suite.connection, "knn_ours", ours), (other, "knn_heap", theirs)):
            times.append(median([search(connection, table, query)[0] for query in queries]))
    read = 4 * dim * rows / median(ours)
    suite.add(f"exact top-{K}, {rows:,} x {dim}: share of read bandwidth", f"{read / 1e9:.2f} GB/s",
              f"{median(width) / 1e9:.2f} GB/s", read / median(width), 0.7)
    suite.add(f"exact top-{K}, against {peer} in a heap table", f"{median(ours) * 1e3:.1f} ms",
              f"{median(theirs) * 1e3:.1f} ms", median(theirs) / median(ours), 10.0)
    many = unit_vectors(64, dim, 3)
    if suite.has_method:
        suite.connection.execute("DROP TABLE IF EXISTS bench.queries")
        suite.connection.execute(f"CREATE TABLE bench.queries (id int4, embedding vector({dim}))")
        copy_in(suite.connection, "bench.queries", copy_blocks(np.arange(64), many))
        suite.connection.execute("ANALYZE bench.queries")
        joined = [seconds_of(suite.connection, f"""
            SELECT q.id, n.id FROM bench.queries q, LATERAL
                (SELECT id FROM bench.knn_ours t ORDER BY t.embedding <-> q.embedding LIMIT {K}) n""")[0]
                  for _ in range(suite.rounds)]
        suite.add("64 queries at once, against one by one", f"{median(joined) * 1e3:.0f} ms",
                  f"{64 * median(ours) * 1e3:.0f} ms", 64 * median(ours) / median(joined), None)
    other.close()


def make_scalars(suite):
    """Tables scalars_ours and scalars_heap, settled; made once."""
    if suite.one("SELECT to_regclass('bench.scalars_heap') IS NOT NULL") and getattr(suite, "scalars", False):
        return
    for name, method in (("scalars_ours", suite.method), ("scalars_heap", "heap")):
        suite.table(name, SCALARS, method)
        suite.connection.execute(f"INSERT INTO bench.{name} {SCALAR_ROWS}", (1, suite.arguments.scalar_rows))
        suite.settle(name)
    suite.scalars = True


def measure_filter(suite):
    """count(*) under a condition on an integer column of settled rows."""
    make_scalars(suite)
    for label, condition in (("10 %", "bucket BETWEEN 100 AND 199"), ("0.1 %", "bucket = 500"), ("all", "bucket >= 0")):
        ours, theirs = [], []
        for number in range(suite.rounds + 1):
            for table, times in (("scalars_ours", ours), ("scalars_heap", theirs)):
                seconds, rows = seconds_of(suite.connection, f"SELECT count(*) FROM bench.{table} WHERE {condition}")
                if number == 0:
                    times.clear()
                    expected = rows if table == "scalars_ours" else expected
                    if rows != expected:
                        raise SystemExit(f"bench: counts differ: {rows} and {expected}")
                else:
                    times.append(seconds)
        suite.add(f"filter + count, {suite.arguments.scalar_rows:,} rows, {label}", f"{median(ours) * 1e3:.1f} ms",
                  f"{median(theirs) * 1e3:.1f} ms", median(theirs) / median(ours), 5.0)


def make_wide(suite):
    """Tables wide_ours and wide_heap: ten scalars and a vector, settled; made once."""
    if getattr(suite, "wide", False):
        return
    rows, dim = suite.arguments.rows, suite.arguments.dim
    suite.connection.execute("DROP TABLE IF EXISTS bench.vectors")
    suite.connection.execute(f"CREATE UNLOGGED TABLE bench.vectors (id int4, embedding vector({dim}))")
    copy_in(suite.connection, "bench.vectors", copy_blocks(np.arange(1, rows + 1), unit_vectors(rows, dim, 4)))
    for name, method in (("wide_ours", suite.method), ("wide_heap", "heap")):
        suite.table(name, f"{SCALARS}, embedding vector({dim})", method)
        suite.connection.execute(f"INSERT INTO bench.{name} SELECT s.*, v.embedding FROM ({SCALAR_ROWS}) "
                                 "s(id) JOIN bench.vectors v USING (id) ORDER BY id", (1, rows))
        suite.settle(name)
    suite.connection.execute("DROP TABLE bench.vectors")
    suite.wide = True


def point_client(suite, table, columns, number=0):
    """A client that reads columns by primary key."""
    path = os.path.join(suite.arguments.scratch, f"ids.{number}")
    ids = np.random.default_rng(5).integers(1, suite.arguments.rows + 1, 5_000).astype(">i4")
    with open(path, "wb") as file:
        file.write(np.array([len(ids), 4], "<i4").tobytes() + ids.tobytes())
    client = suite.server.client(PEERS["milvus"].search_path, ("plan_cache_mode = force_generic_plan",))
    client.prepare(f"SELECT {columns} FROM bench.{table} WHERE id = $1::int4", path)
    return client


def measure_point(suite):
    """One row by primary key, through a client program that prepares the statement once."""
    make_wide(suite)
    kinds = (("without the vector", "id, bucket, score, title", 0.9), ("with the vector", "id, bucket, embedding", 1.0))
    for number, (label, columns, target) in enumerate(kinds):
        clients = [point_client(suite, table, columns, number) for table in ("wide_ours", "wide_heap")]
        rates = [[], []]
        for turn in range(suite.rounds + 1):
            for client, list_ in in_turn(turn, *zip(clients, rates)):
                qps = client.search(1, 1 if turn == 0 else 0, suite.arguments.seconds).qps
                if turn:
                    list_.append(qps)
        for client in clients:
            client.close()
        ours, theirs = map(median, rates)
        suite.add(f"point SELECT, sealed row, {label}", f"{ours:,.0f}/s", f"{theirs:,.0f}/s", ours / theirs, target)


def measure_copy(suite):
    """COPY of rows with vectors, then sealing them."""
    rows, dim = min(suite.arguments.rows, 20_000), suite.arguments.dim
    pieces = copy_blocks(np.arange(rows), unit_vectors(rows, dim, 6))
    ours, theirs, sealing = [], [], []
    for number in range(suite.rounds):
        for name, method, times in in_turn(number, ("copy_ours", suite.method, ours), ("copy_heap", "heap", theirs)):
            suite.table(name, f"id int4, embedding vector({dim})", method)
            suite.connection.execute("CHECKPOINT")
            start = time.perf_counter()
            copy_in(suite.connection, f"bench.{name}", pieces)
            times.append(time.perf_counter() - start)
            if name == "copy_ours":
                sealing.append(suite.flush(name))
    suite.add(f"COPY of {rows:,} rows x {dim}", f"{rows / median(ours):,.0f} rows/s",
              f"{rows / median(theirs):,.0f} rows/s", median(theirs) / median(ours), 0.9)
    if suite.has_method:
        suite.add("sealing, against COPY by one client", f"{rows / median(sealing):,.0f} rows/s",
                  f"{rows / median(ours):,.0f} rows/s", median(ours) / median(sealing), 1.0)
    for name in ("copy_ours", "copy_heap"):
        suite.connection.execute(f"DROP TABLE bench.{name}")


def measure_size(suite):
    """Bytes on disk after VACUUM FULL: main fork, TOAST, its index; no cache files."""
    make_wide(suite)
    make_scalars(suite)
    for label, tables, target in ((f"10 scalars + {suite.arguments.dim}-d", ("wide_ours", "wide_heap"), 0.85),
                                  ("scalars and texts", ("scalars_ours", "scalars_heap"), 0.7)):
        for name in tables:
            suite.connection.execute(f"VACUUM (FULL, FREEZE) bench.{name}")
            suite.settle(name)
        ours, theirs = (float(suite.bytes_of(name)) for name in tables)
        suite.add(f"bytes on disk, {label}", f"{ours / 1e6:.1f} MB", f"{theirs / 1e6:.1f} MB", ours / theirs, target,
                  at_most=True)


def measure_change(suite):
    """DELETE and UPDATE of random sealed rows, each row once."""
    make_wide(suite)
    rows = suite.arguments.rows
    share = max(50, rows // 100)
    order = (np.random.default_rng(7).permutation(rows) + 1).tolist()
    for label, statement, target in (("UPDATE of a scalar", "UPDATE bench.{} SET bucket = bucket + 1 WHERE id = ANY(%s)", None),
                                     ("DELETE", "DELETE FROM bench.{} WHERE id = ANY(%s)", 0.8)):
        ours, theirs = [], []
        for number in range(suite.rounds):
            ids, order = order[:share], order[share:]
            for name, times in in_turn(number, ("wide_ours", ours), ("wide_heap", theirs)):
                suite.connection.execute("CHECKPOINT")
                start = time.perf_counter()
                if suite.connection.execute(statement.format(name), (ids,)).rowcount != len(ids):
                    raise SystemExit(f"bench: {label} did not meet all rows of {name}")
                times.append(time.perf_counter() - start)
        suite.add(f"{label} of random sealed rows", f"{share / median(ours):,.0f} rows/s", f"{share / median(theirs):,.0f} rows/s",
                  median(theirs) / median(ours), target)
    suite.wide = False


def process_figures(pid):
    """(CPU seconds, times it went to sleep by itself) of a process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        switches = next(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), switches


def measure_idle(suite):
    """What the workers do when there is nothing to do, as the kernel counts it."""
    statement = "SELECT pid, backend_type FROM pg_stat_activity WHERE backend_type LIKE 'milvus%%'"
    suite.connection.execute("CHECKPOINT")
    time.sleep(min(10.0, suite.arguments.idle))
    before = {row["pid"]: process_figures(row["pid"]) for row in suite.connection.execute(statement)}
    if not before:
        progress("no workers run (shared_preload_libraries has no milvus): idle workers are not measured")
        return
    time.sleep(suite.arguments.idle)
    after = {pid: process_figures(pid) for pid in before}
    wakes = max(after[pid][1] - before[pid][1] for pid in before)
    cpu = sum(after[pid][0] - before[pid][0] for pid in before)
    suite.add(f"idle: wake-ups of the busiest of {len(before)} workers in {suite.arguments.idle:.0f} s", f"{wakes}", "0.1/s",
              wakes / suite.arguments.idle, 0.1, at_most=True)
    suite.add("idle: CPU of all workers", f"{cpu:.2f} s", f"{suite.arguments.idle:.0f} s", cpu / suite.arguments.idle, 0.0005, at_most=True)


def print_lines(lines):
    width = max(len(line.measure) for line in lines)
    print(f"\n{'measure':{width}}  {'milvus':>15}  {'heap':>15}  {'ratio':>7}  target")
    for line in lines:
        target = "" if line.target is None else f"{'<=' if line.at_most else '>='} {line.target:g}"
        print(f"{line.measure:{width}}  {line.ours:>15}  {line.other:>15}  {line.ratio:7.3f}  {target}"
              f"{'  MISSED' if line.missed else ''}")


def main():
    arguments = parse_arguments()
    busy_before = busy_share()
    suite = Suite(arguments)
    about = environment(suite.server, suite.peers)
    about["busy_before"] = busy_before
    for name in arguments.only or MEASURES:
        progress(name)
        globals()[f"measure_{name}"](suite)
    about["busy_after"] = busy_share()
    print_environment(about)
    print_lines(suite.lines)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"environment": about, "lines": [{**vars(line), "missed": line.missed} for line in suite.lines]},
                      file, indent=1)
    missed = sum(line.missed for line in suite.lines)
    print(f"\n{missed} of {sum(line.target is not None for line in suite.lines)} targets missed"
          f"{'' if suite.has_method else ' (heap against heap)'}")
    return 1 if arguments.check and (missed or not suite.has_method) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except psycopg.Error as error:
        sys.exit(f"bench: {error}".rstrip())
