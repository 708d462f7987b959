"""What is measured: index specifications, and what every built index of every peer can be asked.

A peer module (sql_peers, library_peers) turns a Spec and a Dataset into a BuiltIndex; measures.py sees only these.
"""
import hashlib
import json
import math
import os
from dataclasses import dataclass, field

SQL_PEERS = ("milvus", "pgvector")
LIBRARY_PEERS = ("hnswlib", "faiss", "usearch")
GRAPH_EFFORTS = (10, 16, 24, 32, 40, 64, 100, 150, 200, 300, 400, 600)
LIST_EFFORTS = (2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Spec:
    """One index of the comparison: whose, built how, searched with which efforts.

    options are (name, value) pairs as the peer spells them; knob is the search setting that trades speed for recall,
    efforts its values, rising.
    """

    peer: str
    options: tuple
    knob: str
    efforts: tuple

    @property
    def label(self):
        """The "index" of result rows: kind first, then the options."""
        options = dict(self.options)
        kind = options.pop("index_type")
        return " ".join([kind, *(f"{name}={value}" for name, value in options.items())])

    @property
    def is_graph(self):
        return self.knob == "ef"

    def setting(self, effort):
        return f"{self.knob}={effort}"


@dataclass
class BuiltIndex:
    """An index that can be searched. build_s may be the figure of an earlier run (kept), as figures tells."""

    spec: Spec
    build_s: float = 0.0
    index_bytes: int = 0
    cache_bytes: int | None = None
    kept: bool = False
    notes: list = field(default_factory=list)

    def search(self, effort, k, seconds):
        """One client: a server.Sample of at least one pass over the queries and at least seconds."""
        raise NotImplementedError

    def search_many(self, effort, k, seconds, clients):
        """Queries per second of several clients together, for at least seconds."""
        raise NotImplementedError

    def close(self):
        """Give back what the index holds; an index that is to be kept stays where a later run finds it."""
        raise NotImplementedError


class Kept:
    """Figures of slow builds of peers, kept between runs in a folder; without a folder nothing is kept.

    A key names everything that a figure depends on: data, peer, version, settings. Our own figures are never kept,
    since our version does not change with each change of the code. writable is false on a busy machine, whose figures
    must not outlive the run; kept ones are used all the same.
    """

    def __init__(self, folder, writable=True):
        self.folder = folder
        self.writable = writable
        if folder:
            os.makedirs(folder, exist_ok=True)

    @staticmethod
    def key(*parts):
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def path(self, key, suffix):
        return os.path.join(self.folder, key + suffix) if self.folder else None

    def get(self, key):
        path = self.path(key, ".json")
        if path is None or not os.path.exists(path):
            return None
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def put(self, key, **figures):
        if self.folder and self.writable:
            with open(self.path(key, ".json"), "w", encoding="utf-8") as file:
                json.dump(figures, file)


def list_count(rows):
    """Number of inverted lists for so many rows: the power of two nearest to their square root."""
    return 2 ** round(math.log2(max(rows, 1)) / 2)


def default_specs(peer, rows):
    """The indexes of a peer that are measured when --index does not say otherwise, the reference one first."""
    lists = list_count(rows)
    graph = [(("m", 16), ("ef_construction", 200)), (("m", 16), ("ef_construction", 64))]
    if peer == "milvus":
        return [*(make_spec(peer, (("index_type", "HNSW"), *options)) for options in graph),
                make_spec(peer, (("index_type", "IVF_FLAT"), ("nlist", lists)))]
    if peer == "pgvector":
        return [make_spec(peer, (("index_type", "hnsw"), *options)) for options in graph]
    if peer == "faiss":
        return [make_spec(peer, (("index_type", "IVFPQfs+refine"), ("nlist", lists)))]
    return [make_spec(peer, (("index_type", "hnsw"), *graph[0]))]


def make_spec(peer, options):
    """A Spec with the search knob and efforts that its kind of index has."""
    by_lists = "ivf" in str(dict(options)["index_type"]).lower()
    if not by_lists:
        return Spec(peer, tuple(options), "ef", GRAPH_EFFORTS)
    return Spec(peer, tuple(options), "probes" if peer == "pgvector" else "nprobe", LIST_EFFORTS)


def parse_spec(text):
    """--index PEER:name=value,… as a Spec; index_type is a graph when it is not given."""
    peer, _, rest = text.partition(":")
    if peer not in SQL_PEERS + LIBRARY_PEERS:
        raise SystemExit(f"bench: --index {text}: no peer named {peer!r}")
    options = {"index_type": "HNSW" if peer == "milvus" else "hnsw"}
    for item in filter(None, rest.split(",")):
        name, equals, value = item.partition("=")
        if not equals:
            raise SystemExit(f"bench: --index {text}: {item!r} is not name=value")
        options[name] = int(value) if value.lstrip("-").isdigit() else value
    return make_spec(peer, tuple(options.items()))
