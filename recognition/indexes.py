"""What a search needs of a template version: its sketches and its vector index.

Each version has an index of its own, so that versions do not share a graph.
"""

import hashlib

from django.db import connection
from pgvector import HalfVector

from recognition.inference.arrays import Floats
from recognition.models import SketchCentre

# Candidates in HNSW's lists: these keep 99.5% of the true matches among 100,000 faces at ef_search
# 200, where pgvector's defaults (16, 64) lose a third.
_OPTIONS = "m = 32, ef_construction = 200"

# Consumer: the plan GRAPH of recognition.search.
_CREATE = (
    "CREATE INDEX CONCURRENTLY {name} ON recognition_template USING hnsw "
    "(embedding halfvec_ip_ops) WITH ({options}) WHERE embedding_version = {version}"
)


# Templates of before there were sketches.
_SKETCH_THE_REST = """
    INSERT INTO recognition_templatesketch (template_id, embedding_version, bits)
    SELECT t.id, t.embedding_version, binary_quantize(t.embedding - c.centre)::bit(512)
    FROM recognition_template t JOIN recognition_sketchcentre c USING (embedding_version)
    WHERE embedding_version = %s
    AND NOT EXISTS (SELECT FROM recognition_templatesketch s WHERE s.template_id = t.id)
    ON CONFLICT DO NOTHING
"""


def sketch(version: str, centre: Floats) -> None:
    """Have the database sketch every template of a version around a centre (512,).

    The first centre of a version stays: its sketches must be comparable with one another.
    """
    _, is_new = SketchCentre.objects.get_or_create(
        pk=version, defaults={"centre": HalfVector(centre.tolist())}
    )
    if is_new:
        with connection.cursor() as cursor:
            cursor.execute(_SKETCH_THE_REST, [version])


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
