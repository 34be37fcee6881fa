"""The keys that services sign their requests with."""

import secrets

from django.contrib.postgres.fields import ArrayField
from django.db import models

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def new_access_key_id() -> str:
    """As those of AWS look: 80 random bits."""
    return "AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16))


class AccessKey(models.Model):
    """A key of a service, with which it acts in a collection.

    A signature is checked with the secret itself, so the secret is stored, encrypted. All else of a
    signature is public.
    """

    access_key_id = models.CharField(
        max_length=20, unique=True, default=new_access_key_id, editable=False
    )
    sealed = models.BinaryField()  # the secret, see recognition.privacy.sealing
    service = models.CharField(max_length=100)  # named in the audit log
    # The number of a collection, which no other one ever gets; 1 is `default`.
    collection = models.PositiveBigIntegerField(default=1)
    scopes = ArrayField(models.CharField(max_length=40))
    calls_per_minute = models.PositiveIntegerField(null=True)  # in place of the settings' limits
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)  # to the minute

    def __str__(self) -> str:
        return self.access_key_id
