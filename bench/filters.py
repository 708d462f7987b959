"""Search with a condition on another column: our index with scalar columns, pgvector's iterative scan, B-tree and sort.

Outside: our index has the vector alone, and each column a B-tree. pgvector's table has the same B-trees then, and is kept from
sorting what they find: that is the third way.

Columns: uniform (seeded, 0 to 9,999, unrelated to the vectors), region (0 to 999, rank by a random direction, so that a
condition on it matches rows that lie together, near some queries and far from others) and, where the data set has
base.tsv.gz, part of speech and topic of its texts.
"""
import gzip
import os

import numpy as np

from dataset import exact_neighbours, recall
from results import Point
from sql_peers import CLIENT_SETTINGS, PEERS, OPERATORS, Table

UNIFORM_VALUES, REGIONS = 10_000, 1_000
OUR_EFFORTS = (16, 24, 40, 64, 100, 160)
PGVECTOR_EFFORTS = (40, 64, 100, 200)
QUERIES = 300


def columns_of(dataset, folder):
    """Names and int4 values of the other columns."""
    rng = np.random.default_rng(7)
    along = dataset.base @ rng.standard_normal(dataset.dim, dtype=np.float32)
    region = np.empty(dataset.rows, np.int32)
    region[np.argsort(along, kind="stable")] = np.arange(dataset.rows, dtype=np.int64) * REGIONS // dataset.rows
    columns = {"uniform": rng.integers(UNIFORM_VALUES, size=dataset.rows, dtype=np.int32), "region": region}
    texts = os.path.join(folder, "base.tsv.gz")
    if os.path.exists(texts):
        with gzip.open(texts, "rt", encoding="utf-8") as file:
            fields = [line.split("\t")[:3] for line in file][:dataset.rows]
        columns["speech"] = np.array([ord(field[1]) for field in fields], np.int32)
        columns["topic"] = np.array([int(field[2]) for field in fields], np.int32)
    return columns


def conditions_of(columns, shares):
    """(label, SQL, rows that match) of each condition."""
    made = []
    for share in shares:
        bound = round(share * UNIFORM_VALUES / 100)
        made.append((f"uniform, {share:g} %", f"uniform < {bound}", columns["uniform"] < bound))
    bound = REGIONS * 9 // 10
    made.append(("region, 10 %", f"region >= {bound}", columns["region"] >= bound))
    if "topic" in columns:
        made.append(("speech = v", f"speech = {ord('v')}", columns["speech"] == ord("v")))
        values, counts = np.unique(columns["topic"], return_counts=True)
        topic = int(values[np.argmin(abs(counts - len(columns["topic"]) / 100))])
        made.append((f"topic = {topic}", f"topic = {topic}", columns["topic"] == topic))
    return made


class FilterTable(Table):
    """A table with the other columns besides; indexes as a peer would have them."""

    def __init__(self, server, peer, name, dataset, columns):
        super().__init__(server, PEERS[peer], name, dataset)
        self.columns = columns

    def load(self):
        self.drop()
        listed = ", ".join(f"{name} int4" for name in self.columns)
        self.connection.execute(f"CREATE TABLE {self.name} (id int4, {listed}, embedding vector({self.dataset.dim}))")
        self._copy()
        self.connection.execute(f"VACUUM (ANALYZE) {self.name}")
        self.connection.execute("SELECT public.pg_prewarm(%s::regclass)", (self.name,))
        return self

    def _copy(self, block=10_000):
        dim = self.dataset.dim
        width = 4 + 4 * dim
        numbers = {"id": np.arange(self.dataset.rows, dtype=np.int32), **self.columns}
        row = np.dtype([("fields", ">i2"),
                        *(field for name in numbers for field in ((f"{name}_size", ">i4"), (name, ">i4"))),
                        ("size", ">i4"), ("dim", ">u2"), ("unused", ">u2"), ("values", ">f4", (dim,))])
        with self.connection.cursor().copy(
                f"COPY {self.name} ({', '.join(numbers)}, embedding) FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for start in range(0, self.dataset.rows, block):
                part = self.dataset.base[start:start + block]
                rows = np.zeros(len(part), row)
                rows["fields"], rows["size"], rows["dim"], rows["values"] = len(numbers) + 1, width, dim, part
                for name, values in numbers.items():
                    rows[f"{name}_size"], rows[name] = 4, values[start:start + block]
                copy.write(rows.tobytes())
            copy.write(b"\xff\xff")

    def index_for(self, label, outside):
        operator_class = OPERATORS[self.dataset.metric][1]
        trees = [f"CREATE INDEX {self.name}_{name} ON {self.name} ({name})" for name in self.columns]
        if label == "milvus":
            listed = "" if outside else "".join(f", {name}" for name in self.columns)
            return [f"CREATE INDEX {self.index} ON {self.name} USING ann (embedding {operator_class}{listed}) "
                    "WITH (index_type = 'HNSW', m = 16, ef_construction = 200)"] + (trees if outside else [])
        if label == "pgvector":
            return [f"CREATE INDEX {self.index} ON {self.name} USING hnsw (embedding {operator_class}) "
                    "WITH (m = 16, ef_construction = 64)"] + (trees if outside else [])
        return trees


# label: peer whose types are used, settings of the session, setting swept, its values
WAYS = {
    "milvus": ("milvus", (), "milvus.ef", OUR_EFFORTS),
    "pgvector": ("pgvector", ("hnsw.iterative_scan = relaxed_order",), "hnsw.ef_search", PGVECTOR_EFFORTS),
    "btree": ("pgvector", (), None, (0,)),
}
# Added to pgvector's settings when there are B-trees besides.
BY_INDEX_ALONE = ("enable_bitmapscan = off", "enable_sort = off")


def measure(run, dataset, folder, shares, outside, progress):
    """Speed and recall of each way under each condition; every way has its table, one at a time."""
    columns = columns_of(dataset, folder)
    queries = dataset.queries[:QUERIES]
    conditions = []
    for label, condition, match in conditions_of(columns, shares):
        ids = np.flatnonzero(match)
        truth = ids[exact_neighbours(dataset.base[ids], queries, dataset.metric, run.k)]
        conditions.append((f"outside: {label}" if outside else label, condition, truth))
    for way, (peer, settings, knob, efforts) in WAYS.items():
        if peer not in run.peers:
            continue
        progress(f"{dataset.name}: filters, {way}")
        table = FilterTable(run.server, peer, f"filter_{way}", dataset, columns).load()
        for statement in table.index_for(way, outside):
            table.connection.execute(statement)
        table.connection.execute(f"ANALYZE {table.name}")
        if way != "btree":
            table.warm()
        if way == "pgvector" and outside:
            settings += BY_INDEX_ALONE
        for label, condition, truth in conditions:
            points = measure_condition(run, table, way, settings, knob, efforts, label, condition, truth, queries)
            run.results.points.extend(points)
        table.close()


def measure_condition(run, table, way, settings, knob, efforts, label, condition, truth, queries):
    from server import write_parameters

    parameters = write_parameters(os.path.join(run.server.scratch, "filter.queries"), queries)
    client = run.server.client(table.peer.search_path, (*CLIENT_SETTINGS, *settings))
    client.prepare(table.search_statement(run.k, condition), parameters)
    points = []
    for effort in efforts:
        if knob:
            client.set(f"{knob} = {effort}")
        point = Point(table.dataset.name, way, way, way != "btree", f"ef {effort}" if knob else "exact", effort, run.k,
                      filter=label)
        for number in range(run.rounds):
            sample = client.search(run.k, passes=1, seconds=run.seconds)
            if number == 0:
                point.recall = recall(sample.ids, truth, run.k)
            point.qps.append(sample.qps)
            point.p50_us.append(sample.percentile_us(50))
            point.p99_us.append(sample.percentile_us(99))
        points.append(point)
        if point.recall >= 0.999:
            break
    client.close()
    os.remove(parameters)
    return points
