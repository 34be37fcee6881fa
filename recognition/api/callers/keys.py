"""The keys of services, as a request finds them.

A key opens one collection. Its row is read with each request, in any process, so whatever happens
to the key or to its collection counts with the next request.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from recognition.access import Caller
from recognition.collections.current import DEFAULT, Entered, enter, entered
from recognition.collections.doors import suspended
from recognition.collections.models import ServiceKey
from recognition.prepared import Blank, fetched, kept

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
            raise suspended(self.collection.name)
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


def none(kind: type[ServiceKey], secret_bytes: int) -> FoundKey:
    """What stands for a key that there is not: it is revoked. Making it costs what reading one
    does, so that an answer takes no longer for a key that there is.
    """
    revoked_at = datetime(2000, 1, 1, tzinfo=UTC)
    key: tuple[Any, ...] = (bytes(secret_bytes), "", [], None, None, revoked_at, None)
    collection: tuple[Any, ...] = (0, "", b"", {}, None)
    return FoundKey(kind, "", *_read(*key, *collection))


@kept
def _rows(*, kind: type[ServiceKey]) -> "QuerySet[Any]":
    rows = kind._default_manager.filter(pk=Blank("id"), collection__erasing_at=None)
    own = ("service", "scopes", "calls_per_minute", "expires_at", "revoked_at", "last_used_at")
    its = (f"collection__{name}" for name in ("pk", "name", "salt", "rules", "suspended_at"))
    return rows.values_list(kind.SECRET, *own, *its)


def _read(*row: Any) -> tuple[Any, ...]:
    secret, service, scopes, calls, expires_at, revoked_at, last_used_at, *its, suspended_at = row
    number, name, salt, rules = its
    caller = Caller(service, None, frozenset(scopes), calls, name)
    collection = Entered(number, name, bytes(salt), rules)
    ended = (expires_at, revoked_at is not None, suspended_at is not None)
    return bytes(secret), caller, collection, *ended, last_used_at
