"""Figures of one run, as the measures leave them and the report reads them."""
from dataclasses import asdict, dataclass, field
from statistics import median


@dataclass
class Point:
    """One setting of one index's sweep; the lists have one entry a round."""

    data: str
    peer: str
    index: str
    is_graph: bool
    setting: str
    effort: int
    k: int
    filter: str | None = None
    recall: float = 0.0
    qps: list = field(default_factory=list)
    qps_two: list = field(default_factory=list)
    p50_us: list = field(default_factory=list)
    p99_us: list = field(default_factory=list)


@dataclass
class Build:
    """Building one index; seconds has one entry a round, bytes are of the relation after VACUUM (or of the file)."""

    data: str
    peer: str
    index: str
    is_graph: bool
    seconds: list
    index_bytes: int
    cache_bytes: int | None
    raw_bytes: int
    kept: bool
    notes: list


@dataclass
class Insert:
    """Single-row inserts per second, one entry a round; index is None for a table without one."""

    data: str
    peer: str
    index: str | None
    rates: list


@dataclass
class Vacuum:
    """VACUUM after a tenth of the rows was deleted, recall at one setting before the deletion and after VACUUM."""

    data: str
    peer: str
    index: str
    setting: str
    seconds: float
    recall_before: float
    recall_after: float
    index_bytes: int
    kept: bool = False


@dataclass
class Concurrent:
    """Search beside inserts, and with more clients; two and eight are queries per second, one entry a round."""

    data: str
    peer: str
    index: str
    setting: str
    quiet_p99_us: float
    busy_p99_us: float
    busy_qps: float
    inserts_per_s: float
    maintenance: int
    two: list
    eight: list


@dataclass
class Growth:
    """Best QPS at a recall over the first rows of a set and over all of it; None where the recall was not reached."""

    data: str
    peer: str
    index: str
    recall: float
    small_rows: int
    large_rows: int
    small_qps: float | None
    large_qps: float | None


@dataclass
class Results:
    points: list = field(default_factory=list)
    builds: list = field(default_factory=list)
    inserts: list = field(default_factory=list)
    vacuums: list = field(default_factory=list)
    concurrents: list = field(default_factory=list)
    growths: list = field(default_factory=list)

    def best(self, data, peer, recall, points=None):
        """The fastest measured setting of a peer's indexes at recall or above, or None: nothing is interpolated."""
        able = [point for point in (self.points if points is None else points)
                if point.data == data and point.peer == peer and point.filter is None and point.recall >= recall]
        return max(able, key=lambda point: median(point.qps), default=None)

    def json_rows(self):
        """Rows as the --json file has them: one a setting of a sweep, or one an index that was not swept."""
        rows = []
        seen = set()

        def add(data, peer, index, **values):
            row = dict.fromkeys(("data", "peer", "index", "setting", "filter", "k", "recall", "qps",
                                 "qps_two_clients", "p50_us", "p99_us", "build_s", "index_bytes", "cache_bytes",
                                 "inserts_per_s", "vacuum_s"))
            row.update(data=data, peer=peer, index=index, **values)
            for build in self.builds:
                if (build.data, build.peer, build.index) == (data, peer, index):
                    row.update(build_s=median(build.seconds), index_bytes=build.index_bytes,
                               cache_bytes=build.cache_bytes)
            for insert in self.inserts:
                if (insert.data, insert.peer, insert.index) == (data, peer, index):
                    row.update(inserts_per_s=median(insert.rates))
            for vacuum in self.vacuums:
                if (vacuum.data, vacuum.peer, vacuum.index) == (data, peer, index):
                    row.update(vacuum_s=vacuum.seconds)
            seen.add((data, peer, index))
            rows.append(row)

        for point in self.points:
            add(point.data, point.peer, point.index, setting=point.setting, filter=point.filter, k=point.k,
                recall=point.recall, qps=median(point.qps), p50_us=median(point.p50_us),
                p99_us=median(point.p99_us),
                qps_two_clients=median(point.qps_two) if point.qps_two else None)
        for figure in (*self.builds, *self.inserts, *self.vacuums):
            if (figure.data, figure.peer, figure.index) not in seen:
                add(figure.data, figure.peer, figure.index)
        return rows

    def json_others(self):
        """What has no place in the rows, under the names of this class's fields."""
        return {name: [asdict(figure) for figure in getattr(self, name)] for name in ("concurrents", "growths")}
