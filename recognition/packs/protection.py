"""Template protection: a secret rotation of the space that embeddings live in.

A rotation keeps every cosine, but without the key a stolen table cannot be compared with another
system's table or with pictures. It is no encryption: an attacker with as many pairs of plain and
rotated embeddings as these have dimensions (128 to 512) can compute it.
"""

import base64
import binascii
import hashlib
from functools import cache, lru_cache

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from recognition.collections.current import here
from recognition.inference.arrays import Floats
from recognition.inference.pack.declaration import PackError
from recognition.inference.pipeline import TEMPLATE_DIMENSIONS

NO_KEY = ""
_KEY_BYTES = 32


def key_ids() -> list[str]:
    """The names of the keys in FACESVC_TEMPLATE_KEYS, the newest first."""
    return list(_keys(settings.FACESVC_TEMPLATE_KEYS))


def newest_key() -> str:
    """The key for new databases, or NO_KEY."""
    return next(iter(key_ids()), NO_KEY)


def require(key_id: str) -> None:
    """Raises PackError unless the key is set: without it nothing can be compared."""
    if key_id not in (NO_KEY, *key_ids()):
        raise PackError(
            f"the templates are protected by the key {key_id}, which FACESVC_TEMPLATE_KEYS lacks"
        )


def protect(vectors: Floats, key_id: str) -> Floats:
    """Turns plain vectors, (512,) or (N, 512), into what is stored under a key."""
    return vectors if key_id == NO_KEY else (vectors @ _here(key_id).T).astype(np.float32)


def reveal(vectors: Floats, key_id: str) -> Floats:
    """The inverse of protect."""
    return vectors if key_id == NO_KEY else (vectors @ _here(key_id)).astype(np.float32)


@cache
def _keys(configured: tuple[str, ...]) -> dict[str, bytes]:
    """The keys by id: the beginning of a hash, which reveals nothing about the key."""
    keys = {}
    for text in configured:
        try:
            key = base64.urlsafe_b64decode(text)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != _KEY_BYTES:
            raise ImproperlyConfigured(
                "A key in FACESVC_TEMPLATE_KEYS is not 32 bytes in URL-safe base64."
            )
        keys[hashlib.sha256(b"facesvc template key" + key).hexdigest()[:8]] = key
    return keys


def _here(key_id: str) -> Floats:
    """The rotation of the current collection. None of another one can be computed from it."""
    return _rotation(key_id, here().salt)


# A megabyte and 45 ms of CPU each: there are places for all collections of an installation, and
# those that are erased make room.
@lru_cache(256)
def _rotation(key_id: str, salt: bytes) -> Floats:
    """The (512, 512) rotation of a key: a uniformly random orthogonal matrix.

    Gaussian numbers from the ChaCha20 key stream, made orthogonal by QR with a positive diagonal,
    which is unique, so that every machine gets the same matrix to rounding.
    """
    require(key_id)
    keys = _keys(settings.FACESVC_TEMPLATE_KEYS)
    secret = HKDF(SHA256(), length=32, salt=None, info=b"facesvc rotation" + salt).derive(
        keys[key_id]
    )
    size = TEMPLATE_DIMENSIONS
    stream = Cipher(ChaCha20(secret, bytes(16)), mode=None).encryptor().update(bytes(16 * size**2))
    uniform = (np.frombuffer(stream, "<u8").reshape(2, size, size) + 0.5) / 2.0**64
    gaussian = np.sqrt(-2 * np.log(uniform[0])) * np.cos(2 * np.pi * uniform[1])  # Box-Muller
    q, r = np.linalg.qr(gaussian)
    rotation: Floats = (q * np.sign(np.diag(r))).astype(np.float32)
    return rotation
