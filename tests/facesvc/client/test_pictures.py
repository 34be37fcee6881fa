"""Pictures in all the forms in which an app has them."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facesvc.client.pictures import name_and_bytes
from tests.support.photos import astronaut

RED = np.full((8, 6, 3), (200, 30, 10), np.uint8)


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_it_works(tmp_path: Path) -> None:
    path = tmp_path / "ann.jpg"
    path.write_bytes(b"picture")
    assert name_and_bytes(path, "image") == ("ann.jpg", b"picture")
    assert name_and_bytes(str(path), "image") == ("ann.jpg", b"picture")
    with path.open("rb") as file:
        assert name_and_bytes(file, "image") == ("image", b"picture")
    for plain in (b"picture", bytearray(b"picture"), memoryview(b"picture")):
        assert name_and_bytes(plain, "image") == ("image", b"picture")


def test_an_array_is_red_green_blue() -> None:
    image = decoded(name_and_bytes(RED, "image")[1])
    assert image.size == (6, 8) and image.format == "JPEG"
    red, green, blue = image.getpixel((3, 4))  # type: ignore[misc]
    assert red > 180 and green < 60 and blue < 60


def test_a_grey_array() -> None:
    assert decoded(name_and_bytes(RED[..., 0], "image")[1]).size == (6, 8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK"])
def test_images_of_any_mode(mode: str) -> None:
    image = Image.fromarray(cv2.cvtColor(astronaut(), cv2.COLOR_BGR2RGB)).convert(mode)
    sent = decoded(name_and_bytes(image, "image")[1])
    assert (sent.size, sent.mode) == ((512, 512), "RGB")


def test_a_photo_keeps_its_orientation() -> None:
    image = Image.fromarray(RED)
    image.getexif()[0x0112] = 6
    assert decoded(name_and_bytes(image, "image")[1]).getexif()[0x0112] == 6


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(TypeError, match="a picture is a path"):
        name_and_bytes(17, "image")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        name_and_bytes("nothing.jpg", "image")
