"""Batch jobs with their items and pictures, and the people in them who are nobody."""

import secrets
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Count, Q
from django.utils import timezone

from recognition.access import Caller


def new_job_id() -> str:
    return f"job_{secrets.token_hex(8)}"


def erased_image_id() -> str:
    """Replaces the client's id of a picture when its person was erased."""
    return f"erased_{secrets.token_hex(8)}"


class Kind(models.TextChoices):
    IDENTIFY = "identify"
    REGISTER = "register"


class Status(models.TextChoices):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class ItemState(models.TextChoices):
    PENDING = "pending"
    SUCCESS = "success"
    ERROR = "error"
    SKIPPED = "skipped"  # the job ended before


class JobQuerySet(models.QuerySet["Job"]):
    def of(self, caller: Caller) -> "JobQuerySet":
        return self.filter(subject=caller.subject)

    def unfinished(self) -> "JobQuerySet":
        return self.filter(finished_at=None)

    def with_counts(self) -> "JobQuerySet":
        """Adds `succeeded` and `failed`, counted from the items: they cannot disagree."""
        return self.annotate(
            succeeded=Count("items", filter=Q(items__state=ItemState.SUCCESS)),
            failed=Count("items", filter=Q(items__state=ItemState.ERROR)),
        )


class Job(models.Model):
    """Pictures that were accepted together, with the rights that the token had then."""

    job_id = models.CharField(max_length=20, unique=True, default=new_job_id, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    # The caller at acceptance: see recognition.access.
    subject = models.CharField(max_length=100)
    user_id = models.UUIDField(null=True)
    scopes = models.JSONField()
    options = models.JSONField()  # see batch.jobs.verbs
    total = models.PositiveIntegerField()
    picture_bytes = models.PositiveBigIntegerField(default=0)  # of all its pictures together
    callback_url = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    # How many people its faces of nobody are of; None unless it has grouped them.
    unknown_people = models.PositiveIntegerField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=("queued", "processing"), finished_at=None)
                | Q(
                    status__in=("completed", "cancelled", "timed_out"),
                    finished_at__isnull=False,
                ),
                name="job_finished_once",
            )
        ]
        indexes = [
            # Consumer: the list of a caller's jobs.
            models.Index(fields=["subject", "-id"], name="job_of_subject"),
            # Consumers: the worker that looks for the next client's oldest job, the sweep, and how
            # much is waiting.
            models.Index(fields=["subject", "id"], condition=Q(finished_at=None), name="job_open"),
            # Consumer: purge.
            models.Index(fields=["finished_at"], name="job_finished"),
        ]

    def __str__(self) -> str:
        return self.job_id

    @property
    def is_overdue(self) -> bool:
        return not self.finished_at and self.deadline_at < timezone.now()

    @property
    def skipped(self) -> int:
        """How many pictures were not done before the end. Needs `with_counts`."""
        counted: Any = self
        remaining: int = self.total - counted.succeeded - counted.failed
        return remaining if self.finished_at else 0

    @property
    def groups_unknown(self) -> bool:
        """Whether faces of nobody are put together. Older jobs do not say."""
        return bool(self.options.get("group_unknown"))

    @property
    def unknown_prefix(self) -> str:
        """What the ids of its unknown people begin with: no other job has them."""
        return self.job_id.replace("job", "unknown", 1)

    @property
    def caller(self) -> Caller:
        return Caller(self.subject, self.user_id, frozenset(self.scopes))


class ItemQuerySet(models.QuerySet["Item"]):
    def pending(self) -> "ItemQuerySet":
        return self.filter(state=ItemState.PENDING)

    def wanted(self) -> "ItemQuerySet":
        """Items of open jobs: no worker can claim what an ended job has left."""
        return self.pending().filter(job__finished_at=None)

    def done(self) -> "ItemQuerySet":
        return self.filter(state__in=(ItemState.SUCCESS, ItemState.ERROR))


class Item(models.Model):
    """One picture of a job and, once it is done, its result. See docs/decisions/0006."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="items")
    image_id = models.CharField(max_length=200)
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=7, choices=ItemState, default=ItemState.PENDING)
    result = models.JSONField(null=True)  # the answer of the verb, or code, message and details
    # The users in the result or the options: an erased user must not stay in them.
    user_ids = ArrayField(models.UUIDField(), default=list)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)

    objects = ItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "image_id"], name="item_once_per_job"),
            models.CheckConstraint(
                condition=Q(state__in=("success", "error"), result__isnull=False)
                | Q(state__in=("pending", "skipped"), result=None),
                name="item_result_when_done",
            ),
        ]
        indexes = [
            # Consumer: how many items wait.
            models.Index(fields=["id"], condition=Q(state="pending"), name="item_pending"),
            # Consumers: the worker that looks for a job's oldest item, the counts of a job, its
            # results in order.
            models.Index(fields=["job", "state", "id"], name="item_of_job"),
            # Consumer: the erasure of a user.
            GinIndex(fields=["user_ids"], name="item_names_user"),
        ]

    def __str__(self) -> str:
        return f"{self.image_id} of {self.job_id}"


class Picture(models.Model):
    """An encrypted picture that waits. It is deleted in the transaction that stores the result."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="picture")
    sealed = models.BinaryField()  # see recognition.privacy.sealing

    def __str__(self) -> str:
        return f"picture of item {self.item_id}"


class UnknownFaces(models.Model):
    """The templates of a picture's faces of nobody. They go when the job ends, however it ends."""

    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="unknown_faces")
    embedding_version = models.CharField(max_length=60)
    sealed = models.BinaryField()  # see batch.jobs.unknown_faces

    class Meta:
        verbose_name = verbose_name_plural = "unknown faces"

    def __str__(self) -> str:
        return f"faces of nobody of item {self.item_id}"


class UnknownPerson(models.Model):
    """A person whose faces are nobody's. Within a job, those with most pictures come first."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, db_index=False)  # see Meta
    unknown_id = models.CharField(max_length=40)
    pictures = models.PositiveIntegerField()  # and faces: a picture has one of them at most
    best_item = models.ForeignKey(Item, on_delete=models.CASCADE)
    best_face_index = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "unknown people"
        indexes = [
            # Consumer: the list of a job's unknown people.
            models.Index(fields=["job", "id"], name="unknown_of_job")
        ]

    def __str__(self) -> str:
        return self.unknown_id
