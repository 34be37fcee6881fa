"""Waits for what a long task does in its thread."""

from collections.abc import Callable

from batch.queue import long_tasks
from tests.support.patience import PATIENCE


def finish(task: Callable[[], None]) -> None:
    task()
    wait()


def wait() -> None:
    for thread in long_tasks._threads.values():
        thread.join(PATIENCE)
        assert not thread.is_alive(), thread.name
