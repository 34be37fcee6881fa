"""The life of a job: submitted, ended, cancelled; batch.jobs.work works on its items.

Each function here is one transaction, including the tasks that it queues: django-q2 keeps them in
the same database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Min, Q
from django.utils import timezone

from batch.jobs import room
from batch.jobs.verbs import ItemResult
from batch.models import Item, ItemState, Job, Kind, Picture, Status, UnknownFaces
from batch.queue import queueing
from batch.webhooks import callbacks
from recognition import audit
from recognition.access import Caller
from recognition.errors import ServiceError
from recognition.models import locks
from recognition.models.user_ids import UserId
from recognition.privacy import sealing

_TASK = "batch.tasks.work"
# A task works on any item that waits, so a few tasks keep every worker busy; more would only delay
# callbacks.
_MOST_TASKS = 8
_ITEMS_PER_TASK = 10
_MOST_ITEMS = _MOST_TASKS * _ITEMS_PER_TASK
_LOOK_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True)
class NewItem:
    """A picture, or why it could not be read."""

    image_id: str
    picture: bytes | ItemResult
    options: Mapping[str, Any]

    @property
    def user_ids(self) -> list[UUID]:
        user_id = self.options.get("user_id")
        return [UserId(user_id)] if user_id else []


def submit(
    *,
    caller: Caller,
    kind: Kind,
    options: Mapping[str, Any],
    items: Sequence[NewItem],
    callback_url: str = "",
) -> Job:
    """Accept a batch; returns the job with its counts.

    The caller has checked the callback's address with `addresses.check`, which may take seconds:
    too long for a transaction. Raises encryption_not_set_up, unavailable, invalid_callback_url (the
    address was stopped).
    """
    if not sealing.is_possible():
        message = "Pictures that wait are encrypted: the server needs FACESVC_CROP_KEYS."
        raise ServiceError("encryption_not_set_up", message)
    pictures = [item.picture for item in items if isinstance(item.picture, bytes)]
    picture_bytes = sum(map(len, pictures))
    room.require(caller, pictures=len(items), length=picture_bytes)
    if callback_url:
        callbacks.require_enabled(caller.subject, callback_url)
    job = Job(
        kind=kind,
        subject=caller.subject,
        user_id=caller.user_id,
        scopes=sorted(caller.scopes),
        options=dict(options),
        total=len(items),
        picture_bytes=picture_bytes,
        callback_url=callback_url,
        deadline_at=timezone.now() + timedelta(hours=settings.FACESVC_BATCH_WAIT_HOURS),
    )
    _store(caller, job, items)
    return Job.objects.with_counts().get(pk=job.pk)


@transaction.atomic
def _store(caller: Caller, job: Job, items: Sequence[NewItem]) -> None:
    _hold_users(job, items)
    job.save()
    _note(caller.name, "job.submit", job)
    rows = Item.objects.bulk_create([_row(job, item) for item in items])
    _store_pictures(
        (row.pk, item.picture)
        for row, item in zip(rows, items, strict=True)
        if isinstance(item.picture, bytes)
    )
    finish(job.pk)  # ends it if no picture could be read
    _queue_tasks(Item.objects.pending().values("pk")[:_MOST_ITEMS].count())


def _store_pictures(pictures: Iterable[tuple[int, bytes]]) -> None:
    """Store the pictures one by one, in binary: as text, a picture has twice the size."""
    statement = "COPY batch_picture (item_id, sealed) FROM STDIN (FORMAT BINARY)"
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.set_types(["int8", "bytea"])
        for item, picture in pictures:
            copy.write_row((item, sealing.seal(picture)))


def _hold_users(job: Job, items: Sequence[NewItem]) -> None:
    """Lock the users of the job, so that their erasure waits until the job is stored."""
    viewer = job.options.get("on_behalf_of")
    ids = {user_id for item in items for user_id in item.user_ids}
    ids |= {each for each in (job.user_id, UUID(viewer) if viewer else None) if each}
    locks.hold_users(ids)


def _note(actor: str, action: str, job: Job) -> None:
    details: dict[str, Any] = {"job_id": job.job_id, "kind": job.kind, "total": job.total}
    if job.groups_unknown:
        details["group_unknown"] = True
    audit.note(actor, action, user_id=job.user_id, **details)


def _row(job: Job, item: NewItem) -> Item:
    row = Item(job=job, image_id=item.image_id, options=dict(item.options), user_ids=item.user_ids)
    if isinstance(item.picture, ItemResult):
        row.state, row.result = item.picture.state, item.picture.result
    return row


def call_for_workers() -> None:
    """Queue tasks for the items that wait, unless enough are queued.

    If other workers hold all items, queue one task for the time when the first may be free again:
    its worker may have been killed.
    """
    if free := _free_items():
        _queue_tasks(free)
        return
    times = Item.objects.wanted().aggregate(Min("claimed_until"), Count("pk"))
    if times["pk__count"]:
        soon = timezone.now() + _LOOK_AGAIN
        queueing.call_later(_TASK, max(times["claimed_until__min"] or soon, soon))


def _queue_tasks(items: int) -> None:
    for _ in range(ceil(items / _ITEMS_PER_TASK) - queueing.waiting(_TASK)):
        queueing.call(_TASK)


@transaction.atomic
def _free_items() -> int:
    """Returns how many of the first items a worker could claim now."""
    now = timezone.now()
    # As in batch.jobs.work: a reservation far in the future was made before the clock was set back.
    reserved = Q(claimed_until__gt=now, claimed_until__lte=now + timedelta(hours=1))
    free = Item.objects.wanted().exclude(reserved).select_for_update(skip_locked=True, of=("self",))
    locked = free.order_by("pk").values_list("pk", flat=True)
    return len(locked[:_MOST_ITEMS])


def of(caller: Caller, job_id: str) -> Job:
    """Returns the job with its counts. Raises job_not_found, even for another client's job."""
    job = Job.objects.of(caller).filter(job_id=job_id).first()
    if job is None:
        raise ServiceError("job_not_found", "There is no such job.")
    if job.is_overdue:
        finish(job.pk)
    return Job.objects.with_counts().get(pk=job.pk)


def start(pk: int) -> None:
    """Note that the first item is in progress: the deadline of the work runs from here.

    Before, the deadline is how long its pictures may wait.
    """
    now = timezone.now()
    deadline = now + timedelta(seconds=settings.ASYNC_PROCESSING_TIMEOUT)
    Job.objects.filter(pk=pk, status=Status.QUEUED).update(
        status=Status.PROCESSING, started_at=now, deadline_at=deadline
    )


@transaction.atomic
def cancel(*, caller: Caller, job_id: str) -> Job:
    """End a job with the results so far; a finished job stays as it is. Raises job_not_found."""
    job = of(caller, job_id)
    cancel_any(job, actor=caller.name)
    return of(caller, job_id)


@transaction.atomic
def cancel_any(job: Job, *, actor: str) -> bool:
    """Cancel any client's job; returns whether it was still open."""
    if is_open := not job.finished_at:
        _note(actor, "job.cancel", job)
    finish(job.pk, cancelled=True)
    return is_open


@transaction.atomic
def finish(pk: int, *, cancelled: bool = False) -> None:
    """End the job if it is done, overdue or cancelled. Its faces of nobody do not outlast it.

    A worker that holds an item finds the job ended when it stores the result, since batch.jobs.work
    takes the job's lock first. So nothing changes after the callback.
    """
    job = Job.objects.select_for_update().filter(pk=pk).first()
    if job is None or job.finished_at:  # the job was erased with its user, or has ended
        return
    ungrouped = UnknownFaces.objects.filter(item__job=job)
    if not Item.objects.pending().filter(job=job).exists() and not ungrouped.exists():
        job.status = Status.COMPLETED
        if job.groups_unknown and job.unknown_people is None:
            job.unknown_people = 0  # each face is somebody's
    elif cancelled:
        job.status = Status.CANCELLED
    elif job.is_overdue:
        job.status = Status.TIMED_OUT
    else:
        return
    job.finished_at = timezone.now()
    job.save(update_fields=["status", "finished_at", "unknown_people"])
    ungrouped.delete()
    skip_pending_of_ended_jobs(pk)
    if job.callback_url:
        callbacks.queue(Job.objects.with_counts().get(pk=pk))


@transaction.atomic
def skip_pending_of_ended_jobs(pk: int | None = None) -> None:
    """Skip pending items, except those that a worker holds: it notices the end itself."""
    ended = Item.objects.pending().filter(job__finished_at__isnull=False)
    if pk is not None:
        ended = ended.filter(job=pk)
    free = list(
        ended.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)
    )
    Item.objects.filter(pk__in=free).update(state=ItemState.SKIPPED, options={}, user_ids=[])
    Picture.objects.filter(item__in=free).delete()
