"""Pictures as an app has them: a path, bytes, an open file, a PIL image, or a numpy array."""

import io
import os
from typing import IO, Any, Protocol, TypeAlias, cast

# The quality of a JPEG is from 1 to 95. What is lost does not change a template.
_JPEG_QUALITY = 95


class ImageLike(Protocol):
    """An image of Pillow."""

    def convert(self, mode: str, /) -> Any: ...
    def getexif(self) -> Any: ...


class ArrayLike(Protocol):
    """An array of numpy: (height, width, 3) in the order red, green, blue, or (height, width)."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


Picture: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes] | ImageLike | ArrayLike


def name_and_bytes(picture: Picture, name: str) -> tuple[str, bytes]:
    """The name of its file, or else `name`, and the bytes to send.

    Images and arrays are sent as JPEG. Raises OSError if a file cannot be read, and TypeError if
    it is no picture at all.
    """
    if isinstance(picture, bytes | bytearray | memoryview):
        return name, bytes(picture)
    if isinstance(picture, str | os.PathLike):
        with open(picture, "rb") as file:  # noqa: PTH123  a path of any kind
            return os.path.basename(os.fspath(picture)), file.read()  # noqa: PTH119
    if callable(read := getattr(picture, "read", None)):
        return name, read()
    if hasattr(picture, "__array_interface__") and not hasattr(picture, "getexif"):
        from PIL import Image  # only who has arrays needs it

        picture = Image.fromarray(picture)
    if not hasattr(picture, "getexif"):
        raise TypeError(f"a picture is a path, bytes, a PIL image or an array, and no {picture!r}")
    return name, _as_jpeg(cast(ImageLike, picture))


def _as_jpeg(image: ImageLike) -> bytes:
    """The orientation of a photo stays with it."""
    output = io.BytesIO()
    exif = image.getexif()
    image.convert("RGB").save(output, "JPEG", quality=_JPEG_QUALITY, exif=exif)
    return output.getvalue()
