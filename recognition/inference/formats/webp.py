"""WebP: reads the size from the first chunk. Decoders take the first frame of an animation."""

import struct

from recognition.inference.formats.header import Header, invalid, truncated

# Flags of the extended format and of the lossless one.
_HAS_ALPHA, _ALPHA_IS_USED = 0x10, 1 << 28
# The most chunks: a picture has two or three, and an animation one for each frame.
_MAX_CHUNKS = 1000


def read(data: bytes) -> Header:
    """Raises ImageError, struct.error, IndexError."""
    if len(data) < _end(data):
        raise truncated()
    kind, has_alpha = data[12:16], False
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        has_alpha = bool(data[20] & _HAS_ALPHA)
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        has_alpha = bool(bits & _ALPHA_IS_USED)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise invalid("The WebP has no picture.")
    return Header("webp", width, height, has_alpha)


def for_decoder(data: bytes) -> memoryview:
    """The picture without any bytes after its end."""
    return memoryview(data)[: _end(data)]


def exif(data: bytes) -> bytes:
    """The EXIF data, or nothing. Raises struct.error."""
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > _end(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return b""


def _end(data: bytes) -> int:
    (size,) = struct.unpack_from("<I", data, 4)
    return int(size) + 8
