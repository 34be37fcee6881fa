"""Whether a replica may be searched: what it is asked, once for a connection and each time.

The functions that ask a replica are called in a block of `connections.as_default(ALIAS)`.
"""

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
    Reason.LAGGING: "it is more than FACESVC_REPLICA_MAX_LAG behind",
    Reason.PROMOTED: "it is no replica any more",
    Reason.FOREIGN: "it is a replica of another primary",
    Reason.OUTDATED: "it lacks a migration, or the model that serves",
}


class UnfitError(Exception):
    def __init__(self, reason: Reason, lag: float | None = None) -> None:
        super().__init__(_WORDS[reason])
        self.reason = reason
        self.lag = lag  # in seconds


class Moment(NamedTuple):
    """A position in the log of the primary, and which primary that is.

    A replica that has replayed the position knows everything that was committed before.
    """

    position: str
    system: str

    @classmethod
    def now(cls) -> "Moment":
        (row,) = fetched(_MOMENT)
        return cls(*row)


# The insert position is past every commit that anybody can see, even an asynchronous one.
_MOMENT = """
SELECT pg_current_wal_insert_lsn()::text, system_identifier::text FROM pg_control_system()
"""
# Once for a connection. The settings are those of `statements.searching`.
_CONNECTED = """
SELECT coalesce(host(inet_server_addr()) || ':' || inet_server_port(), ''),
    (SELECT system_identifier::text FROM pg_control_system()),
    (SELECT count(*) FROM django_migrations WHERE app || '.' || name = ANY(%s)),
    set_config('jit', 'off', false), set_config('max_parallel_workers_per_gather', '0', false),
    set_config('plan_cache_mode', 'force_generic_plan', false)
"""
# For each search. A replica is behind by the age of the last transaction that it has replayed, at
# most. While the primary is idle, that grows, although the replica has everything.
_STATE = """
SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= %s::pg_lsn,
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float,
    EXISTS (SELECT FROM recognition_activemodel WHERE pack = %s AND template_key = %s)
"""


@dataclass(frozen=True)
class Replica:
    """A replica that may be asked. `has_all`: it has replayed the moment, and `lag` is then 0.

    `lag` is how many seconds it is behind at most.
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


def state(since: Moment, model: tuple[str, str]) -> Replica:
    """The state of a connected replica; `model` is the pack and the key. Raises UnfitError."""
    database: Any = connections[ALIAS]
    if database.unfit:
        raise UnfitError(database.unfit)
    ((is_replica, has_all, lag, has_model),) = fetched(_STATE, [since.position, *model])
    if not is_replica:
        raise UnfitError(Reason.PROMOTED)
    if not has_model:
        raise UnfitError(Reason.OUTDATED, lag)
    if not has_all and (lag is None or lag > settings.FACESVC_REPLICA_MAX_LAG):
        raise UnfitError(Reason.LAGGING, lag)
    return Replica(has_all, 0.0 if has_all else lag)


@cache
def _migrations() -> list[str]:
    """The last migrations of the tables that are searched, as app.name."""
    leaves = MigrationLoader(None).graph.leaf_nodes("recognition")
    return [".".join(leaf) for leaf in leaves]
