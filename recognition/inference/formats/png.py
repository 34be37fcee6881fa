"""PNG: walks over the chunks, and checks the size that the pixels inflate to.

A few bytes can inflate to a thousand times as many, and decoders inflate everything: rows after the
last one, texts, colour profiles. So the decoder gets only the chunks that make the picture, and
only if they hold as much as the picture needs.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

from recognition.inference.formats.header import Header, invalid, truncated

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Writers cut the pixels into chunks of 8 KB or more; libpng prints a warning for each odd one.
_MAX_CHUNKS = 5000
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND")
# Samples of a pixel by colour type: grey, colours, palette, grey and alpha, colours and alpha.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# For each of the seven passes (Adam7): first column, first row, column step, row step.
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
_PASSES += [(0, 1, 1, 2)]
# Bytes after the last row that are allowed.
_SLACK = 64 * 1024
# Bytes that are inflated at once, and bytes of the result that are kept at a time.
_STEP, _PIECE = 64 * 1024, 1024 * 1024


def read(data: bytes) -> Header:
    """Walks the chunks up to the end, since decoders fill a missing rest with black."""
    width, height, depth, colours = struct.unpack_from(">IIBB", data, 16)
    if data[12:16] != b"IHDR" or colours not in _SAMPLES:
        raise invalid("The PNG has no header.")
    kinds = [kind for kind, _ in _chunks(data)]
    if kinds.count(b"IHDR") > 1:
        raise invalid("The PNG has two headers.")
    has_alpha = colours >= 4 or b"tRNS" in kinds
    return Header("png", width, height, has_alpha, weight=2 if depth > 8 else 1)


def for_decoder(data: bytes) -> bytes:
    """The chunks that make the picture. Raises ImageError when they hold less or more than it."""
    kept = [(kind, chunk) for kind, chunk in _chunks(data) if kind in _KEPT]
    pixels = (chunk[8:-4] for kind, chunk in kept if kind == b"IDAT")
    _require(pixels, bytes_of_rows(data))
    return SIGNATURE + b"".join(chunk for _, chunk in kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yields kind and bytes of each chunk up to the last. Raises ImageError, struct.error."""
    view, at = memoryview(data), len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, view[at : at + length + 12]
        if kind == b"IEND":
            return
        at += length + 12
    raise invalid("The PNG has too many chunks.")


def bytes_of_rows(data: bytes) -> int:
    """The number of bytes of all rows, including the filter byte before each."""
    width, height, depth, colours, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    passes = _PASSES if interlaced else [(0, 0, 1, 1)]
    total = 0
    for column, row, across, down in passes:
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * depth * _SAMPLES[colours] // 8))
    return total


def _require(pixels: Iterable[memoryview], needed: int) -> None:
    """Raises ImageError unless the pixels inflate to `size` bytes, or hardly more."""
    unpacker, done = zlib.decompressobj(), 0
    for piece in _cut(pixels):
        rest: bytes | memoryview = piece
        while rest and not unpacker.eof:
            try:
                done += len(unpacker.decompress(rest, _PIECE))
            except zlib.error:
                if done >= needed:
                    return  # a wrong checksum after the last row
                raise invalid("The PNG's pixels cannot be unpacked.") from None
            rest = unpacker.unconsumed_tail
            if done > needed + _SLACK:
                raise invalid("The PNG has more data after its pixels.")
    if done < needed:
        raise truncated()


def _cut(pixels: Iterable[memoryview]) -> Iterator[memoryview]:
    """Yields pieces of limited size: zlib copies what it does not unpack at once."""
    for chunk in pixels:
        for at in range(0, len(chunk), _STEP):
            yield chunk[at : at + _STEP]
