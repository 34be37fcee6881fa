"""Work that the database broke off because somebody else's came between is done once more."""

from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, OperationalError, transaction

from recognition.errors import ServiceError

_Done = TypeVar("_Done")
# Tries after a deadlock or a row that came in between. PostgreSQL sees a deadlock after a second.
_TRIES = 20
# What that ends in: both wait for each other, a new row refers to the user, or the user was merged.
_BROKEN_OFF = ("40P01", "23503", "40001")


def whole(work: Callable[[], _Done]) -> _Done:
    """In one transaction. Raises unavailable."""
    for _ in range(_TRIES):
        try:
            with transaction.atomic():
                return work()
        except (OperationalError, IntegrityError) as error:
            if getattr(error.__cause__, "sqlstate", None) not in _BROKEN_OFF:
                raise
    raise ServiceError("unavailable", "Too much is happening with this user; try again.")
