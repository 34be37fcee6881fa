"""The tables that say which collections there are, and which services have keys to them."""

import secrets
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from recognition.collections.current import Entered

NAME = r"[a-zA-Z0-9_.\-]{1,255}"
_SALT_BYTES = 32
# Upper-case letters and digits that nobody takes for others, as in base32.
_ACCESS_KEY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def new_salt() -> bytes:
    return secrets.token_bytes(_SALT_BYTES)


def new_key_id() -> str:
    return secrets.token_hex(8)


def new_access_key_id() -> str:
    """20 characters, as AWS has it. Theirs begin with AKIA, so programs can tell ours from them."""
    return "FKIA" + "".join(secrets.choice(_ACCESS_KEY_LETTERS) for _ in range(16))


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


class ServiceKey(models.Model):
    """What opens a collection for a service. recognition.api.callers makes keys and reads them."""

    SECRET: ClassVar[str]  # the field with what is stored of the secret

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="+")
    service = models.CharField(max_length=100)  # its name in the audit log
    scopes = ArrayField(models.CharField(max_length=40))
    calls_per_minute = models.PositiveIntegerField(null=True)  # in place of the settings' limits
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=255, editable=False)  # an actor of the audit log
    # None: it is valid until it is revoked. The key that replaced another says which.
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)  # to the minute

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.pk} of {self.service}"


class ApiKey(ServiceKey):
    """A bearer key. Who steals this table cannot call with what is in it."""

    SECRET = "hash"

    id = models.CharField(max_length=16, primary_key=True, default=new_key_id, editable=False)
    # SHA-256 of the whole key. Nobody can guess its 256 random bits, so no slow hash is needed,
    # which would cost each request as much as a password does.
    hash = models.BinaryField(editable=False)

    class Meta:
        verbose_name = "API key"


class AccessKey(ServiceKey):
    """A pair of keys as AWS has them. Its secret signs requests, so we need it, and seal it."""

    SECRET = "sealed"

    id = models.CharField(
        max_length=20, primary_key=True, default=new_access_key_id, editable=False
    )
    sealed = models.BinaryField(editable=False)  # see recognition.privacy.sealing


class OperatorOf(models.Model):
    """Binds an operator of the admin pages to a collection; several rows bind to several.

    The row outlives the collection: an operator whose last collection was erased sees nothing,
    and not suddenly `default`.
    """

    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="bound_to", editable=False
    )
    collection = models.ForeignKey(
        Collection, models.SET_NULL, null=True, verbose_name="collection"
    )

    class Meta:
        verbose_name = "collection of an operator"
        verbose_name_plural = "collections of an operator"
        permissions = [("see_all_collections", "Can see all collections and the installation")]
        constraints = [
            models.UniqueConstraint(fields=["operator", "collection"], name="operator_of_once")
        ]

    def __str__(self) -> str:
        return str(self.collection or "–")
