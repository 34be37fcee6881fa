"""Access keys: how they are made, and what a service may do with one."""

import base64
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from facesvc.aws.errors import AwsError, not_found
from facesvc.aws.models import AccessKey
from recognition import rate_windows
from recognition.access import Caller
from recognition.collections import current
from recognition.errors import ServiceError
from recognition.prepared import Blank, fetched, kept
from recognition.privacy import sealing
from recognition.rate_windows import RateLimits

DEFAULT = "default"
# What a service may have: one in use, and the next one, so that a change needs no pause.
MOST_KEYS = 2
_SECRET_BYTES = 30  # 40 characters, as at AWS
# Once a minute at most, so that a request writes nothing else.
_USED = """
UPDATE aws_accesskey SET last_used_at = now()
WHERE access_key_id = %s
    AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""


@dataclass(frozen=True)
class Key:
    access_key_id: str
    secret: str
    caller: Caller  # the service, with the scopes of the key
    collection: int  # its own


# --- use ------------------------------------------------------------------------------------------


def find(access_key_id: str) -> Key | None:
    """The key of this id, unless it is revoked or has expired: each request asks the database.

    Raises encryption_not_set_up.
    """
    rows = _valid({"id": access_key_id, "now": timezone.now()})
    if not rows:
        return None
    row: AccessKey = rows[0]
    try:
        secret = sealing.unseal(bytes(row.sealed)).decode()
    except (sealing.UnreadableError, ImproperlyConfigured) as error:
        message = "The service cannot read its access keys: FACESVC_CROP_KEYS has no key for them."
        raise ServiceError("encryption_not_set_up", message) from error
    caller = Caller(row.service, None, frozenset(row.scopes), row.calls_per_minute)
    return Key(access_key_id, secret, caller, row.collection)


@kept
def _valid() -> "QuerySet[Any]":
    found = AccessKey.objects.filter(access_key_id=Blank("id"), revoked_at=None)
    return found.filter(Q(expires_at=None) | Q(expires_at__gt=Blank("now")))


def count(key: Key) -> None:
    """Count a request that is rightly signed. Raises ProvisionedThroughputExceededException."""
    fetched(_USED, [key.access_key_id])
    own = key.caller.calls_per_minute
    limits = RateLimits(settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_PER_HOUR)
    if own:
        limits = RateLimits(own, 60 * own)
    if any(limits) and not rate_windows.count(f"access key {key.access_key_id}", limits)[0]:
        message = "The key has made too many calls: see RATE_LIMIT_PER_MINUTE."
        raise AwsError("ProvisionedThroughputExceededException", message)


@contextmanager
def entered(key: Key, collection: str | None) -> Iterator[None]:
    """A block of work in a collection, or in the key's own. Raises ResourceNotFoundException."""
    if collection not in (None, DEFAULT):
        raise not_found(f"The collection id: {collection} does not exist")
    with current.entered(current.DEFAULT):
        yield


# --- what operators do ----------------------------------------------------------------------------


class TooManyKeysError(Exception):
    """The service has as many keys as it may have."""


def make(
    service: str,
    scopes: Sequence[str],
    *,
    collection: int = 1,
    lasts: timedelta | None = None,
    calls_per_minute: int | None = None,
) -> tuple[AccessKey, str]:
    """A new key and its secret, which nobody can read again.

    Raises TooManyKeysError, and ImproperlyConfigured without a key in FACESVC_CROP_KEYS.
    """
    secret = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    now = timezone.now()
    with transaction.atomic():
        # Two at once wait for each other, so that both count.
        fetched("LOCK TABLE aws_accesskey IN SHARE ROW EXCLUSIVE MODE")
        if _in_use(now).filter(service=service, collection=collection).count() >= MOST_KEYS:
            raise TooManyKeysError(
                f"{service} has {MOST_KEYS} keys. Revoke the one that is not used any more."
            )
        row = AccessKey.objects.create(
            sealed=sealing.seal(secret.encode()),
            service=service,
            collection=collection,
            scopes=sorted(scopes),
            calls_per_minute=calls_per_minute,
            expires_at=now + lasts if lasts else None,
        )
    return row, secret


def _in_use(now: datetime) -> "QuerySet[AccessKey]":
    unexpired = Q(expires_at=None) | Q(expires_at__gt=now)
    return AccessKey.objects.filter(unexpired, revoked_at=None)


def revoke(access_key_id: str) -> bool:
    """End a key for good; the next request is refused. Returns False if no such key is in use."""
    rows = AccessKey.objects.filter(access_key_id=access_key_id, revoked_at=None)
    return bool(rows.update(revoked_at=timezone.now()))


def all_keys() -> "QuerySet[AccessKey]":
    return AccessKey.objects.order_by("service", "created_at")
