from typing import Any

from django.conf import settings
from django_q import cluster
from django_q.management.commands import qcluster

from batch.queue.cluster import Cluster, Sentinel
from facesvc.running import worker_metrics
from recognition.collections.current import nowhere
from recognition.processes import connections, orphans


class Command(qcluster.Command):  # type: ignore[misc]
    """django-q2's own command, with processes that may be killed."""

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.FACESVC_WORKER_METRICS_PORT:
            self._start(*args, **options)
            return
        with worker_metrics.counted_together():
            server = worker_metrics.Server(
                settings.FACESVC_WORKER_METRICS_HOST, settings.FACESVC_WORKER_METRICS_PORT
            )
            self._start(*args, **options)
            server.serve()

    def _start(self, *args: Any, **options: Any) -> None:
        orphans.kill_forked_with_parent()
        # A task ends after this; what it purges may take long.
        connections.limit(
            statement_seconds=settings.TASK_SECONDS, lock_seconds=settings.FACESVC_LOCK_SECONDS
        )
        cluster.Sentinel = Sentinel
        qcluster.Cluster = Cluster
        with nowhere():  # each task enters the collections that it works in
            super().handle(*args, **options)
