"""The callbacks that report the end of jobs."""

import secrets

from django.db import models
from django.db.models import Q

from batch.models.jobs import Job


def new_message_id() -> str:
    return f"msg_{secrets.token_hex(16)}"


def without_query(url: str) -> str:
    """The address as operators see it: the query of some apps holds a secret."""
    return url.partition("?")[0]


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
