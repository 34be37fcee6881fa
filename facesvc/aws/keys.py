"""What a service may do with its access key."""

import math
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured

from facesvc.aws.errors import AwsError, not_found
from management import own_collections
from recognition import rate_windows
from recognition.access import OVER_COLLECTIONS, Caller
from recognition.api.callers.access_keys import UnknownAccessKeyError, access_key
from recognition.api.callers.keys import FoundKey
from recognition.collections import current, doors
from recognition.errors import ServiceError
from recognition.privacy import sealing
from recognition.rate_windows import Window


@dataclass(frozen=True)
class Key:
    """An access key that is valid. `opens` is what it is for."""

    access_key_id: str
    secret: str = field(repr=False)
    opens: FoundKey

    @property
    def caller(self) -> Caller:
        """The service, with the scopes of the key."""
        return self.opens.caller

    @property
    def collection(self) -> str:
        """The name of its own."""
        return self.opens.collection.name


def find(access_key_id: str) -> Key | None:
    """The key of this id, unless it is revoked or has expired: each request asks the database.

    Raises encryption_not_set_up.
    """
    try:
        return Key(access_key_id, *access_key(access_key_id))
    except UnknownAccessKeyError:
        return None
    except (sealing.UnreadableError, ImproperlyConfigured) as error:
        message = "The service cannot read its access keys: FACESVC_CROP_KEYS has no key for them."
        raise ServiceError("encryption_not_set_up", message) from error


def count(key: Key) -> None:
    """Count a request that is rightly signed.

    Raises collection_suspended, ProvisionedThroughputExceededException.
    """
    key.opens.enter()
    limits = rate_windows.limits_of(key.caller.calls_per_minute)
    if any(limits):
        has_room, windows = rate_windows.count(f"access key {key.access_key_id}", limits)
        if not has_room:
            raise _too_many(min(windows, key=lambda window: window.remaining))


def _too_many(full: Window) -> AwsError:
    message = (
        f"The key has made its {full.limit:,} calls of this {full.name}, which ends in "
        f"{max(1, math.ceil(full.left))} s. A key can have a limit of its own: "
        "facesvc api_keys make --calls-per-minute."
    )
    return AwsError("ProvisionedThroughputExceededException", message)


def enter(key: Key, collection: str) -> None:
    """Work in a collection until the end of the request: in the key's own, which is entered, or in
    another one that its service has made.

    Raises collection_suspended, and ResourceNotFoundException for all others, whether or not there
    is one of this name.
    """
    if collection == key.collection:
        return
    row = own_collections.find_own(key.caller, collection) if is_over_collections(key) else None
    if row is None:
        raise not_found(f"The collection id: {collection} does not exist")
    doors.require_active(row)
    current.enter(row.entered)


def is_over_collections(key: Key) -> bool:
    """Whether the key may act in the collections that its service has made."""
    return key.opens.collection.is_default and OVER_COLLECTIONS in key.caller.scopes
