"""Slots to compute in, and how long computing and the other stages of a request take.

What decodes a picture or runs a network does so in a slot. Callers get slots one after the other,
so that nobody waits for all requests of somebody else. A request that would wait for too long is
refused at once, by what the last ones took, and so is one that finds no place to wait: a rush costs
the callers a second try and never the service its memory or its threads.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf
from threading import Event, Lock

from django.conf import settings
from prometheus_client import Counter, Gauge, Histogram

from recognition.collections.current import here_or_default
from recognition.errors import ServiceError
from recognition.processes import user_requests
from recognition.processes.current_request import WaitLimit, current

_COMPUTING = Gauge(
    "facesvc_inference_computing", "Slots that are taken.", multiprocess_mode="livesum"
)
_WAITING = Gauge("facesvc_inference_waiting", "Who waits for a slot.", multiprocess_mode="livesum")
REFUSED = Counter("facesvc_inference_refused", "Requests refused for want of room.", ["reason"])
_SECONDS = Histogram(
    "facesvc_stage_seconds",
    "Time that a stage of a request, or of a picture of a batch, took.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
# Set where traces are wanted: what goes around each stage.
around: Callable[[str], AbstractContextManager[object]] = nullcontext
# So many of the last times that slots were taken for make the mean.
_REMEMBERED = 16
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
        spent[f"{name}_ms"] = spent.get(f"{name}_ms", 0.0) + seconds * 1000


class OverloadedError(ServiceError):
    """There was no slot or no memory; nothing was done, and the same may well succeed later."""

    def __init__(self, reason: str) -> None:
        super().__init__("unavailable", "Too many pictures are being worked on; try again.")
        REFUSED.labels(reason).inc()


@dataclass
class _Waiting:
    takes_place: bool
    subject: str
    called: Event = field(default_factory=Event)
    is_displaced: bool = False


class _Queue:
    """Who waits, in the order of the slots: one of each subject, then the next of each."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def before(self, subject: str) -> int:
        """How many would have their turn before a new one of the subject."""
        own = len(self._of.get(subject, ()))
        others = (len(queue) for name, queue in self._of.items() if name != subject)
        return own + sum(min(count, own + 1) for count in others)

    def in_places(self, subject: str | None = None) -> int:
        queues = self._of.values() if subject is None else [self._of.get(subject, deque())]
        return sum(each.takes_place for queue in queues for each in queue)

    def append(self, waiting: _Waiting) -> None:
        self._of.setdefault(waiting.subject, deque()).append(waiting)

    def remove(self, waiting: _Waiting) -> None:
        queue = self._of[waiting.subject]
        queue.remove(waiting)
        if not queue:
            del self._of[waiting.subject]

    def pop(self) -> _Waiting:
        """The first of the next subject; the subject's next one comes after all others'."""
        subject, queue = self._of.popitem(last=False)
        first = queue.popleft()
        if queue:
            self._of[subject] = queue
        return first

    def last_of_most(self) -> _Waiting:
        """The newest in a place, of the subject that has most of them."""
        subject = max(self._of, key=self.in_places)
        return next(each for each in reversed(self._of[subject]) if each.takes_place)


class InferenceSlots:
    """So many at once. Who needs a place to wait gets none where `places` wait already: those who
    go on after a first picture, and need none, have threads as well.
    """

    def __init__(self, at_once: int, places: int) -> None:
        self._at_once = self._free = at_once
        self._places = places
        self._seconds = 0.0  # that a slot is taken for, in the mean
        self._queue = _Queue()
        self._lock = Lock()

    def take(self, limit: WaitLimit) -> None:
        """Raises OverloadedError."""
        waiting = self._take_or_queue(limit)
        if waiting is None:
            return
        called = waiting.called.wait(limit.seconds)
        with self._lock:
            if waiting.is_displaced:
                raise OverloadedError("displaced")
            if not called and not waiting.called.is_set():
                self._queue.remove(waiting)
                _WAITING.dec()
                raise OverloadedError("waited")

    def give_back(self, seconds: float | None = None) -> None:
        """To the next in the queue: a request that comes just now is not quicker. It was taken for
        so many seconds, if that says something of the next ones.
        """
        with self._lock:
            if seconds is not None:
                self._seconds += (seconds - self._seconds) / _REMEMBERED
            if self._queue:
                self._queue.pop().called.set()
                _WAITING.dec()
            else:
                self._free += 1
                _COMPUTING.dec()

    def _take_or_queue(self, limit: WaitLimit) -> _Waiting | None:
        with self._lock:
            if self._free:
                self._free -= 1
                _COMPUTING.inc()
                return None
            longest = inf if limit.seconds is None else limit.seconds
            if limit.takes_place and self._wait(limit.subject) > longest:
                raise OverloadedError("long")
            if limit.takes_place and len(self._queue) >= self._places:
                self._make_place(limit.subject)
            waiting = _Waiting(limit.takes_place, limit.subject)
            self._queue.append(waiting)
            _WAITING.inc()
            return waiting

    def _wait(self, subject: str) -> float:
        """Seconds until a new request of the subject would have its turn; 0 for the first in line:
        slow pictures of somebody else must not have everybody refused who finds no free slot.
        """
        before = self._queue.before(subject)
        return (before + 1) * self._seconds / self._at_once if before else 0.0

    def _make_place(self, subject: str) -> None:
        """Send away the newest of a subject that has clearly more places.

        Raises OverloadedError.
        """
        if not self._queue.in_places():
            raise OverloadedError("full")
        last = self._queue.last_of_most()
        if self._queue.in_places(last.subject) < self._queue.in_places(subject) + 2:
            raise OverloadedError("full")
        self._queue.remove(last)
        _WAITING.dec()
        last.is_displaced = True
        last.called.set()


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
                place, limit = _computing_place(limit)
                held.callback(user_requests.in_progress.end, place)
            # The subject of a token may be that of somebody else in another collection.
            slots.take(replace(limit, subject=f"{here_or_default().number} {limit.subject}"))
        began = time.monotonic()
        held.callback(lambda: slots.give_back(time.monotonic() - began))
        yield


def _computing_place(limit: WaitLimit) -> tuple[int, WaitLimit]:
    """Waits until no other request of the user computes, in any process of this web server, so that
    the other cores are left to everybody else. Returns what is left of the limit, too.

    Raises OverloadedError.
    """
    end = inf if limit.seconds is None else time.monotonic() + limit.seconds
    while (place := user_requests.in_progress.begin_computing(limit.subject)) is None:
        if time.monotonic() > end:
            raise OverloadedError("waited")
        time.sleep(LOOK_SECONDS)
    if limit.seconds is None:
        return place, limit
    return place, replace(limit, seconds=max(0.0, end - time.monotonic()))


@contextmanager
def waiting(seconds: float | None) -> Iterator[None]:
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
