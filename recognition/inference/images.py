"""Bytes to an upright BGR array, with every limit checked before any pixel is decoded.

Formats: JPEG, PNG, WebP, BMP. The size is read from the header by `read_header`, so that a
picture that is small as a file and huge in memory is refused without being decoded.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from recognition.inference.arrays import Image

Format = Literal["jpeg", "png", "webp", "bmp"]

# Below this no detector finds anything, and degenerate pictures cost error handling everywhere.
MIN_SIDE = 24

# The next marker of a JPEG, which is none of stuffing (0), a restart (D0 to D7) or filling (FF).
_NEXT_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_END = b"\xd9"
_FRAMES = {bytes([n]) for n in range(0xC0, 0xD0) if n not in (0xC4, 0xC8, 0xCC)}
# Writers cut the pixels into chunks of 8 KB or more; libpng complains of every odd one.
_MAX_CHUNKS = 5000


class ImageError(ValueError):
    """The bytes are no acceptable picture; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Header:
    format: Format
    width: int
    height: int


def decode(data: bytes, *, max_bytes: int, max_pixels: int) -> Image:
    """The picture, upright by its EXIF orientation. Raises ImageError."""
    return _decode_pixels(data, check(data, max_bytes=max_bytes, max_pixels=max_pixels))


def check(data: bytes, *, max_bytes: int, max_pixels: int) -> Header:
    """What is known of a picture before any pixel is decoded. Raises ImageError."""
    if not data:
        raise ImageError("empty_image", "The picture is empty.")
    if len(data) > max_bytes:
        raise ImageError(
            "image_too_large", f"The picture has {len(data)} bytes; at most {max_bytes} are taken."
        )
    header = read_header(data)
    if header.width * header.height > max_pixels:
        raise ImageError(
            "too_many_pixels",
            f"The picture has {header.width} x {header.height} pixels; "
            f"at most {max_pixels / 1e6:g} megapixels are taken.",
        )
    if min(header.width, header.height) < MIN_SIDE:
        raise ImageError("image_too_small", f"The shorter side has less than {MIN_SIDE} pixels.")
    return header


def turned(image: Image, degrees: int) -> Image:
    """The picture turned clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(image, -(degrees // 90)))


def _decode_pixels(data: bytes, header: Header) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError("invalid_image", "The picture cannot be decoded.") from error
    if image is None:
        raise ImageError("invalid_image", "The picture cannot be decoded.")
    if sorted(image.shape[:2]) != sorted((header.height, header.width)):
        # The decoder and the header disagree, so the limits above were checked on a lie.
        raise ImageError("invalid_image", "The picture's header contradicts its contents.")
    return image.astype(np.uint8, copy=False)


def read_header(data: bytes) -> Header:
    """Format and size without decoding. Raises ImageError when it is none of the formats."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg_header(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png_header(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_header(data)
        if data.startswith(b"BM"):
            return _bmp_header(data)
    except (struct.error, IndexError) as error:
        raise _truncated() from error
    raise ImageError("unsupported_format", "The picture is not JPEG, PNG, WebP or BMP.")


def _truncated() -> ImageError:
    return ImageError("truncated_image", "The picture ends too early.")


def _jpeg_header(data: bytes) -> Header:
    """Walks the segments up to the end marker, since decoders fill a missing rest with grey.

    Only real segments are walked, so the end of a thumbnail inside one does not count.
    """
    at, size = 2, None
    while (marker := _NEXT_MARKER.search(data, at)) and marker[1] != _END:
        (length,) = struct.unpack_from(">H", data, marker.end())
        if marker[1] in _FRAMES:
            if size is not None:
                # Decoders take the first, so the limits would be checked on the wrong one.
                raise ImageError("invalid_image", "The JPEG has two frames.")
            height, width = struct.unpack_from(">HH", data, marker.end() + 3)
            size = (width, height)
        at = marker.end() + length
    if marker is None:
        raise _truncated()
    if size is None:
        raise ImageError("invalid_image", "The JPEG has no frame.")
    return Header("jpeg", *size)


def _png_header(data: bytes) -> Header:
    """Walks the chunks up to the end, since decoders fill a missing rest with black."""
    width, height = struct.unpack_from(">II", data, 16)
    if data[12:16] != b"IHDR":
        raise ImageError("invalid_image", "The PNG has no header.")
    at = 8
    for _ in range(_MAX_CHUNKS):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IEND":
            return Header("png", width, height)
        at += length + 12
    raise ImageError("invalid_image", "The PNG has too many chunks.")


def _webp_header(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    if len(data) < size + 8:
        raise _truncated()
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ImageError("invalid_image", "The WebP has no picture.")
    return Header("webp", width, height)


def _bmp_header(data: bytes) -> Header:
    width, height = struct.unpack_from("<ii", data, 18)
    return Header("bmp", abs(width), abs(height))
