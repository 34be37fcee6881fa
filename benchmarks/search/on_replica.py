"""Searches on a streaming replica beside those on one database: what each process pays for them.

Both are the service's own search (recognition.identification.searching), in turns with the same
probes. So their answers can be compared one by one.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.db import connections
from prometheus_client import REGISTRY

from benchmarks.search import loading, measure
from benchmarks.search.measure import Search, Timing, process_clock
from benchmarks.search.people import Case, Gallery
from facesvc.postgres import database, replica
from recognition.gallery.probe import SearchProbe
from recognition.gallery.replicas import asking
from recognition.gallery.scope import Scope
from recognition.identification.searching import Answered, PictureSearch
from recognition.packs.engine import Engine
from recognition.packs.scores import level_confidence

# What a request asks for that says nothing of it, and the same without the second cut.
RATES = (0.01, None)
_LIMIT = 10
# Seconds that a request computes between the moment that its search has to know and the search.
_INFERENCE = 0.03
_PATIENCE = 120.0  # seconds
# Cosines of one pair that two servers computed.
_PRECISION = 1e-6
Row = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    case: Case
    rate: float | None  # max_false_positive_rate
    by_user: bool

    def __str__(self) -> str:
        cut = "no FPR cut" if self.rate is None else "default"
        return f"{self.case.name}, {cut}, match_on {'user' if self.by_user else 'face'}"


@contextmanager
def standby(folder: Path) -> Iterator[None]:
    """A streaming replica in a new folder, which FACESVC_SEARCH_DATABASE_URL has to name.

    Something is committed all the time, as by the other requests of a service.
    """
    primary = connections["default"]
    primary.ensure_connection()
    replica.copy(primary.connection.info.dsn, folder)
    database.join(folder)
    _wait(folder)
    others = measure.Insertions(_commit, sys.maxsize, connections.close_all)
    try:
        with others.running():
            yield
    finally:
        connections[asking.ALIAS].close()
        database.release(folder)


def _commit(number: int) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
    time.sleep(0.5)


def _wait(folder: Path) -> None:
    """Until the replica has all that is stored."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
        (position,) = cursor.fetchone()
    end = time.monotonic() + _PATIENCE
    with psycopg.connect(database.embedded_url(folder), autocommit=True) as connection:
        has_all = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        while connection.execute(has_all, [position]).fetchone() != (True,):
            if time.monotonic() > end:
                raise RuntimeError(f"the replica did not replay everything in {_PATIENCE:.0f} s")
            time.sleep(0.1)


def compare(active: Engine, gallery: Gallery, scope: Scope, kind: Kind, probes: int) -> Row:
    """Searches of one kind on both sides: CPU of each process, and how many answers are equal."""
    photos, _ = gallery.probes(gallery.allowed(kind.case), probes)
    basic = level_confidence("basic")
    asked = [
        PictureSearch(active, [SearchProbe(photo)], scope, basic, kind.rate, _LIMIT, kind.by_user)
        for photo in photos
    ]
    answers: dict[str, dict[int, Answered]] = {"one": {}, "replica": {}}

    def search(side: str) -> Search:
        def one(number: int) -> list[int]:
            since = None
            if side == "replica":
                since = asking.moment()
                time.sleep(_INFERENCE)
            answers[side][number] = asked[number].answered(since)
            return []

        return one

    search("replica")(0)  # connects, before the clocks look for the connection
    before = _on_replica()
    timings = measure.in_turns(
        {side: search(side) for side in answers}, probes, process_clock(loading.backend_pid()),
        seconds=math.inf,
        beside={"replica": process_clock(_pid_of_replica()), "web": time.thread_time},
    )  # fmt: skip
    if _on_replica() - before < probes:
        raise RuntimeError(f"{kind}: the primary did searches of the replica")
    same = (_is_same(answers["one"][n], answers["replica"][n]) for n in range(probes))
    return {
        **{"case": kind.case.name, "cut": kind.rate is not None, "by_user": kind.by_user},
        **{"searches": probes, "same": sum(same)},
        **{side: _costs(timing) for side, timing in timings.items()},
    }


def said(row: Row) -> str:
    """A line for people of what `compare` returns."""
    one, both = row["one"], row["replica"]
    return (
        f"one database {one['primary']:.2f}, web {one['web']:.2f};"
        f" primary {both['primary']:.2f}, replica {both['replica']:.2f}, web {both['web']:.2f};"
        f" {row['same']} of {row['searches']} answers are the same"
    )


def _costs(timing: Timing) -> Row:
    row = timing.row()
    names = {"primary": "cpu_ms", "replica": "replica_cpu_ms", "web": "web_cpu_ms"}
    return {name: row[column] for name, column in names.items()}


def _is_same(one: Answered, other: Answered) -> bool:
    if (one.searched, one.threshold) != (other.searched, other.threshold):
        return False
    pairs = list(zip(one.found[0], other.found[0], strict=False))
    return len(one.found[0]) == len(other.found[0]) and all(
        a[:2] == b[:2] and math.isclose(a.cosine, b.cosine, abs_tol=_PRECISION) for a, b in pairs
    )


def _on_replica() -> int:
    found = REGISTRY.get_sample_value("facesvc_searches_total", {"database": "replica"})
    return int(found or 0)


def _pid_of_replica() -> int:
    with connections[asking.ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
