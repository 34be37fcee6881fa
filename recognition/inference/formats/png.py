"""PNG: the walk over its chunks, and the size of what its pixels inflate to.

A few bytes inflate to a thousand times as many, and decoders inflate whatever is there: rows behind
the last one, texts, colour profiles. So the decoder gets only the chunks that make the picture, and
only if they hold as much as the picture needs.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from recognition.inference.formats.header import Header, invalid, truncated

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Writers cut the pixels into chunks of 8 KB or more; libpng complains of every odd one.
_MAX_CHUNKS = 5000
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND")
# Samples of a pixel by colour type: grey, colours, palette, grey and alpha, colours and alpha.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# First column, first row, step of columns, step of rows of the seven passes (Adam7).
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
_PASSES += [(0, 1, 1, 2)]
# Bytes behind the last row that are forgiven.
_SLACK = 64 * 1024
# Bytes that are inflated at once, and that are kept of it at a time.
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


def exif(data: bytes) -> bytes:
    """What a camera said of the picture, if anything. Raises ImageError, struct.error."""
    return next((bytes(chunk[8:-4]) for kind, chunk in _chunks(data) if kind == b"eXIf"), b"")


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and whole chunk, up to the last one. Raises ImageError, struct.error."""
    view, at = memoryview(data), len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, view[at : at + length + 12]
        if kind == b"IEND":
            return
        at += length + 12
    raise invalid("The PNG has too many chunks.")


def bytes_of_rows(data: bytes) -> int:
    """How many bytes the rows have, with the byte before each that says how it is filtered."""
    width, height, depth, colours, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    passes = _PASSES if interlaced else [(0, 0, 1, 1)]
    total = 0
    for column, row, across, down in passes:
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * depth * _SAMPLES[colours] // 8))
    return total


def _require(pixels: Iterable[memoryview], needed: int) -> None:
    """Raises ImageError unless so many bytes come out, and hardly more."""
    unpacker, done = zlib.decompressobj(), 0
    for piece in _cut(pixels):
        rest: bytes | memoryview = piece
        while rest and not unpacker.eof:
            try:
                done += len(unpacker.decompress(rest, _PIECE))
            except zlib.error:
                if done >= needed:
                    return  # a wrong check sum, behind the last row
                raise invalid("The PNG's pixels cannot be unpacked.") from None
            rest = unpacker.unconsumed_tail
            if done > needed + _SLACK:
                raise invalid("The PNG has more behind its pixels.")
    if done < needed:
        raise truncated()


def _cut(pixels: Iterable[memoryview]) -> Iterator[memoryview]:
    """In pieces of some size: what is not unpacked at once is copied."""
    for chunk in pixels:
        for at in range(0, len(chunk), _STEP):
            yield chunk[at : at + _STEP]
