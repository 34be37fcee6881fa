"""The header and the error that all formats share."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["jpeg", "png", "webp", "bmp"]


class ImageError(ValueError):
    """The bytes are not an acceptable picture; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Header:
    """Format and size in pixels.

    `has_alpha`: some pixels may be transparent. `has_end`: the file's end is there; if not, a
    failure to decode means that it was cut off. `weight`: the cost of a pixel in pixels of usual
    depth.
    """

    format: Format
    width: int
    height: int
    has_alpha: bool = False
    has_end: bool = True
    weight: int = 1


def invalid(message: str) -> ImageError:
    return ImageError("invalid_image", message)


def truncated() -> ImageError:
    return ImageError("truncated_image", "The picture ends too early.")
