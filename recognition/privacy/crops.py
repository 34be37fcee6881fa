"""Stored pictures of faces: aligned, with some surroundings, encrypted at rest.

They are what a later model makes its templates from. The surroundings let its detector find the
face again, since every recogniser wants its landmarks elsewhere.
"""

import cv2
import numpy as np

from recognition.inference.arrays import Image
from recognition.privacy import sealing

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
    return sealing.seal(data.tobytes())


def unseal(sealed: bytes) -> Image:
    """Raises UnreadableCropError."""
    try:
        data = sealing.unseal(sealed)
    except sealing.UnreadableError as error:
        raise UnreadableCropError(str(error)) from None
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UnreadableCropError("the crop is no picture")
    return image.astype(np.uint8, copy=False)
