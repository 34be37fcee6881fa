"""File locks of the data folder. The kernel releases them with their holder, even after kill -9."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX


class LockedError(Exception):
    """Another process holds the lock."""


def acquire(path: Path, mode: int, *, timeout: float | None = None) -> int:
    """Lock the file and return its descriptor; the lock lasts until all copies of it are closed.

    Forked children own such a copy. `timeout` is in seconds: None waits for ever, 0 does not wait.
    """
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + (timeout or 0)
    try:
        while True:
            try:
                fcntl.flock(descriptor, mode if timeout is None else mode | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockedError from None
                time.sleep(0.05)
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def held(path: Path, mode: int, *, timeout: float | None = None) -> Iterator[int]:
    descriptor = acquire(path, mode, timeout=timeout)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_free(path: Path, mode: int = EXCLUSIVE) -> bool:
    try:
        with held(path, mode, timeout=0):
            return True
    except LockedError:
        return False


def main() -> None:
    """Exit with a message when something runs in the data folder given as the only argument."""
    folder = Path(sys.argv[1])
    if not all(is_free(path) for path in (folder / "locks").glob("*")):
        sys.exit(f"{folder} is in use: stop what runs there first")


if __name__ == "__main__":
    main()
