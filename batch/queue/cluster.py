"""django-q2's cluster, changed to survive kill -9 of any of its processes.

Unchanged, a worker that is killed while it waits for work keeps the lock of the queue, and the
cluster stands still for ever; the children of a killed cluster go on unsupervised.
"""

import logging
import os
import signal
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django_q import cluster
from django_q.cluster import get_mp_context
from django_q.conf import Conf
from django_q.queues import Queue
from django_q.tasks import async_task
from prometheus_client.multiprocess import mark_process_dead

logger = logging.getLogger(__name__)

# Seconds. A worker holds its timer's lock for microseconds; if it takes longer, it was killed.
_LOCK_SECONDS = 10


# A task that takes longer than the others looks whether the cluster wants to end.
is_stopping = get_mp_context().Event()


class _TimerLock:
    """A lock that no killed worker keeps for ever: the sentinel, and so the cluster, ends."""

    def __init__(self) -> None:
        self._lock = get_mp_context().RLock()

    def acquire(self) -> bool:
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            raise RuntimeError("a killed worker holds the lock of its timer")
        return True

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *args: object) -> None:
        self.release()


class Cluster(cluster.Cluster):  # type: ignore[misc]
    """Ends at the first signal to do so.

    A second one, handled in the middle of the first, would wait for ever for a lock that the first
    one holds. `make run` and its parent may send both.
    """

    def sig_handler(self, signum: int, frame: Any) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        super().sig_handler(signum, frame)


class Sentinel(cluster.Sentinel):  # type: ignore[misc]
    """Restarts all processes and queues of its cluster when one of them was killed."""

    def spawn_cluster(self) -> None:
        try:
            # Take up work that former processes of this or another cluster left.
            async_task("batch.tasks.sweep", broker=self.broker)
        except (DatabaseError, InterfaceError):
            logger.exception("no sweep at the start; the schedule has one every minute")
        super().spawn_cluster()

    def stop(self) -> None:
        is_stopping.set()
        super().stop()

    def spawn_worker(self) -> None:
        timer = get_mp_context().Value("f", -1, lock=_TimerLock())
        process = self.spawn_process(
            cluster.worker, self.task_queue, self.result_queue, timer, self.timeout
        )
        # Requests have priority over jobs. Threads that start from now on inherit the niceness.
        nice = max(settings.FACESVC_TASK_NICE, os.getpriority(os.PRIO_PROCESS, 0))
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, nice)

    def reincarnate(self, process: Any) -> None:
        helpers = (self.monitor, self.pusher)
        if process not in (*self.pool, *helpers):
            return  # of the cluster before the restart
        # A negative code is a signal. A worker that ran into its timeout has none.
        if process.exitcode is not None and process.exitcode < 0:
            logger.critical("%s was killed: restarting the cluster's processes", process.name)
            self._restart()
        else:
            super().reincarnate(process)

    def _restart(self) -> None:
        for process in (*self.pool, self.monitor, self.pusher):
            process.kill()
            process.join()
            if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # its gauges end with it
                mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
        # A killed process may have held any of the old locks.
        self.task_queue = Queue(maxsize=Conf.QUEUE_LIMIT)
        self.result_queue = Queue()
        self.event_out = get_mp_context().Event()
        self.reincarnations += 1
        self.spawn_cluster()
