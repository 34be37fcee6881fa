"""How many pictures a process computes at once, and how many requests may wait for that.

What decodes a picture or runs a network does so in a slot. Callers get slots one after the other,
so that nobody waits for all requests of somebody else. When too many requests wait, or one waited
for too long, it is refused at once: a rush costs the callers a second try and never the service its
memory or its threads. The bodies of requests have a bound together.
recognition.processes.user_requests counts those of an end user.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from math import inf
from threading import Lock

from django.conf import settings

from recognition.processes import user_requests
from recognition.processes.slots import REFUSED
from recognition.processes.slots import InferenceSlots as InferenceSlots
from recognition.processes.slots import OverloadedError as OverloadedError
from recognition.processes.slots import WaitLimit as WaitLimit
from recognition.processes.stages import stage

# How often a request looks whether another one of its user still computes.
LOOK_SECONDS = 0.01
# Commands and the workers of jobs have few threads, and wait for as long as it takes.
_ENDLESS = WaitLimit()
_limit: ContextVar[WaitLimit] = ContextVar("limit of waiting", default=_ENDLESS)


class Bytes:
    """Bounds the memory of all bodies together: so many bytes, or one body of any size. A JSON
    batch is in memory as body, text and pictures at once: four times its length.
    """

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


class Admission:
    """Requests that a process works on at once. Some threads stay free to say that it lives.

    What they may wait for, such as the database, cannot take the last threads.
    """

    _FREE_THREADS = 2

    def __init__(self) -> None:
        self._inside = 0
        self._lock = Lock()

    def enter(self) -> bool:
        """Whether there is room; then the caller has to `leave`."""
        computing = settings.FACESVC_INFERENCE_AT_ONCE + settings.FACESVC_INFERENCE_WAITING
        room = max(computing, settings.WEB_THREADS - self._FREE_THREADS)
        with self._lock:
            if self._inside >= room:
                REFUSED.labels("threads").inc()
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1


admission = Admission()


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
    limit = _limit.get()
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
def waiting(limit: WaitLimit) -> Iterator[None]:
    """Within the block, this thread waits for slots as the limit says."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def limit_of_request() -> WaitLimit:
    return WaitLimit(settings.FACESVC_INFERENCE_WAIT_SECONDS, takes_place=True)


def current_limit() -> WaitLimit:
    return _limit.get()


def wait_as(subject: str, *, is_alone: bool) -> None:
    """From now on, the request waits as one of this subject's; to the end of `waiting`."""
    _limit.set(replace(_limit.get(), subject=subject, is_alone=is_alone))


def limit_of_seconds(seconds: float) -> WaitLimit:
    """For a request that has begun to compute: it needs no place to go on."""
    return replace(_limit.get(), seconds=seconds, takes_place=False)
