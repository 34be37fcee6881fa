"""Django's PostgreSQL backend for replicas. It keeps a connection that is read-only.

The primary can always answer a search instead. So nobody waits for long for a replica that has
stopped in the middle of a statement without closing its connections.
"""

from types import SimpleNamespace
from typing import Any

import psycopg
from psycopg.errors import _WaitTimeout

from facesvc.postgres.base import DatabaseOperations
from facesvc.postgres.placing import PlacedWrapper

STATEMENT_SECONDS = 5.0


class _Connection(psycopg.Connection[Any]):
    """Raises an OperationalError if the server does not answer in time, and cannot be used then."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        limit = STATEMENT_SECONDS if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except _WaitTimeout:
            self.pgconn.finish()  # the statement may still run
            raise psycopg.OperationalError(f"no answer within {limit:g} seconds") from None


class DatabaseWrapper(PlacedWrapper):
    ops_class = DatabaseOperations
    # psycopg, but for the class of its connections.
    Database = SimpleNamespace(**{**vars(psycopg), "connect": _Connection.connect})  # type: ignore[assignment]
    # recognition.gallery.replicas notes here what it finds: the name of the server, and why it may
    # not be searched.
    server = ""
    unfit: str | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self.server, self.unfit = "", None
        return super().get_new_connection(conn_params)
