"""Ends a process with its parent, even if the parent is killed."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import django

_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
# Loaded here: nothing may be loaded between fork and exec.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(signum: int) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `signum` to the child when its parent is gone (Linux)."""
    return partial(_signal_at_end_of, os.getpid(), signum)


def kill_forked_with_parent() -> None:
    """From now on, the kernel kills forked processes when their parent is gone (Linux)."""
    parent = 0

    def before() -> None:
        nonlocal parent
        parent = os.getpid()

    def in_child() -> None:
        _signal_at_end_of(parent, signal.SIGKILL)

    os.register_at_fork(before=before, after_in_child=in_child)


def _signal_at_end_of(parent: int, signum: int) -> None:
    """In a forked process: have the kernel send the signal when its parent is gone (Linux)."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:  # it died between fork and prctl
        os.kill(os.getpid(), signum)


def set_up() -> None:
    """The initializer of a pool of spawned processes for work that needs Django.

    This module imports nothing that does. A process loads it first, and has Django when it
    unpickles its first task.
    """
    end_with_parent()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facesvc.settings")
    django.setup()


def end_with_parent() -> None:
    """Watch the parent from a thread: without it a pool's process would wait for work for ever."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
