"""Collections that a service makes and erases."""

from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from recognition import audit
from recognition.access import Caller
from recognition.collections import schemas
from recognition.collections.current import entered
from recognition.collections.models import Collection
from recognition.gallery import indexes
from recognition.models import ActiveModel
from recognition.packs import engine, protection

# What a service of `default` needs to make and erase its own collections, and to act in them.
SCOPE = "face:collections"


def create(*, caller: Caller, name: str) -> Collection | None:
    """An empty collection with the model of the current one; None if there is one of this name."""
    pack = engine.active_model().pack
    try:
        with transaction.atomic():
            made = Collection.objects.create(name=name, made_by=caller.subject)
            schemas.make(made.entered)
            with entered(made.entered):
                _prepare(pack)
            audit.note(caller.name, "collection.create", collection=name)
    except IntegrityError:
        return None
    return made


def _prepare(pack: str) -> None:
    """The model that serves, and what its search needs."""
    row = ActiveModel.objects.create(pk=1, pack=pack, template_key=protection.newest_key())
    calibration = engine.calibration_of(engine.pack(pack))
    centre = engine.centre_of(calibration, row.template_key)
    indexes.sketch(engine.active_version(), centre)


def find_own(caller: Caller, name: str | None) -> Collection | None:
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
    rows = Collection.objects.filter(wanted, erasing_at=None, name__gt=after).order_by("name")
    return [ListedCollection(row.name, _version(row)) for row in rows[:most]]


def _version(row: Collection) -> str:
    with entered(row.entered):
        return engine.pack(engine.active_model().pack).template_version


def made_at(name: str) -> datetime:
    """When the collection of this name was made."""
    return Collection.objects.get(name=name, erasing_at=None).created_at


def _of(caller: Caller) -> QuerySet[Collection]:
    return Collection.objects.filter(made_by=caller.subject, erasing_at=None)


def erase(*, caller: Caller, name: str) -> bool:
    """All that is in a collection of the service goes, with its keys: at once, or not at all.

    It waits for who works in it. Returns False if there is none.
    """
    with transaction.atomic():
        row = _of(caller).select_for_update().filter(name=name).first()
        if row is None:
            return False
        schemas.drop(row.entered)
        row.delete()
        audit.note(caller.name, "collection.erase", collection=name)
    return True
