"""Queues tasks of django-q2 without arguments: they do what waits in our tables."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db.models import QuerySet
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import Failure, OrmQ
from django_q.tasks import async_task

# Rows that are counted at most. There are never so many.
_LOOKED_AT = 200


class _Later(ORM):  # type: ignore[misc]
    """A broker for tasks that are not taken before a given time."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self._at = at

    def enqueue(self, task: str) -> Any:
        return OrmQ.objects.create(key=self.list_key, payload=task, lock=self._at).pk


def waiting(func: str) -> int:
    """Returns how many tasks of that function wait, up to a limit."""
    return _count(func, OrmQ.objects.filter(lock__lte=timezone.now()))


def failures(func: str, within: timedelta) -> int:
    """Returns how often tasks of that function have failed in the last hours."""
    return int(Failure.objects.filter(func=func, stopped__gt=timezone.now() - within).count())


def note_failure(func: str, began: datetime, error: Exception) -> None:
    """Keep what django-q2 keeps of a task that failed."""
    Failure.objects.create(
        **{"id": uuid4().hex, "name": func, "func": func, "success": False},
        **{"started": began, "stopped": timezone.now(), "result": f"{error}"},
    )


def call(func: str) -> None:
    async_task(func)


def call_later(func: str, at: datetime) -> None:
    """Queue the task for that time, unless an earlier one waits."""
    # The lock of a running task ends much later: see `retry` in Q_CLUSTER.
    if not _count(func, OrmQ.objects.filter(lock__gt=timezone.now(), lock__lte=at)):
        async_task(func, broker=_Later(at))


def _count(func: str, rows: "QuerySet[Any]") -> int:
    return sum(row.task.get("func") == func for row in rows.order_by("pk")[:_LOOKED_AT])
