"""The tables that say which collections there are."""

import secrets

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from recognition.collections.current import Entered

NAME = r"[a-zA-Z0-9_.\-]{1,255}"
_SALT_BYTES = 32


def new_salt() -> bytes:
    return secrets.token_bytes(_SALT_BYTES)


class Collection(models.Model):
    """A gallery of its own. The first row is `default`, which always exists."""

    name = models.CharField(max_length=255, validators=[RegexValidator(rf"\A{NAME}\Z")])
    # Goes into the key of its templates and into hashes: nothing in one collection can be linked
    # with what is in another one.
    salt = models.BinaryField(default=new_salt, editable=False)
    made_by = models.CharField(max_length=255, blank=True)
    # Settings that have a value of their own here, by their names.
    rules = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    # From then on no way leads into it, and its name is free.
    erasing_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(erasing_at=None),
                name="collection_name_once",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def entered(self) -> Entered:
        """For `current.entered`."""
        return Entered(self.pk, self.name, bytes(self.salt), self.rules)
