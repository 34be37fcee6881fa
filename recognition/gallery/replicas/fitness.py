"""Whether a replica may be searched: what it is asked, once for a connection and each time.

The functions that ask a replica are called in a block of `connections.as_default(ALIAS)`.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from recognition.prepared import fetched

ALIAS = "search"  # of settings.DATABASES


class Reason(StrEnum):
    """Why the primary searches, although there are replicas."""

    UNREACHABLE = "unreachable"
    BROKEN_OFF = "broken_off"  # the replica ended, or did not end, a statement
    LAGGING = "lagging"
    PROMOTED = "promoted"  # it is no replica any more
    FOREIGN = "foreign"  # it is a replica of another primary
    OUTDATED = "outdated"  # it lacks a migration, or the model that serves
    BEHIND = "behind"  # it has not replayed yet what this search must not miss
    GAP = "gap"  # too many of those that it proposed may no longer be shown


_WORDS = {
    Reason.LAGGING: "it is more than FACESVC_REPLICA_MAX_LAG behind ({limit:g} s)",
    Reason.PROMOTED: "it is no replica any more: take it out of FACESVC_SEARCH_DATABASE_URL",
    Reason.FOREIGN: "it is a replica of another primary",
    Reason.OUTDATED: "it lacks a migration, or the model that serves",
}


class UnfitError(Exception):
    def __init__(self, reason: Reason, lag: float | None = None) -> None:
        super().__init__(_WORDS[reason].format(limit=settings.FACESVC_REPLICA_MAX_LAG))
        self.reason = reason
        self.lag = lag  # in seconds


class ServedModel(NamedTuple):
    """The model that serves, and the version of the templates that it compares.

    An upgrade may change the version alone, with a pack that has another cohort.
    """

    pack: str
    template_key: str
    version: str


class Moment(NamedTuple):
    """A position in the log of the primary, in bytes, and which primary and which log that is.

    A replica that has replayed the position knows everything that was committed before. Up to
    `flushed` the primary has sent its log to its replicas, or is about to. `taken`: when the
    primary was asked, by `time.monotonic`.
    """

    position: int
    flushed: int
    timeline: int
    system: str
    taken: float

    @classmethod
    def now(cls) -> "Moment":
        taken = time.monotonic()
        ((position, flushed, file, system),) = fetched(_MOMENT)
        return cls(position, flushed, int(file[:8], 16), system, taken)


# The insert position is past every commit that anybody can see, even an asynchronous one. The name
# of the file that it is in begins with the timeline.
_MOMENT = """
SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint,
    (pg_current_wal_flush_lsn() - '0/0')::bigint,
    pg_walfile_name(pg_current_wal_insert_lsn()), system_identifier::text
FROM pg_control_system()
"""
# Once for a connection. The settings are those of `statements.searching`.
_CONNECTED = """
SELECT coalesce(host(inet_server_addr()) || ':' || inet_server_port(), ''),
    (SELECT system_identifier::text FROM pg_control_system()),
    (SELECT count(*) FROM django_migrations WHERE app || '.' || name = ANY(%s)),
    set_config('jit', 'off', false), set_config('max_parallel_workers_per_gather', '0', false),
    set_config('plan_cache_mode', 'force_generic_plan', false)
"""
# A primary that was promoted or restored writes a log of its own from then on. A replica that has
# stayed with the former log may be past the position, and yet know nothing of what happened since.
# A replica that has changed to the new log says so after its next restartpoint, some minutes later.
_TIMELINE = """(
    SELECT greatest(timeline_id, min_recovery_end_timeline)
    FROM pg_control_checkpoint(), pg_control_recovery()
)"""
# For each search. A replica is behind by no more than the age of the last transaction that it has
# replayed. While the primary is idle, that grows, although the replica has all that it could get:
# what searches write to the log, such as hint bits, is not flushed for some seconds then.
_STATE = f"""
SELECT pg_is_in_recovery(), CASE WHEN follows THEN (replayed - '0/0')::bigint ELSE -1 END,
    coalesce(
        extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float, 'Infinity'
    ),
    EXISTS (SELECT FROM recognition_activemodel WHERE pack = %s AND template_key = %s)
        AND EXISTS (SELECT FROM recognition_sketchcentre WHERE embedding_version = %s)
FROM (SELECT pg_last_wal_replay_lsn() AS replayed, {_TIMELINE} = %s AS follows) AS log
"""
# So many moments at most, spread over FACESVC_REPLICA_MAX_LAG. A replica may not have replayed the
# newest yet, and then an older one bounds its lag.
_KEPT = 10
_seen: list[Moment] = []
# How long a search waits for a replica that seems to lag, and how often it looks. After some idle
# seconds what a replica replayed last is old, and the first new commit is on its way.
_WAIT, _LOOK = 0.5, 0.01


@dataclass(frozen=True)
class Replica:
    """A replica that may be asked. `has_all`: it has replayed the moment, and `lag` is then 0.

    `lag` is how many seconds it was behind at most, when the moment was taken.
    """

    has_all: bool
    lag: float


def connect(since: Moment) -> str:
    """Connect to a replica, and note what is wrong with it. Returns the name of the server."""
    database: Any = connections[ALIAS]
    database.ensure_connection()
    ((name, system, migrations, *_),) = fetched(_CONNECTED, [_migrations()])
    info = database.connection.info
    server: str = name or f"{info.host}:{info.port}"
    database.server = server
    if system != since.system:
        database.unfit = Reason.FOREIGN
    elif migrations != len(_migrations()):
        database.unfit = Reason.OUTDATED
    return server


def state(since: Moment, model: ServedModel) -> Replica:
    """The state of a connected replica. Raises UnfitError."""
    database: Any = connections[ALIAS]
    if database.unfit:
        raise UnfitError(database.unfit)
    end = time.monotonic() + _WAIT
    while True:
        found = _state(since, model)
        if found.lag <= settings.FACESVC_REPLICA_MAX_LAG:
            return found
        if time.monotonic() > end:
            raise UnfitError(Reason.LAGGING, found.lag)
        time.sleep(_LOOK)


def _state(since: Moment, model: ServedModel) -> Replica:
    ((is_replica, replayed, age, has_model),) = fetched(_STATE, [*model, since.timeline])
    if not is_replica:
        raise UnfitError(Reason.PROMOTED)
    now, moments = time.monotonic(), _moments(since)
    lag = min([age, *(now - each.taken for each in moments if replayed >= each.flushed)])
    if replayed >= since.flushed:
        lag = 0.0
    if not has_model:
        raise UnfitError(Reason.OUTDATED, lag)
    return Replica(replayed >= since.position, lag)


def _moments(since: Moment) -> list[Moment]:
    """Some moments of the same log that this process has asked for, up to
    FACESVC_REPLICA_MAX_LAG old. A replica that has replayed one is behind by its age at most."""
    global _seen
    longest: float = settings.FACESVC_REPLICA_MAX_LAG
    oldest, log = time.monotonic() - longest, (since.timeline, since.system)
    kept = [each for each in _seen if each.taken > oldest and (each.timeline, each.system) == log]
    if not kept or since.taken - kept[-1].taken > longest / _KEPT:
        kept.append(since)
    _seen = kept
    return kept


@cache
def _migrations() -> list[str]:
    """The last migrations of the tables that are searched, as app.name."""
    leaves = MigrationLoader(None).graph.leaf_nodes("recognition")
    return [".".join(leaf) for leaf in leaves]
