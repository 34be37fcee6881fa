"""How many faces may be looked up for one user in an hour: each is a question about other people.

A picture has up to a hundred of them and a batch a hundred pictures, so that a limit of requests
says little. It is counted by user and not by token: more tokens, or a service that searches for the
user, do not make it more.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils.crypto import salted_hmac

from recognition.errors import ServiceError
from recognition.models import locks
from recognition.models.locks import One

_SALT = "recognition.face_budget"
# An hour that starts far ahead is of a clock that was set back since.
_IS_NOW = """(w.hour_start > now() - interval '1 hour'
    AND w.hour_start < now() + interval '1 minute')"""
# What a batch has looked up so far.
_postponed: ContextVar[Counter[UUID] | None] = ContextVar("postponed faces", default=None)

# One statement, which the ORM cannot say. No row: the budget was used up before.
_TAKE = f"""
INSERT INTO recognition_ratewindow AS w (key, minute_start, minute_count, hour_start, hour_count)
VALUES (%(key)s, now(), 0, now(), %(faces)s)
ON CONFLICT (key) DO UPDATE SET
    hour_count = CASE WHEN {_IS_NOW} THEN w.hour_count ELSE 0 END + %(faces)s,
    hour_start = CASE WHEN {_IS_NOW} THEN w.hour_start ELSE now() END
WHERE NOT {_IS_NOW} OR w.hour_count < %(limit)s
RETURNING hour_count
"""
_READ = f"""
SELECT hour_count, extract(epoch FROM hour_start + interval '1 hour' - now())::float
FROM recognition_ratewindow AS w WHERE key = %(key)s AND {_IS_NOW}
"""


class FaceBudget:
    """For one picture, whose faces count once: not again after a change of the model."""

    def __init__(self, user_id: UUID | None) -> None:
        """None: it is searched for no user, and nothing is counted."""
        self._user_id = user_id
        self._taken = 0

    def take(self, faces: int) -> None:
        """The faces are all looked up, or none of them. Raises rate_limited."""
        if self._user_id and faces > self._taken:
            _take(self._user_id, faces - self._taken)
            self._taken = faces


def _take(user_id: UUID, faces: int) -> None:
    limit = settings.FACESVC_FACES_PER_HOUR
    if not limit:
        return
    waiting = _postponed.get()
    if waiting is None:
        _count(user_id, faces, limit)
        return
    used, seconds = _used(user_id)
    if used + waiting[user_id] >= limit:
        raise _refusal(limit, seconds)
    waiting[user_id] += faces


@contextmanager
def postponed(user_id: UUID | None) -> Iterator[None]:
    """Within a transaction, count at the end: a batch would keep the user's other requests waiting
    for the row. Batches do not see what others have postponed, so there is one at a time.

    Raises requests_in_progress.
    """
    if user_id is None or not connection.in_atomic_block:
        yield
        return
    _be_the_only_one(user_id)
    waiting: Counter[UUID] = Counter()
    before = _postponed.set(waiting)
    try:
        yield
    finally:
        _postponed.reset(before)
    for each, faces in waiting.items():
        _statement(_TAKE, each, faces=faces, limit=2**31 - 1)


def _be_the_only_one(user_id: UUID) -> None:
    """To the end of the transaction. Raises requests_in_progress."""
    if not locks.take_if_free(One.BATCH, user_id):
        message = "Another batch of the user is being answered; wait for it."
        raise ServiceError("requests_in_progress", message, {"retry_after": 1})


def _count(user_id: UUID, faces: int, limit: int) -> None:
    if _statement(_TAKE, user_id, faces=faces, limit=limit) is None:
        raise _refusal(limit, _used(user_id)[1])


def _used(user_id: UUID) -> tuple[int, float]:
    """Faces of this hour, and the seconds that are left of it."""
    return _statement(_READ, user_id) or (0, 1.0)


def _statement(statement: str, user_id: UUID, **values: int) -> tuple[int, float] | None:
    # Somebody who reads the table cannot tell which user it is.
    key = salted_hmac(_SALT, str(user_id), algorithm="sha256").hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(statement, {"key": key, **values})
        found: tuple[int, float] | None = cursor.fetchone()
    return found


def _refusal(limit: int, seconds: float) -> ServiceError:
    return ServiceError(
        "rate_limited",
        f"{limit} faces were looked up for this user within an hour (FACESVC_FACES_PER_HOUR).",
        {"retry_after": max(1, round(seconds))},
    )
