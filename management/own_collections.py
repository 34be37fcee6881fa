"""Collections for a service that works with those alone that it has made itself."""

from datetime import datetime
from typing import NamedTuple

from django.db.models import Q, QuerySet

from management import collections
from recognition.access import Caller
from recognition.collections.current import entered
from recognition.collections.models import Collection
from recognition.errors import ServiceError
from recognition.packs import engine


def create(*, caller: Caller, name: str) -> Collection | None:
    """See `collections.make`; None if there is a collection of this name."""
    try:
        return collections.make(name, actor=caller.name, made_by=caller.subject)
    except ServiceError as error:
        if error.code != "collection_exists":
            raise
        return None


def find_own(caller: Caller, name: str) -> Collection | None:
    """The collection of this name, if the service has made it."""
    return _of(caller).filter(name=name).first()


class ListedCollection(NamedTuple):
    name: str
    version: str  # of its templates


def listed(own: str, caller: Caller | None, *, after: str, most: int) -> list[ListedCollection]:
    """The collection `own` and, with a caller, those that the service has made.

    They are in the order of their names, from the one behind `after` on.
    """
    wanted = Q(name=own)
    if caller is not None:
        wanted |= Q(made_by=caller.subject)
    rows = collections.listed().filter(wanted, name__gt=after).order_by("name")
    return [ListedCollection(row.name, _version(row)) for row in rows[:most]]


def _version(row: Collection) -> str:
    with entered(row.entered):
        return engine.pack(engine.active_model().pack).template_version


def made_at(name: str) -> datetime:
    """When the collection of this name was made."""
    return collections.collection_of(name).created_at


def erase(*, caller: Caller, name: str) -> bool:
    """See `collections.erase`; False if the service has made none of this name."""
    if find_own(caller, name) is None:
        return False
    collections.erase(name, actor=caller.name)
    return True


def _of(caller: Caller) -> QuerySet[Collection]:
    return collections.listed().filter(made_by=caller.subject)
