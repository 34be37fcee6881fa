"""The header and the errors that all formats share, and the refusal of all other formats."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["jpeg", "png", "webp", "bmp"]
_SEND = "send it as JPEG, PNG, WebP or BMP"
_CAMERA = f"{_SEND}; in a browser, a canvas converts it; on an iPhone, choose Settings, Camera, "
_CAMERA += "Formats, Most Compatible"
_STARTS = {
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF or a camera's raw data",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG",
}
_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


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
    depth. `is_scalable`: the decoder can compute fewer pixels, in a part of the time.
    """

    format: Format
    width: int
    height: int
    has_alpha: bool = False
    has_end: bool = True
    weight: int = 1
    is_scalable: bool = False


def invalid(message: str) -> ImageError:
    return ImageError("invalid_image", message)


def truncated() -> ImageError:
    return ImageError("truncated_image", "The picture ends too early.")


def refusal(data: bytes) -> ImageError:
    """An error unsupported_format that names the format, if the first bytes show it."""
    if name := named(data):
        advice = _CAMERA if name in ("HEIC", "AVIF") else _SEND
        return ImageError("unsupported_format", f"The picture is {name}, not taken: {advice}.")
    return ImageError("unsupported_format", "The picture is not JPEG, PNG, WebP or BMP.")


def named(data: bytes) -> str | None:
    """The name of a format that is known but not supported."""
    if data[4:8] == b"ftyp":
        # The major brand, then the compatible brands up to the end of the box.
        end = min(int.from_bytes(data[:4], "big"), 256)
        brands = [data[8:12], *(data[at : at + 4] for at in range(16, end, 4))]
        if any(brand in _AVIF for brand in brands):
            return "AVIF"
        return "HEIC" if any(brand in _HEIC for brand in brands) else "a film"
    return next((name for start, name in _STARTS.items() if data.startswith(start)), None)
