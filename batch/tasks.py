"""The tasks that django-q2 calls, without arguments: it would pickle them into the database."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from django.conf import settings
from django.db import connection

from batch.jobs import work as working
from batch.queue import cluster, queueing
from batch.webhooks import callbacks
from recognition import audit, model_change, upgrading
from recognition.measuring.here import runs
from recognition.privacy.keeping import retention_rules

logger = logging.getLogger(__name__)

_LOOK = 0.2  # seconds
_MEASURE = "batch.tasks.measure"
# Seconds, after which the task counts as one that hangs.
_LONGEST_MEASUREMENT = 6 * 3600


def work() -> None:
    # While one item waits for the database, another one is computed.
    in_threads(settings.FACESVC_TASK_THREADS, working.work)


def measure() -> None:
    """Measure a model on the people enrolled, if somebody has asked for it.

    It may take many minutes, and is stopped by no time limit. Pictures and callbacks come first.
    """
    runs.work(_do_what_waits)


def _do_what_waits() -> bool:
    """Whether the cluster goes on."""
    work()
    in_threads(1, callbacks.deliver_due)
    return not cluster.is_stopping.is_set()


def deliver() -> None:
    # A slow receiver of callbacks must not delay the pictures.
    in_threads(callbacks.THREADS, callbacks.deliver_due, waiting=working.work)
    callbacks.call_if_due()


def sweep() -> None:
    working.sweep()
    if runs.unfinished().exists():
        call_for_measuring()


def call_for_measuring() -> None:
    """Queue a task that measures, unless one is queued. A second one would find nothing to do."""
    if not queueing.waiting(_MEASURE):
        queueing.call(_MEASURE, timeout=_LONGEST_MEASUREMENT)


def purge() -> None:
    """Like `manage.py purge`, but keeps the templates of former models: their deletion is final."""
    for rule in retention_rules():
        logger.info(rule())


def carry_over() -> None:
    """Convert the templates of faces that processes of the former version enrolled.

    They go on for minutes after `migrate`, while they are replaced one after the other.
    """
    try:
        upgrading.carry_over(actor=audit.SYSTEM)
    except model_change.ModelChangeInProgressError as error:
        logger.info("%s", error)  # an hour later is soon enough


def in_threads(
    count: int, task: Callable[[], object], waiting: Callable[[], object] = bool
) -> None:
    """Run one function in several threads, each with its own database connection.

    Until all are done, this thread calls `waiting` again and again.
    """
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
