#!/usr/bin/env python3
"""Updates, inserts and deletes for minutes or hours, autovacuum on: recall, size and speed over time.

bench/run --churn MINUTES prepares a server and calls this; a server that is there is used with
--socket and --port. A line a minute (--interval); see README.md.
"""
import argparse
import multiprocessing
import os
import random
import signal
import sys
import time

import numpy as np
import psycopg

# What a writer does, and how often of a hundred times.
OPERATIONS = {"note": 50, "vector": 25, "insert": 12, "delete": 12, "topic": 1}
TOPICS = 20
HEADS = ("minute", "rows", "TPS", "recall", "filtered", "p50 ms", "p99 ms", "index MB", "free MB", "segments",
         "growing", "deleted", "table MB", "HOT")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run --churn", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--churn", type=float, metavar="MINUTES", required=True)
    parser.add_argument("--data", metavar="DIR", required=True, help="folder with base.npy and queries.npy")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the table (default: %(default)s)")
    parser.add_argument("--writers", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--interval", type=float, default=60, metavar="SECONDS", help="default: %(default)s")
    parser.add_argument("--with", dest="options", default="index_type = 'HNSW', m = 16, ef_construction = 100",
                        metavar="OPTIONS", help="storage parameters of the index (default: %(default)s)")
    parser.add_argument("--metric", choices=("cosine", "l2", "ip"), default="cosine")
    parser.add_argument("--socket", default="/tmp", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=5432)
    for name in ("--client", "--scratch", "--cache", "--peers"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    return parser.parse_args()


OPERATORS = {"cosine": "<=>", "l2": "<->", "ip": "<#>"}


def connect(arguments, schema=None):
    """A connection that sees the table and, once it has one, the extension's schema."""
    connection = psycopg.connect(host=arguments.socket, port=arguments.port, user="postgres", dbname="postgres",
                                 autocommit=True)
    connection.execute("SET statement_timeout = 0")
    if schema:
        connection.execute(f"SET search_path = churn, {schema}, public")
    return connection


def text(vector):
    return "[" + ",".join(f"{x:.6g}" for x in vector) + "]"


def prepare(arguments, base):
    """The table and its index, in schemas of their own; those of an earlier run are dropped."""
    with connect(arguments) as connection:
        connection.execute("DROP SCHEMA IF EXISTS churn CASCADE")
        connection.execute("CREATE SCHEMA churn")
        if connection.execute("SELECT FROM pg_extension WHERE extname = 'milvus'").fetchone() is None:
            connection.execute("CREATE SCHEMA IF NOT EXISTS milvus_ann")
            connection.execute("CREATE EXTENSION milvus SCHEMA milvus_ann")
        schema = connection.execute(
            "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'milvus'").fetchone()[0]
        connection.execute(f"SET search_path = churn, {schema}, public")
        # room in every page, as a table with many updates is given
        connection.execute(f"CREATE TABLE items (id int PRIMARY KEY, topic int, note text, "
                           f"embedding vector({base.shape[1]})) WITH (fillfactor = 80)")
        with connection.cursor().copy("COPY items FROM STDIN") as copy:
            for number in range(arguments.rows):
                copy.write_row((2 * number, number % TOPICS, "new", text(base[number % len(base)])))
        connection.execute(f"CREATE INDEX items_embedding ON items USING ann (embedding vector_{arguments.metric}_ops, topic) "
                           f"WITH ({arguments.options})")
        connection.execute("ALTER SYSTEM SET autovacuum = on")
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = '10s'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("ANALYZE items")
        return schema


def write(arguments, schema, seed, counters, stop):
    """One writer: a statement a transaction until told to stop; counts what it changed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    base = np.load(os.path.join(arguments.data, "base.npy"), mmap_mode="r")
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    names, weights = list(OPERATIONS), list(OPERATIONS.values())
    with connect(arguments, schema) as connection:
        connection.execute("SET synchronous_commit = off")
        while not stop.is_set():
            operation = rng.choices(names, weights)[0]
            # every other id is taken, and stays so as inserts and deletes are equally frequent
            row = rng.randrange(2 * arguments.rows)
            if operation in ("vector", "insert"):
                vector = np.asarray(base[rng.randrange(len(base))], np.float32)
                move = noise.standard_normal(len(vector), np.float32)
                vector = text(vector + move * (0.5 * np.linalg.norm(vector) / np.linalg.norm(move)))
            if operation == "note":
                done = connection.execute("UPDATE items SET note = %s WHERE id = %s", (str(rng.random()), row))
            elif operation == "topic":
                done = connection.execute("UPDATE items SET topic = %s WHERE id = %s", (rng.randrange(TOPICS), row))
            elif operation == "vector":
                done = connection.execute("UPDATE items SET embedding = %s WHERE id = %s", (vector, row))
            elif operation == "delete":
                done = connection.execute("DELETE FROM items WHERE id = %s", (row,))
            else:
                done = connection.execute("INSERT INTO items VALUES (%s, %s, 'new', %s) ON CONFLICT (id) DO NOTHING",
                                          (row, row % TOPICS, vector))
            counter = counters[operation]
            with counter.get_lock():
                counter.value += done.rowcount


def search_for(connection, query, operator, topic=None):
    where = "WHERE topic = %(topic)s" if topic is not None else ""
    statement = f"SELECT id FROM items {where} ORDER BY embedding {operator} %(query)s LIMIT 10"
    return [row[0] for row in connection.execute(statement, {"query": query, "topic": topic}).fetchall()]


def measure_recall(connection, queries, operator):
    """Recall of all rows and of one topic's, each query answered twice in one snapshot."""
    shares = {None: [], 7: []}
    for query in queries:
        for topic, list_of in shares.items():
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                found = search_for(connection, query, operator, topic)
                connection.execute("SET LOCAL enable_indexscan = off")
                exact = search_for(connection, query, operator, topic)
            list_of.append(len(set(found) & set(exact)) / max(1, len(exact)))
    return [float(np.mean(values)) for values in shares.values()]


def figures(connection):
    row = connection.execute("""
        SELECT s.bytes, s.free_bytes, s.segments, s.growing_rows, s.deleted_rows, pg_table_size('items'),
            t.n_tup_hot_upd, (SELECT count(*) FROM items), t.autovacuum_count
        FROM milvus.index_stats('items_embedding') s, pg_stat_user_tables t WHERE t.relid = 'items'::regclass""").fetchone()
    return dict(zip(("bytes", "free", "segments", "growing", "deleted", "table", "hot", "rows", "autovacuums"), row))


def main():
    arguments = parse_arguments()
    base = np.load(os.path.join(arguments.data, "base.npy"), mmap_mode="r")
    queries = [text(vector) for vector in np.load(os.path.join(arguments.data, "queries.npy"))[:200]]
    operator = OPERATORS[arguments.metric]
    schema = prepare(arguments, base)
    counters = {name: multiprocessing.Value("q", 0) for name in OPERATIONS}
    stop = multiprocessing.Event()
    writers = [multiprocessing.Process(target=write, args=(arguments, schema, number, counters, stop), daemon=True)
               for number in range(arguments.writers)]
    searcher, connection = connect(arguments, schema), connect(arguments, schema)
    connection.prepare_threshold = None     # a plan that was kept would not look at settings again
    for writer in writers:
        writer.start()
    print(f"{arguments.rows:,} rows, {arguments.writers} writers, {arguments.options}; "
          f"of 100 statements: {', '.join(f'{share} {name}' for name, share in OPERATIONS.items())}")
    print("  ".join(head.rjust(8) for head in HEADS), flush=True)

    start = time.monotonic()
    before = {name: 0 for name in counters}
    hot_before = notes_before = 0
    rng = random.Random(1)
    try:
        for number in range(1, int(np.ceil(arguments.churn * 60 / arguments.interval)) + 1):
            latencies = []
            began = time.monotonic()
            while time.monotonic() < start + number * arguments.interval:
                asked = time.perf_counter()
                search_for(searcher, rng.choice(queries), operator, rng.choice((None, rng.randrange(TOPICS))))
                latencies.append(time.perf_counter() - asked)
                # a tenth of one core's time is left to searches
                time.sleep(9 * latencies[-1])
            elapsed = time.monotonic() - began
            now = {name: counter.value for name, counter in counters.items()}
            recalls = measure_recall(connection, queries[:50], operator)
            time.sleep(1.1)            # for the writers' statistics to arrive
            stats = figures(connection)
            notes = counters["note"].value - notes_before
            print("  ".join(cell.rjust(8) for cell in (
                f"{(time.monotonic() - start) / 60:.1f}", f"{stats['rows']}",
                f"{(sum(now.values()) - sum(before.values())) / elapsed:.0f}",
                *(f"{value:.3f}" for value in recalls),
                *(f"{1000 * value:.2f}" for value in np.percentile(latencies or [np.nan], (50, 99))),
                f"{stats['bytes'] / 1e6:.1f}", f"{stats['free'] / 1e6:.1f}", str(stats["segments"]), str(stats["growing"]),
                str(stats["deleted"]), f"{stats['table'] / 1e6:.1f}",
                f"{(stats['hot'] - hot_before) / max(1, notes):.3f}")), flush=True)
            before = {name: counter.value for name, counter in counters.items()}
            hot_before, notes_before = stats["hot"], notes_before + notes
    except KeyboardInterrupt:
        pass
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    problems = [row[0] for row in connection.execute("SELECT milvus.check_index('items_embedding')").fetchall()]
    print(f"changed: {', '.join(f'{counter.value} {name}' for name, counter in counters.items())}; "
          f"{figures(connection)['autovacuums']} autovacuums; check_index: {problems or 'no problem'}")
    connection.execute("ALTER SYSTEM RESET autovacuum")
    connection.execute("ALTER SYSTEM RESET autovacuum_naptime")
    connection.execute("SELECT pg_reload_conf()")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
