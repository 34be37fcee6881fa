"""Ends a process with its parent, even if the parent is killed."""

import ctypes
import os
import sys
import threading
import time

_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
# Loaded here: nothing may be loaded between fork and exec.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def signal_at_end_of(parent: int, signum: int) -> None:
    """In a forked process: have the kernel send the signal when its parent is gone (Linux)."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:  # it died between fork and prctl
        os.kill(os.getpid(), signum)


def end_with_parent() -> None:
    """Watch the parent from a thread: without it a pool's process would wait for work for ever."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
