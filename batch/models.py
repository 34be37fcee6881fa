"""Batch jobs with their items, and the callbacks that report their end."""

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


def new_message_id() -> str:
    return f"msg_{secrets.token_hex(16)}"


def without_query(url: str) -> str:
    """The address as operators see it: the query of some apps holds a secret."""
    return url.partition("?")[0]


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


class WebhookSecret(models.Model):
    """The secret that signs callbacks to a client. While two are valid, both sign."""

    client = models.CharField(max_length=100)  # a token's subject
    sealed = models.BinaryField()  # see recognition.privacy.sealing
    created_at = models.DateTimeField(auto_now_add=True)
    retires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["client"], condition=Q(retires_at=None), name="secret_one_current"
            )
        ]

    def __str__(self) -> str:
        return f"secret of {self.client}"


class WebhookEndpoint(models.Model):
    """An address of a client. One that answered 410 gets nothing more."""

    client = models.CharField(max_length=100)
    url = models.CharField(max_length=2000)
    disabled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "callback address"
        verbose_name_plural = "callback addresses"
        constraints = [
            models.UniqueConstraint(fields=["client", "url"], name="endpoint_once_per_client")
        ]

    def __str__(self) -> str:
        return self.address

    @property
    def address(self) -> str:
        return without_query(self.url)


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  # given up after the last delay
    STOPPED = "stopped"  # the receiver said 410 Gone


class WebhookDelivery(models.Model):
    """One callback: the same id and body at every attempt."""

    message_id = models.CharField(max_length=36, unique=True, default=new_message_id)
    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="delivery")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE)
    body = models.TextField()
    state = models.CharField(
        max_length=9, choices=DeliveryState, default=DeliveryState.PENDING, editable=False
    )
    # Attempts since it was queued or replayed: the place in the list of delays.
    tries = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    busy_until = models.DateTimeField(null=True)  # while it is being tried
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "callback"
        constraints = [
            models.CheckConstraint(
                condition=Q(state="pending", next_attempt_at__isnull=False)
                | (~Q(state="pending") & Q(next_attempt_at=None)),
                name="delivery_due_while_pending",
            )
        ]
        indexes = [
            # Consumer: the sweep that queues what is due.
            models.Index(
                fields=["next_attempt_at"], condition=Q(state="pending"), name="delivery_due"
            ),
            # Consumers: the first page of the admin, and the list of those that were given up.
            models.Index(fields=["id"], condition=Q(state="dead"), name="delivery_given_up"),
            # Consumer: how many are being tried at an address.
            models.Index(
                fields=["endpoint", "busy_until"],
                condition=Q(busy_until__isnull=False),
                name="delivery_busy",
            ),
        ]

    def __str__(self) -> str:
        return self.message_id


class WebhookAttempt(models.Model):
    """The outcome of one POST, without its body and without the answer."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    at = models.DateTimeField(auto_now_add=True)
    status = models.PositiveSmallIntegerField(null=True)  # None: no answer
    error = models.CharField(max_length=200, blank=True)
    duration_ms = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.status or self.error}"
