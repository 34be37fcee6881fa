"""The database server, and whether it fits to this service."""

from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from facesvc.doctor.examining import Finding, failure, ok, warning
from facesvc.postgres import former
from recognition.gallery import indexes
from recognition.gallery.replicas import states
from recognition.processes.connections import are_shared

LEAST_POSTGRESQL = 14  # Django's
CLOCK_SECONDS = 2.0


def database() -> Finding:
    """Checks that the database takes writes, and that it and pgvector are new enough.

    A pooler in front of it has to leave its connections apart.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only')")
        if cursor.fetchone() != ("off",):
            return failure("it is read-only", "DATABASE_URL has to name the primary server.")
    version: int = connection.pg_version  # type: ignore[attr-defined]
    if version // 10_000 < LEAST_POSTGRESQL:
        return failure(f"PostgreSQL {version // 10_000}", f"It has to be {LEAST_POSTGRESQL}.")
    pgvector = indexes.pgvector_version()
    if pgvector is None or pgvector < indexes.LEAST_PGVECTOR:
        there = f"only pgvector {_dotted(pgvector)}" if pgvector else "no pgvector"
        return failure(there, f"Install pgvector {_dotted(indexes.LEAST_PGVECTOR)} or newer.")
    if are_shared():
        advice = "Set it to session mode: a request would see the people of another collection."
        return failure("a pooler mixes the connections of this service", advice)
    shown = f"{version // 10_000}.{version % 10_000}"
    return ok(f"PostgreSQL {shown}, pgvector {_dotted(pgvector)}")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def connections() -> Finding:
    """Compares how many connections the server takes with how many this machine's service opens."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
        )
        (taken,) = cursor.fetchone()
    text = f"this machine opens up to {settings.MOST_CONNECTIONS} of {taken} connections"
    if taken < settings.MOST_CONNECTIONS:
        advice = "Raise max_connections of the server, or lower WEB_WORKERS or WEB_THREADS."
        return warning(text, advice)
    return ok(text)


def migrations() -> Finding:
    if former.is_former(connection.alias):
        return failure(f"the database {former.WHY}", former.ADVICE)
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return failure(f"{len(plan)} are missing", "Run `manage.py migrate`.")
    return ok("all are applied")


def clock() -> Finding:
    """Compares the clock of the database with the clock of this machine."""
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone()
    apart = max(before - there, there - timezone.now(), timedelta(0)).total_seconds()
    if apart <= CLOCK_SECONDS:
        return ok("as the database's")
    text = f"{apart:.0f} s apart from the database's"
    advice = "Set both by NTP: tokens, sessions and locks end too early or too late."
    if apart > max(CLOCK_SECONDS, settings.JWT_LEEWAY_SECONDS):
        return failure(text, advice)
    return warning(text, advice)


def replicas() -> Finding:
    """Checks each replica of FACESVC_SEARCH_DATABASE_URL. Without one the database searches."""
    found = states.states()
    if not found:
        return ok("none: searches run on the database")
    if wrong := [f"{each.name}: {each.problem}" for each in found if each.problem]:
        advice = "Until it is well, searches run on the database: see docs/operations.md."
        return warning("; ".join(wrong), advice)
    lags = ", ".join(f"{each.name} is {each.lag:.1f} s behind" for each in found)
    return ok(f"searches run on replicas: {lags}")
