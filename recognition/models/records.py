"""What is noted of requests: the audit log, counts, and first answers."""

from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models


class AuditEvent(models.Model):
    """Who did what, and to which user; holds no biometric data. Written by recognition.audit.

    Append-only: triggers refuse changes and deletions, but for the purge of what is old and for
    `details`, `face_id` and `other_user_id` about somebody who was erased
    (recognition.privacy.erasure).
    """

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=110)  # see recognition.audit
    action = models.CharField(max_length=40)
    # No foreign keys: the log outlives what it speaks of.
    user_id = models.UUIDField(null=True)
    other_user_id = models.UUIDField(null=True)  # the second one of a merge or a move
    viewer_id = models.UUIDField(null=True)  # on whose behalf
    face_id = models.CharField(max_length=17, blank=True)
    request_id = models.CharField(max_length=128, blank=True, db_default="")
    details = models.JSONField(default=dict)

    class Meta:
        verbose_name, verbose_name_plural = "event", "audit log"
        indexes = [
            # Consumers: the history of one person, GET /audit?user_id=.
            models.Index(fields=["user_id", "id"], name="audit_of_user"),
            # Consumers: the same, and the erasure of the second one.
            models.Index(
                fields=["other_user_id", "id"],
                condition=models.Q(other_user_id__isnull=False),
                name="audit_of_other_user",
            ),
            # Consumer: GET /audit?action=.
            models.Index(fields=["action", "id"], name="audit_of_action"),
            # Consumer: purge.
            models.Index(fields=["at"], name="audit_age"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action}"

    @property
    def people(self) -> set[UUID]:
        """The keys of all people in the event, with the actor and a friend in the details."""
        named = [self.user_id, self.other_user_id, self.viewer_id]
        friend, (kind, _, name) = self.details.get("friend_id"), self.actor.partition(":")
        named += [UUID(each) for each in (friend, name if kind == "user" else None) if each]
        return {each for each in named if each}


class CountedKind(models.TextChoices):
    ENROLMENT = "enrolment"
    VERIFICATION = "verification"  # labels: its results
    SEARCH = "search"  # labels: found, not_found, no_face
    REFUSAL = "refusal"  # labels: the codes of errors


class DailyCount(models.Model):
    """How often something happened on a day (UTC); see recognition.daily_counts."""

    day = models.DateField()
    kind = models.CharField(max_length=12, choices=CountedKind)
    label = models.CharField(max_length=40, blank=True)
    count = models.BigIntegerField()

    class Meta:
        constraints = [
            # Consumers: the addition of new counts, the first page of the admin.
            models.UniqueConstraint(fields=["day", "kind", "label"], name="dailycount_once")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.label}: {self.count}"


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
