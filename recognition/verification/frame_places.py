"""How many frames a call may send: so many a second, and few at once."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings
from django.db import connection

from recognition.errors import ServiceError
from recognition.models import Session

# Frames that may come at once after a pause.
_BURST = 5
# Frames of one session that a process looks at at once. While a check is slow, all that come are
# checked, and one call would keep every thread waiting.
_AT_ONCE = 2
looked_at: Counter[UUID] = Counter()
_looked_at_lock = threading.Lock()

# One statement, which the ORM cannot say: the generic cell rate algorithm. No row: too early.
_TAKE_PLACE = """
UPDATE recognition_session
SET next_frame_at = greatest(next_frame_at, clock_timestamp()) + %(seconds)s * interval '1 second'
WHERE id = %(session)s
    AND coalesce(next_frame_at <= clock_timestamp() + %(ahead)s * interval '1 second', true)
RETURNING id
"""


@contextmanager
def one_of_few(session: Session) -> Iterator[None]:
    """Raises frames_in_progress."""
    with _looked_at_lock:
        if looked_at[session.pk] >= _AT_ONCE:
            message = "Earlier frames are still being looked at; send the next one after an answer."
            raise ServiceError("frames_in_progress", message, {"retry_after": 1})
        looked_at[session.pk] += 1
    try:
        yield
    finally:
        with _looked_at_lock:
            looked_at[session.pk] -= 1
            if not looked_at[session.pk]:
                del looked_at[session.pk]


def take_place(session: Session) -> None:
    """Raises too_many_frames."""
    seconds = 1 / settings.FACESVC_LIVE_FRAMES_PER_SECOND
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE_PLACE,
            {"session": session.pk, "seconds": seconds, "ahead": seconds * (_BURST - 1)},
        )
        if cursor.fetchone() is None:
            message = "Frames come too fast; this one was not looked at."
            raise ServiceError("too_many_frames", message, {"retry_after": 1})
