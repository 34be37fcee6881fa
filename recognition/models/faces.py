"""Faces, their templates, and the model that these were made by.

A face and its template are two rows: a template never changes, so that changing a face's settings
does not touch the vector index (pgvector inserts a vector again
when any column of its row changes).
"""

import secrets

from django.db import models
from pgvector.django import HalfVectorField

from recognition.models.people import User


def new_face_id() -> str:
    return f"face_{secrets.token_hex(6)}"


class Taggable(models.TextChoices):
    EVERYONE = "everyone"
    FRIENDS_ONLY = "friends_only"
    NOBODY = "nobody"


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
    sealed = models.BinaryField()  # see recognition.privacy.crops
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"crop of {self.face}"


class ActiveModel(models.Model):
    """The one row that says which model pack serves, and which key protects its templates."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    pack = models.CharField(max_length=40)
    template_key = models.CharField(max_length=8, blank=True)  # see recognition.packs.protection
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
        # The vector indexes, one for each version, are made by recognition.gallery.indexes.
        constraints = [
            # Consumer too: the faces that lack a template of some version.
            models.UniqueConstraint(
                fields=["face", "embedding_version"], name="template_once_per_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.face} {self.embedding_version}"
