"""A streaming replica of the server that the tests use, which the service searches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, connections

from facesvc.postgres import address, database, replica
from recognition.gallery.replicas import asking
from recognition.gallery.replicas.fitness import ALIAS, Reason
from tests.support.patience import wait_until
from tests.support.servers import schemas

_POSITION = "SELECT pg_current_wal_flush_lsn()::text"


@dataclass(frozen=True)
class Standby:
    folder: Path

    def ask(self, statement: str) -> Any:
        """The first field of the answer, from a connection of its own."""
        with schemas.connect(database.embedded_url(self.folder), autocommit=True) as own:
            cursor = own.execute(statement)
            return cursor.fetchone()[0] if cursor.rownumber is not None else None

    def catch_up(self) -> None:
        """Waits until it has replayed all that is committed."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")  # is written to the log with its commit
            cursor.execute(_POSITION)
            (position,) = cursor.fetchone()
        wait_until(lambda: self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{position}'"), pause=0.01)

    def pause(self) -> None:
        self.ask("SELECT pg_wal_replay_pause()::text")
        wait_until(lambda: self.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")

    def resume(self) -> None:
        self.ask("SELECT pg_wal_replay_resume()::text")


@contextmanager
def standby(folder: Path) -> Iterator[Standby]:
    """Copies the server that the tests use, and has this process know the copy as a replica."""
    connection.ensure_connection()
    info = connection.connection.info
    replica.copy(info.dsn, folder, info.password)
    url = replica.address(folder).removesuffix(database.NAME) + info.dbname
    database.join(folder)
    search = address.parse_replicas("FACESVC_SEARCH_DATABASE_URL", url)
    search["TEST"] = {"MIRROR": "default"}  # which says that no test can write there
    both = {"default": connections.settings["default"], ALIAS: search}
    connections.settings[ALIAS] = connections.configure_settings(both)[ALIAS]
    settings.FACESVC_SEARCH_DATABASE_URL = url
    try:
        yield Standby(folder)
    finally:
        settings.FACESVC_SEARCH_DATABASE_URL = ""
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.settings[ALIAS]
        if folder in database._handles:
            database.release(folder)


def fallbacks(reason: Reason) -> int:
    """How many searches the primary had to do for this reason."""
    return int(asking._FALLBACKS.labels(reason.value)._value.get())


def searches() -> tuple[int, int]:
    """How many searches this process has counted, on the primary and on replicas."""
    count = asking._SEARCHES.labels
    return int(count("primary")._value.get()), int(count("replica")._value.get())
