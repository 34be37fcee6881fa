"""Finds the collection that a caller works in."""

import re
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from recognition.collections.current import DEFAULT, Entered
from recognition.collections.models import NAME, Collection
from recognition.errors import ServiceError
from recognition.prepared import Blank, kept

_NAME = re.compile(NAME)


class UnknownCollectionError(Exception):
    """There is no collection of this name, or it is being erased."""


def is_name(text: str) -> bool:
    """Clients and proxies take `.` and `..` out of the path of a request."""
    return bool(_NAME.fullmatch(text)) and text not in (".", "..")


def find(name: str) -> Collection:
    """Raises UnknownCollectionError."""
    if not is_name(name) or not (found := _named({"name": name})):
        raise UnknownCollectionError(name)
    row: Collection = found[0]
    return row


def opened(name: str, issued_at: int | None = None) -> Entered:
    """The collection to work in, for a caller. `default` needs no look into the database.

    A token that is older than the collection was of one that had the name before. Raises
    UnknownCollectionError, and collection_suspended.
    """
    if name == DEFAULT.name:
        return DEFAULT
    row = find(name)
    made_at = int(row.created_at.timestamp())
    if issued_at is not None and issued_at + settings.JWT_LEEWAY_SECONDS < made_at:
        raise UnknownCollectionError(f"the collection {name!r} is newer")
    require_active(row)
    return row.entered


def require_active(row: Collection) -> None:
    """Raises collection_suspended."""
    if row.suspended_at:
        raise suspended(row.name)


def suspended(name: str) -> ServiceError:
    message = f"The collection {name} is suspended. The operator of the service can end that."
    return ServiceError("collection_suspended", message)


@kept
def _named() -> "QuerySet[Any]":
    return Collection.objects.filter(name=Blank("name"), erasing_at=None)
