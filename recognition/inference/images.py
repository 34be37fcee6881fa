"""From bytes to an upright BGR array; every limit is checked before any pixel is decoded.

Formats: JPEG, PNG, WebP, BMP. The size and the work that decoding takes are read from the file's
structure, so that a picture that is small as a file and huge in memory, or slow to decode, is
refused without being decoded: see recognition.inference.formats.
"""

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from recognition.inference.arrays import Image
from recognition.inference.formats import bmp, jpeg, png, webp
from recognition.inference.formats.header import Header as Header
from recognition.inference.formats.header import ImageError as ImageError
from recognition.inference.formats.header import invalid, named, refusal, truncated

# Requests have threads of their own, which those of OpenCV would only wait for.
cv2.setNumThreads(1)

# Pixels: no detector finds a face in a smaller picture, and later code need not handle tiny ones.
MIN_SIDE = 24

# The first bytes of each format.
_FORMATS = {b"\xff\xd8": jpeg, png.SIGNATURE: png, b"RIFF": webp, b"BM": bmp}
_MODULES = {"jpeg": jpeg, "png": png, "webp": webp, "bmp": bmp}
# How much a JPEG's decoder can shrink a picture: it computes so many pixels fewer of each 8 x 8.
_REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
# Rows that are blended with white at once, so that the memory does not grow with the picture.
_ROWS = 256
# The loss is below the noise of a picture that is three times as wide as its face, and below the
# difference of two crops of one photo, at a fifth of the size of a lossless picture.
_JPEG_QUALITY = 95
_TURNS = {
    0: None,
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112
_MAX_ENTRIES = 100


@dataclass(frozen=True)
class EncodedPicture:
    """A picture within all limits."""

    data: bytes
    header: Header

    def reduction(self, side: int) -> int:
        """The largest for which the longer side keeps `side` pixels."""
        longest = max(self.header.width, self.header.height)
        return next((each for each in _REDUCTIONS if longest >= side * each), 1)

    def decode(self, reduction: int = 1) -> Image:
        """The picture, turned upright by its EXIF orientation. Raises ImageError.

        `reduction` is 1, 2, 4 or 8: a pixel of the result stands for so many rows and columns. Most
        JPEGs then take a part of the time, since the decoder computes no more pixels. What cannot
        be decoded so is decoded once, whatever is asked for.
        """
        if self.header.is_scalable:
            return self._decoded(reduction)
        return _smaller(self._whole, reduction)

    @cached_property
    def _whole(self) -> Image:
        return self._decoded(1)

    @cached_property
    def _encoded(self) -> Image:
        return np.frombuffer(_MODULES[self.header.format].for_decoder(self.data), np.uint8)

    def _decoded(self, reduction: int) -> Image:
        header = self.header
        try:
            # OpenCV drops the transparency, or keeps it and ignores the orientation.
            image = (
                _without_transparency(self._encoded)
                if header.has_alpha
                else cv2.imdecode(self._encoded, _REDUCTIONS[reduction])
            )
        except struct.error as error:
            raise truncated() from error
        except cv2.error as error:
            raise invalid("The picture cannot be decoded.") from error
        if image is None:
            raise invalid("The picture cannot be decoded.") if header.has_end else truncated()
        sides = (-(-side // reduction) for side in (header.height, header.width))
        if sorted(image.shape[:2]) != sorted(sides):
            # The decoder and the header disagree, so the limits were checked on a false size.
            raise invalid("The picture's header contradicts its contents.")
        return image.astype(np.uint8, copy=False)


def decode(data: bytes, *, max_bytes: int, max_pixels: int) -> Image:
    """The picture in full, turned upright by its EXIF orientation. Raises ImageError."""
    return open_picture(data, max_bytes=max_bytes, max_pixels=max_pixels).decode()


def open_picture(data: bytes, *, max_bytes: int, max_pixels: int) -> EncodedPicture:
    """Decodes no pixel. Raises ImageError."""
    return EncodedPicture(data, check(data, max_bytes=max_bytes, max_pixels=max_pixels))


def check(data: bytes, *, max_bytes: int, max_pixels: int) -> Header:
    """The header of a picture within all limits; decodes no pixel. Raises ImageError."""
    if not data:
        raise ImageError("empty_image", "The picture is empty.")
    if len(data) > max_bytes:
        raise ImageError(
            "image_too_large", f"The picture has {len(data)} bytes; at most {max_bytes} are taken."
        )
    header = read_header(data)
    if header.width * header.height * header.weight > max_pixels:
        most = f"{max_pixels / header.weight / 1e6:g} megapixels"
        raise ImageError(
            "too_many_pixels",
            f"The picture has {header.width} x {header.height} pixels; at most {most} are taken"
            f"{' with 16 bits a colour' if header.weight > 1 else ''}.",
        )
    if min(header.width, header.height) < MIN_SIDE:
        raise ImageError("image_too_small", f"The shorter side has less than {MIN_SIDE} pixels.")
    return header


def reduced(image: Image, side: int) -> tuple[Image, int]:
    """The picture shrunk by an integer factor, its longer side below `2 * side`, and the factor.

    It takes the mean of each area. The linear interpolation that detectors shrink with looks at
    four pixels, and takes the noise of a large photo for detail.
    """
    factor = (max(image.shape[:2]) - 1) // side
    if factor < 2:
        return image, 1
    height, width = max(1, image.shape[0] // factor), max(1, image.shape[1] // factor)
    whole = image[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    ), factor


def _smaller(image: Image, reduction: int) -> Image:
    """Each pixel is the mean of so many rows and columns, as in a JPEG that is decoded smaller."""
    if reduction == 1:
        return image
    size = tuple(-(-side // reduction) for side in (image.shape[1], image.shape[0]))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def shrinking(factor: int) -> int:
    """The interpolation to shrink what `reduced` returned: by area for a large photo."""
    return cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR


def is_known(data: bytes) -> bool:
    """Whether the bytes begin like a picture, even one in an unsupported format."""
    return data.startswith(tuple(_FORMATS)) or named(data) is not None


def turned(image: Image, degrees: int) -> Image:
    """The picture turned clockwise by a multiple of 90 degrees; itself where that is none."""
    way = _TURNS[degrees % 360]
    return image if way is None else cv2.rotate(image, way).astype(np.uint8, copy=False)


def as_jpeg(image: Image) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ValueError("the picture cannot be encoded")
    return data.tobytes()


def read_header(data: bytes) -> Header:
    """The header, read without decoding. Raises ImageError for an unsupported format."""
    try:
        header: Header = _format(data).read(data)
    except (struct.error, IndexError) as error:
        raise truncated() from error
    return header


def _format(data: bytes) -> Any:
    """The module for a format. Raises ImageError for one that is not supported."""
    for start, module in _FORMATS.items():
        if data.startswith(start) and (module is not webp or data[8:12] == b"WEBP"):
            return module
    raise refusal(data)


def _without_transparency(encoded: Image) -> Image | None:
    image, kinds, metadata = cv2.imdecodeWithMetadata(encoded, flags=cv2.IMREAD_UNCHANGED)
    if image is None:
        return None
    exif = dict(zip(kinds, metadata, strict=True)).get(cv2.IMAGE_METADATA_EXIF)
    return upright(_over_white(image), orientation(b"" if exif is None else exif.tobytes()))


def _over_white(decoded: npt.NDArray[Any]) -> Image:
    """The (rows, columns, 3) picture as a browser shows it on a white page. Transparent pixels
    become white, whatever colour they hold.
    """
    seen = np.empty((*decoded.shape[:2], 3), np.uint8)
    for first in range(0, len(decoded), _ROWS):
        rows = decoded[first : first + _ROWS]
        rows = rows >> 8 if rows.dtype == np.uint16 else rows
        seen[first : first + _ROWS] = _rows_over_white(rows.astype(np.uint8, copy=False))
    return seen


def _rows_over_white(rows: Image) -> Image:
    if rows.ndim == 2:
        return rows[..., None]  # grey, copied into all three colours
    if rows.shape[2] == 3:
        return rows
    share = cv2.cvtColor(np.ascontiguousarray(rows[..., 3]), cv2.COLOR_GRAY2BGR)
    colours = cv2.multiply(np.ascontiguousarray(rows[..., :3]), share, scale=1 / 255)
    return (colours + (255 - share)).astype(np.uint8, copy=False)


# --- Orientation ----------------------------------------------------------------------------------
# OpenCV turns a picture upright by itself, except where it keeps the transparency.


def orientation(exif: bytes) -> int:
    """The EXIF orientation, from 1 (upright) to 8; 1 where the data are missing or wrong."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = _ORDERS.get(exif[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(min(count, _MAX_ENTRIES)):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, at + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass  # the data are cut off before any orientation
    return 1


def upright(image: Image, value: int) -> Image:
    """The picture turned and mirrored for an orientation from 1 to 8."""
    if value >= 5:
        image = image.transpose(1, 0, 2)
    if value in (2, 3, 6, 7):
        image = image[:, ::-1]
    if value in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
