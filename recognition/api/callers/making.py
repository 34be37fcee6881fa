"""The keys of services: made, replaced, taken back and listed, by operators and on the server."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from recognition import audit
from recognition.access import OVER_COLLECTIONS, SCOPES
from recognition.api.callers import access_keys, api_keys
from recognition.api.callers.claims import MOST_CALLS_PER_MINUTE, is_client_name
from recognition.collections.current import DEFAULT, entered
from recognition.collections.doors import UnknownCollectionError, find
from recognition.collections.models import AccessKey, ApiKey, ServiceKey
from recognition.errors import ServiceError
from recognition.privacy import sealing

MOST_DAYS = 3650  # that a key can last
MOST_HOURS = 24 * 30  # that a key stays valid beside the one in its place
_NEW: dict[type[ServiceKey], Callable[[str], tuple[ServiceKey, str]]] = {
    ApiKey: api_keys.new,
    AccessKey: access_keys.new,
}


def make(
    kind: type[ServiceKey],
    service: str,
    scopes: list[str],
    *,
    collection: str,
    by: str,
    expires_at: datetime | None = None,
    calls_per_minute: int | None = None,
    key_id: str = "",
) -> tuple[ServiceKey, str]:
    """A new key of a collection, and its secret, which nobody can see again.

    `key_id` is one of `new_id`: who asks twice with the same gets one key. Raises invalid_request.
    """
    require_sensible(service, scopes, collection)
    if expires_at is not None and expires_at <= timezone.now():
        raise ServiceError("invalid_request", "A key must expire in the future.")
    if calls_per_minute is not None and not 1 <= calls_per_minute <= MOST_CALLS_PER_MINUTE:
        text = f"A key can make from 1 to {MOST_CALLS_PER_MINUTE} calls per minute."
        raise ServiceError("invalid_request", text)
    new, secret = _new(kind, key_id or new_id(kind))
    new.service, new.scopes, new.expires_at = service, scopes, expires_at
    new.calls_per_minute = calls_per_minute
    return _store(new, collection, by), secret


def rotate(key: ServiceKey, *, keep: timedelta, by: str) -> tuple[ServiceKey, str]:
    """A key in place of this one, which stays valid for so long, and its secret.

    The new one lasts for as long as the old one was to last. Raises invalid_request.
    """
    kind: Any = type(key)
    with transaction.atomic():
        locked = kind.objects.select_for_update(of=("self",)).select_related("collection")
        old = locked.get(pk=key.pk)
        _require_replaceable(old)
        new, secret = _new(kind, new_id(kind))
        now = timezone.now()
        if old.expires_at:
            new.expires_at = now + (old.expires_at - old.created_at)
        old.expires_at = min(old.expires_at or now + keep, now + keep)
        old.save(update_fields=["expires_at"])
        new.service, new.scopes, new.rotated_from = old.service, old.scopes, old
        new.calls_per_minute = old.calls_per_minute
        return _store(new, old.collection.name, by), secret


def revoke(key: ServiceKey, *, by: str) -> bool:
    """Take a key back for good. Returns whether it was not yet."""
    kind: Any = type(key)
    with transaction.atomic():
        count = kind.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        if count:
            _note(key, by, "key.revoke")
    return bool(count)


def listed() -> list[ServiceKey]:
    """All keys, those of a collection together."""
    keys = [key for kind in _NEW for key in _rows(kind)]
    return sorted(keys, key=lambda key: (key.collection_id, key.service, key.created_at))


def key_of(key_id: str) -> ServiceKey:
    """The key of either kind that has this id. Raises not_found."""
    wanted = key_id.removeprefix("fk_").partition("_")[0]
    for kind in _NEW:
        if found := _rows(kind).filter(pk=wanted).first() if "\0" not in wanted else None:
            key: ServiceKey = found
            return key
    message = "There is no key of this id: `manage.py api_keys list` has them all."
    raise ServiceError("not_found", message)


def all_scopes(collection: str) -> list[str]:
    """The scopes that a key of the collection can have."""
    is_default = collection == DEFAULT.name
    return [scope for scope in SCOPES if is_default or scope != OVER_COLLECTIONS]


def successor(key: ServiceKey) -> ServiceKey | None:
    """The key that took the place of this one."""
    kind: Any = type(key)
    found: ServiceKey | None = kind.objects.filter(rotated_from=key).first()
    return found


def is_over(key: ServiceKey) -> bool:
    """Whether a key is revoked, or has expired."""
    has_expired = key.expires_at is not None and key.expires_at <= timezone.now()
    return key.revoked_at is not None or has_expired


def require_sensible(service: str, scopes: list[str], collection: str) -> None:
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
    if {*scopes} - {*all_scopes(collection)}:
        text = f"Only a service of the collection {DEFAULT.name} can have {OVER_COLLECTIONS}."
        raise ServiceError("invalid_request", text)


def _require_replaceable(old: ServiceKey) -> None:
    """Raises invalid_request."""
    if is_over(old):
        message = f"The key {old.pk} is not valid any more. Make a new one."
        raise ServiceError("invalid_request", message)
    if after := successor(old):
        text = f"The key {old.pk} was replaced by {after.pk} already. Replace that one."
        raise ServiceError("invalid_request", text)


def new_id(kind: type[ServiceKey]) -> str:
    """The id of a key that is still to be made."""
    return str(kind._meta.pk.get_default())


def _new(kind: type[ServiceKey], key_id: str) -> tuple[ServiceKey, str]:
    """Raises invalid_request."""
    if kind is AccessKey and not sealing.is_possible():
        text = "The secrets of access keys are stored encrypted: set FACESVC_CROP_KEYS."
        raise ServiceError("invalid_request", text)
    return _NEW[kind](key_id)


def _store(key: ServiceKey, collection: str, by: str) -> ServiceKey:
    key.created_by = by
    with transaction.atomic():
        try:
            key.collection = find(collection)
        except UnknownCollectionError:
            text = f"There is no collection {collection!r}."
            raise ServiceError("invalid_request", text) from None
        try:
            with transaction.atomic():
                key.save(force_insert=True)
        except IntegrityError as error:
            text = f"The key {key.pk} was made already, and shown then."
            raise ServiceError("invalid_request", text) from error
        _note(key, by, "key.rotate" if key.rotated_from else "key.make")
    return key


def _note(key: ServiceKey, by: str, action: str) -> None:
    """In the audit log of the key's own collection."""
    replaced = {"rotated_from": key.rotated_from.pk} if key.rotated_from else {}
    with entered(key.collection.entered):
        audit.note(by, action, key_id=key.pk, service=key.service, scopes=[*key.scopes], **replaced)


def _rows(kind: Any) -> Any:
    return kind.objects.filter(collection__erasing_at=None).select_related("collection")
