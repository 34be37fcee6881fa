"""Work that somebody else's came between is done once more, from the beginning.

The database breaks it off, or the work itself sees that what it began with has changed.
"""

from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, OperationalError, transaction

from recognition.errors import ServiceError

_Done = TypeVar("_Done")
# PostgreSQL sees a deadlock after a second.
_TRIES = 20
# What that ends in: both wait for each other, a new row refers to the user, or the user was merged.
_BROKEN_OFF = ("40P01", "23503", "40001")


class ChangedError(Exception):
    """What the work began with is no longer so."""


def whole(work: Callable[[], _Done]) -> _Done:
    """In one transaction, which holds no lock of an earlier try. Raises unavailable."""
    for _ in range(_TRIES):
        try:
            with transaction.atomic():
                return work()
        except ChangedError:
            continue
        except (OperationalError, IntegrityError) as error:
            if getattr(error.__cause__, "sqlstate", None) not in _BROKEN_OFF:
                raise
    raise ServiceError("unavailable", "Too much is happening with this user; try again.")
