"""Stored pictures of faces: aligned, with some surroundings, encrypted at rest.

They are what a later model makes its templates from. The surroundings let its detector find the
face again, since every recogniser wants its landmarks elsewhere.
"""

import base64
from collections.abc import Iterator

import cv2
import numpy as np
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from recognition.inference.arrays import Image
from recognition.models import FaceCrop

# The difference to a lossless picture is below that of two crops of one photo, at a fifth of the
# size.
_JPEG_QUALITY = 95


class UnreadableCropError(Exception):
    """No key of FACESVC_CROP_KEYS opens the crop."""


def seal(crop: Image) -> bytes:
    """An encrypted JPEG. Raises ImproperlyConfigured without a key."""
    done, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ValueError("the crop cannot be encoded")
    return base64.urlsafe_b64decode(_cipher().encrypt(data.tobytes()))


def unseal(sealed: bytes) -> Image:
    """Raises UnreadableCropError."""
    try:
        data = _cipher().decrypt(base64.urlsafe_b64encode(sealed))
    except InvalidToken:
        raise UnreadableCropError("no key in FACESVC_CROP_KEYS opens this crop") from None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UnreadableCropError("the crop is no picture")
    return image.astype(np.uint8, copy=False)


def rotate_keys() -> Iterator[bool]:
    """Encrypt every crop with the newest key; yields whether it could be, crop by crop."""
    cipher = _cipher()
    for crop in FaceCrop.objects.only("sealed").order_by("pk").iterator(chunk_size=100):
        try:
            token = cipher.rotate(base64.urlsafe_b64encode(bytes(crop.sealed)))
        except InvalidToken:
            yield False
            continue
        FaceCrop.objects.filter(pk=crop.pk).update(sealed=base64.urlsafe_b64decode(token))
        yield True


def _cipher() -> MultiFernet:
    if not settings.FACESVC_CROP_KEYS:
        raise ImproperlyConfigured("Crops need a key: set FACESVC_CROP_KEYS.")
    return MultiFernet([Fernet(key) for key in settings.FACESVC_CROP_KEYS])
