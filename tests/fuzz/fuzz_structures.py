"""Pictures whose parts were changed as parts: segments, chunks, scans, sizes, lengths.

Each is made from its number alone, so that one that was found can be made again.
"""

import random
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from tests.fuzz.fuzz_pictures import EDGES, cut, edge, flip, good_pictures, move
from tests.fuzz.hard_pictures import PNG_START, png_chunk
from tests.fuzz.webp_bits import predicted, with_groups
from tests.support.photos import black_png, encode

SIDES = [1, 24, 100, 1000, 5000, 6324, 8000, 16_383, 65_535]
COUNTS = [1, 2, 3, 10, 60, 99, 300]
# One picture of so many is made from one of 40 megapixels.
LARGE_SHARE = 50


class Made(NamedTuple):
    kind: str
    data: bytes


@cache
def large_pictures() -> dict[str, bytes]:
    """40 megapixels each, most of them of one colour."""
    image = np.full((5000, 8000, 3), 77, np.uint8)
    image[:300] = np.random.default_rng(1).integers(0, 255, (300, 8000, 3))
    return {
        "jpeg": encode(image, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "png": black_png(8000, 5000),
        "webp": encode(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, 80),
        "bmp": encode(np.full((1500, 2200, 3), 9, np.uint8), ".bmp"),
    }


@cache
def small_pictures(kind: str) -> list[bytes]:
    starts = {"jpeg": b"\xff\xd8", "png": PNG_START, "webp": b"RIFF", "bmp": b"BM"}
    return [data for data in good_pictures() if data.startswith(starts[kind])]


def make(seed: int, number: int) -> Made:
    chance = random.Random(f"structures {seed} {number}")
    kind = chance.choice(["jpeg", "jpeg", "png", "png", "webp", "bmp"])
    is_large = not chance.randrange(LARGE_SHARE)
    data = large_pictures()[kind] if is_large else chance.choice(small_pictures(kind))
    for _ in range(chance.choice([1, 1, 2, 3, 5])):
        data = _CHANGES[kind](chance, data)
    if chance.random() < 0.15:
        data = chance.choice([flip, edge, cut, move])(chance, data)
    return Made(f"{'large ' if is_large else ''}{kind}", data[: 10 * 1024**2])


def _parts_changed(chance: random.Random, parts: list[bytes]) -> list[bytes]:
    """One part is dropped, or comes often, or stands somewhere else."""
    at, to = chance.randrange(len(parts)), chance.randrange(len(parts) + 1)
    part, rest = parts[at], parts[:at] + parts[at + 1 :]
    count = min(chance.choice(COUNTS), 8_000_000 // (len(part) + 1) + 1)
    ways = [rest, parts[:at] + [part] * count + parts[at + 1 :], [*rest[:to], part, *rest[to:]]]
    return chance.choice(ways)


# --- JPEG -----------------------------------------------------------------------------------------


def _jpeg(chance: random.Random, data: bytes) -> bytes:
    """Segments, each with the pixels behind it."""
    starts = [found.start() for found in re.finditer(rb"\xff[\xc0-\xcf\xd8-\xfe]", data)]
    ends = [*starts[1:], len(data)]
    parts = [data[start:end] for start, end in zip(starts, ends, strict=True)]
    if len(parts) < 3:
        return flip(chance, data)
    way = chance.randrange(6)
    if way < 2:
        return b"".join(_parts_changed(chance, parts))
    if way == 2:
        return b"".join(_scan_repeated(chance, parts))
    at = chance.randrange(1, len(parts))
    part = bytearray(parts[at])
    if way == 3 and len(part) > 4:  # its length
        part[2:4] = struct.pack(">H", chance.choice(EDGES) & 0xFFFF)
    elif way == 4:  # its kind
        part[1] = chance.choice([0, 1, 0x40, *range(0xC0, 0x100)])
    else:
        part = bytearray(_header_changed(chance, bytes(part)))
    return b"".join([*parts[:at], bytes(part), *parts[at + 1 :]])


def _scan_repeated(chance: random.Random, parts: list[bytes]) -> list[bytes]:
    scans = [at for at, part in enumerate(parts) if part[1] == 0xDA]
    if not scans:
        return parts
    at = chance.choice(scans)
    count = min(chance.choice(COUNTS), 8_000_000 // len(parts[at]) + 1)
    scan = parts[at] if chance.random() < 0.6 else parts[at][: chance.randrange(8, 40)]
    return [*parts[: at + 1], *[scan] * count, *parts[at + 1 :]]


def _header_changed(chance: random.Random, part: bytes) -> bytes:
    """A frame of another size or sampling, a scan of other coefficients, another restart."""
    changed = bytearray(part)
    if len(part) > 9 and part[1] in (0xC0, 0xC1, 0xC2):
        if chance.random() < 0.5:
            changed[5:9] = struct.pack(">HH", chance.choice(SIDES), chance.choice(SIDES))
        else:
            changed[11 % len(part)] = chance.choice([0x11, 0x22, 0x41, 0x14, 0x44, 0x12])
    elif len(part) > 14 and part[1] == 0xDA:
        changed[chance.randrange(4, 14)] = chance.choice([0, 1, 2, 3, 5, 0x10, 0x21, 63])
    elif len(part) > 5:
        changed[chance.randrange(4, len(part))] = chance.randrange(256)
    return bytes(changed)


# --- PNG ------------------------------------------------------------------------------------------


def _png(chance: random.Random, data: bytes) -> bytes:
    chunks, at = [], 8
    while at + 8 <= len(data) and len(chunks) < 2000:
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append(data[at : at + length + 12])
        at += length + 12
    if len(chunks) < 2:
        return flip(chance, data)
    way = chance.randrange(6)
    if way == 0:
        chunks = _parts_changed(chance, chunks)
    elif way == 1:
        chunks.insert(chance.randrange(len(chunks)), _odd_chunk(chance))
    elif way == 2:
        chunks[0] = _other_header(chance, chunks[0])
    elif way == 3:
        chunks = [_repacked(chance, each) if each[4:8] == b"IDAT" else each for each in chunks]
    elif way == 4:  # a length
        at = chance.randrange(len(chunks))
        chunks[at] = struct.pack(">I", chance.choice(EDGES)) + chunks[at][4:]
    else:  # the contents of one, with the right sum
        at = chance.randrange(len(chunks))
        chunks[at] = png_chunk(chunks[at][4:8], flip(chance, chunks[at][8:-4]))
    return PNG_START + b"".join(chunks)


def _odd_chunk(chance: random.Random) -> bytes:
    packed = zlib.compress(bytes(chance.choice([10, 10_000, 7_900_000])), 9)
    ways = [
        png_chunk(b"zTXt", b"a\0\0" + packed),
        png_chunk(b"iCCP", b"a\0\0" + packed),
        png_chunk(b"iTXt", b"a\0\1\0\0\0" + packed),
        png_chunk(b"tRNS", chance.randbytes(chance.choice([1, 2, 6, 256]))),
        png_chunk(b"PLTE", chance.randbytes(3 * chance.choice([1, 256]))),
        png_chunk(b"acTL", struct.pack(">II", chance.choice(EDGES), 0)),
        png_chunk(b"eXIf", b"MM\0*" + chance.randbytes(40)),
        png_chunk(b"IDAT", chance.randbytes(50)),
    ]
    return chance.choice(ways) * min(chance.choice(COUNTS), 200)


def _other_header(chance: random.Random, chunk: bytes) -> bytes:
    if len(chunk) < 25:
        return chunk
    fields = list(struct.unpack_from(">IIBBBBB", chunk, 8))
    choices = [SIDES, SIDES, [1, 2, 4, 8, 16], [0, 2, 3, 4, 6], [0], [0], [0, 1]]
    which = chance.randrange(7)
    fields[which] = chance.choice(choices[which])
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))


def _repacked(chance: random.Random, chunk: bytes) -> bytes:
    """The rows with more behind them, or fewer."""
    try:
        rows = zlib.decompressobj().decompress(chunk[8:-4], 10**6)
    except zlib.error:
        return chunk
    more = bytes(chance.choice([1, 1000, 10**6, 10**7, 10**8]))
    return png_chunk(b"IDAT", zlib.compress(chance.choice([rows[:-100], rows + more]), 9))


# --- WebP and BMP ---------------------------------------------------------------------------------


def _webp(chance: random.Random, data: bytes) -> bytes:
    if chance.random() < 0.1:
        sides = [min(chance.choice(SIDES), 6324) for _ in range(2)]
        ways = [
            lambda: predicted(*sides, mode=chance.randrange(14)),
            lambda: with_groups(min(sides[0], 2000), min(sides[1], 2000), chance.choice([1, 900])),
        ]
        return chance.choice(ways)()
    parts, at = [], 12
    while at + 8 <= len(data) and len(parts) < 500:
        (length,) = struct.unpack_from("<I", data, at + 4)
        parts.append(bytearray(data[at : at + 8 + length + length % 2]))
        at += 8 + length + length % 2
    if not parts:
        return flip(chance, data)
    part = chance.choice(parts)
    way = chance.randrange(4)
    if way == 0:
        parts = [bytearray(each) for each in _parts_changed(chance, [bytes(p) for p in parts])]
    elif way == 1:  # in what the decoder reads first
        at = chance.randrange(8, min(len(part), 60)) if len(part) > 8 else 0
        part[at] = chance.randrange(256)
    elif way == 2:
        part[4:8] = struct.pack("<I", chance.choice([len(part), *EDGES]))
    else:
        side = struct.pack("<I", chance.choice(SIDES) - 1)[:3]
        flags = bytes([chance.choice([0, 2, 8, 16, 0x18]), 0, 0, 0])
        parts.insert(0, bytearray(b"VP8X" + struct.pack("<I", 10) + flags + side + side))
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _bmp(chance: random.Random, data: bytes) -> bytes:
    """A field of the header: offset, size, depth, packing, colours."""
    changed = bytearray(data)
    at, form, values = chance.choice(
        [
            (10, "<I", [0, 54, 1078, *EDGES]),
            (14, "<I", [12, 40, 56, 108, 124, *EDGES]),
            (18, "<I", [*SIDES, *EDGES]),
            (22, "<I", [*SIDES, *EDGES, 2**32 - 500]),
            (28, "<H", [1, 4, 8, 16, 24, 32]),
            (30, "<I", [0, 1, 2, 3, 4, 5, 6]),
            (46, "<I", [0, 1, 256, *EDGES]),
        ]
    )
    if len(changed) > at + 4:
        struct.pack_into(
            form, changed, at, chance.choice(values) & (256 ** struct.calcsize(form) - 1)
        )
    return bytes(changed)


_CHANGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "bmp": _bmp,
}
