#!/usr/bin/env python3
"""milvus.insert_columns beside COPY of the same rows, in turn, on a running server; see README.md.

    python3 bench/collection.py --socket /tmp --port 5432 [--storage heap] [--index] [--rows N] [--batch N] [--rounds N]
"""
import argparse
import statistics
import sys
import time

import numpy as np
import psycopg


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket", default="/tmp", help="folder of the server's socket (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5432)
    parser.add_argument("--user", default="postgres")
    parser.add_argument("--dbname", default="postgres")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a round (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=2_000, help="rows of a call (default: %(default)s)")
    parser.add_argument("--dim", type=int, default=768, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--storage", choices=("milvus", "heap"), default="milvus", help="default: %(default)s")
    parser.add_argument("--index", action="store_true", help="with the vector index, which costs both the same")
    parser.add_argument("--check", action="store_true", help="exit 1 when a ratio is below the target, 0.7")
    return parser.parse_args()


def array_bytes(element_type, elements, dims):
    """The binary form of an array whose elements are rows of a structured array: length, value."""
    header = np.array([len(dims), 0, element_type], ">i4").tobytes()
    for dim in dims:
        header += np.array([dim, 1], ">i4").tobytes()
    return header + elements.tobytes()


def ids_array(ids):
    elements = np.empty(len(ids), [("length", ">i4"), ("value", ">i8")])
    elements["length"], elements["value"] = 8, ids
    return array_bytes(20, elements, [len(ids)])


def vectors_array(vector_type, vectors):
    dim = vectors.shape[1]
    elements = np.empty(len(vectors), [("length", ">i4"), ("dim", ">u2"), ("unused", ">u2"), ("values", ">f4", (dim,))])
    elements["length"], elements["dim"], elements["unused"], elements["values"] = 4 + 4 * dim, dim, 0, vectors
    return array_bytes(vector_type, elements, [len(vectors)])


def reals_array(vectors):
    elements = np.empty(vectors.shape, [("length", ">i4"), ("value", ">f4")])
    elements["length"], elements["value"] = 4, vectors
    return array_bytes(700, elements, vectors.shape)


def bytes_array(vectors):
    dim = vectors.shape[1]
    elements = np.empty(len(vectors), [("length", ">i4"), ("values", "<f4", (dim,))])
    elements["length"], elements["values"] = 4 * dim, vectors
    return array_bytes(17, elements, [len(vectors)])


def copy_bytes(ids, vectors):
    dim = vectors.shape[1]
    rows = np.empty(len(ids), [("fields", ">i2"), ("id_size", ">i4"), ("id", ">i8"), ("size", ">i4"),
                               ("dim", ">u2"), ("unused", ">u2"), ("values", ">f4", (dim,))])
    rows["fields"], rows["id_size"], rows["id"] = 2, 8, ids
    rows["size"], rows["dim"], rows["unused"], rows["values"] = 4 + 4 * dim, dim, 0, vectors
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


class Insert:
    """Rows by calls of milvus.insert_columns, vectors in one of the forms that it takes."""

    def __init__(self, name, vector_type, convert):
        self.name, self.vector_type, self.convert = name, vector_type, convert

    def prepare(self, ids, vectors, batch):
        self.calls = [(ids_array(ids[i:i + batch]), self.convert(vectors[i:i + batch])) for i in range(0, len(ids), batch)]

    def run(self, connection):
        for call in self.calls:
            result = connection.pgconn.exec_params(
                b"SELECT insert_count FROM milvus.insert_columns('bench_rows', '{id,vector}', NULL, NULL, $1, $2)",
                list(call), [1016, self.vector_type], [1, 1])
            if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
                raise RuntimeError(result.error_message.decode())


class Copy:
    name = "COPY"

    def prepare(self, ids, vectors, batch):
        self.data = copy_bytes(ids, vectors)

    def run(self, connection):
        with connection.cursor().copy("COPY bench_rows (id, vector) FROM STDIN (FORMAT binary)") as copy:
            for i in range(0, len(self.data), 1 << 20):
                copy.write(self.data[i:i + (1 << 20)])


def main():
    arguments = parse_arguments()
    connection = psycopg.connect(host=arguments.socket, port=arguments.port, user=arguments.user, dbname=arguments.dbname,
                                 autocommit=True)
    connection.execute("SET client_min_messages = warning")
    connection.execute(f"SET milvus.default_storage = {arguments.storage}")
    connection.execute("SELECT milvus.drop_collection('bench_rows')")
    connection.execute("SELECT milvus.create_collection('bench_rows', %s::integer)", (arguments.dim,))
    if not arguments.index:
        connection.execute("SELECT milvus.release_collection('bench_rows')")
        connection.execute("SELECT milvus.drop_index('bench_rows', name) FROM milvus.list_indexes('bench_rows') AS name")
    vector_type, vector_array = connection.execute("SELECT typelem, oid FROM pg_type WHERE oid = ("
        "SELECT typarray FROM pg_type t JOIN pg_attribute a ON a.atttypid = t.oid "
        "WHERE a.attrelid = 'bench_rows'::regclass AND a.attname = 'vector')").fetchone()
    ways = [Copy(),
            Insert("vector[]", vector_array, lambda v: vectors_array(vector_type, v)),
            Insert("bytea[]", 1001, bytes_array),
            Insert("real[][]", 1021, reals_array)]
    random = np.random.default_rng(1)
    vectors = random.standard_normal((arguments.rows, arguments.dim), dtype=np.float32)
    ids = np.arange(arguments.rows)
    for way in ways:
        way.prepare(ids, vectors, arguments.batch)
    times = {way.name: [] for way in ways}
    for round_number in range(arguments.rounds + 1):
        for way in ways:
            connection.execute("TRUNCATE bench_rows")
            connection.execute("CHECKPOINT")
            start = time.perf_counter()
            with connection.transaction():
                way.run(connection)
            if round_number > 0:  # the first is a warm-up
                times[way.name].append(time.perf_counter() - start)
    connection.execute("SELECT milvus.drop_collection('bench_rows')")
    base = statistics.median(times["COPY"])
    missed = False
    print(f"{arguments.rows} rows of {arguments.dim} dimensions, {arguments.storage}, {'indexed' if arguments.index else 'no vector index'}, "
          f"calls of {arguments.batch} rows, medians of {arguments.rounds} rounds")
    for way in ways:
        middle = statistics.median(times[way.name])
        # of the same round: what else the machine does hits both
        ratio = statistics.median(c / t for c, t in zip(times["COPY"], times[way.name]))
        print(f"{way.name:10} {arguments.rows / middle:9.0f} rows/s  {base / middle:5.2f} x COPY, by rounds {ratio:5.2f}")
        missed |= way.name == "vector[]" and ratio < 0.7
    if arguments.check and missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
