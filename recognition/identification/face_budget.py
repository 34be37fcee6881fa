"""How many faces may be looked up for one user in an hour: each is a question about other people.

A picture has up to a hundred of them and a batch a hundred pictures, so that a limit of requests
says little. It is counted by user and not by token: more tokens, or a service that searches for the
user, do not make it more.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from recognition import rate_windows
from recognition.collections.current import rule
from recognition.collections.hashes import keyed
from recognition.errors import ServiceError
from recognition.models import locks
from recognition.models.locks import One
from recognition.rate_windows import NO_LIMIT, RateLimits, Window

_SALT = "recognition.face_budget"
# What a batch has looked up so far.
_postponed: ContextVar[Counter[UUID] | None] = ContextVar("postponed faces", default=None)


@dataclass
class FaceBudget:
    """For one picture, whose faces count once: after a change of the model only what is more."""

    user_id: UUID | None = None  # it is searched for no user, and nothing is counted
    taken: int = 0

    def take(self, faces: int) -> None:
        """The faces are all looked up, or none of them. Raises rate_limited."""
        limits = RateLimits(0, rule("FACESVC_FACES_PER_HOUR"))
        more = faces - self.taken
        if self.user_id is None or not limits.hour or more <= 0:
            return
        waiting = _postponed.get()
        if waiting is None:
            has_room, (window,) = rate_windows.count(_key(self.user_id), limits, by=more)
        else:
            (window,) = rate_windows.look(_key(self.user_id), limits)
            has_room = window.used + waiting[self.user_id] < window.limit
        if not has_room:
            raise _refusal(window)
        if waiting is not None:
            waiting[self.user_id] += more
        self.taken = faces


@contextmanager
def postponed(user_id: UUID | None) -> Iterator[None]:
    """Within a transaction, count at the end: a batch would keep the user's other requests waiting
    for the row. Batches do not see what others have postponed, so there is one at a time.

    Raises requests_in_progress.
    """
    if user_id is None or not connection.in_atomic_block:
        yield
        return
    if not locks.take_if_free(One.BATCH, user_id):  # to the end of the transaction
        message = "Another batch of the user is being answered; wait for it."
        raise ServiceError("requests_in_progress", message, {"retry_after": 1})
    waiting: Counter[UUID] = Counter()
    before = _postponed.set(waiting)
    try:
        yield
    finally:
        _postponed.reset(before)
    for each, faces in waiting.items():
        rate_windows.count(_key(each), RateLimits(0, NO_LIMIT), by=faces)


def _key(user_id: UUID) -> str:
    """Somebody who reads the table cannot tell which user it is."""
    return keyed(_SALT, str(user_id)).hexdigest()


def _refusal(window: Window) -> ServiceError:
    return ServiceError(
        "rate_limited",
        f"{window.limit} faces were looked up for this user within an hour "
        "(FACESVC_FACES_PER_HOUR).",
        {"retry_after": max(1, round(window.left))},
    )
