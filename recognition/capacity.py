"""How many pictures a process computes at once, and how many requests may wait for that.

What decodes a picture or runs a network takes a turn. Callers get turns one after the other, so
that nobody waits for all requests of somebody else. When too many requests wait, or one waited for
too long, it is refused at once: a rush costs the callers a second try and never the service its
memory or its threads. The bodies of requests have a bound together, and an end user has few
requests with pictures at a time.
"""

from collections import Counter as Tally
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
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
    """How long to wait, whether that needs a place in the waiting room, and who waits."""

    seconds: float | None = None
    takes_place: bool = False
    subject: str = ""  # of the token


@dataclass
class _Waiting:
    takes_place: bool
    subject: str
    called: Event = field(default_factory=Event)
    is_displaced: bool = False


class _Queue:
    """Who waits, in the order of their turns: one of each subject, then the next of each."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

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
        """The first of the subject whose turn it is; its next one comes after all others'."""
        subject, queue = self._of.popitem(last=False)
        first = queue.popleft()
        if queue:
            self._of[subject] = queue
        return first

    def last_of_most(self) -> _Waiting:
        """The newest in a place, of the subject that has most of them."""
        subject = max(self._of, key=self.in_places)
        return next(each for each in reversed(self._of[subject]) if each.takes_place)


class Turns:
    """So many at once; of those who need a place to wait, at most `places` do."""

    def __init__(self, at_once: int, places: int) -> None:
        self._free = at_once
        self._places = places
        self._queue = _Queue()
        self._lock = Lock()

    def take(self, patience: Patience) -> None:
        """Raises BusyError."""
        waiting = self._take_or_queue(patience)
        if waiting is None:
            return
        called = waiting.called.wait(patience.seconds)
        with self._lock:
            if waiting.is_displaced:
                raise BusyError("displaced")
            if not called and not waiting.called.is_set():
                self._queue.remove(waiting)
                _WAITING.dec()
                raise BusyError("waited")

    def give_back(self) -> None:
        """To the next in the queue: a request that comes just now is not quicker."""
        with self._lock:
            if self._queue:
                self._queue.pop().called.set()
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
            if patience.takes_place and self._queue.in_places() >= self._places:
                self._make_place(patience.subject)
            waiting = _Waiting(patience.takes_place, patience.subject)
            self._queue.append(waiting)
            _WAITING.inc()
            return waiting

    def _make_place(self, subject: str) -> None:
        """Send away the newest of a subject that has clearly more places. Raises BusyError."""
        if not self._places:
            raise BusyError("full")
        last = self._queue.last_of_most()
        if self._queue.in_places(last.subject) < self._queue.in_places(subject) + 2:
            raise BusyError("full")
        self._queue.remove(last)
        _WAITING.dec()
        last.is_displaced = True
        last.called.set()


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

# A user who looks at one picture may send the next. Apps send for one user what one person does.
_REQUESTS_OF_USER = 2


class UserRequests:
    """The requests with pictures that each end user has in progress here: few at a time."""

    def __init__(self) -> None:
        self._tally: Tally[str] = Tally()
        self._lock = Lock()

    def begin(self, user: str) -> None:
        """Raises requests_in_progress."""
        with self._lock:
            if self._tally[user] >= _REQUESTS_OF_USER:
                message = f"{_REQUESTS_OF_USER} requests of the user are being worked on; wait."
                raise ServiceError("requests_in_progress", message, {"retry_after": 1})
            self._tally[user] += 1

    def end(self, user: str) -> None:
        with self._lock:
            self._tally[user] -= 1
            if not self._tally[user]:
                del self._tally[user]


user_requests = UserRequests()


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
                _REFUSED.labels("threads").inc()
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


def current() -> Patience:
    return _patience.get()


def be_of(subject: str) -> None:
    """From now on, the request waits as one of this subject's; to the end of `patience`."""
    _patience.set(replace(_patience.get(), subject=subject))


def for_seconds(seconds: float) -> Patience:
    """The patience of a request that has begun to compute: it needs no place to go on."""
    return replace(_patience.get(), seconds=seconds, takes_place=False)
