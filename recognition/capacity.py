"""How many pictures a process computes at once, and how many requests may wait for that.

Whatever decodes a picture or runs a network takes a turn. Requests wait for theirs in the order in
which they came; when too many wait, or one waited for too long, it is refused at once, so that a
rush costs the callers a second try and never the service its memory or its threads. The bodies of
requests have a bound together, too.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Event, Lock

from django.conf import settings
from prometheus_client import Counter, Gauge

from recognition.errors import ServiceError
from recognition.stages import stage

_COMPUTING = Gauge(
    "facesvc_inference_computing", "Turns that are taken.", multiprocess_mode="livesum"
)
_WAITING = Gauge("facesvc_inference_waiting", "Who waits for a turn.", multiprocess_mode="livesum")
_REFUSED = Counter("facesvc_inference_refused", "Requests refused for want of room.", ["reason"])


class BusyError(ServiceError):
    """No turn or no memory could be had; nothing was done, and the same may well succeed later."""

    def __init__(self, reason: str) -> None:
        super().__init__("unavailable", "Too many pictures are being worked on; try again.")
        _REFUSED.labels(reason).inc()


@dataclass(frozen=True)
class Patience:
    """How long to wait, and whether a place in the waiting room is needed for that."""

    seconds: float | None = None
    takes_place: bool = False


@dataclass
class _Waiting:
    takes_place: bool
    called: Event = field(default_factory=Event)


class Turns:
    """So many at once; of those who need a place to wait, at most `places` do."""

    def __init__(self, at_once: int, places: int) -> None:
        self._free = at_once
        self._places = places
        self._queue: deque[_Waiting] = deque()
        self._lock = Lock()

    def take(self, patience: Patience) -> None:
        """Raises BusyError."""
        waiting = self._take_or_queue(patience)
        if waiting is None or waiting.called.wait(patience.seconds):
            return
        with self._lock:
            if not waiting.called.is_set():
                self._queue.remove(waiting)
                _WAITING.dec()
                raise BusyError("waited")

    def give_back(self) -> None:
        """To the next in the queue: who comes just now is not quicker."""
        with self._lock:
            if self._queue:
                self._queue.popleft().called.set()
                _WAITING.dec()
            else:
                self._free += 1
                _COMPUTING.dec()

    def _take_or_queue(self, patience: Patience) -> _Waiting | None:
        with self._lock:
            if self._free:
                self._free -= 1
                _COMPUTING.inc()
                return None
            waiting = _Waiting(patience.takes_place)
            in_places = sum(each.takes_place for each in self._queue)
            if patience.takes_place and in_places >= self._places:
                raise BusyError("full")
            self._queue.append(waiting)
            _WAITING.inc()
            return waiting


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


# Of this process.
bodies = Bytes()


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
    with stage("wait"):
        turns.take(_patience.get())
    token = _has_turn.set(True)
    try:
        yield
    finally:
        _has_turn.reset(token)
        turns.give_back()


@contextmanager
def patience(of: Patience) -> Iterator[None]:
    token = _patience.set(of)
    try:
        yield
    finally:
        _patience.reset(token)


def of_request() -> Patience:
    return Patience(settings.FACESVC_INFERENCE_WAIT_SECONDS, takes_place=True)
