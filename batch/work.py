"""Working on items: claimed, done, stored once; also when a worker is killed. Decision 0006.

An item is claimed in two steps. A short transaction counts the attempt and reserves the item for
some seconds. The transaction of the work itself then holds the lock of the row, which ends with the
connection: what a killed worker had is soon free again, and nothing of it is stored. The result,
what the verb stored (an enrolled face) and the deletion of the picture are one commit.
"""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from threading import BoundedSemaphore

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from batch import answers, jobs, verbs, webhooks
from batch.jobs import NewItem
from batch.models import Item, Job, Kind, Picture, Status, erased_image_id
from batch.verbs import Json, Outcome
from recognition import sealing
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.inference.packs import PackError
from recognition.sealing import UnreadableError

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
    """Work on the oldest items that wait, of any job, until the slice is over or none is free."""
    end = time.monotonic() + _SLICE
    _be_cut_off_when_silent()
    job_id = None
    try:
        while time.monotonic() < end and (item := _claim()):
            if item.job_id != job_id:
                _change_job(job_id, item.job_id)
                job_id = item.job_id
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
    webhooks.call_if_due()
    jobs.call_for_workers()


# One statement in place of four, a millisecond in place of four; the ORM cannot return what it
# updated. Two items that were lost together do not come back together: only one of them may have
# been what killed their worker.
_CLAIM = """
UPDATE batch_item SET
    attempts = attempts + 1, claimed_until = now() + %s * (1 + attempts * random())
WHERE id = (
    SELECT id FROM batch_item
    WHERE state = 'pending' AND (claimed_until IS NULL OR claimed_until <= now())
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, job_id, attempts
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
        with transaction.atomic():
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
    return True


def _put_off(claimed: Item) -> None:
    """The attempt does not count."""
    mine = Item.objects.pending().filter(pk=claimed.pk, attempts=claimed.attempts)
    mine.update(attempts=F("attempts") - 1, claimed_until=timezone.now() + _PUT_OFF)


def _do(claimed: Item) -> None:
    mine = Item.objects.pending().filter(pk=claimed.pk, attempts=claimed.attempts)
    # Without SKIP LOCKED: the claim of another worker that began before ours holds the lock for a
    # moment, until it sees that the item is reserved; who has it for long has counted its attempt.
    item = mine.select_for_update(of=("self",)).with_all().first()
    if item is None:
        return
    if not item.job.is_open:
        raise _NoLongerWantedError
    picture: Picture | None = getattr(item, "picture", None)
    outcome = _outcome_of(item, bytes(picture.sealed) if picture else None)
    # Shared, which the ORM cannot ask for: workers do not wait for each other, but the end of the
    # job comes before or after.
    (job,) = Job.objects.raw("SELECT * FROM batch_job WHERE id = %s FOR SHARE", [item.job_id])
    deleted, _ = Picture.objects.filter(item=item).delete()
    if not job.is_open or (picture and not deleted) or not _exist(outcome):
        raise _NoLongerWantedError
    # Also whom an error does not name: it is about the enrolment of that user.
    asked_for = item.user_ids if picture else []
    item.user_ids = sorted({*asked_for, *outcome.user_ids})
    if picture is None:
        item.image_id = erased_image_id()
    item.state, item.result, item.options = outcome.state, outcome.result, {}
    item.save(update_fields=["image_id", "state", "result", "options", "user_ids"])


_LOCK_USERS = "SELECT 1 FROM recognition_user WHERE id = ANY(%s) FOR KEY SHARE"
_LOCK_FACES = "SELECT 1 FROM recognition_face WHERE face_id = ANY(%s) FOR KEY SHARE"


def _exist(outcome: Outcome) -> bool:
    """Whether nobody named was erased meanwhile, nor will be before the result is stored."""
    with connection.cursor() as cursor:
        for statement, ids in ((_LOCK_USERS, outcome.user_ids), (_LOCK_FACES, outcome.face_ids)):
            cursor.execute(statement, [ids])
            if len(cursor.fetchall()) != len(ids):
                return False
    return True


def _be_cut_off_when_silent() -> None:
    """If this machine is gone without a goodbye, the database frees its item after this time."""
    milliseconds = settings.TASK_SECONDS * 1000
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {milliseconds:d}")


def _outcome_of(item: Item, sealed: bytes | None) -> Outcome:
    job = item.job
    if sealed is None:
        # Only the erasure of its user takes the picture of an item that waits.
        return Outcome.failed("user_not_found", "The user was erased meanwhile.")
    if item.attempts > _MOST_ATTEMPTS:
        message = f"The work on this picture was broken off {_MOST_ATTEMPTS} times."
        return Outcome.failed("internal_error", message)
    image = sealing.unseal(sealed)
    return verbs.outcome_of(job.kind, job.caller, {**job.options, **item.options}, image)


# A process has few threads for all requests, and a batch takes its own for seconds.
_room_at_once = BoundedSemaphore(2)


def at_once(caller: Caller, kind: Kind, options: Json, items: Sequence[NewItem]) -> Json:
    """A batch without a job: every result in one answer, nothing is stored. Raises unavailable."""
    if not _room_at_once.acquire(blocking=False):
        message = "Other batches are being answered; try again, or with `async`: true."
        raise ServiceError("unavailable", message)
    try:
        return _at_once(caller, kind, options, items)
    finally:
        _room_at_once.release()


def _at_once(caller: Caller, kind: Kind, options: Json, items: Sequence[NewItem]) -> Json:
    end = time.monotonic() + settings.FACESVC_BATCH_AT_ONCE_SECONDS
    results: list[Json] = []
    for item in items:
        if time.monotonic() > end:
            return answers.at_once(Status.TIMED_OUT, len(items), results)
        outcome = item.picture
        if isinstance(outcome, bytes):
            outcome = verbs.outcome_of(kind, caller, {**options, **item.options}, outcome)
        results.append(verbs.result_item(item.image_id, outcome.state, outcome.result))
    return answers.at_once(Status.COMPLETED, len(items), results)
