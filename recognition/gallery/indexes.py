"""The sketches and the vector index that a search needs of a template version.

Each version has an index of its own, so that versions do not share a graph.
"""

import hashlib

from django.conf import settings
from django.db import connection, transaction
from pgvector import HalfVector
from psycopg import sql

from recognition.inference.arrays import Floats
from recognition.models import SketchCentre

# The first pgvector with iterative scans, which the search needs.
LEAST_PGVECTOR = (0, 8)


def sketch(version: str, centre: Floats) -> None:
    """Tell the database to sketch the templates of a version around a centre (512,).

    The first centre of a version stays, so that all its sketches can be compared.
    """
    row = {"centre": HalfVector(centre.tolist())}
    with transaction.atomic():
        _, is_new = SketchCentre.objects.get_or_create(pk=version, defaults=row)
        if is_new:
            with connection.cursor() as cursor:
                # Templates that are older than the listings.
                cursor.execute("SELECT recognition_list_templates(%s)", [version])


def list_anew() -> None:
    """Make all listings, sketches and counts once more from the stored templates."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT recognition_list_anew()")


def ensure(version: str) -> None:
    """Make the index of a version unless there is one, without blocking writes.

    Call it outside of a transaction. An index whose build was interrupted is built again.
    """
    is_valid = _is_valid(version)
    if is_valid:
        return
    with connection.cursor() as cursor:
        if is_valid is False:
            cursor.execute(f"DROP INDEX CONCURRENTLY {name_of(version)}")
        cursor.execute(creation_of(version, concurrently=True))


def is_usable(version: str) -> bool:
    """Whether a search of this version has all that it needs."""
    if (pgvector_version() or (0,)) < LEAST_PGVECTOR:
        return False
    return bool(_is_valid(version)) and SketchCentre.objects.filter(pk=version).exists()


def _is_valid(version: str) -> bool | None:
    """Whether the index of a version is complete; None when there is none."""
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
    with connection.cursor() as cursor:
        cursor.execute(valid, [name_of(version)])
        found = cursor.fetchone()
    return bool(found[0]) if found else None


def pgvector_version() -> tuple[int, ...] | None:
    """The extension's version in the database or, before the first migration, on the server."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions "
            "WHERE name = 'vector'"
        )
        found = cursor.fetchone()
    return tuple(int(part) for part in found[0].split(".")) if found else None


def drop(version: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name_of(version)}")


def creation_of(version: str, *, concurrently: bool) -> str:
    """The statement that makes the index. Consumer: GRAPH of recognition.gallery.plans."""
    return (
        f"CREATE INDEX {'CONCURRENTLY' if concurrently else ''} {name_of(version)} "
        f"ON recognition_template USING hnsw (embedding halfvec_ip_ops) WITH "
        f"(m = {settings.FACESVC_HNSW_M:d}, "
        f"ef_construction = {settings.FACESVC_HNSW_EF_CONSTRUCTION:d}) "
        f"WHERE embedding_version = {quoted(version)}"
    )


def name_of(version: str) -> str:
    return f"template_hnsw_{hashlib.sha256(version.encode()).hexdigest()[:12]}"


def quoted(text: str) -> str:
    """A text as a literal of SQL, for places where no parameter is allowed."""
    return sql.Literal(text).as_string(connection.connection)
