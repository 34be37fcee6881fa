"""Has a connection look into the schema of the current collection before a statement runs."""

from collections.abc import Callable
from typing import Any

from django.db import ProgrammingError
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from psycopg.errors import UndefinedFunction, UndefinedTable
from psycopg.pq import TransactionStatus

from recognition.collections import current


class _Cursor(CursorWrapper):
    """COPY passes by the wrapper of statements, and a cursor may be older than what is entered."""

    def copy(self, *statement: Any) -> Any:
        self.db.go()
        return self.cursor.copy(*statement)


class _DebugCursor(base.CursorDebugWrapper):
    def copy(self, *statement: Any) -> Any:
        self.db.go()
        return super().copy(*statement)


class PlacedWrapper(base.DatabaseWrapper):
    """Django's PostgreSQL backend, whose statements find the tables of the current collection."""

    # Where the connection looks now; None if that is not known.
    _path: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._in_place)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self._path = None
        return super().get_new_connection(conn_params)

    def make_cursor(self, cursor: Any) -> Any:
        return _Cursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> Any:
        return _DebugCursor(cursor, self)

    def marked(self, statement: str) -> str:
        return current.marked(statement)

    def _in_place(self, execute: Callable[..., Any], *statement: Any) -> Any:
        self.go()
        try:
            return execute(*statement)
        except ProgrammingError as error:
            if isinstance(error.__cause__, UndefinedTable | UndefinedFunction):
                current.explain(error)
            raise

    def go(self) -> None:
        wanted, raw = current.search_path(), self.connection
        if self._path == wanted or raw is None:
            return
        if raw.pgconn.transaction_status == TransactionStatus.INERROR:
            return  # it takes nothing but the end of the transaction, which needs no table
        self._path = None  # what breaks off here leaves it unknown
        with self.wrap_database_errors:
            raw.execute("SELECT set_config('search_path', %s, false)", [wanted])
        self._path = wanted

    # PostgreSQL takes a setting back with the transaction, or the savepoint, that it was set in.

    def _commit(self) -> None:
        # It rolls back a transaction with an error that somebody caught, and calls that no error.
        raw = self.connection
        if raw is not None and raw.pgconn.transaction_status == TransactionStatus.INERROR:
            self._path = None
        super()._commit()  # type: ignore[misc]

    def _rollback(self) -> None:
        super()._rollback()  # type: ignore[misc]  # not in the stubs
        self._path = None

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self._path = None
