"""Django with the fields, indexes and distances of the package pgvector: tables and
indexes are made by Django's schema editor, from migration operations' own classes.

The server comes by PGHOST and so on.  Prints TAP.
"""

import os
import sys

import django
import numpy as np
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"],
                           "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"], "USER": os.environ["PGUSER"]}},
    INSTALLED_APPS=["django.contrib.postgres"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.db import connection, models  # noqa: E402
from pgvector.django import (  # noqa: E402
    CosineDistance, HalfVectorField, HnswIndex, IvfflatIndex, L2Distance, VectorField)

checks = 0
failed = 0


def check(good, what):
    """One line of TAP."""
    global checks, failed
    checks += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {checks} - {what}")


class Item(models.Model):
    embedding = VectorField(dimensions=16, null=True)
    half = HalfVectorField(dimensions=16, null=True)

    class Meta:
        app_label = "clients"
        db_table = "django_items"
        indexes = [
            HnswIndex(name="django_embedding", fields=["embedding"], m=16, ef_construction=64, opclasses=["vector_l2_ops"]),
            IvfflatIndex(name="django_half", fields=["half"], lists=4, opclasses=["halfvec_cosine_ops"]),
        ]


def last_search():
    with connection.cursor() as cursor:
        cursor.execute("SELECT index::text, returned_rows FROM milvus.last_search()")
        return cursor.fetchone()


def main():
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "django_items")
    check({name: found[name]["type"] for name in found if found[name]["index"] and not found[name]["primary_key"]}
          == {"django_embedding": "hnsw", "django_half": "ivfflat"}, "the schema editor made the indexes")

    base = (np.random.default_rng(3).integers(-64, 64, (300, 16)) / 8).astype(np.float32)
    query = (np.random.default_rng(4).integers(-64, 64, 16) / 8).astype(np.float32)
    Item.objects.bulk_create(Item(id=i, embedding=row, half=row.tolist()) for i, row in enumerate(base))
    Item.objects.create(id=1000)
    items = Item.objects.exclude(embedding=None).order_by("id")
    check(np.array_equal(np.stack([np.asarray(item.embedding) for item in items]), base), "vector: rows come back")
    check(np.array_equal(np.stack([item.half.to_numpy() if hasattr(item.half, "to_numpy") else np.asarray(item.half)
                                   for item in items]), base.astype(np.float16)), "halfvec: rows come back")

    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off; SET hnsw.ef_search = 200; SET ivfflat.probes = 4")
    l2 = np.sqrt(((base.astype(np.float64) - query) ** 2).sum(axis=1))
    cosine = 1 - (base.astype(np.float64) @ query) / np.linalg.norm(base, axis=1) / np.linalg.norm(query)
    for index, annotation, distance in (("django_embedding", L2Distance("embedding", query), l2),
                                        ("django_half", CosineDistance("half", query), cosine)):
        rows = list(Item.objects.annotate(distance=annotation).order_by(annotation)[:10])
        used = last_search()
        check(np.allclose([row.distance for row in rows], np.sort(distance)[:10], atol=1e-5), f"{index}: numpy's distances")
        check(used == (index, 10), f"{index}: the search went through the index")

    with connection.schema_editor() as editor:
        editor.delete_model(Item)
    print(f"1..{checks}")
    sys.exit(failed > 0)


main()
