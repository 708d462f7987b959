"""The types through psycopg 3 and pgvector's adapter, in binary and in text.

Usage: round_trip.py CONNINFO.  Prints TAP; every value that comes back is compared
with what numpy computed, bit by bit.
"""

import sys

import numpy as np
import psycopg
from pgvector import Bit, HalfVector, SparseVector, Vector
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


def sparse_values():
    """Sparse vectors: empty, at the ends of the client's range, random, with awkward values."""
    info = np.finfo(np.float32)
    rng = np.random.default_rng(9)
    places = np.sort(rng.choice(1_000_000, 5000, replace=False))
    return [
        SparseVector({}, 5),
        SparseVector({0: 1, 2**31 - 2: -2}, 2**31 - 1),
        SparseVector({1: float(info.max), 2: float(info.tiny), 3: float(info.smallest_subnormal)}, 4),
        SparseVector(dict(zip(places.tolist(), rng.standard_normal(5000).astype(np.float32).tolist())), 1_000_000),
    ]


def check_sparsevec(connection):
    """sparsevec: comes back the same, and distances are numpy's."""
    for value in sparse_values():
        shape = f"sparsevec of {len(value.indices())} in {value.dimensions()}"
        for binary, percent in ((True, "%b"), (False, "%t")):
            row = connection.cursor(binary=binary).execute(f"SELECT {percent}::sparsevec", (value,)).fetchone()
            # both texts and float64 hold the float32 exactly or round to it
            same_value = (row[0].dimensions() == value.dimensions() and row[0].indices() == value.indices()
                          and np.array_equal(np.float32(row[0].values()), np.float32(value.values())))
            check(same_value, f"{shape}, {'binary' if binary else 'text'}: comes back the same")
    connection.execute("CREATE TEMP TABLE t_sparsevec (id int, v sparsevec(2000))")
    rng = np.random.default_rng(10)
    base = rng.standard_normal((100, 2000)) * (rng.random((100, 2000)) < 0.05)
    base = base.astype(np.float32)
    with connection.cursor().copy("COPY t_sparsevec FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "sparsevec"])
        for i, row in enumerate(base):
            copy.write_row((i, SparseVector(row)))
    rows = connection.cursor(binary=False).execute("SELECT v FROM t_sparsevec ORDER BY id").fetchall()
    check(all(np.array_equal(row[0].to_numpy(), base[i]) for i, row in enumerate(rows)) and len(rows) == 100,
          "sparsevec: COPY in binary, read in text")
    query = base[7] + base[8]
    b, q = base.astype(np.float64), query.astype(np.float64)
    expected = np.stack([np.sqrt(((b - q) ** 2).sum(axis=1)), -b @ q,
                         1 - b @ q / np.sqrt((b ** 2).sum(axis=1) * (q ** 2).sum()), np.abs(b - q).sum(axis=1)], axis=1)
    sparse = SparseVector(query)
    found = connection.cursor(binary=True).execute(
        "SELECT v <-> %b, v <#> %b, v <=> %b, v <+> %b FROM t_sparsevec ORDER BY id", (sparse,) * 4).fetchall()
    check(np.allclose(np.array(found), expected, rtol=1e-5, atol=1e-5), "sparsevec: numpy's distances")


def check_bit(connection):
    """bit: distances are numpy's, with the query in binary and in text."""
    rng = np.random.default_rng(11)
    base = rng.random((100, 1001)) < 0.3
    connection.execute("CREATE TEMP TABLE t_bit (id int, v bit(1001))")
    with connection.cursor().copy("COPY t_bit FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "bit"])
        for i, row in enumerate(base):
            copy.write_row((i, Bit(row)))
    query = rng.random(1001) < 0.3
    hamming = (base ^ query).sum(axis=1)
    jaccard = 1 - (base & query).sum(axis=1) / (base | query).sum(axis=1)
    for percent in ("%b", "%t"):
        found = connection.execute(f"SELECT v <~> {percent}::bit(1001), v <%%> {percent}::bit(1001) FROM t_bit ORDER BY id",
                                   (Bit(query),) * 2).fetchall()
        check(np.array_equal([row[0] for row in found], hamming), f"bit: numpy's Hamming distances, {percent[1]}")
        check(np.allclose([row[1] for row in found], jaccard, rtol=1e-15), f"bit: numpy's Jaccard distances, {percent[1]}")


def check_narrow(connection):
    """bfloat16vec and int8vec, which the adapter does not know: by way of vector and of text."""
    rng = np.random.default_rng(12)
    array = (rng.standard_normal(16000) * np.exp(rng.uniform(-80, 80, 16000))).astype(np.float32)
    bits = array.view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    sent = connection.execute("SELECT bfloat16vec_send(%b::vector::bfloat16vec)", (Vector(array),)).fetchone()[0]
    check(bytes(sent[4:]) == rounded.astype(">u2").tobytes(), "bfloat16vec: numpy's rounding to nearest even")
    back = connection.execute("SELECT %b::vector::bfloat16vec::vector", (Vector(array),)).fetchone()[0]
    check(same(back, (rounded.astype(np.uint32) << 16).view(np.float32)), "bfloat16vec: widened exactly")

    base = rng.integers(-128, 128, (50, 777))
    query = rng.integers(-128, 128, 777)
    connection.execute("CREATE TEMP TABLE t_int8vec (id int, v int8vec(777))")
    for i, row in enumerate(base):
        connection.execute("INSERT INTO t_int8vec VALUES (%s, %s::int[])", (i, row.tolist()))
    text = str(query.tolist())
    found = connection.execute("SELECT l2_squared_distance(v, %s), v <#> %s, v <=> %s, v <+> %s FROM t_int8vec ORDER BY id",
                               (text,) * 4).fetchall()
    expected = np.stack([((base - query) ** 2).sum(axis=1), -base @ query,
                         1 - base @ query / np.sqrt((base ** 2).sum(axis=1) * (query ** 2).sum()),
                         np.abs(base - query).sum(axis=1)], axis=1)
    found = np.array(found)
    check(np.array_equal(found[:, [0, 1, 3]], expected[:, [0, 1, 3]]), "int8vec: numpy's distances, exactly")
    check(np.allclose(found[:, 2], expected[:, 2], rtol=1e-14), "int8vec: numpy's cosine distances")


def check_max_sim(connection):
    """Scores of lists of vectors, with the lists as parameters."""
    rng = np.random.default_rng(13)
    query = rng.standard_normal((32, 128)).astype(np.float32)
    document = rng.standard_normal((180, 128)).astype(np.float32)
    q, d = query.astype(np.float64), document.astype(np.float64)
    expected = (
        (q @ d.T).max(axis=1).sum(),
        (q @ d.T / np.outer(np.linalg.norm(q, axis=1), np.linalg.norm(d, axis=1))).max(axis=1).sum(),
        ((q[:, None] - d[None]) ** 2).sum(axis=2).min(axis=1).sum(),
    )
    lists = ([Vector(v) for v in query], [Vector(v) for v in document])
    for name, value in zip(("ip", "cosine", "l2"), expected):
        found = connection.execute(f"SELECT max_sim_{name}(%b::vector[], %b::vector[])", lists).fetchone()[0]
        check(abs(found / value - 1) < 1e-5, f"max_sim_{name}: numpy's score")


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

    check_sparsevec(connection)
    check_bit(connection)
    check_narrow(connection)
    check_max_sim(connection)

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
