"""Slots to compute in: so many at once, and callers get them one after the other."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from threading import Event, Lock

from prometheus_client import Counter, Gauge

from recognition.errors import ServiceError
from recognition.processes.current_request import WaitLimit

_COMPUTING = Gauge(
    "facesvc_inference_computing", "Slots that are taken.", multiprocess_mode="livesum"
)
_WAITING = Gauge("facesvc_inference_waiting", "Who waits for a slot.", multiprocess_mode="livesum")
REFUSED = Counter("facesvc_inference_refused", "Requests refused for want of room.", ["reason"])


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
    """So many at once; of those who need a place to wait, at most `places` do."""

    def __init__(self, at_once: int, places: int) -> None:
        self._free = at_once
        self._places = places
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

    def give_back(self) -> None:
        """To the next in the queue: a request that comes just now is not quicker."""
        with self._lock:
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
            if limit.takes_place and self._queue.in_places() >= self._places:
                self._make_place(limit.subject)
            waiting = _Waiting(limit.takes_place, limit.subject)
            self._queue.append(waiting)
            _WAITING.inc()
            return waiting

    def _make_place(self, subject: str) -> None:
        """Send away the newest of a subject that has clearly more places.

        Raises OverloadedError.
        """
        if not self._places:
            raise OverloadedError("full")
        last = self._queue.last_of_most()
        if self._queue.in_places(last.subject) < self._queue.in_places(subject) + 2:
            raise OverloadedError("full")
        self._queue.remove(last)
        _WAITING.dec()
        last.is_displaced = True
        last.called.set()
