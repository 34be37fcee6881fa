"""How long tests wait for another process or thread, and how.

Nothing takes so long unless it hangs, so a busy machine makes no test fail. How fast something is
is measured in benchmarks/ and never asserted by a test: tests/test_layout.py looks for it.
"""

import threading
import time
from collections.abc import Callable

PATIENCE = 120.0  # seconds


def wait_until(condition: Callable[[], object], *, pause: float = 0.05) -> None:
    """Returns as soon as the condition holds; fails after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE:g} s"
        time.sleep(pause)


def finish(task: Callable[[], object]) -> None:
    """Do a task of a worker, with what it does in a thread."""
    task()
    wait_for_long_tasks()


def wait_for_long_tasks() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("batch.tasks."):
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread.name
