"""BMP: reads the size, and checks that all pixels are there."""

import struct

from recognition.inference.formats.header import Header, truncated

# Values of `compression` for uncompressed pixels, with or without colour masks.
_PLAIN = (0, 3)


def read(data: bytes) -> Header:
    """Raises struct.error."""
    width, height = struct.unpack_from("<ii", data, 18)
    return Header("bmp", abs(width), abs(height))


def for_decoder(data: bytes) -> bytes:
    """The picture, if it is complete. Raises ImageError, struct.error."""
    (start,) = struct.unpack_from("<I", data, 10)
    width, height, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
    row = (abs(width) * depth + 31) // 32 * 4
    if compression in _PLAIN and start + row * abs(height) > len(data):
        raise truncated()
    return data
