"""What a request takes of its process: memory for its body, a slot to compute in, and time.

What decodes a picture or runs a network does so in a slot. Callers get slots one after the other,
so that nobody waits for all requests of somebody else. When too many requests wait, or one waited
for too long, it is refused at once: a rush costs the callers a second try and never the service its
memory or its threads.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache
from math import inf
from threading import Lock

from django.conf import settings
from prometheus_client import Histogram

from recognition.processes import user_requests
from recognition.processes.current_request import WaitLimit, current
from recognition.processes.slots import InferenceSlots, OverloadedError

_SECONDS = Histogram(
    "facesvc_stage_seconds",
    "Time that a stage of a request, or of a picture of a batch, took.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
# Set where traces are wanted: what goes around each stage.
around: Callable[[str], AbstractContextManager[object]] = nullcontext
# How often a request looks whether another one of its user still computes.
LOOK_SECONDS = 0.01


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Counts the time inside as the stage of the current request, even if it fails."""
    started = time.perf_counter()
    try:
        with around(name):
            yield
    finally:
        seconds = time.perf_counter() - started
        _SECONDS.labels(name).observe(seconds)
        spent = current.get().spent
        spent[name] = spent.get(name, 0.0) + seconds


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


# Two threads that come first would make them twice.
_slots_lock = Lock()


@lru_cache(maxsize=1)
def _slots(at_once: int, places: int) -> InferenceSlots:
    return InferenceSlots(at_once, places)


@contextmanager
def slot() -> Iterator[None]:
    """A slot from here to the end of the block. Raises OverloadedError.

    Nothing inside may wait for anybody else, such as a service that checks the picture, or for
    another slot.
    """
    with _slots_lock:
        slots = _slots(settings.FACESVC_INFERENCE_AT_ONCE, settings.FACESVC_INFERENCE_WAITING)
    limit = current.get().limit
    with ExitStack() as held:
        with stage("wait"):
            if limit.is_alone:
                place = _computing_place(limit)
                held.callback(user_requests.in_progress.end, place)
            slots.take(limit)
        held.callback(slots.give_back)
        yield


def _computing_place(limit: WaitLimit) -> int:
    """Waits until no other request of the user computes, in any process of this web server, so that
    the other cores are left to everybody else. Raises OverloadedError.
    """
    end = inf if limit.seconds is None else time.monotonic() + limit.seconds
    while (place := user_requests.in_progress.begin_computing(limit.subject)) is None:
        if time.monotonic() > end:
            raise OverloadedError("waited")
        time.sleep(LOOK_SECONDS)
    return place


@contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """A block in which the current request, which has begun to compute, waits so long for a slot
    and needs no place to do so.
    """
    request = current.get()
    before = request.limit
    request.limit = replace(before, seconds=seconds, takes_place=False)
    try:
        yield
    finally:
        request.limit = before
