"""Pictures to which something happened: broken headers, EXIF that lies, bombs, noise."""

import random
import struct
from functools import cache

import cv2

from tests.support.photos import astronaut, black_png, encode, jpeg, resized, six_people, tom_hanks

# What programs forget to think of, at the places where a header has a size, an offset or a count.
EDGES = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


@cache
def good_pictures() -> list[bytes]:
    """In all the formats that are taken, and two that are not."""
    images = [resized(astronaut(), 0.25), tom_hanks(), resized(six_people(), 0.2)]
    ways = [
        (".jpg", ()),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".jpg", (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)),
        (".png", ()),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 80)),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),  # lossless
        (".bmp", ()),
        (".gif", ()),
        (".tiff", ()),
    ]
    pictures = [encode(image, suffix, *how) for image in images for suffix, how in ways]
    grey = cv2.cvtColor(images[0], cv2.COLOR_BGR2GRAY)
    deep = cv2.convertScaleAbs(grey).astype("uint16") * 257
    return [*pictures, jpeg(grey), encode(grey), encode(deep)]  # type: ignore[arg-type]


def picture(chance: random.Random) -> bytes:
    """A good picture to which something happened, once or several times."""
    data = chance.choice(good_pictures())
    for _ in range(chance.choice([0, 1, 1, 1, 2, 4])):
        data = chance.choice(_MUTATIONS)(chance, data)
    return data


def flip(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(chance.randint(1, 16)):
        changed[_place(chance, len(changed))] = chance.randrange(256)
    return bytes(changed)


def _place(chance: random.Random, length: int) -> int:
    """More often in the header than anywhere else."""
    return chance.randrange(chance.choice([min(length, 40), min(length, 700), length]))


def edge(chance: random.Random, data: bytes) -> bytes:
    at = _place(chance, len(data) or 1)
    form = chance.choice(["<I", ">I", "<H", ">H", "B"])
    value = struct.pack(form, chance.choice(EDGES) & (256 ** struct.calcsize(form) - 1))
    return data[:at] + value + data[at + len(value) :]


def cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def move(chance: random.Random, data: bytes) -> bytes:
    """A piece is dropped, doubled, or stands somewhere else."""
    a, b, c = sorted(chance.randrange(len(data) + 1) for _ in range(3))
    ways = [data[:a] + data[b:], data[:b] + data[a:b] + data[b:]]
    return chance.choice([*ways, data[:a] + data[b:c] + data[a:b] + data[c:]])


def _splice(chance: random.Random, data: bytes) -> bytes:
    other = chance.choice(good_pictures())
    return data[: _place(chance, len(data) or 1)] + other[_place(chance, len(other)) :]


def _noise(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.choice([0, 2, 4, 12, 30])] + chance.randbytes(chance.randrange(3000))


def _exif(chance: random.Random, data: bytes) -> bytes:
    """A JPEG whose EXIF lies: of counts, offsets, directories that lead back to themselves."""
    order = chance.choice("<>")
    entries = []
    for _ in range(chance.randrange(6)):
        tag = chance.choice([0x0112, 0x0112, 0x8769, 0x8825, 0x0201, chance.randrange(65536)])
        kind, count = chance.randrange(14), chance.choice(EDGES)
        value = chance.choice([*range(10), 8, *EDGES])
        entries.append(struct.pack(order + "HHII", tag, kind, count, value))
    count = chance.choice([len(entries), *EDGES]) & 0xFFFF
    directory = struct.pack(order + "H", count) + b"".join(entries)
    directory += struct.pack(order + "I", chance.choice([0, 8, *EDGES]))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    segment = b"Exif\0\0" + head + directory + bytes(chance.choice([0, 0, 60_000]))
    marker = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    many = chance.choice([1, 1, 1, 20, 300]) if len(segment) < 1000 else 1
    return b"\xff\xd8" + marker * many + jpeg(tom_hanks())[2:]


def _bomb(chance: random.Random, data: bytes) -> bytes:
    """Small as a file, large as a picture, or said to be."""
    side = chance.choice([300, 1000, 2000, 6300, 7000, 65_500])
    if side < 3000 or chance.random() < 0.1:
        return black_png(side, chance.choice([100, 1000]))
    size = struct.pack(">II", side, chance.choice([side, *EDGES]) & 0xFFFFFFFF)
    return encode(tom_hanks())[:16] + size + encode(tom_hanks())[24:]


_MUTATIONS = [flip, flip, edge, edge, cut, move, _splice, _noise, _exif, _bomb]
