"""SQLAlchemy with the types and index options of the package pgvector.

The server comes by PGHOST and so on.  Prints TAP.
"""

import sys

import numpy as np
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy import Index, Integer, create_engine, func, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column

checks = 0
failed = 0


def check(good, what):
    """One line of TAP."""
    global checks, failed
    checks += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {checks} - {what}")


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "alchemy_items"

    id = mapped_column(Integer, primary_key=True)
    embedding = mapped_column(VECTOR(16))
    half = mapped_column(HALFVEC(16))


INDEXES = [
    Index("alchemy_embedding", Item.embedding, postgresql_using="hnsw",
          postgresql_with={"m": 16, "ef_construction": 64},
          postgresql_ops={"embedding": "vector_l2_ops"}),
    Index("alchemy_half", Item.half, postgresql_using="ivfflat",
          postgresql_with={"lists": 4}, postgresql_ops={"half": "halfvec_cosine_ops"}),
    # an index on an expression, as pgvector's documentation shows it
    Index("alchemy_cast", func.cast(Item.embedding, HALFVEC(16)).label("cast_half"),
          postgresql_using="hnsw", postgresql_with={"m": 8},
          postgresql_ops={"cast_half": "halfvec_l2_ops"}),
]


def main():
    engine = create_engine("postgresql+psycopg://")
    Base.metadata.create_all(engine)
    found = {index["name"]: index["dialect_options"].get("postgresql_using")
             for index in inspect(engine).get_indexes("alchemy_items")}
    check(found == {"alchemy_embedding": "hnsw", "alchemy_half": "ivfflat", "alchemy_cast": "hnsw"},
          "create_all made the indexes")

    base = (np.random.default_rng(3).integers(-64, 64, (300, 16)) / 8).astype(np.float32)
    query = (np.random.default_rng(4).integers(-64, 64, 16) / 8).astype(np.float32)
    with Session(engine) as session:
        session.add_all(Item(id=i, embedding=row, half=row.tolist()) for i, row in enumerate(base))
        session.commit()

        items = session.scalars(select(Item).order_by(Item.id)).all()
        check(np.array_equal(np.stack([np.asarray(item.embedding) for item in items]), base), "vector: rows come back")
        check(np.array_equal(np.stack([item.half.to_numpy() if hasattr(item.half, "to_numpy") else np.asarray(item.half)
                                       for item in items]), base.astype(np.float16)), "halfvec: rows come back")

        session.execute(text("SET enable_seqscan = off; SET hnsw.ef_search = 200; SET ivfflat.probes = 4"))
        l2 = np.sqrt(((base.astype(np.float64) - query) ** 2).sum(axis=1))
        cosine = 1 - (base.astype(np.float64) @ query) / np.linalg.norm(base, axis=1) / np.linalg.norm(query)
        for index, column, distance in (
                ("alchemy_embedding", Item.embedding.l2_distance(query), l2),
                ("alchemy_half", Item.half.cosine_distance(query), cosine)):
            rows = session.execute(select(Item.id, column).order_by(column).limit(10)).all()
            used = session.execute(text("SELECT index::text, returned_rows FROM milvus.last_search()")).one()
            check(np.allclose([row[1] for row in rows], np.sort(distance)[:10], atol=1e-5), f"{index}: numpy's distances")
            check(tuple(used) == (index, 10), f"{index}: the search went through the index")
        average = session.scalar(select(func.avg(Item.embedding)))
        check(np.allclose(np.asarray(average if not isinstance(average, str) else eval(average)), base.mean(axis=0), atol=1e-5),
              "avg of the column")
    Base.metadata.drop_all(engine)
    print(f"1..{checks}")
    sys.exit(failed > 0)


main()
