"""People, their faces, the templates of these, and the model that made them.

A face and its template are two rows. A template never changes, so a change of a face's settings
does not touch the vector index: pgvector inserts a vector again when any column of its row changes.
"""

import secrets
import time
import uuid
from functools import lru_cache

from django.contrib.postgres.indexes import GinIndex, HashIndex, OpClass
from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Upper
from django.db.models.lookups import Exact, IsNull, Regex
from pgvector.django import HalfVectorField

from recognition.models import user_ids
from recognition.models.user_ids import UserId


class PrivacyLevel(models.TextChoices):
    PUBLIC = "public"
    FRIENDS = "friends"
    PRIVATE = "private"


# An enrolment knows no name, and so writes nothing into the index of names.
_HAS_NAME = ~models.Q(display_name="")
_KEY_OF_TEXT = Regex(Cast("id", models.TextField()), "^.{14}8.{4}[89ab]")


class User(models.Model):
    """A person of the app, under the app's id: see recognition.models.user_ids."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The app's id where the key does not say it. No other row has it.
    given_id = models.CharField(max_length=user_ids.MAX_LENGTH, null=True, editable=False)  # noqa: DJ001
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
        # What operators may do beside looking: see recognition.admin.kit.
        permissions = [
            ("view_pictures", "Can see pictures of faces and find people by a photo"),
            ("moderate_user", "Can suspend, unlock, move, merge and decide duplicates"),
            ("erase_user", "Can erase people"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(privacy_level__in=PrivacyLevel.values),
                name="user_privacy_level_known",
            ),
            # A user whose id nobody knows any more could not be shown.
            models.CheckConstraint(
                condition=Exact(_KEY_OF_TEXT, IsNull(models.F("given_id"), False)),
                name="user_has_its_id",
            ),
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
            # Consumer: the search for any part of a name, User.named.
            GinIndex(
                OpClass(Upper("display_name"), name="gin_trgm_ops"),
                condition=_HAS_NAME,
                name="user_by_part_of_name",
            ),
            # Consumer: the moderators' search for any part of an id.
            GinIndex(
                OpClass(Upper("given_id"), name="gin_trgm_ops"),
                name="user_by_part_of_given_id",
                condition=models.Q(given_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.app_id

    @classmethod
    def new(cls, user_id: UserId) -> "User":
        return cls(pk=user_id, given_id=user_id.given)

    @staticmethod
    def named(part: str) -> models.Q:
        """Those whose name has this part, in upper or lower case."""
        return _HAS_NAME & models.Q(display_name__icontains=part)

    @property
    def app_id(self) -> str:
        """The id as the app writes it."""
        return self.given_id or str(self.id)

    @property
    def is_nameless(self) -> bool:
        """Whether this user stands for one face that nobody has given to a person."""
        return bool(self.given_id) and str(self.given_id).startswith(user_ids.NAMELESS)

    @property
    def user_id(self) -> UserId:
        return UserId.of_row(self.pk, self.given_id)


def by_user(name: str) -> HashIndex:
    """Ids of users are random, so each enrolment changes another page of the index. After a
    checkpoint the whole page goes into the log: it has four bytes of each id, and most is empty.
    """
    return HashIndex(fields=["user"], name=name, fillfactor=15)


# For so many seconds the face ids of a process begin with the same digits.
_SECONDS_ALIKE = 300


def new_face_id() -> str:
    """A random id. Those of some minutes are neighbours in the index of face ids: after a
    checkpoint each of its pages goes into the log as a whole when it is first changed.
    """
    return f"face_{_beginning(time.monotonic() // _SECONDS_ALIKE)}{secrets.token_hex(4)}"


@lru_cache(1)
def _beginning(of_time: float) -> str:
    return secrets.token_hex(2)


class Taggable(models.TextChoices):
    EVERYONE = "everyone"
    FRIENDS_ONLY = "friends_only"
    NOBODY = "nobody"


class Face(models.Model):
    """One enrolled picture of a user's face, without the picture."""

    face_id = models.CharField(max_length=17, default=new_face_id, editable=False)
    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        db_index=False,  # face_of_user
        related_name="faces",
    )
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
            # For LIKE as well, with which the admin looks for the beginning of a face id:
            # `unique=True` would make an index of its own for that.
            models.UniqueConstraint(
                fields=["face_id"], name="face_id_once", opclasses=["varchar_pattern_ops"]
            ),
            models.CheckConstraint(
                condition=models.Q(taggable__in=Taggable.values), name="face_taggable_known"
            ),
        ]
        indexes = [
            # Consumer: the moderators' list of suspended faces, newest first.
            models.Index(
                fields=["-id"],
                name="face_suspended",
                condition=models.Q(suspended_at__isnull=False),
            ),
            # Consumers: the filters of GET /faces.
            models.Index(fields=["face_group", "-id"], name="face_by_group"),
            models.Index(
                KeyTextTransform("source", "metadata"),
                models.F("id").desc(),
                name="face_by_source",
                condition=models.Q(metadata__has_key="source"),
            ),
            models.Index(fields=["created_at"], name="face_by_age"),
            # Consumers: the faces of one user, the foreign key.
            by_user("face_of_user"),
        ]

    def __str__(self) -> str:
        return self.face_id


class FaceCrop(models.Model):
    """A small encrypted picture of a face, from which another model can make its template.

    The face is aligned, and some surroundings let the detector of another pack find it again, since
    every recogniser wants its landmarks elsewhere.
    """

    face = models.OneToOneField(Face, on_delete=models.CASCADE, related_name="crop")
    sealed = models.BinaryField()  # see recognition.privacy.sealing
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"crop of {self.face}"


class ActiveModel(models.Model):
    """The one row that says which model pack serves, and which key protects its templates.

    `measurement` is the one of the pack that is in use: each request reads this row, and so all
    processes change over at once.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    pack = models.CharField(max_length=40)
    template_key = models.CharField(max_length=8, blank=True)  # see recognition.packs.protection
    # Why a new database began with this pack: see recognition.packs.first_pack. Empty later.
    reason = models.TextField(blank=True, db_default="")
    measurement = models.ForeignKey(
        "recognition.Measurement", on_delete=models.SET_NULL, related_name="+", null=True
    )
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

    face = models.ForeignKey(
        Face,
        on_delete=models.CASCADE,
        db_index=False,  # the first of template_once_per_version
        related_name="templates",
    )
    # The face's user once more, so that one person's templates are found without a join.
    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        db_index=False,  # template_of_user
        related_name="templates",
    )
    embedding_version = models.CharField(max_length=60)
    model_version = models.CharField(max_length=40)
    embedding = HalfVectorField(dimensions=512)  # unit length, zero-padded
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        # The vector indexes, one for each version, are made by recognition.gallery.indexes.
        constraints = [
            # Consumer too: the faces that lack a template of some version.
            models.UniqueConstraint(
                fields=["face", "embedding_version"], name="template_once_per_version"
            )
        ]
        indexes = [
            # Consumers: the search among friends, plans.OWNERS; the foreign key.
            by_user("template_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.face} {self.embedding_version}"
