"""What a search needs of a template version: its sketches and its vector index.

Each version has an index of its own, so that versions do not share a graph.
"""

import hashlib

from django.db import connection
from pgvector import HalfVector
from psycopg import sql

from recognition.inference.arrays import Floats
from recognition.models import SketchCentre

# Candidates in HNSW's lists: these keep 99.5% of the true matches among 100,000 faces at ef_search
# 200, where pgvector's defaults (16, 64) lose a third.
_OPTIONS = "m = 32, ef_construction = 200"


def sketch(version: str, centre: Floats) -> None:
    """Have the database sketch the templates of a version around a centre (512,).

    The first centre of a version stays: its sketches must be comparable with one another.
    """
    row = {"centre": HalfVector(centre.tolist())}
    _, is_new = SketchCentre.objects.get_or_create(pk=version, defaults=row)
    if is_new:
        with connection.cursor() as cursor:
            # Templates of before there were listings.
            cursor.execute("SELECT recognition_list_templates(%s)", [version])


def ensure(version: str) -> None:
    """Make the index of a version unless there is one, without blocking writes.

    Outside of a transaction. What an interrupted build left behind is built again.
    """
    name = name_of(version)
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name])
        found = cursor.fetchone()
        if found and found[0]:
            return
        if found:
            cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
        cursor.execute(creation_of(version, concurrently=True))


def drop(version: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name_of(version)}")


def creation_of(version: str, *, concurrently: bool) -> str:
    """The statement that makes the index. Consumer: the plan GRAPH of recognition.search."""
    return (
        f"CREATE INDEX {'CONCURRENTLY' if concurrently else ''} {name_of(version)} "
        f"ON recognition_template USING hnsw (embedding halfvec_ip_ops) WITH ({_OPTIONS}) "
        f"WHERE embedding_version = {quoted(version)}"
    )


def name_of(version: str) -> str:
    return f"template_hnsw_{hashlib.sha256(version.encode()).hexdigest()[:12]}"


def quoted(text: str) -> str:
    """A text as part of a statement, for where a parameter cannot be."""
    return sql.Literal(text).as_string(connection.connection)
