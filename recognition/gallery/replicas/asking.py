"""Asks replicas. Whenever one cannot answer, the primary does the search in the same request."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error, connections
from prometheus_client import Counter

from recognition.collections.current import CollectionGoneError
from recognition.gallery.replicas import fitness
from recognition.gallery.replicas.fitness import (
    ALIAS,
    Moment,
    Reason,
    Replica,
    ServedModel,
    UnfitError,
)
from recognition.gallery.replicas.pauses import Pauses
from recognition.packs.engine import Engine
from recognition.processes.connections import as_default, first_line

# How long a search that needs the newest data waits for a replica, and how often it looks. The
# primary sends what no commit follows after 0.2 seconds.
_WAIT, _LOOK = 0.5, 0.01
_SILENCE = 1.0  # seconds

_SEARCHES = Counter(
    "facesvc_searches", "Searches for pictures, on the primary or a replica.", ["database"]
)
_FALLBACKS = Counter(
    "facesvc_replica_fallbacks",
    "Searches on the primary, although there are replicas, and why.",
    ["reason"],
)
_T = TypeVar("_T")
_pauses = Pauses()


def are_set() -> bool:
    return bool(settings.FACESVC_SEARCH_DATABASE_URL)


def moment() -> Moment | None:
    """The primary's position now; None if no replica can be asked at the moment.

    A search that begins with it counts nobody who was hidden before, whatever a replica knows.
    """
    if not are_set():
        return None
    if _pauses.is_on(server := _connected_to()):
        _leave(server)
    return None if _pauses.is_on(_connected_to()) else Moment.now()


def look(active: Engine, since: Moment | None) -> Replica | None:
    """The replica that this thread is connected to; None, counted, if it cannot be asked."""
    if not are_set():
        return None
    server = _connected_to()
    if since is None or not _pauses.may_ask(server):
        give_up(_pauses.reasons.get(server, Reason.UNREACHABLE))
        return None
    try:
        with as_default(ALIAS):
            found = _state(active, since)
    except UnfitError as unfit:
        _pause(unfit.reason, str(unfit))
        return None
    except CollectionGoneError:  # it has not got it yet; the primary knows whether it is gone
        give_up(Reason.BEHIND)
        return None
    except Error as error:
        _fail(error)
        return None
    if found:
        _pauses.end("")
        _pauses.end(_connected_to())
    return found


def _state(active: Engine, since: Moment) -> Replica | None:
    model = ServedModel(active.pack.name, active.template_key, active.template_version)
    started = time.monotonic()
    if asked := _connected_to():
        try:
            return fitness.state(since, model)
        except Error:
            # The server was restarted, and takes a new connection. A silent one is left alone.
            if time.monotonic() - started > _SILENCE:
                raise
            connections[ALIAS].close()
    server = fitness.connect(since)
    # Another thread may know that it failed. After a pause it is this thread that tries `asked`.
    if server != asked and not _pauses.may_ask(server):
        give_up(_pauses.reasons.get(server, Reason.BROKEN_OFF))
        _leave(server)
        return None
    return fitness.state(since, model)


def wait_for_all(active: Engine, since: Moment | None) -> bool:
    """Whether a replica may be asked that has replayed the moment, or does so soon."""
    end = time.monotonic() + _WAIT
    while found := look(active, since):
        if found.has_all:
            return True
        if time.monotonic() > end:
            give_up(Reason.BEHIND)
            return False
        time.sleep(_LOOK)
    return False


def tried(search: Callable[[], _T]) -> _T | None:
    """What a search returns on the replica that `look` has found; None if it fails there.

    Everything that it asks of the database goes to the replica.
    """
    try:
        with as_default(ALIAS):
            return search()
    except CollectionGoneError:  # it has not got it yet; the primary knows whether it is gone
        give_up(Reason.BEHIND)
        return None
    except Error as error:
        _fail(error)
        return None


def count(*, on_replica: bool) -> None:
    """Count a search: of all faces of a picture, or of a new face for its look-alikes."""
    _SEARCHES.labels("replica" if on_replica else "primary").inc()


def give_up(reason: Reason) -> None:
    """Count a search that the primary has to do. The next one may ask a replica again."""
    _FALLBACKS.labels(reason.value).inc()


def _fail(error: Error) -> None:
    reason = Reason.BROKEN_OFF if _connected_to() else Reason.UNREACHABLE
    _pause(reason, first_line(error))


def _pause(reason: Reason, words: str) -> None:
    _pauses.begin(_connected_to(), reason, words)
    connections[ALIAS].close()  # the next connection may take another server
    give_up(reason)


def _leave(server: str) -> None:
    """The next connection may reach another one. With a single server the connection is kept."""
    if _pauses.is_another_fit(server):
        connections[ALIAS].close()


def _connected_to() -> str:
    """The server of this thread's connection; empty if it has none."""
    database: Any = connections[ALIAS]
    return str(database.server) if database.connection is not None else ""
