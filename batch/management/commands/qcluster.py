from typing import Any

from django_q import cluster
from django_q.management.commands import qcluster

from batch.cluster import Sentinel, die_with_parent


class Command(qcluster.Command):  # type: ignore[misc]
    """django-q2's own command, with processes that may be killed."""

    def handle(self, *args: Any, **options: Any) -> None:
        die_with_parent()
        cluster.Sentinel = Sentinel
        super().handle(*args, **options)
