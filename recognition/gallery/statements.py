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

# For the planner, in a search's transaction: a search is over before it is compiled, and other
# processors have other requests.
_PLANNER = {
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_generic_plan",
}
# A table of few rows would otherwise be read and sorted.
_FOR_GRAPH = dict.fromkeys(("enable_sort", "enable_seqscan", "enable_bitmapscan"), "off")


@dataclass(frozen=True)
class Vector:
    """A vector as a parameter of a statement, in the precision that is stored.

    To read 512 numbers as text takes PostgreSQL 0.06 ms, several times a search.
    """

    halves: bytes  # big-endian

    @classmethod
    def of(cls, embedding: Floats) -> Vector:
        """Of an embedding (N,)."""
        return cls(embedding.astype(">f2").tobytes())


class _Binary(Dumper):
    """As pgvector's halfvec_recv reads it: the dimensions, two bytes of 0, the numbers."""

    format = Format.BINARY

    def dump(self, obj: Vector) -> bytes:
        return (len(obj.halves) // 2).to_bytes(2, "big") + b"\0\0" + obj.halves


class _Text(Dumper):
    """For statements whose parameters Django fills in."""

    def dump(self, obj: Vector) -> bytes:
        numbers = np.frombuffer(obj.halves, ">f2").tolist()
        return f"[{','.join(map(str, numbers))}]".encode()


# The last one goes first.
psycopg.adapters.register_dumper(Vector, _Text)
psycopg.adapters.register_dumper(Vector, _Binary)


@contextmanager
def statements() -> Iterator[None]:
    """Where searches are made: a transaction that tells the planner what they are like."""
    with transaction.atomic():
        _configure(_PLANNER)
        yield


@contextmanager
def for_graph() -> Iterator[None]:
    """Where the planner has to take the HNSW index; the settings end with it."""
    # Going on until enough templates pass the filters, or hnsw.max_scan_tuples were seen.
    scan = {"hnsw.iterative_scan": "strict_order"}
    scan["hnsw.ef_search"] = str(settings.FACESVC_HNSW_EF_SEARCH)
    with transaction.atomic():
        _configure(_FOR_GRAPH | scan)
        yield
        transaction.set_rollback(True)


def _configure(parameters: Mapping[str, str]) -> None:
    """Until the end of the transaction. The names and values are our own."""
    calls = (f"set_config('{name}', '{value}', true)" for name, value in parameters.items())
    _execute(f"SELECT {', '.join(calls)}", ())


def fetched(query: QuerySet[Any, Any]) -> list[tuple[Any, ...]]:
    """The rows of a query, by a prepared statement.

    Planning takes as long as a search among friends does. So the plan is made once a connection,
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
    """Not for longer: psycopg would go on to keep the last hundred statements of Django, with the
    templates in them, and forget what is prepared with every savepoint that is rolled back."""
    raw.prepare_threshold = 0
    try:
        yield
    finally:
        raw.prepare_threshold = None
