"""Encryption at rest, with the keys of FACESVC_CROP_KEYS.

The first byte of what is sealed says how: by AES-256-GCM under a key of its own. That key is
derived (HKDF-SHA256) from the newest key and a random salt, so that no number of pictures wears out
a nonce.
"""

import base64
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from recognition.inference.arrays import Image
from recognition.inference.images import as_jpeg

_GCM = b"\x81"
_SALT = 32  # bytes
# A key encrypts one message only.
_NONCE = bytes(12)


class UnreadableError(Exception):
    """No key of FACESVC_CROP_KEYS opens it, or what it opens is not the picture that is wanted."""


def seal(data: bytes) -> bytes:
    """Encrypt with the newest key. Raises ImproperlyConfigured without a key."""
    salt = os.urandom(_SALT)
    return _GCM + salt + _cipher(_keys()[0], salt).encrypt(_NONCE, data, _GCM)


def unseal(sealed: bytes) -> bytes:
    """Decrypt with any key. Raises UnreadableError, and ImproperlyConfigured without a key."""
    kind, salt, content = sealed[:1], sealed[1 : 1 + _SALT], memoryview(sealed)[1 + _SALT :]
    for key in _keys():
        with suppress(InvalidTag):
            return _cipher(key, salt).decrypt(_NONCE, content, kind)
    raise UnreadableError("no key in FACESVC_CROP_KEYS opens this")


def seal_picture(picture: Image) -> bytes:
    """The picture as an encrypted JPEG. Raises ImproperlyConfigured without a key."""
    return seal(as_jpeg(picture))


def unseal_picture(sealed: bytes) -> Image:
    """The picture that was sealed. Raises UnreadableError."""
    image = cv2.imdecode(np.frombuffer(unseal(sealed), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UnreadableError("what was kept is no picture")
    return image.astype(np.uint8, copy=False)


def can_open(sealed: bytes) -> bool:
    with suppress(UnreadableError, ImproperlyConfigured):
        unseal(sealed)
        return True
    return False


def _cipher(key: str, salt: bytes) -> AESGCM:
    derived = HKDF(SHA256(), length=32, salt=salt, info=b"facesvc sealing 1")
    return AESGCM(derived.derive(base64.urlsafe_b64decode(key)))


def is_possible() -> bool:
    return bool(settings.FACESVC_CROP_KEYS)


def rotate(of: type[Model]) -> Iterator[bool]:
    """Encrypt each row with the newest key. Yields whether it was possible, row by row."""
    rows: Any = of._default_manager
    # No cursor: without a transaction the server would first copy all rows to its disk.
    for pk in list(rows.order_by("pk").values_list("pk", flat=True)):
        sealed = rows.filter(pk=pk).values_list("sealed", flat=True).first()
        if sealed is None:
            continue  # it has been deleted
        try:
            data = unseal(bytes(sealed))
        except UnreadableError:
            yield False
            continue
        rows.filter(pk=pk).update(sealed=seal(data))
        yield True


def _keys() -> list[str]:
    """The newest first."""
    if not settings.FACESVC_CROP_KEYS:
        raise ImproperlyConfigured("A key is needed: set FACESVC_CROP_KEYS.")
    keys: list[str] = settings.FACESVC_CROP_KEYS
    return keys
