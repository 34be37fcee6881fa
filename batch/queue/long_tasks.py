"""Long tasks: a thread of the worker does each, and the worker takes the next task at once.

Hours of one task must not keep the sweep of every minute waiting, even with a single worker.
"""

import logging
from collections.abc import Callable
from threading import Thread

from django.db import connections
from django.utils import timezone

from batch.queue import queueing

logger = logging.getLogger(__name__)

_threads: dict[str, Thread] = {}


def begin(func: str, work: Callable[[], object], *, is_waited_for: bool) -> None:
    """Begin the work of a task, unless this process still does it.

    A worker that ends waits for it, or leaves it. The work itself has to find out whether another
    process does it. What fails is logged, and kept as any task that failed.
    """
    if func in _threads and _threads[func].is_alive():
        return
    thread = Thread(target=_do, args=(func, work), name=func, daemon=not is_waited_for)
    _threads[func] = thread
    thread.start()


def _do(func: str, work: Callable[[], object]) -> None:
    began = timezone.now()
    try:
        work()
    except Exception as error:
        logger.exception("%s failed", func)
        connections.close_all()  # it may have failed with its connection
        queueing.note_failure(func, began, error)
    finally:
        connections.close_all()  # of this thread
