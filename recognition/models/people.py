"""The people that faces belong to."""

import uuid

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Upper


class PrivacyLevel(models.TextChoices):
    PUBLIC = "public"
    FRIENDS = "friends"
    PRIVATE = "private"


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
