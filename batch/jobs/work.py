"""Working on items: claimed, done, stored once; also when a worker is killed. Decision 0006.

An item is claimed in two steps. A short transaction counts the attempt and reserves the item for
some seconds. The transaction of the work itself then holds the lock of the row, which ends with the
connection: what a killed worker had is soon free again, and nothing of it is stored. The result,
what the verb stored (an enrolled face) and the deletion of the picture are one commit.
"""

import logging
import time
from datetime import timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from psycopg.types.json import Jsonb

from batch.jobs import jobs, verbs
from batch.jobs.verbs import Json, Outcome
from batch.models import Item, Job, erased_image_id
from batch.webhooks import callbacks
from recognition.inference.pack.declaration import PackError
from recognition.privacy import sealing
from recognition.privacy.sealing import UnreadableError
from recognition.processes import stages

logger = logging.getLogger(__name__)

# A task gives way to others, such as callbacks, after so many seconds.
_SLICE = 5.0
# From the claim to the lock of the row: two statements, but the machine may be busy.
_RESERVED = timedelta(seconds=5)
# So often may a worker die over an item (out of memory, a crash in native code), until it is the
# item's fault.
_MOST_ATTEMPTS = 8
# What is no picture's fault: the network's files or a key are missing here, the database is gone.
# Another machine may have them, and this one a moment later.
_TROUBLE = (PackError, UnreadableError, ImproperlyConfigured, OperationalError, InterfaceError)
_PUT_OFF = timedelta(seconds=5)
_PAUSE = 1.0  # seconds


def work() -> None:
    """Work on items that wait, of any client, until the slice is over or none is free."""
    end = time.monotonic() + _SLICE
    _be_cut_off_when_silent()
    job_id = job = None
    try:
        while time.monotonic() < end and (item := _claim()):
            if item.job_id != job_id:
                _change_job(job_id, item.job_id)
                job_id, job = item.job_id, Job.objects.filter(pk=item.job_id).first()
            if job is None:
                continue  # erased, and the item with it
            # What is read of it does not change: see `_do`.
            item.job = job
            if not process(item):
                time.sleep(_PAUSE)  # the next item may meet the same trouble
    finally:
        _change_job(job_id, None)
        jobs.call_for_workers()


def _change_job(before: int | None, now: int | None) -> None:
    """Not with every item: the last worker to leave a job finds that nothing of it is pending."""
    if before is not None:
        jobs.finish(before)
    if now is not None:
        jobs.start(now)


def sweep() -> None:
    """Take up what killed processes left, end what is overdue, queue the callbacks that are due.

    Every minute (see batch.apps), and when a cluster starts or lost a process.
    """
    pending = Item.objects.pending().filter(job=OuterRef("pk"))
    to_end = Job.objects.unfinished().filter(Q(deadline_at__lt=timezone.now()) | ~Exists(pending))
    for pk in to_end.values_list("pk", flat=True):
        jobs.finish(pk)
    jobs.skip_pending_of_ended_jobs()
    callbacks.call_if_due()
    jobs.call_for_workers()


# One statement in place of four, a millisecond in place of four; the ORM cannot return what it
# updated. Clients take turns by chance, so that none waits for all pictures of another: of a client
# whose turn it is, the oldest item of the oldest job. Each LATERAL is asked row by row until one
# item is found, and so locks no more than that.
#
# It does not wait for the disk: should the database itself be killed, it may forget the attempt,
# but the worker that made it has lost the connection. Two items that were lost together do not come
# back together: only one of them may have been what killed their worker.
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
            -- A reservation far ahead is of a clock that was set back since.
            AND (claimed_until IS NULL OR claimed_until <= now()
                OR claimed_until > now() + interval '1 hour')
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS item
    LIMIT 1
)
RETURNING id, job_id, attempts, set_config('synchronous_commit', 'off', true)
"""


def _claim() -> Item | None:
    """With the fields id, job_id and attempts."""
    return next(iter(Item.objects.raw(_CLAIM, [_RESERVED])), None)


class _NoLongerWantedError(Exception):
    """The job has ended, or a user was erased: nothing may be stored. An open job tries again."""


def process(claimed: Item) -> bool:
    """Do one item, unless another worker has it or it is done; False when there was trouble.

    Safe to run any number of times, at once as well.
    """
    try:
        with stages.collected() as spent, transaction.atomic():
            _do(claimed)
    except _NoLongerWantedError:
        jobs.finish(claimed.job_id)
        jobs.skip_pending_of_ended_jobs(claimed.job_id)
    except _TROUBLE:
        logger.exception("item %s is put off", claimed.pk)
        if not connection.is_usable():
            connection.close()
        _put_off(claimed)
        return False
    which = {"item": claimed.pk, "job": claimed.job.job_id, "attempt": claimed.attempts}
    logger.info("item", extra={**which, **stages.milliseconds(spent)})
    return True


def _put_off(claimed: Item) -> None:
    """The attempt does not count."""
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
    # Also whom an error does not name: it is about the enrolment of that user.
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


# As text, because making this one took the ORM half of the time that the queue costs.
# Without SKIP LOCKED: the claim of another worker that began before ours holds the lock for a
# moment, until it sees that the item is reserved; who has it for long has counted its attempt.
_TAKE = """
SELECT batch_item.*, finished_at IS NULL AND deadline_at >= %(now)s AS is_wanted
FROM batch_item JOIN batch_job ON batch_job.id = batch_item.job_id
WHERE batch_item.id = %(item)s AND attempts = %(attempts)s AND state = 'pending'
FOR UPDATE OF batch_item
"""
# One statement in place of three, and the lock is one that the ORM cannot ask for: shared, so that
# workers do not wait for each other, but the end of the job comes before or after.
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
_LOCK_USERS = "SELECT 1 FROM recognition_user WHERE id = ANY(%s) FOR KEY SHARE"
_LOCK_FACES = "SELECT 1 FROM recognition_face WHERE face_id = ANY(%s) FOR KEY SHARE"


def _exist(outcome: Outcome) -> bool:
    """Whether nobody named was erased meanwhile, nor will be before the result is stored."""
    with connection.cursor() as cursor:
        for statement, ids in ((_LOCK_USERS, outcome.user_ids), (_LOCK_FACES, outcome.face_ids)):
            if ids:
                cursor.execute(statement, [ids])
                if len(cursor.fetchall()) != len(ids):
                    return False
    return True


def _be_cut_off_when_silent() -> None:
    """If this machine is gone without a goodbye, the database frees its item after this time."""
    milliseconds = settings.TASK_SECONDS * 1000
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {milliseconds:d}")


def _outcome_of(item: Item) -> tuple[Outcome, bool]:
    """And whether there was a picture."""
    sealed = _sealed_picture(item)
    if sealed is None:
        # Only the erasure of its user takes the picture of an item that waits.
        return Outcome.failed("user_not_found", "The user was erased meanwhile."), False
    if item.attempts > _MOST_ATTEMPTS:
        message = f"The work on this picture was broken off {_MOST_ATTEMPTS} times."
        return Outcome.failed("internal_error", message), True
    image = sealing.unseal(sealed)
    del sealed  # as large as the picture
    job = item.job
    return verbs.outcome_of(job.kind, job.caller, {**job.options, **item.options}, image), True


def _sealed_picture(item: Item) -> bytes | None:
    """In binary: as text, which is what the ORM asks for, it has twice the size."""
    statement = "SELECT sealed FROM batch_picture WHERE item_id = %s"
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        row = cursor.execute(statement, [item.pk], binary=True).fetchone()
    return row[0] if row else None
