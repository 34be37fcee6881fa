"""WebP: reads the size from the first chunk. Decoders take the first frame of an animation."""

import struct

from recognition.inference.formats.header import Header, invalid, truncated

# Flags of the extended format and of the lossless one.
_HAS_ALPHA, _ALPHA_IS_USED = 0x10, 1 << 28


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


def _end(data: bytes) -> int:
    (size,) = struct.unpack_from("<I", data, 4)
    return int(size) + 8
