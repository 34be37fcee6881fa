"""Tasks of django-q2, without arguments: whatever waits in our tables is theirs to do."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.tasks import async_task

# There are never many; should somebody queue more, this must not become slow.
_LOOKED_AT = 200


class _Later(ORM):  # type: ignore[misc]
    """A broker whose tasks are taken at a time of their own at the earliest."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self._at = at

    def enqueue(self, task: str) -> Any:
        return OrmQ.objects.create(key=self.list_key, payload=task, lock=self._at).pk


def waiting(func: str) -> int:
    """How many tasks of that function wait and are not taken yet."""
    return _count(func, OrmQ.objects.filter(lock__lte=timezone.now()))


def call(func: str) -> None:
    async_task(func)


def call_later(func: str, at: datetime) -> None:
    """Unless one is to come before."""
    # The lock of a task that is being worked on ends much later: see `retry` in Q_CLUSTER.
    if not _count(func, OrmQ.objects.filter(lock__gt=timezone.now(), lock__lte=at)):
        async_task(func, broker=_Later(at))


def _count(func: str, rows: "QuerySet[Any]") -> int:
    return sum(row.task.get("func") == func for row in rows.order_by("pk")[:_LOOKED_AT])
