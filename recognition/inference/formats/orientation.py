"""Turns a picture upright as its EXIF data say.

OpenCV does this by itself, except where it keeps the transparency.
"""

import struct

import numpy as np

from recognition.inference.arrays import Image

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112
_MAX_ENTRIES = 100


def orientation(exif: bytes) -> int:
    """The EXIF orientation, from 1 (upright) to 8; 1 where the data are missing or wrong."""
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
        pass  # the data are cut off before any orientation
    return 1


def upright(image: Image, value: int) -> Image:
    """The picture turned and mirrored for an orientation from 1 to 8."""
    if value >= 5:
        image = image.transpose(1, 0, 2)
    if value in (2, 3, 6, 7):
        image = image[:, ::-1]
    if value in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
