"""The measures. Each takes a Run and a data set and adds its figures to the results; only one thing runs at a time.

Rounds are interleaved: a round visits every peer at one effort before the next effort, so that a change of the
machine's speed meets all of them alike.
"""
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from dataset import exact_neighbours, recall
from library_peers import LibraryIndex
from peers import SQL_PEERS, default_specs
from results import Build, Concurrent, Growth, Insert, Point, Results, Vacuum
from sql_peers import PEERS, SqlIndex, Table

# Measures that change a table work on at most so many rows: pgvector vacuums a million for an hour.
CHANGED_ROWS = 60_000

# Rows inserted a second while search latency is measured, and growing rows at which our index is sealed then: a seal or
# merge every second.
INSERT_RATE = 2000
SEAL_ROWS = 2000
# The effort of measures that compare a peer with itself.
REFERENCE_EFFORT = 64
# A sweep ends with the first effort this near to perfect recall, or this far past the highest recall asked for.
SWEEP_END = 0.9985
SWEEP_MARGIN = 0.006


@dataclass
class Run:
    """What was asked for, the server, and the figures so far."""

    server: object
    peers: list
    specs: list
    kept: object
    rounds: int
    recalls: list
    quick: bool
    k: int = 10
    growth_rows: int = 50_000
    results: Results = field(default_factory=Results)

    @property
    def seconds(self):
        """Least duration of one timing of a sweep."""
        return 0.2 if self.quick else 1.0

    def specs_for(self, peer, rows):
        return [spec for spec in self.specs if spec.peer == peer] or default_specs(peer, rows)

    def changed_spec(self, peer, rows):
        """The graph for measures that insert and delete: the one that is cheapest to change."""
        graphs = [spec for spec in self.specs_for(peer, rows) if spec.is_graph]
        return min(graphs, key=lambda spec: dict(spec.options).get("ef_construction", 0), default=None)

    def sql_peers(self):
        return [peer for peer in self.peers if peer in SQL_PEERS]


def progress(text):
    print(f"  {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def build_index(run, dataset, spec):
    """Build (or take a kept) index of a spec and put its figures into the results."""
    progress(f"{dataset.name}: {spec.peer} {spec.label}")
    if spec.peer in SQL_PEERS:
        index = SqlIndex(run.server, spec, dataset, run.kept, run.k)
    else:
        index = LibraryIndex(spec, dataset, run.kept)
    run.results.builds.append(Build(dataset.name, spec.peer, spec.label, spec.is_graph, [index.build_s],
                                    index.index_bytes, index.cache_bytes, dataset.raw_bytes, index.kept, index.notes))
    return index


def sweep(run, dataset, indexes, rounds, two_clients=True, efforts=None):
    """Search with every index at rising efforts, rounds times; the Points, which also go into the results."""
    points = {}
    ends = {}
    enough = max(SWEEP_END if not run.recalls else min(SWEEP_END, max(run.recalls) + SWEEP_MARGIN), 0.985)
    longest = max(len(efforts or index.spec.efforts) for index in indexes)
    for number in range(rounds):
        progress(f"{dataset.name}: search, round {number + 1} of {rounds}")
        for step in range(longest):
            for at, index in enumerate(indexes):
                spec = index.spec
                steps = [effort for effort in efforts or spec.efforts if effort >= run.k or not spec.is_graph]
                if step >= ends.get(at, len(steps)):
                    continue
                effort = steps[step]
                sample = index.search(effort, run.k, run.seconds)
                if number == 0:
                    points[at, step] = Point(dataset.name, spec.peer, spec.label, spec.is_graph,
                                             spec.setting(effort), effort, run.k,
                                             recall=recall(sample.ids, dataset.truth, run.k))
                    if points[at, step].recall >= enough:
                        ends[at] = step + 1
                point = points[at, step]
                point.qps.append(sample.qps)
                point.p50_us.append(sample.percentile_us(50))
                point.p99_us.append(sample.percentile_us(99))
                if two_clients:
                    point.qps_two.append(index.search_many(effort, run.k, run.seconds, 2))
    made = [points[place] for place in sorted(points)]
    run.results.points.extend(made)
    return made


def measure_search(run, dataset):
    """Build time, size, and speed against recall of every index of every peer."""
    indexes = [build_index(run, dataset, spec) for peer in run.peers for spec in run.specs_for(peer, dataset.rows)]
    sweep(run, dataset, indexes, run.rounds)
    for index in indexes:
        index.close()


def measure_build(run, dataset):
    """Build time alone, rounds times in turn, with recall at the reference effort so that builds can be compared."""
    indexes = [build_index(run, dataset, spec) for peer in run.peers for spec in run.specs_for(peer, dataset.rows)]
    builds = run.results.builds[-len(indexes):]
    for number in range(1, run.rounds):
        for index, build in zip(indexes, builds):
            if not index.kept:
                progress(f"{dataset.name}: build, round {number + 1} of {run.rounds}: "
                         f"{index.spec.peer} {index.spec.label}")
                index.rebuild()
                build.seconds.append(index.build_s)
    for index in indexes:
        if index.spec.peer in SQL_PEERS:
            index.table.warm()
    graphs = [index for index in indexes if index.spec.is_graph]
    sweep(run, dataset, graphs, 1, two_clients=False, efforts=(REFERENCE_EFFORT,))
    for index in indexes:
        index.close()


def measure_insert(run, dataset):
    """Single-row inserts of new vectors: into a table without index, and into one with each SQL peer's graph."""
    dataset = dataset.prefix(CHANGED_ROWS)
    rows, seconds = (2_000, 1) if run.quick else (20_000, 5)
    vectors = dataset.invented(rows)
    entries = []
    for peer in [*run.sql_peers()[:1], *run.sql_peers()]:
        spec = run.changed_spec(peer, dataset.rows) if entries else None
        label = spec.label if spec else None
        progress(f"{dataset.name}: {peer} {label or 'table without index'}, for inserts")
        table = Table(run.server, PEERS[peer], f"insert_{len(entries)}", dataset).load()
        if spec:
            table.build(spec)
            table.warm()
        entries.append((table, table.inserter(vectors), Insert(dataset.name, peer, label, [])))
    for number in range(run.rounds):
        progress(f"{dataset.name}: inserts, round {number + 1} of {run.rounds}")
        for table, client, insert in entries:
            table.connection.execute("CHECKPOINT")
            insert.rates.append(client.insert(rows, seconds, dataset.rows + number * rows).qps)
    for table, client, insert in entries:
        client.close()
        table.close()
        run.results.inserts.append(insert)


def measure_vacuum(run, dataset):
    """VACUUM after deleting a random tenth of the rows, with recall before and after."""
    dataset = dataset.prefix(CHANGED_ROWS)
    for peer in run.sql_peers():
        spec = run.changed_spec(peer, dataset.rows)
        if spec is None:
            continue
        key = run.kept.key("vacuum", dataset.fingerprint, peer, PEERS[peer].version(run.server),
                           run.server.version(), spec.options, len(dataset.queries))
        kept = run.kept.get(key) if peer != "milvus" else None
        if kept is None:
            progress(f"{dataset.name}: vacuum, {peer} {spec.label}")
            figures = vacuum_figures(run, dataset, spec)
            if peer != "milvus":
                run.kept.put(key, **figures)
        else:
            figures = {**kept, "kept": True}
        run.results.vacuums.append(Vacuum(dataset.name, peer, spec.label, spec.setting(REFERENCE_EFFORT), **figures))


def vacuum_figures(run, dataset, spec):
    """Delete, vacuum, and search again; the figures of a results.Vacuum."""
    table = Table(run.server, PEERS[spec.peer], "vacuumed", dataset).load()
    table.build(spec)
    table.warm()
    clients = table.open_clients(1, run.k)
    table.set_effort(clients, spec.knob, REFERENCE_EFFORT)
    before = recall(clients[0].search(run.k).ids, dataset.truth, run.k)

    deleted = np.random.default_rng(1).permutation(dataset.rows)[:dataset.rows // 10]
    left = np.setdiff1d(np.arange(dataset.rows), deleted)
    truth = left[exact_neighbours(dataset.base[left], dataset.queries, dataset.metric, run.k)]
    table.connection.execute(f"DELETE FROM {table.name} WHERE id = ANY(%s)", (deleted.tolist(),))
    table.connection.execute("CHECKPOINT")
    start = time.perf_counter()
    table.connection.execute(f"VACUUM {table.name}")
    seconds = time.perf_counter() - start

    clients[0].search(run.k)
    after = recall(clients[0].search(run.k).ids, truth, run.k)
    size = table.index_bytes()
    table.close()
    return {"seconds": seconds, "recall_before": before, "recall_after": after, "index_bytes": size}


def measure_concurrent(run, dataset):
    """Eight clients against two; then the tail of search latency while another client inserts INSERT_RATE rows a second.

    Our index seals and merges meanwhile as it does in a server, in a background worker that the inserts start, only
    more often: whenever SEAL_ROWS rows have come.
    """
    dataset = dataset.prefix(CHANGED_ROWS)
    seconds = 2 if run.quick else 10
    vectors = dataset.invented(20_000)
    for peer in run.sql_peers():
        spec = run.changed_spec(peer, dataset.rows)
        if spec is None:
            continue
        progress(f"{dataset.name}: concurrency, {peer} {spec.label}")
        table = Table(run.server, PEERS[peer], "concurrent", dataset).load()
        table.build(spec)
        table.warm()
        table.set_effort(table.open_clients(8, run.k), spec.knob, REFERENCE_EFFORT)
        two, eight = [], []
        for _ in range(run.rounds):
            two.append(table.search_many(2, run.k, seconds / 5))
            eight.append(table.search_many(8, run.k, seconds / 5))

        ours = peer == "milvus"
        if ours:
            table.connection.execute(f"ALTER ROLE CURRENT_USER SET milvus.growing_rows = {SEAL_ROWS}")
        searcher = table.open_clients(1, run.k)[0]
        inserter = table.inserter(vectors)
        before = manifest_version(table) if ours else 0
        quiet = searcher.search(run.k, passes=0, seconds=seconds)
        inserter.start_insert(1 << 30, seconds, dataset.rows, INSERT_RATE)
        searcher.start_search(run.k, passes=0, seconds=seconds)
        busy, inserted = searcher.finish(), inserter.finish()
        maintenance = manifest_version(table) - before if ours else 0
        if ours:
            table.connection.execute("ALTER ROLE CURRENT_USER RESET milvus.growing_rows")
        inserter.close()
        table.close()
        run.results.concurrents.append(Concurrent(
            dataset.name, peer, spec.label, spec.setting(REFERENCE_EFFORT), quiet.percentile_us(99),
            busy.percentile_us(99), busy.qps, inserted.qps, maintenance, two, eight))


def manifest_version(table):
    """Counts the seals and merges of our index."""
    return table.connection.execute(
        "SELECT manifest_version FROM milvus.index_stats(%s::regclass)", (table.index,)).fetchone()["manifest_version"]


def measure_growth(run, dataset):
    """Speed at equal recall over the first rows of a set and over all of them, for the first graph of a peer.

    That is our peer if it takes part, else whichever others were asked for.
    """
    peers = ["milvus"] if "milvus" in run.peers else run.peers
    small = dataset.prefix(run.growth_rows)
    for peer in peers:
        specs = [spec for spec in run.specs_for(peer, dataset.rows) if spec.is_graph][:1]
        for spec in specs:
            best = {}
            for part in (small, dataset):
                # The full set's sweep may stand in the results already.
                points = [point for point in run.results.points
                          if (point.data, point.peer, point.index) == (part.name, peer, spec.label)]
                if not points:
                    index = build_index(run, part, spec)
                    points = sweep(run, part, [index], run.rounds, two_clients=False)
                    index.close()
                for wanted in run.recalls:
                    point = run.results.best(part.name, peer, wanted, points)
                    best[part.rows, wanted] = float(np.median(point.qps)) if point else None
            for wanted in run.recalls:
                run.results.growths.append(Growth(dataset.name, peer, spec.label, wanted, small.rows, dataset.rows,
                                                  best[small.rows, wanted], best[dataset.rows, wanted]))


MEASURES = {"search": measure_search, "build": measure_build, "insert": measure_insert, "vacuum": measure_vacuum,
            "concurrent": measure_concurrent, "growth": measure_growth}
