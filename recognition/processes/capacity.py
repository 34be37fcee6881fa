"""How many pictures a process computes at once, and how many requests may wait for that.

What decodes a picture or runs a network takes a turn. Callers get turns one after the other, so
that nobody waits for all requests of somebody else. When too many requests wait, or one waited for
too long, it is refused at once: a rush costs the callers a second try and never the service its
memory or its threads. The bodies of requests have a bound together. recognition.api.user_requests
counts those of an end user.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import lru_cache
from threading import Lock

from django.conf import settings

from recognition.processes.stages import stage
from recognition.processes.turns import REFUSED
from recognition.processes.turns import BusyError as BusyError
from recognition.processes.turns import Patience as Patience
from recognition.processes.turns import Turns as Turns

# Commands and the workers of jobs have few threads, and wait for as long as it takes.
_ENDLESS = Patience()
_patience: ContextVar[Patience] = ContextVar("patience", default=_ENDLESS)
_has_turn: ContextVar[bool] = ContextVar("has a turn", default=False)


class Bytes:
    """What the bodies of requests hold in memory together: so many bytes, or one body of any size.

    Of a batch in JSON there are the body, its text and the pictures at once, four times its length.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._lock = Lock()

    def take(self, length: int, limit: int) -> None:
        """Raises BusyError."""
        with self._lock:
            if self._taken and self._taken + length > limit:
                raise BusyError("bytes")
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


# Two threads that come first would make one each.
_turns_lock = Lock()


@lru_cache(maxsize=1)
def _turns(at_once: int, places: int) -> Turns:
    return Turns(at_once, places)


@contextmanager
def turn() -> Iterator[None]:
    """A turn from here to the end of the block, within another one the same. Raises BusyError.

    Nothing inside may wait for anybody else, such as a service that checks the picture.
    """
    if _has_turn.get():
        yield
        return
    with _turns_lock:
        turns = _turns(settings.FACESVC_INFERENCE_AT_ONCE, settings.FACESVC_INFERENCE_WAITING)
    patience = _patience.get()
    with stage("wait"):
        turns.take(patience)
    token = _has_turn.set(True)
    try:
        yield
    finally:
        _has_turn.reset(token)
        turns.give_back(patience.subject)


@contextmanager
def patience(of: Patience) -> Iterator[None]:
    token = _patience.set(of)
    try:
        yield
    finally:
        _patience.reset(token)


def of_request() -> Patience:
    return Patience(settings.FACESVC_INFERENCE_WAIT_SECONDS, takes_place=True)


def current() -> Patience:
    return _patience.get()


def be_of(subject: str, *, is_alone: bool) -> None:
    """From now on, the request waits as one of this subject's; to the end of `patience`."""
    _patience.set(replace(_patience.get(), subject=subject, is_alone=is_alone))


def for_seconds(seconds: float) -> Patience:
    """The patience of a request that has begun to compute: it needs no place to go on."""
    return replace(_patience.get(), seconds=seconds, takes_place=False)
