"""Users, their faces, the templates of those, and the log of who did what.

What a search reads is in recognition.search_models, the social graph in recognition.social,
sessions in recognition.session_models, the counts of each day in recognition.count_models, who may
be one person in recognition.duplicates.

A face and its template are two rows: a template never changes, so that changing a face's settings
does not touch the vector index (pgvector inserts a vector anew when any column of its row changes).
"""

import secrets
import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Upper
from pgvector.django import HalfVectorField

from recognition.count_models import CountedKind as CountedKind
from recognition.count_models import DailyCount as DailyCount
from recognition.duplicates import DuplicateSearch as DuplicateSearch
from recognition.duplicates import MergedUser as MergedUser
from recognition.duplicates import PossibleDuplicate as PossibleDuplicate
from recognition.search_models import GalleryCount as GalleryCount
from recognition.search_models import Listing as Listing
from recognition.search_models import PublicSketch as PublicSketch
from recognition.search_models import Sketch as Sketch
from recognition.search_models import SketchCentre as SketchCentre
from recognition.session_models import Attempt as Attempt
from recognition.session_models import FailureCount as FailureCount
from recognition.session_models import RecentProbe as RecentProbe
from recognition.session_models import Session as Session
from recognition.social import Friendship as Friendship
from recognition.social import Group as Group
from recognition.social import Membership as Membership


def new_face_id() -> str:
    return f"face_{secrets.token_hex(6)}"


class PrivacyLevel(models.TextChoices):
    PUBLIC = "public"
    FRIENDS = "friends"
    PRIVATE = "private"


class Taggable(models.TextChoices):
    EVERYONE = "everyone"
    FRIENDS_ONLY = "friends_only"
    NOBODY = "nobody"


class User(models.Model):
    """A person of the app, under the app's id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    display_name = models.CharField(max_length=200, blank=True)
    profile_image = models.CharField(max_length=2000, blank=True)
    privacy_level = models.CharField(
        max_length=10, choices=PrivacyLevel, default=PrivacyLevel.FRIENDS
    )
    suspended_at = models.DateTimeField(null=True, blank=True)  # hidden, but kept
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name, verbose_name_plural = "person", "people"
        # What operators may do beside looking: see recognition.admin_kit.
        permissions = [
            ("view_pictures", "Can see pictures of faces and find people by a photo"),
            ("moderate_user", "Can suspend, unlock, move, merge and decide duplicates"),
            ("erase_user", "Can erase people"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(privacy_level__in=PrivacyLevel.values),
                name="user_privacy_level_known",
            )
        ]
        indexes = [
            # Consumer: the moderators' list of people, newest first.
            models.Index(fields=["-created_at", "-id"], name="user_newest"),
            # Consumer: the same list of those who are suspended.
            models.Index(
                fields=["-created_at", "-id"],
                name="user_suspended",
                condition=models.Q(suspended_at__isnull=False),
            ),
            # Consumer: the moderators' search for any part of a name.
            GinIndex(
                OpClass(Upper("display_name"), name="gin_trgm_ops"), name="user_by_part_of_name"
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or str(self.id)


class Face(models.Model):
    """One enrolled picture of a user's face, without the picture."""

    face_id = models.CharField(max_length=17, unique=True, default=new_face_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="faces")
    face_group = models.CharField(max_length=64, default="primary")
    quality_score = models.FloatField()
    quality_components = models.JSONField()
    attributes = models.JSONField()
    metadata = models.JSONField(default=dict, blank=True)
    searchable = models.BooleanField(default=True)
    taggable = models.CharField(max_length=12, choices=Taggable, default=Taggable.EVERYONE)
    suspended_at = models.DateTimeField(null=True, blank=True)
    embedding_version = models.CharField(max_length=40)
    model_version = models.CharField(max_length=40)
    verification_count = models.PositiveIntegerField(default=0)
    last_verified_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(taggable__in=Taggable.values), name="face_taggable_known"
            )
        ]
        indexes = [
            # Consumer: the moderators' list of suspended faces, newest first.
            models.Index(
                fields=["-id"],
                name="face_suspended",
                condition=models.Q(suspended_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.face_id


class FaceCrop(models.Model):
    """A small encrypted picture of a face, from which another model can make its template."""

    face = models.OneToOneField(Face, on_delete=models.CASCADE, related_name="crop")
    sealed = models.BinaryField()  # see recognition.crops
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"crop of {self.face}"


class ActiveModel(models.Model):
    """The one row that says which model pack serves, and which key protects its templates."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    pack = models.CharField(max_length=40)
    template_key = models.CharField(max_length=8, blank=True)  # see recognition.protection
    activated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "active model"
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="activemodel_has_one_row")
        ]

    def __str__(self) -> str:
        return self.pack


class Template(models.Model):
    """The embedding of a face by one model. Rows are never updated, only added and deleted.

    `embedding_version` says what may be compared with what: that of the pack and, behind a plus
    sign, the key that protects the template.
    """

    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="templates")
    # The face's user once more, so that one person's templates are found without a join.
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="templates")
    embedding_version = models.CharField(max_length=60)
    model_version = models.CharField(max_length=40)
    embedding = HalfVectorField(dimensions=512)  # unit length, zero-padded
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        # The vector indexes, one for each version, are made by recognition.indexes.
        constraints = [
            # Also for the faces that lack a template of some version.
            models.UniqueConstraint(
                fields=["face", "embedding_version"], name="template_once_per_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.face} {self.embedding_version}"


class AuditEvent(models.Model):
    """Who did what to whom; holds no biometric data. Written by recognition.audit.

    Append-only: triggers refuse changes and deletions, but for the purge of what is old and for
    `details`, `face_id` and `other_user_id` about somebody who was erased (recognition.erasure).
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


class RateWindow(models.Model):
    """Requests of one token in the current minute and hour; see facesvc.throttling."""

    key = models.CharField(max_length=64, primary_key=True)
    minute_start = models.DateTimeField()
    minute_count = models.PositiveIntegerField()
    hour_start = models.DateTimeField()
    hour_count = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.key


class IdempotencyKey(models.Model):
    """The first answer to a request, for those who ask again; see recognition.idempotency."""

    subject = models.CharField(max_length=100)  # of the token
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # of the request: never its pictures
    status = models.PositiveSmallIntegerField()
    answer = models.TextField()  # JSON; jsonb would put its names in another order
    # Whom the answer names: it is dropped with each of them.
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
