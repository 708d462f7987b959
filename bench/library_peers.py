"""The peers that are libraries in this process: hnswlib, faiss, usearch.

They pay no protocol, no executor and no transaction: they are the bound that a search through SQL is held against.
hnswlib and usearch are timed over one call with all queries on one thread, which spares them the interpreter; faiss
is timed one query a call, since its list scan answers a batch with another algorithm. Latencies are of single calls.
"""
import importlib.metadata
import os
import tempfile
import threading
import time

import numpy as np

from peers import BuiltIndex, Kept
from server import Sample

BUILD_THREADS = min(2, os.cpu_count())


class Hnswlib:
    """hnswlib.Index behind the four calls that this module needs."""

    package = "hnswlib"
    batched = True

    def __init__(self, dim, metric, options):
        import hnswlib
        self.index = hnswlib.Index(space=metric, dim=dim)
        self.options = options

    def build(self, base):
        self.index.init_index(max_elements=len(base), M=self.options["m"],
                              ef_construction=self.options["ef_construction"], random_seed=1)
        self.index.add_items(base, num_threads=BUILD_THREADS)

    def set_effort(self, effort, k):
        self.index.set_ef(max(effort, k))

    def search(self, queries, k, threads=1):
        return self.index.knn_query(queries, k=k, num_threads=threads)[0].astype(np.int64)

    def save(self, path):
        self.index.save_index(path)

    def load(self, path):
        self.index.load_index(path)


class Usearch:
    """usearch.Index, float32."""

    package = "usearch"
    batched = True

    def __init__(self, dim, metric, options):
        from usearch.index import Index
        self.index = Index(ndim=dim, metric={"cosine": "cos", "l2": "l2sq", "ip": "ip"}[metric], dtype="f32",
                           connectivity=options["m"], expansion_add=options["ef_construction"])

    def build(self, base):
        self.index.add(np.arange(len(base)), base, threads=BUILD_THREADS)

    def set_effort(self, effort, k):
        self.index.expansion_search = max(effort, k)

    def search(self, queries, k, threads=1):
        keys = self.index.search(queries, k, threads=threads).keys
        return np.asarray(keys).reshape(len(queries), -1).astype(np.int64)

    def save(self, path):
        self.index.save(path)

    def load(self, path):
        self.index.load(path)


class Faiss:
    """faiss: inverted lists of 4-bit product codes scanned in registers, then exact re-ranking of ten times k.

    index_type may also be any string of faiss.index_factory; the effort is then passed as nprobe.
    """

    package = "faiss-cpu"
    batched = False

    def __init__(self, dim, metric, options):
        import faiss
        self.faiss = faiss
        self.normalize = metric == "cosine"
        factory = options["index_type"]
        if factory == "IVFPQfs+refine":
            factory = f"IVF{options['nlist']},PQ{dim // 2 if dim % 2 == 0 else dim}x4fs,RFlat"
        self.refined = "RFlat" in factory
        self.index = faiss.index_factory(dim, factory, faiss.METRIC_L2 if metric == "l2" else
                                         faiss.METRIC_INNER_PRODUCT)

    def _vectors(self, vectors):
        vectors = np.ascontiguousarray(vectors, np.float32)
        if self.normalize:
            vectors = vectors.copy()
            self.faiss.normalize_L2(vectors)
        return vectors

    def build(self, base):
        self.faiss.omp_set_num_threads(BUILD_THREADS)
        base = self._vectors(base)
        self.index.train(base)
        self.index.add(base)

    def set_effort(self, effort, k):
        self.faiss.omp_set_num_threads(1)
        settings = f"nprobe={effort}" + (",k_factor_rf=10" if self.refined else "")
        self.faiss.ParameterSpace().set_index_parameters(self.index, settings)

    def search(self, queries, k, threads=1):
        return self.index.search(self._vectors(queries), k)[1]

    def save(self, path):
        self.faiss.write_index(self.index, path)

    def load(self, path):
        self.index = self.faiss.read_index(path)


LIBRARIES = {"hnswlib": Hnswlib, "faiss": Faiss, "usearch": Usearch}


def version(peer):
    return importlib.metadata.version(LIBRARIES[peer].package)


class LibraryIndex(BuiltIndex):
    """An index in this process's memory. A kept one is a file that an earlier run wrote."""

    def __init__(self, spec, dataset, kept):
        super().__init__(spec)
        self.dataset = dataset
        self.library = self._library()
        key = Kept.key(dataset.fingerprint, spec.peer, version(spec.peer), spec.options)
        path = kept.path(key, ".index")
        figures = kept.get(key)
        if figures is not None and os.path.exists(path):
            self.kept = True
            self.build_s, self.index_bytes = figures["build_s"], figures["index_bytes"]
            self.library.load(path)
            return
        self.rebuild()
        self.index_bytes = self._saved_bytes(path if kept.writable else None)
        kept.put(key, build_s=self.build_s, index_bytes=self.index_bytes)

    def _library(self):
        return LIBRARIES[self.spec.peer](self.dataset.dim, self.dataset.metric, dict(self.spec.options))

    def rebuild(self):
        """Build again, and measure it."""
        self.library = self._library()
        start = time.perf_counter()
        self.library.build(self.dataset.base)
        self.build_s = time.perf_counter() - start

    def _saved_bytes(self, path):
        """Size of the index as a file, vectors included; the file stays if it has a path."""
        if path is not None:
            self.library.save(path)
            return os.path.getsize(path)
        with tempfile.TemporaryDirectory() as folder:
            return self._saved_bytes(os.path.join(folder, "index"))

    def search(self, effort, k, seconds):
        queries = self.dataset.queries
        self.library.set_effort(effort, k)
        starts, latencies, ids = [], [], []
        for number in range(len(queries)):
            start = time.perf_counter_ns()
            ids.append(self.library.search(queries[number:number + 1], k))
            latencies.append(time.perf_counter_ns() - start)
            starts.append(start)
        sample = Sample(np.concatenate(ids), np.array(starts), np.array(latencies), 0.0)
        sample.qps = self._rate(self._pass, k, seconds)
        return sample

    def _pass(self, k, threads):
        """All queries once, at the library's best; see the head of this file."""
        if self.library.batched:
            self.library.search(self.dataset.queries, k, threads)
            return

        def one_by_one():
            for number in range(len(self.dataset.queries)):
                self.library.search(self.dataset.queries[number:number + 1], k)

        # Each thread is a client with all queries of its own, so a pass is threads times as many.
        workers = [threading.Thread(target=one_by_one) for _ in range(threads - 1)]
        for worker in workers:
            worker.start()
        one_by_one()
        for worker in workers:
            worker.join()

    def _rate(self, run, k, seconds, threads=1):
        """Queries per second of whole passes that together last at least seconds."""
        start = time.perf_counter()
        queries = 0
        while True:
            run(k, threads)
            queries += len(self.dataset.queries) * (1 if self.library.batched else threads)
            elapsed = time.perf_counter() - start
            if elapsed >= seconds:
                return queries / elapsed

    def search_many(self, effort, k, seconds, clients):
        self.library.set_effort(effort, k)
        return self._rate(self._pass, k, seconds, clients)

    def close(self):
        self.library = None
