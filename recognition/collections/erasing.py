"""Removes the tables of collections that are being erased.

What marked one for it (management.collections) has committed before. No way leads into it since,
and its name is free. So a process that is killed here, or a lock that is in the way, only leaves
work for the next sweep.
"""

import logging

from django.db import OperationalError, connection, transaction
from django_q.models import Task

from recognition.collections import schemas
from recognition.collections.models import Collection

logger = logging.getLogger(__name__)

# Requests and workers that are still busy in a collection hold it up for so long. The next sweep
# tries again.
_LOCK_SECONDS = 2
# There are hundreds of locks to take. gunicorn takes a process for stuck after a minute.
_SECONDS = 30
# What a lock that is in the way ends with: no lock in time, a deadlock, no end in time.
_HELD_UP = {"55P03", "40P01", "57014"}


def finish_all() -> None:
    """Go on with every erasure that is not finished. What fails is raised after the others."""
    failed: list[Exception] = []
    for row in Collection.objects.exclude(erasing_at=None).order_by("pk"):
        try:
            finish(row)
        except Exception as error:
            failed.append(error)
    if failed:
        raise failed[0]


def finish(row: Collection) -> bool:
    """Drop the tables of a collection and its row; False if somebody still works in it.

    No table of another collection is locked, and nothing that all share but rows of this one and
    the records of failed tasks.
    """
    try:
        with transaction.atomic():
            _drop(row)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _HELD_UP:
            raise
        logger.info("the erasure of a collection waits for those who work in it")
        return False
    return True


def _drop(row: Collection) -> None:
    limits = {"lock_timeout": f"{_LOCK_SECONDS}s", "statement_timeout": f"{_SECONDS}s"}
    with connection.cursor() as cursor:
        for name, limit in limits.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [name, limit])
    # Another process may finish the same erasure now. It has the row, and waits for nobody here.
    if not Collection.objects.select_for_update().filter(pk=row.pk).exists():
        return
    schemas.drop(row.entered)
    # The traceback of a failed task may quote a row, and does not say of which collection.
    Task.objects.filter(success=False).delete()
    row.delete()
