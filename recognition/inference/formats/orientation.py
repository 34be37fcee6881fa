"""How a picture has to be turned to be upright, as the camera wrote it into the EXIF data.

OpenCV does this by itself, but not where it keeps the transparency.
"""

from __future__ import annotations

import struct

import numpy as np

from recognition.inference.arrays import Image

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112
_MAX_ENTRIES = 100


def orientation(exif: bytes) -> int:
    """From 1 (upright) to 8; 1 where nothing sound is said."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = _ORDERS.get(exif[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(min(count, _MAX_ENTRIES)):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, at + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass  # the rest is missing, and nothing that is there says how to turn the picture
    return 1


def upright(image: Image, value: int) -> Image:
    """The picture turned, and mirrored, as an orientation from 1 to 8 asks."""
    if value >= 5:
        image = image.transpose(1, 0, 2)
    if value in (2, 3, 6, 7):
        image = image[:, ::-1]
    if value in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
