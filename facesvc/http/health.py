"""Probes for load balancers: alive, and ready to serve."""

import time
from collections.abc import Callable, Set
from threading import Lock

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse

from facesvc import __version__
from facesvc.postgres.cluster import DatabaseError
from recognition.collections.current import DEFAULT, CollectionGoneError, Entered, entered
from recognition.collections.visiting import all_collections
from recognition.gallery import indexes
from recognition.inference.pack.declaration import PackError
from recognition.packs import engine
from recognition.verification import providers

# Seconds that a passed inference counts: anybody may ask, and one costs a tenth of a second.
_REMEMBERED_SECONDS = 10.0
_OTHERS_WAIT = 1.0  # seconds


def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 when the database, its migrations and a real inference are fine, else 503.

    The migrations are those of every collection. The search and the inference are those of
    `default`: what goes wrong in another collection alone must not stop the service for all.
    """
    with entered(DEFAULT):
        checks = {name: check() for name, check in _CHECKS.items()}
    services = providers.health()
    if settings.FACESVC_READY_NEEDS_PROVIDERS:
        are_fine = all(state == "ok" for state in services.values())
        checks["providers"] = "ok" if are_fine else "failed"
    fine = all(state == "ok" for state in checks.values())
    body: dict[str, object] = {
        "status": "ready" if fine else "not_ready",
        "version": __version__,
        "checks": checks,
    }
    if services:
        body["providers"] = services
    return JsonResponse(body, status=200 if fine else 503)


class _Remembered:
    """A check that counts as passed for a while, and that one thread makes at a time.

    It says `ok` or `failed`, and `unknown` if the database does not answer what it asks. While it
    hangs, other callers hear `unknown` after a second, so that they do not take all threads.
    """

    def __init__(self, check: Callable[[], bool], seconds: float) -> None:
        self._check = check
        self._seconds = seconds
        self._passed_at: float | None = None
        self._lock = Lock()

    def __call__(self) -> str:
        if not self._lock.acquire(timeout=_OTHERS_WAIT):
            return "unknown"
        try:
            now = time.monotonic()
            if self._passed_at is None or now - self._passed_at > self._seconds:
                self._passed_at = None
                if not self._check():
                    return "failed"
                self._passed_at = now
            return "ok"
        except (Error, DatabaseError):
            return "unknown"
        finally:
            self._lock.release()


def _database() -> bool:
    """Checks that the database answers and takes writes: a standby is read-only."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_read_only')")
            return bool(cursor.fetchone() == ("off",))
    except (Error, DatabaseError):
        return False


def _migrations() -> bool:
    """Whether all are applied in every collection: `migrate` is still at work, or was killed.

    The list of `default` says what a collection lacks: to plan its migrations would take a
    tenth of a second for each.
    """
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        wanted = executor.loader.applied_migrations.keys() & executor.loader.graph.nodes.keys()
        return all(wanted <= _applied(collection) for collection in all_collections())
    except CollectionGoneError:  # one was erased at this moment
        return False


def _applied(collection: Entered) -> Set[tuple[str, str]]:
    with entered(collection):
        return MigrationRecorder(connection).applied_migrations().keys()


def _inference() -> bool:
    try:
        return engine.current().self_test()
    except PackError:
        return False


def _search() -> bool:
    try:
        return indexes.is_usable(engine.active_version())
    except PackError:
        return False


_CHECKS: dict[str, _Remembered] = {
    "database": _Remembered(_database, 0),
    # Migrations that are applied stay applied while this code runs.
    "migrations": _Remembered(_migrations, float("inf")),
    "search": _Remembered(_search, _REMEMBERED_SECONDS),
    "inference": _Remembered(_inference, _REMEMBERED_SECONDS),
}
