"""Data sets to measure on: vectors, queries, exact answers, recall.

A data set is a folder with base.npy and queries.npy (float16 or float32, row-major) and truth_<metric>.npy, the ids
of each query's exact neighbours, nearest first. Everything is held as float32, the type that all peers index.
"""
import hashlib
import os
from dataclasses import dataclass

import numpy as np

METRICS = ("cosine", "l2", "ip")


@dataclass(frozen=True)
class Dataset:
    """base (n x dim) and queries (q x dim), float32; truth (q x at least k), ids into base, nearest first."""

    name: str
    metric: str
    base: np.ndarray
    queries: np.ndarray
    truth: np.ndarray

    @property
    def rows(self):
        return len(self.base)

    @property
    def dim(self):
        return self.base.shape[1]

    @property
    def raw_bytes(self):
        """Size of the vectors alone, which index sizes are compared with."""
        return self.rows * self.dim * 4

    @property
    def fingerprint(self):
        """A name for exactly these vectors, under which slow builds are kept."""
        digest = hashlib.sha256(repr((self.metric, self.base.shape)).encode())
        digest.update(np.ascontiguousarray(self.base[:: max(1, self.rows // 1000)]).tobytes())
        return digest.hexdigest()[:12]

    def prefix(self, rows, queries=None):
        """The set of the first rows vectors and the first queries queries, with exact answers of its own."""
        rows = min(rows, self.rows)
        queries = min(queries or len(self.queries), len(self.queries))
        if rows == self.rows:
            return Dataset(self.name, self.metric, self.base, self.queries[:queries], self.truth[:queries])
        base, asked = self.base[:rows], self.queries[:queries]
        truth = exact_neighbours(base, asked, self.metric, self.truth.shape[1])
        return Dataset(f"{self.name.partition('[')[0]}[:{rows}]", self.metric, base, asked, truth)

    def invented(self, count, seed=1):
        """count new vectors (float32) that lie among the base ones, so that they find as much to change as real ones.

        They are random base vectors, each moved by half its length in a random direction: nearer would make them
        duplicates, since the nearest neighbour of a sentence's embedding is 0.8 of its length away.
        """
        rng = np.random.default_rng(seed)
        vectors = self.base[rng.integers(self.rows, size=count)]
        moves = rng.standard_normal(vectors.shape, dtype=np.float32)
        moves *= 0.5 * np.linalg.norm(vectors, axis=1, keepdims=True) / np.linalg.norm(moves, axis=1, keepdims=True)
        return vectors + moves


def load(folder, metric=None):
    """The data set in folder, by the given metric or the first that it has exact answers for."""
    folder = os.path.abspath(folder)
    for name in (metric,) if metric else METRICS:
        truth = os.path.join(folder, f"truth_{name}.npy")
        if os.path.exists(truth):
            metric = name
            break
    else:
        raise SystemExit(f"bench: no truth_{metric or '<metric>'}.npy in {folder}")
    base = np.load(os.path.join(folder, "base.npy")).astype(np.float32)
    queries = np.load(os.path.join(folder, "queries.npy")).astype(np.float32)
    return Dataset(os.path.basename(folder), metric, base, queries, np.load(truth))


def exact_neighbours(base, queries, metric, k, block=100_000):
    """Ids of the k nearest base vectors of each query by full comparison in float32, nearest first (q x k).

    Zero vectors, which have no direction, come last under cosine.
    """
    k = min(k, len(base))
    ids = np.empty((len(queries), 0), np.int64)
    far = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(base), block):
        part = base[start:start + block]
        distances = -queries @ part.T
        if metric == "l2":
            distances = 2 * distances + (part ** 2).sum(1)
        elif metric == "cosine":
            norms = np.linalg.norm(part, axis=1)
            distances = np.where(norms > 0, distances / np.where(norms > 0, norms, 1), np.inf)
        take = min(k, len(part))
        near = np.argpartition(distances, take - 1, axis=1)[:, :take]
        ids = np.concatenate([ids, near + start], axis=1)
        far = np.concatenate([far, np.take_along_axis(distances, near, axis=1)], axis=1)
        order = np.argsort(far, axis=1, kind="stable")[:, :k]
        ids, far = np.take_along_axis(ids, order, axis=1), np.take_along_axis(far, order, axis=1)
    return ids


def recall(found, truth, k):
    """Mean share of each query's k true neighbours among its k found ids; -1 stands for a row that was not found."""
    hits = (found[:, :k, None] == truth[:, None, :k]).any(axis=1)
    return float(hits.sum() / (len(found) * min(k, truth.shape[1])))
