"""Which replicas a process leaves alone for some seconds, since they failed."""

import logging
import time
from threading import Lock

from recognition.gallery.replicas.fitness import Reason

logger = logging.getLogger(__name__)

# Seconds after a failure until a process asks a replica again.
_PAUSE = 5.0
_ANY = "in FACESVC_SEARCH_DATABASE_URL"


class Pauses:
    """By the names of the servers; "" stands for those that there is no connection to.

    What changes is logged, and not each search.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: dict[str, float] = {}
        self._fit: set[str] = set()  # those that answered when they were asked last
        self.reasons: dict[str, Reason] = {}

    def begin(self, server: str, reason: Reason, words: str) -> None:
        with self._lock:
            self._until[server] = time.monotonic() + _PAUSE
            self._fit.discard(server)
            is_new = self.reasons.get(server) != reason
            self.reasons[server] = reason
        if is_new:
            logger.warning("Searches do not run on the replica %s: %s", server or _ANY, words)

    def is_on(self, server: str) -> bool:
        return time.monotonic() < self._until.get(server, 0)

    def may_ask(self, server: str) -> bool:
        """Whether there is no pause. When one is over, one thread tries, and the others wait."""
        with self._lock:
            now, until = time.monotonic(), self._until.get(server)
            if until is not None and now >= until:
                self._until[server] = now + _PAUSE
            return until is None or now >= until

    def is_another_fit(self, server: str) -> bool:
        """Whether a new connection may reach one that answers, while this one is left alone."""
        return bool(self._fit - {server})

    def end(self, server: str) -> None:
        if server in self._fit:
            return
        with self._lock:
            if server:
                self._fit.add(server)
            self._until.pop(server, None)
            was_on = self.reasons.pop(server, None) is not None
        if was_on:
            logger.warning("Searches run on the replica %s again", server or _ANY)
