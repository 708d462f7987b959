"""vector and halfvec through psycopg 3 and pgvector's adapter, in binary and in text.

Usage: round_trip.py CONNINFO.  Prints TAP; every value that comes back is compared
with what numpy computed, bit by bit.
"""

import sys

import numpy as np
import psycopg
from pgvector import HalfVector, Vector
from pgvector.psycopg import register_vector

checks = 0
failed = 0


def check(good, what):
    """One line of TAP."""
    global checks, failed
    checks += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {checks} - {what}")


def same(value, expected):
    """Whether a value of the adapter has exactly these elements."""
    array = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
    return array.dtype.itemsize == expected.dtype.itemsize and array.tobytes() == expected.tobytes()


def values(dtype):
    """Vectors whose elements are awkward: denormal, negative zero, largest, random."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(7)
    return [
        np.array([1, -2, 0.5], dtype),
        np.array([0, -0.0, info.tiny, info.smallest_subnormal, info.max, -info.max, info.eps], dtype),
        rng.standard_normal(384).astype(dtype),
        rng.standard_normal(16000).astype(dtype),
    ]


def main():
    connection = psycopg.connect(sys.argv[1], autocommit=True)
    register_vector(connection)
    for name, dtype, wrap in (("vector", np.float32, Vector), ("halfvec", np.float16, HalfVector)):
        for array in values(dtype):
            shape = f"{name} of {len(array)}"
            for binary, percent in ((True, "%b"), (False, "%t")):
                form = "binary" if binary else "text"
                cursor = connection.cursor(binary=binary)
                row = cursor.execute(f"SELECT {percent}::{name}", (wrap(array),)).fetchone()
                check(same(row[0], array), f"{shape}, {form}: comes back the same")
        # written one way, read the other
        connection.execute(f"CREATE TEMP TABLE t_{name} (id int, v {name}(384))")
        array = values(dtype)[2]
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY t_{name} FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int4", name])
                for i in range(100):
                    copy.write_row((i, wrap(np.roll(array, i))))
        rows = connection.cursor(binary=False).execute(f"SELECT id, v FROM t_{name} ORDER BY id").fetchall()
        check(len(rows) == 100 and all(same(v, np.roll(array, i)) for i, v in rows),
              f"{name}: COPY in binary, read in text")
        # a search with a binary parameter, against numpy
        connection.execute(f"CREATE INDEX ON t_{name} USING ann (v {name}_l2_ops)")
        connection.execute("SET enable_seqscan = off")
        base = np.stack([np.roll(array, i) for i in range(100)]).astype(np.float64)
        query = np.random.default_rng(8).standard_normal(384).astype(dtype)
        distance = np.sqrt(((base - query.astype(np.float64)) ** 2).sum(axis=1))
        found = connection.cursor(binary=True).execute(
            f"SELECT id, v <-> %b FROM t_{name} ORDER BY v <-> %b LIMIT 10", (wrap(query), wrap(query))).fetchall()
        used = connection.execute("SELECT returned_rows FROM milvus.last_search()").fetchone()
        check(used == (10,), f"{name}: the search went through the index")
        check([row[0] for row in found] == list(np.argsort(distance)[:10]), f"{name}: numpy's ten nearest")
        check(np.allclose([row[1] for row in found], np.sort(distance)[:10], rtol=1e-6), f"{name}: numpy's distances")

    # the errors of bad values are errors of the server, and the connection goes on
    for bad, state in ((np.array([1, np.nan], np.float32), "22000"), (np.array([np.inf], np.float32), "22000")):
        try:
            connection.cursor(binary=True).execute("SELECT %b::vector", (Vector(bad),))
            check(False, f"{bad} is refused")
        except psycopg.Error as error:
            check(error.sqlstate == state, f"{bad} is refused with {state}, was {error.sqlstate}")
    check(connection.execute("SELECT 1").fetchone() == (1,), "the connection goes on")

    print(f"1..{checks}")
    sys.exit(failed > 0)


main()
