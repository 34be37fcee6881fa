"""Working on items: claimed, done, stored once; also when a worker is killed. Decision 0006.

An item is claimed in two steps. A short transaction counts the attempt and reserves the item for
some seconds. The transaction of the work itself then holds the lock of the row, which ends with the
connection: what a killed worker had is soon free again, and nothing of it is stored. The result,
what the verb stored (an enrolled face) and the deletion of the picture are one commit.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from batch import answers, jobs, verbs, webhooks
from batch.jobs import NewItem
from batch.models import Item, Job, Kind, Picture, Status
from batch.verbs import Json, Outcome
from recognition import sealing
from recognition.access import Caller

logger = logging.getLogger(__name__)

# A task gives way to others, such as callbacks, after so many seconds.
_SLICE = 5.0
# From the claim to the lock of the row: two statements, but the machine may be busy.
_RESERVED = timedelta(seconds=5)
# So often may a worker die over an item (out of memory, a crash in native code) or the database
# be lost during it, until it is the item's fault.
_MOST_ATTEMPTS = 5
_PAUSE = 0.1


def work_in_threads(count: int) -> None:
    """`work` several times at once: while one item waits for the database another is computed."""

    def one() -> None:
        try:
            work()
        finally:
            connection.close()  # of this thread

    with ThreadPoolExecutor(count) as threads:
        for running in [threads.submit(one) for _ in range(count)]:
            running.result()


def work() -> None:
    """Work on the oldest items that wait, of any job, until the slice is over or none is left."""
    end = time.monotonic() + _SLICE
    _be_cut_off_when_silent()
    job_id = None
    while time.monotonic() < end:
        item = _claim()
        if item is None or item.job_id != job_id:
            _change_job(job_id, item.job_id if item else None)
            job_id = item.job_id if item else None
        if item is not None:
            process(item)
        elif Item.objects.pending().exists():
            # Others have them. One of those may be killed, so stay near.
            time.sleep(_PAUSE)
        else:
            break
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
    to_end = Job.objects.is_open().filter(Q(deadline_at__lt=timezone.now()) | ~Exists(pending))
    for pk in to_end.values_list("pk", flat=True):
        jobs.finish(pk)
    jobs.skip_pending_of_ended_jobs()
    webhooks.queue_due()
    jobs.call_for_workers()


# One statement in place of four, a millisecond in place of four; the ORM cannot return what it
# updated.
_CLAIM = """
UPDATE batch_item SET attempts = attempts + 1, claimed_until = now() + %s
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
    """The job has ended, or the picture was taken away by an erasure: nothing may be stored."""


def process(claimed: Item) -> None:
    """Do one item, unless another worker has it or it is done.

    Safe to run any number of times, at once as well.
    """
    try:
        with transaction.atomic():
            _do(claimed)
    except _NoLongerWantedError:
        jobs.finish(claimed.job_id)
        jobs.skip_pending_of_ended_jobs(claimed.job_id)


def _do(claimed: Item) -> None:
    mine = Item.objects.pending().filter(pk=claimed.pk, attempts=claimed.attempts)
    item = mine.select_for_update(skip_locked=True, of=("self",)).with_all().first()
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
    if not job.is_open or (picture and not deleted):
        raise _NoLongerWantedError
    item.state, item.result, item.user_ids = outcome.state, outcome.result, outcome.user_ids
    item.save(update_fields=["state", "result", "user_ids"])


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
    try:
        image = sealing.unseal(sealed)
    except sealing.UnreadableError as error:
        logger.error("%s: %s", item, error)
        return Outcome.failed("internal_error", "The stored picture cannot be decrypted.")
    return verbs.outcome_of(job.kind, job.caller, {**job.options, **item.options}, image)


def at_once(caller: Caller, kind: Kind, options: Json, items: Sequence[NewItem]) -> Json:
    """A batch without a job: every result in one answer, nothing is stored."""
    end = time.monotonic() + settings.ASYNC_PROCESSING_TIMEOUT
    results: list[Json] = []
    for item in items:
        if time.monotonic() > end:
            return answers.at_once(Status.TIMED_OUT, len(items), results)
        outcome = item.picture
        if isinstance(outcome, bytes):
            outcome = verbs.outcome_of(kind, caller, {**options, **item.options}, outcome)
        results.append(verbs.result_item(item.image_id, outcome.state, outcome.result))
    return answers.at_once(Status.COMPLETED, len(items), results)
