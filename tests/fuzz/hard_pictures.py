"""Pictures that cost far more than their bytes let one expect: within the limits, and beyond them.

`python -m tests.fuzz.hard_pictures` decodes each in a process of its own, and prints what that
took.
"""

import multiprocessing
import re
import resource
import struct
import time
import zlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from recognition.inference.formats.png import bytes_of_rows
from recognition.inference.images import ImageError, decode
from tests.fuzz.webp_bits import predicted, with_groups
from tests.support.photos import encode, jpeg

MB = 1024**2
# The most that is taken: 40 megapixels, 10 MB.
WIDTH, HEIGHT, MOST_BYTES = 8000, 5000, 10 * MB
PNG_START = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(*parts: bytes) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(part) for part in parts) + packer.flush()


def png(width: int, height: int, *chunks: bytes, kind: tuple[int, int, int] = (8, 2, 0)) -> bytes:
    """`kind`: bits of a sample, type of the colours, whether it is interlaced."""
    depth, colours, interlaced = kind
    size = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced)
    parts = (png_chunk(b"IHDR", size), *chunks, png_chunk(b"IEND", b""))
    return PNG_START + b"".join(parts)


# --- what did damage ------------------------------------------------------------------------------


def filling(count: int = 250_000) -> bytes:
    """A search for the next marker tried each of these as the beginning of a run of them."""
    return b"\xff\xd8" + b"\xff" * count + b"\0"


def empty_segments(count: int = 2_500_000) -> bytes:
    return b"\xff\xd8" + b"\xff\xe0\0\2" * count


def every_marker(length: int = 2 * MB) -> Iterator[tuple[int, bytes]]:
    for kind in range(256):
        yield kind, (b"\xff\xd8" + bytes([0xFF, kind]) * (length // 2))[:length]


def more_scans(count: int, width: int, height: int, *, which: int, noise: float = 0) -> bytes:
    """A progressive JPEG with one of its scans, by its number, so many times more.

    The last ones are 88 bytes long in a picture of one colour, and cost a step for each
    coefficient; the first has a bit for each block.
    """
    image = np.full((height, width, 3), 77, np.uint8)
    rows = int(height * noise)
    image[:rows] = np.random.default_rng(1).integers(0, 255, (rows, width, 3))
    sampling = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    data = encode(image, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1, *sampling)
    scans = [found.start() for found in re.finditer(rb"\xff\xda\0[\x08\x0c]", data)]
    start = scans[which]
    end = re.compile(rb"\xff[\xc4\xda\xd9]").search(data, start + 2)
    assert end is not None
    if data.rfind(b"\xff\xc4", 0, start) > (scans[which - 1] if which else 0):
        start = data.rfind(b"\xff\xc4", 0, start)  # with its table
    return data[: end.start()] + data[start : end.start()] * count + data[end.start() :]


def zeros_behind(megabytes: int = 300) -> bytes:
    """A PNG of 64 x 64 whose pixels go on."""
    rows = (b"\0" + bytes(64 * 3)) * 64
    return png(64, 64, png_chunk(b"IDAT", packed(rows, *[bytes(MB)] * megabytes)))


def packed_texts(count: int = 1000) -> bytes:
    """A PNG with so many texts of 7.9 MB each, and a picture of 64 x 64."""
    text = png_chunk(b"zTXt", b"a\0\0" + packed(bytes(7_900_000)))
    return png(64, 64, *[text] * count, png_chunk(b"IDAT", packed((b"\0" + bytes(192)) * 64)))


# --- the worst that is taken ----------------------------------------------------------------------


def deep_png() -> bytes:
    """16 bits, transparency, interlaced: eight bytes a pixel."""
    kind = (16, 6, 1)
    total = bytes_of_rows(png(WIDTH, HEIGHT // 2, kind=kind))
    body = packed(*[bytes(MB)] * (total // MB), bytes(total % MB))
    return png(WIDTH, HEIGHT // 2, png_chunk(b"IDAT", body), kind=kind)


def noisy_png() -> bytes:
    """As much noise as fits, which packs worst, then one colour."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:400] = np.random.default_rng(1).integers(0, 255, (400, WIDTH, 3))
    return encode(image)


def noisy_jpeg(*ways: int) -> bytes:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:1200] = np.random.default_rng(1).integers(0, 255, (1200, WIDTH, 3))
    return encode(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 90, *ways)


def noisy_webp() -> bytes:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:1500] = np.random.default_rng(1).integers(0, 255, (1500, WIDTH, 3))
    return encode(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, 90)


def packed_bmp() -> bytes:
    """Runs of 255 pixels, two bytes each."""
    row = bytes([255, 1]) * (WIDTH // 255) + bytes([WIDTH % 255, 2]) + b"\0\0"
    pixels = row * HEIGHT + b"\0\1"
    start = 14 + 40 + 1024
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    head += struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    return head + bytes(range(256)) * 4 + pixels


WORST: dict[str, Callable[[], bytes]] = {
    "JPEG, one colour": lambda: jpeg(np.full((HEIGHT, WIDTH, 3), 77, np.uint8)),
    "JPEG, noise": noisy_jpeg,
    "JPEG, noise, a restart at each block": lambda: noisy_jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    "JPEG, noise, progressive": lambda: noisy_jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "JPEG, 5 first scans more": lambda: more_scans(5, WIDTH, HEIGHT, which=0),
    "JPEG, 5 first scans more, noise": lambda: more_scans(5, WIDTH, HEIGHT, which=0, noise=0.08),
    "JPEG, 5 last scans more, noise": lambda: more_scans(5, WIDTH, HEIGHT, which=-1, noise=0.08),
    "JPEG, 100 scans of 6 megapixels": lambda: more_scans(90, 3000, 2000, which=0),
    "PNG, noise": noisy_png,
    "PNG, 16 bits, alpha, interlaced": deep_png,
    "WebP, noise": noisy_webp,
    "WebP, lossless, predicted": lambda: predicted(WIDTH, HEIGHT),
    "WebP, lossless, 65,536 codes": lambda: with_groups(WIDTH, HEIGHT, 65_536),
    "BMP, packed": packed_bmp,
}


def _measure(name: str) -> str:
    data = WORST[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    try:
        outcome = "x".join(
            map(str, decode(data, max_bytes=MOST_BYTES, max_pixels=40_000_000).shape)
        )
    except ImageError as error:
        outcome = error.code
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return f"{name:40} {len(data) / 1e6:6.2f} MB {seconds:6.2f} s  +{grown:4.0f} MB  {outcome}"


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for line in pool.imap(_measure, WORST, chunksize=1):
            print(line, flush=True)
