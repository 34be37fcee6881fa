"""Which face of a picture was meant, where the other service says where it was."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from facesvc.client.answers import Box

# Two detectors draw the box of a face differently. Boxes of two faces hardly overlap.
_LEAST_OVERLAP = 0.3
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_ON_ITS_SIDE = {5, 6, 7, 8}
# SOF0 to SOF15, which have the size, but for DHT, JPG and DAC.
_SIZES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EXIF = 0xE1


@dataclass(frozen=True)
class Place:
    """A box in shares of the width and the height of the upright picture."""

    left: float
    top: float
    width: float
    height: float


def index_at(place: Place, boxes: Sequence[Box], picture: bytes) -> int | None:
    """The index of the box, in pixels, at this place; None if there is none, or the size of the
    picture is not known."""
    size = upright_size(picture)
    if size is None:
        return None
    overlaps = [_overlap(place, box, size) for box in boxes]
    best = max(range(len(boxes)), key=overlaps.__getitem__, default=None)
    return best if best is not None and overlaps[best] >= _LEAST_OVERLAP else None


def _overlap(place: Place, box: Box, size: tuple[int, int]) -> float:
    """The intersection of two boxes over their union."""
    width, height = size
    left, top = place.left * width, place.top * height
    right, bottom = left + place.width * width, top + place.height * height
    across = min(right, box["x"] + box["width"]) - max(left, box["x"])
    down = min(bottom, box["y"] + box["height"]) - max(top, box["y"])
    both = max(across, 0.0) * max(down, 0.0)
    union = (right - left) * (bottom - top) + box["width"] * box["height"] - both
    return both / union if union > 0 else 0.0


def upright_size(picture: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG or PNG, turned as its EXIF orientation says; None of others."""
    try:
        if picture.startswith(_PNG):
            width, height = struct.unpack(">II", picture[16:24])
            return width, height
        return _size_of_jpeg(picture) if picture.startswith(b"\xff\xd8") else None
    except (struct.error, IndexError):  # it ends too early
        return None


def _size_of_jpeg(picture: bytes) -> tuple[int, int] | None:
    at, orientation = 2, 1
    while picture[at] == 0xFF:
        marker = picture[at + 1]
        if marker == 0xFF:  # a byte that fills
            at += 1
            continue
        (length,) = struct.unpack(">H", picture[at + 2 : at + 4])
        if marker in _SIZES:
            height, width = struct.unpack(">HH", picture[at + 5 : at + 9])
            return (height, width) if orientation in _ON_ITS_SIDE else (width, height)
        if marker == _EXIF and picture[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(picture[at + 10 : at + 2 + length])
        at += 2 + length
    return None


def _orientation(tiff: bytes) -> int:
    """1 to 8 of the first directory of EXIF; 1, which is upright, if it has none."""
    order = "<" if tiff[:2] == b"II" else ">"
    (start,) = struct.unpack(order + "I", tiff[4:8])
    (count,) = struct.unpack(order + "H", tiff[start : start + 2])
    for number in range(count):
        entry = start + 2 + 12 * number
        tag, _, _, value = struct.unpack(order + "HHIH", tiff[entry : entry + 10])
        if tag == _ORIENTATION:
            return int(value)
    return 1
