"""A circuit breaker: a service that fails is left alone for a while, then tried again once.

Each process has its own: a shared one would cost a query for every request, and a process more or
less that asks once in half a minute does no harm.
"""

import threading
import time

FAILURES = 5  # in a row, that open it
# Users whose pictures failed among them: one alone, whose pictures the service cannot stand, must
# not keep everybody else's from being checked.
USERS = 3
OPEN_SECONDS = 30.0


class Breaker:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._users: set[str] = set()
        self._closed_again_at = 0.0

    @property
    def is_open(self) -> bool:
        with self._lock:
            return self._is_tripped and time.monotonic() < self._closed_again_at

    @property
    def _is_tripped(self) -> bool:
        return self._failures >= FAILURES and len(self._users) >= USERS

    def allows(self) -> bool:
        """Whether to ask the service. After the pause one may try; the others wait for a pause."""
        with self._lock:
            if not self._is_tripped:
                return True
            if time.monotonic() < self._closed_again_at:
                return False
            self._closed_again_at = time.monotonic() + OPEN_SECONDS
            return True

    def succeeded(self) -> bool:
        """Whether it had been open."""
        with self._lock:
            was_open = self._is_tripped
            self._failures = 0
            self._users.clear()
            return was_open

    def failed(self, user: str) -> bool:
        """Count a failure with the picture of a user; whether it is open now."""
        with self._lock:
            self._failures += 1
            if len(self._users) < USERS:
                self._users.add(user)
            self._closed_again_at = time.monotonic() + OPEN_SECONDS
            return self._is_tripped
