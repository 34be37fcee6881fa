"""Runs one function in several threads, each with its own database connection."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from django.db import connection

_LOOK = 0.2  # seconds


def run(count: int, task: Callable[[], object], meanwhile: Callable[[], object] = bool) -> None:
    """Until all are done; until then this thread does `meanwhile`, again and again."""
    with ThreadPoolExecutor(count) as threads:
        running = [threads.submit(_one, task) for _ in range(count)]
        while wait(running, timeout=_LOOK).not_done:
            meanwhile()
        for each in running:
            each.result()


def _one(task: Callable[[], object]) -> None:
    try:
        task()
    finally:
        connection.close()  # of this thread
