"""Processes that end with the one that started them, also when that is killed."""

import os
import threading
import time

_SECONDS = 1.0


def end_with_parent() -> None:
    """Watch from a thread: a pool's process would wait for work for ever otherwise."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
