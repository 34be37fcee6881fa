"""The sketches that a search needs of a template version, and the HNSW index of a large one.

Each version has an index of its own, so that versions do not share a graph. It makes every
enrolment several times dearer, so a worker builds it only when a gallery is so large that searches
take it (FACESVC_HNSW_FROM), and drops it when the gallery has become small.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import Sum
from pgvector import HalfVector
from psycopg import sql

from recognition.inference.arrays import Floats
from recognition.models import ActiveModel, GalleryCount, SketchCentre, locks
from recognition.models.locks import One
from recognition.packs import engine, versions
from recognition.prepared import fetched

PREFIX = "template_hnsw_"  # of the names of HNSW indexes
# The first pgvector with iterative scans, which the search needs.
LEAST_PGVECTOR = (0, 8)
# An index is dropped below this share of FACESVC_HNSW_FROM. A gallery whose size goes up and down
# there does not have it built again each time.
_KEPT_FROM = 0.75

# PostgreSQL does not show what another role does, but the lock that each build holds on the table.
# A vacuum by that role looks the same, so that a broken index may stay for an hour longer.
_INDEXES = f"""
SELECT relname, indisvalid, coalesce(
    build.phase || ', '
        || coalesce(round(100.0 * build.blocks_done / nullif(build.blocks_total, 0)), 0) || '%%',
    (
        SELECT 'by another role'
        FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT indisvalid AND relation = indrelid AND pg_locks.database = (
                SELECT oid FROM pg_database WHERE datname = current_database()
            )
            AND mode = 'ShareUpdateExclusiveLock' AND granted AND backend_type IS NULL
        LIMIT 1
    ),
    ''
)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
LEFT JOIN pg_stat_progress_create_index AS build ON build.index_relid = indexrelid
WHERE indrelid = to_regclass('recognition_template')
    AND relname ~ '^{PREFIX}[0-9a-f]{{12}}$'
ORDER BY relname
"""
# Limits of the role or the database. PostgreSQL knows `transaction_timeout` since 17.
_WITHOUT_LIMITS = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')
"""
_BREAK_OFF = """
SELECT pg_cancel_backend(pid)
FROM pg_stat_progress_create_index JOIN pg_stat_activity USING (pid)
WHERE relid = to_regclass('recognition_template') AND usename = current_user
"""


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


def sketch_active(row: ActiveModel) -> str:
    """Have the templates that serve sketched. Returns their version. Raises PackError."""
    pack = engine.pack(row.pack)
    version = versions.version_of(pack, row.template_key)
    calibration = engine.calibration_of(pack, row.measurement_id)
    sketch(version, engine.centre_of(calibration, row.template_key))
    return version


def list_anew() -> None:
    """Make all listings, sketches and counts once more from the stored templates."""
    with transaction.atomic(), connection.cursor() as cursor:
        SketchCentre.objects.update(most_faces=1)  # the listings raise it
        cursor.execute("SELECT recognition_list_anew()")


def is_usable(version: str) -> bool:
    """Whether a search of this version has all that it needs, whatever the size of the gallery."""
    if (pgvector_version() or (0,)) < LEAST_PGVECTOR:
        return False
    return SketchCentre.objects.filter(pk=version).exists()


def pgvector_version() -> tuple[int, ...] | None:
    """The extension's version in the database or, before the first migration, on the server."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions "
            "WHERE name = 'vector'"
        )
        found = cursor.fetchone()
    return tuple(int(part) for part in found[0].split(".")) if found else None


# --- The HNSW index -------------------------------------------------------------------------------


class IndexState(StrEnum):
    NOT_NEEDED = "not_needed"  # the gallery is too small
    WAITING = "waiting"  # a worker will build it
    BUILDING = "building"
    READY = "ready"


@dataclass(frozen=True)
class HnswIndex:
    """The index of a version. `building` says how far a build is; it is empty without one."""

    state: IndexState
    templates: int
    building: str = ""

    @property
    def words(self) -> str:
        """The state, for people."""
        return {
            IndexState.NOT_NEEDED: "no HNSW index, which only a larger gallery needs",
            IndexState.WAITING: "no HNSW index yet: a worker will build it",
            IndexState.BUILDING: f"an HNSW index that is being built ({self.building})",
            IndexState.READY: "an HNSW index",
        }[self.state]

    @property
    def advice(self) -> str:
        if self.state != IndexState.WAITING:
            return ""
        return (
            "A worker begins within an hour; after an error, which its log has, up to three times "
            "a day. Its role in the database has to own the table recognition_template."
        )


@dataclass(frozen=True)
class _Found:
    """An index in the database; `building` as above."""

    name: str
    is_valid: bool
    building: str


def look(version: str) -> HnswIndex:
    """What there is of the index of a version."""
    count = _templates().get(version, 0)
    found = next((each for each in _found() if each.name == name_of(version)), None)
    if found and found.is_valid:
        return HnswIndex(IndexState.READY, count)
    if found and found.building:
        return HnswIndex(IndexState.BUILDING, count, found.building)
    is_large = count >= settings.FACESVC_HNSW_FROM
    return HnswIndex(IndexState.WAITING if is_large else IndexState.NOT_NEEDED, count)


def is_valid(version: str) -> bool:
    """Whether the index of a version is there and complete."""
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
    return fetched(valid, [name_of(version)]) == [(True,)]


def is_work(version: str) -> bool:
    """Whether `keep` has something to do while this version is active."""
    return bool(_superfluous()) or _is_wanted(version)


def keep(version: str) -> None:
    """Build the index of the active version if it has to be, and drop those that nobody needs.

    Writes and searches go on. An index whose build was interrupted is built again. Does nothing
    while another process does it. The connection must be in no transaction, and loses its limits.
    """
    with locks.only_process(One.INDEX) as is_the_only_one:
        if not is_the_only_one:
            return
        for name in _superfluous():
            drop(name)
        if _is_wanted(version):
            build(version)


def build(version: str) -> None:
    """Build the index, whatever the size of the gallery; there must be none. See `keep`."""
    _without_limits(creation_of(version, concurrently=True))


def drop(name: str) -> None:
    """Drop an index, as `keep` does."""
    _without_limits(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def break_off(using: str = DEFAULT_DB_ALIAS) -> None:
    """End a build in any process, as a migration would wait for it, and searches for that."""
    with connections[using].cursor() as cursor:
        cursor.execute(_BREAK_OFF)


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
    return f"{PREFIX}{hashlib.sha256(version.encode()).hexdigest()[:12]}"


def quoted(text: str) -> str:
    """A text as a literal of SQL, for places where no parameter is allowed."""
    return sql.Literal(text).as_string(connection.connection)


def _is_wanted(version: str) -> bool:
    return look(version).state == IndexState.WAITING


def _superfluous() -> list[str]:
    """The names of indexes that are of no use: broken, or of a version with few templates."""
    least = _KEPT_FROM * settings.FACESVC_HNSW_FROM
    large = {name_of(version) for version, count in _templates().items() if count >= least}
    idle = (each for each in _found() if not each.building)
    return [each.name for each in idle if not (each.is_valid and each.name in large)]


def _templates() -> dict[str, int]:
    """How many templates each version has."""
    sums = GalleryCount.objects.order_by().values_list("embedding_version")
    return dict(sums.annotate(Sum("templates")))


def _found() -> list[_Found]:
    with connection.cursor() as cursor:
        cursor.execute(_INDEXES, [])
        return [_Found(*row) for row in cursor.fetchall()]


def _without_limits(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_WITHOUT_LIMITS)
        cursor.execute(statement)
