"""Whether a service for checks is well, as this process met it.

A service that fails is left alone for a while, then tried once: a circuit breaker. Each process has
its own one: a shared one would cost each request a query, and it does no harm if each process asks
once in half a minute.
"""

import math
import threading
import time
from collections.abc import Callable

FAILURES = 5  # in a row, after which it is left alone
# Users among them. One user whose pictures the service cannot read must not end the checks of all.
USERS = 3
OPEN_SECONDS = 30.0
# After this time, what a service answered last says nothing about now.
PROBE_SECONDS = 10.0


class ServiceHealth:
    """Requests report what they met. When that is old, `state` calls `probe`, which must not wait.

    So a service is found well again even if no request comes, such as while /health/ready fails.
    """

    def __init__(self, probe: Callable[[], object]) -> None:
        self._probe = probe
        self._lock = threading.Lock()
        self._failures = 0
        self._users: set[str] = set()
        self._tried_again_at = 0.0
        self._state, self._heard_at = "unknown", -math.inf

    @property
    def _is_failing(self) -> bool:
        return self._failures >= FAILURES and len(self._users) >= USERS

    def allows(self) -> bool:
        """Whether to ask the service. After a pause one request may, and the next pause begins."""
        with self._lock:
            if not self._is_failing:
                return True
            if time.monotonic() < self._tried_again_at:
                return False
            self._tried_again_at = time.monotonic() + OPEN_SECONDS
            return True

    def succeeded(self) -> bool:
        """Note an answer. Returns whether the service had been left alone."""
        with self._lock:
            had_failed = self._is_failing
            self._failures = 0
            self._users.clear()
            self._hear("ok")
            return had_failed

    def failed(self, user: str) -> bool:
        """Count a failure with a user's picture. Returns whether the service is left alone now."""
        with self._lock:
            self._failures += 1
            if len(self._users) < USERS:
                self._users.add(user)
            self._tried_again_at = time.monotonic() + OPEN_SECONDS
            if self._is_failing:
                self._hear("failing")
            return self._is_failing

    def probed(self, *, is_well: bool) -> None:
        """Note the answer to a probe. It shows no user, so the service is not left alone for it."""
        with self._lock:
            self._hear("ok" if is_well else "failing")

    def _hear(self, state: str) -> None:
        self._state, self._heard_at = state, time.monotonic()

    def state(self) -> str:
        """`ok`, `failing` or `unknown`, as it was heard last."""
        with self._lock:
            if self._is_failing and time.monotonic() < self._tried_again_at:
                return "failing"
            state = self._state
            if is_old := time.monotonic() - self._heard_at > PROBE_SECONDS:
                self._heard_at = time.monotonic()  # one probe at a time
        if is_old:
            self._probe()
        return state
