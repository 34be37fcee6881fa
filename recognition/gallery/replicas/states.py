"""How each replica is, for people: the command doctor and the metrics ask."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.conf import settings
from django.db import Error, connections

from recognition.gallery.replicas import fitness
from recognition.gallery.replicas.fitness import ALIAS, Moment, ServedModel, UnfitError
from recognition.models import ActiveModel
from recognition.packs import engine, versions
from recognition.processes.connections import as_default, first_line

# A replica that has not replayed the moment after so many seconds is behind.
_WAIT, _LOOK = 0.2, 0.01


class ReplicaState(NamedTuple):
    """`lag` is in seconds, if the replica says so. `problem`: why it is not searched."""

    name: str
    lag: float | None
    problem: str


def states() -> list[ReplicaState]:
    """The state of each host that FACESVC_SEARCH_DATABASE_URL names.

    Raises PackError, and the errors of the primary.
    """
    if not settings.FACESVC_SEARCH_DATABASE_URL or not (row := ActiveModel.objects.first()):
        return []
    version = versions.version_of(engine.pack(row.pack), row.template_key)
    model, since = ServedModel(row.pack, row.template_key, version), Moment.now()
    return [_state(host, port, since, model) for host, port in _servers()]


def _servers() -> list[tuple[str, str]]:
    address = settings.DATABASES[ALIAS]
    hosts = address["HOST"].split(",")
    ports = address["PORT"].split(",")
    return list(zip(hosts, ports * (len(hosts) if len(ports) == 1 else 1), strict=True))


def _state(host: str, port: str, since: Moment, model: ServedModel) -> ReplicaState:
    name = f"{host}:{port}" if port else host
    end = time.monotonic() + _WAIT
    try:
        with _only(host, port):
            fitness.connect(since)
            found = fitness.state(since, model)
            while not found.has_all and time.monotonic() < end:
                time.sleep(_LOOK)
                found = fitness.state(since, model)
            return ReplicaState(name, found.lag, "")
    except UnfitError as unfit:
        return ReplicaState(name, unfit.lag, str(unfit))
    except Error as error:
        return ReplicaState(name, None, first_line(error))


@contextmanager
def _only(host: str, port: str) -> Iterator[None]:
    """A block with a new connection to this one, which everything asks that this thread asks."""
    own: Any = connections[ALIAS]
    one = type(own)(own.settings_dict | {"HOST": host, "PORT": port}, ALIAS)
    connections[ALIAS] = one
    try:
        with as_default(ALIAS):
            yield
    finally:
        one.close()
        connections[ALIAS] = own
