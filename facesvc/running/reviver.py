"""Starts the embedded database again for as long as it takes, as while its disk is full."""

import threading
import time
from pathlib import Path

from facesvc.postgres import database
from facesvc.running.supervisor import say

_FIRST_DELAY, _MOST_DELAY = 1.0, 60.0  # seconds


class Reviver:
    """To be asked again and again. A start may take minutes, and goes on beside the caller."""

    def __init__(self, data_dir: Path, first_delay: float = _FIRST_DELAY) -> None:
        self._data_dir = data_dir
        self._delay = self._first_delay = first_delay
        self._next_at = 0.0
        self._attempt: threading.Thread | None = None
        self._error: Exception | None = None

    def step(self) -> None:
        if self._attempt:
            self._look_at(self._attempt)
        elif database.is_running(self._data_dir):
            self._delay = self._first_delay
        elif time.monotonic() >= self._next_at:
            say("The database ended, starting it again")
            self._attempt = threading.Thread(target=self._start, daemon=True)
            self._attempt.start()

    def _look_at(self, attempt: threading.Thread) -> None:
        if attempt.is_alive():
            return
        self._attempt = None
        if self._error:
            say(f"{self._error}\nThe next try is in {self._delay:g} s")
            self._next_at = time.monotonic() + self._delay
            self._delay = min(_MOST_DELAY, 2 * self._delay)

    def _start(self) -> None:
        try:
            database.join(self._data_dir)
            self._error = None
        except Exception as error:
            # A full disk shows in many ways, such as a keeper that cannot start. Any of them is
            # printed and waited for: without its delay the next try would come at once, for ever.
            self._error = error
