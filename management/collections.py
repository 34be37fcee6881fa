"""Makes, suspends and erases collections, and changes their rules.

Each change is an event in the audit log of `default`: those of a collection see only their own.
What a collection is, and where its tables are, says recognition.collections.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from recognition import audit
from recognition.collections import erasing, schemas
from recognition.collections.current import DEFAULT, CollectionGoneError, entered
from recognition.collections.doors import UnknownCollectionError, find, is_name
from recognition.collections.models import Collection
from recognition.collections.rules import changed
from recognition.errors import ServiceError
from recognition.gallery import indexes
from recognition.models import ActiveModel, Face, User, locks
from recognition.models.locks import One
from recognition.packs import engine, protection

_REASON = "It is the model that served when the collection was made."


@dataclass(frozen=True)
class Described:
    """What is said of a collection: nothing of what is in it but two numbers."""

    name: str
    state: str  # of STATES
    made_by: str
    created_at: datetime
    rules: Mapping[str, Any]
    users: int
    faces: int


STATES = ("active", "suspended")


def collection_of(name: str) -> Collection:
    """Raises collection_not_found."""
    try:
        return find(name)
    except UnknownCollectionError as error:
        raise _missing(name) from error


def _missing(name: str) -> ServiceError:
    return ServiceError("collection_not_found", f"There is no collection {name[:255]!r}.")


def listed() -> QuerySet[Collection]:
    """Every collection that is not being erased."""
    return Collection.objects.filter(erasing_at=None)


def describe(row: Collection) -> Described:
    """Raises CollectionGoneError if it was erased since."""
    with entered(row.entered):
        users, faces = User.objects.count(), Face.objects.count()
    state = "suspended" if row.suspended_at else "active"
    return Described(row.name, state, row.made_by, row.created_at, row.rules, users, faces)


def described(rows: list[Collection]) -> list[Described]:
    """Those of the collections that are still there."""
    found = []
    for row in rows:
        try:
            found.append(describe(row))
        except CollectionGoneError:
            continue
    return found


def make(
    name: str, *, actor: str, made_by: str = "", given: Mapping[str, Any] | None = None
) -> Collection:
    """A new collection with the model of `default` and these rules, empty.

    It is made in one transaction, so a process that is killed leaves nothing. Raises
    invalid_request, template_key_needed, collection_exists, too_many_collections, unavailable,
    PackError.
    """
    with entered(DEFAULT), transaction.atomic():
        # A maker holds a lock until the collection is there, and others wait.
        locks.wait_for(One.COLLECTION)
        row = without_model(name, made_by=made_by, given=given)
        pack = engine.active_model().pack
        with entered(row.entered):
            _begin(pack, protection.newest_key())
        audit.note(actor, "collection.make", collection=name, rules=row.rules)
    return row


def without_model(
    name: str, *, made_by: str = "", given: Mapping[str, Any] | None = None
) -> Collection:
    """The tables of a new collection, in the transaction of the caller, who gives it a model.

    Raises invalid_request, template_key_needed, collection_exists, too_many_collections,
    unavailable.
    """
    if not is_name(name):
        message = "A collection's name has 1 to 255 letters, digits and . _ -, and is not . or .."
        raise ServiceError("invalid_request", message)
    if protection.newest_key() == protection.NO_KEY:
        message = "A collection beside default needs FACESVC_TEMPLATE_KEYS: set it, and restart."
        raise ServiceError("template_key_needed", message)
    own = changed({}, given or {})
    _require_room(name)
    try:
        with transaction.atomic():
            row = Collection.objects.create(name=name, made_by=made_by[:255], rules=own)
    except IntegrityError as error:  # a file of that name was brought since
        raise _exists(name) from error
    schemas.make(row.entered)
    return row


def _exists(name: str) -> ServiceError:
    return ServiceError(
        "collection_exists", f"There is a collection {name} already. Take another name."
    )


def _require_room(name: str) -> None:
    """Raises collection_exists, too_many_collections."""
    if listed().filter(name=name).exists():
        raise _exists(name)
    if listed().count() >= settings.FACESVC_MOST_COLLECTIONS:
        most = settings.FACESVC_MOST_COLLECTIONS
        message = f"There are {most} collections: erase one, or raise FACESVC_MOST_COLLECTIONS."
        raise ServiceError("too_many_collections", message)


def _begin(pack: str, key: str) -> None:
    """The model of a collection that is entered for the first time."""
    row = ActiveModel.objects.create(pk=1, pack=pack, template_key=key, reason=_REASON)
    indexes.sketch_active(row)


def suspend(name: str, *, actor: str) -> Collection:
    """From now on every request for the collection is refused, and no worker works in it.

    Raises collection_not_found, default_collection.
    """
    return change(name, actor=actor, suspended=True)


def resume(name: str, *, actor: str) -> Collection:
    """End the suspension. Raises collection_not_found, default_collection."""
    return change(name, actor=actor, suspended=False)


def change_rules(name: str, changes: Mapping[str, Any], *, actor: str) -> Collection:
    """Set rules, or take back those whose new value is None. They count from the next request on.

    Raises collection_not_found, default_collection, invalid_request.
    """
    return change(name, actor=actor, rules=changes)


def change(
    name: str, *, actor: str, suspended: bool | None = None, rules: Mapping[str, Any] | None = None
) -> Collection:
    """All of the changes, or none of them: see `suspend`, `resume` and `change_rules`."""
    with entered(DEFAULT), transaction.atomic():
        row = _locked(name)
        if rules:
            row.rules = changed(row.rules, rules)
            audit.note(actor, "collection.rules", collection=name, changes=dict(rules))
        if suspended is not None and suspended != bool(row.suspended_at):
            row.suspended_at = timezone.now() if suspended else None
            action = "collection.suspend" if suspended else "collection.resume"
            audit.note(actor, action, collection=name)
        row.save(update_fields=["rules", "suspended_at"])
    return row


def erase(name: str, *, actor: str) -> Described:
    """Erase a collection with all that is in it. Returns what it was.

    Its name is free, and no token opens it, from the first transaction on. Its tables go in a
    second one. If somebody still works in it, the next sweep of a worker drops them. Raises
    collection_not_found, default_collection.
    """
    with entered(DEFAULT), transaction.atomic():
        row = _locked(name)
        gone = describe(row)
        row.erasing_at = timezone.now()
        row.save(update_fields=["erasing_at"])
        audit.note(actor, "collection.erase", collection=name, users=gone.users, faces=gone.faces)
    erasing.finish(row)
    return gone


def require_changeable(name: str) -> None:
    """Raises default_collection."""
    if name == DEFAULT.name:
        message = (
            "The collection default always exists, and has the service's own settings: it cannot be"
            " suspended or erased, and has no rules."
        )
        raise ServiceError("default_collection", message)


def _locked(name: str) -> Collection:
    """The collection, locked for a change. Raises collection_not_found, default_collection."""
    require_changeable(name)
    rows = listed().filter(name=name).select_for_update(no_key=True)
    if not is_name(name) or (found := rows.first()) is None:
        raise _missing(name)
    return found
