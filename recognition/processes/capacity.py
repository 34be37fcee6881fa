"""What a request holds of its process until it ends: memory for its body, and its user's place."""

from dataclasses import replace
from threading import Lock

from django.conf import settings

from recognition.processes import user_requests
from recognition.processes.current_request import current
from recognition.processes.slots import OverloadedError


class Bytes:
    """Bounds the memory of all bodies together: so many bytes, or one body of any size."""

    def __init__(self) -> None:
        self._taken = 0
        self._lock = Lock()

    def take(self, length: int, limit: int) -> None:
        """Raises OverloadedError."""
        with self._lock:
            if self._taken and self._taken + length > limit:
                raise OverloadedError("bytes")
            self._taken += length

    def give_back(self, length: int) -> None:
        with self._lock:
            self._taken -= length


# What this process holds.
bodies = Bytes()


def hold(
    subject: str, *, body_bytes: int, is_user: bool, has_pictures: bool, is_batch: bool
) -> None:
    """Take what the current request needs until `release`, for the subject of its token.

    An end user has few requests with pictures in progress, and computes for one of them at a time.
    Raises OverloadedError, requests_in_progress.
    """
    request = current.get()
    bodies.take(body_bytes, settings.MAX_BODIES_BYTES)
    request.body_bytes = body_bytes
    request.limit = replace(request.limit, subject=subject, is_alone=is_user)
    if has_pictures and is_user:
        request.place = user_requests.in_progress.begin(subject, is_batch=is_batch)


def release() -> None:
    """Give back what the current request holds."""
    request = current.get()
    bodies.give_back(request.body_bytes)
    if request.place is not None:
        user_requests.in_progress.end(request.place)
    request.body_bytes, request.place = 0, None
