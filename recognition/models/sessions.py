"""Verification sessions, the attempts made in them or without one, and counts of failures.

No picture is kept: of a picture only keyed hashes, see
recognition.verification.matching, and for a day the template of its face, see
recognition.verification.recent_probes.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import CASCADE, SET_NULL, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from pgvector.django import HalfVectorField

from recognition.models.people import Face, User


class Purpose(models.TextChoices):
    LOGIN = "login"  # ends with its first success
    VIDEO_CALL = "video_call"
    OTHER = "other"


class State(models.TextChoices):
    VERIFYING = "verifying"
    VERIFIED = "verified"
    LOST = "lost"
    MISMATCH = "mismatch"
    ENDED = "ended"


EXPIRED = "expired"  # never stored: it comes by itself
SHOWN_STATES = (*State.values, EXPIRED)


class Session(models.Model):
    """One occasion on which a user is verified: a login, or a call with its rolling state."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=CASCADE, related_name="verification_sessions")
    purpose = models.CharField(max_length=10, choices=Purpose)
    level = models.CharField(max_length=8)
    state = models.CharField(max_length=9, choices=State, default=State.VERIFYING)
    client = models.CharField(max_length=110)  # who opened it: Caller.name
    device = models.CharField(max_length=32, blank=True)  # keyed hash: lockout.device_key
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)  # the last time that it became so
    risk = models.JSONField(default=dict)  # of the last attempt or frame

    # For live sessions; see recognition.verification.live.
    window = models.JSONField(default=list)  # the last frames that counted, oldest first
    frames = models.PositiveIntegerField(default=0)
    last_frame_at = models.DateTimeField(null=True)
    last_sequence = models.BigIntegerField(null=True)
    last_captured_at = models.DateTimeField(null=True)
    next_frame_at = models.DateTimeField(null=True)  # when the one after next may come
    # Outcomes of the last anti-spoofing and deepfake check of a frame that showed the user.
    checks = models.JSONField(default=dict)
    checked_at = models.DateTimeField(null=True)  # None: the next face is checked
    # When the face of a verified user last differed from before; see
    # recognition.verification.live.
    moved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(purpose__in=Purpose.values), name="session_purpose_known"
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="session_state_known"),
        ]
        indexes = [
            # Consumer: purge.
            models.Index(fields=["expires_at"], name="session_expiry")
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_single_use(self) -> bool:
        return self.purpose == Purpose.LOGIN

    @property
    def is_open(self) -> bool:
        return self.ended_at is None and timezone.now() < self.expires_at

    @property
    def has_gap(self) -> bool:
        """Whether the last frame is too old to say anything about now."""
        gap = timedelta(seconds=settings.FACESVC_LIVE_GAP_SECONDS)
        return self.last_frame_at is not None and self.last_frame_at + gap < timezone.now()

    @property
    def shown_state(self) -> str:
        if self.ended_at is not None:
            return self.state
        if not self.is_open:
            return EXPIRED
        if self.has_gap and self.state in (State.VERIFIED, State.MISMATCH):
            return State.LOST
        return self.state

    @property
    def newest_attempts(self) -> "models.QuerySet[Attempt]":
        return self.attempts.order_by("-pk")[:20]

    def precedes_last(self, sequence: int | None, captured_at: datetime | None) -> bool:
        """Whether a frame is not newer than one that has been counted."""
        return (
            sequence is not None
            and self.last_sequence is not None
            and sequence <= self.last_sequence
        ) or (
            captured_at is not None
            and self.last_captured_at is not None
            and captured_at <= self.last_captured_at
        )


class Attempt(models.Model):
    """One verification, or a change of a live session to verified or mismatch."""

    session = models.ForeignKey(Session, on_delete=CASCADE, null=True, related_name="attempts")
    user = models.ForeignKey(User, on_delete=CASCADE, related_name="attempts", db_index=False)
    # The one that matched; the link goes with the face.
    face = models.ForeignKey(Face, on_delete=SET_NULL, null=True)
    source = models.CharField(max_length=110)  # who asked: Caller.name
    device = models.CharField(max_length=32, blank=True)  # keyed hash: lockout.device_key
    at = models.DateTimeField(auto_now_add=True)
    result = models.CharField(max_length=20)
    is_failure = models.BooleanField(default=False)  # for what the caller did
    confidence = models.FloatField(null=True)
    risk_level = models.CharField(max_length=6)
    factors = models.JSONField(default=list)
    antispoofing = models.JSONField(default=dict)
    deepfake = models.JSONField(default=dict)
    picture_hash = models.CharField(max_length=64)
    pixels_hash = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            # Consumers: replayed pictures and known devices of a user, the erasure of the user.
            models.Index(fields=["user", "at"], name="attempt_of_user"),
            # Consumer: how many users were tried from one device.
            models.Index(fields=["device", "at"], name="attempt_from_device"),
            # Consumer: how the newest attempts of one client went.
            models.Index(fields=["source", "at"], name="attempt_by_client"),
            # Consumer: purge.
            models.Index(fields=["at"], name="attempt_age"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.source} {self.result}"

    @property
    def risk(self) -> dict[str, object]:
        return {"risk_level": self.risk_level, "factors": self.factors}


class RecentProbe(models.Model):
    """The face of a picture that was used for a user, as templates are stored, for a day.

    What is like it is the same picture once more. With a `session`: a frame of a call that counted
    as a match, which others are compared with to see whether the face moves.
    """

    user = models.ForeignKey(User, on_delete=CASCADE, related_name="recent_probes", db_index=False)
    session = models.ForeignKey(Session, on_delete=CASCADE, null=True, related_name="counted_faces")
    at = models.DateTimeField()
    embedding_version = models.CharField(max_length=60)
    embedding = HalfVectorField(dimensions=512)

    class Meta:
        indexes = [
            # Consumers: replayed pictures of a user, the erasure of the user.
            models.Index(fields=["user", "at"], name="recentprobe_of_user"),
            # Consumer: purge.
            models.Index(fields=["at"], name="recentprobe_age"),
        ]

    def __str__(self) -> str:
        return f"a picture of {self.user_id}, {self.at:%Y-%m-%d %H:%M}"


class FailureCount(models.Model):
    """Consecutive failures for one user from one kind of source; see
    recognition.verification.lockout.
    """

    user = models.ForeignKey(User, on_delete=CASCADE, related_name="failure_counts", db_index=False)
    source = models.CharField(max_length=320)
    failures = models.PositiveIntegerField()
    parts = models.PositiveSmallIntegerField(default=0)  # of the next one, by frames of calls
    blocked_until = models.DateTimeField(null=True)
    locked_at = models.DateTimeField(null=True)  # until a moderator unlocks
    last_failure_at = models.DateTimeField()

    class Meta:
        constraints = [
            # Consumers: the upsert of a failure, the gate before an attempt, the erasure of users.
            models.UniqueConstraint(fields=["user", "source"], name="failurecount_once")
        ]
        indexes = [
            # Consumer: the moderators' list of people who are locked, newest first.
            models.Index(
                fields=["-id"],
                name="failurecount_locked",
                condition=Q(locked_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        said = _("{failures} for {user} from {source}")
        return said.format(failures=self.failures, user=self.user_id, source=self.shown_source)

    @property
    def shown_source(self) -> str:
        """In words, with enough of a device's hash to tell it from others."""
        name, __, device = self.source.partition("/")
        known = {"own": _("the person's own token"), "others": _("all other sources together")}
        if device:
            return _("{name}, device {device}").format(name=name, device=device[:8])
        return known.get(name, name)
