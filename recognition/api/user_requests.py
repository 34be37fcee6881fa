"""How many requests with pictures each end user has in progress: few at a time.

All processes of a web server count together, by locks on single bytes of a file that has no name.
The kernel frees them when their process ends, also after kill -9, and nobody waits for a connection
to the database. Another machine counts for itself.
"""

import fcntl
from threading import Lock
from typing import IO

from django.utils.crypto import salted_hmac

from recognition.errors import ServiceError

_SALT = "recognition.user_requests"
# A user who looks at one picture may send the next. Apps send for one user what one person does.
_AT_ONCE = 2


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

    def begin(self, user: str) -> int:
        """Take a place, which `end` has to give back. Raises requests_in_progress."""
        first = _first_place(user)
        with self._lock:
            for place in range(first, first + _AT_ONCE):
                if place not in self._taken and self._is_free_elsewhere(place):
                    self._taken.add(place)
                    return place
        message = f"{_AT_ONCE} requests of the user are being worked on; wait."
        raise ServiceError("requests_in_progress", message, {"retry_after": 1})

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
    digest = salted_hmac(_SALT, user, algorithm="sha256").digest()
    return int.from_bytes(digest[:7]) * _AT_ONCE


in_progress = UserRequests()
