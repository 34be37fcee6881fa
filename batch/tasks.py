"""The tasks that django-q2 calls, without arguments: it would pickle them into the database."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import connections

from batch.jobs import work as working
from batch.models import Item
from batch.queue import cluster, long_tasks, queueing
from batch.webhooks import callbacks
from recognition import audit, model_change, upgrading
from recognition.collections import erasing
from recognition.collections.visiting import all_collections, in_each
from recognition.enrolment import lookalikes
from recognition.gallery import indexes
from recognition.inference.pack.declaration import PackError
from recognition.measuring.here import runs
from recognition.packs import engine
from recognition.privacy.keeping import retention_rules

logger = logging.getLogger(__name__)

_LOOK = 0.2  # seconds
_SLICE = 5.0  # seconds, after which a task gives way to others
_SEARCH_NEW_FACES = "batch.tasks.search_new_faces"
_MEASURE = "batch.tasks.measure"
_BUILD_INDEX = "batch.tasks.build_index"
# A build that fails, as with a full disk, is tried again so often in a day.
_MOST_BUILDS = 3


def work() -> None:
    # While one item waits for the database, another one is computed.
    in_threads(settings.FACESVC_TASK_THREADS, working.work)


def measure() -> None:
    """Measure a model on the people enrolled, if somebody has asked for it.

    It may take many minutes, and is stopped by no time limit.
    """
    measure_here = partial(runs.work, _may_measure)
    long_tasks.begin(_MEASURE, lambda: in_each(measure_here), is_waited_for=True)


def _may_measure() -> bool:
    """Whether the cluster goes on. Pictures of jobs come first: a measurement gives way to them."""
    if Item.objects.pending().exists():
        cluster.is_stopping.wait(_SLICE)
    return not cluster.is_stopping.is_set()


def deliver() -> None:
    # A slow receiver of callbacks must not delay the pictures.
    in_threads(callbacks.THREADS, callbacks.deliver_due, waiting=working.work)
    in_each(callbacks.call_if_due)


def sweep() -> None:
    try:
        in_each(_sweep)
    finally:
        erasing.finish_all()


def _sweep() -> None:
    working.sweep()
    _call_for_new_faces()
    if runs.unfinished().exists():
        call_for_measuring()


def call_for_measuring() -> None:
    """Queue a task that measures, unless one is queued. A second one would find nothing to do."""
    if not queueing.waiting(_MEASURE):
        queueing.call(_MEASURE)


def search_new_faces() -> None:
    """Search for the look-alikes of faces that were enrolled, until the time is over.

    It is over for all collections at once, since django-q2 stops a task that takes minutes; but
    each has one face searched.
    """
    end = time.monotonic() + _SLICE
    in_each(lambda: _search_new_faces(end))


def _search_new_faces(end: float) -> None:
    try:
        while lookalikes.search_next():
            if time.monotonic() > end:
                _call_for_new_faces()
                return
    except PackError as error:
        logger.warning("the look-alikes of new faces wait: %s", error)


def _call_for_new_faces() -> None:
    if lookalikes.have_new() and not queueing.waiting(_SEARCH_NEW_FACES):
        queueing.call(_SEARCH_NEW_FACES)


def look_at_index() -> None:
    """Queue a task that builds or drops HNSW indexes, if there is something to do.

    It runs every hour.
    """
    in_each(_look_at_index)


def _look_at_index() -> None:
    if not indexes.is_work(engine.active_version()) or queueing.waiting(_BUILD_INDEX):
        return
    if queueing.failures(_BUILD_INDEX, within=timedelta(days=1)) < _MOST_BUILDS:
        queueing.call(_BUILD_INDEX)


def build_index() -> None:
    """Build or drop HNSW indexes, which may take hours.

    A worker that has to end leaves the statement alone: the database goes on with it by itself.
    """
    long_tasks.begin(_BUILD_INDEX, lambda: in_each(_keep_index), is_waited_for=False)


def _keep_index() -> None:
    indexes.keep(engine.active_version())


def purge() -> None:
    """Like `manage.py purge`, but keeps the templates of former models: their deletion is final."""
    in_each(_purge, among=all_collections)


def _purge() -> None:
    for rule in retention_rules():
        logger.info(rule())


def carry_over() -> None:
    """Convert the templates of faces that processes of the former version enrolled.

    They go on for minutes after `migrate`, while they are replaced one after the other.
    """
    in_each(_carry_over)


def _carry_over() -> None:
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
        connections.close_all()  # of this thread
