"""How many requests with pictures each end user has in progress: two, and one batch.

All processes of a web server count together, by locks on single bytes of a file that has no name.
The kernel frees them when their process ends, also after kill -9, and nobody waits for a connection
to the database. Another machine counts for itself.
"""

import fcntl
from threading import Lock
from typing import IO

from recognition.collections.hashes import keyed
from recognition.errors import ServiceError

_SALT = "recognition.user_requests"
# A user who looks at one picture may send the next. Apps send for one user what one person does.
_AT_ONCE = 2
# Another place is that of a batch: its body is long, and it computes for seconds. The last one is
# that of the request which computes: the other cores are left to everybody else.
_BATCH, _COMPUTING, _PLACES = 2, 3, 4


class UserRequests:
    """Each request in progress has a place: the number of a byte that is its user's.

    The kernel knows which process has a byte, and `_taken` which of them are this process's.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._file: IO[bytes] | None = None
        self._lock = Lock()

    def share(self, file: IO[bytes]) -> None:
        """Count with all who have this file. Until then, the process counts alone.

        The kernel frees all bytes of a process that closes the file, however often it has it open:
        so it has no name by which somebody could open it a second time.
        """
        self._file = file

    def begin(self, user: str, *, is_batch: bool = False) -> int:
        """Take a place, which `end` has to give back. Raises requests_in_progress."""
        first = _first_place(user)
        for place in [first + _BATCH] if is_batch else range(first, first + _AT_ONCE):
            if self._take(place):
                return place
        busy = "A batch of the user is" if is_batch else f"{_AT_ONCE} requests of the user are"
        message = f"{busy} being worked on; wait for the answer."
        raise ServiceError("requests_in_progress", message, {"retry_after": 1})

    def begin_computing(self, user: str) -> int | None:
        """The place of the user's request that computes, or None while another one has it."""
        place = _first_place(user) + _COMPUTING
        return place if self._take(place) else None

    def _take(self, place: int) -> bool:
        with self._lock:
            is_free = place not in self._taken and self._is_free_elsewhere(place)
            if is_free:
                self._taken.add(place)
            return is_free

    def end(self, place: int) -> None:
        with self._lock:
            if self._file:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
            self._taken.remove(place)

    def _is_free_elsewhere(self, place: int) -> bool:
        """Then no other process can take it from now on."""
        if not self._file:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            return False
        return True


def _first_place(user: str) -> int:
    """The same in all processes, and a secret: /proc/locks shows everybody which bytes are locked.

    56 bits: that two users of a thousand share their places has a probability of 10^-11.
    """
    digest = keyed(_SALT, user).digest()
    return int.from_bytes(digest[:7]) * _PLACES


in_progress = UserRequests()
