"""Repeats a transaction from the beginning when another one interfered.

Either the database broke it off, or the work itself saw that its input had changed.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import IntegrityError, OperationalError, transaction

from recognition.errors import ServiceError

_Given = ParamSpec("_Given")
_Done = TypeVar("_Done")
# How often to try. PostgreSQL takes a second to detect a deadlock.
_TRIES = 20
# SQLSTATE of a deadlock, of a new row that refers to the user, and of a user who was merged.
_BROKEN_OFF = ("40P01", "23503", "40001")


class ChangedError(Exception):
    """The data that the work began with have changed."""


def repeated(work: Callable[_Given, _Done]) -> Callable[_Given, _Done]:
    """Makes a function one transaction, without locks of an earlier try. Raises unavailable."""

    @wraps(work)
    def tried(*args: _Given.args, **options: _Given.kwargs) -> _Done:
        for _ in range(_TRIES):
            try:
                with transaction.atomic():
                    return work(*args, **options)
            except ChangedError:
                continue
            except (OperationalError, IntegrityError) as error:
                if getattr(error.__cause__, "sqlstate", None) not in _BROKEN_OFF:
                    raise
        raise ServiceError("unavailable", "Too many changes of this user at once; try again.")

    return tried
