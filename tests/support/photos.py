"""Photos of real people: those that installed packages carry, and ../shared/faces if present."""

import importlib.util
import struct
import zlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from recognition.inference.arrays import Image

SHARED = Path(__file__).parents[3] / "shared" / "faces"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"there is no {SHARED}")


def package_file(package: str, path: str) -> Path:
    """A file of an installed package, which is not imported: its dependencies are missing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"{package} is not installed: see requirements/photos.txt")
    return Path(spec.submodule_search_locations[0]) / path


@cache
def _load(package: str, path: str) -> Image:
    image = cv2.imread(str(package_file(package, path)), cv2.IMREAD_COLOR)
    assert image is not None
    image.flags.writeable = False  # shared by all tests
    return image


def astronaut() -> Image:
    """Eileen Collins, 512 x 512."""
    return _load("skimage", "data/astronaut.png")


def tom_hanks() -> Image:
    """112 x 112, filled by the face."""
    return _load("insightface", "data/images/Tom_Hanks_54745.png")


def six_people() -> Image:
    """Six people, 1280 x 886."""
    return _load("insightface", "data/images/t1.jpg")


def coffee() -> Image:
    """A cup and nobody."""
    return _load("skimage", "data/coffee.png")


def encode(image: Image, suffix: str = ".png", *parameters: int) -> bytes:
    done, data = cv2.imencode(suffix, image, parameters)
    assert done
    return data.tobytes()


def jpeg(image: Image, quality: int = 90) -> bytes:
    return encode(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)


def resized(image: Image, scale: float) -> Image:
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=way).astype(np.uint8)


def black_png(width: int, height: int) -> bytes:
    """A valid PNG of a few bytes, however many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    packer = zlib.compressobj(9)
    row = bytes(1 + width // 8)
    rows = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
