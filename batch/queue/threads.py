"""Runs one function in several threads, each with its own database connection."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from django.db import connection

_LOOK = 0.2  # seconds


def run(count: int, task: Callable[[], object], waiting: Callable[[], object] = bool) -> None:
    """Wait until all are done; until then this thread calls `waiting` again and again."""
    with ThreadPoolExecutor(count) as threads:
        running = [threads.submit(_one, task) for _ in range(count)]
        while wait(running, timeout=_LOOK).not_done:
            waiting()
        for each in running:
            each.result()


def _one(task: Callable[[], object]) -> None:
    try:
        task()
    finally:
        connection.close()  # of this thread
