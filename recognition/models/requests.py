"""What is counted and kept of requests."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class RateWindow(models.Model):
    """What is counted under a key in the current minute and hour; see recognition.rate_windows."""

    key = models.CharField(max_length=64, primary_key=True)
    minute_start = models.DateTimeField()
    minute_count = models.PositiveIntegerField()
    hour_start = models.DateTimeField()
    hour_count = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.key


class IdempotencyKey(models.Model):
    """The first answer to a request, for those who ask again; see recognition.api.idempotency."""

    subject = models.CharField(max_length=100)  # of the token
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # of the request: never its pictures
    status = models.PositiveSmallIntegerField()
    answer = models.TextField()  # JSON; jsonb would put its names in another order
    # The users in the answer, which is dropped with each of them.
    user_ids = ArrayField(models.UUIDField(), default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Consumer also: the lookup of a repeated request.
            models.UniqueConstraint(fields=["subject", "key"], name="idempotency_key_once")
        ]
        indexes = [
            # Consumer: purge.
            models.Index(fields=["created_at"], name="idempotency_age"),
            # Consumer: the erasure of a user.
            GinIndex(fields=["user_ids"], name="idempotency_names_user"),
        ]

    def __str__(self) -> str:
        return self.key
