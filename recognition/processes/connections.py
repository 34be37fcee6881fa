"""Sets the parameters of connections to PostgreSQL, and knows which errors pass by themselves."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    InterfaceError,
    OperationalError,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper

# The code relies on these parameters, whatever the server, its database or the role sets.
_RELIED_ON = {
    # psycopg reads dates, intervals and bytes in these forms only.
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    # Locks are taken before rows are read: what others committed in between must be visible.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # A search sets generic plans itself. Other statements are planned for their values.
    "plan_cache_mode": "auto",
}
# The sorts and hashes of a search fit into this.
_LEAST_WORK_MEM = "4MB"
# The standby or read-only database after a failover; a transaction that was idle for too long; a
# statement that was prepared before a migration changed the type of a column.
_PASSING = {"25006", "25P03", "25P04", "0A000"}
# The classes of codes of a connection that has ended; libpq's own errors have no code.
_LOST = ("08", "57P")

# Milliseconds, by the name of the parameter; see `limit`.
_limits: dict[str, str] = {}


def limit(*, statement_seconds: float, lock_seconds: float) -> None:
    """Limit how long a statement of this process runs, and how long it waits for a lock.

    Only serving processes call this; a command has no limit.
    """
    _limits["statement_timeout"] = f"{statement_seconds * 1000:.0f}"
    _limits["lock_timeout"] = f"{lock_seconds * 1000:.0f}"


def prepare(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """A receiver of connection_created: sets the parameters and the limits."""
    _set(connection, _RELIED_ON | _limits)


def _set(connection: BaseDatabaseWrapper, parameters: Mapping[str, str]) -> None:
    calls = ", ".join(["set_config(%s, %s, false)"] * len(parameters))
    work_mem = "set_config('work_mem', %s, false)"
    enough = "pg_size_bytes(current_setting('work_mem')) >= pg_size_bytes(%s)"
    values = [each for pair in parameters.items() for each in pair]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {calls}, CASE WHEN {enough} THEN '' ELSE {work_mem} END",
            [*values, _LEAST_WORK_MEM, _LEAST_WORK_MEM],
        )


def are_shared() -> bool:
    """Whether a pooler gives the transactions of a connection any connection that is free.

    Then what one sets, as the schema that it looks into, is that of others. The pooler takes the
    connection that was given back last, or all in turns.
    """
    name, mark = "facesvc.shared", secrets.token_hex(8)
    one, other = (connections[DEFAULT_DB_ALIAS].copy() for _ in range(2))
    with closing(one), closing(other):
        _answer(one, "SELECT set_config(%s, %s, false)", name, mark)
        look = "SELECT current_setting(%s, true)"
        seen = [_answer(each, look, name) == mark for each in (other, one, one)]
    return seen != [False, True, True]


def _answer(connection: BaseDatabaseWrapper, text: str, *values: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchone()[0]


@contextmanager
def as_default(alias: str) -> Iterator[None]:
    """A block in which everything that this thread asks of the database goes to this one."""
    own = connections[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS] = connections[alias]
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = own


def is_passing(error: BaseException | None) -> bool:
    """Whether the error is likely to pass, so that a repetition may succeed."""
    if isinstance(error, (OperationalError, InterfaceError)):
        return True
    return isinstance(error, DatabaseError) and (
        getattr(error.__cause__, "sqlstate", None) in _PASSING
    )


def is_lost(error: BaseException) -> bool:
    """Whether the connection has ended, or cannot be made."""
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(_LOST)


def first_line(error: Exception) -> str:
    """What an error of the database says; PostgreSQL's further lines may quote a row."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
