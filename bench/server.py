"""The PostgreSQL server under test: connections, bulk loading, and the C client that does the timing."""
import os
import subprocess
import time
from dataclasses import dataclass

import numpy as np
import psycopg
from psycopg.rows import dict_row


@dataclass
class Sample:
    """What one timed run of statements gave.

    ids is rows x k in the order of the parameters (the first pass only), latencies_ns and starts_ns have one entry an
    execution, qps is executions over the whole run's time.
    """

    ids: np.ndarray
    starts_ns: np.ndarray
    latencies_ns: np.ndarray
    qps: float

    def percentile_us(self, percent):
        return float(np.percentile(self.latencies_ns, percent) / 1000)


class Server:
    """A running server on a unix socket. scratch is a folder for parameters and results of the client."""

    def __init__(self, socket, port, client_program, scratch):
        self.conninfo = f"host={socket} port={port} user=postgres dbname=postgres"
        self.client_program = client_program
        self.scratch = scratch

    def connect(self, search_path):
        """A connection for statements that are not timed, or that run for seconds."""
        connection = psycopg.connect(self.conninfo, autocommit=True, row_factory=dict_row)
        connection.execute(f"SET search_path = {search_path}")
        return connection

    def client(self, search_path, settings=(), number=0):
        """A timing client; number is its place among those that run together."""
        client = Client(self, search_path, settings)
        self._pin(client, number)
        return client

    def _pin(self, client, number):
        """Keep a client and its backend on one core, the number-th.

        They never run at the same time, and a message to a core that is not idle costs no wake-up: a round trip takes
        15 us on one core and 80 us or more between two cores of a virtual machine. Left to the scheduler it is now the
        one, now the other, which hides what is measured. The backend is another user's, so the server pins it.
        """
        cores = sorted(os.sched_getaffinity(0))
        core = cores[number % len(cores)]
        os.sched_setaffinity(client.process.pid, {core})
        with self.connect("pg_catalog") as connection:
            connection.execute("COPY (SELECT) TO PROGRAM "
                               f"'cat >/dev/null; taskset -pc {core} {client.backend_pid} >/dev/null'")

    def version(self):
        with self.connect("pg_catalog") as connection:
            return connection.execute("SHOW server_version").fetchone()["server_version"].split()[0]

    def settings(self):
        """Those settings of the server that decide what the figures mean."""
        names = ("shared_buffers", "effective_cache_size", "max_wal_size", "fsync", "autovacuum", "jit",
                 "max_parallel_maintenance_workers")
        with self.connect("pg_catalog") as connection:
            return {name: connection.execute("SELECT current_setting(%s) AS value", (name,)).fetchone()["value"]
                    for name in names}


class Client:
    """One process of bench/client.c with its connection. Commands can overlap between clients: start, then finish."""

    def __init__(self, server, search_path, settings=()):
        self.process = subprocess.Popen([server.client_program, server.conninfo], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.out = os.path.join(server.scratch, f"out.{self.process.pid}")
        self.k = None
        self.backend_pid = self._answer()[0]
        for setting in (f"search_path = {search_path}", *settings):
            self.set(setting)

    def _answer(self):
        """The (count, elapsed_ns) of the current command."""
        line = self.process.stdout.readline()
        word, _, rest = line.strip().partition(" ")
        if word != "ok":
            raise RuntimeError(f"client: {rest or 'the client ended'}")
        count, elapsed = rest.split()
        return int(count), int(elapsed)

    def command(self, line):
        self.process.stdin.write(line + "\n")
        return self._answer()

    def set(self, setting):
        self.command(f"sql SET {setting}")

    def prepare(self, statement, parameters):
        """Prepare statement; parameters is a file that write_parameters made."""
        self.command(f"parameters {parameters}")
        self.command(f"prepare {statement}")

    def start_search(self, k, passes=1, seconds=0.0, first=0):
        self.k = k
        self.process.stdin.write(f"search {k} {passes} {seconds} {first} {self.out}\n")

    def start_insert(self, rows, seconds, first_id, rate=0):
        """Insert rows one by one; rate: rows a second, 0 as fast as it goes."""
        self.k = 0
        self.process.stdin.write(f"insert {rows} {seconds} {rate} {first_id} {self.out}\n")

    def finish(self):
        """Wait for the command that was started; its Sample."""
        count, elapsed = self._answer()
        record = np.dtype([("start", "<i8"), ("latency", "<i8"), ("parameter", "<i4"), ("rows", "<i4"),
                           ("ids", "<i4", (self.k,))])
        records = np.fromfile(self.out, record)
        # The first pass has each parameter once; later passes only add latencies.
        again = np.flatnonzero(records["parameter"] == records["parameter"][0])[1:] if count else []
        first_pass = records[:again[0]] if len(again) else records
        ids = first_pass["ids"][np.argsort(first_pass["parameter"])]
        return Sample(ids, records["start"], records["latency"], count * 1e9 / max(elapsed, 1))

    def search(self, k, passes=1, seconds=0.0):
        self.start_search(k, passes, seconds)
        return self.finish()

    def insert(self, rows, seconds, first_id):
        self.start_insert(rows, seconds, first_id)
        return self.finish()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        if os.path.exists(self.out):
            os.remove(self.out)


def wire_vectors(vectors):
    """vectors (n x dim float32) in the binary format of type vector: a structured array without padding."""
    dim = vectors.shape[1]
    wire = np.empty(len(vectors), [("dim", ">u2"), ("unused", ">u2"), ("values", ">f4", (dim,))])
    wire["dim"], wire["unused"], wire["values"] = dim, 0, vectors
    return wire


def write_parameters(path, vectors):
    """Write vectors as a parameter file of bench/client.c; returns path."""
    wire = wire_vectors(vectors)
    with open(path, "wb") as file:
        file.write(np.array([len(wire), wire.dtype.itemsize], "<i4").tobytes())
        file.write(wire.tobytes())
    return path


def copy_vectors(connection, table, vectors, block=10_000):
    """COPY vectors into table (id int4, embedding vector), ids from 0, in binary."""
    dim = vectors.shape[1]
    width = 4 + 4 * dim
    row = np.dtype([("fields", ">i2"), ("id_size", ">i4"), ("id", ">i4"), ("size", ">i4"),
                    ("dim", ">u2"), ("unused", ">u2"), ("values", ">f4", (dim,))])
    with connection.cursor().copy(f"COPY {table} (id, embedding) FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for start in range(0, len(vectors), block):
            part = vectors[start:start + block]
            rows = np.zeros(len(part), row)
            rows["fields"], rows["id_size"], rows["size"], rows["dim"] = 2, 4, width, dim
            rows["id"] = np.arange(start, start + len(part))
            rows["values"] = part
            copy.write(rows.tobytes())
        copy.write(b"\xff\xff")


def timed(connection, statement):
    """Seconds that statement takes, with a checkpoint before it so that none falls into it."""
    connection.execute("CHECKPOINT")
    start = time.perf_counter()
    connection.execute(statement)
    return time.perf_counter() - start
