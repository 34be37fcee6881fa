"""Whether there is room for the pictures of another batch, which wait in the database."""

import shutil
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models import Q, Sum

from batch.models import Job
from recognition.access import Caller
from recognition.collections.current import rule
from recognition.errors import ServiceError

_MB = 1024**2
# A picture is written to the log of the database and to its table, each time a little larger.
_ON_DISK = 3


def require(caller: Caller, *, pictures: int, length: int) -> None:
    """Raises unavailable unless there is room for the pictures, of `length` bytes together.

    Nothing is locked until the batch is stored: that takes seconds, and all other threads would
    wait. So batches that arrive together do not count each other. The limits can be exceeded by the
    bodies that the web processes hold at once, MAX_BODIES_BYTES each. If the disk is full after
    all, the answer is 503, too.
    """
    # Those of other collections do not count: a refusal would show that they have many waiting.
    waiting = Job.objects.unfinished().aggregate(
        pictures=Sum("total", default=0),
        bytes=Sum("picture_bytes", default=0),
        own_bytes=Sum("picture_bytes", filter=Q(subject=caller.subject), default=0),
    )
    limits = {
        "FACESVC_BATCH_QUEUE_LIMIT": (waiting["pictures"] + pictures, 1),
        "FACESVC_BATCH_QUEUE_MB": (waiting["bytes"] + length, _MB),
        "FACESVC_BATCH_CLIENT_MB": (waiting["own_bytes"] + length, _MB),
    }
    for name, (needed, unit) in limits.items():
        if needed > rule(name) * unit:
            message = f"Too many pictures are waiting ({name} is the limit); try again later."
            raise ServiceError("unavailable", message)
    free = free_bytes()
    if free is not None and free < settings.FACESVC_FREE_DISK_MB * _MB + _ON_DISK * length:
        raise ServiceError("unavailable", "The disk of the service is nearly full; try later.")


def free_bytes() -> int | None:
    """The free bytes on the disk of the database; None if it is elsewhere or does not say."""
    connection.ensure_connection()
    if not connection.connection.info.host.startswith("/"):
        return None
    with connection.cursor() as cursor:
        # There is no row if the role may not read it.
        cursor.execute("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
        row = cursor.fetchone()
    return shutil.disk_usage(row[0]).free if row and Path(row[0]).is_dir() else None
