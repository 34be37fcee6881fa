"""The keys of services: how they are found, made, replaced and taken back.

A key opens one collection. Its row is read with each request, in any process, so whatever happens
to the key or to its collection counts with the next request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from recognition import audit
from recognition.access import SCOPES, Caller
from recognition.api.callers.claims import is_client_name
from recognition.collections.current import DEFAULT, Entered, enter, entered
from recognition.collections.doors import find
from recognition.collections.models import ServiceKey
from recognition.errors import ServiceError
from recognition.prepared import Blank, fetched, kept

K = TypeVar("K", bound=ServiceKey)
# Makes, lists and erases collections: only a service of `default` may.
_OVER_COLLECTIONS = "face:collections"
_USE_IS_NOTED_EVERY = timedelta(minutes=1)
# Waits for nobody: who holds the row notes the use, or takes the key back.
_NOTE_USE = """
UPDATE {table} SET last_used_at = now() WHERE id = (
    SELECT id FROM {table} WHERE id = %s AND (
        last_used_at IS NULL OR last_used_at NOT BETWEEN now() - interval '1 minute' AND now()
    ) FOR NO KEY UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True)
class FoundKey:
    """The row of a key, and of the collection that it opens. `secret` is what the row has of it."""

    kind: type[ServiceKey]
    id: str
    secret: bytes
    caller: Caller
    collection: Entered
    expires_at: datetime | None
    is_revoked: bool
    is_suspended: bool
    last_used_at: datetime | None

    def __repr__(self) -> str:  # without the secret
        return f"<{self.kind.__name__} {self.id}>"

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def enter(self) -> None:
        """Work in the collection, for a caller who has proved to have the key.

        Raises collection_suspended.
        """
        if self.is_suspended:
            name = self.collection.name
            raise ServiceError("collection_suspended", f"The collection {name} is suspended.")
        enter(self.collection)
        now = timezone.now()
        if self.last_used_at is None or not (now - _USE_IS_NOTED_EVERY < self.last_used_at <= now):
            fetched(_NOTE_USE.format(table=self.kind._meta.db_table), [self.id])


def found(kind: type[ServiceKey], key_id: str) -> FoundKey | None:
    """A key of a collection that is not being erased."""
    # The tables are the same everywhere. Most connections look into `default` already.
    with entered(DEFAULT):
        rows = _rows({"id": key_id}, kind=kind)
    return FoundKey(kind, key_id, *_read(*rows[0])) if rows else None


@kept
def _rows(*, kind: type[ServiceKey]) -> "QuerySet[Any]":
    rows = kind._default_manager.filter(pk=Blank("id"), collection__erasing_at=None)
    its = (f"collection__{name}" for name in ("pk", "name", "salt", "rules", "suspended_at"))
    return rows.values_list(
        *(kind.SECRET, "service", "scopes", "expires_at", "revoked_at", "last_used_at"), *its
    )


def _read(*row: Any) -> tuple[Any, ...]:
    secret, service, scopes, expires_at, revoked_at, last_used_at, *its, suspended_at = row
    number, name, salt, rules = its
    caller = Caller(service, None, frozenset(scopes), collection=name)
    collection = Entered(number, name, bytes(salt), rules)
    ended = (expires_at, revoked_at is not None, suspended_at is not None)
    return bytes(secret), caller, collection, *ended, last_used_at


def require_sensible(service: str, scopes: Iterable[str], collection: str) -> None:
    """Raises invalid_request: for a name of a service that tokens could not have, and for scopes
    that there are not, or that the collection cannot give."""
    if not is_client_name(service):
        text = "A service's name has letters, digits and . @ : _ - and is no UUID."
        raise ServiceError("invalid_request", text)
    if not scopes:
        raise ServiceError("invalid_request", "A key needs at least one scope.")
    if unknown := sorted({*scopes} - {*SCOPES}):
        text = f"Unknown scope: {', '.join(unknown)}. Known: {', '.join(SCOPES)}."
        raise ServiceError("invalid_request", text)
    if _OVER_COLLECTIONS in scopes and collection != DEFAULT.name:
        text = f"Only a service of the collection {DEFAULT.name} can have {_OVER_COLLECTIONS}."
        raise ServiceError("invalid_request", text)


def store(key: K, *, collection: str, by: str) -> K:
    """Store a new key of the collection. Raises UnknownCollectionError, invalid_request."""
    require_sensible(key.service, key.scopes, collection)
    if key.expires_at is not None and key.expires_at <= timezone.now():
        raise ServiceError("invalid_request", "A key must expire in the future.")
    key.created_by = by
    with transaction.atomic():
        key.collection = find(collection)
        key.save(force_insert=True)
        _note(key, "key.rotate" if key.rotated_from else "key.make", by)
    return key


def replace(key: K, new: K, *, keep: timedelta, by: str) -> K:
    """Store `new` in place of a key, which stays valid for so long. Raises invalid_request."""
    kind: Any = type(key)
    with transaction.atomic():
        old = (
            kind.objects.select_for_update(of=("self",)).select_related("collection").get(pk=key.pk)
        )
        if is_over(old):
            raise ServiceError("invalid_request", f"The key {old.pk} is not valid any more.")
        if after := kind.objects.filter(rotated_from=old).first():
            text = f"The key {old.pk} was replaced by {after.pk} already."
            raise ServiceError("invalid_request", text)
        now = timezone.now()
        if old.expires_at:  # as long as the old one was to last
            new.expires_at = now + (old.expires_at - old.created_at)
        old.expires_at = min(old.expires_at or now + keep, now + keep)
        old.save(update_fields=["expires_at"])
        new.service, new.scopes, new.rotated_from = old.service, old.scopes, old
        return store(new, collection=old.collection.name, by=by)


def revoke(key: ServiceKey, *, by: str) -> bool:
    """Take a key back for good. Returns whether it was not yet."""
    kind: Any = type(key)
    with transaction.atomic():
        count = kind.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        if count:
            _note(key, "key.revoke", by)
    return bool(count)


def is_over(key: ServiceKey) -> bool:
    """Whether a key is revoked, or has expired."""
    has_expired = key.expires_at is not None and key.expires_at <= timezone.now()
    return key.revoked_at is not None or has_expired


def _note(key: ServiceKey, action: str, by: str) -> None:
    """In the audit log of the key's own collection."""
    replaced = {"rotated_from": key.rotated_from.pk} if key.rotated_from else {}
    with entered(key.collection.entered):
        audit.note(by, action, key_id=key.pk, service=key.service, scopes=[*key.scopes], **replaced)
