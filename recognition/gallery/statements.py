"""How the statements of a search reach PostgreSQL: prepared, with vectors as they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet
from psycopg.adapt import Dumper
from psycopg.pq import Format

from recognition.inference.arrays import Floats

# Settings of the planner for a search: it is over before it could be compiled, and the other
# processors have requests of their own.
_PLANNER = {
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_generic_plan",
}
# Without them the planner would read a small table and sort it.
_FOR_GRAPH = dict.fromkeys(("enable_sort", "enable_seqscan", "enable_bitmapscan"), "off")


@dataclass(frozen=True)
class Vector:
    """A vector as a parameter of a statement, in the precision that is stored.

    PostgreSQL needs 0.06 ms to read 512 numbers as text, which is several times a whole search.
    """

    halves: bytes  # big-endian

    @classmethod
    def of(cls, embedding: Floats) -> Vector:
        """The vector of an embedding (N,)."""
        return cls(embedding.astype(">f2").tobytes())


class _Binary(Dumper):
    """The format that pgvector's halfvec_recv reads: dimensions, two bytes of 0, numbers."""

    format = Format.BINARY

    def dump(self, obj: Vector) -> bytes:
        return (len(obj.halves) // 2).to_bytes(2, "big") + b"\0\0" + obj.halves


class _Text(Dumper):
    """For statements whose parameters Django fills in."""

    def dump(self, obj: Vector) -> bytes:
        numbers = np.frombuffer(obj.halves, ">f2").tolist()
        return f"[{','.join(map(str, numbers))}]".encode()


# psycopg prefers the dumper that was registered last.
psycopg.adapters.register_dumper(Vector, _Text)
psycopg.adapters.register_dumper(Vector, _Binary)


@contextmanager
def statements() -> Iterator[None]:
    """A transaction for searches, with the settings of the planner that they need."""
    with transaction.atomic():
        _configure(_PLANNER)
        yield


@contextmanager
def for_graph() -> Iterator[None]:
    """A block in which the planner has to take the HNSW index."""
    # The scan goes on until enough templates pass the filters, or hnsw.max_scan_tuples are seen.
    scan = {"hnsw.iterative_scan": "strict_order"}
    scan["hnsw.ef_search"] = str(settings.FACESVC_HNSW_EF_SEARCH)
    with transaction.atomic():
        _configure(_FOR_GRAPH | scan)
        yield
        transaction.set_rollback(True)


def _configure(parameters: Mapping[str, str]) -> None:
    """Set parameters until the transaction ends. The names and values are our own."""
    calls = (f"set_config('{name}', '{value}', true)" for name, value in parameters.items())
    _execute(f"SELECT {', '.join(calls)}", ())


def fetched(query: QuerySet[Any, Any]) -> list[tuple[Any, ...]]:
    """The rows of a query, by a prepared statement.

    Planning takes as long as a search among friends. So each connection plans a statement once,
    without the values; the tests look at these plans.
    """
    try:
        sql, params = query.query.sql_with_params()
    except EmptyResultSet:
        return []
    return _execute(sql, params)


def _execute(sql: str, params: Any) -> list[tuple[Any, ...]]:
    connection.ensure_connection()
    raw = connection.connection
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with _preparing(raw), wrap(psycopg.Cursor(raw)) as cursor:  # type: ignore[arg-type]
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


@contextmanager
def _preparing(raw: psycopg.Connection[Any]) -> Iterator[None]:
    """A block in which psycopg prepares statements. Outside of it psycopg would keep the last
    hundred statements of Django, with the templates in them, and would forget what it has prepared
    whenever a savepoint is rolled back."""
    raw.prepare_threshold = 0
    try:
        yield
    finally:
        raw.prepare_threshold = None
