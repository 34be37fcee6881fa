"""Encryption at rest, with the Fernet keys of FACESVC_CROP_KEYS."""

import base64
from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

# What `manage.py rotate_keys` encrypts anew: rows with a column `sealed`. Apps add their own.
SEALED_MODELS: list[type[Model]] = []


class UnreadableError(Exception):
    """No key of FACESVC_CROP_KEYS opens it."""


def seal(data: bytes) -> bytes:
    """Raises ImproperlyConfigured without a key."""
    return base64.urlsafe_b64decode(_cipher().encrypt(data))


def unseal(sealed: bytes) -> bytes:
    """Raises UnreadableError."""
    try:
        return _cipher().decrypt(base64.urlsafe_b64encode(sealed))
    except InvalidToken:
        raise UnreadableError("no key in FACESVC_CROP_KEYS opens this") from None


def can_open(sealed: bytes) -> bool:
    if not is_possible():
        return False
    try:
        unseal(sealed)
    except UnreadableError:
        return False
    return True


def is_possible() -> bool:
    return bool(settings.FACESVC_CROP_KEYS)


def rotate(of: type[Model]) -> Iterator[bool]:
    """Encrypt every row with the newest key; yields whether it could be, row by row."""
    cipher = _cipher()
    rows: Any = of._default_manager
    for row in rows.only("sealed").order_by("pk").iterator(chunk_size=10):
        try:
            token = cipher.rotate(base64.urlsafe_b64encode(bytes(row.sealed)))
        except InvalidToken:
            yield False
            continue
        rows.filter(pk=row.pk).update(sealed=base64.urlsafe_b64decode(token))
        yield True


def _cipher() -> MultiFernet:
    if not settings.FACESVC_CROP_KEYS:
        raise ImproperlyConfigured("A key is needed: set FACESVC_CROP_KEYS.")
    return MultiFernet([Fernet(key) for key in settings.FACESVC_CROP_KEYS])
