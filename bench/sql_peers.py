"""The peers inside PostgreSQL, milvus and pgvector, measured in one server by one client program.

Each extension lives in a schema of its own and a connection sees only one of them. Each index has its own table in
schema bench, so that the planner has no choice to make.
"""
import os
from dataclasses import dataclass

import psycopg

from peers import BuiltIndex, Kept
from server import copy_vectors, timed, write_parameters

OPERATORS = {"l2": ("<->", "vector_l2_ops"), "cosine": ("<=>", "vector_cosine_ops"), "ip": ("<#>", "vector_ip_ops")}

# A prepared statement is planned once, and on the index also where a small set would be sorted instead.
CLIENT_SETTINGS = ("plan_cache_mode = force_generic_plan", "enable_seqscan = off")


@dataclass(frozen=True)
class SqlPeer:
    """How one extension is spelled: names of extension, schema, access method, and the setting behind each knob."""

    name: str
    extension: str
    schema: str
    access_method: str
    settings: dict

    @property
    def search_path(self):
        return f"bench, {self.schema}"

    def install(self, server):
        """CREATE EXTENSION; ends the program with a reason when the server does not have it or lacks the method."""
        with server.connect("public") as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm SCHEMA public")
            try:
                # Ours is made anew: its scripts change while its version stays.
                if self.name == "milvus":
                    connection.execute("DROP EXTENSION IF EXISTS milvus CASCADE")
                connection.execute(f"CREATE EXTENSION IF NOT EXISTS {self.extension} SCHEMA {self.schema}")
            except psycopg.Error as error:
                raise SystemExit(f"bench: peer {self.name} cannot be measured: {error}".rstrip())
            if self.access_method and not connection.execute(
                    "SELECT 1 FROM pg_am WHERE amname = %s", (self.access_method,)).fetchone():
                raise SystemExit(f"bench: peer {self.name} cannot be measured: the installed extension "
                                 f"{self.extension} has no access method {self.access_method}")

    def version(self, server):
        with server.connect("pg_catalog") as connection:
            return connection.execute("SELECT extversion AS v FROM pg_extension WHERE extname = %s",
                                      (self.extension,)).fetchone()["v"]

    def index_clause(self, spec, metric):
        """The part of CREATE INDEX after the table's name."""
        options = dict(spec.options)
        method = self.access_method
        if self.name == "pgvector":
            method = options.pop("index_type")
        with_list = ", ".join(f"{name} = {value!r}" for name, value in options.items())
        return f"USING {method} (embedding {OPERATORS[metric][1]}) WITH ({with_list})"


PEERS = {
    "milvus": SqlPeer("milvus", "milvus", "milvus_ext", "ann", {"ef": "milvus.ef", "nprobe": "milvus.nprobe"}),
    "pgvector": SqlPeer("pgvector", "vector", "pgvector_ext", "hnsw",
                        {"ef": "hnsw.ef_search", "probes": "ivfflat.probes"}),
}


class Table:
    """A table bench.<name> (id int4, embedding vector) with a data set's vectors, for one peer; perhaps an index."""

    def __init__(self, server, peer, name, dataset):
        self.server = server
        self.peer = peer
        self.name = name
        self.index = f"{name}_idx"
        self.dataset = dataset
        self.connection = server.connect(peer.search_path)
        self.notices = []
        self.connection.add_notice_handler(lambda notice: self.notices.append(notice.message_primary))
        self.connection.execute(f"SET maintenance_work_mem = '{self._maintenance_kb()}kB'")
        self.clients = []

    def _maintenance_kb(self):
        """Memory enough for either peer's graph: the vector, some 40 neighbours of 16 bytes, and overhead a row."""
        return 256 * 1024 + self.dataset.rows * (4 * self.dataset.dim + 1000) // 1024

    def exists(self):
        return self.connection.execute("SELECT to_regclass(%s) AS oid", (f"bench.{self.name}",)).fetchone()["oid"]

    def load(self):
        """Make the table anew with all rows of the data set, vacuumed and in memory, without an index."""
        self.drop()
        self.connection.execute(f"CREATE TABLE {self.name} (id int4, embedding vector({self.dataset.dim}))")
        copy_vectors(self.connection, self.name, self.dataset.base)
        self.connection.execute(f"VACUUM (ANALYZE) {self.name}")
        self.connection.execute("SELECT public.pg_prewarm(%s::regclass)", (self.name,))
        return self

    def build(self, spec):
        """(Re)build the index; seconds."""
        self.connection.execute(f"DROP INDEX IF EXISTS {self.index}")
        self.notices.clear()
        clause = self.peer.index_clause(spec, self.dataset.metric)
        return timed(self.connection, f"CREATE INDEX {self.index} ON {self.name} {clause}")

    def warm(self):
        """Bring the index to where searches of this peer read it from; the bytes of its cache files if it has any."""
        if self.peer.name == "milvus":
            return self.connection.execute("SELECT milvus.load_index(%s::regclass) AS bytes",
                                           (self.index,)).fetchone()["bytes"]
        self.connection.execute("SELECT public.pg_prewarm(%s::regclass)", (self.index,))
        return None

    def index_bytes(self):
        return self.connection.execute("SELECT pg_total_relation_size(%s::regclass) AS bytes",
                                       (self.index,)).fetchone()["bytes"]

    def search_statement(self, k, where=None):
        """The measured query; $1 is the query vector. where is a condition on the table's columns."""
        operator = OPERATORS[self.dataset.metric][0]
        condition = f"WHERE {where} " if where else ""
        return f"SELECT id FROM {self.name} {condition}ORDER BY embedding {operator} $1 LIMIT {k}"

    def check_plan(self, k):
        """End the program if the measured query does not use the index: its figures would be another method's."""
        statement = self.search_statement(k).replace("$1", f"(SELECT embedding FROM {self.name} LIMIT 1)")
        with self.connection.transaction():
            self.connection.execute("SET LOCAL enable_seqscan = off")
            plan = "\n".join(row["QUERY PLAN"] for row in self.connection.execute(f"EXPLAIN (COSTS OFF) {statement}"))
        if f"Index Scan using {self.index}" not in plan:
            raise SystemExit(f"bench: {self.peer.name} does not use its index:\n{plan}")

    def open_clients(self, count, k):
        """At least count warm clients with the search prepared; the same ones each time."""
        if len(self.clients) < count:
            parameters = write_parameters(os.path.join(self.server.scratch, f"{self.name}.queries"),
                                          self.dataset.queries)
            while len(self.clients) < count:
                client = self.server.client(self.peer.search_path, CLIENT_SETTINGS, number=len(self.clients))
                client.prepare(self.search_statement(k), parameters)
                client.search(k)
                self.clients.append(client)
            os.remove(parameters)
        return self.clients[:count]

    def set_effort(self, clients, knob, effort):
        for client in clients:
            client.set(f"{self.peer.settings[knob]} = {effort}")

    def search_many(self, count, k, seconds):
        """Queries per second of count clients together, each starting at another query."""
        clients = self.open_clients(count, k)
        stride = max(1, len(self.dataset.queries) // count)
        for number, client in enumerate(clients):
            client.start_search(k, passes=0, seconds=seconds, first=number * stride)
        return sum([client.finish().qps for client in clients])

    def inserter(self, vectors):
        """A client prepared to insert vectors, with synchronous_commit off."""
        parameters = write_parameters(os.path.join(self.server.scratch, f"{self.name}.inserts"), vectors)
        client = self.server.client(self.peer.search_path, ("synchronous_commit = off",), number=1)
        client.prepare(f"INSERT INTO {self.name} (id, embedding) VALUES ($1, $2)", parameters)
        os.remove(parameters)
        return client

    def drop(self):
        self.connection.execute(f"DROP TABLE IF EXISTS {self.name}")

    def close(self, keep=False):
        for client in self.clients:
            client.close()
        self.clients = []
        if not keep:
            self.drop()
        self.connection.close()


class SqlIndex(BuiltIndex):
    """An index on a table of its own. A kept one is the table that an earlier run left in the server."""

    def __init__(self, server, spec, dataset, kept, k):
        super().__init__(spec)
        peer = PEERS[spec.peer]
        key = Kept.key(dataset.fingerprint, peer.name, peer.version(server), server.version(), spec.options)
        self.dataset = dataset
        self.table = Table(server, peer, f"{peer.name}_{key}", dataset)
        figures = kept.get(key) if peer.name != "milvus" else None
        self.keep = bool(kept.folder) and peer.name != "milvus" and (figures is not None or kept.writable)
        if figures is not None and self.table.exists():
            self.kept = True
            self.build_s = figures["build_s"]
            self.table.connection.execute("SELECT public.pg_prewarm(%s::regclass)", (self.table.name,))
        else:
            self.rebuild(load=True)
            if self.keep:
                kept.put(key, build_s=self.build_s)
        self.cache_bytes = self.table.warm()
        self.table.check_plan(k)
        self.index_bytes = self.table.index_bytes()

    def rebuild(self, load=False):
        """Build again, and measure it."""
        if load:
            self.table.load()
        self.build_s = self.table.build(self.spec)
        # A notice during a build is a warning about memory or parameters that the reader must see.
        self.notes = list(dict.fromkeys(self.table.notices))
        self.table.connection.execute(f"VACUUM {self.table.name}")

    def search(self, effort, k, seconds):
        clients = self.table.open_clients(1, k)
        self.table.set_effort(clients, self.spec.knob, effort)
        return clients[0].search(k, passes=1, seconds=seconds)

    def search_many(self, effort, k, seconds, clients):
        self.table.set_effort(self.table.open_clients(clients, k), self.spec.knob, effort)
        return self.table.search_many(clients, k, seconds)

    def close(self):
        self.table.close(keep=self.keep)


def drop_leftovers(server, cache):
    """Drop the tables that a run which did not end left behind: all but those with kept figures in folder cache."""
    with server.connect("bench") as connection:
        for row in connection.execute("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'bench'").fetchall():
            peer, _, key = row["name"].partition("_")
            if peer != "pgvector" or not os.path.exists(os.path.join(cache, f"{key}.json")):
                connection.execute(f"DROP TABLE bench.{row['name']}")
