"""Works on items: each is claimed, done and stored once, even if a worker is killed.

See docs/decisions/0006. An item is claimed in two steps. A short transaction counts the attempt and
reserves the item for some seconds. The transaction of the work itself then holds the lock of the
row, which ends with the connection: the item of a killed worker is soon free again, and nothing of
it is stored. One commit holds the result, what the verb stored (an enrolled face), and the deletion
of the picture.
"""

import logging
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from psycopg.types.json import Jsonb

from batch.jobs import grouping, jobs, verbs
from batch.jobs.verbs import ItemResult, Json
from batch.models import Item, Job, erased_image_id
from batch.webhooks import callbacks
from recognition.collections.current import CollectionGoneError, entered
from recognition.collections.visiting import at_work
from recognition.inference.pack.declaration import PackError
from recognition.models import locks
from recognition.prepared import raw_cursor
from recognition.privacy import sealing
from recognition.privacy.sealing import UnreadableError
from recognition.processes import connections
from recognition.processes.current_request import CurrentRequest, answering

logger = logging.getLogger(__name__)

# Seconds after which a task gives way to others, such as callbacks.
_SLICE = 5.0
_TURN = 1.0  # seconds of a collection
# Seconds from the claim to the lock of the row: two statements, but the machine may be busy.
_RESERVED = timedelta(seconds=5)
# After this many deaths of a worker (out of memory, a crash in native code) the item fails.
_MOST_ATTEMPTS = 8
# Errors that are no picture's fault: files of the networks or a key are missing here. Another
# machine may have them, or this one a moment later.
_TROUBLE = (PackError, UnreadableError, ImproperlyConfigured)
_PUT_OFF = timedelta(seconds=5)
_PAUSE = 1.0  # seconds


def work() -> None:
    """Work on waiting items until the time is over or none is free; collections take turns."""
    end = time.monotonic() + _SLICE
    left = True
    while left and time.monotonic() < end:
        left = False
        for collection in at_work():
            with suppress(CollectionGoneError), entered(collection):
                left |= _work(min(end, time.monotonic() + _TURN))


def _work(end: float) -> bool:
    """Work on waiting items of any client of the collection; returns whether more may wait."""
    _be_cut_off_when_silent()
    job_id = job = None
    try:
        while time.monotonic() < end and (item := _claim()):
            if item.job_id != job_id:
                _change_job(job_id, item.job_id)
                job_id, job = item.job_id, Job.objects.filter(pk=item.job_id).first()
            if job is None:
                continue  # erased together with the item
            # The fields that are read from it never change: see `_do`.
            item.job = job
            if not process(item):
                time.sleep(_PAUSE)  # the next item may meet the same error
        return job_id is not None
    finally:
        _change_job(job_id, None)
        jobs.call_for_workers()


def _change_job(before: int | None, now: int | None) -> None:
    """Finish a job when its worker turns to another: the last one finds that nothing is pending."""
    if before is not None:
        grouping.end(before)
    if now is not None:
        jobs.start(now)


def sweep() -> None:
    """Queue work that killed processes left, end overdue jobs, queue the callbacks that are due.

    It runs every minute (see batch.apps), and when a cluster starts or loses a process.
    """
    pending = Item.objects.pending().filter(job=OuterRef("pk"))
    to_end = Job.objects.unfinished().filter(Q(deadline_at__lt=timezone.now()) | ~Exists(pending))
    for pk in to_end.values_list("pk", flat=True):
        grouping.end(pk)
    jobs.skip_pending_of_ended_jobs()
    callbacks.call_if_due()
    jobs.call_for_workers()


# One statement of a millisecond in place of four; the ORM cannot return what it updated. Clients
# take turns at random, so that none waits for all pictures of another: the client gets the oldest
# item of its oldest job. Each LATERAL runs row by row until one item is found, and so locks no more
# than that.
#
# It does not wait for the disk: if the database itself is killed, it may forget the attempt, but
# then the worker has lost its connection. Two items that were lost together do not come back
# together: only one of them may have killed the worker.
_CLAIM = """
UPDATE batch_item SET
    attempts = attempts + 1, claimed_until = now() + %s * (1 + attempts * random())
WHERE id = (
    SELECT item.id
    FROM (
        SELECT subject FROM batch_job WHERE finished_at IS NULL GROUP BY subject ORDER BY random()
    ) AS client
    CROSS JOIN LATERAL (
        SELECT id FROM batch_job
        WHERE subject = client.subject AND finished_at IS NULL ORDER BY id
    ) AS job
    CROSS JOIN LATERAL (
        SELECT id FROM batch_item
        WHERE job_id = job.id AND state = 'pending'
            -- A reservation far in the future was made before the clock was set back.
            AND (claimed_until IS NULL OR claimed_until <= now()
                OR claimed_until > now() + interval '1 hour')
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS item
    LIMIT 1
)
RETURNING id, job_id, attempts, set_config('synchronous_commit', 'off', true)
"""


def _claim() -> Item | None:
    """Claims an item; returns it with the fields id, job_id and attempts."""
    return next(iter(Item.objects.raw(_CLAIM, [_RESERVED])), None)


class _NoLongerWantedError(Exception):
    """The job has ended or a user was erased, so nothing may be stored. An open job tries again."""


def process(claimed: Item) -> bool:
    """Do one item, unless another worker has it or it is done; returns False after an error.

    You can run it any number of times, even concurrently.
    """
    try:
        with answering(CurrentRequest()) as picture, transaction.atomic():
            _do(claimed)
    except _NoLongerWantedError:
        jobs.finish(claimed.job_id)
        jobs.skip_pending_of_ended_jobs(claimed.job_id)
    except Exception as error:
        if not (isinstance(error, _TROUBLE) or connections.is_passing(error)):
            raise
        logger.exception("item %s is postponed", claimed.pk)
        if not connection.is_usable():
            connection.close()
        _put_off(claimed)
        return False
    which = {"item": claimed.pk, "job": claimed.job.job_id, "attempt": claimed.attempts}
    spent = {name: round(milliseconds, 1) for name, milliseconds in picture.spent.items()}
    logger.info("item", extra={**which, **spent})
    return True


def _put_off(claimed: Item) -> None:
    """Postpone an item; the attempt does not count."""
    mine = Item.objects.pending().filter(pk=claimed.pk, attempts=claimed.attempts)
    mine.update(attempts=F("attempts") - 1, claimed_until=timezone.now() + _PUT_OFF)


def _do(claimed: Item) -> None:
    mine = {"item": claimed.pk, "attempts": claimed.attempts, "now": timezone.now()}
    item: Any = next(iter(Item.objects.raw(_TAKE, mine)), None)
    if item is None:
        return
    if not item.is_wanted:
        raise _NoLongerWantedError
    item.job = claimed.job  # its caller and options
    outcome, has_picture = _outcome_of(item)
    # Includes the user to enrol, even if an error does not name them.
    asked_for = item.user_ids if has_picture else []
    stored: Json = {
        "item": item.pk,
        "job": item.job_id,
        "now": timezone.now(),
        "pictures": int(has_picture),
        "state": outcome.state.value,
        "result": Jsonb(outcome.result),
        "user_ids": sorted({*asked_for, *outcome.user_ids}),
        "image_id": item.image_id if has_picture else erased_image_id(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_STORE, stored)
        if not cursor.rowcount or not _exist(outcome):
            raise _NoLongerWantedError
    if unknown := outcome.unknown_faces:
        unknown.item = item
        unknown.save(force_insert=True)


# As text, because building it took the ORM half of the time that the queue costs. Without SKIP
# LOCKED: the claim of another worker that began before ours holds the lock for a moment, until it
# sees that the item is reserved. A worker that holds it for long has counted its attempt.
_TAKE = """
SELECT batch_item.*, finished_at IS NULL AND deadline_at >= %(now)s AS is_wanted
FROM batch_item JOIN batch_job ON batch_job.id = batch_item.job_id
WHERE batch_item.id = %(item)s AND attempts = %(attempts)s AND state = 'pending'
FOR UPDATE OF batch_item
"""
# One statement in place of three, with a lock that the ORM cannot ask for. It is shared: workers do
# not wait for each other, but the end of the job comes before or after.
_STORE = """
WITH open_job AS MATERIALIZED (
    SELECT 1 FROM batch_job
    WHERE id = %(job)s AND finished_at IS NULL AND deadline_at >= %(now)s FOR SHARE
), picture AS (
    DELETE FROM batch_picture WHERE item_id = %(item)s RETURNING 1
)
UPDATE batch_item SET
    state = %(state)s, result = %(result)s, user_ids = %(user_ids)s::uuid[], options = '{}',
    image_id = %(image_id)s
WHERE id = %(item)s AND EXISTS (SELECT FROM open_job)
    AND (SELECT count(*) FROM picture) = %(pictures)s
"""


def _exist(outcome: ItemResult) -> bool:
    """Whether all named users and faces exist, and will until the result is stored."""
    users, faces = set(outcome.user_ids), set(outcome.face_ids)
    return locks.hold_users(users) == users and locks.hold_faces(faces) == faces


def _be_cut_off_when_silent() -> None:
    """Have the database free this item if the machine disappears without closing its connection."""
    milliseconds = settings.TASK_SECONDS * 1000
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {milliseconds:d}")


def _outcome_of(item: Item) -> tuple[ItemResult, bool]:
    """Returns the outcome, and False if the picture was already deleted."""
    sealed = _sealed_picture(item)
    if sealed is None:
        # Only the erasure of its user deletes the picture of an item that waits.
        return ItemResult.failed("user_not_found", "The user has been erased."), False
    if item.attempts > _MOST_ATTEMPTS:
        message = f"The work on this picture was interrupted {_MOST_ATTEMPTS} times."
        return ItemResult.failed("internal_error", message), True
    image = sealing.unseal(sealed)
    del sealed  # as large as the picture
    job = item.job
    return verbs.outcome_of(job.kind, job.caller, {**job.options, **item.options}, image), True


def _sealed_picture(item: Item) -> bytes | None:
    """Reads the picture in binary: as text, as the ORM reads it, it has twice the size."""
    statement = "SELECT sealed FROM batch_picture WHERE item_id = %s"
    with raw_cursor() as cursor:
        row = cursor.execute(statement, [item.pk], binary=True).fetchone()
    return row[0] if row else None
